# SPDX-License-Identifier: Apache-2.0
"""What the system tests share.

A test file has functions test_*(net), each run in a network of its own, and ends with lib.main(). What has
to happen inside a host is a function of the same file, a "part": net.part('web', serve, 80) runs
serve(80) in host web. Test and part converse in JSON lines: the part with say() and hear(), the test with
Proc.get() and Proc.put().

A file with FAMILIES = (4, 6) is run a second time for IPv6: addr(), tcp() and udp() are then the other family's.

The same tests run against the kernel (run --as kernel): hosts are then network namespaces on one bridge,
which proves the tests themselves. What only berth has is marked with berth_only().
"""
import errno
import inspect
import ipaddress
import json
import os
import pwd
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import namedtuple

PY = '/usr/bin/python3'
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools'))
BERTH = os.environ.get('BERTH', os.path.join(HERE, '../../build/cli/berth'))
KERNEL = os.environ.get('BERTH_TEST_AS') == 'kernel'
V6 = os.environ.get('BERTH_TEST_FAMILY') == '6'
AF = socket.AF_INET6 if V6 else socket.AF_INET
LIMIT = 30.0  # seconds after which an answer counts as never coming
TEST_LIMIT = 90  # seconds for one test function, unless it has an attribute `limit`


class Skip(Exception):
    """Raised by a test that cannot run here; the reason is printed."""


def berth_only(why):
    if KERNEL:
        raise Skip('not on the kernel: ' + why)


def real_root():
    """Root with all uids, not the only uid of a user namespace."""
    if os.geteuid() != 0:
        return False
    with open('/proc/self/uid_map') as f:
        return int(f.read().split()[2]) > 65534


def eq(got, want, what='value'):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


def fails(wanted, call, *args):
    """call(*args) must raise OSError with this errno (or one of these)."""
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    names = '/'.join(errno.errorcode[w] for w in wanted)
    try:
        result = call(*args)
    except OSError as e:
        if e.errno not in wanted:
            raise AssertionError(f'{call.__name__}{args}: {e!r}, want {names}') from e
        return e
    raise AssertionError(f'{call.__name__}{args} = {result!r}, want {names}')


def until(what, check, limit=LIMIT, pause=0.02):
    """Repeats check() until it is true; returns what it gave."""
    end = time.monotonic() + limit
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f'not within {limit} s: {what}')
        time.sleep(pause)


def header_enum(header, name):
    """The numbers of an enum in proto/: the contract itself says them."""
    with open(os.path.join(HERE, '../../proto', header)) as f:
        body = re.search(r'enum %s \{(.*?)\n\};' % name, f.read(), re.S).group(1)
    number, found = 0, {}
    for item in re.sub(r'/\*.*?\*/', '', body, flags=re.S).split(','):
        if item.strip():
            label, _, value = (word.strip() for word in item.partition('='))
            number = int(value) if value else number
            found[label] = number
            number += 1
    return found


def header_define(header, name):
    with open(os.path.join(HERE, '../../proto', header)) as f:
        return int(re.search(r'^#define %s (\d+)$' % name, f.read(), re.M).group(1))


def addr(v4):
    """An IPv4 address, or what stands for it when the tests run for IPv6."""
    if not V6:
        return v4
    plain = {'0.0.0.0': '::', '127.0.0.1': '::1'}
    return plain.get(v4) or str(ipaddress.IPv6Address((0xfd00 << 112) + int(ipaddress.IPv4Address(v4))))


def tcp():
    return socket.socket(AF, socket.SOCK_STREAM)


def udp():
    return socket.socket(AF, socket.SOCK_DGRAM)


# --- inside a part

def say(value):
    sys.stdout.write(json.dumps(value) + '\n')
    sys.stdout.flush()


def hear():
    line = sys.stdin.readline()
    if not line:
        raise SystemExit('the test is gone')
    return json.loads(line)


def listen(address, port, backlog=128, **options):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM)
    if options.get('reuse', True):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(backlog)
    return s


def connect(address, port, timeout=LIMIT):
    return socket.create_connection((address, port), timeout)


TCP_INFO = ('rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv '
            'last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space '
            'total_retrans pacing_rate max_pacing_rate bytes_acked bytes_received segs_out segs_in notsent_bytes '
            'min_rtt data_segs_in data_segs_out').split()


def tcp_info(s):
    """struct tcp_info of linux/tcp.h, as far as it is named above; times in us."""
    raw = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
    numbers = struct.unpack_from('=8B24I4Q6I', raw)
    return {'state': numbers[0], **dict(zip(TCP_INFO, numbers[8:]))}


def recv_all(s, size):
    data = bytearray()
    while len(data) < size:
        piece = s.recv(size - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


def recv_end(s):
    data = bytearray()
    while piece := s.recv(65536):
        data += piece
    return bytes(data)


# --- inside the test

class Proc:
    """A program in a host."""

    def __init__(self, what, argv, **kw):
        self.what = what
        kw.setdefault('stdin', subprocess.PIPE)
        kw.setdefault('stdout', subprocess.PIPE)
        self.p = subprocess.Popen(argv, text=True, start_new_session=True, **kw)
        self.pid = self.p.pid
        self.lines = queue.Queue()
        if self.p.stdout:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, limit=LIMIT):
        """The next line of its output, None at the end."""
        try:
            line = self.lines.get(timeout=limit)
        except queue.Empty:
            raise AssertionError(f'{self.what}: silent for {limit} s') from None
        if line is None:
            self.lines.put(None)
        return line

    def get(self, limit=LIMIT):
        line = self.line(limit)
        if line is None:
            raise AssertionError(f'{self.what}: ended (status {self.p.wait(LIMIT)}), answer awaited')
        return json.loads(line)

    def put(self, value):
        self.p.stdin.write(json.dumps(value) + '\n')
        self.p.stdin.flush()

    def ask(self, value, limit=LIMIT):
        self.put(value)
        return self.get(limit)

    def done(self, status=0, limit=LIMIT):
        if self.p.stdin and not self.p.stdin.closed:
            self.p.stdin.close()
        try:
            got = self.p.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.what}: still runs after {limit} s') from None
        eq(got, status, f'exit status of {self.what}')

    def signal(self, number):
        self.p.send_signal(number)

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)  # it and what it forked
        except ProcessLookupError:
            pass
        self.p.wait()
        if self.p.stdin and not self.p.stdin.closed:
            try:
                self.p.stdin.close()
            except BrokenPipeError:
                pass


Row = namedtuple('Row', 'proto state local lport peer pport host')
ROW_KEYS = 'netid state local_address local_port peer_address peer_port host'.split()


class Net:
    """A berth network and the programs that the test started in it."""

    def __init__(self, name):
        self.name = name
        self.hosts = {}
        self.options = {}  # host: more options of berth run
        self.users = {}  # name of a test's own: the host that it enters as a user who is not its root
        self.procs = []

    def host(self, name, *addresses):
        self.hosts[name] = list(addresses)
        return name

    def user_of(self, name, host):
        """From now on `name` is the host, entered by a user of it who is not its root."""
        self.users[name] = host
        return name

    def argv(self, host, argv):
        options = ['--network', self.name, '--host', self.users.get(host, host)]
        if host in self.users:
            options += ['--unprivileged']
        for address in self.hosts.get(host, ()):
            options += ['--ip', address]
        return [BERTH, 'run', *options, *self.options.get(host, ()), '--', *argv]

    def sysctl(self, host, *settings):
        """Settings of a host that runs, each NAME=VALUE."""
        self.berth('sysctl', host, *settings)

    def popen(self, host, argv, **kw):
        proc = Proc(f'{" ".join(argv)[:60]!r} in {host}', self.argv(host, argv), **kw)
        self.procs.append(proc)
        return proc

    def part(self, host, function, *args, **kw):
        """Runs a function of the test's file in a host."""
        argv = [PY, inspect.getfile(function), '--part', function.__name__, json.dumps(args)]
        proc = self.popen(host, argv, **kw)
        proc.what = f'{function.__name__}{args} in {host}'
        return proc

    def whole(self, host, function, *args, limit=LIMIT):
        """Runs a function of the test's file in a host to its end, of which it says so."""
        p = self.part(host, function, *args)
        eq(p.get(limit), 'end')
        p.done()

    def run(self, host, argv, status=0, timeout=LIMIT, **kw):
        """Runs a program in a host to its end; its output (stdout and stderr) as text."""
        kw.setdefault('stdin', subprocess.DEVNULL)
        try:
            p = subprocess.run(self.argv(host, argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, timeout=timeout, **kw)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f'{argv} in {host}: still runs after {timeout} s; said {e.output}') from e
        if status is not None and p.returncode != status:
            raise AssertionError(f'{argv} in {host}: status {p.returncode}, want {status}:\n{p.stdout}')
        return p.stdout

    def berth(self, *argv, status=0):
        """A berth command in this network; returns its output and error output."""
        p = subprocess.run([BERTH, argv[0], '--network', self.name, *argv[1:]], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=LIMIT)
        if status is not None and p.returncode != status:
            raise AssertionError(f'berth {argv}: status {p.returncode}, want {status}: {p.stdout}{p.stderr}')
        return p.stdout, p.stderr

    def link(self, a, b, *words):
        """What the link between two hosts that run does to packets."""
        self.berth('link', 'set', a, b, *words)

    def filter(self, host, rules=(), policy_in='accept', policy_out='accept'):
        """The packet filter of a host that runs: rules as berth filter has them, in the place of what it had."""
        self.berth('filter', 'clear', host)
        self.berth('filter', 'policy', host, 'in', policy_in)
        self.berth('filter', 'policy', host, 'out', policy_out)
        for rule in rules:
            self.berth('filter', 'add', host, *rule.split())

    def ss(self, *flags, status=0):
        """Every socket of the network (or those that the flags pick), bound ones and TIME_WAIT included."""
        out, _ = self.berth('ss', '-a', '--json', *flags, status=status)
        return [Row(*(s[key].strip('[]') if isinstance(s[key], str) else s[key] for key in ROW_KEYS))
                for s in json.loads(out)['sockets']] if out else []

    # what berthd says of itself, read where instruments read it (proto/table.h)

    def dir(self):
        return os.path.join(os.environ['BERTH_RUNTIME_DIR'], self.name)

    def netid(self):
        with open(os.path.join(self.dir(), 'netid')) as f:
            return f.read().strip()

    def _table(self, offset, form):
        with open(os.path.join(self.dir(), 'table'), 'rb') as f:
            f.seek(offset)
            return struct.unpack('=' + form, f.read(struct.calcsize('=' + form)))[0]

    def daemon_pid(self):
        return self._table(100, 'i')

    def counter(self, name):
        return self._table(120 + 8 * header_enum('table.h', 'bt_counter')['BT_CNT_' + name], 'Q')

    # after a test

    def stop(self):
        for proc in self.procs:
            proc.kill()

    def check_empty(self):
        """Nothing but TIME_WAIT may be left once the programs have ended."""
        left = []

        def empty():
            nonlocal left
            left = [row for row in self.ss(status=None) if row.state != 'TIME-WAIT']
            return not left

        try:
            until('an empty table', empty, limit=10)
        except AssertionError:
            raise AssertionError(f'{len(left)} rows left in the table: {left[:10]}') from None


def nft_rule(rule):
    """A rule of berth filter in the words of nft(8)."""
    words = rule.split()
    verdict, out = words[0], []
    reset = words[-2:] == ['with', 'tcp-reset']
    rest = iter(words[2:-2] if reset else words[2:])
    proto = next((w for w in words if w in ('tcp', 'udp', 'icmp')), None)
    if proto:
        out += ['meta l4proto', '{ icmp, icmpv6 }' if proto == 'icmp' else proto]
    elif 'sport' in words or 'dport' in words:
        out += ['meta l4proto { tcp, udp }']
    for word in rest:
        if word in ('from', 'to'):
            address = next(rest)
            out += ['ip6' if ':' in address else 'ip', {'from': 'saddr', 'to': 'daddr'}[word], address]
        elif word in ('sport', 'dport'):
            out += ['th', word, next(rest)]
        elif word == 'state':
            out += ['ct state', next(rest)]
    return ' '.join(out + [verdict] + ['with tcp reset'] * reset)


class KernelNet(Net):
    """The same with the kernel's own network namespaces, one a host, on one bridge."""
    made = 0

    def __init__(self, name):
        super().__init__(name)
        KernelNet.made += 1
        self.bridge = f'b{"rs"[V6]}{KernelNet.made}'  # names of the other run may be on their way out yet
        self.holders = {}
        self.ip('link', 'add', 'name', self.bridge, 'type', 'bridge')
        self.ip('link', 'set', self.bridge, 'up')

    def ip(self, *argv, host=None):
        enter = ['nsenter', '-t', str(self.holders[host].pid), '-n'] if host else []
        subprocess.run([*enter, 'ip', *argv], check=True)

    def host(self, name, *addresses):
        own = os.readlink('/proc/self/ns/net')
        holder = self.holders[name] = subprocess.Popen(['unshare', '-n', 'sleep', 'infinity'])
        until('a namespace', lambda: os.readlink(f'/proc/{holder.pid}/ns/net') != own)
        self.ip('link', 'set', 'lo', 'up', host=name)
        families = [[a for a in addresses if (':' in a) == v6] for v6 in (False, True)]
        for i in range(max(len(family) for family in families)):  # the first of each family is eth0's, and so on
            port = f'{self.bridge}p{len(self.holders)}.{i}'
            self.ip('link', 'add', 'name', port, 'type', 'veth', 'peer', 'name', f'eth{i}',
                    'netns', str(holder.pid))
            self.ip('link', 'set', port, 'master', self.bridge, 'up')
            self.ip('link', 'set', f'eth{i}', 'up', host=name)
            for family in families:
                if i < len(family):
                    self.address(name, family[i], f'eth{i}')
        for family in {'-6' if ':' in a else '-4' for a in addresses}:
            self.ip(family, 'route', 'add', 'default', 'dev', 'eth0', host=name)
        return super().host(name, *addresses)

    def address(self, host, address, interface):
        address = address.split('/')[0]
        v6 = ':' in address
        self.ip('addr', 'add', f'{address}/{128 if v6 else 32}', 'dev', interface, *['nodad'] * v6, host=host)

    def argv(self, host, argv):
        user = pwd.getpwnam('games')
        become = [] if host not in self.users else \
            ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups', '--']
        holder = self.holders[self.users.get(host, host)]
        return ['nsenter', '-t', str(holder.pid), '-n', '--', *become, *argv]

    def sysctl(self, host, *settings):
        for setting in settings:
            name, _, value = setting.partition('=')
            path = '/proc/sys/' + name.replace('.', '/')
            subprocess.run(self.argv(host, ['sh', '-c', f'echo "{value}" >{path}']), check=True)

    def link(self, a, b, *words):
        """Only up and down: not every kernel has netem, and without it a link is perfect."""
        for word in {'up', 'down'}.intersection(words):
            index = list(self.hosts).index(a) + 1
            self.ip('link', 'set', f'{self.bridge}p{index}.0', word)

    def filter(self, host, rules=(), policy_in='accept', policy_out='accept'):
        """In nft's words. What a host sends to itself berth does not filter, nor neighbour discovery, of which the
        kernel has its own protocol in IPv6."""
        has('nft')
        nd = 'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, ' \
            'mld-listener-query, mld-listener-report, mld2-listener-report } accept'
        text = 'flush ruleset\ntable inet f {\n'
        for chain, word, policy in (('input', 'in', policy_in), ('output', 'out', policy_out)):
            text += f'chain {chain} {{ type filter hook {chain} priority 0; policy accept;\n'
            text += f'{"iif" if word == "in" else "oif"} lo accept\n{nd}\n'
            text += ''.join(nft_rule(rule) + '\n' for rule in rules if rule.split()[1] == word)
            text += f'{policy}\n}}\n'
        subprocess.run(self.argv(host, ['nft', '-f', '-']), input=text + '}\n', text=True, check=True)
        # berth's answers are as many as Linux's without this; a test that asks often should not meet the limit
        self.sysctl(host, 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0')

    def ss(self, *flags, status=0):
        raise Skip('not on the kernel: berth ss')

    def stop(self):
        super().stop()
        for holder in self.holders.values():
            holder.kill()
            holder.wait()
        if self.bridge:
            self.ip('link', 'del', self.bridge)
            self.bridge = None

    def check_empty(self):
        pass


def has(*programs):
    for name in programs:
        if not any(os.access(os.path.join(d, name), os.X_OK)
                   for d in (os.environ['PATH'] + ':/usr/sbin:/sbin').split(':')):
            raise Skip(f'{name} is not installed (tools/install-deps check)')


# --- running the tests of a file

def result(kind, name, reason=''):
    line = json.dumps([kind, name, reason])
    if 'BERTH_TEST_RESULTS' in os.environ:
        with open(os.environ['BERTH_TEST_RESULTS'], 'a') as f:
            f.write(line + '\n')
    print(kind, name, reason, flush=True)


def run_one(name, function):
    def alarm(*_):
        raise AssertionError(f'took longer than {limit} s')

    limit = getattr(function, 'limit', TEST_LIMIT)
    label = f'{os.path.basename(sys.argv[0])[:-3]}.{name[5:]}' + '.ipv6' * V6
    print(f'--- {label}', flush=True)
    signal.signal(signal.SIGALRM, alarm)
    signal.alarm(limit)
    net = None
    try:
        net = (KernelNet if KERNEL else Net)(f't{os.getpid()}{"v6" * V6}-{name[5:]}'[:32])
        note = function(net)
        net.stop()
        net.check_empty()
        result('ok', label, note or '')
    except Skip as e:
        result('skip', label, str(e))
    except BaseException as e:  # also SystemExit of a helper: a test never ends the file
        traceback.print_exc(file=sys.stdout)
        result('FAIL', label, f'{type(e).__name__}: {e}'.split('\n')[0])
    finally:
        signal.alarm(0)
        if net:
            net.stop()


def main():
    module = sys.modules['__main__']
    if sys.argv[1:2] == ['--part']:
        getattr(module, sys.argv[2])(*json.loads(sys.argv[3]))
        return
    only = os.environ.get('BERTH_TEST_ONLY', '')
    for name, function in list(vars(module).items()):
        if name.startswith('test_') and only in name and not (V6 and getattr(function, 'one_family', False)):
            run_one(name, function)
    if 6 in getattr(module, 'FAMILIES', ()) and not V6:
        os.execve(sys.executable, [sys.executable, '-u', *sys.argv], {**os.environ, 'BERTH_TEST_FAMILY': '6'})

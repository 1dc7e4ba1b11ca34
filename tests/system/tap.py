# SPDX-License-Identifier: Apache-2.0
"""A host on a TAP device: the kernel's TCP/IP on the one side, berth's on the other, in both directions.

The kernel's side is a network namespace of the test's own, where a capture runs whose packets tshark then
judges: nothing malformed, no bad checksum.
"""
import errno
import hashlib
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import time

import lib

import servers  # in tools/, which lib puts on the path

FAMILIES = (4, 6)
HOST, MACHINE = ('fd07::2', 'fd07::1') if lib.V6 else ('10.7.0.2', '10.7.0.1')
LENGTH = 64 if lib.V6 else 24
BYTES = 100_000_000
IMPAIRED = 'loss 0.5% delay 1ms jitter 200us reorder 1% duplicate 0.3% corrupt 0.1%'.split()
URL = '[%s]' if lib.V6 else '%s'
USER = pwd.getpwnam('games')


class Machine:
    """The kernel's side: a network namespace, in it the interface tap0."""

    def __init__(self, net):
        if not lib.real_root():
            raise lib.Skip('only root may make network namespaces and TAP devices')
        if not os.path.exists('/dev/net/tun'):
            raise lib.Skip('there is no /dev/net/tun')
        own = os.readlink('/proc/self/ns/net')
        self.net = net
        self.holder = lib.Proc('the namespace', ['unshare', '-n', 'sleep', 'infinity'])
        net.procs.append(self.holder)
        lib.until('a namespace', lambda: os.readlink(f'/proc/{self.holder.pid}/ns/net') != own)
        self.netns = f'/proc/{self.holder.pid}/ns/net'
        self.run('ip', 'link', 'set', 'lo', 'up')

    def argv(self, *argv):
        return ['nsenter', f'--net={self.netns}', '--', *argv]

    def run(self, *argv, status=0, timeout=120, **kw):
        p = subprocess.run(self.argv(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=timeout, **kw)
        if status is not None and p.returncode != status:
            raise AssertionError(f'{argv} in the kernel: status {p.returncode}, want {status}:\n{p.stdout}')
        return p.stdout

    def popen(self, *argv, **kw):
        proc = lib.Proc(f'{" ".join(argv)[:60]!r} in the kernel', self.argv(*argv), **kw)
        self.net.procs.append(proc)
        return proc

    def join(self, host, *words, address=MACHINE):
        """The host's TAP device, up, with an address."""
        self.net.berth('link', 'set', host, 'tap', 'tap0', 'netns', self.netns, *words)
        # Nobody else has the address; without this it may be used only a second later.
        self.run('ip', 'address', 'add', f'{address}/{LENGTH}', 'dev', 'tap0', *['nodad'] * lib.V6)
        self.run('ip', 'link', 'set', 'tap0', 'up')
        self.run('sysctl', '-qw', 'net.ipv4.tcp_congestion_control=reno')


class Capture:
    """What passes tap0, the first 10 MB, seen by the kernel; check() has tshark judge it."""

    def __init__(self, machine):
        lib.has('tshark')
        self.path = os.path.join(os.getcwd(), f'capture{time.monotonic_ns()}.pcapng')
        self.p = machine.popen('dumpcap', '-q', '-i', 'tap0', '-B', '64', '-a', 'filesize:10000', '-w', self.path,
                               stderr=subprocess.STDOUT)
        lib.until('the capture', lambda: os.path.exists(self.path) and os.path.getsize(self.path) > 0)
        time.sleep(0.3)  # dumpcap says nothing when it has begun

    def end(self):
        time.sleep(0.3)
        if self.p.p.poll() is None:
            self.p.signal(signal.SIGINT)
        self.p.done()

    def fields(self, where, *names):
        argv = ['tshark', '-r', self.path, '--disable-protocol', 'http', '-Y', where, '-T', 'fields', '-E', 'separator=|', '-o',
                'tcp.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE']
        p = subprocess.run(argv + [w for name in names for w in ('-e', name)], capture_output=True, text=True,
                           timeout=120)
        lib.eq(p.returncode, 0, p.stderr)
        return [line.split('|') for line in p.stdout.splitlines()]

    def check(self):
        """Nothing that berth sent may be malformed. What the kernel sends has no checksum yet."""
        who = f'{"ipv6" if lib.V6 else "ip"}.src == {HOST}'
        bad = self.fields(f'({who}) && (_ws.malformed || tcp.checksum.status == 0 || udp.checksum.status == 0 || '
                          'ip.checksum.status == 0 || icmpv6.checksum.status == 0 || icmp.checksum.status == 0)',
                          'frame.number', '_ws.col.Info')
        lib.eq(bad, [], 'what tshark thinks is wrong')
        assert self.fields(who, 'frame.number'), 'nothing was captured'
        os.unlink(self.path)


def wait():
    lib.say('here')
    lib.hear()


def begin(net, *words):
    """A host on a device, and the kernel's side."""
    lib.berth_only('TAP devices')
    machine = Machine(net)
    net.host('web', f'{HOST}/{LENGTH}')
    net.part('web', wait).get()
    machine.join('web', *words)
    return machine


def counts(net):
    rows = json.loads(net.berth('link', 'show', '--json')[0])['links']
    return next(row for row in rows if row['with'].startswith('tap'))


def the_file(size=BYTES):
    """A file that the servers have, and its hash."""
    path = os.path.join(os.getcwd(), 'file')
    data = hashlib.shake_256(b'berth').digest(1_000_000)
    digest = hashlib.sha256()
    with open(path, 'wb') as f:
        for i in range(size // len(data)):
            piece = b'%8d' % i + data[8:]
            digest.update(piece)
            f.write(piece)
    return digest.hexdigest()


def hash_of(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def nginx_conf():
    work = os.getcwd()
    os.chmod(work, 0o755)
    with open(f'{work}/nginx.conf', 'w') as f:
        f.write(f'''daemon off; pid {work}/pid; error_log {work}/log; events {{}}
http {{ access_log off; client_body_temp_path {work}/1; proxy_temp_path {work}/2; fastcgi_temp_path {work}/3;
uwsgi_temp_path {work}/4; scgi_temp_path {work}/5; client_max_body_size 0;
server {{ listen 80; listen [::]:80; location / {{ root {work}; }} }} }}''')
    return ['nginx', '-e', 'stderr', '-c', f'{work}/nginx.conf']


def fetch(run, url, size_hash):
    run('curl', '-sS', '-m', '100', '-o', 'got', url)
    lib.eq(hash_of('got'), size_hash, 'what came')


def knock(machine, port):
    """Waits until the kernel's side has a listener."""
    lib.until(f'port {port}', lambda: f':{port} ' in machine.run('ss', '-tlnH'))


def listens(net, port):
    lib.until(f'port {port}', lambda: [r for r in net.ss('-tl') if r.state == 'LISTEN' and r.lport == port])


# --- the tests

def test_ping(net):
    lib.has('ping')
    machine = begin(net)
    capture = Capture(machine)
    for size in ('0', '56', '1472', '8000', '40000'):  # the last ones in fragments
        out = machine.run('ping', '-c', '3', '-i', '0.05', '-W', '5', '-s', size, HOST)
        assert ' 3 received, 0% packet loss' in out, out
        out = net.berth('ping', '-c', '3', '-i', '0.05', '-s', size, 'web', MACHINE)[0]
        assert '3 sent, 3 received, 0 errors, 0% lost' in out, out
        out = net.run('web', ['ping', '-c', '3', '-i', '0.05', '-W', '5', '-s', size, MACHINE])
        assert ' 3 received, 0% packet loss' in out, out
    machine.run('ping', '-c', '1', '-W', '1', HOST[:-1] + '9', status=1)
    out = net.run('web', ['ping', '-c', '3', '-i', '0.05', HOST[:-1] + '9'], status=1)
    assert '+3 errors' in out and 'nreachable' in out, out
    out = net.berth('ping', '-c', '1', '-i', '0', 'web', HOST[:-1] + '8', status=1)[0]
    assert ' 0 received' in out, out
    capture.end()
    lib.eq(len(capture.fields(f'{"ipv6" if lib.V6 else "ip"}.src == {HOST} && '
                              f'({"icmpv6.type == 129" if lib.V6 else "icmp.type == 0"})', 'frame.number')), 15)
    capture.check()


def transfers(net, words):
    lib.has('nginx', 'curl')
    machine = begin(net, *words)
    want = the_file()
    conf = nginx_conf()

    def looked_at(run, address):
        capture = None if words else Capture(machine)
        fetch(run, f'http://{URL % address}/file', want)
        if capture:
            capture.end()
            capture.check()

    in_host = net.popen('web', conf)
    listens(net, 80)
    looked_at(machine.run, HOST)
    in_host.kill()
    machine.popen(*conf)
    knock(machine, 80)
    looked_at(lambda *argv: net.run('web', argv, timeout=120), MACHINE)
    return counts(net)


def test_100_megabytes(net):
    transfers(net, [])


def test_100_megabytes_on_a_bad_wire(net):
    done = transfers(net, IMPAIRED)
    for what in ('lost', 'duplicated', 'reordered', 'corrupted'):
        assert done[what] > 50, (what, done)


test_100_megabytes.limit = test_100_megabytes_on_a_bad_wire.limit = 180


def test_iperf3(net):
    """TCP on a wire that loses packets; UDP on one that does not, as iperf3 begins with a datagram that it says once."""
    lib.has('iperf3')
    machine = begin(net)

    def idle(text):
        # It may still be with the end of the last one, which it says only to the next.
        out = json.loads(text)
        return None if 'busy' in out.get('error', '') else out

    def measure(run, address, *variants):
        for more in variants:
            loss = '0%' if '-u' in more else '0.3%'
            net.berth('link', 'set', 'web', 'tap', 'tap0', 'loss', loss, 'delay', '500us')
            out = lib.until('an idle server', lambda: idle(run('iperf3', '-J', '-c', address, '-t', '1', *more, status=None)))
            assert 'error' not in out, (more, out['error'])
            assert out['end'].get('sum_received', out['end'].get('sum'))['bytes'] > 1_000_000, more

    server = net.popen('web', ['iperf3', '-s'])
    listens(net, 5201)
    udp = [('-u', '-b', '20M'), ('-u', '-b', '20M', '-R')]
    measure(machine.run, HOST, (), ('-R',), ('--bidir',), ('-P', '4'), *udp)
    server.kill()
    machine.popen('iperf3', '-s')
    knock(machine, 5201)
    measure(lambda *argv, **kw: net.run('web', argv, **kw), MACHINE, (), ('-R',), *udp)


def sshd(work):
    """An sshd of an unprivileged user's, and how sftp comes to it."""
    become = ['setpriv', f'--reuid={USER.pw_uid}', f'--regid={USER.pw_gid}', '--clear-groups', '--']
    for key in ('host_key', 'user_key'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', f'{work}/{key}'], check=True)
    os.rename(f'{work}/user_key.pub', f'{work}/authorized_keys')
    os.chown(f'{work}/host_key', USER.pw_uid, USER.pw_gid)
    with open(f'{work}/sshd.conf', 'w') as f:
        f.write(servers.SSHD.format(dir=work))
    server = [*become, servers.program('sshd'), '-D', '-e', '-p', '2222', '-f', f'{work}/sshd.conf']
    client = ['sftp', '-F', 'none', '-i', f'{work}/user_key', '-P', '2222', '-o', 'BatchMode=yes', '-o',
              'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-q']
    return server, client


def test_ssh(net):
    lib.has('ssh', 'sftp', 'sshd', 'ssh-keygen')
    work = os.path.join(os.getcwd(), f'ssh{lib.V6}')
    for path in (work, f'{work}/up'):
        os.mkdir(path)
    os.chmod(f'{work}/up', 0o777)
    machine = begin(net, *'loss 1% delay 2ms'.split())
    want = the_file(10_000_000)
    server, client = sshd(work)
    in_host = net.popen('web', server)
    listens(net, 2222)
    for run, address in ((machine.run, HOST), (lambda *argv: net.run('web', argv, timeout=60), MACHINE)):
        with open(f'{work}/batch', 'w') as f:
            f.write(f'get {os.getcwd()}/file {work}/got\nput {work}/got {work}/up/back\n')
        run(*client, '-b', f'{work}/batch', f'{USER.pw_name}@' + URL % address)
        lib.eq(hash_of(f'{work}/got'), want, 'what came')
        lib.eq(hash_of(f'{work}/up/back'), want, 'what went')
        in_host.kill()
        machine.popen(*server)
        knock(machine, 2222)


def echo(n):
    """An echo server over TCP and UDP."""
    t = lib.listen(lib.addr('0.0.0.0'), 7)
    u = lib.udp()
    u.bind((lib.addr('0.0.0.0'), 7))
    lib.say('ready')
    for _ in range(n):
        what, who = u.recvfrom(65536)
        u.sendto(what, who)
    c, peer = t.accept()
    lib.say([list(c.getsockname()[:2]), list(peer[:2]), list(c.getpeername()[:2])])
    c.sendall(lib.recv_end(c))
    c.close()
    lib.hear()


def ask(address, sizes):
    """A client of it; also where nobody listens."""
    u = lib.udp()
    u.settimeout(10)
    for size in sizes:
        data = os.urandom(size)
        u.sendto(data, (address, 7))
        what, who = u.recvfrom(65536)
        lib.eq((what, list(who[:2])), (data, [address, 7]), f'{size} bytes')
    c = lib.connect(address, 7)
    names = [list(c.getsockname()[:2]), list(c.getpeername()[:2])]
    data = os.urandom(200_000)
    c.settimeout(20)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    lib.eq(lib.recv_end(c), data)
    lib.say(names)
    lib.fails(errno.ECONNREFUSED, lib.tcp().connect, (address, 9))
    lib.hear()


def conversation(server, start, there, here):
    lib.eq(server.get(), 'ready')
    client = start()
    names = client.get()
    at_server = server.get()
    lib.eq(at_server[0], [there, 7])
    lib.eq(at_server[1:], [names[0]] * 2, 'the client, to the server')
    lib.eq(names[0][0], here)
    lib.eq(names[1], [there, 7])


def test_datagrams_and_names(net):
    machine = begin(net)
    capture = Capture(machine)
    part = [lib.PY, os.path.abspath(__file__), '--part']
    sizes = [0, 1, 1400, 1473, 9000, 60000]
    server = net.part('web', echo, len(sizes))
    conversation(server, lambda: machine.popen(*part, 'ask', json.dumps([HOST, sizes])), HOST, MACHINE)
    server.kill()
    lib.until('an empty table', lambda: [r for r in net.ss() if r.state != 'TIME-WAIT'] == [])
    server = machine.popen(*part, 'echo', json.dumps([len(sizes)]))
    knock(machine, 7)
    conversation(server, lambda: net.part('web', ask, MACHINE, sizes), MACHINE, HOST)
    capture.end()
    capture.check()


def member(group, interface):
    """Says what it hears from the group, and says to it what it hears from the test."""
    s = lib.udp()
    s.settimeout(lib.LIMIT)
    s.bind((lib.addr('0.0.0.0'), 7000))
    dev = socket.if_nametoindex(interface)
    if lib.V6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(lib.AF, group) + struct.pack('i', dev))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, dev)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    else:
        which = socket.inet_aton(group) + bytes(4) + struct.pack('i', dev)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, which)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, which)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    lib.say('joined')
    while True:
        verb, *args = lib.hear()
        if verb == 'send':
            s.sendto(b'one', (args[0], 7000))
            lib.say('sent')
        else:
            data, peer = s.recvfrom(100)
            lib.say([data.decode(), peer[0]])


def test_groups_and_broadcast(net):
    machine = begin(net)
    capture = Capture(machine)
    group = 'ff05::1:1' if lib.V6 else '239.1.1.1'
    part = [lib.PY, os.path.abspath(__file__), '--part', 'member']
    inside = net.part('web', member, group, 'eth0')
    outside = machine.popen(*part, json.dumps([group, 'tap0']))
    lib.eq((inside.get(), outside.get()), ('joined', 'joined'))
    if not lib.V6:
        machine.run('ip', 'address', 'change', f'{MACHINE}/{LENGTH}', 'brd', '+', 'dev', 'tap0')
    for to in (group,) if lib.V6 else (group, '10.7.0.255', '255.255.255.255'):
        for a, b, source in ((inside, outside, HOST), (outside, inside, MACHINE)):
            if (a, to) == (outside, '255.255.255.255'):
                machine.run('ip', 'route', 'add', to, 'dev', 'tap0')
            lib.eq(a.ask(['send', to]), 'sent')
            while (got := b.ask(['recv']))[1] != source:  # its own, of what is broadcast
                pass
            lib.eq(got, ['one', source], to)
    capture.end()
    capture.check()


def holding(address, port):
    c = lib.connect(address, port)
    c.sendall(b'x')
    lib.say(c.recv(1).decode())
    try:
        lib.say(len(c.recv(1)))
    except OSError as e:
        lib.say(errno.errorcode[e.errno])
    lib.hear()


def held():
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    c, _ = s.accept()
    c.sendall(c.recv(1))
    lib.say(lib.hear())
    c.close()
    lib.hear()


def test_states_and_ends(net):
    machine = begin(net)
    part = [lib.PY, os.path.abspath(__file__), '--part']
    states = lambda: sorted(r.state for r in net.ss('-t'))
    server = net.part('web', held)
    server.get()
    client = machine.popen(*part, 'holding', json.dumps([HOST, 80]))
    lib.eq(client.get(), 'x')
    lib.eq(states(), ['ESTAB', 'LISTEN'])
    lib.eq([(r.local, r.peer) for r in net.ss('-t') if r.state == 'ESTAB'], [(HOST, MACHINE)])
    server.put('go')
    lib.eq(client.get(), 0, 'an end of file')
    lib.until('FIN_WAIT2', lambda: states() == ['FIN-WAIT-2', 'LISTEN'])
    client.kill()
    lib.until('TIME_WAIT', lambda: states() == ['LISTEN', 'TIME-WAIT'])
    server.kill()
    # a killed program at each side, and one whose connection is reset
    server = machine.popen(*part, 'held', '[]')
    server.get()
    client = net.part('web', holding, MACHINE, 80)
    lib.eq(client.get(), 'x')
    client.kill()
    lib.until('FIN_WAIT2', lambda: 'FIN-WAIT-2' in states())
    server.kill()
    lib.until('TIME_WAIT', lambda: set(states()) == {'TIME-WAIT'})
    server = machine.popen(*part, 'held', '[]')
    server.get()
    client = net.part('web', holding, MACHINE, 80)
    lib.eq(client.get(), 'x')
    machine.run('ss', '-K', 'dport', '!=', '0')
    lib.eq(client.get(), 'ECONNRESET')


def syn(capture, src):
    """The options of the first SYN of an address: as (kind, value)."""
    family = 'ipv6' if lib.V6 else 'ip'
    return capture.fields(f'{family}.src == {src} && tcp.flags.syn == 1', 'tcp.options.mss_val', 'tcp.options.wscale.shift',
                          'tcp.options.sack_perm', 'tcp.options.timestamp.tsval', 'tcp.flags.ece', 'tcp.flags.cwr')


def test_options(net):
    """What the two agree on, as a third party reads it."""
    machine = begin(net)
    for ecn in ('0', '1'):
        machine.run('sysctl', '-qw', f'net.ipv4.tcp_ecn={ecn}')
        capture = Capture(machine)
        part = [lib.PY, os.path.abspath(__file__), '--part']
        server = net.part('web', echo, 1)
        server.get()
        client = machine.popen(*part, 'ask', json.dumps([HOST, [1]]))
        client.get()
        server.kill()
        client.kill()
        capture.end()
        mss = '1440' if lib.V6 else '1460'
        for src in (MACHINE, HOST):
            mss_val, wscale, sack, stamp, *_ = syn(capture, src)[0]
            lib.eq(mss_val, mss, f'MSS of {src}')
            assert 0 < int(wscale) <= 14, wscale
            assert sack != '' and int(stamp) > 0, (sack, stamp)
        flags = [bit in ('1', 'True') for bit in syn(capture, HOST)[0][4:]]
        lib.eq(flags, [ecn == '1', False], 'ECE and CWR of the answer to a SYN that asks for ECN')
        if ecn == '1':
            tcp = f'{"ipv6" if lib.V6 else "ip"}.src == {HOST} && tcp.len > 0 && '
            marked = 'ipv6.tclass.ecn' if lib.V6 else 'ip.dsfield.ecn'
            assert capture.fields(tcp + f'{marked} == 2', 'frame.number'), 'no data goes out ECN-capable'
        capture.check()


def test_poorer_kernels(net):
    """Without one option or another, with small and large packets, on a wire that loses some."""
    lib.has('nginx', 'curl')
    lib.berth_only('TAP devices')
    machine = Machine(net)
    machine.run('ip', 'tuntap', 'add', 'tap0', 'mode', 'tap')
    machine.run('ip', 'link', 'set', 'tap0', 'mtu', '9000')  # the host takes it over
    net.host('web', f'{HOST}/{LENGTH}')
    net.part('web', wait).get()
    machine.join('web', *'loss 1% delay 1ms'.split())
    want = the_file(3_000_000)
    conf = nginx_conf()
    in_host = net.popen('web', conf)
    listens(net, 80)

    def settings():
        for name in ('timestamps', 'sack', 'window_scaling', 'ecn'):
            machine.run('sysctl', '-qw', f'net.ipv4.tcp_{name}={int(name == "ecn")}')
            yield name
        machine.run('sysctl', '-qw', 'net.ipv4.tcp_sack=1', 'net.ipv4.tcp_timestamps=1')
        for mtu in (1280, 1500, 9000):
            machine.run('ip', 'link', 'set', 'tap0', 'mtu', str(mtu))
            yield mtu

    for _ in settings():
        fetch(machine.run, f'http://{URL % HOST}/file', want)
    in_host.kill()
    machine.popen(*conf)
    knock(machine, 80)
    for name in ('timestamps', 'sack', 'window_scaling'):
        machine.run('sysctl', '-qw', f'net.ipv4.tcp_{name}=1')
    for _ in settings():
        fetch(lambda *argv: net.run('web', argv, timeout=60), f'http://{URL % MACHINE}/file', want)


def test_gateway(net):
    """Addresses beyond the prefix, by the machine as a router."""
    machine = begin(net, 'gateway', MACHINE)
    far = 'fd09::1' if lib.V6 else '10.9.0.1'
    machine.run('ip', 'address', 'add', f'{far}/{128 if lib.V6 else 32}', 'dev', 'lo', *['nodad'] * lib.V6)
    part = [lib.PY, os.path.abspath(__file__), '--part']
    server = machine.popen(*part, 'echo', '[0]')
    knock(machine, 7)
    conversation(server, lambda: net.part('web', ask, far, []), far, HOST)
    assert f'gateway {MACHINE}' in counts(net)['settings'], counts(net)


def refused(address):
    try:
        lib.connect(address, 7, 10)
    except OSError as e:
        lib.say(errno.errorcode[e.errno] if e.errno else type(e).__name__)
    lib.hear()


def test_two_hosts(net):
    """Beside the device the network goes on: hosts of the same prefix are reached as before."""
    machine = begin(net)
    other = HOST[:-1] + '3'
    net.host('pc', f'{other}/{LENGTH}')
    server = net.part('pc', echo, 1)
    conversation(server, lambda: net.part('web', ask, other, [100]), other, HOST)
    net.berth('link', 'set', 'web', 'pc', 'delay', '1ms')
    server.kill()
    server = net.part('pc', echo, 1)
    conversation(server, lambda: net.part('web', ask, other, [100]), other, HOST)
    server.kill()
    # pc has no device: the machine is nobody to it
    lib.eq(net.part('pc', refused, MACHINE).get(), 'EHOSTUNREACH')
    assert ' 0 received' in machine.run('ping', '-c', '1', '-W', '1', other, status=1)
    net.berth('link', 'clear', 'web', 'pc')
    assert 'pc' not in net.berth('link', 'show')[0]
    net.berth('link', 'clear', 'web', 'pc', status=1)


def test_a_device_that_goes_away(net):
    machine = begin(net)
    server = net.part('web', held)
    server.get()
    part = [lib.PY, os.path.abspath(__file__), '--part']
    client = machine.popen(*part, 'holding', json.dumps([HOST, 80]))
    lib.eq(client.get(), 'x')
    machine.run('ip', 'link', 'delete', 'tap0')
    lib.until('gone', lambda: counts(net)['with'] == 'tap tap0 (gone)')
    lib.eq(net.part('web', refused, HOST[:-1] + '9').get(), 'EHOSTUNREACH', 'nobody answers')
    machine.join('web')
    lib.eq(counts(net)['with'], 'tap tap0')
    assert ' 1 received' in machine.run('ping', '-c', '1', '-W', '5', HOST)
    net.berth('link', 'clear', 'web', 'tap')
    assert 'tap0' not in machine.run('ip', '-o', 'link'), 'it was berth\'s, and goes with it'
    lib.eq(net.part('web', refused, MACHINE).get(), 'EHOSTUNREACH', 'the network ends at its hosts again')
    assert 'tap' not in net.berth('link', 'show')[0]


def test_garbage(net):
    """A kernel that sends anything: each packet is dropped, and the host still answers."""
    machine = begin(net)
    machine.popen(lib.PY, os.path.abspath(__file__), '--part', 'pour', '[]').done(limit=60)
    assert ' 3 received' in machine.run('ping', '-c', '3', '-i', '0.05', '-W', '5', HOST)
    assert counts(net)['packets'] > 1000, counts(net)  # a device whose queue is full drops some


def pour():
    import random
    dice = random.Random(7)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(('tap0', 0))
    mac = bytes.fromhex(open('/sys/class/net/tap0/address').read().replace(':', '')) \
        if os.path.exists('/sys/class/net/tap0/address') else bytes(6)
    types = (0x0800, 0x86dd, 0x0806, 0x8100, 0x1234)
    for i in range(20000):
        size = dice.choice((0, 1, 8, 20, 28, 40, 60, 100, 1400))
        body = bytearray(dice.randbytes(size))
        kind = dice.choice(types)
        if size >= 40 and dice.random() < 0.8:  # almost right
            body[0] = 0x45 if kind == 0x0800 else 0x60
            if kind == 0x0800:
                body[2:4] = size.to_bytes(2, 'big')
                body[9] = dice.choice((1, 2, 6, 17))
                body[16:20] = socket.inet_aton('10.7.0.2')
            else:
                body[4:6] = (size - 40).to_bytes(2, 'big')
                body[6] = dice.choice((0, 6, 17, 43, 44, 58, 60))
                body[24:40] = socket.inet_pton(socket.AF_INET6, 'fd07::2')
        try:
            s.send(b'\xff' * 6 + mac + kind.to_bytes(2, 'big') + body)
        except OSError as e:
            if e.errno not in (errno.ENOBUFS, errno.EINVAL):
                raise
            time.sleep(0.001)
    lib.say('done')


def test_words_and_errors(net):
    machine = begin(net)

    def said(*words, status=1):
        out = net.berth('link', *words, status=status)[1]
        assert out.startswith('berth: ') and out.count('\n') == 1, out
        return out

    there = ('tap', 'tap0', 'netns', machine.netns)
    net.berth('link', 'set', 'web', 'tap', 'tap0', 'loss', '1%')
    lib.eq(counts(net)['settings'], 'loss 1%')
    assert 'loss' in said('set', 'web', *there, 'loss', '200%', status=2)
    assert 'nobody' in said('set', 'nobody', *there)
    assert 'prefix' in said('set', 'web', *there, 'gateway', '192.0.2.1')
    assert 'gateway' in said('set', 'web', *there, 'gateway', status=2)
    assert 'netns' in said('set', 'web', 'tap', status=2)
    assert 'no network namespace' in said('set', 'web', 'tap', 'tap1', 'netns', 'nowhere')
    assert 'cannot be a device' in said('set', 'web', 'tap', 'a/b')
    assert 'no TAP device' in said('set', 'web', 'tap', 'lo', 'netns', machine.netns)
    net.host('pc', HOST[:-1] + '3')
    net.part('pc', wait).get()
    assert 'in use' in said('set', 'pc', *there)
    assert 'no such link' in said('clear', 'pc', 'tap')
    assert ' 1 received' in machine.run('ping', '-c', '1', '-W', '5', HOST), 'no error has broken anything'


def as_user(argv, **kw):
    caps = '+net_admin,+sys_admin,+dac_override,+sys_ptrace' if kw.pop('able', False) else '-all'
    return subprocess.run(['setpriv', f'--reuid={USER.pw_uid}', f'--regid={USER.pw_gid}', '--clear-groups',
                           f'--inh-caps={caps}', f'--ambient-caps={caps}', '--', *argv], capture_output=True,
                          text=True, timeout=30, **kw)


def test_unprivileged_berthd(net):
    """berthd has no right at all; the command that opens the device may."""
    machine = Machine(net)
    run = os.path.join(os.getcwd(), f'run{lib.V6}')
    os.mkdir(run, 0o700)
    os.chown(run, USER.pw_uid, USER.pw_gid)
    os.chmod(os.getcwd(), 0o755)
    env = {**os.environ, 'BERTH_RUNTIME_DIR': run}
    inside = lib.Proc('a program of a user\'s', ['setpriv', f'--reuid={USER.pw_uid}', f'--regid={USER.pw_gid}', '--clear-groups',
                      '--', *net.argv('web', [lib.PY, os.path.abspath(__file__), '--part', 'held', '[]'])[:1], 'run',
                      '--network', net.name, '--host', 'web', '--ip', f'{HOST}/{LENGTH}', '--', lib.PY,
                      os.path.abspath(__file__), '--part', 'held', '[]'], env=env)
    net.procs.append(inside)
    inside.get()
    join = [lib.BERTH, 'link', 'set', '--network', net.name, 'web', 'tap', 'tap0', 'netns', machine.netns]
    p = as_user(join, env=env)
    lib.eq(p.returncode, 1, p)
    assert 'namespace' in p.stderr, p.stderr
    p = as_user(join, able=True, env=env)
    lib.eq(p.returncode, 0, p)
    with open(f'{run}/{net.name}/table', 'rb') as f:
        f.seek(100)
        pid = int.from_bytes(f.read(4), 'little')
    with open(f'/proc/{pid}/status') as f:
        lib.eq(re.search(r'CapEff:\s*(\w+)', f.read()).group(1), '0' * 16, 'berthd\'s rights')
    machine.run('ip', 'address', 'add', f'{MACHINE}/{LENGTH}', 'dev', 'tap0', *['nodad'] * lib.V6)
    machine.run('ip', 'link', 'set', 'tap0', 'up')
    client = machine.popen(lib.PY, os.path.abspath(__file__), '--part', 'holding', json.dumps([HOST, 80]))
    lib.eq(client.get(), 'x')


def test_a_users_own_device(net):
    """Root has made the device; nobody needs a right any more."""
    machine = Machine(net)
    run = os.path.join(os.getcwd(), f'own{lib.V6}')
    os.mkdir(run, 0o700)
    os.chown(run, USER.pw_uid, USER.pw_gid)
    # /dev/net/tun as Debian has it, for this alone
    script = f'''set -e
mount -t tmpfs none /dev/net
mknod -m 666 /dev/net/tun c 10 200
ip tuntap add dev tap0 mode tap user {USER.pw_name}
ip tuntap add dev tap1 mode tap user nobody
ip address add {MACHINE}/{LENGTH} dev tap0 {'nodad' if lib.V6 else ''}
ip link set tap0 up
export BERTH_RUNTIME_DIR={run} BERTH_NETWORK=own
user() {{ setpriv --reuid={USER.pw_uid} --regid={USER.pw_gid} --clear-groups --inh-caps=-all -- "$@"; }}
user {lib.BERTH} run --host web --ip {HOST}/{LENGTH} -- sleep 60 &
until user {lib.BERTH} hosts 2>/dev/null | grep -q web; do sleep 0.05; done
user {lib.BERTH} link set web tap tap0
ping -c 1 -W 5 {HOST}
user {lib.BERTH} link set web tap tap1 2>&1 | grep "tap1 is not this user's"
user {lib.BERTH} link set web tap new 2>&1 | grep "is not this user's"
user {lib.BERTH} link show | grep 'tap tap0'
user {lib.BERTH} down --force
kill $!
wait || true
'''
    machine.run('unshare', '-m', 'bash', '-c', script)


if __name__ == '__main__':
    lib.main()

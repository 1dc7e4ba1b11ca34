#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command line against a berthd of its own making (fake_berthd.c).

    test_cli.py BERTH FAKE_BERTHD [test names]
"""
import json
import os
import pty
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

BERTH, FAKE = (os.path.abspath(p) for p in sys.argv[1:3])
WORK = tempfile.mkdtemp(prefix='berth-cli-')
PRELOAD = os.path.join(WORK, 'libberth-preload.so')
SELF = 'fake_berthd'


def cc(name, code, *flags):
    path = os.path.join(WORK, name)
    done = subprocess.run(['cc', '-x', 'c', '-', '-o', path, *flags], input=code, text=True,
                          capture_output=True)
    return path if done.returncode == 0 else None


def berth(*args, env=None, **kw):
    e = dict(os.environ, BERTH_RUNTIME_DIR=os.path.join(WORK, 'run'), BERTH_BERTHD=FAKE,
             BERTH_PRELOAD=PRELOAD, LC_ALL='C',
             ASAN_OPTIONS='verify_asan_link_order=0')
    for k in ('LD_PRELOAD', 'BERTH_NETWORK', 'BERTH_TOKEN', 'BERTH_HOST'):
        e.pop(k, None)
    e.update(env or {})
    return subprocess.run([BERTH, *args], env=e, capture_output=True, text=True, timeout=30, **kw)


def check(cond, *what):
    if not cond:
        raise AssertionError(' '.join(str(w) for w in what))


def one_sentence(done, status, *words):
    """Exactly one line on stderr, after "berth: ", with these words, and nothing on stdout."""
    check(done.returncode == status, 'status', done.returncode, 'want', status, done.stderr)
    lines = done.stderr.splitlines()
    check(len(lines) == 1 and lines[0].startswith('berth: '), 'not one sentence:', done.stderr)
    for w in words:
        check(w in lines[0], repr(w), 'is not in', lines[0])
    check(done.stdout == '', 'stdout', done.stdout)


class Net:
    """A network that runs until the with block ends."""

    def __init__(self, **env):
        self.env = env

    def __enter__(self):
        done = berth('run', '--host', 'web', 'true', env=self.env)
        check(done.returncode == 0, done.stderr)

    def __exit__(self, *exc):
        berth('down', '--force')


def test_help_comes_from_the_tree():
    top = berth('--help')
    check(top.returncode == 0 and top.stderr == '')
    commands = re.findall(r'^  ([a-z]+) ', top.stdout.split('Options:')[0], re.M)
    check(set('run ss hosts networks down help'.split()) <= set(commands), commands)
    for c in commands:
        a, b = berth('help', c), berth(c, '--help')
        check(a.returncode == b.returncode == 0 and a.stdout == b.stdout, c)
        check(f'Usage: berth {c}' in a.stdout, a.stdout)
    check(re.fullmatch(r'berth \d+\.\d+\.\d+\n', berth('--version').stdout))


def test_mistyped():
    one_sentence(berth('rnu'), 2, "'rnu'", "'run'")
    one_sentence(berth('xyzzy'), 2, 'berth --help')
    one_sentence(berth('--vresion'), 2, '--version')
    one_sentence(berth('ss', '--lisening'), 2, '--lisening', '--listening')
    one_sentence(berth('ss', '-tz'), 2, '-z', 'berth help ss')
    one_sentence(berth('ss', '-host'), 2, '--host')
    one_sentence(berth('ss', 'dport'), 2, 'dport')
    one_sentence(berth('ss', '--host'), 2, 'needs an argument')
    one_sentence(berth('ss', '--tcp=1'), 2, 'no argument')
    one_sentence(berth('help', 'hots'), 2, "'hosts'")
    one_sentence(berth('run', '--hots', 'x', 'true'), 2, '--host')
    one_sentence(berth(), 2, '--help')
    check('\033' not in berth('\033[31m').stderr)


def test_nothing_runs():
    one_sentence(berth('ss'), 1, 'default', 'berth run PROGRAM')
    one_sentence(berth('hosts', '--network', 'lab'), 1, "'lab'", 'berth run --network lab')
    one_sentence(berth('ss', env={'BERTH_NETWORK': 'lab2'}), 1, "'lab2'")
    one_sentence(berth('down'), 0, 'default')
    one_sentence(berth('networks'), 0, 'berth run')
    check(json.loads(berth('networks', '--json').stdout) == {'schema': 1, 'networks': []})
    one_sentence(berth('ss', '--network', '../x'), 1, "'../x'")
    one_sentence(berth('ss', '--network', '.x'), 1, "'.x'")
    one_sentence(berth('ss', '--network', 'x' * 33), 1)


def test_private_directory():
    loose = os.path.join(WORK, 'loose')
    os.mkdir(loose)
    os.chmod(loose, 0o755)
    env = {'BERTH_RUNTIME_DIR': loose}
    one_sentence(berth('run', 'true', env=env), 125, '0700')
    one_sentence(berth('ss', env=env), 1, '0700')


def test_addresses():
    for ip, word in (('127.0.0.1', 'loopback'), ('224.0.0.1', 'multicast'), ('0.0.0.0', 'wildcard'),
                     ('255.255.255.255', 'broadcast'), ('10.0.0.255', 'broadcast'),
                     ('10.0.0.0/24', 'network'), ('10.1.2.3/0', '/24'), ('10.1.2.3/33', '/24'),
                     ('10.1.2.3/', '/24'), ('10.1.2.3/+8', '/24'), ('10.1.2', 'not an IP'),
                     ('10.0.0.5/24/3', '/24'), ('x' * 100, 'not an IP'), ('', 'not an IP'),
                     ('::', 'wildcard'), ('::1', 'loopback'), ('ff02::1', 'multicast'), ('fe80::1', 'link-local'),
                     ('febf::1/64', 'link-local'), ('::ffff:10.0.0.5', "IPv6's clothes"),
                     ('fd00::1/0', '1 to 128'), ('fd00::1/129', 'fd00::1/64'), ('fd00::1/', 'fd00::1/64'),
                     ('fe80::1%eth0', 'not an IP'), ('fd00:::1', 'not an IP'), ('[fd00::1]', 'not an IP')):
        one_sentence(berth('run', '--ip', ip, 'true'), 125, word)
    many = [a for i in range(15) for a in ('--ip', f'10.0.0.{i + 1}')]
    one_sentence(berth('run', *many, 'true'), 125, 'at most 14')
    with Net():
        done = berth('run', *many[:28], '--ip=10.0.0.7/31', 'true')
        one_sentence(done, 125, 'at most 14')
        for ok in ('10.0.0.0/31', '10.0.0.255/23', '10.0.0.255/32', '10.0.0.5', 'fec0::1'):
            check(berth('run', '--ip', ok, 'true').returncode == 0, ok)


def log_of(*args, **env):
    """What a fresh berthd is asked by `berth run ARGS true`."""
    path = os.path.join(WORK, 'log')
    open(path, 'w').close()
    done = berth('run', '--network', 'log', *args, 'true', env={'FAKE_LOG': path, **env})
    berth('down', '--network', 'log', '--force')
    with open(path) as f:
        return done, f.read().splitlines()


def test_addresses_asked_for():
    many = [a for i in range(14) for a in ('--ip', f'fd00::{i + 1:x}')]
    done, log = log_of('--host', 'web', *many)
    check(done.returncode == 0, done.stderr)
    check(log == ['open web unprivileged=0 ' + ' '.join(f'fd00::{i + 1:x}/64,6,0' for i in range(14))], log)
    done, log = log_of('--host', 'web', '--ip', 'fd00::a/48', '--ip', '10.1.2.3/16', '--ip', '10.1.2.4')
    check(log == ['open web unprivileged=0 fd00::a/48,6,0 ::ffff:10.1.2.3/16,4,0 ::ffff:10.1.2.4/24,4,0'], log)


def test_settings_asked_for():
    def set_by(*args):
        done, log = log_of('--host', 'web', *args)
        check(done.returncode == 0 and done.stderr == '', done.stderr)
        check(all(line.startswith('sysctl 0 ') for line in log[1:]), log)
        return [line[9:] for line in log[1:]]

    ports, tw = 'net/ipv4/ip_local_port_range', 'net/berth/time_wait_ms'
    check(log_of('--unprivileged')[1] == ['open  unprivileged=1'])
    check(set_by() == [])
    check(set_by('--sysctl', 'net.ipv4.ip_local_port_range=10000 65535', '--sysctl=net/ipv4/tcp_tw_reuse=1')
          == [f'{ports}=10000 65535', 'net/ipv4/tcp_tw_reuse=1'])
    for text, ms in (('30', 30000), ('0.5', 500), ('0', 0), ('.25', 250), ('1.0009', 1000), ('86400', 86400000)):
        check(set_by('--time-wait', text) == [f'{tw}={ms}'], text)
    for system, lo, hi, start, reuse, ms in (('linux', 32768, 60999, 1024, 2, 60000),
                                             ('windows', 49152, 65535, 0, 0, 120000),
                                             ('macos', 49152, 65535, 0, 0, 30000)):
        got = set_by('--like', system)
        check(got == [f'{ports}={lo} {hi}', f'net/ipv4/ip_unprivileged_port_start={start}',
                      f'net/ipv4/tcp_tw_reuse={reuse}', f'{tw}={ms}'], got)
    got = set_by('--sysctl', f'{ports}=1 2', '--time-wait', '7', '--like', 'macos')
    check(got[3:] == [f'{tw}=30000', f'{tw}=7000', f'{ports}=1 2'], 'the plainer wins', got)


def test_settings_refused():
    for option, value, *words in (
            ('--sysctl', 'net.ipv4.tcp_tw_reuse', 'NAME=VALUE'), ('--sysctl', '=1', 'not a setting'),
            ('--sysctl', 'a' * 128 + '=1', 'not a setting'), ('--sysctl', 'a=' + 'b' * 512, 'not a setting'),
            ('--sysctl', 'net.ipv4.no_such=1', 'net.ipv4.no_such', 'berth sysctl web'),
            ('--sysctl', 'net.ipv4.tcp_tw_reuse=bad', 'net.ipv4.tcp_tw_reuse', "'bad'"),
            ('--sysctl', 'net.ipv4.tcp_tw_reuse=mine', 'owner'),
            ('--like', 'beos', 'linux, windows and macos'), ('--like', 'Windows', "'windows'"),
            ('--time-wait', '', 'seconds'), ('--time-wait', '-1', 'seconds'), ('--time-wait', '1s', 'seconds'),
            ('--time-wait', '1.', 'seconds'), ('--time-wait', '86401', 'seconds'), ('--time-wait', '1.x', 'seconds'),
            ('--time-wait', '9' * 30, 'seconds'), ('--time-wait', 'inf', 'seconds')):
        one_sentence(log_of('--host', 'web', option, value)[0], 125, *words)
    many = [a for i in range(65) for a in ('--sysctl', f'a.b{i}=1')]
    one_sentence(log_of('--host', 'web', *many)[0], 125, '64')


def test_sysctl():
    with Net():
        done = berth('sysctl', 'web')
        check(done.returncode == 0 and done.stderr == '', done.stderr)
        check(done.stdout == 'net.ipv4.ip_local_port_range = 32768\t60999\n'
              'net.ipv4.ip_unprivileged_port_start = 1024\nnet.ipv4.tcp_tw_reuse = 2\n'
              'net.berth.time_wait_ms = 60000\nnet.ipv4.ip_local_reserved_ports = \n'
              'net.ipv4.tcp_fin_timeout = 60\nnet.core.somaxconn = 4096\n', done.stdout)
        done = berth('sysctl', 'web', 'net/ipv4/tcp_tw_reuse=1', 'net.berth.time_wait_ms')
        check(done.stdout == 'net.ipv4.tcp_tw_reuse = 1\nnet.berth.time_wait_ms = 60000\n', done.stdout)
        done = json.loads(berth('sysctl', 'web', 'net.ipv4.tcp_tw_reuse = 0', '--json').stdout)
        check(done == {'schema': 1, 'network': 'default', 'settings': [{'name': 'net.ipv4.tcp_tw_reuse', 'value': '0'}]}, done)
        check(len(json.loads(berth('sysctl', '--json', 'web').stdout)['settings']) == 7)
        one_sentence(berth('sysctl', 'web', 'net.ipv4.tcp_tw_reuse=bad'), 1, "'bad'")
        one_sentence(berth('sysctl', 'web', 'kernel.hostname'), 1, 'kernel.hostname', 'berth sysctl web')
        one_sentence(berth('sysctl', 'web', ''), 1, 'not a setting')
        one_sentence(berth('sysctl', 'nix'), 1, "'nix'", 'berth hosts')
        one_sentence(berth('sysctl'), 2, 'HOST')
        one_sentence(berth('sysctl', 'web', '--jsno'), 2, '--json')


def test_services():
    def asked(*args):
        done = berth('services', *args, '--json')
        check(done.returncode == 0 and done.stderr == '', done.stderr)
        return [(s['port'], '/'.join(s['protocols']), s['name']) for s in json.loads(done.stdout)['services']]

    check(asked('ssh', '443/tcp', 'postgresql') == [
        (22, 'tcp/udp/sctp', 'ssh'), (443, 'tcp', 'https'), (5432, 'tcp/udp', 'postgresql')])
    check(asked('80')[0] == (80, 'tcp/udp/sctp', 'http') and asked('HTTP') == asked('80')[:1])
    check(asked('50000') == [(50000, 'tcp/udp/sctp/dccp', '')] and asked('6379/udp') == [(6379, 'udp', '')])
    check(asked('domain/UDP') == [(53, 'udp', 'domain')] and asked('00443/udp') == [(443, 'udp', 'https')])
    check([s[0] for s in asked('x11')] == list(range(6000, 6064)), 'a service with many ports')
    # Names with digits and a slash in them are names.
    check(asked('914c/g')[0][0] == 211 and asked('3com-tsmux')[0][0] == 106 and asked('914c-g/udp')[0][1] == 'udp')
    # The first and the last of the table by port and by name.
    check(asked('0')[0][1:] == ('tcp/udp/sctp/dccp', '') and asked('65535')[0][2] == '')
    every = asked('--list')
    names = sorted({s[2].lower() for s in every if s[2]})
    for name in (names[0], names[-1], every[1][2], every[-1][2]):
        check(name in [s[2].lower() for s in asked(name)], name)
    for s in every[::61]:
        check(s in asked(str(s[0])), s)
        check(not s[2] or s in asked(s[2]), s)
    for nonsense in ('', '/', '/tcp', '80/foo', '80/', '80/tcp/udp', '65536', '+1', '9' * 40, 'ssh/foo', 'x' * 64):
        one_sentence(berth('services', nonsense), 2, 'give a port')
        one_sentence(berth('services', 'ssh', nonsense), 2, 'give a port')
    one_sentence(berth('services', '-1'), 2, '-1')
    one_sentence(berth('services', '--', '-1'), 2, 'is not a port')
    one_sentence(berth('services'), 2, '--list')
    one_sentence(berth('services', '--list', 'ssh'), 2, "'ssh'")
    one_sentence(berth('services', 'ssh', '--range', 'dynamic'), 2, '--list --range dynamic')
    one_sentence(berth('services', '--list', '--range', 'low'), 2, 'well-known')
    for word, near in (('htp', 'http'), ('htpp', 'http'), ('mongo', 'mongodb'), ('postgre', 'postgres'),
                       ('dhcpv6', 'dhcpv6-server')):
        one_sentence(berth('services', word), 1, f"'{word}'", near)
    one_sentence(berth('services', 'redis/udp'), 1, 'not registered for that protocol')
    one_sentence(berth('services', 'zzzzzqqq'), 1, '--list')
    done = berth('services', '80', 'htp', 'ssh')
    check(done.returncode == 1 and ' http ' in done.stdout and ' ssh ' in done.stdout, done)
    check(not re.search('[^\n -~]', berth('services', '--list').stdout))


def test_netstat():
    def lines(*args, **kw):
        done = berth('netstat', *args, **kw)
        check(done.returncode == 0 and done.stderr == '', done.stderr)
        check(not re.search(' +$', done.stdout, re.M) or '-o' in args[0], 'blanks at the end', done.stdout)
        return done.stdout.splitlines()

    with Net(FAKE_SIX='1'):
        # Where Windows has its columns, to the letter.
        check(lines('-an', 'pc') == [
            '', 'Active Connections', '',
            '  Proto  Local Address          Foreign Address        State',
            '  TCP    10.0.0.50:52431        192.168.1.100:80       ESTABLISHED',
            '  TCP    10.0.0.50:52432        192.168.1.100:80       FIN_WAIT_2',
            '  TCP    10.0.0.50:52433        192.168.1.100:80       ESTABLISHED',
            '  TCP    10.0.0.50:52434        192.168.1.100:80       TIME_WAIT'], lines('-an', 'pc'))
        web = lines('-ano', 'web')
        check(web[3] == '  Proto  Local Address          Foreign Address        State           PID', web)
        pid = web[4].split()[-1]
        with open(f'/proc/{pid}/comm') as f:
            check(f.read().strip() == SELF[:15])
        check(web[4:] == [
            f'  TCP    0.0.0.0:80             0.0.0.0:0              LISTENING       {pid}',
            f'  TCP    192.168.1.100:80       10.0.0.50:52431        ESTABLISHED     {pid}',
            f'  TCP    192.168.1.100:80       10.0.0.50:52432        CLOSE_WAIT      {pid}',
            '  TCP    192.168.1.100:80       10.0.0.50:52433        ESTABLISHED     0',
            '  TCP    [::]:22                [::]:0                 LISTENING       0',
            f'  UDP    0.0.0.0:53             *:*                                    {pid}'], web)
        six = [line.split()[1:] for line in lines('-anp', 'TCPv6', 'six')[4:]]
        check(['[::]:80', '[::]:0', 'LISTENING'] in six and ['[::1]:83', '[::]:0', 'LISTENING'] in six and
              ['[::ffff:0.0.0.0]:82', '[::]:0', 'LISTENING'] in six and
              ['[fd00::1]:40000', '[fd00::2]:80', 'ESTABLISHED'] in six and len(six) == 7, six)
        check([line.split() for line in lines('-anpudpv6', 'six')[4:]] == [['UDP', '[::]:53', '*:*']])
        check(len(lines('-an', '-p', 'udp', 'web')) == 5 and len(lines('-n', '-p', 'udp', 'web')) == 4)
        check(lines('-a', 'web')[4].split()[1] == '0.0.0.0:http')
        check(lines('web')[4].split()[1:3] == ['192.168.1.100:http', '10.0.0.50:52431'], 'no ephemeral names')
        check(len(lines('-n', 'web')) == 4 + 3, 'connections only')
        check(lines('-bn', 'web')[5] == f' [{SELF[:15]}]' and 'ownership' in lines('-bn', 'web')[-1])
        all_hosts = lines('-an')
        check([line for line in all_hosts if line.startswith('Host')] == ['Host web', 'Host pc', 'Host six'])
        check(all_hosts.count('Active Connections') == 3)
        found = json.loads(berth('netstat', '-a', '--json', 'web').stdout)
        check(found['network'] == 'default' and len(found['connections']) == 6)
        check(found['connections'][0] == {
            'host': 'web', 'proto': 'TCP', 'local_address': '0.0.0.0', 'local_port': 80,
            'foreign_address': '0.0.0.0', 'foreign_port': 0, 'state': 'LISTENING', 'pid': int(pid),
            'program': SELF[:15]}, found)
        one_sentence(berth('netstat', '-p', 'icmp'), 2, "'icmp'", 'tcpv6')
        one_sentence(berth('netstat', '-p'), 2, 'needs an argument')
        one_sentence(berth('netstat', 'nix'), 1, "'nix'")
        one_sentence(berth('netstat', 'web', 'pc'), 2, "'pc'")


def test_run_environment():
    with Net():
        out = berth('run', '--host', 'web', '--', 'env', env={'LD_PRELOAD': ''}).stdout
        env = dict(line.split('=', 1) for line in out.splitlines())
        check(re.fullmatch('[0-9a-f]{16}:010203' + '0' * 42, env['BERTH_TOKEN']), env['BERTH_TOKEN'])
        check(env['BERTH_HOST'] == 'web' and env['BERTH_NETWORK'] == 'default', env)
        check(env['LD_PRELOAD'] == PRELOAD, env['LD_PRELOAD'])
        other = cc('other.so', 'int berth_test_other;', '-shared', '-fPIC')
        out = berth('run', 'env', env={'LD_PRELOAD': other}).stdout
        check(f'LD_PRELOAD={PRELOAD}:{other}\n' in out, out)
        out = berth('run', 'env', env={'LD_PRELOAD': f'{PRELOAD}:{other}'}).stdout
        check(f'LD_PRELOAD={PRELOAD}:{other}\n' in out, out)


def test_run_is_the_program():
    with Net():
        check(berth('run', 'sh', '-c', 'exit 42').returncode == 42)
        check(berth('run', 'sh', '-c', 'kill -9 $$').returncode == -9)
        check(berth('run', '--', 'echo', '--host', '-x').stdout == '--host -x\n')
        check(berth('run', 'echo', '--host').stdout == '--host\n')
        # No descriptor of berth's is left to the program.
        fds = berth('run', 'ls', '/proc/self/fd').stdout.split()
        check(fds == ['0', '1', '2', '3'], fds)


def test_run_refuses():
    with Net():
        one_sentence(berth('run'), 125, 'no program')
        one_sentence(berth('run', 'no-such-program'), 127, 'no-such-program: not found')
        locked = os.path.join(WORK, 'locked')  # what is in it, an ordinary user cannot know
        os.mkdir(locked, 0)
        one_sentence(berth('run', 'no-such-program', env={'PATH': f'{locked}:/usr/bin'}), 127, 'not found')
        os.rmdir(locked)
        one_sentence(berth('run', './no/such'), 127, 'not found')
        one_sentence(berth('run', '/etc/passwd'), 126, 'chmod')
        one_sentence(berth('run', '/etc'), 126, 'directory')
        static = cc('static', 'int main(void) { return 0; }', '-static')
        if static:
            one_sentence(berth('run', static), 126, 'static')
            write('s1', f'#!{static}\n')
            one_sentence(berth('run', os.path.join(WORK, 's1')), 126, 'static')
            write('s2', '#!/usr/bin/env static\n')
            path = WORK + ':' + os.environ['PATH']
            one_sentence(berth('run', 's2', env={'PATH': path}), 126, 'static')
        pie = cc('static-pie', 'int main(void) { return 0; }', '-static-pie')
        if pie:
            one_sentence(berth('run', pie), 126, 'static')
        write('s3', '#!/no/such/interpreter -x\n')
        one_sentence(berth('run', os.path.join(WORK, 's3')), 126, '/no/such/interpreter')


def write(name, text, mode=0o755):
    path = os.path.join(WORK, name)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def test_run_other_machine():
    true = cc('true', 'int main(void) { return 0; }')
    with open(true, 'rb') as f:
        elf = bytearray(f.read())
    with Net():
        check(berth('run', true).returncode == 0)
        elf[18] ^= 0x55  # e_machine
        write('foreign', '')
        with open(os.path.join(WORK, 'foreign'), 'wb') as f:
            f.write(elf)
        one_sentence(berth('run', os.path.join(WORK, 'foreign')), 126, 'another machine')
        elf[18] ^= 0x55
        at = elf.index(b'/ld-linux')
        elf[at:at + 9] = b'/ld-other'
        with open(os.path.join(WORK, 'foreign'), 'wb') as f:
            f.write(elf)
        one_sentence(berth('run', os.path.join(WORK, 'foreign')), 126, 'another C library')
        # Nonsense in the program headers must not hurt.
        for at in (32, 54, 56, 64, 72, 96):
            for value in (0, 0xff):
                bad = bytearray(elf)
                bad[at:at + 8] = bytes([value]) * 8
                with open(os.path.join(WORK, 'bad'), 'wb') as f:
                    f.write(bad)
                os.chmod(os.path.join(WORK, 'bad'), 0o755)
                done = berth('run', os.path.join(WORK, 'bad'))
                check('Sanitizer' not in done.stderr, done.stderr)


def test_run_set_uid():
    true = cc('suid', 'int main(void) { return 0; }')
    with Net():
        os.chmod(true, 0o755 | stat.S_ISUID)
        check(berth('run', true).returncode == 0, 'set-uid to oneself is harmless')
        if os.geteuid() == 0:
            os.chown(true, 12345, -1)
            os.chmod(true, 0o755 | stat.S_ISUID)
            one_sentence(berth('run', true), 126, 'set-uid')
            os.chown(true, 0, 12345)
            os.chmod(true, 0o755 | stat.S_ISGID)
            one_sentence(berth('run', true), 126, 'set-gid')


def test_run_scripts():
    with Net():
        write('plain', 'echo "shell $1"\n')
        check(berth('run', os.path.join(WORK, 'plain'), 'x y').stdout == 'shell x y\n')
        write('py', '#!/usr/bin/env -S python3 -u\nprint("py")\n')
        check(berth('run', os.path.join(WORK, 'py')).stdout == 'py\n')
        for name in ('empty', 'blank'):
            write(name, '' if name == 'empty' else '#!\n')
            check(berth('run', os.path.join(WORK, name)).returncode in (0, 126))


def test_start_fails():
    done = berth('run', '--network', 'n1', 'true', env={'FAKE_FAIL': '1'})
    check(done.returncode == 125 and done.stderr == 'berthd: cannot start; this is a test\n', done.stderr)
    one_sentence(berth('run', 'true', env={'BERTH_BERTHD': '/no/such'}), 125, 'BERTH_BERTHD')
    one_sentence(berth('run', 'true', env={'BERTH_BERTHD': '/etc/passwd'}), 125, 'BERTH_BERTHD')
    one_sentence(berth('run', 'true', env={'BERTH_PRELOAD': '/no/such'}), 125, 'BERTH_PRELOAD')
    write('notelf', 'text\n')
    one_sentence(berth('run', 'true', env={'BERTH_BERTHD': os.path.join(WORK, 'notelf')}), 125, 'notelf')
    os.mkdir(os.path.join(WORK, 'a b'))
    shutil.copy(PRELOAD, os.path.join(WORK, 'a b'))
    one_sentence(berth('run', 'true', env={'BERTH_PRELOAD': os.path.join(WORK, 'a b', 'libberth-preload.so')}),
                 125, 'space')


def test_start_together():
    for env in ({}, {'FAKE_SLOW': '1'}):
        with ThreadPoolExecutor(12) as pool:
            done = list(pool.map(lambda i: berth('run', 'echo', str(i), env=env), range(12)))
        for i, d in enumerate(done):
            check((d.returncode, d.stdout, d.stderr) == (0, f'{i}\n', ''), d)
        check(len(json.loads(berth('networks', '--json').stdout)['networks']) == 1)
        check(berth('down').returncode == 0)


def test_start_leaves_nothing_open():
    # A shell that reads berth's output must not wait for berthd, nor berthd keep the caller's files.
    r, w = os.pipe()
    os.set_inheritable(w, True)
    done = berth('run', 'echo', 'x', pass_fds=(w,))
    os.close(w)
    check(done.stdout == 'x\n' and os.read(r, 1) == b'', 'berthd holds a descriptor of the caller')
    os.close(r)
    berth('down')


def test_host_refused():
    with Net():
        pass
    for err, words in ((98, ('host web', '192.168.1.100', '--host web')), (22, ('name',)), (28, ('no room',))):
        done = berth('run', '--ip', '192.168.1.100', '--host', 'x!', 'true', env={'FAKE_ERR': str(err)})
        one_sentence(done, 125, *words)
        berth('down', '--force')


def rows(*flags):
    done = berth('ss', '-nH', *flags)
    check(done.returncode == 0 and done.stderr == '', done.stderr)
    return [line.split() for line in done.stdout.splitlines()]


def test_ss_selection():
    with Net():
        states = lambda *f: sorted(r[1] for r in rows(*f))
        check(states('-tu') == ['CLOSE-WAIT', 'ESTAB', 'ESTAB', 'ESTAB', 'ESTAB', 'FIN-WAIT-2'], states('-tu'))
        check(states('-tul') == ['LISTEN', 'LISTEN', 'UNCONN'], states('-tul'))
        check(len(rows('-a')) == 11 and len(rows('-ta')) == 10 and len(rows('-ua')) == 1)
        check(len(rows('-la')) == 11 and len(rows('-al')) == 3, 'the last word about states counts')
        check([r[3] for r in rows('-B')] == ['192.168.1.100:8080'], rows('-B'))
        check(len(rows('-a', '--host', 'web')) == 7)
        check(rows('-a6') == [['tcp', 'LISTEN', '0', '0', '*:22', '*:*', 'web']], rows('-a6'))
        check(len(rows('-a4')) == 10)
        check(rows('--tcp', '--listening', '--numeric', '-4') == [
            ['LISTEN', '1', '511', '0.0.0.0:80', '0.0.0.0:*', 'web']])
        one_sentence(berth('ss', '--host', 'nix'), 1, "'nix'", 'berth hosts')
        check('timer:(timewait,' in berth('ss', '-tao').stdout)
        check(all(not line.endswith(' ') for line in berth('ss', '-tap').stdout.splitlines()))
        check('0.0.0.0:http ' in berth('ss', '-tl').stdout, 'service names')
        check('0.0.0.0:domain ' in berth('ss', '-ul').stdout, 'service names of UDP')
        check('192.168.1.100:http-alt ' in berth('ss', '-B').stdout)
        check('10.0.0.50:52431 ' in berth('ss', '-t').stdout, 'an ephemeral port is a number')


def test_ss_six():
    """As ss of iproute2 prints the same sockets of a kernel."""
    with Net(FAKE_SIX='1'):
        ends = [(r[4], r[5]) for r in rows('-a6', '--host', 'six')]
        check(ends == [('[::]:53', '[::]:*'), ('*:80', '*:*'), ('[::]:81', '[::]:*'),
                       ('[::ffff:0.0.0.0]:82', '*:*'), ('[::1]:83', '[::]:*'), ('[::ffff:127.0.0.1]:84', '*:*'),
                       ('[fd00::1]:40000', '[fd00::2]:80'),
                       ('[::ffff:127.0.0.1]:80', '[::ffff:127.0.0.1]:40001')], ends)
        check(rows('-a4', '--host', 'six') == [])
        check('10.0.0.60/24 (eth0) fd00::1/64 (eth1)' in berth('hosts').stdout, berth('hosts').stdout)
        hosts = json.loads(berth('hosts', '--json').stdout)['hosts']
        check(hosts[2] == {'host': 'six', 'addresses': ['10.0.0.60/24', 'fd00::1/64'],
                           'interfaces': ['eth0', 'eth1'], 'sockets': 8}, hosts)


def test_ss_processes():
    with Net():
        by_end = {(r[4], r[5]): r for r in rows('-tuap')}
        users = {k: re.findall(r'"(.*?)",pid=\d+,fd=(\d+)', r[7]) if len(r) > 7 else []
                 for k, r in by_end.items()}
        server, pc = '192.168.1.100:80', '10.0.0.50:5243'
        check(by_end[server, pc + '1'][2] == '5', 'five bytes wait')
        check(users['0.0.0.0:80', '0.0.0.0:*'][0][0] == SELF[:15])
        held = [users[k][0][1] for k in ((pc + '1', server), (server, pc + '1'), (server, pc + '2'),
                                         (pc + '3', server))]
        check(len(set(held)) == 4, 'four descriptors', held)
        check(users[pc + '2', server] == [] and users[server, pc + '3'] == [] and users[pc + '4', server] == [])


def test_json():
    with Net():
        sockets = json.loads(berth('ss', '-tuap', '--json').stdout)
        check(sockets['network'] == 'default' and len(sockets['sockets']) == 11)
        keys = {'netid', 'state', 'recv_q', 'send_q', 'local_address', 'local_port', 'peer_address',
                'peer_port', 'host', 'processes', 'uid', 'inode', 'slot', 'timer_s'}
        check(all(set(s) == keys for s in sockets['sockets']), sockets['sockets'][0])
        check('processes' not in json.loads(berth('ss', '-a', '--json').stdout)['sockets'][0])
        check(json.loads(berth('ss', '-s', '--json').stdout)['summary'][0]['total'] == 10)
        hosts = json.loads(berth('hosts', '--json').stdout)['hosts']
        check(hosts == [{'host': 'web', 'addresses': ['192.168.1.100/24'], 'interfaces': ['eth0'], 'sockets': 7},
                        {'host': 'pc', 'addresses': ['10.0.0.50/24'], 'interfaces': ['eth0'], 'sockets': 4}], hosts)
        nets = json.loads(berth('networks', '--json').stdout)['networks']
        check(nets[0]['network'] == 'default' and nets[0]['sockets'] == 11, nets)


def test_down():
    with Net(FAKE_BUSY='1'):
        one_sentence(berth('down'), 1, 'still has programs', '--force')
        check(berth('down', '--force').returncode == 0)
        one_sentence(berth('ss'), 1, 'default')


def test_colours():
    def on_terminal(**env):
        e = dict(os.environ, BERTH_RUNTIME_DIR=os.path.join(WORK, 'run'), **env)
        if not env:
            e.pop('NO_COLOR', None)
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(BERTH, [BERTH, 'ss', '-a'], e)
        out = b''
        try:
            while chunk := os.read(fd, 4096):
                out += chunk
        except OSError:
            pass
        os.waitpid(pid, 0)
        return out

    with Net():
        check(b'\033[' in on_terminal())
        check(b'\033[' not in on_terminal(NO_COLOR='1'))
        check('\033' not in berth('ss', '-a').stdout)


def test_noise():
    for seed in range(3):
        with Net(FAKE_NOISE=str(seed)):
            for args in (('ss', '-ap'), ('ss', '-a'), ('ss', '-s'), ('hosts',), ('networks',), ('netstat', '-abo')):
                for flags in ((), ('--json',)):
                    done = berth(*args, *flags)
                    check(done.returncode == 0 and done.stderr == '', seed, args, done.stderr)
                    check(not re.search('[^\n -~]', done.stdout), seed, args, 'steers the terminal')
                    if flags:
                        json.loads(done.stdout)
            for args in (('map',), ('map', '--json'), ('doctor', '--interval', '0'), ('why',), ('why', '--json'),
                         ('doctor', '--interval', '0', '--json'), ('link', 'show'), ('metrics',), ('map', '--html', '-')):
                done = berth(*args)
                check(done.returncode in ((0, 1, 3) if args[0] == 'doctor' else (0,)) and done.stderr == '', seed, args,
                      done.stderr)
                # For programs and browsers it is UTF-8, else ASCII.
                pattern = '[\0-\b\v-\x1f\x7f-\x9f]' if args[0] == 'metrics' or '--html' in args else '[^\n -~]'
                check(not re.search(pattern, done.stdout), seed, args, 'steers the terminal')
                if '--json' in args:
                    json.loads(done.stdout)


def test_output_lost():
    with Net(), open('/dev/full', 'w') as full:
        e = dict(os.environ, BERTH_RUNTIME_DIR=os.path.join(WORK, 'run'))
        done = subprocess.run([BERTH, 'ss', '-a'], stdout=full, stderr=subprocess.PIPE, env=e, text=True)
        check(done.returncode == 1 and 'could not be written' in done.stderr, done.stderr)


def main():
    cc('libberth-preload.so', 'int berth_test;', '-shared', '-fPIC')
    os.mkdir(os.path.join(WORK, 'run'), 0o700)
    wanted = sys.argv[3:]
    failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith('test_') or (wanted and name not in wanted):
            continue
        try:
            test()
            print('ok', name)
        except Exception as e:  # the next test may still tell something
            failed += 1
            print('FAIL', name, type(e).__name__, e)
    shutil.rmtree(WORK)
    sys.exit(failed != 0)


main()

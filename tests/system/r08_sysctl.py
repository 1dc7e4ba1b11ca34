# SPDX-License-Identifier: Apache-2.0
"""R8: the chapter's cat and sysctl -w, verbatim, and every other way to write a setting: for one host alone, never
for the machine. On the kernel the hosts are network namespaces, and the same must come out."""
import os
import socket

import lib

RANGE = '/proc/sys/net/ipv4/ip_local_port_range'


def read(net, host):
    return net.run(host, ['cat', RANGE])


def test_chapter(net):
    with open(RANGE) as f:
        machine = f.read()
    net.host('a', '10.1.0.1')
    net.host('b', '10.1.0.2')
    keep = [net.part(h, stay) for h in 'ab']
    for p in keep:
        lib.eq(p.get(), 'here')
    lib.eq(net.run('a', ['sh', '-c', 'cat /proc/sys/net/ipv4/ip_local_port_range']), '32768\t60999\n')
    lib.eq(net.run('a', ['sh', '-c', 'sysctl -w net.ipv4.ip_local_port_range="10000 65535"']),
           'net.ipv4.ip_local_port_range = 10000 65535\n')
    lib.eq(read(net, 'a'), '10000\t65535\n', 'its own')
    lib.eq(read(net, 'b'), '32768\t60999\n', 'another host\'s')
    with open(RANGE) as f:
        lib.eq(f.read(), machine, 'the machine\'s')
    lib.eq(net.run('a', ['sysctl', 'net.ipv4.ip_local_port_range']), 'net.ipv4.ip_local_port_range = 10000\t65535\n')
    for p in keep:
        p.put('end')
        p.done()


def stay():
    lib.say('here')
    lib.hear()


# What writes a text, and what the range is then; None: the writer fails, and the range stays.
WRITERS = (
    ('bash', 'echo "11000 50000" > %s', '11000\t50000'),  # by stdio, inside libc
    ('dash', 'echo "11001 50000" > %s', '11001\t50000'),  # by write(2)
    ('bash', '/bin/echo "11002 50000" > %s', '11002\t50000'),  # by a program that got the descriptor from a shell
    ('bash', 'printf "11003 50000" | tee %s >/dev/null', '11003\t50000'),
    ('bash', 'printf "11004 50000" | dd of=%s 2>/dev/null', '11004\t50000'),
    ('bash', 'python3 -c \'open("%s", "w").write("11005 50000")\'', '11005\t50000'),
    ('bash', 'python3 -c \'import os; os.write(os.open("%s", os.O_RDWR), b"11006 50000")\'', '11006\t50000'),
    ('bash', 'exec 5>%s; echo "11007 50000" >&5; exec 5>&-', '11007\t50000'),
    ('bash', '(echo "11008 50000") > %s', '11008\t50000'),
    ('bash', 'echo "50000 11000" > %s', None),
    ('dash', 'echo "1 x" > %s', None),
    ('bash', '/bin/echo "1 70000" > %s', None),
    ('bash', 'sysctl -q -w net.ipv4.ip_local_port_range="9 8"', None),
    ('bash', 'echo -n > %s; true', '11008\t50000'),
    ('bash', 'cat %s >/dev/null; cat < %s', '11008\t50000'),
)


def test_writers(net):
    net.host('a', '10.1.0.1')
    p = net.part('a', stay)
    p.get()
    now = ''
    for shell, command, result in WRITERS:
        out = net.run('a', [shell, '-c', command.replace('%s', RANGE)], status=0 if result else None)
        if result is None:
            assert 'nvalid argument' in out or 'I/O error' in out, f'{command}: {out!r}'
        now = result or now
        lib.eq(read(net, 'a'), now + '\n', command)
    p.put('end')
    p.done()


def test_ports_follow(net):
    """What is set is what connect and bind to port 0 then use."""
    net.host('a', '10.1.0.1')
    p = net.part('a', chooses)
    lib.eq(p.get(), 'kept to it')
    p.done()


def chooses():
    with open(RANGE, 'w') as f:
        f.write('22000 22009\n')
    held = []
    for _ in range(5):
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        held.append(s)
        assert 22000 <= s.getsockname()[1] <= 22009, s.getsockname()
    lib.say('kept to it')


def test_not_the_hosts(net):
    """What a host has none of its own of: read, it is the machine's; written, it stays as it is."""
    lib.berth_only('settings that are not a host\'s')
    net.host('a', '10.1.0.1')
    for name in ('net/ipv4/ip_forward', 'net/ipv4/conf/all/rp_filter'):
        with open('/proc/sys/' + name) as f:
            before = f.read()
        lib.eq(net.run('a', ['cat', '/proc/sys/' + name]), before, name)
        out = net.run('a', ['sh', '-c', f'echo 1 > /proc/sys/{name}'], status=2)
        assert 'ermission denied' in out, out
        with open('/proc/sys/' + name) as f:
            lib.eq(f.read(), before, name + ' after a write')
    out = net.run('a', ['cat', '/proc/sys/net/ipv4/no_such'], status=1)
    assert 'No such file' in out, out
    lib.fails((2, 13), open, '/proc/sys/net/ipv4/no_such', 'w')


def test_users(net):
    """A user of the host who is not its root reads and does not write."""
    lib.berth_only('users of a host')
    net.host('a', '10.1.0.1')
    net.user_of('user', 'a')
    keep = net.part('a', stay)
    keep.get()
    lib.eq(net.run('user', ['cat', RANGE]), '32768\t60999\n')
    out = net.run('user', ['sysctl', '-w', 'net.ipv4.ip_local_port_range=10000 65535'], status=1)
    assert 'permission denied' in out, out
    if os.geteuid() == 0 and lib.real_root():
        out = net.run('a', ['setpriv', '--reuid=65534', '--clear-groups', '--', 'sh', '-c', f'echo 5 6 > {RANGE}'],
                      status=2)
        assert 'ermission denied' in out, out
    lib.eq(read(net, 'a'), '32768\t60999\n', 'as it was')
    keep.put('end')
    keep.done()


if __name__ == '__main__':
    lib.main()

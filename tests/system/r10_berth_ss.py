# SPDX-License-Identifier: Apache-2.0
"""R10, as far as berth ss goes: the sockets of every host, and which program holds each."""
import os
import re
import socket

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def hold():
    """Forks, so that one listener has two holders; also a UDP socket."""
    s = lib.listen('0.0.0.0', 80)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((WEB, 53))
    pid = os.fork()
    if pid == 0:
        u.close()
        c, _ = s.accept()
        s.close()
        c.recv(1)
        os._exit(0)
    lib.say([os.getpid(), pid])
    lib.hear()


def visit():
    c = lib.connect(WEB, 80)
    lib.say([os.getpid(), c.getsockname()[1]])
    lib.hear()


def rows(net, *flags):
    return net.berth('ss', *flags)[0].splitlines()


def one(lines, *parts):
    """The one line that contains all parts."""
    found = [line for line in lines if all(re.search(p, line) for p in parts)]
    assert len(found) == 1, f'{len(found)} lines with {parts} in\n' + '\n'.join(lines)
    return found[0]


def test_owners(net):
    lib.berth_only('berth ss')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', hold)
    parent, child = server.get()
    client = net.part('pc', visit)
    pid, port = client.get()
    lib.until('the accepted end in its child alone', lambda: f'pid={child}' not in one(
        rows(net, '-tlnp'), 'LISTEN', r'0\.0\.0\.0:80 '))

    lines = rows(net, '-tulnap')
    for text in ('Netid', 'State', 'Recv-Q', 'Send-Q', 'Local Address:Port', 'Peer Address:Port', 'Host', 'Process'):
        assert text in lines[0], lines[0]
    listener = one(lines, 'LISTEN', r'0\.0\.0\.0:80 ', ' web ')
    assert f'pid={parent},' in listener and 'python3' in listener, listener
    accepted = one(lines, 'ESTAB', rf'{WEB}:80 +{PC}:{port} ', ' web ')
    assert f'pid={child},' in accepted and f'pid={parent},' not in accepted, accepted
    connected = one(lines, 'ESTAB', rf'{PC}:{port} +{WEB}:80 ', ' pc ')
    assert f'pid={pid},' in connected, connected
    datagrams = one(lines, '^udp', 'UNCONN', rf'{WEB}:53 ', ' web ')
    assert f'pid={parent},' in datagrams, datagrams
    for p in (client, server):
        p.put('end')
        p.done()


def shut():
    """Keeps the end of a connection whose client is gone and whose listener listens no more."""
    s = lib.listen('127.0.0.1', 80)
    c = lib.connect('127.0.0.1', 80)
    a, _ = s.accept()
    c.close()
    s.shutdown(socket.SHUT_RD)
    lib.say(os.getpid())
    lib.hear()
    lib.eq(a.recv(1), b'')
    lib.say('end')


def test_shut_listener(net):
    lib.berth_only('berth ss')
    net.host('web', WEB)
    p = net.part('web', shut)
    pid = p.get()
    line = one(rows(net, '-tnp'), 'CLOSE-WAIT', r'127\.0\.0\.1:80 ')
    assert f'pid={pid},' in line, line
    lib.eq(p.ask('end'), 'end')
    p.done()


def test_flags(net):
    lib.berth_only('berth ss')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', hold)
    server.get()
    client = net.part('pc', visit)
    client.get()
    for flags, want in (('-tlnH', 1), ('-ulnH', 1), ('-tnH', 2), ('-tunaH', 4), ('-tlH', 1)):
        lines = rows(net, flags)
        lib.eq(len(lines), want, f'lines of berth ss {flags}:\n' + '\n'.join(lines) + '\n')
    lib.eq(len(rows(net, '-tnaH', '--host', 'pc')), 1, 'sockets of pc')
    lib.eq(':http ' in rows(net, '-tlH')[0], True, 'the name of a port without -n')
    lib.eq(':80 ' in rows(net, '-tlnH')[0], True, 'the number of a port with -n')


def queues():
    s = lib.listen('127.0.0.1', 80, 7)
    waiting = [lib.connect('127.0.0.1', 80) for _ in range(3)]
    waiting[0].sendall(b'x' * 500)
    lib.say('ready')
    lib.hear()
    a, _ = s.accept()
    lib.say('accepted')
    lib.hear()


def test_queues(net):
    """A listener's Recv-Q is what waits to be accepted, its Send-Q the backlog; a connection's is in bytes."""
    lib.berth_only('berth ss')
    net.host('web', WEB)
    p = net.part('web', queues)
    p.get()
    lib.eq(one(rows(net, '-tlnH'), ':80 ').split()[:3], ['LISTEN', '3', '7'], 'state and queues')
    lib.eq(p.ask('accept'), 'accepted')
    lib.eq(one(rows(net, '-tlnH'), ':80 ').split()[:3], ['LISTEN', '2', '7'], 'after an accept')
    lib.eq([line.split()[1] for line in rows(net, '-tnH') if ':80 ' in line.split()[3] + ' ' and
            line.split()[1] != '0'], ['500'], 'bytes that wait to be read')
    p.kill()


if __name__ == '__main__':
    lib.main()

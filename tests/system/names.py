# SPDX-License-Identifier: Apache-2.0
"""Names: a host's name resolves inside the network; an unknown one fails at once."""
import errno
import os
import socket
import time

import lib

WEB, WEB_2, PC = '192.168.1.100', '10.0.0.51', '10.0.0.50'


def hosts(net):
    lib.berth_only("names of hosts are berth's")
    net.host('web', WEB, WEB_2)
    net.host('pc', PC)


def addresses(name, *args):
    return sorted({a[4][0] for a in socket.getaddrinfo(name, *args)})


def look_up():
    lib.eq(addresses('web', 80, socket.AF_INET), sorted([WEB, WEB_2]), "another host's name")
    lib.eq(addresses('pc', 80, socket.AF_INET), [PC], 'its own name')
    lib.eq(addresses('WEB', 80, socket.AF_INET), sorted([WEB, WEB_2]), 'names know no case')
    lib.eq(addresses('localhost', 80, socket.AF_INET), ['127.0.0.1'], 'localhost')
    lib.eq(socket.gethostbyname('pc'), PC, 'gethostbyname')
    name, _, found = socket.gethostbyname_ex('web')
    lib.eq((name, sorted(found)), ('web', sorted([WEB, WEB_2])), 'gethostbyname_ex')
    lib.eq(socket.gethostbyname('localhost'), '127.0.0.1')
    lib.eq(socket.gethostbyaddr(WEB)[0], 'web', 'gethostbyaddr')
    lib.eq(socket.getnameinfo((WEB, 80), socket.NI_NUMERICSERV), ('web', '80'), 'getnameinfo')
    lib.eq(socket.getnameinfo((WEB, 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV), (WEB, '80'))

    # numbers, services and the passive form are as ever
    lib.eq(addresses('1.2.3.4', 80), ['1.2.3.4'])
    lib.eq({a[4][1] for a in socket.getaddrinfo('web', 'http', socket.AF_INET, socket.SOCK_STREAM)}, {80}, 'service')
    lib.eq(addresses(None, 80, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_PASSIVE), ['0.0.0.0'])
    lib.eq(addresses(None, 80, socket.AF_INET, socket.SOCK_STREAM), ['127.0.0.1'])
    kinds = {(a[1], a[2]) for a in socket.getaddrinfo('web', 80, socket.AF_INET)}
    lib.eq({(socket.SOCK_STREAM, 6), (socket.SOCK_DGRAM, 17)} <= kinds, True, f'socket types in {kinds}')
    lib.say('end')


def test_look_up(net):
    hosts(net)
    other = net.popen('web', ['sleep', '60'])
    net.whole('pc', look_up)
    other.kill()


def unknown():
    for name in ('nosuchhost', 'no.such.host.example', 'web.example.com', 'x' * 300):
        start = time.monotonic()
        try:
            found = socket.getaddrinfo(name, 80)
        except socket.gaierror as e:
            lib.eq(e.errno, socket.EAI_NONAME, f'getaddrinfo({name[:20]})')
        except UnicodeError:  # Python itself refuses a label of 300 characters
            lib.eq(len(name), 300)
        else:
            raise AssertionError(f'{name} is {found}')
        try:
            raise AssertionError(f'{name} is {socket.gethostbyname(name)}')
        except (socket.gaierror, UnicodeError):
            pass
        took = time.monotonic() - start
        assert took < 2, f'{name[:20]} took {took:.1f} s: somebody was asked over the network'
    try:
        raise AssertionError(socket.getaddrinfo(WEB, 'no-such-service'))
    except socket.gaierror as e:
        lib.eq(e.errno, socket.EAI_SERVICE)
    try:
        raise AssertionError(socket.getaddrinfo('web', 80, socket.AF_INET, 0, 0, socket.AI_NUMERICHOST))
    except socket.gaierror as e:
        lib.eq(e.errno, socket.EAI_NONAME, 'AI_NUMERICHOST')
    lib.say('end')


def test_unknown(net):
    hosts(net)
    net.whole('pc', unknown)


def serve():
    s = lib.listen('0.0.0.0', 80)
    lib.say('ready')
    for _ in range(2):
        c, _ = s.accept()
        c.recv(1000)
        c.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nby its name')
        c.close()


def visit():
    lib.say(lib.recv_end(ask()).decode().split('\r\n\r\n')[1])


def ask():
    c = lib.connect('web', 80)
    c.sendall(b'GET / HTTP/1.0\r\n\r\n')
    return c


def test_connect_by_name(net):
    lib.has('curl', 'getent')
    hosts(net)
    server = net.part('web', serve)
    server.get()
    p = net.part('pc', visit)
    lib.eq(p.get(), 'by its name')
    p.done()
    lib.eq(net.run('pc', ['curl', '-sS', '--max-time', '20', 'http://web/']), 'by its name', 'curl')
    lib.eq(net.run('pc', ['getent', 'ahostsv4', 'web']).split()[0] in (WEB, WEB_2), True, 'getent ahostsv4')
    server.done()


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""R12: port 0, the chapter's snippet as printed; the port that getsockname tells connects."""
import os
import re
import socket

import lib

import chapter  # in tools/, which lib puts on the path


FAMILIES = (4, 6)
WEB, PC, ANY = (lib.addr(a) for a in ('192.168.1.100', '10.0.0.50', '0.0.0.0'))


def test_printed_snippet(net):
    """Before the snippet: the socket it speaks of. After it: the server goes on, so that the port can be tried."""
    program = os.path.join(os.environ.get('TMPDIR', '/tmp'), 'port_zero.py')
    with open(program, 'wb') as f:
        f.write(f'import socket\nserver_socket = socket.socket({int(lib.AF)}, socket.SOCK_STREAM)\n'.encode())
        f.write(chapter.port_zero().replace(b'0.0.0.0', ANY.encode()))
        f.write(b'server_socket.listen()\nprint("listening")\nserver_socket.accept()[0].send(b"it connects")\n')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.popen('web', [lib.PY, '-u', program])
    line = server.line()
    assert re.fullmatch(r'Assigned port: \d+\n', line), line
    port = int(line.split()[-1])
    assert 32768 <= port <= 60999, port
    lib.eq(server.line(), 'listening\n')
    client = net.part('pc', ask, port)
    lib.eq(client.get(), 'it connects')
    client.done()
    server.done()


def ask(port):
    lib.say(lib.connect(WEB, port).recv(100).decode())


def many(kind, count):
    """`count` sockets of one kind, all bound to port 0: all different, all in the range."""
    socks = [socket.socket(lib.AF, getattr(socket, kind)) for _ in range(count)]
    for s in socks:
        s.bind((ANY, 0))
    lib.say([s.getsockname()[1] for s in socks])


def test_many(net):
    net.host('web', WEB)
    for kind in ('SOCK_STREAM', 'SOCK_DGRAM'):
        p = net.part('web', many, kind, 500)
        ports = p.get()
        p.done()
        lib.eq(len(set(ports)), 500, f'different ports, {kind}')
        lib.eq([n for n in ports if not 32768 <= n <= 60999], [], 'ports outside the range')
        # not one after the other: RFC 6056 (a random pick has 1 pair in some 280 adjacent and rising)
        rising = sum(1 for a, b in zip(ports, ports[1:]) if 0 < b - a <= 2)
        assert rising < 50, f'{rising} of 499 ports follow their predecessor: predictable'


def listen_unbound():
    s = lib.tcp()
    s.listen()
    port = s.getsockname()[1]
    c = lib.connect(lib.addr('127.0.0.1'), port)
    lib.eq(s.accept()[1], c.getsockname())
    lib.say(port)


def test_listen_without_bind(net):
    net.host('web', WEB)
    p = net.part('web', listen_unbound)
    port = p.get()
    assert 32768 <= port <= 60999, port
    p.done()


if __name__ == '__main__':
    lib.main()

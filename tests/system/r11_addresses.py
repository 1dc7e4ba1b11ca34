# SPDX-License-Identifier: Apache-2.0
"""R11: binding to 0.0.0.0, to one address, to 127.0.0.1: who reaches what, TCP and UDP."""
import errno
import select
import socket

import lib

ETH0, ETH1, LO = '192.168.1.100', '10.0.0.50', '127.0.0.1'
OTHER = '192.168.1.7'
PORT = 80

# bound address -> what reaches it from the host itself, what from another host
REACHES = {
    '0.0.0.0': ({ETH0, ETH1, LO, '0.0.0.0', '127.9.9.9'}, {ETH0, ETH1}),
    ETH0: ({ETH0}, {ETH0}),
    ETH1: ({ETH1}, {ETH1}),
    LO: ({LO, '0.0.0.0'}, set()),
    '127.9.9.9': ({'127.9.9.9'}, set()),
}
TARGETS = (ETH0, ETH1, LO, '0.0.0.0', '127.9.9.9')


def serve(kind, address):
    """Answers everybody with the bound address, the end that was asked and who asked."""
    s = socket.socket(socket.AF_INET, getattr(socket, kind))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, PORT))
    lib.eq(s.getsockname(), (address, PORT))
    if kind == 'SOCK_STREAM':
        s.listen(16)
    lib.say('ready')
    while True:
        if kind == 'SOCK_STREAM':
            c, peer = s.accept()
            c.sendall(f'{address} {c.getsockname()[0]} {peer[0]}'.encode())
            c.close()
        else:
            _, peer = s.recvfrom(100)
            s.sendto(f'{address} - {peer[0]}'.encode(), peer)


def ask_tcp(target):
    s = socket.socket()
    s.settimeout(lib.LIMIT)
    s.connect((target, PORT))
    return [s.recv(100).decode(), s.getsockname()[0], s.getpeername()[0]]


def ask_udp(target):
    """A connected socket hears a refusal; an unconnected one hears an answer from whichever address."""
    c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    c.connect((target, PORT))
    c.send(b'?')
    if select.select([c], [], [], 0.25)[0]:
        c.recv(100)  # raises where refused
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.settimeout(lib.LIMIT)
    u.sendto(b'?', (target, PORT))
    answer, peer = u.recvfrom(100)
    return [answer.decode(), c.getsockname()[0], peer[0]]


def ask(kind):
    """For every target: the answer, the local address, whose answer; or the name of the error."""
    answers = {}
    for target in TARGETS:
        try:
            answers[target] = (ask_tcp if kind == 'SOCK_STREAM' else ask_udp)(target)
        except OSError as e:
            answers[target] = errno.errorcode.get(e.errno, str(e))
    lib.say(answers)


def expected(kind, bound, host, target):
    """What ask() should find where the target is reached: Linux's choice of addresses."""
    asked = LO if target == '0.0.0.0' else target
    seen = OTHER if host == 'other' else LO if asked.startswith('127.') else asked
    if kind == 'SOCK_STREAM':
        return [f'{bound} {asked} {seen}', seen, asked]
    # a UDP server bound to 0.0.0.0 answers from the address that its route to the asker has
    source = bound if bound != '0.0.0.0' else ETH0 if host == 'other' else seen
    return [f'{bound} - {seen}', seen, source]


def matrix(net, kind):
    net.host('multi', ETH0, ETH1)
    net.host('other', OTHER)
    cells = 0
    for bound, (own, others) in REACHES.items():
        server = net.part('multi', serve, kind, bound)
        server.get()
        for host, reached in (('multi', own), ('other', others)):
            client = net.part(host, ask, kind)
            answers = client.get()
            client.done()
            for target in TARGETS:
                want = expected(kind, bound, host, target) if target in reached else 'ECONNREFUSED'
                lib.eq(answers[target], want, f'{kind} bound to {bound}, {host} asks {target}')
                cells += 1
        server.kill()
    return f'{cells} cells'


def test_tcp_matrix(net):
    return matrix(net, 'SOCK_STREAM')


def test_udp_matrix(net):
    return matrix(net, 'SOCK_DGRAM')


def all_at_once():
    """Specific addresses beside each other on one port; each gets its own, as the chapter's drawing has it."""
    socks = {a: lib.listen(a, PORT) for a in (ETH0, ETH1, LO)}
    for a in socks:
        c = lib.connect(a, PORT)
        server, peer = socks[a].accept()
        lib.eq((server.getsockname(), peer), ((a, PORT), c.getsockname()))
    w = socket.socket()
    lib.fails(errno.EADDRINUSE, w.bind, ('0.0.0.0', PORT))
    lib.say('end')


def test_one_port_three_addresses(net):
    net.host('multi', ETH0, ETH1)
    p = net.part('multi', all_at_once)
    lib.eq(p.get(), 'end')
    p.done()


def foreign():
    for address in (OTHER, '203.0.113.1', '8.8.8.8'):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(socket.AF_INET, kind)
            lib.fails(errno.EADDRNOTAVAIL, s.bind, (address, PORT))
    lib.say('end')


def test_bind_to_a_foreign_address(net):
    net.host('multi', ETH0, ETH1)
    net.host('other', OTHER)
    p = net.part('multi', foreign)
    lib.eq(p.get(), 'end')
    p.done()


if __name__ == '__main__':
    lib.main()

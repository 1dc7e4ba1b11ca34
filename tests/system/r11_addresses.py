# SPDX-License-Identifier: Apache-2.0
"""R11: binding to 0.0.0.0, to one address, to 127.0.0.1, and to their kin of IPv6: who reaches what, TCP and UDP."""
import errno
import select
import socket

import lib

ETH0, ETH1, LO, LO9 = '192.168.1.100', '10.0.0.50', '127.0.0.1', '127.9.9.9'
ETH0_6, ETH1_6, LO_6 = 'fd00::100', 'fd01::50', '::1'
ANY, ANY_6 = '0.0.0.0', '::'
MAPPED = '::ffff:'
OTHER, OTHER_6 = '192.168.1.7', 'fd00::7'
PORT = 80
ADDRESSES = (ETH0, ETH1, ETH0_6, ETH1_6)

V4 = {ETH0, ETH1, LO, ANY, LO9, MAPPED + ETH0}
V6 = {ETH0_6, ETH1_6, LO_6, ANY_6}
V4_OUT, V6_OUT = {ETH0, ETH1, MAPPED + ETH0}, {ETH0_6, ETH1_6}
TARGETS = sorted(V4 | V6)

# bound address -> what reaches it from the host itself, what from another host
REACHES = {
    ANY: (V4, V4_OUT),
    ETH0: ({ETH0, MAPPED + ETH0}, {ETH0, MAPPED + ETH0}),
    ETH1: ({ETH1}, {ETH1}),
    LO: ({LO, ANY}, set()),
    LO9: ({LO9}, set()),
    ANY_6: (V4 | V6, V4_OUT | V6_OUT),
    ':: only': (V6, V6_OUT),
    ETH0_6: ({ETH0_6}, {ETH0_6}),
    ETH1_6: ({ETH1_6}, {ETH1_6}),
    LO_6: ({LO_6, ANY_6}, set()),
    MAPPED + ANY: (V4, V4_OUT),
    MAPPED + ETH0: ({ETH0, MAPPED + ETH0}, {ETH0, MAPPED + ETH0}),
    MAPPED + LO: ({LO, ANY}, set()),
}


def new_socket(address, kind):
    return socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, getattr(socket, kind))


def plain(sockaddr):
    """The address of a socket address, an IPv4 one without what IPv6 puts before it."""
    return sockaddr[0].removeprefix(MAPPED)


def serve(kind, bound):
    """Answers everybody with the bound address, the end that was asked and who asked."""
    address, _, only = bound.partition(' ')
    s = new_socket(address, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ':' in address:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only == 'only')
    s.bind((address, PORT))
    lib.eq(s.getsockname()[:2], (address, PORT))
    if kind == 'SOCK_STREAM':
        s.listen(16)
    lib.say('ready')
    while True:
        if kind == 'SOCK_STREAM':
            c, peer = s.accept()
            c.sendall(f'{bound} {plain(c.getsockname())} {plain(peer)}'.encode())
            c.close()
        else:
            _, peer = s.recvfrom(100)
            s.sendto(f'{bound} - {plain(peer)}'.encode(), peer)


def ask_tcp(target):
    with new_socket(target, 'SOCK_STREAM') as s:
        s.settimeout(lib.LIMIT)
        s.connect((target, PORT))
        return [s.recv(100).decode(), plain(s.getsockname()), plain(s.getpeername())]


def ask_udp(target):
    """A connected socket hears a refusal; an unconnected one hears an answer from whichever address."""
    with new_socket(target, 'SOCK_DGRAM') as c, new_socket(target, 'SOCK_DGRAM') as u:
        c.connect((target, PORT))
        c.send(b'?')
        if select.select([c], [], [], 0.25)[0]:
            c.recv(100)  # raises where refused
        u.settimeout(lib.LIMIT)
        u.sendto(b'?', (target, PORT))
        answer, peer = u.recvfrom(100)
        return [answer.decode(), plain(c.getsockname()), plain(peer)]


def ask(kind):
    """For every target, as often as told: the answer, the local address, whose answer; or the name of the error."""
    while True:
        answers = {}
        for target in TARGETS:
            try:
                answers[target] = (ask_tcp if kind == 'SOCK_STREAM' else ask_udp)(target)
            except OSError as e:
                answers[target] = errno.errorcode.get(e.errno, str(e))
        lib.say(answers)
        lib.hear()


def expected(kind, bound, host, target):
    """What ask() should find where the target is reached: Linux's choice of addresses."""
    asked = {ANY: LO, ANY_6: LO_6}.get(target, target).removeprefix(MAPPED)
    v6 = ':' in asked
    seen = (OTHER_6 if v6 else OTHER) if host == 'other' else LO if asked.startswith('127.') else asked
    if kind == 'SOCK_STREAM':
        return [f'{bound} {asked} {seen}', seen, asked]
    # a UDP server bound to the wildcard answers from the address that its route to the asker has
    source = bound.removeprefix(MAPPED)
    if source in (ANY, ANY_6, ':: only'):
        source = (ETH0_6 if v6 else ETH0) if host == 'other' else seen
    return [f'{bound} - {seen}', seen, source]


def matrix(net, kind):
    net.host('multi', *ADDRESSES)
    net.host('other', OTHER, OTHER_6)
    if lib.KERNEL:  # else it keeps back most of the refusals
        for host in ('multi', 'other'):
            net.sysctl(host, 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0')
    cells, clients = 0, {}
    for bound, reaches in REACHES.items():
        server = net.part('multi', serve, kind, bound)
        server.get()
        for host, reached in zip(('multi', 'other'), reaches):
            if host in clients:
                clients[host].put('again')
            else:
                clients[host] = net.part(host, ask, kind)
            answers = clients[host].get()
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
    socks = {a: lib.listen(a, PORT) for a in (ETH0, ETH1, LO, ETH0_6, ETH1_6, LO_6)}
    for a in socks:
        c = lib.connect(a, PORT)
        server, peer = socks[a].accept()
        lib.eq((server.getsockname(), peer), (c.getpeername(), c.getsockname()))
        lib.eq(server.getsockname()[:2], (a, PORT))
    for wildcard in (ANY, ANY_6):
        w = new_socket(wildcard, 'SOCK_STREAM')
        lib.fails(errno.EADDRINUSE, w.bind, (wildcard, PORT))
    lib.say('end')


def test_one_port_three_addresses(net):
    net.host('multi', *ADDRESSES)
    net.whole('multi', all_at_once)


def only(address, kind):
    s = new_socket(address, kind)
    if ':' in address:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return s


def beside():
    """An IPv4 and an IPv6-only wildcard share a port; a dual one does not go beside either."""
    for kind in ('SOCK_STREAM', 'SOCK_DGRAM'):
        for order in ((ANY, ANY_6), (ANY_6, ANY)):
            with only(ANY, kind) as four, only(ANY_6, kind) as six, new_socket(ANY_6, kind) as dual:
                for address in order:
                    (four if address == ANY else six).bind((address, PORT))
                    lib.fails(errno.EADDRINUSE, dual.bind, (ANY_6, PORT))
        with only(ANY, kind) as four, only(ANY_6, kind) as six, new_socket(ANY_6, kind) as dual:
            dual.bind((ANY_6, PORT))
            lib.fails(errno.EADDRINUSE, four.bind, (ANY, PORT))
            lib.fails(errno.EADDRINUSE, six.bind, (ANY_6, PORT))
    lib.say('end')


def test_two_families_on_one_port(net):
    net.host('multi', *ADDRESSES)
    net.whole('multi', beside)


def foreign():
    for address in (OTHER, '203.0.113.1', '8.8.8.8', OTHER_6, '2001:db8::1', MAPPED + OTHER):
        for kind in ('SOCK_STREAM', 'SOCK_DGRAM'):
            s = new_socket(address, kind)
            lib.fails(errno.EADDRNOTAVAIL, s.bind, (address, PORT))
    lib.say('end')


def test_bind_to_a_foreign_address(net):
    net.host('multi', *ADDRESSES)
    net.host('other', OTHER, OTHER_6)
    net.whole('multi', foreign)


if __name__ == '__main__':
    lib.main()

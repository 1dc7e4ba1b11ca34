# SPDX-License-Identifier: Apache-2.0
"""R3: many connections share one local port, told apart by the 5-tuple."""
import os
import resource
import socket

import lib

FAMILIES = (4, 6)
WEB, PC, PC2 = (lib.addr(a) for a in ('192.168.1.100', '10.0.0.50', '10.0.0.99'))
ONCE = 5000 if lib.V6 else 20000  # connections at once on one listener
PROCESSES = 2  # on each side: a process may have 20,000 descriptors here


def serve_three():
    """Accepts three connections, then answers each with the tuple that it sees."""
    s = lib.listen(WEB, 80)
    lib.say('ready')
    conns = [s.accept() for _ in range(3)]
    lib.say([[*c.getsockname()[:2], *peer[:2]] for c, peer in conns])
    for c, peer in conns:
        lib.eq(list(c.getpeername()), list(peer), 'getpeername of an accepted connection')
        c.sendall(f'{peer[0]} {peer[1]}'.encode())
    lib.hear()


def client(count, local):
    """Connects `count` times to port 80, bound to the given local port where one is given."""
    conns = []
    for i in range(count):
        c = lib.tcp()
        if local:
            c.bind((local[i][0], local[i][1]))
        c.connect((WEB, 80))
        conns.append(c)
    lib.say([[*c.getpeername()[:2], *c.getsockname()[:2]] for c in conns])
    lib.say([c.recv(64).decode() for c in conns])
    lib.hear()


def test_three_connections(net):
    """The chapter's three: two from 10.0.0.50, one from 10.0.0.99, with the chapter's very ports."""
    net.host('web', WEB)
    net.host('pc', PC)
    net.host('pc2', PC2)
    server = net.part('web', serve_three)
    server.get()
    first = net.part('pc', client, 2, [[PC, 52431], [PC, 52432]])
    second = net.part('pc2', client, 1, [[PC2, 41000]])
    web = [WEB, 80]
    want = [[*web, PC, 52431], [*web, PC, 52432], [*web, PC2, 41000]]
    lib.eq(sorted(server.get()), sorted(want), "the server's view")
    lib.eq(first.get(), want[:2], "the first client's view")
    lib.eq(second.get(), want[2:], "the second client's view")
    lib.eq(first.get(), [f'{PC} 52431', f'{PC} 52432'], 'data for the right connection')
    lib.eq(second.get(), [f'{PC2} 41000'], 'data for the right connection')
    if not lib.KERNEL:
        rows = [r for r in net.ss('-t') if r.state == 'ESTAB']
        lib.eq(sorted([r.local, r.lport, r.peer, r.pport] for r in rows if r.lport == 80), sorted(want),
               'ss, server ends')
        lib.eq(sorted([r.peer, r.pport, r.local, r.lport] for r in rows if r.pport == 80), sorted(want),
               'ss, client ends')
        lib.eq(len([r for r in net.ss('-t') if r.state == 'LISTEN' and r.lport == 80]), 1, 'listeners')
    for p in (server, first, second):
        p.put('end')
        p.done()


def accept_many(s, count):
    """One worker: holds `count` connections of the shared listener until told to end."""
    conns = []
    peers = set()
    while len(conns) < count:
        c, peer = s.accept()
        conns.append(c)
        peers.add(peer)
    for c in conns:
        c.sendall(b'x')
    return conns, peers


def serve_many(total, workers):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    s = lib.listen(lib.addr('0.0.0.0'), 80, 4096)
    lib.say('ready')
    pipes = []
    for _ in range(workers):
        back_r, back_w = os.pipe()
        go_r, go_w = os.pipe()
        if os.fork() == 0:
            os.close(go_w)
            conns, peers = accept_many(s, total // workers)
            os.write(back_w, len(peers).to_bytes(4, 'big'))
            os.read(go_r, 1)  # until the parent closes it
            os._exit(0)
        os.close(go_r)
        pipes.append((back_r, go_w))
    lib.say([int.from_bytes(os.read(r, 4), 'big') for r, _ in pipes])
    lib.hear()
    for _, w in pipes:
        os.close(w)
    for _ in pipes:
        os.wait()


def open_many(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    conns = [socket.create_connection((WEB, 80)) for _ in range(count)]
    got = sum(len(c.recv(10)) for c in conns)
    ports = {c.getsockname()[1] for c in conns}
    lib.say([got, sorted(ports)])
    lib.hear()


def test_twenty_thousand(net):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    n = PROCESSES
    while ONCE // n + 100 > hard:
        n += 1
    total = ONCE // n * n
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', serve_many, total, n)
    server.get()
    clients = [net.part('pc', open_many, total // n) for _ in range(n)]
    lib.eq(server.get(120), [total // n] * n, 'different peers accepted')
    answers = [c.get(120) for c in clients]
    ports = [p for _, some in answers for p in some]
    lib.eq(sum(got for got, _ in answers), total, 'bytes that arrived, one for each connection')
    lib.eq(len(set(ports)), total, 'different local ports of one host to one destination')
    lib.eq([p for p in ports if not 32768 <= p <= 60999], [], 'ports outside the ephemeral range')
    if not lib.KERNEL:
        rows = [r for r in net.ss('-t') if r.state == 'ESTAB']
        lib.eq(len({r.pport for r in rows if r.lport == 80 and r.local == WEB}), total,
               'connections of port 80 in ss')
        lib.eq(len({r.lport for r in rows if r.pport == 80 and r.local == PC}), total,
               'connections of 10.0.0.50 in ss')
    for p in (*clients, server):
        p.put('end')
        p.done()
    return f'{total} connections held by {n} and {n} processes'


test_twenty_thousand.limit = 240

if __name__ == '__main__':
    lib.main()

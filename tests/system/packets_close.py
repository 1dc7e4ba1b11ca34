# SPDX-License-Identifier: Apache-2.0
"""How connections in packets end: many at once over a bad link, each with a plan that a seed decides, compared
byte for byte; and SO_LINGER with a time."""
import errno
import hashlib
import random
import socket
import struct
import threading
import time

import lib

WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
FAMILIES = (4, 6)
CONNECTIONS = 60
KINDS = ('shut', 'close', 'half', 'linger', 'reset', 'unread')
BAD = ('loss', '2%', 'delay', '2ms', 'jitter', '1ms', 'duplicate', '1%')


def hosts(net, *words):
    net.host('web', WEB)
    net.host('pc', PC)
    for name in ('web', 'pc'):
        net.part(name, wait)
    for p in net.procs:
        p.get()
    net.link('web', 'pc', *words)


def wait():
    lib.say('here')
    lib.hear()


def end(net):
    for p in net.procs:
        p.kill()


class Plan:
    """What both ends of connection number i do."""

    def __init__(self, seed, i):
        r = random.Random(seed * 1000 + i)
        self.kind = KINDS[i % len(KINDS)]
        self.up = r.randrange(1, 200_000)  # bytes from the client
        self.down = r.randrange(1, 200_000)
        if self.kind == 'unread':
            self.down = r.randrange(1_000_000, 2_000_000)
        self.r = r

    @staticmethod
    def data(i, way, n):
        return hashlib.shake_128(b'%d %d' % (i, way)).digest(n)


def send_in_pieces(s, data, r):
    at = 0
    while at < len(data):
        n = r.choice((1, 100, 1448, 5000, 60_000))
        s.sendall(data[at:at + n])
        at += n
        if r.random() < 0.05:
            time.sleep(r.random() * 0.01)


def read_to_end(s, got):
    """All that comes is added to got; how it ended."""
    try:
        while piece := s.recv(random.choice((1, 1000, 65536))):
            got += piece
    except TimeoutError:
        return 'timeout'
    except OSError as e:
        return errno.errorcode[e.errno]
    return 'end'


def linger(s, seconds):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, seconds))


def client_end(s, i, plan):
    """Plays the client; [how reading ended, bytes got]."""
    up = Plan.data(i, 0, plan.up)
    got, how = bytearray(), 'closed'
    if plan.kind == 'shut':
        reader = threading.Thread(target=lambda: got.extend(lib.recv_end(s)))
        reader.start()
        send_in_pieces(s, up, plan.r)
        s.shutdown(socket.SHUT_WR)
        reader.join()
        how = 'end'
    elif plan.kind == 'half':
        send_in_pieces(s, up, plan.r)
        s.shutdown(socket.SHUT_WR)
        how = read_to_end(s, got)
    elif plan.kind == 'unread':
        got += s.recv(1000)
    else:
        if plan.kind == 'reset':
            lib.eq(lib.recv_all(s, 1), b'k', 'the word that it is accepted')
        send_in_pieces(s, up, plan.r)
        if plan.kind != 'close':
            linger(s, 20 if plan.kind == 'linger' else 0)
    s.close()
    whole = Plan.data(i, 1, plan.down)
    return [how, len(got), whole.startswith(bytes(got))]


def server_end(s, i, plan):
    down = Plan.data(i, 1, plan.down)
    got, how = bytearray(), ''
    if plan.kind == 'shut':
        sender = threading.Thread(target=lambda: (send_in_pieces(s, down, plan.r), s.shutdown(socket.SHUT_WR)))
        sender.start()
        how = read_to_end(s, got)
        sender.join()
    elif plan.kind == 'half':
        how = read_to_end(s, got)
        send_in_pieces(s, down, plan.r)
    elif plan.kind == 'unread':
        try:
            s.sendall(down)
            how = read_to_end(s, got)
        except OSError as e:
            how = errno.errorcode[e.errno] if e.errno else 'timeout'
    else:
        if plan.kind == 'reset':
            s.sendall(b'k')
        how = read_to_end(s, got)
    s.close()
    whole = Plan.data(i, 0, plan.up)
    return [how, len(got), whole.startswith(bytes(got))]


def run_all(threads, results):
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lib.say(results)
    lib.hear()


def server(seed):
    listener = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    results, threads = {}, []

    def serve(s):
        s.settimeout(15)
        i, = struct.unpack('i', lib.recv_all(s, 4))
        plan = Plan(seed, i)
        if plan.kind in ('reset', 'unread'):  # which may be lost
            s.settimeout(3)
        results[i] = server_end(s, i, plan)

    listener.settimeout(10)
    for _ in range(CONNECTIONS):
        try:
            s, _ = listener.accept()
        except TimeoutError:
            break
        threads.append(threading.Thread(target=serve, args=(s,)))
        threads[-1].start()
    for t in threads:
        t.join()
    lib.say(results)
    lib.hear()


def client(seed):
    results = {}

    def play(i):
        s = lib.connect(WEB, 80)
        s.settimeout(15)
        s.sendall(struct.pack('i', i))
        results[i] = client_end(s, i, Plan(seed, i))

    run_all([threading.Thread(target=play, args=(i,)) for i in range(CONNECTIONS)], results)


def check(plan, at_client, at_server):
    how, n, good = at_server
    assert good, f'the server got other bytes: {at_server}'
    assert at_client[2], f'the client got other bytes: {at_client}'
    if plan.kind in ('shut', 'close', 'half', 'linger'):
        lib.eq((how, n), ('end', plan.up), 'the server')
        if plan.kind in ('shut', 'half'):
            lib.eq(at_client[:2], ['end', plan.down], 'the client')
    elif plan.kind == 'reset':  # a reset that the link loses is never known to who only reads
        assert how in ('ECONNRESET', 'timeout') and n <= plan.up, at_server
    else:
        assert how in ('ECONNRESET', 'EPIPE', 'timeout') and n == 0, at_server


def ends(net, seed, *words):
    hosts(net, *words)
    s = net.part('web', server, seed)
    s.get()
    c = net.part('pc', client, seed)
    at_client, at_server = c.get(60), s.get(60)
    lost = [f'{i} ({Plan(seed, i).kind})' for i in range(CONNECTIONS) if str(i) not in at_server]
    lib.eq(lost, [], 'connections that nobody accepted')
    for i in range(CONNECTIONS):
        plan = Plan(seed, i)
        try:
            check(plan, at_client[str(i)], at_server[str(i)])
        except AssertionError as e:
            raise AssertionError(f'seed {seed}, connection {i} ({plan.kind}, {plan.up} up, {plan.down} down): {e}') from e
    end(net)


def test_ends_over_a_bad_link(net):
    ends(net, 1, *BAD)


def test_ends_over_a_bad_link_again(net):
    ends(net, random.randrange(2, 1_000_000), *BAD)


def test_ends_over_a_good_link(net):
    ends(net, random.randrange(2, 1_000_000))


def slow_server():
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    c, _ = s.accept()
    lib.say(len(lib.recv_end(c)))
    lib.hear()


def lingers(seconds):
    s = lib.connect(WEB, 80)
    s.sendall(bytes(20000))
    linger(s, seconds)
    lib.say('sent')
    lib.hear()
    begun = time.monotonic()
    s.close()
    lib.say(time.monotonic() - begun)
    lib.hear()


def test_linger_waits_for_the_acknowledgment(net):
    lib.berth_only('delay')
    hosts(net, 'delay', '150ms')
    s = net.part('web', slow_server)
    s.get()
    c = net.part('pc', lingers, 10)
    c.get()
    took = c.ask('close')
    assert 0.25 < took < 8, f'close took {took:.2f} s'
    lib.eq(s.get(), 20000)
    end(net)


def test_linger_gives_up_in_time(net):
    hosts(net, 'delay', '1ms')
    s = net.part('web', slow_server)
    s.get()
    c = net.part('pc', lingers, 1)
    c.get()
    net.link('web', 'pc', 'down')
    took = c.ask('close')
    assert 0.9 < took < 8, f'close took {took:.2f} s'
    net.link('web', 'pc', 'up')
    lib.eq(s.get(), 20000, 'what nobody waited for')
    end(net)


if __name__ == '__main__':
    lib.main()

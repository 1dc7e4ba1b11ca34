# SPDX-License-Identifier: Apache-2.0
"""R4: stream sockets: ordered, reliable, both ways; half-close, back-pressure, reset."""
import errno
import os
import select
import socket
import struct
import threading
import time
import zlib

import lib

CHUNK = 1 << 20
FAMILIES = (4, 6)
WEB, PC, ANY = (lib.addr(a) for a in ('192.168.1.100', '10.0.0.50', '0.0.0.0'))
GIB = 1 << 26 if lib.V6 else 1 << 30  # the bytes' way is the same for both families


def pump_out(s, total, seed):
    """Sends `total` bytes, every chunk different, and ends its direction; the checksum."""
    block = bytearray(os.urandom(CHUNK))
    crc = 0
    for i in range(total // CHUNK):
        struct.pack_into('>QQ', block, 0, seed, i)
        crc = zlib.crc32(block, crc)
        s.sendall(block)
    s.shutdown(socket.SHUT_WR)
    return crc


def pump_in(s):
    """Receives to the end of the stream: length and checksum."""
    block = bytearray(CHUNK)
    crc = size = 0
    while n := s.recv_into(block):
        crc = zlib.crc32(memoryview(block)[:n], crc)
        size += n
    return size, crc


def both_ways(s, total, seed):
    """Sends and receives at the same time: [sent checksum, received length, received checksum]."""
    sent = []
    out = threading.Thread(target=lambda: sent.append(pump_out(s, total, seed)))
    out.start()
    size, crc = pump_in(s)
    out.join()
    return [sent[0], size, crc]


def serve(total):
    s = lib.listen(ANY, 80)
    lib.say('ready')
    c, _ = s.accept()
    lib.say(both_ways(c, total, 1))


def ask(total):
    c = lib.connect(WEB, 80, None)
    start = time.monotonic()
    lib.say(both_ways(c, total, 2))
    lib.say(time.monotonic() - start)


def hosts(net):
    net.host('web', WEB)
    net.host('pc', PC)


def test_gibibyte_both_ways(net):
    hosts(net)
    server = net.part('web', serve, GIB)
    server.get()
    client = net.part('pc', ask, GIB)
    client_sent, client_size, client_crc = client.get(200)
    server_sent, server_size, server_crc = server.get(200)
    lib.eq((client_size, server_size), (GIB, GIB), 'lengths')
    lib.eq(client_crc, server_sent, "checksum of the server's bytes")
    lib.eq(server_crc, client_sent, "checksum of the client's bytes")
    seconds = client.get()
    client.done()
    server.done()
    return f'{GIB >> 20} MiB each way at once in {seconds:.1f} s'


test_gibibyte_both_ways.limit = 240


def serve_case(case):
    """The accepting side of a case; the two sides take turns where the order matters."""
    s = lib.listen(ANY, 80)
    lib.say('ready')
    c, _ = s.accept()
    globals()[case + '_server'](c)
    lib.say('end')


def ask_case(case):
    c = lib.connect(WEB, 80)
    globals()[case + '_client'](c)
    lib.say('end')


def play(net, case):
    hosts(net)
    server = net.part('web', serve_case, case)
    server.get()
    client = net.part('pc', ask_case, case)
    lib.eq((client.get(), server.get()), ('end', 'end'))
    client.done()
    server.done()


def order_server(c):
    """Pieces of odd sizes arrive as one stream, nothing lost, nothing swapped."""
    data = lib.recv_end(c)
    lib.eq(len(data), sum(range(1, 1500)), 'length')
    lib.eq(data, b''.join(bytes([i % 251]) * i for i in range(1, 1500)), 'stream')


def order_client(c):
    for i in range(1, 1500):
        c.sendall(bytes([i % 251]) * i)
    c.close()


def test_order(net):
    play(net, 'order')


def half_close_server(c):
    lib.eq(lib.recv_end(c), b'question', 'up to the end of the peer')
    lib.eq(c.recv(10), b'', 'end of file, again')
    c.sendall(b'answer, after your end')
    c.close()


def half_close_client(c):
    c.sendall(b'question')
    c.shutdown(socket.SHUT_WR)
    lib.fails(errno.EPIPE, c.send, b'more')
    lib.eq(lib.recv_end(c), b'answer, after your end', 'after shutdown')


def test_half_close(net):
    play(net, 'half_close')


def pressure_server(c):
    """Reads nothing until told: the sender must have been stopped by then."""
    ready = c.recv(1)
    lib.eq(ready, b'!')
    time.sleep(0.3)
    total = len(ready)
    while piece := c.recv(1 << 16):
        total += len(piece)
    lib.say(total)


def pressure_client(c):
    c.sendall(b'!')
    c.setblocking(False)
    block, total = bytes(1 << 16), 1
    try:
        while total < 1 << 30:
            total += c.send(block)
    except BlockingIOError:
        pass
    assert 0 < total < 1 << 28, f'{total} bytes taken by a connection whose peer reads nothing'
    lib.eq(select.select([], [c], [], 0)[1], [], 'writable though full')
    lib.eq(select.select([], [c], [], 30)[1], [c], 'writable once the peer reads')
    total += c.send(block[:1])
    lib.say(total)


def test_back_pressure(net):
    hosts(net)
    server = net.part('web', serve_case, 'pressure')
    server.get()
    client = net.part('pc', ask_case, 'pressure')
    sent = client.get()
    lib.eq(client.get(), 'end')
    client.done()
    lib.eq(server.get(), sent, 'bytes that arrived')
    lib.eq(server.get(), 'end')
    server.done()
    return f'{sent} bytes in flight'


def reset_server(c):
    """Linger 0: the peer sees a reset, in what it reads and in what it writes."""
    lib.eq(c.recv(1), b'?')
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()


def reset_client(c):
    c.sendall(b'?')
    lib.fails(errno.ECONNRESET, c.recv, 1)
    lib.fails(errno.EPIPE, c.send, b'x')


def test_reset_by_linger(net):
    play(net, 'reset')


def unread_server(c):
    """Closing with unread data resets."""
    lib.eq(c.recv(1), b'?')
    lib.eq(select.select([c], [], [], 10)[0], [c], 'the rest is there')
    c.close()


def unread_client(c):
    c.sendall(b'?')
    c.sendall(b'never read')
    lib.fails(errno.ECONNRESET, c.recv, 1)


def test_reset_by_unread_data(net):
    play(net, 'unread')


def closed_server(c):
    lib.eq(c.recv(1), b'?')
    c.close()


def closed_client(c):
    """Writing to a peer that has closed: the first write may succeed, a later one says EPIPE."""
    c.sendall(b'?')
    lib.eq(c.recv(1), b'', 'the end')
    end = time.monotonic() + lib.LIMIT
    try:
        while time.monotonic() < end:
            c.send(b'x')
            time.sleep(0.01)
    except (BrokenPipeError, ConnectionResetError):
        return
    raise AssertionError('a connection whose peer closed takes data for ever')


def test_write_after_close(net):
    play(net, 'closed')


def peek_server(c):
    lib.eq(c.recv(4, socket.MSG_PEEK), b'abcd', 'peeked')
    lib.eq(c.recv(4, socket.MSG_WAITALL), b'abcd', 'read')
    lib.eq(c.recv(6, socket.MSG_WAITALL), b'efghij', 'all of it, though sent in two pieces')
    c.sendall(b'!')


def peek_client(c):
    c.sendall(b'abcd')
    time.sleep(0.1)
    c.sendall(b'efg')
    time.sleep(0.1)
    c.sendall(b'hij')
    lib.eq(c.recv(1), b'!')


def test_peek_and_waitall(net):
    play(net, 'peek')


def killed_server(c):
    lib.eq(c.recv(1), b'?')
    os.kill(os.getpid(), 9)


def killed_client(c):
    c.sendall(b'?')
    lib.eq(c.recv(1), b'', 'a killed peer is an end of file')


def test_peer_killed(net):
    hosts(net)
    server = net.part('web', serve_case, 'killed')
    server.get()
    client = net.part('pc', ask_case, 'killed')
    lib.eq(client.get(), 'end')
    client.done()
    server.done(-9)


if __name__ == '__main__':
    lib.main()

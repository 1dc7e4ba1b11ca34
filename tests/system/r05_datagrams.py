# SPDX-License-Identifier: Apache-2.0
"""R5: datagram sockets: addresses, connected and not, boundaries, no promise, no blocking."""
import errno
import os
import select
import socket
import time

import lib

FAMILIES = (4, 6)
WEB, PC, PC2 = (lib.addr(a) for a in ('192.168.1.100', '10.0.0.50', '10.0.0.99'))
LO, ANY = lib.addr('127.0.0.1'), lib.addr('0.0.0.0')
BIGGEST = 65527 if lib.V6 else 65507


def udp(address=None, port=0, timeout=lib.LIMIT):
    s = lib.udp()
    s.settimeout(timeout)
    if address is not None:
        s.bind((address, port))
    return s


def echo(address, port):
    """Answers each datagram with the sender's address and the datagram, until told to end by one."""
    s = udp(address, port)
    lib.say('ready')
    data = b''
    while data != b'end':
        data, peer = s.recvfrom(65536)
        s.sendto(f'{peer[0]} {peer[1]} '.encode() + data, peer)


def ask_echo(port):
    s = udp()
    s.sendto(b'one', (WEB, port))
    own = s.getsockname()
    lib.eq(own[0], ANY, 'address of a socket that sendto bound')
    assert 32768 <= own[1] <= 60999, own
    data, peer = s.recvfrom(100)
    lib.eq((data.decode(), peer[:2]), (f'{PC} {own[1]} one', (WEB, port)))

    # bound: both addresses are the bound one
    b = udp(PC, 5000)
    b.sendto(b'two', (WEB, port))
    data, peer = b.recvfrom(100)
    lib.eq((data.decode(), peer[:2]), (f'{PC} 5000 two', (WEB, port)))

    # connected: send and recv, plain read and write, getpeername
    c = udp()
    c.connect((WEB, port))
    lib.eq(c.getpeername()[:2], (WEB, port))
    lib.eq(c.getsockname()[0], PC, "connect chooses the local address")
    c.send(b'three')
    lib.eq(c.recv(100).decode(), f'{PC} {c.getsockname()[1]} three')
    c.setblocking(True)
    os.write(c.fileno(), b'four')
    lib.eq(os.read(c.fileno(), 100).decode(), f'{PC} {c.getsockname()[1]} four')

    # boundaries: three sent, three received, an empty one among them
    for piece in (b'a', b'', b'ccc'):
        c.send(piece)
    head = len(f'{PC} {c.getsockname()[1]} ')
    lib.eq([c.recv(100)[head:] for _ in range(3)], [b'a', b'', b'ccc'], 'boundaries')
    lib.say('end')
    c.send(b'end')


def test_addresses_and_boundaries(net):
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', echo, ANY, 53)
    server.get()
    client = net.part('pc', ask_echo, 53)
    lib.eq(client.get(), 'end')
    client.done()
    server.done()


def receive_only(address, port):
    s = udp(address, port)
    lib.say('ready')
    s.connect((PC, 7000))
    lib.say('connected')
    lib.hear()
    got = []
    s.settimeout(0.5)
    try:
        while True:
            got.append(s.recv(100).decode())
    except TimeoutError:
        lib.say(got)


def send_from(address, port, texts):
    s = udp(address, port)
    for text in texts:
        s.sendto(text.encode(), (WEB, 7))
    lib.say('sent')


def test_connected_takes_only_its_peer(net):
    net.host('web', WEB)
    net.host('pc', PC)
    net.host('pc2', PC2)
    net.run('pc', ['true'])  # from now on its address exists
    server = net.part('web', receive_only, WEB, 7)
    lib.eq((server.get(), server.get()), ('ready', 'connected'))
    for host, address, port, text in (('pc2', PC2, 7000, 'stranger'), ('pc', PC, 7001, 'wrong port'),
                                      ('pc', PC, 7000, 'peer')):
        sender = net.part(host, send_from, address, port, [text])
        sender.get()
        sender.done()
    lib.eq(server.ask('read'), ['peer'], 'what a connected socket receives')
    server.done()


def truncate():
    s = udp(LO, 9000)
    c = udp()
    for _ in range(3):
        c.sendto(b'0123456789', (LO, 9000))
    c.sendto(b'next', (LO, 9000))
    lib.eq(s.recv(4), b'0123', 'the rest of a datagram is lost')
    data, _, flags, peer = s.recvmsg(4, 0, socket.MSG_TRUNC)
    lib.eq((data, bool(flags & socket.MSG_TRUNC)), (b'0123', True), 'MSG_TRUNC in the flags')
    lib.eq(peer[0], LO)
    lib.eq(s.recv_into(bytearray(4), 4, socket.MSG_TRUNC), 10, 'MSG_TRUNC asked: the true length')
    lib.eq(s.recv(100, socket.MSG_PEEK), b'next', 'peeked')
    lib.eq(s.recv(100), b'next')
    s.setblocking(False)
    lib.fails(errno.EAGAIN, s.recv, 1)
    lib.say('end')


def test_truncation(net):
    net.host('web', WEB)
    net.whole('web', truncate)


def sizes():
    s = udp(LO, 9000)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    c = udp()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for size in (1, 1500, 9000, 40000, BIGGEST):
        data = os.urandom(size)
        lib.eq(c.sendto(data, (LO, 9000)), size)
        got, _ = s.recvfrom(70000)
        lib.eq(len(got), size, 'length')
        lib.eq(got == data, True, f'{size} bytes arrive as they were')
    lib.fails(errno.EMSGSIZE, c.sendto, bytes(BIGGEST + 1), (LO, 9000))
    c.connect((LO, 9000))
    lib.fails(errno.EMSGSIZE, c.send, bytes(BIGGEST + 1))
    lib.eq(c.send(bytes(BIGGEST)), BIGGEST, 'goes on after EMSGSIZE')
    lib.eq(len(s.recv(70000)), BIGGEST)
    lib.say('end')


def test_sizes(net):
    net.host('web', WEB)
    net.whole('web', sizes)


def sleeper():
    s = udp(ANY, 7)
    lib.say('ready')
    lib.hear()
    got = []
    s.settimeout(0.5)
    try:
        while True:
            data, peer = s.recvfrom(2000)
            got.append([int(data[:8]), peer[0]])
    except TimeoutError:
        lib.say(got)
    # and the receiver is not stuck afterwards
    s.settimeout(lib.LIMIT)
    lib.eq(s.recv(2000), b'afterwards')
    lib.say('end')


def flood(count):
    s = udp(timeout=None)
    start = time.monotonic()
    for i in range(count):
        s.sendto(b'%08d' % i + bytes(992), (WEB, 7))
    lib.say(time.monotonic() - start)
    lib.hear()
    s.sendto(b'afterwards', (WEB, 7))


def test_slow_receiver_does_not_block(net):
    """20 MB to a receiver that sleeps: all sends return; it gets an ordered part, then new ones."""
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', sleeper)
    server.get()
    count = 20000
    client = net.part('pc', flood, count)
    seconds = client.get()
    got = server.ask('read')
    numbers = [n for n, _ in got]
    assert 20 <= len(got) < count, f'{len(got)} of {count} datagrams kept'
    lib.eq(numbers, sorted(set(numbers)), 'order')
    lib.eq(numbers[:20], list(range(20)), 'the first ones are kept, the later ones dropped')
    lib.eq({a for _, a in got}, {PC}, 'source of queued datagrams')
    client.put('again')
    lib.eq(server.get(), 'end')
    client.done()
    server.done()
    return f'{count} sends in {seconds * 1000:.0f} ms, {len(got)} kept'


def refused(address):
    c = udp()
    c.connect((address, 9))
    c.send(b'anyone?')
    lib.eq(len(select.select([c], [], [], 10)[0]), 1, 'readable: the error is there')
    lib.fails(errno.ECONNREFUSED, c.recv, 10)
    c.send(b'anyone?')  # the error was reported once; this one goes out and brings the next
    time.sleep(0.2)
    lib.eq(c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNREFUSED, 'SO_ERROR')
    lib.eq(c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0, 'SO_ERROR is cleared by reading')
    # an unconnected socket hears nothing of it
    u = udp()
    u.sendto(b'anyone?', (address, 9))
    time.sleep(0.1)
    u.sendto(b'anyone?', (address, 9))
    u.setblocking(False)
    lib.fails(errno.EAGAIN, u.recv, 10)
    lib.say('end')


def test_refused(net):
    net.host('web', WEB)
    net.host('pc', PC)
    holder = net.part('web', echo, WEB, 53)
    holder.get()
    for address in (WEB, LO):
        p = net.part('pc', refused, address)
        lib.eq(p.get(), 'end')
        p.done()


def reconnect():
    a, b, c = udp(LO, 9001), udp(LO, 9002), udp()
    c.connect((LO, 9001))
    c.send(b'for a')
    c.connect((LO, 9002))
    c.send(b'for b')
    lib.eq((a.recv(10), b.recv(10)), (b'for a', b'for b'), 'a second connect moves the peer')
    c.sendto(b'for a too', (LO, 9001))
    lib.eq(a.recv(20), b'for a too', 'sendto on a connected socket goes where it says')
    disconnect(c)
    lib.fails(errno.ENOTCONN, c.getpeername)
    lib.fails(errno.EDESTADDRREQ, c.send, b'x')
    c.sendto(b'still here', (LO, 9001))
    lib.eq(a.recv(20), b'still here')
    lib.say('end')


def disconnect(s):
    """connect with AF_UNSPEC: Python has no call for it."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    unspec = (ctypes.c_char * 16)()
    lib.eq(libc.connect(s.fileno(), unspec, 16), 0, 'connect to AF_UNSPEC')


def test_reconnect(net):
    net.host('web', WEB)
    net.whole('web', reconnect)


def vectors():
    """sendmsg with pieces, recvmsg into pieces, sendmmsg and recvmmsg through libc."""
    s, c = udp(LO, 9000), udp(LO, 9001)
    c.sendmsg([b'one ', b'datagram'], [], 0, (LO, 9000))
    first, second = bytearray(4), bytearray(20)
    size, _, flags, peer = s.recvmsg_into([first, second])
    lib.eq((size, bytes(first), bytes(second[:8]), flags, peer[:2]),
           (12, b'one ', b'datagram', 0, (LO, 9001)))
    lib.say('end')


def test_vectors(net):
    net.host('web', WEB)
    net.whole('web', vectors)


if __name__ == '__main__':
    lib.main()

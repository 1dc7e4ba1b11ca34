# SPDX-License-Identifier: Apache-2.0
"""Someone connects to a listener's kernel name behind berthd's back: accept must not return it."""
import ctypes
import os
import select
import socket
import struct

import control
import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def serve(nonblocking):
    """Says whom accept returns, to the end."""
    s = lib.listen('0.0.0.0', 80)
    lib.say('ready')
    s.setblocking(not nonblocking)
    keep = []
    while True:
        if nonblocking:
            select.select([s], [], [])
        try:
            c, peer = s.accept()
        except BlockingIOError:  # woken for one that was turned away
            continue
        keep.append(c)
        lib.say(list(peer))


def visit():
    c = lib.connect(WEB, 80)
    lib.say(list(c.getsockname()))
    lib.hear()


def forgeries(netid, listener):
    """Own names for a forged connection: none, nonsense, and ever closer to a true one."""
    slot, gen, nonce = listener
    base = b'\0berth/' + netid.encode()
    yield None
    yield b'\0evil'
    yield base
    yield base + b'/ctl2'
    yield base + b'/00000000.00000000.0000000000000000'
    yield base + b'/%08x.%08x.%016x' % (slot, gen, nonce ^ 1)
    yield base + b'/%08x.%08x.%016x' % (slot, gen + 1, nonce)
    yield base + b'/%08x.%08x.%016x' % (slot + 1, 1, 0x1234)
    yield base + b'/ffffffff.ffffffff.ffffffffffffffff'
    yield base + b'/%08x.%08x.%016x/' % (slot, gen, nonce) + b'0' * 32 + b'.0050'
    yield b'\0berth/' + b'0' * 16 + b'/%08x.%08x.%016x' % (slot, gen, nonce)
    yield base + b'/%08x.%08x.%016xx' % (slot, gen, nonce)


def forged_connections(net):
    """One for each forgery, to every listener name of the network."""
    conns = []
    for name, ident, listens, kind in control.unix_names(net.netid()):
        if not listens or kind != socket.SOCK_STREAM:
            continue
        for own in forgeries(net.netid(), ident):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(10)
            if own is not None:
                s.bind(own)
            s.connect(name)
            conns.append((own, s))
    assert conns, 'no listener was found in /proc/net/unix'
    return conns


def check(net, nonblocking):
    lib.berth_only('kernel names')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', serve, nonblocking)
    server.get()
    before = net.counter('FORGED')
    forged = forged_connections(net)
    clients = []
    for _ in range(2):
        client = net.part('pc', visit)
        clients.append(client)
        lib.eq(server.get(), client.get(), 'the first that accept returns')
    for own, s in forged:
        try:
            lib.eq(s.recv(1), b'', f'what the forged connection {own!r} sees')
        except ConnectionResetError:
            pass
        s.close()
    lib.until('every forgery counted', lambda: net.counter('FORGED') >= before + len(forged), limit=5)
    for c in clients:
        c.put('end')
        c.done()
    return f'{len(forged)} forged connections'


def test_blocking_accept(net):
    return check(net, False)


def test_nonblocking_accept(net):
    return check(net, True)


def raw_connect(listener):
    """A program of the network joins its own, truly named socket to a listener that berthd never gave it."""
    libc = ctypes.CDLL('libc.so.6', use_errno=True)  # libc's own syscall(2), not berth's
    s = socket.socket()
    s.bind((PC, 5555))
    address = struct.pack('=H', socket.AF_UNIX) + bytes.fromhex(listener)
    lib.eq(libc.syscall(42, s.fileno(), address, len(address)), 0, 'connect(2) itself')
    lib.say('joined')
    lib.hear()


def test_live_socket_that_was_not_connected(net):
    lib.berth_only('kernel names')
    if os.uname().machine != 'x86_64':
        raise lib.Skip('knows only the x86-64 system call number')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', serve, False)
    server.get()
    (listener,) = [name for name, _, listens, kind in control.unix_names(net.netid())
                   if listens and kind == socket.SOCK_STREAM]
    evil = net.part('pc', raw_connect, listener.hex())
    lib.eq(evil.get(), 'joined')
    client = net.part('pc', visit)
    lib.eq(server.get(), client.get(), 'the first that accept returns')
    for p in (client, evil):
        p.put('end')
        p.done()


def udp_server():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((WEB, 53))
    lib.say('ready')
    data, peer = s.recvfrom(100)
    lib.say([data.decode(), peer[0]])


def udp_client():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b'genuine', (WEB, 53))
    lib.say('sent')


def test_forged_datagram(net):
    lib.berth_only('kernel names')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', udp_server)
    server.get()
    sent = 0
    for name, ident, _, kind in control.unix_names(net.netid()):
        if kind != socket.SOCK_DGRAM:
            continue
        for own in list(forgeries(net.netid(), ident))[:6]:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            if own is not None:
                s.bind(own)
            s.sendto(b'forged', name)
            s.close()
            sent += 1
    assert sent, 'no datagram socket was found in /proc/net/unix'
    client = net.part('pc', udp_client)
    client.get()
    lib.eq(server.get(), ['genuine', PC], 'the first that recvfrom returns')
    client.done()
    server.done()


if __name__ == '__main__':
    lib.main()

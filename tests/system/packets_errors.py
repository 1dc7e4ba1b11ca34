# SPDX-License-Identifier: Apache-2.0
"""Errors of connections whose bytes travel in packets, and of datagrams: who is told what, and when."""
import errno
import os
import select
import socket
import struct
import time

import lib

WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
FAMILIES = (4, 6)
TCP = socket.IPPROTO_TCP
SOL = socket.SOL_SOCKET


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


def server(sends=0):
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    c, _ = s.accept()
    c.sendall(bytes(sends))
    lib.say('accepted')
    lib.hear()


def name(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]


def client_partitioned(how):
    s = lib.connect(WEB, 80, timeout=None)
    if how == 'keepalive':
        s.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
        s.setsockopt(TCP, socket.TCP_KEEPIDLE, 1)
        s.setsockopt(TCP, socket.TCP_KEEPINTVL, 1)
        s.setsockopt(TCP, socket.TCP_KEEPCNT, 2)
    else:
        s.setsockopt(TCP, socket.TCP_USER_TIMEOUT, 1500)
    lib.say('connected')
    lib.hear()
    if how != 'keepalive':
        s.sendall(b'nobody hears this')
    if how == 'so_error':
        p = select.poll()
        p.register(s, select.POLLIN)
        lib.eq(len(p.poll(20000)), 1, 'somebody is told')
        lib.say(errno.errorcode[s.getsockopt(SOL, socket.SO_ERROR)])
    elif how == 'write':
        lib.until('an error', lambda: isinstance(got := name(s.send, b'x'), str) and (lib.say(got), True)[1])
    else:
        lib.say(name(s.recv, 10))
    lib.eq(s.getsockopt(SOL, socket.SO_ERROR), 0, 'told once')
    lib.eq(s.recv(10), b'', 'then it is an end of file')
    lib.say(name(s.send, b'x'))
    lib.hear()


def partitioned(net, how):
    hosts(net, 'delay', '1ms')
    s = net.part('web', server)
    s.get()
    c = net.part('pc', client_partitioned, how)
    c.get()
    s.get()
    net.link('web', 'pc', 'down')
    lib.eq(c.ask('go'), 'ETIMEDOUT')
    lib.eq(c.get(), 'EPIPE')
    net.link('web', 'pc', 'up')  # else what the server says last goes on for minutes, as in Linux
    end(net)


def test_user_timeout_ends_a_read(net):
    partitioned(net, 'read')


def test_user_timeout_in_so_error(net):
    partitioned(net, 'so_error')


def test_user_timeout_ends_a_write(net):
    partitioned(net, 'write')


def test_keepalive_ends_a_read(net):
    partitioned(net, 'keepalive')


SENT = 600_000


def client_reads_late():
    s = lib.connect(WEB, 80, timeout=None)
    s.setsockopt(TCP, socket.TCP_USER_TIMEOUT, 1000)
    lib.say('connected')
    lib.hear()
    s.sendall(b'nobody hears this')
    time.sleep(3)
    got = 0
    while isinstance(piece := name(s.recv, 65536), bytes) and piece:
        got += len(piece)
    lib.say([got, piece if isinstance(piece, str) else 'end'])
    lib.hear()


def server_sends_much():
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    c, _ = s.accept()
    c.setblocking(False)
    total, since = 0, time.monotonic()
    while total < SENT and time.monotonic() - since < 1:
        try:
            total += c.send(bytes(min(65536, SENT - total)))
            since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    lib.say(total)
    lib.hear()


def test_what_came_before_the_error_is_read(net):
    """Bytes that TCP has acknowledged are the program's, whatever becomes of the connection."""
    hosts(net, 'delay', '1ms')
    s = net.part('web', server_sends_much)
    s.get()
    c = net.part('pc', client_reads_late)
    c.get()
    s.get()
    net.link('web', 'pc', 'down')
    got, last = c.ask('go')
    lib.eq(last, 'ETIMEDOUT')
    assert got > 60_000, f'{got} bytes'
    net.link('web', 'pc', 'up')
    end(net)


def client_syn():
    s = lib.tcp()
    s.setsockopt(TCP, socket.TCP_USER_TIMEOUT, 1500)
    lib.say(name(s.connect, (WEB, 80)))
    lib.eq(s.getsockopt(SOL, socket.SO_ERROR), 0)
    lib.hear()


def test_connect_times_out(net):
    lib.berth_only('the kernel asks for a neighbour first, and says EHOSTUNREACH')
    hosts(net, 'down')
    c = net.part('pc', client_syn)
    lib.eq(c.get(), 'ETIMEDOUT')
    end(net)


IP, RECVERR = (socket.IPPROTO_IPV6, 25) if lib.V6 else (socket.IPPROTO_IP, 11)


def udp_refused():
    u = lib.udp()
    u.connect((WEB, 53))
    u.settimeout(10)
    u.send(b'is anybody there')
    lib.say(name(u.recv, 100))
    lib.eq(u.getsockopt(SOL, socket.SO_ERROR), 0, 'told once')
    u.send(b'again')
    p = select.poll()
    p.register(u, select.POLLIN)
    lib.eq(len(p.poll(5000)), 1, 'woken')
    lib.say(errno.errorcode[u.getsockopt(SOL, socket.SO_ERROR)])
    u.setblocking(False)
    lib.eq(name(u.recv, 100), 'EAGAIN', 'told by SO_ERROR')
    u.send(b'a third time')
    lib.until('an error', lambda: name(u.send, b'x') == 'ECONNREFUSED')
    lib.say('sent')
    other = lib.udp()
    other.settimeout(0.3)
    other.sendto(b'who is not connected hears nothing', (WEB, 53))
    try:
        other.recv(100)
    except TimeoutError:
        lib.say('silence')
    lib.hear()


def test_port_unreachable_reaches_a_connected_socket(net):
    hosts(net, 'delay', '5ms')
    c = net.part('pc', udp_refused)
    lib.eq([c.get() for _ in range(4)], ['ECONNREFUSED', 'ECONNREFUSED', 'sent', 'silence'])
    end(net)


def test_port_unreachable_is_lost_with_the_link(net):
    lib.berth_only('a neighbour that does not answer')
    hosts(net, 'down')
    c = net.part('pc', udp_silent)
    lib.eq(c.get(), 'silence')
    end(net)


def udp_silent():
    u = lib.udp()
    u.connect((WEB, 53))
    u.settimeout(0.5)
    u.send(b'x')
    try:
        u.recv(10)
    except TimeoutError:
        lib.say('silence')
    lib.hear()


def error_queue(size):
    u = lib.udp()
    u.setsockopt(IP, RECVERR, 1)
    u.setblocking(False)
    sent = bytes(range(256)) * 5
    u.sendto(sent[:size], (WEB, 53))
    p = select.poll()
    p.register(u, select.POLLIN | select.POLLERR)
    lib.eq(len(p.poll(5000)), 1, 'woken')
    data, control, flags, who = u.recvmsg(2000, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    lib.eq(list(who[:2]), [WEB, 53], 'where it went')
    lib.eq(flags & socket.MSG_ERRQUEUE, socket.MSG_ERRQUEUE)
    lib.eq(data, sent[:len(data)], 'what is quoted')
    (level, kind, body), = control
    lib.eq((level, kind), (IP, RECVERR))
    number, origin, icmp, code, _, info, _ = struct.unpack_from('=IBBBBII', body)
    lib.eq((number, origin, icmp, code, info),
           (errno.ECONNREFUSED, 3, 1, 4, 0) if lib.V6 else (errno.ECONNREFUSED, 2, 3, 3, 0))
    at = 16 + (8 if lib.V6 else 4)
    lib.eq(socket.inet_ntop(lib.AF, body[at:at + (16 if lib.V6 else 4)]), WEB, 'who says so')
    lib.eq(name(u.recvmsg, 10, 512, socket.MSG_ERRQUEUE), 'EAGAIN', 'one error')
    lib.eq(u.getsockopt(SOL, socket.SO_ERROR), 0, 'SO_ERROR after the queue')
    lib.eq(name(u.recv, 10), 'EAGAIN')
    lib.say(len(data))
    lib.hear()


def test_error_queue(net):
    hosts(net, 'delay', '5ms')
    c = net.part('pc', error_queue, 100)
    lib.eq(c.get(), 100)
    end(net)


def test_error_queue_quotes_a_part(net):
    hosts(net, 'delay', '1ms')
    c = net.part('pc', error_queue, 1280)
    lib.eq(c.get(), 1280 - 48 - 48 if lib.V6 else 576 - 28 - 28)
    end(net)


def test_error_queue_without_packets(net):
    net.host('web', WEB)
    net.host('pc', PC)
    net.part('web', wait).get()
    c = net.part('pc', error_queue, 1280)
    lib.eq(c.get(), 1280 - 48 - 48 if lib.V6 else 576 - 28 - 28)
    end(net)


def test_empty_datagrams_are_datagrams(net):
    """What wakes a program for an error is none; what a program sends is one."""
    hosts(net, 'delay', '1ms')
    s = net.part('web', udp_empty)
    s.get()
    c = net.part('pc', udp_asks_empty)
    lib.eq(c.get(), 'three')
    end(net)


def udp_empty():
    u = lib.udp()
    u.bind((lib.addr('0.0.0.0'), 54))
    lib.say('ready')
    while True:
        _, who = u.recvfrom(10)
        u.sendto(b'', who)


def udp_asks_empty():
    u = lib.udp()
    u.settimeout(10)
    for _ in range(3):
        u.sendto(b'', (WEB, 54))
        u.setblocking(True)
        lib.eq(os.read(u.fileno(), 10), b'')
    lib.say('three')
    lib.hear()


if __name__ == '__main__':
    lib.main()

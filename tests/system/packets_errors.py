# SPDX-License-Identifier: Apache-2.0
"""Errors of connections whose bytes travel in packets, and of datagrams: who is told what, and when."""
import errno
import select
import socket
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


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""Urgent data (tcp(7)), joined directly and in packets."""
import array
import errno
import fcntl
import select
import socket

import lib

WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
FAMILIES = (4, 6)
SIOCATMARK = 0x8905


def hosts(net, *words):
    net.host('web', WEB)
    net.host('pc', PC)
    for name in ('web', 'pc'):
        net.part(name, wait)
    for p in net.procs:
        p.get()
    if words:
        net.link('web', 'pc', *words)


def wait():
    lib.say('here')
    lib.hear()


def at_mark(s):
    flag = array.array('i', [0])
    fcntl.ioctl(s.fileno(), SIOCATMARK, flag)
    return flag[0]


def server(inline):
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    c, _ = s.accept()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, inline)
    p = select.poll()
    p.register(c, select.POLLPRI)
    lib.eq(p.poll(100), [], 'nothing urgent yet')
    lib.say('waits')
    lib.eq([e & select.POLLPRI for _, e in p.poll(10000)], [select.POLLPRI])
    lib.hear()  # all has been sent
    if not inline:
        lib.eq(c.recv(1, socket.MSG_OOB), b'!')
        lib.fails(errno.EINVAL, c.recv, 1, socket.MSG_OOB)
    lib.eq((lib.recv_all(c, 1), at_mark(c)), (b'a', 0))
    lib.eq(c.recv(100), b'bc', 'reading stops at the mark')
    lib.eq(at_mark(c), 1)
    lib.eq(lib.recv_all(c, 4 if inline else 3), b'!def' if inline else b'def')
    lib.eq(at_mark(c), 0)
    c.send(b'?', socket.MSG_OOB)
    c.send(b'x')
    lib.eq(lib.recv_end(c), b'')
    lib.say('done')
    lib.hear()


def client():
    c = lib.connect(WEB, 80, timeout=None)
    lib.hear()
    c.sendall(b'abc')
    c.send(b'!', socket.MSG_OOB)
    c.sendall(b'def')
    lib.say('sent')
    p = select.poll()
    p.register(c, select.POLLPRI)
    lib.eq(len(p.poll(10000)), 1)
    lib.eq(c.recv(1, socket.MSG_OOB), b'?')
    lib.eq(c.recv(10), b'x')  # past the mark: TCP counts an urgent byte before it as unread
    c.close()
    lib.say('closed')
    lib.hear()


def urgent(net, inline, *words):
    hosts(net, *words)
    s = net.part('web', server, inline)
    s.get()
    c = net.part('pc', client)
    lib.eq(s.get(), 'waits')
    lib.eq(c.ask('go'), 'sent')
    s.put('all is sent')
    lib.eq(c.get(), 'closed')
    lib.eq(s.get(), 'done')
    for p in net.procs:
        p.kill()


def test_joined_directly(net):
    urgent(net, 0)


def test_joined_directly_inline(net):
    urgent(net, 1)


def test_in_packets(net):
    urgent(net, 0, 'delay', '2ms')


def test_in_packets_inline(net):
    urgent(net, 1, 'delay', '2ms')


if __name__ == '__main__':
    lib.main()

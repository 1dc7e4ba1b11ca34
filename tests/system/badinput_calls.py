# SPDX-License-Identifier: Apache-2.0
"""Bad arguments to the socket calls: Linux's errno, never a crash. (tests/posix compares many more.)"""
import ctypes
import errno
import socket
import struct

import lib

WEB = '192.168.1.100'
libc = ctypes.CDLL(None, use_errno=True)


def sockaddr(address, port, family=socket.AF_INET):
    return struct.pack('=H', family) + struct.pack('>H', port) + socket.inet_aton(address) + bytes(8)


def raw(name, *args):
    """A libc call with any arguments: its errno's name, or its result."""
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else result


def fresh(kind=socket.SOCK_STREAM):
    return socket.socket(socket.AF_INET, kind)


def unknown_addresses():
    fails = lib.fails
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        fails(errno.EADDRNOTAVAIL, fresh(kind).bind, ('203.0.113.7', 80))
        if kind == socket.SOCK_STREAM or not lib.KERNEL:  # there, UDP's connect has a route to try
            fails((errno.ENETUNREACH, errno.EHOSTUNREACH), fresh(kind).connect, ('203.0.113.7', 80))
    fails(errno.ECONNREFUSED, fresh().connect, (WEB, 81))
    fails(errno.ECONNREFUSED, fresh().connect, ('127.0.0.1', 81))
    fails(errno.ECONNREFUSED, fresh().connect, ('127.255.1.2', 81))
    lib.say('end')


def addresses_of_nonsense():
    """Pointers and lengths. The program must still be there afterwards, and its socket usable."""
    good = sockaddr('127.0.0.1', 0)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = fresh(kind)
        fd = s.fileno()
        for call in ('bind', 'connect'):
            lib.eq(raw(call, fd, None, 16), 'EFAULT', f'{call} NULL')
            lib.eq(raw(call, fd, ctypes.c_void_p(1), 16), 'EFAULT', f'{call} of a bad pointer')
            lib.eq(raw(call, fd, good, 1), 'EINVAL', f'{call} of 1 byte')
            lib.eq(raw(call, fd, good, 15), 'EINVAL', f'{call} of 15 bytes')
            lib.eq(raw(call, fd, good, 0), 'EINVAL', f'{call} of 0 bytes')
            lib.eq(raw(call, fd, good, -1), 'EINVAL', f'{call} of -1 bytes')
            lib.eq(raw(call, fd, good + bytes(2000), 1000), 'EINVAL', f'{call} of 1000 bytes')
            lib.eq(raw(call, fd, sockaddr('127.0.0.1', 0, 99), 16), 'EAFNOSUPPORT', f'{call} of family 99')
            if call == 'bind':
                lib.eq(raw('bind', fd, good, 16), 0, 'bind afterwards')
        size = ctypes.c_int(16)
        lib.eq(raw('getsockname', fd, None, ctypes.byref(size)), 'EFAULT')
        lib.eq(raw('getsockname', fd, good, None), 'EFAULT')
        lib.eq(raw('getsockname', fd, good, ctypes.byref(ctypes.c_int(-1))), 'EINVAL')
        lib.eq(raw('getsockopt', fd, 1, 4, None, ctypes.byref(size)), 'EFAULT')
        lib.eq(raw('setsockopt', fd, 1, 2, None, 4), 'EFAULT')
        lib.eq(raw('setsockopt', fd, 1, 2, good, 1), 'EINVAL')
        lib.eq(raw('setsockopt', fd, 1, 9999, good, 4), 'ENOPROTOOPT')
        lib.eq(raw('setsockopt', fd, 999, 1, good, 4), 'ENOPROTOOPT')
        lib.eq(raw('getsockopt', fd, 1, 9999, good, ctypes.byref(size)), 'ENOPROTOOPT')
    s = fresh()
    s.bind(('127.0.0.1', 0))
    s.listen()
    c = socket.create_connection(s.getsockname())
    lib.eq(raw('accept', s.fileno(), ctypes.c_void_p(1), ctypes.byref(ctypes.c_int(16))), 'EFAULT', 'accept')
    c2 = socket.create_connection(s.getsockname())
    # Linux has lost the first one by now; a host may still hand it out
    lib.eq(s.accept()[1] in (c.getsockname(), c2.getsockname()), True, 'accept afterwards')
    for call in ('bind', 'connect'):
        lib.eq(raw(call, 999, good, 16), 'EBADF')
        lib.eq(raw(call, 0, good, 16), 'ENOTSOCK')
    lib.eq(raw('listen', 0, 1), 'ENOTSOCK')
    lib.say('end')


def kinds():
    """What a host has no sockets of."""
    made = {}
    for what, args in {'SCTP': (2, 1, 132), 'stream over UDP': (2, 1, 17), 'datagrams over TCP': (2, 2, 6),
                       'family 99': (99, 1, 0), 'type 99': (2, 99, 0), 'protocol 9999': (2, 1, 9999)}.items():
        made[what] = raw('socket', *args)
    lib.say(made)
    c = fresh()
    lib.fails(errno.ENOTCONN, c.getpeername)
    lib.fails(errno.ENOTCONN, c.recv, 1)
    lib.fails(errno.EINVAL, c.accept)
    u = fresh(socket.SOCK_DGRAM)
    lib.fails(errno.EOPNOTSUPP, u.listen)
    lib.fails(errno.EDESTADDRREQ, u.send, b'x')
    lib.say('end')


def no_packets():
    """Raw and packet sockets would see the real network: there are none in a host."""
    made = {}
    for what, args in {'raw ICMP': (2, 3, 1), 'raw TCP': (2, 3, 6), 'packet': (17, 3, 0x300)}.items():
        got = raw('socket', *args)
        made[what] = got if isinstance(got, str) else 'made'
    lib.say(made)


def run(net, part):
    net.host('web', WEB)
    p = net.part('web', part)
    return p


def test_unknown_addresses(net):
    p = run(net, unknown_addresses)
    lib.eq(p.get(), 'end')
    p.done()


def test_nonsense(net):
    p = run(net, addresses_of_nonsense)
    lib.eq(p.get(), 'end')
    p.done()


def test_kinds(net):
    p = run(net, kinds)
    lib.eq(p.get(), {'SCTP': 'EPROTONOSUPPORT', 'stream over UDP': 'EPROTONOSUPPORT',
                     'datagrams over TCP': 'EPROTONOSUPPORT', 'family 99': 'EAFNOSUPPORT', 'type 99': 'EINVAL',
                     'protocol 9999': 'EINVAL'})
    lib.eq(p.get(), 'end')
    p.done()


def test_no_raw_sockets(net):
    lib.berth_only('the kernel has raw sockets')
    p = run(net, no_packets)
    made = p.get()
    p.done()
    assert 'made' not in made.values(), made


if __name__ == '__main__':
    lib.main()

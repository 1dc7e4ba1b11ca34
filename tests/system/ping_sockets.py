# SPDX-License-Identifier: Apache-2.0
"""Ping sockets: ICMP echo of programs, and Debian's own ping in a host."""
import array
import errno
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess

import lib

FAMILIES = (4, 6)
WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
NOBODY = lib.addr('10.0.0.51')  # in PC's prefix
LO, ANY = lib.addr('127.0.0.1'), lib.addr('0.0.0.0')
LENGTH = 64 if lib.V6 else 24
PROTO = socket.IPPROTO_ICMPV6 if lib.V6 else socket.IPPROTO_ICMP
REQUEST, REPLY = (128, 129) if lib.V6 else (8, 0)
SOL = socket.SOL_SOCKET
IP = socket.IPPROTO_IPV6 if lib.V6 else socket.IPPROTO_IP
TTL, RECVTTL, RECVERR = (16, 51, 25) if lib.V6 else (2, 12, 11)  # IPV6_UNICAST_HOPS..., IP_TTL...
GOT_TTL = 52 if lib.V6 else 2  # IPV6_HOPLIMIT, IP_TTL
ERRQUEUE = 0x2000  # MSG_ERRQUEUE
TIMESTAMP = 29  # SO_TIMESTAMP
LIMIT = struct.pack('qq', int(lib.LIMIT), 0)


def hosts(net):
    for name, address in (('web', WEB), ('pc', PC)):
        net.host(name, f'{address}/{LENGTH}')
        net.part(name, wait).get()
        if lib.KERNEL:  # in a host of berth everybody may
            net.sysctl(name, 'net.ipv4.ping_group_range=0 2147483647')


def wait():
    lib.say('here')
    lib.hear()


def whole(net, function, *args):
    hosts(net)
    net.whole('pc', function, *args)


def ping(timeout=LIMIT):
    s = socket.socket(lib.AF, socket.SOCK_DGRAM, PROTO)
    s.setsockopt(SOL, socket.SO_RCVTIMEO, timeout)
    return s


def request(sequence=1, data=b'berth', kind=REQUEST, code=0):
    return struct.pack('!BBHHH', kind, code, 0, 4711, sequence) + data


def answer(s, sequence=1, data=b'berth', source=None):
    """Receives the answer to request(sequence, data), and looks at all of it."""
    got, who = s.recvfrom(65536)
    lib.eq((got[0], got[1]), (REPLY, 0), 'type and code')
    lib.eq(struct.unpack('!HH', got[4:8]), (s.getsockname()[1], sequence), 'identifier and sequence number')
    lib.eq(got[8:], data)
    if not lib.V6:  # over the header as well
        words = got + bytes(len(got) % 2)
        total = sum(struct.unpack(f'!{len(words) // 2}H', words))
        lib.eq((total & 0xffff) + (total >> 16) & 0xffff, 0xffff, 'checksum')
    if source:
        lib.eq(who[:2], (source, 0), 'source')


# --- the calls

def calls():
    s = ping()
    lib.eq([s.getsockopt(SOL, o) for o in (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL)],
           [lib.AF, socket.SOCK_DGRAM, PROTO])
    lib.eq(s.getsockopt(SOL, socket.SO_REUSEADDR), 1, 'at first')
    lib.eq(s.getsockname()[:2], (ANY, 0))
    for target in (LO, PC, WEB):
        lib.eq(s.sendto(request(), (target, 0)), 13)
        answer(s, source=target)
    lib.eq(s.getsockname()[0], ANY)
    s.sendto(request(2), (WEB, 1234))  # the port means nothing
    answer(s, 2, source=WEB)
    s.sendto(request(3, b''), (WEB, 0))
    answer(s, 3, b'')
    for size in (1400, 1500, 40000):  # the last ones in fragments
        s.sendto(request(4, bytes(size)), (WEB, 0))
        answer(s, 4, bytes(size))
    s.sendmsg([request()[:3], request()[3:], b'!'], [], 0, (WEB, 0))
    answer(s, 1, b'berth!')
    # only whole echo requests, and not too long ones
    for wrong in (b'', request()[:7], request(kind=REPLY), request(code=1), request(kind=13)):
        lib.fails(errno.EINVAL, s.sendto, wrong, (WEB, 0))
    lib.fails(errno.EMSGSIZE, s.sendto, request(1, bytes(65528)), (WEB, 0))
    lib.fails(errno.EOPNOTSUPP, s.sendto, request(), socket.MSG_OOB, (WEB, 0))
    lib.fails(errno.EDESTADDRREQ, s.send, request())
    lib.fails(errno.EOPNOTSUPP, s.listen, 1)
    lib.fails(errno.EOPNOTSUPP, s.accept)
    lib.fails(errno.ENOTCONN, ping().shutdown, socket.SHUT_WR)
    lib.fails(errno.ENOTCONN, s.getpeername)
    lib.fails(errno.EAGAIN, s.recv, 100, socket.MSG_DONTWAIT)
    # part of an answer
    s.sendto(request(), (WEB, 0))
    got, _, flags, _ = s.recvmsg(9)
    lib.eq((len(got), flags & socket.MSG_TRUNC), (9, socket.MSG_TRUNC))
    s.sendto(request(5), (WEB, 0))
    lib.eq(s.recv(100, socket.MSG_PEEK)[8:], b'berth')
    answer(s, 5)
    lib.say('end')


def test_calls(net):
    whole(net, calls)


def identifiers():
    s, other = ping(), ping()
    s.bind((PC, 4321))
    lib.eq(s.getsockname()[:2], (PC, 4321))
    lib.fails(errno.EINVAL, s.bind, (PC, 4322))
    s.sendto(request(), (WEB, 0))
    answer(s)
    other.setsockopt(SOL, socket.SO_REUSEADDR, 0)
    lib.fails(errno.EADDRINUSE, other.bind, (LO, 4321))
    lib.eq(other.getsockname()[:2], (ANY, 0))
    other.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    other.bind((LO, 4321))
    low, some = ping(), ping()
    low.bind((ANY, 7))  # there are no privileged ones
    some.bind((LO, 0))
    assert some.getsockname()[1] != 0
    lib.fails(errno.EINVAL, some.bind, (LO, 0))
    lib.fails(errno.EADDRNOTAVAIL, ping().bind, (WEB, 0))
    a, b = ping(), ping()
    for x in (a, b):
        x.sendto(request(), (LO, 0))
        answer(x)
    assert a.getsockname()[1] != b.getsockname()[1]
    lib.say('end')


def test_identifiers(net):
    whole(net, identifiers)


def disconnect(s):
    import ctypes
    if ctypes.CDLL(None).connect(s.fileno(), bytes(28), 28):
        raise OSError


def connected():
    s = ping()
    s.connect((WEB, 99))
    lib.eq((s.getsockname()[0], s.getpeername()[:2]), (PC, (WEB, 99)))
    own = s.getsockname()[1]
    s.send(request())
    answer(s, source=WEB)
    os.write(s.fileno(), request(2))
    lib.eq(os.read(s.fileno(), 100)[6:], b'\0\2berth')
    s.sendto(request(3), (PC, 0))  # others as well
    answer(s, 3, source=PC)
    s.connect((PC, 0))
    lib.eq((s.getsockname()[0], s.getsockname()[1]), (PC, own))
    lib.fails(errno.ENOTCONN, s.getpeername)
    s.send(request(4))
    answer(s, 4, source=PC)
    disconnect(s)
    lib.eq(s.getsockname()[:2], (ANY, 0), 'what connect gave is gone')
    lib.fails(errno.EDESTADDRREQ, s.send, request())
    b = ping()
    b.bind((PC, 77))
    b.connect((WEB, 0))
    disconnect(b)
    lib.eq(b.getsockname()[:2], (PC, 77), 'what bind gave is kept')
    end = ping()
    end.connect((WEB, 1))
    end.shutdown(socket.SHUT_WR)
    lib.fails(errno.EPIPE, end.send, request())
    lib.say('end')


def test_connected(net):
    whole(net, connected)


def options():
    s = ping()
    s.setsockopt(IP, RECVTTL, 1)
    s.setsockopt(SOL, TIMESTAMP, 1)
    lib.eq(s.getsockopt(IP, TTL), 64)
    s.setsockopt(IP, TTL, 7)
    lib.eq(s.getsockopt(IP, TTL), 7)
    s.sendto(request(), (WEB, 0))
    _, control, _, _ = s.recvmsg(100, 500)
    kinds = {(level, kind): data for level, kind, data in control}
    lib.eq(kinds[(IP, GOT_TTL)], struct.pack('i', 64), "the answer's")
    lib.eq(len(kinds[(SOL, TIMESTAMP)]), 16)
    lib.eq(len(kinds), 2)
    for option in (1, 7, 10):  # IP_TOS, IP_RETOPTS, IP_MTU_DISCOVER, as ping sets them
        s.setsockopt(socket.IPPROTO_IP, option, 1)
    s.setsockopt(SOL, socket.SO_SNDBUF, 324)
    s.setsockopt(SOL, socket.SO_RCVBUF, 65536)
    lib.eq(s.getsockopt(SOL, socket.SO_RCVBUF), 131072)
    lib.fails(errno.ENOPROTOOPT, s.setsockopt, socket.IPPROTO_UDP, 1, 1)  # UDP_CORK
    lib.fails(errno.ENOPROTOOPT, s.setsockopt, 255, 1, bytes(4))  # ICMP_FILTER is for raw ones
    lib.eq(s.sendto(request(2, bytes(3000)), (WEB, 0)), 3008, 'whatever the send buffer')
    lib.eq(len(s.recv(4000)), 3008)
    s.setsockopt(SOL, socket.SO_RCVTIMEO, struct.pack('qq', 0, 10000))
    lib.fails(errno.EAGAIN, s.recv, 100)
    lib.say('end')


def test_options(net):
    whole(net, options)


def many():
    """More answers than a descriptor's own queue has room for."""
    s = ping()
    p = select.epoll()
    p.register(s, select.EPOLLIN)
    for i in range(100):
        s.sendto(request(i), (WEB, 0))
    for i in range(100):
        lib.eq([e for _, e in p.poll(lib.LIMIT)], [select.EPOLLIN])
        answer(s, i)
    lib.fails(errno.EAGAIN, s.recv, 100, socket.MSG_DONTWAIT)
    lib.say('end')


def test_many(net):
    whole(net, many)


# --- errors

def refused():
    s = ping()
    for wrong in ('192.0.2.1',) if lib.V6 else ('::1',):
        try:
            s.sendto(request(), (wrong, 0))
        except (OSError, socket.gaierror):
            continue
        raise AssertionError(f'{wrong} was taken')
    if not lib.V6:
        lib.fails((errno.EACCES, errno.ENETUNREACH), s.connect, ('255.255.255.255', 0))
    if not lib.KERNEL:  # whose hosts have a route to anywhere
        away = '2001:db8::1' if lib.V6 else '203.0.113.7'
        lib.fails(errno.ENETUNREACH, s.connect, (away, 0))
        lib.fails(errno.ENETUNREACH, s.sendto, request(), (away, 0))
        lib.fails(errno.EPERM, socket.socket, lib.AF, socket.SOCK_RAW, PROTO)
    lib.fails(errno.EPROTONOSUPPORT, socket.socket, lib.AF, socket.SOCK_DGRAM, 1 if lib.V6 else 58)
    lib.eq(s.sendto(request(), (LO, 0)), 13, 'nothing has broken it')
    answer(s)
    lib.say('end')


def test_refused(net):
    whole(net, refused)


def unreachable():
    s = ping()
    s.setsockopt(IP, RECVERR, 1)
    for i in range(3):
        s.sendto(request(i), (NOBODY, 0))
        if i == 0:
            lib.fails(errno.EHOSTUNREACH, s.recv, 100)
        else:
            lib.until('an error', lambda: s.getsockopt(SOL, socket.SO_ERROR) == errno.EHOSTUNREACH)
        data, control, flags, where = s.recvmsg(100, 500, ERRQUEUE)
        lib.eq((data[0], data[6:], where[:2]), (REQUEST, request(i)[6:], (NOBODY, 0)))
        lib.eq(struct.unpack('!H', data[4:6])[0], s.getsockname()[1])
        lib.eq(flags & ERRQUEUE, ERRQUEUE)
        (level, kind, error), = control
        lib.eq((level, kind), (IP, RECVERR))
        number, origin, what, code = struct.unpack('IBBB', error[:7])
        lib.eq((number, origin, what, code), (errno.EHOSTUNREACH, 3, 1, 3) if lib.V6 else (errno.EHOSTUNREACH, 2, 3, 1))
        raw = error[24:40] if lib.V6 else error[20:24]
        lib.eq(socket.inet_ntop(lib.AF, raw), PC, 'who says so')
    lib.fails(errno.EAGAIN, s.recvmsg, 100, 500, ERRQUEUE)
    lib.eq(s.getsockopt(SOL, socket.SO_ERROR), 0)
    # several that wait are told one after the other
    for i in range(3):
        try:
            s.sendto(request(i), (NOBODY, 0))
        except OSError as e:  # tells the error of an earlier one
            lib.eq(e.errno, errno.EHOSTUNREACH)
    lib.fails(errno.EHOSTUNREACH, s.recv, 100)
    seen = 0
    while True:
        try:
            s.recvmsg(100, 500, ERRQUEUE)
        except BlockingIOError:
            break
        seen += 1
    assert 1 <= seen <= 3, seen
    s.setsockopt(IP, RECVERR, 0)
    for target in (NOBODY, WEB):
        lib.until('no older error', lambda: not s.getsockopt(SOL, socket.SO_ERROR))
        s.sendto(request(9), (target, 0))
    answer(s, 9, source=WEB)  # and of the other nothing is said
    lib.say('end')


def test_unreachable(net):
    whole(net, unreachable)


def filtered():
    s = ping(struct.pack('qq', 0, 200000))
    lib.eq(s.sendto(request(), (WEB, 0)), 13)
    lib.fails(errno.EAGAIN, s.recv, 100)
    lib.say('lost')
    lib.hear()
    if lib.V6:  # icmpv6_push_pending_frames tells nobody
        lib.eq(s.sendto(request(), (WEB, 0)), 13)
    else:
        lib.fails(errno.EPERM, s.sendto, request(), (WEB, 0))
    lib.fails(errno.EAGAIN, s.recv, 100)
    lib.say('end')


def test_filtered(net):
    hosts(net)
    net.filter('web', ['drop in icmp'])
    p = net.part('pc', filtered)
    lib.eq(p.get(), 'lost')
    net.filter('pc', ['drop out icmp'])
    lib.eq(p.ask('go'), 'end')
    p.done()


# --- who holds it

def holders():
    s = ping()
    s.bind((ANY, 900))
    pid = os.fork()
    if pid == 0:
        s.sendto(request(1), (WEB, 0))
        answer(s, 1)
        os._exit(0)
    lib.eq(os.waitpid(pid, 0)[1], 0, 'the child')
    copy = s.dup()
    s.close()
    copy.sendto(request(2), (WEB, 0))
    answer(copy, 2)
    # one that has no name yet, and one that has, over exec
    fresh = ping()
    for x in (copy, fresh):
        x.set_inheritable(True)
        name = x.getsockname()[1]
        pid = os.posix_spawn(lib.PY, [lib.PY, __file__, '--part', 'heir', f'[{x.fileno()}, {name}]'], os.environ)
        lib.eq(os.waitpid(pid, 0)[1], 0, 'the program')
    assert fresh.getsockname()[1] != 0, 'it was given an identifier by the other program'
    # and handed over
    mine, its = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        copy.close()
        _, control, _, _ = mine.recvmsg(1, 100)
        fds = array.array('i', control[0][2][:4])
        heir(fds[0], 900)
        os._exit(0)
    its.sendmsg([b'x'], [(SOL, socket.SCM_RIGHTS, array.array('i', [copy.fileno()]))])
    copy.close()
    lib.eq(os.waitpid(pid, 0)[1], 0, 'who got it')
    last = ping()
    last.setsockopt(SOL, socket.SO_REUSEADDR, 0)
    lib.until('the identifier to be free', lambda: not name_error(last.bind, (ANY, 900)))
    lib.say('end')


def name_error(call, *args):
    try:
        call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return None


def heir(fd, name):
    s = socket.socket(fileno=fd)
    lib.eq((s.family, s.type, s.proto), (lib.AF, socket.SOCK_DGRAM, PROTO))
    lib.eq(s.getsockname()[1], name)
    s.sendto(request(3), (WEB, 0))
    answer(s, 3, source=WEB)


def test_holders(net):
    whole(net, holders)


def holder():
    s = ping()
    s.bind((ANY, 901))
    lib.say('bound')
    lib.hear()


def taker():
    s = ping()
    s.setsockopt(SOL, socket.SO_REUSEADDR, 0)
    lib.eq(name_error(s.bind, (ANY, 901)), 'EADDRINUSE')
    lib.say('in use')
    lib.hear()
    lib.until('the identifier to be free', lambda: not name_error(s.bind, (ANY, 901)))
    lib.say('taken')


def test_killed(net):
    hosts(net)
    h = net.part('pc', holder)
    lib.eq(h.get(), 'bound')
    t = net.part('pc', taker)
    lib.eq(t.get(), 'in use')
    if not lib.KERNEL:
        lib.eq(net.ss(), [], 'it has no port that an instrument could show')
    h.kill()
    lib.eq(t.ask('go'), 'taken')
    t.done()


def survivor():
    s = ping()
    s.bind((PC, 902))
    s.connect((WEB, 5))
    s.send(request(1))
    answer(s, 1)
    lib.say('bound')
    lib.hear()
    lib.until('berthd', lambda: not name_error(s.send, request(2)))
    answer(s, 2, source=WEB)
    lib.eq((s.getsockname()[:2], s.getpeername()[:2]), ((PC, 902), (WEB, 5)))
    lib.say('end')


def listener():
    s = lib.listen(ANY, 80)
    lib.say('ready')
    s.accept()[0].sendall(b'welcome')
    lib.hear()


def visitor():
    lib.eq(lib.recv_all(lib.connect(WEB, 80), 7), b'welcome')
    lib.say('end')


def test_daemon_killed(net):
    lib.berth_only('berthd')
    hosts(net)
    web = net.part('web', listener)
    web.get()
    p = net.part('pc', survivor)
    lib.eq(p.get(), 'bound')
    os.kill(net.daemon_pid(), signal.SIGKILL)
    net.run('web', ['true'])  # starts the next one
    lib.eq(p.ask('go'), 'end')
    p.done()
    net.link('web', 'pc', 'delay', '1ms')  # the engine, which ping sockets needed early, knows of listeners
    net.whole('pc', visitor)
    web.kill()


# --- Debian's ping

def program():
    """Who is not root needs one without capabilities, since LD_PRELOAD does not reach the other."""
    lib.has('ping')
    path = shutil.which('ping')
    if os.geteuid() == 0:
        return path
    if not os.path.exists('ping'):
        shutil.copy(path, 'ping')
    return os.path.abspath('ping')


def run(net, *words, host='pc', status=0):
    """What it says, the part of the answers that were received, in percent, and the least round trip."""
    out = net.run(host, [program(), *words], status=status, env={**os.environ, 'LC_ALL': 'C'})
    lost = re.search(r'([\d.]+)% packet loss', out)
    least = re.search(r'rtt min/avg/max/mdev = ([\d.]+)/', out)
    return out, lost and 100 - float(lost[1]), least and float(least[1])


def test_program_with_capabilities(net):
    lib.berth_only('berth run')
    lib.has('ping', 'setpriv')
    path = shutil.which('ping')
    if os.geteuid() == 0 or 'security.capability' not in os.listxattr(path):
        raise lib.Skip('root, or a ping without file capabilities')
    hosts(net)
    for before in ([], ['setpriv', '--no-new-privs', '--']):  # which the loader does not care about
        p = subprocess.run(before + net.argv('pc', [path, '-c', '1', WEB]), capture_output=True, text=True)
        lib.eq(p.returncode, 126, p.stdout + p.stderr)
        assert f'cp {path} .' in p.stderr, p.stderr


def test_program(net):
    hosts(net)
    for target in (WEB, PC, LO):
        out, got, _ = run(net, '-c', '3', '-i', '0.2', target)
        lib.eq(got, 100, out)
        lib.eq(len(re.findall(f'^64 bytes from {target}: icmp_seq=[123] ttl=64 time=', out, re.M)), 3, out)
    out, got, _ = run(net, '-6' if lib.V6 else '-4', '-n', '-q', '-c', '2', '-i', '0.2', '-s', '3000', '-t', '9',
                      '-W', '5', '-I', PC, WEB)
    lib.eq(got, 100, out)
    lib.eq(run(net, '-c', '1', '-I', 'eth0', WEB)[1], 100)
    lib.eq(run(net, '-c', '1', '-w', '20', WEB)[1], 100)
    haste = ['-f'] if os.geteuid() == 0 else ['-i', '0.01']  # only root may flood
    lib.eq(run(net, *haste, '-c', '50', WEB)[1], 100)
    if not lib.KERNEL:
        lib.eq(run(net, '-c', '1', 'web')[1], 100)
        assert 'Network is unreachable' in run(net, '-c', '1', '2001:db8::1' if lib.V6 else '203.0.113.7', status=2)[0]
    out = run(net, '-M', 'do', '-s', '3000', '-c', '1', WEB, status=1)[0]
    assert 'message too long, mtu' in out, out


def test_program_and_nobody(net):
    hosts(net)
    out, got, _ = run(net, '-c', '3', '-i', '0.2', NOBODY, status=1)
    lib.eq(got, 0, out)
    assert '+3 errors' in out, out
    say = 'Destination unreachable: Address unreachable' if lib.V6 else 'Destination Host Unreachable'
    lib.eq(len(re.findall(f'^From {PC} icmp_seq=[123] {say}', out, re.M)), 3, out)


def test_program_over_links(net):
    hosts(net)
    if not lib.KERNEL:  # which may have no netem
        net.link('web', 'pc', 'delay', '20ms')
        out, got, least = run(net, '-c', '3', '-i', '0.2', WEB)
        lib.eq((got, least >= 40), (100, True), out)
        net.link('web', 'pc', 'delay', '0ms', 'loss', '30%')
        out, got, _ = run(net, '-c', '50', '-i', '0.01', '-W', '0.5', WEB)
        assert 10 < got < 90, out
        net.link('web', 'pc', 'loss', '0%')
    net.link('web', 'pc', 'down')
    out, got, _ = run(net, '-c', '2', '-i', '0.2', '-W', '0.5', WEB, status=1)
    lib.eq(got, 0, out)
    net.link('web', 'pc', 'up')
    out, got, _ = run(net, '-c', '1', '-w', '20', WEB)
    lib.eq(run(net, '-c', '1', '-W', '20', WEB)[1], 100)


def test_program_killed(net):
    hosts(net)
    p = net.popen('pc', [program(), '-i', '0.01', WEB])
    lib.until('an answer', lambda: 'icmp_seq' in (p.line() or ''))
    p.kill()
    lib.eq(run(net, '-c', '1', WEB)[1], 100)


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""Malformed, hostile and foreign control messages: refused, counted, nothing lost for others."""
import errno
import os
import random
import socket

import control
import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def innocent_server():
    s = lib.listen('0.0.0.0', 80)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((WEB, 53))
    lib.say('ready')
    conns = [s.accept()[0]]
    s.settimeout(lib.LIMIT)
    while True:
        word = lib.hear()
        if word == 'answer':
            lib.say(conns[0].recv(100).decode())
        elif word == 'accept':
            conns.append(s.accept()[0])
            lib.say(conns[-1].getpeername()[0])
        elif word == 'names':
            lib.say([list(conns[0].getpeername()), list(s.getsockname()), list(u.getsockname())])


def innocent_client():
    c = lib.connect(WEB, 80)
    lib.say('connected')
    while True:
        lib.hear()
        c.sendall(b'still here')


def visit():
    lib.say(lib.connect(WEB, 80).getpeername()[0])


class Innocent:
    """A connection, a listener and a UDP socket in whose life nothing may change."""

    def __init__(self, net):
        self.net = net
        net.host('web', WEB)
        net.host('pc', PC)
        self.server = net.part('web', innocent_server)
        self.server.get()
        self.client = net.part('pc', innocent_client)
        self.client.get()
        self.rows = self.now()
        self.names = self.server.ask('names')
        self.pid = net.daemon_pid()

    def now(self):
        return sorted(r[:7] for r in self.net.ss() if r.state != 'TIME-WAIT')

    def check(self):
        lib.eq(self.net.daemon_pid(), self.pid, 'berthd')
        assert os.path.exists(f'/proc/{self.pid}'), 'berthd is gone'
        self.client.put('send')
        lib.eq(self.server.ask('answer'), 'still here')
        lib.eq(self.server.ask('names'), self.names)
        lib.eq([r for r in self.rows if r not in self.now()], [], 'rows that changed')
        self.server.put('accept')
        v = self.net.part('pc', visit)
        lib.eq(v.get(), WEB)
        lib.eq(self.server.get(), PC)
        v.done()


def nonsense():
    """Packets that no version of the contract allows."""
    r = control.request
    yield b'\0'
    yield b'x' * 8
    yield b'x' * 55
    yield r(control.IDENT)[:-1]
    yield r(control.IDENT) + b'more than it says'
    yield r(control.IDENT, extra_said=10)
    yield r(control.IDENT, extra_said=0xffffffff)
    yield r(control.IDENT, b'x' * 10, extra_said=0)
    yield r(control.BIND, version=0)
    yield r(control.BIND, version=control.VERSION + 1)
    yield r(control.BIND, version=control.VERSION + 155)
    yield r(0)
    yield r(control.MSG_TYPES)
    yield r(255)
    yield os.urandom(56)
    yield os.urandom(65536)


def test_malformed(net):
    lib.berth_only('the control socket')
    innocent = Innocent(net)
    bad = 0
    for greeted in (False, True):
        for packet in nonsense():
            before = net.counter('MALFORMED')
            c = control.Control(net.netid())
            if greeted:
                lib.eq(c.hello()[0], 0, 'hello')
            c.send(packet)
            got = c.reply()
            what = f'reply to {packet[:60]!r} ({len(packet)} bytes){" after hello" if greeted else ""}'
            if greeted:
                assert got is not None, what + ': the connection was closed'
                lib.eq(got[0], errno.EPROTO, what)
                lib.eq(c.call(control.SYNC)[0], 0, 'a legal request afterwards')
            else:
                assert got is None or got[0] in (errno.EPROTO, errno.EPERM, errno.EACCES), f'{what}: {got}'
            assert net.counter('MALFORMED') > before, what + ': not counted'
            c.close()
            bad += 1
    innocent.check()
    return f'{bad} packets'


def test_sizes(net):
    """Empty, larger than any legal packet, torn off, many at once and never read."""
    lib.berth_only('the control socket')
    innocent = Innocent(net)
    for size in (0, 65536 + 257, 100000, 150000):
        c = control.Control(net.netid())
        c.hello()
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        try:
            c.send(bytes(size))
        except OSError as e:
            lib.eq(e.errno, errno.EMSGSIZE)
        c.close()
    deaf = control.Control(net.netid())
    deaf.hello()
    deaf.s.setblocking(False)
    try:
        for _ in range(100000):
            deaf.send(control.request(control.SYNC))
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    innocent.check()  # with a client that asks and never reads
    deaf.close()
    crowd = []
    try:
        for _ in range(300):
            crowd.append(control.Control(net.netid()))
    except (BlockingIOError, TimeoutError, ConnectionRefusedError):
        pass
    innocent.check()  # with connections that never say hello
    for c in crowd:
        c.close()
    innocent.check()


def test_random(net):
    """Well-framed messages with random contents, as command line and as a program of another host."""
    lib.berth_only('the control socket')
    seed = int.from_bytes(os.urandom(4), 'big')
    innocent = Innocent(net)
    net.host('evil', '10.6.6.6')
    hostile = net.part('evil', storm, seed, net.netid())
    sent = hostile.get(60)
    hostile.done()
    innocent.check()
    return f'{sent} messages, seed {seed}'


def random_request(dice, idents):
    kind = dice.choice([k for k in control.MESSAGES.values() if k not in (control.HELLO, control.MSG_TYPES)])
    extra = dice.choice([b'', b'', bytes(dice.randrange(256) for _ in range(dice.randrange(1, 200))),
                         b'web', b'a' * 300])
    ident = dice.choice([(control.NONE, 0, 0), (dice.randrange(64), dice.randrange(3), dice.getrandbits(64)),
                         (dice.getrandbits(32), dice.getrandbits(32), dice.getrandbits(64)), *idents])
    addr = dice.choice([b'', bytes(10) + b'\xff\xff' + bytes([192, 168, 1, 100]),
                        bytes(dice.randrange(256) for _ in range(16)),
                        bytes(10) + b'\xff\xff' + bytes(dice.randrange(256) for _ in range(4))])
    return kind, control.request(kind, extra, flags=dice.choice([0, 0, 1, 2, 4, 31, 0xffff]), ident=ident, addr=addr,
                                 serial=dice.getrandbits(32), proto=dice.choice([6, 17, 0, 255]),
                                 family=dice.choice([4, 6, 0, 99]), opts=dice.choice([0, 1, 0xffff]),
                                 port=dice.choice([0, 80, 53, 65535]),
                                 value=dice.choice([0, 1, 2, 0x7fffffff, 0xffffffff]))


def own_token():
    """The token this program was started with: BERTH_TOKEN says NETID:HEX."""
    netid, _, text = os.environ['BERTH_TOKEN'].partition(':')
    return bytes.fromhex(text)


def storm(seed, netid):
    """Everything random, with the idents of other hosts' sockets among it, with and without waiting."""
    dice = random.Random(seed)
    idents = [ident for _, ident, _, _ in control.unix_names(netid)]
    sent = 0
    for _ in range(20):
        c = control.Control(netid)
        lib.eq(c.hello(own_token())[0], 0, 'hello with a token')
        c.s.settimeout(0.05)
        for _ in range(150):
            _, packet = random_request(dice, idents)
            try:
                c.send(packet)
                sent += 1
                if dice.random() < 0.3:
                    c.reply()
            except TimeoutError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                break
        c.close()
    lib.say(sent)


def meddle(netid):
    """A program of one host speaks of another host's sockets, with their true idents."""
    c = control.Control(netid)
    lib.eq(c.hello(own_token())[0], 0, 'hello with a token')
    answers = []
    for name, ident, _, _ in control.unix_names(netid):
        for kind in (control.CLOSED, control.SHUT, control.CONNECT_FAIL, control.SETVAL, control.FORGED):
            c.send(control.request(kind, ident=ident, flags=control.SOLE, value=2))
        for kind in (control.RESET, control.OPTS, control.BIND, control.LISTEN_ON, control.CONNECT):
            got = c.call(kind, ident=ident, port=4242)
            if got is None:  # it may also hang up on such a program
                c = control.Control(netid)
                c.hello(own_token())
            elif got[0] == 0:
                answers.append(f'message {kind} about {name!r} was obeyed')
    for kind in (control.DOWN, control.HOST_OPEN):
        got = c.call(kind, flags=control.FORCE)
        if got is None:
            c = control.Control(netid)
            c.hello(own_token())
        elif got[0] == 0:
            answers.append(f'message {kind} of a program was obeyed')
    lib.say(answers)


def test_foreign_sockets(net):
    lib.berth_only('the control socket')
    innocent = Innocent(net)
    net.host('evil', '10.6.6.6')
    hostile = net.part('evil', meddle, net.netid())
    lib.eq(hostile.get(), [])
    hostile.done()
    innocent.check()


def test_closed_notice_is_only_a_hint(net):
    """A program of the same host says that a live socket is closed: berthd looks, and it lives."""
    lib.berth_only('the control socket')
    innocent = Innocent(net)
    hostile = net.part('web', lie, net.netid())
    lib.eq(hostile.get(), 'said')
    hostile.done()
    innocent.check()


def lie(netid):
    c = control.Control(netid)
    lib.eq(c.hello(own_token())[0], 0)
    for _, ident, _, _ in control.unix_names(netid):
        c.send(control.request(control.CLOSED, ident=ident, flags=control.SOLE))
    c.send(control.request(control.IDENT))
    c.reply()
    lib.say('said')


def test_made_up_token(net):
    lib.berth_only('the control socket')
    innocent = Innocent(net)
    for token in (bytes(24), os.urandom(24), b'x', os.urandom(23), os.urandom(25), os.urandom(4096)):
        c = control.Control(net.netid())
        got = c.hello(token)
        assert got is None or got[0] != 0, f'hello with the made-up token {token[:24]!r} was accepted'
        c.close()
    innocent.check()


def as_nobody(netid, result):
    """Says "accepted" or "refused" into the pipe; nothing where it could not even ask."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    c = control.Control(netid)
    try:
        got = c.hello()
    except (BrokenPipeError, ConnectionResetError):
        got = None
    os.write(result, b'accepted' if got and got[0] == 0 else b'refused')


def test_another_user(net):
    lib.berth_only('the control socket')
    if not lib.real_root():
        raise lib.Skip('needs root to become another user')
    innocent = Innocent(net)
    before = net.counter('STRANGER')
    r, w = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            as_nobody(net.netid(), w)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(w)
    lib.eq(os.read(r, 100), b'refused', 'hello of another user')
    assert net.counter('STRANGER') > before, 'not counted'
    innocent.check()


if __name__ == '__main__':
    lib.main()

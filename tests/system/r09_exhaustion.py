# SPDX-License-Identifier: Apache-2.0
"""R9: port exhaustion: 50,000 connections to one API server. The default range gives out after 28,232, TIME_WAIT
counts, and each cure of the chapter helps: a wider range, reuse, a pool of connections, closing properly."""
import errno
import os
import resource
import select
import socket
import struct

import lib

FAMILIES = (4, 6)
API, CLIENT = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
PORT, OTHER = 3000, 3001  # one API server and another
RANGE = 60999 - 32768 + 1
MANY = 50000
WORKERS = 4  # processes of the server: each may have 20,000 descriptors
BIND_ADDRESS_NO_PORT = 24
LIMIT = 240
RESET = struct.pack('ii', 1, 0)


def more_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# --- the API server: a process that listens, and workers that share the listeners

class Worker:
    def __init__(self, listeners, behaviour, most):
        self.behave, self.most, self.held = getattr(self, behaviour), most, {}
        self.listeners = {s.fileno(): s for s in listeners}
        self.ep = select.epoll()
        for s in listeners:
            s.setblocking(False)
            self.ep.register(s, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def run(self):
        while True:
            for fd, _ in self.ep.poll():
                if fd in self.held:
                    self.answer(fd)
                elif fd in self.listeners:
                    self.accept(self.listeners[fd])

    def accept(self, s):
        try:
            while len(self.held) < self.most:
                self.behave(s.accept()[0])
            for fd in self.listeners:
                self.ep.unregister(fd)
            self.listeners = {}
        except BlockingIOError:
            pass

    def hold(self, c):
        """Keeps the connection, and answers what is asked over it."""
        self.held[c.fileno()] = c
        self.ep.register(c, select.EPOLLIN)

    def answer(self, fd):
        data = self.held[fd].recv(4096) if self.alive(fd) else b''
        if data:
            self.held[fd].sendall(data)
        else:
            self.ep.unregister(fd)
            self.held.pop(fd).close()

    def alive(self, fd):
        return self.held[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    def close_second(self, c):
        """The client closes first, so TIME_WAIT is at its end."""
        lib.eq(c.recv(1), b'')
        c.close()

    def close_first(self, c):
        c.close()

    def close_reset(self, c):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        c.close()


def serve(behaviour, ports):
    hard = more_descriptors()
    listeners = [lib.listen(API, port, 4096) for port in ports]
    for _ in range(WORKERS):
        if os.fork() == 0:
            Worker(listeners, behaviour, hard - 100).run()
    lib.say('ready')
    lib.hear()


# --- the client: does what the test says

class Refused(Exception):
    """What stopped a connection, as "connect EADDRNOTAVAIL"."""


def begin(port, how):
    """A new socket, connected; `how` names its options, and 'bind' a bind to port 0 before connect."""
    s = lib.tcp()
    if 'reuse' in how:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if 'late' in how:
        s.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
    call = 'bind'
    try:
        if 'bind' in how:
            s.bind((CLIENT, 0))
        call = 'connect'
        s.connect((API, port))
    except OSError as e:
        s.close()
        raise Refused(f'{call} {errno.errorcode[e.errno]}') from e
    return s


def opened(held, port, count, how=''):
    """Opens `count` more connections and holds them: how many it got, and what stopped it."""
    for i in range(count):
        try:
            held.append(begin(port, how))
        except Refused as e:
            return [i, str(e)]
    return [count, '']


def closed(held, count, how=''):
    """Closes `count` of the held ones, the last first."""
    for s in [held.pop() for _ in range(count)]:
        if how == 'reset':
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.close()
    return [count, '']


def one_by_one(_, port, count, first, how=''):
    """Opens and closes `count` times; `first` says whose end comes first, the client's or the server's, or that
    the server resets."""
    for i in range(count):
        try:
            s = begin(port, how)
        except Refused as e:
            return [i, str(e)]
        if first == 'client':
            s.shutdown(socket.SHUT_WR)
        try:
            lib.eq(s.recv(1), b'')
        except ConnectionResetError:
            lib.eq(first, 'reset')
        s.close()
    return [count, '']


def same_ports(_, port, ports):
    """Opens and closes a connection from each of these ports, which are in TIME_WAIT."""
    for i, p in enumerate(ports):
        with lib.tcp() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((CLIENT, p))
            except OSError as e:
                return [i, f'bind {errno.errorcode[e.errno]}']
            s.connect((API, port))
            s.shutdown(socket.SHUT_WR)
            lib.eq(s.recv(1), b'')
    return [len(ports), '']


def asked(held, count):
    """`count` requests over the held connections in turn."""
    for i in range(count):
        s = held[i % len(held)]
        request = b'GET /%d' % i
        s.send(request)
        lib.eq(s.recv(100), request)
    return [count, '']


def ports(held):
    return sorted(s.getsockname()[1] for s in held)


def client():
    more_descriptors()
    held = []
    while True:
        what, *args = lib.hear()
        lib.say(globals()[what](held, *args))


# --- the tests

class Scene:
    """The API server and `n` processes of the client's host."""

    def __init__(self, net, behaviour, n=1):
        self.net = net
        net.host('api', API)
        net.host('pc', CLIENT)
        self.server = net.part('api', serve, behaviour, [PORT, OTHER])
        lib.eq(self.server.get(), 'ready')
        self.clients = [net.part('pc', client) for _ in range(n)]
        lib.eq([c.ask(['ports']) for c in self.clients], [[]] * n, 'they are there')
        self.range = RANGE
        if not lib.KERNEL:  # however slow the machine: what is in TIME_WAIT stays so till the end
            for host in ('api', 'pc'):
                net.sysctl(host, 'net.berth.time_wait_ms=600000')

    def ask(self, i, *command):
        return self.clients[i].ask(command, LIMIT)

    def share(self, what, port, total, *args):
        """All clients at once, each its share; nothing may stop one."""
        n = len(self.clients)
        shares = [total // n + (i < total % n) for i in range(n)]
        for c, count in zip(self.clients, shares):
            c.put([what, port, count, *args])
        lib.eq([c.get(LIMIT) for c in self.clients], [[count, ''] for count in shares], what)

    def narrow_on_the_kernel(self):
        """Where time counts: at this size the kernel's search for a port takes longer than TIME_WAIT lasts."""
        if lib.KERNEL:
            self.net.sysctl('pc', 'net.ipv4.ip_local_port_range=50000 51999')
            self.range = 2000

    def count(self, state, host=None):
        return sum(1 for r in self.net.ss('-t') if r.state == state and host in (None, r.host))


FULL = 'connect EADDRNOTAVAIL'


def test_the_range_is_used_up(net):
    """28,232 connections to one server; not one more, until a port is free again."""
    scene = Scene(net, 'hold', 2)
    scene.share('opened', PORT, RANGE)
    for i in (0, 1):
        lib.eq(scene.ask(i, 'opened', PORT, 1), [0, FULL], 'the 28,233rd')
        lib.eq(scene.ask(i, 'opened', PORT, 1, 'reuse'), [0, FULL], 'SO_REUSEADDR helps nobody who lives')
        lib.eq(scene.ask(i, 'opened', OTHER, 1, 'bind'), [0, 'bind EADDRINUSE'], 'bind knows no destination')
    lib.eq(sorted(p for i in (0, 1) for p in scene.ask(i, 'ports')), list(range(32768, 61000)), 'the ports')
    lib.eq(scene.ask(0, 'opened', OTHER, 1000), [1000, ''], 'another server is another matter')
    if not lib.KERNEL:
        lib.eq(scene.count('ESTAB', 'pc'), RANGE + 1000, 'connections in berth ss')
    scene.ask(0, 'closed', 1000)  # those of the other server
    # a connection that is reset gives its port back at once, one that is closed keeps it in TIME_WAIT
    lib.eq(scene.ask(1, 'closed', 3, 'reset'), [3, ''])
    lib.eq(scene.ask(0, 'opened', PORT, 4), [3, FULL], 'three ports were given back')
    lib.eq(scene.ask(1, 'closed', 3), [3, ''])
    lib.eq(scene.ask(0, 'opened', PORT, 1), [0, FULL], 'TIME_WAIT counts')
    return f'{RANGE} held'


def test_time_wait_counts(net):
    """Connections that are opened and closed one after the other, the client's end first."""
    scene = Scene(net, 'close_second')
    scene.narrow_on_the_kernel()
    lib.eq(scene.ask(0, 'one_by_one', PORT, MANY, 'client'), [scene.range, FULL])
    lib.eq(scene.ask(0, 'one_by_one', OTHER, 1000, 'client'), [1000, ''], 'another server')
    if not lib.KERNEL:
        lib.eq(scene.count('TIME-WAIT', 'pc'), RANGE + 1000, 'TIME-WAIT in berth ss')
        lib.eq(scene.count('TIME-WAIT', 'api'), 0, "TIME-WAIT at the server's end")
    # SO_REUSEADDR and bind to a port in TIME_WAIT: only where the first user of the port set it, too
    lib.eq(scene.ask(0, 'same_ports', PORT, [50000]), [0, 'bind EADDRINUSE'])
    # cure: tcp_tw_reuse, once TIME_WAIT is a second old
    net.sysctl('pc', 'net.ipv4.tcp_tw_reuse=1')
    lib.until('the youngest is old enough',
              lambda: scene.ask(0, 'one_by_one', PORT, 1000, 'client') == [1000, ''])
    if not lib.KERNEL:
        assert scene.count('TIME-WAIT', 'pc') <= RANGE + 1000, 'those taken over are gone'
    return f'{scene.range}, then 1,000 with tcp_tw_reuse'


def test_cure_reuse_of_a_port(net):
    """SO_REUSEADDR and bind: a connection from the very port that is in TIME_WAIT to the same server."""
    scene = Scene(net, 'close_second')
    net.sysctl('pc', 'net.ipv4.ip_local_port_range=50000 50999')
    lib.eq(scene.ask(0, 'one_by_one', PORT, 1001, 'client', 'reuse'), [1000, FULL])
    lib.eq(scene.ask(0, 'one_by_one', PORT, 1, 'client', 'reuse'), [0, FULL], 'SO_REUSEADDR without bind')
    for _ in range(2):
        lib.eq(scene.ask(0, 'same_ports', PORT, list(range(50000, 51000))), [1000, ''])
    return 'range of 1,000 ports'


def test_cure_wider_range(net):
    """50,000 held at once."""
    scene = Scene(net, 'hold', 3)
    net.sysctl('pc', 'net.ipv4.ip_local_port_range=1024 65535')
    scene.share('opened', PORT, MANY)
    ports = [p for i in range(3) for p in scene.ask(i, 'ports')]
    lib.eq((len(set(ports)), min(ports) >= 1024), (MANY, True), 'different ports')
    if not lib.KERNEL:
        lib.eq(scene.count('ESTAB', 'pc'), MANY, 'connections in berth ss')
    for i in range(3):
        lib.eq(scene.ask(i, 'asked', 100), [100, ''], 'they work')
    return f'{MANY} held'


def test_cure_pool(net):
    """50,000 requests over ten connections."""
    scene = Scene(net, 'hold')
    lib.eq(scene.ask(0, 'opened', PORT, 10), [10, ''])
    lib.eq(scene.ask(0, 'asked', MANY), [MANY, ''])
    lib.eq(len(set(scene.ask(0, 'ports'))), 10)


def test_cure_server_closes_first(net):
    """TIME_WAIT is then at the server's end and holds no port of the client."""
    scene = Scene(net, 'close_first')
    net.sysctl('pc', 'net.ipv4.ip_local_port_range=50000 50999')
    lib.eq(scene.ask(0, 'one_by_one', PORT, 5000, 'server'), [5000, ''])
    if not lib.KERNEL:
        lib.eq(scene.count('TIME-WAIT', 'pc'), 0, "TIME-WAIT at the client's end")
        assert 500 < scene.count('TIME-WAIT', 'api') <= 1000, "TIME-WAIT at the server's end"
    return '5,000 connections from 1,000 ports'


def test_cure_reset(net):
    """Ends with SO_LINGER 0 leave no TIME_WAIT anywhere."""
    scene = Scene(net, 'close_reset')
    net.sysctl('pc', 'net.ipv4.ip_local_port_range=50000 50999')
    lib.eq(scene.ask(0, 'one_by_one', PORT, 5000, 'reset'), [5000, ''])
    if not lib.KERNEL:
        lib.eq(scene.count('TIME-WAIT'), 0)
    return '5,000 connections from 1,000 ports'


def test_cure_late_choice(net):
    """With IP_BIND_ADDRESS_NO_PORT, bind to port 0 leaves the choice to connect: 50,000 to two servers fit."""
    scene = Scene(net, 'hold', 4)
    for port, i in ((PORT, 0), (OTHER, 1), (PORT, 2), (OTHER, 3)):
        scene.clients[i].put(['opened', port, MANY // 4, 'bind late'])
    lib.eq([c.get(LIMIT) for c in scene.clients], [[MANY // 4, '']] * 4)
    lib.eq(scene.ask(0, 'asked', 100), [100, ''], 'they work')
    return f'{MANY} held'


def test_early_choice(net):
    """bind to port 0 before connect: the port is taken from all destinations, 1,000 of 1,000 for two servers."""
    scene = Scene(net, 'hold')
    net.sysctl('pc', 'net.ipv4.ip_local_port_range=50000 50999')
    lib.eq(scene.ask(0, 'opened', PORT, 600, 'bind'), [600, ''])
    lib.eq(scene.ask(0, 'opened', OTHER, 600, 'bind'), [400, 'bind EADDRINUSE'])
    lib.eq(scene.ask(0, 'opened', OTHER, 1), [0, FULL], 'nor may connect have what bind took')
    lib.eq(scene.ask(0, 'closed', 1000, 'reset'), [1000, ''])
    for port in (PORT, OTHER):
        lib.eq(scene.ask(0, 'opened', port, 1001, 'bind late'), [1000, FULL])
    return 'range of 1,000 ports'


for _test in (test_the_range_is_used_up, test_time_wait_counts, test_cure_wider_range, test_cure_pool,
              test_cure_late_choice):
    _test.limit = LIMIT
    _test.one_family = True  # the big ones; the others need a thousand ports and show the rules

if __name__ == '__main__':
    lib.main()

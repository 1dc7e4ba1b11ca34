# SPDX-License-Identifier: Apache-2.0
"""Random programs of socket calls, of the words that oracle.h explains. A seed always gives the same program."""
import random

V4 = ('any4', 'lo4', 'lo4b', 'a4', 'b4')
V6 = ('any6', 'lo6', 'a6')
MAPPED = tuple('m:' + a for a in V4)
ODD4 = ('foreign4', 'bcast4', 'mcast4', 'ones4', 'u:any4', 'u:lo4')
ODD6 = ('foreign6', 'm:foreign4', 'u:any6')
PORTS = ('P0', 'P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7')
BEFORE = (('reuseaddr', ('1', '1', '1', '0')), ('reuseport', ('1', '1', '1', '0')))
SHARING = BEFORE + (('v6only', ('1', '0')), ('bindnoport', ('1', '1', '0')),
                    ('portrange', ('40000-40002', '40000-40000', '0', '40001-0', '0-100', '50-40')),
                    ('freebind', ('1', '0')), ('device', ('lo', 'eth0', 'none', 'nodev')),
                    ('linger', ('0', '0', 'off', '5')), ('transparent', ('1', '0')))
OTHERS = (('nodelay', '01'), ('cork', '01'), ('keepalive', '01'), ('oobinline', '01'), ('broadcast', '01'),
          ('dontroute', '01'), ('priority', '017'), ('keepidle', ('1', '0', '40000', '7200')),
          ('keepcnt', ('1', '0', '200')), ('syncnt', ('1', '0', '200')), ('usertimeout', ('1', '-1')),
          ('linger2', ('-1', '0', '5', '200')), ('ttl', ('-1', '0', '1', '255', '256')),
          ('tos', ('0', '16', '255', '3')), ('recverr', '01'), ('recverr6', '01'), ('pktinfo', '01'),
          ('pktinfo6', '01'), ('hops', ('-1', '0', '64', '256')), ('tclass', ('-1', '0', '255', '256')),
          ('mtudisc', ('0', '2', '6')), ('error', '0'), ('type', '1'), ('domain', '2'), ('acceptconn', '1'),
          ('freebind6', '01'), ('transparent6', '01'), ('udpcork', '0'))
READ_ONLY = ('error', 'type', 'domain', 'protocol', 'acceptconn', 'tcpstate')
# What a program is about: how often each kind of call comes.
THEMES = {
    'bind': dict(socket=8, option=8, bind=12, listen=4, name=2, close=2, connect=1, dup=0.3, process=0.5),
    'tcp': dict(socket=4, option=2, bind=4, listen=4, connect=7, accept=7, name=3, data=6, recv=6, shutdown=2,
                poll=4, close=4, dup=0.5, process=0.5, state=2),
    'udp': dict(socket=5, option=3, bind=6, connect=5, sendto=8, data=4, recv=7, name=4, poll=3, shutdown=1,
                close=2, dup=0.5, process=0.5, listen=0.2, accept=0.2),
    'options': dict(socket=3, option=5, other=10, read=8, bind=2, listen=1, connect=1, accept=1, name=1),
    'end': dict(socket=2, listen=1, connect=3, accept=4, data=5, recv=6, shutdown=6, poll=6, close=6, name=2, state=3,
                option=1, dup=1, process=1, bind=1),
    'mixed': dict(socket=5, option=5, other=1, read=2, bind=5, listen=4, connect=5, accept=4, name=3, data=3, sendto=2,
                  recv=3, shutdown=1, poll=3, close=3, dup=1, process=1, state=1),
    'process': dict(socket=5, option=4, bind=6, listen=3, connect=3, accept=3, name=2, data=3, recv=3, poll=2, close=4,
                    dup=1, process=7, shutdown=1, state=1),
}


class Socket:
    def __init__(self, name, v6, dgram):
        self.name, self.v6, self.dgram = name, v6, dgram
        self.bound = self.listens = self.joined = False


class Program:
    """One being made. Keeps just enough of what has been done to choose calls that mean something."""

    def __init__(self, seed, v6, uids, processes):
        self.r = random.Random(seed)
        self.v6_share = self.r.choice((0, 0.3, 0.5, 1)) if v6 else 0
        self.v6, self.uids, self.processes = v6, uids, processes
        self.lines, self.sockets, self.made = [], {0: {}}, 0
        self.ports = self.r.sample(PORTS, self.r.choice((1, 1, 2, 3)))
        self.a4 = self.r.sample(V4, self.r.choice((1, 2, 2, 3)))
        self.a6 = self.r.sample(V6 + MAPPED, self.r.choice((1, 2, 3)))
        self.next_proc = 1
        self.theme = self.r.choice(list(THEMES))
        self.dgram_share = {'tcp': 0, 'end': 0.05, 'udp': 1, 'bind': 0.3}.get(self.theme, 0.3)

    def line(self, proc, *words):
        self.lines.append(' '.join([str(proc), *map(str, words)]))

    def address(self, s):
        """An address that fits the socket, mostly."""
        r = self.r
        if r.random() < 0.04:
            return r.choice(V4 + (V6 + MAPPED if self.v6 else ()))
        if r.random() < 0.05:
            return r.choice(ODD6 if s.v6 else ODD4)
        return r.choice(self.a6 if s.v6 else self.a4)

    def port(self, proc):
        r = self.r
        x = r.random()
        own = list(self.sockets[proc].values())
        if x < 0.15:
            return '0'
        if x < 0.25 and own:
            return '@' + r.choice(own).name
        return r.choice(self.ports)

    def target(self, s, proc):
        """Where to connect or send: mostly where a socket of the program is."""
        r = self.r
        other = [o for o in self.sockets[proc].values() if o.dgram == s.dgram and (o.listens or o.bound)]
        listening = [o for o in other if o.listens]
        if listening and r.random() < 0.8:
            other = listening
        if other and r.random() < 0.85:
            o = r.choice(other)
            port = '@' + o.name if r.random() < 0.95 else self.port(proc)
            if r.random() < 0.5:
                return self.address(s), port
            if s.v6:
                return r.choice(('lo6', 'a6', 'any6') if o.v6 else ('m:lo4', 'm:a4', 'm:any4')), port
            return r.choice(('lo4', 'a4', 'b4', 'lo4b', 'any4')), port
        return self.address(s), self.port(proc)

    def pick(self, proc, *wanted):
        """A socket of the process, rather one of which all the tests hold."""
        own = list(self.sockets[proc].values())
        fit = [s for s in own if all(w(s) for w in wanted)]
        if fit and self.r.random() < 0.93:
            return self.r.choice(fit)
        return self.r.choice(own) if own else None

    def new(self, proc, v6, dgram):
        self.made += 1
        s = Socket(f's{self.made}', v6, dgram)
        self.sockets[proc][s.name] = s
        return s

    # --- calls, each (process)

    def socket(self, proc):
        if len(self.sockets[proc]) >= 7 or self.made >= 30:
            return
        s = self.new(proc, self.r.random() < self.v6_share, self.r.random() < self.dgram_share)
        self.line(proc, 'socket', s.name, 'inet6' if s.v6 else 'inet', 'dgram' if s.dgram else 'stream',
                  *(['nonblock'] if not s.dgram and self.r.random() < 0.5 else []))
        for name, values in BEFORE:
            if self.theme != 'options' and self.r.random() < 0.15:
                self.line(proc, 'setsockopt', s.name, name, self.r.choice(values))

    def option(self, proc):
        s = self.pick(proc)
        name, values = self.r.choice(BEFORE if self.r.random() < 0.5 else SHARING)
        if self.r.random() < 0.85:
            self.line(proc, 'setsockopt', s.name, name, self.r.choice(values))
        else:
            self.line(proc, 'getsockopt', s.name, name)

    def other(self, proc):
        s = self.pick(proc)
        name, values = self.r.choice(OTHERS)
        self.line(proc, 'setsockopt', s.name, name, self.r.choice(values))
        if self.r.random() < 0.6:
            self.line(proc, 'getsockopt', s.name, name)

    def read(self, proc):
        s = self.pick(proc)
        name = self.r.choice(READ_ONLY if self.r.random() < 0.6 else [o[0] for o in SHARING + OTHERS])
        self.line(proc, 'getsockopt', s.name, name)

    def bind(self, proc):
        s = self.pick(proc, lambda o: not o.bound and not o.joined)
        s.bound = True
        address = self.address(s)
        self.line(proc, 'bind', s.name, address, self.port(proc))
        if address in ODD4 + ODD6:  # it is there to be in the way of others
            del self.sockets[proc][s.name]

    def listen(self, proc):
        s = self.pick(proc, lambda o: not o.dgram and not o.joined)
        s.listens = s.listens or not s.dgram
        self.line(proc, 'listen', s.name, self.r.choice((5, 5, 5, 128, -1)))

    def connect(self, proc):
        s = self.pick(proc, lambda o: not o.listens and (o.dgram or not o.joined))
        if self.r.random() < 0.06:
            if not s.listens:
                self.line(proc, 'connect', s.name, 'unspec', '0')
                s.joined = False
            return
        address, port = self.target(s, proc)
        if s.listens and address.startswith('u:'):
            return
        if s.dgram and not (port in PORTS or any(port == '@' + o.name and o.bound
                                                 for o in self.sockets[proc].values())):
            port = self.r.choice(self.ports)  # port 0 of a datagram peer means any, which is not looked after
        self.line(proc, 'connect', s.name, address, port)
        s.bound = s.bound or s.dgram
        s.joined = True

    def accept(self, proc):
        s = self.pick(proc, lambda o: o.listens)
        if self.made >= 30:
            return
        new = self.new(proc, s.v6, s.dgram)
        new.joined = True
        self.line(proc, 'accept', s.name, new.name, *(['nonblock'] if self.r.random() < 0.3 else []))

    def name(self, proc):
        self.line(proc, self.r.choice(('getsockname', 'getpeername')), self.pick(proc).name)

    def data(self, proc):
        self.line(proc, 'send', self.pick(proc, lambda o: o.joined).name, self.r.choice((1, 3, 3, 5, 0)))

    def sendto(self, proc):
        s = self.pick(proc, lambda o: o.dgram)
        self.line(proc, 'sendto', s.name, *self.target(s, proc), self.r.choice((1, 3, 3, 5, 0)))
        s.bound = s.bound or s.dgram

    def recv(self, proc):
        s = self.pick(proc, lambda o: o.joined or o.dgram)
        self.line(proc, self.r.choice(('recv', 'recvfrom')), s.name, self.r.choice((2, 40, 40, 40, 0 if s.dgram else 1)),
                  *(['peek'] if self.r.random() < 0.08 else []))

    def shutdown(self, proc):
        self.line(proc, 'shutdown', self.pick(proc, lambda o: o.joined).name, self.r.choice(('rd', 'wr', 'wr', 'rdwr')))

    def poll(self, proc):
        self.line(proc, 'poll' if self.r.random() < 0.9 else 'fionread', self.pick(proc).name)

    def state(self, proc):
        self.line(proc, 'getsockopt', self.pick(proc, lambda o: not o.dgram).name,
                  self.r.choice(('tcpstate', 'tcpstate', 'error', 'acceptconn')))

    def close(self, proc):
        s = self.pick(proc)
        self.line(proc, 'close', s.name)
        del self.sockets[proc][s.name]

    def dup(self, proc):
        s = self.pick(proc)
        if self.made >= 30:
            return
        new = self.new(proc, s.v6, s.dgram)
        new.bound, new.listens, new.joined = s.bound, s.listens, s.joined
        self.line(proc, 'dup', s.name, new.name)

    def process(self, proc):
        r = self.r
        if self.uids and r.random() < 0.3:
            self.line(proc, 'setuid', r.choice((0, 1000, 1000, 1001)))
        elif proc != 0 and r.random() < 0.35:
            self.line(proc, 'exit')
            del self.sockets[proc]
        elif self.processes and self.next_proc < 4:
            self.line(proc, 'fork', self.next_proc)
            self.sockets[self.next_proc] = {n: self.copy(s) for n, s in self.sockets[proc].items()}
            self.next_proc += 1

    @staticmethod
    def copy(s):
        c = Socket(s.name, s.v6, s.dgram)
        c.bound, c.listens, c.joined = s.bound, s.listens, s.joined
        return c

    def pair(self, proc):
        """A connection, which the rest of the program is about."""
        r = self.r
        server, client = self.new(proc, self.v6_share == 1, False), self.new(proc, self.v6_share == 1, False)
        for s in (server, client):
            self.line(proc, 'socket', s.name, 'inet6' if s.v6 else 'inet', 'stream',
                      *(['nonblock'] if r.random() < 0.4 else []))
        if r.random() < 0.8:
            self.bind(proc)
        self.lines.append(f'{proc} listen {server.name} 5')
        server.listens = server.bound = True
        if r.random() < 0.3:
            self.process(proc)
        self.line(proc, 'connect', client.name, r.choice(('lo6', 'a6', 'm:lo4') if client.v6 else ('lo4', 'a4')),
                  '@' + server.name)
        end = self.new(proc, server.v6, False)
        client.joined = end.joined = True
        self.line(proc, 'accept', server.name, end.name)

    def make(self):
        weights = THEMES[self.theme]
        names, shares = list(weights), list(weights.values())
        length = self.r.choice((6, 10, 14, 20, 28))
        if self.theme == 'end' or (self.theme in ('tcp', 'process') and self.r.random() < 0.4):
            self.pair(0)
        elif self.theme != 'process' or self.r.random() < 0.5:
            self.socket(0)
            self.socket(0)
        while len(self.lines) < length + 4:
            proc = self.r.choice(list(self.sockets))
            what = self.r.choices(names, shares)[0]
            if what not in ('socket', 'process') and not self.sockets[proc]:
                what = 'socket'
            getattr(self, what)(proc)
            if self.made >= 30:
                break
        return self.lines


def program(seed, v6=True, uids=True, processes=True):
    return Program(seed, v6, uids, processes).make()


if __name__ == '__main__':
    import sys
    print('\n'.join(program(int(sys.argv[1]), *(a != '0' for a in sys.argv[2:]))))

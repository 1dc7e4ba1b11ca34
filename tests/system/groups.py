# SPDX-License-Identifier: Apache-2.0
"""Groups and broadcast: who gets a copy, what options do, which errors are told; run --as kernel asks Linux the same."""
import errno
import os
import signal
import socket
import struct
import subprocess

import lib

FAMILIES = (4, 6)
WEB, PC, DB = (lib.addr(a) for a in ('10.1.0.1', '10.1.0.2', '10.1.0.3'))
ANY, LO = lib.addr('0.0.0.0'), lib.addr('127.0.0.1')
G, H = ('ff05::1:1', 'ff05::1:2') if lib.V6 else ('239.1.1.1', '239.1.1.2')
IP, V6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
LEVEL = V6 if lib.V6 else IP
IP_PKTINFO, IP_RECVTTL = 8, 12
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP = 42, 45
OPTIONS = {'ttl': socket.IPV6_MULTICAST_HOPS if lib.V6 else socket.IP_MULTICAST_TTL,
           'loop': socket.IPV6_MULTICAST_LOOP if lib.V6 else socket.IP_MULTICAST_LOOP,
           'all': IPV6_MULTICAST_ALL if lib.V6 else IP_MULTICAST_ALL}
LO_INDEX, ETH0 = 1, 2
PORT = 7000


def mreq(group, dev=0):
    if ':' in group:
        return socket.inet_pton(socket.AF_INET6, group) + struct.pack('=I', dev)
    return socket.inet_aton(group) + bytes(4) + struct.pack('=i', dev)


def group_req(group, dev=0):
    if ':' in group:
        name = struct.pack('=HHI16sI', socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, group), 0)
    else:
        name = struct.pack('=HH4s', socket.AF_INET, 0, socket.inet_aton(group))
    return struct.pack('=I4x', dev) + name.ljust(128, b'\0')


def join(s, group=G, dev=0):
    s.setsockopt(LEVEL, socket.IPV6_JOIN_GROUP if lib.V6 else socket.IP_ADD_MEMBERSHIP, mreq(group, dev))


def leave(s, group=G, dev=0):
    s.setsockopt(LEVEL, socket.IPV6_LEAVE_GROUP if lib.V6 else socket.IP_DROP_MEMBERSHIP, mreq(group, dev))


def by(s, dev):
    """Which interface it sends to groups by."""
    if lib.V6:
        s.setsockopt(V6, socket.IPV6_MULTICAST_IF, dev)
    else:
        s.setsockopt(IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack('=i', dev))


def udp(address=None, port=0):
    s = lib.udp()
    s.settimeout(lib.LIMIT)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address is not None:
        s.bind((address, port))
    return s


def host():
    """Does with its sockets what the test says: [verb, name, arguments]; answers with the result or an errno's name."""
    sockets = {}
    lib.say('here')
    while True:
        verb, name, *args = lib.hear()
        try:
            if verb == 'open':
                sockets[name] = udp(*args)
                result = 'ok'
            else:
                result = ACTS[verb](sockets[name], *args)
        except TimeoutError:
            result = 'nothing'
        except OSError as e:
            result = errno.errorcode[e.errno]
        lib.say('ok' if result is None else result)


def send(s, text, address, port=PORT):
    s.sendto(text.encode(), (address, port))


def recv(s, limit=lib.LIMIT):
    s.settimeout(limit)
    data, peer = s.recvfrom(70000)
    return [data.decode() if len(data) < 100 else len(data), *peer[:2]]


def informed(s):
    """A datagram with its TTL and the address that it was sent to, by IP_PKTINFO or IPV6_PKTINFO."""
    s.settimeout(lib.LIMIT)
    data, control, _, peer = s.recvmsg(100, 1000)
    found = {(level, kind): value for level, kind, value in control}
    if lib.V6:
        to, dev = struct.unpack('=16sI', found[V6, socket.IPV6_PKTINFO])
        hops = struct.unpack('=i', found[V6, socket.IPV6_HOPLIMIT])[0]
        return [data.decode(), peer[0], socket.inet_ntop(socket.AF_INET6, to), dev, hops]
    dev, own, to = struct.unpack('=i4s4s', found[IP, IP_PKTINFO])
    hops = struct.unpack('=i', found[IP, socket.IP_TTL])[0]
    return [data.decode(), peer[0], socket.inet_ntoa(to), dev, hops, socket.inet_ntoa(own)]


def inform(s):
    for option in (socket.IPV6_RECVPKTINFO, socket.IPV6_RECVHOPLIMIT) if lib.V6 else (IP_PKTINFO, IP_RECVTTL):
        s.setsockopt(LEVEL, option, 1)


ACTS = {
    'join': join, 'leave': leave, 'by': by, 'send': send, 'recv': recv, 'inform': inform, 'informed': informed,
    'big': lambda s, n, *to: s.sendto(bytes(n), tuple(to)),
    'set': lambda s, option, value: s.setsockopt(LEVEL, OPTIONS[option], value),
    'broadcast': lambda s, on: s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, on),
    'connect': lambda s, address, port=PORT: s.connect((address, port)),
    'write': lambda s, text: s.send(text.encode()) and None,
    'name': lambda s: list(s.getsockname()[:2]),
    'close': lambda s: s.close(),
}


class Hosts:
    """Hosts with sockets that do what the test says: a('web', 'open', 's', ANY, PORT)."""

    def __init__(self, net, **addresses):
        self.net, self.parts = net, {}
        for name, address in addresses.items():
            net.host(name, address)
        for name in addresses:
            self.parts[name] = net.part(name, host)
            lib.eq(self.parts[name].get(), 'here')

    def __call__(self, where, *what):
        return self.parts[where].ask(what)

    def ok(self, where, *what):
        lib.eq(self(where, *what), 'ok', f'{where}: {what}')

    def gets(self, where, name, text, source):
        got = self(where, 'recv', name)
        lib.eq(got[:2], [text, source], f'what {name} of {where} gets')
        return got[2]

    def silent(self, where, *names):
        for name in names:
            lib.eq(self(where, 'recv', name, 0.3), 'nothing', f'{name} of {where}')


def three(net):
    a = Hosts(net, web=WEB, pc=PC, db=DB)
    for name in ('pc', 'db'):
        a.ok(name, 'open', 's', ANY, PORT)
    a.ok('web', 'open', 's')
    return a


# --- groups

def test_members_get_a_copy(net):
    a = three(net)
    a.ok('pc', 'join', 's')
    a.ok('pc', 'open', 'second', ANY, PORT)
    a.ok('pc', 'join', 'second')
    a.ok('pc', 'open', 'group', G, PORT)  # bound to the group, which another has joined
    a.ok('pc', 'open', 'other', H, PORT)
    a.ok('pc', 'open', 'away', ANY, PORT + 1)
    a.ok('pc', 'join', 'away')
    a.ok('web', 'send', 's', 'one', G)
    ports = {a.gets('pc', name, 'one', WEB) for name in ('s', 'second', 'group')}
    lib.eq(ports, {a('web', 'name', 's')[1]}, 'the source port is the sender\'s')
    a.silent('pc', 'other', 'away', 's')
    a.silent('db', 's')
    # the answer finds the sender
    a.ok('pc', 'send', 'second', 'answer', WEB, ports.pop())
    a.gets('web', 's', 'answer', PC)
    # what is for one host goes to one socket, the last
    a.ok('web', 'send', 's', 'alone', PC)
    a.gets('pc', 'second', 'alone', WEB)
    a.silent('pc', 's', 'group')


def test_leave_and_close(net):
    a = three(net)
    for name in ('pc', 'db'):
        a.ok(name, 'join', 's')
    a.ok('web', 'send', 's', 'one', G)
    a.gets('pc', 's', 'one', WEB)
    a.gets('db', 's', 'one', WEB)
    a.ok('pc', 'leave', 's')
    a.ok('web', 'send', 's', 'two', G)
    a.gets('db', 's', 'two', WEB)
    a.silent('pc', 's')
    # another of the host has joined: with IP_MULTICAST_ALL it hears that, without it does not
    a.ok('pc', 'open', 'member')
    a.ok('pc', 'join', 'member')
    a.ok('web', 'send', 's', 'three', G)
    a.gets('pc', 's', 'three', WEB)
    a.ok('pc', 'set', 's', 'all', 0)
    a.ok('web', 'send', 's', 'four', G)
    a.gets('db', 's', 'three', WEB)
    a.gets('db', 's', 'four', WEB)
    a.silent('pc', 's')
    a.ok('pc', 'set', 's', 'all', 1)
    a.ok('pc', 'close', 'member')
    a.ok('web', 'send', 's', 'five', G)
    a.silent('pc', 's')


def member():
    s = udp()
    join(s)
    lib.say('joined')
    lib.hear()


def test_death_leaves(net):
    a = three(net)
    dies = net.part('pc', member)
    lib.eq(dies.get(), 'joined')
    a.ok('web', 'send', 's', 'one', G)
    a.gets('pc', 's', 'one', WEB)
    dies.signal(signal.SIGKILL)
    dies.p.wait()

    def gone():
        a.ok('web', 'send', 's', 'more', G)
        return a('pc', 'recv', 's', 0.2) == 'nothing'
    lib.until('the membership of a program that was killed is gone', gone)


def test_loop(net):
    a = three(net)
    a.ok('web', 'open', 'own', ANY, PORT)
    a.ok('web', 'join', 'own')
    a.ok('pc', 'join', 's')
    a.ok('web', 'send', 's', 'one', G)
    a.gets('web', 'own', 'one', WEB)
    a.gets('pc', 's', 'one', WEB)
    a.ok('web', 'set', 's', 'loop', 0)
    a.ok('web', 'send', 's', 'two', G)
    a.gets('pc', 's', 'two', WEB)
    a.silent('web', 'own')
    # a socket hears itself
    a.ok('web', 'send', 'own', 'three', G)
    lib.eq(a('web', 'recv', 'own'), ['three', WEB, PORT])
    a.gets('pc', 's', 'three', WEB)
    # by lo: who has joined there, in this host; IPv6 has no such route
    a.ok('web', 'open', 'lo', ANY, PORT + 1)
    a.ok('web', 'join', 'lo', G, LO_INDEX)
    a.ok('web', 'by', 'own', LO_INDEX)
    if lib.V6:
        lib.eq(a('web', 'send', 'own', 'four', G, PORT + 1), 'ENETUNREACH')
    else:
        a.ok('web', 'send', 'own', 'four', G, PORT + 1)
        a.gets('web', 'lo', 'four', WEB)
    a.silent('pc', 's')


def test_ttl(net):
    a = three(net)
    a.ok('web', 'open', 'own', ANY, PORT)
    a.ok('web', 'join', 'own')
    a.ok('pc', 'join', 's')
    a.ok('pc', 'inform', 's')
    a.ok('web', 'set', 's', 'ttl', 0)
    a.ok('web', 'send', 's', 'zero', G)
    a.gets('web', 'own', 'zero', WEB)
    a.ok('web', 'set', 's', 'ttl', 7)
    a.ok('web', 'send', 's', 'seven', G)
    lib.eq(a('pc', 'informed', 's'), ['seven', WEB, G, ETH0, 7] + [PC] * (not lib.V6))
    a.ok('web', 'set', 's', 'ttl', -1)
    a.ok('web', 'send', 's', 'one', G)
    lib.eq(a('pc', 'informed', 's')[4], 1, 'TTL by default')
    # the TTL of other datagrams is another
    a.ok('web', 'send', 's', 'plain', PC)
    lib.eq(a('pc', 'informed', 's')[:5], ['plain', WEB, PC, ETH0, 64])


def test_connected(net):
    a = three(net)
    a.ok('pc', 'join', 's')
    a.ok('web', 'connect', 's', G)
    lib.eq(a('web', 'name', 's')[0], WEB, 'connect chooses the source')
    a.ok('web', 'write', 's', 'one')
    port = a.gets('pc', 's', 'one', WEB)
    # bound to the group: it sends from the host's address
    a.ok('db', 'open', 'bound', G, PORT)
    a.ok('db', 'join', 'bound')
    a.ok('db', 'send', 'bound', 'two', G)
    lib.eq(a('pc', 'recv', 's'), ['two', DB, PORT])
    for name in ('bound', 's'):
        lib.eq(a('db', 'recv', name), ['two', DB, PORT])
    # who is connected hears its peer alone, and bound to the wildcard what is for the host alone
    a.ok('db', 'join', 's')
    a.ok('db', 'connect', 's', WEB, port)
    a.ok('db', 'connect', 'bound', WEB, port)
    a.ok('pc', 'send', 's', 'no', G)
    a.gets('pc', 's', 'no', PC)
    a.ok('web', 'write', 's', 'yes')
    a.gets('db', 'bound', 'yes', WEB)
    a.silent('db', 's', 'bound')


def test_many_and_big(net):
    a = three(net)
    a.ok('pc', 'join', 's')
    for i in range(50):
        a.ok('web', 'send', 's', str(i), G)
    lib.eq([a('pc', 'recv', 's')[0] for _ in range(50)], [str(i) for i in range(50)], 'in order')
    lib.eq(a('web', 'big', 's', 60000, G, PORT), 60000)
    lib.eq(a('pc', 'recv', 's')[0], 60000)


def options():
    s, t = udp(), lib.tcp()
    join(s)
    lib.fails(errno.EADDRINUSE, join, s)
    join(s, G, LO_INDEX)
    lib.fails(errno.ENODEV, join, s, G, 77)
    lib.fails(errno.EINVAL, join, s, WEB)
    lib.fails(errno.EPROTO, join, t)
    leave(s)  # IPv4: the one that the routes lead to
    leave(s, G, 0 if lib.V6 else LO_INDEX)
    lib.fails(errno.EADDRNOTAVAIL, leave, s)
    lib.fails(errno.EADDRNOTAVAIL, leave, s, G, 77)
    lib.fails(errno.EINVAL if lib.V6 else errno.EADDRNOTAVAIL, leave, s, WEB)
    lib.fails(errno.EPROTO, leave, t)
    short = mreq(G)[:7]
    lib.fails(errno.EINVAL, s.setsockopt, LEVEL, 20 if lib.V6 else 35, short)
    lib.fails(errno.ENOPROTOOPT, s.getsockopt, LEVEL, 20 if lib.V6 else 35, 20)
    s.setsockopt(LEVEL, MCAST_JOIN_GROUP, group_req(G))
    lib.fails(errno.EADDRINUSE, s.setsockopt, LEVEL, MCAST_JOIN_GROUP, group_req(G))
    lib.fails(errno.EINVAL, s.setsockopt, LEVEL, MCAST_JOIN_GROUP, group_req(G)[:100])
    wrong = group_req('239.1.1.1' if lib.V6 else 'ff05::1')
    lib.fails(errno.EADDRNOTAVAIL if lib.V6 else errno.EINVAL, s.setsockopt, LEVEL, MCAST_JOIN_GROUP, wrong)
    s.setsockopt(LEVEL, MCAST_LEAVE_GROUP, group_req(G))
    lib.fails(errno.EADDRNOTAVAIL, s.setsockopt, LEVEL, MCAST_LEAVE_GROUP, group_req(G))
    for option, default, good, bad in (('ttl', 1, (0, 255, 3), (256, -2)), ('loop', 1, (0, 1), ()),
                                       ('all', 1, (0, 1), () if lib.V6 else (2, -1))):
        lib.eq(s.getsockopt(LEVEL, OPTIONS[option]), default, option)
        for value in good:
            s.setsockopt(LEVEL, OPTIONS[option], value)
            lib.eq(s.getsockopt(LEVEL, OPTIONS[option]), value, option)
        for value in bad:
            lib.fails(errno.EINVAL, s.setsockopt, LEVEL, OPTIONS[option], value)
    lib.eq(s.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST), 0)
    (options6 if lib.V6 else options4)(s, t)
    lib.say('end')


def options4(s, t):
    def there():
        return socket.inet_ntoa(s.getsockopt(IP, socket.IP_MULTICAST_IF, 4))
    lib.eq(there(), '0.0.0.0')
    for value, want in ((socket.inet_aton(WEB), WEB), (bytes(4) + socket.inet_aton(LO), LO),
                        (bytes(8) + struct.pack('=i', ETH0), '0.0.0.0'), (bytes(4), '0.0.0.0')):
        s.setsockopt(IP, socket.IP_MULTICAST_IF, value)
        lib.eq(there(), want, 'IP_MULTICAST_IF')
    lib.fails(errno.EADDRNOTAVAIL, s.setsockopt, IP, socket.IP_MULTICAST_IF, socket.inet_aton('9.9.9.9'))
    lib.fails(errno.EADDRNOTAVAIL, by, s, 77)
    lib.fails(errno.EINVAL, s.setsockopt, IP, socket.IP_MULTICAST_IF, b'12')
    lib.fails(errno.EINVAL, t.setsockopt, IP, socket.IP_MULTICAST_IF, socket.inet_aton(WEB))
    lib.fails(errno.ENODEV, s.setsockopt, IP, socket.IP_ADD_MEMBERSHIP,
              socket.inet_aton(G) + socket.inet_aton('9.9.9.9'))
    s.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(G) + socket.inet_aton(WEB))
    lib.fails(errno.EADDRINUSE, join, s)
    leave(s)
    for i in range(20):
        join(s, f'239.2.0.{i}')
    lib.fails(errno.ENOBUFS, join, s, '239.2.1.1')
    lib.fails(errno.EADDRINUSE, join, s, '239.2.0.1')
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, mreq(G))
    lib.eq(six.getsockopt(IP, IP_MULTICAST_ALL), 0, 'IP_MULTICAST_ALL of an IPv6 socket')


def options6(s, t):
    lib.eq(s.getsockopt(V6, socket.IPV6_MULTICAST_IF), 0)
    by(s, ETH0)
    lib.eq(s.getsockopt(V6, socket.IPV6_MULTICAST_IF), ETH0)
    lib.fails(errno.ENODEV, by, s, 77)
    by(s, 0)
    lib.eq(s.getsockopt(V6, socket.IPV6_MULTICAST_IF), 0)
    lib.fails(errno.ENOPROTOOPT, by, t, ETH0)
    lib.fails(errno.ENOPROTOOPT, t.setsockopt, V6, socket.IPV6_MULTICAST_HOPS, 1)
    join(s, G, LO_INDEX)
    lib.fails(errno.EADDRINUSE, join, s)  # on any
    join(s, G, ETH0)


def test_options(net):
    net.host('web', WEB)
    net.whole('web', options)


def unroutable():
    s = lib.udp()
    lib.fails(errno.ENETUNREACH, s.sendto, b'x', (G, PORT))
    lib.fails(errno.ENETUNREACH, s.connect, (G, PORT))
    lib.fails(errno.ENODEV, join, s)
    lib.fails(errno.ENODEV, leave, s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    lib.fails(errno.ENETUNREACH, s.sendto, b'x', ('255.255.255.255', PORT))
    t = lib.tcp()
    lib.fails(errno.ENETUNREACH, t.connect, (G, PORT))
    lib.say('end')


def test_unroutable(net):
    """IPv4 has no way without an address; in IPv6 every interface leads to groups."""
    if lib.V6:
        raise lib.Skip('IPv4 only')
    net.host('web', 'fd00::1')
    net.whole('web', unroutable)


def dual():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('::', PORT))
    s.settimeout(lib.LIMIT)
    s.setsockopt(IP, socket.IP_ADD_MEMBERSHIP, mreq(G))
    lib.say('joined')
    data, peer = s.recvfrom(100)
    lib.say([data.decode(), peer[0]])
    s.sendto(b'back', (f'::ffff:{H}', PORT))
    lib.hear()


def test_dual_stack(net):
    if lib.V6:
        raise lib.Skip('both families at once')
    a = three(net)
    net.hosts['pc'].append('fd00::2')
    p = net.part('pc', dual)
    lib.eq(p.get(), 'joined')
    a.ok('web', 'send', 's', 'one', G)
    lib.eq(p.get(), ['one', f'::ffff:{WEB}'])
    p.done(1)


# --- broadcast

def prefix(net, *names):
    """On the kernel the hosts' addresses get a prefix of 24 bits; berth's have what the test says."""
    if lib.KERNEL:
        for name in names:
            address = net.hosts[name][0].split('/')[0]
            net.ip('addr', 'add', f'{address}/24', 'brd', '+', 'dev', 'eth0', host=name)
            net.ip('addr', 'del', f'{address}/32', 'dev', 'eth0', host=name)


def test_broadcast(net):
    if lib.V6:
        raise lib.Skip('IPv6 has no broadcast')
    a = Hosts(net, web=f'{WEB}/24', pc=f'{PC}/24', far='10.2.0.9/24')
    prefix(net, 'web', 'pc', 'far')
    for name in ('pc', 'far', 'web'):
        a.ok(name, 'open', 's', ANY, PORT)
        a.ok(name, 'open', 'second', ANY, PORT)
        a.ok(name, 'open', 'own', net.hosts[name][0].split('/')[0], PORT)
    a.ok('pc', 'open', 'all', '255.255.255.255', PORT)
    a.ok('pc', 'open', 'directed', '10.1.0.255', PORT)
    a.ok('web', 'open', 'sender')
    for address in ('10.1.0.255', '255.255.255.255', '127.255.255.255'):
        lib.eq(a('web', 'send', 'sender', 'no', address), 'EACCES', address)
        lib.eq(a('web', 'connect', 'sender', address), 'EACCES', address)
    a.ok('web', 'broadcast', 'sender', 1)
    for address, name, other in (('10.1.0.255', 'directed', 'all'), ('255.255.255.255', 'all', 'directed')):
        a.ok('web', 'send', 'sender', 'one', address)
        for where in ('pc', 'web'):
            for s in ('s', 'second'):
                a.gets(where, s, 'one', WEB)
        a.gets('pc', name, 'one', WEB)
        a.silent('pc', other, 'own')
        if address == '255.255.255.255':
            a.gets('far', 's', 'one', WEB)
            a.gets('far', 'second', 'one', WEB)
        a.silent('far', 's')
    a.ok('pc', 'inform', 's')
    a.ok('web', 'send', 'sender', 'two', '10.1.0.255')
    lib.eq(a('pc', 'informed', 's'), ['two', WEB, '10.1.0.255', ETH0, 64, PC])
    a.ok('web', 'connect', 'sender', '10.1.0.255')
    a.ok('web', 'write', 'sender', 'three')
    lib.eq(a('pc', 'informed', 's')[:3], ['three', WEB, '10.1.0.255'])
    a.ok('web', 'broadcast', 'sender', 0)
    a.ok('web', 'open', 'again')
    a.ok('web', 'send', 'again', 'plain', '10.2.0.9')
    a.gets('far', 'own', 'plain', WEB)


# --- links and filters

def packets(path):
    """Source, destination, port and TTL of the datagrams of a capture."""
    fields = ['ipv6.src', 'ipv6.dst', 'udp.dstport', 'ipv6.hlim'] if lib.V6 else \
        ['ip.src', 'ip.dst', 'udp.dstport', 'ip.ttl']
    p = subprocess.run(['tshark', '-r', path, '-Y', 'udp', '-T', 'fields', *(w for f in fields for w in ('-e', f))],
                       capture_output=True, text=True, timeout=60)
    lib.eq(p.returncode, 0, p.stderr)
    return [line.split('\t') for line in p.stdout.splitlines()]


def test_delay_and_capture(net):
    lib.berth_only('berth link and capture')
    lib.has('tshark')
    a = three(net)
    for name in ('pc', 'db'):
        a.ok(name, 'join', 's')
    net.link('web', 'pc', 'delay', '50ms')
    out = os.path.join(os.getcwd(), f'group{lib.AF}.pcapng')
    capture = subprocess.Popen([lib.BERTH, 'capture', '--network', net.name, '-w', out, 'pc', 'udp', 'port', str(PORT)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert 'Ctrl-C' in capture.stderr.readline()
    a.ok('web', 'set', 's', 'ttl', 5)
    a.ok('pc', 'inform', 's')
    a.ok('web', 'send', 's', 'one', G)
    a.gets('db', 's', 'one', WEB)
    lib.eq(a('pc', 'informed', 's'), ['one', WEB, G, ETH0, 5] + [PC] * (not lib.V6))
    # larger than a packet; and joined when the link was there already
    a.ok('pc', 'open', 'late', ANY, PORT + 1)
    a.ok('pc', 'join', 'late', H)
    lib.eq(a('web', 'big', 's', 5000, H, PORT + 1), 5000)
    lib.eq(a('pc', 'recv', 'late')[:2], [5000, WEB])
    a.ok('pc', 'leave', 's')
    a.ok('web', 'send', 's', 'two', G)
    a.gets('db', 's', 'two', WEB)
    a.silent('pc', 's')
    # from the other end, to both sides
    a.ok('web', 'open', 'own', ANY, PORT)
    a.ok('web', 'join', 'own')
    a.ok('pc', 'send', 's', 'back', G)
    a.gets('web', 'own', 'back', PC)
    a.gets('db', 's', 'back', PC)
    lib.until('the capture', lambda: len(packets(out)) >= 3)
    capture.send_signal(signal.SIGINT)
    lib.eq(capture.wait(10), 0, 'the status after Ctrl-C')
    capture.stderr.close()
    assert [WEB, G, str(PORT), '5'] in packets(out), packets(out)
    # nobody looks and nothing is delayed any more
    net.berth('link', 'clear', 'web', 'pc')
    a.ok('pc', 'join', 's')
    a.ok('web', 'send', 's', 'three', G)
    lib.eq(a('pc', 'informed', 's')[0], 'three')


def test_link_down(net):
    a = three(net)
    for name in ('pc', 'db'):
        a.ok(name, 'join', 's')
    net.link('pc', 'web', 'down')
    a.ok('web', 'send', 's', 'one', G)
    a.gets('db', 's', 'one', WEB)
    a.silent('pc', 's')
    net.link('pc', 'web', 'up')

    def there():
        a.ok('web', 'send', 's', 'two', G)
        return a('pc', 'recv', 's', 0.5) != 'nothing'
    lib.until('the link is up', there)


def test_filter(net):
    a = three(net)
    a.ok('web', 'open', 'own', ANY, PORT)
    for name, s in (('pc', 's'), ('db', 's'), ('web', 'own')):
        a.ok(name, 'join', s)
    net.filter('pc', [f'drop in udp dport {PORT}'])
    a.ok('web', 'send', 's', 'one', G)
    a.gets('db', 's', 'one', WEB)
    a.gets('web', 'own', 'one', WEB)
    a.silent('pc', 's')
    net.filter('pc', [f'drop in udp dport {PORT + 1}'])
    a.ok('web', 'send', 's', 'two', G)
    a.gets('pc', 's', 'two', WEB)
    a.gets('db', 's', 'two', WEB)
    a.gets('web', 'own', 'two', WEB)
    net.filter('web', [f'drop out udp to {G}'])
    lib.eq(a('web', 'send', 's', 'three', G), 'EPERM')
    a.silent('pc', 's')
    a.silent('db', 's')
    a.silent('web', 'own')
    a.ok('web', 'send', 's', 'plain', PC)
    a.gets('pc', 's', 'plain', WEB)


def test_broadcast_in_packets(net):
    if lib.V6:
        raise lib.Skip('IPv6 has no broadcast')
    lib.berth_only('berth link')
    a = Hosts(net, web=f'{WEB}/24', pc=f'{PC}/24', far='10.2.0.9/24')
    net.link('web', 'pc', 'delay', '10ms')
    for name in ('pc', 'far', 'web'):
        a.ok(name, 'open', 's', ANY, PORT)
    a.ok('web', 'open', 'sender')
    a.ok('web', 'broadcast', 'sender', 1)
    for address in ('255.255.255.255', '10.1.0.255'):
        a.ok('web', 'send', 'sender', address, address)
        a.gets('web', 's', address, WEB)
        a.gets('pc', 's', address, WEB)
    a.gets('far', 's', '255.255.255.255', WEB)
    for name in ('pc', 'far', 'web'):
        a.silent(name, 's')


# --- a program of Debian's

def test_socat(net):
    lib.has('socat')
    net.host('web', WEB)
    net.host('pc', PC)
    join_it = f'ipv6-join-group=[{G}]:eth0' if lib.V6 else f'ip-add-membership={G}:{PC}'
    family = '6' if lib.V6 else '4'
    to = f'[{G}]' if lib.V6 else G
    hears = net.popen('pc', ['socat', '-u', f'UDP{family}-RECV:{PORT},{join_it}', '-'], stdin=subprocess.DEVNULL)

    def heard():
        net.run('web', ['socat', '-u', 'EXEC:echo hello', f'UDP{family}-DATAGRAM:{to}:{PORT}'])
        return not hears.lines.empty()
    lib.until('socat hears socat', heard)
    lib.eq(hears.line(), 'hello\n')


if __name__ == '__main__':
    lib.main()

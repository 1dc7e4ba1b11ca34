# SPDX-License-Identifier: Apache-2.0
"""R10: the usual instruments, unmodified, inside a host: that host's sockets and interfaces, with the right
inodes, PIDs and programs, and only those. The truth is what the programs say of themselves (getpid, fstat)."""
import json
import os
import re
import socket

import lib
import servers  # in tools/, which lib puts on the path

WEB, SECOND, PC = '192.168.1.100', '192.168.1.101', '10.0.0.50'


def truth(s):
    return [os.getpid(), s.fileno(), os.fstat(s.fileno()).st_ino]


def serve(address, port):
    """A listener, a connection to it and its accepted end, one that ended, and a UDP socket."""
    s = lib.listen(address, port)
    client = lib.connect('127.0.0.1', port)
    accepted, _ = s.accept()
    ended = lib.connect('127.0.0.1', port)
    other, _ = s.accept()
    waiting = ended.getsockname()[1]
    ended.close()
    other.recv(1)
    other.close()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((address, 53))
    lib.say({'listener': truth(s), 'client': truth(client), 'accepted': truth(accepted), 'udp': truth(u),
             'client_port': client.getsockname()[1], 'waiting_port': waiting})
    lib.hear()


def columns(text, first):
    """The lines whose first word is `first`, as words."""
    return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]


def start(net):
    """Host web with its sockets, and another host with others."""
    lib.has('netstat', 'ss', 'lsof', 'sysctl', 'ip')
    net.host('web', WEB)
    net.host('other', SECOND)
    server, stranger = net.part('web', serve, '0.0.0.0', 80), net.part('other', serve, '0.0.0.0', 81)
    return server.get(), stranger.get(), (server, stranger)


def end(programs):
    for p in programs:
        p.put('end')
        p.done()


def test_netstat(net):
    t, _, programs = start(net)
    pid = t['listener'][0]
    out = net.run('web', ['netstat', '-tlnp'])
    lib.eq(columns(out, 'tcp'), [['tcp', '0', '0', '0.0.0.0:80', '0.0.0.0:*', 'LISTEN', f'{pid}/python3']], out)
    out = net.run('web', ['sh', '-c', 'netstat -anp | grep ESTABLISHED'])
    port, who = t['client_port'], f'{pid}/python3'
    lib.eq(sorted(columns(out, 'tcp')), sorted([
        ['tcp', '0', '0', f'127.0.0.1:{port}', '127.0.0.1:80', 'ESTABLISHED', who],
        ['tcp', '0', '0', '127.0.0.1:80', f'127.0.0.1:{port}', 'ESTABLISHED', who]]), out)
    out = net.run('web', ['netstat', '-aunp'])
    lib.eq(columns(out, 'udp'), [['udp', '0', '0', '0.0.0.0:53', '0.0.0.0:*', who]], out)
    out = net.run('web', ['netstat', '-tan'])
    assert ['tcp', '0', '0', f'127.0.0.1:{t["waiting_port"]}', '127.0.0.1:80', 'TIME_WAIT'] in columns(out, 'tcp'), out
    end(programs)


def test_ss(net):
    t, _, programs = start(net)
    pid, fd, _ = t['listener']
    out = net.run('web', ['ss', '-tlnp'])
    rows = columns(out, 'LISTEN')
    lib.eq([r[3:4] + r[5:] for r in rows], [['0.0.0.0:80', f'users:(("python3",pid={pid},fd={fd}))']], out)
    lib.eq(rows[0][1:3], ['0', '128'], 'queue and backlog')
    out = net.run('web', ['ss', '-tan', 'state', 'time-wait'])
    lib.eq([line.split()[2:4] for line in out.splitlines()[1:]], [[f'127.0.0.1:{t["waiting_port"]}', '127.0.0.1:80']],
           out)
    out = net.run('web', ['ss', '-tnpe', 'sport', '=', ':80'])
    (row,) = columns(out, 'ESTAB')
    lib.eq(row[3:5], ['127.0.0.1:80', f'127.0.0.1:{t["client_port"]}'], out)
    assert f'pid={pid},fd={t["accepted"][1]}' in out and f'ino:{t["accepted"][2]}' in out, out
    out = net.run('web', ['ss', '-tn', '( dport = :80 or sport = :22 ) and dst 127.0.0.0/8'])
    lib.eq([r[3] for r in columns(out, 'ESTAB')], [f'127.0.0.1:{t["client_port"]}'], out)
    out = net.run('web', ['ss', '-tn', 'dst', '10.0.0.0/8'])
    lib.eq(columns(out, 'ESTAB'), [], out)
    out = net.run('web', ['ss', '-uanp'])
    lib.eq([r[3] for r in columns(out, 'UNCONN')], ['0.0.0.0:53'], out)
    out = net.run('web', ['ss', '-H', '-xa'])
    if not lib.KERNEL:
        lib.eq(out, '', 'the machine\'s AF_UNIX sockets')
    end(programs)


def test_lsof(net):
    t, _, programs = start(net)
    out = net.run('web', ['lsof', '-i', ':80'])
    want = sorted((t[w][0], str(t[w][1]) + 'u', t[w][2]) for w in ('listener', 'client', 'accepted'))
    lib.eq(sorted((int(r[1]), r[3], int(r[5])) for r in columns(out, 'python3')), want, out)
    assert re.search(r'TCP \*:http \(LISTEN\)', out), out
    out = net.run('web', ['lsof', '-nP', '-iUDP'])
    lib.eq([r[5:] for r in columns(out, 'python3')], [[str(t['udp'][2]), '0t0', 'UDP', '*:53']], out)
    out = net.run('web', ['lsof', '-i', ':81'], status=1)
    lib.eq(columns(out, 'python3'), [], out)
    end(programs)


def test_proc_files(net):
    """The files themselves, by every name that a program gives them."""
    t, _, programs = start(net)
    for path in ('/proc/net/tcp', '//proc/./net//tcp', '/proc/self/net/tcp', '/proc/thread-self/net/tcp',
                 '/proc/1/net/tcp') if not lib.KERNEL else ('/proc/net/tcp',):
        lines = net.run('web', ['cat', path]).splitlines()
        lib.eq([len(line) for line in lines], [149] * 5, path)
        got = {(r[1], r[3]): int(r[9]) for r in (line.split() for line in lines[1:])}
        lib.eq(got, {('00000000:0050', '0A'): t['listener'][2],
                     (f'0100007F:{t["client_port"]:04X}', '01'): t['client'][2],
                     ('0100007F:0050', '01'): t['accepted'][2],
                     (f'0100007F:{t["waiting_port"]:04X}', '06'): 0}, path)
    out = net.run('web', ['cat', '/proc/net/udp']).splitlines()
    lib.eq([r.split()[9] for r in out[1:]], [str(t['udp'][2])], str(out))
    end(programs)


def serve6():
    """An IPv6 listener that takes IPv4 too, an IPv4 connection to it, and one that takes IPv6 alone."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.bind(('::', 443))
    s.listen(9)
    client = lib.connect('127.0.0.1', 443)
    accepted, _ = s.accept()
    alone = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    alone.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    alone.bind(('::1', 444))
    alone.listen(9)
    lib.say({'listener': truth(s), 'accepted': truth(accepted), 'alone': truth(alone),
             'port': client.getsockname()[1]})
    lib.hear()


def test_ipv6(net):
    net.host('web', WEB)
    p = net.part('web', serve6)
    t = p.get()
    pid = t['listener'][0]
    out = net.run('web', ['netstat', '-tlnp'])
    lib.eq(sorted(r[3] for r in columns(out, 'tcp6')), ['::1:444', ':::443'], out)
    lib.eq({r[6] for r in columns(out, 'tcp6')}, {f'{pid}/python3'}, out)
    out = net.run('web', ['netstat', '-tn'])
    lib.eq([r[3:5] for r in columns(out, 'tcp6')], [['127.0.0.1:443', f'127.0.0.1:{t["port"]}']], out)
    out = net.run('web', ['ss', '-tlnpe'])
    lib.eq({r[3] for r in columns(out, 'LISTEN')}, {'*:443', '[::1]:444'}, out)
    lib.eq([line for line in out.splitlines() if 'v6only:1' in line and '[::1]:444' in line] != [], True, out)
    assert f'ino:{t["alone"][2]}' in out and f'pid={pid},fd={t["listener"][1]}' in out, out
    out = net.run('web', ['ss', '-tn6'])
    lib.eq([r[3:5] for r in columns(out, 'ESTAB')],
           [['[::ffff:127.0.0.1]:443', f'[::ffff:127.0.0.1]:{t["port"]}']], out)
    out = net.run('web', ['lsof', '-nP', '-i6'])
    lib.eq({(int(r[5]), r[8]) for r in columns(out, 'python3')},
           {(t['listener'][2], '*:443'), (t['alone'][2], '[::1]:444'),
            (t['accepted'][2], f'127.0.0.1:443->127.0.0.1:{t["port"]}')}, out)
    end([p])


def read_all():
    """Every way of libc and beyond to open a file."""
    path, head = '/proc/net/tcp', b'  sl  local_address'
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (lambda: libc.open(path.encode(), 0), lambda: libc.open64(path.encode(), 0),
                 lambda: libc.openat(-100, path.encode(), 0), lambda: libc.openat64(-100, path.encode(), 0),
                 lambda: libc.__open_2(path.encode(), 0), lambda: libc.__openat64_2(-100, path.encode(), 0),
                 lambda: libc.syscall(257, -100, path.encode(), 0, 0), lambda: libc.syscall(2, path.encode(), 0, 0)):
        fd = call()
        text = os.read(fd, 100000)
        os.close(fd)
        assert text.startswith(head) and len(text) == 150 * 2, text
    libc.fopen.restype = libc.freopen.restype = ctypes.c_void_p
    f = libc.fopen(path.encode(), b're')
    for _ in range(2):
        buf = ctypes.create_string_buffer(100)
        libc.fgets(buf, 100, ctypes.c_void_p(f))
        lib.eq(buf.value.startswith(head), True, 'the stream')
        f = libc.freopen(b'/proc/net/tcp', b'r', ctypes.c_void_p(f))
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    lib.eq(os.get_inheritable(fd), False, 'close-on-exec')
    lib.fails((13,), os.open, path, os.O_WRONLY)
    lib.fails((2,), os.open, '/proc/net/nf_conntrack_none', os.O_RDONLY)
    lib.say('read')


def hold_one():
    s = lib.listen('0.0.0.0', 80)
    lib.say(truth(s))
    lib.hear()


def test_every_way_to_open(net):
    lib.berth_only('the wrappers')
    net.host('web', WEB)
    p = net.part('web', hold_one)
    p.get()
    reader = net.part('web', read_all)
    lib.eq(reader.get(), 'read')
    reader.done()
    end([p])


def test_machine_stays_out(net):
    """Neither the machine's listener in a host, nor a host's outside."""
    lib.berth_only('hosts and the machine')
    own = socket.socket()
    own.bind(('0.0.0.0', 0))
    own.listen(1)
    port = own.getsockname()[1]
    _, _, programs = start(net)
    for argv in (['netstat', '-tan'], ['ss', '-tan'], ['cat', '/proc/net/tcp']):
        out = net.run('web', argv)
        assert f':{port} ' not in out and f':{port:04X}' not in out and ':81 ' not in out, out
    with open('/proc/net/tcp') as f:
        lib.eq(f':{port:04X} ' in f.read(), True, 'the machine\'s own listener in the machine\'s own file')
    end(programs)
    own.close()


def test_servers(net):
    """nginx and Redis: workers, a master, another user."""
    if servers.missing():
        raise lib.Skip(f'not installed: {", ".join(servers.missing())} (tools/install-deps check)')
    net.host('web', WEB)
    directory = os.path.join(os.environ['TMPDIR'], net.name)
    os.mkdir(directory, 0o755)
    five = servers.Five('web', WEB, directory, start=lambda argv, **kw: net.popen('web', argv, **kw).p,
                        run=lambda argv: net.run('web', argv, timeout=40))
    try:
        five.prepare()
        five.start('nginx')
        five.start('Redis')
        five.wait_ready()
        out = net.run('web', ['netstat', '-tlnp'])
        pids = {r[3]: r[6].split('/', 1) for r in columns(out, 'tcp')}
        lib.eq(set(pids), {'0.0.0.0:80', '0.0.0.0:6379'}, out)
        lib.eq(pids['0.0.0.0:6379'], [str(five.running['Redis'].pid), 'redis-server'], out)
        master = five.running['nginx'].pid
        lib.eq(pids['0.0.0.0:80'][1], 'nginx:', out)
        out = net.run('web', ['ss', '-tlnp', 'sport', '=', ':80'])
        holders = set(map(int, re.findall(r'"nginx",pid=(\d+),fd', out)))
        workers = set(map(int, net.run('web', ['pgrep', '-P', str(master)]).split()))
        lib.eq(holders, {master} | workers, out)
        lib.eq(len(workers), 2, 'workers')
        out = net.run('web', ['lsof', '-t', '-i', ':6379'])
        lib.eq(out.split(), [str(five.running['Redis'].pid)], out)
    finally:
        five.stop()


test_servers.limit = 120


def test_ordinary_user(net):
    """Somebody who is not root sees the sockets, and the programs of none but himself."""
    if not lib.real_root():
        raise lib.Skip('the other variants are an ordinary user already')
    t, _, programs = start(net)
    drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--']
    out = net.run('web', drop + ['netstat', '-tlnp'])
    lib.eq(columns(out, 'tcp'), [['tcp', '0', '0', '0.0.0.0:80', '0.0.0.0:*', 'LISTEN', '-']], out)
    out = net.run('web', drop + ['ss', '-tlnpe'])
    assert '0.0.0.0:80' in out and f'ino:{t["listener"][2]}' in out and 'users:' not in out, out
    end(programs)


def accept_as(uid):
    s = lib.listen('0.0.0.0', 80)
    client = lib.connect('127.0.0.1', 80)
    os.seteuid(uid)
    accepted, _ = s.accept()
    os.seteuid(0)
    lib.say({'accepted': truth(accepted), 'client': truth(client), 'listener': truth(s)})
    lib.hear()


def test_accepted_by_another_user(net):
    """A connection is of the user who accepted it, as behind a server that gives up root."""
    if not lib.real_root():
        raise lib.Skip('needs root')
    lib.has('ss')
    net.host('web', WEB)
    p = net.part('web', accept_as, 65534)
    t = p.get()
    out = net.run('web', ['ss', '-tanOe'])
    uids = {int(re.search(r'ino:(\d+)', line)[1]): (re.search(r'uid:(\d+)', line) or [0, '0'])[1]
            for line in out.splitlines() if 'ino:' in line}
    lib.eq([uids[t[w][2]] for w in ('accepted', 'client', 'listener')], ['65534', '0', '0'], out)
    end([p])


# --- interfaces

def interfaces():
    import array
    import fcntl
    import struct
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def ask(request, name, data=b''):
        return fcntl.ioctl(s, request, struct.pack('16s24s', name, data))

    room = array.array('B', bytes(4000))
    length = struct.unpack('iL', fcntl.ioctl(s, 0x8912, struct.pack('iL', 4000, room.buffer_info()[0])))[0]
    listed = [room.tobytes()[i:i + 40] for i in range(0, length, 40)]
    lib.say({'nameindex': socket.if_nameindex(),
             'index': [socket.if_nametoindex('eth1'), socket.if_indextoname(2)],
             'conf': [[r[:16].rstrip(b'\0').decode(), socket.inet_ntoa(r[20:24])] for r in listed],
             'addr': socket.inet_ntoa(ask(0x8915, b'eth1')[20:24]),
             'mask': socket.inet_ntoa(ask(0x891b, b'eth1')[20:24]),
             'flags': struct.unpack('H', ask(0x8913, b'lo')[16:18])[0],
             'mtu': struct.unpack('i', ask(0x8921, b'eth0')[16:20])[0],
             'mac': ask(0x8927, b'eth0')[18:24].hex()})
    lib.fails((19,), ask, 0x8913, b'wlan0')
    lib.fails((1,), ask, 0x8914, b'eth0')


def addresses(net, *flags):
    return {d['ifname']: [(a['local'], a['prefixlen']) for a in d['addr_info']]
            for d in json.loads(net.run('web', ['ip', '-j', *flags, 'addr'])) if d}


def test_interfaces(net):
    lib.berth_only('the interfaces of a host')
    lib.has('ip', 'ifconfig', 'node')
    net.host('web', WEB + '/24', PC + '/8', 'fd00::1/64')
    wanted4 = {'lo': [('127.0.0.1', 8)], 'eth0': [(WEB, 24)], 'eth1': [(PC, 8)]}
    wanted6 = {'lo': [('::1', 128)], 'eth0': [('fd00::1', 64)]}
    lib.eq(addresses(net, '-4'), wanted4, 'ip -4 addr')
    lib.eq(addresses(net, '-6'), wanted6, 'ip -6 addr')
    lib.eq(addresses(net), {d: wanted4[d] + wanted6.get(d, []) for d in wanted4}, 'ip addr')
    lib.eq(net.run('web', ['ip', 'route']).split('\n'),
           [f'192.168.1.0/24 dev eth0 proto kernel scope link src {WEB} ',
            f'10.0.0.0/8 dev eth1 proto kernel scope link src {PC} ', ''], 'ip route')
    lib.eq(net.run('web', ['ip', '-6', 'route']), 'fd00::/64 dev eth0 proto kernel metric 256 pref medium\n')
    lib.eq(net.run('web', ['ip', 'route', 'get', '10.1.2.3']).split()[:5], ['10.1.2.3', 'dev', 'eth1', 'src', PC])
    out = net.run('web', ['ip', 'link', 'set', 'eth0', 'down'], status=2)
    assert 'Operation not permitted' in out, out
    out = net.run('web', ['ifconfig'])
    lib.eq(re.findall(r'^(\w+): ', out, re.M), ['eth0', 'eth1', 'lo'], out)
    lib.eq(re.findall(r'inet ([\d.]+)', out), [WEB, PC, '127.0.0.1'], out)
    out = json.loads(net.run('web', ['node', '-p', 'JSON.stringify(os.networkInterfaces())']))
    lib.eq({name: [a['cidr'] for a in v] for name, v in out.items()},
           {'lo': ['127.0.0.1/8', '::1/128'], 'eth0': [WEB + '/24', 'fd00::1/64'], 'eth1': [PC + '/8']})
    mac = out['eth0'][0]['mac']
    lib.eq(int(mac[:2], 16) & 3, 2, 'a locally administered, individual address: ' + mac)
    p = net.part('web', interfaces)
    got = p.get()
    lib.eq(got, {'nameindex': [[1, 'lo'], [2, 'eth0'], [3, 'eth1']], 'index': [3, 'eth0'],
                 'conf': [['lo', '127.0.0.1'], ['eth0', WEB], ['eth1', PC]], 'addr': PC, 'mask': '255.0.0.0',
                 'flags': 0x49, 'mtu': 1500, 'mac': mac.replace(':', '')})
    p.done()


def netlink():
    """What programs rely on beyond questions and answers."""
    import ctypes
    import select
    import struct
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.bind((0, 0))
    lib.eq(s.getsockname(), (os.getpid(), 0), 'the name')
    lib.eq(s.getpeername(), (0, 0), 'the kernel\'s')
    lib.eq([s.family, s.getsockopt(socket.SOL_SOCKET, 39), s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)],
           [socket.AF_NETLINK, socket.AF_NETLINK, socket.SOCK_RAW], 'what it is')
    s.setblocking(False)
    lib.fails((11,), s.recv, 100)
    lib.eq(select.select([s], [], [], 0)[0], [], 'nothing to read')
    ask = struct.pack('=IHHIIB3x', 20, 18, 0x301, 7, 0, 0)
    lib.eq(s.send(ask), 20)
    lib.eq(select.select([s], [], [], 0)[0], [s], 'an answer')
    size = ctypes.CDLL(None).recv(s.fileno(), None, 0, socket.MSG_PEEK | socket.MSG_TRUNC)  # as ip does first
    lib.eq(size > 100, True, 'the size of what waits')
    lib.eq(s.recv(50, socket.MSG_PEEK), s.recv(size, socket.MSG_PEEK)[:50], 'a part')
    data, _, flags, name = s.recvmsg(20)
    lib.eq((len(data), flags, name), (20, socket.MSG_TRUNC, (0, 0)), 'cut off')

    def drain():
        """The types of the messages up to the end of the dump, and to whom they are."""
        types, to = set(), set()
        while 3 not in types:
            data = s.recv(65536)
            while data:
                size, kind, _, _, port = struct.unpack('=IHHII', data[:16])
                types.add(kind)
                to.add(port)
                data = data[size:]
        return types, to

    while select.select([s], [], [], 0)[0]:  # its end may be in a datagram of its own
        s.recv(65536)
    lib.fails((11,), s.recv, 100)
    s.send(ask)
    lib.eq(drain(), ({16, 3}, {os.getpid()}), 'the next answer')
    lib.fails((11,), s.recv, 100)
    lib.fails((111,), s.sendto, ask, (12345, 0))
    lib.eq(s.send(b'junk'), 4)
    lib.fails((11,), s.recv, 100)
    t = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0)
    t.bind((0, 0))
    lib.eq(t.getsockname()[0] not in (0, os.getpid()), True, 'a number of its own')
    d = t.dup()
    t.close()
    d.send(ask)
    lib.eq(len(d.recv(65536)) > 100, True, 'after dup and close')
    if not lib.KERNEL:
        lib.fails((93,), socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 16)  # NETLINK_GENERIC
    lib.fails((94,), socket.socket, socket.AF_NETLINK, socket.SOCK_STREAM, 0)
    lib.say('end')


def test_netlink_sockets(net):
    net.host('web', WEB)
    net.whole('web', netlink)


if __name__ == '__main__':
    lib.main()

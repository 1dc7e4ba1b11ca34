# SPDX-License-Identifier: Apache-2.0
"""With many sockets in a network, those that connect or bind to port 0 have files for names:
nobody notices."""
import errno
import os
import resource
import signal

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
MANY = 2200  # daemon/calls.c: files are used beyond 2,048 names


def server(port=80):
    s = lib.listen('0.0.0.0', port, 4096)
    lib.say(s.getsockname()[1])
    held = []
    while (n := lib.hear()) != 'end':
        for _ in range(n):
            held.append(s.accept())
        lib.say([list(a) for _, a in held[-n:]])
    for c, _ in held[-3:]:
        c.sendall(b'x')
    lib.say('end')
    lib.hear()


def fill():
    """Takes so many names that the next sockets get files."""
    held = []
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for i in range(MANY):
        u = lib.udp()
        u.bind(('0.0.0.0', 20000 + i))
        held.append(u)
    lib.say('full')
    lib.hear()


def client(n, drop_to=None, root=None, port=80):
    if root is not None:
        'host'.encode('idna')  # a module that cannot be read later
        os.chroot(root)
    if drop_to is not None:
        os.setresuid(drop_to, drop_to, drop_to)
    held = [lib.connect(WEB, port) for _ in range(n)]
    lib.say([list(c.getsockname()) for c in held])
    while (word := lib.hear()) != 'end':
        if word == 'recv':
            lib.say([lib.recv_all(c, 1).decode() for c in held])
        elif word == 'fork':
            child = os.fork()
            if child == 0:
                signal.pause()
            for c in held:
                c.close()
            lib.say(child)


def receiver():
    u = lib.udp()
    u.bind(('0.0.0.0', 0))
    u.settimeout(20)
    lib.say(u.getsockname()[1])
    while lib.hear() != 'end':
        data, sender = u.recvfrom(100)
        u.sendto(data.upper(), sender)
        lib.say([data.decode(), list(sender)])


def sender(port, drop_to=None, root=None):
    u = lib.udp()
    u.bind(('0.0.0.0', 0))
    if root is not None:
        os.chroot(root)
    if drop_to is not None:
        os.setresuid(drop_to, drop_to, drop_to)
    u.settimeout(20)
    while (word := lib.hear()) != 'end':
        u.sendto(word.encode(), (WEB, port))
        lib.say(PC if u.recv(100) == word.upper().encode() else 'other')


def refused(port):
    'host'.encode('idna')
    os.chroot('/usr')
    try:
        lib.connect(WEB, port)
        lib.say('connected')
    except OSError as e:
        lib.say(errno.errorcode[e.errno])
    lib.hear()


def files(net):
    return len(os.listdir(os.path.join(net.dir(), 'n')))


def start(net, full=True):
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', server)
    s.get()
    f = net.part('pc', fill)
    lib.eq(f.get(), 'full')
    return s, f


def test_addresses_ends_and_rows(net):
    lib.berth_only('names of sockets')
    s, f = start(net)
    lib.eq(files(net), 0)
    c = net.part('pc', client, 20)
    names = c.get()
    lib.eq(files(net), 20)
    lib.eq(s.ask(20), names, 'what accept says')
    rows = [r for r in net.ss('-tn') if r.state == 'ESTAB']
    lib.eq(len(rows), 40, 'rows')
    lib.eq(net.berth('ss', '-tnp')[0].count('users:'), 40, 'rows with the program that has them')
    child = c.ask('fork')
    lib.until('closing by one of two holders is seen', lambda: files(net) == 20)
    os.kill(child, signal.SIGKILL)
    lib.until('the files of the dead are gone', lambda: files(net) == 0)
    for p in (c, f, s):
        p.kill()


def test_killed_programs_leave_nothing(net):
    lib.berth_only('names of sockets')
    s, f = start(net)
    c = net.part('pc', client, 500)
    s.ask(len(c.get()))
    lib.eq(files(net), 500)
    c.kill()
    lib.until('no file of the killed program', lambda: files(net) == 0)
    lib.until('no row of it',
              lambda: not [r for r in net.ss('-tn') if r.state == 'ESTAB'])
    f.kill()
    s.kill()


def test_a_new_berthd_knows_them(net):
    lib.berth_only('berthd')
    s, f = start(net)
    c = net.part('pc', client, 3)
    names = c.get()
    gone = net.part('pc', client, 4)
    s.ask(len(names) + len(gone.get()))
    os.kill(net.daemon_pid(), signal.SIGKILL)
    gone.kill()
    again = net.part('pc', client, 2)
    lib.eq(s.ask(2), again.get())
    lib.eq(files(net), 5, 'files of the living only')
    rows = {int(r.lport) for r in net.ss('-tn') if r.state == 'ESTAB' and r.local == PC}
    lib.eq({p for _, p in names} - rows, set(), 'ports that the new berthd does not know')
    for p in (again, c, f, s):
        p.kill()


def test_who_cannot_reach_the_directory_does_without(net):
    lib.berth_only('names of sockets')
    if not lib.real_root():
        raise lib.Skip('changing the user and the root directory needs root')
    s, f = start(net)
    other = net.part('pc', client, 3, 65534)
    lib.eq(s.ask(3), other.get())
    lib.eq(files(net), 0)
    inside = net.part('pc', client, 3, None, '/usr')
    lib.eq(s.ask(3), inside.get())
    lib.eq(files(net), 0)
    s.put('end')
    lib.eq(s.get(), 'end')
    lib.eq(inside.ask('recv'), ['x'] * 3)
    for p in (inside, other, f, s):
        p.kill()


def test_a_listener_with_a_file(net):
    lib.berth_only('names of sockets')
    s, f = start(net)
    named = net.part('web', server, 0)
    port = named.get()
    lib.eq(files(net), 1)
    c = net.part('pc', client, 20, None, None, port)
    lib.eq(named.ask(20), c.get())
    lib.eq(len([r for r in net.ss('-tn') if r.state == 'ESTAB' and r.lport == port]), 20)
    c.kill()
    net.berth('link', 'set', 'web', 'pc', 'delay', '1ms')
    far = net.part('pc', client, 2, None, None, port)
    lib.eq(named.ask(2), far.get(), 'in packets')
    named.put('end')
    lib.eq(named.get(), 'end')
    lib.eq(far.ask('recv'), ['x'] * 2)
    for p in (far, named):
        p.kill()
    lib.until('the files of the dead are gone', lambda: files(net) == 0)
    for p in (f, s):
        p.kill()


def test_datagrams_to_a_file_and_from_one(net):
    lib.berth_only('names of sockets')
    s, f = start(net)
    r = net.part('web', receiver)
    port = r.get()
    drops = ((None, None), (65534, None), (None, '/usr')) if lib.real_root() else ((None, None),)
    for drop_to, root in drops:
        c = net.part('pc', sender, port, drop_to, root)
        for word in ('one', 'two'):
            c.put(word)
            lib.eq(r.ask('next')[0], word)
            lib.eq(c.get(), PC, 'the answer')
        lib.until('a file each', lambda: files(net) == 2)
        c.kill()
    r.kill()
    lib.until('the files of the dead are gone', lambda: files(net) == 0)
    for p in (f, s):
        p.kill()


def test_who_cannot_reach_a_listeners_file_is_joined_by_berthd(net):
    lib.berth_only('names of sockets')
    if not lib.real_root():
        raise lib.Skip('changing the user and the root directory needs root')
    s, f = start(net)
    named = net.part('web', server, 0)
    port = named.get()
    other = net.part('pc', client, 3, 65534, None, port)
    lib.eq(named.ask(3), other.get())
    inside = net.part('pc', client, 3, None, '/usr', port)
    lib.eq(named.ask(3), inside.get())
    named.put('end')
    lib.eq(named.get(), 'end')
    lib.eq(inside.ask('recv'), ['x'] * 3)
    named.kill()
    late = net.part('pc', refused, port)
    lib.eq(late.get(), 'ECONNREFUSED')
    for p in (late, inside, other, f, s):
        p.kill()


if __name__ == '__main__':
    lib.main()

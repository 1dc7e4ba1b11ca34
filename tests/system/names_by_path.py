# SPDX-License-Identifier: Apache-2.0
"""With many sockets in a network, those that connect have files for names: nobody notices."""
import os
import resource
import signal

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
MANY = 2200  # daemon/calls.c: files are used beyond 2,048 names


def server():
    s = lib.listen('0.0.0.0', 80, 4096)
    lib.say('ready')
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
    for _ in range(MANY):
        u = lib.udp()
        u.bind(('0.0.0.0', 0))
        held.append(u)
    lib.say('full')
    lib.hear()


def client(n, drop_to=None, root=None):
    if root is not None:
        'host'.encode('idna')  # a module that cannot be read later
        os.chroot(root)
    if drop_to is not None:
        os.setresuid(drop_to, drop_to, drop_to)
    held = [lib.connect(WEB, 80) for _ in range(n)]
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


if __name__ == '__main__':
    lib.main()

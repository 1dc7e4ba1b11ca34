# SPDX-License-Identifier: Apache-2.0
"""berthd dies by SIGKILL: connections live on, new calls fail clearly, the next berthd knows what lives."""
import errno
import os
import shutil
import signal
import socket

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def attempt(call, *args):
    try:
        call(*args)
        return 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]


def new_calls():
    """What each call that needs berthd says now."""
    fresh = [socket.socket() for _ in range(3)] + [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    for s in fresh:
        s.settimeout(10)
    return {'bind': attempt(fresh[0].bind, ('127.0.0.1', 0)),
            'listen': attempt(fresh[1].listen),
            'connect': attempt(fresh[2].connect, (WEB, 80)),
            'sendto': attempt(fresh[3].sendto, b'x', (WEB, 80))}


def obey(c, s=None):
    """Does what the test says, one word a time."""
    while (word := lib.hear()) != 'end':
        if word == 'send':
            c.sendall(b'over the old connection')
            lib.say('sent')
        elif word == 'recv':
            lib.say(lib.recv_all(c, 23).decode())
        elif word == 'names':
            lib.say([list(c.getsockname()), list(c.getpeername())])
        elif word == 'new':
            lib.say(new_calls())
        elif word == 'accept':
            lib.say(s.accept()[1][0])
    lib.say('end')


def server():
    s = lib.listen('0.0.0.0', 80)
    lib.say('ready')
    c, _ = s.accept()
    obey(c, s)


def client():
    obey(lib.connect(WEB, 80))


def visit():
    c = lib.connect(WEB, 80)
    lib.say(c.getpeername()[1])


def talk(a, b):
    for x, y in ((a, b), (b, a)):
        lib.eq(x.ask('send'), 'sent')
        lib.eq(y.ask('recv'), 'over the old connection')


def test_daemon_killed(net):
    lib.berth_only('berthd')
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', server)
    s.get()
    c = net.part('pc', client)
    before = c.ask('names')
    talk(s, c)
    rows = {r[:7] for r in net.ss('-t') if r.state in ('ESTAB', 'LISTEN')}
    lib.eq(len(rows), 3, 'rows before')

    pid = net.daemon_pid()
    os.kill(pid, signal.SIGKILL)
    lib.until('the end of berthd', lambda: not alive(pid))

    talk(s, c)
    lib.eq(c.ask('names'), before, 'addresses, with no berthd')
    for p in (s, c):
        lib.eq(set(p.ask('new').values()), {'ENETDOWN'}, 'new calls with no berthd')
    talk(s, c)

    # the next run starts a new berthd, which finds the old listener
    s.put('accept')
    v = net.part('pc', visit)
    lib.eq(v.get(), 80)
    lib.eq(s.get(), PC, 'the old listener takes a new connection')
    v.done()
    assert net.daemon_pid() != pid
    now = {r[:7] for r in net.ss('-t') if r.state in ('ESTAB', 'LISTEN')}
    lib.eq(rows - now, set(), 'rows that the new berthd does not know')
    lib.eq(s.ask('new')['connect'], 'ok', 'the old program is served again')
    lib.eq(c.ask('new')['bind'], 'ok', 'the old program is served again')
    lib.eq(c.ask('names'), before, 'addresses, with the new berthd')
    talk(s, c)
    for p in (s, c):
        lib.eq(p.ask('end'), 'end')
        p.done()


def holder():
    s = lib.listen(WEB, 80)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((WEB, 53))
    lib.say('ready')
    lib.hear()
    s.close()
    u.close()
    lib.say('closed')
    lib.hear()


def rivals():
    """The ports that survived are taken; the others are not."""
    t, u = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    lib.fails(errno.EADDRINUSE, t.bind, (WEB, 80))
    lib.fails(errno.EADDRINUSE, u.bind, (WEB, 53))
    lib.say('taken')
    lib.hear()
    lib.until('port 80 free', lambda: attempt(t.bind, (WEB, 80)) == 'ok', limit=5)
    lib.until('port 53 free', lambda: attempt(u.bind, (WEB, 53)) == 'ok', limit=5)
    lib.say('free')


def test_ports_are_kept_and_freed_across_daemons(net):
    lib.berth_only('berthd')
    net.host('web', WEB)
    old = net.part('web', holder)
    old.get()
    for _ in range(3):
        pid = net.daemon_pid()
        os.kill(pid, signal.SIGKILL)
        lib.until('the end of berthd', lambda: not alive(pid))
        rival = net.part('web', rivals)
        lib.eq(rival.get(), 'taken')
        rival.kill()
    rival = net.part('web', rivals)
    lib.eq(rival.get(), 'taken')
    lib.eq(old.ask('close'), 'closed')
    lib.eq(rival.ask('bind'), 'free')
    for p in (old, rival):
        p.kill()


def test_directory_removed(net):
    """What a berthd leaves alone when it ends: the files of one that began after somebody had removed its own."""
    lib.berth_only('berthd')
    net.host('web', WEB)
    old = net.part('web', holder)
    old.get()
    first = net.daemon_pid()
    shutil.rmtree(os.path.join(os.environ['BERTH_RUNTIME_DIR'], net.name))
    new = net.part('web', holder)
    new.get()
    second = net.daemon_pid()
    assert second != first
    old.kill()
    lib.until('the end of the first berthd', lambda: not alive(first), limit=20)
    lib.eq({r.lport for r in net.ss()}, {80, 53})
    lib.eq(net.daemon_pid(), second)
    new.kill()


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


if __name__ == '__main__':
    lib.main()

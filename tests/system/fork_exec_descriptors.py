# SPDX-License-Identifier: Apache-2.0
"""R7, descriptors: dup, fork, exec, spawn, passing, closing everything; a socket stays what it is."""
import ctypes
import encodings.idna  # noqa: F401  Python loads it for the first connect; after chroot there is no file
import errno
import fcntl
import os
import select
import socket

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
PORT = 7


def hosts(net):
    net.host('web', WEB)
    net.host('pc', PC)


def echo_client(count=1):
    """Connects, tells who it is, awaits "YOU ARE <what the server sees>"."""
    for _ in range(count):
        c = lib.connect(WEB, PORT)
        own = c.getsockname()
        c.sendall(b'who am i?')
        lib.eq(lib.recv_end(c).decode(), f'you are {own[0]}:{own[1]}, i am {WEB}:{PORT}')
        c.close()
    lib.say('end')


def introduce(c):
    """The answer that echo_client awaits: proves that both addresses are known to whoever holds c."""
    peer, own = c.getpeername(), c.getsockname()
    lib.eq(c.recv(100), b'who am i?')
    c.sendall(f'you are {peer[0]}:{peer[1]}, i am {own[0]}:{own[1]}'.encode())
    c.close()


def play(net, part, *args, clients=1, **kw):
    hosts(net)
    server = net.part('web', part, *args, **kw)
    lib.eq(server.get(), 'ready')
    client = net.part('pc', echo_client, clients)
    lib.eq(client.get(), 'end')
    client.done()
    lib.eq(server.get(), 'end')
    server.done()


def ready(backlog=16):
    s = lib.listen('0.0.0.0', PORT, backlog)
    lib.say('ready')
    return s


# --- dup

def dup_part():
    s = ready()
    copy = s.dup()
    s.close()  # the copy still listens
    c, _ = copy.accept()
    high = fcntl.fcntl(c.fileno(), fcntl.F_DUPFD_CLOEXEC, 200)
    c.close()
    lib.eq(high >= 200, True)
    os.dup2(high, 5)
    os.close(high)
    introduce(socket.socket(fileno=5))
    lib.say('end')


def test_dup(net):
    play(net, dup_part)


def dup_over_part():
    """dup2 over a live socket ends that one and nothing else."""
    s = ready()
    c, _ = s.accept()
    other = socket.socket()
    other.bind(('127.0.0.1', 9999))
    number = other.fileno()
    os.dup2(c.fileno(), number)
    again = socket.socket()
    again.bind(('127.0.0.1', 9999))  # free: its only descriptor was overwritten
    c.close()
    other.detach()
    introduce(socket.socket(fileno=number))
    lib.say('end')


def test_dup_over_a_socket(net):
    play(net, dup_over_part)


# --- fork: both hold it; the connection ends with the last

def fork_part():
    s = ready()
    c, _ = s.accept()
    if (pid := os.fork()) == 0:
        introduce(c)
        os._exit(0)
    c.close()
    lib.eq(os.waitpid(pid, 0)[1], 0)
    lib.say('end')


def test_fork(net):
    play(net, fork_part)


def fork_listener_part():
    """The parent closes its listener; the child's goes on, also for getsockname and a second bind."""
    s = ready()
    r, w = os.pipe()
    if (pid := os.fork()) == 0:
        os.read(r, 1)
        lib.eq(s.getsockname(), ('0.0.0.0', PORT))
        introduce(s.accept()[0])
        os._exit(0)
    s.close()
    again = socket.socket()
    lib.fails(errno.EADDRINUSE, again.bind, ('0.0.0.0', PORT))
    os.write(w, b'x')
    lib.eq(os.waitpid(pid, 0)[1], 0)
    lib.say('end')


def test_fork_listener_outlives_parents_close(net):
    play(net, fork_listener_part)


# --- exec: the socket as standard input and output, as inetd does it

INETD = """
import socket, sys
sys.path.insert(0, %r)
import fork_exec_descriptors as t
c = socket.socket(fileno=0)
t.introduce(c)
""" % lib.HERE


def inetd_part(how):
    s = ready()
    c, _ = s.accept()
    argv = [lib.PY, '-c', INETD]
    if how == 'fork':
        if (pid := os.fork()) == 0:
            os.dup2(c.fileno(), 0)
            os.dup2(c.fileno(), 1)
            os.closerange(3, 1000)
            os.execv(argv[0], argv)
    elif how == 'spawn':
        actions = [(os.POSIX_SPAWN_DUP2, c.fileno(), 0), (os.POSIX_SPAWN_DUP2, c.fileno(), 1),
                   (os.POSIX_SPAWN_CLOSE, c.fileno())]
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    c.close()
    lib.eq(os.waitpid(pid, 0)[1], 0, 'the child')
    lib.say('end')


def test_inetd(net):
    play(net, inetd_part, 'fork')


def test_inetd_by_posix_spawn(net):
    play(net, inetd_part, 'spawn')


def cat_part():
    """A program that knows nothing of sockets serves: cat with the socket on both ends."""
    s = ready()
    for _ in range(2):
        c, _ = s.accept()
        if os.fork() == 0:
            os.dup2(c.fileno(), 0)
            os.dup2(c.fileno(), 1)
            os.execv('/bin/cat', ['cat'])
        c.close()
    os.wait()
    os.wait()
    lib.say('end')


def cat_client():
    for size in (10, 3_000_000):
        c = lib.connect(WEB, PORT)
        data = os.urandom(size)
        got = bytearray()
        rest = memoryview(data)
        c.setblocking(False)
        while len(got) < size:
            can_read, can_write, _ = select.select([c], [c] if rest else [], [], lib.LIMIT)
            if can_write:
                rest = rest[c.send(rest[:65536]):]
            if can_read:
                got += c.recv(65536)
        lib.eq(bytes(got) == data, True, f'{size} bytes through cat')
        c.shutdown(socket.SHUT_WR)
        lib.eq(select.select([c], [], [], lib.LIMIT)[0], [c])
        lib.eq(c.recv(1), b'')
    lib.say('end')


def test_cat(net):
    hosts(net)
    server = net.part('web', cat_part)
    server.get()
    client = net.part('pc', cat_client)
    lib.eq(client.get(60), 'end')
    client.done()
    lib.eq(server.get(), 'end')
    server.done()


def exec_listener_part():
    """A listener handed over by exec, as with socket activation: the new program accepts."""
    s = ready()
    os.set_inheritable(s.fileno(), True)
    code = INETD.replace('socket.socket(fileno=0)', f'socket.socket(fileno={s.fileno()}).accept()[0]')
    os.execv(lib.PY, [lib.PY, '-c', code + "\nimport lib\nlib.say('end')\n"])


def test_exec_listener(net):
    play(net, exec_listener_part)


def cloexec_part():
    """A close-on-exec listener ends with exec: the port is free for the new program."""
    s = ready()
    c, _ = s.accept()
    introduce(c)
    lib.eq(os.get_inheritable(s.fileno()), False)
    code = ('import sys; sys.path.insert(0, %r); import lib; s = lib.listen("0.0.0.0", %d, reuse=False); '
            'lib.say("end")' % (lib.HERE, PORT + 1))
    s2 = lib.listen('0.0.0.0', PORT + 1, reuse=False)
    lib.eq(os.get_inheritable(s2.fileno()), False)
    os.execv(lib.PY, [lib.PY, '-c', code])


def test_exec_closes_cloexec(net):
    play(net, cloexec_part)


# --- descriptor passing

def passing_part():
    """Accepted here, served by another process that got the descriptor over AF_UNIX; so the listener."""
    s = ready()
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        ours.close()
        s.close()
        for _ in range(2):
            _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
            introduce(socket.socket(fileno=fds[0]))
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        introduce(socket.socket(fileno=fds[0]).accept()[0])
        os._exit(0)
    for _ in range(2):
        c, _ = s.accept()
        socket.send_fds(ours, [b'x'], [c.fileno()])
        c.close()
    socket.send_fds(ours, [b'x'], [s.fileno()])
    s.close()
    lib.eq(os.waitpid(pid, 0)[1], 0, 'the worker')
    lib.say('end')


def test_passing(net):
    play(net, passing_part, clients=3)


def passing_client():
    """The connecting side passed on: an unrelated program of the same host goes on with it."""
    path = os.path.join(os.environ['TMPDIR'], 'pass')
    u = socket.socket(socket.AF_UNIX)
    lib.until('the receiver', lambda: u.connect_ex(path) == 0)
    c = lib.connect(WEB, PORT, None)
    socket.send_fds(u, [str(c.getsockname()[1]).encode()], [c.fileno()])
    lib.eq(u.recv(4), b'done')
    lib.say('end')


def passing_receiver():
    path = os.path.join(os.environ['TMPDIR'], 'pass')
    u = socket.socket(socket.AF_UNIX)
    u.bind(path)
    u.listen()
    lib.say('ready')
    via, _ = u.accept()
    data, fds, _, _ = socket.recv_fds(via, 100, 1)
    c = socket.socket(fileno=fds[0])
    lib.eq(c.getsockname(), (PC, int(data)), 'local end of a passed connection')
    lib.eq(c.getpeername(), (WEB, PORT), 'remote end of a passed connection')
    lib.eq((c.family, c.type), (socket.AF_INET, socket.SOCK_STREAM), 'what it is')
    own = c.getsockname()
    c.sendall(b'who am i?')
    lib.eq(lib.recv_end(c).decode(), f'you are {own[0]}:{own[1]}, i am {WEB}:{PORT}')
    via.sendall(b'done')
    os.unlink(path)
    lib.say('end')


def serve_one():
    introduce(ready().accept()[0])
    lib.say('end')


def test_passing_to_an_unrelated_program(net):
    hosts(net)
    server = net.part('web', serve_one)
    server.get()
    receiver = net.part('pc', passing_receiver)
    receiver.get()
    sender = net.part('pc', passing_client)
    for p in (sender, receiver, server):
        lib.eq(p.get(), 'end')
        p.done()


# --- closing everything one does not know

def closing_part(how):
    """A child closes all but the connection, then needs the network again: connects, binds, resolves."""
    s = ready()
    c, _ = s.accept()
    libc = ctypes.CDLL(None, use_errno=True)
    if (pid := os.fork()) == 0:
        keep = os.dup2(c.fileno(), 3)
        if how == 'closefrom':
            libc.closefrom(4)
        elif how == 'close_range':
            lib.eq(libc.close_range(4, 0xffffffff, 0), 0, 'close_range')
        elif how == 'loop':
            for fd in range(4, 1024):
                libc.close(fd)
        fresh = socket.socket()
        lib.eq(fresh.fileno(), 4, 'the next descriptor: the lowest free number')
        fresh.bind(('127.0.0.1', 0))
        fresh.listen()
        mine = socket.create_connection(fresh.getsockname())
        lib.eq(mine.fileno(), 5, 'the one after it')
        lib.eq(fresh.accept()[1], mine.getsockname())
        introduce(socket.socket(fileno=keep))
        os._exit(0)
    c.close()
    lib.eq(os.waitpid(pid, 0)[1], 0, 'the child')
    # the parent is not disturbed
    t = socket.socket()
    t.bind(('127.0.0.1', 0))
    lib.say('end')


def test_closefrom(net):
    play(net, closing_part, 'closefrom')


def test_close_range(net):
    play(net, closing_part, 'close_range')


def test_close_loop(net):
    play(net, closing_part, 'loop')


def numbers_part():
    """Descriptor numbers are the kernel's: lowest free first, none taken by anything else."""
    lowest = os.open('/dev/null', os.O_RDONLY)
    os.close(lowest)
    made = [socket.socket() for _ in range(4)]
    lib.eq([s.fileno() for s in made], list(range(lowest, lowest + 4)), 'numbers of fresh sockets')
    for s in made:
        s.bind(('127.0.0.1', 0))
        s.listen()
    c = socket.create_connection(made[0].getsockname())
    lib.eq(c.fileno(), lowest + 4)
    a, _ = made[0].accept()
    lib.eq(a.fileno(), lowest + 5)
    os.close(made[1].detach())
    lib.eq(os.dup(0), lowest + 1)
    lib.say('end')


def test_descriptor_numbers(net):
    hosts(net)
    net.whole('web', numbers_part)


# --- another user, another root

def setuid_part():
    s = ready()
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    introduce(s.accept()[0])
    t = lib.listen('127.0.0.1', 0)  # the network is still there for the new user
    c = lib.connect(*t.getsockname())
    lib.eq(t.accept()[1], c.getsockname())
    # also for a program that the new user starts
    code = f'import sys; sys.path.insert(0, {lib.HERE!r}); import lib; lib.connect("127.0.0.1", {t.getsockname()[1]})'
    lib.eq(os.spawnv(os.P_WAIT, lib.PY, [lib.PY, '-c', code]), 0, 'a program of the new user')
    lib.say('end')


def test_setuid_after_start(net):
    if not lib.real_root():
        raise lib.Skip('needs root')
    play(net, setuid_part)


def chroot_part():
    """The first need of the network comes after chroot to an empty directory, in one of the two cases."""
    empty = os.path.join(os.environ['TMPDIR'], 'empty')
    os.makedirs(empty, exist_ok=True)
    s = ready()
    os.chroot(empty)
    os.chdir('/')
    introduce(s.accept()[0])
    t = lib.listen('127.0.0.1', 0)
    c = lib.connect(*t.getsockname())
    lib.eq(t.accept()[1], c.getsockname())
    lib.say('end')


def test_chroot_after_start(net):
    if not lib.real_root():
        raise lib.Skip('needs root')
    play(net, chroot_part)


def chroot_first_part():
    empty = os.path.join(os.environ['TMPDIR'], 'empty')
    os.makedirs(empty, exist_ok=True)
    os.chroot(empty)
    os.chdir('/')
    s = ready()
    introduce(s.accept()[0])
    lib.say('end')


def test_chroot_before_first_socket(net):
    if not lib.real_root():
        raise lib.Skip('needs root')
    play(net, chroot_first_part)


def environment_part():
    """A shell pipeline and env with a changed environment: still the same host."""
    s = ready()
    c, _ = s.accept()
    introduce(c)
    lib.say('end')


def test_through_a_shell(net):
    hosts(net)
    server = net.part('web', environment_part)
    server.get()
    code = f'import sys; sys.path.insert(0, {lib.HERE!r}); import fork_exec_descriptors as t; t.echo_client()'
    out = net.run('pc', ['sh', '-c', 'A=1 env B=2 "$0" -c "$1" | cat', lib.PY, code])
    lib.eq(out, '"end"\n')
    lib.eq(server.get(), 'end')
    server.done()


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""R7: the server's and the client's life in every style that programs have."""
import asyncio
import ctypes
import errno
import os
import random
import select
import selectors
import socket
import socketserver
import threading

import lib

PORT = 80
FAMILIES = (4, 6)
WEB, PC, ANY = (lib.addr(a) for a in ('192.168.1.100', '10.0.0.50', '0.0.0.0'))


# --- what every style does with a connection: answers each line in capitals, to the end

def answer(c):
    with c:
        while data := c.recv(4096):
            c.sendall(data.upper())


def serve_sequential(s):
    while True:
        answer(s.accept()[0])


def serve_threads(s):
    while True:
        threading.Thread(target=answer, args=(s.accept()[0],), daemon=True).start()


def serve_fork(s):
    while True:
        c, _ = s.accept()
        if os.fork() == 0:
            s.close()
            answer(c)
            os._exit(0)
        c.close()
        while True:  # the dead ones
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break


def serve_prefork(s):
    for _ in range(3):
        if os.fork() == 0:
            serve_threads(s)
    os.wait()


def serve_prefork_reuseport(s):
    """Each worker has a listener of its own on the same port."""
    s.close()
    for _ in range(3):
        if os.fork() == 0:
            own = lib.tcp()
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            own.bind((ANY, PORT))
            own.listen(64)
            serve_threads(own)
    os.wait()


def loop(s, wait, watch, forget, greedy):
    """The event loop of all readiness styles. greedy: to EAGAIN on every event, as edges demand."""
    s.setblocking(False)
    conns = {}
    watch(s.fileno())
    while True:
        for fd in wait():
            if fd == s.fileno():
                while True:
                    try:
                        c, _ = s.accept()
                    except BlockingIOError:
                        break
                    c.setblocking(False)
                    conns[c.fileno()] = c
                    watch(c.fileno())
                    if not greedy:
                        break
                continue
            c = conns[fd]
            while True:
                try:
                    data = c.recv(3 if greedy else 4096)
                except BlockingIOError:
                    break
                if not data:
                    forget(fd)
                    conns.pop(fd).close()
                    break
                c.sendall(data.upper())
                if not greedy:
                    break


def serve_epoll(s, flags=select.EPOLLIN, greedy=False):
    ep = select.epoll()
    loop(s, lambda: [fd for fd, _ in ep.poll()], lambda fd: ep.register(fd, flags), ep.unregister, greedy)


def serve_epoll_edge(s):
    serve_epoll(s, select.EPOLLIN | select.EPOLLET, True)


def serve_poll(s):
    p = select.poll()
    loop(s, lambda: [fd for fd, _ in p.poll()], lambda fd: p.register(fd, select.POLLIN), p.unregister, False)


def serve_select(s):
    fds = set()
    loop(s, lambda: select.select(fds, [], [])[0], fds.add, fds.discard, False)


def serve_selectors(s):
    sel = selectors.DefaultSelector()
    loop(s, lambda: [key.fd for key, _ in sel.select()], lambda fd: sel.register(fd, selectors.EVENT_READ),
         sel.unregister, False)


def serve_asyncio(s):
    async def handle(reader, writer):
        while data := await reader.read(4096):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(handle, sock=s)
        await server.serve_forever()

    asyncio.run(run())


def serve_socketserver(s):
    s.close()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        address_family = lib.AF
        allow_reuse_address = daemon_threads = True

    Server((ANY, PORT), Handler).serve_forever()


def serve_socketserver_fork(s):
    s.close()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            answer(self.request)

    class Server(socketserver.ForkingTCPServer):
        address_family = lib.AF
        allow_reuse_address = True

    Server((ANY, PORT), Handler).serve_forever()


# --- the parts

def serve(style):
    if 'reuseport' in style or 'socketserver' in style:
        s = lib.tcp()  # they make their own
    else:
        s = lib.listen(ANY, PORT)
    globals()['serve_' + style](s)


def load(connections, rounds):
    """Many connections at once, each asked in turn: every answer belongs to its own question."""
    lib.until('a server', lambda: knock(WEB), pause=0.05)
    conns = [lib.connect(WEB, PORT) for _ in range(connections)]
    for turn in range(rounds):
        order = random.sample(range(connections), connections)
        for i in order:
            conns[i].sendall(f'connection {i} turn {turn}'.encode())
        for i in random.sample(order, connections):
            want = f'CONNECTION {i} TURN {turn}'.encode()
            lib.eq(lib.recv_all(conns[i], len(want)), want)
    for c in conns:
        c.shutdown(socket.SHUT_WR)
        lib.eq(c.recv(1), b'', "the server's end after ours")
        c.close()
    lib.say('end')


def load_async(connections, rounds):
    """The same from asyncio: non-blocking connects all at once."""
    lib.until('a server', lambda: knock(WEB), pause=0.05)

    async def one(i):
        reader, writer = await asyncio.open_connection(WEB, PORT)
        for turn in range(rounds):
            writer.write(f'connection {i} turn {turn}'.encode())
            want = f'CONNECTION {i} TURN {turn}'.encode()
            lib.eq(await reader.readexactly(len(want)), want)
        writer.write_eof()
        lib.eq(await reader.read(), b'')
        writer.close()
        await writer.wait_closed()

    async def all_of_them():
        await asyncio.gather(*(one(i) for i in range(connections)))

    asyncio.run(all_of_them())
    lib.say('end')


def knock(address):
    try:
        socket.create_connection((address, PORT), 5).close()
        return True
    except ConnectionRefusedError:
        return False


def style_test(style, connections=50, client=load):
    def test(net):
        net.host('web', WEB)
        net.host('pc', PC)
        server = net.part('web', serve, style)
        for rounds in (3, 1):  # twice: a server must survive its first clients
            p = net.part('pc', client, connections, rounds)
            lib.eq(p.get(60), 'end')
            p.done()
        assert server.p.poll() is None, 'the server ended'

    return test


def sequential_load(connections, rounds):
    lib.until('a server', lambda: knock(WEB), pause=0.05)
    for i in range(connections):
        c = lib.connect(WEB, PORT)
        for turn in range(rounds):
            c.sendall(b'line %d' % turn)
            lib.eq(lib.recv_all(c, 6), b'LINE %d' % turn)
        c.close()
    lib.say('end')


test_sequential = style_test('sequential', client=sequential_load)
test_threads = style_test('threads')
test_fork = style_test('fork', 20)
test_prefork = style_test('prefork')
test_prefork_reuseport = style_test('prefork_reuseport')
test_epoll_level = style_test('epoll')
test_epoll_edge = style_test('epoll_edge')
test_poll = style_test('poll')
test_select = style_test('select')
test_selectors = style_test('selectors')
test_asyncio = style_test('asyncio', client=load_async)
test_socketserver = style_test('socketserver')
test_socketserver_fork = style_test('socketserver_fork', 20)


def uring():
    libc = ctypes.CDLL(None, use_errno=True)
    params = (ctypes.c_char * 120)()
    ring = libc.syscall(425, 8, params)  # io_uring_setup
    lib.say([ring, ctypes.get_errno()])


def test_io_uring_is_refused(net):
    """A ring could make sockets behind the host's back; a program that is told ENOSYS falls back."""
    lib.berth_only('the kernel has io_uring')
    net.host('web', WEB)
    p = net.part('web', uring)
    ring, err = p.get()
    lib.eq((ring, err), (-1, errno.ENOSYS), 'io_uring_setup')
    p.done()


NODE = """
const net = require('net');
net.createServer(c => c.on('data', d => c.write(d.toString().toUpperCase())).on('end', () => c.end()))
   .listen({port: 80, host: 'ANYHOST'});
""".replace('ANYHOST', ANY)


def test_node_falls_back_from_io_uring(net):
    lib.has('node')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.popen('web', ['node', '-e', NODE], env={**os.environ, 'UV_USE_IO_URING': '1'})
    net.whole('pc', load, 50, 3, limit=60)
    assert server.p.poll() is None, 'the server ended'


if __name__ == '__main__':
    lib.main()

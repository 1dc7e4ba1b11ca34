# SPDX-License-Identifier: Apache-2.0
"""Connections whose bytes travel in packets: what programs see is what they see on Linux."""
import errno
import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time

import lib

WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
FAMILIES = (4, 6)
BYTES = 3_000_000


def hosts(net, *words):
    net.host('web', WEB)
    net.host('pc', PC)
    for name in ('web', 'pc'):
        net.part(name, wait)
    for p in net.procs:
        p.get()
    net.berth('link', 'set', 'web', 'pc', *words)


def wait():
    lib.say('here')
    lib.hear()


def data(n):
    return hashlib.shake_256(b'berth').digest(n)


def server(n, how='shut'):
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    c, peer = s.accept()
    lib.say([list(c.getsockname()[:2]), list(peer[:2]), list(c.getpeername()[:2])])
    if how == 'send':
        c.sendall(data(n))
        c.shutdown(socket.SHUT_WR)
        lib.say(hashlib.sha256(lib.recv_end(c)).hexdigest())
    elif how == 'both':
        got = lib.recv_end(c)
        c.sendall(got)
        c.shutdown(socket.SHUT_WR)
        lib.say(hashlib.sha256(got).hexdigest())
    elif how == 'reset':
        lib.say(lib.recv_all(c, 1).decode())
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.close()
    elif how == 'unread':
        c.recv(1)
        time.sleep(0.2)
        c.close()
    elif how == 'hold':
        lib.hear()
        try:
            lib.say(c.recv(10).decode())
        except OSError as e:
            lib.say(errno.errorcode[e.errno])
    lib.hear()


def client_recv():
    c = lib.connect(WEB, 80)
    lib.say([list(c.getsockname()[:2]), list(c.getpeername()[:2])])
    got = lib.recv_end(c)
    c.sendall(got[:1000])
    c.shutdown(socket.SHUT_WR)
    lib.say(hashlib.sha256(got).hexdigest())
    lib.hear()


def client_both(n):
    c = lib.connect(WEB, 80)
    lib.say([list(c.getsockname()[:2]), list(c.getpeername()[:2])])
    sent = data(n)
    c.setblocking(False)
    at, got, ended = 0, bytearray(), False
    while not ended:
        r, w, _ = select.select([c], [c] if at < n else [], [], 30)
        if w:
            at += c.send(sent[at:at + 65536])
            if at == n:
                c.shutdown(socket.SHUT_WR)
        if r:
            piece = c.recv(65536)
            got += piece
            ended = not piece
    lib.say(hashlib.sha256(got).hexdigest())
    lib.hear()


def names_agree(s, c):
    at_server, at_client = s.get(), c.get()
    lib.eq(at_server[0], [WEB, 80])
    lib.eq(at_server[1], at_client[0], 'the client\'s end')
    lib.eq(at_server[2], at_client[0])
    lib.eq(at_client[1], [WEB, 80])


def transfer(net, *words):
    hosts(net, *words)
    s = net.part('web', server, BYTES, 'send')
    s.get()
    c = net.part('pc', client_recv)
    names_agree(s, c)
    lib.eq(c.get(), hashlib.sha256(data(BYTES)).hexdigest(), 'what the client got')
    lib.eq(s.get(), hashlib.sha256(data(BYTES)[:1000]).hexdigest(), 'what the server got')
    for p in net.procs:
        p.kill()


def test_transfer(net):
    lib.berth_only('links')
    transfer(net, 'delay', '1ms')
    packets = [line.split() for line in net.berth('link', 'show')[0].splitlines()]
    assert len(packets) == 2, packets


def test_transfer_with_loss_and_disorder(net):
    lib.berth_only('links')
    transfer(net, 'loss', '2%', 'delay', '2ms', 'jitter', '1ms', 'duplicate', '1%', 'corrupt', '0.5%')


def test_both_directions_at_once(net):
    lib.berth_only('links')
    hosts(net, 'delay', '500us')
    s = net.part('web', server, BYTES, 'both')
    s.get()
    c = net.part('pc', client_both, BYTES)
    names_agree(s, c)
    want = hashlib.sha256(data(BYTES)).hexdigest()
    lib.eq(s.get(), want, 'what the server got')
    lib.eq(c.get(), want, 'what came back')
    for p in net.procs:
        p.kill()


def refused():
    for port in (81, 82):
        s = lib.tcp()
        lib.fails(errno.ECONNREFUSED, s.connect, (WEB, port))
        lib.fails(errno.ECONNREFUSED, s.connect, (WEB, port))
    s = lib.tcp()
    s.setblocking(False)
    lib.fails(errno.EINPROGRESS, s.connect, (WEB, 81))
    lib.eq(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0, 'while it is under way')
    p = select.poll()
    p.register(s, select.POLLOUT)
    lib.eq(p.poll(10), [], 'before the answer')
    lib.eq(len(p.poll(5000)), 1)
    lib.eq(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNREFUSED)
    lib.eq(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0, 'told once')
    lib.say('done')
    lib.hear()


def test_refused(net):
    lib.berth_only('links')
    hosts(net, 'delay', '50ms')
    c = net.part('pc', refused)
    lib.eq(c.get(), 'done')
    for p in net.procs:
        p.kill()


def slowly():
    s = lib.tcp()
    s.setblocking(False)
    lib.fails(errno.EINPROGRESS, s.connect, (WEB, 80))
    lib.fails(errno.EALREADY, s.connect, (WEB, 80))
    lib.fails(errno.EAGAIN, s.send, b'x')
    lib.fails(errno.EAGAIN, s.recv, 1)
    p = select.poll()
    p.register(s, select.POLLOUT)
    lib.eq(p.poll(20), [], 'before the answer')
    lib.eq([e for _, e in p.poll(5000)], [select.POLLOUT])
    lib.eq(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
    s.send(b'x')
    s.setblocking(True)
    try:
        lib.say(len(s.recv(10)))
    except OSError as e:
        lib.say(errno.errorcode[e.errno])
    lib.hear()


def test_connect_without_waiting_then_reset(net):
    lib.berth_only('links')
    hosts(net, 'delay', '40ms')
    s = net.part('web', server, 0, 'reset')
    s.get()
    c = net.part('pc', slowly)
    s.get()
    lib.eq(s.get(), 'x')
    lib.eq(c.get(), 'ECONNRESET', 'SO_LINGER 0 at the server')
    for p in net.procs:
        p.kill()


def unread():
    c = lib.connect(WEB, 80)
    c.sendall(b'xy')
    try:
        lib.say(len(c.recv(10)))
    except OSError as e:
        lib.say(errno.errorcode[e.errno])
    lib.hear()


def test_closing_with_unread_data_resets(net):
    lib.berth_only('links')
    hosts(net, 'delay', '1ms')
    s = net.part('web', server, 0, 'unread')
    s.get()
    c = net.part('pc', unread)
    lib.eq(c.get(), 'ECONNRESET')
    for p in net.procs:
        p.kill()


def talker():
    c = lib.connect(WEB, 80)
    lib.say(list(c.getsockname()[:2]))
    lib.hear()


def test_states_and_a_killed_program(net):
    lib.berth_only('links')
    hosts(net, 'delay', '1ms')
    s = net.part('web', server, 0, 'hold')
    s.get()
    c = net.part('pc', talker)
    c.get()
    s.get()
    lib.eq(sorted(r.state for r in net.ss('-t')), ['ESTAB', 'ESTAB', 'LISTEN'])
    c.signal(signal.SIGKILL)
    lib.until('FIN', lambda: sorted(r.state for r in net.ss('-t')) == ['CLOSE-WAIT', 'FIN-WAIT-2', 'LISTEN'])
    s.put('read')
    lib.eq(s.get(), '', 'an end of file')
    s.kill()
    lib.until('TIME_WAIT', lambda: [r.state for r in net.ss('-t')] == ['TIME-WAIT'])
    for p in net.procs:
        p.kill()


def test_a_link_that_is_down(net):
    lib.berth_only('links')
    hosts(net, 'down')
    s = net.part('web', server, 0, 'hold')
    s.get()
    c = net.part('pc', patient)
    lib.eq(c.get(), 'EINPROGRESS')
    net.berth('link', 'set', 'web', 'pc', 'up')
    lib.eq(c.get(), 'connected')
    for p in net.procs:
        p.kill()


def patient():
    s = lib.tcp()
    s.setblocking(False)
    try:
        s.connect((WEB, 80))
    except OSError as e:
        lib.say(errno.errorcode[e.errno])
    select.select([], [s], [], 20)
    lib.say('connected' if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 else 'failed')
    lib.hear()


def echo(n):
    u = lib.udp()
    u.bind((lib.addr('0.0.0.0'), 53))
    lib.say('ready')
    for _ in range(n):
        what, who = u.recvfrom(65536)
        u.sendto(what, who)
    lib.say([who[0], who[1]])
    lib.hear()


def asker(sizes):
    u = lib.udp()
    u.settimeout(10)
    for size in sizes:
        begun = time.monotonic()
        u.sendto(data(size), (WEB, 53))
        what, who = u.recvfrom(65536)
        lib.eq(what, data(size), f'{size} bytes')
        lib.eq(list(who[:2]), [WEB, 53])
        assert time.monotonic() - begun > 0.02, 'it came before light could'
    lib.say([PC, u.getsockname()[1]])
    lib.hear()


def test_datagrams(net):
    lib.berth_only('links')
    hosts(net, 'delay', '10ms')
    sizes = [0, 1, 1400, 1473, 9000, 60000]
    s = net.part('web', echo, len(sizes))
    s.get()
    c = net.part('pc', asker, sizes)
    lib.eq(c.get(), s.get(), 'who asked')
    packets = int(net.berth('link', 'show')[0].splitlines()[1].split()[4])
    assert packets > 90, f'{packets} packets: not in fragments'
    for p in net.procs:
        p.kill()


def counted(n):
    u = lib.udp()
    u.bind((lib.addr('0.0.0.0'), 53))
    u.settimeout(3)
    lib.say('ready')
    got = set()
    try:
        while len(got) < n:
            got.add(u.recv(10))
    except TimeoutError:
        pass
    lib.say(len(got))
    lib.hear()


def pourer(n):
    u = lib.udp()
    for i in range(n):
        u.sendto(b'%d' % i, (WEB, 53))
        time.sleep(0.0005)
    lib.say('done')
    lib.hear()


def test_datagrams_are_lost(net):
    lib.berth_only('links')
    hosts(net, 'loss', '30%')
    s = net.part('web', counted, 500)
    s.get()
    net.part('pc', pourer, 500)
    got = s.get()
    assert 290 <= got <= 410, f'{got} of 500'
    for p in net.procs:
        p.kill()


def test_capture(net):
    lib.berth_only('links')
    lib.has('tshark')
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', server, 1000, 'send')
    s.get()
    w = net.part('pc', wait)
    w.get()
    out = os.path.join(os.getcwd(), 'out.pcapng')
    capture = subprocess.Popen([lib.BERTH, 'capture', '--network', net.name, '-w', out, 'pc', 'tcp', 'port', '80'],
                               stderr=subprocess.PIPE, text=True)
    assert 'Ctrl-C' in capture.stderr.readline()
    c = net.part('pc', client_recv)
    c.get()
    c.get()
    s.get()
    s.get()
    lib.until('the capture', lambda: os.path.getsize(out) > 2000)
    capture.send_signal(signal.SIGINT)
    lib.eq(capture.wait(10), 0, 'the status after Ctrl-C')
    assert ' packets, 0 missed' in capture.stderr.read()
    read = subprocess.run(['tshark', '-r', out, '-T', 'fields', '-E', 'separator=|', '-e', 'frame.interface_name',
                           '-e', 'frame.comment', '-e', 'tcp.flags.str', '-e', 'tcp.checksum.status', '-e',
                           '_ws.expert.message', '-o', 'tcp.check_checksum:TRUE'],
                          capture_output=True, text=True, timeout=60)
    said = [line for line in read.stderr.splitlines() if not line.startswith('Running as user')]
    lib.eq((read.returncode, said), (0, []), 'what tshark says')
    rows = [line.split('|') for line in read.stdout.splitlines()]
    assert len(rows) >= 7, rows
    for interface, comment, _, checksum, expert in rows:
        lib.eq(interface, 'pc')
        lib.eq(checksum, '1', 'checksum')
        assert comment.startswith('python3 (pid ') or comment == '', comment
        assert 'etransmi' not in expert, expert
    assert any(row[1] for row in rows), 'no packet names its program'
    _, said = net.berth('capture', 'pc', 'tcp', 'prot', '80', status=2)
    assert 'filter' in said, said
    for p in net.procs:
        p.kill()


def test_ping(net):
    lib.berth_only('links')
    hosts(net, 'delay', '20ms')
    for to in (PC, 'pc'):
        out = net.berth('ping', '-c', '3', '-i', '0.05', 'web', to)[0]
        lib.eq([line.split(': icmp')[0] for line in out.splitlines()[1:4]], [f'64 bytes from {PC}'] * 3, out)
        times = [float(t.split()[0]) for t in out.split('time=')[1:]]
        assert len(times) == 3 and min(times) >= 40, out
    net.berth('link', 'set', 'web', 'pc', 'down')
    assert '100% lost' in net.berth('ping', '-c', '2', '-i', '0.05', 'web', 'pc', status=1)[0]
    _, said = net.berth('ping', 'web', '9.9.9.9' if ':' not in PC else '9::9', status=1)
    assert 'unreachable' in said, said
    _, said = net.berth('ping', '-s', '70000', 'web', 'pc', status=2)
    assert '65499' in said, said
    for p in net.procs:
        p.kill()


def test_bad_words(net):
    lib.berth_only('links')
    hosts(net, 'delay', '1ms')
    for words in (('losss', '1%'), ('loss', '101%'), ('delay', '1'), ('delay',), ('loss', '1%', 'loss', '2%')):
        _, said = net.berth('link', 'set', 'web', 'pc', *words, status=2)
        assert said.startswith('berth: ') and said.count('\n') == 1, said
    _, said = net.berth('link', 'set', 'nobody', 'loss', '1%', status=1)
    assert 'nobody' in said, said
    for p in net.procs:
        p.kill()


def first_connection():
    c = lib.connect(WEB, 80)
    lib.say(lib.recv_end(c).decode())


def hello():
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    while True:
        c, _ = s.accept()
        c.sendall(b'hello')
        c.close()


def test_set_by_run(net):
    """The first connection of a program meets the link that its berth run sets."""
    lib.berth_only('links')
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', hello)
    s.get()
    net.options['pc'] = ['--link', 'web delay 5ms', '--link', 'loss 0.1% rate 100mbit']
    c = net.part('pc', first_connection)
    lib.eq(c.get(), 'hello')
    c.done()
    links = {'+'.join(sorted((x['host'], x['with']))): x for x in json.loads(net.berth('link', 'show', '--json')[0])['links']}
    lib.eq(sorted(links), ['*+pc', 'pc+web'])
    lib.eq((links['pc+web']['settings'], links['*+pc']['packets']), ('delay 5ms', 0))
    assert links['pc+web']['packets'] > 5, links
    for words, said in (('', 'needs words'), ('nobody loss 1%', 'nobody'), ('loss 1', 'loss'), ('pc down', 'pc')):
        net.options['pc'] = ['--link', words]
        out = net.run('pc', ['/bin/echo', 'ran'], status=125)
        assert out.startswith('berth: ') and out.count('\n') == 1 and said in out, (words, out)
    lib.eq(len(json.loads(net.berth('link', 'show', '--json')[0])['links']), 2, 'none of these has set one')
    s.kill()


def test_real_programs(net):
    lib.berth_only('links')
    lib.has('nginx', 'curl')
    hosts(net, 'loss', '1%', 'delay', '2ms')
    work = os.getcwd()
    with open(f'{work}/file', 'wb') as f:
        f.write(data(BYTES))
    with open(f'{work}/nginx.conf', 'w') as f:
        f.write(f'''daemon off; pid {work}/pid; error_log {work}/log; events {{}}
http {{ access_log off; client_body_temp_path {work}/1; proxy_temp_path {work}/2; fastcgi_temp_path {work}/3;
uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
server {{ listen 80; listen [::]:80; location / {{ root {work}; }} }} }}''')
    os.chmod(work, 0o755)
    n = net.popen('web', ['nginx', '-c', f'{work}/nginx.conf'])
    lib.until('nginx', lambda: [r for r in net.ss('-tl') if r.lport in (80, '80', 'http')])
    host = f'[{WEB}]' if ':' in WEB else WEB
    for _ in range(3):
        net.run('pc', ['curl', '-sS', '-o', f'{work}/got', f'http://{host}/file'])
        with open(f'{work}/got', 'rb') as f:
            lib.eq(hashlib.sha256(f.read()).hexdigest(), hashlib.sha256(data(BYTES)).hexdigest())
    n.kill()
    for p in net.procs:
        p.kill()


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""berth top on a terminal (tmux's) and without one."""
import json
import os
import re
import select
import socket
import subprocess
import tempfile

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def serve():
    listeners = [lib.listen('0.0.0.0', port) for port in (80, 443)]
    u = lib.udp()
    u.bind((WEB, 53))
    lib.say('ready')
    held = [listeners[0].accept()[0] for _ in range(3)]
    held[0].sendall(b'unread' * 100)
    lib.say('accepted')
    while (word := lib.hear()) != 'end':
        if word == 'send':
            held[1].sendall(bytes(100_000))
            lib.say('sent')
    print(listeners, u, file=open(os.devnull, 'w'))


def visit():
    held = [lib.connect(WEB, 80) for _ in range(3)]
    lib.say('connected')
    while lib.hear() != 'end':
        lib.recv_all(held[1], 100_000)
        lib.say('read')


def two_hosts(net, *link):
    lib.berth_only('berth top')
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', serve)
    s.get()
    if link:
        idle = net.part('pc', wait)
        idle.get()
        net.link('web', 'pc', *link)
    c = net.part('pc', visit)
    c.get()
    s.get()
    return s, c


def wait():
    lib.say('here')
    lib.hear()


class Screen:
    """A terminal of tmux's with berth top in it."""

    def __init__(self, net, *argv, columns=80, lines=24, env=()):
        lib.has('tmux')
        self.socket = os.path.join(tempfile.mkdtemp(dir=os.environ['TMPDIR']), 's')
        command = ' '.join([*env, lib.BERTH, 'top', '--network', net.name, '-d', '0.3', *argv])
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(columns), '-y', str(lines),
                  f'trap : INT; {command}; echo "ended with $?"; stty -a | tr ";" "\\n" | grep -c "[^-]echo "; exec cat')

    def tmux(self, *argv):
        # The test's user has no shell to log in with.
        return subprocess.run(['tmux', '-S', self.socket, *argv], capture_output=True, text=True, check=True,
                              timeout=lib.LIMIT, env=dict(os.environ, SHELL='/bin/sh')).stdout

    def text(self, *flags):
        return self.tmux('capture-pane', '-p', *flags)

    def keys(self, *keys):
        self.tmux('send-keys', *keys)

    def resize(self, columns, lines):
        self.tmux('resize-window', '-x', str(columns), '-y', str(lines))

    def until(self, what, test):
        try:
            lib.until(what, lambda: test(self.text()))
        except AssertionError:
            raise AssertionError(f'{what}; the screen:\n{self.text()}') from None
        return self.text()

    def shows(self, *words):
        return self.until(f'{words} on the screen', lambda t: all(w in t for w in words))

    def end(self):
        self.tmux('kill-server')


def rows(text):
    """The list's lines: those with a protocol."""
    return [line.split() for line in text.splitlines() if re.search(r' (tcp|udp) ', line) and 'listen 0' not in line
            and not line.startswith('explain')]


def test_screen(net):
    s, c = two_hosts(net)
    screen = Screen(net)
    text = screen.shows('2 hosts', '2 listen', '6 established', 'web', 'pc', 'python3', ':443', 'q quit')
    lib.eq(len(rows(text)), 9, text)
    lib.eq(all(len(line) <= 80 for line in text.splitlines()), True)
    assert re.search(r'pc +ephemeral \[\+\.', text), text  # three ports of 28,232
    screen.keys('t')
    lib.eq(len(rows(screen.shows('show:listeners'))), 3)
    screen.keys('t')
    lib.eq(len(rows(screen.shows('show:connections'))), 6)
    screen.keys('t')
    screen.shows('show:all')

    screen.keys('s')  # by queue: the one with 600 bytes to be read
    text = screen.shows('sort:queue')
    lib.eq((rows(text)[0][0], '600' in rows(text)[0]), ('pc', True), text)
    screen.keys('s', 's')
    text = screen.shows('sort:port')
    lib.eq(rows(text)[0][:3], ['web', 'python3', 'udp'], text)
    screen.keys('r')
    text = screen.shows('sort:port (up)')
    lib.eq(rows(text)[0][0], 'pc', text)
    screen.keys('r')

    screen.keys('f', 'web listen', 'Enter')
    text = screen.until('the filter', lambda t: len(rows(t)) == 2)
    assert ':80' in text and ':443' in text and 'f filter:web listen' in text, text
    screen.keys('f', 'C-u', 'nobody', 'Enter')
    screen.shows('no socket matches')
    screen.keys('f', 'C-u', 'Enter')
    screen.until('all again', lambda t: len(rows(t)) == 9)

    screen.keys('Home', '/', ':443', 'Enter', 'e')
    screen.shows('explain tcp', 'web:443', 'answer', 'python3', 'any key: back')
    screen.keys('x')
    screen.shows('q quit')
    screen.keys('/', 'pc estab', 'Enter', 'Enter')
    screen.shows('explain tcp 192.168.1.100:80 10.0.0.50:', 'the connection with this 5-tuple: python3')
    screen.keys('x')
    screen.shows('q quit')
    screen.keys('/', 'no such thing', 'Enter')
    screen.shows("nothing here has 'no such thing'")
    screen.keys('?')
    screen.shows('berth top: keys', 'space')
    screen.keys('x')
    screen.shows('q quit')

    screen.resize(60, 10)
    screen.shows('berth top needs 80x12; here are 60x10')
    screen.resize(120, 40)
    screen.shows('192.168.1.100:53', 'q quit')
    screen.resize(80, 12)
    screen.shows('2 hosts', 'q quit')
    screen.keys('q')
    screen.shows('ended with 0', '1')  # and the terminal echoes again
    screen.end()
    for p in (s, c):
        p.kill()


def test_a_socket_stays_selected(net):
    s, c = two_hosts(net)
    screen = Screen(net)
    screen.shows(':443')
    screen.keys('/', ':443', 'Enter', 's', 's', 'e')
    screen.shows('explain tcp', 'web:443')
    screen.keys('C-c')
    screen.shows('ended with 0')
    screen.end()
    for p in (s, c):
        p.kill()


def colours(screen):
    return re.search(r'\x1b\[[0-9;]*3[0-7]m', screen.text('-e')) is not None


def test_colours(net):
    s, c = two_hosts(net)
    for argv, env, wanted in (((), (), True), (('--no-color',), (), False), ((), ('NO_COLOR=1',), False),
                              ((), ('TERM=vt100',), False)):
        screen = Screen(net, *argv, env=env)
        screen.shows('2 hosts', 'q quit')
        lib.eq(colours(screen), wanted, f'colours with {argv} {env}')
        screen.end()
    for p in (s, c):
        p.kill()


def rates(net, *link):
    s, c = two_hosts(net, *link)
    screen = Screen(net)
    screen.shows('q quit')

    def busy():
        lib.eq(s.ask('send'), 'sent')
        lib.eq(c.ask('read'), 'read')
        top = rows(screen.text())[0]
        return 'estab' in top and re.search(r'[1-9]\S*[kM]', ' '.join(top[4:7])) is not None

    lib.until('a rate in the first line', busy)
    screen.keys('q')
    screen.shows('ended with 0')
    screen.end()
    for p in (s, c):
        p.kill()


def test_rates(net):
    """Programs count what they move directly."""
    rates(net)


def test_rates_in_packets(net):
    rates(net, 'delay', '1ms')


def move():
    """One connection that a child serves too, one that only the reader can count, one of datagrams, one of a program that
    was executed, and one idle."""
    s = lib.listen('0.0.0.0', 80)
    u = lib.udp()
    u.bind((WEB, 53))
    lib.say('ready')
    shared, unseen, given, _idle = [s.accept()[0] for _ in range(4)]
    _, client = u.recvfrom(1)
    echo = 'while read word; do echo 0123456789; done'
    subprocess.Popen(['/bin/sh', '-c', echo], stdin=given, stdout=given)
    if os.fork() == 0:
        try:
            while True:
                shared.sendall(b'x' * 5000)
        except OSError:
            os._exit(0)
    with open('/dev/zero', 'rb') as zeros:
        while True:
            shared.sendall(b'x' * 1000)
            os.sendfile(unseen.fileno(), zeros.fileno(), 0, 3000)
            u.sendto(b'y' * 700, client)


def watch():
    conns = [lib.connect(WEB, 80) for _ in range(4)]
    u = lib.udp()
    u.connect((WEB, 53))
    u.send(b'?')
    names = [x.getsockname()[1] for x in (*conns, u)]
    lib.say(names)
    conns[2].sendall(b'\n')
    while True:
        for x in select.select([*conns, u], [], [])[0]:
            x.recv(65536)
            if x is conns[2]:
                x.sendall(b'\n')


def test_who_counts(net):
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', move)
    s.get()
    c = net.part('pc', watch)
    names = c.get()
    lines = json.loads(net.berth('top', '--json', '-d', '1')[0])['sockets']

    def rate(end, i):
        return sum(x['bytes_per_s'] for x in lines if x[end].endswith(f':{names[i]}') and x['proto'] == ('udp' if i == 4 else 'tcp'))

    for i in range(3):
        assert rate('local', i) > 0, (i, lines)
        lib.eq(rate('local', i), rate('peer', i), 'both ends of a connection')
    lib.eq((rate('local', 3), rate('peer', 3)), (0, 0), 'the idle one')
    assert rate('local', 4) > 0, lines
    lib.eq({x['counted'] for x in lines if x['state'] == 'listen'}, {False})
    lib.eq({x['counted'] for x in lines if x['state'] != 'listen'}, {True})
    for p in (s, c):
        p.kill()


def test_the_network_ends(net):
    s, c = two_hosts(net)
    screen = Screen(net)
    screen.shows('q quit')
    net.berth('down', '--force')
    screen.shows('ended with 1', 'berth:')
    screen.end()
    for p in (s, c):
        p.kill()


def test_without_a_terminal(net):
    s, c = two_hosts(net)
    out, _ = net.berth('top', '--batch', '-n', '2', '-d', '0.1', '-s', 'port', '-f', 'tcp listen')
    lib.eq(out.count('2 hosts'), 2)
    lib.eq([(r[0], r[5] if len(r) > 5 else '') for r in rows(out)][:1] != [], True)
    lib.eq(len(rows(out)), 4, out)
    out, _ = net.berth('top', '--batch', '-n', '1', 'pc')
    lib.eq((out.count('1 hosts'), len(rows(out))), (1, 3), out)
    for argv, word in ((('-d', 'soon'), "'soon' is not a value for --interval"), (('-n', '0'), "'0' is not a value"),
                       (('-s', 'size'), "'size' is not a value for --sort"), ((), 'needs a terminal'),
                       (('-f', 'x' * 70), 'longer than')):
        _, err = net.berth('top', *argv, status=2)
        lib.eq((word in err, err.count('\n')), (True, 1), err)
    _, err = net.berth('top', '--batch', 'nobody', status=1)
    assert 'nobody' in err, err
    p = subprocess.run([lib.BERTH, 'top', '--batch', '--network', 'no-such'], capture_output=True, text=True, check=False)
    lib.eq((p.returncode, 'start one with' in p.stderr), (1, True), p.stderr)
    for p in (s, c):
        p.kill()


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""Nothing is left behind: not by programs that never close, not in berthd, not by berthd."""
import os
import socket
import time

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
ROUNDS = 30


def careless(way):
    """Makes sockets in every state and leaves without closing one."""
    keep = [socket.socket() for _ in range(20)]
    for s in keep[:10]:
        s.bind(('0.0.0.0', 0))
    for s in keep[:5]:
        s.listen()
    for s in keep[10:15]:
        s.connect(('127.0.0.1', keep[0].getsockname()[1]))
    keep += [keep[0].accept()[0] for _ in range(3)]  # two stay in the backlog
    for _ in range(10):
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.sendto(b'x', (WEB, 9))
        keep.append(u)
    keep[-1].connect((WEB, 80))
    if way == 'killed':
        os.kill(os.getpid(), 9)
    os._exit(0)


def sitter():
    """Keeps the network alive between the rounds."""
    s = socket.socket()
    s.bind((PC, 1))
    lib.say('ready')
    lib.hear()


def memory(pid):
    with open(f'/proc/{pid}/status') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))


def descriptors(pid):
    """How many berthd has open; 0 where only root may look, since berthd lets nobody trace it."""
    try:
        return len(os.listdir(f'/proc/{pid}/fd'))
    except PermissionError:
        return 0


def quiet(net):
    """The table holds the sitter's socket and TIME_WAIT rows, nothing else."""
    rows = [r for r in net.ss() if r.state != 'TIME-WAIT']
    return len(rows) == 1 and rows[0].lport == 1


def test_careless_programs(net):
    lib.berth_only('berthd')
    net.host('web', WEB)
    net.host('pc', PC)
    net.part('pc', sitter).get()
    pid = net.daemon_pid()
    sizes = []
    for i in range(ROUNDS):
        way = ('leaves', 'killed')[i % 2]
        net.part('web', careless, way).done(-9 if way == 'killed' else 0)
        lib.until(f'an empty table after round {i} ({way})', lambda: quiet(net), limit=10)
        sizes.append((descriptors(pid), memory(pid)))
    warm, last = sizes[ROUNDS // 3], sizes[-1]
    assert last[0] <= warm[0] + 2, f'descriptors of berthd: {warm[0]}, then {last[0]}'
    assert last[1] <= warm[1] + 2048, f'kB of berthd: {warm[1]}, then {last[1]}'
    return f'{ROUNDS} rounds; berthd: {last[0]} descriptors, {last[1]} kB'


def churn(count):
    """Connections and UDP sockets made and closed in a row."""
    s = lib.listen('127.0.0.1', 80)
    for _ in range(count):
        c = socket.create_connection(('127.0.0.1', 80))
        a, _ = s.accept()
        a.close()
        lib.eq(c.recv(1), b'')
        c.close()
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.connect(('127.0.0.1', 53))
        u.close()
    lib.say('end')


def test_churn(net):
    """TIME_WAIT rows are all that 5,000 short connections leave, and berthd's descriptors do not grow."""
    lib.berth_only('berthd')
    net.host('web', WEB)
    net.host('pc', PC)
    net.part('pc', sitter).get()
    pid = net.daemon_pid()
    before = descriptors(pid)
    net.whole('web', churn, 5000, limit=60)
    lib.until('no more than TIME_WAIT rows', lambda: quiet(net), limit=10)
    assert descriptors(pid) <= before + 2, f'descriptors of berthd: {before}, then {descriptors(pid)}'
    left = [r for r in net.ss() if r.state == 'TIME-WAIT']
    return f'{len(left)} in TIME-WAIT; berthd: {memory(pid)} kB'


def test_daemon_ends(net):
    """A moment after the last program berthd is gone; the next run starts another."""
    lib.berth_only('berthd')
    net.host('web', WEB)
    pids = []
    for _ in range(2):
        p = net.part('web', churn, 1)
        p.get()
        pids.append(net.daemon_pid())
        start = time.monotonic()
        p.done()
        lib.until('the end of berthd', lambda: not os.path.exists(f'/proc/{pids[-1]}') or zombie(pids[-1]), limit=15)
        took = time.monotonic() - start
    assert pids[0] != pids[1]
    return f'gone {took:.1f} s after its last program'


def zombie(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'Z'
    except OSError:
        return True


def test_idle_program_keeps_it(net):
    """A program that has no socket keeps the network all the same."""
    lib.berth_only('berthd')
    net.host('web', WEB)
    p = net.popen('web', ['sleep', '60'])
    lib.until('berthd', lambda: os.path.exists(os.path.join(net.dir(), 'table')), limit=5)
    pid = net.daemon_pid()
    time.sleep(4)
    assert not zombie(pid), 'berthd ended under a running program'
    lib.eq('web' in net.berth('hosts')[0], True, 'berth hosts names the host')
    p.kill()


if __name__ == '__main__':
    lib.main()

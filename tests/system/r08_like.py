# SPDX-License-Identifier: Apache-2.0
"""R8: hosts like Linux, Windows and macOS: their ephemeral ports, their TIME_WAIT, who may bind below 1024; and
settings given to berth run and berth sysctl."""
import errno
import json
import os
import socket
import subprocess

import lib

RANGE = '/proc/sys/net/ipv4/ip_local_port_range'
SYSTEMS = (  # the chapter's ranges; TIME_WAIT in seconds; the first port that anybody may bind
    ('linux', 32768, 60999, 60, 1024),
    ('windows', 49152, 65535, 120, 0),
    ('macos', 49152, 65535, 30, 0),
)


def run(net, host, options, argv, status=0):
    p = subprocess.run([lib.BERTH, 'run', '--network', net.name, '--host', host, *options, '--', *argv],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=lib.LIMIT)
    lib.eq(p.returncode, status, f'status of {options} {argv} ({p.stdout}{p.stderr})')
    return p.stdout + p.stderr


def sysctl(net, *argv, status=0):
    return net.berth('sysctl', *argv, status=status)


def stay():
    lib.say('here')
    lib.hear()


def ports(count):
    """Local ports that connect and bind to port 0 were given; the connections end in TIME_WAIT."""
    server = lib.listen('127.0.0.1', 7)
    found = []
    for _ in range(count):
        c = lib.connect('127.0.0.1', 7)
        a, _ = server.accept()
        found.append(c.getsockname()[1])
        c.close()
        a.close()
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            found.append(s.getsockname()[1])
    lib.say(found)
    lib.hear()


def bind_low():
    s = socket.socket()
    try:
        s.bind(('', 80))
        lib.say(0)
    except OSError as e:
        lib.say(e.errno)


def test_like(net):
    """What each system has by default is what its host's programs meet."""
    lib.berth_only('--like')
    for system, lo, hi, wait, _ in SYSTEMS:
        net.host(system)
        out = run(net, system, ['--like', system], ['cat', RANGE])
        lib.eq(out, f'{lo}\t{hi}\n', f'range of {system}')
        p = net.part(system, ports, 50)
        found = p.get()
        assert all(lo <= port <= hi for port in found), (system, found)
        waits = [s for s in json.loads(net.berth('ss', '-ta', '--host', system, '--json')[0])['sockets']
                 if s['state'] == 'TIME-WAIT']
        assert waits, f'no TIME_WAIT on {system}'
        assert all(wait - 30 < s['timer_s'] <= wait for s in waits), (system, waits)
        p.put('end')
        p.done()


def test_low_ports(net):
    """Port 80 for a user of the host who is not its root."""
    lib.berth_only('--like')
    for system, _, _, _, start in SYSTEMS:
        argv = [lib.PY, os.path.abspath(__file__), '--part', 'bind_low', '[]']
        out = run(net, system, ['--like', system, '--unprivileged'], argv)
        lib.eq(json.loads(out), errno.EACCES if start else 0, f'bind to 80 on {system}')
        lib.eq(json.loads(run(net, system, [], argv)), 0, f"bind to 80 by the root of {system}'s host")


def test_settings_given(net):
    """--sysctl, --time-wait and --like together; a host of its own for each setting."""
    lib.berth_only('berth run --sysctl')
    given = ['--sysctl', 'net.ipv4.ip_local_port_range=10000 65535', '--time-wait', '0.5', '--like', 'macos']
    lib.eq(run(net, 'a', given, ['cat', RANGE]), '10000\t65535\n')
    lib.eq(run(net, 'b', [], ['cat', RANGE]), '32768\t60999\n')
    net.host('a')
    keep = net.part('a', stay)
    keep.get()
    lib.eq(sysctl(net, 'a', 'net.berth.time_wait_ms', 'net/ipv4/tcp_tw_reuse')[0],
           'net.berth.time_wait_ms = 500\nnet.ipv4.tcp_tw_reuse = 0\n')
    text = run(net, 'a', ['--sysctl', 'net.ipv4.ip_local_port_range=9 1'], ['true'], status=125)
    assert 'net.ipv4.ip_local_port_range' in text and len(text.splitlines()) == 1, text
    text = run(net, 'a', ['--sysctl', 'net.ipv4.nonsense=1'], ['true'], status=125)
    assert 'net.ipv4.nonsense' in text and len(text.splitlines()) == 1, text
    lib.eq(run(net, 'a', [], ['cat', RANGE]), '10000\t65535\n', 'the range after refusals')


def test_from_outside(net):
    """berth sysctl changes what a program of the host reads, and of that host only."""
    lib.berth_only('berth sysctl')
    net.host('a')
    net.host('b')
    for host in net.hosts:
        net.part(host, stay).get()
    lib.eq(sysctl(net, 'a', 'net.ipv4.ip_local_port_range=10000 65535')[0],
           'net.ipv4.ip_local_port_range = 10000\t65535\n')
    lib.eq([net.run(host, ['cat', RANGE]) for host in 'ab'], ['10000\t65535\n', '32768\t60999\n'])
    every = json.loads(sysctl(net, '--json', 'a')[0])['settings']
    lib.eq(every[0], {'name': 'net.ipv4.ip_local_port_range', 'value': '10000\t65535'})
    for setting in every:
        text = sysctl(net, 'a', setting['name'])[0]
        lib.eq(text, f'{setting["name"]} = {setting["value"]}\n')
        if setting['name'].startswith('net.ipv4.'):
            path = '/proc/sys/' + setting['name'].replace('.', '/')
            lib.eq(net.run('a', ['cat', path]), setting['value'] + '\n', path)
    _, error = sysctl(net, 'a', 'net.ipv4.ip_local_port_range=x', status=1)
    assert len(error.splitlines()) == 1 and 'old value' in error, error
    lib.eq(net.run('a', ['cat', RANGE]), '10000\t65535\n', 'the range after a refusal')


if __name__ == '__main__':
    lib.main()

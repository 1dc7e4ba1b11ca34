# SPDX-License-Identifier: Apache-2.0
"""berth doctor: its numbers are those of ss, each finding shows when it is provoked and goes with its cure; of a
host, and of the kernel's own sockets in a network namespace."""
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import lib

API, CLIENT = '192.168.1.100', '10.0.0.50'
PORT = 3000
NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT
HEALTHY, WARNING, USAGE, CRITICAL, CANNOT = 0, 1, 2, 3, 4


def doctor(*argv, status, interval='0'):
    p = subprocess.run([lib.BERTH, 'doctor', '--interval', interval, *argv], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=lib.LIMIT)
    if p.returncode != status:
        raise AssertionError(f'doctor {argv}: status {p.returncode}, want {status}: {p.stdout}{p.stderr}')
    return p.stdout, p.stderr


def host(net, status, name='pc', *more):
    """The one host's part of the JSON."""
    whole = json.loads(doctor('--network', net.name, '--json', name, *more, status=status)[0])
    lib.eq((whole['schema'], whole['source'], whole['network']), (1, 'network', net.name))
    lib.eq([h['host'] for h in whole['hosts']], [name])
    lib.eq(whole['verdict'], {0: 'healthy', 1: 'warning', 3: 'critical'}[status])
    return whole['hosts'][0]


def found(report, kind):
    """The one finding of a kind, and the ids of its cures."""
    findings = [f for f in report['findings'] if f['kind'] == kind]
    lib.eq(len(findings), 1, f'findings of kind {kind} in {report["findings"]}')
    return findings[0], {c['id'] for c in findings[0]['cures']}


# --- in a host

def serve(backlog):
    s = lib.listen(API, PORT, backlog)
    lib.say('ready')
    held = []
    while (word := lib.hear()) != 'end':
        for _ in range(word if isinstance(word, int) else 0):
            held.append(s.accept()[0])
        if word == 'close':
            held = []
        lib.say('done')


def call():
    """Connects, binds and closes as the test says."""
    held = []
    while (word := lib.hear()) != 'end':
        what, n = word
        refused = ''
        for _ in range(n):
            s = held.pop() if what == 'close' else lib.tcp()
            try:
                if what == 'close':
                    s.close()
                    continue
                held.append(s)
                if what == 'late':
                    s.setsockopt(socket.IPPROTO_IP, NO_PORT, 1)
                if what in ('bind', 'late'):
                    s.bind((CLIENT, 0))
                else:
                    s.connect((API, PORT))
            except OSError as e:
                refused = errno.errorcode[e.errno]
                held.pop().close()
                break
        lib.say(refused)


def network(net, *settings, backlog=128):
    lib.berth_only('berth doctor of a host')
    net.host('web', API)
    net.host('pc', CLIENT)
    server = net.part('web', serve, backlog)
    lib.eq(server.get(), 'ready')
    client = net.part('pc', call)
    lib.eq(client.ask(['connect', 0]), '')
    net.sysctl('pc', 'net.ipv4.ip_local_port_range=40000 40099', *settings)
    return server, client


def end(*procs):
    for p in procs:
        p.put('end')
        p.done()


def test_fullest_destination(net):
    """Healthy, then a warning, then critical when connect fails; a wider range cures it. The numbers are ss's."""
    server, client = network(net)
    report = host(net, HEALTHY)
    lib.eq((report['capacity'], report['connections_per_s'], report['findings']), (100, 1, []))
    lib.eq(client.ask(['connect', 75]), '')
    server.ask(75)
    report = host(net, WARNING)
    flow = report['flows'][0]
    lib.eq((flow['used'], flow['percent'], flow['destination_port']), (75, 75, PORT))
    lib.eq(report['established'], sum(r.state == 'ESTAB' for r in net.ss('-t', '--host', 'pc')))
    lib.eq(client.ask(['connect', 26]), 'EADDRNOTAVAIL')
    server.ask(25)
    f, cures = found(host(net, CRITICAL), 'ephemeral_ports')
    lib.eq((f['value'], f['limit'], f['program']), (100, 100, 'python3'))
    lib.eq({'wider_range', 'pool', 'destinations'} <= cures and 'tw_reuse' not in cures, True)
    text, _ = doctor('--network', net.name, 'pc', status=CRITICAL)
    command = next(line for line in text.splitlines() if 'ip_local_port_range=' in line).split('cure: ')[1]
    lib.eq(command.startswith(f'berth sysctl --network {net.name} pc '), True, command)
    words = command.split('  (')[0].replace("'", '').split(' ', 5)
    net.berth('sysctl', *words[4:])
    host(net, HEALTHY)
    lib.eq(client.ask(['connect', 1]), '')
    end(client, server)


def test_time_wait(net):
    """What lingers counts, and tcp_tw_reuse is offered until it is set; a pool needs no ports."""
    server, client = network(net)
    lib.eq(client.ask(['connect', 80]), '')
    server.ask(80)
    lib.eq(client.ask(['close', 80]), '')
    server.ask('close')
    report = lib.until('TIME_WAIT', lambda: (r := host(net, WARNING))['time_wait'] == 80 and r)
    lib.eq(report['time_wait'], sum(r.state == 'TIME-WAIT' for r in net.ss('-t', '--host', 'pc')))
    f, cures = found(report, 'ephemeral_ports')
    lib.eq({'tw_reuse', 'reuseaddr', 'server_closes', 'pool'} <= cures, True, str(cures))
    net.sysctl('pc', 'net.ipv4.tcp_tw_reuse=1')
    lib.eq('tw_reuse' in found(host(net, WARNING), 'ephemeral_ports')[1], False)
    end(client, server)


def test_bind_before_connect(net):
    """Ports that bind(0) holds; with IP_BIND_ADDRESS_NO_PORT none is."""
    server, client = network(net)
    lib.eq(client.ask(['bind', 95]), '')
    f, cures = found(host(net, CRITICAL), 'bind_before_connect')
    lib.eq((f['value'], f['program'], 'bind_no_port' in cures), (95, 'python3', True))
    lib.eq(client.ask(['close', 95]), '')
    lib.eq(client.ask(['late', 95]), '')
    lib.eq(host(net, HEALTHY)['bound_ports'], 0)
    end(client, server)


def test_close_wait(net):
    """The peer closed, the program did not: it is named; closing cures it."""
    server, client = network(net)
    lib.eq(client.ask(['connect', 12]), '')
    server.ask(12)
    server.ask('close')
    report = lib.until('CLOSE_WAIT', lambda: (r := json.loads(doctor(
        '--network', net.name, '--json', 'pc', status=WARNING)[0])['hosts'][0])['close_wait'] == 12 and r)
    f, cures = found(report, 'close_wait')
    lib.eq((f['value'], f['program'], cures), (12, 'python3', {'close'}))
    host(net, HEALTHY, 'pc', '--close-wait', '13')
    lib.eq(client.ask(['close', 12]), '')
    host(net, HEALTHY)
    end(client, server)


def test_listener_in_range(net):
    """A listener at an ephemeral port, until its port is reserved."""
    server, client = network(net)
    net.sysctl('web', 'net.ipv4.ip_local_port_range=2900 3100')
    f, cures = found(host(net, WARNING, 'web'), 'listener_in_range')
    lib.eq((f['value'], f['program'], cures), (PORT, 'python3', {'reserve'}))
    lib.eq("net.ipv4.ip_local_reserved_ports='3000'" in f['cures'][0]['text'], True, str(f))
    net.sysctl('web', 'net.ipv4.ip_local_reserved_ports=3000')
    lib.eq(host(net, HEALTHY, 'web')['capacity'], 200)
    end(client, server)


def test_accept_queue(net):
    """A listener that does not accept; accepting cures it."""
    server, client = network(net, backlog=9)
    lib.eq(client.ask(['connect', 9]), '')
    f, cures = found(host(net, CRITICAL, 'web'), 'accept_queue')
    lib.eq((f['value'], f['limit'], 'backlog' in cures), (9, 9, True))
    server.ask(9)
    host(net, HEALTHY, 'web')
    end(client, server)


def test_growth(net):
    """Two looks: one destination does not grow, and the text and the JSON say so."""
    server, client = network(net)
    lib.eq(client.ask(['connect', 5]), '')
    out, _ = doctor('--network', net.name, '--json', 'pc', status=HEALTHY, interval='0.2')
    flow = json.loads(out)['hosts'][0]['flows'][0]
    lib.eq((flow['used'], flow['growth_per_s'], 'full_in_s' in flow), (5, 0.0, False))
    text, _ = doctor('--network', net.name, 'pc', status=HEALTHY)
    lib.eq(text.startswith('healthy: '), True, text)
    p = subprocess.Popen([lib.BERTH, 'doctor', '--network', net.name, '--json', '--interval', '2', 'pc'],
                         stdout=subprocess.PIPE, text=True)
    more = 0
    while p.poll() is None and more < 60:
        lib.eq(client.ask(['connect', 1]), '')
        more += 1
        time.sleep(0.05)
    flow = json.loads(p.communicate(timeout=lib.LIMIT)[0])['hosts'][0]['flows'][0]
    lib.eq(flow['growth_per_s'] > 0 and flow['full_in_s'] > 0, True, str(flow))
    end(client, server)


def test_nothing_and_nonsense(net):
    """No network: how to start one. What is malformed is said in one sentence."""
    lib.berth_only('berth doctor')
    _, err = doctor('--network', 'nobody', status=CANNOT)
    lib.eq(err, "berth: no network 'nobody' is running; start one with: berth run --network nobody PROGRAM\n")
    for argv in (['--warn', 'x'], ['--warn', '0'], ['--critical', '101'], ['--warn', '95'], ['--warn', '50.5'],
                 ['--close-wait', '-1'], ['--interval', '1e9'], ['--interval', ''], ['--interval', 'nan'],
                 ['--kernel', 'web'], ['--kernel', '--network', 'x'], ['a', 'b'], ['--colour']):
        out, err = doctor(*argv, status=USAGE)
        lib.eq((out, err.count('\n'), err.startswith('berth: ')), ('', 1, True), f'{argv}: {err!r}')


# --- the kernel's own sockets: in a network namespace, by a program of this file

def kernel_status(*argv):
    p = subprocess.run([lib.BERTH, 'doctor', '--kernel', '--json', '--interval', '0', *argv], capture_output=True,
                       text=True, timeout=lib.LIMIT, check=False)
    return p.returncode, json.loads(p.stdout)['hosts'][0]


def ss(state):
    out = subprocess.run(['ss', '-tanH', 'state', state], capture_output=True, text=True, check=True).stdout
    return len(out.splitlines())


def write(name, value):
    with open('/proc/sys/net/' + name, 'w', encoding='ascii') as f:
        f.write(value)


def pairs(listener, n):
    ours = [socket.create_connection(listener.getsockname()) for _ in range(n)]
    return ours, [listener.accept()[0] for _ in range(n)]


def kernel_program():
    """All of the kernel's part, in a namespace of its own."""
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    lib.eq(kernel_status()[0], HEALTHY)
    write('ipv4/ip_local_port_range', '40000 40099')
    s = lib.listen('127.0.0.1', PORT, 9)
    six = lib.listen('::1', PORT, 200)
    ours, theirs = pairs(s, 9)
    for _ in range(71):
        ours.append(socket.create_connection(s.getsockname()))
        theirs.append(s.accept()[0])
    ours6 = [socket.create_connection(('::1', PORT)) for _ in range(5)]
    status, report = kernel_status()
    lib.eq((status, [(f['flow'], f['used']) for f in report['flows']], report['established']),
           (WARNING, [('127.0.0.1 -> 127.0.0.1:3000', 80), ('::1 -> [::1]:3000', 5)], ss('established')))
    f, cures = found(report, 'ephemeral_ports')
    lib.eq((f['pid'], 'wider_range' in cures), (os.getpid(), True))
    write('ipv4/ip_local_port_range', '1024 65535')
    write('ipv4/ip_local_reserved_ports', str(PORT))
    lib.eq(kernel_status()[0], HEALTHY)
    write('ipv4/ip_local_reserved_ports', '\n')
    lib.eq(found(kernel_status()[1], 'listener_in_range')[0]['value'], PORT)
    write('ipv4/ip_local_port_range', '40000 40099')
    for c in theirs[:20]:
        c.close()
    status, report = kernel_status('--critical', '100', '--warn', '100')
    f, cures = found(report, 'close_wait')
    lib.eq((f['value'], f['pid'], report['close_wait']), (20, os.getpid(), ss('close-wait')))
    for c in ours + theirs:
        c.close()
    status, report = kernel_status('--warn', '50')
    lib.eq(report['time_wait'], ss('time-wait'))
    lib.eq('tw_reuse' in found(report, 'ephemeral_ports')[1], True)
    bound = []
    write('ipv4/ip_local_port_range', '41000 41099')
    for _ in range(95):
        bound.append(socket.socket())
        bound[-1].bind(('127.0.0.1', 0))
    status, report = kernel_status()
    lib.eq((status, found(report, 'bind_before_connect')[0]['value']), (CRITICAL, 95))
    for b in bound:
        b.close()
    for _ in range(95):
        bound.append(socket.socket())
        bound[-1].setsockopt(socket.IPPROTO_IP, NO_PORT, 1)
        bound[-1].bind(('127.0.0.1', 0))
    lib.eq(kernel_status()[0], HEALTHY)
    waiting = [socket.create_connection(s.getsockname()) for _ in range(9)]
    status, report = kernel_status()
    f, _ = found(report, 'accept_queue')
    lib.eq((status, f['value'], f['limit']), (CRITICAL, 9, 9))
    for _ in waiting:
        s.accept()[0].close()
    lib.eq([f for f in kernel_status()[1]['findings'] if f['kind'] == 'accept_queue'], [])
    print(f'end {len(ours6)} {six.fileno() > 0}')


def test_kernel(net):
    """The same findings of real sockets; the numbers are ss's."""
    lib.berth_only('runs its own namespace')
    if not lib.real_root() or not shutil.which('ss'):
        raise lib.Skip('a network namespace of its own needs root')
    p = subprocess.run(['unshare', '-n', sys.executable, __file__, '--part', 'kernel_program', '[]'],
                       capture_output=True, text=True, timeout=lib.LIMIT)
    lib.eq(p.stdout, 'end 5 True\n', p.stderr)


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""Hosts apart: one port for each of many hosts; within a host a port is taken, and the loopback its own."""
import errno
import json
import socket

import lib

MANY = 40


def serve(port, address='0.0.0.0'):
    s = socket.socket()
    try:
        s.bind((address, port))
        s.listen()
    except OSError as e:
        lib.say(errno.errorcode[e.errno])
        return
    lib.say('listening')
    while True:
        c, _ = s.accept()
        c.sendall(c.getsockname()[0].encode())
        c.close()


def visit(addresses, port):
    lib.say([lib.recv_end(lib.connect(a, port)).decode() for a in addresses])


def test_many_hosts_one_port(net):
    addresses = [f'10.1.{i // 200}.{i % 200 + 1}' for i in range(MANY)]
    servers = []
    for i, address in enumerate(addresses):
        net.host(f'h{i}', address)
        servers.append(net.part(f'h{i}', serve, 80))
    for s in servers:
        lib.eq(s.get(60), 'listening')
    net.host('pc', '10.0.0.50')
    p = net.part('pc', visit, addresses, 80)
    lib.eq(p.get(), addresses, 'each host answers for itself')
    p.done()
    if not lib.KERNEL:
        listeners = [r for r in net.ss('-t', '-l') if r.lport == 80 and r.state == 'LISTEN']
        lib.eq(len(listeners), MANY, 'listeners on port 80')
        text, _ = net.berth('hosts')
        for address in addresses:
            assert address in text, f'{address} is not in berth hosts:\n{text}'


def test_port_in_use(net):
    net.host('web', '192.168.1.100')
    net.host('web2', '192.168.1.101')
    first = net.part('web', serve, 80)
    lib.eq(first.get(), 'listening')
    for address in ('0.0.0.0', '192.168.1.100', '127.0.0.1'):
        second = net.part('web', serve, 80, address)
        lib.eq(second.get(), 'EADDRINUSE', f'a second server on {address}:80 of one host')
        second.done()
    other = net.part('web2', serve, 80)
    lib.eq(other.get(), 'listening', 'the same port in another host')
    beside = net.part('web', serve, 81)
    lib.eq(beside.get(), 'listening', 'another port in the same host')


def test_loopback_is_the_hosts_own(net):
    net.host('web', '192.168.1.100')
    net.host('web2', '192.168.1.101')
    net.host('pc', '10.0.0.50')
    for host in ('web', 'web2'):
        lib.eq(net.part(host, serve, 80, '127.0.0.1').get(), 'listening')
    for host in ('web', 'web2'):
        p = net.part(host, visit, ['127.0.0.1'], 80)
        lib.eq(p.get(), ['127.0.0.1'])
        p.done()
    p = net.part('pc', refused, ['127.0.0.1', '192.168.1.100', '192.168.1.101', '10.0.0.50'])
    lib.eq(p.get(), ['ECONNREFUSED'] * 4)
    p.done()


def refused(addresses):
    answers = []
    for a in addresses:
        try:
            socket.create_connection((a, 80), 10)
            answers.append('connected')
        except OSError as e:
            answers.append(errno.errorcode[e.errno])
    lib.say(answers)


def test_a_host_named_again_is_the_same(net):
    """The address is given once; a later run names the host only, and one adds an address."""
    lib.berth_only('berth run')
    net.host('web', '192.168.1.100')
    lib.eq(net.part('web', serve, 80).get(), 'listening')
    net.host('web')
    again = net.part('web', serve, 80)
    lib.eq(again.get(), 'EADDRINUSE', 'the same port space')
    again.done()
    net.host('web', '10.7.7.7')
    net.run('web', ['true'])
    net.host('pc', '10.0.0.50')
    p = net.part('pc', visit, ['192.168.1.100', '10.7.7.7'], 80)
    lib.eq(p.get(), ['192.168.1.100', '10.7.7.7'], 'the added address reaches a server that ran before')
    p.done()


def test_networks_are_apart(net):
    """The same host, address and port in a second network; neither sees the other."""
    lib.berth_only('networks')
    second = lib.Net(net.name[:30] + '-2')
    net.host('web', '192.168.1.100')
    net.host('pc', '10.0.0.50')
    second.host('web', '192.168.1.100')
    second.host('pc', '10.0.0.50')
    try:
        lib.eq(net.part('web', serve, 80).get(), 'listening')
        p = second.part('pc', refused, ['192.168.1.100'])
        assert p.get()[0] in ('ENETUNREACH', 'EHOSTUNREACH'), 'the first network is reached from the second'
        p.done()
        lib.eq(second.part('web', serve, 80).get(), 'listening')
        lib.eq(len([r for r in second.ss('-l', '-t') if r.lport == 80]), 1)
    finally:
        second.stop()
    second.check_empty()


def test_json(net):
    """hosts and ss speak JSON that says the same."""
    lib.berth_only('berth')
    net.host('web', '192.168.1.100')
    lib.eq(net.part('web', serve, 80).get(), 'listening')
    hosts = json.dumps(json.loads(net.berth('hosts', '--json')[0]))
    assert '"web"' in hosts and '192.168.1.100' in hosts, hosts
    rows = json.dumps(json.loads(net.berth('ss', '-tlna', '--json')[0]))
    assert 'LISTEN' in rows and '80' in rows and '"web"' in rows, rows


if __name__ == '__main__':
    lib.main()

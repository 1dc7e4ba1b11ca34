# SPDX-License-Identifier: Apache-2.0
"""R1: nginx, sshd, PostgreSQL, Redis and a Node API on one host, and the same five on a second one;
each asked over IPv4 and over IPv6."""
import os

import lib

import servers  # in tools/, which lib puts on the path

PC, PC6 = '10.0.0.50', 'fd00::50'


def five(net, name, address, address6):
    if servers.missing():
        raise lib.Skip(f'not installed: {", ".join(servers.missing())} (tools/install-deps check)')
    net.host(name, address, address6)
    directory = os.path.join(os.environ['TMPDIR'], f'{net.name}-{name}')
    os.mkdir(directory, 0o755)
    return servers.Five(name, address, directory,
                        start=lambda argv, **kw: net.popen(name, argv, **kw).p,
                        run=lambda argv: net.run(name, argv, timeout=40))


def ask_all(net, server, asker_host, asker, address=None):
    for what, argv, wanted in server.asks(asker, address):
        out = net.run(asker_host, argv, cwd=server.dir)
        for text in wanted:
            assert text in out, f'{what} of {server.name}: {text!r} is not in {out!r}\n{server.logs()}'


def check_sockets(net, address):
    """Each port has a listener of that host, or of all its addresses."""
    rows = [r for r in net.ss('-t', '-l', '--host', address[0]) 
            if (r.state, r.host) == ('LISTEN', address[0])]
    ports = {r.lport for r in rows}
    lib.eq(set(servers.PORTS.values()) <= ports, True, f'{sorted(ports)} listened on in {address}')


def test_five_on_two_hosts(net):
    hosts = [('web', '192.168.1.100', 'fd00::100'), ('web2', '192.168.1.101', 'fd00::101')]
    both = [five(net, *host) for host in hosts]
    net.host('pc', PC, PC6)
    try:
        for server in both:
            server.prepare()
            for what in servers.PORTS:
                server.start(what)
        for server in both:
            server.wait_ready()
        for server in both:
            ask_all(net, server, 'pc', PC)
        for server, (_, _, address6) in zip(both, hosts):
            ask_all(net, server, 'pc', PC6, address6)
        ask_all(net, both[0], 'web2', '192.168.1.101')
        if not lib.KERNEL:
            for host in hosts:
                check_sockets(net, host)
    finally:
        for server in both:
            server.stop()
    return 'ten servers, five ports, two families'


test_five_on_two_hosts.limit = 240

if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""R6: the chapter's Python TCP server and client, byte for byte as printed."""
import hashlib
import os
import socket

import lib

import chapter  # in tools/, which lib puts on the path


def written():
    """Both programs as files in the test's directory."""
    paths = []
    for name, text in (('server.py', chapter.server()), ('client.py', chapter.client())):
        path = os.path.join(os.environ.get('TMPDIR', '/tmp'), name)
        with open(path, 'wb') as f:
            f.write(text)
        paths.append(path)
    return paths


def start_server(net, host, program):
    server = net.popen(host, [lib.PY, '-u', program])
    lib.eq(server.line(), 'Server listening on port 8080...\n')
    return server


def ask(net, host, client, server, source):
    lib.eq(net.run(host, [lib.PY, client]), 'Received: Hello from server!\n', "the client's output")
    came = server.line()
    assert came.startswith(f"Connection from ('{source}', "), came
    lib.eq(server.line(), 'Received: Hello from client!\n', "the server's output")


def test_the_copy_is_the_chapter(net):
    """Nobody has mended the chapter to suit the test."""
    with open(chapter.FILE, 'rb') as f:
        lib.eq(hashlib.sha256(f.read()).hexdigest(),
               '5186909a916d7721a1fc85d025efb47df165977eea4415ae8110c12b167cdbce')


def test_as_printed(net):
    """In one host, since the printed client says localhost; three times, since the server loops."""
    server_py, client_py = written()
    net.host('web', '192.168.1.100')
    server = start_server(net, 'web', server_py)
    for _ in range(3):
        ask(net, 'web', client_py, server, '127.0.0.1')


def test_on_two_hosts_at_once(net):
    """The same port 8080 twice; each localhost is its own."""
    server_py, client_py = written()
    for name, address in (('web', '192.168.1.100'), ('pc', '10.0.0.50')):
        net.host(name, address)
    servers = [start_server(net, host, server_py) for host in net.hosts]
    for host, server in zip(net.hosts, servers):
        ask(net, host, client_py, server, '127.0.0.1')
    # from the other host: the one word 'localhost' changed, nothing else
    with open(client_py) as f:
        text = f.read()
    lib.eq(text.count("'localhost'"), 1)
    remote = client_py.replace('client', 'remote')
    with open(remote, 'w') as f:
        f.write(text.replace("'localhost'", "'192.168.1.100'"))
    ask(net, 'pc', remote, servers[0], '10.0.0.50')


def localhost6():
    try:
        return socket.getaddrinfo('localhost', 80, socket.AF_INET6)
    except socket.gaierror:
        return []


def test_in_ipv6(net):
    """The same programs with the family and the wildcard of IPv6, nothing else; localhost is ::1 then. The server
    takes IPv4 as well, so the client as printed reaches it, too."""
    if lib.KERNEL and not localhost6():
        raise lib.Skip("this machine's hosts file has no localhost for IPv6")
    server_py, client_py = written()
    changed = []
    for path in (server_py, client_py):
        with open(path) as f:
            text = f.read()
        lib.eq(text.count('AF_INET,'), 1)
        changed.append(path.replace('.py', '6.py'))
        with open(changed[-1], 'w') as f:
            f.write(text.replace('AF_INET,', 'AF_INET6,').replace("'0.0.0.0'", "'::'"))
    net.host('web', '192.168.1.100', 'fd00::100')
    server = start_server(net, 'web', changed[0])
    ask(net, 'web', changed[1], server, '::1')
    ask(net, 'web', client_py, server, '::ffff:127.0.0.1')


if __name__ == '__main__':
    lib.main()

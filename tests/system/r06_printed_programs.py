# SPDX-License-Identifier: Apache-2.0
"""R6: the chapter's Python TCP server and client, byte for byte as printed."""
import hashlib
import os

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


if __name__ == '__main__':
    lib.main()

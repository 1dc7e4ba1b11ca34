# SPDX-License-Identifier: Apache-2.0
"""R10: berth netstat, the Windows form that the chapter calls with -an and -ano."""
import os
import re
import socket

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def hold():
    s = lib.listen('0.0.0.0', 80)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((WEB, 53))
    lib.say(os.getpid())
    held = []
    while lib.hear() == 'accept':
        held.append(s.accept()[0])
        lib.say(held[-1].getpeername()[1])
    for c in held:
        c.close()
    lib.say('closed')
    lib.hear()


def visit():
    c = lib.connect(WEB, 80)
    lib.say([os.getpid(), c.getsockname()[1]])
    lib.hear()
    c.close()


def table(net, *flags):
    """The rows of each host, as words."""
    rows, host = {}, None
    for line in net.berth('netstat', *flags)[0].splitlines():
        if line.startswith('Host '):
            host = line[5:]
            rows[host] = []
        elif line.startswith('  ') and not line.startswith('  Proto'):
            rows[host].append(line.split())
    return rows


def pair(net):
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', hold)
    server_pid = server.get()
    client = net.part('pc', visit)
    client_pid, port = client.get()
    lib.eq(server.ask('accept'), port)
    return server, server_pid, client, client_pid, port


def test_ano(net):
    """netstat -ano: every socket, its state in Windows' words and its PID."""
    lib.berth_only('berth')
    _, server_pid, _, client_pid, port = pair(net)
    lib.eq(table(net, '-ano'), {
        'web': [['TCP', '0.0.0.0:80', '0.0.0.0:0', 'LISTENING', str(server_pid)],
                ['TCP', f'{WEB}:80', f'{PC}:{port}', 'ESTABLISHED', str(server_pid)],
                ['UDP', f'{WEB}:53', '*:*', str(server_pid)]],
        'pc': [['TCP', f'{PC}:{port}', f'{WEB}:80', 'ESTABLISHED', str(client_pid)]]}, 'netstat -ano')
    text = net.berth('netstat', '-ano', 'web')[0]
    assert re.match(r'\nActive Connections\n\n  Proto  Local Address +Foreign Address +State +PID\n', text), text
    assert 'Host' not in text and str(client_pid) not in text.split(), text


def test_findstr(net):
    """The chapter's two pipes, with grep for findstr."""
    lib.berth_only('berth')
    pair(net)
    listening = [line for line in net.berth('netstat', '-an')[0].splitlines() if 'LISTENING' in line]
    lib.eq([line.split() for line in listening], [['TCP', '0.0.0.0:80', '0.0.0.0:0', 'LISTENING']])
    by_port = [line for line in net.berth('netstat', '-ano')[0].splitlines() if ':80' in line]
    lib.eq(len(by_port), 3, f'lines of port 80: {by_port}')


def test_states(net):
    """CLOSE_WAIT and FIN_WAIT_2 after one end has closed, TIME_WAIT without an owner after both have."""
    lib.berth_only('berth')
    server, server_pid, client, _, port = pair(net)
    client.put('close')
    client.done()
    half = [['TCP', f'{WEB}:80', f'{PC}:{port}', 'CLOSE_WAIT', str(server_pid)]]
    lib.until('CLOSE_WAIT', lambda: table(net, '-no').get('web') == half)
    lib.eq(table(net, '-no')['pc'], [['TCP', f'{PC}:{port}', f'{WEB}:80', 'FIN_WAIT_2', '0']])
    lib.eq(server.ask('close'), 'closed')
    waits = [['TCP', f'{PC}:{port}', f'{WEB}:80', 'TIME_WAIT', '0']]
    lib.until('TIME_WAIT', lambda: table(net, '-no') == {'pc': waits})


def test_program(net):
    """-b names the program below each socket."""
    lib.berth_only('berth')
    pair(net)
    lines = net.berth('netstat', '-anb', 'web')[0].splitlines()[4:]
    lib.eq([line.split()[0] for line in lines[::2]], ['TCP', 'TCP', 'UDP'])
    for line in lines[1::2]:
        assert re.fullmatch(r' \[python3[.\d]*\]', line), line


if __name__ == '__main__':
    lib.main()

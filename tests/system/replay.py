# SPDX-License-Identifier: Apache-2.0
"""A recorded session, given to a live host: the programs there meet the recorded ones again."""
import hashlib
import os
import signal
import socket
import subprocess
import time

import lib

FAMILIES = (4, 6)
WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
ASKED = hashlib.shake_256(b'asked').digest(20_000)


def server():
    """Takes one connection and two datagrams, and says what it was sent."""
    t = lib.listen(lib.addr('0.0.0.0'), 80)
    u = lib.udp()
    u.bind((lib.addr('0.0.0.0'), 9999))
    lib.say('ready')
    grams = []
    for _ in range(2):
        what, who = u.recvfrom(65536)
        u.sendto(what, who)
        grams.append(len(what))
    c, peer = t.accept()
    c.sendall(b'welcome')
    got = lib.recv_end(c)
    c.sendall(os.urandom(50_000))
    c.close()
    lib.say([grams, hashlib.sha256(got).hexdigest(), peer[0]])
    lib.hear()


def client():
    u = lib.udp()
    u.settimeout(10)
    for size in (100, 5000):
        u.sendto(b'x' * size, (WEB, 9999))
        lib.eq(len(u.recv(65536)), size)
    c = lib.connect(WEB, 80)
    lib.eq(lib.recv_all(c, 7), b'welcome')
    c.sendall(ASKED)
    time.sleep(0.5)
    c.shutdown(socket.SHUT_WR)
    lib.eq(len(lib.recv_end(c)), 50_000)
    lib.say('done')
    lib.hear()


WANT = [[100, 5000], hashlib.sha256(ASKED).hexdigest(), PC]


def record(net):
    """A capture of such a session, on a link that loses packets; the client's host has gone afterwards."""
    lib.berth_only('berth replay')
    path = os.path.join(os.getcwd(), 'session.pcapng')
    first = lib.Net(net.name + 'r')
    first.host('web', WEB)
    first.host('pc', PC)
    s = first.part('web', server)
    s.get()
    first.part('pc', client_after).get()
    first.berth('link', 'set', 'web', 'pc', 'delay', '2ms')
    capture = subprocess.Popen([lib.BERTH, 'capture', '--network', first.name, '-w', path, 'web'],
                               stderr=subprocess.PIPE, text=True)
    assert 'Ctrl-C' in capture.stderr.readline()
    first.procs[-1].put('go')
    lib.eq(first.procs[-1].get(), 'done')
    lib.eq(s.get(), WANT)
    time.sleep(0.2)
    capture.send_signal(signal.SIGINT)
    lib.eq(capture.wait(10), 0)
    first.stop()
    first.check_empty()
    return path


def client_after():
    lib.say('here')
    lib.hear()
    client()


def replay(net, path, *options, status=0):
    begun = time.monotonic()
    said = net.berth('replay', *options, 'web', path, status=status)[1]
    return said, time.monotonic() - begun


def again(net, path, *options):
    s = net.part('web', server)
    s.get()
    said, took = replay(net, path, *options)
    lib.eq(s.get(), WANT, said)
    s.kill()
    return took


def test_replay(net):
    path = record(net)
    net.host('web', WEB)
    took = again(net, path)
    assert took > 0.4, f'the pause of the session was not kept: {took} s'
    again(net, path, '--fast')


def test_formats(net):
    lib.has('editcap', 'tshark')
    path = record(net)
    net.host('web', WEB)
    for name in ('pcap', 'nsecpcap'):
        subprocess.run(['editcap', '-F', name, path, f'{path}.{name}'], check=True)
        again(net, f'{path}.{name}', '--fast')
    answers = os.path.join(os.getcwd(), 'answers.pcapng')
    again(net, path, '--fast', '-w', answers)
    ip = 'ipv6' if lib.V6 else 'ip'
    # A recorded client that acknowledged the last FIN twice is told so: the second meets no connection.
    end = 50_007 + 2
    read = subprocess.run(['tshark', '-r', answers, '-o', 'tcp.check_checksum:TRUE', '-Y', 'tcp.checksum.status == 0 || '
                           f'_ws.malformed || (tcp.flags.reset == 1 && {ip}.src == {WEB} && tcp.seq < {end})'],
                          capture_output=True, text=True)
    lib.eq((read.returncode, read.stdout), (0, ''), 'what tshark thinks is wrong')
    read = subprocess.run(['tshark', '-r', answers, '-T', 'fields', '-e', 'tcp.len', '-Y', f'{ip}.src == {WEB} && tcp.len > 0 '
                           '&& !tcp.analysis.retransmission'], capture_output=True, text=True, check=True)
    lib.eq(sum(map(int, read.stdout.split())), 50_007, 'what the host sent')


def test_errors(net):
    lib.berth_only('berth replay')
    net.host('web', WEB)
    s = net.part('web', server)
    s.get()
    with open('garbage', 'wb') as f:
        f.write(os.urandom(1000))
    with open('cut', 'wb') as f:  # pcap's header, and a packet that is not all there
        f.write(bytes.fromhex('d4c3b2a1020004000000000000000000ffff000065000000') + bytes(8) + b'\x64\0\0\0\x64\0\0\0' + bytes(9))
    for path, word in (('/nowhere', 'No such file'), ('garbage', 'no pcap or pcapng'), ('/dev/null', 'no pcap or pcapng')):
        assert word in replay(net, path, status=1)[0]
    assert 'cut off' in replay(net, 'cut', '--fast', status=1)[0]
    assert 'nobody' in net.berth('replay', 'nobody', 'cut', status=1)[1]
    net.berth('replay', 'web', status=2)
    assert 'replay' not in net.berth('link', 'show')[0], 'it went with the command'


if __name__ == '__main__':
    lib.main()

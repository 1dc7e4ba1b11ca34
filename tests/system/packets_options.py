# SPDX-License-Identifier: Apache-2.0
"""Options of connections whose bytes travel in packets: set before and after, on listeners, and what they do."""
import errno
import os
import signal
import socket
import subprocess
import time

import lib

WEB, PC = lib.addr('192.168.1.100'), lib.addr('10.0.0.50')
FAMILIES = (4, 6)
TCP = socket.IPPROTO_TCP
SOL = socket.SOL_SOCKET
NOTSENT_LOWAT = 25
ESTABLISHED = 1
HEADERS = 60 if lib.V6 else 40
TOS = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if lib.V6 else (socket.IPPROTO_IP, socket.IP_TOS)
TTL = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if lib.V6 else (socket.IPPROTO_IP, socket.IP_TTL)
# name: level, option, a value that is not the default, what is read back
OPTIONS = {
    'nodelay': (TCP, socket.TCP_NODELAY, 1, 1),
    'cork': (TCP, socket.TCP_CORK, 1, 1),
    'maxseg': (TCP, socket.TCP_MAXSEG, 600, None),
    'keepidle': (TCP, socket.TCP_KEEPIDLE, 100, 100),
    'keepintvl': (TCP, socket.TCP_KEEPINTVL, 10, 10),
    'keepcnt': (TCP, socket.TCP_KEEPCNT, 3, 3),
    'syncnt': (TCP, socket.TCP_SYNCNT, 2, 2),
    'linger2': (TCP, socket.TCP_LINGER2, 5, 5),
    'user_timeout': (TCP, socket.TCP_USER_TIMEOUT, 30000, 30000),
    'lowat': (TCP, NOTSENT_LOWAT, 16384, 16384),
    'keepalive': (SOL, socket.SO_KEEPALIVE, 1, 1),
    'sndbuf': (SOL, socket.SO_SNDBUF, 40000, 80000),
    'rcvbuf': (SOL, socket.SO_RCVBUF, 30000, 60000),
    'tos': (*TOS, 0x28, 0x28),
    'ttl': (*TTL, 33, 33),
}


def hosts(net, *words):
    net.host('web', WEB)
    net.host('pc', PC)
    for name in ('web', 'pc'):
        net.part(name, wait)
    for p in net.procs:
        p.get()
    net.link('web', 'pc', *words)


def wait():
    lib.say('here')
    lib.hear()


def end(net):
    for p in net.procs:
        p.kill()


def set_all(s):
    for level, option, value, _ in OPTIONS.values():
        s.setsockopt(level, option, value)
    s.setsockopt(TCP, socket.TCP_CONGESTION, b'reno')


def check_all(s, connected, but=()):
    for name, (level, option, _, want) in OPTIONS.items():
        if want is not None and name not in but:
            lib.eq(s.getsockopt(level, option), want, name)
    lib.eq(s.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b'\0'), b'reno', 'congestion')
    if connected:
        mss = s.getsockopt(TCP, socket.TCP_MAXSEG)
        assert mss in (600, 588), f'the MSS is {mss}'  # Linux leaves the options' 12 bytes out


def server_set():
    s = socket.socket(lib.AF, socket.SOCK_STREAM)
    s.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    set_all(s)
    s.bind((lib.addr('0.0.0.0'), 80))
    s.listen()
    lib.say('ready')
    c, _ = s.accept()
    check_all(c, True)
    lib.say('inherited')
    lib.hear()


def client_set():
    s = lib.tcp()
    set_all(s)
    check_all(s, False)
    s.connect((WEB, 80))
    check_all(s, True)
    info = lib.tcp_info(s)
    lib.eq(info['state'], ESTABLISHED)
    lib.eq(info['snd_mss'], 588)
    lib.say('before')
    lib.hear()


def test_set_before_connect_and_listen(net):
    hosts(net, 'delay', '5ms')
    s = net.part('web', server_set)
    s.get()
    c = net.part('pc', client_set)
    lib.eq(c.get(), 'before')
    lib.eq(s.get(), 'inherited')
    end(net)


def server_plain(n=1):
    s = lib.listen(lib.addr('0.0.0.0'), 80)
    lib.say('ready')
    held = []
    for _ in range(n):
        c, _ = s.accept()
        held.append(c)
        lib.say('accepted')
    while (size := lib.hear()) is not None:
        lib.say(len(lib.recv_all(held[-1], size)))


def client_set_after():
    s = lib.connect(WEB, 80)
    for name, (level, option, value, want) in OPTIONS.items():
        if name == 'maxseg':  # after the SYN it is a bound only
            continue
        s.setsockopt(level, option, value)
        lib.eq(s.getsockopt(level, option), want, name)
    for module in (b'reno', b'bbr', b'reno'):
        s.setsockopt(TCP, socket.TCP_CONGESTION, module)
        lib.eq(s.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b'\0'), module, 'congestion')
    lib.fails(errno.ENOENT, s.setsockopt, TCP, socket.TCP_CONGESTION, b'nothing')
    lib.say('after')
    lib.hear()


def test_set_after_connect(net):
    hosts(net, 'delay', '1ms')
    s = net.part('web', server_plain)
    s.get()
    c = net.part('pc', client_set_after)
    lib.eq(c.get(), 'after')
    end(net)


def pour(s):
    s.setblocking(False)
    total, since = 0, time.monotonic()
    while time.monotonic() - since < 0.7:
        try:
            total += s.send(bytes(4096))
            since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    return total


def client_pours(sndbuf):
    s = lib.tcp()
    if sndbuf:
        s.setsockopt(SOL, socket.SO_SNDBUF, sndbuf)
    s.connect((WEB, 80))
    lib.say(pour(s))
    lib.hear()


def server_bounded(rcvbuf):
    s = socket.socket(lib.AF, socket.SOCK_STREAM)
    s.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    s.setsockopt(SOL, socket.SO_RCVBUF, rcvbuf)
    s.bind((lib.addr('0.0.0.0'), 80))
    s.listen()
    lib.say('ready')
    c, _ = s.accept()
    size = lib.hear()
    lib.say(len(lib.recv_all(c, size)))
    lib.hear()


def test_buffers_bound_what_waits(net):
    hosts(net, 'delay', '1ms')
    send, receive = 30000, 20000
    s = net.part('web', server_bounded, receive)
    s.get()
    c = net.part('pc', client_pours, send)
    total = c.get()
    assert send <= total <= 2 * (send + receive) + 8192, f'{total} bytes waited'
    lib.eq(s.ask(total), total, 'what was read in the end')
    end(net)


def client_segments(how):
    s = lib.connect(WEB, 80)
    s.setsockopt(TCP, socket.TCP_NODELAY, how == 'nodelay')
    if how == 'cork':
        s.setsockopt(TCP, socket.TCP_CORK, 1)
    for _ in range(10):
        s.send(bytes(50))
        time.sleep(0.005)
    if how == 'cork':
        s.setsockopt(TCP, socket.TCP_CORK, 0)
    time.sleep(0.5)
    info = lib.tcp_info(s)
    lib.say([info['data_segs_out'], info['bytes_acked'] - 1])
    lib.hear()


def segments(net, how):
    hosts(net, 'delay', '20ms')
    s = net.part('web', server_plain)
    s.get()
    c = net.part('pc', client_segments, how)
    n, acked = c.get()
    lib.eq(acked, 500, 'what was acknowledged')
    return n


def test_nodelay_sends_each(net):
    lib.eq(segments(net, 'nodelay'), 10)
    end(net)


def test_nagle_waits_for_the_answer(net):
    lib.berth_only('delay')
    n = segments(net, 'nagle')
    assert 2 <= n <= 4, f'{n} segments'
    end(net)


def test_cork_fills_a_segment(net):
    lib.eq(segments(net, 'cork'), 1)
    end(net)


def client_lowat():
    s = lib.tcp()
    s.setsockopt(TCP, NOTSENT_LOWAT, 10000)
    s.connect((WEB, 80))
    total = pour(s)
    lib.say([total, lib.tcp_info(s)['notsent_bytes']])
    lib.hear()


def test_notsent_lowat(net):
    """With nobody reading, what is not sent is bounded by it: a send buffer of its own would be megabytes."""
    hosts(net, 'delay', '1ms')
    s = net.part('web', server_bounded, 20000)
    s.get()
    c = net.part('pc', client_lowat)
    total, notsent = c.get()
    assert notsent <= 10000 + 8192, f'{notsent} bytes are not sent'
    assert total < 120000, f'{total} bytes were taken'
    end(net)


def client_info():
    s = lib.connect(WEB, 80)
    s.sendall(bytes(100000))
    lib.say(100000)
    lib.hear()
    i = lib.tcp_info(s)
    lib.eq((i['state'], i['pmtu'], i['advmss']), (ESTABLISHED, 1500, 1500 - HEADERS - 12))
    lib.eq(i['snd_mss'], 1500 - HEADERS - 12)
    lib.eq(i['bytes_acked'] - 1, 100000)
    assert i['data_segs_out'] >= 100000 // 1500, i
    assert 10 <= i['snd_cwnd'] < 100000, i
    assert i['rtt'] >= 20000 or lib.KERNEL, i
    assert i['rto'] >= 200000, i
    lib.say('good')
    lib.hear()


def test_tcp_info(net):
    hosts(net, 'delay', '10ms')
    s = net.part('web', server_plain)
    s.get()
    c = net.part('pc', client_info)
    s.get()
    lib.eq(s.ask(c.get()), 100000)
    time.sleep(0.1)
    lib.eq(c.ask('look'), 'good')
    out = net.run('pc', ['ss', '-tiH', 'dport', '=', ':80'])
    for word in ('cwnd:', 'rtt:', f'mss:{1500 - HEADERS - 12}', 'bytes_acked:100001', 'pmtu:1500'):
        assert word in out, out
    end(net)


def congestion():
    s = lib.connect(WEB, 80)
    lib.say(s.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b'\0').decode())
    with open('/proc/sys/net/ipv4/tcp_congestion_control') as f:
        lib.say(f.read())


def test_congestion_of_the_host(net):
    hosts(net, 'delay', '1ms')
    s = net.part('web', server_plain, 3)
    s.get()
    for module in ('reno', 'bbr'):
        net.sysctl('pc', f'net.ipv4.tcp_congestion_control={module}')
        c = net.part('pc', congestion)
        lib.eq(c.get(), module)
        lib.eq(c.get(), module + '\n')
        c.done()
    end(net)


def client_marked():
    s = lib.tcp()
    s.setsockopt(*TTL, 33)
    s.setsockopt(*TOS, 0x28)
    s.connect((WEB, 80))
    s.sendall(b'one')
    lib.say('sent')
    lib.hear()
    s.setsockopt(*TTL, 44)
    s.sendall(b'two')
    lib.say('sent')
    lib.hear()


def test_ttl_and_tos_are_in_the_packets(net):
    lib.berth_only('captures')
    lib.has('tshark')
    hosts(net, 'delay', '1ms')
    s = net.part('web', server_plain)
    s.get()
    out = os.path.join(os.getcwd(), 'out.pcapng')
    capture = subprocess.Popen([lib.BERTH, 'capture', '--network', net.name, '-w', out, 'pc', 'dst', 'port', '80'],
                               stderr=subprocess.PIPE, text=True)
    assert 'Ctrl-C' in capture.stderr.readline()
    c = net.part('pc', client_marked)
    c.get()
    s.get()
    lib.eq(s.ask(3), 3)
    lib.eq(c.ask('more'), 'sent')
    lib.eq(s.ask(3), 3)
    time.sleep(0.3)
    capture.send_signal(signal.SIGINT)
    capture.wait(10)
    capture.stderr.close()
    ttl, tos = ('ipv6.hlim', 'ipv6.tclass') if lib.V6 else ('ip.ttl', 'ip.dsfield')
    read = subprocess.run(['tshark', '-r', out, '-T', 'fields', '-E', 'separator=|', '-e', ttl, '-e', tos, '-e', 'tcp.len'],
                          capture_output=True, text=True, timeout=60)
    rows = [line.split('|') for line in read.stdout.splitlines()]
    lib.eq(rows[0][0], '33', 'TTL of the SYN')
    lib.eq(int(rows[0][1], 16), 0x28, 'type of service of the SYN')
    lib.eq([r[0] for r in rows if r[2] == '3'], ['33', '44'], 'TTL of the data')
    end(net)


def deferred():
    s = socket.socket(lib.AF, socket.SOCK_STREAM)
    s.setsockopt(SOL, socket.SO_REUSEADDR, 1)
    s.setsockopt(TCP, socket.TCP_DEFER_ACCEPT, 5)
    s.bind((lib.addr('0.0.0.0'), 80))
    s.listen()
    s.settimeout(0.3)
    lib.say('ready')
    lib.hear()
    lib.fails(errno.EAGAIN, nonblocking, s)
    lib.say('none')
    lib.hear()
    s.settimeout(10)
    c, _ = s.accept()
    lib.say(c.recv(10).decode())
    lib.hear()


def nonblocking(s):
    try:
        s.accept()
    except TimeoutError as e:
        raise OSError(errno.EAGAIN, 'nobody') from e


def client_late():
    s = lib.connect(WEB, 80)
    lib.say('connected')
    lib.hear()
    s.sendall(b'x')
    lib.say('sent')
    lib.hear()


def test_defer_accept(net):
    hosts(net, 'delay', '1ms')
    s = net.part('web', deferred)
    s.get()
    c = net.part('pc', client_late)
    c.get()
    lib.eq(s.ask('look'), 'none')
    c.ask('send')
    lib.eq(s.ask('look'), 'x')
    end(net)


if __name__ == '__main__':
    lib.main()

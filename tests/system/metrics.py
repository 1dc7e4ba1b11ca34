# SPDX-License-Identifier: Apache-2.0
"""berth metrics: a strict parser of OpenMetrics takes it, its numbers are those of berth ss and of what the programs
did, and it is served on the loopback alone."""
import collections
import errno
import http.client
import os
import re
import signal
import socket
import subprocess

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
PORT = 3000
# berth ss's words for the states, and ours.
STATES = {'ESTAB': 'established', 'SYN-SENT': 'syn_sent', 'SYN-RECV': 'syn_recv', 'FIN-WAIT-1': 'fin_wait1',
          'FIN-WAIT-2': 'fin_wait2', 'TIME-WAIT': 'time_wait', 'CLOSE-WAIT': 'close_wait', 'LAST-ACK': 'last_ack',
          'LISTEN': 'listen', 'CLOSING': 'closing'}


def parse(text):
    """{(name, labels): value} of a document that the parser of Prometheus' own library accepts."""
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    except ImportError:
        raise lib.Skip('python3-prometheus-client is not installed (tools/install-deps check)') from None
    found = {}
    for family in text_string_to_metric_families(text):
        lib.eq(bool(family.documentation) and family.name.startswith('berth'), True, family.name)
        for s in family.samples:
            key = s.name, tuple(sorted(s.labels.items()))
            lib.eq(key in found, False, f'{key} is there twice')
            found[key] = s.value
    lib.eq(re.search('[^\n -~]', text), None, 'other than ASCII')
    return found


def metrics(net):
    return parse(net.berth('metrics')[0])


def get(found, name, **labels):
    return found[name, tuple(sorted(labels.items()))]


def all_of(found, name):
    """{the labels' values in the order of their names: value}"""
    return {tuple(v for _, v in labels): value for (n, labels), value in found.items() if n == name}


# --- in a host

def attempt(call, *args):
    try:
        call(*args)
        return 'done'
    except OSError as e:
        return errno.errorcode[e.errno]


def serve():
    """Every kind of socket, and refusals: three of one kind, one of another."""
    s = lib.listen('0.0.0.0', PORT, 7)
    shared = []
    for backlog in (3, 4):
        shared.append(socket.socket())
        shared[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared[-1].bind((WEB, 8080))
        shared[-1].listen(backlog)
    six = lib.listen('::1', PORT, 2)
    bound = socket.socket()
    bound.bind((WEB, 9))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((WEB, 53))
    to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    to.connect((WEB, 53))
    held = [lib.connect('127.0.0.1', PORT) for _ in range(2)]
    a, _ = s.accept()
    told = [attempt(lambda: lib.listen(WEB, PORT, reuse=False)) for _ in range(3)]
    told.append(attempt(lambda: lib.connect(WEB, 99)))
    lib.say(told)
    lib.hear()
    print(held, a, shared, six, bound, u, to, file=open(os.devnull, 'w'))


def visit(port, n):
    """Connections of which the client closes half, so that there is TIME_WAIT on this side."""
    held = [lib.connect(WEB, port) for _ in range(n)]
    for c in held[::2]:
        c.close()
    lib.say('done')
    lib.hear()


def answer(port):
    s = lib.listen(WEB, port)
    held = []
    lib.say('ready')
    while True:
        c, _ = s.accept()
        c.settimeout(0.2)
        try:
            if c.recv(1) == b'':
                c.close()
        except TimeoutError:
            pass
        held.append(c)


def test_numbers(net):
    """Sockets, ports, listeners, refusals: what berth ss counts, and what the programs were told."""
    lib.berth_only('berth metrics')
    net.host('web', WEB)
    net.host('pc', PC)
    p = net.part('web', serve)
    lib.eq(p.get(), ['EADDRINUSE'] * 3 + ['ECONNREFUSED'])
    server = net.part('web', answer, 7070)
    lib.eq(server.get(), 'ready')
    client = net.part('pc', visit, 7070, 6)
    lib.eq(client.get(), 'done')
    net.sysctl('web', 'net.berth.time_wait_ms=2500')
    lib.until('both ends closed', lambda: sum(r.state == 'TIME-WAIT' for r in net.ss()) == 3)

    rows, found = net.ss(), metrics(net)
    lib.eq(get(found, 'berth_info', network=net.name, version=subprocess.run(
        [lib.BERTH, '--version'], capture_output=True, text=True, check=True).stdout.split()[1]), 1)
    lib.eq(get(found, 'berth_hosts'), 2)
    want = collections.Counter()
    for r in rows:
        plain = 'bound' if r.proto == 'tcp' else 'unconnected'
        want[r.host, r.proto, STATES.get(r.state, plain)] += 1
    got = {k: v for k, v in all_of(found, 'berth_sockets').items() if v}
    lib.eq(got, dict(want))
    lib.eq(want['pc', 'tcp', 'time_wait'], 3)
    lib.eq({k[2] for k in want}, {'bound', 'established', 'listen', 'time_wait', 'unconnected'})
    lib.eq(len(all_of(found, 'berth_sockets')), 2 * 13, 'every state of every host')

    for host in ('web', 'pc'):
        lib.eq(get(found, 'berth_ephemeral_ports', host=host), 60999 - 32768 + 1)
        for proto in ('tcp', 'udp'):
            ports = {r.lport for r in rows if (r.host, r.proto) == (host, proto) and 32768 <= r.lport <= 60999}
            lib.eq(get(found, 'berth_ephemeral_ports_in_use', host=host, proto=proto), len(ports))
    lib.eq(get(found, 'berth_ephemeral_ports_fullest', host='pc'), 6)
    lib.eq(all_of(found, 'berth_time_wait_seconds'), {('web',): 2.5, ('pc',): 60})

    # By address, host, port, program.
    lib.eq(all_of(found, 'berth_listener_queue'), {
        ('0.0.0.0', 'web', str(PORT), 'python3'): 1, (WEB, 'web', '8080', 'python3'): 0,
        ('::1', 'web', str(PORT), 'python3'): 0, (WEB, 'web', '7070', 'python3'): 0})
    lib.eq(all_of(found, 'berth_listener_backlog'), {
        ('0.0.0.0', 'web', str(PORT), 'python3'): 7, (WEB, 'web', '8080', 'python3'): 7,
        ('::1', 'web', str(PORT), 'python3'): 2, (WEB, 'web', '7070', 'python3'): 128})
    # By call, errno, host, proto, reason.
    lib.eq(all_of(found, 'berth_calls_refused_total'), {
        ('bind', 'EADDRINUSE', 'web', 'tcp', 'listener_has_port'): 3,
        ('connect', 'ECONNREFUSED', 'web', 'tcp', 'nobody_listens'): 1})
    for q in (client, server, p):
        q.kill()


def test_refusals_beyond_the_ring(net):
    """The ring that berth why reads keeps 1,024; the counter goes on."""
    lib.berth_only('berth metrics')
    net.host('web', WEB)
    p = net.part('web', refuse, 1500)
    lib.eq(p.get(), 'done')
    lib.eq(all_of(metrics(net), 'berth_calls_refused_total'),
           {('connect', 'ECONNREFUSED', 'web', 'tcp', 'nobody_listens'): 1500})
    p.kill()


def refuse(n):
    for _ in range(n):
        lib.eq(attempt(lib.connect, WEB, 99), 'ECONNREFUSED')
    lib.say('done')
    lib.hear()


def closed_ports(n):
    for _ in range(n):
        attempt(lib.connect, WEB, 99)
    lib.say('done')
    lib.hear()


def test_links_and_drops(net):
    """In packets: what a link did is what berth link show says, and what the host did not act on has its reason."""
    lib.berth_only('berth metrics')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', answer, 80)
    lib.eq(server.get(), 'ready')
    net.berth('link', 'set', 'web', 'delay', '1ms')
    p = net.part('pc', closed_ports, 5)
    lib.eq(p.get(), 'done')
    found, shown = metrics(net), net.berth('link', 'show')[0].splitlines()[1].split()
    lib.eq(get(found, 'berth_packets_dropped_total', host='web', reason='TCP_NO_SOCKET'), 5)
    lib.eq([get(found, 'berth_link_packets_total', host='web', **{'with': '*'}),
            get(found, 'berth_link_bytes_total', host='web', **{'with': '*'})], [float(x) for x in shown[4:6]])
    lib.eq(get(found, 'berth_link_packets_total', host='web', **{'with': '*'}), 10)
    net.berth('link', 'set', 'web', 'loss', '100%')
    net.berth('ping', '-c', '1', '-i', '0', 'pc', WEB, status=1)
    lib.eq(get(metrics(net), 'berth_link_packets_dropped_total', host='web', reason='lost', **{'with': '*'}), 1)
    for q in (p, server):
        q.kill()


# --- names of programs

def called(name):
    with open('/proc/self/comm', 'wb') as f:
        f.write(bytes.fromhex(name))
    s = lib.listen('0.0.0.0', 80)
    lib.say('ready')
    lib.hear()
    s.close()


def test_names_of_programs(net):
    """Whatever a program calls itself, the document is one."""
    lib.berth_only('berth metrics')
    net.host('web', WEB)
    for name, want in (('\\"\n{},=#', '\\"\n{},=#'), ('\\n\\', '\\n\\'), ('# EOF', '# EOF'), ('grün €', None)):
        p = net.part('web', called, name.encode().hex())
        p.get()
        out = net.berth('metrics')[0]
        if want is None:
            lib.eq(f'program="{name}"' in out, True, out)
        else:
            # A new line ends a name as /proc tells it.
            lib.eq([k[3] for k in all_of(parse(out), 'berth_listener_queue')], [want.split('\n')[0]])
        p.kill()
    p = net.part('web', called, b'\xff\x01\xc3'.hex())
    p.get()
    raw = subprocess.run([lib.BERTH, 'metrics', '--network', net.name], capture_output=True, check=True).stdout
    lib.eq('program="\xff\ufffd\xc3"' in raw.decode('utf-8'), True)
    p.kill()


# --- by HTTP

def listening(net, where):
    p = lib.Proc('berth metrics', [lib.BERTH, 'metrics', '--network', net.name, '--listen', where],
                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    net.procs.append(p)
    line = p.p.stderr.readline()
    found = re.fullmatch(r'berth: metrics are at http://(.+):(\d+)/metrics; Ctrl-C ends it\n', line)
    lib.eq(bool(found), True, line)
    return p, found.group(1).strip('[]'), int(found.group(2))


def ask(address, port, path='/metrics', method='GET', **kw):
    c = http.client.HTTPConnection(address, port, timeout=lib.LIMIT)
    c.request(method, path, **kw)
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    return r, text


def loopback():
    """Whether the machine's own loopback is up here."""
    try:
        with socket.create_server(('127.0.0.1', 0)) as s:
            socket.create_connection(s.getsockname(), 1).close()
        return True
    except OSError:
        return False


def test_http(net):
    lib.berth_only('berth metrics')
    if not loopback():
        raise lib.Skip('the loopback is down in this namespace')
    net.host('web', WEB)
    web = net.part('web', called, b'web'.hex())
    web.get()
    p, address, port = listening(net, '0')
    lib.eq(address, '127.0.0.1')
    r, text = ask(address, port)
    lib.eq((r.status, r.getheader('Content-Type'), r.getheader('Cache-Control')),
           (200, 'application/openmetrics-text; version=1.0.0; charset=utf-8', 'no-store'))
    lib.eq(get(parse(text), 'berth_sockets', host='web', proto='tcp', state='listen'), 1)
    lib.eq(text.endswith('\n# EOF\n'), True)
    other = net.part('web', serve)  # the next answer is of then
    other.get()
    lib.eq(get(parse(ask(address, port)[1]), 'berth_sockets', host='web', proto='tcp', state='listen'), 5)
    r, text = ask(address, port, method='HEAD')
    lib.eq((r.status, text, int(r.getheader('Content-Length')) > 1000), (200, '', True))
    for path in ('/', '/metrics/', '/../metrics'):
        lib.eq(ask(address, port, path)[0].status, 404, path)
    lib.eq(ask(address, port, '/metrics?x=1')[0].status, 200, 'a query is of no interest')
    r, text = ask(address, port, method='POST', body='x' * 100000)
    lib.eq((r.status, r.getheader('Allow')), (405, 'GET, HEAD'))
    lib.eq(ask(address, port, body='x' * 100000)[0].status, 200, 'nor is what follows the head')
    with socket.create_connection((address, port), lib.LIMIT) as s:
        s.sendall(b'GET /metrics HTTP/1.1\r\n' + b'x: ' + b'y' * 100000)
        lib.eq(s.recv(12)[9:12] in (b'431', b'413', b'400', b'414'), True)
    slow = [socket.create_connection((address, port), lib.LIMIT) for _ in range(8)]
    lib.eq(ask(address, port)[0].status, 200, 'others that say nothing are not in the way')
    # The port is taken: one sentence, and status 1.
    _, err = net.berth('metrics', '--listen', str(port), status=1)
    lib.eq(err, f'berth: another program listens on 127.0.0.1:{port}; end it or give another port\n')
    p.signal(signal.SIGINT)
    p.done()
    lib.eq(p.p.stderr.read(), '', 'words at the end')
    for s in slow:
        s.close()
    again, _, _ = listening(net, str(port))  # at once, whatever is in TIME_WAIT
    again.signal(signal.SIGTERM)
    again.done()
    for q in (other, web):
        q.kill()


def test_the_network_ends(net):
    lib.berth_only('berth metrics')
    if not loopback():
        raise lib.Skip('the loopback is down in this namespace')
    net.host('web', WEB)
    web = net.part('web', called, b'web'.hex())
    web.get()
    p, _, _ = listening(net, '127.0.0.1:0')
    net.berth('down', '--force')
    p.done()
    lib.eq(p.p.stderr.read(), f"berth: the network '{net.name}' has ended\n")
    web.kill()


def test_nothing_and_nonsense(net):
    lib.berth_only('berth metrics')
    _, err = net.berth('metrics', status=1)
    lib.eq(err, f"berth: no network '{net.name}' is running; start one with: berth run --network {net.name} PROGRAM\n")
    for where, word in (('0.0.0.0:9464', 'to others'), ('10.0.0.1:1', 'to others'), ('[::]:1', 'to others'),
                        ('x', "'x'"), ('', "''"), ('70000', '65535'), ('127.0.0.1', 'PORT')):
        out, err = net.berth('metrics', '--listen', where, status=2)
        lib.eq((out, err.count('\n'), err.startswith('berth: '), word in err), ('', 1, True, True), err)
    net.berth('metrics', 'web', status=2)


if __name__ == '__main__':
    lib.main()

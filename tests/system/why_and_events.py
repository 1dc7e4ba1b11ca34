# SPDX-License-Identifier: Apache-2.0
"""Every refusal tells its rule, who was in the way and what helps; every event is told."""
import errno
import json
import signal
import socket
import subprocess

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'


def refused(call, *args):
    try:
        call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return 'done'


def bound(port, *options):
    s = lib.tcp()
    for o in options:
        s.setsockopt(socket.SOL_SOCKET, o, 1)
    s.bind(('0.0.0.0', port))
    return s


def provoke():
    """One refusal of each kind, in this order."""
    held = [lib.listen('0.0.0.0', 80), bound(81)]
    said = [refused(bound, 80), refused(bound, 81)]
    listener = lib.listen('0.0.0.0', 99)
    c = lib.connect('127.0.0.1', 99)
    a, _ = listener.accept()
    a.close()
    c.close()
    listener.close()
    said.append(refused(bound, 99))
    said.append(refused(held[1].bind, ('0.0.0.0', 82)))
    said.append(refused(lib.connect, WEB, 99))
    said.append(refused(lib.connect, '9.9.9.9', 99))
    said.append(refused(lambda: lib.tcp().bind(('9.9.9.9', 1))))
    lib.say(said)
    lib.hear()


def test_refusals(net):
    lib.berth_only('berth why')
    net.host('web', WEB)
    p = net.part('web', provoke)
    said = p.get()
    found = json.loads(net.berth('why', '--json', 'web')[0])['refusals']
    lib.eq([errno.errorcode[f['errno']] for f in found], said)
    for f, rule, way, helps in zip(found, (
            'a listener has', 'another socket has', 'TIME_WAIT', 'an address already', 'nobody listens',
            'no network', 'none of the host'), (
                'listening', 'bound', 'in TIME_WAIT', ':81, bound', '', '', ''), (
                    'SO_REUSEPORT', 'SO_REUSEADDR', 'SO_REUSEADDR', '', 'explain', '', 'berth hosts')):
        lib.eq([rule in f['rule'], way in f['in_the_way'], helps in f['help'], f['pid']], [True] * 3 + [p.pid], f)
        lib.eq(f'pid {p.pid}' in f['in_the_way'], way != '', f)
    lib.eq(1 <= found[2]['frees_in_s'] <= 60, True, found[2])
    lib.eq(f'(pid {p.pid}) listened' in found[4]['before'], True, found[4])
    lib.eq(len(json.loads(net.berth('why', '--json', '-n', '2')[0])['refusals']), 2)
    lib.eq(len(json.loads(net.berth('why', '--json', '--program', str(p.pid))[0])['refusals']), 7)
    lib.eq(json.loads(net.berth('why', '--json', '--program', 'nobody')[0])['refusals'], [])
    p.kill()


def test_before_trying(net):
    lib.berth_only('berth why')
    net.host('web', WEB)
    net.host('pc', PC)
    p = net.part('web', provoke)
    p.get()
    other = net.part('pc', once)
    lib.until('the other host is there', lambda: 'pc' in net.berth('hosts')[0])
    rows = net.ss()
    for words, status, has in ((('web:80',), 3, 'a listener has'), (('tcp', f'{WEB}:80'), 3, f'pid {p.pid}'),
                               (('web:81',), 3, 'another socket'), (('web:99',), 3, 'frees in'),
                               (('web:99',), 3, 'SO_REUSEADDR'), (('web:82',), 0, 'yes'),
                               (('udp', 'web:80'), 0, 'yes'), (('pc:80',), 0, 'yes')):
        out, _ = net.berth('why', *words, status=status)
        lib.eq(has in out, True, out)
    lib.eq(net.ss(), rows, 'asking changes nothing')
    for words in (('wub',), ('wub:1',), (':80',), ('web:0',), ('web:http:1',), ('sctp', 'web:1'), ('-n', '0'),
                  ('-n', 'x'), ('9.9.9.9:80',)):
        out, err = net.berth('why', *words, status=2)
        lib.eq((out, err.startswith('berth:')), ('', True), f'{words}: {err}')
    other.kill()
    p.kill()


def full_queue():
    s = lib.listen('0.0.0.0', 80)
    held = []
    lib.say('ready')
    lib.hear()
    for _ in range(5000):
        c = lib.tcp()
        c.setblocking(False)
        e = c.connect_ex((WEB, 80))
        held.append(c)
        if e not in (0, errno.EINPROGRESS):
            break
    lib.say(errno.errorcode[e])
    lib.hear()
    s.close()


def test_a_full_queue(net):
    lib.berth_only('berth why')
    net.host('web', WEB)
    p = net.part('web', full_queue)
    p.get()
    lib.eq(p.ask('go'), 'ETIMEDOUT')
    last = json.loads(net.berth('why', '--json', '-n', '1')[0])['refusals'][0]
    lib.eq(['queue is full' in last['rule'], 'listening' in last['in_the_way']], [True, True], last)
    p.kill()


def once():
    lib.hear()
    s = lib.listen(WEB, 80)
    c = lib.connect(WEB, 80)
    a, _ = s.accept()
    refused(bound, 80)
    for x in (c, a, s):
        x.close()
    lib.say('done')
    lib.hear()


def test_events(net):
    lib.berth_only('berth events')
    net.host('web', WEB)
    p = net.part('web', once)
    lib.until('the network is there', lambda: net.berth('hosts', status=None)[1] == '')
    with subprocess.Popen([lib.BERTH, 'events', '--past', '--network', net.name], stdout=subprocess.PIPE, text=True) as e:
        p.ask('go')
        net.berth('ss')  # what is closed without a word is seen by now
        told = []
        while [t['event'] for t in told].count('close') < 3:
            told.append(json.loads(e.stdout.readline()))
        e.send_signal(signal.SIGINT)
        lib.eq(e.wait(lib.LIMIT), 0, 'status after Ctrl-C')
    lib.eq([t['event'] for t in told], ['bind', 'listen', 'connect', 'accept', 'refused'] + ['close'] * 3)
    lib.eq({t['pid'] for t in told}, {p.pid})
    lib.eq([told[2]['local'], told[2]['peer']], [told[3]['peer'], told[3]['local']])
    lib.eq(told[4]['call'], 'bind')
    past = [json.loads(line) for line in net.berth('events', '--once')[0].splitlines()]
    lib.eq([t for t in past if t['pid'] == p.pid], told)
    p.kill()


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""R14 and R3: which program gets it, or what the sender is told, and why."""
import json
import socket

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
IP_MULTICAST_ALL = 49


def server():
    held = [lib.listen('0.0.0.0', 80), lib.listen('127.0.0.1', 81)]
    for _ in range(3):
        s = lib.tcp()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((WEB, 90))
        s.listen()
        held.append(s)
    only = lib.tcp()
    only.bind((WEB, 82))
    u = lib.udp()
    u.bind((WEB, 53))
    held += [only, u]
    lib.say('ready')
    c, _ = held[0].accept()
    lib.hear()
    held.append(c)


def client():
    c = lib.connect(WEB, 80)
    lib.say(c.getsockname()[1])
    lib.hear()


def steps(net, *words, status=0):
    out, _ = net.berth('explain', '--json', *words, status=status)
    return json.loads(out)['steps']


def answer(found):
    return next(s for s in found if s['step'] == 'answer')


def test_delivered_refused_unreachable(net):
    lib.berth_only('berth explain')
    net.host('web', WEB)
    net.host('pc', PC)
    s = net.part('web', server)
    s.get()
    c = net.part('pc', client)
    port = c.get()
    a = answer(steps(net, 'tcp', f'{PC}:{port}', f'{WEB}:80'))
    lib.eq((a['verdict'], a['pid']), ('connection', s.pid))
    a = answer(steps(net, 'tcp', f'{PC}:1', f'{WEB}:80'))
    lib.eq((a['verdict'], a['pid']), ('delivered', s.pid), 'another source port: the listener')
    a = answer(steps(net, 'udp', 'pc', 'web:domain'))
    lib.eq((a['verdict'], a['pid']), ('delivered', s.pid))
    found = steps(net, 'tcp', 'web:90')
    lib.eq('one of 3 that share' in answer(found)['text'], True, answer(found)['text'])
    lib.eq(answer(steps(net, 'tcp', 'web', '127.0.0.1:81'))['verdict'], 'delivered')
    for words, why in ((('tcp', 'pc', 'web:81'), 'another address'), (('tcp', 'pc', 'web:82'), 'listen() was not')):
        found = steps(net, *words, status=3)
        lib.eq(answer(found)['verdict'], 'refused')
        lib.eq([why in c['text'] for c in found if c['step'] == 'candidate'], [True], found)
    found = steps(net, 'tcp', 'pc', 'web:79', status=3)
    lib.eq([f['pid'] for f in found if f['step'] == 'nearest'], [s.pid], 'the nearest listener')
    lib.eq(steps(net, 'tcp', 'pc', '9.9.9.9:80', status=3)[-1]['verdict'], 'unreachable')
    lib.eq(steps(net, 'tcp', 'pc', '10.0.0.9:80', status=3)[-1]['verdict'], 'unreachable')
    net.berth('link', 'set', 'web', 'pc', 'delay', '1ms')
    lib.eq([f['verdict'] for f in steps(net, 'tcp', 'pc', 'web:80') if f['step'] == 'link'], ['packets'])
    for p in (c, s):
        p.kill()


GROUP = '239.1.2.3'


def members(n, joins):
    """Sockets of one port, of which some have joined; says how many datagrams each has got."""
    socks = []
    for i in range(n):
        u = lib.udp()
        u.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        u.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        u.bind(('0.0.0.0', 5000))
        if i < joins:
            u.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + bytes(4))
        u.settimeout(0.3)
        socks.append(u)
    lib.say('ready')
    while lib.hear() == 'count':
        got = 0
        for u in socks:
            try:
                u.recv(100)
                got += 1
            except TimeoutError:
                pass
        lib.say(got)


def talk():
    u = lib.udp()
    u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    lib.say('ready')
    while (to := lib.hear()) != 'end':
        u.sendto(b'to all', (to, 5000))
        lib.say('sent')


def test_to_several(net):
    """As many are said to get a copy as do."""
    lib.berth_only('berth explain')
    net.host('web', WEB)
    net.host('pc', PC)
    net.host('db', '10.0.0.60')
    parts = [net.part('web', members, 3, 2), net.part('db', members, 2, 1), net.part('pc', members, 1, 0)]
    for p in parts:
        p.get()
    sender = net.part('pc', talk)
    sender.get()

    def check(to, want, denied=0):
        found = steps(net, 'udp', 'pc', f'{to}:5000', status=0 if want else 3)
        yes, no = ([s['pid'] for s in found if s['step'] == 'candidate' and s['verdict'] == v] for v in ('yes', 'no'))
        lib.eq(sender.ask(to), 'sent')
        lib.eq([p.ask('count') for p in parts], [yes.count(p.pid) for p in parts], (to, found))
        lib.eq((len(yes), len(no)), (want, denied), (to, found))
        lib.eq(answer(found)['verdict'], 'delivered' if want else 'lost', found)

    check(GROUP, 3)
    check('255.255.255.255', 6)
    check('239.9.9.9', 0)
    net.filter('web', ['drop in udp dport 5000'])
    check(GROUP, 1, 2)
    net.filter('web')
    net.link('db', 'pc', 'delay', '1ms')
    check(GROUP, 3)
    lib.eq(sum('in packets' in s['text'] for s in steps(net, 'udp', 'pc', f'{GROUP}:5000')), 1)
    for p in (*parts, sender):
        p.kill()


def test_bad_words(net):
    lib.berth_only('berth explain')
    net.host('web', WEB)
    s = net.part('web', server)
    s.get()
    for words in ((), ('tcp',), ('sctp', 'web:1'), ('tcp', 'web'), ('tcp', 'wub:80'), ('tcp', 'web:99999'),
                  ('tcp', 'web:0'), ('tcp', '[fd00::1:80'), ('tcp', '9.9.9.9:1', 'web:80'),
                  ('tcp', 'web', 'web:80', 'web:81')):
        out, err = net.berth('explain', *words, status=2)
        lib.eq(out, '', f'explain {words}')
        lib.eq(err.count('\n') <= 2 and err.startswith('berth:'), True, err)
    s.kill()


if __name__ == '__main__':
    lib.main()

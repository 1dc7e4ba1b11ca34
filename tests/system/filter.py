# SPDX-License-Identifier: Apache-2.0
"""berth filter: what programs see of a host's packet filter is what they see of the kernel's, on the short cut and in
packets; run --as kernel asks nft the same."""
import errno
import ipaddress
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import time

import control
import lib

WEB = lib.addr('192.168.1.100')
# Some, as a host tells one destination no more than six errors at once (ICMP's rates).
PCS = [lib.addr(f'10.0.0.{50 + n}') for n in range(12)]
PC = PCS[0]
FAMILIES = (4, 6)
SILENCE = 'silence'
REFUSED, DENIED, YES = 'ECONNREFUSED', 'EPERM', 'yes'
# Of what says nothing. The kernel does not hear an ICMPv6 error that is there before connect has returned, and is told
# when the SYN is sent again, after a second.
PATIENCE = 1.5 if lib.KERNEL and lib.V6 else 0.5


# --- in a host

def serve():
    listeners = [lib.listen(lib.addr('0.0.0.0'), port) for port in (80, 8000)]
    u = lib.udp()
    u.bind((lib.addr('0.0.0.0'), 53))
    lib.say('ready')
    held = []
    while True:
        ready, _, _ = select.select([*listeners, u, 0], [], [])
        if 0 in ready:
            break
        for s in ready:
            if s is u:
                data, peer = u.recvfrom(2000)
                try:
                    u.sendto(data, peer)
                except PermissionError:  # the own filter
                    pass
            else:
                held.append(s.accept()[0])


def tcp_outcome(s):
    e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[e] if e else YES


def begin(proto, port, source, address):
    s = lib.tcp() if proto == 'tcp' else lib.udp()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, source))
    s.setblocking(False)
    try:
        s.connect((WEB, port))
        if proto == 'udp':
            s.send(b'question')
    except BlockingIOError:
        pass
    except OSError as e:
        return s, errno.errorcode[e.errno]
    return s, None


def attempts(asked, patience):
    """What becomes of each of [proto, port, source port or 0, source address], all at once."""
    p = select.poll()
    out, of = [], {}
    for n, (proto, port, source, address) in enumerate(asked):
        s, said = begin(proto, port, source, address)
        out.append(said)
        of[s.fileno()] = (n, s, proto)
        if said is None:
            p.register(s, select.POLLOUT if proto == 'tcp' else select.POLLIN)
    end = time.monotonic() + patience
    while None in out and (left := end - time.monotonic()) > 0:
        for fd, _ in p.poll(left * 1000):
            n, s, proto = of[fd]
            p.unregister(fd)
            try:
                out[n] = tcp_outcome(s) if proto == 'tcp' else YES if s.recv(100) == b'question' else '?'
            except OSError as e:
                out[n] = errno.errorcode[e.errno]
    for _, s, proto in of.values():
        if proto == 'tcp':
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()
    return [said or SILENCE for said in out]


def ask():
    while (word := lib.hear()) != 'end':
        lib.say(attempts(*word))


# --- the test

def hosts(net):
    net.host('web', WEB)
    net.host('pc', *PCS)
    server = net.part('web', serve)
    lib.eq(server.get(), 'ready')
    return server, net.part('pc', ask)


def end(*procs):
    for p in procs:
        p.kill()


def short(*asked, patience=PATIENCE, address=PC):
    return [[proto, port, 0, address] for proto, port in asked], patience


def both_paths(net, test):
    """As they are, and over a link that does something to packets."""
    server, pc = hosts(net)
    test(pc)
    net.link('web', 'pc', 'delay', '1ms')
    test(pc)
    end(server, pc)


ALL = ('tcp', 80), ('tcp', 81), ('udp', 53), ('udp', 54)
OPEN = [YES, REFUSED, YES, REFUSED]

# (rules of web, rules of pc, policies): what becomes of ALL
OUTCOMES = (
    ((), (), {}, OPEN),
    (('drop in tcp dport 80',), (), {}, [SILENCE, REFUSED, YES, REFUSED]),
    (('drop in tcp dport 81', 'drop in udp dport 54'), (), {}, [YES, SILENCE, YES, SILENCE]),
    (('reject in tcp dport 80-90',), (), {}, [REFUSED, REFUSED, YES, REFUSED]),
    (('reject in tcp dport 80 with tcp-reset',), (), {}, [REFUSED, REFUSED, YES, REFUSED]),
    (('accept in tcp dport 80', 'drop in'), (), {}, [YES, SILENCE, SILENCE, SILENCE]),
    (('accept in dport 80', 'accept in udp dport 53'), (), {'policy_in': 'drop'}, [YES, SILENCE, YES, SILENCE]),
    (('accept in dport 80', 'accept in udp dport 53'), (), {'policy_in': 'reject'}, [YES, REFUSED, YES, REFUSED]),
    (('drop in udp',), (), {}, [YES, REFUSED, SILENCE, SILENCE]),
    (('reject in udp',), (), {}, [YES, REFUSED, REFUSED, REFUSED]),
    # what says "nobody there", or "rejected", is a packet too
    (('drop out icmp',), (), {}, [YES, REFUSED, YES, SILENCE]),
    (('reject in udp', 'drop out icmp'), (), {}, [YES, REFUSED, SILENCE, SILENCE]),
    (('reject in',), ('drop in icmp',), {}, [SILENCE, SILENCE, SILENCE, SILENCE]),
    # the answers
    (('drop out tcp sport 80', 'drop out udp sport 53'), (), {}, [SILENCE, REFUSED, SILENCE, REFUSED]),
    ((), ('drop in tcp sport 80-81',), {}, [SILENCE, SILENCE, YES, REFUSED]),
    # the sender's own
    ((), ('drop out tcp dport 80', 'drop out udp dport 53'), {}, [SILENCE, REFUSED, DENIED, REFUSED]),
    ((), ('reject out tcp dport 80', 'reject out tcp dport 81 with tcp-reset'), {}, [REFUSED, REFUSED, YES, REFUSED]),
    # states
    (('accept in state established', 'drop in state new'), (), {}, [SILENCE, SILENCE, SILENCE, SILENCE]),
    (('drop in state established',), (), {}, [YES, REFUSED, YES, REFUSED]),
    ((), ('accept in state established,related', 'drop in'), {}, OPEN),
    ((), ('accept in state established', 'drop in'), {}, [YES, REFUSED, YES, SILENCE]),
    ((), ('drop in state new',), {}, OPEN),
)


def addresses():
    """Whose prefixes decide."""
    near = ipaddress.ip_network(PC + ('/104' if lib.V6 else '/8'), strict=False)
    whole = '::/0' if lib.V6 else '0.0.0.0/0'
    other = '0.0.0.0/0' if lib.V6 else '::/0'
    return (((f'drop in from {PC}',), (), {}, [SILENCE] * 4),
            ((f'accept in from {near}', 'drop in'), (), {}, OPEN),
            ((f'drop in from {WEB} tcp', f'drop in to {PC} udp'), (), {}, OPEN),
            ((f'drop in tcp to {WEB} dport 80',), (), {}, [SILENCE, REFUSED, YES, REFUSED]),
            ((f'drop in tcp from {whole} dport 80', f'drop in udp from {other}'), (), {},
             [SILENCE, REFUSED, YES, REFUSED]))


def test_outcomes(net):
    def each(pc):
        for n, (web_rules, pc_rules, policies, want) in enumerate(addresses() + OUTCOMES):
            net.filter('web', web_rules, **policies)
            net.filter('pc', pc_rules)
            got = pc.ask(short(*ALL, address=PCS[0 if n < len(addresses()) else n % len(PCS)]))
            lib.eq(got, want, f'web: {web_rules} {policies}, pc: {pc_rules}')
    both_paths(net, each)


# Python's is the naive one: the first rule that matches, then the policy.

def fits(rule, direction, proto, src, sport, dst, dport, state):
    words = rule.split()
    if words[1] != direction:
        return False
    it = iter(words[2:])
    for word in it:
        if word in ('tcp', 'udp', 'icmp'):
            ok = word == proto
        elif word in ('from', 'to'):
            ok = ipaddress.ip_address(src if word == 'from' else dst) in ipaddress.ip_network(next(it), strict=False)
        elif word in ('sport', 'dport'):
            low, _, high = next(it).partition('-')
            ok = proto != 'icmp' and int(low) <= (sport if word == 'sport' else dport) <= int(high or low)
        elif word == 'state':
            ok = state in next(it).split(',')
        else:
            next(it)  # with tcp-reset
            ok = True
        if not ok:
            return False
    return True


def decide(host, *packet):
    rules, policy_in, policy_out = host
    for rule in rules:
        if fits(rule, *packet):
            return rule.split()[0] + (' reset' if rule.endswith('tcp-reset') else '')
    return policy_in if packet[0] == 'in' else policy_out


def model(web, pc, proto, port, source, address):
    """What the sender sees, by the way of each packet there and back."""
    there, back = (address, source, WEB, port), (WEB, port, address, source)
    listens = (proto, port) in (('tcp', 80), ('tcp', 8000), ('udp', 53))

    def returns(what, ends, state):
        return decide(web, 'out', what, *ends, state) == 'accept' and decide(pc, 'in', what, *ends, state) == 'accept'

    own = decide(pc, 'out', proto, *there, 'new')
    if own != 'accept':
        return DENIED if proto == 'udp' else SILENCE if own == 'drop' else REFUSED
    icmp = (WEB, 0, address, 0)
    gate = decide(web, 'in', proto, *there, 'new')
    if gate == 'drop':
        return SILENCE
    if gate == 'reject':
        return REFUSED if returns('icmp', icmp, 'related') else SILENCE
    if gate == 'reject reset' or proto == 'tcp':
        ok = returns('tcp', back, 'established')
        return SILENCE if not ok else YES if gate == 'accept' and listens else REFUSED
    if listens:
        return YES if returns('udp', back, 'established') else SILENCE
    return REFUSED if returns('icmp', icmp, 'related') else SILENCE


def random_host(r, ports):
    def rule():
        action = r.choice(('accept', 'accept', 'accept', 'drop', 'reject'))
        words = [action, r.choice(('in', 'out'))]
        proto = r.choice(('tcp', 'udp', 'icmp', ''))
        words += [proto] * bool(proto)
        for word, mine in (('from', words[1] == 'in'), ('to', words[1] == 'out')):
            if r.random() < 0.3:
                whole = 128 if lib.V6 else 32
                words += [word, f'{r.choice((WEB, PC))}/{r.choice((whole, whole - 3, whole - 20))}']
        if proto != 'icmp':
            for word in ('sport', 'dport'):
                if r.random() < 0.4:
                    low, high = sorted(r.choices(ports, k=2))
                    words += [word, f'{low}-{high}' if low != high else str(low)]
        if r.random() < 0.3:
            words += ['state', r.choice(('new', 'established', 'established,related', 'new,related'))]
        if action == 'reject' and proto == 'tcp' and r.random() < 0.5:
            words += ['with', 'tcp-reset']
        return ' '.join(words)

    def policy():
        return r.choice(('accept',) * 5 + ('drop', 'reject'))
    return [rule() for _ in range(r.randrange(6))], policy(), policy()


VERDICTS = {YES: ('delivered',), REFUSED: ('refused',), SILENCE: ('lost',), DENIED: ('denied',)}


def explained(net, proto, port, source, address):
    out, _ = net.berth('explain', '--json', proto, f'[{address}]:{source}' if lib.V6 else f'{address}:{source}',
                       f'[{WEB}]:{port}' if lib.V6 else f'{WEB}:{port}', status=None)
    return next(s for s in json.loads(out)['steps'] if s['step'] == 'answer')['verdict']


def test_random_rules(net):
    """Random rules in both hosts: connect, send and berth explain say what a naive model says. A datagram's answer is
    no part of explain."""
    seed = int(os.environ.get('BERTH_SEED', '1'))
    r = random.Random(seed)
    ports = [53, 54, 80, 81, 8000, 40000, 40001, 40002, 50000]
    server, pc = hosts(net)
    seen = set()
    for n in range(12):
        web_filter, pc_filter = random_host(r, ports), random_host(r, ports)
        net.filter('web', web_filter[0], *web_filter[1:])
        net.filter('pc', pc_filter[0], *pc_filter[1:])
        if n == 6:
            net.link('web', 'pc', 'delay', '1ms')
        asked = [(proto, port, 40000 + 10 * n + k, PCS[n]) for k, (proto, port) in enumerate(
            (('tcp', 80), ('tcp', 81), ('tcp', 8000), ('udp', 53), ('udp', 54), ('tcp', r.choice(ports))))]
        want = [model(web_filter, pc_filter, *a) for a in asked]
        if not lib.KERNEL:
            for a, outcome in zip(asked, want):
                if not (a[0] == 'udp' and outcome == SILENCE):
                    said = explained(net, *a)
                    assert said in VERDICTS[outcome], f'seed {seed}, round {n}: {a}: explain says {said}, not {outcome}'
        got = pc.ask([asked, PATIENCE])
        if all((g, w) in ((w, w), (SILENCE, REFUSED)) for g, w in zip(got, want)) and got != want:
            time.sleep(3)  # two addresses may share one allowance of ICMP errors
            got = pc.ask([asked, PATIENCE])
        lib.eq(got, want, f'seed {seed}, round {n}: {asked}, web {web_filter}, pc {pc_filter}')
        seen.update(want)
    lib.eq(seen, {YES, REFUSED, SILENCE, DENIED}, 'outcomes of all kinds')
    end(server, pc)


def times_out():
    s = lib.tcp()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    lib.fails(errno.ETIMEDOUT, s.connect, (WEB, 80))
    s = lib.tcp()
    s.settimeout(0.3)
    try:
        s.connect((WEB, 80))
    except TimeoutError:
        pass
    s.settimeout(lib.LIMIT)
    lib.say('ready')
    while s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and \
            not select.select([], [s], [], 0.1)[1]:
        pass
    lib.eq(tcp_outcome(s), YES)
    lib.say('end')


def test_drop_times_out(net):
    """ETIMEDOUT when the SYNs are used up; one that is still sent again comes through when the rule goes."""
    server, pc = hosts(net)
    net.filter('web', ['drop in tcp dport 80'])
    p = net.part('pc', times_out)
    lib.eq(p.get(), 'ready')
    net.filter('web')
    lib.eq(p.get(), 'end')
    p.done()
    end(server, pc)


def talk():
    s = lib.connect(WEB, 8000)
    lib.say('connected')
    while (word := lib.hear()) != 'end':
        s.sendall(word.encode())
        lib.say('sent')


def echo_stream():
    s = lib.listen(lib.addr('0.0.0.0'), 8000)
    lib.say('ready')
    c, _ = s.accept()
    while data := c.recv(100):
        lib.say(data.decode())
    lib.say('end')


def test_open_connections(net):
    """A rule for what is established stops a connection that travels in packets, and its going lets it go on."""
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', echo_stream)
    server.get()
    holder = net.part('pc', ask)
    net.filter('web', ['accept in tcp dport 8000', 'drop in state new'])
    net.link('web', 'pc', 'delay', '1ms')
    pc = net.part('pc', talk)
    lib.eq(pc.get(), 'connected')
    lib.eq(pc.ask('one'), 'sent')
    lib.eq(server.get(), 'one')
    net.filter('web', ['drop in tcp state established'])
    lib.eq(pc.ask('two'), 'sent')
    time.sleep(0.3)
    lib.eq(server.lines.empty(), True, 'nothing came')
    net.filter('web')
    lib.eq(server.get(), 'two')
    pc.put('end')
    pc.done()
    lib.eq(server.get(), 'end')
    end(server, holder)


def test_short_cut_is_told(net):
    """What is open without packets goes on, and the command says so."""
    lib.berth_only('the short cut')
    net.host('web', WEB)
    net.host('pc', PC)
    server = net.part('web', echo_stream)
    server.get()
    pc = net.part('pc', talk)
    lib.eq(pc.get(), 'connected')
    out, err = net.berth('filter', 'add', 'web', 'drop', 'in', 'state', 'new')
    lib.eq((out, err), ('', ''), 'it is let through')
    out, err = net.berth('filter', 'add', 'web', 'drop', 'in', 'tcp', 'dport', '8000')
    lib.eq(err.startswith("berth: 1 connection of host 'web' is open already"), True, err)
    lib.eq(pc.ask('on'), 'sent')
    lib.eq(server.get(), 'on')
    end(pc, server)


def rules_of(net, host):
    return json.loads(net.berth('filter', 'list', '--json', host)[0])['rules']


def test_counters(net):
    lib.berth_only('berth filter list')
    server, pc = hosts(net)
    net.filter('web', ['drop in tcp dport 81', 'accept in tcp dport 80', 'accept in udp'])
    lib.eq(pc.ask(short(('tcp', 80), ('tcp', 80), ('udp', 53))), [YES] * 3)
    rules = rules_of(net, 'web')
    lib.eq([(r['packets'], r['direct']) for r in rules], [(0, 0), (0, 2), (0, 1), (0, 0), (0, 1)],
           'nothing had to be a packet; the answer went out by the policy')
    lib.eq(pc.ask(short(('tcp', 81), patience=1.5)), [SILENCE])
    rules = rules_of(net, 'web')
    lib.eq((rules[0]['packets'], rules[0]['bytes']), (2, 2 * (80 if lib.V6 else 60)), 'two SYNs')
    net.link('web', 'pc', 'delay', '1ms')
    lib.eq(pc.ask(short(('tcp', 80), ('udp', 53))), [YES] * 2)
    rules = rules_of(net, 'web')
    lib.eq(rules[1]['packets'] >= 2 and rules[1]['direct'] == 2, True, rules[1])
    lib.eq((rules[2]['packets'], rules[2]['bytes']), (1, 8 + 8 + (40 if lib.V6 else 20)))
    lib.eq(rules[4]['packets'] > 0 and rules[4]['policy'] == 1, True, 'the answers went out by the policy')
    net.berth('filter', 'insert', 'web', '1', 'accept', 'in', 'tcp', 'dport', '7')
    lib.eq([r['packets'] for r in rules_of(net, 'web')[1:4]], [r['packets'] for r in rules[:3]], 'they move along')
    end(server, pc)


def test_reasons(net):
    """why, events and explain name the rule."""
    lib.berth_only('berth why')
    server, pc = hosts(net)
    net.filter('web', ['accept in icmp', 'drop in tcp dport 80', 'reject in udp dport 53'])
    pc.ask(short(('tcp', 80), ('udp', 53)))
    rules = ['filtered: rule 2 of web drops it: drop in tcp dport 80',
             'filtered: rule 3 of web rejects it: reject in udp dport 53']
    refusals = json.loads(net.berth('why', '--json', 'pc')[0])['refusals']
    lib.eq([(w['rule'], w['errno']) for w in refusals], list(zip(rules, (errno.ETIMEDOUT, errno.ECONNREFUSED))))
    events = [json.loads(line) for line in net.berth('events', '--once')[0].splitlines()]
    lib.eq([e['rule'] for e in events if e['event'] == 'refused'], rules)
    net.filter('pc', policy_out='drop')
    out, _ = net.berth('explain', 'tcp', 'pc', 'web:80', status=3)
    lib.eq('filtered: the policy of pc drops it, going out' in out, True, out)
    net.filter('pc', ['drop in tcp sport 8000'])
    out, _ = net.berth('explain', 'tcp', 'pc', 'web:8000', status=3)
    lib.eq('filtered: rule 1 of pc drops the answer: drop in tcp sport 8000' in out, True, out)
    end(server, pc)


def test_list_and_remove(net):
    lib.berth_only('berth filter list')
    server, pc = hosts(net)
    rules = ['drop in tcp dport 80', 'accept in from 10.0.0.0/8 to 192.168.1.100', 'reject out udp dport 53-60',
             'accept in state new,established', 'reject in tcp with tcp-reset']
    for n, rule in enumerate(rules):
        net.berth('filter', 'insert', 'web', str(n + 1), *rule.split())
    lib.eq([r['rule'] for r in rules_of(net, 'web')], rules + ['accept in', 'accept out'])
    net.berth('filter', 'remove', 'web', '2')
    net.berth('filter', 'remove', 'web', 'drop', 'in', 'dport', '80', 'tcp')
    lib.eq([r['rule'] for r in rules_of(net, 'web')][:3], rules[2:])
    lib.eq(net.berth('filter', 'list')[0].splitlines()[1].split()[:3], ['web', '1', 'reject'])
    _, err = net.berth('filter', 'remove', 'web', '4', status=1)
    lib.eq('no rule 4' in err, True, err)
    _, err = net.berth('filter', 'remove', 'web', 'drop', 'out', status=1)
    lib.eq('no such rule' in err, True, err)
    net.berth('filter', 'clear', 'web')
    lib.eq(len(net.berth('filter', 'list')[0].splitlines()), 1, 'nothing but the headings')
    end(server, pc)


def test_bad_words(net):
    lib.berth_only('berth filter')
    server, pc = hosts(net)
    for words in ('', 'add', 'add web', 'frobnicate web', 'add web drop in dport', 'add web drop in dport 0',
                  'add web drop in dport 65536', 'add web drop in dport 9-8', 'add web drop in dport x',
                  'add web drop in from', 'add web drop in from 10.0.0', 'add web drop in from 10.0.0.1/33',
                  'add web drop in from fd00::1/129', 'add web drop from 10.0.0.1 to fd00::1',
                  'add web drop from ::ffff:10.0.0.1', 'add web deny in', 'add web drop sideways',
                  'add web drop in out', 'add web drop tcp udp', 'add web drop icmp dport 80',
                  'add web drop state old', 'add web drop state', 'add web drop with tcp-reset',
                  'add web reject with tcp-reset', 'add web reject tcp with icmp', 'add wub drop in',
                  'insert web x drop in', 'insert web 0 drop in', 'insert web 257 drop in', 'remove web 0',
                  'remove web 257', 'policy web sideways drop', 'policy web in maybe', 'policy web in',
                  'clear', 'clear wub', 'list wub', 'list web pc'):
        out, err = net.berth('filter', *words.split(), status=2)
        lib.eq(out, '', words)
        lib.eq(err.startswith('berth: ') and err.count('\n') == 1, True, err)
    lib.eq(len(rules_of(net, 'web')), 2, 'only the policies')
    lib.eq(net.berth('filter', 'insert', 'web', '2', 'drop', 'in', status=1)[1].count('\n'), 1)
    end(server, pc)
    p = subprocess.run([lib.BERTH, 'filter', '--network', 'nobody-has-this', 'list'], capture_output=True, text=True,
                       timeout=lib.LIMIT)
    lib.eq((p.returncode, 'berth run' in p.stderr), (1, True), p.stderr)


def test_who_may(net):
    """Programs of a host change nothing; messages that are no legal change neither."""
    lib.berth_only('berthd')
    server, pc = hosts(net)
    what = struct.Struct('=IIBB6x48s')
    rule = bytes([1, 0, 6]) + bytes(45)
    token = net.run('web', ['sh', '-c', 'echo $BERTH_TOKEN']).strip().split(':')[-1]
    program, owner = control.Control(net.netid()), control.Control(net.netid())
    lib.eq(program.hello(bytes.fromhex(token))[0], 0)
    lib.eq(program.call(control.FILTER, what.pack(0, 0xffffffff, 0, 0, rule))[0], errno.EPERM)
    lib.eq(owner.call(control.FILTER, what.pack(0, 0xffffffff, 0, 0, rule))[0], errno.EPERM, 'before hello')
    if owner.hello()[0] == 0:
        for extra, value, wanted in ((what.pack(0, 0xffffffff, 0, 0, rule)[:-1], 0, errno.EPROTO), (b'', 0, errno.EPROTO),
                                     (what.pack(9, 0, 0, 0, rule), 0, errno.EINVAL),
                                     (what.pack(2, 0, 2, 1, rule), 0, errno.EINVAL),
                                     (what.pack(2, 0, 0, 3, rule), 0, errno.EINVAL),
                                     (what.pack(0, 0xffffffff, 0, 0, b'\xff' * 48), 0, errno.EINVAL),
                                     (what.pack(0, 1, 0, 0, rule), 0, errno.ENOENT),
                                     (what.pack(1, 0, 0, 0, rule), 0, errno.ENOENT),
                                     (what.pack(0, 0, 0, 0, rule), 1024, errno.ENOENT)):
            lib.eq(owner.call(control.FILTER, extra, value=value)[0], wanted, repr(extra))
        for n in range(257):
            lib.eq(owner.call(control.FILTER, what.pack(0, 0, 0, 0, rule))[0], 0 if n < 256 else errno.ENOSPC)
    program.close()
    owner.close()
    end(server, pc)


def test_crash(net):
    """A berthd that is killed leaves the rules to the next one."""
    lib.berth_only('berthd')
    server, pc = hosts(net)
    net.filter('web', ['drop in tcp dport 80', 'accept in tcp dport 8000'], 'reject')
    lib.eq(pc.ask(short(('tcp', 80), ('tcp', 8000))), [SILENCE, YES])
    before = rules_of(net, 'web')
    os.kill(net.daemon_pid(), signal.SIGKILL)
    pc.kill()
    pc = net.part('pc', ask)
    lib.eq(pc.ask(short(('tcp', 80), ('tcp', 8000), ('tcp', 82), ('udp', 54))), [SILENCE, YES, REFUSED, REFUSED])
    after = rules_of(net, 'web')
    lib.eq([r['rule'] for r in after], [r['rule'] for r in before])
    lib.eq(after[0]['packets'] > before[0]['packets'] > 0, True, 'counted on')
    end(server, pc)


def test_programs(net):
    """curl: what people see."""
    lib.has('curl')
    server, pc = hosts(net)
    url = f'http://[{WEB}]:80/' if lib.V6 else f'http://{WEB}/'
    curl = ['curl', '-s', '-o', '/dev/null', '--max-time', '2', '-w', '%{http_code} %{errormsg}', url]
    for rule, status, word in (('drop', 28, 'timed out'), ('reject', 7, 'Failed to connect'), ('accept', 28, 'timed out')):
        net.filter('web', [rule + ' in tcp dport 80'])
        out = net.run('pc', curl, status=status)
        lib.eq(word in out, True, f'{rule}: {out}')
        lib.eq('0 bytes received' in out, rule == 'accept', out)
    end(server, pc)


if __name__ == '__main__':
    lib.main()

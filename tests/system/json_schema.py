# SPDX-License-Identifier: Apache-2.0
"""Every command that prints JSON, in a live network: what it prints is what its schema in doc/schema says, and no key
is there that the schema does not tell of. A command with --json has a schema, and a schema has a case here."""
import glob
import json
import os
import re
import signal
import socket
import struct
import subprocess

import lib

WEB, PC = '192.168.1.100', '10.0.0.50'
SCHEMAS = os.path.join(lib.HERE, '../../doc/schema')
LINES = ('events', 'capture', 'ping', 'replay', 'why-bind')  # a document a line


def strict(schema):
    """The same, but a key that it does not tell of is an error."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get('properties'), dict):
        made['additionalProperties'] = False
    return made


def schemas():
    """{name: validator}, each a valid schema that says its own name and number."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        raise lib.Skip('python3-jsonschema is not installed (tools/install-deps check)') from None
    found = {}
    for path in glob.glob(SCHEMAS + '/*.json'):
        name = os.path.basename(path)[:-5]
        with open(path, encoding='utf-8') as f:
            schema = json.load(f)
        Draft202012Validator.check_schema(schema)
        lib.eq((schema['$id'], schema['$schema'], bool(schema['description'])),
               (f'urn:berth:schema:{name}:1', 'https://json-schema.org/draft/2020-12/schema', True))
        found[name] = Draft202012Validator(strict(schema))
    return found


def check(validators, name, text):
    """The documents in what a command printed; how many there were."""
    documents = [json.loads(line) for line in text.splitlines()] if name in LINES else [json.loads(text)]
    for d in documents:
        lib.eq(next(iter(d)), 'schema', 'the first key')
        for e in validators[name].iter_errors(d):
            raise AssertionError(f'{name}: {e.json_path}: {e.message[:300]} in {str(d)[:300]}')
    return documents


# --- in a host

def serve():
    """Listeners, shared and of IPv6, datagrams, a socket that is only bound, one in CLOSE-WAIT, and refusals."""
    s = lib.listen('0.0.0.0', 80, 3)
    shared = []
    for _ in range(2):
        shared.append(socket.socket())
        shared[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared[-1].bind((WEB, 8080))
        shared[-1].listen(3)
    six, bound, u = lib.listen('::', 443), socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((WEB, 9))
    u.bind((WEB, 53))
    near = [lib.connect('127.0.0.1', 80), lib.connect('::1', 443)]
    near.append(s.accept()[0])
    near[0].close()  # its other end is in CLOSE-WAIT
    for call in (lambda: lib.listen(WEB, 80, reuse=False), lambda: lib.connect(WEB, 99)):
        try:
            call()
        except OSError:
            pass
    lib.say('ready')
    lib.hear()
    held = [s.accept()[0] for _ in range(3)]
    held[-1].close()
    lib.say('accepted')
    lib.hear()
    print(six, bound, u, held, near, file=open(os.devnull, 'w'))


def visit():
    held = [lib.connect(WEB, 80) for _ in range(3)]
    held[0].close()
    lib.eq(held[-1].recv(1), b'')
    held[-1].close()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.connect((WEB, 53))
    lib.say('ready')
    lib.hear()


def ask(port):
    while True:
        lib.hear()
        try:
            lib.connect(WEB, port).close()
        except OSError:
            pass
        lib.say('done')


def pcap(path, whole=True):
    """A capture of one datagram to web, one to another, and what is no IP packet."""
    packets = []
    for to in (WEB, '9.9.9.9'):
        body = struct.pack('>HHHH', 5000, 53, 12, 0) + b'what'
        packets.append(struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0,
                                   socket.inet_aton('192.0.2.9'), socket.inet_aton(to)) + body)
    packets.append(b'\x00none')
    data = struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
    for p in packets:
        data += struct.pack('<IIII', 1, 0, len(p), len(p)) + p
    with open(path, 'wb') as f:
        f.write(data if whole else data[:-3])
    return path


def test_every_document(net):
    """Each command once or more, and what makes its keys differ."""
    lib.berth_only('JSON of berth')
    validators, seen = schemas(), {}
    net.host('web', WEB, 'fd00::1')
    net.host('pc', PC)
    server = net.part('web', serve)
    lib.eq(server.get(), 'ready')
    client = net.part('pc', visit)
    lib.eq(server.ask('accept'), 'accepted')
    lib.eq(client.get(), 'ready')

    def run(name, *argv, status=0):
        out, _ = net.berth(argv[0], '--json', *argv[1:], status=status)
        seen.setdefault(name, []).extend(check(validators, name, out))

    for flags in ((), ('-a',), ('-ap',), ('-aeo',), ('-an', '--host', 'pc'), ('-B',), ('-6',)):
        run('ss', 'ss', *flags)
    run('ss-summary', 'ss', '-s')
    for flags in ((), ('-a',), ('-anob', 'web'), ('-ap', 'udp'), ('-ap', 'tcpv6')):
        run('netstat', 'netstat', *flags)
    run('hosts', 'hosts')
    run('explain', 'explain', 'tcp', 'web:80')
    run('explain', 'explain', 'tcp', 'pc:1000', 'web:8080')
    run('explain', 'explain', 'udp', f'{WEB}:53')
    run('explain', 'explain', 'tcp', 'web:81', status=3)
    run('explain', 'explain', 'tcp', 'pc', '9.9.9.9:81', status=3)
    run('why', 'why')
    run('why', 'why', 'pc')
    run('why-bind', 'why', 'web:80', status=3)
    run('why-bind', 'why', 'udp', 'pc:80')
    run('sysctl', 'sysctl', 'web')
    run('sysctl', 'sysctl', 'web', 'net.ipv4.tcp_tw_reuse=1')
    for argv in ((), ('web',), ('--interval', '0.1')):
        run('doctor', 'doctor', '--close-wait', '1', *argv, status=1)
    for argv in ((), ('pc',)):
        run('map', 'map', *argv)
    for argv in ((), ('web',), ('-s', 'port', '-f', 'tcp listen')):
        run('top', 'top', '-d', '0.1', *argv)
    net.berth('filter', 'add', 'pc', 'drop', 'in', 'tcp', 'dport', '4000-5000', 'from', '10.0.0.0/8')
    run('filter', 'filter', 'list')
    net.berth('filter', 'clear', 'pc')
    run('events', 'events', '--once')
    lib.eq({d['event'] for d in seen['events']}, {'bind', 'listen', 'connect', 'accept', 'close', 'refused'})
    lib.eq({d['state'] for doc in seen['ss'] for d in doc['sockets']} >= {
        'LISTEN', 'ESTAB', 'UNCONN', 'TIME-WAIT', 'CLOSE-WAIT', 'FIN-WAIT-2'}, True)

    run('link', 'link', 'show')
    net.berth('link', 'set', 'web', 'delay', '1ms')
    net.berth('link', 'set', 'web', 'pc', 'loss', '0.1%')
    run('link', 'link', 'show')
    run('ping', 'ping', '-c', '2', '-i', '0', 'pc', 'web')
    run('ping', 'ping', '-c', '1', '-s', '0', 'pc', WEB)
    lib.eq([d['event'] for d in seen['ping']], ['answer', 'answer', 'end', 'answer', 'end'])
    run('replay', 'replay', '--fast', 'web', pcap('whole.pcap'))
    run('replay', 'replay', '--fast', 'web', pcap('broken.pcap', whole=False), status=1)
    lib.eq([(d['given'], d['answers'] >= 0, d['for_others'], d['whole_file']) for d in seen['replay']],
           [(1, True, 1, True), (1, True, 1, False)])
    seen['capture'] = capture(net, validators)

    for argv in ((), ('--list', '--range', 'well-known'), ('80', 'ssh', '53/udp', '65535')):
        out = subprocess.run([lib.BERTH, 'services', '--json', *(argv or ('--list',))], capture_output=True, text=True,
                             check=True).stdout
        seen['services'] = check(validators, 'services', out)
    seen['networks'] = check(validators, 'networks', subprocess.run(
        [lib.BERTH, 'networks', '--json'], capture_output=True, text=True, check=True).stdout)
    lib.eq([n['network'] for n in seen['networks'][0]['networks']], [net.name])
    lib.eq(set(seen), set(validators), 'schemas that a case was run for, and schemas that there are')
    for p in (client, server):
        p.kill()


def capture(net, validators):
    p = subprocess.Popen([lib.BERTH, 'capture', '--network', net.name, '--json', 'web'], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    assert 'Ctrl-C' in p.stderr.readline()
    asking = net.part('pc', ask, 99)
    lib.eq(asking.ask('go'), 'done')
    lines = [p.stdout.readline() for _ in range(2)]
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=lib.LIMIT)
    lib.eq(p.returncode, 0)
    found = check(validators, 'capture', ''.join(lines))
    lib.eq([(d['host'], d['peer'], d['direction']) for d in found], [('web', 'pc', 'got'), ('web', 'pc', 'sent')])
    _, err = net.berth('capture', '--json', '-w', 'x', status=2)
    lib.eq(err, 'berth: packets go to a file or are printed as JSON; leave out -w or --json\n')
    asking.kill()
    return found


def test_kernel_document(net):
    lib.berth_only('JSON of berth')
    p = subprocess.run([lib.BERTH, 'doctor', '--kernel', '--json', '--interval', '0'], capture_output=True, text=True,
                       timeout=lib.LIMIT, check=False)
    lib.eq(p.returncode in (0, 1, 3), True, p.stderr)
    check(schemas(), 'doctor', p.stdout)


def test_no_command_without_a_schema(net):
    """A command whose help tells of --json has a schema of its name, and doc/json.md tells of each."""
    lib.berth_only('JSON of berth')
    have = set(schemas())
    commands = re.findall(r'^  ([a-z]+) ', subprocess.run([lib.BERTH, '--help'], capture_output=True, text=True,
                                                           check=True).stdout.split('\nOptions:')[0], re.M)
    lib.eq(len(commands) > 15, True, str(commands))
    with_json = set()
    for command in commands:
        text = subprocess.run([lib.BERTH, 'help', command], capture_output=True, text=True, check=True).stdout
        if '--json' in text:
            with_json.add(command)
            lib.eq(any(name.split('-')[0] == command for name in have), True, f'a schema for berth {command}')
        elif command not in ('run', 'down', 'help', 'metrics'):
            raise AssertionError(f'berth {command} prints, and has no --json')
    lib.eq({name.split('-')[0] for name in have}, with_json)
    with open(os.path.join(SCHEMAS, '../json.md'), encoding='utf-8') as f:
        told = set(re.findall(r'\(schema/([a-z-]+)\.json\)', f.read()))
    lib.eq(told, have, 'what doc/json.md tells of')


def test_a_wrong_document_is_found(net):
    """The checks can fail: a missing key, one too many, a number out of range."""
    lib.berth_only('JSON of berth')
    validators = schemas()
    good = {'schema': 1, 'networks': [{'network': 'n', 'hosts': 1, 'sockets': 2, 'pid': 3, 'started_s': 4}]}
    check(validators, 'networks', json.dumps(good))
    for change in ({'hosts': -1}, {'hosts': '1'}, {'more': 1}, {'pid': None}):
        bad = {**good, 'networks': [{**good['networks'][0], **change}]}
        try:
            check(validators, 'networks', json.dumps(bad))
        except AssertionError:
            continue
        raise AssertionError(f'{change} was not found')
    lib.eq(validators['networks'].is_valid({'schema': 2, 'networks': []}), False)


if __name__ == '__main__':
    lib.main()

# SPDX-License-Identifier: Apache-2.0
"""R2: the chapter's ranges and its table of well-known ports, looked up with berth services."""
import json
import subprocess

import lib

import chapter  # in tools/, which lib puts on the path

# The registry's name where it is not the chapter's word in small letters.
NAMES = {'FTP Data': 'ftp-data', 'FTP Control': 'ftp', 'SMTP Submission': 'submission'}


def services(*argv, status=0):
    p = subprocess.run([lib.BERTH, 'services', *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=lib.LIMIT)
    lib.eq(p.returncode, status, f'status of berth services {argv} ({p.stdout}{p.stderr})')
    return p.stdout, p.stderr


def asked(*argv):
    return json.loads(services('--json', *argv)[0])['services']


def test_table(_):
    """Every row is found by its port, by port and protocol, and by its name."""
    rows = chapter.common_ports()
    lib.eq(len(rows), 19, 'rows of the table')
    for ports, protocols, service in rows:
        name = NAMES.get(service, service.lower())
        for port in ports:
            assert name in [s['name'] for s in asked(str(port))], f'{port} is not {name}: {asked(str(port))}'
            for protocol in protocols:
                found = asked(f'{port}/{protocol}')
                assert name in [s['name'] for s in found], f'{port}/{protocol} is not {name}: {found}'
                lib.eq({tuple(s['protocols']) for s in found}, {(protocol,)}, f'protocols of {port}/{protocol}')
        found = asked(name)
        lib.eq(sorted({s['port'] for s in found}), ports, f'ports of {name}')
        for s in found:
            assert set(protocols) <= set(s['protocols']), s


def test_table_in_words(_):
    for ports, protocols, service in chapter.common_ports():
        name = NAMES.get(service, service.lower())
        for port in ports:
            lines = [line.split() for line in services(str(port))[0].splitlines()]
            found = [line for line in lines if line[:1] == [str(port)] and line[2] == name]
            lib.eq(len(found), 1, f'lines of {port} with {name} in {lines}')
            assert set(protocols) <= set(found[0][1].split(',')), found


def test_ranges(_):
    """The range of its first and last port, and who may bind them."""
    ranges = chapter.port_ranges()
    lib.eq(len(ranges), 3, 'ranges')
    for first, last, name in ranges:
        for port in (first, last, (first + last) // 2):
            for s in asked(str(port)):
                lib.eq(s['range'], name.lower().split('/')[0], f'range of {port}')
                lib.eq(s['may_bind'], "host's root" if port < 1024 else 'anybody', f'who may bind {port}')
            text = services(str(port))[0].lower()
            for word in name.lower().split('/'):
                assert word in text, f'{word} is not in what is said of {port}: {text}'
            lib.eq('net.ipv4.ip_unprivileged_port_start' in text, port < 1024, f'the setting named for {port}')


def test_list(_):
    """The whole registry, in its order; each range is its part."""
    every = asked('--list')
    assert len(every) > 6000, len(every)
    ports = [s['port'] for s in every]
    lib.eq(ports, sorted(ports), 'order of ports')
    parts = [asked('--list', '--range', name.lower().split('/')[0]) for _, _, name in chapter.port_ranges()]
    lib.eq(sum(parts, []), every, 'the three ranges together')
    for (first, last, _), part in zip(chapter.port_ranges(), parts):
        assert all(first <= s['port'] <= last for s in part)
    assert len(parts[0]) > 700 and len(parts[1]) > 5000, [len(part) for part in parts]
    for s in every:
        if s['name'] in ('http', 'x11', 'dns'):
            assert s in asked(s['name']), s


if __name__ == '__main__':
    lib.main()

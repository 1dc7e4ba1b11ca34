# SPDX-License-Identifier: Apache-2.0
"""berth map: its numbers are those of berth ss; the picture fits a terminal; the page is read in a browser, light and
dark, narrow and wide, with names that look like markup, with no ports and with 60,000."""
import collections
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import zlib

import lib

import browser

WEB, PC, DNS = '192.168.1.100', '10.0.0.50', '192.168.1.2'
EVIL = ['<script>alert(1', '"><img src=x on', "'&lt;b&gt;\\", '</style><svg on', '\u202eevil', 'javascript:x']

# Every visible text's contrast with what is behind it (WCAG 2, 1.4.3), the least first.
CONTRAST = '''(() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const lum = ([r, g, b]) => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const out = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walk.nextNode();) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest('title,style') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), ink = parse(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [lum(ink), lum(behind(e))].sort((x, y) => y - x);
    out.push([(a + .05) / (b + .05), n.data.trim().slice(0, 30)]);
  }
  return out.sort((x, y) => x[0] - y[0]);
})()'''


def pixels(path):
    """Width, height and a function (x, y) -> (r, g, b) of a PNG of 8 bits as browsers write it."""
    with open(path, 'rb') as f:
        data = f.read()
    lib.eq(data[:8], b'\x89PNG\r\n\x1a\n')
    at, packed = 8, b''
    while at < len(data):
        size, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b'IHDR':
            width, height, depth, color = struct.unpack('>IIBB', body[:10])
        elif kind == b'IDAT':
            packed += body
        at += 12 + size
    lib.eq((depth, color in (2, 6)), (8, True))
    step = 3 if color == 2 else 4
    raw, rows, before = zlib.decompress(packed), [], bytes(width * step)
    for y in range(height):
        kind, *_ = raw[y * (width * step + 1):][:1]
        row = bytearray(raw[y * (width * step + 1) + 1:(y + 1) * (width * step + 1)])
        for i in range(len(row) if kind else 0):
            a, b = row[i - step] if i >= step else 0, before[i]
            c = before[i - step] if i >= step else 0
            near = min((a, b, c), key=lambda v: abs(a + b - c - v))
            row[i] = (row[i] + (0, a, b, (a + b) // 2, near)[kind]) & 255
        rows.append(row)
        before = row
    return width, height, lambda x, y: tuple(rows[y][x * step:x * step + 3])


def the_map(net, *argv):
    return json.loads(net.berth('map', '--json', *argv)[0])


def ranges(host):
    return {r['kind']: r['in_use'] for r in host['ranges']}


# --- in a host

def seat(name, *places):
    """Sits at places (protocol, address, port) under a name, and answers nobody."""
    with open('/proc/self/comm', 'wb') as f:
        f.write(name.encode())
    held = []
    for proto, address, port in places:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        if proto == 'tcp':
            s.listen(100)
        held.append(s)
    lib.say('ready')
    lib.hear()


def visit(*places):
    held = []
    for proto, address, port, n in places:
        for _ in range(n):
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
            s.connect((address, port))
            held.append(s)
    lib.say('ready')
    lib.hear()


def sit(net, host, name, *places):
    p = net.part(host, seat, name, *places)
    lib.eq(p.get(), 'ready')
    return p


def go(net, host, *places):
    p = net.part(host, visit, *places)
    lib.eq(p.get(), 'ready')
    return p


def network(net):
    lib.berth_only('berth map')
    net.host('web', WEB)
    net.host('pc', PC)
    net.host('dns', DNS)
    return [sit(net, 'web', 'nginx', ('tcp', '0.0.0.0', 80), ('tcp', WEB, 443), ('tcp', '127.0.0.1', 443)),
            sit(net, 'web', 'node', ('tcp', '0.0.0.0', 3000), *(('tcp', '0.0.0.0', p) for p in range(9000, 9100))),
            sit(net, 'dns', 'dnsmasq', ('udp', '0.0.0.0', 53), ('tcp', '0.0.0.0', 53)),
            go(net, 'pc', ('tcp', WEB, 80, 30), ('tcp', WEB, 443, 5), ('udp', DNS, 53, 2)),
            go(net, 'web', ('tcp', '127.0.0.1', 443, 3))]


def test_numbers(net):
    """JSON: seats, ranges and connections are what berth ss lists."""
    procs = network(net)
    rows, whole = net.ss(), the_map(net)
    hosts = {h['host']: h for h in whole['hosts']}
    lib.eq((whole['schema'], whole['network'], list(hosts)), (1, net.name, ['web', 'dns', 'pc']))
    for name, h in hosts.items():
        ports = {r.lport for r in rows if r.host == name}
        lib.eq(h['sockets'], sum(r.host == name for r in rows), name)
        lib.eq((h['capacity'], h['range_first'], h['range_last']), (28232, 32768, 60999))
        lib.eq(h['in_use'], sum(32768 <= p <= 60999 for p in ports), name)
        lib.eq(ranges(h), {'well-known': sum(p < 1024 for p in ports),
                           'registered': sum(1024 <= p < 32768 for p in ports),
                           'ephemeral': sum(32768 <= p < 61000 for p in ports),
                           'dynamic': sum(p >= 61000 for p in ports)})
    lib.eq(hosts['web']['addresses'], [WEB + '/24'])
    lib.eq([(s['first'], s['last'], s.get('service'), s['does'], s['addresses'], s['programs'], s['connections'])
            for s in hosts['web']['seats']],
           [(80, 80, 'http', 'listens', ['0.0.0.0'], [{'pid': procs[0].pid, 'program': 'nginx'}], 30),
            (443, 443, 'https', 'listens', ['127.0.0.1', WEB], [{'pid': procs[0].pid, 'program': 'nginx'}], 8),
            (3000, 3000, 'hbci', 'listens', ['0.0.0.0'], [{'pid': procs[1].pid, 'program': 'node'}], 0),
            (9000, 9099, None, 'listens', ['0.0.0.0'], [{'pid': procs[1].pid, 'program': 'node'}], 0)])
    lib.eq([(s['protocol'], s['does']) for s in hosts['dns']['seats']], [('tcp', 'listens'), ('udp', 'receives')])
    lib.eq([(c['from'], c['to'], c['protocol'], c['port'], c['connections'], c['established'], c['time_wait'])
            for c in whole['connections']],
           [('pc', 'web', 'tcp', 80, 30, 30, 0), ('pc', 'web', 'tcp', 443, 5, 5, 0),
            ('web', 'web', 'tcp', 443, 3, 3, 0), ('pc', 'dns', 'udp', 53, 2, 2, 0)])
    # One host: its ports, and its connections with others.
    one = the_map(net, 'dns')
    lib.eq(([h['host'] for h in one['hosts']], [c['from'] for c in one['connections']]), (['dns'], ['pc']))
    procs[3].put('end')
    procs[3].done()
    lib.until('the connections to be over', lambda: not any(
        r.host == 'pc' and r.state not in ('TIME-WAIT', 'FIN-WAIT-2') for r in net.ss()))
    over = the_map(net, 'pc')['connections']
    lib.eq([(c['connections'], c['established']) for c in over if c['protocol'] == 'tcp'], [(30, 0), (5, 0)])
    # The range that the host really has.
    net.sysctl('web', 'net.ipv4.ip_local_port_range=9000 9999', 'net.ipv4.ip_local_reserved_ports=9000-9009')
    h = the_map(net, 'web')['hosts'][0]
    lib.eq((h['capacity'], h['in_use'], ranges(h)['ephemeral']), (990, 90, 100))
    lib.eq([(r['kind'], r['first'], r['last']) for r in h['ranges']],
           [('well-known', 0, 1023), ('registered', 1024, 8999), ('ephemeral', 9000, 9999),
            ('registered', 10000, 49151), ('dynamic', 49152, 65535)])
    for p in procs:
        p.kill()


def terminal(net, *argv, **env):
    return subprocess.run([lib.BERTH, 'map', '--network', net.name, *argv], capture_output=True, text=True,
                          check=True, env={**os.environ, **env}).stdout


def test_text(net):
    """For a terminal: 80 columns, nothing in it that steers one, boxes where it has them."""
    procs = network(net) + [sit(net, 'dns', '\x1b[31m\x9bred', ('tcp', '0.0.0.0', 99))]
    for text, ascii_only in ((terminal(net, LC_ALL='C.UTF-8'), False), (terminal(net, LC_ALL='C'), True)):
        lib.eq([line for line in text.splitlines() if len(line) > 80], [])
        lib.eq(text.isascii(), ascii_only)
        lib.eq('\x1b' in text or '\x9b' in text, False)
        for line in ('web  192.168.1.100/24  ', 'Well-known, 0-1023\n', ' 80 http          tcp nginx (',
                     '9000-9099 ', '0.0.0.0, 30 connected', '127.0.0.1, 192.168.1.100..',
                     'Ephemeral: 37 of 28232 in use (under 1 %)', 'Nobody waits at a port.\n',
                     '  pc -> web                      tcp 80 http              30\n', '?[31m'):
            lib.eq(line in text, True, f'{line!r} in\n{text}')
    one = terminal(net, 'dns', LC_ALL='C')
    lib.eq(('web  192' in one, 'pc -> dns' in one, 'pc -> web' in one), (False, True, False))
    for p in procs:
        p.kill()


# --- the page

def page(net, *argv):
    fd, path = tempfile.mkstemp(suffix='.html')
    os.close(fd)
    net.berth('map', '--html', path, *argv)
    return path


def check_page(b, path, label):
    """What holds of every page, however many ports are in it. The browser is left with the page, light."""
    b.open(path)
    lib.eq([r['request']['url'] for r in b.happened('Network.requestWillBeSent')], ['file://' + path], 'requests')
    lib.eq(b.happened('Page.javascriptDialogOpening'), [])
    lib.eq(b.ask("document.querySelectorAll('script,img,iframe,object,embed,link,base,form,[onload],[onerror]').length"), 0)
    lib.eq(b.ask("document.querySelectorAll('meta[http-equiv=Content-Security-Policy]').length"), 1)
    lib.eq([b.ask('document.documentElement.lang'), b.ask("document.querySelectorAll('h1').length"),
            b.ask("document.querySelectorAll('main').length")], ['en', 1, 1])
    lib.eq(b.ask("[...document.querySelectorAll('svg,[role=img]')].filter(e => !e.getAttribute('aria-label')).length"),
           0, 'pictures without words')
    lib.eq(b.ask("[...document.querySelectorAll('[id]')].map(e => e.id).filter((v, i, a) => a.indexOf(v) != i)"), [])
    lib.eq(b.ask("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.getAttribute('href')))"),
           True)
    for scheme in ('dark', 'light'):
        b.prefer(scheme)
        least = b.ask(CONTRAST)[:3]
        lib.eq(least[0][0] >= 4.5, True, f'contrast in {scheme}: {least}')
    for width in (360, 1200):
        b.width(width)
        lib.eq(b.ask('document.documentElement.scrollWidth <= innerWidth'), True, f'{label}: fits {width} pixels')
    errors = [e['entry']['text'] for e in b.happened('Log.entryAdded')]
    lib.eq(errors, [], 'what the browser complains of')


def the_browser(**kw):
    if not browser.find():
        raise lib.Skip('no chromium (tools/install-deps check)')
    return browser.Browser(**kw)


def test_page(net):
    """With names that look like markup: they are text. Light and dark are two pictures."""
    lib.berth_only('berth map')
    with the_browser() as b:
        procs = network(net)
        for i, name in enumerate(EVIL):
            procs.append(sit(net, 'web', name, ('tcp', '0.0.0.0', 7000 + i)))
        path = page(net)
        check_page(b, path, 'three hosts')
        who = b.ask("[...document.querySelectorAll('.who')].map(e => e.textContent)")
        for name, p in zip(EVIL, procs[-len(EVIL):]):
            shown = name.encode()[:15].decode(errors='ignore')
            lib.eq(f'{shown} ({p.pid})' in who, True, f'{shown!r} in {who}')
        lib.eq(b.ask("[...document.querySelectorAll('#host-0 .part b')].map(e => e.textContent)"),
               ['Well-known', 'Registered', 'Ephemeral', 'Dynamic'])
        lib.eq(b.ask("document.querySelectorAll('#host-0 .heat rect').length") > 0, True)
        # Every edge of the drawing is told in the table.
        lib.eq(sorted(b.ask("[...document.querySelectorAll('tbody tr')].map(e => [...e.cells].map(c => c.textContent))")),
               sorted([['pc', 'web', 'TCP', '80 http', '30', '30', '0'], ['pc', 'web', 'TCP', '443 https', '5', '5', '0'],
                       ['web', 'web', 'TCP', '443 https', '3', '3', '0'],
                       ['pc', 'dns', 'UDP', '53 domain', '2', '2', '0']]))
        lib.eq(sorted(b.ask("[...document.querySelectorAll('.graph g title')].map(e => e.textContent)")),
               ['pc to dns, UDP 53: 2', 'pc to web, TCP 443: 5', 'pc to web, TCP 80: 30'])
        names = {n['name']['value'] for n in b.call('Accessibility.getFullAXTree')['nodes']
                 if n.get('role', {}).get('value') in ('image', 'img')}
        lib.eq(any(n.startswith('The port space: Well-known, 0 to 1023, ') for n in names), True, str(names))
        corners = []
        for scheme in ('light', 'dark'):
            b.prefer(scheme)
            b.picture(path + '.png', height=400)
            width, height, at = pixels(path + '.png')
            lib.eq((width, height), (1200, 400))
            corners.append(sum(at(3, 3)))
            seen = collections.Counter(at(x, y) for x in range(0, width, 3) for y in range(0, height, 3))
            lib.eq(len(seen) > 20, True, f'colours in {scheme}: {len(seen)}')
        lib.eq(corners[0] > 3 * 200 and corners[1] < 3 * 60, True, f'light and dark: {corners}')
        os.unlink(path)
        os.unlink(path + '.png')
    for p in procs:
        p.kill()


def test_page_of_one_host_without_ports(net):
    lib.berth_only('berth map')
    with the_browser() as b:
        net.host('web', WEB)
        p = go(net, 'web')
        path = page(net)
        check_page(b, path, 'nothing')
        lib.eq([b.ask("document.querySelectorAll('.note').length"), b.ask("document.querySelectorAll('nav').length"),
                b.ask("document.querySelectorAll('.seats,.graph,table,rect').length")], [2, 0, 0])
        os.unlink(path)
    p.kill()


def test_page_of_50_hosts(net):
    lib.berth_only('berth map')
    with the_browser() as b:
        net.host('hub', '10.1.0.1')
        procs = [sit(net, 'hub', 'nginx', ('tcp', '0.0.0.0', 80))]
        for i in range(2, 51):
            net.host(f'host-with-a-long-name-{i}', f'10.1.0.{i}')
            procs.append(net.part(f'host-with-a-long-name-{i}', visit, ('tcp', '10.1.0.1', 80, i)))
        for p in procs[1:]:
            lib.eq(p.get(), 'ready')
        path = page(net)
        check_page(b, path, '50 hosts')
        lib.eq([b.ask("document.querySelectorAll('details.card').length"),
                b.ask("document.querySelectorAll('.graph .node').length"),
                b.ask("document.querySelectorAll('tbody tr').length")], [50, 50, 49])
        # No name of the drawing reaches out of it.
        lib.eq(b.ask('''(() => { const box = document.querySelector('.graph').getBoundingClientRect();
            return [...document.querySelectorAll('.graph text')].filter(t => { const r = t.getBoundingClientRect();
            return r.left < box.left || r.right > box.right || r.top < box.top || r.bottom > box.bottom; }).length; })()'''), 0)
        os.unlink(path)
    for p in procs:
        p.kill()


def crowd(first, last, step):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for port in range(first, last, step):
        held.append(lib.udp())
        held[-1].bind(('0.0.0.0', port))
    lib.say('ready')
    lib.hear()


def test_page_of_60000_ports(net):
    """Four programs in turns, so that no two ports that follow each other are one's."""
    lib.berth_only('berth map')
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 16000:
        raise lib.Skip('a program may not have 15,000 descriptors here')
    with the_browser() as b:
        net.host('web', WEB)
        procs = [net.part('web', crowd, 5000 + i, 65000, 4) for i in range(4)]
        for p in procs:
            lib.eq(p.get(), 'ready')
        path = page(net)
        lib.eq(os.path.getsize(path) < 200000, True, 'bytes of the page')
        check_page(b, path, '60,000 ports')
        whole = the_map(net)['hosts'][0]
        lib.eq((whole['in_use'], len(whole['seats']), whole['sockets']), (28232, 60000, 60000))
        lib.eq(b.ask("document.querySelectorAll('.heat rect[fill-opacity=\"1.00\"]').length"), 96)
        lib.eq(len(terminal(net, LC_ALL='C').splitlines()) < 200, True)
        os.unlink(path)
    for p in procs:
        p.kill()


def test_nothing_and_nonsense(net):
    lib.berth_only('berth map')
    _, err = net.berth('map', status=1)
    lib.eq(err, f"berth: no network '{net.name}' is running; start one with: berth run --network {net.name} PROGRAM\n")
    net.host('web', WEB)
    p = go(net, 'web')
    for argv, status, word in ((['wub'], 1, "no host 'wub'"), (['web', 'pc'], 2, "'pc'"), (['--html'], 2, 'FILE'),
                               (['--html', '/nowhere/x'], 1, "'/nowhere/x'"), (['--html', '-', '--json'], 2, '--json'),
                               (['--htlm', 'x'], 2, '--html'), (['--html', '/dev/full'], 1, "'/dev/full'")):
        out, err = net.berth('map', *argv, status=status)
        lib.eq((out, err.count('\n'), err.startswith('berth: '), word in err), ('', 1, True, True), f'{argv}: {err}')
    out, err = net.berth('map', '--html', '-')
    lib.eq((out.startswith('<!doctype html>'), out.endswith('</html>\n'), err), (True, True, ''))
    p.kill()


if __name__ == '__main__':
    sys.exit(lib.main())

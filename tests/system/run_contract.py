# SPDX-License-Identifier: Apache-2.0
"""berth run becomes the program: exit status, pid, signals, standard streams, environment, directory."""
import os
import signal
import subprocess

import lib


def run(net, *argv, **kw):
    return subprocess.run(net.argv('web', list(argv)), capture_output=True, text=True, timeout=lib.LIMIT, **kw)


def setup(net):
    lib.berth_only('berth run')
    net.host('web', '192.168.1.100')


def test_exit_status(net):
    setup(net)
    for status in (0, 1, 7, 125, 126, 127, 255):
        lib.eq(run(net, 'sh', '-c', f'exit {status}').returncode, status)


def test_signals(net):
    setup(net)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE):
        lib.eq(run(net, 'sh', '-c', f'kill -{int(number)} $$').returncode, -number, f'death by {number}')
    p = net.popen('web', ['sleep', '60'])
    lib.until('the program', lambda: open(f'/proc/{p.pid}/comm').read() == 'sleep\n')
    p.signal(signal.SIGTERM)
    lib.eq(p.p.wait(lib.LIMIT), -signal.SIGTERM, 'a signal to the pid that was started')
    # what was ignored stays ignored, what was blocked stays blocked
    shown = run(net, 'grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status').stdout
    plain = subprocess.run(['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'], capture_output=True, text=True)
    lib.eq(shown, plain.stdout, 'signal masks')


def test_in_place(net):
    """The program has the pid of berth run, and no helper process hangs around it."""
    setup(net)
    p = net.popen('web', ['sh', '-c', 'echo $$ $PPID'])
    lib.eq(p.line().split(), [str(p.pid), str(os.getpid())])
    p.done()


def test_streams_and_place(net):
    setup(net)
    lib.eq(run(net, 'sh', '-c', 'cat; echo err >&2; pwd', input='in\n', cwd='/usr').stdout, 'in\n/usr\n')
    lib.eq(run(net, 'sh', '-c', 'echo err >&2').stderr, 'err\n', 'nothing but its own error output')
    lib.eq(run(net, 'sh', '-c', 'echo "$A|$0|$1|$2"', 'name', '', 'b c', env={**os.environ, 'A': 'x y'}).stdout,
           'x y|name||b c\n', 'arguments and environment')
    lib.eq(run(net, 'ls', '/proc/self/fd').stdout.split()[:4], ['0', '1', '2', '3'], 'low descriptors')
    lib.eq(run(net, 'sh', '-c', 'exec 3>&-; ls /proc/self/fd; ulimit -n').stdout.split()[:4],
           ['0', '1', '2', '3'], 'low descriptors')


def test_dashes(net):
    """With and without --; the program's own options are its own."""
    setup(net)
    base = [lib.BERTH, 'run', '--network', net.name, '--host', 'web', '--ip', '192.168.1.100']
    echo = ['sh', '-c', 'echo "$@"', 'sh']
    for dashes, own in ((['--'], ['--help']), ([], ['--help']), ([], ['--host', 'x', '--'])):
        p = subprocess.run(base + dashes + echo + own, capture_output=True, text=True, timeout=lib.LIMIT)
        lib.eq((p.returncode, p.stdout), (0, ' '.join(own) + '\n'))


def test_network_from_environment(net):
    setup(net)
    p = subprocess.Popen([lib.BERTH, 'run', '--host', 'env', 'sleep', '60'],
                         env={**os.environ, 'BERTH_NETWORK': net.name})
    try:
        lib.until('the host', lambda: 'env' in net.berth('hosts', status=None)[0])
    finally:
        p.kill()
        p.wait()


def test_host_without_name_or_address(net):
    setup(net)
    base = [lib.BERTH, 'run', '--network', net.name]
    ask = 'import socket; s = socket.socket(); s.bind(("", 80)); s.listen(); print(s.getsockname())'
    one = subprocess.run([*base, lib.PY, '-c', ask], capture_output=True, text=True, timeout=lib.LIMIT)
    lib.eq((one.returncode, one.stdout), (0, "('0.0.0.0', 80)\n"), one.stderr)


def test_down(net):
    """Refuses while programs run, ends the network when forced."""
    setup(net)
    p = net.popen('web', ['sleep', '60'])
    lib.until('the host', lambda: 'web' in net.berth('hosts', status=None)[0])
    pid = net.daemon_pid()
    out, err = net.berth('down', status=None)
    assert os.path.exists(f'/proc/{pid}'), 'berth down ended a network with a running program'
    assert err.strip(), 'a refused berth down says why'
    net.berth('down', '--force')
    lib.until('the end of berthd', lambda: not os.path.exists(f'/proc/{pid}') or
              open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] == 'Z')
    p.kill()


def test_start_cost(net):
    """What berth run adds to a program's start: printed; promised are 10 ms."""
    import time
    setup(net)
    keep = net.popen('web', ['sleep', '60'])
    times = {}
    for name, argv in (('plain', ['true']), ('berth', net.argv('web', ['true']))):
        taken = []
        for _ in range(20):
            start = time.monotonic()
            subprocess.run(argv, check=True)
            taken.append(time.monotonic() - start)
        times[name] = sorted(taken)[10] * 1000
    keep.kill()
    return f'{times["berth"] - times["plain"]:.1f} ms more than the {times["plain"]:.1f} ms without'


if __name__ == '__main__':
    lib.main()

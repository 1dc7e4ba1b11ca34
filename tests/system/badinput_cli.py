# SPDX-License-Identifier: Apache-2.0
"""What the command line answers to nonsense: one sentence on the error output and a status, never a crash."""
import os
import shutil
import struct
import subprocess

import lib


def refused(net, *argv, status=None, says=(), env=None):
    """berth ARGV must fail, print nothing, and say why in one line that names what is wrong."""
    p = subprocess.run([lib.BERTH, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=lib.LIMIT, env={**os.environ, 'BERTH_NETWORK': net.name, **(env or {})})
    what = f'berth {" ".join(argv)[:80]}: status {p.returncode}, {p.stdout!r}, {p.stderr!r}'
    assert 0 < p.returncode < 128, what + ': a failure is wanted'
    if status is not None:
        assert p.returncode == status, what + f': status {status} is wanted'
    lib.eq(p.stdout, '', what)
    lib.eq(len(p.stderr.splitlines()), 1, what + ': one line is wanted')
    for text in (says,) if isinstance(says, str) else says:
        assert text in p.stderr, what + f': {text!r} is not in it'


def test_options(net):
    lib.berth_only('berth')
    refused(net)
    refused(net, 'nonsense', says='nonsense')
    refused(net, '--nonsense', says='--nonsense')
    for command in ('run', 'ss', 'hosts', 'down'):
        refused(net, command, '--nonsense', says='--nonsense')
    refused(net, 'run')
    refused(net, 'run', '--')
    refused(net, 'run', '--host')
    refused(net, 'run', '--ip')
    refused(net, 'ss', '-Z')
    refused(net, 'ss', '--host', 'nobody')
    refused(net, 'hosts', 'too', 'much')


def test_addresses(net):
    lib.berth_only('berth')
    for address in ('', 'x', '1.2.3', '1.2.3.4.5', '999.1.1.1', '1.2.3.4/33', '1.2.3.4/-1', '1.2.3.4/x', '1.2.3.4/',
                    '0.0.0.0', '127.0.0.1', '255.255.255.255', '224.0.0.1', '1.2.3.4 ', '01.2.3.4x', '::g'):
        refused(net, 'run', '--host', 'web', '--ip', address, '--', 'true')
    refused(net, 'run', '--host', 'web', *sum((['--ip', f'10.0.0.{i}'] for i in range(1, 20)), []), '--', 'true')


def test_names(net):
    lib.berth_only('berth')
    for name in ('', 'a b', 'x' * 64, 'x' * 5000, 'a/b', '-x', 'a\nb', 'localhost', '1.2.3.4'):
        refused(net, 'run', '--host', name, '--', 'true')
    for name in ('', '.hidden', '../up', 'a/b', 'x' * 33, 'a b', 'a\nb'):
        for command in (['run', '--network', name, '--', 'true'], ['ss', '--network', name],
                        ['hosts', '--network', name]):
            refused(net, *command)
    refused(net, 'hosts', env={'BERTH_NETWORK': '../up'})


def test_programs(net):
    lib.berth_only('berth')
    work = os.environ['TMPDIR']
    plain, script, empty = (os.path.join(work, n) for n in ('plain', 'script', 'empty'))
    for path, text in ((plain, 'text'), (script, '#!/no/such/interpreter\n'), (empty, '')):
        with open(path, 'w') as f:
            f.write(text)
    run = ['run', '--host', 'web', '--']
    refused(net, *run, '/no/such/program', status=127, says='/no/such/program')
    refused(net, *run, 'no-such-program', status=127, says='no-such-program')
    refused(net, *run, '', status=127)
    refused(net, *run, '/', status=126)
    refused(net, *run, plain, status=126, says=plain)
    os.chmod(script, 0o755)
    refused(net, *run, script, says='/no/such/interpreter')


def static(path):
    """Has the ELF file no interpreter (program header 3, PT_INTERP)?"""
    with open(path, 'rb') as f:
        data = f.read()
    start, = struct.unpack_from('<Q', data, 32)
    size, count = struct.unpack_from('<HH', data, 54)
    return data[:5] == b'\x7fELF\2' and 3 not in [struct.unpack_from('<I', data, start + i * size)[0]
                                                for i in range(count)]


def test_static_program(net):
    lib.berth_only('berth')
    for path in ('/sbin/ldconfig', '/bin/busybox'):
        if os.path.exists(path) and static(path):
            break
    else:
        raise lib.Skip('no static program here')
    refused(net, 'run', '--host', 'web', '--', path, '-p', status=126, says=(path, 'static'))
    script = os.path.join(os.environ['TMPDIR'], 'static-script')
    with open(script, 'w') as f:
        f.write(f'#!{path}\n')
    os.chmod(script, 0o755)
    refused(net, 'run', '--host', 'web', '--', script, status=126, says='static')


def test_address_of_another_host(net):
    lib.berth_only('berth')
    net.host('web', '192.168.1.100')
    keep = net.popen('web', ['sleep', '60'])
    lib.until('the host', lambda: 'web' in net.berth('hosts', status=None)[0])
    refused(net, 'run', '--host', 'other', '--ip', '192.168.1.100', '--', 'true', says=('192.168.1.100', 'web'))
    keep.kill()


def test_runtime_directory(net):
    lib.berth_only('berth')
    work = os.environ['TMPDIR']
    a_file = os.path.join(work, 'a-file')
    open(a_file, 'w').close()
    readable = os.path.join(work, 'readable')
    os.mkdir(readable, 0o755)
    os.chmod(readable, 0o777)
    for place in (a_file, a_file + '/below'):
        refused(net, 'run', '--host', 'web', '--', 'true', env={'BERTH_RUNTIME_DIR': place})
    p = subprocess.run([lib.BERTH, 'run', '--host', 'web', '--', 'true'], capture_output=True, text=True,
                       timeout=lib.LIMIT, env={**os.environ, 'BERTH_RUNTIME_DIR': readable})
    if p.returncode == 0:  # allowed if it was made private
        lib.eq(os.stat(os.path.join(readable, 'default')).st_mode & 0o077, 0, 'mode of the network directory')
    if lib.real_root():
        foreign = os.path.join(work, 'foreign')
        os.mkdir(foreign, 0o700)
        os.chown(foreign, 65534, 65534)
        refused(net, 'run', '--host', 'web', '--', 'true', env={'BERTH_RUNTIME_DIR': foreign})


def test_broken_installation(net):
    """berth without its daemon or its library says which is missing."""
    lib.berth_only('berth')
    alone = os.path.join(os.environ['TMPDIR'], 'alone')
    os.mkdir(alone)
    shutil.copy(lib.BERTH, alone)
    p = subprocess.run([os.path.join(alone, 'berth'), 'run', '--', 'true'], capture_output=True, text=True,
                       timeout=lib.LIMIT)
    assert p.returncode == 125 and len(p.stderr.splitlines()) == 1, p
    assert 'berthd' in p.stderr or 'preload' in p.stderr, p.stderr


if __name__ == '__main__':
    lib.main()

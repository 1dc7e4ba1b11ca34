# SPDX-License-Identifier: Apache-2.0
"""Settings of a host against the kernel's: every text of a list is written to every setting on both sides, and
what the write says and what a read then gives must be equal. And a setting does what it says, for its host alone."""
import errno
import os
import socket
import subprocess
import sys

import control
import lib

NAMES = ('net/ipv4/ip_local_port_range', 'net/ipv4/ip_local_reserved_ports', 'net/ipv4/ip_unprivileged_port_start',
         'net/ipv4/ip_autobind_reuse', 'net/ipv4/ip_nonlocal_bind', 'net/ipv4/tcp_fin_timeout', 'net/ipv4/tcp_tw_reuse',
         'net/ipv4/tcp_tw_reuse_delay', 'net/ipv4/tcp_max_tw_buckets', 'net/ipv6/ip_nonlocal_bind',
         'net/ipv6/bindv6only', 'net/core/somaxconn')
TEXTS = ('\n', '0', '1', '2', '3', '-1', '-', '--1', '5 6', '5 abc', 'abc', '5abc', ' 7\n', '\t 8 \n', '0x10', '0x', '0xg',
         '010', '08', '256', '255', '65535', '65536', '99999999999', '99999999999999999999999', '1\n2', '+3', '1,2', '60000',
         '60001', '10000 65535', '65535 10000', '1023 2000', '1024 65535', '2000', '0 100', '1 70000',
         '10000\t20000\t30000', '10000,20000', '8080', '8080,9090-9092', '9092-9090', '8080 9090', '1-', '-5', '70000',
         '8080,8081,8080-8090\n', ',', '80,,81', '80,', '80-81-82', '0-65535', '1.5', '2147483647', '2147483648',
         '-2147483648', '20000 20000', '32768 60999', ' ', '100\n\n')
BEFORE = 'net/ipv4/ip_unprivileged_port_start'


class Kernel:
    """A fresh network namespace, where this process is then."""

    def write(self, name, text):
        try:
            fd = os.open('/proc/sys/' + name, os.O_WRONLY)
            try:
                return os.write(fd, text.encode())
            finally:
                os.close(fd)
        except OSError as e:
            return errno.errorcode[e.errno]

    def read(self, name):
        try:
            with open('/proc/sys/' + name) as f:
                return f.read()
        except FileNotFoundError:
            return None


class Berth:
    def __init__(self, netid, host):
        self.control, self.host = control.Control(netid), host
        lib.eq(self.control.hello()[0], 0, 'hello')

    def write(self, name, text):
        err, value, _ = self.control.call(control.SYSCTL, name.encode() + b'\0' + text.encode(), flags=control.WRITE,
                                          value=self.host)
        return errno.errorcode[err] if err else value

    def read(self, name):
        err, _, extra = self.control.call(control.SYSCTL, name.encode(), value=self.host)
        return None if err else extra.decode()


def transcript(side):
    lines = []
    for name in NAMES:
        if name == 'net/ipv4/tcp_max_tw_buckets':  # Linux goes by the memory there is
            side.write(name, '262144')
        before = side.read(name)
        if before is None:
            lines += [None] * (len(TEXTS) + 1)  # an older kernel
            continue
        lines.append(f'{name}: {before!r}')
        for text in TEXTS:
            lines.append(f'{name} {text!r}: {side.write(name, text)!r}, {side.read(name)!r}')
            side.write(name, before)
    # the two that look at each other
    for name, text in ((BEFORE, '2000'), (NAMES[0], '1500 3000'), (NAMES[0], '2000 3000'), (BEFORE, '2001'),
                       (BEFORE, '1024')):
        lines.append(f'{name} {text!r}: {side.write(name, text)!r}, {side.read(name)!r}')
    return lines


def kernel_transcript():
    """In a network namespace, where one may be made and the settings may be written."""
    code = ('import json, sys; sys.path.insert(0, sys.argv[1]); import settings as s; '
            'print(json.dumps(s.transcript(s.Kernel())))')
    command = ['unshare', '-n'] if os.geteuid() == 0 else ['unshare', '-rn']
    p = subprocess.run([*command, lib.PY, '-c', code, lib.HERE], capture_output=True, text=True, timeout=lib.LIMIT)
    if p.returncode != 0:
        raise lib.Skip('no network namespace: ' + p.stderr.strip()[-200:])
    lines = lib.json.loads(p.stdout)
    if any(line and "'EACCES'" in line or line and "'EROFS'" in line for line in lines):
        raise lib.Skip("the kernel's settings may not be written here")
    return lines


def stay():
    lib.say('here')
    lib.hear()


def test_as_the_kernel(net):
    lib.berth_only('compares both')
    for name in ('a', 'b'):
        net.host(name, f'10.0.0.{ord(name)}')
        net.part(name, stay).get()
    other, side = (Berth(net.netid(), host) for host in (0, 1))
    before = [other.read(name) for name in NAMES]
    wanted, got = kernel_transcript(), transcript(side)
    differ = [f'kernel {w}\n  berth  {g}' for w, g in zip(wanted, got, strict=True) if w is not None and w != g]
    assert not differ, '\n  '.join(differ[:20])
    lib.eq([other.read(name) for name in NAMES], before, "the other host's settings")
    lib.eq(side.read('net/ipv4/tcp_syn_retries'), None, "what is not a host's own")
    return f'{len(got)} writes'


lib.main()

# SPDX-License-Identifier: Apache-2.0
"""The programs that the reference chapter prints, cut out of its text as bytes."""
import os
import re

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                    'tests/system/data/ports-and-sockets.txt')


def _between(before, after):
    with open(FILE, 'rb') as f:
        text = f.read()
    start = text.index(before) + len(before)
    return text[start:text.index(after, start)]


def server():
    return _between(b'\nTCP Server\n\n', b'\n\nTCP Client\n') + b'\n'


def client():
    return _between(b'\nTCP Client\n\n', b'\n\nThe Socket Lifecycle\n') + b'\n'


def port_zero():
    """The snippet of "Port 0"; server_socket is a fresh TCP socket there."""
    return _between(b'\nPort 0\n\nBinding to port 0 asks the OS to assign any available port:\n\n',
                    b'\n\nReserved Ports') + b'\n'


def reserved_port():
    """The command of "Reserved Ports", which an unprivileged user types."""
    return _between(b'require root privileges:\n\n$ ', b'\n').decode()


def port_ranges():
    """The rows of "Port Ranges" that have a name: (first, last, name)."""
    rows = _between(b'\nRangeNamePurpose\n', b'\n\nCommon').decode().split('\n')
    found = [re.match(r'(\d+)-(\d+)([A-Z][a-z]+(?:-Known|/Private)?)', row) for row in rows]
    return [(int(m[1]), int(m[2]), m[3]) for m in found]


def common_ports():
    """The rows of "Common Well-Known Ports": (ports, protocols, service)."""
    rows = _between(b'\nCommon Well-Known Ports\n\n', b'\n\nHow Ports').decode().split('\n')[2:]
    found = [re.match(r'(\S+) +(\S+) +(.*)', row) for row in rows]
    return [([int(p) for p in m[1].split('/')], m[2].lower().split('/'), m[3]) for m in found]

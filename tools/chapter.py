# SPDX-License-Identifier: Apache-2.0
"""The programs that the reference chapter prints, cut out of its text as bytes."""
import os

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

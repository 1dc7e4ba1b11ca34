# SPDX-License-Identifier: Apache-2.0
"""Speaks to berthd's control socket byte by byte (proto/msg.h), as a hostile program would."""
import os
import re
import socket
import struct

import lib

MESSAGES = lib.header_enum('msg.h', 'bt_msg_type')
for _name, _number in MESSAGES.items():  # BT_HELLO is control.HELLO
    globals()[_name.removeprefix('BT_')] = _number
SOLE, UNSPEC, WANT_REPLY, FORCE, ROOT, WRITE = 1, 2, 4, 8, 16, 32
VERSION = 4  # BT_MSG_VERSION
NONE = 0xffffffff

REQUEST = struct.Struct('=BBHI IIQ BBHHH 16s IIII')
REPLY = struct.Struct('=BBHIiI IIQ IIQ 16s HHI')
assert (REQUEST.size, REPLY.size) == (64, 72)


def request(kind, extra=b'', *, version=VERSION, flags=0, serial=1, ident=(NONE, 0, 0), proto=6, family=4, opts=0,
            port=0, addr=b'', value=0, uid=0,
            extra_said=None):
    said = len(extra) if extra_said is None else extra_said
    return REQUEST.pack(version, kind, flags, serial, *ident, proto, family, opts, port, 0,
                        addr.ljust(16, b'\0'), value, said, uid, 0) + extra


class Control:
    def __init__(self, netid):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.settimeout(30)
        self.s.connect(b'\0berth/' + netid.encode() + b'/ctl')

    def send(self, packet):
        self.s.send(packet)

    def reply(self):
        """(err, value, extra) of the next reply, None if berthd closed the connection."""
        try:
            data, fds, _, _ = socket.recv_fds(self.s, 1 << 17, 4)
        except ConnectionResetError:
            return None
        for fd in fds:
            os.close(fd)
        if not data:
            return None
        fields = REPLY.unpack(data[:72])
        return fields[4], fields[5], data[72:]

    def call(self, kind, extra=b'', **fields):
        self.send(request(kind, extra, **fields))
        return self.reply()

    def hello(self, token=b''):
        return self.call(HELLO, token)

    def close(self):
        self.s.close()


def unix_names(netid):
    """Sockets of the network that /proc/net/unix shows to everyone: [(name, ident, listens, type)]."""
    found = []
    with open('/proc/net/unix') as f:
        for line in f:
            words = line.split()
            if len(words) < 8 or not words[7].startswith(f'@berth/{netid}/'):
                continue
            m = re.fullmatch(r'([0-9a-f]{8})\.([0-9a-f]{8})\.([0-9a-f]{16})', words[7].split('/')[-1])
            if m:
                ident = tuple(int(x, 16) for x in m.groups())
                found.append((b'\0' + words[7][1:].encode(), ident, words[3] == '00010000', int(words[4], 16)))
    return found

/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's AF_UNIX sockets that carry names of one network (NETLINK_SOCK_DIAG, unix_diag). */
#ifndef BERTH_PROTO_DIAG_H
#define BERTH_PROTO_DIAG_H

#include "name.h"

struct bt_diag {
	uint32_t ino, peer_ino; /* peer_ino 0: none, or not accepted yet, or gone */
	uint32_t rqueue;	/* BT_DIAG_RQUEUE: bytes to read, or connections to accept */
	uint32_t uid;		/* BT_DIAG_RQUEUE: whose it is; UINT32_MAX: before Linux 5.3 */
	uint8_t type;		/* SOCK_STREAM, ... */
	uint8_t state;		/* TCP_LISTEN, TCP_ESTABLISHED, TCP_CLOSE */
	uint8_t shutdown;	/* 1: for reading, 2: for writing */
	bool connected : 1;	/* it has a peer, which may be gone */
	bool far : 1;		/* berthd's, in the place of the other end of the socket named */
	bool taken : 1;		/* the caller's own; false */
	/* The name it is bound to. An accepted end has its listener's. */
	struct bt_ident id;
};

/* What each socket is to tell besides; a queue costs a message of its length. */
enum { BT_DIAG_RQUEUE = 1 << 0, BT_DIAG_QUEUE = 1 << 1 };

/* The kernel fills a datagram of what the last read offered, up to 32 kB. */
enum { BT_DIAG_BYTES = 64 * 1024 };

struct bt_diag_dump {
	/* Of the socket last told, if it listens: the inodes of the clients that wait, 0 for one
	 * that has closed already. Valid until the next call. */
	const uint32_t *queue;
	uint32_t n_queue;
	/* Private. */
	char *buf;
	size_t at, n;
	uint64_t netid;
	int fd;
};

/* Asks for the sockets in `states` (bits 1 << TCP_...), with `more` of BT_DIAG_*. buf:
 * BT_DIAG_BYTES, aligned as uint32_t, the caller's, in use until bt_diag_end. 0 or -errno; end also
 * after an error. */
int bt_diag_begin(struct bt_diag_dump *d, void *buf, uint64_t netid, uint32_t states,
		  unsigned more);
/* 1: *s is the next socket; 0: that was the last; -errno. */
int bt_diag_next(struct bt_diag_dump *d, struct bt_diag *s);
void bt_diag_end(struct bt_diag_dump *d);

#endif

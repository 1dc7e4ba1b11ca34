/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's AF_UNIX sockets that carry names of one network (NETLINK_SOCK_DIAG). */
#ifndef BERTH_VIEW_DIAG_H
#define BERTH_VIEW_DIAG_H

#include "buf.h"
#include "name.h"

struct bt_diag {
	uint32_t ino, peer_ino; /* peer_ino 0: none, or not accepted yet, or gone */
	uint32_t rqueue;	/* bytes to read; of a listener: connections to accept */
	uint8_t state;		/* TCP_LISTEN, TCP_ESTABLISHED, TCP_CLOSE */
	bool taken;
	/* The name it is bound to. An accepted end has its listener's. */
	struct bt_ident id;
};

struct bt_diags {
	struct bt_buf mem;
	struct bt_diag *list; /* in mem */
	size_t n;
};

/* Asks for the sockets in `states` (bits 1 << TCP_...). 0 or -errno; done also after an error. */
int bt_diag_dump(struct bt_diags *d, uint64_t netid, uint32_t states);
void bt_diag_done(struct bt_diags *d);

#endif

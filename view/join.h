/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins rows of the socket table with the kernel's sockets: which inode a row is, and what waits in
 * it.
 *
 * A socket with a name of its own is found by that name. The accepted end of a connection has its
 * listener's name; it is the socket whose peer is the other end's. When the other end is closed,
 * the kernel tells no more than the listener: such ends are handed to the rows of that listener in
 * order, which names the right process, and the right descriptors as a set.
 */
#ifndef BERTH_VIEW_JOIN_H
#define BERTH_VIEW_JOIN_H

#include "diags.h"
#include "table.h"

#include <stddef.h>

#define BT_PROTO_TCP 6
#define BT_PROTO_UDP 17

/* One past the last slot worth reading. */
static inline uint32_t bt_rows_end(const struct bt_table *t)
{
	uint32_t end = atomic_load_explicit(&t->high_water, memory_order_acquire);
	return end < t->capacity ? end : t->capacity;
}

/* A socket as ss means it: one without a port is in none of the kernel's lists, so not in ours. */
static inline bool bt_row_listed(const struct bt_row *r)
{
	if (r->state == BT_ROW_FREE || r->state > BT_ROW_CLOSING)
		return false;
	if ((r->flags & BT_ROWF_ALIAS) || (r->proto != BT_PROTO_TCP && r->proto != BT_PROTO_UDP))
		return false;
	return r->state != BT_ROW_CLOSE || bt_row_port(r) != 0;
}

struct bt_sock {
	uint32_t slot;
	uint32_t ino;	/* 0: not known, or none */
	uint32_t recvq; /* bytes, or a listener's waiting connections */
	struct bt_row row;
};

struct bt_socks {
	struct bt_sock *list;
	size_t n, room;
};

/* Which of the kernel's states (bits for bt_diags_read) rows in these states (bits 1 << BT_ROW_...)
 * are in: a list of listeners should not cost 100,000 connections. */
uint32_t bt_socks_states(uint32_t rows);
/* The same as below with what bt_diags_read has told before the rows were read; ends *d. */
int bt_socks_join_with(const struct bt_table *t, struct bt_diags *d, struct bt_socks *s);
/* Fills in ino and recvq. 0, or -errno when the kernel does not tell (then they stay 0). */
int bt_socks_join(const struct bt_table *t, uint64_t netid, struct bt_socks *s);

#endif

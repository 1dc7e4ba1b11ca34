/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inbox: a program's notices without a system call. A wake-up of berthd costs two context
 * switches, and a busy program closes thousands of sockets a second; what nobody waits for need not
 * wake anybody.
 *
 * The ring is a sealed memfd of the program's, which berthd maps read-only (BT_INBOX brings it).
 * How far berthd has read, and whether it looks by itself, is in the table, which programs map
 * read-only: nobody can write what another reads its own state from.
 *
 * While `hot`, berthd looks into the ring at every request of anybody and at least every 2 ms; else
 * the program knocks (BT_KNOCK) after writing. Entries carry the time, and berthd takes those of
 * all rings in its order, so that of two ends that close at nearly the same time the first is the
 * first.
 */
#ifndef BERTH_PROTO_INBOX_H
#define BERTH_PROTO_INBOX_H

#include "name.h"

#include <stdatomic.h>
#include <stdint.h>

#define BT_INBOX_ENTRIES 128u /* a power of two */
#define BT_INBOX_BYTES	 8192u

struct bt_inbox_entry {
	struct bt_ident id;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint8_t type;	  /* BT_CLOSED or BT_SHUT */
	uint8_t flags;	  /* enum bt_req_flag */
	uint16_t pad;
	uint32_t value;
};

struct bt_inbox {
	_Atomic uint32_t head; /* entries written since the beginning */
	uint32_t pad[15];
	struct bt_inbox_entry entries[BT_INBOX_ENTRIES];
};

_Static_assert(sizeof(struct bt_inbox_entry) == 32, "the ring's format");
_Static_assert(sizeof(struct bt_inbox) <= BT_INBOX_BYTES, "the ring's size");

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has happened to sockets, and which calls were refused and why: two rings behind the rows of
 * the socket table. berthd writes, everybody who may map the table reads; a reader that is too slow
 * misses what was overwritten, and can tell by the numbers.
 */
#ifndef BERTH_PROTO_EVENTS_H
#define BERTH_PROTO_EVENTS_H

#include "msg.h"

enum bt_event_kind {
	BT_EVENT_BIND = 1,
	BT_EVENT_LISTEN,
	BT_EVENT_CONNECT,
	BT_EVENT_ACCEPT, /* a connection is in the listener's queue */
	BT_EVENT_CLOSE,	 /* nobody holds it any more */
};

/* A socket as it was then. */
struct bt_event_end {
	uint8_t laddr[16], raddr[16];
	uint16_t lport, rport, host, opts; /* enum bt_port_opt */
	uint32_t slot, gen, uid;	   /* slot UINT32_MAX: none */
	int32_t pid;
	uint32_t since_s; /* as in the row */
	uint8_t proto, family, state, pad;
	char program[16]; /* its name when it joined, not always ended by NUL; empty: not known */
};

struct bt_event {
	_Atomic uint64_t number; /* 1 for the first; 0 while it is written */
	uint64_t realtime_ns;
	uint32_t kind; /* enum bt_event_kind */
	uint32_t pad;
	struct bt_event_end of;
};

struct bt_refusal {
	_Atomic uint64_t number;
	uint64_t realtime_ns;
	uint32_t call; /* BT_BIND, BT_LISTEN_ON, BT_CONNECT, BT_UDP_CONNECT or (filtered)
			* BT_UDP_ROUTE */
	int32_t err;   /* the errno; of what a filter lets nobody know, ETIMEDOUT */
	uint32_t why;  /* enum bt_why */
	uint32_t pad;
	uint64_t frees_ns;	     /* CLOCK_MONOTONIC; 0: not by itself */
	struct bt_event_end of;	     /* with the addresses that were asked for */
	struct bt_event_end by;	     /* whose socket is in the way; slot UINT32_MAX: nobody's */
	struct bt_filtered filtered; /* with BT_WHY_FILTERED: by what */
};

_Static_assert(sizeof(struct bt_event) == 104 && sizeof(struct bt_refusal) == 256,
	       "the table's format");
_Static_assert(sizeof(struct bt_event) * BT_EVENTS <= BT_EVENTS_BYTES &&
		       sizeof(struct bt_refusal) * BT_REFUSALS <= BT_REFUSALS_BYTES,
	       "the rings have room");

static inline struct bt_event *bt_table_event(const struct bt_table *t, uint64_t number)
{
	return (struct bt_event *)((uintptr_t)t + BT_EVENTS_OFFSET) + (number - 1) % BT_EVENTS;
}

static inline struct bt_refusal *bt_table_refusal(const struct bt_table *t, uint64_t number)
{
	return (struct bt_refusal *)((uintptr_t)t + BT_REFUSALS_OFFSET) +
	       (number - 1) % BT_REFUSALS;
}

/* A copy of the entry with this number (1 to the table's n_events); false: it is overwritten. */
static inline bool bt_event_read(const struct bt_table *t, uint64_t number, struct bt_event *out)
{
	struct bt_event *e = bt_table_event(t, number);
	if (atomic_load_explicit(&e->number, memory_order_acquire) != number)
		return false;
	memcpy((void *)out, (const void *)e, sizeof(*out));
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&e->number, memory_order_relaxed) == number;
}

static inline bool bt_refusal_read(const struct bt_table *t, uint64_t number,
				   struct bt_refusal *out)
{
	struct bt_refusal *e = bt_table_refusal(t, number);
	if (atomic_load_explicit(&e->number, memory_order_acquire) != number)
		return false;
	memcpy((void *)out, (const void *)e, sizeof(*out));
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&e->number, memory_order_relaxed) == number;
}

#endif

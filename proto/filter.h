/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts' packet filters, behind the rings of events in the socket table's file: berthd writes
 * and counts, everybody who may map the table reads. A filter is changed in the list that is not in
 * use, so that it is whole whenever berthd ends.
 */
#ifndef BERTH_PROTO_FILTER_H
#define BERTH_PROTO_FILTER_H

#include "../lib/filter/filter.h"
#include "table.h"

struct bt_filter_row {
	_Atomic uint32_t seq;	 /* changes: odd while one is made */
	_Atomic uint32_t active; /* of the two; no other value */
	struct bt_filter lists[2];
};
_Static_assert(sizeof(struct bt_filter_row) <= BT_FILTER_BYTES, "the table's format");

static inline struct bt_filter_row *bt_table_filter(const struct bt_table *t, uint32_t host)
{
	return (struct bt_filter_row *)((uintptr_t)t + BT_FILTERS_OFFSET +
					(uintptr_t)host * BT_FILTER_BYTES);
}

/* A consistent copy of a host's filter, but for counters, which go on; false: no such host, or it
 * kept changing. */
static inline bool bt_filter_read(const struct bt_table *t, uint32_t host, struct bt_filter *out)
{
	if (host >= BT_MAX_HOSTS)
		return false;
	const struct bt_filter_row *r = bt_table_filter(t, host);
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t before = atomic_load_explicit(&r->seq, memory_order_acquire);
		uint32_t active = atomic_load_explicit(&r->active, memory_order_relaxed) & 1;
		if (before & 1)
			continue;
		memcpy(out, &r->lists[active], sizeof(*out));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&r->seq, memory_order_relaxed) == before)
			return out->n <= BT_FILTER_RULES;
	}
	return false;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a hierarchical timing wheel (Varghese and Lauck 1987) of 1 ns. Setting and clearing are
 * O(1); a timer is part of what it belongs to. All that happens later in an engine is in its one
 * wheel; after bt_wheel_expired(now) has said NULL, bt_wheel_deadline() > now.
 */
#ifndef BERTH_LIB_BASE_WHEEL_H
#define BERTH_LIB_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct bt_timer {
	struct bt_timer *next, **prev; /* prev NULL: not set */
	uint64_t at_ns;
	uint64_t filed_ns; /* the wheel's own: at_ns, or earlier after it was moved to later */
};

struct bt_wheel;
struct bt_wheel *bt_wheel_new(uint64_t now_ns); /* NULL: out of memory */
void bt_wheel_free(struct bt_wheel *w);
/* Sets or moves a timer, which is zeroed before its first use. A time that has passed is due at
 * once. Moving to a later time costs a store. */
void bt_wheel_set(struct bt_wheel *w, struct bt_timer *t, uint64_t at_ns);
void bt_wheel_clear(struct bt_wheel *w, struct bt_timer *t); /* nothing if not set */
static inline bool bt_timer_is_set(const struct bt_timer *t)
{
	return t->prev != 0;
}
/* A timer that is due by now_ns, cleared, in order of time (those of one time, or set for a time
 * that had passed, in any order), or NULL. An earlier now_ns counts as the latest seen. */
struct bt_timer *bt_wheel_expired(struct bt_wheel *w, uint64_t now_ns);
/* When the next timer is due: exact, or earlier (never later, never <= the last now_ns for which
 * bt_wheel_expired said NULL); UINT64_MAX: none is set. */
uint64_t bt_wheel_deadline(const struct bt_wheel *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A level for each six bits of the time, with 64 slots each. A timer lies at the level of the
 * highest bits in which its time differs from `base`, in the slot that those six bits name. So all
 * timers of a level are later than all of the levels below it, and later slots are later times: the
 * earliest timer is in the first used slot of the lowest used level. When that is not at level 0
 * and its time comes, base moves to the slot's beginning, and its timers to lower levels.
 *
 * Each slot keeps the earliest time that was filed in it, which a removal leaves: the deadline is
 * read there, and no timer has to move down before one of its slot is due.
 *
 * A timer that is moved to a later time stays where it is filed, and is filed anew when it comes up
 * there. A connection that re-arms its timer with each segment pays one store for it.
 *
 * Invariants: base <= the time that each timer is filed under, or that timer is in base's own slot
 * at level 0; filed_ns <= at_ns; the slot's earliest <= filed_ns of each timer in it.
 */
#include "wheel.h"

#include <stdlib.h>

#define LEVELS 11 /* of 6 bits: 64 bits and 2 more */
#define SLOTS  64

struct bt_wheel {
	uint64_t base;
	uint32_t levels;       /* bit l: level l has a timer */
	uint64_t used[LEVELS]; /* bit i: slot i has a timer */
	struct bt_timer *heads[LEVELS * SLOTS];
	uint64_t earliest[LEVELS * SLOTS]; /* meaningless in an empty slot */
};

struct bt_wheel *bt_wheel_new(uint64_t now_ns)
{
	struct bt_wheel *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->base = now_ns;
	return w;
}

void bt_wheel_free(struct bt_wheel *w)
{
	free(w);
}

static inline unsigned lowest(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

/* The first used slot; there must be one. */
static inline unsigned first_slot(const struct bt_wheel *w)
{
	unsigned level = lowest(w->levels);

	return level * SLOTS + lowest(w->used[level]);
}

static inline void link_timer(struct bt_wheel *w, struct bt_timer *t)
{
	uint64_t at = t->at_ns < w->base ? w->base : t->at_ns;
	unsigned high = 63 - (unsigned)__builtin_clzll((at ^ w->base) | 1), level = high / 6;
	unsigned index = (unsigned)(at >> (level * 6)) % SLOTS, slot = level * SLOTS + index;
	struct bt_timer *next = w->heads[slot];

	if (next == NULL || t->at_ns < w->earliest[slot])
		w->earliest[slot] = t->at_ns;
	w->levels |= 1u << level;
	w->used[level] |= 1ull << index;
	t->filed_ns = t->at_ns;
	t->next = next;
	t->prev = &w->heads[slot];
	if (next != NULL)
		next->prev = &t->next;
	w->heads[slot] = t;
}

static inline void slot_emptied(struct bt_wheel *w, size_t slot)
{
	size_t level = slot / SLOTS;

	w->used[level] &= ~(1ull << (slot % SLOTS));
	if (w->used[level] == 0)
		w->levels &= ~(1u << level);
}

static inline void unlink_timer(struct bt_wheel *w, struct bt_timer *t)
{
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else if (t->prev >= w->heads && t->prev < w->heads + LEVELS * SLOTS)
		slot_emptied(w, (size_t)(t->prev - w->heads));
	t->prev = NULL;
}

void bt_wheel_set(struct bt_wheel *w, struct bt_timer *t, uint64_t at_ns)
{
	bool set = bt_timer_is_set(t);

	t->at_ns = at_ns;
	if (set) {
		if (at_ns >= t->filed_ns)
			return;
		unlink_timer(w, t);
	}
	link_timer(w, t);
}

void bt_wheel_clear(struct bt_wheel *w, struct bt_timer *t)
{
	if (bt_timer_is_set(t))
		unlink_timer(w, t);
}

static inline uint64_t slot_start(const struct bt_wheel *w, unsigned slot)
{
	unsigned shift = slot / SLOTS * 6;
	uint64_t above = shift + 6 < 64 ? w->base >> (shift + 6) << (shift + 6) : 0;

	return above | (uint64_t)(slot % SLOTS) << shift;
}

/* Moves base to the beginning of the first slot, which is not at level 0, and its timers down. */
static void cascade(struct bt_wheel *w, unsigned slot)
{
	struct bt_timer *t = w->heads[slot];

	w->base = slot_start(w, slot);
	w->heads[slot] = NULL;
	slot_emptied(w, slot);
	while (t != NULL) {
		struct bt_timer *next = t->next;

		link_timer(w, t);
		t = next;
	}
}

struct bt_timer *bt_wheel_expired(struct bt_wheel *w, uint64_t now_ns)
{
	if (now_ns < w->base)
		now_ns = w->base;
	while (w->levels != 0) {
		unsigned slot = first_slot(w);
		struct bt_timer *t = w->heads[slot];

		if (w->earliest[slot] > now_ns) {
			/* Short of the first slot, base may follow the time: nothing lies between.
			 */
			if (slot_start(w, slot) > now_ns)
				w->base = now_ns;
			return NULL;
		}
		if (slot >= SLOTS && t->next != NULL) {
			cascade(w, slot);
			continue;
		}
		unlink_timer(w, t); /* alone in its slot, or all of it are of one time */
		if (t->at_ns <= now_ns && t->at_ns == t->filed_ns)
			return t;
		/* It was moved to later, and others may be due before it; or only its slot's
		 * earliest, which is gone, was due. */
		link_timer(w, t);
	}
	w->base = now_ns;
	return NULL;
}

uint64_t bt_wheel_deadline(const struct bt_wheel *w)
{
	return w->levels == 0 ? UINT64_MAX : w->earliest[first_slot(w)];
}

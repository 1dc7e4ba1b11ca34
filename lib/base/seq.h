/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sequence numbers: a type of their own, compared modulo 2^32 (RFC 9293 3.4). */
#ifndef BERTH_LIB_BASE_SEQ_H
#define BERTH_LIB_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

struct bt_seq {
	uint32_t n;
};

static inline struct bt_seq bt_seq(uint32_t n)
{
	return (struct bt_seq){n};
}

static inline struct bt_seq bt_seq_add(struct bt_seq a, uint32_t n)
{
	return bt_seq(a.n + n);
}

/* How far b is ahead of a; negative: behind. */
static inline int32_t bt_seq_ahead(struct bt_seq a, struct bt_seq b)
{
	return (int32_t)(b.n - a.n);
}

static inline bool bt_seq_lt(struct bt_seq a, struct bt_seq b)
{
	return bt_seq_ahead(a, b) > 0;
}

static inline bool bt_seq_le(struct bt_seq a, struct bt_seq b)
{
	return bt_seq_ahead(a, b) >= 0;
}

static inline bool bt_seq_eq(struct bt_seq a, struct bt_seq b)
{
	return a.n == b.n;
}

#endif

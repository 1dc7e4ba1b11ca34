/* SPDX-License-Identifier: Apache-2.0 */
/* NewReno (RFC 5681, 6582) with appropriate byte counting (RFC 3465). */
#include "cc_modules.h"

uint32_t bt_reno_reduced(const struct bt_cc *c, uint32_t outstanding)
{
	return bt_max32(outstanding / 2, 2 * c->mss); /* RFC 5681 3.1 (4) */
}

void bt_reno_acked(struct bt_cc *c, const struct bt_cc_sample *s)
{
	/* RFC 9293 MUST-19 (RFC 5681 3.1). RFC 3465 2.3: two segments an ACK, one after a time-out
	 */
	uint32_t left = s->acked, l = c->phase == BT_CC_LOST ? 1 : 2;

	if (!bt_cc_limited(c))
		return;
	if (c->cwnd < c->ssthresh)
		left = bt_cc_slow_start(c, bt_min32(left, l * c->mss));
	/* RFC 3465 2.1: a segment for each cwnd of bytes, and one an ACK (what was sent before a
	 * time-out may all be acked at once) */
	c->reno.bytes += bt_min32(left, c->cwnd);
	if (c->reno.bytes >= c->cwnd) {
		c->reno.bytes -= c->cwnd;
		bt_cc_grow(c, c->mss);
	}
}

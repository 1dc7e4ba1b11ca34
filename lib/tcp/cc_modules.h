/* SPDX-License-Identifier: Apache-2.0 */
/* What the modules of congestion control and cc.c ask of each other. */
#ifndef BERTH_LIB_TCP_CC_MODULES_H
#define BERTH_LIB_TCP_CC_MODULES_H

#include "cc.h"

#define BT_CC_CWND_MAX (1u << 30) /* no window is larger (RFC 7323 2.3) */
#define BT_NS_PER_S    1000000000u

static inline uint32_t bt_min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t bt_max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* RFC 6928 2 */
static inline uint32_t bt_cc_initial_window(uint32_t mss)
{
	return bt_min32(10 * mss, bt_max32(2 * mss, 14600));
}

static inline void bt_cc_grow(struct bt_cc *c, uint64_t bytes)
{
	uint64_t cwnd = c->cwnd + bytes;

	c->cwnd = cwnd < BT_CC_CWND_MAX ? (uint32_t)cwnd : BT_CC_CWND_MAX;
}

/* Has cwnd, and not the program or the peer's window, held back the sender in this round or the
 * last? Only then it may grow (RFC 9438 5.8, RFC 7661 4.3). In slow start half of it will do, as
 * what is in flight doubles. */
static inline bool bt_cc_limited(const struct bt_cc *c)
{
	uint64_t most = bt_max32(c->flight_max, c->flight_last);

	if (c->cwnd < c->ssthresh)
		return 2 * most >= c->cwnd;
	return most + c->mss > c->cwnd;
}

/* Slow start by so many bytes, up to ssthresh: how many are left for congestion avoidance. */
uint32_t bt_cc_slow_start(struct bt_cc *c, uint32_t bytes);

void bt_reno_acked(struct bt_cc *c, const struct bt_cc_sample *s);
uint32_t bt_reno_reduced(const struct bt_cc *c, uint32_t outstanding); /* the new ssthresh */

void bt_cubic_start(struct bt_cc *c);
void bt_cubic_acked(struct bt_cc *c, const struct bt_cc_sample *s);
/* The new ssthresh; remembers the maximum. */
uint32_t bt_cubic_reduced(struct bt_cc *c, uint32_t outstanding);
void bt_cubic_timed_out(struct bt_cc *c);
void bt_cubic_undone(struct bt_cc *c);
void bt_cubic_paused(struct bt_cc *c); /* the time since is not to count */
/* The largest x with x * x * x <= n. */
uint32_t bt_cubic_root(uint64_t n);

void bt_hystart_start(struct bt_cc_hystart *h);
/* An ACK of the first slow start: by what its growth is to be divided. Ends slow start by setting
 * ssthresh. */
uint32_t bt_hystart_acked(struct bt_cc *c, struct bt_cc_hystart *h, const struct bt_cc_sample *s);

enum bt_bbr_state { BT_BBR_STARTUP, BT_BBR_DRAIN, BT_BBR_PROBE_BW, BT_BBR_PROBE_RTT };

void bt_bbr_start(struct bt_cc *c, uint64_t rtt_ns, uint32_t random, uint64_t now_ns);
void bt_bbr_acked(struct bt_cc *c, const struct bt_cc_sample *s);
void bt_bbr_sent(struct bt_cc *c, bool was_idle);
void bt_bbr_loss_found(struct bt_cc *c, uint32_t in_flight);
void bt_bbr_recovered(struct bt_cc *c);
void bt_bbr_timed_out(struct bt_cc *c);
uint32_t bt_bbr_burst(const struct bt_cc *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the modules share: the phases, what is saved for an undo, and, for those with a window
 * (CUBIC and NewReno), recovery by PRR, time-outs and idle times. BBR decides about these itself.
 */
#include "cc_modules.h"

_Static_assert(sizeof(struct bt_cc) <= 112, "part of each connection");
_Static_assert(offsetof(struct bt_cc_reno, prr) == offsetof(struct bt_cc_cubic, prr),
	       "one place for both");

static bool is_bbr(const struct bt_cc *c)
{
	return c->module == BERTH_CC_BBR;
}

static bool is_cubic(const struct bt_cc *c)
{
	return c->module == BERTH_CC_CUBIC;
}

static struct bt_prr *prr(struct bt_cc *c)
{
	return &c->reno.prr;
}

static void start_module(struct bt_cc *c, enum berth_congestion module, uint64_t rtt_ns,
			 uint32_t random, uint64_t now_ns)
{
	c->module = (uint8_t)module;
	c->pacing_rate = 0;
	if (is_bbr(c))
		bt_bbr_start(c, rtt_ns, random, now_ns);
	else if (is_cubic(c))
		bt_cubic_start(c);
	else
		c->reno = (struct bt_cc_reno){0};
}

void bt_cc_start(struct bt_cc *c, enum berth_congestion module, uint32_t mss, bool syn_lost,
		 uint64_t rtt_ns, uint32_t random, uint64_t now_ns)
{
	*c = (struct bt_cc){
		.cwnd = syn_lost ? mss : bt_cc_initial_window(mss),
		.ssthresh = UINT32_MAX,
		.mss = mss,
		.phase = BT_CC_OPEN,
	};
	start_module(c, module, rtt_ns, random, now_ns);
}

void bt_cc_changed(struct bt_cc *c, enum berth_congestion module, uint64_t now_ns)
{
	struct bt_prr was = {0};
	uint32_t random = c->cwnd ^ (uint32_t)(now_ns >> 10) ^ (uint32_t)now_ns;

	if (c->module == (uint8_t)module)
		return;
	if (!is_bbr(c)) {
		was = *prr(c);
	} else if (c->phase == BT_CC_RECOVERY) { /* BBR keeps neither */
		c->ssthresh = bt_max32(c->cwnd, 2 * c->mss);
		bt_prr_start(&was, c->cwnd);
	}
	c->undo = 0;
	start_module(c, module, 0, random, now_ns);
	if (!is_bbr(c))
		*prr(c) = was;
}

void bt_cc_mss_changed(struct bt_cc *c, uint32_t mss)
{
	c->mss = mss;
	c->cwnd = bt_max32(c->cwnd, mss);
}

uint32_t bt_cc_slow_start(struct bt_cc *c, uint32_t bytes)
{
	uint32_t grow = bt_min32(bytes, c->ssthresh - c->cwnd);

	bt_cc_grow(c, grow);
	return bytes - grow;
}

void bt_cc_sent(struct bt_cc *c, uint32_t bytes, uint32_t in_flight, uint64_t now_ns)
{
	(void)now_ns;
	c->flight_max = bt_max32(c->flight_max, in_flight);
	if (is_bbr(c))
		bt_bbr_sent(c, in_flight <= bytes);
	else if (c->phase == BT_CC_RECOVERY)
		bt_prr_sent(prr(c), bytes);
}

static void recover(struct bt_cc *c, const struct bt_cc_sample *s)
{
	uint32_t send;

	if (s->delivered == 0 && s->lost == 0)
		return;
	send = bt_prr_acked(prr(c), s->delivered, s->in_flight, c->ssthresh, c->mss,
			    s->acked > 0 && s->lost == 0);
	/* with nothing in flight no ACK would come to add to less than a segment */
	c->cwnd = bt_max32(bt_min32(s->in_flight + send, BT_CC_CWND_MAX), c->mss);
}

void bt_cc_acked(struct bt_cc *c, const struct bt_cc_sample *s)
{
	if (is_bbr(c))
		bt_bbr_acked(c, s);
	else if (c->phase == BT_CC_RECOVERY)
		recover(c, s);
	else if (is_cubic(c) && !s->ecn_echoed)
		bt_cubic_acked(c, s);
	else if (!s->ecn_echoed)
		bt_reno_acked(c, s);
	if (s->round_ended) {
		c->flight_last = c->flight_max;
		c->flight_max = s->in_flight;
	}
}

static void save(struct bt_cc *c)
{
	/* of a time-out in recovery, the recovery's stays */
	if (c->phase != BT_CC_OPEN && c->undo)
		return;
	c->prior_cwnd = c->cwnd;
	c->prior_ssthresh = c->ssthresh;
}

/* RFC 5681 3.1 (4) by what is outstanding, as a window that was not used says nothing of the path.
 * Nor does what has been SACKed behind a hole, which may be more than cwnd. */
static void reduce(struct bt_cc *c, uint32_t outstanding)
{
	uint32_t flight = bt_min32(outstanding, c->cwnd);

	c->ssthresh = is_cubic(c) ? bt_cubic_reduced(c, flight) : bt_reno_reduced(c, flight);
}

void bt_cc_loss_found(struct bt_cc *c, uint32_t outstanding, uint32_t in_flight, uint64_t now_ns)
{
	(void)now_ns;
	if (is_bbr(c)) {
		bt_bbr_loss_found(c, in_flight);
	} else {
		save(c);
		reduce(c, outstanding);
		bt_prr_start(prr(c), in_flight);
	}
	c->undo = 1;
	c->phase = BT_CC_RECOVERY;
}

void bt_cc_recovered(struct bt_cc *c, uint32_t in_flight, uint64_t now_ns)
{
	(void)in_flight;
	(void)now_ns;
	if (is_bbr(c))
		bt_bbr_recovered(c);
	else if (c->phase == BT_CC_RECOVERY)
		c->cwnd = bt_max32(c->ssthresh, c->mss); /* RFC 9937 6 */
	c->phase = BT_CC_OPEN;
}

void bt_cc_timed_out(struct bt_cc *c, uint32_t outstanding, bool again, uint64_t now_ns)
{
	(void)now_ns;
	if (is_bbr(c)) {
		bt_bbr_timed_out(c);
	} else {
		if (!again)
			save(c);
		/* RFC 5681 3.1 (4), and held for what is sent again already */
		if (!again && c->phase != BT_CC_RECOVERY)
			reduce(c, outstanding);
		if (is_cubic(c))
			bt_cubic_timed_out(c);
	}
	if (!again)
		c->undo = 1;
	c->cwnd = c->mss; /* the loss window */
	c->phase = BT_CC_LOST;
}

void bt_cc_spurious(struct bt_cc *c, uint64_t now_ns)
{
	(void)now_ns;
	if (!c->undo)
		return;
	c->undo = 0;
	if (is_bbr(c)) {
		bt_bbr_recovered(c);
	} else {
		c->cwnd = bt_max32(c->cwnd, c->prior_cwnd);
		c->ssthresh = c->prior_ssthresh;
		if (is_cubic(c))
			bt_cubic_undone(c);
	}
	c->phase = BT_CC_OPEN;
}

void bt_cc_ecn_echoed(struct bt_cc *c, uint32_t outstanding, uint64_t now_ns)
{
	(void)now_ns;
	if (c->phase != BT_CC_OPEN || is_bbr(c)) /* BBR 1 does not look at ECN */
		return;
	c->undo = 0;
	reduce(c, outstanding);
	c->cwnd = bt_min32(c->cwnd, c->ssthresh); /* RFC 3168 6.1.2 */
}

void bt_cc_idle_ended(struct bt_cc *c, uint64_t idle_ns, uint64_t rto_ns, uint64_t now_ns)
{
	uint32_t least = bt_min32(bt_cc_initial_window(c->mss), c->cwnd);

	(void)now_ns;
	if (is_bbr(c))
		return; /* it paces the restart, and bt_cc_sent tells it */
	if (is_cubic(c))
		bt_cubic_paused(c);
	if (rto_ns == 0 || idle_ns <= rto_ns)
		return;
	/* RFC 2861 3: half of cwnd for each time-out, and ssthresh remembers what it was */
	c->ssthresh = bt_max32(c->ssthresh, c->cwnd / 4 * 3);
	for (uint64_t n = idle_ns / rto_ns; n > 0 && c->cwnd > least; n--)
		c->cwnd = bt_max32(c->cwnd / 2, least);
	c->flight_max = c->flight_last = 0;
}

uint32_t bt_cc_burst(const struct bt_cc *c)
{
	return is_bbr(c) ? bt_bbr_burst(c) : UINT32_MAX;
}

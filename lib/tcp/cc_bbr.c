/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00; its sections are cited), with the
 * pacing margin of 1 % of later drafts. It keeps a model of the path, the largest delivery rate of
 * ten rounds and the least round trip of ten seconds, paces at the rate and bounds what is in
 * flight by twice their product. It takes little notice of loss, and none of ECN.
 *
 * Left out: what only Linux's has (long-term sampling of policers, compensation for aggregated
 * ACKs).
 */
#include "cc_modules.h"

enum { FILLED = 1, IDLE_RESTART = 2, PROBE_ROUND_DONE = 4 };

#define UNIT	     256u /* of a gain */
#define HIGH_GAIN    739u /* 2/ln 2 */
#define DRAIN_GAIN   88u  /* its inverse */
#define CWND_GAIN    512u
#define BW_ROUNDS    10
#define MIN_RTT_NS   (10ull * BT_NS_PER_S)
#define PROBE_RTT_NS 200000000ull
#define MIN_PIPE     4u /* segments */
#define CYCLE	     8u
#define FULL_ROUNDS  3
#define FIRST_RTT_NS 1000000u /* where the handshake's is not known (4.2.1) */
#define BURST_RATE_1 150000u  /* bytes a second, 1.2 Mbit/s (4.2.2) */
#define BURST_RATE_2 3000000u
#define BURST_MAX    65536u

static const uint16_t cycle_gain[CYCLE] = {320, 192, 256, 256, 256, 256, 256, 256};

/* rate * ns, for any of both. */
static uint64_t bytes_in(uint64_t rate, uint64_t ns)
{
	uint64_t s = ns / BT_NS_PER_S, rest = ns % BT_NS_PER_S;

	if (rate >> 32 == 0)
		return rate * s + rate * rest / BT_NS_PER_S;
	return rate * s + (rate >> 16) * rest / (BT_NS_PER_S >> 16);
}

static uint32_t pacing_gain(const struct bt_cc_bbr *b)
{
	switch (b->state) {
	case BT_BBR_STARTUP:
		return HIGH_GAIN;
	case BT_BBR_DRAIN:
		return DRAIN_GAIN;
	case BT_BBR_PROBE_BW:
		return cycle_gain[b->cycle];
	default:
		return UNIT;
	}
}

uint32_t bt_bbr_burst(const struct bt_cc *c)
{
	uint64_t burst = c->pacing_rate / 1000;

	if (c->pacing_rate < BURST_RATE_1)
		return c->mss;
	if (c->pacing_rate < BURST_RATE_2)
		return 2 * c->mss;
	return burst < BURST_MAX ? bt_max32((uint32_t)burst, c->mss) : BURST_MAX;
}

/* What is in flight at `gain` times the product of rate and delay (4.2.3.2). */
static uint32_t pipe_at(const struct bt_cc *c, uint32_t gain)
{
	const struct bt_cc_bbr *b = &c->bbr;
	uint64_t bdp;

	if (b->min_rtt_ns == UINT64_MAX || b->bw[0] == 0)
		return bt_cc_initial_window(c->mss);
	bdp = bytes_in(b->bw[0], b->min_rtt_ns);
	if (bdp >= BT_CC_CWND_MAX)
		return BT_CC_CWND_MAX;
	return (uint32_t)(bdp * gain / UNIT) + 3 * bt_bbr_burst(c);
}

static void pace(struct bt_cc *c, uint32_t gain)
{
	uint64_t rate = c->bbr.bw[0] * gain / UNIT * 99 / 100;

	if (c->bbr.bw[0] == 0)
		return;
	if (rate < c->mss)
		rate = c->mss; /* 0 would be no pacing */
	if ((c->bbr.flags & FILLED) || rate > c->pacing_rate)
		c->pacing_rate = rate;
}

void bt_bbr_start(struct bt_cc *c, uint64_t rtt_ns, uint32_t random, uint64_t now_ns)
{
	uint64_t ns = rtt_ns != 0 ? rtt_ns : FIRST_RTT_NS;

	c->bbr = (struct bt_cc_bbr){
		.min_rtt_ns = rtt_ns != 0 ? rtt_ns : UINT64_MAX,
		.min_rtt_at_ns = now_ns,
		.random = (uint16_t)(random ^ random >> 16),
		.state = BT_BBR_STARTUP,
	};
	c->pacing_rate = (uint64_t)c->cwnd * BT_NS_PER_S / ns * HIGH_GAIN / UNIT + 1;
}

static void set_bw(struct bt_cc_bbr *b, unsigned from, uint64_t bw)
{
	for (unsigned i = from; i < 3; i++) {
		b->bw[i] = bw;
		b->bw_round[i] = b->round;
	}
}

static uint16_t age(const struct bt_cc_bbr *b, unsigned i)
{
	return (uint16_t)(b->round - b->bw_round[i]);
}

/* The largest of the last ten rounds, by the three that may become it (Kathleen Nichols' windowed
 * minimum): each is the largest since the one before it. */
static void filter_bw(struct bt_cc_bbr *b, uint64_t bw)
{
	if (bw >= b->bw[0] || age(b, 2) > BW_ROUNDS)
		set_bw(b, 0, bw);
	else if (bw >= b->bw[1])
		set_bw(b, 1, bw);
	else if (bw >= b->bw[2])
		set_bw(b, 2, bw);

	for (unsigned n = 0; n < 2 && age(b, 0) > BW_ROUNDS; n++) {
		b->bw[0] = b->bw[1];
		b->bw_round[0] = b->bw_round[1];
		b->bw[1] = b->bw[2];
		b->bw_round[1] = b->bw_round[2];
		set_bw(b, 2, bw);
	}
	/* have later ones at hand when a quarter and a half of the window have passed */
	if (b->bw_round[1] == b->bw_round[0] && age(b, 1) > BW_ROUNDS / 4)
		set_bw(b, 1, bw);
	else if (b->bw_round[2] == b->bw_round[1] && age(b, 2) > BW_ROUNDS / 2)
		set_bw(b, 2, bw);
}

static void update_bw(struct bt_cc_bbr *b, const struct bt_cc_sample *s)
{
	bool low = s->rate_app_limited || b->state == BT_BBR_PROBE_RTT || b->low > 0;

	if (s->round_ended) {
		b->round++;
		if (b->low > 0)
			b->low--;
	}
	if (s->rate != 0 && (!low || s->rate >= b->bw[0]))
		filter_bw(b, s->rate);
}

/* 4.3.2.2: three rounds in which the rate has not grown by a quarter */
static void check_full(struct bt_cc_bbr *b, const struct bt_cc_sample *s)
{
	if ((b->flags & FILLED) || !s->round_ended || s->rate_app_limited)
		return;
	if (b->bw[0] >= b->full_bw + b->full_bw / 4) {
		b->full_bw = b->bw[0];
		b->full_rounds = 0;
		return;
	}
	if (++b->full_rounds >= FULL_ROUNDS)
		b->flags |= FILLED;
}

static void enter_probe_bw(struct bt_cc_bbr *b, uint64_t now_ns)
{
	/* any phase but the draining one (4.3.4.3) */
	b->random = (uint16_t)(b->random * 25173u + 13849u);
	b->cycle = (uint8_t)((CYCLE - (b->random >> 8) % (CYCLE - 1)) % CYCLE);
	b->state = BT_BBR_PROBE_BW;
	b->phase_at_ns = now_ns;
}

static void check_cycle(struct bt_cc *c, const struct bt_cc_sample *s)
{
	struct bt_cc_bbr *b = &c->bbr;
	bool whole = s->now_ns - b->phase_at_ns > b->min_rtt_ns;
	uint32_t gain = pacing_gain(b);
	bool next = whole;

	if (b->state != BT_BBR_PROBE_BW)
		return;
	if (gain > UNIT)
		next = whole && (s->lost > 0 || s->in_flight_before >= pipe_at(c, gain));
	else if (gain < UNIT)
		next = whole || s->in_flight_before <= pipe_at(c, UNIT);
	if (next) {
		b->cycle = (uint8_t)((b->cycle + 1) % CYCLE);
		b->phase_at_ns = s->now_ns;
	}
}

static void check_drain(struct bt_cc *c, const struct bt_cc_sample *s)
{
	struct bt_cc_bbr *b = &c->bbr;

	if (b->state == BT_BBR_STARTUP && (b->flags & FILLED))
		b->state = BT_BBR_DRAIN;
	if (b->state == BT_BBR_DRAIN && s->in_flight <= pipe_at(c, UNIT))
		enter_probe_bw(b, s->now_ns);
}

/* cwnd is to come back when recovery or BT_BBR_PROBE_RTT are over (4.2.3.3). */
static void save_cwnd(struct bt_cc *c)
{
	if (c->phase == BT_CC_OPEN && c->bbr.state != BT_BBR_PROBE_RTT)
		c->prior_cwnd = c->cwnd;
	else
		c->prior_cwnd = bt_max32(c->prior_cwnd, c->cwnd);
}

static void leave_probe_rtt(struct bt_cc *c, uint64_t now_ns)
{
	struct bt_cc_bbr *b = &c->bbr;

	b->min_rtt_at_ns = now_ns;
	b->low = 2; /* until what was sent in BT_BBR_PROBE_RTT has come back */
	if (b->flags & FILLED)
		enter_probe_bw(b, now_ns);
	else
		b->state = BT_BBR_STARTUP;
	c->cwnd = bt_max32(c->cwnd, c->prior_cwnd);
}

/* 4.3.5 */
static void check_probe_rtt(struct bt_cc *c, const struct bt_cc_sample *s, bool expired)
{
	struct bt_cc_bbr *b = &c->bbr;

	if (b->state != BT_BBR_PROBE_RTT && expired && !(b->flags & IDLE_RESTART)) {
		save_cwnd(c);
		b->state = BT_BBR_PROBE_RTT;
		b->phase_at_ns = 0;
	}
	if (b->state == BT_BBR_PROBE_RTT && b->phase_at_ns == 0) {
		if (s->in_flight <= MIN_PIPE * c->mss) {
			b->phase_at_ns = s->now_ns + PROBE_RTT_NS;
			b->flags &= (uint8_t)~PROBE_ROUND_DONE;
		}
	} else if (b->state == BT_BBR_PROBE_RTT) {
		if (s->round_ended)
			b->flags |= PROBE_ROUND_DONE;
		if ((b->flags & PROBE_ROUND_DONE) && s->now_ns > b->phase_at_ns)
			leave_probe_rtt(c, s->now_ns);
	}
	b->flags &= (uint8_t)~IDLE_RESTART;
}

static void update_min_rtt(struct bt_cc *c, const struct bt_cc_sample *s)
{
	struct bt_cc_bbr *b = &c->bbr;
	bool expired = s->now_ns - b->min_rtt_at_ns > MIN_RTT_NS;

	if (s->rtt_ns != 0 && (s->rtt_ns <= b->min_rtt_ns || expired)) {
		b->min_rtt_ns = s->rtt_ns;
		b->min_rtt_at_ns = s->now_ns;
	}
	check_probe_rtt(c, s, expired);
}

/* 4.2.3.4, 4.2.3.6 */
static void set_cwnd(struct bt_cc *c, const struct bt_cc_sample *s)
{
	struct bt_cc_bbr *b = &c->bbr;
	uint32_t gain =
		b->state == BT_BBR_STARTUP || b->state == BT_BBR_DRAIN ? HIGH_GAIN : CWND_GAIN;
	uint32_t target = pipe_at(c, b->state == BT_BBR_PROBE_RTT ? UNIT : gain);

	if (s->lost > 0 && c->phase != BT_CC_OPEN)
		c->cwnd = bt_max32(c->cwnd - bt_min32(s->lost, c->cwnd), c->mss);
	if (b->conserve > 0) {
		c->cwnd = bt_max32(c->cwnd, s->in_flight + s->delivered);
		if (s->round_ended)
			b->conserve--;
	} else if (b->flags & FILLED) {
		bt_cc_grow(c, s->delivered);
		c->cwnd = bt_min32(c->cwnd, target);
	} else if (c->cwnd < target || b->round <= 1) {
		bt_cc_grow(c, s->delivered);
	}
	c->cwnd = bt_max32(c->cwnd, MIN_PIPE * c->mss);
	if (b->state == BT_BBR_PROBE_RTT)
		c->cwnd = bt_min32(c->cwnd, MIN_PIPE * c->mss);
}

void bt_bbr_acked(struct bt_cc *c, const struct bt_cc_sample *s)
{
	struct bt_cc_bbr *b = &c->bbr;

	update_bw(b, s);
	check_cycle(c, s);
	check_full(b, s);
	check_drain(c, s);
	update_min_rtt(c, s);
	pace(c, pacing_gain(b));
	set_cwnd(c, s);
}

void bt_bbr_sent(struct bt_cc *c, bool was_idle)
{
	struct bt_cc_bbr *b = &c->bbr;

	if (!was_idle || b->round == 0)
		return;
	b->flags |= IDLE_RESTART;
	if (b->state == BT_BBR_PROBE_BW)
		pace(c, UNIT); /* 4.3.4.4 */
}

/* 4.2.3.5: for a round as much is sent as is delivered */
void bt_bbr_loss_found(struct bt_cc *c, uint32_t in_flight)
{
	save_cwnd(c);
	c->cwnd = bt_max32(in_flight, c->mss) + c->mss;
	c->bbr.conserve = 2; /* the round that is under way, and a whole one */
}

void bt_bbr_recovered(struct bt_cc *c)
{
	c->bbr.conserve = 0;
	if (c->phase != BT_CC_OPEN && c->bbr.state != BT_BBR_PROBE_RTT)
		c->cwnd = bt_max32(c->cwnd, c->prior_cwnd);
}

void bt_bbr_timed_out(struct bt_cc *c)
{
	save_cwnd(c);
	c->bbr.conserve = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUBIC (RFC 9438) with HyStart++. Windows are in bytes, the curve's time in milliseconds: with
 * C = 0.4 segments/s^3,
 *
 *	W(t) = w_max + mss * (t - K)^3 / 2.5e9,  K = cbrt((w_max - cwnd) / mss * 2.5e9)
 *
 * An epoch is a stretch of congestion avoidance in which the program kept cwnd filled. It begins
 * anew after a reduction, and after a pause, from the cwnd that is then: below w_max that is the
 * same curve, for W moved in time is W.
 */
#include "cc_modules.h"

#define PER_C	 2500000000u /* ms^3 a segment */
#define T_MAX	 800000u     /* ms; the curve is far beyond any window then */
#define L_LIMIT	 8	     /* RFC 9406 4.3, not paced */
#define MS_IN_NS 1000000u

uint32_t bt_cubic_root(uint64_t n)
{
	uint64_t x, next;

	if (n == 0)
		return 0;
	/* Newton's iteration from above falls until it has the root */
	x = UINT64_C(1) << ((63 - __builtin_clzll(n)) / 3 + 1);
	while ((next = (2 * x + n / (x * x)) / 3) < x)
		x = next;
	return (uint32_t)x;
}

void bt_cubic_start(struct bt_cc *c)
{
	c->cubic = (struct bt_cc_cubic){0};
	bt_hystart_start(&c->cubic.hystart);
}

uint32_t bt_cubic_reduced(struct bt_cc *c, uint32_t outstanding)
{
	struct bt_cc_cubic *u = &c->cubic;
	uint64_t ssthresh = (uint64_t)outstanding * 7 / 10; /* RFC 9438 4.6 */

	u->prior_w_max = u->w_max;
	u->w_prior = c->cwnd;
	/* RFC 9438 4.7: fast convergence */
	u->w_max = c->cwnd < u->w_max ? (uint32_t)((uint64_t)c->cwnd * 17 / 20) : c->cwnd;
	u->epoch_ns = 0;
	return bt_max32((uint32_t)ssthresh, 2 * c->mss);
}

void bt_cubic_timed_out(struct bt_cc *c)
{
	c->cubic.w_max = 0; /* RFC 9438 4.8: the next epoch begins on its plateau */
	c->cubic.epoch_ns = 0;
}

void bt_cubic_undone(struct bt_cc *c)
{
	c->cubic.w_max = c->cubic.prior_w_max; /* RFC 9438 4.9.2 */
	c->cubic.epoch_ns = 0;
}

void bt_cubic_paused(struct bt_cc *c)
{
	c->cubic.epoch_ns = 0;
}

static void begin(struct bt_cc *c, uint64_t now_ns)
{
	struct bt_cc_cubic *u = &c->cubic;

	u->epoch_ns = now_ns;
	u->rest = u->est_rest = 0;
	u->w_est = c->cwnd;
	u->k_ms = 0;
	if (u->w_max > c->cwnd)
		u->k_ms = bt_cubic_root((uint64_t)(u->w_max - c->cwnd) * PER_C / c->mss);
	else
		u->w_max = c->cwnd;
}

static uint32_t curve(const struct bt_cc *c, uint64_t t_ms)
{
	const struct bt_cc_cubic *u = &c->cubic;
	uint64_t d = t_ms > u->k_ms ? t_ms - u->k_ms : u->k_ms - t_ms;
	uint64_t bytes;

	d = d < T_MAX ? d : T_MAX;
	bytes = d * d * d / 2500 * c->mss / (PER_C / 2500);
	if (t_ms < u->k_ms)
		return bytes < u->w_max ? u->w_max - (uint32_t)bytes : 0;
	bytes += u->w_max;
	return bytes < BT_CC_CWND_MAX ? (uint32_t)bytes : BT_CC_CWND_MAX;
}

/* RFC 9438 4.3: what Reno would have, from where this epoch began. */
static void estimate(struct bt_cc *c, uint32_t acked)
{
	struct bt_cc_cubic *u = &c->cubic;
	uint64_t n = (uint64_t)acked * c->mss;

	if (u->w_est < u->w_prior)
		n = n * 9 / 17; /* alpha = 3 (1 - 0.7) / (1 + 0.7) */
	n += u->est_rest;
	u->est_rest = (uint32_t)(n % c->cwnd);
	n = n / c->cwnd + u->w_est;
	u->w_est = n < BT_CC_CWND_MAX ? (uint32_t)n : BT_CC_CWND_MAX;
}

static void avoid(struct bt_cc *c, uint32_t acked, uint64_t now_ns)
{
	struct bt_cc_cubic *u = &c->cubic;
	uint64_t t_ms, target, n;

	if (u->epoch_ns == 0)
		begin(c, now_ns);
	estimate(c, acked);
	t_ms = (now_ns - u->epoch_ns) / MS_IN_NS;
	if (curve(c, t_ms) < u->w_est) {
		c->cwnd = bt_max32(c->cwnd, u->w_est);
		u->rest = 0;
		return;
	}
	/* RFC 9438 4.2, 4.4, 4.5: towards where the curve is a round trip from now */
	target = curve(c, t_ms + u->rtt_us / 1000);
	if (target <= c->cwnd)
		return;
	if (target > c->cwnd + c->cwnd / 2)
		target = c->cwnd + c->cwnd / 2;
	n = (target - c->cwnd) * acked + u->rest;
	u->rest = (uint32_t)(n % c->cwnd);
	bt_cc_grow(c, n / c->cwnd);
}

void bt_cubic_acked(struct bt_cc *c, const struct bt_cc_sample *s)
{
	struct bt_cc_cubic *u = &c->cubic;
	uint32_t left = s->acked, divisor = 1;

	if (s->rtt_ns != 0) {
		uint64_t us = s->rtt_ns / 1000 < UINT32_MAX ? s->rtt_ns / 1000 : UINT32_MAX;

		u->rtt_us = u->rtt_us == 0 ? (uint32_t)us : (uint32_t)((7ull * u->rtt_us + us) / 8);
	}
	/* RFC 9406 4.3: the first slow start alone */
	if (c->ssthresh == UINT32_MAX) {
		divisor = bt_hystart_acked(c, &u->hystart, s);
		u->w_prior = c->cwnd;
	}
	if (!bt_cc_limited(c)) {
		bt_cubic_paused(c);
		return;
	}
	if (c->cwnd < c->ssthresh) {
		uint32_t l = c->phase == BT_CC_LOST ? 1 : L_LIMIT;

		left = bt_cc_slow_start(c, bt_min32(left, l * c->mss) / divisor);
	}
	if (left > 0 && c->cwnd >= c->ssthresh)
		avoid(c, left, s->now_ns);
}

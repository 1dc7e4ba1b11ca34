/* SPDX-License-Identifier: Apache-2.0 */
/* What belongs to one module of congestion control, against its formulas. */
#include "cc_help.h"

/* ---- CUBIC against its formulas in real numbers (segments, seconds) ---- */

struct naive {
	double cwnd, w_max, k, epoch, w_est, prior, srtt;
};

static double naive_curve(const struct naive *n, double t)
{
	return 0.4 * pow(t - n->k, 3) + n->w_max; /* RFC 9438 4.2, figure 1 */
}

static void naive_ack(struct naive *n, double now, double rtt)
{
	double t, target, alpha;

	n->srtt = n->srtt < 0 ? rtt : 7.0 / 8 * n->srtt + rtt / 8;
	if (n->epoch < 0) {
		n->epoch = now;
		n->k = n->w_max > n->cwnd ? cbrt((n->w_max - n->cwnd) / 0.4) : 0; /* figure 2 */
		n->w_max = fmax(n->w_max, n->cwnd);
		n->w_est = n->cwnd;
	}
	t = now - n->epoch;
	alpha = n->w_est < n->prior ? 3 * 0.3 / 1.7 : 1; /* 4.3 */
	n->w_est += alpha / n->cwnd;
	if (naive_curve(n, t) < n->w_est) {
		n->cwnd = fmax(n->cwnd, n->w_est);
		return;
	}
	target = fmin(fmax(naive_curve(n, t + n->srtt), n->cwnd), 1.5 * n->cwnd);
	n->cwnd += (target - n->cwnd) / n->cwnd; /* 4.4, 4.5 */
}

static void naive_loss(struct naive *n)
{
	n->prior = n->cwnd;
	n->w_max = n->cwnd < n->w_max ? n->cwnd * 1.7 / 2 : n->cwnd; /* 4.7 */
	n->cwnd = fmax(n->cwnd * 0.7, 2);
	n->epoch = -1;
}

static void follow(double rtt, double losses_s, uint32_t start, unsigned seed)
{
	struct bt_cc c = started(BERTH_CC_CUBIC);
	struct naive n = {.cwnd = start, .w_max = 0, .epoch = -1, .srtt = -1};
	uint64_t now_ns = SEC, loss_ns = SEC;
	uint32_t random = seed;

	c.cwnd = start * MSS;
	c.ssthresh = c.cwnd;
	for (unsigned i = 0; i < 200000; i++) {
		struct bt_cc_sample s = {.acked = MSS, .delivered = MSS};

		now_ns += (uint64_t)(rtt * 1e9 / n.cwnd) + 1;
		s.now_ns = now_ns;
		s.rtt_ns = (uint64_t)(rtt * 1e9);
		bt_cc_sent(&c, MSS, c.cwnd, now_ns);
		bt_cc_acked(&c, &s);
		naive_ack(&n, (double)now_ns / 1e9, rtt);
		/* times are whole milliseconds, windows whole bytes */
		if (fabs((double)c.cwnd / MSS - n.cwnd) > 0.01 * n.cwnd + 0.1)
			fail_msg("rtt %g seed %u: after %u ACKs cwnd is %g, not %g", rtt, seed, i,
				 (double)c.cwnd / MSS, n.cwnd);
		if (now_ns < loss_ns)
			continue;
		random = random * 1664525u + 1013904223u;
		loss_ns = now_ns + (uint64_t)((0.1 + (random >> 16) / 65536.0) * losses_s * 1e9);
		bt_cc_loss_found(&c, c.cwnd, c.cwnd, now_ns);
		bt_cc_recovered(&c, c.cwnd, now_ns);
		naive_loss(&n);
	}
}

static void cubic_curve(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		follow(0.1, 20, 100, seed);
		follow(0.3, 60, 1000, seed);
		follow(0.03, 10, 500, seed);
		follow(0.001, 1, 10, seed); /* where Reno is faster */
		follow(5, 300, 4, seed); /* where the curve is faster than half a window a round */
	}
}

static void cubic_undone(void **state)
{
	struct bt_cc c = started(BERTH_CC_CUBIC);

	(void)state;
	c.cwnd = 100 * MSS;
	bt_cc_loss_found(&c, 100 * MSS, 100 * MSS, SEC);
	bt_cc_recovered(&c, 0, SEC);
	assert_int_equal(c.cubic.w_max, 100 * MSS);
	bt_cc_loss_found(&c, 70 * MSS, 70 * MSS, SEC);
	assert_int_equal(c.cubic.w_max, 70 * MSS * 17 / 20); /* fast convergence */
	bt_cc_spurious(&c, SEC);
	assert_int_equal(c.cubic.w_max, 100 * MSS); /* RFC 9438 4.9.2 */
	assert_int_equal(c.cwnd, 70 * MSS);
	bt_cc_timed_out(&c, 70 * MSS, false, SEC);
	bt_cc_recovered(&c, 0, SEC);
	c.cwnd = c.ssthresh;
	acked(&c, MSS, SEC);
	assert_int_equal(c.cubic.k_ms, 0); /* RFC 9438 4.8 */
}

/* ---- HyStart++ ---- */

static void hystart_round(struct bt_cc *c, uint64_t rtt_ns, unsigned acks)
{
	for (unsigned i = 0; i < acks; i++) {
		struct bt_cc_sample s = {
			.acked = MSS,
			.delivered = MSS,
			.rtt_ns = rtt_ns,
			.now_ns = SEC,
			.round_ended = i == acks - 1,
		};

		bt_cc_sent(c, MSS, c->cwnd, SEC);
		bt_cc_acked(c, &s);
	}
}

static void hystart(void **state)
{
	struct bt_cc c = started(BERTH_CC_CUBIC);
	uint32_t cwnd;

	(void)state;
	hystart_round(&c, 100 * MS, 10);
	hystart_round(&c, 112 * MS, 20); /* less than an eighth more */
	hystart_round(&c, 130 * MS, 7);	 /* too few samples */
	assert_int_equal(c.cwnd, 47 * MSS);
	hystart_round(&c, 100 * MS, 10);
	cwnd = c.cwnd;
	hystart_round(&c, 113 * MS, 16); /* from the eighth sample on a quarter (RFC 9406 4.3) */
	assert_int_equal(c.cwnd, cwnd + 7 * MSS + 9 * MSS / 4);
	cwnd = c.cwnd;
	hystart_round(&c, 112 * MS, 16); /* shorter than when it began: it was not the queue */
	assert_int_equal(c.cwnd, cwnd + 7 * MSS / 4 + 9 * MSS);
	assert_int_equal(c.ssthresh, UINT32_MAX);

	hystart_round(&c, 140 * MS, 16);
	for (unsigned i = 0; i < 3; i++)
		hystart_round(&c, 140 * MS, 16);
	assert_int_equal(c.ssthresh, UINT32_MAX);
	hystart_round(&c, 140 * MS, 16); /* the fifth */
	assert_in_range(c.cwnd - c.ssthresh, 0, MSS);
}

/* 4 ms at least: round trips on a fast network vary by more than an eighth */
static void hystart_short(void **state)
{
	struct bt_cc c = started(BERTH_CC_CUBIC);

	(void)state;
	hystart_round(&c, 1 * MS, 10);
	for (unsigned i = 0; i < 10; i++)
		hystart_round(&c, (1 + 3 * (i % 2)) * MS, 10);
	assert_int_equal(c.cwnd, 120 * MSS);
	/* 16 ms at most */
	c = started(BERTH_CC_CUBIC);
	hystart_round(&c, 1000 * MS, 10);
	hystart_round(&c, 1015 * MS, 10);
	assert_int_equal(c.cwnd, 30 * MSS);
	hystart_round(&c, 1031 * MS, 11);
	assert_int_equal(c.cwnd, 38 * MSS - 1000 + 4 * MSS / 4);
}

/* ---- PRR ---- */

static void prr(void **state)
{
	struct bt_prr p;
	uint32_t sent = 0;

	(void)state;
	/* in proportion: seven for ten */
	bt_prr_start(&p, 100 * MSS);
	for (uint32_t i = 1; i <= 40; i++) {
		uint32_t n =
			bt_prr_acked(&p, MSS, 100 * MSS - i * MSS + sent, 70 * MSS, MSS, false);

		if (n >= MSS) {
			sent += MSS;
			bt_prr_sent(&p, MSS);
		}
		assert_true(sent + MSS > i * 700 && sent < i * 700 + MSS);
	}
	/* much was lost: as much as is delivered, and one more each time when that is safe */
	bt_prr_start(&p, 100 * MSS);
	assert_int_equal(bt_prr_acked(&p, MSS, 20 * MSS, 70 * MSS, MSS, false), MSS);
	bt_prr_sent(&p, MSS);
	assert_int_equal(bt_prr_acked(&p, MSS, 20 * MSS, 70 * MSS, MSS, true), 2 * MSS);
	bt_prr_sent(&p, 2 * MSS);
	assert_int_equal(bt_prr_acked(&p, 9 * MSS, 69 * MSS, 70 * MSS, MSS, true), MSS);
	/* an ACK that delivers less than a segment opens recovery nonetheless */
	bt_prr_start(&p, 100 * MSS);
	assert_int_equal(bt_prr_acked(&p, 10, 100 * MSS, 70 * MSS, MSS, false), MSS);
	bt_prr_start(&p, 0); /* all had been SACKed */
	assert_int_equal(bt_prr_acked(&p, MSS, 0, 2 * MSS, MSS, true), 2 * MSS);
}

/* ---- BBR: its states are seen in test_cc_path.c ---- */

static void bbr_round(struct bt_cc *c, uint64_t rate, bool limited, uint64_t now_ns)
{
	struct bt_cc_sample s = {
		.now_ns = now_ns,
		.rtt_ns = 100 * MS,
		.delivered = MSS,
		.in_flight = 1u << 29, /* never drained */
		.rate = rate,
		.rate_app_limited = limited,
		.round_ended = true,
	};

	bt_cc_acked(c, &s);
}

static void bbr_starts_fast(void **state)
{
	struct bt_cc c = started(BERTH_CC_BBR);
	uint64_t rate = 100000;

	(void)state;
	/* 2/ln 2 times the initial window a round trip */
	assert_in_range(c.pacing_rate, 288000, 289000);
	assert_int_equal(bt_cc_burst(&c), 2 * MSS);
	for (unsigned i = 0; i < 8; i++, rate *= 2) {
		bbr_round(&c, rate, false, SEC + i * 100 * MS);
		assert_in_range(c.pacing_rate, rate * 284 / 100, rate * 289 / 100);
	}
	assert_int_equal(c.bbr.state, BT_BBR_STARTUP);
	for (unsigned i = 0; i < 5; i++) /* the program's own rate ends nothing */
		bbr_round(&c, rate / 4, true, 2 * SEC + i * 100 * MS);
	assert_int_equal(c.bbr.state, BT_BBR_STARTUP);
	for (unsigned i = 0; i < 3; i++) /* 4.3.2.2: three rounds without a quarter more */
		bbr_round(&c, rate / 2 * 124 / 100, false, 3 * SEC + i * 100 * MS);
	assert_int_equal(c.bbr.state, BT_BBR_DRAIN);
	assert_int_equal(bt_cc_burst(&c), c.pacing_rate / 1000);
}

/* The rate is the largest of ten rounds: never one that is older, nor less than a recent one. */
static void bbr_largest_rate(void **state)
{
	struct bt_cc c = started(BERTH_CC_BBR);
	uint64_t rates[4000], random = 1;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t recent = 0, all = 0;

		random = random * 6364136223846793005u + 1442695040888963407u;
		/* falling, rising, and any */
		rates[i] = i % 300 < 100   ? 1000000 - i % 300 * 5000
			   : i % 300 < 200 ? 500000 + i % 300 * 1000
					   : 100000 + (random >> 33) % 1000000;
		bbr_round(&c, rates[i], false, SEC + i * MS);
		for (unsigned k = 0; k <= 10 && k <= i; k++) {
			all = rates[i - k] > all ? rates[i - k] : all;
			if (k <= 3)
				recent = all;
		}
		if (c.bbr.bw[0] > all || c.bbr.bw[0] < recent)
			fail_msg("round %u: %u of [%u, %u]", i, (unsigned)c.bbr.bw[0],
				 (unsigned)recent, (unsigned)all);
	}
}

static void bbr_recovery(void **state)
{
	struct bt_cc c = started(BERTH_CC_BBR);

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		bbr_round(&c, 1000000, false, SEC + i * 10 * MS);
	c.cwnd = 100 * MSS;
	bt_cc_loss_found(&c, 50 * MSS, 40 * MSS, 2 * SEC);
	assert_int_equal(c.cwnd, 41 * MSS);
	/* 4.2.3.5: for a round no more than is delivered, though the model would have it */
	for (unsigned i = 0; i < 10; i++) {
		struct bt_cc_sample s = {
			.now_ns = 2 * SEC,
			.delivered = MSS,
			.in_flight = 40 * MSS,
			.lost = i == 5 ? 2 * MSS : 0,
		};

		bt_cc_acked(&c, &s);
		assert_int_equal(c.cwnd, 41 * MSS);
	}
	bt_cc_recovered(&c, 40 * MSS, 2 * SEC);
	assert_int_equal(c.cwnd, 100 * MSS);
}

/* ---- delivery rate ---- */

static struct bt_cc_sample rate_ack(struct bt_rate *r, const struct bt_rate_mark *m, unsigned n,
				    uint64_t min_rtt_ns, uint64_t now_ns)
{
	struct bt_cc_sample s = {.now_ns = now_ns};
	struct bt_rate_ack a;

	bt_rate_ack_begin(&a);
	for (unsigned i = 0; i < n; i++)
		bt_rate_delivered(r, &a, &m[i], MSS, now_ns);
	bt_rate_ack_end(r, &a, min_rtt_ns, &s);
	return s;
}

static void delivery_rate(void **state)
{
	struct bt_rate_mark m[20];
	struct bt_cc_sample s;
	struct bt_rate r;

	(void)state;
	bt_rate_start(&r, SEC);
	for (unsigned i = 0; i < 10; i++)
		bt_rate_sent(&r, &m[i], i == 0, SEC + i * MS);
	/* the first tells of one segment in a round trip */
	s = rate_ack(&r, &m[0], 1, 10 * MS, SEC + 10 * MS);
	assert_int_equal(s.delivered, MSS);
	assert_int_equal(s.rate, MSS * 100);
	assert_true(s.round_ended);
	/* two with one ACK; acks closer together than they were sent do not count as faster */
	bt_rate_sent(&r, &m[10], false, SEC + 10 * MS);
	s = rate_ack(&r, &m[1], 9, 9 * MS, SEC + 10 * MS);
	assert_int_equal(s.delivered, 9 * MSS);
	assert_int_equal(s.rate, 10 * MSS * 100);
	assert_false(s.round_ended);
	s = rate_ack(&r, &m[10], 1, 10 * MS, SEC + 20 * MS);
	assert_true(s.round_ended);
	assert_int_equal(s.rate, 10 * MSS * 100);
	/* the ACKs come closer together than the segments were sent: it was not faster for that */
	bt_rate_sent(&r, &m[0], true, SEC + 100 * MS);
	bt_rate_sent(&r, &m[1], false, SEC + 120 * MS);
	rate_ack(&r, &m[0], 1, 10 * MS, SEC + 140 * MS);
	bt_rate_sent(&r, &m[2], false, SEC + 180 * MS);
	bt_rate_sent(&r, &m[3], false, SEC + 200 * MS);
	rate_ack(&r, &m[2], 1, 10 * MS, SEC + 200 * MS);
	s = rate_ack(&r, &m[3], 1, 10 * MS, SEC + 210 * MS);
	assert_int_equal(s.rate, 2 * MSS * SEC / (100 * MS));
	/* of several it is the one sent last that tells, in whatever order they are counted */
	bt_rate_sent(&r, &m[4], true, SEC + 300 * MS);
	rate_ack(&r, &m[4], 1, 10 * MS, SEC + 310 * MS);
	bt_rate_sent(&r, &m[5], false, SEC + 310 * MS);
	m[6] = m[4];
	s = rate_ack(&r, &m[5], 2, 10 * MS, SEC + 330 * MS);
	assert_int_equal(s.rate, 2 * MSS * SEC / (20 * MS));
	m[6] = m[5];
	m[5] = m[4];
	s = rate_ack(&r, &m[5], 2, 10 * MS, SEC + 330 * MS);
	assert_int_equal(s.rate, 4 * MSS * SEC / (20 * MS));
	/* less than a round trip, nothing, no time */
	bt_rate_sent(&r, &m[0], true, 2 * SEC);
	assert_int_equal(rate_ack(&r, m, 1, 10 * MS, 2 * SEC + 9 * MS).rate, 0);
	assert_int_equal(rate_ack(&r, m, 0, 10 * MS, 3 * SEC).rate, 0);
	bt_rate_sent(&r, &m[0], true, 4 * SEC);
	assert_int_equal(rate_ack(&r, m, 1, 0, 4 * SEC).rate, 0);
}

static void program_limited(void **state)
{
	struct bt_rate_mark m[4];
	struct bt_rate r;

	(void)state;
	bt_rate_start(&r, 0);
	bt_rate_sent(&r, &m[0], true, 0);
	bt_rate_app_limited(&r, MSS);
	bt_rate_sent(&r, &m[1], false, MS);
	bt_rate_sent(&r, &m[2], false, MS);
	assert_false(rate_ack(&r, &m[0], 1, 0, 10 * MS).rate_app_limited);
	assert_true(rate_ack(&r, &m[1], 1, 0, 11 * MS).rate_app_limited); /* past the lull */
	bt_rate_sent(&r, &m[3], false, 11 * MS);
	assert_true(rate_ack(&r, &m[2], 1, 0, 12 * MS).rate_app_limited);
	assert_false(rate_ack(&r, &m[3], 1, 0, 13 * MS).rate_app_limited);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cubic_curve),
		cmocka_unit_test(cubic_undone),
		cmocka_unit_test(hystart),
		cmocka_unit_test(hystart_short),
		cmocka_unit_test(prr),
		cmocka_unit_test(bbr_starts_fast),
		cmocka_unit_test(bbr_largest_rate),
		cmocka_unit_test(bbr_recovery),
		cmocka_unit_test(delivery_rate),
		cmocka_unit_test(program_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

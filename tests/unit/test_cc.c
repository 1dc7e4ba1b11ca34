/* SPDX-License-Identifier: Apache-2.0 */
/* Congestion control, step by step: each module is told what happens and asked for its window. How
 * they do on a path is test_cc_path.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/tcp/cc_modules.h"
#include "../../lib/tcp/rate.h"

#include <math.h>

#define MSS 1000u
#define MS  1000000ull
#define SEC 1000000000ull

static struct bt_cc started(enum berth_congestion module)
{
	struct bt_cc c;

	bt_cc_start(&c, module, MSS, false, 100 * MS, 1, SEC);
	return c;
}

/* `acked` bytes of a full window */
static void acked(struct bt_cc *c, uint32_t bytes, uint64_t now_ns)
{
	struct bt_cc_sample s = {
		.now_ns = now_ns,
		.acked = bytes,
		.delivered = bytes,
		.rtt_ns = 100 * MS,
		.in_flight_before = c->cwnd,
		.in_flight = c->cwnd - bytes,
	};

	bt_cc_sent(c, MSS, c->cwnd, now_ns);
	bt_cc_acked(c, &s);
}

static void initial_window(void **state)
{
	static const struct {
		uint32_t mss, cwnd;
	} rows[] = {{536, 5360}, {1000, 10000}, {1460, 14600}, {2000, 14600}, {8960, 17920}};
	struct bt_cc c;

	(void)state;
	for (unsigned i = 0; i < 5; i++) /* RFC 6928 2 */
		for (unsigned module = 0; module < 3; module++) {
			bt_cc_start(&c, module, rows[i].mss, false, 0, 1, 0);
			assert_int_equal(c.cwnd, rows[i].cwnd);
			assert_int_equal(c.ssthresh, UINT32_MAX);
			assert_int_equal(c.pacing_rate != 0, module == BERTH_CC_BBR);
			bt_cc_start(&c, module, rows[i].mss, true, 0, 1, 0);
			assert_int_equal(c.cwnd, rows[i].mss);
		}
}

static void slow_start(void **state)
{
	struct bt_cc c = started(BERTH_CC_RENO);

	(void)state;
	acked(&c, MSS, SEC);
	assert_int_equal(c.cwnd, 11 * MSS);
	acked(&c, 5 * MSS, SEC); /* RFC 3465 2.3: L = 2 */
	assert_int_equal(c.cwnd, 13 * MSS);
	acked(&c, 100, SEC); /* bytes, not ACKs: RFC 3465 2.2 */
	assert_int_equal(c.cwnd, 13 * MSS + 100);

	c.ssthresh = 14 * MSS;
	acked(&c, 2 * MSS, SEC); /* no further than ssthresh */
	assert_int_equal(c.cwnd, 14 * MSS);

	c = started(BERTH_CC_CUBIC);
	acked(&c, 20 * MSS, SEC); /* RFC 9406 4.3: L = 8 */
	assert_int_equal(c.cwnd, 18 * MSS);
}

static void reno_avoidance(void **state)
{
	struct bt_cc c = started(BERTH_CC_RENO);

	(void)state;
	c.ssthresh = c.cwnd;
	for (unsigned i = 0; i < 9; i++)
		acked(&c, MSS, SEC);
	assert_int_equal(c.cwnd, 10 * MSS);
	acked(&c, MSS, SEC); /* RFC 5681 3.1: a segment a window */
	assert_int_equal(c.cwnd, 11 * MSS);
	acked(&c, 11 * MSS, SEC); /* in one ACK as well */
	assert_int_equal(c.cwnd, 12 * MSS);
	acked(&c, 1200 * MSS, SEC); /* and no more for more, as after a time-out */
	assert_int_equal(c.cwnd, 13 * MSS);
}

/* RFC 7661 4.3, RFC 9438 5.8: no growth by what the program did not use */
static void unused_window(void **state)
{
	(void)state;
	for (unsigned module = 0; module < 2; module++)
		for (unsigned avoid = 0; avoid < 2; avoid++) {
			struct bt_cc c = started(module);
			struct bt_cc_sample s = {.acked = MSS, .delivered = MSS, .now_ns = SEC};

			if (avoid)
				c.ssthresh = c.cwnd;
			for (unsigned i = 0; i < 1000; i++) {
				s.now_ns += 100 * MS;
				s.in_flight_before = MSS;
				s.round_ended = true;
				bt_cc_sent(&c, MSS, MSS, s.now_ns);
				bt_cc_acked(&c, &s);
			}
			assert_int_equal(c.cwnd, 10 * MSS);
		}
}

static void recovery(enum berth_congestion module, uint32_t to)
{
	struct bt_cc c = started(module);
	struct bt_cc_sample s = {.delivered = MSS, .lost = MSS, .now_ns = SEC};
	uint32_t in_flight = 20 * MSS, sent = 0;

	c.cwnd = 20 * MSS;
	bt_cc_loss_found(&c, in_flight, in_flight, SEC);
	assert_int_equal(c.phase, BT_CC_RECOVERY);
	assert_int_equal(c.ssthresh, to);
	/* 19 of the 20 are delivered; what may be sent for them is a share of ssthresh */
	for (unsigned i = 0; i < 19; i++) {
		in_flight -= MSS + s.lost;
		s.in_flight = in_flight;
		bt_cc_acked(&c, &s);
		s.lost = 0;
		while (in_flight + MSS <= c.cwnd) {
			in_flight += MSS;
			sent += MSS;
			bt_cc_sent(&c, MSS, in_flight, SEC);
		}
		assert_true(i > 0 || sent == MSS); /* the retransmission leaves at once */
	}
	/* within a segment */
	assert_true(in_flight <= to && in_flight + 2 * MSS > to);
	bt_cc_recovered(&c, in_flight, SEC);
	assert_int_equal(c.cwnd, to);
	assert_int_equal(c.phase, BT_CC_OPEN);
}

static void halving(void **state)
{
	struct bt_cc c = started(BERTH_CC_RENO);

	(void)state;
	c.cwnd = 20 * MSS;
	bt_cc_loss_found(&c, 12 * MSS, 12 * MSS, SEC); /* what is used of the window counts */
	assert_int_equal(c.ssthresh, 6 * MSS);
	c = started(BERTH_CC_RENO);
	c.cwnd = 20 * MSS;
	bt_cc_loss_found(&c, 100 * MSS, 20 * MSS, SEC); /* not what has been SACKed */
	assert_int_equal(c.ssthresh, 10 * MSS);
	recovery(BERTH_CC_RENO, 10 * MSS);  /* RFC 5681 3.1 (4) */
	recovery(BERTH_CC_CUBIC, 14 * MSS); /* RFC 9438 4.6 */
}

static void time_out(void **state)
{
	(void)state;
	for (unsigned module = 0; module < 2; module++) {
		struct bt_cc c = started(module);
		uint32_t to = module == BERTH_CC_RENO ? 10 * MSS : 14 * MSS;

		c.cwnd = 20 * MSS;
		bt_cc_timed_out(&c, 20 * MSS, false, SEC);
		assert_int_equal(c.cwnd, MSS); /* RFC 5681 3.1: the loss window */
		assert_int_equal(c.ssthresh, to);
		bt_cc_timed_out(&c, MSS, true, 2 * SEC); /* held */
		assert_int_equal(c.ssthresh, to);
		acked(&c, 5 * MSS, 2 * SEC); /* RFC 3465 2.3: L = 1 now */
		assert_int_equal(c.cwnd, 2 * MSS);
		bt_cc_timed_out(&c, 2 * MSS, false, 3 * SEC);
		assert_int_equal(c.ssthresh, 2 * MSS); /* no less */
		bt_cc_recovered(&c, 0, 3 * SEC);
		assert_int_equal(c.phase, BT_CC_OPEN);
		assert_int_equal(c.cwnd, MSS);
	}
}

static void undo(void **state)
{
	(void)state;
	for (unsigned module = 0; module < 3; module++) {
		struct bt_cc c = started(module);
		uint32_t ssthresh = c.ssthresh;

		c.cwnd = 20 * MSS;
		bt_cc_spurious(&c, SEC); /* nothing to undo */
		assert_int_equal(c.cwnd, 20 * MSS);
		bt_cc_loss_found(&c, 15 * MSS, 15 * MSS, SEC);
		bt_cc_timed_out(&c, 15 * MSS, false, SEC);
		bt_cc_timed_out(&c, 15 * MSS, true, 2 * SEC);
		assert_int_equal(c.cwnd, MSS);
		bt_cc_spurious(&c, 3 * SEC);
		assert_int_equal(c.cwnd, 20 * MSS);
		assert_int_equal(c.ssthresh, ssthresh);
		assert_int_equal(c.phase, BT_CC_OPEN);
		bt_cc_timed_out(&c, 15 * MSS, false, SEC);
		bt_cc_spurious(&c, SEC);
		assert_int_equal(c.cwnd, 20 * MSS);
		bt_cc_spurious(&c, SEC); /* once */
		assert_int_equal(c.cwnd, 20 * MSS);
	}
}

static void congestion_echoed(void **state)
{
	struct bt_cc c = started(BERTH_CC_RENO);

	(void)state;
	c.cwnd = 20 * MSS;
	bt_cc_ecn_echoed(&c, 20 * MSS, SEC); /* RFC 3168 6.1.2: as for a loss */
	assert_int_equal(c.cwnd, 10 * MSS);
	assert_int_equal(c.ssthresh, 10 * MSS);
	bt_cc_spurious(&c, SEC); /* it was no retransmission */
	assert_int_equal(c.cwnd, 10 * MSS);
	bt_cc_loss_found(&c, 10 * MSS, 10 * MSS, SEC);
	bt_cc_ecn_echoed(&c, 10 * MSS, SEC); /* one reduction is enough */
	assert_int_equal(c.ssthresh, 5 * MSS);

	c = started(BERTH_CC_CUBIC);
	c.cwnd = 20 * MSS;
	bt_cc_ecn_echoed(&c, 20 * MSS, SEC); /* RFC 9438 4.6 */
	assert_int_equal(c.cwnd, 14 * MSS);
}

static void idle(void **state)
{
	static const struct {
		uint64_t idle_ms;
		uint32_t cwnd;
	} rows[] = {{0, 80}, {200, 80}, {201, 40}, {500, 20}, {600, 10}, {1000000000, 10}};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct bt_cc c = started(BERTH_CC_RENO);

		c.cwnd = 80 * MSS;
		c.ssthresh = 20 * MSS;
		bt_cc_idle_ended(&c, rows[i].idle_ms * MS, 200 * MS, SEC);
		assert_int_equal(c.cwnd, rows[i].cwnd * MSS); /* RFC 2861 3 */
		assert_int_equal(c.ssthresh, i < 2 ? 20 * MSS : 60 * MSS);
		c.cwnd = 3 * MSS; /* RFC 5681 4.1: never up */
		bt_cc_idle_ended(&c, 9 * SEC, 200 * MS, SEC);
		assert_int_equal(c.cwnd, 3 * MSS);
	}
}

static void module_changed(void **state)
{
	(void)state;
	for (unsigned from = 0; from < 3; from++)
		for (unsigned to = 0; to < 3; to++)
			for (unsigned lost = 0; lost < 2; lost++) {
				struct bt_cc c = started(from);
				uint32_t cwnd;

				c.cwnd = 20 * MSS;
				if (lost)
					bt_cc_loss_found(&c, 20 * MSS, 20 * MSS, SEC);
				cwnd = c.cwnd;
				bt_cc_changed(&c, to, SEC);
				assert_int_equal(c.cwnd, cwnd);
				assert_int_equal(c.module, to);
				assert_int_equal(c.pacing_rate != 0, to == BERTH_CC_BBR);
				acked(&c, MSS, SEC);
				assert_true(c.cwnd >= MSS && c.cwnd <= 22 * MSS);
				bt_cc_recovered(&c, 0, SEC);
				assert_true(c.cwnd >= MSS && c.cwnd <= 40 * MSS);
			}
}

static void segment_size_changed(void **state)
{
	struct bt_cc c = started(BERTH_CC_RENO);

	(void)state;
	bt_cc_timed_out(&c, 10 * MSS, false, SEC);
	bt_cc_mss_changed(&c, 9000);
	assert_int_equal(c.cwnd, 9000); /* a segment always fits */
	bt_cc_mss_changed(&c, 500);
	assert_int_equal(c.cwnd, 9000);
}

static void cube_root(void **state)
{
	(void)state;
	for (uint64_t x = 0; x < 2642245; x += x < 3000 ? 1 : 977) {
		assert_int_equal(bt_cubic_root(x * x * x), x);
		if (x > 0)
			assert_int_equal(bt_cubic_root(x * x * x - 1), x - 1);
		if (x > 0)
			assert_int_equal(bt_cubic_root(x * x * x + 1), x);
	}
	assert_int_equal(bt_cubic_root(UINT64_MAX), 2642245);
}

/* ---- any events in any order ---- */

static uint32_t pick(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*random >> 33) % below);
}

/* What TCP may say after anything; in flight: *pipe. */
static void event(struct bt_cc *c, uint64_t *random, uint32_t *pipe, uint64_t now_ns)
{
	uint32_t n = pick(random, 100), bytes = 1 + pick(random, 20 * c->mss);
	uint64_t idle_ns = pick(random, 1u << 30) * 10ull;
	struct bt_cc_sample s = {.now_ns = now_ns, .in_flight_before = *pipe};

	switch (n) {
	case 0:
		bt_cc_loss_found(c, *pipe + bytes, *pipe, now_ns);
		break;
	case 1:
		bt_cc_timed_out(c, *pipe + bytes, pick(random, 2), now_ns);
		*pipe = 0;
		break;
	case 2:
		bt_cc_spurious(c, now_ns);
		break;
	case 3:
		bt_cc_ecn_echoed(c, *pipe, now_ns);
		break;
	case 4:
		bt_cc_idle_ended(c, idle_ns, pick(random, 1u << 30), now_ns);
		break;
	case 5:
		bt_cc_mss_changed(c, 1 + pick(random, 65535));
		break;
	case 6:
		bt_cc_changed(c, pick(random, 3), now_ns);
		break;
	case 7:
	case 8:
		bt_cc_recovered(c, *pipe, now_ns);
		break;
	default:
		if (n % 2 && *pipe + bytes <= c->cwnd) {
			*pipe += bytes;
			bt_cc_sent(c, bytes, *pipe, now_ns);
			break;
		}
		s.delivered = bytes < *pipe ? bytes : *pipe;
		s.acked = n % 3 ? s.delivered : pick(random, 1u << 30);
		s.lost = n % 7 ? 0 : pick(random, *pipe - s.delivered + 1);
		*pipe -= s.delivered + s.lost;
		s.in_flight = *pipe;
		s.rtt_ns = n % 5 ? (uint64_t)pick(random, 1u << 30) << pick(random, 6) : 0;
		s.rate = n % 4 ? (uint64_t)pick(random, 1u << 30) << pick(random, 24) : 0;
		s.rate_app_limited = pick(random, 4) == 0;
		s.round_ended = pick(random, 10) == 0;
		bt_cc_acked(c, &s);
	}
}

static void any_order(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 300; seed++) {
		uint64_t random = seed, now_ns = seed;
		uint32_t pipe = 0;
		struct bt_cc c;

		bt_cc_start(&c, seed % 3, 1 + pick(&random, 65535), seed % 2,
			    (uint64_t)seed % 5 * MS, seed, now_ns);
		for (unsigned i = 0; i < 3000; i++) {
			event(&c, &random, &pipe, now_ns);
			now_ns += pick(&random, 1u << 28);
			if (c.cwnd < c.mss || c.cwnd > BT_CC_CWND_MAX || c.ssthresh == 0 ||
			    bt_cc_burst(&c) < c.mss ||
			    (c.pacing_rate != 0) != (c.module == BERTH_CC_BBR))
				fail_msg("seed %u, event %u: cwnd %u, mss %u, ssthresh %u", seed, i,
					 c.cwnd, c.mss, c.ssthresh);
		}
	}
}

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
		cmocka_unit_test(initial_window),
		cmocka_unit_test(slow_start),
		cmocka_unit_test(reno_avoidance),
		cmocka_unit_test(unused_window),
		cmocka_unit_test(halving),
		cmocka_unit_test(time_out),
		cmocka_unit_test(undo),
		cmocka_unit_test(congestion_echoed),
		cmocka_unit_test(idle),
		cmocka_unit_test(module_changed),
		cmocka_unit_test(segment_size_changed),
		cmocka_unit_test(any_order),
		cmocka_unit_test(cube_root),
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

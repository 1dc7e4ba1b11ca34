/* SPDX-License-Identifier: Apache-2.0 */
/* Congestion control, step by step: each module is told what happens and asked for its window. How
 * they do on a path is test_cc_path.c's. */
#include "cc_help.h"

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
		cmocka_unit_test(cube_root),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

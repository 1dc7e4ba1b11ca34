/* SPDX-License-Identifier: Apache-2.0 */
/* Each module on a path: it fills the pipe, shares it, and BBR goes through its states. The figures
 * asked for are what the algorithms promise with some room; time is virtual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cc_path.h"

#include <stdio.h>

#define MS  1000000ull
#define SEC 1000000000ull

static const char *const names[] = {"cubic", "reno", "bbr"};

static struct path path_of(unsigned mbit, unsigned ms, double bdps)
{
	struct path p = {
		.bytes_per_s = mbit * 125000ull,
		.delay_ns = ms * MS,
		.random = 1,
	};

	p.queue_bytes = (uint32_t)(bdps * (double)(p.bytes_per_s * p.delay_ns / SEC));
	return p;
}

/* What all flows together deliver in [from, to), in thousandths of what the link carries. */
static uint64_t used(struct path *p, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t before = 0, after = 0;

	path_run(p, from_ns);
	for (unsigned i = 0; i < p->n; i++)
		before += p->flow[i].delivered;
	path_run(p, to_ns);
	for (unsigned i = 0; i < p->n; i++)
		after += p->flow[i].delivered;
	return (after - before) * 1000 / (p->bytes_per_s * (to_ns - from_ns) / SEC);
}

static void fills_the_pipe(void **state)
{
	static const struct {
		unsigned mbit, ms, drop_every;
		double bdps;
		unsigned least[3];
	} rows[] = {
		{50, 40, 0, 1, {980, 980, 950}},
		{10, 10, 0, 1, {980, 980, 950}},
		{100, 5, 0, 2, {980, 980, 950}},
		{50, 40, 0, 0.1, {800, 700, 900}},  /* a queue of a tenth */
		{50, 40, 1000, 1, {200, 150, 900}}, /* random loss: BBR does not mind */
		{1, 200, 0, 1, {950, 900, 900}},
	};

	(void)state;
	for (unsigned r = 0; r < 6; r++)
		for (unsigned module = 0; module < 3; module++) {
			struct path p = path_of(rows[r].mbit, rows[r].ms, rows[r].bdps);
			uint64_t got;

			p.drop_every = rows[r].drop_every;
			path_add(&p, module, 0);
			got = used(&p, 10 * SEC, 30 * SEC);
			if (got < rows[r].least[module] || got > 1001)
				fail_msg("row %u, %s: %u of 1,000", r, names[module],
					 (unsigned)got);
			assert_int_equal(p.flow[0].timeouts, 0);
			path_end(&p);
		}
}

/* Jain's index, in thousandths */
static uint64_t fairness(const uint64_t *x, unsigned n)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < n; i++) {
		sum += (double)x[i];
		squares += (double)x[i] * (double)x[i];
	}
	return (uint64_t)(1000 * sum * sum / (n * squares));
}

static void share(const char *what, const enum berth_congestion *module, unsigned n, uint64_t least)
{
	struct path p = path_of(50, 20, 1);
	uint64_t x[PATH_FLOWS], got;

	for (unsigned i = 0; i < n; i++)
		path_add(&p, module[i], i * 2 * SEC);
	path_run(&p, 30 * SEC);
	for (unsigned i = 0; i < n; i++)
		x[i] = p.flow[i].delivered;
	got = used(&p, 30 * SEC, 90 * SEC);
	for (unsigned i = 0; i < n; i++)
		x[i] = p.flow[i].delivered - x[i];
	if (got < 950 || fairness(x, n) < least)
		fail_msg("%s: %u of 1,000 used, fairness %u", what, (unsigned)got,
			 (unsigned)fairness(x, n));
	path_end(&p);
}

static void shares(void **state)
{
	static const enum berth_congestion mixed[] = {BERTH_CC_CUBIC, BERTH_CC_RENO};

	(void)state;
	for (unsigned module = 0; module < 3; module++) {
		enum berth_congestion all[] = {module, module, module, module};

		share(names[module], all, 2, 900);
		share(names[module], all, 4, 850);
	}
	share("cubic and reno", mixed, 2, 800); /* RFC 9438 4.3: its friendly region */
}

/* HyStart++ leaves slow start before a deep queue is full (its conservative rounds take cwnd to
 * three times what it was when the round trips grew); what Reno loses tells the difference. */
static void slow_start_ends_early(void **state)
{
	struct path p = path_of(50, 40, 16), q = path_of(50, 40, 16);

	(void)state;
	path_add(&p, BERTH_CC_CUBIC, 0);
	path_add(&q, BERTH_CC_RENO, 0);
	path_run(&p, 2 * SEC);
	path_run(&q, 2 * SEC);
	assert_true(q.flow[0].lost > 500);
	assert_int_equal(p.flow[0].lost, 0);
	assert_true(p.flow[0].cc.ssthresh != UINT32_MAX);
	assert_true(used(&p, 2 * SEC, 4 * SEC) > 980);
	path_end(&p);
	path_end(&q);
}

struct seen {
	uint64_t entered[4]; /* how often each state */
	uint64_t probe_rtt_ns, since_ns;
	uint32_t least_cwnd, most_in_flight; /* in PROBE_RTT; in PROBE_BW after a second */
	uint64_t fastest, slowest;	     /* pacing in PROBE_BW */
	uint64_t least_bw;
	int last;
};

static void watch(struct path *p, struct path_flow *f, const struct bt_cc_sample *s, void *arg)
{
	struct seen *e = arg;
	int now = f->cc.bbr.state;

	if (now != e->last) {
		/* the only ways (4.3.1) */
		if (e->last == BT_BBR_STARTUP)
			assert_true(now == BT_BBR_DRAIN || now == BT_BBR_PROBE_BW);
		if (e->last == BT_BBR_DRAIN || e->last == BT_BBR_PROBE_RTT)
			assert_int_equal(now, BT_BBR_PROBE_BW);
		if (e->last == BT_BBR_PROBE_BW)
			assert_int_equal(now, BT_BBR_PROBE_RTT);
		if (e->last == BT_BBR_PROBE_RTT)
			e->probe_rtt_ns += p->now_ns - e->since_ns;
		e->since_ns = p->now_ns;
		e->entered[now]++;
		e->last = now;
	}
	if (now == BT_BBR_PROBE_RTT && f->cc.cwnd < e->least_cwnd)
		e->least_cwnd = f->cc.cwnd;
	if (p->now_ns > 2 * SEC && f->cc.bbr.bw[0] < e->least_bw)
		e->least_bw = f->cc.bbr.bw[0];
	if (now != BT_BBR_PROBE_BW || p->now_ns < 2 * SEC)
		return;
	if (s->in_flight > e->most_in_flight)
		e->most_in_flight = s->in_flight;
	if (f->cc.pacing_rate > e->fastest)
		e->fastest = f->cc.pacing_rate;
	if (f->cc.pacing_rate < e->slowest)
		e->slowest = f->cc.pacing_rate;
}

static void bbr_states_at(unsigned ms)
{
	struct path p = path_of(50, ms, 4);
	struct seen e = {.slowest = UINT64_MAX, .least_cwnd = UINT32_MAX, .least_bw = UINT64_MAX};
	uint64_t bdp = p.bytes_per_s * ms / 1000;
	struct bt_cc *c;

	p.acked = watch;
	p.arg = &e;
	path_add(&p, BERTH_CC_BBR, 0);
	path_run(&p, 35 * SEC);
	c = &p.flow[0].cc;
	assert_int_equal(e.entered[BT_BBR_DRAIN], 1);
	/* every ten seconds, for 200 ms and a round (4.3.5) */
	assert_int_equal(e.entered[BT_BBR_PROBE_RTT], 3);
	assert_int_equal(e.entered[BT_BBR_PROBE_BW], 4);
	assert_in_range(e.probe_rtt_ns, 3 * 200 * MS, 3 * 330 * MS);
	assert_int_equal(e.least_cwnd, 4 * PATH_MSS);
	/* the model is the path, and PROBE_RTT's few segments do not change it */
	assert_true(e.least_bw >= p.bytes_per_s * 98 / 100);
	assert_in_range(c->bbr.bw[0], p.bytes_per_s * 98 / 100, p.bytes_per_s * 101 / 100);
	assert_in_range(c->bbr.min_rtt_ns, ms * MS, (ms + 1) * MS);
	/* gains of 5/4 and 3/4, less the margin */
	assert_in_range(e.fastest, p.bytes_per_s * 120 / 100, p.bytes_per_s * 126 / 100);
	assert_in_range(e.slowest, p.bytes_per_s * 71 / 100, p.bytes_per_s * 76 / 100);
	assert_true(e.most_in_flight < bdp * 2 + 3 * bt_cc_burst(c));
	assert_int_equal(p.flow[0].lost, 0);
	path_end(&p);
}

static void bbr_states(void **state)
{
	(void)state;
	bbr_states_at(40);
	bbr_states_at(5); /* PROBE_RTT lasts longer than the rate is remembered */
}

/* A link that becomes ten times slower, then faster again: the model follows. */
static void bbr_follows(void **state)
{
	struct path p = path_of(50, 20, 4);

	(void)state;
	path_add(&p, BERTH_CC_BBR, 0);
	path_run(&p, 5 * SEC);
	p.bytes_per_s /= 10;
	assert_true(used(&p, 10 * SEC, 15 * SEC) > 900);
	assert_true(p.flow[0].cc.bbr.bw[0] < p.bytes_per_s * 11 / 10);
	p.bytes_per_s *= 10;
	assert_true(used(&p, 20 * SEC, 25 * SEC) > 900);
	path_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_the_pipe),	 cmocka_unit_test(shares),
		cmocka_unit_test(slow_start_ends_early), cmocka_unit_test(bbr_states),
		cmocka_unit_test(bbr_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

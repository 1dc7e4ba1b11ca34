/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of congestion control share. */
#ifndef BERTH_TESTS_CC_HELP_H
#define BERTH_TESTS_CC_HELP_H

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

static inline struct bt_cc started(enum berth_congestion module)
{
	struct bt_cc c;

	bt_cc_start(&c, module, MSS, false, 100 * MS, 1, SEC);
	return c;
}

/* `acked` bytes of a full window */
static inline void acked(struct bt_cc *c, uint32_t bytes, uint64_t now_ns)
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

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HyStart++ (RFC 9406): leaves the first slow start when round trips grow longer, before the queue
 * overflows. It goes by way of conservative slow start, which is given up again when the round
 * trips shorten: then it was not the queue.
 */
#include "cc_modules.h"

enum { SLOW_START, CONSERVATIVE };

#define NONE	   UINT32_MAX
#define THRESH_MIN 4000u  /* us, RFC 9406 4.3 */
#define THRESH_MAX 16000u /* us */
#define N_SAMPLES  8
#define CSS_GROWTH 4
#define CSS_ROUNDS 5

void bt_hystart_start(struct bt_cc_hystart *h)
{
	*h = (struct bt_cc_hystart){.last_rtt = NONE, .rtt = NONE, .css_rtt = NONE};
}

static void measured(struct bt_cc_hystart *h, uint64_t rtt_ns)
{
	uint64_t us = rtt_ns / 1000;

	if (rtt_ns == 0)
		return;
	h->rtt = us < h->rtt ? (uint32_t)us : h->rtt;
	if (h->samples < N_SAMPLES)
		h->samples++;
}

static bool grown(const struct bt_cc_hystart *h)
{
	uint32_t thresh = bt_max32(THRESH_MIN, bt_min32(h->last_rtt / 8, THRESH_MAX));

	return h->last_rtt != NONE && h->rtt >= h->last_rtt && h->rtt - h->last_rtt >= thresh;
}

static void round_ended(struct bt_cc *c, struct bt_cc_hystart *h)
{
	h->last_rtt = h->rtt;
	h->rtt = NONE;
	h->samples = 0;
	if (h->phase == CONSERVATIVE && ++h->css_rounds >= CSS_ROUNDS)
		c->ssthresh = c->cwnd;
}

uint32_t bt_hystart_acked(struct bt_cc *c, struct bt_cc_hystart *h, const struct bt_cc_sample *s)
{
	measured(h, s->rtt_ns);
	if (h->samples >= N_SAMPLES && h->phase == SLOW_START && grown(h)) {
		h->phase = CONSERVATIVE;
		h->css_rtt = h->rtt;
		h->css_rounds = 0;
	} else if (h->samples >= N_SAMPLES && h->phase == CONSERVATIVE && h->rtt < h->css_rtt) {
		h->phase = SLOW_START;
		h->css_rtt = NONE;
	}
	if (s->round_ended)
		round_ended(c, h);
	return h->phase == CONSERVATIVE ? CSS_GROWTH : 1;
}

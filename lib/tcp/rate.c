/* SPDX-License-Identifier: Apache-2.0 */
/* draft-cheng-iccrg-delivery-rate-estimation-02, section 3. */
#include "rate.h"

#define NS_PER_S 1000000000u

void bt_rate_start(struct bt_rate *r, uint64_t now_ns)
{
	*r = (struct bt_rate){.delivered_ns = now_ns, .first_sent_ns = now_ns};
}

void bt_rate_sent(struct bt_rate *r, struct bt_rate_mark *m, bool nothing_in_flight,
		  uint64_t now_ns)
{
	if (nothing_in_flight)
		r->first_sent_ns = r->delivered_ns = now_ns;
	*m = (struct bt_rate_mark){
		.sent_ns = now_ns,
		.first_sent_ns = r->first_sent_ns,
		.delivered_ns = r->delivered_ns,
		.delivered = r->delivered & (UINT64_MAX >> 1),
		.app_limited = r->limited_until != 0,
	};
}

void bt_rate_app_limited(struct bt_rate *r, uint32_t in_flight)
{
	uint64_t until = r->delivered + in_flight;

	r->limited_until = until > 0 ? until : 1;
}

void bt_rate_ack_begin(struct bt_rate_ack *a)
{
	*a = (struct bt_rate_ack){0};
}

static bool sent_later(const struct bt_rate_mark *m, const struct bt_rate_mark *than)
{
	if (m->delivered != than->delivered)
		return m->delivered > than->delivered;
	return m->sent_ns >= than->sent_ns;
}

void bt_rate_delivered(struct bt_rate *r, struct bt_rate_ack *a, const struct bt_rate_mark *m,
		       uint32_t bytes, uint64_t now_ns)
{
	r->delivered += bytes;
	r->delivered_ns = now_ns;
	a->delivered += bytes;
	if (!a->any || sent_later(m, &a->mark)) {
		a->mark = *m;
		a->any = true;
		r->first_sent_ns = m->sent_ns;
	}
}

/* The slower of sending and acking; less than a round trip measures a burst, not the path. */
static uint64_t rate_of(const struct bt_rate *r, const struct bt_rate_mark *m, uint64_t min_rtt_ns)
{
	uint64_t send_ns = m->sent_ns - m->first_sent_ns;
	uint64_t ack_ns = r->delivered_ns - m->delivered_ns;
	uint64_t ns = send_ns > ack_ns ? send_ns : ack_ns;
	uint64_t bytes = r->delivered - m->delivered;

	if (ns == 0 || ns < min_rtt_ns)
		return 0;
	if (bytes > UINT64_MAX / NS_PER_S)
		return bytes / ns * NS_PER_S;
	return bytes * NS_PER_S / ns;
}

void bt_rate_ack_end(struct bt_rate *r, const struct bt_rate_ack *a, uint64_t min_rtt_ns,
		     struct bt_cc_sample *s)
{
	if (r->limited_until != 0 && r->delivered > r->limited_until)
		r->limited_until = 0;
	s->delivered = a->delivered;
	s->rate = a->any ? rate_of(r, &a->mark, min_rtt_ns) : 0;
	s->rate_app_limited = a->any && a->mark.app_limited;
	s->round_ended = a->any && a->mark.delivered >= r->round_end;
	if (s->round_ended)
		r->round_end = r->delivered;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9937 5 and 6. Counted in bytes, so a share may be less than a segment: it stays in
 * `delivered` and comes with a later ACK. */
#include "prr.h"

void bt_prr_start(struct bt_prr *p, uint32_t in_flight)
{
	*p = (struct bt_prr){.from = in_flight > 0 ? in_flight : 1};
}

static uint32_t more_than(uint64_t a, uint64_t b)
{
	return a > b ? (uint32_t)(a - b) : 0;
}

uint32_t bt_prr_acked(struct bt_prr *p, uint32_t delivered, uint32_t in_flight, uint32_t ssthresh,
		      uint32_t mss, bool safe)
{
	uint64_t share;
	uint32_t send;

	p->delivered += delivered;
	if (in_flight > ssthresh) {
		share = ((uint64_t)p->delivered * ssthresh + p->from - 1) / p->from;
		send = more_than(share, p->out);
	} else {
		/* packet conservation, and a segment more where that is known to be safe */
		send = more_than(p->delivered, p->out);
		if (send < delivered)
			send = delivered;
		if (safe)
			send += mss;
		if (send > ssthresh - in_flight)
			send = ssthresh - in_flight;
	}
	/* the retransmission that opens recovery is not held back */
	if (p->out == 0 && send < mss)
		send = mss;
	return send;
}

void bt_prr_sent(struct bt_prr *p, uint32_t bytes)
{
	p->out += bytes;
}

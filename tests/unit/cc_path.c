/* SPDX-License-Identifier: Apache-2.0 */
#include "cc_path.h"

#include <assert.h>
#include <stdlib.h>

void path_add(struct path *p, enum berth_congestion module, uint64_t start_ns)
{
	struct path_flow *f = &p->flow[p->n++];

	assert(p->n <= PATH_FLOWS);
	*f = (struct path_flow){.start_ns = start_ns, .paced_ns = start_ns, .last_ns = start_ns};
	f->ring = calloc(PATH_RING, sizeof(*f->ring));
	assert(f->ring != NULL);
	bt_cc_start(&f->cc, module, PATH_MSS, false, p->delay_ns, p->n * 77, start_ns);
	bt_rate_start(&f->rate, start_ns);
}

void path_end(struct path *p)
{
	for (unsigned i = 0; i < p->n; i++)
		free(p->flow[i].ring);
}

static struct path_packet *packet(struct path_flow *f, uint64_t number)
{
	return &f->ring[number % PATH_RING];
}

static bool may_send(const struct path_flow *f)
{
	return f->in_flight + PATH_MSS <= f->cc.cwnd && f->next - f->first < PATH_RING;
}

/* through the link, or off the end of its queue */
static uint64_t carried(struct path *p)
{
	uint64_t take_ns = (uint64_t)PATH_MSS * 1000000000u / p->bytes_per_s;
	uint64_t start_ns = p->free_ns > p->now_ns ? p->free_ns : p->now_ns;
	uint64_t waiting = (start_ns - p->now_ns) * p->bytes_per_s / 1000000000u;

	p->random = p->random * 1664525u + 1013904223u;
	if (waiting + PATH_MSS > p->queue_bytes)
		return UINT64_MAX;
	p->free_ns = start_ns + take_ns;
	if (p->drop_every != 0 && (p->random >> 8) % p->drop_every == 0)
		return UINT64_MAX;
	return p->free_ns + p->delay_ns;
}

static void send(struct path *p, struct path_flow *f)
{
	struct path_packet *k = packet(f, f->next);

	bt_rate_sent(&f->rate, &k->mark, f->in_flight == 0, p->now_ns);
	k->back_ns = carried(p);
	k->done = false;
	f->next++;
	f->in_flight += PATH_MSS;
	bt_cc_sent(&f->cc, PATH_MSS, f->in_flight, p->now_ns);
	if (f->cc.pacing_rate != 0) {
		uint64_t gap = (uint64_t)PATH_MSS * 1000000000u / f->cc.pacing_rate;
		uint64_t from = f->paced_ns > p->now_ns ? f->paced_ns : p->now_ns;

		f->paced_ns = from + gap;
	}
	f->last_ns = p->now_ns;
}

/* What was sent three packets before the one that came and has not come is lost. *anew: also one
 * that was sent since the last recovery began. */
static uint32_t find_lost(struct path_flow *f, uint64_t number, bool *anew)
{
	uint32_t lost = 0;

	*anew = false;
	while (f->first < f->next && (packet(f, f->first)->done || f->first + 3 <= number)) {
		if (!packet(f, f->first)->done) {
			lost += PATH_MSS;
			*anew = *anew || f->first >= f->recover;
		}
		f->first++;
	}
	return lost;
}

static void ack(struct path *p, struct path_flow *f, uint64_t number)
{
	struct path_packet *k = packet(f, number);
	struct bt_cc_sample s = {.now_ns = p->now_ns, .in_flight_before = f->in_flight};
	uint32_t before = f->in_flight;
	struct bt_rate_ack a;
	bool anew;

	s.rtt_ns = p->now_ns - k->mark.sent_ns;
	if (f->min_rtt_ns == 0 || s.rtt_ns < f->min_rtt_ns)
		f->min_rtt_ns = s.rtt_ns;
	bt_rate_ack_begin(&a);
	bt_rate_delivered(&f->rate, &a, &k->mark, PATH_MSS, p->now_ns);
	bt_rate_ack_end(&f->rate, &a, f->min_rtt_ns, &s);
	k->done = true;
	f->delivered += PATH_MSS;
	s.lost = find_lost(f, number, &anew);
	s.acked = PATH_MSS;
	f->in_flight -= PATH_MSS + s.lost;
	s.in_flight = f->in_flight;
	f->lost += s.lost / PATH_MSS;
	if (f->cc.phase != BT_CC_OPEN && f->first >= f->recover)
		bt_cc_recovered(&f->cc, f->in_flight, p->now_ns);
	if (anew && f->cc.phase == BT_CC_OPEN) {
		f->recover = f->next;
		f->episodes++;
		bt_cc_loss_found(&f->cc, before, before, p->now_ns);
	}
	bt_cc_acked(&f->cc, &s);
	f->last_ns = p->now_ns;
	if (p->acked != NULL)
		p->acked(p, f, &s, p->arg);
}

#define RTO_NS 1000000000u

static void time_out(struct path *p, struct path_flow *f)
{
	bt_cc_timed_out(&f->cc, f->in_flight, f->cc.phase == BT_CC_LOST, p->now_ns);
	f->timeouts++;
	f->first = f->recover = f->next;
	f->in_flight = 0;
	f->last_ns = p->now_ns;
}

enum what { ACK, SEND, TIME_OUT };

/* The packet whose ACK is the flow's next: they come in the order they were sent. */
static uint64_t next_back(struct path_flow *f, uint64_t *at_ns)
{
	uint64_t n = f->first;

	while (n < f->next && (packet(f, n)->done || packet(f, n)->back_ns == UINT64_MAX))
		n++;
	*at_ns = n < f->next ? packet(f, n)->back_ns : UINT64_MAX;
	return n;
}

static enum what next_of(const struct path *p, struct path_flow *f, uint64_t *at_ns, uint64_t *n)
{
	uint64_t send_ns = UINT64_MAX;
	enum what what = ACK;

	*n = next_back(f, at_ns);
	if (may_send(f)) {
		send_ns = p->now_ns > f->start_ns ? p->now_ns : f->start_ns;
		if (f->cc.pacing_rate != 0 && f->paced_ns > send_ns)
			send_ns = f->paced_ns;
	}
	if (send_ns <= *at_ns) {
		*at_ns = send_ns;
		what = SEND;
	}
	if (*at_ns == UINT64_MAX) {
		*at_ns = f->last_ns + RTO_NS;
		what = TIME_OUT;
	}
	return what;
}

void path_run(struct path *p, uint64_t until_ns)
{
	for (;;) {
		uint64_t best_ns = UINT64_MAX, number = 0;
		struct path_flow *best = NULL;
		enum what what = ACK;

		for (unsigned i = 0; i < p->n; i++) {
			uint64_t at_ns, n;
			enum what w = next_of(p, &p->flow[i], &at_ns, &n);

			if (at_ns < best_ns) {
				best_ns = at_ns;
				best = &p->flow[i];
				number = n;
				what = w;
			}
		}
		if (best_ns > until_ns)
			break;
		p->now_ns = best_ns;
		if (what == SEND)
			send(p, best);
		else if (what == ACK)
			ack(p, best, number);
		else
			time_out(p, best);
	}
	p->now_ns = until_ns;
}

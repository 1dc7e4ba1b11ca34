/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledgments. Those that come: what they take off the send queue, round-trip times (RFC 6298),
 * the peer's window, congestion. Those that go: when (RFC 9293 3.8.6.3, RFC 5681 4.2), and how much
 * window they offer: the buffer's room, never less than was offered before, and not in small pieces
 * (RFC 9293 3.8.6.2.2); the buffer grows with what the program reads in a round trip.
 */
#include "tcb.h"

/* ---- round-trip times ---- */

/* RFC 6298 2.2, 2.3; the floor is under the variance's part, as in Linux. */
void bt_ack_rtt(struct bt_tcp *t, struct bt_conn *c, uint64_t rtt_ns)
{
	uint64_t us = rtt_ns / 1000;
	uint32_t r = us < 1 ? 1 : us > BT_RTO_MAX ? BT_RTO_MAX : (uint32_t)us;

	(void)t;
	c->min_rtt = bt_min32(c->min_rtt, r);
	if (c->srtt8 == 0) {
		c->srtt8 = r * 8;
		c->rttvar4 = r * 2;
	} else {
		uint32_t srtt = c->srtt8 >> 3, off = srtt > r ? srtt - r : r - srtt;

		c->rttvar4 = c->rttvar4 - (c->rttvar4 >> 2) + off;
		c->srtt8 = c->srtt8 - (c->srtt8 >> 3) + r;
		if (c->srtt8 == 0)
			c->srtt8 = 1;
	}
	c->rto = bt_min32((c->srtt8 >> 3) + bt_max32(c->rttvar4, BT_RTO_MIN), BT_RTO_MAX);
}

/* ---- ACKs that come ---- */

/* RFC 9293 3.10.7.4, fifth: SND.WL1 and WL2 keep old segments from setting the window, which has no
 * sign and 32 bits (MUST-1, REC-1). */
static void update_window(struct bt_tcp *t, struct bt_conn *c, const struct bt_tcp_seg *s)
{
	uint32_t wnd = (uint32_t)s->window << c->snd_scale;

	if (!bt_seq_lt(c->wl1, s->seq) && !(bt_seq_eq(c->wl1, s->seq) && bt_seq_le(c->wl2, s->ack)))
		return;
	c->wl1 = s->seq;
	c->wl2 = s->ack;
	if (wnd == c->snd_wnd)
		return;
	if (wnd > c->snd_wnd && bt_conn_unsent(c) > 0)
		bt_conn_wants_out(t, c);
	c->snd_wnd = wnd;
	c->max_wnd = bt_max32(c->max_wnd, wnd);
}

/* Takes what is acked off the queue, and tells the program of the room. */
static void advance(struct bt_tcp *t, struct bt_conn *c, struct bt_seq ack)
{
	uint32_t n = ack.n - c->snd_una.n, data = bt_min32(n, c->queued), want;

	bt_bytes_drop(&c->flight->tx, t->chunks, data);
	c->queued -= data;
	if (n > data)
		c->fin_acked = 1;
	c->bytes_acked += data;
	c->snd_una = ack;
	c->retransmits = c->backoff = c->probes = 0; /* RFC 6298 5.7 */
	c->flight->stalled = false;
	if (c->flags & CF_URG_OUT && bt_seq_le(c->snd_up, ack))
		c->flags &= ~(uint32_t)CF_URG_OUT;
	want = bt_min32(c->cc.cwnd, BT_SNDBUF_MAX / 2) * 2;
	if (c->opts->sndbuf == 0 && c->sndbuf < want)
		c->sndbuf = want;
	if (c->flags & CF_NO_ROOM && bt_tcp_ready(t, c->self) & BERTH_WRITABLE) {
		c->flags &= ~(uint32_t)CF_NO_ROOM;
		bt_conn_news(t, c, BERTH_WRITABLE);
	}
}

/* RFC 3168 6.1.2: once for a window of data. */
static void ecn_echo(struct bt_tcp *t, struct bt_conn *c, uint32_t outstanding)
{
	struct bt_flight *f = c->flight;

	if (f->recovery != REC_OPEN || (f->cwr && bt_seq_le(c->snd_una, f->cwr_end)))
		return;
	f->cwr = true;
	f->cwr_end = c->snd_nxt;
	c->flags |= CF_CWR;
	bt_cc_ecn_echoed(&c->cc, outstanding, t->now_ns);
}

static void take_ack(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;
	struct bt_flight *f = c->flight;
	uint32_t outstanding = bt_conn_outstanding(c);
	struct bt_ack a = {.ts_ecr = s->ts_ecr,
			   .has_ts = c->flags & CF_TS && s->has & BT_TCP_TS && s->ts_ecr != 0};

	a.cc.now_ns = t->now_ns;
	a.cc.in_flight_before = f->pipe;
	bt_rate_ack_begin(&a.rate);
	if (s->n_sack > 0 && c->flags & CF_SACK)
		bt_sack_input(t, c, in, &a);
	if (bt_seq_lt(c->snd_una, s->ack)) {
		a.cc.acked = s->ack.n - c->snd_una.n;
		bt_sack_acked(t, c, s->ack, &a);
		advance(t, c, s->ack);
		c->send_timer = ST_NONE;
	}
	/* RFC 9293 MUST-18, Karn's algorithm: of segments sent once; with timestamps of others too
	 * (RFC 7323 4). */
	if (a.rtt_ns == 0 && a.cc.acked > 0 && a.has_ts && bt_conn_ts(t, c) - s->ts_ecr < 1u << 24)
		a.rtt_ns = (uint64_t)(bt_conn_ts(t, c) - s->ts_ecr) * 1000000;
	if (a.rtt_ns != 0)
		bt_ack_rtt(t, c, a.rtt_ns);
	a.cc.rtt_ns = a.rtt_ns;
	if (s->flags & BT_ECE && c->flags & CF_ECN) {
		ecn_echo(t, c, outstanding);
		a.cc.ecn_echoed = true;
		c->delivered_ce++;
	}
	bt_rack_ack(t, c, in, &a, outstanding);
	a.cc.in_flight = f->pipe;
	bt_rate_ack_end(&f->rate, &a.rate,
			c->min_rtt == UINT32_MAX ? 0 : (uint64_t)c->min_rtt * 1000, &a.cc);
	if (a.cc.rate != 0)
		f->delivery_rate = a.cc.rate;
	if (a.cc.acked > 0 || a.cc.delivered > 0 || a.cc.lost > 0)
		bt_cc_acked(&c->cc, &a.cc);
	if (c->send_timer == ST_NONE || c->send_timer == ST_PERSIST)
		bt_timers_send(t, c);
	if (f->lost > 0 || bt_conn_unsent(c) > 0 || (c->flags & CF_FIN && !bt_conn_fin_sent(c)))
		bt_conn_wants_out(t, c);
}

/* RFC 9293 3.10.7.4, fifth. False: the segment is dropped. */
bool bt_ack_input(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	struct bt_seq ack = in->s.ack;

	/* RFC 5961 5.2: [SND.UNA - MAX.SND.WND, SND.NXT] */
	if (bt_seq_lt(c->snd_nxt, ack) ||
	    bt_seq_ahead(ack, c->snd_una) > (int32_t)bt_min32(c->max_wnd, 1u << 30)) {
		bt_challenge(t, c, in->rx);
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_ACK);
		return false;
	}
	c->probes = 0;
	c->last_in_ms = t->now_ms;
	if (!bt_seq_lt(ack, c->snd_una))
		update_window(t, c, &in->s);
	if (c->flight != NULL) {
		take_ack(t, c, in);
		bt_conn_trim(t, c);
	} else {
		bt_rack_idle_ack(t, c, &in->s);
	}
	return true;
}

/* ---- ACKs that go ---- */

/* RFC 9293 3.8.6.2.2, MUST-39; SHLD-14: the right edge does not move back. */
uint32_t bt_ack_window(struct bt_conn *c)
{
	uint32_t space = c->rcvbuf > c->unread ? c->rcvbuf - c->unread : 0;
	uint32_t max = 65535u << c->rcv_scale, step;
	uint32_t offered = c->rcv_edge.n - c->rcv_nxt.n;

	if (bt_seq_lt(c->rcv_edge, c->rcv_nxt))
		offered = 0;
	if (c->opts->window_clamp != 0)
		space = bt_min32(space, c->opts->window_clamp);
	space = bt_min32(space, max);
	space &= ~((1u << c->rcv_scale) - 1);
	step = bt_min32(c->rcvbuf / 2, c->rcv_mss);
	if (space > offered && space - offered >= step) {
		c->rcv_edge = bt_seq_add(c->rcv_nxt, space);
		offered = space;
	}
	return offered;
}

void bt_ack_sent(struct bt_conn *c)
{
	c->flags &= ~(uint32_t)(CF_ACK_NOW | CF_DELACK);
	c->unacked = 0;
	c->last_ack = c->rcv_nxt;
	if (c->quick > 0)
		c->quick--;
}

/* In-order data have come (in->len of them): RFC 5681 4.2, RFC 9293 MUST-40, SHLD-18, SHLD-19: an
 * ACK for every second full segment, within 40 ms for the rest. */
void bt_ack_received_data(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	uint32_t n = in->n_segs, size = n > 1 ? in->rx->segment : in->len;

	if (size > c->rcv_mss)
		c->rcv_mss = (uint16_t)bt_min32(size, c->adv_mss != 0 ? c->adv_mss : 65535);
	c->data_in += n;
	c->unacked = (uint8_t)bt_min32(c->unacked + (size >= c->rcv_mss ? n : 0), 255);
	if (c->unacked >= 2 || (c->quick > 0 && !(c->flags & CF_PINGPONG)) ||
	    in->s.flags & BT_FIN) {
		c->flags |= CF_ACK_NOW;
		bt_conn_wants_out(t, c);
	} else if (!(c->flags & CF_DELACK)) {
		c->flags |= CF_DELACK;
		c->ack_at = t->now_us + BT_ACK_MIN;
		bt_timers_arm(t, c);
	}
}

/* Dynamic right-sizing (Fisk and Feng, 2001): twice what the program took in a round trip. */
static void tune(struct bt_tcp *t, struct bt_conn *c, uint32_t n)
{
	struct bt_rxq *q = c->rxq;
	uint32_t rtt, want;

	if (c->opts->rcvbuf != 0 || c->rcvbuf >= BT_RCVBUF_MAX)
		return;
	q->copied += n;
	if (bt_seq_le(q->rtt_seq, c->rcv_nxt)) {
		uint32_t sample = t->now_us - q->rtt_at;

		q->rtt = q->rtt == 0 || sample < q->rtt ? sample : q->rtt - q->rtt / 8 + sample / 8;
		q->rtt_at = t->now_us;
		q->rtt_seq = c->rcv_edge;
	}
	rtt = c->srtt8 != 0 ? bt_min32(c->srtt8 >> 3, q->rtt == 0 ? UINT32_MAX : q->rtt) : q->rtt;
	if (rtt == 0 || t->now_us - q->space_at < rtt)
		return;
	if (q->copied > q->space) {
		q->space = q->copied;
		want = bt_min32(q->copied, BT_RCVBUF_MAX / 2) * 2 + 16u * c->rcv_mss;
		c->rcvbuf = bt_min32(bt_max32(c->rcvbuf, want), BT_RCVBUF_MAX);
	}
	q->copied = 0;
	q->space_at = t->now_us;
}

/* The program has taken n bytes: unread is less already. The window is told of when it has grown by
 * two segments or half of the buffer. */
void bt_ack_read(struct bt_tcp *t, struct bt_conn *c, uint32_t n)
{
	uint32_t space, offered = 0;

	if (c->rxq != NULL)
		tune(t, c, n);
	if (c->flags & CF_FIN_IN || c->state == BT_CLOSE || c->state == BT_TIME_WAIT)
		return;
	space = c->rcvbuf > c->unread ? c->rcvbuf - c->unread : 0;
	if (c->opts->window_clamp != 0)
		space = bt_min32(space, c->opts->window_clamp);
	space = bt_min32(space, 65535u << c->rcv_scale) & ~((1u << c->rcv_scale) - 1);
	if (bt_seq_lt(c->rcv_nxt, c->rcv_edge))
		offered = c->rcv_edge.n - c->rcv_nxt.n;
	if (space <= offered)
		return;
	if (space - offered >= c->rcvbuf / 2 ||
	    (offered < 2u * c->rcv_mss && space - offered >= 2u * c->rcv_mss)) {
		c->flags |= CF_ACK_NOW;
		bt_conn_wants_out(t, c);
	}
}

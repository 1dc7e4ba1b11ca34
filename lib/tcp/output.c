/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out, one segment a call, in this order: answers for no connection; of the connection at
 * the front of the list its SYN, what was lost, a tail probe, new data with the FIN, a window or
 * keepalive probe, a bare ACK. New data are held back by the peer's window (never past it), the
 * congestion window, pacing, Nagle's rule in Minshall's form, the cork, and silly-window avoidance
 * (RFC 9293 3.8.6.2.1). A connection that has sent BURST segments goes to the end of the list.
 */
#include "tcb.h"

#define BURST	 16u
#define TSO_MAX	 65000u	  /* payload; with headers below 64 KiB */
#define SLACK_NS 1000000u /* pacing: so much may leave early, so that timers are few */

/* ---- a segment into tx ---- */

struct out {
	struct bt_seq seq;
	uint32_t len; /* payload */
	uint8_t flags;
	bool again;
	bool sacks; /* bare ACKs say what is out of order */
};

/* RFC 9293 MUST-2 */
static void checksum(struct bt_tx *tx, unsigned n_iov)
{
	uint8_t *h = tx->out->header + tx->header_at;
	uint64_t sum = bt_csum_pseudo(&tx->src, &tx->dst, BT_TCP, tx->header_len + tx->payload_len);

	tx->checksum_at = 16;
	if (tx->no_checksum) { /* the carrier adds the rest: the sum is not complemented */
		uint16_t part = (uint16_t)~bt_csum_fold(sum);

		memcpy(h + 16, &part, sizeof(part));
		return;
	}
	sum = bt_csum_add(sum, h, tx->header_len);
	bt_csum_put(h + 16, bt_csum_parts(sum, tx->out->iov + 1, n_iov));
}

/* The way may have changed, and with it the MSS. */
static void refresh_path(struct bt_tcp *t, struct bt_conn *c, const struct bt_port_ends *e)
{
	uint32_t mtu = c->path.mtu;
	struct bt_path p = c->path;

	if (t->below.path(t->below.arg, e->host, &e->laddr, &e->raddr, &p) < 0) {
		c->path.generation = t->below.generation(t->below.arg);
		return;
	}
	c->path = p;
	if (p.mtu != mtu && c->peer_mss != 0)
		bt_conn_set_mss(t, c);
}

static void fill_options(struct bt_tcp *t, struct bt_conn *c, const struct out *o,
			 struct bt_tcp_seg *s)
{
	if (c->flags & CF_TS) {
		s->has |= BT_TCP_TS;
		s->ts_val = bt_conn_ts(t, c);
		s->ts_ecr = c->ts_recent;
	}
	if (!o->sacks)
		return;
	s->n_sack = (uint8_t)bt_reass_sacks(c, s->sack);
	if (s->n_sack > 0)
		s->has |= BT_TCP_SACK;
}

/* RFC 3168 6.1.2 to 6.1.5: ECT(0) on new data only, CWR once, ECE until CWR comes. */
static uint8_t fill_ecn(struct bt_conn *c, const struct out *o, struct bt_tcp_seg *s)
{
	if (!(c->flags & CF_ECN) || s->flags & (BT_SYN | BT_RST))
		return 0;
	if (c->flags & CF_ECE)
		s->flags |= BT_ECE;
	if (o->len == 0 || o->again)
		return 0;
	if (c->flags & CF_CWR)
		s->flags |= BT_CWR;
	c->flags &= ~(uint32_t)CF_CWR;
	return 2;
}

static void fill_tx(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx,
		    const struct bt_port_ends *e, const struct bt_tcp_seg *s, uint8_t ecn)
{
	tx->host = e->host;
	tx->proto = BT_TCP;
	tx->tos = (uint8_t)(c->opts->tos | ecn);
	tx->hops = c->opts->ttl;
	tx->no_fragment = c->opts->mtu_discover != 0;
	tx->no_checksum = (c->path.flags & BERTH_IF_TX_CHECKSUM) != 0;
	tx->src = e->laddr;
	tx->dst = e->raddr;
	tx->path = &c->path;
	tx->header_at = BT_TX_HEADER_AT;
	tx->header_len = (uint16_t)bt_tcp_write(tx->out->header + BT_TX_HEADER_AT, s);
	(void)t;
}

/* Ends and path, found once for a segment. */
static void begin(struct bt_tcp *t, struct bt_conn *c, struct bt_port_ends *e)
{
	bt_port_ends(t->ports, c->self, e);
	if (c->path.generation != t->below.generation(t->below.arg))
		refresh_path(t, c, e);
}

static void put(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx, const struct bt_port_ends *e,
		const struct out *o)
{
	struct bt_tcp_seg s;
	unsigned parts = 0;
	uint32_t n = 1;
	uint8_t ecn;

	s.sport = e->lport;
	s.dport = e->rport;
	s.seq = o->seq;
	s.ack = c->rcv_nxt;
	s.flags = o->flags;
	s.has = 0;
	s.n_sack = 0;
	s.urgent = 0;
	s.window = (uint16_t)bt_min32(bt_ack_window(c) >> c->rcv_scale, 65535);
	if (c->flags & CF_URG_OUT && bt_seq_lt(o->seq, c->snd_up)) {
		s.flags |= BT_URG;
		s.urgent = (uint16_t)bt_min32(c->snd_up.n - o->seq.n, 65535);
	}
	fill_options(t, c, o, &s);
	ecn = fill_ecn(c, o, &s);
	fill_tx(t, c, tx, e, &s, ecn);
	tx->payload_len = o->len;
	tx->segment = 0;
	if (o->len > 0) {
		parts = bt_bytes_parts(&c->flight->tx, o->seq.n - c->snd_una.n, o->len,
				       tx->out->iov + 1, BERTH_OUTPUT_IOV - 1);
		bt_assert(parts > 0);
		if (o->len > c->mss) {
			tx->segment = c->mss;
			n = (o->len + c->mss - 1) / c->mss;
		}
		c->data_out += n;
		if (c->flags & (CF_ACK_NOW | CF_DELACK)) /* an answer carries the ACK along */
			c->flags |= CF_PINGPONG;
	}
	tx->out->n_iov = (uint16_t)(1 + parts);
	checksum(tx, parts);
	c->segs_out += n;
	bt_ack_sent(c);
}

/* ---- SYN ---- */

static bool send_syn(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx)
{
	struct bt_port_ends e;
	struct bt_tcp_seg s = {0};
	unsigned parts = 0;

	begin(t, c, &e);
	s.sport = e.lport;
	s.dport = e.rport;
	tx->payload_len = bt_syn_fill(t, c, &s);
	c->flags &= ~(uint32_t)(CF_SYN | CF_ACK_NOW);
	fill_tx(t, c, tx, &e, &s, 0);
	tx->segment = 0;
	if (tx->payload_len > 0)
		parts = bt_bytes_parts(&c->flight->tx, 0, tx->payload_len, tx->out->iov + 1,
				       BERTH_OUTPUT_IOV - 1);
	tx->out->n_iov = (uint16_t)(1 + parts);
	checksum(tx, parts);
	c->segs_out++;
	c->last_out_us =
		t->now_us != 0 ? t->now_us : UINT32_MAX; /* 0: none yet; never later than now */
	bt_timers_set(t, c, ST_RTO, bt_timers_rto(c));
	return true;
}

/* ---- what was lost ---- */

static uint32_t cwnd_room(const struct bt_conn *c)
{
	const struct bt_flight *f = c->flight;
	uint32_t pipe = f->pipe - bt_min32(f->dup_bytes, f->pipe);

	return c->cc.cwnd > pipe ? c->cc.cwnd - pipe : 0;
}

/* How much may leave as one piece. */
static uint32_t largest(const struct bt_conn *c)
{
	uint32_t max = c->mss;

	/* Not past an urgent byte: each segment says how far away it is. */
	if (c->path.flags & BERTH_IF_TSO && !(c->flags & CF_URG_OUT)) {
		max = bt_min32(bt_cc_burst(&c->cc), TSO_MAX);
		max = max < c->mss ? c->mss : max - max % c->mss;
	}
	return max;
}

/* True: pacing says to wait. */
static bool paced(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	if (c->cc.pacing_rate == 0 || f->pace_ns <= t->now_ns)
		return false;
	f->pacing = true;
	bt_timers_arm(t, c);
	return true;
}

static void pace(struct bt_tcp *t, struct bt_conn *c, uint32_t bytes)
{
	struct bt_flight *f = c->flight;
	uint64_t from = f->pace_ns, early = t->now_ns > SLACK_NS ? t->now_ns - SLACK_NS : 0;

	if (c->cc.pacing_rate == 0)
		return;
	if (from < early)
		from = early;
	f->pace_ns = from + (uint64_t)bytes * 1000000000 / c->cc.pacing_rate;
}

static void send_record(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx, struct bt_seg *g)
{
	struct bt_flight *f = c->flight;
	struct bt_seq data_end = bt_conn_data_end(c);
	struct out o = {.seq = g->seq, .len = g->len, .flags = BT_ACK, .again = true};
	struct bt_port_ends e;
	uint32_t n = g->len <= c->mss ? 1 : (g->len + c->mss - 1) / c->mss;

	if (bt_seq_lt(data_end, bt_seg_end(g))) {
		o.len--;
		o.flags |= BT_FIN;
	}
	if (bt_seq_le(data_end, bt_seg_end(g)))
		o.flags |= BT_PSH;
	if (!f->undo) {
		f->undo = f->recovery != REC_OPEN;
		f->undo_ts = bt_conn_ts(t, c);
	}
	if (f->undo)
		c->undo_again = (uint16_t)bt_min32(c->undo_again + n, UINT16_MAX);
	if (!f->stalled) {
		f->stalled = true;
		f->stalled_ms = t->now_ms;
	}
	bt_rate_sent(&f->rate, &g->mark, f->pipe == 0, t->now_ns);
	g->flags |= SEG_AGAIN;
	bt_count8(&g->tries);
	c->again += n;
	c->bytes_again += o.len;
	begin(t, c, &e);
	put(t, c, tx, &e, &o);
	c->last_out_us = t->now_us;
	bt_cc_sent(&c->cc, g->len, f->pipe, t->now_ns);
	pace(t, c, g->len);
}

static bool send_lost(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx)
{
	struct bt_flight *f = c->flight;
	uint32_t i, room = cwnd_room(c), max = largest(c);
	struct bt_seg *g = bt_sack_next_lost(c, &i);

	if (g == NULL || paced(t, c))
		return false;
	if (room < max)
		max = room < c->mss ? c->mss : room - room % c->mss;
	if (room < bt_min32(g->len, c->mss) && f->pipe > 0)
		return false;
	if (g->len > max && !(g->len == max + 1 && bt_seq_lt(bt_conn_data_end(c), bt_seg_end(g)))) {
		if (!bt_sack_split(t, c, i, max))
			return false;
		g = bt_seg_at(f, i);
	}
	f->lost -= g->len;
	f->lost_hint = bt_seg_end(g);
	f->pipe += g->len;
	g->flags = (uint8_t)((g->flags & ~SEG_LOST) | SEG_PIPE);
	send_record(t, c, tx, g);
	if (c->send_timer == ST_NONE)
		bt_timers_send(t, c);
	return true;
}

/* ---- new data ---- */

/* True if a segment that is not full, the end of what is queued, may go (RFC 9293 3.7.4, SHLD-7).
 * It does when an ACK comes, or the cork's time is over (MUST-60). */
static bool tail_may_go(const struct bt_conn *c)
{
	const struct bt_flight *f = c->flight;

	if (c->flags & (CF_FIN | CF_PERSIST))
		return true;
	if (c->flags & (CF_CORK | CF_MORE))
		return false;
	if (c->flags & CF_NODELAY || c->flags & CF_URG_OUT)
		return true;
	/* Nagle, Minshall's variant */
	return f->n == 0 || bt_seq_le(f->small_end, c->snd_una);
}

/* How many bytes of new data may go now; *fin: and the FIN. The peer may have moved the edge of its
 * window back (RFC 9293 MUST-34, SHLD-15). */
static uint32_t allowed(struct bt_tcp *t, struct bt_conn *c, bool tlp, bool *fin)
{
	uint32_t unsent = bt_conn_unsent(c), used = bt_conn_outstanding(c);
	uint32_t wnd = c->snd_wnd > used ? c->snd_wnd - used : 0;
	uint32_t len = bt_min32(bt_min32(unsent, wnd), tlp ? c->mss : largest(c));
	uint32_t room = tlp ? c->mss : cwnd_room(c);

	*fin = false;
	if (len > 0 && !tlp && paced(t, c))
		return 0;
	if (len > room)
		len = room < c->mss && c->flight->pipe == 0 ? bt_min32(len, c->mss)
							    : room - room % c->mss;
	if (len == unsent) {
		uint32_t tail = len % c->mss;

		if (tail != 0 && !tlp && !tail_may_go(c))
			len -= tail;
		*fin = c->flags & CF_FIN && len == unsent;
		return len;
	}
	if (len >= c->mss)
		return len - len % c->mss;
	/* RFC 9293 3.8.6.2.1, MUST-38: what the window leaves is not worth a segment, or is */
	if (len == wnd && (len >= c->max_wnd / 2 || c->flags & CF_PERSIST))
		return len;
	return 0;
}

/* Nothing may go although something waits: who will wake us? */
static void blocked(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	if (bt_conn_unsent(c) == 0) {
		if (cwnd_room(c) > 0)
			bt_rate_app_limited(&f->rate, f->pipe);
		return;
	}
	if (f->n > 0 || c->send_timer != ST_NONE || f->pacing)
		return; /* an ACK or a timer comes */
	if (c->flags & (CF_CORK | CF_MORE) && c->snd_wnd >= bt_conn_unsent(c))
		bt_timers_set(t, c, ST_CORK, BT_CORK_US);
	else
		bt_timers_set(t, c, ST_PERSIST, bt_timers_rto(c));
}

/* What more segments like this one would have in common with it. */
static void train_begin(struct bt_tcp *t, struct bt_conn *c, const struct bt_tx *tx)
{
	uint8_t h[BT_TCP_HEADER_MAX];

	if (c->cc.pacing_rate != 0 || c->path.flags & BERTH_IF_TSO ||
	    c->flags & (CF_ECE | CF_CWR | CF_URG_OUT | CF_FIN) ||
	    tx->out->header[tx->header_at + 13] != BT_ACK)
		return;
	t->train.slot = c->self;
	t->train.sums = !tx->no_checksum;
	if (!t->train.sums)
		return;
	memcpy(h, tx->out->header + tx->header_at, tx->header_len);
	bt_put32(h + 4, 0);
	bt_put16(h + 16, 0);
	t->train.sum = bt_csum_pseudo(&tx->src, &tx->dst, BT_TCP, tx->header_len + tx->payload_len);
	t->train.sum = bt_csum_add(t->train.sum, h, tx->header_len);
}

static bool send_new(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx, bool tlp)
{
	struct out o = {.seq = c->snd_nxt, .flags = BT_ACK};
	struct bt_flight *f = c->flight;
	struct bt_port_ends e;
	bool fin;

	if (c->flags & CF_FIN && bt_conn_fin_sent(c))
		return false;
	if (f == NULL) {
		f = c->queued > 0 || c->flags & CF_FIN ? bt_conn_flight(t, c) : NULL;
		if (f == NULL) {
			if (c->flags & CF_FIN) /* no memory: again later */
				bt_timers_set(t, c, ST_CORK, BT_CORK_US);
			return false;
		}
	}
	begin(t, c, &e); /* the MSS of now */
	if (f->pipe == 0 && f->n == 0 && bt_conn_unsent(c) > 0)
		bt_cc_idle_ended(&c->cc, (uint64_t)(t->now_us - c->last_out_us) * 1000,
				 (uint64_t)c->rto * 1000, t->now_ns);
	o.len = allowed(t, c, tlp, &fin);
	if (o.len == 0 && !fin) {
		blocked(t, c);
		return false;
	}
	if (!bt_sack_room(t, c)) {
		if (c->send_timer == ST_NONE)
			bt_timers_set(t, c, ST_CORK, BT_CORK_US);
		return false;
	}
	if (o.len % c->mss != 0)
		f->small_end = bt_seq_add(o.seq, o.len);
	/* RFC 9293 MUST-61; SHLD-27 */
	if (o.len == bt_conn_unsent(c) || o.len >= c->max_wnd / 2)
		o.flags |= BT_PSH;
	if (fin)
		o.flags |= BT_FIN;
	if (f->n == 0 && c->send_timer != ST_REO)
		c->send_timer = ST_NONE;
	(void)bt_sack_push(t, c, o.seq, o.len + fin);
	put(t, c, tx, &e, &o);
	c->snd_nxt = bt_seq_add(c->snd_nxt, o.len + fin);
	c->flags &= ~(uint32_t)CF_PERSIST;
	c->last_out_us = t->now_us;
	bt_cc_sent(&c->cc, o.len + fin, f->pipe, t->now_ns);
	pace(t, c, o.len);
	if (o.len == c->mss && o.flags == BT_ACK && !tlp)
		train_begin(t, c, tx);
	if (c->send_timer == ST_NONE || c->send_timer == ST_TLP || c->send_timer == ST_CORK)
		bt_timers_send(t, c); /* RFC 6298 5.1; RFC 8985 7.2 */
	return true;
}

/* RFC 8985 7.3: new data, else the last segment again. */
static bool send_tlp(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx)
{
	struct bt_flight *f = c->flight;
	struct bt_seg *g;

	c->flags &= ~(uint32_t)CF_TLP;
	if (f == NULL || f->n == 0 || f->recovery != REC_OPEN || f->lost > 0)
		return false;
	f->tlp = true;
	f->tlp_again = false;
	if (bt_conn_unsent(c) > 0 && send_new(t, c, tx, true)) {
		f->tlp_end = c->snd_nxt;
		bt_timers_set(t, c, ST_RTO, bt_timers_rto(c));
		return true;
	}
	g = bt_seg_at(f, f->n - 1);
	if (g->len > c->mss) {
		uint32_t last = (g->len - 1) % c->mss + 1;

		if (bt_sack_split(t, c, f->n - 1, g->len - last))
			g = bt_seg_at(f, f->n - 1);
	}
	f->tlp_end = c->snd_nxt;
	f->tlp_again = true;
	if (g->len > largest(c) + 1)
		return false;
	send_record(t, c, tx, g);
	bt_timers_set(t, c, ST_RTO, bt_timers_rto(c));
	return true;
}

/* ---- one segment of a connection ---- */

static bool send_bare(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx, struct bt_seq seq)
{
	struct out o = {.seq = seq, .flags = BT_ACK, .sacks = true};
	struct bt_port_ends e;

	begin(t, c, &e);
	put(t, c, tx, &e, &o);
	if (c->rxq != NULL)
		bt_conn_trim(t, c);
	return true;
}

/* RFC 5682 2.1 step 2: new data until the window is full. Without any the recovery is as usual. */
static bool send_frto(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx)
{
	struct bt_flight *f = c->flight;

	if (send_new(t, c, tx, false))
		return true;
	f->frto = bt_seq_lt(f->high, c->snd_nxt) ? FRTO_WAIT : FRTO_NONE;
	return false;
}

static bool emit(struct bt_tcp *t, struct bt_conn *c, struct bt_tx *tx)
{
	if (c->flags & CF_SYN)
		return send_syn(t, c, tx);
	if (c->state == BT_CLOSE || c->state == BT_LISTEN || c->state == BT_SYN_SENT ||
	    c->state == BT_SYN_RECV)
		return false;
	/* What is out of order does not fit beside data. */
	if (c->flags & CF_ACK_NOW && c->rxq != NULL &&
	    (c->rxq->n > 0 || c->rxq->has_dsack || c->rxq->has_fin))
		return send_bare(t, c, tx, c->snd_nxt);
	if (c->flight != NULL && c->flight->frto == FRTO_NEW && send_frto(t, c, tx))
		return true;
	if (c->flight != NULL && c->flight->lost > 0 && c->flight->frto != FRTO_WAIT &&
	    send_lost(t, c, tx))
		return true;
	if (c->flags & CF_TLP && send_tlp(t, c, tx))
		return true;
	if ((c->queued > 0 || c->flags & CF_FIN) && (c->flight == NULL || c->flight->lost == 0) &&
	    send_new(t, c, tx, false))
		return true;
	if (c->flags & CF_PROBE) { /* an old number makes the peer answer with its window */
		c->flags &= ~(uint32_t)CF_PROBE;
		return send_bare(t, c, tx, bt_seq(c->snd_una.n - 1));
	}
	if (c->flags & CF_ACK_NOW)
		return send_bare(t, c, tx, c->snd_nxt);
	return false;
}

/* Whether send_new would give one more segment of new data that is full, without PSH. */
static bool train_goes_on(const struct bt_tcp *t, const struct bt_conn *c)
{
	const struct bt_flight *f = c->flight;
	uint32_t unsent, used;

	if (c->flags & (CF_SYN | CF_ACK_NOW | CF_TLP | CF_FIN | CF_URG_OUT | CF_ECE | CF_CWR) ||
	    f == NULL || f->lost > 0 || f->n == f->cap || f->n == 0 ||
	    c->path.generation != t->below.generation(t->below.arg))
		return false;
	unsent = bt_conn_unsent(c);
	used = bt_conn_outstanding(c);
	return unsent > c->mss && c->mss < c->max_wnd / 2 && c->snd_wnd >= used + c->mss &&
	       c->cc.cwnd >= f->pipe + c->mss;
}

static void train_header(const struct bt_tcp *t, const struct bt_conn *c,
			 const struct berth_output *last, struct berth_output *out, unsigned parts)
{
	size_t at = (size_t)((const uint8_t *)last->iov[0].iov_base - last->header);
	uint8_t *h = out->header + BT_TX_HEADER_AT;

	memcpy(out->header, last->header, sizeof(out->header));
	bt_put32(h + 4, c->snd_nxt.n);
	if (t->train.sums) {
		uint64_t sum = t->train.sum + __builtin_bswap32(c->snd_nxt.n);

		bt_csum_put(h + 16, bt_csum_parts(sum, out->iov + 1, parts));
	}
	out->i = last->i;
	out->n_iov = (uint16_t)(1 + parts);
	out->len = last->len;
	out->segment = 0;
	out->checksum = last->checksum;
	out->iov[0].iov_base = out->header + at;
	out->iov[0].iov_len = last->iov[0].iov_len;
}

bool bt_tcp_output_more(struct bt_tcp *t, const struct berth_output *last, struct berth_output *out)
{
	uint32_t slot = t->train.slot, used;
	struct bt_flight *f;
	struct bt_conn *c;
	unsigned parts;

	if (slot == BT_NO_SLOT || slot != t->out_first || t->n_replies > 0)
		return false;
	c = bt_tcp_conn(t, slot);
	if (!train_goes_on(t, c) || (t->burst + 1 >= BURST && c->out_next != BT_NO_SLOT))
		return false;
	f = c->flight;
	used = bt_conn_outstanding(c);
	parts = bt_bytes_parts(&f->tx, used, c->mss, out->iov + 1, BERTH_OUTPUT_IOV - 1);
	bt_assert(parts > 0);
	train_header(t, c, last, out, parts);
	(void)bt_sack_push(t, c, c->snd_nxt, c->mss);
	c->snd_nxt = bt_seq_add(c->snd_nxt, c->mss);
	c->data_out++;
	c->segs_out++;
	bt_ack_sent(c);
	bt_cc_sent(&c->cc, c->mss, f->pipe, t->now_ns);
	t->burst++;
	/* A probe's time depends on whether one segment is in flight or more, and on nothing else
	 * that has changed since the last one left. */
	if (used <= c->mss && c->send_timer == ST_TLP)
		bt_timers_send(t, c);
	return true;
}

bool bt_tcp_output(struct bt_tcp *t, struct bt_tx *tx, uint64_t now_ns)
{
	bt_tcp_enter(t, now_ns);
	t->train.slot = BT_NO_SLOT;
	if (bt_reply_take(t, tx))
		return true;
	while (t->out_first != BT_NO_SLOT) {
		struct bt_conn *c = bt_tcp_conn(t, t->out_first);

		if (emit(t, c, tx)) {
			if (++t->burst >= BURST && c->out_next != BT_NO_SLOT) {
				bt_conn_leave_out(t, c);
				bt_conn_wants_out(t, c);
				t->burst = 0;
			}
			return true;
		}
		bt_conn_leave_out(t, c);
		t->burst = 0;
	}
	return false;
}

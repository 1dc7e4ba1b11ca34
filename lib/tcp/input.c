/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments in: RFC 9293 3.10.7 in its numbered steps, one function each, called in order by
 * process(). Before it a short way for the two segments that are nearly all there are: data in
 * order, and an ACK that only moves SND.UNA on. Both look at the connection's first cache line and
 * then at the one queue that changes.
 */
#include "tcb.h"

#define SLOW_FLAGS (BT_SYN | BT_FIN | BT_RST | BT_URG | BT_ECE | BT_CWR)

enum step { GO_ON, DONE };

/* ---- timestamps (RFC 7323 4.3, 5.3) ---- */

static void ts_recent(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	if (!bt_seq_le(in->s.seq, c->last_ack) || (int32_t)(in->s.ts_val - c->ts_recent) < 0)
		return;
	c->ts_recent = in->s.ts_val;
	c->ts_recent_ms = t->now_ms;
}

/* RFC 7323 5.3 R1: true if the segment is an old duplicate. */
static bool paws(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	if (!(c->flags & CF_TS) || !(in->s.has & BT_TCP_TS) || in->s.flags & BT_RST)
		return false;
	if ((int32_t)(in->s.ts_val - c->ts_recent) >= 0)
		return false;
	return t->now_ms - c->ts_recent_ms < BT_PAWS_IDLE_MS; /* 5.5 */
}

/* RFC 7323 3.2: true of a segment that lacks the timestamp both ends agreed on. A reset needs none;
 * nor does a SYN, which may be of a peer that has forgotten the connection, and only gets an ACK.
 */
bool bt_input_no_timestamp(const struct bt_conn *c, const struct bt_tcp_seg *s)
{
	return c->flags & CF_TS && !(s->has & BT_TCP_TS) && !(s->flags & (BT_RST | BT_SYN));
}

/* ---- the steps of 3.10.7.4 ---- */

/* Our FIN is acked: RFC 9293 figure 5. */
static void fin_acked(struct bt_tcp *t, struct bt_conn *c)
{
	if (!c->fin_acked)
		return;
	switch ((enum bt_state)c->state) {
	case BT_FIN_WAIT1:
		bt_conn_set_state(t, c, BT_FIN_WAIT2);
		bt_timers_keepalive(t, c);
		bt_close_fin_wait2(t, c);
		break;
	case BT_CLOSING:
		bt_close_time_wait(t, c);
		break;
	case BT_LAST_ACK:
		bt_close_end(t, c, 0);
		break;
	default:
		break;
	}
}

/* First: the sequence number. Parts outside the window are cut off; while it is shut what stands at
 * its edge goes on without its data, so RST and URG count (RFC 9293 MUST-66). */
static enum step step1_sequence(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	struct bt_tcp_seg *s = &in->s;
	uint32_t len = in->len + ((s->flags & BT_SYN) != 0) + ((s->flags & BT_FIN) != 0);
	struct bt_seq end = bt_seq_add(s->seq, len);
	enum berth_drop why = BERTH_DROP_TCP_WINDOW;

	if (bt_input_no_timestamp(c, s)) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_NO_TIMESTAMP);
		return DONE;
	}
	if (paws(t, c, in)) {
		why = BERTH_DROP_TCP_PAWS;
		goto unacceptable;
	}
	if (bt_seq_lt(c->rcv_edge, s->seq)) /* behind the window */
		goto unacceptable;
	if (len == 0 && !bt_seq_lt(s->seq, c->rcv_nxt))
		return GO_ON;
	if (bt_seq_eq(s->seq, c->rcv_edge) && !bt_seq_eq(s->seq, c->rcv_nxt))
		goto unacceptable;
	if (bt_seq_le(end, c->rcv_nxt) && bt_seq_lt(s->seq, c->rcv_nxt)) { /* all is old */
		why = len == 0 ? BERTH_DROP_TCP_WINDOW : BERTH_DROP_TCP_DUPLICATE;
		/* what it acks counts still: our own segments may have crossed with it */
		if (s->flags & BT_ACK && !(s->flags & (BT_SYN | BT_RST)) &&
		    c->state != BT_SYN_RECV && bt_ack_input(t, c, in)) {
			fin_acked(t, c);
			if (!(c->flags & CF_USED) || c->state == BT_CLOSE ||
			    c->state == BT_TIME_WAIT)
				return DONE;
		}
		if (len > 0)
			bt_reass_dsack(t, c, s->seq, bt_seq_add(s->seq, in->len));
		goto unacceptable;
	}
	return GO_ON;
unacceptable:
	bt_tcp_drop(t, in->rx, why);
	if (s->flags & BT_RST)
		return DONE;
	/* An ACK, unless it would only answer an ACK too often (RFC 5961 7) */
	if (len > 0 && why != BERTH_DROP_TCP_WINDOW) {
		c->flags |= CF_ACK_NOW;
		bt_conn_wants_out(t, c);
	} else {
		bt_challenge(t, c, in->rx);
	}
	return DONE;
}

/* Second: RST (RFC 5961 3.2). What the program hears: RFC 9293 MUST-12; whether the opening was
 * passive: MUST-11. */
static enum step step2_reset(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	int error = BERTH_ECONNRESET;

	if (!(in->s.flags & BT_RST))
		return GO_ON;
	if (!bt_seq_eq(in->s.seq, c->rcv_nxt)) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_RST_BLIND);
		bt_challenge(t, c, in->rx);
		return DONE;
	}
	if (c->state == BT_SYN_RECV && !(c->passive))
		error = BERTH_ECONNREFUSED;
	else if (c->state == BT_CLOSE_WAIT)
		error = BERTH_EPIPE;
	else if (c->state == BT_CLOSING || c->state == BT_LAST_ACK)
		error = 0;
	bt_close_end(t, c, error);
	return DONE;
}

/* Fourth: SYN (RFC 5961 4.2): never the end of a connection by itself. (Third, security, is none.)
 */
static enum step step4_syn(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	if (!(in->s.flags & BT_SYN))
		return GO_ON;
	bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_SYN_BLIND);
	bt_challenge(t, c, in->rx);
	return DONE;
}

static void cut(struct bt_in *in, uint32_t n)
{
	in->s.seq = bt_seq_add(in->s.seq, n);
	in->data += n;
	in->len -= n;
}

/* What lies outside the window. */
static void trim(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	uint32_t room;

	if (bt_seq_lt(in->s.seq, c->rcv_nxt)) {
		uint32_t old = bt_min32(c->rcv_nxt.n - in->s.seq.n, in->len);

		bt_reass_dsack(t, c, in->s.seq, bt_seq_add(in->s.seq, old));
		cut(in, old);
		c->flags |= CF_ACK_NOW;
		bt_conn_wants_out(t, c);
	}
	room = bt_seq_lt(in->s.seq, c->rcv_edge) ? c->rcv_edge.n - in->s.seq.n : 0;
	if (in->len > room) {
		in->len = room;
		in->s.flags &= (uint8_t)~BT_FIN;
		c->flags |= CF_ACK_NOW;
		bt_conn_wants_out(t, c);
	}
}

/* Fifth: the ACK. */
static enum step step5_ack(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	if (!(in->s.flags & BT_ACK)) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_FLAGS);
		return DONE;
	}
	if (c->state == BT_SYN_RECV) {
		if (!bt_seq_eq(in->s.ack, bt_seq_add(c->snd_una, 1))) {
			bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_ACK);
			bt_reply_reset(t, in);
			return DONE;
		}
		if (!bt_syn_accepted(t, c, in))
			return DONE;
		c->snd_wnd = c->max_wnd = (uint32_t)in->s.window << c->snd_scale;
		c->wl1 = in->s.seq;
		c->wl2 = in->s.ack;
	}
	if (c->flags & CF_TS && in->s.has & BT_TCP_TS)
		ts_recent(t, c, in);
	if (!bt_ack_input(t, c, in))
		return DONE;
	fin_acked(t, c);
	return c->flags & CF_USED && c->state != BT_CLOSE && c->state != BT_TIME_WAIT ? GO_ON
										      : DONE;
}

/* Sixth: URG (RFC 9293 3.8.5, MUST-32, MUST-62, RFC 6093: the pointer is to the byte behind). It
 * may point past what has come, and is only ever compared. */
static void step6_urgent(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	struct bt_seq up;

	if (in->s.flags & BT_URG && in->s.urgent > 0) {
		up = bt_seq_add(in->s.seq, in->s.urgent - 1u);
		if (bt_seq_lt(up, bt_seq(c->rcv_nxt.n - c->unread)))
			return;
		if (!(c->flags & CF_URG_IN) ? !bt_seq_eq(up, c->rcv_up) || c->bytes_in == 0
					    : bt_seq_lt(c->rcv_up, up)) {
			c->rcv_up = up;
			c->flags = (c->flags | CF_URG_IN) & ~(uint32_t)CF_OOB;
			bt_conn_news(t, c, BERTH_URGENT);
		}
	}
	if (c->flags & CF_URG_IN && !(c->flags & CF_OOB)) {
		uint32_t at = c->rcv_up.n - in->s.seq.n;

		if (at < in->len) {
			c->oob = in->data[at];
			c->flags |= CF_OOB;
			bt_conn_news(t, c, BERTH_URGENT);
		}
	}
}

/* Seventh: the payload. */
static enum step step7_data(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	bool early = in->s.flags & BT_FIN && bt_seq_lt(c->rcv_nxt, in->s.seq); /* data lack */

	if (in->len == 0 && !early)
		return GO_ON;
	if (c->state != BT_ESTABLISHED && c->state != BT_FIN_WAIT1 && c->state != BT_FIN_WAIT2 &&
	    c->state != BT_SYN_RECV)
		return GO_ON;
	if (c->flags & CF_ORPHAN) { /* RFC 9293 3.6, RFC 2525 2.17: nobody will read it */
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_AFTER_CLOSE);
		bt_reply_reset(t, in); /* its number is the peer's own: our FIN may be under way */
		bt_close_end(t, c, 0);
		return DONE;
	}
	if (in->len > 0)
		bt_reass_input(t, c, in);
	return GO_ON;
}

/* Eighth: the FIN, when all before it is there; until then it is kept (SHLD-31). */
static void step8_fin(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	struct bt_seq fin = bt_seq_add(in->s.seq, in->len);

	if (c->flags & CF_FIN_IN)
		return;
	if (in->s.flags & BT_FIN && bt_seq_lt(c->rcv_nxt, fin))
		bt_reass_fin(t, c, fin);
	if (!(in->s.flags & BT_FIN && bt_seq_eq(fin, c->rcv_nxt)) && !bt_reass_fin_due(c))
		return;
	c->rcv_nxt = bt_seq_add(c->rcv_nxt, 1);
	if (bt_seq_lt(c->rcv_edge, c->rcv_nxt))
		c->rcv_edge = c->rcv_nxt;
	c->flags |= CF_FIN_IN | CF_ACK_NOW;
	bt_conn_wants_out(t, c);
	bt_conn_news(t, c, BERTH_READABLE | BERTH_PEER_SHUT);
	switch ((enum bt_state)c->state) {
	case BT_ESTABLISHED:
		bt_conn_set_state(t, c, BT_CLOSE_WAIT);
		break;
	case BT_FIN_WAIT1: /* our FIN is not acked yet */
		bt_conn_set_state(t, c, BT_CLOSING);
		break;
	case BT_FIN_WAIT2:
		bt_close_time_wait(t, c);
		break;
	default:
		break;
	}
}

void bt_input_text(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	trim(t, c, in);
	step6_urgent(t, c, in);
	if (step7_data(t, c, in) == GO_ON)
		step8_fin(t, c, in);
}

/* RFC 3168 6.1.3: CE is echoed until CWR comes. */
static void ecn(struct bt_conn *c, const struct bt_in *in)
{
	if (!(c->flags & CF_ECN))
		return;
	if (in->s.flags & BT_CWR)
		c->flags &= ~(uint32_t)CF_ECE;
	if ((in->rx->tos & 3) != 0)
		c->flags |= CF_ECN_SEEN;
	if ((in->rx->tos & 3) == 3 && !(c->flags & CF_ECE))
		c->flags |= CF_ECE | CF_ACK_NOW;
}

static void process(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	if (c->state == BT_SYN_RECV && (in->s.flags & (BT_SYN | BT_ACK | BT_RST)) == BT_SYN &&
	    bt_seq_eq(bt_seq_add(in->s.seq, 1), c->rcv_nxt)) { /* our answer was lost */
		c->flags |= CF_SYN;
		bt_conn_wants_out(t, c);
		return;
	}
	/* Simultaneous open: the peer's SYN-ACK acks our SYN, its SYN is old. */
	if (c->state == BT_SYN_RECV && !(c->passive) && in->s.flags & BT_SYN &&
	    bt_seq_eq(bt_seq_add(in->s.seq, 1), c->rcv_nxt)) {
		in->s.flags &= (uint8_t)~BT_SYN;
		in->s.seq = c->rcv_nxt;
	}
	if (step1_sequence(t, c, in) == DONE || step2_reset(t, c, in) == DONE ||
	    step4_syn(t, c, in) == DONE)
		return;
	ecn(c, in);
	if (step5_ack(t, c, in) == GO_ON)
		bt_input_text(t, c, in);
}

/* ---- the short way (Van Jacobson's header prediction; RFC 7323 appendix D) ---- */

/* True: done. */
static bool predicted(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;

	if (c->state != BT_ESTABLISHED || (s->flags & (SLOW_FLAGS | BT_ACK)) != BT_ACK ||
	    !bt_seq_eq(s->seq, c->rcv_nxt) || c->flags & (CF_URG_IN | CF_ECN) || s->n_sack != 0)
		return false;
	if (c->flags & CF_TS && (!(s->has & BT_TCP_TS) || (int32_t)(s->ts_val - c->ts_recent) < 0))
		return false;
	if (in->len == 0) {
		if (!bt_seq_lt(c->snd_una, s->ack) || bt_seq_lt(c->snd_nxt, s->ack))
			return false;
		if (c->flags & CF_TS)
			ts_recent(t, c, in);
		(void)bt_ack_input(t, c, in);
		return true;
	}
	if (!bt_seq_eq(s->ack, c->snd_una) || in->len > c->rcv_edge.n - c->rcv_nxt.n ||
	    (uint32_t)s->window << c->snd_scale != c->snd_wnd ||
	    (c->rxq != NULL && (c->rxq->n > 0 || c->rxq->has_fin)))
		return false;
	if (c->flags & CF_TS)
		ts_recent(t, c, in);
	c->wl1 = s->seq;
	c->probes = 0;
	c->last_in_ms = t->now_ms;
	bt_reass_input(t, c, in);
	return true;
}

/* ---- from below ---- */

static bool checksum_ok(const struct bt_rx *rx)
{
	uint64_t sum;

	if (rx->checked)
		return true;
	sum = bt_csum_pseudo(&rx->src, &rx->dst, BT_TCP, rx->len);
	return bt_csum_ok(bt_csum_add(sum, rx->data, rx->len));
}

/* True: the header is legal, and in is filled in. */
static bool parse(struct bt_tcp *t, const struct bt_rx *rx, struct bt_in *in)
{
	if (bt_tcp_read(rx->data, rx->len, &in->s) != BT_TCP_OK || in->s.sport == 0 ||
	    in->s.dport == 0) {
		bt_tcp_drop(t, rx, BERTH_DROP_TCP_MALFORMED);
		return false;
	}
	if (!checksum_ok(rx)) {
		bt_tcp_drop(t, rx, BERTH_DROP_TCP_CHECKSUM); /* MUST-3 */
		return false;
	}
	in->rx = rx;
	in->parts = NULL;
	in->data = rx->data + in->s.header_len;
	in->len = rx->len - in->s.header_len;
	in->n_segs = 1;
	if (rx->segment != 0 && in->len > rx->segment)
		in->n_segs = (in->len + rx->segment - 1) / rx->segment;
	return true;
}

static void deliver(struct bt_tcp *t, uint32_t slot, struct bt_in *in)
{
	struct bt_conn *c;

	if (slot == BT_NO_SLOT) { /* RFC 9293 3.10.7.1 */
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_NO_SOCKET);
		bt_reply_reset(t, in);
		return;
	}
	c = bt_tcp_conn(t, slot);
	if (c->state != BT_LISTEN)
		t->last_slot = slot;
	c->segs_in += in->n_segs;
	if (predicted(t, c, in))
		return;
	if (c->state == BT_LISTEN)
		bt_syn_listen(t, c, in);
	else if (c->state == BT_SYN_SENT)
		bt_syn_sent(t, c, in);
	else if (c->state == BT_TIME_WAIT)
		bt_close_time_wait_input(t, c, in);
	else
		process(t, c, in);
}

static uint32_t look_up(const struct bt_tcp *t, const struct bt_in *in)
{
	return bt_port_lookup(t->ports, in->rx->host, BT_TCP, &in->rx->dst, in->s.dport,
			      &in->rx->src, in->s.sport, in->rx->dev);
}

/* What a segment in order, or a plain ACK, looks at. The port space may know a socket of a slot
 * whose state TCP has not made yet. Inlined by force: gcc takes a function that only prefetches for
 * one without effect, and its calls away. */
static inline __attribute__((always_inline)) void fetch(const struct bt_tcp *t, uint32_t slot)
{
	const char *c;

	if (slot == BT_NO_SLOT || bt_chunk_of(slot) >= t->n_conn_chunks ||
	    t->conns[bt_chunk_of(slot)] == NULL)
		return;
	c = (const char *)bt_tcp_conn(t, slot);
	__builtin_prefetch(c);
	__builtin_prefetch(c + 64);
}

/* A slot that was found is asked for again where connections have come or gone since. */
void bt_tcp_input_batch(struct bt_tcp *t, const struct bt_rx *rx, size_t n, uint64_t now_ns)
{
	struct bt_in in[BT_PORT_BATCH];
	struct bt_port_query q[BT_PORT_BATCH];
	struct bt_port_batch batch;
	uint32_t slots[BT_PORT_BATCH], changes;

	bt_tcp_enter(t, now_ns);
	while (n > 0) {
		size_t m = 0, taken = n < BT_PORT_BATCH ? n : BT_PORT_BATCH;

		for (size_t i = 0; i < taken; i++)
			if (parse(t, &rx[i], &in[m])) {
				q[m] = (struct bt_port_query){&rx[i].dst,    &rx[i].src,
							      in[m].s.dport, in[m].s.sport,
							      rx[i].host,    rx[i].dev};
				m++;
			}
		bt_port_lookup_begin(t->ports, BT_TCP, q, m, t->last_slot, &batch, slots);
		if (m == 1 && !batch.same[0]) /* beside the socket: one wait for both */
			fetch(t, slots[0]);
		bt_port_lookup_end(t->ports, &batch, slots);
		for (size_t i = 0; i < m && m > 1; i++) /* more at a time than fit would be lost */
			if (!batch.same[i])
				fetch(t, slots[i]);
		changes = t->n_changes;
		for (size_t i = 0; i < m; i++)
			deliver(t, t->n_changes == changes ? slots[i] : look_up(t, &in[i]), &in[i]);
		rx += taken;
		n -= taken;
	}
}

void bt_tcp_input(struct bt_tcp *t, const struct bt_rx *rx, uint64_t now_ns)
{
	bt_tcp_input_batch(t, rx, 1, now_ns);
}

bool bt_tcp_input_parts(struct bt_tcp *t, const struct bt_rx *rx, const struct iovec *parts,
			uint32_t len, uint64_t now_ns)
{
	struct bt_in in = {.rx = rx, .parts = parts, .len = len, .n_segs = 1};
	struct bt_conn *c;
	uint32_t slot;

	bt_tcp_enter(t, now_ns);
	if (len == 0 || bt_tcp_read(rx->data, rx->len, &in.s) != BT_TCP_OK ||
	    in.s.header_len != rx->len)
		return false;
	slot = look_up(t, &in);
	if (slot == BT_NO_SLOT)
		return false;
	if (rx->segment != 0 && len > rx->segment)
		in.n_segs = (len + rx->segment - 1) / rx->segment;
	c = bt_tcp_conn(t, slot);
	if (!predicted(t, c, &in))
		return false;
	c->segs_in += in.n_segs;
	t->last_slot = slot;
	return true;
}

/* ---- ICMP ---- */

static void too_big(struct bt_tcp *t, struct bt_conn *c, bool v4, uint32_t mtu)
{
	uint16_t before = c->mss;

	mtu = bt_pmtu_believed(v4, mtu);
	if (mtu == 0 || mtu >= c->path.mtu || c->opts->mtu_discover == 0)
		return;
	c->path.mtu = mtu;
	bt_conn_set_mss(t, c);
	if (c->mss >= before || c->flight == NULL)
		return;
	for (uint32_t i = 0; i < c->flight->n; i++) /* RFC 1191 6.4: send them again, smaller */
		if (bt_seg_at(c->flight, i)->len > c->mss)
			bt_sack_lost(c, bt_seg_at(c->flight, i));
	bt_conn_wants_out(t, c);
}

/* RFC 1122 4.2.3.9, RFC 9293 MUST-54, MUST-56, RFC 5927: a number that is in flight shows that it
 * is about us; a connection that is established is not ended by it. */
bool bt_tcp_icmp(struct bt_tcp *t, uint16_t host, const struct bt_addr *src,
		 const struct bt_addr *dst, const uint8_t *quoted, size_t len, int error,
		 uint32_t mtu, uint64_t now_ns)
{
	struct bt_conn *c;
	struct bt_seq seq;
	uint32_t slot;

	bt_tcp_enter(t, now_ns);
	if (len < 8)
		return false;
	slot = bt_port_lookup(t->ports, host, BT_TCP, src, bt_get16(quoted), dst,
			      bt_get16(quoted + 2), 0);
	if (slot == BT_NO_SLOT)
		return false;
	c = bt_tcp_conn(t, slot);
	if (c->state == BT_LISTEN || c->state == BT_TIME_WAIT || c->state == BT_CLOSE)
		return false;
	seq = bt_seq(bt_get32(quoted + 4));
	if (bt_seq_lt(seq, c->snd_una) || bt_seq_lt(c->snd_nxt, seq))
		return false;
	if (mtu != 0) {
		too_big(t, c, bt_addr_is_v4(dst), mtu);
		return true;
	}
	if (error == 0)
		return true;
	if (c->state == BT_SYN_SENT)
		bt_close_end(t, c, error);
	else
		c->soft_error = (int16_t)error; /* RFC 9293 MUST-47, SHLD-25 */
	return true;
}

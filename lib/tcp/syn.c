/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How connections begin (RFC 9293 3.5): listeners and their two queues, the client's SYN, what the
 * options agree on, initial sequence numbers (RFC 6528).
 *
 * A child in SYN_RECV is a slot like any other, in its listener's SYN queue until the handshake
 * ends, then in the accept queue until the program takes it. Both have bounds: where the SYN queue
 * is full a SYN is answered by a cookie and kept nowhere (cookie.c); where the accept queue is
 * full, SYNs and last ACKs are dropped and come again, as in Linux.
 */
#include "tcb.h"

/* What is hashed by itself: its last byte keeps the numbers made of it apart. */
enum what { ISN = 1, TS_OFFSET = 2 };

/* Of IPv4 the addresses' last four bytes each will do: 15 bytes with all, where IPv6 has 39. */
static uint32_t keyed(const struct bt_tcp *t, const struct bt_addr *laddr, uint16_t lport,
		      const struct bt_addr *raddr, uint16_t rport, uint16_t host, enum what what)
{
	uint64_t rest = lport | (uint64_t)rport << 16 | (uint64_t)host << 32 | (uint64_t)what << 48;
	uint8_t v6[39];
	uint32_t a, b;

	if (bt_addr_is_v4(laddr) && bt_addr_is_v4(raddr)) {
		memcpy(&a, laddr->b + 12, sizeof(a));
		memcpy(&b, raddr->b + 12, sizeof(b));
		return (uint32_t)bt_siphash_15(t->key, a | (uint64_t)b << 32, rest);
	}
	memcpy(v6, laddr->b, 16);
	memcpy(v6 + 16, raddr->b, 16);
	memcpy(v6 + 32, &rest, 7);
	return (uint32_t)bt_siphash(t->key, v6, sizeof(v6));
}

/* RFC 6528 3, RFC 9293 MUST-8, MUST-9, SHLD-1: the clock of 64 ns (Linux's) plus a keyed hash. */
uint32_t bt_syn_isn(const struct bt_tcp *t, const struct bt_addr *laddr, uint16_t lport,
		    const struct bt_addr *raddr, uint16_t rport, uint16_t host)
{
	return keyed(t, laddr, lport, raddr, rport, host, ISN) + (uint32_t)(t->now_ns >> 6);
}

/* RFC 7323 5.4: one for each pair of addresses, so that clocks of one pair go on. */
uint32_t bt_syn_ts_offset(struct bt_tcp *t, const struct bt_addr *laddr,
			  const struct bt_addr *raddr, uint16_t host)
{
	struct bt_ts_pair *pair = &t->ts_pairs[host % BT_TS_PAIRS];

	if (pair->known && pair->host == host && bt_addr_eq(&pair->laddr, laddr) &&
	    bt_addr_eq(&pair->raddr, raddr))
		return pair->offset;
	*pair = (struct bt_ts_pair){*laddr, *raddr, keyed(t, laddr, 0, raddr, 0, host, TS_OFFSET),
				    host, true};
	return pair->offset;
}

/* Enough for the largest window that the buffer may come to (RFC 7323 2.2). */
uint8_t bt_syn_scale(const struct bt_tcp_opts *o)
{
	uint32_t space = o->rcvbuf != 0 ? o->rcvbuf : BT_RCVBUF_MAX;
	uint8_t scale = 0;

	if (o->window_clamp != 0)
		space = bt_min32(space, o->window_clamp);
	while (scale < BT_RCV_SCALE_MAX && space >> scale > 65535)
		scale++;
	return scale;
}

/* RFC 9293 3.7.1, MUST-67 */
static uint32_t mss_of_path(struct bt_tcp *t, const struct bt_conn *c)
{
	struct bt_port_ends e;
	uint32_t header;

	bt_port_ends(t->ports, c->self, &e);
	header = bt_addr_is_v4(&e.raddr) ? 40 : 60;
	return c->path.mtu > header + BT_MSS_MIN ? bt_min32(c->path.mtu - header, 65535)
						 : BT_MSS_MIN;
}

/* RFC 9293 MUST-16 (Eff.snd.MSS), RFC 6691: the option's value leaves no room for options. */
void bt_conn_set_mss(struct bt_tcp *t, struct bt_conn *c)
{
	uint32_t mss = bt_min32(mss_of_path(t, c), bt_max32(c->peer_mss, BT_MSS_MIN));

	if (c->opts->maxseg != 0)
		mss = bt_min32(mss, c->opts->maxseg);
	mss = bt_max32(mss, BT_MSS_MIN);
	c->mss = (uint16_t)(mss - (c->flags & CF_TS ? 12 : 0));
	if (c->cc.cwnd != 0 && c->cc.mss != c->mss)
		bt_cc_mss_changed(&c->cc, c->mss);
}

static uint32_t init_window(const struct bt_conn *c)
{
	uint32_t w = bt_min32(c->rcvbuf, 65535);

	return c->opts->window_clamp != 0 ? bt_min32(w, c->opts->window_clamp) : w;
}

static void start(struct bt_tcp *t, struct bt_conn *c, const struct bt_port_ends *e, uint32_t isn)
{
	c->snd_una = bt_seq(isn);
	c->snd_nxt = c->snd_una;
	c->ts_offset = bt_syn_ts_offset(t, &e->laddr, &e->raddr, e->host);
	c->rcv_scale = bt_syn_scale(c->opts);
	c->adv_mss = (uint16_t)mss_of_path(t, c);
	if (c->opts->maxseg != 0 && c->opts->maxseg < c->adv_mss)
		c->adv_mss = c->opts->maxseg;
	c->peer_mss = bt_addr_is_v4(&e->raddr) ? BT_MSS_DEFAULT : 1220; /* MUST-15 */
	c->rto = BT_RTO_INIT;
	c->undo_again = 0;
	c->last_in_ms = t->now_ms;
}

/* ---- the client ---- */

int bt_tcp_connect(struct bt_tcp *t, uint32_t slot, const struct bt_path *path, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	struct bt_tcp_seg s;
	struct bt_port_ends e;

	bt_tcp_enter(t, now_ns);
	if (c->state == BT_SYN_SENT || (c->state == BT_SYN_RECV && !(c->passive)))
		return BERTH_EALREADY;
	if (c->state != BT_CLOSE)
		return BERTH_EISCONN;
	bt_port_ends(t->ports, slot, &e);
	bt_conn_free_flight(t, c); /* of a connection before */
	c->unread = c->queued = 0;
	bt_conn_trim(t, c);
	c->path = *path;
	c->error = c->soft_error = 0;
	c->passive = c->fin_acked = 0;
	c->flags &= CF_USED | CF_NODELAY | CF_CORK | CF_NEWS | CF_OUT | CF_PINGPONG;
	start(t, c, &e, bt_syn_isn(t, &e.laddr, e.lport, &e.raddr, e.rport, e.host));
	t->n_changes++;
	c->state = BT_SYN_SENT; /* the port space has set its own */
	c->retransmits = c->backoff = 0;
	if (c->opts->fastopen != 0) {
		c->flags |= CF_FASTOPEN;
		if (bt_fastopen_known(t, c, &s) != 0)
			return BERTH_EINPROGRESS; /* the SYN takes the first data along */
	}
	c->flags |= CF_SYN;
	bt_conn_wants_out(t, c);
	return BERTH_EINPROGRESS;
}

/* A SYN or SYN-ACK in s; how many bytes of the send queue it takes along (Fast Open). */
uint32_t bt_syn_fill(struct bt_tcp *t, struct bt_conn *c, struct bt_tcp_seg *s)
{
	bool answer = c->state == BT_SYN_RECV;
	uint32_t window = init_window(c), data = 0;

	s->seq = c->snd_una;
	s->flags = answer ? BT_SYN | BT_ACK : BT_SYN;
	s->has = BT_TCP_MSS;
	s->mss = c->adv_mss; /* RFC 9293 MUST-14, MUST-65, SHLD-5 */
	if (!answer || c->flags & CF_SCALE)
		s->has |= BT_TCP_WSCALE;
	if (!answer || c->flags & CF_SACK)
		s->has |= BT_TCP_SACK_OK;
	if (!answer || c->flags & CF_TS)
		s->has |= BT_TCP_TS;
	s->wscale = c->rcv_scale;
	s->ts_val = bt_conn_ts(t, c);
	s->ts_ecr = answer ? c->ts_recent : 0;
	/* RFC 3168 6.1.1; a SYN that got no answer is repeated without (6.1.1.1) */
	if (answer && c->flags & CF_ECN)
		s->flags |= BT_ECE;
	else if (!answer && c->opts->ecn == 1 && c->retransmits == 0)
		s->flags |= BT_ECE | BT_CWR;
	s->ack = answer ? c->rcv_nxt : bt_seq(0);
	if (answer && bt_seq_lt(bt_seq_add(c->rcv_nxt, window), c->rcv_edge))
		window = bt_min32(c->rcv_edge.n - c->rcv_nxt.n, 65535);
	s->window = (uint16_t)window; /* RFC 7323 2.2: never scaled here */
	if (answer)
		c->rcv_edge = bt_seq_add(c->rcv_nxt, window);
	if (answer && c->flags & CF_FASTOPEN) { /* the client asked for a cookie */
		struct bt_port_ends e;

		bt_port_ends(t->ports, c->self, &e);
		s->has |= BT_TCP_FASTOPEN;
		s->cookie_len = 8;
		bt_fastopen_cookie(t, e.host, &e.raddr, &e.laddr, s->cookie);
	}
	if (!answer && c->flags & CF_FASTOPEN && c->retransmits == 0) {
		uint32_t mss = bt_min32(bt_fastopen_known(t, c, s), c->adv_mss);

		s->has |= BT_TCP_FASTOPEN;
		if (mss > BT_TCP_HEADER_MAX - 20)
			data = bt_min32(c->queued, mss - (BT_TCP_HEADER_MAX - 20));
	}
	c->snd_nxt = bt_seq_add(c->snd_una, 1 + data);
	return data;
}

static void agree(struct bt_tcp *t, struct bt_conn *c, const struct bt_tcp_seg *s)
{
	if (s->has & BT_TCP_MSS)
		c->peer_mss = s->mss;
	if (s->has & BT_TCP_TS) {
		c->flags |= CF_TS;
		c->ts_recent = s->ts_val;
		c->ts_recent_ms = t->now_ms;
	}
	if (s->has & BT_TCP_SACK_OK)
		c->flags |= CF_SACK;
	if (s->has & BT_TCP_WSCALE) {
		c->flags |= CF_SCALE;
		c->snd_scale = s->wscale;
	} else {
		c->snd_scale = c->rcv_scale = 0;
	}
	c->rcv_nxt = bt_seq_add(s->seq, 1);
	c->rcv_edge = bt_seq_add(c->rcv_nxt, init_window(c));
	c->last_ack = c->rcv_nxt;
	c->rcv_up = c->rcv_nxt;
	c->wl1 = s->seq;
	c->wl2 = s->ack;
	c->snd_wnd = c->max_wnd = s->window; /* of a SYN: not scaled */
	c->rcv_mss = (uint16_t)bt_min32(bt_min32(c->adv_mss, c->peer_mss), BT_MSS_DEFAULT);
	bt_conn_set_mss(t, c);
}

/* Leaves SYN_SENT or SYN_RECV for ESTABLISHED: SND.UNA is set already. */
void bt_syn_established(struct bt_tcp *t, struct bt_conn *c)
{
	uint64_t rtt_ns = 0;
	uint32_t random = 0;
	bool lost = c->retransmits > 0;

	if (!lost && c->last_out_us != 0)
		rtt_ns = (uint64_t)(t->now_us - c->last_out_us) * 1000;
	c->retransmits = c->backoff = 0;
	c->send_timer = ST_NONE;
	c->flags &= ~(uint32_t)CF_SYN;		       /* one that was to be sent again */
	c->rto = lost ? 3 * BT_RTO_INIT : BT_RTO_INIT; /* RFC 6298 5.7 */
	if (rtt_ns != 0)
		bt_ack_rtt(t, c, rtt_ns);
	c->snd_nxt = c->snd_una;
	c->snd_up = c->snd_una;
	/* BBR alone uses chance */
	if (c->opts->module == BERTH_CC_BBR)
		random = bt_tcp_random(t);
	bt_cc_start(&c->cc, (enum berth_congestion)c->opts->module, c->mss, lost, rtt_ns, random,
		    t->now_ns);
	c->quick = BT_QUICK_ACKS;
	bt_conn_set_state(t, c, BT_ESTABLISHED);
	bt_timers_keepalive(t, c); /* arms the timer */
	if (c->flags & CF_FIN)	   /* shut down before */
		bt_conn_set_state(t, c, BT_FIN_WAIT1);
	if (c->queued > 0 || c->flags & CF_FIN)
		bt_conn_wants_out(t, c);
}

/* RFC 9293 3.10.7.3, in its steps. */
void bt_syn_sent(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;
	bool acks = false;

	if (s->flags & BT_ACK) { /* first: the ACK */
		if (!bt_seq_lt(c->snd_una, s->ack) || bt_seq_lt(c->snd_nxt, s->ack)) {
			bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_ACK);
			bt_reply_reset(t, in);
			return;
		}
		acks = true;
	}
	if (s->flags & BT_RST) { /* second: RST */
		if (acks)
			bt_close_end(t, c, BERTH_ECONNREFUSED);
		else
			bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_RST_BLIND);
		return;
	}
	if (!(s->flags & BT_SYN)) { /* fourth: SYN */
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_FLAGS);
		return;
	}
	if (acks && s->has & BT_TCP_TS &&
	    (int32_t)(bt_conn_ts(t, c) - s->ts_ecr) < 0) { /* echoes what was never sent */
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_PAWS);
		return;
	}
	agree(t, c, s);
	if (!acks) { /* simultaneous open (MUST-10) */
		c->snd_nxt = c->snd_una;
		if (c->opts->ecn != 0 && (s->flags & (BT_ECE | BT_CWR)) == (BT_ECE | BT_CWR))
			c->flags |= CF_ECN;
		c->flags &= ~(uint32_t)CF_FASTOPEN;
		bt_conn_set_state(t, c, BT_SYN_RECV);
		c->flags |= CF_SYN;
		bt_conn_wants_out(t, c);
		return;
	}
	if (c->opts->ecn == 1 && (s->flags & (BT_ECE | BT_CWR)) == BT_ECE)
		c->flags |= CF_ECN;
	if (s->has & BT_TCP_FASTOPEN && s->cookie_len > 0)
		bt_fastopen_learn(t, c, s);
	if (s->ack.n - c->snd_una.n > 1) { /* data of the SYN have come */
		uint32_t n = s->ack.n - c->snd_una.n - 1;

		bt_bytes_drop(&c->flight->tx, t->chunks, n);
		c->queued -= n;
		c->bytes_acked += n;
		c->flags |= CF_SYN_DATA;
	}
	c->snd_una = s->ack;
	bt_syn_established(t, c);
	c->flags |= CF_ACK_NOW;
	bt_conn_wants_out(t, c);
	bt_conn_news(t, c, BERTH_WRITABLE);
	in->s.seq = c->rcv_nxt; /* data with the SYN-ACK, or its FIN */
	in->s.flags &= (uint8_t)~BT_SYN;
	if (in->len > 0 || in->s.flags & BT_FIN)
		bt_input_text(t, c, in);
}

/* ---- the server ---- */

int bt_tcp_listen(struct bt_tcp *t, uint32_t slot, uint32_t backlog, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	struct bt_listener *l;

	bt_tcp_enter(t, now_ns);
	if (c->state == BT_LISTEN) {
		c->listener->backlog = backlog;
		return 0;
	}
	if (c->state != BT_CLOSE)
		return BERTH_EINVAL;
	l = bt_mem_get(&t->mem, sizeof(*l));
	if (l == NULL)
		return BERTH_ENOMEM;
	memset(l, 0, sizeof(*l));
	l->backlog = backlog;
	l->first = l->last = l->syn_first = BT_NO_SLOT;
	if (c->rxq != NULL) {
		c->unread = 0;
		bt_conn_trim(t, c);
	}
	bt_conn_set_state(t, c, BT_LISTEN);
	c->listener = l;
	return 0;
}

static void enter_syn_queue(struct bt_tcp *t, struct bt_conn *l, struct bt_conn *c)
{
	c->news_prev = BT_NO_SLOT;
	c->news_next = l->listener->syn_first;
	if (c->news_next != BT_NO_SLOT)
		bt_tcp_conn(t, c->news_next)->news_prev = c->self;
	l->listener->syn_first = c->self;
	l->listener->n_syn++;
}

/* Of a child in SYN_RECV. */
void bt_syn_leave_queue(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_listener *l;

	if (c->parent == BT_NO_SLOT)
		return;
	l = bt_tcp_conn(t, c->parent)->listener;
	if (c->news_prev == BT_NO_SLOT)
		l->syn_first = c->news_next;
	else
		bt_tcp_conn(t, c->news_prev)->news_next = c->news_next;
	if (c->news_next != BT_NO_SLOT)
		bt_tcp_conn(t, c->news_next)->news_prev = c->news_prev;
	l->n_syn--;
	c->parent = BT_NO_SLOT;
}

static void enter_accept_queue(struct bt_tcp *t, struct bt_conn *l, struct bt_conn *c)
{
	struct bt_listener *q = l->listener;

	c->news_next = BT_NO_SLOT;
	if (q->last == BT_NO_SLOT)
		q->first = c->self;
	else
		bt_tcp_conn(t, q->last)->news_next = c->self;
	q->last = c->self;
	q->n_queue++;
	bt_conn_news(t, l, BERTH_READABLE);
}

uint32_t bt_tcp_accept_next(const struct bt_tcp *t, uint32_t listener)
{
	const struct bt_conn *l = bt_tcp_conn(t, listener);

	return l->state == BT_LISTEN ? l->listener->first : BT_NO_SLOT;
}

int bt_tcp_accept(struct bt_tcp *t, uint32_t listener, uint32_t *slot, uint64_t now_ns)
{
	struct bt_conn *l = bt_tcp_conn(t, listener), *c;
	struct bt_listener *q;
	int ready;

	bt_tcp_enter(t, now_ns);
	if (l->state != BT_LISTEN)
		return BERTH_EINVAL;
	q = l->listener;
	if (q->first == BT_NO_SLOT)
		return BERTH_EAGAIN;
	c = bt_tcp_conn(t, q->first);
	q->first = c->news_next;
	if (q->first == BT_NO_SLOT)
		q->last = BT_NO_SLOT;
	q->n_queue--;
	c->flags &= ~(uint32_t)CF_CHILD;
	c->parent = BT_NO_SLOT;
	ready = bt_tcp_ready(t, c->self);
	if (ready != 0)
		bt_conn_news(t, c, (unsigned)ready);
	*slot = c->self;
	return 0;
}

/* A new slot for the sender of a SYN (or of a cookie's ACK); NULL: dropped. */
struct bt_conn *bt_syn_child(struct bt_tcp *t, struct bt_conn *l, const struct bt_in *in)
{
	const struct bt_rx *rx = in->rx;
	struct bt_port_ends e = {.laddr = rx->dst,
				 .raddr = rx->src,
				 .lport = in->s.dport,
				 .rport = in->s.sport,
				 .host = rx->host};
	struct bt_path path = {0};
	struct bt_reason why;
	uint32_t slot, taken;
	struct bt_conn *c;

	if (t->below.path(t->below.arg, rx->host, &rx->dst, &rx->src, &path) < 0 ||
	    bt_port_accept(t->ports, l->self, &rx->dst, &rx->src, in->s.sport, &slot, &taken,
			   &why) < 0) {
		bt_tcp_drop(t, rx, BERTH_DROP_NO_MEMORY);
		return NULL;
	}
	if (taken != BT_NO_SLOT && taken != slot && bt_tcp_conn(t, taken)->flags & CF_USED)
		bt_conn_done(t, bt_tcp_conn(t, taken));
	if (bt_tcp_open(t, slot) < 0) {
		bt_port_free(t->ports, slot);
		bt_tcp_drop(t, rx, BERTH_DROP_NO_MEMORY);
		return NULL;
	}
	t->n_changes++;
	c = bt_tcp_conn(t, slot);
	bt_opts_unref(t, c->opts);
	c->opts = l->opts;
	c->opts->refs++;
	c->rcvbuf = l->rcvbuf;
	c->sndbuf = l->sndbuf;
	c->path = path;
	c->flags |= CF_CHILD | (l->flags & (CF_NODELAY | CF_CORK | CF_PINGPONG));
	c->passive = 1;
	c->state = BT_SYN_RECV; /* as the port space has it */
	start(t, c, &e, bt_syn_isn(t, &e.laddr, e.lport, &e.raddr, e.rport, e.host));
	agree(t, c, &in->s);
	return c;
}

/* RFC 7413 4.2.2: the data of a SYN with the right cookie are taken, and need not come again. The
 * program gets them with the connection, when the handshake has ended (Linux: at once). */
static void fast_open(struct bt_tcp *t, struct bt_conn *l, struct bt_conn *c, struct bt_in *in)
{
	uint8_t cookie[8];

	if (l->opts->fastopen == 0 || !(in->s.has & BT_TCP_FASTOPEN))
		return;
	bt_fastopen_cookie(t, in->rx->host, &in->rx->src, &in->rx->dst, cookie);
	if (in->s.cookie_len != 8 || memcmp(cookie, in->s.cookie, 8) != 0) {
		c->flags |= CF_FASTOPEN; /* the SYN-ACK brings the right one */
		return;
	}
	if (in->len == 0 || l->listener->n_fastopen >= l->opts->fastopen ||
	    bt_conn_rxq(t, c) == NULL)
		return;
	in->s.flags &= (uint8_t)~BT_FIN;
	in->s.seq = c->rcv_nxt;
	bt_reass_input(t, c, in);
	if (c->unread > 0)
		c->flags |= CF_SYN_DATA;
}

/* RFC 9293 3.10.7.2 */
void bt_syn_listen(struct bt_tcp *t, struct bt_conn *l, struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;
	struct bt_listener *q = l->listener;
	struct bt_conn *c;

	if (s->flags & BT_RST) { /* first */
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_NO_SOCKET);
		return;
	}
	if (s->flags & BT_ACK) { /* second; it may bring a cookie back */
		c = s->flags & BT_SYN ? NULL : bt_syn_cookie_child(t, l, in);
		if (c == NULL)
			return;
		if (q->n_queue > q->backlog) {
			bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_BACKLOG);
			bt_close_free(t, c);
			return;
		}
		bt_syn_established(t, c);
		c->parent = l->self;
		enter_accept_queue(t, l, c);
		if (in->len > 0 || s->flags & BT_FIN)
			bt_input_text(t, c, in);
		return;
	}
	/* third; RFC 9293 MUST-57: not to several */
	if (!(s->flags & BT_SYN) || s->flags & BT_FIN || in->rx->multicast) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_FLAGS);
		return;
	}
	if (q->n_queue > q->backlog) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_BACKLOG);
		return;
	}
	if (q->n_syn >= bt_max32(q->backlog, 1)) {
		bt_cookie_reply(t, l, in);
		return;
	}
	c = bt_syn_child(t, l, in);
	if (c == NULL)
		return;
	if (c->opts->ecn != 0 && (s->flags & (BT_ECE | BT_CWR)) == (BT_ECE | BT_CWR))
		c->flags |= CF_ECN;
	c->parent = l->self;
	enter_syn_queue(t, l, c);
	fast_open(t, l, c, in);
	c->flags |= CF_SYN;
	bt_conn_wants_out(t, c);
}

/* An acceptable ACK has come in SYN_RECV. False: the child stays there. */
bool bt_syn_accepted(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	struct bt_conn *l = c->parent == BT_NO_SLOT ? NULL : bt_tcp_conn(t, c->parent);

	if (l != NULL && l->listener->n_queue > l->listener->backlog) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_BACKLOG);
		return false;
	}
	/* TCP_DEFER_ACCEPT: a bare ACK is not yet worth waking the program. */
	if (l != NULL && c->opts->defer_accept != 0 && in->len == 0 && !(in->s.flags & BT_FIN) &&
	    c->retransmits < c->opts->defer_accept) {
		c->probes = 1; /* no SYN-ACK need go before that time is over */
		return false;
	}
	c->snd_una = bt_seq_add(c->snd_una, 1);
	c->flags &= ~(uint32_t)CF_SYN;
	if (l != NULL) {
		bt_syn_leave_queue(t, c);
		c->parent = l->self;
		enter_accept_queue(t, l, c);
	} else {
		bt_conn_news(t, c, BERTH_WRITABLE);
	}
	bt_syn_established(t, c);
	return true;
}

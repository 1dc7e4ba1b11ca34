/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers outside the stream: challenge ACKs (RFC 5961), and a bounded ring of segments that
 * belong to no connection (resets, SYN cookies, the ACK that TIME_WAIT repeats).
 *
 * The limit of challenge ACKs is each connection's own and differs by a random amount each second:
 * a global, exact one tells a stranger whether his guess was counted (CVE-2016-5696).
 */
#include "tcb.h"

#include <stdlib.h>

#define CHALLENGES  10u	   /* a second, at least; at most twice as many */
#define PEERS_MAX   1024u  /* answers that peers caused and that wait */
#define REPLIES_MAX 65536u /* and with those of own accord */

/* RFC 5961 7: true if one more may go. */
bool bt_challenge_allowed(struct bt_tcp *t, struct bt_conn *c, const struct bt_rx *rx)
{
	uint16_t s = (uint16_t)(t->now_ms / 1000 + 1);

	if (c->challenge_s != s) {
		c->challenge_s = s;
		c->challenge_left = (uint16_t)(CHALLENGES + bt_tcp_random(t) % (CHALLENGES + 1));
	}
	if (c->challenge_left == 0) {
		bt_tcp_drop(t, rx, BERTH_DROP_TCP_CHALLENGE_RATE);
		return false;
	}
	c->challenge_left--;
	return true;
}

/* RFC 5961 3, 4, 5 */
void bt_challenge(struct bt_tcp *t, struct bt_conn *c, const struct bt_rx *rx)
{
	if (!bt_challenge_allowed(t, c, rx))
		return;
	c->flags |= CF_ACK_NOW;
	bt_conn_wants_out(t, c);
}

struct bt_reply *bt_reply_add(struct bt_tcp *t, bool own)
{
	struct bt_reply *r;

	if (t->n_replies >= (own ? REPLIES_MAX : PEERS_MAX))
		return NULL;
	if (t->n_replies == t->reply_cap) {
		uint32_t cap = t->reply_cap == 0 ? 64 : t->reply_cap * 2;

		r = malloc(cap * sizeof(*r));
		if (r == NULL)
			return NULL;
		for (uint32_t i = 0; i < t->n_replies; i++)
			r[i] = t->replies[(t->reply_head + i) & (t->reply_cap - 1)];
		free(t->replies);
		t->replies = r;
		t->reply_cap = cap;
		t->reply_head = 0;
	}
	r = &t->replies[(t->reply_head + t->n_replies++) & (t->reply_cap - 1)];
	memset(r, 0, sizeof(*r));
	return r;
}

/* RFC 9293 3.10.7.1: a segment for no connection is answered by a reset that looks acceptable to
 * its sender. */
void bt_reply_reset(struct bt_tcp *t, const struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;
	struct bt_reply *r;

	if (s->flags & BT_RST || in->rx->multicast)
		return;
	r = bt_reply_add(t, false);
	if (r == NULL)
		return;
	r->host = in->rx->host;
	r->src = in->rx->dst;
	r->dst = in->rx->src;
	r->sport = s->dport;
	r->dport = s->sport;
	r->tos = in->rx->tos & 0xfc;
	if (s->flags & BT_ACK) {
		r->flags = BT_RST;
		r->seq = s->ack;
		return;
	}
	r->flags = BT_RST | BT_ACK;
	r->ack = bt_seq_add(s->seq,
			    in->len + ((s->flags & BT_SYN) != 0) + ((s->flags & BT_FIN) != 0));
}

/* A segment of a connection that is about to be gone, or is in TIME_WAIT. */
void bt_reply_for(struct bt_tcp *t, struct bt_conn *c, uint8_t flags, struct bt_seq seq)
{
	struct bt_reply *r = bt_reply_add(t, (flags & BT_RST) != 0);
	struct bt_port_ends e;

	if (r == NULL)
		return;
	bt_port_ends(t->ports, c->self, &e);
	r->host = e.host;
	r->src = e.laddr;
	r->dst = e.raddr;
	r->sport = e.lport;
	r->dport = e.rport;
	r->flags = flags;
	r->seq = seq;
	r->ack = c->rcv_nxt;
	r->tos = c->opts->tos;
	if (!(flags & BT_RST) && c->rcv_edge.n - c->rcv_nxt.n < 1u << 30)
		r->window =
			(uint16_t)bt_min32((c->rcv_edge.n - c->rcv_nxt.n) >> c->rcv_scale, 65535);
	if (c->flags & CF_TS) {
		r->has = BT_TCP_TS;
		r->ts_val = bt_conn_ts(t, c);
		r->ts_ecr = c->ts_recent;
	}
}

bool bt_reply_take(struct bt_tcp *t, struct bt_tx *tx)
{
	const struct bt_reply *r;
	struct bt_tcp_seg s;
	uint64_t sum;

	if (t->n_replies == 0)
		return false;
	r = &t->replies[t->reply_head];
	t->reply_head = (t->reply_head + 1) & (t->reply_cap - 1);
	t->n_replies--;
	s = (struct bt_tcp_seg){.sport = r->sport,
				.dport = r->dport,
				.seq = r->seq,
				.ack = r->ack,
				.flags = r->flags,
				.has = r->has,
				.window = r->window,
				.wscale = r->wscale,
				.mss = r->mss,
				.ts_val = r->ts_val,
				.ts_ecr = r->ts_ecr};
	tx->host = r->host;
	tx->proto = BT_TCP;
	tx->tos = r->tos;
	tx->hops = 0;
	tx->no_fragment = true;
	tx->no_checksum = false;
	tx->checksum_at = 16;
	tx->segment = 0;
	tx->src = r->src;
	tx->dst = r->dst;
	tx->path = NULL;
	tx->header_at = BT_TX_HEADER_AT;
	tx->header_len = (uint16_t)bt_tcp_write(tx->out->header + BT_TX_HEADER_AT, &s);
	tx->payload_len = 0;
	tx->out->n_iov = 1;
	sum = bt_csum_pseudo(&tx->src, &tx->dst, BT_TCP, tx->header_len);
	sum = bt_csum_add(sum, tx->out->header + BT_TX_HEADER_AT, tx->header_len);
	bt_csum_put(tx->out->header + BT_TX_HEADER_AT + 16, sum);
	return true;
}

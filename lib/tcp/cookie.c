/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is given to a peer instead of being kept: SYN cookies (RFC 4987 3.6) and Fast Open's cookies
 * (RFC 7413).
 *
 * A SYN cookie is the initial sequence number: 5 bits of the minute, 3 bits that name an MSS, 24
 * bits of a keyed hash over them, the 4-tuple and the peer's number; the first 8 bits are hidden by
 * another hash. Where the peer has timestamps, ours carries window scale, SACK and ECN in its low 6
 * bits; the peer echoes it.
 */
#include "tcb.h"

#define COOKIE_LIFE_MIN 2u
#define TS_BITS		6u
#define TS_NO_SCALE	15u

static const uint16_t mss_names[8] = {216, 536, 1200, 1220, 1400, 1440, 1460, 8960};

struct cookie_in {
	struct bt_addr laddr, raddr;
	uint16_t lport, rport, host, what;
	uint32_t peer_seq, rest;
};

static uint32_t hash(const struct bt_tcp *t, const struct bt_in *in, uint32_t peer_seq,
		     uint16_t what, uint32_t rest)
{
	struct cookie_in i = {in->rx->dst,  in->rx->src, in->s.dport, in->s.sport,
			      in->rx->host, what,	 peer_seq,    rest};

	return (uint32_t)bt_siphash(t->key, &i, sizeof(i));
}

static uint32_t minute(const struct bt_tcp *t)
{
	return (uint32_t)(t->now_ns / 60000000000) & 31;
}

static uint32_t make(const struct bt_tcp *t, const struct bt_in *in, uint32_t peer_seq,
		     uint32_t head)
{
	return ((head ^ (hash(t, in, peer_seq, 3, 0) & 255)) << 24) |
	       (hash(t, in, peer_seq, 4, head) & 0xffffff);
}

void bt_cookie_reply(struct bt_tcp *t, struct bt_conn *l, const struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;
	uint32_t name = 0, mss = s->has & BT_TCP_MSS ? s->mss : BT_MSS_DEFAULT;
	struct bt_path path = {0};
	struct bt_reply *r;
	bool v4 = bt_addr_is_v4(&in->rx->src);

	if (t->below.path(t->below.arg, in->rx->host, &in->rx->dst, &in->rx->src, &path) < 0)
		r = NULL;
	else
		r = bt_reply_add(t, false);
	if (r == NULL) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_SYN_QUEUE);
		return;
	}
	while (name < 7 && mss_names[name + 1] <= mss)
		name++;
	r->host = in->rx->host;
	r->src = in->rx->dst;
	r->dst = in->rx->src;
	r->sport = s->dport;
	r->dport = s->sport;
	r->flags = BT_SYN | BT_ACK;
	r->seq = bt_seq(make(t, in, s->seq.n, minute(t) << 3 | name));
	r->ack = bt_seq_add(s->seq, 1);
	r->window = (uint16_t)bt_min32(l->rcvbuf, 65535);
	r->has = BT_TCP_MSS;
	r->mss = (uint16_t)bt_min32(path.mtu - (v4 ? 40 : 60), 65535);
	r->tos = l->opts->tos;
	l->listener->cookies = true;
	l->listener->cookie_ms = t->now_ms;
	if (!(s->has & BT_TCP_TS))
		return;
	r->has |= BT_TCP_TS | (s->has & (BT_TCP_WSCALE | BT_TCP_SACK_OK));
	r->wscale = bt_syn_scale(l->opts);
	r->ts_ecr = s->ts_val;
	r->ts_val = t->now_ms + bt_syn_ts_offset(t, &in->rx->dst, &in->rx->src, in->rx->host);
	r->ts_val = (r->ts_val & ~((1u << TS_BITS) - 1)) - (1u << TS_BITS); /* not ahead of time */
	r->ts_val |= s->has & BT_TCP_WSCALE ? s->wscale : TS_NO_SCALE;
	r->ts_val |= s->has & BT_TCP_SACK_OK ? 1u << 4 : 0;
	if (l->opts->ecn != 0 && (s->flags & (BT_ECE | BT_CWR)) == (BT_ECE | BT_CWR)) {
		r->ts_val |= 1u << 5;
		r->flags |= BT_ECE;
	}
}

static bool gives(const struct bt_tcp *t, const struct bt_listener *q)
{
	return q->cookies && t->now_ms - q->cookie_ms <= COOKIE_LIFE_MIN * 60000;
}

bool bt_tcp_gives_cookies(const struct bt_tcp *t, uint32_t listener)
{
	const struct bt_conn *c = bt_tcp_conn(t, listener);

	return c != NULL && c->state == BT_LISTEN && gives(t, c->listener);
}

/* The ACK of a listener: a child if it brings a cookie back that is right and young; else NULL, and
 * it has been answered by a reset. */
struct bt_conn *bt_syn_cookie_child(struct bt_tcp *t, struct bt_conn *l, struct bt_in *in)
{
	struct bt_listener *q = l->listener;
	struct bt_tcp_seg *s = &in->s;
	struct bt_tcp_seg ack = *s;
	uint32_t peer = s->seq.n - 1, cookie = s->ack.n - 1;
	uint32_t head = (cookie >> 24 ^ hash(t, in, peer, 3, 0)) & 255;
	uint32_t echo = s->ts_ecr;
	struct bt_conn *c;

	if (!gives(t, q) || ((minute(t) - (head >> 3)) & 31) >= COOKIE_LIFE_MIN ||
	    make(t, in, peer, head) != cookie) {
		bt_tcp_drop(t, in->rx,
			    q->cookies ? BERTH_DROP_TCP_COOKIE : BERTH_DROP_TCP_NO_SOCKET);
		bt_reply_reset(t, in);
		return NULL;
	}
	/* As if the SYN had come now. */
	s->seq = bt_seq(peer);
	s->mss = mss_names[head & 7];
	s->has = (uint8_t)(BT_TCP_MSS | (s->has & BT_TCP_TS));
	if (s->has & BT_TCP_TS && (echo & 15) != TS_NO_SCALE) {
		s->has |= BT_TCP_WSCALE;
		s->wscale = (uint8_t)bt_min32(echo & 15, 14);
	}
	if (s->has & BT_TCP_TS && echo & 1u << 4)
		s->has |= BT_TCP_SACK_OK;
	c = bt_syn_child(t, l, in);
	*s = ack;
	if (c == NULL)
		return NULL;
	if (s->has & BT_TCP_TS && echo & 1u << 5 && c->opts->ecn != 0)
		c->flags |= CF_ECN;
	c->snd_una = s->ack;
	c->snd_wnd = c->max_wnd = (uint32_t)s->window << c->snd_scale;
	c->wl1 = s->seq;
	c->wl2 = s->ack;
	return c;
}

/* ---- Fast Open ---- */

/* RFC 7413 4.1.2: a keyed hash of both addresses. */
void bt_fastopen_cookie(const struct bt_tcp *t, uint16_t host, const struct bt_addr *client,
			const struct bt_addr *server, uint8_t cookie[8])
{
	struct {
		struct bt_addr client, server;
		uint16_t host, what;
	} in = {*client, *server, host, 5};
	uint64_t h = bt_siphash(t->key, &in, sizeof(in));

	memcpy(cookie, &h, 8);
}

static struct bt_fastopen *entry(struct bt_tcp *t, const struct bt_port_ends *e)
{
	struct {
		struct bt_addr dst;
		uint16_t host, what;
	} in = {e->raddr, e->host, 6};

	return &t->fastopen[bt_siphash(t->key, &in, sizeof(in)) % BT_FASTOPEN_SLOTS];
}

void bt_fastopen_learn(struct bt_tcp *t, struct bt_conn *c, const struct bt_tcp_seg *s)
{
	struct bt_port_ends e;
	struct bt_fastopen *f;

	bt_port_ends(t->ports, c->self, &e);
	f = entry(t, &e);
	f->dst = e.raddr;
	f->host = e.host;
	f->mss = c->peer_mss;
	f->len = s->cookie_len;
	memcpy(f->cookie, s->cookie, sizeof(f->cookie));
}

/* The server's MSS if a cookie of the destination is known, which is then in s; else 0. */
uint16_t bt_fastopen_known(struct bt_tcp *t, struct bt_conn *c, struct bt_tcp_seg *s)
{
	struct bt_port_ends e;
	const struct bt_fastopen *f;

	bt_port_ends(t->ports, c->self, &e);
	f = entry(t, &e);
	s->cookie_len = 0;
	if (f->len == 0 || f->host != e.host || !bt_addr_eq(&f->dst, &e.raddr))
		return 0;
	s->cookie_len = f->len;
	memcpy(s->cookie, f->cookie, sizeof(s->cookie));
	return f->mss;
}

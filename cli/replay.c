/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include "../lib/base/bytes.h"
#include "../lib/base/checksum.h"
#include "../lib/wire/ipv4.h"
#include "../lib/wire/ipv6.h"
#include "../lib/wire/tcp.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u
#define SACK	5 /* option kind (RFC 2018) */

/* libpcap's numbers; not all are in every header file. */
enum link_type {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,
};

struct flow {
	struct flow *next;
	struct bt_addr client, host;
	uint16_t cport, hport;
	bool recorded, live;		   /* what is known of the host's first sequence number */
	struct bt_seq then, now, next_now; /* recorded, live; the next that the live host sends */
};

struct bt_flows {
	struct flow *of[BUCKETS];
};

struct segment {
	struct bt_addr src, dst;
	struct bt_tcp_seg s;
	size_t at, len; /* where TCP begins in the packet, and how long it is */
};

/* ---- packets ---- */

static size_t link_header(uint16_t linktype, const uint8_t *p, size_t len)
{
	size_t at = 14;
	switch (linktype) {
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		return 0;
	case LINK_NULL:
	case LINK_LOOP:
		return 4;
	case LINK_SLL:
		return 16;
	case LINK_SLL2:
		return 20;
	case LINK_ETHERNET: /* with VLAN tags (IEEE 802.1Q), or without */
		while (len >= at && ((p[at - 2] == 0x81 && p[at - 1] == 0x00) ||
				     (p[at - 2] == 0x88 && p[at - 1] == 0xa8)))
			at += 4;
		return at;
	default:
		return SIZE_MAX;
	}
}

bool bt_replay_ip(uint16_t linktype, const uint8_t **data, size_t *len, struct bt_addr *src,
		  struct bt_addr *dst)
{
	size_t at = link_header(linktype, *data, *len), n = 0;
	if (at >= *len)
		return false;
	const uint8_t *p = *data + at;
	size_t left = *len - at;
	if (p[0] >> 4 == 4 && left >= BT_IPV4_HEADER) {
		n = (size_t)p[2] << 8 | p[3];
		*src = *dst = (struct bt_addr){{[10] = 0xff, [11] = 0xff}};
		memcpy(src->b + 12, p + 12, 4);
		memcpy(dst->b + 12, p + 16, 4);
	} else if (p[0] >> 4 == 6 && left >= BT_IPV6_HEADER) {
		n = ((size_t)p[4] << 8 | p[5]) + BT_IPV6_HEADER;
		memcpy(src->b, p + 8, 16);
		memcpy(dst->b, p + 24, 16);
	}
	if (n < BT_IPV4_HEADER || n > left)
		return false;
	*data = p;
	*len = n;
	return true;
}

/* A whole TCP segment without extension headers in between; others are given as they are. */
static bool segment_of(const uint8_t *packet, size_t len, struct segment *g)
{
	const uint8_t *p = packet;
	bool v4 = len > 0 && p[0] >> 4 == 4;
	g->len = len;
	if (!bt_replay_ip(LINK_RAW, &p, &g->len, &g->src, &g->dst))
		return false;
	g->at = v4 ? (size_t)(p[0] & 15) * 4 : BT_IPV6_HEADER;
	bool fragment = v4 && ((p[6] & 0x3f) != 0 || p[7] != 0);
	if (fragment || p[v4 ? 9 : 6] != BT_IPPROTO_TCP || g->at > g->len)
		return false;
	g->len -= g->at;
	return bt_tcp_read(packet + g->at, g->len, &g->s) == BT_TCP_OK;
}

static struct bt_seq end_of(const struct segment *g)
{
	uint32_t n = (uint32_t)(g->len - g->s.header_len);
	return bt_seq_add(g->s.seq,
			  n + (g->s.flags & BT_SYN ? 1 : 0) + (g->s.flags & BT_FIN ? 1 : 0));
}

/* ---- flows ---- */

struct bt_flows *bt_flows_new(void)
{
	return calloc(1, sizeof(struct bt_flows));
}

void bt_flows_free(struct bt_flows *f)
{
	for (uint32_t i = 0; f != NULL && i < BUCKETS; i++)
		while (f->of[i] != NULL) {
			struct flow *w = f->of[i];
			f->of[i] = w->next;
			free(w);
		}
	free(f);
}

/* The segment's flow, made if it is new; NULL: out of memory. */
static struct flow *flow_of(struct bt_flows *f, const struct segment *g, bool to_host)
{
	const struct bt_addr *client = to_host ? &g->src : &g->dst,
			     *host = to_host ? &g->dst : &g->src;
	uint16_t cport = to_host ? g->s.sport : g->s.dport,
		 hport = to_host ? g->s.dport : g->s.sport;
	struct flow **place = &f->of[(cport * 31u + hport + client->b[15]) % BUCKETS], *w = *place;
	while (w != NULL && !(w->cport == cport && w->hport == hport &&
			      bt_addr_eq(&w->client, client) && bt_addr_eq(&w->host, host)))
		w = w->next;
	if (w == NULL && (w = calloc(1, sizeof(*w))) != NULL) {
		*w = (struct flow){.next = *place,
				   .client = *client,
				   .host = *host,
				   .cport = cport,
				   .hport = hport};
		*place = w;
	}
	return w;
}

bool bt_flows_recorded(struct bt_flows *f, const uint8_t *packet, size_t len)
{
	struct segment g;
	if (!segment_of(packet, len, &g) || !(g.s.flags & BT_SYN))
		return true;
	struct flow *w = flow_of(f, &g, false);
	if (w == NULL)
		return false;
	w->then = g.s.seq;
	w->recorded = true;
	return true;
}

bool bt_flows_heard(struct bt_flows *f, const uint8_t *packet, size_t len)
{
	struct segment g;
	if (!segment_of(packet, len, &g) || g.s.flags & BT_RST)
		return true;
	struct flow *w = flow_of(f, &g, false);
	if (w == NULL)
		return false;
	if (g.s.flags & BT_SYN && !w->live) {
		w->live = true;
		w->now = g.s.seq;
		w->next_now = end_of(&g);
	} else if (w->live && bt_seq_lt(w->next_now, end_of(&g))) {
		w->next_now = end_of(&g);
	}
	return true;
}

/* The blocks of a SACK option are the host's numbers, too. */
static void move_sacks(uint8_t *tcp, size_t header_len, uint32_t by)
{
	for (size_t at = 20; at + 1 < header_len && tcp[at] != 0;) {
		size_t n = tcp[at] == 1 ? 1 : tcp[at + 1];
		if (n == 0 || at + n > header_len)
			return;
		for (size_t k = at + 2; tcp[at] == SACK && k + 4 <= at + n; k += 4)
			bt_put32(tcp + k, bt_get32(tcp + k) + by);
		at += n;
	}
}

bool bt_flows_mend(struct bt_flows *f, uint8_t *packet, size_t len, bool *wait)
{
	struct segment g;
	*wait = false;
	if (!segment_of(packet, len, &g))
		return true;
	struct flow *w = flow_of(f, &g, true);
	if (w == NULL)
		return false;
	if (g.s.flags & BT_SYN && !(g.s.flags & BT_ACK)) /* a new life of the 4-tuple */
		w->recorded = w->live = false;
	if (!(g.s.flags & BT_ACK))
		return true;
	if (!w->recorded) { /* the host's own packets were not recorded */
		w->then = bt_seq_add(g.s.ack, (uint32_t)-1);
		w->recorded = true;
	}
	uint32_t by = w->now.n - w->then.n;
	*wait = !w->live || bt_seq_lt(w->next_now, bt_seq_add(g.s.ack, by));
	if (!w->live)
		return true;
	uint8_t *tcp = packet + g.at;
	bt_put32(tcp + 8, g.s.ack.n + by);
	move_sacks(tcp, g.s.header_len, by);
	memset(tcp + 16, 0, 2);
	bt_csum_put(tcp + 16,
		    bt_csum_add(bt_csum_pseudo(&g.src, &g.dst, BT_IPPROTO_TCP, (uint32_t)g.len),
				tcp, g.len));
	return true;
}

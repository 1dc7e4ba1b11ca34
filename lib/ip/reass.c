/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly (RFC 815, 8200 4.5, 5722). The pieces of a datagram are kept as copies in order of
 * offset; when none is missing they are joined. A host has a budget in bytes and in pieces; when it
 * is used up, its oldest datagram is given up. An overlap gives up the datagram, and what else
 * comes of it until its time is over (RFC 5722 4), in IPv4 too: nobody sends overlaps but to
 * deceive.
 */
#include "internal.h"

#define TIMEOUT4_NS (30 * BT_SEC) /* Linux ipfrag_time */
#define TIMEOUT6_NS (60 * BT_SEC) /* RFC 8200 4.5 */

struct bt_reass {
	struct bt_link link;
	struct bt_reass *older, *newer; /* of its host */
	struct bt_ip_timer timer;
	struct bt_addr src, dst;
	uint32_t id;
	struct bt_pkt
		*pieces; /* in order of offset; [at, at+len) is header_len of headers and data */
	uint32_t n_pieces;
	uint32_t have;	     /* bytes of data */
	uint32_t end;	     /* of the datagram's data; 0: the last piece has not come */
	uint32_t header_len; /* of the first piece, 0: has not come */
	uint16_t host;
	berth_if i; /* the first piece came in by */
	uint8_t proto, next;
	bool v6, dead, link_group;
	uint8_t ecn; /* bit 1 << codepoint for those that were seen */
};

static struct bt_reass *find(const struct bt_ip *ip, uint16_t host, const struct bt_fragment *f,
			     uint32_t hash)
{
	struct bt_link *l = bt_map_first(&ip->reass_map, hash);

	for (; l != NULL; l = bt_map_next(l)) {
		struct bt_reass *r = bt_entry(l, struct bt_reass, link);

		if (r->host == host && r->v6 == f->v6 && r->id == f->id &&
		    (f->v6 || r->proto == f->proto) && bt_addr_eq(&r->src, &f->src) &&
		    bt_addr_eq(&r->dst, &f->dst))
			return r;
	}
	return NULL;
}

static void drop_pieces(struct bt_ip *ip, struct bt_reass *r)
{
	while (r->pieces != NULL) {
		struct bt_pkt *p = r->pieces;

		r->pieces = p->next;
		bt_pkt_put(ip, p);
	}
	ip->hosts[r->host]->reass_pieces -= r->n_pieces;
	r->n_pieces = 0;
}

static void forget(struct bt_ip *ip, struct bt_reass *r)
{
	struct bt_host *h = ip->hosts[r->host];

	drop_pieces(ip, r);
	bt_wheel_clear(ip->wheel, &r->timer.t);
	bt_map_del(&ip->reass_map, &r->link);
	*(r->older != NULL ? &r->older->newer : &h->reass_oldest) = r->newer;
	*(r->newer != NULL ? &r->newer->older : &h->reass_newest) = r->older;
	h->reass_bytes -= (uint32_t)sizeof(*r);
	bt_ip_dealloc(ip, r, sizeof(*r));
}

/* Gives up the host's oldest datagram but `keep`. False: there is none. */
static bool make_room(struct bt_in *in, const struct bt_reass *keep)
{
	struct bt_reass *r = in->h->reass_oldest;

	if (r == keep && r != NULL)
		r = r->newer;
	if (r == NULL)
		return false;
	bt_in_drop(in, BERTH_DROP_FRAGMENT_BUDGET);
	forget(in->ip, r);
	return true;
}

static struct bt_reass *make(struct bt_in *in, const struct bt_fragment *f, uint32_t hash)
{
	struct bt_host *h = in->h;
	struct bt_reass *r;

	while (h->reass_bytes + sizeof(*r) > BT_IP_REASS_BYTES)
		if (!make_room(in, NULL))
			return NULL;
	r = bt_ip_alloc(in->ip, sizeof(*r));
	if (r == NULL)
		return NULL;
	h->reass_bytes += (uint32_t)sizeof(*r);
	r->src = f->src;
	r->dst = f->dst;
	r->id = f->id;
	r->proto = f->proto;
	r->v6 = f->v6;
	r->host = h->number;
	r->timer.kind = BT_TIMER_REASS;
	bt_map_add(&in->ip->reass_map, &r->link, hash);
	r->older = h->reass_newest;
	*(r->older != NULL ? &r->older->newer : &h->reass_oldest) = r;
	h->reass_newest = r;
	bt_wheel_set(in->ip->wheel, &r->timer.t, in->now_ns + (f->v6 ? TIMEOUT6_NS : TIMEOUT4_NS));
	return r;
}

/* The piece's data: behind the headers, of which there are some only in the first one. */
static uint32_t headers_of(const struct bt_reass *r, const struct bt_pkt *p)
{
	return p->offset == 0 ? r->header_len : 0;
}

static uint32_t data_len(const struct bt_reass *r, const struct bt_pkt *p)
{
	return p->len - headers_of(r, p);
}

enum fit { NEW, DUPLICATE, OVERLAP };

/* Where the piece goes: *at is the link to it. */
static enum fit place(struct bt_reass *r, const struct bt_fragment *f, struct bt_pkt ***at)
{
	struct bt_pkt **link = &r->pieces;

	while (*link != NULL && (*link)->offset + data_len(r, *link) <= f->offset)
		link = &(*link)->next;
	*at = link;
	if (*link == NULL || (*link)->offset >= f->offset + f->len)
		return NEW;
	/* RFC 8200 4.5: an exact duplicate is not an overlap */
	if ((*link)->offset == f->offset && data_len(r, *link) == f->len &&
	    (*link)->more == f->more &&
	    memcmp(bt_pkt_data(*link) + headers_of(r, *link), f->data, f->len) == 0)
		return DUPLICATE;
	return OVERLAP;
}

/* RFC 791 3.2, RFC 8200 4.5: the end is said once, and nothing lies behind it. */
static bool end_fits(const struct bt_reass *r, const struct bt_fragment *f)
{
	uint32_t end = f->offset + f->len;

	if (r->end != 0)
		return f->more ? end <= r->end : end == r->end;
	if (f->more)
		return true;
	for (const struct bt_pkt *p = r->pieces; p != NULL; p = p->next)
		if (p->offset + data_len(r, p) > end)
			return false;
	return true;
}

static struct bt_pkt *copy(struct bt_in *in, const struct bt_reass *r, const struct bt_fragment *f)
{
	uint32_t header_len = f->offset == 0 ? f->header_len : 0;
	struct bt_pkt *p;

	for (;;) {
		p = in->h->reass_pieces >= BT_IP_REASS_PIECES
			    ? NULL
			    : bt_pkt_get_for(in->ip, in->h->number, &in->h->reass_bytes,
					     BT_IP_REASS_BYTES, header_len + f->len);
		if (p != NULL)
			break;
		if (!make_room(in, r))
			return NULL;
	}
	p->len = header_len + f->len;
	p->offset = f->offset;
	p->more = f->more;
	memcpy(bt_pkt_data(p), f->header, header_len);
	memcpy(bt_pkt_data(p) + header_len, f->data, f->len);
	return p;
}

/* RFC 3168 5.3: CE if any piece has it, unless others are not ECN-capable: then it is not whole. */
static bool ecn_of(const struct bt_reass *r, uint8_t *ecn)
{
	if ((r->ecn & 1 << 3) == 0)
		return true;
	if ((r->ecn & 1 << 0) != 0)
		return false;
	*ecn = 3;
	return true;
}

static struct bt_pkt *join(struct bt_in *in, struct bt_reass *r)
{
	uint32_t skip = r->v6 ? BT_IPV6_FRAGMENT : 0, header_len = r->header_len - skip;
	uint32_t len = header_len + r->end;
	struct bt_pkt *whole;
	uint8_t ecn = 0;

	if (len > (r->v6 ? BT_IPV6_HEADER + BT_IP_MAX : BT_IP_MAX) || !ecn_of(r, &ecn)) {
		bt_in_drop(in, BERTH_DROP_FRAGMENT_MALFORMED);
		forget(in->ip, r);
		return NULL;
	}
	whole = bt_pkt_get_for(in->ip, r->host, &in->h->reass_bytes, 2 * BT_IP_REASS_BYTES, len);
	if (whole == NULL) {
		bt_in_drop(in, BERTH_DROP_FRAGMENT_BUDGET);
		forget(in->ip, r);
		return NULL;
	}
	memcpy(bt_pkt_data(whole), bt_pkt_data(r->pieces), header_len);
	whole->len = header_len;
	for (struct bt_pkt *p = r->pieces; p != NULL; p = p->next) {
		memcpy(bt_pkt_data(whole) + whole->len, bt_pkt_data(p) + headers_of(r, p),
		       data_len(r, p));
		whole->len += data_len(r, p);
	}
	bt_assert(whole->len == len);
	if (ecn != 0 && !r->v6)
		bt_pkt_data(whole)[1] |= ecn;
	else if (ecn != 0)
		bt_pkt_data(whole)[1] |= (uint8_t)(ecn << 4);
	whole->next_header = r->next;
	bt_pkts_add(&in->ip->lent, whole);
	forget(in->ip, r);
	return whole;
}

static void die(struct bt_in *in, struct bt_reass *r, enum berth_drop reason)
{
	bt_in_drop(in, reason);
	drop_pieces(in->ip, r);
	r->dead = true;
}

struct bt_pkt *bt_reass_fragment(struct bt_in *in, const struct bt_fragment *f)
{
	uint32_t hash = bt_ip_hash(in->ip, &f->src, &f->dst,
				   (uint64_t)f->id << 32 | (uint32_t)in->h->number << 9 |
					   (f->v6 ? 256u : f->proto));
	struct bt_reass *r = find(in->ip, in->h->number, f, hash);
	uint8_t tos = f->v6 ? (uint8_t)(bt_get16(f->header) >> 4) : f->header[1];
	struct bt_pkt **at, *p;
	enum fit fit;

	if (r == NULL)
		r = make(in, f, hash);
	if (r == NULL) {
		bt_in_drop(in, BERTH_DROP_FRAGMENT_BUDGET);
		return NULL;
	}
	fit = r->dead ? OVERLAP : place(r, f, &at);
	if (fit == DUPLICATE) {
		bt_in_drop(in, BERTH_DROP_FRAGMENT_DUPLICATE);
		return NULL;
	}
	if (r->dead) {
		bt_in_drop(in, BERTH_DROP_FRAGMENT_OVERLAP);
		return NULL;
	}
	if (fit == OVERLAP || !end_fits(r, f)) {
		die(in, r, BERTH_DROP_FRAGMENT_OVERLAP);
		return NULL;
	}
	if (r->n_pieces >= BT_IP_DATAGRAM_PIECES) {
		die(in, r, BERTH_DROP_FRAGMENT_BUDGET);
		return NULL;
	}
	p = copy(in, r, f);
	if (p == NULL) {
		bt_in_drop(in, BERTH_DROP_FRAGMENT_BUDGET);
		return NULL;
	}
	if (f->offset == 0) {
		r->header_len = f->header_len;
		r->next = f->proto;
		r->i = in->f->i;
		r->link_group = in->link_group;
	}
	p->next = *at;
	*at = p;
	r->n_pieces++;
	in->h->reass_pieces++;
	r->have += f->len;
	r->ecn |= (uint8_t)(1 << (tos & 3));
	if (!f->more)
		r->end = f->offset + f->len;
	return r->end != 0 && r->have == r->end ? join(in, r) : NULL;
}

void bt_reass_expired(struct bt_ip *ip, struct bt_ip_timer *t, uint64_t now_ns)
{
	const struct bt_icmp late = {.kind = BT_ICMP_TIME_EXCEEDED, .code = 1};
	struct bt_reass *r = bt_entry(t, struct bt_reass, timer);
	struct bt_pkt *first = r->pieces;

	if (!r->dead)
		bt_ip_drop(ip, r->host, BERTH_DROP_FRAGMENT_TIMEOUT);
	/* RFC 792, RFC 8200 4.5: only if the first fragment has come, which is quoted as it came */
	if (first != NULL && first->offset == 0)
		bt_icmp_about(ip, ip->ifs[r->i], bt_pkt_data(first), first->len, r->link_group,
			      &late, now_ns);
	forget(ip, r);
}

void bt_reass_free(struct bt_ip *ip)
{
	for (uint32_t i = 0; i < ip->n_hosts; i++)
		while (ip->hosts[i]->reass_oldest != NULL)
			forget(ip, ip->hosts[i]->reass_oldest);
}

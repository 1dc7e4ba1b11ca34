/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: longest prefix, then lowest metric, then the one that was added first. One map by (host,
 * prefix, length), asked for each length that the host has routes of, longest first: hosts have few
 * lengths, so the number of routes does not matter.
 */
#include "internal.h"

static uint32_t hash(uint16_t host, const struct bt_addr *prefix, unsigned bits)
{
	return bt_ip_mix(prefix, (uint32_t)host << 8 | bits);
}

static bool usable(const struct bt_ip *ip, const struct bt_route *r, berth_if i)
{
	return (ip->ifs[r->i]->flags & BERTH_IF_DOWN) == 0 && (i == 0 || r->i == i);
}

/* The best usable one of exactly this prefix. */
static struct bt_route *best(const struct bt_ip *ip, uint16_t host, const struct bt_addr *prefix,
			     unsigned bits, berth_if i, bool any)
{
	struct bt_link *l = bt_map_first(&ip->route_map, hash(host, prefix, bits));
	struct bt_route *found = NULL;

	for (; l != NULL; l = bt_map_next(l)) {
		struct bt_route *r = bt_entry(l, struct bt_route, link);

		if (r->host != host || r->bits != bits || !bt_addr_eq(&r->prefix, prefix))
			continue;
		if (!any && !usable(ip, r, i))
			continue;
		if (found == NULL || r->metric < found->metric ||
		    (r->metric == found->metric && r->serial < found->serial))
			found = r;
	}
	return found;
}

const struct bt_route *bt_route_find(const struct bt_ip *ip, uint16_t host,
				     const struct bt_addr *dst, berth_if i)
{
	const struct bt_host *h = ip->hosts[host];
	unsigned least = bt_addr_is_v4(dst) ? 96 : 0;

	for (unsigned word = 3; word-- > 0;) {
		uint64_t lengths = h->route_bits[word];

		while (lengths != 0) {
			unsigned bit = 63 - (unsigned)__builtin_clzll(lengths),
				 bits = word * 64 + bit;
			struct bt_addr prefix;
			const struct bt_route *r;

			if (bits < least)
				return NULL;
			lengths ^= 1ull << bit;
			prefix = bt_addr_prefix(dst, bits);
			r = best(ip, host, &prefix, bits, i, false);
			if (r != NULL)
				return r;
		}
	}
	return NULL;
}

static void count(struct bt_host *h, unsigned bits, bool more)
{
	h->route_count[bits] += more ? 1 : UINT32_MAX;
	if (h->route_count[bits] != 0)
		h->route_bits[bits / 64] |= 1ull << bits % 64;
	else
		h->route_bits[bits / 64] &= ~(1ull << bits % 64);
}

static struct bt_route *add(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *prefix,
			    unsigned bits, uint32_t metric)
{
	struct bt_route *r = bt_ip_alloc(ip, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->prefix = *prefix;
	r->bits = (uint8_t)bits;
	r->host = f->host;
	r->i = f->i;
	r->metric = metric;
	r->serial = ip->serial++;
	bt_map_add(&ip->route_map, &r->link, hash(f->host, prefix, bits));
	count(ip->hosts[f->host], bits, true);
	return r;
}

static void del(struct bt_ip *ip, struct bt_route *r)
{
	bt_map_del(&ip->route_map, &r->link);
	count(ip->hosts[r->host], r->bits, false);
	bt_ip_dealloc(ip, r, sizeof(*r));
	bt_ip_changed(ip);
}

static struct bt_route *connected(struct bt_ip *ip, struct bt_iface *f,
				  const struct bt_addr *prefix, unsigned bits)
{
	struct bt_link *l = bt_map_first(&ip->route_map, hash(f->host, prefix, bits));

	for (; l != NULL; l = bt_map_next(l)) {
		struct bt_route *r = bt_entry(l, struct bt_route, link);

		if (r->host == f->host && r->bits == bits && r->i == f->i && r->refs != 0 &&
		    bt_addr_eq(&r->prefix, prefix))
			return r;
	}
	return NULL;
}

int bt_route_connect(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
		     unsigned bits)
{
	struct bt_addr prefix = bt_addr_prefix(addr, bits);
	struct bt_route *r = connected(ip, f, &prefix, bits);

	if (r == NULL)
		r = add(ip, f, &prefix, bits, 0);
	if (r == NULL)
		return BERTH_ENOMEM;
	r->refs++;
	return 0;
}

void bt_route_disconnect(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
			 unsigned bits)
{
	struct bt_addr prefix = bt_addr_prefix(addr, bits);
	struct bt_route *r = connected(ip, f, &prefix, bits);

	if (r != NULL && --r->refs == 0)
		del(ip, r);
}

/* The interface of the route that via is on the link of. */
static berth_if link_of(const struct bt_ip *ip, uint16_t host, const struct bt_addr *via,
			berth_if i)
{
	const struct bt_route *r;

	if (bt_addr_is_link_local6(via))
		return i;
	r = bt_route_find(ip, host, via, i);
	return r != NULL && bt_addr_is_any(&r->via) ? r->i : 0;
}

int bt_ip_route_add(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, unsigned bits,
		    const struct bt_addr *via, berth_if i, uint32_t metric)
{
	bool v4 = bt_addr_is_v4(dst);
	struct bt_addr prefix;
	struct bt_route *r;

	if (bt_host(ip, host) == NULL)
		return BERTH_ENOENT;
	if (bits > (v4 ? 32 : 128) ||
	    (i != 0 && (bt_iface(ip, i) == NULL || ip->ifs[i]->host != host)))
		return BERTH_EINVAL;
	if (via == NULL ? i == 0
			: (bt_addr_is_v4(via) != v4 || bt_addr_is_any(via) ||
			   bt_ip_is_multicast(via) || bt_ip_is_local(ip, host, via)))
		return BERTH_EINVAL;
	if (via != NULL) {
		i = link_of(ip, host, via, i);
		if (i == 0)
			return BERTH_ENETUNREACH;
	}
	bits += v4 ? 96 : 0;
	prefix = bt_addr_prefix(dst, bits);
	if (!bt_addr_eq(&prefix, dst))
		return BERTH_EINVAL; /* bits beyond the prefix, as Linux */
	for (struct bt_link *l = bt_map_first(&ip->route_map, hash(host, &prefix, bits)); l != NULL;
	     l = bt_map_next(l)) {
		r = bt_entry(l, struct bt_route, link);
		if (r->host == host && r->bits == bits && bt_addr_eq(&r->prefix, &prefix) &&
		    r->metric == metric && r->refs == 0)
			return BERTH_EEXIST;
	}
	r = add(ip, ip->ifs[i], &prefix, bits, metric);
	if (r == NULL)
		return BERTH_ENOMEM;
	if (via != NULL)
		r->via = *via;
	bt_ip_changed(ip);
	return 0;
}

int bt_ip_route_del(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, unsigned bits)
{
	struct bt_addr prefix;
	struct bt_route *r;

	if (bt_host(ip, host) == NULL || bits > (bt_addr_is_v4(dst) ? 32u : 128u))
		return BERTH_ENOENT;
	bits += bt_addr_is_v4(dst) ? 96 : 0;
	prefix = bt_addr_prefix(dst, bits);
	r = best(ip, host, &prefix, bits, 0, true);
	if (r == NULL || r->refs != 0) /* a connected one goes with its addresses */
		return BERTH_ENOENT;
	del(ip, r);
	return 0;
}

void bt_routes_free(struct bt_ip *ip)
{
	for (uint32_t s = 0; s <= ip->route_map.mask; s++)
		while (ip->route_map.slots[s] != NULL)
			del(ip, bt_entry(ip->route_map.slots[s], struct bt_route, link));
}

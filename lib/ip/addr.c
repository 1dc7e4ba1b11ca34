/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of hosts, and the broadcast addresses that come with IPv4's, in one map, so that one
 * look-up says what an address is to a host. lo's are not in it: all of 127.0.0.0/8 and ::1 belong
 * to every host.
 */
#include "internal.h"

struct bt_addr bt_addr_prefix(const struct bt_addr *a, unsigned bits)
{
	struct bt_addr p = {{0}};

	memcpy(p.b, a->b, bits / 8);
	if (bits % 8 != 0)
		p.b[bits / 8] = (uint8_t)(a->b[bits / 8] & (0xff00 >> bits % 8));
	return p;
}

static uint64_t filter_bit(uint32_t hash)
{
	return 1ull << (hash >> 26);
}

bool bt_addr_may_be_own(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr)
{
	return (ip->hosts[host]->addr_filter & filter_bit(bt_ip_mix(addr, 0))) != 0;
}

enum bt_addr_kind bt_addr_kind(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr,
			       berth_if *i)
{
	uint32_t hash = bt_ip_mix(addr, 0);
	struct bt_link *l = NULL;

	if ((ip->hosts[host]->addr_filter & filter_bit(hash)) != 0)
		l = bt_map_first(&ip->addr_map, hash);
	for (; l != NULL; l = bt_map_next(l)) {
		const struct bt_ifaddr *a = bt_entry(l, struct bt_ifaddr, link);

		if (a->host == host && bt_addr_eq(&a->addr, addr)) {
			*i = a->i;
			return (enum bt_addr_kind)a->kind;
		}
	}
	if (bt_addr_is_loopback(addr)) {
		*i = ip->hosts[host]->ifs[0];
		return BT_ADDR_LOCAL;
	}
	if (bt_addr_is_v4(addr) && bt_addr_to_v4(addr) == 0xffffffff) {
		*i = 0;
		return BT_ADDR_BROADCAST;
	}
	return BT_ADDR_NONE;
}

berth_if bt_ip_is_local(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr)
{
	berth_if i;

	if (bt_host(ip, host) == NULL)
		return 0;
	return bt_addr_kind(ip, host, addr, &i) == BT_ADDR_LOCAL ? i : 0;
}

bool bt_ip_is_broadcast(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr)
{
	berth_if i;

	return bt_host(ip, host) != NULL && bt_addr_kind(ip, host, addr, &i) == BT_ADDR_BROADCAST;
}

struct bt_ifaddr *bt_addr_of_if(const struct bt_iface *f, const struct bt_addr *addr)
{
	for (struct bt_ifaddr *a = f->addrs; a != NULL; a = a->next)
		if (a->kind == BT_ADDR_LOCAL && bt_addr_eq(&a->addr, addr))
			return a;
	return NULL;
}

/* RFC 4291 2.7, RFC 4007: 2 link, 5 site (ULA are global), 14 global. */
static unsigned scope(const struct bt_addr *a)
{
	if (a->b[0] == 0xff)
		return a->b[1] & 15;
	return bt_addr_is_link_local6(a) || bt_addr_is_loopback(a) ? 2 : 14;
}

static unsigned common_bits(const struct bt_addr *a, const struct bt_addr *b)
{
	unsigned n = 0;

	while (n < 128 && bt_addr_same_prefix(a, b, n + 1))
		n++;
	return n;
}

/* True: a is better than b as the source for dst: RFC 6724 5 rules 1, 2, 8 (the others need what
 * static addresses do not have); in IPv4 the address of dst's link, else the one added first. */
static bool better(const struct bt_ifaddr *a, const struct bt_ifaddr *b, const struct bt_addr *dst)
{
	unsigned sa = scope(&a->addr), sb = scope(&b->addr), sd = scope(dst);

	if (bt_addr_is_v4(dst))
		return bt_addr_same_prefix(&a->addr, dst, a->bits) &&
		       !bt_addr_same_prefix(&b->addr, dst, b->bits);
	if (sa != sb)
		return sa < sb ? sa >= sd : sb < sd;
	return common_bits(&a->addr, dst) > common_bits(&b->addr, dst);
}

const struct bt_ifaddr *bt_addr_for(const struct bt_iface *f, const struct bt_addr *dst)
{
	const struct bt_ifaddr *best = NULL;

	for (const struct bt_ifaddr *a = f->addrs; a != NULL; a = a->next) {
		if (a->kind != BT_ADDR_LOCAL || bt_addr_is_v4(&a->addr) != bt_addr_is_v4(dst))
			continue;
		if (best == NULL || better(a, best, dst))
			best = a;
	}
	return best;
}

static struct bt_ifaddr *enter(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
			       unsigned bits, enum bt_addr_kind kind)
{
	struct bt_ifaddr *a = bt_ip_alloc(ip, sizeof(*a)), **at = &f->addrs;

	if (a == NULL)
		return NULL;
	a->addr = *addr;
	a->host = f->host;
	a->i = f->i;
	a->bits = (uint8_t)bits;
	a->kind = (uint8_t)kind;
	while (*at != NULL)
		at = &(*at)->next;
	*at = a;
	if (!f->lo) {
		bt_map_add(&ip->addr_map, &a->link, bt_ip_mix(addr, 0));
		ip->hosts[f->host]->addr_filter |= filter_bit(a->link.hash);
	}
	return a;
}

static void leave(struct bt_ip *ip, struct bt_iface *f, struct bt_ifaddr *a)
{
	struct bt_ifaddr **at = &f->addrs;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	if (!f->lo)
		bt_map_del(&ip->addr_map, &a->link);
	bt_ip_dealloc(ip, a, sizeof(*a));
}

/* Without the bits of what has left. */
static void filter_anew(struct bt_ip *ip, struct bt_host *h)
{
	h->addr_filter = 0;
	for (unsigned n = 1; n < h->n_ifs; n++)
		for (struct bt_ifaddr *a = ip->ifs[h->ifs[n]]->addrs; a != NULL; a = a->next)
			h->addr_filter |= filter_bit(a->link.hash);
}

static struct bt_addr directed_broadcast(const struct bt_addr *addr, unsigned bits)
{
	return bt_addr_v4(bt_addr_to_v4(addr) | (uint32_t)(0xffffffffull >> (bits - 96)));
}

/* A host of the engine has it: not asked of link-local ones, which are a link's own matter. */
static bool taken(const struct bt_ip *ip, const struct bt_addr *addr)
{
	struct bt_link *l = bt_map_first(&ip->addr_map, bt_ip_mix(addr, 0));

	if (bt_addr_is_link_local6(addr))
		return false;
	for (; l != NULL; l = bt_map_next(l)) {
		const struct bt_ifaddr *a = bt_entry(l, struct bt_ifaddr, link);

		if (a->kind == BT_ADDR_LOCAL && bt_addr_eq(&a->addr, addr))
			return true;
	}
	return false;
}

int bt_ip_addr_add(struct bt_ip *ip, berth_if i, const struct bt_addr *addr, unsigned bits,
		   uint64_t now_ns)
{
	struct bt_iface *f = bt_iface(ip, i);
	bool v4 = bt_addr_is_v4(addr);
	struct bt_ifaddr *a;
	int r;

	if (f == NULL)
		return BERTH_ENOENT;
	if (bits > (v4 ? 32 : 128) || bt_addr_is_any(addr) || bt_ip_is_multicast(addr) ||
	    bt_addr_is_loopback(addr) != f->lo || (v4 && bt_addr_to_v4(addr) == 0xffffffff) ||
	    (!v4 && f->mtu < BT_IPV6_MIN_MTU))
		return BERTH_EINVAL;
	bits += v4 ? 96 : 0;
	if (bt_addr_of_if(f, addr) != NULL || (!f->lo && taken(ip, addr)))
		return BERTH_EEXIST;
	r = bt_route_connect(ip, f, addr, bits);
	if (r < 0)
		return r;
	a = enter(ip, f, addr, bits, BT_ADDR_LOCAL);
	r = a == NULL ? BERTH_ENOMEM : 0;
	if (r == 0 && v4 && bits < 127 && !f->lo) {
		struct bt_addr all = directed_broadcast(addr, bits);

		if (enter(ip, f, &all, bits, BT_ADDR_BROADCAST) == NULL)
			r = BERTH_ENOMEM;
	}
	if (r == 0 && !v4 && !f->lo) { /* RFC 4291 2.8 */
		struct bt_addr group = bt_nd_solicited_node(addr);

		r = bt_group_join(ip, f, &group, now_ns);
		if (r < 0)
			bt_route_disconnect(ip, f, addr, bits);
	} else if (r < 0) {
		bt_route_disconnect(ip, f, addr, bits);
	}
	if (r < 0 && a != NULL)
		leave(ip, f, a);
	bt_ip_changed(ip);
	return r;
}

int bt_ip_addr_del(struct bt_ip *ip, berth_if i, const struct bt_addr *addr, uint64_t now_ns)
{
	struct bt_iface *f = bt_iface(ip, i);
	struct bt_ifaddr *a;
	unsigned bits;

	if (f == NULL)
		return BERTH_ENOENT;
	a = bt_addr_of_if(f, addr);
	if (a == NULL)
		return BERTH_EADDRNOTAVAIL;
	bits = a->bits;
	leave(ip, f, a);
	bt_route_disconnect(ip, f, addr, bits);
	if (bt_addr_is_v4(addr) && bits < 127 && !f->lo) {
		struct bt_addr all = directed_broadcast(addr, bits);

		for (a = f->addrs; a != NULL; a = a->next)
			if (a->kind == BT_ADDR_BROADCAST && a->bits == bits &&
			    bt_addr_eq(&a->addr, &all))
				break;
		bt_assert(a != NULL);
		leave(ip, f, a);
	}
	if (!bt_addr_is_v4(addr) && !f->lo) {
		struct bt_addr group = bt_nd_solicited_node(addr);

		bt_group_leave(ip, f, &group, now_ns);
	}
	filter_anew(ip, ip->hosts[f->host]);
	bt_ip_changed(ip);
	return 0;
}

struct bt_addr bt_addr_link_local(const uint8_t mac[6])
{
	struct bt_addr a = {{0xfe, 0x80}};

	memcpy(a.b + 8, mac, 3);
	a.b[8] ^= 2;
	a.b[11] = 0xff;
	a.b[12] = 0xfe;
	memcpy(a.b + 13, mac + 3, 3);
	return a;
}

int bt_addr_add_link_local(struct bt_ip *ip, struct bt_iface *f, uint64_t now_ns)
{
	struct bt_addr a = bt_addr_link_local(f->mac);

	if ((f->flags & BERTH_IF_ETHERNET) == 0 || f->mtu < BT_IPV6_MIN_MTU ||
	    bt_addr_of_if(f, &a) != NULL)
		return 0;
	return bt_ip_addr_add(ip, f->i, &a, 64, now_ns);
}

void bt_addrs_free(struct bt_ip *ip, struct bt_iface *f)
{
	while (f->addrs != NULL)
		leave(ip, f, f->addrs);
}

static int find_source(const struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, berth_if i,
		       struct bt_addr *src)
{
	const struct bt_host *h = bt_host(ip, host);
	const struct bt_ifaddr *a = NULL;
	const struct bt_iface *f;
	berth_if own;

	if (h == NULL || (i != 0 && (bt_iface(ip, i) == NULL || ip->ifs[i]->host != host)))
		return BERTH_ENETUNREACH;
	if (bt_addr_kind(ip, host, dst, &own) == BT_ADDR_LOCAL) {
		*src = *dst;
		return 0;
	}
	if (i == 0 && bt_ip_is_multicast(dst)) {
		const struct bt_addr none = {{0}};

		i = bt_group_if(ip, host, &none, dst, 0);
		if (i == 0)
			return BERTH_ENETUNREACH;
	}
	if (i == 0) {
		const struct bt_route *r = bt_route_find(ip, host, dst, 0);
		const struct bt_addr *hop;

		if (r == NULL)
			return BERTH_ENETUNREACH;
		i = r->i;
		/* IPv4: the address of the next hop's link */
		hop = bt_addr_is_v4(dst) && !bt_addr_is_any(&r->via) ? &r->via : dst;
		a = bt_addr_for(ip->ifs[i], hop);
	}
	f = ip->ifs[i];
	if (a == NULL)
		a = bt_addr_for(f, dst);
	for (unsigned n = 1; a == NULL && n < h->n_ifs; n++) /* any of the host, not lo's */
		a = bt_addr_for(ip->ifs[h->ifs[n]], dst);
	if (a == NULL)
		return BERTH_EADDRNOTAVAIL;
	*src = a->addr;
	return 0;
}

int bt_ip_source(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, berth_if i,
		 struct bt_addr *src)
{
	struct bt_source *last = host < ip->n_hosts ? &ip->hosts[host]->source : NULL;
	int r;

	if (last != NULL && last->generation == ip->generation && last->asked == i &&
	    bt_addr_eq(&last->dst, dst)) {
		*src = last->src;
		return 0;
	}
	r = find_source(ip, host, dst, i, src);
	if (r == 0)
		*last = (struct bt_source){*src, *dst, ip->generation, i};
	return r;
}

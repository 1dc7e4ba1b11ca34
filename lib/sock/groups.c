/* SPDX-License-Identifier: Apache-2.0 */
#include "groups.h"

#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct btn_member {
	struct btn_member *next;
	uint32_t slot;
	uint8_t dev;
	struct bt_addr group;
};

/* What at least one socket of a host has joined. */
struct btn_joined {
	struct btn_joined *next;
	uint32_t members;
	uint8_t dev;
	struct bt_addr group;
};

#define DEVS (BT_NET_ADDRS + 1)

bool bt_net_is_many(const struct bt_net *net, uint16_t host, const struct bt_addr *addr)
{
	return bt_net_is_group(addr) || btn_addr_kind(net, host, addr) == ADDR_BROADCAST;
}

/* ---- interfaces ---- */

static bool has_dev(const struct bt_net_host *h, uint8_t dev)
{
	for (uint16_t i = 0; i < h->n_addrs; i++)
		if (h->addrs[i].dev == dev)
			return true;
	return false;
}

static const struct bt_net_addr *addr_of(const struct bt_net_host *h, uint8_t dev, bool v4)
{
	for (uint16_t i = 0; i < h->n_addrs; i++)
		if (h->addrs[i].dev == dev && (h->addrs[i].family == BT_V4) == v4)
			return &h->addrs[i];
	return NULL;
}

/* The one that leads to groups: IPv4 has it with a first address, IPv6 needs none
 * (addrconf_add_mroute). 0: none. */
static uint8_t first_dev(const struct bt_net_host *h, bool v4)
{
	if (has_dev(h, BT_DEV_LO + 1) && (!v4 || addr_of(h, BT_DEV_LO + 1, true) != NULL))
		return BT_DEV_LO + 1;
	return 0;
}

/* __ip_dev_find; 0: no interface has the address. */
static uint8_t dev_of(const struct bt_net_host *h, const struct bt_addr *addr)
{
	if (bt_addr_is_loopback(addr))
		return BT_DEV_LO;
	for (uint16_t i = 0; i < h->n_addrs; i++)
		if (bt_addr_eq(&h->addrs[i].addr, addr))
			return h->addrs[i].dev;
	return 0;
}

static bool is_directed(const struct bt_net_addr *a, const struct bt_addr *dst)
{
	return a->family == BT_V4 && a->bits < 31 && bt_addr_is_v4(dst) &&
	       (bt_addr_to_v4(&a->addr) | UINT32_MAX >> a->bits) == bt_addr_to_v4(dst);
}

static bool is_everybody(const struct bt_addr *dst)
{
	return bt_addr_is_v4(dst) && bt_addr_to_v4(dst) == UINT32_MAX;
}

/* ---- memberships ---- */

static struct btn_member **bucket(const struct bt_net *net, uint32_t slot)
{
	return &net->members[slot % MEMBER_TABLE];
}

static struct btn_joined *find_joined(const struct host *h, const struct bt_addr *group,
				      uint8_t dev)
{
	for (struct btn_joined *j = h->joined; j != NULL; j = j->next)
		if (j->dev == dev && bt_addr_eq(&j->group, group))
			return j;
	return NULL;
}

static bool has_joined(const struct host *h, const struct bt_addr *group, uint8_t dev)
{
	static const struct bt_addr all_nodes = {{[0] = 0xff, [1] = 2, [15] = 1}};
	bool all = bt_addr_is_v4(group) ? bt_addr_to_v4(group) == 0xe0000001
					: bt_addr_eq(group, &all_nodes);
	return all || find_joined(h, group, dev) != NULL;
}

static int count_in(struct host *h, const struct bt_addr *group, uint8_t dev)
{
	struct btn_joined *j = find_joined(h, group, dev);
	if (j == NULL) {
		j = calloc(1, sizeof(*j));
		if (j == NULL)
			return -ENOMEM;
		j->dev = dev;
		j->group = *group;
		j->next = h->joined;
		h->joined = j;
	}
	j->members++;
	return 0;
}

static void count_out(struct host *h, const struct bt_addr *group, uint8_t dev)
{
	struct btn_joined **p = &h->joined;
	while ((*p)->dev != dev || !bt_addr_eq(&(*p)->group, group))
		p = &(*p)->next;
	struct btn_joined *j = *p;
	if (--j->members > 0)
		return;
	*p = j->next;
	free(j);
}

int bt_net_group_join(struct bt_net *net, uint32_t slot, const struct bt_addr *group, uint8_t dev)
{
	struct bt_port_info i;
	bool v4 = bt_addr_is_v4(group);
	unsigned n = 0;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (!bt_net_is_group(group))
		return -EINVAL;
	struct host *h = net->hosts[i.host];
	const uint8_t asked = dev;
	dev = dev == 0 ? first_dev(&h->pub, v4) : dev;
	if (dev == 0 || !has_dev(&h->pub, dev))
		return -ENODEV;
	if (net->members == NULL &&
	    (net->members = calloc(MEMBER_TABLE, sizeof(struct btn_member *))) == NULL)
		return -ENOMEM;
	for (const struct btn_member *m = *bucket(net, slot); m != NULL; m = m->next) {
		if (m->slot != slot || bt_addr_is_v4(&m->group) != v4)
			continue;
		/* __ipv6_sock_mc_join: on any interface, where none is named */
		if (bt_addr_eq(&m->group, group) && (m->dev == dev || (!v4 && asked == 0)))
			return -EADDRINUSE;
		n++;
	}
	if (n >= (v4 ? BT_NET_GROUPS4 : BT_NET_GROUPS6))
		return v4 ? -ENOBUFS : -ENOMEM;
	struct btn_member *m = malloc(sizeof(*m));
	if (m == NULL || count_in(h, group, dev) < 0) {
		free(m);
		return -ENOMEM;
	}
	*m = (struct btn_member){
		.next = *bucket(net, slot), .slot = slot, .dev = dev, .group = *group};
	*bucket(net, slot) = m;
	return 0;
}

static void remove_member(struct bt_net *net, uint16_t host, struct btn_member **p)
{
	struct btn_member *m = *p;
	count_out(net->hosts[host], &m->group, m->dev);
	*p = m->next;
	free(m);
}

int bt_net_group_leave(struct bt_net *net, uint32_t slot, const struct bt_addr *group, uint8_t dev)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (!bt_addr_is_v4(group) && !bt_net_is_group(group))
		return -EINVAL;
	if (bt_addr_is_v4(group) && dev == 0) {
		dev = first_dev(&net->hosts[i.host]->pub, true);
		if (dev == 0)
			return -ENODEV;
	}
	if (net->members == NULL)
		return -EADDRNOTAVAIL;
	for (struct btn_member **p = bucket(net, slot); *p != NULL; p = &(*p)->next)
		if ((*p)->slot == slot && bt_addr_eq(&(*p)->group, group) &&
		    (dev == 0 || (*p)->dev == dev)) {
			remove_member(net, i.host, p);
			return 0;
		}
	return -EADDRNOTAVAIL;
}

void btn_groups_forget(struct bt_net *net, uint32_t slot, uint16_t host)
{
	if (net->members == NULL)
		return;
	for (struct btn_member **p = bucket(net, slot); *p != NULL;)
		if ((*p)->slot == slot)
			remove_member(net, host, p);
		else
			p = &(*p)->next;
}

void btn_groups_free(struct bt_net *net)
{
	for (uint32_t i = 0; net->members != NULL && i < MEMBER_TABLE; i++)
		while (net->members[i] != NULL) {
			struct btn_member *m = net->members[i];
			net->members[i] = m->next;
			free(m);
		}
	free(net->members);
	for (uint16_t i = 0; i < net->n_hosts; i++)
		while (net->hosts[i]->joined != NULL) {
			struct btn_joined *j = net->hosts[i]->joined;
			net->hosts[i]->joined = j->next;
			free(j);
		}
}

void bt_net_group_all(struct bt_net *net, uint32_t slot, bool v4, bool on)
{
	struct bt_port_info i;
	struct sock *s = btn_touch(net, slot);
	if (s == NULL || !bt_port_get(net->ports, slot, &i))
		return;
	/* What a new socket has: inet6_create leaves IPv4's off. */
	bool usual = !v4 || i.family == BT_V4;
	const uint32_t bit = v4 ? NOT_ALL4 : NOT_ALL6;
	s->flags = on == usual ? s->flags & ~bit : s->flags | bit;
}

bool bt_net_group_get(const struct bt_net *net, uint16_t host, uint32_t n, struct bt_addr *group,
		      uint8_t *dev)
{
	const struct btn_joined *j = host < net->n_hosts ? net->hosts[host]->joined : NULL;
	while (j != NULL && n-- > 0)
		j = j->next;
	if (j == NULL)
		return false;
	*group = j->group;
	*dev = j->dev;
	return true;
}

/* ---- sending ---- */

/* udp_sendmsg, udpv6_sendmsg: which family an IPv6 socket may send to from its address. */
static bool speaks(const struct bt_port_info *i, const struct bt_addr *dst)
{
	bool from_v4 = bt_addr_is_v4(&i->laddr);
	if (i->family == BT_V4)
		return bt_addr_is_v4(dst);
	if (!bt_addr_is_v4(dst))
		return !from_v4;
	return !(i->opts & BT_V6ONLY) && (from_v4 || bt_addr_is_any(&i->laddr));
}

/* ip_route_output_key_hash_rcu */
static int way4(const struct bt_net_host *h, struct bt_net_spread *s)
{
	const struct bt_net_addr *own = NULL;
	bool chosen = !bt_addr_is_any(&s->src);
	for (uint16_t i = 0; i < h->n_addrs && own == NULL; i++)
		if (is_directed(&h->addrs[i], &s->dst))
			own = &h->addrs[i];
	if (own != NULL && own->dev != BT_DEV_LO && bt_addr_is_loopback(&s->src))
		return -EINVAL;
	if (s->dev == 0 && own != NULL)
		s->dev = own->dev;
	else if (s->dev == 0)
		s->dev = chosen ? dev_of(h, &s->src) : first_dev(h, true);
	if (s->dev == 0)
		return -ENETUNREACH;
	if (!chosen && (own == NULL || own->dev != s->dev)) {
		/* inet_select_addr: 127.0.0.1 is for the host alone, and so the last choice */
		own = s->dev == BT_DEV_LO ? NULL : addr_of(h, s->dev, true);
		if (own == NULL)
			own = addr_of(h, BT_DEV_LO + 1, true);
		if (own == NULL && s->dev == BT_DEV_LO)
			own = &h->addrs[0];
	}
	if (!chosen && own == NULL)
		return -ENETUNREACH;
	if (!chosen)
		s->src = own->addr;
	return s->broadcast && !s->may_broadcast ? -EACCES : 0;
}

/* ip6_route_output, ipv6_dev_get_saddr */
static int way6(const struct bt_net_host *h, struct bt_net_spread *s)
{
	s->dev = s->dev == 0 ? first_dev(h, false) : s->dev;
	if (s->dev == 0 || s->dev == BT_DEV_LO) /* which has no such route */
		return -ENETUNREACH;
	if (!bt_addr_is_any(&s->src))
		return 0;
	const struct bt_net_addr *own = addr_of(h, s->dev, false);
	if (own == NULL)
		return -EADDRNOTAVAIL;
	s->src = own->addr;
	return 0;
}

int bt_net_spread(const struct bt_net *net, uint32_t slot, struct bt_net_spread *s)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (i.proto != BT_UDP)
		return -EOPNOTSUPP;
	const struct bt_net_host *h = &net->hosts[i.host]->pub;
	s->host = i.host;
	s->broadcast = !bt_net_is_group(&s->dst);
	if (!speaks(&i, &s->dst))
		return -ENETUNREACH;
	if (i.dev != 0 && s->dev != 0 && s->dev != i.dev)
		return -EINVAL;
	s->dev = s->dev == 0 ? i.dev : s->dev;
	if (s->dev != 0 && !has_dev(h, s->dev))
		return -ENODEV;
	/* An address of several is for receiving only (inet_bind). */
	if (bt_addr_is_any(&s->src) && !bt_net_is_many(net, i.host, &i.laddr))
		s->src = i.laddr;
	return bt_addr_is_v4(&s->dst) ? way4(h, s) : way6(h, s);
}

int bt_net_spread_from(struct bt_net *net, uint32_t slot, struct bt_net_spread *s, uint64_t now_ns,
		       struct bt_reason *why)
{
	struct bt_port_info i;
	int r = bt_net_spread(net, slot, s);
	if (r < 0 || !bt_port_get(net->ports, slot, &i) || i.lport != 0)
		return r;
	btn_mark(net, slot);
	return bt_port_autobind(net->ports, slot, now_ns, why);
}

int bt_net_spread_connect(struct bt_net *net, uint32_t slot, const struct bt_net_spread *s,
			  uint16_t port, uint64_t now_ns, struct bt_reason *why)
{
	struct bt_port_info i;
	uint32_t taken;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	btn_mark(net, slot);
	/* One that is bound to a group goes on to receive for it. */
	bool many = bt_net_is_many(net, i.host, &i.laddr);
	return bt_port_connect(net->ports, slot, many ? &i.laddr : &s->src, &s->dst, port, now_ns,
			       &taken, why);
}

/* ---- receiving ---- */

/* ip_mc_sf_allow, inet6_mc_check */
static bool hears(const struct bt_net *net, uint32_t slot, const struct bt_port_info *i,
		  const struct bt_addr *group, uint8_t dev)
{
	bool v4 = bt_addr_is_v4(group), usual = !v4 || i->family == BT_V4;
	for (const struct btn_member *m = net->members == NULL ? NULL : *bucket(net, slot);
	     m != NULL; m = m->next)
		if (m->slot == slot && bt_addr_eq(&m->group, group) && (!v4 || m->dev == dev))
			return true;
	return usual != !!(btn_find(net, slot)->flags & (v4 ? NOT_ALL4 : NOT_ALL6));
}

/* The interfaces by which it comes to the host, the one whose prefix the source is in first. */
static unsigned arrivals(const struct bt_net *net, const struct bt_net_spread *s, uint16_t to,
			 uint8_t devs[DEVS])
{
	const struct host *h = net->hosts[to];
	bool took[DEVS] = {false};
	unsigned n = 0;
	for (unsigned pass = 0; pass < 2; pass++)
		for (uint16_t k = 0; k < h->pub.n_addrs; k++) {
			const struct bt_net_addr *a = &h->pub.addrs[k];
			bool v4 = a->family == BT_V4;
			bool near = v4 == bt_addr_is_v4(&s->src) &&
				    bt_addr_same_prefix(&a->addr, &s->src,
							v4 ? 96u + a->bits : a->bits);
			bool there = to == s->host ? a->dev == s->dev : a->dev != BT_DEV_LO;
			if (took[a->dev] || !there || (pass == 0 && !near))
				continue;
			if (!s->broadcast && !has_joined(h, &s->dst, a->dev))
				continue;
			if (s->broadcast && !is_everybody(&s->dst) && !is_directed(a, &s->dst))
				continue;
			took[a->dev] = true;
			devs[n++] = a->dev;
		}
	return n;
}

/* The first of them by which the socket hears it. */
static uint8_t heard_by(const struct bt_net *net, const struct bt_net_spread *s, uint32_t slot,
			const uint8_t *devs, unsigned n)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return 0;
	for (unsigned k = 0; k < n; k++)
		if ((i.dev == 0 || i.dev == devs[k]) &&
		    (s->broadcast || hears(net, slot, &i, &s->dst, devs[k])))
			return devs[k];
	return 0;
}

/* Whoever is at the port of host `to` and gets a copy, one a call: lookup_next by interfaces. */
struct walk {
	uint8_t devs[DEVS];
	unsigned n, k;
	uint32_t slot;
};

static bool begin(const struct bt_net *net, const struct bt_net_spread *s, uint16_t to,
		  struct walk *w)
{
	/* A loopback source is no host's on a link (RFC 1122 3.2.1.3, RFC 4291 2.5.3). */
	if (to >= net->n_hosts ||
	    (to != s->host && (s->dev == BT_DEV_LO || bt_addr_is_loopback(&s->src))))
		return false;
	w->n = arrivals(net, s, to, w->devs);
	w->k = 0;
	w->slot = BT_NO_SLOT;
	return true;
}

static bool next(const struct bt_net *net, const struct bt_net_spread *s, uint16_t sport,
		 uint16_t dport, uint16_t to, struct walk *w)
{
	for (; w->k < w->n; w->k++)
		while ((w->slot = bt_port_lookup_next(net->ports, to, &s->dst, dport, &s->src,
						      sport, w->devs[w->k], w->slot)) != BT_NO_SLOT)
			if (heard_by(net, s, w->slot, w->devs, w->n) == w->devs[w->k])
				return true;
	return false;
}

uint32_t bt_net_copies(const struct bt_net *net, const struct bt_net_spread *s, uint16_t sport,
		       uint16_t dport, uint16_t to, struct bt_net_copy *out, uint32_t room)
{
	struct walk w;
	uint32_t count = 0;
	for (bool any = begin(net, s, to, &w); any && next(net, s, sport, dport, to, &w); count++)
		if (count < room)
			out[count] = (struct bt_net_copy){w.slot, w.devs[w.k]};
	return count;
}

uint8_t bt_net_hears(const struct bt_net *net, const struct bt_net_spread *s, uint16_t sport,
		     uint16_t dport, uint32_t slot)
{
	struct bt_port_info i;
	struct walk w;
	if (!bt_port_get(net->ports, slot, &i) || !begin(net, s, i.host, &w))
		return 0;
	while (next(net, s, sport, dport, i.host, &w))
		if (w.slot == slot)
			return w.devs[w.k];
	return 0;
}

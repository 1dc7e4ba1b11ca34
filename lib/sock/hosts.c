/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, their addresses, and the routes between them. */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static const struct bt_net_conf default_conf = {
	.fin_timeout_s = 60, .max_tw_buckets = 262144, .somaxconn = 4096};

static bool name_ok(const char *name)
{
	size_t n = strnlen(name, BT_NET_NAME);
	if (n == 0 || n >= BT_NET_NAME || !isalnum((unsigned char)name[0]))
		return false;
	bool number = true; /* 1.2.3.4 and localhost mean something else to every program */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];
		if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '.' && c != '_'))
			return false;
		number = number && (isdigit(c) || c == '.');
	}
	return !number && strcasecmp(name, "localhost") != 0;
}

static struct addr_entry *addr_entry(const struct bt_net *net, const struct bt_addr *addr)
{
	uint32_t h =
		2166136261u; /* FNV-1a; the addresses are the user's own, no adversary picks them */
	for (unsigned i = 0; i < 16; i++)
		h = (h ^ addr->b[i]) * 16777619u;
	for (uint32_t i = h % ADDR_TABLE;; i = (i + 1) % ADDR_TABLE) {
		struct addr_entry *e = &net->by_addr[i];
		if (e->host == BT_NET_NO_HOST || bt_addr_eq(&e->addr, addr))
			return e;
	}
}

uint16_t bt_net_host_by_name(const struct bt_net *net, const char *name)
{
	for (uint16_t i = 0; i < net->n_hosts; i++)
		if (strcasecmp(net->hosts[i]->pub.name, name) == 0) /* RFC 4343 */
			return i;
	return BT_NET_NO_HOST;
}

uint16_t bt_net_host_by_addr(const struct bt_net *net, const struct bt_addr *addr)
{
	return addr_entry(net, addr)->host;
}

const struct bt_net_host *bt_net_host(const struct bt_net *net, uint16_t host)
{
	return host < net->n_hosts ? &net->hosts[host]->pub : NULL;
}

struct bt_net_conf *bt_net_conf(struct bt_net *net, uint16_t host)
{
	return host < net->n_hosts ? &net->hosts[host]->conf : NULL;
}

const struct bt_port_conf *bt_net_port_conf(const struct bt_net *net, uint16_t host)
{
	return bt_port_host_conf(net->ports, host);
}

uint16_t bt_net_hosts(const struct bt_net *net)
{
	return net->n_hosts;
}

int bt_net_host_add(struct bt_net *net, const char *name, uint16_t *host)
{
	if (!name_ok(name))
		return -EINVAL;
	uint16_t old = bt_net_host_by_name(net, name);
	if (old != BT_NET_NO_HOST) {
		*host = old;
		return -EEXIST;
	}
	if (net->n_hosts == BT_NET_MAX_HOSTS)
		return -ENOSPC;
	struct host *made = calloc(1, sizeof(*made));
	if (made == NULL)
		return -ENOMEM;
	int r = bt_port_host_add(net->ports, net->n_hosts);
	if (r < 0) {
		free(made);
		return r;
	}
	struct bt_net_host *h = &made->pub;
	made->conf = default_conf;
	memcpy(h->name, name, strlen(name));
	h->n_addrs = 2;
	h->addrs[0] = (struct bt_net_addr){bt_addr_v4(0x7f000001), 8, BT_V4, BT_DEV_LO};
	h->addrs[1] = (struct bt_net_addr){bt_addr_loopback6(), 128, BT_V6, BT_DEV_LO};
	*host = net->n_hosts;
	net->hosts[net->n_hosts++] = made;
	return 0;
}

int bt_net_addr_add(struct bt_net *net, uint16_t host, const struct bt_net_addr *addr,
		    uint16_t *owner)
{
	bool v4 = bt_addr_is_v4(&addr->addr);
	if (host >= net->n_hosts || v4 != (addr->family == BT_V4) || addr->bits > (v4 ? 32 : 128) ||
	    addr->bits == 0 || bt_addr_is_any(&addr->addr) || bt_addr_is_loopback(&addr->addr))
		return -EINVAL;
	if (v4 ? addr->addr.b[12] >= 224 || addr->addr.b[12] == 0 : addr->addr.b[0] == 0xff)
		return -EINVAL;
	struct addr_entry *e = addr_entry(net, &addr->addr);
	if (e->host == host)
		return 0;
	if (e->host != BT_NET_NO_HOST) {
		*owner = e->host;
		return -EADDRINUSE;
	}
	struct bt_net_host *h = &net->hosts[host]->pub;
	if (h->n_addrs == BT_NET_ADDRS)
		return -ENOSPC;
	/* The first of each family is eth0's, the second eth1's, and so on. */
	uint8_t dev = BT_DEV_LO + 1;
	for (uint16_t i = 2; i < h->n_addrs; i++)
		dev = (uint8_t)(dev + (h->addrs[i].family == addr->family));
	h->addrs[h->n_addrs] = *addr;
	h->addrs[h->n_addrs++].dev = dev;
	e->addr = addr->addr;
	e->host = host;
	return 0;
}

/* inet_addr_type: whether the host has the address, or it means several hosts. */
enum addr_kind btn_addr_kind(const struct bt_net *net, uint16_t host, const struct bt_addr *addr)
{
	const struct bt_net_host *h = bt_net_host(net, host);
	uint32_t v4 = bt_addr_to_v4(addr);
	if (!bt_addr_is_v4(addr)) {
		if (addr->b[0] == 0xff)
			return (addr->b[1] & 15) == 2 ? ADDR_LINK : ADDR_MULTICAST;
		if (addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80)
			return ADDR_LINK;
	} else if (v4 >> 28 == 14) {
		return ADDR_MULTICAST;
	} else if (v4 == UINT32_MAX || v4 == 0x7fffffff) {
		return ADDR_BROADCAST;
	}
	if (bt_addr_is_any(addr) || bt_addr_is_loopback(addr) ||
	    bt_net_host_by_addr(net, addr) == host)
		return ADDR_LOCAL;
	for (uint16_t i = 2; h != NULL && bt_addr_is_v4(addr) && i < h->n_addrs; i++) {
		const struct bt_net_addr *own = &h->addrs[i];
		if (own->family == BT_V4 && own->bits < 31 &&
		    (bt_addr_to_v4(&own->addr) | UINT32_MAX >> own->bits) == v4)
			return ADDR_BROADCAST;
	}
	return ADDR_OTHER;
}

static bool in_prefix(const struct bt_net_addr *a, const struct bt_addr *addr)
{
	return bt_addr_same_prefix(&a->addr, addr, a->family == BT_V4 ? 96u + a->bits : a->bits);
}

void bt_net_outside(struct bt_net *net, uint16_t host, unsigned what)
{
	if (host < net->n_hosts)
		net->hosts[host]->outside = (uint8_t)what;
}

static bool goes_outside(const struct host *h, const struct bt_addr *dst, bool on_link)
{
	unsigned gateway = bt_addr_is_v4(dst) ? BT_NET_GATEWAY4 : BT_NET_GATEWAY6;
	return h->outside & gateway || (h->outside & BT_NET_ON_LINK && on_link);
}

int bt_net_route(const struct bt_net *net, uint16_t host, const struct bt_addr *bound,
		 struct bt_addr *dst, struct bt_addr *src, uint16_t *to)
{
	const struct bt_net_host *h = bt_net_host(net, host);
	if (h == NULL)
		return -ENETUNREACH;
	bool v4 = bt_addr_is_v4(dst), bound4 = bt_addr_is_v4(bound);
	if (bt_addr_is_any(dst)) { /* of IPv4 it is the socket's own address, if it has one */
		bool own = v4 && bound4 && !bt_addr_is_any(bound);
		v4 = v4 || bound4;
		*dst = own ? *bound : h->addrs[v4 ? 0 : 1].addr;
	}
	const struct bt_addr *loopback = &h->addrs[v4 ? 0 : 1].addr;
	enum addr_kind kind = btn_addr_kind(net, host, dst);
	if (kind == ADDR_BROADCAST && bt_addr_to_v4(dst) != UINT32_MAX &&
	    bt_addr_is_loopback(bound))
		return -EINVAL;
	if (kind == ADDR_BROADCAST) /* the one of all networks has no route without a source */
		return bt_addr_to_v4(dst) == UINT32_MAX && bt_addr_is_any(bound) ? -ENETUNREACH
										 : -EACCES;
	if (kind == ADDR_LINK) /* no scope is given, and none is offered */
		return -EINVAL;
	*to = bt_addr_is_loopback(dst) ? host : bt_net_host_by_addr(net, dst);
	const struct bt_net_addr *near = NULL, *first = NULL;
	for (uint16_t i = 2; i < h->n_addrs; i++) {
		const struct bt_net_addr *a = &h->addrs[i];
		if ((a->family == BT_V4) != bt_addr_is_v4(dst))
			continue;
		if (first == NULL)
			first = a;
		if (near == NULL && in_prefix(a, dst))
			near = a;
	}
	if (*to == BT_NET_NO_HOST && goes_outside(net->hosts[host], dst, near != NULL))
		*to = BT_NET_OUTSIDE;
	if (*to == BT_NET_NO_HOST && near != NULL) {
		*src = bt_addr_is_any(bound) ? near->addr : *bound;
		return v4 && bt_addr_is_loopback(bound) ? -EINVAL : -EHOSTUNREACH;
	}
	if (*to == BT_NET_NO_HOST)
		return -ENETUNREACH;
	kind = btn_addr_kind(net, host, bound);
	if (!bt_addr_is_any(bound) && kind != ADDR_MULTICAST && kind != ADDR_BROADCAST) {
		if (bt_addr_is_loopback(bound) && *to != host)
			return -EINVAL;
		*src = *bound;
	} else if (*to == host) {
		*src = bt_addr_is_loopback(dst) ? *loopback : *dst;
	} else {
		if (first == NULL)
			return -ENETUNREACH;
		*src = near != NULL ? near->addr : first->addr;
	}
	return 0;
}

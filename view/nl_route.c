/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_ROUTE (rtnetlink(7)): what `ip` asks. */
#include "nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

enum { KIND_GET = 2 };

static bool dumps(const struct bt_nl_req *q)
{
	return (q->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
}

static unsigned multi(const struct bt_nl_req *q)
{
	return dumps(q) ? NLM_F_MULTI : 0;
}

/* ---- links ---- */

static void put_link(struct bt_nl *n, const struct bt_nl_req *q, const struct bt_dev *d)
{
	static const struct rtnl_link_stats64 stats64;
	static const struct rtnl_link_stats stats;
	static const struct rtnl_link_ifmap map;
	static const uint8_t every[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none[6];
	bool lo = d->index == 1;
	struct ifinfomsg m = {.ifi_type = lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
			      .ifi_index = (int)d->index,
			      .ifi_flags = d->flags};
	size_t begun = bt_nl_begin(n, q, RTM_NEWLINK, multi(q), &m, sizeof(m));
	bt_nl_put(n, IFLA_IFNAME, d->name, strlen(d->name) + 1);
	bt_nl_put_u32(n, IFLA_TXQLEN, 1000);
	bt_nl_put_u8(n, IFLA_OPERSTATE, lo ? 0 : 6); /* unknown, up (RFC 2863) */
	bt_nl_put_u8(n, IFLA_LINKMODE, 0);
	bt_nl_put_u32(n, IFLA_MTU, d->mtu);
	bt_nl_put_u32(n, IFLA_GROUP, 0);
	bt_nl_put_u32(n, IFLA_PROMISCUITY, 0);
	bt_nl_put_u32(n, IFLA_NUM_TX_QUEUES, 1);
	bt_nl_put_u32(n, IFLA_NUM_RX_QUEUES, 1);
	bt_nl_put_u8(n, IFLA_CARRIER, 1);
	bt_nl_put(n, IFLA_QDISC, "noqueue", sizeof("noqueue"));
	bt_nl_put(n, IFLA_MAP, &map, sizeof(map));
	bt_nl_put(n, IFLA_ADDRESS, d->mac, sizeof(d->mac));
	bt_nl_put(n, IFLA_BROADCAST, lo ? none : every, sizeof(none));
	bt_nl_put(n, IFLA_STATS64, &stats64, sizeof(stats64));
	bt_nl_put(n, IFLA_STATS, &stats, sizeof(stats));
	bt_nl_end(n, begun);
}

/* `ip link show type ...`, `... master ...`: a host has none of a kind, and none with a master. */
static bool picks_none(const struct bt_nl_req *q)
{
	size_t len;
	return bt_nl_attr(q, sizeof(struct ifinfomsg), IFLA_LINKINFO, &len) ||
	       bt_nl_attr(q, sizeof(struct ifinfomsg), IFLA_MASTER, &len);
}

static int get_link(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	struct ifinfomsg m;
	struct bt_dev d;
	char name[16] = "";
	size_t len = 0;
	if (dumps(q)) {
		bool bridges = (uint8_t)q->body[0] == AF_BRIDGE;
		for (unsigned i = 1; !bridges && !picks_none(q) && bt_dev_get(v, i, &d); i++)
			put_link(n, q, &d);
		return bt_nl_dump_end(n, q, 0);
	}
	if (q->len < sizeof(m))
		return -EINVAL;
	memcpy(&m, q->body, sizeof(m));
	unsigned index = m.ifi_index > 0 ? (unsigned)m.ifi_index : 0;
	if (index == 0) {
		const char *given = bt_nl_attr(q, sizeof(m), IFLA_IFNAME, &len);
		if (!given)
			given = bt_nl_attr(q, sizeof(m), IFLA_ALT_IFNAME, &len);
		if (!given)
			return -EINVAL;
		memcpy(name, given, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
		index = bt_dev_by_name(v, name);
	}
	if (!bt_dev_get(v, index, &d))
		return -ENODEV;
	put_link(n, q, &d);
	return 0;
}

/* ---- addresses ---- */

static void put_addr(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q,
		     const struct bt_host_addr *a, unsigned i)
{
	static const struct ifa_cacheinfo forever = {.ifa_prefered = UINT32_MAX,
						     .ifa_valid = UINT32_MAX};
	struct bt_dev d;
	bool v4 = bt_is_v4(a->addr);
	uint32_t flags = IFA_F_PERMANENT | (bt_addr_secondary(v, i) ? IFA_F_SECONDARY : 0);
	bool local = v4 ? a->dev == 1 : bt_is_loopback6(a->addr);
	struct ifaddrmsg m = {.ifa_family = v4 ? AF_INET : AF_INET6,
			      .ifa_prefixlen = a->bits,
			      .ifa_flags = (uint8_t)flags,
			      .ifa_scope = local ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
			      .ifa_index = a->dev};
	if (!bt_dev_get(v, a->dev, &d))
		return;
	size_t begun = bt_nl_begin(n, q, RTM_NEWADDR, multi(q), &m, sizeof(m));
	if (v4) {
		bt_nl_put(n, IFA_ADDRESS, a->addr + 12, 4);
		bt_nl_put(n, IFA_LOCAL, a->addr + 12, 4);
		if (a->dev != 1 && a->bits < 31)
			bt_nl_put_u32(n, IFA_BROADCAST, htonl(bt_prefix4(a).last));
		bt_nl_put(n, IFA_LABEL, d.name, strlen(d.name) + 1);
	} else {
		bt_nl_put(n, IFA_ADDRESS, a->addr, 16);
	}
	bt_nl_put(n, IFA_CACHEINFO, &forever, sizeof(forever));
	bt_nl_put_u32(n, IFA_FLAGS, flags);
	bt_nl_end(n, begun);
}

static int get_addr(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	struct ifaddrmsg m = {.ifa_family = (uint8_t)q->body[0]};
	struct bt_host_addr a;
	if (!dumps(q))
		return -EOPNOTSUPP;
	if (q->len >= sizeof(m))
		memcpy(&m, q->body, sizeof(m));
	else if (n->strict)
		return -EINVAL;
	unsigned index = n->strict ? m.ifa_index : 0;
	if (index > v->n_devs)
		return -ENODEV;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (m.ifa_family == (v6 ? AF_INET : AF_INET6))
			continue;
		for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
			if (bt_is_v4(a.addr) != v6 && (index == 0 || a.dev == index))
				put_addr(n, v, q, &a, i);
		}
	}
	return bt_nl_dump_end(n, q, 0);
}

/* ---- routes ---- */

struct route {
	struct rtmsg m;
	const uint8_t *dst, *src; /* 4 or 16 bytes; NULL: none */
	unsigned dev;
	uint32_t metric; /* IPv6 */
};

static void put_route(struct bt_nl *n, const struct bt_nl_req *q, const struct route *r)
{
	bool v4 = r->m.rtm_family == AF_INET;
	size_t size = v4 ? 4 : 16;
	struct rta_cacheinfo cache = {0};
	size_t begun = bt_nl_begin(n, q, RTM_NEWROUTE, multi(q), &r->m, sizeof(r->m));
	bt_nl_put_u32(n, RTA_TABLE, r->m.rtm_table);
	if (r->dst)
		bt_nl_put(n, RTA_DST, r->dst, size);
	if (!v4)
		bt_nl_put_u32(n, RTA_PRIORITY, r->metric);
	if (r->src)
		bt_nl_put(n, RTA_PREFSRC, r->src, size);
	bt_nl_put_u32(n, RTA_OIF, r->dev);
	if (!v4 || r->m.rtm_flags & RTM_F_CLONED)
		bt_nl_put(n, RTA_CACHEINFO, &cache, sizeof(cache));
	if (!v4)
		bt_nl_put_u8(n, RTA_PREF, 0);
	bt_nl_end(n, begun);
}

struct wish {
	uint32_t table, dev; /* 0: any */
};

static void routes4(struct bt_nl *n, const struct bt_nl_req *q, const struct bt_host_addr *a,
		    bool first, const struct wish *w)
{
	struct bt_prefix4 p = bt_prefix4(a);
	uint32_t net = htonl(p.net), last = htonl(p.last);
	bool lo = a->dev == 1;
	struct route r = {.m = {.rtm_family = AF_INET, .rtm_protocol = RTPROT_KERNEL},
			  .src = a->addr + 12,
			  .dev = a->dev};
	if (w->table != RT_TABLE_LOCAL && first && !lo && a->bits < 32) {
		r.m.rtm_table = RT_TABLE_MAIN;
		r.m.rtm_scope = RT_SCOPE_LINK;
		r.m.rtm_type = RTN_UNICAST;
		r.m.rtm_dst_len = a->bits;
		r.dst = (const uint8_t *)&net;
		put_route(n, q, &r);
	}
	if (w->table == RT_TABLE_MAIN)
		return;
	r.m.rtm_table = RT_TABLE_LOCAL;
	r.m.rtm_scope = RT_SCOPE_HOST;
	r.m.rtm_type = RTN_LOCAL;
	if (lo && a->bits < 32) {
		r.m.rtm_dst_len = a->bits;
		r.dst = (const uint8_t *)&net;
		put_route(n, q, &r);
	}
	r.m.rtm_dst_len = 32;
	r.dst = a->addr + 12;
	put_route(n, q, &r);
	if (first && a->bits < 31) {
		r.m.rtm_scope = RT_SCOPE_LINK;
		r.m.rtm_type = RTN_BROADCAST;
		r.dst = (const uint8_t *)&last;
		put_route(n, q, &r);
	}
}

static void routes6(struct bt_nl *n, const struct bt_nl_req *q, const struct bt_host_addr *a,
		    const struct wish *w)
{
	uint8_t net[16];
	struct route r = {.m = {.rtm_family = AF_INET6,
				.rtm_protocol = RTPROT_KERNEL,
				.rtm_scope = RT_SCOPE_UNIVERSE},
			  .dev = a->dev};
	if (w->table != RT_TABLE_LOCAL && a->dev != 1) {
		bt_prefix6(a, net);
		r.m.rtm_table = RT_TABLE_MAIN;
		r.m.rtm_type = RTN_UNICAST;
		r.m.rtm_dst_len = a->bits;
		r.dst = net;
		r.metric = 256;
		put_route(n, q, &r);
	}
	if (w->table == RT_TABLE_MAIN)
		return;
	r.m.rtm_table = RT_TABLE_LOCAL;
	r.m.rtm_type = RTN_LOCAL;
	r.m.rtm_dst_len = 128;
	r.dst = a->addr;
	r.metric = 0;
	put_route(n, q, &r);
}

static uint32_t attr_u32(const struct bt_nl_req *q, size_t fixed, unsigned type, uint32_t other)
{
	size_t len;
	uint32_t value;
	const void *p = bt_nl_attr(q, fixed, type, &len);
	if (!p || len < sizeof(value))
		return other;
	memcpy(&value, p, sizeof(value));
	return value;
}

static int dump_routes(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	struct rtmsg m = {.rtm_family = (uint8_t)q->body[0]};
	struct wish w = {0, 0};
	struct bt_host_addr a;
	if (q->len >= sizeof(m))
		memcpy(&m, q->body, sizeof(m));
	else if (n->strict)
		return -EINVAL;
	if (n->strict) {
		w.table = attr_u32(q, sizeof(m), RTA_TABLE, m.rtm_table);
		w.dev = attr_u32(q, sizeof(m), RTA_OIF, 0);
	}
	/* Routes that were learned from use: none. Tables that are not there: empty. */
	bool none = m.rtm_flags & RTM_F_CLONED ||
		    (w.table != 0 && w.table != RT_TABLE_MAIN && w.table != RT_TABLE_LOCAL);
	for (unsigned v6 = 0; v6 < 2 && !none; v6++) {
		if (m.rtm_family == (v6 ? AF_INET : AF_INET6))
			continue;
		for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
			if (w.dev != 0 && w.dev != a.dev)
				continue;
			if (bt_is_v4(a.addr) && !v6)
				routes4(n, q, &a, !bt_addr_secondary(v, i), &w);
			else if (!bt_is_v4(a.addr) && v6)
				routes6(n, q, &a, &w);
		}
	}
	return bt_nl_dump_end(n, q, 0);
}

/* Somebody on the network has the address. */
static bool reachable(const struct bt_view *v, const uint8_t dst[16])
{
	struct bt_host_row h;
	uint32_t end = atomic_load(&v->table->n_hosts);
	for (uint32_t i = 0; i < end && i < BT_MAX_HOSTS; i++) {
		if (!bt_host_read(v->table, i, &h))
			continue;
		for (unsigned k = 0; k < h.n_addrs && k < BT_HOST_ADDRS; k++) {
			if (memcmp(h.addrs[k].addr, dst, 16) == 0)
				return true;
		}
	}
	return false;
}

/* `ip route get`: the way that connect would take. */
static int get_route(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	struct route r = {.m = {.rtm_table = RT_TABLE_MAIN,
				.rtm_type = RTN_UNICAST,
				.rtm_flags = RTM_F_CLONED}};
	uint8_t dst[16] = {0};
	struct bt_host_addr a, via = {.dev = 0};
	bool near = false;
	size_t len;
	if (q->len < sizeof(r.m))
		return -EINVAL;
	r.m.rtm_family = (uint8_t)q->body[0];
	bool v4 = r.m.rtm_family == AF_INET;
	size_t size = v4 ? 4 : 16;
	if (!v4 && r.m.rtm_family != AF_INET6)
		return -EOPNOTSUPP;
	const void *given = bt_nl_attr(q, sizeof(r.m), RTA_DST, &len);
	if (!given || len < size)
		return -EINVAL;
	if (v4)
		dst[10] = dst[11] = 0xff;
	memcpy(dst + 16 - size, given, size);
	for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
		bool own = memcmp(a.addr, dst, 16) == 0 || (a.dev == 1 && bt_in_prefix(&a, dst));
		if (own) {
			r.m.rtm_type = RTN_LOCAL;
			r.m.rtm_table = RT_TABLE_LOCAL;
			memcpy(a.addr, dst, 16);
			a.dev = 1;
		}
		if (bt_is_v4(a.addr) != v4 || (!own && (a.dev == 1 || near)))
			continue;
		near = bt_in_prefix(&a, dst);
		if (own || near || via.dev == 0)
			via = a;
		if (own)
			break;
	}
	if (via.dev == 0 || (r.m.rtm_type != RTN_LOCAL && !near && !reachable(v, dst)))
		return -ENETUNREACH;
	r.m.rtm_dst_len = v4 ? 32 : 128;
	r.dst = dst + 16 - size;
	r.src = via.addr + 16 - size;
	r.dev = via.dev;
	put_route(n, q, &r);
	return 0;
}

/* ---- rules ---- */

static int get_rule(struct bt_nl *n, const struct bt_nl_req *q)
{
	static const struct {
		uint32_t priority;
		uint8_t table;
	} rules[] = {{0, RT_TABLE_LOCAL}, {32766, RT_TABLE_MAIN}, {32767, RT_TABLE_DEFAULT}};
	uint8_t family = (uint8_t)q->body[0];
	if (!dumps(q))
		return -EOPNOTSUPP;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (family == (v6 ? AF_INET : AF_INET6))
			continue;
		for (unsigned i = 0; i < 3 - v6; i++) { /* IPv6 has no default table */
			struct fib_rule_hdr h = {.family = v6 ? AF_INET6 : AF_INET,
						 .table = rules[i].table,
						 .action = FR_ACT_TO_TBL};
			size_t begun = bt_nl_begin(n, q, RTM_NEWRULE, NLM_F_MULTI, &h, sizeof(h));
			bt_nl_put_u32(n, FRA_TABLE, rules[i].table);
			bt_nl_put_u32(n, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
			bt_nl_put_u8(n, FRA_PROTOCOL, RTPROT_KERNEL);
			if (rules[i].priority)
				bt_nl_put_u32(n, FRA_PRIORITY, rules[i].priority);
			bt_nl_end(n, begun);
		}
	}
	return bt_nl_dump_end(n, q, 0);
}

int bt_nl_route(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	if (q->h.nlmsg_type > RTM_MAX)
		return -EOPNOTSUPP;
	if (q->len < sizeof(struct rtgenmsg))
		return 0;
	if (((q->h.nlmsg_type - RTM_BASE) & 3) != KIND_GET)
		return -EPERM;
	switch (q->h.nlmsg_type) {
	case RTM_GETLINK:
		return get_link(n, v, q);
	case RTM_GETADDR:
		return get_addr(n, v, q);
	case RTM_GETROUTE:
		return dumps(q) ? dump_routes(n, v, q) : get_route(n, v, q);
	case RTM_GETRULE:
		return get_rule(n, q);
	case RTM_GETNEIGH:
		return dumps(q) ? bt_nl_dump_end(n, q, 0) : -ENOENT;
	case RTM_GETNEIGHTBL:
	case RTM_GETQDISC:
	case RTM_GETADDRLABEL:
	case RTM_GETNETCONF:
	case RTM_GETNEXTHOP:
	case RTM_GETMULTICAST:
	case RTM_GETANYCAST:
	case RTM_GETMDB:
	case RTM_GETNSID:
		return dumps(q) ? bt_nl_dump_end(n, q, 0) : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast groups of interfaces, and what is said about them: IGMPv3 (RFC 3376) and MLDv2 (RFC
 * 3810) as hosts without source filters speak them, and the older versions while a querier of those
 * is heard (RFC 3376 7.2.1, RFC 3810 8.2.1). A change is told twice (robustness 2), queries are
 * answered after a random time.
 */
#include "../wire/igmp.h"
#include "../wire/mld.h"
#include "internal.h"

#define ROBUSTNESS	   2
#define UNSOLICITED_MS	   1000u		     /* RFC 3376 8.11, RFC 3810 9.11 */
#define OLD_UNSOLICITED_MS 10000u		     /* RFC 2236 8.10, RFC 2710 7.10 */
#define OLDER_NS	   ((2 * 125 + 10) * BT_SEC) /* RFC 3376 8.12, RFC 3810 9.12 */
#define RECORDS_MAX	   64u			     /* of one report; fits 1,280 bytes in IPv6 */

static bool all_hosts(const struct bt_addr *g)
{
	static const struct bt_addr all_nodes = {
		{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	return bt_addr_is_v4(g) ? bt_addr_to_v4(g) == 0xe0000001 : bt_addr_eq(g, &all_nodes);
}

/* Never told: RFC 3376 6, RFC 3810 6 */
static bool quiet(const struct bt_iface *f, const struct bt_addr *g)
{
	return f->lo || all_hosts(g) || (!bt_addr_is_v4(g) && (g->b[1] & 15) < 2);
}

static struct bt_group *find(const struct bt_iface *f, const struct bt_addr *addr)
{
	for (struct bt_group *g = f->groups; g != NULL; g = g->next)
		if (bt_addr_eq(&g->addr, addr))
			return g;
	return NULL;
}

bool bt_group_joined(const struct bt_iface *f, const struct bt_addr *group)
{
	const struct bt_group *g;

	if (all_hosts(group))
		return true;
	g = find(f, group);
	return g != NULL && g->refs > 0;
}

static struct bt_querier *querier(struct bt_iface *f, const struct bt_addr *group)
{
	return &f->querier[bt_addr_is_v4(group) ? 0 : 1];
}

/* The older version that is spoken, or 0. */
static uint8_t older(const struct bt_querier *q)
{
	return bt_timer_is_set(&q->older.t) ? q->older_version : 0;
}

/* ---- messages out ---- */

static void send(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p, const struct bt_addr *dst,
		 uint64_t now_ns)
{
	bool v4 = bt_addr_is_v4(dst);
	struct bt_send s = {.host = f->host,
			    .proto = v4 ? BT_IPPROTO_IGMP : BT_IPPROTO_ICMPV6,
			    .tos = v4 ? 0xc0 : 0,
			    .hops = 1,
			    .no_loop = true,
			    .router_alert = true,
			    .i = f->i,
			    .dst = *dst};
	const struct bt_ifaddr *own = bt_addr_for(f, dst);

	/* RFC 3376 4.2.13; RFC 3810 5.2.13: link-local, or none yet (RFC 3590) */
	if (own != NULL && (v4 || bt_addr_is_link_local6(&own->addr)))
		s.src = own->addr;
	else if (v4)
		s.src = bt_addr_v4(0);
	bt_csum_put(bt_pkt_data(p) + 2,
		    bt_csum_add(v4 ? 0 : bt_csum_pseudo(&s.src, dst, BT_IPPROTO_ICMPV6, p->len),
				bt_pkt_data(p), p->len));
	bt_ip_send(ip, p, &s, now_ns);
}

static void report(struct bt_ip *ip, struct bt_iface *f, const struct bt_group_record *records,
		   uint16_t n, uint64_t now_ns)
{
	static const struct bt_addr routers6 = {
		{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16}};
	bool v4 = bt_addr_is_v4(&records[0].group);
	struct bt_addr dst = v4 ? bt_addr_v4(0xe0000016) : routers6;
	struct bt_pkt *p = bt_pkt_get(ip, f->host, 8 + n * 20u);

	if (p == NULL) {
		bt_ip_drop(ip, f->host, BERTH_DROP_IP_QUEUE);
		return;
	}
	p->len = v4 ? bt_igmp_report3_write(bt_pkt_data(p), records, n)
		    : bt_mld_report2_write(bt_pkt_data(p), records, n);
	send(ip, f, p, &dst, now_ns);
}

/* A message of an older version: a report, or that the host leaves. */
static void old_message(struct bt_ip *ip, struct bt_iface *f, const struct bt_group *g,
			uint8_t version, bool leave, uint64_t now_ns)
{
	static const struct bt_addr routers6 = {
		{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
	bool v4 = bt_addr_is_v4(&g->addr);
	struct bt_addr dst = g->addr;
	struct bt_pkt *p;

	if (v4 && version == 1 && leave) /* RFC 2236 4 */
		return;
	p = bt_pkt_get(ip, f->host, BT_MLD_BYTES);
	if (p == NULL) {
		bt_ip_drop(ip, f->host, BERTH_DROP_IP_QUEUE);
		return;
	}
	if (leave)
		dst = v4 ? bt_addr_v4(0xe0000002) : routers6;
	p->len = v4 ? BT_IGMP_BYTES : BT_MLD_BYTES;
	if (v4)
		bt_igmp_write(bt_pkt_data(p),
			      leave	     ? BT_IGMP_LEAVE
			      : version == 1 ? BT_IGMP_REPORT1
					     : BT_IGMP_REPORT2,
			      &g->addr);
	else
		bt_mld_write(bt_pkt_data(p), leave ? BT_MLD_DONE : BT_MLD_REPORT1, &g->addr);
	send(ip, f, p, &dst, now_ns);
}

static void say(struct bt_ip *ip, struct bt_iface *f, struct bt_group *g,
		enum bt_group_change change, uint64_t now_ns)
{
	uint8_t version = older(querier(f, &g->addr));
	struct bt_group_record record = {.change = (uint8_t)change, .group = g->addr};

	if (version == 0) {
		report(ip, f, &record, 1, now_ns);
		return;
	}
	if (change != BT_GROUP_TO_INCLUDE || g->last_reporter)
		old_message(ip, f, g, version, change == BT_GROUP_TO_INCLUDE, now_ns);
	g->last_reporter = true;
}

static void after(struct bt_ip *ip, struct bt_ip_timer *t, uint32_t most_ms, uint64_t now_ns)
{
	uint64_t at = now_ns + (uint64_t)bt_ip_random_below(ip, most_ms + 1) * BT_MS;

	/* an answer that is due sooner serves both queries (RFC 3376 5.2) */
	if (!bt_timer_is_set(&t->t) || t->t.at_ns > at)
		bt_wheel_set(ip->wheel, &t->t, at);
}

/* ---- membership ---- */

static void forget(struct bt_ip *ip, struct bt_iface *f, struct bt_group *g)
{
	struct bt_group **at = &f->groups;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	f->n_groups--;
	bt_wheel_clear(ip->wheel, &g->timer.t);
	bt_ip_dealloc(ip, g, sizeof(*g));
}

static void changed(struct bt_ip *ip, struct bt_iface *f, struct bt_group *g, uint64_t now_ns)
{
	bool old = older(querier(f, &g->addr)) != 0;

	g->left = ROBUSTNESS - 1;
	say(ip, f, g, g->refs > 0 ? BT_GROUP_TO_EXCLUDE : BT_GROUP_TO_INCLUDE, now_ns);
	bt_wheel_clear(ip->wheel, &g->timer.t);
	after(ip, &g->timer, old ? OLD_UNSOLICITED_MS : UNSOLICITED_MS, now_ns);
}

int bt_group_join(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *group,
		  uint64_t now_ns)
{
	struct bt_group *g = find(f, group);

	if (g == NULL) {
		if (f->n_groups >= BT_IP_GROUPS_MAX)
			return BERTH_ENOBUFS;
		g = bt_ip_alloc(ip, sizeof(*g));
		if (g == NULL)
			return BERTH_ENOMEM;
		g->addr = *group;
		g->i = f->i;
		g->timer.kind = BT_TIMER_GROUP;
		g->next = f->groups;
		f->groups = g;
		f->n_groups++;
	}
	if (g->refs++ == 0 && !quiet(f, group))
		changed(ip, f, g, now_ns);
	return 0;
}

int bt_group_leave(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *group,
		   uint64_t now_ns)
{
	struct bt_group *g = find(f, group);

	if (g == NULL || g->refs == 0)
		return BERTH_EADDRNOTAVAIL;
	if (--g->refs > 0)
		return 0;
	if (quiet(f, group)) {
		forget(ip, f, g);
	} else if (older(querier(f, group)) != 0) { /* told once: RFC 2236 6 */
		say(ip, f, g, BT_GROUP_TO_INCLUDE, now_ns);
		forget(ip, f, g);
	} else {
		changed(ip, f, g, now_ns);
	}
	return 0;
}

static berth_if interface_for(const struct bt_ip *ip, uint16_t host, const struct bt_addr *group,
			      berth_if i)
{
	const struct bt_addr none = {{0}};

	if (i != 0 && (bt_iface(ip, i) == NULL || ip->ifs[i]->host != host))
		return 0;
	return bt_group_if(ip, host, &none, group, i);
}

int bt_ip_join(struct bt_ip *ip, uint16_t host, const struct bt_addr *group, berth_if i,
	       berth_if *joined, uint64_t now_ns)
{
	int r;

	if (bt_host(ip, host) == NULL || !bt_ip_is_multicast(group))
		return BERTH_EINVAL;
	i = interface_for(ip, host, group, i);
	if (i == 0)
		return BERTH_ENETUNREACH;
	ip->now_ns = now_ns;
	r = bt_group_join(ip, ip->ifs[i], group, now_ns);
	if (r == 0 && joined != NULL)
		*joined = i;
	return r;
}

int bt_ip_leave(struct bt_ip *ip, uint16_t host, const struct bt_addr *group, berth_if i,
		uint64_t now_ns)
{
	if (bt_host(ip, host) == NULL || !bt_ip_is_multicast(group))
		return BERTH_EINVAL;
	i = interface_for(ip, host, group, i);
	if (i == 0)
		return BERTH_EADDRNOTAVAIL;
	ip->now_ns = now_ns;
	return bt_group_leave(ip, ip->ifs[i], group, now_ns);
}

void bt_groups_free(struct bt_ip *ip, struct bt_iface *f)
{
	while (f->groups != NULL)
		forget(ip, f, f->groups);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		bt_wheel_clear(ip->wheel, &f->querier[v6].general.t);
		bt_wheel_clear(ip->wheel, &f->querier[v6].older.t);
	}
}

/* ---- time ---- */

static void group_expired(struct bt_ip *ip, struct bt_group *g, uint64_t now_ns)
{
	struct bt_iface *f = ip->ifs[g->i];

	if (g->left == 0) {
		say(ip, f, g, BT_GROUP_IS_EXCLUDE, now_ns);
		return;
	}
	g->left--;
	say(ip, f, g, g->refs > 0 ? BT_GROUP_TO_EXCLUDE : BT_GROUP_TO_INCLUDE, now_ns);
	if (g->left > 0)
		after(ip, &g->timer, UNSOLICITED_MS, now_ns);
	else if (g->refs == 0)
		forget(ip, f, g);
}

/* RFC 3376 5.2: all groups, in as few reports as hold them */
static void general_expired(struct bt_ip *ip, const struct bt_querier *q, uint64_t now_ns)
{
	struct bt_iface *f = ip->ifs[q->i];
	struct bt_group_record records[RECORDS_MAX];
	uint32_t most = (f->mtu - 48) / 20 < RECORDS_MAX ? (f->mtu - 48) / 20 : RECORDS_MAX;
	uint16_t n = 0;

	for (const struct bt_group *g = f->groups; g != NULL; g = g->next) {
		if (g->refs == 0 || quiet(f, &g->addr) || bt_addr_is_v4(&g->addr) == q->v6)
			continue;
		records[n++] =
			(struct bt_group_record){.change = BT_GROUP_IS_EXCLUDE, .group = g->addr};
		if (n == most) {
			report(ip, f, records, n, now_ns);
			n = 0;
		}
	}
	if (n > 0)
		report(ip, f, records, n, now_ns);
}

void bt_group_expired(struct bt_ip *ip, struct bt_ip_timer *t, uint64_t now_ns)
{
	if (t->kind == BT_TIMER_GROUP)
		group_expired(ip, bt_entry(t, struct bt_group, timer), now_ns);
	else if (t->kind == BT_TIMER_GENERAL)
		general_expired(ip, bt_entry(t, struct bt_querier, general), now_ns);
	/* OLDER: that it is not set any more is all */
}

/* ---- messages in ---- */

static void query(struct bt_in *in, const struct bt_group_query *m, bool v6)
{
	struct bt_querier *q = &in->f->querier[v6 ? 1 : 0];
	bool general = bt_addr_is_any(&m->group);

	if (m->version < (v6 ? 2 : 3)) {
		q->older_version = m->version;
		bt_wheel_set(in->ip->wheel, &q->older.t, in->now_ns + OLDER_NS);
		bt_wheel_clear(in->ip->wheel, &q->general.t);
	}
	if (general && older(q) == 0) {
		after(in->ip, &q->general, m->max_resp_ms, in->now_ns);
		return;
	}
	for (struct bt_group *g = in->f->groups; g != NULL; g = g->next)
		if (g->refs > 0 && !quiet(in->f, &g->addr) && bt_addr_is_v4(&g->addr) != v6 &&
		    (general || bt_addr_eq(&g->addr, &m->group)))
			after(in->ip, &g->timer, m->max_resp_ms, in->now_ns);
}

/* Another member has answered: that is enough (RFC 2236 3, RFC 2710 4). */
static void heard_report(struct bt_in *in, const struct bt_addr *group)
{
	struct bt_group *g = find(in->f, group);

	if (g == NULL || g->refs == 0 || older(querier(in->f, group)) == 0)
		return;
	bt_wheel_clear(in->ip->wheel, &g->timer.t);
	g->left = 0;
	g->last_reporter = false;
}

void bt_igmp_input(struct bt_in *in)
{
	const struct bt_rx *rx = in->rx;
	struct bt_igmp m;

	if (in->looped)
		return;
	if (rx->hops != 1 || !bt_csum_ok(bt_csum_add(0, rx->data, rx->len)) ||
	    !bt_igmp_read(rx->data, rx->len, &m)) {
		bt_in_drop(in, BERTH_DROP_GROUP_MALFORMED);
		return;
	}
	if (m.type == BT_IGMP_QUERY)
		query(in, &m.query, false);
	else if (m.type == BT_IGMP_REPORT1 || m.type == BT_IGMP_REPORT2)
		heard_report(in, &m.group);
}

void bt_mld_input(struct bt_in *in)
{
	const struct bt_rx *rx = in->rx;
	struct bt_mld m;

	if (in->looped)
		return;
	if (!bt_mld_read(rx->data, rx->len, &rx->src, rx->hops, in->router_alert, &m)) {
		bt_in_drop(in, BERTH_DROP_GROUP_MALFORMED);
		return;
	}
	if (m.type == BT_MLD_QUERY)
		query(in, &m.query, true);
	else if (m.type == BT_MLD_REPORT1)
		heard_report(in, &m.group);
}

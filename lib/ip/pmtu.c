/* SPDX-License-Identifier: Apache-2.0 */
/* Path MTUs that routers told (RFC 1191, RFC 8201): for each host and destination, for 10 minutes
 * (RFC 1191 6.3, RFC 8201 4), at most BT_IP_PMTU_MAX, the oldest of which gives way. */
#include "internal.h"

#define KEEP_NS (600 * BT_SEC)

struct bt_pmtu {
	struct bt_link link;
	struct bt_pmtu *older, *newer;
	struct bt_ip_timer timer;
	struct bt_addr dst;
	uint32_t mtu;
	uint16_t host;
	bool no_df;
};

static struct bt_pmtu *find(const struct bt_ip *ip, uint16_t host, const struct bt_addr *dst)
{
	struct bt_link *l = bt_map_first(&ip->pmtu_map, bt_ip_hash(ip, dst, dst, host));

	for (; l != NULL; l = bt_map_next(l)) {
		struct bt_pmtu *m = bt_entry(l, struct bt_pmtu, link);

		if (m->host == host && bt_addr_eq(&m->dst, dst))
			return m;
	}
	return NULL;
}

uint32_t bt_pmtu_find(const struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, bool *no_df)
{
	const struct bt_pmtu *m;

	if (ip->pmtu_map.count == 0)
		return 0;
	m = find(ip, host, dst);
	if (m == NULL)
		return 0;
	*no_df = m->no_df;
	return m->mtu;
}

static void forget(struct bt_ip *ip, struct bt_pmtu *m)
{
	bt_wheel_clear(ip->wheel, &m->timer.t);
	bt_map_del(&ip->pmtu_map, &m->link);
	*(m->older != NULL ? &m->older->newer : &ip->pmtu_oldest) = m->newer;
	*(m->newer != NULL ? &m->newer->older : &ip->pmtu_newest) = m->older;
	bt_ip_dealloc(ip, m, sizeof(*m));
	bt_ip_changed(ip);
}

static struct bt_pmtu *make(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst)
{
	struct bt_pmtu *m;

	if (ip->pmtu_map.count >= BT_IP_PMTU_MAX)
		forget(ip, ip->pmtu_oldest);
	m = bt_ip_alloc(ip, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->host = host;
	m->dst = *dst;
	m->timer.kind = BT_TIMER_PMTU;
	bt_map_add(&ip->pmtu_map, &m->link, bt_ip_hash(ip, dst, dst, host));
	m->older = ip->pmtu_newest;
	*(m->older != NULL ? &m->older->newer : &ip->pmtu_oldest) = m;
	ip->pmtu_newest = m;
	return m;
}

void bt_ip_mtu_learned(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, uint32_t mtu,
		       uint64_t now_ns)
{
	const struct bt_route *r;
	struct bt_pmtu *m;
	bool no_df = false;
	uint32_t now_is;

	if (bt_host(ip, host) == NULL || bt_ip_is_multicast(dst))
		return;
	r = bt_route_find(ip, host, dst, 0);
	now_is = bt_pmtu_find(ip, host, dst, &no_df);
	if (now_is == 0 && r != NULL)
		now_is = ip->ifs[r->i]->mtu;
	no_df = bt_addr_is_v4(dst) && mtu < BT_PMTU_LEAST_V4;
	mtu = bt_pmtu_believed(bt_addr_is_v4(dst), mtu);
	if (mtu == 0)
		return;
	if (mtu > now_is || (mtu == now_is && !no_df)) /* RFC 8201 4: it never tells an increase */
		return;
	m = find(ip, host, dst);
	if (m == NULL)
		m = make(ip, host, dst);
	if (m == NULL)
		return;
	m->mtu = mtu;
	m->no_df = no_df;
	bt_wheel_set(ip->wheel, &m->timer.t, now_ns + KEEP_NS);
	bt_ip_changed(ip);
}

void bt_pmtu_expired(struct bt_ip *ip, struct bt_ip_timer *t)
{
	forget(ip, bt_entry(t, struct bt_pmtu, timer));
}

void bt_pmtu_free(struct bt_ip *ip)
{
	while (ip->pmtu_oldest != NULL)
		forget(ip, ip->pmtu_oldest);
}

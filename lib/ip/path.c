/* SPDX-License-Identifier: Apache-2.0 */
/* Ways: which interface and neighbour packets to an address leave by, and how large they may be. */
#include "internal.h"

/* For groups and all of a link, which no route need lead to (Linux): the interface that was named,
 * that of the source address, that of a route; in IPv6, where Linux gives each interface a route to
 * groups, the first one. */
berth_if bt_group_if(const struct bt_ip *ip, uint16_t host, const struct bt_addr *src,
		     const struct bt_addr *dst, berth_if i)
{
	const struct bt_host *h = ip->hosts[host];
	const struct bt_route *r;
	berth_if own = 0;

	if (i != 0)
		return i;
	if (bt_addr_kind(ip, host, src, &own) == BT_ADDR_LOCAL && !ip->ifs[own]->lo)
		return own;
	r = bt_route_find(ip, host, dst, 0);
	if (r != NULL)
		return r->i;
	return !bt_addr_is_v4(dst) && h->n_ifs > 1 ? h->ifs[1] : 0;
}

static int to_group(struct bt_ip *ip, uint16_t host, const struct bt_addr *src,
		    const struct bt_addr *dst, berth_if i, struct bt_path *path)
{
	path->i = bt_group_if(ip, host, src, dst, i);
	if (path->i == 0 || (ip->ifs[path->i]->flags & BERTH_IF_DOWN) != 0)
		return BERTH_ENETUNREACH;
	path->flags |= (uint16_t)ip->ifs[path->i]->flags;
	path->mtu = ip->ifs[path->i]->mtu;
	return 0;
}

static int to_host(struct bt_ip *ip, uint16_t host, const struct bt_addr *src,
		   const struct bt_addr *dst, berth_if i, struct bt_path *path)
{
	const struct bt_route *r;
	const struct bt_addr *hop = dst;
	struct bt_iface *f;
	uint32_t learned;
	bool no_df = false;

	if (i == 0 && bt_addr_is_link_local6(dst) && bt_addr_is_link_local6(src))
		bt_addr_kind(ip, host, src, &i);
	r = bt_route_find(ip, host, dst, i);
	if (r != NULL && !bt_addr_is_any(&r->via))
		hop = &r->via;
	/* Linux: a device that was named and no route: the destination is taken to be on its link
	 */
	if (r == NULL && (i == 0 || !bt_addr_is_v4(dst)))
		return BERTH_ENETUNREACH;
	path->i = r != NULL ? r->i : i;
	f = ip->ifs[path->i];
	if ((f->flags & BERTH_IF_DOWN) != 0 || f->lo ||
	    (!bt_addr_is_v4(dst) && f->mtu < BT_IPV6_MIN_MTU))
		return BERTH_ENETUNREACH;
	path->flags |= (uint16_t)f->flags;
	path->mtu = f->mtu;
	if ((f->flags & BERTH_IF_ETHERNET) != 0) {
		struct bt_neigh *n = bt_neigh_get(ip, f, hop, ip->now_ns);

		if (n == NULL)
			return BERTH_ENOMEM;
		path->neighbour = n->index;
	}
	learned = bt_pmtu_find(ip, host, dst, &no_df);
	if (learned != 0 && learned < path->mtu)
		path->mtu = learned;
	if (no_df)
		path->flags |= BT_PATH_NO_DF;
	return 0;
}

int bt_ip_path(struct bt_ip *ip, uint16_t host, const struct bt_addr *src,
	       const struct bt_addr *dst, berth_if i, struct bt_path *path)
{
	struct bt_way *way = host < ip->n_hosts ? &ip->hosts[host]->way : NULL;
	struct bt_path p = {0};
	berth_if own = 0;
	int r;

	if (way != NULL && way->path.generation == ip->generation && way->asked == i &&
	    bt_addr_eq(&way->dst, dst) && bt_addr_eq(&way->src, src)) {
		*path = way->path;
		return 0;
	}

	if (bt_host(ip, host) == NULL || bt_addr_is_any(dst) ||
	    (i != 0 && (bt_iface(ip, i) == NULL || ip->ifs[i]->host != host)))
		return BERTH_ENETUNREACH;
	if (i != 0)
		p.flags = BT_PATH_BOUND;
	switch (bt_addr_kind(ip, host, dst, &own)) {
	case BT_ADDR_LOCAL:
		p.i = own;
		p.flags |= (uint16_t)(bt_host_lo(ip, ip->hosts[host])->flags | BT_PATH_LOOP);
		p.mtu = bt_host_lo(ip, ip->hosts[host])->mtu;
		r = 0;
		break;
	case BT_ADDR_BROADCAST:
		if (bt_addr_is_loopback(src))
			return BERTH_EINVAL;
		p.flags |= BT_PATH_BROADCAST;
		r = to_group(ip, host, src, dst, i != 0 ? i : own, &p);
		break;
	case BT_ADDR_NONE:
	default:
		if (bt_addr_is_loopback(src)) /* RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3 */
			return BERTH_EINVAL;
		if (bt_ip_is_multicast(dst)) {
			p.flags |= BT_PATH_MULTICAST;
			r = to_group(ip, host, src, dst, i, &p);
		} else {
			r = to_host(ip, host, src, dst, i, &p);
		}
		break;
	}
	if (r < 0)
		return r;
	p.generation =
		ip->generation; /* after the neighbour, which may have taken another's place */
	if ((p.flags &
	     (BERTH_IF_ETHERNET | BT_PATH_LOOP | BT_PATH_BROADCAST | BT_PATH_MULTICAST)) == 0)
		*way = (struct bt_way){*src, *dst, p, i};
	*path = p;
	return 0;
}

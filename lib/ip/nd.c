/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861 7.2) among hosts with static addresses: solicitations and
 * advertisements. Routers' messages and redirects are not acted on. */
#include "internal.h"

static void send(struct bt_ip *ip, struct bt_iface *f, const struct bt_nd *m,
		 const struct bt_addr *src, const struct bt_addr *dst, uint64_t now_ns)
{
	struct bt_send s = {.host = f->host,
			    .proto = BT_IPPROTO_ICMPV6,
			    .hops = 255,
			    .no_loop = true,
			    .i = f->i,
			    .src = *src,
			    .dst = *dst};
	struct bt_pkt *p = bt_pkt_get(ip, f->host, BT_ND_MAX);

	if (p == NULL) {
		bt_ip_drop(ip, f->host, BERTH_DROP_IP_QUEUE);
		return;
	}
	p->len = bt_nd_write(bt_pkt_data(p), m);
	bt_csum_put(bt_pkt_data(p) + 2,
		    bt_csum_add(bt_csum_pseudo(src, dst, BT_IPPROTO_ICMPV6, p->len), bt_pkt_data(p),
				p->len));
	bt_ip_send(ip, p, &s, now_ns);
}

void bt_nd_ask(struct bt_ip *ip, struct bt_iface *f, struct bt_neigh *n, const uint8_t *to,
	       uint64_t now_ns)
{
	struct bt_nd m = {.type = BT_ND_NS, .target = n->addr, .has_source_mac = true};
	struct bt_addr group = bt_nd_solicited_node(&n->addr);
	const struct bt_ifaddr *own = bt_addr_of_if(f, &n->asker); /* RFC 4861 7.2.2 */

	if (own == NULL)
		own = bt_addr_for(f, &n->addr);
	if (own == NULL)
		return;
	memcpy(m.source_mac.b, f->mac, sizeof(m.source_mac.b));
	send(ip, f, &m, &own->addr, to != NULL ? &n->addr : &group, now_ns);
}

/* RFC 4861 7.2.3, 7.2.4 */
static void solicited(struct bt_in *in, const struct bt_nd *m)
{
	static const struct bt_addr all_nodes = {
		{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
	struct bt_nd a = {.type = BT_ND_NA,
			  .target = m->target,
			  .router = in->h->forwarding,
			  .force = true,
			  .has_target_mac = true};
	bool unknown = bt_addr_is_any(&in->rx->src); /* somebody tries our address */

	if (bt_addr_of_if(in->f, &m->target) == NULL)
		return;
	if (m->has_source_mac && !unknown) {
		struct bt_neigh *n = bt_neigh_get(in->ip, in->f, &in->rx->src, in->now_ns);

		if (n != NULL && (!bt_neigh_known(n) || memcmp(n->header, m->source_mac.b, 6) != 0))
			bt_neigh_heard(in->ip, n, m->source_mac.b, BT_NEIGH_STALE, in->now_ns);
	}
	memcpy(a.target_mac.b, in->f->mac, sizeof(a.target_mac.b));
	a.solicited = !unknown;
	send(in->ip, in->f, &a, &m->target, unknown ? &all_nodes : &in->rx->src, in->now_ns);
}

/* RFC 4861 7.2.5 */
static void advertised(struct bt_in *in, const struct bt_nd *m)
{
	struct bt_neigh *n = bt_neigh_find(in->ip, in->f->i, &m->target);
	bool other;

	if (n == NULL || n->state == BT_NEIGH_NONE) /* nobody asked */
		return;
	if (n->state == BT_NEIGH_INCOMPLETE) {
		if (!m->has_target_mac)
			return;
		n->router = m->router;
		bt_neigh_heard(in->ip, n, m->target_mac.b,
			       m->solicited ? BT_NEIGH_REACHABLE : BT_NEIGH_STALE, in->now_ns);
		return;
	}
	other = m->has_target_mac && memcmp(n->header, m->target_mac.b, 6) != 0;
	n->router = m->router;
	if (other && !m->force) {
		if (n->state == BT_NEIGH_REACHABLE)
			bt_neigh_heard(in->ip, n, n->header, BT_NEIGH_STALE, in->now_ns);
		return;
	}
	if (m->solicited)
		bt_neigh_heard(in->ip, n, other ? m->target_mac.b : n->header, BT_NEIGH_REACHABLE,
			       in->now_ns);
	else if (other)
		bt_neigh_heard(in->ip, n, m->target_mac.b, BT_NEIGH_STALE, in->now_ns);
}

void bt_nd_input(struct bt_in *in)
{
	const struct bt_rx *rx = in->rx;
	struct bt_nd m;

	if ((in->f->flags & BERTH_IF_ETHERNET) == 0 || in->looped ||
	    !bt_nd_read(rx->data, rx->len, &rx->src, &rx->dst, rx->hops, &m)) {
		bt_in_drop(in, BERTH_DROP_ND_MALFORMED);
		return;
	}
	switch ((enum bt_nd_type)m.type) {
	case BT_ND_NS:
		solicited(in, &m);
		break;
	case BT_ND_NA:
		advertised(in, &m);
		break;
	case BT_ND_RS:
	case BT_ND_RA:
	case BT_ND_REDIRECT:
		bt_in_drop(in, BERTH_DROP_ICMP_UNKNOWN);
		break;
	}
}

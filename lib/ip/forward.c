/* SPDX-License-Identifier: Apache-2.0 */
/* Forwarding between a host's interfaces (RFC 1812 5.2, RFC 8200). DSCP and ECN stay as they are.
 */
#include "internal.h"

static void tell(struct bt_in *in, const uint8_t *data, uint32_t len, const struct bt_icmp *m,
		 enum berth_drop reason)
{
	bt_icmp_about(in->ip, in->f, data, len, in->link_group, m, in->now_ns);
	bt_in_drop(in, reason);
}

/* The next hop and its interface; NULL: none, and the sender has been told. */
static struct bt_iface *way(struct bt_in *in, const uint8_t *data, uint32_t len,
			    const struct bt_addr *dst, struct bt_addr *hop)
{
	const struct bt_icmp m = {.kind = BT_ICMP_UNREACHABLE}; /* code 0: no route, in both */
	const struct bt_route *r = bt_route_find(in->ip, in->f->host, dst, 0);

	if (r == NULL || in->ip->ifs[r->i]->lo) {
		tell(in, data, len, &m, BERTH_DROP_IP_NO_ROUTE);
		return NULL;
	}
	*hop = bt_addr_is_any(&r->via) ? *dst : r->via;
	return in->ip->ifs[r->i];
}

static struct bt_pkt *copy(struct bt_in *in, const uint8_t *data, uint32_t len)
{
	struct bt_pkt *p = bt_pkt_get(in->ip, in->f->host, len);

	if (p == NULL) {
		bt_in_drop(in, BERTH_DROP_IP_QUEUE);
		return NULL;
	}
	p->len = len;
	p->from = in->f->i;
	memcpy(bt_pkt_data(p), data, len);
	return p;
}

/* Where the wire it came by leaves checksums unfinished and the next one does not. */
static void finish(const struct bt_in *in, const struct bt_iface *out, uint8_t *data, uint32_t len,
		   uint8_t proto, const struct bt_addr *src, const struct bt_addr *dst)
{
	uint8_t at = proto == BT_IPPROTO_TCP ? 16 : 6;

	if (!in->checked || (out->flags & BERTH_IF_TX_CHECKSUM) != 0 ||
	    (proto != BT_IPPROTO_TCP && proto != BT_IPPROTO_UDP) || len < at + 2u)
		return;
	if (proto == BT_IPPROTO_UDP && bt_addr_is_v4(src) && bt_get16(data + at) == 0)
		return; /* the sender wanted none (RFC 768) */
	bt_checksum_finish(data, len, at, proto, src, dst);
}

void bt_forward4(struct bt_in *in, const uint8_t *data, const struct bt_ipv4 *h)
{
	const struct bt_icmp expired = {.kind = BT_ICMP_TIME_EXCEEDED};
	struct bt_iface *out;
	struct bt_addr hop;
	struct bt_pkt *p;

	if (h->ttl <= 1) { /* RFC 1812 5.3.1 */
		tell(in, data, h->total_len, &expired, BERTH_DROP_IP_TTL);
		return;
	}
	out = way(in, data, h->total_len, &h->dst, &hop);
	if (out == NULL)
		return;
	if (h->total_len > out->mtu && h->df) { /* RFC 1191 4 */
		const struct bt_icmp big = {.kind = BT_ICMP_TOO_BIG, .mtu = out->mtu};

		tell(in, data, h->total_len, &big, BERTH_DROP_IP_TOO_BIG);
		return;
	}
	p = copy(in, data, h->total_len);
	if (p == NULL)
		return;
	bt_ipv4_hop(bt_pkt_data(p));
	if (!bt_ipv4_is_fragment(h))
		finish(in, out, bt_pkt_data(p) + h->header_len,
		       (uint32_t)h->total_len - h->header_len, h->proto, &h->src, &h->dst);
	if (p->len > out->mtu)
		bt_ip_fragment4(in->ip, out, p, out->mtu, &h->src, &hop, in->now_ns);
	else
		bt_ip_transmit(in->ip, out, p, &h->src, &hop, in->now_ns);
}

void bt_forward6(struct bt_in *in, const uint8_t *data, uint32_t len, const struct bt_ipv6 *h)
{
	const struct bt_icmp expired = {.kind = BT_ICMP_TIME_EXCEEDED};
	struct bt_iface *out;
	struct bt_addr hop;
	struct bt_pkt *p;

	/* RFC 4291 2.5.6, 2.5.2 */
	if (bt_addr_is_link_local6(&h->src) || bt_addr_is_link_local6(&h->dst) ||
	    bt_addr_is_any(&h->src)) {
		bt_in_drop(in, BERTH_DROP_IP_NOT_FOR_US);
		return;
	}
	if (h->hops <= 1) { /* RFC 8200 3 */
		tell(in, data, len, &expired, BERTH_DROP_IP_TTL);
		return;
	}
	out = way(in, data, len, &h->dst, &hop);
	if (out == NULL)
		return;
	if (len > out->mtu) { /* RFC 4443 3.2 */
		const struct bt_icmp big = {.kind = BT_ICMP_TOO_BIG, .mtu = out->mtu};

		tell(in, data, len, &big, BERTH_DROP_IP_TOO_BIG);
		return;
	}
	p = copy(in, data, len);
	if (p == NULL)
		return;
	bt_pkt_data(p)[7]--;
	finish(in, out, bt_pkt_data(p) + BT_IPV6_HEADER, len - BT_IPV6_HEADER, h->next, &h->src,
	       &h->dst);
	bt_ip_transmit(in->ip, out, p, &h->src, &hop, in->now_ns);
}

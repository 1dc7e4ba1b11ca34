/* SPDX-License-Identifier: Apache-2.0 */
/* In: frames, and what the host sent to itself. */
#include "internal.h"

static enum bt_ip_got frame(struct bt_in *in, const struct berth_input *packet)
{
	struct berth_input inner = *packet;
	const uint8_t *data = packet->packet;
	size_t len = packet->len;
	struct bt_ether e;
	struct bt_mac own;

	if (!bt_ether_read(data, len, &e))
		return bt_in_drop(in, BERTH_DROP_LINK_SHORT);
	memcpy(own.b, in->f->mac, sizeof(own.b));
	in->link_group = bt_mac_is_group(&e.dst);
	if (!in->link_group && !bt_mac_eq(&e.dst, &own))
		return bt_in_drop(in, BERTH_DROP_LINK_NOT_FOR_US);
	inner.packet = data += BT_ETHER_HEADER;
	inner.len = len -= BT_ETHER_HEADER;
	switch (e.type) {
	case BT_ETHER_IPV4:
		if (!in->link_group && bt_ip4_expected(in->ip, in->f, &inner, in->rx))
			return BT_IP_PACKET;
		return bt_ip4_input(in, data, len);
	case BT_ETHER_IPV6:
		return bt_ip6_input(in, data, len);
	case BT_ETHER_ARP:
		bt_arp_input(in->ip, in->f, data, len, in->now_ns);
		return BT_IP_NOTHING;
	default:
		return bt_in_drop(in, BERTH_DROP_LINK_PROTOCOL);
	}
}

static enum bt_ip_got bare(struct bt_in *in, const uint8_t *data, size_t len)
{
	if (len > 0 && data[0] >> 4 == 6)
		return bt_ip6_input(in, data, len);
	return bt_ip4_input(in, data, len);
}

enum bt_ip_got bt_ip_input(struct bt_ip *ip, const struct berth_input *packet, uint64_t now_ns,
			   struct bt_rx *rx, struct bt_icmp_error *error)
{
	struct bt_iface *f = bt_iface(ip, packet->i);
	struct bt_in in;

	if (f == NULL)
		return BT_IP_NOTHING;
	ip->now_ns = now_ns;
	if ((f->flags & (BERTH_IF_ETHERNET | BERTH_IF_DOWN)) == 0 &&
	    bt_ip4_expected(ip, f, packet, rx))
		return BT_IP_PACKET;
	in = (struct bt_in){.ip = ip,
			    .f = f,
			    .now_ns = now_ns,
			    .checked = packet->checked || (f->flags & BERTH_IF_RX_CHECKSUM) != 0,
			    .segment = packet->segment,
			    .rx = rx,
			    .error = error};
	in.h = ip->hosts[f->host];
	if ((f->flags & BERTH_IF_DOWN) != 0)
		return bt_in_drop(&in, BERTH_DROP_IF_DOWN);
	if (f->lo) /* nothing comes to it by a wire */
		return bt_in_drop(&in, BERTH_DROP_LINK_NOT_FOR_US);
	return (f->flags & BERTH_IF_ETHERNET) != 0 ? frame(&in, packet)
						   : bare(&in, packet->packet, packet->len);
}

bool bt_ip_input_head(struct bt_ip *ip, const struct berth_output *packet, berth_if i,
		      struct bt_rx *rx)
{
	const struct berth_input in = {.packet = packet->iov[0].iov_base,
				       .len = packet->len,
				       .i = i,
				       .segment = packet->segment,
				       .checked = true};
	struct bt_iface *f = bt_iface(ip, i);
	uint32_t head = (uint32_t)packet->iov[0].iov_len;

	if (f == NULL || (f->flags & (BERTH_IF_ETHERNET | BERTH_IF_DOWN)) != 0 ||
	    head < BT_IPV4_HEADER || !bt_ip4_expected(ip, f, &in, rx) || rx->ip_len != packet->len)
		return false;
	rx->len = head - BT_IPV4_HEADER;
	return true;
}

/* A packet of ours that found no neighbour: its sender is told as by a router (RFC 1122 3.3.1.6).
 */
static enum bt_ip_got undelivered(struct bt_in *in, const struct bt_pkt *p)
{
	const uint8_t *data = p->buf + p->at;
	enum bt_family family = data[0] >> 4 == 6 ? BT_V6 : BT_V4;
	struct bt_icmp_error *e = in->error;
	struct bt_icmp_quote q;

	if (!bt_icmp_quote_read(data, p->len, family, &q))
		return BT_IP_NOTHING;
	if (q.proto == BT_IPPROTO_ICMP || q.proto == BT_IPPROTO_ICMPV6) {
		struct bt_icmp m;

		if (!bt_icmp_read(data + q.at, q.len, family, &m) || m.kind != BT_ICMP_ECHO)
			return BT_IP_NOTHING;
	} else if (q.proto != BT_IPPROTO_TCP && q.proto != BT_IPPROTO_UDP) {
		return BT_IP_NOTHING;
	}
	*e = (struct bt_icmp_error){.host = p->host,
				    .proto = q.proto,
				    .type = family == BT_V6 ? 1 : 3,
				    .code = family == BT_V6 ? BT_ICMP6_ADDRESS : BT_ICMP4_HOST,
				    .local = true,
				    .error = BERTH_EHOSTUNREACH,
				    .src = q.src,
				    .dst = q.dst,
				    .from = q.src,
				    .quoted = data + q.at,
				    .len = q.len};
	return BT_IP_ERROR;
}

enum bt_ip_got bt_ip_next(struct bt_ip *ip, uint64_t now_ns, struct bt_rx *rx,
			  struct bt_icmp_error *error)
{
	struct bt_pkt *p = bt_pkts_take(&ip->loop);
	struct bt_in in = {.ip = ip,
			   .now_ns = now_ns,
			   .rx = rx,
			   .error = error,
			   .looped = true,
			   .checked = true};

	if (p == NULL)
		return BT_IP_NOTHING;
	ip->now_ns = now_ns;
	bt_pkts_add(&ip->lent, p);
	in.f = ip->ifs[p->i];
	in.h = ip->hosts[p->host];
	in.segment = p->segment;
	if (p->local_error) {
		in.f = bt_host_lo(ip, in.h);
		return undelivered(&in, p);
	}
	return bare(&in, bt_pkt_data(p), p->len);
}

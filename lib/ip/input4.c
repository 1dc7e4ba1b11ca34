/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 in (RFC 791, 1122 3.2.1): checked, then for the host, for a group, or to be forwarded. */
#include "internal.h"

static enum berth_drop reason(enum bt_ip_bad bad)
{
	switch (bad) {
	case BT_IP_SHORT:
		return BERTH_DROP_IP_SHORT;
	case BT_IP_VERSION:
		return BERTH_DROP_IP_VERSION;
	case BT_IP_CHECKSUM:
		return BERTH_DROP_IP_CHECKSUM;
	case BT_IP_SOURCE:
		return BERTH_DROP_IP_SOURCE;
	case BT_IP_DEST:
		return BERTH_DROP_IP_NOT_FOR_US;
	case BT_IP_OPTIONS:
		return BERTH_DROP_IP_OPTIONS;
	case BT_IP_FRAGMENT:
		return BERTH_DROP_FRAGMENT_MALFORMED;
	case BT_IP_HEADER:
	case BT_IP_OK:
		break;
	}
	return BERTH_DROP_IP_HEADER;
}

enum bt_where { NOWHERE, OURS, GROUP, ELSEWHERE };

/* RFC 1122 3.2.1.3, RFC 9293 MUST-63: not from a wire with a loopback source, our own, or the
 * broadcast address of a link; 0.0.0.0 only to all (a host that asks for its address). */
static bool source_ok(struct bt_in *in, const struct bt_ipv4 *h, bool to_all)
{
	uint32_t src = bt_addr_to_v4(&h->src);
	berth_if i;

	if (in->looped)
		return true;
	if (src >> 24 == 0)
		return src == 0 && to_all;
	return bt_addr_kind(in->ip, in->f->host, &h->src, &i) == BT_ADDR_NONE;
}

static enum bt_where where(struct bt_in *in, const struct bt_ipv4 *h, enum berth_drop *why)
{
	berth_if i = 0;
	enum bt_addr_kind kind = bt_addr_kind(in->ip, in->f->host, &h->dst, &i);
	bool group = bt_ip_is_multicast(&h->dst);

	*why = BERTH_DROP_IP_NOT_FOR_US;
	if (!source_ok(in, h, group || kind == BT_ADDR_BROADCAST)) {
		*why = BERTH_DROP_IP_SOURCE;
		return NOWHERE;
	}
	if (kind == BT_ADDR_BROADCAST) /* RFC 2644: that of another link is not for us to spread */
		return i == 0 || i == in->f->i ? GROUP : NOWHERE;
	if (group) {
		*why = BERTH_DROP_IP_GROUP;
		return bt_group_joined(in->f, &h->dst) ? GROUP : NOWHERE;
	}
	if (in->link_group) /* RFC 1122 3.3.6, RFC 1812 5.3.4 */
		return NOWHERE;
	if (kind == BT_ADDR_LOCAL) /* RFC 1122 3.2.1.3 (g) */
		return in->looped || !bt_addr_is_loopback(&h->dst) ? OURS : NOWHERE;
	if (bt_addr_to_v4(&h->dst) >> 24 == 0 || bt_addr_to_v4(&h->dst) >> 28 == 0xf)
		return NOWHERE;
	return in->h->forwarding ? ELSEWHERE : NOWHERE;
}

/* ---- the short way ---- */

/* Whether src, as on the wire, passes source_ok() without a look into the map. */
static bool plain_source(const struct bt_ip *ip, const struct bt_iface *f, uint32_t src)
{
	uint32_t a = __builtin_bswap32(src);
	struct bt_addr addr = bt_addr_v4(a);

	return a >> 24 != 0 && a >> 24 != 127 && a >> 28 < 0xe &&
	       !bt_addr_may_be_own(ip, f->host, &addr);
}

bool bt_ip4_expected(struct bt_ip *ip, struct bt_iface *f, const struct berth_input *packet,
		     struct bt_rx *rx)
{
	const uint8_t *data = packet->packet;
	size_t len = packet->len;
	uint32_t w[5], total; /* in memory order: the first byte is the lowest */
	uint64_t sum;

	if (len < sizeof(w))
		return false;
	memcpy(w, data, sizeof(w));
	total = __builtin_bswap16((uint16_t)(w[0] >> 16));
	if (f->seen.generation != ip->generation || w[4] != f->seen.dst || (w[0] & 0xff) != 0x45 ||
	    (w[1] >> 16 & ~0x40u) != 0 /* but DF */ || (w[2] >> 8 & 0xff) != BT_IPPROTO_TCP ||
	    total < sizeof(w) || total > len)
		return false;
	if (w[3] != f->seen.src && !plain_source(ip, f, w[3]))
		return false;
	sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
	if (!bt_csum_ok(sum))
		return false;
	f->seen.src = w[3];
	rx->host = f->host;
	rx->i = f->i;
	rx->dev = f->dev;
	rx->proto = BT_IPPROTO_TCP;
	rx->tos = (uint8_t)(w[0] >> 8);
	rx->hops = (uint8_t)w[2];
	rx->checked = packet->checked || (f->flags & BERTH_IF_RX_CHECKSUM) != 0;
	rx->multicast = false;
	rx->src = bt_addr_v4(__builtin_bswap32(w[3]));
	rx->dst = bt_addr_v4(__builtin_bswap32(w[4]));
	rx->data = data + sizeof(w);
	rx->len = total - (uint32_t)sizeof(w);
	rx->mtu = f->mtu;
	rx->segment = packet->segment;
	rx->ip = data;
	rx->ip_len = total;
	return true;
}

static void remember(struct bt_in *in, const struct bt_ipv4 *h)
{
	if (in->looped)
		return;
	in->f->seen.generation = in->ip->generation;
	memcpy(&in->f->seen.src, h->src.b + 12, 4);
	memcpy(&in->f->seen.dst, h->dst.b + 12, 4);
}

/* ---- the way of all ---- */

static enum bt_ip_got deliver(struct bt_in *in, const uint8_t *data, const struct bt_ipv4 *h,
			      bool group)
{
	struct bt_rx *rx = in->rx;

	*rx = (struct bt_rx){.host = in->f->host,
			     .i = in->f->i,
			     .dev = in->f->dev,
			     .proto = h->proto,
			     .tos = h->tos,
			     .hops = h->ttl,
			     .checked = in->checked,
			     .multicast = group,
			     .src = h->src,
			     .dst = h->dst,
			     .data = data + h->header_len,
			     .len = (uint32_t)h->total_len - h->header_len,
			     .mtu = in->f->mtu,
			     .segment = in->segment,
			     .ip = data,
			     .ip_len = h->total_len};
	if (in->h->filter != NULL && !in->looped && bt_in_filtered(in))
		return BT_IP_NOTHING;
	switch (h->proto) {
	case BT_IPPROTO_TCP:
		if (!group && in->h->filter == NULL)
			remember(in, h);
		return BT_IP_PACKET;
	case BT_IPPROTO_UDP:
		return BT_IP_PACKET;
	case BT_IPPROTO_ICMP:
		return bt_icmp_input(in);
	case BT_IPPROTO_IGMP:
		bt_igmp_input(in);
		return BT_IP_NOTHING;
	default: {
		/* RFC 1122 3.2.2.1 */
		const struct bt_icmp m = {.kind = BT_ICMP_UNREACHABLE, .code = BT_ICMP4_PROTOCOL};

		bt_icmp_about(in->ip, in->f, data, h->total_len, in->link_group, &m, in->now_ns);
		return bt_in_drop(in, BERTH_DROP_IP_PROTOCOL);
	}
	}
}

static enum bt_ip_got fragment(struct bt_in *in, const uint8_t *data, struct bt_ipv4 *h, bool group)
{
	struct bt_fragment part = {.src = h->src,
				   .dst = h->dst,
				   .id = h->id,
				   .proto = h->proto,
				   .more = h->mf,
				   .offset = h->offset,
				   .header = data,
				   .header_len = h->header_len,
				   .data = data + h->header_len,
				   .len = (uint32_t)h->total_len - h->header_len};
	struct bt_pkt *p = bt_reass_fragment(in, &part);
	uint8_t *whole;

	if (p == NULL)
		return BT_IP_NOTHING;
	whole = bt_pkt_data(p);
	bt_put16(whole + 2, (uint16_t)p->len);
	bt_put16(whole + 6, 0);
	bt_put16(whole + 10, 0);
	bt_csum_put(whole + 10, bt_csum_add(0, whole, (whole[0] & 15) * 4u));
	h->header_len = (uint8_t)((whole[0] & 15) * 4u);
	h->total_len = (uint16_t)p->len;
	h->tos = whole[1];
	in->checked = bt_in_checked(in); /* the mark was the last piece's alone */
	return deliver(in, whole, h, group);
}

enum bt_ip_got bt_ip4_input(struct bt_in *in, const uint8_t *data, size_t len)
{
	struct bt_ipv4 h;
	enum bt_ip_bad bad = bt_ipv4_read(data, len, &h);
	enum berth_drop why;
	enum bt_where to;

	if (bad != BT_IP_OK && bad != BT_IP_OPTIONS)
		return bt_in_drop(in, reason(bad));
	in->router_alert = h.router_alert;
	to = where(in, &h, &why);
	if (bad == BT_IP_OPTIONS) {
		const struct bt_icmp m = {.kind = BT_ICMP_PARAMETER, .pointer = h.bad_at};

		/* RFC 1122 3.2.2.5 */
		if (h.bad_at != 0 && (to == OURS || to == ELSEWHERE))
			bt_icmp_about(in->ip, in->f, data, h.total_len, in->link_group, &m,
				      in->now_ns);
		return bt_in_drop(in, BERTH_DROP_IP_OPTIONS);
	}
	switch (to) {
	case OURS:
	case GROUP:
		if (bt_ipv4_is_fragment(&h))
			return fragment(in, data, &h, to == GROUP);
		return deliver(in, data, &h, to == GROUP);
	case ELSEWHERE:
		bt_forward4(in, data, &h);
		return BT_IP_NOTHING;
	case NOWHERE:
		break;
	}
	return bt_in_drop(in, why);
}

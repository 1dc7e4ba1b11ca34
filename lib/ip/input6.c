/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 in (RFC 8200). */
#include "internal.h"

static enum bt_ip_got refused(struct bt_in *in, const uint8_t *data, const struct bt_ipv6 *h,
			      enum bt_ip_bad bad, const struct bt_ipv6_ext *ext)
{
	const struct bt_icmp m = {
		.kind = BT_ICMP_PARAMETER, .code = ext->bad_code, .pointer = ext->bad_at};

	/* RFC 4443 2.4 e.3: about what was sent to a group only an option that asks for it */
	if (ext->bad_code != BT_IPV6_SILENT &&
	    ((!in->link_group && h->dst.b[0] != 0xff) || !ext->bad_unicast))
		bt_icmp_about(in->ip, in->f, data, BT_IPV6_HEADER + (uint32_t)h->payload_len,
			      in->link_group, &m, in->now_ns);
	return bt_in_drop(in, bad == BT_IP_FRAGMENT ? BERTH_DROP_FRAGMENT_MALFORMED
						    : BERTH_DROP_IP_OPTIONS);
}

static enum bt_ip_got transport(struct bt_in *in, const uint8_t *data, const struct bt_ipv6 *h,
				const struct bt_ipv6_ext *ext)
{
	struct bt_rx *rx = in->rx;
	uint32_t len = BT_IPV6_HEADER + (uint32_t)h->payload_len;

	*rx = (struct bt_rx){.host = in->f->host,
			     .i = in->f->i,
			     .dev = in->f->dev,
			     .proto = ext->proto,
			     .tos = h->tos,
			     .hops = h->hops,
			     .checked = in->checked,
			     .multicast = h->dst.b[0] == 0xff,
			     .src = h->src,
			     .dst = h->dst,
			     .data = data + ext->at,
			     .len = len - ext->at,
			     .mtu = in->f->mtu,
			     .segment = in->segment,
			     .ip = data,
			     .ip_len = len};
	in->router_alert = ext->router_alert && ext->router_alert_value == 0;
	/* RFC 4291 2.5.2: only to find out about addresses */
	if (bt_addr_is_any(&h->src) && ext->proto != BT_IPPROTO_ICMPV6)
		return bt_in_drop(in, BERTH_DROP_IP_SOURCE);
	if (in->h->filter != NULL && !in->looped && bt_in_filtered(in))
		return BT_IP_NOTHING;
	switch (ext->proto) {
	case BT_IPPROTO_TCP:
	case BT_IPPROTO_UDP:
		return BT_IP_PACKET;
	case BT_IPPROTO_ICMPV6:
		return bt_icmp_input(in);
	case BT_IPPROTO_NONE: /* RFC 8200 4.7 */
		break;
	default: {
		/* RFC 8200 4: unrecognized next header */
		const struct bt_icmp m = {
			.kind = BT_ICMP_PARAMETER, .code = 1, .pointer = ext->next_at};

		bt_icmp_about(in->ip, in->f, data, len, in->link_group, &m, in->now_ns);
		break;
	}
	}
	return bt_in_drop(in, BERTH_DROP_IP_PROTOCOL);
}

static enum bt_ip_got deliver(struct bt_in *in, const uint8_t *data, const struct bt_ipv6 *h);

/* Where the header before the fragment header says what follows it. */
static uint32_t next_field(const uint8_t *data)
{
	uint32_t field = 6, at = BT_IPV6_HEADER;

	while (data[field] != BT_IPPROTO_FRAGMENT) {
		field = at;
		at += (data[at + 1] + 1u) * 8;
	}
	return field;
}

/* RFC 8200 4.5 */
static enum bt_ip_got fragment(struct bt_in *in, const uint8_t *data, const struct bt_ipv6 *h,
			       const struct bt_ipv6_ext *ext)
{
	struct bt_fragment part = {.src = h->src,
				   .dst = h->dst,
				   .id = ext->id,
				   .proto = ext->proto,
				   .more = ext->more,
				   .v6 = true,
				   .offset = ext->offset,
				   .header = data,
				   .header_len = ext->at,
				   .data = data + ext->at,
				   .len = BT_IPV6_HEADER + (uint32_t)h->payload_len - ext->at};
	struct bt_ipv6 whole;
	struct bt_pkt *p;
	uint8_t *out;

	if (in->whole) /* fragments of fragments */
		return bt_in_drop(in, BERTH_DROP_FRAGMENT_MALFORMED);
	p = bt_reass_fragment(in, &part);
	if (p == NULL)
		return BT_IP_NOTHING;
	out = bt_pkt_data(p);
	out[next_field(out)] = p->next_header; /* what the first fragment said follows */
	bt_put16(out + 4, (uint16_t)(p->len - BT_IPV6_HEADER));
	if (bt_ipv6_read(out, p->len, &whole) != BT_IP_OK)
		return bt_in_drop(in, BERTH_DROP_FRAGMENT_MALFORMED);
	in->whole = true;
	in->checked = bt_in_checked(in); /* the mark was the last piece's alone */
	return deliver(in, out, &whole);
}

static enum bt_ip_got deliver(struct bt_in *in, const uint8_t *data, const struct bt_ipv6 *h)
{
	struct bt_ipv6_ext ext;
	enum bt_ip_bad bad = bt_ipv6_walk(data, BT_IPV6_HEADER + (uint32_t)h->payload_len,
					  BT_IPV6_HEADER, h->next, 6, &ext);

	if (bad != BT_IP_OK)
		return refused(in, data, h, bad, &ext);
	if (ext.fragment)
		return fragment(in, data, h, &ext);
	return transport(in, data, h, &ext);
}

/* RFC 4291 2.5.3, 2.5.6: loopback and link-local addresses do not leave their link. */
static bool is_ours(const struct bt_in *in, const struct bt_ipv6 *h)
{
	berth_if i = 0;

	if (bt_addr_is_link_local6(&h->dst))
		return bt_addr_of_if(in->f, &h->dst) != NULL;
	if (bt_addr_kind(in->ip, in->f->host, &h->dst, &i) != BT_ADDR_LOCAL)
		return false;
	return in->looped || !bt_addr_is_loopback(&h->dst);
}

static bool source_ok(const struct bt_in *in, const struct bt_ipv6 *h)
{
	berth_if i;

	return in->looped || bt_addr_kind(in->ip, in->f->host, &h->src, &i) == BT_ADDR_NONE;
}

enum bt_ip_got bt_ip6_input(struct bt_in *in, const uint8_t *data, size_t len)
{
	struct bt_ipv6 h;

	switch (bt_ipv6_read(data, len, &h)) {
	case BT_IP_OK:
		break;
	case BT_IP_SHORT:
		return bt_in_drop(in, BERTH_DROP_IP_SHORT);
	case BT_IP_VERSION:
		return bt_in_drop(in, BERTH_DROP_IP_VERSION);
	case BT_IP_SOURCE:
		return bt_in_drop(in, BERTH_DROP_IP_SOURCE);
	case BT_IP_DEST:
		return bt_in_drop(in, BERTH_DROP_IP_NOT_FOR_US);
	case BT_IP_HEADER:
	case BT_IP_CHECKSUM:
	case BT_IP_OPTIONS:
	case BT_IP_FRAGMENT:
	default:
		return bt_in_drop(in, BERTH_DROP_IP_HEADER);
	}
	if (!source_ok(in, &h))
		return bt_in_drop(in, BERTH_DROP_IP_SOURCE);
	if (h.dst.b[0] == 0xff) {
		if (!bt_group_joined(in->f, &h.dst))
			return bt_in_drop(in, BERTH_DROP_IP_GROUP);
		return deliver(in, data, &h);
	}
	if (in->link_group)
		return bt_in_drop(in, BERTH_DROP_IP_NOT_FOR_US);
	if (is_ours(in, &h))
		return deliver(in, data, &h);
	if (!in->h->forwarding || bt_addr_is_any(&h.dst) || bt_addr_is_loopback(&h.dst))
		return bt_in_drop(in, BERTH_DROP_IP_NOT_FOR_US);
	bt_forward6(in, data, BT_IPV6_HEADER + (uint32_t)h.payload_len, &h);
	return BT_IP_NOTHING;
}

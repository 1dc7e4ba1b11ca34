/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting packets in pieces: RFC 791 3.2 for IPv4 (own and forwarded ones), RFC 8200 4.5 for IPv6
 * (own ones only, which have no extension headers but ours). */
#include "../base/siphash.h"
#include "internal.h"

/* RFC 7739 5.3: what one destination sees says nothing about another's. */
uint32_t bt_ip_next_id(struct bt_ip *ip, const struct bt_addr *src, const struct bt_addr *dst,
		       uint8_t proto, uint32_t n)
{
	uint32_t base = bt_ip_hash(ip, src, dst, proto);

	uint32_t *used = &ip->ids[bt_ip_hash(ip, dst, src, proto + 256u) % 256];

	base += *used;
	*used += n;
	return base;
}

/* Of the options at p those that every fragment has (RFC 791 3.1, copied flag), padded; their
 * length. */
static uint32_t copied_options(const uint8_t *p, uint32_t len, uint8_t *out)
{
	uint32_t n = 0;

	for (uint32_t at = 0; at < len && p[at] != 0; at += p[at] == 1 ? 1 : p[at + 1])
		if ((p[at] & 0x80) != 0) {
			memcpy(out + n, p + at, p[at + 1]);
			n += p[at + 1];
		}
	while (n % 4 != 0)
		out[n++] = 0;
	return n;
}

static struct bt_pkt *piece(struct bt_ip *ip, const struct bt_pkt *of, uint32_t len)
{
	struct bt_pkt *q = bt_pkt_get(ip, of->host, len);

	if (q == NULL) {
		bt_ip_drop(ip, of->host, BERTH_DROP_IP_QUEUE);
		return NULL;
	}
	q->len = len;
	q->from = of->from;
	return q;
}

int bt_ip_fragment4(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p, uint32_t mtu,
		    const struct bt_addr *src, const struct bt_addr *to, uint64_t now_ns)
{
	const uint8_t *data = bt_pkt_data(p);
	uint8_t header[BT_IPV4_HEADER_MAX];
	uint32_t first_len = (data[0] & 15) * 4u, len = p->len - first_len, at = 0;
	uint16_t field = bt_get16(data + 6);
	uint32_t header_len = first_len;
	int result = BT_IP_TAKEN;

	memcpy(header, data, first_len);
	while (at < len) {
		uint32_t room = (mtu - header_len) & ~7u, n = len - at < room ? len - at : room;
		struct bt_pkt *q = piece(ip, p, header_len + n);
		uint8_t *out;
		bool more = at + n < len || (field & 0x2000) != 0;

		if (q == NULL) {
			result = BERTH_ENOBUFS;
			break;
		}
		out = bt_pkt_data(q);
		memcpy(out, header, header_len);
		out[0] = (uint8_t)(0x40 | header_len / 4);
		bt_put16(out + 2, (uint16_t)(header_len + n));
		bt_put16(out + 6, (uint16_t)((more ? 0x2000 : 0) | ((field & 0x1fff) + at / 8)));
		bt_put16(out + 10, 0);
		bt_csum_put(out + 10, bt_csum_add(0, out, header_len));
		memcpy(out + header_len, data + first_len + at, n);
		bt_ip_transmit(ip, f, q, src, to, now_ns);
		if (at == 0)
			header_len = BT_IPV4_HEADER + copied_options(data + BT_IPV4_HEADER,
								     first_len - BT_IPV4_HEADER,
								     header + BT_IPV4_HEADER);
		at += n;
	}
	bt_pkt_put(ip, p);
	return result;
}

int bt_ip_fragment6(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p, uint32_t mtu,
		    const struct bt_addr *src, const struct bt_addr *to, uint64_t now_ns)
{
	const uint32_t header_len = BT_IPV6_HEADER + BT_IPV6_FRAGMENT;
	const uint8_t *data = bt_pkt_data(p);
	uint32_t len = p->len - BT_IPV6_HEADER, at = 0;
	uint32_t room = (mtu - header_len) & ~7u;
	struct bt_addr dst;
	uint32_t id;
	int result = BT_IP_TAKEN;

	memcpy(dst.b, data + 24, sizeof(dst.b));
	id = bt_ip_next_id(ip, src, &dst, BT_IPPROTO_FRAGMENT, 1);
	while (at < len) {
		uint32_t n = len - at < room ? len - at : room;
		struct bt_pkt *q = piece(ip, p, header_len + n);
		uint8_t *out;

		if (q == NULL) {
			result = BERTH_ENOBUFS;
			break;
		}
		out = bt_pkt_data(q);
		memcpy(out, data, BT_IPV6_HEADER);
		bt_put16(out + 4, (uint16_t)(BT_IPV6_FRAGMENT + n));
		out[6] = BT_IPPROTO_FRAGMENT;
		bt_ipv6_fragment_write(out + BT_IPV6_HEADER, data[6], (uint16_t)at, at + n < len,
				       id);
		memcpy(out + header_len, data + BT_IPV6_HEADER + at, n);
		bt_ip_transmit(ip, f, q, src, to, now_ns);
		at += n;
	}
	bt_pkt_put(ip, p);
	return result;
}

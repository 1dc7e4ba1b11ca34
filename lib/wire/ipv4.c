/* SPDX-License-Identifier: Apache-2.0 */
#include "ipv4.h"

#include "../base/assert.h"
#include "../base/bytes.h"
#include "../base/checksum.h"

#define DF	    0x4000
#define MF	    0x2000
#define OFFSET_MASK 0x1fff

enum option { /* IANA, IP option numbers */
	      END = 0,
	      NOP = 1,
	      RECORD_ROUTE = 7,
	      TIMESTAMP = 68,
	      LOOSE_ROUTE = 131,
	      STRICT_ROUTE = 137,
	      ROUTER_ALERT = 148,
};

/* Where an option is wrong, from its beginning, or FINE. RFC 791 3.1: lengths; of those kinds that
 * have a pointer, its least value, and that they are there once. */
enum { FINE = -1 };

static int option_fault(const uint8_t *p, unsigned len, unsigned *seen, struct bt_ipv4 *ip)
{
	unsigned bit;

	switch (p[0]) {
	case RECORD_ROUTE:
	case TIMESTAMP:
		bit = p[0] == TIMESTAMP ? 1 : 2;
		if (len < (p[0] == TIMESTAMP ? 4 : 3))
			return 1;
		if (p[2] < (p[0] == TIMESTAMP ? 5 : 4))
			return 2;
		if (*seen & bit)
			return 0;
		*seen |= bit;
		return FINE;
	case ROUTER_ALERT: /* RFC 2113 2.1 */
		if (len < 4)
			return 1;
		if (bt_get16(p + 2) == 0)
			ip->router_alert = true;
		return FINE;
	default: /* RFC 1122 3.2.1.8: unknown ones are ignored */
		return FINE;
	}
}

/* RFC 9293 MUST-50: those that nobody here understands are passed over. */
static bool read_options(const uint8_t *packet, unsigned header_len, struct bt_ipv4 *ip)
{
	unsigned at = BT_IPV4_HEADER, seen = 0;

	while (at < header_len && packet[at] != END) {
		unsigned left = header_len - at, len;
		int fault = 0;

		if (packet[at] == NOP) {
			at++;
			continue;
		}
		len = left < 2 ? 0 : packet[at + 1];
		if (len >= 2 && len <= left) {
			/* RFC 7126 4.3, 4.4: refused without an answer */
			if (packet[at] == LOOSE_ROUTE || packet[at] == STRICT_ROUTE)
				return false;
			fault = option_fault(packet + at, len, &seen, ip);
		}
		if (fault != FINE) {
			ip->bad_at = (uint8_t)(at + (unsigned)fault);
			return false;
		}
		at += len;
	}
	return true;
}

enum bt_ip_bad bt_ipv4_read(const uint8_t *packet, size_t len, struct bt_ipv4 *ip)
{
	uint32_t src, payload;
	unsigned header_len;
	uint16_t total_len, fragment;

	if (len < BT_IPV4_HEADER)
		return BT_IP_SHORT;
	if (packet[0] / 16 != 4)
		return BT_IP_VERSION;
	header_len = packet[0] % 16 * 4u;
	total_len = bt_get16(packet + 2);
	if (header_len < BT_IPV4_HEADER || total_len < header_len || total_len > len)
		return BT_IP_HEADER;
	if (!bt_csum_ok(bt_csum_add(0, packet, header_len))) /* RFC 1122 3.2.1.2 */
		return BT_IP_CHECKSUM;
	src = bt_get32(packet + 12);
	if (src >> 28 == 0xe || src == 0xffffffff) /* RFC 1122 3.2.1.3 */
		return BT_IP_SOURCE;
	fragment = bt_get16(packet + 6);
	ip->header_len = (uint8_t)header_len;
	ip->tos = packet[1];
	ip->total_len = total_len;
	ip->id = bt_get16(packet + 4);
	ip->df = fragment & DF;
	ip->mf = fragment & MF;
	ip->offset = (uint16_t)((fragment & OFFSET_MASK) * 8);
	ip->ttl = packet[8];
	ip->proto = packet[9];
	ip->router_alert = false;
	ip->bad_at = 0;
	ip->src = bt_addr_v4(src);
	ip->dst = bt_addr_v4(bt_get32(packet + 16));
	if (header_len > BT_IPV4_HEADER && !read_options(packet, header_len, ip))
		return BT_IP_OPTIONS;
	if (bt_ipv4_is_fragment(ip)) {
		/* A part that is empty, or ends beyond what a packet can be, is none. */
		payload = total_len - header_len;
		if (payload == 0 || (ip->mf && payload % 8 != 0) ||
		    ip->offset + payload + header_len > 65535)
			return BT_IP_FRAGMENT;
	}
	return BT_IP_OK;
}

unsigned bt_ipv4_write(uint8_t *packet, const struct bt_ipv4 *ip)
{
	unsigned header_len = BT_IPV4_HEADER + (ip->router_alert ? 4 : 0);

	bt_assert(ip->total_len >= header_len && ip->offset % 8 == 0);
	packet[0] = (uint8_t)(4 << 4 | header_len / 4);
	packet[1] = ip->tos;
	bt_put16(packet + 2, ip->total_len);
	bt_put16(packet + 4, ip->id);
	bt_put16(packet + 6, (uint16_t)((ip->df ? DF : 0) | (ip->mf ? MF : 0) | (ip->offset / 8)));
	packet[8] = ip->ttl;
	packet[9] = ip->proto;
	bt_put16(packet + 10, 0);
	memcpy(packet + 12, ip->src.b + 12, 4);
	memcpy(packet + 16, ip->dst.b + 12, 4);
	if (ip->router_alert)
		bt_put32(packet + BT_IPV4_HEADER, (uint32_t)ROUTER_ALERT << 24 | 4 << 16);
	bt_csum_put(packet + 10, bt_csum_add(0, packet, header_len));
	return header_len;
}

void bt_ipv4_hop(uint8_t *packet)
{
	uint32_t sum;

	bt_assert(packet[8] > 0);
	/* RFC 1624 eqn. 3: the complement of (~old sum + ~old field + new field) */
	sum = (uint16_t)~bt_get16(packet + 10) + (uint32_t)(uint16_t)~bt_get16(packet + 8);
	packet[8]--;
	sum += bt_get16(packet + 8);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	bt_put16(packet + 10, (uint16_t)~sum);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ipv6.h"

#include "../base/assert.h"
#include "../base/bytes.h"

enum option { /* IANA, destination options and hop-by-hop options */
	      PAD1 = 0,
	      PADN = 1,
	      ROUTER_ALERT = 5,
};

#define MOST_PADDING 7 /* bytes together; RFC 8504 5.3, as Linux */

enum code { ERRONEOUS_FIELD = 0, UNKNOWN_HEADER = 1, UNKNOWN_OPTION = 2 }; /* RFC 4443 3.4 */
#define INCOMPLETE_CHAIN 3						   /* RFC 7112 5 */

enum bt_ip_bad bt_ipv6_read(const uint8_t *packet, size_t len, struct bt_ipv6 *ip)
{
	uint32_t first;
	uint16_t payload_len;

	if (len < 1 || (packet[0] / 16 == 6 && len < BT_IPV6_HEADER))
		return BT_IP_SHORT;
	if (packet[0] / 16 != 6)
		return BT_IP_VERSION;
	payload_len = bt_get16(packet + 4);
	if (payload_len > len - BT_IPV6_HEADER)
		return BT_IP_HEADER;
	first = bt_get32(packet);
	ip->tos = (uint8_t)(first >> 20);
	ip->flow = first & 0xfffff;
	ip->payload_len = payload_len;
	ip->next = packet[6];
	ip->hops = packet[7];
	memcpy(ip->src.b, packet + 8, sizeof(ip->src.b));
	memcpy(ip->dst.b, packet + 24, sizeof(ip->dst.b));
	/* RFC 4291 2.7; a mapped address stands for IPv4 here and has no place on the wire. */
	if (ip->src.b[0] == 0xff || bt_addr_is_v4(&ip->src))
		return BT_IP_SOURCE;
	if ((ip->dst.b[0] == 0xff && ip->dst.b[1] % 16 == 0) || bt_addr_is_v4(&ip->dst))
		return BT_IP_DEST;
	return BT_IP_OK;
}

void bt_ipv6_write(uint8_t packet[BT_IPV6_HEADER], const struct bt_ipv6 *ip)
{
	bt_put32(packet, 6u << 28 | (uint32_t)ip->tos << 20 | (ip->flow & 0xfffff));
	bt_put16(packet + 4, ip->payload_len);
	packet[6] = ip->next;
	packet[7] = ip->hops;
	memcpy(packet + 8, ip->src.b, sizeof(ip->src.b));
	memcpy(packet + 24, ip->dst.b, sizeof(ip->dst.b));
}

static enum bt_ip_bad refuse(struct bt_ipv6_ext *ext, enum bt_ip_bad bad, uint8_t code, uint32_t at)
{
	ext->bad_code = code;
	ext->bad_at = (uint16_t)at;
	return bad;
}

/* RFC 8200 4.2: the two highest bits say what to do with an unknown option. */
static enum bt_ip_bad unknown_option(struct bt_ipv6_ext *ext, uint8_t type, uint32_t at)
{
	switch (type >> 6) {
	case 0:
		return BT_IP_OK;
	case 1:
		return refuse(ext, BT_IP_OPTIONS, BT_IPV6_SILENT, 0);
	case 2:
		ext->bad_unicast = false;
		return refuse(ext, BT_IP_OPTIONS, UNKNOWN_OPTION, at);
	default:
		return refuse(ext, BT_IP_OPTIONS, UNKNOWN_OPTION, at);
	}
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	while (len > 0 && *p == 0)
		p++, len--;
	return len == 0;
}

/* The options of a hop-by-hop or destination header, in data[at, end). */
static enum bt_ip_bad walk_options(const uint8_t *data, uint32_t at, uint32_t end, bool hop_by_hop,
				   struct bt_ipv6_ext *ext)
{
	unsigned padding = 0, options = 0;

	while (at < end) {
		uint8_t type = data[at];
		uint32_t len = 1;
		enum bt_ip_bad bad;

		if (type != PAD1) {
			if (end - at < 2 || data[at + 1] > end - at - 2)
				return BT_IP_OPTIONS;
			len = 2u + data[at + 1];
		}
		if (type == PAD1 || type == PADN) {
			padding += len;
			if (padding > MOST_PADDING ||
			    (type == PADN && !all_zero(data + at + 2, len - 2)))
				return BT_IP_OPTIONS;
			at += len;
			continue;
		}
		padding = 0;
		if (++options > BT_IPV6_MAX_OPTIONS)
			return BT_IP_OPTIONS;
		if (type == ROUTER_ALERT && hop_by_hop) { /* RFC 2711 2.1 */
			if (len != 4)
				return BT_IP_OPTIONS;
			ext->router_alert = true;
			ext->router_alert_value = bt_get16(data + at + 2);
		} else {
			bad = unknown_option(ext, type, at);
			if (bad != BT_IP_OK)
				return bad;
		}
		at += len;
	}
	return BT_IP_OK;
}

static bool is_extension(uint8_t next)
{
	return next == BT_IPPROTO_HOPOPTS || next == BT_IPPROTO_ROUTING ||
	       next == BT_IPPROTO_FRAGMENT || next == BT_IPPROTO_DSTOPTS;
}

/* The length of the extension header at data[at]; 0: it is not there as a whole. */
static uint32_t header_length(const uint8_t *data, uint32_t len, uint32_t at, uint8_t next)
{
	uint32_t n;

	if (len < at || len - at < 8)
		return 0;
	n = next == BT_IPPROTO_FRAGMENT ? BT_IPV6_FRAGMENT : (data[at + 1] + 1u) * 8;
	return n <= len - at ? n : 0;
}

bool bt_ipv6_skip(const uint8_t *data, uint32_t len, uint32_t *at, uint8_t *next)
{
	for (unsigned n = 0; is_extension(*next); n++) {
		uint32_t header = header_length(data, len, *at, *next);

		if (n == BT_IPV6_MAX_HEADERS || header == 0)
			return false;
		if (*next == BT_IPPROTO_FRAGMENT && bt_get16(data + *at + 2) >= 8)
			return false;
		*next = data[*at];
		*at += header;
	}
	return *at <= len;
}

/* RFC 7112: a first fragment has all headers, the transport's included. */
static bool chain_complete(const uint8_t *data, uint32_t len, uint32_t at, uint8_t next)
{
	if (!bt_ipv6_skip(data, len, &at, &next))
		return false;
	switch (next) {
	case BT_IPPROTO_TCP:
		return len - at >= 20;
	case BT_IPPROTO_UDP:
	case BT_IPPROTO_ICMPV6:
		return len - at >= 8;
	default:
		return true;
	}
}

/* The fragment header of a part, at data[at]. RFC 8200 4.5 */
static enum bt_ip_bad read_fragment(const uint8_t *data, uint32_t len, uint32_t at,
				    struct bt_ipv6_ext *ext)
{
	uint32_t payload = len - at - BT_IPV6_FRAGMENT;
	uint16_t field = bt_get16(data + at + 2);

	ext->fragment = true;
	ext->fragment_at = (uint16_t)at;
	ext->offset = field & 0xfff8;
	ext->more = field & 1;
	ext->id = bt_get32(data + at + 4);
	ext->proto = data[at];
	ext->next_at = (uint16_t)at;
	ext->at = (uint16_t)(at + BT_IPV6_FRAGMENT);
	if (payload == 0)
		return BT_IP_FRAGMENT;
	if (ext->more && payload % 8 != 0)
		return refuse(ext, BT_IP_FRAGMENT, ERRONEOUS_FIELD, 4);
	if (ext->offset + payload > 65535)
		return refuse(ext, BT_IP_FRAGMENT, ERRONEOUS_FIELD, at + 2);
	if (ext->offset == 0 && !chain_complete(data, len, ext->at, ext->proto))
		return refuse(ext, BT_IP_FRAGMENT, INCOMPLETE_CHAIN, 0);
	return BT_IP_OK;
}

enum bt_ip_bad bt_ipv6_walk(const uint8_t *data, uint32_t len, uint16_t start, uint8_t next,
			    uint16_t next_at, struct bt_ipv6_ext *ext)
{
	uint32_t at = start;
	enum bt_ip_bad bad;

	bt_assert(start <= len && len <= BT_IPV6_HEADER + 65535);
	memset(ext, 0, sizeof(*ext));
	ext->bad_code = BT_IPV6_SILENT;
	ext->bad_unicast = true;
	for (unsigned n = 0; is_extension(next); n++) {
		uint32_t header = header_length(data, len, at, next);

		if (next == BT_IPPROTO_HOPOPTS && at != BT_IPV6_HEADER)
			return refuse(ext, BT_IP_OPTIONS, UNKNOWN_HEADER, next_at);
		if (n == BT_IPV6_MAX_HEADERS || header == 0)
			return BT_IP_OPTIONS;
		if (next == BT_IPPROTO_FRAGMENT) {
			if ((bt_get16(data + at + 2) & 0xfff9) != 0)
				return read_fragment(data, len, at, ext);
		} else if (next == BT_IPPROTO_ROUTING) {
			if (data[at + 3] != 0) /* segments left: RFC 8200 4.4 */
				return refuse(ext, BT_IP_OPTIONS, ERRONEOUS_FIELD, at + 2);
		} else {
			bad = walk_options(data, at + 2, at + header, next == BT_IPPROTO_HOPOPTS,
					   ext);
			if (bad != BT_IP_OK)
				return bad;
		}
		next = data[at];
		next_at = (uint16_t)at;
		at += header;
	}
	ext->proto = next;
	ext->next_at = next_at;
	ext->at = (uint16_t)at;
	return BT_IP_OK;
}

void bt_ipv6_fragment_write(uint8_t p[BT_IPV6_FRAGMENT], uint8_t next, uint16_t offset, bool more,
			    uint32_t id)
{
	bt_assert(offset % 8 == 0);
	p[0] = next;
	p[1] = 0;
	bt_put16(p + 2, offset | more);
	bt_put32(p + 4, id);
}

void bt_ipv6_router_alert_write(uint8_t p[BT_IPV6_ROUTER_ALERT], uint8_t next)
{
	const uint8_t header[] = {next, 0, ROUTER_ALERT, 2, 0, 0, PADN, 0};

	memcpy(p, header, sizeof(header));
}

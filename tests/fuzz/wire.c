/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "../../lib/base/bytes.h"
#include "../../lib/base/checksum.h"
#include "../../lib/wire/arp.h"
#include "../../lib/wire/icmp.h"
#include "../../lib/wire/igmp.h"
#include "../../lib/wire/ipv4.h"
#include "../../lib/wire/ipv6.h"
#include "../../lib/wire/mld.h"
#include "../../lib/wire/nd.h"
#include "../../lib/wire/tcp.h"
#include "../../lib/wire/udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *wire_name(enum wire_format f)
{
	static const char *const names[] = {"arp", "ether", "icmp",  "igmp", "ipv4", "ipv6",
					    "mld", "nd",    "quote", "tcp",  "udp"};

	return names[f];
}

struct wire_around wire_around(uint8_t byte)
{
	static const struct bt_addr from[] = {
		{{0}}, {{0xfe, 0x80, [15] = 1}}, {{0xfd, [15] = 2}}, {{0xfe, 0x80, [15] = 3}}};
	static const struct bt_addr to[] = {
		{{0xff, 2, [15] = 1}},
		{{0xff, 2, [11] = 1, [12] = 0xff, [15] = 1}},
		{{0xfe, 0x80, [15] = 9}},
		{{0xfd, [15] = 9}},
	};

	return (struct wire_around){from[byte & 3], to[byte >> 2 & 3], byte & 0x10 ? 255 : 1,
				    byte & 0x20};
}

static bool is_group(const struct bt_addr *a, enum bt_family family)
{
	return family == BT_V4 ? bt_addr_is_v4(a) && a->b[12] >> 4 == 0xe : a->b[0] == 0xff;
}

static bool check_arp(const uint8_t *data, size_t len)
{
	struct bt_arp a, again;
	uint8_t out[BT_ARP_BYTES];

	memset(&a, 0, sizeof(a));
	memset(&again, 0, sizeof(again));
	if (!bt_arp_read(data, len, &a))
		return false;
	CHECK(a.op == BT_ARP_REQUEST || a.op == BT_ARP_REPLY);
	CHECK(!bt_mac_is_group(&a.sender_mac));
	CHECK(bt_addr_is_v4(&a.sender) && !is_group(&a.sender, BT_V4));
	CHECK(bt_addr_is_v4(&a.target) && !is_group(&a.target, BT_V4));
	CHECK(!bt_addr_is_any(&a.target) && !bt_addr_is_loopback(&a.sender));
	bt_arp_write(out, &a);
	CHECK(memcmp(out, data, sizeof(out)) == 0);
	CHECK(bt_arp_read(out, sizeof(out), &again) && memcmp(&a, &again, sizeof(a)) == 0);
	return true;
}

static bool check_ether(const uint8_t *data, size_t len)
{
	uint8_t out[BT_ETHER_HEADER];
	struct bt_ether e;

	if (!bt_ether_read(data, len, &e))
		return false;
	bt_ether_write(out, &e);
	CHECK(memcmp(out, data, sizeof(out)) == 0);
	return true;
}

static bool check_icmp(enum bt_family family, const uint8_t *data, size_t len)
{
	struct bt_icmp m, again;
	uint8_t out[BT_ICMP_HEADER];

	if (!bt_icmp_read(data, len, family, &m))
		return false;
	CHECK(m.kind <= BT_ICMP_PARAMETER);
	CHECK(m.mtu == 0 || m.kind == BT_ICMP_TOO_BIG);
	CHECK(family == BT_V6 || m.mtu <= 65535);
	CHECK(m.pointer == 0 || m.kind == BT_ICMP_PARAMETER);
	CHECK((m.id == 0 && m.seq == 0) || m.kind == BT_ICMP_ECHO || m.kind == BT_ICMP_ECHO_REPLY);
	if (m.kind == BT_ICMP_TOO_BIG && family == BT_V6)
		m.code = 0; /* RFC 4443 3.2: ignored by the receiver */
	bt_icmp_write(out, family, &m);
	CHECK(bt_icmp_read(out, sizeof(out), family, &again));
	CHECK(memcmp(&m, &again, sizeof(m)) == 0);
	return true;
}

static void check_query(const struct bt_group_query *q, size_t len, enum bt_family family)
{
	uint8_t latest = family == BT_V4 ? 3 : 2;

	CHECK(q->version >= 1 && q->version <= latest);
	CHECK(q->robustness <= 7 && q->interval_s <= 31744);
	CHECK(is_group(&q->group, family) || bt_addr_is_any(&q->group));
	CHECK(bt_addr_is_v4(&q->group) == (family == BT_V4));
	CHECK(q->n_sources == 0 || q->version == latest);
	CHECK(q->sources_at + (size_t)q->n_sources * (family == BT_V4 ? 4 : 16) <= len);
	CHECK(q->max_resp_ms <= 31744 * 100 || (family == BT_V6 && q->max_resp_ms <= 8387584));
}

static bool check_igmp(const uint8_t *data, size_t len)
{
	struct bt_igmp m;
	uint8_t out[BT_IGMP_BYTES];

	if (!bt_igmp_read(data, len, &m))
		return false;
	if (m.type == BT_IGMP_QUERY) {
		check_query(&m.query, len, BT_V4);
	} else if (m.type == BT_IGMP_REPORT3) {
		CHECK(8u + 8u * m.n_records <= len);
	} else {
		CHECK(is_group(&m.group, BT_V4));
		bt_igmp_write(out, m.type, &m.group);
		CHECK(out[0] == data[0] && memcmp(out + 4, data + 4, 4) == 0);
	}
	return true;
}

static bool check_mld(const struct wire_around *x, const uint8_t *data, size_t len)
{
	struct bt_mld m;
	uint8_t out[BT_MLD_BYTES];

	if (!bt_mld_read(data, len, &x->src, x->hops, x->router_alert, &m))
		return false;
	CHECK(x->hops == 1 && x->router_alert);
	CHECK(bt_addr_is_link_local6(&x->src) ||
	      (m.type != BT_MLD_QUERY && bt_addr_is_any(&x->src)));
	if (m.type == BT_MLD_QUERY) {
		check_query(&m.query, len, BT_V6);
	} else if (m.type == BT_MLD_REPORT2) {
		CHECK(8u + 20u * m.n_records <= len);
	} else {
		CHECK(is_group(&m.group, BT_V6));
		bt_mld_write(out, m.type, &m.group);
		CHECK(out[0] == data[0] && memcmp(out + 8, data + 8, 16) == 0);
	}
	return true;
}

static bool check_ipv4(const uint8_t *data, size_t len)
{
	uint8_t hop[BT_IPV4_HEADER_MAX], *whole;
	struct bt_ipv4 ip, again;
	unsigned payload;

	memset(&ip, 0, sizeof(ip));
	memset(&again, 0, sizeof(again));
	if (bt_ipv4_read(data, len, &ip) != BT_IP_OK)
		return false;
	CHECK(ip.header_len >= 20 && ip.header_len <= 60 && ip.header_len % 4 == 0);
	CHECK(ip.total_len >= ip.header_len && ip.total_len <= len);
	CHECK(bt_addr_is_v4(&ip.src) && bt_addr_is_v4(&ip.dst));
	CHECK(!is_group(&ip.src, BT_V4));
	payload = ip.total_len - ip.header_len;
	CHECK(ip.offset % 8 == 0);
	CHECK(!bt_ipv4_is_fragment(&ip) || (payload > 0 && ip.offset + ip.total_len <= 65535));
	CHECK(!ip.mf || payload % 8 == 0);
	memcpy(hop, data, ip.header_len);
	if (ip.ttl > 0) {
		bt_ipv4_hop(hop);
		CHECK(hop[8] == ip.ttl - 1);
		CHECK(bt_csum_ok(bt_csum_add(0, hop, ip.header_len)));
	}
	/* The same without its options is read as the same. */
	ip.header_len = ip.router_alert ? 24 : 20;
	ip.total_len = (uint16_t)(payload + ip.header_len);
	whole = calloc(1, ip.total_len);
	CHECK(whole != NULL && bt_ipv4_write(whole, &ip) == ip.header_len);
	CHECK(bt_ipv4_read(whole, ip.total_len, &again) == BT_IP_OK);
	CHECK(memcmp(&ip, &again, sizeof(ip)) == 0);
	free(whole);
	return true;
}

static void check_ipv6_fragment(const struct bt_ipv6_ext *ext, uint32_t len)
{
	CHECK(ext->fragment_at + BT_IPV6_FRAGMENT == ext->at && ext->next_at == ext->fragment_at);
	CHECK(ext->offset % 8 == 0 && (ext->offset != 0 || ext->more));
	CHECK(len > ext->at && ext->offset + (len - ext->at) <= 65535);
	CHECK(!ext->more || (len - ext->at) % 8 == 0);
}

static bool check_ipv6(const uint8_t *data, size_t size)
{
	struct bt_ipv6 ip, again;
	struct bt_ipv6_ext ext;
	uint8_t out[BT_IPV6_HEADER], next;
	uint32_t at = BT_IPV6_HEADER, len;

	memset(&ip, 0, sizeof(ip));
	memset(&again, 0, sizeof(again));
	if (bt_ipv6_read(data, size, &ip) != BT_IP_OK)
		return false;
	len = BT_IPV6_HEADER + ip.payload_len;
	CHECK(len <= size && ip.flow < 1u << 20);
	CHECK(ip.src.b[0] != 0xff && !bt_addr_is_v4(&ip.src) && !bt_addr_is_v4(&ip.dst));
	bt_ipv6_write(out, &ip);
	CHECK(memcmp(out, data, sizeof(out)) == 0);
	if (bt_ipv6_walk(data, len, BT_IPV6_HEADER, ip.next, 6, &ext) != BT_IP_OK) {
		CHECK(ext.bad_code <= 3 || ext.bad_code == BT_IPV6_SILENT);
		CHECK(ext.bad_at < len);
		return false;
	}
	CHECK(ext.at >= BT_IPV6_HEADER && ext.at <= len && data[ext.next_at] == ext.proto);
	next = ip.next;
	if (ext.fragment)
		check_ipv6_fragment(&ext, len);
	else
		CHECK(bt_ipv6_skip(data, len, &at, &next) && at == ext.at && next == ext.proto);
	/* What is behind a fragment header is walked from 0. */
	(void)bt_ipv6_walk(data + ext.at, len - ext.at, 0, ext.proto, 0, &ext);
	return true;
}

static bool check_nd(const struct wire_around *x, const uint8_t *data, size_t len)
{
	uint8_t out[BT_ND_MAX];
	struct bt_nd m, again;
	unsigned n;

	if (!bt_nd_read(data, len, &x->src, &x->dst, x->hops, &m))
		return false;
	CHECK(x->hops == 255 && data[1] == 0);
	CHECK(!is_group(&m.target, BT_V6) && !is_group(&m.dst, BT_V6));
	CHECK(!bt_addr_is_v4(&m.target) && !bt_addr_is_v4(&m.dst));
	CHECK(m.mtu == 0 || m.mtu >= 1280);
	CHECK(m.n_prefix <= BT_ND_PREFIXES);
	CHECK(!bt_mac_is_group(&m.source_mac) && !bt_mac_is_group(&m.target_mac));
	CHECK(!(bt_addr_is_any(&x->src) && m.has_source_mac));
	for (unsigned i = 0; i < m.n_prefix; i++) {
		CHECK(m.prefix[i].bits <= 128);
		CHECK(m.prefix[i].preferred_s <= m.prefix[i].valid_s);
		CHECK(!is_group(&m.prefix[i].prefix, BT_V6));
	}
	if (m.type == BT_ND_REDIRECT)
		return true;
	n = bt_nd_write(out, &m);
	CHECK(n <= sizeof(out));
	CHECK(bt_nd_read(out, n, &x->src, &x->dst, x->hops, &again));
	CHECK(memcmp(&m, &again, sizeof(m)) == 0);
	return true;
}

static bool check_quote(enum bt_family family, const uint8_t *data, size_t len)
{
	struct bt_icmp_quote q;

	if (!bt_icmp_quote_read(data, len, family, &q))
		return false;
	CHECK(q.len >= 8 && q.at >= (family == BT_V6 ? 40u : 20u));
	CHECK(q.at <= len && q.len <= len - q.at);
	CHECK(bt_addr_is_v4(&q.src) == (family == BT_V4));
	CHECK(bt_addr_is_v4(&q.dst) == (family == BT_V4));
	return true;
}

static bool check_tcp(const uint8_t *data, size_t len)
{
	enum { ONLY_SYN = BT_TCP_MSS | BT_TCP_WSCALE | BT_TCP_SACK_OK | BT_TCP_FASTOPEN };
	uint8_t out[BT_TCP_HEADER_MAX];
	struct bt_tcp_seg seg, again;
	unsigned n;

	memset(&seg, 0, sizeof(seg));
	memset(&again, 0, sizeof(again));
	if (bt_tcp_read(data, len, &seg) != BT_TCP_OK)
		return false;
	CHECK(seg.header_len >= 20 && seg.header_len <= 60 && seg.header_len <= len);
	CHECK((seg.flags & BT_ACK) || seg.ack.n == 0);
	CHECK((seg.flags & BT_URG) || seg.urgent == 0);
	CHECK((seg.flags & BT_SYN) || !(seg.has & ONLY_SYN));
	CHECK(seg.wscale <= 14 && seg.n_sack <= 4);
	CHECK(!(seg.has & BT_TCP_MSS) == (seg.mss == 0));
	CHECK(!(seg.has & BT_TCP_SACK) == (seg.n_sack == 0));
	CHECK(seg.cookie_len <= 16 && seg.cookie_len % 2 == 0 && seg.cookie_len != 2);
	for (unsigned i = 0; i < seg.n_sack; i++)
		CHECK(bt_seq_lt(seg.sack[i].start, seg.sack[i].end));
	n = bt_tcp_write(out, &seg);
	CHECK(n <= sizeof(out) && n % 4 == 0);
	CHECK(bt_tcp_read(out, n, &again) == BT_TCP_OK);
	CHECK(again.header_len == n);
	if ((seg.flags & BT_SYN) && (seg.has & BT_TCP_SACK)) {
		/* Nobody sends both, and they need not fit. */
		seg.has &= (uint8_t)~BT_TCP_SACK;
		again.has &= (uint8_t)~BT_TCP_SACK;
		seg.n_sack = again.n_sack = 0;
		memset(seg.sack, 0, sizeof(seg.sack));
		memset(again.sack, 0, sizeof(again.sack));
	}
	memset(seg.sack + seg.n_sack, 0, sizeof(seg.sack[0]) * (4u - seg.n_sack));
	seg.header_len = again.header_len;
	CHECK(memcmp(&seg, &again, sizeof(seg)) == 0);
	return true;
}

static bool check_udp(enum bt_family family, const uint8_t *data, size_t len)
{
	uint8_t out[BT_UDP_HEADER];
	struct bt_udp_head u;

	if (bt_udp_read(data, len, family, &u) != BT_UDP_OK)
		return false;
	CHECK(u.len >= BT_UDP_HEADER && u.len <= len);
	CHECK(u.checksum || family == BT_V4);
	bt_udp_write(out, &u);
	CHECK(memcmp(out, data, 6) == 0);
	return true;
}

static bool check_one(enum wire_format f, uint8_t byte, const uint8_t *data, size_t len)
{
	struct wire_around x = wire_around(byte);

	switch (f) {
	case WIRE_ARP:
		return check_arp(data, len);
	case WIRE_ETHER:
		return check_ether(data, len);
	case WIRE_ICMP:
		return check_icmp(WIRE_FAMILY(byte), data, len);
	case WIRE_IGMP:
		return check_igmp(data, len);
	case WIRE_IPV4:
		return check_ipv4(data, len);
	case WIRE_IPV6:
		return check_ipv6(data, len);
	case WIRE_MLD:
		return check_mld(&x, data, len);
	case WIRE_ND:
		return check_nd(&x, data, len);
	case WIRE_QUOTE:
		return check_quote(WIRE_FAMILY(byte), data, len);
	case WIRE_TCP:
		return check_tcp(data, len);
	case WIRE_UDP:
		return check_udp(WIRE_FAMILY(byte), data, len);
	case WIRE_FORMATS:
		break;
	}
	return false;
}

bool wire_check(enum wire_format f, const uint8_t *data, size_t len)
{
	uint8_t *exact;
	bool accepted;

	if (len == 0)
		return false;
	/* Exactly as large as said, so that a sanitizer sees each byte read beyond it. */
	exact = malloc(len - 1 > 0 ? len - 1 : 1);
	CHECK(exact != NULL);
	memcpy(exact, data + 1, len - 1);
	accepted = check_one(f, data[0], exact, len - 1);
	free(exact);
	return accepted;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random legal messages: written by lib/wire where it has a writer, by hand otherwise, and read
 * again: the values must be those that were put in.
 */
#include "wire.h"

#include "../../lib/base/bytes.h"
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

static uint64_t *rng;

static uint32_t rnd(void)
{
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*rng >> 32);
}

static uint32_t below(uint32_t n)
{
	return rnd() % n;
}

/* Often an extreme. */
static uint32_t value(uint32_t most)
{
	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return most;
	default:
		return most == UINT32_MAX ? rnd() : below(most + 1);
	}
}

static void fill(void *p, size_t len)
{
	uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)rnd();
}

static struct bt_mac station(void)
{
	struct bt_mac m;

	fill(&m, sizeof(m));
	m.b[0] &= 0xfe;
	return m;
}

static struct bt_addr host4(void)
{
	return bt_addr_v4((1 + below(126)) << 24 | (rnd() & 0xffffff));
}

static struct bt_addr group4(void)
{
	return bt_addr_v4(0xe0000000 | (rnd() & 0xfffffff));
}

static struct bt_addr host6(void)
{
	struct bt_addr a;

	fill(&a, sizeof(a));
	a.b[0] = 0xfd;
	return a;
}

static struct bt_addr group6(void)
{
	struct bt_addr a = host6();

	a.b[0] = 0xff;
	a.b[1] = 5;
	return a;
}

static size_t make_arp(uint8_t *data)
{
	struct bt_arp a = {.op = (uint8_t)(1 + below(2)),
			   .sender_mac = station(),
			   .target_mac = station(),
			   .sender = below(4) ? host4() : bt_addr_v4(0),
			   .target = host4()},
		      got;

	bt_arp_write(data, &a);
	CHECK(bt_arp_read(data, BT_ARP_BYTES, &got) && memcmp(&a, &got, sizeof(a)) == 0);
	return BT_ARP_BYTES;
}

static size_t make_ether(uint8_t *data)
{
	struct bt_ether e = {station(), station(), (uint16_t)rnd()}, got;

	bt_ether_write(data, &e);
	CHECK(bt_ether_read(data, BT_ETHER_HEADER, &got) && memcmp(&e, &got, sizeof(e)) == 0);
	return BT_ETHER_HEADER;
}

static size_t make_icmp(enum bt_family family, uint8_t *data)
{
	struct bt_icmp m, got;

	memset(&m, 0, sizeof(m));
	m.kind = (uint8_t)below(BT_ICMP_PARAMETER + 1);
	m.type = 200;
	m.code = (uint8_t)below(4);
	if (m.kind == BT_ICMP_ECHO || m.kind == BT_ICMP_ECHO_REPLY) {
		m.id = (uint16_t)value(65535);
		m.seq = (uint16_t)value(65535);
	} else if (m.kind == BT_ICMP_TOO_BIG) {
		m.mtu = value(family == BT_V6 ? UINT32_MAX : 65535);
		m.code = family == BT_V6 ? 0 : BT_ICMP4_FRAG_NEEDED;
	} else if (m.kind == BT_ICMP_PARAMETER) {
		m.pointer = value(family == BT_V6 ? UINT32_MAX : 255);
	}
	bt_icmp_write(data, family, &m);
	CHECK(bt_icmp_read(data, BT_ICMP_HEADER, family, &got));
	if (m.kind == BT_ICMP_OTHER)
		CHECK(got.type == 200);
	CHECK(bt_icmp_is_error(family, got.type) == (m.kind >= BT_ICMP_UNREACHABLE));
	m.type = got.type;
	CHECK(memcmp(&m, &got, sizeof(m)) == 0);
	return BT_ICMP_HEADER;
}

static size_t make_igmp(uint8_t *data)
{
	static const enum bt_igmp_type types[] = {BT_IGMP_REPORT1, BT_IGMP_REPORT2, BT_IGMP_LEAVE};
	uint16_t n = (uint16_t)below(20);
	struct bt_group_record records[20];
	struct bt_addr group = group4();
	enum bt_igmp_type type = types[below(3)];
	struct bt_igmp m;
	size_t len;

	switch (below(4)) {
	case 0: /* RFC 2236 2, RFC 3376 4.1 */
		len = below(3) ? 12u + 4u * n : 8;
		memset(data, 0, len);
		data[0] = 0x11;
		data[1] = (uint8_t)below(128);
		if (below(3))
			memcpy(data + 4, group.b + 12, 4);
		else
			n = 0, len = len < 12 ? len : 12;
		if (len >= 12) {
			data[8] = 8 | 2;
			data[9] = (uint8_t)below(128);
			data[11] = (uint8_t)n;
		}
		CHECK(bt_igmp_read(data, len, &m) && m.type == BT_IGMP_QUERY);
		CHECK(memcmp(m.query.group.b + 12, data + 4, 4) == 0);
		CHECK(m.query.version == (len >= 12 ? 3 : data[1] ? 2 : 1));
		CHECK(m.query.max_resp_ms == (m.query.version == 1 ? 10000 : data[1] * 100u));
		CHECK(len < 12 || (m.query.suppress && m.query.robustness == 2 &&
				   m.query.n_sources == n && m.query.interval_s == data[9]));
		return len;
	case 1:
	case 2:
		bt_igmp_write(data, type, &group);
		CHECK(bt_igmp_read(data, 8, &m) && m.type == type && bt_addr_eq(&m.group, &group));
		return 8;
	default:
		for (unsigned i = 0; i < n; i++)
			records[i] = (struct bt_group_record){(uint8_t)(1 + below(6)), group4()};
		len = bt_igmp_report3_write(data, records, n);
		CHECK(bt_igmp_read(data, len, &m) && m.type == BT_IGMP_REPORT3);
		CHECK(m.n_records == n && len == 8u + 8u * n);
		return len;
	}
}

static size_t make_mld(uint8_t *byte, uint8_t *data)
{
	uint16_t n = (uint16_t)below(20);
	struct bt_group_record records[20];
	struct bt_addr group = group6();
	struct wire_around x;
	struct bt_mld m;
	size_t len;

	*byte = 0x20 | 1; /* from a link-local address, 1 hop, router alert */
	x = wire_around(*byte);
	switch (below(3)) {
	case 0: /* RFC 2710 3, RFC 3810 5.1 */
		len = below(3) ? 28u + 16u * n : 24;
		memset(data, 0, len);
		data[0] = 130;
		bt_put16(data + 4, (uint16_t)below(32768));
		if (below(3))
			memcpy(data + 8, group.b, 16);
		else
			n = 0, len = len < 28 ? len : 28;
		if (len >= 28) {
			data[24] = 8 | 3;
			data[25] = (uint8_t)below(128);
			data[27] = (uint8_t)n;
		}
		CHECK(bt_mld_read(data, len, &x.src, x.hops, x.router_alert, &m));
		CHECK(m.query.version == (len >= 28 ? 2 : 1));
		CHECK(m.query.max_resp_ms == bt_get16(data + 4));
		CHECK(memcmp(m.query.group.b, data + 8, 16) == 0);
		CHECK(len < 28 || (m.query.suppress && m.query.robustness == 3 &&
				   m.query.n_sources == n && m.query.interval_s == data[25]));
		return len;
	case 1:
		*byte = 0x20; /* from :: */
		x = wire_around(*byte);
		bt_mld_write(data, below(2) ? BT_MLD_REPORT1 : BT_MLD_DONE, &group);
		CHECK(bt_mld_read(data, 24, &x.src, x.hops, x.router_alert, &m));
		CHECK(m.type == data[0] && bt_addr_eq(&m.group, &group));
		return 24;
	default:
		for (unsigned i = 0; i < n; i++)
			records[i] = (struct bt_group_record){(uint8_t)(1 + below(6)), group6()};
		len = bt_mld_report2_write(data, records, n);
		CHECK(bt_mld_read(data, len, &x.src, x.hops, x.router_alert, &m));
		CHECK(m.n_records == n && len == 8u + 20u * n);
		return len;
	}
}

static size_t make_ipv4(uint8_t *data)
{
	struct bt_ipv4 ip, got;
	uint32_t payload = below(200);

	memset(&ip, 0, sizeof(ip));
	memset(&got, 0, sizeof(got));
	ip.tos = (uint8_t)value(255);
	ip.ttl = (uint8_t)value(255);
	ip.proto = (uint8_t)value(255);
	ip.id = (uint16_t)value(65535);
	ip.df = below(2);
	ip.router_alert = below(2);
	ip.header_len = ip.router_alert ? 24 : 20;
	ip.src = host4();
	ip.dst = below(2) ? host4() : group4();
	if (below(3) == 0) {
		payload = payload / 8 * 8 + 8;
		ip.offset = (uint16_t)(value(65288 / 8) * 8);
		ip.mf = below(2);
	}
	ip.total_len = (uint16_t)(ip.header_len + payload);
	CHECK(bt_ipv4_write(data, &ip) == ip.header_len);
	fill(data + ip.header_len, payload);
	CHECK(bt_ipv4_read(data, ip.total_len, &got) == BT_IP_OK);
	CHECK(memcmp(&ip, &got, sizeof(ip)) == 0);
	return ip.total_len;
}

/* An extension header of a random kind at p, before `next`; its length, and its kind in *kind. */
static unsigned make_extension(uint8_t *p, uint8_t next, uint8_t *kind)
{
	unsigned len = 8;

	switch (below(4)) {
	case 0:
		*kind = BT_IPPROTO_ROUTING;
		memset(p, 0, 24);
		p[0] = next;
		p[1] = 2;
		return 24;
	case 1:
		*kind = BT_IPPROTO_FRAGMENT;
		bt_ipv6_fragment_write(p, next, 0, false, rnd());
		return 8;
	case 2: /* one unknown option that may be skipped */
		len = 16;
		break;
	default:
		break;
	}
	*kind = BT_IPPROTO_DSTOPTS;
	memset(p, 0, len);
	p[0] = next;
	p[1] = (uint8_t)(len / 8 - 1);
	p[2] = len == 16 ? 0x1e : 1;
	p[3] = (uint8_t)(len - 4);
	return len;
}

static size_t make_ipv6(uint8_t *data)
{
	struct bt_ipv6 ip, got;
	struct bt_ipv6_ext ext;
	uint8_t chain[256], next = (uint8_t)(below(2) ? 6 : 17);
	uint32_t used = sizeof(chain), headers = below(6), payload = 20 + below(60) * 4, len;
	uint32_t id = rnd();
	uint16_t offset = (uint16_t)(below(2) ? 0 : (1 + below(8000)) * 8);
	bool fragment = below(3) == 0, alert = below(3) == 0;

	memset(&ip, 0, sizeof(ip));
	memset(&got, 0, sizeof(got));
	if (fragment) {
		payload = (payload + 7) / 8 * 8;
		used -= BT_IPV6_FRAGMENT;
		bt_ipv6_fragment_write(chain + used, next, offset, true, id);
		next = BT_IPPROTO_FRAGMENT;
	}
	while (headers-- > 0) { /* from the last to the first */
		uint8_t one[24], kind;
		unsigned n = make_extension(one, next, &kind);

		used -= n;
		memcpy(chain + used, one, n);
		next = kind;
	}
	if (alert) {
		used -= BT_IPV6_ROUTER_ALERT;
		bt_ipv6_router_alert_write(chain + used, next);
		next = BT_IPPROTO_HOPOPTS;
	}
	ip.tos = (uint8_t)value(255);
	ip.hops = (uint8_t)value(255);
	ip.flow = value((1 << 20) - 1);
	ip.next = next;
	ip.payload_len = (uint16_t)(sizeof(chain) - used + payload);
	ip.src = host6();
	ip.dst = below(2) ? host6() : group6();
	len = BT_IPV6_HEADER + ip.payload_len;
	bt_ipv6_write(data, &ip);
	memcpy(data + BT_IPV6_HEADER, chain + used, sizeof(chain) - used);
	fill(data + len - payload, payload);
	CHECK(bt_ipv6_read(data, len, &got) == BT_IP_OK && memcmp(&ip, &got, sizeof(ip)) == 0);
	CHECK(bt_ipv6_walk(data, len, BT_IPV6_HEADER, ip.next, 6, &ext) == BT_IP_OK);
	CHECK(ext.at == len - payload && ext.fragment == fragment && ext.router_alert == alert);
	CHECK(ext.proto == 6 || ext.proto == 17);
	if (fragment)
		CHECK(ext.offset == offset && ext.more && ext.id == id);
	return len;
}

static size_t make_nd(uint8_t *byte, uint8_t *data)
{
	struct bt_nd m, got;
	struct wire_around x;
	unsigned len;

	*byte = 0x10 | 1 | 8; /* from a link-local address to one, 255 hops */
	memset(&m, 0, sizeof(m));
	m.type = (uint8_t)(BT_ND_RS + below(4));
	if (m.type == BT_ND_NS || m.type == BT_ND_NA)
		m.target = host6();
	if (m.type == BT_ND_NS && below(3) == 0) {
		*byte = 0x10 | 4; /* from :: to a solicited-node address */
	} else if (m.type != BT_ND_NA) {
		m.has_source_mac = below(2);
	} else {
		m.router = below(2);
		m.solicited = below(2);
		m.force = below(2);
		m.has_target_mac = below(2);
	}
	if (m.has_source_mac)
		m.source_mac = station();
	if (m.has_target_mac)
		m.target_mac = station();
	if (m.type == BT_ND_RA) {
		m.hops = (uint8_t)value(255);
		m.managed = below(2);
		m.other = below(2);
		m.router_s = (uint16_t)value(65535);
		m.reachable_ms = value(UINT32_MAX);
		m.retrans_ms = value(UINT32_MAX);
		m.mtu = below(2) ? 1280 + value(100000) : 0;
		m.n_prefix = (uint8_t)below(BT_ND_PREFIXES + 1);
	}
	for (unsigned i = 0; i < m.n_prefix; i++) {
		struct bt_nd_prefix *p = &m.prefix[i];

		p->bits = (uint8_t)value(128);
		p->prefix = host6();
		for (unsigned k = p->bits; k < 128; k++)
			p->prefix.b[k / 8] &= (uint8_t) ~(0x80 >> k % 8);
		p->on_link = below(2);
		p->autonomous = below(2);
		p->valid_s = value(UINT32_MAX);
		p->preferred_s = value(p->valid_s);
	}
	x = wire_around(*byte);
	len = bt_nd_write(data, &m);
	CHECK(len <= BT_ND_MAX);
	CHECK(bt_nd_read(data, len, &x.src, &x.dst, x.hops, &got));
	CHECK(memcmp(&m, &got, sizeof(m)) == 0);
	return len;
}

static size_t make_quote(enum bt_family family, uint8_t *data)
{
	struct bt_icmp_quote q;
	size_t len;

	if (family == BT_V6) {
		struct bt_ipv6_ext ext;

		do {
			len = make_ipv6(data);
			CHECK(bt_ipv6_walk(data, (uint32_t)len, 40, data[6], 6, &ext) == BT_IP_OK);
		} while (ext.fragment && ext.offset != 0);
		CHECK(bt_icmp_quote_read(data, len, family, &q));
		CHECK(q.at == ext.at && q.proto == ext.proto && q.len == len - q.at);
		CHECK(memcmp(q.src.b, data + 8, 16) == 0 && memcmp(q.dst.b, data + 24, 16) == 0);
		return len;
	}
	do
		len = make_ipv4(data);
	while (len < 32 || (bt_get16(data + 6) & 0x1fff) != 0);
	CHECK(bt_icmp_quote_read(data, len, family, &q));
	CHECK(q.at == data[0] % 16 * 4u && q.proto == data[9] && q.len == len - q.at);
	CHECK(memcmp(q.src.b + 12, data + 12, 4) == 0 && memcmp(q.dst.b + 12, data + 16, 4) == 0);
	return len;
}

static size_t make_tcp(uint8_t *data)
{
	struct bt_tcp_seg seg, got;

	memset(&seg, 0, sizeof(seg));
	memset(&got, 0, sizeof(got));
	seg.sport = (uint16_t)value(65535);
	seg.dport = (uint16_t)value(65535);
	seg.seq = bt_seq(value(UINT32_MAX));
	seg.flags = (uint8_t)rnd();
	seg.ack = bt_seq(seg.flags & BT_ACK ? value(UINT32_MAX) : 0);
	seg.window = (uint16_t)value(65535);
	seg.urgent = (uint16_t)(seg.flags & BT_URG ? value(65535) : 0);
	seg.has = (uint8_t)(rnd() & BT_TCP_TS);
	if (seg.flags & BT_SYN)
		seg.has |= (uint8_t)(rnd() & (BT_TCP_MSS | BT_TCP_WSCALE | BT_TCP_SACK_OK |
					      BT_TCP_FASTOPEN));
	else
		seg.has |= (uint8_t)(rnd() & BT_TCP_SACK);
	if (seg.has & BT_TCP_MSS)
		seg.mss = (uint16_t)(1 + value(65534));
	if (seg.has & BT_TCP_WSCALE)
		seg.wscale = (uint8_t)value(14);
	if (seg.has & BT_TCP_TS) {
		seg.ts_val = value(UINT32_MAX);
		seg.ts_ecr = value(UINT32_MAX);
	}
	if (seg.has & BT_TCP_FASTOPEN) {
		seg.cookie_len = (uint8_t)(below(2) ? 0 : 4 + 2 * value(6));
		fill(seg.cookie, seg.cookie_len);
	}
	if (seg.has & BT_TCP_SACK) {
		seg.n_sack = (uint8_t)(1 + below(seg.has & BT_TCP_TS ? 3 : 4));
		for (unsigned i = 0; i < seg.n_sack; i++) {
			seg.sack[i].start = bt_seq(value(UINT32_MAX));
			seg.sack[i].end = bt_seq_add(seg.sack[i].start, 1 + value(0x7ffffffe));
		}
	}
	seg.header_len = (uint8_t)bt_tcp_write(data, &seg);
	CHECK(bt_tcp_read(data, seg.header_len, &got) == BT_TCP_OK);
	CHECK(memcmp(&seg, &got, sizeof(seg)) == 0);
	return seg.header_len;
}

static size_t make_udp(enum bt_family family, uint8_t *data)
{
	struct bt_udp_head u = {(uint16_t)value(65535), (uint16_t)value(65535),
				(uint16_t)(8 + below(100)), true},
			   got;

	bt_udp_write(data, &u);
	fill(data + 8, u.len - 8u);
	CHECK(bt_udp_read(data, u.len, family, &got) ==
	      (family == BT_V4 ? BT_UDP_OK : BT_UDP_NO_CHECKSUM));
	CHECK(!got.checksum);
	bt_udp_csum_put(data + 6, value(65535)); /* never stored as 0 */
	CHECK(bt_udp_read(data, u.len, family, &got) == BT_UDP_OK);
	CHECK(got.sport == u.sport && got.dport == u.dport && got.len == u.len && got.checksum);
	return u.len;
}

size_t wire_make(enum wire_format f, uint64_t *random, uint8_t data[WIRE_MAX])
{
	uint8_t *message = data + 1;
	enum bt_family family;

	rng = random;
	data[0] = (uint8_t)below(2);
	family = WIRE_FAMILY(data[0]);
	switch (f) {
	case WIRE_ARP:
		return 1 + make_arp(message);
	case WIRE_ETHER:
		return 1 + make_ether(message);
	case WIRE_ICMP:
		return 1 + make_icmp(family, message);
	case WIRE_IGMP:
		return 1 + make_igmp(message);
	case WIRE_IPV4:
		return 1 + make_ipv4(message);
	case WIRE_IPV6:
		return 1 + make_ipv6(message);
	case WIRE_MLD:
		return 1 + make_mld(data, message);
	case WIRE_ND:
		return 1 + make_nd(data, message);
	case WIRE_QUOTE:
		return 1 + make_quote(family, message);
	case WIRE_TCP:
		return 1 + make_tcp(message);
	case WIRE_UDP:
		return 1 + make_udp(family, message);
	case WIRE_FORMATS:
		break;
	}
	abort();
}

bool wire_may_end(enum wire_format f, const uint8_t *data, size_t len, size_t cut)
{
	static const uint8_t fixed[] = {8, 16, 24, 24};
	struct bt_icmp_quote q;
	size_t at;

	if (cut == len)
		return true;
	switch (f) {
	case WIRE_IGMP: /* a query of version 3 begins as one of version 2 */
		return data[1] == 0x11 && cut == 9;
	case WIRE_MLD:
		return data[1] == 130 && cut == 25;
	case WIRE_ND: /* any number of whole options */
		for (at = 1u + fixed[data[1] - BT_ND_RS]; at < cut; at += data[at + 1] * 8u)
			;
		return at == cut;
	case WIRE_QUOTE: /* routers cut what they quote */
		if (!bt_icmp_quote_read(data + 1, len - 1, WIRE_FAMILY(data[0]), &q))
			return false;
		return cut >= 1 + q.at + 8;
	default:
		return false;
	}
}

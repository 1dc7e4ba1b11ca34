/* SPDX-License-Identifier: Apache-2.0 */
/* lib/wire: the rules of the RFCs one by one. Random messages: wire_model.c. */
#include "wire_help.h"

/* ---- TCP ---- */

struct tcp_case {
	const char *options; /* a multiple of 4 bytes */
	uint8_t flags;
	enum bt_tcp_bad bad;
	uint8_t has;
};

static const struct tcp_case tcp_cases[] = {
	/* RFC 9293 MUST-4, MUST-5: end and no-operation in any segment, options anywhere */
	{"", BT_ACK, BT_TCP_OK, 0},
	{"01010101", BT_ACK, BT_TCP_OK, 0},
	{"00ffffff", BT_ACK, BT_TCP_OK, 0},
	{"0101 080a 00000001 00000002", BT_ACK, BT_TCP_OK, BT_TCP_TS},
	{"080a 00000001 00000002 0101", BT_ACK, BT_TCP_OK, BT_TCP_TS},
	{"01 080a 00000001 00000002 01", BT_ACK, BT_TCP_OK, BT_TCP_TS},
	{"00 01 080a 00000001 00000002", BT_ACK, BT_TCP_OK, 0},
	/* RFC 9293 MUST-6: unknown ones are ignored */
	{"fd04dead 0101 080a 00000001 00000002", BT_ACK, BT_TCP_OK, BT_TCP_TS},
	{"1e02 0402", BT_SYN, BT_TCP_OK, BT_TCP_SACK_OK},
	/* RFC 9293 MUST-7: illegal lengths, zero among them */
	{"02000000", BT_SYN, BT_TCP_BAD_OPTION, 0},
	{"02010000", BT_SYN, BT_TCP_BAD_OPTION, 0},
	{"fd000000", BT_ACK, BT_TCP_BAD_OPTION, 0},
	{"02050000", BT_SYN, BT_TCP_BAD_OPTION, 0},
	{"010101fd", BT_ACK, BT_TCP_BAD_OPTION, 0},
	{"0101 080b 00000001 00000002", BT_ACK, BT_TCP_BAD_OPTION, 0},
	/* a length that is another kind's */
	{"0203 00 01 080a0000000100000002 0101", BT_SYN, BT_TCP_OK, BT_TCP_TS},
	{"0809 00000001000000 01 01 01", BT_ACK, BT_TCP_OK, 0},
	{"0403 00 00", BT_SYN, BT_TCP_OK, 0},
	/* only on a SYN */
	{"020405b4", BT_SYN | BT_ACK, BT_TCP_OK, BT_TCP_MSS},
	{"020405b4", BT_ACK, BT_TCP_OK, 0},
	{"02040000", BT_SYN, BT_TCP_OK, 0},
	{"01030307", BT_SYN, BT_TCP_OK, BT_TCP_WSCALE},
	{"01030307", BT_ACK, BT_TCP_OK, 0},
	{"01010402", BT_ACK, BT_TCP_OK, 0},
	/* SACK: RFC 2018 3 */
	{"0101 050a 00000001 00000002", BT_ACK, BT_TCP_OK, BT_TCP_SACK},
	{"0101 050a 00000002 00000001", BT_ACK, BT_TCP_OK, 0},
	{"0101 050a 00000002 00000002", BT_ACK, BT_TCP_OK, 0},
	{"0101 0502", BT_ACK, BT_TCP_OK, 0},
	{"0101 0506 00000001", BT_ACK, BT_TCP_OK, 0},
	/* Fast Open: RFC 7413 4.1.1 */
	{"0101 2202", BT_SYN, BT_TCP_OK, BT_TCP_FASTOPEN},
	{"0101 2206 00000001", BT_SYN, BT_TCP_OK, BT_TCP_FASTOPEN},
	{"2204 0001", BT_SYN, BT_TCP_OK, 0},
	{"01 2207 0000000102", BT_SYN, BT_TCP_OK, 0},
	{"0101 2202", BT_ACK, BT_TCP_OK, 0},
};

static void tcp_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tcp_cases) / sizeof(tcp_cases[0]); i++) {
		const struct tcp_case *c = &tcp_cases[i];
		uint8_t p[60] = {0};
		size_t n = bytes(p + 20, c->options);
		struct bt_tcp_seg seg;

		if (n % 4 != 0)
			fail_msg("case %zu is not well made", i);
		p[12] = (uint8_t)((20 + n) / 4 << 4);
		p[13] = c->flags;
		if (bt_tcp_read(p, 20 + n, &seg) != c->bad || (!c->bad && seg.has != c->has))
			fail_msg("%s", c->options);
	}
}

static void tcp_values(void **state)
{
	uint8_t p[60] = {0};
	struct bt_tcp_seg seg = {.has = BT_TCP_TS | BT_TCP_SACK, .n_sack = 4};

	(void)state;
	/* RFC 7323 2.3: a shift above 14 is 14; the first of two counts */
	p[12] = 7 << 4;
	p[13] = BT_SYN;
	bytes(p + 20, "0303ff 030301 0101");
	assert_int_equal(bt_tcp_read(p, 28, &seg), BT_TCP_OK);
	assert_int_equal(seg.wscale, 14);
	bytes(p + 20, "020401f4 020405b4");
	assert_int_equal(bt_tcp_read(p, 28, &seg), BT_TCP_OK);
	assert_int_equal(seg.mss, 500);
	/* fields that a missing flag makes void */
	p[13] = 0;
	bytes(p + 8, "01020304");
	bytes(p + 18, "0506");
	assert_int_equal(bt_tcp_read(p, 28, &seg), BT_TCP_OK);
	assert_true(seg.ack.n == 0 && seg.urgent == 0);
	p[13] = BT_ACK | BT_URG;
	assert_int_equal(bt_tcp_read(p, 28, &seg), BT_TCP_OK);
	assert_true(seg.ack.n == 0x01020304 && seg.urgent == 0x0506);
	/* lengths: RFC 9293 3.1, data offset */
	p[12] = 4 << 4;
	assert_int_equal(bt_tcp_read(p, 60, &seg), BT_TCP_SHORT);
	p[12] = 15 << 4;
	assert_int_equal(bt_tcp_read(p, 59, &seg), BT_TCP_SHORT);
	assert_int_equal(bt_tcp_read(p, 19, &seg), BT_TCP_SHORT);
	/* as many SACK blocks as fit: three beside a timestamp (RFC 2018 3), four alone */
	memset(&seg, 0, sizeof(seg));
	seg.has = BT_TCP_TS | BT_TCP_SACK;
	seg.n_sack = 4;
	for (uint32_t i = 0; i < 4; i++)
		seg.sack[i] = (struct bt_sack){bt_seq(10 * i), bt_seq(10 * i + 5)};
	assert_int_equal(bt_tcp_write(p, &seg), 60);
	assert_int_equal(bt_tcp_read(p, 60, &seg), BT_TCP_OK);
	assert_int_equal(seg.n_sack, 3);
	seg.has = BT_TCP_SACK;
	seg.n_sack = 4;
	assert_int_equal(bt_tcp_write(p, &seg), 56);
	assert_int_equal(bt_tcp_read(p, 60, &seg), BT_TCP_OK);
	assert_int_equal(seg.n_sack, 4);
	/* none, where there are none or nothing is left for them */
	seg.n_sack = 0;
	assert_int_equal(bt_tcp_write(p, &seg), 20);
	seg.n_sack = 1;
	seg.flags = BT_SYN;
	seg.cookie_len = 16;
	seg.has = BT_TCP_SACK | BT_TCP_TS | BT_TCP_MSS | BT_TCP_WSCALE | BT_TCP_FASTOPEN;
	assert_int_equal(bt_tcp_write(p, &seg), 60);
	assert_int_equal(p[40], 34);
}

/* ---- IPv4 ---- */

struct ipv4_case {
	const char *header; /* its checksum is put in; 40 bytes follow it */
	enum bt_ip_bad bad;
	uint8_t at; /* of bad options: what Linux points to; 0: it is silent */
};

static const struct ipv4_case ipv4_cases[] = {
	{"45000028 0001 0000 40 06 0000 0a000001 0a000002", BT_IP_OK, 0},
	{"65000028 0001 0000 40 06 0000 0a000001 0a000002", BT_IP_VERSION, 0},
	{"44000028 0001 0000 40 06 0000 0a000001 0a000002", BT_IP_HEADER, 0},
	{"45000013 0001 0000 40 06 0000 0a000001 0a000002", BT_IP_HEADER, 0},
	{"4500003d 0001 0000 40 06 0000 0a000001 0a000002", BT_IP_HEADER, 0},
	/* RFC 1122 3.2.1.3: a source is one host */
	{"45000028 0001 0000 40 06 0000 e0000001 0a000002", BT_IP_SOURCE, 0},
	{"45000028 0001 0000 40 06 0000 ffffffff 0a000002", BT_IP_SOURCE, 0},
	{"45000028 0001 0000 40 06 0000 00000000 ffffffff", BT_IP_OK, 0},
	/* fragments: whole eights but the last, no end beyond 65,535 */
	{"4500002c 0001 2000 40 06 0000 0a000001 0a000002", BT_IP_OK, 0},
	{"4500002b 0001 2000 40 06 0000 0a000001 0a000002", BT_IP_FRAGMENT, 0},
	{"4500002b 0001 0001 40 06 0000 0a000001 0a000002", BT_IP_OK, 0},
	{"45000014 0001 0001 40 06 0000 0a000001 0a000002", BT_IP_FRAGMENT, 0},
	{"4500001c 0001 1ffc 40 06 0000 0a000001 0a000002", BT_IP_OK, 0},
	{"4500001d 0001 1ffc 40 06 0000 0a000001 0a000002", BT_IP_OK, 0},
	{"45000020 0001 1ffc 40 06 0000 0a000001 0a000002", BT_IP_FRAGMENT, 0},
	/* options: no-operation and end, unknown, record route, time stamp, router alert */
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 01010100", BT_IP_OK, 0},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 00070000", BT_IP_OK, 0},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 9e04beef", BT_IP_OK, 0},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 0707040000000000", BT_IP_OK, 0},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 0707030000000000", BT_IP_OPTIONS, 22},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 0703040703040000", BT_IP_OPTIONS, 23},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 4408050000000000", BT_IP_OK, 0},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 4408040000000000", BT_IP_OPTIONS, 22},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 94040000", BT_IP_OK, 0},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 94030000", BT_IP_OPTIONS, 21},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 9406000000000000", BT_IP_OK, 0},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 0702000000000000", BT_IP_OPTIONS, 21},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 4403050000000000", BT_IP_OPTIONS, 21},
	/* a length of 0 or 1, beyond the header, or missing */
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 9e000000", BT_IP_OPTIONS, 20},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 9e010000", BT_IP_OPTIONS, 20},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 9e050000", BT_IP_OPTIONS, 20},
	{"46000028 0001 0000 40 06 0000 0a000001 0a000002 0101019e", BT_IP_OPTIONS, 23},
	/* source routes, as with accept_source_route 0 */
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 8307040a00000300", BT_IP_OPTIONS, 0},
	{"47000028 0001 0000 40 06 0000 0a000001 0a000002 8907040a00000300", BT_IP_OPTIONS, 0},
};

static void ipv4_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ipv4_cases) / sizeof(ipv4_cases[0]); i++) {
		uint8_t p[100] = {0};
		size_t n = bytes(p, ipv4_cases[i].header);
		struct bt_ipv4 ip;

		bt_csum_put(p + 10, bt_csum_add(0, p, n));
		if (bt_ipv4_read(p, n + 40, &ip) != ipv4_cases[i].bad)
			fail_msg("%s", ipv4_cases[i].header);
		if (ipv4_cases[i].bad == BT_IP_OPTIONS && ip.bad_at != ipv4_cases[i].at)
			fail_msg("%s: at %u", ipv4_cases[i].header, ip.bad_at);
		p[11] ^= 1; /* RFC 1122 3.2.1.2 */
		if (ipv4_cases[i].bad != BT_IP_VERSION && ipv4_cases[i].bad != BT_IP_HEADER)
			assert_int_equal(bt_ipv4_read(p, n + 40, &ip), BT_IP_CHECKSUM);
	}
}

/* ---- IPv6 ---- */

/* The options, routing headers, refused fragments and atomic ones were sent to Linux 6.18 as well,
 * with an echo request behind or, of a fragment, alone: it answered those that are good, and the
 * others by the same codes and offsets (but the jumbogram, which it knows). */

struct ipv6_case {
	uint8_t next;
	const char *rest; /* what follows the fixed header */
	enum bt_ip_bad bad;
	uint8_t code; /* of Parameter Problem; of a good one the protocol */
	uint16_t at;  /* what it points to; of a good one where the payload begins */
	bool multicast_too;
};

#define SILENT BT_IPV6_SILENT

static const struct ipv6_case ipv6_cases[] = {
	{6, "", BT_IP_OK, 6, 40, 0},
	{59, "", BT_IP_OK, 59, 40, 0},
	{60, "3b00010400000000", BT_IP_OK, 59, 48, 0},
	{0, "3b00010400000000", BT_IP_OK, 59, 48, 0},
	/* headers in any order, several times: RFC 8200 4.1 */
	{43, "3c00000000000000 3c00010400000000 3b00010400000000", BT_IP_OK, 59, 64, 0},
	/* hop-by-hop options only first */
	{60, "0000010400000000 3b00010400000000", BT_IP_OPTIONS, 1, 40, 0},
	/* a header that is cut, or says it is longer than the packet */
	{60, "3b000104", BT_IP_OPTIONS, SILENT, 0, 0},
	{60, "3b01010400000000", BT_IP_OPTIONS, SILENT, 0, 0},
	{43, "3b02000000000000", BT_IP_OPTIONS, SILENT, 0, 0},
	/* an option that ends beyond its header */
	{60, "3b00010500000000", BT_IP_OPTIONS, SILENT, 0, 0},
	{60, "3b00000000000001", BT_IP_OPTIONS, SILENT, 0, 0},
	/* unknown options: RFC 8200 4.2, by their two highest bits */
	{60, "3b001e0411111111", BT_IP_OK, 59, 48, 0},
	{60, "3b005e0411111111", BT_IP_OPTIONS, SILENT, 0, 0},
	{60, "3b009e0411111111", BT_IP_OPTIONS, 2, 42, 1},
	{60, "3b00de0411111111", BT_IP_OPTIONS, 2, 42, 0},
	{0, "3b00c20400010000", BT_IP_OPTIONS, 2, 42, 0}, /* jumbogram */
	/* padding: at most 7 bytes, of zeros */
	{60, "3b00000000000000", BT_IP_OK, 59, 48, 0},
	{60, "3b01 0105 0000000000 1e05 1111111111", BT_IP_OK, 59, 56, 0},
	{60, "3b01 0106 000000000000 1e04 11111111", BT_IP_OPTIONS, SILENT, 0, 0},
	{60, "3b01 00 0105 0000000000 1e04 11111111", BT_IP_OPTIONS, SILENT, 0, 0},
	{60, "3b00010400000001", BT_IP_OPTIONS, SILENT, 0, 0},
	/* at most 8 options */
	{60, "3b02 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 0104 00000000", BT_IP_OK, 59, 64, 0},
	{60, "3b02 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 1e00 0102 0000", BT_IP_OPTIONS, SILENT,
	 0, 0},
	/* router alert: of 2 bytes; nothing special among destination options */
	{0, "3b00050200000100", BT_IP_OK, 59, 48, 0},
	{0, "3b00050300000000", BT_IP_OPTIONS, SILENT, 0, 0},
	{60, "3b00050300000000", BT_IP_OK, 59, 48, 0},
	/* routing headers: RFC 8200 4.4, RFC 5095 */
	{43, "3b00000000000000", BT_IP_OK, 59, 48, 0},
	{43, "3b00000100000000", BT_IP_OPTIONS, 0, 42, 0},
	{43, "3b00fd0100000000", BT_IP_OPTIONS, 0, 42, 0},
	/* fragments: RFC 8200 4.5; whole eights but the last */
	{44, "1100000100000007 0000000000000000", BT_IP_OK, 17, 48, 0},
	{44, "1100000100000007 000000000000000000", BT_IP_FRAGMENT, 0, 4, 0},
	{44, "2f00000100000007 0000000000000000", BT_IP_OK, 47, 48, 0},
	{44, "1100000800000007 00", BT_IP_OK, 17, 48, 0},
	{44, "1100000800000007", BT_IP_FRAGMENT, SILENT, 0, 0},
	{44, "1100fff800000007 00000000000000", BT_IP_OK, 17, 48, 0},
	{44, "1100fff800000007 0000000000000000", BT_IP_FRAGMENT, 0, 42, 0},
	/* of a first one all headers are there: RFC 7112 */
	{44, "0600000100000007 0000000000000000", BT_IP_FRAGMENT, 3, 0, 0},
	{44, "3c00000100000007 0600010400000000", BT_IP_FRAGMENT, 3, 0, 0},
	{44, "3c00000100000007 1101010400000000", BT_IP_FRAGMENT, 3, 0, 0},
	{44, "3c00000900000007 1101010400000000", BT_IP_OK, 60, 48, 0},
	/* an atomic fragment is a whole packet: RFC 6946 */
	{44, "3b00000000000007", BT_IP_OK, 59, 48, 0},
	{44, "3c00000600000007 3b00010400000000", BT_IP_OK, 59, 56, 0},
};

static void ipv6_extensions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ipv6_cases) / sizeof(ipv6_cases[0]); i++) {
		const struct ipv6_case *c = &ipv6_cases[i];
		uint8_t p[200] = {0};
		uint32_t len = 40 + (uint32_t)bytes(p + 40, c->rest);
		struct bt_ipv6_ext ext;
		enum bt_ip_bad bad = bt_ipv6_walk(p, len, 40, c->next, 6, &ext);

		if (bad != c->bad)
			fail_msg("%u %s: %d", c->next, c->rest, (int)bad);
		if (bad != BT_IP_OK && (ext.bad_code != c->code || ext.bad_at != c->at ||
					ext.bad_unicast == c->multicast_too))
			fail_msg("%u %s: code %u at %u", c->next, c->rest, ext.bad_code,
				 ext.bad_at);
		if (bad == BT_IP_OK && (ext.proto != c->code || ext.at != c->at))
			fail_msg("%u %s: protocol %u at %u", c->next, c->rest, ext.proto, ext.at);
	}
}

static void ipv6_header_limit(void **state)
{
	uint8_t p[400];
	struct bt_ipv6_ext ext;

	(void)state;
	for (unsigned n = 1; n < 40; n++) {
		enum bt_ip_bad bad;

		for (unsigned i = 0; i < n; i++)
			bytes(p + 40 + 8 * i, i + 1 < n ? "3c00010400000000" : "3b00010400000000");
		bad = bt_ipv6_walk(p, 40 + 8 * n, 40, BT_IPPROTO_DSTOPTS, 6, &ext);
		assert_int_equal(bad, n <= 31 ? BT_IP_OK : BT_IP_OPTIONS);
		if (bad == BT_IP_OK)
			assert_int_equal(ext.at, 40 + 8 * n);
	}
}

static void ipv6_headers(void **state)
{
	static const struct {
		const char *src, *dst;
		enum bt_ip_bad bad;
	} cases[] = {
		{"fd00::1", "fd00::2", BT_IP_OK},
		{"::", "ff02::1", BT_IP_OK},
		{"ff02::1", "fd00::2", BT_IP_SOURCE}, /* RFC 4291 2.7 */
		{"::ffff:10.0.0.1", "fd00::2", BT_IP_SOURCE},
		{"fd00::1", "::ffff:10.0.0.1", BT_IP_DEST},
		{"fd00::1", "ff00::1", BT_IP_DEST}, /* RFC 4291 2.7: scope 0 */
	};
	struct bt_ipv6 ip;
	uint8_t p[60];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bt_ipv6 want = {.next = 59, .payload_len = 8};

		want.src = addr(cases[i].src);
		want.dst = addr(cases[i].dst);
		bt_ipv6_write(p, &want);
		if (bt_ipv6_read(p, 48, &ip) != cases[i].bad)
			fail_msg("%s %s", cases[i].src, cases[i].dst);
		assert_int_equal(bt_ipv6_read(p, 47, &ip), BT_IP_HEADER);
		assert_int_equal(bt_ipv6_read(p, 39, &ip), BT_IP_SHORT);
		assert_int_equal(bt_ipv6_read(p, 0, &ip), BT_IP_SHORT);
		p[0] = 0x45;
		assert_int_equal(bt_ipv6_read(p, 48, &ip), BT_IP_VERSION);
	}
}

/* ---- ICMP ---- */

static void icmp_messages(void **state)
{
	struct bt_icmp m;
	struct bt_icmp_quote q;
	uint8_t p[100];
	size_t len;

	(void)state;
	bytes(p, "0304 0000 0000 05dc"); /* RFC 1191 4 */
	assert_true(bt_icmp_read(p, 8, BT_V4, &m));
	assert_true(m.kind == BT_ICMP_TOO_BIG && m.mtu == 1500);
	bytes(p, "0200 0000 00000500");
	assert_true(bt_icmp_read(p, 8, BT_V6, &m));
	assert_true(m.kind == BT_ICMP_TOO_BIG && m.mtu == 1280);
	bytes(p, "0c00 0000 14000000");
	assert_true(bt_icmp_read(p, 8, BT_V4, &m));
	assert_true(m.kind == BT_ICMP_PARAMETER && m.pointer == 20);
	bytes(p, "8000 0000 0001 0002");
	assert_true(bt_icmp_read(p, 8, BT_V6, &m));
	assert_true(m.kind == BT_ICMP_ECHO && m.id == 1 && m.seq == 2);
	assert_true(bt_icmp_read(p, 8, BT_V4, &m) && m.kind == BT_ICMP_OTHER && m.type == 128);
	assert_false(bt_icmp_read(p, 7, BT_V4, &m));
	assert_true(bt_icmp_is_error(BT_V4, 3) && bt_icmp_is_error(BT_V4, 5));
	assert_false(bt_icmp_is_error(BT_V4, 8) || bt_icmp_is_error(BT_V4, 0));
	assert_true(bt_icmp_is_error(BT_V6, 1) && bt_icmp_is_error(BT_V6, 137));
	assert_false(bt_icmp_is_error(BT_V6, 128) || bt_icmp_is_error(BT_V6, 135));
	/* RFC 4443 2.4 c, RFC 1812 4.3.2.3 */
	assert_int_equal(bt_icmp_quote_len(BT_V6, 1500), 1232);
	assert_int_equal(bt_icmp_quote_len(BT_V4, 1500), 548);
	assert_int_equal(bt_icmp_quote_len(BT_V4, 100), 100);
	/* what follows the quoted packet (RFC 4884) is not part of it */
	len = bytes(p, "4500001c0001000040110000 0a000009 0a000001 045708ae00080000 20002a2a");
	assert_true(bt_icmp_quote_read(p, len, BT_V4, &q) && q.len == 8);
	p[3] = 0xff;
	assert_true(bt_icmp_quote_read(p, len, BT_V4, &q) && q.len == 12);
	p[7] = 1; /* not the first fragment */
	assert_false(bt_icmp_quote_read(p, len, BT_V4, &q));
	p[7] = 0;
	assert_false(bt_icmp_quote_read(p, 27, BT_V4, &q));
	assert_false(bt_icmp_quote_read(p, len, BT_V6, &q));
}

/* ---- ARP, neighbour discovery, groups ---- */

static void arp_packets(void **state)
{
	static const struct {
		const char *hex;
		bool ok;
	} cases[] = {
		{"0001 0800 06 04 0002 02000000000a 0a090001 02000000000b 0a090002", true},
		{"0001 0800 06 04 0001 02000000000a 00000000 000000000000 0a090002", true},
		{"0006 0800 06 04 0002 02000000000a 0a090001 02000000000b 0a090002", false},
		{"0001 86dd 06 04 0002 02000000000a 0a090001 02000000000b 0a090002", false},
		{"0001 0800 08 04 0002 02000000000a 0a090001 02000000000b 0a090002", false},
		{"0001 0800 06 10 0002 02000000000a 0a090001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0000 02000000000a 0a090001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0003 02000000000a 0a090001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0101 02000000000a 0a090001 02000000000b 0a090002", false},
		/* RFC 1812 3.3.2: not a station's address */
		{"0001 0800 06 04 0002 ffffffffffff 0a090001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0002 01005e000001 0a090001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0002 02000000000a e0000001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0002 02000000000a ffffffff 02000000000b 0a090002", false},
		{"0001 0800 06 04 0002 02000000000a 7f000001 02000000000b 0a090002", false},
		{"0001 0800 06 04 0001 02000000000a 0a090001 000000000000 e0000001", false},
		{"0001 0800 06 04 0001 02000000000a 0a090001 000000000000 7f000001", false},
		{"0001 0800 06 04 0001 02000000000a 0a090001 000000000000 00000000", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t p[64];
		size_t len = bytes(p, cases[i].hex);
		struct bt_arp a;

		assert_int_equal(len, 28);
		if (bt_arp_read(p, len, &a) != cases[i].ok)
			fail_msg("%s", cases[i].hex);
	}
}

struct nd_case {
	const char *src, *dst;
	const char *hex;
	bool ok;
};

#define TARGET	" fd000000000000000000000000000002 "
#define GROUP	" ff020000000000000000000000000001 "
#define LL	" fe800000000000000000000000000005 "
#define PREFIX	" fd010203000000000000000000000000 "
#define SRC_MAC " 010102000000000a "
#define DST_MAC " 020102000000000a "

static const struct nd_case nd_cases[] = {
	/* neighbour solicitation: RFC 4861 7.1.1 */
	{"fd00::1", "ff02::1:ff00:2", "8700000000000000" TARGET SRC_MAC, true},
	{"fd00::1", "fd00::2", "8700000000000000" TARGET, true},
	{"fd00::1", "fd00::2", "8701000000000000" TARGET, false},
	{"fd00::1", "fd00::2", "8700000000000000" GROUP, false},
	{"::", "ff02::1:ff00:2", "8700000000000000" TARGET, true},
	{"::", "ff02::1:ff00:2", "8700000000000000" TARGET SRC_MAC, false},
	{"::", "fd00::2", "8700000000000000" TARGET, false},
	{"::", "ff02::1", "8700000000000000" TARGET, false},
	{"fd00::1", "fd00::2", "8700000000000000" TARGET "0100000000000000", false},
	{"fd00::1", "fd00::2", "8700000000000000" TARGET "01020000", false},
	{"fd00::1", "fd00::2", "8700000000000000" TARGET "0102000000000000", false},
	{"fd00::1", "fd00::2", "8700000000000000" TARGET "0e01000000000000" SRC_MAC, true},
	{"fd00::1", "fd00::2", "8700000000000000" TARGET "0101ffffffffffff", false},
	{"fd00::1", "fd00::2", "8700000000000000 00000000000000000000ffff0a000001", false},
	/* neighbour advertisement: 7.1.2 */
	{"fd00::1", "fd00::2", "8800000060000000" TARGET DST_MAC, true},
	{"fd00::1", "ff02::1", "8800000020000000" TARGET DST_MAC, true},
	{"fd00::1", "ff02::1", "8800000060000000" TARGET DST_MAC, false},
	{"fd00::1", "fd00::2", "8800000060000000" GROUP DST_MAC, false},
	{"fd00::1", "fd00::2", "8800000060000000" TARGET "0201ffffffffffff", false},
	{"fd00::1", "fd00::2", "8800000060000000" TARGET "0101ffffffffffff", true},
	/* router solicitation: 6.1.1 */
	{"fe80::1", "ff02::2", "8500000000000000" SRC_MAC, true},
	{"::", "ff02::2", "8500000000000000", true},
	{"::", "ff02::2", "8500000000000000" SRC_MAC, false},
	/* router advertisement: 6.1.2 */
	{"fe80::1", "ff02::1", "86000000 40c00708 00000000 00000000" SRC_MAC, true},
	{"fd00::1", "ff02::1", "86000000 40c00708 00000000 00000000" SRC_MAC, false},
	{"fe80::1", "ff02::1", "86000000 40c00708 00000000", false},
	/* redirect: 8.1 */
	{"fe80::1", "fd00::2", "8900000000000000" LL PREFIX, true},
	{"fe80::1", "fd00::2", "8900000000000000" TARGET TARGET DST_MAC, true},
	{"fe80::1", "fd00::2", "8900000000000000" TARGET PREFIX, false},
	{"fd00::1", "fd00::2", "8900000000000000" LL PREFIX, false},
	{"fe80::1", "fd00::2", "8900000000000000" LL GROUP, false},
};

static void nd_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nd_cases) / sizeof(nd_cases[0]); i++) {
		const struct nd_case *c = &nd_cases[i];
		struct bt_addr src = addr(c->src), dst = addr(c->dst);
		uint8_t p[200];
		size_t len = bytes(p, c->hex);
		struct bt_nd m;

		if (bt_nd_read(p, len, &src, &dst, 255, &m) != c->ok)
			fail_msg("%s %s %s", c->src, c->dst, c->hex);
		/* It came through no router. */
		assert_false(bt_nd_read(p, len, &src, &dst, 254, &m));
	}
}

static void router_advertisement(void **state)
{
	struct bt_addr src = addr("fe80::1"), dst = addr("ff02::1");
	uint8_t p[400];
	struct bt_nd m;
	size_t len = bytes(
		p, "86000000 40c00708 00007530 000003e8" SRC_MAC "0501000000000500 0501000000002328"
		   "030440c0 00015180 00003840 00000000 fd010203040506070000000000000001"
		   "030440c0 00003840 00015180 00000000" PREFIX /* preferred after it is invalid */
		   "03044080 00015180 00003840 00000000 fe800000000000000000000000000000"
		   /* link-local once it is cut to its length */
		   "030409c0 00015180 00003840 00000000 fec00000000000000000000000000001"
		   "030481c0 00015180 00003840 00000000" PREFIX
		   "030430c0 ffffffff ffffffff 00000000 fd020203040506070000000000000001");

	(void)state;
	assert_true(bt_nd_read(p, len, &src, &dst, 255, &m));
	assert_true(m.hops == 64 && m.managed && m.other && m.router_s == 1800);
	assert_true(m.reachable_ms == 30000 && m.retrans_ms == 1000);
	assert_int_equal(m.mtu, 1280);
	assert_int_equal(m.n_prefix, 2);
	is_addr(&m.prefix[0].prefix, "fd01:203:405:607::");
	assert_true(m.prefix[0].bits == 64 && m.prefix[0].on_link && m.prefix[0].autonomous);
	assert_true(m.prefix[0].valid_s == 86400 && m.prefix[0].preferred_s == 14400);
	is_addr(&m.prefix[1].prefix, "fd02:203:405::");
	assert_true(m.prefix[1].bits == 48 && m.prefix[1].valid_s == UINT32_MAX);
}

static void group_messages(void **state)
{
	static const struct {
		const char *hex;
		uint8_t version; /* 0: refused */
		uint32_t max_resp_ms;
	} igmp[] = {
		{"1164000000000000", 2, 10000}, /* RFC 2236 2 */
		{"1100000000000000", 1, 10000}, /* RFC 2236 4 */
		{"11640000ef010203", 2, 10000},
		{"116400000a000001", 0, 0},
		{"116400000000000002", 0, 0}, /* RFC 3376 7.1: 9 to 11 bytes */
		{"11ff0000 00000000 027d0000", 3, 3174400},
		{"11640000 ef010203 027d0001 0a000001", 3, 10000},
		{"11640000 ef010203 027d0002 0a000001", 0, 0},
		{"11640000 00000000 027d0001 0a000001", 0, 0},
		{"16000000ef010203", 255, 0},
		{"160000000a010203", 0, 0},
		{"2200000000000001 04000000ef010203", 255, 0},
		{"2200000000000002 04000000ef010203", 0, 0},
		{"2200000000000001 04000001ef010203", 0, 0},
		{"2200000000000001 04010000ef010203", 0, 0},
		{"2200000000000001 04010001ef010203 0a000001 00000000", 255, 0},
		{"2200000000000002 04010001ef010203 0a000001 00000000 04000000ef010204", 255, 0},
		{"2200000000000002 04010001ef010203 0a000001 00000000 04000001ef010204", 0, 0},
		{"9900000000000000", 0, 0},
	};
	struct bt_addr ll = addr("fe80::1"), global = addr("fd00::1"), any = addr("::");
	uint8_t p[100];
	struct bt_igmp m;
	struct bt_mld l;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(igmp) / sizeof(igmp[0]); i++) {
		bool ok = bt_igmp_read(p, bytes(p, igmp[i].hex), &m);

		if (ok != (igmp[i].version != 0))
			fail_msg("%s", igmp[i].hex);
		if (ok && m.type == BT_IGMP_QUERY &&
		    (m.query.version != igmp[i].version ||
		     m.query.max_resp_ms != igmp[i].max_resp_ms))
			fail_msg("%s: version %u", igmp[i].hex, m.query.version);
	}
	/* RFC 3810 5.1.3: 32768 and above have an exponent; 5.1.14, 6.2: where it may come from */
	len = bytes(p, "82000000 80010000" GROUP "037d0000");
	assert_true(bt_mld_read(p, len, &ll, 1, true, &l));
	assert_true(l.query.version == 2 && l.query.max_resp_ms == 4097 << 3);
	assert_true(l.query.robustness == 3 && l.query.interval_s == 125 && !l.query.suppress);
	assert_false(bt_mld_read(p, len, &global, 1, true, &l));
	assert_false(bt_mld_read(p, len, &any, 1, true, &l));
	assert_false(bt_mld_read(p, len, &ll, 2, true, &l));
	assert_false(bt_mld_read(p, len, &ll, 1, false, &l));
	assert_false(bt_mld_read(p, 27, &ll, 1, true, &l)); /* 8.1 */
	assert_true(bt_mld_read(p, 24, &ll, 1, true, &l));
	assert_true(l.query.version == 1 && l.query.max_resp_ms == 32769);
	/* 5.2: a record of one source and one word of auxiliary data */
	len = bytes(p, "8f00000000000001 04010001" GROUP TARGET "00000000");
	assert_true(bt_mld_read(p, len, &any, 1, true, &l) && l.n_records == 1);
	for (size_t cut = 8; cut < len; cut++)
		assert_false(bt_mld_read(p, cut, &any, 1, true, &l));
	bytes(p, "8300000000000000" GROUP);
	assert_true(bt_mld_read(p, 24, &any, 1, true, &l));
}

/* ---- UDP ---- */

static void udp_datagrams(void **state)
{
	static const struct {
		const char *hex;
		enum bt_udp_bad v4, v6;
	} cases[] = {
		{"0001000200081234", BT_UDP_OK, BT_UDP_OK},
		{"0001000200080000", BT_UDP_OK, BT_UDP_NO_CHECKSUM}, /* RFC 8200 8.1 */
		{"0001000200081234ffff", BT_UDP_OK, BT_UDP_OK},	     /* padding */
		{"0001000200091234", BT_UDP_LENGTH, BT_UDP_LENGTH},
		{"0001000200071234", BT_UDP_LENGTH, BT_UDP_LENGTH},
		{"0001000200001234", BT_UDP_LENGTH, BT_UDP_LENGTH},
		{"00010002000812", BT_UDP_LENGTH, BT_UDP_LENGTH},
	};
	uint8_t p[20];
	struct bt_udp_head u;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = bytes(p, cases[i].hex);

		assert_int_equal(bt_udp_read(p, len, BT_V4, &u), cases[i].v4);
		assert_int_equal(bt_udp_read(p, len, BT_V6, &u), cases[i].v6);
	}
	bt_udp_csum_put(p, 0xffff); /* RFC 768: 0 is sent as all ones */
	assert_int_equal(bt_get16(p), 0xffff);
	bt_udp_csum_put(p, 0);
	assert_int_equal(bt_get16(p), 0xffff);
	bt_udp_csum_put(p, 1);
	assert_int_equal(bt_get16(p), 0xfeff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_options),	     cmocka_unit_test(tcp_values),
		cmocka_unit_test(ipv4_headers),	     cmocka_unit_test(ipv6_extensions),
		cmocka_unit_test(ipv6_header_limit), cmocka_unit_test(ipv6_headers),
		cmocka_unit_test(icmp_messages),     cmocka_unit_test(arp_packets),
		cmocka_unit_test(nd_messages),	     cmocka_unit_test(router_advertisement),
		cmocka_unit_test(group_messages),    cmocka_unit_test(udp_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

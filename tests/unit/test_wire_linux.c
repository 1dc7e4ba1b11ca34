/* SPDX-License-Identifier: Apache-2.0 */
/* lib/wire: packets that Linux 6.18 sent on a TAP device, byte for byte. */
#include "wire_help.h"

/* ---- what Linux sends ---- */

static void linux_arp_request(void **state)
{
	uint8_t p[64], out[64];
	size_t len = bytes(p, "ffffffffffff 02000000000a 0806 "
			      "0001 0800 06 04 0001 02000000000a 0a090001 000000000000 0a090002");
	struct bt_ether e;
	struct bt_arp a;

	(void)state;
	assert_int_equal(len, 42);
	assert_true(bt_ether_read(p, len, &e));
	is_mac(&e.dst, "ffffffffffff");
	assert_true(bt_mac_is_group(&e.dst));
	is_mac(&e.src, "02000000000a");
	assert_int_equal(e.type, BT_ETHER_ARP);
	assert_true(bt_arp_read(p + BT_ETHER_HEADER, len - BT_ETHER_HEADER, &a));
	assert_int_equal(a.op, BT_ARP_REQUEST);
	is_mac(&a.sender_mac, "02000000000a");
	is_addr(&a.sender, "10.9.0.1");
	is_addr(&a.target, "10.9.0.2");
	bt_ether_write(out, &e);
	bt_arp_write(out + BT_ETHER_HEADER, &a);
	assert_memory_equal(out, p, len);
}

static void linux_syn(void **state)
{
	uint8_t p[80], out[80];
	size_t len = bytes(p, "4500003c6ad140004006bbcf0a0900010a090009"
			      "e47a0050e88baab800000000a002faf043a20000"
			      "020405b4 0402 080a384944f600000000 01 03030a");
	struct bt_ipv4 ip;
	struct bt_tcp_seg seg;

	(void)state;
	assert_int_equal(bt_ipv4_read(p, len, &ip), BT_IP_OK);
	assert_int_equal(ip.header_len, 20);
	assert_int_equal(ip.total_len, 60);
	assert_int_equal(ip.id, 0x6ad1);
	assert_true(ip.df && !ip.mf && ip.offset == 0 && !ip.router_alert);
	assert_int_equal(ip.ttl, 64);
	assert_int_equal(ip.proto, BT_IPPROTO_TCP);
	is_addr(&ip.src, "10.9.0.1");
	is_addr(&ip.dst, "10.9.0.9");
	assert_int_equal(bt_tcp_read(p + 20, len - 20, &seg), BT_TCP_OK);
	assert_int_equal(seg.sport, 58490);
	assert_int_equal(seg.dport, 80);
	assert_true(seg.seq.n == 0xe88baab8 && seg.ack.n == 0);
	assert_int_equal(seg.flags, BT_SYN);
	assert_int_equal(seg.window, 64240);
	assert_int_equal(seg.has, BT_TCP_MSS | BT_TCP_SACK_OK | BT_TCP_TS | BT_TCP_WSCALE);
	assert_int_equal(seg.mss, 1460);
	assert_int_equal(seg.wscale, 10);
	assert_true(seg.ts_val == 0x384944f6 && seg.ts_ecr == 0);
	assert_int_equal(seg.header_len, 40);
	/* Our options lie as Linux's do. (Its checksum is left to the device.) */
	assert_int_equal(bt_ipv4_write(out, &ip), 20);
	memset(out + 20, 0xff, 40);
	assert_int_equal(bt_tcp_write(out + 20, &seg), 40);
	assert_int_equal(bt_get16(out + 36), 0);
	memcpy(out + 36, p + 36, 2);
	assert_memory_equal(out, p, len);
}

static void linux_datagram(void **state)
{
	uint8_t p[80];
	size_t len =
		bytes(p, "4500002179a440004011ad0c0a0900010a090009 a0d00007000d070f68656c6c6f");
	struct bt_ipv4 ip;
	struct bt_udp_head u;

	(void)state;
	assert_int_equal(bt_ipv4_read(p, len, &ip), BT_IP_OK);
	assert_int_equal(bt_udp_read(p + 20, len - 20, BT_V4, &u), BT_UDP_OK);
	assert_true(u.sport == 41168 && u.dport == 7 && u.len == 13 && u.checksum);
	assert_memory_equal(p + 20 + BT_UDP_HEADER, "hello", 5);
}

static void linux_port_unreachable(void **state)
{
	uint8_t p[80], out[80];
	size_t len = bytes(p, "45c0003883ac00004001e23d0a0900010a090009 0303efef00000000"
			      "4500001c00010000401166b50a0900090a090001 045708ae00080000");
	struct bt_ipv4 ip;
	struct bt_icmp m;
	struct bt_icmp_quote q;

	(void)state;
	assert_int_equal(bt_ipv4_read(p, len, &ip), BT_IP_OK);
	assert_true(ip.tos == 0xc0 && ip.proto == BT_IPPROTO_ICMP);
	assert_true(bt_csum_ok(bt_csum_add(0, p + 20, len - 20)));
	assert_true(bt_icmp_read(p + 20, len - 20, BT_V4, &m));
	assert_true(m.kind == BT_ICMP_UNREACHABLE && m.code == BT_ICMP4_PORT);
	assert_true(bt_icmp_quote_read(p + 28, len - 28, BT_V4, &q));
	is_addr(&q.src, "10.9.0.9");
	is_addr(&q.dst, "10.9.0.1");
	assert_true(q.proto == BT_IPPROTO_UDP && q.at == 20 && q.len == 8);
	memcpy(out, p, len);
	bt_icmp_write(out + 20, BT_V4, &m);
	bt_csum_put(out + 22, bt_csum_add(0, out + 20, len - 20));
	assert_memory_equal(out, p, len);
}

static void linux_igmp_report(void **state)
{
	uint8_t p[80], out[80] = {0};
	size_t len = bytes(p, "46c00028000040000102f9ef0a090001e0000016 94040000"
			      "2200e8f900000001 04000000ef010203");
	struct bt_group_record join = {BT_GROUP_TO_EXCLUDE, addr("239.1.2.3")};
	struct bt_ipv4 ip;
	struct bt_igmp m;

	(void)state;
	assert_int_equal(bt_ipv4_read(p, len, &ip), BT_IP_OK);
	assert_true(ip.router_alert && ip.header_len == 24 && ip.ttl == 1);
	assert_true(bt_igmp_read(p + 24, len - 24, &m));
	assert_true(m.type == BT_IGMP_REPORT3 && m.n_records == 1);
	assert_int_equal(bt_ipv4_write(out, &ip), 24);
	assert_int_equal(bt_igmp_report3_write(out + 24, &join, 1), 16);
	bt_csum_put(out + 26, bt_csum_add(0, out + 24, 16));
	assert_memory_equal(out, p, len);
}

static void linux_mld_report(void **state)
{
	uint8_t p[120], out[120];
	size_t len = bytes(p, "6000000000240001fe80000000000000000000fffe00000a"
			      "ff020000000000000000000000000016 3a00050200000100"
			      "8f0070fa00000001 04000000ff050000000000000000000000010003");
	struct bt_group_record join = {BT_GROUP_TO_EXCLUDE, addr("ff05::1:3")};
	struct bt_ipv6 ip;
	struct bt_ipv6_ext ext;
	struct bt_mld m;
	uint64_t sum;

	(void)state;
	assert_int_equal(bt_ipv6_read(p, len, &ip), BT_IP_OK);
	is_addr(&ip.src, "fe80::ff:fe00:a");
	assert_int_equal(bt_ipv6_walk(p, (uint32_t)len, 40, ip.next, 6, &ext), BT_IP_OK);
	assert_true(ext.router_alert && ext.router_alert_value == 0);
	assert_true(ext.proto == BT_IPPROTO_ICMPV6 && ext.at == 48 && ext.next_at == 40);
	assert_true(bt_mld_read(p + 48, len - 48, &ip.src, ip.hops, ext.router_alert, &m));
	assert_true(m.type == BT_MLD_REPORT2 && m.n_records == 1);
	bt_ipv6_write(out, &ip);
	bt_ipv6_router_alert_write(out + 40, BT_IPPROTO_ICMPV6);
	assert_int_equal(bt_mld_report2_write(out + 48, &join, 1), 28);
	sum = bt_csum_pseudo(&ip.src, &ip.dst, BT_IPPROTO_ICMPV6, 28);
	bt_csum_put(out + 50, bt_csum_add(sum, out + 48, 28));
	assert_memory_equal(out, p, len);
}

static void linux_solicitations(void **state)
{
	uint8_t p[120], out[120];
	size_t len;
	struct bt_ipv6 ip;
	struct bt_nd m;
	uint64_t sum;

	(void)state;
	len = bytes(p, "6000000000203afffd000000000000000000000000000001"
		       "ff0200000000000000000001ff000002 87007d8e00000000"
		       "fd000000000000000000000000000002 010102000000000a");
	assert_int_equal(bt_ipv6_read(p, len, &ip), BT_IP_OK);
	sum = bt_csum_pseudo(&ip.src, &ip.dst, ip.next, ip.payload_len);
	assert_true(bt_csum_ok(bt_csum_add(sum, p + 40, len - 40)));
	assert_true(bt_nd_read(p + 40, len - 40, &ip.src, &ip.dst, ip.hops, &m));
	assert_int_equal(m.type, BT_ND_NS);
	is_addr(&m.target, "fd00::2");
	assert_true(m.has_source_mac);
	is_mac(&m.source_mac, "02000000000a");
	memcpy(out, p, len);
	assert_int_equal(bt_nd_write(out + 40, &m), 32);
	bt_csum_put(out + 42, bt_csum_add(sum, out + 40, 32));
	assert_memory_equal(out, p, len);

	/* duplicate address detection, with a nonce (RFC 7527) */
	len = bytes(p, "6000000000203aff00000000000000000000000000000000"
		       "ff0200000000000000000001ff00000a 8700b04700000000"
		       "fe80000000000000000000fffe00000a 0e017f7fd3866bbc");
	assert_int_equal(bt_ipv6_read(p, len, &ip), BT_IP_OK);
	assert_true(bt_nd_read(p + 40, len - 40, &ip.src, &ip.dst, ip.hops, &m));
	is_addr(&m.target, "fe80::ff:fe00:a");
	assert_false(m.has_source_mac);

	len = bytes(p, "6000000000103afffe80000000000000000000fffe00000a"
		       "ff020000000000000000000000000002 85007b1a00000000 010102000000000a");
	assert_int_equal(bt_ipv6_read(p, len, &ip), BT_IP_OK);
	assert_true(bt_nd_read(p + 40, len - 40, &ip.src, &ip.dst, ip.hops, &m));
	assert_true(m.type == BT_ND_RS && m.has_source_mac);
}

static void linux_fragments(void **state)
{
	uint8_t p[80];
	struct bt_ipv6 ip;
	struct bt_ipv6_ext ext;

	(void)state;
	/* the third of three of a datagram of 3,000 bytes; the payload ends here */
	bytes(p, "600552d3 0010 2c40 fd000000000000000000000000000001"
		 "fd000000000000000000000000000009 11000b50b359da2d 7878787878787878");
	assert_int_equal(bt_ipv6_read(p, 56, &ip), BT_IP_OK);
	assert_int_equal(ip.flow, 0x552d3);
	assert_int_equal(bt_ipv6_walk(p, 56, 40, ip.next, 6, &ext), BT_IP_OK);
	assert_true(ext.fragment && ext.offset == 2896 && !ext.more && ext.id == 0xb359da2d);
	assert_true(ext.proto == BT_IPPROTO_UDP && ext.at == 48 && ext.fragment_at == 40);
}

static void groups_on_ethernet(void **state)
{
	struct bt_addr a = addr("239.129.2.3"), b = addr("ff02::1:ff00:2"), c = addr("fd00::2");
	struct bt_mac m = bt_mac_of_group(&a);

	(void)state;
	is_mac(&m, "01005e010203"); /* RFC 1112 6.4: 23 bits */
	m = bt_mac_of_group(&b);
	is_mac(&m, "3333ff000002"); /* RFC 2464 7 */
	c = bt_nd_solicited_node(&c);
	assert_memory_equal(&c, &b, sizeof(b)); /* RFC 4291 2.7.1 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_arp_request),   cmocka_unit_test(linux_syn),
		cmocka_unit_test(linux_datagram),      cmocka_unit_test(linux_port_unreachable),
		cmocka_unit_test(linux_igmp_report),   cmocka_unit_test(linux_mld_report),
		cmocka_unit_test(linux_solicitations), cmocka_unit_test(linux_fragments),
		cmocka_unit_test(groups_on_ethernet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

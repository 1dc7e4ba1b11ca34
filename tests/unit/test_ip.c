/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, neighbours, ways and what IP sends: lib/ip without fragments, ICMP and groups, which have
 * tests of their own. */
#include "ip_help.h"

#include "../../lib/wire/arp.h"

static void addresses(void **state)
{
	struct net n;
	struct two t;
	struct bt_addr a = v4(10, 0, 0, 1), b = v4(10, 0, 0, 2), src;
	struct bt_addr bcast = v4(10, 0, 0, 255), lo = v4(127, 3, 2, 1), group = v4(224, 0, 0, 5);
	struct bt_if_info info;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	assert_int_equal(bt_ip_is_local(n.ip, t.a, &a), t.ia);
	assert_int_equal(bt_ip_is_local(n.ip, t.a, &b), 0);
	assert_int_equal(bt_ip_is_local(n.ip, t.b, &lo), bt_ip_if_of_dev(n.ip, t.b, 1));
	assert_true(bt_ip_is_broadcast(n.ip, t.a, &bcast));
	assert_int_equal(bt_ip_addr_add(n.ip, t.ia, &b, 24, n.now), BERTH_EEXIST);
	assert_int_equal(bt_ip_addr_add(n.ip, t.ia, &group, 24, n.now), BERTH_EINVAL);
	assert_int_equal(bt_ip_addr_add(n.ip, t.ia, &lo, 8, n.now), BERTH_EINVAL);
	assert_int_equal(bt_ip_source(n.ip, t.a, &b, 0, &src), 0);
	assert_true(bt_addr_eq(&src, &a));
	assert_int_equal(bt_ip_source(n.ip, t.a, &lo, 0, &src), 0);
	assert_true(bt_addr_eq(&src, &lo));
	b = v4(99, 0, 0, 1);
	assert_int_equal(bt_ip_source(n.ip, t.a, &b, 0, &src), BERTH_ENETUNREACH);
	/* RFC 6724 5 rule 2: a link-local destination gets a link-local source */
	b = (struct bt_addr){{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
	assert_int_equal(bt_ip_source(n.ip, t.a, &b, t.ia, &src), 0);
	assert_int_equal(src.b[0], 0xfe);
	b = v6(1, 7);
	assert_int_equal(bt_ip_source(n.ip, t.a, &b, 0, &src), 0);
	a = v6(1, 1);
	assert_true(bt_addr_eq(&src, &a));
	assert_true(bt_ip_if_get(n.ip, t.ib, &info));
	assert_string_equal(info.name, "eth0");
	assert_int_equal(info.dev, 2);
	assert_false(bt_ip_if_get(n.ip, 999, &info));

	a = v4(10, 0, 0, 1);
	assert_int_equal(bt_ip_addr_del(n.ip, t.ia, &a, n.now), 0);
	assert_int_equal(bt_ip_addr_del(n.ip, t.ia, &a, n.now), BERTH_EADDRNOTAVAIL);
	assert_false(bt_ip_is_broadcast(n.ip, t.a, &bcast));
	b = v4(10, 0, 0, 2);
	assert_int_equal(bt_ip_source(n.ip, t.a, &b, 0, &src), BERTH_ENETUNREACH);
	net_done(&n);
}

/* RFC 826: the packet waits, a request goes to all, the answer lets it go; the one asked knows us.
 */
static void arp_resolves(void **state)
{
	struct net n;
	struct two t;
	struct bt_arp arp;
	struct bt_ether e;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	assert_int_equal(send_and_carry(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 100, NULL),
			 BT_IP_TAKEN);
	assert_int_equal(n.n_frames, 3);
	assert_true(bt_ether_read(n.frames[0].data, n.frames[0].len, &e));
	assert_int_equal(e.type, BT_ETHER_ARP);
	assert_memory_equal(e.dst.b, "\xff\xff\xff\xff\xff\xff", 6);
	assert_true(bt_arp_read(n.frames[0].data + 14, n.frames[0].len - 14, &arp));
	assert_int_equal(arp.op, BT_ARP_REQUEST);
	assert_int_equal(type_of(&n.frames[1]), BT_ETHER_ARP);
	assert_int_equal(n.frames[1].i, t.ib);
	assert_int_equal(type_of(&n.frames[2]), BT_ETHER_IPV4);
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(n.gots[0].rx.len, 108);
	assert_int_equal(n.gots[0].rx.host, t.b);
	assert_int_equal(n.gots[0].rx.dev, 2);
	assert_int_equal(n.gots[0].rx.hops, 64);
	/* now both know each other: no more questions, and nothing is copied */
	forget_logs(&n);
	assert_int_equal(send_and_carry(&n, t.b, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, NULL),
			 BT_IP_READY);
	assert_int_equal(send_and_carry(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 1, NULL),
			 BT_IP_READY);
	assert_int_equal(n.n_frames, 2);
	assert_int_equal(n.n_gots, 2);
	net_done(&n);
}

/* RFC 1122 2.3.2.2: at least the newest packet is kept; RFC 4861 7.2.2: three questions, then the
 * senders are told. */
static void arp_fails(void **state)
{
	struct net n;
	struct two t;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	for (unsigned k = 0; k < BT_IP_NEIGH_PACKETS + 10; k++)
		assert_int_equal(send_packet(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 77), k, NULL),
				 BT_IP_TAKEN);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_NEIGHBOUR_FULL), 10);
	assert_int_equal(bt_ip_copies(n.ip), BT_IP_NEIGH_PACKETS + 1);
	advance(&n, 10 * SEC);
	assert_int_equal(n.n_frames, 3);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_NEIGHBOUR_FAILED), BT_IP_NEIGH_PACKETS);
	assert_int_equal(n.n_gots, BT_IP_NEIGH_PACKETS);
	assert_int_equal(n.gots[0].kind, BT_IP_ERROR);
	assert_int_equal(n.gots[0].error.error, BERTH_EHOSTUNREACH);
	assert_true(n.gots[0].error.local);
	assert_int_equal(n.gots[0].error.len, 8 + 10); /* the oldest ten had been pushed out */
	net_done(&n);
}

/* RFC 5227 2.4, RFC 826: who claims our address, and who answers what was not asked, is not heard.
 */
static void arp_hostile(void **state)
{
	struct net n;
	struct two t;
	uint8_t f[60] = {0};
	struct bt_ether e = {.dst = {{2, 0, 0, 0, 0, 1}}, .src = {{2, 9}}, .type = BT_ETHER_ARP};
	struct bt_arp arp = {.op = BT_ARP_REPLY,
			     .sender_mac = {{2, 9}},
			     .sender = v4(10, 0, 0, 1),
			     .target = v4(10, 0, 0, 1)};

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	bt_ether_write(f, &e);
	bt_arp_write(f + 14, &arp);
	give(&n, t.ia, f, sizeof(f));
	assert_int_equal(drops(&n, t.a, BERTH_DROP_ARP_MALFORMED), 1);
	for (unsigned k = 3; k < 250; k++) { /* unasked answers: nothing is kept */
		arp.sender = v4(10, 0, 0, k);
		bt_arp_write(f + 14, &arp);
		give(&n, t.ia, f, sizeof(f));
	}
	assert_int_equal(bt_wheel_deadline(n.wheel), UINT64_MAX);
	/* questions make neighbours, of which there is a bound */
	arp.op = BT_ARP_REQUEST;
	for (unsigned k = 0; k < 3 * BT_IP_NEIGH_MAX; k++) {
		arp.sender = v4(10, 9, k / 250, k % 250 + 1);
		bt_arp_write(f + 14, &arp);
		give(&n, t.ia, f, sizeof(f));
		carry(&n);
		forget_logs(&n);
	}
	assert_true(bt_ip_bytes(n.ip) < 2u << 20);
	advance(&n, 70 * SEC); /* unused, they are forgotten */
	assert_int_equal(bt_wheel_deadline(n.wheel), UINT64_MAX);
	net_done(&n);
}

/* Solicitations in the log that left by i, and the station the last one went to. */
static unsigned asked(const struct net *n, berth_if i, const uint8_t **to)
{
	unsigned count = 0;

	for (uint32_t k = 0; k < n->n_frames; k++)
		if (n->frames[k].i == i && type_of(&n->frames[k]) == BT_ETHER_IPV6 &&
		    n->frames[k].data[20] == 58 && n->frames[k].data[54] == BT_ND_NS) {
			*to = n->frames[k].data;
			count++;
		}
	return count;
}

/* RFC 4861 7.3.2: REACHABLE becomes STALE, DELAY, PROBE; a unicast question, an answer. */
static void states(void **state)
{
	struct net n;
	struct two t;
	struct bt_path path = {0};
	struct bt_addr a = v6(1, 1), b = v6(1, 2);
	struct send how = {.path = &path};
	struct bt_nd nd;
	struct bt_addr src, dst;
	const uint8_t *to = NULL;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 9, &how), BT_IP_TAKEN);
	assert_int_equal(n.n_frames, 3);
	/* the question: to the solicited-node group, from the packet's source (RFC 4861 7.2.2) */
	memcpy(src.b, n.frames[0].data + 14 + 8, 16);
	memcpy(dst.b, n.frames[0].data + 14 + 24, 16);
	assert_true(bt_addr_eq(&src, &a));
	assert_true(bt_nd_read(n.frames[0].data + 54, n.frames[0].len - 54, &src, &dst, 255, &nd));
	assert_int_equal(nd.type, BT_ND_NS);
	assert_true(nd.has_source_mac);
	assert_memory_equal(n.frames[0].data, "\x33\x33\xff\x00\x00\x02", 6);
	assert_int_equal(n.n_gots, 1);
	forget_logs(&n);
	advance(&n, 46 * SEC); /* STALE after 45 s at most, forgotten after 60 more */
	forget_logs(&n);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 9, &how), BT_IP_READY);
	advance(&n, 4 * SEC);
	assert_int_equal(asked(&n, t.ia, &to), 0);
	advance(&n, 2 * SEC); /* 5 s without a hint: asks the one it knows */
	assert_int_equal(asked(&n, t.ia, &to), 1);
	assert_memory_equal(to, "\x02\x00\x00\x00\x00\x02", 6);
	/* a hint of TCP's spares the question (RFC 4861 7.3.1) */
	advance(&n, 46 * SEC);
	forget_logs(&n);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 9, &how), BT_IP_READY);
	bt_ip_confirm(n.ip, &path, n.now);
	advance(&n, 10 * SEC);
	assert_int_equal(asked(&n, t.ia, &to), 0);
	/* the neighbour is gone: three questions, and back to asking all */
	n.peer[t.ia] = 0;
	advance(&n, 40 * SEC);
	forget_logs(&n);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 9, &how), BT_IP_READY);
	advance(&n, 20 * SEC);
	assert_int_equal(asked(&n, t.ia, &to), 3);
	assert_memory_equal(to, "\x02\x00\x00\x00\x00\x02", 6);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 9, &how), BT_IP_TAKEN);
	advance(&n, 5 * SEC);
	assert_int_equal(asked(&n, t.ia, &to), 6);
	assert_memory_equal(to, "\x33\x33\xff\x00\x00\x02", 6);
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(n.gots[0].error.error, BERTH_EHOSTUNREACH);
	net_done(&n);
}

/* RFC 4861 7.2.5, 7.1: override, unasked answers, and hop limits from elsewhere */
static void nd_hostile(void **state)
{
	struct net n;
	struct two t;
	uint8_t f[54 + BT_ND_MAX], *m = f + 54;
	struct bt_addr a = v6(1, 1), b = v6(1, 2);
	struct bt_ether e = {.dst = {{2, 0, 0, 0, 0, 1}}, .src = {{2, 9}}, .type = BT_ETHER_IPV6};
	struct bt_nd na = {.type = BT_ND_NA,
			   .target = b,
			   .solicited = true,
			   .has_target_mac = true,
			   .target_mac = {{2, 9, 9, 9, 9, 9}}};
	unsigned len;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	send_and_carry(&n, t.a, a, b, 9, NULL);
	forget_logs(&n);
	bt_ether_write(f, &e);
	len = bt_nd_write(m, &na);
	sum_icmp(m, len, &b, &a);
	for (unsigned hops = 254; hops < 256; hops++) {
		uint8_t copy[200] = {0};

		memcpy(copy, m, len);
		make6(f + 14, b, a, 58, (uint8_t)hops, copy, len);
		give(&n, t.ia, f, 54 + len);
		assert_int_equal(drops(&n, t.a, BERTH_DROP_ND_MALFORMED), 1);
	}
	/* another link address without "override": ours stays, and is doubted */
	send_and_carry(&n, t.a, a, b, 9, NULL);
	assert_memory_equal(n.frames[0].data, "\x02\x00\x00\x00\x00\x02", 6);
	assert_int_equal(n.n_frames, 1);
	advance(&n, 5500 * MS);
	assert_true(n.n_frames >= 2); /* DELAY has asked */
	/* with it, ours is replaced */
	na.force = true;
	len = bt_nd_write(m, &na);
	sum_icmp(m, len, &b, &a);
	give(&n, t.ia, f, 54 + len);
	forget_logs(&n);
	send_and_carry(&n, t.a, a, b, 9, NULL);
	assert_memory_equal(n.frames[0].data, "\x02\x09\x09\x09\x09\x09", 6);
	net_done(&n);
}

/* Headers that are written in place are those that bt_ipv4_write and bt_ipv6_write make. */
static void headers(void **state)
{
	struct net n;
	struct two t;
	struct send how = {.tos = 0xb9, .hops = 3, .no_fragment = true, .proto = 6};
	struct bt_ipv4 h4;
	struct bt_ipv6 h6;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	send_and_carry(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 1, NULL);
	send_and_carry(&n, t.a, v6(1, 1), v6(1, 2), 1, NULL);
	for (uint32_t len = 0; len < 1400; len++) {
		struct frame *f;

		forget_logs(&n);
		assert_int_equal(send_packet(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 2), len, &how),
				 BT_IP_READY);
		f = &n.frames[0];
		assert_int_equal(f->len, 14 + 20 + 8 + len);
		assert_int_equal(bt_ipv4_read(f->data + 14, f->len - 14, &h4), BT_IP_OK);
		assert_int_equal(h4.tos, 0xb9);
		assert_int_equal(h4.ttl, 3);
		assert_true(h4.df);
		assert_int_equal(h4.proto, 6);
		assert_int_equal(send_packet(&n, t.a, v6(1, 1), v6(1, 2), len, &how), BT_IP_READY);
		f = &n.frames[1];
		assert_int_equal(bt_ipv6_read(f->data + 14, f->len - 14, &h6), BT_IP_OK);
		assert_int_equal(h6.tos, 0xb9);
		assert_int_equal(h6.hops, 3);
		assert_int_equal(h6.payload_len, 8 + len);
	}
	net_done(&n);
}

/* Packets to an own address: in by the device of the address, as Linux; nothing recurses. */
static void loopback(void **state)
{
	struct net n;
	struct two t;
	struct bt_addr one = bt_addr_loopback6();
	uint8_t f[200];
	struct bt_ether e = {.dst = {{2, 0, 0, 0, 0, 1}}, .src = {{2, 9}}, .type = BT_ETHER_IPV4};

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	assert_int_equal(send_and_carry(&n, t.a, v4(127, 0, 0, 1), v4(127, 9, 9, 9), 60000, NULL),
			 BT_IP_TAKEN);
	assert_int_equal(send_and_carry(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 1), 5, NULL),
			 BT_IP_TAKEN);
	assert_int_equal(send_and_carry(&n, t.a, one, one, 5, NULL), BT_IP_TAKEN);
	assert_int_equal(n.n_frames, 0);
	assert_int_equal(n.n_gots, 3);
	assert_int_equal(n.gots[0].rx.dev, 1);
	assert_int_equal(n.gots[0].rx.len, 60008);
	assert_true(n.gots[0].rx.checked);
	assert_int_equal(n.gots[1].rx.dev, 2);
	assert_int_equal(n.gots[2].rx.dev, 1);
	/* RFC 1122 3.2.1.3 (g): loopback addresses have no place on a wire */
	assert_int_equal(send_and_carry(&n, t.a, v4(127, 0, 0, 1), v4(10, 0, 0, 2), 5, NULL),
			 BERTH_EINVAL);
	assert_int_equal(n.n_frames, 0);
	bt_ether_write(f, &e);
	make4(f + 14, v4(127, 0, 0, 1), v4(10, 0, 0, 1), 17, 9, "datagram", 8);
	assert_int_equal(give(&n, t.ia, f, 42), BT_IP_NOTHING);
	make4(f + 14, v4(10, 0, 0, 1), v4(10, 0, 0, 1), 17, 9, "datagram", 8);
	assert_int_equal(give(&n, t.ia, f, 42), BT_IP_NOTHING);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_IP_SOURCE), 2);
	make4(f + 14, v4(10, 0, 0, 9), v4(127, 0, 0, 1), 17, 9, "datagram", 8);
	assert_int_equal(give(&n, t.ia, f, 42), BT_IP_NOTHING);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_IP_NOT_FOR_US), 1);
	/* the budget of what waits */
	for (unsigned k = 0; k < 100; k++)
		send_packet(&n, t.a, v4(127, 0, 0, 1), v4(127, 0, 0, 1), 65000, NULL);
	assert_true(drops(&n, t.a, BERTH_DROP_IP_QUEUE) > 0);
	forget_logs(&n);
	carry(&n);
	assert_true(n.n_gots > 50);
	net_done(&n);
}

/* A frame's station, type and interface, an unknown version */
static void links(void **state)
{
	struct net n;
	struct two t;
	uint8_t f[64] = {0};
	struct bt_ether e = {.dst = {{2, 0, 0, 0, 0, 7}}, .src = {{2, 9}}, .type = BT_ETHER_IPV4};
	struct berth_if_config down = {.flags = BERTH_IF_ETHERNET | BERTH_IF_DOWN,
				       .mac = {2, 0, 0, 0, 0, 1}};
	struct bt_path path;
	struct bt_addr a = v4(10, 0, 0, 1), b = v4(10, 0, 0, 2);

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	give(&n, t.ia, f, 13);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_LINK_SHORT), 1);
	bt_ether_write(f, &e);
	give(&n, t.ia, f, 64);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_LINK_NOT_FOR_US), 1);
	e.dst.b[5] = 1;
	e.type = 0x88cc;
	bt_ether_write(f, &e);
	give(&n, t.ia, f, 64);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_LINK_PROTOCOL), 1);
	e.type = BT_ETHER_IPV4;
	bt_ether_write(f, &e);
	give(&n, t.ia, f, 64);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_IP_VERSION), 1);
	/* RFC 1122 3.3.6: to all by the link, to us by IP */
	memset(f, 0xff, 6);
	make4(f + 14, b, a, 17, 9, "datagram", 8);
	give(&n, t.ia, f, 42);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_IP_NOT_FOR_US), 1);
	/* to all by both: delivered, and said to be so */
	make4(f + 14, b, v4(10, 0, 0, 255), 17, 9, "datagram", 8);
	assert_int_equal(give(&n, t.ia, f, 42), BT_IP_PACKET);
	assert_true(n.gots[0].rx.multicast);

	assert_int_equal(bt_ip_path(n.ip, t.a, &a, &b, 0, &path), 0);
	assert_int_equal(bt_ip_if_set(n.ip, t.ia, &down, n.now), 0);
	assert_int_equal(bt_ip_path(n.ip, t.a, &a, &b, 0, &path), BERTH_ENETUNREACH);
	give(&n, t.ia, f, 42);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_IF_DOWN), 1);
	net_done(&n);
}

/* RFC 1812 5.2, 5.3.1; DSCP and ECN stay as they are */
static void forwarding(void **state)
{
	struct net n;
	uint16_t h[3];
	berth_if i[4];
	struct bt_addr any = v4(0, 0, 0, 0), any6 = {{0}}, via;
	struct send how = {.tos = 0x4b, .hops = 9};
	struct bt_ipv4 ip;

	(void)state;
	net_init(&n);
	for (unsigned k = 0; k < 3; k++)
		h[k] = (uint16_t)bt_ip_host_add(n.ip);
	i[0] = add_if(&n, h[0], BERTH_IF_ETHERNET, 1500, 1);
	i[1] = add_if(&n, h[1], BERTH_IF_ETHERNET, 1500, 2);
	i[2] = add_if(&n, h[1], 0, 1300, 0);
	i[3] = add_if(&n, h[2], 0, 1300, 0);
	for (unsigned k = 0; k < 4; k++) {
		n.peer[i[k]] = i[k ^ 1];
		add_addr(&n, i[k], v4(10, 0, k / 2, 1 + k), 24);
		add_addr(&n, i[k], v6(1 + k / 2, 1 + k), 64);
	}
	via = v4(10, 0, 0, 2);
	assert_int_equal(bt_ip_route_add(n.ip, h[0], &any, 0, &via, 0, 0), 0);
	via = v6(1, 2);
	assert_int_equal(bt_ip_route_add(n.ip, h[0], &any6, 0, &via, 0, 0), 0);
	via = v4(10, 0, 1, 3);
	assert_int_equal(bt_ip_route_add(n.ip, h[2], &any, 0, &via, 0, 0), 0);
	via = v6(2, 3);
	assert_int_equal(bt_ip_route_add(n.ip, h[2], &any6, 0, &via, 0, 0), 0);
	advance(&n, 3 * SEC);
	forget_logs(&n);

	/* RFC 1122 3.3.1: a host does not forward unless told to */
	send_and_carry(&n, h[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 10, &how);
	assert_int_equal(n.n_gots, 0);
	assert_int_equal(drops(&n, h[1], BERTH_DROP_IP_NOT_FOR_US), 1);
	assert_int_equal(bt_ip_forwarding(n.ip, h[1], true), 0);
	send_and_carry(&n, h[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 10, &how);
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(n.gots[0].rx.hops, 8);
	assert_int_equal(n.gots[0].rx.tos, 0x4b);
	assert_int_equal(n.gots[0].rx.host, h[2]);
	assert_int_equal(bt_ipv4_read(n.frames[n.n_frames - 1].data, n.frames[n.n_frames - 1].len,
				      &ip), /* with its checksum right */
			 BT_IP_OK);
	send_and_carry(&n, h[0], v6(1, 1), v6(2, 4), 10, &how);
	assert_int_equal(n.n_gots, 2);
	assert_int_equal(n.gots[1].rx.hops, 8);
	assert_int_equal(n.gots[1].rx.tos, 0x4b);

	forget_logs(&n);
	how.hops = 1; /* time exceeded, from the router's near address */
	send_and_carry(&n, h[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 10, &how);
	send_and_carry(&n, h[0], v6(1, 1), v6(2, 4), 10, &how);
	assert_int_equal(drops(&n, h[1], BERTH_DROP_IP_TTL), 2);
	assert_int_equal(n.n_gots, 2);
	for (unsigned k = 0; k < 2; k++) {
		assert_int_equal(n.gots[k].kind, BT_IP_ERROR);
		assert_int_equal(n.gots[k].error.error, BERTH_EHOSTUNREACH);
		assert_int_equal(n.gots[k].error.type, k == 0 ? 11 : 3);
		assert_int_equal(n.gots[k].error.proto, 17);
		assert_memory_equal(n.gots[k].data, "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7", 8);
	}
	via = v4(10, 0, 0, 2);
	assert_true(bt_addr_eq(&n.gots[0].error.from, &via));

	forget_logs(&n);
	how.hops = 9; /* no route; too big, with and without DF */
	send_and_carry(&n, h[0], v4(10, 0, 0, 1), v4(99, 0, 1, 4), 10, &how);
	assert_int_equal(n.gots[0].error.error, BERTH_ENETUNREACH);
	assert_int_equal(drops(&n, h[1], BERTH_DROP_IP_NO_ROUTE), 1);
	send_and_carry(&n, h[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 1400, &how);
	assert_int_equal(n.gots[1].kind, BT_IP_PACKET);
	assert_int_equal(n.gots[1].rx.len, 1408);
	how.no_fragment = true;
	send_and_carry(&n, h[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 1400, &how);
	assert_int_equal(n.gots[2].error.error, BERTH_EMSGSIZE);
	assert_int_equal(n.gots[2].error.mtu, 1300);
	send_and_carry(&n, h[0], v6(1, 1), v6(2, 4), 1400, &how);
	assert_int_equal(n.gots[3].error.error, BERTH_EMSGSIZE);
	assert_int_equal(n.gots[3].error.mtu, 1300);
	assert_int_equal(drops(&n, h[1], BERTH_DROP_IP_TOO_BIG), 2);
	net_done(&n);
}

static uint32_t mtu_of(struct net *n, uint16_t host, struct bt_addr dst, uint16_t *flags)
{
	struct bt_addr src = bt_addr_is_v4(&dst) ? v4(10, 0, 0, 1) : v6(1, 1);
	struct bt_path p;

	assert_int_equal(bt_ip_path(n->ip, host, &src, &dst, 0, &p), 0);
	if (flags != NULL)
		*flags = p.flags;
	return p.mtu;
}

/* RFC 1191 6.3, RFC 8201 4 */
static void path_mtu(void **state)
{
	struct net n;
	struct two t;
	struct bt_addr b = v4(10, 0, 0, 2), b6 = v6(1, 2);
	struct bt_path path = {0};
	struct send how = {.path = &path, .no_fragment = true};
	uint32_t generation;
	uint16_t flags;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	assert_int_equal(mtu_of(&n, t.a, b, NULL), 1500);
	send_and_carry(&n, t.a, v4(10, 0, 0, 1), b, 1400, &how);
	generation = bt_ip_generation(n.ip);
	bt_ip_mtu_learned(n.ip, t.a, &b, 1501, n.now);	/* never an increase: RFC 8201 4 */
	bt_ip_mtu_learned(n.ip, t.a, &b6, 1279, n.now); /* below the least: RFC 8201 4 */
	assert_int_equal(bt_ip_generation(n.ip), generation);
	assert_int_equal(mtu_of(&n, t.a, b6, NULL), 1500);
	bt_ip_mtu_learned(n.ip, t.a, &b, 1400, n.now);
	bt_ip_mtu_learned(n.ip, t.a, &b6, 1280, n.now);
	assert_int_not_equal(bt_ip_generation(n.ip), generation);
	assert_int_equal(mtu_of(&n, t.a, b, NULL), 1400);
	assert_int_equal(mtu_of(&n, t.a, b6, NULL), 1280);
	assert_int_equal(mtu_of(&n, t.a, v4(10, 0, 0, 3), NULL), 1500);
	/* a cached path is found again */
	assert_int_equal(send_and_carry(&n, t.a, v4(10, 0, 0, 1), b, 1400, &how), BERTH_EMSGSIZE);
	assert_int_equal(path.mtu, 1400);
	assert_int_equal(send_and_carry(&n, t.a, v4(10, 0, 0, 1), b, 1372, &how), BT_IP_READY);
	advance(&n, 599 * SEC);
	assert_int_equal(mtu_of(&n, t.a, b, NULL), 1400);
	advance(&n, 2 * SEC);
	assert_int_equal(mtu_of(&n, t.a, b, NULL), 1500);
	assert_int_equal(mtu_of(&n, t.a, b6, NULL), 1500);
	/* less than 552 is not believed: there fragments are allowed instead */
	bt_ip_mtu_learned(n.ip, t.a, &b, 68, n.now);
	assert_int_equal(mtu_of(&n, t.a, b, &flags), 552);
	assert_true((flags & BT_PATH_NO_DF) != 0);
	forget_logs(&n);
	assert_int_equal(send_and_carry(&n, t.a, v4(10, 0, 0, 1), b, 1000, &how), BT_IP_TAKEN);
	assert_int_equal(n.gots[n.n_gots - 1].rx.len, 1008);
	/* the table has a bound; the oldest goes */
	for (unsigned k = 0; k < BT_IP_PMTU_MAX; k++) {
		struct bt_addr d = v4(10, 0, k / 256, k % 256);

		d.b[12] = 11;
		bt_ip_mtu_learned(n.ip, t.a, &d, 1000, n.now);
	}
	net_done(&n);
}

/* Who asks for many neighbours that are not there gets errors about them, for which there must be
 * room in the same full table. */
static void full_table_fails(void **state)
{
	struct net n;
	uint16_t h;
	berth_if i;
	uint8_t f[60];
	struct bt_ether e = {.dst = {{2, 0, 0, 0, 0, 1}}, .src = {{2, 9}}, .type = BT_ETHER_IPV4};

	(void)state;
	net_init(&n);
	h = (uint16_t)bt_ip_host_add(n.ip);
	i = add_if(&n, h, BERTH_IF_ETHERNET, 1500, 1);
	add_addr(&n, i, v4(10, 0, 0, 1), 8);
	bt_ip_forwarding(n.ip, h, true);
	bt_ether_write(f, &e);
	for (unsigned k = 0; k < 2 * BT_IP_NEIGH_MAX; k++) {
		make4(f + 14, v4(10, 9, k / 250, k % 250), v4(10, 1, k / 250, k % 250), 17, 9,
		      "datagram", 8);
		give(&n, i, f, 42);
		if (k % 100 == 0)
			advance(&n, 100 * MS);
	}
	assert_int_equal(drops(&n, h, BERTH_DROP_NEIGHBOUR_FULL) > 0, 1);
	advance(&n, 100 * SEC);
	assert_true(drops(&n, h, BERTH_DROP_NEIGHBOUR_FAILED) > BT_IP_NEIGH_MAX / 2);
	net_done(&n);
}

static void limits(void **state)
{
	struct net n;
	uint16_t h;
	struct berth_if_config c = {.flags = BERTH_IF_ETHERNET, .mac = {2}};
	struct bt_addr a;

	(void)state;
	net_init(&n);
	h = (uint16_t)bt_ip_host_add(n.ip);
	for (unsigned k = 0; k < 15; k++) {
		c.mac[5] = (uint8_t)k;
		assert_true(bt_ip_if_add(n.ip, h, &c, n.now) > 0);
	}
	assert_int_equal(bt_ip_if_add(n.ip, h, &c, n.now), BERTH_ENFILE);
	assert_int_equal(bt_ip_if_add(n.ip, 77, &c, n.now), BERTH_ENOENT);
	c.mac[0] = 3;
	assert_int_equal(bt_ip_if_add(n.ip, h, &c, n.now), BERTH_EINVAL);
	c = (struct berth_if_config){.mtu = 65536};
	assert_int_equal(bt_ip_if_add(n.ip, h, &c, n.now), BERTH_EINVAL);
	c.mtu = 67;
	assert_int_equal(bt_ip_if_add(n.ip, h, &c, n.now), BERTH_EINVAL);
	h = (uint16_t)bt_ip_host_add(n.ip);
	c.mtu = 68;
	assert_true(bt_ip_if_add(n.ip, h, &c, n.now) > 0);
	a = v6(1, 1);
	assert_int_equal(bt_ip_addr_add(n.ip, bt_ip_if_of_dev(n.ip, h, 2), &a, 64, n.now),
			 BERTH_EINVAL); /* RFC 8200 5 */
	carry(&n);
	net_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(arp_resolves),
		cmocka_unit_test(arp_fails),
		cmocka_unit_test(arp_hostile),
		cmocka_unit_test(states),
		cmocka_unit_test(nd_hostile),
		cmocka_unit_test(headers),
		cmocka_unit_test(loopback),
		cmocka_unit_test(links),
		cmocka_unit_test(forwarding),
		cmocka_unit_test(path_mtu),
		cmocka_unit_test(limits),
		cmocka_unit_test(full_table_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

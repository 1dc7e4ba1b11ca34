/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP: when an error is sent, how many, and which are believed; echo; multicast groups. */
#include "ip_help.h"

#include "../../lib/wire/igmp.h"
#include "../../lib/wire/mld.h"

/* A router with two links of bare IP: 10.0.0.2 (i), 10.0.1.2 (o), and in IPv6. */
struct router {
	uint16_t h;
	berth_if i, o;
};

static struct router make_router(struct net *n)
{
	struct router r = {(uint16_t)bt_ip_host_add(n->ip), 0, 0};

	r.i = add_if(n, r.h, BERTH_IF_ETHERNET, 1500, 1);
	r.o = add_if(n, r.h, 0, 1500, 0);
	add_addr(n, r.i, v4(10, 0, 0, 2), 24);
	add_addr(n, r.o, v4(10, 0, 1, 2), 24);
	add_addr(n, r.i, v6(1, 2), 64);
	add_addr(n, r.o, v6(2, 2), 64);
	bt_ip_forwarding(n->ip, r.h, true);
	advance(n, 3 * SEC);
	forget_logs(n);
	return r;
}

static void give_frame(struct net *n, berth_if i, bool group, const uint8_t *packet, uint32_t len)
{
	uint8_t f[2000];
	struct bt_ether e = {.dst = {{2, 0, 0, 0, 0, 1}},
			     .src = {{2, 0, 0, 0, 0, 9}},
			     .type = packet[0] >> 4 == 6 ? BT_ETHER_IPV6 : BT_ETHER_IPV4};

	if (group)
		e.dst = bt_mac_broadcast();
	bt_ether_write(f, &e);
	memcpy(f + 14, packet, len);
	give(n, i, f, 14 + len);
}

/* How many ICMP errors follow; those for neighbours that are not known wait, and count. */
static uint32_t errors_about(struct net *n, const struct router *r, bool group, const uint8_t *p,
			     uint32_t len)
{
	uint32_t before, after;

	advance(n, 20 * SEC); /* so that rates do not matter */
	carry(n);
	bt_ip_reap(n->ip);
	forget_logs(n);
	before = bt_ip_copies(n->ip);
	give_frame(n, r->i, group, p, len);
	after = bt_ip_copies(n->ip);
	carry(n);
	return after > before;
}

/* RFC 1122 3.2.2, RFC 1812 4.3.2.7 */
static void rules4(void **state)
{
	const struct bt_addr one = v4(10, 0, 0, 9), us = v4(10, 0, 0, 2), far = v4(10, 0, 1, 9);
	const struct {
		const char *what;
		struct bt_addr src, dst;
		uint8_t proto, ttl, type;
		uint16_t fragment;
		bool group;
		uint32_t want;
	} cases[] = {
		{"unknown protocol", one, us, 200, 9, 0, 0, false, 1},
		{"to a group", one, v4(224, 0, 0, 1), 200, 9, 0, 0, false, 0},
		{"to all", one, v4(255, 255, 255, 255), 200, 9, 0, 0, false, 0},
		{"to all of the link", one, v4(10, 0, 0, 255), 200, 9, 0, 0, false, 0},
		{"in a frame to all", one, us, 200, 9, 0, 0, true, 0},
		{"from nobody", v4(0, 0, 0, 0), us, 200, 9, 0, 0, false, 0},
		{"from a group", v4(224, 0, 0, 9), us, 200, 9, 0, 0, false, 0},
		{"from all", v4(10, 0, 0, 255), us, 200, 9, 0, 0, false, 0},
		{"from class E", v4(240, 0, 0, 1), us, 200, 9, 0, 0, false, 0},
		{"from loopback", v4(127, 0, 0, 1), us, 200, 9, 0, 0, false, 0},
		{"hops used up", one, far, 17, 1, 0, 0, false, 1},
		{"first fragment", one, far, 17, 1, 0, 0x2000, false, 1},
		{"later fragment", one, far, 17, 1, 0, 0x2001, false, 0},
		{"last fragment", one, far, 17, 1, 0, 0x0001, false, 0},
		{"an echo request", one, far, 1, 1, 8, 0, false, 1},
		{"an echo reply", one, far, 1, 1, 0, 0, false, 1},
		{"an error: unreachable", one, far, 1, 1, 3, 0, false, 0},
		{"an error: source quench", one, far, 1, 1, 4, 0, false, 0},
		{"an error: redirect", one, far, 1, 1, 5, 0, false, 0},
		{"an error: time exceeded", one, far, 1, 1, 11, 0, false, 0},
		{"an error: parameter", one, far, 1, 1, 12, 0, false, 0},
		{"no route", one, v4(99, 9, 9, 9), 17, 9, 0, 0, false, 1},
	};
	struct net n;
	struct router r;

	(void)state;
	net_init(&n);
	r = make_router(&n);
	for (unsigned k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		uint8_t p[200], data[32] = {cases[k].type};
		uint32_t len = make4(p, cases[k].src, cases[k].dst, cases[k].proto, cases[k].ttl,
				     data, sizeof(data)),
			 got;

		bt_put16(p + 6, cases[k].fragment);
		bt_put16(p + 10, 0);
		bt_csum_put(p + 10, bt_csum_add(0, p, 20));
		got = errors_about(&n, &r, cases[k].group, p, len);
		if (got != cases[k].want)
			print_error("%s: %u\n", cases[k].what, got);
		assert_int_equal(got, cases[k].want);
	}
	advance(&n, 200 * SEC);
	net_done(&n);
}

/* RFC 4443 2.4 e */
static void rules6(void **state)
{
	const struct bt_addr one = v6(1, 9), us = v6(1, 2), far = v6(2, 9);
	const struct bt_addr all = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
	static const uint8_t skip[] = {59, 0, 0x1e, 4, 0, 0, 0, 0};    /* unknown, passed over */
	static const uint8_t discard[] = {59, 0, 0x5e, 4, 0, 0, 0, 0}; /* not told */
	static const uint8_t tell[] = {59, 0, 0x9e, 4, 0, 0, 0, 0};    /* told always */
	static const uint8_t tell1[] = {59, 0, 0xde, 4, 0, 0, 0, 0};   /* told if sent to one */
	static const uint8_t route[] = {59, 0, 0, 1, 0, 0, 0, 0};      /* RFC 5095 */
	static const uint8_t request[8] = {128}, unreachable[8] = {1}, redirect[8] = {137};
	static const uint8_t udp[8] = {0};
	const struct {
		const char *what;
		struct bt_addr src, dst;
		uint8_t next, hops;
		const uint8_t *data;
		uint32_t want;
	} cases[] = {
		{"unknown next header", one, us, 200, 9, udp, 1},
		{"unknown next header, group", one, all, 200, 9, udp, 0},
		{"no next header", one, us, 59, 9, udp, 0},
		{"from nobody", (struct bt_addr){{0}}, us, 200, 9, udp, 0},
		{"option 00", one, us, 60, 9, skip, 0},
		{"option 01", one, us, 60, 9, discard, 0},
		{"option 10", one, us, 60, 9, tell, 1},
		{"option 10, group", one, all, 60, 9, tell, 1},
		{"option 11", one, us, 60, 9, tell1, 1},
		{"option 11, group", one, all, 60, 9, tell1, 0},
		{"routing header", one, us, 43, 9, route, 1},
		{"hops used up", one, far, 17, 1, udp, 1},
		{"an echo request", one, far, 58, 1, request, 1},
		{"an error", one, far, 58, 1, unreachable, 0},
		{"a redirect", one, far, 58, 1, redirect, 0},
		{"no route", one, v6(9, 9), 17, 9, udp, 1},
	};
	struct net n;
	struct router r;

	(void)state;
	net_init(&n);
	r = make_router(&n);
	for (unsigned k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		uint8_t p[200];
		uint32_t len = make6(p, cases[k].src, cases[k].dst, cases[k].next, cases[k].hops,
				     cases[k].data, 8);
		uint32_t got = errors_about(&n, &r, false, p, len);

		if (got != cases[k].want)
			print_error("%s: %u\n", cases[k].what, got);
		assert_int_equal(got, cases[k].want);
	}
	advance(&n, 200 * SEC);
	net_done(&n);
}

static uint32_t burst(struct net *n, const struct router *r, unsigned sources, unsigned each)
{
	uint64_t was = drops(n, r->h, BERTH_DROP_ICMP_RATE);
	uint8_t p[100];

	for (unsigned k = 0; k < sources * each; k++) {
		make4(p, v4(10, 0, 1, k % sources), v4(10, 0, 1, 2), 200, 9, "12345678", 8);
		p[13] = 7; /* 10.7.x */
		p[14] = (uint8_t)(k % sources / 250);
		p[15] = (uint8_t)(k % sources % 250 + 1);
		bt_put16(p + 10, 0);
		bt_csum_put(p + 10, bt_csum_add(0, p, 20));
		give(n, r->o, p, 28);
	}
	carry(n);
	forget_logs(n);
	return sources * each - (uint32_t)(drops(n, r->h, BERTH_DROP_ICMP_RATE) - was);
}

/* RFC 1812 4.3.2.8, RFC 4443 2.4 f: 6 at once to one, 1 a second; 50 at once to all, less a random
 * part (CVE-2020-25705) */
static void rates(void **state)
{
	struct net n;
	struct router r;
	struct bt_addr any = v4(0, 0, 0, 0), via = v4(10, 0, 1, 9);
	uint32_t all;

	(void)state;
	net_init(&n);
	r = make_router(&n);
	assert_int_equal(bt_ip_route_add(n.ip, r.h, &any, 0, &via, 0, 0), 0);
	assert_int_equal(burst(&n, &r, 1, 30), 6);
	advance(&n, 999 * MS);
	assert_int_equal(burst(&n, &r, 1, 30), 0);
	advance(&n, 1 * MS);
	assert_int_equal(burst(&n, &r, 1, 30), 1);
	advance(&n, 20 * SEC);
	all = burst(&n, &r, 250, 1);
	assert_true(all >= 50 / 3 && all < 50);
	advance(&n, 20 * SEC);
	assert_int_equal(burst(&n, &r, 1, 30), 6);
	net_done(&n);
}

/* RFC 1122 3.2.2.6, RFC 4443 4.2; large ones come and go in fragments */
static void echo(void **state)
{
	static uint8_t m[60000], p[61000];
	const struct bt_addr all = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
	struct net n;
	struct two t;
	struct bt_addr a6 = v6(1, 1), b6 = v6(1, 2);
	struct bt_icmp q = {.kind = BT_ICMP_ECHO, .id = 5, .seq = 6}, reply;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	for (unsigned k = 8; k < sizeof(m); k++)
		m[k] = (uint8_t)(k * 3);
	bt_icmp_write(m, BT_V4, &q);
	sum_icmp(m, 600, NULL, NULL);
	send_and_carry(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 1,
		       NULL); /* they know each other */
	forget_logs(&n);
	give_frame(&n, t.ia, false, p, make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, 9, m, 600));
	carry(&n);
	assert_int_equal(n.n_gots, 1); /* the reply, at b */
	assert_int_equal(n.gots[0].rx.proto, 1);
	assert_int_equal(n.gots[0].rx.len, 600);
	assert_true(bt_icmp_read(n.gots[0].data, 600, BT_V4, &reply));
	assert_int_equal(reply.kind, BT_ICMP_ECHO_REPLY);
	assert_int_equal(reply.id, 5);
	assert_int_equal(reply.seq, 6);
	assert_memory_equal(n.gots[0].data + 8, m + 8, 592);
	/* to all: unanswered */
	give_frame(&n, t.ia, true, p, make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 255), 1, 9, m, 600));
	carry(&n);
	assert_int_equal(n.n_gots, 1);
	/* a wrong checksum */
	m[9] ^= 1;
	give_frame(&n, t.ia, false, p, make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, 9, m, 600));
	carry(&n);
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_ICMP_CHECKSUM), 1);
	/* to all nodes: from our own address */
	bt_icmp_write(m, BT_V6, &q);
	sum_icmp(m, 600, &b6, &all);
	send_and_carry(&n, t.a, a6, b6, 1, NULL);
	forget_logs(&n);
	give_frame(&n, t.ia, true, p, make6(p, b6, all, 58, 9, m, 600));
	carry(&n);
	assert_int_equal(n.n_gots, 1);
	assert_true(bt_addr_eq(&n.gots[0].rx.src, &a6));
	assert_int_equal(n.gots[0].data[0], 129);
	net_done(&n);
}

/* RFC 5927 4.1 begins here: what is quoted must be from us, and there must be enough of it. */
static void errors_in(void **state)
{
	struct net n;
	struct two t;
	uint8_t m[200] = {0}, p[400];
	struct bt_icmp e = {.kind = BT_ICMP_UNREACHABLE, .code = BT_ICMP4_PORT};
	static const struct {
		uint16_t total;
		uint32_t want;
	} old[] = {{1500, 1492}, {1492, 1006}, {65535, 32000}, {68, 68}};

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	bt_icmp_write(m, BT_V4, &e);
	make4(m + 8, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 6, 9, "segment!", 8);
	sum_icmp(m, 36, NULL, NULL);
	give_frame(&n, t.ia, false, p, make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, 9, m, 36));
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(n.gots[0].error.error, BERTH_ECONNREFUSED);
	assert_int_equal(n.gots[0].error.proto, 6);
	assert_int_equal(n.gots[0].error.len, 8);
	assert_false(n.gots[0].error.local);
	assert_memory_equal(n.gots[0].data, "segment!", 8);
	/* 7 bytes are too few */
	sum_icmp(m, 35, NULL, NULL);
	give_frame(&n, t.ia, false, p, make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, 9, m, 35));
	assert_int_equal(drops(&n, t.a, BERTH_DROP_ICMP_MALFORMED), 1);
	/* not from us */
	make4(m + 8, v4(10, 0, 0, 3), v4(10, 0, 0, 2), 6, 9, "segment!", 8);
	sum_icmp(m, 36, NULL, NULL);
	give_frame(&n, t.ia, false, p, make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, 9, m, 36));
	assert_int_equal(drops(&n, t.a, BERTH_DROP_ICMP_UNKNOWN), 1);
	assert_int_equal(n.n_gots, 1);
	/* old routers say no MTU: RFC 1191 5, 7.1 */
	e.kind = BT_ICMP_TOO_BIG;
	bt_icmp_write(m, BT_V4, &e);
	for (unsigned k = 0; k < sizeof(old) / sizeof(old[0]); k++) {
		make4(m + 8, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 6, 9, "segment!", 8);
		bt_put16(m + 10, old[k].total);
		sum_icmp(m, 36, NULL, NULL);
		give_frame(&n, t.ia, false, p,
			   make4(p, v4(10, 0, 0, 2), v4(10, 0, 0, 1), 1, 9, m, 36));
		assert_int_equal(n.n_gots, 2 + k);
		assert_int_equal(n.gots[1 + k].error.error, BERTH_EMSGSIZE);
		assert_int_equal(n.gots[1 + k].error.mtu, old[k].want);
	}
	net_done(&n);
}

/* A port without a socket: on a wire, and to oneself, which no rate limits. */
static void port_unreachable(void **state)
{
	struct net n;
	struct two t;
	struct bt_addr lo = v4(127, 0, 0, 1);

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	for (unsigned k = 0; k < 100; k++) {
		uint8_t packet[28];
		struct bt_rx rx;

		send_and_carry(&n, t.a, lo, lo, 0, NULL);
		assert_int_equal(n.gots[n.n_gots - 1].kind, BT_IP_PACKET);
		rx = n.gots[n.n_gots - 1].rx; /* its packet is gone: another one like it */
		rx.ip_len = make4(packet, lo, lo, 17, 9, n.gots[n.n_gots - 1].data, 8);
		rx.ip = packet;
		bt_ip_port_unreachable(n.ip, &rx, n.now);
		carry(&n);
		assert_int_equal(n.gots[n.n_gots - 1].kind, BT_IP_ERROR);
		assert_int_equal(n.gots[n.n_gots - 1].error.error, BERTH_ECONNREFUSED);
	}
	net_done(&n);
}

/* ---- groups ---- */

/* Messages of IGMP or MLD in the log that left by i; the last one in *m. */
static unsigned igmp(const struct net *n, berth_if i, struct bt_igmp *m, const uint8_t **data)
{
	unsigned count = 0;

	for (uint32_t k = 0; k < n->n_frames; k++) {
		const struct frame *f = &n->frames[k];
		struct bt_ipv4 h;

		if (f->i != i || bt_ipv4_read(f->data + 14, f->len - 14, &h) != BT_IP_OK ||
		    h.proto != 2)
			continue;
		assert_int_equal(h.ttl, 1); /* RFC 3376 4 */
		assert_true(h.router_alert);
		*data = f->data + 14 + h.header_len;
		assert_true(bt_csum_ok(bt_csum_add(0, *data, h.total_len - h.header_len)));
		assert_true(bt_igmp_read(*data, (size_t)h.total_len - h.header_len, m));
		count++;
	}
	return count;
}

static unsigned mld(const struct net *n, berth_if i, struct bt_mld *m, const uint8_t **data)
{
	unsigned count = 0;

	for (uint32_t k = 0; k < n->n_frames; k++) {
		const struct frame *f = &n->frames[k];
		struct bt_ipv6_ext ext;
		struct bt_ipv6 h;

		if (f->i != i || bt_ipv6_read(f->data + 14, f->len - 14, &h) != BT_IP_OK ||
		    bt_ipv6_walk(f->data + 14, f->len - 14, 40, h.next, 6, &ext) != BT_IP_OK)
			continue;
		*data = f->data + 14 + ext.at;
		if (bt_mld_read(*data, f->len - 14 - ext.at, &h.src, h.hops, ext.router_alert, m)) {
			assert_true(bt_csum_ok(bt_csum_add(
				bt_csum_pseudo(&h.src, &h.dst, 58, f->len - 14 - ext.at), *data,
				f->len - 14 - ext.at)));
			count++;
		}
	}
	return count;
}

static void give_igmp(struct net *n, berth_if i, struct bt_addr dst, const uint8_t *m, uint32_t len,
		      uint8_t ttl)
{
	uint8_t p[100], copy[40];

	memcpy(copy, m, len);
	sum_icmp(copy, len, NULL, NULL);
	give_frame(n, i, true, p, make4(p, v4(10, 0, 0, 9), dst, 2, ttl, copy, len));
}

/* RFC 3376 5.1, 5.2, 7.2.1 */
static void igmp_host(void **state)
{
	static const uint8_t general3[12] = {0x11, 100}, general2[8] = {0x11, 100};
	const struct bt_addr all = v4(224, 0, 0, 1), g = v4(239, 1, 2, 3), g2 = v4(239, 1, 2, 4);
	uint8_t specific[12] = {0x11, 10, 0, 0, 239, 1, 2, 4},
		other[8] = {0x16, 0, 0, 0, 239, 1, 2, 3};
	const uint8_t *data = NULL;
	struct bt_igmp m;
	struct net n;
	struct two t;
	berth_if i;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	n.peer[t.ia] = 0;
	assert_int_equal(bt_ip_join(n.ip, t.a, &g, 0, &i, n.now), BERTH_ENETUNREACH);
	assert_int_equal(bt_ip_join(n.ip, t.a, &g, t.ia, &i, n.now), 0);
	assert_int_equal(i, t.ia);
	assert_int_equal(bt_ip_join(n.ip, t.a, &g, t.ia, NULL, n.now), 0); /* another socket */
	advance(&n, 5 * SEC);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 2); /* robustness */
	assert_int_equal(m.type, BT_IGMP_REPORT3);
	assert_int_equal(data[8], BT_GROUP_TO_EXCLUDE);
	assert_memory_equal(data + 12, "\xef\x01\x02\x03", 4);
	assert_int_equal(bt_ip_join(n.ip, t.a, &g2, t.ia, NULL, n.now), 0);
	advance(&n, 5 * SEC);
	forget_logs(&n);
	/* a query with a hop limit of more than the link is a forgery */
	give_igmp(&n, t.ia, all, general3, 12, 2);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_GROUP_MALFORMED), 1);
	give_igmp(&n, t.ia, all, general3, 12, 1);
	advance(&n, 11 * SEC);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 1); /* one report for both */
	assert_int_equal(m.n_records, 2);
	assert_int_equal(data[8], BT_GROUP_IS_EXCLUDE);
	give_igmp(&n, t.ia, g2, specific, 12, 1);
	advance(&n, 2 * SEC);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 2);
	assert_int_equal(m.n_records, 1);
	/* leaving: told twice, once the last socket has left */
	forget_logs(&n);
	assert_int_equal(bt_ip_leave(n.ip, t.a, &g, t.ia, n.now), 0);
	advance(&n, 5 * SEC);
	assert_int_equal(n.n_frames, 0);
	assert_int_equal(bt_ip_leave(n.ip, t.a, &g, t.ia, n.now), 0);
	assert_int_equal(bt_ip_leave(n.ip, t.a, &g, t.ia, n.now), BERTH_EADDRNOTAVAIL);
	advance(&n, 5 * SEC);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 2);
	assert_int_equal(data[8], BT_GROUP_TO_INCLUDE);
	/* a querier of version 2: its reports, which another member's spares, and its leave */
	assert_int_equal(bt_ip_join(n.ip, t.a, &g, t.ia, NULL, n.now), 0);
	advance(&n, 5 * SEC);
	forget_logs(&n);
	give_igmp(&n, t.ia, all, general2, 8, 1);
	give_igmp(&n, t.ia, g, other, 8, 1);
	advance(&n, 11 * SEC);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 1);
	assert_int_equal(m.type, BT_IGMP_REPORT2);
	assert_true(bt_addr_eq(&m.group, &g2));
	forget_logs(&n);
	assert_int_equal(bt_ip_leave(n.ip, t.a, &g, t.ia, n.now), 0); /* not the last reporter */
	assert_int_equal(bt_ip_leave(n.ip, t.a, &g2, t.ia, n.now), 0);
	advance(&n, 5 * SEC);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 1);
	assert_int_equal(m.type, BT_IGMP_LEAVE);
	/* forgotten after 260 s */
	advance(&n, 261 * SEC);
	forget_logs(&n);
	assert_int_equal(bt_ip_join(n.ip, t.a, &g, t.ia, NULL, n.now), 0);
	carry(&n);
	assert_int_equal(igmp(&n, t.ia, &m, &data), 1);
	assert_int_equal(m.type, BT_IGMP_REPORT3);
	net_done(&n);
}

/* RFC 3810 6.1, 8.2.1; RFC 4291 2.8: the solicited-node group is joined too */
static void mld_host(void **state)
{
	const struct bt_addr all = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
	const struct bt_addr g = {{0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7}};
	const struct bt_addr querier = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
	const uint8_t *data = NULL;
	uint8_t m[8 + 28] = {58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0, 0x03, 0xe8}, p[100];
	struct bt_mld got;
	struct net n;
	struct two t;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	n.peer[t.ia] = 0;
	assert_int_equal(bt_ip_join(n.ip, t.a, &g, 0, NULL, n.now), 0);
	advance(&n, 5 * SEC);
	assert_int_equal(mld(&n, t.ia, &got, &data), 2);
	assert_int_equal(got.type, BT_MLD_REPORT2);
	assert_int_equal(data[8], BT_GROUP_TO_EXCLUDE);
	forget_logs(&n);
	sum_icmp(m + 8, 28, &querier, &all);
	give_frame(&n, t.ia, true, p, make6(p, querier, all, 0, 1, m, 36));
	advance(&n, 2 * SEC);
	assert_int_equal(mld(&n, t.ia, &got, &data), 1);
	assert_int_equal(got.n_records, 2); /* with that of our addresses, which end alike */
	/* a querier of version 1 */
	forget_logs(&n);
	sum_icmp(m + 8, 24, &querier, &all);
	give_frame(&n, t.ia, true, p, make6(p, querier, all, 0, 1, m, 32));
	advance(&n, 2 * SEC);
	assert_int_equal(mld(&n, t.ia, &got, &data), 2);
	assert_int_equal(got.type, BT_MLD_REPORT1);
	forget_logs(&n);
	assert_int_equal(bt_ip_leave(n.ip, t.a, &g, t.ia, n.now), 0);
	carry(&n);
	assert_int_equal(mld(&n, t.ia, &got, &data), 1);
	assert_int_equal(got.type, BT_MLD_DONE);
	/* from elsewhere: not believed */
	make6(p, v6(1, 9), all, 0, 1, m, 32);
	give_frame(&n, t.ia, true, p, 72);
	assert_int_equal(drops(&n, t.a, BERTH_DROP_ICMP_CHECKSUM) +
				 drops(&n, t.a, BERTH_DROP_GROUP_MALFORMED),
			 1);
	net_done(&n);
}

/* RFC 1112 6.1, 7.2: who has joined gets it, the sender's host too unless it says no; hops of 0
 * stay at home */
static void group_packets(void **state)
{
	struct net n;
	struct two t;
	struct bt_addr g = v4(239, 1, 2, 3), a = v4(10, 0, 0, 1), all = v4(255, 255, 255, 255);
	struct send how = {.hops = 1};
	uint64_t before;

	(void)state;
	net_init(&n);
	t = two_hosts(&n);
	before = drops(&n, t.b, BERTH_DROP_IP_GROUP); /* of reports, which are for routers */
	send_and_carry(&n, t.a, a, g, 10, &how);      /* by the source address's interface */
	assert_int_equal(n.n_frames, 1);
	assert_memory_equal(n.frames[0].data, "\x01\x00\x5e\x01\x02\x03", 6); /* RFC 1112 6.4 */
	assert_int_equal(drops(&n, t.b, BERTH_DROP_IP_GROUP), before + 1);
	assert_int_equal(n.n_gots, 0);
	bt_ip_join(n.ip, t.a, &g, t.ia, NULL, n.now);
	bt_ip_join(n.ip, t.b, &g, t.ib, NULL, n.now);
	advance(&n, 5 * SEC);
	forget_logs(&n);
	send_and_carry(&n, t.a, a, g, 10, &how);
	assert_int_equal(n.n_gots, 2);
	assert_true(n.gots[0].rx.multicast && n.gots[1].rx.multicast);
	assert_int_equal(n.gots[0].rx.host + n.gots[1].rx.host, t.a + t.b);
	how.no_loop = true;
	send_and_carry(&n, t.a, a, g, 10, &how);
	assert_int_equal(n.n_gots, 3);
	assert_int_equal(n.gots[2].rx.host, t.b);
	how.no_loop = false;
	send_and_carry(&n, t.a, a, all, 10, &how);
	assert_int_equal(n.n_gots, 5);
	send_and_carry(&n, t.a, a, v4(10, 0, 0, 255), 10, &how);
	assert_int_equal(n.n_gots, 7);
	net_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules4),	 cmocka_unit_test(rules6),
		cmocka_unit_test(rates),	 cmocka_unit_test(echo),
		cmocka_unit_test(errors_in),	 cmocka_unit_test(port_unreachable),
		cmocka_unit_test(igmp_host),	 cmocka_unit_test(mld_host),
		cmocka_unit_test(group_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

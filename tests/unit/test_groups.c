/* SPDX-License-Identifier: Apache-2.0 */
/* Groups and broadcast: memberships, ways, and who gets a copy. What programs see of it is in
 * tests/system/groups.py. */
#include "net_help.h"

#include "../../lib/sock/groups.h"

#define ETH0 2
#define ETH1 3

static const struct bt_addr any6 = {{0}}, g6 = {{[0] = 0xff, [1] = 5, [15] = 1}},
			    all_nodes = {{[0] = 0xff, [1] = 2, [15] = 1}};

static uint32_t dgram(struct bt_net *net, uint16_t host, enum bt_family family, struct bt_addr addr,
		      uint16_t port)
{
	uint32_t slot;

	assert_int_equal(bt_net_sock(net, host, BT_UDP, family, 0, &slot), 0);
	bt_port_set_opts(bt_net_ports(net), slot, BT_REUSEADDR);
	if (port != 0)
		assert_int_equal(bind_at(net, slot, addr, port), 0);
	return slot;
}

static void close_all(struct bt_net *net, const uint32_t *slots, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bt_net_closed(net, slots[i], 0);
	end(net, 0);
}

/* ---- memberships ---- */

static void joins_and_leaves(void **state)
{
	struct bt_net *net = make(64);
	const struct bt_addr g = ip(239, 1, 1, 1);
	uint32_t s[] = {dgram(net, 1, BT_V4, ip(0, 0, 0, 0), 0), dgram(net, 0, BT_V6, any6, 0)};
	struct bt_addr group;
	uint8_t dev;

	(void)state;
	assert_int_equal(bt_net_group_leave(net, s[0], &g, 0), -EADDRNOTAVAIL);
	assert_int_equal(bt_net_group_join(net, s[0], &g, 0), 0);
	assert_int_equal(bt_net_group_join(net, s[0], &g, ETH0), -EADDRINUSE);
	assert_int_equal(bt_net_group_join(net, s[0], &g, ETH1), 0);
	assert_int_equal(bt_net_group_join(net, s[0], &g, ETH1 + 1), -ENODEV);
	assert_int_equal(bt_net_group_join(net, s[0], &(struct bt_addr){{0}}, 0), -EINVAL);
	assert_true(bt_net_group_get(net, 1, 1, &group, &dev));
	assert_true(bt_addr_eq(&group, &g) && dev == ETH0);
	assert_false(bt_net_group_get(net, 1, 2, &group, &dev));
	/* IPv4: without an interface, the one that the routes lead to; IPv6: any */
	assert_int_equal(bt_net_group_leave(net, s[0], &g, 0), 0);
	assert_int_equal(bt_net_group_leave(net, s[0], &g, 0), -EADDRNOTAVAIL);
	assert_int_equal(bt_net_group_leave(net, s[0], &g, ETH1), 0);
	assert_int_equal(bt_net_group_join(net, s[1], &g6, BT_DEV_LO), 0);
	assert_int_equal(bt_net_group_join(net, s[1], &g6, 0), -EADDRINUSE);
	assert_int_equal(bt_net_group_join(net, s[1], &g6, ETH0), 0);
	assert_int_equal(bt_net_group_leave(net, s[1], &g6, 0), 0);
	assert_int_equal(bt_net_group_leave(net, s[1], &g6, 0), 0);
	assert_int_equal(bt_net_group_leave(net, s[1], &g6, 0), -EADDRNOTAVAIL);
	assert_int_equal(bt_net_group_leave(net, s[1], &any6, 0), -EINVAL);
	assert_false(bt_net_group_get(net, 0, 0, &group, &dev));
	close_all(net, s, 2);
}

static void bounds(void **state)
{
	struct bt_net *net = make(64);
	uint32_t s = dgram(net, 0, BT_V6, any6, 0);
	struct bt_addr g = g6, group;
	uint8_t dev;

	(void)state;
	for (unsigned i = 0; i <= BT_NET_GROUPS4; i++) {
		struct bt_addr g4 = ip(239, 2, 0, i);

		assert_int_equal(bt_net_group_join(net, s, &g4, 0),
				 i < BT_NET_GROUPS4 ? 0 : -ENOBUFS);
	}
	for (unsigned i = 0; i <= BT_NET_GROUPS6; i++) {
		g.b[13] = (uint8_t)(i >> 8);
		g.b[14] = (uint8_t)i;
		assert_int_equal(bt_net_group_join(net, s, &g, 0),
				 i < BT_NET_GROUPS6 ? 0 : -ENOMEM);
	}
	/* a close leaves all of them */
	bt_net_closed(net, s, 0);
	assert_false(bt_net_group_get(net, 0, 0, &group, &dev));
	end(net, 0);
}

/* ---- ways ---- */

static int way(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint8_t dev, bool may,
	       struct bt_net_spread *s)
{
	*s = (struct bt_net_spread){.dst = dst, .dev = dev, .may_broadcast = may};
	return bt_net_spread(net, slot, s);
}

static void ways(void **state)
{
	struct bt_net *net = make(64);
	const struct bt_addr g = ip(239, 1, 1, 1), ones = ip(255, 255, 255, 255);
	uint32_t s[] = {dgram(net, 1, BT_V4, ip(0, 0, 0, 0), 0),
			dgram(net, 1, BT_V4, ip(10, 0, 0, 2), 7),
			dgram(net, 1, BT_V4, ip(127, 0, 0, 1), 7), dgram(net, 0, BT_V6, any6, 0),
			dgram(net, 2, BT_V6, any6, 0)};
	struct bt_net_spread w;

	(void)state;
	assert_int_equal(way(net, s[0], g, 0, false, &w), 0);
	assert_true(w.dev == ETH0 && bt_addr_to_v4(&w.src) == 0x0a010002 && !w.broadcast);
	assert_int_equal(way(net, s[0], g, ETH1, false, &w), 0);
	assert_true(w.dev == ETH1 && bt_addr_to_v4(&w.src) == 0x0a000002);
	/* to lo, from an address that others know */
	assert_int_equal(way(net, s[0], g, BT_DEV_LO, false, &w), 0);
	assert_true(w.dev == BT_DEV_LO && bt_addr_to_v4(&w.src) == 0x0a010002);
	assert_int_equal(way(net, s[0], g, 9, false, &w), -ENODEV);
	/* a source names its interface */
	assert_int_equal(way(net, s[1], g, 0, false, &w), 0);
	assert_true(w.dev == ETH1 && bt_addr_to_v4(&w.src) == 0x0a000002);
	assert_int_equal(way(net, s[2], g, 0, false, &w), 0);
	assert_int_equal(w.dev, BT_DEV_LO);
	/* broadcast */
	assert_int_equal(way(net, s[0], ones, 0, false, &w), -EACCES);
	assert_int_equal(way(net, s[0], ones, 0, true, &w), 0);
	assert_true(w.dev == ETH0 && w.broadcast);
	assert_int_equal(way(net, s[0], ip(10, 0, 0, 255), 0, true, &w), 0);
	assert_true(w.dev == ETH1 && bt_addr_to_v4(&w.src) == 0x0a000002);
	assert_int_equal(way(net, s[2], ip(10, 0, 0, 255), 0, true, &w), -EINVAL);
	assert_int_equal(way(net, s[0], ip(127, 255, 255, 255), 0, true, &w), 0);
	assert_int_equal(w.dev, BT_DEV_LO);
	/* of another prefix it is an address like others */
	const struct bt_addr other = ip(10, 0, 0, 255);
	assert_true(bt_net_is_many(net, 1, &other) && !bt_net_is_many(net, 0, &other));
	/* IPv6 */
	assert_int_equal(way(net, s[3], g6, 0, false, &w), 0);
	assert_true(w.dev == ETH0 && bt_addr_eq(&w.src, &ula1));
	assert_int_equal(way(net, s[3], g6, BT_DEV_LO, false, &w), -ENETUNREACH);
	assert_int_equal(way(net, s[3], g, 0, false, &w), 0); /* dual-stack */
	assert_int_equal(way(net, s[4], g6, 0, false, &w), -EADDRNOTAVAIL);
	assert_int_equal(way(net, s[0], g6, 0, false, &w), -ENETUNREACH);
	close_all(net, s, 5);
}

/* ---- copies ---- */

static struct bt_net_copy out[8];

static uint32_t copies(struct bt_net *net, uint32_t from, struct bt_addr dst, uint16_t to)
{
	struct bt_net_spread s;

	assert_int_equal(way(net, from, dst, 0, true, &s), 0);
	return bt_net_copies(net, &s, 5000, 7, to, out, 8);
}

static void one_copy_a_socket(void **state)
{
	struct bt_net *net = make(64);
	const struct bt_addr g = ip(239, 1, 1, 1), any4 = ip(0, 0, 0, 0);
	uint32_t from = dgram(net, 0, BT_V4, any4, 0), a = dgram(net, 1, BT_V4, any4, 7),
		 b = dgram(net, 1, BT_V4, g, 7), c = dgram(net, 1, BT_V4, any4, 8),
		 d = dgram(net, 1, BT_V4, ip(10, 1, 0, 2), 7);
	const uint32_t all[] = {from, a, b, c, d};

	(void)state;
	assert_int_equal(copies(net, from, g, 1), 0); /* nobody has joined */
	assert_int_equal(bt_net_group_join(net, c, &g, ETH1), 0);
	assert_int_equal(copies(net, from, g, 1), 2); /* IP_MULTICAST_ALL */
	assert_true(out[0].dev == ETH1 && out[1].dev == ETH1);
	bt_net_group_all(net, b, true, false);
	assert_int_equal(copies(net, from, g, 1), 1);
	assert_int_equal(out[0].slot, a);
	/* the first interface that is right for it */
	assert_int_equal(bt_net_group_join(net, a, &g, ETH0), 0);
	assert_int_equal(bt_net_group_join(net, b, &g, ETH1), 0);
	for (unsigned on = 0; on < 2; on++) {
		bt_net_group_all(net, a, true, on);
		assert_int_equal(copies(net, from, g, 1), 2);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(out[i].dev, out[i].slot == a && !on ? ETH0 : ETH1);
	}
	bt_port_set_dev(bt_net_ports(net), a, ETH1);
	assert_int_equal(copies(net, from, g, 1), 2); /* what others have joined there */
	bt_net_group_all(net, a, true, false);
	assert_int_equal(copies(net, from, g, 1), 1);
	assert_int_equal(copies(net, from, g, 2), 0);
	/* all hosts are members of this one */
	assert_int_equal(copies(net, from, ip(224, 0, 0, 1), 1), 0);
	bt_net_group_all(net, a, true, true);
	assert_int_equal(copies(net, from, ip(224, 0, 0, 1), 1), 1);
	/* a list that is too short is told */
	struct bt_net_spread s;
	assert_int_equal(way(net, from, g, 0, false, &s), 0);
	assert_int_equal(bt_net_copies(net, &s, 5000, 7, 1, NULL, 0), 2);
	assert_int_equal(bt_net_hears(net, &s, 5000, 7, b), ETH1);
	assert_int_equal(bt_net_hears(net, &s, 5000, 8, b), 0);
	assert_int_equal(bt_net_hears(net, &s, 5000, 7, d), 0);
	close_all(net, all, 5);
}

static void own_host_and_broadcast(void **state)
{
	struct bt_net *net = make(64);
	const struct bt_addr any4 = ip(0, 0, 0, 0), g = ip(239, 1, 1, 1);
	uint32_t from = dgram(net, 1, BT_V4, any4, 7), six = dgram(net, 1, BT_V6, any6, 7),
		 near = dgram(net, 0, BT_V4, any4, 7), far = dgram(net, 2, BT_V4, any4, 7);
	const uint32_t all[] = {from, six, near, far};

	(void)state;
	/* to all, everybody; of a prefix, who has it as its own */
	assert_int_equal(copies(net, from, ip(255, 255, 255, 255), 0), 1);
	assert_int_equal(copies(net, from, ip(255, 255, 255, 255), 2), 1);
	assert_int_equal(copies(net, from, ip(255, 255, 255, 255), 1), 2);
	assert_int_equal(copies(net, from, ip(10, 0, 0, 255), 1), 2);
	assert_int_equal(out[0].dev, ETH1);
	assert_int_equal(copies(net, from, ip(10, 0, 0, 255), 0), 0);
	assert_int_equal(copies(net, near, ip(10, 255, 255, 255), 0), 1);
	/* by the interface that it leaves by; of IPv6 sockets none hears it but who has joined */
	assert_int_equal(bt_net_group_join(net, from, &g, ETH1), 0);
	assert_int_equal(copies(net, from, g, 1), 0);
	assert_int_equal(bt_net_group_join(net, from, &g, ETH0), 0);
	assert_int_equal(copies(net, from, g, 1), 1);
	assert_int_equal(bt_net_group_join(net, six, &g, ETH0), 0);
	assert_int_equal(copies(net, from, g, 1), 2);
	/* a socket that is connected hears its peer alone */
	struct bt_reason why;
	assert_int_equal(bt_net_udp_connect(net, far, ip(10, 0, 0, 1), 7, 0, &why), 0);
	assert_int_equal(copies(net, from, ip(255, 255, 255, 255), 2), 0);
	close_all(net, all, 4);
}

static void six(void **state)
{
	struct bt_net *net = make(64);
	uint16_t owner;
	const struct bt_addr ula2 = {{[0] = 0xfd, [15] = 2}};
	uint32_t from = dgram(net, 0, BT_V6, any6, 0);

	(void)state;
	assert_int_equal(give(net, 2, ula2, 64, &owner), 0);
	uint32_t a = dgram(net, 2, BT_V6, any6, 7);
	const uint32_t all[] = {from, a};
	assert_int_equal(copies(net, from, g6, 2), 0);
	assert_int_equal(copies(net, from, all_nodes, 2), 1);
	assert_int_equal(bt_net_group_join(net, a, &g6, 0), 0);
	assert_int_equal(copies(net, from, g6, 2), 1);
	bt_net_group_all(net, a, false, false);
	assert_int_equal(copies(net, from, g6, 2), 1);
	assert_int_equal(copies(net, from, all_nodes, 2), 0);
	close_all(net, all, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_and_leaves),
		cmocka_unit_test(bounds),
		cmocka_unit_test(ways),
		cmocka_unit_test(one_copy_a_socket),
		cmocka_unit_test(own_host_and_broadcast),
		cmocka_unit_test(six),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

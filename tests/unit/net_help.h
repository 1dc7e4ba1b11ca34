/* SPDX-License-Identifier: Apache-2.0 */
/* A network of three hosts for the tests of lib/sock. */
#ifndef BERTH_TESTS_NET_HELP_H
#define BERTH_TESTS_NET_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/sock/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEC 1000000000ull

static const uint8_t key[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static inline struct bt_addr ip(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return bt_addr_v4((uint32_t)(a << 24 | b << 16 | c << 8 | d));
}

static const struct bt_addr ula1 = {{[0] = 0xfd, [15] = 1}};

static inline int give(struct bt_net *net, uint16_t host, struct bt_addr addr, uint8_t bits,
		       uint16_t *owner)
{
	struct bt_net_addr a = {
		.addr = addr, .bits = bits, .family = bt_addr_is_v4(&addr) ? BT_V4 : BT_V6};

	return bt_net_addr_add(net, host, &a, owner);
}

static inline void drain(struct bt_net *net)
{
	uint8_t flags;

	while (bt_net_changed(net, &flags) != BT_NO_SLOT)
		;
}

/* Three hosts: 0 is 10.0.0.1/8 and fd00::1/64; 1 is 10.1.0.2/16 and 10.0.0.2/24; 2 is
 * 192.168.1.3/24. */
static inline struct bt_net *make(uint32_t slots)
{
	static const char *const names[] = {"web", "db", "far"};
	struct bt_net *net = bt_net_new(key, slots);
	uint16_t host, owner;

	assert_non_null(net);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(bt_net_host_add(net, names[i], &host), 0);
		assert_int_equal(host, i);
	}
	assert_int_equal(give(net, 0, ip(10, 0, 0, 1), 8, &owner), 0);
	assert_int_equal(give(net, 0, ula1, 64, &owner), 0);
	assert_int_equal(give(net, 1, ip(10, 1, 0, 2), 16, &owner), 0);
	assert_int_equal(give(net, 1, ip(10, 0, 0, 2), 24, &owner), 0);
	assert_int_equal(give(net, 2, ip(192, 168, 1, 3), 24, &owner), 0);
	return net;
}

/* Everything was closed: after TIME_WAIT nothing may be left. */
static inline void end(struct bt_net *net, uint64_t now)
{
	bt_net_advance(net, now + 61 * SEC);
	drain(net);
	bt_port_check(bt_net_ports(net));
	assert_int_equal(bt_port_count(bt_net_ports(net)), 0);
	assert_true(bt_net_deadline(net) == UINT64_MAX);
	bt_net_free(net);
}

static inline uint32_t sock(struct bt_net *net, uint16_t host, enum bt_proto proto)
{
	uint32_t slot;

	assert_int_equal(bt_net_sock(net, host, proto, BT_V4, 0, &slot), 0);
	return slot;
}

static inline struct bt_port_info info(struct bt_net *net, uint32_t slot)
{
	struct bt_port_info i;

	assert_true(bt_port_get(bt_net_ports(net), slot, &i));
	return i;
}

static inline int bind_at(struct bt_net *net, uint32_t slot, struct bt_addr addr, uint16_t port)
{
	struct bt_reason why;

	return bt_net_bind(net, slot, &addr, port, true, 0, &why);
}

static inline uint32_t listener(struct bt_net *net, uint16_t host, struct bt_addr addr,
				uint16_t port)
{
	uint32_t slot = sock(net, host, BT_TCP);
	struct bt_reason why;

	bt_port_set_opts(bt_net_ports(net), slot, BT_REUSEADDR);
	assert_int_equal(bind_at(net, slot, addr, port), 0);
	assert_int_equal(bt_net_listen(net, slot, 0, &why), 0);
	return slot;
}

static inline int connect_at(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
			     uint64_t now, uint32_t *child)
{
	struct bt_reason why;
	uint32_t l;

	return bt_net_connect(net, slot, dst, port, now, child, &l, &why);
}

#endif

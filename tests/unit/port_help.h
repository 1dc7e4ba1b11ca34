/* SPDX-License-Identifier: Apache-2.0 */
/* One host's ports, for the tests of lib/port. */
#ifndef BERTH_TESTS_PORT_HELP_H
#define BERTH_TESTS_PORT_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/port/port.h"

#include <errno.h>
#include <stdlib.h>

#define SEC 1000000000ull
#define RA  BT_REUSEADDR
#define RP  BT_REUSEPORT

static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static inline struct bt_port_net *make(uint32_t slots)
{
	struct bt_port_net *net = bt_port_net_new(key, slots);

	assert_non_null(net);
	assert_int_equal(bt_port_host_add(net, 0), 0);
	assert_int_equal(bt_port_host_add(net, 0), -EEXIST);
	return net;
}

static inline void end(struct bt_port_net *net)
{
	bt_port_check(net);
	for (uint32_t slot = 0; bt_port_count(net) > 0; slot++)
		bt_port_free(net, slot);
	bt_port_check(net);
	assert_int_equal(bt_port_host_del(net, 0), 0);
	bt_port_net_free(net);
}

static inline uint32_t sock(struct bt_port_net *net, enum bt_proto proto, enum bt_family family,
			    unsigned opts, uint32_t uid)
{
	uint32_t slot;

	assert_int_equal(bt_port_new(net, 0, proto, family, uid, &slot), 0);
	bt_port_set_opts(net, slot, opts);
	return slot;
}

static inline struct bt_addr address(const char *name)
{
	static const struct {
		const char *name;
		struct bt_addr addr;
	} known[] = {
		{"0.0.0.0", {{[10] = 0xff, [11] = 0xff}}},
		{"10.0.0.1", {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}}},
		{"10.0.0.2", {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 2}}},
		{"127.0.0.1", {{[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}}},
		{"127.5.5.5", {{[10] = 0xff, [11] = 0xff, 127, 5, 5, 5}}},
		{"::", {{0}}},
		{"::1", {{[15] = 1}}},
		{"fd00::1", {{[0] = 0xfd, [15] = 1}}},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].addr;
	fail();
	return known[0].addr;
}

static inline int bind_to(struct bt_port_net *net, uint32_t slot, const char *addr, uint16_t port,
			  struct bt_reason *why)
{
	struct bt_addr a = address(addr);

	return bt_port_bind(net, slot, &a, port, true, 0, why);
}

static inline uint16_t port_of(struct bt_port_net *net, uint32_t slot)
{
	struct bt_port_info i;

	assert_true(bt_port_get(net, slot, &i));
	return i.lport;
}

static inline int connect_to(struct bt_port_net *net, uint32_t slot, const char *src,
			     const char *dst, uint16_t port, uint64_t now, uint32_t *taken,
			     struct bt_reason *why)
{
	struct bt_addr s = address(src), d = address(dst);

	return bt_port_connect(net, slot, &s, &d, port, now, taken, why);
}

#endif

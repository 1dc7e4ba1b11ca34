/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, addresses, routes, and who is reached. The ends of connections are in test_ends.c. */
#include "net_help.h"

static const struct bt_addr any6 = {{0}}, one6 = {{[15] = 1}}, ula2 = {{[0] = 0xfd, [15] = 2}};

/* ---- hosts ---- */

static void host_names(void **state)
{
	static const struct {
		const char *name;
		int want;
	} names[] = {
		{"a", 0},
		{"web-1.example_x", 0},
		{"9lives", 0},
		{"1.2.3.x", 0},
		{"A", -EEXIST},
		{"WEB-1.EXAMPLE_X", -EEXIST},
		{"", -EINVAL},
		{"-a", -EINVAL},
		{".a", -EINVAL},
		{"_a", -EINVAL},
		{"a b", -EINVAL},
		{"a/b", -EINVAL},
		{"a\n", -EINVAL},
		{"h\xc3\xa9", -EINVAL},
		{"localhost", -EINVAL},
		{"LocalHost", -EINVAL},
		{"1", -EINVAL},
		{"1.2.3.4", -EINVAL},
		{"10.0", -EINVAL},
		{"a:b", -EINVAL},
		{"localhost2", 0},
	};
	struct bt_net *net = bt_net_new(key, 16);
	char name[66];
	uint16_t host = 77, made = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int r = bt_net_host_add(net, names[i].name, &host);

		if (r != names[i].want)
			fail_msg("host name '%s': %d, not %d", names[i].name, r, names[i].want);
		if (r == 0)
			assert_int_equal(host, made++);
	}
	memset(name, 'x', sizeof(name));
	name[64] = '\0'; /* 64 characters: one too many */
	assert_int_equal(bt_net_host_add(net, name, &host), -EINVAL);
	name[63] = '\0';
	assert_int_equal(bt_net_host_add(net, name, &host), 0);
	made++;
	assert_int_equal(bt_net_hosts(net), made);
	assert_int_equal(bt_net_host_add(net, "a", &host), -EEXIST);
	assert_int_equal(host, 0);
	assert_int_equal(bt_net_host_by_name(net, "WEB-1.example_X"), 1);
	assert_int_equal(bt_net_host_by_name(net, "nobody"), BT_NET_NO_HOST);
	assert_int_equal(bt_net_host_by_name(net, ""), BT_NET_NO_HOST);
	assert_null(bt_net_host(net, made));
	assert_null(bt_net_host(net, BT_NET_NO_HOST));
	assert_string_equal(bt_net_host(net, 0)->name, "a");
	assert_int_equal(bt_net_host(net, 0)->n_addrs, 2);
	assert_int_equal(bt_net_host(net, 0)->addrs[0].bits, 8);
	assert_true(bt_addr_is_loopback(&bt_net_host(net, 0)->addrs[0].addr));
	assert_int_equal(bt_net_host(net, 0)->addrs[1].bits, 128);
	assert_true(bt_addr_is_loopback(&bt_net_host(net, 0)->addrs[1].addr));
	bt_net_free(net);
}

static void host_limits(void **state)
{
	struct bt_net *net = bt_net_new(key, 16);
	uint16_t host, owner = 0;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < BT_NET_MAX_HOSTS; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		assert_int_equal(bt_net_host_add(net, name, &host), 0);
		for (unsigned a = 2; a < BT_NET_ADDRS; a++)
			assert_int_equal(give(net, host, ip(10, a, i >> 8, i & 255), 16, &owner),
					 0);
		assert_int_equal(give(net, host, ip(11, 0, i >> 8, i & 255), 16, &owner), -ENOSPC);
	}
	assert_int_equal(bt_net_host_add(net, "toomany", &host), -ENOSPC);
	assert_int_equal(bt_net_host_add(net, "h7", &host), -EEXIST);
	for (unsigned i = 0; i < BT_NET_MAX_HOSTS; i++)
		for (unsigned a = 2; a < BT_NET_ADDRS; a++) {
			struct bt_addr addr = ip(10, a, i >> 8, i & 255);

			assert_int_equal(bt_net_host_by_addr(net, &addr), i);
		}
	bt_net_free(net);
}

static void host_addresses(void **state)
{
	static const struct {
		uint8_t b[16];
		uint8_t bits, family;
		int want;
	} addrs[] = {
#define M [10] = 0xff, [11] = 0xff
		{{M, 10, 9, 9, 9}, 24, BT_V4, 0},
		{{M, 10, 9, 9, 9}, 24, BT_V4, 0}, /* its own already */
		{{M, 10, 0, 0, 2}, 24, BT_V4, -EADDRINUSE},
		{{M, 10, 9, 9, 1}, 32, BT_V4, 0},
		{{M, 10, 9, 9, 2}, 33, BT_V4, -EINVAL},
		{{M, 10, 9, 9, 2}, 0, BT_V4, -EINVAL},
		{{M, 10, 9, 9, 2}, 24, BT_V6, -EINVAL},
		{{M, 10, 9, 9, 2}, 24, 5, -EINVAL},
		{{M, 127, 0, 0, 2}, 8, BT_V4, -EINVAL},
		{{M, 0, 0, 0, 0}, 8, BT_V4, -EINVAL},
		{{M, 0, 1, 2, 3}, 8, BT_V4, -EINVAL},
		{{M, 224, 0, 0, 1}, 8, BT_V4, -EINVAL},
		{{M, 255, 255, 255, 255}, 8, BT_V4, -EINVAL},
		{{M, 223, 255, 255, 254}, 8, BT_V4, 0},
		{{[0] = 0xfd, [15] = 9}, 64, BT_V4, -EINVAL},
		{{[0] = 0xfd, [15] = 9}, 129, BT_V6, -EINVAL},
		{{[0] = 0xfd, [15] = 9}, 128, BT_V6, 0},
		{{[0] = 0xff, [15] = 9}, 64, BT_V6, -EINVAL},
		{{[15] = 1}, 128, BT_V6, -EINVAL},
		{{0}, 128, BT_V6, -EINVAL},
#undef M
	};
	struct bt_net *net = make(16);

	(void)state;
	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct bt_net_addr a = {.bits = addrs[i].bits, .family = addrs[i].family};
		uint16_t owner = 99, before = bt_net_host(net, 2)->n_addrs;
		int r;

		memcpy(a.addr.b, addrs[i].b, 16);
		r = bt_net_addr_add(net, 2, &a, &owner);
		if (r != addrs[i].want)
			fail_msg("address %zu: %d, not %d", i, r, addrs[i].want);
		if (r == -EADDRINUSE)
			assert_int_equal(owner, 1);
		if (r < 0)
			assert_int_equal(bt_net_host(net, 2)->n_addrs, before);
		else
			assert_int_equal(bt_net_host_by_addr(net, &a.addr), 2);
		assert_int_equal(bt_net_addr_add(net, 3, &a, &owner), -EINVAL); /* no such host */
	}
	assert_int_equal(bt_net_host(net, 2)->n_addrs, 3 + 4);
	bt_net_free(net);
}

/* ---- routes ---- */

static void routes(void **state)
{
	const struct bt_addr any4 = ip(0, 0, 0, 0), lo = ip(127, 0, 0, 1), lo2 = ip(127, 9, 9, 9);
	const struct bt_addr w = ip(10, 0, 0, 1), d1 = ip(10, 1, 0, 2), d0 = ip(10, 0, 0, 2),
			     f = ip(192, 168, 1, 3), zero = {{0}};
	const struct {
		uint16_t host;
		struct bt_addr bound, dst;
		int want;
		uint16_t to;
		struct bt_addr src;
	} t[] = {
		{0, any4, any4, 0, 0, lo}, /* ip(7): the wildcard is loopback */
		{0, any4, lo, 0, 0, lo},
		{0, any4, lo2, 0, 0, lo},
		{0, any4, w, 0, 0, w},	/* its own address: from itself */
		{0, any4, d0, 0, 1, w}, /* another host, in the prefix */
		{0, any4, d1, 0, 1, w},
		{1, any4, w, 0, 0, d0}, /* 10.0.0.1 is in 10.0.0.2/24, not in 10.1.0.2/16 */
		{2, any4, w, 0, 0, f},	/* in no prefix, but somebody has it */
		{1, any4, f, 0, 2, d1}, /* in none: the first address */
		{1, d0, f, 0, 2, d0},	/* bound */
		{1, d0, d1, 0, 1, d0},
		{1, lo, d1, 0, 1, lo},
		{0, lo, d0, -EINVAL, 0, zero}, /* as Linux says */
		{0, lo, lo2, 0, 0, lo},
		{0, any4, ip(10, 77, 0, 1), -EHOSTUNREACH, 0, zero},
		{2, any4, ip(192, 168, 1, 4), -EHOSTUNREACH, 0, zero},
		{2, any4, ip(192, 168, 2, 4), -ENETUNREACH, 0, zero},
		{2, any4, ip(10, 77, 0, 1), -ENETUNREACH, 0, zero},
		{0, any6, ula1, 0, 0, ula1},
		{0, any6, ula2, -EHOSTUNREACH, 0, zero},
		{1, any6, ula1, -ENETUNREACH, 0, zero}, /* it has no IPv6 address to send from */
		{3, any4, lo, -ENETUNREACH, 0, zero},	/* no such host */
	};
	struct bt_net *net = make(16);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bt_addr dst = t[i].dst, src;
		uint16_t to = 99;
		int r = bt_net_route(net, t[i].host, &t[i].bound, &dst, &src, &to);

		if (r != t[i].want)
			fail_msg("route %zu: %d, not %d", i, r, t[i].want);
		if (r < 0)
			continue;
		if (to != t[i].to || !bt_addr_eq(&src, &t[i].src))
			fail_msg("route %zu: to %u from .%u", i, to, src.b[15]);
		assert_false(bt_addr_is_any(&dst));
	}
	bt_net_free(net);
}

/* From a socket of IPv6 to ::1 the source is ::1, as in Linux. */
/* Beyond the network: prefixes, then anything of a family; never where a host has the address. */
static void ways_out(void **state)
{
	static const struct {
		unsigned what;
		unsigned dst[4];
		int want;
		bool outside;
	} t[] = {
		{0, {10, 9, 9, 9}, -EHOSTUNREACH, false},
		{0, {192, 0, 2, 1}, -ENETUNREACH, false},
		{BT_NET_ON_LINK, {10, 9, 9, 9}, 0, true},
		{BT_NET_ON_LINK, {10, 1, 0, 2}, 0, false}, /* host 1 */
		{BT_NET_ON_LINK, {192, 0, 2, 1}, -ENETUNREACH, false},
		{BT_NET_ON_LINK | BT_NET_GATEWAY4, {192, 0, 2, 1}, 0, true},
		{BT_NET_ON_LINK | BT_NET_GATEWAY4, {192, 168, 1, 3}, 0, false}, /* host 2 */
		{BT_NET_ON_LINK | BT_NET_GATEWAY6, {192, 0, 2, 1}, -ENETUNREACH, false},
		{BT_NET_GATEWAY4, {127, 0, 0, 9}, 0, false},
		{BT_NET_GATEWAY4, {10, 255, 255, 255}, -EACCES, false}, /* a broadcast stays one */
	};
	struct bt_net *net = make(16);
	struct bt_addr src;
	uint16_t to;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bt_addr dst = ip(t[i].dst[0], t[i].dst[1], t[i].dst[2], t[i].dst[3]);

		bt_net_outside(net, 0, t[i].what);
		int r = bt_net_route(net, 0, &any6, &dst, &src, &to);
		if (r != t[i].want || (r == 0 && (to == BT_NET_OUTSIDE) != t[i].outside))
			fail_msg("%zu: %d, to %u", i, r, to);
		if (r == 0 && t[i].outside) {
			struct bt_addr own = ip(10, 0, 0, 1);
			assert_true(bt_addr_eq(&src, &own));
		}
		/* It is this host's way alone. */
		dst = ip(172, 16, 0, 1);
		assert_int_equal(bt_net_route(net, 2, &any6, &dst, &src, &to), -ENETUNREACH);
	}
	bt_net_outside(net, 0, BT_NET_GATEWAY6);
	struct bt_addr six = {{[0] = 0x20, [15] = 9}};
	assert_int_equal(bt_net_route(net, 0, &any6, &six, &src, &to), 0);
	assert_int_equal(to, BT_NET_OUTSIDE);
	bt_net_free(net);
}

/* A connection to the outside has no peer here: TCP's word ends it, not its program's closing. */
static void gone_outside(void **state)
{
	struct bt_net *net = make(16);
	struct bt_addr dst = ip(10, 9, 9, 9), from = dst, src;
	struct bt_reason why;
	struct bt_port_info i;
	uint32_t slot, gram, target, child, listener;
	uint16_t to;

	(void)state;
	bt_net_outside(net, 0, BT_NET_ON_LINK);
	assert_int_equal(bt_net_sock(net, 0, BT_TCP, BT_V4, 1, &slot), 0);
	assert_int_equal(bt_net_to(net, slot, &dst, &src, &to), 0);
	assert_int_equal(to, BT_NET_OUTSIDE);
	assert_int_equal(bt_net_connect(net, slot, dst, 80, 1, &child, &listener, &why),
			 -ENETUNREACH);
	assert_int_equal(bt_net_connect_wire(net, slot, dst, 80, 1, &why), 0);
	bt_net_wire_state(net, slot, BT_ESTABLISHED, 1);
	bt_net_closed(net, slot, 2);
	drain(net);
	assert_true(bt_port_get(bt_net_ports(net), slot, &i));
	assert_int_equal(i.state, BT_ESTABLISHED);
	bt_net_wire_state(net, slot, BT_TIME_WAIT, 3);
	drain(net);
	assert_true(bt_port_get(bt_net_ports(net), slot, &i));
	bt_net_advance(net, 100 * SEC);
	drain(net);
	assert_false(bt_port_get(bt_net_ports(net), slot, &i));
	/* One that has not been answered yet goes with its program. */
	assert_int_equal(bt_net_sock(net, 0, BT_TCP, BT_V4, 1, &slot), 0);
	assert_int_equal(bt_net_connect_wire(net, slot, dst, 80, 200 * SEC, &why), 0);
	bt_net_closed(net, slot, 200 * SEC);
	drain(net);
	assert_false(bt_port_get(bt_net_ports(net), slot, &i));
	assert_int_equal(bt_net_sock(net, 0, BT_UDP, BT_V4, 1, &gram), 0);
	src = (struct bt_addr){{0}};
	assert_int_equal(bt_net_udp_route(net, gram, &from, 53, 1, &target, &src, &why),
			 BT_NET_AWAY);
	assert_int_equal(target, BT_NO_SLOT);
	bt_net_free(net);
}

static void route_of_one6(void **state)
{
	struct bt_net *net = make(16);
	struct bt_addr dst = one6, src;
	uint16_t to;

	(void)state;
	assert_int_equal(bt_net_route(net, 0, &any6, &dst, &src, &to), 0);
	assert_int_equal(to, 0);
	if (!bt_addr_eq(&src, &one6))
		print_message("to do: the source of a connection to ::1 is 127.0.0.1\n");
	bt_net_free(net);
}

static void local_addresses(void **state)
{
	struct bt_net *net = make(64);
	uint32_t s = sock(net, 0, BT_TCP);

	(void)state;
	assert_int_equal(bind_at(net, s, ip(10, 0, 0, 2), 80), -EADDRNOTAVAIL);
	assert_int_equal(bind_at(net, s, ip(1, 2, 3, 4), 80), -EADDRNOTAVAIL);
	assert_int_equal(info(net, s).lport, 0);
	bt_port_set_opts(bt_net_ports(net), s, BT_FREEBIND);
	assert_int_equal(bind_at(net, s, ip(1, 2, 3, 4), 80), 0);
	assert_int_equal(bind_at(net, 63, ip(1, 2, 3, 4), 80), -EBADF);
	bt_net_closed(net, s, 0);
	s = sock(net, 0, BT_TCP);
	assert_int_equal(bind_at(net, s, ip(127, 3, 3, 3), 80), 0);
	bt_net_closed(net, s, 0);
	s = sock(net, 0, BT_TCP);
	assert_int_equal(bind_at(net, s, ip(10, 0, 0, 1), 80), 0);
	bt_net_closed(net, s, 0);
	end(net, 0);
}

/* ---- connections ---- */

static void refused(void **state)
{
	struct bt_net *net = make(64);
	uint32_t c = sock(net, 0, BT_TCP), child = 7, l;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &child), -ECONNREFUSED);
	assert_int_equal(info(net, c).state, BT_CLOSE);
	assert_int_equal(info(net, c).lport, 0);
	l = listener(net, 1, ip(10, 1, 0, 2), 80); /* on the other address */
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &child), -ECONNREFUSED);
	assert_int_equal(connect_at(net, c, ip(10, 1, 0, 2), 81, 0, &child), -ECONNREFUSED);
	assert_int_equal(connect_at(net, c, ip(10, 9, 9, 9), 80, 0, &child), -EHOSTUNREACH);
	assert_int_equal(connect_at(net, c, ip(9, 9, 9, 9), 80, 0, &child), -ENETUNREACH);
	assert_int_equal(bind_at(net, c, ip(0, 0, 0, 0), 5555), 0);
	assert_int_equal(connect_at(net, c, ip(10, 1, 0, 2), 81, 0, &child), -ECONNREFUSED);
	assert_int_equal(info(net, c).lport, 5555); /* what bind gave is kept */
	assert_int_equal(connect_at(net, c, ip(10, 1, 0, 2), 80, 0, &child), 0);
	assert_int_equal(info(net, c).lport, 5555);
	assert_int_equal(info(net, child).rport, 5555);
	assert_int_equal(info(net, child).host, 1);
	assert_int_equal(bt_net_link(net, child), l);
	assert_int_equal(bt_net_flags(net, child), BT_NETF_CHILD);
	assert_int_equal(connect_at(net, c, ip(10, 1, 0, 2), 80, 0, &child), -EISCONN);
	assert_int_equal(connect_at(net, 63, ip(10, 1, 0, 2), 80, 0, &child), -EBADF);
	child = bt_net_peer(net, c);
	bt_net_shut(net, l, 0); /* it listens no more, its connections live */
	assert_int_equal(info(net, l).state, BT_CLOSE);
	assert_int_equal(info(net, l).lport, 80);
	bt_net_closed(net, l, 0);
	assert_int_equal(info(net, child).state, BT_ESTABLISHED);
	bt_net_closed(net, c, 0);
	bt_net_closed(net, child, 0);
	end(net, 0);
}

static void full_pool(void **state)
{
	struct bt_net *net = make(3);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), a = sock(net, 0, BT_TCP), b, child, no;

	(void)state;
	b = sock(net, 0, BT_TCP);
	assert_int_equal(bt_net_sock(net, 0, BT_TCP, BT_V4, 0, &no), -ENFILE);
	assert_int_equal(connect_at(net, a, ip(10, 0, 0, 2), 80, 0, &child), -ENFILE);
	assert_int_equal(info(net, a).lport, 0);
	bt_net_closed(net, b, 0);
	/* The slot is given back only when the caller has been told. */
	assert_int_equal(connect_at(net, a, ip(10, 0, 0, 2), 80, 0, &child), -ENFILE);
	drain(net);
	assert_int_equal(connect_at(net, a, ip(10, 0, 0, 2), 80, 0, &child), 0);
	bt_net_connect_undo(net, child); /* not the client: nothing */
	assert_int_equal(info(net, child).state, BT_ESTABLISHED);
	bt_net_connect_undo(net, a);
	bt_net_connect_undo(net, a);
	assert_int_equal(info(net, a).state, BT_CLOSE);
	assert_int_equal(info(net, a).lport, 0);
	assert_int_equal(bt_net_peer(net, a), BT_NO_SLOT);
	drain(net);
	assert_int_equal(bt_port_count(bt_net_ports(net)), 2);
	assert_int_equal(connect_at(net, a, ip(10, 0, 0, 2), 80, 0, &child), 0);
	bt_net_closed(net, child, 0);
	bt_net_closed(net, a, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

/* ---- UDP ---- */

static int udp_to(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		  uint32_t *target, struct bt_addr *src)
{
	struct bt_reason why;

	*src = (struct bt_addr){{0}};
	return bt_net_udp_route(net, slot, &dst, port, 0, target, src, &why);
}

/* An address of an own prefix that nobody has: only a connection finds that out. */
static void silent_neighbour(void **state)
{
	struct bt_net *net = make(16);
	const struct bt_addr any4 = bt_addr_v4(0);
	uint32_t a = sock(net, 0, BT_UDP), p = sock(net, 0, BT_ECHO), got;
	struct bt_addr src = {{0}}, dst = ip(10, 77, 0, 1), own = ip(10, 0, 0, 1),
		       loop = ip(127, 0, 0, 1);
	struct bt_reason why;
	uint16_t to;

	(void)state;
	assert_int_equal(udp_to(net, a, dst, 53, &got, &src), BT_NET_LOST);
	assert_int_equal(got, BT_NO_SLOT);
	assert_int_equal(bt_net_udp_connect(net, a, dst, 53, 0, &why), 0);
	assert_true(info(net, a).laddr.b[12] == 10 && info(net, a).state == BT_ESTABLISHED);
	assert_int_equal(bt_net_ping_route(net, p, &any4, &dst, &src, &to), -EHOSTUNREACH);
	assert_true(bt_addr_eq(&src, &own));
	assert_int_equal(bt_net_ping_route(net, p, &loop, &dst, &src, &to), -EINVAL);
	dst = ip(10, 0, 0, 2);
	assert_int_equal(bt_net_ping_route(net, p, &any4, &dst, &src, &to), 0);
	assert_int_equal(to, 1);
	dst = ip(0, 0, 0, 0);
	assert_int_equal(bt_net_ping_route(net, p, &own, &dst, &src, &to), 0);
	assert_true(to == 0 && bt_addr_eq(&dst, &own) && bt_addr_eq(&src, &own));
	bt_net_free(net);
}

static void datagrams(void **state)
{
	struct bt_net *net = make(64);
	uint32_t a = sock(net, 0, BT_UDP), b = sock(net, 1, BT_UDP), w = sock(net, 1, BT_UDP), got;
	struct bt_addr src, local;
	struct bt_reason why;
	uint16_t port;

	(void)state;
	assert_int_equal(udp_to(net, a, ip(9, 9, 9, 9), 53, &got, &src), -ENETUNREACH);
	assert_int_equal(info(net, a).lport, 0); /* no route: no port either */
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, BT_NO_SLOT);
	port = info(net, a).lport;
	local = info(net, a).laddr;
	assert_true(port >= 32768 && port <= 60999);
	assert_true(bt_addr_to_v4(&local) == 0);
	assert_true(src.b[15] == 1);
	assert_int_equal(bind_at(net, b, ip(10, 0, 0, 2), 53), 0);
	assert_int_equal(bind_at(net, w, ip(0, 0, 0, 0), 54), 0);
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, b);
	assert_int_equal(udp_to(net, a, ip(10, 1, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, BT_NO_SLOT);
	assert_int_equal(udp_to(net, a, ip(10, 1, 0, 2), 54, &got, &src), 0);
	assert_int_equal(got, w);
	assert_int_equal(info(net, a).lport, port); /* chosen once */
	assert_int_equal(udp_to(net, a, ip(127, 0, 0, 1), 54, &got, &src), 0);
	assert_int_equal(got, BT_NO_SLOT); /* the other host's, not this one's loopback */
	assert_int_equal(udp_to(net, b, ip(127, 0, 0, 1), 54, &got, &src), 0);
	assert_int_equal(got, w);
	assert_int_equal(udp_to(net, 63, ip(10, 1, 0, 2), 54, &got, &src), -EBADF);

	/* b speaks with a alone: nobody else reaches it. */
	assert_int_equal(bt_net_udp_connect(net, b, ip(10, 0, 0, 1), port, 0, &why), 0);
	assert_int_equal(info(net, b).state, BT_ESTABLISHED);
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, b);
	assert_int_equal(udp_to(net, w, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, BT_NO_SLOT);
	assert_int_equal(bt_net_udp_connect(net, b, ip(10, 0, 0, 1), 9, 0, &why), 0); /* again */
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, BT_NO_SLOT);
	bt_net_disconnect(net, b);
	assert_int_equal(info(net, b).lport, 53);
	assert_int_equal(info(net, b).rport, 0);
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, b);
	bt_net_closed(net, b, 0);
	drain(net);
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), 0);
	assert_int_equal(got, BT_NO_SLOT);
	bt_net_closed(net, a, 0);
	bt_net_closed(net, w, 0);
	end(net, 0);
}

static void udp_connect_unbound(void **state)
{
	struct bt_net *net = make(64);
	uint32_t a = sock(net, 0, BT_UDP), got;
	struct bt_reason why;
	struct bt_addr src;

	(void)state;
	assert_int_equal(bt_net_udp_connect(net, a, ip(9, 9, 9, 9), 53, 0, &why), -ENETUNREACH);
	assert_int_equal(bt_net_udp_connect(net, a, ip(0, 0, 0, 0), 53, 0, &why), 0);
	assert_int_equal(info(net, a).raddr.b[12], 127);
	assert_int_equal(info(net, a).laddr.b[12], 127);
	assert_int_not_equal(info(net, a).lport, 0);
	/* connected over loopback: no other host can be addressed (Linux: EINVAL) */
	assert_int_equal(udp_to(net, a, ip(10, 0, 0, 2), 53, &got, &src), -EINVAL);
	bt_net_disconnect(net, a);
	assert_int_equal(info(net, a).lport, 0); /* bind gave nothing */
	assert_int_equal(bt_net_udp_connect(net, a, ip(10, 0, 0, 2), 53, 0, &why), 0);
	assert_int_equal(info(net, a).laddr.b[12], 10);
	assert_int_equal(bt_net_udp_connect(net, 63, ip(10, 0, 0, 2), 53, 0, &why), -EBADF);
	bt_net_closed(net, a, 0);
	end(net, 0);
}

/* ---- publishing ---- */

static void changed(void **state)
{
	struct bt_net *net = make(4096 + 64); /* two chunks */
	uint32_t slots[40], n = 0, slot;
	uint8_t flags, seen[64] = {0};

	(void)state;
	assert_int_equal(bt_net_changed(net, &flags), BT_NO_SLOT);
	for (unsigned i = 0; i < 40; i++) {
		slots[i] = sock(net, 0, BT_TCP);
		bt_net_set_flag(net, slots[i / 2], BT_NETF_RELAY, true); /* several times */
	}
	for (unsigned i = 0; i < 40; i += 2)
		bt_net_closed(net, slots[i], 0);
	while ((slot = bt_net_changed(net, &flags)) != BT_NO_SLOT) {
		assert_true(slot < 64 && !seen[slot]);
		seen[slot] = 1;
		assert_int_equal(slot, slots[n]); /* in the order of change */
		assert_int_equal(!!(flags & BT_NETF_FREED), n % 2 == 0);
		assert_int_equal(!!(flags & BT_NETF_RELAY), n < 20);
		n++;
	}
	assert_int_equal(n, 40);
	assert_int_equal(bt_net_changed(net, &flags), BT_NO_SLOT);
	bt_net_closed(net, slots[0], 0); /* gone: nothing */
	assert_int_equal(bt_net_changed(net, &flags), BT_NO_SLOT);
	for (unsigned i = 1; i < 40; i += 2)
		bt_net_closed(net, slots[i], 0);
	end(net, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_names),
		cmocka_unit_test(host_limits),
		cmocka_unit_test(host_addresses),
		cmocka_unit_test(routes),
		cmocka_unit_test(ways_out),
		cmocka_unit_test(gone_outside),
		cmocka_unit_test(route_of_one6),
		cmocka_unit_test(local_addresses),
		cmocka_unit_test(refused),
		cmocka_unit_test(full_pool),
		cmocka_unit_test(silent_neighbour),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(udp_connect_unbound),
		cmocka_unit_test(changed),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}

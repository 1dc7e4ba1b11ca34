/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets may share a port: bind, listen, and what later binds see. */
#include "port_help.h"

/* Two sockets of one port: the second one's bind. Each line was checked on Linux 6.18. */
struct pair {
	enum bt_proto proto;
	const char *a;
	unsigned a_opts;
	bool a_listens;
	const char *b;
	unsigned b_opts;
	bool same_user;
	int want;
	enum bt_why why;
};

static const struct pair pairs[] = {
	{BT_TCP, "10.0.0.1", 0, false, "10.0.0.1", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "10.0.0.1", 0, false, "10.0.0.2", 0, true, 0, BT_WHY_NONE},
	{BT_TCP, "0.0.0.0", 0, false, "10.0.0.2", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "10.0.0.1", 0, false, "0.0.0.0", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "10.0.0.1", RA, false, "10.0.0.1", RA, true, 0, BT_WHY_NONE},
	{BT_TCP, "10.0.0.1", RA, false, "10.0.0.1", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "10.0.0.1", RA, true, "10.0.0.1", RA, true, -EADDRINUSE, BT_WHY_IN_USE_LISTENER},
	{BT_TCP, "0.0.0.0", RA, true, "10.0.0.1", RA, true, -EADDRINUSE, BT_WHY_IN_USE_LISTENER},
	{BT_TCP, "10.0.0.1", RA, true, "10.0.0.2", RA, true, 0, BT_WHY_NONE},
	{BT_TCP, "10.0.0.1", RP, true, "10.0.0.1", RP, true, 0, BT_WHY_NONE},
	{BT_TCP, "10.0.0.1", RP, true, "10.0.0.1", RP, false, -EADDRINUSE, BT_WHY_REUSEPORT_UID},
	{BT_TCP, "10.0.0.1", RP, true, "10.0.0.1", RA, true, -EADDRINUSE, BT_WHY_IN_USE_LISTENER},
	{BT_TCP, "::", 0, false, "0.0.0.0", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "0.0.0.0", 0, false, "::", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "0.0.0.0", 0, false, "::", BT_V6ONLY, true, 0, BT_WHY_NONE},
	{BT_TCP, "::", BT_V6ONLY, false, "0.0.0.0", 0, true, 0, BT_WHY_NONE},
	{BT_TCP, "::", 0, false, "10.0.0.1", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_TCP, "::1", 0, false, "0.0.0.0", 0, true, 0, BT_WHY_NONE},
	{BT_TCP, "0.0.0.0", 0, false, "::1", 0, true, 0, BT_WHY_NONE},
	{BT_TCP, "::", 0, true, "::1", 0, true, -EADDRINUSE, BT_WHY_IN_USE_LISTENER},
	{BT_UDP, "10.0.0.1", 0, false, "0.0.0.0", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_UDP, "10.0.0.1", RA, false, "10.0.0.1", RA, false, 0, BT_WHY_NONE},
	{BT_UDP, "10.0.0.1", RA, false, "10.0.0.1", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
	{BT_UDP, "10.0.0.1", RP, false, "10.0.0.1", RP, true, 0, BT_WHY_NONE},
	{BT_UDP, "10.0.0.1", RP, false, "10.0.0.1", RP, false, -EADDRINUSE, BT_WHY_REUSEPORT_UID},
	{BT_UDP, "::", 0, false, "0.0.0.0", 0, true, -EADDRINUSE, BT_WHY_IN_USE_BOUND},
};

static void bind_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct pair *p = &pairs[i];
		struct bt_port_net *net = make(10);
		struct bt_reason why = {BT_WHY_NONE, 0, 0};
		bool a6 = strchr(p->a, ':') != NULL, b6 = strchr(p->b, ':') != NULL;
		uint32_t a = sock(net, p->proto, a6 ? BT_V6 : BT_V4, p->a_opts, 1);
		uint32_t b =
			sock(net, p->proto, b6 ? BT_V6 : BT_V4, p->b_opts, p->same_user ? 1 : 2);

		assert_int_equal(bind_to(net, a, p->a, 5000, &why), 0);
		if (p->a_listens)
			assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
		why.why = BT_WHY_NONE;
		if (bind_to(net, b, p->b, 5000, &why) != p->want || why.why != p->why)
			fail_msg("pair %zu: reason %d", i, (int)why.why);
		if (p->want < 0)
			assert_int_equal(why.slot, a);
		end(net);
	}
}

static void bind_refusals(void **state)
{
	struct bt_port_net *net = make(10);
	struct bt_addr any = address("0.0.0.0");
	struct bt_reason why;
	uint32_t a = sock(net, BT_TCP, BT_V4, 0, 1), b = sock(net, BT_TCP, BT_V4, RA, 1), c;

	(void)state;
	assert_int_equal(bt_port_bind(net, a, &any, 80, false, 0, &why), -EACCES);
	assert_int_equal(why.why, BT_WHY_PRIVILEGED);
	assert_int_equal(bt_port_bind(net, a, &any, 80, true, 0, &why), 0);
	assert_int_equal(bt_port_bind(net, a, &any, 81, true, 0, &why), -EINVAL);
	assert_int_equal(why.why, BT_WHY_ALREADY_BOUND);
	/* listen checks again: both may bind, one may listen */
	bt_port_set_opts(net, a, RA);
	assert_int_equal(bind_to(net, b, "0.0.0.0", 80, &why), 0);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	assert_int_equal(bt_port_listen(net, b, 0, &why), -EADDRINUSE);
	assert_int_equal(why.why, BT_WHY_IN_USE_LISTENER);
	assert_int_equal(why.slot, a);
	/* an address without a port */
	c = sock(net, BT_TCP, BT_V4, BT_BIND_NO_PORT, 1);
	assert_int_equal(bind_to(net, c, "10.0.0.1", 0, &why), 0);
	assert_int_equal(port_of(net, c), 0);
	end(net);
}

/* bind(2) as long as there is no port. Checked on Linux 6.18. */
static void bind_again(void **state)
{
	struct bt_port_net *net = make(10);
	struct bt_addr one = address("10.0.0.1"), two = address("10.0.0.2");
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t a = sock(net, BT_TCP, BT_V4, BT_BIND_NO_PORT, 1), b, taken;

	(void)state;
	assert_int_equal(bind_to(net, a, "10.0.0.1", 0, &why), 0);
	assert_int_equal(bind_to(net, a, "10.0.0.2", 0, &why), 0);
	bt_port_get(net, a, &i);
	assert_true(bt_addr_eq(&i.laddr, &two) && i.lport == 0);
	assert_int_equal(bind_to(net, a, "10.0.0.1", 8100, &why), 0);
	assert_int_equal(bind_to(net, a, "10.0.0.1", 8100, &why), -EINVAL);
	assert_int_equal(why.why, BT_WHY_ALREADY_BOUND);

	/* one that fails leaves no address, but connect's is then kept as bind's would be */
	b = sock(net, BT_TCP, BT_V4, BT_BIND_NO_PORT, 1);
	assert_int_equal(bind_to(net, b, "10.0.0.2", 0, &why), 0);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 8100, &why), -EADDRINUSE);
	bt_port_get(net, b, &i);
	assert_true(bt_addr_is_any(&i.laddr) && i.lport == 0);
	assert_int_equal(connect_to(net, b, "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why), 0);
	bt_port_disconnect(net, b);
	bt_port_get(net, b, &i);
	assert_true(bt_addr_eq(&i.laddr, &one) && i.lport == 0);
	assert_int_equal(bind_to(net, b, "10.0.0.2", 0, &why), 0);

	/* an IPv6 address sets IPV6_V6ONLY, for good */
	b = sock(net, BT_TCP, BT_V6, BT_BIND_NO_PORT, 1);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 0, &why), 0);
	assert_int_equal(bind_to(net, b, "::1", 0, &why), 0);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 0, &why), -EINVAL);
	assert_int_equal(bind_to(net, b, "::", 0, &why), 0);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 0, &why), -EINVAL);
	end(net);
}

/* What was bound before counts, too: a port remembers the last kind of socket with SO_REUSEPORT
 * that took it, as long as a socket holds it. Checked on Linux 6.18. */
static void ports_remember(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_reason why;
	uint32_t a, b, c, child, taken;

	(void)state;
	/* one like the remembered may have the port, whatever the others are now */
	a = sock(net, BT_TCP, BT_V4, RP, 1);
	assert_int_equal(bind_to(net, a, "0.0.0.0", 80, &why), 0);
	bt_port_set_opts(net, a, 0);
	b = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 80, &why), -EADDRINUSE);
	bt_port_set_opts(net, b, RP);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 80, &why), 0);
	/* it must be of the same user, and for addresses that the remembered one serves */
	c = sock(net, BT_TCP, BT_V4, RP, 2);
	assert_int_equal(bind_to(net, c, "10.0.0.2", 80, &why), -EADDRINUSE);
	c = sock(net, BT_TCP, BT_V6, RP, 1);
	assert_int_equal(bind_to(net, c, "::", 80, &why), 0);
	bt_port_free(net, c);
	/* listening and connecting do not change that */
	bt_port_set_opts(net, a, RP);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	assert_int_equal(bt_port_accept(net, a, &l, &r, 9, &child, &taken, &why), 0);
	bt_port_set_opts(net, a, 0);
	bt_port_set_opts(net, child, 0);
	c = sock(net, BT_TCP, BT_V4, RP, 1);
	assert_int_equal(bind_to(net, c, "10.0.0.2", 80, &why), 0);
	/* a listen without the option forgets */
	bt_port_set_opts(net, c, 0);
	assert_int_equal(bt_port_listen(net, c, 0, &why), -EADDRINUSE);
	bt_port_free(net, a);
	assert_int_equal(bt_port_listen(net, c, 0, &why), 0);
	bt_port_set_opts(net, c, RP);
	b = sock(net, BT_TCP, BT_V4, RP, 1);
	bt_port_set_opts(net, child, 0);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 80, &why), -EADDRINUSE);
	bt_port_check(net);

	/* the last that holds the port is gone: forgotten, though a connection that chose the port
	 * is there still */
	bt_port_host_conf(net, 0)->range_lo = bt_port_host_conf(net, 0)->range_hi = 5000;
	a = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(connect_to(net, a, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
	b = sock(net, BT_TCP, BT_V4, RP, 1);
	assert_int_equal(bind_to(net, b, "10.0.0.2", 5000, &why), 0);
	bt_port_free(net, b);
	bt_port_check(net);
	b = sock(net, BT_TCP, BT_V4, RP, 1);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 5000, &why), -EADDRINUSE);
	assert_int_equal(why.slot, a);
	end(net);
}

/* Sockets of different devices do not meet. Checked on Linux 6.18. */
static void devices(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t a, b, c, child, taken;

	(void)state;
	for (int p = 0; p < 2; p++) {
		enum bt_proto proto = p ? BT_UDP : BT_TCP;

		a = sock(net, proto, BT_V4, 0, 1);
		b = sock(net, proto, BT_V4, 0, 1);
		c = sock(net, proto, BT_V4, 0, 1);
		bt_port_set_dev(net, a, 1);
		bt_port_set_dev(net, b, 2);
		assert_int_equal(bind_to(net, a, "0.0.0.0", 80, &why), 0);
		assert_int_equal(bind_to(net, b, "0.0.0.0", 80, &why), 0);
		assert_int_equal(bind_to(net, c, "10.0.0.2", 80, &why), -EADDRINUSE);
		bt_port_set_dev(net, c, 3);
		assert_int_equal(bind_to(net, c, "10.0.0.2", 80, &why), 0);
		if (proto == BT_TCP) {
			assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
			assert_int_equal(bt_port_listen(net, b, 0, &why), 0);
		}
		assert_int_equal(bt_port_lookup(net, 0, proto, &l, 80, &r, 9, 1), a);
		assert_int_equal(bt_port_lookup(net, 0, proto, &l, 80, &r, 9, 2), b);
		assert_int_equal(bt_port_lookup(net, 0, proto, &l, 80, &r, 9, 3), BT_NO_SLOT);
		if (proto == BT_TCP)
			assert_int_equal(bt_port_accept(net, b, &l, &r, 9, &child, &taken, &why),
					 0);
	}
	assert_true(bt_port_get(net, child, &i) && i.dev == 2);
	/* UDP's disconnect forgets the device */
	bt_port_disconnect(net, b);
	assert_true(bt_port_get(net, b, &i) && i.dev == 0 && i.lport == 80);

	/* a device before none, but after the address, and as good as IPv4 for TCP */
	a = sock(net, BT_UDP, BT_V4, RA, 1);
	b = sock(net, BT_UDP, BT_V6, RA, 1);
	c = sock(net, BT_UDP, BT_V4, RA, 1);
	bt_port_set_dev(net, b, 2);
	assert_int_equal(bind_to(net, b, "::", 53, &why), 0);
	assert_int_equal(bind_to(net, a, "0.0.0.0", 53, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), b);
	assert_int_equal(bind_to(net, c, "10.0.0.1", 53, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), c);
	a = sock(net, BT_TCP, BT_V4, RP, 1);
	b = sock(net, BT_TCP, BT_V6, RP, 1);
	bt_port_set_dev(net, b, 2);
	assert_int_equal(bind_to(net, a, "0.0.0.0", 53, &why), 0);
	assert_int_equal(bind_to(net, b, "::", 53, &why), 0);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	assert_int_equal(bt_port_listen(net, b, 0, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, 53, &r, 9, 2), a); /* b: at the tail */
	end(net);
}

/* Linux compares a UDP bind with the first socket of its list that overlaps, and only with that. */
static void udp_reuseport_order(void **state)
{
	struct bt_port_net *net = make(10);
	struct bt_reason why;
	uint32_t a = sock(net, BT_UDP, BT_V4, RA, 1), b = sock(net, BT_UDP, BT_V6, RA | RP, 1);
	uint32_t c = sock(net, BT_UDP, BT_V4, RP, 1), d = sock(net, BT_UDP, BT_V4, RA | RP, 1);

	(void)state;
	assert_int_equal(bind_to(net, a, "0.0.0.0", 53, &why), 0);
	assert_int_equal(bind_to(net, b, "::", 53, &why), 0);
	assert_int_equal(bind_to(net, c, "0.0.0.0", 53, &why), -EADDRINUSE);
	assert_int_equal(why.slot, a); /* b was added at the tail */
	assert_int_equal(bind_to(net, d, "0.0.0.0", 53, &why), 0);
	assert_int_equal(bind_to(net, c, "0.0.0.0", 53, &why), 0);
	end(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_pairs), cmocka_unit_test(bind_refusals),
		cmocka_unit_test(bind_again), cmocka_unit_test(ports_remember),
		cmocka_unit_test(devices),    cmocka_unit_test(udp_reuseport_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

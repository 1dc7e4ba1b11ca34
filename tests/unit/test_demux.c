/* SPDX-License-Identifier: Apache-2.0 */
/* Which socket gets what arrives. */
#include "port_help.h"

/* A connection with a device stands in the way of those with the same or none that come with the
 * device, not of one without; and so does it when connect chooses the port. */
static void tuples_with_devices(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_reason why;
	uint32_t s[8], taken;
	static const uint8_t dev[8] = {2, 2, 3, 3, 0, 0, 2, 3};

	(void)state;
	conf->range_lo = 5000;
	conf->range_hi = 5001;
	for (int i = 0; i < 8; i++) {
		s[i] = sock(net, BT_TCP, BT_V4, 0, 1);
		bt_port_set_dev(net, s[i], dev[i]);
		assert_int_equal(connect_to(net, s[i], "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why),
				 i < 6 ? 0 : -EADDRNOTAVAIL);
	}
	/* the newest of those that match */
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, port_of(net, s[5]), &r, 9, 2), s[5]);
	bt_port_check(net);
	bt_port_free(net, s[5]);
	bt_port_free(net, s[4]);
	assert_int_equal(connect_to(net, s[6], "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why),
			 -EADDRNOTAVAIL);
	bt_port_check(net);
	/* two without a device and the same 4-tuple: the port is in use until both are gone */
	for (int i = 0; i < 4; i++)
		bt_port_set_dev(net, s[i], 0);
	bt_port_check(net);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(connect_to(net, s[7], "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why),
				 -EADDRNOTAVAIL);
		bt_port_check(net);
		if (i < 2)
			bt_port_free(net, s[i]);
	}
	bt_port_free(net, s[2]);
	assert_int_equal(connect_to(net, s[7], "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
	end(net);
}

static void reuseport_spreads(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_reason why;
	unsigned hits[4] = {0};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(sock(net, BT_TCP, BT_V4, RP | (i & 1 ? RA : 0), 1), i);
		assert_int_equal(bind_to(net, i, "0.0.0.0", 80, &why), 0);
		assert_int_equal(bt_port_listen(net, i, 0, &why), 0);
	}
	for (uint16_t p = 10000; p < 14000; p++) {
		uint32_t slot = bt_port_lookup(net, 0, BT_TCP, &l, 80, &r, p, 2);

		assert_in_range(slot, 0, 3);
		hits[slot]++;
		assert_int_equal(bt_port_lookup_listener(net, 0, &l, 80, &r, p, 2), slot);
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(hits[i], 900, 1100);
	end(net);
}

static void demultiplexing(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_addr l = address("10.0.0.1"), l2 = address("10.0.0.2"), r = address("10.0.0.2");
	struct bt_reason why;
	uint32_t any6 = sock(net, BT_TCP, BT_V6, RA, 1), one = sock(net, BT_TCP, BT_V4, RA, 1);
	uint32_t child, again, taken, u = sock(net, BT_UDP, BT_V4, RA, 1), v;

	(void)state;
	assert_int_equal(bind_to(net, any6, "::", 80, &why), 0);
	assert_int_equal(bind_to(net, one, "10.0.0.1", 80, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, 80, &r, 9, 2), BT_NO_SLOT);
	assert_int_equal(bt_port_listen(net, any6, 0, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, 80, &r, 9, 2), any6);
	assert_int_equal(bt_port_accept(net, any6, &l2, &r, 9, &child, &taken, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l2, 80, &r, 9, 2), child);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l2, 80, &r, 10, 2), any6);
	assert_int_equal(bt_port_accept(net, any6, &l2, &r, 9, &again, &taken, &why),
			 -EADDRNOTAVAIL);
	assert_int_equal(why.slot, child);
	bt_port_time_wait(net, child, 0);
	assert_int_equal(bt_port_accept(net, any6, &l2, &r, 9, &again, &taken, &why), 0);
	assert_int_equal(taken, child);
	bt_port_disconnect(net, any6);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, 80, &r, 9, 2), BT_NO_SLOT);
	assert_int_equal(port_of(net, any6), 80);

	v = sock(net, BT_UDP, BT_V4, RA, 1);
	assert_int_equal(bind_to(net, u, "0.0.0.0", 53, &why), 0);
	assert_int_equal(bind_to(net, v, "0.0.0.0", 53, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), v);
	assert_int_equal(connect_to(net, u, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), u);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 10, 2), v);
	/* of equal ones IPv4 comes first, even when it is the older */
	any6 = sock(net, BT_UDP, BT_V6, RA, 1);
	assert_int_equal(bind_to(net, any6, "::", 53, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 10, 2), v);
	end(net);
}

/* Sockets that differ in user or options but not in score: the one bound last, or its own group. */
static void equal_scores(void **state)
{
	struct bt_port_net *net = make(10);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_reason why;
	uint32_t taken;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(sock(net, BT_UDP, BT_V4, RA, i), i);
		assert_int_equal(bind_to(net, i, "0.0.0.0", 53, &why), 0);
		assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), i);
	}
	bt_port_set_opts(net, 0, RA | RP); /* a new class; still bound first */
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), 2);
	for (uint32_t i = 3; i-- > 0;)
		assert_int_equal(connect_to(net, i, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
	assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, 9, 2), 0); /* last connected */
	for (uint32_t i = 0; i < 3; i++) {
		bt_port_disconnect(net, i);
		bt_port_set_opts(net, i, RA | RP);
	}
	for (uint16_t p = 1; p < 100; p++)
		assert_int_equal(bt_port_lookup(net, 0, BT_UDP, &l, 53, &r, p, 2), 2);
	end(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tuples_with_devices),
		cmocka_unit_test(reuseport_spreads),
		cmocka_unit_test(demultiplexing),
		cmocka_unit_test(equal_scores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

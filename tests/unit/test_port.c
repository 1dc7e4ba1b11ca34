/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a socket: its slot, its connections, TIME_WAIT, and what remains of each. */
#include "port_help.h"

#include "../../lib/base/siphash.h"

static void siphash_vectors(void **state)
{
	/* Appendix A of the SipHash paper, and the first of its reference vectors. */
	uint8_t k[16], in[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		k[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		in[i] = i;
	assert_true(bt_siphash(k, in, 15) == 0xa129ca6149be45e5);
	assert_true(bt_siphash_15(k, 0x0706050403020100, 0x0e0d0c0b0a0908) == 0xa129ca6149be45e5);
	assert_true(bt_siphash13_15(k, 0x0706050403020100, 0x0e0d0c0b0a0908) ==
		    bt_siphash13(k, in, 15));
	assert_true(bt_siphash(k, in, 0) == 0x726fdb47dd0e0e31);
}

/* A child that disconnects or is reset has no port: another may bind it, and it may bind another.
 * The listener's address stays. Checked on Linux 6.18. */
static void child_releases_its_port(void **state)
{
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_port_info i;
	struct bt_reason why;

	(void)state;
	for (int specific = 0; specific < 2; specific++) {
		for (int reset = 0; reset < 2; reset++) {
			struct bt_port_net *net = make(10);
			uint32_t a = sock(net, BT_TCP, BT_V4, 0, 1), b, child, taken;

			assert_int_equal(
				bind_to(net, a, specific ? "10.0.0.1" : "0.0.0.0", 80, &why), 0);
			assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
			assert_int_equal(bt_port_accept(net, a, &l, &r, 9, &child, &taken, &why),
					 0);
			bt_port_set_state(net, child, BT_ESTABLISHED);
			bt_port_free(net, a);
			b = sock(net, BT_TCP, BT_V4, 0, 1);
			assert_int_equal(bind_to(net, b, "0.0.0.0", 80, &why), -EADDRINUSE);
			assert_int_equal(why.slot, child);
			if (reset)
				bt_port_set_state(net, child, BT_CLOSE);
			else
				bt_port_disconnect(net, child);
			bt_port_get(net, child, &i);
			assert_int_equal(i.lport, 0);
			assert_int_equal(bt_addr_eq(&i.laddr, &l), specific);
			assert_int_equal(bind_to(net, b, "0.0.0.0", 80, &why), 0);
			assert_int_equal(bind_to(net, child, "10.0.0.1", 81, &why), 0);
			end(net);
		}
	}
}

/* A TCP connect that finds no place. Checked on Linux 6.18. */
static void connect_without_a_place(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_addr one = address("10.0.0.1");
	struct bt_reason why;
	struct bt_port_info i;
	uint32_t a, b, taken;

	(void)state;
	for (int port = 0; port < 2; port++) {
		a = sock(net, BT_TCP, BT_V4, RA, 1);
		b = sock(net, BT_TCP, BT_V4, RA, 1);
		/* the other has the 4-tuple */
		assert_int_equal(bind_to(net, a, "10.0.0.1", port ? 5000 : 0, &why), 0);
		assert_int_equal(bind_to(net, b, "0.0.0.0", port_of(net, a), &why), 0);
		assert_int_equal(connect_to(net, b, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
		assert_int_equal(connect_to(net, a, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why),
				 -EADDRNOTAVAIL);
		assert_int_equal(why.slot, b);
		/* it has no port any more unless bind was told which */
		assert_int_equal(port_of(net, a), port ? 5000 : 0);
		assert_true(bt_port_get(net, a, &i) && bt_addr_eq(&i.laddr, &one));
		bt_port_check(net);
	}
	end(net);
}

/* A socket that is connected with itself, by its own port or by chance. */
static void self_connect(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_addr l = address("127.0.0.1");
	struct bt_reason why;
	uint32_t a, b, taken;

	(void)state;
	conf->range_lo = conf->range_hi = 4000;
	for (int p = 0; p < 2; p++) {
		uint16_t port = p ? 5000 : 4000;

		a = sock(net, BT_TCP, BT_V4, 0, 1);
		if (p)
			assert_int_equal(bind_to(net, a, "127.0.0.1", port, &why), 0);
		assert_int_equal(
			connect_to(net, a, "127.0.0.1", "127.0.0.1", port, 0, &taken, &why), 0);
		assert_true(bt_port_is_self(net, a));
		assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, port, &l, port, 1), a);
	}
	b = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(connect_to(net, b, "127.0.0.1", "127.0.0.1", 5000, 0, &taken, &why), 0);
	assert_false(bt_port_is_self(net, b));
	bt_port_disconnect(net, a);
	assert_false(bt_port_is_self(net, a));
	end(net);
}

static void slots_rest(void **state)
{
	struct bt_port_net *net = make(3000);
	uint32_t first = sock(net, BT_UDP, BT_V4, 0, 1), slot;
	struct bt_port_info i;

	(void)state;
	bt_port_free(net, first);
	assert_false(bt_port_get(net, first, &i));
	for (int n = 0; n < 1024; n++) {
		slot = sock(net, BT_UDP, BT_V4, 0, 1);
		assert_int_not_equal(slot, first);
		bt_port_free(net, slot);
	}
	assert_int_equal(sock(net, BT_UDP, BT_V4, 0, 1), first);
	for (uint32_t n = 1; n < 3000; n++)
		sock(net, BT_UDP, BT_V4, 0, 1);
	assert_int_equal(bt_port_new(net, 0, BT_UDP, BT_V4, 1, &slot), -ENFILE);
	bt_port_free(net, 77);
	assert_int_equal(sock(net, BT_UDP, BT_V4, 0, 1), 77);
	assert_int_equal(bt_port_host_del(net, 0), -EBUSY);
	end(net);
}

static void time_wait_ends(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_reason why;
	uint32_t a = sock(net, BT_TCP, BT_V4, 0, 1), b = sock(net, BT_TCP, BT_V4, 0, 1), taken,
		 slot;

	(void)state;
	assert_int_equal(bind_to(net, a, "127.0.0.1", 5000, &why), 0);
	assert_int_equal(connect_to(net, a, "127.0.0.1", "127.0.0.1", 80, 0, &taken, &why), 0);
	bt_port_set_state(net, a, BT_ESTABLISHED);
	assert_true(bt_port_deadline(net) == UINT64_MAX);
	bt_port_time_wait(net, a, 5 * SEC);
	assert_true(bt_port_deadline(net) == 65 * SEC);
	assert_int_equal(bt_port_expired(net, 65 * SEC - 1), BT_NO_SLOT);
	assert_int_equal(bind_to(net, b, "127.0.0.1", 5000, &why), -EADDRINUSE);
	assert_int_equal(why.why, BT_WHY_IN_USE_TIME_WAIT);
	assert_true(why.frees_ns == 65 * SEC);
	assert_int_equal(bt_port_expired(net, 65 * SEC), a);
	bt_port_free(net, a);
	assert_int_equal(bind_to(net, b, "127.0.0.1", 5000, &why), 0);

	/* begun anew: it ends after the other one, and the other one is not touched */
	a = sock(net, BT_TCP, BT_V4, 0, 1);
	taken = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(connect_to(net, a, "10.0.0.1", "10.0.0.2", 80, 0, &slot, &why), 0);
	assert_int_equal(connect_to(net, taken, "10.0.0.1", "10.0.0.2", 80, 0, &slot, &why), 0);
	bt_port_time_wait_again(net, a, SEC); /* is in none */
	assert_true(bt_port_deadline(net) == UINT64_MAX);
	bt_port_time_wait(net, a, 0);
	bt_port_time_wait(net, taken, SEC);
	bt_port_time_wait_again(net, a, 30 * SEC);
	assert_true(bt_port_deadline(net) == 61 * SEC);
	assert_int_equal(bt_port_expired(net, 61 * SEC), taken);
	bt_port_free(net, taken);
	assert_true(bt_port_deadline(net) == 90 * SEC);
	assert_int_equal(bt_port_expired(net, 90 * SEC), a);
	bt_port_free(net, a);

	/* taken over by connect: only after a second */
	conf->range_lo = conf->range_hi = 6000;
	a = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(connect_to(net, a, "127.0.0.1", "127.0.0.1", 80, 0, &taken, &why), 0);
	bt_port_time_wait(net, a, 0);
	b = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(connect_to(net, b, "127.0.0.1", "127.0.0.1", 80, SEC - 1, &taken, &why),
			 -EADDRNOTAVAIL);
	conf->tw_reuse = 0;
	assert_int_equal(connect_to(net, b, "127.0.0.1", "127.0.0.1", 80, SEC, &taken, &why),
			 -EADDRNOTAVAIL);
	conf->tw_reuse = 2;
	assert_int_equal(connect_to(net, b, "127.0.0.1", "127.0.0.1", 80, SEC, &taken, &why), 0);
	assert_int_equal(taken, a);

	/* one end on loopback is enough (tcp_twsk_unique) */
	static const char *const ends[][2] = {
		{"127.0.0.1", "10.0.0.1"}, {"10.0.0.1", "127.5.5.5"}, {"::1", "fd00::1"},
		{"fd00::1", "::1"},	   {"10.0.0.1", "10.0.0.2"},  {"fd00::1", "fd00::1"},
	};

	for (uint32_t i = 0; i < 6; i++) {
		enum bt_family family = strchr(ends[i][0], ':') != NULL ? BT_V6 : BT_V4;

		a = sock(net, BT_TCP, family, 0, 1);
		b = sock(net, BT_TCP, family, 0, 1);
		assert_int_equal(connect_to(net, a, ends[i][0], ends[i][1], 80, 0, &taken, &why),
				 0);
		bt_port_time_wait(net, a, 0);
		assert_int_equal(connect_to(net, b, ends[i][0], ends[i][1], 80, SEC, &taken, &why),
				 i < 4 ? 0 : -EADDRNOTAVAIL);
		assert_int_equal(taken, i < 4 ? a : BT_NO_SLOT);
	}

	/* SO_REUSEPORT of another user conflicts with the connection, not with its TIME_WAIT */
	a = sock(net, BT_TCP, BT_V4, RP, 1);
	b = sock(net, BT_TCP, BT_V4, RP, 2);
	assert_int_equal(bind_to(net, a, "127.0.0.1", 7000, &why), 0);
	assert_int_equal(connect_to(net, a, "127.0.0.1", "127.0.0.1", 80, 0, &taken, &why), 0);
	assert_int_equal(bind_to(net, b, "127.0.0.1", 7000, &why), -EADDRINUSE);
	assert_int_equal(why.why, BT_WHY_REUSEPORT_UID);
	bt_port_time_wait(net, a, 0);
	assert_int_equal(bind_to(net, b, "127.0.0.1", 7000, &why), 0);
	end(net);
}

static void disconnect_keeps_what_bind_gave(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t a = sock(net, BT_UDP, BT_V4, 0, 1), b = sock(net, BT_UDP, BT_V4, 0, 1), taken;

	(void)state;
	assert_int_equal(bind_to(net, a, "0.0.0.0", 5000, &why), 0);
	assert_int_equal(connect_to(net, a, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
	bt_port_disconnect(net, a);
	assert_true(bt_port_get(net, a, &i));
	assert_int_equal(i.lport, 5000);
	assert_true(bt_addr_is_any(&i.laddr) && i.rport == 0 && i.state == BT_CLOSE);
	assert_int_equal(bt_port_autobind(net, b, 0, &why), 0);
	assert_int_not_equal(port_of(net, b), 0);
	bt_port_disconnect(net, b);
	assert_int_equal(port_of(net, b), 0);
	end(net);
}

/* A connection that is over keeps its addresses until that is told, also in the eyes of who binds.
 * Checked on Linux 6.18. */
static void done_keeps_the_addresses(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t a, b, taken;

	(void)state;
	for (uint16_t port = 0; port <= 7000; port += 7000) {
		a = sock(net, BT_TCP, BT_V4, 0, 1);
		b = sock(net, BT_TCP, BT_V4, 0, 1);
		assert_int_equal(bind_to(net, a, "0.0.0.0", port, &why), 0);
		assert_int_equal(connect_to(net, a, "127.0.0.1", "10.0.0.2", 9, 0, &taken, &why),
				 0);
		bt_port_set_state(net, a, BT_ESTABLISHED);
		bt_port_done(net, a);
		assert_true(bt_port_get(net, a, &i));
		assert_int_equal(i.state, BT_CLOSE);
		assert_int_equal(i.lport, port); /* what bind to 0 gave is free */
		assert_true(bt_addr_to_v4(&i.laddr) == 0x7f000001 && i.rport == 9);
		if (port != 0) {
			assert_int_equal(bind_to(net, b, "127.0.0.1", 7000, &why), -EADDRINUSE);
			assert_int_equal(bind_to(net, b, "10.0.0.1", 7000, &why), 0);
		}
		bt_port_disconnect(net, a);
		assert_true(bt_port_get(net, a, &i));
		assert_true(bt_addr_is_any(&i.laddr) && i.rport == 0 && i.lport == port);
	}
	/* nobody was there */
	a = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(connect_to(net, a, "127.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
	bt_port_done(net, a);
	assert_true(bt_port_get(net, a, &i));
	assert_true(bt_addr_to_v4(&i.laddr) == 0x7f000001 && i.rport == 0 && i.lport == 0);
	bt_port_done(net, a);
	end(net);
}

/* A fresh socket in the place of one takes its port without asking whether it may. */
static void inheriting(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	uint32_t a = sock(net, BT_TCP, BT_V4, RA, 1), b = sock(net, BT_TCP, BT_V4, 0, 1), child,
		 taken;
	uint32_t six = sock(net, BT_TCP, BT_V6, 0, 1);
	struct bt_port_info i;
	struct bt_reason why;

	(void)state;
	assert_int_equal(bind_to(net, a, "0.0.0.0", 80, &why), 0);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	assert_int_equal(bt_port_accept(net, a, &l, &r, 9, &child, &taken, &why), 0);
	assert_int_equal(bt_port_inherit(net, a, b), -EINVAL); /* it listens */
	bt_port_disconnect(net, a);
	bt_port_set_opts(net, a, 0); /* what a rival of the child could not bind with */
	assert_int_equal(bt_port_set_range(net, a, 40000, 40010), 0);
	assert_int_equal(bt_port_inherit(net, a, six), -EINVAL);
	assert_int_equal(bt_port_inherit(net, a, b), 0);
	assert_int_equal(bt_port_inherit(net, a, b), -EINVAL); /* b has a port */
	assert_true(bt_port_get(net, b, &i));
	assert_true(i.lport == 80 && i.range_lo == 40000 && i.range_hi == 40010);
	assert_int_equal(port_of(net, a), 0);
	bt_port_check(net);
	assert_int_equal(bt_port_listen(net, b, 0, &why), -EADDRINUSE); /* but listen asks */
	bt_port_free(net, child);
	assert_int_equal(bt_port_listen(net, b, 0, &why), 0);
	end(net);
}

/* A socket whose connection is in TIME_WAIT is bound anew, and that goes on without it. */
static void parting(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t a, w, taken;

	(void)state;
	for (uint16_t port = 0; port <= 7000; port += 7000) {
		struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
		uint16_t had;

		a = sock(net, BT_TCP, BT_V4, 0, 1);
		assert_int_equal(bind_to(net, a, "10.0.0.1", port, &why), 0);
		had = port_of(net, a);
		assert_int_equal(connect_to(net, a, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), 0);
		assert_int_equal(bt_port_part(net, a, &w), -EINVAL);
		bt_port_time_wait(net, a, SEC);
		assert_int_equal(bt_port_part(net, a, &w), 0);
		bt_port_check(net);
		assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, had, &r, 9, 2), w);
		assert_true(bt_port_get(net, w, &i) && i.state == BT_TIME_WAIT && i.lport == had);
		assert_true(bt_port_get(net, a, &i) && i.state == BT_CLOSE && i.lport == port);
		assert_int_equal(bind_to(net, a, "10.0.0.1", 7001, &why), port == 0 ? 0 : -EINVAL);
		assert_true(bt_port_deadline(net) == 61 * SEC);
		assert_int_equal(bt_port_expired(net, 61 * SEC), w);
		bt_port_free(net, w);
		bt_port_free(net, a);
	}
	end(net);
}

/* What a crash left is entered again: the same slots, tuples and refusals. */
static void restoring(void **state)
{
	struct bt_port_net *net = make(10000);
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");
	struct bt_port_info i = {.proto = BT_TCP,
				 .family = BT_V4,
				 .state = BT_ESTABLISHED,
				 .laddr = l,
				 .raddr = r,
				 .lport = 80,
				 .rport = 40000};

	(void)state;
	assert_int_equal(bt_port_restore_child(net, 5000, &i), 0);
	assert_int_equal(bt_port_restore_child(net, 5001, &i), -EADDRNOTAVAIL);
	i.rport++;
	assert_int_equal(bt_port_restore_child(net, 5000, &i), -EEXIST);
	i.state = BT_TIME_WAIT;
	assert_int_equal(bt_port_restore_child(net, 7, &i), 0);
	bt_port_time_wait(net, 7, SEC);
	assert_int_equal(bt_port_lookup(net, 0, BT_TCP, &l, 80, &r, 40000, 2), 5000);
	assert_int_equal(bt_port_new_at(net, 0, BT_TCP, BT_V4, 1, 10000), -ENFILE);
	assert_int_equal(bt_port_count(net), 2);
	end(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(child_releases_its_port),
		cmocka_unit_test(connect_without_a_place),
		cmocka_unit_test(self_connect),
		cmocka_unit_test(slots_rest),
		cmocka_unit_test(time_wait_ends),
		cmocka_unit_test(disconnect_keeps_what_bind_gave),
		cmocka_unit_test(done_keeps_the_addresses),
		cmocka_unit_test(inheriting),
		cmocka_unit_test(parting),
		cmocka_unit_test(restoring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

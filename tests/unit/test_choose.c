/* SPDX-License-Identifier: Apache-2.0 */
/* The ports that are chosen, for bind to 0 and for connect. */
#include "port_help.h"

/* Which ports of [4000, 4000 + n) are handed out in the end, as bits; checked on Linux 6.18. */
static unsigned handed_out(int n, bool connects, unsigned opts, uint16_t lo, uint16_t hi)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_reason why;
	uint32_t slot, taken;
	unsigned out = 0;
	int r = 0;

	conf->range_lo = 4000;
	conf->range_hi = (uint16_t)(4000 + n - 1);
	while (r == 0) {
		slot = sock(net, BT_TCP, BT_V4, opts, 1);
		assert_int_equal(bt_port_set_range(net, slot, lo, hi), 0);
		if (connects)
			r = connect_to(net, slot, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why);
		else
			r = bind_to(net, slot, "10.0.0.1", 0, &why);
		if (r == 0)
			out |= 1u << (port_of(net, slot) - 4000);
	}
	assert_int_equal(r, connects ? -EADDRNOTAVAIL : -EADDRINUSE);
	assert_int_equal(why.why, BT_WHY_NO_FREE_PORT);
	slot = sock(net, BT_TCP, BT_V4, opts, 1); /* listen, too, finds none for the wildcard */
	assert_int_equal(bt_port_set_range(net, slot, lo, hi), 0);
	assert_int_equal(bt_port_listen(net, slot, 0, &why), -EADDRINUSE);
	assert_int_equal(port_of(net, slot), 0);
	end(net);
	return out;
}

static void odd_ranges(void **state)
{
	(void)state;
	for (int n = 1; n < 10; n++) {
		unsigned all = (1u << n) - 1;

		assert_int_equal(handed_out(n, true, 0, 0, 0), n == 3 ? 3 : all);
		assert_int_equal(handed_out(n, false, 0, 0, 0), n == 3 ? 3 : all);
		assert_int_equal(handed_out(n, false, RA, 0, 0), n == 3 ? 3 : n == 5 ? 15 : all);
	}
}

static void own_ranges(void **state)
{
	struct bt_port_net *net;
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t a, u, child, taken;
	struct bt_addr l = address("10.0.0.1"), r = address("10.0.0.2");

	(void)state;
	assert_int_equal(handed_out(8, true, 0, 4002, 4004), 0x1c);
	assert_int_equal(handed_out(8, false, 0, 4002, 4004), 0x0c);
	assert_int_equal(handed_out(8, true, 0, 0, 4004), 0x1f);
	assert_int_equal(handed_out(8, true, 0, 4002, 0), 0xfc);
	assert_int_equal(handed_out(8, true, 0, 4005, 4005), 0x20);
	/* a limit outside the host's range has no effect */
	assert_int_equal(handed_out(8, true, 0, 3000, 4002), 0x07);
	assert_int_equal(handed_out(8, true, 0, 4006, 5000), 0xc0);
	assert_int_equal(handed_out(8, true, 0, 5000, 5001), 0xff);
	assert_int_equal(handed_out(8, false, 0, 1, 1), 0xff);
	net = make(5000);
	a = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(bt_port_set_range(net, a, 40001, 40000), -EINVAL);
	assert_int_equal(bt_port_set_range(net, a, 40001, 40001), 0);
	assert_int_equal(bind_to(net, a, "0.0.0.0", 0, &why), 0);
	assert_int_equal(port_of(net, a), 40001);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	assert_int_equal(bt_port_accept(net, a, &l, &r, 9, &child, &taken, &why), 0);
	assert_true(bt_port_get(net, child, &i) && i.range_lo == 40001 && i.range_hi == 40001);
	u = sock(net, BT_UDP, BT_V4, 0, 1);
	assert_int_equal(bt_port_set_range(net, u, 50000, 50000), 0);
	assert_int_equal(bt_port_autobind(net, u, 0, &why), 0);
	assert_int_equal(port_of(net, u), 50000);
	u = sock(net, BT_UDP, BT_V4, 0, 1);
	assert_int_equal(bt_port_set_range(net, u, 50000, 50000), 0);
	assert_int_equal(bt_port_autobind(net, u, 0, &why), -EAGAIN);
	assert_int_equal(bind_to(net, u, "0.0.0.0", 0, &why), -EADDRINUSE);
	assert_int_equal(connect_to(net, u, "10.0.0.1", "10.0.0.2", 9, 0, &taken, &why), -EAGAIN);
	/* many, and gone with their sockets */
	for (uint32_t n = 0; n < 3000; n++) {
		u = sock(net, BT_UDP, BT_V4, 0, 1);
		assert_int_equal(bt_port_set_range(net, u, (uint16_t)(33000 + n), 0), 0);
	}
	for (uint32_t n = 0; n < 3000; n += 2)
		bt_port_free(net, u - n);
	bt_port_check(net);
	for (uint32_t n = 1; n < 3000; n += 2)
		assert_true(bt_port_get(net, u - n, &i) && i.range_lo == 33000 + 2999 - n);
	end(net);
}

/* ip_autobind_reuse: Linux's words are, for connections to different destinations. */
static void autobind_reuse(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_reason why;
	uint32_t a = sock(net, BT_TCP, BT_V4, RA, 1), b = sock(net, BT_TCP, BT_V4, RA, 1), c;

	(void)state;
	conf->range_lo = conf->range_hi = 4000;
	conf->reserved[4000 / 64] |= 1ull << (4000 % 64);
	assert_int_equal(bind_to(net, b, "10.0.0.1", 0, &why), -EADDRINUSE);
	assert_int_equal(bind_to(net, a, "10.0.0.1", 4000, &why),
			 0); /* reserved only from choice */
	conf->reserved[4000 / 64] = 0;
	assert_int_equal(bind_to(net, b, "10.0.0.1", 0, &why), -EADDRINUSE);
	conf->autobind_reuse = 1;
	assert_int_equal(bind_to(net, b, "10.0.0.1", 0, &why), 0);
	c = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(bind_to(net, c, "10.0.0.1", 0, &why), -EADDRINUSE);
	bt_port_set_opts(net, c, RA | RP);
	bt_port_set_opts(net, a, RA | RP);
	assert_int_equal(bind_to(net, c, "10.0.0.1", 0, &why), -EADDRINUSE);
	bt_port_set_opts(net, a, RA);
	assert_int_equal(bind_to(net, c, "10.0.0.1", 0, &why), 0);
	assert_int_equal(bt_port_listen(net, a, 0, &why), 0);
	c = sock(net, BT_TCP, BT_V4, RA, 1);
	assert_int_equal(bind_to(net, c, "10.0.0.1", 0, &why), -EADDRINUSE);
	end(net);
}

/* Every port of the range once, for each destination; then none. */
static void range_is_used_up(void **state)
{
	struct bt_port_net *net = make(100000);
	uint32_t taken, slot = 0, n = 60999 - 32768 + 1;
	struct bt_reason why;

	(void)state;
	for (int dst = 0; dst < 2; dst++) {
		for (uint32_t i = 0; i < n; i++) {
			slot = sock(net, BT_TCP, BT_V4, 0, 1);
			assert_int_equal(connect_to(net, slot, "10.0.0.1",
						    dst ? "10.0.0.2" : "10.0.0.1", 80, 0, &taken,
						    &why),
					 0);
			assert_in_range(port_of(net, slot), 32768, 60999);
		}
		slot = sock(net, BT_TCP, BT_V4, 0, 1);
		assert_int_equal(connect_to(net, slot, "10.0.0.1", dst ? "10.0.0.2" : "10.0.0.1",
					    80, 0, &taken, &why),
				 -EADDRNOTAVAIL);
		assert_int_equal(why.why, BT_WHY_NO_FREE_PORT);
		bt_port_check(net);
	}
	bt_port_free(net, 100); /* one is free again, and found */
	assert_int_equal(connect_to(net, slot, "10.0.0.1", "10.0.0.1", 80, 0, &taken, &why), 0);
	end(net);
}

/*
 * One destination with more connections than a list holds, on 200 ports of loopback: connect finds
 * a port exactly when one is free or may be taken over, and never takes a live one.
 */
static void many_to_one(void **state)
{
	struct bt_port_net *net = make(5000);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	uint32_t owner[200], waiting = 0, live = 0, taken, rng = 1;
	uint64_t since[200], now = 0;
	struct bt_reason why;

	(void)state;
	conf->range_lo = 4000;
	conf->range_hi = 4199;
	for (int p = 0; p < 200; p++)
		owner[p] = BT_NO_SLOT;
	for (int n = 0; n < 40000; n++) {
		uint32_t p = (rng = rng * 1103515245 + 12345) / 65536 % 200, slot, ready = 0;
		struct bt_port_info i;

		now += SEC / 100;
		if (owner[p] != BT_NO_SLOT && (n / 2000) % 2) {
			bt_port_get(net, owner[p], &i);
			waiting -= i.state == BT_TIME_WAIT;
			live -= i.state != BT_TIME_WAIT;
			bt_port_free(net, owner[p]);
			owner[p] = BT_NO_SLOT;
			continue;
		}
		if (owner[p] != BT_NO_SLOT && n % 8 == 0) {
			bt_port_get(net, owner[p], &i);
			if (i.state == BT_TIME_WAIT)
				continue;
			bt_port_time_wait(net, owner[p], now);
			since[p] = now;
			waiting++;
			live--;
			continue;
		}
		for (int k = 0; k < 200; k++)
			ready += owner[k] != BT_NO_SLOT && bt_port_get(net, owner[k], &i) &&
				 i.state == BT_TIME_WAIT && now - since[k] >= SEC;
		slot = sock(net, BT_TCP, BT_V4, 0, 1);
		if (connect_to(net, slot, "127.0.0.1", "127.0.0.1", 80, now, &taken, &why) < 0) {
			assert_true(live + waiting == 200 && ready == 0);
			bt_port_free(net, slot);
			continue;
		}
		p = port_of(net, slot) - 4000u;
		assert_true(p < 200 && taken == owner[p]);
		if (taken != BT_NO_SLOT) {
			assert_true(ready > 0 && now - since[p] >= SEC);
			waiting--;
		}
		owner[p] = slot;
		live++;
		if (n % 500 == 0)
			bt_port_check(net);
	}
	end(net);
}

static void small_range(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_reason why;
	uint32_t s[5], taken;

	(void)state;
	conf->range_lo = 4000;
	conf->range_hi = 4003;
	conf->reserved[4001 / 64] |= 1ull << (4001 % 64);
	for (int i = 0; i < 5; i++)
		s[i] = sock(net, BT_TCP, BT_V4, 0, 1);
	assert_int_equal(bind_to(net, s[0], "10.0.0.1", 0, &why), 0);
	/* held by bind, reserved: two remain */
	assert_int_equal(connect_to(net, s[1], "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why), 0);
	assert_int_equal(connect_to(net, s[2], "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why), 0);
	assert_int_equal(connect_to(net, s[3], "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why),
			 -EADDRNOTAVAIL);
	assert_int_equal(connect_to(net, s[3], "10.0.0.1", "10.0.0.2", 81, 0, &taken, &why), 0);
	/* no port is unused, but another address may share one */
	assert_int_equal(bind_to(net, s[4], "10.0.0.1", 0, &why), -EADDRINUSE);
	assert_int_equal(why.why, BT_WHY_NO_FREE_PORT);
	assert_int_equal(bind_to(net, s[4], "10.0.0.2", 0, &why), 0);
	assert_int_not_equal(port_of(net, s[4]), 4001);
	end(net);
}

/* Chi-squared over 16 ports, 8 of them free, so that probes and scan both serve: 7 degrees of
 * freedom. */
static void choice_is_uniform(void **state)
{
	struct bt_port_net *net = make(5000);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_reason why;
	unsigned hits[16] = {0};
	uint32_t taken, slot = sock(net, BT_TCP, BT_V4, 0, 1);
	double chi = 0;

	(void)state;
	conf->range_lo = 4000;
	conf->range_hi = 4015;
	for (uint32_t p = 4000; p < 4016; p += 2)
		conf->reserved[p / 64] |= 1ull << (p % 64);
	for (int n = 0; n < 8000; n++) {
		assert_int_equal(connect_to(net, slot, "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why),
				 0);
		hits[port_of(net, slot) - 4000]++;
		bt_port_disconnect(net, slot);
	}
	for (int i = 1; i < 16; i += 2)
		chi += (hits[i] - 1000.0) * (hits[i] - 1000.0) / 1000.0;
	assert_true(chi < 24.3); /* p = 0.001 */
	end(net);
}

/* The same in the default range with 28 free ports, which a scan finds: 27 degrees of freedom. */
static void choice_is_uniform_when_nearly_full(void **state)
{
	struct bt_port_net *net = make(40000);
	unsigned hits[28] = {0};
	struct bt_reason why;
	uint32_t taken, slot, n = 60999 - 32768 + 1, holes[28];
	double chi = 0;

	(void)state;
	for (uint32_t i = 0; i < n; i++) {
		slot = sock(net, BT_TCP, BT_V4, 0, 1);
		assert_int_equal(connect_to(net, slot, "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why),
				 0);
	}
	for (uint32_t i = 0; i < 28; i++) {
		holes[i] = port_of(net, i * 1000);
		bt_port_disconnect(net, i * 1000);
	}
	slot = sock(net, BT_TCP, BT_V4, 0, 1);
	for (int k = 0; k < 28000; k++) {
		uint32_t i = 0;

		assert_int_equal(connect_to(net, slot, "10.0.0.1", "10.0.0.2", 80, 0, &taken, &why),
				 0);
		while (i < 28 && holes[i] != port_of(net, slot))
			i++;
		assert_true(i < 28);
		hits[i]++;
		bt_port_disconnect(net, slot);
	}
	for (int i = 0; i < 28; i++)
		chi += (hits[i] - 1000.0) * (hits[i] - 1000.0) / 1000.0;
	assert_true(chi < 55.5); /* p = 0.001 */
	end(net);
}

enum { CHOSEN = 2000 };

static void choose_many(struct bt_port_net *net, const char *dst, uint16_t ports[CHOSEN])
{
	uint32_t taken, slot = sock(net, BT_TCP, BT_V4, 0, 1);
	struct bt_reason why;

	for (int n = 0; n < CHOSEN; n++) {
		assert_int_equal(connect_to(net, slot, "10.0.0.1", dst, 80, 0, &taken, &why), 0);
		ports[n] = port_of(net, slot);
		bt_port_disconnect(net, slot);
	}
}

/* How often the difference of both, modulo the range, is the one that comes most often. */
static int most_often(const uint16_t a[], const uint16_t b[], int n)
{
	static int times[60999 - 32768 + 1];
	int most = 0;

	memset(times, 0, sizeof(times));
	for (int i = 0; i < n; i++) {
		int *t = &times[(a[i] - b[i] + 28232) % 28232];

		most = ++*t > most ? *t : most;
	}
	return most;
}

/* CVE-2022-1012, CVE-2022-32296, RFC 6056 3.3: what ports one destination sees tells nobody those
 * of another, the next ones, or (another key) those of another network. Linux chose by a counter
 * that destinations shared: a difference that came again and again. That one of 28,232
 * comes six times in 2,000 by chance is one in 200,000, and the keys are always these. */
static void choice_is_not_predicted(void **state)
{
	static const uint8_t other_key[16] = {17};
	struct bt_port_net *net = make(10), *other = bt_port_net_new(other_key, 10);
	static uint16_t one[CHOSEN], two[CHOSEN], elsewhere[CHOSEN];

	(void)state;
	assert_non_null(other);
	assert_int_equal(bt_port_host_add(other, 0), 0);
	choose_many(net, "10.0.0.1", one);
	choose_many(net, "10.0.0.2", two);
	choose_many(other, "10.0.0.1", elsewhere);
	assert_in_range(most_often(one, two, CHOSEN), 1, 5);
	assert_in_range(most_often(one, elsewhere, CHOSEN), 1, 5);
	assert_in_range(most_often(one + 1, one, CHOSEN - 1), 1, 5);
	assert_in_range(most_often(two + 1, one, CHOSEN - 1), 1, 5);
	end(net);
	end(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_ranges),
		cmocka_unit_test(own_ranges),
		cmocka_unit_test(autobind_reuse),
		cmocka_unit_test(range_is_used_up),
		cmocka_unit_test(many_to_one),
		cmocka_unit_test(small_range),
		cmocka_unit_test(choice_is_uniform),
		cmocka_unit_test(choice_is_uniform_when_nearly_full),
		cmocka_unit_test(choice_is_not_predicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

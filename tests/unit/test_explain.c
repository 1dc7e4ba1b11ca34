/* SPDX-License-Identifier: Apache-2.0 */
/* What is explained is what happens: random tables, each question asked first and then tried. */
#include "net_help.h"
#include "random.h"

enum { HOSTS = 3, SOCKS = 60, PORTS = 6, QUESTIONS = 300, TABLES = 60 };

static struct bt_addr addr_of(unsigned host)
{
	switch (rnd(6)) {
	case 0:
		return bt_addr_v4(0x7f000001);
	case 1:
		return (struct bt_addr){{[15] = 1}};
	case 2:
		return (struct bt_addr){{[0] = 0xfd, [15] = (uint8_t)(host + 1)}};
	default:
		return bt_addr_v4(0x0a000001u + host);
	}
}

static struct bt_net *table(void)
{
	struct bt_net *net = bt_net_new(key, 4096);
	struct bt_reason why;
	uint16_t host, owner;

	for (unsigned h = 0; h < HOSTS; h++) {
		char name[8];
		struct bt_net_addr four = {.addr = bt_addr_v4(0x0a000001u + h),
					   .bits = 24,
					   .family = BT_V4},
				   six = {.addr = {{[0] = 0xfd, [15] = (uint8_t)(h + 1)}},
					  .bits = 64,
					  .family = BT_V6};
		snprintf(name, sizeof(name), "h%u", h);
		assert_int_equal(bt_net_host_add(net, name, &host), 0);
		assert_int_equal(bt_net_addr_add(net, host, &four, &owner), 0);
		assert_int_equal(bt_net_addr_add(net, host, &six, &owner), 0);
	}
	for (unsigned i = 0; i < SOCKS; i++) {
		bool udp = rnd(2), v6 = rnd(2);
		unsigned h = rnd(HOSTS);
		struct bt_addr a = {{0}};
		uint32_t slot, child, listener;

		assert_int_equal(bt_net_sock(net, (uint16_t)h, udp ? BT_UDP : BT_TCP,
					     v6 ? BT_V6 : BT_V4, rnd(2), &slot),
				 0);
		bt_port_set_opts(bt_net_ports(net), slot, rnd(8));
		if (rnd(5) == 0)
			bt_port_set_dev(bt_net_ports(net), slot, (uint8_t)(1 + rnd(2)));
		if (rnd(2))
			a = addr_of(h);
		else if (!v6)
			a = bt_addr_v4(0);
		bt_net_bind(net, slot, &a, (uint16_t)(1000 + rnd(PORTS)), true, 0, &why);
		if (rnd(4) == 0 && udp)
			bt_net_udp_connect(net, slot, addr_of(rnd(HOSTS)),
					   (uint16_t)(1000 + rnd(PORTS)), 0, &why);
		else if (rnd(4) == 0 && !udp)
			bt_net_connect(net, slot, addr_of(rnd(HOSTS)),
				       (uint16_t)(1000 + rnd(PORTS)), 0, &child, &listener, &why);
		else if (!udp && rnd(5))
			bt_net_listen(net, slot, 0, &why);
	}
	return net;
}

/* Who a connect reaches, and then what was said of it. */
static void one_tcp(struct bt_net *net, unsigned *reached)
{
	struct bt_addr dst = addr_of(rnd(HOSTS)), any = bt_addr_v4(0), src;
	uint16_t host = (uint16_t)rnd(HOSTS), sport;
	uint16_t port = (uint16_t)(1000 + rnd(PORTS));
	struct bt_net_explained e;
	struct bt_reason why;
	uint32_t slot, child, listener = BT_NO_SLOT;

	if (!bt_addr_is_v4(&dst))
		memset(&any, 0, sizeof(any));
	assert_int_equal(
		bt_net_sock(net, host, BT_TCP, bt_addr_is_v4(&dst) ? BT_V4 : BT_V6, 0, &slot), 0);
	int r = bt_net_connect(net, slot, dst, port, 0, &child, &listener, &why);
	bt_net_tried(net, &src, &sport);
	if (r == 0)
		bt_net_connect_undo(net, slot);
	assert_true(bt_net_explain(net, host, BT_TCP, &any, sport, &dst, port, &e));
	if (r == 0) {
		assert_int_equal(e.err, 0);
		assert_int_equal(e.slot, listener);
		assert_memory_equal(&e.src, &src, sizeof(src));
		++*reached;
	} else if (e.err == 0) {
		assert_int_equal(r, -ECONNREFUSED);
		assert_int_equal(e.slot, BT_NO_SLOT);
	} else {
		assert_int_equal(e.err == BT_NET_LOST ? -EHOSTUNREACH : e.err, r);
	}
	bt_net_closed(net, slot, 0);
}

static void one_udp(struct bt_net *net, unsigned *reached)
{
	struct bt_addr dst = addr_of(rnd(HOSTS)), asked = dst, any = bt_addr_v4(0), src = {{0}};
	uint16_t host = (uint16_t)rnd(HOSTS), port = (uint16_t)(1000 + rnd(PORTS));
	struct bt_net_explained e;
	struct bt_port_info i;
	struct bt_reason why;
	uint32_t slot, target = BT_NO_SLOT;

	if (!bt_addr_is_v4(&dst))
		memset(&any, 0, sizeof(any));
	assert_int_equal(
		bt_net_sock(net, host, BT_UDP, bt_addr_is_v4(&dst) ? BT_V4 : BT_V6, 0, &slot), 0);
	int r = bt_net_udp_route(net, slot, &dst, port, 0, &target, &src, &why);
	assert_true(bt_port_get(bt_net_ports(net), slot, &i));
	assert_true(bt_net_explain(net, host, BT_UDP, &any, i.lport, &asked, port, &e));
	assert_int_equal(e.err, r);
	if (r == 0) {
		assert_int_equal(e.slot, target);
		assert_memory_equal(&e.dst, &dst, sizeof(dst));
		*reached += target != BT_NO_SLOT;
	}
	bt_net_closed(net, slot, 0);
}

/* The trace tells why: the winner is among the candidates, and none has more than its score. */
static void trace_agrees(const struct bt_net_explained *e)
{
	int32_t best = -1, own = -1;

	for (uint32_t i = 0; i < e->trace.n; i++)
		if (e->trace.candidates[i].score > best)
			best = e->trace.candidates[i].score;
	for (uint32_t i = 0; i < e->trace.n; i++)
		if (e->trace.candidates[i].slot == e->slot || e->trace.candidates[i].group)
			own = e->trace.candidates[i].score > own ? e->trace.candidates[i].score
								 : own;
	if (e->trace.connected || e->err != 0 || e->trace.more > 0)
		return;
	assert_int_equal(e->slot == BT_NO_SLOT, best < 0);
	if (e->slot != BT_NO_SLOT)
		assert_int_equal(own, best);
}

static void explained_is_what_happens(void **state)
{
	unsigned reached = 0;

	(void)state;
	for (uint64_t t = 1; t <= TABLES; t++) {
		rng = t;
		struct bt_net *net = table();

		for (unsigned q = 0; q < QUESTIONS; q++) {
			struct bt_addr dst = addr_of(rnd(HOSTS)), any = {{0}};
			struct bt_net_explained e;

			if (q % 2)
				one_tcp(net, &reached);
			else
				one_udp(net, &reached);
			assert_true(bt_net_explain(net, (uint16_t)rnd(HOSTS),
						   q % 2 ? BT_TCP : BT_UDP, &any, 0, &dst,
						   (uint16_t)(1000 + rnd(PORTS)), &e));
			trace_agrees(&e);
		}
		bt_net_free(net);
	}
	assert_in_range(reached, TABLES * QUESTIONS / 10, TABLES * QUESTIONS);
}

static void no_such_host(void **state)
{
	struct bt_net *net = bt_net_new(key, 16);
	struct bt_addr any = {{0}};
	struct bt_net_explained e;

	(void)state;
	assert_false(bt_net_explain(net, 0, BT_TCP, &any, 0, &any, 80, &e));
	bt_net_free(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(explained_is_what_happens),
		cmocka_unit_test(no_such_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

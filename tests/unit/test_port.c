/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/base/siphash.h"
#include "../../lib/port/port.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#define SEC 1000000000ull

static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static struct bt_port_net *make(uint32_t slots)
{
	struct bt_port_net *net = bt_port_net_new(key, slots);

	assert_non_null(net);
	assert_int_equal(bt_port_host_add(net, 0), 0);
	assert_int_equal(bt_port_host_add(net, 0), -EEXIST);
	return net;
}

static void end(struct bt_port_net *net)
{
	bt_port_check(net);
	for (uint32_t slot = 0; bt_port_count(net) > 0; slot++)
		bt_port_free(net, slot);
	bt_port_check(net);
	assert_int_equal(bt_port_host_del(net, 0), 0);
	bt_port_net_free(net);
}

static uint32_t sock(struct bt_port_net *net, enum bt_proto proto, enum bt_family family,
		     unsigned opts, uint32_t uid)
{
	uint32_t slot;

	assert_int_equal(bt_port_new(net, 0, proto, family, uid, &slot), 0);
	bt_port_set_opts(net, slot, opts);
	return slot;
}

static struct bt_addr address(const char *name)
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

static int bind_to(struct bt_port_net *net, uint32_t slot, const char *addr, uint16_t port,
		   struct bt_reason *why)
{
	struct bt_addr a = address(addr);

	return bt_port_bind(net, slot, &a, port, true, 0, why);
}

static uint16_t port_of(struct bt_port_net *net, uint32_t slot)
{
	struct bt_port_info i;

	assert_true(bt_port_get(net, slot, &i));
	return i.lport;
}

static int connect_to(struct bt_port_net *net, uint32_t slot, const char *src, const char *dst,
		      uint16_t port, uint64_t now, uint32_t *taken, struct bt_reason *why)
{
	struct bt_addr s = address(src), d = address(dst);

	return bt_port_connect(net, slot, &s, &d, port, now, taken, why);
}

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
	assert_true(bt_siphash(k, in, 0) == 0x726fdb47dd0e0e31);
}

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

#define RA BT_REUSEADDR
#define RP BT_REUSEPORT

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

static void time_wait_ends(void **state)
{
	struct bt_port_net *net = make(100);
	struct bt_port_conf *conf = bt_port_host_conf(net, 0);
	struct bt_reason why;
	uint32_t a = sock(net, BT_TCP, BT_V4, 0, 1), b = sock(net, BT_TCP, BT_V4, 0, 1), taken;

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

/* n connections from host 0 to a listener of host 1; false: out of memory. */
static bool connections(struct bt_port_net *net, uint32_t listener, uint32_t n)
{
	struct bt_addr src = address("10.0.0.1"), dst = address("10.0.0.2");
	uint32_t slot, child, taken;
	struct bt_reason why;
	struct bt_port_info i;
	bool all = true;
	int r;

	while (n-- > 0) {
		r = bt_port_new(net, 0, BT_TCP, BT_V4, 1, &slot);
		if (r == 0)
			r = bt_port_connect(net, slot, &src, &dst, 80, 0, &taken, &why);
		if (r == 0 && bt_port_get(net, slot, &i))
			r = bt_port_accept(net, listener, &dst, &src, i.lport, &child, &taken,
					   &why);
		assert_true(r == 0 || r == -ENOMEM);
		all &= r == 0;
	}
	return all;
}

/* Both ends of a connection take at most 165 bytes of memory that is written to. */
static void bytes_per_connection(void **state)
{
	static const uint32_t counts[] = {8200, 10000, 20000};

	(void)state;
	for (int k = 0; k < 3; k++) {
		struct bt_port_net *net = make(100000);
		struct bt_reason why;
		uint32_t listener;
		size_t before;

		assert_int_equal(bt_port_host_add(net, 1), 0);
		assert_int_equal(bt_port_new(net, 1, BT_TCP, BT_V4, 1, &listener), 0);
		assert_int_equal(bind_to(net, listener, "0.0.0.0", 80, &why), 0);
		assert_int_equal(bt_port_listen(net, listener, 0, &why), 0);
		before = bt_port_bytes(net);
		assert_true(connections(net, listener, counts[k]));
		assert_in_range(bt_port_bytes(net) - before, 128 * counts[k], 165 * counts[k]);
		end(net);
	}
}

#if defined(__GLIBC__) && !defined(SANITIZED)

/* The library's allocator: fails from the fail_at-th call on, for fail_for calls. */
static uint32_t n_calls, fail_at = UINT32_MAX, fail_for;
static int n_blocks;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static void *count(void *fresh)
{
	n_blocks += fresh != NULL;
	return fresh;
}

static bool fails(void)
{
	n_calls++;
	return n_calls > fail_at && n_calls - fail_at <= fail_for;
}

void *malloc(size_t n)
{
	return fails() ? NULL : count(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	if (fails())
		return NULL;
	return p == NULL ? count(__libc_malloc(n)) : __libc_realloc(p, n);
}

void free(void *p)
{
	n_blocks -= p != NULL;
	__libc_free(p);
}

/* All that allocates. */
static void exhausting(struct bt_port_net *net)
{
	struct bt_reason why;
	uint32_t listener, slot, n;

	if (bt_port_host_add(net, 0) < 0 || bt_port_host_add(net, 1) < 0 ||
	    bt_port_new(net, 1, BT_TCP, BT_V4, 1, &listener) < 0 ||
	    bind_to(net, listener, "0.0.0.0", 80, &why) < 0 ||
	    bt_port_listen(net, listener, 0, &why) < 0)
		return;
	for (n = 0; n < 100; n++) { /* classes */
		if (bt_port_new(net, 0, BT_UDP, BT_V4, n, &slot) < 0)
			continue;
		bt_port_set_opts(net, slot, RA);
		if (bind_to(net, slot, "0.0.0.0", 53, &why) < 0)
			assert_int_equal(why.why, BT_WHY_NO_MEMORY);
	}
	connections(net, listener, 2200);	     /* slots, tuples, a destination */
	for (uint16_t port = 1; port < 1200; port++) /* destinations */
		if (bt_port_new(net, 0, BT_TCP, BT_V4, 1, &slot) == 0)
			connect_to(net, slot, "10.0.0.1", "10.0.0.2", port, 0, &n, &why);
	for (slot = 200; slot < 500; slot++) /* TIME_WAITs */
		bt_port_time_wait(net, slot, 5);
	bt_port_free(net, 300);
	for (n = 0; (slot = bt_port_expired(net, 5)) != BT_NO_SLOT; n++) {
		struct bt_port_info i;

		assert_true(bt_port_deadline(net) == 0 && bt_port_get(net, slot, &i));
		assert_true(i.state == BT_TIME_WAIT && i.lport == 0);
		if (n == 0)
			bt_port_check(net);
		if (n % 2)
			bt_port_free(net, slot);
		else
			bt_port_disconnect(net, slot);
	}
	assert_true(bt_port_deadline(net) > 5);
}

/* Whichever allocation fails, alone or with all that follow. */
static void out_of_memory(void **state)
{
	int before = n_blocks;
	bool done = false;

	(void)state;
	for (uint32_t at = 0; !done; at++) {
		for (int k = 0; k < 2; k++) {
			struct bt_port_net *net;

			n_calls = 0;
			fail_for = k == 0 ? 1 : UINT32_MAX / 2;
			fail_at = at;
			net = bt_port_net_new(key, 10000);
			if (net != NULL) {
				exhausting(net);
				bt_port_check(net);
			}
			done = n_calls <= at;
			fail_at = UINT32_MAX;
			bt_port_net_free(net);
			assert_int_equal(n_blocks, before);
		}
	}
}

#else

static void out_of_memory(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(bind_pairs),
		cmocka_unit_test(bind_refusals),
		cmocka_unit_test(bind_again),
		cmocka_unit_test(child_releases_its_port),
		cmocka_unit_test(ports_remember),
		cmocka_unit_test(connect_without_a_place),
		cmocka_unit_test(devices),
		cmocka_unit_test(tuples_with_devices),
		cmocka_unit_test(odd_ranges),
		cmocka_unit_test(own_ranges),
		cmocka_unit_test(autobind_reuse),
		cmocka_unit_test(self_connect),
		cmocka_unit_test(slots_rest),
		cmocka_unit_test(range_is_used_up),
		cmocka_unit_test(many_to_one),
		cmocka_unit_test(small_range),
		cmocka_unit_test(choice_is_uniform),
		cmocka_unit_test(choice_is_uniform_when_nearly_full),
		cmocka_unit_test(time_wait_ends),
		cmocka_unit_test(udp_reuseport_order),
		cmocka_unit_test(reuseport_spreads),
		cmocka_unit_test(demultiplexing),
		cmocka_unit_test(equal_scores),
		cmocka_unit_test(disconnect_keeps_what_bind_gave),
		cmocka_unit_test(restoring),
		cmocka_unit_test(bytes_per_connection),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the port space takes, and what it does without. */
#include "port_help.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

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
		cmocka_unit_test(bytes_per_connection),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

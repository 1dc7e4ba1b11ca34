/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory: a program that uses all of the engine is run again and again, and each time one
 * allocation more succeeds before one fails, or before all fail. No call may crash; each says an
 * error, or does its work; in the end all sockets are gone and all memory is given back.
 */
#include "engine_help.h"

#include <stdio.h>

/* ---- the allocator (the linker's --wrap) ---- */

static long n_until_failure; /* allocations that succeed; negative: all */
static bool all_after;	     /* and of those behind it none does */
static long n_failed, n_living;

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void __wrap_free(void *p);

static bool fails(void)
{
	if (n_until_failure < 0)
		return false;
	if (n_until_failure > 0) {
		n_until_failure--;
		return false;
	}
	if (!all_after)
		n_until_failure = -1;
	n_failed++;
	return true;
}

static void *count(void *p)
{
	n_living += p != NULL;
	return p;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t k, size_t n)
{
	return fails() ? NULL : count(__real_calloc(k, n));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (fails())
		return NULL;
	return p == NULL ? count(__real_realloc(p, n)) : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return fails() ? NULL : count(__real_aligned_alloc(align, n));
}

void __wrap_free(void *p)
{
	n_living -= p != NULL;
	__real_free(p);
}

/* ---- the program ---- */

static struct world w;
static berth_socket all[64];
static unsigned n_all;

/* An error of a call must be one that says so. */
static int64_t may(int64_t r)
{
	if (r < 0)
		assert_non_null(berth_strerror((int)r));
	return r;
}

static berth_socket opened(berth_host host, enum berth_type type, int family)
{
	berth_socket s = 0;

	if (may(berth_open(w.b, host, type, family, &s)) < 0)
		assert_int_equal(s, 0);
	else
		all[n_all++] = s;
	return s;
}

static void streams(void)
{
	static char data[200000], got[50000];
	struct berth_endpoint web = at(v4(10, 0, 0, 1), 80), here = at(v4(0, 0, 0, 0), 80);
	berth_socket l = opened(0, BERTH_TCP, 4), c[3], s;

	may(berth_set(w.b, l, BERTH_SO_REUSEADDR, 1, w.now));
	may(berth_bind(w.b, l, &here, w.now));
	may(berth_listen(w.b, l, 8, w.now));
	for (int i = 0; i < 3; i++) {
		c[i] = opened(1, BERTH_TCP, 4);
		may(berth_set(w.b, c[i], BERTH_SO_KEEPALIVE, 1, w.now));
		may(berth_connect(w.b, c[i], &web, w.now));
	}
	run(&w, w.now + 4 * S);
	while (n_all < 60 && berth_accept(w.b, l, &s, w.now) == 0) {
		all[n_all++] = s;
		may(berth_send(w.b, s, data, sizeof(data), 0, w.now));
	}
	for (int k = 0; k < 10; k++) {
		struct berth_event e;

		for (int i = 0; i < 3; i++) {
			may(berth_send(w.b, c[i], data, 30000, 0, w.now));
			may(berth_recv(w.b, c[i], got, sizeof(got), 0, w.now));
		}
		while (berth_event(w.b, &e))
			may(berth_ready(w.b, e.socket));
		w.cut = k == 4; /* some are lost */
		run(&w, w.now + 50 * MS);
	}
	may(berth_connect(w.b, c[0], NULL, w.now));
	may(berth_shutdown(w.b, c[1], BERTH_SHUT_WR, w.now));
}

static void datagrams(void)
{
	static char data[20000];
	struct berth_addr group = v4(239, 1, 1, 1);
	struct berth_endpoint dns = at(v4(10, 0, 0, 1), 53), here = at(v4(0, 0, 0, 0), 53);
	berth_socket u = opened(0, BERTH_UDP, 4), c = opened(1, BERTH_UDP, 4), p, self;
	uint8_t echo[8] = {8};

	self = opened(0, BERTH_UDP, 4);
	may(berth_bind(w.b, u, &here, w.now));
	may(berth_join(w.b, u, &group, w.end[0], w.now));
	may(berth_connect(w.b, c, &dns, w.now));
	may(berth_send_to(w.b, c, data, sizeof(data), NULL, w.now));
	may(berth_send_to(w.b, self, data, sizeof(data), &dns, w.now));
	p = opened(1, BERTH_PING, 4);
	may(berth_send_to(w.b, p, echo, sizeof(echo), &dns, w.now));
	run(&w, w.now + 3 * S);
	may(berth_recv_from(w.b, u, data, sizeof(data), NULL, 0, w.now));
	may(berth_recv_from(w.b, p, data, sizeof(data), NULL, 0, w.now));
	may(berth_host_set(w.b, 1, BERTH_TCP_CONGESTION, BERTH_CC_RENO));
}

static void program(uint32_t flags)
{
	long before = n_living;

	n_all = 0;
	if (world_make(&w, flags) == 0) {
		struct berth_addr any = v4(0, 0, 0, 0), via = v4(10, 0, 0, 2);

		may(berth_route_add(w.b, 0, &any, 0, &via, 0, 0));
		settle(&w);
		streams();
		datagrams();
		for (unsigned i = 0; i < n_all; i++)
			assert_int_equal(berth_close(w.b, all[i], w.now), 0);
		run(&w, w.now + 10 * S);
		n_until_failure = -1; /* a FIN that found no memory goes when there is some */
		run(&w, w.now + 600 * S);
		assert_int_equal(berth_sockets(w.b), 0);
	}
	berth_free(w.b);
	assert_int_equal(n_living, before);
}

static void each_fails(uint32_t flags, bool then_all)
{
	for (long n = 0;; n++) {
		n_failed = 0;
		n_until_failure = n;
		all_after = then_all;
		program(flags);
		n_until_failure = -1;
		if (n_failed == 0)
			break;
	}
}

static void test_each_allocation(void **state)
{
	(void)state;
	each_fails(0, false);
	each_fails(BERTH_IF_ETHERNET, false);
}

static void test_all_after(void **state)
{
	(void)state;
	each_fails(0, true);
	each_fails(BERTH_IF_ETHERNET, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation),
		cmocka_unit_test(test_all_after),
	};

	n_until_failure = -1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the engine's tests begin with: two hosts and a wire for each test; every test
 * closes its sockets, and five minutes later nothing is left. */
#ifndef BERTH_TESTS_ENGINE_TEST_H
#define BERTH_TESTS_ENGINE_TEST_H

#include "engine_help.h"

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static struct world w;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(world_make(&w, 0), 0);
	settle(&w);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	run(&w, w.now + 300 * S);
	assert_int_equal(berth_sockets(w.b), 0);
	berth_free(w.b);
	return 0;
}

/* A connection from host 1 to port 80 of host 0. */
static inline void connect_pair(berth_socket *listener, berth_socket *client, berth_socket *server)
{
	struct berth_endpoint web = at(v4(10, 0, 0, 1), 80);

	*listener = bound(&w, 0, BERTH_TCP, v4(0, 0, 0, 0), 80);
	assert_int_equal(berth_listen(w.b, *listener, 8, w.now), 0);
	*client = open_socket(&w, 1, BERTH_TCP, 4);
	assert_int_equal(berth_connect(w.b, *client, &web, w.now), BERTH_EINPROGRESS);
	settle(&w);
	assert_int_equal(berth_accept(w.b, *listener, server, w.now), 0);
}

#endif

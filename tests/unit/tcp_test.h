/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of TCP's tests begin with: a wire for each test, and nothing left on it after. */
#ifndef BERTH_TESTS_TCP_TEST_H
#define BERTH_TESTS_TCP_TEST_H

#include "tcp_help.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka needs the two above */
#include <cmocka.h>

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)

static struct wire w;

static int up(void **state)
{
	(void)state;
	wire_up(&w);
	return 0;
}

static int down(void **state)
{
	(void)state;
	w.rule = NULL;
	wire_down(&w);
	return 0;
}

/* A pair and its listener, whatever they are doing. */
static inline void close_all(uint32_t a, uint32_t b, uint32_t l)
{
	bt_tcp_abort(w.t, a, w.now);
	bt_tcp_abort(w.t, b, w.now);
	wire_close(&w, l);
}

#endif

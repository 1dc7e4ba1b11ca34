/* SPDX-License-Identifier: Apache-2.0 */
/* Counting for berth doctor (cli/doctor_count.c). */
#include "doctor.h"
#include "join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* After the headers that it needs. */
#include <cmocka.h>

void *bt_grow(void *old, size_t *capacity, size_t item)
{
	*capacity = *capacity ? *capacity * 2 : 16;
	return realloc(old, *capacity * item);
}

static struct bt_seen tcp(uint16_t lport, uint16_t rport, uint8_t state)
{
	return (struct bt_seen){
		.lport = lport, .rport = rport, .proto = BT_PROTO_TCP, .state = state};
}

static void test_ports(void **state)
{
	uint64_t set[1024];
	(void)state;
	assert_true(bt_ports_parse("1,3-5,65535\n", set));
	assert_true(bt_port_in(set, 1) && bt_port_in(set, 3) && bt_port_in(set, 5));
	assert_true(bt_port_in(set, 65535) && !bt_port_in(set, 2) && !bt_port_in(set, 6));
	assert_true(bt_ports_parse("", set));
	for (const char *const *bad = (const char *const[]){"x", "65536", "1-", "-1", "1 2", NULL};
	     *bad; bad++)
		assert_false(bt_ports_parse(*bad, set));
}

static void test_flows(void **state)
{
	struct bt_count *c = calloc(1, sizeof(*c));
	const struct bt_flow *best[3];
	(void)state;
	assert_non_null(c);
	c->lo = 1000;
	c->hi = 1999;
	assert_true(bt_ports_parse("1000-1099", c->reserved));
	assert_int_equal(bt_count_capacity(c), 900);
	struct bt_seen s = tcp(1500, 0, BT_ROW_LISTEN);
	bt_count_add(c, &s);
	/* Destination i has i sockets, all at ports that connect chooses. */
	for (uint16_t i = 1; i <= 300; i++) {
		for (uint16_t k = 0; k < i; k++) {
			s = tcp((uint16_t)(1100 + 2 * (k % 200)), i, BT_ROW_TIME_WAIT);
			bt_count_add(c, &s);
		}
	}
	/* Reserved, below, the listener's: none takes a port of the range. */
	for (unsigned i = 0; i < 3; i++) {
		s = tcp((const uint16_t[]){1050, 999, 1500}[i], 301, BT_ROW_ESTABLISHED);
		bt_count_add(c, &s);
	}
	assert_int_equal(c->n_flows, 300);
	assert_int_equal(bt_count_fullest(c, best, 3), 3);
	assert_int_equal(best[0]->rport, 300);
	assert_int_equal(best[1]->rport, 299);
	assert_int_equal(best[2]->rport, 298);
	assert_int_equal(bt_count_bound(c), 0);
	s = tcp(1101, 7, BT_ROW_ESTABLISHED);
	bt_count_add(c, &s);
	s = tcp(1103, 0, BT_ROW_CLOSE);
	bt_count_add(c, &s);
	assert_int_equal(bt_count_bound(c), 2);
	bt_count_clear(c);
	assert_int_equal(c->tcp, 0);
	assert_int_equal(bt_count_capacity(c), 900);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_flows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What berth top shows of a look, and in which order. */
#include "../../cli/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 500u

/* What the command has in main.c and is not reached here. */
void bt_say(const char *fmt, ...)
{
	fail_msg("%s", fmt);
}

void bt_say_client(int err, const char *network)
{
	fail_msg("%d %s", err, network);
}

void *bt_grow(void *old, size_t *capacity, size_t item)
{
	*capacity = *capacity * 2 + 1;
	return realloc(old, *capacity * item);
}

static struct bt_top_line lines[N];
static const struct bt_top_look look = {.lines = lines, .n = N};

static void random_look(void)
{
	static const char *const hosts[] = {"web", "pc", "db"}, *const programs[] = {"nginx",
										     "curl", ""};
	static const uint8_t states[] = {BT_ROW_LISTEN, BT_ROW_ESTABLISHED, BT_ROW_TIME_WAIT,
					 BT_ROW_CLOSE_WAIT, BT_ROW_CLOSE};

	srand(7);
	for (uint32_t i = 0; i < N; i++) {
		struct bt_top_line *l = &lines[i];

		memset(l, 0, sizeof(*l));
		l->host = hosts[rand() % 3];
		l->program = programs[rand() % 3];
		l->counted = rand() % 2;
		l->rate = l->counted ? rand() % 50 : 0;
		l->retrans = l->counted ? (uint32_t)rand() % 4 : 0;
		l->s.slot = i;
		l->s.recvq = (uint32_t)rand() % 9;
		l->s.row.proto = rand() % 2 ? BT_PROTO_TCP : BT_PROTO_UDP;
		l->s.row.family = 4;
		l->s.row.state = states[rand() % 5];
		l->s.row.lport = (uint16_t)(1 + rand() % 90);
		memcpy(l->s.row.laddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0", 15);
		l->s.row.laddr[15] = (uint8_t)(1 + rand() % 9);
	}
}

static double value(const struct bt_top_line *l, enum bt_top_key key)
{
	switch (key) {
	case BT_TOP_RATE:
		return l->counted ? -l->rate : 1;
	case BT_TOP_QUEUE:
		return -(double)l->s.recvq;
	case BT_TOP_PORT:
		return l->s.row.lport;
	case BT_TOP_RETRANS:
		return -(double)l->retrans;
	case BT_TOP_HOST:
		return l->host[0];
	case BT_TOP_PROGRAM:
		return l->program[0];
	default:
		return 0;
	}
}

/* Every line that should be there is, once, and each is where its key wants it. */
static void test_order(void **state)
{
	struct bt_top_view v = {.key = BT_TOP_RATE};

	(void)state;
	random_look();
	for (unsigned round = 0; round < BT_TOP_KEYS * 6u; round++) {
		bool seen[N] = {false};
		size_t want = 0;

		v.key = (enum bt_top_key)(round % BT_TOP_KEYS);
		v.reverse = round / BT_TOP_KEYS % 2;
		v.which = (enum bt_top_which)(round / BT_TOP_KEYS / 2);
		bt_top_arrange(&v, &look);
		for (uint32_t i = 0; i < N; i++) {
			bool serves = lines[i].s.row.state == BT_ROW_LISTEN ||
				      lines[i].s.row.state == BT_ROW_CLOSE;
			want += v.which == BT_TOP_BOTH || serves == (v.which == BT_TOP_LISTENERS);
		}
		assert_int_equal(v.n, want);
		for (size_t i = 0; i < v.n; i++) {
			assert_false(seen[v.shown[i]]);
			seen[v.shown[i]] = true;
			if (i == 0)
				continue;
			double a = value(&lines[v.shown[i - 1]], v.key),
			       b = value(&lines[v.shown[i]], v.key);
			assert_true(v.reverse ? a >= b : a <= b);
		}
	}
	free(v.shown);
}

static void test_filter_and_search(void **state)
{
	struct bt_top_view v = {.key = BT_TOP_STATE, .filter = "WEB listen :8"};
	size_t want = 0, found;

	(void)state;
	random_look();
	for (uint32_t i = 0; i < N; i++)
		want += strcmp(lines[i].host, "web") == 0 &&
			lines[i].s.row.state == BT_ROW_LISTEN &&
			(lines[i].s.row.lport == 8 || lines[i].s.row.lport / 10 == 8);
	assert_true(want > 0);
	bt_top_arrange(&v, &look);
	assert_int_equal(v.n, want);
	strcpy(v.filter, "nobody has this");
	bt_top_arrange(&v, &look);
	assert_int_equal(v.n, 0);
	assert_int_equal(bt_top_search(&v, &look, "web", 0), 0); /* of none */
	v.filter[0] = '\0';
	bt_top_arrange(&v, &look);
	found = bt_top_search(&v, &look, "curl db", 3);
	assert_true(found < v.n);
	assert_string_equal(lines[v.shown[found]].program, "curl");
	assert_string_equal(lines[v.shown[found]].host, "db");
	for (size_t i = 3; i < found; i++)
		assert_false(strcmp(lines[v.shown[i]].program, "curl") == 0 &&
			     strcmp(lines[v.shown[i]].host, "db") == 0);
	assert_int_equal(bt_top_search(&v, &look, "no such word", 0), v.n);
	free(v.shown);
}

static void test_figures(void **state)
{
	static const struct {
		double value;
		const char *text;
	} numbers[] = {{0, "0"},       {812, "812"},  {999, "999"},	{999.6, "1.0k"},
		       {1234, "1.2k"}, {34e6, "34M"}, {999600, "1.0M"}, {5.25e9, "5.2G"}};
	static const struct {
		uint32_t taken, capacity;
		const char *text;
	} gauges[] = {{0, 100, "[..........]"},
		      {100, 100, "[##########]"},
		      {50, 100, "[#####+....]"},
		      {1, 28232, "[+.........]"},
		      {0, 0, "[..........]"}};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		bt_top_number(text, numbers[i].value);
		assert_string_equal(text, numbers[i].text);
	}
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		bt_top_gauge(text, 12, gauges[i].taken, gauges[i].capacity);
		assert_string_equal(text, gauges[i].text);
	}
}

/* 80 columns hold a host and a line, whatever they say but for long addresses of IPv6. */
static void test_width(void **state)
{
	const struct bt_top_host h = {.name = "a-host-with-a-long-name",
				      .listeners = 60000,
				      .established = 999999,
				      .taken = 64512,
				      .capacity = 64512};
	struct bt_top_line l = {.host = "a-host-with-a-long-name",
				.program = "a-long-program",
				.counted = true,
				.rate = 1e9,
				.retrans = 99999};
	char text[512];

	(void)state;
	bt_top_host_text(text, sizeof(text), &h);
	assert_true(strlen(text) <= 80);
	l.s.row = (struct bt_row){.proto = BT_PROTO_TCP,
				  .family = 4,
				  .state = BT_ROW_TIME_WAIT,
				  .flags = BT_ROWF_WIRE,
				  .lport = 65535,
				  .rport = 65535};
	memcpy(l.s.row.raddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff", 16);
	memcpy(l.s.row.laddr, l.s.row.raddr, 16);
	bt_top_line_text(text, sizeof(text), &l, false);
	assert_true(strlen(text) <= 80);
	assert_non_null(strstr(text, "255.255.255.255:65535"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_filter_and_search),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

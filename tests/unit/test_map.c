/* SPDX-License-Identifier: Apache-2.0 */
/* berth map's model and page (cli/map.h). */
#include "html.h"
#include "join.h"
#include "map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* After the headers that it needs. */
#include <cmocka.h>

void bt_say(const char *fmt, ...)
{
	(void)fmt;
}

void *bt_grow(void *old, size_t *capacity, size_t item)
{
	*capacity = *capacity ? *capacity * 2 : 16;
	return realloc(old, *capacity * item);
}

static struct bt_map_host *host(struct bt_map *m, const char *name, uint16_t lo, uint16_t hi)
{
	struct bt_map_host *h = bt_map_host(m, name, lo, hi);
	h->shown = true;
	return h;
}

/* A listener of program `pid` at 10.0.0.`addr`. */
static void listens(struct bt_map_host *h, uint16_t port, int pid, const char *name, uint8_t addr)
{
	struct bt_map_seat s = {.first = port,
				.proto = BT_PROTO_TCP,
				.does = BT_MAP_LISTENS,
				.n_addrs = 1,
				.addrs = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, addr}}};
	struct bt_program p = {.pid = pid};
	strcpy(p.name, name);
	if (pid)
		bt_map_program(&s, &p);
	bt_map_seat(h, &s);
	bt_map_port(h, port, false);
}

static void test_zones(void **state)
{
	static const struct {
		uint16_t lo, hi, n, first[BT_MAP_ZONES];
		enum bt_map_kind kind[BT_MAP_ZONES];
	} list[] = {
		{32768, 60999, 4, {0, 1024, 32768, 61000}, {0, 1, 2, 3}},
		{49152, 65535, 3, {0, 1024, 49152}, {0, 1, 2}},
		{10000, 20000, 5, {0, 1024, 10000, 20001, 49152}, {0, 1, 2, 1, 3}},
		{1, 65535, 2, {0, 1}, {0, 2}},
		{0, 65535, 1, {0}, {2}},
		{500, 600, 5, {0, 500, 601, 1024, 49152}, {0, 2, 0, 1, 3}},
		{65535, 65535, 4, {0, 1024, 49152, 65535}, {0, 1, 3, 2}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct bt_map m = {.network = "n"};
		struct bt_map_host *h = host(&m, "h", list[i].lo, list[i].hi);
		bt_map_port(h, 65535, false);
		bt_map_finish(&m);
		assert_int_equal(h->n_zones, list[i].n);
		for (unsigned z = 0; z < h->n_zones; z++) {
			bool last = z + 1 == h->n_zones;
			assert_int_equal(h->zones[z].first, list[i].first[z]);
			assert_int_equal(h->zones[z].kind, list[i].kind[z]);
			assert_int_equal(h->zones[z].last, last ? 65535 : list[i].first[z + 1] - 1);
			assert_int_equal(h->zones[z].in_use, last);
		}
		bt_map_done(&m);
	}
}

static void test_ephemeral(void **state)
{
	struct bt_map m = {.network = "n"};
	struct bt_map_host *h = host(&m, "h", 1000, 1099);
	uint16_t first, last;
	uint32_t sum = 0;
	char text[BT_MAP_SHARE];
	(void)state;
	h->reserved[1000 / 64] |= 1ull << (1000 % 64);
	bt_map_port(h, 1000, false); /* reserved */
	bt_map_port(h, 1001, true);
	bt_map_port(h, 1002, true);
	bt_map_port(h, 1002, false); /* the same port, alive */
	bt_map_port(h, 1099, true);
	bt_map_port(h, 999, true);
	bt_map_finish(&m);
	assert_int_equal(h->capacity, 99);
	assert_int_equal(h->in_use, 3);
	assert_int_equal(h->time_wait, 2);
	assert_int_equal(h->sockets, 6);
	assert_string_equal(bt_map_share(h, text), "3 %");
	/* Cells cover the range without gaps, also where it does not divide evenly. */
	for (unsigned n = 1; n <= 100; n++) {
		uint32_t next = 1000;
		sum = 0;
		for (unsigned i = 0; i < n; i++) {
			sum += bt_map_cell(h, i, n, &first, &last);
			assert_int_equal(first, next);
			assert_true(last >= first);
			next = last + 1u;
		}
		assert_int_equal(next, 1100);
		assert_int_equal(sum, 4);
	}
	bt_map_done(&m);
}

static void test_seats(void **state)
{
	struct bt_map m = {.network = "n"};
	struct bt_map_host *h = host(&m, "h", 32768, 60999);
	char text[256];
	(void)state;
	for (uint16_t port = 9000; port < 9100; port++)
		listens(h, port, 7, "many", 1);
	listens(h, 9100, 8, "many", 1); /* another process of the name: not the same seat */
	for (int pid = 11; pid < 16; pid++)
		listens(h, 80, pid, "nginx", 1);
	listens(h, 80, 11, "nginx", 2);
	listens(h, 80, 11, "nginx", 3);
	listens(h, 80, 11, "nginx", 4);
	listens(h, 80, 20, "other", 9);
	listens(h, 22, 0, "", 1);
	bt_map_finish(&m);
	assert_int_equal(h->n_seats, 5);
	assert_int_equal(h->seats[0].first, 22);
	bt_map_programs(&h->seats[0], text, sizeof(text));
	assert_string_equal(text, "?");
	assert_string_equal(bt_map_service(&h->seats[0]), "ssh");
	const struct bt_map_seat *nginx = &h->seats[2], *run = &h->seats[3];
	assert_int_equal(h->seats[1].programs[0].pid, 20);
	bt_map_programs(nginx, text, sizeof(text));
	assert_string_equal(text, "nginx (11, 12, 13 +2)");
	bt_map_addrs(nginx, text, sizeof(text));
	assert_string_equal(text, "10.0.0.1, 10.0.0.2, 10.0.0.3 +1");
	assert_int_equal(nginx->sockets, 8);
	assert_int_equal(run->first, 9000);
	assert_int_equal(run->last, 9099);
	assert_int_equal(run->sockets, 100);
	assert_null(bt_map_service(run));
	bt_map_done(&m);
}

static void test_programs(void **state)
{
	struct bt_map_seat s = {.first = 1};
	char text[256], small[12];
	(void)state;
	bt_map_program(&s, &(struct bt_program){.pid = 1, .name = "sh"});
	bt_map_program(&s, &(struct bt_program){.pid = 1, .name = "sh"});
	bt_map_program(&s, &(struct bt_program){.pid = 2, .name = "cat"});
	bt_map_programs(&s, text, sizeof(text));
	assert_string_equal(text, "sh (1), cat (2)");
	bt_map_programs(&s, small, sizeof(small));
	assert_string_equal(small, "sh (1), cat");
}

static void connect_ends(struct bt_map *m, uint16_t from, uint16_t to, uint16_t port, uint64_t pair,
			 uint8_t state)
{
	struct bt_map_end e = {from, to, port, BT_PROTO_TCP, BT_ROW_CLOSE_WAIT, true, pair};
	bt_map_end(m, &e);
	e.state = state;
	e.server = false;
	bt_map_end(m, &e);
}

static void test_connections(void **state)
{
	struct bt_map m = {.network = "n"};
	(void)state;
	host(&m, "a", 32768, 60999);
	struct bt_map_host *b = host(&m, "b", 32768, 60999);
	listens(b, 80, 5, "nginx", 1);
	/* Both ends of one connection are one, and the client's state is told. */
	for (uint64_t pair = 1; pair <= 10; pair++)
		connect_ends(&m, 0, 1, 80, pair, pair > 7 ? BT_ROW_TIME_WAIT : BT_ROW_ESTABLISHED);
	connect_ends(&m, BT_MAP_OUTSIDE, 1, 80, 11, BT_ROW_ESTABLISHED);
	connect_ends(&m, 0, BT_MAP_OUTSIDE, 443, 12, BT_ROW_SYN_SENT);
	bt_map_finish(&m);
	assert_int_equal(m.n_ways, 3);
	assert_int_equal(m.ways[0].n, 10);
	assert_int_equal(m.ways[0].established, 7);
	assert_int_equal(m.ways[0].time_wait, 3);
	assert_string_equal(bt_map_host_name(&m, m.ways[0].to), "b");
	assert_string_equal(bt_map_host_name(&m, m.ways[1].to), "outside");
	assert_int_equal(m.hosts[1].seats[0].connections, 11);
	bt_map_done(&m);
	/* Either end says the same of the pair, and another pair is another. */
	const uint8_t x[16] = {1}, y[16] = {2};
	uint64_t pair = bt_map_pair(x, 1, y, 2, 0);
	assert_true(pair == bt_map_pair(y, 2, x, 1, 0));
	assert_true(pair != bt_map_pair(x, 2, y, 1, 0) && pair != bt_map_pair(x, 1, y, 2, 1));
	assert_true(bt_map_pair(x, 1, x, 2, 0) == bt_map_pair(x, 2, x, 1, 0));
}

/* All ports, alternating between two programs so that nothing can be put together. */
static void test_full(void **state)
{
	struct bt_map m = {.network = "n"};
	struct bt_map_host *h = host(&m, "h", 32768, 60999);
	char *text = NULL;
	size_t len = 0;
	(void)state;
	for (uint32_t port = 1; port < 65536; port++)
		listens(h, (uint16_t)port, 1 + (int)port % 2, port % 2 ? "odd" : "even", 1);
	bt_map_finish(&m);
	assert_int_equal(h->n_seats, 65535);
	assert_int_equal(h->in_use, h->capacity);
	FILE *f = open_memstream(&text, &len);
	bt_map_html(&m, f);
	fclose(f);
	/* A page that can be read: some seats of each range, and how many more there are. */
	assert_in_range(len, 20000, 200000);
	assert_non_null(strstr(text, "And 28,172 more"));
	free(text);
	bt_map_done(&m);
}

static char *page(const struct bt_map *m)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bt_map_html(m, f);
	fclose(f);
	return text;
}

static void test_markup(void **state)
{
	struct bt_map m = {.network = "<n&\"'>"};
	struct bt_map_host *h = host(&m, "<h1>", 32768, 60999);
	(void)state;
	listens(h, 80, 1, "<script>alert(1", 1);
	listens(h, 81, 2, "\"'&\x01\xff\xc2\x85\xe2\x82\xac", 1);
	connect_ends(&m, 0, 0, 80, 1, BT_ROW_ESTABLISHED);
	bt_map_finish(&m);
	char *text = page(&m);
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "<h1><"));
	assert_non_null(strstr(text, "&#60;script&#62;alert(1 (1)"));
	assert_non_null(
		strstr(text, "&#34;&#39;&#38;\xef\xbf\xbd\xc3\xbf\xef\xbf\xbd\xe2\x82\xac (2)"));
	assert_non_null(strstr(text, "<title>Ports of &#60;n&#38;&#34;&#39;&#62;</title>"));
	free(text);
	bt_map_done(&m);
}

/* No host with ports, none connected, more hosts than can be drawn: a page all the same. */
static void test_sizes(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 200; n += n < 4 ? 1 : 49) {
		struct bt_map m = {.network = "n"};
		for (unsigned i = 0; i < n; i++)
			host(&m, "h", 32768, 60999);
		for (unsigned i = 1; i < n; i++)
			connect_ends(&m, (uint16_t)i, (uint16_t)(i / 2), 80, i, BT_ROW_ESTABLISHED);
		bt_map_finish(&m);
		char *text = page(&m);
		assert_null(strstr(text, "nan"));
		assert_null(strstr(text, "inf"));
		assert_true(n < 2 || strstr(text, "<svg class=\"graph\""));
		assert_non_null(strstr(text, "</html>"));
		free(text);
		bt_map_done(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),	    cmocka_unit_test(test_ephemeral),
		cmocka_unit_test(test_seats),	    cmocka_unit_test(test_programs),
		cmocka_unit_test(test_connections), cmocka_unit_test(test_full),
		cmocka_unit_test(test_markup),	    cmocka_unit_test(test_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* berth metrics: its text, what it escapes, and where it may be served (cli/metrics.h). */
#include "join.h"
#include "metrics.h"
#include "openmetrics.h"
#include "utf8.h"

#include "../lib/port/port.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* After the headers that it needs. */
#include <cmocka.h>

static char said[1024];

void bt_say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

void bt_say_client(int err, const char *network)
{
	bt_say("%s: %d", network, err);
}

void *bt_grow(void *old, size_t *capacity, size_t item)
{
	*capacity = *capacity ? *capacity * 2 : 16;
	return realloc(old, *capacity * item);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *in, *out;
		size_t used;
	} list[] = {
		{"a", "a", 1},
		{"\xc3\xbc", "\xc3\xbc", 2},
		{"\xe2\x82\xac.", "\xe2\x82\xac", 3},
		{"\xf0\x9f\x9a\xa2", "\xf0\x9f\x9a\xa2", 4},
		{"\xfc", "\xc3\xbc", 1},	     /* Latin-1 */
		{"\xc3", "\xc3\x83", 1},	     /* cut off */
		{"\xc0\x80", "\xc3\x80", 1},	     /* overlong */
		{"\xed\xa0\x80", "\xc3\xad", 1},     /* a surrogate */
		{"\xf4\x90\x80\x80", "\xc3\xb4", 1}, /* beyond Unicode */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		char c[BT_UTF8_MAX + 1];
		assert_int_equal(bt_utf8_next(list[i].in, c), list[i].used);
		assert_string_equal(c, list[i].out);
	}
}

static char *text_of(void (*write)(FILE *f, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	write(f, arg);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void write_families(FILE *f, const void *arg)
{
	struct bt_om o = {.f = f};
	const struct bt_om_label labels[] = {{"a", "\\ \" \n\x1b\x9b\xfc"}, {"b", ""}};
	(void)arg;
	bt_om_family(&o, "x_seconds", BT_OM_GAUGE, "seconds", "A \"B\" \\ C.");
	bt_om_sample(&o, NULL, 0, 0.25);
	bt_om_family(&o, "y", BT_OM_COUNTER, NULL, "Y.");
	bt_om_sample(&o, labels, 2, 9007199254740992.0);
	bt_om_end(&o);
}

static void test_openmetrics(void **state)
{
	char *text = text_of(write_families, NULL);
	(void)state;
	assert_string_equal(text,
			    "# TYPE x_seconds gauge\n# UNIT x_seconds seconds\n"
			    "# HELP x_seconds A \\\"B\\\" \\\\ C.\nx_seconds 0.25\n"
			    "# TYPE y counter\n# HELP y Y.\n"
			    "y_total{a=\"\\\\ \\\" \\n\xef\xbf\xbd\xef\xbf\xbd\xc3\xbc\",b=\"\"} "
			    "9007199254740992\n# EOF\n");
	free(text);
}

static void write_metrics(FILE *f, const void *arg)
{
	bt_metrics_write(arg, f);
}

/* How often a line is in a text. */
static unsigned lines(const char *text, const char *line)
{
	unsigned n = 0;
	size_t len = strlen(line);
	for (const char *p = text; (p = strstr(p, line)); p += len)
		n += p[len] == '\n' && (p == text || p[-1] == '\n');
	return n;
}

static void test_write(void **state)
{
	struct bt_health *host = calloc(1, sizeof(*host));
	struct bt_metrics_listener listener = {
		.laddr = {[10] = 0xff, [11] = 0xff}, .lport = 80, .queue = 3, .backlog = 7};
	struct bt_tally tallies[] = {
		{.count = 2,
		 .what = BT_WHY_IN_USE_LISTENER,
		 .err = EADDRINUSE,
		 .call = BT_BIND,
		 .proto = BT_PROTO_TCP},
		/* To people one and the same kind. */
		{.count = 3, .err = EINVAL, .call = BT_CONNECT, .proto = BT_PROTO_TCP},
		{.count = 4, .err = EINVAL, .call = BT_UDP_CONNECT, .proto = BT_PROTO_TCP},
		{.count = 5},
		{.count = 6, .kind = BT_TALLY_DROPPED},
		{.count = 7, .kind = BT_TALLY_DROPPED, .what = 1u << 20},
		{.count = 8, .host = 9},
	};
	struct bt_link link = {"web", "*", "loss 1%", {1, 2, 3, 4, 5, 6, 7}};
	struct bt_metrics m = {.network = "n",
			       .hosts = host,
			       .n_hosts = 1,
			       .listeners = &listener,
			       .n_listeners = 1,
			       .links = {.list = &link, .n = 1},
			       .tallies = tallies,
			       .n_tallies = sizeof(tallies) / sizeof(*tallies)};
	(void)state;
	assert_non_null(host);
	strcpy(host->host, "web");
	strcpy(listener.program, "<\"\xfc>");
	host->now.lo = 40000;
	host->now.hi = 40099;
	host->now.time_wait_ms = 1500;
	struct bt_seen s = {
		.lport = 40000, .rport = 80, .proto = BT_PROTO_TCP, .state = BT_ROW_TIME_WAIT};
	bt_count_add(&host->now, &s);
	s.rport = 81;
	bt_count_add(&host->now, &s);
	s = (struct bt_seen){.lport = 40001, .proto = BT_PROTO_UDP, .state = BT_ROW_CLOSE};
	bt_count_add(&host->now, &s);
	char *text = text_of(write_metrics, &m);
	static const char *const want[] = {
		"berth_info{network=\"n\",version=\"" BERTH_VERSION "\"} 1",
		"berth_sockets{host=\"web\",proto=\"tcp\",state=\"time_wait\"} 2",
		"berth_sockets{host=\"web\",proto=\"tcp\",state=\"closing\"} 0",
		"berth_sockets{host=\"web\",proto=\"udp\",state=\"unconnected\"} 1",
		"berth_ephemeral_ports{host=\"web\"} 100",
		"berth_ephemeral_ports_in_use{host=\"web\",proto=\"tcp\"} 1",
		"berth_ephemeral_ports_in_use{host=\"web\",proto=\"udp\"} 1",
		"berth_ephemeral_ports_fullest{host=\"web\"} 1",
		"berth_time_wait_seconds{host=\"web\"} 1.5",
		"berth_listener_queue{host=\"web\",address=\"0.0.0.0\",port=\"80\",program=\"<\\\""
		"\xc3\xbc>\"} 3",
		"berth_calls_refused_total{host=\"web\",call=\"bind\",proto=\"tcp\",reason="
		"\"listener_has_port\",errno=\"EADDRINUSE\"} 2",
		"berth_calls_refused_total{host=\"web\",call=\"connect\",proto=\"tcp\",reason="
		"\"bad_arguments\",errno=\"EINVAL\"} 7",
		"berth_calls_refused_total{host=\"web\",call=\"other\",proto=\"other\",reason="
		"\"other\",errno=\"\"} 5",
		"berth_packets_dropped_total{host=\"web\",reason=\"LINK_SHORT\"} 6",
		"berth_link_bytes_total{host=\"web\",with=\"*\"} 2",
		"berth_link_packets_dropped_total{host=\"web\",with=\"*\",reason=\"lost\"} 3",
		"berth_link_packets_dropped_total{host=\"web\",with=\"*\",reason=\"queue\"} 4",
		"# EOF",
	};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (lines(text, want[i]) != 1)
			print_error("%s\n", text);
		assert_int_equal(lines(text, want[i]), 1);
	}
	/* Of a host that is not known, and of a reason that is not: nothing. */
	assert_null(strstr(text, "} 8"));
	free(text);
	bt_count_clear(&host->now);
	free(host);
}

static void test_address(void **state)
{
	static const char *const good[] = {"0",		 "9464", "127.0.0.1:1", "127.9.9.9:65535",
					   "[::1]:9464", NULL};
	static const char *const far[] = {"0.0.0.0:1", "10.0.0.1:80", "[::]:1",
					  "[::ffff:127.0.0.1]:1", NULL};
	static const char *const bad[] = {"",
					  ":",
					  ":1",
					  "x",
					  "65536",
					  "-1",
					  "+1",
					  "1 ",
					  "::1:1",
					  "127.0.0.1",
					  "[::1]",
					  "[::1]:",
					  "[127.0.0.1]:1",
					  "[::1:1",
					  "localhost:x",
					  "127.0.0.1:",
					  "[]:1",
					  "99999999999999999999",
					  NULL};
	struct bt_metrics_at at;
	(void)state;
	for (unsigned i = 0; good[i]; i++) {
		assert_true(bt_metrics_at(good[i], &at));
	}
	assert_int_equal(ntohs(at.addr.v6.sin6_port), 9464);
	assert_int_equal(at.addr.any.sa_family, AF_INET6);
	for (unsigned i = 0; far[i]; i++) {
		assert_false(bt_metrics_at(far[i], &at));
		assert_non_null(strstr(said, "to others"));
		assert_non_null(strstr(said, far[i]));
	}
	for (unsigned i = 0; bad[i]; i++) {
		assert_false(bt_metrics_at(bad[i], &at));
		assert_non_null(strstr(said, "is not where"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_openmetrics),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

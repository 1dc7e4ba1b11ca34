/* SPDX-License-Identifier: Apache-2.0 */
/* link/: the text of settings, the wire's statistics (of fixed seeds, so the same each time). */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS ((uint64_t)1000000)
#define ALL_WORDS                                                                                  \
	"loss 1% burst 1.5% 30% delay 20ms jitter 2ms rate 10mbit limit 100 limit 1mb "            \
	"duplicate 0.1% reorder 1% corrupt 0.1% down"

/* ---- settings ---- */

static void test_round_trip(void **state)
{
	static const char *const texts[] = {
		"",
		"loss 1%",
		"loss 0.0001%",
		"loss 100%",
		"burst 1% 30%",
		"delay 20ms jitter 2ms",
		"delay 1500us",
		"rate 10mbit limit 100",
		"rate 1001bit limit 64kb",
		"limit 3 limit 1b",
		"delay 1s duplicate 0.1% reorder 1% corrupt 0.25%",
		"down",
		ALL_WORDS,
	};
	char error[BT_LINK_TEXT], text[BT_LINK_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bt_link_settings s = bt_link_perfect;
		assert_true(bt_link_read(texts[i], &s, error));
		bt_link_write(&s, text);
		assert_string_equal(text, texts[i]);
	}
}

static void test_values(void **state)
{
	struct bt_link_settings s = bt_link_perfect;
	char error[BT_LINK_TEXT], text[BT_LINK_TEXT];

	(void)state;
	assert_true(
		bt_link_read(" loss\t0.5%  delay 1.5ms rate 2.5mbit limit 1.5kb down", &s, error));
	assert_int_equal(s.loss_ppm, 5000);
	assert_int_equal(s.delay_ns, 1500000);
	assert_int_equal(s.rate_bits, 2500000);
	assert_int_equal(s.limit_bytes, 1536);
	assert_int_equal(s.limit_pkts, 1000);
	/* What is not named stays. */
	assert_true(bt_link_read("loss 0% up", &s, error));
	bt_link_write(&s, text);
	assert_string_equal(text, "delay 1500us rate 2500kbit limit 1536b");
}

static void test_errors(void **state)
{
	static const char *const cases[][2] = {
		{"slow 1%", "slow is not a setting"},
		{"loss", "loss ends without its value"},
		{"loss 1", "loss 1 is not understood, accepted is 0% to 100%"},
		{"loss 101%", "loss 101%"},
		{"loss 0.00001%", "loss 0.00001%"},
		{"loss -1%", "loss -1%"},
		{"loss .5%", "loss .5%"},
		{"loss 1.%", "loss 1.%"},
		{"loss 1.2.3%", "loss 1.2.3%"},
		{"burst 1%", "burst ends without its value"},
		{"burst 1% 0%", "never end"},
		{"delay 20", "units ns, us, ms, s"},
		{"delay 3601s", "delay 3601s"},
		{"delay 0.5ns", "delay 0.5ns"},
		{"rate 99999999999999999999gbit", "rate 9999"},
		{"rate 10Mbit", "rate 10Mbit"},
		{"limit 0", "limit 0 is not"},
		{"limit 2000000", "1 to 1000000 packets"},
		{"reorder 1%", "together with delay"},
		{"loss 1% loss 2%", "loss is there twice"},
		{"\x1b[31m", "?[31m is not a setting"},
	};
	char error[BT_LINK_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bt_link_settings s = bt_link_perfect;
		assert_false(bt_link_read(cases[i][0], &s, error));
		assert_memory_equal(&s, &bt_link_perfect, sizeof(s));
		if (strstr(error, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], error);
	}
}

/* ---- the wire ---- */

static struct bt_pair *wire(uint64_t seed, const char *text)
{
	struct bt_link_settings s = bt_link_perfect;
	char error[BT_LINK_TEXT];
	struct bt_pair *p = bt_pair_new(seed, 0);

	assert_non_null(p);
	if (!bt_link_read(text, &s, error))
		fail_msg("%s", error);
	bt_pair_set(p, 0, &s, 0);
	return p;
}

static void put(struct bt_pair *p, uint32_t number, size_t len, uint64_t now)
{
	uint8_t rest[2000] = {0};
	const struct iovec parts[2] = {{&number, 4}, {rest, len - 4}};

	bt_pair_in(p, 0, parts, 2, now);
}

static uint32_t number_of(const struct bt_pair_packet *k)
{
	uint32_t number;

	memcpy(&number, k->data, 4);
	return number;
}

static struct bt_pair_counts counts(const struct bt_pair *p)
{
	struct bt_pair_counts c;

	bt_pair_counts(p, 0, &c);
	return c;
}

static void in_range(uint64_t v, uint64_t low, uint64_t high, const char *what, uint64_t seed)
{
	if (v < low || v > high)
		fail_msg("%s %llu of seed %llu is not in %llu..%llu", what, (unsigned long long)v,
			 (unsigned long long)seed, (unsigned long long)low,
			 (unsigned long long)high);
}

/* 100,000 packets: each share within five standard deviations of what it should be. */
static void test_shares(void **state)
{
	struct bt_pair_packet k;

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct bt_pair *p =
			wire(seed, "loss 1% duplicate 2% corrupt 3% reorder 4% delay 1ms");
		struct bt_pair_counts c;
		uint64_t wrong = 0;

		for (uint32_t i = 0; i < 100000; i++) {
			put(p, i, 100, i * 1000);
			while (bt_pair_out(p, i * 1000, &k)) {
				const uint8_t *d = k.data;
				bool bad = number_of(&k) > i;
				for (size_t j = 4; j < 100; j++)
					bad |= d[j] != 0;
				wrong += bad;
			}
		}
		c = counts(p);
		in_range(c.lost, 1000 - 158, 1000 + 158, "loss", seed);
		in_range(c.duplicated, 1980 - 221, 1980 + 221, "duplicates", seed);
		in_range(c.corrupted, 3030 - 271, 3030 + 271, "corrupted", seed);
		in_range(c.reordered, 4040 - 311, 4040 + 311, "reordered", seed);
		in_range(wrong, c.corrupted * 9 / 10, c.corrupted, "seen corrupted", seed);
		assert_int_equal(c.in_pkts - c.lost + c.duplicated, c.out_pkts + c.flying_pkts);
		bt_pair_free(p);
	}
}

/* Gilbert: bad for enter / (enter + leave) of the time, in bursts of 1 / leave packets. */
static void test_bursts(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct bt_pair *p = wire(seed, "burst 1% 25%");
		uint64_t bursts = 0, last = 0;
		struct bt_pair_counts c;
		bool bad = false;

		for (uint32_t i = 0; i < 200000; i++) {
			put(p, i, 40, i);
			c = counts(p);
			bursts += c.burst > last && !bad;
			bad = c.burst > last;
			last = c.burst;
		}
		in_range(c.burst, 7692 - 700, 7692 + 700, "lost in bursts", seed);
		in_range(c.burst * 100 / bursts, 360, 440, "length of a burst in hundredths", seed);
		bt_pair_free(p);
	}
}

static void test_delay_and_jitter(void **state)
{
	struct bt_pair *p = wire(7, "delay 20ms jitter 2ms");
	uint64_t least = UINT64_MAX, most = 0, swapped = 0, at = 0;
	struct bt_pair_packet k;
	uint32_t sent = 0, last = 0;

	(void)state;
	while (sent < 10000 || bt_pair_deadline(p) != UINT64_MAX) {
		if (sent < 10000 && sent * MS / 10 < bt_pair_deadline(p)) {
			at = sent * MS / 10;
			put(p, sent++, 100, at);
			continue;
		}
		at = bt_pair_deadline(p);
		assert_false(bt_pair_out(p, at - 1, &k));
		while (bt_pair_out(p, at, &k)) {
			assert_int_equal(k.due_ns, at);
			swapped += number_of(&k) < last;
			last = number_of(&k);
			least = k.due_ns - k.sent_ns < least ? k.due_ns - k.sent_ns : least;
			most = k.due_ns - k.sent_ns > most ? k.due_ns - k.sent_ns : most;
		}
		assert_true(bt_pair_deadline(p) > at);
	}
	assert_true(swapped > 1000);
	in_range(least, 18 * MS, 18 * MS + 10000, "least delay", 7);
	in_range(most, 22 * MS - 10000, 22 * MS, "most delay", 7);
	bt_pair_free(p);
}

/* 1,000 bytes at 8 Mbit/s take 1 ms; of ten, the queue of four keeps four. */
static void test_rate_and_limit(void **state)
{
	struct bt_pair *p = wire(1, "rate 8mbit limit 4 delay 5ms");
	struct bt_pair_packet k;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		put(p, i, 1000, 0);
	assert_int_equal(counts(p).queue, 6);
	for (uint32_t i = 0; i < 4; i++) {
		assert_false(bt_pair_out(p, (6 + i) * MS - 1, &k));
		assert_true(bt_pair_out(p, (6 + i) * MS, &k));
		assert_int_equal(number_of(&k), i);
	}
	assert_false(bt_pair_out(p, 100 * MS, &k));
	assert_int_equal(bt_pair_deadline(p), UINT64_MAX);
	bt_pair_free(p);

	p = wire(1, "rate 8mbit limit 2500b");
	for (uint32_t i = 0; i < 10; i++)
		put(p, i, 1000, 0);
	assert_int_equal(counts(p).queue, 8);
	bt_pair_free(p);
}

/* A rate that changes: what is left of the packet being sent goes at the new one. */
static void test_change_in_flight(void **state)
{
	struct bt_link_settings s = bt_link_perfect;
	struct bt_pair *p = wire(1, "rate 8mbit");
	struct bt_pair_packet k;

	(void)state;
	put(p, 0, 1000, 0);
	put(p, 1, 1000, 0);
	s.rate_bits = 4000000;
	bt_pair_set(p, 0, &s, MS / 2); /* half is left: 1 ms at half the rate */
	assert_int_equal(bt_pair_deadline(p), MS * 3 / 2);
	assert_true(bt_pair_out(p, MS * 3 / 2, &k));
	assert_int_equal(bt_pair_deadline(p), MS * 7 / 2);
	s.rate_bits = 0;
	s.delay_ns = 9 * MS;
	bt_pair_set(p, 0, &s, 2 * MS);
	put(p, 2, 1000, 3 * MS);
	assert_true(bt_pair_out(p, 11 * MS, &k));
	assert_int_equal(number_of(&k), 1);
	s.down = true;
	bt_pair_set(p, 0, &s, 11 * MS);
	put(p, 3, 1000, 11 * MS);
	assert_int_equal(counts(p).down, 2);
	assert_int_equal(bt_pair_deadline(p), UINT64_MAX);
	s.down = false;
	bt_pair_set(p, 0, &s, 12 * MS);
	put(p, 4, 1000, 12 * MS);
	assert_true(bt_pair_out(p, 21 * MS, &k));
	assert_int_equal(number_of(&k), 4);
	bt_pair_free(p);
}

static void test_memory_is_bounded(void **state)
{
	struct bt_pair *p = bt_pair_new(1, 100000);
	struct bt_link_settings s = bt_link_perfect;
	struct bt_pair_packet k;
	uint64_t arrived = 0;

	(void)state;
	s.delay_ns = MS;
	bt_pair_set(p, 0, &s, 0);
	for (uint32_t i = 0; i < 1000; i++)
		put(p, i, 1000, 0);
	in_range(counts(p).flying_pkts, 90, 99, "packets within 100,000 bytes", 1);
	assert_int_equal(counts(p).no_memory + counts(p).flying_pkts, 1000);
	while (bt_pair_out(p, MS, &k))
		arrived++;
	assert_int_equal(arrived + counts(p).no_memory, 1000);
	put(p, 0, 1000, MS); /* room again */
	assert_int_equal(counts(p).flying_pkts, 1);
	bt_pair_free(p);
	bt_pair_free(NULL);
}

/* The same seed and calls: the same packets at the same times. */
static void test_deterministic(void **state)
{
	const char *text = "loss 3% burst 1% 30% delay 5ms jitter 4ms rate 10mbit limit 20 "
			   "duplicate 2% reorder 5% corrupt 2%";
	struct bt_pair *a = wire(42, text), *b = wire(42, text);
	struct bt_pair_packet ka, kb;
	uint64_t arrived = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		put(a, i, 700, i * MS / 2);
		put(b, i, 700, i * MS / 2);
		while (bt_pair_out(a, i * MS / 2, &ka)) {
			assert_true(bt_pair_out(b, i * MS / 2, &kb));
			assert_int_equal(ka.due_ns, kb.due_ns);
			assert_memory_equal(ka.data, kb.data, ka.len);
			arrived++;
		}
		assert_false(bt_pair_out(b, i * MS / 2, &kb));
	}
	in_range(arrived, 15000, 20000, "arrived", 42);
	bt_pair_free(a);
	bt_pair_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_delay_and_jitter),
		cmocka_unit_test(test_rate_and_limit),
		cmocka_unit_test(test_change_in_flight),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_deterministic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bt_engine_carry: segments that go straight from one host's buffer into another's. */
#include "engine_help.h"

#include "../../lib/engine/engine.h"

#define LEN   400000u
#define BATCH 16u

struct way {
	uint8_t data[LEN], got[LEN];
	size_t sent, taken;
};

static struct world w;
static struct way ways[2];
static uint32_t random_state, carried, refused;
static unsigned losses; /* percent */

static uint32_t below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(random_state >> 8) * n >> 24);
}

static size_t flat(const struct berth_output *o, uint8_t *to)
{
	size_t len = 0;

	for (unsigned i = 0; i < o->n_iov; i++) {
		memcpy(to + len, o->iov[i].iov_base, o->iov[i].iov_len);
		len += o->iov[i].iov_len;
	}
	assert_int_equal(len, o->len);
	return len;
}

static berth_if other_end(const struct berth_output *o)
{
	return w.end[o->i == w.end[0]];
}

/* What is not carried is kept, and handed in when the batch is through. Every packet of the batch
 * must be what it was when berth_output gave it. */
static bool batch(void)
{
	static uint8_t was[BATCH][66000], now[66000], kept[BATCH][66000];
	struct berth_output out[BATCH];
	struct berth_input in[BATCH];
	size_t n = berth_output(w.b, out, BATCH, w.now), m = 0;

	for (size_t k = 0; k < n; k++)
		flat(&out[k], was[k]);
	for (size_t k = 0; k < n; k++) {
		size_t len = flat(&out[k], now);

		assert_memory_equal(now, was[k], len);
		if (below(100) < losses)
			continue;
		if (below(10) > 0 && bt_engine_carry(w.b, &out[k], other_end(&out[k]), w.now)) {
			carried++;
			if (below(4) > 0)
				continue;
			/* nor once more */
			assert_false(bt_engine_carry(w.b, &out[k], other_end(&out[k]), w.now));
			continue;
		}
		refused++;
		memcpy(kept[m], now, len);
		in[m] = (struct berth_input){kept[m], len, other_end(&out[k]), out[k].segment,
					     true};
		m++;
	}
	berth_input_batch(w.b, in, m, w.now);
	return n > 0;
}

static void programs(const berth_socket *s)
{
	for (unsigned i = 0; i < 2; i++) {
		struct way *a = &ways[i], *b = &ways[!i];
		size_t most = LEN - a->sent;
		int64_t n =
			berth_send(w.b, s[i], a->data + a->sent,
				   below(3) > 0 || most < 50 ? most : below(5000) + 1, 0, w.now);

		a->sent += n > 0 ? (size_t)n : 0;
		if (below(3) == 0) /* the window closes at times */
			continue;
		n = berth_recv(w.b, s[i], b->got + b->taken, LEN - b->taken, 0, w.now);
		b->taken += n > 0 ? (size_t)n : 0;
	}
}

static void both_ways(unsigned percent, bool one_way)
{
	berth_socket l, s[2];

	losses = percent;
	carried = refused = 0;
	assert_int_equal(world_make(&w, BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM), 0);
	l = bound(&w, 0, BERTH_TCP, v4(10, 0, 0, 1), 80);
	assert_int_equal(berth_listen(w.b, l, 1, w.now), 0);
	s[0] = open_socket(&w, 1, BERTH_TCP, 4);
	s[1] = 0;
	{
		struct berth_endpoint to = at(v4(10, 0, 0, 1), 80);

		assert_int_equal(berth_connect(w.b, s[0], &to, w.now), BERTH_EINPROGRESS);
	}
	for (unsigned i = 0; i < 2; i++) {
		for (size_t k = 0; k < LEN; k++)
			ways[i].data[k] = (uint8_t)below(256);
		ways[i].sent = ways[i].taken = 0;
	}
	if (one_way)
		ways[1].sent = ways[1].taken = LEN;
	for (unsigned i = 0; i < 200000 && ways[0].taken + ways[1].taken < 2 * LEN; i++) {
		uint64_t deadline;

		if (s[1] != 0 || berth_accept(w.b, l, &s[1], w.now) == 0)
			programs(s);
		if (batch())
			continue;
		deadline = berth_deadline(w.b);
		if (deadline > w.now)
			w.now = deadline != UINT64_MAX ? deadline : w.now + MS;
		if (berth_deadline(w.b) <= w.now)
			berth_advance(w.b, w.now);
	}
	assert_int_equal(ways[0].taken, LEN);
	assert_int_equal(ways[1].taken, LEN);
	assert_memory_equal(ways[0].got, ways[0].data, LEN);
	if (!one_way)
		assert_memory_equal(ways[1].got, ways[1].data, LEN);
	assert_true(carried > 0 && refused > 0);
	berth_free(w.b);
}

static void test_streams(void **state)
{
	(void)state;
	for (random_state = 1; random_state < 20; random_state++) {
		uint32_t seed = random_state;

		both_ways(seed % 4 * 3, seed % 3 == 0);
		random_state = seed;
	}
}

/* One segment of new data of a connection whose other end is known (a first one has come). */
static void one_segment(berth_socket *c, berth_socket *s, uint32_t flags, struct berth_output *o)
{
	static uint8_t data[30000];
	struct berth_endpoint to = at(v4(10, 0, 0, 1), 80);
	struct berth_input in;
	static uint8_t copy[66000];
	berth_socket l;

	assert_int_equal(world_make(&w, flags), 0);
	l = bound(&w, 0, BERTH_TCP, v4(10, 0, 0, 1), 80);
	assert_int_equal(berth_listen(w.b, l, 1, w.now), 0);
	*c = open_socket(&w, 1, BERTH_TCP, 4);
	assert_int_equal(berth_connect(w.b, *c, &to, w.now), BERTH_EINPROGRESS);
	while (berth_output(w.b, o, 1, w.now) == 1) {
		in = (struct berth_input){copy, flat(o, copy), other_end(o), o->segment, true};
		berth_input_batch(w.b, &in, 1, w.now);
	}
	assert_int_equal(berth_accept(w.b, l, s, w.now), 0);
	assert_int_equal(berth_send(w.b, *c, data, 10000, 0, w.now), 10000);
	assert_int_equal(berth_output(w.b, o, 1, w.now), 1);
}

/* What a segment that was carried does is what one that was copied does. */
static void test_counts(void **state)
{
	struct berth_tcp_info i;
	struct berth_output o;
	berth_socket c, s;
	uint8_t got[20000];

	(void)state;
	one_segment(&c, &s, BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM, &o);
	assert_true(o.segment != 0);
	assert_true(bt_engine_carry(w.b, &o, w.end[0], w.now));
	assert_int_equal(berth_tcp_info(w.b, s, &i), 0);
	assert_int_equal(i.bytes_received, 10000);
	assert_int_equal(i.data_segs_in, 7); /* of 1,448 bytes */
	assert_int_equal(berth_recv(w.b, s, got, sizeof(got), 0, w.now), 10000);
	berth_free(w.b);
}

static void test_refused(void **state)
{
	static const struct berth_if_config down = {.flags = BERTH_IF_DOWN};
	struct berth_output o, changed;
	struct berth_tcp_info i;
	berth_socket c, s;

	(void)state;
	one_segment(&c, &s, BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM, &o);
	assert_false(bt_engine_carry(w.b, &o, w.end[1], w.now)); /* its own host's */
	assert_false(bt_engine_carry(w.b, &o, 0, w.now));
	assert_false(bt_engine_carry(w.b, &o, 999, w.now));
	changed = o;
	changed.iov[0].iov_base = changed.header + ((uint8_t *)o.iov[0].iov_base - o.header);
	((uint8_t *)changed.iov[0].iov_base)[20 + 7]++; /* a hole before it */
	assert_false(bt_engine_carry(w.b, &changed, w.end[0], w.now));
	((uint8_t *)changed.iov[0].iov_base)[20 + 7]--;
	((uint8_t *)changed.iov[0].iov_base)[20 + 3]++; /* nobody's port */
	assert_false(bt_engine_carry(w.b, &changed, w.end[0], w.now));
	changed = o;
	changed.checksum = 0; /* complete: it is to be looked at */
	assert_false(bt_engine_carry(w.b, &changed, w.end[0], w.now));
	assert_int_equal(berth_tcp_info(w.b, s, &i), 0);
	assert_int_equal(i.bytes_received, 0);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_TCP_NO_SOCKET), 0);
	assert_int_equal(berth_if_set(w.b, w.end[0], &down), 0);
	assert_false(bt_engine_carry(w.b, &o, w.end[0], w.now));
	berth_free(w.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* lib/base against naive models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/base/checksum.h"
#include "../../lib/base/chunk.h"
#include "../../lib/base/wheel.h"

#include <stdlib.h>
#include <string.h>

static uint64_t rng = 1;

static uint64_t rnd(void)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return rng >> 32 ^ rng << 21;
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

/* ---- checksum ---- */

/* RFC 1071 1: 16-bit words, added one by one, the carry each time. */
static uint16_t plain_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2) {
		sum += (uint32_t)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static uint16_t big_endian(uint16_t c)
{
	return (uint16_t)(c << 8 | c >> 8);
}

static void sums_like_rfc_1071(void **state)
{
	(void)state;
	for (size_t len = 0; len < 400; len++) {
		for (size_t at = 0; at < 33; at++) {
			/* Exactly as large, so that a sanitizer sees a byte too many. */
			uint8_t *data = malloc(at + len + 1), *copy = malloc(at + len + 1);
			uint16_t want;

			assert_true(data != NULL && copy != NULL);
			for (size_t i = 0; i < at + len; i++)
				data[i] = below(3) == 0 ? 0xff : (uint8_t)rnd();
			want = plain_sum(0, data + at, len);
			assert_int_equal(big_endian(bt_csum_fold(bt_csum_add(0, data + at, len))),
					 want);
			copy[len] = 77;
			assert_int_equal(
				big_endian(bt_csum_fold(bt_csum_copy(0, copy, data + at, len))),
				want);
			assert_memory_equal(copy, data + at, len);
			assert_int_equal(copy[len], 77);
			free(data);
			free(copy);
		}
	}
}

static void sums_of_parts_and_extremes(void **state)
{
	static uint8_t data[200000];

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t len = below(sizeof(data) / 8) * 2 + below(2), cut = 0;
		uint64_t sum = 0;

		for (size_t i = 0; i < len; i++)
			data[i] = round == 0 ? 0xff : round == 1 ? 0 : (uint8_t)rnd();
		while (cut < len) {
			size_t n = below(2) ? below(60) * 2 + 2 : below(3000) * 2 + 2;

			n = n < len - cut ? n : len - cut;
			sum = bt_csum_add(sum, data + cut, n);
			cut += n;
		}
		assert_int_equal(big_endian(bt_csum_fold(sum)), plain_sum(0, data, len));
	}
	memset(data, 0xff, sizeof(data));
	assert_int_equal(bt_csum_fold(bt_csum_add(0, data, sizeof(data))), 0);
	assert_int_equal(bt_csum_fold(0), 0xffff);
	assert_int_equal(bt_csum_fold(UINT64_MAX), 0);
}

static void sums_with_pseudo_headers(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint8_t header[40] = {0}, proto = (uint8_t)rnd(), data[64], stored[2];
		struct bt_addr src, dst;
		uint32_t len = (uint32_t)below(sizeof(data));
		uint64_t sum;
		uint16_t want;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)rnd();
		if (round % 2) {
			/* RFC 9293 3.1: addresses, zero, protocol, length */
			src = bt_addr_v4((uint32_t)rnd());
			dst = bt_addr_v4((uint32_t)rnd());
			memcpy(header, src.b + 12, 4);
			memcpy(header + 4, dst.b + 12, 4);
			header[9] = proto;
			header[10] = (uint8_t)(len >> 8);
			header[11] = (uint8_t)len;
			want = plain_sum((uint16_t)~plain_sum(0, header, 12), data, len);
		} else {
			/* RFC 8200 8.1: addresses, length of 32 bits, zero, next header */
			for (size_t i = 0; i < 16; i++) {
				src.b[i] = (uint8_t)rnd();
				dst.b[i] = (uint8_t)rnd();
			}
			if (round % 4)
				len += 65536 * (uint32_t)below(60000);
			memcpy(header, src.b, 16);
			memcpy(header + 16, dst.b, 16);
			for (unsigned i = 0; i < 4; i++)
				header[32 + i] = (uint8_t)(len >> (24 - 8 * i));
			header[39] = proto;
			len %= sizeof(data);
			want = plain_sum((uint16_t)~plain_sum(0, header, 40), data, len);
			len = (uint32_t)header[32] << 24 | (uint32_t)header[33] << 16 |
			      (uint32_t)header[34] << 8 | header[35];
		}
		sum = bt_csum_add(bt_csum_pseudo(&src, &dst, proto, len), data, len % sizeof(data));
		assert_int_equal(big_endian(bt_csum_fold(sum)), want);
		bt_csum_put(stored, sum);
		assert_int_equal(stored[0] << 8 | stored[1], want);
		if (len % 2 == 0)
			assert_true(bt_csum_ok(bt_csum_add(sum, stored, 2)));
		stored[1] ^= 1;
		if (len % 2 == 0)
			assert_false(bt_csum_ok(bt_csum_add(sum, stored, 2)));
	}
}

/* ---- wheel ---- */

#define TIMERS 64

struct wheel_model {
	struct bt_wheel *w;
	struct bt_timer t[TIMERS];
	bool set[TIMERS];
	uint64_t at[TIMERS], now;
};

static uint64_t some_distance(void)
{
	/* from ns to days, each power of two alike */
	return rnd() >> below(64) >> 17;
}

static uint64_t earliest(const struct wheel_model *m)
{
	uint64_t min = UINT64_MAX;

	for (int i = 0; i < TIMERS; i++)
		if (m->set[i] && m->at[i] < min)
			min = m->at[i];
	return min;
}

static void model_set(struct wheel_model *m, int i, uint64_t at)
{
	bt_wheel_set(m->w, &m->t[i], at);
	m->set[i] = true;
	m->at[i] = at;
	assert_true(bt_timer_is_set(&m->t[i]));
}

static void model_advance(struct wheel_model *m, uint64_t now)
{
	uint64_t last = 0, before = m->now;
	struct bt_timer *t;

	m->now = now;
	while ((t = bt_wheel_expired(m->w, now)) != NULL) {
		int i = (int)(t - m->t);
		/* Those set for a time that had passed may come in any order. */
		uint64_t at = m->at[i] < before ? before : m->at[i];

		assert_true(m->set[i] && m->at[i] <= now && m->at[i] == t->at_ns);
		assert_false(bt_timer_is_set(t));
		assert_true(at >= last);
		last = at;
		m->set[i] = false;
		if (below(8) == 0) /* what expires is often set again */
			model_set(m, i, now + 1 + some_distance());
	}
	assert_true(earliest(m) > now);
	assert_true(bt_wheel_deadline(m->w) > now);
}

static void wheel_step(struct wheel_model *m)
{
	int i = (int)below(TIMERS);
	uint64_t to;

	switch (below(8)) {
	case 0: /* near: many in one slot */
		model_set(m, i, m->now + below(100));
		break;
	case 1:
	case 2:
		model_set(m, i, m->now + some_distance());
		break;
	case 3: /* again, to about the same time */
		if (m->set[i] && m->at[i] < UINT64_MAX / 2)
			model_set(m, i, m->at[i] + below(2000) - (m->at[i] > 1000 ? 1000 : 0));
		break;
	case 4: /* past, or far beyond */
		model_set(m, i, below(4) ? m->now - below(m->now + 1) : UINT64_MAX - below(5) - 1);
		break;
	case 5:
		bt_wheel_clear(m->w, &m->t[i]);
		m->set[i] = false;
		break;
	case 6:
		model_advance(m, m->now + some_distance() % 100000000000000);
		break;
	default: /* to the deadline: something is nearer afterwards, however often it is early */
		to = bt_wheel_deadline(m->w);
		if (to > m->now && to < UINT64_MAX / 2)
			model_advance(m, to);
		break;
	}
	assert_int_equal(bt_timer_is_set(&m->t[i]), m->set[i]);
	assert_true(bt_wheel_deadline(m->w) <= earliest(m));
	assert_true((bt_wheel_deadline(m->w) == UINT64_MAX) == (earliest(m) == UINT64_MAX));
}

static void wheel_like_a_list(void **state)
{
	static struct wheel_model m;

	(void)state;
	for (uint64_t seed = 1; seed < 400; seed++) {
		rng = seed;
		memset(&m, 0, sizeof(m));
		m.now = below(3) ? some_distance() : 0;
		m.w = bt_wheel_new(m.now);
		assert_non_null(m.w);
		for (int step = 0; step < 1500; step++)
			wheel_step(&m);
		for (int i = 0; i < TIMERS; i++)
			bt_wheel_clear(m.w, &m.t[i]);
		assert_true(bt_wheel_deadline(m.w) == UINT64_MAX);
		bt_wheel_free(m.w);
	}
}

static void a_deadline_is_reached_in_few_steps(void **state)
{
	struct bt_timer t = {0}, other = {0};
	struct bt_wheel *w = bt_wheel_new(0);

	(void)state;
	assert_non_null(w);
	/* Alone, each timer's deadline is exact. */
	for (int i = 0; i < 64; i++) {
		uint64_t at = 1ull << i;

		bt_wheel_set(w, &t, at);
		assert_true(bt_wheel_deadline(w) == at);
		assert_null(bt_wheel_expired(w, at - 1));
		assert_true(bt_wheel_deadline(w) == at);
		assert_ptr_equal(bt_wheel_expired(w, at), &t);
		assert_null(bt_wheel_expired(w, at));
	}
	bt_wheel_free(w);
	/* After removal of an earlier one of its slot, and moved to later, it is early a few times.
	 */
	w = bt_wheel_new(0);
	assert_non_null(w);
	bt_wheel_set(w, &other, 1000000000000);
	bt_wheel_set(w, &t, 1000000000100);
	bt_wheel_set(w, &t, 1000500000000);
	bt_wheel_clear(w, &other);
	for (int early = 0; bt_wheel_deadline(w) < 1000500000000; early++) {
		assert_true(early < 11);
		assert_null(bt_wheel_expired(w, bt_wheel_deadline(w)));
	}
	assert_ptr_equal(bt_wheel_expired(w, 1000500000000), &t);
	bt_wheel_free(w);
	bt_wheel_free(NULL);
}

static void time_does_not_go_back(void **state)
{
	struct bt_timer t[3] = {{0}};
	struct bt_wheel *w = bt_wheel_new(1000);

	(void)state;
	assert_non_null(w);
	bt_wheel_set(w, &t[0], 50);
	bt_wheel_set(w, &t[1], 1000);
	bt_wheel_set(w, &t[2], 1001);
	assert_non_null(bt_wheel_expired(w, 60));
	assert_non_null(bt_wheel_expired(w, 60));
	assert_null(bt_wheel_expired(w, 60));
	assert_true(bt_wheel_deadline(w) == 1001);
	bt_wheel_free(w);
}

/* ---- chunks ---- */

static void pool_keeps_its_cap(void **state)
{
	static struct bt_chunk *got[200];

	(void)state;
	for (uint64_t cap = 0; cap < 200; cap += 1 + cap / 3) {
		struct bt_chunks *p = bt_chunks_new(cap * BT_CHUNK_BYTES + below(BT_CHUNK_BYTES));
		uint64_t slabs = (cap + 63) / 64;

		assert_non_null(p);
		for (int round = 0; round < 3; round++) {
			for (uint64_t i = 0; i < cap; i++) {
				got[i] = bt_chunk_get(p);
				assert_non_null(got[i]);
				assert_null(got[i]->next);
				memset(got[i]->data, (int)i, sizeof(got[i]->data));
				assert_true(bt_chunks_used(p) == (i + 1) * BT_CHUNK_BYTES);
			}
			assert_null(bt_chunk_get(p));
			for (uint64_t i = 0; i < cap; i++) {
				assert_int_equal(got[i]->data[0], (uint8_t)i);
				assert_int_equal(got[i]->data[sizeof(got[i]->data) - 1],
						 (uint8_t)i);
				bt_chunk_put(p, got[i]);
			}
			assert_true(bt_chunks_used(p) == 0);
			assert_true(bt_chunks_bytes(p) >= cap * BT_CHUNK_BYTES);
			assert_true(bt_chunks_bytes(p) <= cap * BT_CHUNK_BYTES + slabs * 64);
		}
		bt_chunks_free(p);
	}
	bt_chunks_free(NULL);
}

#define FLAT 120000u

struct bytes_model {
	struct bt_chunks *pool;
	struct bt_bytes b;
	uint8_t flat[FLAT]; /* what was written; known[i]: something was */
	bool known[FLAT];
	uint32_t room;
};

static void bytes_check(struct bytes_model *m, uint32_t at, uint32_t len)
{
	static uint8_t out[FLAT];
	struct iovec iov[FLAT / 4000 + 3];
	uint32_t done = 0;
	unsigned n;

	bt_bytes_read(&m->b, at, out, len);
	for (uint32_t i = 0; i < len; i++)
		assert_true(!m->known[at + i] || out[i] == m->flat[at + i]);
	n = bt_bytes_parts(&m->b, at, len, iov, FLAT / 4000 + 3);
	assert_true((n == 0) == (len == 0));
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = iov[i].iov_base;

		assert_true(iov[i].iov_len > 0);
		for (uint32_t k = 0; k < iov[i].iov_len; k++, done++)
			assert_true(!m->known[at + done] || p[k] == m->flat[at + done]);
	}
	assert_int_equal(done, len);
	if (n > 0) {
		assert_int_equal(bt_bytes_parts(&m->b, at, len, iov, n), n);
		assert_int_equal(bt_bytes_parts(&m->b, at, len, iov, n - 1), 0);
	}
}

static void bytes_step(struct bytes_model *m)
{
	static uint8_t in[FLAT];
	uint32_t at = (uint32_t)below(m->room + 1), len = (uint32_t)below(m->room - at + 1), end;
	uint64_t used = bt_chunks_used(m->pool);

	switch (below(8)) {
	case 0:
	case 1:
		end = (uint32_t)below(below(2) ? FLAT : m->room + 3000);
		if (end > FLAT)
			end = FLAT;
		if (bt_bytes_reserve(&m->b, m->pool, end)) {
			m->room = m->b.room < FLAT ? m->b.room : FLAT;
			assert_true(m->b.room >= end);
		} else {
			/* The cap is 20 chunks: the reason must be true, and nothing changed. */
			assert_true(m->b.head + end > 20 * sizeof(m->b.first->data));
			assert_true(bt_chunks_used(m->pool) == used);
		}
		break;
	case 2:
	case 3:
	case 4: /* often a segment's length */
		if (below(3) && len > 1448)
			len = 1448;
		for (uint32_t i = 0; i < len; i++) {
			in[i] = (uint8_t)rnd();
			m->flat[at + i] = in[i];
			m->known[at + i] = true;
		}
		bt_bytes_write(&m->b, at, in, len);
		break;
	case 5:
		len = below(4) ? (uint32_t)below(len / 8 + 1) : len;
		bt_bytes_drop(&m->b, m->pool, len);
		memmove(m->flat, m->flat + len, FLAT - len);
		memmove(m->known, m->known + len, FLAT - len);
		memset(m->known + FLAT - len, 0, len);
		m->room = m->b.room < FLAT ? m->b.room : FLAT;
		break;
	case 6:
		if (below(40) == 0) {
			bt_bytes_clear(&m->b, m->pool);
			m->room = 0;
			memset(m->known, 0, sizeof(m->known));
			assert_true(bt_chunks_used(m->pool) == 0);
		}
		break;
	default:
		bytes_check(m, at, len);
		break;
	}
	assert_true((m->b.first == NULL) == (bt_chunks_used(m->pool) == 0));
	assert_true(bt_chunks_used(m->pool) / BT_CHUNK_BYTES * sizeof(m->b.first->data) ==
		    m->b.head + m->b.room);
}

static void bytes_like_an_array(void **state)
{
	static struct bytes_model m;

	(void)state;
	for (uint64_t seed = 1; seed < 25; seed++) {
		rng = seed;
		memset(&m, 0, sizeof(m));
		m.pool = bt_chunks_new(20 * BT_CHUNK_BYTES);
		assert_non_null(m.pool);
		for (int step = 0; step < 800; step++)
			bytes_step(&m);
		bt_bytes_drop(&m.b, m.pool, m.b.room);
		assert_null(m.b.first);
		assert_true(bt_chunks_used(m.pool) == 0);
		bt_chunks_free(m.pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_like_rfc_1071),
		cmocka_unit_test(sums_of_parts_and_extremes),
		cmocka_unit_test(sums_with_pseudo_headers),
		cmocka_unit_test(wheel_like_a_list),
		cmocka_unit_test(a_deadline_is_reached_in_few_steps),
		cmocka_unit_test(time_does_not_go_back),
		cmocka_unit_test(pool_keeps_its_cap),
		cmocka_unit_test(bytes_like_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* berth_cut against a model that copies packets whole and sums them byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../include/berth/berth.h"

#include <stdlib.h>
#include <string.h>

#define FIN 1
#define PSH 8
#define URG 32
#define CWR 128

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* The sum of RFC 1071 over all bytes, without its complement. */
static unsigned sum(unsigned from, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		from += i % 2 == 0 ? (unsigned)p[i] << 8 : p[i];
		from = (from & 0xffff) + (from >> 16);
	}
	return from;
}

static unsigned transport_sum(const uint8_t *ip, size_t at, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	unsigned s = v4 ? sum(0, ip + 12, 8) : sum(0, ip + 8, 32);
	uint8_t rest[4] = {0, v4 ? ip[9] : ip[6]};

	put16(rest + 2, (unsigned)(len - at));
	return sum(sum(s, rest, 4), ip + at, len - at);
}

struct whole {
	uint8_t bytes[14 + 60 + 60 + 65535];
	size_t len;
	unsigned ether, ip, transport, header; /* where each begins; where the payload does */
	bool v4;
};

static void random_packet(struct whole *w, uint8_t proto, size_t payload)
{
	unsigned options = proto == BERTH_TCP ? rnd(11) * 4 : 0;

	w->ether = rnd(2) ? 14 : 0;
	w->v4 = rnd(2);
	w->ip = w->ether;
	w->transport = w->ip + (w->v4 ? 20 : 40);
	w->header = w->transport + (proto == BERTH_TCP ? 20 + options : 8);
	w->len = w->header + payload;
	for (size_t i = 0; i < w->len; i++)
		w->bytes[i] = (uint8_t)rnd(256);
	uint8_t *ip = w->bytes + w->ip, *t = w->bytes + w->transport;
	ip[0] = w->v4 ? 0x45 : 0x60;
	ip[w->v4 ? 9 : 6] = proto;
	put16(ip + (w->v4 ? 2 : 4), (unsigned)(w->len - w->ip - (w->v4 ? 0 : 40)) & 0xffff);
	if (proto == BERTH_TCP) {
		t[12] = (uint8_t)((20 + options) / 4 << 4);
		if (rnd(2))
			put16(t + 18, rnd(3000));
	} else {
		put16(t + 4, (unsigned)(w->len - w->transport));
	}
}

/* As an engine puts it out: headers, and perhaps some of the payload, in the first part. */
static void parts_of(const struct whole *w, uint16_t segment, struct berth_output *o)
{
	size_t room = BERTH_OUTPUT_HEADER - w->header, more = rnd(3) ? 0 : rnd((uint32_t)room),
	       at = w->header + (more < w->len - w->header ? more : w->len - w->header);

	memset(o, 0xa5, sizeof(*o));
	o->i = 7;
	o->len = (uint32_t)w->len;
	o->segment = segment;
	o->checksum = (uint16_t)w->transport;
	/* The header ends at the same place of its array, so that it may begin anywhere. */
	uint8_t *h = o->header + rnd((uint32_t)(BERTH_OUTPUT_HEADER - at + 1));
	memcpy(h, w->bytes, at);
	o->iov[0] = (struct iovec){h, at};
	o->n_iov = 1;
	while (at < w->len) {
		size_t n = w->len - at;

		if (o->n_iov < BERTH_OUTPUT_IOV - 1)
			n = rnd(4) ? 1 + rnd((uint32_t)n) : n;
		o->iov[o->n_iov++] = (struct iovec){(uint8_t *)(uintptr_t)w->bytes + at, n};
		at += n;
	}
}

static void flat(const struct berth_output *o, uint8_t *to)
{
	size_t at = 0;

	for (unsigned i = 0; i < o->n_iov; i++) {
		memcpy(to + at, o->iov[i].iov_base, o->iov[i].iov_len);
		at += o->iov[i].iov_len;
	}
	assert_int_equal(at, o->len);
}

/* What is the same in every segment is compared as bytes: fields that differ are set from `got`
 * after they were looked at. */
static void check_segment(const struct whole *w, uint8_t *got, size_t len, uint32_t at, size_t n,
			  unsigned count)
{
	static uint8_t want[sizeof(w->bytes)];
	uint8_t *ip = want + w->ip, *t = want + w->transport;
	const uint8_t *gip = got + w->ip, *gt = got + w->transport;
	bool last = w->header + at + n == w->len;

	assert_int_equal(len, w->header + n);
	memcpy(want, w->bytes, w->header);
	memcpy(want + w->header, w->bytes + w->header + at, n);
	if (w->v4) {
		put16(ip + 2, (unsigned)(len - w->ip));
		put16(ip + 4, (get16(ip + 4) + count) & 0xffff);
		assert_int_equal(sum(0, gip, 20), 0xffff);
		memcpy(ip + 10, gip + 10, 2);
	} else {
		put16(ip + 4, (unsigned)(len - w->ip - 40));
	}
	uint32_t seq = get32(t + 4) + at;
	unsigned urgent = get16(t + 18);
	put16(t + 4, seq >> 16);
	put16(t + 6, seq & 0xffff);
	if (!last)
		t[13] &= (uint8_t) ~(FIN | PSH);
	if (count > 0) {
		t[13] &= (uint8_t)~CWR;
		if (t[13] & URG && urgent > at)
			put16(t + 18, urgent - at);
		else if (t[13] & URG) {
			t[13] &= (uint8_t)~URG;
			put16(t + 18, 0);
		}
	}
	assert_int_equal(transport_sum(gip, w->transport - w->ip, len - w->ip), 0xffff);
	memcpy(t + 16, gt + 16, 2);
	assert_memory_equal(got, want, len);
}

static void test_segments(void **state)
{
	static struct whole w;
	static struct berth_output o, one;
	static uint8_t got[sizeof(w.bytes)];

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t payload = 1 + rnd(rnd(4) ? 6000 : 65000), at = 0;
		uint16_t segment = (uint16_t)(1 + rnd(rnd(8) ? 1460 : 9000));
		struct berth_cut cut;
		unsigned count = 0;

		if (payload / segment > 400)
			segment = 1460;
		random_packet(&w, BERTH_TCP, payload);
		parts_of(&w, segment, &o);
		berth_cut_begin(&cut, &o, w.ether != 0);
		while (berth_cut_next(&cut, &one)) {
			size_t n = payload - at < segment ? payload - at : segment;

			assert_int_equal(one.i, o.i);
			assert_int_equal(one.segment, 0);
			assert_int_equal(one.checksum, 0);
			assert_true(one.n_iov <= BERTH_OUTPUT_IOV && one.len <= sizeof(got));
			flat(&one, got);
			check_segment(&w, got, one.len, (uint32_t)at, n, count++);
			at += n;
		}
		assert_int_equal(at, payload);
		assert_false(berth_cut_next(&cut, &one));
	}
}

/* Only the checksum is missing; of UDP 0 is sent as 0xffff (RFC 768). */
static void test_checksums(void **state)
{
	static struct whole w;
	static struct berth_output o, one;
	static uint8_t got[sizeof(w.bytes)];

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t proto = rnd(2) ? BERTH_TCP : BERTH_UDP;
		unsigned field = proto == BERTH_TCP ? 16 : 6;
		struct berth_cut cut;

		random_packet(&w, proto, 2 + rnd(1400));
		uint8_t *ip = w.bytes + w.ip, *t = w.bytes + w.transport;
		unsigned at = w.transport - w.ip;
		if (proto == BERTH_UDP && rnd(2)) { /* bytes that make the sum 0 */
			put16(t + 6, 0);
			put16(t + 8, 0);
			put16(t + 8, 0xffff - transport_sum(ip, at, w.len - w.ip));
		}
		parts_of(&w, 0, &o);
		if (rnd(4) == 0)
			o.checksum = 0; /* complete: nobody's to touch */
		berth_cut_begin(&cut, &o, w.ether != 0);
		assert_true(berth_cut_next(&cut, &one));
		flat(&one, got);
		if (o.checksum != 0) {
			assert_int_equal(transport_sum(got + w.ip, at, w.len - w.ip), 0xffff);
			assert_false(proto == BERTH_UDP && get16(got + w.transport + 6) == 0);
			memcpy(t + field, got + w.transport + field, 2);
		}
		assert_int_equal(one.checksum, 0);
		assert_int_equal(one.len, w.len);
		assert_memory_equal(got, w.bytes, w.len);
		assert_false(berth_cut_next(&cut, &one));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_segments),
					   cmocka_unit_test(test_checksums)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* link/segment.c against a model that builds each piece on its own, byte by byte; and between two
 * hosts of an engine, whose checksums it has to satisfy. */
#include "../../include/berth/berth.h"
#include "../../link/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIN = 0x01, PSH = 0x08, URG = 0x20, CWR = 0x80 };

static uint32_t random_state = 1;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(random_state >> 8) * n >> 24);
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

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* RFC 1071, word by word. */
static unsigned sum16(unsigned sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2) {
		sum += (unsigned)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0u);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* ---- the model ---- */

struct shape {
	bool v4, tcp, df;
	uint32_t ip, headers, payload;
	uint16_t segment;
};

#define MOST 66000u
static uint8_t whole[MOST], piece[MOST], want[MOST];

static void make(const struct shape *s)
{
	uint8_t *t = whole + s->ip;
	uint32_t len = s->headers + s->payload;

	for (uint32_t i = 0; i < len; i++)
		whole[i] = (uint8_t)below(256);
	if (s->v4) {
		whole[0] = (uint8_t)(0x40 | s->ip / 4);
		put16(whole + 2, len);
		whole[6] = s->df ? 0x40 : 0;
		whole[7] = 0;
		whole[9] = s->tcp ? 6 : 17;
	} else {
		whole[0] = (uint8_t)(0x60 | (whole[0] & 15));
		put16(whole + 4, len - 40);
		whole[6] = s->tcp ? 6 : 17;
	}
	if (s->tcp)
		t[12] = (uint8_t)((s->headers - s->ip) / 4 << 4 | (t[12] & 15));
	else
		put16(t + 4, len - s->ip);
	if (s->tcp && below(3) == 0)
		put16(t + 18, below(2) == 0 ? 65535 : below(8000));
}

/* What the k-th piece, of len bytes from `at` on, must be: in want; its length. */
static uint32_t expect(const struct shape *s, uint32_t k, uint32_t at, uint32_t len)
{
	uint8_t *t = want + s->ip, pseudo[40] = {0}, *sum = t + (s->tcp ? 16 : 6);
	uint32_t size = s->headers + len;
	unsigned total;

	memcpy(want, whole, s->headers);
	memcpy(want + s->headers, whole + s->headers + at, len);
	if (s->v4) {
		put16(want + 2, size);
		if (!s->df)
			put16(want + 4, (get16(want + 4) + k) & 0xffff);
		put16(want + 10, 0);
		put16(want + 10, ~sum16(0, want, s->ip) & 0xffff);
		memcpy(pseudo, want + 12, 8);
	} else {
		put16(want + 4, size - 40);
		memcpy(pseudo, want + 8, 32);
	}
	if (s->tcp) {
		bool last = at + len == s->payload;
		unsigned urgent = get16(t + 18);

		put32(t + 4, get32(t + 4) + at);
		if (!last)
			t[13] &= (uint8_t) ~(FIN | PSH);
		if (k > 0)
			t[13] &= (uint8_t)~CWR;
		if (t[13] & URG && urgent != 65535) {
			put16(t + 18, urgent > at ? urgent - at : 0);
			if (urgent <= at)
				t[13] &= (uint8_t)~URG;
		}
	}
	put16(sum, 0);
	put32(pseudo + 32, size - s->ip);
	pseudo[39] = s->tcp ? 6 : 17;
	total = ~sum16(sum16(0, pseudo, 40), t, size - s->ip) & 0xffff;
	put16(sum, total == 0 && !s->tcp ? 0xffff : total);
	return size;
}

/* The packet in parts at random places, the headers in the first. */
static size_t parts_of(const struct shape *s, struct iovec *parts)
{
	uint32_t len = s->headers + s->payload, at = s->headers;
	size_t n = 1;

	at += below(2) == 0 || s->payload == 0 ? 0 : below(s->payload);
	parts[0] = (struct iovec){whole, at};
	while (at < len && n < BT_SEGMENT_PARTS) {
		uint32_t left = len - at,
			 most = n + 1 == BT_SEGMENT_PARTS ? left : below(left + 1);

		most = below(4) == 0 ? left : most;
		parts[n++] = (struct iovec){whole + at, most};
		at += most;
	}
	return n;
}

static void check(const struct shape *s)
{
	uint32_t at = 0, k = 0, step = s->segment != 0 ? s->segment : s->payload;
	struct iovec parts[BT_SEGMENT_PARTS], out[BT_SEGMENT_PARTS];
	struct bt_segments cut;
	size_t n;

	make(s);
	assert_true(bt_segments_begin(&cut, parts, parts_of(s, parts), s->segment, (uint16_t)s->ip));
	while (bt_segments_next(&cut, out, &n)) {
		uint32_t len = s->payload - at < step ? s->payload - at : step;
		size_t size = 0;

		assert_true(n <= BT_SEGMENT_PARTS);
		for (size_t i = 0; i < n; i++) {
			memcpy(piece + size, out[i].iov_base, out[i].iov_len);
			size += out[i].iov_len;
		}
		assert_int_equal(size, expect(s, k, at, len));
		assert_memory_equal(piece, want, size);
		at += len;
		k++;
	}
	assert_int_equal(at, s->payload);
	assert_int_equal(k, s->payload == 0 || step == 0 ? 1 : (s->payload + step - 1) / step);
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		struct shape s = {.v4 = below(2) == 0, .tcp = below(4) != 0, .df = below(2) == 0};

		s.ip = s.v4 ? 20 + 4 * below(11) : 40;
		s.headers = s.ip + (s.tcp ? 20 + 4 * below(11) : 8);
		s.payload = below(3) == 0 ? below(65000) : below(6000);
		s.segment = s.tcp && below(4) != 0 ? (uint16_t)(1 + below(3000)) : 0;
		if (s.segment != 0 && s.payload / s.segment > 200)
			s.segment = 1460;
		check(&s);
	}
}

/* RFC 768: a sum of 0 is sent as ffff. */
static void test_udp_zero(void **state)
{
	static const uint8_t packet[] = {0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0,	0,    10, 0, 0,
					 1,    10, 0, 0, 2, 0, 1, 0, 2, 0, 10, 0xab, 0xcd, 0,  0};
	struct iovec part = {whole, sizeof(packet)}, out[BT_SEGMENT_PARTS];
	struct bt_segments cut;
	unsigned sum;
	size_t n;

	(void)state;
	memcpy(whole, packet, sizeof(packet));
	put16(whole + 26, 0);
	sum = sum16(17 + 10, whole + 12, 8);
	sum = sum16(sum, whole + 20, 8);
	put16(whole + 28, ~sum & 0xffff); /* data that make it so */
	assert_true(bt_segments_begin(&cut, &part, 1, 0, 20));
	assert_true(bt_segments_next(&cut, out, &n));
	assert_int_equal(get16((const uint8_t *)out[0].iov_base + 26), 0xffff);
	assert_false(bt_segments_next(&cut, out, &n));
}

/* Nothing to be done: the parts as they are. */
static void test_as_it_is(void **state)
{
	struct iovec parts[2] = {{whole, 3}, {whole + 3, 50}}, out[BT_SEGMENT_PARTS];
	struct bt_segments cut;
	size_t n;

	(void)state;
	assert_true(bt_segments_begin(&cut, parts, 2, 0, 0));
	assert_true(bt_segments_next(&cut, out, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(out, parts, sizeof(parts));
	assert_false(bt_segments_next(&cut, out, &n));
}

static void test_refused(void **state)
{
	struct shape s = {true, true, true, 20, 40, 100, 10};
	struct iovec part = {whole, 140};
	struct bt_segments cut;

	(void)state;
	make(&s);
	assert_true(bt_segments_begin(&cut, &part, 1, 10, 20));
	assert_false(bt_segments_begin(&cut, &part, 1, 10, 0));
	assert_false(bt_segments_begin(&cut, &part, 1, 10, 16)); /* within IP's header */
	assert_false(bt_segments_begin(&cut, &part, 0, 10, 20));
	part.iov_len = 39;
	assert_false(bt_segments_begin(&cut, &part, 1, 10, 20));
	part.iov_len = 140;
	whole[9] = 17;
	assert_false(bt_segments_begin(&cut, &part, 1, 10, 20)); /* UDP is not cut */
	whole[9] = 1;
	assert_false(bt_segments_begin(&cut, &part, 1, 0, 20)); /* ICMP's is complete */
}

/* ---- between two hosts ---- */

static struct berth *b;
static berth_if ends[2];
static uint64_t now, large, cuts;
static bool marked, broken;

static void two_hosts(const struct berth_addr *addrs, unsigned bits)
{
	const struct berth_config config = {.key = {7}};
	const struct berth_if_config i = {.flags = BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM};

	b = berth_new(&config);
	for (unsigned h = 0; h < 2; h++) {
		ends[h] = (berth_if)berth_if_add(b, (berth_host)berth_host_add(b), &i);
		assert_int_equal(berth_addr_add(b, ends[h], &addrs[h], bits), 0);
	}
}

static void give(const struct berth_output *o, const struct iovec *parts, size_t n, bool as_it_is)
{
	struct berth_input in = {.packet = piece, .i = ends[o->i == ends[0]]};

	for (size_t i = 0; i < n; i++) {
		memcpy(piece + in.len, parts[i].iov_base, parts[i].iov_len);
		in.len += parts[i].iov_len;
	}
	if (as_it_is) {
		in.segment = o->segment;
		in.checked = true;
	} else {
		assert_true(in.len <= 1500);
		cuts++;
		if (broken && below(50) == 0)
			piece[below((uint32_t)in.len)] ^= (uint8_t)(1 + below(255));
	}
	berth_input_batch(b, &in, 1, now);
}

/* One packet; false: there was none. */
static bool carry(void)
{
	static uint8_t copy[MOST];
	struct iovec out[BT_SEGMENT_PARTS], flat = {copy, 0};
	struct bt_segments cut;
	struct berth_output o;
	size_t n;

	if (berth_output(b, &o, 1, now) == 0)
		return false;
	for (unsigned i = 0; i < o.n_iov; i++) {
		memcpy(copy + flat.iov_len, o.iov[i].iov_base, o.iov[i].iov_len);
		flat.iov_len += o.iov[i].iov_len;
	}
	large += o.segment != 0;
	if (marked && below(2) == 0) {
		give(&o, &flat, 1, true);
		return true;
	}
	assert_true(bt_segments_begin(&cut, &flat, 1, o.segment, o.checksum));
	while (bt_segments_next(&cut, out, &n))
		give(&o, out, n, false);
	return true;
}

static void settle(void)
{
	while (carry())
		;
	now += 1000000;
	if (berth_deadline(b) <= now)
		berth_advance(b, now);
}

static void transfer(const struct berth_addr *addrs, unsigned bits, int family, int64_t discover)
{
	static uint8_t data[300000], got[sizeof(data)];
	struct berth_endpoint at = {.addr = addrs[0], .port = 80};
	berth_socket l, c, s = 0;
	size_t sent = 0, taken = 0;

	two_hosts(addrs, bits);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)below(256);
	assert_int_equal(berth_open(b, 0, BERTH_TCP, family, &l), 0);
	assert_int_equal(berth_bind(b, l, &at, now), 0);
	assert_int_equal(berth_listen(b, l, 1, now), 0);
	assert_int_equal(berth_open(b, 1, BERTH_TCP, family, &c), 0);
	assert_int_equal(berth_set(b, c, BERTH_IP_MTU_DISCOVER, discover, now), 0);
	assert_int_equal(berth_connect(b, c, &at, now), BERTH_EINPROGRESS);
	for (unsigned i = 0; i < 100000 && taken < sizeof(data); i++) {
		int64_t n;

		settle();
		if (s == 0 && berth_accept(b, l, &s, now) < 0)
			continue;
		n = berth_send(b, c, data + sent, sizeof(data) - sent, 0, now);
		sent += n > 0 ? (size_t)n : 0;
		n = berth_recv(b, s, got + taken, sizeof(got) - taken, 0, now);
		taken += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(taken, sizeof(data));
	assert_memory_equal(got, data, sizeof(data));
	assert_true(large > 0 && cuts > 0);
	if (!broken)
		assert_int_equal(berth_drops(b, 0, BERTH_DROP_TCP_CHECKSUM) +
					 berth_drops(b, 1, BERTH_DROP_TCP_CHECKSUM),
				 0);
	else /* what was broken on its way was found out */
		assert_true(berth_drops(b, 0, BERTH_DROP_TCP_CHECKSUM) > 0);
	berth_free(b);
}

static void test_transfers(void **state)
{
	const struct berth_addr v4[2] = {{{[10] = 0xff, 0xff, 10, 0, 0, 1}},
						{{[10] = 0xff, 0xff, 10, 0, 0, 2}}},
				       v6[2] = {{{0xfd, [15] = 1}}, {{0xfd, [15] = 2}}};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		large = cuts = 0;
		marked = (i & 1) != 0;
		broken = (i & 2) != 0;
		if ((i & 4) == 0)
			transfer(v4, 24, 4, i & 1);
		else
			transfer(v6, 64, 6, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	   cmocka_unit_test(test_udp_zero),
		cmocka_unit_test(test_as_it_is),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_transfers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

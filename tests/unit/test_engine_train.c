/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two engines with the same key do the same work. One gives its packets singly and takes them in
 * singly, the other in batches, where segments follow each other by shorter ways (segments alike,
 * ends just seen). Both must send the same bytes at the same times, lossy wire or not.
 */
#include "engine_help.h"
#include "random.h"

#define PACKETS 256u
#define ROUNDS	400u

struct packet {
	uint16_t i, segment, checksum;
	uint32_t len;
	uint8_t *bytes;
};

struct side {
	struct world w;
	berth_socket client, server;
	struct packet out[PACKETS];
	unsigned n_out;
};

static struct side side[2]; /* singly, in batches */

static void keep(struct side *s, const struct berth_output *out)
{
	struct packet *p = &s->out[s->n_out++];
	uint32_t at = 0;

	assert_true(s->n_out < PACKETS);
	*p = (struct packet){out->i, out->segment, out->checksum, out->len, malloc(out->len)};
	assert_non_null(p->bytes);
	for (unsigned k = 0; k < out->n_iov; at += (uint32_t)out->iov[k++].iov_len)
		memcpy(p->bytes + at, out->iov[k].iov_base, out->iov[k].iov_len);
	assert_int_equal(at, out->len);
}

static void gather(struct side *s, size_t batch)
{
	static struct berth_output out[16];
	size_t n;

	while ((n = berth_output(s->w.b, out, batch, s->w.now)) > 0)
		for (size_t k = 0; k < n; k++)
			keep(s, &out[k]);
}

static void assert_same(void)
{
	assert_int_equal(side[0].n_out, side[1].n_out);
	for (unsigned k = 0; k < side[0].n_out; k++) {
		const struct packet *a = &side[0].out[k], *b = &side[1].out[k];

		assert_int_equal(a->i, b->i);
		assert_int_equal(a->segment, b->segment);
		assert_int_equal(a->checksum, b->checksum);
		assert_int_equal(a->len, b->len);
		assert_memory_equal(a->bytes, b->bytes, a->len);
	}
}

static berth_if other(const struct world *w, uint16_t i)
{
	return w->end[i == w->end[0]];
}

/* The same of them are lost, or one bit of them is another, on both sides. */
static void carry_both(uint32_t loss)
{
	struct berth_input in[PACKETS];
	size_t n = 0;

	for (unsigned k = 0; k < side[0].n_out; k++) {
		struct packet *p = &side[0].out[k], *q = &side[1].out[k];
		uint32_t what = rnd(1000);

		if (what < loss)
			continue;
		if (what == 999 && loss > 0) {
			uint32_t at = rnd(p->len);

			p->bytes[at] ^= 1;
			q->bytes[at] ^= 1;
		}
		berth_input(side[0].w.b, other(&side[0].w, p->i), p->bytes, p->len, side[0].w.now);
		in[n++] = (struct berth_input){
			.packet = q->bytes, .len = q->len, .i = other(&side[1].w, q->i)};
	}
	for (size_t at = 0, m; at < n; at += m) {
		m = 1 + rnd(20);
		m = m < n - at ? m : n - at;
		berth_input_batch(side[1].w.b, in + at, m, side[1].w.now);
	}
	for (unsigned s = 0; s < 2; s++) {
		for (unsigned k = 0; k < side[s].n_out; k++)
			free(side[s].out[k].bytes);
		side[s].n_out = 0;
	}
}

static void step(uint32_t loss)
{
	do {
		gather(&side[0], 1);
		gather(&side[1], 1 + rnd(16));
		assert_same();
		if (side[0].n_out == 0)
			break;
		carry_both(loss);
	} while (true);
}

static void pass_time(uint64_t ns)
{
	uint64_t at = berth_deadline(side[0].w.b);

	assert_int_equal(at, berth_deadline(side[1].w.b));
	for (unsigned s = 0; s < 2; s++) {
		side[s].w.now += ns;
		if (at <= side[s].w.now)
			berth_advance(side[s].w.b, side[s].w.now);
	}
}

static void begin(uint32_t flags, bool is6, int64_t congestion, int64_t ecn)
{
	for (unsigned s = 0; s < 2; s++) {
		struct world *w = &side[s].w;
		struct berth_endpoint to = at(is6 ? v6(2) : v4(10, 0, 0, 2), 80);
		berth_socket l;

		assert_int_equal(world_make(w, flags), 0);
		l = bound(w, 1, BERTH_TCP, to.addr, 80);
		assert_int_equal(berth_set(w->b, l, BERTH_TCP_ECN, ecn, w->now), 0);
		assert_int_equal(berth_listen(w->b, l, 5, w->now), 0);
		side[s].client = open_socket(w, 0, BERTH_TCP, is6 ? 6 : 4);
		berth_set(w->b, side[s].client, BERTH_TCP_CONGESTION, congestion, w->now);
		berth_set(w->b, side[s].client, BERTH_TCP_ECN, ecn, w->now);
		assert_int_equal(berth_connect(w->b, side[s].client, &to, w->now),
				 BERTH_EINPROGRESS);
		settle(w);
		assert_int_equal(berth_accept(w->b, l, &side[s].server, w->now), 0);
	}
}

static void end(void)
{
	for (unsigned s = 0; s < 2; s++)
		berth_free(side[s].w.b);
}

/* Some bytes into one end and out of the other, or the other way. */
static uint64_t exchange(void)
{
	static uint8_t bytes[100000], got[2][100000];
	uint32_t n = 1 + rnd(rnd(4) == 0 ? 99999 : 3000), back = rnd(3), read = 1 + rnd(99999);
	int64_t r[2];

	for (uint32_t k = 0; k < n; k += 1 + k / 16)
		bytes[k] = (uint8_t)rnd(256);
	for (unsigned s = 0; s < 2; s++) {
		struct world *w = &side[s].w;

		berth_send(w->b, back == 0 ? side[s].server : side[s].client, bytes, n, 0, w->now);
	}
	for (unsigned s = 0; s < 2; s++)
		r[s] = berth_recv(side[s].w.b, back == 1 ? side[s].client : side[s].server, got[s],
				  read, 0, side[s].w.now);
	assert_int_equal(r[0], r[1]);
	if (r[0] > 0)
		assert_memory_equal(got[0], got[1], (size_t)r[0]);
	return r[0] > 0 ? (uint64_t)r[0] : 0;
}

static void run_both(uint32_t flags, bool is6, int64_t congestion, int64_t ecn, uint32_t loss)
{
	uint64_t moved = 0;

	begin(flags, is6, congestion, ecn);
	for (unsigned k = 0; k < ROUNDS; k++) {
		moved += exchange();
		step(loss);
		pass_time(rnd(2) == 0 ? rnd(100000) : rnd(50 * MS));
		step(loss);
	}
	assert_true(moved > 100000);
	end();
}

static void test_same_bytes(void **state)
{
	static const uint32_t flags[] = {0, BERTH_IF_ETHERNET,
					 BERTH_IF_TX_CHECKSUM | BERTH_IF_RX_CHECKSUM, BERTH_IF_TSO};

	(void)state;
	for (unsigned k = 0; k < 32; k++) {
		rng = k;
		run_both(flags[k % 4], k / 4 % 2 == 1, k % 3 == 2 ? BERTH_CC_BBR : BERTH_CC_CUBIC,
			 k / 16, k / 8 % 2 == 1 ? 20 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bytes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: handshake, data, close, TIME_WAIT. */
#include "tcp_test.h"

#include <stdlib.h>

/* RFC 9293 3.5, figure 6 */
static void test_handshake(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 4), a = wire_open(&w, A), b;

	(void)state;
	assert_int_equal(wire_connect(&w, a, B, 80), BERTH_EINPROGRESS);
	wire_run(&w, 1);
	assert_int_equal(w.last[A].s.flags, BT_SYN);
	assert_int_equal(w.last[A].s.mss, 1460); /* RFC 9293 MUST-14 */
	assert_int_equal(wire_conn(&w, a)->state, BT_SYN_SENT);
	wire_run(&w, 20 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_int_equal(wire_events(&w, a), BERTH_WRITABLE);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	assert_int_equal(wire_conn(&w, b)->state, BT_ESTABLISHED);
	assert_int_equal(wire_accept(&w, l), BT_NO_SLOT);
	assert_int_equal(wire_conn(&w, a)->mss, 1448); /* RFC 6691 */
	wire_close(&w, a);
	wire_run(&w, 20 * MS);
	wire_close(&w, b);
	wire_close(&w, l);
	wire_run(&w, 20 * MS);
	assert_int_equal(bt_port_count(w.ports), 1); /* TIME_WAIT */
	wire_run(&w, 59 * SEC);
	assert_int_equal(bt_port_count(w.ports), 1);
	wire_run(&w, 2 * SEC);
	assert_int_equal(bt_port_count(w.ports), 0);
}

/* RFC 9293 3.10.7.1: a SYN to a port without listener is reset. */
static void test_refused(void **state)
{
	uint32_t a = wire_open(&w, A);

	(void)state;
	wire_connect(&w, a, B, 81);
	wire_run(&w, 20 * MS);
	assert_int_equal(wire_events(&w, a) & BERTH_ERROR, BERTH_ERROR);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ECONNREFUSED);
	assert_int_equal(bt_tcp_error_take(w.t, a), 0);
	wire_close(&w, a);
}

static void test_data_both_ways(void **state)
{
	uint32_t a, b, l;
	char buf[100];

	(void)state;
	wire_pair(&w, &a, &b, &l);
	assert_int_equal(wire_send(&w, a, "hello", 5), 5);
	assert_int_equal(wire_send(&w, b, "world!", 6), 6);
	wire_run(&w, 100 * MS);
	assert_int_equal(wire_recv(&w, b, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(wire_recv(&w, a, buf, 2), 2);
	assert_int_equal(wire_recv(&w, a, buf + 2, 50), 4);
	assert_memory_equal(buf, "world!", 6);
	assert_int_equal(wire_recv(&w, a, buf, 1), BERTH_EAGAIN);
	assert_int_equal(wire_conn(&w, a)->queued, 0);
	assert_null(wire_conn(&w, a)->flight); /* given back */
	assert_null(wire_conn(&w, b)->rxq);
	assert_int_equal(bt_tcp_shutdown(w.t, a, BERTH_SHUT_WR, w.now), 0);
	assert_int_equal(wire_send(&w, a, "x", 1), BERTH_EPIPE);
	wire_run(&w, 100 * MS);
	assert_int_equal(wire_recv(&w, b, buf, 1), 0);
	assert_int_equal(wire_conn(&w, a)->state, BT_FIN_WAIT2);
	assert_int_equal(wire_conn(&w, b)->state, BT_CLOSE_WAIT);
	assert_int_equal(wire_send(&w, b, "late", 4), 4); /* half-closed */
	wire_run(&w, 100 * MS);
	assert_int_equal(wire_recv(&w, a, buf, 10), 4);
	wire_close(&w, b);
	wire_run(&w, 100 * MS);
	assert_int_equal(wire_recv(&w, a, buf, 10), 0);
	wire_close(&w, a);
	wire_close(&w, l);
}

/* RFC 9293 3.6, figure 13: simultaneous close. */
static void test_simultaneous_close(void **state)
{
	uint32_t a, b, l;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	wire_close(&w, a);
	wire_close(&w, b);
	wire_run(&w, 7 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_CLOSING);
	wire_run(&w, 10 * MS);
	assert_int_equal(bt_port_count(w.ports), 3); /* both wait */
	wire_close(&w, l);
}

static void bulk(size_t total)
{
	uint32_t a, b, l;
	size_t sent = 0, got = 0;
	static uint8_t buf[65536];

	wire_pair(&w, &a, &b, &l);
	for (int round = 0; got < total; round++) {
		int64_t n;

		assert_true(round < 200000);
		while (sent < total) {
			size_t want = total - sent < sizeof(buf) ? total - sent : sizeof(buf);

			for (size_t i = 0; i < want; i++)
				buf[i] = (uint8_t)((sent + i) * 31 >> 3);
			n = wire_send(&w, a, buf, want);
			if (n <= 0)
				break;
			sent += (size_t)n;
		}
		wire_run(&w, MS);
		while ((n = wire_recv(&w, b, buf, sizeof(buf))) > 0) {
			for (int64_t i = 0; i < n; i++, got++)
				assert_int_equal(buf[i], (uint8_t)(got * 31 >> 3));
		}
	}
	wire_close(&w, a);
	wire_run(&w, SEC);
	assert_int_equal(wire_recv(&w, b, buf, 1), 0);
	wire_close(&w, b);
	wire_close(&w, l);
}

static void test_bulk(void **state)
{
	(void)state;
	bulk(3000000);
	assert_int_equal(w.drops[BERTH_DROP_TCP_WINDOW], 0);
}

static void test_bulk_tso(void **state)
{
	(void)state;
	w.flags = BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM;
	bulk(3000000);
	assert_true(w.n_bytes / w.n_sent > 3000); /* segments and ACKs together */
}

static bool lose_third(struct wire *x, struct frame *f)
{
	unsigned *n = x->arg;

	return !(f->from == A && f->len > 100 && ++*n % 3 == 0);
}

static void test_bulk_loss(void **state)
{
	unsigned n = 0;

	(void)state;
	w.rule = lose_third;
	w.arg = &n;
	bulk(300000);
	w.rule = NULL;
}

static void test_bulk_loss_tso(void **state)
{
	unsigned n = 0;

	(void)state;
	w.flags = BERTH_IF_TSO;
	w.rule = lose_third;
	w.arg = &n;
	bulk(1000000);
	w.rule = NULL;
}

/* Memory ends at the n-th structure: an error or a pause, and all comes right when there is some.
 */
static void test_no_memory(void **state)
{
	uint32_t a, b, l;
	char buf[8];

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		int64_t r, got = 0;

		if (n > 0) {
			wire_run(&w, 100 * SEC);
			wire_check_empty(&w);
			bt_tcp_free(w.t);
			bt_port_net_free(w.ports);
			bt_wheel_free(w.wheel);
			bt_chunks_free(w.chunks);
			wire_up(&w);
		}
		wire_pair(&w, &a, &b, &l);
		w.t->mem.slabs_left = n;
		r = wire_send(&w, a, "hello", 5);
		assert_true(r == 5 || (n == 0 && r == BERTH_ENOBUFS));
		wire_run(&w, SEC);
		got = wire_recv(&w, b, buf, 8);
		assert_int_equal(got, n < 2 ? BERTH_EAGAIN : 5);
		w.t->mem.slabs_left = UINT32_MAX;
		wire_run(&w, SEC);
		if (r == 5 && got < 0)
			assert_int_equal(wire_recv(&w, b, buf, 8), 5);
		wire_close(&w, a);
		wire_close(&w, b);
		wire_close(&w, l);
	}
}

/* The buffers' pool is smaller than one send buffer: the sender leaves room for what arrives. */
static void test_no_chunks(void **state)
{
	static char buf[100000];
	uint32_t a, b, l;
	int64_t sent = 0, got = 0, n;

	(void)state;
	bt_chunks_free(w.chunks);
	w.chunks = w.t->chunks = bt_chunks_new(12 * BT_CHUNK_BYTES);
	wire_pair(&w, &a, &b, &l);
	for (int i = 0; i < 20000 && got < 300000; i++) {
		if (sent < 300000 && (n = wire_send(&w, a, buf, 10000)) > 0)
			sent += n;
		wire_run(&w, 10 * MS);
		if (i % 8 == 0)
			while ((n = wire_recv(&w, b, buf, sizeof(buf))) > 0)
				got += n;
	}
	assert_true(got >= 300000);
	wire_close(&w, a);
	wire_close(&w, b);
	wire_close(&w, l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_handshake),	T(test_refused),
		T(test_data_both_ways), T(test_simultaneous_close),
		T(test_no_memory),	T(test_no_chunks),
		T(test_bulk),		T(test_bulk_tso),
		T(test_bulk_loss),	T(test_bulk_loss_tso),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

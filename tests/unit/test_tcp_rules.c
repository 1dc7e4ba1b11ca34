/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger or an old segment cannot do: RFC 5961, RFC 7323 5, RFC 1337, and bug classes of
 * other stacks. */
#include "tcp_test.h"

/* RFC 5961 3.2: only the exact number resets; others get a challenge ACK. */
static void test_blind_reset(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	uint64_t n;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	s = wire_next(&w, a, BT_RST);
	s.seq = bt_seq_add(s.seq, 100);
	n = w.n_sent;
	wire_inject(&w, a, &s, NULL, 0);
	wire_run(&w, 1);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_int_equal(w.drops[BERTH_DROP_TCP_RST_BLIND], 1);
	assert_int_equal(w.n_sent, n + 1);
	assert_int_equal(w.last[A].s.flags, BT_ACK);
	s = wire_next(&w, a, BT_RST);
	s.seq = bt_seq_add(s.seq, 1u << 30); /* outside the window: silence */
	wire_inject(&w, a, &s, NULL, 0);
	wire_run(&w, 1);
	assert_int_equal(w.n_sent, n + 1);
	s = wire_next(&w, a, BT_RST);
	wire_inject(&w, a, &s, NULL, 0);
	assert_int_equal(wire_conn(&w, a)->state, BT_CLOSE);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ECONNRESET);
	close_all(a, b, l);
}

/* RFC 5961 4.2 */
static void test_blind_syn(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	s = wire_next(&w, b, BT_SYN);
	wire_inject(&w, b, &s, NULL, 0);
	wire_run(&w, 1);
	assert_int_equal(wire_conn(&w, b)->state, BT_ESTABLISHED);
	assert_int_equal(w.drops[BERTH_DROP_TCP_SYN_BLIND], 1);
	assert_int_equal(w.last[B].s.flags, BT_ACK);
	close_all(a, b, l);
}

/* RFC 5961 5.2: data whose ACK is too old or of the future are not taken. */
static void test_blind_data(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	char c;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	s = wire_next(&w, b, BT_ACK);
	s.ack = bt_seq_add(s.ack, 1);
	wire_inject(&w, b, &s, "evil", 4);
	s.ack = bt_seq(s.ack.n - 100000000);
	wire_inject(&w, b, &s, "evil", 4);
	assert_int_equal(wire_recv(&w, b, &c, 1), BERTH_EAGAIN);
	assert_int_equal(w.drops[BERTH_DROP_TCP_ACK], 2);
	close_all(a, b, l);
}

/* CVE-2016-5696: the limit of challenge ACKs is a connection's own, and has noise. */
static void test_challenge_limit_is_per_socket(void **state)
{
	uint32_t a, b, l, a2 = wire_open(&w, A), n1, n2 = 0;
	struct bt_tcp_seg s;
	bool differs = false;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	wire_connect(&w, a2, B, 80);
	wire_run(&w, 20 * MS);
	for (int second = 0; second < 6; second++) {
		uint64_t before = w.drops[BERTH_DROP_TCP_CHALLENGE_RATE];

		for (int i = 0; i < 100; i++) {
			s = wire_next(&w, a, BT_SYN);
			wire_inject(&w, a, &s, NULL, 0);
			wire_flush(&w);
		}
		n1 = 100 - (uint32_t)(w.drops[BERTH_DROP_TCP_CHALLENGE_RATE] - before);
		assert_in_range(n1, 10, 20);
		differs |= second > 0 && n1 != n2;
		n2 = n1;
		before = w.drops[BERTH_DROP_TCP_CHALLENGE_RATE];
		s = wire_next(&w, a2, BT_SYN); /* another one is not touched by it */
		wire_inject(&w, a2, &s, NULL, 0);
		assert_int_equal(w.drops[BERTH_DROP_TCP_CHALLENGE_RATE], before);
		wire_run(&w, SEC);
	}
	assert_true(differs);
	bt_tcp_abort(w.t, a2, w.now);
	close_all(a, b, l);
}

/* RFC 7323 5.3 R1 */
static void test_paws(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	char c;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	s = wire_next(&w, b, BT_ACK);
	s.ts_val -= 1;
	wire_inject(&w, b, &s, "old", 3);
	assert_int_equal(w.drops[BERTH_DROP_TCP_PAWS], 1);
	assert_int_equal(wire_recv(&w, b, &c, 1), BERTH_EAGAIN);
	/* 5.5: after 24 days the timestamp means nothing any more */
	w.now += 25ull * 24 * 3600 * SEC;
	s.ts_ecr = bt_conn_ts(w.t, wire_conn(&w, b));
	wire_inject(&w, b, &s, "new", 3);
	assert_int_equal(w.drops[BERTH_DROP_TCP_PAWS], 1);
	assert_int_equal(wire_recv(&w, b, &c, 1), 1);
	close_all(a, b, l);
}

/* RFC 1337: a reset does not end TIME_WAIT. RFC 6191: a SYN with a newer timestamp does. */
static void test_time_wait(void **state)
{
	uint32_t a, b, l, port;
	struct bt_port_info info;
	struct bt_tcp_seg s;
	struct bt_addr src = wire_addr(A, false);
	struct bt_reason why;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	assert_true(bt_port_get(w.ports, a, &info));
	port = info.lport;
	wire_close(&w, b); /* the server closes first and waits */
	wire_run(&w, 20 * MS);
	wire_close(&w, a);
	wire_run(&w, 20 * MS);
	assert_int_equal(wire_conn(&w, b)->state, BT_TIME_WAIT);
	assert_true(bt_port_get(w.ports, b, &info));
	assert_int_equal(info.state, BT_TIME_WAIT);
	s = wire_next(&w, b, BT_RST);
	wire_inject(&w, b, &s, NULL, 0);
	assert_int_equal(wire_conn(&w, b)->state, BT_TIME_WAIT);
	s = wire_next(&w, b, BT_FIN | BT_ACK); /* its FIN again: acked again */
	s.seq = bt_seq(s.seq.n - 1);
	wire_inject(&w, b, &s, NULL, 0);
	w.last[B].s.flags = 0;
	wire_run(&w, 1);
	assert_int_equal(w.last[B].s.flags, BT_ACK);
	wire_run(&w, 10 * MS);
	a = wire_open(&w, A); /* the same port again */
	assert_int_equal(bt_port_bind(w.ports, a, &src, (uint16_t)port, true, w.now, &why), 0);
	assert_int_equal(wire_connect(&w, a, B, 80), BERTH_EINPROGRESS);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	assert_int_equal(wire_conn(&w, b)->state, BT_ESTABLISHED);
	close_all(a, b, l);
}

/* NUMBER:JACK, RFC 6528, RFC 9293 MUST-8, MUST-9, SHLD-1: initial numbers of other ends or hosts
 * say nothing; of one they rise. */
static void test_initial_numbers(void **state)
{
	struct bt_addr x = wire_addr(A, false), y = wire_addr(B, false);
	uint32_t one, two, n_near = 0;

	(void)state;
	for (uint16_t p = 1; p < 1000; p++) {
		one = bt_syn_isn(w.t, &x, p, &y, 80, A);
		two = bt_syn_isn(w.t, &x, (uint16_t)(p + 1), &y, 80, A);
		n_near += one - two < 1u << 24 || two - one < 1u << 24;
		n_near += one == bt_syn_isn(w.t, &x, p, &y, 80, B);
	}
	assert_in_range(n_near, 0, 40); /* 1 in 128 by chance */
	one = bt_syn_isn(w.t, &x, 1, &y, 80, A);
	bt_tcp_enter(w.t, w.now + SEC);
	two = bt_syn_isn(w.t, &x, 1, &y, 80, A);
	assert_int_equal(two - one, SEC / 64);
}

/* CVE-2026-9539, 3.8.5: an urgent pointer past the data is only a number. */
static void test_urgent_past_the_data(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	char buf[8];

	(void)state;
	wire_pair(&w, &a, &b, &l);
	s = wire_next(&w, b, BT_ACK | BT_URG);
	s.urgent = 65535;
	wire_inject(&w, b, &s, "abc", 3);
	assert_int_equal(wire_events(&w, b) & BERTH_URGENT, BERTH_URGENT);
	assert_int_equal(bt_tcp_recv(w.t, b, buf, 1, BERTH_RECV_OOB, w.now), BERTH_EAGAIN);
	assert_int_equal(wire_recv(&w, b, buf, 8), 3);
	close_all(a, b, l);
}

/* RFC 9293 3.8.5: the urgent byte beside the stream, or in it with SO_OOBINLINE. */
static void test_urgent(void **state)
{
	uint32_t a, b, l;
	char buf[16];

	(void)state;
	wire_pair(&w, &a, &b, &l);
	assert_int_equal(bt_tcp_send(w.t, a, "ab!", 3, BERTH_OOB, w.now), 3);
	assert_int_equal(wire_send(&w, a, "cd", 2), 2);
	wire_run(&w, 50 * MS);
	assert_int_equal(wire_events(&w, b) & BERTH_URGENT, BERTH_URGENT);
	assert_int_equal(bt_tcp_recv(w.t, b, buf, 1, BERTH_RECV_OOB, w.now), 1);
	assert_int_equal(buf[0], '!');
	assert_int_equal(wire_recv(&w, b, buf, 16), 2); /* to the mark */
	assert_int_equal(wire_recv(&w, b, buf + 2, 16), 2);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(bt_tcp_set(w.t, b, BERTH_SO_OOBINLINE, 1, w.now), 0);
	assert_int_equal(bt_tcp_send(w.t, a, "x?", 2, BERTH_OOB, w.now), 2);
	wire_run(&w, 50 * MS);
	assert_int_equal(wire_recv(&w, b, buf, 16), 1);
	assert_int_equal(wire_recv(&w, b, buf + 1, 16), 1);
	assert_memory_equal(buf, "x?", 2);
	close_all(a, b, l);
}

/* CVE-2019-11477: SACK of single bytes makes no more records than segments. */
static void test_sack_of_single_bytes(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	static char data[60000];
	const struct bt_conn *c;

	(void)state;
	w.flags = BERTH_IF_TSO;
	wire_pair(&w, &a, &b, &l);
	c = wire_conn(&w, a);
	wire_send(&w, a, data, sizeof(data));
	wire_flush(&w);
	for (uint32_t i = 0; i < 5000; i += 2) {
		s = wire_next(&w, a, BT_ACK);
		s.ack = c->snd_una;
		s.has |= BT_TCP_SACK;
		s.n_sack = 1;
		s.sack[0].start = bt_seq_add(c->snd_una, 1 + i);
		s.sack[0].end = bt_seq_add(c->snd_una, 2 + i);
		wire_inject(&w, a, &s, NULL, 0);
	}
	assert_in_range(c->flight->n, 1, 60000 / c->mss + 1);
	assert_int_equal(c->flight->sacked, 0);
	/* nor do blocks of what was never sent count */
	s.sack[0].start = bt_seq_add(c->snd_nxt, 1);
	s.sack[0].end = bt_seq_add(c->snd_nxt, 3000);
	wire_inject(&w, a, &s, NULL, 0);
	assert_int_equal(c->flight->sacked, 0);
	close_all(a, b, l);
}

/* CVE-2018-5390: pieces out of order have a bound. */
static void test_pieces_have_a_bound(void **state)
{
	uint32_t a, b, l, n = 0;
	struct bt_tcp_seg s;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	for (uint32_t i = 0; i < 3000; i++, n++) {
		s = wire_next(&w, b, BT_ACK);
		s.seq = bt_seq_add(s.seq, 1 + 2 * i);
		wire_inject(&w, b, &s, "x", 1);
		wire_flush(&w);
	}
	assert_int_equal(wire_conn(&w, b)->rxq->n, BT_PIECES_MAX);
	assert_int_equal(w.drops[BERTH_DROP_TCP_OUT_OF_ORDER_BUDGET], 3000 - BT_PIECES_MAX);
	close_all(a, b, l);
}

/* CVE-2020-1983: what has come first stays. */
static void test_overlaps_change_nothing(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s, first;
	char buf[16];

	(void)state;
	wire_pair(&w, &a, &b, &l);
	first = s = wire_next(&w, b, BT_ACK);
	s.seq = bt_seq_add(first.seq, 2);
	wire_inject(&w, b, &s, "cd", 2);
	s.seq = bt_seq_add(first.seq, 6);
	wire_inject(&w, b, &s, "gh", 2);
	s.seq = bt_seq_add(first.seq, 1);
	wire_inject(&w, b, &s, "bXXefXXi", 8);
	wire_inject(&w, b, &first, "aYYYYYYYYj", 10);
	assert_int_equal(wire_recv(&w, b, buf, 16), 10);
	assert_memory_equal(buf, "abcdefghij", 10);
	close_all(a, b, l);
}

/* RFC 9293 3.10.7.4: data outside the window are dropped and answered. */
static void test_outside_the_window(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	char c;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	s = wire_next(&w, b, BT_ACK);
	s.seq = bt_seq_add(s.seq, 70000);
	wire_inject(&w, b, &s, "far", 3);
	s.seq = bt_seq(s.seq.n - 70010);
	wire_inject(&w, b, &s, "old", 3);
	assert_int_equal(wire_recv(&w, b, &c, 1), BERTH_EAGAIN);
	assert_int_equal(w.drops[BERTH_DROP_TCP_WINDOW], 1);
	assert_int_equal(w.drops[BERTH_DROP_TCP_DUPLICATE], 1);
	close_all(a, b, l);
}

/* RFC 2525 2.17: closing with unread data, or data after the close, is a reset. */
static void test_unread_data_reset(void **state)
{
	uint32_t a, b, l;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	wire_send(&w, a, "x", 1);
	wire_run(&w, 20 * MS);
	wire_close(&w, b);
	wire_run(&w, 20 * MS);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ECONNRESET);
	wire_close(&w, a);
	a = wire_open(&w, A);
	wire_connect(&w, a, B, 80);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	wire_close(&w, b);
	wire_send(&w, a, "x", 1);
	wire_run(&w, 20 * MS);
	assert_int_equal(w.drops[BERTH_DROP_TCP_AFTER_CLOSE], 1);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_EPIPE); /* it has seen the FIN */
	wire_close(&w, a);
	wire_close(&w, l);
}

/* RFC 1122 4.2.3.9, RFC 5927: ICMP ends an attempt, not a connection; a wrong number is ignored. */
static void test_icmp(void **state)
{
	uint32_t a, b, l, c;
	struct bt_addr x = wire_addr(A, false), y = wire_addr(B, false);
	struct bt_port_ends e;
	uint8_t quoted[8];

	(void)state;
	wire_pair(&w, &a, &b, &l);
	bt_port_ends(w.ports, a, &e);
	bt_put16(quoted, e.lport);
	bt_put16(quoted + 2, 80);
	bt_put32(quoted + 4, wire_conn(&w, a)->snd_una.n);
	bt_tcp_icmp(w.t, A, &x, &y, quoted, 8, BERTH_EHOSTUNREACH, 0, w.now);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_EHOSTUNREACH);
	bt_tcp_icmp(w.t, A, &x, &y, quoted, 8, 0, 1000, w.now); /* RFC 1191 */
	assert_int_equal(wire_conn(&w, a)->mss, 1000 - 52);
	bt_put32(quoted + 4, wire_conn(&w, a)->snd_una.n + 5);
	bt_tcp_icmp(w.t, A, &x, &y, quoted, 8, 0, 500, w.now);
	assert_int_equal(wire_conn(&w, a)->mss, 1000 - 52);
	c = wire_open(&w, A);
	wire_connect(&w, c, B, 81);
	bt_port_ends(w.ports, c, &e);
	bt_put16(quoted, e.lport);
	bt_put16(quoted + 2, 81);
	bt_put32(quoted + 4, wire_conn(&w, c)->snd_una.n);
	bt_tcp_icmp(w.t, A, &x, &y, quoted, 8, BERTH_ECONNREFUSED, 0, w.now);
	assert_int_equal(bt_tcp_error_take(w.t, c), BERTH_ECONNREFUSED);
	wire_close(&w, c);
	close_all(a, b, l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_blind_reset),
		T(test_blind_syn),
		T(test_blind_data),
		T(test_challenge_limit_is_per_socket),
		T(test_paws),
		T(test_time_wait),
		T(test_initial_numbers),
		T(test_urgent_past_the_data),
		T(test_urgent),
		T(test_sack_of_single_bytes),
		T(test_pieces_have_a_bound),
		T(test_overlaps_change_nothing),
		T(test_outside_the_window),
		T(test_unread_data_reset),
		T(test_icmp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How connections begin: queues, cookies, Fast Open, retries, simultaneous open. */
#include "tcp_test.h"

/* listen(2): the accept queue has a bound; what does not fit comes again. */
static void test_backlog(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 1), a[4], n = 0, b;

	(void)state;
	for (int i = 0; i < 4; i++) {
		a[i] = wire_open(&w, A);
		wire_connect(&w, a[i], B, 80);
	}
	wire_run(&w, 100 * MS);
	assert_true(w.drops[BERTH_DROP_TCP_BACKLOG] > 0);
	for (int i = 0; i < 4; i++) /* who came by a cookie must speak to be known again */
		assert_int_equal(wire_send(&w, a[i], "x", 1), 1);
	for (int k = 0; k < 10; k++) {
		while ((b = wire_accept(&w, l)) != BT_NO_SLOT) {
			n++;
			bt_tcp_abort(w.t, b, w.now);
		}
		wire_run(&w, 2 * SEC);
	}
	assert_true(n >= 4); /* a cookie may come back twice */
	for (int i = 0; i < 4; i++)
		wire_close(&w, a[i]);
	wire_close(&w, l);
}

/* Counts the children in SYN_RECV at most; loses the SYN-ACKs that are not cookies. */
static bool lose_syn_acks(struct wire *x, struct frame *f)
{
	unsigned *left = x->arg;

	return !(f->s.flags == (BT_SYN | BT_ACK) && *left > 0 && (*left)--);
}

/* RFC 4987 3.6: a full SYN queue is answered by cookies, which keep nothing. */
static void test_cookie(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 2), a[3], b;
	unsigned left = 2;
	char buf[4];

	(void)state;
	w.rule = lose_syn_acks;
	w.arg = &left;
	for (int i = 0; i < 2; i++) {
		a[i] = wire_open(&w, A);
		wire_connect(&w, a[i], B, 80);
	}
	wire_run(&w, 20 * MS);
	assert_int_equal(wire_conn(&w, l)->listener->n_syn, 2);
	a[2] = wire_open(&w, A);
	wire_connect(&w, a[2], B, 80);
	wire_run(&w, 6 * MS);
	assert_int_equal(bt_port_count(w.ports), 6); /* no slot for the third */
	wire_run(&w, 10 * MS);
	assert_int_equal(wire_conn(&w, a[2])->state, BT_ESTABLISHED);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	assert_true(wire_conn(&w, b)->flags & CF_SACK);
	assert_int_equal(wire_conn(&w, b)->snd_scale, wire_conn(&w, a[2])->rcv_scale);
	assert_int_equal(wire_send(&w, a[2], "hi", 2), 2);
	wire_run(&w, 20 * MS);
	assert_int_equal(wire_recv(&w, b, buf, 4), 2);
	wire_close(&w, b);
	for (int i = 0; i < 3; i++)
		wire_close(&w, a[i]);
	wire_close(&w, l);
}

/* Without a way back not even a cookie can be sent. */
static void test_no_cookie(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 1), a[2];
	unsigned left = 9;

	(void)state;
	w.rule = lose_syn_acks;
	w.arg = &left;
	for (int i = 0; i < 2; i++) {
		a[i] = wire_open(&w, A);
		wire_connect(&w, a[i], B, 80);
		wire_flush(&w);
		w.no_path = i > 0; /* the second SYN is on its way when the way back is lost */
		wire_run(&w, 20 * MS);
	}
	assert_int_equal(w.drops[BERTH_DROP_TCP_SYN_QUEUE], 1);
	w.no_path = false;
	for (int i = 0; i < 2; i++)
		bt_tcp_abort(w.t, a[i], w.now);
	wire_close(&w, l);
}

/* A cookie that is wrong or two minutes old is reset. */
static void test_wrong_cookie(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 1), a[2];
	unsigned left = 9;
	struct bt_tcp_seg s;

	(void)state;
	w.rule = lose_syn_acks;
	w.arg = &left;
	for (int i = 0; i < 2; i++) {
		a[i] = wire_open(&w, A);
		wire_connect(&w, a[i], B, 80);
		wire_run(&w, 20 * MS);
	}
	assert_true(wire_conn(&w, l)->listener->cookies);
	s = w.last[B].s; /* the cookie: its ACK, not quite */
	bt_tcp_abort(w.t, a[0], w.now);
	s = (struct bt_tcp_seg){.sport = s.dport,
				.dport = 80,
				.seq = s.ack,
				.ack = bt_seq_add(s.seq, 2),
				.flags = BT_ACK,
				.window = 1000};
	for (int i = 0; i < 3; i++) {
		uint8_t buf[60];
		unsigned h;
		struct bt_rx rx = {.host = B,
				   .dev = 2,
				   .src = wire_addr(A, false),
				   .dst = wire_addr(B, false),
				   .data = buf,
				   .checked = true};

		if (i == 1)
			w.now += 180 * SEC;
		if (i > 0)
			s.ack = bt_seq_add(w.last[B].s.seq, 1);
		h = bt_tcp_write(buf, &s);
		rx.len = h;
		bt_tcp_input(w.t, &rx, w.now);
		assert_int_equal(wire_accept(&w, l), BT_NO_SLOT);
		if (i == 0)
			assert_int_equal(w.drops[BERTH_DROP_TCP_COOKIE], 1);
	}
	wire_close(&w, a[1]);
	wire_close(&w, l);
}

/* RFC 9293 MUST-10, 3.5: simultaneous open, figure 7. */
static void test_simultaneous_open(void **state)
{
	uint32_t a = wire_open(&w, A), b = wire_open(&w, B);
	struct bt_addr x = wire_addr(A, false), y = wire_addr(B, false);
	struct bt_reason why;
	char buf[4];

	(void)state;
	assert_int_equal(bt_port_bind(w.ports, a, &x, 5000, true, w.now, &why), 0);
	assert_int_equal(bt_port_bind(w.ports, b, &y, 6000, true, w.now, &why), 0);
	wire_connect(&w, a, B, 6000);
	wire_connect(&w, b, A, 5000);
	wire_run(&w, 50 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_int_equal(wire_conn(&w, b)->state, BT_ESTABLISHED);
	assert_int_equal(wire_events(&w, a) & BERTH_WRITABLE, BERTH_WRITABLE);
	assert_int_equal(wire_send(&w, a, "ab", 2), 2);
	wire_run(&w, 50 * MS);
	assert_int_equal(wire_recv(&w, b, buf, 4), 2);
	wire_close(&w, a);
	wire_close(&w, b);
}

/* connect to itself: the socket is both ends (RFC 9293 3.5). */
static void test_self_connect(void **state)
{
	uint32_t a = wire_open(&w, A);
	struct bt_addr x = wire_addr(A, false);
	struct bt_reason why;
	char buf[4];

	(void)state;
	assert_int_equal(bt_port_bind(w.ports, a, &x, 5000, true, w.now, &why), 0);
	wire_connect(&w, a, A, 5000);
	wire_run(&w, 50 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_int_equal(wire_send(&w, a, "ab", 2), 2);
	wire_run(&w, 50 * MS);
	assert_int_equal(wire_recv(&w, a, buf, 4), 2);
	wire_close(&w, a);
}

static bool lose_all(struct wire *x, struct frame *f)
{
	(void)x, (void)f;
	return false;
}

/* RFC 9293 3.8.3, RFC 6298: the SYN after 1, 3, 7, ... seconds; TCP_SYNCNT says how often. */
static void test_syn_retries(void **state)
{
	uint32_t a = wire_open(&w, A);

	(void)state;
	w.rule = lose_all;
	assert_int_equal(bt_tcp_set(w.t, a, BERTH_TCP_SYNCNT, 3, w.now), 0);
	wire_connect(&w, a, B, 80);
	wire_run(&w, 999 * MS);
	assert_int_equal(w.n_sent, 1);
	wire_run(&w, 2 * MS);
	assert_int_equal(w.n_sent, 2);
	wire_run(&w, 2 * SEC);
	assert_int_equal(w.n_sent, 3);
	wire_run(&w, 4 * SEC);
	assert_int_equal(w.n_sent, 4);
	assert_int_equal(wire_conn(&w, a)->state, BT_SYN_SENT);
	wire_run(&w, 9 * SEC);
	assert_int_equal(w.n_sent, 4);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ETIMEDOUT);
	wire_close(&w, a);
}

/* A lost SYN-ACK, and one whose ACK is lost: both come right. */
static void test_syn_ack_lost(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 4), a = wire_open(&w, A), b;
	unsigned left = 1;

	(void)state;
	w.rule = lose_syn_acks;
	w.arg = &left;
	wire_connect(&w, a, B, 80);
	wire_run(&w, 3 * SEC);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	close_all(a, b, l);
}

/* RFC 7413: the first connection learns the cookie, the second sends data with its SYN. */
static void test_fast_open(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 4), a, b;
	char buf[8];

	(void)state;
	assert_int_equal(bt_tcp_set(w.t, l, BERTH_TCP_FASTOPEN, 5, w.now), 0);
	for (int i = 0; i < 2; i++) {
		a = wire_open(&w, A);
		assert_int_equal(bt_tcp_set(w.t, a, BERTH_TCP_FASTOPEN, 1, w.now), 0);
		wire_connect(&w, a, B, 80);
		wire_run(&w, i == 0 ? 20 * MS : 1);
		if (i == 1)
			assert_int_equal(wire_conn(&w, a)->state, BT_SYN_SENT);
		assert_int_equal(wire_send(&w, a, "first", 5), 5);
		wire_run(&w, i == 0 ? 20 * MS : 6 * MS);
		if (i == 1)
			assert_int_equal(wire_conn(&w, a)->state, BT_SYN_SENT);
		wire_run(&w, i == 0 ? 0 : 20 * MS);
		b = wire_accept(&w, l);
		assert_int_not_equal(b, BT_NO_SLOT);
		assert_int_equal(!!(wire_conn(&w, b)->flags & CF_SYN_DATA), i);
		assert_int_equal(!!(wire_conn(&w, a)->flags & CF_SYN_DATA), i);
		assert_int_equal(wire_recv(&w, b, buf, 8), 5);
		assert_memory_equal(buf, "first", 5);
		assert_int_equal(wire_recv(&w, b, buf, 8), BERTH_EAGAIN);
		bt_tcp_abort(w.t, a, w.now);
		bt_tcp_abort(w.t, b, w.now);
	}
	wire_close(&w, l);
}

/* A listener that closes resets what nobody has accepted. */
static void test_listener_closes(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 4), a = wire_open(&w, A);

	(void)state;
	wire_connect(&w, a, B, 80);
	wire_run(&w, 20 * MS);
	wire_close(&w, l);
	wire_run(&w, 20 * MS);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ECONNRESET);
	wire_close(&w, a);
}

/* RFC 3168 6.1.1: both ask, or there is no ECN. */
static void test_ecn_is_agreed_on(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 4), a, b;

	(void)state;
	for (int i = 0; i < 2; i++) {
		a = wire_open(&w, A);
		bt_tcp_set(w.t, a, BERTH_TCP_ECN, i == 0 ? 2 : 1, w.now);
		wire_connect(&w, a, B, 80);
		wire_run(&w, 20 * MS);
		b = wire_accept(&w, l);
		assert_int_equal(!!(wire_conn(&w, a)->flags & CF_ECN), i);
		assert_int_equal(!!(wire_conn(&w, b)->flags & CF_ECN), i);
		bt_tcp_abort(w.t, a, w.now);
		bt_tcp_abort(w.t, b, w.now);
	}
	wire_close(&w, l);
}

/* IPv6: an MSS of 60 bytes less than the MTU, and the same else. */
static void test_ipv6(void **state)
{
	static char buf[20000];
	uint32_t a, b, l;

	(void)state;
	w.v6 = true;
	wire_pair(&w, &a, &b, &l);
	assert_int_equal(wire_conn(&w, a)->mss, 1428);
	assert_int_equal(w.last[A].s.dport, 80);
	assert_int_equal(wire_send(&w, a, buf, sizeof(buf)), sizeof(buf));
	wire_run(&w, 100 * MS);
	assert_int_equal(wire_recv(&w, b, buf, sizeof(buf)), sizeof(buf));
	close_all(a, b, l);
}

/* TCP_DEFER_ACCEPT: the program is woken by data, or when the time is over. */
static void test_defer_accept(void **state)
{
	uint32_t l = wire_listen(&w, B, 80, 4), a = wire_open(&w, A), b;
	int64_t v;

	(void)state;
	assert_int_equal(bt_tcp_set(w.t, l, BERTH_TCP_DEFER_ACCEPT, 5, w.now), 0);
	assert_int_equal(bt_tcp_get(w.t, l, BERTH_TCP_DEFER_ACCEPT, &v), 0);
	assert_int_equal(v, 7); /* 1 + 2 + 4 s, as Linux says */
	wire_connect(&w, a, B, 80);
	wire_run(&w, 500 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_int_equal(wire_accept(&w, l), BT_NO_SLOT);
	wire_send(&w, a, "x", 1);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	bt_tcp_abort(w.t, a, w.now);
	bt_tcp_abort(w.t, b, w.now);
	a = wire_open(&w, A);
	wire_connect(&w, a, B, 80);
	wire_run(&w, 6900 * MS);
	assert_int_equal(wire_accept(&w, l), BT_NO_SLOT);
	wire_run(&w, 1500 * MS);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	close_all(a, b, l);
}

/* Every option: what may be set, and what is read back; values are those that Linux takes. */
static void test_options(void **state)
{
	static const struct {
		enum berth_option option;
		int64_t first, good, bad; /* bad INT64_MIN: none */
	} o[] = {
		{BERTH_SO_KEEPALIVE, 0, 1, INT64_MIN},
		{BERTH_SO_LINGER, -1, 5, -2},
		{BERTH_SO_SNDBUF, 65536, 30000, INT64_MIN},
		{BERTH_SO_RCVBUF, 65536, 30000, INT64_MIN},
		{BERTH_SO_OOBINLINE, 0, 1, INT64_MIN},
		{BERTH_TCP_NODELAY, 0, 1, INT64_MIN},
		{BERTH_TCP_CORK, 0, 1, INT64_MIN},
		{BERTH_TCP_QUICKACK, 1, 0, INT64_MIN},
		{BERTH_TCP_MAXSEG, 536, 88, 87},
		{BERTH_TCP_KEEPIDLE, 7200, 32767, 32768},
		{BERTH_TCP_KEEPINTVL, 75, 1, 0},
		{BERTH_TCP_KEEPCNT, 9, 127, 128},
		{BERTH_TCP_SYNCNT, 6, 1, 0},
		{BERTH_TCP_LINGER2, 60, 120, INT64_MIN},
		{BERTH_TCP_DEFER_ACCEPT, 0, 1, INT64_MIN},
		{BERTH_TCP_WINDOW_CLAMP, 0, 5000, -1},
		{BERTH_TCP_USER_TIMEOUT, 0, 1000, -1},
		{BERTH_TCP_NOTSENT_LOWAT, UINT32_MAX, 1000, -1},
		{BERTH_TCP_CONGESTION, BERTH_CC_CUBIC, BERTH_CC_BBR, 3},
		{BERTH_TCP_FASTOPEN, 0, 1, -1},
		{BERTH_TCP_ECN, 2, 0, 3},
		{BERTH_IP_TTL, 64, 255, 256},
		{BERTH_IP_TOS, 0, 0x10, 256},
		{BERTH_IP_MTU_DISCOVER, 1, 0, 6},
	};
	uint32_t a = wire_open(&w, A);
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(o) / sizeof(o[0]); i++) {
		assert_int_equal(bt_tcp_get(w.t, a, o[i].option, &v), 0);
		assert_int_equal(v, o[i].first);
		if (o[i].bad != INT64_MIN)
			assert_int_equal(bt_tcp_set(w.t, a, o[i].option, o[i].bad, w.now),
					 BERTH_EINVAL);
		assert_int_equal(bt_tcp_set(w.t, a, o[i].option, o[i].good, w.now), 0);
		assert_int_equal(bt_tcp_get(w.t, a, o[i].option, &v), 0);
		assert_int_equal(v, o[i].good);
	}
	assert_int_equal(bt_tcp_set(w.t, a, BERTH_TCP_LINGER2, 1000, w.now), 0);
	assert_int_equal(bt_tcp_get(w.t, a, BERTH_TCP_LINGER2, &v), 0);
	assert_int_equal(v, 120);
	assert_int_equal(bt_tcp_set(w.t, a, BERTH_SO_BROADCAST, 1, w.now), BERTH_ENOPROTOOPT);
	assert_int_equal(bt_tcp_get(w.t, a, BERTH_IP_MTU, &v), BERTH_ENOTCONN);
	wire_close(&w, a);
}

/* The program still holds a socket that is in TIME_WAIT: it may read, and nobody takes the place.
 */
static void test_held_time_wait(void **state)
{
	uint32_t a, b, l;
	struct bt_addr x = wire_addr(A, false);
	char buf[4];

	(void)state;
	wire_pair(&w, &a, &b, &l);
	assert_int_equal(bt_tcp_shutdown(w.t, a, BERTH_SHUT_WR, w.now), 0);
	wire_run(&w, 20 * MS);
	wire_send(&w, b, "bye", 3);
	wire_close(&w, b);
	wire_run(&w, 20 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_TIME_WAIT);
	wire_run(&w, 61 * SEC);
	assert_int_equal(wire_conn(&w, a)->state, BT_CLOSE);
	assert_int_equal(bt_port_count(w.ports), 2);
	assert_int_equal(wire_recv(&w, a, buf, 4), 3);
	assert_int_equal(wire_recv(&w, a, buf, 4), 0);
	wire_close(&w, a);
	a = wire_open(&w, A); /* an address goes, and its connections with it */
	wire_connect(&w, a, B, 80);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	bt_tcp_addr_gone(w.t, A, &x, w.now);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ECONNABORTED);
	assert_int_equal(wire_conn(&w, b)->state, BT_ESTABLISHED);
	close_all(a, b, l);
}

/* connect(2) with AF_UNSPEC: the socket is as new, and may connect again, or listen. */
static void test_disconnect(void **state)
{
	uint32_t a, b, l;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	bt_tcp_disconnect(w.t, a, w.now);
	wire_run(&w, 20 * MS);
	assert_int_equal(bt_tcp_error_take(w.t, b), BERTH_ECONNRESET);
	assert_int_equal(wire_send(&w, a, "x", 1), BERTH_ENOTCONN);
	wire_close(&w, b);
	assert_int_equal(wire_connect(&w, a, B, 80), BERTH_EINPROGRESS);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	bt_tcp_disconnect(w.t, l, w.now);
	assert_int_equal(wire_accept(&w, l), BT_NO_SLOT);
	assert_int_equal(wire_conn(&w, l)->state, BT_CLOSE);
	close_all(a, b, l);
}

/* tcp_tw_reuse: connect takes over a 4-tuple in TIME_WAIT after a second. */
static void test_time_wait_reuse(void **state)
{
	uint32_t a, b, l;
	struct bt_port_conf *conf = bt_port_host_conf(w.ports, A);

	(void)state;
	conf->tw_reuse = 1;
	conf->range_lo = conf->range_hi = 40000;
	wire_pair(&w, &a, &b, &l);
	wire_close(&w, a);
	wire_run(&w, 20 * MS);
	wire_close(&w, b);
	wire_run(&w, 2 * SEC);
	assert_int_equal(bt_port_count(w.ports), 2);
	a = wire_open(&w, A);
	assert_int_equal(wire_connect(&w, a, B, 80), BERTH_EINPROGRESS);
	assert_int_equal(bt_port_count(w.ports), 2);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	assert_int_not_equal(b, BT_NO_SLOT);
	close_all(a, b, l);
}

/* An idle established connection: this, 64 bytes of the port space and its place in a hash. */
static void test_idle_connection_is_small(void **state)
{
	uint32_t a, b, l;
	char buf[4];

	(void)state;
	assert_in_range(sizeof(struct bt_conn), 1, 416);
	wire_pair(&w, &a, &b, &l);
	wire_send(&w, a, "x", 1);
	wire_run(&w, 50 * MS);
	wire_recv(&w, b, buf, 4);
	wire_run(&w, 50 * MS);
	assert_int_equal(w.t->mem.used, 64); /* the listener */
	assert_int_equal(bt_chunks_used(w.chunks), 0);
	close_all(a, b, l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_backlog),
		T(test_cookie),
		T(test_no_cookie),
		T(test_wrong_cookie),
		T(test_simultaneous_open),
		T(test_self_connect),
		T(test_syn_retries),
		T(test_syn_ack_lost),
		T(test_fast_open),
		T(test_listener_closes),
		T(test_ecn_is_agreed_on),
		T(test_defer_accept),
		T(test_options),
		T(test_held_time_wait),
		T(test_ipv6),
		T(test_disconnect),
		T(test_time_wait_reuse),
		T(test_idle_connection_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

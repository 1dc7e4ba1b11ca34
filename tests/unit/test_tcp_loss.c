/* SPDX-License-Identifier: Apache-2.0 */
/* Retransmission, flow control and timers: RFC 6298, 8985, 2018, 6582, 9293 3.8. */
#include "tcp_test.h"

static uint8_t data[200000];

/* Loses the data segments of A whose numbers (from 1) are bits of the mask. */
struct losing {
	uint64_t mask;
	unsigned n;
};

static bool lose(struct wire *x, struct frame *f)
{
	struct losing *l = x->arg;

	if (f->from != A || f->len <= f->s.header_len)
		return true;
	l->n++;
	return l->n > 63 || !(l->mask >> l->n & 1);
}

static size_t drain(uint32_t b)
{
	static uint8_t buf[65536];
	size_t got = 0;
	int64_t n;

	while ((n = wire_recv(&w, b, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	return got;
}

/* A warm connection: round trip measured, ten segments may fly. */
static void warm(uint32_t *a, uint32_t *b, uint32_t *l)
{
	wire_pair(&w, a, b, l);
	for (int i = 0; i < 3; i++) {
		wire_send(&w, *a, data, 1000);
		wire_run(&w, 100 * MS);
	}
	drain(*b);
}

/* RFC 8985: one lost of ten is found by SACK within a round trip, and is alone sent again. */
static void test_sack_recovery(void **state)
{
	uint32_t a, b, l;
	struct losing x = {1 << 2, 0};
	struct berth_tcp_info i;

	(void)state;
	warm(&a, &b, &l);
	w.rule = lose;
	w.arg = &x;
	wire_send(&w, a, data, 14480);
	wire_run(&w, 35 * MS);
	assert_int_equal(drain(b), 14480);
	bt_tcp_info(w.t, a, &i);
	assert_int_equal(i.total_retrans, 1);
	assert_int_equal(i.bytes_retrans, 1448);
	close_all(a, b, l);
}

/* RFC 8985 7: the last two lost are probed for after two round trips, long before the time-out. */
static void test_tail_loss_probe(void **state)
{
	uint32_t a, b, l;
	struct losing x = {1 << 9 | 1 << 10, 0};

	(void)state;
	warm(&a, &b, &l);
	w.rule = lose;
	w.arg = &x;
	wire_send(&w, a, data, 14480);
	wire_run(&w, 100 * MS);
	assert_int_equal(drain(b), 14480);
	assert_int_equal(wire_conn(&w, a)->retransmits, 0);
	close_all(a, b, l);
}

static bool lose_all(struct wire *x, struct frame *f)
{
	(void)x, (void)f;
	return false;
}

/* RFC 6298 5.5: each time-out doubles; RFC 9293 MUST-20: at last the connection ends. */
static void test_rto_backoff(void **state)
{
	uint32_t a, b, l;
	uint64_t n;
	uint32_t rto;

	(void)state;
	warm(&a, &b, &l);
	w.rule = lose_all;
	wire_send(&w, a, data, 100);
	wire_run(&w, 300 * MS); /* the probe, which is no time-out */
	while (wire_conn(&w, a)->retransmits == 0)
		wire_run(&w, 10 * MS);
	rto = wire_conn(&w, a)->rto;
	n = w.n_sent;
	wire_run(&w, (uint64_t)rto * 2000 - 20 * MS);
	assert_int_equal(w.n_sent, n);
	wire_run(&w, 20 * MS);
	assert_int_equal(w.n_sent, n + 1);
	wire_run(&w, (uint64_t)rto * 4000 - 20 * MS);
	assert_int_equal(w.n_sent, n + 1);
	wire_run(&w, 1200 * SEC);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ETIMEDOUT);
	assert_int_equal(wire_conn(&w, a)->state, BT_CLOSE);
	w.rule = NULL;
	close_all(a, b, l);
}

/* RFC 5482, TCP_USER_TIMEOUT */
static void test_user_timeout(void **state)
{
	uint32_t a, b, l;

	(void)state;
	warm(&a, &b, &l);
	assert_int_equal(bt_tcp_set(w.t, a, BERTH_TCP_USER_TIMEOUT, 3000, w.now), 0);
	w.rule = lose_all;
	wire_send(&w, a, data, 100);
	wire_run(&w, 2500 * MS);
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	wire_run(&w, 1500 * MS);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ETIMEDOUT);
	w.rule = NULL;
	close_all(a, b, l);
}

/* The path stands still for a while. */
static bool delay_once(struct wire *x, struct frame *f)
{
	uint64_t *until = x->arg;

	if (f->at_ns < *until)
		f->at_ns = *until;
	return true;
}

/* RFC 3522: a time-out that was for nothing is taken back. */
static void test_spurious_timeout(void **state)
{
	uint32_t a, b, l, before;
	uint64_t until;

	(void)state;
	warm(&a, &b, &l);
	wire_send(&w, a, data, 14480);
	wire_run(&w, 50 * MS);
	before = wire_conn(&w, a)->cc.cwnd;
	until = w.now + 600 * MS;
	w.rule = delay_once;
	w.arg = &until;
	wire_send(&w, a, data, 14480);
	wire_run(&w, 2 * SEC);
	assert_int_equal(drain(b), 14480 * 2);
	assert_true(wire_conn(&w, a)->again > 0);
	assert_true(wire_conn(&w, a)->cc.cwnd >= before);
	close_all(a, b, l);
}

/* RFC 6582: a peer without SACK; three duplicates, then one loss for each partial ACK. */
static void test_newreno(void **state)
{
	uint32_t a, b, l;
	struct losing x = {1 << 2 | 1 << 5, 0};

	(void)state;
	warm(&a, &b, &l);
	wire_conn(&w, a)->flags &= ~(uint32_t)CF_SACK;
	wire_conn(&w, b)->flags &= ~(uint32_t)CF_SACK;
	w.rule = lose;
	w.arg = &x;
	wire_send(&w, a, data, 14480);
	wire_run(&w, 100 * MS);
	assert_int_equal(drain(b), 14480);
	assert_int_equal(wire_conn(&w, a)->retransmits, 0);
	assert_int_equal(wire_conn(&w, a)->again, 2);
	close_all(a, b, l);
}

/* RFC 2883: what comes twice is said once. RFC 8985: the window for reordering grows by it. */
static void test_dsack(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;

	(void)state;
	warm(&a, &b, &l);
	s = wire_next(&w, b, BT_ACK);
	s.seq = bt_seq(s.seq.n - 1000);
	s.ack = wire_conn(&w, b)->snd_una;
	wire_inject(&w, b, &s, data, 1000);
	wire_run(&w, 1);
	assert_int_equal(w.last[B].s.n_sack, 1);
	assert_int_equal(w.last[B].s.sack[0].start.n, s.seq.n);
	assert_int_equal(w.last[B].s.sack[0].end.n, s.seq.n + 1000);
	s.seq = wire_conn(&w, b)->rcv_nxt;
	wire_inject(&w, b, &s, data, 10);
	wire_run(&w, 50 * MS);
	assert_int_equal(w.last[B].s.n_sack, 0);
	close_all(a, b, l);
}

/* RFC 2018 4: the block that came last is the first one said. */
static void test_sack_order(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s, first;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	first = s = wire_next(&w, b, BT_ACK);
	for (uint32_t i = 1; i < 4; i++) {
		s.seq = bt_seq_add(first.seq, i * 1000);
		wire_inject(&w, b, &s, data, 500);
		wire_run(&w, 1);
		assert_int_equal(w.last[B].s.n_sack, i);
		for (uint32_t k = 0; k < i; k++)
			assert_int_equal(w.last[B].s.sack[k].start.n - first.seq.n, (i - k) * 1000);
	}
	close_all(a, b, l);
}

/* RFC 9293 3.8.6.1: a shut window is probed, ever more seldom, and the connection stays open. */
static void test_zero_window(void **state)
{
	uint32_t a, b, l;
	size_t sent = 0;
	int64_t n;
	uint64_t before;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	assert_int_equal(bt_tcp_set(w.t, b, BERTH_SO_RCVBUF, 20000, w.now), 0);
	for (int i = 0; i < 20; i++) {
		while ((n = wire_send(&w, a, data, 10000)) > 0)
			sent += (size_t)n;
		wire_run(&w, 100 * MS);
	}
	assert_int_equal(wire_conn(&w, a)->snd_wnd, 0);
	assert_true(sent > 20000);
	before = w.n_sent;
	wire_run(&w, 3600 * SEC); /* MUST-37: as long as it answers */
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	assert_in_range(w.n_sent - before, 50, 120);
	for (size_t got = 0; got < sent;) {
		got += drain(b);
		wire_run(&w, 50 * MS);
	}
	close_all(a, b, l);
}

static bool no_windows(struct wire *x, struct frame *f)
{
	return f->from != *(int *)x->arg || f->s.window == 0;
}

/* The window update is lost: the probe finds the window open. */
static void test_lost_window_update(void **state)
{
	uint32_t a, b, l;
	int host = B;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	bt_tcp_set(w.t, b, BERTH_SO_RCVBUF, 20000, w.now);
	for (int i = 0; i < 20; i++) {
		wire_send(&w, a, data, 10000);
		wire_run(&w, 100 * MS);
	}
	assert_int_equal(wire_conn(&w, a)->snd_wnd, 0);
	w.rule = no_windows;
	w.arg = &host;
	assert_true(drain(b) > 0);
	wire_run(&w, 1);
	w.rule = NULL;
	wire_run(&w, 200 * SEC);
	assert_true(drain(b) > 0);
	close_all(a, b, l);
}

/* RFC 9293 3.8.6.2.2: a reader of single bytes opens the window in whole segments only. */
static void test_no_silly_windows(void **state)
{
	uint32_t a, b, l;
	char c;
	uint64_t n;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	bt_tcp_set(w.t, b, BERTH_SO_RCVBUF, 20000, w.now);
	for (int i = 0; i < 20; i++) {
		wire_send(&w, a, data, 10000);
		wire_run(&w, 100 * MS);
	}
	n = w.n_sent;
	for (int i = 0; i < 1000; i++) {
		wire_recv(&w, b, &c, 1);
		wire_flush(&w);
	}
	assert_int_equal(w.n_sent, n);
	close_all(a, b, l);
}

/* RFC 9293 3.7.4, MUST-17: small pieces wait for the ACK of an earlier one, unless TCP_NODELAY. */
static void test_nagle(void **state)
{
	uint32_t a, b, l;
	uint64_t n;

	(void)state;
	warm(&a, &b, &l);
	for (int nodelay = 0; nodelay < 2; nodelay++) {
		bt_tcp_set(w.t, a, BERTH_TCP_NODELAY, nodelay, w.now);
		wire_run(&w, 200 * MS);
		n = w.n_sent;
		for (int i = 0; i < 5; i++) {
			wire_send(&w, a, "x", 1);
			wire_flush(&w);
		}
		assert_int_equal(w.n_sent - n, nodelay ? 5 : 1);
		wire_run(&w, 200 * MS);
	}
	assert_int_equal(drain(b), 10);
	/* TCP_CORK: nothing for 200 ms, then all */
	bt_tcp_set(w.t, a, BERTH_TCP_CORK, 1, w.now);
	n = w.n_bytes;
	wire_send(&w, a, "xx", 2);
	wire_run(&w, 190 * MS);
	assert_int_equal(w.n_bytes, n);
	wire_run(&w, 20 * MS);
	assert_int_equal(w.n_bytes, n + 2);
	wire_send(&w, a, "xx", 2);
	wire_run(&w, 50 * MS);
	assert_int_equal(w.n_bytes, n + 2);
	bt_tcp_set(w.t, a, BERTH_TCP_CORK, 0, w.now); /* pulled: at once */
	wire_flush(&w);
	assert_int_equal(w.n_bytes, n + 4);
	close_all(a, b, l);
}

/* RFC 9293 3.7.4: the first small piece of a connection follows a full segment at once, whatever
 * the initial sequence number is: over five minutes their clock goes all the way round. */
static void test_nagle_first(void **state)
{
	static const char zeros[1500];

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint32_t a, b, l, len;
		uint64_t n;

		wire_pair(&w, &a, &b, &l);
		len = wire_conn(&w, a)->mss + 10u;
		n = w.n_bytes;
		wire_send(&w, a, zeros, len);
		wire_flush(&w);
		assert_int_equal(w.n_bytes - n, len);
		close_all(a, b, l);
		wire_run(&w, 30 * SEC);
	}
}

/* RFC 9293 3.8.6.3, MUST-40: an ACK is delayed, by less than half a second, and for every second
 * full segment there is one (SHLD-19). */
static void test_delayed_ack(void **state)
{
	uint32_t a, b, l;
	struct bt_tcp_seg s;
	uint64_t n;

	(void)state;
	warm(&a, &b, &l);
	wire_conn(&w, b)->quick = 0;
	s = wire_next(&w, b, BT_ACK);
	n = w.n_sent;
	wire_inject(&w, b, &s, data, 1448);
	wire_run(&w, 39 * MS);
	assert_int_equal(w.n_sent, n);
	wire_run(&w, 2 * MS);
	assert_int_equal(w.n_sent, n + 1);
	s.seq = bt_seq_add(s.seq, 1448);
	wire_inject(&w, b, &s, data, 1448);
	wire_flush(&w);
	assert_int_equal(w.n_sent, n + 1);
	s.seq = bt_seq_add(s.seq, 1448);
	wire_inject(&w, b, &s, data, 1448);
	wire_flush(&w);
	assert_int_equal(w.n_sent, n + 2);
	close_all(a, b, l);
}

/* RFC 9293 3.8.4 (MUST-24, MUST-25): off by default; else probes after keepidle, and an end. */
static void test_keepalive(void **state)
{
	uint32_t a, b, l;
	uint64_t n;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	wire_run(&w, SEC);
	n = w.n_sent;
	wire_run(&w, 10000 * SEC);
	assert_int_equal(w.n_sent, n);
	bt_tcp_set(w.t, a, BERTH_TCP_KEEPIDLE, 10, w.now);
	bt_tcp_set(w.t, a, BERTH_TCP_KEEPINTVL, 2, w.now);
	bt_tcp_set(w.t, a, BERTH_TCP_KEEPCNT, 3, w.now);
	bt_tcp_set(w.t, a, BERTH_SO_KEEPALIVE, 1, w.now);
	wire_run(&w, 101 * SEC);
	assert_in_range(w.n_sent - n, 18, 22); /* ten probes and their answers */
	assert_int_equal(wire_conn(&w, a)->state, BT_ESTABLISHED);
	w.rule = lose_all;
	wire_run(&w, 20 * SEC);
	assert_int_equal(bt_tcp_error_take(w.t, a), BERTH_ETIMEDOUT);
	w.rule = NULL;
	close_all(a, b, l);
}

/* An orphan in FIN_WAIT2 goes after TCP_LINGER2. */
static void test_fin_wait2(void **state)
{
	uint32_t a, b, l;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	bt_tcp_set(w.t, a, BERTH_TCP_LINGER2, 5, w.now);
	wire_close(&w, a);
	wire_run(&w, 4 * SEC);
	assert_int_equal(wire_conn(&w, a)->state, BT_FIN_WAIT2);
	wire_run(&w, 2 * SEC);
	assert_int_equal(bt_port_count(w.ports), 2);
	wire_close(&w, b);
	wire_close(&w, l);
}

/* SO_LINGER of 0: a reset, no TIME_WAIT. */
static void test_linger_zero(void **state)
{
	uint32_t a, b, l;

	(void)state;
	wire_pair(&w, &a, &b, &l);
	bt_tcp_set(w.t, a, BERTH_SO_LINGER, 0, w.now);
	wire_close(&w, a);
	assert_int_equal(bt_port_count(w.ports), 2);
	wire_run(&w, 20 * MS);
	assert_int_equal(bt_tcp_error_take(w.t, b), BERTH_ECONNRESET);
	wire_close(&w, b);
	wire_close(&w, l);
}

static bool mark_ce(struct wire *x, struct frame *f)
{
	unsigned *left = x->arg;

	if ((f->tos & 3) == 2 && *left > 0 && (*left)--)
		f->tos |= 3;
	return true;
}

/* RFC 3168 6.1.2, 6.1.3: CE is echoed until CWR; the sender reacts once for a window. */
static void test_ecn(void **state)
{
	uint32_t a, b, l = wire_listen(&w, B, 80, 4), cwnd;
	unsigned left = 1;

	(void)state;
	a = wire_open(&w, A);
	bt_tcp_set(w.t, a, BERTH_TCP_ECN, 1, w.now);
	bt_tcp_set(w.t, a, BERTH_TCP_CONGESTION, BERTH_CC_RENO, w.now);
	wire_connect(&w, a, B, 80);
	wire_run(&w, 20 * MS);
	b = wire_accept(&w, l);
	cwnd = wire_conn(&w, a)->cc.cwnd;
	w.rule = mark_ce;
	w.arg = &left;
	wire_send(&w, a, data, 14480);
	wire_run(&w, 60 * MS);
	assert_int_equal(left, 0);
	assert_true(wire_conn(&w, a)->cc.cwnd < cwnd);
	wire_send(&w, a, data, 100);
	wire_run(&w, 60 * MS);
	assert_false(wire_conn(&w, b)->flags & CF_ECE); /* CWR has come */
	assert_int_equal(wire_conn(&w, a)->again, 0);
	close_all(a, b, l);
}

/* Dynamic right-sizing: on a path of 100 ms the windows open, and the rate with them. */
static void test_windows_grow(void **state)
{
	uint32_t a, b, l;
	size_t got = 0;

	(void)state;
	w.delay = 50 * MS;
	wire_pair(&w, &a, &b, &l);
	for (int i = 0; i < 4000; i++) {
		while (wire_send(&w, a, data, sizeof(data)) > 0)
			;
		wire_run(&w, MS);
		got += drain(b);
	}
	assert_true(wire_conn(&w, b)->rcvbuf > 1000000);
	assert_true(wire_conn(&w, a)->sndbuf > 1000000);
	assert_true(got > 20000000); /* 65,535 bytes a round trip would be 2.6 MB */
	close_all(a, b, l);
}

/* RFC 1191: the path narrows; what was sent too large is sent again, smaller. */
static void test_path_mtu(void **state)
{
	uint32_t a, b, l;

	(void)state;
	warm(&a, &b, &l);
	wire_send(&w, a, data, 10000);
	w.mtu = 1000;
	w.generation++;
	wire_send(&w, a, data, 10000);
	wire_run(&w, SEC);
	assert_int_equal(drain(b), 20000);
	assert_int_equal(wire_conn(&w, a)->mss, 948);
	close_all(a, b, l);
}

/* Ways may go; the connection lives on by time-outs. */
static void test_no_path(void **state)
{
	uint32_t a, b, l;

	(void)state;
	warm(&a, &b, &l);
	w.no_path = true;
	w.generation++;
	w.rule = lose_all;
	wire_send(&w, a, data, 1000);
	wire_run(&w, SEC);
	w.no_path = false;
	w.generation++;
	w.rule = NULL;
	wire_run(&w, 5 * SEC);
	assert_int_equal(drain(b), 1000);
	close_all(a, b, l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sack_recovery),
		T(test_tail_loss_probe),
		T(test_rto_backoff),
		T(test_user_timeout),
		T(test_spurious_timeout),
		T(test_newreno),
		T(test_dsack),
		T(test_sack_order),
		T(test_zero_window),
		T(test_lost_window_update),
		T(test_no_silly_windows),
		T(test_nagle),
		T(test_nagle_first),
		T(test_delayed_ack),
		T(test_keepalive),
		T(test_fin_wait2),
		T(test_linger_zero),
		T(test_ecn),
		T(test_windows_grow),
		T(test_path_mtu),
		T(test_no_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

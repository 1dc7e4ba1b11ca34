/* SPDX-License-Identifier: Apache-2.0 */
/* The public API of the engine: handles, misuse, events, streams, options, counters. */
#include "engine_test.h"

static void no_events(void)
{
	struct berth_event e;

	while (berth_event(w.b, &e))
		;
}

/* The next event is of s, with at least those bits. */
static void expect(berth_socket s, uint32_t what)
{
	struct berth_event e;

	assert_true(berth_event(w.b, &e));
	assert_int_equal(e.socket, s);
	assert_int_equal(e.what & what, what);
}

/* ---- handles ---- */

/* Every function that takes a handle, with one that is not live: BERTH_EBADF, and no effect. */
static void all_are_ebadf(berth_socket s)
{
	struct berth_endpoint e = at(v4(10, 0, 0, 1), 80);
	struct berth_addr group = v4(224, 0, 0, 5);
	struct berth_tcp_info info;
	berth_socket other = 7;
	char data[4] = "abc";
	struct iovec part;
	unsigned parts = 1;
	int64_t value = 5;
	uint32_t n = berth_sockets(w.b);

	assert_int_equal(berth_bind(w.b, s, &e, w.now), BERTH_EBADF);
	assert_int_equal(berth_listen(w.b, s, 1, w.now), BERTH_EBADF);
	assert_int_equal(berth_connect(w.b, s, &e, w.now), BERTH_EBADF);
	assert_int_equal(berth_accept(w.b, s, &other, w.now), BERTH_EBADF);
	assert_int_equal(berth_send(w.b, s, data, 3, 0, w.now), BERTH_EBADF);
	assert_int_equal(berth_send_room(w.b, s, &part, &parts, 4), BERTH_EBADF);
	assert_int_equal(berth_send_filled(w.b, s, 1, w.now), BERTH_EBADF);
	assert_int_equal(berth_recv(w.b, s, data, 3, 0, w.now), BERTH_EBADF);
	assert_int_equal(berth_recv_data(w.b, s, &part, &parts), BERTH_EBADF);
	assert_int_equal(berth_recv_done(w.b, s, 1, w.now), BERTH_EBADF);
	assert_int_equal(berth_send_to(w.b, s, data, 3, &e, w.now), BERTH_EBADF);
	assert_int_equal(berth_recv_from(w.b, s, data, 3, NULL, 0, w.now), BERTH_EBADF);
	assert_int_equal(berth_shutdown(w.b, s, BERTH_SHUT_WR, w.now), BERTH_EBADF);
	assert_int_equal(berth_close(w.b, s, w.now), BERTH_EBADF);
	assert_int_equal(berth_abort(w.b, s, w.now), BERTH_EBADF);
	assert_int_equal(berth_error_take(w.b, s), BERTH_EBADF);
	assert_int_equal(berth_name(w.b, s, &e, NULL), BERTH_EBADF);
	assert_int_equal(berth_ready(w.b, s), BERTH_EBADF);
	assert_int_equal(berth_set(w.b, s, BERTH_SO_REUSEADDR, 1, w.now), BERTH_EBADF);
	assert_int_equal(berth_get(w.b, s, BERTH_SO_REUSEADDR, &value), BERTH_EBADF);
	assert_int_equal(berth_join(w.b, s, &group, 0, w.now), BERTH_EBADF);
	assert_int_equal(berth_leave(w.b, s, &group, 0, w.now), BERTH_EBADF);
	assert_int_equal(berth_tcp_info(w.b, s, &info), BERTH_EBADF);
	berth_set_user(w.b, s, 1);
	assert_int_equal(other, 7);
	assert_int_equal(parts, 1);
	assert_int_equal(value, 5);
	assert_memory_equal(data, "abc", 4);
	assert_int_equal(berth_sockets(w.b), n);
}

static void test_stale_handles(void **state)
{
	static const enum berth_type types[] = {BERTH_TCP, BERTH_UDP, BERTH_PING};

	(void)state;
	all_are_ebadf(0);
	all_are_ebadf(1);
	all_are_ebadf((berth_socket)1 << 32);
	all_are_ebadf(UINT64_MAX);
	for (unsigned k = 0; k < 3; k++) {
		berth_socket s = open_socket(&w, 0, types[k], 4), again;

		all_are_ebadf(s + ((berth_socket)1 << 32));
		assert_int_equal(berth_close(w.b, s, w.now), 0);
		all_are_ebadf(s);
		/* Whoever gets the slot next is not meant by the old handle. */
		again = open_socket(&w, 0, types[k], 4);
		all_are_ebadf(s);
		assert_int_equal(berth_close(w.b, again, w.now), 0);
	}
}

/* A slot comes round again: 2,000 slots, of which each rests for a while. */
static void test_handles_are_not_used_again(void **state)
{
	berth_socket first = open_socket(&w, 0, BERTH_UDP, 4), s;

	(void)state;
	assert_int_equal(berth_close(w.b, first, w.now), 0);
	for (int i = 0; i < 10000; i++) {
		s = open_socket(&w, 0, BERTH_UDP, 4);
		assert_true(s != first);
		assert_int_equal(berth_ready(w.b, first), BERTH_EBADF);
		assert_int_equal(berth_close(w.b, s, w.now), 0);
	}
}

static void test_socket_limit(void **state)
{
	static berth_socket all[2000];
	berth_socket one = 9;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		all[i] = open_socket(&w, 0, BERTH_UDP, 4);
	assert_int_equal(berth_open(w.b, 0, BERTH_TCP, 4, &one), BERTH_ENFILE);
	assert_int_equal(one, 9);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(berth_close(w.b, all[i], w.now), 0);
}

/* ---- misuse ---- */

static void test_null_and_ranges(void **state)
{
	struct berth_if_config link = {.mtu = 1500};
	struct berth_addr a = v4(10, 0, 0, 9), any = v4(0, 0, 0, 0);
	struct berth_endpoint e = at(a, 1);
	berth_socket s;

	(void)state;
	assert_null(berth_new(NULL));
	berth_free(NULL);
	assert_int_equal(berth_host_add(NULL), BERTH_EINVAL);
	assert_int_equal(berth_if_add(w.b, 77, &link), BERTH_EINVAL);
	assert_int_equal(berth_if_add(w.b, 0, NULL), BERTH_EINVAL);
	link.mtu = 10;
	assert_int_equal(berth_if_add(w.b, 0, &link), BERTH_EINVAL);
	link.mtu = 70000;
	assert_int_equal(berth_if_set(w.b, w.end[0], &link), BERTH_EINVAL);
	assert_int_equal(berth_if_set(w.b, 999, &link), BERTH_EINVAL);
	assert_int_equal(berth_addr_add(w.b, w.end[0], &a, 33), BERTH_EINVAL);
	assert_int_equal(berth_addr_add(w.b, 999, &a, 24), BERTH_EINVAL);
	assert_int_equal(berth_addr_add(w.b, w.end[0], NULL, 24), BERTH_EINVAL);
	assert_int_equal(berth_addr_del(w.b, w.end[0], NULL), BERTH_EINVAL);
	assert_true(berth_addr_del(w.b, w.end[0], &a) < 0);
	a = v4(10, 0, 0, 2);
	assert_int_equal(berth_addr_add(w.b, w.end[0], &a, 24), BERTH_EEXIST);
	assert_int_equal(berth_route_add(w.b, 0, &any, 0, NULL, 0, 0), BERTH_EINVAL);
	assert_int_equal(berth_route_add(w.b, 0, &any, 0, NULL, w.end[1], 0), BERTH_EINVAL);
	assert_int_equal(berth_route_add(w.b, 0, &any, 33, &a, 0, 0), BERTH_EINVAL);
	assert_true(berth_route_del(w.b, 0, &any, 0) < 0);
	assert_int_equal(berth_forwarding(w.b, 77, true), BERTH_EINVAL);
	assert_int_equal(berth_open(w.b, 77, BERTH_TCP, 4, &s), BERTH_EINVAL);
	assert_int_equal(berth_open(w.b, 0, BERTH_TCP, 5, &s), BERTH_EINVAL);
	assert_int_equal(berth_open(w.b, 0, (enum berth_type)9, 4, &s), BERTH_EINVAL);
	assert_int_equal(berth_open(w.b, 0, BERTH_TCP, 4, NULL), BERTH_EINVAL);
	assert_int_equal(berth_bind(NULL, 1, &e, 0), BERTH_EINVAL);
	assert_false(berth_event(w.b, NULL));
	assert_false(berth_event(NULL, NULL));
	assert_int_equal(berth_output(NULL, NULL, 0, 0), 0);
	assert_int_equal(berth_output(w.b, NULL, 5, 0), 0);
	assert_int_equal(berth_deadline(NULL), UINT64_MAX);
	berth_advance(NULL, 0);
	berth_input(NULL, 0, NULL, 0, 0);
	berth_input(w.b, w.end[0], NULL, 100, w.now);
	berth_input(w.b, 999, &e, sizeof(e), w.now);
	assert_int_equal(berth_drops(w.b, 99, BERTH_DROP_IP_SHORT), 0);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROPS), 0);
	assert_null(berth_drop_name(BERTH_DROPS));
	assert_string_equal(berth_drop_name(BERTH_DROP_IP_SHORT), "IP_SHORT");
	assert_null(berth_strerror(1));
	assert_non_null(berth_strerror(BERTH_EHOSTUNREACH));
	assert_int_equal(berth_host_set(w.b, 99, BERTH_TCP_NODELAY, 1), BERTH_EINVAL);
	assert_int_equal(berth_host_set(w.b, 0, (enum berth_option)999, 1), BERTH_ENOPROTOOPT);
	assert_int_equal(berth_host_set(w.b, 0, BERTH_TCP_CONGESTION, 99), BERTH_EINVAL);
}

static void test_wrong_kind_or_state(void **state)
{
	berth_socket t = open_socket(&w, 0, BERTH_TCP, 4), u = open_socket(&w, 0, BERTH_UDP, 4), s;
	struct berth_endpoint e = at(v4(10, 0, 0, 2), 9), six = at(v6(2), 9);
	struct berth_addr group = v4(224, 0, 0, 5);
	struct berth_tcp_info info;
	struct iovec part;
	unsigned parts = 0;
	int64_t value;
	char c = 0;

	(void)state;
	assert_int_equal(berth_bind(w.b, t, NULL, w.now), BERTH_EINVAL);
	assert_int_equal(berth_bind(w.b, t, &e, w.now), BERTH_EADDRNOTAVAIL);
	assert_int_equal(berth_bind(w.b, t, &six, w.now), BERTH_EAFNOSUPPORT);
	assert_int_equal(berth_connect(w.b, t, &six, w.now), BERTH_EAFNOSUPPORT);
	assert_int_equal(berth_accept(w.b, t, &s, w.now), BERTH_EINVAL);
	assert_int_equal(berth_accept(w.b, t, NULL, w.now), BERTH_EINVAL);
	assert_int_equal(berth_accept(w.b, u, &s, w.now), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_listen(w.b, u, 1, w.now), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_send(w.b, u, "x", 1, 0, w.now), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_recv(w.b, u, &c, 1, 0, w.now), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_send_to(w.b, t, "x", 1, &e, w.now), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_recv_from(w.b, t, &c, 1, NULL, 0, w.now), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_tcp_info(w.b, u, &info), BERTH_EOPNOTSUPP);
	assert_int_equal(berth_tcp_info(w.b, t, NULL), BERTH_EINVAL);
	assert_int_equal(berth_send(w.b, t, "x", 1, 0, w.now), BERTH_ENOTCONN);
	assert_int_equal(berth_send(w.b, t, NULL, 1, 0, w.now), BERTH_EINVAL);
	assert_int_equal(berth_send(w.b, t, "x", 1, 1u << 20, w.now), BERTH_EINVAL);
	assert_int_equal(berth_recv(w.b, t, &c, 1, 0, w.now), BERTH_ENOTCONN);
	assert_int_equal(berth_recv(w.b, t, NULL, 1, 0, w.now), BERTH_EINVAL);
	assert_int_equal(berth_send_room(w.b, t, &part, &parts, 5), BERTH_EINVAL);
	parts = BERTH_PARTS + 1;
	assert_int_equal(berth_send_room(w.b, t, &part, &parts, 5), BERTH_EINVAL);
	parts = 1;
	assert_int_equal(berth_send_room(w.b, t, &part, &parts, 0), BERTH_EINVAL);
	assert_int_equal(berth_send_room(w.b, t, &part, &parts, 5), BERTH_ENOTCONN);
	assert_int_equal(berth_send_room(w.b, t, NULL, &parts, 5), BERTH_EINVAL);
	assert_int_equal(berth_send_filled(w.b, t, 1, w.now), BERTH_ENOTCONN);
	assert_int_equal(berth_recv_data(w.b, t, &part, &parts), BERTH_ENOTCONN);
	assert_int_equal(berth_recv_data(w.b, t, NULL, &parts), BERTH_EINVAL);
	assert_int_equal(berth_recv_done(w.b, t, 1, w.now), BERTH_EINVAL);
	assert_int_equal(berth_shutdown(w.b, t, BERTH_SHUT_WR, w.now), BERTH_ENOTCONN);
	assert_int_equal(berth_shutdown(w.b, t, (enum berth_shut)7, w.now), BERTH_EINVAL);
	assert_int_equal(berth_name(w.b, t, NULL, &e), BERTH_ENOTCONN);
	assert_int_equal(berth_name(w.b, u, NULL, &e), BERTH_ENOTCONN);
	assert_int_equal(berth_join(w.b, t, &group, 0, w.now), BERTH_EPROTO);
	assert_int_equal(berth_join(w.b, u, NULL, 0, w.now), BERTH_EINVAL);
	assert_int_equal(berth_set(w.b, t, (enum berth_option)999, 1, w.now), BERTH_ENOPROTOOPT);
	assert_int_equal(berth_set(w.b, u, BERTH_TCP_NODELAY, 1, w.now), BERTH_ENOPROTOOPT);
	assert_int_equal(berth_set(w.b, t, BERTH_SO_BINDTODEVICE, w.end[1], w.now), BERTH_EINVAL);
	assert_int_equal(berth_set(w.b, t, BERTH_IPV6_V6ONLY, 1, w.now), BERTH_ENOPROTOOPT);
	assert_int_equal(berth_get(w.b, t, BERTH_IP_TTL, NULL), BERTH_EINVAL);
	assert_int_equal(berth_get(w.b, u, BERTH_TCP_NODELAY, &value), BERTH_ENOPROTOOPT);
	assert_int_equal(berth_get(w.b, t, BERTH_IP_MTU, &value), BERTH_ENOTCONN);
	assert_int_equal(berth_close(w.b, t, w.now), 0);
	assert_int_equal(berth_close(w.b, u, w.now), 0);
}

/* errno of connect(2) and bind(2) on Linux */
static void test_where_there_is_no_way(void **state)
{
	struct berth_endpoint far = at(v4(192, 0, 2, 1), 80), group = at(v4(224, 0, 0, 5), 80);
	struct berth_endpoint all = at(v4(10, 0, 0, 255), 80), web = at(v4(10, 0, 0, 1), 80);
	berth_socket t = open_socket(&w, 1, BERTH_TCP, 4), u = open_socket(&w, 1, BERTH_UDP, 4);

	(void)state;
	assert_int_equal(berth_connect(w.b, t, &far, w.now), BERTH_ENETUNREACH);
	assert_int_equal(berth_connect(w.b, t, &group, w.now), BERTH_ENETUNREACH);
	assert_int_equal(berth_connect(w.b, t, &all, w.now), BERTH_ENETUNREACH);
	assert_int_equal(berth_connect(w.b, u, &far, w.now), BERTH_ENETUNREACH);
	assert_int_equal(berth_connect(w.b, u, &all, w.now), BERTH_EACCES);
	assert_int_equal(berth_send_to(w.b, u, "x", 1, &far, w.now), BERTH_ENETUNREACH);
	assert_int_equal(berth_send_to(w.b, u, "x", 1, NULL, w.now), BERTH_EDESTADDRREQ);
	/* Nobody listens: a reset comes back. */
	assert_int_equal(berth_connect(w.b, t, &web, w.now), BERTH_EINPROGRESS);
	assert_int_equal(berth_connect(w.b, t, &web, w.now), BERTH_EALREADY);
	settle(&w);
	expect(t, BERTH_ERROR | BERTH_ENDED);
	assert_int_equal(berth_error_take(w.b, t), BERTH_ECONNREFUSED);
	assert_int_equal(berth_error_take(w.b, t), 0);
	/* and it may be tried again */
	assert_int_equal(berth_connect(w.b, t, &web, w.now), BERTH_EINPROGRESS);
	assert_int_equal(berth_close(w.b, t, w.now), 0);
	assert_int_equal(berth_close(w.b, u, w.now), 0);
}

/* ---- streams and events ---- */

static void test_stream(void **state)
{
	static char data[100000], got[100000];
	berth_socket l, c, s;
	struct berth_event e;
	struct berth_tcp_info info;
	struct berth_endpoint here, there;
	size_t sent = 0, received = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 251);
	connect_pair(&l, &c, &s);
	berth_set_user(w.b, s, 4711);
	no_events();
	assert_int_equal(berth_connect(w.b, c, NULL, w.now) < 0, 0);
	assert_int_equal(berth_close(w.b, s, w.now), 0);
	assert_int_equal(berth_close(w.b, c, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
	run(&w, w.now + 200 * S);
	connect_pair(&l, &c, &s);
	berth_set_user(w.b, s, 4711);
	no_events();
	assert_int_equal(berth_name(w.b, c, &here, &there), 0);
	assert_int_equal(there.port, 80);
	assert_int_equal(berth_name(w.b, s, &there, NULL), 0);
	assert_int_equal(there.port, 80);
	while (received < sizeof(data)) {
		int64_t n = berth_send(w.b, c, data + sent, sizeof(data) - sent, 0, w.now);

		if (n > 0)
			sent += (size_t)n;
		run(&w, w.now + MS);
		while ((n = berth_recv(w.b, s, got + received, 3000, 0, w.now)) > 0)
			received += (size_t)n;
		assert_int_equal(n, BERTH_EAGAIN);
	}
	assert_memory_equal(got, data, sizeof(data));
	assert_int_equal(berth_tcp_info(w.b, s, &info), 0);
	assert_int_equal(info.bytes_received, sizeof(data));
	no_events();
	assert_int_equal(berth_send(w.b, c, "x", 1, 0, w.now), 1);
	run(&w, w.now + MS);
	assert_true(berth_event(w.b, &e));
	assert_int_equal(e.socket, s);
	assert_int_equal(e.user, 4711);
	assert_true(e.what & BERTH_READABLE);
	assert_false(berth_event(w.b, &e)); /* told once */
	assert_int_equal(berth_ready(w.b, s) & BERTH_READABLE, BERTH_READABLE);
	assert_int_equal(berth_recv(w.b, s, got, 10, BERTH_PEEK, w.now), 1);
	assert_int_equal(berth_recv(w.b, s, got, 10, 0, w.now), 1);
	assert_int_equal(berth_shutdown(w.b, c, BERTH_SHUT_WR, w.now), 0);
	run(&w, w.now + MS);
	expect(s, BERTH_PEER_SHUT | BERTH_READABLE);
	assert_int_equal(berth_recv(w.b, s, got, 10, 0, w.now), 0);
	assert_int_equal(berth_close(w.b, s, w.now), 0);
	assert_int_equal(berth_close(w.b, c, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

static void test_without_copies(void **state)
{
	static uint8_t sent[20000], got[20000];
	struct iovec parts[8];
	unsigned n = 8;
	berth_socket l, c, s;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 / 3);
	connect_pair(&l, &c, &s);
	assert_int_equal(berth_send_room(w.b, c, parts, &n, sizeof(sent)), 0);
	assert_true(n > 1 && n <= 8);
	for (unsigned i = 0; i < n; len += parts[i++].iov_len)
		memcpy(parts[i].iov_base, sent + len, parts[i].iov_len);
	assert_int_equal(len, sizeof(sent));
	assert_int_equal(berth_send_filled(w.b, c, len + 100000, w.now), BERTH_EINVAL);
	assert_int_equal(berth_send_filled(w.b, c, len, w.now), 0);
	run(&w, w.now + MS);
	for (len = 0; len < sizeof(sent);) {
		size_t before = len;

		n = 3;
		assert_int_equal(berth_recv_data(w.b, s, parts, &n), 0);
		assert_true(n > 0 && n <= 3);
		for (unsigned i = 0; i < n; len += parts[i++].iov_len)
			memcpy(got + len, parts[i].iov_base, parts[i].iov_len);
		assert_int_equal(berth_recv_done(w.b, s, 100000, w.now), BERTH_EINVAL);
		assert_int_equal(berth_recv_done(w.b, s, len - before, w.now), 0);
	}
	assert_memory_equal(got, sent, sizeof(sent));
	n = 1;
	assert_int_equal(berth_recv_data(w.b, s, parts, &n), BERTH_EAGAIN);
	assert_int_equal(berth_abort(w.b, c, w.now), 0);
	run(&w, w.now + MS);
	assert_int_equal(berth_recv_data(w.b, s, parts, &n), BERTH_ECONNRESET);
	assert_int_equal(berth_recv_data(w.b, s, parts, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(berth_close(w.b, s, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

/* The answer comes when the SYN was about to be sent again: it is not, and the connection is sound
 * to its end. */
static void test_answer_before_second_syn(void **state)
{
	struct berth_endpoint web = at(v4(10, 0, 0, 1), 80);
	berth_socket l = bound(&w, 0, BERTH_TCP, v4(0, 0, 0, 0), 80), s;
	berth_socket c = open_socket(&w, 1, BERTH_TCP, 4);
	struct berth_output out[2];
	struct berth_tcp_info info;
	uint8_t packet[200];
	uint32_t len;

	(void)state;
	settle(&w);
	assert_int_equal(berth_listen(w.b, l, 4, w.now), 0);
	assert_int_equal(berth_connect(w.b, c, &web, w.now), BERTH_EINPROGRESS);
	for (int i = 0; i < 2; i++) { /* SYN; SYN-ACK */
		assert_int_equal(berth_output(w.b, out, 2, w.now), 1);
		assert_int_equal(out[0].n_iov, 1);
		len = out[0].len;
		memcpy(packet, out[0].iov[0].iov_base, len);
		if (i == 0)
			berth_input(w.b, w.end[0], packet, len, w.now);
	}
	w.now += S + MS;
	berth_advance(w.b, w.now);
	berth_input(w.b, w.end[1], packet, len, w.now);
	carry(&w);
	assert_int_equal(berth_accept(w.b, l, &s, w.now), 0);
	assert_int_equal(berth_tcp_info(w.b, c, &info), 0);
	assert_int_equal(info.unacked, 0);
	assert_int_equal(berth_close(w.b, c, w.now), 0);
	assert_int_equal(berth_close(w.b, s, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

/* A host with itself, over lo: no packet leaves. */
static void test_own_host(void **state)
{
	struct berth_endpoint web = at(v4(127, 0, 0, 1), 80), six = at(v6(1), 80);
	berth_socket l = open_socket(&w, 0, BERTH_TCP, 6), c = open_socket(&w, 0, BERTH_TCP, 4), d,
		     s;
	struct berth_endpoint any = {.port = 80};
	char got[10];

	(void)state;
	settle(&w); /* MLD has its say */
	w.n_carried = 0;
	d = open_socket(&w, 0, BERTH_TCP, 6);
	assert_int_equal(berth_bind(w.b, l, &any, w.now), 0);
	assert_int_equal(berth_listen(w.b, l, 4, w.now), 0);
	assert_int_equal(berth_connect(w.b, c, &web, w.now), BERTH_EINPROGRESS);
	assert_int_equal(berth_connect(w.b, d, &six, w.now), BERTH_EINPROGRESS);
	settle(&w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(berth_accept(w.b, l, &s, w.now), 0);
		assert_int_equal(berth_send(w.b, i == 0 ? c : d, "self", 4, 0, w.now), 4);
		settle(&w);
		assert_int_equal(berth_recv(w.b, s, got, sizeof(got), 0, w.now), 4);
		assert_int_equal(berth_close(w.b, s, w.now), 0);
	}
	assert_int_equal(w.n_carried, 0);
	assert_int_equal(berth_close(w.b, c, w.now), 0);
	assert_int_equal(berth_close(w.b, d, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

/* What a listener has not accepted ends with it. */
static void test_listener_ends(void **state)
{
	struct berth_endpoint web = at(v4(10, 0, 0, 1), 80);
	berth_socket l = bound(&w, 0, BERTH_TCP, v4(0, 0, 0, 0), 80);
	berth_socket c = open_socket(&w, 1, BERTH_TCP, 4), s;

	(void)state;
	assert_int_equal(berth_listen(w.b, l, 4, w.now), 0);
	assert_int_equal(berth_connect(w.b, c, &web, w.now), BERTH_EINPROGRESS);
	settle(&w);
	no_events();
	assert_int_equal(berth_connect(w.b, l, NULL, w.now), 0);
	assert_int_equal(berth_accept(w.b, l, &s, w.now), BERTH_EINVAL);
	settle(&w);
	expect(c, BERTH_ERROR);
	assert_int_equal(berth_error_take(w.b, c), BERTH_ECONNRESET);
	assert_int_equal(berth_listen(w.b, l, 4, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
	assert_int_equal(berth_close(w.b, c, w.now), 0);
}

/* No event of a socket that is let go of. */
static void test_no_event_after_close(void **state)
{
	berth_socket l, c, s;
	struct berth_event e;

	(void)state;
	connect_pair(&l, &c, &s);
	assert_int_equal(berth_send(w.b, c, "x", 1, 0, w.now), 1);
	settle(&w);
	assert_int_equal(berth_close(w.b, s, w.now), 0);
	settle(&w);
	while (berth_event(w.b, &e))
		assert_true(e.socket != s);
	assert_int_equal(berth_close(w.b, c, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

/* ---- options ---- */

static void test_options(void **state)
{
	static const struct {
		enum berth_option option;
		int64_t value;
	} both[] = {{BERTH_SO_REUSEADDR, 1}, {BERTH_SO_REUSEPORT, 1},	{BERTH_IP_FREEBIND, 1},
		    {BERTH_IPV6_V6ONLY, 1},  {BERTH_SO_SNDBUF, 50000},	{BERTH_SO_RCVBUF, 50000},
		    {BERTH_IP_TTL, 5},	     {BERTH_IP_MTU_DISCOVER, 2}};
	static const enum berth_type types[] = {BERTH_TCP, BERTH_UDP, BERTH_PING};
	int64_t value;

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		berth_socket s = open_socket(&w, 0, types[k], 6);

		for (unsigned i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
			assert_int_equal(berth_set(w.b, s, both[i].option, both[i].value, w.now),
					 0);
			assert_int_equal(berth_get(w.b, s, both[i].option, &value), 0);
			assert_int_equal(value, both[i].value);
		}
		assert_int_equal(berth_set(w.b, s, BERTH_SO_BINDTODEVICE, w.end[0], w.now), 0);
		assert_int_equal(berth_get(w.b, s, BERTH_SO_BINDTODEVICE, &value), 0);
		assert_int_equal(value, w.end[0]);
		assert_int_equal(berth_set(w.b, s, BERTH_IP_TTL, 256, w.now), BERTH_EINVAL);
		assert_int_equal(berth_close(w.b, s, w.now), 0);
	}
}

static void test_host_defaults(void **state)
{
	berth_socket t, u, other;
	int64_t value;

	(void)state;
	assert_int_equal(berth_host_set(w.b, 0, BERTH_TCP_CONGESTION, BERTH_CC_RENO), 0);
	assert_int_equal(berth_host_set(w.b, 0, BERTH_IP_TTL, 7), 0);
	assert_int_equal(berth_host_set(w.b, 0, BERTH_IP_TTL, 8), 0);
	t = open_socket(&w, 0, BERTH_TCP, 4);
	u = open_socket(&w, 0, BERTH_UDP, 4);
	other = open_socket(&w, 1, BERTH_TCP, 4);
	assert_int_equal(berth_get(w.b, t, BERTH_TCP_CONGESTION, &value), 0);
	assert_int_equal(value, BERTH_CC_RENO);
	assert_int_equal(berth_get(w.b, t, BERTH_IP_TTL, &value), 0);
	assert_int_equal(value, 8);
	assert_int_equal(berth_get(w.b, u, BERTH_IP_TTL, &value), 0);
	assert_int_equal(value, 8);
	assert_int_equal(berth_get(w.b, other, BERTH_TCP_CONGESTION, &value), 0);
	assert_int_equal(value, BERTH_CC_CUBIC);
	assert_int_equal(berth_close(w.b, t, w.now), 0);
	assert_int_equal(berth_close(w.b, u, w.now), 0);
	assert_int_equal(berth_close(w.b, other, w.now), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_stale_handles),
		T(test_handles_are_not_used_again),
		T(test_socket_limit),
		T(test_null_and_ranges),
		T(test_wrong_kind_or_state),
		T(test_where_there_is_no_way),
		T(test_stream),
		T(test_without_copies),
		T(test_own_host),
		T(test_listener_ends),
		T(test_no_event_after_close),
		T(test_options),
		T(test_host_defaults),
		T(test_answer_before_second_syn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

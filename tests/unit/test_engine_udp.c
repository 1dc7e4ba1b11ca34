/* SPDX-License-Identifier: Apache-2.0 */
/* UDP and ping sockets by the public API. */
#include "engine_test.h"

#include "../../lib/engine/engine.h"

static int setup_ethernet(void **state)
{
	(void)state;
	assert_int_equal(world_make(&w, BERTH_IF_ETHERNET), 0);
	settle(&w);
	return 0;
}

static void close_all(const berth_socket *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(berth_close(w.b, s[i], w.now), 0);
}

static int64_t send_to(berth_socket s, const void *data, size_t len, struct berth_endpoint to)
{
	return berth_send_to(w.b, s, data, len, &to, w.now);
}

static int64_t recv_from(berth_socket s, void *data, size_t len, struct berth_datagram *info)
{
	return berth_recv_from(w.b, s, data, len, info, 0, w.now);
}

/* ---- datagrams ---- */

static void exchange(struct berth_addr a, struct berth_addr b)
{
	berth_socket s[2] = {bound(&w, 0, BERTH_UDP, a, 53), bound(&w, 1, BERTH_UDP, b, 4000)};
	struct berth_datagram info;
	struct berth_event e;
	char got[100];

	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_TTL, 9, w.now), 0);
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_TOS, 0x28, w.now), 0);
	assert_int_equal(recv_from(s[0], got, sizeof(got), &info), BERTH_EAGAIN);
	assert_int_equal(send_to(s[1], "question", 8, at(a, 53)), 8);
	assert_int_equal(send_to(s[1], "", 0, at(a, 53)), 0);
	run(&w, w.now + 10 * MS);
	assert_true(berth_event(w.b, &e));
	assert_int_equal(e.socket, s[0]);
	assert_int_equal(e.what, BERTH_READABLE);
	assert_false(berth_event(w.b, &e));
	assert_int_equal(berth_recv_from(w.b, s[0], got, 3, &info, BERTH_PEEK, w.now), 3);
	assert_true(info.truncated);
	assert_int_equal(recv_from(s[0], got, sizeof(got), &info), 8);
	assert_memory_equal(got, "question", 8);
	assert_false(info.truncated);
	assert_memory_equal(&info.from.addr, &b, 16);
	assert_memory_equal(&info.to.addr, &a, 16);
	assert_int_equal(info.from.port, 4000);
	assert_int_equal(info.to.port, 53);
	assert_int_equal(info.i, w.end[0]);
	assert_int_equal(info.hops, 9);
	assert_int_equal(info.tos, 0x28);
	assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), 0); /* the empty one */
	assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), BERTH_EAGAIN);
	assert_int_equal(berth_send_to(w.b, s[0], "answer", 6, &info.from, w.now), 6);
	run(&w, w.now + 10 * MS);
	assert_int_equal(recv_from(s[1], got, 4, &info), 4);
	assert_true(info.truncated);
	assert_int_equal(recv_from(s[1], got, sizeof(got), &info), BERTH_EAGAIN);
	close_all(s, 2);
}

static void test_exchange(void **state)
{
	(void)state;
	exchange(v4(10, 0, 0, 1), v4(10, 0, 0, 2));
	exchange(v6(1), v6(2));
}

/* From one byte to the longest (RFC 768; IPv4 65,507 bytes), in fragments where needed; the
 * checksum is over all parts of what lies in chunks. */
static void test_lengths(void **state)
{
	static const size_t lengths[] = {1,    7,    1471, 1472,  1473,	 4087,
					 4088, 4089, 9001, 40001, 65507, 65508};
	static uint8_t data[65536], got[65536];
	berth_socket s[2] = {bound(&w, 0, BERTH_UDP, v4(0, 0, 0, 0), 53),
			     open_socket(&w, 1, BERTH_UDP, 4)};

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + i / 255);
	for (unsigned k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
		int64_t r = send_to(s[1], data, lengths[k], at(v4(10, 0, 0, 1), 53));

		if (lengths[k] > 65507) {
			assert_int_equal(r, BERTH_EMSGSIZE);
			continue;
		}
		assert_int_equal(r, lengths[k]);
		settle(&w);
		assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), lengths[k]);
		assert_memory_equal(got, data, lengths[k]);
	}
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_UDP_CHECKSUM), 0);
	close_all(s, 2);
}

/* To an own address, and to 0.0.0.0, which is this host: nothing is sent by the wire. */
static void test_own_host(void **state)
{
	berth_socket s[2] = {bound(&w, 0, BERTH_UDP, v4(0, 0, 0, 0), 53),
			     open_socket(&w, 0, BERTH_UDP, 4)};
	struct berth_addr to[] = {v4(127, 0, 0, 1), v4(10, 0, 0, 1), v4(0, 0, 0, 0)};
	static uint8_t got[9000];

	(void)state;
	w.n_carried = 0;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(send_to(s[1], got, sizeof(got), at(to[i], 53)), sizeof(got));
		settle(&w);
		assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), sizeof(got));
	}
	assert_int_equal(w.n_carried, 0);
	close_all(s, 2);
}

/* The checksum of 0 is "none" in IPv4 and forbidden in IPv6 (RFC 768, RFC 8200 8.1); a wrong one, a
 * wrong length: dropped. */
static void test_checksums(void **state)
{
	berth_socket s = bound(&w, 0, BERTH_UDP, v4(0, 0, 0, 0), 53), s6;
	uint8_t p[] = {0x45, 0,	 0, 30, 0, 0, 0, 0, 64, 17, 0,	0, 10, 0,   0,
		       2,    10, 0, 0,	1, 9, 9, 0, 53, 0,  10, 0, 0,  'h', 'i'};
	uint8_t p6[50] = {0x60, 0, 0, 0, 0, 10, 17, 64};
	struct berth_addr a = v6(2), b = v6(1);
	uint32_t sum = 0;
	char got[10];

	(void)state;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	berth_input(w.b, w.end[0], p, sizeof(p), w.now);
	assert_int_equal(recv_from(s, got, sizeof(got), NULL), 2);
	p[26] = 1;
	berth_input(w.b, w.end[0], p, sizeof(p), w.now);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_UDP_CHECKSUM), 1);
	p[26] = 0;
	p[25] = 11;
	berth_input(w.b, w.end[0], p, sizeof(p), w.now);
	p[25] = 7;
	berth_input(w.b, w.end[0], p, sizeof(p), w.now);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_UDP_MALFORMED), 2);
	assert_int_equal(recv_from(s, got, sizeof(got), NULL), BERTH_EAGAIN);
	s6 = bound(&w, 0, BERTH_UDP, v6(1), 53);
	memcpy(p6 + 8, a.b, 16);
	memcpy(p6 + 24, b.b, 16);
	memcpy(p6 + 40, p + 20, 10);
	p6[45] = 10;
	berth_input(w.b, w.end[0], p6, sizeof(p6), w.now);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_UDP_CHECKSUM), 2);
	close_all((berth_socket[]){s, s6}, 2);
}

/* ---- queues ---- */

/* SO_RCVBUF bounds what waits; what does not fit is dropped and counted. */
static void test_receive_queue(void **state)
{
	berth_socket s[2] = {bound(&w, 0, BERTH_UDP, v4(0, 0, 0, 0), 53),
			     open_socket(&w, 1, BERTH_UDP, 4)};
	static char data[1000];
	unsigned n = 0;
	size_t before;

	(void)state;
	assert_int_equal(berth_set(w.b, s[0], BERTH_SO_RCVBUF, 10000, w.now), 0);
	before = berth_bytes(w.b);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(send_to(s[1], data, sizeof(data), at(v4(10, 0, 0, 1), 53)), 1000);
		settle(&w);
	}
	while (recv_from(s[0], data, sizeof(data), NULL) == 1000)
		n++;
	assert_in_range(n, 8, 10);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_UDP_FULL), 100 - n);
	assert_true(berth_bytes(w.b) < before + 600000); /* a slab of chunks */
	/* Twice the buffer in one datagram fits into an empty queue. */
	assert_int_equal(berth_set(w.b, s[0], BERTH_SO_RCVBUF, 1, w.now), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_to(s[1], data, 900, at(v4(10, 0, 0, 1), 53)), 900);
	settle(&w);
	for (n = 0; recv_from(s[0], data, sizeof(data), NULL) == 900; n++)
		;
	assert_int_equal(n, 2);
	close_all(s, 2);
}

/* SO_SNDBUF bounds what waits for berth_output; room is told of. */
static void test_send_queue(void **state)
{
	berth_socket s[2] = {bound(&w, 0, BERTH_UDP, v4(0, 0, 0, 0), 53),
			     open_socket(&w, 1, BERTH_UDP, 4)};
	static char data[1000];
	struct berth_event e;
	int64_t r = 0;
	int n = 0;

	(void)state;
	assert_int_equal(berth_set(w.b, s[1], BERTH_SO_SNDBUF, 10000, w.now), 0);
	while ((r = send_to(s[1], data, sizeof(data), at(v4(10, 0, 0, 1), 53))) == 1000)
		n++;
	assert_int_equal(r, BERTH_EAGAIN);
	assert_in_range(n, 8, 10);
	assert_false(berth_event(w.b, &e));
	/* What was sent before close still goes. */
	settle(&w);
	assert_true(berth_event(w.b, &e));
	assert_true(e.socket == s[1] ? e.what == BERTH_WRITABLE : e.what == BERTH_READABLE);
	assert_true(berth_event(w.b, &e));
	while (recv_from(s[0], data, sizeof(data), NULL) == 1000)
		n--;
	assert_int_equal(n, 0);
	assert_int_equal(send_to(s[1], "last", 4, at(v4(10, 0, 0, 1), 53)), 4);
	assert_int_equal(berth_close(w.b, s[1], w.now), 0);
	settle(&w);
	assert_int_equal(recv_from(s[0], data, sizeof(data), NULL), 4);
	close_all(s, 1);
}

/* ---- connected sockets, errors ---- */

static void test_connected(void **state)
{
	berth_socket s[3] = {bound(&w, 0, BERTH_UDP, v4(10, 0, 0, 1), 53),
			     open_socket(&w, 1, BERTH_UDP, 4), open_socket(&w, 0, BERTH_UDP, 4)};
	struct berth_endpoint server = at(v4(10, 0, 0, 1), 53), here, there;
	int64_t mtu;
	char got[10];

	(void)state;
	assert_int_equal(berth_shutdown(w.b, s[1], BERTH_SHUT_WR, w.now), BERTH_ENOTCONN);
	assert_int_equal(berth_get(w.b, s[1], BERTH_IP_MTU, &mtu), BERTH_ENOTCONN);
	assert_int_equal(berth_connect(w.b, s[1], &server, w.now), 0);
	assert_int_equal(berth_get(w.b, s[1], BERTH_IP_MTU, &mtu), 0);
	assert_int_equal(mtu, 1500);
	assert_int_equal(berth_name(w.b, s[1], &here, &there), 0);
	assert_memory_equal(&there.addr, &server.addr, 16);
	assert_int_equal(there.port, 53);
	assert_in_range(here.port, 32768, 60999);
	/* From another port: not for the connected socket. */
	assert_int_equal(send_to(s[2], "alien", 5, here), 5);
	assert_int_equal(berth_send_to(w.b, s[1], "hi", 2, NULL, w.now), 2);
	settle(&w);
	assert_int_equal(recv_from(s[1], got, sizeof(got), NULL), BERTH_EAGAIN);
	assert_int_equal(berth_drops(w.b, 1, BERTH_DROP_UDP_NO_PORT), 1);
	assert_int_equal(send_to(s[0], "own", 3, here), 3);
	settle(&w);
	assert_int_equal(recv_from(s[1], got, sizeof(got), NULL), 3);
	/* Disconnected, it hears all again, at a port of its own. */
	assert_int_equal(berth_connect(w.b, s[1], NULL, w.now), 0);
	assert_int_equal(berth_name(w.b, s[1], NULL, &there), BERTH_ENOTCONN);
	assert_int_equal(berth_send_to(w.b, s[1], "hi", 2, NULL, w.now), BERTH_EDESTADDRREQ);
	assert_int_equal(berth_connect(w.b, s[1], &server, w.now), 0);
	assert_int_equal(berth_shutdown(w.b, s[1], BERTH_SHUT_RDWR, w.now), 0);
	assert_int_equal(berth_send_to(w.b, s[1], "hi", 2, NULL, w.now), BERTH_EPIPE);
	assert_int_equal(recv_from(s[1], got, sizeof(got), NULL), 0);
	close_all(s, 3);
}

/* Port unreachable (RFC 1122 4.1.3.1, 4.1.3.3): to the connected socket, and to one with
 * IP_RECVERR. */
static void refused(struct berth_addr to, int family)
{
	berth_socket s[3];
	struct berth_endpoint nobody = at(to, 9);
	struct berth_event e;
	char got[10];

	for (int i = 0; i < 3; i++)
		s[i] = open_socket(&w, 1, BERTH_UDP, family);
	assert_int_equal(berth_connect(w.b, s[0], &nobody, w.now), 0);
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_RECVERR, 1, w.now), 0);
	assert_int_equal(berth_send_to(w.b, s[0], "x", 1, NULL, w.now), 1);
	settle(&w);
	assert_true(berth_event(w.b, &e));
	assert_int_equal(e.socket, s[0]);
	assert_true(e.what & BERTH_ERROR);
	assert_true(berth_ready(w.b, s[0]) & BERTH_ERROR);
	assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), BERTH_ECONNREFUSED);
	assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), BERTH_EAGAIN);
	run(&w, w.now + 2 * S); /* ICMP has its rate */
	assert_int_equal(send_to(s[1], "x", 1, nobody), 1);
	settle(&w);
	assert_int_equal(send_to(s[1], "x", 1, nobody), BERTH_ECONNREFUSED);
	run(&w, w.now + 2 * S);
	assert_int_equal(send_to(s[2], "x", 1, nobody), 1);
	settle(&w);
	assert_int_equal(berth_error_take(w.b, s[2]), 0);
	close_all(s, 3);
}

static void test_refused(void **state)
{
	(void)state;
	refused(v4(10, 0, 0, 1), 4);
	refused(v6(1), 6);
	refused(v4(127, 0, 0, 1), 4);
}

/* IP_MTU_DISCOVER (ip(7)), and an MTU that a router says. */
static void test_path_mtu(void **state)
{
	static char data[2000];
	berth_socket s[2] = {bound(&w, 0, BERTH_UDP, v4(0, 0, 0, 0), 53),
			     open_socket(&w, 1, BERTH_UDP, 4)};
	struct berth_endpoint to = at(v4(10, 0, 0, 1), 53);

	(void)state;
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_MTU_DISCOVER, 2, w.now), 0); /* DO */
	assert_int_equal(send_to(s[1], data, 1472, to), 1472);
	assert_int_equal(send_to(s[1], data, 1473, to), BERTH_EMSGSIZE);
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_MTU_DISCOVER, 3, w.now), 0); /* PROBE */
	assert_int_equal(send_to(s[1], data, 1473, to), BERTH_EMSGSIZE);
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_MTU_DISCOVER, 0, w.now), 0); /* DONT */
	assert_int_equal(send_to(s[1], data, 2000, to), 2000);
	settle(&w);
	assert_int_equal(recv_from(s[0], data, sizeof(data), NULL), 1472);
	assert_int_equal(recv_from(s[0], data, sizeof(data), NULL), 2000);
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_MTU_DISCOVER, 6, w.now), BERTH_EINVAL);
	close_all(s, 2);
}

/* ---- to many ---- */

static void test_multicast(void **state)
{
	struct berth_addr group = v4(239, 1, 2, 3), group6 = {{0xff, 0x15, [15] = 7}};
	berth_socket s[4];
	uint64_t before;
	char got[10];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct berth_endpoint e = at(i == 2 ? v4(10, 0, 0, 1) : v4(0, 0, 0, 0), 5353);

		s[i] = open_socket(&w, 0, BERTH_UDP, 4);
		assert_int_equal(berth_set(w.b, s[i], BERTH_SO_REUSEADDR, 1, w.now), 0);
		assert_int_equal(berth_bind(w.b, s[i], &e, w.now), 0);
	}
	s[3] = open_socket(&w, 1, BERTH_UDP, 4);
	assert_int_equal(berth_set(w.b, s[3], BERTH_IP_MULTICAST_IF, w.end[0], w.now),
			 BERTH_EADDRNOTAVAIL);
	assert_int_equal(berth_set(w.b, s[3], BERTH_IP_MULTICAST_IF, w.end[1], w.now), 0);
	before = berth_drops(w.b, 0, BERTH_DROP_IP_GROUP);
	assert_int_equal(send_to(s[3], "none", 4, at(group, 5353)), 4);
	settle(&w);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_IP_GROUP), before + 1);
	assert_int_equal(berth_join(w.b, s[0], &group, w.end[0], w.now), 0);
	assert_int_equal(berth_join(w.b, s[0], &group, w.end[0], w.now), BERTH_EADDRINUSE);
	assert_int_equal(berth_join(w.b, s[0], &group6, w.end[0], w.now), BERTH_EINVAL);
	assert_int_equal(berth_leave(w.b, s[1], &group, w.end[0], w.now), BERTH_EADDRNOTAVAIL);
	run(&w, w.now + 10 * S);
	/* All that hold the port, whatever the address they are bound to allows. */
	assert_int_equal(send_to(s[3], "all", 3, at(group, 5353)), 3);
	settle(&w);
	assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), 3);
	assert_int_equal(recv_from(s[1], got, sizeof(got), NULL), 3);
	assert_int_equal(recv_from(s[2], got, sizeof(got), NULL), BERTH_EAGAIN);
	/* Broadcast, with the option that asks for it. */
	assert_int_equal(send_to(s[3], "x", 1, at(v4(10, 0, 0, 255), 5353)), BERTH_EACCES);
	assert_int_equal(berth_set(w.b, s[3], BERTH_SO_BROADCAST, 1, w.now), 0);
	assert_int_equal(send_to(s[3], "x", 1, at(v4(10, 0, 0, 255), 5353)), 1);
	settle(&w);
	assert_int_equal(recv_from(s[0], got, sizeof(got), NULL), 1);
	assert_int_equal(recv_from(s[1], got, sizeof(got), NULL), 1);
	assert_int_equal(recv_from(s[2], got, sizeof(got), NULL), BERTH_EAGAIN);
	assert_int_equal(berth_leave(w.b, s[0], &group, w.end[0], w.now), 0);
	assert_int_equal(send_to(s[3], "none", 4, at(group, 5353)), 4);
	settle(&w);
	assert_int_equal(recv_from(s[1], got, sizeof(got), NULL), BERTH_EAGAIN);
	for (uint8_t i = 0; i < 20; i++) {
		struct berth_addr g = v4(239, 2, 2, i);

		assert_int_equal(berth_join(w.b, s[0], &g, w.end[0], w.now), 0);
	}
	assert_int_equal(berth_join(w.b, s[0], &group, w.end[0], w.now), BERTH_ENOBUFS);
	close_all(s, 4); /* leaves them all */
}

/* SO_REUSEPORT: each flow to one socket, flows to all of them. */
static void test_reuseport(void **state)
{
	berth_socket s[4], c[40];
	unsigned got_any = 0, sum = 0;
	char got[10];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct berth_endpoint e = at(v4(0, 0, 0, 0), 53);

		s[i] = open_socket(&w, 0, BERTH_UDP, 4);
		assert_int_equal(berth_set(w.b, s[i], BERTH_SO_REUSEPORT, 1, w.now), 0);
		assert_int_equal(berth_bind(w.b, s[i], &e, w.now), 0);
	}
	for (int i = 0; i < 40; i++) {
		c[i] = open_socket(&w, 1, BERTH_UDP, 4);
		for (int k = 0; k < 3; k++)
			assert_int_equal(send_to(c[i], "x", 1, at(v4(10, 0, 0, 1), 53)), 1);
	}
	settle(&w);
	for (int i = 0; i < 4; i++) {
		unsigned n = 0;

		while (recv_from(s[i], got, sizeof(got), NULL) == 1)
			n++;
		assert_int_equal(n % 3, 0);
		got_any += n > 0;
		sum += n;
	}
	assert_int_equal(sum, 120);
	assert_true(got_any >= 3);
	close_all(s, 4);
	close_all(c, 40);
}

/* ---- ping ---- */

static void ping(struct berth_addr to, int family)
{
	uint8_t echo[20] = {family == 4 ? 8 : 128, 0, 0, 0, 0xaa, 0xaa, 0, 1, 'd', 'a', 't', 'a'};
	uint8_t got[100], bad[20];
	berth_socket s[2] = {open_socket(&w, 1, BERTH_PING, family),
			     open_socket(&w, 1, BERTH_PING, family)};
	struct berth_endpoint e = {.port = 77};
	struct berth_datagram info;

	if (family == 4)
		e.addr = v4(0, 0, 0, 0);
	assert_int_equal(berth_bind(w.b, s[0], &e, w.now), 0);
	assert_int_equal(berth_bind(w.b, s[0], &e, w.now), BERTH_EINVAL);
	assert_int_equal(berth_bind(w.b, s[1], &e, w.now), BERTH_EADDRINUSE);
	memcpy(bad, echo, sizeof(bad));
	bad[0] = 0;
	assert_int_equal(send_to(s[0], bad, 20, at(to, 0)), BERTH_EINVAL);
	assert_int_equal(send_to(s[0], echo, 7, at(to, 0)), BERTH_EINVAL);
	assert_int_equal(send_to(s[0], echo, 20, at(to, 0)), 20);
	assert_int_equal(send_to(s[1], echo, 8, at(to, 0)), 8);
	run(&w, w.now + 10 * MS);
	/* Each gets its own answer: the identifier is the socket's. */
	assert_int_equal(recv_from(s[0], got, sizeof(got), &info), 20);
	assert_int_equal(got[0], family == 4 ? 0 : 129);
	assert_int_equal(got[4] << 8 | got[5], 77);
	assert_memory_equal(got + 6, echo + 6, 14);
	assert_memory_equal(&info.from.addr, &to, 16);
	assert_int_equal(recv_from(s[0], got, sizeof(got), &info), BERTH_EAGAIN);
	assert_int_equal(recv_from(s[1], got, sizeof(got), &info), 8);
	assert_int_equal(got[4] << 8 | got[5], port_of(&w, s[1]));
	close_all(s, 2);
}

static void test_ping(void **state)
{
	(void)state;
	ping(v4(10, 0, 0, 1), 4);
	ping(v6(1), 6);
	ping(v4(127, 0, 0, 1), 4);
}

/* AF_UNSPEC: only what bind gave is kept. */
static void test_ping_disconnect(void **state)
{
	struct berth_addr own = v4(10, 0, 0, 2), any = v4(0, 0, 0, 0);
	const struct berth_endpoint to = at(v4(10, 0, 0, 1), 0),
				    bind_to[] = {at(own, 77), at(any, 78), at(own, 0)};
	struct berth_endpoint e;

	(void)state;
	for (int i = 0; i < 4; i++) {
		berth_socket s = open_socket(&w, 1, BERTH_PING, 4);

		if (i < 3)
			assert_int_equal(berth_bind(w.b, s, &bind_to[i], w.now), 0);
		assert_int_equal(berth_connect(w.b, s, &to, w.now), 0);
		assert_int_equal(berth_name(w.b, s, &e, NULL), 0);
		assert_true(e.port != 0);
		assert_memory_equal(&e.addr, &own, 16);
		assert_int_equal(berth_connect(w.b, s, NULL, w.now), 0);
		assert_int_equal(berth_name(w.b, s, &e, NULL), 0);
		assert_int_equal(e.port, i < 2 ? bind_to[i].port : 0);
		assert_memory_equal(&e.addr, i == 0 || i == 2 ? &own : &any, 16);
		assert_int_equal(berth_name(w.b, s, NULL, &e), BERTH_ENOTCONN);
		close_all(&s, 1);
	}
}

/* Each request that a neighbour's silence ends is told of, with its own header. */
static void test_ping_nobody(void **state)
{
	uint8_t echo[12] = {8, 0, 0, 0, 0, 0, 0, 0, 'd', 'a', 't', 'a'};
	struct bt_engine_icmp m;
	struct bt_addr own, nobody = bt_addr_v4(0x0a00004d);
	berth_socket s = bound(&w, 1, BERTH_PING, v4(0, 0, 0, 0), 77);
	struct berth_endpoint to = at(v4(10, 0, 0, 77), 0);

	(void)state;
	memcpy(own.b, v4(10, 0, 0, 2).b, sizeof(own.b));
	berth_set_user(w.b, s, 4711);
	for (uint8_t i = 0; i < 3; i++) {
		echo[7] = i;
		assert_int_equal(bt_engine_ping(w.b, s, &own, echo, sizeof(echo), &to, w.now),
				 sizeof(echo));
	}
	run(&w, w.now + 10 * S);
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(bt_engine_icmp(w.b, &m));
		assert_int_equal(m.proto, 1);
		assert_int_equal(m.user, 4711);
		assert_int_equal(m.error, BERTH_EHOSTUNREACH);
		assert_false(m.hard);
		assert_int_equal(m.len, sizeof(echo));
		assert_int_equal(m.data[0], 8);
		assert_int_equal(m.data[4] << 8 | m.data[5], 77);
		assert_int_equal(m.data[7], i);
		assert_true(bt_addr_eq(&m.src, &own) && bt_addr_eq(&m.dst, &nobody));
	}
	assert_false(bt_engine_icmp(w.b, &m));
	close_all(&s, 1);
}

/* Nobody is there: the neighbour does not answer, and the connected socket hears of it only with
 * IP_RECVERR (a soft error). */
static void test_no_neighbour(void **state)
{
	berth_socket s[2] = {open_socket(&w, 1, BERTH_UDP, 4), open_socket(&w, 1, BERTH_UDP, 4)};
	struct berth_endpoint nobody = at(v4(10, 0, 0, 77), 9);

	(void)state;
	assert_int_equal(berth_set(w.b, s[1], BERTH_IP_RECVERR, 1, w.now), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(berth_connect(w.b, s[i], &nobody, w.now), 0);
		assert_int_equal(berth_send_to(w.b, s[i], "x", 1, NULL, w.now), 1);
	}
	run(&w, w.now + 10 * S);
	assert_int_equal(berth_error_take(w.b, s[0]), 0);
	assert_int_equal(berth_error_take(w.b, s[1]), BERTH_EHOSTUNREACH);
	assert_true(berth_drops(w.b, 1, BERTH_DROP_NEIGHBOUR_FAILED) >= 2);
	close_all(s, 2);
}

int main(void)
{
#define T_ETH(f)                                                                                   \
	{                                                                                          \
#f " on Ethernet", f, setup_ethernet, teardown, NULL                               \
	}
	const struct CMUnitTest tests[] = {
		T(test_exchange),	 T_ETH(test_exchange),	   T(test_lengths),
		T_ETH(test_lengths),	 T(test_own_host),	   T(test_checksums),
		T(test_receive_queue),	 T(test_send_queue),	   T(test_connected),
		T(test_refused),	 T(test_path_mtu),	   T(test_multicast),
		T_ETH(test_multicast),	 T(test_reuseport),	   T(test_ping),
		T_ETH(test_ping),	 T_ETH(test_no_neighbour), T(test_ping_disconnect),
		T_ETH(test_ping_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

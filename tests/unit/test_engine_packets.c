/* SPDX-License-Identifier: Apache-2.0 */
/* Packets by the public API: several at once, and those for which there is no room. */
#include "engine_test.h"

/* Takes the next packet that the host wants to send; 0: none. */
static size_t take(uint8_t packet[2000])
{
	struct berth_output out;
	size_t len = 0;

	if (berth_output(w.b, &out, 1, w.now) == 0)
		return 0;
	for (unsigned i = 0; i < out.n_iov; i++) {
		memcpy(packet + len, out.iov[i].iov_base, out.iov[i].iov_len);
		len += out.iov[i].iov_len;
	}
	return len;
}

/* RFC 9293 MUST-58, MUST-59: all segments that are there are looked at, then one is acknowledged.
 */
static void test_one_ack_for_several(void **state)
{
	static uint8_t packets[6][2000], data[6 * 1448];
	struct berth_input in[6] = {{0}};
	struct berth_tcp_info before, after;
	berth_socket l, c, s;
	size_t n = 0;

	(void)state;
	connect_pair(&l, &c, &s);
	assert_int_equal(berth_send(w.b, c, data, sizeof(data), 0, w.now), sizeof(data));
	while (n < 6 && (in[n].len = take(packets[n])) > 0) {
		in[n].packet = packets[n];
		in[n].i = w.end[0];
		n++;
	}
	assert_true(n >= 4);
	assert_int_equal(berth_tcp_info(w.b, s, &before), 0);
	berth_input_batch(w.b, in, n, w.now);
	carry(&w);
	assert_int_equal(berth_tcp_info(w.b, s, &after), 0);
	assert_int_equal(after.segs_in - before.segs_in, n);
	assert_int_equal(after.segs_out - before.segs_out, 1);
	assert_int_equal(berth_abort(w.b, c, w.now), 0);
	assert_int_equal(berth_abort(w.b, s, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

/* A SYN for whose connection there is no slot is dropped, and comes again. */
static void test_no_slot_for_a_connection(void **state)
{
	static berth_socket all[2000];
	berth_socket l = bound(&w, 0, BERTH_TCP, v4(0, 0, 0, 0), 80), s;
	berth_socket c = open_socket(&w, 1, BERTH_TCP, 4);
	struct berth_endpoint web = at(v4(10, 0, 0, 1), 80);
	unsigned n = 0;

	(void)state;
	assert_int_equal(berth_listen(w.b, l, 4, w.now), 0);
	while (n < 2000 && berth_open(w.b, 0, BERTH_TCP, 4, &all[n]) == 0)
		n++;
	assert_in_range(n, 1, 1999);
	assert_int_equal(berth_connect(w.b, c, &web, w.now), BERTH_EINPROGRESS);
	settle(&w);
	assert_int_equal(berth_drops(w.b, 0, BERTH_DROP_NO_MEMORY), 1);
	assert_int_equal(berth_accept(w.b, l, &s, w.now), BERTH_EAGAIN);
	while (n > 0)
		assert_int_equal(berth_close(w.b, all[--n], w.now), 0);
	run(&w, w.now + 2 * S);
	assert_int_equal(berth_accept(w.b, l, &s, w.now), 0);
	assert_int_equal(berth_abort(w.b, c, w.now), 0);
	assert_int_equal(berth_abort(w.b, s, w.now), 0);
	assert_int_equal(berth_close(w.b, l, w.now), 0);
}

/* RFC 9293 MUST-42, MUST-43, MUST-45: listeners of one port with different addresses; each
 * connection has the address that it was made to or bound to, to its end. */
static void test_addresses(void **state)
{
	const struct berth_addr own[2] = {v4(10, 0, 0, 1), v4(10, 0, 0, 9)};
	const struct berth_addr from = v4(10, 0, 0, 8);
	berth_socket l[2], c[2], s[2];
	struct berth_endpoint local, remote, here = at(from, 0);
	char byte;

	(void)state;
	assert_int_equal(berth_addr_add(w.b, w.end[0], &own[1], 24), 0);
	assert_int_equal(berth_addr_add(w.b, w.end[1], &from, 24), 0);
	for (int i = 0; i < 2; i++) {
		struct berth_endpoint to = at(own[i], 80);

		l[i] = bound(&w, 0, BERTH_TCP, own[i], 80);
		assert_int_equal(berth_listen(w.b, l[i], 4, w.now), 0);
		c[i] = open_socket(&w, 1, BERTH_TCP, 4);
		if (i == 1)
			assert_int_equal(berth_bind(w.b, c[i], &here, w.now), 0);
		assert_int_equal(berth_connect(w.b, c[i], &to, w.now), BERTH_EINPROGRESS);
	}
	settle(&w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(berth_accept(w.b, l[i], &s[i], w.now), 0);
		assert_int_equal(berth_send(w.b, s[i], "x", 1, 0, w.now), 1);
		settle(&w);
		assert_int_equal(berth_recv(w.b, c[i], &byte, 1, 0, w.now), 1);
		assert_int_equal(berth_name(w.b, s[i], &local, &remote), 0);
		assert_memory_equal(&local.addr, &own[i], sizeof(own[i]));
		if (i == 1)
			assert_memory_equal(&remote.addr, &from, sizeof(from));
		assert_int_equal(berth_abort(w.b, c[i], w.now), 0);
		assert_int_equal(berth_abort(w.b, s[i], w.now), 0);
		assert_int_equal(berth_close(w.b, l[i], w.now), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_ack_for_several),
		T(test_no_slot_for_a_connection),
		T(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

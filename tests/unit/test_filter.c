/* SPDX-License-Identifier: Apache-2.0 */
/* The packet filter of hosts of an engine: what goes, what is counted, what the sender is told. */
#include "engine_test.h"

#include "../../lib/engine/engine.h"
#include "../../link/rule.h"

static struct bt_filter filters[2];

/* The host's filter from now on: rules in words, NULL at the end. */
static void set(uint16_t host, enum bt_filter_action in, enum bt_filter_action out,
		const char *const *rules)
{
	struct bt_filter *f = &filters[host];
	char error[BT_RULE_TEXT];

	memset(f, 0, sizeof(*f));
	f->policy[BT_FILTER_IN] = (uint8_t)in;
	f->policy[BT_FILTER_OUT] = (uint8_t)out;
	for (; *rules != NULL; rules++)
		assert_true(bt_rule_read(*rules, &f->rules[f->n++], error));
	assert_true(bt_filter_legal(f));
	assert_int_equal(bt_engine_filter(w.b, host, f), 0);
}
#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ACCEPT	   BT_FILTER_ACCEPT, BT_FILTER_ACCEPT

static uint64_t dropped(berth_host host, enum berth_drop reason)
{
	return berth_drops(w.b, host, reason);
}

static berth_socket listening(struct berth_addr addr)
{
	berth_socket s = bound(&w, 0, BERTH_TCP, addr, 80);

	assert_int_equal(berth_listen(w.b, s, 8, w.now), 0);
	return s;
}

static berth_socket connecting(struct berth_addr addr)
{
	struct berth_endpoint web = at(addr, 80);
	berth_socket s = open_socket(&w, 1, BERTH_TCP, addr.b[10] == 0xff ? 4 : 6);

	assert_int_equal(berth_connect(w.b, s, &web, w.now), BERTH_EINPROGRESS);
	settle(&w);
	return s;
}

static void end(berth_socket a, berth_socket b)
{
	berth_close(w.b, a, w.now);
	berth_close(w.b, b, w.now);
	for (uint16_t host = 0; host < 2; host++)
		assert_int_equal(bt_engine_filter(w.b, host, NULL), 0);
}

/* As on Linux: 1 s, 2 s, 4 s ... until tcp_syn_retries are used up: 127 s. */
static void drop_in(struct berth_addr addr)
{
	uint64_t before = dropped(0, BERTH_DROP_FILTERED_IN), began = w.now;

	set(0, ACCEPT, RULES("drop in tcp dport 80"));
	berth_socket l = listening(addr), s = connecting(addr);
	run(&w, began + 126 * S);
	assert_int_equal(berth_error_take(w.b, s), 0);
	run(&w, began + 140 * S);
	assert_int_equal(berth_error_take(w.b, s), BERTH_ETIMEDOUT);
	assert_int_equal(filters[0].counts[0].pkts, 7);
	assert_int_equal(filters[0].counts[0].bytes, 7 * (addr.b[10] == 0xff ? 60 : 80));
	assert_int_equal(dropped(0, BERTH_DROP_FILTERED_IN) - before, 7);
	end(l, s);
}

static void test_drop_in(void **state)
{
	(void)state;
	drop_in(v4(10, 0, 0, 1));
	drop_in(v6(1));
}

static void refused(struct berth_addr addr, uint16_t host, const char *rule)
{
	berth_socket l = listening(addr), s;

	set(host, ACCEPT, RULES(rule));
	s = connecting(addr);
	assert_int_equal(berth_error_take(w.b, s), BERTH_ECONNREFUSED);
	assert_int_equal(filters[host].counts[0].pkts, 1);
	end(l, s);
}

static void test_reject(void **state)
{
	static const char *const rules[2][2] = {
		{"reject in tcp dport 80", "reject in tcp dport 80 with tcp-reset"},
		{"reject out tcp dport 80", "reject out tcp dport 80 with tcp-reset"}};

	(void)state;
	for (uint16_t host = 0; host < 2; host++)
		for (unsigned i = 0; i < 2; i++) {
			refused(v4(10, 0, 0, 1), host, rules[host][i]);
			refused(v6(1), host, rules[host][i]);
		}
}

/* What is open goes on while the rules let it, and stops when they do not. */
static void test_open_connection(void **state)
{
	berth_socket l, c, s;
	char got[8];

	(void)state;
	connect_pair(&l, &c, &s);
	set(0, BT_FILTER_DROP, BT_FILTER_ACCEPT, RULES("accept in state established"));
	assert_int_equal(berth_send(w.b, c, "abc", 3, 0, w.now), 3);
	settle(&w);
	assert_int_equal(berth_recv(w.b, s, got, sizeof(got), 0, w.now), 3);
	berth_socket late = connecting(v4(10, 0, 0, 1));
	assert_int_equal(berth_accept(w.b, l, &late, w.now), BERTH_EAGAIN);
	set(0, ACCEPT, RULES("drop in tcp from 10.0.0.2 state established"));
	assert_int_equal(berth_send(w.b, c, "def", 3, 0, w.now), 3);
	run(&w, w.now + S);
	assert_int_equal(berth_recv(w.b, s, got, sizeof(got), 0, w.now), BERTH_EAGAIN);
	assert_int_equal(bt_engine_filter(w.b, 0, NULL), 0);
	run(&w, w.now + 10 * S);
	assert_int_equal(berth_recv(w.b, s, got, sizeof(got), 0, w.now), 3);
	berth_close(w.b, s, w.now);
	end(l, c);
	berth_close(w.b, late, w.now);
}

/* Nobody hears a reset, nor the answer to a segment of a connection that never was. */
static void test_unknown_connection(void **state)
{
	static const uint8_t ack[40] = {
		0x45, 0,    0, 40, 0, 0, 0x40, 0, 64, 6, 0x26, 0xce, 10,   0,	 0, 2, 10, 0, 0, 1,
		0x0f, 0xa0, 0, 80, 0, 0, 0,    1, 0,  0, 0,    1,    0x50, 0x10, 1, 0, 0,  0, 0, 0};
	uint64_t before = dropped(0, BERTH_DROP_FILTERED_IN);
	uint32_t carried = w.n_carried;

	(void)state;
	set(0, BT_FILTER_DROP, BT_FILTER_ACCEPT, RULES("accept in state established,related"));
	berth_input(w.b, w.end[0], ack, sizeof(ack), w.now);
	settle(&w);
	assert_int_equal(dropped(0, BERTH_DROP_FILTERED_IN) - before, 1);
	assert_int_equal(w.n_carried, carried);
	end(0, 0);
}

static int64_t send_to(berth_socket s, struct berth_addr addr, uint16_t port)
{
	struct berth_endpoint to = at(addr, port);
	int64_t r = berth_send_to(w.b, s, "x", 1, &to, w.now);

	settle(&w);
	return r;
}

static int64_t received(berth_socket s)
{
	char got[8];

	return berth_recv_from(w.b, s, got, sizeof(got), NULL, 0, w.now);
}

/* ip_local_out: the sender hears EPERM of its own host's filter. */
static void test_datagram_out(void **state)
{
	berth_socket a = bound(&w, 0, BERTH_UDP, v4(10, 0, 0, 1), 53),
		     b = bound(&w, 1, BERTH_UDP, v4(10, 0, 0, 2), 4000);

	(void)state;
	set(1, ACCEPT, RULES("drop out udp dport 53"));
	assert_int_equal(send_to(b, v4(10, 0, 0, 1), 53), BERTH_EPERM);
	assert_int_equal(dropped(1, BERTH_DROP_FILTERED_OUT), 1);
	assert_int_equal(filters[1].counts[0].bytes, 29);
	assert_int_equal(received(a), BERTH_EAGAIN);
	assert_int_equal(send_to(b, v4(10, 0, 0, 1), 54), 1); /* nobody there */
	end(a, b);
}

static void test_datagram_in(void **state)
{
	struct berth_endpoint to = at(v4(10, 0, 0, 1), 53);
	berth_socket a = bound(&w, 0, BERTH_UDP, v4(10, 0, 0, 1), 53),
		     b = bound(&w, 1, BERTH_UDP, v4(10, 0, 0, 2), 4000);

	(void)state;
	assert_int_equal(berth_connect(w.b, b, &to, w.now), 0);
	set(0, ACCEPT, RULES("drop in udp dport 53"));
	assert_int_equal(send_to(b, v4(10, 0, 0, 1), 53), 1);
	assert_int_equal(berth_error_take(w.b, b), 0);
	set(0, ACCEPT, RULES("reject in udp dport 53"));
	assert_int_equal(send_to(b, v4(10, 0, 0, 1), 53), 1);
	assert_int_equal(berth_error_take(w.b, b), BERTH_ECONNREFUSED);
	/* What says so may be filtered, too. */
	set(1, ACCEPT, RULES("drop in icmp state related"));
	assert_int_equal(send_to(b, v4(10, 0, 0, 1), 53), 1);
	assert_int_equal(berth_error_take(w.b, b), 0);
	assert_int_equal(filters[1].counts[0].pkts, 1);
	assert_int_equal(received(a), BERTH_EAGAIN);
	end(a, b);
}

/* Only what was asked for comes in, for as long as Linux remembers the question. The client's port
 * begins with the number of ICMPv6's echo reply. */
static void test_answers(void **state)
{
	const struct berth_addr server = v4(10, 0, 0, 1), client = v4(10, 0, 0, 2);
	berth_socket a = bound(&w, 0, BERTH_UDP, server, 53),
		     b = bound(&w, 1, BERTH_UDP, client, 0x8101);

	(void)state;
	set(1, BT_FILTER_DROP, BT_FILTER_ACCEPT, RULES("accept in state established"));
	assert_int_equal(send_to(a, client, 0x8101), 1);
	assert_int_equal(received(b), BERTH_EAGAIN);
	assert_int_equal(send_to(b, server, 53), 1);
	assert_int_equal(received(a), 1);
	assert_int_equal(send_to(a, client, 0x8101), 1);
	assert_int_equal(received(b), 1);
	run(&w, w.now + 29 * S);
	assert_int_equal(send_to(a, client, 0x8101), 1);
	assert_int_equal(received(b), 1);
	run(&w, w.now + 119 * S); /* both have spoken for two seconds: a stream */
	assert_int_equal(send_to(a, client, 0x8101), 1);
	assert_int_equal(received(b), 1);
	run(&w, w.now + 121 * S);
	assert_int_equal(send_to(a, client, 0x8101), 1);
	assert_int_equal(received(b), BERTH_EAGAIN);
	end(a, b);
}

static int echo(struct berth_addr addr, bool is6)
{
	static const uint8_t request[2][16] = {{8, 0, 0, 0, 0, 0, 0, 1},
					       {128, 0, 0, 0, 0, 0, 0, 1}};
	berth_socket s = open_socket(&w, 1, BERTH_PING, is6 ? 6 : 4);
	struct berth_endpoint to = at(addr, 0);
	char got[64];
	int64_t r = berth_send_to(w.b, s, request[is6], 16, &to, w.now);

	if (r == 16) {
		settle(&w);
		r = berth_recv_from(w.b, s, got, sizeof(got), NULL, 0, w.now);
	}
	berth_close(w.b, s, w.now);
	return (int)r;
}

/* RFC 4890 4.4.1: neighbour discovery always passes, or nothing does; so does ARP. */
static void test_ping(void **state)
{
	(void)state;
	for (unsigned is6 = 0; is6 < 2; is6++) {
		struct berth_addr addr = is6 ? v6(1) : v4(10, 0, 0, 1);

		set(0, BT_FILTER_DROP, BT_FILTER_DROP,
		    RULES("accept in icmp state new", "accept out icmp state established"));
		assert_int_equal(echo(addr, is6), 16);
		set(0, BT_FILTER_DROP, BT_FILTER_ACCEPT, RULES("accept in tcp"));
		assert_int_equal(echo(addr, is6), BERTH_EAGAIN);
		set(0, ACCEPT, RULES("drop out icmp"));
		assert_int_equal(echo(addr, is6), BERTH_EAGAIN);
		assert_int_equal(filters[0].counts[0].pkts, 1);
		set(0, ACCEPT, RULES("accept in"));
		set(1, ACCEPT, RULES("drop out icmp state new"));
		assert_int_equal(echo(addr, is6), BERTH_EPERM);
		set(1, ACCEPT, RULES("accept in"));
	}
	end(0, 0);
}

static int setup_ethernet(void **state)
{
	(void)state;
	assert_int_equal(world_make(&w, BERTH_IF_ETHERNET), 0);
	settle(&w);
	return 0;
}

/* What a host sends to itself is not filtered. */
static void test_own_host(void **state)
{
	berth_socket a = bound(&w, 0, BERTH_UDP, v4(10, 0, 0, 1), 53),
		     b = open_socket(&w, 0, BERTH_UDP, 4);

	(void)state;
	set(0, BT_FILTER_DROP, BT_FILTER_DROP, RULES("drop in", "drop out"));
	assert_int_equal(send_to(b, v4(10, 0, 0, 1), 53), 1);
	berth_advance(w.b, w.now);
	assert_int_equal(received(a), 1);
	assert_int_equal(filters[0].counts[0].pkts + filters[0].counts[1].pkts, 0);
	end(a, b);
}

/* Every segment of a bulk transfer is counted: none goes by a short way. */
static void test_counts_all(void **state)
{
	static char data[100000];
	berth_socket l, c, s;
	uint64_t got = 0;
	int64_t n;

	(void)state;
	connect_pair(&l, &c, &s);
	set(0, ACCEPT, RULES("accept in tcp dport 80", "accept out tcp sport 80"));
	set(1, ACCEPT, RULES("accept out tcp dport 80", "accept in tcp sport 80"));
	for (unsigned i = 0; i < 10 && got < sizeof(data); i++) {
		berth_send(w.b, c, data, sizeof(data) - got, 0, w.now);
		settle(&w);
		while ((n = berth_recv(w.b, s, data, sizeof(data), 0, w.now)) > 0)
			got += (uint64_t)n;
	}
	assert_true(got >= sizeof(data));
	run(&w, w.now + S);
	assert_true(filters[0].counts[0].bytes > got);
	assert_true(filters[0].counts[0].pkts >= got / 1448);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(filters[0].counts[i].pkts, filters[1].counts[i].pkts);
		assert_int_equal(filters[0].counts[i].bytes, filters[1].counts[i].bytes);
	}
	berth_close(w.b, s, w.now);
	end(l, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_drop_in),
		T(test_reject),
		T(test_open_connection),
		T(test_unknown_connection),
		T(test_datagram_out),
		T(test_datagram_in),
		T(test_answers),
		T(test_ping),
		cmocka_unit_test_setup_teardown(test_ping, setup_ethernet, teardown),
		T(test_own_host),
		T(test_counts_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

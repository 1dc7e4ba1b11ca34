/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs on the public API: any call with any handle (live, stale, never one), values at
 * the edges, and a wire that loses, repeats, changes and cuts packets. What must hold: no call
 * crashes, errors are of the list, only live handles get events, after berth_advance(t) the
 * deadline is later than t, and when every socket is closed and time has passed none is left.
 *
 *	engine_random [SEED [PROGRAMS]]
 */
#include "engine_help.h"

#include <stdio.h>

#define HANDLES 16
#define STEPS	1500

static struct world w;
static berth_socket live[HANDLES], dead[HANDLES];
static uint64_t seed, state;
static const char *doing = "";

static void wrong(const char *what)
{
	fprintf(stderr, "seed %llu: %s: %s\n", (unsigned long long)seed, doing, what);
	exit(1);
}

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return n == 0 ? 0 : (uint32_t)((state >> 33) % n);
}

static int64_t check(int64_t r)
{
	if (r < 0 && berth_strerror((int)r) == NULL)
		wrong("an error that is not in the list");
	return r;
}

static berth_socket any_socket(void)
{
	uint32_t k = below(HANDLES);

	switch (below(20)) {
	case 0:
		return dead[k];
	case 1:
		return (uint64_t)below(3) << 32 | below(100);
	default:
		for (uint32_t i = 0; live[k] == 0 && i < HANDLES; i++)
			k = (k + 1) % HANDLES;
		return live[k];
	}
}

static struct berth_endpoint any_end(void)
{
	static const uint16_t ports[] = {0, 7, 53, 53, 80, 80, 80, 80, 65535};
	struct berth_endpoint e = {.port = ports[below(9)]};

	switch (below(24)) {
	case 0:
		e.addr = v4(0, 0, 0, 0);
		break;
	case 1:
		break; /* :: */
	case 2:
		e.addr = v4(127, 0, 0, 1);
		break;
	case 3:
		e.addr = v4(239, 1, 1, (uint8_t)below(3));
		break;
	case 4:
		e.addr = v4(10, 0, 0, 255);
		break;
	case 5:
		e.addr = v4(10, 0, 0, 77);
		break;
	case 6:
		e.addr = (struct berth_addr){{0xfe, 0x80, [15] = (uint8_t)below(3)}};
		e.scope = (berth_if)below(6);
		break;
	case 7:
		e.addr = v6((uint8_t)(1 + below(2)));
		break;
	default:
		e.addr = v4(10, 0, 0, (uint8_t)(1 + below(2)));
		break;
	}
	if (below(12) == 0)
		e.port = 4000;
	return e;
}

static void put(berth_socket s)
{
	uint32_t k = below(HANDLES);

	for (uint32_t i = 0; live[k] != 0 && i < HANDLES; i++)
		k = (k + 1) % HANDLES;
	if (live[k] != 0 && berth_close(w.b, live[k], w.now) == 0)
		dead[k] = live[k];
	live[k] = s;
}

static void forget(berth_socket s)
{
	for (uint32_t k = 0; k < HANDLES; k++) {
		if (live[k] != s)
			continue;
		dead[k] = s;
		live[k] = 0;
	}
}

static void transfer(berth_socket s)
{
	static uint8_t data[70000];
	struct berth_endpoint e = any_end();
	struct berth_datagram info;
	struct berth_tcp_info tcp;
	struct iovec parts[5];
	unsigned n_parts;
	uint32_t what;
	size_t len = below(4) == 0 ? below(70000) : below(3000);

	if (below(8) == 0) /* what suits the socket, mostly */
		what = below(8);
	else if (berth_tcp_info(w.b, s, &tcp) == BERTH_EOPNOTSUPP)
		what = 3 + below(2);
	else
		what = (uint32_t[]){0, 1, 2, 5, 6}[below(5)];
	data[0] = below(2) == 0 ? 8 : 128; /* echo */
	data[1] = 0;
	switch (what) {
	case 0:
	case 1:
		check(berth_send(w.b, s, data, len, below(8), w.now));
		break;
	case 2:
		check(berth_recv(w.b, s, data, len, below(4), w.now));
		break;
	case 3:
		check(berth_send_to(w.b, s, data, len, below(2) == 0 ? NULL : &e, w.now));
		break;
	case 4:
		check(berth_recv_from(w.b, s, data, len, &info, below(2), w.now));
		break;
	case 5:
		n_parts = below(6);
		if (check(berth_send_room(w.b, s, parts, &n_parts, len)) == 0) {
			len = 0;
			for (unsigned i = 0; i < n_parts; len += parts[i++].iov_len)
				memset(parts[i].iov_base, 1, parts[i].iov_len);
			check(berth_send_filled(w.b, s, below((uint32_t)len + 2), w.now));
		}
		break;
	case 6:
		n_parts = below(6);
		if (check(berth_recv_data(w.b, s, parts, &n_parts)) == 0 && n_parts > 0) {
			len = 0;
			for (unsigned i = 0; i < n_parts; len += parts[i++].iov_len)
				memcpy(data, parts[i].iov_base, parts[i].iov_len);
			check(berth_recv_done(w.b, s, below((uint32_t)len + 2), w.now));
		}
		break;
	default:
		if (below(2) == 0)
			break;
		check(berth_shutdown(w.b, s, (enum berth_shut)below(4), w.now));
		break;
	}
}

static void adjust(berth_socket s)
{
	static const int64_t values[] = {-2,  -1,  0,	 1,	2,	 5,
					 255, 256, 3000, 65536, 1 << 30, INT64_MAX};
	struct berth_endpoint e = any_end();
	enum berth_option option = (enum berth_option)below(80);
	struct berth_tcp_info info;
	int64_t value;

	switch (below(7)) {
	case 0:
	case 1:
		check(berth_set(w.b, s, option, values[below(12)], w.now));
		break;
	case 2:
		check(berth_get(w.b, s, option, &value));
		break;
	case 3:
		check(berth_join(w.b, s, &e.addr, (berth_if)below(6), w.now));
		break;
	case 4:
		check(berth_leave(w.b, s, &e.addr, (berth_if)below(6), w.now));
		break;
	case 5:
		check(berth_tcp_info(w.b, s, &info));
		break;
	default:
		check(berth_error_take(w.b, s));
		check(berth_ready(w.b, s));
		break;
	}
}

static void make_or_end(berth_socket s)
{
	static const enum berth_type types[] = {BERTH_TCP, BERTH_TCP, BERTH_UDP, BERTH_PING};
	struct berth_endpoint e = any_end();
	berth_socket t = 0;

	switch (below(9)) {
	case 0:
	case 1:
		if (check(berth_open(w.b, (berth_host)below(2), types[below(4)],
				     below(3) == 0 ? 6 : 4, &t)) == 0)
			put(t);
		break;
	case 2:
		check(berth_bind(w.b, s, &e, w.now));
		break;
	case 3:
		check(berth_listen(w.b, s, below(3), w.now));
		break;
	case 4:
	case 7:
		check(berth_connect(w.b, s, below(16) == 0 ? NULL : &e, w.now));
		break;
	case 5:
		if (check(berth_accept(w.b, s, &t, w.now)) == 0)
			put(t);
		break;
	case 6:
		if (below(3) != 0)
			break;
		if (check(below(2) == 0 ? berth_close(w.b, s, w.now)
					: berth_abort(w.b, s, w.now)) == 0)
			forget(s);
		break;
	default:
		check(berth_name(w.b, s, &e, below(2) == 0 ? NULL : &e));
		break;
	}
}

static void damage(uint8_t *packet, size_t *len)
{
	switch (below(12)) {
	case 0:
		packet[below((uint32_t)*len)] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		*len = below((uint32_t)*len + 1);
		break;
	default:
		break;
	}
}

static void wire(bool bad)
{
	static uint8_t packet[66000];
	struct berth_output out;

	while (berth_output(w.b, &out, 1, w.now) == 1) {
		size_t len = 0;

		for (unsigned i = 0; i < out.n_iov; i++) {
			if (len + out.iov[i].iov_len > sizeof(packet))
				wrong("a packet is too long");
			memcpy(packet + len, out.iov[i].iov_base, out.iov[i].iov_len);
			len += out.iov[i].iov_len;
		}
		if (len != out.len)
			wrong("parts and length differ");
		if (bad && below(10) == 0)
			continue;
		if (bad)
			damage(packet, &len);
		for (uint32_t n = bad && below(10) == 0 ? 2 : 1; n > 0; n--)
			berth_input(w.b, w.end[out.i == w.end[0]], packet, len, w.now);
	}
}

static void look(void)
{
	struct berth_event e;

	while (berth_event(w.b, &e)) {
		if (e.what == 0)
			wrong("an event without a change");
		if (berth_ready(w.b, e.socket) < 0)
			wrong("an event of a socket that is closed");
	}
}

static void pass(uint64_t ns)
{
	uint64_t deadline = berth_deadline(w.b);

	w.now += ns;
	if (deadline > w.now && deadline - w.now < S)
		w.now = deadline;
	berth_advance(w.b, w.now);
	if (berth_deadline(w.b) <= w.now)
		wrong("the deadline is not later than the time of advance");
}

/* Something to connect to: on each host a listener and a UDP socket. */
static void serve(void)
{
	for (uint8_t host = 0; host < 2; host++) {
		struct berth_endpoint e = {.port = 80};
		berth_socket s = 0;

		check(berth_open(w.b, host, BERTH_TCP, 6, &s));
		check(berth_bind(w.b, s, &e, w.now));
		check(berth_listen(w.b, s, 3, w.now));
		live[host * 2u] = s;
		e.port = 53;
		check(berth_open(w.b, host, BERTH_UDP, 6, &s));
		check(berth_bind(w.b, s, &e, w.now));
		live[host * 2u + 1] = s;
	}
}

static void program(void)
{
	uint64_t end;

	if (world_make(&w, below(2) == 0 ? 0 : BERTH_IF_ETHERNET) != 0)
		wrong("out of memory");
	memset(live, 0, sizeof(live));
	memset(dead, 0, sizeof(dead));
	serve();
	for (int i = 0; i < STEPS; i++) {
		uint32_t kind = below(10);

		doing = "calls";
		if (kind < 3)
			make_or_end(any_socket());
		else if (kind < 6)
			transfer(any_socket());
		else if (kind < 7)
			adjust(any_socket());
		else
			wire(true);
		if (below(4) == 0)
			pass(below(30) == 0 ? below(2000000000) : below(50000000));
		look();
	}
	for (uint32_t k = 0; k < HANDLES; k++)
		if (live[k] != 0)
			check(berth_close(w.b, live[k], w.now));
	doing = "the end";
	end = w.now + 4000 * S;
	while (w.now < end && berth_sockets(w.b) > 0) {
		wire(false);
		pass(MS);
	}
	if (berth_sockets(w.b) != 0)
		wrong("a socket is left");
	berth_free(w.b);
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? 1 : 150;

	for (seed = first; seed < first + n; seed++) {
		state = seed * 0x9e3779b97f4a7c15u;
		program();
	}
	printf("%llu programs\n", (unsigned long long)n);
	return 0;
}

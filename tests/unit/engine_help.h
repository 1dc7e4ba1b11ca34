/* SPDX-License-Identifier: Apache-2.0 */
/* Two hosts of an engine, 10.0.0.1 and 10.0.0.2 (fd00::1, fd00::2), and the wire between them. */
#ifndef BERTH_TESTS_ENGINE_HELP_H
#define BERTH_TESTS_ENGINE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../include/berth/berth.h"

#define MS 1000000ull
#define S  1000000000ull

struct world {
	struct berth *b;
	uint64_t now;
	berth_if end[2]; /* of hosts 0 and 1 */
	bool cut;	 /* packets are lost */
	uint32_t n_carried;
};

static inline struct berth_addr v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct berth_addr){
		{[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d}};
}

static inline struct berth_addr v6(uint8_t d)
{
	return (struct berth_addr){{0xfd, [15] = d}};
}

static inline struct berth_endpoint at(struct berth_addr addr, uint16_t port)
{
	return (struct berth_endpoint){.addr = addr, .port = port};
}

/* 0, or the error of the first step that failed; *w may then be ended all the same. */
static inline int world_make(struct world *w, uint32_t flags)
{
	struct berth_config config = {.key = "0123456789abcde", .max_sockets = 2000};
	struct berth_if_config link = {.flags = flags, .mtu = 1500};

	*w = (struct world){.now = S};
	w->b = berth_new(&config);
	if (w->b == NULL)
		return BERTH_ENOMEM;
	for (uint8_t k = 0; k < 2; k++) {
		struct berth_addr a4 = v4(10, 0, 0, (uint8_t)(k + 1)), a6 = v6((uint8_t)(k + 1));
		int host = berth_host_add(w->b), i, r;

		if (host < 0)
			return host;
		link.mac[0] = 2;
		link.mac[5] = k;
		i = berth_if_add(w->b, (berth_host)host, &link);
		if (i < 0)
			return i;
		w->end[k] = (berth_if)i;
		r = berth_addr_add(w->b, w->end[k], &a4, 24);
		if (r == 0)
			r = berth_addr_add(w->b, w->end[k], &a6, 64);
		if (r < 0)
			return r;
	}
	return 0;
}

static inline void carry(struct world *w)
{
	static uint8_t packet[66000];
	struct berth_output out;

	while (berth_output(w->b, &out, 1, w->now) == 1) {
		size_t len = 0;

		for (unsigned i = 0; i < out.n_iov; i++) {
			memcpy(packet + len, out.iov[i].iov_base, out.iov[i].iov_len);
			len += out.iov[i].iov_len;
		}
		assert_int_equal(len, out.len);
		w->n_carried++;
		if (!w->cut)
			berth_input(w->b, w->end[out.i == w->end[0]], packet, len, w->now);
	}
}

/* Carries packets and lets time pass, until `until`. After advance(t), deadline() > t. */
static inline void run(struct world *w, uint64_t until)
{
	for (;;) {
		uint64_t deadline;

		carry(w);
		deadline = berth_deadline(w->b);
		if (deadline > until)
			break;
		if (deadline > w->now)
			w->now = deadline;
		berth_advance(w->b, w->now);
		assert_true(berth_deadline(w->b) > w->now);
	}
	if (until > w->now && until != UINT64_MAX)
		w->now = until;
}

/* As long as packets move, without waiting. */
static inline void settle(struct world *w)
{
	run(w, w->now);
}

static inline berth_socket open_socket(struct world *w, berth_host host, enum berth_type type,
				       int family)
{
	berth_socket s = 0;

	assert_int_equal(berth_open(w->b, host, type, family, &s), 0);
	assert_true(s != 0);
	return s;
}

static inline berth_socket bound(struct world *w, berth_host host, enum berth_type type,
				 struct berth_addr addr, uint16_t port)
{
	bool is4 = addr.b[10] == 0xff && addr.b[0] == 0;
	berth_socket s = open_socket(w, host, type, is4 ? 4 : 6);
	struct berth_endpoint e = at(addr, port);

	assert_int_equal(berth_bind(w->b, s, &e, w->now), 0);
	return s;
}

static inline uint16_t port_of(struct world *w, berth_socket s)
{
	struct berth_endpoint e;

	assert_int_equal(berth_name(w->b, s, &e, NULL), 0);
	return e.port;
}

#endif

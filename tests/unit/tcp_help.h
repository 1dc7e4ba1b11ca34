/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts of one struct bt_tcp, joined by a wire in virtual time: segments that bt_tcp_output
 * gives are kept until their time and then given to bt_tcp_input. A test says for each segment
 * what happens to it, may look at all that went, and may put in segments of its own.
 */
#ifndef BERTH_TESTS_TCP_HELP_H
#define BERTH_TESTS_TCP_HELP_H

#include "../../lib/tcp/tcb.h"

#define MS	  1000000ull
#define SEC	  1000000000ull
#define A	  0 /* hosts */
#define B	  1
#define WIRE_MAX  32768 /* more than a window of the smallest segments */
#define FRAME_MAX 66000

struct frame {
	uint64_t at_ns;
	uint16_t from; /* host */
	uint16_t segment;
	uint8_t tos;
	bool v6;
	struct bt_addr src, dst;
	struct bt_tcp_seg s;
	uint32_t len; /* with header */
	uint8_t *data;
};

struct wire {
	struct bt_port_net *ports;
	struct bt_wheel *wheel;
	struct bt_chunks *chunks;
	struct bt_tcp *t;
	uint64_t now;
	uint64_t delay; /* one way */
	uint32_t mtu, generation;
	uint16_t flags; /* of the path */
	bool no_path;
	bool v6; /* sockets that are opened from now on */
	struct frame *q[WIRE_MAX];
	unsigned n;
	uint64_t drops[BERTH_DROPS];
	uint64_t n_sent, n_bytes;
	struct frame last[2]; /* the latest from each host; without data */
	/* What to do with a segment: nothing, drop it, or change its time. NULL: nothing. */
	bool (*rule)(struct wire *w, struct frame *f); /* false: lost */
	void *arg;
};

void wire_up(struct wire *w);
void wire_down(struct wire *w); /* and checks that nothing is left */
void wire_check_empty(struct wire *w);
/* Lets time pass until nothing is due before `until`, or nothing moves at all. */
void wire_run(struct wire *w, uint64_t for_ns);
void wire_flush(struct wire *w); /* output to the wire, now */
struct bt_addr wire_addr(uint16_t host, bool v6);

uint32_t wire_listen(struct wire *w, uint16_t host, uint16_t port, uint32_t backlog);
uint32_t wire_open(struct wire *w, uint16_t host);
int wire_connect(struct wire *w, uint32_t slot, uint16_t to, uint16_t port);
/* A connection from A to B: the ends. */
void wire_pair(struct wire *w, uint32_t *a, uint32_t *b, uint32_t *listener);
uint32_t wire_accept(struct wire *w, uint32_t listener); /* BT_NO_SLOT: none */
struct bt_conn *wire_conn(struct wire *w, uint32_t slot);
int64_t wire_send(struct wire *w, uint32_t slot, const void *data, size_t len);
int64_t wire_recv(struct wire *w, uint32_t slot, void *data, size_t len);
uint32_t wire_events(struct wire *w, uint32_t slot); /* takes all; those of slot */
/* Puts a segment to host `to` in: as if the other end of slot had sent it. */
void wire_inject(struct wire *w, uint32_t slot, struct bt_tcp_seg *s, const void *data,
		 uint32_t len);
/* A segment with the numbers that slot's end expects next. */
struct bt_tcp_seg wire_next(struct wire *w, uint32_t slot, uint8_t flags);
void wire_close(struct wire *w, uint32_t slot);

#endif

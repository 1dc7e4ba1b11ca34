/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth's engine for cost.c, through its public interface. MTU 1,512, as its segments carry
 * timestamps: the payload is then lwIP's 1,460. Packets are gathered from the engine into the
 * wire's memory, up to BURST of them, and taken in from there together.
 */
#include "packet.h"
#include "stack.h"

#include "../../include/berth/berth.h"
#include "../util.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define BURST	     16u
#define PACKET_BYTES (66u << 10)

const char stack_name[] = "berth";
const bool stack_has_batches = true;

static struct berth *b;
static int host[2], nets[2]; /* A, B */
static uint64_t now = 1000000000u;
static berth_socket listener, client, server;
static uint8_t *wire; /* BURST packets */
static struct berth_output out[BURST];
static uint64_t received;
static struct peer {
	uint32_t seq, ack;
} * peers;
static const uint8_t *answer; /* to a peer that is not here: its last one */
static uint64_t answers;

static void must(int64_t result, const char *what)
{
	char text[128];

	if (result >= 0)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, berth_strerror((int)result));
	die_msg(text);
}

static struct berth_addr addr_of(uint32_t a)
{
	struct berth_addr r = {.b = {[10] = 0xff, [11] = 0xff}};

	put32(r.b + 12, a);
	return r;
}

void stack_start(const struct stack_setup *setup)
{
	struct berth_config config = {
		.key = {1},
		.max_sockets = setup->others + 64,
		.buffer_bytes = 1u << 30,
	};
	struct berth_if_config net = {
		.flags = (setup->checksums ? 0 : BERTH_IF_TX_CHECKSUM | BERTH_IF_RX_CHECKSUM) |
			 (setup->large ? BERTH_IF_TSO : 0),
		.mtu = 1512,
	};
	struct berth_addr any = addr_of(0);
	struct berth_endpoint here = {.addr = addr_of(ADDR_B), .port = 80};

	wire = malloc(BURST * (size_t)PACKET_BYTES);
	peers = calloc(setup->others + 1, sizeof(*peers));
	b = berth_new(&config);
	if (wire == NULL || peers == NULL || b == NULL)
		die_msg("out of memory");
	for (unsigned i = 0; i < 2; i++) {
		struct berth_addr addr = addr_of(i == 0 ? ADDR_A : ADDR_B);

		must(host[i] = berth_host_add(b), "berth_host_add");
		must(nets[i] = berth_if_add(b, (berth_host)host[i], &net), "berth_if_add");
		must(berth_addr_add(b, (berth_if)nets[i], &addr, 24), "berth_addr_add");
		must(berth_route_add(b, (berth_host)host[i], &any, 0, NULL, (berth_if)nets[i], 0),
		     "berth_route_add");
	}
	must(berth_open(b, (berth_host)host[1], BERTH_TCP, 4, &listener), "berth_open");
	must(berth_set(b, listener, BERTH_SO_RCVBUF, STACK_BUFFER, now), "SO_RCVBUF");
	must(berth_bind(b, listener, &here, now), "berth_bind");
	must(berth_listen(b, listener, 64, now), "berth_listen");
}

/* Carries what waits, up to a burst; false: nothing did. */
static bool carry_burst(void)
{
	struct berth_input in[BURST];
	size_t n = berth_output(b, out, BURST, now), m = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t *to = wire + i * PACKET_BYTES, *at = to;

		for (unsigned k = 0; k < out[i].n_iov; k++) {
			memcpy(at, out[i].iov[k].iov_base, out[i].iov[k].iov_len);
			at += out[i].iov[k].iov_len;
		}
		if (get32(to + 16) >> 16 == ADDR_PEERS >> 16) {
			answer = to;
			answers++;
			continue;
		}
		in[m++] = (struct berth_input){
			.packet = to,
			.len = (size_t)(at - to),
			.i = (berth_if)(out[i].i == nets[0] ? nets[1] : nets[0]),
		};
	}
	if (m > 0)
		berth_input_batch(b, in, m, now);
	return n > 0;
}

static void read_all_there_is(void)
{
	struct iovec part;
	unsigned n = 1;

	while (berth_recv_data(b, server, &part, &n) == 0 && n > 0) {
		received += part.iov_len;
		must(berth_recv_done(b, server, part.iov_len, now), "berth_recv_done");
	}
}

static void take_events(void)
{
	struct berth_event event;

	while (berth_event(b, &event)) {
		if (event.what & (BERTH_ERROR | BERTH_ENDED))
			continue;
		if (event.socket == listener)
			must(berth_accept(b, listener, &server, now), "berth_accept");
		else if (event.socket == server && (event.what & BERTH_READABLE))
			read_all_there_is();
	}
}

/* One step; false: nothing moved. */
static bool step(void)
{
	bool moved = carry_burst();

	now += 100;
	take_events();
	if (berth_deadline(b) <= now)
		berth_advance(b, now);
	return moved;
}

static void wait_for_timer(void)
{
	uint64_t at = berth_deadline(b);

	if (at == UINT64_MAX)
		die_msg("nothing will ever happen");
	now = at > now ? at : now;
	berth_advance(b, now);
}

static bool is_connected(berth_socket s)
{
	return (berth_ready(b, s) & BERTH_WRITABLE) != 0;
}

void stack_dial(void)
{
	struct berth_endpoint to = {.addr = addr_of(ADDR_B), .port = 80};

	server = 0;
	must(berth_open(b, (berth_host)host[0], BERTH_TCP, 4, &client), "berth_open");
	must(berth_set(b, client, BERTH_SO_SNDBUF, STACK_BUFFER, now), "SO_SNDBUF");
	must(berth_set(b, client, BERTH_TCP_NODELAY, 1, now), "TCP_NODELAY");
	if (berth_connect(b, client, &to, now) != BERTH_EINPROGRESS)
		die_msg("berth_connect");
	while (step())
		;
	if (server == 0 || !is_connected(client))
		die_msg("not connected");
}

static uint64_t fill_buffer(uint64_t left)
{
	uint64_t filled = 0;

	while (left > filled) {
		struct iovec part;
		unsigned n = 1;

		if (berth_send_room(b, client, &part, &n, left - filled) < 0)
			break;
		must(berth_send_filled(b, client, part.iov_len, now), "berth_send_filled");
		filled += part.iov_len;
	}
	return filled;
}

uint32_t stack_carry(uint64_t bytes)
{
	uint64_t left = bytes;
	struct berth_tcp_info info;

	received = 0;
	for (;;) {
		left -= fill_buffer(left);
		if (step())
			continue;
		must(berth_tcp_info(b, client, &info), "berth_tcp_info");
		if (received == bytes && info.send_queue_bytes == 0)
			break;
		wait_for_timer();
	}
	return info.snd_mss;
}

void stack_reset(void)
{
	must(berth_abort(b, client, now), "berth_abort");
	while (step())
		;
	if (berth_error_take(b, server) != BERTH_ECONNRESET)
		die_msg("not reset");
	must(berth_close(b, server, now), "berth_close");
}

void stack_fill(uint32_t n)
{
	uint8_t packet[STACK_ACK];
	struct berth_event event;

	for (uint32_t i = 0; i < n; i++) {
		berth_socket s;

		write_segment(packet, i, i, 0, 0x02);
		berth_input(b, (berth_if)nets[1], packet, STACK_ACK, now);
		answer = NULL;
		while (carry_burst())
			;
		if (answer == NULL || answer[33] != 0x12)
			die_msg("no SYN-ACK");
		peers[i] = (struct peer){.seq = i + 1, .ack = get32(answer + 24) + 1};
		write_segment(packet, i, peers[i].seq, peers[i].ack, 0x10);
		berth_input(b, (berth_if)nets[1], packet, STACK_ACK, now);
		must(berth_accept(b, listener, &s, now), "berth_accept");
		while (berth_event(b, &event))
			;
	}
}

void stack_ack(uint32_t i, uint8_t packet[STACK_ACK])
{
	write_segment(packet, i, peers[i].seq, peers[i].ack, 0x10);
}

static void no_answer(uint64_t before)
{
	while (carry_burst())
		;
	if (answers != before)
		die_msg("an ACK was answered");
}

void stack_input(const uint8_t *packets, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		berth_input(b, (berth_if)nets[1], packets + (size_t)i * STACK_ACK, STACK_ACK, now);
	no_answer(answers);
}

void stack_input_batch(const uint8_t *packets, unsigned n)
{
	struct berth_input in[BURST];

	for (unsigned i = 0; i < n; i++)
		in[i] = (struct berth_input){.packet = packets + (size_t)i * STACK_ACK,
					     .len = STACK_ACK,
					     .i = (berth_if)nets[1]};
	berth_input_batch(b, in, n, now);
	no_answer(answers);
}

uint64_t stack_memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

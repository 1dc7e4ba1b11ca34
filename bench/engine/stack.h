/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cost.c asks of a stack: two hosts in this process, A 10.0.0.1 and B 10.0.1.2, joined by a
 * wire that copies each packet once, without loss, in virtual time; B listens on port 80. Bytes are
 * sent and received without copying where the stack's interface offers it. Whatever fails ends the
 * program.
 */
#ifndef BERTH_BENCH_ENGINE_STACK_H
#define BERTH_BENCH_ENGINE_STACK_H

#include <stdbool.h>
#include <stdint.h>

#define STACK_BUFFER (256u << 10) /* of each socket, and the window */
#define STACK_ACK    40		  /* bytes of the packets of stack_ack */

struct stack_setup {
	bool checksums;	 /* TCP's, by software, written and checked */
	bool large;	 /* segments of up to 64 KiB cross the wire */
	uint32_t others; /* how many connections stack_fill will be asked for */
};

extern const char stack_name[];
extern const bool stack_has_batches;

void stack_start(const struct stack_setup *setup);
/* A connects to B; both ends are established, and the accepted one is B's only. */
void stack_dial(void);
/* A sends, B reads, until everything is acked. Returns the payload of a full segment. */
uint32_t stack_carry(uint64_t bytes);
/* A aborts what stack_dial made, and B has heard of it. */
void stack_reset(void);

/* Established connections of B's listener with peers that are not here: number i with 10.1.0.0 +
 * i / 50,000, port 1024 + i % 50,000. */
void stack_fill(uint32_t n);
/* A segment without data for number i that changes nothing and asks for nothing. */
void stack_ack(uint32_t i, uint8_t packet[STACK_ACK]);
void stack_input(const uint8_t *packets, unsigned n); /* to B, one by one */
void stack_input_batch(const uint8_t *packets, unsigned n);
/* Bytes in use for the connections, sockets and buffers. */
uint64_t stack_memory(void);

#endif

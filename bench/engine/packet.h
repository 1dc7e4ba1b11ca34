/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made IPv4 segments for connections whose peer is not in the process. */
#ifndef BERTH_BENCH_ENGINE_PACKET_H
#define BERTH_BENCH_ENGINE_PACKET_H

#include "stack.h"

#include <string.h>

#define ADDR_A	   0x0a000001u
#define ADDR_B	   0x0a000102u
#define ADDR_PEERS 0x0a010000u

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t peer_addr(uint32_t i)
{
	return ADDR_PEERS + i / 50000;
}

static inline unsigned peer_port(uint32_t i)
{
	return 1024 + i % 50000;
}

static inline unsigned sum16(const uint8_t *p, unsigned n, uint32_t sum)
{
	for (unsigned i = 0; i < n; i += 2)
		sum += (unsigned)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A segment from peer i to B's port 80, checksums right. flags: as on the wire. */
static inline void write_segment(uint8_t p[STACK_ACK], uint32_t i, uint32_t seq, uint32_t ack,
				 uint8_t flags)
{
	memset(p, 0, STACK_ACK);
	p[0] = 0x45;
	put16(p + 2, STACK_ACK);
	p[6] = 0x40; /* DF */
	p[8] = 64;
	p[9] = 6;
	put32(p + 12, peer_addr(i));
	put32(p + 16, ADDR_B);
	put16(p + 10, 0xffff ^ sum16(p, 20, 0));
	put16(p + 20, peer_port(i));
	put16(p + 22, 80);
	put32(p + 24, seq);
	put32(p + 28, ack);
	p[32] = 0x50;
	p[33] = flags;
	put16(p + 34, 0xffff);
	put16(p + 36, 0xffff ^ sum16(p + 12, 28, 6 + 20));
}

#endif

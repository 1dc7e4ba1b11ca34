/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 (Aumasson and Bernstein, 2012): a short-input hash that nobody without the key can
 * steer. */
#ifndef BERTH_LIB_BASE_SIPHASH_H
#define BERTH_LIB_BASE_SIPHASH_H

#include "assert.h"
#include "bytes.h"

#include <stddef.h>

/* SipHash's state, and what its variants are made of. */
struct bt_sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t bt_sip_rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline uint64_t bt_sip_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline struct bt_sip bt_sip_begin(const uint8_t k[16])
{
	uint64_t k0 = bt_sip_load(k), k1 = bt_sip_load(k + 8);

	return (struct bt_sip){k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
			       k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
}

static inline __attribute__((always_inline)) void bt_sip_round(struct bt_sip *s)
{
	s->v0 += s->v1;
	s->v1 = bt_sip_rotl(s->v1, 13) ^ s->v0;
	s->v0 = bt_sip_rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = bt_sip_rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = bt_sip_rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = bt_sip_rotl(s->v1, 17) ^ s->v2;
	s->v2 = bt_sip_rotl(s->v2, 32);
}

/* One word in c rounds, 1 or 2. */
static inline __attribute__((always_inline)) void bt_sip_word(struct bt_sip *s, uint64_t word,
							      unsigned c)
{
	s->v3 ^= word;
	bt_sip_round(s);
	if (c == 2)
		bt_sip_round(s);
	s->v0 ^= word;
}

/* d rounds, 3 or 4. */
static inline __attribute__((always_inline)) uint64_t bt_sip_end(struct bt_sip *s, unsigned d)
{
	s->v2 ^= 0xff;
	bt_sip_round(s);
	bt_sip_round(s);
	bt_sip_round(s);
	if (d == 4)
		bt_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t bt_siphash(const uint8_t key[16], const void *data, size_t len);
/* SipHash-1-3, half the rounds: for hash tables, whose hashes nobody sees. */
uint64_t bt_siphash13(const uint8_t key[16], const void *data, size_t len);

/* The same of 15 bytes, which take no more words than 8: `a`, and the lower seven of `b`, whose
 * highest is 0. */
static inline uint64_t bt_siphash_15(const uint8_t k[16], uint64_t a, uint64_t b)
{
	struct bt_sip s = bt_sip_begin(k);

	bt_assert(b >> 56 == 0);
	bt_sip_word(&s, a, 2);
	bt_sip_word(&s, b | (uint64_t)15 << 56, 2);
	return bt_sip_end(&s, 4);
}

static inline uint64_t bt_siphash13_15(const uint8_t k[16], uint64_t a, uint64_t b)
{
	struct bt_sip s = bt_sip_begin(k);

	bt_assert(b >> 56 == 0);
	bt_sip_word(&s, a, 1);
	bt_sip_word(&s, b | (uint64_t)15 << 56, 1);
	return bt_sip_end(&s, 3);
}

#endif

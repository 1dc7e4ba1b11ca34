/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that a seed decides: xoshiro256** (Blackman and Vigna 2018), its state filled by
 * splitmix64. For impairments and simulations; not for secrets.
 */
#ifndef BERTH_LINK_RANDOM_H
#define BERTH_LINK_RANDOM_H

#include "wide.h"

#include <stdbool.h>
#include <stdint.h>

struct bt_random {
	uint64_t s[4];
};

static inline void bt_random_seed(struct bt_random *r, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		r->s[i] = z ^ z >> 31;
	}
}

static inline uint64_t bt_random_rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static inline uint64_t bt_random_next(struct bt_random *r)
{
	uint64_t result = bt_random_rotate(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = bt_random_rotate(r->s[3], 45);
	return result;
}

/* 0..n-1, n > 0. The bias is below n / 2^64. */
static inline uint64_t bt_random_below(struct bt_random *r, uint64_t n)
{
	return (uint64_t)((bt_wide)bt_random_next(r) * n >> 64);
}

/* True ppm times in a million; takes a number from the generator in every case. */
static inline bool bt_random_chance(struct bt_random *r, uint32_t ppm)
{
	return bt_random_below(r, 1000000) < ppm;
}

#endif

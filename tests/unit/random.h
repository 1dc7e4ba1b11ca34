/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random and are the same in every run. */
#ifndef BERTH_TESTS_RANDOM_H
#define BERTH_TESTS_RANDOM_H

#include <stdint.h>

static uint64_t rng; /* the seed, at first */

/* 0 to below - 1. */
static inline uint32_t rnd(uint32_t below)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((rng >> 33) % below);
}

#endif

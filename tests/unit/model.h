/* SPDX-License-Identifier: Apache-2.0 */
/* What the random tests against a naive model share: a check that says how to repeat. */
#ifndef BERTH_TESTS_MODEL_H
#define BERTH_TESTS_MODEL_H

#include "random.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t seed;
static unsigned op;

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "BERTH_SEED=%llu operation %u: line %d: %s\n",             \
				(unsigned long long)seed, op, __LINE__, #x);                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Rounds with the seeds 1 to `usual`. BERTH_SEED repeats one, BERTH_ROUNDS sets how many are tried.
 */
static inline int rounds(unsigned long usual, void (*round_of)(uint64_t))
{
	const char *one = getenv("BERTH_SEED"), *n = getenv("BERTH_ROUNDS");
	unsigned long last = n != NULL ? strtoul(n, NULL, 10) : usual;

	if (one != NULL) {
		round_of(strtoull(one, NULL, 10));
		return 0;
	}
	for (unsigned long i = 1; i <= last; i++)
		round_of(i);
	printf("seeds 1 to %lu: %u operations each\n", last, op);
	return 0;
}

#endif

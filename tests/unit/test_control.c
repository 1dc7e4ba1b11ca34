/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random messages to a berthd (tests/fuzz/control.h) from fixed seeds for three seconds. BERTH_SEED
 * repeats one, BERTH_SECONDS sets how long. tests/fuzz/fuzz_control.c is the same for libFuzzer.
 */
#include "../fuzz/control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed;

static void died(int signum)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "BERTH_SEED=%llu\n", (unsigned long long)seed);

	if (n > 0 && write(2, line, (size_t)n) < 0)
		_exit(2);
	signal(signum, SIG_DFL);
	raise(signum);
}

static void round_of(uint64_t s)
{
	uint8_t data[4096];
	uint64_t rng = seed = s;

	for (size_t i = 0; i < sizeof(data); i++) {
		rng = rng * 6364136223846793005u + 1442695040888963407u;
		data[i] = (uint8_t)(rng >> 56);
	}
	control_run(data, 256 + (rng >> 33) % (sizeof(data) - 256));
}

int main(void)
{
	const char *one = getenv("BERTH_SEED"), *n = getenv("BERTH_SECONDS");
	double seconds = n != NULL ? atof(n) : 3;
	clock_t start = clock();
	unsigned long calls, good;

	signal(SIGABRT, died);
	if (one != NULL) {
		round_of(strtoull(one, NULL, 10));
		return 0;
	}
	do
		round_of(seed + 1);
	while ((double)(clock() - start) / CLOCKS_PER_SEC < seconds);
	control_counts(&calls, &good);
	printf("seeds 1 to %llu: %lu messages, %lu of them answered with success\n",
	       (unsigned long long)seed, calls, good);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random messages to every parser of lib/wire (tests/fuzz/wire.h) from fixed seeds for two seconds:
 * legal ones are read as they were written, all that are cut are refused, and where a byte is
 * wrong, or all are, what is accepted is legal. BERTH_SEED repeats one, BERTH_SECONDS sets how
 * long. With --corpus DIR it writes some messages of each format, for libFuzzer to begin with.
 */
#include "../fuzz/wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed;
static unsigned long tried, accepted;

static void died(int signum)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "BERTH_SEED=%llu\n", (unsigned long long)seed);

	if (n > 0 && write(2, line, (size_t)n) < 0)
		_exit(2);
	signal(signum, SIG_DFL);
	raise(signum);
}

static bool check(enum wire_format f, const uint8_t *data, size_t len)
{
	bool ok = wire_check(f, data, len);

	tried++;
	accepted += ok;
	return ok;
}

static void cut_anywhere(enum wire_format f, const uint8_t *data, size_t len)
{
	for (size_t cut = 1; cut <= len; cut++) {
		bool ok = check(f, data, cut);

		if (ok != wire_may_end(f, data, len, cut)) {
			fprintf(stderr, "%s: cut from %zu to %zu bytes it is %s\n", wire_name(f),
				len - 1, cut - 1, ok ? "accepted" : "refused");
			abort();
		}
	}
}

static void break_anywhere(enum wire_format f, uint8_t *data, size_t len, uint64_t *rng)
{
	for (size_t i = 0; i < len && i < 128; i++) {
		uint8_t was = data[i];

		for (unsigned k = 0; k < 10; k++) {
			*rng = *rng * 6364136223846793005u + 1442695040888963407u;
			data[i] = (uint8_t)(k < 8 ? was ^ 1u << k : *rng >> 40);
			check(f, data, len);
		}
		data[i] = was;
	}
}

static void round_of(uint64_t s)
{
	uint8_t data[WIRE_MAX];
	uint64_t rng = seed = s;

	for (unsigned f = 0; f < WIRE_FORMATS; f++) {
		size_t len = wire_make(f, &rng, data);

		cut_anywhere(f, data, len);
		break_anywhere(f, data, len, &rng);
		for (size_t i = 0; i < len; i++) {
			rng = rng * 6364136223846793005u + 1442695040888963407u;
			if ((rng >> 33) % 4 == 0)
				data[i] = (uint8_t)(rng >> 56);
		}
		check(f, data, len);
	}
}

static void write_corpus(const char *dir)
{
	uint8_t data[WIRE_MAX];
	uint64_t rng = 1;
	char path[4096];

	for (unsigned f = 0; f < WIRE_FORMATS; f++) {
		snprintf(path, sizeof(path), "%s/%s", dir, wire_name(f));
		(void)mkdir(path, 0777);
		for (unsigned i = 0; i < 30; i++) {
			size_t len = wire_make(f, &rng, data);
			FILE *out;

			snprintf(path, sizeof(path), "%s/%s/%u", dir, wire_name(f), i);
			out = fopen(path, "w");
			if (out == NULL || fwrite(data, 1, len, out) != len || fclose(out) != 0) {
				perror(path);
				exit(1);
			}
		}
	}
}

int main(int argc, char **argv)
{
	const char *one = getenv("BERTH_SEED"), *n = getenv("BERTH_SECONDS");
	double seconds = n != NULL ? atof(n) : 2;
	clock_t start = clock();

	signal(SIGABRT, died);
	if (argc == 3 && strcmp(argv[1], "--corpus") == 0) {
		write_corpus(argv[2]);
		return 0;
	}
	if (one != NULL) {
		round_of(strtoull(one, NULL, 10));
		return 0;
	}
	do
		round_of(seed + 1);
	while ((double)(clock() - start) / CLOCKS_PER_SEC < seconds);
	printf("seeds 1 to %llu: %lu messages, %lu of them accepted\n", (unsigned long long)seed,
	       tried, accepted);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a command takes from start to end: run --iters times, one after the other, median and
 * p99.
 * "@@" in a word of the command becomes the number of the run (a network of its own for each, say).
 */
#include "util.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Returns its argument, or a copy with the number in it, which is left to the process's end. */
static char *numbered(char *word, uint64_t i)
{
	const char *at = strstr(word, "@@");
	char *out;

	if (!at)
		return word;
	if (asprintf(&out, "%.*s%llu%s", (int)(at - word), word, (unsigned long long)i, at + 2) < 0)
		die("asprintf");
	return out;
}

static uint64_t one_run(char **command, int n_words, uint64_t i)
{
	char **words = calloc((size_t)n_words + 1, sizeof(*words));
	int status, err;
	pid_t pid;

	if (!words)
		die("calloc");
	for (int k = 0; k < n_words; k++)
		words[k] = numbered(command[k], i);
	uint64_t start = now_ns();
	err = posix_spawnp(&pid, words[0], NULL, NULL, words, environ);
	if (err) {
		fprintf(stderr, "spawn_cost: %s: %s\n", words[0], strerror(err));
		exit(1);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	uint64_t spent = now_ns() - start;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die_msg("the command failed");
	free(words);
	return spent;
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 100, .warmup = 2, .size = 1, .conns = 1};

	bench_options(&o, argc, argv, false);
	if (o.rest >= argc)
		die_msg("a command must follow the options");
	uint64_t *ns = calloc(o.iters, sizeof(*ns));
	if (!ns)
		die("calloc");
	for (uint64_t i = 0; i < o.warmup; i++)
		one_run(argv + o.rest, argc - o.rest, i);
	for (uint64_t i = 0; i < o.iters; i++)
		ns[i] = one_run(argv + o.rest, argc - o.rest, o.warmup + i);
	sort_u64(ns, o.iters);
	printf("ms_p50=%.3f ms_p99=%.3f\n", (double)ns[o.iters / 2] / 1e6,
	       (double)ns[o.iters * 99 / 100] / 1e6);
	free(ns);
	return 0;
}

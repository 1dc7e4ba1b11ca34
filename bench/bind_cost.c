/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bind(2) costs, alone: --conns TCP sockets are made, bound and closed, each step timed for
 * the whole batch, --iters batches; the median batch counts. Once with port 0, once with ports from
 * --port upward.
 */
#include "util.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct times {
	uint64_t *made, *bound, *closed; /* ns of each batch */
};

static void one_batch(const struct options *o, const struct times *t, uint64_t i, int *fds,
		      bool zero)
{
	struct sockaddr_in sin = dest_of(o);
	uint64_t t0 = now_ns();

	for (unsigned k = 0; k < o->conns; k++) {
		fds[k] = socket(AF_INET, SOCK_STREAM, 0);
		if (fds[k] < 0)
			die("socket");
	}
	uint64_t t1 = now_ns();
	for (unsigned k = 0; k < o->conns; k++) {
		sin.sin_port = zero ? 0 : htons((uint16_t)(o->port + k));
		if (bind(fds[k], (struct sockaddr *)&sin, sizeof(sin)))
			die("bind");
	}
	uint64_t t2 = now_ns();
	for (unsigned k = 0; k < o->conns; k++)
		close(fds[k]);
	t->made[i] = t1 - t0;
	t->bound[i] = t2 - t1;
	t->closed[i] = now_ns() - t2;
}

static double median_each(uint64_t *v, const struct options *o)
{
	sort_u64(v, o->iters);
	return (double)v[o->iters / 2] / o->conns;
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 20, .warmup = 2, .size = 1, .conns = 200, .port = 20000};
	struct times t;

	bench_options(&o, argc, argv, false);
	int *fds = calloc(o.conns, sizeof(*fds));
	uint64_t *mem = calloc(3 * o.iters, sizeof(*mem));
	if (!fds || !mem)
		die("calloc");
	t = (struct times){mem, mem + o.iters, mem + 2 * o.iters};
	for (int zero = 1; zero >= 0; zero--) {
		for (uint64_t i = 0; i < o.warmup; i++)
			one_batch(&o, &t, 0, fds, zero);
		for (uint64_t i = 0; i < o.iters; i++)
			one_batch(&o, &t, i, fds, zero);
		printf("%s_ns=%.0f ", zero ? "bind_zero" : "bind_port", median_each(t.bound, &o));
	}
	printf("socket_ns=%.0f close_ns=%.0f\n", median_each(t.made, &o),
	       median_each(t.closed, &o));
	free(fds);
	free(mem);
	return 0;
}

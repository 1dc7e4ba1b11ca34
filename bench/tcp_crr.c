/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect, request, response, close, one connection after the other. The client closes first, and
 * the server when it reads the end; with --server-closes the other way round. The first closer's
 * end stays in TIME_WAIT for a minute: keep --iters plus --warmup well below the ephemeral range
 * (28,232).
 */
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char buf[MAX_SIZE];

static int serve(const struct options *o)
{
	int lfd = tcp_listener(o, 128);
	bool quit = false;

	print_ready(lfd);
	while (!quit) {
		int fd = accept(lfd, NULL, NULL);
		if (fd < 0)
			die("accept");
		if (!read_all(fd, buf, o->size))
			die_msg("end of file before the request");
		quit = buf[0] == QUIT;
		write_all(fd, buf, o->size);
		if (!o->server_closes && read_all(fd, buf, 1))
			die_msg("more than one request");
		close(fd);
	}
	close(lfd);
	return 0;
}

static void one_connection(const struct options *o, unsigned char first)
{
	int fd = tcp_connected(o);

	buf[0] = first;
	write_all(fd, buf, o->size);
	if (!read_all(fd, buf, o->size))
		die_msg("the server closed");
	if (o->server_closes && read_all(fd, buf, 1))
		die_msg("more than one response");
	close(fd);
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 5000, .warmup = 500, .size = 64, .conns = 1};

	bench_options(&o, argc, argv, true);
	if (o.server)
		return serve(&o);
	memset(buf, '.', o.size);
	for (uint64_t i = 0; i < o.warmup; i++)
		one_connection(&o, '.');
	uint64_t start = now_ns();
	for (uint64_t i = 0; i < o.iters; i++)
		one_connection(&o, '.');
	uint64_t spent = now_ns() - start;
	one_connection(&o, QUIT);
	printf("us=%.3f iters=%" PRIu64 "\n", (double)spent / (double)o.iters / 1000, o.iters);
	return 0;
}

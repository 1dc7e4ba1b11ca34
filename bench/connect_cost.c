/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What connect(2) costs, alone. Each connection is made, timed, used for one byte each way, and
 * closed at both ends before the next is made, so that the server has nothing else to do meanwhile.
 */
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve(const struct options *o)
{
	int lfd = tcp_listener(o, 128);
	unsigned char c = 0;

	print_ready(lfd);
	while (c != QUIT) {
		int fd = accept(lfd, NULL, NULL);
		if (fd < 0)
			die("accept");
		if (!read_all(fd, &c, 1))
			die_msg("end of file before the request");
		write_all(fd, &c, 1);
		if (read_all(fd, &(char){0}, 1))
			die_msg("more than one request");
		close(fd);
	}
	close(lfd);
	return 0;
}

static uint64_t one_connect(const struct sockaddr_in *to, unsigned char c)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	uint64_t start = now_ns();
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	uint64_t spent = now_ns() - start;
	write_all(fd, &c, 1);
	if (!read_all(fd, &c, 1) || shutdown(fd, SHUT_WR) || read_all(fd, &c, 1))
		die_msg("not the server's one byte and its end");
	close(fd);
	return spent;
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 5000, .warmup = 500, .size = 1, .conns = 1};

	bench_options(&o, argc, argv, true);
	if (o.server)
		return serve(&o);
	struct sockaddr_in to = dest_of(&o);
	uint64_t *ns = calloc(o.iters, sizeof(*ns));
	if (!ns)
		die("calloc");
	for (uint64_t i = 0; i < o.warmup; i++)
		one_connect(&to, '.');
	for (uint64_t i = 0; i < o.iters; i++)
		ns[i] = one_connect(&to, '.');
	one_connect(&to, QUIT);
	sort_u64(ns, o.iters);
	printf("us_p50=%.3f us_p99=%.3f iters=%" PRIu64 "\n", (double)ns[o.iters / 2] / 1000,
	       (double)ns[o.iters * 99 / 100] / 1000, o.iters);
	free(ns);
	return 0;
}

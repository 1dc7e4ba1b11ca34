/* SPDX-License-Identifier: Apache-2.0 */
/* TCP round trips on one connection: the client sends a message, the server sends it back. */
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char buf[MAX_SIZE];

static int serve(const struct options *o)
{
	int lfd = tcp_listener(o, 16);
	print_ready(lfd);
	int fd = accept(lfd, NULL, NULL);
	if (fd < 0)
		die("accept");
	no_delay(fd);
	int ep = maybe_epoll(o, fd);
	for (;;) {
		maybe_wait(ep);
		if (!read_all(fd, buf, o->size))
			break;
		write_all(fd, buf, o->size);
	}
	close(fd);
	close(lfd);
	return 0;
}

static void round_trips(const struct options *o, int fd, int ep, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		write_all(fd, buf, o->size);
		maybe_wait(ep);
		if (!read_all(fd, buf, o->size))
			die_msg("the server closed");
	}
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 20000, .warmup = 2000, .size = 64, .conns = 1};

	bench_options(&o, argc, argv, true);
	if (o.server)
		return serve(&o);
	memset(buf, '.', o.size);
	int fd = tcp_connected(&o);
	no_delay(fd);
	int ep = maybe_epoll(&o, fd);
	round_trips(&o, fd, ep, o.warmup);
	uint64_t start = now_ns();
	round_trips(&o, fd, ep, o.iters);
	uint64_t spent = now_ns() - start;
	close(fd);
	printf("rtt_ns=%.1f iters=%" PRIu64 "\n", (double)spent / (double)o.iters, o.iters);
	return 0;
}

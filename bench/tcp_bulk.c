/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP one way: the client writes --size bytes at a time for --ms, then shuts its side down; the
 * server reads to the end (64 KiB at a time) and answers the number of bytes that came, which ends
 * the timed part.
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
	int lfd = tcp_listener(o, 16);
	uint64_t total = 0;

	print_ready(lfd);
	int fd = accept(lfd, NULL, NULL);
	if (fd < 0)
		die("accept");
	for (;;) {
		ssize_t n = recv(fd, buf, 65536, 0);
		if (n < 0)
			die("recv");
		if (n == 0)
			break;
		total += (uint64_t)n;
	}
	write_all(fd, &total, sizeof(total));
	close(fd);
	close(lfd);
	return 0;
}

/* Looks at the clock once in about 256 KiB, so that the clock is no part of the cost. */
static uint64_t send_for(const struct options *o, int fd, uint64_t until_ns)
{
	uint64_t sent = 0;
	size_t writes = 262144 / o->size + 1;

	do {
		for (size_t i = 0; i < writes; i++)
			write_all(fd, buf, o->size);
		sent += writes * o->size;
	} while (now_ns() < until_ns);
	return sent;
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 1, .ms = 300, .size = 65536, .conns = 1};
	uint64_t got;

	bench_options(&o, argc, argv, true);
	if (o.server)
		return serve(&o);
	memset(buf, '.', o.size);
	int fd = tcp_connected(&o);
	uint64_t warm =
		send_for(&o, fd, now_ns() + o.ms * 200000); /* windows grow: 20 % of the time */
	uint64_t start = now_ns();
	uint64_t sent = send_for(&o, fd, start + o.ms * 1000000);
	if (shutdown(fd, SHUT_WR))
		die("shutdown");
	if (!read_all(fd, &got, sizeof(got)))
		die_msg("the server closed");
	uint64_t spent = now_ns() - start;
	close(fd);
	if (got != sent + warm)
		die_msg("bytes were lost");
	printf("gb_per_s=%.3f bytes=%" PRIu64 "\n", (double)sent / (double)spent, sent);
	return 0;
}

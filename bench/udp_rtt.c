/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP round trips: sendto/recvfrom on unconnected sockets, or with --connected send/recv on a
 * connected client (the server answers whoever wrote). A datagram that starts with QUIT ends the
 * server. A lost datagram ends the run after a second: the loss is an error here, for nothing on
 * the way is full.
 */
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static unsigned char buf[MAX_SIZE];

static int serve(const struct options *o)
{
	int fd = bound_socket(o, SOCK_DGRAM);
	print_ready(fd);
	int ep = maybe_epoll(o, fd);
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		maybe_wait(ep);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			die("recvfrom");
		if (n > 0 && buf[0] == QUIT)
			break;
		if (sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
			die("sendto");
	}
	close(fd);
	return 0;
}

static void one_trip(const struct options *o, int fd, int ep, const struct sockaddr_in *to)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	if (o->connected)
		n = send(fd, buf, o->size, 0);
	else
		n = sendto(fd, buf, o->size, 0, (const struct sockaddr *)to, sizeof(*to));
	if (n != (ssize_t)o->size)
		die("send");
	maybe_wait(ep);
	if (o->connected)
		n = recv(fd, buf, o->size, 0);
	else
		n = recvfrom(fd, buf, o->size, 0, (struct sockaddr *)&from, &len);
	if (n != (ssize_t)o->size)
		die("no answer within a second");
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 20000, .warmup = 2000, .size = 64, .conns = 1};

	bench_options(&o, argc, argv, true);
	if (o.server)
		return serve(&o);
	struct sockaddr_in to = dest_of(&o);
	struct timeval second = {.tv_sec = 1};
	unsigned char quit = QUIT;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)))
		die("socket");
	if (o.connected && connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	int ep = maybe_epoll(&o, fd);
	memset(buf, '.', o.size);
	for (uint64_t i = 0; i < o.warmup; i++)
		one_trip(&o, fd, ep, &to);
	uint64_t start = now_ns();
	for (uint64_t i = 0; i < o.iters; i++)
		one_trip(&o, fd, ep, &to);
	uint64_t spent = now_ns() - start;
	if ((o.connected ? send(fd, &quit, 1, 0)
			 : sendto(fd, &quit, 1, 0, (struct sockaddr *)&to, sizeof(to))) != 1)
		die("send");
	close(fd);
	printf("rtt_ns=%.1f iters=%" PRIu64 "\n", (double)spent / (double)o.iters, o.iters);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections per second with --conns of them in flight. Client and server are one thread each on
 * epoll, with non-blocking sockets. The server greets each connection with one byte as soon as it
 * has accepted it and closes it at end of file; the client closes at the greeting and starts the
 * next. With --request the client sends a request of --size bytes once connected and the greeting
 * is a response of that size: "connect, request, response, close", many at once. The server ends
 * with its client: one connection, held from start to end, is the first to be made and the last to
 * be closed.
 */
#include "util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 128 };

static unsigned char buf[MAX_SIZE];

static void watch(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data = {.fd = fd}};

	if (epoll_ctl(ep, op, fd, &ev))
		die("epoll_ctl");
}

/* Messages are small and the buffers empty: a short count is an error. */
static void send_once(int fd, size_t size)
{
	if (send(fd, buf, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
}

/* One accept for each wake-up, as a server without batching does. */
static void accept_one(const struct options *o, int ep, int lfd)
{
	int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0)
		die("accept");
	watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
	if (!o->request)
		send_once(fd, 1);
}

static int serve(const struct options *o)
{
	struct epoll_event evs[EVENTS];
	int lfd = tcp_listener(o, 4096), ep = epoll_create1(0);

	if (ep < 0)
		die("epoll_create1");
	print_ready(lfd);
	int control = accept(lfd, NULL, NULL);
	if (control < 0)
		die("accept");
	watch(ep, EPOLL_CTL_ADD, control, EPOLLIN);
	watch(ep, EPOLL_CTL_ADD, lfd, EPOLLIN);
	for (;;) {
		int n = epoll_wait(ep, evs, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			if (fd == lfd) {
				accept_one(o, ep, lfd);
				continue;
			}
			if (fd == control)
				return 0;
			ssize_t got = recv(fd, buf, o->size, 0);
			if (got > 0)
				send_once(fd, (size_t)got);
			else if (got == 0)
				close(fd);
			else if (errno != EAGAIN)
				die("recv");
		}
	}
}

static void start_one(int ep, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) && errno != EINPROGRESS)
		die("connect");
	watch(ep, EPOLL_CTL_ADD, fd, EPOLLOUT);
}

static void now_connected(const struct options *o, int ep, int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		die("SO_ERROR");
	errno = err;
	if (err)
		die("connect");
	if (o->request)
		send_once(fd, o->size);
	watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN);
}

/* Makes `total` connections, --conns at once; returns when all are closed. */
static void run(const struct options *o, int ep, const struct sockaddr_in *to, uint64_t total)
{
	struct epoll_event evs[EVENTS];
	uint64_t started = 0, done = 0;

	for (; started < o->conns && started < total; started++)
		start_one(ep, to);
	while (done < total) {
		int n = epoll_wait(ep, evs, EVENTS, 5000);
		if (n <= 0)
			die_msg("nothing happened for five seconds");
		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			if (evs[i].events & EPOLLOUT) {
				now_connected(o, ep, fd);
				continue;
			}
			if (recv(fd, buf, o->size, 0) <= 0)
				die("the server's answer");
			close(fd);
			done++;
			if (started < total) {
				start_one(ep, to);
				started++;
			}
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 5000, .warmup = 500, .size = 64, .conns = 64};

	bench_options(&o, argc, argv, true);
	if (o.server)
		return serve(&o);
	struct sockaddr_in to = dest_of(&o);
	int control = tcp_connected(&o), ep = epoll_create1(0);
	if (ep < 0)
		die("epoll_create1");
	memset(buf, '.', o.size);
	run(&o, ep, &to, o.warmup);
	uint64_t start = now_ns();
	run(&o, ep, &to, o.iters);
	uint64_t spent = now_ns() - start;
	close(control);
	printf("per_s=%.0f iters=%" PRIu64 "\n", (double)o.iters * 1e9 / (double)spent, o.iters);
	return 0;
}

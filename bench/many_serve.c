/* SPDX-License-Identifier: Apache-2.0 */
#include "many.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS = 1, SPEAKS = 2, RECEIVES = 3 };

struct worker {
	int ep;
	unsigned held, most;
	const int *fds;
	unsigned n_fds;
};

void more_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		die("getrlimit");
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		die("setrlimit");
}

static void watch(int ep, int fd, uint32_t kind, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static void take_one(struct worker *w, int lfd)
{
	int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && errno != EAGAIN)
		die("accept");
	if (fd < 0)
		return;
	watch(w->ep, fd, SPEAKS, EPOLLIN);
	if (++w->held < w->most)
		return;
	for (unsigned i = 0; i < w->n_fds; i++) /* the others accept from now on */
		epoll_ctl(w->ep, EPOLL_CTL_DEL, w->fds[i], NULL);
}

/* A byte ends its connection, so that this end has closed first. */
static void hear_one(struct worker *w, int fd)
{
	unsigned char c = 0;

	if (recv(fd, &c, 1, 0) == 1 && c == QUIT)
		exit(0);
	close(fd);
	w->held--;
}

static void answer_one(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	unsigned char c = 0;

	if (recvfrom(fd, &c, 1, 0, (struct sockaddr *)&from, &len) != 1)
		die("recvfrom");
	if (c == QUIT)
		exit(0);
	if (sendto(fd, &c, 1, 0, (struct sockaddr *)&from, len) != 1)
		die("sendto");
}

static _Noreturn void work(const int *fds, unsigned n, bool udp, bool shared)
{
	struct worker w = {epoll_create1(EPOLL_CLOEXEC), 0, PER_PROCESS, fds, n};
	struct epoll_event ev;

	if (w.ep < 0)
		die("epoll_create1");
	for (unsigned i = 0; i < n; i++)
		watch(w.ep, fds[i], udp ? RECEIVES : ACCEPTS,
		      EPOLLIN | (shared ? EPOLLEXCLUSIVE : 0u));
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;) {
		if (epoll_wait(w.ep, &ev, 1, -1) != 1)
			die("epoll_wait");
		int fd = (int)(uint32_t)ev.data.u64;
		switch (ev.data.u64 >> 32) {
		case ACCEPTS:
			take_one(&w, fd);
			break;
		case SPEAKS:
			hear_one(&w, fd);
			break;
		default:
			answer_one(fd);
		}
	}
}

static int *open_ports(const struct options *o, unsigned from, unsigned n, bool udp)
{
	struct options one = *o;
	int *fds = calloc(n, sizeof(*fds));

	if (!fds)
		die("calloc");
	for (unsigned i = 0; i < n; i++) {
		one.port = (uint16_t)(o->port + from + i);
		fds[i] = udp ? bound_socket(&one, SOCK_DGRAM) : tcp_listener(&one, BACKLOG);
		if (fcntl(fds[i], F_SETFL, O_NONBLOCK))
			die("fcntl");
	}
	return fds;
}

int many_serve(const struct options *o, unsigned held, bool udp)
{
	unsigned parts = held > 0 ? held / PER_PROCESS + 2 : (o->conns - 1) / PER_PROCESS + 1;
	int *fds = held > 0 ? open_ports(o, 0, o->conns, udp) : NULL;
	pid_t *pids = calloc(parts, sizeof(*pids));

	if (!pids)
		die("calloc");
	for (unsigned i = 0; i < parts; i++) {
		unsigned from = i * PER_PROCESS, left = o->conns - from;
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (pids[i] > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (held > 0)
			work(fds, o->conns, udp, true);
		left = left < PER_PROCESS ? left : PER_PROCESS;
		work(open_ports(o, from, left, udp), left, udp, false);
	}
	wait(NULL); /* one was told to end, or failed */
	for (unsigned i = 0; i < parts; i++)
		kill(pids[i], SIGKILL);
	free(pids);
	free(fds);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

_Noreturn void die_msg(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v > max) {
		fprintf(stderr, "%s: not a number from 0 to %llu: %s\n",
			program_invocation_short_name, (unsigned long long)max, text);
		exit(1);
	}
	return v;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void take_option(struct options *o, int c)
{
	switch (c) {
	case 'a':
		o->addr = optarg;
		break;
	case 'p':
		o->port = (uint16_t)number(optarg, 65535);
		break;
	case 'c':
		o->cpu = (int)number(optarg, CPU_SETSIZE - 1);
		break;
	case 'i':
		o->iters = number(optarg, 1000000000);
		break;
	case 'w':
		o->warmup = number(optarg, 1000000000);
		break;
	case 'm':
		o->ms = number(optarg, 3600000);
		break;
	case 's':
		o->size = (size_t)number(optarg, MAX_SIZE);
		break;
	case 'n':
		o->conns = (unsigned)number(optarg, 1000000);
		break;
	case 'e':
		o->epoll = true;
		break;
	case 'C':
		o->connected = true;
		break;
	case 'r':
		o->request = true;
		break;
	case 'S':
		o->server_closes = true;
		break;
	case 'g':
		o->cc = optarg;
		break;
	default:
		exit(1); /* getopt_long has said why */
	}
}

void bench_options(struct options *o, int argc, char **argv, bool roles)
{
	static const struct option longs[] = {
		{"addr", required_argument, NULL, 'a'},	  {"port", required_argument, NULL, 'p'},
		{"cpu", required_argument, NULL, 'c'},	  {"iters", required_argument, NULL, 'i'},
		{"warmup", required_argument, NULL, 'w'}, {"ms", required_argument, NULL, 'm'},
		{"size", required_argument, NULL, 's'},	  {"conns", required_argument, NULL, 'n'},
		{"epoll", no_argument, NULL, 'e'},	  {"connected", no_argument, NULL, 'C'},
		{"request", no_argument, NULL, 'r'},	  {"server-closes", no_argument, NULL, 'S'},
		{"cc", required_argument, NULL, 'g'},	  {NULL, 0, NULL, 0},
	};
	int c;

	o->cpu = -1;
	if (!o->addr)
		o->addr = "127.0.0.1";
	/* "+": options end at the first other word, which may be a command to run */
	if (roles) {
		if (argc < 2 || (strcmp(argv[1], "server") && strcmp(argv[1], "client")))
			die_msg("the first word must be \"server\" or \"client\"");
		o->server = !strcmp(argv[1], "server");
		optind = 2;
	}
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1)
		take_option(o, c);
	o->rest = optind;
	if (!o->size || !o->iters || !o->conns)
		die_msg("--size, --iters and --conns must be at least 1");
	pin(o->cpu);
}

struct sockaddr_in dest_of(const struct options *o)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(o->port)};

	if (inet_pton(AF_INET, o->addr, &sin.sin_addr) != 1)
		die_msg("--addr: not an IPv4 address");
	return sin;
}

int bound_socket(const struct options *o, int type)
{
	struct sockaddr_in sin = dest_of(o);
	int on = 1;
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		die("socket");
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		die("SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("bind");
	return fd;
}

int tcp_listener(const struct options *o, int backlog)
{
	int fd = bound_socket(o, SOCK_STREAM);

	set_cc(fd, o); /* accepted sockets inherit it */
	if (listen(fd, backlog))
		die("listen");
	return fd;
}

int tcp_connected(const struct options *o)
{
	struct sockaddr_in sin = dest_of(o);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	set_cc(fd, o);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("connect");
	return fd;
}

void set_cc(int fd, const struct options *o)
{
	if (o->cc && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, o->cc, (socklen_t)strlen(o->cc)))
		errno = 0; /* not this system's, or not there: the default stays */
}

void no_delay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("TCP_NODELAY");
}

void print_ready(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	if (getsockname(fd, (struct sockaddr *)&sin, &len))
		die("getsockname");
	printf("ready %u\n", ntohs(sin.sin_port));
	fflush(stdout);
}

bool read_all(int fd, void *buf, size_t size)
{
	for (size_t got = 0; got < size;) {
		ssize_t n = recv(fd, (char *)buf + got, size - got, 0);
		if (n < 0)
			die("recv");
		if (n == 0 && got == 0)
			return false;
		if (n == 0)
			die_msg("end of file inside a message");
		got += (size_t)n;
	}
	return true;
}

void write_all(int fd, const void *buf, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t n = send(fd, (const char *)buf + sent, size - sent, MSG_NOSIGNAL);
		if (n < 0)
			die("send");
		sent += (size_t)n;
	}
}

int maybe_epoll(const struct options *o, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};
	int ep;

	if (!o->epoll)
		return -1;
	ep = epoll_create1(0);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		die("epoll");
	return ep;
}

void maybe_wait(int ep)
{
	struct epoll_event ev;

	if (ep >= 0 && epoll_wait(ep, &ev, 1, -1) != 1)
		die("epoll_wait");
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void sort_u64(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare_u64);
}

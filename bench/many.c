/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call costs when many sockets are there.
 *
 *   many server --conns PORTS shared HELD | tcp | udp
 *   many client --conns PORTS connect LOW HIGH   connect() while 0 to 100 % of the client's ports
 *                                                have a connection
 *   many client --conns 1 bind LOW HIGH          bind() to port 0 while they are bound
 *   many client --conns PORTS tcp | udp          connect() to one of many listeners, sendto() to
 *                                                one of many bound sockets
 *
 * LOW and HIGH are the range of ephemeral ports that is in force. The ports are filled with real
 * connections that other processes hold, in the order in which Linux itself would fill them: it
 * gives away every second port before the others. Where the system knows IP_LOCAL_PORT_RANGE each
 * holder asks for its port, which is only a short cut: found by searching, it would be the same.
 * Every timed connection has ended on both sides before the next; the server closes first, so that
 * no TIME_WAIT holds a port of the client.
 */
#include "many.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

struct fill {
	const struct options *o;
	bool bind; /* to port 0, instead of connecting */
	uint16_t *order;
	unsigned ports, filled;
	pid_t holders[16];
	unsigned n_holders;
	uint64_t *ns;
};

static struct sockaddr_in destination(const struct options *o, unsigned i)
{
	struct sockaddr_in sin = dest_of(o);

	sin.sin_port = htons((uint16_t)(o->port + i % o->conns));
	return sin;
}

/* In Linux, connect begins with the ports that lie an even number above the lowest, bind with the
 * others. */
static void plan(struct fill *f, uint16_t low)
{
	unsigned n = 0, halves[2] = {0, 0};

	for (unsigned parity = 0; parity < 2; parity++) {
		for (unsigned p = f->bind ? !parity : parity; p < f->ports; p += 2)
			f->order[n++] = (uint16_t)(low + p);
		halves[parity] = n;
	}
	for (unsigned half = 0; half < 2; half++) {
		unsigned from = half ? halves[0] : 0;
		for (unsigned i = halves[half] - 1; i > from; i--) {
			unsigned j = from + (unsigned)random() % (i - from + 1);
			uint16_t t = f->order[i];
			f->order[i] = f->order[j];
			f->order[j] = t;
		}
	}
}

static int call_once(const struct fill *f, int fd, unsigned i)
{
	struct sockaddr_in sin = destination(f->o, i);

	if (!f->bind)
		return connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	sin.sin_port = 0;
	return bind(fd, (struct sockaddr *)&sin, sizeof(sin));
}

/* A process that holds `count` more ports. */
static void hold(struct fill *f, unsigned count)
{
	int said[2];
	char c = 0;

	fflush(stdout); /* what is buffered is not the holder's to say, too */
	if (pipe(said))
		die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(said[0]);
		for (unsigned i = f->filled; i < f->filled + count; i++) {
			uint32_t only = f->order[i] * 0x10001u;
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			if (fd < 0)
				die("socket");
			setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &only, sizeof(only));
			if (call_once(f, fd, i))
				die("a held socket");
		}
		if (write(said[1], &c, 1) != 1)
			die("write");
		for (;;)
			pause();
	}
	f->holders[f->n_holders++] = pid;
	close(said[1]);
	if (read(said[0], &c, 1) != 1)
		die_msg("a holder failed");
	close(said[0]);
	f->filled += count;
}

static uint64_t timed(const struct fill *f, unsigned i, bool full)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned char c = '.';

	if (fd < 0)
		die("socket");
	uint64_t start = now_ns();
	int r = call_once(f, fd, i);
	uint64_t spent = now_ns() - start;
	if (r == 0 && full)
		die_msg("a port, though all are taken");
	if (r != 0 && !(full && errno == (f->bind ? EADDRINUSE : EADDRNOTAVAIL)))
		die("the timed call");
	if (r == 0 && !f->bind) {
		write_all(fd, &c, 1);
		if (read_all(fd, &c, 1))
			die_msg("more than the server's end");
	}
	close(fd);
	return spent;
}

/* A connection from a port outside the range, over which the server will be told to end. */
static int control(const struct options *o, uint16_t from)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(from)};
	struct sockaddr_in sin = destination(o, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) ||
	    connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("the control connection");
	return fd;
}

static void level(struct fill *f, unsigned per_mille)
{
	unsigned wanted = (unsigned)((uint64_t)f->ports * per_mille / 1000);
	bool full = per_mille == 1000 && (f->bind || f->o->conns == 1);

	while (f->filled < wanted) {
		unsigned more = wanted - f->filled;
		hold(f, more < PER_PROCESS ? more : PER_PROCESS);
	}
	for (uint64_t i = 0; i < f->o->warmup; i++)
		timed(f, (unsigned)i, full);
	for (uint64_t i = 0; i < f->o->iters; i++)
		f->ns[i] = timed(f, (unsigned)i, full);
	sort_u64(f->ns, f->o->iters);
	printf("us_%u=%.3f ", per_mille, (double)f->ns[f->o->iters / 2] / 1000);
}

static void fill(struct fill *f, uint16_t low)
{
	static const unsigned levels[] = {0, 500, 900, 990, 999, 1000};
	int fd = f->bind ? -1 : control(f->o, (uint16_t)(low - 1));

	plan(f, low);
	for (size_t l = 0; l < sizeof(levels) / sizeof(levels[0]); l++)
		level(f, levels[l]);
	printf("\n");
	for (unsigned i = 0; i < f->n_holders; i++)
		kill(f->holders[i], SIGKILL);
	if (fd >= 0)
		write_all(fd, &(unsigned char){QUIT}, 1);
}

/* connect() to one of the listeners, or sendto() from a fresh socket to one of the bound ones. */
static uint64_t look_up(const struct options *o, bool udp, unsigned char c)
{
	struct sockaddr_in sin = destination(o, (unsigned)random());
	int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	uint64_t start = now_ns();
	if (udp ? sendto(fd, &c, 1, 0, (struct sockaddr *)&sin, sizeof(sin)) != 1
		: connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("the timed call");
	uint64_t spent = now_ns() - start;
	if (!udp)
		write_all(fd, &c, 1);
	if (c != QUIT && read_all(fd, &c, 1) != udp)
		die_msg("not the server's answer");
	close(fd);
	return spent;
}

static void look_ups(const struct options *o, uint64_t *ns, bool udp)
{
	for (uint64_t i = 0; i < o->warmup; i++)
		look_up(o, udp, '.');
	for (uint64_t i = 0; i < o->iters; i++)
		ns[i] = look_up(o, udp, '.');
	look_up(o, udp, QUIT);
	sort_u64(ns, o->iters);
	printf("us=%.3f\n", (double)ns[o->iters / 2] / 1000);
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 100, .warmup = 10, .size = 1, .conns = 1, .port = 1};

	bench_options(&o, argc, argv, true);
	const char *kind = o.rest < argc ? argv[o.rest] : "";
	bool udp = !strcmp(kind, "udp");
	bool fills = !strcmp(kind, "connect") || !strcmp(kind, "bind");
	unsigned words = !strcmp(kind, "shared") ? 1 : fills ? 2 : 0, n[2] = {0, 0};
	if (argc != o.rest + 1 + (int)words)
		die_msg("wrong number of words; many.c says which");
	for (unsigned i = 0; i < words; i++)
		n[i] = (unsigned)atoi(argv[o.rest + 1 + (int)i]);
	more_descriptors();
	if (o.server)
		return many_serve(&o, n[0], udp);
	uint64_t *ns = calloc(o.iters, sizeof(*ns));
	uint16_t *order = calloc(65536, sizeof(*order));
	if (!ns || !order)
		die("calloc");
	struct fill f = {.o = &o, .bind = !strcmp(kind, "bind"), .order = order, .ns = ns};
	f.ports = n[1] - n[0] + 1;
	if (fills)
		fill(&f, (uint16_t)n[0]);
	else
		look_ups(&o, ns, udp);
	free(order);
	free(ns);
	return 0;
}

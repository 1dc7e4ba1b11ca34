/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmark programs share: options, clock, pinning, sockets, one result line.
 *
 * Every program is an ordinary AF_INET program that knows nothing about berth. A server prints
 * "ready PORT" once it can be connected to; a client prints one line of key=value and ends. Both
 * end by themselves: a server when its client says so (end of the only connection, or a request
 * that starts with QUIT). Any failure is a message on stderr and exit status 1.
 */
#ifndef BERTH_BENCH_UTIL_H
#define BERTH_BENCH_UTIL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIT                                                                                       \
	((unsigned char)'Q') /* first byte of the request that ends a server; others start with    \
				'.' */

enum { MAX_SIZE = 1 << 20 };

struct options {
	bool server; /* first argument: "server" or "client"; programs without roles ignore it */
	const char *addr;   /* --addr: to listen on or to connect to */
	uint16_t port;	    /* --port; 0: the kernel's choice */
	int cpu;	    /* --cpu; -1: not pinned */
	uint64_t iters;	    /* --iters, of the timed part */
	uint64_t warmup;    /* --warmup iterations before it */
	uint64_t ms;	    /* --ms, length of the timed part where time decides */
	size_t size;	    /* --size of a message in bytes */
	unsigned conns;	    /* --conns held or in flight at once */
	bool epoll;	    /* --epoll: epoll_wait before each recv */
	bool connected;	    /* --connected: UDP with connect(2) */
	bool request;	    /* --request: the client speaks first */
	bool server_closes; /* --server-closes: the server closes first */
	const char *cc;	    /* --cc: TCP_CONGESTION of the data's sender; refusals are ignored */
	int rest;	    /* index in argv of the first word that is no option */
};

/* Reads the command line over the defaults in *o and pins the process. Exits with usage on an
 * error. */
void bench_options(struct options *o, int argc, char **argv, bool roles);

_Noreturn void die(const char *what); /* with errno */
_Noreturn void die_msg(const char *what);

uint64_t now_ns(void);

/* Exits on failure. The listener has a backlog of `backlog`. */
int tcp_listener(const struct options *o, int backlog);
int tcp_connected(const struct options *o);
int bound_socket(const struct options *o, int type);
struct sockaddr_in dest_of(const struct options *o);
void set_cc(int fd, const struct options *o);
void no_delay(int fd);
void print_ready(int fd);

/* Whole messages or nothing; read_all returns false at end of file before the first byte. */
bool read_all(int fd, void *buf, size_t size);
void write_all(int fd, const void *buf, size_t size);

/* An epoll instance that watches fd for reading, or -1 when o->epoll is not set. */
int maybe_epoll(const struct options *o, int fd);
void maybe_wait(int ep);

void sort_u64(uint64_t *v, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the POSIX programs share: a transcript. Each program calls the socket interface and prints
 * what came back, one line a call, in words that do not depend on the machine: errno by name, ports
 * of the ephemeral range as eph1, eph2 in the order in which they appear. tests/posix/run runs each
 * on the kernel and on berth and compares.
 *
 * The host has 127.0.0.1/8, 192.168.1.100 and 10.0.0.50.
 */
#ifndef BERTH_TESTS_POSIX_T_H
#define BERTH_TESTS_POSIX_T_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ETH0	"192.168.1.100"
#define ETH1	"10.0.0.50"
#define LO	"127.0.0.1"
#define ANY	"0.0.0.0"
#define NOWHERE "203.0.113.7" /* no address of the host, and no route to it */

/* Begins a case: its name is the head of every line that follows. */
void t_case(const char *name);

/* Runs a function in a process of its own: a case that crashes or hangs says so and costs no other.
 */
#define T_RUN(function) t_run(#function, function)
void t_run(const char *name, void (*function)(void));

/* A call by its own text: prints its result, or its errno. T returns the result; FD also, but
 * prints only "ok", since numbers of descriptors are no promise. */
#define T(call)	 t_result(#call, (errno = 0, (long)(call)))
#define FD(call) t_fd(#call, (errno = 0, (call)))
long t_result(const char *what, long got);
int t_fd(const char *what, int got);
void t_say(const char *what, const char *got);

/* An IPv4 address with its length, as two arguments: bind(s, IN(LO, 80)). Good for one call's
 * duration. */
#define IN(address, port) t_in(address, port), (socklen_t)sizeof(struct sockaddr_in)
const struct sockaddr *t_in(const char *address, unsigned port);

/* Room for any address. */
union t_address {
	struct sockaddr_storage storage;
	struct sockaddr any;
	struct sockaddr_in in;
};

/* Prints an address; getsockname and getpeername of s; the port of s. */
void t_addr(const char *what, const struct sockaddr_storage *a, socklen_t len);
void t_names(const char *what, int s);
unsigned t_port(int s);

/* What poll says at once, or within a second of waiting for any of `events`. */
void t_poll(const char *what, int s, short events);
void t_poll_wait(const char *what, int s, short events);

/* SO_ERROR, which is cleared by it. */
void t_error(const char *what, int s);
/* An int option: its value or errno. */
void t_opt(const char *what, int s, int level, int name);
int t_set(int s, int level, int name, int value);

/* Helpers that print nothing and must succeed. */
int t_socket(int type);
int t_bound(int type, const char *address, unsigned port); /* with SO_REUSEADDR */
int t_listener(const char *address, unsigned port);
/* A connection of the host to itself: the client's end, and the accepted one in *server. */
int t_pair(int *server);
void t_nonblock(int s, bool on);
void t_sleep_ms(unsigned ms);
void t_need(bool condition, const char *what);

#endif

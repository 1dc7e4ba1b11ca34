/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The executor of random programs of socket calls. A program is a text, a line for each call, which
 * begins with the number of the process that makes it; the answer is the same lines with " = " and
 * the result, in words that do not depend on the machine: errno by name, addresses by the names
 * below, ports of the fixed set by name, others as E1, E2, ... in the order in which they appear.
 *
 *	exec.c	programs, processes and their turns
 *	calls.c	one function a call
 *	words.c	names of addresses, ports, options and errors
 *	space.c	the network namespace of the kernel's side
 *
 * Number K of a batch has the addresses a4 = 11.K.1, b4 = 12.K.1 (K as two bytes), a6 = fd77:K::1.
 */
#ifndef BERTH_TESTS_ORACLE_H
#define BERTH_TESTS_ORACLE_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define MAX_LINES   256u
#define MAX_SOCKETS 32u
#define MAX_PROCS   6u
#define MAX_WORDS   8u
#define MAX_EPHEM   64u
#define OUT_BYTES   32768u
#define DEVICE	    "eth0"

/* What the processes of a program share. */
struct shared {
	_Atomic uint32_t turn;	  /* index of the line that is carried out */
	_Atomic uint32_t leaving; /* number + 1 of the process that is about to end */
	pid_t pids[MAX_PROCS];
	uint16_t ephemeral[MAX_EPHEM];
	uint32_t n_ephemeral;
	uint16_t ports[MAX_SOCKETS]; /* the last one that each socket was seen to have */
	uint32_t used;
	char out[OUT_BYTES];
};

extern struct shared *shared;
extern unsigned settle_us; /* how long a look at readiness or data waits for what is under way */

/* A line of a program. */
struct line {
	unsigned proc, n_words; /* words[0] is the call */
	char text[96];
	char words[MAX_WORDS][24];
};

/* words.c */
/* Begins a program: which addresses are ours. */
void words_begin(unsigned k);
/* A word of one of its lines. Only the ports that a program speaks of have names: the kernel's
 * choice of another may be one of them by chance. */
void words_used(const char *word);
void words_address(char which, char *text, size_t size);
/* An address by name and a port's word; false: no such word. */
bool words_sockaddr(const char *address, const char *port, struct sockaddr_storage *out,
		    socklen_t *len);
void words_say_sockaddr(const struct sockaddr_storage *a, socklen_t len);
void words_say_error(int e);
uint16_t words_port(const struct sockaddr_storage *a);
int words_setsockopt(int fd, const char *name, const char *value); /* -2: no such option */
void words_getsockopt(int fd, const char *name);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calls.c */
void call(const struct line *l);

/* exec.c: what concerns processes. */
void proc_fork(unsigned number);
void proc_exit(void) __attribute__((noreturn));

/* space.c: a network namespace of our own with the addresses; NULL or what failed. */
const char *space_enter(void);

#endif

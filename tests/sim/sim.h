/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seeded simulation: hosts and routers joined by wires that impair, random programs on them, and
 * the rules that must hold whatever happens:
 *
 *  - every byte that arrives is the one that was sent there, once and in order; a connection whose
 *    ends are both polite (send all, shut down, read to the end) arrives whole, unless it never
 *    came about, with an error that may be had for that;
 *  - after berth_advance(t) the deadline is later than t; all ends in bounded time once the wires
 *    are perfect; then no socket is left;
 *  - two runs of a seed send the same packets at the same times.
 *
 * A seed is the whole input: `run A-B` tries seeds, `run N --trace FILE` writes what passed.
 */
#ifndef BERTH_TESTS_SIM_H
#define BERTH_TESTS_SIM_H

#include "pair.h"
#include "random.h"

#include <berth/berth.h>

#include <stdio.h>

#define SECOND	  ((uint64_t)1000000000)
#define MAX_HOSTS 50
#define MAX_CONNS 64
#define PORT	  80

struct link {
	struct bt_pair *pair;
	int host[2], i[2]; /* host and interface at each end */
	bool ethernet;
	bool offload; /* its hosts leave segments uncut and checksums unfinished */
};

/* One end of a connection. */
struct side {
	berth_socket s;
	bool open, polite, ended, eof, shut;
	int error; /* that ended it */
	uint32_t to_send, sent, got;
	uint32_t chunk;	   /* at most so many bytes a call */
	uint64_t pause_ns; /* after each call that had an effect; 0: none */
	uint64_t wake_ns, quit_ns;
	bool quit_by_abort;
};

struct conn {
	int host[2]; /* client, server */
	int family;
	uint64_t begin_ns;
	bool begun, connected, accepted;
	struct berth_endpoint name; /* the client's */
	struct side side[2];
};

struct dgram_socket {
	int host;
	berth_socket s;
	uint64_t next_ns;
	uint32_t left;
};

struct sim {
	uint64_t seed, now_ns, heal_ns, hash, packets, steps;
	struct bt_random random;
	struct berth *b;
	int n_hosts, n_routers, n_links, n_conns;
	int hosts[MAX_HOSTS], n_ifs[MAX_HOSTS];
	struct link links[MAX_HOSTS];
	int link_of_if[MAX_HOSTS * 4]; /* and its end: link * 2 + end, by interface; -1 */
	berth_socket listeners[MAX_HOSTS][2];
	struct conn conns[MAX_CONNS];
	struct dgram_socket dgrams[MAX_HOSTS];
	bool healed;
	FILE *trace;
	uint64_t connected, whole, failed, delivered; /* for the summary */
};

/* Prints seed, time and message; ends with 1. */
_Noreturn void broken(const struct sim *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline uint64_t below(struct sim *s, uint64_t n)
{
	return bt_random_below(&s->random, n);
}
static inline bool chance(struct sim *s, unsigned percent)
{
	return below(s, 100) < percent;
}

/* topology.c */
void topology_make(struct sim *s);
void topology_address(const struct sim *s, int host, int family, struct berth_addr *a);
void links_heal(struct sim *s);
void link_change(struct sim *s); /* one at random */
/* program.c */
void programs_make(struct sim *s);
void programs_event(struct sim *s, const struct berth_event *e);
uint64_t programs_deadline(const struct sim *s);
void programs_act(struct sim *s);
void programs_print(const struct sim *s); /* what is not done */
bool programs_done(const struct sim *s);
void programs_end(struct sim *s); /* checks, and closes what is left */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The server of `many`: see many.c. */
#ifndef BERTH_BENCH_MANY_H
#define BERTH_BENCH_MANY_H

#include "util.h"

enum { PER_PROCESS = 15000 }; /* sockets of one process: some systems allow 20,000 descriptors */

/* Listens (udp: receives) on o->conns ports from o->port upward and serves until a byte QUIT comes.
 * `held`: connections that will be held at once; they are spread over as many processes as that
 * needs, which then share the listeners; 0: each process has its own part of the listeners. */
int many_serve(const struct options *o, unsigned held, bool udp);

void more_descriptors(void);

#endif

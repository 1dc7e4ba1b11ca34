/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says about who is alive: one NETLINK_SOCK_DIAG dump of the AF_UNIX sockets
 * (unix_diag), joined with the names of this network. The kernel's name table is the truth (a name
 * that is there belongs to a live socket); the accepted end of a connection has no name of its own
 * and is judged by its client's peer.
 */
#ifndef BERTH_DAEMON_CENSUS_H
#define BERTH_DAEMON_CENSUS_H

#include "../proto/table.h"

enum { BT_ALIVE_NAME = 1, BT_ALIVE_PEER = 2, BT_NEVER_JOINED = 4, BT_ALIVE_FAR = 8 };

struct census {
	uint8_t *alive;	   /* by slot: the name lives; the other end lives; not connected (yet); who
			    * was joined by berthd in its place lives */
	uint32_t *orphans; /* by slot of a listener: ends whose client is gone, accepted or not */
	uint32_t slots;
};

/* 0 or -errno. */
int d_census(const struct bt_table *table, uint64_t netid, struct census *c);
void d_census_done(struct census *c);

#endif

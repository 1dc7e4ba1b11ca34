/* SPDX-License-Identifier: Apache-2.0 */
/* What the instruments share about the table's rows. */
#ifndef BERTH_CLI_ROWS_H
#define BERTH_CLI_ROWS_H

#include "client.h"
#include "join.h"

/* Has berthd bring the table up to date. False after saying why not. */
bool bt_sync(struct bt_client *c, const char *network);
/* The same while the kernel is asked for its sockets in `states`: both take as long, and what
 * berthd drops meanwhile is told by its name. *dump: 0 or -errno; d is the caller's to end. */
bool bt_sync_dump(struct bt_client *c, const char *network, uint32_t states, struct bt_diags *d,
		  int *dump);
/* A host's name, "?" where the row names none; buf holds BT_HOST_NAME bytes. */
void bt_host_name(const struct bt_table *t, uint32_t index, char *buf);

/* "established", "time_wait": Linux's names of the states in small letters. A TCP socket that is
 * only bound is "bound"; a UDP socket "established" (it has a peer) or "unconnected". */
const char *bt_state_word(uint8_t proto, uint8_t state);
/* The number of the host with this name; false after saying that there is none. */
bool bt_find_host(const struct bt_table *t, const char *name, const char *network, uint32_t *index);

/* Whether a row is wished for. */
typedef bool bt_row_wanted(const void *wish, const struct bt_row *r);
/* Those that are, in the order of their slots; not yet joined with the kernel's sockets.
 * The list is the caller's to free. */
void bt_collect(const struct bt_table *t, struct bt_socks *s, bt_row_wanted *wanted,
		const void *wish);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the instruments share about the table's rows. */
#ifndef BERTH_CLI_ROWS_H
#define BERTH_CLI_ROWS_H

#include "client.h"

#define BT_PROTO_TCP 6
#define BT_PROTO_UDP 17

/* One past the last slot worth reading. */
static inline uint32_t bt_rows_end(const struct bt_table *t)
{
	uint32_t end = atomic_load_explicit(&t->high_water, memory_order_acquire);
	return end < t->capacity ? end : t->capacity;
}

/* A socket as ss means it: one without a port is in none of the kernel's lists, so not in ours. */
static inline bool bt_row_listed(const struct bt_row *r)
{
	if (r->state == BT_ROW_FREE || r->state > BT_ROW_CLOSING)
		return false;
	if ((r->flags & BT_ROWF_ALIAS) || (r->proto != BT_PROTO_TCP && r->proto != BT_PROTO_UDP))
		return false;
	return r->state != BT_ROW_CLOSE || r->lport != 0;
}

/* Has berthd bring the table up to date. False after saying why not. */
bool bt_sync(struct bt_client *c, const char *network);
/* A host's name, "?" where the row names none; buf holds BT_HOST_NAME bytes. */
void bt_host_name(const struct bt_table *t, uint32_t index, char *buf);

/* The number of the host with this name; false after saying that there is none. */
bool bt_find_host(const struct bt_table *t, const char *name, const char *network, uint32_t *index);

#endif

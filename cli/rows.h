/* SPDX-License-Identifier: Apache-2.0 */
/* What the instruments share about the table's rows. */
#ifndef BERTH_CLI_ROWS_H
#define BERTH_CLI_ROWS_H

#include "client.h"
#include "join.h"

/* Has berthd bring the table up to date. False after saying why not. */
bool bt_sync(struct bt_client *c, const char *network);
/* A host's name, "?" where the row names none; buf holds BT_HOST_NAME bytes. */
void bt_host_name(const struct bt_table *t, uint32_t index, char *buf);

/* The number of the host with this name; false after saying that there is none. */
bool bt_find_host(const struct bt_table *t, const char *name, const char *network, uint32_t *index);

#endif

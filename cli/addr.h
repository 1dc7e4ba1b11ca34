/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as the table has them: 16 bytes, IPv4 mapped. */
#ifndef BERTH_CLI_ADDR_H
#define BERTH_CLI_ADDR_H

#include "table.h"

#include <stdbool.h>
#include <stddef.h>

enum { BT_ADDR_TEXT = 48 };

/* Nothing set but, perhaps, the mapped prefix: a wildcard, or no address at all. */
bool bt_addr_is_any(const uint8_t addr[16]);
/* Writes the address without prefix length; buf holds BT_ADDR_TEXT bytes. */
void bt_addr_text(const uint8_t addr[16], char *buf);
/* Reads ADDR[/LEN] as --ip has it. False after saying why it cannot be a host's address. */
bool bt_addr_parse(const char *text, struct bt_host_addr *out);

#endif

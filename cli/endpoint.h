/* SPDX-License-Identifier: Apache-2.0 */
/* Ends as people write them: web:80, 10.0.0.5:http, [fd00::5]:80, :80, pc. */
#ifndef BERTH_CLI_ENDPOINT_H
#define BERTH_CLI_ENDPOINT_H

#include "client.h"

#include <stdbool.h>
#include <stdint.h>

struct bt_endpoint {
	bool has_host;
	uint32_t host;	  /* whose address it is, or that was named */
	bool named;	  /* the host was named, so addr is the first of its addresses */
	uint8_t addr[16]; /* all zero: none was given, or the wildcard */
	uint16_t port;	  /* 0: none */
};

/* False after one sentence about what was read and what is accepted. tcp or udp is where a
 * service's name is looked up. */
bool bt_endpoint_parse(const struct bt_table *t, const char *text, bool udp,
		       struct bt_endpoint *out);

/* The host that has the address (not one of loopback); false: none. */
bool bt_host_of(const struct bt_table *t, const uint8_t addr[16], uint32_t *host);

/* The socket of a slot in words: "nginx (pid 12, user www-data), 0.0.0.0:80, listening, for 41 s".
 * Empty if it is gone. */
void bt_socket_words(const struct bt_table *t, uint32_t slot, char *buf, size_t size);
/* "10.0.0.5:80", "[fd00::5]:80"; a wildcard is 0.0.0.0 or * . buf holds BT_END_TEXT bytes. */
enum { BT_END_TEXT = 64 };
void bt_end_text(const uint8_t addr[16], uint16_t port, uint8_t family, char *buf);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* IANA's registry of service names and ports (data/services.tsv), compiled in: tools/services-table
 * writes the tables. */
#ifndef BERTH_CLI_SERVICES_H
#define BERTH_CLI_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

enum { BT_SERVICE_TCP = 1, BT_SERVICE_UDP = 2, BT_SERVICE_SCTP = 4, BT_SERVICE_DCCP = 8 };

struct bt_service {
	uint32_t name, text; /* places in bt_service_texts; the name of what is reserved is empty */
	uint16_t port;
	uint16_t protocols; /* BT_SERVICE_... */
};

extern const struct bt_service bt_services[]; /* by port, the usual name first */
extern const unsigned bt_n_services;
extern const uint16_t bt_service_by_name[]; /* of the named ones, by name in lower case */
extern const unsigned bt_n_service_names;
extern const char bt_service_texts[];

static inline const char *bt_service_name(const struct bt_service *s)
{
	return bt_service_texts + s->name;
}

static inline const char *bt_service_text(const struct bt_service *s)
{
	return bt_service_texts + s->text;
}

/* The first service of a port and how many follow each other; 0: none. */
unsigned bt_services_of_port(uint16_t port, const struct bt_service **first);
/* Places in bt_service_by_name from *first on whose names are this one, whatever its letters' case.
 */
unsigned bt_services_of_name(const char *name, unsigned *first);
/* The usual name of a TCP or UDP port as the lists of sockets show it, NULL: none. Ephemeral ports
 * (Linux's default range) have none, as with ss(8): a service's name there would be chance. */
const char *bt_service_word(bool udp, uint16_t port);

#endif

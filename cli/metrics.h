/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth metrics: the numbers of a network for a monitor.
 *
 *	metrics_read.c	looks once at the network
 *	metrics_write.c	writes what was seen as OpenMetrics text
 *	metrics_serve.c	looks and writes whenever somebody asks by HTTP
 */
#ifndef BERTH_CLI_METRICS_H
#define BERTH_CLI_METRICS_H

#include "doctor.h"
#include "links.h"

#include <netinet/in.h>
#include <stdio.h>

/* The listeners of a host that share an address and a port. */
struct bt_metrics_listener {
	uint32_t host; /* place in hosts */
	uint8_t laddr[16];
	uint16_t lport;
	char program[BT_COMM]; /* of the first of them; empty: not known */
	uint64_t queue, backlog, refused;
};

struct bt_metrics {
	const char *network;
	uint64_t started_s;	       /* CLOCK_REALTIME */
	uint64_t counters[BT_CNT_MAX]; /* enum bt_counter */
	struct bt_health *hosts;       /* only their names, indices and counts */
	unsigned n_hosts;
	struct bt_metrics_listener *listeners; /* by host, address and port */
	size_t n_listeners, listener_room;
	struct bt_links links;
	struct bt_tally *tallies;
	size_t n_tallies, tally_room;
};

/* False after saying why not. bt_metrics_done in both cases. */
bool bt_metrics_read(struct bt_client *c, const char *network, struct bt_metrics *m);
void bt_metrics_done(struct bt_metrics *m);

void bt_metrics_write(const struct bt_metrics *m, FILE *f);

/* Where --listen is to serve. */
struct bt_metrics_at {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t len;
};

/* Reads [ADDR:]PORT (without ADDR 127.0.0.1; port 0: the system chooses). False after saying that
 * it is no such thing, or not of the machine's loopback. */
bool bt_metrics_at(const char *text, struct bt_metrics_at *at);
/* Serves until SIGINT, SIGTERM or the network's end. Returns the exit status. */
int bt_metrics_serve(struct bt_client *c, const char *network, const struct bt_metrics_at *at);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth map: the port space of each host, who sits where, and who is connected to whom.
 *
 *	map_model.c	sockets, told one by one, become ranges, seats, cells and connections
 *	map_read.c	tells it the sockets of a network
 *	map_text.c, map_html.c, map_graph.c, map_json.c	draw it
 *
 * Order: bt_map_host for each host, bt_map_add for each socket, bt_map_finish, then the rest.
 */
#ifndef BERTH_CLI_MAP_H
#define BERTH_CLI_MAP_H

#include "cli.h"
#include "holders.h"

#include <stdio.h>

enum {
	BT_MAP_ZONES = 5,
	BT_MAP_PROGRAMS = 3,
	BT_MAP_ADDRS = 3,
	BT_MAP_OUTSIDE = 0xffff, /* in place of a host: an address that no host has */
};

enum bt_map_kind { BT_MAP_WELL_KNOWN, BT_MAP_REGISTERED, BT_MAP_EPHEMERAL, BT_MAP_DYNAMIC };

/* A part of the port space; they follow each other from 0 to 65535. What the host chooses from
 * (net.ipv4.ip_local_port_range) is EPHEMERAL; of the rest IANA's ranges tell (RFC 6335 6). */
struct bt_map_zone {
	enum bt_map_kind kind;
	uint16_t first, last;
	uint32_t in_use; /* ports that any socket has */
};

enum bt_map_does { BT_MAP_LISTENS, BT_MAP_RECEIVES, BT_MAP_BOUND };

/* Who has a port, or the same who have the ports from first to last. */
struct bt_map_seat {
	uint16_t first, last;
	uint8_t proto;		     /* BT_PROTO_TCP, BT_PROTO_UDP */
	uint8_t does;		     /* enum bt_map_does */
	uint8_t n_programs, n_addrs; /* up to the bounds; more_... beyond */
	uint16_t more_programs, more_addrs;
	struct bt_program programs[BT_MAP_PROGRAMS];
	uint8_t addrs[BT_MAP_ADDRS][16];
	uint32_t sockets;
	uint32_t connections; /* to it, of TCP */
};

struct bt_map_host {
	char name[BT_HOST_NAME];
	char addrs[BT_HOST_ADDRS][64]; /* "192.168.1.100/24"; none of loopback */
	unsigned n_addrs;
	bool shown;		 /* its ports are; else only its connections with others */
	uint16_t lo, hi;	 /* net.ipv4.ip_local_port_range */
	uint64_t reserved[1024]; /* net.ipv4.ip_local_reserved_ports, a bit a port */
	uint32_t sockets;
	uint32_t capacity, in_use; /* ephemeral ports less the reserved ones; those in use */
	uint32_t time_wait;	   /* and those that only TIME_WAIT keeps */
	struct bt_map_zone zones[BT_MAP_ZONES];
	unsigned n_zones;
	struct bt_map_seat *seats; /* by port, protocol, address */
	size_t n_seats, seat_room;
	uint64_t used[1024], live[1024]; /* live: other than in TIME_WAIT */
};

/* All connections of one protocol from one host to a port of another. */
struct bt_map_way {
	uint16_t from, to, port; /* places in hosts, or BT_MAP_OUTSIDE */
	uint8_t proto;
	uint32_t n, established, time_wait;
};

/* One end of a connection, or of UDP with a peer. */
struct bt_map_end {
	uint16_t from, to;    /* from is the client's */
	uint16_t port;	      /* the server's */
	uint8_t proto, state; /* enum bt_row_state */
	bool server;	      /* whose end this is */
	uint64_t pair;	      /* equal for the two ends of one connection, which count once */
};

struct bt_map {
	const char *network;
	uint64_t realtime_s;
	struct bt_map_host *hosts;
	size_t n_hosts, host_room;
	struct bt_map_end *ends;
	size_t n_ends, end_room;
	struct bt_map_way *ways; /* the most connections first */
	size_t n_ways, way_room;
};

/* The next host; addrs, shown and reserved are the caller's to fill in. Valid until the next call.
 */
struct bt_map_host *bt_map_host(struct bt_map *m, const char *name, uint16_t lo, uint16_t hi);
/* A socket of a host has the port. */
void bt_map_port(struct bt_map_host *h, uint16_t port, bool waits);
/* One more process holds the seat. */
void bt_map_program(struct bt_map_seat *s, const struct bt_program *p);
/* A socket that has its port for itself: seat has first, proto, does, and the one address. */
void bt_map_seat(struct bt_map_host *h, const struct bt_map_seat *seat);
void bt_map_end(struct bt_map *m, const struct bt_map_end *end);
/* Of a connection between two ends; host: of loopback addresses, which each host has. */
uint64_t bt_map_pair(const uint8_t a[16], uint16_t a_port, const uint8_t b[16], uint16_t b_port,
		     uint16_t host);
void bt_map_finish(struct bt_map *m);
void bt_map_done(struct bt_map *m);

/* Ephemeral ports of cell i of n (1 to the range's size): the first and last one, and how many are
 * in use. */
uint32_t bt_map_cell(const struct bt_map_host *h, unsigned i, unsigned n, uint16_t *first,
		     uint16_t *last);
/* Of the ephemeral ports in use: "3 %", "under 1 %". Returns text. */
enum { BT_MAP_SHARE = 16 };
const char *bt_map_share(const struct bt_map_host *h, char text[BT_MAP_SHARE]);
/* "Well-known" */
const char *bt_map_zone_name(enum bt_map_kind kind);
/* Whether a seat begins in the zone. */
bool bt_map_in(const struct bt_map_zone *z, const struct bt_map_seat *s);
/* "ssh", NULL: none; of a seat of several ports, none. */
const char *bt_map_service(const struct bt_map_seat *s);
/* "web", "outside" */
const char *bt_map_host_name(const struct bt_map *m, uint16_t host);
/* "nginx (12, 13, 14 +2)", "sh (1), cat (2)"; "?" where nobody is known. */
void bt_map_programs(const struct bt_map_seat *s, char *text, size_t size);
/* "0.0.0.0, ::1 +2" */
void bt_map_addrs(const struct bt_map_seat *s, char *text, size_t size);

/* map_read.c: of one host (its connections with others too), or all (NULL). False after saying why
 * not; bt_map_done in both cases. */
bool bt_map_read(struct bt_client *c, const char *network, const char *host, struct bt_map *m);

void bt_map_text(const struct bt_map *m, bool utf8);
void bt_map_json(const struct bt_map *m);
void bt_map_html(const struct bt_map *m, FILE *f);
/* map_graph.c: the hosts in a circle, and lines between those that are connected, as SVG. */
void bt_map_graph(const struct bt_map *m, FILE *f);

#endif

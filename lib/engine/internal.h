/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the engine share. */
#ifndef BERTH_LIB_ENGINE_INTERNAL_H
#define BERTH_LIB_ENGINE_INTERNAL_H

#include "../base/assert.h"
#include "../base/chunk.h"
#include "../base/wheel.h"
#include "../ip/ip.h"
#include "../tcp/tcp.h"
#include "../udp/udp.h"
#include "engine.h"

#define BT_HELD_CHUNK 1024u /* slots */
#define BT_RX_BATCH   16u   /* segments that TCP looks up together */

/* What the engine keeps of a slot. */
struct bt_held {
	uint64_t user;
	uint32_t generation; /* 0: the slot has never had a socket */
	uint8_t type;	     /* enum berth_type; 0: no program holds a socket here */
};

#define BT_DEFAULTS_MAX 64u /* more than there are options */

/* What a new socket of a host has. */
struct bt_defaults {
	uint32_t n;
	struct {
		enum berth_option option;
		int64_t value;
	} of[BT_DEFAULTS_MAX];
};

struct berth {
	struct bt_port_net *ports;
	bool own_ports;
	bool udp_first; /* whose turn it is in berth_output */
	bool train;	/* the last packet was a segment that more may be like */
	struct bt_wheel *wheel;
	struct bt_chunks *chunks;
	struct bt_ip *ip;
	struct bt_udp *udp;
	struct bt_tcp *tcp;
	struct bt_held **held; /* by slot, in chunks */
	uint32_t n_held;       /* chunks */
	uint32_t n_hosts;
	uint64_t now_ns; /* the latest seen */
	uint32_t n_icmps, icmp_first;
	struct bt_engine_icmp icmps[BT_ENGINE_ICMP_MAX]; /* a ring */
	struct bt_defaults **defaults; /* by host, each NULL until berth_host_set */
};

/* The time of a call that takes it: what berth_output gave is not looked at any more. */
uint64_t bt_engine_enter(struct berth *b, uint64_t now_ns);

/* sockets.c */
static inline struct bt_addr bt_from_public(const struct berth_addr *a)
{
	struct bt_addr out;

	memcpy(out.b, a->b, sizeof(out.b));
	return out;
}
/* The state of a slot, or NULL: none yet. */
struct bt_held *bt_held_at(const struct berth *b, uint32_t slot);
/* Makes room for the state of a slot. NULL: out of memory. */
struct bt_held *bt_held_make(struct berth *b, uint32_t slot);
/* The socket of a live handle, and its slot; else BERTH_EBADF, or BERTH_EINVAL for b NULL. */
int bt_held_find(const struct berth *b, berth_socket s, uint32_t *slot, struct bt_held **held);
berth_socket bt_held_begin(struct bt_held *h, uint32_t slot, enum berth_type type);
void bt_held_end(struct bt_held *h);

/* options.c */
/* Gives a new socket what berth_host_set said; options that are not its type's are passed over. */
void bt_set_defaults(struct berth *b, uint16_t host, uint32_t slot, enum berth_type type);

/* packets.c */
/* Takes in what hosts have sent to themselves. */
void bt_engine_drain(struct berth *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861) on Ethernet: messages of ICMPv6. No state. */
#ifndef BERTH_LIB_WIRE_ND_H
#define BERTH_LIB_WIRE_ND_H

#include "ether.h"

enum bt_nd_type { /* types of ICMPv6 */
		  BT_ND_RS = 133,
		  BT_ND_RA = 134,
		  BT_ND_NS = 135,
		  BT_ND_NA = 136,
		  BT_ND_REDIRECT = 137,
};

#define BT_ND_PREFIXES 8 /* of a router advertisement; more are ignored */
/* A router advertisement with both options and all prefixes. */
#define BT_ND_MAX (16 + 8 + 8 + 32 * BT_ND_PREFIXES)

struct bt_nd_prefix {
	struct bt_addr prefix; /* bits behind `bits` are 0; never link-local or multicast */
	uint8_t bits;	       /* 0..128 */
	bool on_link, autonomous;
	uint32_t valid_s, preferred_s; /* UINT32_MAX: forever; preferred <= valid */
};

/* What does not belong to a type is 0. */
struct bt_nd {
	uint8_t type;			   /* enum bt_nd_type */
	struct bt_addr target;		   /* NS, NA, redirect; never multicast */
	struct bt_addr dst;		   /* redirect: whose way it is; never multicast */
	bool router, solicited, force;	   /* NA: flags R, S, O */
	bool managed, other;		   /* RA: flags M, O */
	uint8_t hops;			   /* RA: hop limit to use; 0: not said */
	uint16_t router_s;		   /* RA: lifetime as default router */
	uint32_t reachable_ms, retrans_ms; /* RA; 0: not said */
	uint32_t mtu; /* RA: at least 1,280; 0: not said, or an impossible one */
	bool has_source_mac, has_target_mac;
	struct bt_mac source_mac, target_mac; /* of options; one station's */
	uint8_t n_prefix;
	struct bt_nd_prefix prefix[BT_ND_PREFIXES]; /* the first n_prefix of RA */
};

/* Reads a message of len bytes from its ICMPv6 header on; src, dst and hops are those of its
 * packet. False: not of these types, or not valid by RFC 4861 6.1, 7.1, 8.1. The checksum is not
 * looked at. Unknown options are skipped; of several equal ones but prefixes the first counts. */
bool bt_nd_read(const uint8_t *data, size_t len, const struct bt_addr *src,
		const struct bt_addr *dst, uint8_t hops, struct bt_nd *m);
/* Writes a message but a redirect, with a checksum of 0; returns its length. The hop limit of its
 * packet must be 255. */
unsigned bt_nd_write(uint8_t data[BT_ND_MAX], const struct bt_nd *m);

static inline bool bt_addr_is_link_local6(const struct bt_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* The solicited-node multicast address of a unicast address (RFC 4291 2.7.1). */
static inline struct bt_addr bt_nd_solicited_node(const struct bt_addr *a)
{
	return (struct bt_addr){
		{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a->b[13], a->b[14], a->b[15]}};
}

#endif

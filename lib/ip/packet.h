/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between IP and the transports. */
#ifndef BERTH_LIB_IP_PACKET_H
#define BERTH_LIB_IP_PACKET_H

#include "../../include/berth/berth.h"
#include "../base/addr.h"

/* A packet whose IP header is legal and which is for this host: reassembled, its extension headers
 * skipped. */
struct bt_rx {
	uint16_t host;
	berth_if i;	/* interface of the engine it came in by */
	uint8_t dev;	/* that interface's number in its host (lib/port): 1 is lo, 2 eth0 */
	uint8_t proto;	/* 6, 17, 1, 58, 2 */
	uint8_t tos;	/* with the two bits of ECN */
	uint8_t hops;	/* TTL or hop limit */
	bool checked;	/* the transport's checksum need not be looked at */
	bool multicast; /* or broadcast: to more than this host */
	struct bt_addr src, dst;
	const uint8_t *data; /* transport header and payload */
	uint32_t len;
	uint32_t mtu;	   /* of the interface */
	uint16_t segment;  /* payload of one segment where several arrived as one (TSO), else 0 */
	const uint8_t *ip; /* the IP header, for what ICMP quotes */
	uint32_t ip_len;   /* with data */
};

/* Where a transport's packets to one destination go: found by bt_ip_path, kept by the transport and
 * found again when bt_ip's generation has changed. */
/* What is believed of a router that names the MTU of a path: Linux's min_pmtu (what is less is a
 * forgery or needs fragments, CVE-2005-0065); of IPv6 nothing below its least (RFC 8201 4), that is
 * 0. */
#define BT_PMTU_LEAST_V4 552u
#define BT_PMTU_LEAST_V6 1280u

static inline uint32_t bt_pmtu_believed(bool v4, uint32_t mtu)
{
	if (v4)
		return mtu < BT_PMTU_LEAST_V4 ? BT_PMTU_LEAST_V4 : mtu;
	return mtu < BT_PMTU_LEAST_V6 ? 0 : mtu;
}

struct bt_path {
	uint32_t generation; /* bt_ip_generation when it was found */
	uint32_t neighbour;  /* index, of lib/ip */
	berth_if i;
	uint16_t flags; /* enum berth_if_flag of the interface, enum bt_path_flag (ip.h) */
	uint32_t mtu;	/* of the path: the interface's, or a smaller one that was learned */
};

/* A packet to send: a transport fills it in, IP puts its header before it. */
struct bt_tx {
	uint16_t host;
	uint8_t proto, tos, hops; /* hops 0: the default of 64 */
	bool no_fragment;	  /* DF */
	bool no_checksum;	  /* the transport left its checksum to the carrier (ip.h) */
	bool no_loop;		  /* IP_MULTICAST_LOOP is off */
	uint8_t checksum_at;	  /* offset of the checksum in the transport header */
	uint16_t segment;	  /* payload bytes of a segment (TSO), 0: it is one */
	struct bt_addr src, dst;
	struct bt_path *path; /* NULL: to be found for this packet alone */
	struct berth_output
		*out; /* part 0 (headers) empty yet: `header` is filled from header_at */
	uint16_t header_at, header_len; /* transport header in out->header; room before it for IP
					   and Ethernet */
	uint32_t payload_len;		/* parts 1.. of out */
};
#define BT_TX_HEADER_AT 56 /* 14 Ethernet + 40 IPv6, rounded up */

#endif

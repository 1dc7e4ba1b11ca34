/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 headers and extension headers (RFC 8200). No state. */
#ifndef BERTH_LIB_WIRE_IPV6_H
#define BERTH_LIB_WIRE_IPV6_H

#include "../base/addr.h"
#include "ip.h"

#include <stddef.h>

#define BT_IPV6_HEADER	     40
#define BT_IPV6_FRAGMENT     8 /* bytes of a fragment header */
#define BT_IPV6_ROUTER_ALERT 8 /* bytes of a hop-by-hop header with a router alert */
#define BT_IPV6_MIN_MTU	     1280

struct bt_ipv6 {
	uint8_t tos, hops;
	uint8_t next;	      /* protocol, or first extension header */
	uint32_t flow;	      /* 20 bits */
	uint16_t payload_len; /* within what arrived */
	struct bt_addr src, dst;
};

/* Reads the fixed header. What follows 40 + payload_len in the len bytes is padding. Jumbograms
 * (RFC 2675) are not served. */
enum bt_ip_bad bt_ipv6_read(const uint8_t *packet, size_t len, struct bt_ipv6 *ip);
void bt_ipv6_write(uint8_t packet[BT_IPV6_HEADER], const struct bt_ipv6 *ip);

/* What the extension headers say. Offsets count from the data given to bt_ipv6_walk. */
struct bt_ipv6_ext {
	uint8_t proto;	  /* what follows the headers: a transport or one that is not served */
	uint16_t at;	  /* where that begins; of a fragment, its payload */
	uint16_t next_at; /* the next-header field that names proto */
	bool router_alert;
	uint16_t router_alert_value; /* RFC 2711 2.1 */
	bool fragment; /* a part of a packet; an atomic fragment (RFC 6946) is none: it is whole */
	uint16_t fragment_at; /* the fragment header */
	uint16_t offset;      /* of the part: bytes, a multiple of 8 */
	bool more;	      /* with it, the payload is a multiple of 8 and not empty */
	uint32_t id;
	/* After a refusal: the code of ICMPv6 Parameter Problem to answer with and the offset it
	 * points to; BT_IPV6_SILENT: no answer. */
	uint8_t bad_code;
	bool bad_unicast; /* answer only where the destination is not multicast */
	uint16_t bad_at;
};
#define BT_IPV6_SILENT 255

/* Most extension headers of a packet, and most options of a header that are not padding: so much is
 * accepted (RFC 8504 5.3 allows such limits; the number of options is Linux's). */
#define BT_IPV6_MAX_HEADERS 8
#define BT_IPV6_MAX_OPTIONS 8

/* Walks the extension headers from data[at] on, of which `next` is the first; next_at is where
 * that was said. A packet is walked with (packet, 40 + payload_len, 40, next, 6); what was
 * reassembled, from behind the fragment header, with at 0. Hop-by-hop options are legal only at 40.
 * A routing header with segments left is refused (RFC 8200 4.4, 5095), of a first fragment the
 * headers must be complete (RFC 7112). Ends at a fragment header unless it is an atomic one.
 * BT_IP_OPTIONS, BT_IP_FRAGMENT: refused. len is at most 65,575. */
enum bt_ip_bad bt_ipv6_walk(const uint8_t *data, uint32_t len, uint16_t at, uint8_t next,
			    uint16_t next_at, struct bt_ipv6_ext *ext);

/* Steps over extension headers without a look at what they say, from *at, of which *next is the
 * kind, to what they lead to: for a packet that we sent ourselves and see again as a quotation.
 * False: they are not complete, too many, or those of a fragment that is not the first. */
bool bt_ipv6_skip(const uint8_t *data, uint32_t len, uint32_t *at, uint8_t *next);

/* A fragment header: next is what it is before, offset in bytes, a multiple of 8. */
void bt_ipv6_fragment_write(uint8_t p[BT_IPV6_FRAGMENT], uint8_t next, uint16_t offset, bool more,
			    uint32_t id);
/* A hop-by-hop header with the router alert of MLD (value 0, RFC 2711). */
void bt_ipv6_router_alert_write(uint8_t p[BT_IPV6_ROUTER_ALERT], uint8_t next);

#endif

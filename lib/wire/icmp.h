/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP (RFC 792, 1122 3.2.2, 1191) and ICMPv6 (RFC 4443): echo and errors. Neighbour discovery and
 * MLD have files of their own. No state. */
#ifndef BERTH_LIB_WIRE_ICMP_H
#define BERTH_LIB_WIRE_ICMP_H

#include "../base/addr.h"

#include <stddef.h>

#define BT_ICMP_HEADER 8

enum bt_icmp_kind {		   /* what a type and code mean, in both versions */
		    BT_ICMP_OTHER, /* none of these: type and code say what */
		    BT_ICMP_ECHO,
		    BT_ICMP_ECHO_REPLY,
		    BT_ICMP_UNREACHABLE,   /* but for "fragmentation needed" */
		    BT_ICMP_TOO_BIG,	   /* and "fragmentation needed" of IPv4 */
		    BT_ICMP_TIME_EXCEEDED, /* code 0: in transit, 1: reassembly */
		    BT_ICMP_PARAMETER,
};

enum { /* codes of "unreachable" */
       BT_ICMP4_NET = 0,
       BT_ICMP4_HOST = 1,
       BT_ICMP4_PROTOCOL = 2,
       BT_ICMP4_PORT = 3,
       BT_ICMP4_FRAG_NEEDED = 4,
       BT_ICMP4_ADMIN = 13,
       BT_ICMP6_NO_ROUTE = 0,
       BT_ICMP6_ADMIN = 1,
       BT_ICMP6_ADDRESS = 3,
       BT_ICMP6_PORT = 4,
};

struct bt_icmp {
	uint8_t kind; /* enum bt_icmp_kind; on output it decides about the type */
	uint8_t type; /* as on the wire; ignored on output unless BT_ICMP_OTHER */
	uint8_t code;
	uint16_t id, seq; /* of an echo, else 0 */
	uint32_t mtu;	  /* of "too big": 0 where an old router does not say (IPv4); else 0 */
	uint32_t pointer; /* of "parameter problem": offset in what is quoted; else 0 */
};

/* Whether a message of this type is an error: none may be answered by an error. */
static inline bool bt_icmp_is_error(enum bt_family family, uint8_t type)
{
	if (family == BT_V6)
		return type < 128 || type == 137; /* RFC 4443 2.1; redirect: 2.4 (e.2) */
	return (type >= 3 && type <= 5) || type == 11 || type == 12; /* RFC 1122 3.2.2 */
}

/* False: shorter than BT_ICMP_HEADER. What follows the header
 * is the echo's data or the quoted packet. The checksum is not looked at: the sum of all of the
 * message, with the pseudo-header in ICMPv6 only. */
bool bt_icmp_read(const uint8_t *data, size_t len, enum bt_family family, struct bt_icmp *m);
/* Writes the header with a checksum of 0. */
void bt_icmp_write(uint8_t data[BT_ICMP_HEADER], enum bt_family family, const struct bt_icmp *m);

/* The packet that an error quotes: one that we sent, if it is not a lie. */
struct bt_icmp_quote {
	struct bt_addr src, dst;
	uint8_t proto;
	uint32_t at;  /* where its transport header begins */
	uint32_t len; /* bytes of it that are there: at least 8 */
};

/* Reads the quoted packet. Its lengths may be more than what is there, its checksum is not looked
 * at. False: not an IP packet of the family with 8 bytes of its transport's header (RFC 792), or
 * not the first fragment of one. */
bool bt_icmp_quote_read(const uint8_t *data, size_t len, enum bt_family family,
			struct bt_icmp_quote *q);
/* How much of a packet of ip_len bytes an error quotes: the error is at most 576 bytes (RFC 1812
 * 4.3.2.3) or 1,280 (RFC 4443 2.4 c). */
uint32_t bt_icmp_quote_len(enum bt_family family, uint32_t ip_len);

#endif

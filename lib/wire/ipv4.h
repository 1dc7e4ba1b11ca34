/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 headers (RFC 791, 1122 3.2.1). No state. */
#ifndef BERTH_LIB_WIRE_IPV4_H
#define BERTH_LIB_WIRE_IPV4_H

#include "../base/addr.h"
#include "ip.h"

#include <stddef.h>

#define BT_IPV4_HEADER	   20
#define BT_IPV4_HEADER_MAX 60

struct bt_ipv4 {
	uint8_t header_len; /* on input: 20..60; ignored on output */
	uint8_t tos, ttl, proto;
	uint16_t total_len; /* header_len..65,535, and within what arrived */
	uint16_t id;
	uint16_t offset;	 /* of a fragment: bytes, a multiple of 8 */
	bool df, mf;		 /* with mf, the payload is a multiple of 8 and not empty */
	bool router_alert;	 /* RFC 2113 */
	struct bt_addr src, dst; /* mapped */
};

static inline bool bt_ipv4_is_fragment(const struct bt_ipv4 *ip)
{
	return ip->mf || ip->offset != 0;
}

/* Reads and checks the header, its options and its checksum. Source routes are refused, as in Linux
 * (accept_source_route 0); other options are checked for their form and ignored. What follows
 * total_len in the len bytes is padding. Not looked at: whether addresses fit the interface. */
enum bt_ip_bad bt_ipv4_read(const uint8_t *packet, size_t len, struct bt_ipv4 *ip);
/* Writes a header with its checksum; with router_alert 24 bytes of it, else 20: the return value.
 * total_len is that of the packet, header included. */
unsigned bt_ipv4_write(uint8_t packet[24], const struct bt_ipv4 *ip);
/* Takes one from the TTL, which is not 0, of a header that was read, and mends the checksum (RFC
 * 1624). */
void bt_ipv4_hop(uint8_t *packet);

#endif

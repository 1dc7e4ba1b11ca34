/* SPDX-License-Identifier: Apache-2.0 */
/* UDP (RFC 768, RFC 8200 8.1). No state. */
#ifndef BERTH_LIB_WIRE_UDP_H
#define BERTH_LIB_WIRE_UDP_H

#include "../base/checksum.h"

#define BT_UDP_HEADER 8

struct bt_udp_head {
	uint16_t sport, dport;
	uint16_t len;  /* header and payload: 8 or more; the rest of what arrived is padding */
	bool checksum; /* there is one; not looked at when 0 was sent, which only IPv4 allows */
};

enum bt_udp_bad { BT_UDP_OK, BT_UDP_LENGTH, BT_UDP_NO_CHECKSUM };

/* BT_UDP_NO_CHECKSUM: none, in IPv6. The checksum itself is not looked at: the sum of
 * bt_csum_pseudo over u->len and of the first u->len bytes. */
enum bt_udp_bad bt_udp_read(const uint8_t *data, size_t len, enum bt_family family,
			    struct bt_udp_head *u);
/* Writes the header with a checksum of 0: none. */
void bt_udp_write(uint8_t data[BT_UDP_HEADER], const struct bt_udp_head *u);
/* Stores the checksum at p; one of 0 is sent as 0xffff (RFC 768). */
void bt_udp_csum_put(uint8_t *p, uint64_t sum);

#endif

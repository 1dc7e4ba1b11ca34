/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet II headers, and the addresses of multicast on Ethernet. No state. */
#ifndef BERTH_LIB_WIRE_ETHER_H
#define BERTH_LIB_WIRE_ETHER_H

#include "../base/addr.h"

#include <stddef.h>

#define BT_ETHER_HEADER 14

enum bt_ethertype { /* IANA; values below 0x600 are lengths (IEEE 802.3) and not among them */
		    BT_ETHER_IPV4 = 0x0800,
		    BT_ETHER_ARP = 0x0806,
		    BT_ETHER_IPV6 = 0x86dd,
};

struct bt_mac {
	uint8_t b[6];
};

struct bt_ether {
	struct bt_mac dst, src;
	uint16_t type; /* enum bt_ethertype, or one that is not served */
};

static inline bool bt_mac_eq(const struct bt_mac *a, const struct bt_mac *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* Multicast or broadcast. */
static inline bool bt_mac_is_group(const struct bt_mac *m)
{
	return m->b[0] & 1;
}

static inline struct bt_mac bt_mac_broadcast(void)
{
	return (struct bt_mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
}

/* Where a multicast address is sent: RFC 1112 6.4 (IPv4), RFC 2464 7 (IPv6). */
struct bt_mac bt_mac_of_group(const struct bt_addr *group);

/* False: shorter than a header. What follows the header is at BT_ETHER_HEADER, and may end with
 * padding. */
bool bt_ether_read(const uint8_t *frame, size_t len, struct bt_ether *e);
void bt_ether_write(uint8_t frame[BT_ETHER_HEADER], const struct bt_ether *e);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* ARP for IPv4 on Ethernet (RFC 826, 5227). No state. */
#ifndef BERTH_LIB_WIRE_ARP_H
#define BERTH_LIB_WIRE_ARP_H

#include "ether.h"

#define BT_ARP_BYTES 28

enum bt_arp_op { BT_ARP_REQUEST = 1, BT_ARP_REPLY = 2 };

struct bt_arp {
	uint8_t op;			      /* enum bt_arp_op */
	struct bt_mac sender_mac, target_mac; /* sender_mac is one station's (RFC 1812 3.3.2) */
	struct bt_addr sender, target; /* IPv4, mapped. sender: one host's, or 0.0.0.0 (a probe);
					  target: one host's */
};

/* False: malformed, or with an address that cannot be there. Padding after it is ignored. */
bool bt_arp_read(const uint8_t *data, size_t len, struct bt_arp *a);
void bt_arp_write(uint8_t data[BT_ARP_BYTES], const struct bt_arp *a);

#endif

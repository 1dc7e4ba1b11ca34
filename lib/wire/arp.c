/* SPDX-License-Identifier: Apache-2.0 */
#include "arp.h"

#include "../base/bytes.h"

#define HTYPE_ETHERNET 1

/* An address that one host can have on a link: neither multicast nor broadcast nor loopback. */
static bool is_host(uint32_t a)
{
	return a >> 28 != 0xe && a != 0xffffffff && a >> 24 != 127;
}

bool bt_arp_read(const uint8_t *data, size_t len, struct bt_arp *a)
{
	uint32_t sender, target;
	uint16_t op;

	if (len < BT_ARP_BYTES)
		return false;
	op = bt_get16(data + 6);
	if (bt_get16(data) != HTYPE_ETHERNET || bt_get16(data + 2) != BT_ETHER_IPV4 ||
	    data[4] != sizeof(struct bt_mac) || data[5] != 4 ||
	    (op != BT_ARP_REQUEST && op != BT_ARP_REPLY))
		return false;
	sender = bt_get32(data + 14);
	target = bt_get32(data + 24);
	if ((data[8] & 1) != 0 || !is_host(sender) || !is_host(target) || target == 0)
		return false;
	a->op = (uint8_t)op;
	memcpy(a->sender_mac.b, data + 8, 6);
	memcpy(a->target_mac.b, data + 18, 6);
	a->sender = bt_addr_v4(sender);
	a->target = bt_addr_v4(target);
	return true;
}

void bt_arp_write(uint8_t data[BT_ARP_BYTES], const struct bt_arp *a)
{
	bt_put16(data, HTYPE_ETHERNET);
	bt_put16(data + 2, BT_ETHER_IPV4);
	data[4] = sizeof(struct bt_mac);
	data[5] = 4;
	bt_put16(data + 6, a->op);
	memcpy(data + 8, a->sender_mac.b, 6);
	memcpy(data + 14, a->sender.b + 12, 4);
	memcpy(data + 18, a->target_mac.b, 6);
	memcpy(data + 24, a->target.b + 12, 4);
}

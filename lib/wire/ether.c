/* SPDX-License-Identifier: Apache-2.0 */
#include "ether.h"

#include "../base/bytes.h"

struct bt_mac bt_mac_of_group(const struct bt_addr *group)
{
	const uint8_t *b = group->b;

	if (bt_addr_is_v4(group))
		return (struct bt_mac){{0x01, 0x00, 0x5e, b[13] & 0x7f, b[14], b[15]}};
	return (struct bt_mac){{0x33, 0x33, b[12], b[13], b[14], b[15]}};
}

bool bt_ether_read(const uint8_t *frame, size_t len, struct bt_ether *e)
{
	if (len < BT_ETHER_HEADER)
		return false;
	memcpy(e->dst.b, frame, sizeof(e->dst.b));
	memcpy(e->src.b, frame + 6, sizeof(e->src.b));
	e->type = bt_get16(frame + 12);
	return true;
}

void bt_ether_write(uint8_t frame[BT_ETHER_HEADER], const struct bt_ether *e)
{
	memcpy(frame, e->dst.b, sizeof(e->dst.b));
	memcpy(frame + 6, e->src.b, sizeof(e->src.b));
	bt_put16(frame + 12, e->type);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "udp.h"

#include "../base/assert.h"
#include "../base/bytes.h"

enum bt_udp_bad bt_udp_read(const uint8_t *data, size_t len, enum bt_family family,
			    struct bt_udp_head *u)
{
	if (len < BT_UDP_HEADER)
		return BT_UDP_LENGTH;
	u->sport = bt_get16(data);
	u->dport = bt_get16(data + 2);
	u->len = bt_get16(data + 4);
	u->checksum = bt_get16(data + 6) != 0;
	if (u->len < BT_UDP_HEADER || u->len > len)
		return BT_UDP_LENGTH;
	/* RFC 8200 8.1 */
	return u->checksum || family == BT_V4 ? BT_UDP_OK : BT_UDP_NO_CHECKSUM;
}

void bt_udp_write(uint8_t data[BT_UDP_HEADER], const struct bt_udp_head *u)
{
	bt_assert(u->len >= BT_UDP_HEADER);
	bt_put16(data, u->sport);
	bt_put16(data + 2, u->dport);
	bt_put16(data + 4, u->len);
	bt_put16(data + 6, 0);
}

void bt_udp_csum_put(uint8_t *p, uint64_t sum)
{
	uint16_t c = bt_csum_fold(sum);

	if (c == 0)
		c = 0xffff;
	memcpy(p, &c, sizeof(c));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* IGMP versions 1 to 3 (RFC 1112, 2236, 3376): queries, reports, leave. No state. */
#ifndef BERTH_LIB_WIRE_IGMP_H
#define BERTH_LIB_WIRE_IGMP_H

#include "group.h"

enum bt_igmp_type {
	BT_IGMP_QUERY = 0x11,
	BT_IGMP_REPORT1 = 0x12,
	BT_IGMP_REPORT2 = 0x16,
	BT_IGMP_LEAVE = 0x17,
	BT_IGMP_REPORT3 = 0x22,
};

#define BT_IGMP_BYTES 8 /* of a message of version 1 or 2; of the head of a report of 3 */

struct bt_igmp {
	uint8_t type;		     /* enum bt_igmp_type */
	struct bt_addr group;	     /* reports 1, 2 and leave: multicast */
	struct bt_group_query query; /* of a query */
	uint16_t n_records;	     /* of a report of version 3, all within the message */
};

/* False: malformed or another type (ignored: RFC 3376 4). The checksum is not looked at: that of
 * the message alone. Whether TTL is 1 and the router alert is there is the caller's to check. */
bool bt_igmp_read(const uint8_t *data, size_t len, struct bt_igmp *m);
/* Report of version 1 or 2, or leave; checksum 0. */
void bt_igmp_write(uint8_t data[BT_IGMP_BYTES], enum bt_igmp_type type,
		   const struct bt_addr *group);
/* A report of version 3 with n records, 8 + 8 n bytes: the return value; checksum 0. */
unsigned bt_igmp_report3_write(uint8_t *data, const struct bt_group_record *records, uint16_t n);

#endif

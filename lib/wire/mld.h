/* SPDX-License-Identifier: Apache-2.0 */
/* Multicast listener discovery, versions 1 and 2 (RFC 2710, 3810): messages of ICMPv6. No state. */
#ifndef BERTH_LIB_WIRE_MLD_H
#define BERTH_LIB_WIRE_MLD_H

#include "group.h"

enum bt_mld_type { /* types of ICMPv6 */
		   BT_MLD_QUERY = 130,
		   BT_MLD_REPORT1 = 131,
		   BT_MLD_DONE = 132,
		   BT_MLD_REPORT2 = 143,
};

#define BT_MLD_BYTES 24 /* of a message of version 1 */

struct bt_mld {
	uint8_t type;		     /* enum bt_mld_type */
	struct bt_addr group;	     /* report 1 and done: multicast */
	struct bt_group_query query; /* of a query */
	uint16_t n_records;	     /* of a report of version 2, all within the message */
};

/* Reads a message of len bytes from its ICMPv6 header on; src, hops and router_alert are those of
 * its packet. False: another type, malformed, not from a link-local address (reports and done
 * may be from ::, RFC 3590 4), not with a hop limit of 1 and a router alert (RFC
 * 3810 5.1.14, 5.2.13, 6.2). The checksum is not looked at. */
bool bt_mld_read(const uint8_t *data, size_t len, const struct bt_addr *src, uint8_t hops,
		 bool router_alert, struct bt_mld *m);
/* Report of version 1, or done; checksum 0. */
void bt_mld_write(uint8_t data[BT_MLD_BYTES], enum bt_mld_type type, const struct bt_addr *group);
/* A report of version 2 with n records, 8 + 20 n bytes: the return value; checksum 0. */
unsigned bt_mld_report2_write(uint8_t *data, const struct bt_group_record *records, uint16_t n);

#endif

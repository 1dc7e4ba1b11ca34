/* SPDX-License-Identifier: Apache-2.0 */
/* What IGMPv3 (RFC 3376) and MLDv2 (RFC 3810) have in common. */
#ifndef BERTH_LIB_WIRE_GROUP_H
#define BERTH_LIB_WIRE_GROUP_H

#include "../base/addr.h"

#include <stddef.h>

enum bt_group_change { /* record types: RFC 3376 4.2.12, RFC 3810 5.2.12 */
		       BT_GROUP_IS_INCLUDE = 1,
		       BT_GROUP_IS_EXCLUDE = 2, /* without sources: a member */
		       BT_GROUP_TO_INCLUDE = 3, /* without sources: leaves */
		       BT_GROUP_TO_EXCLUDE = 4, /* without sources: joins */
		       BT_GROUP_ALLOW = 5,
		       BT_GROUP_BLOCK = 6,
};

/* A record of a report, without sources: what hosts send that know no source filters. */
struct bt_group_record {
	uint8_t change; /* enum bt_group_change */
	struct bt_addr group;
};

/* A query as its receiver needs it. */
struct bt_group_query {
	uint8_t version;      /* IGMP 1, 2, 3; MLD 1, 2 */
	bool suppress;	      /* S flag */
	uint8_t robustness;   /* QRV, 0..7; 0: not said */
	uint32_t max_resp_ms; /* answers are spread over this time */
	uint32_t interval_s;  /* QQIC; 0: not said */
	struct bt_addr group; /* the wildcard: a general query */
	uint16_t n_sources;
	uint16_t sources_at; /* where they begin in the message: 4 or 16 bytes each */
};

/* Codes of 8 bits with 4 of mantissa and 3 of exponent from 128 on (RFC 3376 4.1.1). */
static inline uint32_t bt_group_code8(uint8_t code)
{
	return code < 128 ? code : (uint32_t)(code % 16 | 16) << (code / 16 % 8 + 3);
}

/* Codes of 16 bits with 12 of mantissa and 3 of exponent from 32,768 on (RFC 3810 5.1.3). */
static inline uint32_t bt_group_code16(uint16_t code)
{
	return code < 32768 ? code : (uint32_t)(code % 4096 | 4096) << (code / 4096 % 8 + 3);
}

#endif

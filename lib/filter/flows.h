/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has exchanged datagrams lately: what makes a packet without a connection NEW or ESTABLISHED
 * (UDP, ICMP echo). As Linux's connection tracking: a flow is known from its first packet that was
 * let through, for 30 seconds, and 120 once both sides have spoken for two; what goes in one
 * direction is established when something has gone in the other. TCP has its connections for that.
 *
 * Bounded: beyond BT_FLOWS_MAX the flow that was used longest ago is forgotten.
 */
#ifndef BERTH_LIB_FILTER_FLOWS_H
#define BERTH_LIB_FILTER_FLOWS_H

#include "filter.h"

#define BT_FLOWS_MAX 65536u

struct bt_flows;

/* Of an ICMP echo both ports are its identifier. */
struct bt_flow_ends {
	struct bt_addr local, remote;
	uint16_t lport, rport, host;
	uint8_t proto;
	uint8_t pad; /* 0 */
};

struct bt_flows *bt_flows_new(const uint8_t key[16]); /* NULL: out of memory */
void bt_flows_free(struct bt_flows *f);		      /* NULL is allowed */
/* BT_FILTER_NEW or BT_FILTER_ESTABLISHED, for a packet in this direction. f NULL: NEW. */
uint8_t bt_flows_state(const struct bt_flows *f, const struct bt_flow_ends *ends,
		       enum bt_filter_dir dir, uint64_t now_ns);
/* Such a packet was let through. Out of memory it is as if it had not been. */
void bt_flows_seen(struct bt_flows *f, const struct bt_flow_ends *ends, enum bt_filter_dir dir,
		   uint64_t now_ns);
uint32_t bt_flows_count(const struct bt_flows *f);

#endif

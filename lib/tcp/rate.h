/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery rate and rounds (draft-cheng-iccrg-delivery-rate-estimation): a connection keeps struct
 * bt_rate, each segment in flight a struct bt_rate_mark written when it is sent (again). For an
 * ACK: bt_rate_ack_begin, bt_rate_delivered for each segment that it acks or SACKs for the first
 * time, bt_rate_ack_end, which fills in the sample's delivered, rate, rate_app_limited and
 * round_ended.
 */
#ifndef BERTH_LIB_TCP_RATE_H
#define BERTH_LIB_TCP_RATE_H

#include "cc.h"

struct bt_rate {
	uint64_t delivered;	/* bytes in all */
	uint64_t delivered_ns;	/* when it last grew */
	uint64_t first_sent_ns; /* start of the send phase that is measured */
	uint64_t limited_until; /* delivered at which the program's lull is over; 0: none */
	uint64_t round_end;	/* a mark with at least so much delivered is of a new round */
};

struct bt_rate_mark {
	uint64_t sent_ns;
	uint64_t first_sent_ns, delivered_ns;
	uint64_t delivered : 63; /* bt_rate's when this was sent */
	uint64_t app_limited : 1;
};

struct bt_rate_ack {
	struct bt_rate_mark mark; /* of the segment sent last of those delivered */
	uint32_t delivered;
	bool any;
};

void bt_rate_start(struct bt_rate *r, uint64_t now_ns);
/* A segment is sent, new or again; nothing_in_flight: before it. */
void bt_rate_sent(struct bt_rate *r, struct bt_rate_mark *m, bool nothing_in_flight,
		  uint64_t now_ns);
/* The program has nothing to send although cwnd has room, nothing waits to be sent again, and
 * in_flight is on its way. */
void bt_rate_app_limited(struct bt_rate *r, uint32_t in_flight);
void bt_rate_ack_begin(struct bt_rate_ack *a);
/* bytes of a segment (or of a part of it) have been delivered. */
void bt_rate_delivered(struct bt_rate *r, struct bt_rate_ack *a, const struct bt_rate_mark *m,
		       uint32_t bytes, uint64_t now_ns);
/* min_rtt_ns: the least RTT known, 0: none. s->now_ns is set. */
void bt_rate_ack_end(struct bt_rate *r, const struct bt_rate_ack *a, uint64_t min_rtt_ns,
		     struct bt_cc_sample *s);

#endif

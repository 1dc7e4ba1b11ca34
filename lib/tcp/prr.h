/* SPDX-License-Identifier: Apache-2.0 */
/* Proportional rate reduction (RFC 9937): how much may be sent for each ACK of fast recovery, so
 * that what is in flight goes from where it was to ssthresh within one round trip. Bytes. */
#ifndef BERTH_LIB_TCP_PRR_H
#define BERTH_LIB_TCP_PRR_H

#include <stdbool.h>
#include <stdint.h>

struct bt_prr {
	uint32_t delivered, out; /* since recovery began */
	uint32_t from;		 /* RecoverFS */
};

/* in_flight: outstanding and not SACKed when recovery begins, before this ACK counts; at least 1
 * is assumed. */
void bt_prr_start(struct bt_prr *p, uint32_t in_flight);
/* How much may be sent now. safe: SND.UNA has moved and nothing more was found lost (SafeACK). */
uint32_t bt_prr_acked(struct bt_prr *p, uint32_t delivered, uint32_t in_flight, uint32_t ssthresh,
		      uint32_t mss, bool safe);
void bt_prr_sent(struct bt_prr *p, uint32_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replaying a recorded session into a live host takes beside sending the packets again. The
 * live host chooses sequence numbers of its own, so the recorded client's acknowledgments are moved
 * by the difference; and a client does not acknowledge what has not been sent yet, so such a packet
 * waits.
 *
 * "The host" is the one that is replayed into; packets are IP packets.
 */
#ifndef BERTH_CLI_REPLAY_H
#define BERTH_CLI_REPLAY_H

#include "../lib/base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The IP packet within a captured one of libpcap's LINKTYPE_; false: there is none, or not all of
 * it. *len becomes its own length. */
bool bt_replay_ip(uint16_t linktype, const uint8_t **data, size_t *len, struct bt_addr *src,
		  struct bt_addr *dst);

struct bt_flows;
struct bt_flows *bt_flows_new(void); /* NULL: out of memory */
void bt_flows_free(struct bt_flows *f);
/* The recorded host sent this. False: out of memory; also below. */
bool bt_flows_recorded(struct bt_flows *f, const uint8_t *packet, size_t len);
/* The live host sends this. */
bool bt_flows_heard(struct bt_flows *f, const uint8_t *packet, size_t len);
/* For the host: *wait: it acknowledges what the host has not sent yet. Else its numbers are those
 * of the live connection now, and its checksums are right. */
bool bt_flows_mend(struct bt_flows *f, uint8_t *packet, size_t len, bool *wait);

#endif

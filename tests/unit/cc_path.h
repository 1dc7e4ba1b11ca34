/* SPDX-License-Identifier: Apache-2.0 */
/* Senders that share one bottleneck: a link of a rate, a delay and a queue that drops its tail. In
 * virtual time, a packet is a number, its ACK tells of it alone. */
#ifndef BERTH_TESTS_UNIT_CC_PATH_H
#define BERTH_TESTS_UNIT_CC_PATH_H

#include "../../lib/tcp/cc_modules.h"
#include "../../lib/tcp/rate.h"

#define PATH_MSS   1460u
#define PATH_FLOWS 4
#define PATH_RING  16384u /* packets of a flow in flight */

struct path_packet {
	struct bt_rate_mark mark;
	uint64_t back_ns; /* when its ACK comes; UINT64_MAX: dropped */
	bool done;
};

struct path_flow {
	struct bt_cc cc;
	struct bt_rate rate;
	struct path_packet *ring;
	uint64_t start_ns, paced_ns, min_rtt_ns, last_ns;
	uint64_t first, next; /* packets [first, next) are in flight */
	uint64_t recover;     /* recovery ends when a packet from here on is acked */
	uint32_t in_flight;
	uint64_t delivered, lost, dropped_first; /* bytes, packets, before recovery began once */
	uint64_t episodes, timeouts;
};

struct path {
	uint64_t bytes_per_s, delay_ns; /* delay: there and back without queue */
	uint32_t queue_bytes;
	uint64_t now_ns, free_ns; /* when the link has sent what it has */
	unsigned n;
	struct path_flow flow[PATH_FLOWS];
	/* called after each ACK; may be NULL */
	void (*acked)(struct path *p, struct path_flow *f, const struct bt_cc_sample *s, void *arg);
	void *arg;
	uint32_t drop_every; /* each so many packets one is lost at random; 0: none */
	uint32_t random;
};

void path_add(struct path *p, enum berth_congestion module, uint64_t start_ns);
void path_run(struct path *p, uint64_t until_ns);
void path_end(struct path *p);

#endif

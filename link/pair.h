/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wire between two ends, as a function of (state, input, now): it loses, delays, reorders,
 * duplicates and corrupts packets as each direction's settings say, and a seed decides. No clock,
 * no I/O: whoever has it hands packets in, waits until the deadline, and takes packets out.
 *
 * A direction is a queue, a transmitter and a pipe. A packet that is not lost waits in the queue
 * (tail drop at the limit), takes length * 8 / rate to be sent, and then delay plus jitter to
 * arrive. Without a rate queue and transmitter take no time. Loss comes before the queue, as in
 * tc-netem(8): a lost packet takes none of the rate. Packets arrive in order of time; of those of
 * one time the earlier sent comes first.
 *
 * Memory: copies of what is on its way, up to a cap for both directions together; a packet beyond
 * it is dropped and counted (no_memory). Times are nanoseconds, as in berth.h.
 */
#ifndef BERTH_LINK_PAIR_H
#define BERTH_LINK_PAIR_H

#include "settings.h"

#include <sys/uio.h>

struct bt_pair;

/* Both directions are perfect at first. max_bytes: the cap (0: 64 MiB). NULL: out of memory. */
struct bt_pair *bt_pair_new(uint64_t seed, size_t max_bytes);
void bt_pair_free(struct bt_pair *p); /* NULL is allowed */

/* The direction from end `from` (0 or 1). What is on its way goes on: what has been sent arrives
 * when that was decided, what waits is sent at the new rate, the limit is for those that come;
 * `down` loses all. */
void bt_pair_set(struct bt_pair *p, unsigned from, const struct bt_link_settings *s,
		 uint64_t now_ns);
const struct bt_link_settings *bt_pair_settings(const struct bt_pair *p, unsigned from);

/* A packet that end `from` sends, in parts, copied. At most 128 KiB: more is dropped (no_memory).
 */
void bt_pair_in(struct bt_pair *p, unsigned from, const struct iovec *parts, size_t n,
		uint64_t now_ns);
/* The wire does nothing to what end `from` sends, and nothing is on its way: a packet may be
 * carried past the pair, which is told here how many packets and bytes it was. */
bool bt_pair_passes(const struct bt_pair *p, unsigned from);
void bt_pair_passed(struct bt_pair *p, unsigned from, uint64_t pkts, uint64_t bytes);
struct bt_pair_packet {
	unsigned to; /* the end it arrives at */
	const void *data;
	size_t len;
	uint64_t sent_ns, due_ns; /* when it was handed in, when it arrived */
};
/* The next packet that has arrived by now; false: none. Its data is the pair's, until the next call
 * on the pair but bt_pair_counts and bt_pair_deadline. */
bool bt_pair_out(struct bt_pair *p, uint64_t now_ns, struct bt_pair_packet *packet);
/* When bt_pair_out may have something, or must be asked to go on; UINT64_MAX: nothing is on its
 * way. After bt_pair_out(now) has said false, it is later than now. */
uint64_t bt_pair_deadline(const struct bt_pair *p);

/* Since the pair was made. in = lost + burst + queue + no_memory + what `down` lost of it, or it
 * has arrived or is on its way; duplicates count beside. */
struct bt_pair_counts {
	uint64_t in_pkts, in_bytes, out_pkts, out_bytes;
	uint64_t lost;	    /* each on its own */
	uint64_t burst;	    /* in bursts */
	uint64_t queue;	    /* tail drops */
	uint64_t no_memory; /* beyond the cap */
	uint64_t down;	    /* handed in or on its way while down */
	uint64_t duplicated, reordered, corrupted;
	uint64_t waiting_pkts, waiting_bytes; /* now in the queue, with the one being sent */
	uint64_t flying_pkts;		      /* now in the pipe */
};
void bt_pair_counts(const struct bt_pair *p, unsigned from, struct bt_pair_counts *counts);

#endif

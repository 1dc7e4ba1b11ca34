/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a wire does to packets, and the text for it, in the words of tc-netem(8):
 *
 *	loss 1% burst 1% 30% delay 20ms jitter 2ms rate 10mbit limit 100 duplicate 0.1%
 *	reorder 1% corrupt 0.1% down
 *
 * Shares are percent, with at most four decimals. Times have a unit: ns, us, ms, s. Rates: bit,
 * kbit, mbit, gbit (powers of 1,000). A limit is a number of packets, or of bytes with b, kb, mb
 * (powers of 1,024, as in tc); both may be given.
 */
#ifndef BERTH_LINK_SETTINGS_H
#define BERTH_LINK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BT_LINK_ALL 1000000u /* ppm: every packet */

struct bt_link_settings {
	uint32_t loss_ppm; /* each packet on its own; this and the other _ppm: 0..BT_LINK_ALL */
	/* Loss in bursts (Gilbert's model): before each packet a good wire turns bad, or a bad one
	 * good, with these probabilities; a bad one loses everything. leave is not 0 where enter is
	 * not. */
	uint32_t burst_enter_ppm, burst_leave_ppm;
	uint64_t delay_ns;  /* up to an hour */
	uint64_t jitter_ns; /* evenly in [delay-jitter, delay+jitter], not below 0: reorders */
	uint64_t rate_bits; /* a second, up to 10^12; 0: unlimited */
	/* How much may wait for its turn where there is a rate; what does not fit is dropped (tail
	 * drop). */
	uint32_t limit_pkts;  /* 1..1,000,000 */
	uint64_t limit_bytes; /* up to 1 GiB; 0: only packets are counted */
	uint32_t duplicate_ppm;
	uint32_t reorder_ppm; /* not delayed, and so ahead of others; needs a delay */
	uint32_t corrupt_ppm; /* one bit is turned */
	bool down;	      /* nothing passes; what was on its way is lost */
};

/* A wire that does nothing: no loss, no delay, no rate, a limit of 1,000 packets. */
extern const struct bt_link_settings bt_link_perfect;
/* True: the limit is all in which it may differ from a wire that does nothing. */
bool bt_link_passes(const struct bt_link_settings *s);

#define BT_LINK_TEXT 256 /* bytes that hold any settings' text, and any error */

/* Changes those of *s that the text names; each word at most once, `up` is the opposite of `down`.
 * False: *s is untouched, and error has one sentence without a full stop: what was read, what is
 * accepted. */
bool bt_link_read(const char *text, struct bt_link_settings *s, char error[BT_LINK_TEXT]);
/* The text of what differs from bt_link_perfect, in a fixed order; "" if nothing does. */
void bt_link_write(const struct bt_link_settings *s, char text[BT_LINK_TEXT]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts' packet filters. The rules lie in the socket table, where a later berthd finds them.
 * The engine asks them for each packet; here is decided what needs to become packets for that, and
 * told what becomes of it.
 */
#ifndef BERTH_DAEMON_FILTER_H
#define BERTH_DAEMON_FILTER_H

#include "daemon.h"

#include "../proto/filter.h"

/* From one host to another (BT_NET_OUTSIDE: whoever is beyond the network): a new connection, or a
 * datagram. */
struct d_passage {
	uint16_t from, to;
	enum bt_proto proto;
	struct bt_addr src, dst;
	uint16_t sport; /* 0: not yet chosen */
	uint16_t dport;
	bool nobody; /* a datagram for a port that nobody has, of which ICMP tells */
};

/* The filters that an earlier berthd has left; what is not legal is gone. */
void d_filter_recover(struct daemon *d);
/* NULL: the host has none. Another one after each change. */
struct bt_filter *d_filter_of(const struct daemon *d, uint16_t host);

/* One of both hosts has a filter. */
bool d_filter_between(const struct daemon *d, uint16_t from, uint16_t to);
/* True: every packet of it, there and back, now and later, is accepted whatever comes, so none
 * needs to be. What a host sends to itself is not filtered. */
bool d_filter_passes(const struct daemon *d, const struct d_passage *p);
/* The same where it is about to pass without packets: that is counted. */
bool d_filter_direct(struct daemon *d, const struct d_passage *p);
/* What the filters make of its first packet and of the answer to that. */
void d_filter_judge(const struct daemon *d, const struct d_passage *p, struct bt_filtered *out);

#endif

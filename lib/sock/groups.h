/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes to several sockets: datagrams to groups, and broadcast ones. A socket joins a group on
 * an interface; from then on all sockets of its host may hear what is sent to the group and arrives
 * there (ip(7), ipv6(7)). All hosts are on one link, so what leaves one of them arrives at every
 * interface of the others; but a socket gets one copy, by the first interface that is right for it.
 */
#ifndef BERTH_LIB_SOCK_GROUPS_H
#define BERTH_LIB_SOCK_GROUPS_H

#include "net.h"

#define BT_NET_GROUPS4 20  /* igmp_max_memberships: of one socket */
#define BT_NET_GROUPS6 256 /* Linux: what optmem_max has room for */

static inline bool bt_net_is_group(const struct bt_addr *a)
{
	return bt_addr_is_v4(a) ? a->b[12] >> 4 == 14 : a->b[0] == 0xff;
}

/* Whether the host takes the address for a group's, or for a broadcast one. */
bool bt_net_is_many(const struct bt_net *net, uint16_t host, const struct bt_addr *addr);

/* IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP; dev 0: by the routes. -EINVAL: not a group; -EADDRINUSE: it
 * has joined already; -ENODEV: no such interface, or no route; -ENOBUFS: too many (IPv6: -ENOMEM);
 * -ENOMEM. */
int bt_net_group_join(struct bt_net *net, uint32_t slot, const struct bt_addr *group, uint8_t dev);
/* IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP; dev 0: by the routes, IPv6: on whichever it was joined.
 * -EADDRNOTAVAIL: it has not; -ENODEV: no route; -EINVAL: not a group, of IPv6. A socket leaves all
 * of them when it is closed. */
int bt_net_group_leave(struct bt_net *net, uint32_t slot, const struct bt_addr *group, uint8_t dev);
/* IP_MULTICAST_ALL (v4), IPV6_MULTICAST_ALL: it hears what others of its host have joined, too. */
void bt_net_group_all(struct bt_net *net, uint32_t slot, bool v4, bool on);
/* A group that sockets of the host have joined on an interface: the one numbered n. False: there
 * are no more. */
bool bt_net_group_get(const struct bt_net *net, uint16_t host, uint32_t n, struct bt_addr *group,
		      uint8_t *dev);

/* A datagram to several. */
struct bt_net_spread {
	struct bt_addr dst;
	struct bt_addr src; /* in: what the sender has chosen, or a wildcard; out: the source */
	uint8_t dev;	    /* in: the interface that it has chosen, or 0; out: it leaves by this */
	bool may_broadcast; /* in: SO_BROADCAST */
	bool broadcast;	    /* out */
	uint16_t host;	    /* out: that sends */
};
/* The way of what the socket sends. -EOPNOTSUPP: not UDP, -ENETUNREACH, -EACCES: broadcast without
 * SO_BROADCAST, -EINVAL: a loopback source beyond the host, -EADDRNOTAVAIL: no source address
 * (IPv6). */
int bt_net_spread(const struct bt_net *net, uint32_t slot, struct bt_net_spread *s);
/* The same, and the socket gets a port if it has none: as bt_net_udp_route. */
int bt_net_spread_from(struct bt_net *net, uint32_t slot, struct bt_net_spread *s, uint64_t now_ns,
		       struct bt_reason *why);
/* connect(2) to it; no datagrams of the peer's will come, as nobody has that address. */
int bt_net_spread_connect(struct bt_net *net, uint32_t slot, const struct bt_net_spread *s,
			  uint16_t port, uint64_t now_ns, struct bt_reason *why);

struct bt_net_copy {
	uint32_t slot;
	uint8_t dev; /* by which it arrives */
};
/* Who in host `to` gets a copy; the sender's own host has its copies of what it sends itself. At
 * most `room` of them in out; how many there are is the result. */
uint32_t bt_net_copies(const struct bt_net *net, const struct bt_net_spread *s, uint16_t sport,
		       uint16_t dport, uint16_t to, struct bt_net_copy *out, uint32_t room);

/* By which interface the socket gets a copy; 0: it gets none. */
uint8_t bt_net_hears(const struct bt_net *net, const struct bt_net_spread *s, uint16_t sport,
		     uint16_t dport, uint32_t slot);

#endif

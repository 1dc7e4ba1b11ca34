/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP for all hosts of an engine: interfaces, addresses, routes, neighbours, IPv4 and IPv6 in and
 * out, fragments, ICMP, path MTU, multicast groups.
 *
 * In: bt_ip_input looks at one packet from a wire. What IP answers itself (ARP, ND, echo requests,
 * IGMP and MLD queries) or forwards is done then and there; what is for a transport comes back as a
 * struct bt_rx, what ICMP reports about a packet of ours as a struct bt_icmp_error. Packets of a
 * host to itself wait in a bounded queue and come out of bt_ip_next in the same form, one a call:
 * nothing recurses.
 *
 * Out: a transport's struct bt_tx gets its IP and Ethernet header in place (bt_ip_output), and is
 * then ready to be carried. What cannot go at once (fragments, packets for a neighbour whose link
 * address is not known yet, packets to the own host) is copied; what IP sends by itself is made in
 * such copies too. bt_ip_pop gives those that are ready to be carried: berth_output takes them
 * first.
 *
 * Who does what with checksums: IP verifies and computes its own header's, and those of ICMP, IGMP
 * and MLD. The transports verify theirs on input unless bt_rx.checked, and compute them on output
 * unless the path's flags have BERTH_IF_TX_CHECKSUM; then they set bt_tx.no_checksum and
 * bt_tx.checksum_at, and store the sum of the pseudo-header, folded, not complemented, in the
 * field, which is what carriers that finish checksums expect. IP finishes it itself where the
 * packet is fragmented or leaves by an interface without that flag.
 *
 * Bounds: each host has budgets (below) for what peers can make it keep; the engine has one for all
 * copies together. When a budget is used up: waiting packets of a neighbour and fragments push out
 * the oldest, all else is not taken; each is counted with its reason.
 */
#ifndef BERTH_LIB_IP_IP_H
#define BERTH_LIB_IP_IP_H

#include "../base/wheel.h"
#include "../filter/filter.h"
#include "packet.h"

struct bt_ip;

#define BT_IP_POOL_BYTES      (64u << 20) /* copies of packets, whole engine */
#define BT_IP_HOST_BYTES      (4u << 20) /* copies of one host that wait to be carried or taken in */
#define BT_IP_REASS_BYTES     (4u << 20) /* fragments that wait, of one host */
#define BT_IP_REASS_PIECES    4096u	 /* the same in pieces */
#define BT_IP_DATAGRAM_PIECES 256u	 /* of one datagram */
#define BT_IP_NEIGH_MAX	      1024u	 /* neighbours of one interface */
#define BT_IP_NEIGH_PACKETS   64u	 /* waiting for one neighbour */
#define BT_IP_PMTU_MAX	      4096u	 /* learned path MTUs, whole engine */
#define BT_IP_GROUPS_MAX      256u	 /* multicast groups of one interface */

/* ---- what hosts have; results and errors as berth.h says of the functions of the same name ----
 */

/* wheel is the engine's; key as in struct berth_config. NULL: out of memory. */
struct bt_ip *bt_ip_new(const uint8_t key[16], struct bt_wheel *wheel, uint64_t now_ns);
void bt_ip_free(struct bt_ip *ip); /* NULL is allowed; clears its timers */

int bt_ip_host_add(struct bt_ip *ip);
int bt_ip_if_add(struct bt_ip *ip, uint16_t host, const struct berth_if_config *config,
		 uint64_t now_ns);
int bt_ip_if_set(struct bt_ip *ip, berth_if i, const struct berth_if_config *config,
		 uint64_t now_ns);
int bt_ip_addr_add(struct bt_ip *ip, berth_if i, const struct bt_addr *addr, unsigned bits,
		   uint64_t now_ns);
int bt_ip_addr_del(struct bt_ip *ip, berth_if i, const struct bt_addr *addr, uint64_t now_ns);
/* i 0: that of the route to via. BERTH_ENETUNREACH: via is on no link of the host. */
int bt_ip_route_add(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, unsigned bits,
		    const struct bt_addr *via, berth_if i, uint32_t metric);
int bt_ip_route_del(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, unsigned bits);
int bt_ip_forwarding(struct bt_ip *ip, uint16_t host, bool on);
/* A membership more or less of the host in a group; the packets are told from each other by
 * bt_rx.dst, which socket gets them is the transport's matter. i 0: by the routes. BERTH_ENOBUFS:
 * BT_IP_GROUPS_MAX; BERTH_EADDRNOTAVAIL: not joined. *joined (may be NULL): the interface. */
int bt_ip_join(struct bt_ip *ip, uint16_t host, const struct bt_addr *group, berth_if i,
	       berth_if *joined, uint64_t now_ns);
int bt_ip_leave(struct bt_ip *ip, uint16_t host, const struct bt_addr *group, berth_if i,
		uint64_t now_ns);

/* ---- questions ---- */

struct bt_if_info {
	uint16_t host;
	uint8_t dev;	/* its number in its host: 1 lo, 2 eth0 */
	uint32_t flags; /* enum berth_if_flag */
	uint32_t mtu;
	uint8_t mac[6];
	char name[16];
};
bool bt_ip_host_exists(const struct bt_ip *ip, uint16_t host);
/* False: there is no such interface. */
bool bt_ip_if_get(const struct bt_ip *ip, berth_if i, struct bt_if_info *info);
/* The interface of the host that has this number in it, or 0. */
berth_if bt_ip_if_of_dev(const struct bt_ip *ip, uint16_t host, uint8_t dev);
/* The interface that has the address (lo for all of 127.0.0.0/8), or 0: bind(2) asks this. */
berth_if bt_ip_is_local(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr);
/* True: the limited broadcast address, or the directed one of a link of the host. */
bool bt_ip_is_broadcast(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr);
static inline bool bt_ip_is_multicast(const struct bt_addr *a)
{
	return a->b[0] == 0xff || (bt_addr_is_v4(a) && (a->b[12] & 0xf0) == 0xe0);
}
/* The source address for packets to dst (RFC 1122 3.3.4.3, RFC 6724 5): 0, BERTH_ENETUNREACH, or
 * BERTH_EADDRNOTAVAIL where the interface has none. i: leave by this interface; 0: by the routes.
 */
int bt_ip_source(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, berth_if i,
		 struct bt_addr *src);

/* ---- ways ---- */

/* In bt_path.flags, beside enum berth_if_flag: */
enum bt_path_flag {
	BT_PATH_BOUND = 1 << 10,     /* bt_ip_path was told the interface */
	BT_PATH_LOOP = 1 << 11,	     /* to an own address of the host */
	BT_PATH_NO_DF = 1 << 12,     /* the path's MTU is below the least one that is believed */
	BT_PATH_BROADCAST = 1 << 13, /* SO_BROADCAST is needed */
	BT_PATH_MULTICAST = 1 << 14,
};
/* The way of packets from src (may be a wildcard address) to dst: 0, BERTH_ENETUNREACH,
 * BERTH_EINVAL where src is a loopback address and dst is not the host's. i: leave by
 * this interface (SO_BINDTODEVICE, a scope, IP_MULTICAST_IF); 0: by the routes, for a link-local
 * dst by the interface that has src. A neighbour is made known, but not asked for yet. */
int bt_ip_path(struct bt_ip *ip, uint16_t host, const struct bt_addr *src,
	       const struct bt_addr *dst, berth_if i, struct bt_path *path);
uint32_t bt_ip_generation(const struct bt_ip *ip);
/* The peer at the end of the path has acknowledged something new: its neighbour is reachable
 * (RFC 4861 7.3.1). */
void bt_ip_confirm(struct bt_ip *ip, const struct bt_path *path, uint64_t now_ns);

/* ---- the packet filter (filter.c) ---- */

/* The host's filter from now on, which stays the caller's and outlives it (NULL: none); packets are
 * counted in it. 0, BERTH_EINVAL: no such host, BERTH_ENOMEM: it is in force, but every datagram
 * is NEW to it. */
int bt_ip_filter(struct bt_ip *ip, uint16_t host, struct bt_filter *f);
bool bt_ip_has_filter(const struct bt_ip *ip, uint16_t host);
/* Whether TCP has a connection that the packet, which comes in, is of: IP does not know. */
typedef bool bt_ip_known(void *arg, uint16_t host, uint8_t dev, const struct bt_filter_packet *p);
void bt_ip_filter_asks(struct bt_ip *ip, bt_ip_known *known, void *arg);
/* The state that a datagram of UDP with these ends would be in. */
uint8_t bt_ip_flow_state(const struct bt_ip *ip, uint16_t host, const struct bt_filter_packet *p);
/* True: the host's filter would not let this out (header_len bytes at `header`); nothing is
 * counted. Its sender is told EPERM (ip_local_out). */
bool bt_ip_forbids(struct bt_ip *ip, uint16_t host, uint8_t proto, const struct bt_addr *src,
		   const struct bt_addr *dst, const uint8_t *header, uint32_t header_len);

/* ---- packets in ---- */

enum bt_ip_got {
	BT_IP_NOTHING, /* dropped, answered, forwarded, or kept */
	BT_IP_PACKET,  /* *rx: TCP (6), UDP (17), echo replies (1, 58; data is the ICMP header) */
	BT_IP_ERROR,   /* *error: of ICMP, or a neighbour of ours that did not answer */
};
/* Says what became of a packet of ours. It is believed only if the transport finds that it sent it:
 * the caller gives it to the transport of `proto`, and for BERTH_EMSGSIZE calls bt_ip_mtu_learned
 * if that says yes. */
struct bt_icmp_error {
	uint16_t host;
	uint8_t proto;	       /* of the quoted packet: 6, 17, 1, 58 */
	uint8_t type, code;    /* of ICMP or ICMPv6, by the family of src */
	bool local;	       /* of the own host, not from the network */
	int error;	       /* enum berth_error, as Linux: EHOSTUNREACH, ECONNREFUSED, ... */
	uint32_t mtu;	       /* with BERTH_EMSGSIZE, else 0 */
	struct bt_addr src;    /* of the quoted packet: an own address */
	struct bt_addr dst;    /* of the quoted packet */
	struct bt_addr from;   /* who says so */
	const uint8_t *quoted; /* transport header, len >= 8 bytes of it */
	uint32_t len;
};
/* A packet from a wire; nothing if there is no such interface. What *rx and *error point to
 * stays until bt_ip_reap (or is the caller's packet). */
enum bt_ip_got bt_ip_input(struct bt_ip *ip, const struct berth_input *packet, uint64_t now_ns,
			   struct bt_rx *rx, struct bt_icmp_error *error);
/* The headers of a packet that came out of bt_ip_output of the same engine, in *rx, of which data
 * and len are TCP's header alone. False: nothing has happened, as it is not such a packet, or not
 * one that takes the short way in by interface i. */
bool bt_ip_input_head(struct bt_ip *ip, const struct berth_output *packet, berth_if i,
		      struct bt_rx *rx);
/* As bt_ip_input for what waits inside: packets of hosts to themselves, errors. BT_IP_NOTHING says
 * only that this one is dealt with: go on while bt_ip_waiting(). */
enum bt_ip_got bt_ip_next(struct bt_ip *ip, uint64_t now_ns, struct bt_rx *rx,
			  struct bt_icmp_error *error);
/* True: bt_ip_next has something; the engine's deadline is now. */
bool bt_ip_waiting(const struct bt_ip *ip);
/* A router on the way to dst said that packets over mtu bytes are too big, and the transport knows
 * the quoted packet (RFC 1191 3, RFC 8201 4). Forgotten after 10 minutes. */
void bt_ip_mtu_learned(struct bt_ip *ip, uint16_t host, const struct bt_addr *dst, uint32_t mtu,
		       uint64_t now_ns);
/* The transport has no socket for it: ICMP port unreachable, where ICMP's rules allow one. */
void bt_ip_port_unreachable(struct bt_ip *ip, const struct bt_rx *rx, uint64_t now_ns);

/* ---- packets out ---- */

enum bt_ip_sent {
	BT_IP_READY = 0, /* tx->out is complete, to be carried */
	BT_IP_TAKEN = 1, /* IP has made a copy, or needed none: tx->out is free */
};
/* enum bt_ip_sent, or why it was not sent (counted): BERTH_ENETUNREACH, BERTH_EHOSTUNREACH,
 * BERTH_EMSGSIZE (tx->no_fragment, or over 65,535 bytes), BERTH_ENOBUFS. On BT_IP_READY out's i,
 * len, n_iov, segment, checksum and iov[0] are set; iov[1..n_iov) are the transport's, who has set
 * n_iov (1 and above). A path of an earlier generation is found again. */
int bt_ip_output(struct bt_ip *ip, struct bt_tx *tx, uint64_t now_ns);
/* The next of IP's own packets in *out. False: none. Its memory stays until bt_ip_reap. */
bool bt_ip_pop(struct bt_ip *ip, struct berth_output *out);
/* What came out of bt_ip_input, bt_ip_next and bt_ip_pop so far is not looked at any more: to be
 * called at the start of every public call that takes packets or time, never inside berth_output.
 */
void bt_ip_reap(struct bt_ip *ip);

/* ---- time, counters ---- */

/* A timer of the wheel that is no transport's has expired. */
void bt_ip_expired(struct bt_ip *ip, struct bt_timer *timer, uint64_t now_ns);

void bt_ip_drop(struct bt_ip *ip, uint16_t host, enum berth_drop reason); /* counts */
uint64_t bt_ip_drops(const struct bt_ip *ip, uint16_t host, enum berth_drop reason);
size_t bt_ip_bytes(const struct bt_ip *ip); /* of memory taken */
/* Copies of packets and fragments that are in use: 0 when nothing waits. */
uint32_t bt_ip_copies(const struct bt_ip *ip);

#endif

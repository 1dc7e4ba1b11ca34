/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/udp share. */
#ifndef BERTH_LIB_UDP_INTERNAL_H
#define BERTH_LIB_UDP_INTERNAL_H

#include "../base/assert.h"
#include "../base/bytes.h"
#include "udp.h"

#define BT_PROTO_ICMP	1
#define BT_PROTO_ICMPV6 58

enum bt_udp_flag {
	UF_CONNECTED = 1 << 0,
	UF_BROADCAST = 1 << 1,
	UF_RECVERR = 1 << 2,
	UF_NO_LOOP = 1 << 3, /* IP_MULTICAST_LOOP is off */
	UF_SHUT_RD = 1 << 4,
	UF_SHUT_WR = 1 << 5,
	UF_NO_ROOM = 1 << 6,	/* the program was told that there is no room */
	UF_BOUND_ADDR = 1 << 7, /* a ping socket's address, and identifier, are what bind gave */
	UF_BOUND_ID = 1 << 8,
};

/* A membership. A socket has few: a list. */
struct bt_member {
	struct bt_member *next;
	struct bt_addr group;
	berth_if i;	/* the interface it was found to be */
	berth_if asked; /* the one the program named: 0 by the routes */
};

struct bt_udp_sock {
	uint32_t slot;
	uint16_t host;
	uint8_t type, family; /* enum berth_type; 4, 6 */
	uint16_t flags;	      /* enum bt_udp_flag */
	uint8_t news;	      /* enum berth_event_flag; not 0: in the list */
	uint8_t hops, tos, group_hops, mtu_discover;
	int16_t error;		  /* enum berth_error that waits */
	berth_if group_if, scope; /* scope: the interface of the link-local remote end */
	struct bt_udp_sock *news_next, *news_prev;
	uint32_t rcvbuf, sndbuf, unread, unsent; /* bytes, records whole */
	struct bt_bytes rx;
	struct bt_addr laddr, raddr; /* of a ping socket; of UDP the port space has them */
	uint16_t id;		     /* of a ping socket: 0 none yet */
	struct bt_udp_sock *id_next;
	struct bt_member *members;
	uint32_t n_members;
	/* The way last found, and for what. */
	struct bt_path path;
	struct bt_addr path_src, path_dst;
	berth_if path_if;
	uint64_t serial; /* tells a slot's sockets from each other */
};

/* Head of a datagram that waits, in a queue of bytes; the payload follows, then up to 7 unused
 * bytes, so that all parts of a payload but the last are of even length. */
struct bt_dgram {
	struct bt_addr src, dst;
	uint64_t serial; /* of the sending socket */
	uint32_t slot;
	uint32_t len; /* of the payload */
	uint16_t sport, dport;
	uint16_t host;
	berth_if i;
	uint8_t proto, hops, tos;
	bool no_fragment, no_loop;
	uint8_t unused[3];
};
_Static_assert(sizeof(struct bt_dgram) % 8 == 0, "see above");

#define BT_UDP_CHUNK 256u /* sockets of one chunk of the table by slot */
#define BT_PING_HASH 256u

struct bt_udp {
	struct bt_port_net *ports;
	struct bt_ip *ip;
	struct bt_chunks *chunks;
	struct bt_udp_sock ***table; /* by slot */
	uint32_t n_table;	     /* chunks */
	uint64_t serial;
	struct bt_bytes tx;
	uint32_t tx_begin, tx_end; /* of tx: [0, begin) was handed out, [begin, end) waits */
	struct bt_udp_sock *news_first, *news_last;
	struct bt_udp_sock *pings[BT_PING_HASH];
	uint16_t next_id;
	size_t bytes;
};

static inline uint32_t bt_dgram_room(uint32_t len)
{
	return (uint32_t)sizeof(struct bt_dgram) + ((len + 7) & ~7u);
}

static inline struct bt_udp_sock *bt_udp_find(const struct bt_udp *u, uint32_t slot)
{
	uint32_t k = slot / BT_UDP_CHUNK;

	return k < u->n_table && u->table[k] != NULL ? u->table[k][slot % BT_UDP_CHUNK] : NULL;
}

/* sock.c */
void bt_udp_news(struct bt_udp *u, struct bt_udp_sock *s, unsigned what);
void bt_udp_fail(struct bt_udp *u, struct bt_udp_sock *s, int error); /* an error to wait */
/* The interface that the socket is bound to (SO_BINDTODEVICE), or 0. */
berth_if bt_udp_device(const struct bt_udp *u, const struct bt_udp_sock *s);

/* in.c */
/* Puts a datagram before the program; rx->data and len are what it is to read. */
void bt_udp_deliver(struct bt_udp *u, struct bt_udp_sock *s, const struct bt_rx *rx, uint16_t sport,
		    uint16_t dport);
/* An error that ICMP reports about a packet of the socket. */
void bt_udp_sock_icmp(struct bt_udp *u, struct bt_udp_sock *s, const struct bt_icmp_error *e);

/* path.c */
/* Where a packet goes: the address 0 means, the family's rules. */
struct bt_udp_to {
	struct bt_addr src, dst;
	uint16_t port;
	berth_if i; /* 0: by the routes */
};
uint32_t bt_udp_mtu(const struct bt_udp *u, const struct bt_udp_sock *s); /* to its peer */
/* Fills in *to and s->path for a packet to `end`. BERTH_EAFNOSUPPORT, BERTH_ENETUNREACH,
 * BERTH_EADDRNOTAVAIL, BERTH_EINVAL, BERTH_EACCES (broadcast without SO_BROADCAST). */
int bt_udp_way(struct bt_udp *u, struct bt_udp_sock *s, const struct berth_endpoint *end,
	       struct bt_udp_to *to);

/* ping.c */
/* id 0: any that is free. BERTH_EADDRINUSE. */
int bt_ping_bind(struct bt_udp *u, struct bt_udp_sock *s, uint16_t id);
void bt_ping_unbind(struct bt_udp *u, struct bt_udp_sock *s);
void bt_ping_input(struct bt_udp *u, const struct bt_rx *rx);
struct bt_udp_sock *bt_ping_find(const struct bt_udp *u, uint16_t host, bool v4, uint16_t id,
				 const struct bt_addr *dst, berth_if i);

/* group.c */
void bt_udp_leave_all(struct bt_udp *u, struct bt_udp_sock *s, uint64_t now_ns);

#endif

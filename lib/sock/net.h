/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of hosts and what socket calls mean in it: whose an address is, which source an unbound
 * socket uses, who a connect reaches, and how the two ends of a connection move through TCP's
 * states (RFC 9293 3.3.2) when no packet is needed because both ends are on this network. No I/O,
 * no clock, no globals: the caller gives the time and carries out what is decided.
 *
 * A connection is two sockets that know each other as peers: the client's, and the child of a
 * listener. Either end is shut or closed by its own caller; a child is found through its peer (it
 * has no name of its own), so a client's slot outlives its closing until the child is closed too.
 *
 * Sockets that a call has changed are handed out by bt_net_changed, so that the caller can publish
 * them.
 */
#ifndef BERTH_LIB_SOCK_NET_H
#define BERTH_LIB_SOCK_NET_H

#include "../port/port.h"

#define BT_NET_ADDRS	 16 /* addresses of a host, the two of loopback included */
#define BT_NET_NAME	 64 /* bytes of a host's name with its NUL */
#define BT_NET_MAX_HOSTS 1024
#define BT_DEV_LO	 1 /* interface index of lo; eth0 is 2 */
#define BT_NET_NO_HOST	 UINT16_MAX
#define BT_NET_OUTSIDE                                                                             \
	(UINT16_MAX - 1) /* in the place of a host: whoever is beyond the network                  \
			  */

struct bt_net_addr {
	struct bt_addr addr;
	uint8_t bits; /* prefix length in its own family */
	uint8_t family;
	uint8_t dev; /* interface: 1 is lo, 2 eth0, ...; given by bt_net_addr_add */
};

struct bt_net_host {
	char name[BT_NET_NAME];
	uint16_t n_addrs;
	struct bt_net_addr addrs[BT_NET_ADDRS]; /* addrs[0], [1]: 127.0.0.1/8, ::1/128 */
};

/* What a host's administrator may set beside struct bt_port_conf; to be changed between calls. */
struct bt_net_conf {
	int32_t fin_timeout_s;	/* tcp_fin_timeout: 60. How long an end that nobody holds any more
				   waits for the other's FIN */
	int32_t max_tw_buckets; /* tcp_max_tw_buckets: 262144. Beyond it, no TIME_WAIT */
	int32_t somaxconn;	/* 4096 */
	uint8_t nonlocal_bind4, nonlocal_bind6; /* ip_nonlocal_bind: 0 */
	uint8_t bindv6only;			/* 0 */
	uint8_t congestion; /* tcp_congestion_control: enum berth_congestion; 0 */
};

enum bt_net_flag {
	BT_NETF_CHILD = 1 << 0,
	BT_NETF_RESET = 1 << 1,
	BT_NETF_RELAY = 1 << 2,
	BT_NETF_ORPHAN = 1 << 3,
	BT_NETF_SELF = 1 << 4, /* connected to itself */
	BT_NETF_PKTINFO = 1 << 5,
	BT_NETF_LINGER0 = 1 << 6, /* the last close is a reset (SO_LINGER 0, several holders) */
	BT_NETF_FREED = 1 << 7,	  /* only in bt_net_changed: the slot is free */
};

struct bt_net;

struct bt_net *bt_net_new(const uint8_t key[16], uint32_t max_slots); /* NULL: out of memory */
void bt_net_free(struct bt_net *net);
struct bt_port_net *bt_net_ports(struct bt_net *net);

/* Makes a host with loopback; *host is its number. -EEXIST (then *host is the old one), -ENOSPC,
 * -EINVAL (not a name: letters, digits, '-', '.', '_', at most 63), -ENOMEM. */
int bt_net_host_add(struct bt_net *net, const char *name, uint16_t *host);
/* Gives a host an address. -EADDRINUSE: *owner has it; -ENOSPC; -EINVAL: loopback, wildcard,
 * multicast or broadcast, or a prefix that cannot be. 0 also when the host has it already. */
int bt_net_addr_add(struct bt_net *net, uint16_t host, const struct bt_net_addr *addr,
		    uint16_t *owner);
const struct bt_net_host *bt_net_host(const struct bt_net *net, uint16_t host); /* NULL: none */
uint16_t bt_net_host_by_name(const struct bt_net *net, const char *name);
uint16_t bt_net_host_by_addr(const struct bt_net *net, const struct bt_addr *addr);
uint16_t bt_net_hosts(const struct bt_net *net); /* how many */
/* NULL: no such host. lib/sock/sysctl.h reads and writes them as text. */
struct bt_net_conf *bt_net_conf(struct bt_net *net, uint16_t host);
const struct bt_port_conf *bt_net_port_conf(const struct bt_net *net, uint16_t host);

/* What beyond the network a host reaches by an interface of its own: what is in the prefixes of its
 * addresses, or anything of a family. At first nothing. */
enum bt_net_outside {
	BT_NET_ON_LINK = 1 << 0,
	BT_NET_GATEWAY4 = 1 << 1,
	BT_NET_GATEWAY6 = 1 << 2,
};
void bt_net_outside(struct bt_net *net, uint16_t host, unsigned what);

/* A new socket: as bt_port_new. */
int bt_net_sock(struct bt_net *net, uint16_t host, enum bt_proto proto, enum bt_family family,
		uint32_t uid, uint32_t *slot);

/*
 * The route from host to *dst: a wildcard destination becomes loopback (ip(7)); *to is the host
 * that has it, or BT_NET_OUTSIDE, *src the source address an unbound socket uses. bound: the
 * socket's own address, or a wildcard. -ENETUNREACH: nobody has the address and it is in none of
 * the host's prefixes; -EHOSTUNREACH: nobody has it but it is in one (*src is set); -EACCES: the
 * broadcast address of a prefix; -EINVAL: a loopback source to another host, as Linux says.
 */
int bt_net_route(const struct bt_net *net, uint16_t host, const struct bt_addr *bound,
		 struct bt_addr *dst, struct bt_addr *src, uint16_t *to);

/* bind(2) with the check that the address is the host's: -EADDRNOTAVAIL. Else as bt_port_bind. */
int bt_net_bind(struct bt_net *net, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		bool root, uint64_t now_ns, struct bt_reason *why);
int bt_net_listen(struct bt_net *net, uint32_t slot, uint64_t now_ns, struct bt_reason *why);
/* TCP connect(2): 0 with *child (established at once; BT_NO_SLOT: to itself), or the negative errno
 * of route and port space, or -ECONNREFUSED. */
int bt_net_connect(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		   uint64_t now_ns, uint32_t *child, uint32_t *listener, struct bt_reason *why);
/*
 * Connections whose bytes travel in packets. What happens to them in between is the packets' matter
 * (lib/tcp), so their states are told: shut, closed and reset change none.
 *
 * bt_net_to: the host that a TCP connect would reach (BT_NET_OUTSIDE: only so), from which address,
 * and what a wildcard *dst stands for: 0, or the error of bt_net_connect.
 * bt_net_connect_wire: the socket takes its port and 4-tuple, and is in SYN_SENT.
 * bt_net_accept_wire: a connection from raddr:rport has come to the listener; client: its slot
 * where it is of this network, else BT_NO_SLOT. Errors of bt_port_accept. bt_net_wire_state: what
 * has become of one. BT_TIME_WAIT lasts as always.
 */
int bt_net_to(const struct bt_net *net, uint32_t slot, struct bt_addr *dst, struct bt_addr *src,
	      uint16_t *to);
int bt_net_connect_wire(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
			uint64_t now_ns, struct bt_reason *why);
int bt_net_accept_wire(struct bt_net *net, uint32_t listener, const struct bt_addr *laddr,
		       const struct bt_addr *raddr, uint16_t rport, uint32_t client,
		       uint32_t *child, struct bt_reason *why);
void bt_net_wire_state(struct bt_net *net, uint32_t slot, enum bt_state state, uint64_t now_ns);
bool bt_net_is_wire(const struct bt_net *net, uint32_t slot);
/* The local end that the last bt_net_connect gave the socket, and took again if it was refused. */
void bt_net_tried(const struct bt_net *net, struct bt_addr *addr, uint16_t *port);
/* The connection could not be joined after all: the child is freed, the client is unconnected
 * again. */
void bt_net_connect_undo(struct bt_net *net, uint32_t slot);
/* UDP connect(2). That nobody is there only a neighbour's silence would tell. */
int bt_net_udp_connect(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		       uint64_t now_ns, struct bt_reason *why);
/* A call has told that the TCP socket's connection, or attempt to connect, is over: its ends are
 * forgotten, but for what bind gave. Until then they are the socket's (inet_stream_connect). */
void bt_net_told(struct bt_net *net, uint32_t slot);
/* The TIME_WAIT of a socket that somebody still holds goes on in a slot of its own, *waits, so that
 * the socket may be bound anew. -EINVAL: it is not in TIME_WAIT; -ENFILE, -ENOMEM. */
int bt_net_part(struct bt_net *net, uint32_t slot, uint32_t *waits);
/* connect(2) with AF_UNSPEC of a TCP socket: the connection is reset, or the listening ends, and a
 * fresh socket takes over what bind gave the old one, and its options; the old one is closed.
 * -EINVAL: it is in TIME_WAIT (bt_net_part first); -ENFILE, -ENOMEM, -EBADF: nothing has changed.
 */
int bt_net_renew(struct bt_net *net, uint32_t slot, uint64_t now_ns, uint32_t *fresh);
/* connect(2) with AF_UNSPEC of a UDP socket. */
void bt_net_disconnect(struct bt_net *net, uint32_t slot);
#define BT_NET_LOST 1 /* it goes out where nobody is, and nobody says so */
#define BT_NET_AWAY 2 /* it goes to the outside */
/* Who gets a datagram from this socket to *dst:port: *target (BT_NO_SLOT: nobody) and the source
 * address it carries, unless *src says one already. *dst becomes what a wildcard stands for.
 * Autobinds. */
int bt_net_udp_route(struct bt_net *net, uint32_t slot, struct bt_addr *dst, uint16_t port,
		     uint64_t now_ns, uint32_t *target, struct bt_addr *src, struct bt_reason *why);

/* The way of what a BT_ECHO socket that is bound to `bound` sends: 0, BT_NET_LOST or a negative
 * errno; *dst, *src and *to as bt_net_route has them. */
int bt_net_ping_route(const struct bt_net *net, uint32_t slot, const struct bt_addr *bound,
		      struct bt_addr *dst, struct bt_addr *src, uint16_t *to);

/* What becomes of a packet, or of a connect: the route, and who gets it. */
struct bt_net_explained {
	int err; /* of the route: 0, BT_NET_LOST or a negative errno, as bt_net_connect says */
	uint16_t to;
	uint8_t dev; /* the interface on which it arrives */
	struct bt_addr src, dst;
	uint32_t slot; /* BT_NO_SLOT: nobody */
	struct bt_port_trace trace;
};
/* From a socket of the host that is bound to src (a wildcard: not bound); sport 0: not yet chosen.
 * Nothing changes. False: no such host. */
bool bt_net_explain(const struct bt_net *net, uint16_t host, enum bt_proto proto,
		    const struct bt_addr *src, uint16_t sport, const struct bt_addr *dst,
		    uint16_t dport, struct bt_net_explained *out);

/* shutdown(2) of the sending direction. */
void bt_net_shut(struct bt_net *net, uint32_t slot, uint64_t now_ns);
/* A descriptor was closed with data unread, or without: where it was the last, the connection ends
 * by reset (RFC 2525 2.17). */
void bt_net_unread(struct bt_net *net, uint32_t slot, bool unread);
/* The last descriptor is gone. */
void bt_net_closed(struct bt_net *net, uint32_t slot, uint64_t now_ns);
/* The connection ends by reset from this end (SO_LINGER 0): no TIME_WAIT; the peer's flag tells. */
void bt_net_reset(struct bt_net *net, uint32_t slot);
/* A reset has come from the peer, of which the caller knows in another way. BT_NETF_RESET says so,
 * unless the peer had shut before: then its end is read first (tcp_reset). */
void bt_net_reset_came(struct bt_net *net, uint32_t slot);
/* Enters TIME_WAIT (rebuilding; otherwise it comes of shut and closed). */
void bt_net_time_wait(struct bt_net *net, uint32_t slot, uint64_t now_ns);
/* Ends what is due by now: sockets leave TIME_WAIT. */
void bt_net_advance(struct bt_net *net, uint64_t now_ns);
uint64_t bt_net_deadline(const struct bt_net *net);

/* Peer's slot (BT_NO_SLOT: none), listener of a child, BT_NETF_* flags. */
uint32_t bt_net_peer(const struct bt_net *net, uint32_t slot);
uint32_t bt_net_link(const struct bt_net *net, uint32_t slot);
uint8_t bt_net_flags(const struct bt_net *net, uint32_t slot);
void bt_net_set_flag(struct bt_net *net, uint32_t slot, uint8_t flag, bool on);
/* Rebuilding: makes client and child peers of each other, without checks beyond both being in use.
 */
void bt_net_join(struct bt_net *net, uint32_t client, uint32_t child, uint32_t listener);

/* The next socket that has changed since it was last handed out; BT_NO_SLOT: none left. *flags are
 * its flags, with BT_NETF_FREED when the slot is free now. */
uint32_t bt_net_changed(struct bt_net *net, uint8_t *flags);

#endif

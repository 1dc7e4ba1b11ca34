/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port space: which socket may have which address and port, which local port an outgoing
 * connection gets, and which socket an arriving packet belongs to. Linux's rules
 * (net/ipv4/inet_connection_sock.c, inet_hashtables.c, udp.c of Linux 6.x; bind(2), ip(7), tcp(7),
 * udp(7), ipv6(7)), without I/O, clock or globals: time comes in as an argument (nanoseconds, any
 * monotonic origin), randomness from a key.
 *
 * One bt_port_net holds all hosts of one network and one pool of sockets. Each host has its own
 * port space: 65,536 ports for TCP and as many for UDP. A socket is named by its slot, an index
 * into the pool; the slot stays valid from bt_port_new to bt_port_free.
 *
 * Bind buckets. For each host, protocol and port in use there is a bucket, and in it the sockets
 * are kept in classes of equal (local address, family, options, uid, state class, device), each
 * with a count and a list of members. A bind conflict is decided between classes, so 20,000
 * accepted connections on port 80 cost no more than one. Classes, not sockets, are what bind(2)
 * compares, but for what a TCP port remembers of sockets with SO_REUSEPORT that took it: one more
 * class, without members. A bucket with one socket, as most have whose port connect chose, refers
 * to it and has no class.
 *
 * Ephemeral ports. bind to 0 and connect pick uniformly at random among the ports that are free for
 * that purpose (RFC 6056 section 3.3, keyed per host), in a bounded number of steps at any fill:
 * random probes, then (or at once, when few ports are free) a walk of the numbers of free ports in
 * each 1,024 that buckets and destinations keep; at worst a scan of bitmaps, 1,024 words. bind to 0
 * when every port is in use looks at each for one that only others' addresses use. For connect,
 * free means: no socket is bound to the port by bind(2), and the 4-tuple is not in use; one local
 * port serves many destinations.
 *
 * Memory. A socket takes 64 bytes and its place in the demultiplexer 6 to 13; with the tables of
 * ports, 10,000 connections to one listener take about 153 bytes each, both ends together.
 */
#ifndef BERTH_LIB_PORT_PORT_H
#define BERTH_LIB_PORT_PORT_H

#include "../base/addr.h"

#include <stddef.h>

/* BT_ECHO (ping sockets of both families) takes a slot, but no port: nothing here binds it. */
enum bt_proto { BT_ECHO = 1, BT_TCP = 6, BT_UDP = 17 };

/* Numbered as in Linux's include/net/tcp_states.h, so that instruments may print them as they are.
 * A UDP socket is BT_ESTABLISHED when connected and BT_CLOSE otherwise. */
enum bt_state {
	BT_ESTABLISHED = 1,
	BT_SYN_SENT,
	BT_SYN_RECV,
	BT_FIN_WAIT1,
	BT_FIN_WAIT2,
	BT_TIME_WAIT,
	BT_CLOSE,
	BT_CLOSE_WAIT,
	BT_LAST_ACK,
	BT_LISTEN,
	BT_CLOSING,
};

/* Socket options that the port space looks at. */
enum bt_port_opt {
	BT_REUSEADDR = 1 << 0,
	BT_REUSEPORT = 1 << 1,
	BT_V6ONLY = 1 << 2,
	BT_BIND_NO_PORT = 1 << 3, /* IP_BIND_ADDRESS_NO_PORT */
	BT_FREEBIND = 1 << 4,
};

#define BT_NO_SLOT UINT32_MAX

/* Why a call was refused, for instruments that explain it. Filled in on every negative return. */
enum bt_why {
	BT_WHY_NONE,
	BT_WHY_IN_USE_LISTENER, /* the conflicting socket listens */
	BT_WHY_IN_USE_BOUND, /* it is bound (or connected) and not all involved set SO_REUSEADDR */
	BT_WHY_IN_USE_TIME_WAIT, /* it is in TIME_WAIT until `frees_ns` */
	BT_WHY_REUSEPORT_UID,	 /* all set SO_REUSEPORT, but it belongs to another user */
	BT_WHY_TUPLE_IN_USE,	 /* the 4-tuple exists */
	BT_WHY_NO_FREE_PORT,	 /* the ephemeral range is used up (for this destination, when
				    connecting) */
	BT_WHY_PRIVILEGED, /* port below ip_unprivileged_port_start and the caller is not the host's
			      root */
	BT_WHY_ALREADY_BOUND, /* EINVAL: bind on a bound socket */
	BT_WHY_BAD_STATE,     /* the call is not allowed in this state */
	BT_WHY_NO_MEMORY,     /* the pool of sockets is full, or out of memory */
	BT_WHY_FILTERED, /* a host's packet filter is in the way (not said by the port space) */
};

struct bt_reason {
	enum bt_why why;
	uint32_t slot;	   /* the conflicting socket, or BT_NO_SLOT */
	uint64_t frees_ns; /* when the conflict ends by itself, or 0 */
};

struct bt_port_net;

/* What a host's administrator may set; bt_port_host_conf gives the live structure, to be changed
 * between calls. Defaults are Linux's. */
struct bt_port_conf {
	uint16_t range_lo, range_hi; /* ip_local_port_range: 32768, 60999, both inclusive */
	uint16_t unprivileged_start; /* ip_unprivileged_port_start: 1024 */
	uint8_t autobind_reuse;	     /* ip_autobind_reuse: 0 */
	uint8_t tw_reuse;	     /* tcp_tw_reuse: 2 (0 no, 1 always, 2 if an end is loopback) */
	uint64_t time_wait_ns;	     /* 60 s */
	uint64_t tw_reuse_delay_ns;  /* 1 s: a younger TIME_WAIT is never taken over by connect */
	uint64_t reserved[1024]; /* ip_local_reserved_ports as a bitmap: port p is bit p%64 of word
				    p/64 */
};

/* What may be read of a socket. Filled by bt_port_get. */
struct bt_port_info {
	uint16_t host;
	uint8_t proto;	/* enum bt_proto */
	uint8_t family; /* enum bt_family: that of the socket() call */
	uint8_t state;	/* enum bt_state */
	uint8_t opts;	/* enum bt_port_opt bits */
	uint32_t uid;
	uint8_t dev; /* SO_BINDTODEVICE: the number of an interface of the host; 0: none */
	struct bt_addr laddr, raddr;
	uint16_t lport, rport;	     /* 0: none */
	uint16_t range_lo, range_hi; /* IP_LOCAL_PORT_RANGE; 0: no limit on that side */
};

/* Makes a network for at most max_slots (and 2^31 - 1) sockets. key: 16 secret random bytes (or a
 * seed, in tests). NULL: out of memory. Memory grows in chunks as slots are used; nothing is
 * reserved for unused ones. */
struct bt_port_net *bt_port_net_new(const uint8_t key[16], uint32_t max_slots);
void bt_port_net_free(struct bt_port_net *net); /* NULL is allowed */

/* Makes the port space of host number `host` (0..65534, chosen by the caller). 0, or -EEXIST,
 * -ENOMEM. */
int bt_port_host_add(struct bt_port_net *net, uint16_t host);
/* Ends a host; its sockets must have been freed (-EBUSY otherwise, -ENOENT if there is none). */
int bt_port_host_del(struct bt_port_net *net, uint16_t host);
struct bt_port_conf *bt_port_host_conf(struct bt_port_net *net,
				       uint16_t host); /* NULL: no such host */

/* A new, unbound socket in state BT_CLOSE. Slots are reused in the order in which they were freed,
 * and a slot rests for at least 1,024 other allocations' time unless the pool is full: a stale
 * reader then finds the old row. Returns 0 and *slot, or -ENFILE (pool full), -ENOMEM, -ENOENT (no
 * such host). */
int bt_port_new(struct bt_port_net *net, uint16_t host, enum bt_proto proto, enum bt_family family,
		uint32_t uid, uint32_t *slot);
/* The same in a slot that the caller chooses (rebuilding after a crash). -EEXIST: in use. */
int bt_port_new_at(struct bt_port_net *net, uint16_t host, enum bt_proto proto,
		   enum bt_family family, uint32_t uid, uint32_t slot);
/* Unbinds, leaves the demultiplexer and frees the slot, from any state. */
void bt_port_free(struct bt_port_net *net, uint32_t slot);
/* False if the slot is not in use. */
bool bt_port_get(const struct bt_port_net *net, uint32_t slot, struct bt_port_info *info);

/* Sets the BT_* option bits; moves a bound socket to its new class, as setsockopt after bind does
 * in Linux: no check, only later conflicts see it. */
void bt_port_set_opts(struct bt_port_net *net, uint32_t slot, unsigned opts);
/* The same for SO_BINDTODEVICE; 0: none. Sockets of different devices do not conflict, and a socket
 * gets nothing that arrives elsewhere. A socket in TIME_WAIT keeps its device. */
void bt_port_set_dev(struct bt_port_net *net, uint32_t slot, uint8_t dev);
/* IP_LOCAL_PORT_RANGE: where a port is chosen for this socket, both inclusive; 0: no limit on that
 * side. A limit outside the host's range has no effect, as in Linux. -EINVAL: lo > hi; -ENOMEM. */
int bt_port_set_range(struct bt_port_net *net, uint32_t slot, uint16_t lo, uint16_t hi);

/* bind(2). addr is wildcard or an address that the caller has found to be the host's; port 0 picks
 * one (or, with BT_BIND_NO_PORT, leaves the choice to connect; then bind may be called again).
 * root: the caller is the host's root. -EINVAL: it has a port, or an IPv6-only socket is given an
 * IPv4 address; -EACCES privileged; -EADDRINUSE. The port taken is in bt_port_get's lport. On
 * failure to take one the socket has no address any more, not even that of an earlier bind (Linux).
 */
int bt_port_bind(struct bt_port_net *net, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		 bool root, uint64_t now_ns, struct bt_reason *reason);

/* listen(2) on a TCP socket (several may on one port, and disturb neither each other nor
 * connections: RFC 9293 MUST-41, MUST-42); autobinds to the family's wildcard when unbound; a
 * second listen on a listener is 0. -EINVAL: state is neither BT_CLOSE nor BT_LISTEN; -EADDRINUSE:
 * Linux checks the port again here. */
int bt_port_listen(struct bt_port_net *net, uint32_t slot, uint64_t now_ns,
		   struct bt_reason *reason);

/*
 * connect(2): fixes the local address to src (the caller has chosen it, and knows what bind gave)
 * and the remote end to raddr:rport, picks an ephemeral port if there is none
 * yet, and enters the demultiplexer. TCP: state becomes BT_SYN_SENT. UDP: BT_ESTABLISHED, and
 * connecting again is allowed. -EADDRNOTAVAIL: no free port for this destination, or the 4-tuple is
 * in use; the socket then loses a port that bind to 0 gave, and keeps src if bind gave an address
 * before (Linux). UDP without a free port: -EAGAIN (as Linux). -EISCONN: TCP in a state other than
 * BT_CLOSE. -ENOMEM. A TIME_WAIT socket with the same 4-tuple is taken over (freed; its slot goes
 * to *taken, else BT_NO_SLOT) where tw_reuse allows it.
 */
int bt_port_connect(struct bt_port_net *net, uint32_t slot, const struct bt_addr *src,
		    const struct bt_addr *raddr, uint16_t rport, uint64_t now_ns, uint32_t *taken,
		    struct bt_reason *reason);

/* True if the socket is connected with itself: its own address and port are the remote ones.
 * connect to an own address may bring that about, by a port that bind gave or by the one it
 * chooses; the socket is then both ends (RFC 9293 3.5, simultaneous open), and bt_port_lookup finds
 * it for its own packets. A caller looks here before it looks for a listener. */
bool bt_port_is_self(const struct bt_port_net *net, uint32_t slot);

/* connect(2) with AF_UNSPEC, or a TCP connection attempt that failed: forgets the remote end. A
 * port or address that bind(2) gave is kept, the device of a UDP socket is not (Linux); one that
 * connect gave is released (Linux: SOCK_BINDPORT_LOCK, SOCK_BINDADDR_LOCK; a UDP socket that was
 * autobound by sendto keeps nothing that bind did not give). A child releases its listener's port,
 * and keeps its address if bind gave that to the listener. Linux's getsockname goes on to show the
 * released port, although the socket no longer has it. */
void bt_port_disconnect(struct bt_port_net *net, uint32_t slot);
/* A TCP connection or an attempt is over, and no call has told that yet: as bt_port_disconnect, but
 * the addresses stay (but for the remote one of an attempt), the local one also in the eyes of who
 * binds (Linux's tcp_done). Nothing happens to one that is in no connection. */
void bt_port_done(struct bt_port_net *net, uint32_t slot);
/* `to`, fresh and of the same kind, takes the place of `from`, which is in BT_CLOSE and keeps
 * nothing: address, port, options, device, range. -EBADF, -EINVAL, -ENOMEM: nothing has changed. */
int bt_port_inherit(struct bt_port_net *net, uint32_t from, uint32_t to);
/* Address and port of a socket in BT_CLOSE that nobody will use any more are free. */
void bt_port_unbind(struct bt_port_net *net, uint32_t slot);

/* UDP sendto on an unbound socket: wildcard address of the family and an ephemeral port. -EAGAIN:
 * none free. 0 if already bound. */
int bt_port_autobind(struct bt_port_net *net, uint32_t slot, uint64_t now_ns,
		     struct bt_reason *reason);

/* The server's end of a new connection of `listener`: a new slot in the same host, bucket and uid,
 * with the listener's options, range and device, state BT_SYN_RECV, entered in the demultiplexer. A
 * TIME_WAIT socket with the same 4-tuple is taken over (*taken as above). -EADDRNOTAVAIL: the
 * 4-tuple lives; -ENFILE, -ENOMEM. */
int bt_port_accept(struct bt_port_net *net, uint32_t listener, const struct bt_addr *laddr,
		   const struct bt_addr *raddr, uint16_t rport, uint32_t *child, uint32_t *taken,
		   struct bt_reason *reason);
/* The same in a chosen slot, when rebuilding; the listener may be gone: host, uid, family and opts
 * are given. */
int bt_port_restore_child(struct bt_port_net *net, uint32_t slot, const struct bt_port_info *info);

/* Writes the state of a connection (not LISTEN, not TIME_WAIT: those have their own calls). */
void bt_port_set_state(struct bt_port_net *net, uint32_t slot, enum bt_state state);

/* Enters TIME_WAIT until now_ns plus the host's time_wait_ns. The slot remains, in the bucket and
 * in the demultiplexer, until bt_port_expired names it. Out of memory it skips TIME_WAIT:
 * bt_port_get shows the state, but port and 4-tuple are free at once, and bt_port_expired names it
 * next. */
void bt_port_time_wait(struct bt_port_net *net, uint32_t slot, uint64_t now_ns);
/* The socket whose connection is in TIME_WAIT is wanted for something else: the TIME_WAIT goes on
 * in a slot of its own, *waits, and the socket is as bt_port_done leaves it (in Linux they are two
 * from the beginning). -EINVAL: it is not in TIME_WAIT, or skips it; -ENFILE, -ENOMEM. */
int bt_port_part(struct bt_port_net *net, uint32_t slot, uint32_t *waits);
/* TIME_WAIT begins anew, and lasts as long again: its slot is in TIME_WAIT (else nothing happens).
 */
void bt_port_time_wait_again(struct bt_port_net *net, uint32_t slot, uint64_t now_ns);
/* The next slot whose TIME_WAIT has ended by now_ns, or BT_NO_SLOT; the caller frees it. */
uint32_t bt_port_expired(struct bt_port_net *net, uint64_t now_ns);
/* When the next TIME_WAIT ends (0: a socket skips it), or UINT64_MAX. */
uint64_t bt_port_deadline(const struct bt_port_net *net);

/*
 * The demultiplexer: the socket of `host` that a packet from raddr:rport to laddr:lport belongs to,
 * or BT_NO_SLOT. dev: the interface of that host on which the packet arrives (not 0); a socket with
 * another device does not match. TCP: the connection with that 4-tuple (TIME_WAIT included, the
 * newest of several that differ in device); else the best listener: specific address before
 * wildcard, then IPv4 before dual-stack IPv6 and, just as good, one with the device before one
 * without; among SO_REUSEPORT listeners of the same kind one by keyed hash of the 4-tuple;
 * otherwise the one that listened last. UDP: connected (last connected first) before unconnected,
 * specific before wildcard, device before none, IPv4 before IPv6; SO_REUSEPORT as above; otherwise
 * the one bound last.
 */
uint32_t bt_port_lookup(const struct bt_port_net *net, uint16_t host, enum bt_proto proto,
			const struct bt_addr *laddr, uint16_t lport, const struct bt_addr *raddr,
			uint16_t rport, uint8_t dev);
/* UDP, what goes to a group or is broadcast: every socket that the packet reaches, one a call, in
 * any order: the one after `after`, which is what the last call said, at first BT_NO_SLOT. Neither
 * bind nor connect may come between. */
uint32_t bt_port_lookup_next(const struct bt_port_net *net, uint16_t host,
			     const struct bt_addr *laddr, uint16_t lport,
			     const struct bt_addr *raddr, uint16_t rport, uint8_t dev,
			     uint32_t after);
/* The same, listeners only (a SYN that meets a TIME_WAIT socket, an explanation). */
uint32_t bt_port_lookup_listener(const struct bt_port_net *net, uint16_t host,
				 const struct bt_addr *laddr, uint16_t lport,
				 const struct bt_addr *raddr, uint16_t rport, uint8_t dev);

/* What a look-up has looked at. */
#define BT_PORT_CANDIDATES 32u
struct bt_port_candidate {
	uint32_t slot;	/* the first of those that are alike */
	uint32_t count; /* so many are */
	int32_t score;	/* the highest wins, the youngest of equals; -1: not for this packet */
	bool group;	/* one of those that share by SO_REUSEPORT with the best */
};
struct bt_port_trace {
	bool connected; /* the 4-tuple is a connection's: nothing else was looked at */
	uint32_t n, more;
	struct bt_port_candidate candidates[BT_PORT_CANDIDATES]; /* those with the port */
};
/* bt_port_lookup itself, telling how it comes to its answer. */
uint32_t bt_port_explain(const struct bt_port_net *net, uint16_t host, enum bt_proto proto,
			 const struct bt_addr *laddr, uint16_t lport, const struct bt_addr *raddr,
			 uint16_t rport, uint8_t dev, struct bt_port_trace *trace);

/* The ends of a socket, which stay as they are (RFC 9293 MUST-45), for what is done for each
 * packet: cheaper than bt_port_get. The slot must be in use. */
struct bt_port_ends {
	struct bt_addr laddr, raddr;
	uint16_t lport, rport;
	uint16_t host;
	uint8_t dev, family;
};
void bt_port_ends(const struct bt_port_net *net, uint32_t slot, struct bt_port_ends *ends);

/* Look-ups of several packets at once: what one waits for from memory is fetched while the others
 * are worked on. */
#define BT_PORT_BATCH 16u
struct bt_port_query {
	const struct bt_addr *laddr, *raddr;
	uint16_t lport, rport, host;
	uint8_t dev;
};
/* As bt_port_lookup for each of n <= BT_PORT_BATCH queries; hint: a slot that the first may well
 * find, or BT_NO_SLOT. */
void bt_port_lookup_batch(const struct bt_port_net *net, enum bt_proto proto,
			  const struct bt_port_query *q, size_t n, uint32_t hint, uint32_t *slots);
/* The same in two steps, between which the caller may fetch what it keeps of the sockets itself:
 * `slots` has those that are likely then, or BT_NO_SLOT. */
struct bt_port_batch {
	const struct bt_port_query *q;
	size_t n;
	uint16_t proto;
	uint32_t hint;
	bool same[BT_PORT_BATCH]; /* as the query before, of the first: as the hint */
	uint64_t hash[BT_PORT_BATCH];
};
void bt_port_lookup_begin(const struct bt_port_net *net, enum bt_proto proto,
			  const struct bt_port_query *q, size_t n, uint32_t hint,
			  struct bt_port_batch *batch, uint32_t *slots);
void bt_port_lookup_end(const struct bt_port_net *net, const struct bt_port_batch *batch,
			uint32_t *slots);

/* Number of slots in use. Number of bytes of memory that were written to since the network was
 * made: of growing arrays the whole capacity, of the slots those ever used, of a host's tables of
 * ports the pages of 4 KB. What is only reserved (the rest of 256 KB for each host and protocol,
 * and of the last 256 KB of slots) does not count, nor does what malloc itself needs. */
uint32_t bt_port_count(const struct bt_port_net *net);
size_t bt_port_bytes(const struct bt_port_net *net);
/* Checks every invariant (lists, counts, bitmaps, hash); aborts on a violation. For tests. */
void bt_port_check(const struct bt_port_net *net);

#endif

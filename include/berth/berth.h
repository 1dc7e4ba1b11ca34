/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libberth: a TCP/IP engine as a library. It does no I/O, reads no clock, starts no threads and has
 * no globals: packets, time and a random key come in as arguments; packets and events go out. What
 * it allocates it allocates when sockets, interfaces and hosts are made or their buffers grow, in
 * chunks and up to the limits given to berth_new, never for a packet of an established connection
 * whose buffers have their size.
 *
 * An engine (struct berth) holds one network's hosts. A host has interfaces, addresses, routes and
 * its own 65,536 ports for TCP and as many for UDP, with Linux's rules for sharing them. Hosts of
 * one engine meet only over wires that the caller joins: what berth_output gives for one interface
 * may be given to berth_input for another, now or later, in whole or in part, or go to a TAP
 *device.
 *
 * The loop of a caller:
 *
 *	berth_input(b, interface, packet, length, now)	for each packet that arrived
 *	berth_advance(b, now)				when now >= berth_deadline(b)
 *	berth_event(b, &event)				until it says false: sockets to look at
 *	berth_send, berth_recv, ...			what the program does
 *	berth_output(b, packets, n, now)		until it gives none: packets to carry
 *
 * Units: times are nanoseconds of any monotonic clock, as uint64_t, and never go back (an earlier
 * one counts as the latest seen). Lengths are bytes. Ports are in host byte order. Addresses are 16
 * bytes in network order, IPv4 in its mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2).
 *
 * Errors: functions that return int say 0 or a positive result, or a negative number of enum
 * berth_error, whose values are those of Linux's errno; then nothing has changed, and
 * out-parameters are untouched. A packet never causes an error: it is acted on, or dropped for one
 * reason, which is counted (enum berth_drop).
 *
 * Threads: one engine, one thread at a time.
 */
#ifndef BERTH_BERTH_H
#define BERTH_BERTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h> /* struct iovec (POSIX) */

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

enum berth_error {
	BERTH_EPERM = -1,
	BERTH_ENOENT = -2,
	BERTH_EBADF = -9, /* the handle is stale or was never one */
	BERTH_EAGAIN = -11,
	BERTH_ENOMEM = -12,
	BERTH_EACCES = -13,
	BERTH_EEXIST = -17,
	BERTH_EINVAL = -22,
	BERTH_ENFILE = -23,
	BERTH_EPIPE = -32,
	BERTH_EPROTO = -71, /* a router or the peer could not read the packet (ICMP) */
	BERTH_EDESTADDRREQ = -89,
	BERTH_EMSGSIZE = -90,
	BERTH_ENOPROTOOPT = -92,
	BERTH_EOPNOTSUPP = -95,
	BERTH_EAFNOSUPPORT = -97,
	BERTH_EADDRINUSE = -98,
	BERTH_EADDRNOTAVAIL = -99,
	BERTH_ENETUNREACH = -101,
	BERTH_ECONNABORTED = -103,
	BERTH_ECONNRESET = -104,
	BERTH_ENOBUFS = -105,
	BERTH_EISCONN = -106,
	BERTH_ENOTCONN = -107,
	BERTH_ETIMEDOUT = -110,
	BERTH_ECONNREFUSED = -111,
	BERTH_EHOSTUNREACH = -113,
	BERTH_EALREADY = -114,
	BERTH_EINPROGRESS = -115,
};
/* One sentence without a full stop; NULL for a number that is not in the list. Static. */
const char *berth_strerror(int error);

struct berth_addr {
	uint8_t b[16];
};

struct berth;		       /* an engine */
typedef uint16_t berth_host;   /* a host's number in its engine */
typedef uint16_t berth_if;     /* an interface's number in its engine; 0: none */
typedef uint64_t berth_socket; /* slot and generation; 0 is never one */

/* ---- engine, hosts, interfaces, routes ---- */

struct berth_config {
	uint8_t key[16];       /* secret and random; the same key and input give the same output */
	uint32_t max_sockets;  /* 0: 65,536. At most 2^31 - 2 */
	uint64_t buffer_bytes; /* cap on all sockets' buffers together; 0: 256 MiB */
};

struct berth *berth_new(const struct berth_config *config); /* NULL: out of memory */
void berth_free(struct berth *b);			    /* NULL is allowed; sends nothing */

/* A host with an interface lo that has 127.0.0.1/8 and ::1/128. Its number, or BERTH_ENOMEM,
 * BERTH_ENFILE (65,534 hosts). */
int berth_host_add(struct berth *b);

enum berth_if_flag {
	BERTH_IF_ETHERNET = 1 << 0, /* frames with Ethernet headers, ARP and ND; else bare IP */
	BERTH_IF_TX_CHECKSUM =
		1 << 1, /* whoever carries the packets fills in or does not need TCP's
			   and UDP's checksums: they are left incomplete on output */
	BERTH_IF_RX_CHECKSUM = 1 << 2, /* packets that arrive have been checked already */
	BERTH_IF_TSO = 1 << 3,	       /* segments of up to 64 KiB may go out and come in */
	BERTH_IF_DOWN = 1 << 4,
};
struct berth_if_config {
	uint32_t flags;
	uint32_t mtu; /* bytes of the IP packet, 1,280..65,535 (68 and above where only IPv4); 0:
			 1,500 */
	uint8_t mac[6];
	char name[16]; /* empty: eth0, eth1, ... of its host */
};
/* Its number, or BERTH_EINVAL, BERTH_ENOMEM, BERTH_ENFILE (15 of a host). */
int berth_if_add(struct berth *b, berth_host host, const struct berth_if_config *config);
int berth_if_set(struct berth *b, berth_if i, const struct berth_if_config *config);
/* bits: prefix length in the address's own family. BERTH_EEXIST: a host of the engine has it. */
int berth_addr_add(struct berth *b, berth_if i, const struct berth_addr *addr, unsigned bits);
int berth_addr_del(struct berth *b, berth_if i, const struct berth_addr *addr);
/* via: the next hop, or NULL: on the link. Longest prefix first, then the lowest metric. */
int berth_route_add(struct berth *b, berth_host host, const struct berth_addr *dst, unsigned bits,
		    const struct berth_addr *via, berth_if i, uint32_t metric);
int berth_route_del(struct berth *b, berth_host host, const struct berth_addr *dst, unsigned bits);
int berth_forwarding(struct berth *b, berth_host host, bool on);

/* ---- packets and time ---- */

/* A packet from the wire of interface i. The engine does not keep the memory. */
void berth_input(struct berth *b, berth_if i, const void *packet, size_t len, uint64_t now_ns);
struct berth_input {
	const void *packet;
	size_t len;
	berth_if i;
	uint16_t segment; /* payload bytes of a segment where several came as one packet, else 0 */
	bool checked;	  /* whoever carried it vouches for its TCP or UDP checksum */
};
/* The same for several, with the look-ups done together: what a packet loop should use. */
void berth_input_batch(struct berth *b, const struct berth_input *packets, size_t n,
		       uint64_t now_ns);

#define BERTH_OUTPUT_HEADER 128
#define BERTH_OUTPUT_IOV    20
struct berth_output {
	berth_if i;
	uint16_t n_iov;	  /* parts, in order; part 0 are the headers, in `header` */
	uint32_t len;	  /* all parts together */
	uint16_t segment; /* payload bytes of a segment where the packet is several (TSO), else 0 */
	uint16_t checksum; /* where the unfinished checksum's sum starts (BERTH_IF_TX_CHECKSUM), 0:
			      it is complete */
	struct iovec iov[BERTH_OUTPUT_IOV];
	uint8_t header[BERTH_OUTPUT_HEADER];
};
/* Fills in up to n packets to carry, and says how many; 0: nothing to send now. What the parts
 * point to is the engine's and stays as it is until the next call on this engine other than
 * berth_output. */
size_t berth_output(struct berth *b, struct berth_output *packets, size_t n, uint64_t now_ns);

/*
 * For a carrier that offers BERTH_IF_TSO or BERTH_IF_TX_CHECKSUM and has a packet to which they do
 * not apply, as the wire is a real one or somebody looks: cuts a packet that is several into
 * these, and finishes checksums. Others it gives back as they are.
 */
struct berth_cut {
	const struct berth_output *packet;
	uint32_t at;   /* how much of the payload has been given */
	uint16_t part; /* where that is */
	uint32_t part_at;
	uint16_t n;    /* packets given */
	uint8_t ether; /* bytes before the IP header */
};
/* ethernet: the packet came from an interface with BERTH_IF_ETHERNET. */
void berth_cut_begin(struct berth_cut *c, const struct berth_output *packet, bool ethernet);
/* The next one, whose parts point into the packet, for as long as the packet's do. False: that was
 * all. */
bool berth_cut_next(struct berth_cut *c, struct berth_output *one);

/* When berth_advance must be called next; UINT64_MAX: never. */
uint64_t berth_deadline(const struct berth *b);
/* Does what is due. Afterwards berth_deadline is later than now. */
void berth_advance(struct berth *b, uint64_t now_ns);

enum berth_event_flag {
	BERTH_READABLE = 1 << 0,  /* bytes, a datagram, a connection to accept, or the end */
	BERTH_WRITABLE = 1 << 1,  /* there is room again; for a connecting socket: connected */
	BERTH_PEER_SHUT = 1 << 2, /* the peer's FIN has come */
	BERTH_ERROR = 1 << 3,	  /* an error waits (berth_error_take) */
	BERTH_ENDED = 1 << 4,	  /* the connection is over in both directions */
	BERTH_URGENT = 1 << 5,
};
struct berth_event {
	berth_socket socket;
	uint64_t user; /* berth_set_user */
	uint32_t what; /* enum berth_event_flag: what has become true since the last event */
};
/* Edge-triggered: each change is told once, one event a socket. False: none waits. */
bool berth_event(struct berth *b, struct berth_event *event);

/* ---- sockets ---- */

enum berth_type { BERTH_TCP = 6, BERTH_UDP = 17, BERTH_PING = 1 /* ICMP echo, ICMPv6 echo */ };

struct berth_endpoint {
	struct berth_addr addr;
	uint16_t port;
	berth_if scope; /* of a link-local address; else 0 */
};

/* family: 4 or 6. The new socket in *s. BERTH_ENFILE: max_sockets; BERTH_ENOMEM, BERTH_EINVAL. */
int berth_open(struct berth *b, berth_host host, enum berth_type type, int family, berth_socket *s);
void berth_set_user(struct berth *b, berth_socket s, uint64_t user);
/* bind(2). Port 0: any. */
int berth_bind(struct berth *b, berth_socket s, const struct berth_endpoint *local,
	       uint64_t now_ns);
/* listen(2). backlog: how many established connections may wait for berth_accept. */
int berth_listen(struct berth *b, berth_socket s, uint32_t backlog, uint64_t now_ns);
/* connect(2), never waiting: TCP says BERTH_EINPROGRESS, and BERTH_WRITABLE or BERTH_ERROR comes as
 * an event. remote NULL: AF_UNSPEC. */
int berth_connect(struct berth *b, berth_socket s, const struct berth_endpoint *remote,
		  uint64_t now_ns);
/* The next connection of a listener in *s, or BERTH_EAGAIN. */
int berth_accept(struct berth *b, berth_socket listener, berth_socket *s, uint64_t now_ns);

/* TCP: how many bytes were taken, at least 1, or BERTH_EAGAIN (no room), BERTH_EPIPE,
 * BERTH_ENOTCONN, or an error that waited. flags: enum berth_send_flag. */
enum berth_send_flag { BERTH_MORE = 1 << 0, BERTH_OOB = 1 << 1, BERTH_FASTOPEN = 1 << 2 };
int64_t berth_send(struct berth *b, berth_socket s, const void *data, size_t len, unsigned flags,
		   uint64_t now_ns);
/* TCP without a copy: room for at most len bytes in the send buffer, in *n_parts parts at most (1
 * to BERTH_PARTS), as readv(2) takes them; then as many bytes as were filled, in order. The room is
 * valid until the next call on this engine. */
#define BERTH_PARTS 1024u
int berth_send_room(struct berth *b, berth_socket s, struct iovec *parts, unsigned *n_parts,
		    size_t len);
int berth_send_filled(struct berth *b, berth_socket s, size_t len, uint64_t now_ns);
/* TCP: bytes read, 0: the end, BERTH_EAGAIN: none yet. BERTH_PEEK leaves them. */
enum berth_recv_flag { BERTH_PEEK = 1 << 0, BERTH_RECV_OOB = 1 << 1 };
int64_t berth_recv(struct berth *b, berth_socket s, void *data, size_t len, unsigned flags,
		   uint64_t now_ns);
/* TCP without a copy: the first bytes that wait, in *n_parts parts at most (at least 1), as
 * writev(2) takes them; none: the end. Then how many bytes are done with; the parts are valid until
 * then. */
int berth_recv_data(struct berth *b, berth_socket s, struct iovec *parts, unsigned *n_parts);
int berth_recv_done(struct berth *b, berth_socket s, size_t len, uint64_t now_ns);

/* UDP and ping: one datagram. to NULL: the connected peer. */
int64_t berth_send_to(struct berth *b, berth_socket s, const void *data, size_t len,
		      const struct berth_endpoint *to, uint64_t now_ns);
struct berth_datagram {
	struct berth_endpoint from, to;
	berth_if i;
	uint8_t hops, tos;
	bool truncated; /* the datagram was longer than len */
};
/* info may be NULL. The length of what was copied, or BERTH_EAGAIN, or an error that waited. */
int64_t berth_recv_from(struct berth *b, berth_socket s, void *data, size_t len,
			struct berth_datagram *info, unsigned flags, uint64_t now_ns);

enum berth_shut { BERTH_SHUT_RD, BERTH_SHUT_WR, BERTH_SHUT_RDWR };
int berth_shutdown(struct berth *b, berth_socket s, enum berth_shut how, uint64_t now_ns);
/* close(2): what is buffered is still sent, and TCP ends in its own time; the handle is stale at
 * once. With SO_LINGER of 0, or unread data, a reset. Never fails on a live handle. */
int berth_close(struct berth *b, berth_socket s, uint64_t now_ns);
/* ABORT (RFC 9293 3.10.5): a reset, and nothing remains. */
int berth_abort(struct berth *b, berth_socket s, uint64_t now_ns);
/* SO_ERROR: the error that waits (negative) and clears it; 0: none. */
int berth_error_take(struct berth *b, berth_socket s);
int berth_name(const struct berth *b, berth_socket s, struct berth_endpoint *local,
	       struct berth_endpoint *remote);
/* What would poll(2) say now: enum berth_event_flag bits. */
int berth_ready(const struct berth *b, berth_socket s);

/* Linux's meaning of each (socket(7), tcp(7), udp(7), ip(7), ipv6(7)); times in the unit named. */
enum berth_option {
	BERTH_SO_REUSEADDR = 1,
	BERTH_SO_REUSEPORT,
	BERTH_SO_KEEPALIVE,
	BERTH_SO_LINGER, /* -1: off; else seconds */
	BERTH_SO_SNDBUF, /* bytes of payload */
	BERTH_SO_RCVBUF,
	BERTH_SO_OOBINLINE,
	BERTH_SO_BINDTODEVICE, /* berth_if */
	BERTH_SO_BROADCAST,
	BERTH_SO_ATMARK, /* read: the next byte is the urgent one (sockatmark(3)) */
	BERTH_TCP_NODELAY = 32,
	BERTH_TCP_CORK,
	BERTH_TCP_QUICKACK,
	BERTH_TCP_MAXSEG,
	BERTH_TCP_KEEPIDLE,  /* s */
	BERTH_TCP_KEEPINTVL, /* s */
	BERTH_TCP_KEEPCNT,
	BERTH_TCP_SYNCNT,
	BERTH_TCP_LINGER2,	/* s; -1: none */
	BERTH_TCP_DEFER_ACCEPT, /* s */
	BERTH_TCP_WINDOW_CLAMP,
	BERTH_TCP_USER_TIMEOUT,	 /* ms */
	BERTH_TCP_NOTSENT_LOWAT, /* bytes */
	BERTH_TCP_CONGESTION,	 /* enum berth_congestion */
	BERTH_TCP_FASTOPEN,	 /* queue length on a listener; 1 on a client */
	BERTH_TCP_ECN,		 /* 0 off, 1 ask and accept, 2 accept only (default) */
	BERTH_IP_TTL = 64,
	BERTH_IP_TOS,
	BERTH_IP_MTU,	       /* read: the path's */
	BERTH_IP_MTU_DISCOVER, /* IP_PMTUDISC_* */
	BERTH_IP_MULTICAST_TTL,
	BERTH_IP_MULTICAST_LOOP,
	BERTH_IP_MULTICAST_IF,
	BERTH_IP_RECVERR,
	BERTH_IP_FREEBIND,
	BERTH_IPV6_V6ONLY,
};
enum berth_congestion { BERTH_CC_CUBIC, BERTH_CC_RENO, BERTH_CC_BBR };
int berth_set(struct berth *b, berth_socket s, enum berth_option option, int64_t value,
	      uint64_t now_ns);
int berth_get(const struct berth *b, berth_socket s, enum berth_option option, int64_t *value);
/* IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP and their opposites; i 0: by the routes. */
int berth_join(struct berth *b, berth_socket s, const struct berth_addr *group, berth_if i,
	       uint64_t now_ns);
int berth_leave(struct berth *b, berth_socket s, const struct berth_addr *group, berth_if i,
		uint64_t now_ns);
/* What a new socket of the host has, e.g. the congestion control. */
int berth_host_set(struct berth *b, berth_host host, enum berth_option option, int64_t value);

/* TCP_INFO. Names and meanings of struct tcp_info (linux/tcp.h), times in ns. */
struct berth_tcp_info {
	uint8_t state; /* numbers of Linux's include/net/tcp_states.h */
	uint8_t ca_state, retransmits, probes, backoff;
	uint8_t snd_wscale, rcv_wscale;
	bool timestamps, sack, wscale, ecn, ecn_seen, fastopen_data;
	uint64_t rto_ns, ato_ns, srtt_ns, rttvar_ns, min_rtt_ns, rcv_rtt_ns;
	uint32_t snd_mss, rcv_mss, advmss, pmtu;
	uint32_t unacked, sacked, lost, retrans, reordering; /* segments */
	uint32_t snd_ssthresh, snd_cwnd;		     /* segments */
	uint32_t rcv_ssthresh, rcv_space, snd_wnd, rcv_wnd;  /* bytes */
	uint32_t total_retrans, segs_out, segs_in, data_segs_out, data_segs_in, delivered,
		delivered_ce, dsack_dups, reord_seen, rcv_ooopack;
	uint64_t bytes_sent, bytes_acked, bytes_received, bytes_retrans;
	uint64_t pacing_rate, delivery_rate; /* bytes a second */
	uint32_t notsent_bytes, send_queue_bytes, recv_queue_bytes;
};
int berth_tcp_info(const struct berth *b, berth_socket s, struct berth_tcp_info *info);

/* ---- counters ---- */

/* Why a packet was dropped: each is counted for its host, and is a line of doc/drops.md. */
enum berth_drop {
#define BERTH_DROP(name, sentence) BERTH_DROP_##name,
#include "drops.h"
#undef BERTH_DROP
	BERTH_DROPS
};
uint64_t berth_drops(const struct berth *b, berth_host host, enum berth_drop reason);
const char *berth_drop_name(enum berth_drop reason);
/* Sockets in use and bytes of memory taken: 0 sockets when all are closed and TIME_WAIT is over. */
uint32_t berth_sockets(const struct berth *b);
size_t berth_bytes(const struct berth *b);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

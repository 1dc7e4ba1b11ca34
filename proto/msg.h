/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between a program (or the command line) and berthd, over one SOCK_SEQPACKET connection a
 * process to the network's control name (bt_name_control). Each request is one packet: struct
 * bt_req, then `extra` bytes whose meaning the type gives. Each reply is one packet: struct bt_rep,
 * then `extra` bytes. Requests marked "notice" have no reply. Numbers are native: both ends are on
 * one machine.
 *
 * A request that changes a socket is obeyed from the connection over which the socket was made;
 * from any other when the packet brings a descriptor of the socket along (SCM_RIGHTS) as proof that
 * the program holds it.
 *
 * The first request is BT_HELLO. A program says its token; the command line says none, and is
 * accepted by its uid (SO_PEERCRED): the network's owner or root. berthd answers with the table's
 * descriptor (SCM_RIGHTS, read-only). A packet that is not legal gets a reply with err EPROTO and
 * bumps BT_CNT_MALFORMED; nothing else happens.
 */
#ifndef BERTH_PROTO_MSG_H
#define BERTH_PROTO_MSG_H

#include "name.h"
#include "table.h"

#include <stdint.h>

#define BT_MSG_VERSION 7
#define BT_MSG_MAX     (65536 + 256) /* bytes of the largest packet */
#define BT_TOKEN_BYTES 24	     /* who (8), MAC (16); in BERTH_TOKEN as hex after "NETID:" */
/* The token's first 8 bytes, a native number: bits 0-15 the host; bit 16 BT_TOKEN_UNPRIVILEGED: not
 * the host's root; bits 32-63 the uid that counts as the host's root. */
#define BT_TOKEN_UNPRIVILEGED (1ull << 16)
#define BT_CONGESTION_NAME    16
#define BT_SLOT_NONE	      UINT32_MAX
/* The kernel's queue of every listener: long, as a full one refuses a non-blocking connect
 * (EAGAIN), where TCP lets it wait. */
#define BT_LISTEN_QUEUE 4096
#define BT_SEND_TTL	(1u << 16)
#define BT_SEND_TOS	(1u << 17)

enum bt_msg_type {
	/* programs and command line */
	BT_HELLO =
		1, /* extra: token or nothing. Reply: value = host index, descriptor of the table */
	/* programs: about the socket `id` (slot BT_SLOT_NONE: a fresh one of proto/family, made by
	 * this request; the reply's id names it and the program binds the descriptor to that name)
	 */
	BT_IDENT,     /* only make it */
	BT_BIND,      /* addr, port (ICMP echo: identifier), opts. Reply: addr, port */
	BT_LISTEN_ON, /* value = backlog. Reply: addr, port. With the descriptor, if it has its
			 name: berthd has the kernel listen on it */
	BT_CONNECT, /* TCP: addr, port = destination. Reply: id (also with ECONNREFUSED), addr/port
		       = local end, target = listener */
	BT_CONNECT_FAIL, /* notice: the descriptor could not be joined to the target; value = errno
			  */
	BT_JOIN, /* TCP, after BT_CONNECT, with the descriptor: berthd joins it to the target, whose
		    file the program cannot reach */
	BT_TOLD, /* TCP: a call has told the outcome of a connect. value: 0 connected; else the
		    local end is forgotten, but for what bind gave */
	BT_UDP_CONNECT, /* addr, port; port 0 and flag BT_REQF_UNSPEC: disconnect. Reply: addr/port
			   = local */
	BT_UDP_ROUTE, /* addr, port. Reply: target (slot BT_SLOT_NONE: nobody has the port), value =
		       * epoch, flags: BT_REPF_RELAY send through berthd; addr/port = the sender's
		       * local end */
	BT_UDP_SEND,  /* addr, port, extra: payload; flag BT_REQF_SYNC: wants a reply;
		       * BT_REQF_SOURCE: the payload comes after 16 bytes, the source address that
		       * the program chose; value: bits 0-7 the TTL if BT_SEND_TTL, bits 8-15 the
		       * TOS if BT_SEND_TOS. ICMP echo: the request, as BT_PING has it */
	BT_OPTS,      /* opts: new option bits (enum bt_port_opt) */
	BT_SETVAL,    /* notice: flags = level, port = option name, value; TCP_CONGESTION: a number
		       * (include/berth/berth.h) */
	BT_GETVAL,    /* flags = level, port = option. Reply: value, or err ENOENT if never set.
		       * SO_ERROR is told once */
	BT_GROUP,     /* addr = group, dev: the socket joins it; flag BT_REQF_LEAVE: leaves it;
		       * BT_REQF_SOURCE: extra: a source, 16 bytes, which is added to those of the
		       * membership, or taken from them; value 1: they are let in, 0: kept out */
	BT_ERRQUEUE,  /* UDP: reply extra: struct bt_udp_error and what it quotes; EAGAIN: none */
	BT_TCP_INFO,  /* Reply extra: struct tcp_info (linux/tcp.h), then the name of the congestion
			 control, BT_CONGESTION_NAME bytes; ENOENT: its bytes travel in no packets */
	BT_SHUT,      /* notice: value = SHUT_WR or SHUT_RDWR */
	BT_RESET, /* the connection ends by reset: the socket is about to be closed (SO_LINGER 0),
		     or, value 1, the kernel has told of the peer's; has a reply */
	BT_DISCONNECT, /* TCP: connect with AF_UNSPEC. Reply: id = a fresh socket that takes over
			  address, port and options; the old one is closed. value: 1 if other
			  processes may hold that */
	BT_HEIR,       /* notice, after that: the fresh socket's descriptor, kept for those */
	BT_SUCCESSOR,  /* of an old one, with its descriptor. Reply: id and descriptor of the fresh
			  one,  or err ENOENT */
	BT_UNREAD,  /* about to be closed with data unread; counts for the next BT_CLOSED alone */
	BT_CLOSED,  /* notice: this process closed the descriptor; BT_REQF_SOLE: no other holder */
	BT_FORGED,  /* notice: an accept on `id` turned a peer away */
	BT_ACCEPTS, /* notice: this process accepts connections on the listener `id`; with its
		       descriptor */
	BT_INBOX,   /* with a memfd (proto/inbox.h). Reply: value = its number, or err ENOSPC */
	BT_KNOCK,   /* notice: there is something in the inbox */
	BT_METER,   /* with a memfd (proto/meter.h) */
	/* names */
	/* settings of a host: the program's own; from the command line, the host numbered `value`
	 */
	BT_SYSCTL,  /* extra: the name as in /proc/sys, slashes for dots
		       ("net/ipv4/tcp_fin_timeout");  with BT_REQF_WRITE a NUL and the text to write.
		       Reply extra: the text that a  read gives, new line included. ENOENT: not a
		       host's own, ask the kernel; EINVAL  as the kernel says, with the old value
		       kept; EACCES. An empty name reads all, as lines "name = value". Of a write,
		       `value` of the reply is how many bytes Linux takes */
	BT_RESOLVE, /* extra: host name. Reply extra: addresses, 16 bytes each; err ENOENT */
	BT_REVERSE, /* addr. Reply extra: host name */
	/* command line, owner or root only */
	BT_HOST_OPEN,  /* extra: struct bt_host_open. Reply: value = host index, extra: the token */
	BT_LINK_SET,   /* extra: a host's name, a NUL, another's or nothing, a NUL, settings
			  (link/settings.h). EINVAL: reply extra says what is wrong; ENOENT: no such
			  host */
	BT_LINK_SHOW,  /* Reply extra: lines "HOST\tHOST or * or tap NAME\tsettings\tcounters" */
	BT_LINK_CLEAR, /* extra: as BT_LINK_SET, without settings; with BT_REQF_TAP the host's way
			* out instead. The link is perfect again. ENOENT: no such host; ENXIO:
			* nothing was set */
	BT_TAP_SET,    /* extra: struct bt_tap_set, then settings as text, a NUL; the descriptor of
			* the device, or of a SOCK_SEQPACKET socket on which IP packets come and go
			* until it is closed. Without one, what is set changes. ENOENT: no such
			* host; ENODEV: it has no such device; EBUSY: it has such a socket; EEXIST:
			* a socket, but it has a device; EINVAL: reply extra says what is wrong;
			* EADDRNOTAVAIL: a gateway in no prefix of    the host */
	BT_PING,       /* value: a host's index; addr: a destination. Reply: a SOCK_SEQPACKET
			  descriptor: a message written is an ICMP (ICMPv6) echo request, whole, whose
			  identifier and checksum are filled in; each that is read is struct bt_pinged
			  and the answer, or struct bt_pinged alone with an error. Or the error of a
			  connect there; ENOENT: no such host */
	BT_CAPTURE,    /* extra: a host's name or nothing, a NUL, another's or nothing, a NUL. What
			  the first host sends and gets (from the other); without one, what all send.
			  Reply: a SOCK_SEQPACKET descriptor on which each packet comes as struct
			  bt_captured and its bytes, until it is closed; ENOENT: no such host */
	BT_EXPLAIN,  /* proto, addr, port = destination, value = host that sends; extra: its address
			(a wildcard: not bound), 16 bytes, and port (0: any), 2 bytes. Reply extra:
			struct bt_explained; ENOENT: no such host */
	BT_MAY_BIND, /* could a socket of proto/family with opts and uid bind addr, port in host
			`value` (BT_REQF_ROOT: as its root), and listen if it is TCP? Nothing
			changes. err as bind and listen say; reply extra: struct bt_refusal_why */
	BT_SYNC,     /* reply comes when the table agrees with the kernel */
	BT_DOWN,     /* berthd ends; the reply comes first; flag BT_REQF_FORCE: also with programs
			running */
	BT_TALLY,  /* how often, since berthd began. value: the first host to tell of. Reply extra:
		      struct bt_tally, of whole hosts, as many as there is room for; value: the host
		      to go on with, 0: that was all */
	BT_FILTER, /* extra: struct bt_filter_change, for host number `value`. Reply: value = how
		      many connections that are open without packets its rules do not reach.
		      EINVAL: not a legal one; ENOENT: no such host or rule; ENOSPC: too many rules
		    */
	BT_COUNTS, /* of sockets that carry bytes. value: the first slot to tell of. Reply extra:
		      struct bt_counts, as many as there is room for; value: the slot to go on with,
		      0: that was all. Programs count for as long as the connection that has asked
		      lives (proto/meter.h) */
	BT_MSG_TYPES,
};

enum bt_req_flag {
	BT_REQF_SOLE = 1 << 0,
	BT_REQF_UNSPEC = 1 << 1,
	BT_REQF_SYNC = 1 << 2,
	BT_REQF_FORCE = 1 << 3,
	BT_REQF_ROOT = 1 << 4, /* the caller counts as the host's root (ports below 1024); obeyed if
				  its token says so, too */
	BT_REQF_WRITE = 1 << 5,
	BT_REQF_END = 1 << 6, /* BT_SHUT, BT_CLOSED: the peer's end was read before, so the peer was
				 first, whatever order the notices come in */
	BT_REQF_SOURCE = 1 << 7,
	BT_REQF_ASYNC = 1 << 8, /* CONNECT: non-blocking: a later call tells the outcome */
	BT_REQF_TAP = 1 << 9,
	BT_REQF_BROADCAST = 1 << 10, /* UDP: the socket has SO_BROADCAST */
	BT_REQF_LEAVE = 1 << 11,
};

enum bt_rep_flag {
	BT_REPF_RELAY = 1 << 0,
	BT_REPF_NEW = 1 << 1,  /* `id` is fresh: bind the descriptor to its name */
	BT_REPF_FD = 1 << 2,   /* a descriptor comes with the reply */
	BT_REPF_LOST = 1 << 4, /* UDP_ROUTE: nobody will get it, and nobody will say so */
	BT_REPF_SELF = 1 << 3, /* CONNECT: to itself; join bt_name_self instead of the target */
	BT_REPF_PATH = 1 << 5, /* with NEW: bind it to the path instead, if that can be done */
	BT_REPF_WIRE = 1 << 7, /* UDP_SEND: the error is one that waited. CONNECT: its bytes travel
				* in packets; join bt_name_wire with a plug, and wait until it can
				* be written to */
	BT_REPF_TARGET_PATH = 1 << 6, /* CONNECT: the target's name may be a file */
};

/* A connecting socket is not writable: the program fills the smallest send buffer with one message
 * of so many bytes as it holds (struct bt_table's plug_bytes, which berthd has measured), and
 * berthd takes them out again when the connection is there. */
#define BT_PLUG_MAX 65536u

/* A packet as a host has sent it or got it. A reader that is too slow misses packets. */
struct bt_captured {
	uint64_t realtime_ns; /* CLOCK_REALTIME */
	uint64_t missed;      /* so far */
	uint32_t len;	      /* bytes that follow */
	int32_t pid;	      /* of the program whose socket it is; 0: not known */
	uint16_t host, peer;  /* indices; peer is at the other end of the link */
	uint8_t got;	      /* 0: sent, 1: got */
	uint8_t pad[3];
};

/* Of BT_SETVAL; Linux 6.3, which older libcs do not know. */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* Of BT_SETVAL, level IPPROTO_IP: the interface that IP_MULTICAST_IF has chosen. The option of that
 * name is the address, as it is in memory, 0: none. */
#define BT_VAL_MULTICAST_DEV 0x100

/* What recvmsg with MSG_ERRQUEUE says (ip(7)); the bytes of the datagram follow. */
struct bt_udp_error {
	int32_t error;	/* errno */
	uint8_t origin; /* SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 */
	uint8_t type, code, pad;
	uint32_t info;		   /* MTU */
	uint32_t len;		   /* bytes that follow */
	uint8_t from[16], dst[16]; /* who says it; where the datagram went */
	uint16_t port, pad2;
};

struct bt_req {
	uint8_t version; /* BT_MSG_VERSION */
	uint8_t type;	 /* enum bt_msg_type */
	uint16_t flags;	 /* enum bt_req_flag */
	uint32_t serial; /* comes back in the reply */
	struct bt_ident id;
	uint8_t proto, family; /* 6, 17 or 1 (ICMP echo); 4 or 6 */
	uint16_t opts;	       /* enum bt_port_opt */
	uint16_t port;
	uint16_t dev; /* UDP, BT_GROUP: the interface that the program names; 0: none */
	uint8_t addr[16];
	uint32_t value;
	uint32_t extra; /* bytes after this structure */
	uint32_t uid;	/* whose the socket is; obeyed when the connection's is 0 */
	uint32_t pad2;
};

struct bt_rep {
	uint8_t version, type;
	uint16_t flags;	 /* enum bt_rep_flag */
	uint32_t serial; /* that of the request */
	int32_t err;	 /* 0, or a positive errno */
	uint32_t value;
	struct bt_ident id;
	struct bt_ident target;
	uint8_t addr[16];
	uint16_t port;
	uint16_t pad;
	uint32_t extra;
};

_Static_assert(sizeof(struct bt_req) == 64, "wire format");
_Static_assert(sizeof(struct bt_rep) == 72, "wire format");

/* What a host's packet filter does to a connection or a datagram. */
enum bt_filtered_as {
	BT_FILTERED_NOT,
	BT_FILTERED_LOST,    /* nobody is told */
	BT_FILTERED_REFUSED, /* the sender is told: ECONNREFUSED */
	BT_FILTERED_DENIED,  /* the sender's own filter, of a datagram: EPERM */
};
struct bt_filtered {
	uint8_t as;	     /* enum bt_filtered_as */
	uint8_t answer;	     /* 1: not what was sent is in the way of the filter, but the answer */
	uint16_t host;	     /* whose filter */
	uint16_t rule;	     /* index; UINT16_MAX: the policy */
	uint8_t dir, action; /* enum bt_filter_dir, enum bt_filter_action */
	uint8_t bytes[48];   /* struct bt_rule, as it was then; all zero: the policy */
};
_Static_assert(sizeof(struct bt_filtered) == 56, "wire format");

enum bt_filter_what {
	BT_FILTER_ADD,	  /* rule, as the one numbered `at` from then on, 0..n; UINT32_MAX: last */
	BT_FILTER_REMOVE, /* the one numbered `at`; UINT32_MAX: that is equal to `rule` */
	BT_FILTER_SET_POLICY, /* of direction dir: action */
	BT_FILTER_CLEAR,      /* no rules, everything accepted */
};
struct bt_filter_change {
	uint32_t what; /* enum bt_filter_what */
	uint32_t at;
	uint8_t dir, action; /* enum bt_filter_dir, enum bt_filter_action */
	uint8_t pad[6];
	uint8_t rule[48]; /* struct bt_rule (lib/filter/filter.h) */
};

/* The answer of the look-up that a packet would meet. */
#define BT_CANDIDATES 32u
struct bt_candidate {
	uint32_t slot;	/* the first of those that are alike */
	uint32_t count; /* so many are */
	int32_t score;	/* the highest wins, the youngest of equals; -1: not for this packet */
	uint32_t group; /* 1: one of those that share by SO_REUSEPORT with the best */
};
enum bt_packets { BT_PACKETS_NOT, BT_PACKETS_LINK, BT_PACKETS_FILTER };
struct bt_explained {
	int32_t route;	   /* 0, 1: it is lost on the way and nobody says so, or a negative errno */
	uint16_t to;	   /* host */
	uint8_t dev;	   /* interface on which it arrives */
	uint8_t connected; /* 1: a connection has the 5-tuple; nothing else was looked at */
	uint8_t src[16], dst[16];
	uint32_t slot;	  /* who gets it; BT_SLOT_NONE: nobody */
	uint32_t packets; /* a new connection would travel in packets: BT_PACKETS_... */
	struct bt_filtered filtered;
	uint32_t n, more; /* candidates; further ones */
	/* 1: the destination is a group's address or a broadcast one. Then candidates are those
	 * that hear it: score -1: a filter keeps its copy away, group 1: it comes in packets. */
	uint32_t many;
	struct bt_candidate candidates[BT_CANDIDATES];
};
struct bt_refusal_why {
	uint32_t why;  /* enum bt_why */
	uint32_t call; /* BT_BIND or BT_LISTEN_ON */
	uint32_t slot; /* whose socket is in the way; BT_SLOT_NONE: nobody's */
	uint32_t pad;
	uint64_t frees_in_ns; /* 0: not by itself */
};

/* BT_TALLY. Only what has happened is told; each combination once. */
enum bt_tally_kind { BT_TALLY_REFUSED, BT_TALLY_DROPPED };
struct bt_tally {
	uint64_t count;
	uint32_t what; /* REFUSED: enum bt_why; DROPPED: enum berth_drop */
	int32_t err;   /* REFUSED: the errno; 0: of all those that were too many to be told apart */
	uint16_t host; /* index */
	uint8_t kind;
	uint8_t call;  /* REFUSED: BT_BIND, BT_LISTEN_ON, BT_CONNECT or BT_UDP_CONNECT */
	uint8_t proto; /* REFUSED: 6 or 17 */
	uint8_t pad[3];
};
_Static_assert(sizeof(struct bt_tally) == 24, "wire format");

/* BT_COUNTS: of a connection in packets since it began, of others since somebody first asked. */
struct bt_counts {
	uint32_t slot;
	uint32_t gen;
	uint64_t in, out; /* bytes received, and sent; in packets: acknowledged by the peer */
	uint32_t retrans; /* segments sent again */
	uint32_t pad;
};
_Static_assert(sizeof(struct bt_counts) == 32, "wire format");

/* BT_HOST_OPEN: a host named again is the same host; addresses it lacks are added. With no address
 * a new host gets the next free one of 10.64.0.0/16. err EADDRINUSE: another host has the address
 * (its name is in the reply's extra); EINVAL: a name or address that cannot be one; ENOSPC: too
 * many hosts or addresses. */
struct bt_host_open {
	char name[BT_HOST_NAME]; /* empty: "host1", "host2", ... by berthd */
	uint16_t n_addrs;
	uint16_t unprivileged; /* 1: the token is for a user of the host, not its root */
	struct bt_host_addr addrs[BT_HOST_ADDRS];
};

/* BT_PING. */
struct bt_pinged {
	uint32_t err; /* 0, or an errno */
	uint8_t from[16];
	uint8_t hops; /* TTL or hop limit that was left */
	uint8_t pad[3];
};

/* BT_TAP_SET. */
struct bt_tap_set {
	char host[BT_HOST_NAME];
	char name[16];		 /* the device's; of a socket none */
	uint8_t gateways[2][16]; /* IPv4, IPv6; all zero: as before */
	uint32_t mtu;		 /* of the device */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket table: one file per network, written by berthd alone, mapped read-only by programs and
 * instruments. Header, hosts, then rows; the row's index is the socket's slot.
 *
 * A row is read under its sequence lock: read seq (acquire), give up or retry while it is odd, copy
 * the row, read seq again; equal means that the copy is consistent (bt_row_read). Numbers are
 * native.
 */
#ifndef BERTH_PROTO_TABLE_H
#define BERTH_PROTO_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BT_TABLE_MAGIC	 0x3162746874726562ull /* "berthtb1" */
#define BT_TABLE_VERSION 6u
#define BT_MAX_HOSTS	 1024u
#define BT_MAX_ROWS	 (1u << 20)
#define BT_HOST_NAME	 64u /* bytes, with the NUL */
#define BT_HOST_ADDRS	 16u
#define BT_EPOCHS	 4096u
#define BT_INBOXES	 1024u

/* Row states: Linux's numbers (include/net/tcp_states.h). BT_ROW_FREE: the slot holds no socket. */
enum bt_row_state {
	BT_ROW_FREE = 0,
	BT_ROW_ESTABLISHED = 1,
	BT_ROW_SYN_SENT,
	BT_ROW_SYN_RECV,
	BT_ROW_FIN_WAIT1,
	BT_ROW_FIN_WAIT2,
	BT_ROW_TIME_WAIT,
	BT_ROW_CLOSE, /* bound, or UDP unconnected */
	BT_ROW_CLOSE_WAIT,
	BT_ROW_LAST_ACK,
	BT_ROW_LISTEN,
	BT_ROW_CLOSING,
};

enum bt_row_flag {
	BT_ROWF_CHILD =
		1 << 0, /* the accepted end of a connection: it has no kernel name of its own */
	BT_ROWF_RESET = 1 << 1,	  /* the peer ended the connection with a reset. ALIAS: what comes
				   * from it is no datagram; an error waits (SO_ERROR) */
	BT_ROWF_RELAY = 1 << 2,	  /* UDP: berthd holds datagrams for it, so send through berthd */
	BT_ROWF_ORPHAN = 1 << 3,  /* no process holds it any more */
	BT_ROWF_ALIAS = 1 << 4,	  /* not a socket: the source of datagrams that berthd hands on;
				   * hidden.   raddr, hops and tos are those of the datagrams */
	BT_ROWF_PKTINFO = 1 << 5, /* UDP, bound to the wildcard: wants to know which address a
				   * datagram was sent to, so send through berthd */
	BT_ROWF_WIRE = 1 << 7,	  /* its bytes travel in packets, through berthd; UDP: some have */
	BT_ROWF_LINGER0 = 1 << 6, /* the last close is a reset; a peer may find it before the row
				   * tells */
};

enum bt_row_mark {
	BT_ROWM_PATH = 1 << 0,	  /* its maker was told to bind it to a path (proto/name.h) */
	BT_ROWM_SHOWN = 1 << 1,	  /* lport is not the socket's any more: what getsockname shows
				   * (TCP), or where its datagrams came from (UDP) */
	BT_ROWM_ADDR = 1 << 3,	  /* UDP, with SHOWN: nor is laddr */
	BT_ROWM_STARTED = 1 << 2, /* TCP: no call has told the outcome of a non-blocking connect */
};

struct bt_row {
	_Atomic uint32_t seq;
	uint32_t gen;
	uint64_t nonce;
	uint8_t laddr[16], raddr[16]; /* IPv4 mapped; all zero: none */
	uint16_t lport, rport;	      /* host order; 0: none */
	uint8_t proto;	/* 6 TCP, 17 UDP, 1 ICMP echo: its ports are the identifier, and
			 * what connect was given */
	uint8_t family; /* 4 or 6: of the socket() call */
	uint8_t state;	/* enum bt_row_state */
	uint8_t flags;	/* enum bt_row_flag */
	uint16_t host;
	uint16_t backlog; /* LISTEN. UDP: index + 1 of the source address it sends from while bound
			   * to the wildcard, 0: not yet chosen */
	uint32_t peer;	  /* slot of the connection's other end, UINT32_MAX: none */
	uint32_t link;	  /* CHILD: slot of the listener that it came through */
	uint32_t uid;	  /* effective uid at socket creation */
	int32_t pid;	  /* process that made it; of a CHILD: its listener's (see below) */
	uint32_t timer_s; /* TIME_WAIT: when it ends, seconds of CLOCK_MONOTONIC */
	uint16_t rcvbuf_kib; /* UDP: how much berthd may hold for it */
	uint16_t opts;	     /* enum bt_port_opt */
	uint32_t drops; /* UDP: datagrams dropped; LISTEN: connections refused for a full backlog */
	uint32_t since_s; /* made at, seconds of CLOCK_REALTIME (wraps in 2106) */
	uint8_t dev;	  /* SO_BINDTODEVICE: interface index, 0: none */
	uint8_t hops;	  /* UDP: 64 less the TTL or hop limit of what it sends, modulo 256 */
	uint8_t tos;	  /* UDP: type of service or traffic class of what it sends */
	uint8_t marks;	  /* enum bt_row_mark */
};
/* An accepted end may be held by another process than its listener's maker; instruments find its
 * holder by joining NETLINK_SOCK_DIAG's peer inode with /proc/PID/fd, as ss does. */

/* Of an address as rows have it: whether it is IPv4, mapped. */
static inline bool bt_is_v4(const uint8_t addr[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

/* The port that the socket has; 0: none. */
static inline uint16_t bt_row_port(const struct bt_row *r)
{
	return r->marks & BT_ROWM_SHOWN ? 0 : r->lport;
}

_Static_assert(sizeof(struct bt_row) == 96, "the table's format");

struct bt_host_addr {
	uint8_t addr[16];
	uint8_t bits; /* prefix length in the address's own family: 24 for 192.168.1.100/24 */
	uint8_t family;
	uint8_t dev; /* interface index: 1 is lo, 2 eth0, 3 eth1, ... */
	uint8_t pad;
};

struct bt_host_row {
	_Atomic uint32_t seq;
	uint32_t id; /* index + 1; 0: unused */
	char name[BT_HOST_NAME];
	uint16_t n_addrs;
	uint8_t bindv6only; /* net.ipv6.bindv6only */
	uint8_t pad;
	struct bt_host_addr addrs[BT_HOST_ADDRS]; /* lo: 127.0.0.1/8, ::1/128; then the others */
};

enum bt_counter {
	BT_CNT_MALFORMED,   /* control messages that were refused as malformed */
	BT_CNT_STRANGER,    /* connections of another user without a token */
	BT_CNT_FORGED,	    /* peers that an accept turned away */
	BT_CNT_CONNECTS,    /* connections made */
	BT_CNT_REFUSED,	    /* connections refused for want of a listener */
	BT_CNT_UDP_RELAYED, /* datagrams that went through berthd */
	BT_CNT_UDP_DROPPED,
	BT_CNT_UDP_NOPORT, /* datagrams to a port that nobody had */
	BT_CNT_SWEEPS,	   /* times that berthd compared the table with the kernel */
	BT_CNT_MAX = 32,
};

struct bt_table {
	uint64_t magic;
	uint32_t version, row_bytes;
	uint32_t capacity, rows_offset; /* rows; bytes from the file's start */
	uint64_t netid;			/* in every kernel name of this network */
	char network[BT_HOST_NAME];
	uint32_t owner_uid;
	int32_t daemon_pid;
	uint64_t started_s;	     /* CLOCK_REALTIME */
	_Atomic uint32_t high_water; /* rows [0, high_water) may be in use */
	_Atomic uint32_t n_hosts;    /* hosts[0, n_hosts) may be in use */
	_Atomic uint64_t counters[BT_CNT_MAX];
	/* A sender may keep what UDP address leads where while the epoch of the address's bucket is
	 * unchanged (bt_epoch_bucket). */
	_Atomic uint32_t udp_epoch[BT_EPOCHS];
	/* proto/inbox.h: how far berthd has read a program's ring, and whether it looks by itself.
	 */
	struct {
		_Atomic uint32_t taken, hot;
	} inboxes[BT_INBOXES];
	struct bt_host_row hosts[BT_MAX_HOSTS];
	uint32_t plug_bytes; /* of a connecting socket's plug (proto/msg.h) */
	char names[56];	     /* where sockets' files are (proto/name.h); empty: no such place */
	_Atomic uint64_t n_events, n_refusals; /* number of the last one (proto/events.h) */
	_Atomic uint32_t metered;	       /* programs are to count (proto/meter.h) */
};

#define BT_ROWS_OFFSET	   ((sizeof(struct bt_table) + 4095u) & ~4095ul)
#define BT_EVENTS	   8192u
#define BT_EVENTS_BYTES	   (1u << 20)
#define BT_REFUSALS	   1024u
#define BT_REFUSALS_BYTES  (256u << 10)
#define BT_EVENTS_OFFSET   (BT_ROWS_OFFSET + (uint64_t)BT_MAX_ROWS * sizeof(struct bt_row))
#define BT_REFUSALS_OFFSET (BT_EVENTS_OFFSET + BT_EVENTS_BYTES)
#define BT_FILTERS_OFFSET  (BT_REFUSALS_OFFSET + BT_REFUSALS_BYTES)
#define BT_FILTER_BYTES	   40960u /* of a host (proto/filter.h) */
#define BT_TABLE_BYTES	   (BT_FILTERS_OFFSET + (uint64_t)BT_MAX_HOSTS * BT_FILTER_BYTES)

static inline struct bt_row *bt_table_row(const struct bt_table *t, uint32_t slot)
{
	return (struct bt_row *)((uintptr_t)t + t->rows_offset) + slot;
}

/* A consistent copy of a row; false: the slot is out of range or the row kept changing. Never loops
 * for long: a writer that died in the middle must not stop a reader. */
static inline bool bt_row_read(const struct bt_table *t, uint32_t slot, struct bt_row *out)
{
	if (slot >= t->capacity)
		return false;
	struct bt_row *r = bt_table_row(t, slot);
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t before = atomic_load_explicit(&r->seq, memory_order_acquire);
		if (before & 1)
			continue;
		memcpy((void *)out, (const void *)r, sizeof(*out));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&r->seq, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

/* The same for a host (index 0 .. n_hosts-1); false also when the entry is unused. */
static inline bool bt_host_read(const struct bt_table *t, uint32_t index, struct bt_host_row *out)
{
	if (index >= BT_MAX_HOSTS)
		return false;
	const struct bt_host_row *h = &t->hosts[index];
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t before = atomic_load_explicit(&h->seq, memory_order_acquire);
		if (before & 1)
			continue;
		memcpy((void *)out, (const void *)h, sizeof(*out));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&h->seq, memory_order_relaxed) == before)
			return out->id != 0;
	}
	return false;
}

/* The epoch bucket of a destination as one host sees it. */
static inline uint32_t bt_epoch_bucket(uint16_t port)
{
	return port % BT_EPOCHS;
}

#endif

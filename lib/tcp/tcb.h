/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of TCP share: the connection (RFC 9293 3.3.1), what hangs on it, the engine.
 *
 * A connection's state lies at its slot's index, in chunks that never move. What an idle connection
 * does not need lies elsewhere and is given back when it is empty: struct bt_flight (send queue,
 * segments in flight, loss recovery), struct bt_rxq (receive queue, pieces out of order), struct
 * bt_listener, and options that differ from the defaults. So an idle connection is struct bt_conn
 * alone, and many that are active by turns share the same few warm structures.
 *
 * Time: t->now_ns is that of the call; times kept are microseconds or milliseconds modulo 2^32,
 * compared as differences. Sequence space: the SYN is at ISS, the send queue's first byte is
 * SND.UNA (ISS + 1 before the SYN is acked), the FIN follows the last byte queued.
 */
#ifndef BERTH_LIB_TCP_TCB_H
#define BERTH_LIB_TCP_TCB_H

#include "../base/assert.h"
#include "../base/bytes.h"
#include "../base/checksum.h"
#include "../base/siphash.h"
#include "../wire/tcp.h"
#include "cc.h"
#include "mem.h"
#include "rate.h"
#include "tcp.h"

#define BT_MSS_DEFAULT	  536u	   /* RFC 9293 MUST-15; of IPv6 1,220 */
#define BT_MSS_MIN	  48u	   /* less would let a peer make us send headers only */
#define BT_RTO_INIT	  1000000u /* us, RFC 6298 2.1 */
#define BT_RTO_MIN	  200000u  /* us, Linux's; RFC 6298 2.4 would have 1 s */
#define BT_RTO_MAX	  120000000u
#define BT_ACK_MIN	  40000u /* us, delayed ACK; RFC 9293 MUST-40: below 0.5 s */
#define BT_RETRIES	  15u	 /* tcp_retries2 */
#define BT_ORPHAN_RETRIES 8u
#define BT_SYN_RETRIES	  6u
#define BT_SYNACK_RETRIES 5u
#define BT_FIN_WAIT2_MS	  60000u
#define BT_CORK_US	  200000u
#define BT_RCVBUF	  65536u /* to begin with; grows to BT_RCVBUF_MAX */
#define BT_RCVBUF_MAX	  6291456u
#define BT_SNDBUF	  65536u
#define BT_SNDBUF_MAX	  4194304u
#define BT_BUF_LIMIT	  (1u << 28) /* SO_SNDBUF, SO_RCVBUF: the most that is accepted */
#define BT_RING_MAX	  16384u     /* segments in flight of one connection */
#define BT_PIECES_MAX	  1024u	     /* pieces out of order of one connection */
#define BT_RCV_SCALE_MAX  14u
#define BT_PAWS_IDLE_MS	  (24u * 24 * 3600 * 1000) /* RFC 7323 5.5 */
#define BT_QUICK_ACKS	  16u

enum bt_conn_flag {
	CF_USED = 1 << 0,
	CF_TS = 1 << 1, /* what both ends agreed on */
	CF_SACK = 1 << 2,
	CF_SCALE = 1 << 3,
	CF_ECN = 1 << 4,
	CF_ECE = 1 << 5, /* echo congestion until CWR comes */
	CF_CWR = 1 << 6, /* say CWR with the next new data */
	CF_ECN_SEEN = 1 << 7,
	CF_ACK_NOW = 1 << 8,
	CF_SYN = 1 << 9,     /* a SYN or SYN-ACK is to be sent */
	CF_PROBE = 1 << 10,  /* an empty segment with an old number: keepalive, window probe */
	CF_TLP = 1 << 11,    /* a tail loss probe is to be sent */
	CF_FIN = 1 << 12,    /* the program will send no more */
	CF_FIN_IN = 1 << 13, /* the peer's FIN has come */
	CF_SHUT_RD = 1 << 14,
	CF_ORPHAN = 1 << 15,  /* the program has closed its socket */
	CF_CHILD = 1 << 16,   /* of a listener, not accepted yet */
	CF_OUT = 1 << 17,     /* in the list of those that may send */
	CF_NEWS = 1 << 18,    /* in the list of those with events */
	CF_NO_ROOM = 1 << 19, /* the program was told that there is no room */
	CF_NODELAY = 1 << 20,
	CF_CORK = 1 << 21,
	CF_MORE = 1 << 22,     /* BERTH_MORE: cork until the next call */
	CF_URG_OUT = 1 << 23,  /* snd_up is ahead of SND.UNA */
	CF_URG_IN = 1 << 24,   /* rcv_up: its byte has not been passed */
	CF_OOB = 1 << 25,      /* oob holds the urgent byte */
	CF_PINGPONG = 1 << 26, /* an interactive session: delay ACKs */
	CF_DELACK = 1 << 27,   /* ack_at is set */
	CF_PERSIST = 1 << 28,  /* the delay of an unfilled segment is over: send it */
	CF_FASTOPEN = 1 << 29, /* Fast Open is tried or was used */
	CF_SYN_DATA = 1 << 30, /* data in the SYN were accepted */
};

enum bt_send_timer { ST_NONE, ST_RTO, ST_TLP, ST_REO, ST_PERSIST, ST_CORK };

/* Options that few sockets change: shared until one does (opts.c). */
struct bt_tcp_opts {
	uint32_t refs;
	int32_t linger;	       /* s; -1: off */
	int32_t linger2;       /* s; -1: none; 0: default */
	uint32_t user_timeout; /* ms; 0: none */
	uint32_t notsent_lowat;
	uint32_t window_clamp;	 /* bytes; 0: none */
	uint32_t sndbuf, rcvbuf; /* 0: tuned by itself */
	uint32_t fastopen;
	uint16_t keepidle, keepintvl; /* s */
	uint8_t keepcnt, syncnt;
	uint16_t maxseg;      /* 0: by the path */
	uint8_t defer_accept; /* SYN-ACKs */
	uint8_t ttl, tos;
	uint8_t mtu_discover;
	uint8_t ecn;	/* 0 off, 1 ask, 2 accept */
	uint8_t module; /* enum berth_congestion */
	bool keepalive, oob_inline;
};

/* A segment that was sent and is not acked. Several in a row that are SACKed: the first one's skip
 * says how many, as far as was found out. */
struct bt_seg {
	struct bt_seq seq;
	uint32_t len; /* of sequence space: the FIN counts */
	uint32_t skip;
	uint8_t flags; /* enum bt_seg_flag */
	uint8_t tries; /* how often it was sent again, saturates */
	uint16_t unused;
	struct bt_rate_mark mark;
};
enum bt_seg_flag {
	SEG_SACKED = 1 << 0,
	SEG_LOST = 1 << 1, /* and not sent again since */
	SEG_PIPE = 1 << 2, /* counts as in flight */
	SEG_AGAIN = 1 << 3,
};
_Static_assert(sizeof(struct bt_seg) == 48, "see BT_RING_MAX");

enum bt_recovery { REC_OPEN, REC_RECOVERY, REC_LOSS };

/* F-RTO (RFC 5682): was a time-out spurious? */
enum bt_frto {
	FRTO_NONE,  /* not asked, or the loss was real */
	FRTO_FIRST, /* the oldest was sent again: what will be acked? */
	FRTO_NEW,   /* it was: now new data may go, nothing again */
	FRTO_WAIT,  /* they went: what will be acked? */
};

/* What a connection has while it has something to send or in flight. */
struct bt_flight {
	struct bt_bytes tx;
	uint32_t head, n, cap; /* of the ring; cap is a power of 2 */
	struct bt_seg *ring;
	uint32_t pipe;		 /* bytes in flight: sent, not SACKed, not lost */
	uint32_t lost;		 /* bytes marked lost and not sent again */
	uint32_t sacked;	 /* bytes */
	struct bt_seq lost_hint; /* no segment before it is lost */
	struct bt_seq high_sacked;
	struct bt_seq high; /* SND.NXT when recovery began */
	struct bt_rate rate;
	uint64_t pace_ns;	/* not before */
	uint64_t delivery_rate; /* the last sample; bytes a second */
	/* RACK (RFC 8985 5.2) */
	uint64_t rack_ns;
	struct bt_seq rack_end;
	uint32_t rack_rtt; /* us */
	/* tail loss probe (RFC 8985 7) */
	struct bt_seq tlp_end;
	bool tlp, tlp_again;
	bool reordering;    /* seen (RFC 8985: RACK.reordering_seen) */
	uint8_t recovery;   /* enum bt_recovery */
	uint8_t frto;	    /* enum bt_frto */
	uint8_t dup_acks;   /* of a peer without SACK */
	bool undo;	    /* undo_ts is of this recovery */
	bool cwr;	    /* cwr_end holds */
	uint32_t undo_ts;   /* timestamp of its first retransmission */
	uint32_t dup_bytes; /* what duplicate ACKs of a peer without SACK say has left */
	struct bt_seq cwr_end;
	struct bt_seq small_end; /* end of the last unfilled segment (Nagle, Minshall's variant) */
	uint32_t stalled_ms;	 /* first retransmission without progress */
	bool stalled;
	bool pacing; /* waits for pace_ns */
};

/* What a connection has while it has data to be read or out of order. */
struct bt_rxq {
	struct bt_bytes rx;	/* the first byte is RCV.NXT - unread */
	struct bt_sack *pieces; /* sorted, apart from each other */
	uint32_t n, cap;
	struct bt_sack recent[4]; /* what SACK will say, newest first (RFC 2018 4) */
	struct bt_sack dsack;
	uint8_t n_recent;
	struct bt_seq fin;
	bool has_dsack, has_fin; /* fin: of one that came before its time */
	/* dynamic right-sizing */
	uint32_t rtt;	 /* us; 0: not measured */
	uint32_t rtt_at; /* us */
	struct bt_seq rtt_seq;
	uint32_t copied, space;
	uint32_t space_at; /* us */
};

struct bt_listener {
	uint32_t backlog, n_queue, n_syn, n_fastopen;
	uint32_t first, last; /* accept queue */
	uint32_t syn_first;   /* children in SYN_RECV */
	uint32_t cookie_ms;   /* when the last cookie was sent */
	bool cookies;
};

struct bt_conn {
	/* Cache line 1: all that a segment in order, or a plain ACK, looks at but the queues. */
	struct bt_seq rcv_nxt, snd_una, snd_nxt;
	struct bt_seq rcv_edge; /* right edge of the window that was offered */
	uint32_t flags;		/* enum bt_conn_flag */
	uint32_t ts_recent, snd_wnd;
	uint8_t state; /* enum bt_state */
	uint8_t snd_scale, rcv_scale;
	uint8_t unacked;	 /* full segments received and not acked */
	uint16_t mss;		 /* payload bytes of a full segment, options taken off */
	uint16_t rcv_mss;	 /* estimate of the peer's */
	uint32_t unread, queued; /* bytes in rx in order; in tx */
	struct bt_seq wl1, wl2;	 /* RFC 9293 SND.WL1, WL2 */
	struct bt_seq last_ack;	 /* last acknowledgment sent */
	uint32_t ts_recent_ms, ack_at;
	/* Line 2: the rest of it. */
	struct bt_flight *flight;
	union {
		struct bt_rxq *rxq;
		struct bt_listener *listener;
	};
	uint32_t last_in_ms; /* an acceptable segment came; at first: begun */
	uint32_t max_wnd, segs_in, data_in;
	struct bt_seq rcv_up;
	uint8_t send_timer; /* enum bt_send_timer */
	uint8_t backoff, retransmits, probes;
	struct bt_tcp_opts *opts;
	uint64_t bytes_in;
	uint32_t rcvbuf;
	uint8_t keep_set : 1, fin_acked : 1, passive : 1, reo_mult : 5;
	uint8_t quick; /* ACKs to send at once */
	uint8_t news;  /* enum berth_event_flag */
	uint8_t oob;
	/* Line 3: timers and round trip. */
	struct bt_timer timer;
	uint32_t send_at;	 /* us: send_timer's */
	uint32_t keep_at;	 /* ms: keepalive, FIN_WAIT2, TIME_WAIT of a held socket */
	uint32_t srtt8, rttvar4; /* us, times 8 and 4; 0: no measurement yet */
	uint32_t rto, min_rtt;	 /* us; min_rtt UINT32_MAX: none */
	/* Line 4: sending. */
	struct bt_path path;
	uint32_t self; /* its slot */
	uint32_t out_next, out_prev;
	uint32_t news_next, news_prev; /* of a child: the listener's queues */
	uint32_t parent;	       /* listener of a child that waits */
	uint32_t sndbuf;
	uint32_t ts_offset;
	uint32_t last_out_us;
	struct bt_seq snd_up;
	/* Line 5. */
	int16_t error, soft_error; /* enum berth_error */
	uint16_t peer_mss, adv_mss;
	uint16_t challenge_left; /* challenge ACKs left in this second */
	uint16_t challenge_s;
	/* TCP_INFO. What can be counted from the rest is not here. */
	uint16_t dsack_dups, reord_seen, ooopack;
	/* Of the last recovery, also when it is over: segments sent again and not yet shown to be
	 * needless, and SND.UNA when it began. */
	uint16_t undo_again;
	struct bt_seq undo_from;
	uint32_t segs_out, data_out, again, delivered, delivered_ce;
	uint64_t bytes_acked, bytes_again;
	struct bt_cc cc;
};
_Static_assert(sizeof(struct bt_conn) <= 416, "an idle connection has 512 bytes with all");

/* A segment to be sent for no connection: resets, SYN cookies, ACKs of TIME_WAIT. */
struct bt_reply {
	struct bt_addr src, dst;
	struct bt_seq seq, ack;
	uint32_t ts_val, ts_ecr;
	uint16_t host, sport, dport, window, mss;
	uint8_t flags, has, wscale, tos;
};

/* Connections lie in chunks: 64, 64, 128, 256 and 512 of them, then 1,024 each. */
#define BT_FIRST_CHUNK 64u
#define BT_CHUNK       1024u
#define BT_FIRST_WHOLE 5u /* the first chunk of 1,024 */

static inline uint32_t bt_chunk_of(uint32_t slot)
{
	if (slot >= BT_CHUNK)
		return BT_FIRST_WHOLE - 1 + slot / BT_CHUNK;
	return slot < BT_FIRST_CHUNK ? 0 : 26u - (uint32_t)__builtin_clz(slot);
}

/* How many connections chunk k holds. */
static inline uint32_t bt_chunk_size(uint32_t k)
{
	return k >= BT_FIRST_WHOLE ? BT_CHUNK : k < 2 ? BT_FIRST_CHUNK : BT_FIRST_CHUNK << (k - 1);
}

/* Where the memory of a chunk is: a sorted list of them tells a connection's timer from others. */
struct bt_range {
	uintptr_t from, to;
};

/* What a server gave us for Fast Open (RFC 7413 4.1.3), the latest in its place. */
struct bt_fastopen {
	struct bt_addr dst;
	uint16_t host, mss;
	uint8_t len, cookie[16];
};
#define BT_FASTOPEN_SLOTS 64u

/* The full segment of new data that bt_tcp_output gave last: more of them follow cheaply. */
struct bt_train {
	uint32_t slot; /* BT_NO_SLOT: what it gave was something else */
	bool sums;     /* its checksum is ours to make */
	uint64_t sum;  /* then, unfolded: all of it but sequence number and payload */
};

/* The timestamp offset of a pair of addresses, kept for those that connect often. */
struct bt_ts_pair {
	struct bt_addr laddr, raddr;
	uint32_t offset;
	uint16_t host;
	bool known;
};
#define BT_TS_PAIRS 4u

struct bt_tcp {
	uint8_t key[16];
	struct bt_port_net *ports;
	struct bt_wheel *wheel;
	struct bt_chunks *chunks;
	struct bt_tcp_below below;
	struct bt_mem mem;
	struct bt_conn **conns;	 /* NULL: not needed yet */
	struct bt_range *ranges; /* of those that are there, n_ranges */
	uint32_t n_conn_chunks, n_ranges;
	uint64_t now_ns;
	uint64_t now_us64, now_ms64;
	uint32_t now_us, now_ms;
	uint32_t out_first, out_last, news_first, news_last;
	struct bt_tcp_opts defaults;
	struct bt_timer tw_timer; /* TIME_WAIT: the port space's deadline */
	struct bt_reply *replies; /* ring */
	uint32_t reply_head, n_replies, reply_cap;
	struct bt_train train;
	uint32_t burst;	    /* segments in a row of the connection that is at the front */
	uint32_t last_slot; /* the connection found last: often the next one's too */
	uint32_t n_conns;
	uint32_t n_changes; /* how often a connection came to or left the demultiplexer */
	uint64_t n_random;
	struct bt_ts_pair ts_pairs[BT_TS_PAIRS]; /* by host */
	struct bt_fastopen fastopen[BT_FASTOPEN_SLOTS];
};

/* A segment that arrived. data, len shrink where parts are not wanted. */
struct bt_in {
	const struct bt_rx *rx;
	const uint8_t *data;
	const struct iovec *parts; /* of the payload, instead of data; NULL: it lies in one */
	uint32_t len;		   /* payload */
	uint32_t n_segs;
	struct bt_tcp_seg s;
};

static inline bool bt_time_due(uint32_t at, uint32_t now)
{
	return (int32_t)(now - at) >= 0;
}

/* Counters that stay at their largest value. */
static inline void bt_count8(uint8_t *n)
{
	*n = (uint8_t)(*n + (*n < UINT8_MAX));
}

static inline void bt_count16(uint16_t *n)
{
	*n = (uint16_t)(*n + (*n < UINT16_MAX));
}

static inline uint32_t bt_min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t bt_max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline struct bt_conn *bt_tcp_conn(const struct bt_tcp *t, uint32_t slot)
{
	uint32_t k = bt_chunk_of(slot);

	if (slot >= BT_CHUNK)
		return &t->conns[k][slot % BT_CHUNK];
	return &t->conns[k][slot - (k == 0 ? 0 : bt_chunk_size(k))];
}

/* The end of what may ever be sent: the last byte queued, and the FIN. */
static inline struct bt_seq bt_conn_data_end(const struct bt_conn *c)
{
	return bt_seq_add(c->snd_una,
			  c->queued + (c->state == BT_SYN_SENT || c->state == BT_SYN_RECV));
}

static inline uint32_t bt_conn_outstanding(const struct bt_conn *c)
{
	return c->snd_nxt.n - c->snd_una.n;
}

static inline bool bt_conn_fin_sent(const struct bt_conn *c)
{
	return c->flags & CF_FIN && (c->fin_acked || bt_seq_lt(bt_conn_data_end(c), c->snd_nxt));
}

static inline uint32_t bt_conn_unsent(const struct bt_conn *c)
{
	struct bt_seq end = bt_conn_data_end(c);

	return bt_seq_lt(c->snd_nxt, end) ? end.n - c->snd_nxt.n : 0;
}

static inline struct bt_seg *bt_seg_at(const struct bt_flight *f, uint32_t i)
{
	return &f->ring[(f->head + i) & (f->cap - 1)];
}

static inline struct bt_seq bt_seg_end(const struct bt_seg *g)
{
	return bt_seq_add(g->seq, g->len);
}

static inline uint32_t bt_conn_ts(const struct bt_tcp *t, const struct bt_conn *c)
{
	return t->now_ms + c->ts_offset;
}

/* core.c */
void bt_tcp_enter(struct bt_tcp *t, uint64_t now_ns); /* the time of this call */
uint32_t bt_tcp_random(struct bt_tcp *t);
void bt_conn_set_state(struct bt_tcp *t, struct bt_conn *c, enum bt_state state);
void bt_conn_wants_out(struct bt_tcp *t, struct bt_conn *c); /* it may have something to send */
void bt_conn_leave_out(struct bt_tcp *t, struct bt_conn *c);
void bt_conn_news(struct bt_tcp *t, struct bt_conn *c, unsigned what);
void bt_conn_leave_news(struct bt_tcp *t, struct bt_conn *c);
struct bt_flight *bt_conn_flight(struct bt_tcp *t, struct bt_conn *c); /* NULL: out of memory */
struct bt_rxq *bt_conn_rxq(struct bt_tcp *t, struct bt_conn *c);
void bt_conn_trim(struct bt_tcp *t, struct bt_conn *c);	       /* gives back what is empty */
void bt_conn_free_flight(struct bt_tcp *t, struct bt_conn *c); /* and its queue */
void bt_conn_done(struct bt_tcp *t, struct bt_conn *c);	       /* gives back all but the slot */
void bt_tcp_drop(struct bt_tcp *t, const struct bt_rx *rx, enum berth_drop reason);

/* opts.c */
void bt_opts_unref(struct bt_tcp *t, struct bt_tcp_opts *o);

/* syn.c */
void bt_syn_listen(struct bt_tcp *t, struct bt_conn *l, struct bt_in *in);
void bt_syn_sent(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in);
void bt_syn_established(struct bt_tcp *t, struct bt_conn *c); /* leaves SYN_SENT or SYN_RECV */
bool bt_syn_accepted(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in);
void bt_syn_leave_queue(struct bt_tcp *t, struct bt_conn *c);
void bt_conn_set_mss(struct bt_tcp *t, struct bt_conn *c);
struct bt_conn *bt_syn_cookie_child(struct bt_tcp *t, struct bt_conn *l, struct bt_in *in);
void bt_fastopen_learn(struct bt_tcp *t, struct bt_conn *c, const struct bt_tcp_seg *s);
uint16_t bt_fastopen_known(struct bt_tcp *t, struct bt_conn *c, struct bt_tcp_seg *s);
uint32_t bt_syn_isn(const struct bt_tcp *t, const struct bt_addr *laddr, uint16_t lport,
		    const struct bt_addr *raddr, uint16_t rport, uint16_t host);
uint32_t bt_syn_ts_offset(struct bt_tcp *t, const struct bt_addr *laddr,
			  const struct bt_addr *raddr, uint16_t host);
uint8_t bt_syn_scale(const struct bt_tcp_opts *o);
uint32_t bt_syn_fill(struct bt_tcp *t, struct bt_conn *c, struct bt_tcp_seg *s); /* payload bytes */

/* cookie.c (RFC 4987, 7413) */
void bt_cookie_reply(struct bt_tcp *t, struct bt_conn *l, const struct bt_in *in);
void bt_fastopen_cookie(const struct bt_tcp *t, uint16_t host, const struct bt_addr *client,
			const struct bt_addr *server, uint8_t cookie[8]);
struct bt_conn *bt_syn_child(struct bt_tcp *t, struct bt_conn *l, const struct bt_in *in);

/* ack.c */
bool bt_ack_input(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in); /* false: dropped */
void bt_ack_rtt(struct bt_tcp *t, struct bt_conn *c, uint64_t rtt_ns);
void bt_ack_received_data(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in);
void bt_ack_sent(struct bt_conn *c);	   /* an ACK has left */
uint32_t bt_ack_window(struct bt_conn *c); /* bytes to offer now; moves rcv_edge */
void bt_ack_read(struct bt_tcp *t, struct bt_conn *c, uint32_t n); /* the program has read */

/* sack.c */
struct bt_ack { /* what one ACK has brought about so far */
	struct bt_cc_sample cc;
	struct bt_rate_ack rate;
	uint64_t rtt_ns; /* of the newest segment acked that was sent once */
	uint32_t ts_ecr; /* where has_ts */
	bool has_ts, dsack;
	bool undone;	      /* all that was sent again has come twice */
	bool original, again; /* delivered: sent before `high` and once; sent more than once */
};
/* True if the segment says that something came twice. */
bool bt_sack_dsack(struct bt_conn *c, const struct bt_tcp_seg *s, struct bt_ack *a);
void bt_sack_input(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in, struct bt_ack *a);
void bt_sack_acked(struct bt_tcp *t, struct bt_conn *c, struct bt_seq ack, struct bt_ack *a);
struct bt_seg *bt_sack_push(struct bt_tcp *t, struct bt_conn *c, struct bt_seq seq, uint32_t len);
bool bt_sack_room(struct bt_tcp *t, struct bt_conn *c); /* for one more segment */
bool bt_sack_split(struct bt_tcp *t, struct bt_conn *c, uint32_t i, uint32_t len);
uint32_t bt_sack_step(struct bt_flight *f, uint32_t i);
void bt_sack_lost(struct bt_conn *c, struct bt_seg *g);
void bt_sack_renege(struct bt_conn *c);
void bt_sack_all_lost(struct bt_conn *c);
void bt_sack_none_lost(struct bt_conn *c);
struct bt_seg *bt_sack_next_lost(struct bt_conn *c, uint32_t *i);

/* rack.c */
void bt_rack_delivered(struct bt_tcp *t, struct bt_conn *c, const struct bt_seg *g);
/* Losses, recovery and its end; outstanding: before this ACK. */
void bt_rack_ack(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in, struct bt_ack *a,
		 uint32_t outstanding);
/* The same where nothing is in flight: only what is known of the last recovery may change. */
void bt_rack_idle_ack(struct bt_tcp *t, struct bt_conn *c, const struct bt_tcp_seg *s);
void bt_rack_reo_expired(struct bt_tcp *t, struct bt_conn *c);
bool bt_rack_tlp_wanted(const struct bt_conn *c);
uint32_t bt_rack_pto(const struct bt_conn *c); /* us */
void bt_rack_rto(struct bt_tcp *t, struct bt_conn *c);

/* timers.c */
void bt_timers_arm(struct bt_tcp *t, struct bt_conn *c);  /* after deadlines have changed */
void bt_timers_send(struct bt_tcp *t, struct bt_conn *c); /* RTO or TLP for what is in flight */
void bt_timers_set(struct bt_tcp *t, struct bt_conn *c, enum bt_send_timer kind, uint32_t us);
void bt_timers_keep(struct bt_tcp *t, struct bt_conn *c, uint32_t ms);
void bt_timers_keepalive(struct bt_tcp *t, struct bt_conn *c);
uint32_t bt_timers_rto(const struct bt_conn *c); /* with backoff, us */

/* input.c */
void bt_input_text(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in); /* steps 6 to 8 */

bool bt_input_no_timestamp(const struct bt_conn *c, const struct bt_tcp_seg *s);

/* reass.c */
void bt_reass_input(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in);
unsigned bt_reass_sacks(struct bt_conn *c, struct bt_sack out[4]);
void bt_reass_fin(struct bt_tcp *t, struct bt_conn *c, struct bt_seq fin); /* out of order */
bool bt_reass_fin_due(struct bt_conn *c);
void bt_reass_forget(struct bt_conn *c); /* all that is out of order */
void bt_reass_dsack(struct bt_tcp *t, struct bt_conn *c, struct bt_seq start, struct bt_seq end);

/* close.c */
void bt_close_reset(struct bt_tcp *t, struct bt_conn *c); /* sends RST, then ends without error */
void bt_close_end(struct bt_tcp *t, struct bt_conn *c, int error); /* CLOSE; frees an orphan */
void bt_close_time_wait(struct bt_tcp *t, struct bt_conn *c);
void bt_close_fin_wait2(struct bt_tcp *t, struct bt_conn *c);
void bt_close_time_wait_input(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in);
void bt_close_arm_time_wait(struct bt_tcp *t);
void bt_close_free(struct bt_tcp *t, struct bt_conn *c);

/* challenge.c, replies */
bool bt_challenge_allowed(struct bt_tcp *t, struct bt_conn *c, const struct bt_rx *rx);
void bt_challenge(struct bt_tcp *t, struct bt_conn *c, const struct bt_rx *rx);
struct bt_reply *bt_reply_add(struct bt_tcp *t, bool own); /* NULL: full */
void bt_reply_reset(struct bt_tcp *t, const struct bt_in *in);
bool bt_reply_take(struct bt_tcp *t, struct bt_tx *tx);
void bt_reply_for(struct bt_tcp *t, struct bt_conn *c, uint8_t flags, struct bt_seq seq);

#endif

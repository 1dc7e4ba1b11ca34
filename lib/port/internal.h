/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the port space share. Links are indexes, so that arrays may move when they
 * grow: sockets live in chunks that never move, classes and destinations in arrays that do. A
 * pointer to a class or a destination is therefore good only until the next btp_reserve.
 */
#ifndef BERTH_LIB_PORT_INTERNAL_H
#define BERTH_LIB_PORT_INTERNAL_H

#include "../base/siphash.h"
#include "port.h"

#define CHUNK_SLOTS   4096u
#define REST_SLOTS    1024u
#define N_PORTS	      65536u
#define N_WORDS	      (N_PORTS / 64u)
#define RANDOM_PROBES 64
#define DEST_FEW      8u  /* local ports in struct dest itself */
#define DEST_LIST     64u /* in a list; more are in a bitmap */
#define PAGE_PORTS    1024u
#define N_PAGES	      (N_PORTS / PAGE_PORTS)

/* In struct space's first: the bucket's only socket, which then has no class. Slots and classes are
 * below. */
#define SOLE 0x80000000u

enum sock_flag {
	SF_USED = 1 << 0,
	SF_PORT_LOCK = 1 << 1, /* SOCK_BINDPORT_LOCK: disconnecting keeps the port */
	SF_ADDR_LOCK = 1 << 2, /* SOCK_BINDADDR_LOCK: disconnecting keeps the address */
	SF_HELD = 1 << 3,      /* the port came from bind or listen, not from connect */
	SF_TUPLE = 1 << 4,     /* in the 5-tuple hash */
	SF_RANGE = 1 << 6,     /* has an entry in net->ranges */
	SF_V6_ADDR = 1 << 5,   /* bound to an IPv6 address: Linux then sets IPV6_V6ONLY by itself */
};

struct psock {
	struct bt_addr laddr, raddr;
	uint16_t lport, rport; /* lport 0: in no bucket */
	uint16_t host;
	uint8_t proto; /* up to here as in struct tuple */
	uint8_t family, state, opts;
	uint8_t flags; /* enum sock_flag */
	uint8_t dev;
	uint32_t uid;
	uint32_t class_next, class_prev; /* members of the class; in a slot that is free, or that
					    skips TIME_WAIT: the list of those */
	uint32_t hash_next;
	uint32_t aux; /* TIME_WAIT: place in the heap; a listener or UDP: place in Linux's list,
			 high is first */
};
_Static_assert(sizeof(struct psock) == 64, "a socket fills a cache line");

/* The state of a class. */
enum class_kind {
	KIND_LISTEN,
	KIND_PLAIN,	/* TCP: bound or connected; UDP: not connected */
	KIND_CONNECTED, /* UDP */
	KIND_TIME_WAIT,
	KIND_HISTORY, /* no members: what a bucket of TCP remembers */
};

#define KEY_HELD 0x80u /* in opts */

/* No padding: compared as bytes. */
struct class_key {
	struct bt_addr laddr;
	uint32_t uid;
	uint8_t family;
	uint8_t opts; /* BT_REUSEADDR, BT_REUSEPORT, the effective BT_V6ONLY, and KEY_HELD when the
			 members have SF_HELD */
	uint8_t kind; /* enum class_kind */
	uint8_t dev;
};

struct class
{
	uint32_t next; /* in the bucket, or in the list of free items; 0 ends */
	uint32_t count, head;
	struct class_key key;
};

/* The TCP connections to one remote end whose port connect chose, but for those with a device. */
struct dest {
	uint32_t next; /* hash chain (BT_NO_SLOT ends), or list of free items (0 ends) */
	uint32_t count, n_time_wait;
	uint16_t host, rport;
	struct bt_addr laddr, raddr;
	uint64_t oldest_ns; /* no TIME_WAIT here began earlier */
	uint32_t room;	    /* DEST_FEW, DEST_LIST or N_PORTS: which of the following it has */
	union {		    /* the local ports */
		uint16_t few[DEST_FEW];
		uint16_t *list;
		uint64_t *bits; /* and behind them the number of those set in each page */
	};
};

/* A growing array with a list of free items; item 0 is not used. An item begins with its uint32_t
 * next. */
struct pool {
	char *items;
	size_t item_size;
	uint32_t cap, used; /* items from `used` on were never used */
	uint32_t free, n_free;
};

/* A search for a port to bind that found a conflict on every one; true of the same search until a
 * socket leaves its class. */
struct no_port {
	struct class_key key;
	uint16_t lo, hi;
	int ask; /* enum ask */
	uint64_t n_left;
};

struct space {			 /* one protocol of one host */
	uint32_t first[N_PORTS]; /* the bucket of each port: its first class (its history, if it has
				    one), or SOLE and a slot */
	uint64_t any[N_WORDS];	 /* ports with a bucket */
	uint16_t n_any[N_PAGES]; /* how many in each page */
	uint64_t held[N_WORDS];	 /* ports with a socket that is held */
	uint32_t n_ports;	 /* how many have a bucket */
	uint64_t n_left;	 /* how often a socket left its class */
	struct no_port no_port;
	uint64_t pages; /* bit i: first[i * PAGE_PORTS] and following were written */
};

struct host {
	struct bt_port_conf conf;
	struct space *space[2]; /* TCP, UDP */
	uint32_t n_socks;
	uint64_t n_random;
};

struct time_wait {
	uint64_t expires;
	uint32_t slot;
	uint32_t wait_us; /* how long it was to last */
};

struct range {
	uint32_t slot; /* BT_NO_SLOT: an empty place */
	uint16_t lo, hi;
};

struct table { /* heads of hash chains */
	uint32_t *heads;
	uint32_t size, count;
};

#define BUCKET_SLOTS 12u

struct bucket {			    /* tuples.c */
	uint8_t tags[BUCKET_SLOTS]; /* 0: an empty place */
	uint16_t passed;	    /* entries that belong here, or before, and lie further on */
	uint16_t unused;
	uint32_t slots[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket fills a cache line");

struct tuples {
	struct bucket *buckets;
	uint32_t size;	/* of them, a power of 2 */
	uint32_t n;	/* entries: tuples that sockets have */
	uint32_t count; /* sockets */
};

/* The hashes of tuples of IPv4 that were asked for last: each is wanted several times while a
 * connection begins, and once more at its end. */
#define RECENT_HASHES 16u

struct recent_hash {
	uint64_t tuple[2]; /* as it is hashed; 0: none, as no tuple has protocol 0 */
	uint64_t hash;
};

struct bt_port_net {
	uint8_t key[16];
	struct recent_hash *recent;
	uint32_t max_slots, n_fresh, n_used; /* n_fresh: slots from here on were never used */
	uint32_t n_chunks;
	struct psock **chunks;
	uint32_t free_first, free_last, n_free;
	struct host **hosts;
	uint32_t n_hosts; /* length of hosts */
	struct pool classes, dests;
	struct tuples tuples;
	struct table by_dest;
	struct time_wait *heap; /* binary heap */
	uint32_t n_heap, heap_cap;
	struct range *ranges; /* hash by slot */
	uint32_t ranges_size, n_ranges;
	uint32_t skipped; /* list of slots that skip TIME_WAIT */
	uint32_t serial;
	bool devices;	   /* some socket has or had a device: 4-tuples may be there twice */
	size_t dest_bytes; /* lists and bitmaps */
	uint64_t scratch[N_WORDS]; /* zero between calls */
};

/* What identifies a packet's place: the local end first. */
struct tuple {
	struct bt_addr laddr, raddr;
	uint16_t lport, rport, host;
	uint16_t proto; /* its upper byte, where a socket has its family, is 0 */
};
_Static_assert(offsetof(struct tuple, lport) == offsetof(struct psock, lport) &&
		       offsetof(struct tuple, proto) == offsetof(struct psock, proto) &&
		       sizeof(struct tuple) == 40,
	       "btp_tuple_is compares words");

static inline struct psock *sock_at(const struct bt_port_net *net, uint32_t slot)
{
	return &net->chunks[slot / CHUNK_SLOTS][slot % CHUNK_SLOTS];
}

static inline struct class *class_at(const struct bt_port_net *net, uint32_t i)
{
	return (struct class *)(void *)(net->classes.items + i * sizeof(struct class));
}

static inline const struct class *next_class(const struct bt_port_net *net, const struct class *c)
{
	return c->next == 0 ? NULL : class_at(net, c->next);
}

static inline struct dest *dest_at(const struct bt_port_net *net, uint32_t i)
{
	return (struct dest *)(void *)(net->dests.items + i * sizeof(struct dest));
}

static inline struct space *space_of(const struct bt_port_net *net, uint16_t host, uint8_t proto)
{
	return net->hosts[host]->space[proto == BT_UDP];
}

static inline bool bit_test(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static inline uint16_t *page_counts(const struct dest *d)
{
	return (uint16_t *)(void *)(d->bits + N_WORDS);
}

static inline struct bt_addr any_of(uint8_t family)
{
	return family == BT_V4 ? bt_addr_v4(0) : (struct bt_addr){{0}};
}

/* pool.c */
void *btp_lines_new(size_t n); /* n bytes from the beginning of a cache line; NULL: out of memory */
void btp_lines_free(void *p);
bool btp_slot_used(const struct bt_port_net *net, uint32_t slot);
struct host *btp_host(const struct bt_port_net *net, uint16_t host); /* NULL: none */
/* A keyed number that no other call gives. */
uint64_t btp_random(const struct bt_port_net *net, uint16_t host);
bool btp_pool_reserve(struct pool *pool, uint32_t n);
uint32_t btp_pool_take(struct pool *pool); /* after btp_pool_reserve */
void btp_pool_give(struct pool *pool, uint32_t i);
/* Memory for one more bucket and destination, and for the classes of a bucket that gets one more
 * socket. False: out of memory, and nothing is changed. */
bool btp_reserve(struct bt_port_net *net, const struct psock *s);
int btp_refuse(struct bt_reason *reason, int err, enum bt_why why, uint32_t slot,
	       uint64_t frees_ns);

/* range.c */
struct range btp_range(const struct bt_port_net *net, uint32_t slot); /* without one: 0, 0 */
void btp_forget_range(struct bt_port_net *net, uint32_t slot);

/* bucket.c */
struct class_key btp_class_key(const struct psock *s);
void btp_enter_bucket(struct bt_port_net *net, uint32_t slot); /* after btp_reserve */
void btp_leave_bucket(struct bt_port_net *net, uint32_t slot);
/* Around a change of a socket that stays in its bucket, so that the bucket's history does, too.
 * Nothing happens if it is in none; btp_reserve before. */
void btp_change_begin(struct bt_port_net *net, uint32_t slot);
void btp_change_end(struct bt_port_net *net, uint32_t slot);
/* The first class of a bucket, or NULL. `sole` is the place for that of a bucket's only socket. */
const struct class *btp_first_class(const struct bt_port_net *net, const struct space *sp,
				    uint16_t port, struct class *sole);
/* How a port is asked for: bind names it; the caller is looking for one, and Linux is stricter;
 * that, but where ip_autobind_reuse is set and nothing else is free. */
enum ask { ASK_NAMED, ASK_CHOSEN, ASK_RELAXED };
/* True if the socket cannot have the port. */
bool btp_conflict(const struct bt_port_net *net, uint32_t slot, uint16_t port, enum ask ask,
		  struct bt_reason *reason);

/* choose.c */
/* A port for bind to 0 and for autobind; 0: none. */
uint16_t btp_free_port(struct bt_port_net *net, uint32_t slot);
/* A port for connect of the socket to t's remote end, the destination i (BT_NO_SLOT: it has no
 * connection); 0: none. *taken: the TIME_WAIT socket that must give way. */
uint16_t btp_connect_port(struct bt_port_net *net, uint32_t slot, struct tuple *t, uint32_t i,
			  uint64_t now_ns, uint32_t *taken);
/* True if the socket, which is in the 5-tuple hash, counts as one of a destination's. */
bool btp_in_dest(const struct psock *s);
/* True if the TIME_WAIT socket may be taken over by connect. */
bool btp_may_take_over(const struct bt_port_net *net, uint32_t slot, uint64_t now_ns);
uint32_t btp_find_dest(const struct bt_port_net *net, uint16_t host, const struct bt_addr *laddr,
		       const struct bt_addr *raddr, uint16_t rport);
/* Memory for one more connection of the destination (BT_NO_SLOT: a new one has it). */
bool btp_reserve_dest(struct bt_port_net *net, uint32_t i);
bool btp_dest_has(const struct dest *d, uint16_t port);
size_t btp_ports_bytes(uint32_t room);
void btp_free_ports(struct bt_port_net *net, struct dest *d);
void btp_enter_dest(struct bt_port_net *net, uint32_t slot); /* after btp_reserve_dest */
void btp_leave_dest(struct bt_port_net *net, uint32_t slot);

/* tuples.c */
struct tuple btp_tuple(const struct psock *s);
bool btp_tuple_is(const struct psock *s, const struct tuple *t);
uint64_t btp_hash(const struct bt_port_net *net, const struct tuple *t); /* keyed */
/* The same; it is remembered, as it will be wanted again. */
uint64_t btp_hash_kept(const struct bt_port_net *net, const struct tuple *t);
void btp_keep_hash(const struct bt_port_net *net, const struct tuple *t, uint64_t hash);
static inline struct bucket *btp_bucket(const struct bt_port_net *net, uint64_t hash)
{
	return &net->tuples.buckets[hash & (net->tuples.size - 1)];
}
/* What a look-up waits for after the bucket: says which socket it will probably find, or
 * BT_NO_SLOT. */
uint32_t btp_prefetch_socket(const struct bt_port_net *net, uint64_t hash);
/* btp_find_tuple where t's hash is known. */
uint32_t btp_find_hashed(const struct bt_port_net *net, uint64_t hash, const struct tuple *t,
			 uint8_t dev);
/* A place for one more tuple. False: out of memory. */
bool btp_tuples_reserve(struct bt_port_net *net);
void btp_tuples_add(struct bt_port_net *net, uint32_t slot); /* after btp_tuples_reserve */
void btp_tuples_del(struct bt_port_net *net, uint32_t slot); /* which is there */
/* The newest socket with t and with the device, or with none; BT_NO_SLOT: there is none. */
uint32_t btp_find_tuple(const struct bt_port_net *net, const struct tuple *t, uint8_t dev);

/* demux.c */
void btp_enter_tuple(struct bt_port_net *net, uint32_t slot);
void btp_leave_tuple(struct bt_port_net *net, uint32_t slot); /* TIME_WAIT ends, skipped or not */
/* Doubles the table. A chain i of the lower half then has what belongs in chains i and i + half. */
bool btp_table_grow(struct table *table);
uint64_t btp_expires(const struct bt_port_net *net, uint32_t slot);

#endif

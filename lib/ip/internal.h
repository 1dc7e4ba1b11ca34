/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/ip share. */
#ifndef BERTH_LIB_IP_INTERNAL_H
#define BERTH_LIB_IP_INTERNAL_H

#include "../base/assert.h"
#include "../base/bytes.h"
#include "../base/checksum.h"
#include "../filter/filter.h"
#include "../wire/ether.h"
#include "../wire/group.h"
#include "../wire/icmp.h"
#include "../wire/ipv4.h"
#include "../wire/ipv6.h"
#include "../wire/nd.h"
#include "ip.h"
#include "map.h"

#define BT_MS  1000000ull
#define BT_SEC 1000000000ull

#define BT_IP_MAX 65535u /* bytes of a packet */

/* ---- timers: one kind of wheel entry, told apart by its kind ---- */

enum bt_ip_timer_kind {
	BT_TIMER_NEIGH,
	BT_TIMER_REASS,
	BT_TIMER_PMTU,
	BT_TIMER_GROUP,	  /* a group's next report */
	BT_TIMER_GENERAL, /* answer to a general query */
	BT_TIMER_OLDER,	  /* older querier present */
};
struct bt_ip_timer {
	struct bt_timer t;
	enum bt_ip_timer_kind kind;
};

/* ---- copies of packets (pkt.c) ---- */

#define BT_PKT_HEAD 128u /* room for link, IP and fragment headers before what is put in */

struct bt_pkt {
	struct bt_pkt *next;
	uint32_t room, at, len; /* of buf: its size; the packet is at [at, at+len) */
	uint32_t *charged;	/* the counter of the budget that it counts for */
	uint16_t host;
	uint16_t segment;    /* TSO, as in bt_tx */
	uint16_t checksum;   /* start of what is unfinished from buf on; 0: complete */
	uint8_t next_header; /* of a reassembled IPv6 packet: what follows its extension headers */
	uint32_t offset;     /* of a fragment: bytes */
	berth_if i;	     /* to leave by; of a looped one: the device it comes in by */
	berth_if from;	     /* of a forwarded one: it came in by; else 0 */
	uint8_t size;	     /* class */
	bool more;	     /* of a fragment */
	bool local_error;    /* in the loop: what could not be delivered */
	uint8_t buf[];
};
struct bt_pkts { /* first in, first out */
	struct bt_pkt *first, *last;
	uint32_t count;
};
#define BT_PKT_SIZES 4
struct bt_pool {
	struct bt_pkt *free[BT_PKT_SIZES];
	void *slabs;
	uint64_t used_bytes, taken_bytes;
	uint32_t in_use;
};

/* Room for len bytes after BT_PKT_HEAD, empty. NULL: the host's budget of packets that wait, or the
 * engine's of all copies, is used up, or out of memory. */
struct bt_pkt *bt_pkt_get(struct bt_ip *ip, uint16_t host, uint32_t len);
/* The same for another budget: *charged may grow to limit. */
struct bt_pkt *bt_pkt_get_for(struct bt_ip *ip, uint16_t host, uint32_t *charged, uint32_t limit,
			      uint32_t len);
void bt_pkt_put(struct bt_ip *ip, struct bt_pkt *p);
uint32_t bt_pkt_bytes(const struct bt_pkt *p); /* of memory */
void bt_pkts_add(struct bt_pkts *q, struct bt_pkt *p);
struct bt_pkt *bt_pkts_take(struct bt_pkts *q); /* NULL: empty */
void bt_pkts_drop(struct bt_ip *ip, struct bt_pkts *q);
void bt_pool_done(struct bt_pool *pool);
static inline uint8_t *bt_pkt_data(struct bt_pkt *p)
{
	return p->buf + p->at;
}
static inline uint8_t *bt_pkt_push(struct bt_pkt *p, uint32_t len)
{
	bt_assert(p->at >= len);
	p->at -= len;
	p->len += len;
	return p->buf + p->at;
}

/* ---- hosts, interfaces, addresses, routes ---- */

enum bt_addr_kind { BT_ADDR_NONE, BT_ADDR_LOCAL, BT_ADDR_BROADCAST };

/* An address, or the broadcast address that comes with one, in the map of addresses. */
struct bt_ifaddr {
	struct bt_link link;
	struct bt_ifaddr *next; /* of its interface */
	struct bt_addr addr;
	uint16_t host;
	berth_if i;
	uint8_t bits; /* of 128 */
	uint8_t kind;
};

struct bt_route {
	struct bt_link link;
	struct bt_addr prefix, via; /* via is any: on the link */
	uint32_t metric;
	uint32_t refs;	 /* of a connected one: addresses that made it; 0: bt_ip_route_add did */
	uint64_t serial; /* in the order in which they were added */
	uint16_t host;
	berth_if i;
	uint8_t bits;
};

struct bt_group {
	struct bt_group *next;
	struct bt_addr addr;
	struct bt_ip_timer timer;
	uint32_t refs; /* 0: leaving, until its last message is sent */
	berth_if i;
	uint8_t left;	    /* messages about the change that are still to be sent */
	bool last_reporter; /* of older versions */
};

struct bt_querier { /* by family: [0] IGMP, [1] MLD */
	struct bt_ip_timer general, older;
	berth_if i;
	uint8_t older_version; /* while `older` is set: the one to speak */
	bool v6;
};

/* The ends of the last segment of TCP that came in: what was found out about them still holds for
 * the next one, until the generation changes. Addresses as on the wire. */
struct bt_seen {
	uint32_t generation; /* 0: none */
	uint32_t src, dst;
};

struct bt_iface {
	struct bt_ifaddr *addrs;
	struct bt_group *groups;
	struct bt_neigh *oldest, *newest; /* its neighbours in the order they were used last */
	uint32_t flags, mtu;
	uint32_t n_neighs, n_groups;
	uint16_t host;
	berth_if i;
	uint8_t dev;
	bool lo;
	uint8_t mac[6];
	char name[16];
	struct bt_querier querier[2];
	struct bt_seen seen;
};

#define BT_HOST_IFS 16 /* with lo */

/* The path that was found last, of a destination without neighbours; path.generation 0: none. What
 * it depends on changes the generation. */
struct bt_way {
	struct bt_addr src, dst;
	struct bt_path path;
	berth_if asked;
};

/* The source address that was found last, as of a generation; 0: none. */
struct bt_source {
	struct bt_addr src, dst;
	uint32_t generation;
	berth_if asked;
};

struct bt_host {
	berth_if ifs[BT_HOST_IFS]; /* dev - 1 */
	uint8_t n_ifs;
	bool forwarding;
	uint16_t number;
	uint32_t queue_bytes; /* copies that wait to be carried, for a neighbour, or in lo */
	uint32_t reass_bytes, reass_pieces;
	struct bt_reass *reass_oldest, *reass_newest;
	uint32_t icmp_tokens; /* errors that may be sent now */
	uint64_t icmp_ns;
	uint32_t route_count[129]; /* routes by prefix length; with v4 in 96..128 for both */
	uint64_t route_bits[3];	   /* bit n: the host has routes of length n */
	struct bt_way way;
	struct bt_source source;
	struct bt_filter *filter; /* the caller's; NULL: none */
	/* A bit, by hash, for each address in the map: most sources of packets have none of them */
	uint64_t addr_filter;
	uint64_t drops[BERTH_DROPS];
};

/* ---- neighbours ---- */

/*
 * NONE	       known by address, not asked for; left by use -> INCOMPLETE, or freed when unused
 * INCOMPLETE  asked, packets wait; -> REACHABLE by an answer, NONE when there is none
 * STALE       the link address may be old; used as it is; by use -> DELAY, freed when unused
 * DELAY       as STALE, a hint may still come; -> PROBE by time
 * PROBE       asked by unicast; -> REACHABLE, or NONE when there is no answer
 * REACHABLE   confirmed lately; -> STALE by time
 * From STALE on the link header is known. (RFC 4861 7.3.2, for ARP too)
 */
enum bt_neigh_state {
	BT_NEIGH_NONE,
	BT_NEIGH_INCOMPLETE,
	BT_NEIGH_STALE,
	BT_NEIGH_DELAY,
	BT_NEIGH_PROBE,
	BT_NEIGH_REACHABLE,
};
struct bt_neigh {
	uint8_t header[BT_ETHER_HEADER]; /* complete */
	uint8_t state, tries;
	bool router;
	berth_if i;
	uint32_t index;
	struct bt_addr addr;
	struct bt_addr asker; /* source of the packet that made us ask */
	struct bt_link link;
	struct bt_neigh *older, *newer;
	struct bt_ip_timer timer;
	struct bt_pkts waiting;
};

/* Finds or makes; NULL: out of memory. Makes room by forgetting the one used longest ago. */
struct bt_neigh *bt_neigh_get(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
			      uint64_t now_ns);
struct bt_neigh *bt_neigh_find(const struct bt_ip *ip, berth_if i, const struct bt_addr *addr);
/* A packet goes to it: true if the link header is known. */
bool bt_neigh_use(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns);
/* Takes p: it waits for the answer. src: that of the packet. */
void bt_neigh_wait(struct bt_ip *ip, struct bt_neigh *n, struct bt_pkt *p,
		   const struct bt_addr *src, uint64_t now_ns);
/* Its link address was heard: state is what follows (STALE or REACHABLE); packets that wait go. */
void bt_neigh_heard(struct bt_ip *ip, struct bt_neigh *n, const uint8_t mac[6],
		    enum bt_neigh_state state, uint64_t now_ns);
void bt_neigh_confirmed(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns);
void bt_neigh_expired(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns);
void bt_neigh_flush(struct bt_ip *ip, struct bt_iface *f); /* all of an interface */
static inline bool bt_neigh_known(const struct bt_neigh *n)
{
	return n->state >= BT_NEIGH_STALE;
}

/* to: NULL for broadcast or the solicited-node group, else the known link address. */
void bt_arp_ask(struct bt_ip *ip, struct bt_iface *f, struct bt_neigh *n, const uint8_t *to);
void bt_arp_input(struct bt_ip *ip, struct bt_iface *f, const uint8_t *data, size_t len,
		  uint64_t now_ns);
void bt_nd_ask(struct bt_ip *ip, struct bt_iface *f, struct bt_neigh *n, const uint8_t *to,
	       uint64_t now_ns);

/* ---- the engine's IP ---- */

#define BT_ICMP_PEERS 256u
struct bt_icmp_peer { /* rate of errors to one destination, by hash */
	uint64_t at_ns;
	uint32_t tokens_ms; /* one error takes a second's */
};

struct bt_ip {
	struct bt_neigh **neighs; /* by index; 0 is none */
	uint32_t generation;
	uint32_t n_neighs, neigh_free; /* size; where a search for a free index starts */
	struct bt_iface **ifs;	       /* by berth_if; 0 is none */
	struct bt_host **hosts;
	uint32_t n_ifs, n_hosts;
	struct bt_wheel *wheel;
	struct bt_map addr_map, route_map, neigh_map, reass_map, pmtu_map;
	struct bt_pmtu *pmtu_oldest, *pmtu_newest;
	struct bt_pkts out;  /* to be carried */
	struct bt_pkts loop; /* to be taken in */
	struct bt_pkts lent; /* freed by bt_ip_reap */
	struct bt_pool pool;
	uint64_t random, serial;
	uint64_t now_ns;   /* the latest that was said */
	uint32_t ids[256]; /* identifications of packets that may be fragmented, by hash */
	struct bt_icmp_peer icmp_peers[BT_ICMP_PEERS];
	struct bt_flows *flows; /* NULL: no host has had a filter */
	bt_ip_known *known;
	void *known_arg;
	size_t bytes; /* of memory, without the pool */
	uint8_t key[16];
};

static inline struct bt_host *bt_host(const struct bt_ip *ip, uint16_t host)
{
	return host < ip->n_hosts ? ip->hosts[host] : NULL;
}
static inline struct bt_iface *bt_iface(const struct bt_ip *ip, berth_if i)
{
	return i < ip->n_ifs ? ip->ifs[i] : NULL;
}
static inline void bt_ip_changed(struct bt_ip *ip)
{
	ip->generation++;
}
void *bt_ip_alloc(struct bt_ip *ip, size_t len); /* zeroed; counted */
void bt_ip_dealloc(struct bt_ip *ip, void *p, size_t len);
uint64_t bt_ip_random(struct bt_ip *ip);
uint32_t bt_ip_random_below(struct bt_ip *ip, uint32_t below);
/* Keyed: for tables whose keys peers choose. */
uint32_t bt_ip_hash(const struct bt_ip *ip, const struct bt_addr *a, const struct bt_addr *b,
		    uint64_t c);
/* For tables whose keys the configuration chooses. */
static inline uint32_t bt_ip_mix(const struct bt_addr *a, uint32_t c)
{
	uint64_t hi, lo;

	memcpy(&hi, a->b, 8);
	memcpy(&lo, a->b + 8, 8);
	lo ^= (hi + c) * 0x9e3779b97f4a7c15u;
	/* an address's last byte is the number's first one: it must come down before it is
	 * multiplied */
	lo = (lo ^ lo >> 32) * 0xd6e8feb86659fd93u;
	lo = (lo ^ lo >> 32) * 0xd6e8feb86659fd93u;
	return (uint32_t)(lo ^ lo >> 32);
}
/* The first bits of a, the rest zero. */
struct bt_addr bt_addr_prefix(const struct bt_addr *a, unsigned bits);

struct bt_iface *bt_host_lo(const struct bt_ip *ip, const struct bt_host *h);
int bt_if_new(struct bt_ip *ip, struct bt_host *h, const struct berth_if_config *config, bool lo,
	      uint64_t now_ns);
void bt_if_free(struct bt_ip *ip, struct bt_iface *f);

/* What addr is to the host: NONE, LOCAL, BROADCAST; *i its interface unless NONE. */
enum bt_addr_kind bt_addr_kind(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr,
			       berth_if *i);
/* False: addr is surely none of the host's in the map of addresses. */
bool bt_addr_may_be_own(const struct bt_ip *ip, uint16_t host, const struct bt_addr *addr);
struct bt_ifaddr *bt_addr_of_if(const struct bt_iface *f, const struct bt_addr *addr);
/* The interface's best own address for packets to dst; NULL: none of that family. */
const struct bt_ifaddr *bt_addr_for(const struct bt_iface *f, const struct bt_addr *dst);
void bt_addrs_free(struct bt_ip *ip, struct bt_iface *f);
/* The link-local address that comes from the MAC (RFC 4291 appendix A). */
int bt_addr_add_link_local(struct bt_ip *ip, struct bt_iface *f, uint64_t now_ns);
struct bt_addr bt_addr_link_local(const uint8_t mac[6]);

int bt_route_connect(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
		     unsigned bits);
void bt_route_disconnect(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
			 unsigned bits);
/* The best route whose interface is up (and is `i`, if not 0); NULL: none. */
const struct bt_route *bt_route_find(const struct bt_ip *ip, uint16_t host,
				     const struct bt_addr *dst, berth_if i);
void bt_routes_free(struct bt_ip *ip);

/* ---- path MTU ---- */

/* What was learned for dst, or 0; *no_df: it is below what is believed. */
uint32_t bt_pmtu_find(const struct bt_ip *ip, uint16_t host, const struct bt_addr *dst,
		      bool *no_df);
void bt_pmtu_expired(struct bt_ip *ip, struct bt_ip_timer *t);
void bt_pmtu_free(struct bt_ip *ip);

/* ---- out ---- */

/* The interface by which packets to a group, or to all of a link, leave; 0: none. */
berth_if bt_group_if(const struct bt_ip *ip, uint16_t host, const struct bt_addr *src,
		     const struct bt_addr *dst, berth_if i);
/* How a packet whose transport part lies in a bt_pkt is to be sent. */
struct bt_send {
	uint16_t host;
	uint8_t proto, tos, hops;
	bool no_fragment, no_checksum, no_loop;
	bool router_alert; /* RFC 2113, RFC 2711 */
	bool judged;	   /* the host's filter has let it through */
	uint8_t checksum_at;
	uint16_t segment;
	berth_if i; /* leave by; 0: by the routes */
	struct bt_addr src, dst;
	const struct bt_path *path; /* NULL: to be found */
};
/* Takes p, whatever the result: BT_IP_TAKEN, or an error as bt_ip_output's. */
int bt_ip_send(struct bt_ip *ip, struct bt_pkt *p, const struct bt_send *s, uint64_t now_ns);
/* Takes p, a packet with its IP header, to the neighbour `to` on f; fits. */
void bt_ip_transmit(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p,
		    const struct bt_addr *src, const struct bt_addr *to, uint64_t now_ns);
/* Takes p with its link header. */
void bt_ip_enqueue(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p);
/* Takes p: what f's own host sends to itself comes in by the device of f. */
void bt_ip_loop(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p);
/* Cuts p, with its IP header, in pieces for mtu and transmits them; takes p. */
int bt_ip_fragment4(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p, uint32_t mtu,
		    const struct bt_addr *src, const struct bt_addr *to, uint64_t now_ns);
int bt_ip_fragment6(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p, uint32_t mtu,
		    const struct bt_addr *src, const struct bt_addr *to, uint64_t now_ns);
/* The first of n that nobody else has had lately. */
uint32_t bt_ip_next_id(struct bt_ip *ip, const struct bt_addr *src, const struct bt_addr *dst,
		       uint8_t proto, uint32_t n);
/* IPv4 header at p (20 bytes) with its checksum. */
static inline void bt_ip4_write(uint8_t *p, uint8_t tos, uint32_t len, uint16_t id, uint16_t frag,
				uint8_t ttl, uint8_t proto, const struct bt_addr *src,
				const struct bt_addr *dst)
{
	uint32_t w[5];
	uint64_t sum;

	w[0] = __builtin_bswap32(0x45u << 24 | (uint32_t)tos << 16 | len);
	w[1] = __builtin_bswap32((uint32_t)id << 16 | frag);
	w[2] = __builtin_bswap32((uint32_t)ttl << 24 | (uint32_t)proto << 16);
	memcpy(&w[3], src->b + 12, 4);
	memcpy(&w[4], dst->b + 12, 4);
	sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	/* memory order throughout: the checksum is the upper half of the third word */
	w[2] |= (uint32_t)(~sum & 0xffff) << 16;
	memcpy(p, w, sizeof(w));
}
static inline void bt_ip6_write(uint8_t *p, uint8_t tos, uint32_t flow, uint32_t payload_len,
				uint8_t next, uint8_t hops, const struct bt_addr *src,
				const struct bt_addr *dst)
{
	bt_put32(p, 6u << 28 | (uint32_t)tos << 20 | (flow & 0xfffff));
	bt_put16(p + 4, (uint16_t)payload_len);
	p[6] = next;
	p[7] = hops;
	memcpy(p + 8, src->b, 16);
	memcpy(p + 24, dst->b, 16);
}

/* ---- in ---- */

/* One packet's way through input. */
struct bt_in {
	struct bt_ip *ip;
	struct bt_iface *f; /* it came in by */
	struct bt_host *h;
	uint64_t now_ns;
	bool link_group; /* the frame was to a group or to all */
	bool looped;	 /* sent by the own host */
	bool checked;	 /* the transport's checksum need not be looked at */
	bool whole;	 /* it was reassembled */
	bool router_alert;
	uint16_t segment;
	struct bt_rx *rx;
	struct bt_icmp_error *error;
};
/* Whether no packet by this way needs its checksum looked at. */
static inline bool bt_in_checked(const struct bt_in *in)
{
	return in->looped || (in->f->flags & BERTH_IF_RX_CHECKSUM) != 0;
}
enum bt_ip_got bt_ip4_input(struct bt_in *in, const uint8_t *data, size_t len);
/* The short way of a segment of TCP, whole and without options, to the address that the last one
 * was for. True: *rx is filled in, as bt_ip4_input would have. False: nothing has happened. */
bool bt_ip4_expected(struct bt_ip *ip, struct bt_iface *f, const struct berth_input *packet,
		     struct bt_rx *rx);
enum bt_ip_got bt_ip6_input(struct bt_in *in, const uint8_t *data, size_t len);
/* *in->rx is filled in. */
enum bt_ip_got bt_icmp_input(struct bt_in *in);
void bt_igmp_input(struct bt_in *in);
void bt_mld_input(struct bt_in *in);
void bt_nd_input(struct bt_in *in);
static inline enum bt_ip_got bt_in_drop(struct bt_in *in, enum berth_drop reason)
{
	in->h->drops[reason]++;
	return BT_IP_NOTHING;
}
/* Takes a packet that is not for this host on: TTL, route, fragments, ICMP errors. */
void bt_forward4(struct bt_in *in, const uint8_t *data, const struct bt_ipv4 *h);
void bt_forward6(struct bt_in *in, const uint8_t *data, uint32_t len, const struct bt_ipv6 *h);
/* Finishes the transport's checksum of len bytes at data, whose field is at checksum_at. */
void bt_checksum_finish(uint8_t *data, uint32_t len, uint8_t checksum_at, uint8_t proto,
			const struct bt_addr *src, const struct bt_addr *dst);

/* A fragment: keeps it, and gives the datagram, with its IP header, when it is whole. */
struct bt_fragment {
	struct bt_addr src, dst;
	uint32_t id;
	uint8_t proto; /* v4: part of the key; v6: what follows the fragment header */
	bool more, v6;
	uint32_t offset;       /* bytes */
	const uint8_t *header; /* what is before data: IP header; v6: with the fragment header */
	uint32_t header_len;
	const uint8_t *data;
	uint32_t len;
};
struct bt_pkt *bt_reass_fragment(struct bt_in *in, const struct bt_fragment *fragment);
void bt_reass_expired(struct bt_ip *ip, struct bt_ip_timer *t, uint64_t now_ns);
void bt_reass_free(struct bt_ip *ip);

/* ---- the filter ---- */

/* A packet as the filter of `host` sees it: it need not have its IP header yet. */
struct bt_ip_part {
	uint16_t host;
	uint8_t dir;   /* enum bt_filter_dir */
	uint8_t proto; /* as in the IP header */
	uint8_t dev;   /* in: the interface's number in its host */
	const struct bt_addr *src, *dst;
	const uint8_t *data; /* transport header, len bytes of it or more */
	uint32_t len;
	uint32_t ip_len; /* of the whole packet */
};
static inline bool bt_has_filter(const struct bt_ip *ip, uint16_t host)
{
	return ip->hosts[host]->filter != NULL;
}
/* What becomes of it; it is counted, as a drop too, unless the caller only asks. */
enum bt_filter_action bt_ip_judge(struct bt_ip *ip, const struct bt_ip_part *t, bool ask);
struct bt_rejected {
	const uint8_t *ip; /* with its IP header, which is legal; the transport's is at `at` */
	uint32_t ip_len, at;
	uint8_t proto;
	bool link_group;
	struct bt_addr src, dst;
};
/* Tells its sender, who may be the own host, what the action says. */
void bt_ip_rejected(struct bt_ip *ip, struct bt_iface *f, const struct bt_rejected *r,
		    enum bt_filter_action action, uint64_t now_ns);
/* True: *in->rx, which came by a wire, is filtered, and all is done. */
bool bt_in_filtered(struct bt_in *in);

/* ---- ICMP out ---- */

/* The error m about the packet at data (its IP header is legal, len is all of it), if ICMP's rules
 * and rates allow. It came in by f; link_group: its frame was to more than this station. */
void bt_icmp_about(struct bt_ip *ip, struct bt_iface *f, const uint8_t *data, uint32_t len,
		   bool link_group, const struct bt_icmp *m, uint64_t now_ns);

/* ---- groups ---- */

/* True: packets to the group that come in by f are taken. */
bool bt_group_joined(const struct bt_iface *f, const struct bt_addr *group);
int bt_group_join(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *group,
		  uint64_t now_ns);
int bt_group_leave(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *group,
		   uint64_t now_ns);
void bt_group_expired(struct bt_ip *ip, struct bt_ip_timer *t, uint64_t now_ns);
void bt_groups_free(struct bt_ip *ip, struct bt_iface *f);
#endif

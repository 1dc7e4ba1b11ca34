/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet filter of a host: rules in order, of which the first that matches decides, and a
 * policy for each direction where none does. Rules look at a packet's direction, protocol,
 * addresses, ports and state; the words for them are those of nft(8) and iptables(8) (link/rule.h).
 *
 * One filter is the truth for both ways that bytes take: lib/ip asks it for each packet, and
 * berthd, before it joins two programs without packets, whether each packet between them would be
 * let through (bt_filter_passes). It is plain memory without pointers, so that berthd can keep it
 * in a file.
 */
#ifndef BERTH_LIB_FILTER_FILTER_H
#define BERTH_LIB_FILTER_FILTER_H

#include "../base/addr.h"

#define BT_FILTER_RULES	 256u
#define BT_FILTER_POLICY BT_FILTER_RULES /* in the place of a rule: none matched */

enum bt_filter_dir { BT_FILTER_IN, BT_FILTER_OUT };

enum bt_filter_action {
	BT_FILTER_ACCEPT,
	BT_FILTER_DROP,	  /* nobody is told but, going out, who sends a datagram (EPERM) */
	BT_FILTER_REJECT, /* ICMP port unreachable */
	BT_FILTER_RESET,  /* of TCP: a reset */
};

/* As connection tracking has it (conntrack(8)): NEW until something has come back; RELATED: an ICMP
 * error; INVALID: of a connection that nobody knows. */
enum bt_filter_state {
	BT_FILTER_NEW = 1 << 0,
	BT_FILTER_ESTABLISHED = 1 << 1,
	BT_FILTER_RELATED = 1 << 2,
	BT_FILTER_INVALID = 1 << 3,
};
#define BT_FILTER_STATES 15u

#define BT_FILTER_ICMP 1 /* ICMP, and of IPv6 ICMPv6 */

struct bt_rule {
	uint8_t action;		    /* enum bt_filter_action; RESET with TCP only */
	uint8_t dir;		    /* enum bt_filter_dir */
	uint8_t proto;		    /* 0: any; 6, 17, BT_FILTER_ICMP */
	uint8_t states;		    /* enum bt_filter_state bits; 0: any */
	uint8_t family;		    /* enum bt_family; 0: both, and no addresses */
	uint8_t src_bits, dst_bits; /* of the 16 bytes: 96 and more for IPv4 */
	uint8_t pad;
	uint16_t sport_lo, sport_hi; /* inclusive; 0, 0: any. Not with ICMP; without a protocol */
	uint16_t dport_lo, dport_hi; /* it is TCP and UDP */
	struct bt_addr src, dst;     /* the bits behind the prefix are 0 */
};
#define BT_RULE_BYTES 48u
_Static_assert(sizeof(struct bt_rule) == BT_RULE_BYTES, "kept in files and messages");

struct bt_filter_counts {
	uint64_t pkts, bytes; /* whole packets with their IP headers */
	uint64_t direct;      /* connections, and ways of datagrams, that then needed no packets */
};

struct bt_filter {
	uint32_t n;	   /* rules */
	uint8_t policy[2]; /* by direction: ACCEPT, DROP or REJECT */
	uint8_t pad[2];
	struct bt_filter_counts policy_counts[2], counts[BT_FILTER_RULES];
	struct bt_rule rules[BT_FILTER_RULES];
};

/* What is looked at of a packet. */
struct bt_filter_packet {
	uint8_t dir;	       /* enum bt_filter_dir */
	uint8_t proto;	       /* as in the IP header: 1 or 58 for ICMP */
	uint8_t states;	       /* what it may be in: one bit of a packet */
	uint16_t sport, dport; /* 0: it has none, or (bt_filter_passes) it is not known yet */
	struct bt_addr src, dst;
};

/* Whether each field has a legal value; to be asked of what comes from elsewhere. */
bool bt_rule_legal(const struct bt_rule *r);
bool bt_filter_legal(const struct bt_filter *f);
static inline bool bt_rule_eq(const struct bt_rule *a, const struct bt_rule *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The index of the first rule that matches the packet, or BT_FILTER_POLICY. */
uint32_t bt_filter_match(const struct bt_filter *f, const struct bt_filter_packet *p);
/* What a rule, or the policy of the direction, does. */
enum bt_filter_action bt_filter_action(const struct bt_filter *f, enum bt_filter_dir dir,
				       uint32_t rule);
/* Where it is counted. */
struct bt_filter_counts *bt_filter_counts(struct bt_filter *f, enum bt_filter_dir dir,
					  uint32_t rule);
/* True: every packet like this is accepted, in each of its states and whatever a port that is 0
 * turns out to be. f may be NULL: no filter. */
bool bt_filter_passes(const struct bt_filter *f, const struct bt_filter_packet *p);

#endif

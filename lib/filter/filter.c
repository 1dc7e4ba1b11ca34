/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

/* Of what is not known yet of a packet a match may depend. */
enum fits { NO, MAYBE, YES };

static enum fits port_fits(uint16_t lo, uint16_t hi, uint16_t port)
{
	if (lo == 0)
		return YES;
	if (port == 0)
		return MAYBE;
	return port >= lo && port <= hi ? YES : NO;
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17;
}

static bool proto_fits(const struct bt_rule *r, uint8_t proto)
{
	if (r->proto == BT_FILTER_ICMP)
		return proto == 1 || proto == 58;
	if (r->proto != 0)
		return r->proto == proto;
	return (r->sport_lo == 0 && r->dport_lo == 0) || has_ports(proto);
}

static enum fits fits(const struct bt_rule *r, const struct bt_filter_packet *p)
{
	enum fits s, d;

	if (r->dir != p->dir || !proto_fits(r, p->proto))
		return NO;
	if (r->family != 0 && (r->family == BT_V4) != bt_addr_is_v4(&p->dst))
		return NO;
	if (!bt_addr_same_prefix(&r->src, &p->src, r->src_bits) ||
	    !bt_addr_same_prefix(&r->dst, &p->dst, r->dst_bits))
		return NO;
	if (r->states != 0 && (r->states & p->states) == 0)
		return NO;
	s = port_fits(r->sport_lo, r->sport_hi, p->sport);
	d = port_fits(r->dport_lo, r->dport_hi, p->dport);
	if (s == NO || d == NO)
		return NO;
	return s == YES && d == YES && (r->states == 0 || (p->states & ~r->states) == 0) ? YES
											 : MAYBE;
}

uint32_t bt_filter_match(const struct bt_filter *f, const struct bt_filter_packet *p)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (fits(&f->rules[i], p) == YES)
			return i;
	return BT_FILTER_POLICY;
}

enum bt_filter_action bt_filter_action(const struct bt_filter *f, enum bt_filter_dir dir,
				       uint32_t rule)
{
	return (enum bt_filter_action)(rule < f->n ? f->rules[rule].action : f->policy[dir]);
}

struct bt_filter_counts *bt_filter_counts(struct bt_filter *f, enum bt_filter_dir dir,
					  uint32_t rule)
{
	return rule < f->n ? &f->counts[rule] : &f->policy_counts[dir];
}

bool bt_filter_passes(const struct bt_filter *f, const struct bt_filter_packet *p)
{
	if (f == NULL)
		return true;
	for (uint32_t i = 0; i < f->n; i++) {
		bool accepts = f->rules[i].action == BT_FILTER_ACCEPT;

		switch (fits(&f->rules[i], p)) {
		case NO:
			break;
		case MAYBE:
			if (!accepts)
				return false;
			break;
		case YES:
			return accepts;
		}
	}
	return f->policy[p->dir] == BT_FILTER_ACCEPT;
}

/* ---- what is legal ---- */

static bool range_legal(uint16_t lo, uint16_t hi)
{
	return lo <= hi && (lo != 0 || hi == 0);
}

/* An address of the rule's family, nothing behind the prefix. */
static bool prefix_legal(const struct bt_addr *a, unsigned bits, uint8_t family)
{
	struct bt_addr zero = {{0}};

	if (bits > 128)
		return false;
	if (bits == 0)
		return bt_addr_eq(a, &zero);
	for (unsigned i = bits; i < 128; i++)
		if (a->b[i / 8] & (0x80u >> i % 8))
			return false;
	return family == BT_V4 ? bits >= 96 && bt_addr_is_v4(a)
			       : family == BT_V6 && !(bits >= 96 && bt_addr_is_v4(a));
}

bool bt_rule_legal(const struct bt_rule *r)
{
	bool tcp = r->proto == 6, ports = r->sport_lo != 0 || r->dport_lo != 0;

	if (r->action > BT_FILTER_RESET || r->dir > BT_FILTER_OUT || r->states > BT_FILTER_STATES ||
	    r->pad != 0)
		return false;
	if (r->proto != 0 && !has_ports(r->proto) && r->proto != BT_FILTER_ICMP)
		return false;
	if (r->family == BT_V4 ? r->src_bits == 0 && r->dst_bits == 0
			       : r->family != 0 && r->family != BT_V6)
		return false;
	if ((r->action == BT_FILTER_RESET && !tcp) || (ports && r->proto == BT_FILTER_ICMP))
		return false;
	return range_legal(r->sport_lo, r->sport_hi) && range_legal(r->dport_lo, r->dport_hi) &&
	       prefix_legal(&r->src, r->src_bits, r->family) &&
	       prefix_legal(&r->dst, r->dst_bits, r->family);
}

bool bt_filter_legal(const struct bt_filter *f)
{
	if (f->n > BT_FILTER_RULES || f->policy[0] > BT_FILTER_REJECT ||
	    f->policy[1] > BT_FILTER_REJECT)
		return false;
	for (uint32_t i = 0; i < f->n; i++)
		if (!bt_rule_legal(&f->rules[i]))
			return false;
	return true;
}

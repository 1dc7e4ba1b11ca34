/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include "calls.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

_Static_assert(sizeof(((struct bt_filtered *)NULL)->bytes) == BT_RULE_BYTES &&
		       sizeof(((struct bt_filter_change *)NULL)->rule) == BT_RULE_BYTES,
	       "wire format");

struct bt_filter *d_filter_of(const struct daemon *d, uint16_t host)
{
	if (d->n_filters == 0 || host >= BT_MAX_HOSTS)
		return NULL;
	struct bt_filter_row *r = bt_table_filter(d->table, host);
	struct bt_filter *f = &r->lists[r->active];
	return f->n == 0 && f->policy[0] == BT_FILTER_ACCEPT && f->policy[1] == BT_FILTER_ACCEPT
		       ? NULL
		       : f;
}

static void count_filters(struct daemon *d)
{
	uint32_t n = 0;
	d->n_filters = 1; /* d_filter_of() looks */
	for (uint16_t host = 0; host < bt_net_hosts(d->net); host++)
		n += d_filter_of(d, host) != NULL;
	d->n_filters = n;
}

void d_filter_recover(struct daemon *d)
{
	for (uint16_t host = 0; host < bt_net_hosts(d->net); host++) {
		struct bt_filter_row *r = bt_table_filter(d->table, host);
		if (r->active > 1 || !bt_filter_legal(&r->lists[r->active]))
			memset(r, 0, sizeof(*r));
		r->seq = (r->seq | 1) + 1;
	}
	count_filters(d);
}

bool d_filter_between(const struct daemon *d, uint16_t from, uint16_t to)
{
	return d->n_filters > 0 && from != to &&
	       (d_filter_of(d, from) != NULL || d_filter_of(d, to) != NULL);
}

/* ---- what needs no packets ---- */

static struct bt_filter_packet packet(const struct d_passage *p, enum bt_filter_dir dir, bool back,
				      uint8_t states)
{
	return (struct bt_filter_packet){.dir = (uint8_t)dir,
					 .proto = (uint8_t)p->proto,
					 .states = states,
					 .sport = back ? p->dport : p->sport,
					 .dport = back ? p->sport : p->dport,
					 .src = back ? p->dst : p->src,
					 .dst = back ? p->src : p->dst};
}

static void count_direct(struct daemon *d, uint16_t host, const struct bt_filter_packet *p)
{
	struct bt_filter *f = d_filter_of(d, host);
	if (f != NULL)
		bt_filter_counts(f, (enum bt_filter_dir)p->dir, bt_filter_match(f, p))->direct++;
}

bool d_filter_passes(const struct daemon *d, const struct d_passage *p)
{
	if (!d_filter_between(d, p->from, p->to))
		return true;
	if (p->nobody)
		return false;
	const struct bt_filter *from = d_filter_of(d, p->from), *to = d_filter_of(d, p->to);
	const uint8_t both = BT_FILTER_NEW | BT_FILTER_ESTABLISHED,
		      back = p->proto == BT_TCP ? BT_FILTER_ESTABLISHED : both;
	struct bt_filter_packet out = packet(p, BT_FILTER_OUT, false, both),
				in = packet(p, BT_FILTER_IN, false, both),
				back_out = packet(p, BT_FILTER_OUT, true, back),
				back_in = packet(p, BT_FILTER_IN, true, back);
	return bt_filter_passes(from, &out) && bt_filter_passes(to, &in) &&
	       bt_filter_passes(to, &back_out) && bt_filter_passes(from, &back_in);
}

bool d_filter_direct(struct daemon *d, const struct d_passage *p)
{
	const struct bt_filter_packet out = packet(p, BT_FILTER_OUT, false, BT_FILTER_NEW),
				      in = packet(p, BT_FILTER_IN, false, BT_FILTER_NEW);
	if (!d_filter_passes(d, p))
		return false;
	if (d_filter_between(d, p->from, p->to)) {
		count_direct(d, p->from, &out);
		count_direct(d, p->to, &in);
	}
	return true;
}

/* ---- what becomes of it ---- */

/* True: the host's filter lets it pass; else *out tells what is in the way. */
static bool lets(const struct daemon *d, uint16_t host, const struct bt_filter_packet *p,
		 struct bt_filtered *out)
{
	const struct bt_filter *f = d_filter_of(d, host);
	if (f == NULL)
		return true;
	uint32_t rule = bt_filter_match(f, p);
	enum bt_filter_action action = bt_filter_action(f, (enum bt_filter_dir)p->dir, rule);
	if (action == BT_FILTER_ACCEPT)
		return true;
	memset(out, 0, sizeof(*out));
	out->as = BT_FILTERED_LOST;
	out->host = host;
	out->rule = rule == BT_FILTER_POLICY ? UINT16_MAX : (uint16_t)rule;
	out->dir = p->dir;
	out->action = (uint8_t)action;
	if (rule != BT_FILTER_POLICY)
		memcpy(out->bytes, &f->rules[rule], sizeof(out->bytes));
	return false;
}

/* The packet comes from the one host and through to the other. */
static bool comes_back(const struct daemon *d, const struct d_passage *p,
		       struct bt_filter_packet *back, struct bt_filtered *out)
{
	back->dir = BT_FILTER_OUT;
	if (p->to != BT_NET_OUTSIDE && !lets(d, p->to, back, out))
		return false;
	back->dir = BT_FILTER_IN;
	return lets(d, p->from, back, out);
}

static bool icmp_comes_back(const struct daemon *d, const struct d_passage *p,
			    struct bt_filtered *out)
{
	struct bt_filter_packet said = packet(p, BT_FILTER_OUT, true, BT_FILTER_RELATED);
	said.proto = bt_addr_is_v4(&p->dst) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	said.sport = said.dport = 0;
	return comes_back(d, p, &said, out);
}

static bool segment_comes_back(const struct daemon *d, const struct d_passage *p,
			       struct bt_filtered *out)
{
	struct bt_filter_packet said = packet(p, BT_FILTER_OUT, true, BT_FILTER_ESTABLISHED);
	return comes_back(d, p, &said, out);
}

/* What says "rejected" comes from the host that does, and must come through, too. */
static void told(const struct daemon *d, const struct d_passage *p, struct bt_filtered *out)
{
	struct bt_filtered other;
	if (out->action == BT_FILTER_DROP)
		return;
	if (out->dir == BT_FILTER_OUT ||
	    (out->action == BT_FILTER_RESET ? segment_comes_back(d, p, &other)
					    : icmp_comes_back(d, p, &other)))
		out->as = BT_FILTERED_REFUSED;
}

static uint8_t state_of(const struct daemon *d, uint16_t host, const struct bt_filter_packet *p)
{
	return p->proto == BT_TCP ? BT_FILTER_NEW : d_wire_flow_state(d, host, p);
}

void d_filter_judge(const struct daemon *d, const struct d_passage *p, struct bt_filtered *out)
{
	struct bt_filter_packet there = packet(p, BT_FILTER_OUT, false, BT_FILTER_NEW);
	const bool outside = p->to == BT_NET_OUTSIDE;
	memset(out, 0, sizeof(*out));
	if (d->n_filters == 0 || p->from == p->to)
		return;
	there.states = state_of(d, p->from, &there);
	if (!lets(d, p->from, &there, out)) {
		if (p->proto == BT_UDP)
			out->as = BT_FILTERED_DENIED;
		else
			told(d, p, out);
		return;
	}
	there.dir = BT_FILTER_IN;
	there.states = outside ? BT_FILTER_NEW : state_of(d, p->to, &there);
	if (!outside && !lets(d, p->to, &there, out)) {
		told(d, p, out);
		return;
	}
	if (p->proto == BT_TCP)
		out->answer = !segment_comes_back(d, p, out);
	else if (p->nobody)
		out->answer = !icmp_comes_back(d, p, out);
}

void d_filter_tell(struct call *k, const struct d_passage *p)
{
	static const int errors[] = {[BT_FILTERED_LOST] = ETIMEDOUT,
				     [BT_FILTERED_REFUSED] = ECONNREFUSED,
				     [BT_FILTERED_DENIED] = EPERM};
	d_filter_judge(k->d, p, &k->filtered);
	if (k->filtered.as == BT_FILTERED_NOT)
		return;
	struct bt_reason was = k->why;
	k->why = (struct bt_reason){.why = BT_WHY_FILTERED, .slot = BT_NO_SLOT};
	d_refused(k, errors[k->filtered.as], BT_NO_SLOT);
	k->why = was;
}

/* ---- changes ---- */

/* Open connections whose bytes no filter sees, though the host's now would not let all pass. */
static uint32_t out_of_reach(struct daemon *d, uint16_t host)
{
	uint32_t n = 0;
	for (uint32_t slot = 0; slot < d->table->high_water; slot++) {
		const struct bt_row *r = d_row(d, slot);
		struct bt_filter_packet p = {.proto = BT_TCP,
					     .dir = BT_FILTER_OUT,
					     .states = BT_FILTER_ESTABLISHED,
					     .sport = r->lport,
					     .dport = r->rport};
		if (r->host != host || r->proto != BT_TCP || r->state != BT_ROW_ESTABLISHED ||
		    r->flags & BT_ROWF_WIRE || r->peer == BT_SLOT_NONE ||
		    d_row(d, r->peer)->host == host)
			continue;
		memcpy(p.src.b, r->laddr, 16);
		memcpy(p.dst.b, r->raddr, 16);
		bool passes = bt_filter_passes(d_filter_of(d, host), &p);
		p = (struct bt_filter_packet){.proto = BT_TCP,
					      .dir = BT_FILTER_IN,
					      .states = BT_FILTER_ESTABLISHED,
					      .sport = p.dport,
					      .dport = p.sport,
					      .src = p.dst,
					      .dst = p.src};
		n += !passes || !bt_filter_passes(d_filter_of(d, host), &p);
	}
	return n;
}

static int add_rule(struct bt_filter *f, uint32_t at, const struct bt_rule *rule)
{
	if (!bt_rule_legal(rule))
		return -EINVAL;
	if (f->n == BT_FILTER_RULES)
		return -ENOSPC;
	at = at == UINT32_MAX ? f->n : at;
	if (at > f->n)
		return -ENOENT;
	memmove(&f->rules[at + 1], &f->rules[at], (f->n - at) * sizeof(f->rules[0]));
	memmove(&f->counts[at + 1], &f->counts[at], (f->n - at) * sizeof(f->counts[0]));
	f->rules[at] = *rule;
	memset(&f->counts[at], 0, sizeof(f->counts[at]));
	f->n++;
	return 0;
}

static int remove_rule(struct bt_filter *f, uint32_t at, const struct bt_rule *rule)
{
	if (at == UINT32_MAX)
		for (at = 0; at < f->n && !bt_rule_eq(&f->rules[at], rule);)
			at++;
	if (at >= f->n)
		return -ENOENT;
	f->n--;
	memmove(&f->rules[at], &f->rules[at + 1], (f->n - at) * sizeof(f->rules[0]));
	memmove(&f->counts[at], &f->counts[at + 1], (f->n - at) * sizeof(f->counts[0]));
	return 0;
}

static int change(struct bt_filter *f, const struct bt_filter_change *c)
{
	struct bt_rule rule;
	memcpy(&rule, c->rule, sizeof(rule));
	switch (c->what) {
	case BT_FILTER_ADD:
		return add_rule(f, c->at, &rule);
	case BT_FILTER_REMOVE:
		return remove_rule(f, c->at, &rule);
	case BT_FILTER_SET_POLICY:
		if (c->dir > BT_FILTER_OUT || c->action > BT_FILTER_REJECT)
			return -EINVAL;
		f->policy[c->dir] = c->action;
		return 0;
	case BT_FILTER_CLEAR:
		memset(f, 0, sizeof(*f));
		return 0;
	default:
		return -EINVAL;
	}
}

int d_call_filter(struct call *k)
{
	struct daemon *d = k->d;
	struct bt_filter_change c;
	const uint32_t host = k->req->value;
	if (k->req->extra != sizeof(c))
		return -EPROTO;
	if (host >= bt_net_hosts(d->net))
		return -ENOENT;
	memcpy(&c, k->extra, sizeof(c));
	struct bt_filter_row *row = bt_table_filter(d->table, host);
	struct bt_filter *next = &row->lists[!row->active];
	int r = d_wire_open(d); /* which will carry what is filtered */
	if (r < 0)
		return r;
	atomic_store(&row->seq, row->seq | 1);
	atomic_thread_fence(memory_order_release);
	memcpy(next, &row->lists[row->active], sizeof(*next));
	r = change(next, &c);
	if (r == 0)
		atomic_store(&row->active, !row->active);
	atomic_store(&row->seq, (row->seq | 1) + 1);
	if (r < 0)
		return r;
	count_filters(d);
	d_wire_filter(d, (uint16_t)host);
	d_ways_changed(d);
	k->rep.value = out_of_reach(d, (uint16_t)host);
	return 0;
}

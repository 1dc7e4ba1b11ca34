/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet filter against a naive model: random rules, random packets. Every rule is also written
 * as text and read again, and bent into one that may not be legal. usage: filter_model [SEED]
 */
#include "../../lib/filter/flows.h"
#include "../../link/rule.h"
#include "random.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SEC 1000000000ull

/* Few values, so that rules and packets meet. */
static const uint16_t ports[] = {1, 53, 79, 80, 81, 1024, 8000, 8010, 40000, 65535};
static const char *const v4[] = {"10.0.0.1",	  "10.0.0.2", "10.1.0.0",
				 "192.168.1.100", "0.0.0.0",  "255.255.255.255"};

static struct bt_addr some_addr(bool is_v4)
{
	struct bt_addr a = {{0xfd}};
	unsigned b[4];

	if (!is_v4) {
		a.b[7] = (uint8_t)rnd(3);
		a.b[15] = (uint8_t)rnd(3);
		return a;
	}
	sscanf(v4[rnd(6)], "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]);
	return bt_addr_v4(b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
}

static bool bit(const struct bt_addr *a, unsigned n)
{
	return a->b[n / 8] >> (7 - n % 8) & 1;
}

static uint8_t some_prefix(struct bt_addr *a, bool is_v4)
{
	static const uint8_t bits4[] = {96, 104, 112, 120, 127, 128},
			     bits6[] = {0, 1, 8, 64, 120, 128};
	uint8_t bits = is_v4 ? bits4[rnd(6)] : bits6[rnd(6)];

	*a = some_addr(is_v4);
	for (unsigned n = bits; n < 128; n++)
		a->b[n / 8] &= (uint8_t) ~(0x80u >> n % 8);
	return bits;
}

static struct bt_rule some_rule(void)
{
	static const uint8_t protos[] = {0, 6, 17, BT_FILTER_ICMP};
	struct bt_rule r = {
		.action = (uint8_t)rnd(3), .dir = (uint8_t)rnd(2), .proto = protos[rnd(4)]};
	bool is_v4 = rnd(2) == 0;
	uint16_t *ends[2][2] = {{&r.sport_lo, &r.sport_hi}, {&r.dport_lo, &r.dport_hi}};

	if (r.proto == 6 && rnd(4) == 0)
		r.action = BT_FILTER_RESET;
	if (rnd(2) == 0)
		r.states = (uint8_t)rnd(16);
	if (rnd(2) == 0) {
		r.src_bits = some_prefix(&r.src, is_v4);
		r.family = is_v4 ? BT_V4 : BT_V6;
	}
	if (rnd(2) == 0) {
		r.dst_bits = some_prefix(&r.dst, is_v4);
		r.family = is_v4 ? BT_V4 : BT_V6;
	}
	for (unsigned i = 0; r.proto != BT_FILTER_ICMP && i < 2; i++) {
		uint16_t a = ports[rnd(10)], b = ports[rnd(10)];

		if (rnd(2) == 0)
			continue;
		*ends[i][0] = a < b ? a : b;
		*ends[i][1] = a < b ? b : a;
	}
	return r;
}

static struct bt_filter_packet some_packet(void)
{
	static const uint8_t protos[] = {6, 6, 17, 17, 1, 58, 47};
	bool is_v4 = rnd(2) == 0;
	struct bt_filter_packet p = {.dir = (uint8_t)rnd(2),
				     .proto = protos[rnd(7)],
				     .states = (uint8_t)(1u << rnd(4)),
				     .src = some_addr(is_v4),
				     .dst = some_addr(is_v4)};

	if (p.proto == 6 || p.proto == 17) {
		p.sport = ports[rnd(10)];
		p.dport = ports[rnd(10)];
	}
	return p;
}

/* ---- the model: each condition in its plainest words ---- */

static bool in_prefix(const struct bt_addr *a, const struct bt_addr *prefix, unsigned bits)
{
	for (unsigned n = 0; n < bits; n++)
		if (bit(a, n) != bit(prefix, n))
			return false;
	return true;
}

static bool model_fits(const struct bt_rule *r, const struct bt_filter_packet *p)
{
	bool icmp = p->proto == 1 || p->proto == 58, tcp = p->proto == 6, udp = p->proto == 17;

	if (r->dir != p->dir)
		return false;
	if (r->proto == 6 && !tcp)
		return false;
	if (r->proto == 17 && !udp)
		return false;
	if (r->proto == BT_FILTER_ICMP && !icmp)
		return false;
	if (r->family == BT_V4 && !bt_addr_is_v4(&p->src))
		return false;
	if (r->family == BT_V6 && bt_addr_is_v4(&p->src))
		return false;
	if (!in_prefix(&p->src, &r->src, r->src_bits) || !in_prefix(&p->dst, &r->dst, r->dst_bits))
		return false;
	if (r->sport_lo != 0 && (!(tcp || udp) || p->sport < r->sport_lo || p->sport > r->sport_hi))
		return false;
	if (r->dport_lo != 0 && (!(tcp || udp) || p->dport < r->dport_lo || p->dport > r->dport_hi))
		return false;
	return r->states == 0 || (r->states & p->states) != 0;
}

static uint32_t model_match(const struct bt_filter *f, const struct bt_filter_packet *p)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (model_fits(&f->rules[i], p))
			return i;
	return BT_FILTER_POLICY;
}

static bool model_accepts(const struct bt_filter *f, const struct bt_filter_packet *p)
{
	uint32_t i = model_match(f, p);

	return (i == BT_FILTER_POLICY ? f->policy[p->dir] : f->rules[i].action) == BT_FILTER_ACCEPT;
}

/* ---- what is compared ---- */

/* "Passes" of several states and of ports that are not known is a promise about all of them. */
static void check_promise(const struct bt_filter *f, const struct bt_filter_packet *packet,
			  unsigned *kept)
{
	struct bt_filter_packet p = *packet, q;
	bool tcp_udp = p.proto == 6 || p.proto == 17;

	p.states = (uint8_t)(1 + rnd(15));
	if (tcp_udp && rnd(2) == 0)
		p.sport = 0;
	if (tcp_udp && rnd(2) == 0)
		p.dport = 0;
	if (!bt_filter_passes(f, &p))
		return;
	(*kept)++;
	for (unsigned s = 1; s <= 8; s <<= 1)
		for (unsigned i = 0; i < 10; i++)
			for (unsigned k = 0; k < 10; k++) {
				q = p;
				q.states = (uint8_t)s;
				q.sport = p.sport != 0 || !tcp_udp ? p.sport : ports[i];
				q.dport = p.dport != 0 || !tcp_udp ? p.dport : ports[k];
				assert((p.states & s) == 0 || model_accepts(f, &q));
			}
}

static void check_text(const struct bt_rule *r)
{
	char text[BT_RULE_TEXT], error[BT_RULE_TEXT];
	struct bt_rule again;

	assert(bt_rule_legal(r));
	bt_rule_write(r, text);
	if (!bt_rule_read(text, &again, error) || !bt_rule_eq(r, &again)) {
		printf("'%s' is read as something else: %s\n", text, error);
		abort();
	}
}

/* What is legal can be matched, written and read; of the rest nothing is promised. */
static void check_bent(struct bt_rule r)
{
	((uint8_t *)&r)[rnd(sizeof(r))] = (uint8_t)rnd(256);
	if (bt_rule_legal(&r))
		check_text(&r);
}

static void filters(void)
{
	static struct bt_filter f;
	unsigned matched = 0, kept = 0;

	for (unsigned round = 0; round < 3000; round++) {
		memset(&f, 0, sizeof(f));
		f.n = rnd(50) == 0 ? BT_FILTER_RULES : rnd(12);
		f.policy[0] = (uint8_t)rnd(3);
		f.policy[1] = (uint8_t)rnd(3);
		for (uint32_t i = 0; i < f.n; i++) {
			f.rules[i] = some_rule();
			check_text(&f.rules[i]);
			check_bent(f.rules[i]);
		}
		assert(bt_filter_legal(&f));
		for (unsigned n = 0; n < 40; n++) {
			struct bt_filter_packet p = some_packet();
			uint32_t want = model_match(&f, &p);

			assert(bt_filter_match(&f, &p) == want);
			assert(bt_filter_passes(&f, &p) == model_accepts(&f, &p));
			matched += want != BT_FILTER_POLICY;
			check_promise(&f, &p, &kept);
		}
	}
	assert(matched > 10000 && kept > 1000); /* the numbers are of both kinds */
}

/* ---- flows ---- */

#define ENDS 40u

static void flows(void)
{
	static const uint8_t key[16] = {7};
	struct bt_flows *f = bt_flows_new(key);
	struct {
		bool known, seen[2];
		uint64_t begun, until;
	} m[ENDS] = {{0}};
	uint64_t now = SEC;

	assert(f != NULL);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = rnd(ENDS), dir = rnd(2);
		struct bt_flow_ends e;

		memset(&e, 0, sizeof(e));
		e.local = bt_addr_v4(i);
		e.lport = (uint16_t)(i % 3);
		e.proto = 17;
		now += rnd(20) == 0 ? rnd(60) * SEC : rnd(1000) * (SEC / 1000);
		if (m[i].until <= now)
			m[i].known = m[i].seen[0] = m[i].seen[1] = false;
		assert(bt_flows_state(f, &e, dir, now) ==
		       (m[i].seen[!dir] ? BT_FILTER_ESTABLISHED : BT_FILTER_NEW));
		if (rnd(2) == 0)
			continue;
		bt_flows_seen(f, &e, dir, now);
		m[i].begun = m[i].known ? m[i].begun : now;
		m[i].known = m[i].seen[dir] = true;
		m[i].until = now + (m[i].seen[!dir] && now - m[i].begun > 2 * SEC ? 120 : 30) * SEC;
		assert(bt_flows_count(f) <= ENDS);
	}
	/* Beyond the bound the one used longest ago goes. */
	for (uint32_t i = 0; i <= BT_FLOWS_MAX; i++) {
		struct bt_flow_ends e;

		memset(&e, 0, sizeof(e));
		e.remote = bt_addr_v4(i);
		bt_flows_seen(f, &e, BT_FILTER_OUT, now);
		assert(bt_flows_count(f) <= BT_FLOWS_MAX);
		assert(bt_flows_state(f, &e, BT_FILTER_IN, now) == BT_FILTER_ESTABLISHED);
	}
	bt_flows_free(f);
	bt_flows_free(NULL);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;

	rng = seed;
	filters();
	flows();
	printf("filter_model: seed %llu\n", (unsigned long long)seed);
	return 0;
}

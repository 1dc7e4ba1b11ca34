/* SPDX-License-Identifier: Apache-2.0 */
#include "rule.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN 64 /* longer than any legal word */

static const char *const actions[] = {"accept", "drop", "reject"};
static const char *const dirs[] = {"in", "out"};
static const struct {
	const char *name;
	uint8_t proto;
} protos[] = {{"tcp", 6}, {"udp", 17}, {"icmp", BT_FILTER_ICMP}};
static const char *const states[] = {"new", "established", "related", "invalid"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ACCEPTED                                                                                   \
	"in, out, tcp, udp, icmp, from ADDRESS[/LENGTH], to ADDRESS[/LENGTH], sport PORT[-PORT], " \
	"dport PORT[-PORT], state new|established|related|invalid, with tcp-reset"

/* ---- the words of fields ---- */

const char *bt_rule_action(enum bt_filter_action action)
{
	return actions[action == BT_FILTER_RESET ? BT_FILTER_REJECT : action];
}

bool bt_rule_action_read(const char *word, enum bt_filter_action *action)
{
	for (unsigned i = 0; i < COUNT(actions); i++)
		if (strcmp(word, actions[i]) == 0) {
			*action = (enum bt_filter_action)i;
			return true;
		}
	return false;
}

const char *bt_rule_dir(enum bt_filter_dir dir)
{
	return dirs[dir];
}

const char *bt_rule_proto(uint8_t proto)
{
	for (unsigned i = 0; i < COUNT(protos); i++)
		if (protos[i].proto == proto)
			return protos[i].name;
	return "any";
}

void bt_rule_prefix(const struct bt_addr *a, unsigned bits, char text[BT_RULE_TEXT])
{
	char addr[INET6_ADDRSTRLEN];
	bool v4 = bits >= 96 && bt_addr_is_v4(a);
	unsigned own = v4 ? bits - 96 : bits, whole = v4 ? 32 : 128;

	if (bits == 0) {
		snprintf(text, BT_RULE_TEXT, "any");
		return;
	}
	inet_ntop(v4 ? AF_INET : AF_INET6, a->b + (v4 ? 12 : 0), addr, sizeof(addr));
	if (own == whole)
		snprintf(text, BT_RULE_TEXT, "%s", addr);
	else
		snprintf(text, BT_RULE_TEXT, "%s/%u", addr, own);
}

void bt_rule_ports(uint16_t lo, uint16_t hi, char text[BT_RULE_TEXT])
{
	if (lo == 0)
		snprintf(text, BT_RULE_TEXT, "any");
	else if (lo == hi)
		snprintf(text, BT_RULE_TEXT, "%u", lo);
	else
		snprintf(text, BT_RULE_TEXT, "%u-%u", lo, hi);
}

void bt_rule_states(uint8_t bits, char text[BT_RULE_TEXT])
{
	size_t n = 0;

	snprintf(text, BT_RULE_TEXT, "any");
	for (unsigned i = 0; i < COUNT(states); i++)
		if (bits & 1u << i)
			n += (size_t)snprintf(text + n, BT_RULE_TEXT - n, "%s%s", n > 0 ? "," : "",
					      states[i]);
}

void bt_rule_write(const struct bt_rule *r, char text[BT_RULE_TEXT])
{
	char field[BT_RULE_TEXT];
	int n = snprintf(text, BT_RULE_TEXT, "%s %s", bt_rule_action(r->action), dirs[r->dir]);

	if (r->proto != 0)
		n += snprintf(text + n, BT_RULE_TEXT - (size_t)n, " %s", bt_rule_proto(r->proto));
	for (unsigned i = 0; i < 2; i++) {
		bt_rule_prefix(i == 0 ? &r->src : &r->dst, i == 0 ? r->src_bits : r->dst_bits,
			       field);
		if ((i == 0 ? r->src_bits : r->dst_bits) != 0)
			n += snprintf(text + n, BT_RULE_TEXT - (size_t)n, " %s %.50s",
				      i == 0 ? "from" : "to", field);
	}
	/* of a family, but of no address of it */
	if (r->family != 0 && r->src_bits == 0 && r->dst_bits == 0)
		n += snprintf(text + n, BT_RULE_TEXT - (size_t)n, " from ::/0");
	for (unsigned i = 0; i < 2; i++) {
		bt_rule_ports(i == 0 ? r->sport_lo : r->dport_lo,
			      i == 0 ? r->sport_hi : r->dport_hi, field);
		if ((i == 0 ? r->sport_lo : r->dport_lo) != 0)
			n += snprintf(text + n, BT_RULE_TEXT - (size_t)n, " %s %.20s",
				      i == 0 ? "sport" : "dport", field);
	}
	if (r->states != 0) {
		bt_rule_states(r->states, field);
		n += snprintf(text + n, BT_RULE_TEXT - (size_t)n, " state %.40s", field);
	}
	if (r->action == BT_FILTER_RESET)
		snprintf(text + n, BT_RULE_TEXT - (size_t)n, " with tcp-reset");
}

/* ---- reading ---- */

struct reading {
	const char *at;
	char word[TOKEN];
	struct bt_rule r;
	bool dir, family, with;
	char *error;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct reading *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(g->error, BT_RULE_TEXT, format, args);
	va_end(args);
	return false;
}

/* The next word, in word; false at the end. */
static bool next(struct reading *g)
{
	g->at += strspn(g->at, " \t\n");
	size_t len = strcspn(g->at, " \t\n");

	snprintf(g->word, TOKEN, "%.*s", (int)(len < TOKEN ? len : TOKEN), g->at);
	g->at += len;
	/* What is quoted in an error goes to a terminal. */
	for (char *c = g->word; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	return len > 0;
}

/* Digits only, 0 to max. */
static bool number(const char *s, const char *end, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (s == end)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static bool read_prefix(struct reading *g, const char *what, struct bt_addr *a, uint8_t *bits)
{
	char text[INET6_ADDRSTRLEN] = "";
	bool given = next(g);
	const char *slash = strchr(g->word, '/'), *end = g->word + strlen(g->word);
	size_t len = (size_t)((slash != NULL ? slash : end) - g->word);
	struct bt_addr v4 = bt_addr_v4(0);
	unsigned own;

	memcpy(text, g->word, len < sizeof(text) ? len : 0);
	bool is_v4 = inet_pton(AF_INET, text, v4.b + 12) == 1;
	if (!given || *bits != 0 || (!is_v4 && inet_pton(AF_INET6, text, a->b) != 1))
		return fail(g,
			    "after '%s' comes an address, once, as 10.0.0.5, 10.0.0.0/8 or "
			    "fd00::/64, not '%s'",
			    what, g->word);
	own = is_v4 ? 32 : 128;
	if (slash != NULL && !number(slash + 1, end, own, &own))
		return fail(g, "'%s' has no prefix length of 0 to %u after the slash", g->word,
			    own);
	if (g->family && (g->r.family == BT_V4) != is_v4)
		return fail(g, "one rule has addresses of one family, but '%s' is of another",
			    g->word);
	if (is_v4)
		*a = v4;
	else if (bt_addr_is_v4(a))
		return fail(g, "'%s' is an IPv4 address in IPv6's clothes; write it as 10.0.0.5",
			    g->word);
	*bits = (uint8_t)(is_v4 ? own + 96 : own);
	for (unsigned i = *bits; i < 128; i++)
		a->b[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
	g->r.family = is_v4 ? BT_V4 : BT_V6;
	g->family = true;
	return true;
}

static bool read_ports(struct reading *g, const char *what, uint16_t *lo, uint16_t *hi)
{
	bool given = next(g);
	const char *end = g->word + strlen(g->word), *dash = g->word + strcspn(g->word, "-:");
	unsigned a = 0, b = 0;

	if (!given || *lo != 0 || !number(g->word, dash, 65535, &a) ||
	    (*dash != '\0' && !number(dash + 1, end, 65535, &b)) || a == 0 ||
	    (*dash != '\0' && b < a))
		return fail(g,
			    "after '%s' comes a port of 1 to 65535 or a range, once, as 80 or "
			    "8000-8010, not '%s'",
			    what, g->word);
	*lo = (uint16_t)a;
	*hi = (uint16_t)(*dash != '\0' ? b : a);
	return true;
}

static bool read_states(struct reading *g)
{
	bool given = next(g), good = given && g->r.states == 0;
	char list[TOKEN], *rest = list, *word;

	memcpy(list, g->word, sizeof(list));
	while (good && (word = strsep(&rest, ",")) != NULL) {
		unsigned i = 0;

		while (i < COUNT(states) && strcmp(word, states[i]) != 0)
			i++;
		good = i < COUNT(states);
		if (good)
			g->r.states |= (uint8_t)(1u << i);
	}
	return good || fail(g,
			    "after 'state' comes new, established, related or invalid, or some of "
			    "them with "
			    "commas, once, not '%s'",
			    g->word);
}

static bool read_with(struct reading *g)
{
	if (!next(g) || g->with || strcmp(g->word, "tcp-reset") != 0)
		return fail(g, "after 'with' comes tcp-reset, once, not '%s'", g->word);
	g->with = true;
	return true;
}

static bool read_word(struct reading *g)
{
	struct bt_rule *r = &g->r;

	for (unsigned i = 0; i < COUNT(dirs); i++)
		if (strcmp(g->word, dirs[i]) == 0) {
			if (g->dir)
				return fail(g, "'%s' is a second direction", g->word);
			g->dir = true;
			r->dir = (uint8_t)i;
			return true;
		}
	for (unsigned i = 0; i < COUNT(protos); i++)
		if (strcmp(g->word, protos[i].name) == 0) {
			if (r->proto != 0)
				return fail(g, "'%s' is a second protocol", g->word);
			r->proto = protos[i].proto;
			return true;
		}
	if (strcmp(g->word, "from") == 0)
		return read_prefix(g, "from", &r->src, &r->src_bits);
	if (strcmp(g->word, "to") == 0)
		return read_prefix(g, "to", &r->dst, &r->dst_bits);
	if (strcmp(g->word, "sport") == 0)
		return read_ports(g, "sport", &r->sport_lo, &r->sport_hi);
	if (strcmp(g->word, "dport") == 0)
		return read_ports(g, "dport", &r->dport_lo, &r->dport_hi);
	if (strcmp(g->word, "state") == 0)
		return read_states(g);
	if (strcmp(g->word, "with") == 0)
		return read_with(g);
	return fail(g, "'%s' is no word of a rule; accepted are " ACCEPTED, g->word);
}

bool bt_rule_read(const char *text, struct bt_rule *r, char error[BT_RULE_TEXT])
{
	struct reading g = {.at = text, .error = error};
	enum bt_filter_action action = BT_FILTER_ACCEPT;

	if (!next(&g) || !bt_rule_action_read(g.word, &action))
		return fail(&g,
			    "a rule begins with accept, drop or reject, not '%s'; as: drop in tcp "
			    "dport 80",
			    g.word);
	while (next(&g))
		if (!read_word(&g))
			return false;
	if (g.with && action != BT_FILTER_REJECT)
		return fail(&g, "'with tcp-reset' goes with reject, not with %s", actions[action]);
	if (g.with && g.r.proto != 6)
		return fail(
			&g,
			"'with tcp-reset' needs tcp, as: reject in tcp dport 80 with tcp-reset");
	if (g.r.proto == BT_FILTER_ICMP && (g.r.sport_lo != 0 || g.r.dport_lo != 0))
		return fail(&g, "ICMP has no ports; a rule with sport or dport is for tcp or udp");
	g.r.action = (uint8_t)(g.with ? BT_FILTER_RESET : action);
	*r = g.r;
	return true;
}

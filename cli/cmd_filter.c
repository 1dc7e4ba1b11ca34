/* SPDX-License-Identifier: Apache-2.0 */
/* berth filter: which packets a host lets in and out. */
#include "cli.h"
#include "filter.h"
#include "out.h"
#include "rows.h"
#include "rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USED_AS                                                                                    \
	"berth filter add HOST RULE..., insert HOST N RULE..., remove HOST N|RULE..., policy "     \
	"HOST "                                                                                    \
	"in|out accept|drop|reject, clear HOST, or list [HOST]"

struct verb {
	const char *name;
	int least, most; /* words with the verb itself; -1: any number */
	int (*run)(struct bt_client *c, const struct bt_args *args, const char *network);
};

/* ---- what changes it ---- */

static int change(struct bt_client *c, const struct bt_args *args, const char *network,
		  const struct bt_filter_change *what)
{
	struct bt_req q = {.type = BT_FILTER, .extra = sizeof(*what)};
	struct bt_rep rep = {.err = 0};
	const char *host = args->rest[1];
	if (!bt_find_host(c->table, host, network, &q.value))
		return BT_EXIT_USAGE;
	int err = bt_client_call(c, &q, what, &rep, NULL, NULL);
	int e = err != 0 ? -err : rep.err;
	if (e == ENOENT && what->what == BT_FILTER_REMOVE && what->at == UINT32_MAX)
		bt_say("host '%s' has no such rule; 'berth filter list %s' shows what it has", host,
		       host);
	else if (e == ENOENT)
		bt_say("host '%s' has no rule %u; 'berth filter list %s' shows what it has", host,
		       what->at + 1, host);
	else if (e == ENOSPC)
		bt_say("host '%s' has %u rules already, which is the most", host, BT_FILTER_RULES);
	else if (e != 0)
		bt_say("berthd could not change the filter: %s", strerror(e));
	else if (rep.value > 0)
		bt_say("%u connection%s of host '%s' %s open already without packets, unseen by "
		       "the "
		       "filter; new ones are filtered",
		       rep.value, rep.value == 1 ? "" : "s", host, rep.value == 1 ? "is" : "are");
	return e == 0 ? BT_EXIT_OK : BT_EXIT_FAIL;
}

/* The rule that the words from `from` on are. False after saying what is wrong. */
static bool read_rule(const struct bt_args *args, int from, struct bt_filter_change *what)
{
	char text[1024] = "", error[BT_RULE_TEXT];
	struct bt_rule rule;
	size_t n = 0;
	for (int i = from; i < args->n_rest; i++) {
		size_t len = strlen(args->rest[i]);
		if (len + 2 > sizeof(text) - n) {
			bt_say("more words than a rule can have");
			return false;
		}
		memcpy(text + n, args->rest[i], len);
		n += len;
		text[n++] = ' ';
	}
	text[n] = '\0';
	if (!bt_rule_read(text, &rule, error)) {
		bt_say("%s", error);
		return false;
	}
	memcpy(what->rule, &rule, sizeof(rule));
	return true;
}

/* 1 to BT_FILTER_RULES; false: no number at all. */
static bool read_number(const char *word, uint32_t *n)
{
	char *end;
	unsigned long v = strtoul(word, &end, 10);
	*n = v > BT_FILTER_RULES ? BT_FILTER_RULES + 1 : (uint32_t)v;
	return *word >= '0' && *word <= '9' && *end == '\0';
}

static bool in_range(const char *word, uint32_t n)
{
	if (n >= 1 && n <= BT_FILTER_RULES)
		return true;
	bt_say("'%s' is not the number of a rule, 1 to %u", word, BT_FILTER_RULES);
	return false;
}

static int add(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct bt_filter_change what = {.what = BT_FILTER_ADD, .at = UINT32_MAX};
	return read_rule(args, 2, &what) ? change(c, args, network, &what) : BT_EXIT_USAGE;
}

static int insert(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct bt_filter_change what = {.what = BT_FILTER_ADD};
	uint32_t n = 0;
	read_number(args->rest[2], &n);
	if (!in_range(args->rest[2], n) || !read_rule(args, 3, &what))
		return BT_EXIT_USAGE;
	what.at = n - 1;
	return change(c, args, network, &what);
}

static int take_away(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct bt_filter_change what = {.what = BT_FILTER_REMOVE, .at = UINT32_MAX};
	uint32_t n;
	if (args->n_rest == 3 && read_number(args->rest[2], &n)) {
		if (!in_range(args->rest[2], n))
			return BT_EXIT_USAGE;
		what.at = n - 1;
	} else if (!read_rule(args, 2, &what)) {
		return BT_EXIT_USAGE;
	}
	return change(c, args, network, &what);
}

static int policy(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct bt_filter_change what = {.what = BT_FILTER_SET_POLICY};
	enum bt_filter_action action;
	bool out = strcmp(args->rest[2], "out") == 0;
	if (!out && strcmp(args->rest[2], "in") != 0) {
		bt_say("'%s' is neither in nor out; as: berth filter policy web in drop",
		       args->rest[2]);
		return BT_EXIT_USAGE;
	}
	if (!bt_rule_action_read(args->rest[3], &action)) {
		bt_say("a policy is accept, drop or reject, not '%s'", args->rest[3]);
		return BT_EXIT_USAGE;
	}
	what.dir = out ? BT_FILTER_OUT : BT_FILTER_IN;
	what.action = (uint8_t)action;
	return change(c, args, network, &what);
}

static int clear(struct bt_client *c, const struct bt_args *args, const char *network)
{
	const struct bt_filter_change what = {.what = BT_FILTER_CLEAR};
	return change(c, args, network, &what);
}

/* ---- what it is ---- */

static const struct bt_col columns[] = {
	{.head = "Host", .key = "host"},
	{.head = "Rule", .key = "number", .right = true, .before = ' '},
	{.head = "What", .key = "rule", .before = ' '},
	{.head = "Packets", .key = "packets", .right = true, .before = ' '},
	{.head = "Bytes", .key = "bytes", .right = true, .before = ' '},
	{.head = "Direct", .key = "direct", .right = true, .before = ' '},
	{.key = "action"},
	{.key = "with"},
	{.key = "direction"},
	{.key = "protocol"},
	{.key = "source"},
	{.key = "destination"},
	{.key = "source_ports"},
	{.key = "destination_ports"},
	{.key = "state"},
	{.key = "policy"},
};

static void put(struct bt_out *o, const char *host, const struct bt_rule *r, uint32_t number,
		const struct bt_filter_counts *counts)
{
	char text[BT_RULE_TEXT];
	bt_rule_write(r, text);
	bt_out_record(o);
	bt_out_str(o, host);
	bt_out_named(o, number, number == 0 ? "policy" : NULL);
	bt_out_str(o, text);
	bt_out_num(o, counts->pkts);
	bt_out_num(o, counts->bytes);
	bt_out_num(o, counts->direct);
	bt_out_str(o, bt_rule_action((enum bt_filter_action)r->action));
	bt_out_str(o, r->action == BT_FILTER_RESET    ? "tcp-reset"
		      : r->action == BT_FILTER_REJECT ? "icmp"
						      : "");
	bt_out_str(o, bt_rule_dir((enum bt_filter_dir)r->dir));
	bt_out_str(o, bt_rule_proto(r->proto));
	bt_rule_prefix(&r->src, r->src_bits, text);
	bt_out_str(o, text);
	bt_rule_prefix(&r->dst, r->dst_bits, text);
	bt_out_str(o, text);
	bt_rule_ports(r->sport_lo, r->sport_hi, text);
	bt_out_str(o, text);
	bt_rule_ports(r->dport_lo, r->dport_hi, text);
	bt_out_str(o, text);
	bt_rule_states(r->states, text);
	bt_out_str(o, text);
	bt_out_num(o, number == 0);
	bt_out_record_end(o);
}

static void put_host(struct bt_out *o, const struct bt_table *t, uint32_t host, bool also_empty)
{
	static struct bt_filter f;
	char name[BT_HOST_NAME];
	if (!bt_filter_read(t, host, &f))
		return;
	if (!also_empty && f.n == 0 && f.policy[0] == BT_FILTER_ACCEPT &&
	    f.policy[1] == BT_FILTER_ACCEPT)
		return;
	bt_host_name(t, host, name);
	for (uint32_t i = 0; i < f.n; i++)
		put(o, name, &f.rules[i], i + 1, &f.counts[i]);
	for (uint8_t dir = 0; dir < 2; dir++) {
		const struct bt_rule r = {.action = f.policy[dir], .dir = dir};
		put(o, name, &r, 0, &f.policy_counts[dir]);
	}
}

static int list(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct bt_out o;
	uint32_t host = 0, n = atomic_load(&c->table->n_hosts);
	bool one = args->n_rest > 1;
	if (one && !bt_find_host(c->table, args->rest[1], network, &host))
		return BT_EXIT_USAGE;
	bt_out_begin(&o, bt_args_has(args, BT_OPT_JSON), true, columns,
		     sizeof(columns) / sizeof(columns[0]), network, "rules");
	for (uint32_t i = one ? host : 0; i < (one ? host + 1 : n) && i < BT_MAX_HOSTS; i++)
		put_host(&o, c->table, i, one);
	bt_out_end(&o);
	return BT_EXIT_OK;
}

static const struct verb verbs[] = {
	{"add", 3, -1, add},	  {"insert", 4, -1, insert}, {"remove", 3, -1, take_away},
	{"policy", 4, 4, policy}, {"clear", 2, 2, clear},    {"list", 1, 2, list},
};

int bt_cmd_filter(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	const struct verb *v = NULL;
	struct bt_client c;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && args->n_rest > 0; i++)
		if (strcmp(args->rest[0], verbs[i].name) == 0 && args->n_rest >= verbs[i].least &&
		    (verbs[i].most < 0 || args->n_rest <= verbs[i].most))
			v = &verbs[i];
	if (v == NULL) {
		bt_say("it is used as: " USED_AS);
		return BT_EXIT_USAGE;
	}
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status = v->run(&c, args, network);
	bt_client_close(&c);
	return status;
}

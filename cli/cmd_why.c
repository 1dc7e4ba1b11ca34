/* SPDX-License-Identifier: Apache-2.0 */
/* berth why: the last refused calls and their reasons; or, before trying, whether a bind would do.
 */
#include "cli.h"
#include "endpoint.h"
#include "holders.h"
#include "join.h"
#include "out.h"
#include "reason.h"
#include "rows.h"

#include "../lib/port/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LAST = 10, SENTENCE = 512 };

struct wish {
	const char *host, *program; /* NULL: any */
	long last;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what was refused ---- */

static bool wanted(const struct wish *w, const struct bt_refusal *r, const char *host)
{
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", r->of.pid);
	if (w->host != NULL && strcmp(w->host, host) != 0)
		return false;
	return w->program == NULL || strcmp(w->program, pid) == 0 ||
	       strncmp(w->program, r->of.program, sizeof(r->of.program)) == 0;
}

/* Who had the port before: the listener that was closed on it last. */
static void past_owner(const struct bt_table *t, const struct bt_refusal *r, char *buf, size_t size)
{
	uint64_t last = atomic_load(&t->n_events);
	uint32_t host = r->of.host; /* of loopback, and where nobody has the address */
	struct bt_event e;
	bt_host_of(t, r->of.raddr, &host);
	for (uint64_t n = last; n > 0 && last - n < BT_EVENTS; n--) {
		if (!bt_event_read(t, n, &e) || e.kind != BT_EVENT_CLOSE ||
		    e.of.state != BT_ROW_LISTEN || e.of.lport != r->of.rport || e.of.host != host ||
		    e.realtime_ns > r->realtime_ns)
			continue;
		snprintf(buf, size, "%.*s (pid %d) listened on port %u until %lu s before",
			 (int)sizeof(e.of.program), e.of.program[0] ? e.of.program : "a program",
			 e.of.pid, e.of.lport,
			 (unsigned long)((r->realtime_ns - e.realtime_ns) / 1000000000u));
		return;
	}
}

static const struct bt_col columns[] = {
	{.head = "When", .key = "when"},
	{.head = "Host", .key = "host", .before = ' '},
	{.head = "Program", .key = "program", .before = ' '},
	{.head = "Call", .key = "call", .before = ' '},
	{.head = "Said", .key = "error", .before = ' '},
	{.key = "reason"},
	{.key = "rule"},
	{.key = "in_the_way"},
	{.key = "before"},
	{.key = "frees_in_s"},
	{.key = "help"},
	{.key = "errno"},
	{.key = "pid"},
	{.key = "realtime_ns"},
};

struct told {
	char when[32], host[BT_HOST_NAME], program[40], call[2 * BT_END_TEXT];
	char rule[SENTENCE], by[SENTENCE], before[SENTENCE], help[SENTENCE];
	uint64_t left_s;
};

static void tell(const struct bt_table *t, const struct bt_refusal *r, struct told *d)
{
	char at[BT_END_TEXT];
	uint64_t age = (now_ns(CLOCK_REALTIME) - r->realtime_ns) / 1000000000u,
		 now = now_ns(CLOCK_MONOTONIC);
	bool connects =
		r->call == BT_CONNECT || r->call == BT_UDP_CONNECT || r->call == BT_UDP_ROUTE;
	bt_host_name(t, r->of.host, d->host);
	snprintf(d->when, sizeof(d->when), "%lu s ago", (unsigned long)age);
	snprintf(d->program, sizeof(d->program), "%.*s (%d)", (int)sizeof(r->of.program),
		 r->of.program[0] ? r->of.program : "?", r->of.pid);
	bt_end_text(connects ? r->of.raddr : r->of.laddr, connects ? r->of.rport : r->of.lport,
		    r->of.family, at);
	snprintf(d->call, sizeof(d->call), "%s %s%s", bt_call_name(r->call),
		 r->of.proto == BT_PROTO_UDP ? "udp " : "", at);
	d->left_s = r->frees_ns > now ? (r->frees_ns - now) / 1000000000u + 1 : 0;
	bt_reason_rule(t, r, d->rule, sizeof(d->rule));
	bt_reason_help(r, d->left_s, d->help, sizeof(d->help));
	*d->by = '\0';
	if (r->by.slot != BT_SLOT_NONE)
		bt_event_end_words(&r->by, d->by, sizeof(d->by));
	*d->before = '\0';
	if (r->by.slot == BT_SLOT_NONE && r->err == ECONNREFUSED && r->why != BT_WHY_FILTERED)
		past_owner(t, r, d->before, sizeof(d->before));
}

static void put(struct bt_out *o, const struct bt_refusal *r, const struct told *d)
{
	bt_out_record(o);
	bt_out_str(o, d->when);
	bt_out_str(o, d->host);
	bt_out_str(o, d->program);
	bt_out_str(o, d->call);
	bt_out_str(o, strerror(r->err));
	bt_out_str(o, bt_reason_word(r->why, r->err));
	bt_out_str(o, d->rule);
	bt_out_str(o, d->by);
	bt_out_str(o, d->before);
	bt_out_num(o, d->left_s);
	bt_out_str(o, d->help);
	bt_out_num(o, (uint64_t)r->err);
	bt_out_num(o, (uint64_t)(uint32_t)r->of.pid);
	bt_out_num(o, r->realtime_ns);
	bt_out_record_end(o);
}

/* For people: a paragraph each. */
static void say(const struct bt_refusal *r, const struct told *d)
{
	printf("%s on %s, %s: %s: %s\n", d->when, d->host, d->program, d->call, strerror(r->err));
	printf("  why   %s\n", d->rule);
	if (*d->by != '\0')
		printf("  who   %s\n", d->by);
	if (*d->before != '\0')
		printf("  past  %s\n", d->before);
	if (d->left_s > 0)
		printf("  frees in %lu s\n", (unsigned long)d->left_s);
	if (*d->help != '\0')
		printf("  help  %s\n", d->help);
}

static void refusals(const struct bt_table *t, const struct wish *w, bool json, const char *network)
{
	uint64_t last = atomic_load(&t->n_refusals), first = last;
	struct bt_refusal r;
	struct bt_out out;
	struct told d;
	long found = 0;
	for (; first > 0 && last - first < BT_REFUSALS && found < w->last; first--) {
		char host[BT_HOST_NAME];
		if (!bt_refusal_read(t, first, &r))
			break;
		bt_host_name(t, r.of.host, host);
		found += wanted(w, &r, host);
	}
	if (json)
		bt_out_begin(&out, true, false, columns, sizeof(columns) / sizeof(columns[0]),
			     network, "refusals");
	for (uint64_t n = first + 1; n <= last; n++) {
		char host[BT_HOST_NAME];
		if (!bt_refusal_read(t, n, &r))
			continue;
		bt_host_name(t, r.of.host, host);
		if (!wanted(w, &r, host))
			continue;
		tell(t, &r, &d);
		if (json)
			put(&out, &r, &d);
		else
			say(&r, &d);
	}
	if (json)
		bt_out_end(&out);
	else if (found == 0)
		printf("no call was refused%s%s%s%s\n", w->host ? " on " : "",
		       w->host ? w->host : "", w->program ? " to " : "",
		       w->program ? w->program : "");
}

/* ---- what would be refused ---- */

static int try_bind(struct bt_client *c, const struct bt_endpoint *e, bool udp, uint16_t opts,
		    struct bt_refusal_why *why)
{
	bool v6 = !bt_is_v4(e->addr) && memcmp(e->addr, (uint8_t[16]){0}, 16) != 0;
	struct bt_req q = {.type = BT_MAY_BIND,
			   .flags = BT_REQF_ROOT,
			   .proto = udp ? BT_PROTO_UDP : BT_PROTO_TCP,
			   .family = v6 ? 6 : 4,
			   .opts = opts,
			   .port = e->port,
			   .value = e->host};
	struct bt_rep rep;
	size_t got = sizeof(*why);
	memcpy(q.addr, e->addr, 16);
	if (!v6 && !bt_is_v4(e->addr))
		q.addr[10] = q.addr[11] = 0xff;
	int err = bt_client_call(c, &q, NULL, &rep, why, &got);
	if (err != 0)
		return err;
	return got == sizeof(*why) ? rep.err : rep.err == 0 ? -EPROTO : -rep.err;
}

/* What a bind would meet. */
struct verdict {
	char at[BT_END_TEXT], host[BT_HOST_NAME];
	bool udp;
	int err;		/* 0: it would be done */
	struct bt_refusal told; /* what bt_reason_rule looks at; call: also of what is free */
	char rule[SENTENCE], by[SENTENCE];
	char help[3][SENTENCE]; /* "": none */
	uint64_t left_s;
};

static void judge(struct bt_client *c, const struct bt_endpoint *e,
		  const struct bt_refusal_why *met, struct verdict *v)
{
	static const struct {
		uint16_t opts;
		const char *name;
	} cures[] = {{BT_REUSEADDR, "SO_REUSEADDR"}, {BT_REUSEPORT, "SO_REUSEPORT"}};
	struct bt_refusal_why why;
	struct bt_row row;
	unsigned n = 0;
	v->told = (struct bt_refusal){.call = met->call, .err = v->err, .why = met->why};
	v->left_s = met->frees_in_ns == 0 ? 0 : met->frees_in_ns / 1000000000u + 1;
	if (met->slot != BT_SLOT_NONE && bt_row_read(c->table, met->slot, &row))
		v->told.by.opts = row.opts;
	bt_reason_rule(c->table, &v->told, v->rule, sizeof(v->rule));
	if (met->slot != BT_SLOT_NONE)
		bt_socket_words(c->table, met->slot, v->by, sizeof(v->by));
	for (size_t i = 0; v->told.why != BT_WHY_IN_USE_TIME_WAIT && i < 2; i++)
		if (try_bind(c, e, v->udp, cures[i].opts, &why) == 0)
			snprintf(v->help[n++], SENTENCE, "it works with %s, set before bind",
				 cures[i].name);
	bt_reason_help(&v->told, v->left_s, v->help[n], SENTENCE);
}

static void say_verdict(const struct verdict *v)
{
	const char *proto = v->udp ? "udp" : "tcp";
	if (v->err == 0) {
		printf("yes: %s %s is free on %s\n", proto, v->at, v->host);
		return;
	}
	printf("no: %s of %s %s on %s says '%s'\n", bt_call_name(v->told.call), proto, v->at,
	       v->host, strerror(v->err));
	printf("  why   %s\n", v->rule);
	if (*v->by != '\0')
		printf("  who   %s\n", v->by);
	if (v->left_s > 0)
		printf("  frees in %lu s\n", (unsigned long)v->left_s);
	for (unsigned i = 0; i < 3; i++)
		if (*v->help[i] != '\0')
			printf("  help  %s\n", v->help[i]);
}

static void json_verdict(const struct verdict *v, uint16_t port)
{
	static const struct bt_col cols[] = {
		{.key = "host"},   {.key = "proto"}, {.key = "local"},	    {.key = "port"},
		{.key = "free"},   {.key = "call"},  {.key = "errno"},	    {.key = "error"},
		{.key = "reason"}, {.key = "rule"},  {.key = "in_the_way"}, {.key = "frees_in_s"},
		{.key = "help"},
	};
	bool no = v->err != 0;
	struct bt_out o;
	bt_out_line(&o, cols, sizeof(cols) / sizeof(cols[0]));
	bt_out_str(&o, v->host);
	bt_out_str(&o, v->udp ? "udp" : "tcp");
	bt_out_str(&o, v->at);
	bt_out_num(&o, port);
	bt_out_bool(&o, !no);
	bt_out_str(&o, no ? bt_call_name(v->told.call) : "");
	bt_out_num(&o, (uint64_t)v->err);
	bt_out_str(&o, no ? strerror(v->err) : "");
	bt_out_str(&o, no ? bt_reason_word(v->told.why, v->err) : "");
	bt_out_str(&o, v->rule);
	bt_out_str(&o, v->by);
	bt_out_num(&o, v->left_s);
	bt_out_list(&o);
	for (unsigned i = 0; i < 3; i++)
		if (*v->help[i] != '\0')
			bt_out_item(&o, v->help[i]);
	bt_out_list_end(&o, false);
	bt_out_line_end(&o);
}

static int before_trying(struct bt_client *c, const struct bt_endpoint *e, bool udp, bool json)
{
	struct verdict v = {.udp = udp};
	struct bt_refusal_why met;
	v.err = try_bind(c, e, udp, 0, &met);
	if (v.err < 0) {
		bt_say("berthd did not tell: %s", strerror(-v.err));
		return BT_EXIT_FAIL;
	}
	bt_host_name(c->table, e->host, v.host);
	bt_end_text(e->addr, e->port, memcmp(e->addr, (uint8_t[16]){0}, 16) == 0 ? 4 : 0, v.at);
	if (v.err > 0)
		judge(c, e, &met, &v);
	if (json)
		json_verdict(&v, e->port);
	else
		say_verdict(&v);
	return v.err == 0 ? BT_EXIT_OK : BT_EXIT_NO;
}

int bt_cmd_why(const struct bt_args *args)
{
	const char *network = bt_args_network(args), *last = bt_args_value(args, 'n');
	const char *word = args->n_rest > 0 ? args->rest[args->n_rest - 1] : NULL;
	struct wish w = {.program = bt_args_value(args, BT_OPT_PROGRAM), .last = LAST};
	bool udp = args->n_rest == 2 && strcmp(args->rest[0], "udp") == 0;
	struct bt_endpoint e;
	struct bt_client c;
	uint32_t host;
	char *end;
	if (last != NULL) {
		w.last = strtol(last, &end, 10);
		if (*last == '\0' || *end != '\0' || w.last < 1 || w.last > (long)BT_REFUSALS) {
			bt_say("-n takes a number from 1 to %u, not '%s'", BT_REFUSALS, last);
			return BT_EXIT_USAGE;
		}
	}
	if (args->n_rest == 2 && !udp && strcmp(args->rest[0], "tcp") != 0) {
		bt_say("'%s' is neither tcp nor udp; as: berth why tcp web:80", args->rest[0]);
		return BT_EXIT_USAGE;
	}
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status = BT_EXIT_OK;
	if (word != NULL && strchr(word, ':') != NULL) {
		if (!bt_endpoint_parse(c.table, word, udp, &e)) {
			status = BT_EXIT_USAGE;
		} else if (!e.has_host || e.port == 0) {
			bt_say("'%s' has no host of the network or no port; write it as web:80 or "
			       "192.168.1.100:80",
			       word);
			status = BT_EXIT_USAGE;
		} else {
			if (e.named) /* a host's port is that of all its addresses */
				memset(e.addr, 0, sizeof(e.addr));
			status = before_trying(&c, &e, udp, bt_args_has(args, BT_OPT_JSON));
		}
	} else if (word != NULL && !bt_find_host(c.table, word, network, &host)) {
		status = BT_EXIT_USAGE;
	} else {
		w.host = word;
		refusals(c.table, &w, bt_args_has(args, BT_OPT_JSON), network);
	}
	bt_client_close(&c);
	return status;
}

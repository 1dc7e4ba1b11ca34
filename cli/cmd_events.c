/* SPDX-License-Identifier: Apache-2.0 */
/* berth events: what happens to sockets, a line of JSON each, until the network ends. */
#include "cli.h"
#include "endpoint.h"
#include "join.h"
#include "out.h"
#include "reason.h"
#include "rows.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 50 };

static volatile sig_atomic_t ended;

static void on_end(int sig)
{
	(void)sig;
	ended = 1;
}

/* The rest of a line: what both kinds say of a socket. */
static void end_of(const struct bt_table *t, const struct bt_event_end *e, struct bt_out *o)
{
	char host[BT_HOST_NAME], program[17] = "", local[BT_END_TEXT], peer[BT_END_TEXT] = "";
	bt_host_name(t, e->host, host);
	memcpy(program, e->program, sizeof(e->program));
	bt_end_text(e->laddr, e->lport, e->family, local);
	if (e->rport != 0)
		bt_end_text(e->raddr, e->rport, e->family, peer);
	bt_out_str(o, e->proto == BT_PROTO_UDP ? "udp" : "tcp");
	bt_out_str(o, host);
	bt_out_str(o, local);
	bt_out_str(o, peer);
	bt_out_str(o, program);
	bt_out_num(o, (uint64_t)(uint32_t)e->pid);
}

static const struct bt_col event_cols[] = {
	{.key = "event"}, {.key = "realtime_ns"}, {.key = "proto"},   {.key = "host"},
	{.key = "local"}, {.key = "peer"},	  {.key = "program"}, {.key = "pid"},
};
static const struct bt_col refusal_cols[] = {
	{.key = "event"}, {.key = "realtime_ns"}, {.key = "proto"},   {.key = "host"},
	{.key = "local"}, {.key = "peer"},	  {.key = "program"}, {.key = "pid"},
	{.key = "call"},  {.key = "errno"},	  {.key = "error"},   {.key = "reason"},
	{.key = "rule"},  {.key = "in_the_way"},
};

static void put_event(const struct bt_table *t, const struct bt_event *e)
{
	static const char *const kinds[] = {[BT_EVENT_BIND] = "bind",
					    [BT_EVENT_LISTEN] = "listen",
					    [BT_EVENT_CONNECT] = "connect",
					    [BT_EVENT_ACCEPT] = "accept",
					    [BT_EVENT_CLOSE] = "close"};
	struct bt_out o;
	bool known = e->kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[e->kind] != NULL;
	bt_out_line(&o, event_cols, sizeof(event_cols) / sizeof(event_cols[0]));
	bt_out_str(&o, known ? kinds[e->kind] : "other");
	bt_out_num(&o, e->realtime_ns);
	end_of(t, &e->of, &o);
	bt_out_line_end(&o);
}

static void put_refusal(const struct bt_table *t, const struct bt_refusal *r)
{
	char rule[512], by[256] = "";
	struct bt_out o;
	bt_reason_rule(t, r, rule, sizeof(rule));
	if (r->by.slot != BT_SLOT_NONE)
		bt_event_end_words(&r->by, by, sizeof(by));
	bt_out_line(&o, refusal_cols, sizeof(refusal_cols) / sizeof(refusal_cols[0]));
	bt_out_str(&o, "refused");
	bt_out_num(&o, r->realtime_ns);
	end_of(t, &r->of, &o);
	bt_out_str(&o, bt_call_name(r->call));
	bt_out_num(&o, (uint64_t)r->err);
	bt_out_str(&o, strerror(r->err));
	bt_out_str(&o, bt_reason_word(r->why, r->err));
	bt_out_str(&o, rule);
	bt_out_str(&o, by);
	bt_out_line_end(&o);
}

static void put_missed(uint64_t n)
{
	static const struct bt_col cols[] = {{.key = "event"}, {.key = "count"}};
	struct bt_out o;
	bt_out_line(&o, cols, 2);
	bt_out_str(&o, "missed");
	bt_out_num(&o, n);
	bt_out_line_end(&o);
}

struct place {
	uint64_t event, refusal; /* the last ones that were printed */
};

/* Prints what has come since, both rings in the order of time. */
static void catch_up(const struct bt_table *t, struct place *at)
{
	uint64_t last_event = atomic_load(&t->n_events), last_refusal = atomic_load(&t->n_refusals);
	uint64_t missed = 0;
	struct bt_event e;
	struct bt_refusal r;
	bool have_e = false, have_r = false;
	if (last_event - at->event > BT_EVENTS) {
		missed += last_event - BT_EVENTS - at->event;
		at->event = last_event - BT_EVENTS;
	}
	if (last_refusal - at->refusal > BT_REFUSALS) {
		missed += last_refusal - BT_REFUSALS - at->refusal;
		at->refusal = last_refusal - BT_REFUSALS;
	}
	for (;;) {
		while (!have_e && at->event < last_event) {
			have_e = bt_event_read(t, ++at->event, &e);
			missed += !have_e;
		}
		while (!have_r && at->refusal < last_refusal) {
			have_r = bt_refusal_read(t, ++at->refusal, &r);
			missed += !have_r;
		}
		if (missed > 0)
			put_missed(missed);
		missed = 0;
		if (!have_e && !have_r)
			break;
		if (have_e && (!have_r || e.realtime_ns <= r.realtime_ns)) {
			put_event(t, &e);
			have_e = false;
		} else {
			put_refusal(t, &r);
			have_r = false;
		}
	}
	fflush(stdout);
}

int bt_cmd_events(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	struct sigaction act = {.sa_handler = on_end};
	struct bt_client c;
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	struct place at = {atomic_load(&c.table->n_events), atomic_load(&c.table->n_refusals)};
	struct pollfd p = {.fd = c.fd, .events = POLLIN};
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	bool past = bt_args_has(args, BT_OPT_PAST), once = bt_args_has(args, BT_OPT_ONCE);
	if (past || once) {
		at.event = at.event > BT_EVENTS ? at.event - BT_EVENTS : 0;
		at.refusal = at.refusal > BT_REFUSALS ? at.refusal - BT_REFUSALS : 0;
	}
	do
		catch_up(c.table, &at);
	while (!once && !ended && !ferror(stdout) && poll(&p, 1, LOOK_MS) == 0);
	catch_up(c.table, &at);
	bt_client_close(&c);
	return ferror(stdout) ? BT_EXIT_FAIL : BT_EXIT_OK;
}

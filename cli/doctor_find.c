/* SPDX-License-Identifier: Apache-2.0 */
/* What the counts mean: findings, and which cure helps against each. */
#include "addr.h"
#include "doctor.h"
#include "join.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS_MAX = 256 };

struct owners {
	struct bt_holders holders;
	bool walked;
};

uint32_t bt_percent(uint64_t n, uint64_t of)
{
	return of ? (uint32_t)(n * 100 / of) : n ? 100 : 0;
}

double bt_flow_growth(const struct bt_health *h, const struct bt_flow *f)
{
	return h->two && f->n > f->before ? (f->n - f->before) / h->elapsed_s : 0;
}

void bt_flow_text(const struct bt_flow *f, char *text, size_t size)
{
	char from[BT_ADDR_TEXT], to[BT_ADDR_TEXT];
	bool v6 = !bt_is_v4(f->raddr);
	if (f->proto == BT_PROTO_UDP) {
		snprintf(text, size, "UDP to anywhere");
		return;
	}
	bt_addr_text(f->laddr, from);
	bt_addr_text(f->raddr, to);
	snprintf(text, size, v6 ? "%s -> [%s]:%u" : "%s -> %s:%u", from, to, f->rport);
}

/* The program that holds an inode, else its maker; 0: not known. */
static int owner(const struct owners *o, uint32_t ino, int32_t pid, char name[BT_COMM])
{
	const struct bt_holder *p = o->walked ? bt_holders_of(&o->holders, ino) : NULL;
	name[0] = '\0';
	if (p) {
		memcpy(name, o->holders.programs[p->program].name, BT_COMM);
		return o->holders.programs[p->program].pid;
	}
	return pid > 0 && bt_program_name(pid, name) ? pid : 0;
}

/* ---- findings ---- */

__attribute__((format(printf, 4, 5))) static struct bt_finding *
add(struct bt_health *h, enum bt_severity severity, const char *kind, const char *fmt, ...)
{
	va_list ap;
	if (severity > h->verdict)
		h->verdict = severity;
	if (h->n_findings == BT_FINDINGS_MAX) {
		h->findings_left++;
		return NULL;
	}
	struct bt_finding *f = &h->findings[h->n_findings++];
	*f = (struct bt_finding){.severity = severity, .kind = kind};
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return f;
}

__attribute__((format(printf, 3, 4))) static void cure(struct bt_finding *f, const char *id,
						       const char *fmt, ...)
{
	va_list ap;
	if (f->n_cures == BT_CURES_MAX)
		return;
	struct bt_cure *c = &f->cures[f->n_cures++];
	c->id = id;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* A setting's command, by a cure of its own. */
static void cure_sysctl(const struct bt_health *h, struct bt_finding *f, const char *id,
			const char *name, const char *value, const char *why)
{
	bool other = h->network && strcmp(h->network, "default") != 0;
	if (!h->network)
		cure(f, id, "sysctl -w %s='%s'  (%s)", name, value, why);
	else
		cure(f, id, "berth sysctl%s%s %s %s='%s'  (%s)", other ? " --network " : "",
		     other ? h->network : "", h->host, name, value, why);
}

static enum bt_severity grade(uint32_t percent, const struct bt_limits *l)
{
	return percent >= l->critical ? BT_CRITICAL : percent >= l->warn ? BT_WARNING : BT_NOTE;
}

static void cure_range(const struct bt_health *h, struct bt_finding *f)
{
	const struct bt_count *c = &h->now;
	if (c->hi - c->lo < 65535 - 1024)
		cure_sysctl(h, f, "wider_range", "net.ipv4.ip_local_port_range", "1024 65535",
			    "64512 ports; reserve those of services first");
}

static void find_flow(struct bt_health *h, const struct bt_top *top, const struct bt_limits *l)
{
	const struct bt_flow *flow = top->flow;
	uint32_t capacity = bt_count_capacity(&h->now), full = bt_percent(flow->n, capacity);
	enum bt_severity severity = grade(full, l);
	char name[160];
	if (severity == BT_NOTE)
		return;
	bt_flow_text(flow, name, sizeof(name));
	struct bt_finding *f =
		add(h, severity, "ephemeral_ports",
		    "%s has %u of %u ephemeral ports in use (%u %%), %u of them in TIME_WAIT", name,
		    flow->n, capacity, full, flow->time_wait);
	if (!f)
		return;
	f->value = flow->n;
	f->limit = capacity;
	f->pid = top->pid;
	memcpy(f->program, top->program, BT_COMM);
	cure_range(h, f);
	if (flow->proto == BT_PROTO_UDP) {
		cure(f, "pool", "send from one socket instead of a new one for each request");
		return;
	}
	if (flow->time_wait > flow->n / 4) {
		/* 2, the default, is for loopback only (ip-sysctl.rst). */
		if (h->now.tw_reuse != 1)
			cure_sysctl(h, f, "tw_reuse", "net.ipv4.tcp_tw_reuse", "1",
				    "connect takes over a TIME_WAIT older than a second");
		cure(f, "reuseaddr",
		     "in a program that binds before connect: SO_REUSEADDR before bind, so that it "
		     "may take a port in TIME_WAIT");
		cure(f, "server_closes", "let the server close first: TIME_WAIT is then its own");
	}
	cure(f, "pool", "keep connections and use them again: a connection pool, HTTP keep-alive");
	cure(f, "destinations",
	     "more destination addresses or ports, or more source addresses: each pair has %u "
	     "ports",
	     capacity);
}

static void find_bound(struct bt_health *h, const struct owners *o, const struct bt_limits *l)
{
	uint32_t n = bt_count_bound(&h->now), capacity = bt_count_capacity(&h->now);
	enum bt_severity severity = grade(bt_percent(n, capacity), l);
	if (severity == BT_NOTE)
		return;
	struct bt_finding *f = add(
		h, severity, "bind_before_connect",
		"%u of %u ephemeral ports (%u %%) are held by bind before connect; each is lost "
		"for every destination",
		n, capacity, bt_percent(n, capacity));
	if (!f)
		return;
	f->value = n;
	f->limit = capacity;
	f->pid = owner(o, h->now.bound_ino, h->now.bound_pid, f->program);
	if (!f->pid && h->n_top) {
		f->pid = h->top[0].pid;
		memcpy(f->program, h->top[0].program, BT_COMM);
	}
	cure(f, "bind_no_port",
	     "set IP_BIND_ADDRESS_NO_PORT before bind to an address and port 0: connect then "
	     "chooses, for its destination only");
	cure(f, "no_bind", "leave bind out where the source address does not matter");
	cure_range(h, f);
}

static void find_queue(struct bt_health *h, const struct owners *o, const struct bt_seen *s,
		       const struct bt_limits *l)
{
	uint32_t full = bt_percent(s->rqueue, s->backlog);
	enum bt_severity severity = s->rqueue ? grade(full, l) : BT_NOTE;
	char at[BT_ADDR_TEXT];
	if (s->rqueue >= s->backlog && s->rqueue)
		severity = BT_CRITICAL;
	if (severity == BT_NOTE && s->drops)
		severity = BT_WARNING;
	if (severity == BT_NOTE)
		return;
	bt_addr_text(s->laddr, at);
	struct bt_finding *f = add(
		h, severity, "accept_queue",
		"the listener at %s port %u has %u connections waiting in a queue of %u; %u were "
		"refused so far",
		at, s->lport, s->rqueue, s->backlog, s->drops);
	if (!f)
		return;
	f->value = s->rqueue;
	f->limit = s->backlog;
	f->pid = owner(o, s->ino, s->pid, f->program);
	cure(f, "accept", "let %s accept faster: more threads or processes that accept",
	     f->pid ? f->program : "the program");
	cure(f, "backlog", "a larger backlog in its listen()");
	if (s->backlog >= h->now.somaxconn)
		cure_sysctl(h, f, "somaxconn", "net.core.somaxconn", "65535",
			    "which bounds the backlog; then listen anew");
}

static void find_overflow(struct bt_health *h)
{
	uint64_t now = h->now.listen_overflows, n = now - h->overflows_before;
	if (!h->two || now <= h->overflows_before)
		return;
	struct bt_finding *f = add(h, BT_CRITICAL, "accept_overflow",
				   "accept queues overflowed %lu times in the last %.1f s",
				   (unsigned long)n, h->elapsed_s);
	if (!f)
		return;
	f->value = n;
	cure(f, "accept",
	     "let the listener's program accept faster, or listen with a larger "
	     "backlog (net.core.somaxconn bounds it)");
}

/* ---- listeners in the range ---- */

static bool exposed(const struct bt_count *c, const struct bt_seen *s)
{
	return s->lport >= c->lo && s->lport <= c->hi && !bt_port_in(c->reserved, s->lport);
}

/* The reserved ports with one more, as the setting has them; empty: too many to print. */
static void reserved_with(const struct bt_count *c, uint16_t port, char *text, size_t size)
{
	size_t at = 0;
	for (uint32_t first = 0; first < 65536; first++) {
		uint32_t last = first;
		if (first != port && !bt_port_in(c->reserved, (uint16_t)first))
			continue;
		while (last < 65535 &&
		       (last + 1 == port || bt_port_in(c->reserved, (uint16_t)(last + 1))))
			last++;
		int n = snprintf(text + at, size - at, last > first ? "%s%u-%u" : "%s%u",
				 at ? "," : "", first, last);
		if (n < 0 || (size_t)n >= size - at) {
			text[0] = '\0';
			return;
		}
		at += (size_t)n;
		first = last;
	}
}

static void find_exposed(struct bt_health *h, const struct owners *o, const struct bt_seen *s)
{
	char list[120];
	struct bt_finding *f = add(h, BT_WARNING, "listener_in_range",
				   "the listener's port %u is an ephemeral one (%u-%u): when the "
				   "program restarts, a connection may have taken it",
				   s->lport, h->now.lo, h->now.hi);
	if (!f)
		return;
	f->value = s->lport;
	f->pid = owner(o, s->ino, s->pid, f->program);
	reserved_with(&h->now, s->lport, list, sizeof(list));
	if (*list)
		cure_sysctl(h, f, "reserve", "net.ipv4.ip_local_reserved_ports", list,
			    "no connection takes it then");
	else
		cure(f, "reserve", "add port %u to net.ipv4.ip_local_reserved_ports", s->lport);
}

static void find_listeners(struct bt_health *h, const struct owners *o, const struct bt_limits *l)
{
	uint64_t *told = calloc(1024, sizeof(*told));
	for (size_t i = 0; i < h->now.n_listeners; i++)
		find_queue(h, o, &h->now.listeners[i], l);
	for (size_t i = 0; told && i < h->now.n_listeners; i++) {
		const struct bt_seen *s = &h->now.listeners[i];
		/* Once for both families, and for all that share the port. */
		if (!exposed(&h->now, s) || bt_port_in(told, s->lport))
			continue;
		told[s->lport / 64] |= 1ull << (s->lport % 64);
		find_exposed(h, o, s);
	}
	free(told);
}

/* ---- CLOSE_WAIT ---- */

struct leak {
	int pid;
	char name[BT_COMM];
	uint64_t n;
	int64_t oldest_s;
};

static void add_leak(struct bt_health *h, const struct leak *k)
{
	char age[80] = "";
	bool made = strcmp(h->now.age, "made") == 0;
	if (k->oldest_s >= 0)
		snprintf(age, sizeof(age),
			 made ? "; the oldest connection is %lld s old"
			      : "; the peer of one was last heard of %lld s ago",
			 (long long)k->oldest_s);
	struct bt_finding *f = add(
		h, BT_WARNING, "close_wait",
		"%s has %lu sockets in CLOSE_WAIT: the peer has closed, the program has not%s",
		k->pid ? k->name : "a program that may not be looked at", (unsigned long)k->n, age);
	if (!f)
		return;
	f->value = k->n;
	f->pid = k->pid;
	memcpy(f->program, k->name, BT_COMM);
	cure(f, "close", "fix %s: close() a connection when read() returns 0",
	     k->pid ? k->name : "the program");
}

static void find_leaks(struct bt_health *h, const struct owners *o, const struct bt_limits *l)
{
	struct leak *list = calloc(PROGRAMS_MAX, sizeof(*list));
	unsigned n = 0;
	for (size_t i = 0; list && i < h->now.n_waits; i++) {
		const struct bt_seen *s = &h->now.waits[i];
		char name[BT_COMM];
		int pid = owner(o, s->ino, s->pid, name);
		unsigned k = 0;
		while (k < n && list[k].pid != pid)
			k++;
		if (k == PROGRAMS_MAX)
			continue;
		if (k == n) {
			list[n] = (struct leak){.pid = pid, .oldest_s = -1};
			memcpy(list[n++].name, name, BT_COMM);
		}
		list[k].n++;
		list[k].oldest_s = s->age_s > list[k].oldest_s ? s->age_s : list[k].oldest_s;
	}
	for (unsigned k = 0; k < n; k++) {
		if (list[k].n >= l->close_wait)
			add_leak(h, &list[k]);
	}
	free(list);
}

/* ---- owners ---- */

/* The walk through /proc is most of the time, so nothing is asked that is not reported. */
static void want(struct owners *o, const struct bt_health *h, const struct bt_limits *l)
{
	const struct bt_count *c = &h->now;
	uint32_t capacity = bt_count_capacity(c);
	bool bound = grade(bt_percent(bt_count_bound(c), capacity), l) != BT_NOTE;
	for (unsigned i = 0; i < h->n_top; i++) {
		const struct bt_flow *f = h->top[i].flow;
		if (grade(bt_percent(f->n, capacity), l) != BT_NOTE || (bound && i == 0))
			bt_holders_want(&o->holders, f->ino);
	}
	if (bound)
		bt_holders_want(&o->holders, c->bound_ino);
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct bt_seen *s = &c->listeners[i];
		if (exposed(c, s) || s->drops ||
		    (s->rqueue && bt_percent(s->rqueue, s->backlog) >= l->warn))
			bt_holders_want(&o->holders, s->ino);
	}
	for (size_t i = 0; c->n_waits >= l->close_wait && i < c->n_waits; i++)
		bt_holders_want(&o->holders, c->waits[i].ino);
}

static int by_severity(const void *a, const void *b)
{
	const struct bt_finding *x = a, *y = b;
	return (int)y->severity - (int)x->severity;
}

static void find(struct bt_health *h, const struct owners *o, const struct bt_limits *l)
{
	uint32_t capacity = bt_count_capacity(&h->now);
	for (unsigned i = 0; i < h->n_top; i++) {
		struct bt_top *t = &h->top[i];
		if (grade(bt_percent(t->flow->n, capacity), l) != BT_NOTE || i == 0)
			t->pid = owner(o, t->flow->ino, t->flow->pid, t->program);
		find_flow(h, t, l);
	}
	find_bound(h, o, l);
	find_overflow(h);
	find_leaks(h, o, l);
	find_listeners(h, o, l);
	qsort(h->findings, h->n_findings, sizeof(h->findings[0]), by_severity);
}

void bt_doctor_find(struct bt_health *list, unsigned n, const struct bt_limits *limits)
{
	struct owners o = {.walked = false};
	size_t most = 0;
	for (unsigned i = 0; i < n; i++) {
		struct bt_health *h = &list[i];
		const struct bt_flow *best[BT_SHOWN_MAX];
		h->n_top = bt_count_fullest(&h->now, best, BT_SHOWN_MAX);
		for (unsigned k = 0; k < h->n_top; k++)
			h->top[k].flow = best[k];
		most += h->now.n_waits + h->now.n_listeners + BT_SHOWN_MAX + 1;
	}
	bt_holders_init(&o.holders, (uint32_t)most);
	for (unsigned i = 0; i < n; i++)
		want(&o, &list[i], limits);
	if ((o.walked = o.holders.n_wanted > 0))
		bt_holders_walk(&o.holders);
	for (unsigned i = 0; i < n; i++)
		find(&list[i], &o, limits);
	bt_holders_done(&o.holders);
}

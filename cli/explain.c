/* SPDX-License-Identifier: Apache-2.0 */
#include "explain.h"

#include "addr.h"
#include "holders.h"
#include "join.h"
#include "reason.h"
#include "rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCE = BT_STEP_TEXT };

struct answer {
	const struct bt_question *q;
	const struct bt_table *t;
	struct bt_explained e;
	struct bt_explanation *steps;
};

/* One step: what is looked at, what came of it, and the socket that it is about. */
__attribute__((format(printf, 5, 6))) static void step(struct answer *a, const char *what,
						       const char *verdict,
						       const struct bt_candidate *c,
						       const char *fmt, ...)
{
	struct bt_explanation *x = a->steps;
	struct bt_row r = {.pid = 0};
	va_list args;
	if (x->n == x->room)
		x->list = bt_grow(x->list, &x->room, sizeof(*x->list));
	struct bt_step *s = &x->list[x->n++];
	va_start(args, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, args);
	va_end(args);
	if (c != NULL && !bt_row_read(a->t, c->slot, &r))
		r = (struct bt_row){.pid = 0};
	s->what = what;
	s->verdict = verdict;
	s->slot = c == NULL ? BT_SLOT_NONE : c->slot;
	s->pid = c == NULL ? 0 : r.pid;
	s->score = c == NULL || c->score < 0 ? 0 : (uint32_t)c->score;
}

/* ---- the route ---- */

static void host_words(const struct answer *a, uint32_t host, const uint8_t addr[16], char *buf,
		       size_t size)
{
	char name[BT_HOST_NAME], text[BT_ADDR_TEXT];
	struct bt_host_row row;
	unsigned dev = 0;
	bt_host_name(a->t, host, name);
	bt_addr_text(addr, text);
	for (uint16_t i = 0; bt_host_read(a->t, host, &row) && i < row.n_addrs; i++)
		if (memcmp(row.addrs[i].addr, addr, 16) == 0)
			dev = row.addrs[i].dev;
	if (dev > 1)
		snprintf(buf, size, "host %s, eth%u (%s)", name, dev - 2, text);
	else
		snprintf(buf, size, "host %s, %s", name, dev == 1 ? "lo" : text);
}

/* False: there is none, and that is said. */
static bool route(struct answer *a)
{
	char from[160], to[160], text[BT_ADDR_TEXT], name[BT_HOST_NAME];
	const struct bt_explained *e = &a->e;
	bt_addr_text(e->dst, text);
	bt_host_name(a->t, a->q->from.host, name);
	if (e->route == 1) {
		step(a, "route", "lost", NULL,
		     "the interface does not lead to %s: it is lost, and nobody says so", text);
		return false;
	}
	if (e->route < 0) {
		const char *why = e->route == -EHOSTUNREACH
					  ? "lies in a network of the host's, but no host has it"
				  : e->route == -ENETUNREACH
					  ? "is in no network that the host knows"
				  : e->route == -EACCES ? "is a broadcast address"
							: "cannot be reached from that address";
		step(a, "route", "unreachable", NULL, "%s %s; host %s is told: %s", text, why, name,
		     strerror(-e->route));
		return false;
	}
	host_words(a, a->q->from.host, e->src, from, sizeof(from));
	host_words(a, e->to, e->dst, to, sizeof(to));
	step(a, "from", "found", NULL, "%s%s", from,
	     a->q->from_given ? "" : ", since no sender was given");
	step(a, "route", "found", NULL, "%s", to);
	if (a->q->from.host != e->to)
		step(a, "link", e->packets ? "packets" : "direct", NULL, "%s",
		     e->packets == BT_PACKETS_FILTER
			     ? "does nothing, but a filter may, so there are packets"
		     : e->packets
			     ? "does something to packets ('berth link show'), so there are packets"
			     : "does nothing, so the bytes go straight from program to program");
	return true;
}

/* ---- who gets it ---- */

static const char *score_words(const struct bt_row *r, int32_t score)
{
	if (score < 0)
		return "";
	return bt_addr_is_any(r->laddr) ? "any address" : "exactly this address";
}

static const char *not_for_this(const struct answer *a, const struct bt_row *r)
{
	if (!a->q->udp && r->state != BT_ROW_LISTEN)
		return r->state == BT_ROW_CLOSE ? "bound, but listen() was not called"
						: "not a listener";
	if (r->dev != 0 && r->dev != a->e.dev)
		return "bound to another interface";
	if (!bt_addr_is_any(r->laddr))
		return "bound to another address";
	return bt_is_v4(a->e.dst) ? "IPv6 only" : "IPv4 only";
}

static void candidates(struct answer *a)
{
	const struct bt_explained *e = &a->e;
	char words[SENTENCE / 2], alike[32] = "";
	for (uint32_t i = 0; i < e->n && i < BT_CANDIDATES; i++) {
		const struct bt_candidate *c = &e->candidates[i];
		struct bt_row r;
		bt_socket_words(a->t, c->slot, words, sizeof(words));
		if (*words == '\0' || !bt_row_read(a->t, c->slot, &r))
			continue;
		if (c->count > 1)
			snprintf(alike, sizeof(alike), " (and %u alike)", c->count - 1);
		else
			*alike = '\0';
		if (c->score < 0)
			step(a, "candidate", "no", c, "%s%s: no, %s", words, alike,
			     not_for_this(a, &r));
		else
			step(a, "candidate", "yes", c, "%s%s: matches %s, score %d%s", words, alike,
			     score_words(&r, c->score), c->score,
			     c->group ? ", shares with others by SO_REUSEPORT" : "");
	}
	if (e->more > 0)
		step(a, "candidate", "more", NULL, "and %u more on this port", e->more);
}

/* How near a socket is to what was asked for: lower is nearer, UINT32_MAX: it does not serve. */
static uint32_t distance(const struct answer *a, const struct bt_row *r)
{
	bool serves = r->state == BT_ROW_LISTEN ||
		      (r->proto == BT_PROTO_UDP && r->state == BT_ROW_CLOSE && bt_row_port(r) != 0);
	bool same = (r->proto == BT_PROTO_UDP) == a->q->udp;
	uint32_t apart = bt_row_port(r) > a->q->to.port
				 ? (uint32_t)(bt_row_port(r) - a->q->to.port)
				 : (uint32_t)(a->q->to.port - bt_row_port(r));
	if (!serves || r->host != a->e.to || !bt_row_listed(r) || (!same && apart > 0))
		return UINT32_MAX;
	return apart * 2 + !same;
}

static void nearest(struct answer *a)
{
	uint32_t least = UINT32_MAX, end = bt_rows_end(a->t);
	struct bt_candidate c = {.slot = BT_SLOT_NONE, .score = -1};
	char words[SENTENCE / 2], host[BT_HOST_NAME];
	struct bt_row r;
	bt_host_name(a->t, a->e.to, host);
	for (uint32_t slot = 0; slot < end && a->e.n == 0; slot++) {
		uint32_t d = bt_row_read(a->t, slot, &r) ? distance(a, &r) : UINT32_MAX;
		if (d < least) {
			least = d;
			c.slot = slot;
		}
	}
	if (c.slot == BT_SLOT_NONE)
		return;
	bt_socket_words(a->t, c.slot, words, sizeof(words));
	if (*words != '\0')
		step(a, "nearest", "no", &c, "on host %s: %s%s", host, words,
		     least % 2 == 1 ? a->q->udp ? " (TCP)" : " (UDP)" : "");
}

static bool verdict(struct answer *a)
{
	const struct bt_explained *e = &a->e;
	struct bt_candidate c = {.slot = e->slot, .count = 1, .score = 0};
	char words[SENTENCE / 2], to[BT_END_TEXT];
	unsigned group = 0;
	bt_end_text(e->dst, a->q->to.port, 0, to);
	if (e->slot == BT_SLOT_NONE) {
		step(a, "answer", "refused", NULL,
		     a->q->udp ? "nobody receives on %s: the datagram is dropped, and a connected "
				 "sender is told 'Connection refused'"
			       : "nobody listens on %s: connect says 'Connection refused'",
		     to);
		nearest(a);
		return false;
	}
	bt_socket_words(a->t, e->slot, words, sizeof(words));
	for (uint32_t i = 0; i < e->n && i < BT_CANDIDATES; i++)
		group += e->candidates[i].group ? e->candidates[i].count : 0;
	if (e->connected)
		step(a, "answer", "connection", &c, "the connection with this 5-tuple: %s", words);
	else if (group > 1)
		step(a, "answer", "delivered", &c,
		     "%s: one of %u that share the port, by the hash of the 4-tuple%s", words,
		     group, a->q->from.port == 0 ? " (another source port, another one)" : "");
	else
		step(a, "answer", "delivered", &c, "%s", words);
	return true;
}

/* ---- what goes to several ---- */

/* True: somebody gets a copy. */
static bool copies(struct answer *a)
{
	const struct bt_explained *e = &a->e;
	char from[160], to[BT_END_TEXT], words[SENTENCE / 2];
	const struct bt_candidate *first = NULL;
	uint32_t count = e->more;
	bt_end_text(e->dst, a->q->to.port, 0, to);
	host_words(a, a->q->from.host, e->src, from, sizeof(from));
	step(a, "from", "found", NULL, "%s%s", from,
	     a->q->from_given ? "" : ", since no sender was given");
	step(a, "route", "found", NULL,
	     "%s goes to all hosts, with a copy for each socket there that hears it", to);
	for (uint32_t i = 0; i < e->n && i < BT_CANDIDATES; i++) {
		const struct bt_candidate *c = &e->candidates[i];
		bt_socket_words(a->t, c->slot, words, sizeof(words));
		if (*words == '\0')
			continue;
		step(a, "candidate", c->score < 0 ? "no" : "yes", c, "%s%s", words,
		     c->score < 0 ? ": no, a packet filter is in the way"
		     : c->group	  ? ": a copy, in packets"
				  : ": a copy");
		first = first == NULL && c->score >= 0 ? c : first;
		count += c->score >= 0;
	}
	if (e->more > 0)
		step(a, "candidate", "more", NULL, "and %u more", e->more);
	if (count == 0)
		step(a, "answer", "lost", NULL,
		     "nobody hears %s: the datagram is dropped, and nobody says so", to);
	else
		step(a, "answer", "delivered", first, "%u socket%s a copy", count,
		     count == 1 ? " gets" : "s get");
	return count > 0;
}

/* ---- the packet filters ---- */

static void filtered(struct answer *a)
{
	const struct bt_filtered *f = &a->e.filtered;
	char by[SENTENCE - 80];
	bt_filtered_words(a->t, f, by, sizeof(by));
	if (f->as == BT_FILTERED_REFUSED)
		step(a, "answer", "refused", NULL,
		     a->q->udp ? "%s; a connected sender is told 'Connection refused'"
			       : "%s; connect says 'Connection refused'",
		     by);
	else if (f->as == BT_FILTERED_DENIED)
		step(a, "answer", "denied", NULL, "%s; the sender is told '%s'", by,
		     strerror(EPERM));
	else
		step(a, "answer", "lost", NULL,
		     a->q->udp ? "%s; nobody says so"
			       : "%s; nobody says so, and connect waits until it times out",
		     by);
}

/* ---- the question ---- */

/* 0 or an errno. */
static int ask(struct bt_client *c, struct answer *a)
{
	uint8_t extra[18];
	const struct bt_question *q = a->q;
	struct bt_req req = {.type = BT_EXPLAIN,
			     .proto = q->udp ? BT_PROTO_UDP : BT_PROTO_TCP,
			     .port = q->to.port,
			     .value = q->from.host,
			     .extra = sizeof(extra)};
	struct bt_rep rep;
	size_t got = sizeof(a->e);
	memcpy(req.addr, q->to.addr, 16);
	memset(extra, 0, sizeof(extra));
	if (!q->from.named)
		memcpy(extra, q->from.addr, 16);
	memcpy(extra + 16, &q->from.port, 2);
	int err = bt_client_call(c, &req, extra, &rep, &a->e, &got);
	if (err == 0 && rep.err == 0 && got != sizeof(a->e))
		return EPROTO;
	return err != 0 ? -err : rep.err;
}

void bt_explain_any_sender(const struct bt_table *t, struct bt_question *q)
{
	struct bt_host_row row;
	q->from.has_host = q->from.named = true;
	q->from.host = q->to.has_host ? q->to.host : 0;
	for (uint32_t i = 0; q->to.has_host && i < atomic_load(&t->n_hosts) && i < BT_MAX_HOSTS;
	     i++)
		if (i != q->to.host && bt_host_read(t, i, &row) && row.n_addrs > 2) {
			q->from.host = i;
			return;
		}
}

/* An address of the host that such a socket is reached at. */
static void some_address(const struct bt_table *t, const struct bt_row *r, uint8_t addr[16])
{
	struct bt_host_row h;
	bool found = false;
	memcpy(addr, r->laddr, 16);
	if (!bt_addr_is_any(r->laddr) || !bt_host_read(t, r->host, &h))
		return;
	/* The first two are loopback's: only where there is no other. */
	for (unsigned i = h.n_addrs; i-- > 0 && !(found && i < 2);) {
		if (i < BT_HOST_ADDRS && h.addrs[i].family == r->family) {
			memcpy(addr, h.addrs[i].addr, 16);
			found = true;
		}
	}
}

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t v6[16] = {[15] = 1};
	return (bt_is_v4(addr) && addr[12] == 127) || memcmp(addr, v6, 16) == 0;
}

bool bt_explain_socket(const struct bt_table *t, uint32_t slot, uint32_t gen, struct bt_question *q)
{
	struct bt_row r;
	if (!bt_row_read(t, slot, &r) || r.gen != gen || !bt_row_listed(&r) || bt_row_port(&r) == 0)
		return false;
	*q = (struct bt_question){
		.udp = r.proto == BT_PROTO_UDP,
		.to = {.has_host = true, .host = r.host, .port = bt_row_port(&r)}};
	some_address(t, &r, q->to.addr);
	if (r.rport != 0) {
		memcpy(q->from.addr, r.raddr, 16);
		q->from.port = r.rport;
		q->from.host = r.host; /* of loopback */
		q->from.has_host = is_loopback(r.raddr) || bt_host_of(t, r.raddr, &q->from.host);
		q->from_given = q->from.has_host;
	}
	if (!q->from_given) {
		memset(&q->from, 0, sizeof(q->from));
		bt_explain_any_sender(t, q);
	}
	return true;
}

int bt_explain(struct bt_client *c, const struct bt_question *q, struct bt_explanation *x)
{
	struct answer a = {.q = q, .t = c->table, .steps = x};
	*x = (struct bt_explanation){.n = 0};
	int err = ask(c, &a);
	if (err != 0)
		return err;
	if (a.e.many && a.e.route == 0) {
		x->delivered = copies(&a);
		return 0;
	}
	x->delivered = route(&a);
	if (x->delivered) {
		candidates(&a);
		x->delivered = a.e.filtered.as == BT_FILTERED_NOT && verdict(&a);
		if (a.e.filtered.as != BT_FILTERED_NOT)
			filtered(&a);
	}
	return 0;
}

void bt_explain_done(struct bt_explanation *x)
{
	free(x->list);
	*x = (struct bt_explanation){.n = 0};
}

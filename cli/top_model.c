/* SPDX-License-Identifier: Apache-2.0 */
#include "top.h"

#include "endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bt_top_key_names[BT_TOP_KEYS] = {"rate", "queue", "state",   "port",
						   "peer", "host",  "program", "retrans"};

/* ---- words ---- */

static bool holds(const char *text, const char *word, size_t n)
{
	for (; *text != '\0'; text++) {
		size_t i = 0;
		while (i < n && text[i] != '\0' &&
		       tolower((unsigned char)text[i]) == tolower((unsigned char)word[i]))
			i++;
		if (i == n)
			return true;
	}
	return false;
}

bool bt_top_matches(const struct bt_top_text *t, const char *words)
{
	const char *const cells[] = {t->host, t->proto, t->state, t->local, t->peer, t->program};
	while (*words != '\0') {
		size_t n = strcspn(words, " ");
		bool found = n == 0;
		for (size_t i = 0; !found && i < sizeof(cells) / sizeof(cells[0]); i++)
			found = holds(cells[i], words, n);
		if (!found)
			return false;
		words += n + (words[n] == ' ');
	}
	return true;
}

size_t bt_top_search(const struct bt_top_view *v, const struct bt_top_look *look, const char *words,
		     size_t from)
{
	struct bt_top_text t;
	for (size_t i = 0; i < v->n; i++) {
		size_t at = (from + i) % v->n;
		bt_top_text(&look->lines[v->shown[at]], &t);
		if (bt_top_matches(&t, words))
			return at;
	}
	return v->n;
}

/* ---- order ---- */

/* What qsort's comparison needs; the model has one thread. */
static const struct bt_top_view *sorting;
static const struct bt_top_line *lines;

static int by_number(double a, double b)
{
	return a > b ? -1 : a < b;
}

/* Listeners first, then what lives, then what waits for its end. */
static int state_rank(const struct bt_row *r)
{
	return r->state == BT_ROW_LISTEN	? 0
	       : r->state == BT_ROW_ESTABLISHED ? 1
	       : r->state == BT_ROW_TIME_WAIT	? 3
						: 2;
}

static int compare_by(enum bt_top_key key, const struct bt_top_line *a, const struct bt_top_line *b)
{
	const struct bt_row *x = &a->s.row, *y = &b->s.row;
	int r;
	switch (key) {
	case BT_TOP_RATE:
		r = by_number(a->counted ? a->rate : -1, b->counted ? b->rate : -1);
		return r != 0 ? r : state_rank(x) - state_rank(y);
	case BT_TOP_QUEUE:
		return by_number(a->s.recvq, b->s.recvq);
	case BT_TOP_STATE:
		r = state_rank(x) - state_rank(y);
		return r != 0 ? r : x->state - y->state;
	case BT_TOP_PORT:
		return bt_row_port(x) - bt_row_port(y);
	case BT_TOP_PEER:
		r = memcmp(x->raddr, y->raddr, 16);
		return r != 0 ? r : x->rport - y->rport;
	case BT_TOP_RETRANS:
		return by_number(a->retrans, b->retrans);
	case BT_TOP_HOST:
		return strcmp(a->host, b->host);
	case BT_TOP_PROGRAM:
		return strcmp(a->program, b->program);
	case BT_TOP_KEYS:
		break;
	}
	return 0;
}

static int compare(const void *p, const void *q)
{
	const struct bt_top_line *a = &lines[*(const uint32_t *)p],
				 *b = &lines[*(const uint32_t *)q];
	int r = compare_by(sorting->key, a, b);
	if (r == 0) /* the same order at each look */
		return a->s.slot < b->s.slot ? -1 : 1;
	return sorting->reverse ? -r : r;
}

static bool wanted(const struct bt_top_view *v, const struct bt_row *r)
{
	bool serves = r->state == BT_ROW_LISTEN || r->state == BT_ROW_CLOSE;
	return v->which == BT_TOP_BOTH || serves == (v->which == BT_TOP_LISTENERS);
}

void bt_top_arrange(struct bt_top_view *v, const struct bt_top_look *look)
{
	struct bt_top_text t;
	if (v->room < look->n) {
		uint32_t *more = realloc(v->shown, look->n * sizeof(*more));
		if (more == NULL)
			return;
		v->shown = more;
		v->room = look->n;
	}
	v->n = 0;
	for (uint32_t i = 0; i < look->n; i++) {
		if (!wanted(v, &look->lines[i].s.row))
			continue;
		if (v->filter[0] != '\0') {
			bt_top_text(&look->lines[i], &t);
			if (!bt_top_matches(&t, v->filter))
				continue;
		}
		v->shown[v->n++] = i;
	}
	sorting = v;
	lines = look->lines;
	if (v->n > 1)
		qsort(v->shown, v->n, sizeof(v->shown[0]), compare);
}

/* ---- figures ---- */

void bt_top_number(char text[16], double value)
{
	static const char units[] = " kMGTP";
	unsigned u = 0;
	while (value >= 999.5 && u + 2 < sizeof(units)) {
		value /= 1000;
		u++;
	}
	if (u == 0)
		snprintf(text, 16, "%.0f", value);
	else
		snprintf(text, 16, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[u]);
}

void bt_top_gauge(char *text, size_t width, uint32_t taken, uint32_t capacity)
{
	size_t in = width - 2;
	size_t full = capacity == 0 ? 0 : (size_t)((uint64_t)taken * in / capacity);
	text[0] = '[';
	for (size_t i = 0; i < in; i++)
		text[1 + i] = i < full ? '#' : i == full && taken > 0 && full < in ? '+' : '.';
	text[width - 1] = ']';
	text[width] = '\0';
}

/* ---- lines ---- */

void bt_top_text(const struct bt_top_line *l, struct bt_top_text *t)
{
	const struct bt_row *r = &l->s.row;
	*t = (struct bt_top_text){.host = l->host, .program = l->program};
	snprintf(t->proto, sizeof(t->proto), "%s", r->proto == BT_PROTO_TCP ? "tcp" : "udp");
	snprintf(t->state, sizeof(t->state), "%s", bt_state_word(r->proto, r->state));
	bt_end_text(r->laddr, bt_row_port(r), r->family, t->local);
	if (r->rport != 0)
		bt_end_text(r->raddr, r->rport, r->family, t->peer);
	bt_top_number(t->queue, l->s.recvq);
	if (l->counted)
		bt_top_number(t->rate, l->rate);
	else
		snprintf(t->rate, sizeof(t->rate), "-");
	if (r->proto == BT_PROTO_TCP && r->flags & BT_ROWF_WIRE)
		bt_top_number(t->retrans, l->retrans);
	else
		snprintf(t->retrans, sizeof(t->retrans), "-");
}

void bt_top_summary(char *text, size_t size, const char *network, const struct bt_top_look *look)
{
	uint32_t sockets = 0, listeners = 0, established = 0, time_wait = 0;
	for (unsigned i = 0; i < look->n_hosts; i++) {
		sockets += look->hosts[i].sockets;
		listeners += look->hosts[i].listeners;
		established += look->hosts[i].established;
		time_wait += look->hosts[i].time_wait;
	}
	snprintf(text, size,
		 "network %s: %u hosts, %u sockets, %u listen, %u established, %u in TIME_WAIT",
		 network, look->n_hosts, sockets, listeners, established, time_wait);
}

void bt_top_host_text(char *text, size_t size, const struct bt_top_host *h)
{
	char gauge[32];
	bt_top_gauge(gauge, 14, h->taken, h->capacity);
	snprintf(text, size, "%-10.10s ephemeral %s %5.1f %% of %-5u listen %-4u estab %u", h->name,
		 gauge, h->capacity == 0 ? 0 : 100.0 * h->taken / h->capacity, h->capacity,
		 h->listeners, h->established);
}

void bt_top_heading(char *text, size_t size, bool wide)
{
	snprintf(text, size, "%-8s %-8s %-3s %-9s %4s %4s %4s %-*s %s", "HOST", "PROGRAM", "",
		 "STATE", "QUEU", "B/s", "RETR", wide ? 22 : 6, "LOCAL", "PEER");
}

void bt_top_line_text(char *text, size_t size, const struct bt_top_line *l, bool wide)
{
	struct bt_top_text t;
	bt_top_text(l, &t);
	/* In 80 columns the host says the address. */
	const char *port = strrchr(t.local, ':');
	snprintf(text, size, "%-8.8s %-8.8s %-3s %-9.9s %4s %4s %4s %-*s %s", t.host, t.program,
		 t.proto, strcmp(t.state, "established") == 0 ? "estab" : t.state, t.queue, t.rate,
		 t.retrans, wide ? 22 : 6, wide || port == NULL ? t.local : port, t.peer);
}

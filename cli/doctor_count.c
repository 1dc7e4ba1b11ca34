/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts sockets for berth doctor: one look at each, no list of them.
 *
 * What bind(0) took is told by parity: Linux's connect tries ports that are as even as the range's
 * first one, and goes to the others only when these are taken (__inet_hash_connect, since 4.2);
 * bind(0) the other way round (inet_csk_find_open_port). So does berth (lib/port/choose.c).
 */
#include "doctor.h"
#include "join.h"

#include <stdlib.h>
#include <string.h>

bool bt_port_in(const uint64_t set[1024], uint16_t port)
{
	return set[port / 64] >> (port % 64) & 1;
}

static void add_port(uint64_t set[1024], uint32_t port)
{
	set[port / 64] |= 1ull << (port % 64);
}

/* A number up to 65535 at *p, which is left behind it; UINT32_MAX: none there. */
static uint32_t parse_port(const char **p)
{
	uint32_t v = 0;
	const char *s = *p;
	for (; *s >= '0' && *s <= '9' && v <= 65535; s++)
		v = v * 10 + (uint32_t)(*s - '0');
	bool ok = s != *p && v <= 65535;
	*p = s;
	return ok ? v : UINT32_MAX;
}

bool bt_ports_parse(const char *text, uint64_t set[1024])
{
	const char *p = text;
	memset(set, 0, 1024 * sizeof(*set));
	while (*p && *p != '\n') {
		uint32_t first = parse_port(&p), last = first;
		if (*p == '-') {
			p++;
			last = parse_port(&p);
		}
		if (first == UINT32_MAX || last == UINT32_MAX || (*p && *p != ',' && *p != '\n')) {
			memset(set, 0, 1024 * sizeof(*set));
			return false;
		}
		for (uint32_t port = first; port <= last; port++)
			add_port(set, port);
		p += *p == ',';
	}
	return true;
}

uint32_t bt_count_capacity(const struct bt_count *c)
{
	uint32_t n = 0;
	for (uint32_t port = c->lo; port <= c->hi; port++)
		n += !bt_port_in(c->reserved, (uint16_t)port);
	return n;
}

uint32_t bt_count_taken(const struct bt_count *c, bool udp)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < 1024; i++)
		n += (uint32_t)__builtin_popcountll(c->taken[udp][i]);
	return n;
}

/* ---- flows ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static uint32_t place_of(const struct bt_flow *f, uint32_t places)
{
	uint64_t w[4], h = mix(f->proto, f->rport);
	memcpy(w, f->laddr, 16);
	memcpy(w + 2, f->raddr, 16);
	for (unsigned i = 0; i < 4; i++)
		h = mix(h, w[i]);
	return (uint32_t)(h >> 32) & (places - 1);
}

static bool same(const struct bt_flow *a, const struct bt_flow *b)
{
	return a->rport == b->rport && a->proto == b->proto &&
	       memcmp(a->laddr, b->laddr, 16) == 0 && memcmp(a->raddr, b->raddr, 16) == 0;
}

/* Its place, or the free one where it belongs. */
static struct bt_flow *find(struct bt_flow *flows, uint32_t places, const struct bt_flow *like)
{
	uint32_t at = place_of(like, places);
	while (flows[at].proto && !same(&flows[at], like))
		at = (at + 1) & (places - 1);
	return &flows[at];
}

static bool grow(struct bt_count *c)
{
	uint32_t places = c->places ? c->places * 2 : 64;
	if (c->n_flows >= BT_FLOWS_MAX)
		return false;
	struct bt_flow *flows = calloc(places, sizeof(*flows));
	if (!flows)
		return false;
	for (uint32_t i = 0; i < c->places; i++) {
		if (c->flows[i].proto)
			*find(flows, places, &c->flows[i]) = c->flows[i];
	}
	free(c->flows);
	c->flows = flows;
	c->places = places;
	return true;
}

const struct bt_flow *bt_flow_of(const struct bt_count *c, const struct bt_flow *like)
{
	if (!c->places)
		return NULL;
	const struct bt_flow *f = find(c->flows, c->places, like);
	return f->proto ? f : NULL;
}

static void add_flow(struct bt_count *c, const struct bt_seen *s)
{
	struct bt_flow key = {.proto = s->proto};
	if (s->proto == BT_PROTO_TCP) {
		memcpy(key.laddr, s->laddr, 16);
		memcpy(key.raddr, s->raddr, 16);
		key.rport = s->rport;
	}
	if (c->n_flows >= c->places / 2 && !grow(c)) {
		if (!bt_flow_of(c, &key)) {
			c->unseen++;
			return;
		}
	}
	struct bt_flow *f = find(c->flows, c->places, &key);
	if (!f->proto) {
		*f = key;
		c->n_flows++;
	}
	f->n++;
	f->time_wait += s->proto == BT_PROTO_TCP && s->state == BT_ROW_TIME_WAIT;
	f->bound += s->proto == BT_PROTO_TCP && ((s->lport ^ c->lo) & 1);
	if (s->state != BT_ROW_TIME_WAIT) {
		f->ino = s->ino;
		f->pid = s->pid;
	}
}

/* ---- sockets ---- */

static void keep(struct bt_count *c, struct bt_seen **list, size_t *n, size_t *room,
		 const struct bt_seen *s)
{
	if (*n >= BT_DETAILS_MAX) {
		c->unseen++;
		return;
	}
	if (*n == *room)
		*list = bt_grow(*list, room, sizeof(**list));
	(*list)[(*n)++] = *s;
}

void bt_count_add(struct bt_count *c, const struct bt_seen *s)
{
	bool in_range =
		s->lport >= c->lo && s->lport <= c->hi && !bt_port_in(c->reserved, s->lport);
	if (in_range)
		add_port(c->taken[s->proto == BT_PROTO_UDP], s->lport);
	if (s->proto == BT_PROTO_UDP) {
		c->udp++;
		c->udp_states[s->state & 15]++;
		if (in_range)
			add_flow(c, s);
		return;
	}
	c->tcp++;
	c->states[s->state & 15]++;
	if (s->state == BT_ROW_LISTEN) {
		add_port(c->listening, s->lport);
		keep(c, &c->listeners, &c->n_listeners, &c->listener_room, s);
		return;
	}
	if (s->state == BT_ROW_CLOSE_WAIT)
		keep(c, &c->waits, &c->n_waits, &c->wait_room, s);
	/* The accepted end of a connection takes no port of the range. */
	if (!in_range || bt_port_in(c->listening, s->lport))
		return;
	if (s->state == BT_ROW_CLOSE) {
		c->bound_only++;
		c->bound_ino = s->ino;
		c->bound_pid = s->pid;
		return;
	}
	add_flow(c, s);
}

uint32_t bt_count_bound(const struct bt_count *c)
{
	uint32_t capacity = bt_count_capacity(c);
	uint64_t n = c->bound_only, all = n;
	for (uint32_t i = 0; i < c->places; i++) {
		const struct bt_flow *f = &c->flows[i];
		/* Once connect has few of its own half left, parity tells nothing. */
		if (f->proto == BT_PROTO_TCP &&
		    (uint64_t)(f->n - f->bound) * 20 < capacity * 9ull) {
			n += f->bound;
			all += f->n;
		}
	}
	/* bind has its own half, so it took of the other one, too. */
	if (n * 20 >= capacity * 9ull)
		n = all;
	return n < capacity ? (uint32_t)n : capacity;
}

unsigned bt_count_fullest(const struct bt_count *c, const struct bt_flow **best, unsigned n)
{
	unsigned got = 0;
	for (uint32_t i = 0; i < c->places; i++) {
		const struct bt_flow *f = &c->flows[i];
		if (!f->proto || (got == n && best[n - 1]->n >= f->n))
			continue;
		unsigned at = got < n ? got++ : n - 1;
		for (; at > 0 && best[at - 1]->n < f->n; at--)
			best[at] = best[at - 1];
		best[at] = f;
	}
	return got;
}

void bt_count_clear(struct bt_count *c)
{
	free(c->flows);
	free(c->listeners);
	free(c->waits);
	/* The sockets' part begins with tcp and goes to the end. */
	memset((char *)c + offsetof(struct bt_count, tcp), 0,
	       sizeof(*c) - offsetof(struct bt_count, tcp));
}

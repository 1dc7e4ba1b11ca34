/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, told one by one, become ranges, seats and connections. */
#include "map.h"

#include "doctor.h"
#include "join.h"

#include <stdlib.h>
#include <string.h>

static void set_bit(uint64_t set[1024], uint32_t port)
{
	set[port / 64] |= 1ull << (port % 64);
}

/* ---- what is told ---- */

struct bt_map_host *bt_map_host(struct bt_map *m, const char *name, uint16_t lo, uint16_t hi)
{
	if (m->n_hosts == m->host_room)
		m->hosts = bt_grow(m->hosts, &m->host_room, sizeof(*m->hosts));
	struct bt_map_host *h = &m->hosts[m->n_hosts++];
	memset(h, 0, sizeof(*h));
	memcpy(h->name, name, strnlen(name, sizeof(h->name) - 1));
	h->lo = lo;
	h->hi = hi;
	return h;
}

void bt_map_port(struct bt_map_host *h, uint16_t port, bool waits)
{
	h->sockets++;
	set_bit(h->used, port);
	if (!waits)
		set_bit(h->live, port);
}

void bt_map_program(struct bt_map_seat *s, const struct bt_program *p)
{
	for (unsigned i = 0; i < s->n_programs; i++) {
		if (s->programs[i].pid == p->pid)
			return;
	}
	if (s->n_programs < BT_MAP_PROGRAMS)
		s->programs[s->n_programs++] = *p;
	else
		s->more_programs++;
}

void bt_map_seat(struct bt_map_host *h, const struct bt_map_seat *seat)
{
	if (h->n_seats == h->seat_room)
		h->seats = bt_grow(h->seats, &h->seat_room, sizeof(*h->seats));
	h->seats[h->n_seats] = *seat;
	h->seats[h->n_seats].last = seat->first;
	h->seats[h->n_seats++].sockets = 1;
}

void bt_map_end(struct bt_map *m, const struct bt_map_end *end)
{
	if (m->n_ends == m->end_room)
		m->ends = bt_grow(m->ends, &m->end_room, sizeof(*m->ends));
	m->ends[m->n_ends++] = *end;
}

uint64_t bt_map_pair(const uint8_t a[16], uint16_t a_port, const uint8_t b[16], uint16_t b_port,
		     uint16_t host)
{
	int c = memcmp(a, b, 16);
	bool swap = c > 0 || (c == 0 && a_port > b_port);
	uint64_t w[5], h = 0;
	memcpy(w, swap ? b : a, 16);
	memcpy(w + 2, swap ? a : b, 16);
	w[4] = (uint64_t)(swap ? b_port : a_port) << 32 | (uint64_t)(swap ? a_port : b_port) << 16 |
	       host;
	for (unsigned i = 0; i < 5; i++) {
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return h;
}

/* ---- seats ---- */

static int compare_number(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

/* The same program at the same port; its addresses and processes are put together. */
static int compare_place(const struct bt_map_seat *a, const struct bt_map_seat *b)
{
	int c = compare_number(a->first, b->first);
	c = c ? c : compare_number(a->proto, b->proto);
	c = c ? c : compare_number(a->does, b->does);
	return c ? c : strcmp(a->programs[0].name, b->programs[0].name);
}

static int by_place(const void *pa, const void *pb)
{
	const struct bt_map_seat *a = pa, *b = pb;
	int c = compare_place(a, b);
	c = c ? c : memcmp(a->addrs[0], b->addrs[0], 16);
	return c ? c : compare_number((uint32_t)a->programs[0].pid, (uint32_t)b->programs[0].pid);
}

/* All but the port. */
static int compare_who(const struct bt_map_seat *a, const struct bt_map_seat *b)
{
	int c = compare_number(a->proto, b->proto);
	c = c ? c : compare_number(a->does, b->does);
	c = c ? c : compare_number(a->n_programs, b->n_programs);
	c = c ? c : compare_number(a->more_programs, b->more_programs);
	for (unsigned i = 0; !c && i < a->n_programs; i++) {
		c = compare_number((uint32_t)a->programs[i].pid, (uint32_t)b->programs[i].pid);
		c = c ? c : strcmp(a->programs[i].name, b->programs[i].name);
	}
	c = c ? c : compare_number(a->n_addrs, b->n_addrs);
	c = c ? c : compare_number(a->more_addrs, b->more_addrs);
	return c ? c : memcmp(a->addrs, b->addrs, sizeof(a->addrs));
}

static int by_who(const void *pa, const void *pb)
{
	const struct bt_map_seat *a = pa, *b = pb;
	int c = compare_who(a, b);
	return c ? c : compare_number(a->first, b->first);
}

static int by_port(const void *pa, const void *pb)
{
	const struct bt_map_seat *a = pa, *b = pb;
	int c = compare_number(a->first, b->first);
	c = c ? c : compare_number(a->proto, b->proto);
	return c ? c : by_who(a, b);
}

static void add_programs(struct bt_map_seat *to, const struct bt_map_seat *from)
{
	for (unsigned i = 0; i < from->n_programs; i++)
		bt_map_program(to, &from->programs[i]);
	to->more_programs = (uint16_t)(to->more_programs + from->more_programs);
}

/* They are sorted by address, so equal ones are neighbours. */
static void add_addrs(struct bt_map_seat *to, const uint8_t last[16],
		      const struct bt_map_seat *from)
{
	if (memcmp(last, from->addrs[0], 16) == 0)
		return;
	if (to->n_addrs < BT_MAP_ADDRS)
		memcpy(to->addrs[to->n_addrs++], from->addrs[0], 16);
	else
		to->more_addrs++;
}

static void finish_seats(struct bt_map_host *h)
{
	uint8_t last[16] = {0};
	size_t n = 0;
	if (h->n_seats == 0)
		return;
	qsort(h->seats, h->n_seats, sizeof(*h->seats), by_place);
	for (size_t i = 0; i < h->n_seats; i++) {
		const struct bt_map_seat s = h->seats[i];
		if (n && compare_place(&h->seats[n - 1], &s) == 0) {
			add_programs(&h->seats[n - 1], &s);
			add_addrs(&h->seats[n - 1], last, &s);
			h->seats[n - 1].sockets += s.sockets;
		} else {
			h->seats[n++] = s;
		}
		memcpy(last, s.addrs[0], 16);
	}
	qsort(h->seats, n, sizeof(*h->seats), by_who);
	h->n_seats = 0;
	for (size_t i = 0; i < n; i++) {
		const struct bt_map_seat s = h->seats[i];
		struct bt_map_seat *before = h->n_seats ? &h->seats[h->n_seats - 1] : NULL;
		if (before && before->last + 1 == s.first && compare_who(before, &s) == 0) {
			before->last = s.last;
			before->sockets += s.sockets;
		} else {
			h->seats[h->n_seats++] = s;
		}
	}
	qsort(h->seats, h->n_seats, sizeof(*h->seats), by_port);
}

/* ---- ranges ---- */

static enum bt_map_kind kind_of(const struct bt_map_host *h, uint32_t port)
{
	if (port >= h->lo && port <= h->hi)
		return BT_MAP_EPHEMERAL;
	return port < 1024 ? BT_MAP_WELL_KNOWN : port < 49152 ? BT_MAP_REGISTERED : BT_MAP_DYNAMIC;
}

static uint32_t count_used(const uint64_t set[1024], uint32_t first, uint32_t last)
{
	uint32_t n = 0;
	for (uint32_t port = first; port <= last; port++)
		n += bt_port_in(set, (uint16_t)port);
	return n;
}

static void finish_zones(struct bt_map_host *h)
{
	struct bt_map_zone *z = NULL;
	for (uint32_t port = 0; port < 65536; port++) {
		enum bt_map_kind kind = kind_of(h, port);
		if (!z || z->kind != kind) {
			z = &h->zones[h->n_zones++];
			*z = (struct bt_map_zone){.kind = kind, .first = (uint16_t)port};
		}
		z->last = (uint16_t)port;
		z->in_use += bt_port_in(h->used, (uint16_t)port);
	}
	for (uint32_t port = h->lo; port <= h->hi; port++) {
		bool used = bt_port_in(h->used, (uint16_t)port);
		if (bt_port_in(h->reserved, (uint16_t)port))
			continue;
		h->capacity++;
		h->in_use += used;
		h->time_wait += used && !bt_port_in(h->live, (uint16_t)port);
	}
}

uint32_t bt_map_cell(const struct bt_map_host *h, unsigned i, unsigned n, uint16_t *first,
		     uint16_t *last)
{
	uint32_t size = (uint32_t)(h->hi - h->lo) + 1;
	*first = (uint16_t)(h->lo + size * i / n);
	*last = (uint16_t)(h->lo + size * (i + 1) / n - 1);
	return count_used(h->used, *first, *last);
}

/* ---- connections ---- */

static int compare_way(const struct bt_map_end *a, const struct bt_map_end *b)
{
	int c = compare_number(a->from, b->from);
	c = c ? c : compare_number(a->to, b->to);
	c = c ? c : compare_number(a->proto, b->proto);
	return c ? c : compare_number(a->port, b->port);
}

/* Of one connection the client's end comes first. */
static int by_way(const void *pa, const void *pb)
{
	const struct bt_map_end *a = pa, *b = pb;
	int c = compare_way(a, b);
	c = c ? c : (a->pair > b->pair) - (a->pair < b->pair);
	return c ? c : a->server - b->server;
}

static int by_number(const void *pa, const void *pb)
{
	const struct bt_map_way *a = pa, *b = pb;
	int c = compare_number(b->n, a->n);
	c = c ? c : compare_number(a->from, b->from);
	c = c ? c : compare_number(a->to, b->to);
	c = c ? c : compare_number(a->proto, b->proto);
	return c ? c : compare_number(a->port, b->port);
}

static void add_to_seat(struct bt_map *m, const struct bt_map_way *w)
{
	struct bt_map_host *h = w->to == BT_MAP_OUTSIDE ? NULL : &m->hosts[w->to];
	for (size_t i = 0; h && w->proto == BT_PROTO_TCP && i < h->n_seats; i++) {
		struct bt_map_seat *s = &h->seats[i];
		if (s->proto == w->proto && s->does == BT_MAP_LISTENS && w->port >= s->first &&
		    w->port <= s->last) {
			s->connections += w->n;
			return;
		}
	}
}

static void finish_ways(struct bt_map *m)
{
	const struct bt_map_end *before = NULL;
	struct bt_map_way *w = NULL;
	if (m->n_ends)
		qsort(m->ends, m->n_ends, sizeof(*m->ends), by_way);
	for (const struct bt_map_end *e = m->ends; e < m->ends + m->n_ends; before = e++) {
		if (!before || compare_way(before, e) != 0) {
			if (m->n_ways == m->way_room)
				m->ways = bt_grow(m->ways, &m->way_room, sizeof(*m->ways));
			w = &m->ways[m->n_ways++];
			*w = (struct bt_map_way){e->from, e->to, e->port, e->proto, 0, 0, 0};
		} else if (before->pair == e->pair) {
			continue;
		}
		w->n++;
		w->established += e->state == BT_ROW_ESTABLISHED;
		w->time_wait += e->state == BT_ROW_TIME_WAIT;
	}
	for (size_t i = 0; i < m->n_ways; i++)
		add_to_seat(m, &m->ways[i]);
	if (m->n_ways)
		qsort(m->ways, m->n_ways, sizeof(*m->ways), by_number);
}

void bt_map_finish(struct bt_map *m)
{
	for (size_t i = 0; i < m->n_hosts; i++) {
		finish_seats(&m->hosts[i]);
		finish_zones(&m->hosts[i]);
	}
	finish_ways(m);
}

void bt_map_done(struct bt_map *m)
{
	for (size_t i = 0; i < m->n_hosts; i++)
		free(m->hosts[i].seats);
	free(m->hosts);
	free(m->ends);
	free(m->ways);
	*m = (struct bt_map){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a map the sockets of a network. */
#include "map.h"

#include "addr.h"
#include "doctor.h"
#include "rows.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Which host has an address; the table's hosts have 16 each at most. */
struct addr_of {
	uint8_t addr[16];
	uint16_t host;
};

struct reading {
	struct bt_client *c;
	const char *network;
	struct bt_map *m;
	uint16_t place[BT_MAX_HOSTS]; /* of the table's hosts, in m; BT_MAP_OUTSIDE: not there */
	const char *only;	      /* the one host of which all is told */
	uint16_t only_place;
	struct addr_of *addrs; /* sorted */
	size_t n_addrs, addr_room;
	struct bt_holders holders;
};

/* ---- hosts ---- */

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t v6[16] = {[15] = 1};
	return (bt_is_v4(addr) && addr[12] == 127) || memcmp(addr, v6, 16) == 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void add_addrs(struct reading *r, struct bt_map_host *h, const struct bt_host_row *row,
		      uint16_t place)
{
	for (unsigned i = 0; i < row->n_addrs && i < BT_HOST_ADDRS; i++) {
		const struct bt_host_addr *a = &row->addrs[i];
		char text[BT_ADDR_TEXT];
		if (is_loopback(a->addr))
			continue;
		if (r->n_addrs == r->addr_room)
			r->addrs = bt_grow(r->addrs, &r->addr_room, sizeof(*r->addrs));
		memcpy(r->addrs[r->n_addrs].addr, a->addr, 16);
		r->addrs[r->n_addrs++].host = place;
		bt_addr_text(a->addr, text);
		snprintf(h->addrs[h->n_addrs], sizeof(h->addrs[0]), "%s/%u", text, a->bits);
		h->n_addrs++;
	}
}

static bool add_host(struct reading *r, uint32_t index, const struct bt_host_row *row, char *text)
{
	char name[BT_HOST_NAME];
	unsigned lo, hi;
	bt_host_name(r->c->table, index, name);
	if (!bt_setting_call(r->c, index, name, "net/ipv4/ip_local_port_range", NULL, text,
			     BT_MSG_MAX, r->network) ||
	    sscanf(text, "%u %u", &lo, &hi) != 2)
		return false;
	struct bt_map_host *h = bt_map_host(r->m, name, (uint16_t)lo, (uint16_t)hi);
	if (!bt_setting_call(r->c, index, name, "net/ipv4/ip_local_reserved_ports", NULL, text,
			     BT_MSG_MAX, r->network))
		return false;
	bt_ports_parse(text, h->reserved);
	h->shown = !r->only || strcmp(r->only, name) == 0;
	r->place[index] = (uint16_t)(r->m->n_hosts - 1);
	add_addrs(r, h, row, r->place[index]);
	return true;
}

/* All of them, as connections lead to all. */
static bool add_hosts(struct reading *r)
{
	const struct bt_table *t = r->c->table;
	uint32_t n = atomic_load(&t->n_hosts);
	char *text = malloc(BT_MSG_MAX);
	bool ok = text;
	memset(r->place, 0xff, sizeof(r->place));
	for (uint32_t i = 0; ok && i < n && i < BT_MAX_HOSTS; i++) {
		struct bt_host_row row;
		if (bt_host_read(t, i, &row))
			ok = add_host(r, i, &row, text);
	}
	free(text);
	if (ok && r->n_addrs)
		qsort(r->addrs, r->n_addrs, sizeof(*r->addrs), compare);
	return ok;
}

/* Of the far end of a socket of this host. */
static uint16_t host_of(const struct reading *r, const uint8_t addr[16], uint16_t own)
{
	const struct addr_of *found;
	if (is_loopback(addr))
		return own;
	found = r->n_addrs ? bsearch(addr, r->addrs, r->n_addrs, sizeof(*r->addrs), compare) : NULL;
	return found ? found->host : BT_MAP_OUTSIDE;
}

/* ---- sockets ---- */

/* Who waits for others at a port, or has it and does nothing. */
static bool is_seat(const void *wish, const struct bt_row *r)
{
	(void)wish;
	return bt_row_listed(r) && (r->state == BT_ROW_LISTEN || r->state == BT_ROW_CLOSE);
}

static void add_seat(struct reading *r, const struct bt_sock *s)
{
	const struct bt_row *row = &s->row;
	struct bt_map_seat seat = {.first = row->lport,
				   .proto = row->proto,
				   .does = row->state == BT_ROW_LISTEN	? BT_MAP_LISTENS
					   : row->proto == BT_PROTO_UDP ? BT_MAP_RECEIVES
									: BT_MAP_BOUND,
				   .n_addrs = 1};
	const struct bt_holder *p = bt_holders_of(&r->holders, s->ino);
	memcpy(seat.addrs[0], row->laddr, 16);
	/* Told of as IPv4's, it is written so. */
	if (row->family == 4 && bt_addr_is_any(row->laddr))
		seat.addrs[0][10] = seat.addrs[0][11] = 0xff;
	for (; p; p = bt_holders_next(&r->holders, p))
		bt_map_program(&seat, &r->holders.programs[p->program]);
	/* Without the kernel's word, and where /proc is not ours to read, the maker is the best
	 * guess. */
	if (!seat.n_programs && !(row->flags & BT_ROWF_ORPHAN) &&
	    bt_program_name(row->pid, seat.programs[0].name)) {
		seat.programs[0].pid = row->pid;
		seat.n_programs = 1;
	}
	bt_map_seat(&r->m->hosts[r->place[row->host]], &seat);
}

static void add_seats(struct reading *r, struct bt_socks *socks)
{
	bt_holders_init(&r->holders, (uint32_t)socks->n);
	for (size_t i = 0; i < socks->n; i++)
		bt_holders_want(&r->holders, socks->list[i].ino);
	bt_holders_walk(&r->holders);
	for (size_t i = 0; i < socks->n; i++) {
		uint16_t host = socks->list[i].row.host;
		if (host < BT_MAX_HOSTS && r->place[host] != BT_MAP_OUTSIDE)
			add_seat(r, &socks->list[i]);
	}
	bt_holders_done(&r->holders);
}

static void add_end(struct reading *r, const struct bt_row *row, uint16_t own)
{
	uint16_t far = host_of(r, row->raddr, own);
	struct bt_map_end e = {.proto = row->proto, .state = row->state};
	/* Nobody says who began with UDP: services have the lower ports. */
	e.server =
		row->proto == BT_PROTO_TCP ? row->flags & BT_ROWF_CHILD : row->lport < row->rport;
	e.from = e.server ? far : own;
	e.to = e.server ? own : far;
	e.port = e.server ? row->lport : row->rport;
	e.pair = bt_map_pair(row->laddr, row->lport, row->raddr, row->rport,
			     is_loopback(row->raddr) ? own : BT_MAP_OUTSIDE);
	if (!r->only || e.from == r->only_place || e.to == r->only_place)
		bt_map_end(r->m, &e);
}

static void add_rows(struct reading *r)
{
	const struct bt_table *t = r->c->table;
	uint32_t end = bt_rows_end(t);
	for (uint32_t slot = 0; slot < end; slot++) {
		struct bt_row row;
		if (!bt_row_read(t, slot, &row) || !bt_row_listed(&row) ||
		    row.host >= BT_MAX_HOSTS || r->place[row.host] == BT_MAP_OUTSIDE)
			continue;
		bt_map_port(&r->m->hosts[r->place[row.host]], row.lport,
			    row.state == BT_ROW_TIME_WAIT);
		if (row.rport && row.state != BT_ROW_LISTEN)
			add_end(r, &row, r->place[row.host]);
	}
}

static bool read_all(struct reading *r)
{
	struct bt_diags d = {0};
	struct bt_socks socks;
	uint32_t only = 0;
	int err;
	if (!bt_sync(r->c, r->network) ||
	    (r->only && !bt_find_host(r->c->table, r->only, r->network, &only)) || !add_hosts(r))
		return false;
	r->only_place = r->only ? r->place[only] : BT_MAP_OUTSIDE;
	if (!bt_sync_dump(r->c, r->network,
			  bt_socks_states(1u << BT_ROW_LISTEN | 1u << BT_ROW_CLOSE), &d, &err)) {
		bt_diags_done(&d);
		return false;
	}
	bt_collect(r->c->table, &socks, is_seat, NULL);
	if (!err)
		bt_socks_join_with(r->c->table, &d, &socks);
	bt_diags_done(&d);
	add_seats(r, &socks);
	free(socks.list);
	add_rows(r);
	return true;
}

bool bt_map_read(struct bt_client *c, const char *network, const char *host, struct bt_map *m)
{
	static struct reading r;
	*m = (struct bt_map){.network = network, .realtime_s = (uint64_t)time(NULL)};
	r = (struct reading){.c = c, .network = network, .m = m, .only = host};
	bool ok = read_all(&r);
	free(r.addrs);
	if (ok)
		bt_map_finish(m);
	return ok;
}

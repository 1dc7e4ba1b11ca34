/* SPDX-License-Identifier: Apache-2.0 */
/* One look at a network: the table's rows, what the kernel says of their queues, and the bytes that
 * berthd and programs have counted. /proc is asked once for a process. */
#include "doctor.h"
#include "settings.h"
#include "top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMES = 1 << 12, FORGET = 15 /* looks, after which names are asked for anew */ };

/* What a connection had carried at the last look. */
struct before {
	uint32_t gen; /* another: nothing, as far as berthd told */
	uint64_t bytes;
};

struct name {
	int32_t pid; /* 0: free place */
	char text[BT_COMM];
};

struct bt_top_eye {
	struct bt_client *client;
	const char *network;
	uint32_t only;
	struct bt_top_look look;
	uint32_t place[BT_MAX_HOSTS]; /* of each host in look.hosts */
	struct {
		uint16_t lo, hi;
		uint64_t reserved[1024];
		uint64_t taken[1024];
	} * ports; /* as look.hosts is before it is sorted */
	unsigned ports_room;
	char (*host_names)[BT_HOST_NAME];
	struct before *before;
	uint32_t before_room;
	double before_s;
	struct name names[NAMES];
	unsigned looks;
};

struct bt_top_eye *bt_top_open(struct bt_client *c, const char *network, uint32_t only_host)
{
	struct bt_top_eye *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->host_names = calloc(BT_MAX_HOSTS, sizeof(*e->host_names));
	if (e->host_names == NULL) {
		free(e);
		return NULL;
	}
	e->client = c;
	e->network = network;
	e->only = only_host;
	return e;
}

void bt_top_close(struct bt_top_eye *e)
{
	free(e->look.lines);
	free(e->look.hosts);
	free(e->ports);
	free(e->host_names);
	free(e->before);
	free(e);
}

static const char *program(struct bt_top_eye *e, const struct bt_row *r)
{
	if (r->flags & BT_ROWF_ORPHAN || r->state == BT_ROW_TIME_WAIT || r->pid <= 0)
		return "";
	struct name *n = &e->names[(uint32_t)r->pid * 2654435761u >> 20];
	if (n->pid != r->pid) { /* a place has one name: another process may ask again */
		n->pid = r->pid;
		if (!bt_program_name(r->pid, n->text))
			n->text[0] = '\0';
	}
	return n->text;
}

/* ---- hosts ---- */

static bool get(struct bt_top_eye *e, const struct bt_top_host *h, const char *name, char *text)
{
	return bt_setting_call(e->client, h->index, h->name, name, NULL, text, BT_MSG_MAX,
			       e->network);
}

/* Which ports of the host are to be chosen from, and how many. */
static bool read_range(struct bt_top_eye *e, unsigned i, char *text)
{
	struct bt_top_host *h = &e->look.hosts[i];
	unsigned lo = 0, hi = 0;
	if (!get(e, h, "net/ipv4/ip_local_port_range", text) ||
	    sscanf(text, "%u %u", &lo, &hi) != 2 || lo > hi || hi > UINT16_MAX ||
	    !get(e, h, "net/ipv4/ip_local_reserved_ports", text) ||
	    !bt_ports_parse(text, e->ports[i].reserved))
		return false;
	e->ports[i].lo = (uint16_t)lo;
	e->ports[i].hi = (uint16_t)hi;
	memset(e->ports[i].taken, 0, sizeof(e->ports[i].taken));
	for (unsigned port = lo; port <= hi; port++)
		h->capacity += !bt_port_in(e->ports[i].reserved, (uint16_t)port);
	return true;
}

static bool read_hosts(struct bt_top_eye *e)
{
	const struct bt_table *t = e->client->table;
	uint32_t end = atomic_load(&t->n_hosts);
	struct bt_host_row row;
	char *text = malloc(BT_MSG_MAX);
	end = end < BT_MAX_HOSTS ? end : BT_MAX_HOSTS;
	free(e->look.hosts);
	e->look.n_hosts = 0;
	e->look.hosts = calloc(end + 1, sizeof(*e->look.hosts));
	if (e->ports_room < end) {
		free(e->ports);
		e->ports = calloc(end, sizeof(*e->ports));
		e->ports_room = e->ports == NULL ? 0 : end;
	}
	bool ok = text != NULL && e->look.hosts != NULL && e->ports_room >= end;
	for (uint32_t i = 0; ok && i < end; i++) {
		e->place[i] = UINT32_MAX;
		if ((e->only != BT_TOP_ALL_HOSTS && i != e->only) || !bt_host_read(t, i, &row))
			continue;
		struct bt_top_host *h = &e->look.hosts[e->look.n_hosts];
		h->index = i;
		bt_host_name(t, i, h->name);
		memcpy(e->host_names[i], h->name, sizeof(h->name));
		e->place[i] = e->look.n_hosts;
		ok = read_range(e, e->look.n_hosts, text);
		e->look.n_hosts++;
	}
	free(text);
	return ok;
}

static void count(struct bt_top_eye *e, const struct bt_row *r)
{
	uint32_t i = e->place[r->host];
	struct bt_top_host *h = &e->look.hosts[i];
	uint16_t port = bt_row_port(r);
	h->sockets++;
	h->listeners += r->state == BT_ROW_LISTEN;
	h->established += r->proto == BT_PROTO_TCP && r->state == BT_ROW_ESTABLISHED;
	h->time_wait += r->state == BT_ROW_TIME_WAIT;
	if (r->proto != BT_PROTO_TCP || port < e->ports[i].lo || port > e->ports[i].hi ||
	    bt_port_in(e->ports[i].reserved, port) || bt_port_in(e->ports[i].taken, port))
		return;
	e->ports[i].taken[port / 64] |= (uint64_t)1 << port % 64;
	h->taken++;
}

static int fuller(const void *p, const void *q)
{
	const struct bt_top_host *a = p, *b = q;
	uint64_t x = (uint64_t)a->taken * (b->capacity + 1u),
		 y = (uint64_t)b->taken * (a->capacity + 1u);
	return x > y ? -1 : x < y ? 1 : (int)a->index - (int)b->index;
}

/* ---- sockets ---- */

static bool wanted(const void *wish, const struct bt_row *r)
{
	const struct bt_top_eye *e = wish;
	return bt_row_listed(r) && r->host < BT_MAX_HOSTS && e->place[r->host] != UINT32_MAX;
}

/* Listeners and TIME_WAIT carry nothing. At the first look nobody has counted yet. */
static bool carries(const struct bt_top_eye *e, const struct bt_row *r)
{
	return e->looks > 1 && r->state != BT_ROW_LISTEN && r->state != BT_ROW_TIME_WAIT;
}

/* Rates. What berthd tells of for the first time has moved since the last look: programs began to
 * count then, or the socket is younger. */
static bool read_counts(struct bt_top_eye *e, uint32_t *of_slot, uint32_t slots)
{
	enum { ROOM = BT_MSG_MAX / sizeof(struct bt_counts) };
	struct bt_counts *told = malloc(ROOM * sizeof(*told));
	struct bt_req q = {.type = BT_COUNTS};
	struct bt_rep rep = {.value = 0};
	double passed = e->looks > 1 ? e->look.at_s - e->before_s : 0;
	bool ok = told != NULL;
	do {
		size_t got = ROOM * sizeof(*told);
		q.value = rep.value;
		ok = ok && bt_client_call(e->client, &q, NULL, &rep, told, &got) == 0 &&
		     rep.err == 0;
		for (size_t i = 0; ok && i < got / sizeof(*told); i++) {
			const struct bt_counts *c = &told[i];
			if (c->slot >= slots || of_slot[c->slot] == UINT32_MAX)
				continue;
			struct bt_top_line *l = &e->look.lines[of_slot[c->slot]];
			struct before *b = &e->before[c->slot];
			uint64_t bytes = c->in + c->out, had = b->gen == c->gen ? b->bytes : 0;
			l->retrans = c->retrans;
			/* Less: one of those that hold it has ended, and took its count along. */
			if (bytes >= had && passed > 0)
				l->rate = (double)(bytes - had) / passed;
			*b = (struct before){c->gen, bytes};
		}
	} while (ok && rep.value != 0);
	free(told);
	return ok;
}

static bool grow_before(struct bt_top_eye *e, uint32_t slots)
{
	if (slots <= e->before_room)
		return true;
	struct before *more = realloc(e->before, slots * sizeof(*more));
	if (more == NULL)
		return false;
	memset(more + e->before_room, 0, (slots - e->before_room) * sizeof(*more));
	e->before = more;
	e->before_room = slots;
	return true;
}

static bool fill(struct bt_top_eye *e, const struct bt_socks *socks)
{
	uint32_t slots = bt_rows_end(e->client->table);
	uint32_t *of_slot = malloc((slots + 1) * sizeof(*of_slot));
	bool ok = of_slot != NULL && grow_before(e, slots);
	free(e->look.lines);
	e->look.lines = calloc(socks->n + 1, sizeof(*e->look.lines));
	e->look.n = 0;
	ok = ok && e->look.lines != NULL;
	if (ok)
		memset(of_slot, 0xff, (slots + 1) * sizeof(*of_slot));
	for (size_t i = 0; ok && i < socks->n; i++) {
		const struct bt_sock *s = &socks->list[i];
		struct bt_top_line *l = &e->look.lines[e->look.n];
		l->s = *s;
		l->host = e->host_names[s->row.host];
		l->program = program(e, &s->row);
		l->counted = carries(e, &s->row);
		if (s->slot < slots)
			of_slot[s->slot] = (uint32_t)e->look.n;
		e->look.n++;
		count(e, &s->row);
	}
	ok = ok && read_counts(e, of_slot, slots);
	free(of_slot);
	return ok;
}

struct bt_top_look *bt_top_next(struct bt_top_eye *e)
{
	uint32_t states = bt_socks_states(~0u);
	struct bt_diags d;
	struct bt_socks socks = {0};
	struct timespec t;
	int err;
	if (++e->looks % FORGET == 0)
		memset(e->names, 0, sizeof(e->names));
	if (!bt_sync_dump(e->client, e->network, states, &d, &err)) {
		bt_diags_done(&d);
		return NULL;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	e->look.at_s = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
	bool ok = read_hosts(e);
	if (ok) {
		bt_collect(e->client->table, &socks, wanted, e);
		if (!err)
			bt_socks_join_with(e->client->table, &d, &socks);
	}
	bt_diags_done(&d);
	ok = ok && fill(e, &socks);
	free(socks.list);
	if (!ok) {
		bt_say("there is not enough memory to look, or berthd did not tell");
		return NULL;
	}
	e->before_s = e->look.at_s;
	qsort(e->look.hosts, e->look.n_hosts, sizeof(*e->look.hosts), fuller);
	return &e->look;
}

int bt_top_explain(struct bt_top_eye *e, const struct bt_sock *s, struct bt_explanation *x)
{
	struct bt_question q;
	*x = (struct bt_explanation){.n = 0};
	if (!bt_explain_socket(e->client->table, s->slot, s->row.gen, &q))
		return ESTALE;
	return bt_explain(e->client, &q, x);
}

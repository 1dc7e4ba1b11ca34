/* SPDX-License-Identifier: Apache-2.0 */
/* A network's sockets for berth doctor: the table's rows, and what waits in listeners' queues. */
#include "doctor.h"
#include "rows.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- settings ---- */

static bool get(struct bt_client *c, const struct bt_health *h, const char *name, char *answer)
{
	return bt_setting_call(c, h->index, h->host, name, NULL, answer, BT_MSG_MAX, h->network);
}

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

static int read_settings(struct bt_client *c, struct bt_health *h)
{
	struct bt_count *n = &h->now;
	char *text = malloc(BT_MSG_MAX);
	unsigned lo = 0, hi = 0;
	bool ok = text && get(c, h, "net/ipv4/ip_local_port_range", text) &&
		  sscanf(text, "%u %u", &lo, &hi) == 2;
	n->lo = (uint16_t)lo;
	n->hi = (uint16_t)hi;
	n->age = "made";
	ok = ok && get(c, h, "net/ipv4/ip_local_reserved_ports", text) &&
	     bt_ports_parse(text, n->reserved);
	if ((ok = ok && get(c, h, "net/berth/time_wait_ms", text)))
		n->time_wait_ms = number(text);
	if ((ok = ok && get(c, h, "net/ipv4/tcp_tw_reuse", text)))
		n->tw_reuse = (int)number(text);
	if ((ok = ok && get(c, h, "net/ipv4/tcp_fin_timeout", text)))
		n->fin_timeout_s = number(text);
	if ((ok = ok && get(c, h, "net/core/somaxconn", text)))
		n->somaxconn = number(text);
	free(text);
	return ok ? 0 : -1;
}

int bt_doctor_hosts(struct bt_client *c, const char *network, const char *host,
		    struct bt_health **list, unsigned *n)
{
	uint32_t only = 0, end = atomic_load(&c->table->n_hosts);
	struct bt_host_row row;
	if (!bt_sync(c, network) || (host && !bt_find_host(c->table, host, network, &only)))
		return -1;
	end = host ? only + 1 : end < BT_MAX_HOSTS ? end : BT_MAX_HOSTS;
	*n = 0;
	*list = calloc(end - only + 1, sizeof(**list));
	for (uint32_t i = only; *list && i < end; i++) {
		if (!bt_host_read(c->table, i, &row))
			continue;
		struct bt_health *h = &(*list)[(*n)++];
		h->network = network;
		h->index = i;
		bt_host_name(c->table, i, h->host);
	}
	return *list ? 0 : -1;
}

/* ---- rows ---- */

static struct bt_health *host_of(struct bt_health *list, unsigned n, uint16_t index)
{
	/* All hosts, none unused: the usual case. */
	if (index < n && list[index].index == index)
		return &list[index];
	for (unsigned i = 0; i < n; i++) {
		if (list[i].index == index)
			return &list[i];
	}
	return NULL;
}

static void add(struct bt_count *c, const struct bt_row *r, uint32_t ino, uint32_t recvq)
{
	uint32_t now = (uint32_t)time(NULL);
	bool listens = r->state == BT_ROW_LISTEN;
	struct bt_seen s = {
		.lport = r->lport,
		.rport = r->rport,
		.proto = r->proto,
		.state = r->state,
		.ino = ino,
		.pid = r->flags & BT_ROWF_ORPHAN ? 0 : r->pid,
		.rqueue = listens ? recvq : 0,
		.backlog = listens ? r->backlog : 0,
		.drops = listens ? r->drops : 0,
		.age_s = now > r->since_s ? now - r->since_s : 0,
	};
	memcpy(s.laddr, r->laddr, 16);
	memcpy(s.raddr, r->raddr, 16);
	if (listens)
		c->listen_overflows += r->drops;
	bt_count_add(c, &s);
}

/* What the kernel is asked about: queues, and who holds what was left open. */
static bool joined(const void *wish, const struct bt_row *r)
{
	(void)wish;
	return bt_row_listed(r) && r->proto == BT_PROTO_TCP &&
	       (r->state == BT_ROW_LISTEN || r->state == BT_ROW_CLOSE_WAIT);
}

int bt_doctor_table(struct bt_client *c, const char *network, struct bt_health *list, unsigned n)
{
	uint32_t states = bt_socks_states(1u << BT_ROW_LISTEN | 1u << BT_ROW_CLOSE_WAIT);
	struct bt_diags d;
	struct bt_socks socks;
	int err;
	for (unsigned i = 0; i < n; i++) {
		bt_count_clear(&list[i].now);
		list[i].now.listen_overflows = 0;
		if (read_settings(c, &list[i]) != 0)
			return -1;
	}
	if (!bt_sync_dump(c, network, states, &d, &err)) {
		bt_diags_done(&d);
		return -1;
	}
	bt_collect(c->table, &socks, joined, NULL);
	if (!err)
		bt_socks_join_with(c->table, &d, &socks);
	bt_diags_done(&d);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < socks.n; i++) {
			const struct bt_sock *s = &socks.list[i];
			struct bt_health *h = host_of(list, n, s->row.host);
			if (h && (s->row.state == BT_ROW_LISTEN) == (pass == 0))
				add(&h->now, &s->row, s->ino, s->recvq);
		}
	}
	free(socks.list);
	for (uint32_t slot = 0; slot < bt_rows_end(c->table); slot++) {
		struct bt_row row;
		if (!bt_row_read(c->table, slot, &row) || !bt_row_listed(&row) ||
		    joined(NULL, &row))
			continue;
		struct bt_health *h = host_of(list, n, row.host);
		if (h)
			add(&h->now, &row, 0, 0);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- listeners ---- */

static int compare(const void *pa, const void *pb)
{
	const struct bt_seen *a = pa, *b = pb;
	int c = memcmp(a->laddr, b->laddr, sizeof(a->laddr));
	return c ? c : (int)a->lport - (int)b->lport;
}

static void add_listeners(struct bt_metrics *m, uint32_t host, struct bt_count *c)
{
	struct bt_metrics_listener *l = NULL;
	if (c->n_listeners)
		qsort(c->listeners, c->n_listeners, sizeof(*c->listeners), compare);
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct bt_seen *s = &c->listeners[i];
		if (i == 0 || compare(s, s - 1) != 0) {
			if (m->n_listeners == m->listener_room)
				m->listeners = bt_grow(m->listeners, &m->listener_room,
						       sizeof(*m->listeners));
			l = &m->listeners[m->n_listeners++];
			*l = (struct bt_metrics_listener){.host = host, .lport = s->lport};
			memcpy(l->laddr, s->laddr, sizeof(l->laddr));
		}
		if (!*l->program && s->pid && !bt_program_name(s->pid, l->program))
			*l->program = '\0';
		l->queue += s->rqueue;
		l->backlog += s->backlog;
		l->refused += s->drops;
	}
}

/* ---- berthd's tallies ---- */

static bool read_tallies(struct bt_client *c, struct bt_metrics *m, const char *network)
{
	enum { ROOM = BT_MSG_MAX / sizeof(struct bt_tally) };
	struct bt_rep rep = {.value = 0};
	do {
		struct bt_req q = {.type = BT_TALLY, .value = rep.value};
		while (m->tally_room - m->n_tallies < ROOM)
			m->tallies = bt_grow(m->tallies, &m->tally_room, sizeof(*m->tallies));
		size_t got = ROOM * sizeof(*m->tallies);
		int err = bt_client_call(c, &q, NULL, &rep, m->tallies + m->n_tallies, &got);
		if (!err && !rep.err && (rep.value == 0 || rep.value > q.value)) {
			m->n_tallies += got / sizeof(*m->tallies);
			continue;
		}
		bt_say_client(err ? err : rep.err ? -rep.err : -EPROTO, network);
		return false;
	} while (rep.value);
	return true;
}

/* ---- all ---- */

bool bt_metrics_read(struct bt_client *c, const char *network, struct bt_metrics *m)
{
	*m = (struct bt_metrics){.network = network, .started_s = c->table->started_s};
	if (bt_doctor_hosts(c, network, NULL, &m->hosts, &m->n_hosts) != 0 ||
	    bt_doctor_table(c, network, m->hosts, m->n_hosts) != 0 ||
	    !bt_links_read(c, &m->links) || !read_tallies(c, m, network))
		return false;
	for (unsigned i = 0; i < BT_CNT_MAX; i++)
		m->counters[i] = atomic_load(&c->table->counters[i]);
	for (unsigned i = 0; i < m->n_hosts; i++)
		add_listeners(m, i, &m->hosts[i].now);
	return true;
}

void bt_metrics_done(struct bt_metrics *m)
{
	for (unsigned i = 0; i < m->n_hosts; i++)
		bt_count_clear(&m->hosts[i].now);
	free(m->hosts);
	free(m->listeners);
	free(m->tallies);
	bt_links_done(&m->links);
	*m = (struct bt_metrics){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "census.h"

#include "../proto/diag.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Inode numbers of sockets; grows. */
struct inodes {
	uint32_t *of;
	uint32_t n, room;
};

/*
 * A connection that nobody has accepted yet is no socket of the dump: its listener tells the
 * inodes of the clients that wait, 0 for one that has closed already.
 */
struct walk {
	const struct bt_table *table;
	struct census *c;
	struct inodes waiting; /* clients in the queues of listeners */
	struct inodes doubts;  /* inode, slot: clients that say that their other end is gone */
	struct inodes left; /* slots: clients whose other end is gone, or ends without a client */
};

enum { LISTENS = 8 }; /* beside BT_ALIVE_...: in the kernel, whatever it is to berth */

static void note(struct inodes *list, uint32_t inode)
{
	if (list->n == list->room) {
		uint32_t room = list->room == 0 ? 64 : list->room * 2;
		uint32_t *of = realloc(list->of, room * sizeof(*of));
		if (of == NULL)
			return;
		list->of = of;
		list->room = room;
	}
	list->of[list->n++] = inode;
}

static void count(struct walk *w, const struct bt_diag *s, const struct bt_diag_dump *dump)
{
	uint32_t slot = s->id.slot;
	if (slot >= w->c->slots)
		return;
	const struct bt_row *r = bt_table_row(w->table, slot);
	/* Accepted ends carry their listener's name, also when the listener is closed and its slot
	 * free or another's; so they are told apart by the slot's state, and counted only where
	 * their client is gone: the others are known through it. A listener that was shut is none
	 * to berth, but still to the kernel: settle_left. */
	bool accepted = s->connected && (r->state == BT_ROW_LISTEN || r->state == BT_ROW_FREE ||
					 r->gen != s->id.gen);
	if (accepted) {
		if (s->peer_ino == 0)
			w->c->orphans[slot]++;
		return;
	}
	if (r->gen != s->id.gen || r->nonce != s->id.nonce)
		return;
	for (uint32_t i = 0; i < dump->n_queue; i++) {
		if (dump->queue[i] == 0)
			w->c->orphans[slot]++;
		else
			note(&w->waiting, dump->queue[i]);
	}
	uint8_t a = BT_ALIVE_NAME;
	if (!s->connected && s->type == SOCK_STREAM)
		a |= BT_NEVER_JOINED;
	else if (s->peer_ino != 0 || !(s->shutdown & 1))
		a |= BT_ALIVE_PEER;
	if (s->connected && !(a & BT_ALIVE_PEER)) {
		note(&w->doubts, s->ino);
		note(&w->doubts, slot);
	}
	if (s->connected && s->peer_ino == 0)
		note(&w->left, slot);
	if (s->state == TCP_LISTEN)
		a |= LISTENS;
	if (!(w->c->alive[slot] & LISTENS)) /* of many sockets with one name the listener is it */
		w->c->alive[slot] = a;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* A client that has shut both directions looks as if its other end were gone while that only waits
 * to be accepted. */
static void settle_doubts(struct walk *w)
{
	if (w->doubts.n > 0 && w->waiting.n > 0)
		qsort(w->waiting.of, w->waiting.n, sizeof(w->waiting.of[0]), by_number);
	for (uint32_t i = 0; i + 1 < w->doubts.n && w->waiting.n > 0; i += 2)
		if (bsearch(&w->doubts.of[i], w->waiting.of, w->waiting.n, sizeof(w->waiting.of[0]),
			    by_number) != NULL)
			w->c->alive[w->doubts.of[i + 1]] |= BT_ALIVE_PEER;
	free(w->doubts.of);
	free(w->waiting.of);
}

static void settle_left(struct walk *w)
{
	for (uint32_t i = 0; i < w->left.n; i++)
		if (w->c->alive[w->left.of[i]] & LISTENS)
			w->c->orphans[w->left.of[i]]++;
	free(w->left.of);
}

int d_census(const struct bt_table *table, uint64_t netid, struct census *c)
{
	static _Alignas(uint32_t) char buf[BT_DIAG_BYTES];
	struct walk w = {.table = table, .c = c};
	struct bt_diag_dump dump;
	struct bt_diag s;
	c->slots = table->high_water;
	c->alive = calloc(c->slots + 1u, 1);
	c->orphans = calloc(c->slots + 1u, sizeof(c->orphans[0]));
	if (c->alive == NULL || c->orphans == NULL) {
		d_census_done(c);
		return -ENOMEM;
	}
	int r = bt_diag_begin(&dump, buf, netid, UINT32_MAX, BT_DIAG_QUEUE);
	while (r == 0 && (r = bt_diag_next(&dump, &s)) > 0) {
		count(&w, &s, &dump);
		r = 0;
	}
	bt_diag_end(&dump);
	settle_doubts(&w);
	settle_left(&w);
	if (r < 0)
		d_census_done(c);
	return r;
}

void d_census_done(struct census *c)
{
	free(c->alive);
	free(c->orphans);
	c->alive = NULL;
	c->orphans = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "join.h"

#include "diags.h"

#include <errno.h>
#include <netinet/tcp.h>

#define NONE UINT32_MAX

struct index {
	const struct bt_table *t;
	struct bt_diags d;
	uint32_t *by_slot; /* entry with the slot's name */
	uint32_t *by_ino;  /* hash: entries by inode */
	uint32_t *by_far;  /* entry of berthd's in the place of the slot's other end; may be NULL */
	struct bt_buf mem_slot, mem_ino, mem_far;
	uint32_t n_slots, places;
};

uint32_t bt_socks_states(uint32_t rows)
{
	uint32_t states = 0;
	if (rows & 1u << BT_ROW_LISTEN)
		states |= 1u << TCP_LISTEN;
	if (rows & 1u << BT_ROW_CLOSE)
		states |= 1u << TCP_CLOSE;
	if (rows & ~(1u << BT_ROW_LISTEN | 1u << BT_ROW_CLOSE | 1u << BT_ROW_TIME_WAIT))
		states |= 1u << TCP_ESTABLISHED | 1u << TCP_CLOSE;
	return states;
}

static uint32_t *ino_place(const struct index *x, uint32_t ino)
{
	uint32_t at = (ino * 2654435769u) & (x->places - 1);
	while (x->by_ino[at] != NONE && x->d.list[x->by_ino[at]].ino != ino)
		at = (at + 1) & (x->places - 1);
	return &x->by_ino[at];
}

/* Few networks have any. */
static void note_far(struct index *x, uint32_t slot, uint32_t i)
{
	if (x->by_far == NULL) {
		x->by_far = bt_buf_add(&x->mem_far, (x->n_slots + 1) * sizeof(*x->by_far));
		if (x->by_far != NULL)
			memset(x->by_far, 0xff, (x->n_slots + 1) * sizeof(*x->by_far));
	}
	if (x->by_far != NULL)
		x->by_far[slot] = i;
}

static bool build(struct index *x)
{
	x->n_slots = bt_rows_end(x->t);
	x->places = 64;
	while (x->places < x->d.n * 2 && x->places < 1u << 31)
		x->places *= 2;
	x->by_slot = bt_buf_add(&x->mem_slot, (x->n_slots + 1) * sizeof(*x->by_slot));
	x->by_ino = bt_buf_add(&x->mem_ino, x->places * sizeof(*x->by_ino));
	if (!x->by_slot || !x->by_ino)
		return false;
	memset(x->by_slot, 0xff, (x->n_slots + 1) * sizeof(*x->by_slot));
	memset(x->by_ino, 0xff, x->places * sizeof(*x->by_ino));
	for (uint32_t i = 0; i < x->d.n && i < x->places / 2; i++) {
		const struct bt_diag *e = &x->d.list[i];
		*ino_place(x, e->ino) = i;
		if (e->id.slot >= x->n_slots)
			continue;
		if (e->far) {
			note_far(x, e->id.slot, i);
			continue;
		}
		/* Of many sockets with one name, the listener is its owner. */
		uint32_t *owner = &x->by_slot[e->id.slot];
		if (*owner == NONE || e->state == TCP_LISTEN)
			*owner = i;
	}
	return true;
}

static bool same_socket(const struct bt_diag *e, const struct bt_row *row)
{
	return e->id.gen == row->gen && e->id.nonce == row->nonce;
}

/* The kernel's socket that has this row's name. */
static struct bt_diag *owner_of(const struct index *x, uint32_t slot, const struct bt_row *row)
{
	if (slot >= x->n_slots || x->by_slot[slot] == NONE)
		return NULL;
	struct bt_diag *e = &x->d.list[x->by_slot[slot]];
	if (!same_socket(e, row) || (row->state == BT_ROW_LISTEN && e->state != TCP_LISTEN))
		return NULL;
	return e;
}

/* Of a connection in packets: whom berthd has joined in the place of the other end. */
static struct bt_diag *joined_by_berthd(const struct index *x, const struct bt_row *row)
{
	uint32_t i = x->by_far == NULL || row->peer >= x->n_slots ? NONE : x->by_far[row->peer];
	uint32_t at = i == NONE || x->d.list[i].peer_ino == 0
			      ? NONE
			      : *ino_place(x, x->d.list[i].peer_ino);
	return at == NONE ? NULL : &x->d.list[at];
}

static struct bt_diag *accepted_end(const struct index *x, uint32_t slot, const struct bt_row *row)
{
	struct bt_row peer;
	if (row->flags & BT_ROWF_WIRE)
		return joined_by_berthd(x, row);
	/* The other end's slot may be another socket's by now: both must name each other. */
	if (row->peer == NONE || !bt_row_read(x->t, row->peer, &peer) || peer.peer != slot)
		return NULL;
	const struct bt_diag *other = owner_of(x, row->peer, &peer);
	if (!other || other->peer_ino == 0)
		return NULL;
	uint32_t at = *ino_place(x, other->peer_ino);
	if (at == NONE || x->d.list[at].peer_ino != other->ino)
		return NULL;
	return &x->d.list[at];
}

static void give(struct bt_sock *s, struct bt_diag *e)
{
	s->ino = e->ino;
	s->recvq = e->rqueue;
	/* An accepted socket is its accepter's (sock_graft), whom berthd does not know. */
	if (s->row.flags & BT_ROWF_CHILD && e->uid != UINT32_MAX)
		s->row.uid = e->uid;
	e->taken = true;
}

/* An accepted end whose other end is gone: it has the name of a listener, or of what was one (shut,
 * or closed). */
static bool is_left_over(const struct index *x, const struct bt_diag *e)
{
	struct bt_row row;
	if (e->taken || e->far || e->peer_ino != 0 || e->state != TCP_ESTABLISHED)
		return false;
	if (!bt_row_read(x->t, e->id.slot, &row))
		return false;
	return row.state == BT_ROW_LISTEN || row.state == BT_ROW_CLOSE ||
	       row.state == BT_ROW_FREE || !same_socket(e, &row);
}

/* Hands the left-over ends to the rows without one. `next` chains the ends of each slot. */
static void join_left_over(struct index *x, struct bt_socks *s)
{
	struct bt_buf mem = {0};
	uint32_t *next = bt_buf_add(&mem, (x->d.n + 1) * sizeof(*next));
	if (!next)
		return;
	memset(x->by_slot, 0xff, (x->n_slots + 1) * sizeof(*x->by_slot));
	for (uint32_t i = (uint32_t)x->d.n; i-- > 0;) {
		const struct bt_diag *e = &x->d.list[i];
		if (e->id.slot >= x->n_slots || !is_left_over(x, e))
			continue;
		next[i] = x->by_slot[e->id.slot];
		x->by_slot[e->id.slot] = i;
	}
	for (size_t k = 0; k < s->n; k++) {
		const struct bt_row *row = &s->list[k].row;
		if (s->list[k].ino || !(row->flags & BT_ROWF_CHILD) || row->link >= x->n_slots ||
		    (row->flags & BT_ROWF_ORPHAN) || row->state == BT_ROW_TIME_WAIT)
			continue;
		uint32_t i = x->by_slot[row->link];
		if (i == NONE)
			continue;
		x->by_slot[row->link] = next[i];
		give(&s->list[k], &x->d.list[i]);
	}
	bt_buf_done(&mem);
}

int bt_socks_join_with(const struct bt_table *t, struct bt_diags *d, struct bt_socks *s)
{
	struct index x = {.t = t, .d = *d};
	bool orphans = false;
	int err = build(&x) ? 0 : -ENOMEM;
	for (size_t i = 0; !err && i < s->n; i++) {
		struct bt_sock *sock = &s->list[i];
		bool child = sock->row.flags & BT_ROWF_CHILD;
		struct bt_diag *e = child ? accepted_end(&x, sock->slot, &sock->row)
					  : owner_of(&x, sock->slot, &sock->row);
		if (e)
			give(sock, e);
		else if (child)
			orphans = true;
	}
	if (!err && orphans)
		join_left_over(&x, s);
	bt_buf_done(&x.mem_slot);
	bt_buf_done(&x.mem_ino);
	bt_buf_done(&x.mem_far);
	bt_diags_done(d);
	return err;
}

int bt_socks_join(const struct bt_table *t, uint64_t netid, struct bt_socks *s)
{
	struct bt_diags d;
	uint32_t rows = 0;
	for (size_t i = 0; i < s->n; i++)
		rows |= 1u << (s->list[i].row.state & 31);
	if (bt_socks_states(rows) == 0)
		return 0;
	int err = bt_diags_read(&d, netid, bt_socks_states(rows));
	if (err)
		bt_diags_done(&d);
	return err ? err : bt_socks_join_with(t, &d, s);
}

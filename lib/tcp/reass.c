/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data that arrive: in order to the end of the receive queue; out of order into the same queue at
 * their place, with a sorted list of the pieces that are there (RFC 9293 SHLD-31). What is there
 * already is never overwritten, so overlaps cannot change what was received (CVE-2020-1983).
 * Bytes are bounded by the window, pieces by BT_PIECES_MAX; finding a piece is a bisection
 * (CVE-2018-5390).
 */
#include "tcb.h"

#define PIECES_FIRST 8u

/* The first piece that ends at or after seq. */
static uint32_t find(const struct bt_rxq *q, struct bt_seq seq)
{
	uint32_t lo = 0, hi = q->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (bt_seq_le(seq, q->pieces[mid].end))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static bool room(struct bt_tcp *t, struct bt_rxq *q)
{
	uint32_t cap = q->cap == 0 ? PIECES_FIRST : q->cap * 2;
	struct bt_sack *p;

	if (q->n < q->cap)
		return true;
	if (cap > BT_PIECES_MAX)
		return false;
	p = bt_mem_get(&t->mem, cap * sizeof(p[0]));
	if (p == NULL)
		return false;
	if (q->pieces != NULL) {
		memcpy(p, q->pieces, q->n * sizeof(p[0]));
		bt_mem_put(&t->mem, q->pieces, q->cap * sizeof(p[0]));
	}
	q->pieces = p;
	q->cap = cap;
	return true;
}

/* RFC 2018 4: the block of the segment that came last is first. */
static void newest(struct bt_rxq *q, struct bt_seq start)
{
	unsigned n = 0;
	struct bt_sack keep[4];

	for (unsigned i = 0; i < q->n_recent && n < 3; i++)
		if (!bt_seq_eq(q->recent[i].start, start))
			keep[n++] = q->recent[i];
	q->recent[0] = (struct bt_sack){start, start};
	memcpy(&q->recent[1], keep, n * sizeof(keep[0]));
	q->n_recent = (uint8_t)(n + 1);
}

/* Writes [start, end) but for what pieces from the i-th on have; returns the first piece behind. */
static uint32_t fill(struct bt_conn *c, uint32_t i, const struct bt_in *in, struct bt_seq start,
		     struct bt_seq end)
{
	struct bt_rxq *q = c->rxq;
	struct bt_seq base = bt_seq(c->rcv_nxt.n - c->unread), at = start;

	for (; i < q->n && bt_seq_le(q->pieces[i].start, end); i++) {
		if (bt_seq_lt(at, q->pieces[i].start))
			bt_bytes_write(&q->rx, at.n - base.n, in->data + (at.n - in->s.seq.n),
				       q->pieces[i].start.n - at.n);
		if (bt_seq_lt(at, q->pieces[i].end))
			at = q->pieces[i].end;
	}
	if (bt_seq_lt(at, end))
		bt_bytes_write(&q->rx, at.n - base.n, in->data + (at.n - in->s.seq.n),
			       end.n - at.n);
	return i;
}

static void out_of_order(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in)
{
	struct bt_rxq *q = c->rxq;
	struct bt_sack piece = {in->s.seq, bt_seq_add(in->s.seq, in->len)};
	uint32_t i = find(q, piece.start), behind;

	c->flags |= CF_ACK_NOW; /* RFC 5681 4.2 */
	bt_conn_wants_out(t, c);
	if (i < q->n && bt_seq_le(q->pieces[i].start, piece.start) &&
	    bt_seq_le(piece.end, q->pieces[i].end)) { /* RFC 2883 4.2 */
		bt_reass_dsack(t, c, piece.start, piece.end);
		newest(q, q->pieces[i].start);
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_DUPLICATE);
		return;
	}
	if (!room(t, q) || q->n >= BT_PIECES_MAX) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_OUT_OF_ORDER_BUDGET);
		return;
	}
	if (!bt_bytes_reserve(&q->rx, t->chunks, c->unread + (piece.end.n - c->rcv_nxt.n))) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_NO_MEMORY);
		return;
	}
	bt_count16(&c->ooopack);
	behind = fill(c, i, in, piece.start, piece.end);
	if (behind > i) { /* those that it touches become one with it */
		if (bt_seq_lt(q->pieces[i].start, piece.start))
			piece.start = q->pieces[i].start;
		if (bt_seq_lt(piece.end, q->pieces[behind - 1].end))
			piece.end = q->pieces[behind - 1].end;
	}
	memmove(&q->pieces[i + 1], &q->pieces[behind], (q->n - behind) * sizeof(piece));
	q->pieces[i] = piece;
	q->n = q->n - (behind - i) + 1;
	newest(q, piece.start);
}

/* Pieces that are no longer out of order. */
static void join(struct bt_conn *c)
{
	struct bt_rxq *q = c->rxq;
	uint32_t n = 0;

	while (n < q->n && bt_seq_le(q->pieces[n].start, c->rcv_nxt)) {
		if (bt_seq_lt(c->rcv_nxt, q->pieces[n].end)) {
			c->unread += q->pieces[n].end.n - c->rcv_nxt.n;
			c->bytes_in += q->pieces[n].end.n - c->rcv_nxt.n;
			c->rcv_nxt = q->pieces[n].end;
		}
		n++;
	}
	q->n -= n;
	memmove(q->pieces, q->pieces + n, q->n * sizeof(q->pieces[0]));
	if (q->n == 0 && !q->has_fin)
		q->n_recent = 0;
}

/* The whole payload, behind what is there. */
static void append(struct bt_conn *c, const struct bt_in *in)
{
	uint32_t at = c->unread, left = in->len;

	if (in->parts == NULL) {
		bt_bytes_write(&c->rxq->rx, at, in->data, left);
		return;
	}
	for (const struct iovec *p = in->parts; left > 0; p++) {
		bt_assert(p->iov_len <= left);
		bt_bytes_write(&c->rxq->rx, at, p->iov_base, (uint32_t)p->iov_len);
		at += (uint32_t)p->iov_len;
		left -= (uint32_t)p->iov_len;
	}
}

/* The payload, within the window and not wholly old. */
void bt_reass_input(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	struct bt_rxq *q = bt_conn_rxq(t, c);
	bool holes;

	if (q == NULL) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_NO_MEMORY);
		return;
	}
	if (!bt_seq_eq(in->s.seq, c->rcv_nxt)) {
		out_of_order(t, c, in);
		return;
	}
	if (!bt_bytes_reserve(&q->rx, t->chunks, c->unread + in->len)) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_NO_MEMORY);
		bt_conn_trim(t, c);
		return;
	}
	holes = q->n > 0;
	if (holes)
		fill(c, 0, in, in->s.seq, bt_seq_add(in->s.seq, in->len));
	else
		append(c, in);
	c->rcv_nxt = bt_seq_add(c->rcv_nxt, in->len);
	c->unread += in->len;
	c->bytes_in += in->len;
	if (holes) {
		join(c);
		c->flags |= CF_ACK_NOW; /* RFC 5681 4.2: it fills a gap */
		bt_conn_wants_out(t, c);
	}
	bt_ack_received_data(t, c, in);
	if (!(c->flags & CF_SHUT_RD))
		bt_conn_news(t, c, BERTH_READABLE);
}

/* A FIN that comes before its time is kept, and SACKed as the byte of sequence space that it is. */
void bt_reass_fin(struct bt_tcp *t, struct bt_conn *c, struct bt_seq fin)
{
	struct bt_rxq *q = bt_conn_rxq(t, c);

	c->flags |= CF_ACK_NOW;
	bt_conn_wants_out(t, c);
	if (q == NULL || q->has_fin)
		return;
	q->fin = fin;
	q->has_fin = true;
	if (q->n == 0 || !bt_seq_eq(q->pieces[q->n - 1].end, fin))
		newest(q, fin);
}

/* True, once, when all before the kept FIN is there. */
bool bt_reass_fin_due(struct bt_conn *c)
{
	struct bt_rxq *q = c->rxq;

	if (q == NULL || !q->has_fin || bt_seq_lt(c->rcv_nxt, q->fin))
		return false;
	q->has_fin = false;
	return bt_seq_eq(c->rcv_nxt, q->fin);
}

void bt_reass_forget(struct bt_conn *c)
{
	if (c->rxq == NULL)
		return;
	c->rxq->n = 0;
	c->rxq->n_recent = 0;
	c->rxq->has_dsack = c->rxq->has_fin = false;
}

void bt_reass_dsack(struct bt_tcp *t, struct bt_conn *c, struct bt_seq start, struct bt_seq end)
{
	if (!(c->flags & CF_SACK) || bt_conn_rxq(t, c) == NULL)
		return;
	c->rxq->dsack = (struct bt_sack){start, end};
	c->rxq->has_dsack = true;
}

/* The blocks to say now: D-SACK first, once (RFC 2883 4), then the newest pieces. */
unsigned bt_reass_sacks(struct bt_conn *c, struct bt_sack out[4])
{
	struct bt_rxq *q = c->rxq;
	unsigned n = 0;

	if (q == NULL || !(c->flags & CF_SACK))
		return 0;
	if (q->has_dsack) {
		out[n++] = q->dsack;
		q->has_dsack = false;
	}
	for (unsigned k = 0; k < q->n_recent && n < 4; k++) {
		uint32_t i = find(q, q->recent[k].start);
		struct bt_sack block;
		unsigned dup = 0;

		if (i < q->n && bt_seq_eq(q->pieces[i].end, q->recent[k].start) &&
		    !(q->has_fin && bt_seq_eq(q->fin, q->recent[k].start)))
			i++;
		if (i < q->n && bt_seq_le(q->pieces[i].start, q->recent[k].start))
			block = q->pieces[i];
		else if (q->has_fin && bt_seq_eq(q->fin, q->recent[k].start))
			block = (struct bt_sack){q->fin, q->fin};
		else
			continue;
		if (q->has_fin && bt_seq_eq(block.end, q->fin))
			block.end = bt_seq_add(block.end, 1);
		for (unsigned m = 0; m < n; m++)
			dup |= bt_seq_eq(out[m].start, block.start) &&
			       bt_seq_eq(out[m].end, block.end);
		if (!dup)
			out[n++] = block;
	}
	return n;
}

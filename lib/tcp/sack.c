/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scoreboard: what is in flight, segment by segment, in a ring in order of sequence numbers
 * (RFC 2018, 2883, 6675).
 *
 * A record is what was sent as one segment, up to 64 KiB; one that is SACKed in part is split at a
 * multiple of the MSS, never finer, so a peer cannot make more records than segments were sent
 * (CVE-2019-11477). A place is found by bisection; runs of SACKed records are stepped over by what
 * the first one remembers of the run, so an ACK in a window of thousands costs what changes.
 */
#include "tcb.h"

#define RING_FIRST 16u

bool bt_sack_room(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;
	uint32_t cap = f->cap == 0 ? RING_FIRST : f->cap * 4;
	struct bt_seg *ring;

	if (f->n < f->cap)
		return true;
	if (cap > BT_RING_MAX)
		return false;
	ring = bt_mem_get(&t->mem, cap * sizeof(ring[0]));
	if (ring == NULL)
		return false;
	for (uint32_t i = 0; i < f->n; i++)
		ring[i] = *bt_seg_at(f, i);
	if (f->ring != NULL)
		bt_mem_put(&t->mem, f->ring, f->cap * sizeof(ring[0]));
	f->ring = ring;
	f->cap = cap;
	f->head = 0;
	return true;
}

/* After bt_sack_room. */
struct bt_seg *bt_sack_push(struct bt_tcp *t, struct bt_conn *c, struct bt_seq seq, uint32_t len)
{
	struct bt_flight *f = c->flight;
	struct bt_seg *g = bt_seg_at(f, f->n++);

	bt_assert(f->n <= f->cap);
	g->seq = seq;
	g->len = len;
	g->skip = 0;
	g->flags = SEG_PIPE;
	g->tries = 0;
	bt_rate_sent(&f->rate, &g->mark, f->pipe == 0, t->now_ns);
	f->pipe += len;
	return g;
}

/* Record i becomes two, the first of len bytes. The shorter side of the ring moves. */
bool bt_sack_split(struct bt_tcp *t, struct bt_conn *c, uint32_t i, uint32_t len)
{
	struct bt_flight *f = c->flight;
	struct bt_seg *g, *rest;

	if (!bt_sack_room(t, c))
		return false;
	if (i >= f->n / 2) {
		for (uint32_t k = f->n; k > i + 1; k--)
			*bt_seg_at(f, k) = *bt_seg_at(f, k - 1);
	} else {
		f->head = (f->head - 1) & (f->cap - 1);
		for (uint32_t k = 0; k <= i; k++)
			*bt_seg_at(f, k) = *bt_seg_at(f, k + 1);
	}
	f->n++;
	g = bt_seg_at(f, i);
	rest = bt_seg_at(f, i + 1);
	bt_assert(len > 0 && len < g->len);
	*rest = *g;
	rest->seq = bt_seq_add(g->seq, len);
	rest->len = g->len - len;
	g->len = len;
	return true;
}

/* The first record that ends after seq; f->n: none. */
static uint32_t find(const struct bt_flight *f, struct bt_seq seq)
{
	uint32_t lo = 0, hi = f->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (bt_seq_lt(seq, bt_seg_end(bt_seg_at(f, mid))))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* How many SACKed records begin at i, as far as is known; learns from the run that follows. */
uint32_t bt_sack_step(struct bt_flight *f, uint32_t i)
{
	struct bt_seg *g = bt_seg_at(f, i);
	uint32_t n = g->skip == 0 ? 1 : g->skip;

	if (i + n < f->n && bt_seg_at(f, i + n)->flags & SEG_SACKED) {
		uint32_t more = bt_seg_at(f, i + n)->skip;

		n += more == 0 ? 1 : more;
	}
	g->skip = n;
	return n;
}

static void off_pipe(struct bt_flight *f, struct bt_seg *g)
{
	if (g->flags & SEG_PIPE)
		f->pipe -= g->len;
	if (g->flags & SEG_LOST)
		f->lost -= g->len;
	g->flags &= (uint8_t) ~(SEG_PIPE | SEG_LOST);
}

/* RFC 5682 asks which copy has arrived. */
static void note_copy(const struct bt_flight *f, const struct bt_seg *g, struct bt_ack *a)
{
	if (g->flags & SEG_AGAIN)
		a->again = true;
	else if (bt_seq_le(bt_seg_end(g), f->high))
		a->original = true;
}

/* Acked or SACKed for the first time. */
static void delivered(struct bt_tcp *t, struct bt_conn *c, struct bt_seg *g, struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	bt_rate_delivered(&f->rate, &a->rate, &g->mark, g->len, t->now_ns);
	bt_rack_delivered(t, c, g);
	note_copy(f, g, a);
	if (!(g->flags & SEG_AGAIN))
		a->rtt_ns = t->now_ns - g->mark.sent_ns;
	c->delivered += g->len <= c->mss ? 1 : (g->len + c->mss - 1) / c->mss;
	a->cc.delivered += g->len;
	off_pipe(f, g);
}

static void mark_sacked(struct bt_tcp *t, struct bt_conn *c, struct bt_seg *g, struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	delivered(t, c, g, a);
	g->flags |= SEG_SACKED;
	g->skip = 0;
	f->sacked += g->len;
	/* RFC 8985 6.2 step 3: an original that is SACKed after later ones */
	if (bt_seq_lt(f->high_sacked, bt_seg_end(g))) {
		f->high_sacked = bt_seg_end(g);
	} else if (!(g->flags & SEG_AGAIN)) {
		f->reordering = true;
		bt_count16(&c->reord_seen);
	}
}

static void sack_range(struct bt_tcp *t, struct bt_conn *c, struct bt_seq start, struct bt_seq end,
		       struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	for (uint32_t i = find(f, start); i < f->n;) {
		struct bt_seg *g = bt_seg_at(f, i);
		uint32_t cut;

		if (!bt_seq_lt(g->seq, end))
			return;
		if (g->flags & SEG_SACKED) {
			i += bt_sack_step(f, i);
			continue;
		}
		if (bt_seq_lt(g->seq, start)) {
			cut = start.n - g->seq.n + c->mss - 1;
			cut -= cut % c->mss;
			if (cut < g->len && !bt_sack_split(t, c, i, cut))
				return;
			i++;
			continue;
		}
		if (bt_seq_lt(end, bt_seg_end(g))) {
			cut = end.n - g->seq.n;
			cut -= cut % c->mss;
			if (cut == 0 || !bt_sack_split(t, c, i, cut))
				return;
			g = bt_seg_at(f, i);
		}
		mark_sacked(t, c, g, a);
		i++;
	}
}

/* RFC 2883 4: the first block says what came twice. */
static bool is_dsack(const struct bt_tcp_seg *s)
{
	const struct bt_sack *b = s->sack;

	if (bt_seq_le(b[0].end, s->ack))
		return true;
	return s->n_sack > 1 && bt_seq_le(b[1].start, b[0].start) && bt_seq_le(b[0].end, b[1].end);
}

/* RFC 3708 2: what has come twice of the last recovery's retransmissions. */
bool bt_sack_dsack(struct bt_conn *c, const struct bt_tcp_seg *s, struct bt_ack *a)
{
	const struct bt_sack *b = s->sack;
	uint32_t n;

	if (s->n_sack == 0 || !(c->flags & CF_SACK) || !is_dsack(s))
		return false;
	a->dsack = true;
	bt_count16(&c->dsack_dups);
	if (c->undo_again == 0 || bt_seq_le(b->end, c->undo_from) || !bt_seq_lt(b->start, b->end))
		return true;
	n = (b->end.n - b->start.n + c->mss - 1) / c->mss;
	c->undo_again = (uint16_t)(c->undo_again - bt_min32(c->undo_again, n));
	a->undone = c->undo_again == 0;
	return true;
}

void bt_sack_input(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in, struct bt_ack *a)
{
	struct bt_flight *f = c->flight;
	const struct bt_tcp_seg *s = &in->s;
	struct bt_seq low = bt_seq_lt(c->snd_una, s->ack) ? s->ack : c->snd_una;
	unsigned i = bt_sack_dsack(c, s, a) ? 1 : 0;

	if (f->sacked == 0)
		f->high_sacked = c->snd_una;
	for (; i < s->n_sack; i++) {
		struct bt_seq start = s->sack[i].start, end = s->sack[i].end;

		/* Nothing that was not sent, nor what is acked (RFC 2018 8 allows the latter). */
		if (bt_seq_lt(c->snd_nxt, end) || !bt_seq_lt(low, end))
			continue;
		if (!bt_seq_lt(start, end) || bt_seq_ahead(c->snd_una, start) < -(1 << 30))
			continue;
		if (bt_seq_lt(start, low))
			start = low;
		sack_range(t, c, start, end, a);
	}
}

/* The first n bytes of the oldest record have arrived: needs no second one. */
static void shorten(struct bt_tcp *t, struct bt_conn *c, struct bt_seg *g, uint32_t n,
		    struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	if (g->flags & SEG_PIPE)
		f->pipe -= n;
	if (g->flags & SEG_LOST)
		f->lost -= n;
	if (g->flags & SEG_SACKED) {
		f->sacked -= n;
	} else {
		bt_rate_delivered(&f->rate, &a->rate, &g->mark, n, t->now_ns);
		bt_rack_delivered(t, c, g);
		note_copy(f, g, a);
		if (!(g->flags & SEG_AGAIN))
			a->rtt_ns = t->now_ns - g->mark.sent_ns;
		c->delivered += (n + c->mss - 1) / c->mss;
		a->cc.delivered += n;
	}
	g->seq = bt_seq_add(g->seq, n);
	g->len -= n;
}

/* All before ack has arrived. */
void bt_sack_acked(struct bt_tcp *t, struct bt_conn *c, struct bt_seq ack, struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	while (f->n > 0) {
		struct bt_seg *g = bt_seg_at(f, 0);

		if (bt_seq_lt(ack, bt_seg_end(g))) {
			if (bt_seq_lt(g->seq, ack))
				shorten(t, c, g, ack.n - g->seq.n, a);
			return;
		}
		if (g->flags & SEG_SACKED)
			f->sacked -= g->len;
		else
			delivered(t, c, g, a);
		f->head = (f->head + 1) & (f->cap - 1);
		f->n--;
	}
}

void bt_sack_lost(struct bt_conn *c, struct bt_seg *g)
{
	struct bt_flight *f = c->flight;

	if (g->flags & (SEG_LOST | SEG_SACKED))
		return;
	off_pipe(f, g);
	g->flags |= SEG_LOST;
	if (f->lost == 0 || bt_seq_lt(g->seq, f->lost_hint))
		f->lost_hint = g->seq;
	f->lost += g->len;
}

void bt_sack_all_lost(struct bt_conn *c)
{
	for (uint32_t i = 0; i < c->flight->n; i++)
		bt_sack_lost(c, bt_seg_at(c->flight, i));
}

/* The losses were none. */
void bt_sack_none_lost(struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	for (uint32_t i = 0; i < f->n && f->lost > 0; i++) {
		struct bt_seg *g = bt_seg_at(f, i);

		if (!(g->flags & SEG_LOST))
			continue;
		f->lost -= g->len;
		f->pipe += g->len;
		g->flags = (uint8_t)((g->flags & ~SEG_LOST) | SEG_PIPE);
	}
}

/* RFC 2018 8: the peer may have thrown away what it SACKed. */
void bt_sack_renege(struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	for (uint32_t i = 0; i < f->n; i++) {
		struct bt_seg *g = bt_seg_at(f, i);

		if (!(g->flags & SEG_SACKED))
			continue;
		g->flags = (uint8_t)((g->flags & ~SEG_SACKED) | SEG_PIPE);
		g->skip = 0;
		f->pipe += g->len;
	}
	f->sacked = 0;
}

/* The first segment that is lost and was not sent again since, and its place; NULL: none. */
struct bt_seg *bt_sack_next_lost(struct bt_conn *c, uint32_t *at)
{
	struct bt_flight *f = c->flight;
	uint32_t i;

	if (f->lost == 0)
		return NULL;
	for (i = find(f, f->lost_hint); i < f->n;) {
		struct bt_seg *g = bt_seg_at(f, i);

		if (g->flags & SEG_LOST) {
			f->lost_hint = g->seq;
			*at = i;
			return g;
		}
		i += g->flags & SEG_SACKED ? bt_sack_step(f, i) : 1;
	}
	bt_assert(false);
	return NULL;
}

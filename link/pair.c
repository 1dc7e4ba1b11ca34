/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of a direction is a list whose head is being transmitted until busy_ns; the pipe is one
 * heap for both directions, ordered by (due, serial). settle() brings queue and pipe to a time and
 * is the only one to move a packet from one to the other.
 */
#include "pair.h"

#include "random.h"
#include "wide.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_CAP ((size_t)64 << 20)
#define PACKET_MAX  ((size_t)128 << 10)

struct packet {
	struct packet *next; /* in the queue */
	uint64_t due_ns, serial, sent_ns;
	uint32_t len;
	uint8_t to;
	bool overtakes;
	uint8_t data[];
};

struct direction {
	struct bt_link_settings s;
	struct bt_random random;
	struct packet *head, **tail;
	uint64_t busy_ns; /* when the head has been sent; of no meaning without one */
	bool bad;	  /* in a burst of losses */
	struct bt_pair_counts counts;
};

struct bt_pair {
	struct direction way[2];
	struct packet **heap;
	size_t n_heap, heap_room;
	size_t bytes, max_bytes;
	uint64_t serial, now_ns;
	struct packet *lent;
};

struct bt_pair *bt_pair_new(uint64_t seed, size_t max_bytes)
{
	struct bt_pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->max_bytes = max_bytes ? max_bytes : DEFAULT_CAP;
	for (unsigned i = 0; i < 2; i++) {
		p->way[i].s = bt_link_perfect;
		p->way[i].tail = &p->way[i].head;
		bt_random_seed(&p->way[i].random, seed * 2 + i);
	}
	return p;
}

static size_t cost(size_t len)
{
	return sizeof(struct packet) + len;
}

static void drop(struct bt_pair *p, struct packet *k)
{
	p->bytes -= cost(k->len);
	free(k);
}

static void give_back(struct bt_pair *p)
{
	if (p->lent != NULL)
		drop(p, p->lent);
	p->lent = NULL;
}

void bt_pair_free(struct bt_pair *p)
{
	if (p == NULL)
		return;
	give_back(p);
	for (unsigned i = 0; i < 2; i++)
		for (struct packet *k; (k = p->way[i].head) != NULL; drop(p, k))
			p->way[i].head = k->next;
	while (p->n_heap > 0)
		drop(p, p->heap[--p->n_heap]);
	free(p->heap);
	free(p);
}

/* ---- the pipe ---- */

static bool before(const struct packet *a, const struct packet *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->serial < b->serial;
}

static void sink(struct bt_pair *p, size_t at)
{
	struct packet *k = p->heap[at];

	for (size_t child; (child = at * 2 + 1) < p->n_heap; at = child) {
		if (child + 1 < p->n_heap && before(p->heap[child + 1], p->heap[child]))
			child++;
		if (before(k, p->heap[child]))
			break;
		p->heap[at] = p->heap[child];
	}
	p->heap[at] = k;
}

/* There is room: it was made when the packet came in. */
static void fly(struct bt_pair *p, struct packet *k)
{
	size_t at = p->n_heap++;

	for (; at > 0 && before(k, p->heap[(at - 1) / 2]); at = (at - 1) / 2)
		p->heap[at] = p->heap[(at - 1) / 2];
	p->heap[at] = k;
	p->way[!k->to].counts.flying_pkts++;
}

/* Room in the heap for every packet there is, and one more. */
static bool heap_reserve(struct bt_pair *p)
{
	uint64_t all = p->way[0].counts.waiting_pkts + p->way[1].counts.waiting_pkts + p->n_heap;
	size_t room = p->heap_room ? p->heap_room * 2 : 64;
	struct packet **heap;

	if (all < p->heap_room)
		return true;
	heap = realloc(p->heap, room * sizeof(struct packet *));
	if (heap == NULL)
		return false;
	p->heap = heap;
	p->heap_room = room;
	return true;
}

/* ---- queue and transmitter ---- */

static uint64_t transmission_ns(const struct direction *d, const struct packet *k)
{
	return d->s.rate_bits == 0 ? 0 : (uint64_t)k->len * 8 * 1000000000u / d->s.rate_bits;
}

static uint64_t pipe_ns(struct direction *d, const struct packet *k)
{
	uint64_t low = d->s.delay_ns > d->s.jitter_ns ? d->s.delay_ns - d->s.jitter_ns : 0;

	if (k->overtakes)
		return 0;
	if (d->s.jitter_ns == 0)
		return d->s.delay_ns;
	return low + bt_random_below(&d->random, d->s.delay_ns + d->s.jitter_ns - low + 1);
}

/* Sends all whose transmission ends by now. */
static void settle(struct bt_pair *p, uint64_t now_ns)
{
	p->now_ns = now_ns > p->now_ns ? now_ns : p->now_ns;
	for (unsigned i = 0; i < 2; i++) {
		struct direction *d = &p->way[i];
		struct packet *k;

		while ((k = d->head) != NULL && d->busy_ns <= p->now_ns) {
			d->head = k->next;
			if (d->head == NULL)
				d->tail = &d->head;
			d->counts.waiting_pkts--;
			d->counts.waiting_bytes -= k->len;
			k->due_ns = d->busy_ns + pipe_ns(d, k);
			fly(p, k);
			if (d->head != NULL)
				d->busy_ns += transmission_ns(d, d->head);
		}
	}
}

static void enqueue(struct bt_pair *p, struct direction *d, struct packet *k)
{
	if (d->head == NULL)
		d->busy_ns = p->now_ns + transmission_ns(d, k);
	k->next = NULL;
	*d->tail = k;
	d->tail = &k->next;
	d->counts.waiting_pkts++;
	d->counts.waiting_bytes += k->len;
}

/* ---- what comes in ---- */

static struct packet *copy(struct bt_pair *p, const struct iovec *parts, size_t n, size_t len)
{
	struct packet *k;
	size_t at = 0;

	if (len > PACKET_MAX || cost(len) > p->max_bytes - p->bytes || !heap_reserve(p))
		return NULL;
	k = malloc(cost(len));
	if (k == NULL)
		return NULL;
	for (size_t i = 0; i < n; at += parts[i++].iov_len)
		if (parts[i].iov_len > 0)
			memcpy(k->data + at, parts[i].iov_base, parts[i].iov_len);
	k->len = (uint32_t)len;
	p->bytes += cost(len);
	return k;
}

static bool queue_has_room(const struct direction *d, size_t len)
{
	return d->counts.waiting_pkts < d->s.limit_pkts &&
	       (d->s.limit_bytes == 0 || d->counts.waiting_bytes + len <= d->s.limit_bytes);
}

static void send_copy(struct bt_pair *p, unsigned from, const struct iovec *parts, size_t n,
		      size_t len)
{
	struct direction *d = &p->way[from];
	bool corrupt = bt_random_chance(&d->random, d->s.corrupt_ppm) && len > 0;
	struct packet *k;

	if (!queue_has_room(d, len)) {
		d->counts.queue++;
		return;
	}
	k = copy(p, parts, n, len);
	if (k == NULL) {
		d->counts.no_memory++;
		return;
	}
	k->to = (uint8_t)!from;
	k->sent_ns = p->now_ns;
	k->serial = p->serial++;
	k->overtakes = bt_random_chance(&d->random, d->s.reorder_ppm);
	d->counts.reordered += k->overtakes;
	if (corrupt) {
		uint64_t bit = bt_random_below(&d->random, (uint64_t)len * 8);
		k->data[bit / 8] = (uint8_t)(k->data[bit / 8] ^ 1u << bit % 8);
		d->counts.corrupted++;
	}
	enqueue(p, d, k);
	settle(p, p->now_ns);
}

/* True if the wire loses the next packet. */
static bool loses(struct direction *d)
{
	if (d->s.down) {
		d->counts.down++;
		return true;
	}
	/* A burst that was under way when bursts were switched off is over. */
	if (bt_random_chance(&d->random, d->bad ? d->s.burst_leave_ppm : d->s.burst_enter_ppm))
		d->bad = !d->bad;
	d->bad = d->bad && d->s.burst_enter_ppm != 0;
	if (d->bad) {
		d->counts.burst++;
		return true;
	}
	if (bt_random_chance(&d->random, d->s.loss_ppm)) {
		d->counts.lost++;
		return true;
	}
	return false;
}

void bt_pair_in(struct bt_pair *p, unsigned from, const struct iovec *parts, size_t n,
		uint64_t now_ns)
{
	struct direction *d = &p->way[from & 1];
	size_t len = 0;

	give_back(p);
	settle(p, now_ns);
	for (size_t i = 0; i < n; i++)
		len += parts[i].iov_len;
	d->counts.in_pkts++;
	d->counts.in_bytes += len;
	if (loses(d))
		return;
	send_copy(p, from & 1, parts, n, len);
	if (bt_random_chance(&d->random, d->s.duplicate_ppm)) {
		d->counts.duplicated++;
		send_copy(p, from & 1, parts, n, len);
	}
}

bool bt_pair_passes(const struct bt_pair *p, unsigned from)
{
	const struct direction *d = &p->way[from & 1];

	return p->n_heap == 0 && d->head == NULL && bt_link_passes(&d->s);
}

void bt_pair_passed(struct bt_pair *p, unsigned from, uint64_t pkts, uint64_t bytes)
{
	struct bt_pair_counts *c = &p->way[from & 1].counts;

	c->in_pkts += pkts;
	c->in_bytes += bytes;
	c->out_pkts += pkts;
	c->out_bytes += bytes;
}

/* ---- what comes out ---- */

static struct packet *land(struct bt_pair *p)
{
	struct packet *k = p->heap[0];

	p->heap[0] = p->heap[--p->n_heap];
	if (p->n_heap > 0)
		sink(p, 0);
	p->way[!k->to].counts.flying_pkts--;
	return k;
}

bool bt_pair_out(struct bt_pair *p, uint64_t now_ns, struct bt_pair_packet *packet)
{
	struct direction *d;
	struct packet *k;

	give_back(p);
	settle(p, now_ns);
	if (p->n_heap == 0 || p->heap[0]->due_ns > p->now_ns)
		return false;
	k = p->lent = land(p);
	d = &p->way[!k->to];
	d->counts.out_pkts++;
	d->counts.out_bytes += k->len;
	*packet = (struct bt_pair_packet){k->to, k->data, k->len, k->sent_ns, k->due_ns};
	return true;
}

uint64_t bt_pair_deadline(const struct bt_pair *p)
{
	uint64_t at = p->n_heap > 0 ? p->heap[0]->due_ns : UINT64_MAX;

	for (unsigned i = 0; i < 2; i++)
		if (p->way[i].head != NULL && p->way[i].busy_ns < at)
			at = p->way[i].busy_ns;
	return at;
}

/* ---- settings ---- */

/* Loses all that is on its way from an end. */
static void cut(struct bt_pair *p, unsigned from)
{
	struct direction *d = &p->way[from];
	size_t kept = 0;

	for (struct packet *k; (k = d->head) != NULL; drop(p, k)) {
		d->head = k->next;
		d->counts.down++;
	}
	d->tail = &d->head;
	d->counts.waiting_pkts = d->counts.waiting_bytes = d->counts.flying_pkts = 0;
	for (size_t i = 0; i < p->n_heap; i++) {
		if (p->heap[i]->to == from) {
			p->heap[kept++] = p->heap[i];
			continue;
		}
		drop(p, p->heap[i]);
		d->counts.down++;
	}
	p->n_heap = kept;
	for (size_t i = kept / 2; i-- > 0;)
		sink(p, i);
}

void bt_pair_set(struct bt_pair *p, unsigned from, const struct bt_link_settings *s,
		 uint64_t now_ns)
{
	struct direction *d = &p->way[from & 1];
	uint64_t old = d->s.rate_bits;

	give_back(p);
	settle(p, now_ns);
	d->s = *s;
	if (s->down)
		cut(p, from & 1);
	/* The bits of the packet being sent that are left go at the new rate. */
	if (d->head != NULL && old != s->rate_bits)
		d->busy_ns = p->now_ns + (s->rate_bits == 0
						  ? 0
						  : (uint64_t)((bt_wide)(d->busy_ns - p->now_ns) *
							       old / s->rate_bits));
	settle(p, p->now_ns);
}

const struct bt_link_settings *bt_pair_settings(const struct bt_pair *p, unsigned from)
{
	return &p->way[from & 1].s;
}

void bt_pair_counts(const struct bt_pair *p, unsigned from, struct bt_pair_counts *counts)
{
	*counts = p->way[from & 1].counts;
}

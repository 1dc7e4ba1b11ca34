/* SPDX-License-Identifier: Apache-2.0 */
/* Which socket a packet belongs to: the 5-tuple hash, listeners, and the ends of TIME_WAIT. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the 5-tuple hash ---- */

bool btp_table_grow(struct table *table)
{
	uint32_t size = table->size == 0 ? 1024 : table->size * 2;
	uint32_t *heads = realloc(table->heads, size * sizeof(heads[0]));

	if (heads == NULL)
		return false;
	memset(heads + table->size, 0xff, (size - table->size) * sizeof(heads[0]));
	table->heads = heads;
	table->size = size;
	return true;
}

void btp_enter_tuple(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);

	btp_tuples_add(net, slot);
	s->flags |= SF_TUPLE;
	if (btp_in_dest(s))
		btp_enter_dest(net, slot);
}

/* ---- TIME_WAIT: a heap by time of expiry, each socket knowing its place ---- */

static void heap_put(struct bt_port_net *net, uint32_t at, struct time_wait tw)
{
	net->heap[at] = tw;
	sock_at(net, tw.slot)->aux = at;
}

/* Moves the hole at `at` to where tw belongs. */
static void heap_settle(struct bt_port_net *net, uint32_t at, struct time_wait tw)
{
	while (at > 0 && net->heap[(at - 1) / 2].expires > tw.expires) {
		heap_put(net, at, net->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < net->n_heap &&
		    net->heap[child + 1].expires < net->heap[child].expires)
			child++;
		if (child >= net->n_heap || net->heap[child].expires >= tw.expires)
			break;
		heap_put(net, at, net->heap[child]);
		at = child;
	}
	heap_put(net, at, tw);
}

static void heap_remove(struct bt_port_net *net, uint32_t at)
{
	struct time_wait last = net->heap[--net->n_heap];

	if (at < net->n_heap)
		heap_settle(net, at, last);
}

uint64_t btp_expires(const struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);

	return s->state == BT_TIME_WAIT ? net->heap[s->aux].expires : 0;
}

/* Tells the destination that one of its connections waits, or no longer does. */
static void dest_time_wait(struct bt_port_net *net, const struct psock *s, bool enters,
			   uint64_t now_ns)
{
	struct dest *d;

	if (!btp_in_dest(s))
		return;
	d = dest_at(net, btp_find_dest(net, s->host, &s->laddr, &s->raddr, s->rport));
	if (enters && (d->n_time_wait == 0 || now_ns < d->oldest_ns))
		d->oldest_ns = now_ns;
	d->n_time_wait += enters ? 1 : UINT32_MAX;
}

static bool heap_reserve(struct bt_port_net *net)
{
	uint32_t cap = net->heap_cap == 0 ? 64 : net->heap_cap + net->heap_cap / 2;
	struct time_wait *heap;

	if (net->n_heap < net->heap_cap)
		return true;
	heap = realloc(net->heap, cap * sizeof(heap[0]));
	if (heap == NULL)
		return false;
	net->heap = heap;
	net->heap_cap = cap;
	return true;
}

/* Out of memory: it gives everything up now, as in Linux when there are too many. */
static void skip_time_wait(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);

	btp_leave_tuple(net, slot);
	btp_leave_bucket(net, slot);
	s->lport = 0;
	s->flags &= (uint8_t) ~(SF_PORT_LOCK | SF_HELD);
	s->state = BT_TIME_WAIT;
	s->class_prev = BT_NO_SLOT;
	s->class_next = net->skipped;
	if (net->skipped != BT_NO_SLOT)
		sock_at(net, net->skipped)->class_prev = slot;
	net->skipped = slot;
}

static void leave_skipped(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);

	if (s->class_prev == BT_NO_SLOT)
		net->skipped = s->class_next;
	else
		sock_at(net, s->class_prev)->class_next = s->class_next;
	if (s->class_next != BT_NO_SLOT)
		sock_at(net, s->class_next)->class_prev = s->class_prev;
	s->class_next = s->class_prev = BT_NO_SLOT;
}

static struct time_wait time_wait_from(const struct bt_port_net *net, uint32_t slot,
				       uint64_t now_ns)
{
	uint64_t wait = net->hosts[sock_at(net, slot)->host]->conf.time_wait_ns;

	return (struct time_wait){
		.expires = now_ns + wait < now_ns ? UINT64_MAX : now_ns + wait,
		.slot = slot,
		.wait_us = wait / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(wait / 1000),
	};
}

void bt_port_time_wait(struct bt_port_net *net, uint32_t slot, uint64_t now_ns)
{
	struct psock *s;
	struct time_wait tw;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	if (s->proto != BT_TCP || !(s->flags & SF_TUPLE) || s->state == BT_TIME_WAIT)
		return;
	tw = time_wait_from(net, slot, now_ns);
	if (!heap_reserve(net) || !btp_reserve(net, s)) {
		skip_time_wait(net, slot);
		return;
	}
	btp_change_begin(net, slot);
	s->state = BT_TIME_WAIT;
	btp_change_end(net, slot);
	dest_time_wait(net, s, true, now_ns);
	heap_settle(net, net->n_heap++, tw);
}

int bt_port_part(struct bt_port_net *net, uint32_t slot, uint32_t *waits)
{
	struct time_wait tw;
	struct psock *s, *w;
	int r;

	if (!btp_slot_used(net, slot))
		return -EBADF;
	s = sock_at(net, slot);
	if (s->state != BT_TIME_WAIT || !(s->flags & SF_TUPLE))
		return -EINVAL;
	if (!btp_reserve(net, s))
		return -ENOMEM;
	r = bt_port_new(net, s->host, BT_TCP, (enum bt_family)s->family, s->uid, waits);
	if (r < 0)
		return r;
	tw = net->heap[s->aux];
	tw.slot = *waits;
	btp_leave_tuple(net, slot);
	w = sock_at(net, *waits);
	w->laddr = s->laddr;
	w->raddr = s->raddr;
	w->lport = s->lport;
	w->rport = s->rport;
	w->state = BT_TIME_WAIT;
	w->opts = s->opts;
	w->dev = s->dev;
	w->flags |= s->flags & (SF_PORT_LOCK | SF_ADDR_LOCK | SF_HELD | SF_V6_ADDR);
	btp_enter_bucket(net, *waits);
	btp_enter_tuple(net, *waits);
	dest_time_wait(net, w, true, tw.expires - tw.wait_us * (uint64_t)1000);
	heap_settle(net, net->n_heap++, tw);
	if (s->flags & SF_PORT_LOCK) {
		btp_change_begin(net, slot);
		s->state = BT_CLOSE;
		btp_change_end(net, slot);
		return 0;
	}
	btp_leave_bucket(net, slot);
	s->state = BT_CLOSE;
	s->lport = 0;
	s->flags &= (uint8_t)~SF_HELD;
	return 0;
}

void bt_port_time_wait_again(struct bt_port_net *net, uint32_t slot, uint64_t now_ns)
{
	const struct psock *s;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	if (s->state == BT_TIME_WAIT && s->flags & SF_TUPLE) /* else it skips TIME_WAIT */
		heap_settle(net, s->aux, time_wait_from(net, slot, now_ns));
}

uint32_t bt_port_expired(struct bt_port_net *net, uint64_t now_ns)
{
	if (net->skipped != BT_NO_SLOT)
		return net->skipped;
	return net->n_heap > 0 && net->heap[0].expires <= now_ns ? net->heap[0].slot : BT_NO_SLOT;
}

uint64_t bt_port_deadline(const struct bt_port_net *net)
{
	if (net->skipped != BT_NO_SLOT)
		return 0;
	return net->n_heap > 0 ? net->heap[0].expires : UINT64_MAX;
}

void btp_leave_tuple(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);

	if (!(s->flags & SF_TUPLE)) {
		if (s->state == BT_TIME_WAIT)
			leave_skipped(net, slot);
		return;
	}
	if (s->state == BT_TIME_WAIT) {
		dest_time_wait(net, s, false, 0);
		heap_remove(net, s->aux);
	}
	btp_tuples_del(net, slot);
	s->flags &= (uint8_t)~SF_TUPLE;
	if (btp_in_dest(s))
		btp_leave_dest(net, slot);
}

void bt_port_set_dev(struct bt_port_net *net, uint32_t slot, uint8_t dev)
{
	struct psock *s;
	bool chosen;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	if (s->dev == dev || s->state == BT_TIME_WAIT)
		return;
	net->devices = true;
	chosen = s->proto == BT_TCP && s->flags & SF_TUPLE && !(s->flags & SF_HELD);
	if (s->lport != 0 && !btp_reserve(net, s))
		return;
	if (chosen && dev == 0 &&
	    !btp_reserve_dest(net, btp_find_dest(net, s->host, &s->laddr, &s->raddr, s->rport)))
		return;
	btp_change_begin(net, slot);
	if (chosen && s->dev == 0)
		btp_leave_dest(net, slot);
	s->dev = dev;
	if (chosen && dev == 0)
		btp_enter_dest(net, slot);
	btp_change_end(net, slot);
}

/* ---- listeners and unconnected UDP sockets ---- */

/* -1: the class does not receive what is sent to laddr and arrives on the device. */
static int score(const struct class *c, const struct bt_addr *laddr, bool v4, uint8_t dev)
{
	const struct bt_addr *a = &c->key.laddr;
	int plus = v4 && c->key.family == BT_V4 ? 1 : 0;

	if (c->key.dev != 0 && c->key.dev != dev)
		return -1;
	if (c->key.dev != 0) /* compute_score of udp.c, of inet_hashtables.c */
		plus += c->key.kind == KIND_PLAIN ? 4 : 1;
	if (!v4 && c->key.family == BT_V4)
		return -1;
	if (v4 && c->key.opts & BT_V6ONLY)
		return -1;
	if (!bt_addr_is_any(a))
		return bt_addr_eq(a, laddr) ? 8 + plus : -1;
	/* ::ffff:0.0.0.0 of an IPv6 socket is for IPv4 only. */
	return v4 || !bt_addr_is_v4(a) ? plus : -1;
}

/* True if SO_REUSEPORT makes them one group (inet_reuseport_add_sock, udp_reuseport_add_sock). */
static bool one_group(const struct class_key *a, const struct class_key *b)
{
	return a->kind == b->kind && a->opts & b->opts & BT_REUSEPORT && a->uid == b->uid &&
	       a->family == b->family && a->dev == b->dev && !((a->opts ^ b->opts) & BT_V6ONLY) &&
	       bt_addr_eq(&a->laddr, &b->laddr);
}

/* One of the members of the best class's group, by hash. */
static uint32_t spread(const struct bt_port_net *net, const struct class *first,
		       const struct class *best, const struct tuple *t)
{
	uint32_t total = 0;
	uint64_t k = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (const struct class *c = first; c != NULL; c = next_class(net, c)) {
			uint32_t slot = c->head;

			if (!one_group(&c->key, &best->key))
				continue;
			if (pass == 0) {
				total += c->count;
			} else if (k >= c->count) {
				k -= c->count;
			} else {
				for (; k > 0; k--)
					slot = sock_at(net, slot)->class_next;
				return slot;
			}
		}
		if (pass == 0)
			k = (bt_siphash(net->key, t, sizeof(*t)) >> 32) * total >> 32;
	}
	return best->head;
}

static void note(struct bt_port_trace *trace, const struct class *c, int score)
{
	if (trace->n < BT_PORT_CANDIDATES)
		trace->candidates[trace->n++] =
			(struct bt_port_candidate){c->head, c->count, score, false};
	else
		trace->more++;
}

static void note_group(const struct bt_port_net *net, struct bt_port_trace *trace,
		       const struct class *first, const struct class *best)
{
	uint32_t i = 0;

	for (const struct class *c = first; c != NULL && i < trace->n; c = next_class(net, c))
		trace->candidates[i++].group = one_group(&c->key, &best->key);
}

/* trace: NULL, or where to note what was looked at. */
static uint32_t find_unconnected(const struct bt_port_net *net, const struct tuple *t,
				 enum class_kind kind, uint8_t dev, struct bt_port_trace *trace)
{
	const struct host *h = btp_host(net, t->host);
	const struct space *sp = h == NULL ? NULL : h->space[t->proto == BT_UDP];
	bool v4 = bt_addr_is_v4(&t->laddr);
	const struct class *first, *best = NULL;
	struct class sole;
	int high = -1;

	if (sp == NULL)
		return BT_NO_SLOT;
	first = btp_first_class(net, sp, t->lport, &sole);
	for (const struct class *c = first; c != NULL; c = next_class(net, c)) {
		int n = c->key.kind == kind ? score(c, &t->laddr, v4, dev) : -1;

		if (trace != NULL)
			note(trace, c, n);
		if (n < 0 || n < high)
			continue;
		if (n > high || sock_at(net, c->head)->aux > sock_at(net, best->head)->aux)
			best = c;
		high = n;
	}
	if (best == NULL)
		return BT_NO_SLOT;
	if (trace != NULL)
		note_group(net, trace, first, best);
	return best->key.opts & BT_REUSEPORT ? spread(net, first, best, t) : best->head;
}

/* True if the member of the class c receives what goes to several sockets: udp_v4_mcast_next. */
static bool gets_copy(const struct bt_port_net *net, const struct class *c, uint32_t slot,
		      const struct tuple *t, uint8_t dev)
{
	const struct psock *s = sock_at(net, slot);

	if (score(c, &t->laddr, bt_addr_is_v4(&t->laddr), dev) < 0)
		return false;
	return s->state != BT_ESTABLISHED ||
	       (s->rport == t->rport && bt_addr_eq(&s->raddr, &t->raddr));
}

uint32_t bt_port_lookup_next(const struct bt_port_net *net, uint16_t host,
			     const struct bt_addr *laddr, uint16_t lport,
			     const struct bt_addr *raddr, uint16_t rport, uint8_t dev,
			     uint32_t after)
{
	const struct tuple t = {*laddr, *raddr, lport, rport, host, BT_UDP};
	const struct host *h = btp_host(net, host);
	const struct space *sp = h == NULL ? NULL : h->space[1];
	const struct class *c;
	struct class_key key;
	struct class sole;
	uint32_t slot;

	if (sp == NULL)
		return BT_NO_SLOT;
	c = btp_first_class(net, sp, lport, &sole);
	slot = c == NULL ? BT_NO_SLOT : c->head;
	if (after != BT_NO_SLOT) {
		key = btp_class_key(sock_at(net, after));
		while (c != NULL && memcmp(&c->key, &key, sizeof(key)) != 0)
			c = next_class(net, c);
		slot = sock_at(net, after)->class_next;
	}
	while (c != NULL) {
		for (; slot != BT_NO_SLOT; slot = sock_at(net, slot)->class_next)
			if (gets_copy(net, c, slot, &t, dev))
				return slot;
		c = next_class(net, c);
		slot = c == NULL ? BT_NO_SLOT : c->head;
	}
	return BT_NO_SLOT;
}

static uint32_t lookup(const struct bt_port_net *net, const struct tuple *t, uint8_t dev,
		       struct bt_port_trace *trace)
{
	uint64_t hash = btp_hash(net, t);
	uint32_t slot = btp_find_hashed(net, hash, t, dev);

	if (slot != BT_NO_SLOT) {
		if (trace != NULL)
			trace->connected = true;
		return slot;
	}
	btp_keep_hash(net, t, hash); /* perhaps a connection begins */
	return find_unconnected(net, t, t->proto == BT_UDP ? KIND_PLAIN : KIND_LISTEN, dev, trace);
}

uint32_t bt_port_lookup(const struct bt_port_net *net, uint16_t host, enum bt_proto proto,
			const struct bt_addr *laddr, uint16_t lport, const struct bt_addr *raddr,
			uint16_t rport, uint8_t dev)
{
	struct tuple t = {*laddr, *raddr, lport, rport, host, (uint16_t)proto};
	return lookup(net, &t, dev, NULL);
}

uint32_t bt_port_explain(const struct bt_port_net *net, uint16_t host, enum bt_proto proto,
			 const struct bt_addr *laddr, uint16_t lport, const struct bt_addr *raddr,
			 uint16_t rport, uint8_t dev, struct bt_port_trace *trace)
{
	struct tuple t = {*laddr, *raddr, lport, rport, host, (uint16_t)proto};

	memset(trace, 0, sizeof(*trace));
	return lookup(net, &t, dev, trace);
}

uint32_t bt_port_lookup_listener(const struct bt_port_net *net, uint16_t host,
				 const struct bt_addr *laddr, uint16_t lport,
				 const struct bt_addr *raddr, uint16_t rport, uint8_t dev)
{
	struct tuple t = {*laddr, *raddr, lport, rport, host, BT_TCP};

	return find_unconnected(net, &t, KIND_LISTEN, dev, NULL);
}

void bt_port_ends(const struct bt_port_net *net, uint32_t slot, struct bt_port_ends *ends)
{
	const struct psock *s = sock_at(net, slot);

	*ends = (struct bt_port_ends){s->laddr, s->raddr, s->lport, s->rport,
				      s->host,	s->dev,	  s->family};
}

/* The socket of the query before is tried first: packets come in trains. Where devices may make two
 * sockets of one 4-tuple, the newest is to be found, by the hash. */
static bool is_hint(const struct bt_port_net *net, uint32_t slot, const struct tuple *t)
{
	const struct psock *s;

	if (slot >= net->n_fresh || net->devices)
		return false;
	s = sock_at(net, slot);
	return s->flags & SF_TUPLE && btp_tuple_is(s, t);
}

static struct tuple asked(const struct bt_port_query *q, uint16_t proto)
{
	return (struct tuple){*q->laddr, *q->raddr, q->lport, q->rport, q->host, proto};
}

/* The tuple and the device are those of the query before. */
static bool same_query(const struct bt_port_query *a, const struct bt_port_query *b)
{
	return a->lport == b->lport && a->rport == b->rport && a->host == b->host &&
	       a->dev == b->dev && bt_addr_eq(a->raddr, b->raddr) && bt_addr_eq(a->laddr, b->laddr);
}

void bt_port_lookup_begin(const struct bt_port_net *net, enum bt_proto proto,
			  const struct bt_port_query *q, size_t n, uint32_t hint,
			  struct bt_port_batch *batch, uint32_t *slots)
{
	batch->q = q;
	batch->n = n;
	batch->proto = (uint16_t)proto;
	batch->hint = hint;
	for (size_t i = 0; i < n; i++) {
		struct tuple t;

		batch->same[i] = i > 0 && same_query(&q[i], &q[i - 1]);
		if (batch->same[i])
			continue;
		t = asked(&q[i], batch->proto);
		if (i == 0 && is_hint(net, hint, &t)) {
			batch->same[0] = true;
			continue;
		}
		batch->hash[i] = btp_hash(net, &t);
		__builtin_prefetch(btp_bucket(net, batch->hash[i]));
	}
	for (size_t i = 0; i < n; i++) {
		if (batch->same[i])
			slots[i] = i > 0 ? slots[i - 1] : hint;
		else
			slots[i] = btp_prefetch_socket(net, batch->hash[i]);
	}
}

void bt_port_lookup_end(const struct bt_port_net *net, const struct bt_port_batch *batch,
			uint32_t *slots)
{
	enum class_kind kind = batch->proto == BT_UDP ? KIND_PLAIN : KIND_LISTEN;

	for (size_t i = 0; i < batch->n; i++) {
		struct tuple t;

		if (batch->same[i]) {
			slots[i] = i > 0 ? slots[i - 1] : batch->hint;
			continue;
		}
		t = asked(&batch->q[i], batch->proto);
		slots[i] = btp_find_hashed(net, batch->hash[i], &t, batch->q[i].dev);
		if (slots[i] == BT_NO_SLOT) {
			slots[i] = find_unconnected(net, &t, kind, batch->q[i].dev, NULL);
			btp_keep_hash(net, &t, batch->hash[i]);
		}
	}
}

void bt_port_lookup_batch(const struct bt_port_net *net, enum bt_proto proto,
			  const struct bt_port_query *q, size_t n, uint32_t hint, uint32_t *slots)
{
	struct bt_port_batch batch;

	bt_port_lookup_begin(net, proto, q, n, hint, &batch, slots);
	bt_port_lookup_end(net, &batch, slots);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which socket a packet belongs to: the 5-tuple hash, listeners, and the ends of TIME_WAIT. */
#include "internal.h"

#include <stdlib.h>

/* ---- the 5-tuple hash ---- */

struct tuple btp_tuple(const struct psock *s)
{
	return (struct tuple){s->laddr, s->raddr, s->lport, s->rport, s->host, s->proto};
}

static uint32_t *tuple_head(const struct bt_port_net *net, const struct tuple *t)
{
	return &net->tuples.heads[bt_siphash(net->key, t, sizeof(*t)) & (net->tuples.size - 1)];
}

static bool tuple_is(const struct psock *s, const struct tuple *t)
{
	return s->lport == t->lport && s->rport == t->rport && s->host == t->host &&
	       s->proto == t->proto && bt_addr_eq(&s->raddr, &t->raddr) &&
	       bt_addr_eq(&s->laddr, &t->laddr);
}

static uint32_t find_in_chain(const struct bt_port_net *net, uint32_t i, const struct tuple *t,
			      uint8_t dev)
{
	for (; i != BT_NO_SLOT; i = sock_at(net, i)->hash_next) {
		const struct psock *s = sock_at(net, i);

		if (tuple_is(s, t) && (s->dev == 0 || s->dev == dev))
			break;
	}
	return i;
}

uint32_t btp_find_tuple(const struct bt_port_net *net, const struct tuple *t, uint8_t dev)
{
	return find_in_chain(net, *tuple_head(net, t), t, dev);
}

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

/* Chains are in order of age, the newest first. Without memory: longer chains. */
static void tuples_grow(struct bt_port_net *net)
{
	struct table *table = &net->tuples;
	uint32_t old_size = table->size;

	if (!btp_table_grow(table))
		return;
	for (uint32_t i = 0; i < old_size; i++) {
		uint32_t slot = table->heads[i];
		uint32_t *end[2] = {&table->heads[i], &table->heads[i + old_size]};

		for (; slot != BT_NO_SLOT; slot = sock_at(net, slot)->hash_next) {
			struct tuple t = btp_tuple(sock_at(net, slot));
			bool upper = tuple_head(net, &t) != &table->heads[i];

			*end[upper] = slot;
			end[upper] = &sock_at(net, slot)->hash_next;
		}
		*end[0] = *end[1] = BT_NO_SLOT;
	}
}

void btp_enter_tuple(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	struct tuple t = btp_tuple(s);
	uint32_t *head;

	if (net->tuples.count >= net->tuples.size && net->tuples.size < 1u << 30)
		tuples_grow(net);
	head = tuple_head(net, &t);
	s->hash_next = *head;
	*head = slot;
	net->tuples.count++;
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
	struct tuple t = btp_tuple(s);
	uint32_t *link;

	if (!(s->flags & SF_TUPLE)) {
		if (s->state == BT_TIME_WAIT)
			leave_skipped(net, slot);
		return;
	}
	if (s->state == BT_TIME_WAIT) {
		dest_time_wait(net, s, false, 0);
		heap_remove(net, s->aux);
	}
	for (link = tuple_head(net, &t); *link != slot; link = &sock_at(net, *link)->hash_next)
		;
	*link = s->hash_next;
	s->hash_next = BT_NO_SLOT;
	s->flags &= (uint8_t)~SF_TUPLE;
	net->tuples.count--;
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

static uint32_t find_unconnected(const struct bt_port_net *net, const struct tuple *t,
				 enum class_kind kind, uint8_t dev)
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

		if (n < 0 || n < high)
			continue;
		if (n > high || sock_at(net, c->head)->aux > sock_at(net, best->head)->aux)
			best = c;
		high = n;
	}
	if (best == NULL)
		return BT_NO_SLOT;
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

uint32_t bt_port_lookup(const struct bt_port_net *net, uint16_t host, enum bt_proto proto,
			const struct bt_addr *laddr, uint16_t lport, const struct bt_addr *raddr,
			uint16_t rport, uint8_t dev)
{
	struct tuple t = {*laddr, *raddr, lport, rport, host, (uint16_t)proto};
	uint32_t slot = btp_find_tuple(net, &t, dev);

	if (slot != BT_NO_SLOT)
		return slot;
	return find_unconnected(net, &t, proto == BT_UDP ? KIND_PLAIN : KIND_LISTEN, dev);
}

uint32_t bt_port_lookup_listener(const struct bt_port_net *net, uint16_t host,
				 const struct bt_addr *laddr, uint16_t lport,
				 const struct bt_addr *raddr, uint16_t rport, uint8_t dev)
{
	struct tuple t = {*laddr, *raddr, lport, rport, host, BT_TCP};

	return find_unconnected(net, &t, KIND_LISTEN, dev);
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
	return s->flags & SF_TUPLE && tuple_is(s, t);
}

void bt_port_lookup_batch(const struct bt_port_net *net, enum bt_proto proto,
			  const struct bt_port_query *q, size_t n, uint32_t hint, uint32_t *slots)
{
	struct tuple t[BT_PORT_BATCH];
	uint32_t *heads[BT_PORT_BATCH];
	bool same[BT_PORT_BATCH];

	for (size_t i = 0; i < n; i++) {
		t[i] = (struct tuple){*q[i].laddr, *q[i].raddr, q[i].lport,
				      q[i].rport,  q[i].host,	(uint16_t)proto};
		same[i] = i > 0 ? memcmp(&t[i], &t[i - 1], sizeof(t[0])) == 0
				: is_hint(net, hint, &t[0]);
		if (same[i])
			continue;
		heads[i] = tuple_head(net, &t[i]);
		__builtin_prefetch(heads[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (!same[i] && *heads[i] != BT_NO_SLOT)
			__builtin_prefetch(sock_at(net, *heads[i]));
	for (size_t i = 0; i < n; i++) {
		if (same[i] && (i == 0 || q[i].dev == q[i - 1].dev)) {
			slots[i] = i > 0 ? slots[i - 1] : hint;
			continue;
		}
		slots[i] = find_in_chain(net, *(same[i] ? tuple_head(net, &t[i]) : heads[i]), &t[i],
					 q[i].dev);
		if (slots[i] == BT_NO_SLOT)
			slots[i] = find_unconnected(
				net, &t[i], proto == BT_UDP ? KIND_PLAIN : KIND_LISTEN, q[i].dev);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 5-tuple hash. A bucket is one line of the cache: twelve slots, each with eight bits of its
 * tuple's hash, so that a look-up waits for the bucket and for the one socket whose tag is right.
 * A full bucket's sockets go to the next one; `passed` counts them, and where it is 0 a search
 * ends. Sockets with the same tuple (of UDP, or with devices) are one entry: a list, the newest
 * first.
 */
#include "internal.h"

#include <stdlib.h>

#define FIRST_BUCKETS 16u
#define MAX_BUCKETS   (1u << 28)
#define FULL	      10u /* entries for each bucket on average, when the table is doubled */

struct tuple btp_tuple(const struct psock *s)
{
	return (struct tuple){s->laddr, s->raddr, s->lport, s->rport, s->host, s->proto};
}

static inline uint64_t word(const void *p, unsigned i)
{
	uint64_t w;

	memcpy(&w, (const char *)p + 8 * i, sizeof(w));
	return w;
}

/* All but the last byte of the last word. */
static inline bool is(const struct psock *s, const struct tuple *t)
{
	uint64_t differ = (word(s, 4) ^ word(t, 4)) << 8;

	for (unsigned i = 0; i < 4; i++)
		differ |= word(s, i) ^ word(t, i);
	return differ == 0;
}

bool btp_tuple_is(const struct psock *s, const struct tuple *t)
{
	return is(s, t);
}

/* What is hashed of a tuple of IPv4, 15 bytes. False: it is of IPv6. */
static inline bool short_of(const struct tuple *t, uint64_t v4[2])
{
	uint32_t laddr, raddr;

	if (!bt_addr_is_v4(&t->laddr) || !bt_addr_is_v4(&t->raddr))
		return false;
	memcpy(&laddr, t->laddr.b + 12, 4);
	memcpy(&raddr, t->raddr.b + 12, 4);
	v4[0] = laddr | (uint64_t)raddr << 32;
	v4[1] = t->lport | (uint64_t)t->rport << 16 | (uint64_t)t->host << 32 |
		(uint64_t)t->proto << 48;
	return true;
}

static inline struct recent_hash *recent_of(const struct bt_port_net *net, const struct tuple *t)
{
	return &net->recent[(t->lport ^ t->rport ^ t->host) % RECENT_HASHES];
}

uint64_t btp_hash(const struct bt_port_net *net, const struct tuple *t)
{
	const struct recent_hash *r = recent_of(net, t);
	uint64_t v4[2];

	if (!short_of(t, v4))
		return bt_siphash13(net->key, t, sizeof(*t));
	if (r->tuple[0] == v4[0] && r->tuple[1] == v4[1])
		return r->hash;
	return bt_siphash13_15(net->key, v4[0], v4[1]);
}

void btp_keep_hash(const struct bt_port_net *net, const struct tuple *t, uint64_t hash)
{
	struct recent_hash *r = recent_of(net, t);

	if (short_of(t, r->tuple))
		r->hash = hash;
}

uint64_t btp_hash_kept(const struct bt_port_net *net, const struct tuple *t)
{
	uint64_t hash = btp_hash(net, t);

	btp_keep_hash(net, t, hash);
	return hash;
}

/* ---- places ---- */

/* 0 is an empty place's. */
static inline uint8_t tag_of(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 56);

	return tag == 0 ? 1 : tag;
}

/* Bit i: place i has the tag. */
static inline uint32_t places_with(const struct bucket *b, uint8_t tag)
{
	uint32_t mask = 0;
#ifdef __SSE2__
	typedef char bytes __attribute__((vector_size(16)));
	bytes v;

	memcpy(&v, b, sizeof(v));
	v = (bytes)(v == (bytes){0} + (char)tag);
	mask = (uint32_t)__builtin_ia32_pmovmskb128(v) & ((1u << BUCKET_SLOTS) - 1);
#else
	for (unsigned i = 0; i < BUCKET_SLOTS; i++)
		mask |= (uint32_t)(b->tags[i] == tag) << i;
#endif
	return mask;
}

uint32_t btp_prefetch_socket(const struct bt_port_net *net, uint64_t hash)
{
	const struct bucket *b = btp_bucket(net, hash);
	uint32_t places = places_with(b, tag_of(hash));

	if (places == 0)
		return BT_NO_SLOT;
	__builtin_prefetch(sock_at(net, b->slots[__builtin_ctz(places)]));
	return b->slots[__builtin_ctz(places)];
}

/* The place of the entry with t; NULL: there is none. */
static inline uint32_t *find(const struct bt_port_net *net, uint64_t hash, const struct tuple *t)
{
	uint8_t tag = tag_of(hash);

	for (uint64_t at = hash;; at++) {
		struct bucket *b = btp_bucket(net, at);
		uint32_t places = places_with(b, tag);

		for (; places != 0; places &= places - 1) {
			uint32_t *place = &b->slots[__builtin_ctz(places)];

			if (is(sock_at(net, *place), t))
				return place;
		}
		if (b->passed == 0)
			return NULL;
	}
}

uint32_t btp_find_hashed(const struct bt_port_net *net, uint64_t hash, const struct tuple *t,
			 uint8_t dev)
{
	const uint32_t *place = find(net, hash, t);
	uint32_t slot = place == NULL ? BT_NO_SLOT : *place;

	while (slot != BT_NO_SLOT) {
		const struct psock *s = sock_at(net, slot);

		if (s->dev == 0 || s->dev == dev)
			break;
		slot = s->hash_next;
	}
	return slot;
}

uint32_t btp_find_tuple(const struct bt_port_net *net, const struct tuple *t, uint8_t dev)
{
	return btp_find_hashed(net, btp_hash_kept(net, t), t, dev);
}

/* ---- the table ---- */

static void place_entry(struct bt_port_net *net, uint64_t hash, uint32_t slot)
{
	for (uint64_t at = hash;; at++) {
		struct bucket *b = btp_bucket(net, at);
		uint32_t places = places_with(b, 0);

		if (places != 0) {
			unsigned i = (unsigned)__builtin_ctz(places);

			b->tags[i] = tag_of(hash);
			b->slots[i] = slot;
			return;
		}
		if (b->passed < UINT16_MAX)
			b->passed++;
	}
}

bool btp_tuples_reserve(struct bt_port_net *net)
{
	struct tuples *t = &net->tuples, old = *t;
	uint32_t size = old.size == 0 ? FIRST_BUCKETS : old.size * 2;

	if (old.n < (uint64_t)old.size * FULL || old.size == MAX_BUCKETS)
		return true;
	t->buckets = btp_lines_new(size * sizeof(struct bucket));
	if (t->buckets == NULL) { /* it may get fuller, but for one place */
		*t = old;
		return old.n + 1 < (uint64_t)old.size * BUCKET_SLOTS;
	}
	memset(t->buckets, 0, size * sizeof(struct bucket));
	t->size = size;
	for (uint32_t k = 0; k < old.size; k++) {
		for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
			struct tuple tuple;

			if (old.buckets[k].tags[i] == 0)
				continue;
			tuple = btp_tuple(sock_at(net, old.buckets[k].slots[i]));
			place_entry(net, btp_hash(net, &tuple), old.buckets[k].slots[i]);
		}
	}
	btp_lines_free(old.buckets);
	return true;
}

void btp_tuples_add(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	struct tuple t = btp_tuple(s);
	uint64_t hash = btp_hash(net, &t);
	/* of TCP without devices there is one at most, which connect and accept have looked for */
	uint32_t *place = t.proto == BT_TCP && !net->devices ? NULL : find(net, hash, &t);

	s->hash_next = place == NULL ? BT_NO_SLOT : *place;
	if (place != NULL) {
		*place = slot;
	} else {
		place_entry(net, hash, slot);
		net->tuples.n++;
	}
	net->tuples.count++;
}

/* The entry at `place` leaves; those buckets that it passed by are less in the way. */
static void remove_entry(struct bt_port_net *net, uint64_t hash, const uint32_t *place)
{
	for (uint64_t at = hash;; at++) {
		struct bucket *b = btp_bucket(net, at);

		if (place >= b->slots && place < b->slots + BUCKET_SLOTS) {
			b->tags[place - b->slots] = 0;
			net->tuples.n--;
			return;
		}
		if (b->passed < UINT16_MAX) /* which may be more */
			b->passed--;
	}
}

void btp_tuples_del(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	struct tuple t = btp_tuple(s);
	uint64_t hash = btp_hash(net, &t);
	uint32_t *place = find(net, hash, &t), *link = place;

	while (*link != slot)
		link = &sock_at(net, *link)->hash_next;
	if (link == place && s->hash_next == BT_NO_SLOT)
		remove_entry(net, hash, place);
	else
		*link = s->hash_next;
	s->hash_next = BT_NO_SLOT;
	net->tuples.count--;
}

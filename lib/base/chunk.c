/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk.h"

#include "assert.h"

#include <stdlib.h>
#include <string.h>

#define DATA	    ((uint32_t)sizeof(((struct bt_chunk *)0)->data))
#define SLAB_CHUNKS 64u

struct slab {
	struct slab *next;
	struct bt_chunk chunks[];
};

struct bt_chunks {
	struct bt_chunk *idle;		/* put back */
	struct bt_chunk *fresh, *limit; /* of the newest slab, never used: [fresh, limit) */
	struct slab *slabs;
	uint64_t cap, taken, used; /* chunks: allowed, in slabs, given out */
	uint64_t bytes;
};

struct bt_chunks *bt_chunks_new(uint64_t cap_bytes)
{
	struct bt_chunks *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->cap = cap_bytes / BT_CHUNK_BYTES;
	return p;
}

void bt_chunks_free(struct bt_chunks *p)
{
	if (p == NULL)
		return;
	for (struct slab *s = p->slabs; s != NULL;) {
		struct slab *next = s->next;

		free(s);
		s = next;
	}
	free(p);
}

static bool grow(struct bt_chunks *p)
{
	uint64_t n = p->cap - p->taken < SLAB_CHUNKS ? p->cap - p->taken : SLAB_CHUNKS;
	size_t size = sizeof(struct slab) + n * BT_CHUNK_BYTES;
	struct slab *s = n > 0 ? malloc(size) : NULL;

	if (s == NULL)
		return false;
	s->next = p->slabs;
	p->slabs = s;
	p->fresh = s->chunks;
	p->limit = s->chunks + n;
	p->taken += n;
	p->bytes += size;
	return true;
}

struct bt_chunk *bt_chunk_get(struct bt_chunks *p)
{
	struct bt_chunk *c = p->idle;

	if (c != NULL)
		p->idle = c->next;
	else if (p->fresh != p->limit || grow(p))
		c = p->fresh++;
	else
		return NULL;
	p->used++;
	c->next = NULL;
	return c;
}

void bt_chunk_put(struct bt_chunks *p, struct bt_chunk *c)
{
	bt_assert(p->used > 0);
	p->used--;
	c->next = p->idle;
	p->idle = c;
}

uint64_t bt_chunks_used(const struct bt_chunks *p)
{
	return p->used * BT_CHUNK_BYTES;
}

bool bt_chunks_scarce(const struct bt_chunks *p)
{
	return p->used >= p->cap - p->cap / 4;
}

uint64_t bt_chunks_bytes(const struct bt_chunks *p)
{
	return p->bytes;
}

bool bt_bytes_reserve(struct bt_bytes *b, struct bt_chunks *p, uint32_t end)
{
	struct bt_chunk *first = NULL, *last = NULL;
	uint32_t room = b->room;

	bt_assert(end <= BT_BYTES_MAX);
	if (end <= room)
		return true;
	while (room < end) {
		struct bt_chunk *c = bt_chunk_get(p);

		if (c == NULL) {
			while (first != NULL) {
				struct bt_chunk *next = first->next;

				bt_chunk_put(p, first);
				first = next;
			}
			return false;
		}
		if (last != NULL)
			last->next = c;
		else
			first = c;
		last = c;
		room += DATA;
	}
	if (b->last != NULL)
		b->last->next = first;
	else
		b->first = first;
	b->last = last;
	b->room = room;
	return true;
}

/* Keeps chunk c, the index-th, as a place that was used: place 0 or 1 moves there and is first. */
static inline void remember(struct bt_bytes *b, unsigned place, struct bt_chunk *c, uint32_t index)
{
	if (place == 1) {
		b->near[1] = b->near[0];
		place = 0;
	}
	b->near[place].chunk = c;
	b->near[place].index = index;
}

/* The chunk that has the byte at offset `at` from the start, and its offset in it. */
static struct bt_chunk *find(struct bt_bytes *b, uint32_t at, uint32_t *offset)
{
	uint32_t pos = b->head + at, index = pos / DATA, from = 0;
	struct bt_chunk *c = b->first;
	unsigned place = 1;

	*offset = pos % DATA;
	if (index < 2)
		return index == 0 ? c : c->next;
	if (b->head + b->room - pos <= DATA)
		return b->last;
	for (unsigned i = 0; i < 2; i++) {
		if (b->near[i].chunk != NULL && b->near[i].index <= index &&
		    b->near[i].index >= from) {
			c = b->near[i].chunk;
			from = b->near[i].index;
			place = i;
		}
	}
	for (; from < index; from++)
		c = c->next;
	remember(b, place, c, index);
	return c;
}

void bt_bytes_write(struct bt_bytes *b, uint32_t at, const void *data, uint32_t len)
{
	const uint8_t *from = data;
	struct bt_chunk *c;
	uint32_t offset;

	bt_assert(at <= b->room && len <= b->room - at);
	if (len == 0)
		return;
	c = find(b, at, &offset);
	for (;;) {
		uint32_t n = len < DATA - offset ? len : DATA - offset;

		memcpy(c->data + offset, from, n);
		from += n;
		len -= n;
		if (len == 0)
			return;
		c = c->next;
		offset = 0;
	}
}

void bt_bytes_read(struct bt_bytes *b, uint32_t at, void *data, uint32_t len)
{
	struct bt_chunk *c;
	uint8_t *to = data;
	uint32_t offset;

	bt_assert(at <= b->room && len <= b->room - at);
	if (len == 0)
		return;
	c = find(b, at, &offset);
	for (;;) {
		uint32_t n = len < DATA - offset ? len : DATA - offset;

		memcpy(to, c->data + offset, n);
		to += n;
		len -= n;
		if (len == 0)
			return;
		c = c->next;
		offset = 0;
	}
}

/* How many parts [at, at+*len) has, max at most; what is left of it then is in *len. */
static unsigned parts_of(struct bt_bytes *b, uint32_t at, uint32_t *len, struct iovec *iov,
			 unsigned max)
{
	struct bt_chunk *c;
	unsigned parts = 0;
	uint32_t offset;

	bt_assert(at <= b->room && *len <= b->room - at);
	if (*len == 0)
		return 0;
	c = find(b, at, &offset);
	for (; *len > 0 && parts < max; parts++) {
		uint32_t n = *len < DATA - offset ? *len : DATA - offset;

		iov[parts].iov_base = c->data + offset;
		iov[parts].iov_len = n;
		*len -= n;
		c = c->next;
		offset = 0;
	}
	return parts;
}

unsigned bt_bytes_parts(struct bt_bytes *b, uint32_t at, uint32_t len, struct iovec *iov,
			unsigned max)
{
	unsigned parts = parts_of(b, at, &len, iov, max);

	return len == 0 ? parts : 0;
}

unsigned bt_bytes_some(struct bt_bytes *b, uint32_t at, uint32_t len, struct iovec *iov,
		       unsigned max)
{
	return parts_of(b, at, &len, iov, max);
}

void bt_bytes_drop(struct bt_bytes *b, struct bt_chunks *p, uint32_t len)
{
	uint32_t gone = 0;

	bt_assert(len <= b->room);
	b->room -= len;
	for (b->head += len; b->head >= DATA; b->head -= DATA) {
		struct bt_chunk *c = b->first;

		b->first = c->next;
		bt_chunk_put(p, c);
		gone++;
	}
	if (b->first == NULL) {
		memset(b, 0, sizeof(*b));
		return;
	}
	if (gone == 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (b->near[i].index < gone)
			b->near[i].chunk = NULL;
		else
			b->near[i].index -= gone;
	}
}

void bt_bytes_clear(struct bt_bytes *b, struct bt_chunks *p)
{
	while (b->first != NULL) {
		struct bt_chunk *c = b->first;

		b->first = c->next;
		bt_chunk_put(p, c);
	}
	memset(b, 0, sizeof(*b));
}

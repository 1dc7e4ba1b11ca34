/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of packets: buffers of four sizes, from slabs that are kept until the engine's end. */
#include "internal.h"

#include <stdlib.h>

static const uint32_t rooms[BT_PKT_SIZES] = {448, 2176, 10240, BT_PKT_HEAD + BT_IP_MAX + 1};
#define SLAB_BYTES 32768u

struct slab {
	struct slab *next;
	max_align_t packets[];
};

static uint32_t stride(unsigned size)
{
	uint32_t n = (uint32_t)sizeof(struct bt_pkt) + rooms[size];
	uint32_t align = (uint32_t) _Alignof(max_align_t);

	return (n + align - 1) / align * align;
}

static bool grow(struct bt_pool *pool, unsigned size)
{
	uint32_t each = stride(size), n = SLAB_BYTES / each;
	struct slab *s;

	if (n == 0)
		n = 1;
	if (pool->taken_bytes + n * each > BT_IP_POOL_BYTES)
		return false;
	s = malloc(sizeof(*s) + n * each);
	if (s == NULL)
		return false;
	s->next = pool->slabs;
	pool->slabs = s;
	pool->taken_bytes += n * each;
	for (uint32_t i = 0; i < n; i++) {
		struct bt_pkt *p = (void *)((char *)s->packets + (size_t)i * each);

		p->size = (uint8_t)size;
		p->next = pool->free[size];
		pool->free[size] = p;
	}
	return true;
}

uint32_t bt_pkt_bytes(const struct bt_pkt *p)
{
	return stride(p->size);
}

struct bt_pkt *bt_pkt_get_for(struct bt_ip *ip, uint16_t host, uint32_t *charged, uint32_t limit,
			      uint32_t len)
{
	struct bt_pool *pool = &ip->pool;
	unsigned size = 0;
	struct bt_pkt *p;

	while (size < BT_PKT_SIZES && rooms[size] < BT_PKT_HEAD + len)
		size++;
	if (size == BT_PKT_SIZES || *charged + stride(size) > limit)
		return NULL;
	if (pool->free[size] == NULL && !grow(pool, size))
		return NULL;
	p = pool->free[size];
	pool->free[size] = p->next;
	pool->used_bytes += stride(size);
	pool->in_use++;
	*charged += stride(size);
	memset(p, 0, sizeof(*p));
	p->size = (uint8_t)size;
	p->room = rooms[size];
	p->at = BT_PKT_HEAD;
	p->charged = charged;
	p->host = host;
	return p;
}

struct bt_pkt *bt_pkt_get(struct bt_ip *ip, uint16_t host, uint32_t len)
{
	return bt_pkt_get_for(ip, host, &ip->hosts[host]->queue_bytes, BT_IP_HOST_BYTES, len);
}

void bt_pkt_put(struct bt_ip *ip, struct bt_pkt *p)
{
	*p->charged -= stride(p->size);
	ip->pool.used_bytes -= stride(p->size);
	ip->pool.in_use--;
	p->next = ip->pool.free[p->size];
	ip->pool.free[p->size] = p;
}

void bt_pkts_add(struct bt_pkts *q, struct bt_pkt *p)
{
	p->next = NULL;
	if (q->last != NULL)
		q->last->next = p;
	else
		q->first = p;
	q->last = p;
	q->count++;
}

struct bt_pkt *bt_pkts_take(struct bt_pkts *q)
{
	struct bt_pkt *p = q->first;

	if (p == NULL)
		return NULL;
	q->first = p->next;
	if (q->first == NULL)
		q->last = NULL;
	q->count--;
	p->next = NULL;
	return p;
}

void bt_pkts_drop(struct bt_ip *ip, struct bt_pkts *q)
{
	struct bt_pkt *p;

	while ((p = bt_pkts_take(q)) != NULL)
		bt_pkt_put(ip, p);
}

void bt_pool_done(struct bt_pool *pool)
{
	struct slab *s = pool->slabs;

	while (s != NULL) {
		struct slab *next = s->next;

		free(s);
		s = next;
	}
	memset(pool, 0, sizeof(*pool));
}

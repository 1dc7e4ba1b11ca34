/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the port space: networks, hosts, slots, and the growing arrays. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define LINE 64u /* of the cache */

static const struct bt_port_conf default_conf = {
	.range_lo = 32768,
	.range_hi = 60999,
	.unprivileged_start = 1024,
	.tw_reuse = 2,
	.time_wait_ns = 60000000000,
	.tw_reuse_delay_ns = 1000000000,
};

int btp_refuse(struct bt_reason *reason, int err, enum bt_why why, uint32_t slot, uint64_t frees_ns)
{
	if (reason != NULL)
		*reason = (struct bt_reason){why, slot, frees_ns};
	return err;
}

/* ---- networks and hosts ---- */

struct bt_port_net *bt_port_net_new(const uint8_t key[16], uint32_t max_slots)
{
	struct bt_port_net *net = calloc(1, sizeof(*net));

	if (net == NULL)
		return NULL;
	if (max_slots >= SOLE)
		max_slots = SOLE - 1;
	memcpy(net->key, key, sizeof(net->key));
	net->max_slots = max_slots;
	net->n_chunks = max_slots / CHUNK_SLOTS + 1;
	net->chunks = calloc(net->n_chunks, sizeof(net->chunks[0]));
	net->recent = calloc(RECENT_HASHES, sizeof(net->recent[0]));
	net->free_first = net->free_last = net->skipped = BT_NO_SLOT;
	net->classes.item_size = sizeof(struct class);
	net->dests.item_size = sizeof(struct dest);
	if (net->chunks == NULL || net->recent == NULL || !btp_tuples_reserve(net) ||
	    !btp_table_grow(&net->by_dest)) {
		bt_port_net_free(net);
		return NULL;
	}
	return net;
}

/* What malloc gave stands before it. */
void *btp_lines_new(size_t n)
{
	char *raw = malloc(n + LINE);
	size_t skip = raw == NULL ? 0 : LINE - (uintptr_t)raw % LINE;

	if (raw == NULL)
		return NULL;
	memcpy(raw + skip - sizeof(raw), &raw, sizeof(raw));
	return raw + skip;
}

void btp_lines_free(void *p)
{
	char *raw;

	if (p == NULL)
		return;
	memcpy(&raw, (char *)p - sizeof(raw), sizeof(raw));
	free(raw);
}

static void free_host(struct host *h)
{
	if (h == NULL)
		return;
	free(h->space[0]);
	free(h->space[1]);
	free(h);
}

void bt_port_net_free(struct bt_port_net *net)
{
	if (net == NULL)
		return;
	for (uint32_t i = 0; i < net->n_hosts; i++)
		free_host(net->hosts[i]);
	for (uint32_t i = 0; net->chunks != NULL && i < net->n_chunks; i++)
		btp_lines_free(net->chunks[i]);
	for (uint32_t i = 1; i < net->dests.used; i++)
		btp_free_ports(net, dest_at(net, i));
	free(net->hosts);
	free(net->chunks);
	free(net->recent);
	free(net->classes.items);
	free(net->dests.items);
	btp_lines_free(net->tuples.buckets);
	free(net->by_dest.heads);
	free(net->heap);
	free(net->ranges);
	free(net);
}

struct host *btp_host(const struct bt_port_net *net, uint16_t host)
{
	return host < net->n_hosts ? net->hosts[host] : NULL;
}

int bt_port_host_add(struct bt_port_net *net, uint16_t host)
{
	struct host *h;

	if (btp_host(net, host) != NULL)
		return -EEXIST;
	if (host >= net->n_hosts) {
		uint32_t n = (host / 64u + 1) * 64;
		struct host **hosts = realloc(net->hosts, n * sizeof(hosts[0]));

		if (hosts == NULL)
			return -ENOMEM;
		for (uint32_t i = net->n_hosts; i < n; i++)
			hosts[i] = NULL;
		net->hosts = hosts;
		net->n_hosts = n;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->conf = default_conf;
	net->hosts[host] = h;
	return 0;
}

int bt_port_host_del(struct bt_port_net *net, uint16_t host)
{
	struct host *h = btp_host(net, host);

	if (h == NULL)
		return -ENOENT;
	if (h->n_socks != 0)
		return -EBUSY;
	free_host(h);
	net->hosts[host] = NULL;
	return 0;
}

struct bt_port_conf *bt_port_host_conf(struct bt_port_net *net, uint16_t host)
{
	struct host *h = btp_host(net, host);

	return h == NULL ? NULL : &h->conf;
}

uint64_t btp_random(const struct bt_port_net *net, uint16_t host)
{
	return bt_siphash_15(net->key, net->hosts[host]->n_random++, host);
}

/* ---- growing arrays ---- */

bool btp_pool_reserve(struct pool *pool, uint32_t n)
{
	uint32_t cap = pool->cap == 0 ? 64 : pool->cap + pool->cap / 2;
	char *items;

	if (pool->n_free + (pool->cap - pool->used) >= n)
		return true;
	items = realloc(pool->items, cap * pool->item_size);
	if (items == NULL)
		return false;
	pool->items = items;
	pool->cap = cap;
	if (pool->used == 0)
		pool->used = 1;
	return true;
}

uint32_t btp_pool_take(struct pool *pool)
{
	uint32_t i = pool->free;
	char *item;

	if (i == 0)
		i = pool->used++;
	item = pool->items + i * pool->item_size;
	if (pool->free != 0) {
		memcpy(&pool->free, item, sizeof(pool->free));
		pool->n_free--;
	}
	memset(item, 0, pool->item_size);
	return i;
}

void btp_pool_give(struct pool *pool, uint32_t i)
{
	char *item = pool->items + i * pool->item_size;

	memset(item, 0, pool->item_size);
	memcpy(item, &pool->free, sizeof(pool->free));
	pool->free = i;
	pool->n_free++;
}

bool btp_reserve(struct bt_port_net *net, const struct psock *s)
{
	struct space **space = &net->hosts[s->host]->space[s->proto == BT_UDP];

	if (*space == NULL)
		*space = calloc(1, sizeof(**space));
	return *space != NULL && btp_pool_reserve(&net->classes, 3) &&
	       btp_pool_reserve(&net->dests, 1) && btp_tuples_reserve(net);
}

/* ---- slots ---- */

bool btp_slot_used(const struct bt_port_net *net, uint32_t slot)
{
	return slot < net->n_fresh && sock_at(net, slot)->flags & SF_USED;
}

static void free_append(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);

	s->class_next = BT_NO_SLOT;
	s->class_prev = net->free_last;
	if (net->free_last == BT_NO_SLOT)
		net->free_first = slot;
	else
		sock_at(net, net->free_last)->class_next = slot;
	net->free_last = slot;
	net->n_free++;
}

static void free_remove(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);

	if (s->class_prev == BT_NO_SLOT)
		net->free_first = s->class_next;
	else
		sock_at(net, s->class_prev)->class_next = s->class_next;
	if (s->class_next == BT_NO_SLOT)
		net->free_last = s->class_prev;
	else
		sock_at(net, s->class_next)->class_prev = s->class_prev;
	net->n_free--;
}

/* Makes memory for the next never-used slot. */
static bool fresh_slot(struct bt_port_net *net)
{
	uint32_t chunk = net->n_fresh / CHUNK_SLOTS;

	if (net->chunks[chunk] == NULL)
		net->chunks[chunk] = btp_lines_new(CHUNK_SLOTS * sizeof(struct psock));
	if (net->chunks[chunk] == NULL)
		return false;
	sock_at(net, net->n_fresh)->flags = 0;
	net->n_fresh++;
	return true;
}

static void init_slot(struct bt_port_net *net, uint32_t slot, uint16_t host, enum bt_proto proto,
		      enum bt_family family, uint32_t uid)
{
	struct psock *s = sock_at(net, slot);

	*s = (struct psock){
		.laddr = any_of((uint8_t)family),
		.raddr = any_of((uint8_t)family),
		.proto = (uint8_t)proto,
		.family = (uint8_t)family,
		.state = BT_CLOSE,
		.uid = uid,
		.host = host,
		.flags = SF_USED,
		.class_next = BT_NO_SLOT,
		.class_prev = BT_NO_SLOT,
		.hash_next = BT_NO_SLOT,
	};
	net->hosts[host]->n_socks++;
	net->n_used++;
}

int bt_port_new(struct bt_port_net *net, uint16_t host, enum bt_proto proto, enum bt_family family,
		uint32_t uid, uint32_t *slot)
{
	if (btp_host(net, host) == NULL)
		return -ENOENT;
	if (net->n_fresh < net->max_slots && net->n_free <= REST_SLOTS) {
		if (!fresh_slot(net))
			return -ENOMEM;
		*slot = net->n_fresh - 1;
	} else if (net->n_free > 0) {
		*slot = net->free_first;
		free_remove(net, *slot);
	} else {
		return -ENFILE;
	}
	init_slot(net, *slot, host, proto, family, uid);
	return 0;
}

int bt_port_new_at(struct bt_port_net *net, uint16_t host, enum bt_proto proto,
		   enum bt_family family, uint32_t uid, uint32_t slot)
{
	if (btp_host(net, host) == NULL)
		return -ENOENT;
	if (slot >= net->max_slots)
		return -ENFILE;
	if (btp_slot_used(net, slot))
		return -EEXIST;
	while (net->n_fresh <= slot) {
		if (!fresh_slot(net))
			return -ENOMEM;
		free_append(net, net->n_fresh - 1);
	}
	free_remove(net, slot);
	init_slot(net, slot, host, proto, family, uid);
	return 0;
}

void bt_port_free(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	btp_leave_tuple(net, slot);
	btp_leave_bucket(net, slot);
	btp_forget_range(net, slot);
	s->flags = 0;
	net->hosts[s->host]->n_socks--;
	net->n_used--;
	free_append(net, slot);
}

bool bt_port_get(const struct bt_port_net *net, uint32_t slot, struct bt_port_info *info)
{
	const struct psock *s;
	struct range range;

	if (!btp_slot_used(net, slot))
		return false;
	s = sock_at(net, slot);
	range = btp_range(net, slot);
	*info = (struct bt_port_info){
		.host = s->host,
		.proto = s->proto,
		.family = s->family,
		.state = s->state,
		.opts = s->opts,
		.uid = s->uid,
		.laddr = s->laddr,
		.raddr = s->raddr,
		.dev = s->dev,
		.range_lo = range.lo,
		.range_hi = range.hi,
		.lport = s->lport,
		.rport = s->rport,
	};
	return true;
}

uint32_t bt_port_count(const struct bt_port_net *net)
{
	return net->n_used;
}

size_t bt_port_bytes(const struct bt_port_net *net)
{
	size_t sum =
		sizeof(*net) + net->n_chunks * sizeof(net->chunks[0]) +
		RECENT_HASHES * sizeof(net->recent[0]) + net->n_hosts * sizeof(net->hosts[0]) +
		net->dest_bytes + net->n_fresh * sizeof(struct psock) +
		net->classes.cap * sizeof(struct class) + net->dests.cap * sizeof(struct dest) +
		net->ranges_size * sizeof(net->ranges[0]) + net->heap_cap * sizeof(net->heap[0]) +
		net->tuples.size * sizeof(struct bucket) + net->by_dest.size * sizeof(uint32_t);

	for (uint32_t i = 0; i < net->n_hosts; i++) {
		const struct host *h = net->hosts[i];

		sum += h == NULL ? 0 : sizeof(*h);
		for (int k = 0; k < 2 && h != NULL; k++) {
			const struct space *sp = h->space[k];

			if (sp == NULL)
				continue;
			sum += sizeof(*sp) - sizeof(sp->first);
			sum += (size_t)__builtin_popcountll(sp->pages) * PAGE_PORTS *
			       sizeof(sp->first[0]);
		}
	}
	return sum;
}

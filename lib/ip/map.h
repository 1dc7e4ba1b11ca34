/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of entries that contain their link; chains, doubled when they get long. Equality is
 * the caller's: it walks bt_map_first, bt_map_next and compares. */
#ifndef BERTH_LIB_IP_MAP_H
#define BERTH_LIB_IP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bt_link {
	struct bt_link *next;
	uint32_t hash;
};

struct bt_map {
	struct bt_link **slots;
	uint32_t mask, count;
};

bool bt_map_init(struct bt_map *m); /* false: out of memory */
void bt_map_done(struct bt_map *m); /* not the entries */
void bt_map_add(struct bt_map *m, struct bt_link *l, uint32_t hash);
void bt_map_del(struct bt_map *m, struct bt_link *l); /* must be in it */

static inline struct bt_link *bt_map_first(const struct bt_map *m, uint32_t hash)
{
	struct bt_link *l = m->slots[hash & m->mask];

	while (l != NULL && l->hash != hash)
		l = l->next;
	return l;
}

static inline struct bt_link *bt_map_next(const struct bt_link *l)
{
	uint32_t hash = l->hash;
	struct bt_link *n = l->next;

	while (n != NULL && n->hash != hash)
		n = n->next;
	return n;
}

#define bt_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "map.h"

#include "../base/assert.h"

#include <stdlib.h>

#define SLOTS 16u

bool bt_map_init(struct bt_map *m)
{
	m->slots = calloc(SLOTS, sizeof(*m->slots));
	m->mask = SLOTS - 1;
	m->count = 0;
	return m->slots != NULL;
}

void bt_map_done(struct bt_map *m)
{
	free(m->slots);
	m->slots = NULL;
}

/* Out of memory it stays as it is: the chains get longer. */
static void grow(struct bt_map *m)
{
	uint32_t n = (m->mask + 1) * 2;
	struct bt_link **slots = calloc(n, sizeof(*slots));

	if (slots == NULL)
		return;
	for (uint32_t i = 0; i <= m->mask; i++) {
		struct bt_link *l = m->slots[i];

		while (l != NULL) {
			struct bt_link *next = l->next;

			l->next = slots[l->hash & (n - 1)];
			slots[l->hash & (n - 1)] = l;
			l = next;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->mask = n - 1;
}

void bt_map_add(struct bt_map *m, struct bt_link *l, uint32_t hash)
{
	if (m->count > m->mask)
		grow(m);
	l->hash = hash;
	l->next = m->slots[hash & m->mask];
	m->slots[hash & m->mask] = l;
	m->count++;
}

void bt_map_del(struct bt_map *m, struct bt_link *l)
{
	struct bt_link **p = &m->slots[l->hash & m->mask];

	while (*p != l) {
		bt_assert(*p != NULL);
		p = &(*p)->next;
	}
	*p = l->next;
	m->count--;
}

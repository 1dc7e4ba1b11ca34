/* SPDX-License-Identifier: Apache-2.0 */
#include "vals.h"

#include "../proto/table.h"

#include <errno.h>
#include <stdlib.h>

#define PER_SLOT 64u

struct val {
	struct val *next;
	uint32_t gen;
	uint16_t level, option;
	uint32_t value;
};

static struct val *of_slot[BT_MAX_ROWS]; /* only pages that are used take memory */

/* All but those of keep_gen. */
static void forget(uint32_t slot, uint32_t keep_gen)
{
	for (struct val **p = &of_slot[slot]; *p != NULL;) {
		struct val *v = *p;
		if (v->gen != keep_gen) {
			*p = v->next;
			free(v);
		} else {
			p = &v->next;
		}
	}
}

void d_vals_forget(uint32_t slot)
{
	forget(slot, 0);
}

int d_vals_set(uint32_t slot, uint32_t gen, uint16_t level, uint16_t option, uint32_t value)
{
	unsigned n = 0;
	forget(slot, gen);
	for (struct val *v = of_slot[slot]; v != NULL; v = v->next, n++)
		if (v->level == level && v->option == option) {
			v->value = value;
			return 0;
		}
	struct val *v = n < PER_SLOT ? malloc(sizeof(*v)) : NULL;
	if (v == NULL)
		return -ENOMEM;
	*v = (struct val){of_slot[slot], gen, level, option, value};
	of_slot[slot] = v;
	return 0;
}

int d_vals_get(uint32_t slot, uint32_t gen, uint16_t level, uint16_t option, uint32_t *value)
{
	for (struct val *v = of_slot[slot]; v != NULL; v = v->next)
		if (v->gen == gen && v->level == level && v->option == option) {
			*value = v->value;
			return 0;
		}
	return -ENOENT;
}

void d_vals_move(uint32_t slot, uint32_t gen, uint32_t to, uint32_t to_gen)
{
	forget(slot, gen);
	if (slot == to)
		return;
	struct val **last = &of_slot[to];
	for (struct val *v = of_slot[slot]; v != NULL; v = v->next)
		v->gen = to_gen;
	while (*last != NULL)
		last = &(*last)->next;
	*last = of_slot[slot];
	of_slot[slot] = NULL;
}

void d_vals_each(uint32_t slot, uint32_t gen,
		 void (*each)(void *arg, uint16_t level, uint16_t option, uint32_t value),
		 void *arg)
{
	for (const struct val *v = of_slot[slot]; v != NULL; v = v->next)
		if (v->gen == gen)
			each(arg, v->level, v->option, v->value);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vals.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS	 4096u
#define PER_SLOT 64u

struct val {
	struct val *next;
	uint32_t slot, gen;
	uint16_t level, option;
	uint32_t value;
};

static struct val *buckets[BUCKETS];

static void forget(uint32_t slot, uint32_t keep_gen)
{
	for (struct val **p = &buckets[slot % BUCKETS]; *p != NULL;) {
		struct val *v = *p;
		if (v->slot == slot && v->gen != keep_gen) {
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
	for (struct val *v = buckets[slot % BUCKETS]; v != NULL; v = v->next) {
		if (v->slot != slot)
			continue;
		n++;
		if (v->level == level && v->option == option) {
			v->value = value;
			return 0;
		}
	}
	struct val *v = n < PER_SLOT ? malloc(sizeof(*v)) : NULL;
	if (v == NULL)
		return -ENOMEM;
	*v = (struct val){buckets[slot % BUCKETS], slot, gen, level, option, value};
	buckets[slot % BUCKETS] = v;
	return 0;
}

int d_vals_get(uint32_t slot, uint32_t gen, uint16_t level, uint16_t option, uint32_t *value)
{
	for (struct val *v = buckets[slot % BUCKETS]; v != NULL; v = v->next) {
		if (v->slot == slot && v->gen == gen && v->level == level && v->option == option) {
			*value = v->value;
			return 0;
		}
	}
	return -ENOENT;
}

void d_vals_move(uint32_t slot, uint32_t gen, uint32_t to, uint32_t to_gen)
{
	for (struct val **p = &buckets[slot % BUCKETS]; *p != NULL;) {
		struct val *v = *p;
		if (v->slot != slot || v->gen != gen || slot == to) {
			p = &v->next;
			continue;
		}
		*p = v->next;
		v->slot = to;
		v->gen = to_gen;
		v->next = buckets[to % BUCKETS];
		buckets[to % BUCKETS] = v;
		if (to % BUCKETS == slot % BUCKETS && p == &buckets[slot % BUCKETS])
			p = &v->next; /* it is in front of us again */
	}
}

void d_vals_each(uint32_t slot, uint32_t gen,
		 void (*each)(void *arg, uint16_t level, uint16_t option, uint32_t value),
		 void *arg)
{
	for (const struct val *v = buckets[slot % BUCKETS]; v != NULL; v = v->next)
		if (v->slot == slot && v->gen == gen)
			each(arg, v->level, v->option, v->value);
}

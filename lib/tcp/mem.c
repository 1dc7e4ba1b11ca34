/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"

#include "../base/assert.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST 64u
#define SLAB	 16384u
#define HEAD	 64u /* of a slab; keeps pieces at cache lines */

void bt_mem_init(struct bt_mem *m)
{
	memset(m, 0, sizeof(*m));
	m->slabs_left = UINT32_MAX;
}

void bt_mem_done(struct bt_mem *m)
{
	while (m->slabs != NULL) {
		void *next;

		memcpy(&next, m->slabs, sizeof(next));
		free(m->slabs);
		m->slabs = next;
	}
	bt_mem_init(m);
}

static unsigned class_of(size_t size)
{
	unsigned k = 0;

	while ((size_t)SMALLEST << k < size)
		k++;
	bt_assert(k < BT_MEM_CLASSES);
	return k;
}

static void push(struct bt_mem *m, unsigned k, void *p)
{
	memcpy(p, &m->free[k], sizeof(void *));
	m->free[k] = p;
}

static int grow(struct bt_mem *m, unsigned k)
{
	size_t size = (size_t)SMALLEST << k, n = size < SLAB ? SLAB / size : 1;
	char *slab;

	if (m->slabs_left == 0)
		return -1;
	slab = aligned_alloc(HEAD, HEAD + n * size);
	if (slab == NULL)
		return -1;
	if (m->slabs_left != UINT32_MAX)
		m->slabs_left--;
	memcpy(slab, &m->slabs, sizeof(void *));
	m->slabs = slab;
	m->taken += HEAD + n * size;
	while (n-- > 0)
		push(m, k, slab + HEAD + n * size);
	return 0;
}

void *bt_mem_get(struct bt_mem *m, size_t size)
{
	unsigned k = class_of(size);
	void *p;

	if (m->free[k] == NULL && grow(m, k) < 0)
		return NULL;
	p = m->free[k];
	memcpy(&m->free[k], p, sizeof(void *));
	m->used += (size_t)SMALLEST << k;
	return p;
}

void bt_mem_put(struct bt_mem *m, void *p, size_t size)
{
	unsigned k = class_of(size);

	if (p == NULL)
		return;
	m->used -= (size_t)SMALLEST << k;
	push(m, k, p);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for what connections have only for a time: sizes rounded to powers of 2, a list of free
 * pieces for each, small ones cut from slabs. What is given back is kept for the next; all goes
 * with bt_mem_done.
 */
#ifndef BERTH_LIB_TCP_MEM_H
#define BERTH_LIB_TCP_MEM_H

#include <stddef.h>
#include <stdint.h>

#define BT_MEM_CLASSES 16 /* 64 bytes to 2 MiB */

struct bt_mem {
	void *free[BT_MEM_CLASSES];
	void *slabs;	      /* each begins with a pointer to the next */
	uint64_t used, taken; /* bytes: given out, from malloc */
	uint32_t slabs_left;  /* tests: how many more malloc will give; UINT32_MAX: any number */
};

void bt_mem_init(struct bt_mem *m);
void bt_mem_done(struct bt_mem *m);
void *bt_mem_get(struct bt_mem *m, size_t size);	 /* NULL: out of memory. Not cleared */
void bt_mem_put(struct bt_mem *m, void *p, size_t size); /* the size it was asked for with */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's sockets of one network as a list. */
#ifndef BERTH_VIEW_DIAGS_H
#define BERTH_VIEW_DIAGS_H

#include "buf.h"
#include "diag.h"

struct bt_diags {
	struct bt_buf mem;
	struct bt_diag *list; /* in mem */
	size_t n;
};

/* Asks for the sockets in `states` (bits 1 << TCP_...). 0 or -errno; done also after an error. */
int bt_diags_read(struct bt_diags *d, uint64_t netid, uint32_t states);
void bt_diags_done(struct bt_diags *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "diags.h"

#include <errno.h>

int bt_diags_read(struct bt_diags *d, uint64_t netid, uint32_t states)
{
	struct bt_buf in = {0};
	struct bt_diag_dump dump;
	struct bt_diag s, *own;
	*d = (struct bt_diags){0};
	void *buf = bt_buf_add(&in, BT_DIAG_BYTES);
	if (!buf)
		return -ENOMEM;
	int r = bt_diag_begin(&dump, buf, netid, states, BT_DIAG_RQUEUE);
	while (r == 0 && (r = bt_diag_next(&dump, &s)) > 0) {
		own = bt_buf_add(&d->mem, sizeof(*own));
		r = own ? 0 : -ENOMEM;
		if (own)
			*own = s;
	}
	bt_diag_end(&dump);
	bt_buf_done(&in);
	d->list = (struct bt_diag *)(void *)d->mem.p;
	d->n = d->mem.n / sizeof(*d->list);
	return r;
}

void bt_diags_done(struct bt_diags *d)
{
	bt_buf_done(&d->mem);
	*d = (struct bt_diags){0};
}

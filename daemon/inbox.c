/* SPDX-License-Identifier: Apache-2.0 */
/* berthd's side of the inboxes; proto/inbox.h has the idea. What a ring holds is from outside: each
 * entry is copied once and then treated as a message. */
#include "daemon.h"

#include <errno.h>
#include <sys/mman.h>

#define LOOK_NS (2 * D_MS)

static struct conn *holders[BT_INBOXES];

static uint32_t pending(const struct daemon *d, const struct conn *c)
{
	uint32_t head = atomic_load_explicit(&c->inbox->head, memory_order_acquire);
	return head - d->table->inboxes[c->inbox_at].taken;
}

static bool next_entry(struct daemon *d, struct conn *c, struct bt_inbox_entry *e)
{
	uint32_t n = pending(d, c), taken = d->table->inboxes[c->inbox_at].taken;
	if (n == 0)
		return false;
	if (n > BT_INBOX_ENTRIES) { /* not a ring any more: a program that does this loses its
				       notices */
		d_count(d, BT_CNT_MALFORMED);
		atomic_store(&d->table->inboxes[c->inbox_at].taken, taken + n);
		return false;
	}
	memcpy(e, &c->inbox->entries[taken % BT_INBOX_ENTRIES], sizeof(*e));
	return true;
}

static void carry_out(struct daemon *d, struct conn *c, const struct bt_inbox_entry *e)
{
	struct bt_req q = {.version = BT_MSG_VERSION,
			   .type = e->type,
			   .flags = e->flags,
			   .id = e->id,
			   .value = e->value};
	atomic_fetch_add(&d->table->inboxes[c->inbox_at].taken, 1);
	if (e->type == BT_CLOSED || e->type == BT_SHUT)
		d_call(d, c, &q, NULL, -1);
	else
		d_count(d, BT_CNT_MALFORMED);
}

/* In the order of their times. The rings are few (those in heavy use), so the earliest is found by
 * looking. */
void d_inbox_look(struct daemon *d)
{
	/* Bounded: a program that keeps writing must not keep us here. */
	for (uint32_t n = 0; n < d->n_hot * BT_INBOX_ENTRIES; n++) {
		struct conn *first = NULL;
		struct bt_inbox_entry e, best;
		for (struct conn *c = d->hot; c != NULL; c = c->hot_next) {
			if (!next_entry(d, c, &e))
				continue;
			if (first == NULL || e.time_ns < best.time_ns) {
				first = c;
				best = e;
			}
		}
		if (first == NULL)
			return;
		first->inbox_used = true;
		carry_out(d, first, &best);
	}
}

static void cool(struct daemon *d, struct conn *c)
{
	for (struct conn **p = &d->hot; *p != NULL; p = &(*p)->hot_next)
		if (*p == c) {
			*p = c->hot_next;
			d->n_hot--;
			break;
		}
	atomic_store(&d->table->inboxes[c->inbox_at].hot, 0);
}

static void heat(struct daemon *d, struct conn *c);

static void on_look(struct daemon *d)
{
	d_inbox_look(d);
	for (struct conn *c = d->hot, *next; c != NULL; c = next) {
		next = c->hot_next;
		if (!c->inbox_used) {
			cool(d, c);
			/* One that wrote before it could see that has not knocked. */
			atomic_thread_fence(memory_order_seq_cst);
			if (pending(d, c) > 0)
				heat(d, c);
		}
		c->inbox_used = false;
	}
	d_publish(d);
	d_settle(d);
	if (d->hot == NULL)
		d_timer_stop(d, D_LOOK);
}

static void heat(struct daemon *d, struct conn *c)
{
	c->inbox_used = true;
	if (d->table->inboxes[c->inbox_at].hot)
		return;
	c->hot_next = d->hot;
	d->hot = c;
	d->n_hot++;
	atomic_store(&d->table->inboxes[c->inbox_at].hot, 1);
	if (!d_timer_runs(d, D_LOOK))
		d_timer_start(d, D_LOOK, on_look, LOOK_NS, LOOK_NS);
}

void d_inbox_knock(struct daemon *d, struct conn *c)
{
	if (c->inbox == NULL)
		return;
	heat(d, c);
	d_inbox_look(d);
}

int d_inbox_open(struct daemon *d, struct conn *c, int fd, uint32_t *at)
{
	uint32_t i = 0;
	while (i < BT_INBOXES && holders[i] != NULL)
		i++;
	if (i == BT_INBOXES)
		return -ENOSPC;
	const struct bt_inbox *m = c->inbox != NULL ? NULL : d_map_sealed(fd, BT_INBOX_BYTES);
	if (m == NULL)
		return -EPROTO;
	c->inbox = m;
	c->inbox_at = i;
	holders[i] = c;
	atomic_store(&d->table->inboxes[i].taken, m->head);
	atomic_store(&d->table->inboxes[i].hot, 0);
	*at = i;
	return 0;
}

void d_inbox_close(struct daemon *d, struct conn *c)
{
	if (c->inbox == NULL)
		return;
	heat(d, c);
	d_inbox_look(d);
	cool(d, c);
	holders[c->inbox_at] = NULL;
	munmap((void *)(uintptr_t)c->inbox, BT_INBOX_BYTES);
	c->inbox = NULL;
}

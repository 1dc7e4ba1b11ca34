/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that this process moves, while somebody wants to know (proto/meter.h). */
#include "preload.h"

#include "../proto/meter.h"

static const _Atomic uint32_t not_yet;
const _Atomic uint32_t *bt_metered = &not_yet;

/* How many calls pass before a descriptor that was no socket is looked at again: its number may
 * have got another meaning behind our back. */
#define STRANGER_CALLS 256u

/* Adds to the entry of the socket, which may have been another's. */
static void add(struct bt_meter_entry *e, const struct bt_ident *id, size_t bytes, bool out)
{
	if (atomic_load_explicit(&e->slot, memory_order_relaxed) != id->slot ||
	    atomic_load_explicit(&e->gen, memory_order_relaxed) != id->gen) {
		atomic_store_explicit(&e->slot, BT_SLOT_NONE, memory_order_relaxed);
		atomic_store_explicit(&e->in, 0, memory_order_release);
		atomic_store_explicit(&e->out, 0, memory_order_relaxed);
		atomic_store_explicit(&e->gen, id->gen, memory_order_relaxed);
		atomic_store_explicit(&e->slot, id->slot, memory_order_release);
	}
	atomic_fetch_add_explicit(out ? &e->out : &e->in, bytes, memory_order_relaxed);
}

static bool known(int fd, struct bt_meter_entry *e, struct bt_ident *id)
{
	struct note *own = bt_note(fd), n;
	if (own == NULL || bt_silenced())
		return false;
	if (own->flags & NOTE_OURS && own->flags & NOTE_NAMED) {
		*id = own->id;
		return true;
	}
	if (own->flags & (NOTE_SETTING | NOTE_NETLINK))
		return false;
	if (atomic_load_explicit(&e->slot, memory_order_relaxed) == BT_SLOT_NONE &&
	    atomic_fetch_add_explicit(&e->gen, 1, memory_order_relaxed) % STRANGER_CALLS != 0)
		return false;
	if (!bt_ident(fd, &n) || !(n.flags & NOTE_NAMED)) {
		atomic_store_explicit(&e->slot, BT_SLOT_NONE, memory_order_relaxed);
		return false;
	}
	*id = n.id;
	return true;
}

void bt_meter_add(int fd, size_t bytes, bool out)
{
	struct bt_ident id;
	int saved = errno;
	struct bt_meter *m = fd >= 0 && (unsigned)fd < BT_METER_ENTRIES ? bt_link_meter() : NULL;
	if (m != NULL && known(fd, &m->entries[fd], &id)) {
		uint32_t used = atomic_load_explicit(&m->used, memory_order_relaxed);
		add(&m->entries[fd], &id, bytes, out);
		while (used <= (uint32_t)fd &&
		       !atomic_compare_exchange_weak(&m->used, &used, (uint32_t)fd + 1))
			;
	}
	errno = saved;
}

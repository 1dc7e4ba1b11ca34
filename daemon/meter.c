/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of sockets, while somebody asks for them: the engine's own of connections in packets, of
 * all others what the programs' meters say (proto/meter.h). A meter is from outside: what it says
 * of a socket of another host is not taken.
 */
#include "calls.h"
#include "wire.h"

#include "../proto/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

const void *d_map_sealed(int fd, size_t bytes)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size != (off_t)bytes ||
	    (fcntl(fd, F_GET_SEALS) & wanted) != wanted)
		return NULL;
	const void *m = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	return m == MAP_FAILED ? NULL : m;
}

/* The sum of all programs that hold the socket. */
struct sum {
	uint32_t gen, pass;
	uint64_t in, out;
};

static struct sum *sums; /* of each slot; NULL: nobody asks */
static uint32_t pass;
static uint32_t n_watchers;

int d_meter_open(struct conn *c, int fd)
{
	if (c->meter != NULL)
		return -EPROTO;
	c->meter = d_map_sealed(fd, BT_METER_BYTES);
	return c->meter == NULL ? -EPROTO : 0;
}

void d_meter_close(struct daemon *d, struct conn *c)
{
	if (c->meter != NULL)
		munmap((void *)(uintptr_t)c->meter, BT_METER_BYTES);
	c->meter = NULL;
	if (!c->watches)
		return;
	c->watches = false;
	if (--n_watchers == 0) {
		atomic_store(&d->table->metered, 0);
		free(sums);
		sums = NULL;
	}
}

static int watch(struct daemon *d, struct conn *c)
{
	if (sums == NULL)
		sums = calloc(BT_MAX_ROWS,
			      sizeof(*sums)); /* the kernel gives pages that are used */
	if (sums == NULL)
		return -ENOMEM;
	n_watchers += !c->watches;
	c->watches = true;
	atomic_store(&d->table->metered, 1);
	return 0;
}

static void read_meter(struct daemon *d, const struct conn *c)
{
	uint32_t used = atomic_load(&c->meter->used);
	for (uint32_t i = 0; i < used && i < BT_METER_ENTRIES; i++) {
		const struct bt_meter_entry *e = &c->meter->entries[i];
		uint32_t slot = atomic_load_explicit(&e->slot, memory_order_acquire), gen = e->gen;
		uint64_t in = e->in, out = e->out;
		if (slot >= BT_MAX_ROWS || atomic_load(&e->slot) != slot ||
		    d_row(d, slot)->gen != gen || d_row(d, slot)->host != c->host)
			continue;
		struct sum *s = &sums[slot];
		if (s->pass != pass || s->gen != gen)
			*s = (struct sum){.gen = gen, .pass = pass};
		s->in += in;
		s->out += out;
	}
}

static void read_all(struct daemon *d)
{
	pass++;
	for (const struct conn *c = d->conns; c != NULL; c = c->next)
		if (c->meter != NULL && c->host != BT_NET_NO_HOST)
			read_meter(d, c);
}

static const struct sum *sum_of(struct daemon *d, uint32_t slot)
{
	return slot < BT_MAX_ROWS && sums[slot].pass == pass &&
			       sums[slot].gen == d_row(d, slot)->gen
		       ? &sums[slot]
		       : NULL;
}

static bool metered(struct daemon *d, uint32_t slot, const struct bt_row *r, struct bt_counts *c)
{
	const struct sum *own = sum_of(d, slot), *far = NULL;
	if (r->proto == BT_TCP && r->peer < BT_MAX_ROWS && d_row(d, r->peer)->peer == slot)
		far = sum_of(d, r->peer);
	if (own == NULL && far == NULL)
		return false;
	c->in = own == NULL ? 0 : own->in;
	c->out = own == NULL ? 0 : own->out;
	if (far != NULL && far->out > c->in)
		c->in = far->out;
	if (far != NULL && far->in > c->out)
		c->out = far->in;
	return true;
}

static bool in_packets(struct daemon *d, uint32_t slot, struct bt_counts *c)
{
	struct berth_tcp_info i;
	berth_socket s = d->wire == NULL ? 0 : d_carry_socket(d, slot);
	if (s == 0 || berth_tcp_info(d_wire_engine(d), s, &i) < 0)
		return false;
	c->in = i.bytes_received;
	c->out = i.bytes_acked;
	c->retrans = i.total_retrans;
	return true;
}

int d_call_counts(struct call *k)
{
	static struct bt_counts
		told[(BT_MSG_MAX - sizeof(struct bt_rep)) / sizeof(struct bt_counts)];
	const size_t room = sizeof(told) / sizeof(told[0]);
	uint32_t slot = k->req->value, end = atomic_load(&k->d->table->high_water);
	size_t n = 0;
	int e = watch(k->d, k->c);
	if (e != 0)
		return e;
	if (slot == 0)
		read_all(k->d);
	for (; slot < end && n < room; slot++) {
		const struct bt_row *r = d_row(k->d, slot);
		struct bt_counts c = {.slot = slot, .gen = r->gen};
		if (r->state == BT_ROW_FREE || r->flags & BT_ROWF_ALIAS)
			continue;
		if (r->proto == BT_TCP && r->flags & BT_ROWF_WIRE ? in_packets(k->d, slot, &c)
								  : metered(k->d, slot, r, &c))
			told[n++] = c;
	}
	k->rep_extra = told;
	k->rep.extra = (uint32_t)(n * sizeof(told[0]));
	k->rep.value = slot < end ? slot : 0;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "flows.h"

#include "../base/siphash.h"

#include <stdlib.h>

#define SLOTS	  8192u
#define SEC	  1000000000ull
#define LIFE_NS	  (30 * SEC)  /* nf_conntrack_udp_timeout */
#define STREAM_NS (120 * SEC) /* nf_conntrack_udp_timeout_stream */
#define YOUNG_NS  (2 * SEC)   /* a question and its answer make no stream (nf_conntrack_udp) */

struct flow {
	struct flow *next;	    /* in its slot */
	struct flow *older, *newer; /* by their last packet */
	struct bt_flow_ends ends;
	uint64_t begun_ns, until_ns;
	bool seen[2]; /* by direction */
};

struct bt_flows {
	struct flow *slots[SLOTS], *oldest, *newest;
	uint32_t n;
	uint8_t key[16];
};

struct bt_flows *bt_flows_new(const uint8_t key[16])
{
	struct bt_flows *f = calloc(1, sizeof(*f));

	if (f != NULL)
		memcpy(f->key, key, sizeof(f->key));
	return f;
}

void bt_flows_free(struct bt_flows *f)
{
	if (f == NULL)
		return;
	while (f->oldest != NULL) {
		struct flow *e = f->oldest;

		f->oldest = e->newer;
		free(e);
	}
	free(f);
}

uint32_t bt_flows_count(const struct bt_flows *f)
{
	return f->n;
}

static uint32_t slot_of(const struct bt_flows *f, const struct bt_flow_ends *ends)
{
	return (uint32_t)bt_siphash13(f->key, ends, sizeof(*ends)) % SLOTS;
}

static struct flow *find(const struct bt_flows *f, const struct bt_flow_ends *ends, uint32_t slot)
{
	struct flow *e = f->slots[slot];

	while (e != NULL && memcmp(&e->ends, ends, sizeof(*ends)) != 0)
		e = e->next;
	return e;
}

static void unlink_age(struct bt_flows *f, struct flow *e)
{
	*(e->older != NULL ? &e->older->newer : &f->oldest) = e->newer;
	*(e->newer != NULL ? &e->newer->older : &f->newest) = e->older;
}

static void link_newest(struct bt_flows *f, struct flow *e)
{
	e->older = f->newest;
	e->newer = NULL;
	*(f->newest != NULL ? &f->newest->newer : &f->oldest) = e;
	f->newest = e;
}

static void forget(struct bt_flows *f, struct flow *e)
{
	struct flow **p = &f->slots[slot_of(f, &e->ends)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	unlink_age(f, e);
	free(e);
	f->n--;
}

uint8_t bt_flows_state(const struct bt_flows *f, const struct bt_flow_ends *ends,
		       enum bt_filter_dir dir, uint64_t now_ns)
{
	const struct flow *e = f == NULL ? NULL : find(f, ends, slot_of(f, ends));
	enum bt_filter_dir other = dir == BT_FILTER_IN ? BT_FILTER_OUT : BT_FILTER_IN;

	return e != NULL && e->until_ns > now_ns && e->seen[other] ? BT_FILTER_ESTABLISHED
								   : BT_FILTER_NEW;
}

void bt_flows_seen(struct bt_flows *f, const struct bt_flow_ends *ends, enum bt_filter_dir dir,
		   uint64_t now_ns)
{
	uint32_t slot = slot_of(f, ends);
	struct flow *e = find(f, ends, slot);
	bool stream;

	if (e != NULL && e->until_ns <= now_ns) {
		forget(f, e);
		e = NULL;
	}
	if (e == NULL) {
		/* What has ended is forgotten as others come: two for one, so that it gets less. */
		for (unsigned i = 0; i < 2 && f->oldest != NULL; i++)
			if (f->oldest->until_ns <= now_ns || f->n >= BT_FLOWS_MAX)
				forget(f, f->oldest);
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			return;
		e->ends = *ends;
		e->begun_ns = now_ns;
		e->next = f->slots[slot];
		f->slots[slot] = e;
		f->n++;
	} else {
		unlink_age(f, e);
	}
	link_newest(f, e);
	e->seen[dir] = true;
	stream = e->seen[0] && e->seen[1] && now_ns - e->begun_ns > YOUNG_NS;
	e->until_ns = now_ns + (stream ? STREAM_NS : LIFE_NS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often calls were refused and packets dropped, since berthd began. Refusals are a few kinds a
 * host (rule, errno, call, protocol), so a short list of each host holds them; a ring of the last
 * ones (events.c) cannot tell their number.
 */
#include "calls.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

/* Kinds in one host; the last is for all further ones. */
#define KINDS 64u

struct tallies {
	uint32_t n;
	struct bt_tally list[KINDS];
};

void d_tally_refused(struct daemon *d, const struct bt_refusal *r)
{
	uint16_t host = r->of.host;
	if (host >= BT_MAX_HOSTS)
		return;
	if (d->tallies[host] == NULL)
		d->tallies[host] = calloc(1, sizeof(*d->tallies[host]));
	struct tallies *t = d->tallies[host];
	if (t == NULL)
		return;
	struct bt_tally *found = t->list, *end = t->list + t->n;
	while (found < end && (found->what != r->why || found->err != r->err ||
			       found->call != r->call || found->proto != r->of.proto))
		found++;
	if (found == end && t->n == KINDS)
		found--;
	if (found == end && ++t->n == KINDS)
		*found = (struct bt_tally){.host = host, .kind = BT_TALLY_REFUSED};
	else if (found == end)
		*found = (struct bt_tally){.what = r->why,
					   .err = r->err,
					   .host = host,
					   .kind = BT_TALLY_REFUSED,
					   .call = (uint8_t)r->call,
					   .proto = r->of.proto};
	found->count++;
}

int d_call_tally(struct call *k)
{
	static struct bt_tally told[(BT_MSG_MAX - sizeof(struct bt_rep)) / sizeof(struct bt_tally)];
	const size_t room = sizeof(told) / sizeof(told[0]);
	uint32_t hosts = bt_net_hosts(k->d->net), host = k->req->value;
	size_t n = 0;
	for (; host < hosts && room - n >= KINDS + BERTH_DROPS; host++) {
		const struct tallies *t = k->d->tallies[host];
		for (uint32_t i = 0; t != NULL && i < t->n; i++)
			told[n++] = t->list[i];
		for (uint32_t i = 0; i < BERTH_DROPS; i++) {
			uint64_t count = d_wire_drops(k->d, (uint16_t)host, i);
			if (count > 0)
				told[n++] = (struct bt_tally){.count = count,
							      .what = i,
							      .host = (uint16_t)host,
							      .kind = BT_TALLY_DROPPED};
		}
	}
	k->rep.value = host < hosts ? host : 0;
	k->rep_extra = told;
	k->rep.extra = (uint32_t)(n * sizeof(told[0]));
	return 0;
}

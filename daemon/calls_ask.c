/* SPDX-License-Identifier: Apache-2.0 */
/* Questions: what would become of a packet or a call. They are answered by the functions that
 * decide it when it comes, so they cannot disagree. */
#include "calls.h"
#include "filter.h"
#include "wire.h"

#include "../lib/sock/groups.h"

#include <errno.h>
#include <string.h>

int d_call_may_bind(struct call *k)
{
	static struct bt_refusal_why told;
	const struct bt_req *q = k->req;
	memset(&told, 0, sizeof(told));
	told.slot = BT_SLOT_NONE;
	if ((q->proto != BT_TCP && q->proto != BT_UDP) ||
	    (q->family != BT_V4 && q->family != BT_V6) || q->value >= bt_net_hosts(k->d->net))
		return -ENOENT;
	int r = bt_net_sock(k->d->net, (uint16_t)q->value, q->proto, q->family, q->uid, &k->slot);
	if (r < 0)
		return r;
	bt_port_set_opts(bt_net_ports(k->d->net), k->slot, q->opts);
	k->why.slot = BT_NO_SLOT;
	told.call = BT_BIND;
	r = d_try_bind(k, q->flags & BT_REQF_ROOT);
	if (r == 0 && q->proto == BT_TCP) {
		told.call = BT_LISTEN_ON;
		r = d_try_listen(k);
	}
	bt_net_closed(k->d->net, k->slot, d_now());
	told.why = r < 0 ? k->why.why : BT_WHY_NONE;
	told.slot = r < 0 ? k->why.slot : BT_SLOT_NONE;
	told.frees_in_ns = r < 0 && k->why.frees_ns > d_now() ? k->why.frees_ns - d_now() : 0;
	k->rep_extra = &told;
	k->rep.extra = sizeof(told);
	return r;
}

/* Whether a copy of it comes to a socket of host `to`, and how. */
static struct bt_candidate copy_for(struct call *k, const struct bt_net_spread *s, uint16_t sport,
				    uint16_t to, uint32_t slot)
{
	struct bt_filtered f;
	const struct d_passage p = {.from = s->host,
				    .to = to,
				    .proto = BT_UDP,
				    .src = s->src,
				    .dst = s->dst,
				    .sport = sport,
				    .dport = k->req->port};
	d_filter_judge(k->d, &p, &f);
	return (struct bt_candidate){.slot = slot,
				     .count = 1,
				     .score = f.as == BT_FILTERED_NOT ? 0 : -1,
				     .group = d_wired_group(k->d, s->host, to)};
}

/* Of what goes to several: the sender is a socket that is made for the question. */
static int explain_many(struct call *k, const struct bt_addr *src, uint16_t sport,
			struct bt_explained *told)
{
	struct bt_net *net = k->d->net;
	struct bt_net_spread s = {.dst = k->addr, .src = *src, .may_broadcast = true};
	struct bt_net_copy copies[BT_CANDIDATES];
	int r = bt_net_sock(net, (uint16_t)k->req->value, BT_UDP,
			    bt_addr_is_v4(&k->addr) ? BT_V4 : BT_V6, k->c->uid, &k->slot);
	if (r < 0)
		return r;
	told->route = bt_net_spread(net, k->slot, &s);
	bt_net_closed(net, k->slot, d_now());
	told->many = 1;
	told->dev = s.dev;
	told->slot = BT_SLOT_NONE;
	memcpy(told->src, s.src.b, 16);
	memcpy(told->dst, s.dst.b, 16);
	for (uint16_t to = 0; told->route == 0 && to < bt_net_hosts(net); to++) {
		uint32_t all =
			bt_net_copies(net, &s, sport, k->req->port, to, copies, BT_CANDIDATES);
		for (uint32_t i = 0; i < all; i++) {
			if (i >= BT_CANDIDATES || told->n >= BT_CANDIDATES) {
				told->more += all - i;
				break;
			}
			told->candidates[told->n++] = copy_for(k, &s, sport, to, copies[i].slot);
		}
	}
	return 0;
}

int d_call_explain(struct call *k)
{
	static struct bt_explained told;
	struct bt_net_explained e;
	struct bt_addr src;
	uint16_t sport;
	const struct bt_req *q = k->req;
	if (q->extra != sizeof(src.b) + sizeof(sport) || (q->proto != BT_TCP && q->proto != BT_UDP))
		return -EPROTO;
	memcpy(src.b, k->extra, sizeof(src.b));
	memcpy(&sport, k->extra + sizeof(src.b), sizeof(sport));
	memset(&told, 0, sizeof(told));
	k->rep_extra = &told;
	k->rep.extra = sizeof(told);
	if (q->proto == BT_UDP && q->value < bt_net_hosts(k->d->net) &&
	    bt_net_is_many(k->d->net, (uint16_t)q->value, &k->addr))
		return explain_many(k, &src, sport, &told);
	if (q->value >= bt_net_hosts(k->d->net) ||
	    !bt_net_explain(k->d->net, (uint16_t)q->value, q->proto, &src, sport, &k->addr, q->port,
			    &e))
		return -ENOENT;
	told.route = e.err;
	told.to = e.to;
	told.dev = e.dev;
	told.connected = e.trace.connected;
	memcpy(told.src, e.src.b, 16);
	memcpy(told.dst, e.dst.b, 16);
	told.slot = e.slot;
	const struct d_passage p = {.from = (uint16_t)q->value,
				    .to = e.to,
				    .proto = (enum bt_proto)q->proto,
				    .src = e.src,
				    .dst = e.dst,
				    .sport = sport,
				    .dport = q->port,
				    .nobody = q->proto == BT_UDP && e.slot == BT_NO_SLOT};
	if (e.err == 0)
		d_filter_judge(k->d, &p, &told.filtered);
	if (e.err == 0)
		told.packets = d_wired(k->d, p.from, p.to) ? BT_PACKETS_LINK
			       : d_filter_passes(k->d, &p) ? BT_PACKETS_NOT
							   : BT_PACKETS_FILTER;
	told.more = e.trace.more;
	for (; told.n < e.trace.n && told.n < BT_CANDIDATES; told.n++) {
		const struct bt_port_candidate *c = &e.trace.candidates[told.n];
		told.candidates[told.n] =
			(struct bt_candidate){c->slot, c->count, c->score, c->group};
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Questions: what would become of a packet or a call. They are answered by the functions that
 * decide it when it comes, so they cannot disagree. */
#include "calls.h"
#include "filter.h"
#include "wire.h"

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
	if (q->value >= bt_net_hosts(k->d->net) ||
	    !bt_net_explain(k->d->net, (uint16_t)q->value, q->proto, &src, sport, &k->addr, q->port,
			    &e))
		return -ENOENT;
	memset(&told, 0, sizeof(told));
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
	k->rep_extra = &told;
	k->rep.extra = sizeof(told);
	return 0;
}

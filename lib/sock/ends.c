/* SPDX-License-Identifier: Apache-2.0 */
/* How connections end: both ends through TCP's states, TIME_WAIT, and ends that nobody holds. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

void btn_leave_ports(struct bt_net *net, uint32_t slot)
{
	struct bt_port_info i;
	if (bt_port_get(net->ports, slot, &i) && i.state == BT_TIME_WAIT)
		net->hosts[i.host]->n_time_wait--;
	bt_port_disconnect(net->ports, slot);
}

void btn_done(struct bt_net *net, uint32_t slot)
{
	bt_port_done(net->ports, slot);
	btn_mark(net, slot);
}

int bt_net_part(struct bt_net *net, uint32_t slot, uint32_t *waits)
{
	int r = bt_port_part(net->ports, slot, waits);
	if (r < 0)
		return r;
	struct sock *s = btn_begin(net, *waits);
	if (s == NULL) {
		btn_leave_ports(net, *waits);
		bt_port_free(net->ports, *waits);
		return -ENOMEM;
	}
	s->flags |= BT_NETF_ORPHAN;
	btn_mark(net, *waits);
	btn_mark(net, slot);
	return 0;
}

void bt_net_time_wait(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return;
	net->hosts[i.host]->n_time_wait++;
	bt_port_time_wait(net->ports, slot, now_ns);
	btn_mark(net, slot);
}

/* Into TIME_WAIT, where there is room. */
static void wait_or_close(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	struct bt_port_info i;
	if (bt_port_get(net->ports, slot, &i) &&
	    net->hosts[i.host]->n_time_wait < net->hosts[i.host]->conf.max_tw_buckets) {
		bt_net_time_wait(net, slot, now_ns);
	} else {
		btn_done(net, slot);
	}
}

/* Both ends have sent their FIN: the first to do so waits, the other is done. */
static void both_shut(struct bt_net *net, uint32_t first, uint32_t last, uint64_t now_ns)
{
	wait_or_close(net, first, now_ns);
	btn_done(net, last);
}

void bt_net_shut(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	uint32_t peer = bt_net_peer(net, slot);
	uint8_t state = btn_state(net, slot);
	if (bt_net_is_wire(net, slot))
		return;
	if (state == BT_LISTEN) { /* it keeps its port and may listen again */
		bt_port_disconnect(net->ports, slot);
		btn_mark(net, slot);
	}
	if (bt_net_flags(net, slot) & BT_NETF_SELF && state == BT_ESTABLISHED) {
		wait_or_close(net, slot, now_ns); /* it has got its own FIN */
	} else if (peer != BT_NO_SLOT && state == BT_ESTABLISHED) {
		/* The peer's stack acknowledges a FIN at once: FIN_WAIT1 is over before anyone
		 * looks. */
		btn_set_state(net, slot, BT_FIN_WAIT2);
		btn_set_state(net, peer, BT_CLOSE_WAIT);
	} else if (state == BT_CLOSE_WAIT && peer != BT_NO_SLOT &&
		   btn_state(net, peer) == BT_FIN_WAIT2) {
		both_shut(net, peer, slot, now_ns);
	} else if (state == BT_CLOSE_WAIT) { /* the other end has given up waiting: a reset */
		btn_done(net, slot);
	}
}

/* Frees what nobody can name any more. A child is named through its client, so the client's slot
 * waits. */
void btn_settle(struct bt_net *net, uint32_t slot)
{
	struct sock *s = btn_find(net, slot);
	uint32_t peer = s->peer;
	struct sock *p = peer == BT_NO_SLOT ? NULL : btn_find(net, peer);
	bool needed = p != NULL && p->flags & BT_NETF_CHILD && !(p->flags & BT_NETF_ORPHAN);
	if (s->flags & BT_NETF_ORPHAN && !(s->flags & BT_NETF_FREED) &&
	    btn_state(net, slot) == BT_CLOSE) {
		bt_port_unbind(net->ports, slot);
		btn_mark(net, slot);
	}
	if (!(s->flags & BT_NETF_ORPHAN) || s->flags & BT_NETF_FREED || needed ||
	    btn_state(net, slot) == BT_TIME_WAIT)
		return;
	/* FIN_WAIT2: the peer has not closed yet. With a peer in packets that is not of this
	 * network, TCP goes on until it says that it has ended. */
	bool goes_on = p != NULL || (s->flags & WIRE && btn_state(net, slot) != BT_SYN_SENT);
	if (goes_on && btn_state(net, slot) != BT_CLOSE)
		return;
	if (p != NULL) {
		p->peer = BT_NO_SLOT;
		btn_mark(net, peer);
	}
	btn_give_up(net, slot);
	if (p != NULL)
		btn_settle(net, peer);
}

/* ---- ends that wait for the other's FIN with nobody to hold them ---- */

static void orphan_sift(struct bt_net *net, uint32_t at, struct orphan o)
{
	struct orphan *h = net->orphans;
	for (; at > 0 && h[(at - 1) / 2].ends_ns > o.ends_ns; at = (at - 1) / 2)
		h[at] = h[(at - 1) / 2];
	for (uint32_t child; (child = 2 * at + 1) < net->n_orphans; at = child) {
		if (child + 1 < net->n_orphans && h[child + 1].ends_ns < h[child].ends_ns)
			child++;
		if (h[child].ends_ns >= o.ends_ns)
			break;
		h[at] = h[child];
	}
	h[at] = o;
}

/* tcp_close in FIN_WAIT2: tcp_fin_timeout, but at least 3.5 times the least retransmission time. */
static void orphan_begin(struct bt_net *net, uint32_t slot, uint16_t host, uint64_t now_ns)
{
	const uint64_t least_ns = 700000000u;
	int32_t s = net->hosts[host]->conf.fin_timeout_s;
	uint64_t ns = s > 0 ? (uint64_t)s * 1000000000u : 0;
	if (net->n_orphans == net->orphan_room) {
		uint32_t room = net->orphan_room == 0 ? 64 : net->orphan_room * 2;
		struct orphan *more = realloc(net->orphans, room * sizeof(*more));
		if (more == NULL)
			return; /* it lasts until the other end closes */
		net->orphans = more;
		net->orphan_room = room;
	}
	struct orphan o = {now_ns + (ns > least_ns ? ns : least_ns), slot,
			   btn_find(net, slot)->flags / STAMP};
	net->n_orphans++;
	net->orphans[net->n_orphans - 1] = o;
	orphan_sift(net, net->n_orphans - 1, o);
}

static void orphans_advance(struct bt_net *net, uint64_t now_ns)
{
	while (net->n_orphans > 0 && net->orphans[0].ends_ns <= now_ns) {
		struct orphan o = net->orphans[0], last = net->orphans[--net->n_orphans];
		const struct sock *s = btn_find(net, o.slot);
		if (net->n_orphans > 0)
			orphan_sift(net, 0, last);
		if (s->flags / STAMP != o.stamp || !(s->flags & BT_NETF_ORPHAN) ||
		    s->flags & BT_NETF_FREED || btn_state(net, o.slot) != BT_FIN_WAIT2)
			continue;
		btn_done(net, o.slot);
		btn_settle(net, o.slot);
	}
}

void bt_net_unread(struct bt_net *net, uint32_t slot, bool unread)
{
	struct sock *s = btn_touch(net, slot);
	if (s != NULL)
		s->flags = unread ? s->flags | UNREAD : s->flags & ~UNREAD;
}

void bt_net_closed(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	struct bt_port_info i;
	struct sock *s = btn_touch(net, slot);
	if (s == NULL || !bt_port_get(net->ports, slot, &i) || s->flags & BT_NETF_ORPHAN)
		return;
	btn_groups_forget(net, slot, i.host);
	uint32_t peer = s->peer;
	if (s->flags & (BT_NETF_LINGER0 | UNREAD))
		bt_net_reset(net, slot);
	if (btn_state(net, slot) == BT_ESTABLISHED)
		s->flags |= AT_ONCE;
	if (i.proto == BT_TCP)
		bt_net_shut(net, slot, now_ns);
	s->flags |= BT_NETF_ORPHAN;
	btn_mark(net, slot);
	if (i.proto == BT_UDP || i.state == BT_LISTEN)
		bt_port_disconnect(net->ports, slot);
	if (btn_state(net, slot) == BT_FIN_WAIT2 && !(s->flags & WIRE))
		orphan_begin(net, slot, i.host, now_ns);
	btn_settle(net, slot);
	if (peer != BT_NO_SLOT)
		btn_settle(net, peer);
}

void bt_net_reset(struct bt_net *net, uint32_t slot)
{
	uint32_t peer = bt_net_peer(net, slot);
	uint8_t state = btn_state(net, slot);
	if (bt_net_is_wire(net, slot))
		return;
	if (bt_net_flags(net, slot) & BT_NETF_SELF && state == BT_ESTABLISHED)
		btn_done(net, slot);
	/* An end that is done, or waits, has nothing left to reset. */
	if (peer == BT_NO_SLOT || state == BT_TIME_WAIT || state == BT_CLOSE)
		return;
	/* Who has had our FIN reads that end; the reset comes too late to be told (tcp_reset). */
	bool told = btn_state(net, peer) != BT_CLOSE_WAIT;
	btn_done(net, slot);
	btn_done(net, peer);
	if (told)
		btn_find(net, peer)->flags |= BT_NETF_RESET;
	btn_settle(net, peer); /* nobody may hold it any more: then its port is free */
}

void bt_net_reset_came(struct bt_net *net, uint32_t slot)
{
	uint32_t peer = bt_net_peer(net, slot);
	uint8_t state = btn_state(net, slot);
	bool shut = state == BT_CLOSE_WAIT &&
		    (peer == BT_NO_SLOT || !(btn_find(net, peer)->flags & AT_ONCE));
	if (state == BT_CLOSE || state == BT_TIME_WAIT || bt_net_is_wire(net, slot))
		return;
	bt_net_set_flag(net, slot, BT_NETF_RESET, !shut);
	bt_net_reset(net, slot);
}

void bt_net_wire_state(struct bt_net *net, uint32_t slot, enum bt_state state, uint64_t now_ns)
{
	uint8_t now = btn_state(net, slot);
	uint32_t peer = bt_net_peer(net, slot);
	if (!bt_net_is_wire(net, slot) || now == state || now == BT_TIME_WAIT || now == BT_CLOSE)
		return;
	if (state == BT_TIME_WAIT) {
		wait_or_close(net, slot, now_ns);
	} else if (state == BT_CLOSE) {
		btn_done(net, slot);
	} else {
		btn_set_state(net, slot, state);
	}
	btn_settle(net, slot);
	if (peer != BT_NO_SLOT)
		btn_settle(net, peer);
}

void bt_net_advance(struct bt_net *net, uint64_t now_ns)
{
	uint32_t slot;
	orphans_advance(net, now_ns);
	while ((slot = bt_port_expired(net->ports, now_ns)) != BT_NO_SLOT) {
		uint32_t peer = bt_net_peer(net, slot);
		struct bt_port_info i;
		if (bt_port_get(net->ports, slot, &i))
			net->hosts[i.host]->n_time_wait--;
		btn_done(net, slot);
		/* Where a program still holds the descriptor, the socket is closed but the slot not
		 * free. */
		btn_settle(net, slot);
		if (peer != BT_NO_SLOT)
			btn_settle(net, peer);
	}
}

uint64_t bt_net_deadline(const struct bt_net *net)
{
	uint64_t tw = bt_port_deadline(net->ports);
	return net->n_orphans > 0 && net->orphans[0].ends_ns < tw ? net->orphans[0].ends_ns : tw;
}

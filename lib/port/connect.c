/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: both ends of a new one, and what remains when one ends. */
#include "internal.h"

#include <errno.h>

/* Enters the bucket and the demultiplexer with the ends given; after btp_reserve. */
static void join(struct bt_port_net *net, uint32_t slot, const struct tuple *t, enum bt_state state)
{
	struct psock *s = sock_at(net, slot);

	btp_leave_tuple(net, slot);
	btp_change_begin(net, slot);
	s->laddr = t->laddr;
	s->raddr = t->raddr;
	s->lport = t->lport;
	s->rport = t->rport;
	s->state = (uint8_t)state;
	btp_change_end(net, slot);
	btp_enter_tuple(net, slot);
}

bool bt_port_is_self(const struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = btp_slot_used(net, slot) ? sock_at(net, slot) : NULL;

	return s != NULL && s->flags & SF_TUPLE && s->lport == s->rport &&
	       bt_addr_eq(&s->laddr, &s->raddr);
}

/* What remains when a connection ends: the port if it is to be kept. */
static void let_go(struct bt_port_net *net, uint32_t slot, bool keep, const struct bt_addr *laddr,
		   const struct bt_addr *raddr, uint16_t rport)
{
	struct psock *s = sock_at(net, slot);
	struct bt_addr local = *laddr, remote = *raddr;

	keep = keep && s->lport != 0 && btp_reserve(net, s);
	btp_leave_tuple(net, slot);
	if (keep)
		btp_change_begin(net, slot);
	else
		btp_leave_bucket(net, slot);
	s->state = BT_CLOSE;
	s->laddr = local;
	s->raddr = remote;
	s->rport = rport;
	if (s->proto == BT_UDP)
		s->dev = 0; /* __udp_disconnect */
	if (keep) {
		btp_change_end(net, slot);
		return;
	}
	s->lport = 0;
	s->flags &= (uint8_t) ~(SF_PORT_LOCK | SF_HELD);
}

/* The same, and both ends are forgotten: the local one but for the address that bind gave. */
static void forget_ends(struct bt_port_net *net, uint32_t slot, bool keep,
			const struct bt_addr *laddr)
{
	const struct psock *s = sock_at(net, slot);
	struct bt_addr any = any_of(s->family);

	let_go(net, slot, keep, s->flags & SF_ADDR_LOCK ? laddr : &any, &any, 0);
}

/* Linux has begun the connection before it looks for its place, and undoes that. */
static int no_place(struct bt_port_net *net, uint32_t slot, const struct tuple *t)
{
	forget_ends(net, slot, sock_at(net, slot)->flags & SF_PORT_LOCK, &t->laddr);
	return -EADDRNOTAVAIL;
}

static int connect_tcp(struct bt_port_net *net, uint32_t slot, struct tuple *t, uint64_t now_ns,
		       uint32_t *taken, struct bt_reason *reason)
{
	if (t->lport != 0) {
		uint32_t other = btp_find_tuple(net, t, sock_at(net, slot)->dev);

		/* tcp_twsk_unique: whoever bound the port may have it back at once. */
		if (other != BT_NO_SLOT && sock_at(net, other)->state != BT_TIME_WAIT)
			return btp_refuse(reason, no_place(net, slot, t), BT_WHY_TUPLE_IN_USE,
					  other, btp_expires(net, other));
		*taken = other;
	} else {
		uint32_t i = BT_NO_SLOT;

		if (sock_at(net, slot)->dev == 0)
			i = btp_find_dest(net, t->host, &t->laddr, &t->raddr, t->rport);
		if (!btp_reserve_dest(net, i))
			return btp_refuse(reason, -ENOMEM, BT_WHY_NO_MEMORY, BT_NO_SLOT, 0);
		t->lport = btp_connect_port(net, slot, t, i, now_ns, taken);
		if (t->lport == 0)
			return btp_refuse(reason, no_place(net, slot, t), BT_WHY_NO_FREE_PORT,
					  BT_NO_SLOT, 0);
	}
	if (*taken != BT_NO_SLOT)
		bt_port_free(net, *taken);
	join(net, slot, t, BT_SYN_SENT);
	return 0;
}

int bt_port_connect(struct bt_port_net *net, uint32_t slot, const struct bt_addr *src,
		    const struct bt_addr *raddr, uint16_t rport, uint64_t now_ns, uint32_t *taken,
		    struct bt_reason *reason)
{
	struct psock *s;
	struct tuple t = {*src, *raddr, 0, rport, 0, 0};
	int r;

	*taken = BT_NO_SLOT;
	if (!btp_slot_used(net, slot))
		return btp_refuse(reason, -EBADF, BT_WHY_BAD_STATE, BT_NO_SLOT, 0);
	s = sock_at(net, slot);
	if (s->proto == BT_TCP && s->state != BT_CLOSE)
		return btp_refuse(reason, -EISCONN, BT_WHY_BAD_STATE, slot, 0);
	if (s->proto == BT_UDP) {
		r = bt_port_autobind(net, slot, now_ns, reason);
		if (r < 0)
			return r;
	}
	if (!btp_reserve(net, s))
		return btp_refuse(reason, -ENOMEM, BT_WHY_NO_MEMORY, BT_NO_SLOT, 0);
	t.lport = s->lport;
	t.host = s->host;
	t.proto = s->proto;
	if (s->proto == BT_TCP)
		return connect_tcp(net, slot, &t, now_ns, taken, reason);
	join(net, slot, &t, BT_ESTABLISHED);
	return 0;
}

void bt_port_disconnect(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	/* A TCP socket that never connected keeps what it has, as in Linux (tcp_disconnect). */
	forget_ends(net, slot,
		    s->flags & SF_PORT_LOCK || (s->proto == BT_TCP && s->state == BT_CLOSE),
		    &s->laddr);
}

void bt_port_done(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = btp_slot_used(net, slot) ? sock_at(net, slot) : NULL;
	struct bt_addr any;

	if (s == NULL || s->proto != BT_TCP || !(s->flags & SF_TUPLE))
		return;
	any = any_of(s->family);
	if (s->state == BT_SYN_SENT) /* nobody was there */
		let_go(net, slot, s->flags & SF_PORT_LOCK, &s->laddr, &any, 0);
	else
		let_go(net, slot, s->flags & SF_PORT_LOCK, &s->laddr, &s->raddr, s->rport);
}

int bt_port_inherit(struct bt_port_net *net, uint32_t from, uint32_t to)
{
	struct psock *a, *b;
	struct range range;

	if (!btp_slot_used(net, from) || !btp_slot_used(net, to))
		return -EBADF;
	a = sock_at(net, from);
	b = sock_at(net, to);
	if (a == b || a->state != BT_CLOSE || b->state != BT_CLOSE || b->lport != 0 ||
	    a->host != b->host || a->proto != b->proto || a->family != b->family)
		return -EINVAL;
	range = btp_range(net, from);
	if (!btp_reserve(net, a) || bt_port_set_range(net, to, range.lo, range.hi) < 0)
		return -ENOMEM;
	b->opts = a->opts;
	b->dev = a->dev;
	b->laddr = a->laddr;
	b->lport = a->lport;
	b->aux = a->aux;
	b->flags |= a->flags & (SF_PORT_LOCK | SF_ADDR_LOCK | SF_HELD | SF_V6_ADDR);
	/* In this order, so that the port keeps its history. */
	btp_change_end(net, to);
	btp_leave_bucket(net, from);
	a->lport = 0;
	a->flags &= (uint8_t) ~(SF_PORT_LOCK | SF_ADDR_LOCK | SF_HELD | SF_V6_ADDR);
	a->laddr = any_of(a->family);
	return 0;
}

void bt_port_unbind(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = btp_slot_used(net, slot) ? sock_at(net, slot) : NULL;

	if (s == NULL || s->state != BT_CLOSE || (s->lport == 0 && bt_addr_is_any(&s->laddr)))
		return;
	s->flags &= (uint8_t)~SF_ADDR_LOCK;
	forget_ends(net, slot, false, &s->laddr);
}

int bt_port_accept(struct bt_port_net *net, uint32_t listener, const struct bt_addr *laddr,
		   const struct bt_addr *raddr, uint16_t rport, uint32_t *child, uint32_t *taken,
		   struct bt_reason *reason)
{
	const struct psock *l;
	struct psock *s;
	struct range range;
	struct tuple t;
	uint32_t other;
	int r;

	*taken = BT_NO_SLOT;
	*child = BT_NO_SLOT;
	if (!btp_slot_used(net, listener) || sock_at(net, listener)->state != BT_LISTEN)
		return btp_refuse(reason, -EINVAL, BT_WHY_BAD_STATE, listener, 0);
	l = sock_at(net, listener);
	t = (struct tuple){*laddr, *raddr, l->lport, rport, l->host, BT_TCP};
	other = btp_find_tuple(net, &t, l->dev);
	if (other != BT_NO_SLOT && sock_at(net, other)->state != BT_TIME_WAIT)
		return btp_refuse(reason, -EADDRNOTAVAIL, BT_WHY_TUPLE_IN_USE, other, 0);
	r = bt_port_new(net, l->host, BT_TCP, (enum bt_family)l->family, l->uid, child);
	if (r < 0) {
		*child = BT_NO_SLOT;
		return btp_refuse(reason, r, BT_WHY_NO_MEMORY, BT_NO_SLOT, 0);
	}
	s = sock_at(net, *child);
	if (!btp_reserve(net, s)) {
		bt_port_free(net, *child);
		*child = BT_NO_SLOT;
		return btp_refuse(reason, -ENOMEM, BT_WHY_NO_MEMORY, BT_NO_SLOT, 0);
	}
	if (other != BT_NO_SLOT)
		bt_port_free(net, other);
	*taken = other;
	s->opts = l->opts;
	s->dev = l->dev;
	range = btp_range(net, listener);
	(void)bt_port_set_range(net, *child, range.lo, range.hi); /* without memory: none */
	/* Disconnecting or a reset releases the port (sk_clone_lock). */
	s->flags |= SF_HELD | (l->flags & (SF_ADDR_LOCK | SF_V6_ADDR));
	join(net, *child, &t, BT_SYN_RECV);
	return 0;
}

/*
 * Whether bind or connect gave the port is not in info. One outside the ephemeral range is taken
 * for a listener's; one in it for connect's, so that other destinations may still have it.
 */
int bt_port_restore_child(struct bt_port_net *net, uint32_t slot, const struct bt_port_info *info)
{
	struct tuple t = {info->laddr, info->raddr, info->lport, info->rport, info->host, BT_TCP};
	enum bt_state state = (enum bt_state)info->state;
	const struct bt_port_conf *conf = bt_port_host_conf(net, info->host);
	struct psock *s;
	uint32_t dest;
	int r;

	if (conf == NULL)
		return -ENOENT;
	if (info->proto != BT_TCP || info->lport == 0 || state < BT_ESTABLISHED ||
	    state > BT_CLOSING || state == BT_LISTEN || state == BT_CLOSE)
		return -EINVAL;
	if (btp_find_tuple(net, &t, info->dev) != BT_NO_SLOT)
		return -EADDRNOTAVAIL;
	r = bt_port_new_at(net, info->host, BT_TCP, (enum bt_family)info->family, info->uid, slot);
	if (r < 0)
		return r;
	s = sock_at(net, slot);
	dest = btp_find_dest(net, info->host, &info->laddr, &info->raddr, info->rport);
	if (!btp_reserve(net, s) || !btp_reserve_dest(net, dest)) {
		bt_port_free(net, slot);
		return -ENOMEM;
	}
	s->opts = info->opts;
	s->dev = info->dev;
	net->devices |= info->dev != 0;
	(void)bt_port_set_range(net, slot, info->range_lo, info->range_hi);
	if (info->lport < conf->range_lo || info->lport > conf->range_hi)
		s->flags |= SF_HELD;
	/* Until the caller says when it began: bt_port_time_wait. */
	join(net, slot, &t, state == BT_TIME_WAIT ? BT_CLOSING : state);
	return 0;
}

void bt_port_set_state(struct bt_port_net *net, uint32_t slot, enum bt_state state)
{
	struct psock *s;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	if (s->proto != BT_TCP || !(s->flags & SF_TUPLE) || s->state == BT_TIME_WAIT ||
	    state == BT_LISTEN || state == BT_TIME_WAIT)
		return;
	if (state == BT_CLOSE)
		bt_port_disconnect(net, slot);
	else
		s->state = (uint8_t)state;
}

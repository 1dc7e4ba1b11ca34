/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams over wires. The sender gives them to berthd, as it does where a receiver's queue is
 * full (relay.c); here they go through the engine first: its socket of the sender's address sends,
 * its socket of the receiver's gets what has come through, and the receiver is told as always. Both
 * are made when they are needed, and go when the program's socket does.
 */
#include "tap.h"

#include "../lib/sock/groups.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define TABLE	 256u
#define GRAM_MAX 65536u

struct shadow {
	struct shadow *next;
	uint32_t slot;
	berth_socket socket;
	struct bt_addr addr; /* that it is bound to */
	uint16_t port;
};

static struct shadow *shadows[TABLE];

static struct shadow **place(uint32_t slot)
{
	struct shadow **p = &shadows[slot % TABLE];
	while (*p != NULL && (*p)->slot != slot)
		p = &(*p)->next;
	return p;
}

void d_wire_udp_forget(struct daemon *d, uint32_t slot)
{
	struct shadow **p = place(slot), *s = *p;
	if (s == NULL)
		return;
	*p = s->next;
	berth_close(d_wire_engine(d), s->socket, d_now());
	free(s);
}

static int bind_shadow(struct daemon *d, uint32_t slot, const struct bt_port_info *i,
		       berth_socket *s)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint local = {.port = i->lport};
	uint64_t now = d_now();
	memcpy(local.addr.b, i->laddr.b, 16);
	int r = berth_open(b, d_wire_host(d, i->host), BERTH_UDP, i->family == BT_V6 ? 6 : 4, s);
	if (r < 0)
		return r;
	/* Who may share a port the network has decided already. */
	berth_set(b, *s, BERTH_SO_REUSEADDR, 1, now);
	if (i->opts & BT_V6ONLY)
		berth_set(b, *s, BERTH_IPV6_V6ONLY, 1, now);
	berth_set(b, *s, BERTH_IP_RECVERR, 1, now);
	d_carry_options(d, slot, *s);
	berth_set_user(b, *s, (uint64_t)D_WIRE_UDP << 32 | slot);
	r = berth_bind(b, *s, &local, now);
	if (r < 0)
		berth_close(b, *s, now);
	return r;
}

/* NULL: it cannot be. */
static struct shadow *shadow_of(struct daemon *d, uint32_t slot)
{
	struct shadow **p = place(slot);
	struct bt_port_info i;
	if (!bt_port_get(bt_net_ports(d->net), slot, &i) || i.lport == 0)
		return NULL;
	if (*p != NULL && (!bt_addr_eq(&(*p)->addr, &i.laddr) || (*p)->port != i.lport)) {
		d_wire_udp_forget(d, slot); /* it has been bound or connected anew */
		p = place(slot);
	}
	if (*p != NULL)
		return *p;
	struct shadow *s = calloc(1, sizeof(*s));
	if (s == NULL || bind_shadow(d, slot, &i, &s->socket) < 0) {
		free(s);
		return NULL;
	}
	s->slot = slot;
	s->addr = i.laddr;
	s->port = i.lport;
	*p = s;
	bt_net_set_flag(d->net, slot, 0, true); /* the row tells */
	return s;
}

bool d_wire_udp(const struct daemon *d, uint32_t slot, const struct bt_addr *dst)
{
	struct bt_port_info from;
	uint16_t to = d->wire == NULL ? BT_NET_NO_HOST : bt_net_host_by_addr(d->net, dst);
	return to != BT_NET_NO_HOST && bt_port_get(bt_net_ports(d->net), slot, &from) &&
	       d_wired(d, from.host, to);
}

bool d_wire_udp_has(uint32_t slot)
{
	return *place(slot) != NULL;
}

int d_wire_udp_send(struct daemon *d, uint32_t slot, uint32_t target, const struct d_from *from,
		    uint16_t port, const uint8_t *data, size_t len)
{
	struct berth *b = d_wire_open(d) < 0 ? NULL : d_wire_engine(d);
	struct berth_endpoint to = {.port = port};
	struct shadow *s = b == NULL ? NULL : shadow_of(d, slot);
	if (s == NULL || (target != BT_NO_SLOT && shadow_of(d, target) == NULL))
		return -ENOBUFS;
	uint16_t host = bt_net_host_by_addr(d->net, &from->dst);
	if (host != BT_NET_NO_HOST)
		d_wire_host(d, host); /* it answers for itself */
	memcpy(to.addr.b, from->dst.b, 16);
	berth_set(b, s->socket, BERTH_IP_TTL, (uint8_t)(64 - from->hops), d_now());
	berth_set(b, s->socket, BERTH_IP_TOS, from->tos, d_now());
	int64_t n = berth_send_to(b, s->socket, data, len, &to, d_now());
	d_wire_turn(d);
	/* A full queue loses datagrams, and says so to nobody. */
	return n < 0 && n != BERTH_ENOBUFS && n != BERTH_EAGAIN ? (int)n : 0;
}

void d_wire_udp_hear(struct daemon *d, uint32_t slot)
{
	shadow_of(d, slot);
}

/* Who gets what comes from the outside: not the socket that was bound first, but the one that
 * matches best. */
static uint32_t from_outside(struct daemon *d, uint32_t target, struct d_from *from)
{
	struct bt_port_info i;
	if (!bt_port_get(bt_net_ports(d->net), target, &i) || !d_outside(d, i.host))
		return BT_NO_SLOT;
	from->host = i.host;
	return bt_port_lookup(bt_net_ports(d->net), i.host, BT_UDP, &from->dst, i.lport, &from->src,
			      from->port, BT_DEV_LO + 1);
}

static uint32_t target_of(struct daemon *d, uint32_t hearer, struct d_from *from, uint16_t port)
{
	struct bt_port_info i;
	if (!bt_port_get(bt_net_ports(d->net), hearer, &i))
		return BT_NO_SLOT;
	from->host = bt_net_host_by_addr(d->net, &from->src);
	if (bt_net_is_many(d->net, i.host, &from->dst))
		return d_wire_group_heard(d, hearer, from, port) ? hearer : BT_NO_SLOT;
	if (from->host == BT_NET_NO_HOST)
		return from_outside(d, hearer, from);
	uint16_t to = bt_net_host_by_addr(d->net, &from->dst);
	return to == BT_NET_NO_HOST ? BT_NO_SLOT
				    : bt_port_lookup(bt_net_ports(d->net), to, BT_UDP, &from->dst,
						     port, &from->src, from->port, BT_DEV_LO + 1);
}

void d_wire_udp_event(struct daemon *d, const struct berth_event *e)
{
	static uint8_t data[GRAM_MAX];
	struct berth *b = d_wire_engine(d);
	const uint32_t hearer = (uint32_t)e->user;
	struct berth_datagram info;
	int64_t n;
	while ((n = berth_recv_from(b, e->socket, data, sizeof(data), &info, 0, d_now())) !=
	       BERTH_EAGAIN) {
		/* Passing one on may publish rows, and a row that has changed has a new socket. */
		if (n == BERTH_EBADF)
			break;
		if (n < 0) /* what ICMP said is told by errors.c */
			continue;
		struct d_from from = {
			.port = info.from.port, .hops = (uint8_t)(64 - info.hops), .tos = info.tos};
		memcpy(from.src.b, info.from.addr.b, 16);
		memcpy(from.dst.b, info.to.addr.b, 16);
		uint32_t target = target_of(d, hearer, &from, info.to.port);
		if (target == BT_NO_SLOT)
			continue;
		d_count(d, BT_CNT_UDP_RELAYED);
		d_relay(d, target, &from, data, (size_t)n);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that go to several: to groups, and broadcast ones. Their senders give them to berthd,
 * which finds the receivers and hands each its copy as it does with datagrams in waiting (relay.c),
 * or has the engine send them where a link does something, or a filter looks (wire_groups.c).
 *
 * Who has joined what is kept in the port space's neighbour (lib/sock/groups.h), and dies with
 * berthd, as the values of options do (vals.h): the table that is left then has rows of a fixed
 * size and no room for a list. A program that outlives its berthd has to join again.
 */
#include "calls.h"
#include "errors.h"
#include "filter.h"
#include "tap.h"
#include "vals.h"

#include "../lib/sock/groups.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define COPIES_FIRST 64u

bool d_group_many(const struct call *k)
{
	const uint32_t slot = k->req->id.slot;
	/* Ping sockets reach none. */
	bool ping =
		slot < BT_MAX_ROWS ? d_row(k->d, slot)->proto == BT_ECHO : k->req->proto == BT_ECHO;
	return !ping && bt_net_is_many(k->d->net, k->c->host, &k->addr);
}

int d_call_group(struct call *k)
{
	struct bt_net *net = k->d->net;
	if (k->req->dev > BT_NET_ADDRS)
		return -EPROTO;
	int r = d_take(k);
	if (r < 0)
		return d_finish(k, r);
	r = k->req->flags & BT_REQF_LEAVE
		    ? bt_net_group_leave(net, k->slot, &k->addr, (uint8_t)k->req->dev)
		    : bt_net_group_join(net, k->slot, &k->addr, (uint8_t)k->req->dev);
	if (r == 0)
		d_wire_groups(k->d, k->c->host);
	return d_finish(k, r);
}

/* ---- the way ---- */

static uint32_t value(const struct call *k, uint16_t level, uint16_t name, uint32_t usual)
{
	uint32_t v;
	return d_vals_get(k->slot, d_row(k->d, k->slot)->gen, level, name, &v) == 0 ? v : usual;
}

/* What the request and the socket's options say about a datagram; chosen: a source, or a wildcard.
 */
static int asked(const struct call *k, const struct bt_addr *chosen, struct bt_net_spread *s)
{
	struct bt_port_info i;
	if (k->req->dev > BT_NET_ADDRS)
		return -ENODEV;
	*s = (struct bt_net_spread){.dst = k->addr,
				    .src = *chosen,
				    .dev = (uint8_t)k->req->dev,
				    .may_broadcast = k->req->flags & BT_REQF_BROADCAST};
	bool v4 = bt_addr_is_v4(&k->addr);
	if (!bt_net_is_group(&k->addr) || !bt_port_get(bt_net_ports(k->d->net), k->slot, &i))
		return 0;
	if (s->dev == 0 && i.dev == 0)
		s->dev = (uint8_t)(v4 ? value(k, IPPROTO_IP, BT_VAL_MULTICAST_DEV, 0)
				      : value(k, IPPROTO_IPV6, IPV6_MULTICAST_IF, 0));
	uint32_t addr = v4 ? value(k, IPPROTO_IP, IP_MULTICAST_IF, 0) : 0;
	if (addr != 0 && bt_addr_is_any(chosen) &&
	    (bt_addr_is_any(&i.laddr) || bt_net_is_many(k->d->net, i.host, &i.laddr)))
		s->src = bt_addr_v4(ntohl(addr));
	return 0;
}

int d_group_connect(struct call *k)
{
	struct bt_net_spread s;
	int r = d_take(k);
	if (r == 0)
		r = asked(k, &(struct bt_addr){{0}}, &s);
	if (r == 0)
		r = bt_net_spread(k->d->net, k->slot, &s);
	if (r == 0)
		r = bt_net_spread_connect(k->d->net, k->slot, &s, k->req->port, d_now(), &k->why);
	return d_finish(k, r);
}

static int way(struct call *k, const struct bt_addr *chosen, struct bt_net_spread *s)
{
	int r = d_take(k);
	if (r == 0)
		r = asked(k, chosen, s);
	if (r == 0)
		r = bt_net_spread_from(k->d->net, k->slot, s, d_now(), &k->why);
	return d_finish(k, r);
}

int d_group_route(struct call *k)
{
	struct bt_net_spread s;
	int r = way(k, &(struct bt_addr){{0}}, &s);
	if (r < 0)
		return r;
	d_publish(k->d);
	k->rep.value = k->d->table->udp_epoch[bt_epoch_bucket(k->req->port)];
	k->rep.target.slot = BT_SLOT_NONE;
	k->rep.flags |= BT_REPF_RELAY; /* berthd takes it */
	return 0;
}

/* ---- copies ---- */

/* Those of host `to`, in *copies, which lasts until the next call. */
static uint32_t copies_of(struct daemon *d, const struct bt_net_spread *s, uint16_t sport,
			  uint16_t dport, uint16_t to, struct bt_net_copy **copies)
{
	static struct bt_net_copy *list;
	static uint32_t room;
	uint32_t n = bt_net_copies(d->net, s, sport, dport, to, list, room);
	if (n > room) {
		uint32_t want = n < COPIES_FIRST ? COPIES_FIRST : n * 2;
		struct bt_net_copy *more = realloc(list, want * sizeof(*more));
		if (more == NULL) { /* the others miss it: nobody promised otherwise */
			n = room;
		} else {
			list = more;
			room = want;
			n = bt_net_copies(d->net, s, sport, dport, to, list, room);
		}
	}
	*copies = list;
	return n;
}

static void give(struct daemon *d, const struct bt_net_spread *s, struct d_from *from,
		 uint16_t dport, uint16_t to, const uint8_t *data, size_t len)
{
	struct bt_net_copy *copies;
	uint32_t n = copies_of(d, s, from->port, dport, to, &copies);
	for (uint32_t i = 0; i < n; i++) {
		from->dev = copies[i].dev;
		d_count(d, BT_CNT_UDP_RELAYED);
		d_relay(d, copies[i].slot, from, data, len);
	}
}

/* To hosts that get it in packets; their sockets must be known to the engine. */
static int in_packets(struct daemon *d, const struct bt_net_spread *s, const struct d_from *from,
		      uint16_t dport, const uint8_t *data, size_t len)
{
	bool any = d_outside(d, s->host) || d_filter_of(d, s->host) != NULL;
	for (uint16_t to = 0; to < bt_net_hosts(d->net); to++) {
		struct bt_net_copy *copies;
		if (!d_wired_group(d, s->host, to))
			continue;
		any = true;
		uint32_t n = copies_of(d, s, from->port, dport, to, &copies);
		for (uint32_t i = 0; i < n; i++)
			d_wire_udp_hear(d, copies[i].slot);
	}
	return any ? d_wire_group_send(d, s, from, dport, data, len) : 0;
}

/* How far it goes: 0 is not beyond the host (ip_mc_output, ip6_finish_output). */
static uint8_t hops_of(const struct call *k, const struct bt_net_spread *s)
{
	if (k->req->value & BT_SEND_TTL)
		return (uint8_t)k->req->value;
	if (s->broadcast)
		return (uint8_t)(64 - d_row(k->d, k->slot)->hops);
	return (uint8_t)(bt_addr_is_v4(&s->dst) ? value(k, IPPROTO_IP, IP_MULTICAST_TTL, 1)
						: value(k, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1));
}

/* The sender's host has its copies (sk_mc_loop: the socket's family counts). */
static bool loops(const struct call *k, const struct bt_net_spread *s)
{
	return s->broadcast ||
	       (d_row(k->d, k->slot)->family == 4 ? value(k, IPPROTO_IP, IP_MULTICAST_LOOP, 1)
						  : value(k, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1));
}

/* RFC 4291 2.7: scope 1 is the interface alone. */
static bool stays(const struct bt_net_spread *s, uint8_t hops)
{
	return hops == 0 || s->dev == BT_DEV_LO ||
	       (!bt_addr_is_v4(&s->dst) && (s->dst.b[1] & 15) <= 1);
}

int d_group_send(struct call *k, const struct bt_addr *chosen, const uint8_t *data, size_t len)
{
	struct daemon *d = k->d;
	struct bt_net_spread s;
	int r = way(k, chosen, &s);
	if (r < 0)
		return r;
	int waited = d_errors_take(k->slot);
	if (waited != 0) {
		k->rep.flags |= BT_REPF_WIRE;
		return -waited;
	}
	uint8_t hops = hops_of(k, &s);
	struct d_from from = {
		.dst = s.dst,
		.src = s.src,
		.host = s.host,
		.port = k->rep.port,
		.hops = (uint8_t)(64 - hops),
		.tos = k->req->value & BT_SEND_TOS ? (uint8_t)(k->req->value >> 8)
						   : d_row(d, k->slot)->tos,
	};
	bool beyond = !stays(&s, hops);
	r = beyond ? in_packets(d, &s, &from, k->req->port, data, len) : 0;
	if (r < 0)
		return r;
	for (uint16_t to = 0; to < bt_net_hosts(d->net); to++)
		if (to == s.host ? loops(k, &s) : beyond && !d_wired_group(d, s.host, to))
			give(d, &s, &from, k->req->port, to, data, len);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups and broadcast in packets. Where the engine is open it has joined what sockets of the hosts
 * have (one socket of its own for each group and interface, whose reports go where packets do), so
 * packets are taken in for the same groups. A datagram is sent by a socket that is made for it: its
 * source address is the one that the program's socket was found to have, which may be another than
 * the engine would choose. What the own host hears it gets without packets (groups.c).
 */
#include "filter.h"
#include "tap.h"

#include "../lib/sock/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct joined {
	struct joined *next;
	uint16_t host;
	berth_if i;
	struct bt_addr group;
	berth_socket socket;
	bool seen;
};

static struct joined *all_joined;

bool d_wired_group(const struct daemon *d, uint16_t from, uint16_t to)
{
	return from != to && (d_wired(d, from, to) || d_filter_between(d, from, to));
}

/* ---- what the engine has joined ---- */

static void see(struct daemon *d, uint16_t host, berth_if i, const struct bt_addr *group)
{
	struct berth *b = d_wire_engine(d);
	struct berth_addr addr;
	if (i == 0)
		return;
	for (struct joined *j = all_joined; j != NULL; j = j->next)
		if (j->host == host && j->i == i && bt_addr_eq(&j->group, group)) {
			j->seen = true;
			return;
		}
	struct joined *j = calloc(1, sizeof(*j));
	memcpy(addr.b, group->b, 16);
	if (j == NULL || berth_open(b, d_wire_host(d, host), BERTH_UDP,
				    bt_addr_is_v4(group) ? 4 : 6, &j->socket) < 0) {
		free(j);
		return;
	}
	if (berth_join(b, j->socket, &addr, i, d_now()) < 0) {
		berth_close(b, j->socket, d_now());
		free(j);
		return;
	}
	j->host = host;
	j->i = i;
	j->group = *group;
	j->seen = true;
	j->next = all_joined;
	all_joined = j;
	d_wire_soon(d); /* what IGMP and MLD say of it goes out */
}

static void end(struct daemon *d, struct joined **p)
{
	struct joined *j = *p;
	*p = j->next;
	berth_close(d_wire_engine(d), j->socket, d_now());
	free(j);
	d_wire_soon(d);
}

void d_wire_groups_close(struct daemon *d)
{
	while (all_joined != NULL)
		end(d, &all_joined);
}

static void look(struct daemon *d, uint16_t host)
{
	struct bt_addr group;
	uint8_t dev;
	for (struct joined *j = all_joined; j != NULL; j = j->next)
		if (j->host == host)
			j->seen = false;
	for (uint32_t n = 0; bt_net_group_get(d->net, host, n, &group, &dev); n++)
		if (dev != BT_DEV_LO) {
			see(d, host, d_wire_if(d, host), &group);
			see(d, host, d_tap_if(host), &group);
		}
	for (struct joined **p = &all_joined; *p != NULL;)
		if ((*p)->host == host && !(*p)->seen)
			end(d, p);
		else
			p = &(*p)->next;
}

void d_wire_groups(struct daemon *d, uint16_t host)
{
	if (d->wire == NULL)
		return;
	if (host != BT_NET_NO_HOST)
		look(d, host);
	for (uint16_t h = 0; host == BT_NET_NO_HOST && h < bt_net_hosts(d->net); h++)
		look(d, h);
}

/* ---- sending ---- */

static int send_by(struct daemon *d, berth_if i, const struct bt_net_spread *s,
		   const struct d_from *from, uint16_t port, const uint8_t *data, size_t len)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint local = {.port = from->port}, to = {.port = port};
	const uint64_t now = d_now();
	const uint8_t hops = (uint8_t)(64 - from->hops);
	berth_socket e;
	memcpy(local.addr.b, s->src.b, 16);
	memcpy(to.addr.b, s->dst.b, 16);
	int64_t r = berth_open(b, d_wire_host(d, s->host), BERTH_UDP,
			       bt_addr_is_v4(&s->dst) ? 4 : 6, &e);
	if (r < 0)
		return -ENOBUFS;
	berth_set(b, e, BERTH_SO_REUSEADDR, 1, now);
	berth_set(b, e, BERTH_SO_BROADCAST, 1, now);
	berth_set(b, e, BERTH_SO_BINDTODEVICE, i, now);
	berth_set(b, e, BERTH_IP_MULTICAST_LOOP, 0, now);
	berth_set(b, e, BERTH_IP_MULTICAST_TTL, hops, now);
	berth_set(b, e, BERTH_IP_TTL, hops, now);
	berth_set(b, e, BERTH_IP_TOS, from->tos, now);
	r = berth_bind(b, e, &local, now);
	if (r == 0)
		r = berth_send_to(b, e, data, len, &to, now);
	berth_close(b, e, now);
	/* A full queue loses datagrams, and says so to nobody. */
	return r < 0 && r != BERTH_ENOBUFS && r != BERTH_EAGAIN ? (int)r : 0;
}

int d_wire_group_send(struct daemon *d, const struct bt_net_spread *s, const struct d_from *from,
		      uint16_t port, const uint8_t *data, size_t len)
{
	if (d_wire_open(d) < 0)
		return -ENOBUFS;
	if (bt_addr_is_loopback(&s->src)) /* no host takes it from a link */
		return 0;
	/* Who is beyond the network is behind an interface of its own, which has the addresses. */
	int r = send_by(d, d_wire_if(d, s->host), s, from, port, data, len);
	if (r == 0 && d_tap_if(s->host) != 0)
		r = send_by(d, d_tap_if(s->host), s, from, port, data, len);
	d_wire_turn(d);
	return r;
}

uint8_t d_wire_group_heard(const struct daemon *d, uint32_t hearer, struct d_from *from,
			   uint16_t port)
{
	struct bt_port_info i;
	struct bt_net_spread s = {.dst = from->dst,
				  .src = from->src,
				  .dev = BT_DEV_LO + 1,
				  .broadcast = !bt_net_is_group(&from->dst),
				  .host = from->host};
	/* The own host has had its copies. */
	if (!bt_port_get(bt_net_ports(d->net), hearer, &i) || i.host == from->host)
		return 0;
	from->dev = bt_net_hears(d->net, &s, from->port, port, hearer);
	if (from->host == BT_NET_NO_HOST)
		from->host = i.host;
	return from->dev;
}

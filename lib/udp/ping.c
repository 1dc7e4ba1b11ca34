/* SPDX-License-Identifier: Apache-2.0 */
/* Ping sockets: identifiers of ICMP echo, as Linux's net/ipv4/ping.c gives and finds them. */
#include "../base/checksum.h"
#include "internal.h"

/* One table for all hosts and both families: an identifier is a host's, whatever the family. */
static uint32_t bucket(uint16_t host, uint16_t id)
{
	return (id + host * 31u) % BT_PING_HASH;
}

static bool taken(const struct bt_udp *u, const struct bt_udp_sock *s, uint16_t id)
{
	struct bt_port_info mine = {0}, other;

	(void)bt_port_get(u->ports, s->slot, &mine);
	for (const struct bt_udp_sock *o = u->pings[bucket(s->host, id)]; o != NULL; o = o->id_next)
		if (o->id == id && o->host == s->host && bt_port_get(u->ports, o->slot, &other) &&
		    !(mine.opts & other.opts & BT_REUSEADDR))
			return true;
	return false;
}

static bool in_use(const struct bt_udp *u, const struct bt_udp_sock *s, uint16_t id)
{
	for (const struct bt_udp_sock *o = u->pings[bucket(s->host, id)]; o != NULL; o = o->id_next)
		if (o->id == id && o->host == s->host)
			return true;
	return false;
}

int bt_ping_bind(struct bt_udp *u, struct bt_udp_sock *s, uint16_t id)
{
	struct bt_udp_sock **head;

	if (id == 0) {
		uint32_t tries = 65535;

		while (tries > 0 && (++u->next_id == 0 || in_use(u, s, u->next_id)))
			tries--;
		if (tries == 0)
			return BERTH_EADDRINUSE;
		id = u->next_id;
	} else if (taken(u, s, id)) {
		return BERTH_EADDRINUSE;
	}
	head = &u->pings[bucket(s->host, id)];
	s->id = id;
	s->id_next = *head;
	*head = s;
	return 0;
}

void bt_ping_unbind(struct bt_udp *u, struct bt_udp_sock *s)
{
	struct bt_udp_sock **link;

	if (s->id == 0)
		return;
	link = &u->pings[bucket(s->host, s->id)];
	while (*link != s)
		link = &(*link)->id_next;
	*link = s->id_next;
	s->id = 0;
}

/* ping_lookup: the remote end does not matter, not even of a connected socket. */
struct bt_udp_sock *bt_ping_find(const struct bt_udp *u, uint16_t host, bool v4, uint16_t id,
				 const struct bt_addr *dst, berth_if i)
{
	for (struct bt_udp_sock *s = u->pings[bucket(host, id)]; s != NULL; s = s->id_next) {
		berth_if device;

		if (s->id != id || s->host != host || (s->family == BT_V4) != v4)
			continue;
		if (!bt_addr_is_any(&s->laddr) && !bt_addr_eq(&s->laddr, dst))
			continue;
		device = bt_udp_device(u, s);
		if (device == 0 || device == i)
			return s;
	}
	return NULL;
}

/* IP has verified the checksum; rx->data is the ICMP header, and the program reads that too. */
void bt_ping_input(struct bt_udp *u, const struct bt_rx *rx)
{
	struct bt_udp_sock *s = NULL;

	if (rx->len >= 8)
		s = bt_ping_find(u, rx->host, bt_addr_is_v4(&rx->dst), bt_get16(rx->data + 4),
				 &rx->dst, rx->i);
	if (s == NULL) {
		bt_ip_drop(u->ip, rx->host, BERTH_DROP_ICMP_UNKNOWN);
		return;
	}
	bt_udp_deliver(u, s, rx, 0, s->id);
}

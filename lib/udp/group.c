/* SPDX-License-Identifier: Apache-2.0 */
/* Options and memberships of UDP's sockets. */
#include "internal.h"

#include <stdlib.h>

/* ---- memberships (ip_mc_join_group, ipv6_sock_mc_join) ---- */

int bt_udp_join(struct bt_udp *u, uint32_t slot, const struct bt_addr *group, berth_if i,
		uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct bt_member *m;
	berth_if joined = 0;
	int r;

	if (!bt_ip_is_multicast(group) || bt_addr_is_v4(group) != (s->family == BT_V4))
		return BERTH_EINVAL;
	if (s->n_members >= BT_UDP_GROUPS_MAX)
		return BERTH_ENOBUFS;
	m = malloc(sizeof(*m));
	if (m == NULL)
		return BERTH_ENOMEM;
	r = bt_ip_join(u->ip, s->host, group, i, &joined, now_ns);
	for (const struct bt_member *o = s->members; r == 0 && o != NULL; o = o->next) {
		if (o->i != joined || !bt_addr_eq(&o->group, group))
			continue;
		(void)bt_ip_leave(u->ip, s->host, group, joined, now_ns);
		r = BERTH_EADDRINUSE;
	}
	if (r < 0) {
		free(m);
		return r;
	}
	*m = (struct bt_member){.next = s->members, .group = *group, .i = joined, .asked = i};
	s->members = m;
	s->n_members++;
	u->bytes += sizeof(*m);
	return 0;
}

static void remove_member(struct bt_udp *u, struct bt_udp_sock *s, struct bt_member **link,
			  uint64_t now_ns)
{
	struct bt_member *m = *link;

	(void)bt_ip_leave(u->ip, s->host, &m->group, m->i, now_ns);
	*link = m->next;
	free(m);
	s->n_members--;
	u->bytes -= sizeof(*m);
}

int bt_udp_leave(struct bt_udp *u, uint32_t slot, const struct bt_addr *group, berth_if i,
		 uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);

	if (!bt_ip_is_multicast(group))
		return BERTH_EINVAL;
	for (struct bt_member **link = &s->members; *link != NULL; link = &(*link)->next) {
		if (!bt_addr_eq(&(*link)->group, group) || (i != 0 && (*link)->i != i))
			continue;
		remove_member(u, s, link, now_ns);
		return 0;
	}
	return BERTH_EADDRNOTAVAIL;
}

void bt_udp_leave_all(struct bt_udp *u, struct bt_udp_sock *s, uint64_t now_ns)
{
	while (s->members != NULL)
		remove_member(u, s, &s->members, now_ns);
}

/* ---- options ---- */

static void set_flag(struct bt_udp_sock *s, unsigned flag, bool on)
{
	s->flags = (uint16_t)(on ? s->flags | flag : s->flags & ~flag);
}

/* setsockopt(2): too small or large a buffer is the nearest that is possible. */
static uint32_t buffer(int64_t value)
{
	if (value < (int64_t)BT_UDP_BUF_MIN)
		return BT_UDP_BUF_MIN;
	return value > BT_UDP_BUF_MAX ? BT_UDP_BUF_MAX : (uint32_t)value;
}

static int set_number(uint8_t *place, int64_t value, int64_t low, int64_t high)
{
	if (value < low || value > high)
		return BERTH_EINVAL;
	*place = (uint8_t)value;
	return 0;
}

int bt_udp_set(struct bt_udp *u, uint32_t slot, enum berth_option option, int64_t value)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct bt_if_info info;

	switch ((int)option) {
	case BERTH_SO_SNDBUF:
		s->sndbuf = buffer(value);
		return 0;
	case BERTH_SO_RCVBUF:
		s->rcvbuf = buffer(value);
		return 0;
	case BERTH_SO_BROADCAST:
		set_flag(s, UF_BROADCAST, value != 0);
		return 0;
	case BERTH_IP_RECVERR:
		set_flag(s, UF_RECVERR, value != 0);
		return 0;
	case BERTH_IP_MULTICAST_LOOP:
		set_flag(s, UF_NO_LOOP, value == 0);
		return 0;
	case BERTH_IP_TTL: /* -1: the default, as in ip(7) */
		if (value == -1) {
			s->hops = 0;
			return 0;
		}
		return set_number(&s->hops, value, 1, 255);
	case BERTH_IP_TOS:
		return set_number(&s->tos, value, 0, 255);
	case BERTH_IP_MULTICAST_TTL:
		return set_number(&s->group_hops, value == -1 ? 1 : value, 1, 255);
	case BERTH_IP_MTU_DISCOVER:
		return set_number(&s->mtu_discover, value, 0, 5);
	case BERTH_IP_MULTICAST_IF:
		if (value < 0 || value > UINT16_MAX)
			return BERTH_EINVAL;
		if (value != 0 &&
		    (!bt_ip_if_get(u->ip, (berth_if)value, &info) || info.host != s->host))
			return BERTH_EADDRNOTAVAIL;
		s->group_if = (berth_if)value;
		return 0;
	default:
		return BERTH_ENOPROTOOPT;
	}
}

int bt_udp_get(const struct bt_udp *u, uint32_t slot, enum berth_option option, int64_t *value)
{
	const struct bt_udp_sock *s = bt_udp_find(u, slot);

	switch ((int)option) {
	case BERTH_SO_SNDBUF:
		*value = s->sndbuf;
		return 0;
	case BERTH_SO_RCVBUF:
		*value = s->rcvbuf;
		return 0;
	case BERTH_SO_BROADCAST:
		*value = (s->flags & UF_BROADCAST) != 0;
		return 0;
	case BERTH_IP_RECVERR:
		*value = (s->flags & UF_RECVERR) != 0;
		return 0;
	case BERTH_IP_MULTICAST_LOOP:
		*value = !(s->flags & UF_NO_LOOP);
		return 0;
	case BERTH_IP_TTL:
		*value = s->hops == 0 ? 64 : s->hops;
		return 0;
	case BERTH_IP_TOS:
		*value = s->tos;
		return 0;
	case BERTH_IP_MULTICAST_TTL:
		*value = s->group_hops;
		return 0;
	case BERTH_IP_MTU_DISCOVER:
		*value = s->mtu_discover;
		return 0;
	case BERTH_IP_MULTICAST_IF:
		*value = s->group_if;
		return 0;
	case BERTH_IP_MTU: /* ip(7): of a connected socket; of a ping socket the last way's */
		if (!(s->flags & UF_CONNECTED) && s->type != BERTH_PING)
			return BERTH_ENOTCONN;
		*value = bt_udp_mtu(u, s);
		return 0;
	default:
		return BERTH_ENOPROTOOPT;
	}
}

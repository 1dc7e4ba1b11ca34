/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages of datagrams (ip(7), ipv6(7), RFC 3542). What a receiver asks to know, the row
 * of the datagram's source tells: the sender's own where it came straight, an alias of berthd's
 * where it did not (BT_ROWF_ALIAS). What a sender chooses for one datagram goes through berthd.
 */
#include "preload.h"

#include <netinet/udp.h>

#define ASKS                                                                                       \
	(COOKIE_BIT(CB_PKTINFO) | COOKIE_BIT(CB_RECVTTL) | COOKIE_BIT(CB_RECVTOS) |                \
	 COOKIE_BIT(CB_PKTINFO6) | COOKIE_BIT(CB_RECVHOPS) | COOKIE_BIT(CB_RECVTCLASS))
#define ASKS4 (COOKIE_BIT(CB_PKTINFO) | COOKIE_BIT(CB_RECVTTL) | COOKIE_BIT(CB_RECVTOS))

bool bt_control_asked(const struct note *n)
{
	return n->flags & NOTE_UDP && n->cookie & ASKS;
}

static bool is_any(const uint8_t addr[16])
{
	static const uint8_t none[16];
	return memcmp(addr, none, 16) == 0 || (bt_is_v4(addr) && memcmp(addr + 12, none, 4) == 0);
}

/* ---- receiving ---- */

struct arrival {
	uint8_t dst[16];
	uint8_t own[16]; /* the same, or what an answer would come from where that is of several */
	int dev, hops, tos;
};

/* As put_cmsg of Linux: what has no room is cut, and what is cut is told by MSG_CTRUNC. */
static void put(struct msghdr *m, size_t room, int level, int type, const void *data, size_t len)
{
	struct cmsghdr c = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
	uint8_t *at = (uint8_t *)m->msg_control + m->msg_controllen;
	room = m->msg_control == NULL ? 0 : room - m->msg_controllen;
	if (room < sizeof(c)) {
		m->msg_flags |= MSG_CTRUNC;
		return;
	}
	if (room < c.cmsg_len) {
		m->msg_flags |= MSG_CTRUNC;
		c.cmsg_len = room;
	}
	memcpy(at, &c, sizeof(c));
	memcpy(at + CMSG_LEN(0), data, c.cmsg_len - CMSG_LEN(0));
	m->msg_controllen += room < CMSG_SPACE(len) ? room : CMSG_SPACE(len);
}

/* The address it was sent to, and the interface that has it. */
static void destination(const struct note *n, const struct bt_row *from, const uint8_t source[16],
			struct arrival *a)
{
	struct bt_host_row host;
	struct bt_row own;
	if (from->flags & BT_ROWF_ALIAS)
		memcpy(a->dst, from->raddr, 16);
	else if (bt_note_row(n, &own) && !is_any(own.laddr))
		memcpy(a->dst, own.laddr, 16);
	else /* sent before this socket asked: within a host the addresses are mostly the same */
		memcpy(a->dst, source, 16);
	memcpy(a->own, a->dst, 16);
	a->dev = 1;
	if (!bt_host_read(bt_table(), bt_host(), &host))
		return;
	bool several = from->flags & BT_ROWF_ALIAS && from->dev != 0;
	for (uint16_t i = host.n_addrs < BT_HOST_ADDRS ? host.n_addrs : BT_HOST_ADDRS; i-- > 0;)
		if (several && host.addrs[i].dev == from->dev && bt_is_v4(host.addrs[i].addr))
			memcpy(a->own, host.addrs[i].addr, 16);
		else if (!several && memcmp(host.addrs[i].addr, a->dst, 16) == 0)
			a->dev = host.addrs[i].dev;
	if (several)
		a->dev = from->dev;
}

static void put4(const struct note *n, const struct arrival *a, struct msghdr *m, size_t room)
{
	struct in_pktinfo info = {.ipi_ifindex = a->dev};
	uint8_t tos = (uint8_t)a->tos;
	memcpy(&info.ipi_addr, a->dst + 12, 4);
	if (!(n->flags & NOTE_PING)) /* ipv4_pktinfo_prepare */
		memcpy(&info.ipi_spec_dst, a->own + 12, 4);
	if (n->cookie & COOKIE_BIT(CB_PKTINFO))
		put(m, room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	if (n->cookie & COOKIE_BIT(CB_RECVTTL))
		put(m, room, IPPROTO_IP, IP_TTL, &a->hops, sizeof(a->hops));
	if (n->cookie & COOKIE_BIT(CB_RECVTOS))
		put(m, room, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
}

void bt_control_give(const struct note *n, const struct sockaddr_un *sun, socklen_t len,
		     struct msghdr *m, size_t room)
{
	struct arrival a = {.hops = 64};
	struct bt_ident id;
	struct bt_row from;
	uint8_t source[16];
	uint16_t port;
	if (!bt_source(sun, len, source, &port) || !bt_name_parse(sun, len, bt_netid(), &id) ||
	    !bt_row_read(bt_table(), id.slot, &from))
		return;
	bool v4 = bt_is_v4(source);
	/* The row of an IPv6 socket tells of its IPv6 datagrams. */
	if (from.flags & BT_ROWF_ALIAS || (from.family == 4) == v4) {
		a.hops = (uint8_t)(64 - from.hops);
		a.tos = from.tos;
	}
	destination(n, &from, source, &a);
	struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)a.dev};
	memcpy(&info.ipi6_addr, a.dst, 16);
	if (n->cookie & COOKIE_BIT(CB_PKTINFO6))
		put(m, room, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	if (v4 && n->cookie & ASKS4)
		put4(n, &a, m, room);
	if (!v4 && n->cookie & COOKIE_BIT(CB_RECVHOPS))
		put(m, room, IPPROTO_IPV6, IPV6_HOPLIMIT, &a.hops, sizeof(a.hops));
	if (!v4 && n->cookie & COOKIE_BIT(CB_RECVTCLASS))
		put(m, room, IPPROTO_IPV6, IPV6_TCLASS, &a.tos, sizeof(a.tos));
}

/* ---- sending ---- */

static int interface(int index, struct bt_choice *choice)
{
	struct bt_host_row host;
	if (index == 0)
		return 0;
	if (bt_host_read(bt_table(), bt_host(), &host))
		for (uint16_t i = 0; i < host.n_addrs && i < BT_HOST_ADDRS; i++)
			if (host.addrs[i].dev == index) {
				choice->dev = (uint16_t)index;
				return 0;
			}
	return ENODEV;
}

static int info6(const struct cmsghdr *c, bool v4, struct bt_choice *choice)
{
	struct in6_pktinfo info;
	if (c->cmsg_len < CMSG_LEN(sizeof(info)))
		return EINVAL;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	if (v4 && !bt_is_v4(info.ipi6_addr.s6_addr))
		return EINVAL;
	if (!is_any(info.ipi6_addr.s6_addr)) {
		choice->source = true;
		memcpy(choice->addr, &info.ipi6_addr, 16);
	}
	return interface((int)info.ipi6_ifindex, choice);
}

static int info4(const struct cmsghdr *c, struct bt_choice *choice)
{
	struct in_pktinfo info;
	if (c->cmsg_len != CMSG_LEN(sizeof(info)))
		return EINVAL;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	if (info.ipi_spec_dst.s_addr != INADDR_ANY) {
		choice->source = true;
		memset(choice->addr, 0, 10);
		choice->addr[10] = choice->addr[11] = 0xff;
		memcpy(choice->addr + 12, &info.ipi_spec_dst, 4);
	}
	return interface(info.ipi_ifindex, choice);
}

static bool whole_int(const struct cmsghdr *c, int min, int max, int *v)
{
	if (c->cmsg_len != CMSG_LEN(sizeof(*v)))
		return false;
	memcpy(v, CMSG_DATA(c), sizeof(*v));
	return *v >= min && *v <= max;
}

static void choose(struct bt_choice *choice, int ttl, int tos)
{
	if (ttl >= 0)
		choice->value = (choice->value & ~0xffu) | BT_SEND_TTL | (unsigned)ttl;
	if (tos >= 0)
		choice->value = (choice->value & ~0xff00u) | BT_SEND_TOS | (unsigned)tos << 8;
}

/* ip_cmsg_send of Linux */
static int one4(const struct cmsghdr *c, bool v6_socket, struct bt_choice *choice)
{
	int v;
	if (v6_socket && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
		return info6(c, true, choice);
	if (c->cmsg_level != IPPROTO_IP)
		return 0;
	switch (c->cmsg_type) {
	case IP_PKTINFO:
		return info4(c, choice);
	case IP_TTL:
		if (!whole_int(c, 1, 255, &v))
			return EINVAL;
		choose(choice, v, -1);
		return 0;
	case IP_TOS:
		if (c->cmsg_len == CMSG_LEN(1))
			v = *CMSG_DATA(c);
		else if (!whole_int(c, 0, 255, &v))
			return EINVAL;
		choose(choice, -1, v);
		return 0;
	default:
		return EINVAL;
	}
}

/* ip6_datagram_send_ctl of Linux; extension headers are not offered. */
static int one6(const struct cmsghdr *c, struct bt_choice *choice)
{
	int v;
	if (c->cmsg_level != IPPROTO_IPV6)
		return 0;
	switch (c->cmsg_type) {
	case IPV6_PKTINFO:
	case IPV6_2292PKTINFO:
		return info6(c, false, choice);
	case IPV6_HOPLIMIT:
	case IPV6_2292HOPLIMIT:
		if (!whole_int(c, -1, 255, &v))
			return EINVAL;
		choose(choice, v, -1);
		return 0;
	case IPV6_TCLASS:
		if (!whole_int(c, -1, 255, &v))
			return EINVAL;
		choose(choice, -1, v);
		return 0;
	case IPV6_DONTFRAG:
		return whole_int(c, 0, 1, &v) ? 0 : EINVAL;
	default:
		return EINVAL;
	}
}

/* udp_cmsg_send of Linux */
static int segment(const struct cmsghdr *c, struct bt_choice *choice)
{
	if (c->cmsg_type != UDP_SEGMENT || c->cmsg_len != CMSG_LEN(sizeof(choice->segment)))
		return EINVAL;
	memcpy(&choice->segment, CMSG_DATA(c), sizeof(choice->segment));
	return 0;
}

int bt_control_read(const struct note *n, const struct msghdr *m, bool v4, struct bt_choice *choice)
{
	struct msghdr *w = (struct msghdr *)(uintptr_t)m;
	size_t left = m->msg_controllen;
	if (left < sizeof(struct cmsghdr))
		return 0;
	if (bt_bad_pointer(m->msg_control))
		return EFAULT;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(w); c != NULL; c = CMSG_NXTHDR(w, c)) {
		left = m->msg_controllen - (size_t)((uint8_t *)c - (uint8_t *)m->msg_control);
		if (c->cmsg_len < sizeof(*c) || c->cmsg_len > left)
			return EINVAL;
		int e = 0;
		if (c->cmsg_level == SOL_SOCKET) /* descriptors and names are passed over */
			e = c->cmsg_type == SCM_RIGHTS || c->cmsg_type == SCM_CREDENTIALS ||
					    c->cmsg_type == SO_TIMESTAMPING
				    ? 0
				    : EINVAL;
		else if (c->cmsg_level == IPPROTO_UDP && !(n->flags & NOTE_PING))
			e = segment(c, choice);
		else
			e = v4 ? one4(c, n->flags & NOTE_V6, choice) : one6(c, choice);
		if (e != 0)
			return e;
	}
	return 0;
}

bool bt_control_usual(const struct note *n, const struct bt_choice *choice)
{
	struct bt_host_row host;
	struct bt_row row;
	if (choice->value != 0 || !choice->source)
		return choice->value == 0;
	if (!bt_note_row(n, &row))
		return false;
	if (!is_any(row.laddr))
		return memcmp(row.laddr, choice->addr, 16) == 0;
	return row.backlog > 0 && bt_host_read(bt_table(), bt_host(), &host) &&
	       row.backlog <= host.n_addrs && row.backlog <= BT_HOST_ADDRS &&
	       memcmp(host.addrs[row.backlog - 1].addr, choice->addr, 16) == 0;
}

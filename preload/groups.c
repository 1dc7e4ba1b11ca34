/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups and broadcast: memberships, and the interface that a socket sends to groups by. berthd
 * keeps both, and passes the datagrams on (daemon/groups.c); here options are read as Linux does it
 * (do_ip_setsockopt, do_ipv6_setsockopt), and interfaces found.
 */
#include "preload.h"

#include <sys/syscall.h>

static const uint8_t none[16];

static bool reads(const void *value, socklen_t len, void *to, socklen_t size)
{
	if (bt_bad_pointer(value))
		return false;
	memset(to, 0, size);
	memcpy(to, value, len < size ? len : size);
	return true;
}

/* The host's interface that has the address, or that is numbered `index`; 0: none. */
static uint16_t find_dev(const uint8_t addr[16], int index)
{
	struct bt_host_row host;
	if (bt_table() == NULL || !bt_host_read(bt_table(), bt_host(), &host))
		return 0;
	for (uint16_t i = 0; i < host.n_addrs && i < BT_HOST_ADDRS; i++)
		if (index != 0
			    ? host.addrs[i].dev == index
			    : memcmp(host.addrs[i].addr, addr, 16) == 0 ||
				      (bt_is_v4(addr) && addr[12] == 127 && host.addrs[i].dev == 1))
			return host.addrs[i].dev;
	return 0;
}

static void mapped(uint8_t addr[16], const struct in_addr *in)
{
	memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, in, 4);
}

/* One that the program has named by its number or its address, of which 0 is none (ip_mc_find_dev).
 */
static int name_dev(const struct ip_mreqn *m, uint16_t *dev)
{
	uint8_t addr[16];
	*dev = 0;
	if (m->imr_ifindex == 0 && m->imr_address.s_addr == INADDR_ANY)
		return 0;
	mapped(addr, &m->imr_address);
	*dev = find_dev(addr, m->imr_ifindex);
	return *dev == 0 ? ENODEV : 0;
}

static int member(int fd, struct note *n, const uint8_t group[16], uint16_t dev, bool leave)
{
	struct bt_req q;
	struct bt_rep rep;
	bt_req_make(&q, BT_GROUP, n, fd);
	memcpy(q.addr, group, 16);
	q.dev = dev;
	q.flags = leave ? BT_REQF_LEAVE : 0;
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	return e == 0 ? bt_take_name(fd, n, &rep) : e;
}

static int member4(int fd, struct note *n, const struct ip_mreqn *m, bool leave)
{
	uint8_t group[16];
	uint16_t dev;
	mapped(group, &m->imr_multiaddr);
	bool is_group = group[12] >> 4 == 14;
	if (!leave && !is_group)
		return EINVAL;
	int e = bt_name_it(fd, n); /* and then there is a table */
	if (e == 0)
		e = name_dev(m, &dev);
	if (e == ENODEV && leave)
		return EADDRNOTAVAIL;
	if (e == 0)
		e = member(fd, n, group, dev, leave);
	return e;
}

static int member6(int fd, struct note *n, const uint8_t group[16], int index, bool leave)
{
	if (group[0] != 0xff)
		return EINVAL;
	int e = bt_name_it(fd, n);
	uint16_t dev = e == 0 ? find_dev(none, index) : 0;
	if (e == 0 && index != 0 && dev == 0)
		return leave ? EADDRNOTAVAIL : ENODEV;
	return e == 0 ? member(fd, n, group, index == 0 ? 0 : dev, leave) : e;
}

static int set_member4(int fd, struct note *n, const void *value, socklen_t len, bool leave)
{
	struct ip_mreqn m;
	if (!(n->flags & NOTE_UDP))
		return EPROTO;
	if (len < sizeof(struct ip_mreq))
		return EINVAL;
	if (!reads(value, len < sizeof(m) ? sizeof(struct ip_mreq) : sizeof(m), &m, sizeof(m)))
		return EFAULT;
	return member4(fd, n, &m, leave);
}

static int set_member6(int fd, struct note *n, const void *value, socklen_t len, bool leave)
{
	struct ipv6_mreq m;
	if (len < sizeof(m))
		return EINVAL;
	if (!(n->flags & NOTE_UDP))
		return EPROTO;
	if (!reads(value, len, &m, sizeof(m)))
		return EFAULT;
	return member6(fd, n, m.ipv6mr_multiaddr.s6_addr, (int)m.ipv6mr_interface, leave);
}

/* MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP, RFC 3678 5.1 */
static int set_protocol_free(int fd, struct note *n, int level, const void *value, socklen_t len,
			     bool leave)
{
	struct group_req r;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	if (len < sizeof(r))
		return EINVAL;
	if (!reads(value, len, &r, sizeof(r)))
		return EFAULT;
	memcpy(&in, &r.gr_group, sizeof(in));
	memcpy(&in6, &r.gr_group, sizeof(in6));
	if (level == IPPROTO_IPV6)
		return in6.sin6_family != AF_INET6
			       ? EADDRNOTAVAIL
			       : member6(fd, n, in6.sin6_addr.s6_addr, (int)r.gr_interface, leave);
	const struct ip_mreqn m = {.imr_multiaddr = in.sin_addr,
				   .imr_ifindex = (int)r.gr_interface};
	return in.sin_family != AF_INET ? EINVAL : member4(fd, n, &m, leave);
}

static uint8_t bound_dev(const struct note *n)
{
	struct bt_row row;
	return bt_note_row(n, &row) ? row.dev : 0;
}

static int set_if4(int fd, struct note *n, const void *value, socklen_t len)
{
	struct ip_mreqn m = {0};
	uint16_t dev;
	if (!(n->flags & NOTE_UDP) || len < sizeof(struct in_addr))
		return EINVAL;
	bool read = len >= sizeof(m) ? reads(value, len, &m, sizeof(m))
		    : len >= sizeof(struct ip_mreq)
			    ? reads(value, sizeof(struct ip_mreq), &m, sizeof(m))
			    : reads(value, sizeof(struct in_addr), &m.imr_address,
				    sizeof(m.imr_address));
	if (!read)
		return EFAULT;
	int e = bt_name_it(fd, n);
	if (e != 0)
		return e;
	if (name_dev(&m, &dev) != 0)
		return EADDRNOTAVAIL;
	if (dev != 0 && bound_dev(n) != 0 && bound_dev(n) != dev)
		return EINVAL;
	e = bt_keep_value(fd, n, IPPROTO_IP, BT_VAL_MULTICAST_DEV, dev);
	return e == 0 ? bt_keep_value(fd, n, IPPROTO_IP, IP_MULTICAST_IF, m.imr_address.s_addr) : e;
}

static int set_if6(int fd, struct note *n, const void *value, socklen_t len)
{
	int index;
	if (!(n->flags & NOTE_UDP))
		return ENOPROTOOPT;
	if (len < sizeof(index))
		return EINVAL;
	if (!reads(value, len, &index, sizeof(index)))
		return EFAULT;
	int e = bt_name_it(fd, n);
	if (e != 0)
		return e;
	if (index != 0 && find_dev(none, index) == 0)
		return ENODEV;
	if (index != 0 && bound_dev(n) != 0 && bound_dev(n) != index)
		return EINVAL;
	return bt_keep_value(fd, n, IPPROTO_IPV6, IPV6_MULTICAST_IF, (uint32_t)index);
}

int bt_group_set(int fd, struct note *n, int level, int name, const void *value, socklen_t len)
{
	bool v6 = level == IPPROTO_IPV6 && n->flags & NOTE_V6;
	if (level != IPPROTO_IP && !v6)
		return -1;
	if (name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP)
		return set_protocol_free(fd, n, level, value, len, name == MCAST_LEAVE_GROUP);
	if (v6 && (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP))
		return set_member6(fd, n, value, len, name == IPV6_LEAVE_GROUP);
	if (v6 && name == IPV6_MULTICAST_IF)
		return set_if6(fd, n, value, len);
	if (v6)
		return name == IPV6_MULTICAST_HOPS && !(n->flags & NOTE_UDP) ? ENOPROTOOPT : -1;
	switch (name) {
	case IP_ADD_MEMBERSHIP:
	case IP_DROP_MEMBERSHIP:
		return set_member4(fd, n, value, len, name == IP_DROP_MEMBERSHIP);
	case IP_MULTICAST_IF:
		return set_if4(fd, n, value, len);
	case IP_MULTICAST_TTL:
	case IP_MULTICAST_LOOP:
	case IP_MULTICAST_ALL:
		return len < 1 ? EINVAL : -1;
	default:
		return -1;
	}
}

uint16_t bt_may_broadcast(int fd, const uint8_t addr[16])
{
	int on = 0;
	socklen_t len = sizeof(on);
	/* Of a prefix of 30 bits or less it ends in ones. */
	if (!bt_is_v4(addr) || (addr[15] & 3) != 3)
		return 0;
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_BROADCAST, (long)&on, (long)&len, 0);
	return on ? BT_REQF_BROADCAST : 0;
}

uint16_t bt_scope(const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in6 in6;
	if (len < sizeof(in6))
		return 0;
	memcpy(&in6, sa, sizeof(in6));
	const uint8_t *a = in6.sin6_addr.s6_addr;
	/* __ipv6_addr_needs_scope_id, of groups */
	if (in6.sin6_family != AF_INET6 || a[0] != 0xff || (a[1] & 15) == 0 || (a[1] & 15) > 2)
		return 0;
	return in6.sin6_scope_id > UINT16_MAX ? UINT16_MAX : (uint16_t)in6.sin6_scope_id;
}

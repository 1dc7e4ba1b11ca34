/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces as libc's functions and ioctl tell them. libc asks the kernel for them inside itself,
 * past our wrappers, so the functions themselves are ours: lo, and eth0, eth1, ... as the host has
 * them.
 */
#include "preload.h"

#include "view.h"

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* ---- getifaddrs ---- */

union any_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_ll ll;
	struct {
		struct sockaddr_ll head;
		uint8_t tail[8];
	} room;
};

struct entry {
	struct ifaddrs ifa;
	union any_addr addr, mask, broad;
	struct rtnl_link_stats stats;
	char name[IFNAMSIZ];
};

static void link_entry(struct entry *e, const struct bt_dev *d)
{
	bool lo = d->index == 1;
	e->addr.ll = (struct sockaddr_ll){.sll_family = AF_PACKET,
					  .sll_ifindex = (int)d->index,
					  .sll_hatype = lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
					  .sll_halen = 6};
	memcpy(e->addr.ll.sll_addr, d->mac, 6);
	e->broad = e->addr;
	memset(e->broad.ll.sll_addr, lo ? 0 : 0xff, 6);
	e->ifa.ifa_addr = &e->addr.sa;
	e->ifa.ifa_broadaddr = &e->broad.sa;
	e->ifa.ifa_data = &e->stats;
}

static void put_in(union any_addr *a, uint32_t host_order)
{
	a->in.sin_family = AF_INET;
	a->in.sin_addr.s_addr = htonl(host_order);
}

static void addr_entry(struct entry *e, const struct bt_host_addr *a)
{
	e->ifa.ifa_addr = &e->addr.sa;
	e->ifa.ifa_netmask = &e->mask.sa;
	if (bt_is_v4(a->addr)) {
		struct bt_prefix4 p = bt_prefix4(a);
		put_in(&e->addr, p.addr);
		put_in(&e->mask, p.mask);
		put_in(&e->broad, a->dev == 1 ? p.addr : p.last);
		e->ifa.ifa_broadaddr = &e->broad.sa;
		return;
	}
	e->addr.in6.sin6_family = e->mask.in6.sin6_family = AF_INET6;
	memcpy(&e->addr.in6.sin6_addr, a->addr, 16);
	for (unsigned bit = 0; bit < a->bits; bit++)
		e->mask.in6.sin6_addr.s6_addr[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
}

/* In libc's order: the links, IPv4, IPv6. One piece of memory, which libc's freeifaddrs frees. */
PUBLIC int getifaddrs(struct ifaddrs **out)
{
	struct bt_view v;
	struct bt_dev d;
	struct bt_host_addr a;
	unsigned n = 0;
	if (!bt_in_host())
		return bt_real()->getifaddrs(out);
	bt_own_view(&v);
	struct entry *all = calloc(v.n_devs + v.row.n_addrs, sizeof(*all));
	if (all == NULL)
		return bt_fail(ENOMEM);
	for (unsigned i = 1; bt_dev_get(&v, i, &d); i++)
		link_entry(&all[n++], &d);
	for (unsigned i = 0; i < v.n_devs; i++) {
		bt_dev_get(&v, i + 1, &d);
		memcpy(all[i].name, d.name, sizeof(d.name));
		all[i].ifa.ifa_flags = d.flags;
	}
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; bt_addr_get(&v, i, &a); i++) {
			if (bt_is_v4(a.addr) == v6 || !bt_dev_get(&v, a.dev, &d))
				continue;
			memcpy(all[n].name, d.name, sizeof(d.name));
			all[n].ifa.ifa_flags = d.flags;
			addr_entry(&all[n++], &a);
		}
	for (unsigned i = 0; i < n; i++) {
		all[i].ifa.ifa_name = all[i].name;
		all[i].ifa.ifa_next = i + 1 < n ? &all[i + 1].ifa : NULL;
	}
	*out = &all[0].ifa;
	return 0;
}

/* ---- names and numbers ---- */

PUBLIC unsigned if_nametoindex(const char *name)
{
	struct bt_view v;
	if (!bt_in_host())
		return bt_real()->if_nametoindex(name);
	bt_own_view(&v);
	unsigned index = bt_dev_by_name(&v, name);
	if (index == 0)
		errno = ENODEV;
	return index;
}

PUBLIC char *if_indextoname(unsigned index, char name[IFNAMSIZ])
{
	struct bt_view v;
	struct bt_dev d;
	if (!bt_in_host())
		return bt_real()->if_indextoname(index, name);
	bt_own_view(&v);
	if (!bt_dev_get(&v, index, &d)) {
		errno = ENXIO;
		return NULL;
	}
	return strcpy(name, d.name);
}

/* As libc's if_freenameindex frees it: every name, then the list. */
PUBLIC struct if_nameindex *if_nameindex(void)
{
	struct bt_view v;
	struct bt_dev d;
	if (!bt_in_host())
		return bt_real()->if_nameindex();
	bt_own_view(&v);
	struct if_nameindex *all = calloc(v.n_devs + 1, sizeof(*all));
	for (unsigned i = 0; all != NULL && bt_dev_get(&v, i + 1, &d); i++) {
		all[i].if_index = d.index;
		all[i].if_name = strdup(d.name);
		if (all[i].if_name == NULL) {
			if_freenameindex(all);
			all = NULL;
		}
	}
	if (all == NULL)
		errno = ENOBUFS;
	return all;
}

/* ---- ioctl ---- */

/* The first IPv4 address of an interface, which is what these calls know. */
static bool first4(const struct bt_view *v, unsigned dev, struct bt_host_addr *a)
{
	for (unsigned i = 0; bt_addr_get(v, i, a); i++)
		if (a->dev == dev && bt_is_v4(a->addr))
			return true;
	return false;
}

static int list(const struct bt_view *v, struct ifconf *c)
{
	struct bt_host_addr a;
	struct bt_dev d;
	int n = 0;
	if (c->ifc_buf != NULL && bt_bad_pointer(c->ifc_buf))
		return EFAULT;
	for (unsigned dev = 1; bt_dev_get(v, dev, &d); dev++)
		for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
			struct ifreq r = {0};
			union any_addr u = {0};
			if (a.dev != dev || !bt_is_v4(a.addr))
				continue;
			if (c->ifc_buf != NULL) {
				if (n + (int)sizeof(r) > c->ifc_len)
					break;
				memcpy(r.ifr_name, d.name, sizeof(d.name));
				put_in(&u, bt_prefix4(&a).addr);
				memcpy(&r.ifr_addr, &u.in, sizeof(u.in));
				memcpy(c->ifc_buf + n, &r, sizeof(r));
			}
			n += (int)sizeof(r);
		}
	c->ifc_len = n;
	return 0;
}

static int address(const struct bt_view *v, unsigned long request, const struct bt_dev *d,
		   struct ifreq *r)
{
	struct bt_host_addr a;
	union any_addr u = {0};
	if (!first4(v, d->index, &a))
		return EADDRNOTAVAIL;
	struct bt_prefix4 p = bt_prefix4(&a);
	bool lo = d->index == 1;
	put_in(&u, request == SIOCGIFADDR || request == SIOCGIFDSTADDR ? p.addr
		   : request == SIOCGIFNETMASK			       ? p.mask
		   : lo						       ? 0
								       : p.last);
	memcpy(&r->ifr_addr, &u.in, sizeof(u.in));
	return 0;
}

static int about(const struct bt_view *v, unsigned long request, struct ifreq *r)
{
	struct bt_dev d;
	char name[IFNAMSIZ] = "";
	if (request == SIOCGIFNAME) {
		if (!bt_dev_get(v, (unsigned)r->ifr_ifindex, &d))
			return ENODEV;
		memcpy(r->ifr_name, d.name, sizeof(d.name));
		return 0;
	}
	memcpy(name, r->ifr_name, sizeof(name) - 1);
	name[strcspn(name, ":")] = '\0'; /* "eth0:1", the alias of old */
	if (!bt_dev_get(v, bt_dev_by_name(v, name), &d))
		return ENODEV;
	switch (request) {
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
		return address(v, request, &d, r);
	case SIOCGIFFLAGS:
		r->ifr_flags = (short)d.flags;
		return 0;
	case SIOCGIFMETRIC:
		r->ifr_metric = 0;
		return 0;
	case SIOCGIFMTU:
		r->ifr_mtu = (int)d.mtu;
		return 0;
	case SIOCGIFINDEX:
		r->ifr_ifindex = (int)d.index;
		return 0;
	case SIOCGIFTXQLEN:
		r->ifr_qlen = 1000;
		return 0;
	case SIOCGIFMAP:
		memset(&r->ifr_map, 0, sizeof(r->ifr_map));
		return 0;
	case SIOCGIFHWADDR:
		memset(&r->ifr_hwaddr, 0, sizeof(r->ifr_hwaddr));
		r->ifr_hwaddr.sa_family = d.index == 1 ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		memcpy(r->ifr_hwaddr.sa_data, d.mac, sizeof(d.mac));
		return 0;
	default: /* an Ethernet driver's, whose there is none */
		return EOPNOTSUPP;
	}
}

bool bt_if_ioctl(int fd, unsigned long request, void *arg, int *r)
{
	struct bt_view v;
	int e, type;
	socklen_t len = sizeof(type);
	/* 0x8901 to 0x8907 are about a socket's owner, mark and time, 0x89e0 about AF_UNIX. */
	if (request < SIOCADDRT || (request >= SIOCPROTOPRIVATE && request < SIOCDEVPRIVATE) ||
	    bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)&type, (long)&len, 0) < 0)
		return false;
	bt_own_view(&v);
	switch (request) {
	case SIOCGIFCONF:
		e = bt_bad_pointer(arg) ? EFAULT : list(&v, arg);
		break;
	case SIOCGIFNAME:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFFLAGS:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFINDEX:
	case SIOCGIFTXQLEN:
	case SIOCGIFMAP:
	case SIOCGIFHWADDR:
	case SIOCETHTOOL:
		e = bt_bad_pointer(arg) ? EFAULT : about(&v, request, arg);
		break;
	case SIOCGARP:
		e = ENXIO;
		break;
	case SIOCGMIIPHY:
	case SIOCGMIIREG:
	case SIOCGIFMEM:
	case SIOCGIFPFLAGS:
	case SIOCGIFSLAVE:
	case SIOCGIFBR:
		e = EOPNOTSUPP;
		break;
	default: /* a change, or a driver's own */
		e = EPERM;
	}
	*r = e == 0 ? 0 : bt_fail(e);
	return true;
}

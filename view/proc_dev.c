/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces, addresses and routes as files. Nothing counts the bytes of an interface: they are 0.
 */
#include "proc.h"

#include <arpa/inet.h>

enum { ROUTE_WIDTH = 127 };

void bt_proc_dev(const struct bt_view *v, struct bt_buf *b)
{
	struct bt_dev d;
	bt_buf_str(b, "Inter-|   Receive                                                |"
		      "  Transmit\n"
		      " face |bytes    packets errs drop fifo frame compressed multicast|"
		      "bytes    packets errs drop fifo colls carrier compressed\n");
	for (unsigned i = 1; bt_dev_get(v, i, &d); i++)
		bt_buf_fmt(b,
			   "%6s: %7u %7u %4u %4u %4u %5u %10u %9u %8u %7u %4u %4u %4u %5u %7u "
			   "%10u\n",
			   d.name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void put_addr6(struct bt_buf *b, const uint8_t addr[16])
{
	for (unsigned i = 0; i < 16; i++)
		bt_buf_fmt(b, "%02x", addr[i]);
}

void bt_proc_if_inet6(const struct bt_view *v, struct bt_buf *b)
{
	struct bt_host_addr a;
	struct bt_dev d;
	for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
		if (bt_is_v4(a.addr) || !bt_dev_get(v, a.dev, &d))
			continue;
		put_addr6(b, a.addr);
		/* index, prefix length, scope, IFA_F_PERMANENT */
		bt_buf_fmt(b, " %02x %02x %02x %02x %8s\n", d.index, a.bits,
			   bt_is_loopback6(a.addr) ? 0x10 : 0, 0x80, d.name);
	}
}

void bt_proc_igmp(const struct bt_view *v, struct bt_buf *b)
{
	struct bt_dev d;
	bt_buf_str(b, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
	for (unsigned i = 1; bt_dev_get(v, i, &d); i++)
		bt_buf_fmt(b, "%u\t%-10s: %5d %7s\n\t\t\t\t%08X %5d %d:%08X\t\t%d\n", d.index,
			   d.name, 1, "V3", htonl(0xe0000001u), 1, 0, 0, 0);
}

void bt_proc_igmp6(const struct bt_view *v, struct bt_buf *b)
{
	static const char *const groups[] = {"ff020000000000000000000000000001",
					     "ff010000000000000000000000000001"};
	struct bt_dev d;
	for (unsigned i = 1; bt_dev_get(v, i, &d); i++) {
		bt_buf_fmt(b, "%-4u %-15s %s %5d %08X %d\n", d.index, d.name, groups[0], 1, 0xc, 0);
		bt_buf_fmt(b, "%-4u %-15s %s %5d %08X %d\n", d.index, d.name, groups[1], 1, 8, 0);
	}
}

void bt_proc_route(const struct bt_view *v, struct bt_buf *b)
{
	struct bt_host_addr a;
	struct bt_dev d;
	size_t start = b->n;
	bt_buf_str(b, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU"
		      "\tWindow\tIRTT");
	bt_buf_end_line(b, start, ROUTE_WIDTH);
	for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
		if (!bt_is_v4(a.addr) || a.dev == 1 || a.bits == 32 || bt_addr_secondary(v, i) ||
		    !bt_dev_get(v, a.dev, &d))
			continue;
		struct bt_prefix4 p = bt_prefix4(&a);
		start = b->n;
		bt_buf_fmt(b, "%s\t%08X\t%08X\t%04X\t%d\t%u\t%d\t%08X\t%d\t%u\t%u", d.name,
			   htonl(p.net), 0, 1, 0, 0, 0, htonl(p.mask), 0, 0, 0);
		bt_buf_end_line(b, start, ROUTE_WIDTH);
	}
}

static void put_route6(struct bt_buf *b, const uint8_t to[16], unsigned bits, uint32_t metric,
		       unsigned uses, uint32_t flags, const char *dev)
{
	static const uint8_t none[16];
	put_addr6(b, to);
	bt_buf_fmt(b, " %02x ", bits);
	put_addr6(b, none);
	bt_buf_str(b, " 00 ");
	put_addr6(b, none);
	bt_buf_fmt(b, " %08x %08x %08x %08x %8s\n", metric, uses, 0, flags, dev);
}

void bt_proc_ipv6_route(const struct bt_view *v, struct bt_buf *b)
{
	enum { UP = 1, REJECT = 0x200, NONEXTHOP = 0x200000, LOCAL = (int)0x80000000 };
	static const uint8_t any[16];
	struct bt_host_addr a;
	struct bt_dev d;
	uint8_t net[16];
	for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
		if (bt_is_v4(a.addr) || a.dev == 1 || !bt_dev_get(v, a.dev, &d))
			continue;
		bt_prefix6(&a, net);
		put_route6(b, net, a.bits, 0x100, 1, UP, d.name);
	}
	put_route6(b, any, 0, UINT32_MAX, 1, NONEXTHOP | REJECT, "lo");
	for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
		if (!bt_is_v4(a.addr) && bt_dev_get(v, a.dev, &d))
			put_route6(b, a.addr, 128, 0, 2, (uint32_t)LOCAL | NONEXTHOP | UP, d.name);
	}
	put_route6(b, any, 0, UINT32_MAX, 1, NONEXTHOP | REJECT, "lo");
}

static void put_leaf(struct bt_buf *b, uint32_t addr, unsigned bits, const char *what)
{
	bt_buf_fmt(b, "     |-- %u.%u.%u.%u\n        /%u %s\n", addr >> 24, addr >> 16 & 255,
		   addr >> 8 & 255, addr & 255, bits, what);
}

/* The leaves are right; the tree above them is flat. */
void bt_proc_fib_trie(const struct bt_view *v, struct bt_buf *b)
{
	struct bt_host_addr a;
	for (unsigned table = 0; table < 2; table++) {
		bt_buf_str(b, table ? "Local:\n" : "Main:\n");
		bt_buf_str(b, "  +-- 0.0.0.0/0 2 0 2\n");
		for (unsigned i = 0; bt_addr_get(v, i, &a); i++) {
			if (!bt_is_v4(a.addr))
				continue;
			struct bt_prefix4 p = bt_prefix4(&a);
			bool first = !bt_addr_secondary(v, i) && a.bits < 32;
			if (first)
				put_leaf(b, p.net, a.bits,
					 a.dev == 1 ? "host LOCAL" : "link UNICAST");
			put_leaf(b, p.addr, 32, "host LOCAL");
			if (first && a.bits < 31)
				put_leaf(b, p.last, 32, "link BROADCAST");
		}
	}
}

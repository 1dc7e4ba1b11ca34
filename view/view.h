/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host looks like to its instruments: the files of /proc/net and the answers of netlink, in
 * the kernel's own formats, made from the socket table joined with the kernel's inodes (join.h).
 *
 *	buf.c		memory
 *	diag.c join.c	which inode a row is
 *	host.c		one host: its interfaces, its sockets
 *	proc.c		which file is made by what
 *	proc_*.c	the files: of sockets, of interfaces and routes, of counters
 *	nl.c nl_*.c	netlink
 */
#ifndef BERTH_VIEW_VIEW_H
#define BERTH_VIEW_VIEW_H

#include "buf.h"
#include "join.h"

#define BT_DEV_MAX (BT_HOST_ADDRS + 1u)

struct bt_view {
	const struct bt_table *table;
	uint64_t netid;
	uint16_t host;
	bool kernel;	 /* false: the table is made up, and no inode is asked for */
	bool known;	 /* the host is in the table */
	uint64_t now_ms; /* CLOCK_MONOTONIC */
	struct bt_host_row row;
	unsigned n_devs; /* interfaces 1 .. n_devs */
	/* The TCP_INFO of a connection in packets, `size` bytes of it, and its congestion control's
	 * name; false: nobody knows. NULL: not to be asked. */
	bool (*tcp_info)(uint32_t slot, const struct bt_row *row, void *info, size_t size,
			 char name[16]);
};

/* What the instruments see in this moment; kernel and now_ms may be changed before use. */
void bt_view_of(struct bt_view *v, const struct bt_table *t, uint64_t netid, uint16_t host);

/* ---- interfaces ---- */

struct bt_dev {
	unsigned index; /* 1: lo */
	char name[8];
	uint32_t flags; /* IFF_... */
	uint32_t mtu;
	uint8_t mac[6];
};

/* False: there is no such interface. */
bool bt_dev_get(const struct bt_view *v, unsigned index, struct bt_dev *d);
unsigned bt_dev_by_name(const struct bt_view *v, const char *name); /* 0: none */
/* Address i of the host, whose device is known to exist; false: no such. */
bool bt_addr_get(const struct bt_view *v, unsigned i, struct bt_host_addr *a);
/* True: an earlier address of the same interface is in the same prefix. */
bool bt_addr_secondary(const struct bt_view *v, unsigned i);
/* The first `bits` bits of both are equal. */
static inline bool bt_same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}
/* dst is in the prefix of the address. */
static inline bool bt_in_prefix(const struct bt_host_addr *a, const uint8_t dst[16])
{
	return bt_same_bits(a->addr, dst, a->bits + (bt_is_v4(a->addr) ? 96u : 0));
}
static inline bool bt_is_loopback6(const uint8_t addr[16])
{
	static const uint8_t one[16] = {[15] = 1};
	return memcmp(addr, one, 16) == 0;
}
/* The first address of an IPv6 prefix. */
void bt_prefix6(const struct bt_host_addr *a, uint8_t net[16]);
/* The first address of the prefix, its mask, its last address: host order, IPv4 only. */
struct bt_prefix4 {
	uint32_t addr, mask, net, last;
};
struct bt_prefix4 bt_prefix4(const struct bt_host_addr *a);

/* ---- sockets ---- */

struct bt_snap {
	struct bt_buf mem;
	struct bt_sock *list; /* in mem; listeners first */
	size_t n;
};

/* The host's sockets of a protocol (6, 17) and a family (4, 6; 0: both) in `states` (bits 1 <<
 * enum bt_row_state). False: out of memory. */
bool bt_snap_take(const struct bt_view *v, uint8_t proto, uint8_t family, uint32_t states,
		  struct bt_snap *s);
void bt_snap_done(struct bt_snap *s);

#define BT_ALL_STATES 0xfffu

/* ---- files ---- */

/* Writes the file of /proc/net with this name. 0, or a positive errno: ENOENT: a host has no such
 * file. */
int bt_proc_net(const struct bt_view *v, const char *name, struct bt_buf *out);

#endif

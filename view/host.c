/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <net/if.h>
#include <stdio.h>
#include <time.h>

void bt_view_of(struct bt_view *v, const struct bt_table *t, uint64_t netid, uint16_t host)
{
	struct timespec now;
	*v = (struct bt_view){.table = t, .netid = netid, .host = host, .kernel = true};
	clock_gettime(CLOCK_MONOTONIC, &now);
	v->now_ms = (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
	v->known = t && bt_host_read(t, host, &v->row);
	v->n_devs = 1;
	if (!v->known)
		v->row.n_addrs = 0;
	if (v->row.n_addrs > BT_HOST_ADDRS)
		v->row.n_addrs = BT_HOST_ADDRS;
	for (unsigned i = 0; i < v->row.n_addrs; i++) {
		unsigned dev = v->row.addrs[i].dev;
		if (dev > v->n_devs && dev <= BT_DEV_MAX)
			v->n_devs = dev;
	}
}

/* ---- interfaces ---- */

bool bt_dev_get(const struct bt_view *v, unsigned index, struct bt_dev *d)
{
	if (index < 1 || index > v->n_devs)
		return false;
	*d = (struct bt_dev){.index = index, .name = "lo", .mtu = 65536};
	if (index == 1) {
		d->flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING | 1u << 16; /* IFF_LOWER_UP */
		return true;
	}
	snprintf(d->name, sizeof(d->name), "eth%u", (index - 2) & 0xff);
	d->flags = IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST | 1u << 16;
	d->mtu = 1500;
	/* Bit 1 of the first byte says that no vendor has given it. */
	const uint8_t mac[6] = {
		0x02, 0xbe, (uint8_t)(v->host >> 8), (uint8_t)v->host, 0, (uint8_t)(index - 2)};
	memcpy(d->mac, mac, sizeof(mac));
	return true;
}

unsigned bt_dev_by_name(const struct bt_view *v, const char *name)
{
	struct bt_dev d;
	for (unsigned i = 1; bt_dev_get(v, i, &d); i++) {
		if (strncmp(d.name, name, IFNAMSIZ) == 0)
			return i;
	}
	return 0;
}

bool bt_addr_get(const struct bt_view *v, unsigned i, struct bt_host_addr *a)
{
	if (i >= v->row.n_addrs)
		return false;
	*a = v->row.addrs[i];
	unsigned most = bt_is_v4(a->addr) ? 32 : 128;
	if (a->bits > most)
		a->bits = (uint8_t)most;
	if (a->dev < 1 || a->dev > v->n_devs)
		a->dev = 1;
	return true;
}

bool bt_addr_secondary(const struct bt_view *v, unsigned i)
{
	struct bt_host_addr a, b;
	if (!bt_addr_get(v, i, &a) || !bt_is_v4(a.addr))
		return false;
	for (unsigned k = 0; k < i && bt_addr_get(v, k, &b); k++) {
		if (b.dev == a.dev && b.bits == a.bits && bt_is_v4(b.addr) &&
		    bt_in_prefix(&a, b.addr))
			return true;
	}
	return false;
}

struct bt_prefix4 bt_prefix4(const struct bt_host_addr *a)
{
	struct bt_prefix4 p;
	p.addr = (uint32_t)a->addr[12] << 24 | (uint32_t)a->addr[13] << 16 |
		 (uint32_t)a->addr[14] << 8 | a->addr[15];
	p.mask = a->bits ? UINT32_MAX << (32 - a->bits) : 0;
	p.net = p.addr & p.mask;
	p.last = p.addr | ~p.mask;
	return p;
}

void bt_prefix6(const struct bt_host_addr *a, uint8_t net[16])
{
	memset(net, 0, 16);
	memcpy(net, a->addr, a->bits / 8);
	if (a->bits % 8)
		net[a->bits / 8] = (uint8_t)(a->addr[a->bits / 8] & (0xff00u >> a->bits % 8));
}

/* ---- sockets ---- */

static bool wanted(const struct bt_view *v, const struct bt_row *r, uint8_t proto, uint8_t family,
		   uint32_t states)
{
	return bt_row_listed(r) && r->host == v->host && r->proto == proto &&
	       (family == 0 || r->family == family) && states & 1u << r->state;
}

static bool collect(const struct bt_view *v, uint8_t proto, uint8_t family, uint32_t states,
		    struct bt_buf *mem)
{
	uint32_t end = bt_rows_end(v->table);
	struct bt_row row;
	for (uint32_t slot = 0; slot < end; slot++) {
		if (!bt_row_read(v->table, slot, &row) || !wanted(v, &row, proto, family, states))
			continue;
		struct bt_sock *s = bt_buf_add(mem, sizeof(*s));
		if (!s)
			return false;
		s->slot = slot;
		s->ino = s->recvq = 0;
		memcpy((void *)&s->row, (const void *)&row, sizeof(row));
	}
	return true;
}

/* A socket with a name that the kernel does not have any more: its program was killed, and berthd
 * has not been told yet. */
static bool is_dead(const struct bt_sock *s)
{
	return s->ino == 0 && (s->row.state == BT_ROW_LISTEN || s->row.state == BT_ROW_CLOSE ||
			       s->row.proto == BT_PROTO_UDP);
}

bool bt_snap_take(const struct bt_view *v, uint8_t proto, uint8_t family, uint32_t states,
		  struct bt_snap *s)
{
	*s = (struct bt_snap){0};
	if (!v->known)
		return true;
	/* The kernel lists listeners first. */
	if (!collect(v, proto, family, states & 1u << BT_ROW_LISTEN, &s->mem) ||
	    !collect(v, proto, family, states & ~(1u << BT_ROW_LISTEN), &s->mem)) {
		bt_buf_done(&s->mem);
		return false;
	}
	s->list = (struct bt_sock *)(void *)s->mem.p;
	s->n = s->mem.n / sizeof(*s->list);
	struct bt_socks all = {.list = s->list, .n = s->n};
	if (!v->kernel || s->n == 0 || bt_socks_join(v->table, v->netid, &all) != 0)
		return true;
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (is_dead(&s->list[i]))
			continue;
		if (kept != i)
			memcpy((void *)&s->list[kept], (const void *)&s->list[i],
			       sizeof(s->list[i]));
		kept++;
	}
	s->n = kept;
	return true;
}

void bt_snap_done(struct bt_snap *s)
{
	bt_buf_done(&s->mem);
	*s = (struct bt_snap){0};
}

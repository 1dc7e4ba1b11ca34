/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbours: who has which link address, for ARP and ND alike, with the states of RFC 4861 7.3.2.
 * A path keeps a neighbour's index; an entry that is freed changes the generation, so that no path
 * outlives it. What peers can make us keep is bounded for each interface: a new entry takes the
 * place of the one that was used longest ago.
 */
#include "internal.h"

#include <stdlib.h>

/* RFC 4861 10 */
#define TRIES	     3u
#define RETRANS_NS   (1 * BT_SEC)
#define REACHABLE_MS 30000u
#define DELAY_NS     (5 * BT_SEC)
#define UNUSED_NS    (60 * BT_SEC) /* an entry nobody uses is forgotten (Linux gc_staletime) */

static uint32_t hash(const struct bt_ip *ip, berth_if i, const struct bt_addr *addr)
{
	return bt_ip_hash(ip, addr, addr, i);
}

struct bt_neigh *bt_neigh_find(const struct bt_ip *ip, berth_if i, const struct bt_addr *addr)
{
	struct bt_link *l = bt_map_first(&ip->neigh_map, hash(ip, i, addr));

	for (; l != NULL; l = bt_map_next(l)) {
		struct bt_neigh *n = bt_entry(l, struct bt_neigh, link);

		if (n->i == i && bt_addr_eq(&n->addr, addr))
			return n;
	}
	return NULL;
}

static void order_out(struct bt_iface *f, struct bt_neigh *n)
{
	*(n->older != NULL ? &n->older->newer : &f->oldest) = n->newer;
	*(n->newer != NULL ? &n->newer->older : &f->newest) = n->older;
}

static void order_in(struct bt_iface *f, struct bt_neigh *n)
{
	n->newer = NULL;
	n->older = f->newest;
	*(f->newest != NULL ? &f->newest->newer : &f->oldest) = n;
	f->newest = n;
}

static void touch(struct bt_iface *f, struct bt_neigh *n)
{
	if (f->newest == n)
		return;
	order_out(f, n);
	order_in(f, n);
}

/* An index that is free, the table made larger if need be; 0: out of memory. */
static uint32_t free_index(struct bt_ip *ip)
{
	struct bt_neigh **table;
	uint32_t n = ip->n_neighs == 0 ? 16 : ip->n_neighs * 2;

	for (uint32_t i = ip->neigh_free; i < ip->n_neighs; i++)
		if (i != 0 && ip->neighs[i] == NULL)
			return i;
	table = realloc(ip->neighs, n * sizeof(struct bt_neigh *));
	if (table == NULL)
		return 0;
	memset(table + ip->n_neighs, 0, (n - ip->n_neighs) * sizeof(struct bt_neigh *));
	ip->neighs = table;
	ip->neigh_free = ip->n_neighs == 0 ? 1 : ip->n_neighs;
	ip->n_neighs = n;
	return ip->neigh_free;
}

static void drop_waiting(struct bt_ip *ip, struct bt_neigh *n, enum berth_drop reason)
{
	struct bt_pkt *p;

	while ((p = bt_pkts_take(&n->waiting)) != NULL) {
		bt_ip_drop(ip, p->host, reason);
		bt_pkt_put(ip, p);
	}
}

static void forget(struct bt_ip *ip, struct bt_iface *f, struct bt_neigh *n)
{
	drop_waiting(ip, n, BERTH_DROP_NEIGHBOUR_FULL);
	bt_wheel_clear(ip->wheel, &n->timer.t);
	bt_map_del(&ip->neigh_map, &n->link);
	order_out(f, n);
	f->n_neighs--;
	ip->neighs[n->index] = NULL;
	if (n->index < ip->neigh_free)
		ip->neigh_free = n->index;
	bt_ip_dealloc(ip, n, sizeof(*n));
	bt_ip_changed(ip);
}

void bt_neigh_flush(struct bt_ip *ip, struct bt_iface *f)
{
	while (f->oldest != NULL) {
		drop_waiting(ip, f->oldest, BERTH_DROP_IF_DOWN);
		forget(ip, f, f->oldest);
	}
}

static void enter(struct bt_ip *ip, struct bt_neigh *n, enum bt_neigh_state state, uint64_t now_ns)
{
	uint64_t after = UNUSED_NS;

	bt_assert(state != BT_NEIGH_DELAY || n->state == BT_NEIGH_STALE);
	bt_assert(state != BT_NEIGH_PROBE || n->state == BT_NEIGH_DELAY);
	n->state = (uint8_t)state;
	if (state == BT_NEIGH_INCOMPLETE || state == BT_NEIGH_PROBE)
		after = RETRANS_NS;
	else if (state == BT_NEIGH_DELAY)
		after = DELAY_NS;
	else if (state == BT_NEIGH_REACHABLE) /* a half to one and a half: RFC 4861 6.3.2 */
		after = (REACHABLE_MS / 2 + bt_ip_random_below(ip, REACHABLE_MS)) * BT_MS;
	bt_wheel_set(ip->wheel, &n->timer.t, now_ns + after);
}

struct bt_neigh *bt_neigh_get(struct bt_ip *ip, struct bt_iface *f, const struct bt_addr *addr,
			      uint64_t now_ns)
{
	struct bt_neigh *n = bt_neigh_find(ip, f->i, addr);
	uint32_t index;

	if (n != NULL) {
		touch(f, n);
		return n;
	}
	if (f->n_neighs >= BT_IP_NEIGH_MAX)
		forget(ip, f, f->oldest);
	index = free_index(ip);
	n = index == 0 ? NULL : bt_ip_alloc(ip, sizeof(*n));
	if (n == NULL)
		return NULL;
	ip->neighs[index] = n;
	ip->neigh_free = index + 1;
	n->index = index;
	n->addr = *addr;
	n->i = f->i;
	n->timer.kind = BT_TIMER_NEIGH;
	memcpy(n->header + 6, f->mac, 6);
	bt_put16(n->header + 12, bt_addr_is_v4(addr) ? 0x0800 : 0x86dd);
	bt_map_add(&ip->neigh_map, &n->link, hash(ip, f->i, addr));
	order_in(f, n);
	f->n_neighs++;
	enter(ip, n, BT_NEIGH_NONE, now_ns);
	return n;
}

static void ask(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns)
{
	struct bt_iface *f = ip->ifs[n->i];
	const uint8_t *to = n->state == BT_NEIGH_PROBE ? n->header : NULL;

	n->tries++;
	if (bt_addr_is_v4(&n->addr))
		bt_arp_ask(ip, f, n, to);
	else
		bt_nd_ask(ip, f, n, to, now_ns);
}

bool bt_neigh_use(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns)
{
	if (n->state == BT_NEIGH_STALE)
		enter(ip, n, BT_NEIGH_DELAY, now_ns);
	return bt_neigh_known(n);
}

void bt_neigh_wait(struct bt_ip *ip, struct bt_neigh *n, struct bt_pkt *p,
		   const struct bt_addr *src, uint64_t now_ns)
{
	/* RFC 4861 7.2.2: a small queue that keeps the newest; RFC 1122 2.3.2.2: at least one */
	if (n->waiting.count >= BT_IP_NEIGH_PACKETS) {
		struct bt_pkt *old = bt_pkts_take(&n->waiting);

		bt_ip_drop(ip, old->host, BERTH_DROP_NEIGHBOUR_FULL);
		bt_pkt_put(ip, old);
	}
	bt_pkts_add(&n->waiting, p);
	if (n->state != BT_NEIGH_NONE)
		return;
	n->asker = *src;
	n->tries = 0;
	enter(ip, n, BT_NEIGH_INCOMPLETE, now_ns);
	ask(ip, n, now_ns);
}

void bt_neigh_heard(struct bt_ip *ip, struct bt_neigh *n, const uint8_t mac[6],
		    enum bt_neigh_state state, uint64_t now_ns)
{
	struct bt_iface *f = ip->ifs[n->i];
	struct bt_pkt *p;

	memcpy(n->header, mac, 6);
	enter(ip, n, state, now_ns);
	n->tries = 0;
	while ((p = bt_pkts_take(&n->waiting)) != NULL) {
		bt_neigh_use(ip, n, now_ns);
		memcpy(bt_pkt_push(p, BT_ETHER_HEADER), n->header, BT_ETHER_HEADER);
		bt_ip_enqueue(ip, f, p);
	}
}

void bt_neigh_confirmed(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns)
{
	if (!bt_neigh_known(n))
		return;
	n->tries = 0;
	enter(ip, n, BT_NEIGH_REACHABLE, now_ns);
}

/* It did not answer: the packets that wait are returned to their senders (RFC 4861 7.2.2, RFC 1122
 * 2.3.2.1). */
static void failed(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns)
{
	const struct bt_icmp gone = {.kind = BT_ICMP_UNREACHABLE,
				     .code = bt_addr_is_v4(&n->addr) ? BT_ICMP4_HOST
								     : BT_ICMP6_ADDRESS};
	struct bt_pkts waiting = n->waiting; /* an error's own way may take the entry's place */
	struct bt_pkt *p;

	n->waiting = (struct bt_pkts){0};
	enter(ip, n, BT_NEIGH_NONE, now_ns);
	while ((p = bt_pkts_take(&waiting)) != NULL) {
		bt_ip_drop(ip, p->host, BERTH_DROP_NEIGHBOUR_FAILED);
		if (p->from != 0) {
			bt_icmp_about(ip, ip->ifs[p->from], bt_pkt_data(p), p->len, false, &gone,
				      now_ns);
			bt_pkt_put(ip, p);
		} else {
			p->local_error = true;
			bt_pkts_add(&ip->loop, p);
		}
	}
}

void bt_neigh_expired(struct bt_ip *ip, struct bt_neigh *n, uint64_t now_ns)
{
	switch ((enum bt_neigh_state)n->state) {
	case BT_NEIGH_NONE:
	case BT_NEIGH_STALE:
		forget(ip, ip->ifs[n->i], n);
		break;
	case BT_NEIGH_REACHABLE:
		enter(ip, n, BT_NEIGH_STALE, now_ns);
		break;
	case BT_NEIGH_DELAY:
		enter(ip, n, BT_NEIGH_PROBE, now_ns);
		n->tries = 0;
		ask(ip, n, now_ns);
		break;
	case BT_NEIGH_INCOMPLETE:
	case BT_NEIGH_PROBE:
		if (n->tries >= TRIES) {
			failed(ip, n, now_ns);
			break;
		}
		bt_wheel_set(ip->wheel, &n->timer.t, now_ns + RETRANS_NS);
		ask(ip, n, now_ns);
		break;
	}
}

void bt_ip_confirm(struct bt_ip *ip, const struct bt_path *path, uint64_t now_ns)
{
	struct bt_neigh *n;

	if (path->generation != ip->generation || path->neighbour == 0)
		return;
	n = ip->neighs[path->neighbour];
	/* a reachable one needs no news, and setting its timer for each ACK would cost */
	if (n->state == BT_NEIGH_DELAY || n->state == BT_NEIGH_PROBE)
		bt_neigh_confirmed(ip, n, now_ns);
}

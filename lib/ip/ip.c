/* SPDX-License-Identifier: Apache-2.0 */
/* IP as a whole: its making and end, timers, counters, randomness. */
#include "../base/siphash.h"
#include "../filter/flows.h"
#include "internal.h"

#include <stdlib.h>

void *bt_ip_alloc(struct bt_ip *ip, size_t len)
{
	void *p = calloc(1, len);

	if (p != NULL)
		ip->bytes += len;
	return p;
}

void bt_ip_dealloc(struct bt_ip *ip, void *p, size_t len)
{
	if (p == NULL)
		return;
	ip->bytes -= len;
	free(p);
}

uint64_t bt_ip_random(struct bt_ip *ip)
{
	ip->random++;
	return bt_siphash(ip->key, &ip->random, sizeof(ip->random));
}

uint32_t bt_ip_random_below(struct bt_ip *ip, uint32_t below)
{
	return below == 0 ? 0 : (uint32_t)((bt_ip_random(ip) >> 32) * below >> 32);
}

uint32_t bt_ip_hash(const struct bt_ip *ip, const struct bt_addr *a, const struct bt_addr *b,
		    uint64_t c)
{
	uint8_t data[40];

	memcpy(data, a->b, 16);
	memcpy(data + 16, b->b, 16);
	memcpy(data + 32, &c, 8);
	return (uint32_t)bt_siphash(ip->key, data, sizeof(data));
}

struct bt_ip *bt_ip_new(const uint8_t key[16], struct bt_wheel *wheel, uint64_t now_ns)
{
	struct bt_ip *ip = calloc(1, sizeof(*ip));

	if (ip == NULL)
		return NULL;
	ip->now_ns = now_ns;
	memcpy(ip->key, key, sizeof(ip->key));
	ip->key[0] ^= 0x49; /* the engine's other layers use the same key for their own hashes */
	ip->key[1] ^= 0x50;
	ip->wheel = wheel;
	ip->generation = 1;
	ip->bytes = sizeof(*ip);
	ip->n_ifs = 1;
	ip->ifs = calloc(1, sizeof(struct bt_iface *));
	if (ip->ifs == NULL || !bt_map_init(&ip->addr_map) || !bt_map_init(&ip->route_map) ||
	    !bt_map_init(&ip->neigh_map) || !bt_map_init(&ip->reass_map) ||
	    !bt_map_init(&ip->pmtu_map)) {
		bt_ip_free(ip);
		return NULL;
	}
	for (unsigned i = 0; i < BT_ICMP_PEERS; i++)
		ip->icmp_peers[i] = (struct bt_icmp_peer){now_ns, 6000};
	for (unsigned i = 0; i < 256; i++)
		ip->ids[i] = (uint32_t)bt_ip_random(ip);
	return ip;
}

void bt_ip_free(struct bt_ip *ip)
{
	if (ip == NULL)
		return;
	bt_ip_reap(ip);
	bt_pkts_drop(ip, &ip->out);
	bt_pkts_drop(ip, &ip->loop);
	if (ip->reass_map.slots != NULL)
		bt_reass_free(ip);
	if (ip->pmtu_map.slots != NULL)
		bt_pmtu_free(ip);
	if (ip->route_map.slots != NULL)
		bt_routes_free(ip);
	for (uint32_t i = 1; i < ip->n_ifs; i++)
		bt_if_free(ip, ip->ifs[i]);
	for (uint32_t i = 0; i < ip->n_hosts; i++)
		free(ip->hosts[i]);
	bt_flows_free(ip->flows);
	bt_pool_done(&ip->pool);
	bt_map_done(&ip->addr_map);
	bt_map_done(&ip->route_map);
	bt_map_done(&ip->neigh_map);
	bt_map_done(&ip->reass_map);
	bt_map_done(&ip->pmtu_map);
	free(ip->hosts);
	free(ip->ifs);
	free(ip->neighs);
	free(ip);
}

void bt_ip_reap(struct bt_ip *ip)
{
	bt_pkts_drop(ip, &ip->lent);
}

bool bt_ip_waiting(const struct bt_ip *ip)
{
	return ip->loop.first != NULL;
}

uint32_t bt_ip_generation(const struct bt_ip *ip)
{
	return ip->generation;
}

void bt_ip_expired(struct bt_ip *ip, struct bt_timer *timer, uint64_t now_ns)
{
	struct bt_ip_timer *t = bt_entry(timer, struct bt_ip_timer, t);

	ip->now_ns = now_ns;
	switch (t->kind) {
	case BT_TIMER_NEIGH:
		bt_neigh_expired(ip, bt_entry(t, struct bt_neigh, timer), now_ns);
		break;
	case BT_TIMER_REASS:
		bt_reass_expired(ip, t, now_ns);
		break;
	case BT_TIMER_PMTU:
		bt_pmtu_expired(ip, t);
		break;
	case BT_TIMER_GROUP:
	case BT_TIMER_GENERAL:
	case BT_TIMER_OLDER:
		bt_group_expired(ip, t, now_ns);
		break;
	}
}

void bt_ip_drop(struct bt_ip *ip, uint16_t host, enum berth_drop reason)
{
	struct bt_host *h = bt_host(ip, host);

	bt_assert(h != NULL && reason < BERTH_DROPS);
	h->drops[reason]++;
}

uint64_t bt_ip_drops(const struct bt_ip *ip, uint16_t host, enum berth_drop reason)
{
	const struct bt_host *h = bt_host(ip, host);

	return h != NULL && reason < BERTH_DROPS ? h->drops[reason] : 0;
}

size_t bt_ip_bytes(const struct bt_ip *ip)
{
	size_t slots = (size_t)ip->addr_map.mask + ip->route_map.mask + ip->neigh_map.mask +
		       ip->reass_map.mask + ip->pmtu_map.mask + 5;

	return ip->bytes + ip->pool.taken_bytes + slots * sizeof(struct bt_link *) +
	       (ip->n_ifs + ip->n_hosts + ip->n_neighs) * sizeof(void *);
}

uint32_t bt_ip_copies(const struct bt_ip *ip)
{
	return ip->pool.in_use;
}

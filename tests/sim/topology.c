/* SPDX-License-Identifier: Apache-2.0 */
/* A random tree of routers with hosts as its leaves; each edge is a wire and a subnet of its own:
 * 10.1.N.0/24 and fd00:N::/64, whose ends are .1 and .2. */
#include "sim.h"

#include <string.h>

#define MAX_IFS 14

static void link_addr(int link, int end, int family, struct berth_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (family == 4) {
		const uint8_t v4[6] = {0xff, 0xff, 10, 1, (uint8_t)link, (uint8_t)(end + 1)};
		memcpy(a->b + 10, v4, sizeof(v4));
	} else {
		a->b[0] = 0xfd;
		a->b[3] = (uint8_t)link;
		a->b[15] = (uint8_t)(end + 1);
	}
}

static uint32_t share(struct sim *s, unsigned percent, uint32_t most_ppm)
{
	return chance(s, percent) ? (uint32_t)below(s, most_ppm) + 1 : 0;
}

/* Of a packet that is spoilt twice the checksum may be right again: so only one wire does it, in
 * one direction. ARP has no checksum (a turned bit there is a neighbour that is not one): not on
 * Ethernet. */
static bool may_corrupt(const struct sim *s, const struct link *l, unsigned end)
{
	return l == &s->links[0] && end == 0 && !l->ethernet;
}

static void random_settings(struct sim *s, bool corrupt, struct bt_link_settings *w)
{
	*w = bt_link_perfect;
	if (chance(s, 15))
		return;
	w->loss_ppm = share(s, 50, chance(s, 10) ? 200000 : 30000);
	w->burst_enter_ppm = share(s, 15, 10000);
	w->burst_leave_ppm = w->burst_enter_ppm ? 100000 + (uint32_t)below(s, 800000) : 0;
	w->delay_ns = chance(s, 80) ? below(s, 100000000) + 1 : 0;
	w->jitter_ns = chance(s, 20) ? below(s, w->delay_ns + 1) : 0;
	w->rate_bits = chance(s, 40) ? 200000 + below(s, 50000000) : 0;
	w->limit_pkts = 5 + (uint32_t)below(s, 200);
	w->duplicate_ppm = share(s, 20, 50000);
	w->reorder_ppm = w->delay_ns ? share(s, 20, 100000) : 0;
	w->corrupt_ppm = corrupt ? share(s, 50, 20000) : 0;
	w->down = chance(s, 2);
}

static void impair(struct sim *s, struct link *l)
{
	struct bt_link_settings w;

	for (unsigned end = 0; end < 2; end++) {
		random_settings(s, may_corrupt(s, l, end), &w);
		bt_pair_set(l->pair, end, &w, s->now_ns);
	}
}

void link_change(struct sim *s)
{
	impair(s, &s->links[below(s, (uint64_t)s->n_links)]);
}

void links_heal(struct sim *s)
{
	for (int i = 0; i < s->n_links; i++)
		for (unsigned end = 0; end < 2; end++)
			bt_pair_set(s->links[i].pair, end, &bt_link_perfect, s->now_ns);
	s->healed = true;
}

static void attach(struct sim *s, int number, int end, int host, uint32_t mtu)
{
	struct link *l = &s->links[number];
	struct berth_if_config c = {.flags = l->ethernet  ? BERTH_IF_ETHERNET
					     : l->offload ? BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM
							  : 0,
				    .mtu = mtu,
				    .mac = {2, 0, 0, 0, (uint8_t)number, (uint8_t)end}};
	struct berth_addr a;
	int i = berth_if_add(s->b, (berth_host)s->hosts[host], &c);

	if (i < 0)
		broken(s, "berth_if_add: %d", i);
	l->host[end] = host;
	l->i[end] = i;
	s->link_of_if[i] = number * 2 + end;
	s->n_ifs[host]++;
	for (int family = 4; family <= 6; family += 2) {
		link_addr(number, end, family, &a);
		if (berth_addr_add(s->b, (berth_if)i, &a, family == 4 ? 24 : 64) < 0)
			broken(s, "berth_addr_add");
	}
}

static void join(struct sim *s, int a, int b)
{
	int n = s->n_links++;
	uint32_t mtu = chance(s, 20) ? 1280 + (uint32_t)below(s, 3000) : 1500;

	s->links[n].ethernet = chance(s, 50);
	s->links[n].offload = !s->links[n].ethernet && chance(s, 50);
	s->links[n].pair = bt_pair_new(s->seed * 64 + (uint64_t)n, 0);
	if (s->links[n].pair == NULL)
		broken(s, "no memory");
	attach(s, n, 0, a, mtu);
	attach(s, n, 1, b, mtu);
	impair(s, &s->links[n]);
}

/* Everything beyond `link`, as seen from its end at `host`, is routed over it. */
static void route_beyond(struct sim *s, int host, int link, int from_link, int at)
{
	for (int n = 0; n < s->n_links; n++) {
		const struct link *l = &s->links[n];
		int end = l->host[0] == at ? 0 : l->host[1] == at ? 1 : -1;

		if (end < 0 || n == from_link)
			continue;
		if (n != link)
			for (int family = 4; family <= 6; family += 2) {
				int mine = s->links[link].host[0] == host ? 0 : 1;
				struct berth_addr net, via;

				link_addr(n, -1, family, &net);
				link_addr(link, !mine, family, &via);
				if (berth_route_add(s->b, (berth_host)s->hosts[host], &net,
						    family == 4 ? 24 : 64, &via,
						    (berth_if)s->links[link].i[mine], 0) < 0)
					broken(s, "berth_route_add");
			}
		route_beyond(s, host, link, n, l->host[!end]);
	}
}

static void routes(struct sim *s)
{
	for (int h = 0; h < s->n_hosts; h++)
		for (int n = 0; n < s->n_links; n++)
			for (int end = 0; end < 2; end++)
				if (s->links[n].host[end] == h)
					route_beyond(s, h, n, n, s->links[n].host[!end]);
}

void topology_address(const struct sim *s, int host, int family, struct berth_addr *a)
{
	for (int n = 0; n < s->n_links; n++)
		for (int end = 0; end < 2; end++)
			if (s->links[n].host[end] == host) {
				link_addr(n, end, family, a);
				return;
			}
}

static int router_with_room(struct sim *s, int among)
{
	int r = (int)below(s, (uint64_t)among);

	while (s->n_ifs[r] >= MAX_IFS)
		r = (r + 1) % among;
	return r;
}

void topology_make(struct sim *s)
{
	s->n_hosts = chance(s, 60)   ? 2
		     : chance(s, 80) ? 3 + (int)below(s, 8)
				     : 11 + (int)below(s, 40);
	s->n_routers = s->n_hosts == 2 ? 0 : 1 + s->n_hosts / 8 + (int)below(s, 2);
	memset(s->link_of_if, -1, sizeof(s->link_of_if));
	for (int i = 0; i < s->n_hosts; i++) {
		s->hosts[i] = berth_host_add(s->b);
		if (s->hosts[i] < 0)
			broken(s, "berth_host_add");
		if (i < s->n_routers && berth_forwarding(s->b, (berth_host)s->hosts[i], true) < 0)
			broken(s, "berth_forwarding");
	}
	for (int i = 1; i < s->n_hosts; i++)
		join(s,
		     s->n_routers == 0	? 0
		     : i < s->n_routers ? router_with_room(s, i)
					: router_with_room(s, s->n_routers),
		     i);
	routes(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "map.h"

#include "addr.h"
#include "join.h"
#include "out.h"

#include <stdio.h>

static void put_str(const char *key, const char *value)
{
	printf("\"%s\":", key);
	bt_json_str(value);
}

static const char *proto(uint8_t p)
{
	return p == BT_PROTO_UDP ? "udp" : "tcp";
}

static void put_service(uint8_t p, uint16_t first, uint16_t last)
{
	const struct bt_map_seat at = {.first = first, .last = last, .proto = p};
	const char *service = bt_map_service(&at);
	if (service) {
		putchar(',');
		put_str("service", service);
	}
}

static void put_seat(const struct bt_map_seat *s, bool first)
{
	static const char *const does[] = {"listens", "receives", "bound"};
	printf("%s\n{\"first\":%u,\"last\":%u,\"protocol\":\"%s\",\"does\":\"%s\"",
	       first ? "" : ",", s->first, s->last, proto(s->proto), does[s->does]);
	put_service(s->proto, s->first, s->last);
	printf(",\"addresses\":[");
	for (unsigned i = 0; i < s->n_addrs; i++) {
		char text[BT_ADDR_TEXT];
		bt_addr_text(s->addrs[i], text);
		printf("%s\"%s\"", i ? "," : "", text);
	}
	printf("],\"addresses_left\":%u,\"programs\":[", s->more_addrs);
	for (unsigned i = 0; i < s->n_programs; i++) {
		printf("%s{\"pid\":%d,", i ? "," : "", s->programs[i].pid);
		put_str("program", s->programs[i].name);
		putchar('}');
	}
	printf("],\"programs_left\":%u,\"sockets\":%u,\"connections\":%u}", s->more_programs,
	       s->sockets, s->connections);
}

static void put_host(const struct bt_map_host *h, bool first)
{
	static const char *const kinds[] = {"well-known", "registered", "ephemeral", "dynamic"};
	printf("%s\n{", first ? "" : ",");
	put_str("host", h->name);
	printf(",\"addresses\":[");
	for (unsigned i = 0; i < h->n_addrs; i++)
		printf("%s\"%s\"", i ? "," : "", h->addrs[i]);
	printf("],\"sockets\":%u,\"range_first\":%u,\"range_last\":%u,\"capacity\":%u,"
	       "\"in_use\":%u,\"time_wait\":%u,\"ranges\":[",
	       h->sockets, h->lo, h->hi, h->capacity, h->in_use, h->time_wait);
	for (unsigned i = 0; i < h->n_zones; i++)
		printf("%s\n{\"kind\":\"%s\",\"first\":%u,\"last\":%u,\"in_use\":%u}", i ? "," : "",
		       kinds[h->zones[i].kind], h->zones[i].first, h->zones[i].last,
		       h->zones[i].in_use);
	printf("],\"seats\":[");
	for (size_t i = 0; i < h->n_seats; i++)
		put_seat(&h->seats[i], i == 0);
	printf("]}");
}

static void put_end(const char *key, const struct bt_map *m, uint16_t host)
{
	if (host == BT_MAP_OUTSIDE)
		printf("\"%s\":null", key);
	else
		put_str(key, m->hosts[host].name);
}

void bt_map_json(const struct bt_map *m)
{
	bool first = true;
	printf("{\"schema\":1,");
	put_str("network", m->network);
	printf(",\"hosts\":[");
	for (size_t i = 0; i < m->n_hosts; i++) {
		if (!m->hosts[i].shown)
			continue;
		put_host(&m->hosts[i], first);
		first = false;
	}
	printf("],\"connections\":[");
	for (size_t i = 0; i < m->n_ways; i++) {
		const struct bt_map_way *w = &m->ways[i];
		printf("%s\n{", i ? "," : "");
		put_end("from", m, w->from);
		putchar(',');
		put_end("to", m, w->to);
		printf(",\"protocol\":\"%s\",\"port\":%u", proto(w->proto), w->port);
		put_service(w->proto, w->port, w->port);
		printf(",\"connections\":%u,\"established\":%u,\"time_wait\":%u}", w->n,
		       w->established, w->time_wait);
	}
	printf("\n]}\n");
}

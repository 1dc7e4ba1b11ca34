/* SPDX-License-Identifier: Apache-2.0 */
/* The engine as a whole: its making and end, hosts, interfaces, routes, counters. */
#include "internal.h"

#include <stdlib.h>

#define MAX_SOCKETS  65536u
#define BUFFER_BYTES (256ull << 20)

/* ---- what TCP asks of the layers below ---- */

/* A way that was bound to an interface stays with it. */
static int find_path(void *arg, uint16_t host, const struct bt_addr *src, const struct bt_addr *dst,
		     struct bt_path *path)
{
	berth_if i = path->flags & BT_PATH_BOUND ? path->i : 0;
	struct berth *b = arg;

	return bt_ip_path(b->ip, host, src, dst, i, path);
}

static uint32_t generation(void *arg)
{
	struct berth *b = arg;

	return bt_ip_generation(b->ip);
}

static void count_drop(void *arg, uint16_t host, enum berth_drop reason)
{
	struct berth *b = arg;

	bt_ip_drop(b->ip, host, reason);
}

/* What IP asks of the layers above: is there a connection, or half of one? */
static bool known(void *arg, uint16_t host, uint8_t dev, const struct bt_filter_packet *p)
{
	struct berth *b = arg;
	struct bt_port_info i;
	uint32_t slot =
		bt_port_lookup(b->ports, host, BT_TCP, &p->dst, p->dport, &p->src, p->sport, dev);

	if (slot == BT_NO_SLOT || !bt_port_get(b->ports, slot, &i))
		return false;
	/* of some that have begun the peer alone has what is known of them (RFC 4987 3.6) */
	return i.state != BT_LISTEN || bt_tcp_gives_cookies(b->tcp, slot);
}

int bt_engine_filter(struct berth *b, uint16_t host, struct bt_filter *f)
{
	if (b == NULL)
		return BERTH_EINVAL;
	bt_ip_filter_asks(b->ip, known, b);
	return bt_ip_filter(b->ip, host, f);
}

uint8_t bt_engine_flow_state(const struct berth *b, uint16_t host, const struct bt_filter_packet *p)
{
	return bt_ip_flow_state(b->ip, host, p);
}

/* ---- the engine ---- */

static bool make_parts(struct berth *b, const struct berth_config *config)
{
	struct bt_tcp_below below = {
		.arg = b, .path = find_path, .generation = generation, .drop = count_drop};
	uint64_t bytes = config->buffer_bytes != 0 ? config->buffer_bytes : BUFFER_BYTES;

	b->wheel = bt_wheel_new(0);
	b->chunks = bt_chunks_new(bytes);
	if (b->wheel == NULL || b->chunks == NULL || b->ports == NULL)
		return false;
	b->ip = bt_ip_new(config->key, b->wheel, 0);
	if (b->ip == NULL)
		return false;
	b->udp = bt_udp_new(config->key, b->ports, b->ip, b->chunks);
	b->tcp = bt_tcp_new(config->key, b->ports, b->wheel, b->chunks, &below);
	return b->udp != NULL && b->tcp != NULL;
}

struct berth *bt_engine_new(const struct berth_config *config, struct bt_port_net *ports)
{
	uint32_t max = config->max_sockets != 0 ? config->max_sockets : MAX_SOCKETS;
	struct berth *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->own_ports = ports == NULL;
	b->ports = ports != NULL ? ports : bt_port_net_new(config->key, max);
	if (make_parts(b, config))
		return b;
	berth_free(b);
	return NULL;
}

struct berth *berth_new(const struct berth_config *config)
{
	return config == NULL ? NULL : bt_engine_new(config, NULL);
}

void berth_free(struct berth *b)
{
	if (b == NULL)
		return;
	bt_tcp_free(b->tcp);
	bt_udp_free(b->udp);
	bt_ip_free(b->ip);
	bt_chunks_free(b->chunks);
	bt_wheel_free(b->wheel);
	if (b->own_ports)
		bt_port_net_free(b->ports);
	for (uint32_t i = 0; i < b->n_held; i++)
		free(b->held[i]);
	for (uint32_t i = 0; b->defaults != NULL && i < b->n_hosts; i++)
		free(b->defaults[i]);
	free(b->held);
	free(b->defaults);
	free(b);
}

uint64_t bt_engine_enter(struct berth *b, uint64_t now_ns)
{
	bt_ip_reap(b->ip);
	bt_udp_reap(b->udp);
	if (now_ns > b->now_ns)
		b->now_ns = now_ns;
	return b->now_ns;
}

/* ---- hosts ---- */

int bt_engine_host_add(struct berth *b, uint16_t host)
{
	struct bt_defaults **defaults;
	int r;

	if (b == NULL || host != b->n_hosts)
		return BERTH_EINVAL;
	defaults = realloc(b->defaults, (b->n_hosts + 1) * sizeof(defaults[0]));
	if (defaults == NULL)
		return BERTH_ENOMEM;
	b->defaults = defaults;
	r = bt_ip_host_add(b->ip);
	if (r < 0)
		return r;
	bt_assert(r == host);
	b->defaults[b->n_hosts++] = NULL;
	return r;
}

int berth_host_add(struct berth *b)
{
	uint16_t host;
	int r;

	if (b == NULL || !b->own_ports)
		return BERTH_EINVAL;
	if (b->n_hosts >= 65534)
		return BERTH_ENFILE;
	host = (uint16_t)b->n_hosts;
	r = bt_port_host_add(b->ports, host);
	if (r < 0)
		return r;
	r = bt_engine_host_add(b, host);
	if (r < 0)
		(void)bt_port_host_del(b->ports, host);
	return r;
}

int berth_if_add(struct berth *b, berth_host host, const struct berth_if_config *config)
{
	if (b == NULL || config == NULL || host >= b->n_hosts)
		return BERTH_EINVAL;
	return bt_ip_if_add(b->ip, host, config, bt_engine_enter(b, 0));
}

static bool has_if(const struct berth *b, berth_if i)
{
	struct bt_if_info info;

	return b != NULL && bt_ip_if_get(b->ip, i, &info);
}

int berth_if_set(struct berth *b, berth_if i, const struct berth_if_config *config)
{
	if (config == NULL || !has_if(b, i))
		return BERTH_EINVAL;
	return bt_ip_if_set(b->ip, i, config, bt_engine_enter(b, 0));
}

static unsigned family_bits(const struct bt_addr *a)
{
	return bt_addr_is_v4(a) ? 32 : 128;
}

int berth_addr_add(struct berth *b, berth_if i, const struct berth_addr *addr, unsigned bits)
{
	struct bt_addr a;

	if (addr == NULL || !has_if(b, i))
		return BERTH_EINVAL;
	a = bt_from_public(addr);
	if (bits > family_bits(&a))
		return BERTH_EINVAL;
	return bt_ip_addr_add(b->ip, i, &a, bits, bt_engine_enter(b, 0));
}

int berth_addr_del(struct berth *b, berth_if i, const struct berth_addr *addr)
{
	struct bt_if_info info;
	struct bt_addr a;
	uint64_t now;
	int r;

	if (addr == NULL || b == NULL || !bt_ip_if_get(b->ip, i, &info))
		return BERTH_EINVAL;
	a = bt_from_public(addr);
	now = bt_engine_enter(b, 0);
	r = bt_ip_addr_del(b->ip, i, &a, now);
	if (r == 0)
		bt_tcp_addr_gone(b->tcp, info.host, &a, now);
	return r;
}

int berth_route_add(struct berth *b, berth_host host, const struct berth_addr *dst, unsigned bits,
		    const struct berth_addr *via, berth_if i, uint32_t metric)
{
	struct bt_addr to, hop;
	struct bt_if_info info;

	if (b == NULL || dst == NULL || host >= b->n_hosts)
		return BERTH_EINVAL;
	to = bt_from_public(dst);
	if (bits > family_bits(&to) || (i == 0 && via == NULL))
		return BERTH_EINVAL;
	if (i != 0 && (!bt_ip_if_get(b->ip, i, &info) || info.host != host))
		return BERTH_EINVAL;
	if (via == NULL)
		return bt_ip_route_add(b->ip, host, &to, bits, NULL, i, metric);
	hop = bt_from_public(via);
	if (bt_addr_is_v4(&hop) != bt_addr_is_v4(&to))
		return BERTH_EINVAL;
	return bt_ip_route_add(b->ip, host, &to, bits, &hop, i, metric);
}

int berth_route_del(struct berth *b, berth_host host, const struct berth_addr *dst, unsigned bits)
{
	struct bt_addr to;

	if (b == NULL || dst == NULL || host >= b->n_hosts)
		return BERTH_EINVAL;
	to = bt_from_public(dst);
	if (bits > family_bits(&to))
		return BERTH_EINVAL;
	return bt_ip_route_del(b->ip, host, &to, bits);
}

int berth_forwarding(struct berth *b, berth_host host, bool on)
{
	if (b == NULL || host >= b->n_hosts)
		return BERTH_EINVAL;
	return bt_ip_forwarding(b->ip, host, on);
}

/* ---- counters ---- */

uint64_t berth_drops(const struct berth *b, berth_host host, enum berth_drop reason)
{
	if (b == NULL || host >= b->n_hosts || (unsigned)reason >= BERTH_DROPS)
		return 0;
	return bt_ip_drops(b->ip, host, reason);
}

uint32_t berth_sockets(const struct berth *b)
{
	return b == NULL ? 0 : bt_port_count(b->ports);
}

size_t berth_bytes(const struct berth *b)
{
	if (b == NULL)
		return 0;
	return bt_port_bytes(b->ports) + bt_ip_bytes(b->ip) + bt_udp_bytes(b->udp) +
	       bt_tcp_bytes(b->tcp) + (size_t)bt_chunks_bytes(b->chunks) + sizeof(*b);
}

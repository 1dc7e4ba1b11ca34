/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_lookup N ITERS CPU: finds random ones of N connections, those of stack_fill, by their
 * 5-tuple: in the port space, and in a bare table, which is what any hash of them costs: a keyed
 * hash, then one array of keys at half load. Singly and 16 at a time; ns.
 */
#include "packet.h"

#include "../../lib/base/siphash.h"
#include "../../lib/port/port.h"
#include "../util.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH 16u

struct key { /* IPv4's */
	uint32_t laddr, raddr;
	uint16_t lport, rport;
};

struct cell {
	struct key key;
	uint32_t slot; /* and 1; 0: empty */
};

static const uint8_t secret[16] = {1, 2, 3};
static struct bt_port_net *net;
static struct cell *cells;
static uint32_t n_cells, n, listener;
static struct bt_addr local;

static struct key key_of(uint32_t i)
{
	return (struct key){ADDR_B, peer_addr(i), 80, (uint16_t)peer_port(i)};
}

static uint32_t place_of(const struct key *k)
{
	return (uint32_t)bt_siphash(secret, k, sizeof(*k)) & (n_cells - 1);
}

static bool same(const struct key *a, const struct key *b)
{
	return a->raddr == b->raddr && a->rport == b->rport && a->laddr == b->laddr &&
	       a->lport == b->lport;
}

static uint32_t find(const struct key *k, uint32_t at)
{
	for (; cells[at].slot != 0; at = (at + 1) & (n_cells - 1))
		if (same(&cells[at].key, k))
			return cells[at].slot;
	return 0;
}

static void fill(void)
{
	struct bt_reason why;
	uint32_t slot, taken;

	net = bt_port_net_new(secret, n + 16);
	local = bt_addr_v4(ADDR_B);
	if (net == NULL || bt_port_host_add(net, 0) < 0 ||
	    bt_port_new(net, 0, BT_TCP, BT_V4, 0, &listener) < 0 ||
	    bt_port_bind(net, listener, &local, 80, true, 0, &why) < 0 ||
	    bt_port_listen(net, listener, 0, &why) < 0)
		die_msg("no listener");
	for (n_cells = 1; n_cells < 2 * n;)
		n_cells *= 2;
	cells = calloc(n_cells, sizeof(*cells));
	if (cells == NULL)
		die("calloc");
	for (uint32_t i = 0; i < n; i++) {
		struct bt_addr peer = bt_addr_v4(peer_addr(i));
		struct key k = key_of(i);
		uint32_t at = place_of(&k);

		if (bt_port_accept(net, listener, &local, &peer, (uint16_t)peer_port(i), &slot,
				   &taken, &why) < 0)
			die_msg("bt_port_accept");
		while (cells[at].slot != 0)
			at = (at + 1) & (n_cells - 1);
		cells[at] = (struct cell){k, slot + 1};
	}
}

static uint64_t random_state;

static uint32_t any(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % n);
}

static uint64_t port_one(uint64_t iters)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < iters; i++) {
		uint32_t k = any();
		struct bt_addr peer = bt_addr_v4(peer_addr(k));

		sum += bt_port_lookup(net, 0, BT_TCP, &local, 80, &peer, (uint16_t)peer_port(k), 2);
	}
	return sum;
}

static uint64_t port_batch(uint64_t iters)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < iters; i += BATCH) {
		struct bt_port_query q[BATCH];
		struct bt_addr peer[BATCH];
		uint32_t slots[BATCH];

		for (unsigned j = 0; j < BATCH; j++) {
			uint32_t k = any();

			peer[j] = bt_addr_v4(peer_addr(k));
			q[j] = (struct bt_port_query){.laddr = &local,
						      .raddr = &peer[j],
						      .lport = 80,
						      .rport = (uint16_t)peer_port(k),
						      .host = 0,
						      .dev = 2};
		}
		bt_port_lookup_batch(net, BT_TCP, q, BATCH, BT_NO_SLOT, slots);
		for (unsigned j = 0; j < BATCH; j++)
			sum += slots[j];
	}
	return sum;
}

static uint64_t bare_one(uint64_t iters)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < iters; i++) {
		struct key k = key_of(any());

		sum += find(&k, place_of(&k)) - 1;
	}
	return sum;
}

static uint64_t bare_batch(uint64_t iters)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < iters; i += BATCH) {
		struct key k[BATCH];
		uint32_t at[BATCH];

		for (unsigned j = 0; j < BATCH; j++) {
			k[j] = key_of(any());
			at[j] = place_of(&k[j]);
			__builtin_prefetch(&cells[at[j]]);
		}
		for (unsigned j = 0; j < BATCH; j++)
			sum += find(&k[j], at[j]) - 1;
	}
	return sum;
}

/* as cost.c's */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double timed(uint64_t (*look)(uint64_t), uint64_t iters, uint64_t *sum)
{
	uint64_t start;

	random_state = 1;
	look(iters / 16);
	random_state = 2;
	start = cpu_ns();
	*sum = look(iters);
	return (double)(cpu_ns() - start) / (double)iters;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t (*look)(uint64_t);
	} ways[] = {{"port_ns", port_one},
		    {"port_batch_ns", port_batch},
		    {"bare_ns", bare_one},
		    {"bare_batch_ns", bare_batch}};
	uint64_t iters, sum[4];
	cpu_set_t set;

	if (argc != 4) {
		fprintf(stderr, "usage: engine_lookup N ITERS CPU\n");
		return 2;
	}
	n = (uint32_t)strtoul(argv[1], NULL, 10);
	iters = strtoull(argv[2], NULL, 10) / BATCH * BATCH;
	CPU_ZERO(&set);
	CPU_SET(strtoul(argv[3], NULL, 10), &set);
	sched_setaffinity(0, sizeof(set), &set);
	fill();
	for (unsigned i = 0; i < 4; i++)
		printf("%s=%.2f ", ways[i].name, timed(ways[i].look, iters, &sum[i]));
	printf("\n");
	if (sum[0] != sum[1] || sum[0] != sum[2] || sum[0] != sum[3])
		die_msg("they do not find the same");
	return 0;
}

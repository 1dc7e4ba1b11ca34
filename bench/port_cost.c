/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the port space itself costs, in one process and without berthd: connect and disconnect, bind
 * to 0, a refusal, and look-ups, from empty to full tables; ns, the least of several rounds. Prints
 * Markdown tables, or with --values a few of the numbers. --quick: a trial.
 */
#include "../lib/port/port.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double fills[] = {0, 0.5, 0.9, 0.99, 0.999, 1};
#define N_FILLS (sizeof(fills) / sizeof(fills[0]))
#define FILLED	4 /* of many destinations, those that are filled and measured */

static unsigned rounds = 7, calls = 20000;
static const struct bt_addr me = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}};

static struct bt_port_net *make(uint16_t lo, uint16_t hi)
{
	static const uint8_t key[16] = {1, 2, 3};
	struct bt_port_net *net = bt_port_net_new(key, 1u << 23);

	if (net == NULL || bt_port_host_add(net, 0) < 0)
		die("bt_port_net_new");
	bt_port_host_conf(net, 0)->range_lo = lo;
	bt_port_host_conf(net, 0)->range_hi = hi;
	return net;
}

static uint32_t sock(struct bt_port_net *net, enum bt_proto proto)
{
	uint32_t slot;

	if (bt_port_new(net, 0, proto, BT_V4, 0, &slot) < 0)
		die("bt_port_new");
	return slot;
}

static int dial(struct bt_port_net *net, uint32_t slot, uint32_t dest)
{
	struct bt_addr to = bt_addr_v4(0x0a010000 + dest);
	struct bt_reason why;
	uint32_t taken;

	return bt_port_connect(net, slot, &me, &to, 80, 0, &taken, &why);
}

static int bind_port(struct bt_port_net *net, uint32_t slot, uint16_t port)
{
	struct bt_addr any = bt_addr_v4(0);
	struct bt_reason why;

	return bt_port_bind(net, slot, &any, port, true, 0, &why);
}

static uint64_t least(uint64_t best, uint64_t t)
{
	return t < best ? t : best;
}

/* connect and disconnect, or the refusal when full */
static double connect_ns(uint16_t lo, uint16_t hi, uint32_t dests, double fill)
{
	struct bt_port_net *net = make(lo, hi);
	uint32_t full = dests < FILLED ? dests : FILLED, range = hi - lo + 1u;
	uint64_t best = UINT64_MAX;
	uint32_t slot;

	for (uint32_t d = 0; d < dests && fill > 0; d++) {
		uint32_t n = d < full ? (uint32_t)(fill * range) : 20;

		for (uint32_t i = 0; i < n; i++)
			if (dial(net, sock(net, BT_TCP), d) < 0)
				die("connect");
	}
	slot = sock(net, BT_TCP);
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t start = now_ns();

		for (unsigned i = 0; i < calls; i++) {
			if ((dial(net, slot, i % full) < 0) != (fill == 1))
				die("connect");
			bt_port_disconnect(net, slot);
		}
		best = least(best, now_ns() - start);
	}
	bt_port_net_free(net);
	return (double)best / calls;
}

/* bind to 0 and close, or the refusal when full */
static double bind_ns(uint16_t lo, uint16_t hi, enum bt_proto proto, double fill)
{
	struct bt_port_net *net = make(lo, hi);
	uint32_t range = hi - lo + 1u;
	uint64_t best = UINT64_MAX;

	for (uint32_t i = 0; i < (uint32_t)(fill * range); i++)
		if (bind_port(net, sock(net, proto), 0) < 0)
			die("bind");
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t start = now_ns();

		for (unsigned i = 0; i < calls; i++) {
			uint32_t slot = sock(net, proto);

			if ((bind_port(net, slot, 0) < 0) != (fill == 1))
				die("bind");
			bt_port_free(net, slot);
		}
		best = least(best, now_ns() - start);
	}
	bt_port_net_free(net);
	return (double)best / calls;
}

/* a packet to one of n listeners, or of n bound UDP sockets */
static double lookup_ns(enum bt_proto proto, uint32_t n)
{
	struct bt_port_net *net = make(32768, 60999);
	struct bt_addr from = bt_addr_v4(0x0a010001);
	uint64_t best = UINT64_MAX;
	struct bt_reason why;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = sock(net, proto);

		if (bind_port(net, slot, (uint16_t)(1024 + i)) < 0 ||
		    (proto == BT_TCP && bt_port_listen(net, slot, 0, &why) < 0))
			die("bind");
	}
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t start = now_ns();
		uint32_t port = 0;

		for (unsigned i = 0; i < calls; i++) {
			port = (port + 40503) % n;
			if (bt_port_lookup(net, 0, proto, &me, (uint16_t)(1024 + port), &from,
					   (uint16_t)i, 2) == BT_NO_SLOT)
				die("lookup");
		}
		best = least(best, now_ns() - start);
	}
	bt_port_net_free(net);
	return (double)best / calls;
}

static void print_values(void)
{
	printf("connect_empty=%.1f connect_nearly_full=%.1f connect_full=%.1f\n",
	       connect_ns(32768, 60999, 1, 0), connect_ns(32768, 60999, 1, 0.999),
	       connect_ns(32768, 60999, 1, 1));
	printf("bind_empty=%.1f bind_nearly_full=%.1f bind_full=%.1f\n",
	       bind_ns(32768, 60999, BT_TCP, 0), bind_ns(32768, 60999, BT_TCP, 0.999),
	       bind_ns(32768, 60999, BT_TCP, 1));
	printf("lookup_one=%.1f lookup_many=%.1f\n", lookup_ns(BT_TCP, 1),
	       lookup_ns(BT_TCP, 60000));
}

int main(int argc, char **argv)
{
	static const uint16_t ranges[][2] = {{32768, 60999}, {1024, 65535}};
	static const uint32_t counts[] = {1, 1000, 60000};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			rounds = 2;
			calls = 2000;
		} else if (strcmp(argv[i], "--values") != 0) {
			fprintf(stderr, "usage: port_cost [--quick] [--values]\n");
			return 2;
		}
	}
	if (argc > 1 && strcmp(argv[argc - 1], "--values") == 0) {
		print_values();
		return 0;
	}
	printf("| ns | range | empty | 50 %% | 90 %% | 99 %% | 99.9 %% | full: refused |\n"
	       "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
	for (int k = 0; k < 2; k++) {
		uint16_t lo = ranges[k][0], hi = ranges[k][1];

		for (uint32_t dests = 1; dests <= 1000; dests += 999) {
			printf("| connect and disconnect, %u destination%s | %u-%u", dests,
			       dests > 1 ? "s" : "", lo, hi);
			for (size_t f = 0; f < N_FILLS; f++)
				printf(" | %.0f", connect_ns(lo, hi, dests, fills[f]));
			printf(" |\n");
		}
		for (int udp = 0; udp < 2; udp++) {
			printf("| socket, bind to 0, close, %s | %u-%u", udp ? "UDP" : "TCP", lo,
			       hi);
			for (size_t f = 0; f < N_FILLS; f++)
				printf(" | %.0f", bind_ns(lo, hi, udp ? BT_UDP : BT_TCP, fills[f]));
			printf(" |\n");
		}
		fflush(stdout);
	}
	printf("\n| ns | of 1 | of 1,000 | of 60,000 |\n| --- | --- | --- | --- |\n");
	for (int udp = 0; udp < 2; udp++) {
		printf("| look-up of a %s", udp ? "bound UDP port" : "listener");
		for (int i = 0; i < 3; i++)
			printf(" | %.0f", lookup_ns(udp ? BT_UDP : BT_TCP, counts[i]));
		printf(" |\n");
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine's foundations cost: checksums, TCP headers, timers, buffers; ns, the least of
 * several rounds. Prints Markdown tables. --quick: a trial.
 */
#include "../lib/base/checksum.h"
#include "../lib/base/chunk.h"
#include "../lib/base/wheel.h"
#include "../lib/wire/ipv4.h"
#include "../lib/wire/tcp.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned rounds = 20, calls = 20000;
static uint8_t from[65536], to[65536];
static volatile uint64_t sink;

/* The least time of one call of `once`, whose arguments are arg and the call's number. */
static double least_ns(uint64_t (*once)(void *arg, unsigned i), void *arg)
{
	uint64_t best = UINT64_MAX;

	for (unsigned r = 0; r < rounds; r++) {
		uint64_t start = now_ns(), sum = 0, t;

		for (unsigned i = 0; i < calls; i++)
			sum += once(arg, r * calls + i);
		sink = sum;
		t = now_ns() - start;
		if (t < best)
			best = t;
	}
	return (double)best / calls;
}

static uint64_t copy_once(void *arg, unsigned i)
{
	(void)i;
	memcpy(to, from, *(size_t *)arg);
	/* The compiler must believe that somebody reads it. */
	__asm__ volatile("" : : "r"(to) : "memory");
	return to[0];
}

static uint64_t sum_once(void *arg, unsigned i)
{
	return bt_csum_add(i, from, *(size_t *)arg);
}

static uint64_t sum_odd_once(void *arg, unsigned i)
{
	return bt_csum_add(i, from + 1, *(size_t *)arg);
}

static uint64_t copy_sum_once(void *arg, unsigned i)
{
	return bt_csum_copy(i, to, from, *(size_t *)arg);
}

static void checksums(void)
{
	static size_t sizes[] = {20, 64, 512, 1460, 4096, 65536};

	printf("| bytes | sum | sum at an odd address | copy and sum | memcpy |\n"
	       "| --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		printf("| %zu | %.1f | %.1f | %.1f | %.1f |\n", sizes[i],
		       least_ns(sum_once, &sizes[i]),
		       sizes[i] < sizeof(from) ? least_ns(sum_odd_once, &sizes[i]) : 0,
		       least_ns(copy_sum_once, &sizes[i]), least_ns(copy_once, &sizes[i]));
}

static uint64_t read_once(void *arg, unsigned i)
{
	struct bt_tcp_seg seg;

	(void)i;
	if (bt_tcp_read(arg, 60, &seg) != BT_TCP_OK)
		die_msg("bt_tcp_read");
	return seg.ts_val + seg.seq.n + seg.n_sack;
}

static uint64_t write_once(void *arg, unsigned i)
{
	(void)i;
	return bt_tcp_write(to, arg);
}

static uint64_t ipv4_once(void *arg, unsigned i)
{
	struct bt_ipv4 ip;

	(void)i;
	if (bt_ipv4_read(arg, 1500, &ip) != BT_IP_OK)
		die_msg("bt_ipv4_read");
	return ip.total_len;
}

static void headers(void)
{
	static const struct {
		const char *name;
		uint8_t flags, has;
	} kinds[] = {
		{"no option", BT_ACK, 0},
		{"timestamp", BT_ACK, BT_TCP_TS},
		{"timestamp, 3 SACK blocks", BT_ACK, BT_TCP_TS | BT_TCP_SACK},
		{"a SYN's", BT_SYN, BT_TCP_MSS | BT_TCP_SACK_OK | BT_TCP_TS | BT_TCP_WSCALE},
	};
	struct bt_ipv4 ip = {.total_len = 1500, .ttl = 64, .proto = 6};
	uint8_t packet[1500];

	printf("\n| TCP header | read | write |\n| --- | --- | --- |\n");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct bt_tcp_seg seg = {
			.flags = kinds[i].flags, .has = kinds[i].has, .mss = 1460, .n_sack = 3};
		uint8_t data[BT_TCP_HEADER_MAX];

		for (uint32_t s = 0; s < 3; s++)
			seg.sack[s] = (struct bt_sack){bt_seq(s * 9), bt_seq(s * 9 + 5)};
		bt_tcp_write(data, &seg);
		printf("| %s | %.1f | %.1f |\n", kinds[i].name, least_ns(read_once, data),
		       least_ns(write_once, &seg));
	}
	bt_ipv4_write(packet, &ip);
	printf("| IPv4 header with its checksum | %.1f | |\n", least_ns(ipv4_once, packet));
}

struct timers {
	struct bt_wheel *w;
	struct bt_timer *t;
	uint32_t n, mask; /* a power of two */
	uint64_t now;
};

static uint32_t mix(uint32_t i)
{
	return i * 2654435761u;
}

/* A segment came: its connection's timer is due 200 ms after it, plus or minus 10 us. */
static uint64_t rearm_once(void *arg, unsigned i)
{
	struct timers *x = arg;

	x->now += 1000;
	bt_wheel_set(x->w, &x->t[0], x->now + 200000000 + mix(i) % 20000);
	return 0;
}

static uint64_t rearm_any_once(void *arg, unsigned i)
{
	struct timers *x = arg;

	x->now += 1000;
	bt_wheel_set(x->w, &x->t[mix(i) >> 8 & x->mask], x->now + 200000000 + mix(i) % 20000);
	return 0;
}

static uint64_t set_clear_once(void *arg, unsigned i)
{
	struct timers *x = arg;
	struct bt_timer *t = &x->t[mix(i) >> 8 & x->mask];

	x->now += 1000;
	bt_wheel_clear(x->w, t);
	bt_wheel_set(x->w, t, x->now + 200000000 + mix(i) % 20000);
	return 0;
}

static uint64_t idle_once(void *arg, unsigned i)
{
	struct timers *x = arg;

	(void)i;
	if (bt_wheel_expired(x->w, x->now) != NULL)
		die_msg("expired");
	return bt_wheel_deadline(x->w);
}

static void make_timers(struct timers *x, uint32_t n)
{
	x->w = bt_wheel_new(0);
	x->t = calloc(n, sizeof(*x->t));
	if (x->w == NULL || x->t == NULL)
		die("calloc");
	x->n = n;
	x->mask = n - 1;
	x->now = 0;
}

/* Sets n timers within a second, and lets them come up in steps of step_ns: ns for all of it. */
static double expire_ns(struct timers *x, uint64_t step_ns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned r = 0; r < 3; r++) {
		uint64_t start, t, end = x->now + 1000000000;
		uint32_t n = 0;

		for (uint32_t i = 0; i < x->n; i++)
			bt_wheel_set(x->w, &x->t[i], x->now + 1 + mix(i) % 1000000000);
		start = now_ns();
		while (x->now < end) {
			x->now += step_ns;
			while (bt_wheel_expired(x->w, x->now) != NULL)
				n++;
		}
		t = now_ns() - start;
		if (n != x->n)
			die_msg("expired");
		if (t < best)
			best = t;
	}
	return (double)best;
}

static void timers(void)
{
	static const uint32_t counts[] = {1, 1024, 1048576};

	printf("\n| timers set | the same re-armed | any re-armed | any cleared and set | nothing "
	       "due, deadline | all become due, in 1,000 steps of 1 ms: us |\n"
	       "| --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct timers x;

		make_timers(&x, counts[i]);
		for (uint32_t k = 0; k < x.n; k++)
			bt_wheel_set(x.w, &x.t[k], 200000000ull + mix(k) % 1000000000);
		printf("| %u | %.1f", x.n, least_ns(rearm_once, &x));
		printf(" | %.1f", least_ns(rearm_any_once, &x));
		printf(" | %.1f", least_ns(set_clear_once, &x));
		while (bt_wheel_expired(x.w, x.now) != NULL)
			;
		printf(" | %.1f", least_ns(idle_once, &x));
		printf(" | %.1f |\n", expire_ns(&x, 1000000) / 1000);
		fflush(stdout);
		free(x.t);
		bt_wheel_free(x.w);
	}
}

struct queue {
	struct bt_chunks *pool;
	struct bt_bytes b;
	uint32_t depth, sent;
};

static uint64_t get_put_once(void *arg, unsigned i)
{
	struct bt_chunks *pool = arg;
	struct bt_chunk *c = bt_chunk_get(pool);

	(void)i;
	bt_chunk_put(pool, c);
	return 0;
}

/* A segment's bytes are appended, another's in the middle are found for sending, a third's dropped.
 */
static uint64_t segment_once(void *arg, unsigned i)
{
	struct queue *q = arg;
	struct iovec iov[4];
	unsigned n;

	(void)i;
	if (!bt_bytes_reserve(&q->b, q->pool, q->depth + 1448))
		die_msg("bt_bytes_reserve");
	bt_bytes_write(&q->b, q->depth, from, 1448);
	n = bt_bytes_parts(&q->b, q->sent, 1448, iov, 4);
	bt_bytes_drop(&q->b, q->pool, 1448);
	return n;
}

static void buffers(void)
{
	static const uint32_t depths[] = {0, 65536, 1048576, 16777216};
	struct bt_chunks *pool = bt_chunks_new(1u << 30);

	if (pool == NULL)
		die("bt_chunks_new");
	printf("\n| buffers | ns |\n| --- | --- |\n");
	printf("| chunk taken and put back | %.1f |\n", least_ns(get_put_once, pool));
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		struct queue q = {.pool = pool, .depth = depths[i], .sent = depths[i] / 2};

		if (!bt_bytes_reserve(&q.b, pool, q.depth))
			die_msg("bt_bytes_reserve");
		printf("| segment of 1,448 through a queue of %u: copied in, found, dropped | %.1f "
		       "|\n",
		       q.depth, least_ns(segment_once, &q));
		bt_bytes_clear(&q.b, pool);
	}
	bt_chunks_free(pool);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") != 0) {
			fprintf(stderr, "usage: engine_base [--quick]\n");
			return 2;
		}
		rounds = 3;
		calls = 2000;
	}
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)mix((uint32_t)i);
	checksums();
	headers();
	timers();
	buffers();
	return 0;
}

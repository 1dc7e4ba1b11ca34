/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TCP itself costs: a stream between two hosts of one struct bt_tcp, each segment copied once
 * from the sender's buffers to the receiver, without IP, checksums or system calls. Says for each
 * segment of 1,460 bytes of IP payload the time of both ends with their ACKs.
 *
 *	tcp_engine [megabytes] [tso] [connections]
 */
#include "../lib/tcp/tcb.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N_BATCH 16

static struct bt_port_net *ports;
static struct bt_tcp *t;
static uint64_t now = 1000000000;
static uint16_t path_flags = BERTH_IF_TX_CHECKSUM;

static int path(void *arg, uint16_t host, const struct bt_addr *src, const struct bt_addr *dst,
		struct bt_path *p)
{
	(void)arg, (void)host, (void)src, (void)dst;
	*p = (struct bt_path){.generation = 1, .i = 1, .flags = path_flags, .mtu = 1500};
	return 0;
}

static uint32_t generation(void *arg)
{
	(void)arg;
	return 1;
}

static void drop(void *arg, uint16_t host, enum berth_drop reason)
{
	(void)arg, (void)host, (void)reason;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t n_data, n_acks;

/* Carries what waits, in batches, until nothing does. */
static void carry(void)
{
	static uint8_t frames[N_BATCH][66000];
	struct bt_rx rx[N_BATCH];
	size_t n;

	do {
		for (n = 0; n < N_BATCH; n++) {
			static struct berth_output out;
			struct bt_tx tx;
			uint8_t *p = frames[n];

			tx.out = &out;
			if (!bt_tcp_output(t, &tx, now))
				break;
			memcpy(p, out.header + tx.header_at, tx.header_len);
			p += tx.header_len;
			for (unsigned i = 1; i < out.n_iov; i++) {
				memcpy(p, out.iov[i].iov_base, out.iov[i].iov_len);
				p += out.iov[i].iov_len;
			}
			rx[n] = (struct bt_rx){.host = (uint16_t)!tx.host,
					       .dev = 2,
					       .proto = BT_TCP,
					       .checked = true,
					       .src = tx.src,
					       .dst = tx.dst,
					       .data = frames[n],
					       .len = (uint32_t)(p - frames[n]),
					       .segment = tx.segment};
			if (tx.payload_len > 0)
				n_data += (tx.payload_len + 1447) / 1448;
			else
				n_acks++;
		}
		now += 1000;
		bt_tcp_input_batch(t, rx, n, now);
	} while (n > 0);
}

int main(int argc, char **argv)
{
	static const uint8_t key[16] = "bench";
	static uint8_t buf[65536];
	uint64_t left = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1000) << 20, begin, end;
	uint32_t n_conns = argc > 3 ? (uint32_t)atoi(argv[3]) : 1, l, taken, *a, *b;
	struct bt_addr x = bt_addr_v4(0x0a000001), y = bt_addr_v4(0x0a000002);
	struct bt_addr any = bt_addr_v4(0);
	struct bt_reason why;
	struct bt_wheel *wheel = bt_wheel_new(now);
	struct bt_chunks *chunks = bt_chunks_new(1u << 30);
	struct bt_tcp_below below = {NULL, path, generation, drop};
	struct bt_path p;

	if (argc > 2 && atoi(argv[2]) != 0)
		path_flags |= BERTH_IF_TSO;
	a = calloc(n_conns, sizeof(*a));
	b = calloc(n_conns, sizeof(*b));
	ports = bt_port_net_new(key, 1 << 20);
	bt_port_host_add(ports, 0);
	bt_port_host_add(ports, 1);
	t = bt_tcp_new(key, ports, wheel, chunks, &below);
	path(NULL, 0, &x, &y, &p);
	bt_port_new(ports, 1, BT_TCP, BT_V4, 0, &l);
	bt_tcp_open(t, l);
	bt_port_bind(ports, l, &any, 80, true, now, &why);
	bt_port_listen(ports, l, now, &why);
	bt_tcp_listen(t, l, 128, now);
	for (uint32_t i = 0; i < n_conns; i++) {
		bt_port_new(ports, 0, BT_TCP, BT_V4, 0, &a[i]);
		bt_tcp_open(t, a[i]);
		bt_port_connect(ports, a[i], &x, &y, 80, now, &taken, &why);
		bt_tcp_connect(t, a[i], &p, now);
		carry();
		if (bt_tcp_accept(t, l, &b[i], now) < 0)
			return 1;
	}
	n_data = n_acks = 0;
	begin = clock_ns();
	for (uint32_t i = 0; left > 0; i = (i + 1) % n_conns) {
		struct bt_timer *timer;
		int64_t n = bt_tcp_send(t, a[i], buf, n_conns > 1 ? 1448 * 2 : sizeof(buf), 0, now);
		struct iovec part;
		unsigned n_parts = 1;

		left -= n > 0 && (uint64_t)n < left ? (uint64_t)n : n > 0 ? left : 0;
		carry();
		while (bt_tcp_recv_data(t, b[i], &part, &n_parts) == 0 && n_parts > 0)
			bt_tcp_recv_done(t, b[i], part.iov_len, now);
		carry();
		while ((timer = bt_wheel_expired(wheel, now)) != NULL)
			bt_tcp_expired(t, timer, now);
	}
	end = clock_ns();
	printf("%.1f ns a segment, %llu segments, %llu ACKs\n",
	       (double)(end - begin) / (double)n_data, (unsigned long long)n_data,
	       (unsigned long long)n_acks);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that knows every number and keeps no rule: random segments near what is expected (flags,
 * numbers, windows, SACK blocks, urgent pointers, options), ICMP, between the calls of a program
 * that sends, reads, shuts down and closes. Nothing may trap, and in the end all is given back.
 * BERTH_SEED, BERTH_ROUNDS as in tcp_random.
 */
#include "tcp_help.h"

#include <stdio.h>
#include <stdlib.h>

#define N_SOCKS 6

static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 20) % n;
}

static uint32_t near(uint32_t x, uint32_t window)
{
	switch (rnd(8)) {
	case 0:
		return x + rnd(window + 1);
	case 1:
		return x - rnd(window + 1);
	case 2:
		return x + rnd(UINT32_MAX);
	case 3:
		return x + 1;
	case 4:
		return x - 1;
	default:
		return x;
	}
}

static void attack(struct wire *w, uint32_t slot)
{
	static const uint8_t flags[] = {BT_ACK,
					BT_ACK,
					BT_ACK | BT_PSH,
					BT_SYN,
					BT_SYN | BT_ACK,
					BT_RST,
					BT_RST | BT_ACK,
					BT_FIN | BT_ACK,
					BT_URG | BT_ACK,
					BT_ACK | BT_ECE,
					0,
					255};
	struct bt_conn *c = wire_conn(w, slot);
	struct bt_tcp_seg s =
		wire_next(w, slot, flags[rnd(100) < 90 ? rnd(3) : rnd(sizeof(flags))]);
	static uint8_t data[70000];
	uint32_t out = bt_conn_outstanding(c);

	s.seq = bt_seq(near(c->rcv_nxt.n, c->rcv_edge.n - c->rcv_nxt.n));
	s.ack = bt_seq(rnd(2) ? c->snd_una.n + (out == 0 ? 0 : rnd(out + 1))
			      : near(c->snd_una.n, out));
	s.window = (uint16_t)(rnd(3) == 0 ? 0 : rnd(65536));
	s.urgent = (uint16_t)rnd(65536);
	s.mss = (uint16_t)rnd(2000);
	s.wscale = (uint8_t)rnd(15);
	s.has |= (uint8_t)(rnd(4) == 0 ? rnd(8) : 0);
	if (!(s.flags & BT_URG))
		s.urgent = 0;
	if (rnd(10) == 0)
		s.ts_val = near(s.ts_val, 1000);
	if (rnd(10) == 0)
		s.ts_ecr = near(s.ts_ecr, 1000);
	if (rnd(3) == 0) {
		s.has |= BT_TCP_SACK;
		s.n_sack = (uint8_t)(1 + rnd(4));
		for (unsigned i = 0; i < s.n_sack; i++) {
			s.sack[i].start = bt_seq(near(c->snd_una.n + rnd(out + 1), out));
			s.sack[i].end = bt_seq(s.sack[i].start.n + rnd(5000));
		}
	}
	wire_inject(w, slot, &s, data, rnd(3) == 0 ? rnd(rnd(10) == 0 ? 60000 : 3000) : 0);
}

static void icmp(struct wire *w, uint32_t slot)
{
	struct bt_port_ends e;
	uint8_t q[8];

	bt_port_ends(w->ports, slot, &e);
	bt_put16(q, e.lport);
	bt_put16(q + 2, e.rport);
	bt_put32(q + 4, wire_conn(w, slot)->snd_una.n + rnd(3));
	bt_tcp_icmp(w->t, e.host, &e.laddr, &e.raddr, q, 8, rnd(2) ? BERTH_EHOSTUNREACH : 0,
		    rnd(2) ? 0 : rnd(3000), w->now);
}

static void act(struct wire *w, uint32_t slot)
{
	static uint8_t buf[100000];
	struct iovec parts[3];
	unsigned n_parts = 1 + rnd(3);
	size_t len = 0;

	switch (rnd(12)) {
	case 0:
	case 1:
	case 2:
		bt_tcp_send(w->t, slot, buf, rnd(rnd(3) == 0 ? 100000 : 3000), rnd(4), w->now);
		break;
	case 3:
	case 4:
		bt_tcp_recv(w->t, slot, buf, rnd(30000), rnd(4), w->now);
		break;
	case 5:
		if (bt_tcp_send_room(w->t, slot, parts, &n_parts, rnd(9000) + 1) == 0) {
			for (unsigned i = 0; i < n_parts; len += parts[i++].iov_len)
				memset(parts[i].iov_base, 1, parts[i].iov_len);
			bt_tcp_send_filled(w->t, slot, rnd((uint32_t)len + 1), w->now);
		}
		break;
	case 6:
		if (bt_tcp_recv_data(w->t, slot, parts, &n_parts) != 0)
			break;
		while (n_parts > 0)
			len += parts[--n_parts].iov_len;
		bt_tcp_recv_done(w->t, slot, rnd((uint32_t)len + 1), w->now);
		break;
	case 7:
		if (rnd(20) == 0)
			bt_tcp_shutdown(w->t, slot, (enum berth_shut)rnd(3), w->now);
		break;
	case 8:
		bt_tcp_set(w->t, slot, (enum berth_option)rnd(80), rnd(3) ? rnd(3) : rnd(100000),
			   w->now);
		break;
	case 9:
		icmp(w, slot);
		break;
	case 10: {
		struct berth_tcp_info info;

		bt_tcp_info(w->t, slot, &info);
		bt_tcp_ready(w->t, slot);
		bt_tcp_error_take(w->t, slot);
		break;
	}
	default:
		break;
	}
}

/* Only those that a host of its own holds: what the wire carries goes to the other one and dies. */
static void round_of(void)
{
	static struct wire w;
	uint32_t s[N_SOCKS], n = 0, l, c;

	wire_up(&w);
	w.flags = rnd(2) ? BERTH_IF_TSO : 0;
	w.delay = rnd(2 * MS);
	l = wire_listen(&w, B, 80, rnd(6));
	for (int k = 0; k < 3000; k++) {
		if (n < N_SOCKS && rnd(20) == 0) {
			c = wire_open(&w, A);
			bt_tcp_set(w.t, c, BERTH_TCP_ECN, rnd(3), w.now);
			bt_tcp_set(w.t, c, BERTH_TCP_CONGESTION, rnd(3), w.now);
			wire_connect(&w, c, B, 80);
			s[n++] = c;
		}
		if (n < N_SOCKS && (c = wire_accept(&w, l)) != BT_NO_SLOT)
			s[n++] = c;
		for (uint32_t i = 0; i < n; i++) {
			int state = wire_conn(&w, s[i])->state;

			if (rnd(4) == 0 && state != BT_CLOSE)
				attack(&w, s[i]);
			act(&w, s[i]);
			if (rnd(200) == 0 || (state == BT_CLOSE && rnd(10) == 0)) {
				if (rnd(4) == 0)
					bt_tcp_abort(w.t, s[i], w.now);
				else
					wire_close(&w, s[i]);
				s[i] = s[--n];
			}
		}
		wire_run(&w, rnd(10) == 0 ? rnd(300 * MS) : rnd(MS));
		if (rnd(4) == 0)
			while (bt_tcp_event(w.t, &c, &(uint32_t){0}))
				;
	}
	while (n > 0)
		wire_close(&w, s[--n]);
	wire_close(&w, l);
	wire_down(&w);
}

int main(void)
{
	const char *s = getenv("BERTH_SEED"), *r = getenv("BERTH_ROUNDS");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 10) : 1;
	uint64_t n = r != NULL ? strtoull(r, NULL, 10) : s != NULL ? 1 : 60;

	for (; n > 0; n--, seed++) {
		printf("BERTH_SEED=%llu\n", (unsigned long long)seed);
		fflush(stdout);
		rng = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
		for (int i = 0; i < 8; i++)
			(void)rnd(2);
		round_of();
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile input: random bytes, and frames of every kind that IP knows, changed at random, with and
 * without right checksums. Nothing may crash (run it with the address sanitizer), grow beyond the
 * budgets, or stay when all time-outs are over. BERTH_SEED, BERTH_OPS repeat and lengthen it.
 */
#include "ip_help.h"

#include "model.h"

#define CORPUS 256

static struct {
	uint8_t data[1600];
	uint32_t len;
} corpus[CORPUS];
static unsigned n_corpus;
static berth_if wires[4]; /* a - router - c, the second one bare */
static uint16_t hosts[3];
static unsigned packets, errors, learned;

static void keep(const uint8_t *frame, uint32_t len)
{
	if (n_corpus == CORPUS || len > sizeof(corpus[0].data))
		return;
	memcpy(corpus[n_corpus].data, frame, len);
	corpus[n_corpus++].len = len;
}

static void topology(struct net *n)
{
	struct bt_addr any = v4(0, 0, 0, 0), any6 = {{0}}, via;
	const struct bt_addr group = v4(239, 1, 1, 1);

	for (unsigned k = 0; k < 3; k++)
		hosts[k] = (uint16_t)bt_ip_host_add(n->ip);
	wires[0] = add_if(n, hosts[0], BERTH_IF_ETHERNET, 1500, 1);
	wires[1] = add_if(n, hosts[1], BERTH_IF_ETHERNET, 1500, 2);
	wires[2] = add_if(n, hosts[1], 0, 1300, 0);
	wires[3] = add_if(n, hosts[2], 0, 1300, 0);
	for (unsigned k = 0; k < 4; k++) {
		n->peer[wires[k]] = wires[k ^ 1];
		add_addr(n, wires[k], v4(10, 0, k / 2, 1 + k), 24);
		add_addr(n, wires[k], v6(1 + k / 2, 1 + k), 64);
		bt_ip_join(n->ip, hosts[(k + 1) / 2], &group, wires[k], NULL, n->now);
	}
	via = v4(10, 0, 0, 2);
	bt_ip_route_add(n->ip, hosts[0], &any, 0, &via, 0, 0);
	via = v6(1, 2);
	bt_ip_route_add(n->ip, hosts[0], &any6, 0, &via, 0, 0);
	via = v4(10, 0, 1, 3);
	bt_ip_route_add(n->ip, hosts[2], &any, 0, &via, 0, 0);
	via = v6(2, 3);
	bt_ip_route_add(n->ip, hosts[2], &any6, 0, &via, 0, 0);
	bt_ip_forwarding(n->ip, hosts[1], true);
	advance(n, 3 * SEC);
}

/* Frames that hosts send each other, and some that only routers and attackers send. */
static void gather(struct net *n)
{
	static const uint8_t igmp[] = {0x11, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0};
	static const uint8_t mld[] = {58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0, 1, 0, 0, 0,   0, 0,
				      0,  0, 0, 0, 0, 0, 0, 0, 0,   0, 0, 0, 0, 0, 2, 125, 0, 0};
	const struct bt_addr all6 = {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
	const struct bt_addr ll = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
	struct send how = {.hops = 1};
	uint8_t f[1600] = {0x33, 0x33, 0, 0, 0, 1, 2, 9};
	uint8_t echo[16] = {8};

	for (unsigned round = 0; round < 2; round++) {
		send_and_carry(n, hosts[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 100, NULL);
		send_and_carry(n, hosts[0], v6(1, 1), v6(2, 4), 100, NULL);
		send_and_carry(n, hosts[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 4000, NULL);
		send_and_carry(n, hosts[0], v6(1, 1), v6(2, 4), 4000, NULL);
		send_and_carry(n, hosts[0], v4(10, 0, 0, 1), v4(10, 0, 1, 4), 30, &how);
		send_and_carry(n, hosts[0], v6(1, 1), v6(2, 4), 30, &how);
		send_and_carry(n, hosts[0], v4(10, 0, 0, 1), v4(239, 1, 1, 1), 30, &how);
		send_and_carry(n, hosts[0], v4(10, 0, 0, 1), v4(10, 0, 0, 255), 30, &how);
	}
	for (uint32_t k = 0; k < n->n_frames; k++)
		if (n->frames[k].i == wires[0] || n->frames[k].i == wires[1])
			keep(n->frames[k].all, n->frames[k].len);
	bt_put16(f + 12, BT_ETHER_IPV6);
	make6(f + 14, ll, all6, 0, 1, mld, sizeof(mld));
	keep(f, 54 + sizeof(mld));
	memcpy(f, "\x02\0\0\0\0\x02", 6);
	make6(f + 14, v6(1, 1), v6(1, 2), 58, 255, echo, sizeof(echo));
	f[54] = 128;
	keep(f, 54 + sizeof(echo));
	bt_put16(f + 12, BT_ETHER_IPV4);
	make4(f + 14, v4(10, 0, 0, 1), v4(10, 0, 0, 2), 1, 9, echo, sizeof(echo));
	keep(f, 34 + sizeof(echo));
	memcpy(f, "\x01\0\x5e\0\0\x01", 6);
	make4(f + 14, v4(10, 0, 0, 1), v4(224, 0, 0, 1), 2, 1, igmp, sizeof(igmp));
	keep(f, 34 + sizeof(igmp));
	forget_logs(n);
}

static uint32_t mutate(uint8_t *p, uint32_t len, uint32_t room)
{
	for (unsigned k = rnd(6); k > 0 && len > 0; k--) {
		uint32_t at = rnd(3) == 0 ? rnd(len) : rnd(len < 80 ? len : 80);

		switch (rnd(8)) {
		case 0:
			p[at] ^= (uint8_t)(1 << rnd(8));
			break;
		case 1:
			p[at] = (uint8_t)rnd(256);
			break;
		case 2:
			p[at] = rnd(2) ? 0xff : 0;
			break;
		case 3:
			len = at;
			break;
		case 4: /* longer */
			while (len < room && rnd(64) != 0)
				p[len++] = (uint8_t)rnd(256);
			break;
		case 5: { /* a part of another frame */
			const uint8_t *other = corpus[rnd(n_corpus)].data;
			uint32_t n = rnd(40);

			memcpy(p + at, other + rnd(80), n < len - at ? n : len - at);
			break;
		}
		case 6: /* one of the numbers that mean something */
			p[at] = (uint8_t[]){0,	1,  2,	 6,   17,  43,	44,  58,
					    59, 60, 128, 135, 136, 130, 143, 255}[rnd(16)];
			break;
		default: /* a fragment, in IPv4 */
			if (len > 34 && p[12] == 8)
				bt_put16(p + 20, (uint16_t)(rnd(2) << 13 | rnd(40)));
			break;
		}
	}
	return len;
}

/* Makes the checksums right, so that what lies behind them is reached. */
static void mend(uint8_t *p, uint32_t len)
{
	struct bt_ipv6_ext ext;
	struct bt_ipv6 h6;
	struct bt_ipv4 h4;

	if (len >= 34 && p[12] == 8 && p[13] == 0) {
		uint32_t header_len = (p[14] & 15) * 4u;

		if (rnd(2) == 0)
			bt_put16(p + 16, (uint16_t)(len - 14));
		if (header_len < 20 || 14 + header_len > len)
			return;
		bt_put16(p + 24, 0);
		bt_csum_put(p + 24, bt_csum_add(0, p + 14, header_len));
		if (bt_ipv4_read(p + 14, len - 14, &h4) == BT_IP_OK &&
		    (h4.proto == 1 || h4.proto == 2) && h4.total_len >= h4.header_len + 8u)
			sum_icmp(p + 14 + h4.header_len, (uint32_t)h4.total_len - h4.header_len,
				 NULL, NULL);
	} else if (len >= 54 && p[12] == 0x86) {
		if (rnd(2) == 0)
			bt_put16(p + 18, (uint16_t)(len - 54));
		if (bt_ipv6_read(p + 14, len - 14, &h6) == BT_IP_OK &&
		    bt_ipv6_walk(p + 14, 40u + h6.payload_len, 40, h6.next, 6, &ext) == BT_IP_OK &&
		    ext.proto == 58 && 40u + h6.payload_len >= ext.at + 8u)
			sum_icmp(p + 14 + ext.at, 40u + h6.payload_len - ext.at, &h6.src, &h6.dst);
	}
}

/* What the engine and its transports would do with it. */
static void take(struct net *n, enum bt_ip_got got, const struct bt_rx *rx,
		 const struct bt_icmp_error *e)
{
	static volatile uint8_t sum; /* every byte that is said to be there is looked at */

	if (got == BT_IP_PACKET) {
		MUST(rx->data >= rx->ip && rx->data + rx->len <= rx->ip + rx->ip_len);
		for (uint32_t k = 0; k < rx->ip_len; k++)
			sum = (uint8_t)(sum + rx->ip[k]);
		packets++;
		if (rx->proto == 17)
			bt_ip_port_unreachable(n->ip, rx, n->now);
	} else if (got == BT_IP_ERROR) {
		MUST(e->len >= 8 && e->error < 0);
		for (uint32_t k = 0; k < e->len; k++)
			sum = (uint8_t)(sum + e->quoted[k]);
		errors++;
		if (e->error == BERTH_EMSGSIZE) {
			bt_ip_mtu_learned(n->ip, e->host, &e->dst, e->mtu, n->now);
			learned++;
		}
	}
}

static void hostile(struct net *n, berth_if i, const uint8_t *p, uint32_t len)
{
	uint8_t *exact = malloc(len != 0 ? len : 1);
	struct bt_icmp_error e;
	struct bt_rx rx;

	memcpy(exact, p, len);
	take(n,
	     bt_ip_input(n->ip, &(struct berth_input){.packet = exact, .len = len, .i = i}, n->now,
			 &rx, &e),
	     &rx, &e);
	free(exact);
}

static void one(struct net *n)
{
	uint8_t p[1700];
	unsigned which = rnd(n_corpus);
	uint32_t len = corpus[which].len, w = rnd(4);

	if (rnd(16) == 0) {
		len = rnd(200);
		for (uint32_t k = 0; k < len; k++)
			p[k] = (uint8_t)rnd(256);
	} else {
		memcpy(p, corpus[which].data, len);
		len = mutate(p, len, sizeof(p));
		if (rnd(4) != 0)
			mend(p, len);
	}
	if (w >= 2 && len >= 14) /* the bare link */
		hostile(n, wires[w], p + 14, len - 14);
	else
		hostile(n, wires[w], p, len);
}

int main(void)
{
	const char *s = getenv("BERTH_SEED"), *o = getenv("BERTH_OPS");
	uint64_t first = s != NULL ? strtoull(s, NULL, 10) : 1, last = s != NULL ? first : 8;
	unsigned ops = o != NULL ? (unsigned)strtoul(o, NULL, 10) : 40000;

	for (seed = first; seed <= last; seed++) {
		struct net n;

		rng = seed;
		n_corpus = 0;
		net_init(&n);
		topology(&n);
		gather(&n);
		MUST(n_corpus > 30);
		for (op = 0; op < ops; op++) {
			one(&n);
			if (rnd(8) == 0) {
				carry(&n);
				forget_logs(&n);
			}
			if (rnd(64) == 0) {
				advance(&n, rnd(2000) * MS);
				MUST(bt_wheel_deadline(n.wheel) > n.now);
				forget_logs(&n);
			}
			MUST(bt_ip_bytes(n.ip) < 40u << 20);
		}
		for (unsigned k = 0; k < 100;
		     k++) { /* all that peers made us keep goes by itself */
			advance(&n, 30 * SEC);
			forget_logs(&n);
		}
		MUST(bt_wheel_deadline(n.wheel) == UINT64_MAX);
		net_done(&n);
	}
	MUST(packets > 1000 && errors > 100 && learned > 10);
	printf("%u frames with each of %llu seeds: %u for a transport, %u errors believed\n", ops,
	       (unsigned long long)(last - first + 1), packets, errors);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of lib/ip share: an engine's IP with wires between its interfaces, a log of what
 * was carried, and a clock that moves only when told. */
#ifndef BERTH_TESTS_IP_HELP_H
#define BERTH_TESTS_IP_HELP_H

#include "../../lib/base/bytes.h"
#include "../../lib/base/checksum.h"
#include "../../lib/ip/ip.h"
#include "../../lib/wire/ether.h"
#include "../../lib/wire/icmp.h"
#include "../../lib/wire/ipv4.h"
#include "../../lib/wire/ipv6.h"
#include "../../lib/wire/nd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS  1000000ull
#define SEC 1000000000ull

struct frame {
	berth_if i;
	uint32_t len;
	uint16_t checksum;  /* berth_output.checksum */
	uint8_t data[2048]; /* its first bytes; tests of larger ones look at `len` */
	uint8_t *all;
};

struct got { /* what came for a transport */
	enum bt_ip_got kind;
	struct bt_rx rx;
	struct bt_icmp_error error;
	uint8_t *data; /* copy of rx.data or error.quoted */
};

struct net {
	struct bt_wheel *wheel;
	struct bt_ip *ip;
	uint64_t now;
	berth_if peer[64]; /* a frame that leaves by i comes in by peer[i]; 0: it is only logged */
	struct frame *frames;
	uint32_t n_frames;
	struct got *gots;
	uint32_t n_gots;
};

static struct bt_addr v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return bt_addr_v4(a << 24 | b << 16 | c << 8 | d);
}

/* 2001:db8:net::host */
static struct bt_addr v6(unsigned network, unsigned host)
{
	return (struct bt_addr){{0x20, 1, 0xd, 0xb8, (uint8_t)(network >> 8), (uint8_t)network, 0,
				 0, 0, 0, 0, 0, 0, 0, (uint8_t)(host >> 8), (uint8_t)host}};
}

__attribute__((unused)) static void net_init(struct net *n)
{
	static const uint8_t key[16] = {7, 1, 2};

	memset(n, 0, sizeof(*n));
	n->now = 1000 * SEC;
	n->wheel = bt_wheel_new(n->now);
	n->ip = bt_ip_new(key, n->wheel, n->now);
	assert_non_null(n->ip);
}

__attribute__((unused)) static void forget_logs(struct net *n)
{
	for (uint32_t i = 0; i < n->n_frames; i++)
		free(n->frames[i].all);
	for (uint32_t i = 0; i < n->n_gots; i++)
		free(n->gots[i].data);
	n->n_frames = n->n_gots = 0;
}

/* Each test ends with empty pools. */
__attribute__((unused)) static void net_done(struct net *n)
{
	bt_ip_reap(n->ip);
	assert_int_equal(bt_ip_copies(n->ip), 0);
	bt_ip_free(n->ip);
	assert_int_equal(bt_wheel_deadline(n->wheel), UINT64_MAX);
	bt_wheel_free(n->wheel);
	forget_logs(n);
	free(n->frames);
	free(n->gots);
}

__attribute__((unused)) static berth_if add_if(struct net *n, uint16_t host, uint32_t flags,
					       uint32_t mtu, uint8_t mac)
{
	struct berth_if_config c = {.flags = flags, .mtu = mtu, .mac = {2, 0, 0, 0, 0, mac}};
	int i = bt_ip_if_add(n->ip, host, &c, n->now);

	assert_true(i > 0);
	return (berth_if)i;
}

static void add_addr(struct net *n, berth_if i, struct bt_addr a, unsigned bits)
{
	assert_int_equal(bt_ip_addr_add(n->ip, i, &a, bits, n->now), 0);
}

static struct got *note_got(struct net *n, enum bt_ip_got kind, const struct bt_rx *rx,
			    const struct bt_icmp_error *error)
{
	const uint8_t *data = kind == BT_IP_PACKET ? rx->data : error->quoted;
	uint32_t len = kind == BT_IP_PACKET ? rx->len : error->len;
	struct got *g;

	n->gots = realloc(n->gots, (n->n_gots + 1) * sizeof(*n->gots));
	g = &n->gots[n->n_gots++];
	g->kind = kind;
	if (kind == BT_IP_PACKET)
		g->rx = *rx;
	else
		g->error = *error;
	g->data = malloc(len + 1);
	memcpy(g->data, data, len);
	return g;
}

static void note_frame(struct net *n, const struct berth_output *out)
{
	struct frame *f;
	uint32_t at = 0;

	n->frames = realloc(n->frames, (n->n_frames + 1) * sizeof(*n->frames));
	f = &n->frames[n->n_frames++];
	f->i = out->i;
	f->len = out->len;
	f->checksum = out->checksum;
	f->all = malloc(out->len);
	for (unsigned k = 0; k < out->n_iov; k++) {
		memcpy(f->all + at, out->iov[k].iov_base, out->iov[k].iov_len);
		at += (uint32_t)out->iov[k].iov_len;
	}
	assert_int_equal(at, out->len);
	memcpy(f->data, f->all, at < sizeof(f->data) ? at : sizeof(f->data));
}

static enum bt_ip_got give(struct net *n, berth_if i, const void *packet, size_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1); /* exactly as long: reads beyond it show */
	struct bt_icmp_error error;
	struct bt_rx rx;
	enum bt_ip_got kind;

	memcpy(copy, packet, len);
	kind = bt_ip_input(n->ip, &(struct berth_input){.packet = copy, .len = len, .i = i}, n->now,
			   &rx, &error);
	if (kind != BT_IP_NOTHING)
		note_got(n, kind, &rx, &error);
	free(copy);
	return kind;
}

/* Carries everything until nothing moves; what leaves is in the log. */
static void carry(struct net *n)
{
	static struct berth_output out;
	uint32_t from = n->n_frames;
	bool moved = true;

	while (moved) {
		moved = false;
		while (bt_ip_pop(n->ip, &out)) {
			note_frame(n, &out);
			moved = true;
		}
		bt_ip_reap(n->ip);
		for (; from < n->n_frames; from++) {
			berth_if to = n->peer[n->frames[from].i];
			uint32_t len = n->frames[from].len;
			uint8_t *all = n->frames[from].all;

			if (to != 0)
				give(n, to, all, len);
		}
		while (bt_ip_waiting(n->ip)) {
			struct bt_icmp_error error;
			struct bt_rx rx;
			enum bt_ip_got kind = bt_ip_next(n->ip, n->now, &rx, &error);

			if (kind != BT_IP_NOTHING)
				note_got(n, kind, &rx, &error);
			moved = true;
		}
		bt_ip_reap(n->ip);
	}
}

__attribute__((unused)) static void advance(struct net *n, uint64_t ns)
{
	uint64_t end = n->now + ns;

	carry(n);
	while (bt_wheel_deadline(n->wheel) <= end) {
		struct bt_timer *t;

		n->now =
			bt_wheel_deadline(n->wheel) > n->now ? bt_wheel_deadline(n->wheel) : n->now;
		while ((t = bt_wheel_expired(n->wheel, n->now)) != NULL)
			bt_ip_expired(n->ip, t, n->now);
		carry(n);
	}
	n->now = end;
	assert_null(bt_wheel_expired(n->wheel, n->now));
}

struct send {
	uint8_t proto, tos, hops;
	bool no_fragment, no_checksum, no_loop;
	struct bt_path *path;
};

/* A packet of len bytes behind 8 of header, all of them counted up; what bt_ip_output says. */
__attribute__((unused)) static int send_packet(struct net *n, uint16_t host, struct bt_addr src,
					       struct bt_addr dst, uint32_t len,
					       const struct send *how)
{
	static struct berth_output out;
	static uint8_t payload[65536];
	struct bt_tx tx = {.host = host,
			   .proto = how != NULL && how->proto != 0 ? how->proto : 17,
			   .src = src,
			   .dst = dst,
			   .out = &out,
			   .header_at = BT_TX_HEADER_AT,
			   .header_len = 8,
			   .checksum_at = 6,
			   .payload_len = len};
	int r;

	if (how != NULL) {
		tx.tos = how->tos;
		tx.hops = how->hops;
		tx.no_fragment = how->no_fragment;
		tx.no_checksum = how->no_checksum;
		tx.no_loop = how->no_loop;
		tx.path = how->path;
	}
	for (uint32_t k = 0; k < len; k++)
		payload[k] = (uint8_t)(k * 7 + k / 251);
	for (unsigned k = 0; k < 8; k++)
		out.header[BT_TX_HEADER_AT + k] = (uint8_t)(0xa0 + k);
	out.n_iov = len != 0 ? 2 : 1;
	out.iov[1] = (struct iovec){payload, len};
	r = bt_ip_output(n->ip, &tx, n->now);
	if (r == BT_IP_READY)
		note_frame(n, &out);
	return r;
}

/* The same, and all that follows; frames that were ready at once are carried too. */
__attribute__((unused)) static int send_and_carry(struct net *n, uint16_t host, struct bt_addr src,
						  struct bt_addr dst, uint32_t len,
						  const struct send *how)
{
	int r = send_packet(n, host, src, dst, len, how);

	if (r == BT_IP_READY) {
		struct frame *f = &n->frames[n->n_frames - 1];
		berth_if to = n->peer[f->i];

		if (to != 0)
			give(n, to, f->all, f->len);
	}
	carry(n);
	return r;
}

__attribute__((unused)) static uint64_t drops(const struct net *n, uint16_t host,
					      enum berth_drop reason)
{
	return bt_ip_drops(n->ip, host, reason);
}

/* The ethertype of a logged frame, and its packet. */
__attribute__((unused)) static uint16_t type_of(const struct frame *f)
{
	return bt_get16(f->data + 12);
}

/* An IPv4 packet with len bytes behind the header, with a right checksum. Its length. */
__attribute__((unused)) static uint32_t make4(uint8_t *p, struct bt_addr src, struct bt_addr dst,
					      uint8_t proto, uint8_t ttl, const void *data,
					      uint32_t len)
{
	struct bt_ipv4 h = {.ttl = ttl,
			    .proto = proto,
			    .total_len = (uint16_t)(20 + len),
			    .src = src,
			    .dst = dst};

	bt_ipv4_write(p, &h);
	memcpy(p + 20, data, len);
	return 20 + len;
}

__attribute__((unused)) static uint32_t make6(uint8_t *p, struct bt_addr src, struct bt_addr dst,
					      uint8_t next, uint8_t hops, const void *data,
					      uint32_t len)
{
	struct bt_ipv6 h = {
		.hops = hops, .next = next, .payload_len = (uint16_t)len, .src = src, .dst = dst};

	bt_ipv6_write(p, &h);
	memcpy(p + 40, data, len);
	return 40 + len;
}

/* Puts the checksum of an ICMP message of len bytes; pseudo: ICMPv6's addresses, or NULL. */
__attribute__((unused)) static void sum_icmp(uint8_t *p, uint32_t len, const struct bt_addr *src,
					     const struct bt_addr *dst)
{
	bt_put16(p + 2, 0);
	bt_csum_put(p + 2,
		    bt_csum_add(src != NULL ? bt_csum_pseudo(src, dst, 58, len) : 0, p, len));
}

/* Two hosts with an Ethernet between them: 10.0.0.1 and .2, 2001:db8:1::1 and ::2. */
struct two {
	uint16_t a, b;
	berth_if ia, ib;
};
__attribute__((unused)) static struct two two_hosts(struct net *n)
{
	struct two t = {(uint16_t)bt_ip_host_add(n->ip), (uint16_t)bt_ip_host_add(n->ip), 0, 0};

	t.ia = add_if(n, t.a, BERTH_IF_ETHERNET, 1500, 1);
	t.ib = add_if(n, t.b, BERTH_IF_ETHERNET, 1500, 2);
	add_addr(n, t.ia, v4(10, 0, 0, 1), 24);
	add_addr(n, t.ib, v4(10, 0, 0, 2), 24);
	add_addr(n, t.ia, v6(1, 1), 64);
	add_addr(n, t.ib, v6(1, 2), 64);
	n->peer[t.ia] = t.ib;
	n->peer[t.ib] = t.ia;
	advance(n, 3 * SEC); /* reports of groups */
	forget_logs(n);
	return t;
}

#endif

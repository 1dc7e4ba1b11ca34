/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random acts of the two ends of many connections, compared with a model that only knows what was
 * done: who has sent a FIN, who was first, who closed, when. Each state follows from that by a rule
 * of a few lines, looked up anew for every connection after every act.
 */
#include "model.h"

#include "../../lib/sock/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_SLOTS 48
#define N_CONNS 400
#define N_OPS	1200
#define N_HOSTS 3
#define SEC	1000000000ull
#define WAIT	(60 * SEC)
#define NOBODY	2u

enum { CLIENT, CHILD };

struct end {
	uint32_t slot;
	bool fin, closed, told, got_reset;
	bool gone; /* its slot is free */
	uint64_t closed_at;
	struct bt_port_info i;
};

struct conn {
	bool joined;
	bool reset;
	bool lost;	/* the first end waited in vain for the other's FIN */
	unsigned first; /* who sent the first FIN; NOBODY yet */
	uint64_t both_at;
	struct end end[2];
};

static struct conn conns[N_CONNS];
static unsigned n_conns;
static uint32_t listeners[N_HOSTS];
static struct bt_net *net;
static uint64_t now;

/* ---- the model's rules ---- */

static bool both_fin(const struct conn *c)
{
	return c->end[CLIENT].fin && c->end[CHILD].fin;
}

static uint8_t state(const struct conn *c, unsigned who)
{
	if (!c->joined || c->reset)
		return BT_CLOSE;
	if (both_fin(c) && !c->lost)
		return who == c->first && now < c->both_at + WAIT ? BT_TIME_WAIT : BT_CLOSE;
	if (c->end[who].fin)
		return c->lost ? BT_CLOSE : BT_FIN_WAIT2;
	return c->end[!who].fin ? BT_CLOSE_WAIT : BT_ESTABLISHED;
}

/* A slot is free when nobody can name it: its own end is closed, TCP is through with it, and, since
 * an accepted end is named through its client, that one is closed too. */
static bool nameless(const struct conn *c, unsigned who)
{
	if (!c->end[who].closed || state(c, who) != BT_CLOSE)
		return false;
	return who == CHILD || !c->joined || c->end[CHILD].closed || c->end[CHILD].gone;
}

/* The ends still know each other: neither slot was freed or taken over. */
static bool linked(const struct conn *c)
{
	return c->joined && !c->end[CLIENT].gone && !c->end[CHILD].gone;
}

/* ---- acts ---- */

static void compare(void);

static struct bt_addr addr_of(uint16_t host)
{
	return bt_addr_v4(0x0a000001u + host);
}

static void shut(struct conn *c, unsigned who)
{
	struct end *e = &c->end[who];

	if (!c->joined || c->reset || e->fin || (c->end[!who].gone && !c->lost))
		return;
	e->fin = true;
	if (c->lost)
		return;
	if (c->first == NOBODY)
		c->first = who;
	if (both_fin(c))
		c->both_at = now;
}

static bool same_tuple(const struct bt_port_info *a, const struct bt_port_info *b)
{
	return a->host == b->host && a->lport == b->lport && a->rport == b->rport &&
	       bt_addr_eq(&a->laddr, &b->laddr) && bt_addr_eq(&a->raddr, &b->raddr);
}

/* Whoever was in TIME_WAIT with one of these 4-tuples may have been taken over. */
static void take_over(const struct conn *fresh)
{
	for (unsigned k = 0; k < n_conns; k++)
		for (unsigned who = 0; who < 2; who++) {
			struct conn *c = &conns[k];
			struct end *e = &c->end[who];

			if (c == fresh || e->gone || state(c, who) != BT_TIME_WAIT)
				continue;
			if (same_tuple(&e->i, &fresh->end[CLIENT].i)) {
				MUST(now - c->both_at >= SEC);
				e->gone = true;
			} else if (same_tuple(&e->i, &fresh->end[CHILD].i)) {
				e->gone = true;
			}
		}
}

static void do_connect(void)
{
	struct conn *c = &conns[n_conns];
	uint16_t from = (uint16_t)rnd(N_HOSTS), to = (uint16_t)rnd(N_HOSTS);
	struct bt_addr dst = rnd(4) == 0 ? bt_addr_v4(0) : addr_of(to);
	struct bt_reason why;
	uint32_t listener;
	int r;

	if (n_conns == N_CONNS)
		return;
	*c = (struct conn){.first = NOBODY};
	c->end[CHILD].gone = true;
	r = bt_net_sock(net, from, BT_TCP, BT_V4, 0, &c->end[CLIENT].slot);
	if (r < 0) {
		MUST(r == -ENFILE);
		return;
	}
	n_conns++;
	r = bt_net_connect(net, c->end[CLIENT].slot, dst, rnd(8) == 0 ? 81 : 80, now,
			   &c->end[CHILD].slot, &listener, &why);
	if (r < 0) {
		MUST(r == -ENFILE || r == -EADDRNOTAVAIL || r == -ECONNREFUSED);
		return;
	}
	MUST(listener == listeners[bt_addr_is_any(&dst) ? from : to]);
	c->joined = true;
	c->end[CHILD].gone = false;
	for (unsigned who = 0; who < 2; who++)
		MUST(bt_port_get(bt_net_ports(net), c->end[who].slot, &c->end[who].i));
	MUST(c->end[CLIENT].i.lport == c->end[CHILD].i.rport);
	MUST(bt_addr_eq(&c->end[CLIENT].i.laddr, &c->end[CHILD].i.raddr));
	take_over(c);
	if (rnd(16) == 0) {
		bt_net_connect_undo(net, c->end[CLIENT].slot);
		c->joined = false;
	}
}

static void do_act(void)
{
	struct conn *c = &conns[rnd(n_conns)];
	unsigned who = rnd(2), what = rnd(20);
	struct end *e = &c->end[who];

	/* The newest first, else most choices would find the dead. */
	for (unsigned tries = 0; e->gone && tries < 30; tries++) {
		c = &conns[n_conns - 1 - rnd(n_conns < 20 ? n_conns : 20)];
		e = &c->end[who];
	}
	if (e->gone)
		return;
	if (what < 9) {
		bt_net_shut(net, e->slot, now);
		shut(c, who);
	} else if (what < 18) {
		bt_net_closed(net, e->slot, now);
		if (!e->closed)
			shut(c, who);
		if (!e->closed)
			e->closed_at = now;
		e->closed = true;
	} else if (!e->closed && state(c, CLIENT) != BT_TIME_WAIT &&
		   state(c, CHILD) != BT_TIME_WAIT) {
		/* about to be closed, says net.h */
		bool was = linked(c) && state(c, who) != BT_CLOSE;

		bt_net_reset(net, e->slot);
		bt_net_closed(net, e->slot, now);
		if (was) {
			c->reset = true;
			/* After a FIN the end has been told. */
			c->end[!who].got_reset = !e->fin;
		} else {
			shut(c, who);
		}
		e->closed = true;
	}
}

static void compare(void)
{
	uint32_t used = N_HOSTS;
	uint8_t flags, seen[N_SLOTS] = {0};
	uint32_t slot;

	while ((slot = bt_net_changed(net, &flags)) != BT_NO_SLOT) {
		MUST(slot < N_SLOTS && !seen[slot]);
		seen[slot] = flags & BT_NETF_FREED ? 2 : 1;
	}
	for (unsigned k = 0; k < n_conns; k++) {
		struct conn *c = &conns[k];

		for (unsigned who = 0; who < 2; who++) {
			struct end *e = &c->end[who];

			if (!e->gone && (nameless(c, who) || (who == CHILD && !c->joined))) {
				MUST(seen[e->slot] == 2);
				e->gone = true;
			}
		}
		for (unsigned who = 0; who < 2; who++) {
			struct end *e = &c->end[who];
			struct bt_port_info i;

			if (e->gone)
				continue;
			used++;
			MUST(bt_port_get(bt_net_ports(net), e->slot, &i));
			MUST(i.state == state(c, who));
			MUST(bt_net_peer(net, e->slot) ==
			     (linked(c) ? c->end[!who].slot : BT_NO_SLOT));
			flags = bt_net_flags(net, e->slot);
			MUST(!(flags & BT_NETF_RESET) == !e->got_reset);
			MUST(!(flags & BT_NETF_ORPHAN) == !e->closed);
			MUST(!(flags & BT_NETF_CHILD) == (who == CLIENT));
			MUST(!(flags & BT_NETF_FREED));
		}
	}
	MUST(bt_port_count(bt_net_ports(net)) == used);
	if (op % 20 == 0)
		bt_port_check(bt_net_ports(net));
}

static void do_advance(void)
{
	/* A take-over needs the slot to have been told before; time only ever goes on. */
	now += rnd(4) == 0 ? rnd(70) * SEC : rnd(2000) * (SEC / 1000);
	for (unsigned k = 0; k < n_conns;
	     k++) { /* tcp_fin_timeout, which is as long as TIME_WAIT */
		struct conn *c = &conns[k];
		const struct end *first = c->first == NOBODY ? NULL : &c->end[c->first];

		if (first != NULL && c->joined && !c->reset && !both_fin(c) && first->closed &&
		    now >= first->closed_at + WAIT)
			c->lost = true;
	}
	bt_net_advance(net, now);
	MUST(bt_net_deadline(net) > now);
}

static void begin(uint64_t s)
{
	uint8_t key[16] = {0};
	struct bt_addr any = bt_addr_v4(0);
	struct bt_reason why;
	uint16_t host, owner;

	seed = rng = s;
	memcpy(key, &s, sizeof(s));
	now = SEC;
	n_conns = 0;
	net = bt_net_new(key, N_SLOTS);
	for (uint16_t h = 0; h < N_HOSTS; h++) {
		char name[8] = {'h', (char)('0' + h)};
		struct bt_net_addr a = {.addr = addr_of(h), .bits = 24, .family = BT_V4};

		MUST(bt_net_host_add(net, name, &host) == 0);
		MUST(bt_net_addr_add(net, h, &a, &owner) == 0);
		bt_port_host_conf(bt_net_ports(net), h)->range_lo = 40000;
		bt_port_host_conf(bt_net_ports(net), h)->range_hi = 40004;
		MUST(bt_net_sock(net, h, BT_TCP, BT_V4, 0, &listeners[h]) == 0);
		MUST(bt_net_bind(net, listeners[h], &any, 80, true, now, &why) == 0);
		MUST(bt_net_listen(net, listeners[h], now, &why) == 0);
	}
}

/* All is closed, in any order; after TIME_WAIT nothing is left. */
static void finish(void)
{
	unsigned at = rnd(n_conns + 1);

	for (unsigned k = 0; k < n_conns; k++) {
		struct conn *c = &conns[(k + at) % n_conns];

		for (unsigned n = 0, who = rnd(2); n < 2; n++, who = !who) {
			if (c->end[who].gone || c->end[who].closed)
				continue;
			bt_net_closed(net, c->end[who].slot, now);
			shut(c, who);
			c->end[who].closed = true;
			compare();
		}
	}
	now += 61 * SEC;
	bt_net_advance(net, now);
	compare();
	for (uint16_t h = 0; h < N_HOSTS; h++)
		bt_net_closed(net, listeners[h], now);
	for (uint8_t flags; bt_net_changed(net, &flags) != BT_NO_SLOT;)
		;
	bt_port_check(bt_net_ports(net));
	MUST(bt_port_count(bt_net_ports(net)) == 0);
	bt_net_free(net);
}

static void round_of(uint64_t s)
{
	begin(s);
	for (op = 0; op < N_OPS; op++) {
		uint32_t what = rnd(100);

		if (what < 22 || n_conns == 0)
			do_connect();
		else if (what < 92)
			do_act();
		else
			do_advance();
		compare();
	}
	finish();
}

int main(void)
{
	return rounds(30, round_of);
}

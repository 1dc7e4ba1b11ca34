/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on the port space, each compared with a model that has no index at all: it
 * looks at every socket every time. Where the port space may choose (a port, a slot), the model
 * checks the choice.
 */
#include "model.h"

#include "port_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define N_HOSTS 2
#define N_OPS	1500

static int64_t serial;

static struct bt_addr some_addr(bool wild)
{
	static const uint8_t six[2][16] = {{[15] = 1}, {0xfd, [15] = 7}};

	switch (rnd(wild ? 8 : 5)) {
	case 0:
		return bt_addr_v4(0x7f000001);
	case 1:
		return bt_addr_v4(0x7f000002);
	case 2:
		return bt_addr_v4(0x0a000001);
	case 3:
	case 4: {
		struct bt_addr a;

		memcpy(a.b, six[rnd(2)], 16);
		return a;
	}
	case 5:
		return (struct bt_addr){{0}};
	default:
		return bt_addr_v4(0);
	}
}

static struct bt_addr any_addr(uint8_t family)
{
	return family == BT_V4 ? bt_addr_v4(0) : (struct bt_addr){{0}};
}

static uint16_t some_port(void)
{
	return (uint16_t)(rnd(4) == 0 ? 0 : rnd(2) ? 1020 + rnd(16) : 1024 + rnd(2));
}

static int64_t place(const struct model *s)
{
	serial++;
	return s->i.family == BT_V6 && s->i.opts & BT_REUSEPORT ? -serial : serial;
}

static void taken_over(uint32_t slot)
{
	struct bt_port_info i;

	MUST(!bt_port_get(net, slot, &i));
	socks[slot].used = false;
}

static void do_new(uint32_t slot)
{
	struct model s = {.used = true};
	int r;

	s.i.host = (uint16_t)rnd(N_HOSTS);
	s.i.proto = rnd(3) ? BT_TCP : BT_UDP;
	s.i.family = rnd(2) ? BT_V4 : BT_V6;
	s.i.state = BT_CLOSE;
	s.i.uid = rnd(2);
	s.i.laddr = s.i.raddr = any_addr(s.i.family);
	r = bt_port_new_at(net, s.i.host, s.i.proto, (enum bt_family)s.i.family, s.i.uid, slot);
	MUST(r == (socks[slot].used ? -EEXIST : 0));
	if (r == 0)
		socks[slot] = s;
}

/* What bind, listen and sendto share; s has its new address and flags already. */
static bool port_given(struct model *s, uint16_t asked, const struct bt_port_info *got, int r)
{
	if (r < 0) {
		MUST(asked == 0 ? best_bind_free(s) == 0 : conflicts(s, asked, NAMED));
		return false;
	}
	if (asked == 0)
		MUST(bind_free(s, got->lport) == best_bind_free(s) && best_bind_free(s) > 0);
	else
		MUST(got->lport == asked && !conflicts(s, asked, NAMED));
	s->i.lport = got->lport;
	s->held = true;
	s->place = place(s);
	remember(s);
	return true;
}

static void do_bind(uint32_t slot)
{
	struct model *s = &socks[slot], was = *s;
	struct bt_addr a = some_addr(true);
	struct bt_port_info got;
	struct bt_reason why = {BT_WHY_NONE, 0, 0};
	uint16_t port = some_port();
	bool root = rnd(2);
	int r;

	if (s->i.family == BT_V4 && !bt_addr_is_v4(&a))
		return;
	r = bt_port_bind(net, slot, &a, port, root, now, &why);
	MUST(r == 0 || why.why != BT_WHY_NONE);
	bt_port_get(net, slot, &got);
	if (port != 0 && port < 1024 && !root) {
		MUST(r == -EACCES && why.why == BT_WHY_PRIVILEGED);
		return;
	}
	if (s->i.lport != 0 || s->i.state != BT_CLOSE || (v6only(s) && bt_addr_is_v4(&a))) {
		MUST(r == -EINVAL);
		return;
	}
	s->i.laddr = a;
	s->v6_addr |= !bt_addr_is_v4(&a) && !bt_addr_is_any(&a);
	if (port == 0 && s->i.opts & BT_BIND_NO_PORT)
		MUST(r == 0);
	else if (!port_given(s, port, &got, r)) {
		MUST(r == -EADDRINUSE);
		*s = was;
		s->i.laddr = any_addr(s->i.family);
		return;
	}
	s->addr_lock |= !bt_addr_is_any(&a) || (s->i.family == BT_V6 && bt_addr_is_v4(&a));
	s->port_lock = port != 0;
}

static void do_listen(uint32_t slot)
{
	struct model *s = &socks[slot];
	struct bt_port_info got;
	struct bt_reason why;
	int r = bt_port_listen(net, slot, now, &why);

	bt_port_get(net, slot, &got);
	if (s->i.proto != BT_TCP || (s->i.state != BT_CLOSE && s->i.state != BT_LISTEN)) {
		MUST(r == -EINVAL);
		return;
	}
	if (s->i.state == BT_LISTEN) {
		MUST(r == 0);
		return;
	}
	MUST(r == 0 || r == -EADDRINUSE);
	if (s->i.lport != 0)
		MUST((r == 0) == !conflicts(s, s->i.lport, NAMED));
	else if (!port_given(s, 0, &got, r))
		return;
	if (r == 0) {
		s->i.state = BT_LISTEN;
		s->place = place(s);
		remember(s);
	}
}

static void let_go(struct model *s, bool keep, struct bt_addr laddr)
{
	s->tuple = false;
	s->i.state = BT_CLOSE;
	s->i.raddr = any_addr(s->i.family);
	s->i.rport = 0;
	if (s->i.proto == BT_UDP)
		s->i.dev = 0;
	s->i.laddr = s->addr_lock ? laddr : any_addr(s->i.family);
	if (!keep) {
		s->i.lport = 0;
		s->held = false;
	}
}

static void model_disconnect(struct model *s)
{
	let_go(s, s->port_lock || (s->i.proto == BT_TCP && s->i.state == BT_CLOSE), s->i.laddr);
}

static void do_connect(uint32_t slot)
{
	struct model *s = &socks[slot];
	bool fixed = s->addr_lock && !bt_addr_is_any(&s->i.laddr);
	struct bt_addr src = fixed ? s->i.laddr : some_addr(false), dst = some_addr(false);
	uint16_t rport = (uint16_t)(rnd(8) ? 80 + rnd(2) : 1020 + rnd(16));
	bool was_bound = s->i.lport != 0;
	struct bt_port_info got;
	struct bt_reason why;
	uint32_t taken;
	int r;

	if (bt_addr_is_v4(&src) != bt_addr_is_v4(&dst) ||
	    (s->i.family == BT_V4 && !bt_addr_is_v4(&src)))
		return;
	r = bt_port_connect(net, slot, &src, &dst, rport, now, &taken, &why);
	bt_port_get(net, slot, &got);
	if (s->i.proto == BT_TCP && s->i.state != BT_CLOSE) {
		MUST(r == -EISCONN);
		return;
	}
	if (s->i.proto == BT_UDP) {
		if (!was_bound && !port_given(s, 0, &got, r)) {
			MUST(r == -EAGAIN);
			return;
		}
		MUST(r == 0 && taken == BT_NO_SLOT);
	} else if (r < 0) {
		const struct bt_port_conf *c = bt_port_host_conf(net, s->i.host);
		uint32_t lo = was_bound ? s->i.lport : c->range_lo;
		uint32_t hi = was_bound ? s->i.lport : c->range_hi;

		MUST(r == -EADDRNOTAVAIL && taken == BT_NO_SLOT);
		for (uint32_t p = lo; p <= hi; p++)
			MUST(connect_free(s, &src, (uint16_t)p, &dst, rport) == 0);
		let_go(s, s->port_lock, src);
		return;
	} else {
		int can = connect_free(s, &src, got.lport, &dst, rport);

		MUST(can > 0 && (!was_bound || got.lport == s->i.lport));
		MUST((can == 1) == (taken != BT_NO_SLOT));
		MUST(taken ==
		     find_tuple(s->i.host, BT_TCP, &src, got.lport, &dst, rport, s->i.dev));
		if (taken != BT_NO_SLOT)
			taken_over(taken);
	}
	s->i.lport = got.lport;
	s->i.laddr = src;
	s->i.raddr = dst;
	s->i.rport = rport;
	s->i.state = s->i.proto == BT_TCP ? BT_SYN_SENT : BT_ESTABLISHED;
	s->tuple = true;
	s->tuple_place = ++serial;
}

static void do_accept(uint32_t slot)
{
	struct bt_addr laddr = some_addr(false), raddr = some_addr(false);
	uint16_t rport = (uint16_t)(5000 + rnd(3));
	struct model *l = &socks[slot];
	struct bt_reason why;
	uint32_t child, taken, other;
	int r;

	if (score(l, &laddr, l->i.dev) < 0 || bt_addr_is_v4(&laddr) != bt_addr_is_v4(&raddr))
		return;
	other = find_tuple(l->i.host, BT_TCP, &laddr, l->i.lport, &raddr, rport, l->i.dev);
	r = bt_port_accept(net, slot, &laddr, &raddr, rport, &child, &taken, &why);
	if (l->i.state != BT_LISTEN) {
		MUST(r == -EINVAL);
		return;
	}
	if (other != BT_NO_SLOT && socks[other].i.state != BT_TIME_WAIT) {
		MUST(r == -EADDRNOTAVAIL && why.slot == other && why.why == BT_WHY_TUPLE_IN_USE);
		return;
	}
	if (r == -ENFILE) {
		for (uint32_t k = 0; k < N_MODEL; k++)
			MUST(socks[k].used);
		return;
	}
	MUST(r == 0 && taken == other && child < N_MODEL && !socks[child].used);
	if (taken != BT_NO_SLOT)
		taken_over(taken);
	socks[child] = *l;
	socks[child].i.laddr = laddr;
	socks[child].i.raddr = raddr;
	socks[child].i.rport = rport;
	socks[child].i.state = BT_SYN_RECV;
	socks[child].port_lock = false;
	socks[child].tuple = true;
	socks[child].tuple_place = ++serial;
}

static void do_time_wait(uint32_t slot)
{
	struct model *s = &socks[slot];

	if (s->i.state == BT_TIME_WAIT)
		bt_port_time_wait_again(net, slot, now);
	else
		bt_port_time_wait(net, slot, now);
	if (s->i.proto != BT_TCP || !s->tuple)
		return;
	s->i.state = BT_TIME_WAIT;
	s->since = now;
	s->until = now + bt_port_host_conf(net, s->i.host)->time_wait_ns;
}

static void model_done(struct model *s)
{
	if (s->i.state == BT_SYN_SENT) {
		s->i.raddr = any_addr(s->i.family);
		s->i.rport = 0;
	}
	s->tuple = false;
	s->i.state = BT_CLOSE;
	if (!s->port_lock) {
		s->i.lport = 0;
		s->held = false;
	}
}

static void do_done(uint32_t slot)
{
	struct model *s = &socks[slot];

	bt_port_done(net, slot);
	if (s->i.proto == BT_TCP && s->tuple)
		model_done(s);
}

static void do_part(uint32_t slot)
{
	struct model *s = &socks[slot];
	uint32_t waits;
	int r = bt_port_part(net, slot, &waits);

	if (s->i.state != BT_TIME_WAIT) {
		MUST(r == -EINVAL);
		return;
	}
	if (r == -ENFILE) {
		for (uint32_t k = 0; k < N_MODEL; k++)
			MUST(socks[k].used);
		return;
	}
	MUST(r == 0 && waits < N_MODEL && !socks[waits].used);
	socks[waits] = *s;
	socks[waits].i.range_lo = socks[waits].i.range_hi = 0;
	socks[waits].tuple_place = ++serial;
	model_done(s);
}

static void do_inherit(uint32_t from)
{
	uint32_t to = rnd(N_MODEL);
	struct model *a = &socks[from], *b = &socks[to];
	int r = bt_port_inherit(net, from, to);

	if (!b->used) {
		MUST(r == -EBADF);
		return;
	}
	if (to == from || a->i.state != BT_CLOSE || b->i.state != BT_CLOSE || b->i.lport != 0 ||
	    a->i.host != b->i.host || a->i.proto != b->i.proto || a->i.family != b->i.family) {
		MUST(r == -EINVAL);
		return;
	}
	MUST(r == 0);
	b->i.opts = a->i.opts;
	b->i.dev = a->i.dev;
	b->i.laddr = a->i.laddr;
	b->i.lport = a->i.lport;
	b->i.range_lo = a->i.range_lo;
	b->i.range_hi = a->i.range_hi;
	b->held = a->held;
	b->port_lock |= a->port_lock;
	b->addr_lock |= a->addr_lock;
	b->v6_addr |= a->v6_addr;
	b->place = a->place;
	a->i.lport = 0;
	a->i.laddr = any_addr(a->i.family);
	a->held = a->port_lock = a->addr_lock = a->v6_addr = false;
}

static void do_advance(void)
{
	uint64_t first = UINT64_MAX;
	uint32_t slot;

	now += rnd(3000) * (uint64_t)1000000;
	while ((slot = bt_port_expired(net, now)) != BT_NO_SLOT) {
		MUST(socks[slot].used && socks[slot].i.state == BT_TIME_WAIT &&
		     socks[slot].until <= now);
		bt_port_free(net, slot);
		socks[slot].used = false;
	}
	for (struct model *s = socks; s < socks + N_MODEL; s++)
		if (s->used && s->i.state == BT_TIME_WAIT && s->until < first)
			first = s->until;
	MUST(first > now && bt_port_deadline(net) == first);
}

static void do_lookup(void)
{
	struct bt_addr laddr = some_addr(false), raddr = some_addr(false);
	uint32_t k = rnd(N_MODEL);
	uint16_t host = (uint16_t)rnd(N_HOSTS), lport = some_port(), rport = 80;
	enum bt_proto proto = rnd(2) ? BT_TCP : BT_UDP;
	uint8_t dev = (uint8_t)(1 + rnd(3));
	uint32_t want, got;

	if (rnd(4) && socks[k].used) {
		if (rnd(2)) {
			laddr = socks[k].i.laddr;
			raddr = socks[k].i.raddr;
		}
		host = socks[k].i.host;
		lport = socks[k].i.lport;
		rport = socks[k].i.rport;
		proto = (enum bt_proto)socks[k].i.proto;
	}
	want = find_tuple(host, (uint8_t)proto, &laddr, lport, &raddr, rport, dev);
	if (want == BT_NO_SLOT)
		want = find_listener(host, (uint8_t)proto, &laddr, lport, dev);
	got = bt_port_lookup(net, host, proto, &laddr, lport, &raddr, rport, dev);
	if (want == BT_NO_SLOT || socks[want].tuple || !(socks[want].i.opts & BT_REUSEPORT)) {
		MUST(got == want);
		return;
	}
	MUST(got < N_MODEL && receives(&socks[got], host, (uint8_t)proto, lport));
	MUST(socks[got].i.opts & BT_REUSEPORT && socks[got].i.uid == socks[want].i.uid);
	MUST(socks[got].i.family == socks[want].i.family && socks[got].i.dev == socks[want].i.dev);
	MUST(bt_addr_eq(&socks[got].i.laddr, &socks[want].i.laddr));
	MUST(v6only(&socks[got]) == v6only(&socks[want]));
	MUST(got == bt_port_lookup(net, host, proto, &laddr, lport, &raddr, rport, dev));
}

static void do_conf(void)
{
	struct bt_port_conf *c = bt_port_host_conf(net, (uint16_t)rnd(N_HOSTS));
	uint16_t p = (uint16_t)(1020 + rnd(16));

	c->tw_reuse = (uint8_t)rnd(3);
	c->autobind_reuse = rnd(3) == 0;
	c->time_wait_ns = (1 + rnd(20)) * (uint64_t)1000000000;
	c->range_lo = (uint16_t)(1020 + rnd(8));
	c->range_hi = (uint16_t)(c->range_lo + rnd(8) - (rnd(20) == 0));
	c->reserved[p / 64] ^= (uint64_t)1 << (p % 64);
	c->unprivileged_start = 1024;
}

static void do_op(void)
{
	uint32_t slot = rnd(N_MODEL), what = rnd(100);
	struct model *s = &socks[slot];
	static const uint8_t states[] = {BT_ESTABLISHED, BT_FIN_WAIT1, BT_LAST_ACK, BT_CLOSE};

	if (what < 3)
		do_conf();
	else if (what < 6)
		do_advance();
	else if (what < 20)
		do_lookup();
	else if (!s->used || what < 25)
		do_new(slot);
	else if (what < 50)
		do_bind(slot);
	else if (what < 57)
		do_listen(slot);
	else if (what < 72)
		do_connect(slot);
	else if (what < 80)
		do_accept(slot);
	else if (what < 82) {
		uint8_t dev = (uint8_t)(rnd(2) ? rnd(4) : 0);

		bt_port_set_dev(net, slot, dev);
		if (s->i.state != BT_TIME_WAIT)
			s->i.dev = dev;
	} else if (what < 84) {
		uint16_t lo = (uint16_t)(rnd(3) ? 1018 + rnd(18) : 0);
		uint16_t hi = (uint16_t)(rnd(3) ? 1018 + rnd(18) : 0);
		bool bad = lo != 0 && hi != 0 && lo > hi;

		MUST(bt_port_set_range(net, slot, lo, hi) == (bad ? -EINVAL : 0));
		if (!bad) {
			s->i.range_lo = lo;
			s->i.range_hi = hi;
		}
	} else if (what < 88) {
		s->i.opts = (uint8_t)(rnd(2) ? 1 + rnd(3) : rnd(16));
		bt_port_set_opts(net, slot, s->i.opts);
	} else if (what < 91) {
		enum bt_state state = (enum bt_state)states[rnd(4)];

		bt_port_set_state(net, slot, state);
		if (s->i.proto == BT_TCP && s->tuple && s->i.state != BT_TIME_WAIT) {
			if (state == BT_CLOSE)
				model_disconnect(s);
			else
				s->i.state = (uint8_t)state;
		}
	} else if (what < 93)
		do_time_wait(slot);
	else if (what < 94)
		do_done(slot);
	else if (what < 95)
		do_part(slot);
	else if (what < 96)
		do_inherit(slot);
	else if (what < 97) {
		bt_port_disconnect(net, slot);
		model_disconnect(s);
	} else {
		bt_port_free(net, slot);
		s->used = false;
	}
}

static void compare(void)
{
	uint32_t used = 0;

	for (uint32_t k = 0; k < N_MODEL; k++) {
		const struct bt_port_info *w = &socks[k].i;
		struct bt_port_info i;

		MUST(bt_port_get(net, k, &i) == socks[k].used);
		if (!socks[k].used)
			continue;
		used++;
		MUST(i.host == w->host && i.proto == w->proto && i.family == w->family);
		MUST(bt_port_is_self(net, k) ==
		     (socks[k].tuple && w->lport == w->rport && bt_addr_eq(&w->laddr, &w->raddr)));
		MUST(i.state == w->state && i.opts == w->opts && i.uid == w->uid);
		MUST(i.lport == w->lport && i.rport == w->rport && i.dev == w->dev);
		MUST(i.range_lo == w->range_lo && i.range_hi == w->range_hi);
		MUST(bt_addr_eq(&i.laddr, &w->laddr) && bt_addr_eq(&i.raddr, &w->raddr));
	}
	MUST(bt_port_count(net) == used);
	for (struct history *h = remembered; h < remembered + N_MODEL; h++)
		h->on = h->on && port_used(&h->like, h->port, true);
	if (op % 50 == 0)
		bt_port_check(net);
}

static void round_of(uint64_t s)
{
	uint8_t key[16] = {0};

	seed = rng = s;
	memcpy(key, &s, sizeof(s));
	memset(socks, 0, sizeof(socks));
	memset(remembered, 0, sizeof(remembered));
	now = 1000000000;
	serial = 0;
	net = bt_port_net_new(key, N_MODEL);
	for (uint16_t h = 0; h < N_HOSTS; h++) {
		bt_port_host_add(net, h);
		bt_port_host_conf(net, h)->range_lo = 1020;
		bt_port_host_conf(net, h)->range_hi = 1030;
	}
	for (op = 0; op < N_OPS; op++) {
		do_op();
		compare();
	}
	bt_port_net_free(net);
}

int main(void)
{
	return rounds(60, round_of);
}

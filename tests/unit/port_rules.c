/* SPDX-License-Identifier: Apache-2.0 */
#include "port_rules.h"

struct model socks[N_MODEL];
struct history remembered[N_MODEL];
struct bt_port_net *net;
uint64_t now;

bool v6only(const struct model *s)
{
	return s->i.family == BT_V6 && (s->i.opts & BT_V6ONLY || s->v6_addr);
}

static uint32_t v4(const struct bt_addr *a)
{
	return bt_addr_is_any(a) ? 0 : bt_addr_is_v4(a) ? bt_addr_to_v4(a) : 0x7f000006;
}

static bool overlap(const struct model *a, const struct model *b, bool b_wild)
{
	const struct bt_addr *x = &a->i.laddr, *y = &b->i.laddr;
	bool x4 = bt_addr_is_v4(x), y4 = bt_addr_is_v4(y);

	if (a->i.family == BT_V4 || (x4 && y4))
		return !v6only(b) && (v4(x) == v4(y) || v4(x) == 0 || (b_wild && v4(y) == 0));
	if (!y4 && bt_addr_is_any(y) && b_wild)
		return !(v6only(b) && x4);
	if (!x4 && bt_addr_is_any(x))
		return !(v6only(a) && y4);
	return bt_addr_eq(x, y);
}

static bool same_space(const struct model *a, const struct model *b)
{
	return a->used && b->used && a->i.host == b->i.host && a->i.proto == b->i.proto;
}

static bool pair_conflicts(const struct model *a, const struct model *b, enum ask ask)
{
	bool tcp = a->i.proto == BT_TCP;

	bool group = a->i.opts & b->i.opts & BT_REUSEPORT &&
		     (a->i.uid == b->i.uid || (tcp && b->i.state == BT_TIME_WAIT));

	if (tcp && ask == CHOSEN)
		return true;
	if (a->i.opts & b->i.opts & BT_REUSEADDR && b->i.state != BT_LISTEN)
		return tcp && ask == RELAXED && group;
	return (tcp && ask == RELAXED) || !group;
}

struct history *history(const struct model *a, uint16_t port)
{
	for (struct history *h = remembered; h < remembered + N_MODEL; h++)
		if (h->on && a->i.proto == BT_TCP && h->host == a->i.host && h->port == port)
			return h;
	return NULL;
}

static bool like_remembered(const struct model *a, uint16_t port)
{
	const struct history *h = history(a, port);

	return h != NULL && a->i.opts & BT_REUSEPORT && h->like.i.uid == a->i.uid &&
	       overlap(&h->like, a, false);
}

void remember(const struct model *a)
{
	struct history *h = history(a, a->i.lport);
	bool like = like_remembered(a, a->i.lport);

	if (h != NULL && !(a->i.opts & BT_REUSEPORT))
		h->on = false;
	if (like || a->i.proto != BT_TCP || !(a->i.opts & BT_REUSEPORT))
		return;
	for (struct history *f = remembered; h == NULL; f++)
		if (!f->on)
			h = f;
	*h = (struct history){true, a->i.host, a->i.lport, *a};
}

static bool same_dev(const struct model *a, const struct model *b)
{
	return a->i.dev == 0 || b->i.dev == 0 || a->i.dev == b->i.dev;
}

bool conflicts(const struct model *a, uint16_t port, enum ask ask)
{
	const struct model *first = NULL;

	if (ask == NAMED && like_remembered(a, port))
		return false;

	for (const struct model *b = socks; b < socks + N_MODEL; b++) {
		if (b == a || !same_space(a, b) || b->i.lport != port || !overlap(a, b, true))
			continue;
		if (a->i.proto == BT_TCP || ask != NAMED) {
			if (same_dev(a, b) && pair_conflicts(a, b, ask))
				return true;
		} else if (same_dev(a, b) && !(a->i.opts & b->i.opts & BT_REUSEADDR) &&
			   (first == NULL || b->place > first->place)) {
			first = b;
		}
	}
	return first != NULL && pair_conflicts(a, first, NAMED);
}

bool reserved(const struct bt_port_conf *c, uint16_t port)
{
	return c->reserved[port / 64] >> (port % 64) & 1;
}

bool port_used(const struct model *s, uint16_t port, bool held_only)
{
	for (const struct model *b = socks; b < socks + N_MODEL; b++)
		if (same_space(s, b) && b->i.lport == port && (b->held || !held_only))
			return true;
	return false;
}

/* True if a port may be chosen for the socket at all. */
static bool in_range(const struct model *s, uint16_t port, bool connects)
{
	const struct bt_port_conf *c = bt_port_host_conf(net, s->i.host);
	uint16_t lo = c->range_lo, hi = c->range_hi;
	bool own = s->i.range_lo != 0 || s->i.range_hi != 0;

	if (s->i.range_lo >= c->range_lo && s->i.range_lo <= c->range_hi)
		lo = s->i.range_lo;
	if (s->i.range_hi >= c->range_lo && s->i.range_hi <= c->range_hi)
		hi = s->i.range_hi;
	if (s->i.proto == BT_TCP && hi - lo == 2 && !(own && connects))
		hi--;
	else if (s->i.proto == BT_TCP && hi - lo == 4 && !connects && s->i.opts & BT_REUSEADDR)
		hi--;
	return port >= lo && port <= hi && port != 0 && !reserved(c, port);
}

int bind_free(const struct model *s, uint16_t port)
{
	const struct bt_port_conf *c = bt_port_host_conf(net, s->i.host);

	if (!in_range(s, port, false))
		return 0;
	if (!port_used(s, port, false))
		return 3;
	if (!conflicts(s, port, CHOSEN))
		return 2;
	return s->i.proto == BT_TCP && c->autobind_reuse && !conflicts(s, port, RELAXED);
}

int best_bind_free(const struct model *s)
{
	const struct bt_port_conf *c = bt_port_host_conf(net, s->i.host);
	int best = 0;

	for (uint32_t p = c->range_lo; p <= c->range_hi && best < 3; p++)
		if (bind_free(s, (uint16_t)p) > best)
			best = bind_free(s, (uint16_t)p);
	return best;
}

uint32_t find_tuple(uint16_t host, uint8_t proto, const struct bt_addr *laddr, uint16_t lport,
		    const struct bt_addr *raddr, uint16_t rport, uint8_t dev)
{
	uint32_t found = BT_NO_SLOT;

	for (uint32_t k = 0; k < N_MODEL; k++) {
		const struct bt_port_info *i = &socks[k].i;

		if (socks[k].used && socks[k].tuple && i->host == host && i->proto == proto &&
		    i->lport == lport && i->rport == rport && bt_addr_eq(&i->laddr, laddr) &&
		    bt_addr_eq(&i->raddr, raddr) && (i->dev == 0 || i->dev == dev) &&
		    (found == BT_NO_SLOT || socks[k].tuple_place > socks[found].tuple_place))
			found = k;
	}
	return found;
}

static bool may_take(uint32_t slot)
{
	const struct model *s = &socks[slot];
	const struct bt_port_conf *c = bt_port_host_conf(net, s->i.host);
	bool loop = bt_addr_is_loopback(&s->i.laddr) || bt_addr_is_loopback(&s->i.raddr) ||
		    s->i.dev == 1;

	return s->i.state == BT_TIME_WAIT && (c->tw_reuse == 1 || (c->tw_reuse == 2 && loop)) &&
	       now - s->since >= c->tw_reuse_delay_ns;
}

int connect_free(const struct model *s, const struct bt_addr *src, uint16_t port,
		 const struct bt_addr *raddr, uint16_t rport)
{
	uint32_t other = find_tuple(s->i.host, BT_TCP, src, port, raddr, rport, s->i.dev);

	if (s->i.lport == 0 && (!in_range(s, port, true) || port_used(s, port, true)))
		return 0;
	if (other != BT_NO_SLOT && s->i.lport != 0) /* who bound the port may have it at once */
		return socks[other].i.state == BT_TIME_WAIT;
	return other == BT_NO_SLOT ? 2 : may_take(other);
}

int score(const struct model *s, const struct bt_addr *laddr, uint8_t dev)
{
	bool is4 = bt_addr_is_v4(laddr), any = bt_addr_is_any(&s->i.laddr);
	int plus = is4 && s->i.family == BT_V4;

	plus += s->i.dev == 0 ? 0 : s->i.proto == BT_UDP ? 4 : 1;
	if (s->i.dev != 0 && s->i.dev != dev)
		return -1;
	if ((!is4 && s->i.family == BT_V4) || (is4 && v6only(s)))
		return -1;
	if (any && !is4 && bt_addr_is_v4(&s->i.laddr))
		return -1;
	if (!any)
		return bt_addr_eq(&s->i.laddr, laddr) ? 100 + plus : -1;
	return plus;
}

bool receives(const struct model *s, uint16_t host, uint8_t proto, uint16_t lport)
{
	return s->used && lport != 0 && s->i.host == host && s->i.proto == proto &&
	       s->i.lport == lport &&
	       (proto == BT_TCP ? s->i.state == BT_LISTEN : s->i.state == BT_CLOSE);
}

uint32_t find_listener(uint16_t host, uint8_t proto, const struct bt_addr *laddr, uint16_t lport,
		       uint8_t dev)
{
	uint32_t best = BT_NO_SLOT;

	for (uint32_t k = 0; k < N_MODEL; k++) {
		int more =
			receives(&socks[k], host, proto, lport) ? score(&socks[k], laddr, dev) : -1;

		if (more >= 0 && best != BT_NO_SLOT)
			more -= score(&socks[best], laddr, dev);
		if (more > 0 ||
		    (more == 0 && (best == BT_NO_SLOT || socks[k].place > socks[best].place)))
			best = k;
	}
	return best;
}

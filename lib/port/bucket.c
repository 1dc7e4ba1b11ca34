/* SPDX-License-Identifier: Apache-2.0 */
/* Bind buckets: classes of sockets on one port, the conflicts between them, bind(2) and listen(2).
 */
#include "internal.h"

#include <errno.h>

/* ---- classes ---- */

static enum class_kind kind_of(const struct psock *s)
{
	if (s->state == BT_LISTEN)
		return KIND_LISTEN;
	if (s->state == BT_TIME_WAIT)
		return KIND_TIME_WAIT;
	return s->proto == BT_UDP && s->state == BT_ESTABLISHED ? KIND_CONNECTED : KIND_PLAIN;
}

struct class_key btp_class_key(const struct psock *s)
{
	uint8_t opts = s->opts & (BT_REUSEADDR | BT_REUSEPORT | BT_V6ONLY);

	if (s->flags & SF_V6_ADDR)
		opts |= BT_V6ONLY;
	if (s->family == BT_V4)
		opts &= (uint8_t)~BT_V6ONLY;
	if (s->flags & SF_HELD)
		opts |= KEY_HELD;
	return (struct class_key){s->laddr, s->uid, s->family, opts, (uint8_t)kind_of(s), s->dev};
}

const struct class *btp_first_class(const struct bt_port_net *net, const struct space *sp,
				    uint16_t port, struct class *sole)
{
	uint32_t i = sp->first[port];

	if (i & SOLE) {
		*sole = (struct class){0, 1, i & ~SOLE, btp_class_key(sock_at(net, i & ~SOLE))};
		return sole;
	}
	return i == 0 ? NULL : class_at(net, i);
}

/* The link to the class with that key, or the 0 that ends the bucket. */
static uint32_t *find_class(const struct bt_port_net *net, uint32_t *first,
			    const struct class_key *key)
{
	uint32_t *link = first;

	while (*link != 0 && memcmp(&class_at(net, *link)->key, key, sizeof(*key)) != 0)
		link = &class_at(net, *link)->next;
	return link;
}

/* The bucket's history, or NULL. */
static struct class *history_of(const struct bt_port_net *net, uint32_t first)
{
	struct class *c = first == 0 || first & SOLE ? NULL : class_at(net, first);

	return c != NULL && c->key.kind == KIND_HISTORY ? c : NULL;
}

/* Where aux is a place, members are in falling order of it; else the newest is the first. */
static void enter_class(struct bt_port_net *net, uint32_t *first, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	struct class_key key = btp_class_key(s);
	bool sorted = s->proto == BT_UDP || key.kind == KIND_LISTEN;
	uint32_t i = *find_class(net, first, &key), prev = BT_NO_SLOT, next;
	struct class *c;

	if (i == 0) {
		struct class *history = history_of(net, *first);
		uint32_t *link = history == NULL ? first : &history->next;

		i = btp_pool_take(&net->classes);
		*class_at(net, i) = (struct class){*link, 0, BT_NO_SLOT, key};
		*link = i;
	}
	c = class_at(net, i);
	next = c->head;
	while (sorted && next != BT_NO_SLOT && sock_at(net, next)->aux > s->aux) {
		prev = next;
		next = sock_at(net, next)->class_next;
	}
	s->class_prev = prev;
	s->class_next = next;
	if (prev == BT_NO_SLOT)
		c->head = slot;
	else
		sock_at(net, prev)->class_next = slot;
	if (next != BT_NO_SLOT)
		sock_at(net, next)->class_prev = slot;
	c->count++;
}

void btp_enter_bucket(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	struct space *sp = space_of(net, s->host, s->proto);
	uint32_t *first = &sp->first[s->lport], other = *first;

	if (!bit_test(sp->any, s->lport)) {
		bit_set(sp->any, s->lport);
		sp->n_any[s->lport / PAGE_PORTS]++;
		sp->n_ports++;
	}
	if (s->flags & SF_HELD)
		bit_set(sp->held, s->lport);
	if (other == 0) {
		*first = SOLE | slot;
		sp->pages |= (uint64_t)1 << (s->lport / PAGE_PORTS);
		return;
	}
	if (other & SOLE) {
		*first = 0;
		enter_class(net, first, other & ~SOLE);
	}
	enter_class(net, first, slot);
}

static void leave_class(struct bt_port_net *net, uint32_t *first, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	struct class_key key = btp_class_key(s);
	uint32_t *link = find_class(net, first, &key), i = *link;
	struct class *c = class_at(net, i);

	if (s->class_prev == BT_NO_SLOT)
		c->head = s->class_next;
	else
		sock_at(net, s->class_prev)->class_next = s->class_next;
	if (s->class_next != BT_NO_SLOT)
		sock_at(net, s->class_next)->class_prev = s->class_prev;
	s->class_next = s->class_prev = BT_NO_SLOT;
	if (--c->count == 0) {
		*link = c->next;
		btp_pool_give(&net->classes, i);
	}
}

/* A bucket with one socket and no history has no class. */
static void shrink(struct bt_port_net *net, uint32_t *first)
{
	uint32_t i = *first;
	const struct class *c;

	if (i == 0 || i & SOLE)
		return;
	c = class_at(net, i);
	if (c->next == 0 && c->count == 1) {
		*first = SOLE | c->head;
		btp_pool_give(&net->classes, i);
	}
}

static void forget(struct bt_port_net *net, uint32_t *first)
{
	const struct class *history = history_of(net, *first);
	uint32_t i = *first;

	if (history == NULL)
		return;
	*first = history->next;
	btp_pool_give(&net->classes, i);
	shrink(net, first);
}

void btp_change_begin(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	struct space *sp;
	uint32_t *first;

	if (s->lport == 0)
		return;
	sp = space_of(net, s->host, s->proto);
	sp->n_left++;
	first = &sp->first[s->lport];
	if (*first == (SOLE | slot))
		*first = 0;
	else
		leave_class(net, first, slot);
}

void btp_change_end(struct bt_port_net *net, uint32_t slot)
{
	if (sock_at(net, slot)->lport != 0)
		btp_enter_bucket(net, slot);
}

void btp_leave_bucket(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	uint16_t port = s->lport;
	bool held = false;
	struct class sole;
	struct space *sp;

	if (port == 0)
		return;
	btp_change_begin(net, slot);
	sp = space_of(net, s->host, s->proto);
	for (const struct class *c = btp_first_class(net, sp, port, &sole); c != NULL;
	     c = next_class(net, c))
		held |= (c->key.opts & KEY_HELD) != 0;
	if (!held) {
		bit_clear(sp->held, port);
		forget(net, &sp->first[port]);
	}
	shrink(net, &sp->first[port]);
	if (sp->first[port] == 0) {
		bit_clear(sp->any, port);
		sp->n_any[port / PAGE_PORTS]--;
		sp->n_ports--;
	}
}

void bt_port_set_opts(struct bt_port_net *net, uint32_t slot, unsigned opts)
{
	struct psock *s;

	if (!btp_slot_used(net, slot))
		return;
	s = sock_at(net, slot);
	if (s->lport == 0) {
		s->opts = (uint8_t)opts;
	} else if (s->opts != (uint8_t)opts && btp_reserve(net, s)) {
		btp_change_begin(net, slot);
		s->opts = (uint8_t)opts;
		btp_change_end(net, slot);
	}
}

/* ---- conflicts ---- */

/* Linux keeps this IPv4 address in sockets that have an IPv6 address (LOOPBACK4_IPV6). */
#define V6_AS_V4 0x7f000006u

static uint32_t as_v4(const struct bt_addr *a)
{
	if (bt_addr_is_any(a))
		return 0;
	return bt_addr_is_v4(a) ? bt_addr_to_v4(a) : V6_AS_V4;
}

/* ipv4_rcv_saddr_equal and ipv6_rcv_saddr_equal of net/ipv4/inet_connection_sock.c. b_wild: b's
 * wildcard overlaps with every address, as a's does. */
static bool overlap(const struct class_key *a, const struct class_key *b, bool b_wild)
{
	bool a4 = bt_addr_is_v4(&a->laddr), b4 = bt_addr_is_v4(&b->laddr);
	bool a_only = a->opts & BT_V6ONLY, b_only = b->opts & BT_V6ONLY;

	if (a->family == BT_V4 || (a4 && b4)) {
		uint32_t x = as_v4(&a->laddr), y = as_v4(&b->laddr);

		return !b_only && (x == y || x == 0 || (y == 0 && b_wild));
	}
	if (b_wild && !b4 && bt_addr_is_any(&b->laddr) && !(b_only && a4))
		return true;
	if (!a4 && bt_addr_is_any(&a->laddr) && !(a_only && b4))
		return true;
	return bt_addr_eq(&a->laddr, &b->laddr);
}

/*
 * What Linux remembers of a port (fastreuseport and the fast_ members of struct inet_bind_bucket):
 * the last socket with SO_REUSEPORT that took it and was not like the one remembered before. A
 * socket that is like it may have the port without a look at who is there. It is forgotten when a
 * socket without the option takes the port, and with the last socket that holds the port.
 */
static bool remembered(const struct bt_port_net *net, uint32_t first, const struct class_key *key)
{
	const struct class *history = history_of(net, first);

	return history != NULL && key->opts & BT_REUSEPORT && history->key.uid == key->uid &&
	       overlap(&history->key, key, false);
}

/* The socket has taken its port; after btp_reserve. */
static void remember(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	uint32_t *first = &space_of(net, s->host, s->proto)->first[s->lport], i = *first;
	struct class_key key = btp_class_key(s);
	struct class *history = history_of(net, i);

	if (!(key.opts & BT_REUSEPORT)) {
		forget(net, first);
		return;
	}
	if (remembered(net, i, &key))
		return;
	if (i & SOLE) {
		*first = 0;
		enter_class(net, first, slot);
	}
	if (history == NULL) {
		i = btp_pool_take(&net->classes);
		history = class_at(net, i);
		*history = (struct class){*first, 0, BT_NO_SLOT, key};
		*first = i;
	}
	key.opts &= BT_V6ONLY;
	key.kind = KIND_HISTORY;
	key.dev = 0;
	history->key = key;
}

/* inet_bind_conflict and udp_lib_lport_inuse, but for the addresses. */
static enum bt_why compare(const struct class_key *a, const struct class_key *b, bool udp,
			   enum ask ask)
{
	bool reuse = a->opts & b->opts & BT_REUSEADDR, port = a->opts & b->opts & BT_REUSEPORT;
	bool same_user = a->uid == b->uid || (!udp && b->kind == KIND_TIME_WAIT);

	/* TCP: who looks for a port takes none that is only reusable, and with ip_autobind_reuse
	 * only by SO_REUSEADDR without SO_REUSEPORT. */
	if (reuse && b->kind != KIND_LISTEN &&
	    (ask == ASK_NAMED || udp || (ask == ASK_RELAXED && !(port && same_user))))
		return BT_WHY_NONE;
	if (port && same_user && (ask == ASK_NAMED || udp))
		return BT_WHY_NONE;
	if (b->kind == KIND_LISTEN && !(port && !same_user))
		return BT_WHY_IN_USE_LISTENER;
	if (b->kind == KIND_TIME_WAIT)
		return BT_WHY_IN_USE_TIME_WAIT;
	return port && !same_user ? BT_WHY_REUSEPORT_UID : BT_WHY_IN_USE_BOUND;
}

/* Which reason to give when there are several: what ends by itself comes last. */
static int rank(enum bt_why why)
{
	if (why == BT_WHY_NONE)
		return 0;
	return why == BT_WHY_IN_USE_LISTENER ? 3 : why == BT_WHY_IN_USE_TIME_WAIT ? 1 : 2;
}

/*
 * TCP: one conflicting class is enough, but for a socket that is like the one remembered. UDP, when
 * bind(2) names the port: Linux stops at the first other socket in its list that overlaps, unless
 * both have SO_REUSEADDR; when both have SO_REUSEPORT, bind succeeds.
 */
bool btp_conflict(const struct bt_port_net *net, uint32_t slot, uint16_t port, enum ask ask,
		  struct bt_reason *reason)
{
	const struct psock *s = sock_at(net, slot);
	struct class_key key = btp_class_key(s);
	const struct space *sp = space_of(net, s->host, s->proto);
	bool udp = s->proto == BT_UDP;
	uint32_t culprit = BT_NO_SLOT;
	struct class sole;
	enum bt_why worst = BT_WHY_NONE;

	if (ask == ASK_NAMED && !udp && remembered(net, sp->first[port], &key))
		return false;
	for (const struct class *c = btp_first_class(net, sp, port, &sole); c != NULL;
	     c = next_class(net, c)) {
		uint32_t other = c->head == slot ? s->class_next : c->head;
		enum bt_why why;

		if (other == BT_NO_SLOT || !overlap(&key, &c->key, true) ||
		    (key.dev != 0 && c->key.dev != 0 && key.dev != c->key.dev))
			continue;
		why = compare(&key, &c->key, udp, ask);
		if (udp && ask == ASK_NAMED) {
			if (key.opts & c->key.opts & BT_REUSEADDR ||
			    (culprit != BT_NO_SLOT &&
			     sock_at(net, other)->aux < sock_at(net, culprit)->aux))
				continue;
		} else if (rank(why) <= rank(worst)) {
			continue;
		}
		worst = why;
		culprit = other;
	}
	if (worst == BT_WHY_NONE)
		return false;
	btp_refuse(reason, 0, worst, culprit, btp_expires(net, culprit));
	return true;
}

/* ---- bind and listen ---- */

/* Linux adds sockets at the head of its lists, but SO_REUSEPORT ones of IPv6 at the tail
 * (sk_add_node_rcu). */
static uint32_t list_place(struct bt_port_net *net, const struct psock *s)
{
	net->serial++;
	return s->family == BT_V6 && s->opts & BT_REUSEPORT ? INT32_MAX - net->serial
							    : INT32_MAX + net->serial;
}

/* Gives the socket its port by bind, listen or sendto: port 0 chooses. */
static int take_port(struct bt_port_net *net, uint32_t slot, uint16_t port,
		     struct bt_reason *reason)
{
	struct psock *s = sock_at(net, slot);

	if (!btp_reserve(net, s))
		return btp_refuse(reason, -ENOMEM, BT_WHY_NO_MEMORY, BT_NO_SLOT, 0);
	if (port == 0) {
		port = btp_free_port(net, slot);
		if (port == 0)
			return btp_refuse(reason, -EADDRINUSE, BT_WHY_NO_FREE_PORT, BT_NO_SLOT, 0);
	} else if (btp_conflict(net, slot, port, ASK_NAMED, reason)) {
		return -EADDRINUSE;
	}
	s->lport = port;
	s->flags |= SF_HELD;
	s->aux = list_place(net, s);
	btp_enter_bucket(net, slot);
	if (s->proto == BT_TCP)
		remember(net, slot);
	return 0;
}

int bt_port_bind(struct bt_port_net *net, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		 bool root, uint64_t now_ns, struct bt_reason *reason)
{
	struct psock *s;
	bool specific = !bt_addr_is_any(addr), v6, only_v6;
	uint8_t old_flags;
	int r = 0;

	(void)now_ns; /* TIME_WAIT is left when the caller frees what bt_port_expired names */
	if (!btp_slot_used(net, slot))
		return btp_refuse(reason, -EBADF, BT_WHY_BAD_STATE, BT_NO_SLOT, 0);
	s = sock_at(net, slot);
	v6 = s->family == BT_V6;
	only_v6 = s->opts & BT_V6ONLY || s->flags & SF_V6_ADDR;
	if (port != 0 && !root && port < net->hosts[s->host]->conf.unprivileged_start)
		return btp_refuse(reason, -EACCES, BT_WHY_PRIVILEGED, BT_NO_SLOT, 0);
	if (s->lport != 0)
		return btp_refuse(reason, -EINVAL, BT_WHY_ALREADY_BOUND, slot, 0);
	if (s->state != BT_CLOSE || (v6 && only_v6 && bt_addr_is_v4(addr)))
		return btp_refuse(reason, -EINVAL, BT_WHY_BAD_STATE, slot, 0);
	old_flags = s->flags;
	s->laddr = *addr;
	if (v6 && specific && !bt_addr_is_v4(addr))
		s->flags |= SF_V6_ADDR;
	if (port != 0 || !(s->opts & BT_BIND_NO_PORT))
		r = take_port(net, slot, port, reason);
	if (r < 0) {
		s->laddr = any_of(s->family); /* what an earlier bind without a port gave, too */
		s->flags = old_flags;
		return r;
	}
	if (specific || (v6 && bt_addr_is_v4(addr))) /* ::ffff:0.0.0.0, too (Linux) */
		s->flags |= SF_ADDR_LOCK;
	if (port != 0)
		s->flags |= SF_PORT_LOCK;
	return 0;
}

int bt_port_listen(struct bt_port_net *net, uint32_t slot, uint64_t now_ns,
		   struct bt_reason *reason)
{
	struct psock *s;

	(void)now_ns;
	if (!btp_slot_used(net, slot))
		return btp_refuse(reason, -EBADF, BT_WHY_BAD_STATE, BT_NO_SLOT, 0);
	s = sock_at(net, slot);
	if (s->proto != BT_TCP || (s->state != BT_CLOSE && s->state != BT_LISTEN))
		return btp_refuse(reason, -EINVAL, BT_WHY_BAD_STATE, slot, 0);
	if (s->state == BT_LISTEN)
		return 0;
	if (s->lport == 0) {
		int r = take_port(net, slot, 0, reason);

		if (r < 0)
			return r;
	} else if (btp_conflict(net, slot, s->lport, ASK_NAMED, reason)) {
		return -EADDRINUSE;
	}
	if (!btp_reserve(net, s))
		return btp_refuse(reason, -ENOMEM, BT_WHY_NO_MEMORY, BT_NO_SLOT, 0);
	btp_change_begin(net, slot);
	s->state = BT_LISTEN;
	s->flags |= SF_HELD;
	s->aux = list_place(net, s);
	btp_change_end(net, slot);
	remember(net, slot);
	return 0;
}

int bt_port_autobind(struct bt_port_net *net, uint32_t slot, uint64_t now_ns,
		     struct bt_reason *reason)
{
	struct psock *s;
	int r;

	(void)now_ns;
	if (!btp_slot_used(net, slot))
		return btp_refuse(reason, -EBADF, BT_WHY_BAD_STATE, BT_NO_SLOT, 0);
	s = sock_at(net, slot);
	if (s->lport != 0)
		return 0;
	if (s->proto != BT_UDP)
		return btp_refuse(reason, -EINVAL, BT_WHY_BAD_STATE, slot, 0);
	r = take_port(net, slot, 0, reason);
	return r == -EADDRINUSE ? -EAGAIN : r;
}

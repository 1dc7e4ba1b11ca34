/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct bt_net *bt_net_new(const uint8_t key[16], uint32_t max_slots)
{
	struct bt_net *net = calloc(1, sizeof(*net));
	if (net == NULL)
		return NULL;
	net->n_chunks = (max_slots + CHUNK - 1) / CHUNK;
	net->chunks = calloc(net->n_chunks, sizeof(net->chunks[0]));
	net->by_addr = calloc(ADDR_TABLE, sizeof(net->by_addr[0]));
	net->ports = bt_port_net_new(key, max_slots);
	net->changed_first = net->changed_last = END;
	if (net->chunks == NULL || net->by_addr == NULL || net->ports == NULL) {
		bt_net_free(net);
		return NULL;
	}
	for (uint32_t i = 0; i < ADDR_TABLE; i++)
		net->by_addr[i].host = BT_NET_NO_HOST;
	return net;
}

void bt_net_free(struct bt_net *net)
{
	if (net == NULL)
		return;
	for (uint32_t i = 0; net->chunks != NULL && i < net->n_chunks; i++)
		free(net->chunks[i]);
	btn_groups_free(net);
	for (uint32_t i = 0; i < net->n_hosts; i++)
		free(net->hosts[i]);
	free(net->orphans);
	free(net->chunks);
	free(net->by_addr);
	bt_port_net_free(net->ports);
	free(net);
}

struct bt_port_net *bt_net_ports(struct bt_net *net)
{
	return net->ports;
}

/* ---- sockets ---- */

struct sock *btn_find(const struct bt_net *net, uint32_t slot)
{
	static const struct sock none = {
		.peer = BT_NO_SLOT, .link = BT_NO_SLOT, .next_changed = IDLE};
	uint32_t c = slot / CHUNK;
	if (c >= net->n_chunks || net->chunks[c] == NULL)
		return (struct sock *)(uintptr_t)&none;
	return &net->chunks[c][slot % CHUNK];
}

/* The entry to write; NULL: out of memory. */
struct sock *btn_touch(struct bt_net *net, uint32_t slot)
{
	uint32_t c = slot / CHUNK;
	if (c >= net->n_chunks)
		return NULL;
	if (net->chunks[c] == NULL) {
		struct sock *chunk = calloc(CHUNK, sizeof(*chunk));
		if (chunk == NULL)
			return NULL;
		for (uint32_t i = 0; i < CHUNK; i++)
			chunk[i] = (struct sock){
				.peer = BT_NO_SLOT, .link = BT_NO_SLOT, .next_changed = IDLE};
		net->chunks[c] = chunk;
	}
	struct sock *s = &net->chunks[c][slot % CHUNK];
	return s;
}

struct sock *btn_begin(struct bt_net *net, uint32_t slot)
{
	struct sock *s = btn_touch(net, slot);
	if (s != NULL) {
		s->peer = s->link = BT_NO_SLOT;
		s->flags = (s->flags & ~(STAMP - 1)) + STAMP;
	}
	return s;
}

void btn_mark(struct bt_net *net, uint32_t slot)
{
	struct sock *s = btn_touch(net, slot);
	if (s == NULL || s->next_changed != IDLE)
		return;
	s->next_changed = END;
	if (net->changed_last == END)
		net->changed_first = slot;
	else
		btn_find(net, net->changed_last)->next_changed = slot;
	net->changed_last = slot;
}

uint32_t bt_net_changed(struct bt_net *net, uint8_t *flags)
{
	uint32_t slot = net->changed_first;
	if (slot == END)
		return BT_NO_SLOT;
	struct sock *s = btn_find(net, slot);
	net->changed_first = s->next_changed;
	if (net->changed_first == END)
		net->changed_last = END;
	s->next_changed = IDLE;
	*flags = (uint8_t)s->flags;
	if (s->flags & BT_NETF_FREED && !(s->flags & GONE))
		bt_port_free(net->ports, slot);
	return slot;
}

/* The slot itself is given back by bt_net_changed, after the caller has been told; until then
 * nobody else can get it, so the caller never sees one slot's two lives mixed. */
void btn_give_up(struct bt_net *net, uint32_t slot)
{
	bt_port_disconnect(net->ports, slot);
	btn_mark(net, slot);
	btn_find(net, slot)->flags |= BT_NETF_FREED;
}

uint32_t bt_net_peer(const struct bt_net *net, uint32_t slot)
{
	return btn_find(net, slot)->peer;
}

uint32_t bt_net_link(const struct bt_net *net, uint32_t slot)
{
	return btn_find(net, slot)->link;
}

uint8_t bt_net_flags(const struct bt_net *net, uint32_t slot)
{
	return (uint8_t)btn_find(net, slot)->flags;
}

void bt_net_set_flag(struct bt_net *net, uint32_t slot, uint8_t flag, bool on)
{
	struct sock *s = btn_touch(net, slot);
	if (s == NULL)
		return;
	s->flags = on ? s->flags | flag : s->flags & ~(uint32_t)flag;
	btn_mark(net, slot);
}

void bt_net_join(struct bt_net *net, uint32_t client, uint32_t child, uint32_t listener)
{
	struct sock *a = btn_touch(net, client), *b = btn_touch(net, child);
	if (a == NULL || b == NULL)
		return;
	a->peer = child;
	b->peer = client;
	b->link = listener;
	b->flags |= BT_NETF_CHILD;
	btn_mark(net, client);
	btn_mark(net, child);
}

uint8_t btn_state(const struct bt_net *net, uint32_t slot)
{
	struct bt_port_info i;
	return bt_port_get(net->ports, slot, &i) ? i.state : BT_CLOSE;
}

void btn_set_state(struct bt_net *net, uint32_t slot, enum bt_state state)
{
	bt_port_set_state(net->ports, slot, state);
	btn_mark(net, slot);
}

int bt_net_sock(struct bt_net *net, uint16_t host, enum bt_proto proto, enum bt_family family,
		uint32_t uid, uint32_t *slot)
{
	int r = bt_port_new(net->ports, host, proto, family, uid, slot);
	if (r < 0)
		return r;
	if (btn_begin(net, *slot) == NULL) {
		bt_port_free(net->ports, *slot);
		return -ENOMEM;
	}
	btn_mark(net, *slot);
	return 0;
}

/* The interface on which host `to` gets what is sent to dst: also what it sends to itself counts as
 * arriving where the address is (Linux). */
static uint8_t arrives_on(const struct bt_net *net, uint16_t to, const struct bt_addr *dst)
{
	const struct bt_net_host *h = &net->hosts[to]->pub;

	for (uint16_t i = 2; i < h->n_addrs; i++)
		if (bt_addr_eq(&h->addrs[i].addr, dst))
			return h->addrs[i].dev;
	return BT_DEV_LO;
}

/* ---- calls ---- */

/* inet_bind and __inet6_bind: which addresses a socket may be given. */
static int bindable(const struct bt_net *net, const struct bt_port_info *i,
		    const struct bt_addr *addr)
{
	const struct bt_net_conf *conf = &net->hosts[i->host]->conf;
	enum addr_kind kind = btn_addr_kind(net, i->host, addr);
	bool v4 = bt_addr_is_v4(addr);
	if (!v4 && (kind == ADDR_LINK || (kind == ADDR_MULTICAST && i->proto == BT_TCP)))
		return -EINVAL;
	if (!v4 && bt_addr_is_loopback(addr) && i->dev != 0 && i->dev != BT_DEV_LO)
		kind = ADDR_OTHER; /* ipv6_chk_addr: the others are as good on any interface */
	if (kind != ADDR_OTHER || i->opts & BT_FREEBIND)
		return 0;
	return (v4 ? conf->nonlocal_bind4 : conf->nonlocal_bind6) ? 0 : -EADDRNOTAVAIL;
}

int bt_net_bind(struct bt_net *net, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		bool root, uint64_t now_ns, struct bt_reason *why)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	int r = bindable(net, &i, addr);
	/* __inet6_bind looks at all that bt_port_bind refuses for before it looks at the address.
	 */
	bool early = i.lport != 0 || (i.opts & BT_V6ONLY && bt_addr_is_v4(addr)) ||
		     (port != 0 && !root &&
		      port < bt_port_host_conf(net->ports, i.host)->unprivileged_start);
	if (r < 0 && !(r == -EADDRNOTAVAIL && i.family == BT_V6 && early))
		return r;
	btn_mark(net, slot);
	return bt_port_bind(net->ports, slot, addr, port, root, now_ns, why);
}

int bt_net_listen(struct bt_net *net, uint32_t slot, uint64_t now_ns, struct bt_reason *why)
{
	btn_mark(net, slot);
	return bt_port_listen(net->ports, slot, now_ns, why);
}

static void taken_over(struct bt_net *net, uint16_t host, uint32_t taken)
{
	if (taken == BT_NO_SLOT)
		return;
	/* The port space has let go of it already; only the slot's life ends here. */
	struct sock *s = btn_find(net, taken);
	uint32_t peer = s->peer;
	net->hosts[host]->n_time_wait--;
	s->peer = BT_NO_SLOT;
	s->flags |= BT_NETF_FREED | GONE;
	btn_mark(net, taken);
	if (peer != BT_NO_SLOT) {
		btn_find(net, peer)->peer = BT_NO_SLOT;
		btn_mark(net, peer);
		btn_settle(net, peer);
	}
}

/* What of the two families an IPv6 socket may reach from its address (tcp_v6_connect,
 * ip6_datagram_connect, ip6_dst_lookup_tail); and which loopback a wildcard destination is. */
static int reachable(const struct bt_net *net, const struct bt_port_info *i, struct bt_addr *dst)
{
	if (i->family != BT_V6)
		return 0;
	bool from_v4 = bt_addr_is_v4(&i->laddr);
	if (bt_addr_is_any(dst) && !bt_addr_is_v4(dst) && from_v4)
		*dst = bt_addr_v4(0x7f000001);
	if (!bt_addr_is_v4(dst)) {
		if (dst->b[0] == 0xff)
			return -ENETUNREACH;
		if (!from_v4)
			return 0;
		bool routed =
			bt_addr_is_loopback(dst) || bt_net_host_by_addr(net, dst) != BT_NET_NO_HOST;
		return routed ? -EAFNOSUPPORT : -ENETUNREACH;
	}
	bool from_v6 = !from_v4 && !bt_addr_is_any(&i->laddr);
	return i->opts & BT_V6ONLY || from_v6 ? -ENETUNREACH : 0;
}

/* The whole way of what a socket sends: as bt_net_route, and the interface on which it arrives. A
 * device that the socket is bound to must lead there: IPv6 then has no route, IPv4 takes the
 * destination for a neighbour on that link, where nobody answers: BT_NET_LOST. */
static int way(const struct bt_net *net, const struct bt_port_info *i, struct bt_addr *dst,
	       struct bt_addr *src, uint16_t *to, uint8_t *arrives)
{
	struct bt_port_info unbound = *i;
	enum addr_kind own = btn_addr_kind(net, i->host, &i->laddr);
	if (own == ADDR_MULTICAST || own == ADDR_BROADCAST) {
		/* Such an address is for receiving only (inet_bind). */
		unbound.laddr = bt_addr_is_v4(&i->laddr) ? bt_addr_v4(0) : (struct bt_addr){{0}};
		i = &unbound;
	}
	int r = reachable(net, i, dst);
	bool v4 = bt_addr_is_v4(dst);
	const struct bt_net_host *h = &net->hosts[i->host]->pub;
	/* Nowhere in particular is the device's own address. */
	for (uint16_t k = 0; i->dev != 0 && v4 && bt_addr_is_any(dst) && k < h->n_addrs; k++)
		if (h->addrs[k].dev == i->dev && h->addrs[k].family == BT_V4)
			*dst = h->addrs[k].addr;
	if (r == -EAFNOSUPPORT && !v4 && i->dev != 0 &&
	    btn_addr_kind(net, i->host, dst) == ADDR_LOCAL &&
	    arrives_on(net, i->host, dst) != i->dev)
		return -ENETUNREACH; /* what Linux looks for first */
	if (r == 0)
		r = bt_net_route(net, i->host, &i->laddr, dst, src, to);
	if (r < 0)
		return r;
	*arrives = *to == BT_NET_OUTSIDE ? 0 : arrives_on(net, *to, dst);
	if (i->dev == 0 || (*to == i->host && i->dev == *arrives))
		return 0;
	if (*to == i->host && v4 && i->dev == BT_DEV_LO) {
		*arrives = BT_DEV_LO;
		return 0;
	}
	bool lost = *to == i->host || i->dev == BT_DEV_LO;
	if (lost && !v4)
		return -ENETUNREACH;
	for (uint16_t k = h->n_addrs; bt_addr_is_any(&i->laddr) && k-- > 2;)
		if (h->addrs[k].dev == i->dev && (h->addrs[k].family == BT_V4) == v4)
			*src = h->addrs[k].addr;
	return lost ? BT_NET_LOST : 0;
}

/* What a TCP connect needs to know: the way. */
static int tcp_way(const struct bt_net *net, uint32_t slot, struct bt_port_info *i,
		   struct bt_addr *dst, struct bt_addr *src, uint16_t *to, uint8_t *arrives)
{
	if (!bt_port_get(net->ports, slot, i))
		return -EBADF;
	if (i->proto != BT_TCP)
		return -EOPNOTSUPP;
	if (btn_find(net, slot)->peer !=
	    BT_NO_SLOT) /* of a connection whose other end is not closed yet */
		return -EISCONN;
	int r = way(net, i, dst, src, to, arrives);
	if (r == BT_NET_LOST)
		return -EHOSTUNREACH;
	return r == -EACCES ? -ENETUNREACH : r;
}

int bt_net_connect(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		   uint64_t now_ns, uint32_t *child, uint32_t *listener, struct bt_reason *why)
{
	struct bt_port_info i;
	struct bt_addr src;
	uint16_t to;
	uint8_t arrives;
	uint32_t taken = BT_NO_SLOT;
	int r = tcp_way(net, slot, &i, &dst, &src, &to, &arrives);
	if (r == 0 && to == BT_NET_OUTSIDE)
		r = -ENETUNREACH;
	if (r < 0)
		return r;
	r = bt_port_connect(net->ports, slot, &src, &dst, port, now_ns, &taken, why);
	taken_over(net, i.host, taken);
	btn_mark(net, slot);
	if (r < 0)
		return r;
	bt_port_get(net->ports, slot, &i);
	net->tried = i.laddr;
	net->tried_port = i.lport;
	if (to == i.host && bt_port_is_self(net->ports, slot)) {
		*child = *listener = BT_NO_SLOT;
		btn_set_state(net, slot, BT_ESTABLISHED);
		bt_net_set_flag(net, slot, BT_NETF_SELF, true);
		return 0;
	}
	*listener = bt_port_lookup_listener(net->ports, to, &dst, port, &src, i.lport, arrives);
	if (*listener == BT_NO_SLOT) {
		bt_port_done(net->ports, slot);
		return -ECONNREFUSED;
	}
	taken = BT_NO_SLOT;
	r = bt_port_accept(net->ports, *listener, &dst, &src, i.lport, child, &taken, why);
	taken_over(net, to, taken);
	if (r < 0) {
		bt_port_done(net->ports, slot);
		return r == -EADDRNOTAVAIL ? -ECONNREFUSED : r;
	}
	if (btn_touch(net, slot) == NULL || btn_begin(net, *child) == NULL) {
		bt_port_free(net->ports, *child);
		bt_port_disconnect(net->ports, slot);
		return -ENOMEM;
	}
	bt_net_join(net, slot, *child, *listener);
	btn_set_state(net, slot, BT_ESTABLISHED);
	btn_set_state(net, *child, BT_ESTABLISHED);
	return 0;
}

/* ---- connections whose bytes travel in packets ---- */

bool bt_net_is_wire(const struct bt_net *net, uint32_t slot)
{
	return btn_find(net, slot)->flags & WIRE;
}

int bt_net_to(const struct bt_net *net, uint32_t slot, struct bt_addr *dst, struct bt_addr *src,
	      uint16_t *to)
{
	struct bt_port_info i;
	uint8_t arrives;
	return tcp_way(net, slot, &i, dst, src, to, &arrives);
}

int bt_net_connect_wire(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
			uint64_t now_ns, struct bt_reason *why)
{
	struct bt_port_info i;
	struct bt_addr src;
	uint16_t to;
	uint8_t arrives;
	uint32_t taken = BT_NO_SLOT;
	int r = tcp_way(net, slot, &i, &dst, &src, &to, &arrives);
	if (r == 0 && btn_touch(net, slot) == NULL)
		r = -ENOMEM;
	if (r < 0)
		return r;
	r = bt_port_connect(net->ports, slot, &src, &dst, port, now_ns, &taken, why);
	taken_over(net, i.host, taken);
	btn_mark(net, slot);
	if (r == 0)
		btn_find(net, slot)->flags |= WIRE;
	return r;
}

int bt_net_accept_wire(struct bt_net *net, uint32_t listener, const struct bt_addr *laddr,
		       const struct bt_addr *raddr, uint16_t rport, uint32_t client,
		       uint32_t *child, struct bt_reason *why)
{
	struct bt_port_info i;
	uint32_t taken = BT_NO_SLOT;
	if (!bt_port_get(net->ports, listener, &i) || i.state != BT_LISTEN)
		return -EBADF;
	if (client != BT_NO_SLOT && btn_find(net, client)->peer != BT_NO_SLOT)
		return -EISCONN;
	int r = bt_port_accept(net->ports, listener, laddr, raddr, rport, child, &taken, why);
	taken_over(net, i.host, taken);
	if (r < 0)
		return r;
	if (btn_begin(net, *child) == NULL) {
		bt_port_free(net->ports, *child);
		return -ENOMEM;
	}
	btn_find(net, *child)->flags |= WIRE | BT_NETF_CHILD;
	btn_find(net, *child)->link = listener;
	if (client != BT_NO_SLOT)
		bt_net_join(net, client, *child, listener);
	btn_set_state(net, *child, BT_ESTABLISHED);
	return 0;
}

void bt_net_tried(const struct bt_net *net, struct bt_addr *addr, uint16_t *port)
{
	*addr = net->tried;
	*port = net->tried_port;
}

void bt_net_connect_undo(struct bt_net *net, uint32_t slot)
{
	struct sock *s = btn_find(net, slot);
	if (s->peer == BT_NO_SLOT || s->flags & BT_NETF_CHILD)
		return;
	uint32_t child = s->peer;
	s->peer = BT_NO_SLOT;
	btn_find(net, child)->peer = BT_NO_SLOT;
	btn_leave_ports(net, child);
	btn_give_up(net, child);
	btn_done(net, slot);
	btn_settle(net, slot);
}

int bt_net_udp_connect(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		       uint64_t now_ns, struct bt_reason *why)
{
	struct bt_port_info i;
	struct bt_addr src;
	uint16_t to;
	uint8_t arrives;
	uint32_t taken = BT_NO_SLOT;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (i.proto != BT_UDP)
		return -EOPNOTSUPP;
	btn_mark(net, slot);
	int r = way(net, &i, &dst, &src, &to, &arrives);
	if (r < 0 && r != -EHOSTUNREACH)
		return r;
	/* One that is bound to a group goes on to receive for it. */
	enum addr_kind bound = btn_addr_kind(net, i.host, &i.laddr);
	if (bound == ADDR_MULTICAST || bound == ADDR_BROADCAST)
		src = i.laddr;
	return bt_port_connect(net->ports, slot, &src, &dst, port, now_ns, &taken, why);
}

void bt_net_disconnect(struct bt_net *net, uint32_t slot)
{
	bt_net_reset(net, slot); /* TCP with a peer; nothing else has one */
	btn_leave_ports(net, slot);
	btn_mark(net, slot);
}

void bt_net_told(struct bt_net *net, uint32_t slot)
{
	if (btn_state(net, slot) != BT_CLOSE)
		return;
	bt_port_disconnect(net->ports, slot);
	btn_mark(net, slot);
}

int bt_net_renew(struct bt_net *net, uint32_t slot, uint64_t now_ns, uint32_t *fresh)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (i.state == BT_TIME_WAIT)
		return -EINVAL;
	int r = bt_net_sock(net, i.host, i.proto, i.family, i.uid, fresh);
	if (r < 0)
		return r;
	bt_net_disconnect(net, slot);
	(void)bt_port_inherit(net->ports, slot, *fresh); /* without memory: a fresh one */
	bt_net_closed(net, slot, now_ns);
	return 0;
}

int bt_net_udp_route(struct bt_net *net, uint32_t slot, struct bt_addr *dst, uint16_t port,
		     uint64_t now_ns, uint32_t *target, struct bt_addr *src, struct bt_reason *why)
{
	struct bt_port_info i;
	uint16_t to;
	uint8_t arrives;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	struct bt_port_info from = i;
	if (!bt_addr_is_any(src))
		from.laddr = *src;
	int r = way(net, &from, dst, src, &to, &arrives);
	if (r < 0 && r != -EHOSTUNREACH)
		return r;
	bool lost = r != 0;
	if (i.lport == 0) {
		r = bt_port_autobind(net->ports, slot, now_ns, why);
		btn_mark(net, slot);
		if (r < 0)
			return r;
		bt_port_get(net->ports, slot, &i);
	}
	bool away = !lost && to == BT_NET_OUTSIDE;
	*target = lost || away ? BT_NO_SLOT
			       : bt_port_lookup(net->ports, to, BT_UDP, dst, port, src, i.lport,
						arrives);
	return lost ? BT_NET_LOST : away ? BT_NET_AWAY : 0;
}

int bt_net_ping_route(const struct bt_net *net, uint32_t slot, const struct bt_addr *bound,
		      struct bt_addr *dst, struct bt_addr *src, uint16_t *to)
{
	struct bt_port_info i;
	uint8_t arrives;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	i.laddr = *bound;
	return way(net, &i, dst, src, to, &arrives);
}

bool bt_net_explain(const struct bt_net *net, uint16_t host, enum bt_proto proto,
		    const struct bt_addr *src, uint16_t sport, const struct bt_addr *dst,
		    uint16_t dport, struct bt_net_explained *out)
{
	bool v4 = bt_addr_is_v4(dst) || (bt_addr_is_v4(src) && !bt_addr_is_any(src));
	const struct bt_port_info i = {
		.host = host, .proto = (uint8_t)proto, .family = v4 ? BT_V4 : BT_V6, .laddr = *src};
	if (bt_net_host(net, host) == NULL)
		return false;
	memset(out, 0, sizeof(*out));
	out->src = *src;
	out->dst = *dst;
	out->slot = BT_NO_SLOT;
	out->to = BT_NET_NO_HOST;
	out->err = way(net, &i, &out->dst, &out->src, &out->to, &out->dev);
	if (out->err == 0)
		out->slot = bt_port_explain(net->ports, out->to, proto, &out->dst, dport, &out->src,
					    sport, out->dev, &out->trace);
	return true;
}

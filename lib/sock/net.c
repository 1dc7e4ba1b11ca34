/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define CHUNK 4096u

/* 16 bytes a slot; what the port space knows is kept there. */
struct sock {
	uint32_t peer, link;
	uint32_t next_changed; /* list of changed slots; IDLE: not on it */
	uint32_t flags;
};

#define IDLE UINT32_MAX
#define END  (UINT32_MAX - 1)
#define GONE 0x100u /* with BT_NETF_FREED: the port space has freed the slot already */

struct addr_entry {
	struct bt_addr addr;
	uint16_t host; /* BT_NET_NO_HOST: empty */
};

#define ADDR_TABLE (BT_NET_MAX_HOSTS * BT_NET_ADDRS * 2)

struct bt_net {
	struct bt_port_net *ports;
	struct bt_net_host *hosts[BT_NET_MAX_HOSTS];
	uint16_t n_hosts;
	struct addr_entry *by_addr; /* open addressing, at most half full */
	struct sock **chunks;
	uint32_t n_chunks;
	uint32_t changed_first, changed_last;
	uint32_t n_time_wait;
};

/* tcp_max_tw_buckets of a machine with some memory: beyond it a connection ends without TIME_WAIT.
 */
#define MAX_TIME_WAIT 262144u

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
	for (uint32_t i = 0; i < net->n_hosts; i++)
		free(net->hosts[i]);
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

static struct sock *find(const struct bt_net *net, uint32_t slot)
{
	static const struct sock none = {
		.peer = BT_NO_SLOT, .link = BT_NO_SLOT, .next_changed = IDLE};
	uint32_t c = slot / CHUNK;
	if (c >= net->n_chunks || net->chunks[c] == NULL)
		return (struct sock *)(uintptr_t)&none;
	return &net->chunks[c][slot % CHUNK];
}

/* The entry to write; NULL: out of memory. */
static struct sock *touch(struct bt_net *net, uint32_t slot)
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

/* A slot's new life: whatever its last one left is forgotten. */
static struct sock *begin(struct bt_net *net, uint32_t slot)
{
	struct sock *s = touch(net, slot);
	if (s != NULL) {
		s->peer = s->link = BT_NO_SLOT;
		s->flags = 0;
	}
	return s;
}

static void mark(struct bt_net *net, uint32_t slot)
{
	struct sock *s = touch(net, slot);
	if (s == NULL || s->next_changed != IDLE)
		return;
	s->next_changed = END;
	if (net->changed_last == END)
		net->changed_first = slot;
	else
		find(net, net->changed_last)->next_changed = slot;
	net->changed_last = slot;
}

uint32_t bt_net_changed(struct bt_net *net, uint8_t *flags)
{
	uint32_t slot = net->changed_first;
	if (slot == END)
		return BT_NO_SLOT;
	struct sock *s = find(net, slot);
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
static void give_up(struct bt_net *net, uint32_t slot)
{
	bt_port_disconnect(net->ports, slot);
	mark(net, slot);
	find(net, slot)->flags |= BT_NETF_FREED;
}

uint32_t bt_net_peer(const struct bt_net *net, uint32_t slot)
{
	return find(net, slot)->peer;
}

uint32_t bt_net_link(const struct bt_net *net, uint32_t slot)
{
	return find(net, slot)->link;
}

uint8_t bt_net_flags(const struct bt_net *net, uint32_t slot)
{
	return (uint8_t)find(net, slot)->flags;
}

void bt_net_set_flag(struct bt_net *net, uint32_t slot, uint8_t flag, bool on)
{
	struct sock *s = touch(net, slot);
	if (s == NULL)
		return;
	s->flags = on ? s->flags | flag : s->flags & ~(uint32_t)flag;
	mark(net, slot);
}

void bt_net_join(struct bt_net *net, uint32_t client, uint32_t child, uint32_t listener)
{
	struct sock *a = touch(net, client), *b = touch(net, child);
	if (a == NULL || b == NULL)
		return;
	a->peer = child;
	b->peer = client;
	b->link = listener;
	b->flags |= BT_NETF_CHILD;
	mark(net, client);
	mark(net, child);
}

static uint8_t state_of(const struct bt_net *net, uint32_t slot)
{
	struct bt_port_info i;
	return bt_port_get(net->ports, slot, &i) ? i.state : BT_CLOSE;
}

static void set_state(struct bt_net *net, uint32_t slot, enum bt_state state)
{
	bt_port_set_state(net->ports, slot, state);
	mark(net, slot);
}

int bt_net_sock(struct bt_net *net, uint16_t host, enum bt_proto proto, enum bt_family family,
		uint32_t uid, uint32_t *slot)
{
	int r = bt_port_new(net->ports, host, proto, family, uid, slot);
	if (r < 0)
		return r;
	if (begin(net, *slot) == NULL) {
		bt_port_free(net->ports, *slot);
		return -ENOMEM;
	}
	mark(net, *slot);
	return 0;
}

/* ---- hosts ---- */

static bool name_ok(const char *name)
{
	size_t n = strnlen(name, BT_NET_NAME);
	if (n == 0 || n >= BT_NET_NAME || !isalnum((unsigned char)name[0]))
		return false;
	bool number = true; /* 1.2.3.4 and localhost mean something else to every program */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];
		if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '.' && c != '_'))
			return false;
		number = number && (isdigit(c) || c == '.');
	}
	return !number && strcasecmp(name, "localhost") != 0;
}

static struct addr_entry *addr_entry(const struct bt_net *net, const struct bt_addr *addr)
{
	uint32_t h =
		2166136261u; /* FNV-1a; the addresses are the user's own, no adversary picks them */
	for (unsigned i = 0; i < 16; i++)
		h = (h ^ addr->b[i]) * 16777619u;
	for (uint32_t i = h % ADDR_TABLE;; i = (i + 1) % ADDR_TABLE) {
		struct addr_entry *e = &net->by_addr[i];
		if (e->host == BT_NET_NO_HOST || bt_addr_eq(&e->addr, addr))
			return e;
	}
}

uint16_t bt_net_host_by_name(const struct bt_net *net, const char *name)
{
	for (uint16_t i = 0; i < net->n_hosts; i++)
		if (strcasecmp(net->hosts[i]->name, name) == 0) /* RFC 4343 */
			return i;
	return BT_NET_NO_HOST;
}

uint16_t bt_net_host_by_addr(const struct bt_net *net, const struct bt_addr *addr)
{
	return addr_entry(net, addr)->host;
}

const struct bt_net_host *bt_net_host(const struct bt_net *net, uint16_t host)
{
	return host < net->n_hosts ? net->hosts[host] : NULL;
}

uint16_t bt_net_hosts(const struct bt_net *net)
{
	return net->n_hosts;
}

int bt_net_host_add(struct bt_net *net, const char *name, uint16_t *host)
{
	if (!name_ok(name))
		return -EINVAL;
	uint16_t old = bt_net_host_by_name(net, name);
	if (old != BT_NET_NO_HOST) {
		*host = old;
		return -EEXIST;
	}
	if (net->n_hosts == BT_NET_MAX_HOSTS)
		return -ENOSPC;
	struct bt_net_host *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	int r = bt_port_host_add(net->ports, net->n_hosts);
	if (r < 0) {
		free(h);
		return r;
	}
	memcpy(h->name, name, strlen(name));
	h->n_addrs = 2;
	h->addrs[0] = (struct bt_net_addr){bt_addr_v4(0x7f000001), 8, BT_V4, BT_DEV_LO};
	h->addrs[1] = (struct bt_net_addr){bt_addr_loopback6(), 128, BT_V6, BT_DEV_LO};
	*host = net->n_hosts;
	net->hosts[net->n_hosts++] = h;
	return 0;
}

int bt_net_addr_add(struct bt_net *net, uint16_t host, const struct bt_net_addr *addr,
		    uint16_t *owner)
{
	bool v4 = bt_addr_is_v4(&addr->addr);
	if (host >= net->n_hosts || v4 != (addr->family == BT_V4) || addr->bits > (v4 ? 32 : 128) ||
	    addr->bits == 0 || bt_addr_is_any(&addr->addr) || bt_addr_is_loopback(&addr->addr))
		return -EINVAL;
	if (v4 ? addr->addr.b[12] >= 224 || addr->addr.b[12] == 0 : addr->addr.b[0] == 0xff)
		return -EINVAL;
	struct addr_entry *e = addr_entry(net, &addr->addr);
	if (e->host == host)
		return 0;
	if (e->host != BT_NET_NO_HOST) {
		*owner = e->host;
		return -EADDRINUSE;
	}
	struct bt_net_host *h = net->hosts[host];
	if (h->n_addrs == BT_NET_ADDRS)
		return -ENOSPC;
	/* The first of each family is eth0's, the second eth1's, and so on. */
	uint8_t dev = BT_DEV_LO + 1;
	for (uint16_t i = 2; i < h->n_addrs; i++)
		dev = (uint8_t)(dev + (h->addrs[i].family == addr->family));
	h->addrs[h->n_addrs] = *addr;
	h->addrs[h->n_addrs++].dev = dev;
	e->addr = addr->addr;
	e->host = host;
	return 0;
}

static bool in_prefix(const struct bt_net_addr *a, const struct bt_addr *addr)
{
	return bt_addr_same_prefix(&a->addr, addr, a->family == BT_V4 ? 96u + a->bits : a->bits);
}

int bt_net_route(const struct bt_net *net, uint16_t host, const struct bt_addr *bound,
		 struct bt_addr *dst, struct bt_addr *src, uint16_t *to)
{
	const struct bt_net_host *h = bt_net_host(net, host);
	if (h == NULL)
		return -ENETUNREACH;
	const struct bt_addr *loopback = &h->addrs[bt_addr_is_v4(dst) ? 0 : 1].addr;
	if (bt_addr_is_any(dst))
		*dst = *loopback;
	*to = bt_addr_is_loopback(dst) ? host : bt_net_host_by_addr(net, dst);
	const struct bt_net_addr *near = NULL, *first = NULL;
	for (uint16_t i = 2; i < h->n_addrs; i++) {
		const struct bt_net_addr *a = &h->addrs[i];
		if ((a->family == BT_V4) != bt_addr_is_v4(dst))
			continue;
		if (first == NULL)
			first = a;
		if (near == NULL && in_prefix(a, dst))
			near = a;
	}
	if (*to == BT_NET_NO_HOST)
		return near != NULL ? -EHOSTUNREACH : -ENETUNREACH;
	if (!bt_addr_is_any(bound)) {
		if (bt_addr_is_loopback(bound) && *to != host)
			return -EINVAL;
		*src = *bound;
	} else if (*to == host) {
		*src = bt_addr_is_loopback(dst) ? *loopback : *dst;
	} else {
		if (first == NULL)
			return -ENETUNREACH;
		*src = near != NULL ? near->addr : first->addr;
	}
	return 0;
}

/* The interface on which host `to` gets what is sent to dst: also what it sends to itself counts as
 * arriving where the address is (Linux). */
static uint8_t arrives_on(const struct bt_net *net, uint16_t to, const struct bt_addr *dst)
{
	const struct bt_net_host *h = net->hosts[to];

	for (uint16_t i = 2; i < h->n_addrs; i++)
		if (bt_addr_eq(&h->addrs[i].addr, dst))
			return h->addrs[i].dev;
	return BT_DEV_LO;
}

/* ---- calls ---- */

static bool is_local(const struct bt_net *net, uint16_t host, const struct bt_addr *addr)
{
	return bt_addr_is_any(addr) || bt_addr_is_loopback(addr) ||
	       bt_net_host_by_addr(net, addr) == host;
}

int bt_net_bind(struct bt_net *net, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		bool root, uint64_t now_ns, struct bt_reason *why)
{
	struct bt_port_info i;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (!is_local(net, i.host, addr) && !(i.opts & BT_FREEBIND))
		return -EADDRNOTAVAIL;
	mark(net, slot);
	return bt_port_bind(net->ports, slot, addr, port, root, now_ns, why);
}

int bt_net_listen(struct bt_net *net, uint32_t slot, uint64_t now_ns, struct bt_reason *why)
{
	mark(net, slot);
	return bt_port_listen(net->ports, slot, now_ns, why);
}

static void settle(struct bt_net *net, uint32_t slot);

static void taken_over(struct bt_net *net, uint32_t taken)
{
	if (taken == BT_NO_SLOT)
		return;
	/* The port space has let go of it already; only the slot's life ends here. */
	struct sock *s = find(net, taken);
	uint32_t peer = s->peer;
	net->n_time_wait--;
	s->peer = BT_NO_SLOT;
	s->flags |= BT_NETF_FREED | GONE;
	mark(net, taken);
	if (peer != BT_NO_SLOT) {
		find(net, peer)->peer = BT_NO_SLOT;
		mark(net, peer);
		settle(net, peer);
	}
}

int bt_net_connect(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		   uint64_t now_ns, uint32_t *child, uint32_t *listener, struct bt_reason *why)
{
	struct bt_port_info i;
	struct bt_addr src;
	uint16_t to;
	uint32_t taken = BT_NO_SLOT;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (i.proto != BT_TCP)
		return -EOPNOTSUPP;
	if (find(net, slot)->peer !=
	    BT_NO_SLOT) /* of a connection whose other end is not closed yet */
		return -EISCONN;
	int r = bt_net_route(net, i.host, &i.laddr, &dst, &src, &to);
	if (r < 0)
		return r;
	r = bt_port_connect(net->ports, slot, &src, &dst, port, now_ns, &taken, why);
	taken_over(net, taken);
	mark(net, slot);
	if (r < 0)
		return r;
	bt_port_get(net->ports, slot, &i);
	*listener = bt_port_lookup_listener(net->ports, to, &dst, port, &src, i.lport,
					    arrives_on(net, to, &dst));
	if (*listener == BT_NO_SLOT) {
		bt_port_disconnect(net->ports, slot);
		return -ECONNREFUSED;
	}
	taken = BT_NO_SLOT;
	r = bt_port_accept(net->ports, *listener, &dst, &src, i.lport, child, &taken, why);
	taken_over(net, taken);
	if (r < 0) {
		bt_port_disconnect(net->ports, slot);
		return r == -EADDRNOTAVAIL ? -ECONNREFUSED : r;
	}
	if (touch(net, slot) == NULL || begin(net, *child) == NULL) {
		bt_port_free(net->ports, *child);
		bt_port_disconnect(net->ports, slot);
		return -ENOMEM;
	}
	bt_net_join(net, slot, *child, *listener);
	set_state(net, slot, BT_ESTABLISHED);
	set_state(net, *child, BT_ESTABLISHED);
	return 0;
}

static void leave_ports(struct bt_net *net, uint32_t slot)
{
	if (state_of(net, slot) == BT_TIME_WAIT)
		net->n_time_wait--;
	bt_port_disconnect(net->ports, slot);
}

void bt_net_connect_undo(struct bt_net *net, uint32_t slot)
{
	struct sock *s = find(net, slot);
	if (s->peer == BT_NO_SLOT || s->flags & BT_NETF_CHILD)
		return;
	uint32_t child = s->peer;
	s->peer = BT_NO_SLOT;
	find(net, child)->peer = BT_NO_SLOT;
	leave_ports(net, child);
	give_up(net, child);
	leave_ports(net, slot);
	mark(net, slot);
	settle(net, slot);
}

int bt_net_udp_connect(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		       uint64_t now_ns, struct bt_reason *why)
{
	struct bt_port_info i;
	struct bt_addr src;
	uint16_t to;
	uint32_t taken = BT_NO_SLOT;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	if (i.proto != BT_UDP)
		return -EOPNOTSUPP;
	mark(net, slot);
	int r = bt_net_route(net, i.host, &i.laddr, &dst, &src, &to);
	if (r < 0)
		return r;
	return bt_port_connect(net->ports, slot, &src, &dst, port, now_ns, &taken, why);
}

void bt_net_disconnect(struct bt_net *net, uint32_t slot)
{
	bt_net_reset(net, slot); /* TCP with a peer; nothing else has one */
	leave_ports(net, slot);
	mark(net, slot);
}

int bt_net_udp_route(struct bt_net *net, uint32_t slot, struct bt_addr dst, uint16_t port,
		     uint64_t now_ns, uint32_t *target, struct bt_addr *src, struct bt_reason *why)
{
	struct bt_port_info i;
	uint16_t to;
	if (!bt_port_get(net->ports, slot, &i))
		return -EBADF;
	int r = bt_net_route(net, i.host, &i.laddr, &dst, src, &to);
	if (r < 0)
		return r;
	if (i.lport == 0) {
		r = bt_port_autobind(net->ports, slot, now_ns, why);
		mark(net, slot);
		if (r < 0)
			return r;
		bt_port_get(net->ports, slot, &i);
	}
	*target = bt_port_lookup(net->ports, to, BT_UDP, &dst, port, src, i.lport,
				 arrives_on(net, to, &dst));
	return 0;
}

/* ---- the end of connections ---- */

void bt_net_time_wait(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	net->n_time_wait++;
	bt_port_time_wait(net->ports, slot, now_ns);
	mark(net, slot);
}

/* Both ends have sent their FIN: the first to do so waits, the other is done. */
static void both_shut(struct bt_net *net, uint32_t first, uint32_t last, uint64_t now_ns)
{
	if (net->n_time_wait < MAX_TIME_WAIT) {
		bt_net_time_wait(net, first, now_ns);
	} else {
		bt_port_disconnect(net->ports, first);
		set_state(net, first, BT_CLOSE);
	}
	set_state(net, last, BT_CLOSE);
}

void bt_net_shut(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	uint32_t peer = bt_net_peer(net, slot);
	uint8_t state = state_of(net, slot);
	if (state == BT_LISTEN) { /* it keeps its port and may listen again */
		bt_port_disconnect(net->ports, slot);
		mark(net, slot);
	}
	if (peer == BT_NO_SLOT)
		return;
	if (state == BT_ESTABLISHED) {
		/* The peer's stack acknowledges a FIN at once: FIN_WAIT1 is over before anyone
		 * looks. */
		set_state(net, slot, BT_FIN_WAIT2);
		set_state(net, peer, BT_CLOSE_WAIT);
	} else if (state == BT_CLOSE_WAIT) {
		both_shut(net, peer, slot, now_ns);
	}
}

/* Frees what nobody can name any more. A child is named through its client, so the client's slot
 * waits. */
static void settle(struct bt_net *net, uint32_t slot)
{
	struct sock *s = find(net, slot);
	uint32_t peer = s->peer;
	struct sock *p = peer == BT_NO_SLOT ? NULL : find(net, peer);
	bool needed = p != NULL && p->flags & BT_NETF_CHILD && !(p->flags & BT_NETF_ORPHAN);
	if (!(s->flags & BT_NETF_ORPHAN) || s->flags & BT_NETF_FREED || needed ||
	    state_of(net, slot) == BT_TIME_WAIT)
		return;
	if (p != NULL && state_of(net, slot) != BT_CLOSE)
		return; /* FIN_WAIT2: the peer has not closed yet */
	if (p != NULL) {
		p->peer = BT_NO_SLOT;
		mark(net, peer);
	}
	give_up(net, slot);
	if (p != NULL)
		settle(net, peer);
}

void bt_net_closed(struct bt_net *net, uint32_t slot, uint64_t now_ns)
{
	struct bt_port_info i;
	struct sock *s = touch(net, slot);
	if (s == NULL || !bt_port_get(net->ports, slot, &i) || s->flags & BT_NETF_ORPHAN)
		return;
	uint32_t peer = s->peer;
	if (i.proto == BT_TCP)
		bt_net_shut(net, slot, now_ns);
	s->flags |= BT_NETF_ORPHAN;
	mark(net, slot);
	if (i.proto == BT_UDP || i.state == BT_LISTEN)
		bt_port_disconnect(net->ports, slot);
	settle(net, slot);
	if (peer != BT_NO_SLOT)
		settle(net, peer);
}

void bt_net_reset(struct bt_net *net, uint32_t slot)
{
	uint32_t peer = bt_net_peer(net, slot);
	uint8_t state = state_of(net, slot);
	/* An end that is done, or waits, has nothing left to reset. */
	if (peer == BT_NO_SLOT || state == BT_TIME_WAIT || state == BT_CLOSE)
		return;
	bt_port_disconnect(net->ports, slot);
	bt_port_disconnect(net->ports, peer);
	set_state(net, slot, BT_CLOSE);
	set_state(net, peer, BT_CLOSE);
	find(net, peer)->flags |= BT_NETF_RESET;
}

void bt_net_advance(struct bt_net *net, uint64_t now_ns)
{
	uint32_t slot;
	while ((slot = bt_port_expired(net->ports, now_ns)) != BT_NO_SLOT) {
		uint32_t peer = bt_net_peer(net, slot);
		net->n_time_wait--;
		bt_port_disconnect(net->ports, slot);
		set_state(net, slot, BT_CLOSE);
		/* Where a program still holds the descriptor, the socket is closed but the slot not
		 * free. */
		settle(net, slot);
		if (peer != BT_NO_SLOT)
			settle(net, peer);
	}
}

uint64_t bt_net_deadline(const struct bt_net *net)
{
	return bt_port_deadline(net->ports);
}

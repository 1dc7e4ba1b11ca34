/* SPDX-License-Identifier: Apache-2.0 */
/* What each message does. Every field that came from outside is checked here or in lib/, and an
 * error changes nothing but a counter. */
#include "daemon.h"

#include "../lib/sock/sysctl.h"
#include "vals.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct call {
	struct daemon *d;
	struct conn *c;
	const struct bt_req *req;
	const uint8_t *extra;
	int proof;
	struct bt_rep rep;
	const void *rep_extra;
	int fd;
	uint32_t slot;
	bool fresh, silent;
	struct bt_addr addr;
	struct bt_reason why;
};

static bool admin(const struct call *k)
{
	return k->c->hello && k->c->admin;
}

/* ---- sockets of requests ---- */

static struct bt_ident ident(const struct daemon *d, uint32_t slot)
{
	const struct bt_row *r = d_row(d, slot);
	return (struct bt_ident){slot, r->gen, r->nonce};
}

/* The request names a socket that lives and is of the program's own host. */
static bool known(struct call *k)
{
	const struct bt_ident *id = &k->req->id;
	struct bt_port_info i;
	if (id->slot >= BT_MAX_ROWS || !bt_port_get(bt_net_ports(k->d->net), id->slot, &i))
		return false;
	const struct bt_row *r = d_row(k->d, id->slot);
	k->slot = id->slot;
	/* A socket that nobody holds any more only waits for its end. */
	if (bt_net_flags(k->d->net, k->slot) & BT_NETF_ORPHAN && k->req->type != BT_CONNECT_FAIL)
		return false;
	return r->gen == id->gen && r->nonce == id->nonce && i.host == k->c->host;
}

static bool same(const struct bt_ident *a, const struct bt_ident *b)
{
	return a->slot == b->slot && a->gen == b->gen && a->nonce == b->nonce;
}

/* The descriptor that came along is the socket's: by its own name, or for an accepted end by its
 * peer's. */
static bool proved(const struct call *k)
{
	struct sockaddr_un sun;
	struct bt_ident id, want = ident(k->d, k->slot);
	socklen_t len = sizeof(sun);
	if (k->proof < 0)
		return false;
	if (bt_net_flags(k->d->net, k->slot) & BT_NETF_CHILD) {
		uint32_t peer = bt_net_peer(k->d->net, k->slot);
		if (peer == BT_NO_SLOT || getpeername(k->proof, (struct sockaddr *)&sun, &len) < 0)
			return false;
		want = ident(k->d, peer);
	} else if (getsockname(k->proof, (struct sockaddr *)&sun, &len) < 0) {
		return false;
	}
	return bt_name_parse(&sun, len, k->d->netid, &id) && same(&id, &want);
}

static bool accepts_on(const struct conn *c, uint32_t listener)
{
	for (uint32_t i = 0; i < c->n_accepts && i < sizeof(c->accepts) / sizeof(c->accepts[0]);
	     i++)
		if (c->accepts[i].slot == listener)
			return true;
	return false;
}

/* known(), and the program is one that holds the socket. */
static bool held(struct call *k)
{
	if (!known(k))
		return false;
	if ((*d_owner(k->d, k->slot) & ~SUSPECT_BIT) == k->c->id)
		return true;
	uint32_t link = bt_net_link(k->d->net, k->slot);
	return accepts_on(k->c, link != BT_NO_SLOT ? link : k->slot) || proved(k);
}

/* Finds the request's socket, or makes the fresh one that it asks for. */
static int take(struct call *k)
{
	const struct bt_req *q = k->req;
	if (q->id.slot != BT_SLOT_NONE)
		return held(k) ? 0 : -ESTALE;
	if ((q->proto != BT_TCP && q->proto != BT_UDP) ||
	    (q->family != BT_V4 && q->family != BT_V6))
		return -EPROTO;
	int r = bt_net_sock(k->d->net, k->c->host, q->proto, q->family,
			    k->c->uid == 0 ? q->uid : k->c->uid, &k->slot);
	if (r < 0)
		return r == -ENFILE ? -ENFILE : -ENOMEM;
	k->fresh = true;
	k->c->owned++;
	bt_port_set_opts(bt_net_ports(k->d->net), k->slot, q->opts);
	d_identify(k->d, k->slot, k->c->pid, k->c->id);
	k->rep.flags |= BT_REPF_NEW;
	return 0;
}

/* A fresh socket whose request failed never was: the program's descriptor is still without a name.
 */
static int finish(struct call *k, int r)
{
	struct bt_port_info i;
	if (r < 0 && k->fresh) {
		bt_net_closed(k->d->net, k->slot, d_now());
		k->rep.flags &= (uint16_t)~BT_REPF_NEW;
		return r;
	}
	if (r == 0 && bt_port_get(bt_net_ports(k->d->net), k->slot, &i)) {
		k->rep.id = ident(k->d, k->slot);
		memcpy(k->rep.addr, i.laddr.b, 16);
		k->rep.port = i.lport;
	}
	return r;
}

static int call_ident(struct call *k)
{
	return finish(k, take(k));
}

/* The conflict is with a socket that the kernel does not know any more: its program died just now.
 */
static bool conflict_is_dead(struct call *k, int r)
{
	if (r != -EADDRINUSE || k->why.slot == BT_NO_SLOT || k->why.why == BT_WHY_IN_USE_TIME_WAIT)
		return false;
	uint32_t slot = k->why.slot;
	k->why.slot = BT_NO_SLOT;
	return d_dead(k->d, slot);
}

static int call_bind(struct call *k)
{
	int r = take(k);
	if (r == 0) {
		do
			r = bt_net_bind(k->d->net, k->slot, &k->addr, k->req->port,
					k->c->root && k->req->flags & BT_REQF_ROOT, d_now(),
					&k->why);
		while (conflict_is_dead(k, r));
	}
	return finish(k, r);
}

static int call_listen(struct call *k)
{
	int r = take(k);
	if (r == 0) {
		do
			r = bt_net_listen(k->d->net, k->slot, d_now(), &k->why);
		while (conflict_is_dead(k, r));
	}
	if (r == 0) {
		uint32_t n = k->req->value,
			 max = (uint32_t)bt_net_conf(k->d->net, k->c->host)->somaxconn;
		n = n < max ? n : max;
		d_row(k->d, k->slot)->backlog = (uint16_t)(n > UINT16_MAX ? UINT16_MAX : n);
	}
	return finish(k, r);
}

static int call_connect(struct call *k)
{
	uint32_t child, listener;
	int r = take(k);
	if (r == 0)
		r = bt_net_connect(k->d->net, k->slot, k->addr, k->req->port, d_now(), &child,
				   &listener, &k->why);
	if (r == 0 && child == BT_NO_SLOT) {
		k->rep.flags |= BT_REPF_SELF;
		d_count(k->d, BT_CNT_CONNECTS);
	} else if (r == 0) {
		const struct bt_row *l = d_row(k->d, listener);
		d_identify(k->d, child, l->pid, 0);
		k->rep.target = ident(k->d, listener);
		d_count(k->d, BT_CNT_CONNECTS);
	} else if (r == -ECONNREFUSED) {
		struct bt_addr tried;
		bt_net_tried(k->d->net, &tried, &k->rep.port);
		memcpy(k->rep.addr, tried.b, 16);
		d_count(k->d, BT_CNT_REFUSED);
	}
	return finish(k, r);
}

static int call_connect_fail(struct call *k)
{
	if (!held(k))
		return -ESTALE;
	bt_net_connect_undo(k->d->net, k->slot);
	return 0;
}

/* ---- UDP ---- */

static int call_udp_connect(struct call *k)
{
	int r = take(k);
	if (r == 0 && k->req->flags & BT_REQF_UNSPEC)
		bt_net_disconnect(k->d->net, k->slot);
	else if (r == 0)
		r = bt_net_udp_connect(k->d->net, k->slot, k->addr, k->req->port, d_now(), &k->why);
	return finish(k, r);
}

/* A socket bound to the wildcard sends straight from its own name only while its source address is
 * the one that its row tells; the first destination settles which. */
static bool other_source(struct daemon *d, uint32_t slot, const struct bt_addr *src)
{
	struct bt_port_info i;
	struct bt_row *r = d_row(d, slot);
	if (!bt_port_get(bt_net_ports(d->net), slot, &i) || !bt_addr_is_any(&i.laddr))
		return false;
	const struct bt_net_host *h = bt_net_host(d->net, i.host);
	uint16_t n = 1;
	for (uint16_t a = 0; a < h->n_addrs; a++)
		if (bt_addr_eq(&h->addrs[a].addr, src))
			n = (uint16_t)(a + 1);
	if (r->backlog == 0) {
		d_row_begin(r);
		r->backlog = n;
		d_row_end(r);
	}
	return r->backlog != n;
}

static int udp_route(struct call *k, uint32_t *target, struct bt_addr *src)
{
	int r = take(k);
	if (r == 0)
		r = bt_net_udp_route(k->d->net, k->slot, k->addr, k->req->port, d_now(), target,
				     src, &k->why);
	return finish(k, r);
}

static int call_udp_route(struct call *k)
{
	struct bt_addr src;
	uint32_t target;
	/* Read first: a change made while we look must make the answer old, not young. */
	k->rep.value = k->d->table->udp_epoch[bt_epoch_bucket(k->req->port)];
	int r = udp_route(k, &target, &src);
	if (r < 0)
		return r;
	d_publish(k->d); /* autobind may have bumped the epoch of our own port */
	if (bt_epoch_bucket(k->rep.port) == bt_epoch_bucket(k->req->port))
		k->rep.value = k->d->table->udp_epoch[bt_epoch_bucket(k->req->port)];
	k->rep.target.slot = BT_SLOT_NONE;
	if (target == BT_NO_SLOT) {
		d_count(k->d, BT_CNT_UDP_NOPORT);
		return 0;
	}
	k->rep.target = ident(k->d, target);
	if (other_source(k->d, k->slot, &src) || bt_net_flags(k->d->net, target) & BT_NETF_RELAY)
		k->rep.flags |= BT_REPF_RELAY;
	return 0;
}

static int call_udp_send(struct call *k)
{
	struct bt_addr src;
	uint32_t target;
	k->silent = !(k->req->flags & BT_REQF_SYNC);
	if (k->req->extra > 65527)
		return -EMSGSIZE;
	int r = udp_route(k, &target, &src);
	if (r < 0)
		return r;
	if (target == BT_NO_SLOT) {
		d_count(k->d, BT_CNT_UDP_NOPORT);
		return -ECONNREFUSED;
	}
	d_count(k->d, BT_CNT_UDP_RELAYED);
	d_relay(k->d, target, k->c->host, &src, k->rep.port, k->extra, k->req->extra);
	return 0;
}

/* ---- options and ends ---- */

static int call_opts(struct call *k)
{
	int r = take(k);
	if (r == 0) {
		bt_port_set_opts(bt_net_ports(k->d->net), k->slot, k->req->opts);
		bt_net_set_flag(k->d->net, k->slot, 0, true);
	}
	return finish(k, r);
}

static int call_setval(struct call *k)
{
	if (!held(k))
		return -ESTALE;
	if (k->req->flags == SOL_SOCKET && k->req->port == SO_RCVBUF) {
		uint32_t kib = k->req->value / 1024;
		d_row(k->d, k->slot)->rcvbuf_kib = (uint16_t)(kib > UINT16_MAX ? UINT16_MAX : kib);
		return 0;
	}
	if (k->req->flags == SOL_SOCKET && k->req->port == SO_BINDTODEVICE) {
		if (k->req->value > BT_NET_ADDRS)
			return -EPROTO;
		bt_port_set_dev(bt_net_ports(k->d->net), k->slot, (uint8_t)k->req->value);
		bt_net_set_flag(k->d->net, k->slot, 0, true);
		return 0;
	}
	if (k->req->flags == IPPROTO_IP && k->req->port == IP_LOCAL_PORT_RANGE) {
		int r = bt_port_set_range(bt_net_ports(k->d->net), k->slot, (uint16_t)k->req->value,
					  (uint16_t)(k->req->value >> 16));
		if (r < 0)
			return r;
	}
	return d_vals_set(k->slot, k->req->id.gen, k->req->flags, k->req->port, k->req->value);
}

static int call_getval(struct call *k)
{
	if (!known(k))
		return -ESTALE;
	int r = d_vals_get(k->slot, k->req->id.gen, k->req->flags, k->req->port, &k->rep.value);
	uint32_t link = bt_net_link(k->d->net, k->slot);
	if (r == -ENOENT && link != BT_NO_SLOT) /* an accepted end has what its listener had */
		r = d_vals_get(link, d_row(k->d, link)->gen, k->req->flags, k->req->port,
			       &k->rep.value);
	return r;
}

/* The program has read the peer's end, so the peer has shut, though its notice has not come yet: it
 * writes that after the fact, and the two programs do not wait for each other. */
static void peer_was_first(struct call *k)
{
	uint32_t peer = bt_net_peer(k->d->net, k->slot);
	struct bt_port_info own, other;
	if (k->req->flags & BT_REQF_END && peer != BT_NO_SLOT &&
	    bt_port_get(bt_net_ports(k->d->net), k->slot, &own) && own.state == BT_ESTABLISHED &&
	    bt_port_get(bt_net_ports(k->d->net), peer, &other) && other.state == BT_ESTABLISHED)
		bt_net_shut(k->d->net, peer, d_now());
}

static int call_shut(struct call *k)
{
	if (!held(k))
		return -ESTALE;
	peer_was_first(k);
	bt_net_shut(k->d->net, k->slot, d_now());
	return 0;
}

static int call_reset(struct call *k)
{
	if (!held(k))
		return -ESTALE;
	bt_net_reset(k->d->net, k->slot);
	return 0;
}

static int call_closed(struct call *k)
{
	if (!known(k))
		return 0; /* closed by both of two holders: the first notice was enough */
	if (k->req->flags & BT_REQF_END && held(k))
		peer_was_first(k);
	if (k->req->flags & BT_REQF_SOLE && held(k))
		bt_net_closed(k->d->net, k->slot, d_now());
	else
		d_verify(k->d, k->slot);
	return 0;
}

static int call_forged(struct call *k)
{
	d_count(k->d, BT_CNT_FORGED);
	return 0;
}

static int call_accepts(struct call *k)
{
	const uint32_t max = sizeof(k->c->accepts) / sizeof(k->c->accepts[0]);
	if (!known(k) || !proved(k))
		return -ESTALE;
	if (!accepts_on(k->c, k->slot))
		k->c->accepts[k->c->n_accepts++ % max] = k->req->id;
	return 0;
}

static int call_inbox(struct call *k)
{
	return d_inbox_open(k->d, k->c, k->proof, &k->rep.value);
}

static int call_knock(struct call *k)
{
	d_inbox_knock(k->d, k->c);
	return 0;
}

/* ---- settings ---- */

/* All of the host's, a line each: "name = value". */
static int all_settings(struct call *k, uint16_t host, char *text, size_t room)
{
	size_t n = 0;
	const char *name;
	for (unsigned i = 0; (name = bt_sysctl_name(i)) != NULL; i++) {
		int head = snprintf(text + n, room - n, "%s = ", name);
		int len = head < 0 || (size_t)head >= room - n
				  ? -ENOSPC
				  : bt_sysctl_get(k->d->net, host, name, text + n + head,
						  room - n - (size_t)head);
		if (len < 0)
			return len;
		n += (size_t)(head + len);
	}
	return (int)n;
}

static int call_sysctl(struct call *k)
{
	static char text[BT_MSG_MAX - sizeof(struct bt_rep)];
	uint16_t host = k->c->host;
	const char *name = (const char *)k->extra;
	size_t len = strnlen(name, k->req->extra);
	char key[128];
	int r;
	if (host == BT_NET_NO_HOST)
		host = k->req->value < BT_NET_NO_HOST ? (uint16_t)k->req->value : BT_NET_NO_HOST;
	if (bt_net_host(k->d->net, host) == NULL || len >= sizeof(key))
		return -ENOENT;
	memcpy(key, name, len);
	key[len] = '\0';
	if (k->req->flags & BT_REQF_WRITE) {
		if (len == k->req->extra) /* no NUL: no text */
			return -EPROTO;
		if (k->c->host != BT_NET_NO_HOST && !(k->c->root && k->req->flags & BT_REQF_ROOT))
			return bt_sysctl_get(k->d->net, host, key, text, sizeof(text)) == -ENOENT
				       ? -ENOENT
				       : -EACCES;
		r = bt_sysctl_set(k->d->net, host, key, name + len + 1, k->req->extra - len - 1);
		k->rep.value = r > 0 ? (uint32_t)r : 0;
		d_publish_host(k->d, host);
		return r < 0 ? r : 0;
	}
	r = len == 0 ? all_settings(k, host, text, sizeof(text))
		     : bt_sysctl_get(k->d->net, host, key, text, sizeof(text));
	if (r < 0)
		return r;
	k->rep_extra = text;
	k->rep.extra = (uint32_t)r;
	return 0;
}

/* ---- names ---- */

static int call_resolve(struct call *k)
{
	static uint8_t out[BT_NET_ADDRS][16];
	char name[BT_NET_NAME];
	if (k->req->extra == 0 || k->req->extra >= sizeof(name))
		return -ENOENT;
	memcpy(name, k->extra, k->req->extra);
	name[k->req->extra] = '\0';
	const struct bt_net_host *h = bt_net_host(k->d->net, bt_net_host_by_name(k->d->net, name));
	if (h == NULL)
		return -ENOENT;
	uint16_t n = 0;
	for (uint16_t i = h->n_addrs > 2 ? 2 : 0; i < h->n_addrs; i++)
		memcpy(out[n++], h->addrs[i].addr.b, 16);
	k->rep_extra = out;
	k->rep.extra = n * 16u;
	return 0;
}

static int call_reverse(struct call *k)
{
	uint16_t host = bt_addr_is_loopback(&k->addr) ? k->c->host
						      : bt_net_host_by_addr(k->d->net, &k->addr);
	const struct bt_net_host *h = bt_net_host(k->d->net, host);
	if (h == NULL)
		return -ENOENT;
	k->rep_extra = bt_addr_is_loopback(&k->addr) ? "localhost" : h->name;
	k->rep.extra = (uint32_t)strlen(k->rep_extra) + 1;
	return 0;
}

/* ---- hello and the command line ---- */

static int call_hello(struct call *k)
{
	struct daemon *d = k->d;
	uint64_t who, host;
	uint8_t good[BT_TOKEN_BYTES];
	if (k->c->hello)
		return -EPROTO;
	if (k->req->extra == BT_TOKEN_BYTES) {
		memcpy(&who, k->extra, sizeof(who));
		host = (uint16_t)who;
		d_mac(d, who, good);
		uint8_t differ = 0;
		for (size_t i = 0; i < sizeof(good); i++)
			differ |= (uint8_t)(good[i] ^ k->extra[i]);
		if (differ != 0 || host >= bt_net_hosts(d->net)) {
			d_count(d, BT_CNT_STRANGER);
			return -EACCES;
		}
		k->c->host = (uint16_t)host;
		k->c->root = !(who & BT_TOKEN_UNPRIVILEGED) && who >> 32 == k->c->uid;
		k->rep.value = (uint32_t)host;
	} else if (k->req->extra == 0 && (k->c->uid == 0 || k->c->uid == d->table->owner_uid)) {
		k->c->admin = true;
	} else {
		d_count(d, BT_CNT_STRANGER);
		return -EACCES;
	}
	k->c->hello = true;
	k->fd = d->table_ro_fd;
	return 0;
}

static int new_host(struct call *k, char *name, uint16_t *host)
{
	if (name[0] != '\0')
		return bt_net_host_add(k->d->net, name, host);
	int r;
	do {
		snprintf(name, BT_NET_NAME, "host%u", ++k->d->auto_host);
		r = bt_net_host_add(k->d->net, name, host);
	} while (r == -EEXIST);
	return r;
}

/* The next address of 10.64.0.0/16 that no host has. */
static int auto_addr(struct call *k, uint16_t host)
{
	uint16_t owner;
	for (uint32_t n = 1; n < 65534; n++) {
		struct bt_net_addr a = {
			.addr = bt_addr_v4(0x0a400000u + n), .bits = 16, .family = BT_V4};
		if ((n & 255) == 0 || (n & 255) == 255 ||
		    bt_net_host_by_addr(k->d->net, &a.addr) != BT_NET_NO_HOST)
			continue;
		return bt_net_addr_add(k->d->net, host, &a, &owner);
	}
	return -ENOSPC;
}

static int call_host_open(struct call *k)
{
	static uint8_t token[BT_TOKEN_BYTES];
	struct daemon *d = k->d;
	struct bt_host_open open;
	uint16_t host, owner;
	if (k->req->extra != sizeof(open))
		return -EPROTO;
	memcpy(&open, k->extra, sizeof(open));
	open.name[sizeof(open.name) - 1] = '\0';
	if (open.n_addrs > BT_HOST_ADDRS || open.unprivileged > 1)
		return -EPROTO;
	/* All or nothing: who has the addresses is asked before the host is made. */
	uint16_t old = bt_net_host_by_name(d->net, open.name);
	struct bt_net_addr a[BT_HOST_ADDRS];
	for (uint16_t i = 0; i < open.n_addrs; i++) {
		memcpy(a[i].addr.b, open.addrs[i].addr, 16);
		a[i].bits = open.addrs[i].bits;
		a[i].family = open.addrs[i].family;
		owner = bt_net_host_by_addr(d->net, &a[i].addr);
		if (owner != BT_NET_NO_HOST && owner != old) {
			k->rep_extra = bt_net_host(d->net, owner)->name;
			k->rep.extra = (uint32_t)strlen(k->rep_extra) + 1;
			return -EADDRINUSE;
		}
	}
	int r = new_host(k, open.name, &host);
	if (r < 0 && r != -EEXIST)
		return r;
	bool made = r == 0;
	r = 0;
	for (uint16_t i = 0; i < open.n_addrs && r == 0; i++)
		r = bt_net_addr_add(d->net, host, &a[i], &owner);
	if (made && open.n_addrs == 0)
		r = auto_addr(k, host);
	d_publish_host(d, host);
	if (r < 0)
		return r;
	d_launch(d, k->c->pid);
	d_mac(d, host | (open.unprivileged ? BT_TOKEN_UNPRIVILEGED : 0) | (uint64_t)k->c->uid << 32,
	      token);
	k->rep.value = host;
	k->rep_extra = token;
	k->rep.extra = sizeof(token);
	return 0;
}

static int call_sync(struct call *k)
{
	return d_sweep(k->d);
}

static int call_down(struct call *k)
{
	for (struct conn *c = k->d->conns; c != NULL; c = c->next)
		if (c->host != BT_NET_NO_HOST && !(k->req->flags & BT_REQF_FORCE))
			return -EBUSY;
	if (k->d->launches != NULL && !(k->req->flags & BT_REQF_FORCE))
		return -EBUSY;
	d_serve_close(k->d);
	return 0;
}

static const struct {
	int (*run)(struct call *);
	enum { ANYONE, PROGRAM, COMMAND, EITHER } who;
	bool notice;
} calls[BT_MSG_TYPES] = {
	[BT_HELLO] = {call_hello, ANYONE, false},
	[BT_IDENT] = {call_ident, PROGRAM, false},
	[BT_BIND] = {call_bind, PROGRAM, false},
	[BT_LISTEN_ON] = {call_listen, PROGRAM, false},
	[BT_CONNECT] = {call_connect, PROGRAM, false},
	[BT_CONNECT_FAIL] = {call_connect_fail, PROGRAM, true},
	[BT_UDP_CONNECT] = {call_udp_connect, PROGRAM, false},
	[BT_UDP_ROUTE] = {call_udp_route, PROGRAM, false},
	[BT_UDP_SEND] = {call_udp_send, PROGRAM, false},
	[BT_OPTS] = {call_opts, PROGRAM, false},
	[BT_SETVAL] = {call_setval, PROGRAM, true},
	[BT_GETVAL] = {call_getval, PROGRAM, false},
	[BT_SHUT] = {call_shut, PROGRAM, true},
	[BT_RESET] = {call_reset, PROGRAM, false},
	[BT_CLOSED] = {call_closed, PROGRAM, true},
	[BT_FORGED] = {call_forged, PROGRAM, true},
	[BT_ACCEPTS] = {call_accepts, PROGRAM, true},
	[BT_INBOX] = {call_inbox, PROGRAM, false},
	[BT_KNOCK] = {call_knock, PROGRAM, true},
	[BT_SYSCTL] = {call_sysctl, EITHER, false},
	[BT_RESOLVE] = {call_resolve, EITHER, false},
	[BT_REVERSE] = {call_reverse, EITHER, false},
	[BT_HOST_OPEN] = {call_host_open, COMMAND, false},
	[BT_SYNC] = {call_sync, COMMAND, false},
	[BT_DOWN] = {call_down, COMMAND, false},
};

static bool allowed(const struct call *k)
{
	if (calls[k->req->type].who == ANYONE)
		return true;
	if (!k->c->hello)
		return false;
	if (calls[k->req->type].who == PROGRAM)
		return k->c->host != BT_NET_NO_HOST;
	return calls[k->req->type].who == EITHER || admin(k);
}

void d_call(struct daemon *d, struct conn *c, const struct bt_req *req, const uint8_t *extra,
	    int proof)
{
	struct call k = {.d = d, .c = c, .req = req, .extra = extra, .proof = proof, .fd = -1};
	k.rep.version = BT_MSG_VERSION;
	k.rep.type = req->type;
	k.rep.serial = req->serial;
	k.rep.id.slot = k.rep.target.slot = BT_SLOT_NONE;
	memcpy(k.addr.b, req->addr, 16);
	k.silent = calls[req->type].notice;
	int r = -EPERM;
	if (calls[req->type].run != NULL && allowed(&k))
		r = calls[req->type].run(&k);
	if (r == -EPROTO || r == -ESTALE || r == -EPERM)
		d_count(d, BT_CNT_MALFORMED);
	d_publish(d);
	if (k.silent)
		return;
	k.rep.err = -r;
	d_reply(c, &k.rep, k.rep_extra, k.fd);
}

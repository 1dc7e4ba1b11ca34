/* SPDX-License-Identifier: Apache-2.0 */
/* What each message does. Every field that came from outside is checked here or in lib/, and an
 * error changes nothing but a counter. */
#include "calls.h"

#include "errors.h"
#include "filter.h"
#include "vals.h"
#include "wire.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool admin(const struct call *k)
{
	return k->c->hello && k->c->admin;
}

/* ---- sockets of requests ---- */

struct bt_ident d_ident(const struct daemon *d, uint32_t slot)
{
	const struct bt_row *r = d_row(d, slot);
	return (struct bt_ident){slot, r->gen, r->nonce};
}

/* The request names a socket that lives and is of the program's own host. */
bool d_known(struct call *k)
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
	struct bt_ident id, want = d_ident(k->d, k->slot);
	socklen_t len = sizeof(sun);
	if (k->proof < 0)
		return false;
	if (bt_net_flags(k->d->net, k->slot) & BT_NETF_CHILD) {
		uint32_t peer = bt_net_peer(k->d->net, k->slot);
		if (peer == BT_NO_SLOT || getpeername(k->proof, (struct sockaddr *)&sun, &len) < 0)
			return false;
		want = d_ident(k->d, peer);
	} else if (getsockname(k->proof, (struct sockaddr *)&sun, &len) < 0) {
		return false;
	}
	return bt_name_parse_peer(&sun, len, k->d->netid, &id) && same(&id, &want);
}

static bool accepts_on(const struct conn *c, uint32_t listener)
{
	for (uint32_t i = 0; i < c->n_accepts && i < sizeof(c->accepts) / sizeof(c->accepts[0]);
	     i++)
		if (c->accepts[i].slot == listener)
			return true;
	return false;
}

/* d_known(), and the program is one that holds the socket. */
bool d_held(struct call *k)
{
	if (!d_known(k))
		return false;
	if ((*d_owner(k->d, k->slot) & ~SUSPECT_BIT) == k->c->id)
		return true;
	uint32_t link = bt_net_link(k->d->net, k->slot);
	return accepts_on(k->c, link != BT_NO_SLOT ? link : k->slot) || proved(k);
}

/* Finds the request's socket, or makes the fresh one that it asks for. */
int d_take(struct call *k)
{
	const struct bt_req *q = k->req;
	if (d_heirs()) /* whose sockets may have lost their last holder */
		d_heirs_look(k->d);
	if (q->id.slot != BT_SLOT_NONE)
		return d_held(k) ? 0 : -ESTALE;
	if ((q->proto != BT_TCP && q->proto != BT_UDP && q->proto != BT_ECHO) ||
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
	if (q->proto == BT_ECHO)
		return d_ping_make(k->d, k->slot) < 0 ? -ENOMEM : 0;
	return 0;
}

bool d_is_ping(const struct call *k)
{
	struct bt_port_info i;
	return bt_port_get(bt_net_ports(k->d->net), k->slot, &i) && i.proto == BT_ECHO;
}

/* So many abstract names make chains of 8 in the kernel; a file takes 4 us, however many there are.
 */
#define NAMES_MANY 2048u

/* Beyond so many a socket that others will hardly join has a file for a name. What binds a port of
 * its choice, or listens, is joined often. */
static void name_kind(struct call *k)
{
	const struct bt_req *q = k->req;
	if (!k->fresh || k->d->n_named <= NAMES_MANY || k->d->table->names[0] == '\0' ||
	    q->type == BT_LISTEN_ON || (q->type == BT_BIND && q->port != 0))
		return;
	d_row(k->d, k->slot)->marks |= BT_ROWM_PATH;
	k->rep.flags |= BT_REPF_PATH;
}

/* A fresh socket whose request failed never was: the program's descriptor is still without a name.
 * But one that was refused has a port to show. */
int d_finish(struct call *k, int r)
{
	struct bt_port_info i;
	if (r < 0 && k->fresh && r != -ECONNREFUSED) {
		bt_net_closed(k->d->net, k->slot, d_now());
		k->rep.flags &= (uint16_t)~BT_REPF_NEW;
		return r;
	}
	if (r == 0 || r == -ECONNREFUSED)
		name_kind(k);
	if ((r == 0 || r == -ECONNREFUSED) && bt_port_get(bt_net_ports(k->d->net), k->slot, &i)) {
		k->rep.id = d_ident(k->d, k->slot);
		memcpy(k->rep.addr, i.laddr.b, 16);
		k->rep.port = i.lport;
	}
	return r;
}

static int call_ident(struct call *k)
{
	return d_finish(k, d_take(k));
}

/* The conflict is with a socket that the kernel does not know any more: its program died just now.
 */
static bool conflict_is_dead(struct call *k, int r)
{
	if (r != -EADDRINUSE || k->why.slot == BT_NO_SLOT || k->why.why == BT_WHY_IN_USE_TIME_WAIT)
		return false;
	return d_dead(k->d, k->why.slot);
}

int d_try_bind(struct call *k, bool root)
{
	int r;
	do
		r = bt_net_bind(k->d->net, k->slot, &k->addr, k->req->port, root, d_now(), &k->why);
	while (conflict_is_dead(k, r));
	return r;
}

int d_try_listen(struct call *k)
{
	int r;
	do
		r = bt_net_listen(k->d->net, k->slot, d_now(), &k->why);
	while (conflict_is_dead(k, r));
	return r;
}

/* Where the socket's connection is in TIME_WAIT, that goes on without it. */
static void part(struct call *k)
{
	uint32_t waits;
	if (bt_net_part(k->d->net, k->slot, &waits) == 0)
		d_identify(k->d, waits, 0, 0);
}

static int call_bind(struct call *k)
{
	int r = d_take(k);
	if (r == 0 && d_is_ping(k)) {
		r = d_ping_bind(k->d, k->slot, &k->addr, k->req->port);
	} else if (r == 0) {
		part(k);
		r = d_try_bind(k, k->c->root && k->req->flags & BT_REQF_ROOT);
	}
	if (r == 0) /* publishing tells what it has now: also nothing, without a port */
		d_row(k->d, k->slot)->lport = 0;
	return d_finish(k, r);
}

static int call_listen(struct call *k)
{
	int r = d_take(k);
	if (r == 0)
		r = d_is_ping(k) ? -EOPNOTSUPP : d_try_listen(k);
	if (r == 0) {
		uint32_t n = k->req->value,
			 max = (uint32_t)bt_net_conf(k->d->net, k->c->host)->somaxconn;
		n = n < max ? n : max;
		d_row(k->d, k->slot)->backlog = (uint16_t)(n > UINT16_MAX ? UINT16_MAX : n);
	}
	/* Nobody may be sent to a listener at which the kernel turns them away. */
	if (r == 0 && proved(k))
		listen(k->proof, BT_LISTEN_QUEUE);
	return d_finish(k, r);
}

/* What getsockname shows of an attempt that has failed: the port, though it is free again; and the
 * address until a call tells the outcome. */
static void show_tried(struct call *k)
{
	struct bt_addr tried;
	struct bt_row *row = d_row(k->d, k->slot);
	uint16_t port;
	bt_net_tried(k->d->net, &tried, &port);
	d_row_begin(row);
	row->lport = port;
	d_row_end(row);
	if (!(k->req->flags & BT_REQF_ASYNC))
		bt_net_told(k->d->net, k->slot);
}

/* What a later call will tell; other errors this one does. */
static void started(struct call *k, int r)
{
	if (k->req->flags & BT_REQF_ASYNC && (r == 0 || r == -ECONNREFUSED || r == -EHOSTUNREACH))
		d_row(k->d, k->slot)->marks |= BT_ROWM_STARTED;
}

/* Its bytes will travel in packets. */
static int connect_wire(struct call *k, struct d_passage *p)
{
	struct bt_port_info i;
	int r = d_wire_open(k->d);
	if (r == 0)
		r = bt_net_connect_wire(k->d->net, k->slot, k->addr, k->req->port, d_now(),
					&k->why);
	k->rep.flags |= BT_REPF_WIRE;
	started(k, r);
	if (r == 0 && k->d->n_filters > 0 && bt_port_get(bt_net_ports(k->d->net), k->slot, &i)) {
		p->sport = i.lport;
		d_filter_tell(k, p);
	}
	return d_finish(k, r);
}

/* A filter has to see its packets. */
static bool filtered(struct call *k, struct d_passage *p)
{
	struct bt_port_info i;
	if (bt_port_get(bt_net_ports(k->d->net), k->slot, &i))
		p->sport = i.lport;
	return !d_filter_direct(k->d, p);
}

static int call_connect(struct call *k)
{
	uint32_t child, listener;
	struct d_passage p = {
		.from = k->c->host, .proto = BT_TCP, .dst = k->addr, .dport = k->req->port};
	int r = d_take(k);
	if (r == 0 && bt_net_to(k->d->net, k->slot, &p.dst, &p.src, &p.to) == 0 &&
	    (d_wired(k->d, p.from, p.to) || (k->d->n_filters > 0 && filtered(k, &p))))
		return connect_wire(k, &p);
	if (r == 0)
		r = bt_net_connect(k->d->net, k->slot, k->addr, k->req->port, d_now(), &child,
				   &listener, &k->why);
	if (r == 0 && child == BT_NO_SLOT) {
		k->rep.flags |= BT_REPF_SELF;
		d_count(k->d, BT_CNT_CONNECTS);
	} else if (r == 0) {
		const struct bt_row *l = d_row(k->d, listener);
		d_identify(k->d, child, l->pid, 0);
		k->rep.flags |= l->marks & BT_ROWM_PATH ? BT_REPF_TARGET_PATH : 0;
		k->rep.target = d_ident(k->d, listener);
		d_count(k->d, BT_CNT_CONNECTS);
	} else if (r == -ECONNREFUSED) {
		show_tried(k);
		d_count(k->d, BT_CNT_REFUSED);
	}
	started(k, r);
	return d_finish(k, r);
}

static int call_connect_fail(struct call *k)
{
	if (!d_held(k))
		return -ESTALE;
	uint32_t child = bt_net_peer(k->d->net, k->slot);
	if (k->req->value == EAGAIN && child != BT_NO_SLOT)
		d_refused(k, ETIMEDOUT, bt_net_link(k->d->net, child));
	bt_net_connect_undo(k->d->net, k->slot);
	bt_net_wire_state(k->d->net, k->slot, BT_CLOSE, d_now());
	if (!(d_row(k->d, k->slot)->marks & BT_ROWM_STARTED))
		bt_net_told(k->d->net, k->slot);
	return 0;
}

static int call_told(struct call *k)
{
	if (!d_held(k))
		return -ESTALE;
	d_row(k->d, k->slot)->marks &= (uint8_t)~BT_ROWM_STARTED;
	if (k->req->value != 0)
		bt_net_told(k->d->net, k->slot);
	return 0;
}

static int call_join(struct call *k)
{
	if (k->req->id.slot == BT_SLOT_NONE || !d_known(k) || !proved(k))
		return -ESTALE;
	uint32_t peer = bt_net_peer(k->d->net, k->slot),
		 listener = peer == BT_NO_SLOT ? peer : bt_net_link(k->d->net, peer);
	int flags = fcntl(k->proof, F_GETFL);
	if (listener == BT_NO_SLOT || flags < 0)
		return -ECONNREFUSED;
	/* berthd waits for nobody; a full queue is the program's to tell */
	fcntl(k->proof, F_SETFL, flags | O_NONBLOCK);
	int r = d_join(k->d, k->proof, listener) == 0 ? 0 : -errno;
	fcntl(k->proof, F_SETFL, flags);
	return r;
}

/* ---- ends ---- */

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
	if (!d_held(k))
		return -ESTALE;
	peer_was_first(k);
	d_row(k->d, k->slot)->marks &= (uint8_t)~BT_ROWM_STARTED;
	bt_net_shut(k->d->net, k->slot, d_now());
	return 0;
}

static int call_reset(struct call *k)
{
	if (!d_held(k))
		return -ESTALE;
	if (k->req->value != 0)
		bt_net_reset_came(k->d->net, k->slot);
	else
		bt_net_reset(k->d->net, k->slot);
	d_carry_reset(k->d, k->slot);
	return 0;
}

static int call_disconnect(struct call *k)
{
	uint32_t fresh;
	if (!d_held(k))
		return -ESTALE;
	if (d_row(k->d, k->slot)->proto != BT_TCP)
		return -EPROTO;
	const struct bt_ident old = d_ident(k->d, k->slot);
	uint16_t shown = d_row(k->d, k->slot)->lport;
	bool named = !(bt_net_flags(k->d->net, k->slot) & BT_NETF_CHILD);
	bool by_path = d_row(k->d, k->slot)->marks & BT_ROWM_PATH;
	part(k);
	int r = bt_net_renew(k->d->net, k->slot, d_now(), &fresh);
	if (r < 0)
		return r;
	d_identify(k->d, fresh, k->c->pid, k->c->id);
	d_row(k->d, fresh)->lport = shown;
	k->c->owned++;
	d_vals_move(k->slot, k->req->id.gen, fresh, d_row(k->d, fresh)->gen);
	k->slot = fresh;
	k->rep.flags |= BT_REPF_NEW;
	const struct bt_ident now = d_ident(k->d, fresh);
	if (named && k->req->value != 0)
		d_heir_expect(k->c->host, &old, by_path, &now);
	return d_finish(k, 0);
}

static int call_heir(struct call *k)
{
	if (!d_held(k) || !proved(k))
		return -ESTALE;
	d_heir_keep(k->d, &k->req->id, k->proof);
	return 0;
}

static int call_successor(struct call *k)
{
	struct sockaddr_un sun;
	struct bt_ident id;
	socklen_t len = sizeof(sun);
	if (k->proof < 0 || getsockname(k->proof, (struct sockaddr *)&sun, &len) < 0 ||
	    !bt_name_parse(&sun, len, k->d->netid, &id) || !same(&id, &k->req->id))
		return -EPERM;
	k->fd = d_heir_find(k->c->host, &id, &k->rep.id);
	return k->fd < 0 ? -ENOENT : 0;
}

static int call_unread(struct call *k)
{
	if (!d_held(k))
		return -ESTALE;
	bt_net_unread(k->d->net, k->slot, true);
	return 0;
}

static int call_closed(struct call *k)
{
	if (!d_known(k)) {
		if (d_heir_of(&k->req->id))
			d_sweep_soon(k->d);
		return 0; /* closed by both of two holders: the first notice was enough */
	}
	if (k->req->flags & BT_REQF_END && d_held(k))
		peer_was_first(k);
	if (k->req->flags & BT_REQF_SOLE && d_held(k))
		bt_net_closed(k->d->net, k->slot, d_now());
	else
		d_verify(k->d, k->slot);
	bt_net_unread(k->d->net, k->slot, false); /* others hold it, and may read */
	if (bt_net_is_wire(k->d->net, k->slot))
		d_carry_closed(k->d, k->slot);
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
	if (!d_known(k) || !proved(k))
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

static int call_meter(struct call *k)
{
	return d_meter_open(k->c, k->proof);
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
	[BT_HELLO] = {d_call_hello, ANYONE, false},
	[BT_IDENT] = {call_ident, PROGRAM, false},
	[BT_BIND] = {call_bind, PROGRAM, false},
	[BT_LISTEN_ON] = {call_listen, PROGRAM, false},
	[BT_CONNECT] = {call_connect, PROGRAM, false},
	[BT_CONNECT_FAIL] = {call_connect_fail, PROGRAM, true},
	[BT_JOIN] = {call_join, PROGRAM, false},
	[BT_TOLD] = {call_told, PROGRAM, false},
	[BT_UDP_CONNECT] = {d_call_udp_connect, PROGRAM, false},
	[BT_UDP_ROUTE] = {d_call_udp_route, PROGRAM, false},
	[BT_UDP_SEND] = {d_call_udp_send, PROGRAM, false},
	[BT_OPTS] = {d_call_opts, PROGRAM, false},
	[BT_SETVAL] = {d_call_setval, PROGRAM, true},
	[BT_GETVAL] = {d_call_getval, PROGRAM, false},
	[BT_GROUP] = {d_call_group, PROGRAM, false},
	[BT_ERRQUEUE] = {d_call_errqueue, PROGRAM, false},
	[BT_TCP_INFO] = {d_call_tcp_info, PROGRAM, false},
	[BT_SHUT] = {call_shut, PROGRAM, true},
	[BT_RESET] = {call_reset, PROGRAM, false},
	[BT_DISCONNECT] = {call_disconnect, PROGRAM, false},
	[BT_HEIR] = {call_heir, PROGRAM, true},
	[BT_SUCCESSOR] = {call_successor, PROGRAM, false},
	[BT_UNREAD] = {call_unread, PROGRAM, false},
	[BT_CLOSED] = {call_closed, PROGRAM, true},
	[BT_FORGED] = {call_forged, PROGRAM, true},
	[BT_ACCEPTS] = {call_accepts, PROGRAM, true},
	[BT_INBOX] = {call_inbox, PROGRAM, false},
	[BT_KNOCK] = {call_knock, PROGRAM, true},
	[BT_METER] = {call_meter, PROGRAM, false},
	[BT_SYSCTL] = {d_call_sysctl, EITHER, false},
	[BT_RESOLVE] = {d_call_resolve, EITHER, false},
	[BT_REVERSE] = {d_call_reverse, EITHER, false},
	[BT_HOST_OPEN] = {d_call_host_open, COMMAND, false},
	[BT_LINK_SET] = {d_call_link_set, COMMAND, false},
	[BT_LINK_SHOW] = {d_call_link_show, COMMAND, false},
	[BT_LINK_CLEAR] = {d_call_link_clear, COMMAND, false},
	[BT_TAP_SET] = {d_call_tap_set, COMMAND, false},
	[BT_PING] = {d_call_ping, COMMAND, false},
	[BT_CAPTURE] = {d_call_capture, COMMAND, false},
	[BT_EXPLAIN] = {d_call_explain, COMMAND, false},
	[BT_FILTER] = {d_call_filter, COMMAND, false},
	[BT_MAY_BIND] = {d_call_may_bind, COMMAND, false},
	[BT_SYNC] = {call_sync, COMMAND, false},
	[BT_DOWN] = {call_down, COMMAND, false},
	[BT_TALLY] = {d_call_tally, COMMAND, false},
	[BT_COUNTS] = {d_call_counts, COMMAND, false},
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
	k.why.slot = BT_NO_SLOT;
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
	d_called(&k, r);
	if (proof >= 0)
		close(proof);
	if (k.silent)
		return;
	k.rep.err = -r;
	d_reply(c, &k.rep, k.rep_extra, k.fd);
	if (k.close_fd)
		close(k.fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How connections in packets begin: programs that join, connections that come for listeners. */
#include "../proto/events.h"
#include "carry.h"
#include "tap.h"
#include "vals.h"

#include "../lib/engine/engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct carry *new_carry(struct daemon *d, uint32_t slot, int fd, berth_socket s)
{
	const int on = 1;
	struct carry *c = calloc(1, sizeof(*c));
	if (c == NULL || uv_poll_init(&d->loop, &c->poll, fd) < 0) {
		free(c);
		return NULL;
	}
	/* Urgent bytes keep their places, both ways. */
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	berth_set(d_wire_engine(d), s, BERTH_SO_OOBINLINE, 1, d_now());
	c->poll.data = c;
	c->polled = true;
	c->d = d;
	c->slot = slot;
	c->fd = fd;
	c->socket = s;
	c->carrier = bt_engine_slot(d_wire_engine(d), s);
	bt_port_get(d_wire_ports(d), c->carrier, &c->tuple);
	d_carry_add(c);
	berth_set_user(d_wire_engine(d), s, (uint64_t)D_WIRE_END << 32 | slot);
	return c;
}

/* The queue that what has been received waits in (carry_options.c). */
static void bound_queue(const struct carry *c, uint32_t rcvbuf)
{
	const int bytes = (int)(rcvbuf / 2);
	if (c->fd >= 0)
		setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* slot: of who has set the buffer, or its listener. */
static void limit_queue(const struct carry *c, uint32_t slot)
{
	uint32_t bytes;
	if (d_vals_get(slot, d_row(c->d, slot)->gen, SOL_SOCKET, SO_RCVBUF, &bytes) == 0)
		bound_queue(c, bytes);
}

berth_socket d_carry_socket(struct daemon *d, uint32_t slot)
{
	const struct carry *c = d_carry_find(slot);
	return c != NULL ? c->socket : d_wire_listener(d, slot);
}

void d_carry_set(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value)
{
	struct carry *c = d_carry_find(slot);
	berth_socket s = d_carry_socket(d, slot);
	if (s == 0)
		return;
	/* What was said before is sent as it was then. */
	if (c != NULL && !c->connecting && c->fd >= 0)
		d_carry_take_in(c);
	if (c != NULL && level == SOL_SOCKET && name == SO_RCVBUF)
		bound_queue(c, value);
	if (c == NULL || c->socket != 0)
		d_carry_option(d, s, level, name, value);
	if (c != NULL)
		d_carry_watch(c);
	d_wire_turn(d);
}

static struct berth_endpoint endpoint(const struct bt_addr *a, uint16_t port)
{
	struct berth_endpoint e = {.port = port};
	memcpy(e.addr.b, a->b, 16);
	return e;
}

/* The engine's socket for the client's end. 0 or a berth_error. */
static int open_client(struct daemon *d, uint32_t slot, const struct bt_port_info *i,
		       berth_socket *s)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint local = endpoint(&i->laddr, i->lport),
			      remote = endpoint(&i->raddr, i->rport);
	uint64_t now = d_now();
	int r = berth_open(b, d_wire_host(d, i->host), BERTH_TCP, bt_addr_is_v4(&i->laddr) ? 4 : 6,
			   s);
	if (r < 0)
		return r;
	/* One local port may serve many destinations; the network has decided that already. */
	berth_set(b, *s, BERTH_SO_REUSEADDR, 1, now);
	r = berth_bind(b, *s, &local, now);
	d_carry_options(d, slot, *s);
	if (r == 0)
		r = berth_connect(b, *s, &remote, now);
	if (r < 0 && r != BERTH_EINPROGRESS) {
		berth_close(b, *s, now);
		return r;
	}
	return 0;
}

/* Who may join: the name of a socket that was told to, and has not yet. */
static bool expected(struct daemon *d, int fd, uint32_t *slot)
{
	struct sockaddr_un sun;
	struct bt_ident id;
	socklen_t len = sizeof(sun);
	if (getpeername(fd, (struct sockaddr *)&sun, &len) < 0 ||
	    !bt_name_parse(&sun, len, d->netid, &id) || id.slot >= BT_MAX_ROWS)
		return false;
	const struct bt_row *r = d_row(d, id.slot);
	*slot = id.slot;
	return r->gen == id.gen && r->nonce == id.nonce && bt_net_is_wire(d->net, id.slot) &&
	       r->state == BT_ROW_SYN_SENT && d_carry_find(id.slot) == NULL;
}

static void on_join(uv_poll_t *h, int status, int events)
{
	struct daemon *d = h->loop->data;
	struct bt_port_info i;
	uint32_t slot;
	berth_socket s;
	(void)status;
	(void)events;
	int fd = accept4(d->wire_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (d_wire_engine(d) == NULL || !expected(d, fd, &slot) ||
	    !bt_port_get(bt_net_ports(d->net), slot, &i)) {
		close(fd);
		return;
	}
	int r = open_client(d, slot, &i, &s);
	struct carry *c = r == 0 ? new_carry(d, slot, fd, s) : NULL;
	if (c == NULL) {
		if (r == 0)
			berth_abort(d_wire_engine(d), s, d_now());
		d_vals_set(slot, d_row(d, slot)->gen, SOL_SOCKET, SO_ERROR,
			   r == 0 ? ENOMEM : (uint32_t)-r);
		bt_net_wire_state(d->net, slot, BT_CLOSE, d_now());
		d_publish(d);
		close(fd);
		return;
	}
	limit_queue(c, slot);
	c->connecting = true;
	c->plug = d->table->plug_bytes;
	d_carry_watch(c);
	d_carry_changing(c);
	d_wire_turn(d);
	d_publish(d);
	d_settle(d);
}

/* The slot of the other end, where that is of this network. */
static uint32_t other_end(struct daemon *d, const struct bt_addr *laddr, uint16_t lport,
			  const struct bt_addr *raddr, uint16_t rport)
{
	uint16_t host = bt_net_host_by_addr(d->net, raddr);
	if (host == BT_NET_NO_HOST)
		return BT_NO_SLOT;
	struct bt_port_info i;
	uint32_t slot = bt_port_lookup(bt_net_ports(d->net), host, BT_TCP, raddr, rport, laddr,
				       lport, BT_DEV_LO);
	return slot != BT_NO_SLOT && bt_net_is_wire(d->net, slot) &&
			       bt_port_get(bt_net_ports(d->net), slot, &i) && i.rport == lport
		       ? slot
		       : BT_NO_SLOT;
}

/* Joins the listener's descriptor, in the client's place. -1 and errno. */
static int join_listener(struct daemon *d, uint32_t listener, uint32_t client)
{
	const struct bt_row *c = d_row(d, client);
	const struct bt_ident from = {client, c->gen, c->nonce};
	struct sockaddr_un far_name;
	socklen_t far_len = bt_name_far(&far_name, d->netid, &from);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&far_name, far_len) < 0 || d_join(d, fd, listener) < 0) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* A connection has come for a listener of a program. */
void d_carry_accepted(struct daemon *d, uint32_t listener, berth_socket s)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint local, remote;
	struct bt_addr laddr, raddr;
	struct bt_reason why;
	uint32_t child, client = BT_NO_SLOT, stranger = BT_NO_SLOT;
	int r = berth_name(b, s, &local, &remote);
	if (r == 0) {
		memcpy(laddr.b, local.addr.b, 16);
		memcpy(raddr.b, remote.addr.b, 16);
		client = other_end(d, &laddr, local.port, &raddr, remote.port);
		if (client == BT_NO_SLOT)
			client = stranger = d_stranger(d, listener, &raddr);
		r = client == BT_NO_SLOT ? -ENOENT
					 : bt_net_accept_wire(d->net, listener, &laddr, &raddr,
							      remote.port, client, &child, &why);
	}
	if (r < 0) {
		d_stranger_gone(d, stranger);
		berth_abort(b, s, d_now());
		return;
	}
	d_identify(d, child, d_row(d, listener)->pid, 0);
	d_publish(d); /* whoever accepts it looks at the row */
	int fd = join_listener(d, listener, client);
	struct carry *c = fd < 0 ? NULL : new_carry(d, child, fd, s);
	if (c == NULL) { /* a full queue: as if the segment that ended the handshake were lost */
		if (fd >= 0)
			close(fd);
		berth_abort(b, s, d_now());
		bt_net_wire_state(d->net, child, BT_CLOSE, d_now());
		bt_net_closed(d->net, child, d_now());
		return;
	}
	d_event(d, BT_EVENT_ACCEPT, child, d_row(d, child));
	limit_queue(c, listener);
	d_carry_changing(c);
	d_carry_hand_on(c);
	d_carry_watch(c);
}

void d_carry_reset(struct daemon *d, uint32_t slot)
{
	struct carry *c = d_carry_find(slot);
	if (c == NULL || c->socket == 0)
		return;
	berth_abort(d_wire_engine(d), c->socket, d_now());
	c->socket = 0;
	d_carry_end(c);
	d_wire_turn(d);
}

/* How much the smallest send buffer holds. */
static uint32_t measure_plug(void)
{
	static const uint8_t plug[BT_PLUG_MAX];
	const int least = 0;
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	ssize_t n = send(fds[0], plug, sizeof(plug), MSG_DONTWAIT);
	close(fds[0]);
	close(fds[1]);
	return n > 0 ? (uint32_t)n : 0;
}

int d_carry_open(struct daemon *d)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_wire(&sun, d->netid);
	d->wire_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->wire_fd < 0 || bind(d->wire_fd, (struct sockaddr *)&sun, len) < 0 ||
	    listen(d->wire_fd, 4096) < 0)
		return -errno;
	d->table->plug_bytes = measure_plug();
	int r = uv_poll_init(&d->loop, &d->wire_listener, d->wire_fd);
	return r == 0 ? uv_poll_start(&d->wire_listener, UV_READABLE, on_join) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a program's descriptor and the engine's socket of the same connection. Back-pressure goes
 * both ways: the descriptor is read while the engine has room, and what the engine has received is
 * handed on while the descriptor has, so that the window closes when the program does not read.
 * Nothing is kept here but the plug's rest: bytes are read into the engine's buffer and written
 * from it.
 *
 * A descriptor's end of file is the program's FIN; a hang-up besides, that it has closed: what it
 * has left unread makes a reset of that (RFC 2525 2.17), which the kernel tells as ECONNRESET. The
 * peer's FIN becomes a shutdown of the descriptor, its reset the row's word and the end.
 */
#include "vals.h"
#include "wire.h"

#include "../lib/engine/engine.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_BYTES (256u * 1024) /* of one connection before the others have their turn */
#define TABLE	   1024u

struct carry {
	uv_poll_t poll;
	struct daemon *d;
	struct carry *next;	/* of its place in the table */
	struct carry *changing; /* of those whose state is looked at */
	berth_socket socket;	/* 0: closed */
	uint32_t slot;
	uint32_t carrier; /* slot of the engine's socket in the engine's port space */
	struct bt_port_info tuple;
	int fd;	       /* -1: closed */
	uint32_t plug; /* bytes of it that are still in the descriptor */
	int events;    /* what is polled for */
	bool connecting, is_changing;
	bool answered;	 /* connected, but for the plug, which the program is just putting in */
	bool in_end;	 /* the program has sent its last */
	bool out_end;	 /* the peer's last has been handed on */
	bool blocked;	 /* the descriptor has no room */
	bool full;	 /* the engine has none */
	bool urgent_in;	 /* the program may have sent an urgent byte that is still to be read */
	bool urgent_out; /* the peer has */
	int said;	 /* an error that a call has told before its event came */
	int error;	 /* the connection is over, and what had come before is handed on yet */
};

struct carries {
	struct carry *of[TABLE]; /* by slot */
	struct carry *changing;
};

static struct carries carries;

static struct carry *find(uint32_t slot)
{
	struct carry *c = carries.of[slot % TABLE];
	while (c != NULL && c->slot != slot)
		c = c->next;
	return c;
}

static void done(uv_handle_t *h)
{
	free(h->data);
}

static void forget(struct carry *c)
{
	struct carry **p = &carries.of[c->slot % TABLE];
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	uv_close((uv_handle_t *)&c->poll, done);
}

static bool unplug(struct carry *c);

static void drop_fd(struct carry *c)
{
	if (c->fd < 0)
		return;
	/* A plug that is left unread would be a reset to the program; without it, the descriptor is
	 * writable, as if connected: the hang-up must be seen first. */
	if (c->plug > 0)
		shutdown(c->fd, SHUT_RDWR);
	unplug(c);
	uv_poll_stop(&c->poll);
	close(c->fd);
	c->fd = -1;
}

static void changing(struct carry *c)
{
	if (c->is_changing)
		return;
	c->is_changing = true;
	c->changing = carries.changing;
	carries.changing = c;
}

/* Both the descriptor and the engine's socket are done with. */
static void end(struct carry *c)
{
	drop_fd(c);
	if (c->socket != 0)
		berth_abort(d_wire_engine(c->d), c->socket, d_now());
	c->socket = 0;
	bt_net_wire_state(c->d->net, c->slot, BT_CLOSE, d_now());
	changing(c);
}

static void on_fd(uv_poll_t *h, int status, int events);

static void watch(struct carry *c)
{
	int want = 0;
	if (c->fd < 0)
		return;
	if (c->connecting ? c->answered : !c->in_end && !c->full)
		want |= UV_READABLE;
	if (want & UV_READABLE && !c->connecting)
		want |= UV_PRIORITIZED;
	if (c->blocked)
		want |= UV_WRITABLE;
	if (want != c->events && want == 0)
		uv_poll_stop(&c->poll);
	else if (want != c->events)
		uv_poll_start(&c->poll, want, on_fd);
	c->events = want;
}

/* The connection ended with an error: the program is told by the row, and by its next call. */
static void failed(struct carry *c, int e)
{
	struct daemon *d = c->d;
	if (c->connecting || e != BERTH_ECONNRESET) /* a reset the row tells already */
		d_vals_set(c->slot, d_row(d, c->slot)->gen, SOL_SOCKET, SO_ERROR, (uint32_t)-e);
	bt_net_wire_state(d->net, c->slot, BT_CLOSE, d_now());
	d_publish(d); /* before the program can look */
	if (!c->blocked || c->connecting) {
		end(c);
		return;
	}
	/* What has come before is read first; nothing more is taken. */
	c->error = e;
	c->in_end = true;
	shutdown(c->fd, SHUT_RD);
	watch(c);
}

/* ---- from the program ---- */

/* The plug comes out first. False: it is not there yet. */
static bool unplug(struct carry *c)
{
	uint8_t scrap[4096];
	while (c->plug > 0) {
		ssize_t n = read(c->fd, scrap, c->plug < sizeof(scrap) ? c->plug : sizeof(scrap));
		if (n <= 0)
			return false;
		c->plug -= (uint32_t)n;
	}
	return true;
}

static bool closed_by_program(const struct carry *c)
{
	struct pollfd p = {.fd = c->fd};
	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

static void program_ended(struct carry *c)
{
	c->in_end = true;
	berth_shutdown(d_wire_engine(c->d), c->socket, BERTH_SHUT_WR, d_now());
	changing(c);
}

static void take_in(struct carry *c);

/* The engine tells an error once, by whatever call comes first. */
static void heard(struct carry *c, int r)
{
	if (r != BERTH_EAGAIN && r != BERTH_EPIPE && r != BERTH_ENOTCONN && r != BERTH_ENOBUFS)
		c->said = r;
}

/* The program holds it no more: what comes now is for nobody. */
static void program_gone(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	if (c->socket != 0)
		berth_close(b, c->socket, d_now());
	c->socket = 0;
	drop_fd(c);
	changing(c);
}

void d_carry_closed(struct daemon *d, uint32_t slot)
{
	struct carry *c = find(slot);
	if (c == NULL || c->fd < 0 || !closed_by_program(c))
		return;
	if (!c->connecting && !c->in_end)
		take_in(c); /* what it said before */
	if (c->fd >= 0 && (c->connecting || c->in_end))
		program_gone(c);
	watch(c);
	d_wire_turn(d);
}

/* The next byte of the descriptor is an urgent one: it goes as such. False: not now. */
static bool take_urgent(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	char byte;
	int at = 0;
	if (ioctl(c->fd, SIOCATMARK, &at) < 0 || !at)
		return true;
	if (recv(c->fd, &byte, 1, MSG_PEEK) != 1)
		return true;
	int64_t n = berth_send(b, c->socket, &byte, 1, BERTH_OOB, d_now());
	if (n == 1)
		(void)!read(c->fd, &byte, 1);
	else if (n == BERTH_EAGAIN)
		c->full = true;
	else
		heard(c, (int)n);
	c->urgent_in = n != 1;
	return n == 1;
}

static void take_in(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	for (uint32_t taken = 0; taken < TURN_BYTES && !c->in_end;) {
		if (c->urgent_in && !take_urgent(c))
			break;
		void *room;
		size_t len = 65536;
		int r = berth_send_room(b, c->socket, &room, &len);
		if (r == BERTH_EAGAIN) {
			c->full = true;
			break;
		}
		if (r < 0) { /* its end or an error comes as an event */
			heard(c, r);
			break;
		}
		ssize_t n = read(c->fd, room, len);
		if (n > 0) {
			berth_send_filled(b, c->socket, (size_t)n, d_now());
			taken += (uint32_t)n;
			if ((size_t)n < len)
				break;
		} else if (n == 0) {
			program_ended(c);
		} else if (errno == ECONNRESET) { /* it closed with data unread */
			berth_abort(b, c->socket, d_now());
			c->socket = 0;
			end(c);
			return;
		} else {
			break;
		}
	}
	if (c->in_end && c->fd >= 0 && closed_by_program(c))
		program_gone(c);
}

/* ---- to the program ---- */

/* An urgent byte of the peer comes next: it is handed on as such. False: not now. */
static bool hand_on_urgent(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	int64_t at = 0;
	char byte;
	if (berth_get(b, c->socket, BERTH_SO_ATMARK, &at) < 0 || !at ||
	    berth_recv(b, c->socket, &byte, 1, BERTH_PEEK, d_now()) != 1)
		return true;
	if (send(c->fd, &byte, 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL) != 1) {
		c->blocked = errno == EAGAIN || errno == ENOBUFS;
		return !c->blocked;
	}
	berth_recv_done(b, c->socket, 1, d_now());
	c->urgent_out = false;
	return true;
}

static void hand_on(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	c->blocked = false;
	for (uint32_t given = 0; c->fd >= 0 && c->socket != 0;) {
		if (given >= TURN_BYTES) {
			c->blocked = true; /* the rest when the loop comes by again */
			break;
		}
		if (c->urgent_out && !hand_on_urgent(c))
			break;
		const void *data;
		size_t len;
		int r = berth_recv_data(b, c->socket, &data, &len);
		if (c->error != 0 && (r < 0 || len == 0)) {
			end(c);
			return;
		}
		if (r == 0 && len == 0 && !c->out_end) {
			c->out_end = true;
			shutdown(c->fd, SHUT_WR);
			changing(c);
		}
		if (r < 0)
			heard(c, r);
		if (r < 0 || len == 0)
			break;
		ssize_t n = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			c->blocked = true;
			break;
		}
		if (n < 0) { /* nobody will read it */
			berth_abort(b, c->socket, d_now());
			c->socket = 0;
			end(c);
			return;
		}
		berth_recv_done(b, c->socket, (size_t)n, d_now());
		given += (uint32_t)n;
	}
}

/* ---- from the engine ---- */

static void connected(struct carry *c)
{
	c->answered = true;
	bt_net_wire_state(c->d->net, c->slot, BT_ESTABLISHED, d_now());
	d_publish(c->d); /* before the program sees that it may write */
	if (unplug(c))
		c->connecting = false;
}

static void on_fd(uv_poll_t *h, int status, int events)
{
	struct carry *c = h->data;
	struct daemon *d = c->d;
	if (status < 0 || (c->connecting && closed_by_program(c)))
		end(c);
	else if (c->connecting)
		connected(c);
	if (c->fd >= 0 && !c->connecting && c->answered) {
		c->answered = false;
		hand_on(c); /* what has come meanwhile was told already */
	}
	c->urgent_in |= (events & UV_PRIORITIZED) != 0;
	if (c->fd >= 0 && events & UV_WRITABLE)
		hand_on(c);
	if (c->fd >= 0 && c->socket != 0 && !c->connecting && !c->in_end && events & UV_READABLE)
		take_in(c);
	watch(c);
	d_wire_turn(d);
	d_publish(d);
	d_settle(d);
}

static void accepted(struct daemon *d, uint32_t listener, berth_socket s);

static void listener_event(struct daemon *d, const struct berth_event *e)
{
	berth_socket s;
	while (berth_accept(d_wire_engine(d), e->socket, &s, d_now()) == 0)
		accepted(d, (uint32_t)e->user, s);
}

void d_carry_event(struct daemon *d, const struct berth_event *e)
{
	if (e->user >> 32 == D_WIRE_LISTENER) {
		listener_event(d, e);
		return;
	}
	struct carry *c = find((uint32_t)e->user);
	if (c == NULL || c->socket != e->socket || c->error != 0)
		return;
	changing(c);
	if (e->what & BERTH_ERROR) {
		int error = berth_error_take(d_wire_engine(d), c->socket);
		error = error != 0 ? error : c->said;
		/* The word "reset" before the end, which shows where what came before is read. */
		if (error == BERTH_ECONNRESET && !c->connecting) {
			bt_net_set_flag(d->net, c->slot, BT_NETF_RESET, true);
			d_publish(d);
		}
		if (error != 0 && c->fd >= 0)
			hand_on(c); /* what came before it */
		if (error != 0) {
			failed(c, error);
			return;
		}
	}
	if (c->connecting && e->what & BERTH_WRITABLE) {
		connected(c);
		c->answered = c->connecting;
	}
	if (c->socket != 0 && c->fd >= 0 && !c->connecting) {
		c->urgent_out |= (e->what & BERTH_URGENT) != 0;
		if (e->what & BERTH_WRITABLE) {
			c->urgent_in = c->urgent_in || c->full; /* nobody has looked since */
			c->full = false;
			take_in(c);
		}
		if (c->socket != 0 &&
		    e->what & (BERTH_READABLE | BERTH_PEER_SHUT | BERTH_ENDED | BERTH_URGENT))
			hand_on(c);
	}
	watch(c);
}

/* What has become of it, also when the engine's socket is nobody's any more. */
static enum bt_state state_of(const struct carry *c)
{
	const struct bt_port_info *was = &c->tuple;
	struct bt_port_info i;
	bool lives = bt_port_get(d_wire_ports(c->d), c->carrier, &i) && i.lport == was->lport &&
		     i.rport == was->rport && bt_addr_eq(&i.laddr, &was->laddr) &&
		     bt_addr_eq(&i.raddr, &was->raddr);
	return lives ? i.state : BT_CLOSE;
}

void d_carry_states(struct daemon *d)
{
	struct carry *c = carries.changing;
	carries.changing = NULL;
	while (c != NULL) {
		struct carry *next = c->changing;
		enum bt_state state = state_of(c);
		c->is_changing = false;
		bt_net_wire_state(d->net, c->slot, state, d_now());
		if (c->fd < 0 && c->socket == 0 && (state == BT_CLOSE || state == BT_TIME_WAIT))
			forget(c);
		else if (c->in_end || c->out_end || c->fd < 0)
			changing(c);
		c = next;
	}
}

/* ---- beginnings ---- */

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
	c->d = d;
	c->slot = slot;
	c->fd = fd;
	c->socket = s;
	c->carrier = bt_engine_slot(d_wire_engine(d), s);
	bt_port_get(d_wire_ports(d), c->carrier, &c->tuple);
	c->next = carries.of[slot % TABLE];
	carries.of[slot % TABLE] = c;
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
	const struct carry *c = find(slot);
	return c != NULL ? c->socket : d_wire_listener(d, slot);
}

void d_carry_set(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value)
{
	struct carry *c = find(slot);
	berth_socket s = d_carry_socket(d, slot);
	if (s == 0)
		return;
	/* What was said before is sent as it was then. */
	if (c != NULL && !c->connecting && c->fd >= 0)
		take_in(c);
	if (c != NULL && level == SOL_SOCKET && name == SO_RCVBUF)
		bound_queue(c, value);
	if (c == NULL || c->socket != 0)
		d_carry_option(d, s, level, name, value);
	if (c != NULL)
		watch(c);
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
	       r->state == BT_ROW_SYN_SENT && find(id.slot) == NULL;
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
	watch(c);
	changing(c);
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
	const struct bt_row *l = d_row(d, listener), *c = d_row(d, client);
	const struct bt_ident to = {listener, l->gen, l->nonce}, from = {client, c->gen, c->nonce};
	struct sockaddr_un far_name, name;
	socklen_t far_len = bt_name_far(&far_name, d->netid, &from),
		  len = bt_name_make(&name, d->netid, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&far_name, far_len) < 0 ||
	    connect(fd, (struct sockaddr *)&name, len) < 0) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* A connection has come for a listener of a program. */
static void accepted(struct daemon *d, uint32_t listener, berth_socket s)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint local, remote;
	struct bt_addr laddr, raddr;
	struct bt_reason why;
	uint32_t child, client = BT_NO_SLOT;
	int r = berth_name(b, s, &local, &remote);
	if (r == 0) {
		memcpy(laddr.b, local.addr.b, 16);
		memcpy(raddr.b, remote.addr.b, 16);
		client = other_end(d, &laddr, local.port, &raddr, remote.port);
		r = client == BT_NO_SLOT ? -ENOENT
					 : bt_net_accept_wire(d->net, listener, &laddr, &raddr,
							      remote.port, client, &child, &why);
	}
	if (r < 0) {
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
	limit_queue(c, listener);
	changing(c);
	hand_on(c);
	watch(c);
}

void d_carry_reset(struct daemon *d, uint32_t slot)
{
	struct carry *c = find(slot);
	if (c == NULL || c->socket == 0)
		return;
	berth_abort(d_wire_engine(d), c->socket, d_now());
	c->socket = 0;
	end(c);
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

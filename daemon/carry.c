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
#include "carry.h"
#include "vals.h"

#include "../lib/engine/engine.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TURN_BYTES (256u * 1024) /* of one connection before the others have their turn */
#define PARTS	   16u		 /* of the engine's buffers in one call */
#define TABLE	   1024u

struct carries {
	struct carry *of[TABLE]; /* by slot */
	struct carry *changing;
};

static struct carries carries;

struct carry *d_carry_find(uint32_t slot)
{
	struct carry *c = carries.of[slot % TABLE];
	while (c != NULL && c->slot != slot)
		c = c->next;
	return c;
}

void d_carry_add(struct carry *c)
{
	c->next = carries.of[c->slot % TABLE];
	carries.of[c->slot % TABLE] = c;
}

/* The handle is let go of with the descriptor; what comes later frees the carry. */
static void done(uv_handle_t *h)
{
	struct carry *c = h->data;
	c->polled = false;
	if (c->forgotten)
		free(c);
}

static void forget(struct carry *c)
{
	struct carry **p = &carries.of[c->slot % TABLE];
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->forgotten = true;
	if (!c->polled)
		free(c);
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
	/* Before the number can be another's: libuv takes it out of epoll when the handle is
	 * closed, whoever has it then. */
	uv_close((uv_handle_t *)&c->poll, done);
	close(c->fd);
	c->fd = -1;
}

void d_carry_changing(struct carry *c)
{
	if (c->is_changing)
		return;
	c->is_changing = true;
	c->changing = carries.changing;
	carries.changing = c;
}

/* Both the descriptor and the engine's socket are done with. */
void d_carry_end(struct carry *c)
{
	drop_fd(c);
	if (c->socket != 0)
		berth_abort(d_wire_engine(c->d), c->socket, d_now());
	c->socket = 0;
	bt_net_wire_state(c->d->net, c->slot, BT_CLOSE, d_now());
	d_carry_changing(c);
}

static void on_fd(uv_poll_t *h, int status, int events);

void d_carry_watch(struct carry *c)
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

/* The connection ended with an error: the program is told by the row, and by its next call. What
 * has come before is read first; nothing more is taken. */
static void failed(struct carry *c, int e)
{
	struct daemon *d = c->d;
	if (c->connecting || e != BERTH_ECONNRESET) /* a reset the row tells already */
		d_vals_set(c->slot, d_row(d, c->slot)->gen, SOL_SOCKET, SO_ERROR, (uint32_t)-e);
	bt_net_wire_state(d->net, c->slot, BT_CLOSE, d_now());
	d_publish(d); /* before the program can look: an end of what it reads shows it already */
	if (c->fd >= 0 && !c->connecting)
		d_carry_hand_on(c);
	if (c->fd < 0 || !c->blocked || c->connecting) {
		d_carry_end(c);
		return;
	}
	c->error = e;
	c->in_end = true;
	shutdown(c->fd, SHUT_RD);
	d_carry_watch(c);
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
	d_carry_changing(c);
}

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
	d_carry_changing(c);
}

void d_carry_closed(struct daemon *d, uint32_t slot)
{
	struct carry *c = d_carry_find(slot);
	if (c == NULL || c->fd < 0 || !closed_by_program(c))
		return;
	if (!c->connecting && !c->in_end)
		d_carry_take_in(c); /* what it said before */
	if (c->fd >= 0 && (c->connecting || c->in_end))
		program_gone(c);
	d_carry_watch(c);
	d_wire_turn(d);
}

/* The next byte of the descriptor is an urgent one: it goes as such. False: not now. Where there is
 * none at all the reads that follow need not ask. */
static bool take_urgent(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	char byte;
	int at = 0;
	if (ioctl(c->fd, SIOCATMARK, &at) < 0 || !at) {
		struct pollfd p = {.fd = c->fd, .events = POLLPRI};
		c->urgent_in = poll(&p, 1, 0) == 1 && p.revents & POLLPRI;
		return true;
	}
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

void d_carry_take_in(struct carry *c)
{
	struct berth *b = d_wire_engine(c->d);
	unsigned most = 1; /* few bytes need one part; where that is filled, many may wait */
	for (uint32_t taken = 0; taken < TURN_BYTES && !c->in_end; most = PARTS) {
		if (c->urgent_in && !take_urgent(c))
			break;
		struct iovec room[PARTS];
		unsigned n_parts = most;
		size_t len = 0;
		int r = berth_send_room(b, c->socket, room, &n_parts, TURN_BYTES);
		if (r == BERTH_EAGAIN) {
			c->full = true;
			break;
		}
		if (r < 0) { /* its end or an error comes as an event */
			heard(c, r);
			break;
		}
		for (unsigned i = 0; i < n_parts; i++)
			len += room[i].iov_len;
		ssize_t n = readv(c->fd, room, (int)n_parts);
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
			d_carry_end(c);
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

void d_carry_hand_on(struct carry *c)
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
		struct iovec data[PARTS];
		struct msghdr m = {.msg_iov = data};
		unsigned n_parts = PARTS;
		int r = berth_recv_data(b, c->socket, data, &n_parts);
		if (c->error != 0 && (r < 0 || n_parts == 0)) {
			d_carry_end(c);
			return;
		}
		if (r == 0 && n_parts == 0 && !c->out_end) {
			c->out_end = true;
			shutdown(c->fd, SHUT_WR);
			d_carry_changing(c);
			if (c->in_end) { /* nothing is left to be carried */
				program_gone(c);
				return;
			}
		}
		if (r < 0)
			heard(c, r);
		if (r < 0 || n_parts == 0)
			break;
		m.msg_iovlen = n_parts;
		ssize_t n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			c->blocked = true;
			break;
		}
		if (n < 0) { /* nobody will read it */
			berth_abort(b, c->socket, d_now());
			c->socket = 0;
			d_carry_end(c);
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
		d_carry_end(c);
	else if (c->connecting)
		connected(c);
	if (c->fd >= 0 && !c->connecting && c->answered) {
		c->answered = false;
		d_carry_hand_on(c); /* what has come meanwhile was told already */
	}
	c->urgent_in |= (events & UV_PRIORITIZED) != 0;
	if (c->fd >= 0 && events & UV_WRITABLE)
		d_carry_hand_on(c);
	if (c->fd >= 0 && c->socket != 0 && !c->connecting && !c->in_end && events & UV_READABLE)
		d_carry_take_in(c);
	d_carry_watch(c);
	d_wire_turn(d);
	d_publish(d);
	d_settle(d);
}

static void listener_event(struct daemon *d, const struct berth_event *e)
{
	berth_socket s;
	while (berth_accept(d_wire_engine(d), e->socket, &s, d_now()) == 0)
		d_carry_accepted(d, (uint32_t)e->user, s);
}

void d_carry_event(struct daemon *d, const struct berth_event *e)
{
	if (e->user >> 32 == D_WIRE_LISTENER) {
		listener_event(d, e);
		return;
	}
	struct carry *c = d_carry_find((uint32_t)e->user);
	if (c == NULL || c->socket != e->socket || c->error != 0)
		return;
	d_carry_changing(c);
	if (e->what & BERTH_ERROR) {
		int error = berth_error_take(d_wire_engine(d), c->socket);
		error = error != 0 ? error : c->said;
		/* The word "reset" before the end, which shows where what came before is read. */
		if (error == BERTH_ECONNRESET && !c->connecting) {
			bt_net_set_flag(d->net, c->slot, BT_NETF_RESET, true);
			d_publish(d);
		}
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
			d_carry_take_in(c);
		}
		if (c->socket != 0 &&
		    e->what & (BERTH_READABLE | BERTH_PEER_SHUT | BERTH_ENDED | BERTH_URGENT))
			d_carry_hand_on(c);
	}
	d_carry_watch(c);
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
			d_carry_changing(c);
		c = next;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IDLE_MS 2000

static void conn_done(uv_handle_t *h)
{
	struct conn *c = h->data;
	close(c->fd);
	free(c);
}

static void conn_end(struct daemon *d, struct conn *c)
{
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, conn_done);
	d_conn_del(d, c);
	d_settle(d);
}

void d_reply(struct conn *c, struct bt_rep *rep, const void *extra, int fd)
{
	struct iovec iov[2] = {{rep, sizeof(*rep)}, {(void *)(uintptr_t)extra, rep->extra}};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} u = {0};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = rep->extra ? 2 : 1};
	if (fd >= 0) {
		m.msg_control = &u;
		m.msg_controllen = sizeof(u.room);
		u.h.cmsg_level = SOL_SOCKET;
		u.h.cmsg_type = SCM_RIGHTS;
		u.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
		rep->flags |= BT_REPF_FD;
	}
	ssize_t n = fd < 0 && rep->extra == 0
			    ? send(c->fd, rep, sizeof(*rep), MSG_DONTWAIT | MSG_NOSIGNAL)
			    : sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A client has one request out at a time, so its queue has room; one that does not read
	 * loses its connection when its next request comes, not our time. */
	if (n < 0)
		shutdown(c->fd, SHUT_RDWR);
}

/* Checks a packet's form; what its fields mean is checked where they are used. */
static bool well_formed(const struct bt_req *req, size_t len)
{
	return len >= sizeof(*req) && req->version == BT_MSG_VERSION && req->type > 0 &&
	       req->type < BT_MSG_TYPES && req->extra == len - sizeof(*req);
}

static void packet(struct daemon *d, struct conn *c, const uint8_t *data, size_t len, int proof)
{
	struct bt_req req;
	if (len >= sizeof(req))
		memcpy(&req, data, sizeof(req));
	if (well_formed(&req, len)) {
		d_call(d, c, &req, data + sizeof(req), proof);
		return;
	}
	if (proof >= 0)
		close(proof);
	struct bt_rep rep = {.version = BT_MSG_VERSION, .err = EPROTO};
	if (len >= sizeof(req)) {
		rep.type = req.type;
		rep.serial = req.serial;
	}
	d_count(d, BT_CNT_MALFORMED);
	d_reply(c, &rep, NULL, -1);
}

/* The descriptor that came with a packet, or -1. There is room for one; what else was sent the
 * kernel has closed. */
static int passed(struct msghdr *m)
{
	int fd = -1;
	struct cmsghdr *h = CMSG_FIRSTHDR(m);
	if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
	    h->cmsg_len >= CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	return fd;
}

/* A request costs three calls: epoll_wait, recvmsg, sendmsg. */
static void on_packets(uv_poll_t *h, int status, int events)
{
	static uint8_t buf[BT_MSG_MAX];
	_Alignas(struct cmsghdr) char room[CMSG_LEN(sizeof(int))];
	struct conn *c = h->data;
	struct daemon *d = h->loop->data;
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof(room)};
	(void)events;
	ssize_t n = status < 0 ? 0 : recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	int proof = n > 0 ? passed(&m) : -1;
	if (d->hot != NULL) /* what was said before this request counts for it */
		d_inbox_look(d);
	if (n > 0)
		packet(d, c, buf, (size_t)n, proof);
	d_publish(d);
	if (n <= 0) /* the end, since no request is empty */
		conn_end(d, c);
	else
		d_settle(d);
}

static void on_connection(uv_poll_t *h, int status, int events)
{
	struct daemon *d = h->loop->data;
	struct ucred cred;
	(void)status;
	(void)events;
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	socklen_t len = sizeof(cred);
	struct conn *c = calloc(1, sizeof(*c));
	if (c == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		close(fd);
		free(c);
		return;
	}
	c->fd = fd;
	c->pid = cred.pid;
	c->uid = cred.uid;
	c->host = BT_NET_NO_HOST;
	d->next_conn = (d->next_conn + 1) & ~SUSPECT_BIT;
	if (d->next_conn == 0)
		d->next_conn = 1;
	c->id = d->next_conn;
	c->poll.data = c;
	if (uv_poll_init(&d->loop, &c->poll, fd) < 0) {
		close(fd);
		free(c);
		return;
	}
	uv_poll_start(&c->poll, UV_READABLE, on_packets);
	d_conn_add(d, c);
	d_timer_stop(d, D_IDLE);
}

int d_serve_open(struct daemon *d)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_control(&sun, d->netid);
	d->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->listen_fd < 0 || bind(d->listen_fd, (struct sockaddr *)&sun, len) < 0 ||
	    listen(d->listen_fd, 4096) < 0)
		return -errno;
	int r = uv_poll_init(&d->loop, &d->listener, d->listen_fd);
	if (r == 0)
		r = uv_poll_start(&d->listener, UV_READABLE, on_connection);
	if (r == 0)
		r = d_echo_open(d);
	return r == 0 ? d_carry_open(d) : r;
}

void d_serve_close(struct daemon *d)
{
	d->leaving = true;
	uv_stop(&d->loop);
}

/* ---- launched programs ---- */

static void launch_done(uv_handle_t *h)
{
	struct launch *l = h->data;
	close(l->pidfd);
	free(l);
}

static void on_exit_of(uv_poll_t *h, int status, int events)
{
	struct launch *l = h->data;
	struct daemon *d = h->loop->data;
	(void)status;
	(void)events;
	for (struct launch **p = &d->launches; *p != NULL; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	uv_poll_stop(&l->poll);
	uv_close((uv_handle_t *)&l->poll, launch_done);
	d_settle(d);
}

void d_launch(struct daemon *d, pid_t pid)
{
	struct launch *l = calloc(1, sizeof(*l));
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (l == NULL || fd < 0 || uv_poll_init(&d->loop, &l->poll, fd) < 0) {
		if (fd >= 0)
			close(fd);
		free(l);
		return; /* its control connections hold the network as well */
	}
	l->pidfd = fd;
	l->poll.data = l;
	l->next = d->launches;
	d->launches = l;
	uv_poll_start(&l->poll, UV_READABLE, on_exit_of);
}

/* ---- time ---- */

/* Programs that an earlier berthd served have no connection to this one before their next call, so
 * their sockets count as users too. */
static bool sockets_live(struct daemon *d)
{
	struct bt_port_info i;
	for (uint32_t slot = 0; slot < d->table->high_water; slot++)
		if (d_row(d, slot)->state != BT_ROW_FREE &&
		    !(d_row(d, slot)->flags & BT_ROWF_ORPHAN) &&
		    bt_port_get(bt_net_ports(d->net), slot, &i) && i.state != BT_TIME_WAIT)
			return true;
	return false;
}

static void on_idle(struct daemon *d)
{
	if (sockets_live(d) && d_sweep(d) == 0 && sockets_live(d))
		d_timer_start(d, D_IDLE, on_idle, IDLE_MS * D_MS, 0);
	else
		d_serve_close(d);
}

static void on_clock(struct daemon *d)
{
	bt_net_advance(d->net, d_now());
	d_publish(d);
	d_settle(d);
}

void d_settle(struct daemon *d)
{
	if (d->n_conns == 0 && d->launches == NULL) {
		if (!d_timer_runs(d, D_IDLE))
			d_timer_start(d, D_IDLE, on_idle, IDLE_MS * D_MS, 0);
	} else if (d_timer_runs(d, D_IDLE)) {
		d_timer_stop(d, D_IDLE);
	}
	/* A clock that is running is only set again for an earlier end than the one it waits for.
	 */
	uint64_t at = bt_net_deadline(d->net);
	if (at != UINT64_MAX && (!d_timer_runs(d, D_CLOCK) || at < d->clock_at)) {
		uint64_t now = d_now();
		d->clock_at = at;
		d_timer_start(d, D_CLOCK, on_clock, at <= now ? 0 : at - now, 0);
	}
}

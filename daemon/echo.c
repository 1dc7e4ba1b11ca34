/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a socket to itself, which TCP knows (RFC 9293 3.5, a simultaneous open with
 * oneself) and AF_UNIX does not: the descriptor is joined to berthd, which sends back what comes.
 * It reads no more than it can hold, so the program's send buffer fills as it would.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOLDS 65536u

struct echo {
	uv_poll_t poll;
	int fd;
	uint32_t from, to; /* buf[from, to) is still to be sent back */
	bool end;	   /* the program has sent its last */
	uint8_t buf[HOLDS];
};

static void done(uv_handle_t *h)
{
	struct echo *e = h->data;
	close(e->fd);
	free(e);
}

/* False: the connection is over. */
static bool turn(struct echo *e)
{
	ssize_t n = 0;
	if (e->from == e->to && !e->end) {
		n = read(e->fd, e->buf, sizeof(e->buf));
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		e->from = 0;
		e->to = (uint32_t)n;
		e->end = n == 0;
	}
	if (e->from < e->to) {
		n = send(e->fd, e->buf + e->from, e->to - e->from, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		e->from += (uint32_t)n;
	}
	/* Its own FIN has come back: both directions are at their end. */
	return !(e->end && e->from == e->to);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	struct echo *e = h->data;
	(void)events;
	if (status < 0 || !turn(e)) {
		uv_poll_stop(h);
		uv_close((uv_handle_t *)h, done);
		return;
	}
	uv_poll_start(h, e->from < e->to ? UV_WRITABLE : UV_READABLE, on_ready);
}

/* Only who was told to: the name of a socket that is its own peer. */
static bool expected(struct daemon *d, int fd)
{
	struct sockaddr_un sun;
	struct bt_ident id;
	socklen_t len = sizeof(sun);
	if (getpeername(fd, (struct sockaddr *)&sun, &len) < 0 ||
	    !bt_name_parse(&sun, len, d->netid, &id) || id.slot >= BT_MAX_ROWS)
		return false;
	const struct bt_row *r = d_row(d, id.slot);
	return r->gen == id.gen && r->nonce == id.nonce &&
	       bt_net_flags(d->net, id.slot) & BT_NETF_SELF;
}

static void on_self(uv_poll_t *h, int status, int events)
{
	struct daemon *d = h->loop->data;
	(void)status;
	(void)events;
	int fd = accept4(d->self_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct echo *e = expected(d, fd) ? malloc(sizeof(*e)) : NULL;
	if (e == NULL || uv_poll_init(&d->loop, &e->poll, fd) < 0) {
		free(e);
		close(fd);
		return;
	}
	e->fd = fd;
	e->from = e->to = 0;
	e->end = false;
	e->poll.data = e;
	uv_poll_start(&e->poll, UV_READABLE, on_ready);
}

int d_echo_open(struct daemon *d)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_self(&sun, d->netid);
	d->self_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->self_fd < 0 || bind(d->self_fd, (struct sockaddr *)&sun, len) < 0 ||
	    listen(d->self_fd, 4096) < 0)
		return -errno;
	int r = uv_poll_init(&d->loop, &d->self, d->self_fd);
	return r == 0 ? uv_poll_start(&d->self, UV_READABLE, on_self) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP echo from a host, for berth ping: the command has one end of a socket, and what it writes
 * there, whole echo requests without an identifier or a checksum, the engine sends; what comes
 * back, or an error, it reads. Programs have no ICMP sockets yet.
 */
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PINGS_MAX  64u
#define GRAM_MAX   65536u
#define QUEUE_MOST (1 << 20)

struct ping {
	uv_poll_t poll;
	struct ping *next;
	struct daemon *d;
	berth_socket socket;
	uint32_t number; /* the lower half of the socket's user */
	int fd;
};

static struct ping *pings;
static uint32_t last_number;

static void done(uv_handle_t *h)
{
	struct ping *p = h->data;
	close(p->fd);
	free(p);
}

static void end(struct ping *p)
{
	struct ping **at = &pings;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	berth_close(d_wire_engine(p->d), p->socket, d_now());
	uv_poll_stop(&p->poll);
	uv_close((uv_handle_t *)&p->poll, done);
}

static void tell(struct ping *p, const struct bt_pinged *head, const uint8_t *data, size_t len)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)head, sizeof(*head)},
			       {(void *)(uintptr_t)data, len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
	(void)sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL); /* who does not read misses it */
}

static void on_request(uv_poll_t *h, int status, int events)
{
	static uint8_t request[GRAM_MAX];
	struct ping *p = h->data;
	struct daemon *d = p->d;
	(void)status;
	(void)events;
	ssize_t n = recv(p->fd, request, sizeof(request), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(p);
	} else {
		int64_t r = berth_send_to(d_wire_engine(d), p->socket, request, (size_t)n, NULL,
					  d_now());
		const struct bt_pinged head = {.err = r < 0 ? (uint32_t)-r : 0};
		if (r < 0)
			tell(p, &head, NULL, 0);
	}
	d_wire_turn(d);
	d_settle(d);
}

void d_ping_event(struct daemon *d, const struct berth_event *e)
{
	static uint8_t data[GRAM_MAX];
	struct berth *b = d_wire_engine(d);
	struct berth_datagram info;
	struct ping *p = pings;
	int64_t n;
	while (p != NULL && p->number != (uint32_t)e->user)
		p = p->next;
	if (p == NULL)
		return;
	while ((n = berth_recv_from(b, p->socket, data, sizeof(data), &info, 0, d_now())) !=
	       BERTH_EAGAIN) {
		struct bt_pinged head = {.err = n < 0 ? (uint32_t)-n : 0};
		if (n >= 0) {
			memcpy(head.from, info.from.addr.b, 16);
			head.hops = info.hops;
		}
		tell(p, &head, data, n < 0 ? 0 : (size_t)n);
	}
}

/* The engine's socket, connected. 0 or a berth_error. */
static int open_socket(struct daemon *d, uint16_t host, const struct bt_addr *dst, uint32_t number,
		       berth_socket *s)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint to = {.port = 0};
	memcpy(to.addr.b, dst->b, 16);
	int r = berth_open(b, d_wire_host(d, host), BERTH_PING, bt_addr_is_v4(dst) ? 4 : 6, s);
	if (r < 0)
		return r;
	berth_set_user(b, *s, (uint64_t)D_WIRE_PING << 32 | number);
	berth_set(b, *s, BERTH_IP_RECVERR, 1, d_now());
	r = berth_connect(b, *s, &to, d_now());
	if (r < 0)
		berth_close(b, *s, d_now());
	return r;
}

int d_ping_open(struct daemon *d, uint16_t host, struct bt_addr dst)
{
	static const struct bt_addr any4 = {{[10] = 0xff, [11] = 0xff}}, any6;
	const int bytes = QUEUE_MOST;
	struct bt_addr src;
	uint16_t to;
	int fds[2];
	unsigned n = 0;
	for (const struct ping *p = pings; p != NULL; p = p->next)
		n++;
	int r = n < PINGS_MAX ? d_wire_open(d) : -ENOSPC;
	if (r == 0)
		r = bt_net_route(d->net, host, bt_addr_is_v4(&dst) ? &any4 : &any6, &dst, &src,
				 &to);
	if (r < 0)
		return r;
	if (to != BT_NET_OUTSIDE)
		d_wire_host(d, to);
	struct ping *p = calloc(1, sizeof(*p));
	if (p == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		free(p);
		return -ENOMEM;
	}
	r = open_socket(d, host, &dst, ++last_number, &p->socket);
	if (r < 0 || uv_poll_init(&d->loop, &p->poll, fds[0]) < 0) {
		if (r == 0)
			berth_close(d_wire_engine(d), p->socket, d_now());
		close(fds[0]);
		close(fds[1]);
		free(p);
		return r < 0 ? r : -ENOMEM;
	}
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	p->poll.data = p;
	p->d = d;
	p->number = last_number;
	p->fd = fds[0];
	p->next = pings;
	pings = p;
	uv_poll_start(&p->poll, UV_READABLE, on_request);
	return fds[1];
}

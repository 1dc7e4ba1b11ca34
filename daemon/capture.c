/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who looks at packets. A reader has a queue of its own in the kernel; when it is full the reader
 * misses packets, which it is told by number, and nobody waits for it.
 */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CAPTURES_MAX 32u
#define QUEUE_BYTES  (4 << 20)
#define PARTS_MAX    (BERTH_OUTPUT_IOV + 1)

struct capture {
	uv_poll_t poll;
	struct capture *next;
	uint16_t a, b;
	int fd;
	uint64_t missed;
};

/* A packet is shown once: as the first host named has sent or got it; to who has named none, as it
 * was sent. */
static bool shown(const struct capture *c, uint16_t host, bool got)
{
	return c->a == BT_NET_NO_HOST ? !got : c->a == host;
}

static bool between(const struct capture *c, uint16_t x, uint16_t y)
{
	if (c->a == BT_NET_NO_HOST)
		return true;
	if (c->b == BT_NET_NO_HOST)
		return c->a == x || c->a == y;
	return (c->a == x && c->b == y) || (c->a == y && c->b == x);
}

bool d_captured(const struct daemon *d, uint16_t from, uint16_t to)
{
	for (const struct capture *c = d->captures; c != NULL; c = c->next)
		if (between(c, from, to))
			return true;
	return false;
}

static void done(uv_handle_t *h)
{
	struct capture *c = h->data;
	close(c->fd);
	free(c);
}

/* The reader has closed its end: it never writes. */
static void on_end(uv_poll_t *h, int status, int events)
{
	struct daemon *d = h->loop->data;
	struct capture **p = &d->captures;
	(void)status;
	(void)events;
	while (*p != h->data)
		p = &(*p)->next;
	*p = (*p)->next;
	uv_poll_stop(h);
	uv_close((uv_handle_t *)h, done);
}

int d_capture_add(struct daemon *d, uint16_t a, uint16_t b)
{
	const int bytes = QUEUE_BYTES;
	unsigned n = 0;
	int fds[2];
	for (const struct capture *c = d->captures; c != NULL; c = c->next)
		n++;
	struct capture *c = n < CAPTURES_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL)
		return n < CAPTURES_MAX ? -ENOMEM : -ENOSPC;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ||
	    uv_poll_init(&d->loop, &c->poll, fds[0]) < 0) {
		free(c);
		return -errno;
	}
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	c->poll.data = c;
	c->fd = fds[0];
	c->a = a;
	c->b = b;
	c->next = d->captures;
	d->captures = c;
	uv_poll_start(&c->poll, UV_READABLE, on_end);
	d_ways_changed(d);
	return fds[1];
}

/* The program whose socket has sent it, or gets it. */
static int32_t program_of(const struct daemon *d, uint16_t host, bool got, const uint8_t *p,
			  size_t len)
{
	struct bt_addr src = {{[10] = 0xff, [11] = 0xff}}, dst = src;
	size_t at = 0;
	uint8_t proto = 0;
	if (len >= 20 && p[0] >> 4 == 4) {
		at = (size_t)(p[0] & 15) * 4;
		proto = (p[6] & 0x1f) == 0 && p[7] == 0 ? p[9] : 0; /* later fragments have none */
		memcpy(src.b + 12, p + 12, 4);
		memcpy(dst.b + 12, p + 16, 4);
	} else if (len >= 40 && p[0] >> 4 == 6) {
		at = 40;
		proto = p[6];
		memcpy(src.b, p + 8, 16);
		memcpy(dst.b, p + 24, 16);
	}
	if ((proto != BT_TCP && proto != BT_UDP) || len < at + 4)
		return 0;
	uint16_t sport = (uint16_t)(p[at] << 8 | p[at + 1]),
		 dport = (uint16_t)(p[at + 2] << 8 | p[at + 3]);
	uint32_t slot = bt_port_lookup(bt_net_ports(d->net), host, proto, got ? &dst : &src,
				       got ? dport : sport, got ? &src : &dst, got ? sport : dport,
				       BT_DEV_LO + 1);
	return slot == BT_NO_SLOT ? 0 : d_row(d, slot)->pid;
}

void d_capture(struct daemon *d, uint16_t host, uint16_t peer, bool got, const struct iovec *parts,
	       size_t n)
{
	struct bt_captured head;
	struct iovec iov[PARTS_MAX + 1];
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = n + 1};
	struct timespec t;
	if (d->captures == NULL || n > PARTS_MAX || n == 0)
		return;
	head = (struct bt_captured){.host = host, .peer = peer, .got = got};
	iov[0] = (struct iovec){&head, sizeof(head)};
	clock_gettime(CLOCK_REALTIME, &t);
	head.realtime_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	for (size_t i = 0; i < n; i++) {
		iov[i + 1] = parts[i];
		head.len += (uint32_t)parts[i].iov_len;
	}
	head.pid = program_of(d, host, got, parts[0].iov_base, parts[0].iov_len);
	for (struct capture *c = d->captures; c != NULL; c = c->next) {
		head.missed = c->missed;
		if (between(c, host, peer) && shown(c, host, got) &&
		    sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			c->missed++;
	}
}

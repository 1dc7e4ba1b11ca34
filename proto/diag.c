/* SPDX-License-Identifier: Apache-2.0 */
#include "diag.h"

#include "sys.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/syscall.h>

static bool parse_name(const char *name, size_t n, uint64_t netid, struct bt_diag *s)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (n > sizeof(sun.sun_path))
		return false;
	memcpy(sun.sun_path, name, n);
	if (bt_name_parse(&sun, len, netid, &s->id))
		return true;
	s->far = bt_name_parse_peer(&sun, len, netid, &s->id);
	return s->far;
}

static uint32_t number(const char *value, size_t n)
{
	uint32_t v = 0;
	if (n >= sizeof(v))
		memcpy(&v, value, sizeof(v));
	return v;
}

/* False: somebody else's socket. The name comes first, so the rest of a stranger is not looked at.
 */
static bool read_socket(struct bt_diag_dump *d, const char *p, size_t n, struct bt_diag *s)
{
	struct unix_diag_msg msg;
	struct nlattr a;
	bool named = false;
	if (n < sizeof(msg))
		return false;
	memcpy(&msg, p, sizeof(msg));
	*s = (struct bt_diag){.ino = msg.udiag_ino,
			      .uid = UINT32_MAX,
			      .type = msg.udiag_type,
			      .state = msg.udiag_state};
	d->n_queue = 0;
	for (size_t at = sizeof(msg); at + sizeof(a) <= n; at += (size_t)NLA_ALIGN(a.nla_len)) {
		memcpy(&a, p + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > n - at)
			break;
		const char *value = p + at + sizeof(a);
		size_t len = a.nla_len - sizeof(a);
		switch (a.nla_type) {
		case UNIX_DIAG_NAME:
			named = parse_name(value, len, d->netid, s);
			if (!named)
				return false;
			break;
		case UNIX_DIAG_PEER:
			s->connected = true;
			s->peer_ino = number(value, len);
			break;
		case UNIX_DIAG_RQLEN:
			s->rqueue = number(value, len);
			break;
		case UNIX_DIAG_UID:
			s->uid = number(value, len);
			break;
		case UNIX_DIAG_SHUTDOWN:
			s->shutdown = len > 0 ? (uint8_t)*value : 0;
			break;
		case UNIX_DIAG_ICONS:
			d->queue = (const uint32_t *)(const void *)value;
			d->n_queue = (uint32_t)(len / sizeof(*d->queue));
			break;
		default:
			break;
		}
	}
	return named;
}

/* Of read_datagram: the next datagram is wanted. */
enum { MORE = 2 };

/* The next of our sockets in the datagram at hand; otherwise as bt_diag_next. */
static int read_datagram(struct bt_diag_dump *d, struct bt_diag *s)
{
	struct nlmsghdr h;
	while (d->at + sizeof(h) <= d->n) {
		const char *p = d->buf + d->at;
		memcpy(&h, p, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > d->n - d->at)
			return -EPROTO;
		size_t len = h.nlmsg_len - sizeof(h);
		if (h.nlmsg_type == NLMSG_DONE)
			return 0;
		if (h.nlmsg_type == NLMSG_ERROR) {
			int err = (int)number(p + sizeof(h), len);
			return err < 0 ? err : -EPROTO;
		}
		d->at += NLMSG_ALIGN(h.nlmsg_len);
		if (h.nlmsg_type == SOCK_DIAG_BY_FAMILY && read_socket(d, p + sizeof(h), len, s))
			return 1;
	}
	return MORE;
}

int bt_diag_next(struct bt_diag_dump *d, struct bt_diag *s)
{
	int r;
	while ((r = read_datagram(d, s)) == MORE) {
		struct sockaddr_nl from = {0};
		socklen_t len = sizeof(from);
		long n = bt_sys(SYS_recvfrom, d->fd, (long)d->buf, BT_DIAG_BYTES, 0, (long)&from,
				(long)&len);
		if (n < 0 && n != -EINTR)
			return (int)n;
		d->at = 0;
		d->n = n > 0 && from.nl_pid == 0 ? (size_t)n : 0; /* the kernel's alone */
	}
	return r;
}

int bt_diag_begin(struct bt_diag_dump *d, void *buf, uint64_t netid, uint32_t states, unsigned more)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req req;
	} m = {
		.h = {.nlmsg_len = sizeof(m),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.req = {.sdiag_family = AF_UNIX,
			.udiag_states = states,
			.udiag_show =
				UDIAG_SHOW_NAME | UDIAG_SHOW_PEER |
				(more & BT_DIAG_RQUEUE ? UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID : 0u) |
				(more & BT_DIAG_QUEUE ? UDIAG_SHOW_ICONS : 0u)},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	*d = (struct bt_diag_dump){.buf = buf, .netid = netid};
	d->fd = (int)bt_sys(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG, 0,
			    0, 0);
	if (d->fd < 0)
		return d->fd;
	long r = bt_sys(SYS_sendto, d->fd, (long)&m, sizeof(m), 0, (long)&kernel, sizeof(kernel));
	return r < 0 ? (int)r : 0;
}

void bt_diag_end(struct bt_diag_dump *d)
{
	if (d->fd >= 0)
		bt_sys(SYS_close, d->fd, 0, 0, 0, 0, 0);
	d->fd = -1;
}

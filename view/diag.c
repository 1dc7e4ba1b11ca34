/* SPDX-License-Identifier: Apache-2.0 */
#include "diag.h"

#include "sys.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/syscall.h>

/* The kernel fills a datagram of what the last read offered, up to 32 kB. */
enum { DUMP_BYTES = 64 * 1024 };

static bool parse_name(const char *name, size_t n, uint64_t netid, struct bt_ident *id)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (n > sizeof(sun.sun_path))
		return false;
	memcpy(sun.sun_path, name, n);
	return bt_name_parse(&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n), netid,
			     id);
}

/* False: somebody else's socket. The name comes first, so the rest of a stranger is not looked at.
 */
static bool read_socket(const char *p, size_t n, uint64_t netid, struct bt_diag *s)
{
	struct unix_diag_msg msg;
	struct nlattr a;
	bool named = false;
	if (n < sizeof(msg))
		return false;
	memcpy(&msg, p, sizeof(msg));
	s->ino = msg.udiag_ino;
	s->state = msg.udiag_state;
	for (size_t at = sizeof(msg); at + sizeof(a) <= n; at += (size_t)NLA_ALIGN(a.nla_len)) {
		memcpy(&a, p + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > n - at)
			break;
		const char *value = p + at + sizeof(a);
		size_t len = a.nla_len - sizeof(a);
		if (a.nla_type == UNIX_DIAG_NAME) {
			named = parse_name(value, len, netid, &s->id);
			if (!named)
				return false;
		} else if (a.nla_type == UNIX_DIAG_PEER && len >= sizeof(s->peer_ino)) {
			memcpy(&s->peer_ino, value, sizeof(s->peer_ino));
		} else if (a.nla_type == UNIX_DIAG_RQLEN && len >= sizeof(s->rqueue)) {
			memcpy(&s->rqueue, value, sizeof(s->rqueue));
		}
	}
	return named;
}

/* One datagram of the kernel's answer. 1: more will come, 0: that was all, or -errno. */
static int read_datagram(struct bt_diags *d, const char *p, size_t n, uint64_t netid)
{
	struct nlmsghdr h;
	for (size_t at = 0; at + sizeof(h) <= n; at += NLMSG_ALIGN(h.nlmsg_len)) {
		memcpy(&h, p + at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > n - at)
			return -EPROTO;
		if (h.nlmsg_type == NLMSG_DONE)
			return 0;
		if (h.nlmsg_type == NLMSG_ERROR) {
			int err = -EPROTO;
			if (h.nlmsg_len >= sizeof(h) + sizeof(err))
				memcpy(&err, p + at + sizeof(h), sizeof(err));
			return err;
		}
		struct bt_diag s = {0}, *own;
		if (h.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
		    !read_socket(p + at + sizeof(h), h.nlmsg_len - sizeof(h), netid, &s))
			continue;
		own = bt_buf_add(&d->mem, sizeof(*own));
		if (!own)
			return -ENOMEM;
		*own = s;
	}
	return 1;
}

static long ask(long fd, uint32_t states)
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
			.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	return bt_sys(SYS_sendto, fd, (long)&m, sizeof(m), 0, (long)&kernel, sizeof(kernel));
}

int bt_diag_dump(struct bt_diags *d, uint64_t netid, uint32_t states)
{
	struct bt_buf in = {0};
	*d = (struct bt_diags){0};
	long fd =
		bt_sys(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG, 0, 0, 0);
	if (fd < 0)
		return (int)fd;
	long r = ask(fd, states);
	int more = r < 0 ? (int)r : bt_buf_add(&in, DUMP_BYTES) ? 1 : -ENOMEM;
	while (more > 0) {
		struct sockaddr_nl from = {0};
		socklen_t len = sizeof(from);
		long n = bt_sys(SYS_recvfrom, fd, (long)in.p, DUMP_BYTES, 0, (long)&from,
				(long)&len);
		if (n < 0 && n != -EINTR)
			more = (int)n;
		if (n > 0 && from.nl_pid == 0) /* the kernel's */
			more = read_datagram(d, in.p, (size_t)n, netid);
	}
	bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
	bt_buf_done(&in);
	d->list = (struct bt_diag *)(void *)d->mem.p;
	d->n = d->mem.n / sizeof(*d->list);
	return more;
}

void bt_diag_done(struct bt_diags *d)
{
	bt_buf_done(&d->mem);
	*d = (struct bt_diags){0};
}

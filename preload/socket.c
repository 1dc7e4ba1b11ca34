/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that make, name and accept sockets. System calls for the common case, beside the
 * program's own: bind: fstat (link check), sendto, recvfrom; accept: none.
 */
#include "preload.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- socket ---- */

static bool is_ping(bool v6, int type, int protocol)
{
	return type == SOCK_DGRAM && protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* What socket(2) says for AF_INET and AF_INET6 types and protocols that a host does not serve
 * (measured on Linux 6). A host's ping_group_range is everybody. */
static int inet_type(bool v6, int type, int protocol)
{
	if (protocol < 0 || protocol > IPPROTO_MPTCP)
		return EINVAL;
	switch (type) {
	case 0:
		return ESOCKTNOSUPPORT;
	case SOCK_STREAM:
		return protocol == 0 || protocol == IPPROTO_TCP ? 0 : EPROTONOSUPPORT;
	case SOCK_DGRAM:
		return protocol == 0 || protocol == IPPROTO_UDP || is_ping(v6, type, protocol)
			       ? 0
			       : EPROTONOSUPPORT;
	case SOCK_RAW:
		return v6 && protocol == 0 ? EPROTONOSUPPORT : EPERM;
	case SOCK_PACKET:
		return v6 ? ESOCKTNOSUPPORT : EPERM;
	case SOCK_RDM:
	case SOCK_SEQPACKET:
	case SOCK_DCCP:
		return ESOCKTNOSUPPORT;
	default:
		return EINVAL;
	}
}

/* Whoever gets the descriptor by exec or otherwise must know the family before it has a name; a
 * vfork child, who has no notes, that it is ours. */
static void mark(int fd, struct note *n)
{
	const struct bt_table *t = bt_table();
	bool v6 = n->flags & NOTE_V6, ping = n->flags & NOTE_PING;
	bool only = v6 && t != NULL && t->hosts[bt_host() % BT_MAX_HOSTS].bindv6only;
	uint64_t cookie = v6 ? COOKIE_BIT(CB_V6) : 0;
	if (ping) /* ping_init_sock, INET_PROTOSW_REUSE */
		cookie |= COOKIE_BIT(CB_PING) | COOKIE_BIT(CB_REUSEADDR);
	if (only || (v6 && ping))
		cookie |= COOKIE_BIT(CB_V6ONLY);
	if (cookie != 0 || bt_vforked)
		bt_cookie_set(fd, n, cookie);
}

PUBLIC int socket(int domain, int type, int protocol)
{
	if (!bt_in_host())
		return bt_real()->socket(domain, type, protocol);
	if (domain == AF_PACKET)
		return bt_fail(EPERM);
	/* What a host has beside AF_INET, by name: a family left out here can only be missing,
	 * where one forgotten in a list of forbidden ones (SMC, RDS) would lead to the real
	 * network. */
	bool v6 = domain == AF_INET6, inet = v6 || domain == AF_INET;
	if (!inet && domain != AF_UNIX && domain != AF_NETLINK && domain != AF_ALG)
		return bt_fail(EAFNOSUPPORT);
	if (domain == AF_NETLINK && protocol != NETLINK_KOBJECT_UEVENT &&
	    protocol != NETLINK_AUDIT && protocol != NETLINK_SELINUX)
		return bt_nl_socket(type, protocol);
	if (!inet) {
		int other = bt_real()->socket(domain, type, protocol);
		bt_new_fd(other);
		bt_note_clear(other);
		return other;
	}
	int flags = type & (SOCK_CLOEXEC | SOCK_NONBLOCK),
	    kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	int e = inet_type(v6, kind, protocol);
	if (e != 0)
		return bt_fail(e);
	int fd = bt_real()->socket(AF_UNIX, kind | flags, 0);
	if (fd < 0)
		return fd;
	struct note n = {.flags = NOTE_OURS | (kind == SOCK_DGRAM ? NOTE_UDP : 0) |
				  (is_ping(v6, kind, protocol) ? NOTE_PING : 0) |
				  (v6 ? NOTE_V6 : 0) | (flags & SOCK_NONBLOCK ? NOTE_NONBLOCK : 0),
			 .forks = bt_forks};
	bt_new_fd(fd);
	bt_note_set(fd, &n);
	mark(fd, &n);
	return fd;
}

/* ---- bind, listen ---- */

static bool wildcard_or_v4(const uint8_t addr[16])
{
	static const uint8_t any[16];
	return memcmp(addr, any, 16) == 0 || bt_is_v4(addr);
}

PUBLIC int bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct note n;
	struct bt_req q;
	struct bt_rep rep;
	uint8_t addr[16];
	uint16_t port = 0;
	if (!bt_in_host() || !bt_ident_for(fd, sa, len, &n))
		return bt_real()->bind(fd, sa, len);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_bind(&n, sa, len);
	int e = bt_addr_in(sa, len, n.flags & NOTE_V6, addr, &port);
	/* Linux takes AF_UNSPEC with the wildcard address for AF_INET (inet_bind). */
	if (e == EAFNOSUPPORT && !(n.flags & NOTE_V6) && sa->sa_family == AF_UNSPEC) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		if (in.sin_addr.s_addr == INADDR_ANY) {
			in.sin_family = AF_INET;
			e = bt_addr_in((struct sockaddr *)&in, sizeof(in), false, addr, &port);
		}
	}
	if (e != 0)
		return bt_fail(e);
	bt_req_make(&q, BT_BIND, &n, fd);
	bt_req_addr(&q, addr, port);
	q.flags = port != 0 && bt_link_root() ? BT_REQF_ROOT : 0;
	e = bt_call(bt_proof(fd, &n), &q, NULL, &rep, NULL, NULL);
	if (e == EINVAL && bt_reset_unheard(fd, &n))
		e = bt_call(bt_proof(fd, &n), &q, NULL, &rep, NULL, NULL);
	if (e == 0)
		e = bt_take_name(fd, &n, &rep);
	/* Linux sets IPV6_V6ONLY by itself (__inet6_bind); berthd knows it of the address. */
	uint64_t cookie = 0;
	if (e == 0 && n.flags & NOTE_V6 && !wildcard_or_v4(addr) && bt_cookie_get(fd, &cookie) == 0)
		bt_cookie_set(fd, &n, cookie | COOKIE_BIT(CB_V6ONLY));
	return e == 0 ? 0 : bt_fail(e);
}

PUBLIC int listen(int fd, int backlog)
{
	struct note n;
	struct bt_req q;
	struct bt_rep rep;
	if (!bt_in_host() || !bt_ident(fd, &n))
		return bt_real()->listen(fd, backlog);
	if (n.flags & NOTE_UDP)
		return bt_fail(EOPNOTSUPP);
	/* Nor one whose outcome has not been asked for, nor one that is over. */
	if (n.flags & (NOTE_STARTED | NOTE_CONNECTED))
		return bt_fail(EINVAL);
	bt_req_make(&q, BT_LISTEN_ON, &n, fd);
	/* berthd bounds it by somaxconn, silently; a negative one is as large as can be. */
	q.value = (uint32_t)backlog;
	if (n.flags & NOTE_NAMED) /* a port that is chosen by listen is nobody's goal yet */
		bt_wire_options(fd, &n);
	/* berthd has the kernel listen before it sends anybody there. One without a name nobody can
	 * be sent to yet. */
	int e = bt_call(n.flags & NOTE_NAMED ? fd : -1, &q, NULL, &rep, NULL, NULL);
	if (e == 0 && rep.flags & BT_REPF_NEW) {
		e = bt_take_name(fd, &n, &rep);
		if (e == 0)
			bt_wire_options(fd, &n);
	}
	if (e != 0)
		return bt_fail(e);
	n.flags |= NOTE_LISTENS;
	bt_note_set(fd, &n);
	return bt_real()->listen(fd, BT_LISTEN_QUEUE);
}

/* ---- accept ---- */

/* berthd then takes this process's word about the connections that come through the listener: an
 * answer says that it will before the ring (link.c) tells of their end, or of the listener's. */
void bt_say_accepts(int fd, struct note *n)
{
	struct bt_req q;
	struct bt_rep rep;
	struct note *own = bt_note(fd);
	if (LIKELY(n->flags & NOTE_ACCEPTS && n->link == bt_link_cookie() && n->link != 0))
		return;
	bt_req_init(&q, BT_ACCEPTS, n);
	bt_notice(fd, &q);
	bt_req_init(&q, BT_IDENT, n);
	bt_call(fd, &q, NULL, &rep, NULL, NULL);
	n->link = bt_link_cookie();
	n->flags |= NOTE_ACCEPTS;
	if (own != NULL) {
		own->link = n->link;
		own->flags |= NOTE_ACCEPTS;
	}
}

/* The row of the connection whose client has this name, if berthd made it for this listener. */
static bool vouched(const struct sockaddr_un *sun, socklen_t len, const struct note *l,
		    struct bt_row *row, uint32_t *slot)
{
	struct bt_ident id;
	struct bt_row client;
	const struct bt_table *t = bt_table();
	if (t == NULL || !bt_name_parse_peer(sun, len, bt_netid(), &id) ||
	    !bt_row_read(t, id.slot, &client) || client.gen != id.gen || client.nonce != id.nonce ||
	    !bt_row_read(t, client.peer, row))
		return false;
	*slot = client.peer;
	return row->flags & BT_ROWF_CHILD && row->link == l->id.slot && row->peer == id.slot;
}

/* A connection in packets has its listener's send buffer. */
static void wire_queue(int listener, int fd, const struct note *n)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);
	bt_real()->getsockopt(listener, SOL_SOCKET, SO_SNDBUF, &bytes, &len);
	bt_wire_queue(fd, n, bytes / 2);
	if (bt_note(fd) != NULL)
		bt_note(fd)->flags |= NOTE_SNDBUF;
}

static int take_connection(int fd, struct sockaddr *sa, socklen_t *len, int flags,
			   const struct note *l)
{
	struct sockaddr_un sun;
	struct bt_row row;
	struct bt_req q;
	for (;;) {
		socklen_t n = sizeof(sun);
		uint32_t slot;
		int c = bt_real()->accept4(fd, (struct sockaddr *)&sun, &n, flags);
		if (c < 0)
			return c;
		if (LIKELY(vouched(&sun, n, l, &row, &slot))) {
			struct note child = {.flags = NOTE_OURS | NOTE_NAMED | NOTE_CHILD |
						      NOTE_CONNECTED | (l->flags & NOTE_V6) |
						      (row.flags & BT_ROWF_WIRE ? NOTE_WIRE : 0u) |
						      (flags & SOCK_NONBLOCK ? NOTE_NONBLOCK : 0),
					     .forks = bt_forks,
					     .id = {slot, row.gen, row.nonce},
					     .cookie = l->cookie,
					     .link = l->link};
			const int on = 1;
			if (l->cookie != 0)
				child.flags |= NOTE_COOKIE | NOTE_LAZY;
			if (UNLIKELY(l->flags & NOTE_KEEPALIVE))
				bt_real()->setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
			bt_new_fd(c);
			bt_note_set(c, &child);
			if (UNLIKELY(l->flags & NOTE_SNDBUF && child.flags & NOTE_WIRE))
				wire_queue(fd, c, &child);
			/* Linux finds a bad address when the connection is off the queue, and drops
			 * it. */
			if (sa != NULL &&
			    (bt_bad_pointer(sa) || bt_bad_pointer(len) || (int)*len < 0)) {
				int e = !bt_bad_pointer(len) && (int)*len < 0 ? EINVAL : EFAULT;
				close(c);
				return bt_fail(e);
			}
			if (sa != NULL)
				bt_addr_out(row.raddr, row.rport, l->flags & NOTE_V6, sa, len);
			return c;
		}
		bt_sys(SYS_close, c, 0, 0, 0, 0, 0);
		bt_req_init(&q, BT_FORGED, l);
		bt_notice(-1, &q);
	}
}

PUBLIC int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct note n;
	if (!bt_in_host() || !bt_ident(fd, &n)) {
		int other = bt_real()->accept4(fd, sa, len, flags);
		if (other >= 0) {
			bt_new_fd(other);
			bt_note_clear(other);
		}
		return other;
	}
	if (n.flags & NOTE_UDP)
		return bt_fail(EOPNOTSUPP);
	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return bt_fail(EINVAL);
	if (!(n.flags & NOTE_LISTENS) && n.flags & NOTE_NAMED && !(n.flags & NOTE_CHILD)) {
		/* Another process may have made it a listener since. */
		struct bt_row row;
		if (bt_note_row(&n, &row) && row.state == BT_ROW_LISTEN && bt_note(fd) != NULL) {
			bt_note(fd)->flags |= NOTE_LISTENS;
			n.flags |= NOTE_LISTENS;
		}
	}
	if (!(n.flags & NOTE_LISTENS))
		return bt_fail(EINVAL);
	bt_say_accepts(fd, &n);
	return take_connection(fd, sa, len, flags, &n);
}

PUBLIC int accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	return accept4(fd, sa, len, 0);
}

/* ---- names of both ends ---- */

/* EBADF, ENOTSOCK, or what else the kernel says first. */
static int name_args(const void *sa, const socklen_t *len)
{
	if (bt_bad_pointer(len))
		return EFAULT;
	if ((int)*len < 0)
		return EINVAL;
	return *len > 0 && bt_bad_pointer(sa) ? EFAULT : 0;
}

PUBLIC int getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	static const uint8_t any4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, any6[16];
	struct note n;
	struct bt_row row;
	if (!bt_in_host() || !bt_ident(fd, &n))
		return bt_real()->getsockname(fd, sa, len);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_name(&n, false, sa, len);
	int e = name_args(sa, len);
	if (e != 0)
		return bt_fail(e);
	if (!bt_note_row(&n, &row)) {
		memset(&row, 0, sizeof(row));
		if (!(n.flags & NOTE_V6))
			memcpy(row.laddr, any4, 16);
	}
	if (row.marks & BT_ROWM_ADDR)
		memcpy(row.laddr, n.flags & NOTE_V6 ? any6 : any4, 16);
	if (n.flags & NOTE_UDP)
		row.lport = bt_row_port(&row);
	bt_addr_out(row.laddr, row.lport, n.flags & NOTE_V6, sa, len);
	return 0;
}

PUBLIC int getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct note n;
	struct bt_row row;
	if (!bt_in_host() || !bt_ident(fd, &n))
		return bt_real()->getpeername(fd, sa, len);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_name(&n, true, sa, len);
	/* The connection may be over, also because another holder has shut it down. */
	if (n.flags & NOTE_SHUT_WR || (n.flags & NOTE_SHARED && !(n.flags & NOTE_UDP)))
		bt_settle(&n);
	if (!(n.flags & NOTE_CHILD)) /* or never was accepted */
		bt_reset_unheard(fd, &n);
	if (!bt_note_row(&n, &row) || row.rport == 0 || row.state == BT_ROW_CLOSE ||
	    row.state == BT_ROW_TIME_WAIT || row.state == BT_ROW_LISTEN) {
		if (!(n.flags & NOTE_UDP) || row.rport == 0 || !(n.flags & NOTE_NAMED))
			return bt_fail(ENOTCONN);
	}
	int e = name_args(sa, len);
	if (e != 0)
		return bt_fail(e);
	bt_addr_out(row.raddr, row.rport, n.flags & NOTE_V6, sa, len);
	return 0;
}

PUBLIC int __getsockname(int fd, struct sockaddr *sa, socklen_t *len);
PUBLIC int __connect(int fd, const struct sockaddr *sa, socklen_t len);

PUBLIC int __connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return connect(fd, sa, len);
}

PUBLIC int __getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getsockname(fd, sa, len);
}

/* ---- shutdown ---- */

/* Ends the listening and wakes who waits in accept (inet_shutdown); the sending direction means
 * nothing. */
static int shut_listener(int fd, const struct note *n, int how)
{
	struct note mine = *n;
	if (how == SHUT_WR)
		return 0;
	bt_drain(fd, &mine);
	int e = bt_renew(fd, &mine);
	return e == 0 ? 0 : bt_fail(e);
}

/* Also without a peer, of which it then complains (inet_shutdown). Datagrams go on to come in, so
 * the kernel's SHUT_RD is not ours: it would tell the senders. */
static int udp_shutdown(int fd, const struct note *n, int how)
{
	struct note *own = bt_note(fd);
	if (how != SHUT_RD && bt_real()->shutdown(fd, SHUT_WR) != 0)
		return -1;
	if (own != NULL)
		own->flags |=
			(how != SHUT_RD ? NOTE_SHUT_WR : 0u) | (how != SHUT_WR ? NOTE_SHUT_RD : 0u);
	return n->flags & NOTE_CONNECTED ? 0 : bt_fail(ENOTCONN);
}

PUBLIC int shutdown(int fd, int how)
{
	struct note n;
	struct bt_req q;
	if (!bt_in_host() || bt_silenced() || !bt_ident(fd, &n))
		return bt_real()->shutdown(fd, how);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_fail(EOPNOTSUPP);
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return bt_fail(EINVAL);
	if (n.flags & NOTE_LISTENS)
		return shut_listener(fd, &n, how);
	if (n.flags & NOTE_UDP)
		return udp_shutdown(fd, &n, how);
	struct bt_row row;
	/* A connection is over once both ends have shut, this one perhaps by another holder. */
	if (n.flags & (NOTE_SHUT_WR | NOTE_SHARED))
		bt_settle(&n);
	bt_reset_unheard(fd, &n);
	if (!(n.flags & NOTE_CONNECTED) ||
	    (bt_note_row(&n, &row) && (row.state == BT_ROW_CLOSE || row.state == BT_ROW_TIME_WAIT)))
		return bt_fail(ENOTCONN);
	struct note *own = bt_note(fd);
	if (how == SHUT_RD || n.flags & NOTE_SHARED)
		bt_told(fd, &n, 0);
	if (own != NULL) /* BT_SHUT says it, too */
		own->flags &= ~(uint32_t)NOTE_STARTED;
	if (how == SHUT_RD) {
		/* The kernel's would stop the peer from sending, which TCP's does not (tcp(7),
		 * shutdown(2)). Ours ends this side's reading only: what comes is left, and readers
		 * are told the end. */
		if (own != NULL)
			own->flags |= NOTE_SHUT_RD;
		return 0;
	}
	int r = bt_real()->shutdown(fd, how);
	if (r == 0) {
		if (own != NULL)
			own->flags |= NOTE_SHUT_WR;
		bt_req_init(&q, BT_SHUT, &n);
		q.value = (uint32_t)how;
		q.flags = n.flags & NOTE_END ? BT_REQF_END : 0;
		bt_notice(bt_proof(fd, &n), &q);
	}
	return r;
}

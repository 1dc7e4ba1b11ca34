/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect, for TCP, UDP and AF_UNSPEC. System calls for the common case, beside the program's own:
 * fstat (link check), sendto, recvfrom, bind.
 */
#include "preload.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool nonblocking(int fd, const struct note *n)
{
	if (LIKELY(!(n->flags & NOTE_SHARED)))
		return n->flags & NOTE_NONBLOCK;
	return bt_sys(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0) & O_NONBLOCK;
}

static int pending_error(int fd, struct note *n, int e)
{
	struct note *own = bt_note(fd);
	bt_pend(fd, n, e);
	if (own != NULL)
		own->flags |= NOTE_STARTED;
	return EINPROGRESS;
}

void bt_told(int fd, const struct note *n, int e)
{
	struct bt_req q;
	struct bt_rep rep;
	struct note *own = bt_note(fd);
	if (own != NULL)
		own->flags &= ~(uint32_t)NOTE_STARTED;
	if (!(n->flags & NOTE_STARTED) || !(n->flags & NOTE_NAMED))
		return;
	bt_req_init(&q, BT_TOLD, n);
	q.value = (uint32_t)e;
	bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
}

/* The errors that a non-blocking connect reports later, by SO_ERROR; the others it says at once. */
static bool comes_later(int e)
{
	return e == ECONNREFUSED || e == EHOSTUNREACH;
}

static int tcp_join(int fd, struct note *n, const struct bt_rep *rep)
{
	struct sockaddr_un sun;
	struct bt_req q;
	struct bt_rep answer;
	socklen_t len = rep->flags & BT_REPF_SELF ? bt_name_self(&sun, bt_netid())
						  : bt_target_name(&sun, rep);
	if (bt_real()->connect(fd, (struct sockaddr *)&sun, len) == 0)
		return 0;
	int e = errno;
	if (bt_no_file(e)) { /* berthd reaches it */
		bt_req_init(&q, BT_JOIN, n);
		e = bt_call(fd, &q, NULL, &answer, NULL, NULL);
		if (e == 0)
			return 0;
	}
	bt_req_init(&q, BT_CONNECT_FAIL, n);
	q.value = (uint32_t)e;
	bt_notice(bt_proof(fd, n), &q);
	if (e == ENOENT || e == EPERM || e == EPROTOTYPE)
		return ECONNREFUSED; /* the listener died, and berthd does not know yet */
	return e == EAGAIN ? ETIMEDOUT : e;
}

/* The connection is over before any call has told that it was there. */
static int lost(int fd, struct note *n)
{
	int e = bt_pending(fd, n);
	socklen_t len = sizeof(e);
	if (e != 0)
		return e;
	if (bt_reset_untold(fd, n))
		return ECONNRESET;
	/* A reset that came after the peer's FIN. */
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, (long)&e, (long)&len, 0);
	return e == 0 ? ECONNABORTED : EPIPE;
}

/* connect on a socket that has, or had, a connection, or waits for one. */
static int connect_again(int fd, struct note *n)
{
	struct bt_row row;
	int e = n->flags & NOTE_JOINING ? bt_wire_outcome(fd, n) : 0;
	if (e == EINPROGRESS)
		return EALREADY;
	if (!(n->flags & NOTE_STARTED))
		return EISCONN;
	if (e == 0 && (!bt_note_row(n, &row) || row.state != BT_ROW_CLOSE)) {
		bt_told(fd, n, 0);
		return 0;
	}
	if (e == 0)
		e = lost(fd, n);
	bt_told(fd, n, e);
	bt_renew(fd, n);
	return e;
}

/* bad: what is wrong with the address, which counts only where the socket may connect at all. */
static int tcp_connect(int fd, struct note *n, const uint8_t addr[16], uint16_t port, int bad,
		       bool async)
{
	struct bt_req q;
	struct bt_rep rep;
	if (n->flags & NOTE_LISTENS)
		return EISCONN;
	if (n->flags & NOTE_CONNECTED)
		return connect_again(fd, n);
	/* Of an earlier attempt: said by this call, the next one tries again. Somebody may have
	 * been told meanwhile (inet_stream_connect). */
	if (n->flags & NOTE_STARTED) {
		int told = bt_pending(fd, n);
		told = told != 0 ? told : ECONNABORTED;
		bt_told(fd, n, told);
		return told;
	}
	if (bad != 0)
		return bad;
	if (UNLIKELY(n->flags & NOTE_WIRE)) { /* an attempt that failed has used the descriptor */
		int fresh = bt_renew(fd, n);
		if (fresh != 0)
			return fresh;
		bt_ident(fd, n);
	}
	bt_req_make(&q, BT_CONNECT, n, fd);
	bt_req_addr(&q, addr, port);
	q.flags = async ? BT_REQF_ASYNC : 0;
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	if (e == 0 ||
	    comes_later(e)) /* an attempt forgets what was not asked for (tcp_connect_init) */
		bt_pending(fd, n);
	if (e == 0 || e == ECONNREFUSED) {
		int unnamed = bt_take_name(fd, n, &rep);
		e = unnamed != 0 ? unnamed : e;
	}
	if (e == 0 && rep.flags & BT_REPF_WIRE) {
		e = bt_wire_join(fd, n);
		if (e == 0)
			e = async ? EINPROGRESS : bt_wire_wait(fd, n);
		if (e == EINPROGRESS || e == EINTR) {
			n->flags |= NOTE_CONNECTED | NOTE_STARTED;
			bt_note_set(fd, n);
			return e;
		}
		if (e != 0)
			bt_note_set(fd, n);
	} else if (e == 0) {
		e = tcp_join(fd, n, &rep);
	}
	if (e != 0)
		return async && comes_later(e) ? pending_error(fd, n, e) : e;
	n->flags |= NOTE_CONNECTED | (async ? NOTE_STARTED : 0);
	bt_note_set(fd, n);
	return async ? EINPROGRESS : 0;
}

/*
 * connect with AF_UNSPEC ends the connection with a reset, or the listening, and the socket may be
 * used anew with the port that bind gave it (tcp_disconnect).
 */
static int tcp_disconnect(int fd, struct note *n)
{
	if (n->flags & NOTE_LISTENS)
		bt_drain(fd, n);
	if (n->flags & (NOTE_CONNECTED | NOTE_LISTENS | NOTE_WIRE))
		return bt_renew(fd, n);
	bt_told(fd, n, ECONNRESET);
	return 0;
}

static int udp_connect(int fd, struct note *n, const uint8_t addr[16], uint16_t port,
		       uint16_t scope, bool unspec)
{
	struct bt_req q;
	struct bt_rep rep;
	bt_req_make(&q, BT_UDP_CONNECT, n, fd);
	bt_req_addr(&q, addr, port);
	q.dev = scope;
	q.flags = unspec ? BT_REQF_UNSPEC : bt_may_broadcast(fd, addr);
	bt_udp_changes++;
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	if (e == 0)
		e = bt_take_name(fd, n, &rep);
	if (e != 0 && !unspec)
		bt_udp_autobind(fd, n);
	if (e != 0)
		return e;
	n->flags = unspec ? n->flags & ~(uint32_t)NOTE_CONNECTED : n->flags | NOTE_CONNECTED;
	bt_note_set(fd, n);
	return 0;
}

static bool v6only(int fd)
{
	uint64_t c = 0;
	return bt_cookie_get(fd, &c) == 0 && c & COOKIE_BIT(CB_V6ONLY);
}

PUBLIC int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct note n;
	uint8_t addr[16] = {0};
	uint16_t port = 0;
	if (!bt_in_host() || !bt_ident_for(fd, sa, len, &n))
		return bt_real()->connect(fd, sa, len);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_connect(&n, sa, len);
	if (len > sizeof(struct sockaddr_storage))
		return bt_fail(EINVAL);
	if (len > 0 && bt_bad_pointer(sa))
		return bt_fail(EFAULT);
	if (len < sizeof(sa_family_t))
		return bt_fail(EINVAL);
	bool unspec = sa->sa_family == AF_UNSPEC, udp = n.flags & NOTE_UDP;
	bool v6 =
		n.flags & NOTE_V6 && !(udp && sa->sa_family == AF_INET); /* ip6_datagram_connect */
	int e = unspec ? 0 : bt_addr_in(sa, len, v6, addr, &port);
	if (!udp && unspec)
		e = tcp_disconnect(fd, &n);
	else if (!udp)
		e = tcp_connect(fd, &n, addr, port, e, nonblocking(fd, &n));
	else if (e == 0 && n.flags & NOTE_V6 && !v6 && !unspec && v6only(fd))
		e = EAFNOSUPPORT;
	else if (e == 0)
		return (e = udp_connect(fd, &n, addr, port, bt_scope(sa, len), unspec)) == 0
			       ? 0
			       : bt_fail(e);
	if (udp && e != 0)
		bt_udp_autobind(fd, &n);
	return e == 0 ? 0 : bt_fail(e);
}

int bt_fastopen(int fd, struct note *n, const struct msghdr *m, int flags)
{
	const struct sockaddr *sa = m->msg_name;
	uint8_t addr[16] = {0};
	uint16_t port = 0;
	int e = EINVAL;
	if (sa != NULL && (m->msg_namelen > sizeof(struct sockaddr_storage) ||
			   m->msg_namelen < sizeof(sa_family_t)))
		return EINVAL;
	if (sa != NULL && bt_bad_pointer(sa))
		return EFAULT;
	if (sa != NULL && sa->sa_family == AF_UNSPEC)
		return EOPNOTSUPP;
	if (sa != NULL)
		e = bt_addr_in(sa, m->msg_namelen, n->flags & NOTE_V6, addr, &port);
	return tcp_connect(fd, n, addr, port, e, flags & MSG_DONTWAIT || nonblocking(fd, n));
}

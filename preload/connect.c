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
		own->flags |= NOTE_FAILED | NOTE_STARTED;
	return EINPROGRESS;
}

/* The errors that a non-blocking connect reports later, by SO_ERROR; the others it says at once. */
static bool comes_later(int e)
{
	return e == ECONNREFUSED || e == EHOSTUNREACH;
}

/* A listener that had tried to connect before. */
static bool join_path(int fd, const struct bt_rep *rep)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_path(&sun, bt_table()->names, bt_netid(), &rep->target);
	return len != 0 && bt_real()->connect(fd, (struct sockaddr *)&sun, len) == 0;
}

static int tcp_join(int fd, struct note *n, const struct bt_rep *rep)
{
	struct sockaddr_un sun;
	struct bt_req q;
	socklen_t len = rep->flags & BT_REPF_SELF ? bt_name_self(&sun, bt_netid())
						  : bt_name_make(&sun, bt_netid(), &rep->target);
	if (rep->flags & BT_REPF_TARGET_PATH && bt_table() != NULL && join_path(fd, rep))
		return 0;
	if (bt_real()->connect(fd, (struct sockaddr *)&sun, len) == 0)
		return 0;
	int e = errno;
	bt_req_init(&q, BT_CONNECT_FAIL, n);
	q.value = (uint32_t)e;
	bt_notice(bt_proof(fd, n), &q);
	if (e == ENOENT || e == EPERM || e == EPROTOTYPE)
		return ECONNREFUSED; /* the listener died, and berthd does not know yet */
	return e == EAGAIN ? ETIMEDOUT : e;
}

/* addr: whether the address is shown with the port, as after an attempt that has not been told yet.
 */
static void will_show(int fd, struct note *n, const uint8_t end[16], uint16_t port, bool addr)
{
	struct note *own = bt_note(fd);
	n->flags = addr ? n->flags | NOTE_SHOWN : n->flags & ~(uint32_t)NOTE_SHOWN;
	memcpy(n->shown, end, 16);
	n->shown_port = port;
	if (own == NULL)
		return;
	if (own->flags & NOTE_OURS)
		own->flags = (own->flags & ~(uint32_t)NOTE_SHOWN) | (n->flags & NOTE_SHOWN);
	memcpy(own->shown, end, 16);
	own->shown_port = port;
}

static int tcp_disconnect(int fd, struct note *n);

/* bad: what is wrong with the address, which counts only where the socket may connect at all. */
static int tcp_connect(int fd, struct note *n, const uint8_t addr[16], uint16_t port, int bad)
{
	struct bt_req q;
	struct bt_rep rep;
	if (n->flags & NOTE_LISTENS)
		return EISCONN;
	if (n->flags & NOTE_CONNECTED) {
		struct note *own = bt_note(fd);
		struct bt_row row;
		int outcome = n->flags & NOTE_JOINING ? bt_wire_outcome(fd, n) : 0;
		if (outcome == EINPROGRESS)
			return EALREADY;
		if (own == NULL || !(own->flags & NOTE_STARTED))
			return EISCONN;
		if (outcome != 0) {
			own->flags &= ~(uint32_t)(NOTE_STARTED | NOTE_SHOWN | NOTE_CONNECTED);
			return outcome;
		}
		own->flags &= ~(uint32_t)NOTE_STARTED;
		if (!bt_note_row(n, &row) || row.state != BT_ROW_CLOSE)
			return 0;
		own->flags &= ~(uint32_t)NOTE_SHOWN;
		int lost = bt_pending(fd, n); /* and is over already */
		socklen_t len = sizeof(lost);
		if (lost == 0 && bt_reset_untold(fd, n))
			return ECONNRESET;
		if (lost == 0) /* a reset that came after the peer's FIN */
			bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, (long)&lost, (long)&len,
			       0);
		return lost == 0 ? ECONNABORTED : EPIPE;
	}
	int pending = bt_pending(fd, n);
	/* A new attempt forgets what was not asked for, and tcp_disconnect's own. */
	if (!(n->flags & (NOTE_STARTED | NOTE_SHARED)) || pending == ECONNRESET)
		pending = 0;
	struct note *own = bt_note(fd);
	if (own != NULL)
		own->flags &= ~(uint32_t)(NOTE_SHOWN | NOTE_STARTED | NOTE_FAILED);
	/* Of an earlier attempt: said by this call, the next one tries again. Somebody may have
	 * been told meanwhile (inet_stream_connect). */
	if (pending != 0 || n->flags & NOTE_STARTED)
		return pending != 0 ? pending : ECONNABORTED;
	if (bad != 0)
		return bad;
	if (UNLIKELY(n->flags & NOTE_WIRE)) { /* an attempt that failed has used the descriptor */
		int fresh = tcp_disconnect(fd, n);
		if (fresh != 0)
			return fresh;
		bt_ident(fd, n);
	}
	bool async = nonblocking(fd, n);
	bt_req_make(&q, BT_CONNECT, n, fd);
	bt_req_addr(&q, addr, port);
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	if (e == 0)
		e = bt_take_name(fd, n, &rep);
	if (e == 0 && rep.flags & BT_REPF_WIRE) {
		e = bt_wire_join(fd, n);
		if (e == 0)
			e = async ? EINPROGRESS : bt_wire_wait(fd, n);
		if (e == EINPROGRESS || e == EINTR) {
			will_show(fd, n, rep.addr, rep.port, true);
			n->flags |= NOTE_CONNECTED | NOTE_STARTED;
			bt_note_set(fd, n);
			return e;
		}
		if (e != 0)
			bt_note_set(fd, n);
	} else if (e == 0) {
		e = tcp_join(fd, n, &rep);
	}
	if (e == 0 || e == ECONNREFUSED)
		will_show(fd, n, rep.addr, rep.port, e == 0 || async);
	if (e != 0)
		return async && comes_later(e) ? pending_error(fd, n, e) : e;
	n->flags |= NOTE_CONNECTED | (async ? NOTE_STARTED : 0);
	bt_note_set(fd, n);
	return async ? EINPROGRESS : 0;
}

/* What the kernel keeps in the descriptor is copied to the one that takes its place. */
static void copy_options(int from, int to)
{
	static const int names[] = {SO_KEEPALIVE, SO_LINGER,	SO_SNDTIMEO,  SO_RCVTIMEO,
				    SO_SNDBUF,	  SO_RCVBUF,	SO_OOBINLINE, SO_BROADCAST,
				    SO_PRIORITY,  SO_TIMESTAMP, SO_RCVLOWAT,  SO_DONTROUTE};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		union {
			int number;
			struct linger linger;
			struct timeval time;
		} value;
		socklen_t len = sizeof(value);
		if (bt_sys(SYS_getsockopt, from, SOL_SOCKET, names[i], (long)&value, (long)&len,
			   0) < 0)
			continue;
		if (names[i] == SO_SNDBUF || names[i] == SO_RCVBUF)
			value.number /= 2; /* the kernel doubles what it is given */
		bt_sys(SYS_setsockopt, to, SOL_SOCKET, names[i], (long)&value, (long)len, 0);
	}
}

/*
 * connect with AF_UNSPEC ends the connection with a reset, or the listening, and the socket may be
 * used anew with the port that bind gave it (tcp_disconnect). An AF_UNIX stream cannot be joined
 * twice: a new descriptor takes the number. Where others hold the old one, it would not be the same
 * socket any more.
 */
static int tcp_disconnect(int fd, struct note *n)
{
	struct bt_req q;
	struct bt_rep rep;
	struct bt_row row;
	if (bt_note(fd) != NULL)
		bt_note(fd)->flags &= ~(uint32_t)(NOTE_SHOWN | NOTE_STARTED | NOTE_FAILED);
	if (!(n->flags & (NOTE_CONNECTED | NOTE_LISTENS | NOTE_WIRE)))
		return 0;
	if (n->flags & NOTE_SHARED)
		return EOPNOTSUPP;
	long status = bt_sys(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	long cloexec = bt_sys(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0);
	long fresh = bt_sys(SYS_socket, AF_UNIX,
			    SOCK_STREAM | SOCK_CLOEXEC | (status & O_NONBLOCK ? SOCK_NONBLOCK : 0),
			    0, 0, 0, 0);
	if (fresh < 0)
		return (int)-fresh;
	uint32_t keep = NOTE_V6 | NOTE_NONBLOCK | NOTE_KEEPALIVE | NOTE_LINGER0 | NOTE_SNDBUF;
	struct note clean = {.flags = NOTE_OURS | (n->flags & keep),
			     .forks = bt_forks,
			     .shown_port = n->shown_port};
	bool unfinished = bt_note_row(n, &row) &&
			  (row.state == BT_ROW_ESTABLISHED || row.state == BT_ROW_CLOSE_WAIT ||
			   row.state == BT_ROW_FIN_WAIT1 || row.state == BT_ROW_FIN_WAIT2);
	bt_req_init(&q, BT_DISCONNECT, n);
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	if (e == 0)
		e = bt_take_name((int)fresh, &clean, &rep);
	bt_note_clear((int)fresh);
	if (e == 0) {
		copy_options(fd, (int)fresh);
		bt_sys(SYS_dup3, fresh, fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0, 0, 0, 0);
	}
	bt_sys(SYS_close, fresh, 0, 0, 0, 0, 0);
	if (e != 0)
		return e;
	bt_note_set(fd, &clean);
	if (n->cookie != 0)
		e = bt_cookie_set(fd, &clean, n->cookie);
	if (e == 0 && unfinished) /* tcp_need_reset */
		bt_pend(fd, &clean, ECONNRESET);
	return e;
}

static int udp_connect(int fd, struct note *n, const uint8_t addr[16], uint16_t port, bool unspec)
{
	struct bt_req q;
	struct bt_rep rep;
	bt_req_make(&q, BT_UDP_CONNECT, n, fd);
	bt_req_addr(&q, addr, port);
	q.flags = unspec ? BT_REQF_UNSPEC : 0;
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
		e = tcp_connect(fd, &n, addr, port, e);
	else if (e == 0 && n.flags & NOTE_V6 && !v6 && !unspec && v6only(fd))
		e = EAFNOSUPPORT;
	else if (e == 0)
		return (e = udp_connect(fd, &n, addr, port, unspec)) == 0 ? 0 : bt_fail(e);
	if (udp && e != 0)
		bt_udp_autobind(fd, &n);
	return e == 0 ? 0 : bt_fail(e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving, and what resets and ends are. The kernel's call comes first and its success is passed
 * on untouched; only a failure or an end of file is looked at: a reset that the kernel cannot tell
 * (BT_ROWF_RESET), an errno that AF_UNIX has and TCP has not.
 */
#include "preload.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The connection is over for both ends. come: by the peer's reset, which waits to be told. */
void bt_end_by_reset(int fd, const struct note *n, bool come)
{
	struct bt_req q;
	struct bt_rep rep;
	bt_req_init(&q, BT_RESET, n);
	q.value = come;
	bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
}

/* Where SO_LINGER 0 was set by one of several holders, no close is known to be the last, and so the
 * reset. The kernel tells which was: HUP, where a FIN is RDHUP alone. */
static bool last_close(int fd, const struct note *n, const struct bt_row *row)
{
	struct bt_row peer;
	struct pollfd p = {.fd = fd};
	return (row->state == BT_ROW_ESTABLISHED || row->state == BT_ROW_FIN_WAIT2) &&
	       bt_row_read(bt_table(), row->peer, &peer) && peer.peer == n->id.slot &&
	       peer.flags & BT_ROWF_LINGER0 && bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) == 1 &&
	       p.revents & POLLHUP;
}

/* A reset is said once, to whichever holder asks first; then it is an end of file, as in Linux. */
bool bt_reset_said(int fd, const struct note *own)
{
	uint64_t c = 0;
	if (own == NULL || own->flags & NOTE_RESET_SAID)
		return true;
	return own->flags & NOTE_SHARED && bt_cookie_get(fd, &c) == 0 &&
	       c & COOKIE_BIT(CB_RESET_SAID);
}

void bt_reset_say(int fd)
{
	struct note *own = bt_note(fd);
	uint64_t c = 0;
	if (own == NULL)
		return;
	own->flags |= NOTE_RESET_SAID;
	if (own->flags & NOTE_SHARED && bt_cookie_get(fd, &c) == 0)
		bt_cookie_set(fd, own, c | COOKIE_BIT(CB_RESET_SAID));
}

bool bt_reset_untold(int fd, const struct note *n)
{
	struct bt_row row;
	if (bt_reset_said(fd, bt_note(fd)) || !bt_note_row(n, &row))
		return false;
	if (!(row.flags & BT_ROWF_RESET) && last_close(fd, n, &row))
		bt_end_by_reset(fd, n, false);
	else if (!bt_note_row(n, &row) || !(row.flags & BT_ROWF_RESET)) /* berthd was quicker */
		return false;
	bt_reset_say(fd);
	/* AF_UNIX keeps the same error where the peer left data unread. */
	int said;
	socklen_t len = sizeof(said);
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, (long)&said, (long)&len, 0);
	return true;
}

/* read returned 0: the end, or a reset by SO_LINGER 0 at the peer? */
ssize_t bt_stream_end(int fd, ssize_t n, size_t wanted)
{
	struct note note;
	if (n != 0 || wanted == 0 || bt_silenced() || !bt_ident(fd, &note) || note.flags & NOTE_UDP)
		return n;
	if (!(note.flags & (NOTE_CONNECTED | NOTE_LISTENS))) { /* renewed by another holder */
		int e = bt_pending(fd, &note);
		return bt_fail(e != 0 ? e : ENOTCONN);
	}
	if (!bt_reset_untold(fd, &note)) {
		struct note *own = bt_note(fd);
		int e = bt_wire_ended(fd, &note);
		if (own != NULL)
			own->flags |= NOTE_END;
		errno = e != 0 ? e : errno;
		return e != 0 ? -1 : n;
	}
	errno = ECONNRESET;
	return -1;
}

void bt_reset_heard(int fd, const struct note *n)
{
	struct bt_row row;
	bt_reset_say(fd);
	if (bt_note_row(n, &row) &&
	    (row.state == BT_ROW_ESTABLISHED || row.state == BT_ROW_CLOSE_WAIT))
		bt_end_by_reset(fd, n, true);
}

bool bt_reset_unheard(int fd, const struct note *n)
{
	struct bt_row row;
	struct pollfd p = {.fd = fd};
	if ((n->flags & (NOTE_CONNECTED | NOTE_UDP | NOTE_WIRE)) != NOTE_CONNECTED ||
	    bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) != 1 || !(p.revents & POLLERR) ||
	    !bt_note_row(n, &row) || row.state == BT_ROW_CLOSE || row.state == BT_ROW_TIME_WAIT)
		return false;
	bt_end_by_reset(fd, n, true);
	return true;
}

/* The peer had sent its FIN before the reset: for TCP the end comes first, and the error that waits
 * for the next send or SO_ERROR is EPIPE (tcp_reset). */
bool bt_over_after_end(const struct note *n)
{
	struct bt_row row;
	return n->flags & NOTE_CONNECTED && bt_note_row(n, &row) && row.state == BT_ROW_CLOSE &&
	       !(row.flags & BT_ROWF_RESET);
}

static bool after_end(int fd, struct note *n)
{
	if (!bt_over_after_end(n))
		return false;
	bt_pend(fd, n, EPIPE);
	return true;
}

static ssize_t received(int fd, ssize_t n, size_t wanted, int flags)
{
	struct note note;
	if (LIKELY(n > 0))
		return flags & (MSG_PEEK | MSG_ERRQUEUE) ? n : bt_meter(fd, n, false);
	if (!bt_in_host())
		return n;
	int saved = errno;
	if (n == 0 && bt_note(fd) != NULL && UNLIKELY(bt_wire_udp(bt_note(fd))) &&
	    !(flags & MSG_ERRQUEUE)) {
		/* It waited when the word came, and took it for a datagram. */
		int e = bt_wire_error(fd, bt_note(fd));
		errno = e != 0 ? e : saved;
		return e != 0 ? -1 : 0;
	}
	if (n == 0)
		return flags & MSG_ERRQUEUE ? n : bt_stream_end(fd, n, wanted);
	if (saved == ECONNRESET && !bt_silenced() && bt_ident(fd, &note)) {
		if (note.flags & NOTE_UDP) {
			saved = ECONNREFUSED; /* see dgram.c */
		} else if (!bt_reset_untold(fd, &note)) {
			int e = bt_wire_ended(fd, &note);
			if (e == 0 && bt_wire_told(&note))
				return 0;
			if (e == 0)
				bt_reset_heard(fd, &note);
			if (e == 0 && after_end(fd, &note))
				return 0;
			saved = e != 0 ? e : saved;
		}
	}
	if (saved == EINVAL && !(flags & MSG_OOB) && !bt_silenced() && bt_ident(fd, &note) &&
	    !(note.flags & NOTE_UDP)) {
		saved = note.flags & NOTE_LISTENS ? ENOTCONN : bt_pending(fd, &note);
		if (saved == 0 &&
		    note.flags & NOTE_STARTED) /* the attempt failed, and that was told */
			return 0;
		if (saved == 0)
			saved = ENOTCONN;
	}
	errno = saved;
	return n;
}

/* An error kept in the cookie, by refuse in dgram.c: told by the next call. */
static bool kept_error(int fd)
{
	struct note *own = bt_note(fd), n;
	if (LIKELY(own == NULL || !(own->flags & NOTE_FAILED)) || !(own->flags & NOTE_UDP) ||
	    !bt_ident(fd, &n))
		return false;
	own->flags &= ~(uint32_t)NOTE_FAILED;
	errno = bt_pending(fd, &n);
	return errno != 0;
}

/* SHUT_RD: take what is there, and say the end where the kernel would wait. */
static bool shut_rd(int fd, int flags)
{
	struct note *n = bt_note(fd);
	if (LIKELY(n == NULL || !(n->flags & NOTE_SHUT_RD)) || !(n->flags & NOTE_OURS))
		return false;
	/* UDP notices only when it is about to wait. */
	return !(n->flags & NOTE_UDP) || !(flags & MSG_DONTWAIT || n->flags & NOTE_NONBLOCK);
}

/*
 * Flags that AF_UNIX takes differently: there is no error queue; UDP has no urgent data; MSG_TRUNC
 * on a stream throws away (tcp(7)). True: *n and errno are the result.
 */
static bool odd_flags(int fd, size_t len, int *flags, ssize_t *n)
{
	struct note note;
	char scrap[4096];
	if (!bt_in_host() || !bt_ident(fd, &note))
		return false;
	if (*flags & MSG_ERRQUEUE) {
		errno = EAGAIN;
		*n = -1;
		return true;
	}
	if (note.flags & NOTE_UDP) {
		*flags &= ~MSG_OOB;
		return false;
	}
	if (!(*flags & MSG_TRUNC))
		return false;
	for (*n = 0; len > 0;) {
		ssize_t got = bt_real()->recv(fd, scrap, len < sizeof(scrap) ? len : sizeof(scrap),
					      (*flags & ~MSG_TRUNC) | (*n > 0 ? MSG_DONTWAIT : 0));
		if (got <= 0) {
			if (*n == 0)
				*n = got;
			break;
		}
		*n += got;
		len -= (size_t)got;
		if (*flags & MSG_PEEK)
			break;
	}
	return true;
}

#define ODD_FLAGS (MSG_ERRQUEUE | MSG_OOB | MSG_TRUNC)

/* Datagrams among which words of errors may be, which their names tell. */
static bool by_name(int fd)
{
	const struct note *n = bt_note(fd);
	return n != NULL && UNLIKELY(n->flags & NOTE_UDP) && n->flags & NOTE_OURS && bt_wire_udp(n);
}

PUBLIC ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t odd;
	struct iovec iov = {buf, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (UNLIKELY(bt_is_netlink(fd)))
		return bt_nl_recv(fd, bt_note(fd), &m, flags);
	if (UNLIKELY(by_name(fd) || flags & MSG_ERRQUEUE))
		return recvmsg(fd, &m, flags);
	if (UNLIKELY(flags & ODD_FLAGS) && odd_flags(fd, len, &flags, &odd))
		return odd;
	if (kept_error(fd))
		return -1;
	if (shut_rd(fd, flags)) {
		ssize_t n = bt_real()->recv(fd, buf, len, flags | MSG_DONTWAIT);
		return n < 0 && errno == EAGAIN ? 0 : received(fd, n, n == 0 ? 0 : len, flags);
	}
	return received(fd, bt_real()->recv(fd, buf, len, flags), len, flags);
}

PUBLIC ssize_t read(int fd, void *buf, size_t len)
{
	if (shut_rd(fd, 0) || by_name(fd))
		return recv(fd, buf, len, 0);
	return received(fd, bt_real()->read(fd, buf, len), len, 0);
}

PUBLIC ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (UNLIKELY(bt_is_netlink(fd)) && n >= 0 && !bt_bad_pointer(iov)) {
		struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
				   .msg_iovlen = (size_t)n};
		return bt_nl_recv(fd, bt_note(fd), &m, 0);
	}
	if (UNLIKELY(by_name(fd)) && n >= 0 && !bt_bad_pointer(iov)) {
		struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
				   .msg_iovlen = (size_t)n};
		return recvmsg(fd, &m, 0);
	}
	return received(fd, bt_real()->readv(fd, iov, n), n > 0 ? 1 : 0, 0);
}

/* ---- receiving with an address ---- */

static void clear_received(struct msghdr *m)
{
	struct msghdr *w = m;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(w); c != NULL; c = CMSG_NXTHDR(w, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			bt_new_fd(fd);
			bt_note_clear(fd);
		}
	}
}

/* Translates what the kernel named as the source. True: give the datagram to the program. */
static bool give_source(const struct note *n, const struct sockaddr_un *sun, socklen_t sun_len,
			void *name, socklen_t *len)
{
	uint8_t addr[16];
	uint16_t port;
	if (!(n->flags & NOTE_UDP)) {
		*len = 0;
		return true;
	}
	if (!bt_source(sun, sun_len, addr, &port))
		return false; /* from a stranger: no datagram of this network */
	bt_addr_out(addr, port, n->flags & NOTE_V6, name, len);
	return true;
}

PUBLIC ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	struct note n;
	if (!bt_in_host() || bt_bad_pointer(m))
		return bt_real()->recvmsg(fd, m, flags);
	bool named = m->msg_name != NULL, words = by_name(fd), ours;
	ssize_t odd;
	if (UNLIKELY(bt_is_netlink(fd)))
		return bt_nl_recv(fd, bt_note(fd), m, flags);
	if (UNLIKELY(flags & MSG_ERRQUEUE) && bt_ident(fd, &n) && n.flags & NOTE_UDP)
		return bt_errqueue(fd, &n, m);
	if (UNLIKELY(flags & (MSG_ERRQUEUE | MSG_OOB)) && !(flags & MSG_TRUNC) &&
	    odd_flags(fd, 0, &flags, &odd))
		return odd;
	if (kept_error(fd))
		return -1;
	bool ended = shut_rd(fd, flags);
	if (ended)
		flags |= MSG_DONTWAIT;
	ours = (named || words || m->msg_controllen > 0) && bt_ident(fd, &n);
	if (!ours || (!named && !words && !bt_control_asked(&n))) {
		ssize_t r = bt_real()->recvmsg(fd, m, flags);
		if (r >= 0 && m->msg_control != NULL && m->msg_controllen > 0)
			clear_received(m);
		if (r < 0 && errno == EAGAIN && ended)
			return 0;
		return received(fd, r, 1, flags);
	}
	for (;;) {
		struct sockaddr_un sun;
		struct msghdr own = *m;
		own.msg_name = &sun;
		own.msg_namelen = sizeof(sun);
		ssize_t r = bt_real()->recvmsg(fd, &own, flags);
		if (r < 0 && errno == EAGAIN && ended) {
			m->msg_namelen = 0;
			return 0;
		}
		if (r < 0) {
			r = received(fd, r, 1, flags);
			if (r >= 0)
				m->msg_namelen = 0;
			return r;
		}
		socklen_t len = m->msg_namelen;
		if (UNLIKELY(r == 0 && n.flags & NOTE_UDP) && bt_wire_word(&sun, own.msg_namelen)) {
			if (flags & MSG_PEEK)
				bt_real()->recv(fd, NULL, 0, MSG_DONTWAIT);
			int e = bt_wire_error(fd, &n);
			if (e != 0)
				return bt_fail(e);
			continue; /* it was told otherwise */
		}
		if (!give_source(&n, &sun, own.msg_namelen, m->msg_name, &len)) {
			if (flags & MSG_PEEK) /* it must be taken out of the way */
				bt_real()->recv(fd, NULL, 0, MSG_DONTWAIT);
			continue;
		}
		if (bt_control_asked(&n))
			bt_control_give(&n, &sun, own.msg_namelen, &own, m->msg_controllen);
		if (named)
			m->msg_namelen = len;
		m->msg_flags = own.msg_flags;
		m->msg_controllen = own.msg_controllen;
		return r == 0 && n.flags & NOTE_UDP ? r : received(fd, r, 1, flags);
	}
}

PUBLIC ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
			socklen_t *from_len)
{
	if (from == NULL || !bt_in_host())
		return from == NULL ? recv(fd, buf, len, flags)
				    : bt_real()->recvfrom(fd, buf, len, flags, from, from_len);
	struct note n;
	if (!bt_ident(fd, &n))
		return bt_real()->recvfrom(fd, buf, len, flags, from, from_len);
	if (bt_bad_pointer(from_len) || bt_bad_pointer(from)) {
		/* Linux finds out when the datagram is off the queue. */
		ssize_t lost = recv(fd, buf, len, flags);
		errno = lost < 0 ? errno : EFAULT;
		return -1;
	}
	struct iovec iov = {buf, len};
	struct msghdr m = {
		.msg_name = from, .msg_namelen = *from_len, .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r = recvmsg(fd, &m, flags);
	if (r >= 0)
		*from_len = m.msg_namelen;
	return r;
}

PUBLIC int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
	struct note note;
	if (!bt_in_host() || !bt_ident(fd, &note))
		return bt_real()->recvmmsg(fd, v, n, flags, timeout);
	unsigned i = 0;
	for (; i < n; i++) {
		int f = flags & ~MSG_WAITFORONE;
		if (i > 0 && flags & MSG_WAITFORONE)
			f |= MSG_DONTWAIT;
		ssize_t r = recvmsg(fd, &v[i].msg_hdr, f);
		if (r < 0)
			break;
		v[i].msg_len = (unsigned)r;
	}
	return i > 0 || n == 0 ? (int)i : -1;
}

/* ---- fortified variants ---- */

__attribute__((noreturn)) extern void __chk_fail(void);
PUBLIC ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
PUBLIC ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
			      struct sockaddr *from, socklen_t *len);
PUBLIC ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
PUBLIC int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);

PUBLIC ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	if (n > room)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

PUBLIC ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
			      struct sockaddr *from, socklen_t *len)
{
	if (n > room)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, from, len);
}

PUBLIC ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (n > room)
		__chk_fail();
	return read(fd, buf, n);
}

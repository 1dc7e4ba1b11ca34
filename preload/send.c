/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending. The kernel's call comes first; what is left of a failed one is UDP with a peer, which
 * the kernel's descriptor has not, or an errno to mend (stream.c).
 */
#include "preload.h"

#include <signal.h>
#include <sys/syscall.h>

/*
 * The peer has closed, and this end has not. TCP takes the first data after that, to learn from the
 * reset that nobody reads it: the connection is over then, and the error waits (tcp_reset). AF_UNIX
 * knows at once. (A program that does not ignore SIGPIPE has met it already.)
 */
static bool first_after_end(int fd, struct note *n, size_t size)
{
	struct bt_row row;
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	/* Without RDHUP it is this end that has been shut, by another holder. */
	if (n->flags & NOTE_SHUT_WR || bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) != 1 ||
	    !(p.revents & POLLRDHUP) || !bt_note_row(n, &row) || row.flags & BT_ROWF_RESET ||
	    (row.state != BT_ROW_ESTABLISHED && row.state != BT_ROW_CLOSE_WAIT))
		return false;
	if (size == 0)
		return true;
	bt_end_by_reset(fd, n, false);
	bt_pend(fd, n, EPIPE);
	return true;
}

static bool reset_by_kernel(int fd, const struct note *n)
{
	int e = 0;
	socklen_t len = sizeof(e);
	if (bt_reset_said(fd, bt_note(fd)) ||
	    bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, (long)&e, (long)&len, 0) < 0 ||
	    e != ECONNRESET)
		return false;
	if (bt_over_after_end(n)) {
		bt_reset_say(fd);
		return false;
	}
	bt_reset_heard(fd, n);
	return true;
}

static size_t size_of(const struct iovec *iov, size_t n)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += iov[i].iov_len;
	return size;
}

/* What is left of a failed send: UDP with a peer (the kernel's descriptor has none), or an errno to
 * mend. */
static ssize_t send_failed(int fd, const struct iovec *iov, size_t n_iov, int flags)
{
	struct note n;
	int e = errno;
	if ((e != ENOTCONN && e != EINVAL && e != EPIPE && e != EOPNOTSUPP && e != ECONNRESET &&
	     e != EDESTADDRREQ) ||
	    !bt_in_host() || bt_silenced() || !bt_ident(fd, &n)) {
		errno = e;
		return -1;
	}
	if (n.flags & NOTE_UDP) {
		struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n_iov};
		if (e == ECONNRESET) {
			errno = ECONNREFUSED;
			return -1;
		}
		return bt_udp_send(fd, &n, &m, flags);
	}
	if (e == EPIPE && !(n.flags & NOTE_CONNECTED)) { /* renewed by another holder */
		e = bt_pending(fd, &n);
		e = e != 0 ? e : EPIPE;
	} else if (e == EPIPE) {
		int ended = bt_wire_ended(fd, &n);
		if (ended != 0)
			e = ended;
		else if (bt_reset_untold(fd, &n) || reset_by_kernel(fd, &n))
			e = ECONNRESET;
		else if (bt_pending(fd, &n) == 0 && first_after_end(fd, &n, size_of(iov, n_iov)))
			return (ssize_t)size_of(iov, n_iov);
	} else if (e == ENOTCONN) {
		e = bt_pending(fd, &n);
		if (e == 0 && !(flags & MSG_NOSIGNAL))
			raise(SIGPIPE);
		if (e == 0)
			e = EPIPE;
	}
	errno = e;
	return -1;
}

#define BULK_BYTES 16384u

/*
 * TCP's buffers grow with use; AF_UNIX's do not. A program that writes in bulk gets once what any
 * user may have (net.core.wmem_max's default, doubled by the kernel): on one CPU that is a seventh
 * more throughput, since each switch moves more.
 */
static inline void bulk(int fd, size_t len)
{
	const int bytes = 212992;
	struct note *n;
	if (LIKELY(len < BULK_BYTES) || (n = bt_note(fd)) == NULL || !(n->flags & NOTE_OURS) ||
	    n->flags & (NOTE_UDP | NOTE_SNDBUF) || bt_silenced())
		return;
	n->flags |= NOTE_SNDBUF;
	int saved = errno;
	bt_real()->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	errno = saved;
}

static bool known_udp(int fd, struct note *n)
{
	struct note *own = bt_note(fd);
	if (own == NULL || !(own->flags & NOTE_OURS) || !(own->flags & NOTE_UDP))
		return false;
	/* Another holder may have given it its name. Settings and netlink sockets have none. */
	if (UNLIKELY(!(own->flags & (NOTE_NAMED | NOTE_SETTING | NOTE_NETLINK))))
		return bt_ident(fd, n);
	*n = *own;
	return true;
}

PUBLIC ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct note n;
	if (known_udp(fd, &n))
		return bt_udp_send(fd, &n, &m, flags);
	if (UNLIKELY(flags & MSG_FASTOPEN))
		return sendmsg(fd, &m, flags);
	bulk(fd, len);
	ssize_t r = bt_real()->send(fd, buf, len, flags);
	return LIKELY(r >= 0) ? bt_meter(fd, r, true) : send_failed(fd, &iov, 1, flags);
}

PUBLIC ssize_t write(int fd, const void *buf, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct note n;
	if (UNLIKELY(known_udp(fd, &n))) {
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
		return bt_udp_send(fd, &n, &m, 0);
	}
	bulk(fd, len);
	ssize_t r = bt_real()->write(fd, buf, len);
	return LIKELY(r >= 0) ? bt_meter(fd, r, true) : send_failed(fd, &iov, 1, 0);
}

PUBLIC ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct note note;
	if (UNLIKELY(bt_setting_of(fd) || bt_is_netlink(fd)) && n > 0 && !bt_bad_pointer(iov) &&
	    known_udp(fd, &note)) {
		struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
				   .msg_iovlen = (size_t)n};
		return bt_udp_send(fd, &note, &m, 0);
	}
	if (n > 0 && !bt_bad_pointer(iov))
		bulk(fd, iov[n - 1].iov_len);
	ssize_t r = bt_real()->writev(fd, iov, n);
	return LIKELY(r >= 0) || n <= 0 ? bt_meter(fd, r, true)
					: send_failed(fd, iov, (size_t)n, 0);
}

PUBLIC ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_name = (void *)(uintptr_t)to,
			   .msg_namelen = to_len};
	if (to != NULL && to_len > sizeof(struct sockaddr_storage)) {
		errno = EINVAL;
		return -1;
	}
	return to == NULL ? send(fd, buf, len, flags) : sendmsg(fd, &m, flags);
}

/* A descriptor that is passed has more holders from now on. */
static void passed(const struct msghdr *m)
{
	struct msghdr *w = (struct msghdr *)(uintptr_t)m;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(w); c != NULL; c = CMSG_NXTHDR(w, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len < CMSG_LEN(0))
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			struct note *note = bt_note(fd);
			if (note != NULL && note->flags & NOTE_OURS)
				note->flags |= NOTE_SHARED | NOTE_ELSEWHERE;
		}
	}
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct note n;
	if (!bt_in_host() || bt_bad_pointer(m))
		return bt_real()->sendmsg(fd, m, flags);
	if (m->msg_control != NULL && m->msg_controllen >= sizeof(struct cmsghdr))
		passed(m);
	bool inet = m->msg_name != NULL && m->msg_namelen >= sizeof(sa_family_t) &&
		    !bt_bad_pointer(m->msg_name) &&
		    ((struct sockaddr *)m->msg_name)->sa_family != AF_UNIX;
	if (known_udp(fd, &n) || (inet && bt_ident_inet(fd, &n) && n.flags & NOTE_UDP))
		return bt_udp_send(fd, &n, m, flags);
	if (UNLIKELY(flags & MSG_FASTOPEN) && (inet ? bt_ident_inet : bt_ident)(fd, &n)) {
		struct msghdr plain = *m;
		int e = bt_fastopen(fd, &n, m, flags);
		plain.msg_name = NULL;
		plain.msg_namelen = 0;
		return e != 0 ? bt_fail(e) : sendmsg(fd, &plain, flags & ~MSG_FASTOPEN);
	}
	if (m->msg_name != NULL && bt_ident(fd, &n)) {
		/* TCP takes no notice of an address, once the kernel has copied it. */
		if ((int)m->msg_namelen < 0 ||
		    (m->msg_namelen > 0 && bt_bad_pointer(m->msg_name))) {
			errno = (int)m->msg_namelen < 0 ? EINVAL : EFAULT;
			return -1;
		}
		struct msghdr plain = *m;
		plain.msg_name = NULL;
		plain.msg_namelen = 0;
		ssize_t r = bt_real()->sendmsg(fd, &plain, flags);
		return r >= 0 ? bt_meter(fd, r, true)
			      : send_failed(fd, m->msg_iov, m->msg_iovlen, flags);
	}
	ssize_t r = bt_real()->sendmsg(fd, m, flags);
	return LIKELY(r >= 0) ? bt_meter(fd, r, true)
			      : send_failed(fd, m->msg_iov, m->msg_iovlen, flags);
}

PUBLIC int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	struct note note;
	if (!bt_in_host() || !bt_ident(fd, &note))
		return bt_real()->sendmmsg(fd, v, n, flags);
	for (unsigned i = 0; i < n; i++) {
		ssize_t r = sendmsg(fd, &v[i].msg_hdr, flags);
		if (r < 0)
			return i > 0 ? (int)i : -1;
		v[i].msg_len = (unsigned)r;
	}
	return (int)n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors' lives: close, dup and kin. A close is told to berthd after the fact
 * (BT_CLOSED), with the word whether this was surely the last holder: a descriptor that was never
 * duplicated, passed or inherited. Where it is not sure, berthd asks the kernel.
 *
 * The control connection's descriptor is kept out of the program's way: closing it is a no-op that
 * says EBADF, as for any number that the program never opened; dup2 onto it moves it first.
 */
#include "preload.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic bool silenced;

bool bt_silenced(void)
{
	return silenced;
}

void bt_silence(void)
{
	if (!bt_vforked) /* the filter is not the parent's */
		silenced = true;
}

/* ---- close ---- */

/* TCP answers data that nobody will read with a reset (RFC 2525 2.17), and so does AF_UNIX. What a
 * socket has sent to itself may still be on its way there. */
static bool unread(int fd, const struct note *n)
{
	struct bt_row row;
	int bytes = 0;
	if (bt_sys(SYS_ioctl, fd, FIONREAD, (long)&bytes, 0, 0, 0) == 0 && bytes > 0)
		return true;
	if (!bt_note_row(n, &row) || row.lport != row.rport ||
	    memcmp(row.laddr, row.raddr, sizeof(row.laddr)) != 0)
		return false;
	if (bt_sys(SYS_ioctl, fd, SIOCOUTQ, (long)&bytes, 0, 0, 0) == 0 && bytes > 0)
		return true;
	bt_settle(n); /* what berthd has taken it has given back */
	return bt_sys(SYS_ioctl, fd, FIONREAD, (long)&bytes, 0, 0, 0) == 0 && bytes > 0;
}

/* It may be the last close. Of an accepted end nobody could tell at once, and what is unread now
 * another process may read yet: there the kernel tells the client (bt_reset_unheard). */
static void say_unread(int fd, struct note *n)
{
	struct bt_req q;
	struct bt_rep rep;
	if (n->flags & NOTE_CHILD || !unread(fd, n))
		return;
	bt_req_init(&q, BT_UNREAD, n);
	bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	n->flags |= NOTE_UNREAD;
}

void bt_closing(int fd, struct note *n, bool *tell)
{
	struct bt_req q;
	struct bt_rep rep;
	*tell = !silenced && bt_ident(fd, n) && n->flags & NOTE_NAMED;
	if (*tell && (n->flags & (NOTE_SHARED | NOTE_ELSEWHERE)) == NOTE_SHARED &&
	    !bt_duplicated(fd, n))
		n->flags &= ~(uint32_t)NOTE_SHARED;
	if (UNLIKELY(bt_is_netlink(fd)))
		bt_nl_closing(bt_note(fd));
	if (!silenced && UNLIKELY(bt_setting_of(fd)))
		bt_setting_flush(fd);
	/* Before the descriptor goes: the peer must find the word "reset" when it finds the end. */
	if (*tell && n->flags & NOTE_SHARED && n->flags & NOTE_LINGER0 && !(n->flags & NOTE_UDP)) {
		bt_tell_value(fd, n, SOL_SOCKET, SO_LINGER, 1); /* if this is the last close */
	} else if (*tell && !(n->flags & (NOTE_SHARED | NOTE_UDP)) &&
		   (n->flags & NOTE_LINGER0 || (n->flags & NOTE_CONNECTED && unread(fd, n)))) {
		bt_req_init(&q, BT_RESET, n);
		bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	} else if (*tell) {
		bt_wire_linger(fd, n);
	}
	if (*tell && (n->flags & (NOTE_LISTENS | NOTE_SHARED)) == NOTE_LISTENS)
		bt_drain(fd, n);
	if (*tell && n->flags & NOTE_SHARED && n->flags & NOTE_CONNECTED && !(n->flags & NOTE_UDP))
		say_unread(fd, n);
	if (*tell &&
	    bt_link_lent()) /* this may be the last close, and the peer is to know it now */
		bt_settle(n);
	bt_note_clear(fd);
}

void bt_closed(const struct note *n, bool tell)
{
	struct bt_req q;
	if (!tell)
		return;
	bt_req_init(&q, BT_CLOSED, n);
	q.flags = (n->flags & NOTE_SHARED ? 0 : BT_REQF_SOLE) |
		  (n->flags & NOTE_END ? BT_REQF_END : 0);
	bt_notice(-1, &q);
	/* Whether another holds it berthd must see now: later that one may have read all and gone.
	 */
	if (n->flags & NOTE_UNREAD)
		bt_settle(n);
}

PUBLIC int close(int fd)
{
	struct note n;
	bool tell;
	if (!bt_in_host() || fd < 0 || bt_vforked)
		return bt_real()->close(fd);
	if (fd == bt_link_fd()) {
		errno = EBADF;
		return -1;
	}
	int e = UNLIKELY(bt_setting_of(fd)) ? bt_setting_flush(fd) : 0;
	bt_closing(fd, &n, &tell);
	int r = bt_real()->close(fd);
	int saved = errno;
	bt_closed(&n, tell);
	errno = e != 0 ? e : saved;
	return e != 0 ? -1 : r;
}

PUBLIC int fclose(FILE *f)
{
	struct note n;
	bool tell = false;
	int fd = f != NULL && bt_in_host() ? fileno_unlocked(f) : -1;
	int e = UNLIKELY(fd >= 0 && bt_setting_of(fd)) && fflush(f) != 0 ? errno : 0;
	if (fd >= 0 && bt_note(fd) != NULL && bt_note(fd)->flags & NOTE_OURS)
		bt_closing(fd, &n, &tell);
	int r = bt_real()->fclose(f), saved = errno;
	bt_closed(&n, tell);
	errno = e != 0 ? e : saved;
	return e != 0 ? EOF : r;
}

/* Closes [first, last] in two pieces around the control connection, telling berthd of ours. */
static int range(unsigned first, unsigned last, unsigned flags)
{
	struct rlimit lim = {1024, 1024};
	unsigned ctl = bt_link_fd() < 0 ? UINT32_MAX : (unsigned)bt_link_fd(), top;
	long r = 0;
	if (first > last) {
		errno = EINVAL;
		return -1;
	}
	getrlimit(RLIMIT_NOFILE, &lim);
	top = lim.rlim_cur > (1u << 20) ? 1u << 20 : (unsigned)lim.rlim_cur;
	if (!(flags & CLOSE_RANGE_CLOEXEC))
		for (unsigned fd = first; fd <= last && fd < top; fd++) {
			struct note *n = bt_note((int)fd), copy;
			bool tell;
			if (n == NULL || fd == ctl || !(n->flags & NOTE_OURS))
				continue;
			bt_closing((int)fd, &copy, &tell);
			bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
			bt_closed(&copy, tell);
		}
	if (ctl < first || ctl > last) {
		r = bt_sys(SYS_close_range, first, last, flags, 0, 0, 0);
	} else {
		if (ctl > first)
			r = bt_sys(SYS_close_range, first, ctl - 1, flags, 0, 0, 0);
		if (r == 0 && ctl < last)
			r = bt_sys(SYS_close_range, ctl + 1, last, flags, 0, 0, 0);
	}
	if (r < 0)
		errno = (int)-r;
	return r < 0 ? -1 : 0;
}

PUBLIC int close_range(unsigned first, unsigned last, int flags)
{
	if (!bt_in_host() || bt_vforked) {
		long r = bt_sys(SYS_close_range, first, last, flags, 0, 0, 0);
		if (r < 0)
			errno = (int)-r;
		return r < 0 ? -1 : 0;
	}
	return range(first, last, (unsigned)flags);
}

PUBLIC void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, UINT32_MAX, 0);
}

/* ---- dup ---- */

static void copied(int from, int to)
{
	struct note *a = bt_note(from), *b = bt_note(to);
	bt_new_fd(to);
	if (a == NULL || b == NULL)
		return;
	if (a->flags & NOTE_OURS)
		a->flags |= NOTE_SHARED;
	if (UNLIKELY(a->flags & NOTE_NETLINK))
		bt_nl_copied(a);
	*b = *a;
}

PUBLIC int dup(int fd)
{
	int r = bt_real()->dup(fd);
	if (r >= 0 && bt_in_host())
		copied(fd, r);
	return r;
}

static int onto(int fd, int to, int flags, bool three)
{
	struct note n;
	bool tell = false;
	if (!bt_in_host() || bt_vforked)
		return three ? bt_real()->dup3(fd, to, flags) : bt_real()->dup2(fd, to);
	if (to >= 0 && to == bt_link_fd())
		bt_link_move();
	if (fd != to && to >= 0 && fcntl(fd, F_GETFD) >= 0)
		bt_closing(to, &n, &tell);
	int r = three ? bt_real()->dup3(fd, to, flags) : bt_real()->dup2(fd, to);
	int saved = errno;
	if (r >= 0 && fd != to)
		copied(fd, to);
	bt_closed(&n, tell);
	errno = saved;
	return r;
}

PUBLIC int dup2(int fd, int to)
{
	return onto(fd, to, 0, false);
}

PUBLIC int dup3(int fd, int to, int flags)
{
	return onto(fd, to, flags, true);
}

static void set_nonblock(int fd, bool on)
{
	struct note *n = bt_note(fd);
	if (n != NULL && n->flags & NOTE_OURS)
		n->flags = on ? n->flags | NOTE_NONBLOCK : n->flags & ~(uint32_t)NOTE_NONBLOCK;
}

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	va_start(ap, request);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	struct note n;
	int r;
	if (UNLIKELY(request >> 8 == 0x89) && bt_in_host() && bt_if_ioctl(fd, request, arg, &r))
		return r;
	r = bt_real()->ioctl(fd, request, arg);
	if (r < 0 && request == SIOCATMARK && bt_ident(fd, &n))
		errno = n.flags & NOTE_UDP ? ENOTTY : errno;
	if (r >= 0 && request == FIONBIO && bt_in_host())
		set_nonblock(fd, *(int *)arg != 0);
	return r;
}

PUBLIC int socketpair(int domain, int type, int protocol, int fds[2])
{
	int r = bt_real()->socketpair(domain, type, protocol, fds);
	for (int i = 0; r == 0 && i < 2; i++) {
		bt_new_fd(fds[i]);
		bt_note_clear(fds[i]);
	}
	return r;
}

static int any_fcntl(int fd, int command, void *arg)
{
	int r = bt_real()->fcntl(fd, command, arg);
	if (r >= 0 && command == F_SETFL && bt_in_host())
		set_nonblock(fd, (long)arg & O_NONBLOCK);
	if (r >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC) && bt_in_host())
		copied(fd, r);
	return r;
}

PUBLIC int fcntl(int fd, int command, ...)
{
	va_list ap;
	va_start(ap, command);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	return any_fcntl(fd, command, arg);
}

PUBLIC int fcntl64(int fd, int command, ...);
PUBLIC int fcntl64(int fd, int command, ...)
{
	va_list ap;
	va_start(ap, command);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	return any_fcntl(fd, command, arg);
}

/* ---- sandboxes ---- */

/* A program that puts a seccomp filter on itself has listed the calls that it makes, not ours. */
PUBLIC int prctl(int option, ...)
{
	va_list ap;
	va_start(ap, option);
	unsigned long a = va_arg(ap, unsigned long), b = va_arg(ap, unsigned long),
		      c = va_arg(ap, unsigned long), d = va_arg(ap, unsigned long);
	va_end(ap);
	int r = bt_real()->prctl(option, a, b, c, d);
	if (option == PR_SET_SECCOMP && r == 0)
		bt_silence();
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fresh descriptor in the place of one that is used up. An AF_UNIX stream can be joined once, and
 * one that has listened or was shut cannot be used again, where a TCP socket can, after connect
 * with AF_UNSPEC, a connection that failed, or the shutdown of a listener. berthd makes a fresh
 * socket that takes over what bind gave the old one; a new descriptor gets its name, and takes the
 * number of the old one and of all its duplicates here.
 *
 * Other processes that hold the old one find its row gone, and get the new one from berthd, which
 * keeps a copy as long as the kernel knows the old one's name (daemon/heirs.c). An accepted end has
 * no name of its own: what other processes hold of it stays a connection that was reset.
 */
#include "preload.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static uint64_t kernel_number(int fd)
{
	uint64_t number = 0;
	socklen_t len = sizeof(number);
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, (long)&number, (long)&len, 0);
	return number;
}

bool bt_duplicated(int fd, const struct note *n)
{
	uint64_t number = kernel_number(fd);
	for (int i = -1; (i = bt_note_next(i, &n->id)) >= 0;)
		if (i != fd && kernel_number(i) == number)
			return true;
	return bt_vforked;
}

static void replace(int fd, int fresh, const struct note *clean)
{
	long flags = bt_sys(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0);
	bt_sys(SYS_dup3, fresh, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0, 0, 0, 0);
	bt_note_set(fd, clean);
}

/* fd and its duplicates, which the notes name and the kernel confirms. */
static void replace_all(int fd, const struct bt_ident *old, int fresh, const struct note *clean)
{
	const struct bt_ident id = *old;
	uint64_t number = kernel_number(fd);
	for (int i = -1; (i = bt_note_next(i, &id)) >= 0;)
		if (i != fd && kernel_number(i) == number)
			replace(i, fresh, clean);
	replace(fd, fresh, clean);
}

#define KEPT (NOTE_V6 | NOTE_NONBLOCK | NOTE_KEEPALIVE | NOTE_LINGER0 | NOTE_SNDBUF | NOTE_SHARED)

int bt_renew(int fd, struct note *n)
{
	struct bt_req q;
	struct bt_rep rep;
	struct bt_row row;
	char scrap[2048];
	long status = bt_sys(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	long fresh = bt_sys(SYS_socket, AF_UNIX,
			    SOCK_STREAM | SOCK_CLOEXEC | (status & O_NONBLOCK ? SOCK_NONBLOCK : 0),
			    0, 0, 0, 0);
	if (fresh < 0)
		return (int)-fresh;
	struct note clean = {.flags = NOTE_OURS | (n->flags & (KEPT | NOTE_ELSEWHERE)),
			     .forks = bt_forks};
	bool unfinished = bt_note_row(n, &row) &&
			  (row.state == BT_ROW_ESTABLISHED || row.state == BT_ROW_CLOSE_WAIT ||
			   row.state == BT_ROW_FIN_WAIT1 || row.state == BT_ROW_FIN_WAIT2 ||
			   bt_reset_untold(fd, n));
	bt_req_init(&q, BT_DISCONNECT, n);
	q.value = (n->flags & NOTE_ELSEWHERE) != 0;
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	if (e == 0)
		e = bt_take_name((int)fresh, &clean, &rep);
	bt_note_clear((int)fresh);
	if (e == 0) {
		uint64_t cookie = 0;
		bt_cookie_get(fd, &cookie);
		cookie &= ~COOKIE_BIT(CB_RESET_SAID);
		if (cookie != 0)
			bt_cookie_set((int)fresh, &clean, cookie);
		if (unfinished) /* tcp_need_reset */
			bt_pend((int)fresh, &clean, ECONNRESET);
		copy_options(fd, (int)fresh);
		bt_real()->shutdown(fd, SHUT_RDWR); /* wakes who waits in it */
		if (n->flags & NOTE_ELSEWHERE)	    /* who still has it must not read on */
			while (bt_sys(SYS_recvfrom, fd, (long)scrap, sizeof(scrap), MSG_DONTWAIT, 0,
				      0) > 0)
				;
		replace_all(fd, &n->id, (int)fresh, &clean);
		if (q.value != 0) {
			bt_req_init(&q, BT_HEIR, &clean);
			bt_notice(fd, &q);
		}
		*n = clean;
	}
	bt_sys(SYS_close, fresh, 0, 0, 0, 0, 0);
	return e;
}

bool bt_succeed(int fd, struct note *own)
{
	struct bt_req q;
	struct bt_rep rep;
	int fresh = -1;
	bt_req_init(&q, BT_SUCCESSOR, own);
	if (bt_call_fd(fd, &q, &rep, &fresh) != 0 || fresh < 0)
		return false;
	/* O_NONBLOCK is the socket's: what was set through the old one counts. */
	long status = bt_sys(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	bt_sys(SYS_fcntl, fresh, F_SETFL, status, 0, 0, 0);
	struct note clean = {.flags = NOTE_OURS | NOTE_NAMED | NOTE_ELSEWHERE | (own->flags & KEPT),
			     .forks = bt_forks,
			     .id = rep.id};
	if (bt_cookie_get(fresh, &clean.cookie) == 0 && clean.cookie != 0)
		clean.flags |= NOTE_COOKIE;
	replace_all(fd, &own->id, fresh, &clean);
	bt_sys(SYS_close, fresh, 0, 0, 0, 0, 0);
	return true;
}

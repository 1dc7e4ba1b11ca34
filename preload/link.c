/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection. One a process, opened when the library is loaded and again whenever it is
 * found missing. Its state lies in a page that the kernel wipes in a child (MADV_WIPEONFORK): a
 * child can never speak on its parent's connection, however it was forked. The child keeps the
 * inherited descriptor unused: as long as it is open, berthd knows that somebody of this program is
 * left.
 *
 * The descriptor is one that the program does not know, so it may be closed behind our back by ways
 * that are not intercepted, and its number given to something else. What is no socket says ENOTSOCK
 * when we send; every call that makes a socket descriptor is intercepted and compares the number
 * (bt_new_fd). So no check is needed before each use. Calls are made without libc (bt_sys): they
 * are no cancellation points and leave errno alone.
 *
 * A signal handler may call us while its thread is in the middle of a request: then it gets a
 * connection for that one call. A vfork child (fork.c), which has its parent's page but not its
 * descriptors, has a connection of its own.
 */
#include "preload.h"

#include "../proto/inbox.h"
#include "../proto/meter.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct link {
	pthread_mutex_t lock;
	void *holder; /* address of the holding thread's errno */
	int fd;	      /* valid if open */
	bool open;
	uint64_t cookie;
	uint32_t serial;
	struct bt_inbox *inbox; /* NULL: none */
	struct bt_meter *meter;
	bool unmetered; /* and none can be made */
	uint32_t inbox_at, inbox_head;
	uint32_t notices; /* sent over this connection */
	bool unheard;	  /* one of them may not have been heard yet */
	bool lent;	  /* and one has taken a descriptor along, which berthd may still hold */
	uint32_t uid;	  /* as whom berthd knows us over it */
};

static struct link *page;
static int inherited = -1; /* the connection that a parent left us; not in the wiped page */
static uint64_t inherited_cookie;
static const struct bt_table *table;
static uint64_t netid;
static uint8_t token[BT_TOKEN_BYTES];
static enum { UNKNOWN, NO_HOST, IN_HOST } where;

static bool hex(const char *s, size_t digits, uint8_t *out)
{
	for (size_t i = 0; i < digits; i++) {
		unsigned c = (unsigned char)s[i], v = c - '0';
		if (v > 9)
			v = c - 'a' + 10;
		if (v > 15 || (c > '9' && c < 'a'))
			return false;
		if (i % 2 == 0)
			out[i / 2] = (uint8_t)(v << 4);
		else
			out[i / 2] |= (uint8_t)v;
	}
	return true;
}

static void find_out(void)
{
	const char *env = getenv("BERTH_TOKEN");
	uint8_t id[8];
	where = NO_HOST;
	if (env == NULL || strlen(env) != 16 + 1 + 2 * BT_TOKEN_BYTES || env[16] != ':' ||
	    !hex(env, 16, id) || !hex(env + 17, 2 * BT_TOKEN_BYTES, token))
		return;
	netid = 0;
	for (int i = 0; i < 8; i++)
		netid = netid << 8 | id[i];
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return;
	madvise(p, 4096, MADV_WIPEONFORK);
	page = p;
	where = IN_HOST;
}

bool bt_in_host(void)
{
	if (UNLIKELY(where == UNKNOWN))
		find_out();
	return where == IN_HOST;
}

uint64_t bt_who(void)
{
	uint64_t who;
	memcpy(&who, token, sizeof(who));
	return who;
}

uint16_t bt_host(void)
{
	return (uint16_t)bt_who();
}

/* The host's root is who the token names; a program may have given that up (setuid). */
bool bt_host_root(void)
{
	return !(bt_who() & BT_TOKEN_UNPRIVILEGED) &&
	       (uint64_t)bt_sys(SYS_geteuid, 0, 0, 0, 0, 0, 0) == bt_who() >> 32;
}

/* Where programs can become other users, each socket has the user who made it (sock_i_uid). */
uint32_t bt_sock_uid(int fd)
{
	struct stat st;
	return bt_who() >> 32 == 0 && bt_sys(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) == 0 ? st.st_uid
											: 0;
}

uint64_t bt_netid(void)
{
	return netid;
}

const struct bt_table *bt_table(void)
{
	return table;
}

static bool cookie_of(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);
	return bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, (long)cookie, (long)&len, 0) == 0;
}

/* Above the numbers that a program counts on, below its limit. */
static int high_number(int fd)
{
	struct rlimit lim;
	long low = 960;
	if (bt_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&lim, 0, 0) == 0 &&
	    lim.rlim_cur < 1024)
		low = lim.rlim_cur > 16 ? (long)lim.rlim_cur - 12 : 3;
	long up = bt_sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, low, 0, 0, 0);
	if (up < 0)
		return fd;
	bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
	return (int)up;
}

static int map_table(int fd)
{
	if (table == NULL) {
		long p = bt_sys(SYS_mmap, 0, (long)BT_TABLE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		if (p < 0 && p > -4096)
			return ENOMEM;
		const struct bt_table *t = (const struct bt_table *)p;
		if (t->magic != BT_TABLE_MAGIC || t->version != BT_TABLE_VERSION ||
		    t->rows_offset != BT_ROWS_OFFSET || t->capacity > BT_MAX_ROWS)
			return EPROTO;
		table = t;
		bt_metered = &t->metered;
	}
	return 0;
}

union one_fd {
	struct cmsghdr h;
	char room[CMSG_SPACE(sizeof(int))];
};

/* 0 or errno. */
static int put(int fd, struct bt_req *req, const void *extra, int proof)
{
	struct iovec out[2] = {{req, sizeof(*req)}, {(void *)(uintptr_t)extra, req->extra}};
	struct msghdr m = {.msg_iov = out, .msg_iovlen = req->extra ? 2 : 1};
	union one_fd u;
	long n;
	if (UNLIKELY(proof >= 0)) {
		u.h.cmsg_level = SOL_SOCKET;
		u.h.cmsg_type = SCM_RIGHTS;
		u.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&u.h), &proof, sizeof(proof));
		m.msg_control = &u;
		m.msg_controllen = sizeof(u.room);
	}
	do
		n = LIKELY(proof < 0 && req->extra == 0)
			    ? bt_sys(SYS_sendto, fd, (long)req, sizeof(*req), MSG_NOSIGNAL, 0, 0)
			    : bt_sys(SYS_sendmsg, fd, (long)&m, MSG_NOSIGNAL, 0, 0, 0);
	while (n == -EINTR);
	return n < 0 ? (int)-n : 0;
}

static int transact(int fd, struct bt_req *req, const void *extra, int proof, struct bt_rep *rep,
		    void *rep_extra, size_t cap, int *passed)
{
	struct iovec in[2] = {{rep, sizeof(*rep)}, {rep_extra, cap}};
	struct msghdr m;
	union one_fd u;
	long n = 0;
	int e = put(fd, req, extra, proof);
	if (e != 0)
		return e;
	do {
		if (LIKELY(passed == NULL && cap == 0)) {
			n = bt_sys(SYS_recvfrom, fd, (long)rep, sizeof(*rep), 0, 0, 0);
			if (n == 0)
				return ECONNRESET;
			if (n < 0 && n != -EINTR)
				return (int)-n;
			continue;
		}
		m = (struct msghdr){.msg_iov = in, .msg_iovlen = cap ? 2 : 1};
		if (passed != NULL) {
			m.msg_control = &u;
			m.msg_controllen = sizeof(u.room);
		}
		n = bt_sys(SYS_recvmsg, fd, (long)&m, MSG_CMSG_CLOEXEC, 0, 0, 0);
		if (n == 0)
			return ECONNRESET;
		if (n < 0 && n != -EINTR)
			return (int)-n;
		/* An older serial answers a request that a signal handler's longjmp abandoned. */
	} while (n < (long)sizeof(*rep) || rep->serial != req->serial);
	if (passed != NULL && m.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    u.h.cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(&u.h), sizeof(*passed));
	return 0;
}

/* A new connection that has said hello, or a negative errno. */
static int dial(void)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_control(&sun, netid);
	struct bt_req q = {.version = BT_MSG_VERSION, .type = BT_HELLO, .extra = BT_TOKEN_BYTES};
	struct bt_rep rep = {0};
	int passed = -1;
	long fd = bt_sys(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0, 0, 0);
	if (fd < 0)
		return (int)fd;
	long r = bt_sys(SYS_connect, fd, (long)&sun, (long)len, 0, 0, 0);
	int e = r < 0 ? (int)-r : transact((int)fd, &q, token, -1, &rep, NULL, 0, &passed);
	if (e == 0)
		e = rep.err;
	if (e == 0 && passed < 0)
		e = EPROTO;
	if (e == 0)
		e = map_table(passed);
	if (passed >= 0)
		bt_sys(SYS_close, passed, 0, 0, 0, 0, 0);
	if (e != 0) {
		bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
		return -e;
	}
	return high_number((int)fd);
}

static void drop_inherited(void)
{
	uint64_t cookie;
	if (inherited >= 0 && cookie_of(inherited, &cookie) && cookie == inherited_cookie)
		bt_sys(SYS_close, inherited, 0, 0, 0, 0, 0);
	inherited = -1;
}

/* Under the lock. 0 or errno. */
static int ensure(struct link *l)
{
	if (LIKELY(l->open))
		return 0;
	int fd = dial();
	l->open = false;
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? -fd : ENETDOWN;
	if (!cookie_of(fd, &l->cookie))
		return ENETDOWN;
	drop_inherited();
	l->fd = inherited = fd;
	inherited_cookie = l->cookie;
	l->uid = (uint32_t)bt_sys(SYS_geteuid, 0, 0, 0, 0, 0, 0);
	l->open = true;
	return 0;
}

/* What berthd knew over the connection that has ended. */
static void drop_shared(struct link *l)
{
	if (l->inbox != NULL)
		bt_sys(SYS_munmap, (long)l->inbox, BT_INBOX_BYTES, 0, 0, 0, 0);
	/* Another thread may be adding to the meter: it stays mapped, and berthd's copy is closed.
	 */
	l->inbox = NULL;
	l->meter = NULL;
	l->unmetered = false;
	l->notices = 0;
}

void bt_new_fd(int fd)
{
	if (UNLIKELY(fd == bt_link_fd()) && fd >= 0) {
		page->open = false;
		inherited = -1;
		drop_shared(page);
	}
}

static void shut_link(struct link *l)
{
	uint64_t cookie;
	if (l->open && cookie_of(l->fd, &cookie) && cookie == l->cookie)
		bt_sys(SYS_close, l->fd, 0, 0, 0, 0, 0);
	l->open = false;
	inherited = -1;
	drop_shared(l);
}

/* A vfork child's, which ends when that execs. The cookie tells it from what another child of this
 * thread had, or what has its number since. Negative errno: none. */
static int child_link(void)
{
	static __thread struct {
		int fd;
		uint64_t cookie;
	} own;
	uint64_t cookie;
	if (own.cookie != 0 && cookie_of(own.fd, &cookie) && cookie == own.cookie)
		return own.fd;
	own.fd = dial();
	return own.fd >= 0 && !cookie_of(own.fd, &own.cookie) ? -ENOTSOCK : own.fd;
}

bool bt_link_root(void)
{
	struct link *l = page;
	if (!bt_host_root())
		return false;
	if (UNLIKELY(l->open && l->uid != bt_who() >> 32) && l->holder != &errno && !bt_vforked) {
		pthread_mutex_lock(&l->lock);
		shut_link(l);
		pthread_mutex_unlock(&l->lock);
	}
	return true;
}

static void say_down(void)
{
	static _Atomic bool said;
	static const char text[] =
		"berth: this network's berthd is gone, so the call fails with ENETDOWN; "
		"start it again with berth run\n";
	if (!said) {
		said = true;
		bt_sys(SYS_write, 2, (long)text, sizeof(text) - 1, 0, 0, 0);
	}
}

static int call(int proof, struct bt_req *req, const void *extra, struct bt_rep *rep,
		void *rep_extra, size_t cap, int *passed)
{
	struct link *l = page;
	int e = 0;
	if (UNLIKELY(bt_vforked)) {
		int fd = child_link();
		if (fd < 0)
			return ENETDOWN;
		e = transact(fd, req, extra, proof, rep, rep_extra, cap, passed);
	} else if (l->holder == &errno) {
		/* We are in a signal handler inside a request of this thread. */
		int fd = dial();
		if (fd < 0)
			return ENETDOWN;
		e = transact(fd, req, extra, proof, rep, rep_extra, cap, passed);
		bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
	} else {
		pthread_mutex_lock(&l->lock);
		l->holder = &errno;
		for (int tries = 0; tries < 2; tries++) {
			e = ensure(l);
			if (e != 0)
				break;
			req->serial = ++l->serial;
			e = transact(l->fd, req, extra, proof, rep, rep_extra, cap, passed);
			l->unheard = e != 0;
			l->lent = l->lent && e != 0;
			if (e == 0)
				break;
			/* berthd went away; a new one may have taken its place. */
			shut_link(l);
			e = ENETDOWN;
		}
		l->holder = NULL;
		pthread_mutex_unlock(&l->lock);
	}
	if (e == ENETDOWN)
		say_down();
	return e != 0 ? e : rep->err;
}

int bt_call(int proof, struct bt_req *req, const void *extra, struct bt_rep *rep, void *rep_extra,
	    size_t *got)
{
	size_t cap = got == NULL ? 0 : *got;
	rep->extra = 0;
	int e = call(proof, req, extra, rep, rep_extra, cap, NULL);
	if (got != NULL)
		*got = rep->extra < cap ? rep->extra : cap;
	return e;
}

int bt_call_fd(int proof, struct bt_req *req, struct bt_rep *rep, int *fd)
{
	return call(proof, req, NULL, rep, NULL, 0, fd);
}

#define NOTICES_BEFORE_INBOX 16u /* a program with less to say is served well enough without */

/* Under the lock, with the link open: memory of ours that berthd maps read-only, which brings it
 * there. NULL: it could not be made, or berthd did not take it. */
static void *share(struct link *l, const char *name, enum bt_msg_type type, size_t bytes,
		   struct bt_rep *rep)
{
	struct bt_req q = {.version = BT_MSG_VERSION, .type = (uint8_t)type};
	long fd = bt_sys(SYS_memfd_create, (long)name, MFD_CLOEXEC | MFD_ALLOW_SEALING, 0, 0, 0, 0);
	if (fd < 0)
		return NULL;
	long p = -1;
	if (bt_sys(SYS_ftruncate, fd, (long)bytes, 0, 0, 0, 0) == 0 &&
	    bt_sys(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, 0,
		   0) == 0)
		p = bt_sys(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool mapped = p > 0 || p < -4095;
	if (mapped) {
		/* A child must not write into its parent's. */
		bt_sys(SYS_madvise, p, (long)bytes, MADV_DONTFORK, 0, 0, 0);
		q.serial = ++l->serial;
		if (transact(l->fd, &q, NULL, (int)fd, rep, NULL, 0, NULL) != 0 || rep->err != 0) {
			bt_sys(SYS_munmap, p, (long)bytes, 0, 0, 0, 0);
			mapped = false;
		}
	}
	bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
	return mapped ? (void *)p : NULL;
}

static void make_inbox(struct link *l)
{
	struct bt_rep rep;
	l->inbox = share(l, "berth-inbox", BT_INBOX, BT_INBOX_BYTES, &rep);
	if (l->inbox != NULL)
		l->inbox_at = rep.value % BT_INBOXES;
	l->inbox_head = 0;
}

struct bt_meter *bt_link_meter(void)
{
	struct link *l = page;
	struct bt_rep rep;
	if (LIKELY(l->meter != NULL && !bt_vforked))
		return l->meter;
	/* In a signal handler inside a request, or with a handler that may come inside this one:
	 * the next call makes it. */
	if (bt_vforked || l->unmetered || l->holder == &errno || bt_silenced() ||
	    pthread_mutex_trylock(&l->lock) != 0)
		return NULL;
	l->holder = &errno;
	if (l->meter == NULL && ensure(l) == 0) {
		l->meter = share(l, "berth-meter", BT_METER, BT_METER_BYTES, &rep);
		l->unmetered = l->meter == NULL;
	}
	l->holder = NULL;
	pthread_mutex_unlock(&l->lock);
	return l->meter;
}

/* True: the notice is in the ring, and berthd will look; *knock: it must be told so. */
static bool put_in_inbox(struct link *l, const struct bt_req *req, bool *knock)
{
	struct timespec t;
	if (l->inbox == NULL || (req->type != BT_CLOSED && req->type != BT_SHUT) ||
	    l->inbox_head - atomic_load_explicit(&table->inboxes[l->inbox_at].taken,
						 memory_order_acquire) >=
		    BT_INBOX_ENTRIES)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &t);
	l->inbox->entries[l->inbox_head % BT_INBOX_ENTRIES] = (struct bt_inbox_entry){
		.id = req->id,
		.time_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec,
		.type = req->type,
		.flags = (uint8_t)req->flags,
		.value = req->value};
	atomic_store_explicit(&l->inbox->head, ++l->inbox_head, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	*knock = !atomic_load(&table->inboxes[l->inbox_at].hot);
	return true;
}

/* A notice through the socket, over a new connection if berthd went away. */
static void send_notice(struct link *l, int proof, struct bt_req *req)
{
	for (int tries = 0; tries < 2 && ensure(l) == 0; tries++) {
		long n = proof >= 0 ? -put(l->fd, req, NULL, proof)
				    : bt_sys(SYS_sendto, l->fd, (long)req, sizeof(*req),
					     MSG_NOSIGNAL, 0, 0);
		if (n >= 0 || n == -EINTR)
			break;
		shut_link(l);
	}
}

void bt_notice(int proof, struct bt_req *req)
{
	struct link *l = page;
	if (UNLIKELY(bt_vforked)) {
		int fd = child_link();
		if (fd >= 0)
			put(fd, req, NULL, proof);
		return;
	}
	if (l->holder == &errno)
		return;
	pthread_mutex_lock(&l->lock);
	l->holder = &errno;
	l->unheard = true;
	l->lent = l->lent || proof >= 0;
	bool knock = false;
	if (l->open && l->inbox == NULL && ++l->notices == NOTICES_BEFORE_INBOX)
		make_inbox(l);
	if (proof >= 0 || !put_in_inbox(l, req, &knock)) {
		send_notice(l, proof, req);
	} else if (UNLIKELY(knock)) {
		struct bt_req q = {.version = BT_MSG_VERSION, .type = BT_KNOCK};
		long n = bt_sys(SYS_sendto, l->fd, (long)&q, sizeof(q), MSG_NOSIGNAL, 0, 0);
		if (n < 0 && n != -EINTR) {
			shut_link(l);
			send_notice(l, proof, req);
		}
	}
	l->holder = NULL;
	pthread_mutex_unlock(&l->lock);
}

bool bt_link_unheard(void)
{
	return page->unheard;
}

bool bt_link_lent(void)
{
	return page->lent;
}

uint64_t bt_link_cookie(void)
{
	return page->open && !bt_vforked ? page->cookie : 0;
}

int bt_link_fd(void)
{
	return page != NULL && page->open && !bt_vforked ? page->fd : -1;
}

void bt_link_move(void)
{
	long up = bt_sys(SYS_fcntl, page->fd, F_DUPFD_CLOEXEC, page->fd + 1, 0, 0, 0);
	if (up < 0) {
		page->open = false; /* the next call opens a new one */
		return;
	}
	bt_sys(SYS_close, page->fd, 0, 0, 0, 0, 0);
	page->fd = inherited = (int)up;
}

/* Early, so that berthd knows of this program even if it never makes a socket. */
__attribute__((constructor)) static void start(void)
{
	if (!bt_in_host())
		return;
	bt_real();
	pthread_mutex_lock(&page->lock);
	page->holder = &errno;
	if (ensure(page) != 0)
		say_down();
	page->holder = NULL;
	pthread_mutex_unlock(&page->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink sockets. A host's is an AF_UNIX datagram socket joined to itself: sending a request puts
 * one byte into its queue by the kernel, so that poll, select and epoll say what is true, and
 * blocking, time limits and O_NONBLOCK are the kernel's. The answers (view/nl.h) are made when the
 * request is sent, and wait in this process; the byte leaves with the last of them.
 *
 * The state is this process's: a netlink socket that is handed on by exec or SCM_RIGHTS is of no
 * use to the next.
 */
#include "preload.h"

#include "nl.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATE_BYTES 4096
#define MAX_REQUEST 212960 /* what Linux takes with its default send buffer */

struct state {
	struct state *next;
	unsigned holders; /* descriptors */
	int type;
	uint32_t groups;
	struct bt_nl nl; /* port 0: not bound yet */
	size_t at;	 /* the next answer */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct state *states;
bool bt_any_netlink;

static struct state *state_of(const struct note *n)
{
	return (struct state *)(uintptr_t)n->link;
}

/* A thread of the parent may have held it. */
static void unlock_child(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, unlock_child);
}

/* ---- life ---- */

int bt_nl_socket(int type, int protocol)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(sun);
	int flags = type & (SOCK_CLOEXEC | SOCK_NONBLOCK),
	    kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (kind != SOCK_RAW && kind != SOCK_DGRAM)
		return bt_fail(ESOCKTNOSUPPORT);
	if ((protocol != NETLINK_ROUTE && protocol != NETLINK_SOCK_DIAG) || bt_silenced() ||
	    bt_vforked)
		return bt_fail(EPROTONOSUPPORT);
	long p = bt_sys(SYS_mmap, 0, STATE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p < 0 && p > -4096)
		return bt_fail(ENOMEM);
	struct state *s = (struct state *)p;
	long fd = bt_sys(SYS_socket, AF_UNIX, SOCK_DGRAM | flags, 0, 0, 0, 0);
	long r = fd < 0 ? fd : bt_sys(SYS_bind, fd, (long)&sun, sizeof(sa_family_t), 0, 0, 0);
	if (r >= 0)
		r = bt_sys(SYS_getsockname, fd, (long)&sun, (long)&len, 0, 0, 0);
	if (r >= 0)
		r = bt_sys(SYS_connect, fd, (long)&sun, (long)len, 0, 0, 0);
	if (r < 0) {
		if (fd >= 0)
			bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
		bt_sys(SYS_munmap, p, STATE_BYTES, 0, 0, 0, 0);
		return bt_fail((int)-r);
	}
	s->holders = 1;
	s->type = kind;
	s->nl.protocol = protocol;
	/* UDP: what is sent is looked at before the kernel's call. SHUT_RD: so is a read. */
	struct note n = {.flags = NOTE_OURS | NOTE_UDP | NOTE_SHUT_RD | NOTE_NETLINK,
			 .forks = bt_forks,
			 .link = (uintptr_t)s};
	pthread_mutex_lock(&lock);
	s->next = states;
	states = s;
	pthread_mutex_unlock(&lock);
	bt_any_netlink = true;
	bt_new_fd((int)fd);
	bt_note_set((int)fd, &n);
	return (int)fd;
}

void bt_nl_copied(const struct note *n)
{
	pthread_mutex_lock(&lock);
	state_of(n)->holders++;
	pthread_mutex_unlock(&lock);
}

void bt_nl_closing(const struct note *n)
{
	struct state *s = state_of(n);
	pthread_mutex_lock(&lock);
	bool last = --s->holders == 0;
	for (struct state **p = &states; last && *p != NULL; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	bt_nl_done(&s->nl);
	bt_sys(SYS_munmap, (long)s, STATE_BYTES, 0, 0, 0, 0);
}

/* ---- names ---- */

/* As the kernel: the process's number for its first socket, then some that no process has. Under
 * the lock. */
static void take_port(struct state *s, uint32_t wanted)
{
	uint32_t port = wanted != 0 ? wanted : (uint32_t)getpid();
	for (uint32_t other = UINT32_MAX - 4095; s->nl.port == 0; port = other--) {
		bool used = false;
		for (struct state *p = states; p != NULL; p = p->next)
			used |= p->nl.protocol == s->nl.protocol && p->nl.port == port;
		if (!used || wanted != 0)
			s->nl.port = port;
	}
}

/* 0 or errno. */
static int name_in(const struct sockaddr *sa, socklen_t len, struct sockaddr_nl *out)
{
	if (len < sizeof(*out))
		return EINVAL;
	if (bt_bad_pointer(sa))
		return EFAULT;
	memcpy(out, sa, sizeof(*out));
	return out->nl_family == AF_NETLINK ? 0 : EINVAL;
}

static int name_out(uint32_t port, uint32_t groups, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups};
	if (bt_bad_pointer(len))
		return bt_fail(EFAULT);
	if ((int)*len < 0)
		return bt_fail(EINVAL);
	if (*len > 0 && bt_bad_pointer(sa))
		return bt_fail(EFAULT);
	memcpy(sa, &nl, *len < sizeof(nl) ? *len : sizeof(nl));
	*len = sizeof(nl);
	return 0;
}

int bt_nl_bind(const struct note *n, const struct sockaddr *sa, socklen_t len)
{
	struct state *s = state_of(n);
	struct sockaddr_nl nl;
	int e = name_in(sa, len, &nl);
	if (e != 0)
		return bt_fail(e);
	pthread_mutex_lock(&lock);
	if (s->nl.port != 0 && nl.nl_pid != s->nl.port)
		e = EINVAL;
	if (e == 0) {
		take_port(s, nl.nl_pid);
		s->groups = nl.nl_groups; /* nothing ever changes, so nobody is ever told */
	}
	pthread_mutex_unlock(&lock);
	return e == 0 ? 0 : bt_fail(e);
}

int bt_nl_connect(const struct note *n, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_nl nl;
	if (len >= sizeof(sa_family_t) && !bt_bad_pointer(sa) && sa->sa_family == AF_UNSPEC)
		return 0;
	int e = name_in(sa, len, &nl);
	if (e == 0 && (nl.nl_pid != 0 || nl.nl_groups != 0))
		e = EPERM;
	if (e != 0)
		return bt_fail(e);
	pthread_mutex_lock(&lock);
	take_port(state_of(n), 0);
	pthread_mutex_unlock(&lock);
	return 0;
}

int bt_nl_name(const struct note *n, bool peer, struct sockaddr *sa, socklen_t *len)
{
	const struct state *s = state_of(n);
	return peer ? name_out(0, 0, sa, len) : name_out(s->nl.port, s->groups, sa, len);
}

/* ---- options ---- */

static bool *option(struct state *s, int name)
{
	return name == NETLINK_CAP_ACK		? &s->nl.cap_ack
	       : name == NETLINK_GET_STRICT_CHK ? &s->nl.strict
						: NULL;
}

int bt_nl_setsockopt(int fd, const struct note *n, int level, int name, const void *value,
		     socklen_t len)
{
	int v;
	if (level == SOL_SOCKET) {
		/* A filter would look at our byte, not at the answers. */
		if (name == SO_ATTACH_FILTER || name == SO_DETACH_FILTER || name == SO_ATTACH_BPF)
			return 0;
		return bt_real()->setsockopt(fd, level, name, value, len);
	}
	if (level != SOL_NETLINK || name <= 0 || name > NETLINK_GET_STRICT_CHK)
		return bt_fail(ENOPROTOOPT);
	if (len < sizeof(v))
		return bt_fail(EINVAL);
	if (bt_bad_pointer(value))
		return bt_fail(EFAULT);
	memcpy(&v, value, sizeof(v));
	bool *flag = option(state_of(n), name);
	if (flag != NULL)
		*flag = v != 0;
	return 0;
}

int bt_nl_getsockopt(int fd, const struct note *n, int level, int name, void *value, socklen_t *len)
{
	struct state *s = state_of(n);
	int v = 0;
	if (level == SOL_SOCKET) {
		if (name != SO_DOMAIN && name != SO_PROTOCOL && name != SO_TYPE)
			return bt_real()->getsockopt(fd, level, name, value, len);
		v = name == SO_DOMAIN ? AF_NETLINK : name == SO_PROTOCOL ? s->nl.protocol : s->type;
	} else if (level == SOL_NETLINK && name > 0 && name <= NETLINK_GET_STRICT_CHK) {
		const bool *flag = option(s, name);
		v = flag != NULL && *flag;
	} else {
		return bt_fail(ENOPROTOOPT);
	}
	if (bt_bad_pointer(len) || bt_bad_pointer(value))
		return bt_fail(EFAULT);
	socklen_t room = *len < sizeof(v) ? *len : sizeof(v);
	memcpy(value, &v, room);
	*len = room;
	return 0;
}

/* ---- requests ---- */

static int gather(const struct msghdr *m, struct bt_buf *out)
{
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		const struct iovec *v = &m->msg_iov[i];
		if (v->iov_len > MAX_REQUEST - out->n)
			return EMSGSIZE;
		if (v->iov_len > 0 && bt_bad_pointer(v->iov_base))
			return EFAULT;
		bt_buf_put(out, v->iov_base, v->iov_len);
	}
	if (out->n == 0)
		return ENODATA;
	return out->failed ? ENOBUFS : 0;
}

/* Under the lock. 0 or errno. */
static int answer(int fd, struct state *s, const struct bt_buf *request)
{
	struct bt_view v;
	size_t out = s->nl.out.n, marks = s->nl.marks.n, open = s->nl.open;
	take_port(s, 0);
	bt_own_view(&v);
	v.tcp_info = bt_wire_info;
	bool some = bt_nl_answer(&s->nl, &v, request->p, request->n) > 0;
	if (!s->nl.out.failed && !s->nl.marks.failed &&
	    (!some || bt_sys(SYS_sendto, fd, (long)"", 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) == 1))
		return 0;
	s->nl.out.n = out;
	s->nl.marks.n = marks;
	s->nl.open = open;
	s->nl.out.failed = s->nl.marks.failed = false;
	return ENOBUFS;
}

ssize_t bt_nl_send(int fd, const struct note *n, const struct msghdr *m, int flags)
{
	struct bt_buf request = {0};
	struct sockaddr_nl to;
	if (flags & MSG_OOB)
		return bt_fail(EOPNOTSUPP);
	if (m->msg_name != NULL && m->msg_namelen > 0) {
		int e = name_in(m->msg_name, m->msg_namelen, &to);
		if (e == 0 && to.nl_groups != 0)
			e = EPERM;
		if (e == 0 && to.nl_pid != 0)
			e = ECONNREFUSED; /* only the kernel is there */
		if (e != 0)
			return bt_fail(e);
	}
	int e = gather(m, &request);
	if (e == 0) {
		pthread_mutex_lock(&lock);
		e = answer(fd, state_of(n), &request);
		pthread_mutex_unlock(&lock);
	}
	size_t size = request.n;
	bt_buf_done(&request);
	return e == 0 ? (ssize_t)size : bt_fail(e);
}

/* ---- answers ---- */

static size_t scatter(const struct msghdr *m, const char *from, size_t n)
{
	size_t at = 0;
	for (size_t i = 0; i < m->msg_iovlen && at < n; i++) {
		size_t len = m->msg_iov[i].iov_len < n - at ? m->msg_iov[i].iov_len : n - at;
		memcpy(m->msg_iov[i].iov_base, from + at, len);
		at += len;
	}
	return at;
}

/* Takes the byte of the answered request off the queue. Under the lock. */
static void drop_byte(int fd)
{
	char byte;
	bt_sys(SYS_recvfrom, fd, (long)&byte, 1, MSG_DONTWAIT, 0, 0);
}

/* The next answer into *m. Under the lock; -1: there is none. */
static ssize_t give(int fd, struct state *s, struct msghdr *m, int flags)
{
	size_t count;
	const struct bt_nl_mark *marks = bt_nl_marks(&s->nl, &count);
	if (s->at >= count)
		return -1;
	const struct bt_nl_mark *k = &marks[s->at];
	size_t size = k->end - k->start, given = scatter(m, s->nl.out.p + k->start, size);
	m->msg_flags = given < size ? MSG_TRUNC : 0;
	m->msg_controllen = 0;
	if (m->msg_name != NULL) {
		struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
		memcpy(m->msg_name, &kernel,
		       m->msg_namelen < sizeof(kernel) ? m->msg_namelen : sizeof(kernel));
		m->msg_namelen = sizeof(kernel);
	}
	if (!(flags & MSG_PEEK)) {
		if (k->last)
			drop_byte(fd);
		if (++s->at == count) {
			s->at = 0;
			bt_nl_clear(&s->nl);
		}
	}
	return (ssize_t)(flags & MSG_TRUNC ? size : given);
}

ssize_t bt_nl_recv(int fd, const struct note *n, struct msghdr *m, int flags)
{
	char byte;
	for (size_t i = 0; i < m->msg_iovlen; i++)
		if (m->msg_iov[i].iov_len > 0 && bt_bad_pointer(m->msg_iov[i].iov_base))
			return bt_fail(EFAULT);
	if (flags & (MSG_OOB | MSG_ERRQUEUE))
		return bt_fail(flags & MSG_OOB ? EOPNOTSUPP : EAGAIN);
	for (;;) {
		ssize_t r = bt_real()->recv(fd, &byte, 1, MSG_PEEK | (flags & MSG_DONTWAIT));
		if (r < 0)
			return r;
		pthread_mutex_lock(&lock);
		r = give(fd, state_of(n), m, flags);
		if (r < 0)
			drop_byte(fd); /* whose answers another process has */
		pthread_mutex_unlock(&lock);
		if (r >= 0)
			return r;
	}
}

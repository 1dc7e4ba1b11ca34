/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall(2), libc's function for calls by number: programs and run-times (libuv, some allocators,
 * language run-times) use it for calls that libc may lack. Those that we stand before go our way.
 * io_uring is not to be had: its requests would pass our wrappers, and event loops fall back
 * without it.
 */
#include "preload.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct args {
	long a, b, c, d, e, f;
};

#define P(x) ((void *)(x))

static long sockets(long number, const struct args *v)
{
	switch (number) {
	case SYS_socket:
		return socket((int)v->a, (int)v->b, (int)v->c);
	case SYS_bind:
		return bind((int)v->a, P(v->b), (socklen_t)v->c);
	case SYS_listen:
		return listen((int)v->a, (int)v->b);
	case SYS_connect:
		return connect((int)v->a, P(v->b), (socklen_t)v->c);
	case SYS_accept:
		return accept((int)v->a, P(v->b), P(v->c));
	case SYS_accept4:
		return accept4((int)v->a, P(v->b), P(v->c), (int)v->d);
	case SYS_getsockname:
		return getsockname((int)v->a, P(v->b), P(v->c));
	case SYS_getpeername:
		return getpeername((int)v->a, P(v->b), P(v->c));
	case SYS_setsockopt:
		return setsockopt((int)v->a, (int)v->b, (int)v->c, P(v->d), (socklen_t)v->e);
	case SYS_getsockopt:
		return getsockopt((int)v->a, (int)v->b, (int)v->c, P(v->d), P(v->e));
	case SYS_shutdown:
		return shutdown((int)v->a, (int)v->b);
	case SYS_sendto:
		return sendto((int)v->a, P(v->b), (size_t)v->c, (int)v->d, P(v->e),
			      (socklen_t)v->f);
	case SYS_sendmsg:
		return sendmsg((int)v->a, P(v->b), (int)v->c);
	case SYS_sendmmsg:
		return sendmmsg((int)v->a, P(v->b), (unsigned)v->c, (int)v->d);
	case SYS_recvfrom:
		return recvfrom((int)v->a, P(v->b), (size_t)v->c, (int)v->d, P(v->e), P(v->f));
	case SYS_recvmsg:
		return recvmsg((int)v->a, P(v->b), (int)v->c);
	case SYS_recvmmsg:
		return recvmmsg((int)v->a, P(v->b), (unsigned)v->c, (int)v->d, P(v->e));
	default:
		return -2;
	}
}

/* openat2's structure */
struct how {
	uint64_t flags, mode, resolve;
};

static long files(long number, const struct args *v)
{
	switch (number) {
#ifdef SYS_open
	case SYS_open:
		return open(P(v->a), (int)v->b, (mode_t)v->c);
	case SYS_creat:
		return creat(P(v->a), (mode_t)v->b);
#endif
	case SYS_openat:
		return openat((int)v->a, P(v->b), (int)v->c, (mode_t)v->d);
	case SYS_openat2:
		if (bt_bad_pointer(P(v->c)) || (size_t)v->d < sizeof(struct how))
			return -2;
		return bt_open_net(P(v->b), (int)((const struct how *)v->c)->flags);
	default:
		return -2;
	}
}

static long descriptors(long number, const struct args *v)
{
	switch (number) {
	case SYS_close:
		return close((int)v->a);
	case SYS_close_range:
		return close_range((unsigned)v->a, (unsigned)v->b, (int)v->c);
	case SYS_dup:
		return dup((int)v->a);
#ifdef SYS_dup2
	case SYS_dup2:
		return dup2((int)v->a, (int)v->b);
#endif
	case SYS_dup3:
		return dup3((int)v->a, (int)v->b, (int)v->c);
#ifdef SYS_fork
	case SYS_fork:
#endif
	case SYS_clone:
	case SYS_clone3:
		bt_forks++; /* a child, perhaps, that holds what we hold */
		return -2;
	case SYS_io_uring_setup:
		errno = ENOSYS;
		return -1;
	default:
		return -2;
	}
}

PUBLIC long syscall(long number, ...)
{
	va_list ap;
	struct args v;
	va_start(ap, number);
	v.a = va_arg(ap, long);
	v.b = va_arg(ap, long);
	v.c = va_arg(ap, long);
	v.d = va_arg(ap, long);
	v.e = va_arg(ap, long);
	v.f = va_arg(ap, long);
	va_end(ap);
	if (bt_in_host()) {
		long r = sockets(number, &v);
		if (r == -2)
			r = descriptors(number, &v);
		if (r == -2)
			r = files(number, &v);
		if (r != -2)
			return r;
	}
	long r = bt_sys(number, v.a, v.b, v.c, v.d, v.e, v.f);
	if (number == SYS_seccomp && r == 0 && v.a != 2)
		bt_silence();
	if (r < 0 && r > -4096) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

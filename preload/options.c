/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options. The kernel keeps what AF_UNIX shares with AF_INET (SO_KEEPALIVE, buffers, timeouts,
 * SO_LINGER). Yes-or-no options of TCP, IP and the port space are bits of the cookie; numbers are
 * berthd's to keep (BT_SETVAL). Ranges and defaults are those of Linux 6 (tcp(7), ip(7), udp(7)).
 * Most do not change anything between two programs on this machine: there is no segment to delay,
 * no route to mark.
 */
#include "preload.h"

#include "../view/view.h"

#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/syscall.h>

#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO	   11 /* linux/in6.h, which libc's header replaces */
#define IPV6_FLOWINFO_SEND 33
#endif

enum kind { BIT, NUMBER, BYTE, FLAG };

struct option {
	uint16_t level, name;
	uint8_t proto; /* 6, 17, 1, 0: all */
	uint8_t kind;  /* FLAG: a number that is kept as 0 or 1 */
	uint8_t bit;   /* BIT: in the cookie */
	int min, max, initial;
};

#define ANY INT32_MIN, INT32_MAX

static const struct option options[] = {
	{SOL_SOCKET, SO_REUSEADDR, 0, BIT, 0, ANY, 0},
	{SOL_SOCKET, SO_REUSEPORT, 0, BIT, 1, ANY, 0},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, BIT, 3, ANY, 0},
	{IPPROTO_IP, IP_FREEBIND, 0, BIT, 4, ANY, 0},
	{IPPROTO_TCP, TCP_NODELAY, 6, BIT, CB_NODELAY, ANY, 0},
	{IPPROTO_TCP, TCP_CORK, 6, BIT, CB_CORK, ANY, 0},
	{IPPROTO_TCP, TCP_QUICKACK, 6, BIT, CB_NOQUICKACK, ANY, 1},
	{IPPROTO_TCP, TCP_MAXSEG, 6, NUMBER, 0, 88, 32767, 536},
	{IPPROTO_TCP, TCP_KEEPIDLE, 6, NUMBER, 0, 1, 32767, 7200},
	{IPPROTO_TCP, TCP_KEEPINTVL, 6, NUMBER, 0, 1, 32767, 75},
	{IPPROTO_TCP, TCP_KEEPCNT, 6, NUMBER, 0, 1, 127, 9},
	{IPPROTO_TCP, TCP_SYNCNT, 6, NUMBER, 0, 1, 127, 6},
	{IPPROTO_TCP, TCP_LINGER2, 6, NUMBER, 0, ANY, 60},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, 6, NUMBER, 0, ANY, 0},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, 6, NUMBER, 0, 0, INT32_MAX, 0},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 6, NUMBER, 0, 0, INT32_MAX, 0},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 6, NUMBER, 0, ANY, 0},
	{IPPROTO_TCP, TCP_FASTOPEN, 6, NUMBER, 0, 0, INT32_MAX, 0},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 6, NUMBER, 0, 0, 1, 0},
	{IPPROTO_TCP, TCP_SAVE_SYN, 6, NUMBER, 0, 0, 2, 0},
	{IPPROTO_IP, IP_TOS, 0, BYTE, 0, ANY, 0},
	{IPPROTO_IP, IP_TTL, 0, BYTE, 0, 1, 255, 64},
	{IPPROTO_IP, IP_MTU_DISCOVER, 0, BYTE, 0, 0, 5, 1},
	{IPPROTO_IP, IP_MINTTL, 0, BYTE, 0, 0, 255, 0},
	{IPPROTO_IP, IP_MULTICAST_TTL, 0, BYTE, 0, -1, 255, 1},
	{IPPROTO_IP, IP_MULTICAST_LOOP, 0, FLAG, 0, ANY, 1},
	{IPPROTO_IP, IP_MULTICAST_ALL, 0, BYTE, 0, 0, 1, 1},
	{IPPROTO_IP, IP_MULTICAST_IF, 0, NUMBER, 0, ANY, 0},
	{IPPROTO_IP, IP_TRANSPARENT, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_TRANSPARENT, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IP, IP_LOCAL_PORT_RANGE, 0, NUMBER, 0, ANY, 0},
	{IPPROTO_IP, IP_RETOPTS, 0, FLAG, 0, ANY, 0}, /* no packet here has any */
	{IPPROTO_IP, IP_RECVERR, 0, BIT, CB_RECVERR, ANY, 0},
	{IPPROTO_IP, IP_PKTINFO, 0, BIT, CB_PKTINFO, ANY, 0},
	{IPPROTO_IP, IP_RECVTTL, 0, BIT, CB_RECVTTL, ANY, 0},
	{IPPROTO_IP, IP_RECVTOS, 0, BIT, CB_RECVTOS, ANY, 0},
	{IPPROTO_UDP, UDP_CORK, 17, BIT, CB_CORK, ANY, 0},
	{IPPROTO_UDP, UDP_SEGMENT, 17, NUMBER, 0, 0, UINT16_MAX, 0},
	{IPPROTO_UDP, UDP_GRO, 17, FLAG, 0, ANY, 0}, /* nothing is ever joined */
	/* Those of AF_INET6 sockets, which take all of IPPROTO_IP as well. */
	{IPPROTO_IPV6, IPV6_V6ONLY, 0, BIT, CB_V6ONLY, ANY, 0},
	{IPPROTO_IPV6, IPV6_FREEBIND, 0, BIT, 4, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVERR, 0, BIT, CB_RECVERR6, ANY, 0},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0, NUMBER, 0, -1, 255, 64},
	{IPPROTO_IPV6, IPV6_MULTICAST_IF, 0, NUMBER, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 0, NUMBER, 0, -1, 255, 1},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, NUMBER, 0, 0, 1, 1},
	{IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0, FLAG, 0, ANY, 1},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0, NUMBER, 0, 0, 5, 1},
	{IPPROTO_IPV6, IPV6_TCLASS, 0, NUMBER, 0, -1, 255, 0},
	{IPPROTO_IPV6, IPV6_MINHOPCOUNT, 0, NUMBER, 0, 0, 255, 0},
	{IPPROTO_IPV6, IPV6_2292PKTINFO, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_2292HOPOPTS, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_2292DSTOPTS, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_2292RTHDR, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_2292HOPLIMIT, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_FLOWINFO, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVERR_RFC4884, 0, NUMBER, 0, 0, 1, 0},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, BIT, CB_PKTINFO6, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, BIT, CB_RECVHOPS, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVHOPOPTS, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVRTHDR, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVDSTOPTS, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVPATHMTU, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_DONTFRAG, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, 0, BIT, CB_RECVTCLASS, ANY, 0},
	{IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0, FLAG, 0, ANY, 1},
	{IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 0, FLAG, 0, ANY, 0},
	{IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 0, FLAG, 0, ANY, 0},
};

static const struct option *find(const struct note *n, int level, int name)
{
	uint8_t proto = n->flags & NOTE_PING ? 1 : n->flags & NOTE_UDP ? 17 : 6;
	if (level == IPPROTO_IPV6 && !(n->flags & NOTE_V6))
		return NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].level == level && options[i].name == name &&
		    (options[i].proto == 0 || options[i].proto == proto))
			return &options[i];
	return NULL;
}

/* An int, or where IP takes one a single byte. 0 or errno. */
static int number(const struct option *o, const void *value, socklen_t len, int *out)
{
	if (bt_bad_pointer(value) && len > 0)
		return EFAULT;
	if (len >= sizeof(int)) {
		memcpy(out, value, sizeof(int));
	} else if (o->level == IPPROTO_IP) {
		*out = len >= 1 ? *(const uint8_t *)value : 0;
	} else {
		return EINVAL;
	}
	return 0;
}

void bt_tell_value(int fd, const struct note *n, int level, int name, uint32_t value)
{
	struct bt_req q;
	bt_req_init(&q, BT_SETVAL, n);
	q.flags = (uint16_t)level;
	q.port = (uint16_t)name;
	q.value = value;
	bt_notice(bt_proof(fd, n), &q);
	if (n->flags & (NOTE_UDP | NOTE_WIRE) || level == SOL_SOCKET)
		bt_settle(n);
}

static int set_bit(int fd, struct note *n, const struct option *o, bool on)
{
	struct bt_req q;
	struct bt_rep rep;
	struct bt_row row;
	if (o->bit == CB_V6ONLY) {
		bt_settle(n);
		bt_reset_unheard(fd, n);
	}
	if (o->bit == CB_V6ONLY && bt_note_row(n, &row) && bt_row_port(&row) != 0 &&
	    row.state != BT_ROW_TIME_WAIT)
		return EINVAL;
	if (o->initial)
		on = !on; /* the cookie's bit tells what differs from the default */
	uint64_t c = n->cookie;
	if (bt_cookie_get(fd, &c) != 0)
		return EBADF;
	c = on ? c | COOKIE_BIT(o->bit) : c & ~COOKIE_BIT(o->bit);
	int e = bt_cookie_set(fd, n, c);
	if (e == 0 && o->bit < 8 && n->flags & NOTE_NAMED) {
		bt_req_init(&q, BT_OPTS, n);
		e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	}
	/* Senders must know, by the row (BT_ROWF_PKTINFO). */
	if (e == 0 && (o->bit == CB_PKTINFO || o->bit == CB_PKTINFO6) && n->flags & NOTE_UDP) {
		e = bt_name_it(fd, n);
		if (e == 0)
			bt_tell_value(fd, n, IPPROTO_IP, IP_PKTINFO,
				      (c & (COOKIE_BIT(CB_PKTINFO) | COOKIE_BIT(CB_PKTINFO6))) !=
					      0);
	}
	if (e == 0 && (o->bit == CB_RECVERR || o->bit == CB_RECVERR6) && n->flags & NOTE_UDP) {
		e = bt_name_it(fd, n);
		if (e == 0)
			bt_tell_value(fd, n, o->level, o->name, on);
		bt_udp_changes++; /* where nobody is asks berthd now */
	}
	if (e == 0 && o->level == IPPROTO_TCP)
		bt_wire_set(fd, n, o->level, o->name, on != (o->initial != 0));
	return e;
}

/* What Linux makes of a value before it keeps it; INT32_MIN: EINVAL. */
static int ip_value(const struct note *n, const struct option *o, int v)
{
	if (o->name == IP_TOS)
		return v &
		       (n->flags & NOTE_UDP ? 0xff : 0xfc); /* TCP: the ECN bits are the stack's */
	if (o->name == IP_MULTICAST_TTL)
		return n->flags & NOTE_UDP ? (v == -1 ? 1 : v) : INT32_MIN;
	return v;
}

static int ip6_value(const struct note *n, const struct option *o, int v)
{
	if (v == -1 && o->kind == NUMBER)
		return o->initial;
	if (o->name == IPV6_TCLASS && !(n->flags & NOTE_UDP))
		return v & 0xfc; /* the ECN bits are the stack's */
	return v;
}

static int tcp_value(const struct option *o, int v)
{
	if (o->name == TCP_LINGER2)
		return v < 0 ? -1 : v == 0 ? o->initial : v > 120 ? 120 : v;
	if (o->name ==
	    TCP_DEFER_ACCEPT) { /* rounded up to a number of retransmissions: 1, 3, 7, ... s */
		int s = 0;
		while (s < v && s < 127)
			s = s * 2 + 1;
		return s;
	}
	return v;
}

/* What this process remembers may be older than what another holder has set. */
static uint64_t cookie_now(int fd, const struct note *n)
{
	uint64_t c = n->cookie;
	if (n->flags & NOTE_SHARED)
		bt_cookie_get(fd, &c);
	return c;
}

static int get_number(int fd, const struct note *n, const struct option *o)
{
	struct bt_req q;
	struct bt_rep rep;
	/* inet6_create does not set it */
	bool off = o->level == IPPROTO_IP && o->name == IP_MULTICAST_ALL && n->flags & NOTE_V6;
	int initial = off ? 0 : o->initial;
	if (!(cookie_now(fd, n) & COOKIE_BIT(CB_STORED)) || !(n->flags & NOTE_NAMED))
		return initial;
	bt_req_init(&q, BT_GETVAL, n);
	q.flags = o->level;
	q.port = o->name;
	return bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL) == 0 ? (int)rep.value : initial;
}

int bt_keep_value(int fd, struct note *n, int level, int name, uint32_t value)
{
	int e = bt_name_it(fd, n);
	uint64_t c = cookie_now(fd, n);
	if (e == 0 && !(c & COOKIE_BIT(CB_STORED)))
		e = bt_cookie_set(fd, n, c | COOKIE_BIT(CB_STORED));
	if (e == 0)
		bt_tell_value(fd, n, level, name, value);
	return e;
}

uint16_t bt_udp_segment(int fd, const struct note *n)
{
	const struct option *o = find(n, IPPROTO_UDP, UDP_SEGMENT);
	return cookie_now(fd, n) & COOKIE_BIT(CB_SEGMENT) ? (uint16_t)get_number(fd, n, o) : 0;
}

/* Linux sets the priority with the type of service (rt_tos2priority). */
static void prioritise(int fd, int tos)
{
	static const int of[4] = {0, 2, 6, 4};
	const int *priority = &of[tos >> 3 & 3];
	bt_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_PRIORITY, (long)priority, sizeof(*priority), 0);
}

static int set_number(int fd, struct note *n, const struct option *o, int v)
{
	if (v < o->min || v > o->max) {
		bool standard = (o->level == IPPROTO_IP && o->name == IP_TTL && v == -1) ||
				(o->level == IPPROTO_TCP && o->name == TCP_MAXSEG && v == 0);
		if (!standard)
			return EINVAL;
		v = o->initial;
	}
	if (o->kind == FLAG)
		v = v != 0;
	/* The means of transparent proxies: it would take other hosts' addresses. */
	if ((o->level == IPPROTO_IP && o->name == IP_TRANSPARENT) ||
	    (o->level == IPPROTO_IPV6 && o->name == IPV6_TRANSPARENT))
		return v ? EPERM : 0;
	bool range = o->level == IPPROTO_IP && o->name == IP_LOCAL_PORT_RANGE;
	uint16_t lo = (uint16_t)v, hi = (uint16_t)((uint32_t)v >> 16);
	if (range && lo != 0 && hi != 0 && lo > hi)
		return EINVAL;
	if (o->level == IPPROTO_IP && !range)
		v = ip_value(n, o, v);
	else if (o->level == IPPROTO_IPV6)
		v = ip6_value(n, o, v);
	else if (o->level == IPPROTO_TCP)
		v = tcp_value(o, v);
	if (v == INT32_MIN && !range)
		return EINVAL;
	if (o->level == IPPROTO_IP && o->name == IP_TOS && get_number(fd, n, o) != v)
		prioritise(fd, v);
	int e = bt_keep_value(fd, n, o->level, o->name, (uint32_t)v);
	uint64_t c = cookie_now(fd, n), was = c;
	if (o->level == IPPROTO_UDP && o->name == UDP_SEGMENT)
		c = v != 0 ? c | COOKIE_BIT(CB_SEGMENT) : c & ~COOKIE_BIT(CB_SEGMENT);
	if (e == 0 && c != was)
		e = bt_cookie_set(fd, n, c);
	if (e != 0)
		return e;
	if (o->name == TCP_NOTSENT_LOWAT && o->level == IPPROTO_TCP && n->flags & NOTE_WIRE)
		bt_wire_queue(fd, n, 0);
	return 0;
}

static int give(const void *from, socklen_t size, void *value, socklen_t *len)
{
	socklen_t n = *len < size ? *len : size;
	if (n > 0 && bt_bad_pointer(value))
		return bt_fail(EFAULT);
	memcpy(value, from, n);
	*len = n;
	return 0;
}

static uint8_t device(const struct note *n)
{
	struct bt_row row;
	return bt_note_row(n, &row) ? row.dev : 0;
}

static int bind_to(int fd, struct note *n, unsigned dev)
{
	struct bt_req q;
	struct bt_rep rep;
	if (device(n) != 0 && !bt_host_root())
		return bt_fail(EPERM);
	int e = bt_name_it(fd, n);
	if (e != 0)
		return bt_fail(e);
	bt_req_init(&q, BT_SETVAL, n);
	q.flags = SOL_SOCKET;
	q.port = SO_BINDTODEVICE;
	q.value = dev;
	bt_notice(bt_proof(fd, n), &q);
	/* An answer to anything says that the table tells the device now. */
	bt_req_init(&q, BT_OPTS, n);
	e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	return e == 0 ? 0 : bt_fail(e);
}

static int set_device(int fd, struct note *n, const void *value, socklen_t len)
{
	char name[IFNAMSIZ] = {0};
	struct bt_view v;
	if (len > 0 && bt_bad_pointer(value))
		return bt_fail(EFAULT);
	if (bt_name_it(fd, n) != 0) /* and then there is a table */
		return bt_fail(ENODEV);
	memcpy(name, value, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	bt_view_of(&v, bt_table(), bt_netid(), bt_host());
	unsigned dev = name[0] != '\0' ? bt_dev_by_name(&v, name) : 0;
	return name[0] != '\0' && dev == 0 ? bt_fail(ENODEV) : bind_to(fd, n, dev);
}

/* Linux takes any number; one that no interface has leads nowhere, and we say so at once. */
static int set_ifindex(int fd, struct note *n, const void *value, socklen_t len)
{
	int index;
	struct bt_view v;
	struct bt_dev d;
	if (len < sizeof(index))
		return bt_fail(EINVAL);
	if (bt_bad_pointer(value))
		return bt_fail(EFAULT);
	memcpy(&index, value, sizeof(index));
	if (device(n) != 0 && !bt_host_root())
		return bt_fail(EPERM);
	if (index < 0 || bt_name_it(fd, n) != 0)
		return bt_fail(EINVAL);
	bt_view_of(&v, bt_table(), bt_netid(), bt_host());
	if (index != 0 && !bt_dev_get(&v, (unsigned)index, &d))
		return bt_fail(ENODEV);
	return bind_to(fd, n, (unsigned)index);
}

static int get_device(const struct note *n, void *value, socklen_t *len)
{
	struct bt_view v;
	struct bt_dev d;
	uint8_t dev = device(n);
	if (dev == 0) {
		*len = 0;
		return 0;
	}
	bt_view_of(&v, bt_table(), bt_netid(), bt_host());
	if (*len < IFNAMSIZ || !bt_dev_get(&v, dev, &d))
		return bt_fail(EINVAL);
	return give(d.name, (socklen_t)strlen(d.name) + 1, value, len);
}

/* A TCP socket's, which the kernel has bounded and doubled. */
static void set_buffer(int fd, const struct note *n, int name)
{
	bool send = name == SO_SNDBUF || name == SO_SNDBUFFORCE;
	int bytes = 0;
	socklen_t len = sizeof(bytes);
	if (!send && name != SO_RCVBUF && name != SO_RCVBUFFORCE)
		return;
	name = send ? SO_SNDBUF : SO_RCVBUF;
	bt_real()->getsockopt(fd, SOL_SOCKET, name, &bytes, &len);
	bt_wire_set(fd, n, SOL_SOCKET, name, bytes / 2);
	if (send && n->flags & NOTE_WIRE && !(n->flags & NOTE_JOINING))
		bt_wire_queue(fd, n, bytes / 2);
}

static int set_socket(int fd, struct note *n, int name, const void *value, socklen_t len)
{
	struct bt_req q;
	if (name == SO_MAX_PACING_RATE)
		return len < 4 ? bt_fail(EINVAL)
			       : 0; /* nothing is paced; the kernel's field is our cookie's */
	if (name == SO_BINDTODEVICE)
		return set_device(fd, n, value, len);
	if (name == SO_BINDTOIFINDEX)
		return set_ifindex(fd, n, value, len);
	if (name == SO_PASSCRED || name == SO_PASSSEC)
		return bt_fail(EOPNOTSUPP);
	int r = bt_real()->setsockopt(fd, SOL_SOCKET, name, value, len);
	if (r != 0)
		return r;
	struct note *own = bt_note(fd);
	if ((name == SO_SNDBUF || name == SO_SNDBUFFORCE) && own != NULL)
		own->flags |= NOTE_SNDBUF;
	if (name == SO_KEEPALIVE && own != NULL)
		own->flags = *(const int *)value ? own->flags | NOTE_KEEPALIVE
						 : own->flags & ~(uint32_t)NOTE_KEEPALIVE;
	if (name == SO_KEEPALIVE)
		bt_wire_set(fd, n, SOL_SOCKET, SO_KEEPALIVE, *(const int *)value != 0);
	if (!(n->flags & NOTE_UDP) && n->flags & (NOTE_WIRE | NOTE_LISTENS))
		set_buffer(fd, n, name);
	if (name == SO_LINGER && own != NULL) {
		struct linger l;
		memcpy(&l, value, sizeof(l));
		own->flags &= ~(uint32_t)NOTE_LINGER0;
		if (l.l_onoff && l.l_linger == 0)
			own->flags |= NOTE_LINGER0;
		/* What another holder has told at its close (fds.c) counts no more. */
		if (n->flags & NOTE_SHARED && n->flags & NOTE_NAMED && !(n->flags & NOTE_UDP))
			bt_tell_value(fd, n, SOL_SOCKET, SO_LINGER, own->flags & NOTE_LINGER0);
	}
	if ((name == SO_RCVBUF || name == SO_RCVBUFFORCE) && n->flags & NOTE_UDP &&
	    bt_name_it(fd, n) == 0) {
		int bytes = 0;
		socklen_t size = sizeof(bytes);
		bt_real()->getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
		bt_req_init(&q, BT_SETVAL, n);
		q.flags = SOL_SOCKET;
		q.port = SO_RCVBUF;
		q.value = (uint32_t)bytes;
		bt_notice(bt_proof(fd, n), &q);
	}
	return 0;
}

/* enum berth_congestion */
static const char *const modules[] = {"cubic", "reno", "bbr"};

/* Between two programs that no packets join there is no congestion; the name is kept. */
static int set_congestion(int fd, struct note *n, const void *value, socklen_t len)
{
	char name[BT_CONGESTION_NAME] = {0};
	uint64_t c = 0;
	unsigned i = 0;
	if (len < 1)
		return bt_fail(EINVAL);
	if (bt_bad_pointer(value))
		return bt_fail(EFAULT);
	memcpy(name, value, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	while (i < 3 && strcmp(name, modules[i]) != 0)
		i++;
	if (i == 3)
		return bt_fail(ENOENT);
	bt_cookie_get(fd, &c);
	c &= ~(3ull << CB_CONGESTION);
	int e = bt_cookie_set(fd, n, c | (uint64_t)(i + 1) << CB_CONGESTION);
	if (e == 0)
		bt_wire_set(fd, n, IPPROTO_TCP, TCP_CONGESTION, (int)i);
	return e == 0 ? 0 : bt_fail(e);
}

PUBLIC int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct note n;
	int v, e;
	if (!bt_in_host() || !bt_ident(fd, &n))
		return bt_real()->setsockopt(fd, level, name, value, len);
	if ((int)len < 0)
		return bt_fail(EINVAL);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_setsockopt(fd, &n, level, name, value, len);
	e = bt_group_set(fd, &n, level, name, value, len);
	if (e >= 0)
		return e == 0 ? 0 : bt_fail(e);
	const struct option *o = find(&n, level, name);
	if (o != NULL) {
		e = number(o, value, len, &v);
		if (o->level == IPPROTO_IP && name == IP_LOCAL_PORT_RANGE && len != sizeof(v))
			e = EINVAL;
		if (e == 0)
			e = o->kind == BIT ? set_bit(fd, &n, o, v != 0) : set_number(fd, &n, o, v);
		return e == 0 ? 0 : bt_fail(e);
	}
	/* The interface for what it sends (ping -I); each leads to all hosts. */
	if (level == IPPROTO_IPV6 && name == IPV6_PKTINFO && n.flags & NOTE_V6)
		return len < sizeof(struct in6_pktinfo) ? bt_fail(EINVAL) : 0;
	if (level == SOL_SOCKET)
		return set_socket(fd, &n, name, value, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION && !(n.flags & NOTE_UDP))
		return set_congestion(fd, &n, value, len);
	return bt_fail(ENOPROTOOPT);
}

/* ---- reading ---- */

/* As ip(7) does: an int where there is room for one, else a byte. */
static int give_int(const struct option *o, int v, void *value, socklen_t *len)
{
	uint8_t byte = (uint8_t)v;
	if (o != NULL && o->level == IPPROTO_IP && *len > 0 && *len < sizeof(int))
		return give(&byte, 1, value, len);
	return give(&v, sizeof(v), value, len);
}

static int get_error(int fd, struct note *n, void *value, socklen_t *len)
{
	int e;
	socklen_t size = sizeof(e);
	e = bt_pending(fd, n);
	if (e == 0 && !(n->flags & NOTE_UDP) && bt_reset_untold(fd, n))
		e = ECONNRESET;
	if (e == 0)
		e = bt_wire_ended(fd, n);
	bool kept = e != 0;
	if (e == 0 && bt_real()->getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size) < 0)
		return -1;
	if (e == ECONNRESET && !kept && bt_wire_told(n))
		e = 0;
	if (e == ECONNRESET && !kept && !(n->flags & NOTE_UDP))
		bt_reset_heard(fd, n);
	if (e == 0 && n->flags & NOTE_UDP)
		e = bt_wire_error(fd, n);
	if (e == ECONNRESET && n->flags & NOTE_UDP)
		e = ECONNREFUSED;				   /* see dgram.c */
	else if (!kept && e == ECONNRESET && bt_over_after_end(n)) /* see stream.c */
		e = n->flags & NOTE_SHUT_WR ? 0 : EPIPE;
	return give_int(NULL, e, value, len);
}

static int protocol(const struct note *n)
{
	if (n->flags & NOTE_PING)
		return n->flags & NOTE_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	return n->flags & NOTE_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static int get_socket(int fd, struct note *n, int name, void *value, socklen_t *len)
{
	static const struct ucred nobody = {0, (uid_t)-1, (gid_t)-1};
	static const uint64_t unpaced = UINT64_MAX;
	int bytes;
	switch (name) {
	case SO_DOMAIN:
		return give_int(NULL, n->flags & NOTE_V6 ? AF_INET6 : AF_INET, value, len);
	case SO_PROTOCOL:
		return give_int(NULL, protocol(n), value, len);
	case SO_ERROR:
		return get_error(fd, n, value, len);
	case SO_PEERCRED:
		return give(&nobody, sizeof(nobody), value, len);
	case SO_MAX_PACING_RATE:
		return *len >= sizeof(unpaced) ? give(&unpaced, sizeof(unpaced), value, len)
					       : give_int(NULL, -1, value, len);
	case SO_BINDTODEVICE:
		return get_device(n, value, len);
	case SO_BINDTOIFINDEX:
		return give_int(NULL, device(n), value, len);
	case SO_PASSCRED:
	case SO_PASSSEC:
		return bt_fail(EOPNOTSUPP);
	case SO_ACCEPTCONN:
		return give_int(NULL, (n->flags & NOTE_LISTENS) != 0, value, len);
	case SO_SNDBUF:
	case SO_RCVBUF:
		if (!(n->flags & NOTE_UDP) && bt_wire_value(fd, n, SOL_SOCKET, name, &bytes))
			return give_int(NULL, bytes * 2, value, len);
		return bt_real()->getsockopt(fd, SOL_SOCKET, name, value, len);
	default:
		return bt_real()->getsockopt(fd, SOL_SOCKET, name, value, len);
	}
}

static int get_info(int fd, const struct note *n, void *value, socklen_t *len)
{
	struct tcp_info info = {0};
	struct bt_row row;
	char name[BT_CONGESTION_NAME];
	if (n->flags & NOTE_WIRE && bt_note_row(n, &row) &&
	    bt_wire_info(n->id.slot, &row, &info, sizeof(info), name))
		return give(&info, sizeof(info), value, len);
	bt_settle(n);
	bt_reset_unheard(fd, n);
	info.tcpi_state = bt_note_row(n, &row) ? row.state : BT_ROW_CLOSE;
	if (info.tcpi_state == BT_ROW_TIME_WAIT) /* which is not the program's socket in Linux */
		info.tcpi_state = BT_ROW_CLOSE;
	info.tcpi_snd_mss = info.tcpi_rcv_mss = 65483; /* what loopback's MTU gives */
	info.tcpi_pmtu = 65535;
	info.tcpi_rto = 201000;
	info.tcpi_rtt = 10;
	info.tcpi_snd_cwnd = 10;
	return give(&info, sizeof(info), value, len);
}

static int get_congestion(int fd, const struct note *n, void *value, socklen_t *len)
{
	char name[BT_CONGESTION_NAME] = "cubic";
	int module = 0;
	uint64_t c = 0;
	bt_cookie_get(fd, &c);
	if (COOKIE_CONGESTION(c) != 0)
		module = COOKIE_CONGESTION(c) - 1;
	else if (!bt_wire_value(fd, n, IPPROTO_TCP, TCP_CONGESTION, &module) &&
		 bt_host_congestion(name, sizeof(name)))
		return give(name, sizeof(name), value, len);
	memset(name, 0, sizeof(name));
	memcpy(name, modules[module % 3], strlen(modules[module % 3]));
	return give(name, sizeof(name), value, len);
}

PUBLIC int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct note n;
	struct bt_row row;
	uint64_t c = 0;
	int v;
	if (!bt_in_host() || !bt_ident(fd, &n))
		return bt_real()->getsockopt(fd, level, name, value, len);
	if (bt_bad_pointer(len))
		return bt_fail(EFAULT);
	if ((int)*len < 0)
		return bt_fail(EINVAL);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_getsockopt(fd, &n, level, name, value, len);
	const struct option *o = find(&n, level, name);
	if (o != NULL && o->kind == BIT) {
		bt_cookie_get(fd, &c);
		return give_int(o, ((c & COOKIE_BIT(o->bit)) != 0) != (o->initial != 0), value,
				len);
	}
	if (o != NULL && o->name == TCP_MAXSEG && o->level == IPPROTO_TCP &&
	    n.flags & NOTE_CONNECTED)
		return give_int(o, bt_wire_value(fd, &n, level, name, &v) ? v : 65483, value, len);
	if (o != NULL) {
		v = get_number(fd, &n, o);
		return o->name == IP_MULTICAST_IF && level == IPPROTO_IP
			       ? give(&v, sizeof(v), value, len)
			       : give_int(o, v, value, len);
	}
	if (level == SOL_SOCKET)
		return get_socket(fd, &n, name, value, len);
	if (level == IPPROTO_TCP && !(n.flags & NOTE_UDP)) {
		if (name == TCP_INFO)
			return get_info(fd, &n, value, len);
		if (name == TCP_CONGESTION)
			return get_congestion(fd, &n, value, len);
	}
	if (((level == IPPROTO_IP && name == IP_MTU) ||
	     (level == IPPROTO_IPV6 && name == IPV6_MTU)) &&
	    bt_wire_value(fd, &n, level, name, &v))
		return give_int(NULL, v, value, len);
	if (level == IPPROTO_IP && name == IP_MTU)
		return bt_note_row(&n, &row) && row.rport != 0 ? give_int(NULL, 65535, value, len)
							       : bt_fail(ENOTCONN);
	if (level == IPPROTO_IPV6 && n.flags & NOTE_V6 && name == IPV6_MTU)
		return bt_note_row(&n, &row) && row.rport != 0 ? give_int(NULL, 65536, value, len)
							       : bt_fail(ENOTCONN);
	if ((level == IPPROTO_IP && name == IP_TRANSPARENT) ||
	    (level == IPPROTO_IPV6 && n.flags & NOTE_V6 && name == IPV6_TRANSPARENT))
		return give_int(NULL, 0, value, len);
	bool own_level = level == IPPROTO_IP || (level == IPPROTO_IPV6 && n.flags & NOTE_V6) ||
			 (level == protocol(&n) && !(n.flags & NOTE_PING));
	/* ipv6_getsockopt does not tell levels apart. */
	return bt_fail(own_level || n.flags & NOTE_V6 ? ENOPROTOOPT : EOPNOTSUPP);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP. A datagram goes straight to the receiver's kernel name. Which name a destination leads to is
 * berthd's knowledge; a thread remembers the last few answers, each with the epoch of its port's
 * bucket in the shared table, and asks again only when that epoch has moved. So the common send
 * costs one system call.
 *
 * The sender never waits: where the receiver's kernel queue is full (EAGAIN), or berthd holds
 * datagrams for it already (BT_ROWF_RELAY), the datagram is handed to berthd (see daemon/relay.c).
 *
 * A descriptor is never connected in the kernel: it would then take datagrams from that peer only,
 * and none that berthd passes on. Who may send to a connected socket is settled where the
 * destination is looked up.
 *
 * ECONNREFUSED on a connected socket is told asynchronously, as ICMP does it: the descriptor is
 * given a real pending error. AF_UNIX raises one (ECONNRESET, renamed in stream.c) in a socket
 * whose peer turns away from it with unread data; so a helper is connected to and fro, and turned
 * away.
 */
#include "preload.h"
#include "view.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAYS 8u /* destinations that a thread remembers */

struct way {
	struct bt_ident sender;
	uint8_t addr[16];
	uint16_t port;
	bool used, relay, lost;
	uint8_t dev;	  /* the sender's when it was asked; any holder may have set it since */
	uint32_t changes; /* bt_udp_changes then */
	uint32_t epoch;
	uint32_t target; /* slot; BT_SLOT_NONE: nobody has the port */
	socklen_t len;
	struct sockaddr_un name;
};

static __thread struct way ways[WAYS] __attribute__((tls_model("initial-exec")));

_Atomic uint32_t bt_udp_changes;

static struct way *way_to(const struct note *n, const uint8_t addr[16], uint16_t port)
{
	return &ways[(port ^ addr[15] ^ addr[14] ^ n->id.slot) % WAYS];
}

static uint8_t device(const struct note *n)
{
	return n->flags & NOTE_NAMED && bt_table() != NULL
		       ? bt_table_row(bt_table(), n->id.slot)->dev
		       : 0;
}

static bool fresh(const struct way *w, const struct note *n, const uint8_t addr[16], uint16_t port)
{
	return w->used && w->port == port && w->changes == bt_udp_changes &&
	       w->sender.slot == n->id.slot && w->sender.gen == n->id.gen &&
	       memcmp(w->addr, addr, 16) == 0 && w->dev == device(n) &&
	       w->epoch == atomic_load_explicit(&bt_table()->udp_epoch[bt_epoch_bucket(port)],
						memory_order_acquire);
}

/* Asks berthd; names the socket on the way if it has no name yet. 0 or errno. */
static int ask(int fd, struct note *n, const uint8_t addr[16], uint16_t port, uint16_t dev,
	       struct way *w)
{
	struct bt_req q;
	struct bt_rep rep;
	bt_req_make(&q, BT_UDP_ROUTE, n, fd);
	memcpy(q.addr, addr, 16);
	q.port = port;
	q.dev = dev;
	q.flags = bt_may_broadcast(fd, addr);
	w->used = false;
	w->dev = device(n);
	w->changes = bt_udp_changes;
	int e = bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL);
	if (e == 0)
		e = bt_take_name(fd, n, &rep);
	if (e != 0)
		return e;
	w->sender = n->id;
	memcpy(w->addr, addr, 16);
	w->port = port;
	w->epoch = rep.value;
	w->relay = rep.flags & BT_REPF_RELAY;
	w->lost = rep.flags & BT_REPF_LOST;
	w->target = rep.target.slot;
	if (w->target != BT_SLOT_NONE)
		w->len = bt_target_name(&w->name, &rep);
	w->used = true;
	return 0;
}

static int family(const struct msghdr *m)
{
	sa_family_t f;
	if (m->msg_namelen < sizeof(f) || bt_bad_pointer(m->msg_name))
		return -1;
	memcpy(&f, m->msg_name, sizeof(f));
	return f;
}

/* udpv6_sendmsg: AF_INET is taken too, and what is neither is EINVAL. */
static int destination6(const struct note *n, const struct msghdr *m, uint8_t addr[16],
			uint16_t *port)
{
	int f = family(m);
	if (f == AF_INET && n->cookie & COOKIE_BIT(CB_V6ONLY))
		return ENETUNREACH;
	int e = bt_addr_in(m->msg_name, m->msg_namelen, f != AF_INET, addr, port);
	if (e == 0 && n->cookie & COOKIE_BIT(CB_V6ONLY) && bt_is_v4(addr))
		return ENETUNREACH;
	return e == EAFNOSUPPORT ? EINVAL : e;
}

/* Where the datagram goes: the message's address, or the socket's peer. 0 or errno. */
static int destination(const struct note *n, const struct msghdr *m, uint8_t addr[16],
		       uint16_t *port)
{
	struct bt_row row;
	bool v6 = n->flags & NOTE_V6;
	if (m->msg_name != NULL && !(v6 && family(m) == AF_UNSPEC)) {
		if (m->msg_namelen >= sizeof(struct sockaddr_in) && !bt_bad_pointer(m->msg_name) &&
		    family(m) == AF_UNSPEC && !v6) {
			struct sockaddr_in
				in; /* Linux takes AF_UNSPEC for AF_INET here (udp_sendmsg) */
			memcpy(&in, m->msg_name, sizeof(in));
			in.sin_family = AF_INET;
			int bad = bt_addr_in((struct sockaddr *)&in, sizeof(in), false, addr, port);
			return bad == 0 && *port == 0 ? EINVAL : bad;
		}
		int e = v6 ? destination6(n, m, addr, port)
			   : bt_addr_in(m->msg_name, m->msg_namelen, false, addr, port);
		return e == 0 && *port == 0 ? EINVAL : e;
	}
	if (!bt_note_row(n, &row) || row.state != BT_ROW_ESTABLISHED)
		return EDESTADDRREQ;
	memcpy(addr, row.raddr, 16);
	*port = row.rport;
	/* udpv6_sendmsg gives an IPv4 peer to udp_sendmsg as an address. */
	return v6 && row.rport == 0 && bt_is_v4(addr) ? EINVAL : 0;
}

void bt_udp_autobind(int fd, struct note *n)
{
	static const uint8_t any4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, any6[16];
	struct bt_row row;
	bool have = bt_note_row(n, &row), v6 = n->flags & NOTE_V6 && !(have && bt_is_v4(row.laddr));
	if ((have && bt_row_port(&row) != 0) || bt_table() == NULL)
		return;
	if (n->flags & NOTE_PING) { /* as bind to any identifier */
		struct bt_req q;
		struct bt_rep rep;
		bt_req_make(&q, BT_BIND, n, fd);
		bt_req_addr(&q, v6 ? any6 : any4, 0);
		if (bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL) == 0)
			bt_take_name(fd, n, &rep);
		return;
	}
	/* Whoever asks for a way gets a port. The interface that a socket is bound to may have one
	 * for IPv4 alone. */
	if (!v6 || ask(fd, n, any6, 1, 0, way_to(n, any6, 1)) != 0)
		ask(fd, n, any4, 1, 0, way_to(n, any4, 1));
}

/* 0 or errno. */
static int total(const struct msghdr *m, size_t *size)
{
	*size = 0;
	if (m->msg_iovlen > IOV_MAX)
		return EMSGSIZE;
	if (m->msg_iovlen > 0 && bt_bad_pointer(m->msg_iov))
		return EFAULT;
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		const struct iovec *v = &m->msg_iov[i];
		if (v->iov_len > SSIZE_MAX)
			return EINVAL;
		*size += v->iov_len;
	}
	return 0;
}

/* What Linux looks at when the destination is known. */
static int contents(const struct msghdr *m, size_t size, bool v4)
{
	/* 65,535 bytes less the UDP header, and in IPv4 less the IP header as well. */
	if (size > (v4 ? 65507 : 65527))
		return EMSGSIZE;
	for (size_t i = 0; i < m->msg_iovlen; i++)
		if (m->msg_iov[i].iov_len > 0 && bt_bad_pointer(m->msg_iov[i].iov_base))
			return EFAULT;
	return 0;
}

static int by_relay(int fd, const struct note *n, const uint8_t addr[16], uint16_t port,
		    const struct msghdr *m, size_t size, const struct bt_choice *choice,
		    bool *waited)
{
	struct bt_req q;
	struct bt_rep rep;
	size_t at = choice->source ? sizeof(choice->addr) : 0;
	char small[2048], *buf = at + size <= sizeof(small) ? small : malloc(at + size);
	if (buf == NULL)
		return ENOBUFS;
	memcpy(buf, choice->addr, at);
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		memcpy(buf + at, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
		at += m->msg_iov[i].iov_len;
	}
	bt_req_init(&q, BT_UDP_SEND, n);
	memcpy(q.addr, addr, 16);
	q.port = port;
	q.extra = (uint32_t)at;
	q.value = choice->value;
	/* With an answer: when it is here, the row says that all must come this way, so the next
	 * datagram cannot overtake this one. */
	q.flags = (uint16_t)(BT_REQF_SYNC | (choice->source ? BT_REQF_SOURCE : 0) |
			     bt_may_broadcast(fd, addr));
	q.dev = choice->dev;
	int e = bt_call(bt_proof(fd, n), &q, buf, &rep, NULL, NULL);
	*waited = e != 0 && rep.flags & BT_REPF_WIRE;
	if (buf != small)
		free(buf);
	return e;
}

/* A pending ECONNREFUSED for fd. What fails here only loses the hint, as ICMP may be lost. Turning
 * away empties the queue; where there is something in it, the error is kept in the cookie. */
static void refuse(int fd, struct note *n)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) == 1 && p.revents & POLLIN) {
		bt_pend(fd, n, ECONNREFUSED);
		if (bt_note(fd) != NULL)
			bt_note(fd)->flags |= NOTE_FAILED;
		return;
	}
	struct sockaddr_un own, helper = {.sun_family = AF_UNIX};
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	socklen_t own_len = sizeof(own), len = sizeof(helper);
	bt_sys(SYS_getsockname, fd, (long)&own, (long)&own_len, 0, 0, 0);
	long h = bt_sys(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);
	if (h < 0)
		return;
	/* The empty address lets the kernel choose a name (unix(7), autobind). */
	if (bt_sys(SYS_bind, h, (long)&helper, sizeof(sa_family_t), 0, 0, 0) == 0 &&
	    bt_sys(SYS_getsockname, h, (long)&helper, (long)&len, 0, 0, 0) == 0 &&
	    bt_sys(SYS_connect, fd, (long)&helper, len, 0, 0, 0) == 0) {
		if (bt_sys(SYS_connect, h, (long)&own, own_len, 0, 0, 0) == 0 &&
		    bt_sys(SYS_sendto, fd, (long)"", 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) == 1)
			bt_sys(SYS_connect, h, (long)&none, sizeof(none), 0, 0, 0);
		bt_sys(SYS_connect, fd, (long)&none, sizeof(none), 0, 0, 0);
	}
	bt_sys(SYS_close, h, 0, 0, 0, 0, 0);
}

/* An ICMP error finds the socket only if it is connected to where the datagram went. */
static bool told(const struct note *n, const uint8_t addr[16], uint16_t port)
{
	static const uint8_t none[16],
		loopback6[16] = {[15] = 1},
		loopback4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
	struct bt_row row;
	const uint8_t *to = addr;
	if (n->cookie & COOKIE_BIT(bt_is_v4(addr) ? CB_RECVERR : CB_RECVERR6))
		return true;
	/* Port 0 of connect is any. */
	if (!(n->flags & NOTE_CONNECTED) || !bt_note_row(n, &row) ||
	    (row.rport != port && row.rport != 0))
		return false;
	/* The wildcard means the sender's own address, or loopback. */
	if (bt_is_v4(addr) && memcmp(addr + 12, none, 4) == 0)
		to = row.laddr;
	else if (memcmp(addr, none, 16) == 0)
		to = bt_is_v4(row.laddr) ? loopback4 : loopback6;
	return memcmp(to, row.raddr, 16) == 0;
}

/* Nobody has the port: the datagram is gone. A connected sender will be told. */
static ssize_t nobody(int fd, struct note *n, const struct way *w, const uint8_t addr[16],
		      uint16_t port, size_t size)
{
	int pending = 0;
	socklen_t len = sizeof(pending);
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, (long)&pending, (long)&len, 0);
	if (pending != 0 ||
	    bt_pending(fd, n) != 0) { /* told by this call, and this datagram is not sent */
		errno = ECONNREFUSED;
		return -1;
	}
	if (n->flags & NOTE_SHUT_WR) {
		errno = EPIPE;
		return -1;
	}
	if (!w->lost && told(n, addr, port))
		refuse(fd, n);
	return (ssize_t)size;
}

#define SEGMENTS_MAX 128u /* UDP_MAX_SEGMENTS of Linux */

/* UDP_SEGMENT: what Linux looks at before it cuts. The interface's MTU counts, which of the way to
 * an own address is lo's. */
static int segments(int fd, const uint8_t addr[16], size_t size, size_t segment)
{
	struct bt_host_row host;
	size_t mtu = 1500, header = bt_is_v4(addr) ? 28 : 48;
	int none = 0;
	socklen_t len = sizeof(none);
	if (segment == 0)
		return 0;
	if (bt_host_read(bt_table(), bt_host(), &host))
		for (uint16_t i = 0; i < host.n_addrs && i < BT_HOST_ADDRS; i++)
			if (memcmp(host.addrs[i].addr, addr, 16) == 0)
				mtu = 65536;
	if (bt_is_v4(addr) && addr[12] == 127)
		mtu = 65536;
	if (header + (size < segment ? size : segment) > mtu)
		return EMSGSIZE;
	if (size <= segment)
		return 0;
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_NO_CHECK, (long)&none, (long)&len, 0);
	return (none && bt_is_v4(addr)) || size > segment * SEGMENTS_MAX ? EINVAL : 0;
}

static ssize_t send_one(int fd, const struct note *note, const struct msghdr *m, int flags);

/* One after the other. What fails after the first is lost, as each of them may be on its way. */
static ssize_t send_cut(int fd, const struct msghdr *m, int flags, size_t size, size_t segment)
{
	struct note n;
	char *all = malloc(size);
	struct iovec piece;
	struct msghdr one = *m;
	ssize_t r = 0;
	if (all == NULL)
		return bt_fail(ENOBUFS);
	for (size_t i = 0, at = 0; i < m->msg_iovlen; at += m->msg_iov[i++].iov_len)
		memcpy(all + at, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
	one.msg_iov = &piece;
	one.msg_iovlen = 1;
	for (size_t at = 0; at < size && r >= 0; at += segment) {
		piece.iov_base = all + at;
		piece.iov_len = size - at < segment ? size - at : segment;
		r = bt_ident(fd, &n) ? send_one(fd, &n, &one, flags) : bt_fail(EBADF);
		if (r < 0 && at > 0)
			break;
		if (r < 0)
			size = 0;
	}
	free(all);
	return size > 0 ? (ssize_t)size : -1;
}

/* ping_common_sendmsg, ping_v4_sendmsg, ping_v6_sendmsg: only whole echo requests, which are looked
 * at before the address is. */
static int echo_request(const struct note *n, const struct msghdr *m, size_t size, int flags)
{
	uint8_t head[8];
	size_t have = 0;
	if (size > UINT16_MAX)
		return EMSGSIZE;
	if (size < sizeof(head))
		return EINVAL;
	if (flags & MSG_OOB)
		return EOPNOTSUPP;
	for (size_t i = 0; have < sizeof(head) && i < m->msg_iovlen; i++) {
		const struct iovec *v = &m->msg_iov[i];
		size_t part = v->iov_len < sizeof(head) - have ? v->iov_len : sizeof(head) - have;
		if (part > 0 && bt_bad_pointer(v->iov_base))
			return EFAULT;
		memcpy(head + have, v->iov_base, part);
		have += part;
	}
	return head[0] == (n->flags & NOTE_V6 ? 128 : 8) && head[1] == 0 ? 0 : EINVAL;
}

/* The port of an address means nothing. */
static int ping_destination(const struct note *n, const struct msghdr *m, uint8_t addr[16])
{
	struct bt_row row;
	bool v6 = n->flags & NOTE_V6;
	uint16_t port;
	if (m->msg_name != NULL) {
		int e = bt_addr_in(m->msg_name, m->msg_namelen, v6, addr, &port);
		return e == 0 && v6 && bt_is_v4(addr) ? EINVAL : e;
	}
	if (!bt_note_row(n, &row) || row.state != BT_ROW_ESTABLISHED)
		return EDESTADDRREQ;
	memcpy(addr, row.raddr, 16);
	return 0;
}

static ssize_t send_ping(int fd, struct note *n, const struct msghdr *m, int flags)
{
	struct bt_choice choice = {0};
	uint8_t addr[16];
	size_t size;
	bool waited;
	int e = total(m, &size);
	if (e == 0)
		e = echo_request(n, m, size, flags);
	if (e == 0)
		e = ping_destination(n, m, addr);
	if (e == 0 && UNLIKELY(m->msg_controllen > 0))
		e = bt_control_read(n, m, bt_is_v4(addr), &choice);
	if (e == 0)
		e = contents(m, size, false);
	if (e == 0 && n->flags & NOTE_SHUT_WR)
		e = EPIPE;
	if (e == 0)
		e = bt_name_it(fd, n);
	if (e == 0)
		e = by_relay(fd, n, addr, 0, m, size, &choice, &waited);
	if (e == 0)
		return (ssize_t)size;
	bt_udp_autobind(fd, n);
	return bt_fail(e);
}

static ssize_t send_one(int fd, const struct note *note, const struct msghdr *m, int flags)
{
	struct note n = *note;
	struct bt_choice choice = {0};
	uint8_t addr[16];
	uint16_t port;
	if (UNLIKELY(n.flags & NOTE_SETTING))
		return bt_setting_write(fd, m);
	if (UNLIKELY(n.flags & NOTE_NETLINK))
		return bt_nl_send(fd, &n, m, flags);
	if (UNLIKELY(n.flags & NOTE_PING))
		return send_ping(fd, &n, m, flags);
	if (flags & MSG_OOB)
		return bt_fail(EOPNOTSUPP);
	size_t size;
	int e = total(m, &size);
	if (e == 0)
		e = destination(&n, m, addr, &port);
	if (e == 0 && UNLIKELY(n.cookie & COOKIE_BIT(CB_SEGMENT)))
		choice.segment = bt_udp_segment(fd, &n);
	if (e == 0 && m->msg_name != NULL && n.flags & NOTE_V6)
		choice.dev = bt_scope(m->msg_name, m->msg_namelen);
	if (e == 0 && UNLIKELY(m->msg_controllen > 0))
		e = bt_control_read(&n, m, bt_is_v4(addr), &choice);
	if (e == 0)
		e = contents(m, size, bt_is_v4(addr));
	if (e == 0 && UNLIKELY(choice.segment != 0))
		e = segments(fd, addr, size, choice.segment);
	if (e != 0) {
		bt_udp_autobind(fd, &n);
		return bt_fail(e);
	}
	if (UNLIKELY(choice.segment != 0 && size > choice.segment))
		return send_cut(fd, m, flags, size, choice.segment);
	struct way *w = way_to(&n, addr, port);
	if (UNLIKELY(bt_table() == NULL || !(n.flags & NOTE_NAMED) || !fresh(w, &n, addr, port))) {
		e = ask(fd, &n, addr, port, choice.dev, w);
		if (e != 0) {
			bt_udp_autobind(fd, &n);
			return bt_fail(e);
		}
	}
	if (UNLIKELY(n.flags & NOTE_FAILED) && bt_pending(fd, &n) != 0)
		return bt_fail(ECONNREFUSED);
	if ((w->target == BT_SLOT_NONE && !w->relay) || n.flags & NOTE_SHUT_WR)
		return nobody(fd, &n, w, addr, port, size);
	bool relay =
		w->relay ||
		bt_table_row(bt_table(), w->target)->flags & (BT_ROWF_RELAY | BT_ROWF_PKTINFO) ||
		!bt_control_usual(&n, &choice);
	if (!relay) {
		struct msghdr out = {.msg_name = &w->name,
				     .msg_namelen = w->len,
				     .msg_iov = m->msg_iov,
				     .msg_iovlen = m->msg_iovlen};
		ssize_t r = bt_real()->sendmsg(
			fd, &out, (flags & ~MSG_MORE & ~MSG_CONFIRM) | MSG_DONTWAIT | MSG_NOSIGNAL);
		if (LIKELY(r >= 0))
			return r;
		if (errno == ECONNRESET) /* the pending error of an earlier datagram */
			return bt_fail(ECONNREFUSED);
		if (errno == ECONNREFUSED) {
			w->used = false;
			return nobody(fd, &n, w, addr, port, size);
		}
		if (errno != EAGAIN && errno != EPERM && errno != ENOBUFS && !bt_no_file(errno))
			return -1;
	}
	bool waited;
	e = by_relay(fd, &n, addr, port, m, size, &choice, &waited);
	if (e == ECONNREFUSED && !waited)
		return nobody(fd, &n, w, addr, port, size);
	return e == 0 ? (ssize_t)size : bt_fail(e);
}

ssize_t bt_udp_send(int fd, const struct note *n, const struct msghdr *m, int flags)
{
	return bt_meter(fd, send_one(fd, n, m, flags), true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that travel in packets: joining berthd, the outcome, errors, and telling berthd the
 * options that the kernel's descriptor or the cookie holds. Numbers berthd knows since they were
 * set.
 */
#include "preload.h"

#include <linux/tcp.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif

static int get(int fd, int name, int usual)
{
	int v = usual;
	socklen_t len = sizeof(v);
	return bt_sys(SYS_getsockopt, fd, SOL_SOCKET, name, (long)&v, (long)&len, 0) < 0 ? usual
											 : v;
}

/* ---- options ---- */

static void tell(int fd, const struct note *n, int level, int name, int value)
{
	struct bt_req q;
	bt_req_init(&q, BT_SETVAL, n);
	q.flags = (uint16_t)level;
	q.port = (uint16_t)name;
	q.value = (uint32_t)value;
	bt_notice(bt_proof(fd, n), &q);
}

/* Buffers whose size the program has set, as it set them: the kernel has doubled that. */
static bool tell_buffers(int fd, const struct note *n)
{
	enum { SNDBUF_LOCK = 1, RCVBUF_LOCK = 2, USUAL = 212992 };
	int send = get(fd, SO_SNDBUF, USUAL), receive = get(fd, SO_RCVBUF, USUAL);
	int locks = get(fd, SO_BUF_LOCK,
			(send != USUAL ? SNDBUF_LOCK : 0) | (receive != USUAL ? RCVBUF_LOCK : 0));
	if (locks & SNDBUF_LOCK)
		tell(fd, n, SOL_SOCKET, SO_SNDBUF, send / 2);
	if (locks & RCVBUF_LOCK)
		tell(fd, n, SOL_SOCKET, SO_RCVBUF, receive / 2);
	return locks & (SNDBUF_LOCK | RCVBUF_LOCK);
}

bool bt_wire_options(int fd, struct note *n)
{
	static const struct {
		uint8_t bit;
		uint8_t name, value;
	} bits[] = {{CB_NODELAY, TCP_NODELAY, 1},
		    {CB_CORK, TCP_CORK, 1},
		    {CB_NOQUICKACK, TCP_QUICKACK, 0}};
	uint64_t c = n->cookie;
	bool any = tell_buffers(fd, n);
	if (n->flags & NOTE_SHARED)
		bt_cookie_get(fd, &c);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (c & COOKIE_BIT(bits[i].bit)) {
			tell(fd, n, IPPROTO_TCP, bits[i].name, bits[i].value);
			any = true;
		}
	if (COOKIE_CONGESTION(c) != 0) {
		tell(fd, n, IPPROTO_TCP, TCP_CONGESTION, COOKIE_CONGESTION(c) - 1);
		any = true;
	}
	if (get(fd, SO_KEEPALIVE, 0) != 0) {
		tell(fd, n, SOL_SOCKET, SO_KEEPALIVE, 1);
		any = true;
	}
	return any;
}

void bt_wire_set(int fd, const struct note *n, int level, int name, int value)
{
	if (!(n->flags & (NOTE_WIRE | NOTE_LISTENS)) || n->flags & NOTE_UDP)
		return;
	tell(fd, n, level, name, value);
	bt_settle(n); /* what is written next goes by it */
}

bool bt_wire_value(int fd, const struct note *n, int level, int name, int *value)
{
	struct bt_req q;
	struct bt_rep rep;
	if (n->flags & NOTE_UDP ? !bt_wire_udp(n) : !(n->flags & NOTE_WIRE))
		return false;
	bt_req_init(&q, BT_GETVAL, n);
	q.flags = (uint16_t)level;
	q.port = (uint16_t)name;
	if (bt_call(bt_proof(fd, n), &q, NULL, &rep, NULL, NULL) != 0)
		return false;
	*value = (int)rep.value;
	return true;
}

/* The queue before the engine: half of what the program has set, or the usual. */
void bt_wire_queue(int fd, const struct note *n, int sndbuf)
{
	int bytes = sndbuf > 0 ? sndbuf / 2 : 106496; /* net.core.wmem_default, halved */
	int lowat = 0;
	if (n->cookie & COOKIE_BIT(CB_STORED) &&
	    bt_wire_value(fd, n, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat) && lowat > 0 &&
	    lowat / 2 < bytes)
		bytes = lowat / 2;
	bt_real()->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

bool bt_wire_info(uint32_t slot, const struct bt_row *row, void *info, size_t size,
		  char name[BT_CONGESTION_NAME])
{
	uint8_t extra[512];
	struct bt_req q;
	struct bt_rep rep;
	size_t got = sizeof(extra);
	bt_req_init(&q, BT_TCP_INFO, NULL);
	q.id = (struct bt_ident){slot, row->gen, row->nonce};
	if (bt_call(-1, &q, NULL, &rep, extra, &got) != 0 || got != size + BT_CONGESTION_NAME)
		return false;
	memcpy(info, extra, size);
	memcpy(name, extra + size, BT_CONGESTION_NAME - 1);
	name[BT_CONGESTION_NAME - 1] = '\0';
	return true;
}

/* ---- datagrams ---- */

bool bt_wire_udp(const struct note *n)
{
	if (n->flags & NOTE_PING)
		return true;
	return n->flags & NOTE_UDP && n->flags & NOTE_NAMED && bt_table() != NULL &&
	       bt_table_row(bt_table(), n->id.slot)->flags & BT_ROWF_WIRE;
}

bool bt_wire_word(const struct sockaddr_un *sun, socklen_t len)
{
	struct bt_ident id;
	struct bt_row row;
	const uint8_t word = BT_ROWF_ALIAS | BT_ROWF_RESET;
	return bt_table() != NULL && bt_name_parse(sun, len, bt_netid(), &id) &&
	       bt_row_read(bt_table(), id.slot, &row) && row.gen == id.gen &&
	       row.nonce == id.nonce && (row.flags & word) == word;
}

/* ---- joining ---- */

int bt_wire_error(int fd, const struct note *n)
{
	int e = 0;
	return bt_wire_value(fd, n, SOL_SOCKET, SO_ERROR, &e) ? e : 0;
}

int bt_wire_ended(int fd, const struct note *n)
{
	struct bt_row row;
	return n->flags & NOTE_WIRE && !(n->flags & NOTE_UDP) && bt_note_row(n, &row) &&
			       (row.state == BT_ROW_CLOSE || row.state == BT_ROW_FREE)
		       ? bt_wire_error(fd, n)
		       : 0;
}

bool bt_wire_told(const struct note *n)
{
	struct bt_row row;
	return n->flags & NOTE_WIRE && !(n->flags & NOTE_UDP) && bt_note_row(n, &row) &&
	       row.state == BT_ROW_CLOSE && !(row.flags & BT_ROWF_RESET);
}

/* inet_release, tcp_close: until all is acknowledged, with the FIN, or the time is over. The row
 * tells when; berthd has no way to say that it has changed. */
void bt_wire_linger(int fd, const struct note *n)
{
	const unsigned waits = 1 << BT_ROW_ESTABLISHED | 1 << BT_ROW_CLOSE_WAIT |
			       1 << BT_ROW_FIN_WAIT1 | 1 << BT_ROW_CLOSING | 1 << BT_ROW_LAST_ACK;
	struct linger l = {0};
	struct timespec pause = {.tv_nsec = 200000}, now;
	socklen_t len = sizeof(l);
	struct bt_row row;
	if (!(n->flags & NOTE_WIRE) || n->flags & (NOTE_UDP | NOTE_JOINING | NOTE_SHARED) ||
	    bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_LINGER, (long)&l, (long)&len, 0) < 0 ||
	    !l.l_onoff || l.l_linger <= 0 || bt_real()->shutdown(fd, SHUT_WR) < 0)
		return;
	bt_sys(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
	int64_t until = now.tv_sec * 1000000000ll + now.tv_nsec + l.l_linger * 1000000000ll;
	while (bt_note_row(n, &row) && waits & 1u << row.state &&
	       now.tv_sec * 1000000000ll + now.tv_nsec < until &&
	       bt_sys(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0) == 0) {
		if (pause.tv_nsec < 10000000)
			pause.tv_nsec += pause.tv_nsec / 2;
		bt_sys(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
	}
}

/*
 * The descriptor is joined to berthd, and must not be writable before the peer has answered: the
 * smallest send buffer is filled with a plug, which berthd takes out (proto/msg.h). The buffer gets
 * its size again when the outcome is seen.
 */
int bt_wire_join(int fd, struct note *n)
{
	static const uint8_t plug[BT_PLUG_MAX];
	uint32_t size = bt_table() == NULL ? 0 : bt_table()->plug_bytes;
	struct sockaddr_un sun;
	socklen_t len = bt_name_wire(&sun, bt_netid());
	const int least = 0;
	if (bt_wire_options(fd, n)) /* they count from the SYN on */
		bt_settle(n);
	bt_real()->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	if (bt_real()->connect(fd, (struct sockaddr *)&sun, len) != 0)
		return errno == EAGAIN ? ETIMEDOUT : errno;
	if (size == 0 || size > sizeof(plug))
		return ENOBUFS;
	ssize_t sent = bt_real()->send(fd, plug, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	n->flags |= NOTE_WIRE;
	if (sent == (ssize_t)size) {
		n->flags |= NOTE_JOINING;
		return 0;
	}
	/* berthd has closed it already: the connection cannot be begun, and there is no outcome to
	 * come. */
	int e = sent < 0 && errno == EPIPE ? bt_wire_error(fd, n) : 0;
	return e != 0 ? e : ENOBUFS;
}

static void joined(int fd, struct note *n)
{
	struct note *own = bt_note(fd);
	int sndbuf = 0;
	n->flags &= ~(uint32_t)NOTE_JOINING;
	if (own != NULL)
		own->flags &= ~(uint32_t)NOTE_JOINING;
	if (n->flags & (NOTE_SNDBUF | NOTE_SHARED))
		bt_wire_value(fd, n, SOL_SOCKET, SO_SNDBUF, &sndbuf);
	bt_wire_queue(fd, n, n->flags & NOTE_SNDBUF ? sndbuf : 0);
}

int bt_wire_outcome(int fd, struct note *n)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	if (bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) != 1)
		return EINPROGRESS;
	int e = p.revents & POLLHUP ? bt_wire_error(fd, n) : 0;
	joined(fd, n);
	return e;
}

/* Until the handshake is over. Interrupted, it goes on by itself (connect(2), EINTR). */
int bt_wire_wait(int fd, struct note *n)
{
	struct timeval t = {0};
	socklen_t len = sizeof(t);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, (long)&t, (long)&len, 0);
	long ms = t.tv_sec == 0 && t.tv_usec == 0 ? -1 : t.tv_sec * 1000 + t.tv_usec / 1000;
	long r = bt_sys(SYS_poll, (long)&p, 1, ms, 0, 0, 0);
	if (r == 1)
		return bt_wire_outcome(fd, n);
	return r == 0 ? EINPROGRESS : EINTR;
}

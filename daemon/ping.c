/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP echo from hosts: a socket of the engine for each ping socket of a program, and for each
 * berth ping. The engine has their identifiers and addresses, and sends and gets all packets, also
 * those of a host to itself.
 *
 * A program's socket has a row like a UDP socket's, whose ends are the engine's, and requests and
 * answers go the way of datagrams that berthd passes on (relay.c, errors.c). berth ping has one end
 * of a pair of sockets, which is closed when it ends.
 */
#include "tap.h"

#include "errors.h"

#include "../lib/base/checksum.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TABLE	   256u
#define PAIRS_MAX  64u
#define GRAM_MAX   65536u
#define QUEUE_MOST (1 << 20)

struct ping {
	struct ping *next;
	struct daemon *d;
	berth_socket socket;
	uint32_t number;     /* the lower half of the socket's user: a slot, or after all slots */
	uint16_t host, port; /* port: of the address that a program gave to connect */
	int fd;		     /* of berth ping, with poll; -1: a program's */
	uv_poll_t poll;
};

static struct ping *pings[TABLE];
static uint32_t n_pairs, last_pair;

static struct ping **place(uint32_t number)
{
	struct ping **p = &pings[number % TABLE];
	while (*p != NULL && (*p)->number != number)
		p = &(*p)->next;
	return p;
}

/* A new one, in the list. 0, or a berth_error. */
static int open_ping(struct daemon *d, uint32_t number, uint16_t host, int family,
		     struct ping **out)
{
	int r = d_wire_open(d);
	struct ping **at = place(number), *p = r < 0 ? NULL : calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	struct berth *b = d_wire_engine(d);
	r = berth_open(b, d_wire_host(d, host), BERTH_PING, family, &p->socket);
	if (r < 0) {
		free(p);
		return r;
	}
	berth_set_user(b, p->socket, (uint64_t)D_WIRE_PING << 32 | number);
	berth_set(b, p->socket, BERTH_IP_RECVERR, 1, d_now());
	p->d = d;
	p->number = number;
	p->host = host;
	p->fd = -1;
	*at = *out = p;
	return 0;
}

static void close_ping(struct ping *p)
{
	*place(p->number) = p->next;
	berth_close(d_wire_engine(p->d), p->socket, d_now());
}

/* ---- programs' sockets ---- */

int d_ping_make(struct daemon *d, uint32_t slot)
{
	struct bt_port_info i;
	struct ping *p;
	if (!bt_port_get(bt_net_ports(d->net), slot, &i))
		return -EBADF;
	int r = open_ping(d, slot, i.host, i.family, &p);
	if (r == 0)
		d_ping_opts(d, slot, i.opts);
	return r;
}

void d_ping_forget(uint32_t slot)
{
	struct ping *p = *place(slot);
	if (p == NULL)
		return;
	close_ping(p);
	free(p);
}

void d_ping_opts(struct daemon *d, uint32_t slot, unsigned opts)
{
	const struct ping *p = *place(slot);
	if (p == NULL)
		return;
	berth_set(d_wire_engine(d), p->socket, BERTH_SO_REUSEADDR, (opts & BT_REUSEADDR) != 0,
		  d_now());
	berth_set(d_wire_engine(d), p->socket, BERTH_IP_FREEBIND, (opts & BT_FREEBIND) != 0,
		  d_now());
}

void d_ping_option(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value)
{
	const struct ping *p = *place(slot);
	if (p != NULL)
		d_carry_option(d, p->socket, level, name, value);
}

/* The addresses and ports of the engine's socket; true: it is connected. */
static bool ends(const struct ping *p, struct bt_addr *local, uint16_t *id, struct bt_addr *remote)
{
	struct berth_endpoint here, there = {.port = 0};
	const struct berth *b = d_wire_engine(p->d);
	bool connected = berth_name(b, p->socket, &here, &there) == 0;
	berth_name(b, p->socket, &here, NULL);
	memcpy(local->b, here.addr.b, sizeof(local->b));
	memcpy(remote->b, there.addr.b, sizeof(remote->b));
	*id = here.port;
	return connected;
}

void d_ping_ends(uint32_t slot, struct bt_port_info *i)
{
	const struct ping *p = *place(slot);
	struct bt_addr remote;
	if (p == NULL || !ends(p, &i->laddr, &i->lport, &remote))
		return;
	i->raddr = remote;
	i->rport = p->port;
	i->state = BT_ESTABLISHED;
}

/* The row tells. */
static int changed(struct daemon *d, uint32_t slot, int r)
{
	bt_net_set_flag(d->net, slot, 0, true);
	return r;
}

int d_ping_bind(struct daemon *d, uint32_t slot, const struct bt_addr *addr, uint16_t id)
{
	const struct ping *p = *place(slot);
	struct berth_endpoint local = {.port = id};
	if (p == NULL)
		return -EBADF;
	d_wire_host(d, p->host); /* may have got an address */
	memcpy(local.addr.b, addr->b, sizeof(local.addr.b));
	return changed(d, slot, berth_bind(d_wire_engine(d), p->socket, &local, d_now()));
}

/* From where, and that the engine knows who is there. 0, BT_NET_LOST, or a negative errno. */
static int route(const struct ping *p, const struct bt_addr *bound, struct bt_addr *dst,
		 struct bt_addr *src)
{
	uint16_t to;
	int r = bt_net_ping_route(p->d->net, p->number, bound, dst, src, &to);
	if (r == 0 && to != BT_NET_OUTSIDE)
		d_wire_host(p->d, to);
	return r;
}

int d_ping_connect(struct daemon *d, uint32_t slot, const struct bt_addr *dst, uint16_t port)
{
	struct ping *p = *place(slot);
	struct bt_addr to, src, local, remote;
	struct berth_endpoint end = {.port = 0};
	uint16_t id;
	if (p == NULL)
		return -EBADF;
	if (dst == NULL)
		return changed(d, slot, berth_connect(d_wire_engine(d), p->socket, NULL, d_now()));
	to = *dst;
	ends(p, &local, &id, &remote);
	int r = route(p, &local, &to, &src);
	if (r < 0 && r != -EHOSTUNREACH)
		return r;
	memcpy(end.addr.b, to.b, sizeof(end.addr.b));
	r = berth_connect(d_wire_engine(d), p->socket, &end, d_now());
	if (r == 0)
		p->port = port;
	return changed(d, slot, r);
}

/* What the host's IP says when a neighbour does not answer, which it says at once: it need not ask
 * to know that nobody is there. */
static void no_neighbour(const struct ping *p, const struct bt_addr *src, const struct bt_addr *dst,
			 const uint8_t *data, size_t len)
{
	static uint8_t quote[BT_ENGINE_QUOTE];
	bool v4 = bt_addr_is_v4(dst);
	struct bt_addr bound, remote;
	uint16_t id;
	struct bt_udp_error e = {.error = EHOSTUNREACH,
				 .origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
				 .type = v4 ? 3 : 1,
				 .code = v4 ? 1 : 3,
				 .len = (uint32_t)(len < sizeof(quote) ? len : sizeof(quote))};
	if (!d_errors_wanted(p->d, p->number, v4))
		return;
	ends(p, &bound, &id, &remote);
	memcpy(e.from, src->b, sizeof(e.from));
	memcpy(e.dst, dst->b, sizeof(e.dst));
	memcpy(quote, data, e.len);
	quote[2] = quote[3] = 0;
	quote[4] = (uint8_t)(id >> 8);
	quote[5] = (uint8_t)id;
	uint64_t sum = v4 ? 0 : bt_csum_pseudo(src, dst, 58, (uint32_t)len);
	sum = bt_csum_add(sum, quote, e.len & ~1u);
	sum = bt_csum_add(sum, quote + (e.len & ~1u), e.len & 1u);
	bt_csum_put(quote + 2, bt_csum_add(sum, data + e.len, len - e.len));
	d_errors_add(p->d, p->number, &e, quote, true);
}

/* ip_local_error: which is not raised, since the call says it. */
static void too_long(const struct ping *p, const struct bt_addr *dst)
{
	struct bt_udp_error e = {.error = EMSGSIZE, .origin = SO_EE_ORIGIN_LOCAL};
	int64_t mtu = 0;
	if (!d_errors_wanted(p->d, p->number, bt_addr_is_v4(dst)))
		return;
	if (berth_get(d_wire_engine(p->d), p->socket, BERTH_IP_MTU, &mtu) == 0)
		e.info = (uint32_t)mtu;
	memcpy(e.dst, dst->b, sizeof(e.dst));
	if (bt_addr_is_v4(dst))
		e.from[10] = e.from[11] = 0xff;
	d_errors_add(p->d, p->number, &e, NULL, false);
}

int d_ping_send(struct daemon *d, uint32_t slot, const struct d_from *from, const uint8_t *data,
		size_t len)
{
	const struct ping *p = *place(slot);
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint to = {.port = 0};
	struct bt_addr dst = from->dst, src, local, remote;
	uint16_t id;
	if (p == NULL || len < 8)
		return p == NULL ? -EBADF : -EINVAL;
	ends(p, &local, &id, &remote);
	int r = id != 0 ? 0 : d_ping_bind(d, slot, &local, 0);
	if (r == 0)
		r = route(p, bt_addr_is_any(&from->src) ? &local : &from->src, &dst, &src);
	if (r == -EHOSTUNREACH)
		no_neighbour(p, &src, &dst, data, len);
	if (r != 0)
		return r == -EHOSTUNREACH || r == BT_NET_LOST ? 0 : r;
	memcpy(to.addr.b, dst.b, sizeof(to.addr.b));
	/* ping_v6_sendmsg takes no address for this host. */
	if (!bt_addr_is_v4(&from->dst) && bt_addr_is_any(&from->dst))
		return -ENETUNREACH;
	berth_set(b, p->socket, BERTH_IP_TTL, (uint8_t)(64 - from->hops), d_now());
	berth_set(b, p->socket, BERTH_IP_TOS, from->tos, d_now());
	int64_t n = bt_engine_ping(b, p->socket, &src, data, len, &to, d_now());
	d_wire_turn(d);
	if (n == BERTH_EMSGSIZE)
		too_long(p, &dst);
	/* A full queue loses datagrams, and says so to nobody; nor does the filter of IPv6's
	 * (icmpv6_push_pending_frames). */
	bool silent = n == BERTH_ENOBUFS || n == BERTH_EAGAIN ||
		      (n == BERTH_EPERM && !bt_addr_is_v4(&dst));
	return n < 0 && !silent ? (int)n : 0;
}

/* An answer. */
static void pass_on(struct daemon *d, uint32_t slot, uint16_t host,
		    const struct berth_datagram *info, const uint8_t *data, size_t len)
{
	struct d_from from = {.hops = (uint8_t)(64 - info->hops), .tos = info->tos, .host = host};
	memcpy(from.src.b, info->from.addr.b, sizeof(from.src.b));
	memcpy(from.dst.b, info->to.addr.b, sizeof(from.dst.b));
	d_relay(d, slot, &from, data, len);
}

/* ---- berth ping ---- */

static void done(uv_handle_t *h)
{
	struct ping *p = h->data;
	close(p->fd);
	free(p);
}

static void end_pair(struct ping *p)
{
	close_ping(p);
	n_pairs--;
	uv_poll_stop(&p->poll);
	uv_close((uv_handle_t *)&p->poll, done);
}

static void tell(const struct ping *p, const struct bt_pinged *head, const uint8_t *data,
		 size_t len)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)head, sizeof(*head)},
			       {(void *)(uintptr_t)data, len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
	(void)sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL); /* who does not read misses it */
}

static void on_request(uv_poll_t *h, int status, int events)
{
	static uint8_t request[GRAM_MAX];
	struct ping *p = h->data;
	struct daemon *d = p->d;
	(void)status;
	(void)events;
	ssize_t n = recv(p->fd, request, sizeof(request), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_pair(p);
	} else {
		int64_t r = berth_send_to(d_wire_engine(d), p->socket, request, (size_t)n, NULL,
					  d_now());
		const struct bt_pinged head = {.err = r < 0 ? (uint32_t)-r : 0};
		if (r < 0)
			tell(p, &head, NULL, 0);
	}
	d_wire_turn(d);
	d_settle(d);
}

static int connect_pair(struct daemon *d, struct ping *p, const struct bt_addr *dst)
{
	struct berth_endpoint to = {.port = 0};
	memcpy(to.addr.b, dst->b, sizeof(to.addr.b));
	int r = berth_connect(d_wire_engine(d), p->socket, &to, d_now());
	if (r == 0 && uv_poll_init(&d->loop, &p->poll, p->fd) < 0)
		r = -ENOMEM;
	return r;
}

int d_ping_open(struct daemon *d, uint16_t host, struct bt_addr dst)
{
	static const struct bt_addr any4 = {{[10] = 0xff, [11] = 0xff}}, any6;
	const int bytes = QUEUE_MOST;
	struct bt_addr src;
	struct ping *p;
	uint16_t to;
	int fds[2];
	bool v4 = bt_addr_is_v4(&dst);
	int r = n_pairs < PAIRS_MAX ? d_wire_open(d) : -ENOSPC;
	if (r == 0)
		r = bt_net_route(d->net, host, v4 ? &any4 : &any6, &dst, &src, &to);
	if (r < 0)
		return r;
	if (to != BT_NET_OUTSIDE)
		d_wire_host(d, to);
	do
		last_pair = (last_pair + 1) % BT_MAX_ROWS;
	while (*place(BT_MAX_ROWS + last_pair) != NULL);
	r = open_ping(d, BT_MAX_ROWS + last_pair, host, v4 ? 4 : 6, &p);
	if (r < 0)
		return r;
	bool pair = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0;
	p->fd = pair ? fds[0] : -1;
	r = pair ? connect_pair(d, p, &dst) : -ENOMEM;
	if (r < 0) {
		close_ping(p);
		free(p);
		if (pair)
			close(fds[0]);
		if (pair)
			close(fds[1]);
		return r;
	}
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	p->poll.data = p;
	n_pairs++;
	uv_poll_start(&p->poll, UV_READABLE, on_request);
	return fds[1];
}

/* ---- what the engine tells ---- */

void d_ping_event(struct daemon *d, const struct berth_event *e)
{
	static uint8_t data[GRAM_MAX];
	struct berth *b = d_wire_engine(d);
	struct berth_datagram info;
	const struct ping *p;
	int64_t n;
	/* Passing one on may publish rows, and a row that has changed may have lost its socket. */
	while ((n = berth_recv_from(b, e->socket, data, sizeof(data), &info, 0, d_now())) !=
		       BERTH_EAGAIN &&
	       (p = *place((uint32_t)e->user)) != NULL && p->socket == e->socket) {
		struct bt_pinged head = {.err = n < 0 ? (uint32_t)-n : 0};
		if (p->fd < 0 && n >= 0)
			pass_on(d, p->number, p->host, &info, data, (size_t)n);
		if (p->fd < 0) /* what ICMP said is told by errors.c */
			continue;
		if (n >= 0) {
			memcpy(head.from, info.from.addr.b, 16);
			head.hops = info.hops;
		}
		tell(p, &head, data, n < 0 ? 0 : (size_t)n);
	}
}

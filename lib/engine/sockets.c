/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, and the calls that make, name and end sockets. */
#include "internal.h"

#include <stdlib.h>

/* ---- handles ---- */

struct bt_held *bt_held_at(const struct berth *b, uint32_t slot)
{
	uint32_t k = slot / BT_HELD_CHUNK;

	return k < b->n_held && b->held[k] != NULL ? &b->held[k][slot % BT_HELD_CHUNK] : NULL;
}

struct bt_held *bt_held_make(struct berth *b, uint32_t slot)
{
	uint32_t k = slot / BT_HELD_CHUNK;

	if (k >= b->n_held) {
		uint32_t n = k + 1 > 2 * b->n_held ? k + 1 : 2 * b->n_held;
		struct bt_held **held = realloc(b->held, n * sizeof(held[0]));

		if (held == NULL)
			return NULL;
		for (uint32_t i = b->n_held; i < n; i++)
			held[i] = NULL;
		b->held = held;
		b->n_held = n;
	}
	if (b->held[k] == NULL)
		b->held[k] = calloc(BT_HELD_CHUNK, sizeof(b->held[k][0]));
	return bt_held_at(b, slot);
}

int bt_held_find(const struct berth *b, berth_socket s, uint32_t *slot, struct bt_held **held)
{
	uint32_t i = (uint32_t)s;
	struct bt_held *h;

	if (b == NULL)
		return BERTH_EINVAL;
	h = bt_held_at(b, i);
	if (h == NULL || h->type == 0 || h->generation != s >> 32)
		return BERTH_EBADF;
	*slot = i;
	*held = h;
	return 0;
}

/* 2^32 - 1 sockets later a slot has the generation again. */
berth_socket bt_held_begin(struct bt_held *h, uint32_t slot, enum berth_type type)
{
	bt_assert(h->type == 0);
	if (++h->generation == 0)
		h->generation = 1;
	h->type = (uint8_t)type;
	h->user = 0;
	return (uint64_t)h->generation << 32 | slot;
}

void bt_held_end(struct bt_held *h)
{
	h->type = 0;
}

uint32_t bt_engine_slot(const struct berth *b, berth_socket s)
{
	struct bt_held *h;
	uint32_t slot;

	return bt_held_find(b, s, &slot, &h) < 0 ? BT_NO_SLOT : slot;
}

/* ---- open, bind, listen, accept ---- */

int bt_engine_adopt(struct berth *b, uint32_t slot, enum berth_type type, berth_socket *s)
{
	struct bt_port_info info;
	struct bt_held *h;
	int r;

	if (b == NULL || s == NULL || !bt_port_get(b->ports, slot, &info) ||
	    info.host >= b->n_hosts || info.proto != (type == BERTH_TCP ? BT_TCP : BT_UDP))
		return BERTH_EINVAL;
	h = bt_held_make(b, slot);
	if (h == NULL)
		return BERTH_ENOMEM;
	if (h->type != 0)
		return BERTH_EEXIST;
	r = type == BERTH_TCP ? bt_tcp_open(b->tcp, slot) : bt_udp_open(b->udp, slot, type);
	if (r < 0)
		return r;
	*s = bt_held_begin(h, slot, type);
	bt_set_defaults(b, info.host, slot, type);
	return 0;
}

int berth_open(struct berth *b, berth_host host, enum berth_type type, int family, berth_socket *s)
{
	uint32_t slot;
	int r;

	if (b == NULL || s == NULL || host >= b->n_hosts || (family != 4 && family != 6) ||
	    (type != BERTH_TCP && type != BERTH_UDP && type != BERTH_PING))
		return BERTH_EINVAL;
	r = bt_port_new(b->ports, host, type == BERTH_TCP ? BT_TCP : BT_UDP, (enum bt_family)family,
			0, &slot);
	if (r < 0)
		return r;
	r = bt_engine_adopt(b, slot, type, s);
	if (r < 0)
		bt_port_free(b->ports, slot);
	return r;
}

void berth_set_user(struct berth *b, berth_socket s, uint64_t user)
{
	struct bt_held *h;
	uint32_t slot;

	if (bt_held_find(b, s, &slot, &h) == 0)
		h->user = user;
}

static bool is_link_local(const struct bt_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* inet_bind, __inet6_bind, ping_check_bind_addr: which addresses a socket may be given. */
static int bindable(const struct berth *b, const struct bt_port_info *info, enum berth_type type,
		    const struct bt_addr *a, berth_if scope)
{
	bool v4 = bt_addr_is_v4(a), group = bt_ip_is_multicast(a);
	berth_if has;

	if (info->family == BT_V4 && !v4)
		return bt_addr_is_any(a) ? 0 : BERTH_EAFNOSUPPORT;
	if (!v4 && group && type == BERTH_TCP)
		return BERTH_EINVAL;
	if (bt_addr_is_any(a))
		return 0;
	if (is_link_local(a) && scope == 0 && info->dev == 0)
		return BERTH_EINVAL;
	if (group)
		return type == BERTH_PING ? BERTH_EADDRNOTAVAIL : 0;
	if (v4 && type != BERTH_PING && bt_ip_is_broadcast(b->ip, info->host, a))
		return 0;
	has = bt_ip_is_local(b->ip, info->host, a);
	if (has == 0 || (scope != 0 && is_link_local(a) && has != scope))
		return info->opts & BT_FREEBIND ? 0 : BERTH_EADDRNOTAVAIL;
	return 0;
}

int berth_bind(struct berth *b, berth_socket s, const struct berth_endpoint *local, uint64_t now_ns)
{
	struct bt_port_info info;
	struct bt_held *h;
	struct bt_addr a;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (local == NULL || !bt_port_get(b->ports, slot, &info))
		return BERTH_EINVAL;
	now_ns = bt_engine_enter(b, now_ns);
	a = bt_from_public(&local->addr);
	r = bindable(b, &info, (enum berth_type)h->type, &a, local->scope);
	if (r < 0)
		return r;
	if (info.family == BT_V4 && !bt_addr_is_v4(&a))
		a = bt_addr_v4(0);
	if (h->type != BERTH_TCP)
		return bt_udp_bind(b->udp, slot, &a, local->port, local->scope, now_ns);
	return bt_port_bind(b->ports, slot, &a, local->port, true, now_ns, NULL);
}

int berth_listen(struct berth *b, berth_socket s, uint32_t backlog, uint64_t now_ns)
{
	struct bt_port_info info;
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (h->type != BERTH_TCP)
		return BERTH_EOPNOTSUPP;
	if (!bt_port_get(b->ports, slot, &info))
		return BERTH_EINVAL;
	now_ns = bt_engine_enter(b, now_ns);
	r = bt_port_listen(b->ports, slot, now_ns, NULL);
	if (r < 0)
		return r;
	r = bt_tcp_listen(b->tcp, slot, backlog, now_ns);
	if (r < 0 && info.state != BT_LISTEN)
		bt_port_disconnect(b->ports, slot);
	return r;
}

int berth_accept(struct berth *b, berth_socket listener, berth_socket *s, uint64_t now_ns)
{
	struct bt_port_info info;
	struct bt_held *h;
	uint32_t slot, child;
	int r = bt_held_find(b, listener, &slot, &h);

	if (r < 0)
		return r;
	if (s == NULL)
		return BERTH_EINVAL;
	if (h->type != BERTH_TCP)
		return BERTH_EOPNOTSUPP;
	if (!bt_port_get(b->ports, slot, &info) || info.state != BT_LISTEN)
		return BERTH_EINVAL;
	now_ns = bt_engine_enter(b, now_ns);
	child = bt_tcp_accept_next(b->tcp, slot);
	if (child == BT_NO_SLOT)
		return BERTH_EAGAIN;
	h = bt_held_make(b, child);
	if (h == NULL)
		return BERTH_ENOMEM;
	r = bt_tcp_accept(b->tcp, slot, &child, now_ns);
	if (r == 0)
		*s = bt_held_begin(h, child, BERTH_TCP);
	return r;
}

/* ---- ends ---- */

int berth_shutdown(struct berth *b, berth_socket s, enum berth_shut how, uint64_t now_ns)
{
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (how != BERTH_SHUT_RD && how != BERTH_SHUT_WR && how != BERTH_SHUT_RDWR)
		return BERTH_EINVAL;
	now_ns = bt_engine_enter(b, now_ns);
	return h->type == BERTH_TCP ? bt_tcp_shutdown(b->tcp, slot, how, now_ns)
				    : bt_udp_shutdown(b->udp, slot, how);
}

static int end(struct berth *b, berth_socket s, bool abort, uint64_t now_ns)
{
	struct bt_held *h;
	uint32_t slot;
	enum berth_type type;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	now_ns = bt_engine_enter(b, now_ns);
	type = (enum berth_type)h->type;
	bt_held_end(h);
	if (type != BERTH_TCP)
		bt_udp_close(b->udp, slot, now_ns);
	else if (abort)
		bt_tcp_abort(b->tcp, slot, now_ns);
	else
		bt_tcp_close(b->tcp, slot, now_ns);
	return 0;
}

int berth_close(struct berth *b, berth_socket s, uint64_t now_ns)
{
	return end(b, s, false, now_ns);
}

int berth_abort(struct berth *b, berth_socket s, uint64_t now_ns)
{
	return end(b, s, true, now_ns);
}

/* ---- questions ---- */

int berth_error_take(struct berth *b, berth_socket s)
{
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	return h->type == BERTH_TCP ? bt_tcp_error_take(b->tcp, slot)
				    : bt_udp_error_take(b->udp, slot);
}

int berth_ready(const struct berth *b, berth_socket s)
{
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	return h->type == BERTH_TCP ? bt_tcp_ready(b->tcp, slot) : bt_udp_ready(b->udp, slot);
}

static void put_end(struct berth_endpoint *e, const struct bt_addr *a, uint16_t port, berth_if i)
{
	*e = (struct berth_endpoint){.port = port, .scope = is_link_local(a) ? i : 0};
	memcpy(e->addr.b, a->b, sizeof(e->addr.b));
}

int berth_name(const struct berth *b, berth_socket s, struct berth_endpoint *local,
	       struct berth_endpoint *remote)
{
	struct berth_endpoint here, there;
	struct bt_port_info info;
	struct bt_held *h;
	bool connected;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (h->type != BERTH_TCP) {
		bt_udp_name(b->udp, slot, &here, &there, &connected);
	} else if (bt_port_get(b->ports, slot, &info)) {
		berth_if i = bt_ip_is_local(b->ip, info.host, &info.laddr);

		put_end(&here, &info.laddr, info.lport, i);
		put_end(&there, &info.raddr, info.rport, i);
		/* getpeername(2): neither before the connection is made nor after it is over */
		connected = info.state != BT_CLOSE && info.state != BT_LISTEN &&
			    info.state != BT_SYN_SENT;
	} else {
		return BERTH_EBADF;
	}
	if (remote != NULL && !connected)
		return BERTH_ENOTCONN;
	if (local != NULL)
		*local = here;
	if (remote != NULL)
		*remote = there;
	return 0;
}

int berth_tcp_info(const struct berth *b, berth_socket s, struct berth_tcp_info *info)
{
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (info == NULL)
		return BERTH_EINVAL;
	if (h->type != BERTH_TCP)
		return BERTH_EOPNOTSUPP;
	bt_tcp_info(b->tcp, slot, info);
	return 0;
}

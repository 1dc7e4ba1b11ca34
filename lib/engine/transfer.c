/* SPDX-License-Identifier: Apache-2.0 */
/* connect, and what carries data. */
#include "internal.h"

/* ---- connect ---- */

/* ip_route_output_key, tcp_v6_connect: no address means this host. */
static void replace_any(struct bt_addr *dst, const struct bt_addr *bound)
{
	if (!bt_addr_is_any(dst))
		return;
	if (!bt_addr_is_v4(dst) && !bt_addr_is_v4(bound))
		*dst = bt_addr_loopback6();
	else if (bt_addr_is_v4(bound) && !bt_addr_is_any(bound))
		*dst = *bound;
	else
		*dst = bt_addr_v4(0x7f000001);
}

static int check_family(const struct bt_port_info *info, const struct bt_addr *dst)
{
	bool v4 = bt_addr_is_v4(dst);

	if (info->family == BT_V4)
		return v4 ? 0 : BERTH_EAFNOSUPPORT;
	if (v4 && info->opts & BT_V6ONLY)
		return BERTH_ENETUNREACH;
	/* An IPv6 socket that is bound to an address of one family speaks that one only. */
	if (v4 && !bt_addr_is_any(&info->laddr) && !bt_addr_is_v4(&info->laddr))
		return BERTH_ENETUNREACH;
	return !v4 && bt_addr_is_v4(&info->laddr) ? BERTH_ENETUNREACH : 0;
}

/* The interface that the connection must use, in *i: of SO_BINDTODEVICE, or of a link-local end. */
static int choose_if(const struct berth *b, const struct bt_port_info *info,
		     const struct bt_addr *dst, berth_if scope, berth_if *i)
{
	bool local = dst->b[0] == 0xfe && (dst->b[1] & 0xc0) == 0x80;

	*i = info->dev != 0 ? bt_ip_if_of_dev(b->ip, info->host, info->dev) : 0;
	if (!local)
		return 0;
	if (*i != 0 && scope != 0 && *i != scope)
		return BERTH_EINVAL;
	if (*i == 0)
		*i = scope;
	return *i == 0 ? BERTH_EINVAL : 0;
}

static int connect_tcp(struct berth *b, uint32_t slot, const struct bt_port_info *info,
		       const struct berth_endpoint *remote)
{
	struct bt_addr dst = bt_from_public(&remote->addr), src = info->laddr;
	struct bt_path path = {0};
	uint32_t taken;
	berth_if i;
	int r = check_family(info, &dst);

	if (r < 0)
		return r;
	replace_any(&dst, &info->laddr);
	r = choose_if(b, info, &dst, remote->scope, &i);
	if (r < 0)
		return r;
	if (bt_ip_is_multicast(&dst)) /* RFC 9293 MUST-46 */
		return BERTH_ENETUNREACH;
	if (bt_addr_is_any(&src)) /* RFC 9293 MUST-44; MUST-43: else as bound */
		r = bt_ip_source(b->ip, info->host, &dst, i, &src);
	if (r == 0)
		r = bt_ip_path(b->ip, info->host, &src, &dst, i, &path);
	if (r < 0)
		return r;
	if (path.flags & (BT_PATH_BROADCAST | BT_PATH_MULTICAST))
		return BERTH_ENETUNREACH;
	r = bt_port_connect(b->ports, slot, &src, &dst, remote->port, b->now_ns, &taken, NULL);
	if (r < 0)
		return r;
	if (taken != BT_NO_SLOT)
		bt_tcp_taken(b->tcp, taken);
	r = bt_tcp_connect(b->tcp, slot, &path, b->now_ns);
	if (r < 0 && r != BERTH_EINPROGRESS)
		bt_port_disconnect(b->ports, slot);
	return r;
}

int berth_connect(struct berth *b, berth_socket s, const struct berth_endpoint *remote,
		  uint64_t now_ns)
{
	struct bt_port_info info;
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (!bt_port_get(b->ports, slot, &info))
		return BERTH_EBADF;
	now_ns = bt_engine_enter(b, now_ns);
	if (h->type != BERTH_TCP)
		return bt_udp_connect(b->udp, slot, remote, now_ns);
	if (remote == NULL) {
		bt_tcp_disconnect(b->tcp, slot, now_ns);
		return 0;
	}
	if (info.state == BT_SYN_SENT)
		return BERTH_EALREADY;
	if (info.state != BT_CLOSE)
		return BERTH_EISCONN;
	r = bt_tcp_error_take(b->tcp, slot); /* of an earlier attempt (inet_stream_connect) */
	return r < 0 ? r : connect_tcp(b, slot, &info, remote);
}

/* ---- streams ---- */

/* The slot of a live TCP socket. */
static int stream(const struct berth *b, berth_socket s, uint32_t *slot)
{
	struct bt_held *h;
	int r = bt_held_find(b, s, slot, &h);

	return r < 0 ? r : h->type == BERTH_TCP ? 0 : BERTH_EOPNOTSUPP;
}

int64_t berth_send(struct berth *b, berth_socket s, const void *data, size_t len, unsigned flags,
		   uint64_t now_ns)
{
	uint32_t slot;
	int r = stream(b, s, &slot);

	if (r < 0)
		return r;
	if ((data == NULL && len > 0) ||
	    flags & ~(unsigned)(BERTH_MORE | BERTH_OOB | BERTH_FASTOPEN))
		return BERTH_EINVAL;
	return bt_tcp_send(b->tcp, slot, data, len, flags, bt_engine_enter(b, now_ns));
}

int berth_send_room(struct berth *b, berth_socket s, struct iovec *parts, unsigned *n_parts,
		    size_t len)
{
	uint32_t slot;
	int r = stream(b, s, &slot);

	if (r < 0)
		return r;
	if (parts == NULL || n_parts == NULL || *n_parts == 0 || *n_parts > BERTH_PARTS || len == 0)
		return BERTH_EINVAL;
	(void)bt_engine_enter(b, 0);
	return bt_tcp_send_room(b->tcp, slot, parts, n_parts, len);
}

int berth_send_filled(struct berth *b, berth_socket s, size_t len, uint64_t now_ns)
{
	uint32_t slot;
	int r = stream(b, s, &slot);

	return r < 0 ? r : bt_tcp_send_filled(b->tcp, slot, len, bt_engine_enter(b, now_ns));
}

int64_t berth_recv(struct berth *b, berth_socket s, void *data, size_t len, unsigned flags,
		   uint64_t now_ns)
{
	uint32_t slot;
	int r = stream(b, s, &slot);

	if (r < 0)
		return r;
	if ((data == NULL && len > 0) || flags & ~(unsigned)(BERTH_PEEK | BERTH_RECV_OOB))
		return BERTH_EINVAL;
	return bt_tcp_recv(b->tcp, slot, data, len, flags, bt_engine_enter(b, now_ns));
}

int berth_recv_data(struct berth *b, berth_socket s, struct iovec *parts, unsigned *n_parts)
{
	uint32_t slot;
	int r = stream(b, s, &slot);

	if (r < 0)
		return r;
	if (parts == NULL || n_parts == NULL || *n_parts == 0)
		return BERTH_EINVAL;
	(void)bt_engine_enter(b, 0);
	return bt_tcp_recv_data(b->tcp, slot, parts, n_parts);
}

int berth_recv_done(struct berth *b, berth_socket s, size_t len, uint64_t now_ns)
{
	uint32_t slot;
	int r = stream(b, s, &slot);

	return r < 0 ? r : bt_tcp_recv_done(b->tcp, slot, len, bt_engine_enter(b, now_ns));
}

/* ---- datagrams ---- */

/* The slot of a live socket of datagrams. */
static int datagrams(const struct berth *b, berth_socket s, uint32_t *slot)
{
	struct bt_held *h;
	int r = bt_held_find(b, s, slot, &h);

	return r < 0 ? r : h->type != BERTH_TCP ? 0 : BERTH_EOPNOTSUPP;
}

int64_t berth_send_to(struct berth *b, berth_socket s, const void *data, size_t len,
		      const struct berth_endpoint *to, uint64_t now_ns)
{
	uint32_t slot;
	int r = datagrams(b, s, &slot);

	if (r < 0)
		return r;
	if (data == NULL && len > 0)
		return BERTH_EINVAL;
	return bt_udp_send(b->udp, slot, data, len, to, bt_engine_enter(b, now_ns));
}

int64_t bt_engine_ping(struct berth *b, berth_socket s, const struct bt_addr *src, const void *data,
		       size_t len, const struct berth_endpoint *to, uint64_t now_ns)
{
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (h->type != BERTH_PING || (data == NULL && len > 0))
		return BERTH_EINVAL;
	return bt_udp_send_from(b->udp, slot, src, data, len, to, bt_engine_enter(b, now_ns));
}

int64_t berth_recv_from(struct berth *b, berth_socket s, void *data, size_t len,
			struct berth_datagram *info, unsigned flags, uint64_t now_ns)
{
	uint32_t slot;
	int r = datagrams(b, s, &slot);

	if (r < 0)
		return r;
	if ((data == NULL && len > 0) || flags & ~(unsigned)BERTH_PEEK)
		return BERTH_EINVAL;
	(void)bt_engine_enter(b, now_ns);
	return bt_udp_recv(b->udp, slot, data, len, info, flags);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where a socket's packets go: source, interface, way, and what the families forbid. */
#include "internal.h"

static bool is_link_local(const struct bt_addr *a)
{
	return (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80) || (a->b[0] == 0xff && a->b[1] == 2);
}

/* ip_route_output_key, udpv6_sendmsg: no address means this host. */
static void replace_any(struct bt_addr *dst, const struct bt_addr *bound)
{
	if (!bt_addr_is_any(dst))
		return;
	if (!bt_addr_is_v4(dst))
		*dst = bt_addr_loopback6();
	else if (bt_addr_is_v4(bound) && !bt_addr_is_any(bound))
		*dst = *bound;
	else
		*dst = bt_addr_v4(0x7f000001);
}

/* May the socket, bound to `bound`, speak to dst at all? */
static int check_family(const struct bt_udp_sock *s, const struct bt_addr *dst,
			const struct bt_addr *bound, bool v6only)
{
	bool v4 = bt_addr_is_v4(dst);

	if (s->family == BT_V4)
		return v4 ? 0 : BERTH_EAFNOSUPPORT;
	if (v4 && s->type == BERTH_PING)
		return BERTH_EINVAL; /* ping_v6_sendmsg */
	if (v4 && (v6only || (!bt_addr_is_any(bound) && !bt_addr_is_v4(bound))))
		return BERTH_ENETUNREACH;
	if (!v4 && bt_addr_is_v4(bound))
		return BERTH_ENETUNREACH;
	return 0;
}

/* The interface by which the packet must leave, in *i. */
static int choose_if(const struct bt_udp *u, const struct bt_udp_sock *s, uint8_t dev,
		     const struct bt_addr *dst, berth_if scope, berth_if *i)
{
	berth_if bound = dev == 0 ? 0 : bt_ip_if_of_dev(u->ip, s->host, dev);

	*i = bound;
	if (*i == 0 && bt_ip_is_multicast(dst))
		*i = s->group_if;
	if (!is_link_local(dst))
		return 0;
	if (scope != 0 && bound != 0 && scope != bound)
		return BERTH_EINVAL;
	if (*i == 0)
		*i = scope != 0 ? scope : s->scope;
	return *i == 0 ? BERTH_EINVAL : 0; /* __ip6_datagram_connect */
}

static bool same_way(const struct bt_udp *u, const struct bt_udp_sock *s,
		     const struct bt_udp_to *to)
{
	return s->path.generation == bt_ip_generation(u->ip) && s->path_if == to->i &&
	       bt_addr_eq(&s->path_dst, &to->dst) && bt_addr_eq(&s->path_src, &to->src);
}

/* What was found may be old: an MTU was learnt since, or forgotten. */
uint32_t bt_udp_mtu(const struct bt_udp *u, const struct bt_udp_sock *s)
{
	struct bt_path path = {0};

	if (s->path.generation == bt_ip_generation(u->ip) ||
	    bt_ip_path(u->ip, s->host, &s->path_src, &s->path_dst, s->path_if, &path) < 0)
		return s->path.mtu;
	return path.mtu;
}

int bt_udp_way(struct bt_udp *u, struct bt_udp_sock *s, const struct berth_endpoint *end,
	       struct bt_udp_to *to)
{
	struct bt_port_info info;
	struct bt_addr bound;
	int r;

	if (!bt_port_get(u->ports, s->slot, &info))
		return BERTH_EBADF;
	bound = s->type == BERTH_PING ? s->laddr : info.laddr;
	*to = (struct bt_udp_to){.port = end->port};
	memcpy(to->dst.b, end->addr.b, sizeof(to->dst.b));
	r = check_family(s, &to->dst, &bound, info.opts & BT_V6ONLY);
	if (r < 0)
		return r;
	replace_any(&to->dst, &bound);
	r = choose_if(u, s, info.dev, &to->dst, end->scope, &to->i);
	if (r < 0)
		return r;
	to->src = bound;
	/* Bound to a group: a source must be an own address (ip_route_output_key). */
	if (bt_addr_is_any(&bound) || bt_ip_is_multicast(&bound) ||
	    bt_ip_is_broadcast(u->ip, s->host, &bound))
		r = bt_ip_source(u->ip, s->host, &to->dst, to->i, &to->src);
	if (r < 0)
		return r;
	if (!same_way(u, s, to)) {
		struct bt_path path = {0};

		r = bt_ip_path(u->ip, s->host, &to->src, &to->dst, to->i, &path);
		if (r < 0)
			return r;
		s->path = path;
		s->path_src = to->src;
		s->path_dst = to->dst;
		s->path_if = to->i;
	}
	/* RFC 1122 4.1.4: a program must have asked for broadcast. */
	return s->path.flags & BT_PATH_BROADCAST && !(s->flags & UF_BROADCAST) ? BERTH_EACCES : 0;
}

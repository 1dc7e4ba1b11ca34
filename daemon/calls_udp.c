/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sockets: where a datagram goes, and what is said of one that did not arrive. */
#include "calls.h"
#include "errors.h"
#include "filter.h"
#include "wire.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

int d_call_udp_connect(struct call *k)
{
	if (!(k->req->flags & BT_REQF_UNSPEC) && d_group_many(k))
		return d_group_connect(k);
	int r = d_take(k);
	if (r == 0 && d_is_ping(k))
		r = d_ping_connect(k->d, k->slot, k->req->flags & BT_REQF_UNSPEC ? NULL : &k->addr,
				   k->req->port);
	else if (r == 0 && k->req->flags & BT_REQF_UNSPEC)
		bt_net_disconnect(k->d->net, k->slot);
	else if (r == 0)
		r = bt_net_udp_connect(k->d->net, k->slot, k->addr, k->req->port, d_now(), &k->why);
	return d_finish(k, r);
}

/* A socket bound to the wildcard sends straight from its own name only while its source address is
 * the one that its row tells; the first destination settles which. */
static bool other_source(struct daemon *d, uint32_t slot, const struct bt_addr *src)
{
	struct bt_port_info i;
	struct bt_row *r = d_row(d, slot);
	if (!bt_port_get(bt_net_ports(d->net), slot, &i) || !bt_addr_is_any(&i.laddr))
		return false;
	const struct bt_net_host *h = bt_net_host(d->net, i.host);
	uint16_t n = 1;
	for (uint16_t a = 0; a < h->n_addrs; a++)
		if (bt_addr_eq(&h->addrs[a].addr, src))
			n = (uint16_t)(a + 1);
	if (r->backlog == 0) {
		d_row_begin(r);
		r->backlog = n;
		d_row_end(r);
	}
	return r->backlog != n;
}

static int udp_route(struct call *k, uint32_t *target, struct bt_addr *dst, struct bt_addr *src)
{
	int r = d_take(k);
	if (r == 0 && d_is_ping(k))
		r = -EPROTO;
	if (r == 0)
		r = bt_net_udp_route(k->d->net, k->slot, dst, k->req->port, d_now(), target, src,
				     &k->why);
	if (r == BT_NET_LOST)
		k->rep.flags |= BT_REPF_LOST;
	k->away = r == BT_NET_AWAY;
	r = r > 0 ? 0 : r;
	return d_finish(k, r);
}

/* Of a datagram whose way was found. True: it has to be a packet. tell: what the filters make of it
 * is counted, or told. */
static bool wired(struct call *k, const struct bt_addr *dst, const struct bt_addr *src,
		  uint32_t target, bool tell)
{
	struct d_passage p = {.from = k->c->host,
			      .to = bt_net_host_by_addr(k->d->net, dst),
			      .proto = BT_UDP,
			      .src = *src,
			      .dst = *dst,
			      .sport = k->rep.port,
			      .dport = k->req->port,
			      .nobody = target == BT_NO_SLOT && !k->away};
	bool on_link = k->away || d_wire_udp(k->d, k->slot, dst);
	if (k->d->n_filters == 0 || k->rep.flags & BT_REPF_LOST ||
	    (p.to == BT_NET_NO_HOST && !k->away))
		return on_link;
	p.to = k->away ? BT_NET_OUTSIDE : p.to;
	bool packets = on_link || !(tell ? d_filter_direct(k->d, &p) : d_filter_passes(k->d, &p));
	if (packets && tell)
		d_filter_tell(k, &p);
	return packets;
}

int d_call_udp_route(struct call *k)
{
	struct bt_addr src = {{0}}, dst = k->addr;
	uint32_t target;
	if (d_group_many(k))
		return d_group_route(k);
	/* Read first: a change made while we look must make the answer old, not young. */
	k->rep.value = k->d->table->udp_epoch[bt_epoch_bucket(k->req->port)];
	int r = udp_route(k, &target, &dst, &src);
	if (r < 0)
		return r;
	d_publish(k->d); /* autobind may have bumped the epoch of our own port */
	if (bt_epoch_bucket(k->rep.port) == bt_epoch_bucket(k->req->port))
		k->rep.value = k->d->table->udp_epoch[bt_epoch_bucket(k->req->port)];
	k->rep.target.slot = BT_SLOT_NONE;
	bool packets = wired(k, &dst, &src, target, true);
	if (k->away) { /* to nobody's name: berthd takes it */
		k->rep.target = d_ident(k->d, k->slot);
		k->rep.flags |= BT_REPF_RELAY;
		return 0;
	}
	if (target == BT_NO_SLOT && !(k->rep.flags & BT_REPF_LOST) &&
	    (packets || d_errors_wanted(k->d, k->slot, bt_addr_is_v4(&dst)))) {
		k->rep.flags |= BT_REPF_RELAY;
		return 0;
	}
	if (target == BT_NO_SLOT) {
		d_count(k->d, BT_CNT_UDP_NOPORT);
		return 0;
	}
	k->rep.target = d_ident(k->d, target);
	k->rep.flags |= d_row(k->d, target)->marks & BT_ROWM_PATH ? BT_REPF_TARGET_PATH : 0;
	if (other_source(k->d, k->slot, &src) || bt_net_flags(k->d->net, target) & BT_NETF_RELAY ||
	    packets)
		k->rep.flags |= BT_REPF_RELAY;
	return 0;
}

/* What ICMP would say of a datagram whose port nobody has (RFC 1122 4.1.3.1). */
static void no_port(struct call *k, const struct bt_addr *dst, const uint8_t *data, size_t len)
{
	bool v4 = bt_addr_is_v4(dst);
	/* Of the packet as much as ICMP quotes: 576 bytes (IPv4) or 1,280 with all headers. */
	size_t most = v4 ? 576 - 20 - 8 - 28 : 1280 - 40 - 8 - 48;
	struct bt_udp_error e = {.error = ECONNREFUSED,
				 .origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
				 .type = v4 ? 3 : 1,
				 .code = v4 ? 3 : 4,
				 .len = (uint32_t)(len < most ? len : most),
				 .port = k->req->port};
	memcpy(e.from, dst->b, 16);
	memcpy(e.dst, dst->b, 16);
	if (d_errors_wanted(k->d, k->slot, v4))
		d_errors_add(k->d, k->slot, &e, data, false);
}

int d_call_errqueue(struct call *k)
{
	static uint8_t extra[sizeof(struct bt_udp_error) + BT_ENGINE_QUOTE];
	if (!d_held(k))
		return -ESTALE;
	size_t n = d_errors_next(k->d, k->slot, extra, sizeof(extra));
	k->rep_extra = extra;
	k->rep.extra = (uint32_t)n;
	return n > 0 ? 0 : -EAGAIN;
}

/* How it goes out. */
static void choose(const struct call *k, struct d_from *from)
{
	uint32_t value = k->req->value;
	const struct bt_row *r = d_row(k->d, k->slot);
	from->hops = value & BT_SEND_TTL ? (uint8_t)(64 - value) : r->hops;
	from->tos = value & BT_SEND_TOS ? (uint8_t)(value >> 8) : r->tos;
}

static int ping(struct call *k, struct d_from *from, const uint8_t *data, size_t len)
{
	int waited = d_errors_take(k->slot);
	if (waited != 0)
		return -waited;
	choose(k, from);
	return d_ping_send(k->d, k->slot, from, data, len);
}

int d_call_udp_send(struct call *k)
{
	struct d_from from = {.dst = k->addr, .host = k->c->host};
	uint32_t target, before = 0;
	k->silent = !(k->req->flags & BT_REQF_SYNC);
	if (k->req->flags & BT_REQF_SOURCE) {
		before = sizeof(from.src);
		int e = k->req->extra < before ? -EPROTO
					       : d_udp_source(k->d, from.host, k->extra, &from.src);
		if (e < 0)
			return e;
	}
	if (k->req->id.slot != BT_SLOT_NONE && d_held(k) && d_is_ping(k))
		return ping(k, &from, k->extra + before, k->req->extra - before);
	if (k->req->extra - before > 65527)
		return -EMSGSIZE;
	if (d_group_many(k))
		return d_group_send(k, &from.src, k->extra + before, k->req->extra - before);
	int r = udp_route(k, &target, &from.dst, &from.src);
	if (r < 0)
		return r;
	bool packets =
		!(k->rep.flags & BT_REPF_LOST) && wired(k, &from.dst, &from.src, target, false);
	int waited = d_errors_take(k->slot);
	if (waited != 0) {
		k->rep.flags |= BT_REPF_WIRE;
		return -waited;
	}
	if (target == BT_NO_SLOT && !packets) {
		d_count(k->d, BT_CNT_UDP_NOPORT);
		if (!(k->rep.flags & BT_REPF_LOST))
			no_port(k, &from.dst, k->extra + before, k->req->extra - before);
		return -ECONNREFUSED;
	}
	d_count(k->d, BT_CNT_UDP_RELAYED);
	from.port = k->rep.port;
	choose(k, &from);
	if (packets)
		return d_wire_udp_send(k->d, k->slot, target, &from, k->req->port,
				       k->extra + before, k->req->extra - before);
	d_relay(k->d, target, &from, k->extra + before, k->req->extra - before);
	return 0;
}

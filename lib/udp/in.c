/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that arrive, what ICMP says of those that left, and reading. */
#include "../wire/udp.h"
#include "internal.h"

/* Bounded by SO_RCVBUF, as in Linux: one datagram always fits into an empty queue. */
void bt_udp_deliver(struct bt_udp *u, struct bt_udp_sock *s, const struct bt_rx *rx, uint16_t sport,
		    uint16_t dport)
{
	struct bt_dgram d = {.src = rx->src,
			     .dst = rx->dst,
			     .len = rx->len,
			     .sport = sport,
			     .dport = dport,
			     .host = rx->host,
			     .i = rx->i,
			     .hops = rx->hops,
			     .tos = rx->tos};
	uint32_t room = bt_dgram_room(rx->len);

	if (s->flags & UF_SHUT_RD)
		return;
	if (s->unread > 0 && (room > s->rcvbuf || s->unread > s->rcvbuf - room)) {
		bt_ip_drop(u->ip, rx->host, BERTH_DROP_UDP_FULL);
		return;
	}
	if (!bt_bytes_reserve(&s->rx, u->chunks, s->unread + room)) {
		bt_ip_drop(u->ip, rx->host, BERTH_DROP_NO_MEMORY);
		return;
	}
	bt_bytes_write(&s->rx, s->unread, &d, sizeof(d));
	bt_bytes_write(&s->rx, s->unread + (uint32_t)sizeof(d), rx->data, rx->len);
	s->unread += room;
	bt_udp_news(u, s, BERTH_READABLE);
}

/* RFC 1122 4.1.3.4 MUST, RFC 8200 8.1. */
static bool checksum_ok(const struct bt_rx *rx, const struct bt_udp_head *h)
{
	uint64_t sum;

	if (rx->checked || !h->checksum)
		return true;
	sum = bt_csum_pseudo(&rx->src, &rx->dst, BERTH_UDP, h->len);
	return bt_csum_ok(bt_csum_add(sum, rx->data, h->len));
}

/* RFC 1112 7.2: every socket that has the port gets a copy. Nobody is told that there is none
 * (RFC 1122 3.2.2.1). */
static void deliver_to_all(struct bt_udp *u, const struct bt_rx *rx, const struct bt_udp_head *h)
{
	uint32_t slot = BT_NO_SLOT;
	bool any = false;

	for (;;) {
		struct bt_udp_sock *s;

		slot = bt_port_lookup_next(u->ports, rx->host, &rx->dst, h->dport, &rx->src,
					   h->sport, rx->dev, slot);
		if (slot == BT_NO_SLOT)
			break;
		s = bt_udp_find(u, slot);
		if (s == NULL)
			continue;
		any = true;
		bt_udp_deliver(u, s, rx, h->sport, h->dport);
	}
	if (!any)
		bt_ip_drop(u->ip, rx->host, BERTH_DROP_UDP_NO_PORT);
}

void bt_udp_input(struct bt_udp *u, const struct bt_rx *rx, uint64_t now_ns)
{
	enum bt_family family = bt_addr_is_v4(&rx->dst) ? BT_V4 : BT_V6;
	struct bt_rx payload = *rx;
	struct bt_udp_sock *s;
	struct bt_udp_head h;
	enum bt_udp_bad bad;

	if (rx->proto != BERTH_UDP) {
		bt_ping_input(u, rx);
		return;
	}
	bad = bt_udp_read(rx->data, rx->len, family, &h);
	if (bad == BT_UDP_LENGTH) {
		bt_ip_drop(u->ip, rx->host, BERTH_DROP_UDP_MALFORMED);
		return;
	}
	if (bad == BT_UDP_NO_CHECKSUM || !checksum_ok(rx, &h)) {
		bt_ip_drop(u->ip, rx->host, BERTH_DROP_UDP_CHECKSUM);
		return;
	}
	payload.data = rx->data + BT_UDP_HEADER;
	payload.len = h.len - BT_UDP_HEADER;
	if (rx->multicast) {
		deliver_to_all(u, &payload, &h);
		return;
	}
	s = bt_udp_find(u, bt_port_lookup(u->ports, rx->host, BT_UDP, &rx->dst, h.dport, &rx->src,
					  h.sport, rx->dev));
	if (s != NULL) {
		bt_udp_deliver(u, s, &payload, h.sport, h.dport);
		return;
	}
	/* RFC 1122 4.1.3.1 */
	bt_ip_drop(u->ip, rx->host, BERTH_DROP_UDP_NO_PORT);
	bt_ip_port_unreachable(u->ip, rx, now_ns);
}

/* Errors that end a connected socket's hope: icmp_err_convert, icmpv6_err_convert. */
bool bt_udp_icmp_hard(const struct bt_icmp_error *e)
{
	bool v4 = bt_addr_is_v4(&e->src);

	if (e->local)
		return false;
	if (v4)
		return e->type == 12 || (e->type == 3 && e->code != 0 && e->code != 1 &&
					 e->code != 5 && e->code != 11 && e->code != 12);
	return e->type == 4 || (e->type == 1 && e->code != 0 && e->code != 2 && e->code != 3);
}

/* __udp4_lib_err, __udp6_lib_err, ping_err */
void bt_udp_sock_icmp(struct bt_udp *u, struct bt_udp_sock *s, const struct bt_icmp_error *e)
{
	bool hard = bt_udp_icmp_hard(e);

	if (e->error == BERTH_EMSGSIZE) {
		if (s->mtu_discover == 0) /* IP_PMTUDISC_DONT */
			return;
		hard = true;
	}
	if (!(s->flags & UF_RECVERR) && (!hard || !(s->flags & UF_CONNECTED)))
		return;
	bt_udp_fail(u, s, e->error);
}

bool bt_udp_icmp(struct bt_udp *u, const struct bt_icmp_error *e, uint32_t *slot)
{
	struct bt_udp_sock *s;
	struct bt_path path;
	struct bt_if_info info = {.dev = 1};

	*slot = BT_NO_SLOT;
	if (e->len < 8)
		return false;
	/* The interface that such a packet leaves by: one of the socket's device, if it has one. */
	if (bt_ip_path(u->ip, e->host, &e->src, &e->dst, 0, &path) == 0)
		(void)bt_ip_if_get(u->ip, path.i, &info);
	if (e->proto == BERTH_UDP)
		s = bt_udp_find(u, bt_port_lookup(u->ports, e->host, BT_UDP, &e->src,
						  bt_get16(e->quoted), &e->dst,
						  bt_get16(e->quoted + 2), info.dev));
	else
		s = bt_ping_find(u, e->host, bt_addr_is_v4(&e->src), bt_get16(e->quoted + 4),
				 &e->src, path.i);
	if (s == NULL)
		return false;
	*slot = s->slot;
	bt_udp_sock_icmp(u, s, e);
	/* IP_PMTUDISC_DONT, INTERFACE and OMIT believe no router (ip_sk_accept_pmtu). */
	return s->mtu_discover >= 1 && s->mtu_discover <= 3;
}

static void fill_info(const struct bt_dgram *d, struct berth_datagram *info, size_t len)
{
	*info = (struct berth_datagram){.from = {.port = d->sport, .scope = 0},
					.to = {.port = d->dport},
					.i = d->i,
					.hops = d->hops,
					.tos = d->tos,
					.truncated = d->len > len};
	memcpy(info->from.addr.b, d->src.b, 16);
	memcpy(info->to.addr.b, d->dst.b, 16);
	if (d->src.b[0] == 0xfe && (d->src.b[1] & 0xc0) == 0x80)
		info->from.scope = d->i;
	if (d->dst.b[0] == 0xfe && (d->dst.b[1] & 0xc0) == 0x80)
		info->to.scope = d->i;
}

int64_t bt_udp_recv(struct bt_udp *u, uint32_t slot, void *data, size_t len,
		    struct berth_datagram *info, unsigned flags)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct bt_dgram d;
	uint32_t n;

	if (s->error != 0)
		return bt_udp_error_take(u, slot);
	if (s->unread == 0)
		return s->flags & UF_SHUT_RD ? 0 : BERTH_EAGAIN;
	bt_bytes_read(&s->rx, 0, &d, sizeof(d));
	n = d.len < len ? d.len : (uint32_t)len;
	if (n > 0)
		bt_bytes_read(&s->rx, sizeof(d), data, n);
	if (info != NULL)
		fill_info(&d, info, len);
	if (flags & BERTH_PEEK)
		return n;
	s->unread -= bt_dgram_room(d.len);
	bt_bytes_drop(&s->rx, u->chunks, bt_dgram_room(d.len));
	if (s->unread == 0)
		bt_bytes_clear(&s->rx, u->chunks);
	return n;
}

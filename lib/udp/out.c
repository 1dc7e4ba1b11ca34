/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that leave. */
#include "../base/checksum.h"
#include "../wire/icmp.h"
#include "../wire/udp.h"
#include "internal.h"

/* IP_PMTUDISC_*, ip(7) */
enum { PMTU_DONT, PMTU_WANT, PMTU_DO, PMTU_PROBE, PMTU_INTERFACE, PMTU_OMIT };

static uint32_t interface_mtu(const struct bt_udp *u, const struct bt_udp_sock *s)
{
	struct bt_if_info info;

	return bt_ip_if_get(u->ip, s->path.i, &info) ? info.mtu : s->path.mtu;
}

/* Whether a packet of so many bytes may go, and with DF (ip_append_data, __ip_make_skb). */
static int check_size(const struct bt_udp *u, const struct bt_udp_sock *s, bool v4, size_t len,
		      bool *no_fragment)
{
	size_t total = (v4 ? 20u : 40u) + len, path = s->path.mtu;
	uint8_t how = s->mtu_discover;

	if (total > (v4 ? 65535u : 65535u + 40u))
		return BERTH_EMSGSIZE;
	if (how == PMTU_DO && total > path)
		return BERTH_EMSGSIZE;
	if ((how == PMTU_PROBE || how == PMTU_INTERFACE) && total > interface_mtu(u, s))
		return BERTH_EMSGSIZE;
	*no_fragment = how == PMTU_DO || how == PMTU_PROBE || (how == PMTU_WANT && total <= path);
	if (s->path.flags & BT_PATH_NO_DF)
		*no_fragment = false;
	return 0;
}

/* ---- the headers ---- */

static void udp_header(const struct bt_dgram *d, struct bt_tx *tx, uint32_t path_flags)
{
	uint8_t *h = tx->out->header + tx->header_at;
	struct bt_udp_head head = {
		.sport = d->sport, .dport = d->dport, .len = (uint16_t)(BT_UDP_HEADER + d->len)};
	uint64_t sum = bt_csum_pseudo(&d->src, &d->dst, BERTH_UDP, head.len);

	bt_udp_write(h, &head);
	if (path_flags & BERTH_IF_TX_CHECKSUM) {
		uint16_t c = (uint16_t)~bt_csum_fold(sum);

		memcpy(h + 6, &c, sizeof(c));
		tx->no_checksum = true;
		tx->checksum_at = 6;
		return;
	}
	bt_udp_csum_put(h + 6, bt_csum_parts(bt_csum_add(sum, h, BT_UDP_HEADER), tx->out->iov + 1,
					     tx->out->n_iov - 1u));
}

/* The program's own header, with the socket's identifier: it is the first part of the payload. */
static void ping_header(const struct bt_dgram *d, struct bt_tx *tx)
{
	uint8_t *h = tx->out->header + tx->header_at;
	uint64_t sum = 0;

	bt_put16(h + 2, 0);
	bt_put16(h + 4, d->sport);
	if (d->proto == BT_PROTO_ICMPV6)
		sum = bt_csum_pseudo(&d->src, &d->dst, BT_PROTO_ICMPV6, d->len);
	bt_csum_put(h + 2, bt_csum_parts(bt_csum_add(sum, h, BT_ICMP_HEADER), tx->out->iov + 1,
					 tx->out->n_iov - 1u));
}

/* Gives the datagram, whose payload the parts from 1 on of out are, to IP. An ICMP header is in
 * out->header already. */
static int give(struct bt_udp *u, const struct bt_dgram *d, struct bt_path *path,
		struct berth_output *out, uint64_t now_ns)
{
	struct bt_tx tx = {.host = d->host,
			   .proto = d->proto,
			   .tos = d->tos,
			   .hops = d->hops,
			   .no_fragment = d->no_fragment,
			   .no_loop = d->no_loop,
			   .src = d->src,
			   .dst = d->dst,
			   .path = path,
			   .out = out,
			   .header_at = BT_TX_HEADER_AT,
			   .header_len = BT_UDP_HEADER,
			   .payload_len = d->len};

	if (d->proto == BERTH_UDP) {
		udp_header(d, &tx, path->flags);
	} else {
		tx.payload_len = d->len - BT_ICMP_HEADER;
		ping_header(d, &tx);
	}
	return bt_ip_output(u->ip, &tx, now_ns);
}

/* ---- the queue ---- */

static void count_sent(struct bt_udp *u, const struct bt_dgram *d)
{
	struct bt_udp_sock *s = bt_udp_find(u, d->slot);

	if (s == NULL || s->serial != d->serial)
		return;
	s->unsent -= bt_dgram_room(d->len);
	if (s->flags & UF_NO_ROOM && s->unsent <= s->sndbuf / 2) {
		s->flags &= (uint16_t)~UF_NO_ROOM;
		bt_udp_news(u, s, BERTH_WRITABLE);
	}
}

/* The way of a datagram that has waited: the socket's, or one of its own. */
static struct bt_path *way_of(struct bt_udp *u, const struct bt_dgram *d, struct bt_path *own)
{
	struct bt_udp_sock *s = bt_udp_find(u, d->slot);

	if (s != NULL && s->serial == d->serial && s->path_if == d->i &&
	    s->path.generation == bt_ip_generation(u->ip) && bt_addr_eq(&s->path_dst, &d->dst) &&
	    bt_addr_eq(&s->path_src, &d->src))
		return &s->path;
	if (bt_ip_path(u->ip, d->host, &d->src, &d->dst, d->i, own) == 0)
		return own;
	bt_ip_drop(u->ip, d->host, BERTH_DROP_IP_NO_ROUTE);
	return NULL;
}

/* Apart, so that asking where nothing waits, as before nearly every segment, costs no stack. */
static __attribute__((noinline)) bool output_waiting(struct bt_udp *u, struct berth_output *out,
						     uint64_t now_ns)
{
	while (u->tx_begin < u->tx_end) {
		uint32_t at = u->tx_begin + (uint32_t)sizeof(struct bt_dgram), len, skip = 0;
		struct bt_path own = {0}, *path;
		struct bt_dgram d;

		bt_bytes_read(&u->tx, u->tx_begin, &d, sizeof(d));
		u->tx_begin += bt_dgram_room(d.len);
		count_sent(u, &d);
		path = way_of(u, &d, &own);
		if (path == NULL)
			continue;
		if (d.proto != BERTH_UDP) {
			skip = BT_ICMP_HEADER;
			bt_bytes_read(&u->tx, at, out->header + BT_TX_HEADER_AT, skip);
		}
		len = d.len - skip;
		out->n_iov = 1;
		if (len > 0)
			out->n_iov += (uint16_t)bt_bytes_parts(&u->tx, at + skip, len, out->iov + 1,
							       BERTH_OUTPUT_IOV - 1);
		if (give(u, &d, path, out, now_ns) == BT_IP_READY)
			return true;
	}
	return false;
}

bool bt_udp_output(struct bt_udp *u, struct berth_output *out, uint64_t now_ns)
{
	return u->tx_begin < u->tx_end && output_waiting(u, out, now_ns);
}

void bt_udp_reap(struct bt_udp *u)
{
	if (u->tx_begin == 0)
		return;
	bt_bytes_drop(&u->tx, u->chunks, u->tx_begin);
	u->tx_end -= u->tx_begin;
	u->tx_begin = 0;
	if (u->tx_end == 0)
		bt_bytes_clear(&u->tx, u->chunks);
}

/* Behind what waits already. BERTH_EAGAIN: SO_SNDBUF; one datagram always goes. */
static int enqueue(struct bt_udp *u, struct bt_udp_sock *s, const struct bt_dgram *d,
		   const void *data)
{
	uint32_t room = bt_dgram_room(d->len);

	if (s->unsent > 0 && (room > s->sndbuf || s->unsent > s->sndbuf - room)) {
		s->flags |= UF_NO_ROOM;
		return BERTH_EAGAIN;
	}
	if (u->tx_end > BT_BYTES_MAX - room ||
	    !bt_bytes_reserve(&u->tx, u->chunks, u->tx_end + room))
		return BERTH_ENOBUFS;
	bt_bytes_write(&u->tx, u->tx_end, d, sizeof(*d));
	bt_bytes_write(&u->tx, u->tx_end + (uint32_t)sizeof(*d), data, d->len);
	u->tx_end += room;
	s->unsent += room;
	return 0;
}

/* To the own host: IP copies it, and nothing waits here. */
static int send_now(struct bt_udp *u, struct bt_udp_sock *s, const struct bt_dgram *d,
		    const void *data, uint64_t now_ns)
{
	uint32_t skip = d->proto == BERTH_UDP ? 0 : BT_ICMP_HEADER;
	struct berth_output out;

	out.n_iov = d->len > skip ? 2 : 1;
	out.iov[1].iov_base = (char *)(uintptr_t)data + skip; /* only read */
	out.iov[1].iov_len = d->len - skip;
	if (skip > 0)
		memcpy(out.header + BT_TX_HEADER_AT, data, skip);
	return give(u, d, &s->path, &out, now_ns);
}

/* ping_v4_sendmsg, ping_v6_sendmsg: only echo requests, whole. */
static bool is_echo(const uint8_t *data, size_t len, bool v4)
{
	return len >= BT_ICMP_HEADER && data[0] == (v4 ? 8 : 128) && data[1] == 0;
}

static int autobind(struct bt_udp *u, struct bt_udp_sock *s, uint64_t now_ns)
{
	if (s->type == BERTH_UDP)
		return bt_port_autobind(u->ports, s->slot, now_ns, NULL);
	return s->id != 0 ? 0 : bt_ping_bind(u, s, 0);
}

/* Where to, in *end: what the program says, or the connected peer. */
static int destination(struct bt_udp *u, struct bt_udp_sock *s, const struct berth_endpoint *to,
		       struct berth_endpoint *end)
{
	struct berth_endpoint local;
	bool connected;

	if (to != NULL) {
		*end = *to;
		return to->port == 0 && s->type == BERTH_UDP ? BERTH_EINVAL : 0;
	}
	if (!(s->flags & UF_CONNECTED))
		return BERTH_EDESTADDRREQ;
	bt_udp_name(u, s->slot, &local, end, &connected);
	return 0;
}

static int prepare(struct bt_udp *u, struct bt_udp_sock *s, const void *data, size_t len,
		   const struct berth_endpoint *end, struct bt_udp_to *way, struct bt_dgram *d,
		   uint64_t now_ns)
{
	bool v4, group;
	int r;

	r = bt_udp_way(u, s, end, way);
	if (r < 0)
		return r;
	v4 = bt_addr_is_v4(&way->dst);
	if (s->type == BERTH_PING && !is_echo(data, len, v4))
		return BERTH_EINVAL;
	group = bt_ip_is_multicast(&way->dst);
	*d = (struct bt_dgram){.src = way->src,
			       .dst = way->dst,
			       .serial = s->serial,
			       .slot = s->slot,
			       .len = (uint32_t)len,
			       .dport = way->port,
			       .host = s->host,
			       .i = way->i,
			       .proto = v4 ? BT_PROTO_ICMP : BT_PROTO_ICMPV6,
			       .hops = group ? s->group_hops : s->hops,
			       .tos = s->tos,
			       .no_loop = s->flags & UF_NO_LOOP};
	if (s->type == BERTH_UDP)
		d->proto = BERTH_UDP;
	r = check_size(u, s, v4, len + (s->type == BERTH_UDP ? BT_UDP_HEADER : 0), &d->no_fragment);
	return r < 0 ? r : autobind(u, s, now_ns);
}

/* Whether the host's filter lets it out is told at once (ip_local_out), though it is asked again
 * when the datagram goes. */
static bool forbidden(struct bt_udp *u, const struct bt_dgram *d, const void *data)
{
	uint8_t header[BT_ICMP_HEADER];

	if (!bt_ip_has_filter(u->ip, d->host))
		return false;
	if (d->proto == BERTH_UDP) {
		bt_put16(header, d->sport);
		bt_put16(header + 2, d->dport);
	} else {
		memcpy(header, data, sizeof(header));
		bt_put16(header + 4, d->sport);
	}
	return bt_ip_forbids(u->ip, d->host, d->proto, &d->src, &d->dst, header, sizeof(header));
}

int64_t bt_udp_send(struct bt_udp *u, uint32_t slot, const void *data, size_t len,
		    const struct berth_endpoint *to, uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct berth_endpoint end, local;
	struct bt_udp_to way;
	struct bt_dgram d;
	bool connected;
	int r;

	if (s->error != 0)
		return bt_udp_error_take(u, slot);
	if (s->flags & UF_SHUT_WR)
		return BERTH_EPIPE;
	if (len > 65535)
		return BERTH_EMSGSIZE;
	r = destination(u, s, to, &end);
	if (r == 0)
		r = prepare(u, s, data, len, &end, &way, &d, now_ns);
	if (r < 0)
		return r;
	bt_udp_name(u, slot, &local, &end, &connected);
	d.sport = local.port;
	if (s->path.flags & BT_PATH_LOOP) {
		r = send_now(u, s, &d, data, now_ns);
	} else {
		bool no = forbidden(u, &d, data);

		r = enqueue(u, s, &d, data);
		r = r == 0 && no ? BERTH_EPERM : r;
	}
	return r < 0 ? r : (int64_t)len;
}

int64_t bt_udp_send_from(struct bt_udp *u, uint32_t slot, const struct bt_addr *src,
			 const void *data, size_t len, const struct berth_endpoint *to,
			 uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct bt_addr bound = s->laddr;
	int64_t r;

	bt_assert(s->type == BERTH_PING);
	s->laddr = *src;
	r = bt_udp_send(u, slot, data, len, to, now_ns);
	s->laddr = bound;
	return r;
}

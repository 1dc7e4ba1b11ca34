/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out. bt_ip_output writes the headers of a transport's packet in place where that is all there is
 * to do: a known neighbour, a packet that fits. All else is copied once and goes the way of IP's
 * own packets: bt_ip_send (header, checksum, pieces), bt_ip_transmit (neighbour), bt_ip_enqueue.
 */
#include "internal.h"

#define DEFAULT_HOPS 64
#define DF	     0x4000

/* ---- the queue of what is ready ---- */

void bt_ip_enqueue(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p)
{
	p->i = f->i;
	bt_pkts_add(&ip->out, p);
}

bool bt_ip_pop(struct bt_ip *ip, struct berth_output *out)
{
	struct bt_pkt *p;

	while ((p = bt_pkts_take(&ip->out)) != NULL) {
		uint32_t head = p->len < BERTH_OUTPUT_HEADER ? p->len : BERTH_OUTPUT_HEADER;

		if ((ip->ifs[p->i]->flags & BERTH_IF_DOWN) != 0) {
			bt_ip_drop(ip, p->host, BERTH_DROP_IF_DOWN);
			bt_pkt_put(ip, p);
			continue;
		}
		out->i = p->i;
		out->len = p->len;
		out->segment = p->segment;
		out->checksum = p->checksum == 0 ? 0 : (uint16_t)(p->checksum - p->at);
		memcpy(out->header, bt_pkt_data(p), head);
		out->iov[0] = (struct iovec){out->header, head};
		out->n_iov = 1;
		if (head == p->len) {
			bt_pkt_put(ip, p);
			return true;
		}
		out->iov[1] = (struct iovec){bt_pkt_data(p) + head, p->len - head};
		out->n_iov = 2;
		bt_pkts_add(&ip->lent, p);
		return true;
	}
	return false;
}

void bt_ip_loop(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p)
{
	p->i = f->i;
	bt_pkts_add(&ip->loop, p);
}

/* ---- to a neighbour ---- */

static void group_header(struct bt_iface *f, struct bt_pkt *p, const struct bt_mac *dst, bool v4)
{
	struct bt_ether e = {.dst = *dst, .type = v4 ? BT_ETHER_IPV4 : BT_ETHER_IPV6};

	memcpy(e.src.b, f->mac, sizeof(e.src.b));
	bt_ether_write(bt_pkt_push(p, BT_ETHER_HEADER), &e);
}

void bt_ip_transmit(struct bt_ip *ip, struct bt_iface *f, struct bt_pkt *p,
		    const struct bt_addr *src, const struct bt_addr *to, uint64_t now_ns)
{
	bool v4 = bt_addr_is_v4(to);
	struct bt_neigh *n;
	struct bt_mac mac;
	berth_if own;

	if ((f->flags & BERTH_IF_DOWN) != 0) {
		bt_ip_drop(ip, p->host, BERTH_DROP_IF_DOWN);
		bt_pkt_put(ip, p);
		return;
	}
	if ((f->flags & BERTH_IF_ETHERNET) == 0) {
		bt_ip_enqueue(ip, f, p);
		return;
	}
	if (bt_ip_is_multicast(to) || bt_addr_kind(ip, f->host, to, &own) == BT_ADDR_BROADCAST) {
		mac = bt_ip_is_multicast(to) ? bt_mac_of_group(to) : bt_mac_broadcast();
		group_header(f, p, &mac, v4);
		bt_ip_enqueue(ip, f, p);
		return;
	}
	n = bt_neigh_get(ip, f, to, now_ns);
	if (n == NULL) {
		bt_ip_drop(ip, p->host, BERTH_DROP_NO_MEMORY);
		bt_pkt_put(ip, p);
	} else if (bt_neigh_use(ip, n, now_ns)) {
		memcpy(bt_pkt_push(p, BT_ETHER_HEADER), n->header, BT_ETHER_HEADER);
		bt_ip_enqueue(ip, f, p);
	} else {
		bt_neigh_wait(ip, n, p, src, now_ns);
	}
}

/* ---- a copy ---- */

void bt_checksum_finish(uint8_t *data, uint32_t len, uint8_t checksum_at, uint8_t proto,
			const struct bt_addr *src, const struct bt_addr *dst)
{
	bt_assert(checksum_at + 2u <= len);
	bt_put16(data + checksum_at, 0);
	bt_csum_put(data + checksum_at,
		    bt_csum_add(bt_csum_pseudo(src, dst, proto, len), data, len));
	if (proto == BT_IPPROTO_UDP && bt_get16(data + checksum_at) == 0) /* RFC 768 */
		bt_put16(data + checksum_at, 0xffff);
}

/* The packets that it becomes where it is cut (RFC 6864 4: each has a number of its own). */
static uint32_t segments(uint32_t ip_len, uint16_t segment)
{
	return segment == 0 ? 1 : ip_len / segment + 1;
}

static void write_header(struct bt_ip *ip, struct bt_pkt *p, const struct bt_send *s,
			 const struct bt_path *path)
{
	uint8_t hops = s->hops != 0 ? s->hops : DEFAULT_HOPS;
	struct bt_ipv4 h = {.tos = s->tos, .ttl = hops, .proto = s->proto, .router_alert = true};
	bool df = s->no_fragment && (path->flags & BT_PATH_NO_DF) == 0;
	uint8_t *to;

	if (!bt_addr_is_v4(&s->dst)) {
		uint8_t next = s->proto;

		if (s->router_alert) {
			bt_ipv6_router_alert_write(bt_pkt_push(p, BT_IPV6_ROUTER_ALERT), next);
			next = BT_IPPROTO_HOPOPTS;
		}
		to = bt_pkt_push(p, BT_IPV6_HEADER);
		bt_ip6_write(to, s->tos, 0, p->len - BT_IPV6_HEADER, next, hops, &s->src, &s->dst);
		return;
	}
	/* RFC 6864 4.1: of what cannot be fragmented the identification says nothing */
	h.id = df ? 0
		  : (uint16_t)bt_ip_next_id(ip, &s->src, &s->dst, s->proto,
					    segments(p->len, s->segment));
	if (s->router_alert) {
		h.total_len = (uint16_t)(p->len + 24);
		h.df = df;
		h.src = s->src;
		h.dst = s->dst;
		bt_ipv4_write(bt_pkt_push(p, 24), &h);
		return;
	}
	to = bt_pkt_push(p, BT_IPV4_HEADER);
	bt_ip4_write(to, s->tos, p->len, h.id, df ? DF : 0, hops, s->proto, &s->src, &s->dst);
}

static int refuse(struct bt_ip *ip, struct bt_pkt *p, enum berth_drop reason, int error)
{
	bt_ip_drop(ip, p->host, reason);
	bt_pkt_put(ip, p);
	return error;
}

/* What IP sends by itself: nobody hears that it was filtered. */
static bool own_filtered(struct bt_ip *ip, struct bt_pkt *p, const struct bt_send *s,
			 uint32_t header)
{
	const struct bt_ip_part t = {.host = s->host,
				     .dir = BT_FILTER_OUT,
				     .proto = s->proto,
				     .src = &s->src,
				     .dst = &s->dst,
				     .data = bt_pkt_data(p),
				     .len = p->len,
				     .ip_len = p->len + header};

	return bt_ip_judge(ip, &t, false) != BT_FILTER_ACCEPT;
}

/* The host hears what it says to a group that it has joined, or to all. */
static void loop_copy(struct bt_ip *ip, struct bt_iface *f, const struct bt_pkt *p)
{
	struct bt_pkt *q = bt_pkt_get(ip, p->host, p->len);

	if (q == NULL) {
		bt_ip_drop(ip, p->host, BERTH_DROP_IP_QUEUE);
		return;
	}
	q->len = p->len;
	memcpy(bt_pkt_data(q), p->buf + p->at, p->len);
	bt_ip_loop(ip, f, q);
}

int bt_ip_send(struct bt_ip *ip, struct bt_pkt *p, const struct bt_send *s, uint64_t now_ns)
{
	bool v4 = bt_addr_is_v4(&s->dst), big;
	uint32_t header = v4 ? BT_IPV4_HEADER : BT_IPV6_HEADER;
	const struct bt_path *path = s->path;
	const struct bt_addr *hop = &s->dst;
	struct bt_path found;
	struct bt_iface *f;

	ip->now_ns = now_ns;
	if (path == NULL) {
		int r = bt_ip_path(ip, s->host, &s->src, &s->dst, s->i, &found);

		if (r < 0)
			return refuse(ip, p, BERTH_DROP_IP_NO_ROUTE, r);
		path = &found;
	}
	f = ip->ifs[path->i];
	if (!s->judged && (path->flags & BT_PATH_LOOP) == 0 && bt_has_filter(ip, s->host) &&
	    own_filtered(ip, p, s, header)) {
		bt_pkt_put(ip, p);
		return BERTH_EPERM;
	}
	if (p->len + header > BT_IP_MAX)
		return refuse(ip, p, BERTH_DROP_IP_TOO_BIG, BERTH_EMSGSIZE);
	big = p->len + header > path->mtu && s->segment == 0;
	if (big && s->no_fragment && (path->flags & BT_PATH_NO_DF) == 0)
		return refuse(ip, p, BERTH_DROP_IP_TOO_BIG, BERTH_EMSGSIZE);
	if (s->no_checksum && (big || (path->flags & BERTH_IF_TX_CHECKSUM) == 0))
		bt_checksum_finish(bt_pkt_data(p), p->len, s->checksum_at, s->proto, &s->src,
				   &s->dst);
	else if (s->no_checksum)
		p->checksum = (uint16_t)p->at;
	p->segment = s->segment;
	write_header(ip, p, s, path);
	if ((path->flags & BT_PATH_LOOP) != 0) {
		bt_ip_loop(ip, f, p);
		return BT_IP_TAKEN;
	}
	if ((path->flags & BT_PATH_BROADCAST) != 0 ||
	    ((path->flags & BT_PATH_MULTICAST) != 0 && !s->no_loop && bt_group_joined(f, &s->dst)))
		loop_copy(ip, f, p);
	if (path->neighbour != 0)
		hop = &ip->neighs[path->neighbour]->addr;
	if (f->lo)
		bt_pkt_put(ip, p); /* a group on lo is the host alone */
	else if (big)
		return (v4 ? bt_ip_fragment4 : bt_ip_fragment6)(ip, f, p, path->mtu, &s->src, hop,
								now_ns);
	else
		bt_ip_transmit(ip, f, p, &s->src, hop, now_ns);
	return BT_IP_TAKEN;
}

/* ---- a transport's packet ---- */

static struct bt_send as_send(const struct bt_tx *tx, const struct bt_path *path)
{
	return (struct bt_send){.host = tx->host,
				.proto = tx->proto,
				.tos = tx->tos,
				.hops = tx->hops,
				.no_fragment = tx->no_fragment,
				.no_checksum = tx->no_checksum,
				.no_loop = tx->no_loop,
				.checksum_at = tx->checksum_at,
				.segment = tx->segment,
				.src = tx->src,
				.dst = tx->dst,
				.judged = true,
				.path = path};
}

/* NULL: *error says why, and it is counted. */
static struct bt_pkt *copy_of(struct bt_ip *ip, const struct bt_tx *tx, int *error)
{
	const struct berth_output *out = tx->out;
	struct bt_pkt *p;
	uint8_t *to;

	if (tx->header_len + tx->payload_len > BT_IP_MAX) {
		bt_ip_drop(ip, tx->host, BERTH_DROP_IP_TOO_BIG);
		*error = BERTH_EMSGSIZE;
		return NULL;
	}
	p = bt_pkt_get(ip, tx->host, tx->header_len + tx->payload_len);
	if (p == NULL) {
		bt_ip_drop(ip, tx->host, BERTH_DROP_IP_QUEUE);
		*error = BERTH_ENOBUFS;
		return NULL;
	}
	p->len = tx->header_len + tx->payload_len;
	to = bt_pkt_data(p);
	memcpy(to, out->header + tx->header_at, tx->header_len);
	to += tx->header_len;
	for (unsigned n = 1; n < out->n_iov; n++) {
		memcpy(to, out->iov[n].iov_base, out->iov[n].iov_len);
		to += out->iov[n].iov_len;
	}
	bt_assert(to == bt_pkt_data(p) + p->len);
	return p;
}

static int send_copy(struct bt_ip *ip, const struct bt_tx *tx, const struct bt_path *path,
		     uint64_t now_ns)
{
	struct bt_send s = as_send(tx, path);
	int error = 0;
	struct bt_pkt *p = copy_of(ip, tx, &error);

	return p == NULL ? error : bt_ip_send(ip, p, &s, now_ns);
}

/* ---- the filter ---- */

static struct bt_ip_part part_of(const struct bt_tx *tx, uint32_t ip_len)
{
	return (struct bt_ip_part){.host = tx->host,
				   .dir = BT_FILTER_OUT,
				   .proto = tx->proto,
				   .src = &tx->src,
				   .dst = &tx->dst,
				   .data = tx->out->header + tx->header_at,
				   .len = tx->header_len,
				   .ip_len = ip_len};
}

/* The own host is told as by its destination: the packet is made for that alone. */
static void tell_rejected(struct bt_ip *ip, const struct bt_tx *tx, const struct bt_path *path,
			  enum bt_filter_action action, uint64_t now_ns)
{
	struct bt_send s = as_send(tx, path);
	struct bt_rejected r = {.proto = tx->proto, .src = tx->src, .dst = tx->dst};
	int error;
	struct bt_pkt *p = action == BT_FILTER_DROP ? NULL : copy_of(ip, tx, &error);

	if (p == NULL)
		return;
	write_header(ip, p, &s, path);
	r.ip = bt_pkt_data(p);
	r.ip_len = p->len;
	r.at = bt_addr_is_v4(&tx->dst) ? BT_IPV4_HEADER : BT_IPV6_HEADER;
	bt_ip_rejected(ip, bt_host_lo(ip, ip->hosts[tx->host]), &r, action, now_ns);
	bt_pkt_put(ip, p);
}

static bool filtered(struct bt_ip *ip, const struct bt_tx *tx, const struct bt_path *path,
		     uint32_t ip_len, uint64_t now_ns)
{
	const struct bt_ip_part t = part_of(tx, ip_len);
	enum bt_filter_action action = bt_ip_judge(ip, &t, false);

	if (action != BT_FILTER_ACCEPT)
		tell_rejected(ip, tx, path, action, now_ns);
	return action != BT_FILTER_ACCEPT;
}

bool bt_ip_forbids(struct bt_ip *ip, uint16_t host, uint8_t proto, const struct bt_addr *src,
		   const struct bt_addr *dst, const uint8_t *header, uint32_t header_len)
{
	const struct bt_ip_part t = {.host = host,
				     .dir = BT_FILTER_OUT,
				     .proto = proto,
				     .src = src,
				     .dst = dst,
				     .data = header,
				     .len = header_len};

	return bt_has_filter(ip, host) && bt_ip_judge(ip, &t, true) != BT_FILTER_ACCEPT;
}

/* ---- the way of all ---- */

/* True: nothing but the headers is missing. */
static inline bool is_plain(struct bt_ip *ip, const struct bt_tx *tx, const struct bt_path *path,
			    uint32_t ip_len, uint64_t now_ns)
{
	if ((path->flags & (BT_PATH_LOOP | BT_PATH_BROADCAST | BT_PATH_MULTICAST)) != 0 ||
	    (ip_len > path->mtu && tx->segment == 0) || ip_len > BT_IP_MAX ||
	    (tx->no_checksum && (path->flags & BERTH_IF_TX_CHECKSUM) == 0))
		return false;
	if (path->neighbour != 0) {
		struct bt_neigh *n = ip->neighs[path->neighbour];

		return n->state == BT_NEIGH_REACHABLE || bt_neigh_use(ip, n, now_ns);
	}
	return true;
}

static void complete(struct bt_ip *ip, struct bt_tx *tx, const struct bt_path *path, bool v4,
		     uint32_t ip_len)
{
	struct berth_output *out = tx->out;
	uint8_t hops = tx->hops != 0 ? tx->hops : DEFAULT_HOPS;
	uint8_t *p = out->header + tx->header_at;

	if (v4) {
		bool df = tx->no_fragment && (path->flags & BT_PATH_NO_DF) == 0;
		uint16_t id = df ? 0
				 : (uint16_t)bt_ip_next_id(ip, &tx->src, &tx->dst, tx->proto,
							   segments(ip_len, tx->segment));

		p -= BT_IPV4_HEADER;
		bt_ip4_write(p, tx->tos, ip_len, id, df ? DF : 0, hops, tx->proto, &tx->src,
			     &tx->dst);
	} else {
		p -= BT_IPV6_HEADER;
		bt_ip6_write(p, tx->tos, 0, ip_len - BT_IPV6_HEADER, tx->proto, hops, &tx->src,
			     &tx->dst);
	}
	if (path->neighbour != 0) {
		p -= BT_ETHER_HEADER;
		memcpy(p, ip->neighs[path->neighbour]->header, BT_ETHER_HEADER);
	}
	out->i = path->i;
	out->segment = tx->segment;
	out->checksum = tx->no_checksum ? (uint16_t)(out->header + tx->header_at - p) : 0;
	out->iov[0].iov_base = p;
	out->iov[0].iov_len = (size_t)(out->header + tx->header_at + tx->header_len - p);
	out->len = (uint32_t)out->iov[0].iov_len + tx->payload_len;
}

int bt_ip_output(struct bt_ip *ip, struct bt_tx *tx, uint64_t now_ns)
{
	bool v4 = bt_addr_is_v4(&tx->dst);
	uint32_t ip_len = tx->header_len + tx->payload_len + (v4 ? BT_IPV4_HEADER : BT_IPV6_HEADER);
	struct bt_path found = {0}, *path = tx->path != NULL ? tx->path : &found;

	bt_assert(tx->out->n_iov >= 1 && tx->header_at >= BT_ETHER_HEADER + BT_IPV6_HEADER &&
		  tx->header_at + tx->header_len <= BERTH_OUTPUT_HEADER);
	ip->now_ns = now_ns;
	if (path->generation != ip->generation) {
		berth_if i = (path->flags & BT_PATH_BOUND) != 0 ? path->i : 0;
		int r = bt_ip_path(ip, tx->host, &tx->src, &tx->dst, i, path);

		if (r < 0) {
			bt_ip_drop(ip, tx->host, BERTH_DROP_IP_NO_ROUTE);
			return r;
		}
	}
	if (bt_has_filter(ip, tx->host) && (path->flags & BT_PATH_LOOP) == 0 &&
	    filtered(ip, tx, path, ip_len, now_ns))
		return BERTH_EPERM;
	if (tx->segment != 0 && (path->flags & BERTH_IF_TSO) == 0) {
		/* it was made for a way that is no more */
		bt_ip_drop(ip, tx->host, BERTH_DROP_IP_TOO_BIG);
		return BERTH_EMSGSIZE;
	}
	if (!is_plain(ip, tx, path, ip_len, now_ns))
		return send_copy(ip, tx, path, now_ns);
	complete(ip, tx, path, v4, ip_len);
	return BT_IP_READY;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors out. When one is allowed: RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 e. How many:
 * each host has a bucket of errors (1,000 a second, 50 at once), from which a random amount more is
 * taken, so that nobody can count them to learn which ports answer (CVE-2020-25705); and each
 * destination one (1 a second, 6 at once), found by a keyed hash. "Too big" is not limited for each
 * destination: a path's MTU must be learned (RFC 4443 2.4 f leaves the choice).
 */
#include "internal.h"

#define HOST_BURST  50u
#define PEER_SECOND 1000u
#define PEER_BURST  (6 * PEER_SECOND)

static bool has_token(struct bt_ip *ip, struct bt_host *h, uint64_t now_ns)
{
	uint64_t ms = (now_ns - h->icmp_ns) / BT_MS;
	uint32_t noise = bt_ip_random_below(ip, 3);

	h->icmp_ns += ms * BT_MS;
	h->icmp_tokens =
		ms > HOST_BURST - h->icmp_tokens ? HOST_BURST : h->icmp_tokens + (uint32_t)ms;
	if (h->icmp_tokens == 0)
		return false;
	h->icmp_tokens -= 1 + noise < h->icmp_tokens ? 1 + noise : h->icmp_tokens;
	return true;
}

static bool peer_has_token(struct bt_ip *ip, uint16_t host, const struct bt_addr *peer,
			   uint64_t now_ns)
{
	uint32_t hash = bt_ip_hash(ip, peer, peer, (uint64_t)host << 32 | 0x1c);
	struct bt_icmp_peer *b = &ip->icmp_peers[hash % BT_ICMP_PEERS];
	uint64_t ms = (now_ns - b->at_ns) / BT_MS;

	b->at_ns += ms * BT_MS;
	b->tokens_ms = ms > PEER_BURST - b->tokens_ms ? PEER_BURST : b->tokens_ms + (uint32_t)ms;
	if (b->tokens_ms < PEER_SECOND)
		return false;
	b->tokens_ms -= PEER_SECOND;
	return true;
}

/* An address that is one host's: RFC 1122 3.2.2, RFC 4443 2.4 e.6 */
static bool is_one(const struct bt_ip *ip, uint16_t host, const struct bt_addr *a)
{
	berth_if i;

	if (bt_addr_is_any(a) || bt_ip_is_multicast(a) ||
	    bt_addr_kind(ip, host, a, &i) == BT_ADDR_BROADCAST)
		return false;
	return !bt_addr_is_v4(a) || (a->b[12] != 0 && a->b[12] < 0xf0);
}

static bool allowed4(const struct bt_ip *ip, uint16_t host, const uint8_t *data, uint32_t len,
		     bool link_group)
{
	uint32_t header_len = (data[0] & 15) * 4u;
	struct bt_addr src = bt_addr_v4(bt_get32(data + 12)), dst = bt_addr_v4(bt_get32(data + 16));
	berth_if i;

	if (link_group || bt_ip_is_multicast(&dst) ||
	    bt_addr_kind(ip, host, &dst, &i) == BT_ADDR_BROADCAST || !is_one(ip, host, &src))
		return false;
	if ((bt_get16(data + 6) & 0x1fff) != 0) /* not about a fragment other than the first */
		return false;
	return data[9] != BT_IPPROTO_ICMP ||
	       (len > header_len && !bt_icmp_is_error(BT_V4, data[header_len]));
}

static bool allowed6(const struct bt_ip *ip, uint16_t host, const uint8_t *data, uint32_t len,
		     bool link_group, const struct bt_icmp *m)
{
	uint32_t at = BT_IPV6_HEADER;
	uint8_t next = data[6];
	struct bt_addr src;

	memcpy(src.b, data + 8, sizeof(src.b));
	if (!is_one(ip, host, &src))
		return false;
	if ((link_group || data[24] == 0xff) && m->kind != BT_ICMP_TOO_BIG &&
	    !(m->kind == BT_ICMP_PARAMETER && m->code == 2))
		return false;
	/* of other than first fragments nobody knows what they are part of; RFC 8200 4.5 wants some
	 * of their faults told */
	if (!bt_ipv6_skip(data, len, &at, &next))
		return m->kind == BT_ICMP_PARAMETER;
	return next != BT_IPPROTO_ICMPV6 || (at < len && !bt_icmp_is_error(BT_V6, data[at]));
}

/* RFC 1122 3.2.2, RFC 4443 2.2: the address it was sent to, or one of the interface. */
static bool own_source(struct bt_ip *ip, const struct bt_iface *f, const struct bt_addr *to,
		       const struct bt_addr *was_dst, struct bt_addr *src)
{
	const struct bt_ifaddr *own;
	berth_if i;

	if (bt_addr_kind(ip, f->host, was_dst, &i) == BT_ADDR_LOCAL) {
		*src = *was_dst;
		return true;
	}
	own = bt_addr_for(f, to);
	if (own != NULL)
		*src = own->addr;
	return own != NULL || bt_ip_source(ip, f->host, to, 0, src) == 0;
}

static void send(struct bt_ip *ip, struct bt_iface *f, const uint8_t *data, uint32_t len,
		 const struct bt_icmp *m, enum bt_family family, struct bt_send *s, uint64_t now_ns)
{
	uint32_t quote = bt_icmp_quote_len(family, len);
	struct bt_pkt *p = bt_pkt_get(ip, f->host, BT_ICMP_HEADER + quote);

	if (p == NULL) {
		bt_ip_drop(ip, f->host, BERTH_DROP_IP_QUEUE);
		return;
	}
	p->len = BT_ICMP_HEADER + quote;
	bt_icmp_write(bt_pkt_data(p), family, m);
	memcpy(bt_pkt_data(p) + BT_ICMP_HEADER, data, quote);
	bt_csum_put(bt_pkt_data(p) + 2,
		    bt_csum_add(family == BT_V6 ? bt_csum_pseudo(&s->src, &s->dst,
								 BT_IPPROTO_ICMPV6, p->len)
						: 0,
				bt_pkt_data(p), p->len));
	bt_ip_send(ip, p, s, now_ns);
}

void bt_icmp_about(struct bt_ip *ip, struct bt_iface *f, const uint8_t *data, uint32_t len,
		   bool link_group, const struct bt_icmp *m, uint64_t now_ns)
{
	enum bt_family family = data[0] >> 4 == 6 ? BT_V6 : BT_V4;
	struct bt_send s = {.host = f->host};
	struct bt_addr was_dst;
	berth_if i;

	if (family == BT_V6) {
		if (!allowed6(ip, f->host, data, len, link_group, m))
			return;
		memcpy(s.dst.b, data + 8, sizeof(s.dst.b));
		memcpy(was_dst.b, data + 24, sizeof(was_dst.b));
		s.proto = BT_IPPROTO_ICMPV6;
		if (bt_addr_is_link_local6(&s.dst))
			s.i = f->i;
	} else {
		if (!allowed4(ip, f->host, data, len, link_group))
			return;
		s.dst = bt_addr_v4(bt_get32(data + 12));
		was_dst = bt_addr_v4(bt_get32(data + 16));
		s.proto = BT_IPPROTO_ICMP;
		s.tos = (uint8_t)((data[1] & 0x1c) | 0xc0); /* RFC 1812 4.3.2.5, as Linux */
	}
	/* the host itself may be told as often as it asks */
	if (bt_addr_kind(ip, f->host, &s.dst, &i) != BT_ADDR_LOCAL &&
	    ((m->kind != BT_ICMP_TOO_BIG && !peer_has_token(ip, f->host, &s.dst, now_ns)) ||
	     !has_token(ip, ip->hosts[f->host], now_ns))) {
		bt_ip_drop(ip, f->host, BERTH_DROP_ICMP_RATE);
		return;
	}
	if (own_source(ip, f, &s.dst, &was_dst, &s.src))
		send(ip, f, data, len, m, family, &s, now_ns);
}

void bt_ip_port_unreachable(struct bt_ip *ip, const struct bt_rx *rx, uint64_t now_ns)
{
	const struct bt_icmp m = {.kind = BT_ICMP_UNREACHABLE,
				  .code = bt_addr_is_v4(&rx->dst) ? BT_ICMP4_PORT : BT_ICMP6_PORT};

	bt_icmp_about(ip, ip->ifs[rx->i], rx->ip, rx->ip_len, rx->multicast, &m, now_ns);
}

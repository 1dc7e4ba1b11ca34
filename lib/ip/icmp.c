/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP and ICMPv6 in: echo requests are answered, errors and echo replies go to who waits for them.
 * Redirects and timestamps are not served (RFC 1122 3.2.2.2 lets a host's routes be its own),
 * source quench is ignored (RFC 9293 MUST-55, RFC 6633). */
#include "internal.h"

static enum bt_ip_got echo(struct bt_in *in, enum bt_family family, const struct bt_icmp *m)
{
	const struct bt_rx *rx = in->rx;
	struct bt_icmp reply = *m;
	struct bt_send s = {.host = rx->host,
			    .proto = rx->proto,
			    .tos = rx->tos &
				   0xfc, /* RFC 1122 3.2.1.6; ECN is the sender's matter */
			    .src = rx->dst,
			    .dst = rx->src};
	struct bt_pkt *p;

	/* RFC 1122 3.2.2.6: to all or to a group, it may be left unanswered (CA-1998-01) */
	if (rx->multicast && family == BT_V4)
		return bt_in_drop(in, BERTH_DROP_ICMP_UNKNOWN);
	if (bt_addr_is_any(&rx->src))
		return bt_in_drop(in, BERTH_DROP_IP_SOURCE);
	if (bt_addr_is_link_local6(&rx->src))
		s.i = in->f->i;
	/* RFC 4443 4.2: to a group, from an address of the interface */
	if (rx->multicast) {
		const struct bt_ifaddr *own = bt_addr_for(in->f, &rx->src);

		if (own == NULL)
			return bt_in_drop(in, BERTH_DROP_ICMP_UNKNOWN);
		s.src = own->addr;
	}
	p = bt_pkt_get(in->ip, rx->host, rx->len);
	if (p == NULL)
		return bt_in_drop(in, BERTH_DROP_IP_QUEUE);
	p->len = rx->len;
	memcpy(bt_pkt_data(p), rx->data, rx->len);
	reply.kind = BT_ICMP_ECHO_REPLY;
	bt_icmp_write(bt_pkt_data(p), family, &reply);
	bt_csum_put(bt_pkt_data(p) + 2,
		    bt_csum_add(family == BT_V6
					? bt_csum_pseudo(&s.src, &s.dst, BT_IPPROTO_ICMPV6, p->len)
					: 0,
				bt_pkt_data(p), p->len));
	bt_ip_send(in->ip, p, &s, in->now_ns);
	return BT_IP_NOTHING;
}

/* As Linux: icmp_err_convert (net/ipv4/icmp.c), icmpv6_err_convert (net/ipv6/icmp.c). */
static int error_of(enum bt_family family, const struct bt_icmp *m)
{
	static const int v4[] = {BERTH_ENETUNREACH,  BERTH_EHOSTUNREACH, BERTH_ENOPROTOOPT,
				 BERTH_ECONNREFUSED, BERTH_EMSGSIZE,	 BERTH_EOPNOTSUPP,
				 BERTH_ENETUNREACH,  BERTH_EHOSTUNREACH, BERTH_EHOSTUNREACH,
				 BERTH_ENETUNREACH,  BERTH_EHOSTUNREACH, BERTH_ENETUNREACH};
	static const int v6[] = {BERTH_ENETUNREACH,  BERTH_EACCES,	 BERTH_EHOSTUNREACH,
				 BERTH_EHOSTUNREACH, BERTH_ECONNREFUSED, BERTH_EACCES,
				 BERTH_EACCES};

	if (m->kind == BT_ICMP_TOO_BIG)
		return BERTH_EMSGSIZE;
	if (m->kind == BT_ICMP_PARAMETER)
		return BERTH_EPROTO;
	if (m->kind == BT_ICMP_TIME_EXCEEDED)
		return BERTH_EHOSTUNREACH;
	if (family == BT_V6)
		return m->code < sizeof(v6) / sizeof(v6[0]) ? v6[m->code] : BERTH_EPROTO;
	return m->code < sizeof(v4) / sizeof(v4[0]) ? v4[m->code] : BERTH_EHOSTUNREACH;
}

/* RFC 1191 7.1: what an old router's link, too small for total bytes, is likely to take */
static uint32_t plateau(uint32_t total)
{
	static const uint16_t table[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i] < total)
			return table[i];
	return 68;
}

static enum bt_ip_got error(struct bt_in *in, enum bt_family family, const struct bt_icmp *m)
{
	const struct bt_rx *rx = in->rx;
	const uint8_t *quoted = rx->data + BT_ICMP_HEADER;
	struct bt_icmp_error *e = in->error;
	struct bt_icmp_quote q;
	berth_if i;

	if (!bt_icmp_quote_read(quoted, rx->len - BT_ICMP_HEADER, family, &q))
		return bt_in_drop(in, BERTH_DROP_ICMP_MALFORMED);
	if (rx->multicast || bt_addr_kind(in->ip, rx->host, &q.src, &i) != BT_ADDR_LOCAL)
		return bt_in_drop(in, BERTH_DROP_ICMP_UNKNOWN);
	*e = (struct bt_icmp_error){.host = rx->host,
				    .proto = q.proto,
				    .type = m->type,
				    .code = m->code,
				    .error = error_of(family, m),
				    .src = q.src,
				    .dst = q.dst,
				    .from = rx->src,
				    .quoted = quoted + q.at,
				    .len = q.len};
	if (m->kind == BT_ICMP_TOO_BIG)
		e->mtu = m->mtu != 0 || family == BT_V6 ? m->mtu : plateau(bt_get16(quoted + 2));
	return BT_IP_ERROR;
}

static bool checksum_ok(const struct bt_in *in, enum bt_family family)
{
	const struct bt_rx *rx = in->rx;

	if (in->looped)
		return true;
	return bt_csum_ok(bt_csum_add(
		family == BT_V6 ? bt_csum_pseudo(&rx->src, &rx->dst, BT_IPPROTO_ICMPV6, rx->len)
				: 0,
		rx->data, rx->len));
}

enum bt_ip_got bt_icmp_input(struct bt_in *in)
{
	const struct bt_rx *rx = in->rx;
	enum bt_family family = rx->proto == BT_IPPROTO_ICMPV6 ? BT_V6 : BT_V4;
	struct bt_icmp m;

	/* ICMPv6 is not served over IPv4, nor the other way round */
	if ((family == BT_V6) == bt_addr_is_v4(&rx->dst))
		return bt_in_drop(in, BERTH_DROP_IP_PROTOCOL);
	if (!bt_icmp_read(rx->data, rx->len, family, &m))
		return bt_in_drop(in, BERTH_DROP_ICMP_MALFORMED);
	if (!checksum_ok(in, family))
		return bt_in_drop(in, BERTH_DROP_ICMP_CHECKSUM);
	switch ((enum bt_icmp_kind)m.kind) {
	case BT_ICMP_ECHO:
		return echo(in, family, &m);
	case BT_ICMP_ECHO_REPLY:
		return BT_IP_PACKET;
	case BT_ICMP_UNREACHABLE:
	case BT_ICMP_TOO_BIG:
	case BT_ICMP_TIME_EXCEEDED:
	case BT_ICMP_PARAMETER:
		return error(in, family, &m);
	case BT_ICMP_OTHER:
		break;
	}
	if (family == BT_V6 && m.type >= BT_ND_RS && m.type <= BT_ND_REDIRECT)
		bt_nd_input(in);
	else if (family == BT_V6 && ((m.type >= 130 && m.type <= 132) || m.type == 143))
		bt_mld_input(in);
	else
		bt_in_drop(in, BERTH_DROP_ICMP_UNKNOWN);
	return BT_IP_NOTHING;
}

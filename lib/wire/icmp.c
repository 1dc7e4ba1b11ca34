/* SPDX-License-Identifier: Apache-2.0 */
#include "icmp.h"

#include "../base/assert.h"
#include "../base/bytes.h"
#include "ipv6.h"

enum { /* types of ICMP and ICMPv6 (IANA) */
       ECHO_REPLY4 = 0,
       UNREACHABLE4 = 3,
       ECHO4 = 8,
       TIME_EXCEEDED4 = 11,
       PARAMETER4 = 12,
       UNREACHABLE6 = 1,
       TOO_BIG6 = 2,
       TIME_EXCEEDED6 = 3,
       PARAMETER6 = 4,
       ECHO6 = 128,
       ECHO_REPLY6 = 129,
};

static enum bt_icmp_kind kind4(uint8_t type, uint8_t code)
{
	switch (type) {
	case ECHO_REPLY4:
		return BT_ICMP_ECHO_REPLY;
	case UNREACHABLE4:
		return code == BT_ICMP4_FRAG_NEEDED ? BT_ICMP_TOO_BIG : BT_ICMP_UNREACHABLE;
	case ECHO4:
		return BT_ICMP_ECHO;
	case TIME_EXCEEDED4:
		return BT_ICMP_TIME_EXCEEDED;
	case PARAMETER4:
		return BT_ICMP_PARAMETER;
	default:
		return BT_ICMP_OTHER;
	}
}

static enum bt_icmp_kind kind6(uint8_t type)
{
	switch (type) {
	case UNREACHABLE6:
		return BT_ICMP_UNREACHABLE;
	case TOO_BIG6:
		return BT_ICMP_TOO_BIG;
	case TIME_EXCEEDED6:
		return BT_ICMP_TIME_EXCEEDED;
	case PARAMETER6:
		return BT_ICMP_PARAMETER;
	case ECHO6:
		return BT_ICMP_ECHO;
	case ECHO_REPLY6:
		return BT_ICMP_ECHO_REPLY;
	default:
		return BT_ICMP_OTHER;
	}
}

bool bt_icmp_read(const uint8_t *data, size_t len, enum bt_family family, struct bt_icmp *m)
{
	if (len < BT_ICMP_HEADER)
		return false;
	memset(m, 0, sizeof(*m));
	m->type = data[0];
	m->code = data[1];
	m->kind = (uint8_t)(family == BT_V6 ? kind6(m->type) : kind4(m->type, m->code));
	switch ((enum bt_icmp_kind)m->kind) {
	case BT_ICMP_ECHO:
	case BT_ICMP_ECHO_REPLY:
		m->id = bt_get16(data + 4);
		m->seq = bt_get16(data + 6);
		break;
	case BT_ICMP_TOO_BIG: /* RFC 1191 4, RFC 4443 3.2 */
		m->mtu = family == BT_V6 ? bt_get32(data + 4) : bt_get16(data + 6);
		break;
	case BT_ICMP_PARAMETER:
		m->pointer = family == BT_V6 ? bt_get32(data + 4) : data[4];
		break;
	case BT_ICMP_OTHER:
	case BT_ICMP_UNREACHABLE:
	case BT_ICMP_TIME_EXCEEDED:
		break;
	}
	return true;
}

void bt_icmp_write(uint8_t data[BT_ICMP_HEADER], enum bt_family family, const struct bt_icmp *m)
{
	static const uint8_t types[][2] = {
		[BT_ICMP_ECHO] = {ECHO4, ECHO6},
		[BT_ICMP_ECHO_REPLY] = {ECHO_REPLY4, ECHO_REPLY6},
		[BT_ICMP_UNREACHABLE] = {UNREACHABLE4, UNREACHABLE6},
		[BT_ICMP_TOO_BIG] = {UNREACHABLE4, TOO_BIG6},
		[BT_ICMP_TIME_EXCEEDED] = {TIME_EXCEEDED4, TIME_EXCEEDED6},
		[BT_ICMP_PARAMETER] = {PARAMETER4, PARAMETER6},
	};
	bool v6 = family == BT_V6;

	bt_assert(m->kind <= BT_ICMP_PARAMETER);
	data[0] = m->kind == BT_ICMP_OTHER ? m->type : types[m->kind][v6];
	data[1] = m->kind == BT_ICMP_TOO_BIG ? (v6 ? 0 : BT_ICMP4_FRAG_NEEDED) : m->code;
	bt_put16(data + 2, 0);
	bt_put32(data + 4, 0);
	switch ((enum bt_icmp_kind)m->kind) {
	case BT_ICMP_ECHO:
	case BT_ICMP_ECHO_REPLY:
		bt_put16(data + 4, m->id);
		bt_put16(data + 6, m->seq);
		break;
	case BT_ICMP_TOO_BIG:
		if (v6)
			bt_put32(data + 4, m->mtu);
		else
			bt_put16(data + 6, (uint16_t)(m->mtu < 65535 ? m->mtu : 65535));
		break;
	case BT_ICMP_PARAMETER:
		if (v6)
			bt_put32(data + 4, m->pointer);
		else
			data[4] = (uint8_t)m->pointer;
		break;
	case BT_ICMP_OTHER:
	case BT_ICMP_UNREACHABLE:
	case BT_ICMP_TIME_EXCEEDED:
		break;
	}
}

static bool quote4(const uint8_t *data, size_t len, struct bt_icmp_quote *q)
{
	unsigned header;

	if (len < 20 || data[0] / 16 != 4)
		return false;
	header = data[0] % 16 * 4u;
	if (header < 20 || header + 8 > len || (bt_get16(data + 6) & 0x1fff) != 0)
		return false;
	q->src = bt_addr_v4(bt_get32(data + 12));
	q->dst = bt_addr_v4(bt_get32(data + 16));
	q->proto = data[9];
	q->at = header;
	return true;
}

static bool quote6(const uint8_t *data, size_t len, struct bt_icmp_quote *q)
{
	uint8_t next;
	uint32_t at = BT_IPV6_HEADER;

	if (len < BT_IPV6_HEADER || data[0] / 16 != 6)
		return false;
	next = data[6];
	if (!bt_ipv6_skip(data, (uint32_t)len, &at, &next) || len - at < 8)
		return false;
	memcpy(q->src.b, data + 8, sizeof(q->src.b));
	memcpy(q->dst.b, data + 24, sizeof(q->dst.b));
	q->proto = next;
	q->at = at;
	return !bt_addr_is_v4(&q->src) && !bt_addr_is_v4(&q->dst);
}

bool bt_icmp_quote_read(const uint8_t *data, size_t len, enum bt_family family,
			struct bt_icmp_quote *q)
{
	uint32_t total;

	bt_assert(len <= UINT32_MAX);
	if (!(family == BT_V6 ? quote6(data, len, q) : quote4(data, len, q)))
		return false;
	/* What lies behind the packet's end is not part of it: padding, or RFC 4884's extensions.
	 */
	total = bt_get16(data + (family == BT_V6 ? 4 : 2)) + (family == BT_V6 ? 40u : 0);
	if (total > len || total < q->at + 8)
		total = (uint32_t)len;
	q->len = total - q->at;
	return true;
}

uint32_t bt_icmp_quote_len(enum bt_family family, uint32_t ip_len)
{
	uint32_t most = family == BT_V6 ? BT_IPV6_MIN_MTU - BT_IPV6_HEADER - BT_ICMP_HEADER
					: 576 - 20 - BT_ICMP_HEADER;

	return ip_len < most ? ip_len : most;
}

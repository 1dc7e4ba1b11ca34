/* SPDX-License-Identifier: Apache-2.0 */
#include "nd.h"

#include "../base/assert.h"
#include "../base/bytes.h"

enum option { /* RFC 4861 4.6 */
	      SOURCE_MAC = 1,
	      TARGET_MAC = 2,
	      PREFIX = 3,
	      MTU = 5,
};

#define PREFIX_BYTES 32
#define MIN_MTU	     1280

static bool is_multicast(const struct bt_addr *a)
{
	return a->b[0] == 0xff;
}

/* An address that one host can have on a link. */
static bool is_host(const struct bt_addr *a)
{
	return !is_multicast(a) && !bt_addr_is_any(a) && !bt_addr_is_loopback(a) &&
	       !bt_addr_is_v4(a);
}

/* Bytes before the options; 0: not a type of ours. */
static unsigned fixed_bytes(uint8_t type)
{
	switch (type) {
	case BT_ND_RS:
		return 8;
	case BT_ND_RA:
		return 16;
	case BT_ND_NS:
	case BT_ND_NA:
		return 24;
	case BT_ND_REDIRECT:
		return 40;
	default:
		return 0;
	}
}

static bool read_mac(const uint8_t *p, unsigned len, bool *has, struct bt_mac *mac)
{
	if (len != 8 || (p[2] & 1) != 0)
		return false;
	if (!*has)
		memcpy(mac->b, p + 2, sizeof(mac->b));
	*has = true;
	return true;
}

/* RFC 4861 6.3.4, RFC 4862 5.5.3: what is not usable is ignored. */
static void read_prefix(const uint8_t *p, unsigned len, struct bt_nd *m)
{
	struct bt_nd_prefix x;

	if (len != PREFIX_BYTES || p[2] > 128 || m->n_prefix == BT_ND_PREFIXES)
		return;
	memset(&x, 0, sizeof(x));
	x.bits = p[2];
	x.on_link = p[3] & 0x80;
	x.autonomous = p[3] & 0x40;
	x.valid_s = bt_get32(p + 4);
	x.preferred_s = bt_get32(p + 8);
	memcpy(x.prefix.b, p + 16, sizeof(x.prefix.b));
	for (unsigned i = x.bits; i < 128; i++)
		x.prefix.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	if (x.preferred_s > x.valid_s || is_multicast(&x.prefix) ||
	    bt_addr_is_link_local6(&x.prefix) || bt_addr_is_v4(&x.prefix))
		return;
	m->prefix[m->n_prefix++] = x;
}

/* RFC 4861 6.1, 7.1, 8.1: each option has a length greater than zero. */
static bool read_options(const uint8_t *p, const uint8_t *end, struct bt_nd *m)
{
	bool takes_target = m->type == BT_ND_NA || m->type == BT_ND_REDIRECT;

	while (p < end) {
		unsigned len;

		if (end - p < 8 || p[1] == 0 || p[1] * 8 > end - p)
			return false;
		len = p[1] * 8u;
		if (p[0] == SOURCE_MAC && !takes_target) {
			if (!read_mac(p, len, &m->has_source_mac, &m->source_mac))
				return false;
		} else if (p[0] == TARGET_MAC && takes_target) {
			if (!read_mac(p, len, &m->has_target_mac, &m->target_mac))
				return false;
		} else if (p[0] == PREFIX && m->type == BT_ND_RA) {
			read_prefix(p, len, m);
		} else if (p[0] == MTU && m->type == BT_ND_RA) {
			if (len == 8 && m->mtu == 0 && bt_get32(p + 4) >= MIN_MTU)
				m->mtu = bt_get32(p + 4);
		}
		p += len;
	}
	return true;
}

static void read_fixed(const uint8_t *data, struct bt_nd *m)
{
	if (m->type == BT_ND_RA) {
		m->hops = data[4];
		m->managed = data[5] & 0x80;
		m->other = data[5] & 0x40;
		m->router_s = bt_get16(data + 6);
		m->reachable_ms = bt_get32(data + 8);
		m->retrans_ms = bt_get32(data + 12);
	} else if (m->type != BT_ND_RS) {
		memcpy(m->target.b, data + 8, sizeof(m->target.b));
	}
	if (m->type == BT_ND_NA) {
		m->router = data[4] & 0x80;
		m->solicited = data[4] & 0x40;
		m->force = data[4] & 0x20;
	}
	if (m->type == BT_ND_REDIRECT)
		memcpy(m->dst.b, data + 24, sizeof(m->dst.b));
}

static bool is_valid(const struct bt_nd *m, const struct bt_addr *src, const struct bt_addr *dst)
{
	struct bt_addr node;

	switch ((enum bt_nd_type)m->type) {
	case BT_ND_RS: /* RFC 4861 6.1.1 */
		return !(bt_addr_is_any(src) && m->has_source_mac);
	case BT_ND_RA: /* RFC 4861 6.1.2 */
		return bt_addr_is_link_local6(src);
	case BT_ND_NS: /* RFC 4861 7.1.1 */
		/* dst is a solicited-node address if it is that of its own last bytes */
		node = bt_nd_solicited_node(dst);
		return is_host(&m->target) &&
		       (!bt_addr_is_any(src) || (bt_addr_eq(dst, &node) && !m->has_source_mac));
	case BT_ND_NA: /* RFC 4861 7.1.2 */
		return is_host(&m->target) && !(is_multicast(dst) && m->solicited);
	case BT_ND_REDIRECT: /* RFC 4861 8.1 */
		return bt_addr_is_link_local6(src) && is_host(&m->dst) &&
		       (bt_addr_is_link_local6(&m->target) || bt_addr_eq(&m->target, &m->dst));
	}
	return false;
}

bool bt_nd_read(const uint8_t *data, size_t len, const struct bt_addr *src,
		const struct bt_addr *dst, uint8_t hops, struct bt_nd *m)
{
	unsigned fixed = len >= 8 ? fixed_bytes(data[0]) : 0;

	if (fixed == 0 || len < fixed || data[1] != 0 || hops != 255)
		return false;
	memset(m, 0, sizeof(*m));
	m->type = data[0];
	read_fixed(data, m);
	return read_options(data + fixed, data + len, m) && is_valid(m, src, dst);
}

static uint8_t *put_mac(uint8_t *p, uint8_t kind, const struct bt_mac *mac)
{
	p[0] = kind;
	p[1] = 1;
	memcpy(p + 2, mac->b, sizeof(mac->b));
	return p + 8;
}

static uint8_t *put_prefix(uint8_t *p, const struct bt_nd_prefix *x)
{
	memset(p, 0, PREFIX_BYTES);
	p[0] = PREFIX;
	p[1] = PREFIX_BYTES / 8;
	p[2] = x->bits;
	p[3] = (uint8_t)((x->on_link ? 0x80 : 0) | (x->autonomous ? 0x40 : 0));
	bt_put32(p + 4, x->valid_s);
	bt_put32(p + 8, x->preferred_s);
	memcpy(p + 16, x->prefix.b, sizeof(x->prefix.b));
	return p + PREFIX_BYTES;
}

unsigned bt_nd_write(uint8_t *data, const struct bt_nd *m)
{
	unsigned fixed = fixed_bytes(m->type);
	uint8_t *p = data + fixed;

	bt_assert(fixed != 0 && m->type != BT_ND_REDIRECT && m->n_prefix <= BT_ND_PREFIXES);
	memset(data, 0, fixed);
	data[0] = m->type;
	if (m->type == BT_ND_RA) {
		data[4] = m->hops;
		data[5] = (uint8_t)((m->managed ? 0x80 : 0) | (m->other ? 0x40 : 0));
		bt_put16(data + 6, m->router_s);
		bt_put32(data + 8, m->reachable_ms);
		bt_put32(data + 12, m->retrans_ms);
	} else if (m->type != BT_ND_RS) {
		memcpy(data + 8, m->target.b, sizeof(m->target.b));
	}
	if (m->type == BT_ND_NA)
		data[4] = (uint8_t)((m->router ? 0x80 : 0) | (m->solicited ? 0x40 : 0) |
				    (m->force ? 0x20 : 0));
	if (m->has_source_mac)
		p = put_mac(p, SOURCE_MAC, &m->source_mac);
	if (m->has_target_mac)
		p = put_mac(p, TARGET_MAC, &m->target_mac);
	if (m->mtu != 0) {
		bt_put32(p, (uint32_t)MTU << 24 | 1 << 16);
		bt_put32(p + 4, m->mtu);
		p += 8;
	}
	for (unsigned i = 0; i < m->n_prefix; i++)
		p = put_prefix(p, &m->prefix[i]);
	return (unsigned)(p - data);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a network adapter does with packets that are several (TSO), for carriers that have none. */
#include "../../include/berth/berth.h"
#include "../base/assert.h"
#include "../base/bytes.h"
#include "../base/checksum.h"
#include "../wire/ether.h"
#include "../wire/ipv4.h"
#include "../wire/ipv6.h"
#include "../wire/tcp.h"
#include "../wire/udp.h"

/* Headers, as they are in the first part: the engine writes no options between IP's and TCP's or
 * UDP's. */
struct head {
	uint8_t *ip, *transport;
	bool v4;
	uint8_t proto;
};

static struct head head_of(const struct berth_cut *c, const struct berth_output *o)
{
	uint8_t *ip = (uint8_t *)o->iov[0].iov_base + c->ether;
	bool v4 = ip[0] >> 4 == 4;

	return (struct head){.ip = ip,
			     .transport = ip + (v4 ? (ip[0] & 15u) * 4u : BT_IPV6_HEADER),
			     .v4 = v4,
			     .proto = v4 ? ip[9] : ip[6]};
}

static uint64_t pseudo(const struct head *h, uint32_t len)
{
	struct bt_addr src, dst;

	if (h->v4) {
		src = bt_addr_v4(bt_get32(h->ip + 12));
		dst = bt_addr_v4(bt_get32(h->ip + 16));
	} else {
		memcpy(src.b, h->ip + 8, sizeof(src.b));
		memcpy(dst.b, h->ip + 24, sizeof(dst.b));
	}
	return bt_csum_pseudo(&src, &dst, h->proto, len);
}

/* The checksum of TCP or UDP, whose field holds anything. */
static void finish(const struct berth_cut *c, struct berth_output *o)
{
	struct head h = head_of(c, o);
	struct iovec parts[BERTH_OUTPUT_IOV];
	size_t before = (size_t)(h.transport - (uint8_t *)o->iov[0].iov_base);
	uint8_t *field = h.transport + (h.proto == BERTH_TCP ? 16 : 6);
	uint64_t sum = pseudo(&h, o->len - (uint32_t)before);

	memcpy(parts, o->iov, o->n_iov * sizeof(parts[0]));
	parts[0].iov_base = h.transport;
	parts[0].iov_len -= before;
	bt_put16(field, 0);
	sum = bt_csum_parts(sum, parts, o->n_iov);
	if (h.proto == BERTH_TCP)
		bt_csum_put(field, sum);
	else
		bt_udp_csum_put(field, sum);
	o->checksum = 0;
}

static void copy(struct berth_output *one, const struct berth_output *packet, uint16_t n_iov,
		 size_t header)
{
	size_t at = (size_t)((const uint8_t *)packet->iov[0].iov_base - packet->header);

	one->i = packet->i;
	one->n_iov = n_iov;
	one->segment = 0;
	one->checksum = packet->checksum;
	memcpy(one->header + at, packet->header + at, header);
	one->iov[0] = (struct iovec){one->header + at, header};
}

void berth_cut_begin(struct berth_cut *c, const struct berth_output *packet, bool ethernet)
{
	*c = (struct berth_cut){.packet = packet, .ether = ethernet ? BT_ETHER_HEADER : 0};
}

/* So many bytes of the payload from where the last ones ended, as parts 1 and on. */
static void payload(struct berth_cut *c, struct berth_output *one, uint32_t n)
{
	const struct berth_output *p = c->packet;

	while (n > 0) {
		const struct iovec *v = &p->iov[c->part];
		size_t left = v->iov_len - c->part_at, take = n < left ? n : left;

		if (take > 0)
			one->iov[one->n_iov++] =
				(struct iovec){(uint8_t *)v->iov_base + c->part_at, take};
		n -= (uint32_t)take;
		c->part_at += (uint32_t)take;
		if (take == left) {
			c->part++;
			c->part_at = 0;
		}
	}
}

/* Linux's tcp_gso_segment: what the first and what the last alone says. */
static void mend_tcp(uint8_t *t, uint32_t at, bool last)
{
	uint32_t urgent = bt_get16(t + 18);

	bt_put32(t + 4, bt_get32(t + 4) + at);
	if (at > 0)
		t[13] &= (uint8_t)~BT_CWR;
	if (!last)
		t[13] &= (uint8_t) ~(BT_FIN | BT_PSH);
	if (!(t[13] & BT_URG) || at == 0)
		return;
	if (urgent > at) {
		bt_put16(t + 18, (uint16_t)(urgent - at));
	} else {
		t[13] &= (uint8_t)~BT_URG;
		bt_put16(t + 18, 0);
	}
}

static void mend_ip(const struct head *h, uint32_t len, uint16_t n)
{
	if (!h->v4) {
		bt_put16(h->ip + 4, (uint16_t)(len - BT_IPV6_HEADER));
		return;
	}
	bt_put16(h->ip + 2, (uint16_t)len);
	bt_put16(h->ip + 4, (uint16_t)(bt_get16(h->ip + 4) + n));
	bt_put16(h->ip + 10, 0);
	bt_csum_put(h->ip + 10, bt_csum_add(0, h->ip, (size_t)(h->transport - h->ip)));
}

static bool whole(struct berth_cut *c, struct berth_output *one)
{
	const struct berth_output *p = c->packet;

	if (c->n > 0)
		return false;
	c->n = 1;
	copy(one, p, p->n_iov, p->iov[0].iov_len);
	memcpy(one->iov + 1, p->iov + 1, (p->n_iov - 1u) * sizeof(p->iov[0]));
	one->len = p->len;
	if (p->checksum != 0)
		finish(c, one);
	return true;
}

bool berth_cut_next(struct berth_cut *c, struct berth_output *one)
{
	const struct berth_output *p = c->packet;
	struct head h;
	uint32_t header, n;

	if (p->segment == 0)
		return whole(c, one);
	h = head_of(c, p);
	header = (uint32_t)(h.transport - (uint8_t *)p->iov[0].iov_base) +
		 (uint32_t)(h.transport[12] >> 4) * 4;
	bt_assert(header <= p->iov[0].iov_len && header < p->len);
	if (c->n == 0)
		c->part_at = header;
	n = p->len - header - c->at;
	if (n == 0)
		return false;
	n = n < p->segment ? n : p->segment;
	copy(one, p, 1, header);
	payload(c, one, n);
	one->len = header + n;
	h = head_of(c, one);
	mend_tcp(h.transport, c->at, header + c->at + n == p->len);
	mend_ip(&h, one->len - c->ether, c->n++);
	c->at += n;
	finish(c, one);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions to packets of the peer. */
#include "script.h"

static uint8_t *put_option(uint8_t *p, unsigned kind, unsigned len)
{
	*p++ = (uint8_t)kind;
	*p++ = (uint8_t)len;
	return p;
}

static uint8_t *put_options(const struct flow *f, const struct desc *d, uint8_t *p)
{
	uint8_t *start = p;

	if (d->has & MSS)
		p = put16(put_option(p, 2, 4), d->mss);
	if (d->has & SACKOK)
		p = put_option(p, 4, 2);
	if (d->has & TS) {
		uint32_t base = d->flags & ACK ? f->host_ts : 0;
		p = put32(put32(put_option(p, 8, 10), d->ts_val), d->ts_ecr + base);
	}
	if (d->has & WSCALE) {
		p = put_option(p, 3, 3);
		*p++ = (uint8_t)d->wscale;
	}
	if (d->has & SACK)
		p = put_option(p, 5, 2 + 8 * d->n_sack);
	for (unsigned i = 0; i < d->n_sack; i++)
		p = put32(put32(p, f->host_isn + d->sack[i][0]), f->host_isn + d->sack[i][1]);
	if (d->has & FASTOPEN) {
		p = put_option(p, 34, 2 + d->n_cookie);
		memcpy(p, d->cookie, d->n_cookie);
		p += d->n_cookie;
	}
	memcpy(p, d->raw, d->n_raw);
	p += d->n_raw;
	while ((p - start) % 4 != 0)
		*p++ = 1;
	return p;
}

/* Payload of a stream: its first byte has sequence number 1. */
static uint8_t *put_payload(uint8_t *p, uint32_t at, uint32_t len)
{
	while (len-- > 0)
		*p++ = pattern(at++);
	return p;
}

static size_t build_tcp(const struct flow *f, const struct desc *d, uint8_t *p)
{
	uint8_t *start = p, *end;

	p = put16(put16(p, f->peer_port), f->host_port);
	p = put32(p, PEER_ISN + d->seq);
	p = put32(p, d->flags & ACK ? f->host_isn + d->ack : d->ack);
	p = put16(p, d->flags);
	p = put16(p, d->win == ANY ? 65535 : d->win);
	p = put16(put16(p, 0), d->urg);
	end = put_options(f, d, p);
	start[12] = (uint8_t)((end - start) / 4 << 4);
	return (size_t)(put_payload(end, d->seq - 1 + !!(d->flags & SYN), d->len) - start);
}

static size_t build_icmp(const struct script *s, const struct flow *f, const struct desc *d,
			 uint8_t *p)
{
	bool echo = d->type == 8 || d->type == 128 || d->type == 0 || d->type == 129;
	size_t head = s->ip == 4 ? 20 : 40, quote = f->last_len;

	put32(put32(p, d->type << 24 | d->code << 16), d->mtu);
	if (echo)
		return (size_t)(put_payload(p + 8, 0, d->len) - p);
	if (quote < head + 8)
		fail(s, "no packet was sent that could be quoted");
	quote = s->ip == 4 ? head + 8 : quote;
	memcpy(p + 8, f->last, quote);
	if (d->quoted_seq != ANY)
		put32(p + 8 + head + 4, f->host_isn + d->quoted_seq);
	return 8 + quote;
}

/* What IP carries: its length. */
static size_t build_body(const struct script *s, const struct desc *d, const struct berth_addr *src,
			 const struct berth_addr *dst, uint8_t *p)
{
	const struct flow *f = &s->flows[d->flow];
	size_t len, sum_at;
	uint16_t sum;

	if (d->proto == IP_TCP) {
		len = build_tcp(f, d, p);
		sum_at = 16;
	} else if (d->proto == IP_UDP) {
		len = 8 + d->len;
		put16(put16(put16(put16(p, f->peer_port), f->host_port), (uint32_t)len), 0);
		put_payload(p + 8, 0, d->len);
		sum_at = 6;
	} else if (d->proto == ICMP) {
		len = d->nd ? nd_build(s, d, p) : build_icmp(s, f, d, p);
		sum_at = 2;
	} else {
		put_payload(p, 0, d->len);
		return d->len;
	}
	sum = checksum(s, d->proto, src, dst, p, len);
	put16(p + sum_at, d->bad_checksum ? sum ^ 0x5555u : sum);
	return len;
}

static unsigned ip_proto(const struct script *s, const struct desc *d)
{
	if (d->proto == NO_PROTO)
		return 253; /* RFC 3692: for experiments */
	return d->proto == ICMP && s->ip == 6 ? (unsigned)ICMPV6 : d->proto;
}

static size_t put_ipv4(const struct script *s, const struct desc *d, const struct berth_addr *src,
		       const struct berth_addr *dst, size_t len, bool more, uint8_t *p)
{
	size_t head = 20 + (d->n_ip_raw + 3) / 4 * 4;

	memset(p, 0, head);
	p[0] = (uint8_t)((d->ip_version ? d->ip_version : 4) << 4 | head / 4);
	p[1] = d->tos == ANY ? 0 : (uint8_t)d->tos;
	put16(p + 2, d->ip_length ? d->ip_length : (uint32_t)(head + len));
	put16(p + 4, d->frag ? d->frag_id : 0);
	put16(p + 6, (d->df ? 0x4000u : 0) | (more ? 0x2000u : 0) | d->frag_from / 8);
	p[8] = d->ttl == ANY ? 64 : (uint8_t)d->ttl;
	p[9] = (uint8_t)ip_proto(s, d);
	memcpy(p + 12, src->b + 12, 4);
	memcpy(p + 16, dst->b + 12, 4);
	memcpy(p + 20, d->ip_raw, d->n_ip_raw);
	put16(p + 10, checksum(s, 0, NULL, NULL, p, head) ^ (d->bad_ip_checksum ? 0x5555u : 0));
	return head;
}

/* Its extension headers are the one that is named, then the fragment header. */
static size_t put_ipv6(const struct script *s, const struct desc *d, const struct berth_addr *src,
		       const struct berth_addr *dst, size_t len, bool more, uint8_t *p)
{
	uint8_t *next = p + 6, *at = p + 40;

	put32(p, (d->ip_version ? d->ip_version : 6) << 28 | (d->tos == ANY ? 0 : d->tos) << 20);
	p[7] = d->ttl != ANY ? (uint8_t)d->ttl : d->nd ? 255 : 64;
	memcpy(p + 8, src->b, 16);
	memcpy(p + 24, dst->b, 16);
	if (d->n_ip_raw > 0) {
		*next = d->ip_raw[0];
		memcpy(at, d->ip_raw + 1, d->n_ip_raw - 1);
		next = at;
		at += d->n_ip_raw - 1;
	}
	if (d->frag) {
		*next = 44;
		put32(put32(at, d->frag_from | more), d->frag_id);
		next = at;
		at += 8;
	}
	*next = (uint8_t)ip_proto(s, d);
	put16(p + 4, d->ip_length ? d->ip_length : (uint32_t)((size_t)(at - p) - 40 + len));
	return (size_t)(at - p);
}

size_t packet_build(struct script *s, const struct desc *d, uint8_t *packet)
{
	static uint8_t body[PACKET_BYTES];
	struct berth_addr src = d->has_from ? d->from : s->peer_addr;
	struct berth_addr dst = d->has_to ? d->to : s->host_addr;
	size_t before = s->ethernet ? ethernet_build(s, d, packet) : 0, len, from = 0, to;
	uint8_t *p = packet + before;

	if (d->proto == ARP)
		return before + arp_build(s, d, p);
	len = to = build_body(s, d, &src, &dst, body);
	if (d->frag) {
		from = d->frag_from;
		to = d->frag_to;
		if (from > to || to > len)
			fail(s, "the packet has %zu bytes to make fragments of", len);
	}
	p += (s->ip == 4 ? put_ipv4 : put_ipv6)(s, d, &src, &dst, to - from,
						d->frag && (to < len || d->more), p);
	memcpy(p, body + from, to - from);
	len = (size_t)(p - packet) + to - from;
	return d->cut != 0 && d->cut + before < len ? d->cut + before : len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the host's packets apart; whatever is not well formed is a failure. */
#include "script.h"

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

uint16_t checksum(const struct script *s, unsigned proto, const struct berth_addr *src,
		  const struct berth_addr *dst, const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	if (proto != 0 && (proto != ICMP || s->ip == 6)) {
		size_t skip = s->ip == 4 ? 12 : 0;
		sum = sum16(sum, src->b + skip, 16 - skip);
		sum = sum16(sum, dst->b + skip, 16 - skip);
		sum += (uint32_t)len + (proto == ICMP ? (uint32_t)ICMPV6 : proto);
	}
	sum = sum16(sum, data, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void check_payload(const struct script *s, const uint8_t *p, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != pattern(at + i))
			fail(s, "byte %u of the payload is wrong", i);
}

static void options(struct script *s, struct flow *f, const uint8_t *p, const uint8_t *end,
		    struct desc *d)
{
	while (p < end && p[0] != 0) {
		unsigned kind = p[0], len;

		if (kind == 1) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			fail(s, "option %u of the host's segment is malformed", kind);
		len = p[1];
		if (kind == 2 && len == 4) {
			d->has |= MSS;
			d->mss = get16(p + 2);
		} else if (kind == 3 && len == 3) {
			d->has |= WSCALE;
			d->wscale = p[2];
		} else if (kind == 4 && len == 2) {
			d->has |= SACKOK;
		} else if (kind == 5 && len % 8 == 2 && len >= 10) {
			d->has |= SACK;
			for (const uint8_t *b = p + 2; b < p + len; b += 8, d->n_sack++) {
				d->sack[d->n_sack][0] = get32(b) - PEER_ISN;
				d->sack[d->n_sack][1] = get32(b + 4) - PEER_ISN;
			}
		} else if (kind == 8 && len == 10) {
			d->has |= TS;
			if (!f->ts_known) {
				f->host_ts = get32(p + 2);
				f->ts_known = true;
			}
			d->ts_val = get32(p + 2) - f->host_ts;
			d->ts_ecr = get32(p + 6);
		} else if (kind == 34 && len <= 2 + sizeof(d->cookie)) {
			d->has |= FASTOPEN;
			d->n_cookie = len - 2;
			memcpy(d->cookie, p + 2, d->n_cookie);
			d->has_cookie = len == 2 ? EMPTY : BYTES;
		} else {
			d->has |= UNKNOWN;
		}
		p += len;
	}
}

static void tcp(struct script *s, struct flow *f, const uint8_t *p, size_t len, struct desc *d)
{
	size_t head;

	if (len < 20 || (head = (size_t)(p[12] >> 4) * 4) < 20 || head > len)
		fail(s, "the host sent a TCP header of a wrong length");
	d->flags = p[13];
	if (d->flags & SYN && !f->isn_known) {
		f->host_isn = get32(p + 4);
		f->isn_known = true;
	}
	/* Without a connection (an answer to what belongs to none) numbers are as they are. */
	d->seq = get32(p + 4) - f->host_isn;
	d->ack = d->flags & ACK ? get32(p + 8) - PEER_ISN : 0;
	d->win = get16(p + 14);
	d->urg = d->flags & URG ? get16(p + 18) : 0;
	d->len = (uint32_t)(len - head);
	options(s, f, p + 20, p + head, d);
	check_payload(s, p + head, d->seq - 1 + !!(d->flags & SYN), d->len);
}

/* Its length; data of what follows are p[head..len). */
static size_t ip_header(const struct script *s, const uint8_t *p, size_t len, struct desc *d)
{
	size_t head = 40;

	d->from = s->host_addr;
	d->to = s->peer_addr;
	d->has_from = d->has_to = true;
	if (s->ip == 4) {
		if (len < 20 || p[0] != 0x45 || get16(p + 2) != len)
			fail(s, "the host sent a wrong IPv4 header");
		if (checksum(s, 0, NULL, NULL, p, 20) != 0)
			fail(s, "the host sent a wrong IPv4 checksum");
		d->proto = p[9];
		d->tos = p[1];
		d->ttl = p[8];
		d->df = p[6] & 0x40;
		d->more = p[6] & 0x20;
		d->frag_id = get16(p + 4);
		d->frag_from = (get16(p + 6) & 0x1fff) * 8;
		memcpy(d->from.b + 12, p + 12, 4);
		memcpy(d->to.b + 12, p + 16, 4);
		head = 20;
	} else {
		if (len < 40 || p[0] >> 4 != 6 || get16(p + 4) != len - 40)
			fail(s, "the host sent a wrong IPv6 header");
		d->proto = p[6];
		d->tos = get16(p) >> 4 & 0xff;
		d->ttl = p[7];
		memcpy(d->from.b, p + 8, 16);
		memcpy(d->to.b, p + 24, 16);
		if (p[6] == 44 && len >= 48) {
			d->proto = p[40];
			d->frag_from = get16(p + 42) & 0xfff8;
			d->more = p[43] & 1;
			d->frag_id = get32(p + 44);
			head = 48;
		}
		d->proto = d->proto == ICMPV6 ? (unsigned)ICMP : d->proto;
	}
	d->frag = d->more || d->frag_from != 0;
	d->frag_to = d->frag_from + (uint32_t)(len - head);
	return head;
}

static struct flow *flow_of(struct script *s, unsigned host_port, unsigned peer_port,
			    struct desc *d)
{
	for (d->flow = 0; d->flow < s->n_flows; d->flow++)
		if (s->flows[d->flow].host_port == host_port &&
		    s->flows[d->flow].peer_port == peer_port)
			return &s->flows[d->flow];
	fail(s, "the host sent a packet from port %u to port %u, which is no flow", host_port,
	     peer_port);
}

/* A part of a datagram: only of the first one is it known whose it is. */
static void fragment(struct script *s, const uint8_t *p, size_t len, struct desc *d)
{
	if (d->frag_from == 0 && d->proto == IP_UDP && len >= 8)
		(void)flow_of(s, get16(p), get16(p + 2), d);
	if (d->proto == IP_UDP && d->frag_from > 0)
		check_payload(s, p, d->frag_from - 8, (uint32_t)len);
}

static void icmp(struct script *s, const uint8_t *p, size_t len, struct desc *d)
{
	d->type = p[0];
	d->code = p[1];
	d->mtu = s->ip == 4 ? (d->type == 3 && d->code == 4 ? get32(p + 4) : 0)
			    : (d->type == 2 ? get32(p + 4) : 0);
	d->len = (uint32_t)len - 8;
	if (s->ip == 6 && (d->type == 135 || d->type == 136))
		nd_decode(s, p, len, d);
}

void packet_decode(struct script *s, const uint8_t *packet, size_t len, struct desc *d)
{
	const uint8_t *p;
	struct flow *f;
	size_t head;

	*d = (struct desc){.win = ANY, .quoted_seq = ANY, .mac = ANY};
	if (s->ethernet) {
		if (ethernet_decode(s, packet, len, d))
			return;
		packet += ETHERNET;
		len -= ETHERNET;
	}
	head = ip_header(s, packet, len, d);
	p = packet + head;
	len -= head;
	if (d->frag) {
		fragment(s, p, len, d);
		return;
	}
	if (len < 8)
		fail(s, "the host sent a packet shorter than its header");
	if (checksum(s, d->proto, &d->from, &d->to, p, len) != 0 &&
	    !(d->proto == IP_UDP && get16(p + 6) == 0))
		fail(s, "the host sent a wrong checksum");
	if (d->proto == ICMP) {
		icmp(s, p, len, d);
		return;
	}
	f = flow_of(s, get16(p), get16(p + 2), d);
	f->last_len = len + head < sizeof(f->last) ? len + head : sizeof(f->last);
	memcpy(f->last, packet, f->last_len);
	if (d->proto == IP_TCP) {
		tcp(s, f, p, len, d);
	} else {
		d->len = (uint32_t)len - 8;
		check_payload(s, p + 8, 0, d->len);
	}
}

static bool same(uint32_t expected, uint32_t came)
{
	return expected == ANY || expected == came;
}

static bool tcp_matches(const struct desc *e, const struct desc *c, uint32_t slack_ms)
{
	unsigned has = e->has & ~(unsigned)OTHERS;

	/* PSH is the sender's to choose, RFC 9293 3.9.1.2; it counts where it is named. */
	if ((e->flags | PSH) != (c->flags | PSH) || (e->flags & PSH & ~c->flags))
		return false;
	if (!same(e->seq, c->seq) || !same(e->ack, c->ack) || !same(e->win, c->win) ||
	    !same(e->urg, c->urg))
		return false;
	if (e->has & OTHERS ? (has & ~c->has) != 0 : has != c->has)
		return false;
	if (has & MSS && !same(e->mss, c->mss))
		return false;
	if (has & WSCALE && !same(e->wscale, c->wscale))
		return false;
	if (has & TS && ((e->ts_val != ANY && e->ts_val - c->ts_val + slack_ms > 2 * slack_ms) ||
			 !same(e->ts_ecr, c->ts_ecr)))
		return false;
	/* given: any that is one; the script may use it afterwards */
	if (has & FASTOPEN &&
	    (e->has_cookie == GIVEN ? c->n_cookie < 4
				    : e->n_cookie != c->n_cookie ||
					      memcmp(e->cookie, c->cookie, e->n_cookie) != 0))
		return false;
	return !(has & SACK) ||
	       (e->n_sack == c->n_sack && memcmp(e->sack, c->sack, sizeof(e->sack)) == 0);
}

static bool ip_matches(const struct script *s, const struct desc *e, const struct desc *c)
{
	if (!addr_eq(e->has_from ? &e->from : &s->host_addr, &c->from) ||
	    !addr_eq(e->has_to ? &e->to : &s->peer_addr, &c->to))
		return false;
	if (!same(e->tos, c->tos) || !same(e->ttl, c->ttl) || (e->df && !c->df))
		return false;
	return e->frag == c->frag &&
	       (!e->frag || (same(e->frag_id, c->frag_id) && e->frag_from == c->frag_from &&
			     e->frag_to == c->frag_to && e->more == c->more));
}

bool desc_matches(const struct script *s, const struct desc *e, const struct desc *c,
		  uint32_t slack_ms)
{
	if (e->proto != c->proto || e->nd != c->nd)
		return false;
	if (e->proto == ARP || e->nd)
		return neighbour_matches(s, e, c);
	if (!ip_matches(s, e, c))
		return false;
	if (e->frag)
		return true;
	if (!same(e->len, c->len) || (e->proto != ICMP && e->flow != c->flow))
		return false;
	if (e->proto == ICMP)
		return e->type == c->type && e->code == c->code && same(e->mtu, c->mtu);
	return e->proto != IP_TCP || tcp_matches(e, c, slack_ms);
}

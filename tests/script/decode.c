/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the host's packets apart; whatever is not well formed is a failure. */
#include "script.h"

#include <string.h>

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

/* RFC 1071; proto 0: of an IPv4 header alone. ICMP of IPv4 has no pseudo-header, ICMPv6 has. */
uint16_t checksum(const struct script *s, bool from_host, unsigned proto, const uint8_t *data,
		  size_t len)
{
	uint32_t sum = 0;

	(void)from_host; /* the sum does not depend on which is which */
	if (proto != 0 && (proto != 1 || s->ip == 6)) {
		size_t skip = s->ip == 4 ? 12 : 0;
		sum = sum16(sum, s->host_addr.b + skip, 16 - skip);
		sum = sum16(sum, s->peer_addr.b + skip, 16 - skip);
		sum += (uint32_t)len + (proto == 1 ? 58 : proto);
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
		} else {
			d->has |= kind == 34 ? FASTOPEN : UNKNOWN;
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

static void ip_header(const struct script *s, const uint8_t *packet, size_t len, struct desc *d)
{
	if (s->ip == 4) {
		if (len < 20 || packet[0] != 0x45 || get16(packet + 2) != len)
			fail(s, "the host sent a wrong IPv4 header");
		if (checksum(s, true, 0, packet, 20) != 0)
			fail(s, "the host sent a wrong IPv4 checksum");
		d->proto = packet[9];
		d->tos = packet[1];
		d->ttl = packet[8];
		return;
	}
	if (len < 40 || packet[0] >> 4 != 6 || get16(packet + 4) != len - 40)
		fail(s, "the host sent a wrong IPv6 header");
	d->proto = packet[6] == 58 ? 1 : packet[6];
	d->tos = get16(packet) >> 4 & 0xff;
	d->ttl = packet[7];
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

void packet_decode(struct script *s, const uint8_t *packet, size_t len, struct desc *d)
{
	size_t head = s->ip == 4 ? 20 : 40;
	const uint8_t *p = packet + head;
	struct flow *f;

	*d = (struct desc){.win = ANY, .quoted_seq = ANY};
	ip_header(s, packet, len, d);
	len -= head;
	if (len < 8)
		fail(s, "the host sent a packet shorter than its header");
	if (checksum(s, true, d->proto, p, len) != 0 && !(d->proto == 17 && get16(p + 6) == 0))
		fail(s, "the host sent a wrong checksum");
	if (d->proto == 1) {
		d->type = p[0];
		d->code = p[1];
		d->mtu = d->type == 3 && d->code == 4 ? get32(p + 4) : 0;
		d->len = (uint32_t)len - 8;
		return;
	}
	f = flow_of(s, get16(p), get16(p + 2), d);
	f->last_len = len + head < sizeof(f->last) ? len + head : sizeof(f->last);
	memcpy(f->last, packet, f->last_len);
	if (d->proto == 6) {
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

bool desc_matches(const struct desc *e, const struct desc *c, uint32_t slack_ms)
{
	unsigned has = e->has & ~(unsigned)OTHERS;

	if (e->proto != c->proto || (e->proto != 1 && e->flow != c->flow))
		return false;
	if (!same(e->tos, c->tos) || !same(e->ttl, c->ttl) || !same(e->len, c->len))
		return false;
	if (e->proto == 1)
		return e->type == c->type && e->code == c->code && same(e->mtu, c->mtu);
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
	return !(has & SACK) ||
	       (e->n_sack == c->n_sack && memcmp(e->sack, c->sack, sizeof(e->sack)) == 0);
}

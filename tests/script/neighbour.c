/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet, ARP (RFC 826) and neighbour discovery (RFC 4861), to and from bytes. */
#include "script.h"

void put_mac(uint8_t *p, uint32_t last)
{
	memset(p, 0, 6);
	p[0] = 2;
	p[5] = (uint8_t)last;
}

static uint32_t mac_of(const struct script *s, const uint8_t *p)
{
	static const uint8_t ours[5] = {2};

	if (memcmp(p, ours, sizeof(ours)) != 0)
		fail(s, "the host names a station that is none");
	return p[5];
}

static bool is_group(const uint8_t *p)
{
	return p[0] & 1;
}

size_t ethernet_build(const struct script *s, const struct desc *d, uint8_t *frame)
{
	const uint8_t *to = d->to.b;

	put_mac(frame, HOST_MAC);
	if (d->proto == ARP && d->type == 1 && !d->unicast) {
		memset(frame, 0xff, 6);
	} else if (d->has_to && to[0] == 0xff) { /* RFC 2464 7 */
		memset(frame, 0x33, 2);
		memcpy(frame + 2, to + 12, 4);
	} else if (d->has_to && s->ip == 4 && to[12] >> 4 == 14) { /* RFC 1112 6.4 */
		put32(frame, 0x01005e00);
		memcpy(frame + 3, to + 13, 3);
		frame[3] &= 0x7f;
	}
	put_mac(frame + 6, d->mac == ANY || d->mac == 0 ? PEER_MAC : d->mac);
	put16(frame + 12, d->proto == ARP ? 0x0806 : s->ip == 4 ? 0x0800 : 0x86dd);
	return ETHERNET;
}

size_t arp_build(const struct script *s, const struct desc *d, uint8_t *p)
{
	const struct berth_addr *from = d->has_from ? &d->from : &s->peer_addr;
	const struct berth_addr *target = d->has_target ? &d->target : &s->host_addr;

	put16(put32(put16(p, 1), 0x08000604), d->type);
	put_mac(p + 8, d->mac == ANY ? PEER_MAC : d->mac);
	memcpy(p + 14, from->b + 12, 4);
	memset(p + 18, 0, 6);
	if (d->type == 2)
		put_mac(p + 18, HOST_MAC);
	memcpy(p + 24, target->b + 12, 4);
	return d->cut != 0 ? d->cut : 28;
}

size_t nd_build(const struct script *s, const struct desc *d, uint8_t *p)
{
	bool solicit = d->type == 135;
	const struct berth_addr *target = d->has_target ? &d->target
					  : solicit	? &s->host_addr
							: &s->peer_addr;

	put32(put32(p, d->type << 24 | d->code << 16), (d->router ? 1u << 31 : 0) |
							       (d->solicited ? 1u << 30 : 0) |
							       (d->override ? 1u << 29 : 0));
	memcpy(p + 8, target->b, 16);
	if (d->mac == 0)
		return 24;
	p[24] = solicit ? 1 : 2;
	p[25] = 1;
	put_mac(p + 26, d->mac == ANY ? PEER_MAC : d->mac);
	return 32;
}

static void arp_decode(const struct script *s, const uint8_t *p, struct desc *d)
{
	if (get16(p) != 1 || get32(p + 2) != 0x08000604)
		fail(s, "the host sent ARP of another kind");
	d->proto = ARP;
	d->type = get16(p + 6);
	d->mac = mac_of(s, p + 8);
	d->from = d->target = s->host_addr;
	d->has_from = d->has_target = true;
	memcpy(d->from.b + 12, p + 14, 4);
	memcpy(d->target.b + 12, p + 24, 4);
}

bool ethernet_decode(const struct script *s, const uint8_t *frame, size_t len, struct desc *d)
{
	bool arp = len >= ETHERNET + 28 && get16(frame + 12) == 0x0806;

	if (len < ETHERNET || (!arp && get16(frame + 12) != (s->ip == 4 ? 0x0800u : 0x86ddu)))
		fail(s, "the host sent a frame of another kind");
	if (mac_of(s, frame + 6) != HOST_MAC)
		fail(s, "the host sent a frame with another station's address");
	d->unicast = !is_group(frame);
	if (d->unicast)
		d->mac = mac_of(s, frame); /* of ARP and ND it is the one that they name */
	if (arp)
		arp_decode(s, frame + ETHERNET, d);
	return arp;
}

void nd_decode(const struct script *s, const uint8_t *p, size_t len, struct desc *d)
{
	if (len != 24 && len != 32)
		fail(s, "the host sent a neighbour message of a wrong length");
	if (d->ttl != 255)
		fail(s, "the host sent a neighbour message with a hop limit other than 255");
	d->nd = true;
	d->router = p[4] & 0x80;
	d->solicited = p[4] & 0x40;
	d->override = p[4] & 0x20;
	memcpy(d->target.b, p + 8, 16);
	d->has_target = true;
	d->mac = len == 32 ? mac_of(s, p + 26) : 0;
}

/* The usual: the host asks for the peer, and answers for itself. */
bool neighbour_matches(const struct script *s, const struct desc *e, const struct desc *c)
{
	bool asks = e->type == 1 || e->type == 135;
	const struct berth_addr *target = e->proto == ARP || asks ? &s->peer_addr : &s->host_addr;

	if (e->type != c->type || e->unicast != (c->unicast && asks))
		return false;
	if (!addr_eq(e->has_from ? &e->from : &s->host_addr, &c->from) ||
	    !addr_eq(e->has_target ? &e->target : target, &c->target))
		return false;
	if (c->mac != (e->mac == ANY ? HOST_MAC : e->mac))
		return false;
	return e->proto == ARP || (e->router == c->router && e->solicited == c->solicited &&
				   e->override == c->override);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* libpcap's savefile format (pcap-savefile(5)) and pcapng (draft-ietf-opsawg-pcapng). */
#include "capture.h"

#include "wide.h"

#include <string.h>

enum block { SECTION = 0x0a0d0d0a, INTERFACE = 1, SIMPLE = 3, PACKET = 6 };

#define MICROSECONDS 6
#define NANOSECONDS  9

static uint32_t get32(const struct bt_capture *c, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return c->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t get16(const struct bt_capture *c, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return c->swapped ? __builtin_bswap16(v) : v;
}

static bool open_pcap(struct bt_capture *c)
{
	uint32_t magic;

	if (c->len < 24)
		return false;
	memcpy(&magic, c->data, sizeof(magic));
	c->swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	magic = get32(c, c->data);
	if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d)
		return false;
	c->n_interfaces = 1;
	c->interfaces[0].linktype = (uint16_t)get32(c, c->data + 20);
	c->interfaces[0].tsresol = magic == 0xa1b23c4d ? NANOSECONDS : MICROSECONDS;
	c->at = 24;
	return true;
}

bool bt_capture_open(struct bt_capture *c, const void *data, size_t len)
{
	*c = (struct bt_capture){.data = data, .len = len};
	if (len >= 12 && get32(c, c->data) == SECTION) {
		c->ng = true;
		return true;
	}
	return open_pcap(c);
}

static int next_pcap(struct bt_capture *c, struct bt_capture_packet *packet)
{
	const uint8_t *p = c->data + c->at;
	uint64_t fraction;

	if (c->at == c->len)
		return 0;
	if (c->len - c->at < 16 || get32(c, p + 8) > c->len - c->at - 16)
		return -1;
	fraction = get32(c, p + 4);
	*packet = (struct bt_capture_packet){
		.linktype = c->interfaces[0].linktype,
		.time_ns = get32(c, p) * (uint64_t)1000000000 +
			   (c->interfaces[0].tsresol == NANOSECONDS ? fraction : fraction * 1000),
		.data = p + 16,
		.len = get32(c, p + 8),
		.original = get32(c, p + 12),
	};
	c->at += 16 + packet->len;
	return 1;
}

static uint64_t to_ns(uint64_t t, uint8_t tsresol)
{
	bt_wide ns = t;

	if (tsresol & 0x80)
		return (uint64_t)(ns * 1000000000u >> (tsresol & 0x7f));
	for (; tsresol < NANOSECONDS; tsresol++)
		ns *= 10;
	for (; tsresol > NANOSECONDS && ns > 0; tsresol--)
		ns /= 10;
	return (uint64_t)ns;
}

/* A section begins: its byte order, and no interface yet. */
static bool section(struct bt_capture *c, const uint8_t *p, size_t left)
{
	uint32_t order;

	if (left < 28)
		return false;
	memcpy(&order, p + 8, sizeof(order));
	c->n_interfaces = 0;
	c->swapped = order == 0x4d3c2b1a;
	return order == 0x1a2b3c4d || order == 0x4d3c2b1a;
}

static bool interface(struct bt_capture *c, const uint8_t *body, uint32_t len)
{
	struct bt_capture_interface *i;
	uint32_t at = 8;

	if (len < 8)
		return false;
	if (c->n_interfaces++ >= BT_CAPTURE_INTERFACES)
		return true;
	i = &c->interfaces[c->n_interfaces - 1];
	i->linktype = get16(c, body);
	i->tsresol = MICROSECONDS;
	while (len - at >= 4) {
		uint16_t code = get16(c, body + at), size = get16(c, body + at + 2);

		at += 4;
		if (code == 0 || size > len - at)
			break;
		if (code == 9 && size == 1)
			i->tsresol = body[at];
		at += (uint32_t)(size + 3) & ~3u;
		if (at > len)
			break;
	}
	return true;
}

/* 1: a packet, 0: one of an interface that is not known, -1: broken. */
static int enhanced(const struct bt_capture *c, const uint8_t *body, uint32_t len,
		    struct bt_capture_packet *packet)
{
	const struct bt_capture_interface *i;
	uint32_t number;

	if (len < 20 || get32(c, body + 12) > len - 20)
		return -1;
	number = get32(c, body);
	if (number >= c->n_interfaces || number >= BT_CAPTURE_INTERFACES)
		return 0;
	i = &c->interfaces[number];
	*packet = (struct bt_capture_packet){
		.interface = number,
		.linktype = i->linktype,
		.time_ns =
			to_ns((uint64_t)get32(c, body + 4) << 32 | get32(c, body + 8), i->tsresol),
		.data = body + 20,
		.len = get32(c, body + 12),
		.original = get32(c, body + 16),
	};
	return 1;
}

static int simple(const struct bt_capture *c, const uint8_t *body, uint32_t len,
		  struct bt_capture_packet *packet)
{
	uint32_t original;

	if (len < 4)
		return -1;
	if (c->n_interfaces == 0)
		return 0;
	original = get32(c, body);
	*packet = (struct bt_capture_packet){
		.linktype = c->interfaces[0].linktype,
		.data = body + 4,
		.len = original < len - 4 ? original : len - 4,
		.original = original,
	};
	return 1;
}

static int next_ng(struct bt_capture *c, struct bt_capture_packet *packet)
{
	while (c->at < c->len) {
		const uint8_t *p = c->data + c->at;
		size_t left = c->len - c->at;
		uint32_t type, len;
		int found = 0;

		if (left < 12)
			return -1;
		type = get32(c, p);
		if (type == SECTION && !section(c, p, left))
			return -1;
		len = get32(c, p + 4);
		if (len < 12 || len % 4 != 0 || len > left || get32(c, p + len - 4) != len)
			return -1;
		if (type == INTERFACE && !interface(c, p + 8, len - 12))
			return -1;
		if (type == PACKET)
			found = enhanced(c, p + 8, len - 12, packet);
		else if (type == SIMPLE)
			found = simple(c, p + 8, len - 12, packet);
		if (found < 0)
			return -1;
		c->at += len;
		if (found)
			return 1;
	}
	return 0;
}

int bt_capture_next(struct bt_capture *c, struct bt_capture_packet *packet)
{
	return c->ng ? next_ng(c, packet) : next_pcap(c, packet);
}

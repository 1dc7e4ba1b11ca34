/* SPDX-License-Identifier: Apache-2.0 */
/* A block is measured first and written only where it fits, so that nothing is ever half there. */
#include "pcapng.h"

#include <string.h>

enum block { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6 };
enum option { END = 0, COMMENT = 1, IF_NAME = 2, EPB_FLAGS = 2, USER_APPLICATION = 4, TSRESOL = 9 };

#define TEXT_MAX 1000
#define FRAME	 12u /* type, length, and the length again at the end */

struct out {
	uint8_t *at;
};

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static size_t text_len(const char *text)
{
	return text == NULL ? 0 : strnlen(text, TEXT_MAX);
}

/* Of an option with its head; 0 for a text that is not there. */
static size_t option_len(const char *text)
{
	return text == NULL ? 0 : 4 + padded(text_len(text));
}

static void put(struct out *o, const void *data, size_t len)
{
	if (len > 0)
		memcpy(o->at, data, len);
	memset(o->at + len, 0, padded(len) - len);
	o->at += padded(len);
}

static void put32(struct out *o, uint32_t v)
{
	put(o, &v, sizeof(v));
}

static void put16x2(struct out *o, uint16_t a, uint16_t b)
{
	uint16_t both[2] = {a, b};

	put(o, both, sizeof(both));
}

static void put_option(struct out *o, enum option code, const void *data, size_t len)
{
	put16x2(o, (uint16_t)code, (uint16_t)len);
	put(o, data, len);
}

static void put_text(struct out *o, enum option code, const char *text)
{
	if (text != NULL)
		put_option(o, code, text, text_len(text));
}

static struct out begin(void *block, enum block type, size_t len)
{
	struct out o = {block};

	put32(&o, (uint32_t)type);
	put32(&o, (uint32_t)len);
	return o;
}

static size_t finish(struct out *o, size_t len)
{
	put16x2(o, END, 0);
	put32(o, (uint32_t)len);
	return len;
}

size_t bt_pcapng_section(void *block, size_t room, const char *program)
{
	size_t len = FRAME + 16 + option_len(program) + 4;
	uint64_t unknown = UINT64_MAX; /* the section's length */
	struct out o;

	if (len > room)
		return len;
	o = begin(block, SECTION, len);
	put32(&o, 0x1a2b3c4d);
	put16x2(&o, 1, 0);
	put(&o, &unknown, sizeof(unknown));
	put_text(&o, USER_APPLICATION, program);
	return finish(&o, len);
}

size_t bt_pcapng_interface(void *block, size_t room, const char *name, enum bt_linktype type)
{
	size_t len = FRAME + 8 + option_len(name) + 8 + 4;
	uint8_t nanoseconds = 9;
	struct out o;

	if (len > room)
		return len;
	o = begin(block, INTERFACE, len);
	put16x2(&o, (uint16_t)type, 0);
	put32(&o, 0); /* packets are never cut */
	put_text(&o, IF_NAME, name);
	put_option(&o, TSRESOL, &nanoseconds, 1);
	return finish(&o, len);
}

static void put_parts(struct out *o, const struct iovec *parts, size_t n, size_t total)
{
	uint8_t *end = o->at + padded(total);

	for (size_t i = 0; i < n; o->at += parts[i++].iov_len)
		if (parts[i].iov_len > 0)
			memcpy(o->at, parts[i].iov_base, parts[i].iov_len);
	memset(o->at, 0, (size_t)(end - o->at));
	o->at = end;
}

size_t bt_pcapng_packet(void *block, size_t room, const struct bt_pcapng_packet *packet)
{
	size_t total = 0, len;
	uint32_t flags = (uint32_t)packet->way;
	struct out o;

	for (size_t i = 0; i < packet->n_parts; i++) {
		if (packet->parts[i].iov_len >= 0x80000000u - total)
			return 0;
		total += packet->parts[i].iov_len;
	}
	len = FRAME + 20 + padded(total) + option_len(packet->comment) + 8 + 4;
	if (len > room)
		return len;
	o = begin(block, PACKET, len);
	put32(&o, packet->interface);
	put32(&o, (uint32_t)(packet->time_ns >> 32));
	put32(&o, (uint32_t)packet->time_ns);
	put32(&o, (uint32_t)total);
	put32(&o, (uint32_t)total);
	put_parts(&o, packet->parts, packet->n_parts, total);
	put_text(&o, COMMENT, packet->comment);
	put_option(&o, EPB_FLAGS, &flags, sizeof(flags));
	return finish(&o, len);
}

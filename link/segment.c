/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include "../lib/base/bytes.h"
#include "../lib/base/checksum.h"

#include <string.h>

enum { FIN = 0x01, PSH = 0x08, URG = 0x20, CWR = 0x80 };
enum { TCP = 6, UDP = 17 };

#define DF 0x40

static bool is_v4(const struct bt_segments *s)
{
	return s->first[0] >> 4 == 4;
}

/* The bytes of all headers; 0: they are not all there. */
static uint32_t headers(const struct bt_segments *s, size_t len)
{
	uint32_t at = s->transport;

	if (at < (is_v4(s) ? 20u : 40u) || len < at + 8)
		return 0;
	if (s->proto == UDP)
		return at + 8;
	if (s->proto != TCP || len < at + 20)
		return 0;
	at += (uint32_t)(s->first[at + 12] >> 4) * 4;
	return at >= s->transport + 20 && at <= len ? at : 0;
}

bool bt_segments_begin(struct bt_segments *s, const struct iovec *parts, size_t n,
		       uint16_t segment, uint16_t checksum)
{
	size_t len = 0, head;

	if (n == 0 || n > BT_SEGMENT_PARTS)
		return false;
	for (size_t i = 0; i < n; i++)
		len += parts[i].iov_len;
	head = parts[0].iov_len < BT_SEGMENT_HEADER ? parts[0].iov_len : BT_SEGMENT_HEADER;
	*s = (struct bt_segments){.parts = parts, .n_parts = n, .more = true};
	if (checksum == 0) {
		s->payload = (uint32_t)len;
		return segment == 0;
	}
	if (head < 20)
		return false;
	memcpy(s->first, parts[0].iov_base, head);
	s->proto = s->first[is_v4(s) ? 9 : 6];
	s->transport = checksum;
	s->headers = headers(s, head);
	if (s->headers == 0 || (segment != 0 && s->proto != TCP))
		return false;
	s->finish = true;
	s->segment = segment;
	s->payload = (uint32_t)len - s->headers;
	s->skip = s->headers;
	return true;
}

/* The next len bytes of payload, as parts; their sum, each at an odd offset with its bytes swapped
 * (RFC 1071 2B). */
static uint64_t take(struct bt_segments *s, uint32_t len, struct iovec *out, size_t *n)
{
	uint64_t sum = 0;
	uint32_t at = 0;

	while (at < len) {
		const struct iovec *p = &s->parts[s->part];
		size_t here = p->iov_len - s->skip;
		uint8_t *data = (uint8_t *)p->iov_base + s->skip;

		if (here == 0) {
			s->part++;
			s->skip = 0;
			continue;
		}
		here = here < len - at ? here : len - at;
		out[(*n)++] = (struct iovec){data, here};
		if (s->finish && at & 1) {
			uint16_t part = (uint16_t)~bt_csum_fold(bt_csum_add(0, data, here));

			sum += (uint16_t)(part << 8 | part >> 8);
		} else if (s->finish) {
			sum = bt_csum_add(sum, data, here);
		}
		s->skip += here;
		at += (uint32_t)here;
	}
	return sum;
}

static void write_ip(struct bt_segments *s, uint32_t len, struct bt_addr *src, struct bt_addr *dst)
{
	uint8_t *h = s->header;

	if (!is_v4(s)) {
		bt_put16(h + 4, (uint16_t)(s->headers + len - 40));
		memcpy(src->b, h + 8, 16);
		memcpy(dst->b, h + 24, 16);
		return;
	}
	*src = *dst = (struct bt_addr){{[10] = 0xff, [11] = 0xff}};
	memcpy(src->b + 12, h + 12, 4);
	memcpy(dst->b + 12, h + 16, 4);
	bt_put16(h + 2, (uint16_t)(s->headers + len));
	if ((h[6] & DF) == 0)
		bt_put16(h + 4, (uint16_t)(bt_get16(h + 4) + s->k));
	bt_put16(h + 10, 0);
	bt_csum_put(h + 10, bt_csum_add(0, h, (h[0] & 15) * 4u));
}

static void write_tcp(const struct bt_segments *s, uint8_t *h, bool last)
{
	uint16_t urgent = bt_get16(h + 18);

	bt_put32(h + 4, bt_get32(h + 4) + s->done);
	if (!last)
		h[13] &= (uint8_t) ~(FIN | PSH);
	if (s->k > 0)
		h[13] &= (uint8_t)~CWR;
	if ((h[13] & URG) == 0 || urgent == UINT16_MAX) /* that far or further */
		return;
	if (urgent <= s->done)
		h[13] &= (uint8_t)~URG;
	bt_put16(h + 18, urgent <= s->done ? 0 : (uint16_t)(urgent - s->done));
}

bool bt_segments_next(struct bt_segments *s, struct iovec out[BT_SEGMENT_PARTS], size_t *n)
{
	uint32_t left = s->payload - s->done, len = left;
	struct bt_addr src, dst;
	uint64_t sum;
	uint8_t *h;

	if (!s->more)
		return false;
	if (s->segment != 0 && s->segment < left)
		len = s->segment;
	s->more = len < left;
	*n = s->finish ? 1 : 0;
	sum = take(s, len, out, n);
	if (!s->finish)
		return true;
	memcpy(s->header, s->first, s->headers);
	out[0] = (struct iovec){s->header, s->headers};
	write_ip(s, len, &src, &dst);
	h = s->header + s->transport;
	if (s->proto == TCP)
		write_tcp(s, h, !s->more);
	len += s->headers - s->transport;
	h += s->proto == TCP ? 16 : 6;
	bt_put16(h, 0);
	sum += bt_csum_pseudo(&src, &dst, s->proto, len);
	bt_csum_put(h, bt_csum_add(sum, s->header + s->transport, s->headers - s->transport));
	if (s->proto == UDP && bt_get16(h) == 0) /* RFC 768: 0 would be none */
		bt_put16(h, 0xffff);
	s->done += s->segment;
	s->k++;
	return true;
}

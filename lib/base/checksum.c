/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ones' complement sum of 16-bit words is that of any wider words, folded at the end (RFC 1071
 * 2). For many words at once without catching carries: T, the sum of 64-bit words modulo 2^64, and
 * H, the sum of their upper halves, give the sum of the lower halves as T - H * 2^32, all exact for
 * fewer than 2^32 words: an addition, a shift, an addition for each word, in as many lanes as a
 * vector has.
 */
#include "checksum.h"

/* A register of SSE2 or NEON. */
typedef uint64_t lanes __attribute__((vector_size(16)));
#define STEP (4 * sizeof(lanes))

static inline lanes load_lanes(const uint8_t *p)
{
	lanes v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t halves(uint64_t w)
{
	return (w >> 32) + (uint32_t)w;
}

/* Sums that are not added up yet. */
struct sums {
	lanes total, upper;
};

static inline void sums_add(struct sums *s, lanes v)
{
	s->total += v;
	s->upper += v >> 32;
}

static inline uint64_t sums_end(const struct sums *s)
{
	lanes v = s->total - (s->upper << 32) + s->upper;

	return v[0] + v[1];
}

/* The last len < 16 bytes, and whole small headers. Little endian (bytes.h says so): a missing last
 * byte is a zero above. */
static inline uint64_t tail(uint64_t sum, const uint8_t *p, size_t len)
{
	for (; len >= 8; len -= 8, p += 8)
		sum += halves(load64(p));
	if (len & 4) {
		uint32_t w;

		memcpy(&w, p, sizeof(w));
		sum += w;
		p += 4;
	}
	if (len & 2) {
		uint16_t w;

		memcpy(&w, p, sizeof(w));
		sum += w;
		p += 2;
	}
	return len & 1 ? sum + *p : sum;
}

uint64_t bt_csum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len >= STEP) {
		struct sums s = {{0}, {0}}, s2 = s;

		for (; len >= STEP; len -= STEP, p += STEP) {
			sums_add(&s, load_lanes(p));
			sums_add(&s2, load_lanes(p + 16));
			sums_add(&s, load_lanes(p + 32));
			sums_add(&s2, load_lanes(p + 48));
		}
		for (; len >= 16; len -= 16, p += 16)
			sums_add(&s, load_lanes(p));
		s.total += s2.total;
		s.upper += s2.upper;
		sum += sums_end(&s);
	}
	return tail(sum, p, len);
}

static inline lanes copy_lanes(uint8_t *to, const uint8_t *p)
{
	lanes v = load_lanes(p);

	memcpy(to, &v, sizeof(v));
	return v;
}

uint64_t bt_csum_copy(uint64_t sum, void *dst, const void *src, size_t len)
{
	const uint8_t *p = src;
	uint8_t *to = dst;

	if (len >= STEP) {
		struct sums s = {{0}, {0}}, s2 = s;

		for (; len >= STEP; len -= STEP, p += STEP, to += STEP) {
			sums_add(&s, copy_lanes(to, p));
			sums_add(&s2, copy_lanes(to + 16, p + 16));
			sums_add(&s, copy_lanes(to + 32, p + 32));
			sums_add(&s2, copy_lanes(to + 48, p + 48));
		}
		for (; len >= 16; len -= 16, p += 16, to += 16)
			sums_add(&s, copy_lanes(to, p));
		s.total += s2.total;
		s.upper += s2.upper;
		sum += sums_end(&s);
	}
	memcpy(to, p, len);
	return tail(sum, p, len);
}

uint64_t bt_csum_pseudo(const struct bt_addr *src, const struct bt_addr *dst, uint8_t proto,
			uint32_t len)
{
	/* The upper half of the length is 0 in IPv4, so one form serves both. */
	uint64_t sum = (uint64_t)proto << 8;

	sum += __builtin_bswap32(len);
	if (bt_addr_is_v4(src))
		return tail(tail(sum, src->b + 12, 4), dst->b + 12, 4);
	return tail(tail(sum, src->b, 16), dst->b, 16);
}

uint16_t bt_csum_fold(uint64_t sum)
{
	sum = halves(sum);
	sum = halves(sum);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

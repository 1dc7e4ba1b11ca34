/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ones' complement sum of 16-bit words is that of any wider words, folded at the end (RFC 1071
 * 2). For many words at once without catching carries: T, the sum of 64-bit words modulo 2^64, and
 * H, the sum of their upper halves, give the sum of the lower halves as T - H * 2^32, all exact for
 * fewer than 2^32 words: an addition, a shift, an addition for each word, in as many lanes as a
 * vector has.
 */
#include "checksum.h"

/* Twice as fast; asked of the processor at run time. BERTH_PORTABLE: for tests of what others do.
 */
#if defined(__x86_64__) && !defined(BERTH_PORTABLE)
#define WITH_AVX2
#endif

/* A register of AVX2, or two of SSE2 or NEON. Never an argument or a result, which would depend on
 * what the processor has. */
typedef uint64_t lanes __attribute__((vector_size(32)));
#define LANES sizeof(lanes)
#define STEP  (4 * LANES)

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

static inline __attribute__((always_inline)) void sums_add(struct sums *s, const uint8_t *p)
{
	lanes v;

	memcpy(&v, p, sizeof(v));
	s->total += v;
	s->upper += v >> 32;
}

static inline __attribute__((always_inline)) void sums_copy(struct sums *s, uint8_t *to,
							    const uint8_t *p)
{
	lanes v;

	memcpy(&v, p, sizeof(v));
	memcpy(to, &v, sizeof(v));
	s->total += v;
	s->upper += v >> 32;
}

static inline __attribute__((always_inline)) uint64_t sums_end(const struct sums *s,
							       const struct sums *s2)
{
	lanes total = s->total + s2->total, upper = s->upper + s2->upper;

	total = total - (upper << 32) + upper;
	return total[0] + total[1] + total[2] + total[3];
}

/* The last len < LANES bytes, and whole small headers. Little endian (bytes.h says so): a missing
 * last byte is a zero above. */
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

static inline __attribute__((always_inline)) uint64_t add(uint64_t sum, const uint8_t *p,
							  size_t len)
{
	struct sums s = {{0}, {0}}, s2 = s;

	for (; len >= STEP; len -= STEP, p += STEP) {
		sums_add(&s, p);
		sums_add(&s2, p + LANES);
		sums_add(&s, p + 2 * LANES);
		sums_add(&s2, p + 3 * LANES);
	}
	for (; len >= LANES; len -= LANES, p += LANES)
		sums_add(&s, p);
	return tail(sum + sums_end(&s, &s2), p, len);
}

static inline __attribute__((always_inline)) uint64_t copy(uint64_t sum, uint8_t *to,
							   const uint8_t *p, size_t len)
{
	struct sums s = {{0}, {0}}, s2 = s;

	for (; len >= STEP; len -= STEP, p += STEP, to += STEP) {
		sums_copy(&s, to, p);
		sums_copy(&s2, to + LANES, p + LANES);
		sums_copy(&s, to + 2 * LANES, p + 2 * LANES);
		sums_copy(&s2, to + 3 * LANES, p + 3 * LANES);
	}
	for (; len >= LANES; len -= LANES, p += LANES, to += LANES)
		sums_copy(&s, to, p);
	memcpy(to, p, len);
	return tail(sum + sums_end(&s, &s2), p, len);
}

#ifdef WITH_AVX2
static __attribute__((target("avx2"))) uint64_t add_avx2(uint64_t sum, const uint8_t *p, size_t len)
{
	return add(sum, p, len);
}

static __attribute__((target("avx2"))) uint64_t copy_avx2(uint64_t sum, uint8_t *to,
							  const uint8_t *p, size_t len)
{
	return copy(sum, to, p, len);
}
#endif

uint64_t bt_csum_add(uint64_t sum, const void *data, size_t len)
{
	if (len < LANES)
		return tail(sum, data, len);
#ifdef WITH_AVX2
	if (__builtin_cpu_supports("avx2"))
		return add_avx2(sum, data, len);
#endif
	return add(sum, data, len);
}

/* A part at an odd offset counts with its bytes swapped (RFC 1071 2B). */
uint64_t bt_csum_parts(uint64_t sum, const struct iovec *parts, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (at & 1) {
			uint16_t part = (uint16_t)~bt_csum_fold(
				bt_csum_add(0, parts[i].iov_base, parts[i].iov_len));

			sum += (uint16_t)(part << 8 | part >> 8);
		} else {
			sum = bt_csum_add(sum, parts[i].iov_base, parts[i].iov_len);
		}
		at += parts[i].iov_len;
	}
	return sum;
}

uint64_t bt_csum_copy(uint64_t sum, void *dst, const void *src, size_t len)
{
#ifdef WITH_AVX2
	if (len >= LANES && __builtin_cpu_supports("avx2"))
		return copy_avx2(sum, dst, src, len);
#endif
	return copy(sum, dst, src, len);
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

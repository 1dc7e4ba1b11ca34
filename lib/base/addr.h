/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses. Every address in berth is 16 bytes: an IPv6 address, or an IPv4 address in its mapped
 * form
 * ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that one comparison serves both families. The wildcard of
 * IPv4 is
 * ::ffff:0.0.0.0, that of IPv6 is ::; they differ, as in Linux. Ports are in host byte order.
 */
#ifndef BERTH_LIB_BASE_ADDR_H
#define BERTH_LIB_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum bt_family { BT_V4 = 4, BT_V6 = 6 };

struct bt_addr {
	uint8_t b[16];
};

/* As two words, which compilers keep in registers (bytes.h: little endian). */
static inline struct bt_addr bt_addr_v4(uint32_t host_order)
{
	uint64_t words[2] = {0, (uint64_t)__builtin_bswap32(host_order) << 32 | 0xffff0000u};
	struct bt_addr a;

	memcpy(a.b, words, sizeof(a.b));
	return a;
}

/* ::1 */
static inline struct bt_addr bt_addr_loopback6(void)
{
	struct bt_addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
	return a;
}

static inline bool bt_addr_is_v4(const struct bt_addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

static inline uint32_t bt_addr_to_v4(const struct bt_addr *a)
{
	return (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 | (uint32_t)a->b[14] << 8 |
	       a->b[15];
}

static inline bool bt_addr_eq(const struct bt_addr *a, const struct bt_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* True for 0.0.0.0 (mapped) and for ::. */
static inline bool bt_addr_is_any(const struct bt_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->b, zero, 16) == 0 || (bt_addr_is_v4(a) && bt_addr_to_v4(a) == 0);
}

/* True for 127.0.0.0/8 (mapped) and for ::1. */
static inline bool bt_addr_is_loopback(const struct bt_addr *a)
{
	static const uint8_t one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	return memcmp(a->b, one, 16) == 0 || (bt_addr_is_v4(a) && a->b[12] == 127);
}

/* True when the first `bits` bits of both are equal; bits counts from the start of the 16 bytes. */
static inline bool bt_addr_same_prefix(const struct bt_addr *a, const struct bt_addr *b,
				       unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a->b, b->b, whole) != 0)
		return false;
	return rest == 0 || ((a->b[whole] ^ b->b[whole]) >> (8 - rest)) == 0;
}

#endif

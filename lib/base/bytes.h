/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in network byte order, at any alignment. */
#ifndef BERTH_LIB_BASE_BYTES_H
#define BERTH_LIB_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t bt_get16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t bt_get32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline void bt_put16(uint8_t *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void bt_put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes.h swaps always");

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "siphash.h"

static inline __attribute__((always_inline)) uint64_t hash(const uint8_t key[16], const void *data,
							   size_t len, unsigned c, unsigned d)
{
	const uint8_t *p = data;
	struct bt_sip s = bt_sip_begin(key);
	uint64_t last = (uint64_t)len << 56;

	for (; len >= 8; len -= 8, p += 8)
		bt_sip_word(&s, bt_sip_load(p), c);
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	bt_sip_word(&s, last, c);
	return bt_sip_end(&s, d);
}

uint64_t bt_siphash(const uint8_t key[16], const void *data, size_t len)
{
	return hash(key, data, len, 2, 4);
}

uint64_t bt_siphash13(const uint8_t key[16], const void *data, size_t len)
{
	return hash(key, data, len, 1, 3);
}

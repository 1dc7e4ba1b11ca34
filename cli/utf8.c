/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the character that begins here, 0: none does. */
static size_t length(const uint8_t *s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
	uint32_t v = n < 2 ? *s : *s & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		v = v << 6 | (s[i] & 0x3f);
	}
	bool surrogate = v >= 0xd800 && v < 0xe000;
	return v < least[n] || v > 0x10ffff || surrogate ? 0 : n;
}

size_t bt_utf8_next(const char *s, char c[BT_UTF8_MAX + 1])
{
	const uint8_t *u = (const uint8_t *)s;
	size_t n = length(u);
	memset(c, 0, BT_UTF8_MAX + 1);
	if (n) {
		memcpy(c, s, n);
		return n;
	}
	c[0] = (char)(0xc0 | *u >> 6);
	c[1] = (char)(0x80 | (*u & 0x3f));
	return 1;
}

bool bt_utf8_control(const char *c)
{
	uint8_t first = (uint8_t)c[0];
	return first < ' ' || first == 0x7f || (first == 0xc2 && (uint8_t)c[1] < 0xa0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of lib/wire share. */
#ifndef BERTH_TESTS_WIRE_HELP_H
#define BERTH_TESTS_WIRE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/base/bytes.h"
#include "../../lib/base/checksum.h"
#include "../../lib/wire/arp.h"
#include "../../lib/wire/icmp.h"
#include "../../lib/wire/igmp.h"
#include "../../lib/wire/ipv4.h"
#include "../../lib/wire/ipv6.h"
#include "../../lib/wire/mld.h"
#include "../../lib/wire/nd.h"
#include "../../lib/wire/tcp.h"
#include "../../lib/wire/udp.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Hexadecimal digits, spaces between them ignored; how many bytes. */
static inline size_t bytes(uint8_t *out, const char *hex)
{
	size_t n = 0;

	for (; *hex != '\0'; hex++) {
		char two[3] = {hex[0], hex[1], 0};

		if (*hex == ' ')
			continue;
		out[n++] = (uint8_t)strtoul(two, NULL, 16);
		hex++;
	}
	return n;
}

static inline struct bt_addr addr(const char *name)
{
	struct bt_addr a;
	struct in_addr v4;

	if (inet_pton(AF_INET, name, &v4) == 1)
		return bt_addr_v4(ntohl(v4.s_addr));
	assert_int_equal(inet_pton(AF_INET6, name, a.b), 1);
	return a;
}

static inline void is_addr(const struct bt_addr *a, const char *name)
{
	struct bt_addr want = addr(name);

	assert_memory_equal(a, &want, sizeof(want));
}

static inline void is_mac(const struct bt_mac *m, const char *hex)
{
	uint8_t want[6];

	assert_int_equal(bytes(want, hex), 6);
	assert_memory_equal(m->b, want, 6);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of every parser of lib/wire, for libFuzzer (fuzz_wire.c) and for random messages
 * (tests/unit/wire_model.c). An input is a byte that stands for what surrounds the message (address
 * family, addresses, hop limit) and the message.
 */
#ifndef BERTH_TESTS_FUZZ_WIRE_H
#define BERTH_TESTS_FUZZ_WIRE_H

#include "../../lib/base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_format {
	WIRE_ARP,
	WIRE_ETHER,
	WIRE_ICMP,
	WIRE_IGMP,
	WIRE_IPV4,
	WIRE_IPV6,
	WIRE_MLD,
	WIRE_ND,
	WIRE_QUOTE,
	WIRE_TCP,
	WIRE_UDP,
	WIRE_FORMATS
};

#define WIRE_MAX 2048

const char *wire_name(enum wire_format f);
/* Reads the message. Aborts if a value that was read is not legal, or if writing it and reading
 * that again gives another. True: it was accepted. */
bool wire_check(enum wire_format f, const uint8_t *data, size_t len);
/* A random legal message in data; its length. Aborts if it is not read as it was written. */
size_t wire_make(enum wire_format f, uint64_t *rng, uint8_t data[WIRE_MAX]);
/* Whether a message of wire_make, cut to `cut` bytes, is a legal one as well. */
bool wire_may_end(enum wire_format f, const uint8_t *data, size_t len, size_t cut);

/* What byte 0 stands for, used by both files. */
#define WIRE_FAMILY(byte) ((byte)&1 ? BT_V6 : BT_V4)
struct wire_around {
	struct bt_addr src, dst;
	uint8_t hops;
	bool router_alert;
};
struct wire_around wire_around(uint8_t byte);

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif

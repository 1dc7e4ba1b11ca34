/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes captures in pcapng (IETF draft-ietf-opsawg-pcapng), for Wireshark: blocks into memory; the
 * caller puts them into a file, a pipe or a ring. A capture is a section, then its interfaces, then
 * packets; interfaces may also come later, before their first packet. Blocks are in the machine's
 * byte order, as the format wishes.
 *
 * Each function returns the block's length in bytes, a multiple of 4; where that is more than
 * `room`, nothing was written. 0: the block cannot be written (a packet of 2^31 bytes or more).
 */
#ifndef BERTH_LINK_PCAPNG_H
#define BERTH_LINK_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* program: NULL or the name of the program that writes. Text is cut at 1,000 bytes, here and
 * below. */
size_t bt_pcapng_section(void *block, size_t room, const char *program);

enum bt_linktype { BT_LINKTYPE_ETHERNET = 1, BT_LINKTYPE_RAW = 101 /* IPv4 or IPv6 */ };
/* Numbered in the order in which they are written, from 0. Times are nanoseconds since 1970. */
size_t bt_pcapng_interface(void *block, size_t room, const char *name, enum bt_linktype type);

enum bt_pcapng_way { BT_PCAPNG_UNKNOWN, BT_PCAPNG_IN, BT_PCAPNG_OUT };
struct bt_pcapng_packet {
	uint32_t interface;
	enum bt_pcapng_way way;
	uint64_t time_ns;
	const struct iovec *parts;
	size_t n_parts;
	const char *comment; /* or NULL */
};
size_t bt_pcapng_packet(void *block, size_t room, const struct bt_pcapng_packet *packet);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an interface with BERTH_IF_TSO and BERTH_IF_TX_CHECKSUM leaves to whoever carries its packets:
 * a large segment of TCP is cut into those that it stands for, and checksums of TCP and UDP are
 * finished. For wires that do something to packets, and for who looks at them.
 *
 * A piece has the headers of the whole but for: lengths; sequence numbers; FIN and PSH, which the
 * last one has (RFC 9293 3.10.7.4: a FIN is behind the data); CWR, which the first one has (RFC 3168
 * 6.1.2); an urgent pointer that counts from it; the identification of IPv4 where DF is not set (RFC
 * 6864 4); checksums.
 */
#ifndef BERTH_LINK_SEGMENT_H
#define BERTH_LINK_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BT_SEGMENT_HEADER 128u /* bytes of the headers together, all in the first part */
#define BT_SEGMENT_PARTS  24u  /* of a packet, and of a piece */

struct bt_segments {
	const struct iovec *parts; /* of the packet; they stay where they are until the last piece */
	size_t n_parts, part, skip; /* where the next byte of payload is */
	uint32_t headers, transport; /* bytes of all headers; where that of the transport starts */
	uint32_t payload, done, segment, k;
	uint8_t proto;
	bool finish, more;
	uint8_t first[BT_SEGMENT_HEADER], header[BT_SEGMENT_HEADER];
};

/* A bare IP packet, with `segment` and `checksum` of struct berth_output (0 and 0: it is one, and
 * complete). False: it is not a packet that those fit. */
bool bt_segments_begin(struct bt_segments *s, const struct iovec *parts, size_t n,
		       uint16_t segment, uint16_t checksum);
/* The next piece in out; false: there is none. It is valid until the next call. */
bool bt_segments_next(struct bt_segments *s, struct iovec out[BT_SEGMENT_PARTS], size_t *n);

#endif

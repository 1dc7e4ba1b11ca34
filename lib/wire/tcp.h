/* SPDX-License-Identifier: Apache-2.0 */
/* TCP segments on the wire (RFC 9293 3.1; options: 7323, 2018, 7413). No state. */
#ifndef BERTH_LIB_WIRE_TCP_H
#define BERTH_LIB_WIRE_TCP_H

#include "../base/seq.h"

#include <stddef.h>

enum bt_tcp_flag {
	BT_FIN = 1,
	BT_SYN = 2,
	BT_RST = 4,
	BT_PSH = 8,
	BT_ACK = 16,
	BT_URG = 32,
	BT_ECE = 64,
	BT_CWR = 128,
};

enum bt_tcp_has { /* which options are there */
		  BT_TCP_MSS = 1 << 0,
		  BT_TCP_WSCALE = 1 << 1,
		  BT_TCP_SACK_OK = 1 << 2,
		  BT_TCP_SACK = 1 << 3,
		  BT_TCP_TS = 1 << 4,
		  BT_TCP_FASTOPEN = 1 << 5,
};

struct bt_sack {
	struct bt_seq start, end; /* [start, end) */
};

#define BT_TCP_HEADER_MAX 60

/* A segment whose every field is legal: header length within the segment, options well formed. What
 * the payload is, is said by offset and length. */
struct bt_tcp_seg {
	uint16_t sport, dport;
	struct bt_seq seq, ack; /* ack 0 without BT_ACK */
	uint8_t flags;		/* enum bt_tcp_flag */
	uint8_t has;		/* enum bt_tcp_has */
	uint8_t wscale;		/* 0..14 (larger ones are read as 14, RFC 7323 2.3) */
	uint8_t n_sack;		/* 0..4; on output too */
	uint16_t window;	/* as on the wire */
	uint16_t urgent;	/* 0 without BT_URG */
	uint16_t mss;
	uint8_t header_len; /* with options: where the payload starts */
	uint8_t cookie_len; /* Fast Open: 0 (asks), or 4..16 even */
	uint32_t ts_val, ts_ecr;
	struct bt_sack sack[4];
	uint8_t cookie[16];
};

enum bt_tcp_bad { BT_TCP_OK, BT_TCP_SHORT, BT_TCP_BAD_OPTION };

/* Reads the header of len bytes. A segment with only a timestamp, as most are, takes a short way.
 * Unknown options are skipped; one that ends beyond the header is BT_TCP_BAD_OPTION (RFC 9293
 * MUST-7); of several equal ones the first counts. As in Linux, an option whose length is not its
 * kind's, and MSS, window scale, SACK permitted and Fast Open without SYN, count as unknown; so do
 * an MSS of 0 and SACK blocks that end before they begin. The checksum is not looked at. Of arrays,
 * only what is counted is set. */
enum bt_tcp_bad bt_tcp_read(const uint8_t *data, size_t len, struct bt_tcp_seg *seg);
/* Writes the header with its options (those in `has`, as many SACK blocks as fit) and a checksum of
 * 0; returns its length, a multiple of 4. */
unsigned bt_tcp_write(uint8_t data[BT_TCP_HEADER_MAX], const struct bt_tcp_seg *seg);

#endif

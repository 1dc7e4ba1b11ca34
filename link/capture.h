/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads captures for replay: pcap (the five magic numbers of libpcap's savefiles, but the modified
 * one) and pcapng, in either byte order, from memory. Every length is checked; what is read is
 * pointed to, not copied.
 */
#ifndef BERTH_LINK_CAPTURE_H
#define BERTH_LINK_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BT_CAPTURE_INTERFACES 256 /* of one section; packets of others are passed over */

struct bt_capture_interface {
	uint16_t linktype; /* libpcap's LINKTYPE_ */
	uint8_t tsresol;   /* as in pcapng: 10^-n s, with the high bit 2^-n s */
};

/* The caller's, read only. The memory of the capture must stay while it is in use. */
struct bt_capture {
	const uint8_t *data;
	size_t len, at;
	bool ng, swapped;
	uint32_t n_interfaces;
	struct bt_capture_interface interfaces[BT_CAPTURE_INTERFACES];
};

struct bt_capture_packet {
	uint32_t interface; /* 0 in pcap */
	uint16_t linktype;
	uint64_t time_ns; /* since 1970; 0 where there is none */
	const uint8_t *data;
	uint32_t len;	   /* bytes that are there */
	uint32_t original; /* bytes that the packet had */
};

/* False: it is neither pcap nor pcapng. */
bool bt_capture_open(struct bt_capture *c, const void *data, size_t len);
/* 1: the next packet; 0: the end; -1: the capture is broken here, or cut off. */
int bt_capture_next(struct bt_capture *c, struct bt_capture_packet *packet);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071). A sum is kept unfolded in 64 bits while parts are added; every
 * part but the last must have an even length. The sum is of the bytes as they lie in memory, so the
 * result is stored with memcpy (bt_csum_put), not swapped.
 */
#ifndef BERTH_LIB_BASE_CHECKSUM_H
#define BERTH_LIB_BASE_CHECKSUM_H

#include "addr.h"

#include <stddef.h>
#include <sys/uio.h>

uint64_t bt_csum_add(uint64_t sum, const void *data, size_t len);
/* The same of parts that follow each other, of any lengths. */
uint64_t bt_csum_parts(uint64_t sum, const struct iovec *parts, size_t n);
/* The same while copying. */
uint64_t bt_csum_copy(uint64_t sum, void *dst, const void *src, size_t len);
/* Pseudo-header: RFC 9293 3.1 (IPv4), RFC 8200 8.1 (IPv6); of mapped addresses the IPv4 one. */
uint64_t bt_csum_pseudo(const struct bt_addr *src, const struct bt_addr *dst, uint8_t proto,
			uint32_t len);
/* The complement, 16 bits, in memory order. */
static inline uint16_t bt_csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}
static inline void bt_csum_put(uint8_t *p, uint64_t sum)
{
	uint16_t c = bt_csum_fold(sum);
	memcpy(p, &c, sizeof(c));
}
/* True if the sum over data that includes its checksum is right. */
static inline bool bt_csum_ok(uint64_t sum)
{
	return bt_csum_fold(sum) == 0;
}

#endif

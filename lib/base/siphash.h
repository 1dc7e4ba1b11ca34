/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 (Aumasson and Bernstein, 2012): a short-input hash that nobody without the key can
 * steer. */
#ifndef BERTH_LIB_BASE_SIPHASH_H
#define BERTH_LIB_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t bt_siphash(const uint8_t key[16], const void *data, size_t len);
/* SipHash-1-3, half the rounds: for hash tables, whose hashes nobody sees. */
uint64_t bt_siphash13(const uint8_t key[16], const void *data, size_t len);

#endif

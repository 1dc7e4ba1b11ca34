/* SPDX-License-Identifier: Apache-2.0 */
/* Option values that no descriptor can hold (TCP_KEEPIDLE, IP_TTL, ...), kept for getsockopt. At
 * most 64 a socket; the oldest life of a slot loses to the newest. */
#ifndef BERTH_DAEMON_VALS_H
#define BERTH_DAEMON_VALS_H

#include <stdint.h>

int d_vals_set(uint32_t slot, uint32_t gen, uint16_t level, uint16_t option, uint32_t value);
/* -ENOENT: never set. */
int d_vals_get(uint32_t slot, uint32_t gen, uint16_t level, uint16_t option, uint32_t *value);
/* The values become another socket's. */
void d_vals_move(uint32_t slot, uint32_t gen, uint32_t to, uint32_t to_gen);
void d_vals_forget(uint32_t slot);
/* Each value of the socket, in no order. */
void d_vals_each(uint32_t slot, uint32_t gen,
		 void (*each)(void *arg, uint16_t level, uint16_t option, uint32_t value),
		 void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters of inet_diag: a little program of jumps that only go forward, which ss sends for
 * "sport = :80" and the like (linux/inet_diag.h).
 */
#ifndef BERTH_VIEW_BYTECODE_H
#define BERTH_VIEW_BYTECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bt_bc_socket {
	uint8_t family;		  /* AF_INET or AF_INET6 */
	const uint8_t *src, *dst; /* 4 or 16 bytes */
	uint16_t sport, dport;	  /* host order */
	uint32_t dev;
	bool bound; /* the program chose the port */
};

/* 0, or -EINVAL: not one that the kernel takes. */
int bt_bc_check(const void *code, size_t len);
/* Whether a filter that bt_bc_check took lets the socket through. */
bool bt_bc_match(const void *code, size_t len, const struct bt_bc_socket *s);

#endif

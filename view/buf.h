/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that grows, straight from the kernel: a program may open a file of /proc in a signal
 * handler, where malloc is not to be had.
 */
#ifndef BERTH_VIEW_BUF_H
#define BERTH_VIEW_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct bt_buf {
	char *p;
	size_t n, room;
	bool failed; /* out of memory: what was put since is missing */
};

/* Room for `more` bytes at the end, uninitialised or zero, and counted; NULL: out of memory. */
void *bt_buf_add(struct bt_buf *b, size_t more);
void bt_buf_put(struct bt_buf *b, const void *data, size_t n);
void bt_buf_str(struct bt_buf *b, const char *text);
__attribute__((format(printf, 2, 3))) void bt_buf_fmt(struct bt_buf *b, const char *form, ...);
/* Spaces until the line that began at `start` has `width` bytes, then a new line. */
void bt_buf_end_line(struct bt_buf *b, size_t start, size_t width);
void bt_buf_done(struct bt_buf *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include "sys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define FIRST_BYTES 65536u

static bool grow(struct bt_buf *b, size_t need)
{
	size_t room = b->room ? b->room : FIRST_BYTES;
	while (room < need)
		room *= 2;
	long p = b->p ? bt_sys(SYS_mremap, (long)b->p, (long)b->room, (long)room, MREMAP_MAYMOVE, 0,
			       0)
		      : bt_sys(SYS_mmap, 0, (long)room, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p < 0 && p > -4096) {
		b->failed = true;
		return false;
	}
	b->p = (char *)p;
	b->room = room;
	return true;
}

void *bt_buf_add(struct bt_buf *b, size_t more)
{
	if (b->n + more > b->room && !grow(b, b->n + more))
		return NULL;
	b->n += more;
	return b->p + b->n - more;
}

void bt_buf_put(struct bt_buf *b, const void *data, size_t n)
{
	void *to = bt_buf_add(b, n);
	if (to && n)
		memcpy(to, data, n);
}

void bt_buf_str(struct bt_buf *b, const char *text)
{
	bt_buf_put(b, text, strlen(text));
}

void bt_buf_fmt(struct bt_buf *b, const char *form, ...)
{
	enum { LINE = 1024 };
	va_list ap;
	char *to = bt_buf_add(b, LINE);
	if (!to)
		return;
	va_start(ap, form);
	int n = vsnprintf(to, LINE, form, ap);
	va_end(ap);
	b->n -= LINE;
	if (n > 0)
		b->n += n < LINE ? (size_t)n : LINE - 1;
}

void bt_buf_end_line(struct bt_buf *b, size_t start, size_t width)
{
	size_t have = b->n - start;
	size_t pad = have < width ? width - have : 0;
	char *to = bt_buf_add(b, pad + 1);
	if (!to)
		return;
	memset(to, ' ', pad);
	to[pad] = '\n';
}

void bt_buf_done(struct bt_buf *b)
{
	if (b->p)
		bt_sys(SYS_munmap, (long)b->p, (long)b->room, 0, 0, 0, 0);
	*b = (struct bt_buf){0};
}

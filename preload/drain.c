/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits to be accepted is reset when the listening ends (inet_csk_listen_stop). The kernel does
 * so when the last descriptor of an AF_UNIX listener is closed; but berthd, and with it the state
 * of those connections, would hear of it only when their clients use them. Who they are, the kernel
 * says of the listener (unix_diag). A close with nobody waiting, as nearly all are, costs one poll.
 */
#include "preload.h"

#include "../proto/diag.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static bool someone_waits(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) == 1 && p.revents & POLLIN;
}

/* The inodes of the clients, to be freed; NULL: none. */
static uint32_t *clients(char *buf, ino_t listener, uint32_t *n)
{
	struct bt_diag_dump dump;
	struct bt_diag s;
	uint32_t *inodes = NULL;
	int r = bt_diag_begin(&dump, buf, bt_netid(), 1u << TCP_LISTEN, BT_DIAG_QUEUE);
	while (r == 0 && bt_diag_next(&dump, &s) == 1) {
		if (s.ino != (uint32_t)listener || dump.n_queue == 0)
			continue;
		inodes = malloc(dump.n_queue * sizeof(*inodes));
		*n = inodes == NULL ? 0 : dump.n_queue;
		if (inodes != NULL)
			memcpy(inodes, dump.queue, dump.n_queue * sizeof(*inodes));
		break;
	}
	bt_diag_end(&dump);
	return inodes;
}

static void reset(uint32_t client, const struct note *listener)
{
	struct note child = {.flags = NOTE_OURS | NOTE_NAMED | NOTE_CHILD};
	struct bt_req q;
	struct bt_rep rep;
	struct bt_row row;
	if (!bt_row_read(bt_table(), client, &row))
		return;
	child.id.slot = row.peer;
	if (!bt_row_read(bt_table(), child.id.slot, &row) || !(row.flags & BT_ROWF_CHILD) ||
	    row.link != listener->id.slot)
		return;
	child.id.gen = row.gen;
	child.id.nonce = row.nonce;
	bt_req_init(&q, BT_RESET, &child);
	bt_call(-1, &q, NULL, &rep, NULL, NULL);
	bt_req_init(&q, BT_CLOSED, &child);
	q.flags = BT_REQF_SOLE;
	bt_notice(-1, &q);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void reset_all(char *buf, uint32_t *inodes, uint32_t n, const struct note *listener)
{
	struct bt_diag_dump dump;
	struct bt_diag s;
	qsort(inodes, n, sizeof(*inodes), by_number);
	int r = bt_diag_begin(&dump, buf, bt_netid(), 1u << TCP_ESTABLISHED | 1u << TCP_CLOSE, 0);
	while (r == 0 && bt_diag_next(&dump, &s) == 1)
		if (bsearch(&s.ino, inodes, n, sizeof(*inodes), by_number) != NULL)
			reset(s.id.slot, listener);
	bt_diag_end(&dump);
}

/* Where others hold the listener, the kernel keeps its queue. */
static void empty(int fd)
{
	while (someone_waits(fd)) {
		long c = bt_sys(SYS_accept4, fd, 0, 0, SOCK_CLOEXEC, 0, 0);
		if (c < 0)
			return;
		bt_sys(SYS_close, c, 0, 0, 0, 0, 0);
	}
}

void bt_drain(int fd, struct note *n)
{
	struct stat st;
	uint32_t count = 0;
	int saved = errno;
	if (!someone_waits(fd) || bt_table() == NULL ||
	    bt_sys(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0)
		return;
	char *buf = malloc(BT_DIAG_BYTES);
	uint32_t *inodes = buf == NULL ? NULL : clients(buf, st.st_ino, &count);
	if (count > 0) {
		bt_say_accepts(fd, n);
		reset_all(buf, inodes, count, n);
	}
	if (n->flags & NOTE_ELSEWHERE)
		empty(fd);
	free(inodes);
	free(buf);
	errno = saved;
}

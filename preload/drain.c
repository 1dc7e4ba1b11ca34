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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static bool someone_waits(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return bt_sys(SYS_poll, (long)&p, 1, 0, 0, 0, 0) == 1 && p.revents & POLLIN;
}

/* close may be called in a signal handler: no memory of malloc's. */
struct room {
	_Alignas(uint32_t) char buf[BT_DIAG_BYTES];
	uint32_t inodes[BT_LISTEN_QUEUE];
	uint32_t n;
};

/* The inodes of the clients. */
static void find_clients(struct room *m, ino_t listener)
{
	struct bt_diag_dump dump;
	struct bt_diag s;
	int r = bt_diag_begin(&dump, m->buf, bt_netid(), 1u << TCP_LISTEN, BT_DIAG_QUEUE);
	while (r == 0 && bt_diag_next(&dump, &s) == 1)
		for (uint32_t i = 0; s.ino == (uint32_t)listener && i < dump.n_queue; i++)
			if (m->n < sizeof(m->inodes) / sizeof(m->inodes[0]))
				m->inodes[m->n++] = dump.queue[i];
	bt_diag_end(&dump);
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

static bool waits(const struct room *m, uint32_t inode)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->inodes[i] == inode)
			return true;
	return false;
}

static void reset_all(struct room *m, const struct note *listener)
{
	struct bt_diag_dump dump;
	struct bt_diag s;
	int r = bt_diag_begin(&dump, m->buf, bt_netid(), 1u << TCP_ESTABLISHED | 1u << TCP_CLOSE,
			      0);
	while (r == 0 && bt_diag_next(&dump, &s) == 1)
		if (waits(m, s.ino))
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
	if (!someone_waits(fd) || bt_table() == NULL ||
	    bt_sys(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0)
		return;
	long p = bt_sys(SYS_mmap, 0, sizeof(struct room), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p > 0 || p < -4095) {
		struct room *m = (struct room *)p;
		find_clients(m, st.st_ino);
		if (m->n > 0) {
			bt_say_accepts(fd, n);
			reset_all(m, n);
		}
		bt_sys(SYS_munmap, p, sizeof(struct room), 0, 0, 0, 0);
	}
	if (n->flags & NOTE_ELSEWHERE)
		empty(fd);
}

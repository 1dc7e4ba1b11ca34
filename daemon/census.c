/* SPDX-License-Identifier: Apache-2.0 */
#include "census.h"

#include "../proto/name.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Inode numbers of sockets; grows. */
struct inodes {
	uint32_t *of;
	uint32_t n, room;
};

/*
 * A connection that nobody has accepted yet is no socket of the dump: its listener tells the
 * inodes of the clients that wait (UNIX_DIAG_ICONS), 0 for one that has closed already.
 */
struct walk {
	const struct bt_table *table;
	uint64_t netid;
	struct census *c;
	struct inodes waiting; /* clients in the queues of listeners */
	struct inodes doubts;  /* inode, slot: clients that say that their other end is gone */
};

struct facts {
	uint64_t netid;
	struct bt_ident id;
	bool named, has_peer;
	uint32_t peer_ino;
	uint8_t shutdown;
	const uint32_t *queue;
	uint32_t n_queue;
};

static void note(struct inodes *list, uint32_t inode)
{
	if (list->n == list->room) {
		uint32_t room = list->room == 0 ? 64 : list->room * 2;
		uint32_t *of = realloc(list->of, room * sizeof(*of));
		if (of == NULL)
			return;
		list->of = of;
		list->room = room;
	}
	list->of[list->n++] = inode;
}

static int fact(const struct nlattr *attr, void *arg)
{
	struct facts *f = arg;
	uint16_t len = mnl_attr_get_payload_len(attr);
	switch (mnl_attr_get_type(attr)) {
	case UNIX_DIAG_NAME: {
		struct sockaddr_un sun = {.sun_family = AF_UNIX};
		if (len > sizeof(sun.sun_path))
			return MNL_CB_OK;
		memcpy(sun.sun_path, mnl_attr_get_payload(attr), len);
		f->named = bt_name_parse(&sun,
					 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len),
					 f->netid, &f->id);
		break;
	}
	case UNIX_DIAG_PEER:
		f->has_peer = true;
		f->peer_ino = mnl_attr_get_u32(attr);
		break;
	case UNIX_DIAG_SHUTDOWN:
		f->shutdown = mnl_attr_get_u8(attr);
		break;
	case UNIX_DIAG_ICONS:
		f->queue = mnl_attr_get_payload(attr);
		f->n_queue = len / (uint32_t)sizeof(f->queue[0]);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int one(const struct nlmsghdr *nlh, void *arg)
{
	struct walk *w = arg;
	const struct unix_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct facts f = {.netid = w->netid};
	mnl_attr_parse(nlh, sizeof(*m), fact, &f);
	if (!f.named || f.id.slot >= w->c->slots)
		return MNL_CB_OK;
	const struct bt_row *r = bt_table_row(w->table, f.id.slot);
	/* Accepted ends carry their listener's name, also when the listener is closed and its slot
	 * free or another's; so they are told apart by the slot's state, and counted only where
	 * their client is gone: the others are known through it. */
	bool accepted = f.has_peer && (r->state == BT_ROW_LISTEN || r->state == BT_ROW_FREE ||
				       r->gen != f.id.gen);
	if (accepted) {
		if (f.peer_ino == 0)
			w->c->orphans[f.id.slot]++;
		return MNL_CB_OK;
	}
	if (r->gen != f.id.gen || r->nonce != f.id.nonce)
		return MNL_CB_OK;
	for (uint32_t i = 0; i < f.n_queue; i++) {
		if (f.queue[i] == 0)
			w->c->orphans[f.id.slot]++;
		else
			note(&w->waiting, f.queue[i]);
	}
	uint8_t a = BT_ALIVE_NAME;
	if (!f.has_peer && m->udiag_type == SOCK_STREAM)
		a |= BT_NEVER_JOINED;
	else if (f.peer_ino != 0 || !(f.shutdown & 1))
		a |= BT_ALIVE_PEER;
	if (f.has_peer && !(a & BT_ALIVE_PEER)) {
		note(&w->doubts, m->udiag_ino);
		note(&w->doubts, f.id.slot);
	}
	w->c->alive[f.id.slot] = a;
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, struct walk *w)
{
	static char buf[65536];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct unix_diag_req *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = AF_UNIX;
	req->udiag_states = UINT32_MAX;
	req->udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		int r = mnl_cb_run(buf, (size_t)n, 0, mnl_socket_get_portid(nl), one, w);
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return 0;
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* A client that has shut both directions looks as if its other end were gone while that only waits
 * to be accepted. */
static void settle_doubts(struct walk *w)
{
	if (w->doubts.n > 0 && w->waiting.n > 0)
		qsort(w->waiting.of, w->waiting.n, sizeof(w->waiting.of[0]), by_number);
	for (uint32_t i = 0; i + 1 < w->doubts.n && w->waiting.n > 0; i += 2)
		if (bsearch(&w->doubts.of[i], w->waiting.of, w->waiting.n, sizeof(w->waiting.of[0]),
			    by_number) != NULL)
			w->c->alive[w->doubts.of[i + 1]] |= BT_ALIVE_PEER;
	free(w->doubts.of);
	free(w->waiting.of);
}

int d_census(const struct bt_table *table, uint64_t netid, struct census *c)
{
	struct walk w = {.table = table, .netid = netid, .c = c};
	c->slots = table->high_water;
	c->alive = calloc(c->slots + 1u, 1);
	c->orphans = calloc(c->slots + 1u, sizeof(c->orphans[0]));
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int r = c->alive == NULL || c->orphans == NULL ? -ENOMEM : nl == NULL ? -errno : 0;
	if (r == 0 && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	if (r == 0)
		r = dump(nl, &w);
	settle_doubts(&w);
	if (nl != NULL)
		mnl_socket_close(nl);
	if (r < 0)
		d_census_done(c);
	return r;
}

void d_census_done(struct census *c)
{
	free(c->alive);
	free(c->orphans);
	c->alive = NULL;
	c->orphans = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink as a host has it: requests in, the kernel's answers out. NETLINK_ROUTE tells interfaces,
 * addresses and routes; NETLINK_SOCK_DIAG tells sockets. Nothing can be changed. Whatever the
 * request holds, the answer is a legal one (netlink(7)).
 */
#ifndef BERTH_VIEW_NL_H
#define BERTH_VIEW_NL_H

#include "view.h"

#include <linux/netlink.h>

/* A datagram of the answers lies in out from `start` to `end`. */
struct bt_nl_mark {
	size_t start, end;
	bool last; /* of the answers to one request datagram */
};

struct bt_nl {
	int protocol;	      /* NETLINK_ROUTE or NETLINK_SOCK_DIAG */
	uint32_t port;	      /* the socket's own, in every answer */
	bool cap_ack, strict; /* NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK */
	struct bt_buf out;
	struct bt_buf marks; /* of struct bt_nl_mark */
	size_t open;	     /* where the datagram that is being made begins */
};

/* Adds the answers to one datagram of requests; how many datagrams they are, 0: no answer. */
size_t bt_nl_answer(struct bt_nl *n, const struct bt_view *v, const void *req, size_t len);
static inline const struct bt_nl_mark *bt_nl_marks(const struct bt_nl *n, size_t *count)
{
	*count = n->marks.n / sizeof(struct bt_nl_mark);
	return (const struct bt_nl_mark *)(const void *)n->marks.p;
}
void bt_nl_clear(struct bt_nl *n); /* keeps the memory */
void bt_nl_done(struct bt_nl *n);

/* ---- for the answerers ---- */

/* A request: its header, and what follows within its length. */
struct bt_nl_req {
	struct nlmsghdr h;
	const char *body;
	size_t len;
};

/* What a handler says: BT_NL_DUMPED (no acknowledgement), 0, or -errno. */
enum { BT_NL_DUMPED = 1 };
int bt_nl_route(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q);
int bt_nl_sock_diag(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q);

/* A message with `fixed` as its first part; returns what bt_nl_end wants. flags: NLM_F_MULTI: part
 * of a dump. */
size_t bt_nl_begin(struct bt_nl *n, const struct bt_nl_req *q, unsigned type, unsigned flags,
		   const void *fixed, size_t len);
void bt_nl_put(struct bt_nl *n, unsigned type, const void *value, size_t len);
void bt_nl_put_u32(struct bt_nl *n, unsigned type, uint32_t value);
void bt_nl_put_u8(struct bt_nl *n, unsigned type, uint8_t value);
void bt_nl_end(struct bt_nl *n, size_t begun);
/* Ends a dump; err: 0 or -errno, which the last message brings. BT_NL_DUMPED. */
int bt_nl_dump_end(struct bt_nl *n, const struct bt_nl_req *q, int err);
/* The attribute `type` behind the first `fixed` bytes of the body, *len its length; NULL: none. */
const void *bt_nl_attr(const struct bt_nl_req *q, size_t fixed, unsigned type, size_t *len);

#endif

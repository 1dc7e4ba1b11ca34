/* SPDX-License-Identifier: Apache-2.0 */
#include "nl.h"

#include <errno.h>

/* Datagrams of a dump: what a program that offers one page can take, as the kernel's. */
enum { CHUNK = 3776 };

static void mark(struct bt_nl *n, size_t end)
{
	struct bt_nl_mark *m = bt_buf_add(&n->marks, sizeof(*m));
	if (m)
		*m = (struct bt_nl_mark){.start = n->open, .end = end};
	n->open = end;
}

static void align(struct bt_buf *b)
{
	static const char zero[NLMSG_ALIGNTO];
	bt_buf_put(b, zero, (NLMSG_ALIGNTO - b->n % NLMSG_ALIGNTO) % NLMSG_ALIGNTO);
}

size_t bt_nl_begin(struct bt_nl *n, const struct bt_nl_req *q, unsigned type, unsigned flags,
		   const void *fixed, size_t len)
{
	size_t begun = n->out.n;
	struct nlmsghdr h = {.nlmsg_type = (uint16_t)type,
			     .nlmsg_flags = (uint16_t)flags,
			     .nlmsg_seq = q->h.nlmsg_seq,
			     .nlmsg_pid = n->port};
	bt_buf_put(&n->out, &h, sizeof(h));
	bt_buf_put(&n->out, fixed, len);
	align(&n->out);
	return begun;
}

void bt_nl_put(struct bt_nl *n, unsigned type, const void *value, size_t len)
{
	struct nlattr a = {.nla_type = (uint16_t)type, .nla_len = (uint16_t)(sizeof(a) + len)};
	bt_buf_put(&n->out, &a, sizeof(a));
	bt_buf_put(&n->out, value, len);
	align(&n->out);
}

void bt_nl_put_u32(struct bt_nl *n, unsigned type, uint32_t value)
{
	bt_nl_put(n, type, &value, sizeof(value));
}

void bt_nl_put_u8(struct bt_nl *n, unsigned type, uint8_t value)
{
	bt_nl_put(n, type, &value, sizeof(value));
}

void bt_nl_end(struct bt_nl *n, size_t begun)
{
	struct nlmsghdr h;
	if (n->out.failed)
		return;
	memcpy(&h, n->out.p + begun, sizeof(h));
	h.nlmsg_len = (uint32_t)(n->out.n - begun);
	memcpy(n->out.p + begun, &h, sizeof(h));
	if (begun > n->open && n->out.n - n->open > CHUNK)
		mark(n, begun);
	if (!(h.nlmsg_flags & NLM_F_MULTI))
		mark(n, n->out.n);
}

int bt_nl_dump_end(struct bt_nl *n, const struct bt_nl_req *q, int err)
{
	bt_nl_end(n, bt_nl_begin(n, q, NLMSG_DONE, NLM_F_MULTI, &err, sizeof(err)));
	mark(n, n->out.n);
	return BT_NL_DUMPED;
}

/* netlink_ack: an error brings the request back, unless the program does not want it. */
static void acknowledge(struct bt_nl *n, const struct bt_nl_req *q, int err)
{
	bool whole = err && !n->cap_ack;
	struct nlmsgerr e = {.error = err, .msg = q->h};
	size_t begun = bt_nl_begin(n, q, NLMSG_ERROR, whole ? 0 : NLM_F_CAPPED, &e, sizeof(e));
	if (whole) {
		bt_buf_put(&n->out, q->body, q->len);
		align(&n->out);
	}
	bt_nl_end(n, begun);
}

const void *bt_nl_attr(const struct bt_nl_req *q, size_t fixed, unsigned type, size_t *len)
{
	struct nlattr a;
	for (size_t at = (size_t)NLMSG_ALIGN(fixed); at + sizeof(a) <= q->len;
	     at += (size_t)NLA_ALIGN(a.nla_len)) {
		memcpy(&a, q->body + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > q->len - at)
			return NULL;
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			*len = a.nla_len - sizeof(a);
			return q->body + at + sizeof(a);
		}
	}
	return NULL;
}

static int handle(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	/* The kernel leaves these two to the acknowledgement. */
	if (!(q->h.nlmsg_flags & NLM_F_REQUEST) || q->h.nlmsg_type < NLMSG_MIN_TYPE)
		return 0;
	return n->protocol == NETLINK_ROUTE ? bt_nl_route(n, v, q) : bt_nl_sock_diag(n, v, q);
}

size_t bt_nl_answer(struct bt_nl *n, const struct bt_view *v, const void *req, size_t len)
{
	size_t before, after;
	const char *p = req;
	bt_nl_marks(n, &before);
	while (len >= sizeof(struct nlmsghdr)) {
		struct bt_nl_req q;
		memcpy(&q.h, p, sizeof(q.h));
		if (q.h.nlmsg_len < sizeof(q.h) || q.h.nlmsg_len > len)
			break;
		q.body = p + sizeof(q.h);
		q.len = q.h.nlmsg_len - sizeof(q.h);
		int r = handle(n, v, &q);
		if (r != BT_NL_DUMPED && (r || q.h.nlmsg_flags & NLM_F_ACK))
			acknowledge(n, &q, r);
		size_t step = (size_t)NLMSG_ALIGN((size_t)q.h.nlmsg_len);
		step = step < len ? step : len;
		p += step;
		len -= step;
	}
	bt_nl_marks(n, &after);
	if (n->out.failed || n->marks.failed)
		return 0;
	if (after > before)
		((struct bt_nl_mark *)(void *)n->marks.p)[after - 1].last = true;
	return after - before;
}

void bt_nl_clear(struct bt_nl *n)
{
	n->out.n = n->marks.n = n->open = 0;
	n->out.failed = n->marks.failed = false;
}

void bt_nl_done(struct bt_nl *n)
{
	bt_buf_done(&n->out);
	bt_buf_done(&n->marks);
	bt_nl_clear(n);
}

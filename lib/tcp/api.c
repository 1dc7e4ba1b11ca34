/* SPDX-License-Identifier: Apache-2.0 */
/* What a program does with a connection: send, receive, errors, readiness. */
#include "tcb.h"

/* ---- sending ---- */

/* The last quarter of all buffers is for what arrives: senders that hold everything would wait for
 * ACKs that no receiver can give. */
static uint32_t send_space(const struct bt_tcp *t, const struct bt_conn *c)
{
	if (c->queued > 0 && bt_chunks_scarce(t->chunks))
		return 0;
	return c->sndbuf > c->queued ? c->sndbuf - c->queued : 0;
}

/* Linux's sk_stream_is_writeable: a third is free, and little waits to be sent. */
static bool writable(const struct bt_conn *c)
{
	return c->queued <= c->sndbuf - c->sndbuf / 3 && bt_conn_unsent(c) < c->opts->notsent_lowat;
}

static int take_error(struct bt_conn *c)
{
	int error = c->error;

	c->error = 0;
	return error;
}

/* 0, or why nothing can be sent. */
static int may_send(struct bt_conn *c)
{
	if (c->error != 0)
		return take_error(c);
	if (c->flags & CF_FIN)
		return BERTH_EPIPE;
	switch ((enum bt_state)c->state) {
	case BT_ESTABLISHED:
	case BT_CLOSE_WAIT:
		return 0;
	case BT_SYN_SENT:
		return c->flags & CF_FASTOPEN && c->queued == 0 && !(c->flags & CF_SYN) &&
				       c->snd_nxt.n == c->snd_una.n
			       ? 0
			       : BERTH_EAGAIN;
	case BT_SYN_RECV:
		return c->passive ? 0 : BERTH_EAGAIN;
	case BT_CLOSE:
		return c->cc.cwnd == 0 ? BERTH_ENOTCONN : BERTH_EPIPE;
	case BT_LISTEN:
	case BT_FIN_WAIT1:
	case BT_FIN_WAIT2:
	case BT_TIME_WAIT:
	case BT_LAST_ACK:
	case BT_CLOSING:
		break;
	}
	return BERTH_EPIPE;
}

static int64_t no_room(struct bt_conn *c)
{
	c->flags |= CF_NO_ROOM;
	return BERTH_EAGAIN;
}

static void queued(struct bt_tcp *t, struct bt_conn *c, uint32_t n, unsigned flags)
{
	c->queued += n;
	c->flags &= ~(uint32_t)CF_MORE;
	if (flags & BERTH_MORE)
		c->flags |= CF_MORE;
	if (flags & BERTH_OOB) { /* RFC 9293 MUST-30, MUST-31 */
		c->snd_up = bt_conn_data_end(c);
		c->flags |= CF_URG_OUT;
	}
	if (c->state == BT_SYN_SENT) /* Fast Open: the SYN has waited for this */
		c->flags |= CF_SYN;
	bt_conn_wants_out(t, c);
}

int64_t bt_tcp_send(struct bt_tcp *t, uint32_t slot, const void *data, size_t len, unsigned flags,
		    uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	struct bt_flight *f;
	uint32_t n;
	int r;

	bt_tcp_enter(t, now_ns);
	r = may_send(c);
	if (r < 0)
		return r;
	if (len == 0)
		return 0;
	n = (uint32_t)(len < send_space(t, c) ? len : send_space(t, c));
	if (c->opts->notsent_lowat != UINT32_MAX && bt_conn_unsent(c) >= c->opts->notsent_lowat)
		n = 0;
	if (n == 0)
		return no_room(c);
	f = bt_conn_flight(t, c);
	if (f == NULL || !bt_bytes_reserve(&f->tx, t->chunks, c->queued + n)) {
		bt_conn_trim(t, c);
		return c->queued > 0 ? no_room(c) : BERTH_ENOBUFS;
	}
	bt_bytes_write(&f->tx, c->queued, data, n);
	queued(t, c, n, n == len ? flags : flags & ~(unsigned)BERTH_OOB);
	return n;
}

int bt_tcp_send_room(struct bt_tcp *t, uint32_t slot, struct iovec *parts, unsigned *n_parts,
		     size_t len)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	struct bt_flight *f;
	uint32_t n, unsent;
	int r = may_send(c);

	if (r < 0)
		return r;
	unsent = bt_conn_unsent(c);
	n = bt_min32(send_space(t, c), (uint32_t)(len < BT_BYTES_MAX / 2 ? len : BT_BYTES_MAX / 2));
	n = bt_min32(n, *n_parts * BT_CHUNK_BYTES);
	if (c->opts->notsent_lowat != UINT32_MAX)
		n = bt_min32(n,
			     unsent < c->opts->notsent_lowat ? c->opts->notsent_lowat - unsent : 0);
	if (n == 0)
		return (int)no_room(c);
	f = bt_conn_flight(t, c);
	if (f == NULL || (!bt_bytes_reserve(&f->tx, t->chunks, c->queued + n) &&
			  !bt_bytes_reserve(&f->tx, t->chunks, c->queued + 1))) {
		bt_conn_trim(t, c);
		return c->queued > 0 ? (int)no_room(c) : BERTH_ENOBUFS;
	}
	n = bt_min32(n, f->tx.room - c->queued);
	*n_parts = bt_bytes_some(&f->tx, c->queued, n, parts, *n_parts);
	return 0;
}

int bt_tcp_send_filled(struct bt_tcp *t, uint32_t slot, size_t len, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	int r;

	bt_tcp_enter(t, now_ns);
	r = may_send(c);
	if (r < 0)
		return r;
	if (c->flight == NULL || len > c->flight->tx.room - c->queued || len > send_space(t, c))
		return BERTH_EINVAL;
	if (len > 0)
		queued(t, c, (uint32_t)len, 0);
	else
		bt_conn_trim(t, c);
	return 0;
}

/* ---- receiving ---- */

/* How many bytes may be read before the urgent one; that one is taken off the stream when it is
 * reached, unless SO_OOBINLINE. */
static uint32_t readable(struct bt_tcp *t, struct bt_conn *c) /* RFC 9293 MUST-33 */
{
	uint32_t ahead;

	for (;;) {
		if (!(c->flags & CF_URG_IN) || c->unread == 0)
			return c->unread;
		ahead = c->rcv_up.n - (c->rcv_nxt.n - c->unread);
		if (ahead >= c->unread || ahead > 1u << 30)
			return c->unread;
		if (ahead > 0)
			return ahead;
		c->flags &= ~(uint32_t)CF_URG_IN;
		if (c->opts->oob_inline)
			return c->unread;
		bt_bytes_drop(&c->rxq->rx, t->chunks, 1);
		c->unread--;
		bt_ack_read(t, c, 1);
	}
}

/* What recv says where there is nothing to read. */
static int nothing(struct bt_conn *c)
{
	if (c->error != 0)
		return take_error(c);
	if (c->flags & (CF_FIN_IN | CF_SHUT_RD))
		return 0;
	if (c->state == BT_CLOSE)
		return c->cc.cwnd == 0 ? BERTH_ENOTCONN : 0;
	if (c->state == BT_LISTEN)
		return BERTH_ENOTCONN;
	return BERTH_EAGAIN;
}

static void taken(struct bt_tcp *t, struct bt_conn *c, uint32_t n)
{
	bt_bytes_drop(&c->rxq->rx, t->chunks, n);
	c->unread -= n;
	bt_ack_read(t, c, n);
	bt_conn_trim(t, c);
}

static int64_t recv_oob(struct bt_conn *c, void *data, size_t len, unsigned flags)
{
	if (c->opts->oob_inline || !(c->flags & (CF_OOB | CF_URG_IN)))
		return BERTH_EINVAL;
	if (!(c->flags & CF_OOB)) /* read already, or not there yet */
		return bt_seq_lt(c->rcv_up, c->rcv_nxt) ? BERTH_EINVAL : BERTH_EAGAIN;
	if (len == 0)
		return 0;
	memcpy(data, &c->oob, 1);
	if (!(flags & BERTH_PEEK))
		c->flags &= ~(uint32_t)CF_OOB;
	return 1;
}

int64_t bt_tcp_recv(struct bt_tcp *t, uint32_t slot, void *data, size_t len, unsigned flags,
		    uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	uint32_t n;

	bt_tcp_enter(t, now_ns);
	if (flags & BERTH_RECV_OOB)
		return recv_oob(c, data, len, flags);
	n = c->state == BT_LISTEN ? 0 : readable(t, c);
	if (n == 0)
		return nothing(c);
	if (len < n)
		n = (uint32_t)len;
	bt_bytes_read(&c->rxq->rx, 0, data, n);
	if (!(flags & BERTH_PEEK))
		taken(t, c, n);
	return n;
}

int bt_tcp_recv_data(struct bt_tcp *t, uint32_t slot, struct iovec *parts, unsigned *n_parts)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	uint32_t n = c->state == BT_LISTEN ? 0 : readable(t, c);

	if (n == 0) {
		int r = nothing(c);

		if (r == 0)
			*n_parts = 0;
		return r;
	}
	*n_parts = bt_bytes_some(&c->rxq->rx, 0, n, parts, *n_parts);
	return 0;
}

int bt_tcp_recv_done(struct bt_tcp *t, uint32_t slot, size_t len, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);

	bt_tcp_enter(t, now_ns);
	if (c->state == BT_LISTEN || len > c->unread)
		return BERTH_EINVAL;
	if (len > 0)
		taken(t, c, (uint32_t)len);
	return 0;
}

/* ---- what waits ---- */

int bt_tcp_error_take(struct bt_tcp *t, uint32_t slot)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	int error = take_error(c);

	if (error == 0 && c->state != BT_CLOSE) {
		error = c->soft_error;
		c->soft_error = 0;
	}
	return error;
}

/* Linux's tcp_poll. */
int bt_tcp_ready(const struct bt_tcp *t, uint32_t slot)
{
	const struct bt_conn *c = bt_tcp_conn(t, slot);
	unsigned r = 0;

	if (c->state == BT_LISTEN)
		return c->listener->first == BT_NO_SLOT ? 0 : BERTH_READABLE;
	if (c->error != 0)
		r |= BERTH_ERROR;
	if (c->flags & CF_FIN_IN || c->state == BT_CLOSE)
		r |= BERTH_PEER_SHUT;
	if (c->state == BT_CLOSE || c->state == BT_TIME_WAIT ||
	    (c->flags & CF_FIN && c->flags & CF_FIN_IN))
		r |= BERTH_ENDED;
	if (c->unread > 0 || c->flags & (CF_FIN_IN | CF_SHUT_RD) || c->state == BT_CLOSE)
		r |= BERTH_READABLE;
	if (c->flags & CF_OOB)
		r |= BERTH_URGENT;
	if (c->state == BT_SYN_SENT) /* Fast Open waits for the first data */
		r |= may_send((struct bt_conn *)(uintptr_t)c) == 0 ? BERTH_WRITABLE : 0u;
	else if (c->state != BT_SYN_RECV && (c->flags & CF_FIN || writable(c)))
		r |= BERTH_WRITABLE;
	return (int)r;
}

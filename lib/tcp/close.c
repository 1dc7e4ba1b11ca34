/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How connections end (RFC 9293 3.6, 3.10.4, 3.10.5): close, shutdown, abort, resets, TIME_WAIT.
 *
 * A slot is freed when the connection is over and the program has let go of it, whichever is later.
 * TIME_WAIT of a socket that nobody holds is the port space's (it frees the 4-tuple by its own
 * rules, bt_port_time_wait); while the program still holds it, the connection waits by itself and
 * no other may take it over.
 */
#include "tcb.h"

#define FREED_AT_ONCE 1024 /* ends of TIME_WAIT in one call */

/* Gives the slot back. */
void bt_close_free(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->state == BT_SYN_RECV && c->flags & CF_CHILD)
		bt_syn_leave_queue(t, c);
	bt_conn_done(t, c);
	bt_port_free(t->ports, c->self);
}

/* The connection is over; error 0: as it should be. */
void bt_close_end(struct bt_tcp *t, struct bt_conn *c, int error)
{
	bool waits = c->flags & CF_CHILD && c->state == BT_SYN_RECV;

	if (c->flags & CF_ORPHAN || waits) {
		bt_close_free(t, c);
		return;
	}
	if (error != 0)
		c->error = (int16_t)error;
	c->send_timer = ST_NONE;
	c->keep_set = 0;
	c->flags &= ~(uint32_t)(CF_DELACK | CF_ACK_NOW | CF_SYN | CF_PROBE | CF_TLP);
	bt_wheel_clear(t->wheel, &c->timer);
	bt_conn_leave_out(t, c);
	bt_conn_free_flight(t, c);
	c->queued = 0;
	c->snd_nxt = c->snd_una;
	bt_conn_set_state(t, c, BT_CLOSE);
	bt_reass_forget(c);
	bt_conn_trim(t, c);
	bt_conn_news(t, c,
		     (error != 0 ? BERTH_ERROR : 0u) | BERTH_ENDED | BERTH_PEER_SHUT |
			     BERTH_READABLE | BERTH_WRITABLE);
}

void bt_close_reset(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->state != BT_SYN_SENT && c->state != BT_CLOSE && c->state != BT_LISTEN &&
	    c->state != BT_TIME_WAIT)
		bt_reply_for(t, c, BT_RST | BT_ACK, c->snd_nxt);
	bt_close_end(t, c, 0);
}

/* ---- TIME_WAIT ---- */

void bt_close_arm_time_wait(struct bt_tcp *t)
{
	uint64_t at;

	for (int i = 0; i < FREED_AT_ONCE; i++) {
		uint32_t slot = bt_port_expired(t->ports, t->now_ns);

		if (slot == BT_NO_SLOT)
			break;
		if (bt_tcp_conn(t, slot)->flags & CF_USED)
			bt_conn_done(t, bt_tcp_conn(t, slot));
		bt_port_free(t->ports, slot);
		t->n_changes++;
	}
	at = bt_port_deadline(t->ports);
	if (at == UINT64_MAX)
		bt_wheel_clear(t->wheel, &t->tw_timer);
	else
		bt_wheel_set(t->wheel, &t->tw_timer, at);
}

/* The port space's from now on; one that the program has held so far began when it began. */
static void port_time_wait(struct bt_tcp *t, struct bt_conn *c)
{
	uint64_t at, began_ns = t->now_ns;

	if (c->keep_set)
		began_ns = (t->now_ms64 + (uint64_t)(int32_t)(c->keep_at - t->now_ms) -
			    BT_FIN_WAIT2_MS) *
			   1000000;
	bt_wheel_clear(t->wheel, &c->timer);
	c->keep_set = 0;
	bt_port_time_wait(t->ports, c->self, began_ns);
	at = bt_port_deadline(t->ports);
	if (!bt_timer_is_set(&t->tw_timer) || at < t->tw_timer.at_ns)
		bt_wheel_set(t->wheel, &t->tw_timer, at);
}

/* RFC 9293 3.6.1 MUST-13. The FIN that brought this is acked by a segment of no connection. */
void bt_close_time_wait(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->flags & (CF_ACK_NOW | CF_DELACK)) {
		bt_reply_for(t, c, BT_ACK, c->snd_nxt);
		bt_ack_sent(c);
	}
	c->send_timer = ST_NONE;
	bt_conn_leave_out(t, c);
	bt_conn_free_flight(t, c);
	c->queued = 0;
	bt_reass_forget(c);
	bt_conn_set_state(t, c, BT_TIME_WAIT);
	c->keep_set = 0;
	if (c->flags & CF_ORPHAN) {
		bt_conn_trim(t, c);
		port_time_wait(t, c);
		return;
	}
	bt_timers_keep(t, c, (uint32_t)BT_FIN_WAIT2_MS);
	bt_conn_trim(t, c);
	bt_conn_news(t, c, BERTH_ENDED | BERTH_READABLE | BERTH_WRITABLE);
}

/* An orphan waits for the peer's FIN not longer than TCP_LINGER2. */
void bt_close_fin_wait2(struct bt_tcp *t, struct bt_conn *c)
{
	int32_t s = c->opts->linger2;

	if (c->state != BT_FIN_WAIT2 || !(c->flags & CF_ORPHAN))
		return;
	if (s < 0) {
		bt_close_reset(t, c);
		return;
	}
	bt_timers_keep(t, c, s == 0 ? BT_FIN_WAIT2_MS : (uint32_t)s * 1000);
}

/* RFC 9293 3.10.7.4 for TIME_WAIT: the peer's FIN again shows that our ACK of it was lost, and the
 * wait begins anew. */
static void wait_again(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->flags & CF_ORPHAN)
		bt_port_time_wait_again(t->ports, c->self, t->now_ns);
	else
		bt_timers_keep(t, c, BT_FIN_WAIT2_MS);
}

/* RFC 9293 3.10.7.4 for TIME_WAIT, RFC 6191 (new SYN), RFC 1337 (no end by RST). */
void bt_close_time_wait_input(struct bt_tcp *t, struct bt_conn *c, struct bt_in *in)
{
	const struct bt_tcp_seg *s = &in->s;
	struct bt_port_ends e;
	uint32_t l;

	if (s->flags & BT_RST) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_RST_BLIND);
		return;
	}
	if ((s->flags & (BT_SYN | BT_ACK)) == BT_SYN) {
		bool ts = c->flags & CF_TS && s->has & BT_TCP_TS;
		bool newer = ts ? (int32_t)(s->ts_val - c->ts_recent) > 0
				: bt_seq_lt(c->rcv_nxt, s->seq);

		bt_port_ends(t->ports, c->self, &e);
		l = bt_port_lookup_listener(t->ports, e.host, &e.laddr, e.lport, &e.raddr, e.rport,
					    in->rx->dev);
		if (l != BT_NO_SLOT &&
		    (newer || (ts && bt_seq_lt(c->rcv_nxt, s->seq) && s->ts_val == c->ts_recent))) {
			if (c->flags & CF_ORPHAN)
				bt_close_free(t, c);
			else
				bt_close_end(t, c, 0);
			t->n_changes++;
			bt_syn_listen(t, bt_tcp_conn(t, l), in);
			return;
		}
	}
	if (bt_input_no_timestamp(c, s)) {
		bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_NO_TIMESTAMP);
		return;
	}
	bt_tcp_drop(t, in->rx, BERTH_DROP_TCP_DUPLICATE);
	if (s->flags & BT_FIN && bt_seq_eq(bt_seq_add(s->seq, in->len + 1), c->rcv_nxt))
		wait_again(t, c);
	/* A plain ACK that is where it should be needs no answer. */
	if (!(s->flags & (BT_SYN | BT_FIN)) && in->len == 0 && bt_seq_eq(s->seq, c->rcv_nxt))
		return;
	if (bt_challenge_allowed(t, c, in->rx)) /* or two that wait might answer each other */
		bt_reply_for(t, c, BT_ACK, c->snd_nxt);
}

/* ---- the program ---- */

/* Resets all whom the program has not accepted. */
static void stop_listening(struct bt_tcp *t, struct bt_conn *l)
{
	struct bt_listener *q = l->listener;

	while (q->syn_first != BT_NO_SLOT) {
		struct bt_conn *c = bt_tcp_conn(t, q->syn_first);

		bt_reply_for(t, c, BT_RST | BT_ACK, c->snd_nxt);
		bt_close_free(t, c);
	}
	while (q->first != BT_NO_SLOT) {
		struct bt_conn *c = bt_tcp_conn(t, q->first);

		q->first = c->news_next;
		c->flags = (c->flags & ~(uint32_t)CF_CHILD) | CF_ORPHAN;
		c->parent = BT_NO_SLOT;
		if (c->state == BT_CLOSE)
			bt_close_free(t, c);
		else if (c->state == BT_TIME_WAIT)
			port_time_wait(t, c);
		else
			bt_close_reset(t, c);
	}
	q->last = BT_NO_SLOT;
	q->n_queue = 0;
}

/* RFC 9293 3.10.4: the FIN follows what is queued. */
static void send_fin(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->flags & CF_FIN)
		return;
	c->flags |= CF_FIN;
	if (c->state == BT_ESTABLISHED)
		bt_conn_set_state(t, c, BT_FIN_WAIT1);
	else if (c->state == BT_CLOSE_WAIT)
		bt_conn_set_state(t, c, BT_LAST_ACK);
	else
		return;
	/* The FIN is a segment in flight; there must be a place for it. */
	(void)bt_conn_flight(t, c);
	bt_conn_wants_out(t, c);
}

void bt_tcp_close(struct bt_tcp *t, uint32_t slot, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);

	bt_tcp_enter(t, now_ns);
	bt_conn_leave_news(t, c);
	if (c->state == BT_LISTEN) {
		stop_listening(t, c);
		bt_close_free(t, c);
		return;
	}
	c->flags |= CF_ORPHAN;
	if (c->state == BT_CLOSE || c->state == BT_SYN_SENT) {
		bt_close_free(t, c);
		return;
	}
	if (c->state == BT_TIME_WAIT) {
		c->unread = 0;
		bt_conn_trim(t, c);
		port_time_wait(t, c);
		return;
	}
	/* RFC 2525 2.17, RFC 9293 3.6.1: unread data are lost, and the peer hears of it */
	if (c->unread > 0 || c->opts->linger == 0 || c->state == BT_SYN_RECV) {
		bt_close_reset(t, c);
		return;
	}
	send_fin(t, c);
	bt_reass_forget(c);
	c->rcvbuf = bt_min32(c->rcvbuf, BT_RCVBUF);
	bt_conn_trim(t, c);
	bt_timers_keepalive(t, c);
	bt_close_fin_wait2(t, c);
}

/* RFC 9293 3.10.5 */
void bt_tcp_abort(struct bt_tcp *t, uint32_t slot, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);

	bt_tcp_enter(t, now_ns);
	bt_conn_leave_news(t, c);
	if (c->state == BT_LISTEN) {
		stop_listening(t, c);
		bt_close_free(t, c);
		return;
	}
	c->flags |= CF_ORPHAN;
	bt_close_reset(t, c);
}

/* Linux's tcp_disconnect */
void bt_tcp_disconnect(struct bt_tcp *t, uint32_t slot, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);

	bt_tcp_enter(t, now_ns);
	if (c->state == BT_LISTEN) {
		stop_listening(t, c);
		bt_mem_put(&t->mem, c->listener, sizeof(*c->listener));
		c->listener = NULL;
		bt_conn_set_state(t, c, BT_CLOSE);
	} else {
		bt_close_reset(t, c);
	}
	c->unread = 0;
	bt_conn_trim(t, c);
	c->flags &= CF_USED | CF_NODELAY | CF_CORK | CF_NEWS;
	bt_conn_leave_news(t, c);
	c->error = c->soft_error = 0;
	c->cc.cwnd = 0;
	bt_port_disconnect(t->ports, slot);
}

int bt_tcp_shutdown(struct bt_tcp *t, uint32_t slot, enum berth_shut how, uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);

	bt_tcp_enter(t, now_ns);
	if (c->state == BT_CLOSE || c->state == BT_LISTEN || c->state == BT_TIME_WAIT)
		return BERTH_ENOTCONN;
	if (c->state == BT_SYN_SENT) { /* as Linux: the attempt is given up */
		bt_close_end(t, c, 0);
		return 0;
	}
	if (how != BERTH_SHUT_WR) {
		c->flags |= CF_SHUT_RD;
		bt_conn_news(t, c, BERTH_READABLE | BERTH_PEER_SHUT);
	}
	if (how != BERTH_SHUT_RD)
		send_fin(t, c);
	return 0;
}

/* Linux's tcp_nuke_addr */
void bt_tcp_addr_gone(struct bt_tcp *t, uint16_t host, const struct bt_addr *addr, uint64_t now_ns)
{
	bt_tcp_enter(t, now_ns);
	for (uint32_t k = 0; k < t->n_conn_chunks; k++) {
		for (uint32_t i = 0; t->conns[k] != NULL && i < bt_chunk_size(k); i++) {
			struct bt_conn *c = &t->conns[k][i];
			struct bt_port_ends e;

			if (!(c->flags & CF_USED) || c->state == BT_CLOSE || c->state == BT_LISTEN)
				continue;
			bt_port_ends(t->ports, c->self, &e);
			if (e.host != host || !bt_addr_eq(&e.laddr, addr))
				continue;
			if (c->state == BT_TIME_WAIT && c->flags & CF_ORPHAN)
				bt_close_free(t, c);
			else
				bt_close_end(t, c, BERTH_ECONNABORTED);
		}
	}
}

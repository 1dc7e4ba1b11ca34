/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens later. A connection has one timer in the wheel, set for the earliest of its
 * deadlines: the sender's (one of retransmission, tail probe, reordering, window probe, cork), the
 * delayed ACK's, the slow one's (keepalive; FIN_WAIT2; TIME_WAIT while the program holds the
 * socket) and pacing's.
 */
#include "tcb.h"

static uint64_t us_to_ns(const struct bt_tcp *t, uint32_t at)
{
	int64_t ahead = (int32_t)(at - t->now_us);

	return (t->now_us64 + (uint64_t)(ahead < 0 ? 0 : ahead)) * 1000;
}

void bt_timers_arm(struct bt_tcp *t, struct bt_conn *c)
{
	uint64_t at = UINT64_MAX;

	if (c->send_timer != ST_NONE)
		at = us_to_ns(t, c->send_at);
	if (c->flags & CF_DELACK) {
		uint64_t ack = us_to_ns(t, c->ack_at);

		at = ack < at ? ack : at;
	}
	if (c->keep_set) {
		int64_t ahead = (int32_t)(c->keep_at - t->now_ms);
		uint64_t keep = (t->now_ms64 + (uint64_t)(ahead < 0 ? 0 : ahead)) * 1000000;

		at = keep < at ? keep : at;
	}
	if (c->flight != NULL && c->flight->pacing && c->flight->pace_ns < at)
		at = c->flight->pace_ns;
	if (at == UINT64_MAX)
		bt_wheel_clear(t->wheel, &c->timer);
	else
		bt_wheel_set(t->wheel, &c->timer, at);
}

/* RFC 6298 5.5, RFC 9293 MUST-19 */
uint32_t bt_timers_rto(const struct bt_conn *c)
{
	uint64_t us = (uint64_t)c->rto << bt_min32(c->backoff, 16);

	return us > BT_RTO_MAX ? BT_RTO_MAX : (uint32_t)us;
}

void bt_timers_set(struct bt_tcp *t, struct bt_conn *c, enum bt_send_timer kind, uint32_t us)
{
	c->send_timer = (uint8_t)kind;
	c->send_at = t->now_us + us;
	bt_timers_arm(t, c);
}

/* The sender's timer for what is in flight now. */
void bt_timers_send(struct bt_tcp *t, struct bt_conn *c)
{
	const struct bt_flight *f = c->flight;
	uint32_t rto = bt_timers_rto(c);

	if (f == NULL || f->n == 0) {
		c->send_timer = ST_NONE;
		bt_timers_arm(t, c);
		return;
	}
	/* RFC 5482: not later than the user's time-out */
	if (c->opts->user_timeout != 0 && f->stalled) {
		uint32_t gone = t->now_ms - f->stalled_ms, left = 1;

		if (gone < c->opts->user_timeout)
			left = bt_min32(c->opts->user_timeout - gone, BT_RTO_MAX / 1000);
		rto = bt_min32(rto, left * 1000);
	}
	if (bt_rack_tlp_wanted(c))
		bt_timers_set(t, c, ST_TLP, bt_rack_pto(c));
	else
		bt_timers_set(t, c, ST_RTO, rto);
}

void bt_timers_keep(struct bt_tcp *t, struct bt_conn *c, uint32_t ms)
{
	c->keep_set = 1;
	c->keep_at = t->now_ms + ms;
	bt_timers_arm(t, c);
}

/* SO_KEEPALIVE or TCP_KEEPIDLE was set, or the connection is established. */
void bt_timers_keepalive(struct bt_tcp *t, struct bt_conn *c)
{
	uint32_t idle = t->now_ms - c->last_in_ms, all = c->opts->keepidle * 1000u;

	if (c->state != BT_ESTABLISHED && c->state != BT_CLOSE_WAIT && c->state != BT_FIN_WAIT1 &&
	    !(c->state == BT_FIN_WAIT2 && !(c->flags & CF_ORPHAN)))
		return;
	if (c->opts->keepalive) {
		bt_timers_keep(t, c, idle < all ? all - idle : 0);
		return;
	}
	c->keep_set = 0;
	bt_timers_arm(t, c);
}

/* ---- what is due ---- */

/* RFC 9293 MUST-22, MUST-23 */
static void syn_again(struct bt_tcp *t, struct bt_conn *c)
{
	uint32_t limit = c->passive ? BT_SYNACK_RETRIES : c->opts->syncnt;

	if (c->passive && c->opts->defer_accept != 0)
		limit = bt_max32(limit, c->opts->defer_accept + 1u);
	if (c->retransmits >= limit || (c->opts->user_timeout != 0 && !(c->passive) &&
					t->now_ms - c->last_in_ms >= c->opts->user_timeout)) {
		bt_close_end(t, c, c->soft_error != 0 ? c->soft_error : BERTH_ETIMEDOUT);
		return;
	}
	c->retransmits++;
	c->backoff++;
	if (c->probes > 0 && c->retransmits < c->opts->defer_accept) { /* it was acked */
		bt_timers_set(t, c, ST_RTO, bt_timers_rto(c));
		return;
	}
	c->again++;
	c->flags |= CF_SYN;
	bt_conn_wants_out(t, c);
}

/* RFC 9293 3.8.3, MUST-20: R2, which the program may set (MUST-21). True: the connection is given
 * up. SHLD-11: 15 time-outs last longer than 100 s. */
static bool give_up(struct bt_tcp *t, struct bt_conn *c, uint32_t tries)
{
	const struct bt_flight *f = c->flight;
	uint32_t limit = c->flags & CF_ORPHAN ? BT_ORPHAN_RETRIES : BT_RETRIES;
	bool late;

	if (c->opts->user_timeout != 0 && f != NULL)
		late = f->stalled && t->now_ms - f->stalled_ms >= c->opts->user_timeout;
	else
		late = tries > limit;
	if (!late)
		return false;
	bt_close_end(t, c, c->soft_error != 0 ? c->soft_error : BERTH_ETIMEDOUT);
	return true;
}

static void rto_expired(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	if (c->state == BT_SYN_SENT || c->state == BT_SYN_RECV) {
		syn_again(t, c);
		return;
	}
	if (f == NULL || f->n == 0)
		return;
	/* A peer that shuts a window over what is in flight, but answers, is not dead (MUST-37). */
	if (c->snd_wnd > 0 || c->retransmits == 0 || c->flags & CF_ORPHAN ||
	    t->now_ms - c->last_in_ms > BT_RTO_MAX / 1000)
		bt_count8(&c->retransmits);
	if (!f->stalled) {
		f->stalled = true;
		f->stalled_ms = t->now_ms - bt_timers_rto(c) / 1000;
	}
	if (give_up(t, c, c->retransmits))
		return;
	bt_rack_rto(t, c);
	bt_count8(&c->backoff);
	bt_timers_send(t, c);
	bt_conn_wants_out(t, c);
}

/* RFC 9293 3.8.6.1: the peer's window is shut (MUST-35, MUST-36, MUST-37;
 * SHLD-29; ever longer, SHLD-30). */
static void persist_expired(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	if (f == NULL)
		return;
	if (!f->stalled) { /* an answer without room is no progress: RFC 5482 3 */
		f->stalled = true;
		f->stalled_ms = t->now_ms;
	}
	/* For an orphan nobody will ever read what the peer does not want now. */
	if (give_up(t, c, c->flags & CF_ORPHAN ? bt_max32(c->probes, c->backoff) : c->probes))
		return;
	bt_count8(&c->probes);
	bt_count8(&c->backoff);
	c->flags |= CF_PERSIST;
	if (bt_seq_le(bt_seq_add(c->snd_una, c->snd_wnd), c->snd_nxt))
		c->flags |= CF_PROBE;
	bt_timers_set(t, c, ST_PERSIST, bt_timers_rto(c));
	bt_conn_wants_out(t, c);
}

static void send_expired(struct bt_tcp *t, struct bt_conn *c)
{
	enum bt_send_timer kind = (enum bt_send_timer)c->send_timer;

	c->send_timer = ST_NONE;
	switch (kind) {
	case ST_NONE:
		break;
	case ST_RTO:
		rto_expired(t, c);
		break;
	case ST_TLP:
		if (c->flight == NULL || c->flight->n == 0)
			break;
		c->flags |= CF_TLP;
		bt_timers_set(t, c, ST_RTO, bt_timers_rto(c)); /* if it cannot go */
		bt_conn_wants_out(t, c);
		break;
	case ST_REO:
		if (c->flight != NULL)
			bt_rack_reo_expired(t, c);
		break;
	case ST_PERSIST:
		persist_expired(t, c);
		break;
	case ST_CORK:
		c->flags |= CF_PERSIST;
		bt_conn_wants_out(t, c);
		break;
	}
}

/* RFC 9293 3.8.4, MUST-24, MUST-25, MUST-26, MUST-27, MUST-29, SHLD-12 */
static void keep_expired(struct bt_tcp *t, struct bt_conn *c)
{
	uint32_t idle = t->now_ms - c->last_in_ms, all = c->opts->keepidle * 1000u;
	bool late;

	c->keep_set = 0;
	if (c->state == BT_TIME_WAIT || (c->state == BT_FIN_WAIT2 && c->flags & CF_ORPHAN)) {
		bt_close_end(t, c, 0);
		return;
	}
	if (!c->opts->keepalive || c->state == BT_CLOSE || c->state == BT_LISTEN)
		return;
	if (bt_conn_outstanding(c) > 0 || c->queued > 0) { /* others watch */
		bt_timers_keep(t, c, all);
		return;
	}
	if (idle < all && c->probes == 0) {
		bt_timers_keep(t, c, all - idle);
		return;
	}
	late = c->opts->user_timeout != 0 ? idle >= c->opts->user_timeout && c->probes > 0
					  : c->probes >= c->opts->keepcnt;
	if (late) {
		bt_reply_for(t, c, BT_RST | BT_ACK, c->snd_nxt);
		bt_close_end(t, c, c->soft_error != 0 ? c->soft_error : BERTH_ETIMEDOUT);
		return;
	}
	c->probes++;
	c->flags |= CF_PROBE;
	bt_conn_wants_out(t, c);
	bt_timers_keep(t, c, c->opts->keepintvl * 1000u);
}

void bt_tcp_expired(struct bt_tcp *t, struct bt_timer *timer, uint64_t now_ns)
{
	struct bt_conn *c;

	bt_tcp_enter(t, now_ns);
	if (timer == &t->tw_timer) {
		bt_close_arm_time_wait(t);
		return;
	}
	c = (struct bt_conn *)(void *)((char *)timer - offsetof(struct bt_conn, timer));
	if (!(c->flags & CF_USED))
		return;
	if (c->flags & CF_DELACK && bt_time_due(c->ack_at, t->now_us)) {
		/* No answer came that could have carried it: not an interactive session (Linux). */
		c->flags &= ~(uint32_t)(CF_DELACK | CF_PINGPONG);
		c->flags |= CF_ACK_NOW;
		bt_conn_wants_out(t, c);
	}
	if (c->flight != NULL && c->flight->pacing && c->flight->pace_ns <= t->now_ns) {
		c->flight->pacing = false;
		bt_conn_wants_out(t, c);
	}
	if (c->send_timer != ST_NONE && bt_time_due(c->send_at, t->now_us))
		send_expired(t, c);
	if (c->flags & CF_USED && c->keep_set && bt_time_due(c->keep_at, t->now_ms))
		keep_expired(t, c);
	if (c->flags & CF_USED)
		bt_timers_arm(t, c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loss: found by time (RACK, RFC 8985), probed for at the tail (TLP, RFC 8985 7), by duplicate ACKs
 * of a peer without SACK (RFC 6582), by time-out (RFC 6298 5); recovery from it, and taking it back
 * when it was none (RFC 3522 by timestamps, RFC 3708 by D-SACK, RFC 5682 by what is acked after a
 * time-out).
 *
 * Originals leave in order of sequence numbers, so a scan for losses may stop at the first original
 * that is younger than what RACK knows to have arrived.
 */
#include "tcb.h"

#define DUP_ACKS 3u
#define REO_MAX	 16u

static bool sent_after(uint64_t t1, struct bt_seq end1, uint64_t t2, struct bt_seq end2)
{
	return t1 > t2 || (t1 == t2 && bt_seq_lt(end2, end1));
}

/* RFC 8985 6.2 step 2 */
void bt_rack_delivered(struct bt_tcp *t, struct bt_conn *c, const struct bt_seg *g)
{
	struct bt_flight *f = c->flight;
	uint64_t sent = g->mark.sent_ns, rtt = (t->now_ns - sent) / 1000;

	/* Of one that was sent again: too soon for the last copy, so an earlier one has arrived.
	 * The echoed timestamp would not tell, as it is not that of a segment out of order. */
	if (g->flags & SEG_AGAIN && rtt < c->min_rtt)
		return;
	f->rack_rtt = rtt > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt;
	if (sent_after(sent, bt_seg_end(g), f->rack_ns, f->rack_end)) {
		f->rack_ns = sent;
		f->rack_end = bt_seg_end(g);
	}
}

/* RFC 8985 6.2 step 4, us */
static uint32_t reo_window(const struct bt_conn *c)
{
	const struct bt_flight *f = c->flight;
	uint32_t w;

	if (!f->reordering && (f->recovery != REC_OPEN || f->sacked >= DUP_ACKS * (uint32_t)c->mss))
		return 0;
	w = c->min_rtt == UINT32_MAX ? 0 : c->min_rtt / 4 * c->reo_mult;
	return bt_min32(w, c->srtt8 >> 3);
}

/* RFC 8985 6.2 step 5: bytes found lost, and in *wait_us when the next may be (0: none). */
static uint32_t detect(struct bt_tcp *t, struct bt_conn *c, uint32_t *wait_us)
{
	struct bt_flight *f = c->flight;
	uint64_t wait, limit = ((uint64_t)f->rack_rtt + reo_window(c)) * 1000;
	uint32_t before = f->lost;

	*wait_us = 0;
	if (f->rack_ns == 0)
		return 0;
	for (uint32_t i = 0; i < f->n;) {
		struct bt_seg *g = bt_seg_at(f, i);

		if (g->flags & SEG_SACKED) {
			i += bt_sack_step(f, i);
			continue;
		}
		i++;
		if (g->flags & SEG_LOST)
			continue;
		if (!sent_after(f->rack_ns, f->rack_end, g->mark.sent_ns, bt_seg_end(g))) {
			if (!(g->flags & SEG_AGAIN))
				break;
			continue;
		}
		if (g->mark.sent_ns + limit <= t->now_ns) {
			bt_sack_lost(c, g);
			continue;
		}
		wait = (g->mark.sent_ns + limit - t->now_ns) / 1000 + 1;
		*wait_us = bt_max32(*wait_us, (uint32_t)wait);
	}
	return f->lost - before;
}

static void recovery_begins(struct bt_conn *c, enum bt_recovery kind)
{
	struct bt_flight *f = c->flight;

	f->recovery = (uint8_t)kind;
	f->high = c->snd_nxt;
	f->undo = false;
	c->undo_again = 0;
	c->undo_from = c->snd_una;
}

/* Fast recovery. outstanding, pipe: before what this ACK says. */
static void enter(struct bt_tcp *t, struct bt_conn *c, uint32_t outstanding, uint32_t pipe)
{
	recovery_begins(c, REC_RECOVERY);
	c->flight->tlp = false;
	if (c->flags & CF_ECN)
		c->flags |= CF_CWR;
	bt_cc_loss_found(&c->cc, outstanding, pipe, t->now_ns);
}

static void undo(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	bt_sack_none_lost(c);
	f->recovery = REC_OPEN;
	f->undo = false;
	f->dup_acks = 0;
	f->dup_bytes = 0;
	c->undo_again = 0;
	bt_cc_spurious(&c->cc, t->now_ns);
}

/* RFC 3522: what is acked was sent before we sent it again. RFC 3708: all that was sent again came
 * twice. */
static bool spurious(const struct bt_flight *f, const struct bt_ack *a)
{
	if (f->recovery == REC_OPEN || !f->undo)
		return false;
	if (a->has_ts && a->cc.acked > 0 && (int32_t)(a->ts_ecr - f->undo_ts) < 0)
		return true;
	return a->undone;
}

/* RFC 5682 2.1, with SACK 3.1: true if the time-out was spurious. What was sent once and before it,
 * and is acked only now, cannot have been brought about by what was sent again. Without SACK it may
 * have waited behind a hole that the repeated segment has filled. Until one or the other is known,
 * new data go out instead of old ones. */
static bool frto(struct bt_conn *c, const struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	if (f->recovery != REC_LOSS || f->frto == FRTO_NONE)
		return false;
	if (a->original && (c->flags & CF_SACK || !a->again)) {
		f->frto = FRTO_NONE;
		return true;
	}
	if (f->frto == FRTO_FIRST && a->cc.acked > 0 && bt_seq_lt(c->snd_una, f->high)) {
		f->high = c->snd_nxt;
		f->frto = FRTO_NEW;
	} else if (f->frto != FRTO_FIRST) {
		f->frto = FRTO_NONE; /* the loss was real */
	}
	return false;
}

/* RFC 8985 7.4.2: did the probe repair a loss that nobody noticed? */
static void tlp_ack(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in,
		    const struct bt_ack *a, uint32_t outstanding)
{
	struct bt_flight *f = c->flight;

	if (bt_seq_lt(in->s.ack, f->tlp_end))
		return;
	if (!f->tlp_again || a->dsack) {
		f->tlp = false;
	} else if (bt_seq_lt(f->tlp_end, in->s.ack)) {
		f->tlp = false;
		bt_cc_loss_found(&c->cc, outstanding, f->pipe, t->now_ns);
		bt_cc_recovered(&c->cc, f->pipe, t->now_ns);
	} else if (a->cc.acked == 0 && in->len == 0 && in->s.n_sack == 0) {
		f->tlp = false;
	}
}

/* RFC 6582 3.2 for a peer without SACK: three duplicates mean that the first is lost, an ACK of a
 * part of the window that the next is. */
static void dup_ack(struct bt_conn *c, const struct bt_in *in, const struct bt_ack *a)
{
	struct bt_flight *f = c->flight;

	if (f->n == 0)
		return;
	if (a->cc.acked > 0) {
		f->dup_acks = 0;
		f->dup_bytes = 0;
		if (f->recovery == REC_RECOVERY && bt_seq_lt(in->s.ack, f->high))
			bt_sack_lost(c, bt_seg_at(f, 0));
		return;
	}
	if (in->len > 0 || in->s.flags & (BT_SYN | BT_FIN))
		return;
	bt_count8(&f->dup_acks);
	f->dup_bytes = bt_min32(f->dup_bytes + c->mss, f->pipe);
	if (f->dup_acks == DUP_ACKS && f->recovery == REC_OPEN)
		bt_sack_lost(c, bt_seg_at(f, 0));
}

/* RFC 8985 6.2 step 4: D-SACKs widen the reordering window, quiet recoveries narrow it. */
static void adapt(struct bt_conn *c, const struct bt_ack *a)
{
	if (a->dsack && c->reo_mult < REO_MAX)
		c->reo_mult = (unsigned)(c->reo_mult + 1) & 31;
}

void bt_rack_ack(struct bt_tcp *t, struct bt_conn *c, const struct bt_in *in, struct bt_ack *a,
		 uint32_t outstanding)
{
	struct bt_flight *f = c->flight;
	uint32_t pipe = a->cc.in_flight_before, before = f->lost, wait = 0;

	adapt(c, a);
	if (f->tlp)
		tlp_ack(t, c, in, a, outstanding);
	if (spurious(f, a) || frto(c, a))
		undo(t, c);
	else if (f->recovery == REC_OPEN && a->undone) /* the recovery is over */
		bt_cc_spurious(&c->cc, t->now_ns);
	if (f->recovery != REC_OPEN && bt_seq_le(f->high, c->snd_una)) {
		f->recovery = REC_OPEN;
		f->undo = false;
		f->dup_acks = 0;
		if (c->reo_mult > 1 && !a->dsack)
			c->reo_mult--;
		bt_cc_recovered(&c->cc, f->pipe, t->now_ns);
	}
	if (!(c->flags & CF_SACK))
		dup_ack(c, in, a);
	/* Nothing SACKed, nothing sent again: nothing is out of order. */
	if (c->flags & CF_SACK && (f->sacked > 0 || f->recovery != REC_OPEN))
		detect(t, c, &wait);
	a->cc.lost = f->lost > before ? f->lost - before : 0;
	if (f->lost > 0 && f->recovery == REC_OPEN)
		enter(t, c, outstanding, pipe);
	if (wait > 0)
		bt_timers_set(t, c, ST_REO, wait);
}

void bt_rack_idle_ack(struct bt_tcp *t, struct bt_conn *c, const struct bt_tcp_seg *s)
{
	struct bt_ack a = {.dsack = false};

	if (!bt_sack_dsack(c, s, &a))
		return;
	adapt(c, &a);
	if (a.undone)
		bt_cc_spurious(&c->cc, t->now_ns);
}

void bt_rack_reo_expired(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;
	uint32_t pipe = f->pipe, wait;

	detect(t, c, &wait);
	if (f->lost > 0 && f->recovery == REC_OPEN)
		enter(t, c, bt_conn_outstanding(c), pipe);
	if (wait > 0)
		bt_timers_set(t, c, ST_REO, wait);
	else
		bt_timers_send(t, c);
	bt_conn_wants_out(t, c);
}

/* RFC 8985 7.2: only where SACK will tell what the probe finds, and nothing is known to be lost. */
bool bt_rack_tlp_wanted(const struct bt_conn *c)
{
	const struct bt_flight *f = c->flight;

	return c->flags & CF_SACK && f->recovery == REC_OPEN && f->sacked == 0 && !f->tlp &&
	       c->srtt8 != 0 && c->backoff == 0 && bt_seq_lt(c->snd_una, bt_conn_data_end(c));
}

uint32_t bt_rack_pto(const struct bt_conn *c)
{
	uint32_t pto = 2 * (c->srtt8 >> 3);

	if (bt_conn_outstanding(c) <= c->mss)
		pto += BT_RTO_MIN; /* one segment: its ACK may be delayed */
	return bt_min32(bt_max32(pto, 2000), bt_timers_rto(c));
}

/* RFC 6298 5.4: the oldest first; RFC 8985 6.3: all that is not SACKed counts as lost. */
void bt_rack_rto(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;
	uint32_t outstanding = bt_conn_outstanding(c);

	if (f->n > 0 && bt_seg_at(f, 0)->flags & SEG_SACKED)
		bt_sack_renege(c);
	bt_cc_timed_out(&c->cc, outstanding, c->retransmits > 1, t->now_ns);
	/* RFC 5682 2: not where a loss is being repaired already */
	f->frto = f->recovery == REC_OPEN || c->retransmits > 1 ? FRTO_FIRST : FRTO_NONE;
	if (f->recovery != REC_LOSS)
		recovery_begins(c, REC_LOSS);
	f->high = c->snd_nxt;
	f->tlp = false;
	f->dup_acks = 0;
	f->dup_bytes = 0;
	bt_sack_all_lost(c);
	if (c->flags & CF_ECN)
		c->flags |= CF_CWR;
}

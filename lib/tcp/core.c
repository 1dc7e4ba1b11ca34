/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of TCP and its connections: memory, lists, the state's one setter, and what a program
 * is told. Connections with something to send and those with news stand in two doubly linked lists
 * by index; a call takes from their fronts, so its work does not grow with the number of
 * connections.
 */
#include "tcb.h"

#include <stdlib.h>

struct bt_tcp *bt_tcp_new(const uint8_t key[16], struct bt_port_net *ports, struct bt_wheel *wheel,
			  struct bt_chunks *chunks, const struct bt_tcp_below *below)
{
	struct bt_tcp *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	memcpy(t->key, key, sizeof(t->key));
	t->ports = ports;
	t->wheel = wheel;
	t->chunks = chunks;
	t->below = *below;
	bt_mem_init(&t->mem);
	t->out_first = t->out_last = t->news_first = t->news_last = BT_NO_SLOT;
	t->last_slot = t->train.slot = BT_NO_SLOT;
	t->defaults = (struct bt_tcp_opts){.refs = 1,
					   .linger = -1,
					   .keepidle = 7200, /* RFC 9293 MUST-28 */
					   .keepintvl = 75,
					   .keepcnt = 9,
					   .notsent_lowat = UINT32_MAX,
					   .syncnt = BT_SYN_RETRIES,
					   .mtu_discover = 1,
					   .ecn = 2};
	return t;
}

void bt_tcp_free(struct bt_tcp *t)
{
	if (t == NULL)
		return;
	for (uint32_t k = 0; k < t->n_conn_chunks; k++) {
		for (uint32_t i = 0; t->conns[k] != NULL && i < bt_chunk_size(k); i++)
			if (t->conns[k][i].flags & CF_USED)
				bt_conn_done(t, &t->conns[k][i]);
		free(t->conns[k]);
	}
	free(t->conns);
	free(t->ranges);
	bt_wheel_clear(t->wheel, &t->tw_timer);
	bt_mem_done(&t->mem);
	free(t->replies);
	free(t);
}

size_t bt_tcp_bytes(const struct bt_tcp *t)
{
	size_t sum = sizeof(*t) + (size_t)t->mem.taken + t->reply_cap * sizeof(t->replies[0]);

	for (uint32_t k = 0; k < t->n_conn_chunks; k++)
		if (t->conns[k] != NULL)
			sum += bt_chunk_size(k) * sizeof(struct bt_conn);
	return sum + t->n_conn_chunks * (sizeof(t->conns[0]) + sizeof(t->ranges[0]));
}

void bt_tcp_enter(struct bt_tcp *t, uint64_t now_ns)
{
	if (now_ns <= t->now_ns)
		return;
	t->now_ns = now_ns;
	t->now_us64 = now_ns / 1000;
	t->now_ms64 = now_ns / 1000000;
	t->now_us = (uint32_t)t->now_us64;
	t->now_ms = (uint32_t)t->now_ms64;
}

uint32_t bt_tcp_random(struct bt_tcp *t)
{
	uint64_t n = ++t->n_random;

	return (uint32_t)bt_siphash(t->key, &n, sizeof(n));
}

void bt_tcp_drop(struct bt_tcp *t, const struct bt_rx *rx, enum berth_drop reason)
{
	t->below.drop(t->below.arg, rx->host, reason);
}

/* ---- a connection's place ---- */

/* Room for chunk k in the lists. */
static bool lists_reach(struct bt_tcp *t, uint32_t k)
{
	uint32_t n = k < 2 * t->n_conn_chunks ? 2 * t->n_conn_chunks : k + 1;
	struct bt_range *ranges;
	struct bt_conn **conns;

	if (k < t->n_conn_chunks)
		return true;
	ranges = realloc(t->ranges, n * sizeof(ranges[0]));
	if (ranges == NULL)
		return false;
	t->ranges = ranges;
	conns = realloc(t->conns, n * sizeof(conns[0]));
	if (conns == NULL)
		return false;
	t->conns = conns;
	while (t->n_conn_chunks < n)
		t->conns[t->n_conn_chunks++] = NULL;
	return true;
}

static bool chunk_begin(struct bt_tcp *t, uint32_t k)
{
	size_t size = bt_chunk_size(k) * sizeof(struct bt_conn);
	uint32_t i = t->n_ranges;

	t->conns[k] = aligned_alloc(64, size);
	if (t->conns[k] == NULL)
		return false;
	memset(t->conns[k], 0, size);
	for (; i > 0 && t->ranges[i - 1].from > (uintptr_t)t->conns[k]; i--)
		t->ranges[i] = t->ranges[i - 1];
	t->ranges[i] = (struct bt_range){(uintptr_t)t->conns[k], (uintptr_t)t->conns[k] + size};
	t->n_ranges++;
	return true;
}

static struct bt_conn *place(struct bt_tcp *t, uint32_t slot)
{
	uint32_t k = bt_chunk_of(slot);

	if (!lists_reach(t, k) || (t->conns[k] == NULL && !chunk_begin(t, k)))
		return NULL;
	return bt_tcp_conn(t, slot);
}

/* A slot that the port space gave to a new connection may still have the state of one whose
 * TIME_WAIT was taken over. */
int bt_tcp_open(struct bt_tcp *t, uint32_t slot)
{
	struct bt_conn *c = place(t, slot);

	if (c == NULL)
		return BERTH_ENOMEM;
	if (c->flags & CF_USED)
		bt_conn_done(t, c);
	memset(c, 0, sizeof(*c));
	c->flags = CF_USED;
	c->state = BT_CLOSE;
	c->self = slot;
	c->parent = BT_NO_SLOT;
	c->opts = &t->defaults;
	c->opts->refs++;
	c->rto = BT_RTO_INIT;
	c->min_rtt = UINT32_MAX;
	c->reo_mult = 1;
	c->rcvbuf = BT_RCVBUF;
	c->sndbuf = BT_SNDBUF;
	c->cc.module = t->defaults.module;
	c->cc.ssthresh = UINT32_MAX;
	t->n_conns++;
	return 0;
}

void bt_tcp_taken(struct bt_tcp *t, uint32_t slot)
{
	struct bt_conn *c = place(t, slot);

	if (c != NULL && c->flags & CF_USED)
		bt_conn_done(t, c);
}

struct bt_flight *bt_conn_flight(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	if (f != NULL)
		return f;
	f = bt_mem_get(&t->mem, sizeof(*f));
	if (f == NULL)
		return NULL;
	memset(f, 0, sizeof(*f));
	f->small_end = c->snd_una;
	bt_rate_start(&f->rate, t->now_ns);
	c->flight = f;
	return f;
}

struct bt_rxq *bt_conn_rxq(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_rxq *q = c->rxq;

	if (q != NULL)
		return q;
	q = bt_mem_get(&t->mem, sizeof(*q));
	if (q == NULL)
		return NULL;
	memset(q, 0, sizeof(*q));
	q->space_at = t->now_us;
	q->rtt_at = t->now_us;
	q->rtt_seq = c->rcv_nxt;
	c->rxq = q;
	return q;
}

void bt_conn_free_flight(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_flight *f = c->flight;

	if (f == NULL)
		return;
	bt_bytes_clear(&f->tx, t->chunks);
	if (f->ring != NULL)
		bt_mem_put(&t->mem, f->ring, f->cap * sizeof(f->ring[0]));
	bt_mem_put(&t->mem, f, sizeof(*f));
	c->flight = NULL;
}

static void free_rxq(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_rxq *q = c->rxq;

	if (q == NULL)
		return;
	bt_bytes_clear(&q->rx, t->chunks);
	if (q->pieces != NULL)
		bt_mem_put(&t->mem, q->pieces, q->cap * sizeof(q->pieces[0]));
	bt_mem_put(&t->mem, q, sizeof(*q));
	c->rxq = NULL;
}

/* A receive queue stays where the buffer has begun to grow: its measurements are worth the bytes.
 */
void bt_conn_trim(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->flight != NULL && c->queued == 0 && c->flight->n == 0 &&
	    c->snd_una.n == c->snd_nxt.n)
		bt_conn_free_flight(t, c);
	if (c->state != BT_LISTEN && c->rxq != NULL && c->unread == 0 && c->rxq->n == 0 &&
	    !c->rxq->has_dsack && !c->rxq->has_fin &&
	    (c->bytes_in <= BT_RCVBUF || c->state == BT_CLOSE || c->flags & CF_ORPHAN))
		free_rxq(t, c);
}

void bt_conn_done(struct bt_tcp *t, struct bt_conn *c)
{
	bt_wheel_clear(t->wheel, &c->timer);
	bt_conn_leave_out(t, c);
	bt_conn_leave_news(t, c);
	bt_conn_free_flight(t, c);
	if (c->state == BT_LISTEN && c->listener != NULL) {
		bt_mem_put(&t->mem, c->listener, sizeof(*c->listener));
		c->listener = NULL;
	} else {
		free_rxq(t, c);
	}
	bt_opts_unref(t, c->opts);
	c->opts = NULL;
	c->flags = 0;
	t->n_conns--;
	t->n_changes++;
}

/* ---- states ---- */

/* From which states each may be entered: RFC 9293 figure 5, with aborts (to CLOSE from any). */
static const uint16_t from[] = {
	[BT_ESTABLISHED] = 1 << BT_SYN_SENT | 1 << BT_SYN_RECV,
	[BT_SYN_SENT] = 1 << BT_CLOSE,
	[BT_SYN_RECV] = 1 << BT_SYN_SENT | 1 << BT_CLOSE,
	[BT_FIN_WAIT1] = 1 << BT_ESTABLISHED | 1 << BT_SYN_RECV,
	[BT_FIN_WAIT2] = 1 << BT_FIN_WAIT1,
	[BT_TIME_WAIT] = 1 << BT_FIN_WAIT1 | 1 << BT_FIN_WAIT2 | 1 << BT_CLOSING,
	[BT_CLOSE] = 0xffff,
	[BT_CLOSE_WAIT] = 1 << BT_ESTABLISHED | 1 << BT_SYN_RECV,
	[BT_LAST_ACK] = 1 << BT_CLOSE_WAIT,
	[BT_LISTEN] = 1 << BT_CLOSE,
	[BT_CLOSING] = 1 << BT_FIN_WAIT1,
};

void bt_conn_set_state(struct bt_tcp *t, struct bt_conn *c, enum bt_state state)
{
	bt_assert(from[state] & 1 << c->state);
	c->state = (uint8_t)state;
	if (state == BT_LISTEN || state == BT_TIME_WAIT) /* the port space has calls for them */
		return;
	if (state == BT_CLOSE)
		t->n_changes++;
	bt_port_set_state(t->ports, c->self, state);
}

/* ---- lists ---- */

void bt_conn_wants_out(struct bt_tcp *t, struct bt_conn *c)
{
	if (c->flags & CF_OUT)
		return;
	c->flags |= CF_OUT;
	c->out_next = BT_NO_SLOT;
	c->out_prev = t->out_last;
	if (t->out_last == BT_NO_SLOT)
		t->out_first = c->self;
	else
		bt_tcp_conn(t, t->out_last)->out_next = c->self;
	t->out_last = c->self;
}

void bt_conn_leave_out(struct bt_tcp *t, struct bt_conn *c)
{
	if (!(c->flags & CF_OUT))
		return;
	c->flags &= ~(uint32_t)CF_OUT;
	if (c->out_prev == BT_NO_SLOT)
		t->out_first = c->out_next;
	else
		bt_tcp_conn(t, c->out_prev)->out_next = c->out_next;
	if (c->out_next == BT_NO_SLOT)
		t->out_last = c->out_prev;
	else
		bt_tcp_conn(t, c->out_next)->out_prev = c->out_prev;
}

/* What nobody holds or has accepted yet has no news. */
void bt_conn_news(struct bt_tcp *t, struct bt_conn *c, unsigned what)
{
	if (c->flags & (CF_ORPHAN | CF_CHILD))
		return;
	c->news |= (uint8_t)what;
	if (c->flags & CF_NEWS)
		return;
	c->flags |= CF_NEWS;
	c->news_next = BT_NO_SLOT;
	c->news_prev = t->news_last;
	if (t->news_last == BT_NO_SLOT)
		t->news_first = c->self;
	else
		bt_tcp_conn(t, t->news_last)->news_next = c->self;
	t->news_last = c->self;
}

void bt_conn_leave_news(struct bt_tcp *t, struct bt_conn *c)
{
	if (!(c->flags & CF_NEWS))
		return;
	c->flags &= ~(uint32_t)CF_NEWS;
	c->news = 0;
	if (c->news_prev == BT_NO_SLOT)
		t->news_first = c->news_next;
	else
		bt_tcp_conn(t, c->news_prev)->news_next = c->news_next;
	if (c->news_next == BT_NO_SLOT)
		t->news_last = c->news_prev;
	else
		bt_tcp_conn(t, c->news_next)->news_prev = c->news_prev;
}

bool bt_tcp_event(struct bt_tcp *t, uint32_t *slot, uint32_t *flags)
{
	struct bt_conn *c;

	if (t->news_first == BT_NO_SLOT)
		return false;
	c = bt_tcp_conn(t, t->news_first);
	*slot = c->self;
	*flags = c->news;
	bt_conn_leave_news(t, c);
	return true;
}

bool bt_tcp_owns(const struct bt_tcp *t, const struct bt_timer *timer)
{
	uintptr_t p = (uintptr_t)timer;
	uint32_t lo = 0, hi = t->n_ranges;

	if (timer == &t->tw_timer)
		return true;
	while (lo < hi) { /* the first range that begins behind it */
		uint32_t mid = (lo + hi) / 2;

		if (t->ranges[mid].from <= p)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && p < t->ranges[lo - 1].to;
}

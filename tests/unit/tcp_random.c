/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts, random programs, a random wire: segments are lost, delayed, doubled and changed in
 * order, buffers and options are random, memory ends at a random moment. Whatever happens, every
 * byte arrives once and in order, or the connection ends with an error that is named; and when all
 * is over the tables and pools are empty. Prints the seed; BERTH_SEED repeats one, BERTH_ROUNDS
 * sets how many are tried.
 */
#include "tcp_help.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_PAIRS 4

static uint64_t seed, rng, n_bytes, n_errors;

static uint32_t rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 20) % n;
}

static void fail(const char *why)
{
	printf("BERTH_SEED=%llu: %s\n", (unsigned long long)seed, why);
	fflush(stdout);
	abort();
}

struct weather {
	uint32_t lose, twice, late; /* of 1,000 */
};

static bool weather(struct wire *w, struct frame *f)
{
	const struct weather *x = w->arg;

	if (rnd(1000) < x->lose)
		return false;
	if (rnd(1000) < x->late)
		f->at_ns += rnd(30 * MS);
	if (rnd(1000) < x->twice && w->n < WIRE_MAX - 2) {
		struct frame *g = malloc(sizeof(*g) + FRAME_MAX);

		*g = *f;
		g->data = (uint8_t *)(g + 1);
		memcpy(g->data, f->data, f->len);
		g->at_ns += rnd(20 * MS);
		w->q[w->n++] = g;
	}
	return true;
}

/* One end of a connection; what it sends is a function of the place in the stream. */
struct end {
	uint32_t slot;
	bool open, shut, ended, error;
	uint32_t salt;
	uint64_t to_send, sent, got;
	struct end *peer;
};

static uint8_t byte_at(uint32_t salt, uint64_t i)
{
	return (uint8_t)((i * 2654435761u ^ salt) >> 7);
}

static void close_end(struct wire *w, struct end *e)
{
	if (!e->open)
		return;
	e->open = false;
	wire_close(w, e->slot);
}

static void failed(struct wire *w, struct end *e, int64_t error)
{
	if (error != BERTH_ECONNRESET && error != BERTH_EPIPE && error != BERTH_ETIMEDOUT &&
	    error != BERTH_ECONNREFUSED) {
		printf("error %d: ", (int)error);
		fail("should not be");
	}
	e->error = true;
	close_end(w, e);
}

static void write_some(struct wire *w, struct end *e)
{
	uint8_t buf[5000];
	uint64_t left = e->to_send - e->sent;
	uint32_t n = (uint32_t)(left < sizeof(buf) ? left : sizeof(buf));
	int64_t r;

	if (e->shut || !e->open)
		return;
	if (n == 0 && wire_conn(w, e->slot)->state == BT_SYN_SENT)
		return; /* shutdown would give up */
	if (n == 0) {
		e->shut = true;
		if (bt_tcp_shutdown(w->t, e->slot, BERTH_SHUT_WR, w->now) < 0 && !e->error)
			close_end(w, e);
		return;
	}
	n = 1 + rnd(n);
	for (uint32_t i = 0; i < n; i++)
		buf[i] = byte_at(e->salt, e->sent + i);
	r = bt_tcp_send(w->t, e->slot, buf, n, rnd(10) == 0 ? BERTH_MORE : 0, w->now);
	if (r > 0)
		e->sent += (uint64_t)r;
	else if (r != BERTH_EAGAIN && r != BERTH_ENOBUFS)
		failed(w, e, r);
}

static void read_some(struct wire *w, struct end *e)
{
	uint8_t buf[20000];
	int64_t r;

	if (!e->open || e->ended)
		return;
	r = wire_recv(w, e->slot, buf, 1 + rnd(sizeof(buf)));
	if (r == BERTH_EAGAIN)
		return;
	if (r < 0) {
		failed(w, e, r);
		return;
	}
	if (r == 0) {
		e->ended = true;
		if (!e->peer->error && e->got != e->peer->sent)
			fail("the end came early");
		return;
	}
	for (int64_t i = 0; i < r; i++, e->got++)
		if (buf[i] != byte_at(e->peer->salt, e->got))
			fail("a wrong byte");
	if (e->got > e->peer->sent)
		fail("more than was sent");
}

static void options(struct wire *w, uint32_t slot)
{
	if (rnd(3) == 0)
		bt_tcp_set(w->t, slot, BERTH_SO_RCVBUF, 1500 + rnd(50000), w->now);
	if (rnd(3) == 0)
		bt_tcp_set(w->t, slot, BERTH_SO_SNDBUF, 2500 + rnd(50000), w->now);
	if (rnd(3) == 0)
		bt_tcp_set(w->t, slot, BERTH_TCP_NODELAY, 1, w->now);
	if (rnd(6) == 0)
		bt_tcp_set(w->t, slot, BERTH_TCP_MAXSEG, 88 + rnd(1400), w->now);
	if (rnd(6) == 0)
		bt_tcp_set(w->t, slot, BERTH_TCP_NOTSENT_LOWAT, 1 + rnd(5000), w->now);
	if (rnd(6) == 0)
		bt_tcp_set(w->t, slot, BERTH_TCP_ECN, 1, w->now);
	bt_tcp_set(w->t, slot, BERTH_TCP_CONGESTION, rnd(3), w->now);
}

static void act(struct wire *w, struct end *e)
{
	switch (rnd(40)) {
	case 0:
		if (rnd(2000) == 0 && e->open) {
			e->error = true;
			e->open = false;
			bt_tcp_abort(w->t, e->slot, w->now);
		}
		break;
	case 1:
		if (e->ended && e->shut)
			close_end(w, e);
		break;
	default:
		write_some(w, e);
		read_some(w, e);
	}
}

static bool over(const struct end *e)
{
	return !e->open || (e->ended && e->shut);
}

static void show(struct wire *w, const struct end *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct bt_conn *c = wire_conn(w, e[i].slot);

		printf("end %u: open %d shut %d ended %d error %d sent %llu got %llu of %llu", i,
		       e[i].open, e[i].shut, e[i].ended, e[i].error, (unsigned long long)e[i].sent,
		       (unsigned long long)e[i].got, (unsigned long long)e[i].peer->sent);
		printf(" state %u queued %u unsent %u out %u unread %u snd_wnd %u timer %u "
		       "rcvbuf %u\n",
		       c->state, c->queued, bt_conn_unsent(c), bt_conn_outstanding(c), c->unread,
		       c->snd_wnd, c->send_timer, c->rcvbuf);
	}
}

static void round_of(void)
{
	static struct wire w;
	struct weather x = {rnd(4) * rnd(60), rnd(3) * rnd(50), rnd(3) * rnd(200)};
	struct end e[2 * MAX_PAIRS] = {0};
	uint32_t n = 1 + rnd(MAX_PAIRS), l;
	unsigned k = 0;

	wire_up(&w);
	w.delay = rnd(4) == 0 ? 0 : rnd(20 * MS);
	w.mtu = rnd(3) == 0 ? 300 + rnd(60000) : 1500;
	w.flags = rnd(2) ? BERTH_IF_TSO : 0;
	if (rnd(5) == 0)
		w.t->mem.slabs_left = 1 + rnd(8);
	if (rnd(5) == 0) {
		bt_chunks_free(w.chunks);
		w.t->chunks = w.chunks = bt_chunks_new((1 + rnd(40)) * BT_CHUNK_BYTES);
	}
	w.rule = weather;
	w.arg = &x;
	l = wire_listen(&w, B, 80, rnd(4));
	options(&w, l);
	for (uint32_t i = 0; i < n; i++) {
		e[2 * i] =
			(struct end){.slot = wire_open(&w, A), .salt = rnd(1000000), .open = true};
		e[2 * i].to_send = rnd(4) == 0 ? rnd(10) : rnd(200000);
		e[2 * i].peer = &e[2 * i + 1];
		e[2 * i + 1] = (struct end){.peer = &e[2 * i], .shut = true, .ended = true};
		options(&w, e[2 * i].slot);
		wire_connect(&w, e[2 * i].slot, B, 80);
	}
	for (;; k++) {
		uint32_t s = wire_accept(&w, l);
		bool all = true;

		if (s != BT_NO_SLOT) { /* which client's is it? by its port */
			struct bt_port_ends b, a;

			bt_port_ends(w.ports, s, &b);
			for (uint32_t i = 0; i < n; i++) {
				if (!e[2 * i].open)
					continue;
				bt_port_ends(w.ports, e[2 * i].slot, &a);
				if (a.lport != b.rport)
					continue;
				e[2 * i + 1].slot = s;
				e[2 * i + 1].open = true;
				e[2 * i + 1].ended = e[2 * i + 1].shut = false;
				e[2 * i + 1].salt = rnd(1000000);
				e[2 * i + 1].to_send = rnd(100000);
				s = BT_NO_SLOT;
				break;
			}
			if (s != BT_NO_SLOT)
				bt_tcp_abort(w.t, s, w.now);
		}
		for (uint32_t i = 0; i < 2 * n; i++) {
			act(&w, &e[i]);
			all = all && over(&e[i]) && (i % 2 == 0 || e[i].open || !e[i - 1].open);
		}
		wire_run(&w, rnd(3) == 0 ? rnd(50 * MS) : rnd(2 * MS));
		while (bt_tcp_event(w.t, &s, &(uint32_t){0}))
			;
		if (all && rnd(10) == 0)
			break;
		if (k == 30000) { /* some 200 s: from now on all is well */
			x = (struct weather){0};
			w.t->mem.slabs_left = UINT32_MAX;
		}
		/* A reset may be lost, and who only reads will never know. */
		for (uint32_t i = 0; k > 30000 && i < 2 * n; i++)
			if (e[i].peer->error)
				close_end(&w, &e[i]);
		if (k > 200000) {
			show(&w, e, 2 * n);
			fail("it never ends");
		}
	}
	for (uint32_t i = 0; i < 2 * n; i++) {
		n_bytes += e[i].got;
		n_errors += e[i].error;
		close_end(&w, &e[i]);
	}
	wire_close(&w, l);
	x = (struct weather){0};
	wire_down(&w);
}

int main(void)
{
	const char *s = getenv("BERTH_SEED"), *r = getenv("BERTH_ROUNDS");
	uint64_t first = s != NULL ? strtoull(s, NULL, 10) : 1;
	uint64_t n = r != NULL ? strtoull(r, NULL, 10) : s != NULL ? 1 : 150;

	for (seed = first; seed < first + n; seed++) {
		rng = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
		for (int i = 0; i < 8; i++)
			(void)rnd(2);
		round_of();
	}
	printf("%llu rounds from seed %llu: %llu bytes, %llu ends with errors\n",
	       (unsigned long long)n, (unsigned long long)first, (unsigned long long)n_bytes,
	       (unsigned long long)n_errors);
	return n_bytes > n * 10000 && n_errors < n ? 0 : 1; /* or it has tried nothing */
}

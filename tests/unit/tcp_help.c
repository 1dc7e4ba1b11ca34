/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp_help.h"

#include <stdio.h>
#include <stdlib.h>

static const uint8_t key[16] = "tests of tcp!!!";

struct bt_addr wire_addr(uint16_t host, bool v6)
{
	struct bt_addr a = {{0xfd}};

	if (!v6)
		return bt_addr_v4(0x0a000001u + host);
	a.b[15] = (uint8_t)(host + 1);
	return a;
}

static int path(void *arg, uint16_t host, const struct bt_addr *src, const struct bt_addr *dst,
		struct bt_path *p)
{
	struct wire *w = arg;

	(void)host, (void)src, (void)dst;
	if (w->no_path)
		return BERTH_ENETUNREACH;
	*p = (struct bt_path){
		.generation = w->generation, .i = 1, .flags = w->flags, .mtu = w->mtu};
	return 0;
}

static uint32_t generation(void *arg)
{
	return ((struct wire *)arg)->generation;
}

static void drop(void *arg, uint16_t host, enum berth_drop reason)
{
	(void)host;
	((struct wire *)arg)->drops[reason]++;
}

void wire_up(struct wire *w)
{
	struct bt_tcp_below below = {w, path, generation, drop};

	memset(w, 0, sizeof(*w));
	w->now = 1000 * SEC;
	w->delay = 5 * MS;
	w->mtu = 1500;
	w->generation = 1;
	w->ports = bt_port_net_new(key, 65536);
	w->wheel = bt_wheel_new(w->now);
	w->chunks = bt_chunks_new(256u << 20);
	bt_assert(w->ports != NULL && w->wheel != NULL && w->chunks != NULL);
	bt_assert(bt_port_host_add(w->ports, A) == 0 && bt_port_host_add(w->ports, B) == 0);
	w->t = bt_tcp_new(key, w->ports, w->wheel, w->chunks, &below);
	bt_assert(w->t != NULL);
	bt_tcp_enter(w->t, w->now);
}

/* Every run ends with empty tables. */
void wire_check_empty(struct wire *w)
{
	bt_port_check(w->ports);
	bt_assert(bt_port_count(w->ports) == 0);
	bt_assert(w->t->n_conns == 0);
	bt_assert(bt_chunks_used(w->chunks) == 0);
	bt_assert(w->t->mem.used == 0);
	bt_assert(w->t->out_first == BT_NO_SLOT && w->t->news_first == BT_NO_SLOT);
}

void wire_down(struct wire *w)
{
	wire_run(w, 2000 * SEC);
	wire_check_empty(w);
	for (unsigned i = 0; i < w->n; i++)
		free(w->q[i]);
	bt_tcp_free(w->t);
	bt_port_net_free(w->ports);
	bt_wheel_free(w->wheel);
	bt_chunks_free(w->chunks);
}

static bool one_out(struct wire *w)
{
	struct berth_output out;
	struct bt_tx tx = {.out = &out};
	struct frame *f;
	uint8_t *p;
	uint64_t sum;

	if (!bt_tcp_output(w->t, &tx, w->now))
		return false;
	f = malloc(sizeof(*f) + FRAME_MAX);
	bt_assert(f != NULL && w->n < WIRE_MAX);
	*f = (struct frame){.at_ns = w->now + w->delay,
			    .from = tx.host,
			    .segment = tx.segment,
			    .tos = tx.tos,
			    .src = tx.src,
			    .dst = tx.dst,
			    .data = (uint8_t *)(f + 1)};
	memcpy(f->data, out.header + tx.header_at, tx.header_len);
	p = f->data + tx.header_len;
	for (unsigned i = 1; i < out.n_iov; i++) {
		memcpy(p, out.iov[i].iov_base, out.iov[i].iov_len);
		p += out.iov[i].iov_len;
	}
	f->len = (uint32_t)(p - f->data);
	bt_assert(f->len == (uint32_t)tx.header_len + tx.payload_len);
	bt_assert(tx.segment != 0 || f->len + (w->v6 ? 40u : 20u) <= w->mtu || tx.payload_len == 0);
	if (tx.no_checksum) {
		sum = bt_csum_add(0, f->data, f->len);
		bt_csum_put(f->data + 16, sum);
	}
	sum = bt_csum_pseudo(&f->src, &f->dst, BT_TCP, f->len);
	bt_assert(bt_csum_ok(bt_csum_add(sum, f->data, f->len)));
	bt_assert(bt_tcp_read(f->data, f->len, &f->s) == BT_TCP_OK);
	w->n_sent++;
	w->n_bytes += tx.payload_len;
	w->last[f->from & 1] = *f;
	w->last[f->from & 1].data = NULL;
	if (w->rule != NULL && !w->rule(w, f)) {
		free(f);
		return true;
	}
	w->q[w->n++] = f;
	return true;
}

void wire_flush(struct wire *w)
{
	unsigned n = 0;

	while (one_out(w))
		bt_assert(++n < 100000);
}

static void receive(struct wire *w, const struct frame *f)
{
	struct bt_rx rx = {.host = (uint16_t)!f->from,
			   .i = 1,
			   .dev = 2,
			   .proto = BT_TCP,
			   .tos = f->tos,
			   .hops = 64,
			   .src = f->src,
			   .dst = f->dst,
			   .data = f->data,
			   .len = f->len,
			   .mtu = w->mtu,
			   .segment = f->segment};

	rx.host = f->dst.b[15] == 1 ? A : B;
	bt_tcp_input(w->t, &rx, w->now);
}

/* The earliest of what is on the wire; of equal ones the one that was sent first. */
static int earliest(const struct wire *w)
{
	int best = -1;

	for (unsigned i = 0; i < w->n; i++)
		if (best < 0 || w->q[i]->at_ns < w->q[best]->at_ns)
			best = (int)i;
	return best;
}

static void timers(struct wire *w)
{
	struct bt_timer *timer;

	while ((timer = bt_wheel_expired(w->wheel, w->now)) != NULL) {
		bt_assert(bt_tcp_owns(w->t, timer));
		bt_tcp_expired(w->t, timer, w->now);
	}
	bt_assert(bt_wheel_deadline(w->wheel) > w->now);
}

void wire_run(struct wire *w, uint64_t for_ns)
{
	uint64_t until = w->now + for_ns;

	for (;;) {
		int i;
		uint64_t at = bt_wheel_deadline(w->wheel);

		wire_flush(w);
		i = earliest(w);
		at = bt_wheel_deadline(w->wheel);
		if (i >= 0 && w->q[i]->at_ns <= at)
			at = w->q[i]->at_ns;
		else
			i = -1;
		if (at > until)
			break;
		if (at > w->now)
			w->now = at;
		if (i >= 0) {
			struct frame *f = w->q[i];

			memmove(&w->q[i], &w->q[i + 1], (--w->n - (unsigned)i) * sizeof(f));
			receive(w, f);
			free(f);
		} else {
			timers(w);
		}
	}
	w->now = until;
	timers(w);
	wire_flush(w);
}

uint32_t wire_open(struct wire *w, uint16_t host)
{
	uint32_t s;

	bt_assert(bt_port_new(w->ports, host, BT_TCP, w->v6 ? BT_V6 : BT_V4, 0, &s) == 0);
	bt_assert(bt_tcp_open(w->t, s) == 0);
	return s;
}

uint32_t wire_listen(struct wire *w, uint16_t host, uint16_t port, uint32_t backlog)
{
	uint32_t s = wire_open(w, host);
	struct bt_addr any = w->v6 ? (struct bt_addr){{0}} : bt_addr_v4(0);
	struct bt_reason why;

	bt_assert(bt_port_bind(w->ports, s, &any, port, true, w->now, &why) == 0);
	bt_assert(bt_port_listen(w->ports, s, w->now, &why) == 0);
	bt_assert(bt_tcp_listen(w->t, s, backlog, w->now) == 0);
	return s;
}

int wire_connect(struct wire *w, uint32_t slot, uint16_t to, uint16_t port)
{
	struct bt_port_info info;
	struct bt_addr src, dst = wire_addr(to, w->v6);
	struct bt_reason why;
	struct bt_path p;
	uint32_t taken;

	bt_assert(bt_port_get(w->ports, slot, &info));
	src = wire_addr(info.host, w->v6);
	bt_assert(bt_port_connect(w->ports, slot, &src, &dst, port, w->now, &taken, &why) == 0);
	if (taken != BT_NO_SLOT)
		bt_tcp_taken(w->t, taken);
	if (path(w, info.host, &src, &dst, &p) < 0)
		return BERTH_ENETUNREACH;
	return bt_tcp_connect(w->t, slot, &p, w->now);
}

uint32_t wire_accept(struct wire *w, uint32_t listener)
{
	uint32_t s;

	return bt_tcp_accept(w->t, listener, &s, w->now) == 0 ? s : BT_NO_SLOT;
}

void wire_pair(struct wire *w, uint32_t *a, uint32_t *b, uint32_t *listener)
{
	*listener = wire_listen(w, B, 80, 16);
	*a = wire_open(w, A);
	bt_assert(wire_connect(w, *a, B, 80) == BERTH_EINPROGRESS);
	wire_run(w, 4 * w->delay + MS);
	*b = wire_accept(w, *listener);
	bt_assert(*b != BT_NO_SLOT);
}

struct bt_conn *wire_conn(struct wire *w, uint32_t slot)
{
	return bt_tcp_conn(w->t, slot);
}

int64_t wire_send(struct wire *w, uint32_t slot, const void *data, size_t len)
{
	return bt_tcp_send(w->t, slot, data, len, 0, w->now);
}

int64_t wire_recv(struct wire *w, uint32_t slot, void *data, size_t len)
{
	return bt_tcp_recv(w->t, slot, data, len, 0, w->now);
}

uint32_t wire_events(struct wire *w, uint32_t slot)
{
	uint32_t s, flags, all = 0;

	while (bt_tcp_event(w->t, &s, &flags))
		if (s == slot)
			all |= flags;
	return all;
}

struct bt_tcp_seg wire_next(struct wire *w, uint32_t slot, uint8_t flags)
{
	struct bt_conn *c = wire_conn(w, slot);
	struct bt_port_ends e;
	struct bt_tcp_seg s = {
		.flags = flags, .seq = c->rcv_nxt, .ack = c->snd_nxt, .window = 1000};

	bt_port_ends(w->ports, slot, &e);
	s.sport = e.rport;
	s.dport = e.lport;
	if (c->flags & CF_TS) {
		s.has = BT_TCP_TS;
		s.ts_val = c->ts_recent;
		s.ts_ecr = bt_conn_ts(w->t, c);
	}
	return s;
}

void wire_inject(struct wire *w, uint32_t slot, struct bt_tcp_seg *s, const void *data,
		 uint32_t len)
{
	uint8_t buf[FRAME_MAX];
	struct bt_port_ends e;
	unsigned h = bt_tcp_write(buf, s);
	uint64_t sum;
	struct frame f = {.data = buf, .len = h + len};

	bt_port_ends(w->ports, slot, &e);
	f.src = e.raddr;
	f.dst = e.laddr;
	f.from = (uint16_t)!e.host;
	if (len > 0)
		memcpy(buf + h, data, len);
	sum = bt_csum_pseudo(&f.src, &f.dst, BT_TCP, f.len);
	bt_csum_put(buf + 16, bt_csum_add(sum, buf, f.len));
	receive(w, &f);
}

void wire_close(struct wire *w, uint32_t slot)
{
	bt_tcp_close(w->t, slot, w->now);
}

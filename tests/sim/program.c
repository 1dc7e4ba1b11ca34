/* SPDX-License-Identifier: Apache-2.0 */
/* The programs: clients and servers of streams, senders of datagrams. They look at a socket only
 * when an event names it or their own pause is over, so an event that is lost shows as a
 * standstill. */
#include "sim.h"

#include <string.h>

#define LISTENER                                                                                   \
	((uint64_t)1 << 32) /* user word of a listener, of a datagram socket; else a side */
#define DGRAM ((uint64_t)2 << 32)

static uint8_t byte_of(const struct sim *s, int conn, int side, uint32_t at)
{
	return (uint8_t)((at * 2654435761u >> 13) + (uint32_t)conn * 31 + (uint32_t)side * 17 +
			 (uint32_t)s->seed);
}

static void endpoint(const struct sim *s, int host, int family, uint16_t port,
		     struct berth_endpoint *e)
{
	*e = (struct berth_endpoint){.port = port};
	topology_address(s, host, family, &e->addr);
}

/* ---- making ---- */

static void make_side(struct sim *s, struct side *e, uint64_t begin)
{
	e->polite = chance(s, 75);
	e->to_send = (uint32_t)below(s, (uint64_t)1 << below(s, 19));
	e->chunk = 1 + (uint32_t)below(s, (uint64_t)1 << (4 + below(s, 14)));
	e->pause_ns = chance(s, 20) ? below(s, SECOND / 20) : 0;
	e->quit_ns = e->polite ? UINT64_MAX : begin + below(s, 20 * SECOND);
	e->quit_by_abort = chance(s, 50);
	e->wake_ns = UINT64_MAX;
}

static void make_listener(struct sim *s, int host, int family)
{
	struct berth_endpoint any = {.port = PORT};
	berth_socket *l = &s->listeners[host][family == 6];

	if (family == 4)
		any.addr.b[10] = any.addr.b[11] = 0xff;
	if (berth_open(s->b, (berth_host)s->hosts[host], BERTH_TCP, family, l) < 0 ||
	    (family == 6 && berth_set(s->b, *l, BERTH_IPV6_V6ONLY, 1, s->now_ns) < 0) ||
	    berth_bind(s->b, *l, &any, s->now_ns) < 0 || berth_listen(s->b, *l, 100, s->now_ns) < 0)
		broken(s, "no listener");
	berth_set_user(s->b, *l, LISTENER | (unsigned)host << 1 | (family == 6));
}

static void make_dgram(struct sim *s, int host)
{
	struct dgram_socket *d = &s->dgrams[host];
	struct berth_endpoint any = {.port = PORT, .addr.b = {[10] = 0xff, [11] = 0xff}};

	d->host = host;
	d->left = (uint32_t)below(s, 20);
	d->next_ns = s->now_ns + below(s, SECOND);
	if (berth_open(s->b, (berth_host)s->hosts[host], BERTH_UDP, 4, &d->s) < 0 ||
	    berth_bind(s->b, d->s, &any, s->now_ns) < 0)
		broken(s, "no datagram socket");
	berth_set_user(s->b, d->s, DGRAM | (unsigned)host);
}

void programs_make(struct sim *s)
{
	int ends = s->n_hosts - s->n_routers;

	for (int h = s->n_routers; h < s->n_hosts; h++) {
		make_listener(s, h, 4);
		make_listener(s, h, 6);
		make_dgram(s, h);
	}
	s->n_conns = ends < 2 ? 0 : 1 + (int)below(s, s->n_hosts == 2 ? 8 : MAX_CONNS);
	for (int i = 0; i < s->n_conns; i++) {
		struct conn *c = &s->conns[i];
		int client = (int)below(s, (uint64_t)ends),
		    other = (int)below(s, (uint64_t)ends - 1);

		c->host[0] = s->n_routers + client;
		c->host[1] = s->n_routers + other + (other >= client);
		c->family = chance(s, 50) ? 4 : 6;
		c->begin_ns = s->now_ns + below(s, 5 * SECOND);
		make_side(s, &c->side[0], c->begin_ns);
		make_side(s, &c->side[1], c->begin_ns);
		/* Small steps with pauses in between would take too long. */
		for (int k = 0; k < 2; k++)
			if ((c->side[0].to_send + c->side[1].to_send) / c->side[k].chunk > 2000)
				c->side[k].pause_ns = 0;
	}
}

/* ---- a side ---- */

static void side_close(struct sim *s, struct side *e)
{
	int r = e->quit_by_abort && e->quit_ns <= s->now_ns ? berth_abort(s->b, e->s, s->now_ns)
							    : berth_close(s->b, e->s, s->now_ns);
	if (r < 0)
		broken(s, "closing a live socket: %d", r);
	e->open = false;
	e->ended = true;
	e->wake_ns = UINT64_MAX;
}

static void side_failed(struct sim *s, struct side *e, int error)
{
	e->error = error;
	side_close(s, e);
}

/* True: it has read something, and may again. */
static bool side_read(struct sim *s, int conn, int side)
{
	static uint8_t data[1 << 18];
	struct side *e = &s->conns[conn].side[side];
	int64_t r;

	if (e->eof)
		return false;
	r = berth_recv(s->b, e->s, data, e->chunk, 0, s->now_ns);
	if (r == BERTH_EAGAIN)
		return false;
	if (r < 0) {
		side_failed(s, e, (int)r);
		return false;
	}
	for (int64_t i = 0; i < r; i++, e->got++)
		if (data[i] != byte_of(s, conn, !side, e->got))
			broken(s, "connection %d side %d: byte %u is wrong", conn, side, e->got);
	s->delivered += (uint64_t)r;
	if (e->got > s->conns[conn].side[!side].sent)
		broken(s, "connection %d side %d: more than was sent", conn, side);
	e->eof = r == 0;
	if (e->eof && e->got != s->conns[conn].side[!side].sent)
		broken(s, "connection %d side %d: the end after %u of %u bytes", conn, side, e->got,
		       s->conns[conn].side[!side].sent);
	return r > 0;
}

static bool side_write(struct sim *s, int conn, int side)
{
	static uint8_t data[1 << 18];
	struct side *e = &s->conns[conn].side[side];
	uint32_t len = e->to_send - e->sent;
	int64_t r;

	if (len == 0)
		return false;
	len = len < e->chunk ? len : e->chunk;
	for (uint32_t i = 0; i < len; i++)
		data[i] = byte_of(s, conn, side, e->sent + i);
	r = berth_send(s->b, e->s, data, len, 0, s->now_ns);
	if (r == BERTH_EAGAIN)
		return false;
	if (r <= 0 || r > (int64_t)len) {
		side_failed(s, e, (int)r);
		return false;
	}
	e->sent += (uint32_t)r;
	return true;
}

static void side_act(struct sim *s, int conn, int side)
{
	struct side *e = &s->conns[conn].side[side];
	bool again = true;

	if (!e->open || (e->wake_ns != UINT64_MAX && e->wake_ns > s->now_ns))
		return;
	e->wake_ns = UINT64_MAX;
	if (s->now_ns >= e->quit_ns) {
		side_close(s, e);
		return;
	}
	while (again && e->open) {
		again = side_read(s, conn, side);
		if (e->open)
			again |= side_write(s, conn, side);
		if (again && e->pause_ns != 0) {
			e->wake_ns = s->now_ns + e->pause_ns;
			return;
		}
	}
	if (!e->open)
		return;
	if (e->sent == e->to_send && !e->shut) {
		int r = berth_shutdown(s->b, e->s, BERTH_SHUT_WR, s->now_ns);
		if (r < 0) {
			side_failed(s, e, r);
			return;
		}
		e->shut = true;
	}
	if (e->shut && e->eof)
		side_close(s, e);
}

/* A reset may be lost, and an end that only reads would wait for ever; so who has a rude peer asks
 * whether it is there. */
static void keep_alive(struct sim *s, const struct conn *c, const struct side *e)
{
	if (c->side[0].polite && c->side[1].polite)
		return;
	if (berth_set(s->b, e->s, BERTH_SO_KEEPALIVE, 1, s->now_ns) < 0 ||
	    berth_set(s->b, e->s, BERTH_TCP_KEEPIDLE, 60, s->now_ns) < 0)
		broken(s, "no keep-alive");
}

static void client_begins(struct sim *s, int conn)
{
	struct conn *c = &s->conns[conn];
	struct side *e = &c->side[0];
	struct berth_endpoint to;
	int r;

	c->begun = true;
	endpoint(s, c->host[1], c->family, PORT, &to);
	if (berth_open(s->b, (berth_host)s->hosts[c->host[0]], BERTH_TCP, c->family, &e->s) < 0)
		broken(s, "no socket");
	e->open = true;
	berth_set_user(s->b, e->s, (unsigned)conn * 2);
	keep_alive(s, c, e);
	if (chance(s, 30))
		(void)berth_set(s->b, e->s, BERTH_TCP_CONGESTION, (int64_t)below(s, 3), s->now_ns);
	if (chance(s, 30))
		(void)berth_set(s->b, e->s, BERTH_TCP_NODELAY, 1, s->now_ns);
	if (chance(s, 20))
		(void)berth_set(s->b, e->s, BERTH_SO_RCVBUF, 2000 + (int64_t)below(s, 50000),
				s->now_ns);
	r = berth_connect(s->b, e->s, &to, s->now_ns);
	if (r != BERTH_EINPROGRESS)
		side_failed(s, e, r);
	else if (berth_name(s->b, e->s, &c->name, NULL) < 0)
		broken(s, "no name");
}

static void accept_all(struct sim *s, int host, bool six)
{
	struct berth_endpoint peer;
	berth_socket child;

	while (berth_accept(s->b, s->listeners[host][six], &child, s->now_ns) == 0) {
		int i = 0;

		if (berth_name(s->b, child, NULL, &peer) < 0)
			broken(s, "an accepted socket has no name");
		while (i < s->n_conns && (s->conns[i].accepted || s->conns[i].host[1] != host ||
					  s->conns[i].name.port != peer.port ||
					  memcmp(&s->conns[i].name.addr, &peer.addr, 16) != 0))
			i++;
		if (i == s->n_conns)
			broken(s, "a connection that nobody began, from port %u", peer.port);
		s->conns[i].accepted = true;
		s->conns[i].side[1].s = child;
		s->conns[i].side[1].open = true;
		berth_set_user(s->b, child, (unsigned)i * 2 + 1);
		keep_alive(s, &s->conns[i], &s->conns[i].side[1]);
		side_act(s, i, 1);
	}
}

static void read_datagrams(struct sim *s, int host)
{
	struct berth_datagram info;
	uint8_t data[3000];
	int64_t r;

	while ((r = berth_recv_from(s->b, s->dgrams[host].s, data, sizeof(data), &info, 0,
				    s->now_ns)) != BERTH_EAGAIN)
		/* Two fragments may have been spoilt such that the sum is right. */
		for (int64_t i = 1; i < r && r < 1200; i++)
			if (data[i] != (uint8_t)(data[0] + i))
				broken(s, "byte %lld of a datagram is wrong", (long long)i);
}

static void send_datagram(struct sim *s, struct dgram_socket *d)
{
	int to = s->n_routers + (int)below(s, (uint64_t)(s->n_hosts - s->n_routers));
	uint8_t data[3000];
	struct berth_endpoint e;
	size_t len = 1 + below(s, sizeof(data));

	endpoint(s, to, 4, chance(s, 90) ? PORT : PORT + 1, &e);
	data[0] = (uint8_t)below(s, 256);
	for (size_t i = 1; i < len; i++)
		data[i] = (uint8_t)(data[0] + i);
	(void)berth_send_to(s->b, d->s, data, len, &e, s->now_ns);
	d->left--;
	d->next_ns = s->now_ns + below(s, SECOND);
}

/* ---- the loop's side ---- */

void programs_event(struct sim *s, const struct berth_event *e)
{
	int conn = (int)(e->user / 2), side = (int)(e->user % 2);

	if (e->user & LISTENER) {
		accept_all(s, (int)((e->user & 0xffff) >> 1), e->user & 1);
	} else if (e->user & DGRAM) {
		read_datagrams(s, (int)(e->user & 0xffff));
	} else {
		struct side *end = &s->conns[conn].side[side];

		if (!end->open || end->s != e->socket)
			return;
		if (side == 0 && !s->conns[conn].connected) {
			int error = berth_error_take(s->b, end->s);
			if (error != 0) {
				side_failed(s, end, error);
				return;
			}
			s->conns[conn].connected = e->what & BERTH_WRITABLE;
			s->connected += s->conns[conn].connected;
			if (!s->conns[conn].connected)
				return;
		}
		side_act(s, conn, side);
	}
}

static void earlier(uint64_t *at, uint64_t than)
{
	*at = than < *at ? than : *at;
}

uint64_t programs_deadline(const struct sim *s)
{
	uint64_t at = UINT64_MAX;

	for (int i = 0; i < s->n_conns; i++) {
		if (!s->conns[i].begun)
			earlier(&at, s->conns[i].begin_ns);
		for (int k = 0; k < 2; k++)
			if (s->conns[i].side[k].open) {
				earlier(&at, s->conns[i].side[k].wake_ns);
				earlier(&at, s->conns[i].side[k].quit_ns);
			}
	}
	for (int h = s->n_routers; h < s->n_hosts; h++)
		if (s->dgrams[h].left > 0)
			earlier(&at, s->dgrams[h].next_ns);
	return at;
}

void programs_act(struct sim *s)
{
	for (int i = 0; i < s->n_conns; i++) {
		if (!s->conns[i].begun && s->conns[i].begin_ns <= s->now_ns)
			client_begins(s, i);
		for (int k = 0; k < 2; k++) {
			struct side *e = &s->conns[i].side[k];
			if (e->open && e->quit_ns <= s->now_ns)
				side_close(s, e);
			else if (e->open && e->wake_ns <= s->now_ns)
				side_act(s, i, k);
		}
	}
	for (int h = s->n_routers; h < s->n_hosts; h++)
		if (s->dgrams[h].left > 0 && s->dgrams[h].next_ns <= s->now_ns)
			send_datagram(s, &s->dgrams[h]);
}

bool programs_done(const struct sim *s)
{
	for (int i = 0; i < s->n_conns; i++)
		if (!s->conns[i].begun || s->conns[i].side[0].open || s->conns[i].side[1].open)
			return false;
	return true;
}

void programs_print(const struct sim *s)
{
	struct berth_tcp_info t;

	for (int i = 0; i < s->n_conns; i++)
		for (int k = 0; k < 2; k++) {
			const struct side *e = &s->conns[i].side[k];

			if (!e->open || berth_tcp_info(s->b, e->s, &t) < 0)
				continue;
			printf("  connection %d side %d (host %d, IPv%d): state %u, sent %u of %u, "
			       "got "
			       "%u%s%s, ready %x\n"
			       "    send queue %u, unacked %u, lost %u, window %u, cwnd %u, "
			       "receive "
			       "window %u, backoff %u, probes %u\n",
			       i, k, s->conns[i].host[k], s->conns[i].family, t.state, e->sent,
			       e->to_send, e->got, e->eof ? ", end" : "", e->shut ? ", shut" : "",
			       (unsigned)berth_ready(s->b, e->s), t.send_queue_bytes, t.unacked,
			       t.lost, t.snd_wnd, t.snd_cwnd, t.rcv_wnd, t.backoff, t.probes);
		}
}

static void check(struct sim *s, int conn)
{
	const struct conn *c = &s->conns[conn];
	const struct side *a = &c->side[0], *b = &c->side[1];

	if (!a->polite || !b->polite)
		return;
	if (!c->accepted) { /* it never came about, and the client has been told */
		if (a->error == 0)
			broken(s, "connection %d: nobody accepted it, and no error", conn);
		s->failed++;
		return;
	}
	if (a->error != 0 || b->error != 0 || !a->eof || !b->eof)
		broken(s, "connection %d: errors %d and %d between polite ends", conn, a->error,
		       b->error);
	if (a->got != b->to_send || b->got != a->to_send)
		broken(s, "connection %d: %u of %u, %u of %u bytes", conn, a->got, b->to_send,
		       b->got, a->to_send);
	s->whole++;
}

void programs_end(struct sim *s)
{
	for (int i = 0; i < s->n_conns; i++)
		check(s, i);
	for (int h = s->n_routers; h < s->n_hosts; h++)
		if (berth_close(s->b, s->listeners[h][0], s->now_ns) < 0 ||
		    berth_close(s->b, s->listeners[h][1], s->now_ns) < 0 ||
		    berth_close(s->b, s->dgrams[h].s, s->now_ns) < 0)
			broken(s, "closing a live socket");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets and time. What comes in is looked at by IP one by one; segments of TCP are gathered, so
 * that their connections are looked up together, and given on before anything that TCP must not
 * hear of earlier. What goes out is asked for: IP's own packets, then datagrams and segments by
 * turns.
 */
#include "internal.h"

#include "../base/bytes.h"
#include "../wire/udp.h"

struct batch {
	struct bt_rx rx[BT_RX_BATCH];
	size_t n;
};

static void flush(struct berth *b, struct batch *batch)
{
	if (batch->n == 1)
		bt_tcp_input(b->tcp, &batch->rx[0], b->now_ns);
	else if (batch->n > 1)
		bt_tcp_input_batch(b->tcp, batch->rx, batch->n, b->now_ns);
	batch->n = 0;
}

/* slot: of the ping socket. */
static void keep_error(struct berth *b, const struct bt_icmp_error *e, uint32_t slot)
{
	uint32_t at = (b->icmp_first + b->n_icmps) % BT_ENGINE_ICMP_MAX;
	uint32_t skip = e->proto == BERTH_UDP ? BT_UDP_HEADER : 0, len = e->len - skip;
	const struct bt_held *h = skip > 0 ? NULL : bt_held_at(b, slot);
	struct bt_engine_icmp *k = &b->icmps[at];

	if (b->n_icmps == BT_ENGINE_ICMP_MAX)
		return;
	b->n_icmps++;
	k->proto = e->proto;
	k->user = h == NULL ? 0 : h->user;
	k->host = e->host;
	k->sport = bt_get16(e->quoted);
	k->dport = bt_get16(e->quoted + 2);
	k->type = e->type;
	k->code = e->code;
	k->error = e->error;
	k->hard = bt_udp_icmp_hard(e) || e->error == BERTH_EMSGSIZE;
	k->mtu = e->mtu;
	k->src = e->src;
	k->dst = e->dst;
	k->from = e->from;
	k->len = len < sizeof(k->data) ? len : (uint32_t)sizeof(k->data);
	memcpy(k->data, e->quoted + skip, k->len);
}

bool bt_engine_icmp(struct berth *b, struct bt_engine_icmp *out)
{
	if (b->n_icmps == 0)
		return false;
	*out = b->icmps[b->icmp_first];
	b->icmp_first = (b->icmp_first + 1) % BT_ENGINE_ICMP_MAX;
	b->n_icmps--;
	return true;
}

static void take_error(struct berth *b, const struct bt_icmp_error *e)
{
	uint32_t slot = BT_NO_SLOT;
	bool ours;

	if (e->proto == BERTH_TCP)
		ours = bt_tcp_icmp(b->tcp, e->host, &e->src, &e->dst, e->quoted, e->len, e->error,
				   e->mtu, b->now_ns);
	else
		ours = bt_udp_icmp(b->udp, e, &slot);
	if (e->len >= BT_UDP_HEADER &&
	    (e->proto == BERTH_UDP || (e->proto != BERTH_TCP && slot != BT_NO_SLOT)))
		keep_error(b, e, slot);
	if (ours && e->error == BERTH_EMSGSIZE)
		bt_ip_mtu_learned(b->ip, e->host, &e->dst, e->mtu, b->now_ns);
}

/* What IP made of a packet; of TCP's the place for the next one is in the batch itself. */
static void take(struct berth *b, struct batch *batch, enum bt_ip_got got,
		 const struct bt_icmp_error *e)
{
	struct bt_rx *rx = &batch->rx[batch->n];

	switch (got) {
	case BT_IP_NOTHING:
		return;
	case BT_IP_ERROR:
		flush(b, batch);
		take_error(b, e);
		return;
	case BT_IP_PACKET:
		break;
	}
	if (rx->proto != BERTH_TCP)
		bt_udp_input(b->udp, rx, b->now_ns);
	else if (++batch->n == BT_RX_BATCH)
		flush(b, batch);
}

/* Each one taken in leads to one answer of IP at most, and answers lead to none: it ends. */
void bt_engine_drain(struct berth *b)
{
	struct batch batch = {.n = 0};

	while (bt_ip_waiting(b->ip)) {
		struct bt_icmp_error e;

		take(b, &batch, bt_ip_next(b->ip, b->now_ns, &batch.rx[batch.n], &e), &e);
	}
	flush(b, &batch);
}

void berth_input(struct berth *b, berth_if i, const void *packet, size_t len, uint64_t now_ns)
{
	struct berth_input one = {.packet = packet, .len = len, .i = i};

	berth_input_batch(b, &one, 1, now_ns);
}

void berth_input_batch(struct berth *b, const struct berth_input *packets, size_t n,
		       uint64_t now_ns)
{
	struct batch batch;

	if (b == NULL || packets == NULL)
		return;
	batch.n = 0;
	(void)bt_engine_enter(b, now_ns);
	for (size_t k = 0; k < n; k++) {
		struct bt_icmp_error e;

		if (packets[k].packet == NULL)
			continue;
		take(b, &batch, bt_ip_input(b->ip, &packets[k], b->now_ns, &batch.rx[batch.n], &e),
		     &e);
	}
	flush(b, &batch);
}

/* Nothing is reaped here: other packets that berth_output gave may lie there. */
bool bt_engine_carry(struct berth *b, const struct berth_output *packet, berth_if i,
		     uint64_t now_ns)
{
	struct bt_rx rx;

	if (packet->checksum == 0 || packet->n_iov < 2 || !bt_ip_input_head(b->ip, packet, i, &rx))
		return false;
	b->now_ns = now_ns > b->now_ns ? now_ns : b->now_ns;
	return bt_tcp_input_parts(b->tcp, &rx, packet->iov + 1,
				  packet->len - (uint32_t)packet->iov[0].iov_len, b->now_ns);
}

/* True: one more segment like it would get the same header of IP, and no filter looks at it. */
static bool alike(const struct berth *b, const struct bt_tx *tx)
{
	return !bt_ip_has_filter(b->ip, tx->host) && tx->path != NULL && tx->no_fragment &&
	       (tx->path->flags & (BT_PATH_NO_DF | BT_PATH_LOOP)) == 0;
}

/* A segment that is ready to be carried, in *out. Those that IP keeps are passed over. */
static bool tcp_output(struct berth *b, struct berth_output *out, uint64_t now_ns)
{
	for (;;) {
		struct bt_tx tx = {.out = out};

		out->n_iov = 1;
		if (!bt_tcp_output(b->tcp, &tx, now_ns))
			return false;
		if (bt_ip_output(b->ip, &tx, now_ns) == BT_IP_READY) {
			b->train = alike(b, &tx);
			return true;
		}
	}
}

/* What a transport gave may have become packets of IP's own: fragments, a question for a neighbour.
 */
static bool next_output(struct berth *b, struct berth_output *out)
{
	bool udp = b->udp_first;

	b->train = false;
	if (bt_ip_pop(b->ip, out))
		return true;
	b->udp_first = !udp;
	if (udp && bt_udp_output(b->udp, out, b->now_ns))
		return true;
	if (tcp_output(b, out, b->now_ns))
		return true;
	if (!udp && bt_udp_output(b->udp, out, b->now_ns))
		return true;
	return bt_ip_pop(b->ip, out);
}

size_t berth_output(struct berth *b, struct berth_output *packets, size_t n, uint64_t now_ns)
{
	size_t done = 0;

	if (b == NULL || packets == NULL)
		return 0;
	if (now_ns > b->now_ns)
		b->now_ns = now_ns;
	while (done < n && next_output(b, &packets[done])) {
		done++;
		while (b->train && done < n &&
		       bt_tcp_output_more(b->tcp, &packets[done - 1], &packets[done]))
			done++;
	}
	return done;
}

uint64_t berth_deadline(const struct berth *b)
{
	if (b == NULL)
		return UINT64_MAX;
	return bt_ip_waiting(b->ip) ? b->now_ns : bt_wheel_deadline(b->wheel);
}

/* A timer that is set for a time that has passed is due in the same call. */
void berth_advance(struct berth *b, uint64_t now_ns)
{
	if (b == NULL)
		return;
	(void)bt_engine_enter(b, now_ns);
	do {
		struct bt_timer *t;

		bt_engine_drain(b);
		while ((t = bt_wheel_expired(b->wheel, b->now_ns)) != NULL) {
			if (bt_tcp_owns(b->tcp, t))
				bt_tcp_expired(b->tcp, t, b->now_ns);
			else
				bt_ip_expired(b->ip, t, b->now_ns);
		}
	} while (bt_ip_waiting(b->ip));
}

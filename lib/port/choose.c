/* SPDX-License-Identifier: Apache-2.0 */
/* Ephemeral ports (RFC 6056 section 3.3), and the destinations that connect chooses them for. */
#include "internal.h"

#include <stdlib.h>

static uint32_t popcount(uint64_t x)
{
	return (uint32_t)__builtin_popcountll(x);
}

static uint16_t random_port(const struct bt_port_net *net, uint16_t host)
{
	const struct bt_port_conf *conf = &net->hosts[host]->conf;

	return (uint16_t)(conf->range_lo +
			  btp_random(net, host, conf->range_hi - conf->range_lo + 1u));
}

/* The bits of word w that are in the host's range; port 0 is in none. */
static uint64_t range_mask(const struct bt_port_conf *conf, uint32_t w)
{
	uint64_t mask = UINT64_MAX;

	if (w == conf->range_lo / 64u)
		mask &= UINT64_MAX << (conf->range_lo % 64);
	if (w == conf->range_hi / 64u)
		mask &= UINT64_MAX >> (63 - conf->range_hi % 64);
	return w == 0 ? mask & ~(uint64_t)1 : mask;
}

/* Ports outside the range count as blocked. */
static void block_all(uint64_t *blocked)
{
	memset(blocked, 0xff, N_WORDS * sizeof(blocked[0]));
}

/* Each port of the range whose bit in `blocked` is clear is as likely as every other; 0: there is
 * none. */
static uint16_t pick_clear(const struct bt_port_net *net, uint16_t host, const uint64_t *blocked)
{
	const struct bt_port_conf *conf = &net->hosts[host]->conf;
	uint32_t first = conf->range_lo / 64u, last = conf->range_hi / 64u, n = 0, k;

	for (uint32_t w = first; w <= last; w++)
		n += popcount(~blocked[w] & range_mask(conf, w));
	if (n == 0)
		return 0;
	k = btp_random(net, host, n);
	for (uint32_t w = first; w <= last; w++) {
		uint64_t clear = ~blocked[w] & range_mask(conf, w);

		if (k >= popcount(clear)) {
			k -= popcount(clear);
			continue;
		}
		for (; k > 0; k--)
			clear &= clear - 1;
		return (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(clear));
	}
	return 0;
}

/* ---- bind to 0, autobind ---- */

uint16_t btp_free_port(const struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	const struct bt_port_conf *conf = &net->hosts[s->host]->conf;
	const struct space *sp = space_of(net, s->host, s->proto);
	uint64_t blocked[N_WORDS];
	uint16_t port;

	if (conf->range_lo > conf->range_hi)
		return 0;
	for (int i = 0; i < RANDOM_PROBES; i++) {
		port = random_port(net, s->host);
		if (port != 0 && !bit_test(sp->any, port) && !bit_test(conf->reserved, port))
			return port;
	}
	block_all(blocked);
	for (uint32_t w = conf->range_lo / 64u; w <= conf->range_hi / 64u; w++)
		blocked[w] = sp->any[w] | conf->reserved[w];
	port = pick_clear(net, s->host, blocked);
	if (port != 0)
		return port;
	/* No port is unused; Linux would also give one that is used with other addresses only. */
	for (uint32_t p = conf->range_lo; p <= conf->range_hi; p++) {
		if (!bit_test(conf->reserved, p) &&
		    !btp_conflict(net, slot, (uint16_t)p, true, NULL))
			bit_clear(blocked, p);
	}
	return pick_clear(net, s->host, blocked);
}

/* ---- destinations ---- */

static uint32_t *dest_head(const struct bt_port_net *net, uint16_t host,
			   const struct bt_addr *laddr, const struct bt_addr *raddr, uint16_t rport)
{
	struct tuple t = {*laddr, *raddr, 0, rport, host, BT_TCP};

	return &net->by_dest.heads[bt_siphash(net->key, &t, sizeof(t)) & (net->by_dest.size - 1)];
}

static uint32_t *dest_head_of(const struct bt_port_net *net, const struct dest *d)
{
	return dest_head(net, d->host, &d->laddr, &d->raddr, d->rport);
}

uint32_t btp_find_dest(const struct bt_port_net *net, uint16_t host, const struct bt_addr *laddr,
		       const struct bt_addr *raddr, uint16_t rport)
{
	uint32_t i = *dest_head(net, host, laddr, raddr, rport);

	while (i != BT_NO_SLOT) {
		const struct dest *d = dest_at(net, i);

		if (d->rport == rport && d->host == host && bt_addr_eq(&d->raddr, raddr) &&
		    bt_addr_eq(&d->laddr, laddr))
			return i;
		i = d->next;
	}
	return BT_NO_SLOT;
}

static void dests_grow(struct bt_port_net *net)
{
	struct table old = net->by_dest;

	net->by_dest.heads = NULL;
	if (!btp_table_grow(&net->by_dest)) {
		net->by_dest = old;
		return;
	}
	for (uint32_t i = 0; i < old.size; i++) {
		for (uint32_t j = old.heads[i], next; j != BT_NO_SLOT; j = next) {
			uint32_t *head = dest_head_of(net, dest_at(net, j));

			next = dest_at(net, j)->next;
			dest_at(net, j)->next = *head;
			*head = j;
		}
	}
	free(old.heads);
}

static uint32_t new_dest(struct bt_port_net *net, const struct psock *s)
{
	uint32_t i = btp_pool_take(&net->dests);
	struct dest *d = dest_at(net, i);
	uint32_t *head;

	if (net->by_dest.count >= net->by_dest.size && net->by_dest.size < 1u << 30)
		dests_grow(net);
	net->by_dest.count++;
	d->host = s->host;
	d->rport = s->rport;
	d->laddr = s->laddr;
	d->raddr = s->raddr;
	d->head = BT_NO_SLOT;
	head = dest_head_of(net, d);
	d->next = *head;
	*head = i;
	return i;
}

static void free_dest(struct bt_port_net *net, uint32_t i)
{
	struct dest *d = dest_at(net, i);
	uint32_t *link;

	for (link = dest_head_of(net, d); *link != i; link = &dest_at(net, *link)->next)
		;
	*link = d->next;
	net->n_bitmaps -= d->bits != NULL;
	free(d->bits);
	net->by_dest.count--;
	btp_pool_give(&net->dests, i);
}

/* Turns the list of members into a bitmap; without memory it stays a list. */
static void make_bitmap(struct bt_port_net *net, struct dest *d)
{
	d->bits = calloc(N_WORDS, sizeof(d->bits[0]));
	if (d->bits == NULL)
		return;
	net->n_bitmaps++;
	for (uint32_t slot = d->head, next; slot != BT_NO_SLOT; slot = next) {
		struct psock *s = sock_at(net, slot);

		bit_set(d->bits, s->lport);
		next = s->dest_next;
		s->dest_next = BT_NO_SLOT;
	}
	d->head = BT_NO_SLOT;
}

void btp_enter_dest(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	uint32_t i = btp_find_dest(net, s->host, &s->laddr, &s->raddr, s->rport);
	struct dest *d;

	if (i == BT_NO_SLOT)
		i = new_dest(net, s);
	d = dest_at(net, i);
	d->count++;
	if (d->bits == NULL && d->count > DEST_LIST_MAX)
		make_bitmap(net, d);
	if (d->bits != NULL) {
		bit_set(d->bits, s->lport);
		return;
	}
	s->dest_next = d->head;
	d->head = slot;
}

void btp_leave_dest(struct bt_port_net *net, uint32_t slot)
{
	struct psock *s = sock_at(net, slot);
	uint32_t i = btp_find_dest(net, s->host, &s->laddr, &s->raddr, s->rport);
	struct dest *d = dest_at(net, i);
	uint32_t *link;

	if (d->bits != NULL) {
		bit_clear(d->bits, s->lport);
	} else {
		for (link = &d->head; *link != slot; link = &sock_at(net, *link)->dest_next)
			;
		*link = s->dest_next;
		s->dest_next = BT_NO_SLOT;
	}
	if (--d->count == 0)
		free_dest(net, i);
}

/* ---- connect ---- */

static uint64_t entered_ns(const struct bt_port_net *net, uint32_t slot)
{
	const struct time_wait *tw = &net->heap[sock_at(net, slot)->aux];

	return tw->expires - tw->wait_us * (uint64_t)1000;
}

static bool reuse_allowed(const struct bt_port_conf *conf, const struct bt_addr *laddr,
			  const struct bt_addr *raddr)
{
	return conf->tw_reuse == 1 ||
	       (conf->tw_reuse == 2 && bt_addr_is_loopback(laddr) && bt_addr_is_loopback(raddr));
}

bool btp_may_take_over(const struct bt_port_net *net, uint32_t slot, uint64_t now_ns)
{
	const struct psock *s = sock_at(net, slot);
	const struct bt_port_conf *conf = &net->hosts[s->host]->conf;

	return s->state == BT_TIME_WAIT && reuse_allowed(conf, &s->laddr, &s->raddr) &&
	       now_ns >= entered_ns(net, slot) &&
	       now_ns - entered_ns(net, slot) >= conf->tw_reuse_delay_ns;
}

/* True if no connection has t, or one that may be taken over has. */
static bool tuple_free(const struct bt_port_net *net, const struct tuple *t, uint64_t now_ns,
		       uint32_t *taken)
{
	uint32_t slot = btp_find_tuple(net, t);

	if (slot != BT_NO_SLOT && !btp_may_take_over(net, slot, now_ns))
		return false;
	*taken = slot;
	return true;
}

/* The destination's local ports: its bitmap, or its list made one in buf. */
static const uint64_t *dest_ports(const struct bt_port_net *net, const struct dest *d,
				  uint64_t *buf)
{
	if (d != NULL && d->bits != NULL)
		return d->bits;
	memset(buf, 0, N_WORDS * sizeof(buf[0]));
	for (uint32_t i = d == NULL ? BT_NO_SLOT : d->head; i != BT_NO_SLOT;
	     i = sock_at(net, i)->dest_next)
		bit_set(buf, sock_at(net, i)->lport);
	return buf;
}

/*
 * The last resort, when every port has a connection: the TIME_WAITs among them, from a random word
 * of the bitmap on. A search that fails has seen them all, so that the next waits until the oldest
 * is old enough.
 */
static uint16_t take_over(const struct bt_port_net *net, struct dest *d, const uint64_t *used,
			  struct tuple *t, uint64_t now_ns, uint32_t *taken)
{
	const struct bt_port_conf *conf = &net->hosts[t->host]->conf;
	const struct space *sp = space_of(net, t->host, BT_TCP);
	uint32_t start = btp_random(net, t->host, N_WORDS);
	uint64_t oldest = UINT64_MAX;

	if (d->n_time_wait == 0 || !reuse_allowed(conf, &t->laddr, &t->raddr) ||
	    now_ns < d->oldest_ns || now_ns - d->oldest_ns < conf->tw_reuse_delay_ns)
		return 0;
	for (uint32_t i = 0; i < N_WORDS; i++) {
		uint32_t w = (start + i) % N_WORDS;

		for (uint64_t bits = used[w]; bits != 0; bits &= bits - 1) {
			t->lport = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(bits));
			*taken = btp_find_tuple(net, t);
			if (sock_at(net, *taken)->state != BT_TIME_WAIT)
				continue;
			if (entered_ns(net, *taken) < oldest)
				oldest = entered_ns(net, *taken);
			if (t->lport >= conf->range_lo && t->lport <= conf->range_hi &&
			    !bit_test(sp->held, t->lport) && !bit_test(conf->reserved, t->lport) &&
			    btp_may_take_over(net, *taken, now_ns))
				return t->lport;
		}
	}
	*taken = BT_NO_SLOT;
	d->oldest_ns = oldest;
	return 0;
}

/*
 * A connection on a port that is not held has a port that connect chose, so that it is one of the
 * destination's: a port neither held nor there is free.
 */
uint16_t btp_connect_port(const struct bt_port_net *net, struct tuple *t, uint64_t now_ns,
			  uint32_t *taken)
{
	const struct bt_port_conf *conf = &net->hosts[t->host]->conf;
	const struct space *sp = space_of(net, t->host, BT_TCP);
	uint32_t i = btp_find_dest(net, t->host, &t->laddr, &t->raddr, t->rport);
	struct dest *d = i == BT_NO_SLOT ? NULL : dest_at(net, i);
	uint64_t blocked[N_WORDS], buf[N_WORDS];
	const uint64_t *used;
	uint16_t port;

	*taken = BT_NO_SLOT;
	if (conf->range_lo > conf->range_hi)
		return 0;
	for (int probe = 0; probe < RANDOM_PROBES; probe++) {
		*taken = BT_NO_SLOT;
		t->lport = random_port(net, t->host);
		if (t->lport == 0 || bit_test(sp->held, t->lport) ||
		    bit_test(conf->reserved, t->lport))
			continue;
		if (d == NULL || (d->bits != NULL && !bit_test(d->bits, t->lport)) ||
		    tuple_free(net, t, now_ns, taken))
			return t->lport;
	}
	*taken = BT_NO_SLOT;
	used = dest_ports(net, d, buf);
	block_all(blocked);
	for (uint32_t w = conf->range_lo / 64u; w <= conf->range_hi / 64u; w++)
		blocked[w] = sp->held[w] | conf->reserved[w] | used[w];
	port = pick_clear(net, t->host, blocked);
	return port != 0 || d == NULL ? port : take_over(net, d, used, t, now_ns, taken);
}

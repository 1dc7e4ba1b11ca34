/* SPDX-License-Identifier: Apache-2.0 */
/* Ephemeral ports (RFC 6056 section 3.3), and the destinations that connect chooses them for. */
#include "internal.h"

#include <stdlib.h>

#define GROUP	    16u /* words that are counted at a time */
#define DEV_LO	    1u
#define PROBES	    16u /* where counts make the search short */
#define TRIES	    8u
#define TAKE_PROBES 8u /* probes that look for a TIME_WAIT to take over, too */

/* What is chosen from: the ports from lo to hi that are in none of three bitmaps. */
struct view {
	const uint64_t *a, *b, *c;
	uint32_t lo, hi;
	uint64_t seed;
};

/*
 * inet_sk_get_local_port_range: a limit of the socket's counts if it is in the host's range. TCP
 * walks the range in steps of 2, over an even number of ports, and bind with SO_REUSEADDR its
 * halves; the last port of three is never reached (of the upper half's three, when there are five).
 */
static void set_limits(struct view *v, const struct bt_port_net *net, uint32_t slot, bool connects)
{
	const struct psock *s = sock_at(net, slot);
	const struct bt_port_conf *conf = &net->hosts[s->host]->conf;
	struct range own = btp_range(net, slot);
	bool even = s->proto == BT_TCP && !(connects && s->flags & SF_RANGE);
	uint32_t n;

	v->lo = conf->range_lo > 0 ? conf->range_lo : 1;
	v->hi = conf->range_hi;
	if (conf->range_lo <= own.lo && own.lo <= conf->range_hi && own.lo > 0)
		v->lo = own.lo;
	if (conf->range_lo <= own.hi && own.hi <= conf->range_hi && own.hi > 0)
		v->hi = own.hi;
	n = v->hi - v->lo + 1;
	if (even && (n == 3 || (n == 5 && !connects && s->opts & BT_REUSEADDR)))
		v->hi--;
}

/* False: the range is empty. Each choice has a keyed number of its own, from which its random
 * numbers come. a: ports that the socket's kind of call cannot have at all. */
static bool view_init(struct view *v, struct bt_port_net *net, uint32_t slot, bool connects,
		      const uint64_t *a, const uint64_t *c)
{
	const struct psock *s = sock_at(net, slot);

	v->a = a;
	v->b = net->hosts[s->host]->conf.reserved;
	v->c = c;
	v->seed = btp_random(net, s->host);
	set_limits(v, net, slot, connects);
	return v->lo <= v->hi;
}

/* A number from 0 to below - 1 (splitmix64 of Steele, Lea and Flood, 2014). */
static uint32_t draw(struct view *v, uint32_t below)
{
	uint64_t z = v->seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint32_t)(((z ^ z >> 31) >> 32) * below >> 32);
}

static uint64_t clear_in_word(const struct view *v, uint32_t w)
{
	uint64_t mask = UINT64_MAX;

	if (w < v->lo / 64 || w > v->hi / 64)
		return 0;
	if (w == v->lo / 64)
		mask &= UINT64_MAX << (v->lo % 64);
	if (w == v->hi / 64)
		mask &= UINT64_MAX >> (63 - v->hi % 64);
	return ~(v->a[w] | v->b[w] | v->c[w]) & mask;
}

/* The number of bits in each byte. */
static inline uint64_t byte_counts(uint64_t x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	return (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
}

/* The sum of the bytes. */
static inline uint32_t sum_bytes(uint64_t x)
{
	x = (x & 0x00ff00ff00ff00ff) + (x >> 8 & 0x00ff00ff00ff00ff);
	return (uint32_t)(x * 0x0001000100010001 >> 48);
}

static uint32_t clear_in_group(const struct view *v, uint32_t w)
{
	const uint64_t *a = v->a + w, *b = v->b + w, *c = v->c + w;
	uint64_t all = UINT64_MAX, sum = 0;

	for (uint32_t i = 0; i < GROUP; i++)
		all &= a[i] | b[i] | c[i];
	if (all == UINT64_MAX)
		return 0;
	if (w > v->lo / 64 && w + GROUP <= v->hi / 64)
		for (uint32_t i = 0; i < GROUP; i++)
			sum += byte_counts(~(a[i] | b[i] | c[i]));
	else
		for (uint32_t i = 0; i < GROUP; i++)
			sum += byte_counts(clear_in_word(v, w + i));
	return sum_bytes(sum);
}

/* The clear port number k, where the groups have so many clear ports each. */
static uint32_t clear_number(const struct view *v, const uint16_t *counts, uint32_t k)
{
	uint32_t g = v->lo / 64 / GROUP, w;
	uint64_t clear;

	for (; k >= counts[g]; g++)
		k -= counts[g];
	for (w = g * GROUP;; w++) {
		uint32_t n;

		clear = clear_in_word(v, w);
		n = sum_bytes(byte_counts(clear));
		if (k < n)
			break;
		k -= n;
	}
	for (; k > 0; k--)
		clear &= clear - 1;
	return w * 64 + (uint32_t)__builtin_ctzll(clear);
}

/* Each clear port is as likely as every other; 0: there is none. */
static uint16_t pick_clear(struct view *v)
{
	uint32_t first = v->lo / 64 / GROUP, last = v->hi / 64 / GROUP, n = 0;
	uint16_t counts[N_WORDS / GROUP];

	for (uint32_t g = first; g <= last; g++) {
		counts[g] = (uint16_t)clear_in_group(v, g * GROUP);
		n += counts[g];
	}
	return n == 0 ? 0 : (uint16_t)clear_number(v, counts, draw(v, n));
}

/*
 * The same where few ports are clear, by the numbers of those set in each page of bitmap c: a port
 * is drawn from those clear in c until it is clear in a and b, too. NOT_FOUND after some tries.
 */
#define NOT_FOUND UINT32_MAX

static uint32_t pick_counted(struct view *v, const uint16_t *set)
{
	struct view only_c = {v->c, v->c, v->c, v->lo, v->hi, 0};
	uint32_t first = v->lo / PAGE_PORTS, last = v->hi / PAGE_PORTS, n = 0;
	uint16_t counts[N_PAGES];

	for (uint32_t g = first; g <= last; g++)
		counts[g] = (uint16_t)(PAGE_PORTS - set[g]);
	if (v->lo % PAGE_PORTS != 0)
		counts[first] = (uint16_t)clear_in_group(&only_c, first * GROUP);
	if (v->hi % PAGE_PORTS != PAGE_PORTS - 1)
		counts[last] = (uint16_t)clear_in_group(&only_c, last * GROUP);
	for (uint32_t g = first; g <= last; g++)
		n += counts[g];
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t port = clear_number(&only_c, counts, draw(v, n));

		if (!bit_test(v->a, port) && !bit_test(v->b, port))
			return port;
	}
	return NOT_FOUND;
}

/* ---- bind to 0, autobind ---- */

/* When no port is unused: Linux would also give one that is used with other addresses only. */
static uint16_t shared_port(struct bt_port_net *net, uint32_t slot, struct view *v, enum ask ask)
{
	const struct psock *s = sock_at(net, slot);
	struct space *sp = space_of(net, s->host, s->proto);
	struct no_port search = {btp_class_key(s), (uint16_t)v->lo, (uint16_t)v->hi, (int)ask,
				 sp->n_left};
	bool some = false;
	uint16_t port;

	if (memcmp(&search, &sp->no_port, sizeof(search)) == 0)
		return 0;
	for (uint32_t p = v->lo; p <= v->hi; p++)
		if (btp_conflict(net, slot, (uint16_t)p, ask, NULL))
			bit_set(net->scratch, p);
		else
			some = true;
	v->a = v->c = net->scratch;
	port = some ? pick_clear(v) : 0;
	memset(net->scratch, 0, sizeof(net->scratch));
	if (!some)
		sp->no_port = search;
	return port;
}

uint16_t btp_free_port(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	const struct space *sp = space_of(net, s->host, s->proto);
	struct view v;
	uint32_t port, n;

	if (!view_init(&v, net, slot, false, sp->any, sp->any))
		return 0;
	n = v.hi - v.lo + 1;
	for (uint32_t i = 0; sp->n_ports < n - n / 16 && i < PROBES; i++) {
		port = v.lo + draw(&v, n);
		if (!bit_test(v.a, port) && !bit_test(v.b, port))
			return (uint16_t)port;
	}
	port = pick_counted(&v, sp->n_any);
	if (port == NOT_FOUND)
		port = pick_clear(&v);
	if (port == 0)
		port = shared_port(net, slot, &v, ASK_CHOSEN);
	if (port == 0 && s->proto == BT_TCP && net->hosts[s->host]->conf.autobind_reuse)
		port = shared_port(net, slot, &v, ASK_RELAXED);
	return (uint16_t)port;
}

/* ---- destinations ---- */

static uint32_t *dest_head(const struct bt_port_net *net, uint16_t host,
			   const struct bt_addr *laddr, const struct bt_addr *raddr, uint16_t rport)
{
	struct tuple t = {*laddr, *raddr, 0, rport, host, BT_TCP};

	return &net->by_dest.heads[btp_hash_kept(net, &t) & (net->by_dest.size - 1)];
}

/* The link to the destination, or the BT_NO_SLOT that ends its chain. */
static uint32_t *dest_link(const struct bt_port_net *net, uint16_t host,
			   const struct bt_addr *laddr, const struct bt_addr *raddr, uint16_t rport)
{
	uint32_t *link = dest_head(net, host, laddr, raddr, rport);

	while (*link != BT_NO_SLOT) {
		struct dest *d = dest_at(net, *link);

		if (d->rport == rport && d->host == host && bt_addr_eq(&d->raddr, raddr) &&
		    bt_addr_eq(&d->laddr, laddr))
			break;
		link = &d->next;
	}
	return link;
}

uint32_t btp_find_dest(const struct bt_port_net *net, uint16_t host, const struct bt_addr *laddr,
		       const struct bt_addr *raddr, uint16_t rport)
{
	return *dest_link(net, host, laddr, raddr, rport);
}

static void dests_grow(struct bt_port_net *net)
{
	struct table *table = &net->by_dest;
	uint32_t old_size = table->size;

	if (!btp_table_grow(table))
		return;
	for (uint32_t i = 0; i < old_size; i++) {
		uint32_t j = table->heads[i], next;

		for (table->heads[i] = BT_NO_SLOT; j != BT_NO_SLOT; j = next) {
			struct dest *d = dest_at(net, j);
			uint32_t *head = dest_head(net, d->host, &d->laddr, &d->raddr, d->rport);

			next = d->next;
			d->next = *head;
			*head = j;
		}
	}
}

static uint32_t new_dest(struct bt_port_net *net, const struct psock *s, uint32_t *link)
{
	uint32_t i = btp_pool_take(&net->dests);
	struct dest *d = dest_at(net, i);

	*link = i;
	d->next = BT_NO_SLOT;
	d->host = s->host;
	d->rport = s->rport;
	d->laddr = s->laddr;
	d->raddr = s->raddr;
	d->room = DEST_FEW;
	if (++net->by_dest.count > net->by_dest.size && net->by_dest.size < 1u << 30)
		dests_grow(net);
	return i;
}

/* What the ports take beside the struct. */
size_t btp_ports_bytes(uint32_t room)
{
	if (room == DEST_LIST)
		return DEST_LIST * sizeof(uint16_t);
	return room == N_PORTS ? N_WORDS * sizeof(uint64_t) + N_PAGES * sizeof(uint16_t) : 0;
}

void btp_free_ports(struct bt_port_net *net, struct dest *d)
{
	net->dest_bytes -= btp_ports_bytes(d->room);
	if (d->room == DEST_LIST)
		free(d->list);
	if (d->room == N_PORTS)
		free(d->bits);
}

static uint16_t *short_list(struct dest *d)
{
	return d->room == DEST_FEW ? d->few : d->list;
}

bool btp_dest_has(const struct dest *d, uint16_t port)
{
	const uint16_t *list;

	if (d->room == N_PORTS)
		return bit_test(d->bits, port);
	list = d->room == DEST_FEW ? d->few : d->list;
	for (uint32_t k = 0; k < d->count; k++)
		if (list[k] == port)
			return true;
	return false;
}

bool btp_reserve_dest(struct bt_port_net *net, uint32_t i)
{
	struct dest *d = i == BT_NO_SLOT ? NULL : dest_at(net, i);
	uint32_t room;
	void *ports;

	if (d == NULL || d->count < d->room)
		return true;
	room = d->room == DEST_FEW ? DEST_LIST : N_PORTS;
	ports = calloc(1, btp_ports_bytes(room));
	if (ports == NULL)
		return false;
	if (room == DEST_LIST)
		memcpy(ports, d->few, sizeof(d->few));
	for (uint32_t k = 0; k < d->count && room == N_PORTS; k++)
		bit_set(ports, d->list[k]);
	btp_free_ports(net, d);
	d->room = room;
	if (room == DEST_LIST)
		d->list = ports;
	else
		d->bits = ports;
	for (uint32_t w = 0; w < N_WORDS && room == N_PORTS; w++)
		page_counts(d)[w / GROUP] += (uint16_t)sum_bytes(byte_counts(d->bits[w]));
	net->dest_bytes += btp_ports_bytes(room);
	return true;
}

bool btp_in_dest(const struct psock *s)
{
	return s->proto == BT_TCP && !(s->flags & SF_HELD) && s->dev == 0;
}

void btp_enter_dest(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	uint32_t *link = dest_link(net, s->host, &s->laddr, &s->raddr, s->rport), i = *link;
	struct dest *d;

	if (i == BT_NO_SLOT) {
		i = new_dest(net, s, link);
	}
	d = dest_at(net, i);
	if (net->devices && btp_dest_has(d, s->lport))
		return; /* a second one with the 4-tuple */
	if (d->room == N_PORTS) {
		bit_set(d->bits, s->lport);
		page_counts(d)[s->lport / PAGE_PORTS]++;
	} else {
		short_list(d)[d->count] = s->lport;
	}
	d->count++;
}

/* True if another connection of the destination has the 4-tuple, too. */
static bool has_twin(const struct bt_port_net *net, uint32_t slot)
{
	struct tuple t = btp_tuple(sock_at(net, slot));
	uint32_t i = btp_find_tuple(net, &t, 0);

	for (; i != BT_NO_SLOT; i = sock_at(net, i)->hash_next) {
		const struct psock *s = sock_at(net, i);
		struct tuple other = btp_tuple(s);

		if (i != slot && btp_in_dest(s) && memcmp(&other, &t, sizeof(t)) == 0)
			return true;
	}
	return false;
}

void btp_leave_dest(struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	uint32_t *link = dest_link(net, s->host, &s->laddr, &s->raddr, s->rport), i = *link, k = 0;
	struct dest *d = dest_at(net, i);

	if (net->devices && has_twin(net, slot))
		return;
	d->count--;
	if (d->room == N_PORTS) {
		bit_clear(d->bits, s->lport);
		page_counts(d)[s->lport / PAGE_PORTS]--;
	} else {
		uint16_t *list = short_list(d);

		while (list[k] != s->lport)
			k++;
		list[k] = list[d->count];
	}
	if (d->count > 0)
		return;
	*link = d->next;
	btp_free_ports(net, d);
	net->by_dest.count--;
	btp_pool_give(&net->dests, i);
}

/* ---- connect ---- */

static uint64_t entered_ns(const struct bt_port_net *net, uint32_t slot)
{
	const struct time_wait *tw = &net->heap[sock_at(net, slot)->aux];

	return tw->expires - tw->wait_us * (uint64_t)1000;
}

/* tcp_twsk_unique */
static bool reuse_allowed(const struct bt_port_conf *conf, const struct bt_addr *laddr,
			  const struct bt_addr *raddr, uint8_t dev)
{
	return conf->tw_reuse == 1 ||
	       (conf->tw_reuse == 2 &&
		(dev == DEV_LO || bt_addr_is_loopback(laddr) || bt_addr_is_loopback(raddr)));
}

bool btp_may_take_over(const struct bt_port_net *net, uint32_t slot, uint64_t now_ns)
{
	const struct psock *s = sock_at(net, slot);
	const struct bt_port_conf *conf = &net->hosts[s->host]->conf;

	return s->state == BT_TIME_WAIT && reuse_allowed(conf, &s->laddr, &s->raddr, s->dev) &&
	       now_ns >= entered_ns(net, slot) &&
	       now_ns - entered_ns(net, slot) >= conf->tw_reuse_delay_ns;
}

/* True if no connection has t, or one that may be taken over has. */
static bool tuple_free(const struct bt_port_net *net, const struct tuple *t, uint8_t dev,
		       uint64_t now_ns, uint32_t *taken)
{
	uint32_t slot = btp_find_tuple(net, t, dev);

	if (slot != BT_NO_SLOT && !btp_may_take_over(net, slot, now_ns))
		return false;
	*taken = slot;
	return true;
}

/* True if some TIME_WAIT of the destination may be old enough. */
static bool some_may_be_taken(const struct bt_port_conf *conf, const struct dest *d,
			      uint64_t now_ns)
{
	return d != NULL && d->n_time_wait > 0 && reuse_allowed(conf, &d->laddr, &d->raddr, 0) &&
	       now_ns >= d->oldest_ns && now_ns - d->oldest_ns >= conf->tw_reuse_delay_ns;
}

/*
 * The last resort, when every port has a connection: the TIME_WAITs among them, from a random word
 * of the bitmap on. A search that fails has seen them all, so that the next waits until the oldest
 * is old enough.
 */
static uint16_t take_over(const struct bt_port_net *net, struct dest *d, struct view *v,
			  struct tuple *t, uint64_t now_ns, uint32_t *taken)
{
	uint32_t start = draw(v, N_WORDS);
	uint64_t oldest = UINT64_MAX;

	for (uint32_t i = 0; i < N_WORDS; i++) {
		uint32_t w = (start + i) % N_WORDS;

		for (uint64_t bits = v->c[w]; bits != 0; bits &= bits - 1) {
			t->lport = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(bits));
			*taken = btp_find_tuple(net, t, 0);
			if (sock_at(net, *taken)->state != BT_TIME_WAIT)
				continue;
			if (entered_ns(net, *taken) < oldest)
				oldest = entered_ns(net, *taken);
			if (t->lport >= v->lo && t->lport <= v->hi && !bit_test(v->a, t->lport) &&
			    !bit_test(v->b, t->lport) && btp_may_take_over(net, *taken, now_ns))
				return t->lport;
		}
	}
	*taken = BT_NO_SLOT;
	d->oldest_ns = oldest;
	return 0;
}

/* The destination's ports have a bitmap, or are set in scratch, in v->c. */
static uint16_t connect_scan(const struct bt_port_net *net, struct dest *d, struct view *v,
			     struct tuple *t, uint64_t now_ns, uint32_t *taken)
{
	uint32_t found =
		d != NULL && d->room == N_PORTS ? pick_counted(v, page_counts(d)) : NOT_FOUND;
	uint16_t port = found == NOT_FOUND ? pick_clear(v) : (uint16_t)found;

	if (port != 0 || !some_may_be_taken(&net->hosts[t->host]->conf, d, now_ns))
		return port;
	return take_over(net, d, v, t, now_ns, taken);
}

/* With a device: destinations do not know such connections, so that the last resort is to look up
 * every port. */
static uint16_t connect_dev_port(struct bt_port_net *net, struct view *v, struct tuple *t,
				 uint8_t dev, uint64_t now_ns, uint32_t *taken)
{
	uint32_t n = v->hi - v->lo + 1, ready = 0;
	uint16_t port;

	for (uint32_t k = 0; k < RANDOM_PROBES; k++) {
		t->lport = (uint16_t)(v->lo + draw(v, n));
		if (!bit_test(v->a, t->lport) && !bit_test(v->b, t->lport) &&
		    tuple_free(net, t, dev, now_ns, taken))
			return t->lport;
	}
	for (uint32_t p = v->lo; p <= v->hi; p++) {
		t->lport = (uint16_t)p;
		if (!tuple_free(net, t, dev, now_ns, taken))
			bit_set(net->scratch, p);
		ready += *taken != BT_NO_SLOT;
	}
	*taken = BT_NO_SLOT;
	port = pick_clear(v);
	memset(net->scratch, 0, sizeof(net->scratch));
	t->lport = port;
	if (port != 0 && ready > 0)
		*taken = btp_find_tuple(net, t, dev);
	return port;
}

/*
 * A connection on a port that is not held has a port that connect chose, so that it is one of the
 * destination's: a port neither held nor there is free.
 */
uint16_t btp_connect_port(struct bt_port_net *net, uint32_t slot, struct tuple *t, uint32_t i,
			  uint64_t now_ns, uint32_t *taken)
{
	const struct bt_port_conf *conf = &net->hosts[t->host]->conf;
	struct dest *d = i == BT_NO_SLOT ? NULL : dest_at(net, i);
	bool take = some_may_be_taken(conf, d, now_ns);
	uint32_t probes = RANDOM_PROBES, n;
	struct view v;
	uint16_t port;

	*taken = BT_NO_SLOT;
	if (!view_init(&v, net, slot, true, space_of(net, t->host, BT_TCP)->held,
		       d != NULL && d->room == N_PORTS ? d->bits : net->scratch))
		return 0;
	if (sock_at(net, slot)->dev != 0)
		return connect_dev_port(net, &v, t, sock_at(net, slot)->dev, now_ns, taken);
	n = v.hi - v.lo + 1;
	if (d != NULL && d->room == N_PORTS)
		probes = d->count < n - n / 16 ? PROBES : take ? TAKE_PROBES : 0;
	else if (d != NULL && d->count >= n - n / 32)
		probes = take ? TAKE_PROBES : 0; /* nearly full: a scan is faster */
	for (uint32_t k = 0; k < probes; k++) {
		t->lport = (uint16_t)(v.lo + draw(&v, n));
		if (bit_test(v.a, t->lport) || bit_test(v.b, t->lport))
			continue;
		if (d == NULL || !btp_dest_has(d, t->lport) ||
		    (take && k < TAKE_PROBES && tuple_free(net, t, 0, now_ns, taken)))
			return t->lport;
	}
	if (d == NULL || d->room == N_PORTS)
		return connect_scan(net, d, &v, t, now_ns, taken);
	for (uint32_t k = 0; k < d->count; k++)
		bit_set(net->scratch, short_list(d)[k]);
	port = connect_scan(net, d, &v, t, now_ns, taken);
	for (uint32_t k = 0; k < d->count; k++)
		bit_clear(net->scratch, short_list(d)[k]);
	return port;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include "errors.h"
#include "filter.h"

#include "../lib/base/siphash.h"
#include "../lib/engine/engine.h"
#include "../lib/sock/groups.h"
#include "../link/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LINKS_MAX  4096u
#define TURN_STEPS 64u /* rounds of packets before programs have their turn */
#define PACKETS	   16u
#define TABLE	   256u
#define NOT_YET	   UINT16_MAX
#define METRIC	   1000u /* of the way to anywhere: after a gateway (tap.c) */

struct link {
	uint16_t a, b; /* a < b; b BT_NET_NO_HOST: a and everybody who has no link of their own */
	struct bt_link_settings settings;
};

/* A wire between two hosts, made when the first packet goes over it. */
struct joint {
	struct joint *next;
	uint16_t a, b; /* a < b */
	struct bt_pair *pair;
};

struct listener {
	struct listener *next;
	uint32_t slot;
	berth_socket socket;
};

/* Packets on their way over links that do nothing; between send_out and take_in only. */
struct straight {
	struct berth_input in[PACKETS];
	size_t n, used;
	uint8_t room[PACKETS * 65536u];
};

struct wire {
	struct berth *b;
	struct bt_port_net *ports;
	uint16_t hosts[BT_NET_MAX_HOSTS]; /* the engine's number of each, NOT_YET */
	berth_if ifs[BT_NET_MAX_HOSTS];
	uint16_t n_hosts;
	uint16_t n_addrs[BT_NET_MAX_HOSTS]; /* that the engine knows of */
	struct link *links;
	uint32_t n_links;
	struct joint *joints;
	struct listener *listeners[TABLE];
	int timer_fd;
	uint64_t armed; /* when it rings, or 0 */
	uv_poll_t timer;
	bool turning;
	struct straight straight;
};

struct berth *d_wire_engine(const struct daemon *d)
{
	return d->wire == NULL ? NULL : d->wire->b;
}

struct bt_port_net *d_wire_ports(const struct daemon *d)
{
	return d->wire->ports;
}

/* ---- links ---- */

static struct link *find_link(const struct wire *w, uint16_t a, uint16_t b)
{
	for (uint32_t i = 0; i < w->n_links; i++)
		if (w->links[i].a == a && w->links[i].b == b)
			return &w->links[i];
	return NULL;
}

/* The link between two hosts: their own, else that of one with everybody. */
static const struct link *link_of(const struct wire *w, uint16_t a, uint16_t b)
{
	uint16_t low = a < b ? a : b, high = a < b ? b : a;
	const struct link *l = find_link(w, low, high);
	if (l == NULL)
		l = find_link(w, low, BT_NET_NO_HOST);
	return l != NULL ? l : find_link(w, high, BT_NET_NO_HOST);
}

bool d_wired(const struct daemon *d, uint16_t from, uint16_t to)
{
	if (to == BT_NET_OUTSIDE)
		return d_outside(d, from);
	return d->wire != NULL && from != to &&
	       (link_of(d->wire, from, to) != NULL || d_captured(d, from, to));
}

bool d_link_get(const struct daemon *d, uint16_t a, uint16_t b, struct bt_link_settings *s)
{
	struct link *l = d->wire == NULL ? NULL : find_link(d->wire, a < b ? a : b, a < b ? b : a);
	if (l != NULL)
		*s = l->settings;
	return l != NULL;
}

static void apply(struct wire *w, struct joint *j)
{
	const struct link *l = link_of(w, j->a, j->b);
	for (unsigned end = 0; end < 2; end++)
		bt_pair_set(j->pair, end, l == NULL ? &bt_link_perfect : &l->settings, d_now());
}

static struct joint *joint_of(struct daemon *d, uint16_t from, uint16_t to)
{
	struct wire *w = d->wire;
	uint16_t a = from < to ? from : to, b = from < to ? to : from;
	struct joint *j = w->joints;
	while (j != NULL && (j->a != a || j->b != b))
		j = j->next;
	if (j != NULL)
		return j;
	/* The impairments of a wire are those of its hosts' names: a run can be repeated. */
	const char *names[2] = {bt_net_host(d->net, a)->name, bt_net_host(d->net, b)->name};
	static const uint8_t key[16];
	uint64_t seed = bt_siphash(key, names[0], strlen(names[0])) * 3 +
			bt_siphash(key, names[1], strlen(names[1]));
	j = calloc(1, sizeof(*j));
	if (j == NULL || (j->pair = bt_pair_new(seed, 0)) == NULL) {
		free(j);
		return NULL;
	}
	j->a = a;
	j->b = b;
	j->next = w->joints;
	w->joints = j;
	apply(w, j);
	return j;
}

/* ---- hosts ---- */

static void learn_addrs(struct daemon *d, uint16_t host)
{
	const struct bt_net_host *h = bt_net_host(d->net, host);
	struct wire *w = d->wire;
	berth_if i = d_tap_if(host) != 0 ? d_tap_if(host) : w->ifs[host];
	while (w->n_addrs[host] < h->n_addrs) {
		const struct bt_net_addr *a = &h->addrs[w->n_addrs[host]++];
		struct berth_addr addr;
		memcpy(addr.b, a->addr.b, 16);
		if (bt_addr_is_loopback(&a->addr))
			continue;
		berth_addr_add(w->b, i, &addr, a->bits);
		d_tap_neighbour(d, host, &a->addr);
	}
}

void d_wire_settings(struct daemon *d, uint16_t host)
{
	if (d->wire != NULL && d->wire->hosts[host] != NOT_YET)
		berth_host_set(d->wire->b, d->wire->hosts[host], BERTH_TCP_CONGESTION,
			       bt_net_conf(d->net, host)->congestion);
}

void d_wire_filter(struct daemon *d, uint16_t host)
{
	if (d->wire != NULL && d->wire->hosts[host] != NOT_YET)
		bt_engine_filter(d->wire->b, d->wire->hosts[host], d_filter_of(d, host));
}

uint8_t d_wire_flow_state(const struct daemon *d, uint16_t host, const struct bt_filter_packet *p)
{
	if (d->wire == NULL || d->wire->hosts[host] == NOT_YET)
		return BT_FILTER_NEW;
	return bt_engine_flow_state(d->wire->b, d->wire->hosts[host], p);
}

static bool make_host(struct daemon *d, uint16_t host)
{
	/* Every host of the network is reached directly, whatever its prefix (lib/sock/hosts.c). */
	static const struct berth_addr all4 = {{[10] = 0xff, [11] = 0xff}}, all6;
	/* What a link does nothing to need not be packets of a wire's size (send_cut). */
	const struct berth_if_config config = {.flags = BERTH_IF_TSO | BERTH_IF_TX_CHECKSUM,
					       .mtu = 1500};
	struct wire *w = d->wire;
	uint16_t n = w->n_hosts;
	int h = bt_port_host_add(w->ports, n) < 0 ? -1 : bt_engine_host_add(w->b, n);
	int i = h < 0 ? h : berth_if_add(w->b, (berth_host)h, &config);
	if (i < 0)
		return false;
	w->n_hosts++;
	/* A port is free for both at the same time. */
	bt_port_host_conf(w->ports, n)->time_wait_ns = bt_net_port_conf(d->net, host)->time_wait_ns;
	w->hosts[host] = n;
	d_wire_settings(d, host);
	d_wire_filter(d, host);
	w->ifs[host] = (berth_if)i;
	berth_route_add(w->b, (berth_host)h, &all4, 0, NULL, (berth_if)i, METRIC);
	berth_route_add(w->b, (berth_host)h, &all6, 0, NULL, (berth_if)i, METRIC);
	return true;
}

static bool know_host(struct daemon *d, uint16_t host)
{
	if (d->wire->hosts[host] == NOT_YET && !make_host(d, host))
		return false;
	learn_addrs(d, host);
	return true;
}

berth_host d_wire_host(struct daemon *d, uint16_t host)
{
	know_host(d, host);
	return d->wire->hosts[host];
}

uint64_t d_wire_drops(const struct daemon *d, uint16_t host, uint32_t reason)
{
	if (d->wire == NULL || d->wire->hosts[host] == NOT_YET)
		return 0;
	return berth_drops(d->wire->b, d->wire->hosts[host], (enum berth_drop)reason);
}

void d_wire_host_changed(struct daemon *d, uint16_t host)
{
	/* The others of the network learn of it when they need it; who has a way out must know
	 * beforehand that it does not lead there. */
	if (d->wire != NULL && d_outside(d, BT_NET_NO_HOST))
		know_host(d, host);
}

berth_if d_wire_if(struct daemon *d, uint16_t host)
{
	know_host(d, host);
	return d->wire->ifs[host];
}

static uint16_t host_of_if(const struct daemon *d, berth_if i)
{
	for (uint16_t h = 0; h < bt_net_hosts(d->net); h++)
		if (d->wire->hosts[h] != NOT_YET && d->wire->ifs[h] == i)
			return h;
	return BT_NET_NO_HOST;
}

/* ---- listeners ---- */

static void forget_listener(struct wire *w, uint32_t slot)
{
	for (struct listener **p = &w->listeners[slot % TABLE]; *p != NULL; p = &(*p)->next)
		if ((*p)->slot == slot) {
			struct listener *l = *p;
			*p = l->next;
			berth_close(w->b, l->socket, d_now());
			free(l);
			return;
		}
}

berth_socket d_wire_listener(const struct daemon *d, uint32_t slot)
{
	const struct listener *l = d->wire == NULL ? NULL : d->wire->listeners[slot % TABLE];
	while (l != NULL && l->slot != slot)
		l = l->next;
	return l == NULL ? 0 : l->socket;
}

static int listen_at(struct daemon *d, const struct bt_port_info *i, uint32_t slot, berth_socket *s)
{
	struct berth *b = d->wire->b;
	struct berth_endpoint local = {.port = i->lport};
	uint64_t now = d_now();
	memcpy(local.addr.b, i->laddr.b, 16);
	int r = berth_open(b, d_wire_host(d, i->host), BERTH_TCP, i->family == BT_V6 ? 6 : 4, s);
	if (r < 0)
		return r;
	berth_set(b, *s, BERTH_SO_REUSEADDR, 1, now);
	if (i->opts & BT_REUSEPORT)
		berth_set(b, *s, BERTH_SO_REUSEPORT, 1, now);
	if (i->opts & BT_V6ONLY)
		berth_set(b, *s, BERTH_IPV6_V6ONLY, 1, now);
	berth_set_user(b, *s, (uint64_t)D_WIRE_LISTENER << 32 | slot);
	r = berth_bind(b, *s, &local, now);
	d_carry_options(d, slot, *s);
	if (r == 0)
		r = berth_listen(b, *s, d_row(d, slot)->backlog + 1u, now);
	if (r < 0)
		berth_close(b, *s, now);
	return r;
}

void d_wire_listens(struct daemon *d, uint32_t slot, bool on)
{
	struct wire *w = d->wire;
	struct bt_port_info i;
	berth_socket s;
	if (w == NULL)
		return;
	forget_listener(w, slot);
	if (!on || !bt_port_get(bt_net_ports(d->net), slot, &i) || i.state != BT_LISTEN ||
	    bt_addr_is_loopback(&i.laddr) || listen_at(d, &i, slot, &s) < 0)
		return;
	struct listener *l = malloc(sizeof(*l));
	if (l == NULL) {
		berth_close(w->b, s, d_now());
		return;
	}
	*l = (struct listener){w->listeners[slot % TABLE], slot, s};
	w->listeners[slot % TABLE] = l;
}

/* ---- packets and time ---- */

/* Whom an IP packet is for. */
static struct bt_addr destination(const struct berth_output *o)
{
	const uint8_t *p = o->iov[0].iov_base;
	struct bt_addr dst = {{[10] = 0xff, [11] = 0xff}};
	if (o->iov[0].iov_len >= 20 && p[0] >> 4 == 4)
		memcpy(dst.b + 12, p + 16, 4);
	else if (o->iov[0].iov_len >= 40 && p[0] >> 4 == 6)
		memcpy(dst.b, p + 24, 16);
	return dst;
}

/* The engine knows all addresses of the host. (To tell it of one would end what it has put out.) */
static bool known(const struct daemon *d, uint16_t host)
{
	return d->wire->hosts[host] != NOT_YET &&
	       d->wire->n_addrs[host] == bt_net_host(d->net, host)->n_addrs;
}

/* What the link does something to, or somebody looks at, must be packets as on a wire. */
static void send_cut(struct daemon *d, struct joint *j, uint16_t from, uint16_t to,
		     const struct berth_output *o, uint64_t now)
{
	static struct berth_output one;
	struct berth_cut cut;
	berth_cut_begin(&cut, o, false);
	while (berth_cut_next(&cut, &one)) {
		d_capture(d, from, to, false, one.iov, one.n_iov);
		bt_pair_in(j->pair, from == j->a ? 0 : 1, one.iov, one.n_iov, now);
	}
}

/* Nothing happens to it on its way: bytes that the other end waits for go there at once, unless
 * others are before them; all else is copied, and goes in as it came out. False: there is no room
 * for more.
 *
 * So a byte is copied five times on such a link, where veth needs two: write(2), readv(2) into the
 * engine's send buffer, from there into the receive buffer, sendmsg(2), read(2). */
static bool send_straight(struct wire *w, struct joint *j, uint16_t from, uint16_t to,
			  const struct berth_output *o, uint64_t now)
{
	struct straight *s = &w->straight;
	uint8_t *at = s->room + s->used;
	uint64_t pkts = o->segment == 0 ? 1 : (o->len + o->segment - 1u) / o->segment;
	if (o->len > sizeof(s->room) - s->used)
		return false;
	bt_pair_passed(j->pair, from == j->a ? 0 : 1, pkts, o->len);
	if (s->n == 0 && bt_engine_carry(w->b, o, w->ifs[to], now))
		return true;
	s->in[s->n++] = (struct berth_input){.packet = at,
					     .len = o->len,
					     .i = w->ifs[to],
					     .segment = o->segment,
					     .checked = o->checksum != 0};
	for (uint16_t i = 0; i < o->n_iov; at += o->iov[i++].iov_len)
		memcpy(at, o->iov[i].iov_base, o->iov[i].iov_len);
	s->used += o->len;
	return true;
}

static void send_one(struct daemon *d, uint16_t from, uint16_t to, const struct berth_output *o,
		     uint64_t now)
{
	struct joint *j = to == BT_NET_NO_HOST || from == to ? NULL : joint_of(d, from, to);
	if (j == NULL)
		return;
	if (!known(d, to) || d_captured(d, from, to) ||
	    !bt_pair_passes(j->pair, from == j->a ? 0 : 1) ||
	    !send_straight(d->wire, j, from, to, o, now))
		send_cut(d, j, from, to, o, now);
}

/* A copy to each host that gets it in packets; the others have had theirs (groups.c). */
static void send_many(struct daemon *d, uint16_t from, const struct berth_output *o, uint64_t now)
{
	for (uint16_t to = 0; to < bt_net_hosts(d->net); to++) {
		struct joint *j = d_wired_group(d, from, to) ? joint_of(d, from, to) : NULL;
		if (j != NULL)
			send_cut(d, j, from, to, o, now);
	}
}

static bool send_out(struct daemon *d)
{
	struct wire *w = d->wire;
	struct berth_output out[PACKETS];
	uint64_t now = d_now();
	size_t n = berth_output(w->b, out, PACKETS, now);
	for (size_t k = 0; k < n; k++) {
		if (d_tap_send(d, &out[k], now))
			continue;
		const struct bt_addr dst = destination(&out[k]);
		uint16_t from = host_of_if(d, out[k].i);
		if (from == BT_NET_NO_HOST)
			continue;
		if (bt_net_is_many(d->net, from, &dst))
			send_many(d, from, &out[k], now);
		else
			send_one(d, from, bt_net_host_by_addr(d->net, &dst), &out[k], now);
	}
	return n > 0;
}

static void given(struct daemon *d)
{
	static struct bt_engine_icmp said;
	while (bt_engine_icmp(d->wire->b, &said))
		d_errors_icmp(d, &said);
}

_Static_assert(PACKETS <= BT_ENGINE_ICMP_MAX, "each of them may be an error about a datagram");

static bool take_straight(struct daemon *d)
{
	struct straight *s = &d->wire->straight;
	size_t n = s->n;
	given(d);
	berth_input_batch(d->wire->b, s->in, n, d_now());
	given(d);
	s->n = s->used = 0;
	return n > 0;
}

static bool take_in(struct daemon *d)
{
	bool any = d_tap_take_in(d);
	any |= take_straight(d);
	for (struct joint *j = d->wire->joints; j != NULL; j = j->next) {
		struct bt_pair_packet p;
		uint64_t now = d_now();
		for (unsigned n = 0; n < PACKETS && bt_pair_out(j->pair, now, &p); n++) {
			uint16_t to = p.to == 0 ? j->a : j->b;
			const struct iovec whole = {(void *)(uintptr_t)p.data, p.len};
			d_capture(d, to, p.to == 0 ? j->b : j->a, true, &whole, 1);
			if (know_host(d, to))
				berth_input(d->wire->b, d->wire->ifs[to], p.data, p.len, now);
			given(d);
			any = true;
		}
	}
	return any;
}

static bool tell(struct daemon *d)
{
	struct berth_event e;
	bool any = false;
	given(d); /* neighbours that did not answer */
	for (unsigned n = 0; n < PACKETS && berth_event(d->wire->b, &e); n++) {
		if (e.user >> 32 == D_WIRE_UDP)
			d_wire_udp_event(d, &e);
		else if (e.user >> 32 == D_WIRE_PING)
			d_ping_event(d, &e);
		else
			d_carry_event(d, &e);
		any = true;
	}
	return any;
}

static void set_timer(struct daemon *d, bool at_once)
{
	uint64_t at = berth_deadline(d->wire->b), tap = d_tap_deadline();
	struct itimerspec t = {0};
	for (struct joint *j = d->wire->joints; j != NULL; j = j->next) {
		uint64_t due = bt_pair_deadline(j->pair);
		at = due < at ? due : at;
	}
	at = tap < at ? tap : at;
	if (at_once)
		at = 1;
	/* It may ring too early: then nothing is due, and it is set anew. Deadlines move with every
	 * packet, mostly further away. */
	if (at == UINT64_MAX || (d->wire->armed != 0 && d->wire->armed <= at))
		return;
	d->wire->armed = at;
	t.it_value.tv_sec = (time_t)(at / 1000000000u);
	t.it_value.tv_nsec = (long)(at % 1000000000u);
	timerfd_settime(d->wire->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

void d_wire_turn(struct daemon *d)
{
	struct wire *w = d->wire;
	bool more = true;
	if (w == NULL || w->turning)
		return;
	w->turning = true;
	for (unsigned step = 0; more && step < TURN_STEPS; step++) {
		more = false;
		if (berth_deadline(w->b) <= d_now()) {
			berth_advance(w->b, d_now());
			more = true;
		}
		more |= send_out(d);
		more |= take_in(d);
		more |= tell(d);
	}
	d_carry_states(d);
	d_publish(d);
	w->turning = false;
	set_timer(d, more);
}

void d_wire_soon(struct daemon *d)
{
	set_timer(d, true);
}

static void on_timer(uv_poll_t *h, int status, int events)
{
	struct daemon *d = h->loop->data;
	uint64_t times;
	(void)status;
	(void)events;
	if (read(d->wire->timer_fd, &times, sizeof(times)) < 0)
		return;
	d->wire->armed = 0;
	d_wire_turn(d);
	d_settle(d);
}

/* ---- beginning and end ---- */

int d_wire_open(struct daemon *d)
{
	struct berth_config config = {.max_sockets = BT_MAX_ROWS};
	if (d->wire != NULL)
		return 0;
	struct wire *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	memcpy(config.key, d->key + 8, sizeof(config.key));
	memset(w->hosts, 0xff, sizeof(w->hosts));
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->ports = w->timer_fd < 0 ? NULL : bt_port_net_new(config.key, config.max_sockets);
	w->b = w->ports == NULL ? NULL : bt_engine_new(&config, w->ports);
	if (w->b == NULL || uv_poll_init(&d->loop, &w->timer, w->timer_fd) < 0) {
		if (w->timer_fd >= 0)
			close(w->timer_fd);
		berth_free(w->b);
		bt_port_net_free(w->ports);
		free(w);
		return -ENOMEM;
	}
	uv_poll_start(&w->timer, UV_READABLE, on_timer);
	d->wire = w;
	for (uint32_t slot = 0; slot < d->table->high_water; slot++)
		if (d_row(d, slot)->state == BT_ROW_LISTEN)
			d_wire_listens(d, slot, true);
	d_wire_groups(d, BT_NET_NO_HOST);
	return 0;
}

void d_wire_close(struct daemon *d)
{
	struct wire *w = d->wire;
	if (w == NULL)
		return;
	d_wire_groups_close(d);
	d->wire = NULL;
	for (struct joint *j = w->joints, *next; j != NULL; j = next) {
		next = j->next;
		bt_pair_free(j->pair);
		free(j);
	}
	for (uint32_t i = 0; i < TABLE; i++)
		for (struct listener *l = w->listeners[i], *next; l != NULL; l = next) {
			next = l->next;
			free(l);
		}
	berth_free(w->b);
	bt_port_net_free(w->ports);
	free(w->links);
	close(w->timer_fd);
	free(w);
}

int d_link_set(struct daemon *d, uint16_t a, uint16_t b, const struct bt_link_settings *s)
{
	uint16_t low = a < b ? a : b, high = a < b ? b : a;
	int r = d_wire_open(d);
	if (r < 0)
		return r;
	struct wire *w = d->wire;
	struct link *l = find_link(w, low, high);
	if (l == NULL) {
		struct link *more = w->n_links == LINKS_MAX
					    ? NULL
					    : realloc(w->links, (w->n_links + 1) * sizeof(*more));
		if (more == NULL)
			return w->n_links == LINKS_MAX ? -ENOSPC : -ENOMEM;
		w->links = more;
		l = &w->links[w->n_links++];
		*l = (struct link){.a = low, .b = high};
	}
	l->settings = *s;
	for (struct joint *j = w->joints; j != NULL; j = j->next)
		apply(w, j);
	d_ways_changed(d);
	d_wire_turn(d);
	return 0;
}

bool d_link_clear(struct daemon *d, uint16_t a, uint16_t b)
{
	struct wire *w = d->wire;
	struct link *l = w == NULL ? NULL : find_link(w, a < b ? a : b, a < b ? b : a);
	if (l == NULL)
		return false;
	*l = w->links[--w->n_links];
	for (struct joint *j = w->joints; j != NULL; j = j->next)
		apply(w, j);
	d_ways_changed(d);
	return true;
}

static void count(const struct wire *w, const struct link *l, struct bt_pair_counts *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (const struct joint *j = w->joints; j != NULL; j = j->next)
		for (unsigned end = 0; link_of(w, j->a, j->b) == l && end < 2; end++) {
			struct bt_pair_counts c;
			bt_pair_counts(j->pair, end, &c);
			sum->in_pkts += c.in_pkts;
			sum->in_bytes += c.in_bytes;
			sum->out_pkts += c.out_pkts;
			sum->lost += c.lost + c.burst + c.down + c.no_memory;
			sum->queue += c.queue;
			sum->duplicated += c.duplicated;
			sum->reordered += c.reordered;
			sum->corrupted += c.corrupted;
		}
}

char *d_link_show(struct daemon *d)
{
	struct wire *w = d->wire;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (f == NULL)
		return NULL;
	for (uint32_t i = 0; w != NULL && i < w->n_links; i++) {
		const struct link *l = &w->links[i];
		struct bt_pair_counts c;
		char settings[BT_LINK_TEXT];
		count(w, l, &c);
		bt_link_write(&l->settings, settings);
		fprintf(f, "%s\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n",
			bt_net_host(d->net, l->a)->name,
			l->b == BT_NET_NO_HOST ? "*" : bt_net_host(d->net, l->b)->name, settings,
			(unsigned long long)c.in_pkts, (unsigned long long)c.in_bytes,
			(unsigned long long)c.lost, (unsigned long long)c.queue,
			(unsigned long long)c.duplicated, (unsigned long long)c.reordered,
			(unsigned long long)c.corrupted);
	}
	d_tap_show(d, f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

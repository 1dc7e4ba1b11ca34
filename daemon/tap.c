/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of the network: a host's wire whose other end is not a host but a descriptor. It is a
 * TAP device's, and the wire is Ethernet: what is behind it (the kernel, a bridge, a virtual
 * machine) is a neighbour of the host. Or it is a program's that hands in bare IP packets (berth
 * replay). The wire has settings as any link has.
 *
 * The host's engine has an interface of its own for it, and its addresses are that interface's as
 * long as it is there. What is in their prefixes is reached by it, but for the addresses of the
 * network's other hosts, to which there are routes of their own.
 *
 * Nobody at the outside has a row in the table. An accepted connection is known to its program by
 * its client's row, so a stranger gets one: without an address or port, which nobody holds, and
 * which goes when the connection's end does.
 */
#include "tap.h"

#include "../lib/base/siphash.h"
#include "../link/pair.h"
#include "../link/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX (65536u + 18u)
#define BATCH	  64u
#define ETHER	  14u
#define HOST	  0u /* the wire's ends */
#define OUTSIDE	  1u

/* libuv lets go of a handle later than we of the tap, so it lives by itself and takes the
 * descriptor along. */
struct ear {
	uv_poll_t poll;
	struct tap *tap; /* NULL: closed */
	int fd;
};

struct tap {
	struct tap *next;
	struct daemon *d;
	struct ear *ear; /* NULL: the device is gone */
	struct bt_pair *pair;
	struct bt_link_settings settings;
	struct berth_addr gateways[2]; /* IPv4, IPv6; all zero: none */
	uint64_t refused;	       /* packets that the descriptor did not take */
	uint16_t host;
	berth_if i;
	bool bare; /* IP packets, not frames */
	char name[BT_TAP_NAME];
};

static struct tap *taps;
/* The engine keeps interfaces; a host that gets a device again gets the same. */
static berth_if ifs[BT_NET_MAX_HOSTS];

static const struct berth_addr all[2] = {{{[10] = 0xff, [11] = 0xff}}, {{0}}};

static struct tap *find(uint16_t host)
{
	struct tap *t = taps;
	while (t != NULL && t->host != host)
		t = t->next;
	return t;
}

bool d_outside(const struct daemon *d, uint16_t host)
{
	(void)d;
	return host == BT_NET_NO_HOST ? taps != NULL : find(host) != NULL;
}

berth_if d_tap_if(uint16_t host)
{
	const struct tap *t = find(host);
	return t == NULL ? 0 : t->i;
}

/* ---- addresses and routes ---- */

static struct berth_addr address(const struct bt_addr *a)
{
	struct berth_addr r;
	memcpy(r.b, a->b, sizeof(r.b));
	return r;
}

void d_tap_neighbour(struct daemon *d, uint16_t host, const struct bt_addr *addr)
{
	const struct berth_addr a = address(addr);
	for (const struct tap *t = taps; t != NULL; t = t->next)
		if (t->host != host)
			berth_route_add(d_wire_engine(d), d_wire_host(d, t->host), &a,
					bt_addr_is_v4(addr) ? 32 : 128, NULL, d_wire_if(d, t->host),
					0);
}

static void each_neighbour(struct tap *t, bool add)
{
	struct daemon *d = t->d;
	for (uint16_t host = 0; host < bt_net_hosts(d->net); host++) {
		const struct bt_net_host *h = bt_net_host(d->net, host);
		d_wire_host(d, host);
		for (uint16_t n = 2; host != t->host && n < h->n_addrs; n++) {
			const struct berth_addr a = address(&h->addrs[n].addr);
			unsigned bits = h->addrs[n].family == BT_V4 ? 32 : 128;
			berth_host own = d_wire_host(d, t->host);
			if (add)
				berth_route_add(d_wire_engine(d), own, &a, bits, NULL,
						d_wire_if(d, t->host), 0);
			else
				berth_route_del(d_wire_engine(d), own, &a, bits);
		}
	}
}

/* From the interface that leads to the network's hosts to the device's, or back. */
static void move_addrs(struct tap *t, berth_if from, berth_if to)
{
	const struct bt_net_host *h = bt_net_host(t->d->net, t->host);
	struct berth *b = d_wire_engine(t->d);
	for (uint16_t n = 2; n < h->n_addrs; n++) {
		const struct berth_addr a = address(&h->addrs[n].addr);
		berth_addr_del(b, from, &a);
		berth_addr_add(b, to, &a, h->addrs[n].bits);
	}
}

static bool none(const struct berth_addr *a)
{
	static const struct berth_addr zero;
	return memcmp(a, &zero, sizeof(zero)) == 0;
}

static void leave_gateways(struct tap *t)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		if (!none(&t->gateways[v6]))
			berth_route_del(d_wire_engine(t->d), d_wire_host(t->d, t->host), &all[v6],
					0);
}

/* A gateway must be a neighbour by a prefix of the host. */
static bool near(const struct tap *t, const struct berth_addr *gateway)
{
	const struct bt_net_host *h = bt_net_host(t->d->net, t->host);
	struct bt_addr g;
	memcpy(g.b, gateway->b, sizeof(g.b));
	for (uint16_t n = 2; n < h->n_addrs; n++) {
		const struct bt_net_addr *a = &h->addrs[n];
		unsigned bits = a->family == BT_V4 ? 96u + a->bits : a->bits;
		if (!bt_addr_eq(&a->addr, &g) && bt_addr_same_prefix(&a->addr, &g, bits))
			return true;
	}
	return false;
}

static void take_gateways(struct tap *t, const struct bt_tap_set *set)
{
	unsigned what =
		t->bare ? BT_NET_ON_LINK | BT_NET_GATEWAY4 | BT_NET_GATEWAY6 : BT_NET_ON_LINK;
	leave_gateways(t);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct berth_addr given;
		memcpy(given.b, set->gateways[v6], sizeof(given.b));
		if (!none(&given))
			t->gateways[v6] = given;
		const struct berth_addr *g = &t->gateways[v6];
		if (none(g) && !t->bare)
			continue;
		what |= v6 ? BT_NET_GATEWAY6 : BT_NET_GATEWAY4;
		berth_route_add(d_wire_engine(t->d), d_wire_host(t->d, t->host), &all[v6], 0,
				none(g) ? NULL : g, t->i, 0);
	}
	bt_net_outside(t->d->net, t->host, what);
}

/* ---- packets ---- */

/* Only IP is shown, without what Ethernet puts in front. */
static void show(const struct tap *t, bool got, const struct iovec *parts, size_t n)
{
	struct iovec bare[BERTH_OUTPUT_IOV];
	const uint8_t *head = parts[0].iov_base;
	if (t->bare) {
		d_capture(t->d, t->host, BT_NET_OUTSIDE, got, parts, n);
		return;
	}
	if (n > BERTH_OUTPUT_IOV || parts[0].iov_len <= ETHER ||
	    !((head[12] == 0x08 && head[13] == 0x00) || (head[12] == 0x86 && head[13] == 0xdd)))
		return;
	memcpy(bare, parts, n * sizeof(*parts));
	bare[0].iov_base = (uint8_t *)bare[0].iov_base + ETHER;
	bare[0].iov_len -= ETHER;
	d_capture(t->d, t->host, BT_NET_OUTSIDE, got, bare, n);
}

bool d_tap_send(struct daemon *d, const struct berth_output *o, uint64_t now_ns)
{
	struct tap *t = taps;
	while (t != NULL && t->i != o->i)
		t = t->next;
	if (t == NULL)
		return false;
	if (d->captures != NULL)
		show(t, false, o->iov, o->n_iov);
	bt_pair_in(t->pair, HOST, o->iov, o->n_iov, now_ns);
	return true;
}

static void deaf(uv_handle_t *h)
{
	struct ear *e = h->data;
	close(e->fd);
	free(e);
}

static void close_ear(struct tap *t)
{
	if (t->ear == NULL)
		return;
	t->ear->tap = NULL;
	uv_poll_stop(&t->ear->poll);
	uv_close((uv_handle_t *)&t->ear->poll, deaf);
	t->ear = NULL;
}

static void give(struct tap *t, const struct bt_pair_packet *p)
{
	if (t->ear == NULL || write(t->ear->fd, p->data, p->len) < 0)
		t->refused++;
}

bool d_tap_take_in(struct daemon *d)
{
	bool any = false;
	for (struct tap *t = taps; t != NULL; t = t->next) {
		struct bt_pair_packet p;
		for (unsigned n = 0; n < BATCH && bt_pair_out(t->pair, d_now(), &p); n++) {
			const struct iovec whole = {(void *)(uintptr_t)p.data, p.len};
			any = true;
			if (p.to == OUTSIDE) {
				give(t, &p);
				continue;
			}
			if (d->captures != NULL && p.len > 0)
				show(t, true, &whole, 1);
			berth_input(d_wire_engine(d), t->i, p.data, p.len, d_now());
		}
	}
	return any;
}

uint64_t d_tap_deadline(void)
{
	uint64_t at = UINT64_MAX;
	for (const struct tap *t = taps; t != NULL; t = t->next) {
		uint64_t due = bt_pair_deadline(t->pair);
		at = due < at ? due : at;
	}
	return at;
}

static void on_frames(uv_poll_t *h, int status, int events)
{
	static uint8_t frame[FRAME_MAX];
	struct ear *e = h->data;
	struct daemon *d = h->loop->data;
	(void)status;
	(void)events;
	for (unsigned n = 0; e->tap != NULL && n < BATCH; n++) {
		ssize_t len = read(e->fd, frame, sizeof(frame));
		const struct iovec whole = {frame, len > 0 ? (size_t)len : 0};
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (len > 0)
			bt_pair_in(e->tap->pair, OUTSIDE, &whole, 1, d_now());
		else if (e->tap->bare) /* the program has ended */
			d_tap_clear(d, e->tap->host);
		else /* the device has been removed; the host keeps what it knows of it */
			close_ear(e->tap);
	}
	d_wire_turn(d);
	d_publish(d);
	d_settle(d);
}

static int listen_to(struct tap *t, int fd)
{
	struct ear *e = calloc(1, sizeof(*e));
	int own = e == NULL ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0), flags = fcntl(fd, F_GETFL);
	int r = own < 0 ? -ENOMEM : 0;
	if (r == 0 && (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK) < 0))
		r = -errno;
	if (r == 0)
		r = uv_poll_init(&t->d->loop, &e->poll, own);
	if (r < 0) {
		if (own >= 0)
			close(own);
		free(e);
		return r;
	}
	e->fd = own;
	e->tap = t;
	e->poll.data = e;
	t->ear = e;
	uv_poll_start(&e->poll, UV_READABLE, on_frames);
	return 0;
}

/* ---- beginning and end ---- */

static int make_if(struct daemon *d, const struct tap *t, uint32_t mtu)
{
	struct berth_if_config config = {.flags = t->bare ? 0 : BERTH_IF_ETHERNET, .mtu = mtu};
	const char *name = bt_net_host(d->net, t->host)->name;
	uint8_t key[16] = {0};
	memcpy(key, &d->netid, sizeof(d->netid));
	uint64_t random = bt_siphash(key, name, strlen(name));
	config.mac[0] = 0x02; /* a local one */
	memcpy(config.mac + 1, &random, 5);
	if (ifs[t->host] != 0) {
		int r = berth_if_set(d_wire_engine(d), ifs[t->host], &config);
		return r < 0 ? r : ifs[t->host];
	}
	int i = berth_if_add(d_wire_engine(d), d_wire_host(d, t->host), &config);
	if (i > 0)
		ifs[t->host] = (berth_if)i;
	return i;
}

/* What kind of descriptor it is: -EINVAL, or the name of the device; of a program's, none. */
static int kind_of(int fd, struct tap *t)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(int);
	if (bt_tap_name(fd, t->name))
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || type != SOCK_SEQPACKET ||
	    domain != AF_UNIX)
		return -EINVAL;
	t->name[0] = '\0';
	t->bare = true;
	return 0;
}

static void free_tap(struct tap *t)
{
	close_ear(t);
	bt_pair_free(t->pair);
	free(t);
}

/* Datagram sockets of the host hear the outside, and so are known to the engine. */
static void hear_datagrams(struct daemon *d, uint16_t host)
{
	for (uint32_t slot = 0; slot < d->table->high_water; slot++) {
		const struct bt_row *r = d_row(d, slot);
		if (r->state != BT_ROW_FREE && r->proto == BT_UDP && r->host == host)
			d_wire_udp_hear(d, slot);
	}
}

static int new_tap(struct daemon *d, uint16_t host, int fd, struct tap **made)
{
	struct tap *t = calloc(1, sizeof(*t));
	static const uint8_t key[16];
	const char *name = bt_net_host(d->net, host)->name;
	if (t == NULL)
		return -ENOMEM;
	t->d = d;
	t->host = host;
	t->pair = bt_pair_new(bt_siphash(key, name, strlen(name)), 0);
	int r = t->pair == NULL ? -ENOMEM : kind_of(fd, t);
	if (r == 0)
		r = listen_to(t, fd);
	if (r < 0) {
		free_tap(t);
		return r;
	}
	*made = t;
	return 0;
}

/* A new one, first of the list, in the place of what the host had. */
static int attach(struct daemon *d, uint16_t host, int fd, uint32_t mtu)
{
	struct tap *t;
	int r = mtu < 68 || mtu > 65535 ? -EINVAL : new_tap(d, host, fd, &t);
	if (r < 0)
		return r;
	d_tap_clear(d, host);
	r = make_if(d, t, mtu);
	if (r < 0) {
		free_tap(t);
		return r;
	}
	t->i = (berth_if)r;
	t->next = taps;
	taps = t;
	move_addrs(t, d_wire_if(d, host), t->i);
	each_neighbour(t, true);
	return 0;
}

int d_tap_set(struct daemon *d, uint16_t host, int fd, const struct bt_tap_set *set,
	      const struct bt_link_settings *s)
{
	struct tap *t = find(host);
	bool same = t != NULL && t->ear != NULL && strcmp(t->name, set->name) == 0;
	struct tap asks = {.d = d, .host = host};
	int r = d_wire_open(d);
	for (unsigned v6 = 0; r == 0 && v6 < 2; v6++) {
		struct berth_addr g;
		memcpy(g.b, set->gateways[v6], sizeof(g.b));
		r = none(&g) || near(&asks, &g) ? 0 : -EADDRNOTAVAIL;
	}
	if (r == 0 && t != NULL && t->bare)
		r = -EBUSY;
	if (r == 0 && t != NULL && fd >= 0 && set->name[0] == '\0')
		r = -EEXIST;
	if (r == 0 && fd < 0 && !same)
		r = -ENODEV;
	if (r < 0)
		return r;
	if (fd >= 0) {
		r = attach(d, host, fd, set->mtu);
		if (r < 0)
			return r;
		t = taps;
	}
	t->settings = *s;
	for (unsigned end = 0; end < 2; end++)
		bt_pair_set(t->pair, end, s, d_now());
	take_gateways(t, set);
	d_wire_groups(d, host);
	hear_datagrams(d, host);
	d_ways_changed(d);
	d_wire_turn(d);
	return 0;
}

bool d_tap_clear(struct daemon *d, uint16_t host)
{
	static const struct berth_if_config down = {.flags = BERTH_IF_DOWN};
	struct tap **p = &taps, *t;
	while (*p != NULL && (*p)->host != host)
		p = &(*p)->next;
	t = *p;
	if (t == NULL)
		return false;
	leave_gateways(t);
	each_neighbour(t, false);
	move_addrs(t, t->i, d_wire_if(d, host));
	berth_if_set(d_wire_engine(d), t->i, &down);
	bt_net_outside(d->net, host, 0);
	*p = t->next;
	free_tap(t);
	d_wire_groups(d, host);
	d_ways_changed(d);
	return true;
}

bool d_tap_get(uint16_t host, struct bt_link_settings *s)
{
	const struct tap *t = find(host);
	if (t != NULL)
		*s = t->settings;
	return t != NULL;
}

void d_tap_show(const struct daemon *d, FILE *f)
{
	for (const struct tap *t = taps; t != NULL; t = t->next) {
		struct bt_pair_counts c[2];
		char text[BT_LINK_TEXT], ip[INET6_ADDRSTRLEN];
		bt_link_write(&t->settings, text);
		bt_pair_counts(t->pair, HOST, &c[0]);
		bt_pair_counts(t->pair, OUTSIDE, &c[1]);
		fprintf(f, "%s\t%s%s%s\t%s", bt_net_host(d->net, t->host)->name,
			t->bare ? "replay" : "tap ", t->name, t->ear == NULL ? " (gone)" : "",
			text);
		bool first = text[0] == '\0';
		for (unsigned v6 = 0; v6 < 2; v6++) {
			const uint8_t *g = t->gateways[v6].b + (v6 ? 0 : 12);
			if (none(&t->gateways[v6]))
				continue;
			inet_ntop(v6 ? AF_INET6 : AF_INET, g, ip, sizeof(ip));
			fprintf(f, "%sgateway %s", first ? "" : " ", ip);
			first = false;
		}
		uint64_t lost = t->refused;
		for (unsigned n = 0; n < 2; n++)
			lost += c[n].lost + c[n].burst + c[n].down + c[n].no_memory;
		fprintf(f, "\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n",
			(unsigned long long)(c[0].in_pkts + c[1].in_pkts),
			(unsigned long long)(c[0].in_bytes + c[1].in_bytes),
			(unsigned long long)lost, (unsigned long long)(c[0].queue + c[1].queue),
			(unsigned long long)(c[0].duplicated + c[1].duplicated),
			(unsigned long long)(c[0].reordered + c[1].reordered),
			(unsigned long long)(c[0].corrupted + c[1].corrupted));
	}
}

/* ---- who has no row ---- */

uint32_t d_stranger(struct daemon *d, uint32_t listener, const struct bt_addr *addr)
{
	struct bt_port_info i;
	uint32_t slot;
	if (!bt_port_get(bt_net_ports(d->net), listener, &i) || !d_outside(d, i.host) ||
	    bt_net_host_by_addr(d->net, addr) != BT_NET_NO_HOST ||
	    bt_net_sock(d->net, i.host, BT_TCP, i.family, d->table->owner_uid, &slot) < 0)
		return BT_NO_SLOT;
	d_identify(d, slot, 0, 0);
	bt_net_set_flag(d->net, slot, BT_NETF_ORPHAN, true);
	return slot;
}

void d_stranger_gone(struct daemon *d, uint32_t slot)
{
	if (slot == BT_NO_SLOT)
		return;
	bt_net_set_flag(d->net, slot, BT_NETF_ORPHAN, false);
	bt_net_closed(d->net, slot, d_now());
}

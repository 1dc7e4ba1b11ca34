/* SPDX-License-Identifier: Apache-2.0 */
#include "control_fake.h"

#include "control.h"

#include "../../daemon/census.h"
#include "../../daemon/daemon.h"
#include "../../daemon/vals.h"
#include "../../daemon/wire.h"
#include "../../proto/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define N_CONNS 6u
#define N_IDS	32u
#define N_NAMED 8u

static struct daemon *d;
static struct conn *conns[N_CONNS];
static void *inboxes[N_CONNS], *meters[N_CONNS];
static struct bt_ident ids[N_IDS];
static uint8_t id_conns[N_IDS]; /* over whose connection it was made */
static unsigned n_ids;
/* Descriptors of "programs", bound to the names they were told. */
static struct {
	struct bt_ident id;
	int fd;
} named[N_NAMED];
static unsigned n_named;
static bool all_dead;
static unsigned long n_calls, n_good;
static unsigned replies;
static struct bt_rep last_rep;
static uint64_t refusals_told;

static const uint8_t *in;
static size_t left;

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "control.c:%d: %s\n", __LINE__, #x);                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static uint8_t u8(void)
{
	if (left == 0)
		return 0;
	left--;
	return *in++;
}

static uint32_t u32(void)
{
	uint32_t a = u8(), b = u8(), c = u8();

	return a | b << 8 | c << 16 | (uint32_t)u8() << 24;
}

/* ---- what stands in for berthd's other parts; the rest is in control_fake.c ---- */

int d_census(const struct bt_table *table, uint64_t netid, struct census *c)
{
	uint8_t dice = u8();

	(void)netid;
	if (dice == 255 && !all_dead)
		return -ENOBUFS;
	c->slots = table->high_water;
	c->alive = calloc(c->slots + 1u, 1);
	c->orphans = calloc(c->slots + 1u, sizeof(c->orphans[0]));
	MUST(c->alive != NULL && c->orphans != NULL);
	for (uint32_t i = 0; i < c->slots && !all_dead; i++) {
		c->alive[i] = dice < 224 ? 7 : u8() & 7;
		c->orphans[i] = dice < 64;
	}
	return 0;
}

void d_census_done(struct census *c)
{
	free(c->alive);
	free(c->orphans);
	c->alive = NULL;
	c->orphans = NULL;
}

void d_reply(struct conn *c, struct bt_rep *rep, const void *extra, int fd)
{
	volatile uint8_t sum = 0;

	(void)c;
	(void)fd;
	replies++;
	last_rep = *rep;
	MUST(rep->extra <= BT_MSG_MAX - sizeof(*rep) && (rep->extra == 0 || extra != NULL));
	for (uint32_t i = 0; i < rep->extra; i++) /* readable to its end */
		sum = (uint8_t)(sum + ((const uint8_t *)extra)[i]);
	for (uint32_t i = 0; rep->type == BT_TALLY && rep->err == 0 && i < rep->extra;
	     i += sizeof(struct bt_tally)) {
		const struct bt_tally *t = (const void *)((const uint8_t *)extra + i);
		refusals_told += t->kind == BT_TALLY_REFUSED ? t->count : 0;
	}
}

/* ---- connections ---- */

static void conn_begin(unsigned n)
{
	struct conn *c = calloc(1, sizeof(*c));

	MUST(c != NULL);
	c->fd = -1;
	c->id = ++d->next_conn;
	c->pid = getpid();
	c->uid = n == N_CONNS - 1 ? 12345 : geteuid();
	c->host = BT_NET_NO_HOST;
	d_conn_add(d, c);
	conns[n] = c;
}

static void conn_end(unsigned n)
{
	d_conn_del(d, conns[n]);
	free(conns[n]);
	if (inboxes[n] != NULL)
		munmap(inboxes[n], BT_INBOX_BYTES);
	if (meters[n] != NULL)
		munmap(meters[n], BT_METER_BYTES);
	inboxes[n] = NULL;
	meters[n] = NULL;
}

/* Maps the memory at the first time. */
static int memfd(size_t bytes, void **at)
{
	int fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0);
	MUST(ftruncate(fd, (off_t)bytes) == 0);
	if (*at == NULL)
		*at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(*at != MAP_FAILED);
	MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	return fd;
}

/* ---- messages ---- */

static struct bt_ident some_ident(unsigned n)
{
	uint8_t how = u8();
	struct bt_ident id = {BT_SLOT_NONE, 0, 0};

	if (how < 60)
		return id;
	if (how < 215 && n_ids > 0) {
		unsigned max = n_ids < N_IDS ? n_ids : N_IDS, at = u8() % max;

		for (unsigned i = 0; i < max && how < 200; i++) {
			const struct bt_row *r = d_row(d, ids[at].slot);

			if (id_conns[at] == n &&
			    (how >= 180 || (r->gen == ids[at].gen && r->state != BT_ROW_FREE)))
				break;
			at = (at + 1) % max;
		}
		return ids[at];
	}
	if (how < 245 && d->table->high_water > 0) { /* the table is open to all */
		const struct bt_row *r;

		id.slot = u8() % d->table->high_water;
		r = d_row(d, id.slot);
		id.gen = r->gen;
		id.nonce = r->nonce;
		return id;
	}
	id.slot = u32();
	id.gen = u8();
	return id;
}

static void some_addr(uint8_t addr[16])
{
	static const uint32_t v4[] = {0x0a400001, 0x0a400002, 0x0a400003, 0x7f000001, 0,
				      0x7f010203, 0x0a400009, 0x09090909, 0xffffffff};
	struct bt_addr a = {{0}};
	uint8_t how = u8();

	if (how < 230)
		a = bt_addr_v4(v4[how % (sizeof(v4) / sizeof(v4[0]))]);
	else if (how < 240)
		a.b[15] = how & 1;
	else
		for (unsigned i = 0; i < 16; i++)
			a.b[i] = u8();
	memcpy(addr, a.b, 16);
}

/* One that means several: groups of both families, and broadcast ones. */
static void several(uint8_t addr[16], uint8_t how)
{
	static const struct bt_addr v6[] = {{{[0] = 0xff, [1] = 5, [15] = 1}},
					    {{[0] = 0xff, [1] = 2, [15] = 1}}};
	static const uint32_t v4[] = {0xef010101, 0xef010102, 0xe0000001, 0x0a40ffff, 0xffffffff};
	struct bt_addr a = how & 1 ? v6[how / 2 % 2] : bt_addr_v4(v4[how / 2 % 5]);

	memcpy(addr, a.b, 16);
}

/* Where somebody is who may answer. */
static void some_dest(struct bt_req *q)
{
	uint32_t high = d->table->high_water, at = high > 0 ? u8() % high : 0;

	for (uint32_t k = 0; k < high; k++, at = (at + 1) % high) {
		const struct bt_row *r = d_row(d, at);
		const struct bt_net_host *h = bt_net_host(d->net, r->host);
		struct bt_addr a;

		if (q->type == BT_CONNECT ? r->state != BT_ROW_LISTEN
					  : r->state == BT_ROW_FREE || r->proto == BT_TCP)
			continue;
		memcpy(a.b, r->laddr, 16);
		if (bt_addr_is_any(&a) && h != NULL)
			a = h->addrs[h->n_addrs - 1].addr;
		memcpy(q->addr, a.b, 16);
		q->port = r->lport;
		return;
	}
}

static uint32_t some_extra(struct bt_req *q, uint8_t *extra)
{
	struct bt_host_open open = {.n_addrs = (uint16_t)(u8() % 3)};
	uint8_t how = u8();
	uint32_t n = 0;

	if (q->type == BT_HELLO && how < 200) {
		d_mac(d, how & 3, extra);
		n = how & 4 ? 0 : BT_TOKEN_BYTES;
	} else if (q->type == BT_HOST_OPEN && how < 220) {
		static const char *const names[] = {"", "a", "b", "LocalHost", "A"};

		snprintf(open.name, sizeof(open.name), "%s", names[how % 5]);
		for (unsigned i = 0; i < open.n_addrs; i++) {
			some_addr(open.addrs[i].addr);
			open.addrs[i].bits = u8() & 31;
			open.addrs[i].family = 4;
		}
		memcpy(extra, &open, sizeof(open));
		n = sizeof(open);
	} else if (q->type == BT_FILTER && how < 230) {
		struct bt_filter_change c = {.what = how & 3,
					     .at = how & 4 ? UINT32_MAX : u8() & 7};

		c.dir = u8() & 1;
		c.action = u8() & 3;
		for (unsigned i = 0; i < sizeof(c.rule) && u8() < 250; i++)
			c.rule[i] = u8() & (i < 4 ? 3 : 0);
		memcpy(extra, &c, sizeof(c));
		n = sizeof(c);
	} else if (q->type == BT_RESOLVE && how < 128) {
		memcpy(extra, "host1", 5);
		n = 5;
	} else if (q->type == BT_UDP_SEND || how > 200) {
		n = how > 250 ? 65508u : how;
		memset(extra, how, n);
		for (uint32_t i = 0; i < n && i < 24; i++)
			extra[i] = u8();
		if (n > 0 && how & 1) { /* an echo request, which a ping socket takes */
			extra[0] = 8;
			extra[1] = 0;
		}
	}
	return n;
}

static void remember(unsigned conn, const struct bt_rep *rep, uint8_t how)
{
	struct sockaddr_un sun;
	unsigned n = n_named % N_NAMED;
	socklen_t len;

	if (rep->err != 0 || rep->id.slot == BT_SLOT_NONE)
		return;
	id_conns[n_ids % N_IDS] = (uint8_t)conn;
	ids[n_ids++ % N_IDS] = rep->id;
	if (!(rep->flags & BT_REPF_NEW) || how & 1)
		return;
	if (named[n].fd >= 0)
		close(named[n].fd);
	n_named++;
	named[n].id = rep->id;
	named[n].fd = socket(AF_UNIX, (how & 2 ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	len = bt_name_make(&sun, d->netid, &rep->id);
	if (named[n].fd >= 0 && bind(named[n].fd, (struct sockaddr *)&sun, len) < 0) {
		close(named[n].fd);
		named[n].fd = -1;
	}
}

static int some_proof(const struct bt_req *q, uint8_t how)
{
	for (unsigned i = 0; i < N_NAMED && how < 128; i++)
		if (named[i].fd >= 0 && named[i].id.slot == q->id.slot)
			return named[i].fd;
	return how > 240 ? d->table_ro_fd : -1;
}

static void message(unsigned n, uint8_t type)
{
	static uint8_t extra[BT_MSG_MAX];
	static const uint16_t ports[] = {80, 53, 0, 40000, 1};
	struct bt_req q = {.version = BT_MSG_VERSION, .type = type, .id = some_ident(n)};
	uint8_t how = u8();
	int proof;

	q.flags = how & 32 ? u8() : how & (BT_REQF_SOLE | BT_REQF_SYNC | BT_REQF_ROOT);
	q.serial = how;
	q.proto = how & 64 ? BT_UDP : BT_TCP;
	if (type == BT_CONNECT || type == BT_LISTEN_ON)
		q.proto = how > 250 ? how : BT_TCP;
	if (type >= BT_UDP_CONNECT && type <= BT_UDP_SEND)
		q.proto = how & 8 ? BT_ECHO : BT_UDP;
	else if (type != BT_CONNECT && how % 8 == 7)
		q.proto = BT_ECHO;
	q.family = how & 128 && how & 2 ? BT_V6 : BT_V4;
	how = u8();
	q.opts = how & 16 ? u8() : BT_REUSEADDR;
	q.port = how < 200 ? ports[how % 5] : (uint16_t)u32();
	some_addr(q.addr);
	if ((type == BT_CONNECT || (type >= BT_UDP_CONNECT && type <= BT_UDP_SEND)) && how & 7)
		some_dest(&q);
	if ((type == BT_GROUP || (type >= BT_UDP_CONNECT && type <= BT_UDP_SEND)) && how & 8) {
		several(q.addr, how / 16);
		q.dev = u8() & 3;
		q.flags |= how & 1 ? BT_REQF_BROADCAST : 0;
		q.flags |= type == BT_GROUP && how & 2 ? BT_REQF_LEAVE : 0;
	}
	q.value = u8();
	if (type == BT_FILTER)
		q.value &= 3;
	q.extra = some_extra(&q, extra);
	how = u8();
	proof = some_proof(&q, how);
	if (type == BT_INBOX && how < 200)
		proof = memfd(BT_INBOX_BYTES, &inboxes[n]);
	else if (type == BT_METER && how < 200)
		proof = memfd(BT_METER_BYTES, &meters[n]);
	else if (proof >= 0) /* d_call closes it */
		proof = dup(proof);
	replies = 0;
	last_rep = (struct bt_rep){.err = -1};
	d_call(d, conns[n], &q, extra, proof);
	n_calls++;
	MUST(replies <= 1);
	if (replies == 1) {
		MUST(last_rep.err >= 0 && last_rep.serial == q.serial);
		n_good += last_rep.err == 0;
		remember(n, &last_rep, how);
	}
}

static void notice(unsigned n)
{
	struct bt_inbox *b = inboxes[n];
	uint32_t head;

	if (b == NULL)
		return;
	head = atomic_load(&b->head);
	for (unsigned k = u8() % 4; k > 0; k--) {
		struct bt_inbox_entry *e = &b->entries[head++ % BT_INBOX_ENTRIES];
		uint8_t how = u8();

		*e = (struct bt_inbox_entry){
			.id = some_ident(n), .time_ns = u8(), .flags = how & 1};
		e->type = how < 120 ? BT_CLOSED : how < 240 ? BT_SHUT : u8() % BT_MSG_TYPES;
	}
	atomic_store(&b->head, u8() == 255 ? u32() : head);
}

static void count(unsigned n)
{
	struct bt_meter *m = meters[n];
	unsigned at = u8() % 8;

	if (m == NULL)
		return;
	for (unsigned k = u8() % 4; k > 0; k--, at++) {
		struct bt_ident id = some_ident(n);

		m->entries[at].slot = id.slot;
		m->entries[at].gen = id.gen;
		m->entries[at].in = u8();
		m->entries[at].out = u32();
	}
	atomic_store(&m->used, u8() == 255 ? u32() : at);
}

/* ---- what must hold ---- */

static void check(void)
{
	for (uint32_t slot = 0; slot < d->table->high_water; slot++) {
		const struct bt_row *r = d_row(d, slot);
		struct bt_port_info i, p;
		uint32_t peer;

		MUST(!(r->seq & 1));
		if (!bt_port_get(bt_net_ports(d->net), slot, &i)) {
			MUST(r->state == BT_ROW_FREE);
			continue;
		}
		if (r->state != BT_ROW_FREE && r->flags & BT_ROWF_ALIAS)
			continue;
		if (i.proto == BT_ECHO)
			d_ping_ends(slot, &i);
		MUST(r->state == i.state && r->proto == i.proto && r->host == i.host);
		peer = bt_net_peer(d->net, slot);
		MUST(r->peer == peer && r->link == bt_net_link(d->net, slot));
		if (peer == BT_NO_SLOT)
			continue;
		MUST(bt_port_get(bt_net_ports(d->net), peer, &p));
		MUST(p.proto == BT_TCP && i.proto == BT_TCP);
		MUST(bt_net_peer(d->net, peer) == slot);
	}
}

static void hello(unsigned n)
{
	struct bt_req q = {.version = BT_MSG_VERSION, .type = BT_HELLO};
	uint8_t token[BT_TOKEN_BYTES];

	d_mac(d, n % 3, token);
	q.extra = n < 4 ? sizeof(token) : 0;
	if (n < 5)
		d_call(d, conns[n], &q, token, -1);
}

static void one_act(void)
{
	uint8_t what = u8();
	unsigned n = u8();

	/* Mostly from those that may: the programs are the first four, the fifth is the command
	 * line. */
	n = n >= 240 ? N_CONNS - 1 : n >= 220 || (what < 190 && what % 24 >= 21) ? 4 : n % 4;
	if (what < 190) {
		/* Types by what % 24 + 1, but some more connections. */
		uint8_t type = what >= 168 ? BT_CONNECT : (uint8_t)(1 + what % (BT_MSG_TYPES - 1));

		if (n == 4 && type == BT_CONNECT)
			n = 1;
		if (type == BT_FILTER && n > 0)
			n = 4;
		message(n, type);
	} else if (what < 205) {
		static const uint64_t steps[] = {1, SEC / 1000, SEC, 3 * SEC, 61 * SEC};

		fake_now_ns += steps[what % 5];
		bt_net_advance(d->net, fake_now_ns);
		d_publish(d);
	} else if (what < 215) {
		fake_timer_fire(d, what);
		d_publish(d);
	} else if (what < 225) {
		uv_run(&d->loop, UV_RUN_NOWAIT);
		d_publish(d);
	} else if (what < 235) {
		notice(n);
	} else if (what < 240) {
		count(n);
	} else if (what < 248) {
		conn_end(n);
		conn_begin(n);
		hello(n);
	} else if (named[n].fd >= 0) {
		close(named[n].fd);
		named[n].fd = -1;
	}
	check();
}

/* ---- a berthd's life ---- */

static void begin(void)
{
	d = calloc(1, sizeof(*d));
	MUST(d != NULL);
	snprintf(d->dir, sizeof(d->dir), "%s/berth-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	MUST(mkdtemp(d->dir) != NULL);
	d->network = "fuzz";
	fake_now_ns = 1000 * SEC;
	fake_random = 1;
	n_ids = n_named = 0;
	all_dead = false;
	for (unsigned i = 0; i < N_NAMED; i++)
		named[i].fd = -1;
	MUST(uv_loop_init(&d->loop) == 0);
	d->loop.data = d;
	MUST(d_state_open(d) == 0);
	char lock[sizeof(d->dir) + 8];
	snprintf(lock, sizeof(lock), "%s/lock", d->dir);
	d->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	MUST(d->lock_fd >= 0);
	d_state_remove(d); /* nothing stays behind when we abort */
	close(d->lock_fd);
	for (unsigned i = 0; i < N_CONNS; i++)
		conn_begin(i);
}

/* Three hosts, a program in each of four connections, and the command line. */
static void populate(void)
{
	struct bt_host_open open = {0};
	struct bt_req q = {.version = BT_MSG_VERSION, .type = BT_HOST_OPEN};

	hello(4);
	q.extra = sizeof(open);
	for (unsigned i = 0; i < 3; i++)
		d_call(d, conns[4], &q, (uint8_t *)&open, -1);
	for (unsigned i = 0; i < 4; i++)
		hello(i);
}

/* For whoever looks for the reason. */
static void show_leaks(void)
{
	for (uint32_t slot = 0; slot < d->table->high_water; slot++) {
		struct bt_port_info i;

		if (bt_port_get(bt_net_ports(d->net), slot, &i) &&
		    bt_port_count(bt_net_ports(d->net)) != 0)
			fprintf(stderr,
				"slot %u left: protocol %u state %u peer %d flags %x row %u/%x\n",
				slot, i.proto, i.state, (int)bt_net_peer(d->net, slot),
				bt_net_flags(d->net, slot), d_row(d, slot)->state,
				d_row(d, slot)->flags);
	}
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void check_tally(void)
{
	struct bt_req q = {.version = BT_MSG_VERSION, .type = BT_TALLY};

	refusals_told = 0;
	d_call(d, conns[4], &q, NULL, -1);
	MUST(last_rep.err != 0 || refusals_told == atomic_load(&d->table->n_refusals));
}

static void finish(void)
{
	check_tally();
	bt_port_check(bt_net_ports(d->net));
	for (unsigned i = 0; i < N_CONNS; i++)
		conn_end(i);
	for (unsigned i = 0; i < N_NAMED; i++)
		if (named[i].fd >= 0)
			close(named[i].fd);
	all_dead = true;
	for (unsigned i = 0; i < 2; i++) {
		fake_now_ns += 10 * SEC;
		MUST(d_sweep(d) == 0);
		fake_now_ns += 61 * SEC;
		bt_net_advance(d->net, fake_now_ns);
		d_publish(d);
		check();
	}
	bt_port_check(bt_net_ports(d->net));
	show_leaks();
	MUST(bt_port_count(bt_net_ports(d->net)) == 0);
	uv_run(&d->loop, UV_RUN_NOWAIT);
	uv_walk(&d->loop, close_handle, NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	MUST(uv_loop_close(&d->loop) == 0);
	d_wire_close(d);
	for (uint32_t slot = 0; slot < d->table->high_water; slot++)
		d_vals_forget(slot);
	bt_net_free(d->net);
	for (uint32_t i = 0; i < BT_MAX_ROWS / OWNER_CHUNK; i++)
		free(d->owners[i]);
	free(d->owners);
	for (uint32_t host = 0; host < BT_MAX_HOSTS; host++)
		free(d->tallies[host]);
	munmap(d->table, BT_TABLE_BYTES);
	close(d->table_fd);
	close(d->table_ro_fd);
	free(d);
}

void control_run(const uint8_t *data, size_t size)
{
	in = data;
	left = size;
	begin();
	populate();
	while (left > 0)
		one_act();
	finish();
}

void control_counts(unsigned long *calls, unsigned long *good)
{
	*calls = n_calls;
	*good = n_good;
}

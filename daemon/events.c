/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has happened, for instruments (proto/events.h). An event is one copy of a row, some 100
 * bytes; a refusal two. Names of programs are read once, when a program joins.
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRAMS 1024u

/* Names of the programs that joined last, also of those that have ended since. */
static struct {
	pid_t pid;
	char name[16];
} programs[PROGRAMS];

void d_program_joined(pid_t pid)
{
	char path[40], name[17] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	if (n > 0 && name[n - 1] == '\n')
		n--;
	programs[(uint32_t)pid % PROGRAMS].pid = pid;
	memset(programs[(uint32_t)pid % PROGRAMS].name, 0, 16);
	memcpy(programs[(uint32_t)pid % PROGRAMS].name, name, n > 0 ? (size_t)n : 0);
}

static void set_program(struct bt_event_end *e, pid_t pid)
{
	e->pid = pid;
	memset(e->program, 0, sizeof(e->program));
	if (programs[(uint32_t)pid % PROGRAMS].pid == pid)
		memcpy(e->program, programs[(uint32_t)pid % PROGRAMS].name, sizeof(e->program));
}

static void set_end(struct bt_event_end *e, uint32_t slot, const struct bt_row *r)
{
	memcpy(e->laddr, r->laddr, 16);
	memcpy(e->raddr, r->raddr, 16);
	e->lport = bt_row_port(r);
	e->rport = r->rport;
	e->host = r->host;
	e->opts = r->opts;
	e->slot = slot;
	e->gen = r->gen;
	e->uid = r->uid;
	e->since_s = r->since_s;
	e->proto = r->proto;
	e->family = r->family;
	e->state = r->state;
	e->pad = 0;
	set_program(e, r->pid);
}

static uint64_t realtime(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void d_event(struct daemon *d, uint32_t kind, uint32_t slot, const struct bt_row *r)
{
	uint64_t number = atomic_load_explicit(&d->table->n_events, memory_order_relaxed) + 1;
	struct bt_event *e = bt_table_event(d->table, number);
	if (d->no_events || r->proto == BT_ECHO) /* it has no port */
		return;
	atomic_store_explicit(&e->number, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	e->realtime_ns = realtime();
	e->kind = kind;
	set_end(&e->of, slot, r);
	atomic_store_explicit(&e->number, number, memory_order_release);
	atomic_store_explicit(&d->table->n_events, number, memory_order_release);
}

/* The socket that asked, and what it asked for. */
static void set_caller(struct bt_event_end *e, const struct call *k)
{
	const struct bt_req *q = k->req;
	bool named = q->id.slot != BT_SLOT_NONE && !k->fresh;
	bool connects =
		q->type == BT_CONNECT || q->type == BT_UDP_CONNECT || q->type == BT_UDP_ROUTE;
	if (named) {
		set_end(e, k->slot, d_row(k->d, k->slot));
	} else {
		memset(e, 0, sizeof(*e));
		e->slot = BT_SLOT_NONE;
		e->uid = k->c->uid == 0 ? q->uid : k->c->uid;
		e->proto = q->proto;
		e->family = q->family;
		e->opts = q->opts;
		e->host = k->c->host;
	}
	set_program(e, k->c->pid);
	if (connects) {
		memcpy(e->raddr, q->addr, 16);
		e->rport = q->port;
	} else if (q->type == BT_BIND) {
		memcpy(e->laddr, q->addr, 16);
		e->lport = q->port;
	}
}

void d_refused(const struct call *k, int err, uint32_t by)
{
	struct daemon *d = k->d;
	uint64_t number = atomic_load_explicit(&d->table->n_refusals, memory_order_relaxed) + 1;
	struct bt_refusal *e = bt_table_refusal(d->table, number);
	if (d->no_events)
		return;
	atomic_store_explicit(&e->number, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	e->realtime_ns = realtime();
	e->call = k->req->type == BT_CONNECT_FAIL ? BT_CONNECT : k->req->type;
	e->err = err;
	e->why = k->why.why;
	e->pad = 0;
	e->frees_ns = k->why.frees_ns;
	set_caller(&e->of, k);
	if (by != BT_NO_SLOT) {
		set_end(&e->by, by, d_row(d, by));
	} else {
		memset(&e->by, 0, sizeof(e->by));
		e->by.slot = BT_SLOT_NONE;
	}
	e->filtered = k->filtered;
	d_tally_refused(d, e);
	atomic_store_explicit(&e->number, number, memory_order_release);
	atomic_store_explicit(&d->table->n_refusals, number, memory_order_release);
}

static bool refusable(const struct call *k, int r)
{
	uint8_t type = k->req->type;
	return k->req->proto != BT_ECHO && r != -EPROTO && r != -ESTALE && r != -EPERM &&
	       (type == BT_BIND || type == BT_LISTEN_ON || type == BT_CONNECT ||
		type == BT_UDP_CONNECT);
}

void d_called(const struct call *k, int r)
{
	static const uint8_t kinds[BT_MSG_TYPES] = {[BT_BIND] = BT_EVENT_BIND,
						    [BT_LISTEN_ON] = BT_EVENT_LISTEN,
						    [BT_CONNECT] = BT_EVENT_CONNECT,
						    [BT_UDP_CONNECT] = BT_EVENT_CONNECT};
	uint8_t kind = kinds[k->req->type];
	if (kind == 0)
		return;
	if (r < 0) {
		if (refusable(k, r))
			d_refused(k, -r, k->why.slot);
		return;
	}
	if (k->req->flags & BT_REQF_UNSPEC)
		return;
	d_event(k->d, kind, k->slot, d_row(k->d, k->slot));
	uint32_t peer = k->req->type == BT_CONNECT ? bt_net_peer(k->d->net, k->slot) : BT_NO_SLOT;
	if (peer != BT_NO_SLOT)
		d_event(k->d, BT_EVENT_ACCEPT, peer, d_row(k->d, peer));
}

static bool held(const struct bt_row *r)
{
	return r->state != BT_ROW_FREE && r->state != BT_ROW_TIME_WAIT &&
	       !(r->flags & (BT_ROWF_ORPHAN | BT_ROWF_ALIAS));
}

void d_row_changed(struct daemon *d, uint32_t slot, const struct bt_row *old)
{
	if (bt_row_port(old) != 0 && held(old) && !held(d_row(d, slot)))
		d_event(d, BT_EVENT_CLOSE, slot, old);
}

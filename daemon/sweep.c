/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is still alive. Programs say when they close (BT_CLOSED), but what they say is a hint: a
 * descriptor may have another holder, and a killed program says nothing. Where a notice leaves
 * doubt, the socket is a suspect, and as long as there are suspects the table is compared with the
 * kernel, at growing intervals.
 */
#include "daemon.h"

#include "census.h"
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 15u
#define LAST_MS	 4000u
#define YOUNG_S	 2u /* a program that was told a name, and still runs, may not have bound it yet */

static bool in_use(struct daemon *d, uint32_t slot, struct bt_port_info *i)
{
	return bt_port_get(bt_net_ports(d->net), slot, i) && i->state != BT_TIME_WAIT &&
	       !(bt_net_flags(d->net, slot) & BT_NETF_ORPHAN);
}

static bool young(struct daemon *d, uint32_t slot)
{
	/* A suspect has had its name: a holder has closed it. */
	return *d_owner(d, slot) != 0 && !(*d_owner(d, slot) & SUSPECT_BIT) &&
	       (uint32_t)time(NULL) - d_row(d, slot)->since_s < YOUNG_S;
}

static bool is_alive(struct daemon *d, const struct census *c, uint32_t slot)
{
	uint32_t peer = bt_net_peer(d->net, slot), link = bt_net_link(d->net, slot);
	if (!(bt_net_flags(d->net, slot) & BT_NETF_CHILD))
		return c->alive[slot] & BT_ALIVE_NAME || young(d, slot);
	if (peer == BT_NO_SLOT || peer >= c->slots)
		return false;
	if (bt_net_is_wire(d->net, slot))
		return c->alive[peer] & BT_ALIVE_FAR;
	if (c->alive[peer] & BT_ALIVE_NAME)
		return c->alive[peer] & (BT_ALIVE_PEER | BT_NEVER_JOINED);
	if (!(bt_net_flags(d->net, peer) & BT_NETF_ORPHAN) && young(d, peer))
		return true;
	/* Its client is gone. Which of the listener's accepted ends it is, nobody can tell from
	 * outside; it is certainly dead when there is none left. */
	return link < c->slots && c->orphans[link] > 0;
}

static void closed(struct daemon *d, uint32_t slot, uint64_t now)
{
	bool wire = bt_net_is_wire(d->net, slot);
	bt_net_closed(d->net, slot, now);
	if (wire)
		d_carry_closed(d, slot);
}

int d_sweep(struct daemon *d)
{
	struct census c;
	uint64_t start = d_now();
	d_inbox_look(d);
	d_publish(d);
	int r = d_census(d->table, d->netid, &c);
	if (r < 0)
		return r;
	d_count(d, BT_CNT_SWEEPS);
	uint64_t now = d_now();
	for (uint32_t slot = 0; slot < c.slots; slot++) {
		struct bt_port_info i;
		if (d_row(d, slot)->state == BT_ROW_FREE || d_row(d, slot)->flags & BT_ROWF_ALIAS ||
		    !in_use(d, slot, &i))
			continue;
		if (!is_alive(d, &c, slot))
			closed(d, slot, now);
	}
	d_census_done(&c);
	d_heirs_look(d);
	d_publish(d);
	d->swept_ns = d_now();
	d->sweep_cost_ns = d->swept_ns - start;
	return 0;
}

static bool suspects_left(struct daemon *d)
{
	bool left = false;
	for (uint32_t n = 0; n < d->table->high_water; n += OWNER_CHUNK) {
		uint32_t *chunk = d->owners[n / OWNER_CHUNK];
		for (uint32_t i = 0; chunk != NULL && i < OWNER_CHUNK; i++) {
			struct bt_port_info info;
			if (!(chunk[i] & SUSPECT_BIT))
				continue;
			if (in_use(d, n + i, &info))
				left = true;
			else
				chunk[i] &= ~SUSPECT_BIT;
		}
	}
	return left;
}

/* Never more than a twentieth of the time, however often somebody asks. */
static uint64_t not_before_ms(const struct daemon *d, uint64_t ms)
{
	uint64_t least = d->sweep_cost_ns * 20 / 1000000u;
	return ms > least ? ms : least;
}

static void on_sweep(struct daemon *d)
{
	int r = d_sweep(d);
	d_settle(d);
	if (r == 0 && !suspects_left(d))
		return;
	d->sweep_delay_ms = d->sweep_delay_ms * 2 < LAST_MS ? d->sweep_delay_ms * 2 : LAST_MS;
	d_timer_start(d, D_SWEEP, on_sweep, not_before_ms(d, d->sweep_delay_ms) * D_MS, 0);
}

void d_sweep_soon(struct daemon *d)
{
	if (d_timer_runs(d, D_SWEEP) && d->sweep_delay_ms <= FIRST_MS)
		return;
	d->sweep_delay_ms = FIRST_MS;
	d_timer_start(d, D_SWEEP, on_sweep, not_before_ms(d, FIRST_MS) * D_MS, 0);
}

static void suspect(struct daemon *d, uint32_t slot)
{
	*d_owner(d, slot) |= SUSPECT_BIT;
	d_sweep_soon(d);
}

/* A name that can be bound belongs to nobody. */
bool d_name_free(struct daemon *d, const struct bt_ident *id, int type, bool by_path)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_make(&sun, d->netid, id);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool free = bind(fd, (struct sockaddr *)&sun, len) == 0;
	close(fd);
	return free && (!by_path || d_file_free(d, id));
}

static bool name_free(struct daemon *d, uint32_t slot, int type)
{
	const struct bt_row *r = d_row(d, slot);
	const struct bt_ident id = {slot, r->gen, r->nonce};
	return d_name_free(d, &id, type, r->marks & BT_ROWM_PATH);
}

/* A caller's conflict may cost a look at the kernel: a twentieth of the time, with some in hand. */
static bool may_look(struct daemon *d)
{
	const int64_t most_ns = 50000000;
	uint64_t now = d_now();
	int64_t earned = (int64_t)((now - d->credit_at_ns) / 20);
	d->credit_at_ns = now;
	d->look_credit_ns =
		earned > most_ns - d->look_credit_ns ? most_ns : d->look_credit_ns + earned;
	return d->look_credit_ns > 0;
}

bool d_dead(struct daemon *d, uint32_t slot)
{
	struct bt_port_info i;
	if (!in_use(d, slot, &i))
		return false;
	if (bt_net_flags(d->net, slot) & BT_NETF_CHILD) {
		if (!may_look(d) || d_sweep(d) < 0)
			return false;
		d->look_credit_ns -= (int64_t)d->sweep_cost_ns;
		return !in_use(d, slot, &i);
	}
	if (young(d, slot) || !name_free(d, slot, i.proto == BT_TCP ? SOCK_STREAM : SOCK_DGRAM))
		return false;
	closed(d, slot, d_now());
	d_publish(d);
	return true;
}

void d_verify(struct daemon *d, uint32_t slot)
{
	struct bt_port_info i;
	if (!in_use(d, slot, &i))
		return;
	if (!(bt_net_flags(d->net, slot) & BT_NETF_CHILD) &&
	    name_free(d, slot, i.proto == BT_TCP ? SOCK_STREAM : SOCK_DGRAM))
		bt_net_closed(d->net, slot, d_now());
	else
		suspect(d, slot);
}

void d_verify_ident(struct daemon *d, const struct bt_ident *id)
{
	const struct bt_row *r = d_row(d, id->slot);
	if (r->gen == id->gen && r->nonce == id->nonce)
		d_verify(d, id->slot);
}

/* The connection ended: looks at what it owned. */
static void gone(struct daemon *d, struct conn *c)
{
	if (d_heirs())
		d_sweep_soon(d);
	if (c->owned == 0 && c->n_accepts == 0)
		return;
	for (uint32_t n = 0; n < d->table->high_water; n += OWNER_CHUNK) {
		uint32_t *chunk = d->owners[n / OWNER_CHUNK];
		for (uint32_t i = 0; chunk != NULL && i < OWNER_CHUNK; i++)
			if ((chunk[i] & ~SUSPECT_BIT) == c->id)
				chunk[i] = SUSPECT_BIT;
	}
	/* What it accepted is not known by slot: all accepted ends of its host are suspects. */
	for (uint32_t slot = 0; c->n_accepts > 0 && slot < d->table->high_water; slot++)
		if (d_row(d, slot)->flags & BT_ROWF_CHILD && d_row(d, slot)->host == c->host &&
		    d_row(d, slot)->state != BT_ROW_FREE)
			*d_owner(d, slot) |= SUSPECT_BIT;
	d_sweep_soon(d);
}

void d_conn_add(struct daemon *d, struct conn *c)
{
	c->next = d->conns;
	if (c->next != NULL)
		c->next->prev = c;
	d->conns = c;
	d->n_conns++;
}

void d_conn_del(struct daemon *d, struct conn *c)
{
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		d->conns = c->next;
	d->n_conns--;
	d_inbox_close(d, c);
	d_meter_close(d, c);
	gone(d, c);
	d_publish(d);
}

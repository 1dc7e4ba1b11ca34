/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rebuilding after a berthd that was killed. Its table is still there; which of its sockets live,
 * the kernel says. The table was written by a berthd of the same user, but may have been cut in the
 * middle of a change, so every field is checked as if it came from outside.
 */
#include "daemon.h"

#include "census.h"
#include "filter.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void hosts(struct daemon *d)
{
	uint32_t n = d->table->n_hosts;
	for (uint32_t i = 0; i < n && i < BT_MAX_HOSTS; i++) {
		struct bt_host_row *h = &d->table->hosts[i];
		uint16_t host, owner;
		h->name[sizeof(h->name) - 1] = '\0';
		/* Tokens carry the host's number, so a number must not move: a bad entry becomes a
		 * host that nobody can name by chance. */
		if (bt_net_host_add(d->net, h->name, &host) != 0) {
			snprintf(h->name, sizeof(h->name), "lost-%u", i);
			if (bt_net_host_add(d->net, h->name, &host) != 0)
				return;
		}
		for (uint16_t a = 2; a < h->n_addrs && a < BT_HOST_ADDRS; a++) {
			struct bt_net_addr addr = {.bits = h->addrs[a].bits,
						   .family = h->addrs[a].family};
			memcpy(addr.addr.b, h->addrs[a].addr, 16);
			bt_net_addr_add(d->net, host, &addr, &owner);
		}
		d_publish_host(d, host);
	}
}

static bool legal(const struct bt_row *r, uint32_t hosts)
{
	return (r->proto == BT_TCP || r->proto == BT_UDP || r->proto == BT_ECHO) &&
	       (r->family == BT_V4 || r->family == BT_V6) && r->state >= BT_ROW_ESTABLISHED &&
	       r->state <= BT_ROW_CLOSING && r->host < hosts && !(r->flags & BT_ROWF_ALIAS);
}

static bool restore(struct daemon *d, uint32_t slot, const struct bt_row *r)
{
	struct bt_port_net *ports = bt_net_ports(d->net);
	struct bt_reason why;
	struct bt_port_info i = {.host = r->host,
				 .proto = r->proto,
				 .family = r->family,
				 .state = r->state,
				 .opts = (uint8_t)r->opts,
				 .uid = r->uid,
				 .lport = bt_row_port(r),
				 .rport = r->state == BT_ROW_CLOSE ? 0 : r->rport};
	uint64_t now = d_now();
	uint32_t taken;
	memcpy(i.laddr.b, r->laddr, 16);
	memcpy(i.raddr.b, r->raddr, 16);
	if (i.rport != 0 && i.lport != 0 && r->proto == BT_TCP)
		return bt_port_restore_child(ports, slot, &i) == 0;
	if (bt_port_new_at(ports, r->host, r->proto, r->family, r->uid, slot) < 0)
		return false;
	bt_port_set_opts(ports, slot, r->opts);
	if (r->proto == BT_ECHO)
		return true;
	int e = 0;
	if (i.lport != 0)
		e = bt_port_bind(ports, slot, &i.laddr, i.lport, true, now, &why);
	if (e == 0 && r->state == BT_ROW_LISTEN)
		e = bt_port_listen(ports, slot, now, &why);
	if (e == 0 && r->proto == BT_UDP && r->rport != 0)
		e = bt_port_connect(ports, slot, &i.laddr, &i.raddr, r->rport, now, &taken, &why);
	return e == 0;
}

/* In pairs: a child is alive through its client, and both must agree that they belong together. */
static bool lives(const struct daemon *d, const struct census *c, uint32_t slot,
		  const struct bt_row *r)
{
	uint64_t now_s = d_now() / 1000000000u;
	if (r->state == BT_ROW_TIME_WAIT)
		return r->timer_s > now_s && r->timer_s < now_s + 86400;
	if (!(r->flags & BT_ROWF_CHILD))
		return c->alive[slot] & BT_ALIVE_NAME;
	return r->peer < c->slots && d_row(d, r->peer)->peer == slot &&
	       c->alive[r->peer] & (BT_ALIVE_PEER | BT_NEVER_JOINED);
}

/* The engine is made for the first of them, which must find all listeners there. */
static void ping_sockets(struct daemon *d, uint32_t slots)
{
	for (uint32_t slot = 0; slot < slots; slot++) {
		const struct bt_row *r = d_row(d, slot);
		struct bt_addr local, remote;
		if (r->state == BT_ROW_FREE || r->proto != BT_ECHO)
			continue;
		memcpy(local.b, r->laddr, sizeof(local.b));
		memcpy(remote.b, r->raddr, sizeof(remote.b));
		if (d_ping_make(d, slot) == 0 && r->lport != 0)
			d_ping_bind(d, slot, &local, r->lport);
		if (r->state == BT_ROW_ESTABLISHED)
			d_ping_connect(d, slot, &remote, r->rport);
	}
}

void d_recover(struct daemon *d)
{
	struct census c;
	hosts(d);
	d_filter_recover(d);
	int r = d_census(d->table, d->netid, &c);
	if (r < 0) {
		fprintf(stderr,
			"berthd: cannot ask the kernel which sockets live (%s); starting empty\n",
			strerror(-r));
		c = (struct census){0};
	}
	for (uint32_t slot = 0; slot < d->table->high_water && slot < BT_MAX_ROWS; slot++) {
		struct bt_row *row = d_row(d, slot), copy;
		if (row->state == BT_ROW_FREE)
			continue;
		memcpy((void *)&copy, (void *)row, sizeof(copy));
		bool keep = slot < c.slots && legal(&copy, bt_net_hosts(d->net)) &&
			    lives(d, &c, slot, &copy) && restore(d, slot, &copy);
		d_row_begin(row);
		if (!keep)
			row->state = BT_ROW_FREE;
		else /* whoever holds it has no connection to us, so only the kernel can tell its
			end */
			*d_owner(d, slot) = SUSPECT_BIT;
		d_row_end(row);
	}
	for (uint32_t slot = 0; slot < c.slots; slot++) {
		struct bt_row *row = d_row(d, slot);
		if (row->state == BT_ROW_FREE)
			continue;
		bt_net_set_flag(d->net, slot,
				row->flags & (BT_NETF_RESET | BT_NETF_ORPHAN | BT_NETF_PKTINFO |
					      BT_NETF_LINGER0),
				true);
		if (row->state == BT_ROW_TIME_WAIT)
			bt_net_time_wait(d->net, slot, d_now());
		if (row->flags & BT_ROWF_CHILD && row->peer < c.slots &&
		    d_row(d, row->peer)->state != BT_ROW_FREE)
			bt_net_join(d->net, row->peer, slot, row->link);
	}
	ping_sockets(d, c.slots);
	d_census_done(&c);
	d_publish(d);
	d->n_named = 0;
	for (uint32_t slot = 0; slot < c.slots; slot++)
		d->n_named += d_named(d_row(d, slot)) && !(d_row(d, slot)->marks & BT_ROWM_PATH);
}

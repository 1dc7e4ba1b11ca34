/* SPDX-License-Identifier: Apache-2.0 */
/* Every invariant of the port space, for tests. */
#include "internal.h"

#include <stdlib.h>

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_sock(const struct bt_port_net *net, uint32_t slot)
{
	const struct psock *s = sock_at(net, slot);
	struct tuple t = btp_tuple(s);

	must(btp_host(net, s->host) != NULL);
	must(s->state != BT_LISTEN || (s->flags & SF_HELD && !(s->flags & SF_TUPLE)));
	must((s->proto == BT_TCP && s->state != BT_CLOSE && s->state != BT_LISTEN) ||
	     s->proto == BT_UDP || !(s->flags & SF_TUPLE));
	must(!(s->flags & SF_PORT_LOCK) || s->flags & SF_HELD);
	must(!(s->flags & SF_HELD) || s->lport != 0);
	must(s->lport == 0 || s->flags & (SF_HELD | SF_TUPLE));
	if (s->state == BT_TIME_WAIT && s->flags & SF_TUPLE)
		must(s->aux < net->n_heap && net->heap[s->aux].slot == slot);
	if (!(s->flags & SF_TUPLE))
		return;
	if (s->proto == BT_TCP)
		must(btp_find_tuple(net, &t, s->dev) == slot || net->devices);
	if (btp_in_dest(s)) {
		uint32_t i = btp_find_dest(net, s->host, &s->laddr, &s->raddr, s->rport);

		must(i != BT_NO_SLOT);
		must(btp_dest_has(dest_at(net, i), s->lport));
	}
}

/* Returns the number of members. */
static uint32_t check_class(const struct bt_port_net *net, const struct class *c, uint16_t host,
			    uint8_t proto, uint16_t port)
{
	uint32_t n = 0, prev = BT_NO_SLOT;

	for (uint32_t slot = c->head; slot != BT_NO_SLOT; slot = sock_at(net, slot)->class_next) {
		const struct psock *s = sock_at(net, slot);
		struct class_key key = btp_class_key(s);

		must(btp_slot_used(net, slot) && s->class_prev == prev);
		must(memcmp(&key, &c->key, sizeof(key)) == 0);
		must(s->host == host && s->proto == proto && s->lport == port);
		if (prev != BT_NO_SLOT && (proto == BT_UDP || s->state == BT_LISTEN))
			must(sock_at(net, prev)->aux > s->aux);
		prev = slot;
		n++;
	}
	must(n == c->count && n > 0);
	return n;
}

static uint32_t check_space(const struct bt_port_net *net, uint16_t host, uint8_t proto,
			    uint32_t *classes)
{
	const struct space *sp = space_of(net, host, proto);
	uint32_t n = 0, n_any = 0, n_ports = 0;

	for (uint32_t port = 0; sp != NULL && port < N_PORTS; port++) {
		const struct class *c;
		struct class sole;
		bool held = false;
		uint32_t before = n;
		bool history = false;

		for (c = btp_first_class(net, sp, (uint16_t)port, &sole); c != NULL;
		     c = next_class(net, c)) {
			*classes += c != &sole;
			if (c->key.kind == KIND_HISTORY) {
				must(proto == BT_TCP && c->count == 0 && c->head == BT_NO_SLOT);
				must(c == class_at(net, sp->first[port]) && c->next != 0);
				history = true;
				continue;
			}
			n += check_class(net, c, host, proto, (uint16_t)port);
			held |= (c->key.opts & KEY_HELD) != 0;
		}
		must(!history || held);
		must((n - before == 1 && !history) == ((sp->first[port] & SOLE) != 0));
		must(sp->first[port] == 0 || sp->pages >> (port / PAGE_PORTS) & 1);
		must(bit_test(sp->any, port) == (sp->first[port] != 0));
		n_any += sp->first[port] != 0;
		if (port % PAGE_PORTS == PAGE_PORTS - 1) {
			must(n_any == sp->n_any[port / PAGE_PORTS]);
			n_ports += n_any;
			n_any = 0;
		}
		must(bit_test(sp->held, port) == held);
	}
	must(sp == NULL || sp->n_ports == n_ports);
	return n;
}

static uint32_t check_dests(const struct bt_port_net *net)
{
	uint32_t sum = 0, n = 0;
	size_t bytes = 0;

	for (uint32_t i = 0; i < net->by_dest.size; i++) {
		for (uint32_t j = net->by_dest.heads[i]; j != BT_NO_SLOT;
		     j = dest_at(net, j)->next) {
			const struct dest *d = dest_at(net, j);
			uint32_t count = 0;

			for (uint32_t w = 0; d->room == N_PORTS && w < N_WORDS; w++)
				count += (uint32_t)__builtin_popcountll(d->bits[w]);
			for (uint32_t g = 0; d->room == N_PORTS && g < N_PAGES; g++)
				count -= page_counts(d)[g];
			must(count == 0);
			for (uint32_t g = 0; d->room == N_PORTS && g < N_PAGES; g++)
				count += page_counts(d)[g];
			must(d->room != N_PORTS || count == d->count);
			must(d->count > 0 && d->count <= d->room);
			must(d->n_time_wait <= d->count || net->devices);
			bytes += btp_ports_bytes(d->room);
			sum += d->count;
			n++;
		}
	}
	must(n == net->by_dest.count && bytes == net->dest_bytes);
	return sum;
}

static uint32_t pool_free_count(const struct pool *pool)
{
	uint32_t n = 0, next;

	for (uint32_t i = pool->free; i != 0; i = next) {
		memcpy(&next, pool->items + i * pool->item_size, sizeof(next));
		n++;
	}
	return n;
}

static void check_pools(const struct bt_port_net *net, uint32_t n_classes)
{
	uint32_t n = 0, prev = BT_NO_SLOT;

	for (uint32_t i = net->free_first; i != BT_NO_SLOT; i = sock_at(net, i)->class_next) {
		must(!btp_slot_used(net, i) && sock_at(net, i)->class_prev == prev);
		prev = i;
		n++;
	}
	must(n == net->n_free && prev == net->free_last);
	must(net->n_used + net->n_free == net->n_fresh && net->n_fresh <= net->max_slots);
	must(pool_free_count(&net->classes) == net->classes.n_free);
	must(pool_free_count(&net->dests) == net->dests.n_free);
	must(net->classes.used == 0 ||
	     net->classes.used - 1 == n_classes + pool_free_count(&net->classes));
	must(net->dests.used == 0 ||
	     net->dests.used - 1 == net->by_dest.count + pool_free_count(&net->dests));
	for (uint32_t i = 0; i < N_WORDS; i++)
		must(net->scratch[i] == 0);
	for (uint32_t i = 1; i < net->n_heap; i++)
		must(net->heap[(i - 1) / 2].expires <= net->heap[i].expires);
}

/* By its tuple, be it behind newer ones. */
static bool is_found(const struct bt_port_net *net, uint32_t slot)
{
	struct tuple t = btp_tuple(sock_at(net, slot));
	uint32_t i = btp_find_tuple(net, &t, sock_at(net, slot)->dev);

	while (i != slot && i != BT_NO_SLOT)
		i = sock_at(net, i)->hash_next;
	return i == slot;
}

void bt_port_check(const struct bt_port_net *net)
{
	uint32_t used = 0, bound = 0, tuples = 0, chosen = 0, waiting = 0, classes = 0, hosts = 0;
	uint32_t skipped = 0, ranges = 0, n_ports;

	for (uint32_t slot = 0; slot < net->n_fresh; slot++) {
		const struct psock *s = sock_at(net, slot);

		if (!(s->flags & SF_USED))
			continue;
		check_sock(net, slot);
		used++;
		ranges += (s->flags & SF_RANGE) != 0;
		bound += s->lport != 0;
		tuples += (s->flags & SF_TUPLE) != 0;
		must(!(s->flags & SF_TUPLE) || is_found(net, slot));
		chosen += s->flags & SF_TUPLE && btp_in_dest(s);
		waiting += s->state == BT_TIME_WAIT && s->flags & SF_TUPLE;
		skipped += s->state == BT_TIME_WAIT && !(s->flags & SF_TUPLE);
	}
	must(used == net->n_used && tuples == net->tuples.count && waiting == net->n_heap);
	n_ports = check_dests(net);
	must(n_ports == chosen || (net->devices && n_ports < chosen));
	for (uint32_t i = net->skipped; i != BT_NO_SLOT; i = sock_at(net, i)->class_next)
		skipped--;
	must(skipped == 0);
	for (uint32_t h = 0; h < net->n_hosts; h++) {
		if (net->hosts[h] == NULL)
			continue;
		hosts += net->hosts[h]->n_socks;
		bound -= check_space(net, (uint16_t)h, BT_TCP, &classes);
		bound -= check_space(net, (uint16_t)h, BT_UDP, &classes);
	}
	must(hosts == used && bound == 0);
	for (uint32_t i = 0; i < net->ranges_size; i++) {
		uint32_t slot = net->ranges[i].slot;

		if (slot == BT_NO_SLOT)
			continue;
		must(btp_slot_used(net, slot) && sock_at(net, slot)->flags & SF_RANGE);
		must(btp_range(net, slot).slot == slot && ranges-- > 0);
	}
	must(ranges == 0);
	check_pools(net, classes);
}

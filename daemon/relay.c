/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams in waiting. The kernel queues net.unix.max_dgram_qlen datagrams (10 by default) for an
 * AF_UNIX receiver; a UDP socket takes SO_RCVBUF bytes. What the kernel's queue has no room for, a
 * sender hands to berthd, which keeps it here in order and passes it on as the receiver makes room.
 * While anything waits, the receiver's row says so (BT_ROWF_RELAY) and all its senders come this
 * way: nothing is overtaken.
 *
 * The receiver learns the source from the sending descriptor's name, so each source needs a
 * descriptor of berthd's own, bound to the name of an alias row that carries the source's address
 * and port, and what else the receiver may ask for in control messages. The one last used is kept
 * with the queue; two senders that alternate cost a descriptor each time.
 */
#include "daemon.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_QUEUES                                                                                 \
	1024u /* receivers that may wait at the same time; beyond that, datagrams are dropped */
#define OVERHEAD 256u /* what a datagram counts beside its bytes, as in the kernel */

struct gram {
	struct gram *next;
	struct d_from from;
	size_t len;
	uint8_t data[];
};

/* Waits for room on an alias. libuv lets go of a handle later than we of the queue, so it lives by
 * itself and takes the descriptor along. */
struct waiter {
	uv_poll_t poll;
	struct queue *q;
	int fd;
};

struct queue {
	struct daemon *d;
	struct queue *next;
	uint32_t target;
	struct gram *first, **last;
	size_t bytes;
	/* the alias in use; fd -1: none */
	int fd;
	uint32_t alias;
	struct d_from from;
	struct waiter *waiter; /* NULL: the queue is not waiting */
};

static struct queue *queues;
static uint32_t n_queues;

static struct queue *find(uint32_t target)
{
	for (struct queue *q = queues; q != NULL; q = q->next)
		if (q->target == target)
			return q;
	return NULL;
}

static void waiter_closed(uv_handle_t *h)
{
	struct waiter *w = h->data;
	close(w->fd);
	free(w);
}

static void alias_drop(struct queue *q)
{
	if (q->fd < 0)
		return;
	struct bt_row *r = d_row(q->d, q->alias);
	d_row_begin(r);
	r->state = BT_ROW_FREE;
	d_row_end(r);
	bt_port_free(bt_net_ports(q->d->net), q->alias);
	if (q->waiter != NULL) {
		q->waiter->q = NULL;
		uv_poll_stop(&q->waiter->poll);
		uv_close((uv_handle_t *)&q->waiter->poll, waiter_closed);
		q->waiter = NULL;
	} else {
		close(q->fd);
	}
	q->fd = -1;
}

static bool same(const struct d_from *a, const struct d_from *b)
{
	return a->port == b->port && a->host == b->host && a->hops == b->hops && a->tos == b->tos &&
	       a->word == b->word && a->dev == b->dev && bt_addr_eq(&a->src, &b->src) &&
	       bt_addr_eq(&a->dst, &b->dst);
}

static int alias_make(struct queue *q, const struct gram *g)
{
	struct daemon *d = q->d;
	struct sockaddr_un sun;
	const struct d_from *from = &g->from;
	if (q->fd >= 0 && same(&q->from, from))
		return 0;
	alias_drop(q);
	enum bt_family family = bt_addr_is_v4(&from->src) ? BT_V4 : BT_V6;
	int r = bt_port_new(bt_net_ports(d->net), from->host, BT_UDP, family, d->table->owner_uid,
			    &q->alias);
	if (r < 0)
		return r;
	d_identify(d, q->alias, getpid(), 0);
	struct bt_row *row = d_row(d, q->alias);
	d_row_begin(row);
	memcpy(row->laddr, from->src.b, 16);
	memcpy(row->raddr, from->dst.b, 16);
	row->lport = from->port;
	row->rport = 0;
	row->proto = BT_UDP;
	row->family = (uint8_t)family;
	row->hops = from->hops;
	row->tos = from->tos;
	row->dev = from->dev;
	row->host = from->host;
	row->state = BT_ROW_CLOSE;
	row->flags = from->word ? BT_ROWF_ALIAS | BT_ROWF_RESET : BT_ROWF_ALIAS;
	row->peer = row->link = BT_SLOT_NONE;
	d_row_end(row);
	q->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct bt_ident id = {q->alias, row->gen, row->nonce};
	socklen_t len = bt_name_make(&sun, d->netid, &id);
	if (q->fd >= 0 && bind(q->fd, (struct sockaddr *)&sun, len) == 0) {
		if (d_join(d, q->fd, q->target) == 0) {
			q->from = *from;
			int big = 256 * 1024;
			setsockopt(q->fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
			return 0;
		}
	}
	r = -errno;
	if (q->fd < 0) { /* alias_drop only knows a made alias */
		row->state = BT_ROW_FREE;
		bt_port_free(bt_net_ports(d->net), q->alias);
	}
	alias_drop(q);
	return r;
}

static void pop(struct queue *q)
{
	struct gram *g = q->first;
	q->first = g->next;
	if (q->first == NULL)
		q->last = &q->first;
	q->bytes -= g->len + OVERHEAD;
	free(g);
}

static void queue_end(struct queue *q)
{
	for (struct queue **p = &queues; *p != NULL; p = &(*p)->next)
		if (*p == q) {
			*p = q->next;
			break;
		}
	n_queues--;
	while (q->first != NULL)
		pop(q);
	alias_drop(q);
	free(q);
}

static void drain(struct queue *q);

static void on_room(uv_poll_t *h, int status, int events)
{
	struct waiter *w = h->data;
	(void)status;
	(void)events;
	if (w->q != NULL)
		drain(w->q);
}

static void wait_for_room(struct queue *q)
{
	if (q->waiter != NULL)
		return;
	struct waiter *w = calloc(1, sizeof(*w));
	if (w == NULL || uv_poll_init(&q->d->loop, &w->poll, q->fd) < 0) {
		free(w);
		return; /* the next datagram for this receiver tries again */
	}
	w->q = q;
	w->fd = q->fd;
	w->poll.data = w;
	q->waiter = w;
	uv_poll_start(&w->poll, UV_WRITABLE, on_room);
}

static void drop(struct queue *q)
{
	d_row(q->d, q->target)->drops++;
	d_count(q->d, BT_CNT_UDP_DROPPED);
	pop(q);
}

/* Passes on what there is room for. Ends the queue when it is empty. */
static void drain(struct queue *q)
{
	struct daemon *d = q->d;
	while (q->first != NULL) {
		if (alias_make(q, q->first) < 0) {
			drop(q);
			continue;
		}
		if (send(q->fd, q->first->data, q->first->len, MSG_NOSIGNAL) >= 0) {
			pop(q);
			continue;
		}
		if (errno != EAGAIN) {
			drop(q);
			continue;
		}
		wait_for_room(q);
		return;
	}
	bt_net_set_flag(d->net, q->target, BT_NETF_RELAY, false);
	d_publish(d);
	queue_end(q);
}

void d_relay(struct daemon *d, uint32_t target, const struct d_from *from, const uint8_t *data,
	     size_t len)
{
	struct queue *q = find(target);
	size_t limit = (size_t)d_row(d, target)->rcvbuf_kib * 1024;
	struct gram *g = NULL;
	if (q == NULL && n_queues < MAX_QUEUES && (q = calloc(1, sizeof(*q))) != NULL) {
		q->d = d;
		q->target = target;
		q->last = &q->first;
		q->fd = -1;
		q->next = queues;
		queues = q;
		n_queues++;
	}
	if (q != NULL && (q->bytes == 0 || q->bytes + len + OVERHEAD <= limit))
		g = malloc(sizeof(*g) + len);
	if (g == NULL) {
		d_row(d, target)->drops++;
		d_count(d, BT_CNT_UDP_DROPPED);
		return;
	}
	*g = (struct gram){.from = *from, .len = len};
	if (len > 0)
		memcpy(g->data, data, len);
	*q->last = g;
	q->last = &g->next;
	q->bytes += len + OVERHEAD;
	if (!(bt_net_flags(d->net, target) & BT_NETF_RELAY))
		bt_net_set_flag(d->net, target, BT_NETF_RELAY, true);
	if (q->waiter == NULL)
		drain(q);
}

int d_udp_source(const struct daemon *d, uint16_t host, const uint8_t chosen[16],
		 struct bt_addr *src)
{
	const struct bt_net_host *h = bt_net_host(d->net, host);
	memcpy(src->b, chosen, sizeof(src->b));
	if (bt_addr_is_loopback(src))
		return 0;
	for (uint16_t i = 0; i < h->n_addrs; i++)
		if (bt_addr_eq(&h->addrs[i].addr, src))
			return 0;
	return bt_addr_is_v4(src) ? -ENETUNREACH : -EINVAL;
}

void d_udp_option(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value)
{
	struct bt_row *r = d_row(d, slot);
	bool v4 = r->family == 4 && level == IPPROTO_IP,
	     v6 = r->family == 6 && level == IPPROTO_IPV6;
	if (level == IPPROTO_IP && name == IP_PKTINFO) {
		bt_net_set_flag(d->net, slot, BT_NETF_PKTINFO, value != 0);
		return;
	}
	d_row_begin(r);
	if ((v4 && name == IP_TTL) || (v6 && name == IPV6_UNICAST_HOPS))
		r->hops = (uint8_t)(64 - value);
	else if ((v4 && name == IP_TOS) || (v6 && name == IPV6_TCLASS))
		r->tos = (uint8_t)value;
	d_row_end(r);
}

void d_relay_forget(struct daemon *d, uint32_t target)
{
	struct queue *q = find(target);
	(void)d;
	if (q != NULL)
		queue_end(q);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What UDP sockets are told of datagrams that did not arrive: the error that the next call says
 * (SO_ERROR), and with IP_RECVERR the queue that MSG_ERRQUEUE reads (ip(7)). ICMP says it of those
 * that travel in packets; where both ends are joined directly, berthd knows it at once, and the
 * sender raises the error by itself.
 *
 * A descriptor can be given no error from outside, so a socket whose error waits gets a word: an
 * empty datagram from an alias that says what it is (BT_ROWF_RESET), which wakes the program.
 */
#include "errors.h"

#include "vals.h"
#include "wire.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define TABLE	  256u
#define QUEUE_MAX 16u /* of one socket; later ones are lost */

struct entry {
	struct entry *next;
	struct bt_udp_error head;
	uint8_t data[];
};

struct errors {
	struct errors *next;
	uint32_t slot;
	int pending; /* errno; 0: none */
	unsigned n;
	struct entry *first, **last;
};

static struct errors *table[TABLE];

static struct errors **place(uint32_t slot)
{
	struct errors **p = &table[slot % TABLE];
	while (*p != NULL && (*p)->slot != slot)
		p = &(*p)->next;
	return p;
}

static void pop(struct errors *e)
{
	struct entry *first = e->first;
	e->first = first->next;
	if (e->first == NULL)
		e->last = &e->first;
	e->n--;
	free(first);
}

void d_errors_forget(uint32_t slot)
{
	struct errors **p = place(slot), *e = *p;
	if (e == NULL)
		return;
	*p = e->next;
	while (e->first != NULL)
		pop(e);
	free(e);
}

static struct errors *of(uint32_t slot)
{
	struct errors **p = place(slot);
	if (*p == NULL && (*p = calloc(1, sizeof(**p))) != NULL) {
		(*p)->slot = slot;
		(*p)->last = &(*p)->first;
	}
	return *p;
}

bool d_errors_wanted(struct daemon *d, uint32_t slot, bool v4)
{
	uint32_t on = 0;
	bool set = d_vals_get(slot, d_row(d, slot)->gen, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			      v4 ? IP_RECVERR : IPV6_RECVERR, &on) == 0;
	/* An IPv6 socket has one option for both (ipv6(7)). */
	if (!set && v4)
		d_vals_get(slot, d_row(d, slot)->gen, IPPROTO_IPV6, IPV6_RECVERR, &on);
	return on != 0;
}

/* It wakes whoever waits for the socket. */
static void send_word(struct daemon *d, uint32_t slot, const struct bt_udp_error *head)
{
	struct d_from word = {.word = true, .port = head->port};
	struct bt_port_info i;
	memcpy(word.src.b, head->dst, 16);
	word.host = bt_net_host_by_addr(d->net, &word.src);
	if (word.host == BT_NET_NO_HOST && bt_port_get(bt_net_ports(d->net), slot, &i))
		word.host = i.host; /* as of a datagram from the outside */
	if (word.host != BT_NET_NO_HOST)
		d_relay(d, slot, &word, NULL, 0);
}

void d_errors_add(struct daemon *d, uint32_t slot, const struct bt_udp_error *head,
		  const uint8_t *data, bool raise)
{
	struct errors *e = of(slot);
	bool v4 = bt_is_v4(head->dst);
	if (e == NULL)
		return;
	if (d_errors_wanted(d, slot, v4) && e->n < QUEUE_MAX) {
		struct entry *n = malloc(sizeof(*n) + head->len);
		if (n != NULL) {
			n->next = NULL;
			n->head = *head;
			if (head->len > 0)
				memcpy(n->data, data, head->len);
			*e->last = n;
			e->last = &n->next;
			e->n++;
		}
	}
	bool first = e->pending == 0;
	if (raise)
		e->pending = head->error;
	if (raise && first)
		send_word(d, slot, head);
}

int d_errors_take(uint32_t slot)
{
	struct errors *e = *place(slot);
	int error = e == NULL ? 0 : e->pending;
	if (e != NULL)
		e->pending = 0;
	return error;
}

size_t d_errors_next(struct daemon *d, uint32_t slot, uint8_t *out, size_t room)
{
	struct errors *e = *place(slot);
	if (e == NULL || e->first == NULL)
		return 0;
	const struct entry *n = e->first;
	size_t size = sizeof(n->head) + n->head.len;
	if (size > room)
		size = room;
	memcpy(out, &n->head, sizeof(n->head));
	memcpy(out + sizeof(n->head), n->data, size - sizeof(n->head));
	pop(e);
	/* sock_dequeue_err_skb: the error that waits is the next one's */
	e->pending = e->first == NULL ? 0 : e->first->head.error;
	if (e->first != NULL)
		send_word(d, slot, &e->first->head);
	return size;
}

/* ---- ICMP ---- */

static uint32_t by_ports(struct daemon *d, const struct bt_engine_icmp *m)
{
	uint16_t host = bt_net_host_by_addr(d->net, &m->src);
	return host == BT_NET_NO_HOST ? BT_NO_SLOT
				      : bt_port_lookup(bt_net_ports(d->net), host, BT_UDP, &m->src,
						       m->sport, &m->dst, m->dport, BT_DEV_LO + 1);
}

void d_errors_icmp(struct daemon *d, const struct bt_engine_icmp *m)
{
	struct bt_port_net *ports = bt_net_ports(d->net);
	struct bt_udp_error head = {.error = -m->error,
				    .type = m->type,
				    .code = m->code,
				    .info = m->mtu,
				    .port = m->proto == BT_UDP ? m->dport : 0,
				    .len = m->len};
	struct bt_port_info i;
	bool v4 = bt_addr_is_v4(&m->src), ping = m->proto != BT_UDP;
	uint32_t slot = ping ? (uint32_t)m->user : by_ports(d, m);
	if (slot >= BT_MAX_ROWS || !bt_port_get(ports, slot, &i))
		return;
	if (ping)
		d_ping_ends(slot, &i);
	bool connected = i.state == BT_ESTABLISHED &&
			 (ping || (i.rport == m->dport && bt_addr_eq(&i.raddr, &m->dst)));
	if (!d_errors_wanted(d, slot, v4) && !(connected && m->hard))
		return;
	head.origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6;
	memcpy(head.from, m->from.b, 16);
	memcpy(head.dst, m->dst.b, 16);
	d_errors_add(d, slot, &head, m->data, true);
}

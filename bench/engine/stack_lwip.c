/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP 2.1.3 for cost.c. Both hosts are network interfaces of one lwIP: a packet is routed to the
 * interface that owns its destination, and what is sent there comes in there. Received bytes are
 * handed over as they lie in the wire's memory. lwIP's look-up walks a list, so the connections of
 * stack_fill are put into that list as established ones; to make them by handshakes would take
 * hours for 100,000.
 */
#include "packet.h"
#include "stack.h"

#include "lwip/init.h"
#include "lwip/ip4.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "../util.h"

#define SLOTS 1024u
#define BURST 16 /* segments, before the wire carries them */

struct slot {
	struct pbuf_custom p;
	struct netif *to;
	uint16_t len;
	uint8_t *data;
};

const char stack_name[] = "lwip";
const bool stack_has_batches = false;

static struct netif nets[2]; /* A, B */
static struct slot slots[SLOTS];
static unsigned head, tail; /* of the wire */
static uint32_t now_ms, others;
static uint64_t received, acked, unanswered;
static struct tcp_pcb *client, *server, **filled;
static bool connected;
static uint8_t *payload;

u32_t sys_now(void)
{
	return now_ms;
}

static err_t send_packet(struct netif *net, struct pbuf *p, const ip4_addr_t *to)
{
	struct slot *s = &slots[tail % SLOTS];

	if (ip4_addr_get_u32(to) != ip4_addr_get_u32(netif_ip4_addr(net))) {
		unanswered++; /* a peer that is not here */
		return ERR_OK;
	}
	if (tail - head == SLOTS)
		die_msg("the wire is full");
	s->to = net;
	s->len = p->tot_len;
	pbuf_copy_partial(p, s->data, p->tot_len, 0);
	tail++;
	return ERR_OK;
}

static void released(struct pbuf *p)
{
	(void)p;
}

static void take_in(struct slot *s, uint8_t *data, uint16_t len, struct netif *net)
{
	struct pbuf *p;

	s->p.custom_free_function = released;
	p = pbuf_alloced_custom(PBUF_RAW, len, PBUF_REF, &s->p, data, len);
	ip4_input(p, net);
}

static void carry_wire(void)
{
	while (head != tail) {
		struct slot *s = &slots[head++ % SLOTS];

		take_in(s, s->data, s->len, s->to);
	}
	head = tail = 0; /* the same memory again, as it is in the cache */
}

/* nothing moves: lwIP's timers */
static void wait(void)
{
	now_ms += TCP_TMR_INTERVAL;
	tcp_tmr();
	carry_wire();
}

static err_t got(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (p == NULL)
		return ERR_OK;
	received += p->tot_len;
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static err_t was_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)arg;
	(void)pcb;
	acked += len;
	return ERR_OK;
}

static err_t is_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	(void)pcb;
	connected = err == ERR_OK;
	return ERR_OK;
}

static void gone(void *arg, err_t err)
{
	(void)err;
	*(struct tcp_pcb **)arg = NULL;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	(void)err;
	server = pcb;
	tcp_arg(pcb, &server);
	tcp_recv(pcb, got);
	tcp_err(pcb, gone);
	return ERR_OK;
}

static err_t set_up(struct netif *net)
{
	net->name[0] = 'e';
	net->output = send_packet;
	return ERR_OK;
}

static ip4_addr_t addr_of(uint32_t a)
{
	return (ip4_addr_t){lwip_htonl(a)};
}

void stack_start(const struct stack_setup *setup)
{
	ip4_addr_t mask = addr_of(0xffffff00), none = {0};
	struct tcp_pcb *listener;

	lwip_init();
	others = setup->others;
	for (unsigned i = 0; i < 2; i++) {
		ip4_addr_t addr = addr_of(i == 0 ? ADDR_A : ADDR_B);

		netif_add(&nets[i], &addr, &mask, &none, NULL, set_up, ip4_input);
		nets[i].mtu = setup->large ? 65535 : 1500;
		NETIF_SET_CHECKSUM_CTRL(&nets[i], setup->checksums ? NETIF_CHECKSUM_ENABLE_ALL
								   : NETIF_CHECKSUM_DISABLE_ALL);
		netif_set_up(&nets[i]);
		netif_set_link_up(&nets[i]);
	}
	netif_set_default(&nets[1]);
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i].data = malloc(setup->large ? 65536 : 2048);
	payload = calloc(1, 65536);
	filled = calloc(others + 1, sizeof(struct tcp_pcb *));
	listener = tcp_new();
	if (payload == NULL || filled == NULL || listener == NULL ||
	    tcp_bind(listener, netif_ip_addr4(&nets[1]), 80) != ERR_OK)
		die_msg("no listener");
	listener = tcp_listen(listener);
	tcp_accept(listener, accepted);
}

void stack_dial(void)
{
	ip_addr_t to = addr_of(ADDR_B);

	connected = false;
	client = tcp_new();
	if (client == NULL)
		die_msg("tcp_new");
	tcp_arg(client, &client);
	tcp_err(client, gone);
	tcp_sent(client, was_sent);
	tcp_nagle_disable(client);
	if (tcp_bind(client, netif_ip_addr4(&nets[0]), 0) != ERR_OK ||
	    tcp_connect(client, &to, 80, is_connected) != ERR_OK)
		die_msg("tcp_connect");
	carry_wire();
	if (!connected || server == NULL)
		die_msg("not connected");
}

/* Whole segments but for the last (lwIP would add to a short one by another pbuf), up to a burst.
 */
static uint32_t write_burst(uint64_t left, uint32_t mss)
{
	uint32_t written = 0;

	for (unsigned i = 0; i < BURST && left > written; i++) {
		uint32_t n = left - written < mss ? (uint32_t)(left - written) : mss;

		if (tcp_sndbuf(client) < n || tcp_write(client, payload, (u16_t)n, 0) != ERR_OK)
			break;
		written += n;
	}
	return written;
}

uint32_t stack_carry(uint64_t bytes)
{
	uint64_t left = bytes;
	uint32_t mss = tcp_mss(client);

	received = acked = 0;
	while (acked < bytes) {
		uint64_t before = received + acked;

		left -= write_burst(left, mss);
		tcp_output(client);
		carry_wire();
		if (received + acked == before)
			wait();
	}
	if (received != bytes)
		die_msg("not all has come");
	return mss;
}

void stack_reset(void)
{
	tcp_abort(client);
	carry_wire();
	if (client != NULL || server != NULL)
		die_msg("not reset");
}

void stack_fill(uint32_t n)
{
	struct tcp_pcb *first = tcp_new();

	for (uint32_t i = 0; i < n; i++) {
		struct tcp_pcb *pcb = malloc(sizeof(*pcb)); /* a pool has 65,535 at most */

		if (pcb == NULL || first == NULL)
			die_msg("out of memory");
		*pcb = *first;
		pcb->local_ip = addr_of(ADDR_B);
		pcb->remote_ip = addr_of(peer_addr(i));
		pcb->local_port = 80;
		pcb->remote_port = (u16_t)peer_port(i);
		pcb->state = ESTABLISHED;
		pcb->rcv_nxt = pcb->rcv_ann_right_edge = 1;
		pcb->snd_nxt = pcb->snd_lbb = pcb->lastack = pcb->snd_wl2 = 1;
		pcb->snd_wnd = pcb->snd_wnd_max = 0xffff;
		pcb->snd_wl1 = 1;
		TCP_REG_ACTIVE(pcb);
		filled[i] = pcb;
	}
	tcp_abort(first);
}

void stack_ack(uint32_t i, uint8_t packet[STACK_ACK])
{
	write_segment(packet, i, filled[i]->rcv_nxt, filled[i]->snd_nxt, 0x10);
}

void stack_input(const uint8_t *packets, unsigned n)
{
	uint64_t before = unanswered;

	for (unsigned i = 0; i < n; i++) {
		struct slot *s = &slots[i % SLOTS];

		/* lwIP turns the header's fields round where they lie */
		memcpy(s->data, packets + (size_t)i * STACK_ACK, STACK_ACK);
		take_in(s, s->data, STACK_ACK, &nets[1]);
	}
	if (unanswered != before)
		die_msg("an ACK was answered");
}

void stack_input_batch(const uint8_t *packets, unsigned n)
{
	stack_input(packets, n);
}

uint64_t stack_memory(void)
{
	uint64_t n = 0;

	for (struct tcp_pcb *p = tcp_active_pcbs; p != NULL; p = p->next)
		n += sizeof(*p); /* an idle one has nothing else */
	return n;
}

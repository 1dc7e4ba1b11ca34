/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826): asks and answers. Only who is asked for, or has been asked, is remembered. */
#include "../wire/arp.h"
#include "internal.h"

static void send(struct bt_ip *ip, struct bt_iface *f, const struct bt_arp *a,
		 const struct bt_mac *to)
{
	struct bt_pkt *p = bt_pkt_get(ip, f->host, BT_ARP_BYTES);
	struct bt_ether e = {.dst = *to, .type = BT_ETHER_ARP};

	if (p == NULL) {
		bt_ip_drop(ip, f->host, BERTH_DROP_IP_QUEUE);
		return;
	}
	memcpy(e.src.b, f->mac, sizeof(e.src.b));
	p->len = BT_ARP_BYTES;
	bt_arp_write(bt_pkt_data(p), a);
	bt_ether_write(bt_pkt_push(p, BT_ETHER_HEADER), &e);
	bt_ip_enqueue(ip, f, p);
}

void bt_arp_ask(struct bt_ip *ip, struct bt_iface *f, struct bt_neigh *n, const uint8_t *to)
{
	struct bt_arp a = {.op = BT_ARP_REQUEST, .target = n->addr};
	struct bt_mac dst = bt_mac_broadcast();
	const struct bt_ifaddr *own = bt_addr_of_if(f, &n->asker);

	if (own == NULL)
		own = bt_addr_for(f, &n->addr);
	a.sender = own != NULL ? own->addr : bt_addr_v4(0);
	memcpy(a.sender_mac.b, f->mac, sizeof(a.sender_mac.b));
	if (to != NULL)
		memcpy(dst.b, to, sizeof(dst.b));
	send(ip, f, &a, &dst);
}

static void answer(struct bt_ip *ip, struct bt_iface *f, const struct bt_arp *to)
{
	struct bt_arp a = {.op = BT_ARP_REPLY,
			   .target_mac = to->sender_mac,
			   .sender = to->target,
			   .target = to->sender};

	memcpy(a.sender_mac.b, f->mac, sizeof(a.sender_mac.b));
	send(ip, f, &a, &to->sender_mac);
}

void bt_arp_input(struct bt_ip *ip, struct bt_iface *f, const uint8_t *data, size_t len,
		  uint64_t now_ns)
{
	struct bt_arp a;
	struct bt_neigh *n;
	bool for_us;
	berth_if i;

	if (!bt_arp_read(data, len, &a) || bt_addr_kind(ip, f->host, &a.sender, &i) !=
						   BT_ADDR_NONE) { /* RFC 5227 2.4: a conflict */
		bt_ip_drop(ip, f->host, BERTH_DROP_ARP_MALFORMED);
		return;
	}
	for_us = bt_addr_of_if(f, &a.target) != NULL;
	n = bt_addr_is_any(&a.sender) ? NULL : bt_neigh_find(ip, f->i, &a.sender);
	/* RFC 826, packet reception: who is known is brought up to date, who asks for us gets known
	 */
	if (n != NULL && a.op == BT_ARP_REPLY && for_us &&
	    (n->state == BT_NEIGH_INCOMPLETE || n->state == BT_NEIGH_PROBE))
		bt_neigh_heard(ip, n, a.sender_mac.b, BT_NEIGH_REACHABLE, now_ns);
	else if (n != NULL && (!bt_neigh_known(n) || memcmp(n->header, a.sender_mac.b, 6) != 0))
		bt_neigh_heard(ip, n, a.sender_mac.b, BT_NEIGH_STALE, now_ns);
	if (!for_us || a.op != BT_ARP_REQUEST)
		return;
	if (n == NULL && !bt_addr_is_any(&a.sender)) {
		n = bt_neigh_get(ip, f, &a.sender, now_ns);
		if (n != NULL)
			bt_neigh_heard(ip, n, a.sender_mac.b, BT_NEIGH_STALE, now_ns);
	}
	answer(ip, f, &a);
}

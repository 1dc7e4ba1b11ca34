/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

#include "../lib/base/bytes.h"
#include "../lib/wire/icmp.h"
#include "../lib/wire/ipv4.h"
#include "../lib/wire/ipv6.h"
#include "../lib/wire/tcp.h"
#include "../lib/wire/udp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

struct text {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(t->at, t->left, format, ap);
	va_end(ap);
	size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
	t->at += used;
	t->left -= used;
}

struct ends {
	struct bt_addr src, dst;
	const uint8_t *data;
	size_t len;
	uint8_t proto;
	bool v4, part; /* a fragment that is not the first */
};

static void add_addr(struct text *t, const struct bt_addr *a, int port)
{
	char name[INET6_ADDRSTRLEN];
	bool v4 = bt_addr_is_v4(a);
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->b + 12 : a->b, name, sizeof(name));
	add(t, port < 0 ? "%s" : v4 ? "%s:%d" : "[%s]:%d", name, port);
}

static void add_ends(struct text *t, const struct ends *e, int sport, int dport)
{
	add_addr(t, &e->src, sport);
	add(t, " > ");
	add_addr(t, &e->dst, dport);
	add(t, ": ");
}

static void tcp(struct text *t, const struct ends *e)
{
	static const char letters[] = "FSRPAUEW";
	struct bt_tcp_seg s;
	if (bt_tcp_read(e->data, e->len, &s) != BT_TCP_OK) {
		add_ends(t, e, -1, -1);
		add(t, "TCP, malformed");
		return;
	}
	add_ends(t, e, s.sport, s.dport);
	add(t, "TCP ");
	for (unsigned i = 0; i < 8; i++)
		if (s.flags & 1u << i)
			add(t, "%c", letters[i]);
	add(t, " seq %u", s.seq.n);
	if (s.flags & BT_ACK)
		add(t, " ack %u", s.ack.n);
	add(t, " win %u", s.window);
	if (s.has & BT_TCP_MSS)
		add(t, " mss %u", s.mss);
	if (s.has & BT_TCP_WSCALE)
		add(t, " wscale %u", s.wscale);
	if (s.has & BT_TCP_SACK_OK)
		add(t, " sackOK");
	for (unsigned i = 0; s.has & BT_TCP_SACK && i < s.n_sack; i++)
		add(t, " sack %u-%u", s.sack[i].start.n, s.sack[i].end.n);
	if (s.has & BT_TCP_TS)
		add(t, " ts %u/%u", s.ts_val, s.ts_ecr);
	add(t, " len %zu", e->len - s.header_len);
}

static void payload(struct text *t, const struct ends *e)
{
	struct bt_udp_head u;
	struct bt_icmp m;
	enum bt_family family = e->v4 ? BT_V4 : BT_V6;
	if (e->part) {
		add_ends(t, e, -1, -1);
		add(t, "fragment, len %zu", e->len);
	} else if (e->proto == IPPROTO_TCP) {
		tcp(t, e);
	} else if (e->proto == IPPROTO_UDP &&
		   bt_udp_read(e->data, e->len, family, &u) != BT_UDP_LENGTH) {
		add_ends(t, e, u.sport, u.dport);
		add(t, "UDP len %zu", e->len - BT_UDP_HEADER);
	} else if (e->proto == (e->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) &&
		   bt_icmp_read(e->data, e->len, family, &m)) {
		add_ends(t, e, -1, -1);
		add(t, "%s type %u code %u len %zu", e->v4 ? "ICMP" : "ICMPv6", m.type, m.code,
		    e->len);
	} else {
		add_ends(t, e, -1, -1);
		add(t, "protocol %u len %zu", e->proto, e->len);
	}
}

void bt_packet_text(const uint8_t *packet, size_t len, char text[BT_PACKET_TEXT])
{
	struct text t = {text, BT_PACKET_TEXT};
	struct bt_ipv4 v4;
	struct bt_ipv6 v6;
	struct bt_ipv6_ext ext;
	struct ends e = {.v4 = true};
	if (bt_ipv4_read(packet, len, &v4) == BT_IP_OK) {
		e = (struct ends){v4.src,
				  v4.dst,
				  packet + v4.header_len,
				  (size_t)v4.total_len - v4.header_len,
				  v4.proto,
				  true,
				  v4.offset != 0};
		payload(&t, &e);
	} else if (bt_ipv6_read(packet, len, &v6) == BT_IP_OK &&
		   bt_ipv6_walk(packet, 40u + v6.payload_len, 40, v6.next, 6, &ext) == BT_IP_OK) {
		e = (struct ends){v6.src,
				  v6.dst,
				  packet + ext.at,
				  40u + v6.payload_len - ext.at,
				  ext.proto,
				  false,
				  ext.fragment && ext.offset != 0};
		payload(&t, &e);
	} else {
		add(&t, "damaged IP header, len %zu", len);
	}
}

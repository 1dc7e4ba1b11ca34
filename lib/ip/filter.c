/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's packet filter: what its transports and ICMP send is asked about before it is routed to a
 * wire, what comes by a wire when it is whole and before anybody looks at it. What a host sends to
 * itself is not filtered, nor are ARP, neighbour discovery and the reports of IGMP and MLD, without
 * which nothing goes (RFC 4890 4.4.1).
 */
#include "../filter/flows.h"
#include "../wire/tcp.h"
#include "internal.h"

#define TCP_FLAGS 13u /* where they are in the header */

int bt_ip_filter(struct bt_ip *ip, uint16_t host, struct bt_filter *f)
{
	struct bt_host *h = bt_host(ip, host);

	if (h == NULL)
		return BERTH_EINVAL;
	if (f != NULL && ip->flows == NULL)
		ip->flows = bt_flows_new(ip->key);
	h->filter = f;
	bt_ip_changed(ip); /* what was found out about the last segment was without it */
	return f != NULL && ip->flows == NULL ? BERTH_ENOMEM : 0;
}

bool bt_ip_has_filter(const struct bt_ip *ip, uint16_t host)
{
	return bt_has_filter(ip, host);
}

void bt_ip_filter_asks(struct bt_ip *ip, bt_ip_known *known, void *arg)
{
	ip->known = known;
	ip->known_arg = arg;
}

/* ---- what a packet is ---- */

/* RFC 4890 4.4.1: MLD, neighbour discovery */
static bool is_exempt(const struct bt_ip_part *t)
{
	if (t->proto == BT_IPPROTO_IGMP)
		return true;
	return t->proto == BT_IPPROTO_ICMPV6 && t->len > 0 &&
	       ((t->data[0] >= 130 && t->data[0] <= 137) || t->data[0] == 143);
}

static struct bt_flow_ends flow_of(uint16_t host, const struct bt_filter_packet *p, uint16_t id)
{
	struct bt_flow_ends e;
	bool out = p->dir == BT_FILTER_OUT;

	memset(&e, 0, sizeof(e)); /* compared as memory */
	e.local = out ? p->src : p->dst;
	e.remote = out ? p->dst : p->src;
	e.lport = out ? p->sport : p->dport;
	e.rport = out ? p->dport : p->sport;
	e.host = host;
	e.proto = p->proto;
	if (p->proto != BT_IPPROTO_UDP)
		e.lport = e.rport = id;
	return e;
}

/* RFC 9293 3.10.7: a first SYN asks for a connection; else it is of one that is known, or of none.
 * As nf_conntrack_tcp_loose: data and ACKs of an unknown one may begin one. */
static uint8_t tcp_state(struct bt_ip *ip, uint16_t host, uint8_t dev,
			 const struct bt_filter_packet *p, uint8_t flags)
{
	if ((flags & (BT_SYN | BT_ACK | BT_RST)) == BT_SYN)
		return BT_FILTER_NEW;
	/* what TCP sends is of a connection, or answers what was let in */
	if (p->dir == BT_FILTER_OUT || ip->known == NULL)
		return BT_FILTER_ESTABLISHED;
	if (ip->known(ip->known_arg, host, dev, p))
		return BT_FILTER_ESTABLISHED;
	return flags & (BT_SYN | BT_RST) ? BT_FILTER_INVALID : BT_FILTER_NEW;
}

static bool is_echo(const struct bt_ip_part *t)
{
	if (t->len < BT_ICMP_HEADER)
		return false;
	if (t->proto == BT_IPPROTO_ICMP)
		return t->data[0] == 8 || t->data[0] == 0;
	return t->proto == BT_IPPROTO_ICMPV6 && (t->data[0] == 128 || t->data[0] == 129);
}

/* False: it is of no flow; *state is all that there is. */
static bool look(struct bt_ip *ip, const struct bt_ip_part *t, struct bt_filter_packet *p,
		 struct bt_flow_ends *ends)
{
	bool ports = t->proto == BT_IPPROTO_TCP || t->proto == BT_IPPROTO_UDP;
	uint16_t id = 0;

	*p = (struct bt_filter_packet){.dir = t->dir,
				       .proto = t->proto,
				       .states = BT_FILTER_INVALID,
				       .src = *t->src,
				       .dst = *t->dst};
	if (ports && t->len >= 4) {
		p->sport = bt_get16(t->data);
		p->dport = bt_get16(t->data + 2);
	}
	if (t->proto == BT_IPPROTO_TCP && t->len > TCP_FLAGS)
		p->states = tcp_state(ip, t->host, t->dev, p, t->data[TCP_FLAGS]);
	if (t->proto == BT_IPPROTO_ICMP || t->proto == BT_IPPROTO_ICMPV6) {
		enum bt_family family = t->proto == BT_IPPROTO_ICMP ? BT_V4 : BT_V6;

		/* Of an error only a socket that sent what it quotes hears anything. */
		if (t->len > 0 && bt_icmp_is_error(family, t->data[0]))
			p->states = BT_FILTER_RELATED;
		if (!is_echo(t))
			return false;
		id = bt_get16(t->data + 4);
	} else if (t->proto != BT_IPPROTO_UDP || t->len < 4) {
		return false;
	}
	*ends = flow_of(t->host, p, id);
	p->states = bt_flows_state(ip->flows, ends, (enum bt_filter_dir)t->dir, ip->now_ns);
	/* An answer that nobody has asked for. */
	if (is_echo(t) && (t->data[0] == 0 || t->data[0] == 129) && p->states == BT_FILTER_NEW)
		p->states = BT_FILTER_INVALID;
	return true;
}

enum bt_filter_action bt_ip_judge(struct bt_ip *ip, const struct bt_ip_part *t, bool ask)
{
	struct bt_filter *f = ip->hosts[t->host]->filter;
	struct bt_filter_packet p;
	struct bt_flow_ends ends;
	enum bt_filter_action action;
	bool flows;
	uint32_t rule;

	if (f == NULL || is_exempt(t))
		return BT_FILTER_ACCEPT;
	flows = look(ip, t, &p, &ends);
	rule = bt_filter_match(f, &p);
	action = bt_filter_action(f, (enum bt_filter_dir)t->dir, rule);
	if (ask)
		return action;
	bt_filter_counts(f, (enum bt_filter_dir)t->dir, rule)->pkts++;
	bt_filter_counts(f, (enum bt_filter_dir)t->dir, rule)->bytes += t->ip_len;
	if (action != BT_FILTER_ACCEPT)
		bt_ip_drop(ip, t->host,
			   t->dir == BT_FILTER_IN ? BERTH_DROP_FILTERED_IN
						  : BERTH_DROP_FILTERED_OUT);
	else if (flows && ip->flows != NULL && p.states != BT_FILTER_INVALID)
		bt_flows_seen(ip->flows, &ends, (enum bt_filter_dir)t->dir, ip->now_ns);
	return action;
}

uint8_t bt_ip_flow_state(const struct bt_ip *ip, uint16_t host, const struct bt_filter_packet *p)
{
	struct bt_flow_ends ends = flow_of(host, p, 0);

	return bt_flows_state(ip->flows, &ends, (enum bt_filter_dir)p->dir, ip->now_ns);
}

/* ---- what is said of one that was rejected ---- */

/* As if its destination said so (RFC 9293 3.10.7.1). */
static void reset(struct bt_ip *ip, uint16_t host, const uint8_t *tcp, uint32_t len,
		  const struct bt_addr *src, const struct bt_addr *dst, uint64_t now_ns)
{
	struct bt_send s = {.host = host, .proto = BT_IPPROTO_TCP, .src = *dst, .dst = *src};
	struct bt_tcp_seg got, say;
	struct bt_pkt *p;
	uint32_t taken;

	if (bt_tcp_read(tcp, len, &got) != BT_TCP_OK || (got.flags & BT_RST) != 0)
		return;
	p = bt_pkt_get(ip, host, BT_TCP_HEADER_MAX);
	if (p == NULL) {
		bt_ip_drop(ip, host, BERTH_DROP_IP_QUEUE);
		return;
	}
	memset(&say, 0, sizeof(say));
	say.sport = got.dport;
	say.dport = got.sport;
	say.flags = BT_RST;
	if (got.flags & BT_ACK) {
		say.seq = got.ack;
	} else {
		taken = len - got.header_len + ((got.flags & BT_SYN) != 0) +
			((got.flags & BT_FIN) != 0);
		say.flags |= BT_ACK;
		say.ack = bt_seq_add(got.seq, taken);
	}
	p->len = bt_tcp_write(bt_pkt_data(p), &say);
	bt_csum_put(bt_pkt_data(p) + 16,
		    bt_csum_add(bt_csum_pseudo(&s.src, &s.dst, s.proto, p->len), bt_pkt_data(p),
				p->len));
	bt_ip_send(ip, p, &s, now_ns);
}

void bt_ip_rejected(struct bt_ip *ip, struct bt_iface *f, const struct bt_rejected *r,
		    enum bt_filter_action action, uint64_t now_ns)
{
	const struct bt_icmp m = {.kind = BT_ICMP_UNREACHABLE,
				  .code = bt_addr_is_v4(&r->dst) ? BT_ICMP4_PORT : BT_ICMP6_PORT};

	if (action == BT_FILTER_RESET && r->proto == BT_IPPROTO_TCP)
		reset(ip, f->host, r->ip + r->at, r->ip_len - r->at, &r->src, &r->dst, now_ns);
	else if (action == BT_FILTER_REJECT || action == BT_FILTER_RESET)
		bt_icmp_about(ip, f, r->ip, r->ip_len, r->link_group, &m, now_ns);
}

bool bt_in_filtered(struct bt_in *in)
{
	const struct bt_rx *rx = in->rx;
	const struct bt_ip_part t = {.host = rx->host,
				     .dir = BT_FILTER_IN,
				     .proto = rx->proto,
				     .dev = rx->dev,
				     .src = &rx->src,
				     .dst = &rx->dst,
				     .data = rx->data,
				     .len = rx->len,
				     .ip_len = rx->ip_len};
	enum bt_filter_action action = bt_ip_judge(in->ip, &t, false);
	const struct bt_rejected r = {.ip = rx->ip,
				      .ip_len = rx->ip_len,
				      .at = (uint32_t)(rx->data - rx->ip),
				      .proto = rx->proto,
				      .link_group = in->link_group || rx->multicast,
				      .src = rx->src,
				      .dst = rx->dst};

	if (action == BT_FILTER_ACCEPT)
		return false;
	bt_ip_rejected(in->ip, in->f, &r, action, in->now_ns);
	return true;
}

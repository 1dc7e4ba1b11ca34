/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include "addr.h"
#include "join.h"
#include "openmetrics.h"
#include "reason.h"
#include "rows.h"

#include "../include/berth/berth.h"

#include <string.h>

static void put(struct bt_om *o, double value)
{
	bt_om_sample(o, NULL, 0, value);
}

static void put_host(struct bt_om *o, const char *host, double value)
{
	const struct bt_om_label label = {"host", host};
	bt_om_sample(o, &label, 1, value);
}

/* ---- the network ---- */

static void put_network(struct bt_om *o, const struct bt_metrics *m)
{
	static const struct {
		const char *name, *help;
		enum bt_counter counter;
	} list[] = {
		{"berth_connections", "Connections made from program to program, not in packets.",
		 BT_CNT_CONNECTS},
		{"berth_connections_refused",
		 "Connections, other than in packets, refused for want of a listener.",
		 BT_CNT_REFUSED},
		{"berth_datagrams_relayed", "Datagrams that went through berthd.",
		 BT_CNT_UDP_RELAYED},
		{"berth_datagrams_dropped", "Datagrams dropped for want of room at the receiver.",
		 BT_CNT_UDP_DROPPED},
		{"berth_datagrams_without_port", "Datagrams to a port that nobody had.",
		 BT_CNT_UDP_NOPORT},
		{"berth_malformed_messages", "Messages to berthd that it refused as malformed.",
		 BT_CNT_MALFORMED},
		{"berth_strangers", "Connections to berthd of other users, without a token.",
		 BT_CNT_STRANGER},
		{"berth_forged_peers", "Peers that an accept turned away.", BT_CNT_FORGED},
		{"berth_sweeps", "Times that berthd compared its table with the kernel.",
		 BT_CNT_SWEEPS},
	};
	const struct bt_om_label info[] = {{"network", m->network}, {"version", BERTH_VERSION}};
	bt_om_family(o, "berth", BT_OM_INFO, NULL, "The network that was looked at.");
	bt_om_sample(o, info, 2, 1);
	bt_om_family(o, "berth_start_time_seconds", BT_OM_GAUGE, "seconds",
		     "When the network was started, since 1970.");
	put(o, (double)m->started_s);
	bt_om_family(o, "berth_hosts", BT_OM_GAUGE, NULL, "Hosts of the network.");
	put(o, m->n_hosts);
	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		bt_om_family(o, list[i].name, BT_OM_COUNTER, NULL, list[i].help);
		put(o, (double)m->counters[list[i].counter]);
	}
}

/* ---- hosts ---- */

static void put_sockets(struct bt_om *o, const struct bt_metrics *m)
{
	bt_om_family(o, "berth_sockets", BT_OM_GAUGE, NULL,
		     "Sockets by protocol and state, as berth ss shows them.");
	for (unsigned i = 0; i < m->n_hosts; i++) {
		const struct bt_health *h = &m->hosts[i];
		for (uint8_t s = BT_ROW_ESTABLISHED; s <= BT_ROW_CLOSING; s++) {
			const struct bt_om_label labels[] = {
				{"host", h->host},
				{"proto", "tcp"},
				{"state", bt_state_word(BT_PROTO_TCP, s)}};
			bt_om_sample(o, labels, 3, (double)h->now.states[s]);
		}
		for (unsigned k = 0; k < 2; k++) {
			uint8_t s = k ? BT_ROW_CLOSE : BT_ROW_ESTABLISHED;
			const struct bt_om_label labels[] = {
				{"host", h->host},
				{"proto", "udp"},
				{"state", bt_state_word(BT_PROTO_UDP, s)}};
			bt_om_sample(o, labels, 3, (double)h->now.udp_states[s]);
		}
	}
}

/* The most ports that one source and destination have. */
static uint32_t fullest(const struct bt_count *c, uint8_t proto)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < c->places; i++) {
		if (c->flows[i].proto == proto && c->flows[i].n > most)
			most = c->flows[i].n;
	}
	return most;
}

static void put_ports(struct bt_om *o, const struct bt_metrics *m)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} protos[] = {{"tcp", BT_PROTO_TCP}, {"udp", BT_PROTO_UDP}};
	bt_om_family(o, "berth_ephemeral_ports", BT_OM_GAUGE, NULL,
		     "Ports of net.ipv4.ip_local_port_range less the reserved ones.");
	for (unsigned i = 0; i < m->n_hosts; i++)
		put_host(o, m->hosts[i].host, bt_count_capacity(&m->hosts[i].now));
	bt_om_family(o, "berth_ephemeral_ports_in_use", BT_OM_GAUGE, NULL,
		     "Ephemeral ports that a socket has, listening or in TIME_WAIT or otherwise.");
	for (unsigned i = 0; i < m->n_hosts; i++) {
		for (unsigned udp = 0; udp < 2; udp++) {
			const struct bt_om_label labels[] = {{"host", m->hosts[i].host},
							     {"proto", protos[udp].name}};
			bt_om_sample(o, labels, 2, bt_count_taken(&m->hosts[i].now, udp));
		}
	}
	bt_om_family(o, "berth_ephemeral_ports_fullest", BT_OM_GAUGE, NULL,
		     "Ephemeral ports in use from one address to one address and port, of the "
		     "pair that has most: connect fails when these are all.");
	for (unsigned i = 0; i < m->n_hosts; i++)
		put_host(o, m->hosts[i].host, fullest(&m->hosts[i].now, BT_PROTO_TCP));
	bt_om_family(o, "berth_time_wait_seconds", BT_OM_GAUGE, "seconds",
		     "How long TIME_WAIT lasts.");
	for (unsigned i = 0; i < m->n_hosts; i++)
		put_host(o, m->hosts[i].host, m->hosts[i].now.time_wait_ms / 1e3);
}

static void put_listeners(struct bt_om *o, const struct bt_metrics *m, const char *name,
			  enum bt_om_type type, size_t field, const char *help)
{
	bt_om_family(o, name, type, NULL, help);
	for (size_t i = 0; i < m->n_listeners; i++) {
		const struct bt_metrics_listener *l = &m->listeners[i];
		char addr[BT_ADDR_TEXT], port[8];
		uint64_t value;
		bt_addr_text(l->laddr, addr);
		snprintf(port, sizeof(port), "%u", l->lport);
		memcpy(&value, (const char *)l + field, sizeof(value));
		const struct bt_om_label labels[] = {{"host", m->hosts[l->host].host},
						     {"address", addr},
						     {"port", port},
						     {"program", l->program}};
		bt_om_sample(o, labels, 4, (double)value);
	}
}

/* ---- what went wrong ---- */

static const char *host_name(const struct bt_metrics *m, uint16_t index)
{
	for (unsigned i = 0; i < m->n_hosts; i++) {
		if (m->hosts[i].index == index)
			return m->hosts[i].host;
	}
	return NULL; /* made after the hosts were read */
}

struct refused {
	const char *host, *call, *proto, *reason, *err;
};

static struct refused refused_words(const char *host, const struct bt_tally *t)
{
	const char *err = t->err ? strerrorname_np(t->err) : NULL;
	return (struct refused){host, t->call ? bt_call_name(t->call) : "other",
				t->proto == BT_PROTO_UDP   ? "udp"
				: t->proto == BT_PROTO_TCP ? "tcp"
							   : "other",
				bt_reason_word(t->what, t->err), err ? err : ""};
}

static bool same(const struct refused *a, const struct refused *b)
{
	return strcmp(a->call, b->call) == 0 && strcmp(a->proto, b->proto) == 0 &&
	       strcmp(a->reason, b->reason) == 0 && strcmp(a->err, b->err) == 0;
}

/* How often in all, of tally i and those of its host after it that have the same words: kinds of
 * berthd's may be one to people. 0: an earlier one has said it. */
static uint64_t refused_count(const struct bt_metrics *m, size_t i, const struct refused *words)
{
	const struct bt_tally *t = m->tallies;
	uint64_t count = t[i].count;
	for (size_t k = i; k-- > 0 && t[k].host == t[i].host;) {
		struct refused other = refused_words(words->host, &t[k]);
		if (t[k].kind == BT_TALLY_REFUSED && same(words, &other))
			return 0;
	}
	for (size_t k = i + 1; k < m->n_tallies && t[k].host == t[i].host; k++) {
		struct refused other = refused_words(words->host, &t[k]);
		if (t[k].kind == BT_TALLY_REFUSED && same(words, &other))
			count += t[k].count;
	}
	return count;
}

static void put_refused(struct bt_om *o, const struct bt_metrics *m)
{
	bt_om_family(o, "berth_calls_refused", BT_OM_COUNTER, NULL,
		     "Calls of programs that failed, by the rule that berth why explains.");
	for (size_t i = 0; i < m->n_tallies; i++) {
		const char *host = host_name(m, m->tallies[i].host);
		if (m->tallies[i].kind != BT_TALLY_REFUSED || !host)
			continue;
		const struct refused w = refused_words(host, &m->tallies[i]);
		uint64_t count = refused_count(m, i, &w);
		const struct bt_om_label labels[] = {{"host", w.host},
						     {"call", w.call},
						     {"proto", w.proto},
						     {"reason", w.reason},
						     {"errno", w.err}};
		if (count > 0)
			bt_om_sample(o, labels, 5, (double)count);
	}
}

static void put_drops(struct bt_om *o, const struct bt_metrics *m)
{
	bt_om_family(
		o, "berth_packets_dropped", BT_OM_COUNTER, NULL,
		"Packets that a host's engine did not act on, by the reasons of doc/drops.md.");
	for (size_t i = 0; i < m->n_tallies; i++) {
		const struct bt_tally *t = &m->tallies[i];
		const char *host = host_name(m, t->host);
		const char *reason = t->kind == BT_TALLY_DROPPED
					     ? berth_drop_name((enum berth_drop)t->what)
					     : NULL;
		if (!host || !reason)
			continue;
		const struct bt_om_label labels[] = {{"host", host}, {"reason", reason}};
		bt_om_sample(o, labels, 2, (double)t->count);
	}
}

/* ---- links ---- */

static void put_links(struct bt_om *o, const struct bt_metrics *m)
{
	static const struct {
		const char *name, *unit, *help;
		enum bt_link_count first, last;
	} list[] = {
		{"berth_link_packets", NULL, "Packets given to a link.", BT_LINK_PACKETS,
		 BT_LINK_PACKETS},
		{"berth_link_bytes", "bytes", "Bytes given to a link.", BT_LINK_BYTES,
		 BT_LINK_BYTES},
		{"berth_link_packets_dropped", NULL,
		 "Packets that a link lost, or for which its queue had no room.", BT_LINK_LOST,
		 BT_LINK_QUEUE},
		{"berth_link_packets_duplicated", NULL, "Packets that a link doubled.",
		 BT_LINK_DUPLICATED, BT_LINK_DUPLICATED},
		{"berth_link_packets_reordered", NULL, "Packets that overtook others on a link.",
		 BT_LINK_REORDERED, BT_LINK_REORDERED},
		{"berth_link_packets_corrupted", NULL, "Packets that a link damaged.",
		 BT_LINK_CORRUPTED, BT_LINK_CORRUPTED},
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
		bool reasons = list[k].first != list[k].last;
		bt_om_family(o, list[k].name, BT_OM_COUNTER, list[k].unit, list[k].help);
		for (size_t i = 0; i < m->links.n; i++) {
			const struct bt_link *l = &m->links.list[i];
			for (unsigned c = list[k].first; c <= list[k].last; c++) {
				const struct bt_om_label labels[] = {
					{"host", l->host},
					{"with", l->with},
					{"reason", c == BT_LINK_LOST ? "lost" : "queue"}};
				bt_om_sample(o, labels, reasons ? 3 : 2, (double)l->counts[c]);
			}
		}
	}
}

void bt_metrics_write(const struct bt_metrics *m, FILE *f)
{
	struct bt_om o = {.f = f};
	put_network(&o, m);
	put_sockets(&o, m);
	put_ports(&o, m);
	put_listeners(&o, m, "berth_listener_queue", BT_OM_GAUGE,
		      offsetof(struct bt_metrics_listener, queue),
		      "Connections that wait for accept, of the listeners of an address and port.");
	put_listeners(&o, m, "berth_listener_backlog", BT_OM_GAUGE,
		      offsetof(struct bt_metrics_listener, backlog),
		      "Connections that may wait for accept.");
	put_listeners(&o, m, "berth_listener_refused", BT_OM_COUNTER,
		      offsetof(struct bt_metrics_listener, refused),
		      "Connections refused since the queue was full.");
	put_refused(&o, m);
	put_drops(&o, m);
	put_links(&o, m);
	bt_om_end(&o);
}

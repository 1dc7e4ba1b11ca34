/* SPDX-License-Identifier: Apache-2.0 */
/* berth ss: the table's rows, chosen and written as ss(8) does. */
#include "addr.h"
#include "cli.h"
#include "holders.h"
#include "out.h"
#include "rows.h"
#include "services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bits of the states to show. A TCP socket that is only bound is a state of its own to ss. */
enum { BOUND_INACTIVE = 12, ALL_STATES = (1 << 13) - 1 };
enum {
	LISTENING = 1 << BT_ROW_LISTEN | 1 << BT_ROW_CLOSE,
	CONNECTED = ALL_STATES & ~(LISTENING | 1 << BT_ROW_TIME_WAIT | 1 << BT_ROW_SYN_RECV |
				   1 << BOUND_INACTIVE),
};

/* Of struct bt_row's opts: BT_V6ONLY of lib/port/port.h. */
enum { ROW_V6ONLY = 1 << 2 };

struct wish {
	unsigned states;
	bool tcp, udp, v4, v6;
	bool numeric, processes, extended, timers, header, json;
	const char *host;
	uint32_t host_index; /* with host */
};

/* ---- what to show ---- */

static void read_wish(const struct bt_args *args, struct wish *w)
{
	*w = (struct wish){.states = CONNECTED, .header = true};
	for (unsigned i = 0; i < args->n_given; i++) {
		int id = args->given[i].id;
		/* As with ss, the last word about states counts. */
		if (id == 'a')
			w->states = ALL_STATES;
		else if (id == 'l')
			w->states = LISTENING;
		else if (id == 'B')
			w->states = 1 << BOUND_INACTIVE;
	}
	w->tcp = bt_args_has(args, 't');
	w->udp = bt_args_has(args, 'u');
	if (!w->tcp && !w->udp)
		w->tcp = w->udp = true;
	w->v4 = bt_args_has(args, '4');
	w->v6 = bt_args_has(args, '6');
	if (!w->v4 && !w->v6)
		w->v4 = w->v6 = true;
	w->numeric = bt_args_has(args, 'n');
	w->processes = bt_args_has(args, 'p');
	w->extended = bt_args_has(args, 'e');
	w->timers = w->extended || bt_args_has(args, 'o');
	w->header = !bt_args_has(args, 'H');
	w->json = bt_args_has(args, BT_OPT_JSON);
	w->host = bt_args_value(args, BT_OPT_HOST);
}

static bool wanted(const void *wish, const struct bt_row *r)
{
	const struct wish *w = wish;
	bool tcp = r->proto == BT_PROTO_TCP;
	unsigned state = tcp && r->state == BT_ROW_CLOSE ? BOUND_INACTIVE : r->state;
	if (!bt_row_listed(r) || !(w->states & 1u << state))
		return false;
	if (!(tcp ? w->tcp : w->udp) || !(r->family == 6 ? w->v6 : w->v4))
		return false;
	return !w->host || r->host == w->host_index;
}

/* Of the table's rows that are wished for: a socket that is only bound is in BT_ROW_CLOSE there. */
static uint32_t row_states(const struct wish *w)
{
	bool bound = w->states & 1u << BOUND_INACTIVE;
	return (w->states & ~(1u << BOUND_INACTIVE)) | (bound ? 1u << BT_ROW_CLOSE : 0);
}

/* ---- words ---- */

static const char *state_name(uint8_t state)
{
	static const char *const names[] = {
		[BT_ROW_FREE] = "UNKNOWN",	    [BT_ROW_ESTABLISHED] = "ESTAB",
		[BT_ROW_SYN_SENT] = "SYN-SENT",	    [BT_ROW_SYN_RECV] = "SYN-RECV",
		[BT_ROW_FIN_WAIT1] = "FIN-WAIT-1",  [BT_ROW_FIN_WAIT2] = "FIN-WAIT-2",
		[BT_ROW_TIME_WAIT] = "TIME-WAIT",   [BT_ROW_CLOSE] = "UNCONN",
		[BT_ROW_CLOSE_WAIT] = "CLOSE-WAIT", [BT_ROW_LAST_ACK] = "LAST-ACK",
		[BT_ROW_LISTEN] = "LISTEN",	    [BT_ROW_CLOSING] = "CLOSING",
	};
	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "UNKNOWN";
}

static enum bt_style state_style(uint8_t state)
{
	if (state == BT_ROW_LISTEN)
		return BT_GREEN;
	return state == BT_ROW_CLOSE_WAIT || state == BT_ROW_TIME_WAIT ? BT_YELLOW : BT_PLAIN;
}

static const char *port_word(bool numeric, uint8_t proto, uint16_t port)
{
	if (port == 0)
		return "*";
	return numeric ? NULL : bt_service_word(proto == BT_PROTO_UDP, port);
}

/* ---- one line ---- */

enum { COL_NETID, COL_STATE, COL_HOST = 8, COL_PROCESS, COL_COUNT = 14 };

static const struct bt_col columns[COL_COUNT] = {
	{.head = "Netid", .key = "netid"},
	{.head = "State", .key = "state", .before = ' '},
	{.head = "Recv-Q", .key = "recv_q", .before = ' '},
	{.head = "Send-Q", .key = "send_q", .before = ' '},
	{.head = "Local Address", .key = "local_address", .right = true, .before = ' '},
	{.head = "Port", .key = "local_port", .before = ':'},
	{.head = "Peer Address", .key = "peer_address", .right = true, .before = ' '},
	{.head = "Port", .key = "peer_port", .before = ':'},
	{.head = "Host", .key = "host", .before = ' '},
	{.head = "Process", .key = "processes", .before = ' '},
	{.key = "uid"},
	{.key = "inode"},
	{.key = "slot"},
	{.key = "timer_s"},
};

/* The address of an IPv6 socket without one: "*" takes IPv4 too, "[::]" does not. Linux makes a
 * socket IPv6-only that is bound to an address of IPv6. */
static const char *no_address(const struct bt_row *r)
{
	bool only = r->opts & ROW_V6ONLY;
	return only || !(bt_addr_is_any(r->laddr) || bt_is_v4(r->laddr)) ? "[::]" : "*";
}

static void put_end(struct bt_out *o, bool numeric, const struct bt_row *r, const uint8_t addr[16],
		    uint16_t port)
{
	char text[BT_ADDR_TEXT + 2];
	if (r->family != 6 && bt_addr_is_any(addr)) {
		strcpy(text, "0.0.0.0");
	} else if (r->family != 6) {
		bt_addr_text(addr, text);
	} else if (bt_addr_is_any(addr) && (addr == r->raddr || !bt_is_v4(addr))) {
		strcpy(text, no_address(r));
	} else {
		bool v4 = bt_is_v4(addr);
		strcpy(text, v4 ? "[::ffff:" : "[");
		bt_addr_text(addr, text + strlen(text));
		strcat(text, "]");
	}
	bt_out_str(o, text);
	bt_out_named(o, port, port_word(numeric, r->proto, port));
}

/* Without the kernel's word (kernel_tells false) the maker is the best guess. */
static void put_users(struct bt_out *o, const struct bt_sock *s, const struct bt_holders *h,
		      bool kernel_tells)
{
	char name[BT_COMM];
	bt_out_list(o);
	for (const struct bt_holder *p = bt_holders_of(h, s->ino); p; p = bt_holders_next(h, p))
		bt_out_user(o, h->programs[p->program].name, h->programs[p->program].pid, p->fd);
	if (!kernel_tells && !(s->row.flags & BT_ROWF_ORPHAN) && s->row.state != BT_ROW_TIME_WAIT &&
	    bt_program_name(s->row.pid, name))
		bt_out_user(o, name, s->row.pid, -1);
	bt_out_list_end(o, true);
}

struct view {
	const struct wish *wish;
	const struct bt_holders *holders;
	bool kernel_tells;
	uint32_t now_s;
	uint32_t host; /* whose name `host_name` is */
	char host_name[BT_HOST_NAME];
	const struct bt_table *table;
};

static void put_sock(struct bt_out *o, struct view *v, const struct bt_sock *s)
{
	const struct bt_row *r = &s->row;
	const struct wish *w = v->wish;
	bool waits = r->state == BT_ROW_TIME_WAIT;
	uint32_t left = waits && r->timer_s > v->now_s ? r->timer_s - v->now_s : 0;
	if (r->host != v->host) {
		v->host = r->host;
		bt_host_name(v->table, r->host, v->host_name);
	}
	bt_out_record(o);
	bt_out_str(o, r->proto == BT_PROTO_TCP ? "tcp" : "udp");
	bt_out_styled(o, state_name(r->state), state_style(r->state));
	bt_out_num(o, s->recvq);
	/* What was sent is in the peer's queue at once; nothing waits here. */
	bt_out_num(o, r->state == BT_ROW_LISTEN ? r->backlog : 0);
	put_end(o, w->numeric, r, r->laddr, r->lport);
	put_end(o, w->numeric, r, r->raddr, r->rport);
	bt_out_str(o, v->host_name);
	put_users(o, s, v->holders, v->kernel_tells || !w->processes);
	bt_out_tagged(o, "uid:", r->uid, "", w->extended);
	bt_out_tagged(o, "ino:", s->ino, "", w->extended);
	bt_out_tagged(o, "slot:", s->slot, "", w->extended);
	bt_out_tagged(o, "timer:(timewait,", left, "sec,0)", w->timers && waits);
	bt_out_record_end(o);
}

/* ss's order: UDP, then listeners, then the rest of TCP. */
static unsigned rank(const struct bt_row *r)
{
	return r->proto == BT_PROTO_UDP ? 0 : r->state == BT_ROW_LISTEN ? 1 : 2;
}

static void print_socks(const struct wish *w, const struct bt_client *c, const char *network,
			const struct bt_socks *s, bool kernel_tells)
{
	struct bt_col cols[COL_COUNT];
	struct bt_holders holders = {0};
	struct timespec now;
	struct bt_out o;
	memcpy(cols, columns, sizeof(cols));
	cols[COL_NETID].off = w->tcp != w->udp;
	cols[COL_STATE].off = (w->states & (w->states - 1)) == 0;
	cols[COL_PROCESS].off = !w->processes && !w->timers;
	if (!w->processes)
		cols[COL_PROCESS].key = NULL;
	if (w->processes) {
		bt_holders_init(&holders, (uint32_t)s->n);
		for (size_t i = 0; i < s->n; i++)
			bt_holders_want(&holders, s->list[i].ino);
		bt_holders_walk(&holders);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct view v = {.wish = w,
			 .holders = &holders,
			 .kernel_tells = kernel_tells,
			 .table = c->table,
			 .now_s = (uint32_t)now.tv_sec,
			 .host = UINT32_MAX};
	bt_out_begin(&o, w->json, w->header, cols, COL_COUNT, network, "sockets");
	for (unsigned pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < s->n; i++) {
			if (rank(&s->list[i].row) == pass)
				put_sock(&o, &v, &s->list[i]);
		}
	}
	bt_out_end(&o);
	bt_holders_done(&holders);
}

/* ---- summary ---- */

static void print_summary(const struct wish *w, const char *network, const struct bt_socks *s)
{
	static const struct bt_col cols[] = {
		{.head = "Transport", .key = "transport"},
		{.head = "Total", .key = "total", .right = true, .before = ' '},
		{.head = "Estab", .key = "estab", .right = true, .before = ' '},
		{.head = "Listen", .key = "listen", .right = true, .before = ' '},
		{.head = "Time-Wait", .key = "time_wait", .right = true, .before = ' '},
		{.head = "Close-Wait", .key = "close_wait", .right = true, .before = ' '},
		{.head = "Unconn", .key = "unconn", .right = true, .before = ' '},
		{.head = "Orphaned", .key = "orphaned", .right = true, .before = ' '},
	};
	uint64_t n[2][BT_ROW_CLOSING + 1] = {{0}}, total[2] = {0}, orphaned[2] = {0};
	struct bt_out o;
	for (size_t i = 0; i < s->n; i++) {
		const struct bt_row *r = &s->list[i].row;
		unsigned udp = r->proto == BT_PROTO_UDP;
		total[udp]++;
		n[udp][r->state]++;
		orphaned[udp] += (r->flags & BT_ROWF_ORPHAN) != 0 && r->state != BT_ROW_TIME_WAIT;
	}
	bt_out_begin(&o, w->json, w->header, cols, sizeof(cols) / sizeof(cols[0]), network,
		     "summary");
	for (unsigned udp = 0; udp < 2; udp++) {
		if (!(udp ? w->udp : w->tcp))
			continue;
		bt_out_record(&o);
		bt_out_str(&o, udp ? "udp" : "tcp");
		bt_out_num(&o, total[udp]);
		bt_out_num(&o, n[udp][BT_ROW_ESTABLISHED]);
		bt_out_num(&o, n[udp][BT_ROW_LISTEN]);
		bt_out_num(&o, n[udp][BT_ROW_TIME_WAIT]);
		bt_out_num(&o, n[udp][BT_ROW_CLOSE_WAIT]);
		bt_out_num(&o, n[udp][BT_ROW_CLOSE]);
		bt_out_num(&o, orphaned[udp]);
		bt_out_record_end(&o);
	}
	bt_out_end(&o);
}

int bt_cmd_ss(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	struct bt_client c;
	struct bt_diags d;
	struct bt_socks s;
	struct wish w;
	int err;
	read_wish(args, &w);
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	bool summary = bt_args_has(args, 's');
	uint32_t states = summary ? 0 : bt_socks_states(row_states(&w));
	if (!bt_sync_dump(&c, network, states, &d, &err) ||
	    (w.host && !bt_find_host(c.table, w.host, network, &w.host_index))) {
		bt_diags_done(&d);
		bt_client_close(&c);
		return BT_EXIT_FAIL;
	}
	if (summary)
		w.states = ALL_STATES;
	bt_collect(c.table, &s, wanted, &w);
	if (summary) {
		print_summary(&w, network, &s);
	} else {
		if (!err)
			err = bt_socks_join_with(c.table, &d, &s);
		print_socks(&w, &c, network, &s, err == 0);
	}
	free(s.list);
	bt_diags_done(&d);
	bt_client_close(&c);
	return BT_EXIT_OK;
}

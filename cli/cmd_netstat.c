/* SPDX-License-Identifier: Apache-2.0 */
/* berth netstat: the table's rows in the form of Windows' netstat, each host a machine. */
#include "../view/join.h"
#include "addr.h"
#include "cli.h"
#include "holders.h"
#include "out.h"
#include "rows.h"
#include "services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { END_TEXT = BT_ADDR_TEXT + 64 };

struct view {
	bool all, numeric, owner, program, json;
	uint8_t proto, family; /* 0: any */
	uint32_t host;	       /* UINT32_MAX: every one */
	bool kernel_tells;
	struct bt_holders holders;
	struct bt_out out;
};

/* ---- what to show ---- */

static bool read_proto(const struct bt_args *args, struct view *v)
{
	static const struct {
		const char *name;
		uint8_t proto, family;
	} words[] = {
		{"tcp", BT_PROTO_TCP, 4},
		{"udp", BT_PROTO_UDP, 4},
		{"tcpv6", BT_PROTO_TCP, 6},
		{"udpv6", BT_PROTO_UDP, 6},
	};
	const char *word = bt_args_value(args, 'p');
	for (unsigned i = 0; word && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(word, words[i].name) != 0)
			continue;
		v->proto = words[i].proto;
		v->family = words[i].family;
		return true;
	}
	if (word)
		bt_say("netstat -p knows no protocol '%s'; give tcp, udp, tcpv6 or udpv6", word);
	return !word;
}

/* A TCP socket that is only bound is none of Windows' connections. */
static bool wanted(const void *view, const struct bt_row *r)
{
	const struct view *v = view;
	bool tcp = r->proto == BT_PROTO_TCP;
	if (!bt_row_listed(r) || (tcp && r->state == BT_ROW_CLOSE))
		return false;
	if (!v->all && (!tcp || r->state == BT_ROW_LISTEN))
		return false;
	if (v->proto && (r->proto != v->proto || (r->family == 6 ? 6 : 4) != v->family))
		return false;
	return v->host == UINT32_MAX || r->host == v->host;
}

static int compare_ends(const uint8_t a[16], uint16_t a_port, const uint8_t b[16], uint16_t b_port)
{
	int c = memcmp(a, b, 16);
	return c ? c : (int)a_port - (int)b_port;
}

/* By host; then Windows' order: TCP, UDP, each IPv4 first; by address and port. */
static int compare(const void *pa, const void *pb)
{
	const struct bt_row *a = &((const struct bt_sock *)pa)->row;
	const struct bt_row *b = &((const struct bt_sock *)pb)->row;
	if (a->host != b->host)
		return (int)a->host - (int)b->host;
	if (a->proto != b->proto)
		return (int)a->proto - (int)b->proto;
	if ((a->family == 6) != (b->family == 6))
		return (a->family == 6) - (b->family == 6);
	int c = compare_ends(a->laddr, a->lport, b->laddr, b->lport);
	return c ? c : compare_ends(a->raddr, a->rport, b->raddr, b->rport);
}

/* ---- words ---- */

static const char *state_name(const struct bt_row *r)
{
	static const char *const names[] = {
		[BT_ROW_ESTABLISHED] = "ESTABLISHED",
		[BT_ROW_SYN_SENT] = "SYN_SENT",
		[BT_ROW_SYN_RECV] = "SYN_RECEIVED",
		[BT_ROW_FIN_WAIT1] = "FIN_WAIT_1",
		[BT_ROW_FIN_WAIT2] = "FIN_WAIT_2",
		[BT_ROW_TIME_WAIT] = "TIME_WAIT",
		[BT_ROW_CLOSE] = "CLOSED",
		[BT_ROW_CLOSE_WAIT] = "CLOSE_WAIT",
		[BT_ROW_LAST_ACK] = "LAST_ACK",
		[BT_ROW_LISTEN] = "LISTENING",
		[BT_ROW_CLOSING] = "CLOSING",
	};
	const char *name = r->state < sizeof(names) / sizeof(names[0]) ? names[r->state] : NULL;
	return r->proto == BT_PROTO_UDP || !name ? "" : name;
}

static void address_text(const struct bt_row *r, const uint8_t addr[16], char text[END_TEXT])
{
	bool six = r->family == 6;
	if (bt_addr_is_any(addr) && !(six && addr == r->laddr && bt_is_v4(addr))) {
		strcpy(text, six ? "[::]" : "0.0.0.0");
		return;
	}
	strcpy(text, !six ? "" : bt_is_v4(addr) ? "[::ffff:" : "[");
	bt_addr_text(addr, text + strlen(text));
	strcat(text, six ? "]" : "");
}

static void end_text(const struct view *v, const struct bt_row *r, const uint8_t addr[16],
		     uint16_t port, char text[END_TEXT])
{
	const char *word = v->numeric ? NULL : bt_service_word(r->proto == BT_PROTO_UDP, port);
	address_text(r, addr, text);
	size_t n = strlen(text);
	if (word)
		snprintf(text + n, END_TEXT - n, ":%s", word);
	else
		snprintf(text + n, END_TEXT - n, ":%u", port);
}

/* Windows knows one owner: the process that made the socket while it has it, else another holder.
 * 0: nobody, as of a TIME_WAIT. */
static int owner_of(const struct view *v, const struct bt_sock *s, char name[BT_COMM])
{
	const struct bt_holder *h = bt_holders_of(&v->holders, s->ino);
	const struct bt_program *p = h ? &v->holders.programs[h->program] : NULL;
	*name = '\0';
	for (; h; h = bt_holders_next(&v->holders, h)) {
		if (v->holders.programs[h->program].pid == s->row.pid)
			p = &v->holders.programs[h->program];
	}
	if (p) {
		memcpy(name, p->name, BT_COMM);
		return p->pid;
	}
	bool held = !(s->row.flags & BT_ROWF_ORPHAN) && s->row.state != BT_ROW_TIME_WAIT;
	if (!v->kernel_tells && held && bt_program_name(s->row.pid, name))
		return s->row.pid;
	return 0;
}

/* ---- output ---- */

static const struct bt_col json_columns[] = {
	{.key = "host"},
	{.key = "proto"},
	{.key = "local_address"},
	{.key = "local_port"},
	{.key = "foreign_address"},
	{.key = "foreign_port"},
	{.key = "state"},
	{.key = "pid"},
	{.key = "program"},
};

static const char *proto_name(const struct bt_row *r)
{
	return r->proto == BT_PROTO_UDP ? "UDP" : "TCP";
}

static void put_json(struct view *v, const struct bt_sock *s, const char *host)
{
	const struct bt_row *r = &s->row;
	bool udp = r->proto == BT_PROTO_UDP;
	char text[END_TEXT], name[BT_COMM];
	int pid = owner_of(v, s, name);
	bt_out_record(&v->out);
	bt_out_str(&v->out, host);
	bt_out_str(&v->out, proto_name(r));
	address_text(r, r->laddr, text);
	bt_out_str(&v->out, text);
	bt_out_num(&v->out, r->lport);
	address_text(r, r->raddr, text);
	bt_out_str(&v->out, udp ? "*" : text);
	bt_out_num(&v->out, udp ? 0 : r->rport);
	bt_out_str(&v->out, state_name(r));
	bt_out_num(&v->out, (uint64_t)pid);
	bt_out_str(&v->out, name);
	bt_out_record_end(&v->out);
}

static void put_head(const struct view *v, const char *host)
{
	if (v->host == UINT32_MAX)
		printf("\nHost %s\n", host);
	printf("\nActive Connections\n\n"
	       "  Proto  Local Address          Foreign Address        State%s\n",
	       v->owner ? "           PID" : "");
}

static void put_line(const struct view *v, const struct bt_sock *s)
{
	const struct bt_row *r = &s->row;
	char local[END_TEXT], foreign[END_TEXT], pid_text[16], name[BT_COMM] = "";
	int pid = v->owner || v->program ? owner_of(v, s, name) : 0;
	end_text(v, r, r->laddr, r->lport, local);
	if (r->proto == BT_PROTO_UDP)
		strcpy(foreign, "*:*");
	else
		end_text(v, r, r->raddr, r->rport, foreign);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	if (v->owner)
		printf("  %-5s  %-21s  %-21s  %-14s  %s\n", proto_name(r), local, foreign,
		       state_name(r), pid_text);
	else if (*state_name(r))
		printf("  %-5s  %-21s  %-21s  %s\n", proto_name(r), local, foreign, state_name(r));
	else
		printf("  %-5s  %-21s  %s\n", proto_name(r), local, foreign);
	for (char *p = name; *p; p++)
		*p = (unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f ? '?' : *p;
	if (v->program && *name)
		printf(" [%s]\n", name);
	else if (v->program)
		printf(" Can not obtain ownership information\n");
}

static void print_all(struct view *v, const struct bt_table *t, const char *network,
		      const struct bt_socks *s)
{
	char name[BT_HOST_NAME] = "";
	uint32_t host = UINT32_MAX;
	if (v->json)
		bt_out_begin(&v->out, true, false, json_columns,
			     sizeof(json_columns) / sizeof(json_columns[0]), network,
			     "connections");
	for (size_t i = 0; i < s->n; i++) {
		bool next = i == 0 || s->list[i].row.host != host;
		host = s->list[i].row.host;
		if (next)
			bt_host_name(t, host, name);
		if (v->json) {
			put_json(v, &s->list[i], name);
			continue;
		}
		for (char *p = name; next && *p; p++)
			*p = (unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f ? '?' : *p;
		if (next)
			put_head(v, name);
		put_line(v, &s->list[i]);
	}
	if (v->json)
		bt_out_end(&v->out);
	else if (s->n == 0)
		put_head(&(struct view){.owner = v->owner}, name);
}

int bt_cmd_netstat(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	struct bt_client c;
	struct bt_diags d;
	struct bt_socks s;
	int err;
	struct view v = {
		.all = bt_args_has(args, 'a'),
		.numeric = bt_args_has(args, 'n'),
		.owner = bt_args_has(args, 'o'),
		.program = bt_args_has(args, 'b'),
		.json = bt_args_has(args, BT_OPT_JSON),
		.host = UINT32_MAX,
	};
	if (!read_proto(args, &v))
		return BT_EXIT_USAGE;
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	bool ask = v.owner || v.program || v.json;
	uint32_t states = v.all ? UINT32_MAX : UINT32_MAX & ~(1u << BT_ROW_LISTEN);
	if (!bt_sync_dump(&c, network, ask ? bt_socks_states(states) : 0, &d, &err) ||
	    (args->n_rest && !bt_find_host(c.table, args->rest[0], network, &v.host))) {
		bt_diags_done(&d);
		bt_client_close(&c);
		return BT_EXIT_FAIL;
	}
	bt_collect(c.table, &s, wanted, &v);
	if (ask) {
		v.kernel_tells = !err && bt_socks_join_with(c.table, &d, &s) == 0;
		bt_holders_init(&v.holders, (uint32_t)s.n);
		for (size_t i = 0; i < s.n; i++)
			bt_holders_want(&v.holders, s.list[i].ino);
		bt_holders_walk(&v.holders);
	}
	if (s.n)
		qsort(s.list, s.n, sizeof(*s.list), compare);
	print_all(&v, c.table, network, &s);
	bt_holders_done(&v.holders);
	free(s.list);
	bt_diags_done(&d);
	bt_client_close(&c);
	return BT_EXIT_OK;
}

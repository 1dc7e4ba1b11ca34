/* SPDX-License-Identifier: Apache-2.0 */
/* hosts, networks, down: the network as a whole. */
#include "addr.h"
#include "cli.h"
#include "holders.h"
#include "out.h"
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* per_host (BT_MAX_HOSTS counts) may be NULL. Returns the sum. */
static uint32_t count_sockets(const struct bt_table *t, uint32_t *per_host)
{
	uint32_t end = bt_rows_end(t), sum = 0;
	for (uint32_t slot = 0; slot < end; slot++) {
		struct bt_row row;
		if (!bt_row_read(t, slot, &row) || !bt_row_listed(&row))
			continue;
		sum++;
		if (per_host && row.host < BT_MAX_HOSTS)
			per_host[row.host]++;
	}
	return sum;
}

/* ---- hosts ---- */

/* Every host has lo; it would only be in the way. */
static bool is_lo(const struct bt_host_addr *a)
{
	static const uint8_t v6[16] = {[15] = 1};
	return (bt_is_v4(a->addr) && a->addr[12] == 127) || memcmp(a->addr, v6, 16) == 0;
}

/* Of an interface: 1 is lo, 2 eth0; 0: not said. */
static void dev_text(unsigned dev, char text[16])
{
	if (dev < 2)
		strcpy(text, dev ? "lo" : "");
	else
		snprintf(text, 16, "eth%u", dev - 2);
}

/* Addresses with their interfaces for people; JSON has the two apart, in step. */
static void put_addresses(struct bt_out *o, const struct bt_host_row *h, bool address, bool dev)
{
	bt_out_list(o);
	for (unsigned i = 0; i < h->n_addrs && i < BT_HOST_ADDRS; i++) {
		const struct bt_host_addr *a = &h->addrs[i];
		char addr[BT_ADDR_TEXT], name[16], text[BT_ADDR_TEXT + 32];
		if (is_lo(a))
			continue;
		bt_addr_text(a->addr, addr);
		dev_text(a->dev, name);
		if (!address)
			snprintf(text, sizeof(text), "%s", name);
		else if (!dev || !*name)
			snprintf(text, sizeof(text), "%s/%u", addr, a->bits);
		else
			snprintf(text, sizeof(text), "%s/%u (%s)", addr, a->bits, name);
		bt_out_item(o, text);
	}
	bt_out_list_end(o, false);
}

static void print_host(struct bt_out *o, const struct bt_host_row *h, uint32_t sockets)
{
	char name[BT_HOST_NAME];
	memcpy(name, h->name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	bt_out_record(o);
	bt_out_str(o, name);
	put_addresses(o, h, true, true);
	put_addresses(o, h, true, false);
	put_addresses(o, h, false, true);
	bt_out_num(o, sockets);
	bt_out_record_end(o);
}

int bt_cmd_hosts(const struct bt_args *args)
{
	static const struct bt_col cols[] = {
		{.head = "Host", .key = "host"},
		{.head = "Addresses", .before = ' '},
		{.key = "addresses"},
		{.key = "interfaces"},
		{.head = "Sockets", .key = "sockets", .right = true, .before = ' '},
	};
	static uint32_t sockets[BT_MAX_HOSTS];
	const char *network = bt_args_network(args);
	struct bt_client c;
	struct bt_out o;
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	if (!bt_sync(&c, network)) {
		bt_client_close(&c);
		return BT_EXIT_FAIL;
	}
	count_sockets(c.table, sockets);
	bt_out_begin(&o, bt_args_has(args, BT_OPT_JSON), true, cols, sizeof(cols) / sizeof(cols[0]),
		     network, "hosts");
	uint32_t n = atomic_load(&c.table->n_hosts);
	for (uint32_t i = 0; i < n && i < BT_MAX_HOSTS; i++) {
		struct bt_host_row row;
		if (bt_host_read(c.table, i, &row))
			print_host(&o, &row, sockets[i]);
	}
	bt_out_end(&o);
	bt_client_close(&c);
	return BT_EXIT_OK;
}

/* ---- networks ---- */

struct list {
	struct bt_out *o;
	unsigned n;
};

static int print_network(const char *network, void *arg)
{
	struct list *l = arg;
	struct bt_client c;
	char since[32] = "?";
	/* It may have ended since it was found; then it is not running. */
	if (bt_client_open(&c, network) != 0)
		return 0;
	const struct bt_table *t = c.table;
	uint32_t hosts = 0, n = atomic_load(&t->n_hosts);
	for (uint32_t i = 0; i < n && i < BT_MAX_HOSTS; i++) {
		struct bt_host_row row;
		hosts += bt_host_read(t, i, &row);
	}
	time_t started = (time_t)t->started_s;
	struct tm tm;
	if (localtime_r(&started, &tm))
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
	bt_out_record(l->o);
	bt_out_str(l->o, network);
	bt_out_num(l->o, hosts);
	bt_out_num(l->o, count_sockets(t, NULL));
	bt_out_num(l->o, t->daemon_pid > 0 ? (uint64_t)t->daemon_pid : 0);
	bt_out_named(l->o, t->started_s, since);
	bt_out_record_end(l->o);
	l->n++;
	bt_client_close(&c);
	return 0;
}

int bt_cmd_networks(const struct bt_args *args)
{
	static const struct bt_col cols[] = {
		{.head = "Network", .key = "network"},
		{.head = "Hosts", .key = "hosts", .right = true, .before = ' '},
		{.head = "Sockets", .key = "sockets", .right = true, .before = ' '},
		{.head = "PID", .key = "pid", .right = true, .before = ' '},
		{.head = "Since", .key = "started_s", .before = ' '},
	};
	bool json = bt_args_has(args, BT_OPT_JSON);
	struct bt_out o;
	struct list l = {.o = &o};
	bt_out_begin(&o, json, true, cols, sizeof(cols) / sizeof(cols[0]), NULL, "networks");
	int err = bt_networks(print_network, &l);
	if (l.n == 0 && !json)
		o.header = false;
	bt_out_end(&o);
	if (err)
		bt_say_client(err, "default");
	else if (l.n == 0 && !json)
		bt_say("no network is running; start one with: berth run PROGRAM");
	return err ? BT_EXIT_FAIL : BT_EXIT_OK;
}

/* ---- down ---- */

static void say_busy(const char *network, uint64_t netid)
{
	char who[600];
	bt_programs_of(netid, who, sizeof(who));
	bt_say("network '%s' still has programs%s%s; end them, or end the network under them with "
	       "berth down%s%s --force",
	       network, *who ? ": " : "", who, strcmp(network, "default") == 0 ? "" : " --network ",
	       strcmp(network, "default") == 0 ? "" : network);
}

int bt_cmd_down(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	struct bt_req req = {.type = BT_DOWN};
	struct bt_rep rep;
	struct bt_client c;
	char byte;
	int err = bt_client_open(&c, network);
	if (err) {
		bt_say_client(err, network);
		/* What was asked for is the case. */
		return err == -ENOENT || err == -ECONNREFUSED ? BT_EXIT_OK : BT_EXIT_FAIL;
	}
	if (bt_args_has(args, BT_OPT_FORCE))
		req.flags = BT_REQF_FORCE;
	err = bt_client_call(&c, &req, NULL, &rep, NULL, NULL);
	if (!err && rep.err == EBUSY)
		say_busy(network, c.netid);
	else if (err || rep.err)
		bt_say_client(err ? err : -rep.err, network);
	else
		/* The connection ends with berthd: a next `berth run` shall not find it dying. */
		while (read(c.fd, &byte, 1) < 0 && errno == EINTR)
			;
	int status = err || rep.err ? BT_EXIT_FAIL : BT_EXIT_OK;
	bt_client_close(&c);
	return status;
}

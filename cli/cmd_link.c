/* SPDX-License-Identifier: Apache-2.0 */
/* berth link: what the wires between hosts do to packets. */
#include "cli.h"
#include "out.h"
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USED_AS "berth link set HOST [HOST] WORDS..., or berth link show"

struct request {
	char bytes[4096];
	size_t len;
	bool full;
};

static void add(struct request *r, const char *word, char end)
{
	size_t n = strlen(word);
	if (r->full || n + 2 > sizeof(r->bytes) - r->len) {
		r->full = true;
		return;
	}
	memcpy(r->bytes + r->len, word, n);
	r->len += n;
	r->bytes[r->len++] = end;
}

static bool is_host(const struct bt_table *t, const char *word)
{
	for (uint32_t i = 0; i < t->n_hosts; i++) {
		char name[BT_HOST_NAME];
		bt_host_name(t, i, name);
		if (strcmp(name, word) == 0)
			return true;
	}
	return false;
}

static int set(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct request r = {.len = 0};
	struct bt_req q = {.type = BT_LINK_SET};
	struct bt_rep rep;
	char answer[512] = "";
	size_t got = sizeof(answer) - 1;
	int at = 2;
	add(&r, args->rest[1], '\0');
	if (args->n_rest > 2 && is_host(c->table, args->rest[2]))
		add(&r, args->rest[at++], '\0');
	else
		add(&r, "", '\0');
	for (; at < args->n_rest; at++)
		add(&r, args->rest[at], ' ');
	add(&r, "", '\0');
	if (r.full) {
		bt_say("more words than a link can have");
		return BT_EXIT_USAGE;
	}
	q.extra = (uint32_t)r.len;
	int err = bt_client_call(c, &q, r.bytes, &rep, answer, &got);
	if (err == 0 && rep.err == EINVAL) {
		bt_say("%s", answer);
		return BT_EXIT_USAGE;
	}
	if (err == 0 && rep.err == ENOENT) {
		bt_say("no host '%s'%s in network '%s'; berth hosts lists them", args->rest[1],
		       r.bytes[strlen(args->rest[1]) + 1] ? ", or not two different ones" : "",
		       network);
		return BT_EXIT_FAIL;
	}
	if (err != 0 || rep.err != 0) {
		bt_say("berthd could not set the link: %s", strerror(err != 0 ? -err : rep.err));
		return BT_EXIT_FAIL;
	}
	return BT_EXIT_OK;
}

/* One line of the answer: nine fields, in the columns' order. */
static void put(struct bt_out *out, char *line)
{
	bt_out_record(out);
	for (int field = 0; field < 10; field++) {
		const char *value = strsep(&line, "\t");
		if (field < 3)
			bt_out_str(out, value ? value : "");
		else
			bt_out_num(out, value ? strtoull(value, NULL, 10) : 0);
	}
	bt_out_record_end(out);
}

static int show(struct bt_client *c, bool json, const char *network)
{
	static const struct bt_col cols[] = {
		{.head = "Host", .key = "host"},
		{.head = "With", .key = "with", .before = ' '},
		{.head = "Settings", .key = "settings", .before = ' '},
		{.head = "Packets", .key = "packets", .before = ' '},
		{.head = "Bytes", .key = "bytes", .before = ' '},
		{.head = "Lost", .key = "lost", .before = ' '},
		{.head = "Queue", .key = "queue_drops", .before = ' '},
		{.head = "Doubled", .key = "duplicated", .before = ' '},
		{.head = "Reordered", .key = "reordered", .before = ' '},
		{.head = "Damaged", .key = "corrupted", .before = ' '},
	};
	struct bt_req q = {.type = BT_LINK_SHOW};
	struct bt_rep rep;
	struct bt_out out;
	size_t got = BT_MSG_MAX;
	char *answer = calloc(1, BT_MSG_MAX + 1), *rest = answer, *line;
	int err = answer == NULL ? -ENOMEM : bt_client_call(c, &q, NULL, &rep, answer, &got);
	if (err != 0 || rep.err != 0) {
		bt_say("berthd did not tell: %s", strerror(err != 0 ? -err : rep.err));
		free(answer);
		return BT_EXIT_FAIL;
	}
	bt_out_begin(&out, json, true, cols, sizeof(cols) / sizeof(cols[0]), network, "links");
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			put(&out, line);
	bt_out_end(&out);
	free(answer);
	return BT_EXIT_OK;
}

int bt_cmd_link(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	bool setting = args->n_rest > 1 && strcmp(args->rest[0], "set") == 0,
	     showing = args->n_rest == 1 && strcmp(args->rest[0], "show") == 0;
	struct bt_client c;
	if (!setting && !showing) {
		bt_say("it is used as: " USED_AS);
		return BT_EXIT_USAGE;
	}
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status = setting ? set(&c, args, network)
			     : show(&c, bt_args_has(args, BT_OPT_JSON), network);
	bt_client_close(&c);
	return status;
}

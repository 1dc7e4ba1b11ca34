/* SPDX-License-Identifier: Apache-2.0 */
/* berth explain: which program gets it, and why. */
#include "explain.h"
#include "out.h"

#include <string.h>

#define USED_AS "berth explain tcp|udp [FROM] TO, as: berth explain tcp 10.0.0.50:52431 web:80"

static int read_question(const struct bt_args *args, const struct bt_table *t,
			 struct bt_question *q)
{
	const char *proto = args->n_rest > 0 ? args->rest[0] : "";
	q->udp = strcmp(proto, "udp") == 0;
	if ((!q->udp && strcmp(proto, "tcp") != 0) || args->n_rest < 2) {
		bt_say("it is used as: " USED_AS);
		return BT_EXIT_USAGE;
	}
	q->from_given = args->n_rest > 2;
	if (!bt_endpoint_parse(t, args->rest[args->n_rest - 1], q->udp, &q->to) ||
	    (q->from_given && !bt_endpoint_parse(t, args->rest[1], q->udp, &q->from)))
		return BT_EXIT_USAGE;
	if (q->to.port == 0) {
		bt_say("'%s' has no port; write it as web:80 or 192.168.1.100:80",
		       args->rest[args->n_rest - 1]);
		return BT_EXIT_USAGE;
	}
	if (q->from_given && !q->from.has_host) {
		bt_say("no host of the network has the address in '%s'; 'berth hosts' lists them",
		       args->rest[1]);
		return BT_EXIT_USAGE;
	}
	if (!q->from_given)
		bt_explain_any_sender(t, q);
	return BT_EXIT_OK;
}

static void put_step(struct bt_out *o, const struct bt_step *s)
{
	bt_out_record(o);
	bt_out_styled(o, s->what, BT_BOLD);
	bt_out_str(o, s->text);
	bt_out_str(o, s->verdict);
	bt_out_num(o, s->slot);
	bt_out_num(o, (uint64_t)(uint32_t)s->pid);
	bt_out_num(o, s->score);
	bt_out_record_end(o);
}

int bt_cmd_explain(const struct bt_args *args)
{
	static const struct bt_col cols[] = {
		{.head = "", .key = "step"},
		{.head = "", .key = "text", .before = ' '},
		{.key = "verdict"},
		{.key = "slot"},
		{.key = "pid"},
		{.key = "score"},
	};
	const char *network = bt_args_network(args);
	struct bt_question q = {.udp = false};
	struct bt_explanation x = {.n = 0};
	struct bt_client c;
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status = read_question(args, c.table, &q);
	int err = status == BT_EXIT_OK ? bt_explain(&c, &q, &x) : 0;
	if (err != 0) {
		bt_say("berthd did not tell: %s", strerror(err));
		status = BT_EXIT_FAIL;
	}
	if (status == BT_EXIT_OK) {
		struct bt_out out;
		bt_out_begin(&out, bt_args_has(args, BT_OPT_JSON), false, cols,
			     sizeof(cols) / sizeof(cols[0]), network, "steps");
		for (size_t i = 0; i < x.n; i++)
			put_step(&out, &x.list[i]);
		bt_out_end(&out);
		status = x.delivered ? BT_EXIT_OK : BT_EXIT_NO;
	}
	bt_explain_done(&x);
	bt_client_close(&c);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* berth sysctl: a host's settings from outside, written as sysctl(8) writes them. */
#include "out.h"
#include "rows.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view {
	struct bt_client client;
	const char *network, *host;
	uint32_t index;
	bool json;
	struct bt_out out;
	char *answer;
};

static void put(struct view *v, const char *name, const char *value)
{
	char dots[BT_SETTING_NAME];
	bt_setting_dots(name, dots);
	if (v->json) {
		bt_out_record(&v->out);
		bt_out_str(&v->out, dots);
		bt_out_str(&v->out, value);
		bt_out_record_end(&v->out);
		return;
	}
	printf("%s = ", dots);
	/* A tab stands between the two numbers of a range; nothing else may steer a terminal. */
	for (const char *p = value; *p; p++)
		putchar((unsigned char)*p < ' ' && *p != '\t' ? '?' : *p);
	putchar('\n');
}

/* Lines "name = value", as berthd gives all settings. */
static void put_all(struct view *v)
{
	char *rest = v->answer, *line;
	while ((line = strsep(&rest, "\n"))) {
		char *eq = strstr(line, " = ");
		if (!eq)
			continue;
		*eq = '\0';
		put(v, line, eq + 3);
	}
}

/* One operand: NAME, or NAME=VALUE, which prints what the value has become. */
static bool one(struct view *v, const char *word)
{
	char name[BT_SETTING_NAME];
	const char *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	/* NAME = VALUE in one word, as in sysctl.conf(5). */
	while (eq && len > 0 && word[len - 1] == ' ')
		len--;
	if (!bt_setting_slashes(word, len, name) || (eq && strlen(eq + 1) >= BT_SETTING_TEXT)) {
		bt_say("'%.60s' is not a setting; berth sysctl %s lists those of the host", word,
		       v->host);
		return false;
	}
	if (eq) {
		const char *text = eq + 1 + strspn(eq + 1, " ");
		if (!bt_setting_call(&v->client, v->index, v->host, name, text, v->answer,
				     BT_MSG_MAX, v->network))
			return false;
	}
	if (!bt_setting_call(&v->client, v->index, v->host, name, NULL, v->answer, BT_MSG_MAX,
			     v->network))
		return false;
	put(v, name, v->answer);
	return true;
}

int bt_cmd_sysctl(const struct bt_args *args)
{
	static const struct bt_col cols[] = {
		{.head = "Name", .key = "name"},
		{.head = "Value", .key = "value", .before = ' '},
	};
	struct view v = {.network = bt_args_network(args), .json = bt_args_has(args, BT_OPT_JSON)};
	bool ok = true;
	if (args->n_rest == 0) {
		bt_say("no host given; it is used as: berth sysctl HOST [NAME[=VALUE]...]");
		return BT_EXIT_USAGE;
	}
	v.host = args->rest[0];
	if (!bt_join(&v.client, v.network))
		return BT_EXIT_FAIL;
	v.answer = malloc(BT_MSG_MAX);
	if (!v.answer || !bt_sync(&v.client, v.network) ||
	    !bt_find_host(v.client.table, v.host, v.network, &v.index)) {
		free(v.answer);
		bt_client_close(&v.client);
		return BT_EXIT_FAIL;
	}
	if (v.json)
		bt_out_begin(&v.out, true, false, cols, 2, v.network, "settings");
	if (args->n_rest == 1) {
		ok = bt_setting_call(&v.client, v.index, v.host, "", NULL, v.answer, BT_MSG_MAX,
				     v.network);
		if (ok)
			put_all(&v);
	}
	for (int i = 1; i < args->n_rest; i++)
		ok &= one(&v, args->rest[i]);
	if (v.json)
		bt_out_end(&v.out);
	free(v.answer);
	bt_client_close(&v.client);
	return ok ? BT_EXIT_OK : BT_EXIT_FAIL;
}

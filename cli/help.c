/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts, made from the command tree. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { MAX_WORDS = 32 };

static const struct {
	const char *name, *help;
} global_opts[] = {
	{"--help", "print this help"},
	{"--version", "print the version"},
};

const struct bt_cmd *bt_find_cmd(const char *name)
{
	for (unsigned i = 0; i < bt_n_commands; i++) {
		if (strcmp(bt_commands[i].name, name) == 0)
			return &bt_commands[i];
	}
	return NULL;
}

int bt_unknown_cmd(const char *name)
{
	const char *words[MAX_WORDS];
	unsigned n = 0;
	bool option = name[0] == '-';
	for (unsigned i = 0; option && i < sizeof(global_opts) / sizeof(global_opts[0]); i++)
		words[n++] = global_opts[i].name;
	for (unsigned i = 0; !option && i < bt_n_commands && n < MAX_WORDS; i++)
		words[n++] = bt_commands[i].name;
	const char *near = bt_nearest(name, words, n);
	if (near)
		bt_say("there is no %s '%s'; did you mean '%s'?", option ? "option" : "command",
		       name, near);
	else
		bt_say("there is no %s '%s'; 'berth --help' lists what there is",
		       option ? "option" : "command", name);
	return BT_EXIT_USAGE;
}

void bt_help_all(void)
{
	printf("berth: a host of its own, with its own addresses and all 65,536 ports, for any "
	       "program\n\n"
	       "Usage: berth COMMAND [OPTIONS]\n\nCommands:\n");
	for (unsigned i = 0; i < bt_n_commands; i++)
		printf("  %-12s %s\n", bt_commands[i].name, bt_commands[i].help);
	printf("\nOptions:\n");
	for (unsigned i = 0; i < sizeof(global_opts) / sizeof(global_opts[0]); i++)
		printf("  %-12s %s\n", global_opts[i].name, global_opts[i].help);
	printf("\nExamples:\n"
	       "  berth run --host web --ip 192.168.1.100 -- python3 -m http.server 80\n"
	       "  berth run --host pc --ip 10.0.0.50 -- curl http://192.168.1.100/\n"
	       "  berth ss -tlnp\n\n"
	       "'berth help COMMAND' explains a command.\n");
}

void bt_help_cmd(const struct bt_cmd *cmd)
{
	printf("berth %s: %s\n\nUsage: berth %s %s\n\nOptions:\n", cmd->name, cmd->help, cmd->name,
	       cmd->synopsis);
	for (unsigned i = 0; i < cmd->n_opts; i++) {
		const struct bt_opt *o = &cmd->opts[i];
		char left[64], letter[8] = "    ";
		if (o->id < 256)
			snprintf(letter, sizeof(letter), "-%c, ", o->id);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-24s %s\n", left, o->help);
	}
	if (cmd->more)
		printf("\n%s", cmd->more);
}

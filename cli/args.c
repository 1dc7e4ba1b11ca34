/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing by the command tree, as getopt_long does it, with a hint for each unknown word. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 64 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

unsigned bt_distance(const char *a, const char *b)
{
	unsigned row[3][WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (unsigned j = 0; j <= m; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *older = row[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			unsigned cost = a[i - 1] != b[j - 1];
			now[j] = least(before[j] + 1, now[j - 1] + 1, before[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    older[j - 2] + 1 < now[j])
				now[j] = older[j - 2] + 1;
		}
	}
	return row[n % 3][m];
}

const char *bt_nearest(const char *word, const char *const *words, unsigned n)
{
	const char *best = NULL;
	size_t len = strlen(word);
	unsigned limit = len <= 2 ? 1 : len <= 5 ? 2 : 3;
	for (unsigned i = 0; i < n; i++) {
		unsigned d = bt_distance(word, words[i]);
		/* The beginning of a word is near to it however much is missing. */
		if (len >= 2 && strncmp(word, words[i], len) == 0)
			d = 1;
		if (d <= limit) {
			best = words[i];
			limit = d - (d > 0);
		}
	}
	return best;
}

static int unknown_option(const struct bt_cmd *cmd, const char *dashes, const char *name)
{
	const char *names[WORD_MAX];
	unsigned n = 0;
	for (; n < cmd->n_opts && n < WORD_MAX; n++)
		names[n] = cmd->opts[n].name;
	const char *near = bt_nearest(name, names, n);
	if (near)
		bt_say("%s has no option %s%s; did you mean --%s?", cmd->name, dashes, name, near);
	else
		bt_say("%s has no option %s%s; 'berth help %s' lists its options", cmd->name,
		       dashes, name, cmd->name);
	return BT_EXIT_USAGE;
}

static void add(struct bt_args *out, size_t *room, int id, const char *value)
{
	if (out->n_given == *room)
		out->given = bt_grow(out->given, room, sizeof(*out->given));
	out->given[out->n_given++] = (struct bt_given){id, value};
}

static int missing_argument(const struct bt_cmd *cmd, const struct bt_opt *opt)
{
	bt_say("option --%s of %s needs an argument: --%s %s", opt->name, cmd->name, opt->name,
	       opt->arg);
	return BT_EXIT_USAGE;
}

/* --name, --name=value, --name value; *i is left on the last word used. */
static int parse_long(const struct bt_cmd *cmd, char **argv, int *i, struct bt_args *out,
		      size_t *room)
{
	char name[WORD_MAX];
	const char *word = argv[*i] + 2, *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : (int)sizeof(name) - 1,
		 word);
	for (unsigned k = 0; k < cmd->n_opts; k++) {
		const struct bt_opt *opt = &cmd->opts[k];
		if (strcmp(opt->name, name) != 0)
			continue;
		if (!opt->arg && eq) {
			bt_say("option --%s of %s takes no argument; leave out '%s'", name,
			       cmd->name, eq);
			return BT_EXIT_USAGE;
		}
		if (opt->arg && !eq && !argv[*i + 1])
			return missing_argument(cmd, opt);
		add(out, room, opt->id, !opt->arg ? NULL : eq ? eq + 1 : argv[++*i]);
		return 0;
	}
	return unknown_option(cmd, "--", name);
}

/* -abc, and -p VALUE or -pVALUE; *i is left on the last word used. */
static int parse_letters(const struct bt_cmd *cmd, char **argv, int *i, struct bt_args *out,
			 size_t *room)
{
	const char *word = argv[*i];
	/* -host, and its letters are options all four: surely --host was meant. */
	for (unsigned k = 0; k < cmd->n_opts; k++) {
		if (strcmp(cmd->opts[k].name, word + 1) == 0)
			return unknown_option(cmd, "-", word + 1);
	}
	for (const char *p = word + 1; *p; p++) {
		unsigned k = 0;
		while (k < cmd->n_opts && cmd->opts[k].id != *p)
			k++;
		if (k == cmd->n_opts) {
			char letter[2] = {*p, '\0'};
			return unknown_option(cmd, "-", p == word + 1 ? p : letter);
		}
		if (cmd->opts[k].arg) {
			if (!p[1] && !argv[*i + 1])
				return missing_argument(cmd, &cmd->opts[k]);
			add(out, room, *p, p[1] ? p + 1 : argv[++*i]);
			return 0;
		}
		add(out, room, *p, NULL);
	}
	return 0;
}

int bt_args_parse(const struct bt_cmd *cmd, int argc, char **argv, struct bt_args *out, bool *help)
{
	size_t room = 0;
	int i = 0, err = 0;
	int n_rest = 0;
	*out = (struct bt_args){0};
	for (; i < argc && !err; i++) {
		char *word = argv[i];
		if (word[0] != '-' || word[1] == '\0') {
			if (cmd->max_rest == BT_REST_PROGRAM)
				break;
			argv[n_rest++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		err = word[1] == '-' ? parse_long(cmd, argv, &i, out, &room)
				     : parse_letters(cmd, argv, &i, out, &room);
	}
	out->rest = n_rest ? argv : argv + i;
	/* Operands that stood among the options are at the front by now; the rest joins them. */
	while (n_rest && i < argc)
		argv[n_rest++] = argv[i++];
	if (n_rest)
		argv[n_rest] = NULL;
	out->n_rest = n_rest ? n_rest : argc - i;
	*help = !err && bt_args_has(out, 'h');
	if (!err && !*help && cmd->max_rest >= 0 && out->n_rest > cmd->max_rest) {
		bt_say("%s does not understand '%s'; it is used as: berth %s %s", cmd->name,
		       out->rest[cmd->max_rest], cmd->name, cmd->synopsis);
		err = BT_EXIT_USAGE;
	}
	return err;
}

void bt_args_done(struct bt_args *args)
{
	free(args->given);
	*args = (struct bt_args){0};
}

const char *bt_args_value(const struct bt_args *args, int id)
{
	for (unsigned i = args->n_given; i-- > 0;) {
		if (args->given[i].id == id)
			return args->given[i].value;
	}
	return NULL;
}

bool bt_args_has(const struct bt_args *args, int id)
{
	for (unsigned i = 0; i < args->n_given; i++) {
		if (args->given[i].id == id)
			return true;
	}
	return false;
}

const char *bt_args_network(const struct bt_args *args)
{
	const char *name = bt_args_value(args, BT_OPT_NETWORK);
	const char *env = getenv("BERTH_NETWORK");
	if (name)
		return name;
	return env && *env ? env : "default";
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command tree. One table of commands with their options (tree.c) is what the parser, `--help`,
 * the hints for a mistyped word and the completion read; a command sees only parsed options.
 */
#ifndef BERTH_CLI_H
#define BERTH_CLI_H

#include "client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bt_exit {
	BT_EXIT_OK = 0,
	BT_EXIT_FAIL = 1,
	BT_EXIT_USAGE = 2,
	BT_EXIT_NO = 3,	   /* the answer to what was asked is no */
	BT_EXIT_RUN = 125, /* berth run: berth's own failure; 126 and 127 as a shell has them */
	BT_EXIT_CANNOT_EXEC = 126,
	BT_EXIT_NOT_FOUND = 127,
};

/* Options without a letter; one with a letter is known by it. */
enum bt_opt_id {
	BT_OPT_NETWORK = 256,
	BT_OPT_HOST,
	BT_OPT_IP,
	BT_OPT_JSON,
	BT_OPT_FORCE,
	BT_OPT_VERSION,
	BT_OPT_UNPRIVILEGED,
	BT_OPT_SYSCTL,
	BT_OPT_LIKE,
	BT_OPT_TIME_WAIT,
	BT_OPT_LINK,
	BT_OPT_LIST,
	BT_OPT_RANGE,
	BT_OPT_PROGRAM,
	BT_OPT_PAST,
	BT_OPT_ONCE,
	BT_OPT_FAST,
	BT_OPT_KERNEL,
	BT_OPT_INTERVAL,
	BT_OPT_WARN,
	BT_OPT_CRITICAL,
	BT_OPT_CLOSE_WAIT,
	BT_OPT_LISTEN,
	BT_OPT_HTML,
	BT_OPT_NO_COLOR,
};

struct bt_opt {
	int id;		  /* letter, or enum bt_opt_id */
	const char *name; /* long form without the dashes */
	const char *arg;  /* what stands for its argument in the help; NULL: takes none */
	const char *help;
};

struct bt_given {
	int id;
	const char *value;
};

struct bt_args {
	struct bt_given *given; /* options in the order given */
	unsigned n_given;
	char **rest; /* what follows the options, NULL-terminated */
	int n_rest;
};

enum {
	BT_REST_PROGRAM = -1, /* any number of operands, and the first one ends the options */
	BT_REST_ANY = -2,
};

struct bt_cmd {
	const char *name;
	const char *synopsis; /* after the name */
	const char *help;     /* one line */
	const char *more;     /* further lines of `berth help NAME`, or NULL */
	const struct bt_opt *opts;
	unsigned n_opts;
	int max_rest; /* operands it takes; BT_REST_... */
	int (*run)(const struct bt_args *args);
};

extern const struct bt_cmd bt_commands[];
extern const unsigned bt_n_commands;

/* args.c: 0, or BT_EXIT_USAGE after saying why; *help: --help was among them. */
int bt_args_parse(const struct bt_cmd *cmd, int argc, char **argv, struct bt_args *out, bool *help);
void bt_args_done(struct bt_args *args);
/* The last value given for an option, NULL if none. */
const char *bt_args_value(const struct bt_args *args, int id);
bool bt_args_has(const struct bt_args *args, int id);
/* --network, else $BERTH_NETWORK, else "default". */
const char *bt_args_network(const struct bt_args *args);
/* Edits between two words; a swap of neighbours counts as one (optimal string alignment). */
unsigned bt_distance(const char *a, const char *b);
/* The closest of n words to a mistyped one, NULL if none is close. */
const char *bt_nearest(const char *word, const char *const *words, unsigned n);

/* help.c */
void bt_help_all(void);
void bt_help_cmd(const struct bt_cmd *cmd);
const struct bt_cmd *bt_find_cmd(const char *name);
/* Says that there is no such command. Returns BT_EXIT_USAGE. */
int bt_unknown_cmd(const char *name);

/* One sentence on stderr after "berth: ". */
__attribute__((format(printf, 1, 2))) void bt_say(const char *fmt, ...);
/* malloc that ends berth with a sentence when there is no memory. */
void *bt_grow(void *old, size_t *capacity, size_t item);

/* Joins a running network; otherwise says why not and returns false. */
bool bt_join(struct bt_client *c, const char *network);
/* The same sentence for any errno of proto/client.h. */
void bt_say_client(int err, const char *network);
/* Commands. */
int bt_cmd_run(const struct bt_args *args);
int bt_cmd_ss(const struct bt_args *args);
int bt_cmd_netstat(const struct bt_args *args);
int bt_cmd_hosts(const struct bt_args *args);
int bt_cmd_down(const struct bt_args *args);
int bt_cmd_networks(const struct bt_args *args);
int bt_cmd_services(const struct bt_args *args);
int bt_cmd_sysctl(const struct bt_args *args);
int bt_cmd_link(const struct bt_args *args);
int bt_cmd_filter(const struct bt_args *args);
int bt_cmd_capture(const struct bt_args *args);
int bt_cmd_why(const struct bt_args *args);
int bt_cmd_events(const struct bt_args *args);
int bt_cmd_explain(const struct bt_args *args);
int bt_cmd_replay(const struct bt_args *args);
int bt_cmd_ping(const struct bt_args *args);
int bt_cmd_doctor(const struct bt_args *args);
int bt_cmd_metrics(const struct bt_args *args);
int bt_cmd_map(const struct bt_args *args);
int bt_cmd_top(const struct bt_args *args);
int bt_cmd_help(const struct bt_args *args);

#endif

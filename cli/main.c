/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bt_say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* Words that a user or a peer chose must not steer the terminal. */
	for (int i = 0; i < n && i < (int)sizeof(line); i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	fflush(stdout);
	fprintf(stderr, "berth: %s\n", n < 0 ? fmt : line);
}

void *bt_grow(void *old, size_t *capacity, size_t item)
{
	size_t n = *capacity ? *capacity * 2 : 16;
	void *p = reallocarray(old, n, item);
	if (!p) {
		bt_say("out of memory; end other programs or raise the limit (ulimit -v)");
		_Exit(BT_EXIT_FAIL);
	}
	*capacity = n;
	return p;
}

void bt_say_client(int err, const char *network)
{
	switch (-err) {
	case ENOENT:
	case ECONNREFUSED:
		bt_say("no network '%s' is running; start one with: berth run%s%s PROGRAM", network,
		       strcmp(network, "default") == 0 ? "" : " --network ",
		       strcmp(network, "default") == 0 ? "" : network);
		break;
	case EINVAL:
		bt_say("'%s' cannot be a network's name; use 1 to 32 of A-Z a-z 0-9 . _ - and no "
		       "dot first",
		       network);
		break;
	case EPERM:
	case EACCES:
		bt_say("the runtime directory or berthd of network '%s' is not yours alone; "
		       "set BERTH_RUNTIME_DIR to a directory that belongs to you and has mode 0700",
		       network);
		break;
	case ETIMEDOUT:
		bt_say("berthd of network '%s' does not answer; end it with kill and try again",
		       network);
		break;
	case EPROTO:
		bt_say("berthd of network '%s' speaks another version; end it with kill and try "
		       "again",
		       network);
		break;
	default:
		bt_say("network '%s' cannot be reached: %s; try again", network, strerror(-err));
	}
}

bool bt_join(struct bt_client *c, const char *network)
{
	int err = bt_client_open(c, network);
	if (err)
		bt_say_client(err, network);
	return !err;
}

int bt_cmd_help(const struct bt_args *args)
{
	if (args->n_rest == 0) {
		bt_help_all();
		return BT_EXIT_OK;
	}
	const struct bt_cmd *cmd = bt_find_cmd(args->rest[0]);
	if (!cmd)
		return bt_unknown_cmd(args->rest[0]);
	bt_help_cmd(cmd);
	return BT_EXIT_OK;
}

static int run_cmd(const struct bt_cmd *cmd, int argc, char **argv)
{
	struct bt_args args;
	bool help;
	int status = bt_args_parse(cmd, argc, argv, &args, &help);
	if (help)
		bt_help_cmd(cmd);
	else if (!status)
		status = cmd->run(&args);
	bt_args_done(&args);
	return status;
}

/* A full disk or a closed pipe must not look like success. */
static int finish(int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == BT_EXIT_OK) {
		bt_say("the output could not be written: %s; make room or choose another place",
		       strerror(errno));
		return BT_EXIT_FAIL;
	}
	return status;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	if (!word) {
		bt_say("no command given; 'berth --help' lists the commands");
		return BT_EXIT_USAGE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		bt_help_all();
		return finish(BT_EXIT_OK);
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		printf("berth %s\n", BERTH_VERSION);
		return finish(BT_EXIT_OK);
	}
	const struct bt_cmd *cmd = bt_find_cmd(word);
	if (!cmd)
		return bt_unknown_cmd(word);
	return finish(run_cmd(cmd, argc - 2, argv + 2));
}

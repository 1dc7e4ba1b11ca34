/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth run: everything that can fail without the network fails first, then berthd is asked for the
 * host, then this process becomes the program.
 */
#include "addr.h"
#include "cli.h"
#include "links.h"
#include "program.h"
#include "settings.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRELOAD "libberth-preload.so"

/* ---- berth's own files ---- */

static bool own_dir(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	if (n <= 0)
		return false;
	dir[n] = '\0';
	char *slash = strrchr(dir, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

/* The first of the patterns below berth's directory that is a file with the access asked for. */
static bool beside(const char *const *patterns, unsigned n, int mode, char path[PATH_MAX])
{
	char dir[PATH_MAX];
	if (!own_dir(dir))
		return false;
	for (unsigned i = 0; i < n; i++) {
		glob_t g;
		bool found = false;
		int len = snprintf(path, PATH_MAX, "%s/%s", dir, patterns[i]);
		if (len < 0 || len >= PATH_MAX)
			continue;
		if (!strchr(patterns[i], '*')) {
			if (access(path, mode) == 0)
				return true;
			continue;
		}
		if (glob(path, GLOB_NOSORT, NULL, &g) == 0) {
			for (size_t k = 0; k < g.gl_pathc && !found; k++) {
				found = access(g.gl_pathv[k], mode) == 0;
				if (found)
					snprintf(path, PATH_MAX, "%s", g.gl_pathv[k]);
			}
			globfree(&g);
		}
		if (found)
			return true;
	}
	return false;
}

static bool find_berthd(char path[PATH_MAX])
{
	static const char *const places[] = {"berthd", "../daemon/berthd",
					     "../libexec/berth/berthd"};
	const char *given = getenv("BERTH_BERTHD");
	if (given && *given) {
		if (realpath(given, path) && access(path, X_OK) == 0)
			return true;
		bt_say("BERTH_BERTHD is %s, which is not a program; correct or unset it", given);
		return false;
	}
	if (beside(places, sizeof(places) / sizeof(places[0]), X_OK, path))
		return true;
	bt_say("berthd is not beside berth nor in ../libexec/berth; "
	       "install it there or set BERTH_BERTHD to its path");
	return false;
}

static bool find_preload(char path[PATH_MAX])
{
	static const char *const places[] = {PRELOAD, "../preload/" PRELOAD,
					     "../lib/berth/" PRELOAD, "../lib/*/berth/" PRELOAD};
	const char *given = getenv("BERTH_PRELOAD");
	if (given && *given) {
		if (!realpath(given, path) || access(path, R_OK) != 0) {
			bt_say("BERTH_PRELOAD is %s, which cannot be read; correct or unset it",
			       given);
			return false;
		}
	} else if (!beside(places, sizeof(places) / sizeof(places[0]), R_OK, path)) {
		bt_say(PRELOAD " is not beside berth nor in ../lib/berth; "
			       "install it there or set BERTH_PRELOAD to its path");
		return false;
	}
	if (strpbrk(path, " :")) {
		bt_say("%s has a space or colon in its path, which LD_PRELOAD cannot say; "
		       "install berth elsewhere",
		       path);
		return false;
	}
	return true;
}

/* ---- the host ---- */

static bool read_host(const struct bt_args *args, struct bt_host_open *host)
{
	const char *name = bt_args_value(args, BT_OPT_HOST);
	*host = (struct bt_host_open){
		.unprivileged = bt_args_has(args, BT_OPT_UNPRIVILEGED),
	};
	if (name) {
		size_t len = strlen(name);
		if (len == 0 || len >= sizeof(host->name)) {
			bt_say("a host's name has 1 to %zu characters; give such a one to --host",
			       sizeof(host->name) - 1);
			return false;
		}
		memcpy(host->name, name, len);
	}
	for (unsigned i = 0; i < args->n_given; i++) {
		if (args->given[i].id != BT_OPT_IP)
			continue;
		/* Two places are lo's. */
		if (host->n_addrs == BT_HOST_ADDRS - 2) {
			bt_say("a host has at most %u addresses besides 127.0.0.1 and ::1; leave "
			       "out some "
			       "--ip",
			       BT_HOST_ADDRS - 2);
			return false;
		}
		if (!bt_addr_parse(args->given[i].value, &host->addrs[host->n_addrs]))
			return false;
		host->n_addrs++;
	}
	return true;
}

/* Which of the addresses asked for another host has: for the sentence only. */
static void say_taken(const struct bt_client *c, const struct bt_host_open *want, const char *owner)
{
	char text[BT_ADDR_TEXT] = "one of the addresses";
	for (uint32_t i = 0; i < BT_MAX_HOSTS; i++) {
		struct bt_host_row row;
		if (!bt_host_read(c->table, i, &row) ||
		    strncmp(row.name, owner, sizeof(row.name)) != 0)
			continue;
		for (unsigned k = 0; k < want->n_addrs; k++) {
			for (unsigned m = 0; m < row.n_addrs && m < BT_HOST_ADDRS; m++) {
				if (memcmp(want->addrs[k].addr, row.addrs[m].addr, 16) == 0)
					bt_addr_text(want->addrs[k].addr, text);
			}
		}
	}
	bt_say("host %s already has %s; choose another address, or run in that host with --host %s",
	       owner, text, owner);
}

static void say_refused(const struct bt_client *c, const struct bt_host_open *want, int err,
			const char *extra)
{
	switch (err) {
	case EADDRINUSE:
		say_taken(c, want, extra);
		break;
	case EINVAL:
		bt_say("'%s' cannot be a host's name; use letters, digits, '-' and '.', a letter "
		       "or digit first",
		       want->name);
		break;
	case ENOSPC:
		bt_say("the network has no room for another host or address; "
		       "use an existing host (berth hosts) or another network");
		break;
	default:
		bt_say("the host could not be made: %s; try again, or start anew after berth down",
		       strerror(err));
	}
}

/* Asks for the host; its number, its name and its token's text go to the caller. */
static bool open_host(struct bt_client *c, const struct bt_host_open *want, uint32_t *index,
		      char name[BT_HOST_NAME], char token[16 + 1 + 2 * BT_TOKEN_BYTES + 1],
		      const char *network)
{
	struct bt_req req = {.type = BT_HOST_OPEN, .extra = sizeof(*want)};
	struct bt_host_row row;
	struct bt_rep rep;
	uint8_t extra[256] = {0};
	size_t got = sizeof(extra) - 1;
	int err = bt_client_call(c, &req, want, &rep, extra, &got);
	if (err) {
		bt_say_client(err, network);
		return false;
	}
	if (rep.err) {
		say_refused(c, want, rep.err, (const char *)extra);
		return false;
	}
	if (got != BT_TOKEN_BYTES || !bt_host_read(c->table, rep.value, &row)) {
		bt_say_client(-EPROTO, network);
		return false;
	}
	*index = rep.value;
	row.name[BT_HOST_NAME - 1] = '\0';
	memcpy(name, row.name, BT_HOST_NAME);
	int n = sprintf(token, "%016llx:", (unsigned long long)c->netid);
	for (unsigned i = 0; i < BT_TOKEN_BYTES; i++)
		n += sprintf(token + n, "%02x", extra[i]);
	return true;
}

static bool set_all(struct bt_client *c, uint32_t index, const char *host,
		    const struct bt_settings *s, const char *network)
{
	char answer[BT_SETTING_TEXT];
	for (unsigned i = 0; i < s->n; i++) {
		if (!bt_setting_call(c, index, host, s->list[i].name, s->list[i].text, answer,
				     sizeof(answer), network))
			return false;
	}
	return true;
}

/* Before the program makes its first connection. */
static bool set_link(struct bt_client *c, const char *host, const char *text, const char *network)
{
	enum { WORDS = 64 };
	char *words[WORDS], *copy = strdup(text), *save = NULL;
	int n = 0;
	for (char *w = copy ? strtok_r(copy, " \t", &save) : NULL; w && n < WORDS;
	     w = strtok_r(NULL, " \t", &save))
		words[n++] = w;
	if (n == 0)
		bt_say("--link needs words, as --link 'loss 1%% delay 20ms'; berth link --help "
		       "lists them");
	bool ok = n > 0 && bt_link_set(c, network, host, words, n) == BT_EXIT_OK;
	free(copy);
	return ok;
}

static bool set_links(struct bt_client *c, const char *host, const struct bt_args *args,
		      const char *network)
{
	for (unsigned i = 0; i < args->n_given; i++)
		if (args->given[i].id == BT_OPT_LINK &&
		    !set_link(c, host, args->given[i].value, network))
			return false;
	return true;
}

/* ---- the program ---- */

/* Ours first, so that it sees each call before any other; once is enough when a host's program runs
 * berth. */
static bool set_preload(const char *path)
{
	const char *old = getenv("LD_PRELOAD");
	char *all;
	if (!old || !*old)
		return setenv("LD_PRELOAD", path, 1) == 0;
	size_t len = strlen(path);
	if (strncmp(old, path, len) == 0 &&
	    (old[len] == '\0' || old[len] == ':' || old[len] == ' '))
		return true;
	if (asprintf(&all, "%s:%s", path, old) < 0)
		return false;
	bool ok = setenv("LD_PRELOAD", all, 1) == 0;
	free(all);
	return ok;
}

static int become(const char *path, char **argv)
{
	execv(path, argv);
	int e = errno;
	/* A text without #!: the shell's, as execvp(3) has it. Nothing else makes a file of no
	 * known format. */
	if (e == ENOEXEC) {
		size_t n = 0;
		while (argv[n])
			n++;
		union {
			const char *in;
			char *out;
		} sh = {.in = "/bin/sh"}, script = {.in = path};
		char **args = calloc(n + 2, sizeof(*args));
		if (args) {
			args[0] = sh.out;
			args[1] = script.out;
			memcpy(args + 2, argv + 1, n * sizeof(*args));
			execv("/bin/sh", args);
			free(args);
		}
	}
	bt_say("%s: %s; check that it runs without berth", path, strerror(e));
	return BT_EXIT_CANNOT_EXEC;
}

static bool start(struct bt_client *c, const char *network)
{
	char berthd[PATH_MAX];
	int err = bt_client_open(c, network);
	/* A network's second program need not pay for looking for berthd. */
	if (err == -ENOENT || err == -ECONNREFUSED) {
		if (!find_berthd(berthd))
			return false;
		err = bt_client_start(c, network, berthd);
		if (err == -ENOENT || err == -EACCES || err == -ENOEXEC) {
			bt_say("%s could not be started: %s; install berth anew", berthd,
			       strerror(-err));
			return false;
		}
	}
	/* -ECHILD: berthd ended, and its own sentence is on stderr already. */
	if (err && err != -ECHILD)
		bt_say_client(err, network);
	return !err;
}

int bt_cmd_run(const struct bt_args *args)
{
	char path[PATH_MAX], preload[PATH_MAX], name[BT_HOST_NAME],
		token[16 + 1 + 2 * BT_TOKEN_BYTES + 1];
	const char *network = bt_args_network(args);
	struct bt_host_open host;
	static struct bt_settings settings;
	struct bt_client c;
	uint32_t index;
	if (args->n_rest == 0) {
		bt_say("no program given; it is used as: berth run --host web -- PROGRAM ARGS");
		return BT_EXIT_RUN;
	}
	if (!read_host(args, &host) || !bt_settings_read(args, &settings))
		return BT_EXIT_RUN;
	int status = bt_program_find(args->rest[0], path);
	if (!status)
		status = bt_program_check(path);
	if (status)
		return status;
	if (!find_preload(preload) || !start(&c, network))
		return BT_EXIT_RUN;
	if (!open_host(&c, &host, &index, name, token, network) ||
	    !set_all(&c, index, name, &settings, network) || !set_links(&c, name, args, network)) {
		bt_client_close(&c);
		return BT_EXIT_RUN;
	}
	if (setenv("BERTH_TOKEN", token, 1) != 0 || setenv("BERTH_HOST", name, 1) != 0 ||
	    setenv("BERTH_NETWORK", network, 1) != 0 || !set_preload(preload)) {
		bt_say("out of memory; end other programs or raise the limit (ulimit -v)");
		return BT_EXIT_RUN;
	}
	/* exec closes the control connection, not we: berthd must not end before. */
	status = become(path, args->rest);
	bt_client_close(&c);
	return status;
}

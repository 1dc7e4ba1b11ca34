/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void usage(FILE *f)
{
	fputs("usage: berthd [--network NAME] [--ready-fd N]\n"
	      "The daemon of one berth network. berth run starts it by itself; see berthd(8).\n",
	      f);
}

static void ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "r", 1) != 1)
		fprintf(stderr, "berthd: cannot write to the ready descriptor: %s\n",
			strerror(errno));
	close(fd);
}

/* 1: ours; 0: another berthd has it; -errno. The file may be removed by a berthd that is leaving
 * just when we lock it; then the lock is on a file without a name, and we try again. */
static int take_lock(struct daemon *d)
{
	char path[512];
	for (int tries = 0; tries < 100; tries++) {
		int r = bt_runtime_dir(d->network, true, d->dir, sizeof(d->dir));
		if (r < 0)
			return r;
		snprintf(path, sizeof(path), "%s/lock", d->dir);
		d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (d->lock_fd < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? 0 : -errno;
		if (d_state_ours(d))
			return 1;
		close(d->lock_fd);
	}
	return -EAGAIN;
}

/* Whoever captures the output of the first berth run must not wait for us. */
static void quiet(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static void on_signal(uv_signal_t *s, int signum)
{
	(void)signum;
	d_serve_close(s->loop->data);
}

/* What it must not do any more once it serves: gain rights, dump the key in a core, be traced for
 * it. */
static void drop(void)
{
	struct rlimit files;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	umask(077);
}

static int run(struct daemon *d, int ready_fd)
{
	uv_signal_t term, intr;
	int r = d_timers_open(d);
	if (r == 0)
		r = d_serve_open(d);
	if (r < 0) {
		fprintf(stderr, "berthd: cannot listen: %s\n", strerror(-r));
		return 1;
	}
	uv_signal_init(&d->loop, &term);
	uv_signal_init(&d->loop, &intr);
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&intr, on_signal, SIGINT);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	ready(ready_fd);
	quiet();
	d_settle(d);
	d_sweep_soon(d);
	while (!d->leaving)
		uv_run(&d->loop, UV_RUN_DEFAULT);
	/* Names go first, so that the next berthd can bind them; then the files; the lock with the
	 * process. */
	close(d->listen_fd);
	d_state_remove(d);
	d_wire_close(d);
	return 0;
}

int main(int argc, char **argv)
{
	static struct daemon daemon;
	static const struct option options[] = {{"network", required_argument, NULL, 'n'},
						{"ready-fd", required_argument, NULL, 'r'},
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'V'},
						{NULL, 0, NULL, 0}};
	struct daemon *d = &daemon;
	int ready_fd = -1, o;
	const char *events = getenv("BERTH_EVENTS"); /* "0": only to measure what they cost */
	d->network = "default";
	d->no_events = events != NULL && strcmp(events, "0") == 0;
	while ((o = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		if (o == 'n') {
			d->network = optarg;
		} else if (o == 'r') {
			ready_fd = atoi(optarg);
		} else if (o == 'V') {
			puts("berthd " BERTH_VERSION);
			return 0;
		} else {
			usage(o == 'h' ? stdout : stderr);
			return o == 'h' ? 0 : 2;
		}
	}
	drop();
	int r = take_lock(d);
	if (r < 0) {
		fprintf(stderr, "berthd: cannot use the network directory of '%s': %s\n",
			d->network, strerror(-r));
		return 1;
	}
	if (r == 0) {
		ready(ready_fd);
		return 0;
	}
	d->loop.data = d;
	if (uv_loop_init(&d->loop) < 0 || d_state_open(d) < 0)
		return 1;
	return run(d, ready_fd);
}

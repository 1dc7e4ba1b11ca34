/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --conns idle established connections, for whoever measures memory from outside. The client says
 * "ready", waits for a line on standard input, makes the connections, each greeted with a byte by
 * the server once accepted, says "held N", and holds them until its standard input ends. The server
 * ends with the client.
 */
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve(const struct options *o, int *fds)
{
	int lfd = tcp_listener(o, 128);
	unsigned char c = '.';

	print_ready(lfd);
	for (unsigned i = 0; i < o->conns; i++) {
		fds[i] = accept(lfd, NULL, NULL);
		if (fds[i] < 0)
			die("accept");
		write_all(fds[i], &c, 1);
	}
	if (read_all(fds[0], &c, 1)) /* blocks until the client ends */
		die_msg("an idle connection spoke");
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.iters = 1, .size = 1, .conns = 1000};
	struct rlimit lim;
	unsigned char c;

	bench_options(&o, argc, argv, true);
	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	int *fds = malloc(o.conns * sizeof(*fds));
	if (!fds)
		die("malloc");
	for (unsigned i = 0; i < o.conns; i++) /* touched now, so that no page is charged later */
		fds[i] = -1;
	if (o.server)
		return serve(&o, fds);
	printf("ready 0\n");
	fflush(stdout);
	if (read(STDIN_FILENO, &c, 1) != 1)
		die_msg("nobody told me to start");
	for (unsigned i = 0; i < o.conns; i++) {
		fds[i] = tcp_connected(&o);
		if (!read_all(fds[i], &c, 1))
			die_msg("the server closed");
	}
	printf("held %u\n", o.conns);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) == 1)
		;
	free(fds);
	return 0; /* the kernel closes them */
}

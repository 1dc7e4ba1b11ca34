/* SPDX-License-Identifier: Apache-2.0 */
#include "t.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EPHEMERAL_LO = 32768, CASE_LIMIT_MS = 8000, MAX_PORTS = 256 };

static char case_name[64] = "-";
static unsigned seen[MAX_PORTS];
static unsigned n_seen;

void t_case(const char *name)
{
	snprintf(case_name, sizeof(case_name), "%s", name);
	n_seen = 0;
}

void t_run(const char *name, void (*function)(void))
{
	int status = 0;
	pid_t pid = fork();
	t_need(pid >= 0, "fork");
	if (pid == 0) {
		function();
		fflush(stdout);
		_exit(0);
	}
	for (unsigned ms = 0; waitpid(pid, &status, WNOHANG) == 0; ms += 5) {
		if (ms == CASE_LIMIT_MS)
			kill(pid, SIGKILL);
		t_sleep_ms(5);
	}
	t_case(name);
	if (WIFSIGNALED(status))
		t_say("ended", WTERMSIG(status) == SIGKILL ? "never" : strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		t_say("ended", "failed");
}

void t_say(const char *what, const char *got)
{
	printf("%s: %s = %s\n", case_name, what, got);
	fflush(stdout);
}

long t_result(const char *what, long got)
{
	int err = errno;
	char text[64];
	if (got == -1)
		snprintf(text, sizeof(text), "%s", strerrorname_np(err));
	else
		snprintf(text, sizeof(text), "%ld", got);
	t_say(what, text);
	errno = err;
	return got;
}

int t_fd(const char *what, int got)
{
	int err = errno;
	t_say(what, got < 0 ? strerrorname_np(err) : "ok");
	errno = err;
	return got;
}

const struct sockaddr *t_in(const char *address, unsigned port)
{
	static union {
		struct sockaddr_in in;
		struct sockaddr any;
	} ring[4];
	static unsigned next;
	struct sockaddr_in *in = &ring[next].in;
	const struct sockaddr *any = &ring[next].any;
	next = (next + 1) % 4;
	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	t_need(inet_pton(AF_INET, address, &in->sin_addr) == 1, address);
	return any;
}

static void port_text(unsigned port, char *text, size_t size)
{
	unsigned i = 0;
	if (port < EPHEMERAL_LO) {
		snprintf(text, size, "%u", port);
		return;
	}
	while (i < n_seen && seen[i] != port)
		i++;
	if (i == n_seen && n_seen < MAX_PORTS)
		seen[n_seen++] = port;
	snprintf(text, size, "eph%u", i + 1);
}

void t_addr(const char *what, const struct sockaddr_storage *a, socklen_t len)
{
	char ip[INET_ADDRSTRLEN], port[16], text[64];
	struct sockaddr_in in;
	if (len < sizeof(in) || a->ss_family != AF_INET) {
		snprintf(text, sizeof(text), "family %d, %u bytes", len ? a->ss_family : -1, len);
		t_say(what, text);
		return;
	}
	memcpy(&in, a, sizeof(in));
	inet_ntop(AF_INET, &in.sin_addr, ip, sizeof(ip));
	port_text(ntohs(in.sin_port), port, sizeof(port));
	snprintf(text, sizeof(text), "%s:%s", ip, port);
	t_say(what, text);
}

static void one_name(const char *what, const char *end, int ret, const struct sockaddr_storage *a,
		     socklen_t len)
{
	char label[128];
	snprintf(label, sizeof(label), "%s %s", what, end);
	if (ret < 0)
		t_say(label, strerrorname_np(errno));
	else
		t_addr(label, a, len);
}

void t_names(const char *what, int s)
{
	union t_address a = {0};
	socklen_t len = sizeof(a);
	int ret = getsockname(s, &a.any, &len);
	one_name(what, "local", ret, &a.storage, len);
	len = sizeof(a);
	ret = getpeername(s, &a.any, &len);
	one_name(what, "peer", ret, &a.storage, len);
}

unsigned t_port(int s)
{
	union t_address a = {0};
	socklen_t len = sizeof(a);
	t_need(getsockname(s, &a.any, &len) == 0, "getsockname");
	return ntohs(a.in.sin_port);
}

static void poll_for(const char *what, int s, short events, int ms)
{
	static const struct {
		short bit;
		const char *name;
	} bits[] = {{POLLIN, " IN"},   {POLLPRI, " PRI"}, {POLLOUT, " OUT"},  {POLLRDHUP, " RDHUP"},
		    {POLLERR, " ERR"}, {POLLHUP, " HUP"}, {POLLNVAL, " NVAL"}};
	char label[128], text[64] = "";
	struct pollfd p = {.fd = s, .events = events};
	t_need(poll(&p, 1, ms) >= 0, "poll");
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (p.revents & bits[i].bit)
			strcat(text, bits[i].name);
	}
	snprintf(label, sizeof(label), "poll %s", what);
	t_say(label, *text ? text + 1 : "nothing");
}

void t_poll(const char *what, int s, short events)
{
	poll_for(what, s, events, 0);
}

void t_poll_wait(const char *what, int s, short events)
{
	poll_for(what, s, events, 1000);
}

void t_error(const char *what, int s)
{
	char label[128];
	int value = 0;
	socklen_t len = sizeof(value);
	snprintf(label, sizeof(label), "SO_ERROR %s", what);
	if (getsockopt(s, SOL_SOCKET, SO_ERROR, &value, &len) < 0)
		t_say(label, strerrorname_np(errno));
	else
		t_say(label, value ? strerrorname_np(value) : "0");
}

void t_opt(const char *what, int s, int level, int name)
{
	char text[64];
	int value = 0;
	socklen_t len = sizeof(value);
	if (getsockopt(s, level, name, &value, &len) < 0)
		snprintf(text, sizeof(text), "%s", strerrorname_np(errno));
	else
		snprintf(text, sizeof(text), "%d in %u bytes", len == 1 ? *(char *)&value : value,
			 len);
	t_say(what, text);
}

int t_set(int s, int level, int name, int value)
{
	return setsockopt(s, level, name, &value, sizeof(value));
}

int t_socket(int type)
{
	int s = socket(AF_INET, type, 0);
	t_need(s >= 0, "socket");
	return s;
}

int t_bound(int type, const char *address, unsigned port)
{
	int s = t_socket(type);
	t_need(t_set(s, SOL_SOCKET, SO_REUSEADDR, 1) == 0, "SO_REUSEADDR");
	t_need(bind(s, IN(address, port)) == 0, "bind");
	return s;
}

int t_listener(const char *address, unsigned port)
{
	int s = t_bound(SOCK_STREAM, address, port);
	t_need(listen(s, 16) == 0, "listen");
	return s;
}

int t_pair(int *server)
{
	int l = t_listener(LO, 0), c = t_socket(SOCK_STREAM);
	t_need(connect(c, IN(LO, t_port(l))) == 0, "connect");
	*server = accept(l, NULL, NULL);
	t_need(*server >= 0, "accept");
	close(l);
	return c;
}

void t_nonblock(int s, bool on)
{
	int flags = fcntl(s, F_GETFL);
	t_need(flags >= 0 && fcntl(s, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0,
	       "fcntl");
}

void t_sleep_ms(unsigned ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	while (nanosleep(&ts, &ts) < 0)
		;
}

void t_need(bool condition, const char *what)
{
	if (condition)
		return;
	printf("%s: FAILED %s: %s\n", case_name, what, strerrorname_np(errno));
	exit(1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is not berth's stays the kernel's: AF_UNIX, socketpair, pipes, netlink's absence of
 * surprise. */
#include "t.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

/* Names without the directory, which differs from run to run. */
static void unix_name(const char *what, int s, bool peer)
{
	union {
		struct sockaddr_un un;
		struct sockaddr any;
	} a;
	char text[300];
	socklen_t len = sizeof(a);
	memset(&a, 0, sizeof(a));
	int ret = peer ? getpeername(s, &a.any, &len) : getsockname(s, &a.any, &len);
	if (ret < 0) {
		t_say(what, strerrorname_np(errno));
		return;
	}
	const char *path = a.un.sun_path, *slash = strrchr(path, '/');
	size_t shown = len > offsetof(struct sockaddr_un, sun_path)
			       ? len - offsetof(struct sockaddr_un, sun_path)
			       : 0;
	snprintf(text, sizeof(text), "family %d, %s%s", a.any.sa_family,
		 !shown	    ? "unnamed"
		 : !path[0] ? "abstract "
		 : slash    ? slash + 1
			    : path,
		 shown && !path[0] ? path + 1 : "");
	t_say(what, text);
}

static void paths(void)
{
	char directory[] = "/tmp/posix-XXXXXX";
	t_need(mkdtemp(directory) != NULL, "mkdtemp");
	t_case("unix paths");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const struct sockaddr *any = (const struct sockaddr *)&un;
	for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
		if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
			continue;
		int l = FD(socket(AF_UNIX, type, 0)),
		    c = FD(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
		snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock%d", directory, type);
		T(bind(l, any, sizeof(un)));
		T(bind(l, any, sizeof(un)));
		unix_name("bound", l, false);
		t_opt("SO_DOMAIN", l, SOL_SOCKET, SO_DOMAIN);
		t_opt("SO_TYPE", l, SOL_SOCKET, SO_TYPE);
		t_opt("SO_PROTOCOL", l, SOL_SOCKET, SO_PROTOCOL);
		T(listen(l, 3));
		T(connect(c, any, sizeof(un)));
		unix_name("client", c, false);
		unix_name("client's peer", c, true);
		T(send(c, "hello", 5, 0));
		int s = FD(accept(l, NULL, NULL));
		char text[16] = "";
		T(recv(s >= 0 ? s : l, text, sizeof(text), MSG_DONTWAIT));
		t_say("received", text);
		t_error("client", c);
		if (s >= 0) {
			unix_name("accepted", s, false);
			unix_name("accepted's peer", s, true);
			T(shutdown(s, SHUT_WR));
			T(recv(c, text, sizeof(text), 0));
			close(s);
		}
		T(t_set(l, IPPROTO_TCP, 1, 1));
		T(connect(l, IN(LO, 80)));
		close(l);
		close(c);
		T(unlink(un.sun_path));
	}
	rmdir(directory);
}

static void abstract(void)
{
	t_case("unix abstract");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const struct sockaddr *any = (const struct sockaddr *)&un;
	/* A name like berth's own, and it is the program's all the same. */
	static const char *const names[] = {
		"posix-test", "berth/0123456789abcdef/00000001.00000001.0000000000000001"};
	for (size_t i = 0; i < 2; i++) {
		socklen_t len =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(names[i]));
		int l = FD(socket(AF_UNIX, SOCK_STREAM, 0)),
		    c = FD(socket(AF_UNIX, SOCK_STREAM, 0));
		memset(un.sun_path, 0, sizeof(un.sun_path));
		memcpy(un.sun_path + 1, names[i], strlen(names[i]));
		T(bind(l, any, len));
		T(listen(l, 1));
		T(connect(c, any, len));
		unix_name("bound", l, false);
		unix_name("peer", c, true);
		int s = FD(accept(l, NULL, NULL));
		T(send(s, "x", 1, 0));
		char byte;
		T(recv(c, &byte, 1, 0));
		close(s);
		close(l);
		close(c);
	}
	int u = FD(socket(AF_UNIX, SOCK_DGRAM, 0));
	T(bind(u, any, sizeof(sa_family_t)));
	t_poll("autobound", u, POLLIN | POLLOUT);
	close(u);
	u = FD(socket(AF_UNIX, SOCK_STREAM, 0));
	snprintf(un.sun_path, sizeof(un.sun_path), "/no/such/place");
	T(connect(u, any, sizeof(un)));
	T(bind(u, any, sizeof(un)));
	T(connect(u, any, 1));
	close(u);
}

static void pairs(void)
{
	t_case("socketpair");
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		int p[2];
		char text[16] = "";
		T(socketpair(AF_UNIX, type, 0, p));
		unix_name("first", p[0], false);
		unix_name("first's peer", p[0], true);
		T(send(p[0], "one", 3, 0));
		T(send(p[0], "two", 3, 0));
		T(recv(p[1], text, sizeof(text), 0));
		t_opt("SO_DOMAIN", p[0], SOL_SOCKET, SO_DOMAIN);
		struct ucred cred;
		socklen_t len = sizeof(cred);
		T(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
		T(cred.pid == getpid());
		T(listen(p[0], 1));
		T(shutdown(p[0], SHUT_RDWR));
		close(p[0]);
		T(send(p[1], "x", 1, MSG_NOSIGNAL));
		close(p[1]);
	}
}

static void mixed_poll(void)
{
	/* Sockets of a host beside descriptors of other kinds in one poll. */
	t_case("mixed");
	int s, c = t_pair(&s), p[2], e = eventfd(1, 0);
	t_need(pipe(p) == 0, "pipe");
	struct pollfd set[4] = {{s, POLLIN, 0}, {p[0], POLLIN, 0}, {e, POLLIN, 0}, {c, POLLOUT, 0}};
	T(poll(set, 4, 0));
	T(send(c, "x", 1, 0));
	T(write(p[1], "x", 1));
	t_poll_wait("data", s, POLLIN);
	T(poll(set, 4, 1000));
	for (int i = 0; i < 4; i++)
		T(set[i].revents);
	T(sendto(s, "x", 1, 0, NULL, 0));
	close(s);
	close(c);
	close(p[0]);
	close(p[1]);
	close(e);
}

int main(void)
{
	T_RUN(paths);
	T_RUN(abstract);
	T_RUN(pairs);
	T_RUN(mixed_poll);
	return 0;
}

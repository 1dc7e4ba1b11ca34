/* SPDX-License-Identifier: Apache-2.0 */
/* Children that have descriptors of their own and their parent's memory, until they exec: what they
 * do to theirs must not be seen in the parent. */
#include "t.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child does; in the parent's memory, so nothing but calls. */
struct acts {
	int from, onto; /* dup2, if onto > 0 */
	bool close_all; /* from 3 on */
};

static int act(void *arg)
{
	const struct acts *a = arg;
	if (a->onto > 0)
		dup2(a->from, a->onto);
	if (a->close_all)
		close_range(3, ~0u, 0);
	return 0;
}

static void by_vfork(struct acts *a)
{
	int status = 0;
	pid_t pid = vfork();
	if (pid == 0)
		_exit(act(a));
	t_need(waitpid(pid, &status, 0) == pid && status == 0, "vfork");
}

static void by_clone(struct acts *a)
{
	static char stack[65536] __attribute__((aligned(64)));
	int status = 0;
	pid_t pid = clone(act, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, a);
	t_need(waitpid(pid, &status, 0) == pid && status == 0, "clone");
}

static void by_spawn(struct acts *a)
{
	char *argv[] = {(char[]){"true"}, NULL}, *env[] = {NULL};
	posix_spawn_file_actions_t list;
	int status = 0;
	pid_t pid;
	posix_spawn_file_actions_init(&list);
	if (a->onto > 0)
		posix_spawn_file_actions_adddup2(&list, a->from, a->onto);
	if (a->close_all)
		posix_spawn_file_actions_addclosefrom_np(&list, 3);
	t_need(posix_spawn(&pid, "/bin/true", &list, NULL, argv, env) == 0, "posix_spawn");
	t_need(waitpid(pid, &status, 0) == pid && status == 0, "true");
	posix_spawn_file_actions_destroy(&list);
}

static const struct {
	const char *name;
	void (*make)(struct acts *a);
} kinds[] = {{"vfork", by_vfork}, {"clone", by_clone}, {"posix_spawn", by_spawn}};

static void asks(int nl)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg body;
	} ask = {{.nlmsg_len = sizeof(ask),
		  .nlmsg_type = RTM_GETLINK,
		  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 {AF_UNSPEC}};
	struct nlmsghdr answer[512] = {0};
	T(send(nl, &ask, sizeof(ask), 0) == sizeof(ask));
	T(recv(nl, answer, sizeof(answer), MSG_DONTWAIT) > (ssize_t)sizeof(answer[0]));
	T(answer[0].nlmsg_type == RTM_NEWLINK);
}

/* The parent's own are as they were. */
static void closes(void)
{
	char byte;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		t_case(kinds[i].name);
		struct acts a = {.close_all = true};
		int s, c = t_pair(&s), nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
		t_need(nl >= 0, "netlink");
		T(shutdown(c, SHUT_RD));
		kinds[i].make(&a);
		asks(nl);
		T(recv(c, &byte, 1, MSG_DONTWAIT));
		T(send(c, "x", 1, 0));
		T(recv(s, &byte, 1, MSG_DONTWAIT));
		close(nl);
		close(c);
		close(s);
	}
}

static void takes_numbers(void)
{
	char byte;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		t_case(kinds[i].name);
		int s, c = t_pair(&s), u = t_bound(SOCK_DGRAM, LO, 0), p[2];
		t_need(pipe(p) == 0, "pipe");
		T(shutdown(c, SHUT_RD));
		/* a file's number where the parent has a socket */
		struct acts a = {.from = p[1], .onto = c};
		kinds[i].make(&a);
		T(recv(c, &byte, 1, MSG_DONTWAIT));
		/* and a socket's where it has a pipe */
		a = (struct acts){.from = u, .onto = p[1]};
		kinds[i].make(&a);
		T(write(p[1], "x", 1));
		T(read(p[0], &byte, 1));
		close(p[0]);
		close(p[1]);
		close(u);
		close(c);
		close(s);
	}
}

/* The child has closed its own, so the parent's close is the last. */
static void lingers(void)
{
	struct linger l = {1, 0};
	char byte;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		t_case(kinds[i].name);
		struct acts a = {.close_all = true};
		int s, c = t_pair(&s);
		t_need(setsockopt(c, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
		kinds[i].make(&a);
		close(c);
		T(recv(s, &byte, 1, MSG_DONTWAIT));
		T(send(s, "x", 1, MSG_NOSIGNAL));
		t_error("server", s);
		close(s);
		c = t_pair(&s);
		t_need(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
		kinds[i].make(&a);
		close(s);
		T(send(c, "x", 1, MSG_NOSIGNAL));
		T(recv(c, &byte, 1, MSG_DONTWAIT));
		close(c);
	}
}

/* No number is left as it was, those among them that a library may have for its own use. */
static void takes_all_numbers(void)
{
	t_case("all numbers");
	int status = 0, s = t_bound(SOCK_STREAM, LO, 7501), rival = t_socket(SOCK_STREAM);
	pid_t pid = vfork();
	if (pid == 0) {
		for (int fd = 3; fd < 1100; fd++)
			dup2(0, fd);
		close_range(3, ~0u, 0);
		_exit(fcntl(0, F_DUPFD, 960) != 960);
	}
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	T(bind(rival, IN(LO, 7501)));
	T(listen(s, 1));
	T(connect(rival, IN(LO, 7501)));
	close(rival);
	close(s);
}

/* It makes sockets, binds and connects, and hands one to the program that it becomes. */
static void makes(void)
{
	t_case("child's own");
	int l = t_listener(LO, 7502), status = 0;
	volatile int got[6];
	char text[16] = "";
	pid_t pid = vfork();
	if (pid == 0) {
		int other = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
		got[0] = bind(other, IN(LO, 7502)) == 0 ? 0 : errno;
		got[1] = bind(other, IN(LO, 7503)) == 0 ? 0 : errno;
		got[2] = listen(other, 1);
		got[3] = t_set(s, SOL_SOCKET, SO_REUSEADDR, 1);
		got[4] = bind(s, IN(ETH0, 7504));
		got[5] = connect(s, IN(LO, 7502));
		close(other);
		dup2(s, 0);
		dup2(s, 1);
		close_range(3, ~0u, 0);
		execl("/bin/cat", "cat", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 6; i++)
		T(got[i]);
	int s = FD(accept(l, NULL, NULL));
	t_names("accepted", s);
	T(send(s, "and back", 8, 0));
	T(shutdown(s, SHUT_WR));
	T(recv(s, text, sizeof(text), MSG_WAITALL));
	t_say("text", text);
	T(waitpid(pid, &status, 0) == pid);
	T(status);
	close(s);
	/* Another socket has the number now, and the port is free. */
	s = t_socket(SOCK_STREAM);
	t_names("fresh", s);
	T(bind(s, IN(LO, 7503)));
	close(s);
	close(l);
}

/* A vfork child's own vfork child. */
static void twice(void)
{
	t_case("twice");
	char byte;
	int s, c = t_pair(&s), status = 0;
	T(shutdown(c, SHUT_RD));
	pid_t pid = vfork();
	if (pid == 0) {
		pid_t inner = vfork();
		if (inner == 0) {
			close(c);
			_exit(0);
		}
		waitpid(inner, NULL, 0);
		close(c);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	T(recv(c, &byte, 1, MSG_DONTWAIT));
	int l = t_listener(LO, 7505); /* and the parent is itself again */
	T(close(l));
	l = t_socket(SOCK_STREAM);
	T(bind(l, IN(LO, 7505)));
	close(l);
	close(c);
	close(s);
}

/* The shell inherits the listener, and so does what it starts. */
static void shells(void)
{
	t_case("popen");
	int l = t_listener(LO, 7506), s = t_socket(SOCK_STREAM), p[2];
	FILE *f = popen("cat", "w");
	t_need(f != NULL, "popen");
	close(l);
	T(bind(s, IN(LO, 7506)));
	T(pclose(f));
	T(bind(s, IN(LO, 7506)));
	close(s);
	t_case("system");
	t_need(pipe2(p, O_CLOEXEC) == 0 && dup2(p[0], 9) == 9, "pipe2");
	l = t_listener(LO, 7507);
	T(system("cat <&9 >/dev/null &"));
	close(l);
	s = t_socket(SOCK_STREAM);
	T(bind(s, IN(LO, 7507)));
	close(p[1]);
	close(s);
}

int main(void)
{
	T_RUN(closes);
	T_RUN(takes_numbers);
	T_RUN(lingers);
	T_RUN(takes_all_numbers);
	T_RUN(makes);
	T_RUN(twice);
	T_RUN(shells);
	return 0;
}

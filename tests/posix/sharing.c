/* SPDX-License-Identifier: Apache-2.0 */
/* One socket, many descriptors and processes: dup, fork, passing, close-on-exec; when it ends. */
#include "t.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void dup_kinds(void)
{
	t_case("dup");
	int s = t_socket(SOCK_STREAM), d = dup(s);
	T(bind(d, IN(LO, 7401)));
	t_names("through the first", s);
	T(t_set(s, SOL_SOCKET, SO_KEEPALIVE, 1));
	t_opt("SO_KEEPALIVE through the copy", d, SOL_SOCKET, SO_KEEPALIVE);
	close(s);
	t_names("after the first closed", d);
	int rival = t_socket(SOCK_STREAM);
	T(bind(rival, IN(LO, 7401)));
	T(dup2(d, 300));
	close(d);
	T(bind(rival, IN(LO, 7401)));
	T(listen(300, 1));
	T(dup3(300, 301, O_CLOEXEC));
	T(fcntl(301, F_GETFD));
	T(dup3(300, 300, 0));
	T(dup2(300, 300));
	T(fcntl(300, F_DUPFD, 310));
	close(300);
	close(301);
	T(bind(rival, IN(LO, 7401)));
	close(310);
	T(bind(rival, IN(LO, 7401)));
	close(rival);
	T(close(310));
}

static void dup2_over(void)
{
	t_case("dup2 over a listener");
	int l = t_listener(LO, 7402), other = open("/dev/null", O_RDWR);
	T(dup2(other, l) == l);
	int c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7402)));
	close(c);
	T(t_set(l, SOL_SOCKET, SO_KEEPALIVE, 1));
	close(l);
	close(other);
	/* ... and a file's number is taken by a socket */
	l = t_listener(LO, 7402);
	other = open("/dev/null", O_RDWR);
	T(dup2(l, other) == other);
	close(l);
	t_names("the copy", other);
	close(other);
}

static void reused_number(void)
{
	t_case("number reused");
	int s = t_bound(SOCK_STREAM, LO, 7403), number = s;
	close(s);
	s = t_socket(SOCK_DGRAM);
	T(s == number);
	t_names("a fresh one", s);
	t_opt("SO_TYPE", s, SOL_SOCKET, SO_TYPE);
	close(s);
	int f = open("/dev/null", O_RDONLY);
	T(f == number);
	T(t_set(f, SOL_SOCKET, SO_KEEPALIVE, 1));
	close(f);
	int pair[2];
	t_need(pipe(pair) == 0, "pipe");
	T(connect(pair[0], IN(LO, 7403)));
	T(shutdown(pair[1], SHUT_WR));
	close(pair[0]);
	close(pair[1]);
}

static void forked(void)
{
	t_case("fork");
	int l = t_listener(LO, 7404), c = t_socket(SOCK_STREAM), status = 0;
	char text[8] = "";
	t_need(connect(c, IN(LO, 7404)) == 0, "connect");
	int s = accept(l, NULL, NULL);
	t_need(s >= 0, "accept");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(l);
		t_names("child", s);
		t_need(send(s, "child", 5, 0) == 5, "send");
		t_sleep_ms(100);
		_exit(0);
	}
	close(s);
	T(recv(c, text, sizeof(text), 0));
	t_say("from the child", text);
	t_poll("child still holds it", c, POLLIN);
	waitpid(pid, &status, 0);
	T(status);
	t_poll_wait("child is gone", c, POLLIN);
	T(recv(c, text, sizeof(text), 0));
	close(c);
	/* shutdown by one holder is for all */
	c = t_socket(SOCK_STREAM);
	t_need(connect(c, IN(LO, 7404)) == 0, "connect");
	s = accept(l, NULL, NULL);
	pid = fork();
	if (pid == 0) {
		shutdown(s, SHUT_WR);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	T(recv(c, text, sizeof(text), 0));
	T(send(s, "x", 1, MSG_NOSIGNAL));
	close(c);
	close(s);
	close(l);
}

/* What the parent leaves unread the child reads, and ends without a word: no reset. */
static void left_to_a_child(void)
{
	t_case("left to a child");
	int s, c = t_pair(&s), p[2], status = 0;
	char text[8] = "";
	t_need(pipe(p) == 0 && send(c, "asks", 4, 0) == 4, "send");
	fflush(stdout);
	for (int end = 0; end < 2; end++) {
		int held = end == 0 ? s : c;
		pid_t pid = fork();
		if (pid == 0) {
			t_need(read(p[0], text, 1) == 1 && recv(held, text, 8, 0) > 0, "read");
			t_need(send(held, "told", 4, MSG_NOSIGNAL) == 4, "send");
			_exit(0);
		}
		close(held);
		t_need(write(p[1], "", 1) == 1, "pipe");
		waitpid(pid, &status, 0);
		T(status);
		held = end == 0 ? c : s;
		T(recv(held, text, 4, 0));
		T(recv(held, text, 4, 0));
		close(held);
		c = t_pair(&s);
		t_need(send(s, "asks", 4, 0) == 4, "send");
	}
	close(c);
	close(s);
}

/* A connection of which a child is the other holder, until it is told to end: a reset, or with the
 * child's SO_LINGER off again a FIN. */
static void lingering(bool off)
{
	struct linger l = {1, 0}, none = {0, 0};
	int s, c = t_pair(&s), p[2], status = 0;
	char byte = 0;
	t_need(pipe(p) == 0, "pipe");
	t_need(setsockopt(c, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(p[1]);
		t_need(recv(c, &byte, 1, 0) == 1 && send(c, &byte, 1, 0) == 1, "the child's end");
		if (off)
			setsockopt(c, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		t_need(read(p[0], &byte, 1) == 0, "pipe");
		_exit(0);
	}
	close(c);
	T(recv(s, &byte, 1, MSG_DONTWAIT));
	T(send(s, "x", 1, 0));
	T(recv(s, &byte, 1, 0));
	t_names("child holds it", s);
	close(p[1]);
	waitpid(pid, &status, 0);
	T(recv(s, &byte, 1, 0));
	T(recv(s, &byte, 1, 0));
	close(p[0]);
	close(s);
}

static void lingers(void)
{
	t_case("linger 0 shared");
	lingering(false);
	t_case("linger off shared");
	lingering(true);
	t_case("linger 0 after a child");
	struct linger l = {1, 0};
	int s, c = t_pair(&s), status = 0;
	char byte;
	t_need(setsockopt(c, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, &status, 0);
	T(shutdown(s, SHUT_WR));
	T(recv(c, &byte, 1, 0));
	close(c);
	T(recv(s, &byte, 1, 0));
	t_names("over", s);
	close(s);
}

static void child_makes(void)
{
	/* A socket that the child bound and listens on ends with the child. */
	t_case("child's listener");
	int s = t_bound(SOCK_STREAM, LO, 7405), status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		T(listen(s, 3));
		int own = t_listener(LO, 7406);
		t_names("child's own", own);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	t_opt("SO_ACCEPTCONN", s, SOL_SOCKET, SO_ACCEPTCONN);
	int c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7405)));
	close(c);
	c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7406)));
	close(c);
	int again = t_socket(SOCK_STREAM);
	T(bind(again, IN(LO, 7406)));
	close(again);
	close(s);
}

static void send_fd(int via, int fd)
{
	char byte = 'f';
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	T(sendmsg(via, &m, 0));
}

static int receive_fd(int via)
{
	char byte;
	int fd = -1;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	T(recvmsg(via, &m, MSG_CMSG_CLOEXEC));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	T(h && h->cmsg_type == SCM_RIGHTS);
	if (h)
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	return fd;
}

static void passed(void)
{
	t_case("passing");
	int pair[2], l = t_listener(LO, 7407), c = t_socket(SOCK_STREAM);
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	t_need(connect(c, IN(LO, 7407)) == 0, "connect");
	send_fd(pair[0], c);
	close(c);
	int got = receive_fd(pair[1]);
	T(fcntl(got, F_GETFD));
	t_names("passed client", got);
	send_fd(pair[0], l);
	close(l);
	/* In flight only: nobody has a descriptor of it, and it listens. */
	int c2 = t_socket(SOCK_STREAM);
	T(connect(c2, IN(LO, 7407)));
	int l2 = receive_fd(pair[1]);
	t_opt("SO_ACCEPTCONN", l2, SOL_SOCKET, SO_ACCEPTCONN);
	int s = FD(accept(l2, NULL, NULL));
	int s2 = FD(accept(l2, NULL, NULL));
	t_names("first", s);
	t_names("second", s2);
	T(send(got, "x", 1, 0));
	char byte;
	T(recv(s, &byte, 1, 0));
	close(got);
	close(l2);
	close(s);
	close(s2);
	close(c2);
	close(pair[0]);
	close(pair[1]);
}

static void statted(void)
{
	t_case("fstat");
	struct stat st;
	int s = t_socket(SOCK_STREAM);
	T(fstat(s, &st));
	T(S_ISSOCK(st.st_mode));
	T(fcntl(s, F_SETFD, FD_CLOEXEC));
	T(fcntl(s, F_GETFD));
	T(fcntl(s, F_SETOWN, getpid()));
	T(fcntl(s, F_GETOWN) == getpid());
	char link[64], target[64] = "";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", s);
	T(readlink(link, target, sizeof(target) - 1) > 8);
	T(strncmp(target, "socket:", 7));
	close(s);
	T(close(s));
	T(fstat(s, &st));
}

static void through_stdio(void)
{
	t_case("stdio");
	int s, c = t_pair(&s);
	char line[32] = "";
	FILE *in = fdopen(s, "r"), *out = fdopen(c, "w");
	T(fprintf(out, "a line\nand another\n") > 0);
	T(fclose(out));
	T(fgets(line, sizeof(line), in) == line);
	line[strcspn(line, "\n")] = '\0';
	t_say("first", line);
	T(fgets(line, sizeof(line), in) == line);
	T(fgets(line, sizeof(line), in) == NULL);
	T(feof(in) != 0);
	T(fclose(in));
}

/* Takes turns with a child: what this process does, then what the child sees of it. */
struct turns {
	int to[2], from[2];
};

static void turn_wait(struct turns *t, bool child)
{
	char byte;
	t_need(read(child ? t->to[0] : t->from[0], &byte, 1) == 1, "a turn");
}

static void turn_pass(struct turns *t, bool child)
{
	fflush(stdout);
	t_need(write(child ? t->from[1] : t->to[1], "", 1) == 1, "a turn");
}

static void child_of_renewed(struct turns *t, int c, int l)
{
	char text[8] = "";
	turn_wait(t, true);
	t_names("child after AF_UNSPEC", c);
	T(recv(c, text, sizeof(text), MSG_DONTWAIT));
	T(recv(c, text, sizeof(text), MSG_DONTWAIT));
	T(connect(c, IN(LO, 7408)));
	T(send(c, "child", 5, 0));
	turn_pass(t, true);
	turn_wait(t, true);
	t_opt("SO_ACCEPTCONN in the child", l, SOL_SOCKET, SO_ACCEPTCONN);
	int s = FD(accept(l, NULL, NULL));
	T(recv(s, text, sizeof(text), 0));
	_exit(0);
}

/* A socket that is disconnected, a listener that is shut, stay one socket for all who hold them. */
static void renewed(void)
{
	t_case("renewed, shared");
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	struct turns t;
	char text[8] = "";
	int l = t_listener(LO, 7408), c = t_socket(SOCK_STREAM), copy = dup(c), status = 0;
	t_need(pipe(t.to) == 0 && pipe(t.from) == 0, "pipe");
	t_need(connect(c, IN(LO, 7408)) == 0, "connect");
	int s = accept(l, NULL, NULL);
	t_need(s >= 0, "accept");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		child_of_renewed(&t, c, l);
	T(connect(c, &unspec, sizeof(unspec)));
	T(recv(s, text, sizeof(text), 0));
	close(s);
	turn_pass(&t, false);
	turn_wait(&t, false);
	t_names("after the child's connect", copy);
	s = FD(accept(l, NULL, NULL));
	T(recv(s, text, sizeof(text), 0));
	T(send(s, "parent", 6, 0));
	T(recv(copy, text, sizeof(text), 0));
	close(s);
	T(shutdown(l, SHUT_RDWR));
	int refused = t_socket(SOCK_STREAM);
	T(connect(refused, IN(LO, 7408)));
	T(listen(l, 5));
	s = t_socket(SOCK_STREAM);
	T(connect(s, IN(LO, 7408)));
	T(send(s, "again", 5, 0));
	turn_pass(&t, false);
	waitpid(pid, &status, 0);
	T(status);
	close(l);
	T(connect(refused, IN(LO, 7408)));
	close(refused);
	close(s);
	close(c);
	close(copy);
}

int main(void)
{
	T_RUN(dup_kinds);
	T_RUN(dup2_over);
	T_RUN(reused_number);
	T_RUN(forked);
	T_RUN(left_to_a_child);
	T_RUN(lingers);
	T_RUN(child_makes);
	T_RUN(passed);
	T_RUN(statted);
	T_RUN(through_stdio);
	T_RUN(renewed);
	return 0;
}

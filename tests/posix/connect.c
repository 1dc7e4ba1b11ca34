/* SPDX-License-Identifier: Apache-2.0 */
/* connect: blocking and not, refused, again, to nowhere, and undone. */
#include "t.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void blocking(void)
{
	t_case("blocking");
	int l = t_listener(ANY, 7101), c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7101)));
	t_names("client", c);
	t_error("client", c);
	T(connect(c, IN(LO, 7101)));
	T(bind(c, IN(LO, 7102)));
	T(listen(c, 1));
	t_poll("client", c, POLLIN | POLLOUT);
	t_poll("listener", l, POLLIN | POLLOUT);
	close(c);
	c = t_socket(SOCK_STREAM);
	T(connect(c, IN(ETH0, 7101)));
	t_names("to eth0", c);
	close(c);
	c = t_socket(SOCK_STREAM);
	T(connect(c, IN(ANY, 7101)));
	t_names("to 0.0.0.0", c);
	close(c);
	c = t_bound(SOCK_STREAM, ETH1, 0);
	T(connect(c, IN(ETH0, 7101)));
	t_names("from eth1 to eth0", c);
	close(c);
	c = t_bound(SOCK_STREAM, ANY, 7103);
	T(connect(c, IN(ETH0, 7101)));
	t_names("from a bound port", c);
	close(c);
	close(l);
}

static void nonblocking(void)
{
	t_case("nonblocking");
	int l = t_listener(LO, 7104), c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	T(connect(c, IN(LO, 7104)));
	t_poll_wait("client", c, POLLIN | POLLOUT);
	t_error("client", c);
	t_names("client", c);
	T(connect(c, IN(LO, 7104)));
	T(connect(c, IN(LO, 7104)));
	T(send(c, "hello", 5, 0));
	int s = FD(accept(l, NULL, NULL));
	char text[8] = "";
	T(recv(s, text, sizeof(text), 0));
	t_say("received", text);
	close(s);
	close(c);

	/* With the other order: the result is asked for by SO_ERROR only. */
	c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	T(connect(c, IN(LO, 7104)));
	t_error("while connecting", c);
	t_poll_wait("client", c, POLLOUT);
	t_names("client", c);
	s = FD(accept(l, NULL, NULL));
	close(s);
	close(c);
	close(l);
}

static void refused(void)
{
	t_case("refused");
	char byte;
	int c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7105)));
	t_error("afterwards", c);
	t_names("afterwards", c);
	t_poll("afterwards", c, POLLIN | POLLOUT);
	T(recv(c, &byte, 1, 0));
	T(send(c, "x", 1, MSG_NOSIGNAL));
	/* The same socket connects once there is a listener. */
	int l = t_listener(LO, 7105);
	T(connect(c, IN(LO, 7105)));
	t_names("second attempt", c);
	close(c);
	close(l);

	c = t_bound(SOCK_STREAM, LO, 7106);
	T(connect(c, IN(LO, 7105)));
	t_names("bound, refused", c);
	close(c);
}

static void refused_nonblocking(void)
{
	t_case("refused nonblocking");
	char byte;
	int c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	T(connect(c, IN(LO, 7107)));
	t_poll_wait("client", c, POLLIN | POLLOUT);
	t_error("first", c);
	t_error("second", c);
	t_poll("after SO_ERROR", c, POLLIN | POLLOUT);
	T(recv(c, &byte, 1, 0));
	close(c);

	c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	T(connect(c, IN(LO, 7107)));
	t_poll_wait("client", c, POLLOUT);
	T(connect(c, IN(LO, 7107)));
	t_error("after the second connect", c);
	close(c);

	c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	T(connect(c, IN(LO, 7107)));
	t_poll_wait("client", c, POLLOUT);
	T(send(c, "x", 1, MSG_NOSIGNAL));
	t_error("after send", c);
	close(c);

	c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	T(connect(c, IN(LO, 7107)));
	t_poll_wait("client", c, POLLIN);
	T(recv(c, &byte, 1, 0));
	T(recv(c, &byte, 1, 0));
	close(c);
}

static void with_epoll(void)
{
	t_case("epoll");
	int l = t_listener(LO, 7108), e = epoll_create1(0);
	int c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = c}, got[4];
	t_need(connect(c, IN(LO, 7108)) < 0 && errno == EINPROGRESS, "connect");
	T(epoll_ctl(e, EPOLL_CTL_ADD, c, &ev));
	T(epoll_wait(e, got, 4, 1000));
	T(got[0].events);
	T(epoll_wait(e, got, 4, 0));
	int s = FD(accept(l, NULL, NULL));
	T(send(s, "x", 1, 0));
	T(epoll_wait(e, got, 4, 1000));
	T(got[0].events);
	close(s);
	T(epoll_wait(e, got, 4, 1000));
	close(c);

	c = t_socket(SOCK_STREAM | SOCK_NONBLOCK);
	ev.data.fd = c;
	T(connect(c, IN(LO, 7109)));
	T(epoll_ctl(e, EPOLL_CTL_ADD, c, &ev));
	T(epoll_wait(e, got, 4, 1000));
	T(got[0].events);
	t_error("refused", c);
	close(c);
	close(e);
	close(l);
}

static void nowhere(void)
{
	t_case("nowhere");
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		int c = t_socket(type);
		T(connect(c, IN(NOWHERE, 7110)));
		t_names("afterwards", c);
		close(c);
		c = t_socket(type | SOCK_NONBLOCK);
		T(connect(c, IN(NOWHERE, 7110)));
		close(c);
		c = t_bound(type, LO, 0);
		T(connect(c, IN(NOWHERE, 7110)));
		close(c);
		c = t_socket(type);
		T(connect(c, IN("255.255.255.255", 7110)));
		T(connect(c, IN(LO, 0)));
		close(c);
	}
}

static void families(void)
{
	t_case("families");
	struct sockaddr_storage a;
	const struct sockaddr *any = (const struct sockaddr *)&a;
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		int c = t_bound(type, LO, 0);
		memset(&a, 0, sizeof(a));
		a.ss_family = AF_INET6;
		T(connect(c, any, sizeof(struct sockaddr_in)));
		T(connect(c, any, sizeof(struct sockaddr_in6)));
		a.ss_family = AF_UNIX;
		T(connect(c, any, 20));
		a.ss_family = 999;
		T(connect(c, any, sizeof(struct sockaddr_in)));
		a.ss_family = AF_INET;
		T(connect(c, any, 1));
		T(connect(c, any, 2));
		T(connect(c, any, 8));
		T(connect(c, any, 15));
		T(connect(c, any, sizeof(a)));
		T(connect(c, any, sizeof(a) + 1));
		close(c);
		c = t_socket(type);
		a.ss_family = AF_INET6;
		T(bind(c, any, sizeof(struct sockaddr_in)));
		T(bind(c, any, sizeof(struct sockaddr_in6)));
		a.ss_family = AF_UNIX;
		T(bind(c, any, 20));
		a.ss_family = AF_UNSPEC;
		T(bind(c, any, 15));
		T(bind(c, any, sizeof(struct sockaddr_in)));
		t_names("AF_UNSPEC and 0.0.0.0", c);
		close(c);
	}
}

static void undone(void)
{
	t_case("unspec");
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	int l = t_listener(LO, 7111), c = t_socket(SOCK_STREAM), s;
	char byte;
	T(connect(c, &unspec, sizeof(unspec)));
	t_need(connect(c, IN(LO, 7111)) == 0, "connect");
	s = accept(l, NULL, NULL);
	T(connect(c, &unspec, sizeof(unspec)));
	t_names("client", c);
	T(send(c, "x", 1, MSG_NOSIGNAL));
	t_poll_wait("server", s, POLLIN);
	T(recv(s, &byte, 1, 0));
	T(connect(c, IN(LO, 7111)));
	close(s);
	close(c);
	close(l);
}

static void full_backlog(void)
{
	/* Connections that nobody has accepted yet carry data all the same. */
	t_case("not accepted");
	int l = t_listener(LO, 7112), c = t_socket(SOCK_STREAM);
	char text[16] = "";
	T(connect(c, IN(LO, 7112)));
	T(send(c, "early", 5, 0));
	T(shutdown(c, SHUT_WR));
	int s = FD(accept(l, NULL, NULL));
	T(recv(s, text, sizeof(text), 0));
	T(recv(s, text, sizeof(text), 0));
	close(s);
	close(c);
	/* The listener closes with one in its backlog: that one is reset. */
	c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7112)));
	close(l);
	t_poll_wait("client", c, POLLIN);
	T(recv(c, text, 1, 0));
	close(c);
	/* A client that is gone before accept. */
	l = t_listener(LO, 7113);
	c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7113)));
	t_need(send(c, "bye", 3, 0) == 3, "send");
	close(c);
	s = FD(accept(l, NULL, NULL));
	T(recv(s, text, sizeof(text), 0));
	T(recv(s, text, sizeof(text), 0));
	close(s);
	close(l);
}

static void self_connect(void)
{
	t_case("same port again");
	int l = t_listener(LO, 7114), a = t_bound(SOCK_STREAM, LO, 7115),
	    b = t_bound(SOCK_STREAM, LO, 7115);
	T(connect(a, IN(LO, 7114)));
	T(connect(b, IN(LO, 7114)));
	close(a);
	close(b);
	close(l);
}

/* Connect and send in one call, without a cookie of the server's. */
static void fast_open(void)
{
	char text[16] = "";
	const int fast = MSG_FASTOPEN | MSG_NOSIGNAL;
	int l = t_listener(LO, 7116), c = t_socket(SOCK_STREAM), s;
	t_case("fast open");
	T(send(c, "no address", 10, fast));
	T(sendto(c, "hello", 5, fast, IN(LO, 7116)));
	s = FD(accept(l, NULL, NULL));
	T(recv(s, text, sizeof(text), 0));
	t_say("text", text);
	T(sendto(c, "again", 5, fast, IN(LO, 7116)));
	T(send(c, "again", 5, fast));
	T(sendto(l, "listens", 7, fast, IN(LO, 7116)));
	T(recv(s, text, sizeof(text), MSG_DONTWAIT));
	close(c);
	close(s);
	t_case("fast open refused");
	c = t_socket(SOCK_STREAM);
	T(sendto(c, "hello", 5, fast, IN(LO, 7117)));
	t_error("after", c);
	T(send(c, "hello", 5, MSG_NOSIGNAL));
	close(c);
	c = t_socket(SOCK_STREAM);
	T(sendto(c, "hello", 5, fast, (struct sockaddr *)text, sizeof(struct sockaddr_in)));
	T(sendto(c, "hello", 5, fast, t_in(LO, 7116), 1));
	close(c);
	t_case("fast open without waiting");
	for (int flag = 0; flag < 2; flag++) {
		c = t_socket(SOCK_STREAM);
		t_nonblock(c, flag == 0);
		T(sendto(c, "lost", 4, fast | (flag ? MSG_DONTWAIT : 0), IN(LO, 7116)));
		t_poll_wait("connected", c, POLLOUT);
		T(send(c, "later", 5, 0));
		s = FD(accept(l, NULL, NULL));
		T(recv(s, text, sizeof(text), 0));
		close(c);
		close(s);
	}
	close(l);
}

int main(void)
{
	T_RUN(blocking);
	T_RUN(nonblocking);
	T_RUN(refused);
	T_RUN(refused_nonblocking);
	T_RUN(with_epoll);
	T_RUN(nowhere);
	T_RUN(families);
	T_RUN(undone);
	T_RUN(full_backlog);
	T_RUN(self_connect);
	T_RUN(fast_open);
	return 0;
}

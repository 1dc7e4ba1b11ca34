/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: shutdown, end, reset, SIGPIPE, flags of recv, readiness. */
#include "t.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile sig_atomic_t pipes;

static void on_pipe(int number)
{
	(void)number;
	pipes++;
}

static void shut(const char *name, int how)
{
	int s, c = t_pair(&s);
	char text[16];
	t_case(name);
	t_need(send(s, "before", 6, 0) == 6, "send");
	T(shutdown(c, how));
	T(recv(c, text, sizeof(text), MSG_DONTWAIT));
	T(recv(c, text, sizeof(text), MSG_DONTWAIT));
	T(send(c, "x", 1, MSG_NOSIGNAL));
	t_poll("shut end", c, POLLIN | POLLOUT | POLLRDHUP);
	t_poll("other end", s, POLLIN | POLLOUT | POLLRDHUP);
	T(recv(s, text, sizeof(text), MSG_DONTWAIT));
	T(send(s, "after", 5, MSG_NOSIGNAL));
	T(recv(c, text, sizeof(text), MSG_DONTWAIT));
	T(shutdown(c, how));
	T(shutdown(c, SHUT_RDWR));
	t_names("shut end", c);
	close(s);
	t_sleep_ms(20);
	T(shutdown(c, SHUT_RDWR));
	t_names("both gone", c);
	close(c);
}

static void shut_rd(void)
{
	shut("SHUT_RD", SHUT_RD);
}

static void shut_wr(void)
{
	shut("SHUT_WR", SHUT_WR);
}

static void shut_rdwr(void)
{
	shut("SHUT_RDWR", SHUT_RDWR);
}

static void shutdown_errors(void)
{
	t_case("shutdown errors");
	int s = t_socket(SOCK_STREAM), u = t_socket(SOCK_DGRAM);
	T(shutdown(s, SHUT_RD));
	T(shutdown(s, SHUT_WR));
	T(shutdown(s, 99));
	T(shutdown(s, -1));
	T(shutdown(u, SHUT_RDWR));
	T(shutdown(-1, SHUT_RD));
	T(shutdown(0, SHUT_RD));
	close(s);
	close(u);
	int c = t_pair(&s);
	T(shutdown(c, 3));
	T(send(c, "x", 1, 0));
	close(c);
	close(s);
}

static void ended(void)
{
	t_case("peer closed");
	int s, c = t_pair(&s);
	char text[16];
	t_need(send(s, "last", 4, 0) == 4, "send");
	close(s);
	t_poll_wait("client", c, POLLIN | POLLRDHUP);
	t_poll("client", c, POLLIN | POLLOUT | POLLRDHUP);
	T(recv(c, text, sizeof(text), 0));
	T(recv(c, text, sizeof(text), 0));
	T(recv(c, text, sizeof(text), 0));
	t_names("client", c);
	T(send(c, "x", 1, MSG_NOSIGNAL));
	t_sleep_ms(20);
	t_poll("client after writing", c, POLLIN | POLLOUT | POLLRDHUP);
	T(send(c, "x", 1, MSG_NOSIGNAL));
	T(recv(c, text, sizeof(text), 0));
	t_error("client", c);
	t_names("client", c);
	close(c);
}

static void state(const char *what, int s)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	t_need(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &len) == 0, "TCP_INFO");
	t_result(what, info.tcpi_state);
}

/* No call in between that would give the other end time. */
static void seen_at_once(void)
{
	t_case("seen at once");
	for (int i = 0; i < 8; i++) {
		int s, c = t_pair(&s);
		T(shutdown(c, SHUT_WR));
		state("server after the client's FIN", s);
		T(shutdown(s, SHUT_WR));
		state("server after its own", s);
		T(shutdown(c, SHUT_RD));
		state("client", c);
		close(c);
		close(s);

		c = t_pair(&s);
		close(c);
		state("server after the client has closed", s);
		T(shutdown(s, SHUT_RDWR));
		T(shutdown(s, SHUT_RDWR));
		close(s);
	}
}

static void reset_by_linger(void)
{
	t_case("linger 0");
	struct linger l = {1, 0};
	int s, c = t_pair(&s);
	char text[16];
	t_need(send(s, "lost?", 5, 0) == 5, "send");
	t_need(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
	close(s);
	t_poll_wait("client", c, POLLERR);
	t_poll("client", c, POLLIN | POLLOUT | POLLRDHUP);
	t_names("client", c);
	T(recv(c, text, sizeof(text), 0));
	T(recv(c, text, sizeof(text), 0));
	T(send(c, "x", 1, MSG_NOSIGNAL));
	t_error("client", c);
	close(c);

	/* Data that nobody reads any more is answered by a reset, and there is no TIME_WAIT. */
	c = t_pair(&s);
	unsigned port = t_port(s);
	t_need(send(c, "unread", 6, 0) == 6, "send");
	t_need(send(s, "read", 4, 0) == 4, "send");
	close(s);
	T(recv(c, text, sizeof(text), 0));
	T(recv(c, text, sizeof(text), 0));
	T(recv(c, text, sizeof(text), 0));
	t_error("client of unread data", c);
	close(c);
	s = t_socket(SOCK_STREAM);
	T(bind(s, IN(LO, port)));
	close(s);

	c = t_pair(&s);
	t_need(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
	close(s);
	t_poll_wait("second client", c, POLLERR);
	t_error("second client", c);
	T(recv(c, text, sizeof(text), 0));
	close(c);

	c = t_pair(&s);
	t_need(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
	close(s);
	t_sleep_ms(20);
	T(send(c, "x", 1, MSG_NOSIGNAL));
	T(send(c, "x", 1, MSG_NOSIGNAL));
	close(c);
}

/* Of many accepted ends whose listener has closed at once (t_pair). */
static void resets_of_many(void)
{
	t_case("linger 0, many");
	struct linger l = {1, 0};
	for (int i = 0; i < 12; i++) {
		int s, c = t_pair(&s);
		t_need(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0, "SO_LINGER");
		close(s);
		T(send(c, "x", 1, MSG_NOSIGNAL));
		close(c);
	}
}

static void reset_by_unread(void)
{
	t_case("unread data");
	int s, c = t_pair(&s);
	char text[16];
	t_need(send(c, "unread", 6, 0) == 6, "send");
	t_poll_wait("server", s, POLLIN);
	close(s);
	t_poll_wait("client", c, POLLIN);
	T(recv(c, text, sizeof(text), 0));
	T(recv(c, text, sizeof(text), 0));
	close(c);
}

static void broken_pipe(void)
{
	t_case("SIGPIPE");
	struct sigaction sa = {.sa_handler = on_pipe};
	struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int s, c = t_pair(&s);
	sigaction(SIGPIPE, &sa, NULL);
	t_need(shutdown(c, SHUT_WR) == 0, "shutdown");
	T(send(c, "x", 1, MSG_NOSIGNAL));
	T(pipes);
	T(send(c, "x", 1, 0));
	T(pipes);
	T(write(c, "x", 1));
	T(pipes);
	T(sendmsg(c, &m, 0));
	T(pipes);
	T(sendmsg(c, &m, MSG_NOSIGNAL));
	T(pipes);
	T(writev(c, &iov, 1));
	T(pipes);
	close(c);
	close(s);
	c = t_socket(SOCK_STREAM);
	T(send(c, "x", 1, 0));
	T(pipes);
	close(c);
}

static void receive_flags(void)
{
	t_case("recv flags");
	int s, c = t_pair(&s);
	char text[16] = "";
	T(recv(s, text, 4, MSG_DONTWAIT));
	t_need(send(c, "abcdefgh", 8, 0) == 8, "send");
	t_poll_wait("data", s, POLLIN);
	T(recv(s, text, 4, MSG_PEEK));
	T(recv(s, text, 4, MSG_PEEK));
	t_say("peeked", text);
	T(recv(s, text, 2, 0));
	T(recv(s, NULL, 3, MSG_TRUNC));
	T(recv(s, text, 16, MSG_WAITALL | MSG_DONTWAIT));
	T(strncmp(text, "fgh", 3));
	T(recv(s, text, 0, MSG_DONTWAIT));
	T(recv(s, text, 1, MSG_OOB));
	T(recv(s, text, 1, MSG_ERRQUEUE));
	T(send(c, "", 0, 0));
	T(recv(s, text, 1, MSG_DONTWAIT));
	T(send(c, "more", 4, MSG_MORE));
	T(send(c, "done", 4, 0));
	T(recv(s, text, 8, MSG_WAITALL));
	close(c);
	T(recv(s, text, 8, MSG_WAITALL));
	close(s);
}

static void with_addresses(void)
{
	t_case("addresses on streams");
	int s, c = t_pair(&s);
	char text[16];
	union t_address a = {0};
	socklen_t len = sizeof(a);
	T(sendto(c, "x", 1, 0, IN(NOWHERE, 9)));
	T(recvfrom(s, text, sizeof(text), 0, &a.any, &len));
	T(len);
	struct iovec iov = {text, sizeof(text)};
	struct msghdr m = {
		.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &iov, .msg_iovlen = 1};
	t_need(send(c, "y", 1, 0) == 1, "send");
	T(recvmsg(s, &m, 0));
	T(m.msg_namelen);
	T(m.msg_flags);
	close(c);
	close(s);
	c = t_socket(SOCK_STREAM);
	T(sendto(c, "x", 1, MSG_NOSIGNAL, IN(LO, 9)));
	T(recv(c, text, 1, 0));
	close(c);
}

static void pressure(void)
{
	t_case("pressure");
	int s, c = t_pair(&s);
	static char block[65536];
	long out = 0, in = 0, n;
	t_nonblock(c, true);
	t_poll("empty", c, POLLOUT);
	while ((n = send(c, block, sizeof(block), 0)) > 0)
		out += n;
	t_result("send when full", n);
	t_poll("full", c, POLLOUT);
	t_nonblock(s, true);
	while (in < out) {
		n = recv(s, block, sizeof(block), 0);
		if (n > 0)
			in += n;
		else
			t_sleep_ms(1);
	}
	T(in == out);
	t_poll_wait("drained", c, POLLOUT);
	T(recv(s, block, 1, 0));
	close(c);
	close(s);
}

static void splice_and_vectors(void)
{
	t_case("vectors");
	int s, c = t_pair(&s);
	char a[3] = "", b[8] = "";
	struct iovec out[3] = {{(char[]){"one"}, 3}, {NULL, 0}, {(char[]){"two"}, 3}},
		     in[2] = {{a, 2}, {b, 7}};
	T(writev(c, out, 3));
	t_poll_wait("data", s, POLLIN);
	T(readv(s, in, 2));
	t_say("first", a);
	t_say("second", b);
	T(write(c, "", 0));
	T(read(s, a, 0));
	close(c);
	T(read(s, a, 1));
	close(s);
}

int main(void)
{
	T_RUN(shut_rd);
	T_RUN(shut_wr);
	T_RUN(shut_rdwr);
	T_RUN(shutdown_errors);
	T_RUN(ended);
	T_RUN(seen_at_once);
	T_RUN(reset_by_linger);
	T_RUN(resets_of_many);
	T_RUN(reset_by_unread);
	T_RUN(broken_pipe);
	T_RUN(receive_flags);
	T_RUN(with_addresses);
	T_RUN(pressure);
	T_RUN(splice_and_vectors);
	return 0;
}

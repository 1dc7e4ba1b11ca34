/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers to nowhere, numbers that are no sockets, lengths and flags without sense: errno, never a
 * crash. */
#include "t.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Volatile, so that no compiler reasons about them. */
static void *volatile bad = (void *)8;
static void *volatile none = NULL;

static void on_socket(int s)
{
	socklen_t len = sizeof(struct sockaddr_in);
	struct sockaddr_storage a;
	void *any = &a;
	memset(&a, 0, sizeof(a));
	T(bind(s, none, 16));
	T(bind(s, bad, 16));
	T(bind(s, none, 0));
	T(bind(s, bad, 1000));
	T(bind(s, bad, (socklen_t)-1));
	T(bind(s, any, 0));
	T(bind(s, any, 1));
	T(connect(s, none, 16));
	T(connect(s, bad, 16));
	T(connect(s, none, 0));
	T(connect(s, bad, 1000));
	T(connect(s, bad, (socklen_t)-1));
	T(connect(s, any, 0));
	T(getsockname(s, none, &len));
	T(getsockname(s, bad, &len));
	T(getsockname(s, any, none));
	T(getsockname(s, any, bad));
	len = (socklen_t)-1;
	T(getsockname(s, any, &len));
	len = 0;
	T(getsockname(s, none, &len));
	T(len);
	T(getpeername(s, none, none));
	len = (socklen_t)-1;
	T(getpeername(s, any, &len));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, none, 4));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, bad, 4));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, any, (socklen_t)-1));
	T(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, bad, 4));
	T(setsockopt(s, IPPROTO_IP, IP_TOS, bad, 4));
	T(setsockopt(s, IPPROTO_TCP, 1, bad, 4));
	len = 4;
	T(getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, none, &len));
	T(getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, bad, &len));
	T(getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, any, none));
	T(getsockopt(s, SOL_SOCKET, SO_ERROR, bad, &len));
	T(getsockopt(s, IPPROTO_IP, IP_TOS, bad, &len));
	T(getsockopt(s, SOL_SOCKET, 9999, bad, &len));
	T(ioctl(s, FIONBIO, bad));
	T(ioctl(s, FIONREAD, bad));
	T(ioctl(s, 0xdeadbeef, any));
	FD(accept(s, bad, bad));
	FD(accept(s, none, none));
}

static void messages(int s)
{
	char byte = 0;
	struct iovec wild = {bad, 10}, fine = {&byte, 1}, endless = {&byte, SIZE_MAX};
	struct msghdr m = {.msg_iov = &wild, .msg_iovlen = 1};
	T(sendmsg(s, none, MSG_NOSIGNAL));
	T(sendmsg(s, bad, MSG_NOSIGNAL));
	T(sendmsg(s, &m, MSG_NOSIGNAL));
	m.msg_iov = bad;
	T(sendmsg(s, &m, MSG_NOSIGNAL));
	T(recvmsg(s, &m, MSG_DONTWAIT));
	m.msg_iov = &endless;
	T(sendmsg(s, &m, MSG_NOSIGNAL));
	m.msg_iov = &fine;
	m.msg_iovlen = IOV_MAX + 1;
	T(sendmsg(s, &m, MSG_NOSIGNAL));
	T(recvmsg(s, &m, MSG_DONTWAIT));
	m.msg_iovlen = 1;
	m.msg_name = bad;
	m.msg_namelen = 16;
	T(sendmsg(s, &m, MSG_NOSIGNAL));
	m.msg_namelen = (socklen_t)-1;
	T(sendmsg(s, &m, MSG_NOSIGNAL));
	T(recvmsg(s, none, MSG_DONTWAIT));
	T(recvmsg(s, bad, MSG_DONTWAIT));
	T(sendmmsg(s, bad, 1, MSG_NOSIGNAL));
	T(recvmmsg(s, bad, 1, MSG_DONTWAIT, NULL));
	T(sendto(s, bad, 10, MSG_NOSIGNAL, NULL, 0));
	T(sendto(s, &byte, 1, MSG_NOSIGNAL, bad, 16));
	T(sendto(s, &byte, 1, MSG_NOSIGNAL, bad, 1000));
	T(write(s, bad, 10));
}

static void not_sockets(int fd)
{
	struct sockaddr_storage a;
	void *any = &a;
	socklen_t len = sizeof(a);
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};
	memset(&a, 0, sizeof(a));
	T(bind(fd, any, 16));
	T(bind(fd, none, 16));
	T(connect(fd, any, 16));
	T(listen(fd, 1));
	FD(accept(fd, NULL, NULL));
	FD(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	T(getsockname(fd, any, &len));
	T(getpeername(fd, any, &len));
	T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, any, 4));
	T(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, any, &len));
	T(send(fd, "x", 1, 0));
	T(sendto(fd, "x", 1, 0, any, 16));
	T(recv(fd, &byte, 1, 0));
	T(recvfrom(fd, &byte, 1, 0, any, &len));
	T(sendmsg(fd, &m, 0));
	T(recvmsg(fd, &m, 0));
	T(sendmmsg(fd, &mm, 1, 0));
	T(recvmmsg(fd, &mm, 1, 0, NULL));
	T(shutdown(fd, SHUT_RDWR));
}

static void on_data(void)
{
	t_case("data");
	int s, c = t_pair(&s), l = t_listener(LO, 7501), c2 = t_socket(SOCK_STREAM);
	char byte = 0;
	T(send(c, bad, 10, MSG_NOSIGNAL));
	T(send(c, "x", 1, 0));
	t_poll_wait("data", s, POLLIN);
	T(recv(s, bad, 1, 0));
	T(recv(s, &byte, 1, MSG_DONTWAIT));
	T(send(c, &byte, 1, 0x40000000 | MSG_NOSIGNAL));
	T(recv(s, &byte, 1, MSG_DONTWAIT));
	T(getpeername(c, bad, bad));
	/* accept with a bad address: the connection is lost, the listener lives */
	t_need(connect(c2, IN(LO, 7501)) == 0, "connect");
	socklen_t len = 16;
	FD(accept(l, bad, &len));
	t_poll_wait("the client of that accept", c2, POLLIN);
	T(recv(c2, &byte, 1, MSG_DONTWAIT));
	close(c2);
	c2 = t_socket(SOCK_STREAM);
	T(connect(c2, IN(LO, 7501)));
	FD(accept(l, NULL, bad));
	close(c2);
	close(c);
	close(s);
	close(l);

	int u = t_bound(SOCK_DGRAM, LO, 7502);
	t_need(sendto(u, "x", 1, 0, IN(LO, 7502)) == 1, "sendto");
	t_poll_wait("datagram", u, POLLIN);
	T(recvfrom(u, bad, 1, MSG_DONTWAIT, NULL, NULL));
	T(recvfrom(u, &byte, 1, MSG_DONTWAIT, NULL, NULL));
	t_need(sendto(u, "x", 1, 0, IN(LO, 7502)) == 1, "sendto");
	t_poll_wait("datagram", u, POLLIN);
	T(recvfrom(u, &byte, 1, MSG_DONTWAIT, bad, &len));
	T(recvfrom(u, &byte, 1, MSG_DONTWAIT, NULL, NULL));
	close(u);
}

static void of_kind(int type, void (*calls)(int), const char *name)
{
	int s = t_socket(type);
	t_case(name);
	calls(s);
	close(s);
	/* and there are sockets like any other afterwards */
	s = t_bound(type, LO, 7500);
	t_names("afterwards", s);
	close(s);
}

static void stream_calls(void)
{
	of_kind(SOCK_STREAM, on_socket, "stream");
}

static void stream_messages(void)
{
	of_kind(SOCK_STREAM, messages, "stream messages");
}

static void dgram_calls(void)
{
	of_kind(SOCK_DGRAM, on_socket, "dgram");
}

static void dgram_messages(void)
{
	of_kind(SOCK_DGRAM, messages, "dgram messages");
}

static void numbers(void)
{
	int pipes[2];
	t_need(pipe(pipes) == 0, "pipe");
	t_case("a pipe");
	not_sockets(pipes[0]);
	t_case("no descriptor");
	not_sockets(999);
	t_case("-1");
	not_sockets(-1);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	T_RUN(stream_calls);
	T_RUN(stream_messages);
	T_RUN(dgram_calls);
	T_RUN(dgram_messages);
	T_RUN(numbers);
	T_RUN(on_data);
	return 0;
}

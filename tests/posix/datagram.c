/* SPDX-License-Identifier: Apache-2.0 */
/* UDP: addresses, boundaries, truncation, connected sockets, errors that come back. */
#include "t.h"

#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BIGGEST = 65507 };

static char big[70000];

/* One recvfrom with everything it says. */
static void receive(const char *what, int s, size_t size, int flags)
{
	char label[128];
	union t_address a = {0};
	socklen_t len = sizeof(a);
	t_poll_wait(what, s, POLLIN);
	long n = recvfrom(s, big, size, flags | MSG_DONTWAIT, &a.any, &len);
	t_result(what, n);
	if (n < 0)
		return;
	strcpy(label, "  from");
	t_addr(label, &a.storage, len);
}

static void basics(void)
{
	t_case("basics");
	int s = t_bound(SOCK_DGRAM, LO, 7201), c = t_socket(SOCK_DGRAM);
	T(recv(s, big, 10, MSG_DONTWAIT));
	T(sendto(c, "hello", 5, 0, IN(LO, 7201)));
	t_names("after sendto", c);
	t_poll("receiver", s, POLLIN | POLLOUT);
	receive("five", s, 100, 0);
	T(sendto(c, "", 0, 0, IN(LO, 7201)));
	receive("empty", s, 100, 0);
	T(sendto(c, "0123456789", 10, 0, IN(LO, 7201)));
	receive("truncated", s, 4, 0);
	T(sendto(c, "0123456789", 10, 0, IN(LO, 7201)));
	receive("MSG_TRUNC", s, 4, MSG_TRUNC);
	T(sendto(c, "0123456789", 10, 0, IN(LO, 7201)));
	receive("MSG_PEEK", s, 4, MSG_PEEK);
	receive("MSG_PEEK | MSG_TRUNC", s, 4, MSG_PEEK | MSG_TRUNC);
	receive("all", s, 100, MSG_WAITALL);
	receive("nothing", s, 100, 0);
	T(send(c, "x", 1, 0));
	T(write(c, "x", 1));
	T(sendto(c, "x", 1, 0, NULL, 0));
	T(sendto(c, "x", 1, 0, IN(LO, 0)));
	T(sendto(c, "x", 1, MSG_OOB, IN(LO, 7201)));
	T(recv(s, big, 1, MSG_OOB | MSG_DONTWAIT));
	T(recv(s, big, 1, MSG_ERRQUEUE));
	close(s);
	close(c);
}

static void between_addresses(void)
{
	t_case("addresses");
	int any = t_bound(SOCK_DGRAM, ANY, 7202), c = t_socket(SOCK_DGRAM),
	    e = t_bound(SOCK_DGRAM, ETH1, 7203);
	T(sendto(c, "a", 1, 0, IN(ETH0, 7202)));
	receive("to eth0", any, 10, 0);
	T(sendto(c, "a", 1, 0, IN(LO, 7202)));
	receive("to lo", any, 10, 0);
	T(sendto(c, "a", 1, 0, IN(ANY, 7202)));
	receive("to 0.0.0.0", any, 10, 0);
	T(sendto(e, "a", 1, 0, IN(ETH0, 7202)));
	receive("from eth1 to eth0", any, 10, 0);
	T(sendto(e, "a", 1, 0, IN(LO, 7202)));
	receive("from eth1 to lo", any, 10, 0);
	T(sendto(c, "a", 1, 0, IN(NOWHERE, 7202)));
	T(sendto(c, "a", 1, 0, IN("255.255.255.255", 7202)));
	T(sendto(c, "a", 1, 0, t_in(LO, 7202), 8));
	T(sendto(any, "self", 4, 0, IN(LO, 7202)));
	receive("to itself", any, 10, 0);
	close(any);
	close(c);
	close(e);

	/* The more specific of two sockets gets it. */
	any = t_bound(SOCK_DGRAM, ANY, 7204);
	e = t_bound(SOCK_DGRAM, ETH0, 7204);
	c = t_socket(SOCK_DGRAM);
	T(sendto(c, "a", 1, 0, IN(ETH0, 7204)));
	t_poll_wait("specific", e, POLLIN);
	t_poll("wildcard", any, POLLIN);
	T(sendto(c, "a", 1, 0, IN(ETH1, 7204)));
	t_poll_wait("wildcard", any, POLLIN);
	close(any);
	close(e);
	close(c);
}

static void connected(void)
{
	t_case("connected");
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	int a = t_bound(SOCK_DGRAM, LO, 7205), b = t_bound(SOCK_DGRAM, LO, 7206),
	    c = t_socket(SOCK_DGRAM);
	T(connect(c, IN(LO, 7205)));
	t_names("client", c);
	T(send(c, "x", 1, 0));
	receive("a", a, 10, 0);
	T(sendto(c, "x", 1, 0, IN(LO, 7206)));
	receive("b", b, 10, 0);
	T(sendto(b, "from b", 6, 0, IN(LO, t_port(c))));
	receive("stranger", c, 10, 0);
	T(sendto(a, "from a", 6, 0, IN(LO, t_port(c))));
	receive("peer", c, 10, 0);
	T(connect(c, IN(LO, 7206)));
	t_names("second peer", c);
	T(connect(c, &unspec, sizeof(unspec)));
	t_names("disconnected", c);
	T(send(c, "x", 1, 0));
	T(sendto(c, "x", 1, 0, IN(LO, 7205)));
	receive("after disconnect", a, 10, 0);
	close(c);

	c = t_bound(SOCK_DGRAM, ANY, 7207);
	T(connect(c, IN(ETH0, 7205)));
	t_names("bound and connected", c);
	T(connect(c, &unspec, sizeof(unspec)));
	t_names("bound and disconnected", c);
	T(sendto(a, "again", 5, 0, IN(LO, 7207)));
	receive("from anybody", c, 10, 0);
	close(a);
	close(b);
	close(c);

	/* Datagrams that came before connect are still there after it. */
	a = t_bound(SOCK_DGRAM, LO, 7208);
	b = t_bound(SOCK_DGRAM, LO, 7209);
	T(sendto(b, "early", 5, 0, IN(LO, 7208)));
	T(connect(a, IN(LO, 7299)));
	receive("early", a, 10, 0);
	close(a);
	close(b);
}

static void refused(void)
{
	t_case("refused");
	int c = t_socket(SOCK_DGRAM), u = t_socket(SOCK_DGRAM);
	T(connect(c, IN(LO, 7210)));
	T(send(c, "x", 1, 0));
	t_poll_wait("client", c, POLLIN);
	t_poll("client", c, POLLIN | POLLOUT);
	T(recv(c, big, 10, MSG_DONTWAIT));
	T(recv(c, big, 10, MSG_DONTWAIT));
	T(send(c, "x", 1, 0));
	t_sleep_ms(50);
	T(send(c, "x", 1, 0));
	T(send(c, "x", 1, 0));
	t_sleep_ms(50);
	t_error("client", c);
	t_error("client", c);
	T(sendto(u, "x", 1, 0, IN(LO, 7210)));
	t_sleep_ms(50);
	t_poll("unconnected", u, POLLIN | POLLOUT);
	t_error("unconnected", u);
	T(t_set(u, IPPROTO_IP, IP_RECVERR, 0));
	close(c);
	close(u);
}

static void sizes(void)
{
	t_case("sizes");
	int s = t_bound(SOCK_DGRAM, LO, 7211), c = t_socket(SOCK_DGRAM);
	t_set(s, SOL_SOCKET, SO_RCVBUF, 400000);
	t_set(c, SOL_SOCKET, SO_SNDBUF, 400000);
	T(sendto(c, big, BIGGEST, 0, IN(LO, 7211)));
	receive("biggest", s, sizeof(big), 0);
	T(sendto(c, big, BIGGEST + 1, 0, IN(LO, 7211)));
	T(sendto(c, big, sizeof(big), 0, IN(LO, 7211)));
	T(connect(c, IN(LO, 7211)));
	T(send(c, big, BIGGEST + 1, 0));
	T(write(c, big, BIGGEST + 1));
	T(write(c, big, BIGGEST));
	receive("written", s, sizeof(big), 0);
	int pending = -1;
	T(sendto(c, big, 1000, 0, IN(LO, 7211)));
	T(sendto(c, big, 500, 0, IN(LO, 7211)));
	t_poll_wait("two", s, POLLIN);
	T(ioctl(s, FIONREAD, &pending));
	T(pending);
	T(read(s, big, 10));
	T(ioctl(s, FIONREAD, &pending));
	T(pending);
	T(read(s, big, 1000));
	T(ioctl(s, FIONREAD, &pending));
	T(pending);
	close(s);
	close(c);
}

static void messages(void)
{
	t_case("messages");
	int s = t_bound(SOCK_DGRAM, LO, 7212), c = t_bound(SOCK_DGRAM, LO, 7213);
	char one[4] = "", two[16] = "";
	struct iovec out[2] = {{(char[]){"one"}, 3}, {(char[]){"two"}, 3}},
		     in[2] = {{one, 2}, {two, 3}};
	union t_address a = {0};
	struct sockaddr_in to;
	memcpy(&to, t_in(LO, 7212), sizeof(to));
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = out, .msg_iovlen = 2};
	T(sendmsg(c, &m, 0));
	t_poll_wait("data", s, POLLIN);
	m = (struct msghdr){
		.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = in, .msg_iovlen = 2};
	T(recvmsg(s, &m, 0));
	T(m.msg_flags == MSG_TRUNC);
	T(m.msg_namelen);
	t_addr("from", &a.storage, m.msg_namelen);
	t_say("first", one);
	t_say("second", two);
	m = (struct msghdr){.msg_iov = out, .msg_iovlen = 2};
	T(sendmsg(c, &m, 0));

	struct mmsghdr many[4];
	memset(many, 0, sizeof(many));
	for (int i = 0; i < 3; i++)
		many[i].msg_hdr = (struct msghdr){.msg_name = &to,
						  .msg_namelen = sizeof(to),
						  .msg_iov = out,
						  .msg_iovlen = 2};
	T(sendmmsg(c, many, 3, 0));
	T(many[0].msg_len + many[1].msg_len + many[2].msg_len);
	t_poll_wait("data", s, POLLIN);
	t_sleep_ms(20);
	in[0].iov_len = 4;
	in[1].iov_len = 16;
	for (int i = 0; i < 4; i++)
		many[i].msg_hdr = (struct msghdr){
			.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = in, .msg_iovlen = 2};
	T(recvmmsg(s, many, 4, MSG_DONTWAIT, NULL));
	T(many[0].msg_len);
	T(many[2].msg_hdr.msg_namelen);
	t_addr("from", &a.storage, many[2].msg_hdr.msg_namelen);
	T(recvmmsg(s, many, 4, MSG_DONTWAIT, NULL));
	T(sendmmsg(c, many, 0, 0));
	close(s);
	close(c);
}

static void overflow(void)
{
	/* A receiver that never reads: sends go on, what does not fit is lost, the first ones are
	 * kept. */
	t_case("overflow");
	int s = t_bound(SOCK_DGRAM, LO, 7214), c = t_socket(SOCK_DGRAM | SOCK_NONBLOCK), failed = 0;
	for (int i = 0; i < 3000; i++) {
		memcpy(big, &i, sizeof(i));
		failed += sendto(c, big, 1000, 0, IN(LO, 7214)) != 1000;
	}
	T(failed);
	t_poll("sender", c, POLLOUT);
	t_sleep_ms(50);
	int got = 0, number = 0, in_order = 1;
	struct pollfd p = {.fd = s, .events = POLLIN};
	while (got < 20 && poll(&p, 1, 1000) == 1 && recv(s, big, sizeof(big), MSG_DONTWAIT) > 0) {
		memcpy(&number, big, sizeof(number));
		in_order &= number >= got;
		got++;
	}
	T(got);
	T(in_order);
	T(number);
	close(s);
	close(c);
}

static void closed_receiver(void)
{
	t_case("closed");
	int s = t_bound(SOCK_DGRAM, LO, 7215), c = t_socket(SOCK_DGRAM);
	T(connect(c, IN(LO, 7215)));
	T(send(c, "x", 1, 0));
	close(s);
	T(send(c, "x", 1, 0));
	t_sleep_ms(50);
	T(recv(c, big, 10, MSG_DONTWAIT));
	s = t_bound(SOCK_DGRAM, LO, 7215);
	T(send(c, "y", 1, 0));
	receive("the new one", s, 10, 0);
	T(shutdown(c, SHUT_WR));
	T(send(c, "y", 1, MSG_NOSIGNAL));
	T(shutdown(s, SHUT_RD));
	close(s);
	close(c);
}

/* UDP_SEGMENT by a control message, or (size -1) as the socket has it. */
static long send_segments(int s, int size, size_t len)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(uint16_t))];
	} u = {.head = {.cmsg_len = CMSG_LEN(sizeof(uint16_t)),
			.cmsg_level = IPPROTO_UDP,
			.cmsg_type = UDP_SEGMENT}};
	uint16_t segment = (uint16_t)size;
	struct sockaddr_in to;
	struct iovec iov[2] = {{big, len / 3}, {big + len / 3, len - len / 3}};
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2};
	memcpy(&to, t_in(LO, 7213), sizeof(to));
	memcpy(CMSG_DATA(&u.head), &segment, sizeof(segment));
	if (size >= 0) {
		m.msg_control = &u;
		m.msg_controllen = sizeof(u.room);
	}
	return sendmsg(s, &m, 0);
}

static void heard(int s)
{
	for (long n = 0; n >= 0;)
		n = T(recv(s, big, sizeof(big), MSG_DONTWAIT));
}

static void segments(void)
{
	t_case("segments");
	int s = t_bound(SOCK_DGRAM, LO, 7213), c = t_socket(SOCK_DGRAM);
	T(send_segments(c, 1000, 2500));
	heard(s);
	T(send_segments(c, 1000, 1000));
	heard(s);
	T(send_segments(c, 0, 100));
	heard(s);
	T(send_segments(c, 40000, 60000));
	heard(s);
	T(send_segments(c, 10, 1281)); /* 129 */
	T(send_segments(c, 65535, 65508));
	heard(s);
	t_opt("segment", c, IPPROTO_UDP, UDP_SEGMENT);
	T(t_set(c, IPPROTO_UDP, UDP_SEGMENT, -1));
	T(t_set(c, IPPROTO_UDP, UDP_SEGMENT, 65536));
	T(t_set(c, IPPROTO_UDP, UDP_SEGMENT, 500));
	t_opt("segment", c, IPPROTO_UDP, UDP_SEGMENT);
	T(send_segments(c, -1, 1200));
	heard(s);
	T(send_segments(c, 1000, 1200));
	heard(s);
	T(connect(c, IN(LO, 7213)));
	T(write(c, big, 1001));
	heard(s);
	T(t_set(c, SOL_SOCKET, SO_NO_CHECK, 1));
	T(write(c, big, 1001));
	T(t_set(c, SOL_SOCKET, SO_NO_CHECK, 0));
	T(t_set(c, IPPROTO_UDP, UDP_SEGMENT, 0));
	T(write(c, big, 1001));
	heard(s);
	T(t_set(s, IPPROTO_UDP, UDP_GRO, 1));
	t_opt("gro", s, IPPROTO_UDP, UDP_GRO);
	close(c);
	close(s);
}

int main(void)
{
	T_RUN(basics);
	T_RUN(between_addresses);
	T_RUN(connected);
	T_RUN(refused);
	T_RUN(sizes);
	T_RUN(messages);
	T_RUN(overflow);
	T_RUN(closed_receiver);
	T_RUN(segments);
	return 0;
}

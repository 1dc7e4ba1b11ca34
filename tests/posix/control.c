/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of datagrams: what a receiver may ask for, what a sender may choose. */
#include "t.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 7301 };

static unsigned port = FIRST;

static void say_one(const struct cmsghdr *c)
{
	char what[64], got[INET6_ADDRSTRLEN];
	size_t len = c->cmsg_len - CMSG_LEN(0);
	int number = 0;
	snprintf(what, sizeof(what), "  %s %d of %zu", c->cmsg_level == IPPROTO_IP ? "ip" : "ipv6",
		 c->cmsg_type, len);
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
	    len == sizeof(struct in_pktinfo)) {
		struct in_pktinfo info;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		t_say(what, inet_ntop(AF_INET, &info.ipi_addr, got, sizeof(got)));
		t_say("  spec_dst", inet_ntop(AF_INET, &info.ipi_spec_dst, got, sizeof(got)));
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		   len == sizeof(struct in6_pktinfo)) {
		t_say(what, inet_ntop(AF_INET6, CMSG_DATA(c), got, sizeof(got)));
	} else {
		memcpy(&number, CMSG_DATA(c), len < sizeof(number) ? len : sizeof(number));
		t_result(what, number);
	}
}

static void receive(const char *what, int s, size_t room, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[512];
	} control;
	struct sockaddr_storage from;
	char data[16];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr m = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = room > 0 ? control.bytes : NULL,
			   .msg_controllen = room};
	struct pollfd p = {s, POLLIN, 0};
	poll(&p, 1, 1000);
	memset(&from, 0, sizeof(from));
	if (t_result(what, recvmsg(s, &m, flags | MSG_DONTWAIT)) < 0)
		return;
	char source[INET6_ADDRSTRLEN];
	const void *at = from.ss_family == AF_INET
				 ? (void *)&((struct sockaddr_in *)&from)->sin_addr
				 : (void *)&((struct sockaddr_in6 *)&from)->sin6_addr;
	t_say("  from", inet_ntop(from.ss_family, at, source, sizeof(source)));
	t_result("  length", (long)m.msg_controllen);
	t_result("  MSG_CTRUNC", (m.msg_flags & MSG_CTRUNC) != 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		say_one(c);
}

/* Sends one byte with one control message. */
static void send_with(const char *what, int s, const void *to, socklen_t to_len, int level,
		      int type, const void *value, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[128];
	} control;
	struct iovec iov = {(char[]){"x"}, 1};
	struct msghdr m = {.msg_name = (void *)(uintptr_t)to,
			   .msg_namelen = to_len,
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = CMSG_SPACE(len)};
	memset(&control, 0, sizeof(control));
	control.align.cmsg_len = CMSG_LEN(len);
	control.align.cmsg_level = level;
	control.align.cmsg_type = type;
	memcpy(CMSG_DATA(&control.align), value, len);
	t_result(what, sendmsg(s, &m, 0));
}

static void ask4(int s)
{
	t_set(s, IPPROTO_IP, IP_PKTINFO, 1);
	t_set(s, IPPROTO_IP, IP_RECVTTL, 1);
	t_set(s, IPPROTO_IP, IP_RECVTOS, 1);
}

static void asked(void)
{
	t_case("asked");
	int s = t_bound(SOCK_DGRAM, ANY, ++port), c = t_socket(SOCK_DGRAM);
	T(sendto(c, "x", 1, 0, IN(ETH0, port)));
	receive("nothing asked", s, 200, 0);
	ask4(s);
	T(sendto(c, "x", 1, 0, IN(ETH0, port)));
	receive("to eth0", s, 200, 0);
	T(sendto(c, "x", 1, 0, IN(LO, port)));
	receive("to lo", s, 200, MSG_PEEK);
	receive("again", s, 200, 0);
	T(sendto(c, "x", 1, 0, IN("127.0.0.9", port)));
	receive("to 127.0.0.9", s, 200, 0);
	T(sendto(c, "x", 1, 0, IN(ANY, port)));
	receive("to 0.0.0.0", s, 200, 0);
	t_set(c, IPPROTO_IP, IP_TTL, 9);
	t_set(c, IPPROTO_IP, IP_TOS, 0x20);
	T(sendto(c, "x", 1, 0, IN(ETH1, port)));
	receive("with TTL and TOS", s, 200, 0);
	t_set(s, IPPROTO_IP, IP_PKTINFO, 0);
	T(sendto(c, "x", 1, 0, IN(ETH1, port)));
	receive("without PKTINFO", s, 200, 0);
	close(s);
	s = t_bound(SOCK_DGRAM, ETH1, ++port);
	ask4(s);
	T(sendto(c, "x", 1, 0, IN(ETH1, port)));
	receive("bound to eth1", s, 200, 0);
	close(s);
	close(c);
}

static void room(void)
{
	static const size_t rooms[] = {0,  1,  15, 16, 17, 27, 28, 31,
				       32, 47, 48, 50, 56, 72, 73, 80};
	t_case("room");
	int s = t_bound(SOCK_DGRAM, LO, ++port), c = t_socket(SOCK_DGRAM);
	ask4(s);
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		char label[32];
		snprintf(label, sizeof(label), "room %zu", rooms[i]);
		sendto(c, "x", 1, 0, IN(LO, port));
		receive(label, s, rooms[i], 0);
	}
	close(s);
	close(c);
}

static void chosen(void)
{
	struct in_pktinfo info = {0};
	struct sockaddr_in to;
	int s = t_bound(SOCK_DGRAM, ANY, ++port), c = t_socket(SOCK_DGRAM), v;
	t_case("chosen");
	ask4(s);
	memcpy(&to, t_in(ETH0, port), sizeof(to));
	inet_pton(AF_INET, ETH1, &info.ipi_spec_dst);
	send_with("from eth1", c, &to, sizeof(to), 0, IP_PKTINFO, &info, sizeof(info));
	receive("got", s, 200, 0);
	inet_pton(AF_INET, ETH0, &info.ipi_spec_dst);
	send_with("from eth0", c, &to, sizeof(to), 0, IP_PKTINFO, &info, sizeof(info));
	receive("got", s, 200, 0);
	inet_pton(AF_INET, NOWHERE, &info.ipi_spec_dst);
	send_with("from nowhere", c, &to, sizeof(to), 0, IP_PKTINFO, &info, sizeof(info));
	send_with("short", c, &to, sizeof(to), 0, IP_PKTINFO, &info, 8);
	info = (struct in_pktinfo){.ipi_ifindex = 99};
	send_with("interface 99", c, &to, sizeof(to), 0, IP_PKTINFO, &info, sizeof(info));
	for (v = -1; v <= 256; v += 1 + 85 * (v > 0)) {
		char label[32];
		snprintf(label, sizeof(label), "TTL %d", v);
		send_with(label, c, &to, sizeof(to), 0, IP_TTL, &v, sizeof(v));
		receive("got", s, 200, 0);
		snprintf(label, sizeof(label), "TOS %d", v);
		send_with(label, c, &to, sizeof(to), 0, IP_TOS, &v, sizeof(v));
		receive("got", s, 200, 0);
	}
	send_with("unknown", c, &to, sizeof(to), 0, 99, &v, sizeof(v));
	send_with("another level", c, &to, sizeof(to), 41, IPV6_TCLASS, &v, sizeof(v));
	send_with("SOL_SOCKET", c, &to, sizeof(to), SOL_SOCKET, 99, &v, sizeof(v));
	receive("one", s, 200, 0);
	receive("no more", s, 200, 0);
	close(s);
	close(c);
}

static void ipv6(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)++port)},
			    to = any;
	int s = socket(AF_INET6, SOCK_DGRAM, 0), c = socket(AF_INET6, SOCK_DGRAM, 0), four, v = 7;
	t_case("ipv6");
	to.sin6_addr = in6addr_loopback;
	T(bind(s, (struct sockaddr *)&any, sizeof(any)));
	t_set(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	t_set(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	t_set(s, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	t_opt("TCLASS asked", s, IPPROTO_IPV6, IPV6_RECVTCLASS);
	T(sendto(c, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	receive("to ::1", s, 200, 0);
	send_with("hop limit", c, &to, sizeof(to), 41, IPV6_HOPLIMIT, &v, sizeof(v));
	receive("got", s, 200, 0);
	send_with("class", c, &to, sizeof(to), 41, IPV6_TCLASS, &v, sizeof(v));
	receive("got", s, 200, 0);
	t_set(c, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0);
	T(sendto(c, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	receive("hop limit 0", s, 40, 0);
	four = t_socket(SOCK_DGRAM);
	T(sendto(four, "x", 1, 0, IN(ETH0, port)));
	receive("of IPv4", s, 200, 0);
	ask4(s);
	T(sendto(four, "x", 1, 0, IN(ETH0, port)));
	receive("of IPv4, asked for", s, 200, 0);
	close(s);
	close(c);
	close(four);
}

int main(void)
{
	T_RUN(asked);
	T_RUN(room);
	T_RUN(chosen);
	T_RUN(ipv6);
	return 0;
}

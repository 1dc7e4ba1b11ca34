/* SPDX-License-Identifier: Apache-2.0 */
/* socket, bind, listen, accept, getsockname, getpeername: addresses and errno. */
#include "t.h"

#include <fcntl.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static void fresh_sockets(void)
{
	t_case("fresh");
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		int s = t_socket(type);
		t_names(type == SOCK_STREAM ? "stream" : "dgram", s);
		T(fcntl(s, F_GETFD));
		T(fcntl(s, F_GETFL));
		t_opt("SO_TYPE", s, SOL_SOCKET, SO_TYPE);
		t_opt("SO_DOMAIN", s, SOL_SOCKET, SO_DOMAIN);
		t_opt("SO_PROTOCOL", s, SOL_SOCKET, SO_PROTOCOL);
		t_opt("SO_ACCEPTCONN", s, SOL_SOCKET, SO_ACCEPTCONN);
		close(s);
	}
	int s = FD(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
	T(fcntl(s, F_GETFD));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	close(s);
}

static void kinds(void)
{
	t_case("kinds");
	FD(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	FD(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
	FD(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	FD(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	FD(socket(AF_INET, SOCK_SEQPACKET, 0));
	FD(socket(AF_INET, SOCK_RDM, 0));
	FD(socket(AF_INET, 0, 0));
	FD(socket(AF_INET, 99, 0));
	FD(socket(AF_INET, SOCK_STREAM, 9999));
	FD(socket(AF_INET, SOCK_STREAM, -1));
	FD(socket(AF_INET, SOCK_STREAM | 0x10000, 0));
	FD(socket(999, SOCK_STREAM, 0));
	FD(socket(-1, SOCK_STREAM, 0));
	int pair[2];
	T(socketpair(AF_INET, SOCK_STREAM, 0, pair));
}

static void binding(void)
{
	static const char *const addresses[] = {ANY,  LO,      "127.1.2.3",	 ETH0,
						ETH1, NOWHERE, "255.255.255.255"};
	t_case("bind");
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
			int s = t_socket(type);
			t_say("address", addresses[i]);
			T(bind(s, IN(addresses[i], 7001)));
			t_names("bound", s);
			T(bind(s, IN(addresses[i], 7002)));
			close(s);
		}
	}
	int s = t_socket(SOCK_STREAM);
	T(bind(s, IN(ETH0, 0)));
	t_names("port 0", s);
	T(t_port(s) >= 32768 && t_port(s) <= 60999);
	close(s);
}

static void conflicts(void)
{
	static const char *const addresses[] = {ANY, LO, ETH0, "127.1.2.3"};
	t_case("conflict");
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		for (int reuse = 0; reuse <= 3; reuse++) {
			int opt = reuse == 2 ? SO_REUSEPORT : SO_REUSEADDR;
			for (size_t i = 0; i < 4; i++) {
				int a = t_socket(type), b = t_socket(type);
				if (reuse) {
					t_set(a, SOL_SOCKET, opt, 1);
					t_set(b, SOL_SOCKET, opt, 1);
				}
				t_need(bind(a, IN(addresses[i % 2 ? 0 : 2], 7003)) == 0, "bind");
				if (reuse == 3 && type == SOCK_STREAM)
					t_need(listen(a, 1) == 0, "listen");
				t_say(reuse == 0   ? "plain"
				      : reuse == 1 ? "SO_REUSEADDR"
				      : reuse == 2 ? "SO_REUSEPORT"
						   : "listening",
				      addresses[i]);
				T(bind(b, IN(addresses[i], 7003)));
				if (type == SOCK_STREAM)
					T(listen(b, 1));
				close(a);
				close(b);
			}
		}
	}
}

static void both_protocols(void)
{
	t_case("tcp and udp");
	int t = t_socket(SOCK_STREAM), u = t_socket(SOCK_DGRAM);
	T(bind(t, IN(ANY, 7004)));
	T(bind(u, IN(ANY, 7004)));
	close(t);
	close(u);
}

static void listening(void)
{
	t_case("listen");
	int s = t_socket(SOCK_STREAM);
	FD(accept(s, NULL, NULL));
	T(listen(s, 5));
	t_names("unbound", s);
	t_opt("SO_ACCEPTCONN", s, SOL_SOCKET, SO_ACCEPTCONN);
	T(listen(s, 10));
	T(listen(s, 0));
	T(listen(s, -1));
	T(connect(s, IN(LO, 7999)));
	T(bind(s, IN(LO, 7999)));
	t_nonblock(s, true);
	FD(accept(s, NULL, NULL));
	char byte;
	T(recv(s, &byte, 1, 0));
	T(send(s, "x", 1, MSG_NOSIGNAL));
	T(shutdown(s, SHUT_WR));
	close(s);
	int u = t_bound(SOCK_DGRAM, LO, 0);
	T(listen(u, 1));
	FD(accept(u, NULL, NULL));
	close(u);
}

static void accepting(void)
{
	t_case("accept");
	int l = t_listener(ANY, 7005), c = t_bound(SOCK_STREAM, ETH1, 7006);
	T(connect(c, IN(ETH0, 7005)));
	t_names("client", c);
	union t_address a = {0};
	socklen_t len = sizeof(a);
	int s = FD(accept4(l, &a.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC));
	t_addr("accepted from", &a.storage, len);
	T(len);
	t_names("accepted", s);
	T(fcntl(s, F_GETFD));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	T(listen(s, 1));
	T(bind(s, IN(LO, 7007)));
	T(connect(s, IN(LO, 7007)));
	FD(accept(s, NULL, NULL));
	FD(accept4(l, NULL, NULL, 0x12345));
	close(s);
	close(c);

	/* A short buffer gets a cut address and the true length. */
	c = t_socket(SOCK_STREAM);
	t_need(connect(c, IN(LO, 7005)) == 0, "connect");
	len = 4;
	memset(&a, 0xee, sizeof(a));
	s = FD(accept(l, &a.any, &len));
	T(len);
	T(((unsigned char *)&a)[4]);
	len = 0;
	T(getsockname(s, &a.any, &len));
	T(len);
	len = 8;
	T(getpeername(s, &a.any, &len));
	T(len);
	close(s);
	close(c);
	close(l);
}

static void inherited(void)
{
	t_case("inherit");
	int l = t_bound(SOCK_STREAM, LO, 0), c = t_socket(SOCK_STREAM);
	T(t_set(l, SOL_SOCKET, SO_KEEPALIVE, 1));
	T(t_set(l, IPPROTO_TCP, 1 /* TCP_NODELAY */, 1));
	T(t_set(l, IPPROTO_IP, IP_TOS, 0x10));
	T(t_set(l, SOL_SOCKET, SO_RCVBUF, 40000));
	t_nonblock(l, true);
	t_need(listen(l, 4) == 0, "listen");
	t_need(connect(c, IN(LO, t_port(l))) == 0, "connect");
	int s = FD(accept(l, NULL, NULL));
	t_opt("SO_REUSEADDR", s, SOL_SOCKET, SO_REUSEADDR);
	t_opt("SO_KEEPALIVE", s, SOL_SOCKET, SO_KEEPALIVE);
	t_opt("TCP_NODELAY", s, IPPROTO_TCP, 1);
	t_opt("IP_TOS", s, IPPROTO_IP, IP_TOS);
	t_opt("SO_RCVBUF", s, SOL_SOCKET, SO_RCVBUF);
	t_opt("SO_ACCEPTCONN", s, SOL_SOCKET, SO_ACCEPTCONN);
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	close(s);
	close(c);
	close(l);
}

static void reopened(void)
{
	/* The server closed first: its port is in TIME_WAIT, in the way of a bind without
	 * SO_REUSEADDR. */
	t_case("time wait");
	int l = t_socket(SOCK_STREAM), c = t_socket(SOCK_STREAM);
	char byte;
	t_need(bind(l, IN(LO, 7008)) == 0 && listen(l, 1) == 0, "listen");
	t_need(connect(c, IN(LO, 7008)) == 0, "connect");
	int s = accept(l, NULL, NULL);
	t_need(s >= 0, "accept");
	close(l);
	close(s);
	T(recv(c, &byte, 1, 0));
	close(c);
	t_sleep_ms(50);
	int again = t_socket(SOCK_STREAM);
	T(bind(again, IN(LO, 7008)));
	T(t_set(again, SOL_SOCKET, SO_REUSEADDR, 1));
	T(bind(again, IN(LO, 7008)));
	close(again);
	/* Linux: with SO_REUSEADDR on the earlier socket too, TIME_WAIT is no hindrance. */
	l = t_listener(LO, 7009);
	c = t_socket(SOCK_STREAM);
	t_need(connect(c, IN(LO, 7009)) == 0, "connect");
	s = accept(l, NULL, NULL);
	close(l);
	close(s);
	T(recv(c, &byte, 1, 0));
	close(c);
	t_sleep_ms(50);
	again = t_socket(SOCK_STREAM);
	T(t_set(again, SOL_SOCKET, SO_REUSEADDR, 1));
	T(bind(again, IN(LO, 7009)));
	T(listen(again, 1));
	close(again);
}

int main(void)
{
	T_RUN(fresh_sockets);
	T_RUN(kinds);
	T_RUN(binding);
	T_RUN(conflicts);
	T_RUN(both_protocols);
	T_RUN(listening);
	T_RUN(accepting);
	T_RUN(inherited);
	T_RUN(reopened);
	return 0;
}

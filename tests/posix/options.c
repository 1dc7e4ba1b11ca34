/* SPDX-License-Identifier: Apache-2.0 */
/* Socket options: defaults, what is set comes back, lengths, and what does not exist. */
#include "t.h"

#include <limits.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const struct {
	const char *name;
	int level, option;
} all[] = {
#define O(level, option)                                                                           \
	{                                                                                          \
#option, level, option                                                             \
	}
	O(SOL_SOCKET, SO_BROADCAST),
	O(SOL_SOCKET, SO_DEBUG),
	O(SOL_SOCKET, SO_DONTROUTE),
	O(SOL_SOCKET, SO_KEEPALIVE),
	O(SOL_SOCKET, SO_OOBINLINE),
	O(SOL_SOCKET, SO_REUSEADDR),
	O(SOL_SOCKET, SO_REUSEPORT),
	O(SOL_SOCKET, SO_NO_CHECK),
	O(SOL_SOCKET, SO_TIMESTAMP),
	O(SOL_SOCKET, SO_TIMESTAMPNS),
	O(SOL_SOCKET, SO_PASSCRED),
	O(SOL_SOCKET, SO_ZEROCOPY),
	O(SOL_SOCKET, SO_PRIORITY),
	O(SOL_SOCKET, SO_MARK),
	O(SOL_SOCKET, SO_RCVLOWAT),
	O(SOL_SOCKET, SO_SNDLOWAT),
	O(SOL_SOCKET, SO_INCOMING_CPU),
	O(SOL_SOCKET, SO_BUSY_POLL),
	O(SOL_SOCKET, SO_RXQ_OVFL),
	O(SOL_SOCKET, SO_PEEK_OFF),
	O(IPPROTO_TCP, TCP_NODELAY),
	O(IPPROTO_TCP, TCP_CORK),
	O(IPPROTO_TCP, TCP_MAXSEG),
	O(IPPROTO_TCP, TCP_KEEPIDLE),
	O(IPPROTO_TCP, TCP_KEEPINTVL),
	O(IPPROTO_TCP, TCP_KEEPCNT),
	O(IPPROTO_TCP, TCP_SYNCNT),
	O(IPPROTO_TCP, TCP_LINGER2),
	O(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	O(IPPROTO_TCP, TCP_QUICKACK),
	O(IPPROTO_TCP, TCP_USER_TIMEOUT),
	O(IPPROTO_TCP, TCP_FASTOPEN),
	O(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
	O(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	O(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS),
	O(IPPROTO_TCP, TCP_INQ),
	O(IPPROTO_TCP, 9999),
	O(IPPROTO_IP, IP_TOS),
	O(IPPROTO_IP, IP_TTL),
	O(IPPROTO_IP, IP_MTU_DISCOVER),
	O(IPPROTO_IP, IP_RECVERR),
	O(IPPROTO_IP, IP_PKTINFO),
	O(IPPROTO_IP, IP_RECVTTL),
	O(IPPROTO_IP, IP_RECVTOS),
	O(IPPROTO_IP, IP_FREEBIND),
	O(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
	O(IPPROTO_IP, IP_MULTICAST_TTL),
	O(IPPROTO_IP, IP_MULTICAST_LOOP),
	O(IPPROTO_IP, IP_MINTTL),
	O(IPPROTO_IP, IP_MTU),
	O(IPPROTO_IP, 9999),
	O(IPPROTO_UDP, UDP_CORK),
	O(IPPROTO_UDP, UDP_SEGMENT),
	O(IPPROTO_UDP, UDP_GRO),
	O(IPPROTO_IPV6, 26 /* IPV6_V6ONLY */),
	O(9999, 1),
#undef O
};

/* Setting needs privileges that one side of the comparison may lack. */
static bool privileged(int level, int option)
{
	return level == SOL_SOCKET && (option == SO_DEBUG || option == SO_MARK ||
				       option == SO_BUSY_POLL || option == SO_PRIORITY);
}

/* Appends to a line: value, or errno. */
static void append(char *line, size_t size, const char *head, long value, bool failed)
{
	size_t n = strlen(line);
	if (failed)
		snprintf(line + n, size - n, "%s%s", head, strerrorname_np(errno));
	else
		snprintf(line + n, size - n, "%s%ld", head, value);
}

static void append_get(char *line, size_t size, const char *head, int s, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);
	int ret = getsockopt(s, level, option, &value, &len);
	append(line, size, head, len == 1 ? *(char *)&value : value, ret < 0);
}

/* One line an option: its default, then for each of some values what setting it and reading it
 * give. */
static void round_trips(int type)
{
	static const int values[] = {1, 0, -1, 100};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char line[256] = "", head[32];
		int s = t_socket(type);
		append_get(line, sizeof(line), "", s, all[i].level, all[i].option);
		for (size_t k = 0; k < 4 && !privileged(all[i].level, all[i].option); k++) {
			int ret = t_set(s, all[i].level, all[i].option, values[k]);
			snprintf(head, sizeof(head), "; set %d: ", values[k]);
			append(line, sizeof(line), head, ret, ret < 0);
			append_get(line, sizeof(line), ", ", s, all[i].level, all[i].option);
		}
		t_say(all[i].name, line);
		close(s);
	}
}

static void read_only(int s)
{
	T(t_set(s, SOL_SOCKET, SO_TYPE, 1));
	T(t_set(s, SOL_SOCKET, SO_DOMAIN, 1));
	T(t_set(s, SOL_SOCKET, SO_PROTOCOL, 1));
	T(t_set(s, SOL_SOCKET, SO_ERROR, 1));
	T(t_set(s, SOL_SOCKET, SO_ACCEPTCONN, 1));
}

static void buffers(int type)
{
	static const int sizes[] = {0, 1, 1000, 5000, 100000, 1000000, INT_MAX, -1};
	int s = t_socket(type);
	t_opt("default SO_SNDBUF", s, SOL_SOCKET, SO_SNDBUF);
	t_opt("default SO_RCVBUF", s, SOL_SOCKET, SO_RCVBUF);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		T(t_set(s, SOL_SOCKET, SO_SNDBUF, sizes[i]));
		t_opt("SO_SNDBUF", s, SOL_SOCKET, SO_SNDBUF);
		T(t_set(s, SOL_SOCKET, SO_RCVBUF, sizes[i]));
		t_opt("SO_RCVBUF", s, SOL_SOCKET, SO_RCVBUF);
	}
	close(s);
}

static void lengths(int type)
{
	int s = t_socket(type), value = 0;
	char buffer[64];
	socklen_t len;
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, 0));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, 1));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, 3));
	memset(buffer, 1, sizeof(buffer));
	T(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, buffer, sizeof(buffer)));
	T(setsockopt(s, IPPROTO_IP, IP_TOS, buffer, 1));
	T(setsockopt(s, IPPROTO_IP, IP_TOS, buffer, 0));
	t_opt("IP_TOS", s, IPPROTO_IP, IP_TOS);
	if (type == SOCK_STREAM) {
		T(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, buffer, 1));
		T(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, buffer, 3));
		T(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, buffer, 8));
		len = 1;
		T(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, buffer, &len));
		T(len);
	}
	for (socklen_t n = 0; n <= 8; n += 2) {
		len = n;
		memset(buffer, 0, sizeof(buffer));
		T(getsockopt(s, SOL_SOCKET, SO_TYPE, buffer, &len));
		T(len);
		T(buffer[0]);
	}
	len = (socklen_t)-1;
	T(getsockopt(s, SOL_SOCKET, SO_TYPE, buffer, &len));
	len = 1;
	T(getsockopt(s, IPPROTO_IP, IP_TTL, buffer, &len));
	T(len);
	T(buffer[0]);
	close(s);
}

static void structures(int type)
{
	struct linger l = {1, 7}, got_l = {0, 0};
	struct timeval tv = {3, 500000}, got_tv = {0, 0}, bad = {0, 1000000}, negative = {-1, 0};
	socklen_t len = sizeof(got_l);
	int s = t_socket(type);
	T(getsockopt(s, SOL_SOCKET, SO_LINGER, &got_l, &len));
	T(got_l.l_onoff);
	T(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	T(getsockopt(s, SOL_SOCKET, SO_LINGER, &got_l, &len));
	T(got_l.l_onoff * 100 + got_l.l_linger);
	T(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, 4));
	l.l_onoff = 0;
	T(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	T(getsockopt(s, SOL_SOCKET, SO_LINGER, &got_l, &len));
	T(got_l.l_onoff * 100 + got_l.l_linger);
	for (int option = SO_RCVTIMEO; option <= SO_SNDTIMEO; option++) {
		len = sizeof(got_tv);
		T(getsockopt(s, SOL_SOCKET, option, &got_tv, &len));
		T(got_tv.tv_sec * 10 + got_tv.tv_usec / 100000);
		T(len);
		T(setsockopt(s, SOL_SOCKET, option, &tv, sizeof(tv)));
		T(getsockopt(s, SOL_SOCKET, option, &got_tv, &len));
		T(got_tv.tv_sec * 10 + got_tv.tv_usec / 100000);
		T(setsockopt(s, SOL_SOCKET, option, &bad, sizeof(bad)));
		T(setsockopt(s, SOL_SOCKET, option, &negative, sizeof(negative)));
		T(setsockopt(s, SOL_SOCKET, option, &tv, 4));
	}
	close(s);
}

static void connected(void)
{
	t_case("connected");
	int s, c = t_pair(&s);
	struct tcp_info info;
	socklen_t len = sizeof(info);
	memset(&info, 0, sizeof(info));
	T(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &len));
	T(info.tcpi_state);
	T(len > 100);
	T(t_set(c, IPPROTO_TCP, TCP_NODELAY, 1));
	t_opt("TCP_NODELAY", c, IPPROTO_TCP, TCP_NODELAY);
	T(t_set(c, SOL_SOCKET, SO_KEEPALIVE, 1));
	T(t_set(c, IPPROTO_TCP, TCP_KEEPIDLE, 10));
	t_opt("TCP_KEEPIDLE", c, IPPROTO_TCP, TCP_KEEPIDLE);
	T(t_set(c, SOL_SOCKET, SO_REUSEADDR, 1));
	T(t_set(c, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1));
	T(t_set(c, SOL_SOCKET, SO_REUSEPORT, 1));
	t_opt("SO_ERROR", c, SOL_SOCKET, SO_ERROR);
	close(c);
	close(s);
	int l = t_listener(LO, 0);
	len = sizeof(info);
	T(getsockopt(l, IPPROTO_TCP, TCP_INFO, &info, &len));
	T(info.tcpi_state);
	close(l);
	s = t_socket(SOCK_STREAM);
	len = sizeof(info);
	T(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &len));
	T(info.tcpi_state);
	len = 1;
	T(getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &len));
	T(len);
	close(s);
}

static void text_options(void)
{
	t_case("text");
	char name[64] = "";
	socklen_t len = sizeof(name);
	int s = t_socket(SOCK_STREAM);
	T(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	T(len);
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	len = sizeof(name);
	T(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	t_say("congestion", name);
	T(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "no-such", 7));
	len = sizeof(name);
	T(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	T(len);
	T(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "no-such-device", 15));
	T(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	len = sizeof(name);
	T(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	T(len);
	close(s);
}

static void of_kind(int type)
{
	int s = t_socket(type);
	t_case(type == SOCK_STREAM ? "stream" : "dgram");
	round_trips(type);
	read_only(s);
	buffers(type);
	lengths(type);
	structures(type);
	close(s);
}

static void stream(void)
{
	of_kind(SOCK_STREAM);
}

static void dgram(void)
{
	of_kind(SOCK_DGRAM);
}

int main(void)
{
	T_RUN(stream);
	T_RUN(dgram);
	T_RUN(connected);
	T_RUN(text_options);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

void say(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(shared->out + shared->used, OUT_BYTES - shared->used, format, ap);
	va_end(ap);
	if (n > 0 && shared->used + (unsigned)n < OUT_BYTES)
		shared->used += (unsigned)n;
}

static const uint16_t fixed[] = {80, 443, 1023, 2000, 8080, 20000, 61001, 40009};
#define N_FIXED (sizeof(fixed) / sizeof(fixed[0]))

/* ---- addresses ---- */

static struct {
	const char *name;
	char text[48];
} addresses[] = {
	{"any4", "0.0.0.0"},
	{"lo4", "127.0.0.1"},
	{"lo4b", "127.0.0.2"},
	{"a4", ""},
	{"b4", ""},
	{"foreign4", "203.0.113.7"},
	{"bcast4", ""},
	{"mcast4", "239.1.2.3"},
	{"ones4", "255.255.255.255"},
	{"any6", "::"},
	{"lo6", "::1"},
	{"a6", ""},
	{"foreign6", "fd99::9"},
	{"mcast6", "ff05::77"},
};
#define N_ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

static bool ports_used[N_FIXED], narrow_used;

void words_begin(unsigned k)
{
	uint8_t raw[16];
	unsigned hi = k >> 8 & 0xff, lo = k & 0xff;
	snprintf(addresses[3].text, sizeof(addresses[3].text), "11.%u.%u.1", hi, lo);
	snprintf(addresses[4].text, sizeof(addresses[4].text), "12.%u.%u.1", hi, lo);
	snprintf(addresses[6].text, sizeof(addresses[6].text), "11.%u.%u.255", hi, lo);
	snprintf(addresses[11].text, sizeof(addresses[11].text), "fd77:%x::1", k);
	if (inet_pton(AF_INET6, addresses[11].text, raw) == 1) /* as it is shown: 0 is left out */
		inet_ntop(AF_INET6, raw, addresses[11].text, sizeof(addresses[11].text));
	memset(ports_used, 0, sizeof(ports_used));
	narrow_used = false;
}

/* The number of "P3", or -1. */
static int fixed_port(const char *word)
{
	bool is = word[0] == 'P' && word[1] >= '0' && (size_t)(word[1] - '0') < N_FIXED;
	return is ? word[1] - '0' : -1;
}

void words_used(const char *word)
{
	if (fixed_port(word) >= 0)
		ports_used[fixed_port(word)] = true;
	narrow_used = narrow_used || strcmp(word, "portrange") == 0;
}

void words_address(char which, char *text, size_t size)
{
	snprintf(text, size, "%s", addresses[which == 'a' ? 3 : which == 'b' ? 4 : 11].text);
}

static const char *text_of(const char *name)
{
	for (size_t i = 0; i < N_ADDRESSES; i++)
		if (strcmp(addresses[i].name, name) == 0)
			return addresses[i].text;
	return NULL;
}

static const char *name_of(const char *text)
{
	for (size_t i = 0; i < N_ADDRESSES; i++)
		if (strcmp(addresses[i].text, text) == 0)
			return addresses[i].name;
	return text;
}

/* ---- ports ---- */

/* "P3", "0", "@s2" (the port that s2 was last seen to have). */
static bool port_of(const char *word, uint16_t *port)
{
	if (word[0] == '@') {
		unsigned s = (unsigned)strtoul(word + 2, NULL, 10);
		*port = s < MAX_SOCKETS ? shared->ports[s] : 0;
		return true;
	}
	if (fixed_port(word) >= 0) {
		*port = fixed[fixed_port(word)];
		return true;
	}
	*port = 0;
	return strcmp(word, "0") == 0;
}

static void say_port(uint16_t port)
{
	for (size_t i = 0; i < N_FIXED; i++) {
		if (fixed[i] == port && ports_used[i]) {
			say(":P%zu", i);
			return;
		}
	}
	if (port == 0) {
		say(":0");
		return;
	}
	uint32_t i = 0;
	while (i < shared->n_ephemeral && shared->ephemeral[i] != port)
		i++;
	if (i == shared->n_ephemeral && i < MAX_EPHEM)
		shared->ephemeral[shared->n_ephemeral++] = port;
	/* "n": of the narrow range that programs give with IP_LOCAL_PORT_RANGE. */
	say(":E%u%s", i + 1,
	    narrow_used && port >= 40000 && port < 40010 ? "n"
	    : port < 32768 || port > 60999		 ? "!"
							 : "");
}

bool words_sockaddr(const char *address, const char *port, struct sockaddr_storage *out,
		    socklen_t *len)
{
	bool mapped = strncmp(address, "m:", 2) == 0, unspec = strncmp(address, "u:", 2) == 0;
	const char *text = text_of(mapped || unspec ? address + 2 : address);
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	char buf[64];
	uint16_t p;
	memset(out, 0, sizeof(*out));
	if (text == NULL || !port_of(port, &p))
		return false;
	snprintf(buf, sizeof(buf), "%s%s", mapped ? "::ffff:" : "", text);
	if (inet_pton(AF_INET6, buf, &in6->sin6_addr) == 1) {
		in6->sin6_family = unspec ? AF_UNSPEC : AF_INET6;
		in6->sin6_port = htons(p);
		*len = sizeof(*in6);
	} else {
		inet_pton(AF_INET, buf, &in->sin_addr);
		in->sin_family = unspec ? AF_UNSPEC : AF_INET;
		in->sin_port = htons(p);
		*len = sizeof(*in);
	}
	return true;
}

uint16_t words_port(const struct sockaddr_storage *a)
{
	return ntohs(((const struct sockaddr_in *)a)->sin_port);
}

void words_say_sockaddr(const struct sockaddr_storage *a, socklen_t len)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
	char text[64] = "";
	if (len == 0) {
		say("none");
		return;
	}
	if (a->ss_family == AF_INET && len == sizeof(*in)) {
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		say("%s", name_of(text));
	} else if (a->ss_family == AF_INET6 && len == sizeof(*in6)) {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		if (strncmp(text, "::ffff:", 7) == 0)
			say("m:%s", name_of(text + 7));
		else
			say("%s", name_of(text));
		if (in6->sin6_scope_id != 0)
			say("%%%u", in6->sin6_scope_id);
		if (in6->sin6_flowinfo != 0)
			say("/%u", in6->sin6_flowinfo);
	} else {
		say("family %d length %u", a->ss_family, len);
		return;
	}
	say_port(words_port(a));
}

/* ---- options ---- */

enum kind { INT, LINGER, DEVNAME, RANGE, STATE, ERROR };

static const struct {
	const char *name;
	int level, opt;
	enum kind kind;
} options[] = {
	{"reuseaddr", SOL_SOCKET, SO_REUSEADDR, INT},
	{"reuseport", SOL_SOCKET, SO_REUSEPORT, INT},
	{"v6only", IPPROTO_IPV6, IPV6_V6ONLY, INT},
	{"bindnoport", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, INT},
	{"portrange", IPPROTO_IP, IP_LOCAL_PORT_RANGE, RANGE},
	{"freebind", IPPROTO_IP, IP_FREEBIND, INT},
	{"freebind6", IPPROTO_IPV6, IPV6_FREEBIND, INT},
	{"transparent", IPPROTO_IP, IP_TRANSPARENT, INT},
	{"transparent6", IPPROTO_IPV6, IPV6_TRANSPARENT, INT},
	{"device", SOL_SOCKET, SO_BINDTODEVICE, DEVNAME},
	{"ifindex", SOL_SOCKET, SO_BINDTOIFINDEX, INT},
	{"linger", SOL_SOCKET, SO_LINGER, LINGER},
	{"error", SOL_SOCKET, SO_ERROR, ERROR},
	{"type", SOL_SOCKET, SO_TYPE, INT},
	{"domain", SOL_SOCKET, SO_DOMAIN, INT},
	{"protocol", SOL_SOCKET, SO_PROTOCOL, INT},
	{"acceptconn", SOL_SOCKET, SO_ACCEPTCONN, INT},
	{"broadcast", SOL_SOCKET, SO_BROADCAST, INT},
	{"keepalive", SOL_SOCKET, SO_KEEPALIVE, INT},
	{"oobinline", SOL_SOCKET, SO_OOBINLINE, INT},
	{"dontroute", SOL_SOCKET, SO_DONTROUTE, INT},
	{"priority", SOL_SOCKET, SO_PRIORITY, INT},
	{"mark", SOL_SOCKET, SO_MARK, INT},
	{"timestamp", SOL_SOCKET, SO_TIMESTAMP, INT},
	{"incomingcpu", SOL_SOCKET, SO_INCOMING_CPU, INT},
	{"nodelay", IPPROTO_TCP, TCP_NODELAY, INT},
	{"cork", IPPROTO_TCP, TCP_CORK, INT},
	{"keepidle", IPPROTO_TCP, TCP_KEEPIDLE, INT},
	{"keepcnt", IPPROTO_TCP, TCP_KEEPCNT, INT},
	{"syncnt", IPPROTO_TCP, TCP_SYNCNT, INT},
	{"usertimeout", IPPROTO_TCP, TCP_USER_TIMEOUT, INT},
	{"linger2", IPPROTO_TCP, TCP_LINGER2, INT},
	{"tcpstate", IPPROTO_TCP, TCP_INFO, STATE},
	{"udpcork", IPPROTO_UDP, UDP_CORK, INT},
	{"ttl", IPPROTO_IP, IP_TTL, INT},
	{"tos", IPPROTO_IP, IP_TOS, INT},
	{"recverr", IPPROTO_IP, IP_RECVERR, INT},
	{"recverr6", IPPROTO_IPV6, IPV6_RECVERR, INT},
	{"pktinfo", IPPROTO_IP, IP_PKTINFO, INT},
	{"pktinfo6", IPPROTO_IPV6, IPV6_RECVPKTINFO, INT},
	{"hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS, INT},
	{"tclass", IPPROTO_IPV6, IPV6_TCLASS, INT},
	{"mtudisc", IPPROTO_IP, IP_MTU_DISCOVER, INT},
	{"addrform", IPPROTO_IPV6, IPV6_ADDRFORM, INT},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static size_t option(const char *name)
{
	size_t i = 0;
	while (i < N_OPTIONS && strcmp(options[i].name, name) != 0)
		i++;
	return i;
}

/* "7"; linger "0" (at once) or "off"; range "40000-40009" or "0"; device "lo" or "none". */
int words_setsockopt(int fd, const char *name, const char *value)
{
	size_t i = option(name);
	int v = atoi(value);
	if (i == N_OPTIONS)
		return -2;
	int level = options[i].level, opt = options[i].opt;
	if (options[i].kind == LINGER) {
		struct linger l = {strcmp(value, "off") != 0, v};
		return setsockopt(fd, level, opt, &l, sizeof(l));
	}
	if (options[i].kind == DEVNAME) {
		const char *device = strcmp(value, "none") == 0 ? "" : value;
		return setsockopt(fd, level, opt, device, (socklen_t)strlen(device) + 1);
	}
	if (options[i].kind == RANGE) {
		const char *dash = strchr(value, '-');
		uint32_t r = (uint32_t)v | (dash ? (uint32_t)atoi(dash + 1) << 16 : 0);
		return setsockopt(fd, level, opt, &r, sizeof(r));
	}
	return setsockopt(fd, level, opt, &v, sizeof(v));
}

void words_getsockopt(int fd, const char *name)
{
	static const char *const states[] = {"0",	   "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
					     "FIN_WAIT1",  "FIN_WAIT2",	  "TIME_WAIT", "CLOSE",
					     "CLOSE_WAIT", "LAST_ACK",	  "LISTEN",    "CLOSING"};
	size_t i = option(name);
	union {
		int v;
		uint32_t u;
		struct linger l;
		char text[16];
		uint8_t state;
	} u = {.text = ""};
	socklen_t len = i < N_OPTIONS && options[i].kind == INT ? sizeof(int) : sizeof(u);
	if (i == N_OPTIONS) {
		say("no such option");
		return;
	}
	if (options[i].kind == RANGE || options[i].kind == ERROR)
		len = sizeof(int);
	errno = 0;
	if (getsockopt(fd, options[i].level, options[i].opt, &u, &len) != 0) {
		words_say_error(errno);
	} else if (options[i].kind == LINGER) {
		say("%d:%d", u.l.l_onoff, u.l.l_linger);
	} else if (options[i].kind == DEVNAME) {
		say("'%.*s'", (int)len, u.text);
	} else if (options[i].kind == RANGE) {
		say("%u-%u", u.u & 0xffff, u.u >> 16);
	} else if (options[i].kind == STATE) {
		say("%s", u.state < 12 ? states[u.state] : "?");
	} else if (options[i].kind == ERROR) {
		words_say_error(u.v);
	} else if (len != sizeof(int)) {
		say("%d length %u", u.v, len);
	} else {
		say("%d", u.v);
	}
}

void words_say_error(int e)
{
	const char *name = e == 0 ? "0" : strerrorname_np(e);
	say("%s", name == NULL ? "?" : name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names. A program in a host knows the hosts of its network, itself and localhost; it never
 * asks the machine's resolver, which would go to the real network behind our back (glibc's own
 * sockets do not pass our wrappers). What libc can do without a look-up (numbers, services,
 * AI_PASSIVE) is left to it.
 */
#include "preload.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_ADDRS BT_HOST_ADDRS

static const char *own_name(void)
{
	const char *name = getenv("BERTH_HOST");
	return name == NULL ? "localhost" : name;
}

static bool is_localhost(const char *name)
{
	return strcasecmp(name, "localhost") == 0 ||
	       strcasecmp(name, "localhost.localdomain") == 0 ||
	       strcasecmp(name, "ip6-localhost") == 0;
}

/* The addresses of a name of this network, IPv4 for now; how many, 0: unknown, -1: no berthd. */
static int look_up(const char *name, struct in_addr out[MAX_ADDRS])
{
	struct bt_req q;
	struct bt_rep rep;
	uint8_t raw[MAX_ADDRS][16];
	size_t got = sizeof(raw);
	if (is_localhost(name)) {
		out[0].s_addr = htonl(INADDR_LOOPBACK);
		return 1;
	}
	size_t len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= BT_HOST_NAME)
		return 0;
	bt_req_init(&q, BT_RESOLVE, NULL);
	q.extra = (uint32_t)len;
	int e = bt_call(-1, &q, name, &rep, raw, &got);
	if (e != 0)
		return e == ENETDOWN ? -1 : 0;
	int n = 0;
	for (size_t i = 0; i < got / 16; i++)
		if (raw[i][10] == 0xff && raw[i][11] == 0xff)
			memcpy(&out[n++], raw[i] + 12, 4);
	return n;
}

/* The name of an address; false: nobody's. */
static bool look_back(const struct in_addr *a, char *name, size_t size)
{
	struct bt_req q;
	struct bt_rep rep;
	size_t got = size - 1;
	bt_req_init(&q, BT_REVERSE, NULL);
	q.addr[10] = q.addr[11] = 0xff;
	memcpy(q.addr + 12, a, 4);
	if (bt_call(-1, &q, NULL, &rep, name, &got) != 0)
		return false;
	name[got] = '\0';
	return true;
}

/* One list entry set for each address, by libc from the number, joined (freeaddrinfo frees any
 * chain). */
static int from_numbers(const char *node, const struct in_addr *a, int n, const char *service,
			struct addrinfo hints, struct addrinfo **res)
{
	struct addrinfo *all = NULL, **end = &all;
	bool canon = hints.ai_flags & AI_CANONNAME;
	hints.ai_flags = (hints.ai_flags | AI_NUMERICHOST) & ~AI_CANONNAME;
	for (int i = 0; i < n; i++) {
		char text[INET_ADDRSTRLEN];
		inet_ntop(AF_INET, &a[i], text, sizeof(text));
		int e = bt_real()->getaddrinfo(text, service, &hints, end);
		if (e != 0) {
			if (all != NULL)
				freeaddrinfo(all);
			return e;
		}
		while (*end != NULL)
			end = &(*end)->ai_next;
	}
	if (canon && all != NULL)
		all->ai_canonname = strdup(is_localhost(node) ? "localhost" : node);
	*res = all;
	return 0;
}

PUBLIC int getaddrinfo(const char *node, const char *service, const struct addrinfo *given,
		       struct addrinfo **res)
{
	struct addrinfo hints = {0};
	struct in_addr a[MAX_ADDRS];
	uint8_t number[16];
	if (!bt_in_host())
		return bt_real()->getaddrinfo(node, service, given, res);
	if (given != NULL)
		hints = *given;
	/* Whether an address family is set up is asked of the machine, not of the host. */
	hints.ai_flags &= ~(AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL);
	if (hints.ai_family == AF_UNSPEC &&
	    (node == NULL || inet_pton(AF_INET6, node, number) != 1))
		hints.ai_family = AF_INET;
	if (node == NULL || hints.ai_flags & AI_NUMERICHOST ||
	    inet_aton(node, (void *)number) != 0 || inet_pton(AF_INET6, node, number) == 1)
		return bt_real()->getaddrinfo(node, service, &hints, res);
	if (hints.ai_family != AF_INET)
		return hints.ai_family == AF_INET6 ? EAI_ADDRFAMILY : EAI_FAMILY;
	int n = look_up(node, a);
	if (n <= 0)
		return n < 0 ? EAI_AGAIN : EAI_NONAME;
	return from_numbers(node, a, n, service, hints, res);
}

PUBLIC int getnameinfo(const struct sockaddr *sa, socklen_t len, char *host, socklen_t host_len,
		       char *service, socklen_t service_len, int flags)
{
	char name[BT_HOST_NAME + 1];
	if (!bt_in_host() || host == NULL || host_len == 0 || flags & NI_NUMERICHOST ||
	    sa == NULL || sa->sa_family != AF_INET || len < sizeof(struct sockaddr_in))
		return bt_real()->getnameinfo(sa, len, host, host_len, service, service_len, flags);
	struct sockaddr_in in;
	memcpy(&in, sa, sizeof(in));
	if (!look_back(&in.sin_addr, name, sizeof(name))) {
		if (flags & NI_NAMEREQD)
			return EAI_NONAME;
		return bt_real()->getnameinfo(sa, len, host, host_len, service, service_len,
					      flags | NI_NUMERICHOST);
	}
	if (strlen(name) >= host_len)
		return EAI_OVERFLOW;
	memcpy(host, name, strlen(name) + 1);
	if (service == NULL || service_len == 0)
		return 0;
	return bt_real()->getnameinfo(sa, len, NULL, 0, service, service_len, flags & ~NI_NAMEREQD);
}

/* ---- the older calls ---- */

/* Lays out a hostent in the caller's buffer: pointers, addresses, name. ERANGE: too small. */
static int lay_out(const char *name, const struct in_addr *a, int n, struct hostent *h, char *buf,
		   size_t size)
{
	size_t align = (8 - (uintptr_t)buf % 8) % 8;
	size_t need = align + (size_t)(n + 2) * sizeof(char *) + (size_t)n * 4 + strlen(name) + 1;
	if (size < need)
		return ERANGE;
	char **list = (char **)(void *)(buf + align);
	char *at = (char *)(list + n + 2);
	for (int i = 0; i < n; i++) {
		list[i] = at;
		memcpy(at, &a[i], 4);
		at += 4;
	}
	list[n] = NULL;
	list[n + 1] = NULL;
	memcpy(at, name, strlen(name) + 1);
	*h = (struct hostent){at, &list[n + 1], AF_INET, 4, list};
	return 0;
}

PUBLIC int gethostbyname2_r(const char *name, int family, struct hostent *h, char *buf, size_t size,
			    struct hostent **result, int *herr)
{
	struct in_addr a[MAX_ADDRS];
	int n = 1;
	*result = NULL;
	if (!bt_in_host()) {
		return bt_real()->gethostbyname2_r(name, family, h, buf, size, result, herr);
	}
	if (family != AF_INET || (inet_aton(name, &a[0]) == 0 && (n = look_up(name, a)) <= 0)) {
		*herr = n < 0 ? TRY_AGAIN : HOST_NOT_FOUND;
		return n < 0 ? EAGAIN : 0;
	}
	int e = lay_out(name, a, n, h, buf, size);
	if (e != 0)
		*herr = NETDB_INTERNAL;
	else
		*result = h;
	return e;
}

PUBLIC int gethostbyname_r(const char *name, struct hostent *h, char *buf, size_t size,
			   struct hostent **result, int *herr)
{
	return gethostbyname2_r(name, AF_INET, h, buf, size, result, herr);
}

/* Not thread-safe by definition; a thread's own is kinder. */
static __thread char static_buf[1024];
static __thread struct hostent static_host;

PUBLIC struct hostent *gethostbyname2(const char *name, int family)
{
	struct hostent *r;
	gethostbyname2_r(name, family, &static_host, static_buf, sizeof(static_buf), &r, &h_errno);
	return r;
}

PUBLIC struct hostent *gethostbyname(const char *name)
{
	return gethostbyname2(name, AF_INET);
}

PUBLIC int gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *h,
			   char *buf, size_t size, struct hostent **result, int *herr)
{
	char name[BT_HOST_NAME + 1];
	struct in_addr a;
	*result = NULL;
	if (!bt_in_host()) {
		return bt_real()->gethostbyaddr_r(addr, len, family, h, buf, size, result, herr);
	}
	if (family != AF_INET || len != sizeof(a)) {
		*herr = HOST_NOT_FOUND;
		return 0;
	}
	memcpy(&a, addr, sizeof(a));
	if (!look_back(&a, name, sizeof(name))) {
		*herr = HOST_NOT_FOUND;
		return 0;
	}
	int e = lay_out(name, &a, 1, h, buf, size);
	if (e != 0)
		*herr = NETDB_INTERNAL;
	else
		*result = h;
	return e;
}

PUBLIC struct hostent *gethostbyaddr(const void *addr, socklen_t len, int family)
{
	struct hostent *r;
	gethostbyaddr_r(addr, len, family, &static_host, static_buf, sizeof(static_buf), &r,
			&h_errno);
	return r;
}

/* A host's name is given when it is made; the machine's is not the host's to change. */
PUBLIC int sethostname(const char *name, size_t len)
{
	if (bt_in_host()) {
		errno = EPERM;
		return -1;
	}
	return bt_real()->sethostname(name, len);
}

PUBLIC int gethostname(char *name, size_t len)
{
	if (!bt_in_host()) {
		return bt_real()->gethostname(name, len);
	}
	const char *own = own_name();
	if (bt_bad_pointer(name)) {
		errno = EFAULT;
		return -1;
	}
	if (strlen(own) >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, own, strlen(own) + 1);
	return 0;
}

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

struct found {
	uint8_t addr[MAX_ADDRS][16]; /* IPv4 mapped */
	int n;
};

static void put_v4(uint8_t a[16], const void *v4)
{
	memset(a, 0, 10);
	a[10] = a[11] = 0xff;
	memcpy(a + 12, v4, 4);
}

/* The addresses of a name of this network; false: no berthd. */
static bool look_up(const char *name, struct found *f)
{
	static const uint8_t lo4[4] = {127, 0, 0, 1};
	struct bt_req q;
	struct bt_rep rep;
	size_t got = sizeof(f->addr);
	f->n = 0;
	if (is_localhost(name)) {
		memset(f->addr[0], 0, 16);
		f->addr[0][15] = 1;
		put_v4(f->addr[1], lo4);
		f->n = 2;
		return true;
	}
	size_t len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= BT_HOST_NAME)
		return true;
	bt_req_init(&q, BT_RESOLVE, NULL);
	q.extra = (uint32_t)len;
	int e = bt_call(-1, &q, name, &rep, f->addr, &got);
	if (e == 0)
		f->n = (int)(got / 16);
	return e != ENETDOWN;
}

/* Leaves the addresses of one family, in their order. */
static void keep_family(struct found *f, int family)
{
	int n = 0;
	for (int i = 0; i < f->n; i++)
		if (bt_is_v4(f->addr[i]) == (family == AF_INET))
			memmove(f->addr[n++], f->addr[i], 16);
	f->n = n;
}

/* Whether the host has an address of the family beside loopback's (AI_ADDRCONFIG). */
static bool configured(int family)
{
	struct bt_host_row h;
	if (bt_table() == NULL || !bt_host_read(bt_table(), bt_host(), &h))
		return true;
	for (int i = 0; i < h.n_addrs && i < (int)BT_HOST_ADDRS; i++)
		if (h.addrs[i].dev != 1 && (h.addrs[i].family == 6) == (family == AF_INET6))
			return true;
	return false;
}

/* The name of an address; false: nobody's. */
static bool look_back(const uint8_t a[16], char *name, size_t size)
{
	struct bt_req q;
	struct bt_rep rep;
	size_t got = size - 1;
	bt_req_init(&q, BT_REVERSE, NULL);
	memcpy(q.addr, a, 16);
	if (bt_call(-1, &q, NULL, &rep, name, &got) != 0)
		return false;
	name[got] = '\0';
	return true;
}

/* One list entry set for each address, by libc from the number, joined (freeaddrinfo frees any
 * chain). */
static int from_numbers(const char *node, const struct found *f, const char *service,
			struct addrinfo hints, struct addrinfo **res)
{
	struct addrinfo *all = NULL, **end = &all;
	bool canon = hints.ai_flags & AI_CANONNAME, mapped = hints.ai_family == AF_INET6;
	hints.ai_flags = (hints.ai_flags | AI_NUMERICHOST) & ~AI_CANONNAME;
	if (mapped)
		hints.ai_flags |= AI_V4MAPPED;
	for (int i = 0; i < f->n; i++) {
		char text[INET6_ADDRSTRLEN];
		if (!mapped)
			hints.ai_family = bt_is_v4(f->addr[i]) ? AF_INET : AF_INET6;
		if (bt_is_v4(f->addr[i]))
			inet_ntop(AF_INET, f->addr[i] + 12, text, sizeof(text));
		else
			inet_ntop(AF_INET6, f->addr[i], text, sizeof(text));
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

/* No name to look up: libc alone, but for the order of the two families, which it would find out by
 * asking the machine's routes. Wildcards: IPv4 first; loopback: IPv6 first (glibc on a machine that
 * has both). */
static int without_name(const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo each = *hints, *second = NULL;
	bool passive = hints->ai_flags & AI_PASSIVE;
	if (hints->ai_family != AF_UNSPEC)
		return bt_real()->getaddrinfo(NULL, service, hints, res);
	each.ai_family = passive ? AF_INET : AF_INET6;
	int e = bt_real()->getaddrinfo(NULL, service, &each, res);
	if (e != 0)
		return e;
	each.ai_family = passive ? AF_INET6 : AF_INET;
	if (bt_real()->getaddrinfo(NULL, service, &each, &second) == 0) {
		struct addrinfo *last = *res;
		while (last->ai_next != NULL)
			last = last->ai_next;
		last->ai_next = second;
	}
	return 0;
}

PUBLIC int getaddrinfo(const char *node, const char *service, const struct addrinfo *given,
		       struct addrinfo **res)
{
	struct addrinfo hints = {0};
	struct found f;
	uint8_t number[16];
	if (!bt_in_host())
		return bt_real()->getaddrinfo(node, service, given, res);
	if (given != NULL)
		hints = *given;
	/* Whether an address family is set up is asked of the machine, not of the host. */
	bool config = hints.ai_flags & AI_ADDRCONFIG, mapped = hints.ai_flags & AI_V4MAPPED,
	     all = hints.ai_flags & AI_ALL;
	hints.ai_flags &= ~(AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL);
	if (node == NULL)
		return without_name(service, &hints, res);
	if (hints.ai_flags & AI_NUMERICHOST || inet_aton(node, (void *)number) != 0 ||
	    inet_pton(AF_INET6, node, number) == 1 || strchr(node, '%') != NULL) {
		hints.ai_flags |= mapped ? AI_V4MAPPED : 0;
		return bt_real()->getaddrinfo(node, service, &hints, res);
	}
	if (hints.ai_family != AF_INET && hints.ai_family != AF_INET6 &&
	    hints.ai_family != AF_UNSPEC)
		return EAI_FAMILY;
	if (!look_up(node, &f))
		return EAI_AGAIN;
	if (f.n == 0)
		return EAI_NONAME;
	bool six = false;
	for (int i = 0; i < f.n; i++)
		six = six || !bt_is_v4(f.addr[i]);
	if (hints.ai_family == AF_INET || (config && !configured(AF_INET6)))
		keep_family(&f, AF_INET);
	else if (hints.ai_family == AF_INET6 && !(mapped && (all || !six)))
		keep_family(&f, AF_INET6);
	if (f.n == 0)
		return EAI_ADDRFAMILY;
	return from_numbers(node, &f, service, hints, res);
}

PUBLIC int getnameinfo(const struct sockaddr *sa, socklen_t len, char *host, socklen_t host_len,
		       char *service, socklen_t service_len, int flags)
{
	char name[BT_HOST_NAME + 1];
	uint8_t addr[16];
	uint16_t port;
	if (!bt_in_host() || host == NULL || host_len == 0 || flags & NI_NUMERICHOST ||
	    sa == NULL || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
	    bt_addr_in(sa, len, sa->sa_family == AF_INET6, addr, &port) != 0)
		return bt_real()->getnameinfo(sa, len, host, host_len, service, service_len, flags);
	if (!look_back(addr, name, sizeof(name))) {
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

/* Lays out a hostent in the caller's buffer: pointers, addresses (all of one family), name. ERANGE:
 * too small. */
static int lay_out(const char *name, const struct found *f, struct hostent *h, char *buf,
		   size_t size)
{
	bool v4 = bt_is_v4(f->addr[0]);
	size_t align = (8 - (uintptr_t)buf % 8) % 8, each = v4 ? 4 : 16, n = (size_t)f->n;
	size_t need = align + (n + 2) * sizeof(char *) + n * each + strlen(name) + 1;
	if (size < need)
		return ERANGE;
	char **list = (char **)(void *)(buf + align);
	char *at = (char *)(list + n + 2);
	for (size_t i = 0; i < n; i++) {
		list[i] = at;
		memcpy(at, f->addr[i] + 16 - each, each);
		at += each;
	}
	list[n] = NULL;
	list[n + 1] = NULL;
	memcpy(at, name, strlen(name) + 1);
	*h = (struct hostent){at, &list[n + 1], v4 ? AF_INET : AF_INET6, (int)each, list};
	return 0;
}

/* A number of that family needs no look-up. */
static bool from_number(const char *name, int family, struct found *f)
{
	struct in_addr v4;
	f->n = 1;
	if (family == AF_INET6)
		return inet_pton(AF_INET6, name, f->addr[0]) == 1;
	if (inet_aton(name, &v4) == 0)
		return false;
	put_v4(f->addr[0], &v4);
	return true;
}

PUBLIC int gethostbyname2_r(const char *name, int family, struct hostent *h, char *buf, size_t size,
			    struct hostent **result, int *herr)
{
	struct found f = {0};
	*result = NULL;
	if (!bt_in_host()) {
		return bt_real()->gethostbyname2_r(name, family, h, buf, size, result, herr);
	}
	bool there = true;
	if (!from_number(name, family, &f)) {
		there = look_up(name, &f);
		keep_family(&f, family);
	}
	if (f.n == 0 || (family != AF_INET && family != AF_INET6)) {
		*herr = there ? HOST_NOT_FOUND : TRY_AGAIN;
		return there ? 0 : EAGAIN;
	}
	int e = lay_out(name, &f, h, buf, size);
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
	struct found f = {.n = 1};
	*result = NULL;
	if (!bt_in_host()) {
		return bt_real()->gethostbyaddr_r(addr, len, family, h, buf, size, result, herr);
	}
	if (family == AF_INET && len == 4)
		put_v4(f.addr[0], addr);
	else if (family == AF_INET6 && len == 16)
		memcpy(f.addr[0], addr, 16);
	else
		f.n = 0;
	if (f.n == 0 || !look_back(f.addr[0], name, sizeof(name))) {
		*herr = HOST_NOT_FOUND;
		return 0;
	}
	int e = lay_out(name, &f, h, buf, size);
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

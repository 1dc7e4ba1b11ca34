/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <string.h>

static const char prefix[] = "berth/";
enum {
	PREFIX = sizeof(prefix) - 1,
	ONE = 8 + 1 + 8 + 1 + 16,
	NET = PREFIX + 16 + 1,
	FILE_NAME = 16 + 1 + ONE
};

_Static_assert(BT_NAME_DIRECTORY + FILE_NAME + 1 == sizeof(((struct sockaddr_un *)0)->sun_path),
	       "the longest name just fits");

static char *put_hex(char *p, uint64_t v, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; v >>= 4)
		p[i] = "0123456789abcdef"[v & 15];
	return p + digits;
}

static bool get_hex(const char *p, unsigned digits, uint64_t *v)
{
	uint64_t r = 0;
	for (unsigned i = 0; i < digits; i++) {
		unsigned c = (unsigned char)p[i], d = c - '0';
		if (d > 9) {
			d = c - 'a' + 10;
			if (d < 10 || d > 15)
				return false;
		}
		r = r << 4 | d;
	}
	*v = r;
	return true;
}

static char *put_net(struct sockaddr_un *sun, uint64_t netid)
{
	sun->sun_family = AF_UNIX;
	sun->sun_path[0] = '\0';
	char *p = sun->sun_path + 1;
	memcpy(p, prefix, PREFIX);
	p = put_hex(p + PREFIX, netid, 16);
	*p++ = '/';
	return p;
}

static socklen_t length(const struct sockaddr_un *sun, const char *end)
{
	return (socklen_t)(end - (const char *)sun);
}

static char *put_ident(char *p, const struct bt_ident *id)
{
	p = put_hex(p, id->slot, 8);
	*p++ = '.';
	p = put_hex(p, id->gen, 8);
	*p++ = '.';
	return put_hex(p, id->nonce, 16);
}

static bool get_ident(const char *p, struct bt_ident *id)
{
	uint64_t slot, gen, nonce;
	if (p[8] != '.' || p[17] != '.' || !get_hex(p, 8, &slot) || !get_hex(p + 9, 8, &gen) ||
	    !get_hex(p + 18, 16, &nonce))
		return false;
	*id = (struct bt_ident){(uint32_t)slot, (uint32_t)gen, nonce};
	return true;
}

socklen_t bt_name_make(struct sockaddr_un *sun, uint64_t netid, const struct bt_ident *id)
{
	return length(sun, put_ident(put_net(sun, netid), id));
}

socklen_t bt_name_wire(struct sockaddr_un *sun, uint64_t netid)
{
	char *p = put_net(sun, netid);
	memcpy(p, "wire", 4);
	return length(sun, p + 4);
}

static const char far_end[4] = {'/', 'f', 'a', 'r'};

socklen_t bt_name_far(struct sockaddr_un *sun, uint64_t netid, const struct bt_ident *id)
{
	char *p = put_ident(put_net(sun, netid), id);
	memcpy(p, far_end, sizeof(far_end));
	return length(sun, p + sizeof(far_end));
}

socklen_t bt_name_path(struct sockaddr_un *sun, const char *directory, uint64_t netid,
		       const struct bt_ident *id)
{
	size_t n = strnlen(directory, BT_NAME_DIRECTORY);
	if (n == 0 || n == BT_NAME_DIRECTORY)
		return 0;
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, directory, n);
	char *p = sun->sun_path + n;
	*p++ = '/';
	p = put_hex(p, netid, 16);
	*p++ = '.';
	p = put_ident(p, id);
	*p++ = '\0';
	return length(sun, p);
}

socklen_t bt_name_control(struct sockaddr_un *sun, uint64_t netid)
{
	char *p = put_net(sun, netid);
	memcpy(p, "ctl", 3);
	return length(sun, p + 3);
}

socklen_t bt_name_self(struct sockaddr_un *sun, uint64_t netid)
{
	char *p = put_net(sun, netid);
	memcpy(p, "self", 4);
	return length(sun, p + 4);
}

/* A file's name, which the kernel gives with its NUL. */
static bool parse_path(const char *path, size_t n, uint64_t netid, struct bt_ident *out)
{
	uint64_t net;
	if (n < 1 + FILE_NAME + 1 || path[n - 1] != '\0')
		return false;
	const char *p = path + n - 1 - FILE_NAME;
	return p[-1] == '/' && get_hex(p, 16, &net) && net == netid && p[16] == '.' &&
	       get_ident(p + 17, out);
}

bool bt_name_parse(const struct sockaddr_un *sun, socklen_t len, uint64_t netid,
		   struct bt_ident *out)
{
	const socklen_t head = offsetof(struct sockaddr_un, sun_path);
	uint64_t net;
	if (len <= head || len > sizeof(*sun) || sun->sun_family != AF_UNIX)
		return false;
	if (sun->sun_path[0] == '/')
		return parse_path(sun->sun_path, len - head, netid, out);
	const char *p = sun->sun_path + 1;
	return len == head + 1 + NET + ONE && sun->sun_path[0] == '\0' &&
	       memcmp(p, prefix, PREFIX) == 0 && get_hex(p + PREFIX, 16, &net) && net == netid &&
	       p[NET - 1] == '/' && get_ident(p + NET, out);
}

bool bt_name_parse_peer(const struct sockaddr_un *sun, socklen_t len, uint64_t netid,
			struct bt_ident *out)
{
	const socklen_t is_far = offsetof(struct sockaddr_un, sun_path) + 1 + NET + ONE;
	if (len == is_far + sizeof(far_end) && sun->sun_path[0] == '\0' &&
	    memcmp((const char *)sun + is_far, far_end, sizeof(far_end)) == 0)
		len = is_far;
	return bt_name_parse(sun, len, netid, out);
}

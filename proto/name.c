/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <string.h>

static const char prefix[] = "berth/";
enum { PREFIX = sizeof(prefix) - 1, NET = PREFIX + 16 + 1, IDENT = NET + 8 + 1 + 8 + 1 + 16 };

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

socklen_t bt_name_make(struct sockaddr_un *sun, uint64_t netid, const struct bt_ident *id)
{
	char *p = put_net(sun, netid);
	p = put_hex(p, id->slot, 8);
	*p++ = '.';
	p = put_hex(p, id->gen, 8);
	*p++ = '.';
	p = put_hex(p, id->nonce, 16);
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

bool bt_name_parse(const struct sockaddr_un *sun, socklen_t len, uint64_t netid,
		   struct bt_ident *out)
{
	const socklen_t head = offsetof(struct sockaddr_un, sun_path) + 1;
	if (len != head + IDENT)
		return false;
	if (sun->sun_family != AF_UNIX || sun->sun_path[0] != '\0')
		return false;
	const char *p = sun->sun_path + 1;
	uint64_t net, slot, gen;
	if (memcmp(p, prefix, PREFIX) != 0 || !get_hex(p + PREFIX, 16, &net) || net != netid)
		return false;
	if (p[NET - 1] != '/' || p[NET + 8] != '.' || p[NET + 17] != '.')
		return false;
	if (!get_hex(p + NET, 8, &slot) || !get_hex(p + NET + 9, 8, &gen) ||
	    !get_hex(p + NET + 18, 16, &out->nonce))
		return false;
	out->slot = (uint32_t)slot;
	out->gen = (uint32_t)gen;
	return true;
}

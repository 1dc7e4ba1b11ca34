/* SPDX-License-Identifier: Apache-2.0 */
#include "addr.h"

#include "cli.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool bt_addr_is_any(const uint8_t addr[16])
{
	static const uint8_t zero[16];
	if (bt_is_v4(addr))
		return memcmp(addr + 12, zero, 4) == 0;
	return memcmp(addr, zero, 16) == 0;
}

static char *put_byte(char *p, unsigned v)
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

void bt_addr_text(const uint8_t addr[16], char *buf)
{
	/* Not inet_ntop for IPv4: this is a third of the time of a list of 100,000 sockets. */
	if (bt_is_v4(addr)) {
		char *p = buf;
		for (unsigned i = 12; i < 16; i++) {
			if (i > 12)
				*p++ = '.';
			p = put_byte(p, addr[i]);
		}
		*p = '\0';
		return;
	}
	if (!inet_ntop(AF_INET6, addr, buf, BT_ADDR_TEXT))
		memcpy(buf, "?", 2);
}

/* Digits only, no sign, no blank: 1 to max. 0: not such a number. */
static unsigned parse_length(const char *s, unsigned max)
{
	unsigned v = 0;
	if (!*s)
		return 0;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > max)
			return 0;
		v = v * 10 + (unsigned)(*s - '0');
	}
	return v <= max ? v : 0;
}

/* Why an IPv4 address cannot be a host's, NULL if it can. */
static const char *refuse_v4(const uint8_t addr[4], unsigned bits)
{
	uint32_t a = 0, host_part = bits >= 32 ? 0 : UINT32_MAX >> bits;
	for (unsigned i = 0; i < 4; i++)
		a = a << 8 | addr[i];
	if (a == 0)
		return "is the wildcard";
	if (a >> 24 == 127)
		return "is a loopback address, which every host has already";
	if (a >> 28 == 14)
		return "is a multicast address";
	if (a == UINT32_MAX)
		return "is the broadcast address";
	/* RFC 3021: a /31 has no broadcast address. */
	if (bits < 31 && (a & host_part) == host_part)
		return "is the broadcast address of its network";
	if (bits < 31 && (a & host_part) == 0)
		return "is the address of its network as a whole";
	return NULL;
}

/* The same for IPv6 (RFC 4291). */
static const char *refuse_v6(const uint8_t addr[16])
{
	static const uint8_t loopback[16] = {[15] = 1};
	if (bt_is_v4(addr))
		return "is an IPv4 address in IPv6's clothes";
	if (bt_addr_is_any(addr))
		return "is the wildcard";
	if (memcmp(addr, loopback, 16) == 0)
		return "is the loopback address, which every host has already";
	if (addr[0] == 0xff)
		return "is a multicast address";
	if (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
		return "is a link-local address, which hosts do not have";
	return NULL;
}

bool bt_addr_parse(const char *text, struct bt_host_addr *out)
{
	char addr[BT_ADDR_TEXT];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t raw[16];

	memcpy(addr, text, len < sizeof(addr) ? len : 0);
	addr[len < sizeof(addr) ? len : 0] = '\0';
	bool v6 = inet_pton(AF_INET6, addr, raw) == 1;
	if (!v6 && inet_pton(AF_INET, addr, raw) != 1) {
		bt_say("'%s' is not an IP address; write it as 10.0.0.5, 10.0.0.5/24 or fd00::5/64",
		       text);
		return false;
	}
	unsigned max = v6 ? 128 : 32, usual = v6 ? 64 : 24;
	unsigned bits = slash ? parse_length(slash + 1, max) : usual;
	if (bits == 0) {
		bt_say("'%s' has no prefix length of 1 to %u after the slash; write it as %s/%u",
		       text, max, addr, usual);
		return false;
	}
	const char *why = v6 ? refuse_v6(raw) : refuse_v4(raw, bits);
	if (why) {
		bt_say("%s %s; give a host's address, as %s", text, why,
		       v6 && !bt_is_v4(raw) ? "fd00::5" : "10.0.0.5");
		return false;
	}
	*out = (struct bt_host_addr){.bits = (uint8_t)bits, .family = v6 ? 6 : 4};
	memcpy(out->addr, mapped, sizeof(mapped));
	memcpy(out->addr + (v6 ? 0 : 12), raw, v6 ? 16 : 4);
	return true;
}

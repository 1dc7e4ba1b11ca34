/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include "addr.h"
#include "cli.h"
#include "holders.h"
#include "join.h"
#include "rows.h"
#include "services.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- reading ---- */

static bool parse_port(const char *text, bool udp, uint16_t *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	unsigned first, count;
	if (*text >= '0' && *text <= '9' && *end == '\0') {
		*port = (uint16_t)n;
		return n > 0 && n <= 65535;
	}
	count = bt_services_of_name(text, &first);
	for (unsigned i = first; i < first + count; i++) {
		const struct bt_service *s = &bt_services[bt_service_by_name[i]];
		if (s->protocols & (udp ? BT_SERVICE_UDP : BT_SERVICE_TCP)) {
			*port = s->port;
			return true;
		}
	}
	return false;
}

static bool host_named(const struct bt_table *t, const char *name, struct bt_endpoint *out)
{
	struct bt_host_row row;
	for (uint32_t i = 0; i < atomic_load(&t->n_hosts) && i < BT_MAX_HOSTS; i++) {
		if (!bt_host_read(t, i, &row) || strncmp(row.name, name, sizeof(row.name)) != 0)
			continue;
		out->has_host = out->named = true;
		out->host = i;
		/* the first two are loopback's */
		memcpy(out->addr, row.addrs[row.n_addrs > 2 ? 2 : 0].addr, 16);
		return true;
	}
	return false;
}

bool bt_host_of(const struct bt_table *t, const uint8_t addr[16], uint32_t *host)
{
	struct bt_host_row row;
	for (uint32_t i = 0; i < atomic_load(&t->n_hosts) && i < BT_MAX_HOSTS; i++)
		for (uint16_t a = 2; bt_host_read(t, i, &row) && a < row.n_addrs; a++)
			if (memcmp(row.addrs[a].addr, addr, 16) == 0) {
				*host = i;
				return true;
			}
	return false;
}

static bool parse_addr(const struct bt_table *t, const char *text, struct bt_endpoint *out)
{
	uint8_t raw[16];
	if (*text == '\0' || strcmp(text, "*") == 0)
		return true;
	if (inet_pton(AF_INET6, text, raw) == 1) {
		memcpy(out->addr, raw, 16);
	} else if (inet_pton(AF_INET, strcmp(text, "localhost") == 0 ? "127.0.0.1" : text, raw) ==
		   1) {
		memset(out->addr, 0, 16);
		out->addr[10] = out->addr[11] = 0xff;
		memcpy(out->addr + 12, raw, 4);
	} else {
		return host_named(t, text, out);
	}
	out->has_host = bt_host_of(t, out->addr, &out->host);
	return true;
}

bool bt_endpoint_parse(const struct bt_table *t, const char *text, bool udp,
		       struct bt_endpoint *out)
{
	char addr[BT_HOST_NAME + BT_ADDR_TEXT];
	const char *colon = strrchr(text, ':'), *end = colon, *begin = text;
	memset(out, 0, sizeof(*out));
	if (*text == '[') { /* [fd00::5]:80 */
		begin = text + 1;
		end = strchr(text, ']');
		colon = end != NULL && end[1] == ':' ? end + 1 : NULL;
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			begin = end = NULL;
	} else if (colon == NULL || strchr(text, ':') != colon) { /* no port; IPv6 without one */
		colon = NULL;
		end = text + strlen(text);
	}
	size_t len = begin == NULL ? sizeof(addr) : (size_t)(end - begin);
	bool good = len < sizeof(addr);
	if (good) {
		memcpy(addr, begin, len);
		addr[len] = '\0';
		good = parse_addr(t, addr, out);
	}
	if (good && colon != NULL)
		good = parse_port(colon + 1, udp, &out->port);
	if (!good)
		bt_say("'%s' is not HOST:PORT; write it as web:80, 192.168.1.100:80, "
		       "[fd00::5]:http or "
		       ":80, with a host that 'berth hosts' lists",
		       text);
	return good;
}

/* ---- writing ---- */

void bt_end_text(const uint8_t addr[16], uint16_t port, uint8_t family, char *buf)
{
	char text[BT_ADDR_TEXT];
	bool v4 = bt_is_v4(addr) || (family == 4 && bt_addr_is_any(addr));
	if (bt_addr_is_any(addr))
		strcpy(text, v4 ? "0.0.0.0" : "::");
	else
		bt_addr_text(addr, text);
	if (port != 0)
		snprintf(buf, BT_END_TEXT, v4 ? "%s:%u" : "[%s]:%u", text, port);
	else
		snprintf(buf, BT_END_TEXT, "%s", text);
}

static const char *doing(const struct bt_row *r)
{
	static const char *const words[] = {
		[BT_ROW_LISTEN] = "listening",	     [BT_ROW_ESTABLISHED] = "connected",
		[BT_ROW_TIME_WAIT] = "in TIME_WAIT", [BT_ROW_CLOSE_WAIT] = "in CLOSE_WAIT",
		[BT_ROW_SYN_SENT] = "connecting",    [BT_ROW_FIN_WAIT1] = "closing",
		[BT_ROW_FIN_WAIT2] = "in FIN_WAIT2", [BT_ROW_LAST_ACK] = "closing",
	};
	if (r->state < sizeof(words) / sizeof(words[0]) && words[r->state] != NULL)
		return words[r->state];
	return "bound";
}

static void age(uint32_t since_s, char *buf, size_t size)
{
	uint32_t s = (uint32_t)time(NULL) - since_s;
	if (s < 120)
		snprintf(buf, size, "%u s", s);
	else if (s < 7200)
		snprintf(buf, size, "%u min", s / 60);
	else
		snprintf(buf, size, "%u h", s / 3600);
}

void bt_socket_words(const struct bt_table *t, uint32_t slot, char *buf, size_t size)
{
	struct bt_row r;
	char name[BT_COMM], at[BT_END_TEXT], since[24];
	*buf = '\0';
	if (!bt_row_read(t, slot, &r) || r.state == BT_ROW_FREE)
		return;
	bool alive = r.state != BT_ROW_TIME_WAIT && !(r.flags & BT_ROWF_ORPHAN) &&
		     bt_program_name(r.pid, name);
	const struct passwd *user = getpwuid(r.uid);
	bt_end_text(r.laddr, bt_row_port(&r), r.family, at);
	age(r.since_s, since, sizeof(since));
	if (!alive)
		snprintf(name, sizeof(name), "a socket that a program has closed");
	int n = user != NULL ? snprintf(buf, size, "%s (pid %d, user %s), %s, %s, for %s", name,
					r.pid, user->pw_name, at, doing(&r), since)
			     : snprintf(buf, size, "%s (pid %d, uid %u), %s, %s, for %s", name,
					r.pid, r.uid, at, doing(&r), since);
	if (n < 0)
		*buf = '\0';
}

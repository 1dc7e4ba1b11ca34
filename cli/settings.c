/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_WAIT_MS "net/berth/time_wait_ms"

/* What other systems do where Linux does it otherwise.
 *
 * Windows since Vista: dynamic ports 49152 to 65535 (Microsoft, KB 929851, "The default dynamic
 * port range for TCP/IP has changed"); TIME_WAIT 120 s (TcpTimedWaitDelay, Windows Server 2003 and
 * later, default 0x78); no port is reserved for administrators; a TIME_WAIT is never taken over.
 *
 * macOS: net.inet.ip.portrange.first and .last, 49152 and 65535; TIME_WAIT is twice
 * net.inet.tcp.msl, which is 15,000 ms; since 10.14 anybody may bind a wildcard to a port below
 * 1024 (an address of its own still needs root, which the setting cannot say).
 *
 * Linux: Documentation/networking/ip-sysctl.rst; TCP_TIMEWAIT_LEN in include/net/tcp.h. */
static const struct like {
	const char *name;
	struct {
		const char *name, *text;
	} set[4];
} likes[] = {
	{"linux",
	 {{"net/ipv4/ip_local_port_range", "32768 60999"},
	  {"net/ipv4/ip_unprivileged_port_start", "1024"},
	  {"net/ipv4/tcp_tw_reuse", "2"},
	  {TIME_WAIT_MS, "60000"}}},
	{"windows",
	 {{"net/ipv4/ip_local_port_range", "49152 65535"},
	  {"net/ipv4/ip_unprivileged_port_start", "0"},
	  {"net/ipv4/tcp_tw_reuse", "0"},
	  {TIME_WAIT_MS, "120000"}}},
	{"macos",
	 {{"net/ipv4/ip_local_port_range", "49152 65535"},
	  {"net/ipv4/ip_unprivileged_port_start", "0"},
	  {"net/ipv4/tcp_tw_reuse", "0"},
	  {TIME_WAIT_MS, "30000"}}},
};

/* ---- names ---- */

static void swap_separators(char *s)
{
	for (; *s; s++)
		*s = *s == '.' ? '/' : *s == '/' ? '.' : *s;
}

bool bt_setting_slashes(const char *name, size_t len, char out[BT_SETTING_NAME])
{
	if (len == 0 || len >= BT_SETTING_NAME)
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	const char *first = strpbrk(out, "./");
	if (first && *first == '.')
		swap_separators(out);
	return true;
}

void bt_setting_dots(const char *name, char out[BT_SETTING_NAME])
{
	snprintf(out, BT_SETTING_NAME, "%s", name);
	const char *first = strpbrk(out, "./");
	if (first && *first == '/')
		swap_separators(out);
}

/* ---- from the command line ---- */

static bool add(struct bt_settings *s, const char *name, size_t len, const char *text)
{
	if (s->n == BT_SETTINGS_MAX) {
		bt_say("more than %u settings at once; set the rest with: berth sysctl HOST "
		       "NAME=VALUE",
		       BT_SETTINGS_MAX);
		return false;
	}
	struct bt_setting *to = &s->list[s->n];
	if (!bt_setting_slashes(name, len, to->name) || strlen(text) >= sizeof(to->text)) {
		bt_say("'%.60s' is not a setting; write it as "
		       "net.ipv4.ip_local_port_range='10000 65535'",
		       name);
		return false;
	}
	strcpy(to->text, text);
	s->n++;
	return true;
}

static bool add_like(struct bt_settings *s, const char *system)
{
	enum { N = sizeof(likes) / sizeof(likes[0]) };
	const char *names[N];
	for (unsigned i = 0; i < N; i++) {
		const struct like *l = &likes[i];
		names[i] = l->name;
		if (strcmp(l->name, system) != 0)
			continue;
		for (unsigned k = 0; k < sizeof(l->set) / sizeof(l->set[0]); k++) {
			if (!add(s, l->set[k].name, strlen(l->set[k].name), l->set[k].text))
				return false;
		}
		return true;
	}
	const char *near = bt_nearest(system, names, N);
	if (near)
		bt_say("--like knows no system '%s'; did you mean '%s'?", system, near);
	else
		bt_say("--like knows no system '%s'; it knows linux, windows and macos", system);
	return false;
}

/* Seconds, as 30 or 0.5, in milliseconds; UINT32_MAX: not such a number. */
static uint32_t parse_seconds(const char *s)
{
	enum { MOST_S = 86400 };
	uint32_t ms = 0, place = 100;
	const char *p = s;
	for (; *p >= '0' && *p <= '9'; p++) {
		ms = ms * 10 + (uint32_t)(*p - '0') * 1000;
		if (ms > MOST_S * 1000u)
			return UINT32_MAX;
	}
	if (*p == '.' && p[1]) {
		for (p++; *p >= '0' && *p <= '9'; p++, place /= 10)
			ms += (uint32_t)(*p - '0') * place;
	}
	return *p || p == s || ms > MOST_S * 1000u ? UINT32_MAX : ms;
}

static bool add_time_wait(struct bt_settings *s, const char *text)
{
	char ms[16];
	uint32_t v = parse_seconds(text);
	if (v == UINT32_MAX) {
		bt_say("'%s' is not a time for --time-wait; give seconds, 0 to 86400, as 30 or 0.5",
		       text);
		return false;
	}
	snprintf(ms, sizeof(ms), "%u", v);
	return add(s, TIME_WAIT_MS, strlen(TIME_WAIT_MS), ms);
}

static bool add_sysctl(struct bt_settings *s, const char *text)
{
	const char *eq = strchr(text, '=');
	if (!eq) {
		bt_say("'%s' sets nothing; write it as NAME=VALUE, as "
		       "net.ipv4.ip_local_port_range='10000 65535'",
		       text);
		return false;
	}
	return add(s, text, (size_t)(eq - text), eq + 1);
}

bool bt_settings_read(const struct bt_args *args, struct bt_settings *s)
{
	const char *like = bt_args_value(args, BT_OPT_LIKE);
	const char *time_wait = bt_args_value(args, BT_OPT_TIME_WAIT);
	s->n = 0;
	if ((like && !add_like(s, like)) || (time_wait && !add_time_wait(s, time_wait)))
		return false;
	for (unsigned i = 0; i < args->n_given; i++) {
		if (args->given[i].id == BT_OPT_SYSCTL && !add_sysctl(s, args->given[i].value))
			return false;
	}
	return true;
}

/* ---- berthd ---- */

static void say_refused(int err, const char *host, const char *name, const char *text)
{
	char dots[BT_SETTING_NAME];
	bt_setting_dots(name, dots);
	switch (err) {
	case ENOENT:
		bt_say("host %s has no setting %s of its own; berth sysctl %s lists what it has",
		       host, dots, host);
		break;
	case EINVAL:
		bt_say("%s of host %s cannot be '%s'; the old value stays (berth sysctl %s %s)",
		       dots, host, text ? text : "", host, dots);
		break;
	case EACCES:
	case EPERM:
		bt_say("%s of host %s may not be %s; only the network's owner and root may", dots,
		       host, text ? "changed" : "read");
		break;
	default:
		bt_say("%s of host %s could not be %s: %s; try again", dots, host,
		       text ? "set" : "read", strerror(err));
	}
}

bool bt_setting_call(struct bt_client *c, uint32_t index, const char *host, const char *name,
		     const char *text, char *answer, size_t size, const char *network)
{
	char extra[BT_SETTING_NAME + BT_SETTING_TEXT];
	struct bt_req req = {.type = BT_SYSCTL, .value = index};
	struct bt_rep rep;
	size_t got = size - 1;
	int n = snprintf(extra, sizeof(extra), "%s", name);
	if (text) {
		n += snprintf(extra + n + 1, sizeof(extra) - (size_t)n - 1, "%s", text) + 1;
		req.flags = BT_REQF_WRITE;
	}
	req.extra = (uint32_t)n;
	int err = bt_client_call(c, &req, extra, &rep, answer, &got);
	if (err) {
		bt_say_client(err, network);
		return false;
	}
	if (rep.err) {
		say_refused(rep.err, host, name, text);
		return false;
	}
	while (got > 0 && (answer[got - 1] == '\n' || answer[got - 1] == '\0'))
		got--;
	answer[got] = '\0';
	return true;
}

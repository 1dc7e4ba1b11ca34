/* SPDX-License-Identifier: Apache-2.0 */
#include "reason.h"

#include "endpoint.h"
#include "join.h"
#include "rows.h"
#include "rule.h"

#include "../lib/port/port.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

const char *bt_call_name(uint32_t call)
{
	return call == BT_BIND	      ? "bind"
	       : call == BT_LISTEN_ON ? "listen"
	       : call == BT_UDP_ROUTE ? "send"
				      : "connect";
}

void bt_event_end_words(const struct bt_event_end *e, char *buf, size_t size)
{
	char at[BT_END_TEXT], user[40];
	const struct passwd *pw = getpwuid(e->uid);
	if (pw != NULL)
		snprintf(user, sizeof(user), "user %.30s", pw->pw_name);
	else
		snprintf(user, sizeof(user), "uid %u", e->uid);
	bt_end_text(e->laddr, e->lport, e->family, at);
	snprintf(buf, size, "%.*s (pid %d, %s), %s%s", (int)sizeof(e->program),
		 e->program[0] ? e->program : "a program", e->pid, user, at,
		 e->state == BT_ROW_LISTEN	? ", listening"
		 : e->state == BT_ROW_TIME_WAIT ? ", in TIME_WAIT"
		 : e->state == BT_ROW_CLOSE	? ", bound"
						: ", connected");
}

const char *bt_reason_word(uint32_t why, int err)
{
	static const char *const words[] = {
		[BT_WHY_IN_USE_LISTENER] = "listener_has_port",
		[BT_WHY_IN_USE_BOUND] = "socket_has_port",
		[BT_WHY_IN_USE_TIME_WAIT] = "time_wait",
		[BT_WHY_REUSEPORT_UID] = "port_of_other_user",
		[BT_WHY_TUPLE_IN_USE] = "connection_exists",
		[BT_WHY_NO_FREE_PORT] = "no_free_port",
		[BT_WHY_PRIVILEGED] = "privileged_port",
		[BT_WHY_ALREADY_BOUND] = "already_bound",
		[BT_WHY_BAD_STATE] = "bad_state",
		[BT_WHY_NO_MEMORY] = "table_full",
		[BT_WHY_FILTERED] = "filtered",
	};
	if (why < sizeof(words) / sizeof(words[0]) && words[why])
		return words[why];
	switch (err) {
	case 0:
		return "other";
	case ECONNREFUSED:
		return "nobody_listens";
	case ETIMEDOUT:
		return "queue_full";
	case ENETUNREACH:
		return "unknown_network";
	case EHOSTUNREACH:
		return "no_such_host";
	case EADDRNOTAVAIL:
		return "address_of_other_host";
	default:
		return "bad_arguments";
	}
}

static const char *rule(const struct bt_refusal *r)
{
	switch (r->why) {
	case BT_WHY_IN_USE_LISTENER:
		return "a listener has the port";
	case BT_WHY_IN_USE_BOUND:
		return r->by.opts & BT_REUSEADDR && r->of.opts & BT_REUSEADDR
			       ? "another socket has the port"
		       : r->of.opts & BT_REUSEADDR
			       ? "another socket has the port and did not set SO_REUSEADDR"
			       : "another socket has the port, and not both set SO_REUSEADDR";
	case BT_WHY_IN_USE_TIME_WAIT:
		return "a connection of this port is still in TIME_WAIT, and SO_REUSEADDR was not "
		       "set before bind";
	case BT_WHY_REUSEPORT_UID:
		return "all set SO_REUSEPORT, but the port belongs to another user";
	case BT_WHY_TUPLE_IN_USE:
		return "a connection with the same addresses and ports exists";
	case BT_WHY_NO_FREE_PORT:
		return r->call == BT_BIND ? "every ephemeral port is in use"
					  : "every ephemeral port is in use for this destination";
	case BT_WHY_PRIVILEGED:
		return "the port is below net.ipv4.ip_unprivileged_port_start, and the caller is "
		       "not "
		       "the host's root";
	case BT_WHY_ALREADY_BOUND:
		return "the socket has an address already";
	case BT_WHY_BAD_STATE:
		return "the socket is in a state in which this cannot be done";
	case BT_WHY_NO_MEMORY:
		return "the table of sockets is full";
	default:
		break;
	}
	switch (r->err) {
	case ECONNREFUSED:
		return "nobody listens there";
	case ETIMEDOUT:
		return "the listener's queue is full: it does not accept fast enough";
	case ENETUNREACH:
		return "the address is in no network that the host knows";
	case EHOSTUNREACH:
		return "the address lies in a network of the host's, but no host has it";
	case EADDRNOTAVAIL:
		return "the address is none of the host's";
	default:
		return "the arguments do not fit the socket";
	}
}

void bt_filtered_words(const struct bt_table *t, const struct bt_filtered *f, char *buf,
		       size_t size)
{
	char host[BT_HOST_NAME], text[BT_RULE_TEXT + 2], what[BT_HOST_NAME + 32];
	const char *does = f->action == BT_FILTER_DROP ? "drops" : "rejects";
	struct bt_rule rule;
	bt_host_name(t, f->host, host);
	memcpy(&rule, f->bytes, sizeof(rule));
	if (f->rule == UINT16_MAX)
		snprintf(what, sizeof(what), "the policy of %s", host);
	else
		snprintf(what, sizeof(what), "rule %u of %s", f->rule + 1u, host);
	if (f->rule == UINT16_MAX || !bt_rule_legal(&rule))
		snprintf(text, sizeof(text), ", %s",
			 f->dir == BT_FILTER_IN ? "coming in" : "going out");
	else
		bt_rule_write(&rule, text + snprintf(text, sizeof(text), ": "));
	snprintf(buf, size, "filtered: %s %s %s%s", what, does, f->answer ? "the answer" : "it",
		 text);
}

void bt_reason_rule(const struct bt_table *t, const struct bt_refusal *r, char *buf, size_t size)
{
	if (r->why == BT_WHY_FILTERED) {
		bt_filtered_words(t, &r->filtered, buf, size);
		return;
	}
	snprintf(buf, size, "%s", rule(r));
}

void bt_reason_help(const struct bt_refusal *r, uint64_t left_s, char *buf, size_t size)
{
	const char *text = "";
	switch (r->why) {
	case BT_WHY_IN_USE_LISTENER:
		text = "end that program, take another port or address, or set SO_REUSEPORT in "
		       "both "
		       "before bind";
		break;
	case BT_WHY_IN_USE_BOUND:
		text = "end that program, take another port or address, or set SO_REUSEADDR in "
		       "both "
		       "before bind";
		break;
	case BT_WHY_IN_USE_TIME_WAIT:
		if (left_s > 0)
			snprintf(buf, size, "set SO_REUSEADDR before bind, or wait %lu s",
				 (unsigned long)left_s);
		else
			snprintf(buf, size, "set SO_REUSEADDR before bind");
		return;
	case BT_WHY_REUSEPORT_UID:
		text = "run both as the same user";
		break;
	case BT_WHY_TUPLE_IN_USE:
		text = "leave the source port to the system, or take another";
		break;
	case BT_WHY_NO_FREE_PORT:
		text = "close or reuse connections, widen net.ipv4.ip_local_port_range, or connect "
		       "to "
		       "more addresses; bind with IP_BIND_ADDRESS_NO_PORT";
		break;
	case BT_WHY_PRIVILEGED:
		text = "take a port from 1024 on, run without --unprivileged, or lower "
		       "net.ipv4.ip_unprivileged_port_start";
		break;
	case BT_WHY_FILTERED:
		text = "'berth filter list' shows the rules";
		break;
	default:
		if (r->err == ECONNREFUSED)
			text = "'berth explain' tells the nearest listener";
		else if (r->err == ETIMEDOUT)
			text = "accept faster, in more threads, or give listen a longer queue";
		else if (r->err == EADDRNOTAVAIL)
			text = "'berth hosts' lists the host's addresses";
		break;
	}
	snprintf(buf, size, "%s", text);
}

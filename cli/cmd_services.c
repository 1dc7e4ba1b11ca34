/* SPDX-License-Identifier: Apache-2.0 */
/* berth services: what a port or a name is registered for, and who may bind it. */
#include "cli.h"
#include "out.h"
#include "services.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ALL_PROTOCOLS = 15, NEAR_NAMES = 6 };

/* RFC 6335, section 6: the three ranges and their other names. */
static const struct range {
	const char *name, *other, *also;
	uint16_t first, last;
	const char *bind;
} ranges[] = {
	{"well-known", "system", NULL, 0, 1023, "host's root"},
	{"registered", "user", NULL, 1024, 49151, "anybody"},
	{"dynamic", "private", "ephemeral", 49152, 65535, "anybody"},
};
enum { N_RANGES = sizeof(ranges) / sizeof(ranges[0]) };

static const char *const protocol_names[] = {"tcp", "udp", "sctp", "dccp"};

static const struct range *range_of(uint16_t port)
{
	unsigned i = 0;
	while (port > ranges[i].last)
		i++;
	return &ranges[i];
}

/* ---- output ---- */

static const struct bt_col columns[] = {
	{.head = "Port", .key = "port"},
	{.head = "Protocol", .before = ' '},
	{.key = "protocols"},
	{.head = "Name", .before = ' '},
	{.key = "name"},
	{.head = "Range", .before = ' '},
	{.key = "range"},
	{.head = "May bind", .key = "may_bind", .before = ' '},
	{.head = "Description", .key = "description", .before = ' '},
};

struct list {
	struct bt_out out;
	unsigned shown;
	bool low; /* a port below 1024 is among them */
};

static void put(struct list *l, uint16_t port, unsigned protocols, const char *name,
		const char *text)
{
	const struct range *r = range_of(port);
	struct bt_out *o = &l->out;
	char joined[32] = "", range[48];
	unsigned n = sizeof(protocol_names) / sizeof(protocol_names[0]);
	for (unsigned i = 0; i < n; i++) {
		if (protocols & 1u << i) {
			strcat(joined, *joined ? "," : "");
			strcat(joined, protocol_names[i]);
		}
	}
	snprintf(range, sizeof(range), "%s (%s%s%s)", r->name, r->other, r->also ? ", " : "",
		 r->also ? r->also : "");
	l->shown++;
	l->low |= r == &ranges[0];
	bt_out_record(o);
	bt_out_num(o, port);
	bt_out_str(o, joined);
	bt_out_list(o);
	for (unsigned i = 0; i < n; i++) {
		if (protocols & 1u << i)
			bt_out_item(o, protocol_names[i]);
	}
	bt_out_list_end(o, false);
	bt_out_str(o, *name ? name : "-");
	bt_out_str(o, name);
	bt_out_str(o, range);
	bt_out_str(o, r->name);
	bt_out_str(o, r->bind);
	bt_out_str(o, text);
	bt_out_record_end(o);
}

static void put_service(struct list *l, const struct bt_service *s, unsigned protocols)
{
	put(l, s->port, s->protocols & protocols, bt_service_name(s), bt_service_text(s));
}

/* ---- what is asked ---- */

struct query {
	char name[64]; /* empty: the port is asked for */
	uint16_t port;
	unsigned protocols;
};

static unsigned protocol_bit(const char *word)
{
	for (unsigned i = 0; i < sizeof(protocol_names) / sizeof(protocol_names[0]); i++) {
		if (strcasecmp(protocol_names[i], word) == 0)
			return 1u << i;
	}
	return 0;
}

static bool bad(const char *word, const char *why)
{
	bt_say("'%.64s' %s; give a port of 0 to 65535, as 80 or 443/tcp, or a name, as ssh", word,
	       why);
	return false;
}

/* Names may have digits and even slashes in them, so a word that is a name is one. */
static bool parse(const char *word, struct query *q)
{
	const char *slash = strrchr(word, '/');
	size_t len = slash ? (size_t)(slash - word) : strlen(word);
	unsigned first, port = 0;
	*q = (struct query){.protocols = ALL_PROTOCOLS};
	if (len == 0)
		return bad(word, "is neither a port nor a name");
	if (strlen(word) < sizeof(q->name) && bt_services_of_name(word, &first)) {
		strcpy(q->name, word);
		return true;
	}
	if (slash)
		q->protocols = protocol_bit(slash + 1);
	if (!q->protocols)
		return bad(word, "has no protocol after the slash that is tcp, udp, sctp or dccp");
	size_t sign = word[0] == '-' || word[0] == '+', digits = strspn(word + sign, "0123456789");
	if (digits > 0 && word[sign + digits] == '/' && sign + digits != len)
		return bad(word, "has two slashes");
	if (digits == 0 || sign + digits != len) {
		if (len >= sizeof(q->name))
			return bad(word, "is longer than any name");
		memcpy(q->name, word, len);
		return true;
	}
	for (size_t i = 0; i < digits && port <= UINT16_MAX; i++)
		port = port * 10 + (unsigned)(word[i] - '0');
	if (sign || port > UINT16_MAX)
		return bad(word, "is not a port");
	q->port = (uint16_t)port;
	return true;
}

/* ---- names that are near ---- */

struct near {
	const char *names[NEAR_NAMES];
	unsigned n;
};

static void add_near(struct near *near, const char *name)
{
	for (unsigned i = 0; i < near->n; i++) {
		if (strcasecmp(near->names[i], name) == 0)
			return;
	}
	if (near->n < NEAR_NAMES)
		near->names[near->n++] = name;
}

/* As a word of its own: "dns" is not in "dnssec". */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = text; (p = strcasestr(p, word)); p++) {
		bool begins = p == text || !isalnum((unsigned char)p[-1]);
		if (begins && !isalnum((unsigned char)p[len]))
			return true;
	}
	return false;
}

/* How near a service is to the word: 0 and 1 by one or two edits, 2 begins with it, 3 tells of it,
 * 4 contains it, 5 not at all. */
static unsigned nearness(const struct bt_service *s, const char *word)
{
	const char *name = bt_service_name(s);
	size_t len = strlen(word);
	unsigned edits = bt_distance(name, word);
	if (!*name || len < 2)
		return 5;
	if (edits <= 1 || (edits == 2 && len > 5))
		return edits - (edits > 0);
	if (strncasecmp(name, word, len) == 0)
		return 2;
	if (has_word(bt_service_text(s), word))
		return 3;
	return strcasestr(name, word) ? 4 : 5;
}

static int say_unknown(const struct query *q)
{
	struct near near = {.n = 0};
	char list[NEAR_NAMES * 40] = "";
	for (unsigned pass = 0; pass < 5; pass++) {
		for (unsigned i = 0; i < bt_n_services && near.n < NEAR_NAMES; i++) {
			if (nearness(&bt_services[i], q->name) == pass)
				add_near(&near, bt_service_name(&bt_services[i]));
		}
	}
	for (unsigned i = 0; i < near.n; i++) {
		size_t used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", near.names[i]);
	}
	if (near.n)
		bt_say("no service is registered as '%s'; near it are: %s", q->name, list);
	else
		bt_say("no service is registered as '%s'; berth services --list has all", q->name);
	return BT_EXIT_FAIL;
}

/* ---- the command ---- */

static int answer(struct list *l, const struct query *q)
{
	const struct bt_service *s = NULL;
	unsigned first = 0, shown = 0;
	unsigned n =
		*q->name ? bt_services_of_name(q->name, &first) : bt_services_of_port(q->port, &s);
	for (unsigned i = 0; i < n; i++) {
		if (*q->name)
			s = &bt_services[bt_service_by_name[first + i]];
		if (s->protocols & q->protocols) {
			put_service(l, s, q->protocols);
			shown++;
		}
		s++;
	}
	if (shown)
		return BT_EXIT_OK;
	if (!*q->name) {
		put(l, q->port, q->protocols, "", "no service is registered");
		return BT_EXIT_OK;
	}
	if (n == 0)
		return say_unknown(q);
	bt_say("service '%s' is not registered for that protocol; 'berth services %s' shows for "
	       "which",
	       q->name, q->name);
	return BT_EXIT_FAIL;
}

static bool list_range(struct list *l, const char *word)
{
	const struct range *r = NULL;
	for (unsigned i = 0; word && i < N_RANGES; i++) {
		if (strcasecmp(word, ranges[i].name) == 0 ||
		    strcasecmp(word, ranges[i].other) == 0 ||
		    (ranges[i].also && strcasecmp(word, ranges[i].also) == 0))
			r = &ranges[i];
	}
	if (word && !r) {
		bt_say("there is no range '%s'; give well-known, registered or dynamic", word);
		return false;
	}
	for (unsigned i = 0; l && i < bt_n_services; i++) {
		const struct bt_service *s = &bt_services[i];
		if (!r || (s->port >= r->first && s->port <= r->last))
			put_service(l, s, ALL_PROTOCOLS);
	}
	return true;
}

static bool usage_ok(const struct bt_args *args, bool list)
{
	const char *range = bt_args_value(args, BT_OPT_RANGE);
	struct query q;
	if (!list && args->n_rest == 0) {
		bt_say("no port and no name given; it is used as: berth services 80 ssh 53/udp, or "
		       "berth services --list");
		return false;
	}
	if (list && args->n_rest) {
		bt_say("--list shows all services; leave out '%s' or --list", args->rest[0]);
		return false;
	}
	if (range && !list) {
		bt_say("--range chooses what --list shows; write --list --range %s", range);
		return false;
	}
	for (int i = 0; i < args->n_rest; i++) {
		if (!parse(args->rest[i], &q))
			return false;
	}
	return list_range(NULL, range);
}

int bt_cmd_services(const struct bt_args *args)
{
	bool list = bt_args_has(args, BT_OPT_LIST), json = bt_args_has(args, BT_OPT_JSON);
	int status = BT_EXIT_OK;
	struct list l = {.shown = 0};
	struct query q;
	/* Nonsense in one word, and nothing is printed. */
	if (!usage_ok(args, list))
		return BT_EXIT_USAGE;
	bt_out_begin(&l.out, json, true, columns, sizeof(columns) / sizeof(columns[0]), NULL,
		     "services");
	if (list)
		list_range(&l, bt_args_value(args, BT_OPT_RANGE));
	for (int i = 0; i < args->n_rest; i++) {
		parse(args->rest[i], &q);
		int one = answer(&l, &q);
		status = one ? one : status;
	}
	if (l.shown == 0)
		l.out.header = false;
	bt_out_end(&l.out);
	if (l.low && !list && !json)
		printf("\nBelow 1024 only the host's root may bind, unless its "
		       "net.ipv4.ip_unprivileged_port_start says otherwise.\n");
	return status;
}

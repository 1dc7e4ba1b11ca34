/* SPDX-License-Identifier: Apache-2.0 */
/* A table says for each word what kind of value follows and where it lies; numbers are read into
 * integers exactly, so that writing and reading again gives the same. */
#include "settings.h"

#include "wide.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct bt_link_settings bt_link_perfect = {.limit_pkts = 1000};

bool bt_link_passes(const struct bt_link_settings *s)
{
	return !s->down &&
	       (s->loss_ppm | s->burst_enter_ppm | s->duplicate_ppm | s->reorder_ppm |
		s->corrupt_ppm) == 0 &&
	       (s->delay_ns | s->jitter_ns | s->rate_bits) == 0;
}

#define HOUR_NS	 3600000000000u
#define RATE_MAX 1000000000000u
#define GIB	 1073741824u

struct unit {
	const char *name;
	uint64_t scale;
};
/* Largest first, as writing looks for the largest that fits. */
static const struct unit percent[] = {{"%", 10000}, {NULL, 0}};
static const struct unit times[] = {
	{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}, {NULL, 0}};
static const struct unit rates[] = {
	{"gbit", 1000000000}, {"mbit", 1000000}, {"kbit", 1000}, {"bit", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"mb", 1048576}, {"kb", 1024}, {"b", 1}, {NULL, 0}};
static const struct unit packets[] = {{"", 1}, {NULL, 0}};

struct value {
	const struct unit *units;
	uint64_t min, max; /* in the smallest unit */
	const char *accepted;
};
static const struct value share = {percent, 0, BT_LINK_ALL, "0% to 100%, with up to 4 decimals"};
static const struct value duration = {times, 0, HOUR_NS, "0ns to 3600s (units ns, us, ms, s)"};
static const struct value speed = {rates, 0, RATE_MAX,
				   "0bit (no limit) to 1000gbit (units bit, kbit, mbit, gbit)"};
static const struct value count = {packets, 1, 1000000, "1 to 1000000 packets, or 0b to 1024mb"};
static const struct value room = {sizes, 0, GIB, "1 to 1000000 packets, or 0b to 1024mb"};

struct number {
	uint64_t digits; /* the number without its point */
	unsigned decimals;
	const char *unit;
};

/* Digits, and perhaps a point and digits. False: not that, or too long. */
static bool read_number(const char *s, struct number *n)
{
	bool point = false, any = false;

	*n = (struct number){0};
	for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point && any); s++) {
		if (*s == '.') {
			point = true;
			continue;
		}
		if (n->digits > (UINT64_MAX - 9) / 10)
			return false;
		n->digits = n->digits * 10 + (unsigned)(*s - '0');
		n->decimals += point;
		any = true;
	}
	n->unit = s;
	return any && (!point || n->decimals > 0);
}

static bool read_value(const char *text, const struct value *v, uint64_t *out)
{
	const struct unit *u;
	struct number n;
	bt_wide product;

	if (!read_number(text, &n))
		return false;
	for (u = v->units; u->name != NULL && strcmp(u->name, n.unit) != 0; u++)
		;
	if (u->name == NULL)
		return false;
	product = (bt_wide)n.digits * u->scale;
	for (unsigned i = 0; i < n.decimals; i++) {
		if (product % 10 != 0)
			return false; /* finer than the smallest unit */
		product /= 10;
	}
	if (product < v->min || product > v->max)
		return false;
	*out = (uint64_t)product;
	return true;
}

/* The settings as numbers, in the order in which they are written. */
enum slot {
	LOSS,
	BURST_ENTER,
	BURST_LEAVE,
	DELAY,
	JITTER,
	RATE,
	LIMIT_PKTS,
	LIMIT_BYTES,
	DUPLICATE,
	REORDER,
	CORRUPT,
	DOWN,
	SLOTS
};

/* A word and the values after it; the slot of the first, the others' follow. A second kind is
 * tried for the same value where the first does not fit. */
static const struct word {
	const char *name;
	enum slot slot;
	unsigned n_values;
	const struct value *kind, *or_kind;
} words[] = {
	{"loss", LOSS, 1, &share, NULL},
	{"burst", BURST_ENTER, 2, &share, NULL},
	{"delay", DELAY, 1, &duration, NULL},
	{"jitter", JITTER, 1, &duration, NULL},
	{"rate", RATE, 1, &speed, NULL},
	{"limit", LIMIT_PKTS, 1, &count, &room},
	{"duplicate", DUPLICATE, 1, &share, NULL},
	{"reorder", REORDER, 1, &share, NULL},
	{"corrupt", CORRUPT, 1, &share, NULL},
	{"down", DOWN, 0, NULL, NULL},
	{"up", DOWN, 0, NULL, NULL},
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static void unpack(const struct bt_link_settings *s, uint64_t v[SLOTS])
{
	v[LOSS] = s->loss_ppm;
	v[BURST_ENTER] = s->burst_enter_ppm;
	v[BURST_LEAVE] = s->burst_leave_ppm;
	v[DELAY] = s->delay_ns;
	v[JITTER] = s->jitter_ns;
	v[RATE] = s->rate_bits;
	v[LIMIT_PKTS] = s->limit_pkts;
	v[LIMIT_BYTES] = s->limit_bytes;
	v[DUPLICATE] = s->duplicate_ppm;
	v[REORDER] = s->reorder_ppm;
	v[CORRUPT] = s->corrupt_ppm;
	v[DOWN] = s->down;
}

static void pack(const uint64_t v[SLOTS], struct bt_link_settings *s)
{
	s->loss_ppm = (uint32_t)v[LOSS];
	s->burst_enter_ppm = (uint32_t)v[BURST_ENTER];
	s->burst_leave_ppm = (uint32_t)v[BURST_LEAVE];
	s->delay_ns = v[DELAY];
	s->jitter_ns = v[JITTER];
	s->rate_bits = v[RATE];
	s->limit_pkts = (uint32_t)v[LIMIT_PKTS];
	s->limit_bytes = v[LIMIT_BYTES];
	s->duplicate_ppm = (uint32_t)v[DUPLICATE];
	s->reorder_ppm = (uint32_t)v[REORDER];
	s->corrupt_ppm = (uint32_t)v[CORRUPT];
	s->down = v[DOWN] != 0;
}

#define TOKEN 24 /* longer than any legal word or value */

/* The next word of the text, cut to TOKEN - 1 bytes; false at the end. */
static bool next_token(const char **text, char token[TOKEN])
{
	const char *s = *text + strspn(*text, " \t\n");
	size_t len = strcspn(s, " \t\n");

	*text = s + len;
	snprintf(token, TOKEN, "%.*s", (int)(len < TOKEN ? len : TOKEN), s);
	/* What is quoted in an error goes to a terminal. */
	for (char *c = token; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	return len > 0;
}

__attribute__((format(printf, 2, 3))) static bool fail(char error[BT_LINK_TEXT], const char *format,
						       ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, BT_LINK_TEXT, format, args);
	va_end(args);
	return false;
}

static bool read_word(const struct word *w, const char **text, uint64_t v[SLOTS],
		      char error[BT_LINK_TEXT])
{
	char token[TOKEN];

	if (w->n_values == 0)
		v[w->slot] = strcmp(w->name, "down") == 0;
	for (unsigned i = 0; i < w->n_values; i++) {
		if (!next_token(text, token))
			return fail(error, "%s ends without its value, which is %s", w->name,
				    w->kind->accepted);
		if (read_value(token, w->kind, &v[w->slot + i]))
			continue;
		if (w->or_kind == NULL || !read_value(token, w->or_kind, &v[w->slot + 1]))
			return fail(error, "%s %s is not understood, accepted is %s", w->name,
				    token, w->kind->accepted);
	}
	return true;
}

/* What is only wrong together. */
static bool check(const uint64_t v[SLOTS], char error[BT_LINK_TEXT])
{
	if (v[BURST_ENTER] != 0 && v[BURST_LEAVE] == 0)
		return fail(error, "burst with a second share of 0%% would never end, accepted is "
				   "the share of packets that start one, then that which ends it");
	if (v[REORDER] != 0 && v[DELAY] == 0)
		return fail(error, "reorder without a delay has nothing to overtake, accepted is "
				   "reorder together with delay");
	return true;
}

bool bt_link_read(const char *text, struct bt_link_settings *s, char error[BT_LINK_TEXT])
{
	uint64_t v[SLOTS];
	char token[TOKEN];
	unsigned seen = 0;
	size_t i;

	unpack(s, v);
	while (next_token(&text, token)) {
		for (i = 0; i < WORDS && strcmp(words[i].name, token) != 0; i++)
			;
		if (i == WORDS)
			return fail(error,
				    "%s is not a setting, accepted are loss, burst, delay, "
				    "jitter, rate, limit, duplicate, reorder, corrupt, down "
				    "and up",
				    token);
		/* `limit` twice: packets and bytes. */
		if ((seen & 1u << i) != 0 && words[i].slot != LIMIT_PKTS)
			return fail(error, "%s is there twice, accepted is each setting once",
				    token);
		seen |= 1u << i;
		if (!read_word(&words[i], &text, v, error))
			return false;
	}
	if (!check(v, error))
		return false;
	pack(v, s);
	return true;
}

/* Appends the value in the largest unit in which it is a decimal number of few digits. */
static size_t write_value(char *text, size_t at, uint64_t v, const struct unit *units)
{
	const struct unit *u = units;
	uint64_t rest;
	int digits = 4;

	/* A share is written in percent; all else in the largest unit that divides it. */
	if (units != percent) {
		while (u->scale > 1 && (v == 0 || v % u->scale != 0))
			u++;
		return at + (size_t)snprintf(text + at, BT_LINK_TEXT - at, " %" PRIu64 "%s",
					     v / u->scale, u->name);
	}
	rest = v % u->scale;
	at += (size_t)snprintf(text + at, BT_LINK_TEXT - at, " %" PRIu64, v / u->scale);
	if (rest != 0) {
		for (; rest % 10 == 0; rest /= 10)
			digits--;
		at += (size_t)snprintf(text + at, BT_LINK_TEXT - at, ".%0*" PRIu64, digits, rest);
	}
	return at + (size_t)snprintf(text + at, BT_LINK_TEXT - at, "%%");
}

static size_t write_name(char *text, size_t at, const char *name)
{
	return at + (size_t)snprintf(text + at, BT_LINK_TEXT - at, "%s%s", at > 0 ? " " : "", name);
}

void bt_link_write(const struct bt_link_settings *s, char text[BT_LINK_TEXT])
{
	uint64_t v[SLOTS], usual[SLOTS];
	size_t at = 0;

	unpack(s, v);
	unpack(&bt_link_perfect, usual);
	text[0] = '\0';
	for (size_t i = 0; i < WORDS; i++) {
		const struct word *w = &words[i];
		bool differs = v[w->slot] != usual[w->slot];

		if (w->slot == BURST_ENTER) /* both or none */
			differs |= v[BURST_LEAVE] != 0;
		if (strcmp(w->name, "up") == 0)
			continue;
		if (differs)
			at = write_name(text, at, w->name);
		for (unsigned k = 0; differs && k < w->n_values; k++)
			at = write_value(text, at, v[w->slot + k], w->kind->units);
		if (w->or_kind != NULL && v[w->slot + 1] != usual[w->slot + 1]) {
			at = write_name(text, at, w->name);
			at = write_value(text, at, v[w->slot + 1], w->or_kind->units);
		}
	}
}

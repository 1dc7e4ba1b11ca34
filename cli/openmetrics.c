/* SPDX-License-Identifier: Apache-2.0 */
#include "openmetrics.h"

#include "utf8.h"

#include <stdbool.h>
#include <stdint.h>

static const char *const types[] = {"gauge", "counter", "info"};
static const char *const suffixes[] = {"", "_total", "_info"};

/* Backslash, quote and new line are escaped in help and in labels alike. */
static void put_text(FILE *f, const char *s)
{
	while (*s) {
		char c[BT_UTF8_MAX + 1];
		s += bt_utf8_next(s, c);
		if (*c == '\\' || *c == '"')
			fprintf(f, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", f);
		else if (bt_utf8_control(c))
			fputs(BT_UTF8_INSTEAD, f);
		else
			fputs(c, f);
	}
}

void bt_om_family(struct bt_om *o, const char *name, enum bt_om_type type, const char *unit,
		  const char *help)
{
	o->family = name;
	o->type = type;
	fprintf(o->f, "# TYPE %s %s\n", name, types[type]);
	if (unit)
		fprintf(o->f, "# UNIT %s %s\n", name, unit);
	fprintf(o->f, "# HELP %s ", name);
	put_text(o->f, help);
	putc('\n', o->f);
}

void bt_om_sample(struct bt_om *o, const struct bt_om_label *labels, unsigned n, double value)
{
	fprintf(o->f, "%s%s", o->family, suffixes[o->type]);
	for (unsigned i = 0; i < n; i++) {
		fprintf(o->f, "%c%s=\"", i ? ',' : '{', labels[i].name);
		put_text(o->f, labels[i].value);
		putc('"', o->f);
	}
	/* Whole numbers in full, since they may be compared with others' of bytes. */
	bool whole = value < 1e18 && value == (double)(uint64_t)value;
	fprintf(o->f, whole ? "%s %.0f\n" : "%s %.15g\n", n ? "}" : "", value);
}

void bt_om_end(struct bt_om *o)
{
	fputs("# EOF\n", o->f);
}

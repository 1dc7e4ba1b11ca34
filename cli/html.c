/* SPDX-License-Identifier: Apache-2.0 */
#include "html.h"

#include "utf8.h"

#include <string.h>

void bt_html_text(FILE *f, const char *s)
{
	while (*s) {
		char c[BT_UTF8_MAX + 1];
		s += bt_utf8_next(s, c);
		if (strchr("&<>\"'", *c))
			fprintf(f, "&#%d;", *c);
		else if (bt_utf8_control(c))
			fputs(BT_UTF8_INSTEAD, f);
		else
			fputs(c, f);
	}
}

void bt_html_number(FILE *f, uint64_t n)
{
	if (n >= 1000) {
		bt_html_number(f, n / 1000);
		fprintf(f, ",%03u", (unsigned)(n % 1000));
	} else {
		fprintf(f, "%u", (unsigned)n);
	}
}

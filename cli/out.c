/* SPDX-License-Identifier: Apache-2.0 */
#include "out.h"

#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_COLS = 20, OUT_BUFFER = 1 << 18, NUM_TEXT = 24 };

#define SCHEMA "\"schema\":1" /* of every document that is written here */

/* ---- text into the current cell ---- */

static void put(struct bt_out *o, const char *s, size_t n)
{
	while (o->text_room - o->n_text < n)
		o->text = bt_grow(o->text, &o->text_room, 1);
	memcpy(o->text + o->n_text, s, n);
	o->n_text += n;
	if (o->n_cells)
		o->cells[o->n_cells - 1].bytes += (uint32_t)n;
}

/* Names come from programs: nothing in them may steer a terminal. */
static void put_str(struct bt_out *o, const char *s)
{
	size_t n = strlen(s), at = o->n_text;
	put(o, s, n);
	for (; at < o->n_text; at++) {
		if ((unsigned char)o->text[at] < ' ' || (unsigned char)o->text[at] >= 0x7f)
			o->text[at] = '?';
	}
}

static const char *number(char buf[NUM_TEXT], uint64_t v)
{
	char *p = buf + NUM_TEXT - 1;
	*p = '\0';
	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	return p;
}

static void new_cell(struct bt_out *o, enum bt_style style)
{
	if (o->n_cells == o->cell_room)
		o->cells = bt_grow(o->cells, &o->cell_room, sizeof(*o->cells));
	o->cells[o->n_cells++] = (struct bt_cell){.style = (uint8_t)style};
}

/* ---- JSON ---- */

void bt_json_str(const char *s)
{
	putc_unlocked('"', stdout);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			/* Bytes above 7f of names that need not be UTF-8: as Latin-1, so that the
			 * document is always valid. */
			printf("\\u%04x", c);
		else
			putc_unlocked(c, stdout);
	}
	putc_unlocked('"', stdout);
}

static void json_key(struct bt_out *o, const char *key)
{
	if (!o->first_key)
		putc_unlocked(',', stdout);
	o->first_key = false;
	putc_unlocked('"', stdout);
	fputs_unlocked(key, stdout);
	fputs_unlocked("\":", stdout);
}

static void json_num(uint64_t v)
{
	char buf[NUM_TEXT];
	fputs_unlocked(number(buf, v), stdout);
}

/* ---- the calls ---- */

void bt_out_begin(struct bt_out *o, bool json, bool header, const struct bt_col *cols,
		  unsigned n_cols, const char *network, const char *list)
{
	const char *no_color = getenv("NO_COLOR");
	*o = (struct bt_out){.json = json, .header = header, .first_record = true, .cols = cols};
	o->n_cols = n_cols < MAX_COLS ? n_cols : MAX_COLS;
	o->color = !json && isatty(STDOUT_FILENO) && !(no_color && *no_color);
	/* Before the first byte, so that the list leaves in few writes. */
	setvbuf(stdout, NULL, _IOFBF, OUT_BUFFER);
	if (!json)
		return;
	fputs_unlocked("{" SCHEMA, stdout);
	if (network) {
		json_key(o, "network");
		bt_json_str(network);
	}
	json_key(o, list);
	putchar('[');
}

void bt_out_line(struct bt_out *o, const struct bt_col *cols, unsigned n_cols)
{
	*o = (struct bt_out){.json = true, .cols = cols};
	o->n_cols = n_cols < MAX_COLS ? n_cols : MAX_COLS;
	fputs_unlocked("{" SCHEMA, stdout);
}

void bt_out_line_end(struct bt_out *o)
{
	fputs_unlocked("}\n", stdout);
	*o = (struct bt_out){0};
}

/* The next column; true: it is to be written (as JSON or as a new cell). */
static bool next(struct bt_out *o, enum bt_style style)
{
	const struct bt_col *c = &o->cols[o->col++];
	if (o->json) {
		if (c->key)
			json_key(o, c->key);
		return c->key != NULL;
	}
	if (!c->head)
		return false;
	new_cell(o, style);
	return !c->off;
}

void bt_out_record(struct bt_out *o)
{
	o->col = 0;
	o->first_key = true;
	if (!o->json)
		return;
	fputs_unlocked(o->first_record ? "\n{" : ",\n{", stdout);
	o->first_record = false;
}

void bt_out_record_end(struct bt_out *o)
{
	if (o->json)
		putc_unlocked('}', stdout);
}

void bt_out_styled(struct bt_out *o, const char *value, enum bt_style style)
{
	if (!next(o, style))
		return;
	if (o->json)
		bt_json_str(value);
	else
		put_str(o, value);
}

void bt_out_str(struct bt_out *o, const char *value)
{
	bt_out_styled(o, value, BT_PLAIN);
}

void bt_out_named(struct bt_out *o, uint64_t value, const char *word)
{
	if (!next(o, BT_PLAIN))
		return;
	if (o->json) {
		json_num(value);
	} else if (word) {
		put_str(o, word);
	} else {
		char buf[NUM_TEXT];
		put_str(o, number(buf, value));
	}
}

void bt_out_num(struct bt_out *o, uint64_t value)
{
	bt_out_named(o, value, NULL);
}

void bt_out_bool(struct bt_out *o, bool value)
{
	if (!next(o, BT_PLAIN))
		return;
	if (o->json)
		fputs_unlocked(value ? "true" : "false", stdout);
	else
		put_str(o, value ? "yes" : "no");
}

void bt_out_list(struct bt_out *o)
{
	o->first_item = true;
	o->in_list = next(o, BT_PLAIN);
	if (o->in_list && o->json)
		putc_unlocked('[', stdout);
}

void bt_out_item(struct bt_out *o, const char *text)
{
	if (!o->in_list)
		return;
	if (!o->first_item) {
		if (o->json)
			putc_unlocked(',', stdout);
		else
			put(o, " ", 1);
	}
	o->first_item = false;
	if (o->json)
		bt_json_str(text);
	else
		put_str(o, text);
}

void bt_out_user(struct bt_out *o, const char *name, int pid, int fd)
{
	char tail[64];
	if (!o->in_list)
		return;
	if (o->json) {
		fputs_unlocked(o->first_item ? "{\"name\":" : ",{\"name\":", stdout);
		bt_json_str(name);
		printf(fd < 0 ? ",\"pid\":%d}" : ",\"pid\":%d,\"fd\":%d}", pid, fd);
	} else {
		int n = snprintf(tail, sizeof(tail), fd < 0 ? "\",pid=%d)" : "\",pid=%d,fd=%d)",
				 pid, fd);
		const char *head = o->first_item ? "users:((\"" : ",(\"";
		put(o, head, strlen(head));
		put_str(o, name);
		put(o, tail, n > 0 ? (size_t)n : 0);
	}
	o->first_item = false;
}

void bt_out_list_end(struct bt_out *o, bool users)
{
	if (!o->in_list)
		return;
	if (o->json)
		putc_unlocked(']', stdout);
	else if (users && !o->first_item)
		put(o, ")", 1);
}

void bt_out_tagged(struct bt_out *o, const char *before, uint64_t value, const char *after,
		   bool show)
{
	char buf[NUM_TEXT];
	if (o->json) {
		bt_out_num(o, value);
		return;
	}
	o->col++;
	if (!show || !o->n_cells)
		return;
	if (o->cells[o->n_cells - 1].bytes)
		put(o, " ", 1);
	put_str(o, before);
	put_str(o, number(buf, value));
	put_str(o, after);
}

/* ---- the table ---- */

static const char *const style_on[] = {"", "\033[1m", "\033[32m", "\033[33m"};

/* Blanks are owed until something follows them, so that no line ends in one. */
struct line {
	size_t owed;
	bool begun;
};

static void print_cell(const struct bt_out *o, const struct bt_col *c, struct line *l,
		       const char *s, size_t n, unsigned style, size_t width)
{
	size_t gap = width > n ? width - n : 0;
	if (c->before == ' ' && l->begun)
		l->owed++;
	l->begun = true;
	if (c->right)
		l->owed += gap;
	for (; n && l->owed; l->owed--)
		putc_unlocked(' ', stdout);
	if (n && c->before == ':')
		putc_unlocked(':', stdout);
	if (o->color && style && n)
		fputs_unlocked(style_on[style], stdout);
	fwrite_unlocked(s, 1, n, stdout);
	if (o->color && style && n)
		fputs_unlocked("\033[0m", stdout);
	if (!c->right)
		l->owed += gap;
}

struct shown {
	unsigned col[MAX_COLS], n; /* columns in the table */
	size_t width[MAX_COLS];
};

static void measure(const struct bt_out *o, struct shown *s)
{
	unsigned k = 0;
	for (unsigned i = 0; i < o->n_cols; i++) {
		if (o->cols[i].head) {
			s->width[s->n] = o->header && !o->cols[i].off ? strlen(o->cols[i].head) : 0;
			s->col[s->n++] = i;
		}
	}
	for (size_t i = 0; i < o->n_cells; i++) {
		if (o->cells[i].bytes > s->width[k])
			s->width[k] = o->cells[i].bytes;
		k = k + 1 == s->n ? 0 : k + 1;
	}
}

static void print_table(const struct bt_out *o)
{
	struct shown s = {.n = 0};
	struct line l = {0};
	const char *p = o->text;
	measure(o, &s);
	for (unsigned k = 0; o->header && k < s.n; k++) {
		const struct bt_col *c = &o->cols[s.col[k]];
		if (!c->off)
			print_cell(o, c, &l, c->head, strlen(c->head), BT_BOLD, s.width[k]);
	}
	if (o->header)
		putc_unlocked('\n', stdout);
	unsigned k = 0;
	for (size_t i = 0; i < o->n_cells; i++) {
		const struct bt_col *c = &o->cols[s.col[k]];
		if (k == 0)
			l = (struct line){0};
		if (!c->off)
			print_cell(o, c, &l, p, o->cells[i].bytes, o->cells[i].style, s.width[k]);
		p += o->cells[i].bytes;
		k = k + 1 == s.n ? 0 : k + 1;
		if (k == 0)
			putc_unlocked('\n', stdout);
	}
}

void bt_out_end(struct bt_out *o)
{
	if (o->json)
		fputs_unlocked(o->first_record ? "]}\n" : "\n]}\n", stdout);
	else
		print_table(o);
	free(o->text);
	free(o->cells);
	*o = (struct bt_out){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one writer: a list of records, as a table or as JSON, from the same calls. A table keeps its
 * cells until the end, because its widths follow from all of them; JSON goes out at once, one
 * record a line:
 *
 *	{"schema":1,"network":"default","sockets":[
 *	{"netid":"tcp","state":"LISTEN",...},
 *	...
 *	]}
 *
 * doc/json.md says what a schema's number promises, doc/schema has one for each document.
 */
#ifndef BERTH_CLI_OUT_H
#define BERTH_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bt_col {
	const char *head; /* heading; NULL: JSON only */
	const char *key;  /* in JSON; NULL: table only */
	bool right;	  /* aligned right */
	char before;	  /* between it and the column before: ' ', or ':' */
	bool off;	  /* not in the table this time */
};

enum bt_style { BT_PLAIN, BT_BOLD, BT_GREEN, BT_YELLOW };

struct bt_cell {
	uint32_t bytes;
	uint8_t style;
};

struct bt_out {
	bool json, header, color;
	bool first_record, first_key, first_item, in_list;
	const struct bt_col *cols;
	unsigned n_cols, col; /* col: the cell that is being written */
	char *text;
	size_t n_text, text_room;
	struct bt_cell *cells;
	size_t n_cells, cell_room;
};

/* Begins; the columns stay the caller's. In JSON the schema's number, `network` (unless NULL) and
 * the list's name come first. */
void bt_out_begin(struct bt_out *o, bool json, bool header, const struct bt_col *cols,
		  unsigned n_cols, const char *network, const char *list);
void bt_out_end(struct bt_out *o);

/* One record alone, as a line of JSON: begins with the schema's number; its cells as in a list;
 * ends. */
void bt_out_line(struct bt_out *o, const struct bt_col *cols, unsigned n_cols);
void bt_out_line_end(struct bt_out *o);

/* Writes s to standard output as JSON text, in quotes; bytes above 7f as Latin-1. */
void bt_json_str(const char *s);

/* A record has one call for each column, in order. */
void bt_out_record(struct bt_out *o);
void bt_out_record_end(struct bt_out *o);
void bt_out_str(struct bt_out *o, const char *value);
void bt_out_styled(struct bt_out *o, const char *value, enum bt_style style);
void bt_out_num(struct bt_out *o, uint64_t value);
/* true or false; "yes" or "no" in the table. */
void bt_out_bool(struct bt_out *o, bool value);
/* A number that people read as a word (a port and its service, or "*" for none). */
void bt_out_named(struct bt_out *o, uint64_t value, const char *word);

/* A list in one column; text stands before the first, between, and after the last item in the
 * table. */
void bt_out_list(struct bt_out *o);
void bt_out_item(struct bt_out *o, const char *text);
/* The list of ss -p: users:(("nginx",pid=12,fd=6)). fd -1: not known. */
void bt_out_user(struct bt_out *o, const char *name, int pid, int fd);
void bt_out_list_end(struct bt_out *o, bool users);

/* A column without heading whose text joins the column before it, as with ss -e: " uid:1000". */
void bt_out_tagged(struct bt_out *o, const char *before, uint64_t value, const char *after,
		   bool show);

#endif

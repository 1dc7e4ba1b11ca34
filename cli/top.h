/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth top: the sockets of a network, again and again.
 *
 *	cmd_top.c	options, the loop, plain text
 *	top_look.c	one look: rows, queues, counters of connections in packets, ports in use
 *	top_model.c	what is shown of it, and in which order
 *	top_screen.c	the terminal
 */
#ifndef BERTH_CLI_TOP_H
#define BERTH_CLI_TOP_H

#include "cli.h"
#include "explain.h"
#include "holders.h"
#include "rows.h"

struct bt_top_line {
	struct bt_sock s;
	const char *host, *program; /* the eye's; program is empty where it is gone */
	bool counted;		    /* it may carry bytes, and has been watched: rate is known */
	double rate;		    /* bytes a second, both directions; 0 at the first look */
	uint32_t retrans;	    /* in packets: segments sent again since it began */
};

struct bt_top_host {
	char name[BT_HOST_NAME];
	uint32_t index;
	uint32_t sockets, listeners, established, time_wait;
	uint32_t taken, capacity; /* ephemeral ports of TCP */
};

struct bt_top_look {
	struct bt_top_line *lines;
	size_t n;
	struct bt_top_host *hosts; /* the fullest first */
	unsigned n_hosts;
	double at_s; /* CLOCK_MONOTONIC */
};

/* ---- top_look.c ---- */

struct bt_top_eye; /* what is remembered from look to look */
struct bt_top_eye *bt_top_open(struct bt_client *c, const char *network, uint32_t only_host);
void bt_top_close(struct bt_top_eye *e);
/* The next look, which is the eye's until the next one; NULL after saying why not. */
#define BT_TOP_ALL_HOSTS UINT32_MAX
struct bt_top_look *bt_top_next(struct bt_top_eye *e);
/* What berth explain says of what comes for the socket. 0, or an errno; ESTALE: it is gone.
 * bt_explain_done in all cases. */
int bt_top_explain(struct bt_top_eye *e, const struct bt_sock *s, struct bt_explanation *x);
/* ---- top_model.c ---- */

enum bt_top_key {
	BT_TOP_RATE,
	BT_TOP_QUEUE,
	BT_TOP_STATE,
	BT_TOP_PORT,
	BT_TOP_PEER,
	BT_TOP_HOST,
	BT_TOP_PROGRAM,
	BT_TOP_RETRANS,
	BT_TOP_KEYS,
};
extern const char *const bt_top_key_names[BT_TOP_KEYS];

enum bt_top_which { BT_TOP_BOTH, BT_TOP_LISTENERS, BT_TOP_CONNECTIONS, BT_TOP_WHICH };

struct bt_top_view {
	enum bt_top_key key;
	bool reverse;
	enum bt_top_which which;
	char filter[64]; /* words that must all stand in a line, in any case */
	/* The lines that are shown, in order: indices into the look's. */
	uint32_t *shown;
	size_t n, room;
};

/* A line's cells, as they are shown and searched. */
struct bt_top_text {
	char proto[8], state[16], local[72], peer[72], queue[16], rate[16], retrans[16];
	const char *host, *program;
};
void bt_top_text(const struct bt_top_line *l, struct bt_top_text *t);

/* Chooses and sorts anew. */
void bt_top_arrange(struct bt_top_view *v, const struct bt_top_look *look);
/* Whether every word of `words` stands in the line. */
bool bt_top_matches(const struct bt_top_text *t, const char *words);
/* The place in v->shown, from `from` on and around, of a line that matches; v->n: none. */
size_t bt_top_search(const struct bt_top_view *v, const struct bt_top_look *look, const char *words,
		     size_t from);
/* "0", "812", "1.2k", "34M": four characters at most, of a thousand each. */
void bt_top_number(char text[16], double value);
/* "[####......]" of `width` characters in all. */
void bt_top_gauge(char *text, size_t width, uint32_t taken, uint32_t capacity);

/* The head of the screen in one line, a host, the heading and a line of the list; all but the last
 * two in 80 columns, these too unless they are wide. */
void bt_top_summary(char *text, size_t size, const char *network, const struct bt_top_look *look);
void bt_top_host_text(char *text, size_t size, const struct bt_top_host *h);
void bt_top_heading(char *text, size_t size, bool wide);
void bt_top_line_text(char *text, size_t size, const struct bt_top_line *l, bool wide);

/* ---- top_screen.c ---- */

enum { BT_TOP_WIDTH = 80, BT_TOP_HEIGHT = 12 };
/* The exit status. Until q, or a signal. */
int bt_top_screen(struct bt_top_eye *eye, const char *network, struct bt_top_view *v,
		  double interval_s, bool color);

#endif

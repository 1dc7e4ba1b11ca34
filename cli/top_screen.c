/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of berth top. A look is drawn when it is due or a key was pressed; a key costs no
 * new look, but for the space bar.
 */
#include "top.h"

#include "addr.h"
#include "endpoint.h"

#include <ctype.h>
#include <errno.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN, GOOD, WARN, BAD, MARK }; /* pairs of colours */
enum { HOSTS_SHOWN = 6, WIDE = 100 };

struct screen {
	struct bt_top_eye *eye;
	const char *network;
	struct bt_top_view *view;
	const struct bt_top_look *look;
	double interval_s;
	bool color;
	size_t cursor,
		first; /* in view->shown: the line that is selected, the first on the screen */
	uint32_t slot; /* of the selected one, which stays selected */
	char search[64];
	char said[128]; /* for the last line, once */
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	ended = number;
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- drawing ---- */

static void put(int y, const char *text, attr_t attributes)
{
	if (y < 0 || y >= LINES)
		return;
	attrset((int)attributes);
	move(y, 0);
	clrtoeol();
	addnstr(text, COLS);
	attrset((int)A_NORMAL);
}

static attr_t shade(const struct screen *s, int pair, attr_t otherwise)
{
	return s->color ? (attr_t)COLOR_PAIR(pair) : otherwise;
}

static attr_t host_shade(const struct screen *s, const struct bt_top_host *h)
{
	uint64_t percent = h->capacity == 0 ? 0 : 100ull * h->taken / h->capacity;
	return percent >= 90   ? shade(s, BAD, A_BOLD)
	       : percent >= 70 ? shade(s, WARN, A_NORMAL)
			       : A_NORMAL;
}

static int draw_hosts(const struct screen *s)
{
	char text[512];
	int y = 1;
	unsigned n = s->look->n_hosts;
	unsigned shown = n > HOSTS_SHOWN ? HOSTS_SHOWN - 1 : n;
	for (unsigned i = 0; i < shown; i++) {
		bt_top_host_text(text, sizeof(text), &s->look->hosts[i]);
		put(y++, text, host_shade(s, &s->look->hosts[i]));
	}
	if (n > shown) {
		snprintf(text, sizeof(text), "and %u hosts with more ports free", n - shown);
		put(y++, text, A_DIM);
	}
	return y;
}

static attr_t line_shade(const struct screen *s, const struct bt_row *r)
{
	return r->state == BT_ROW_LISTEN       ? shade(s, GOOD, A_NORMAL)
	       : r->state == BT_ROW_CLOSE_WAIT ? shade(s, BAD, A_NORMAL)
	       : r->state == BT_ROW_TIME_WAIT  ? shade(s, WARN, A_NORMAL)
					       : A_NORMAL;
}

/* The selected socket keeps the cursor wherever it has moved to. */
static void follow(struct screen *s)
{
	const struct bt_top_view *v = s->view;
	for (size_t i = 0; i < v->n; i++)
		if (s->look->lines[v->shown[i]].s.slot == s->slot) {
			s->cursor = i;
			return;
		}
	if (s->cursor >= v->n)
		s->cursor = v->n > 0 ? v->n - 1 : 0;
}

static void draw_list(struct screen *s, int top)
{
	const struct bt_top_view *v = s->view;
	size_t rows = LINES - 1 > top ? (size_t)(LINES - 1 - top) : 0;
	char text[512];
	if (s->cursor < s->first)
		s->first = s->cursor;
	if (s->cursor >= s->first + rows)
		s->first = s->cursor - rows + 1;
	if (v->n <= rows)
		s->first = 0;
	for (size_t i = 0; i < rows; i++) {
		size_t at = s->first + i;
		if (at >= v->n) {
			put(top + (int)i, at == 0 ? "no socket matches" : "", A_DIM);
			continue;
		}
		const struct bt_top_line *l = &s->look->lines[v->shown[at]];
		bt_top_line_text(text, sizeof(text), l, COLS >= WIDE);
		put(top + (int)i, text, at == s->cursor ? A_REVERSE : line_shade(s, &l->s.row));
	}
}

static void draw_keys(struct screen *s)
{
	static const char *const which[] = {"all", "listeners", "connections"};
	char text[256];
	if (s->said[0] != '\0')
		snprintf(text, sizeof(text), "%s", s->said);
	else
		snprintf(
			text, sizeof(text),
			"q quit  ? help  e explain  s sort:%s%s  t show:%s  f filter%s%s  / search",
			bt_top_key_names[s->view->key], s->view->reverse ? " (up)" : "",
			which[s->view->which], s->view->filter[0] ? ":" : "", s->view->filter);
	put(LINES - 1, text, shade(s, MARK, A_REVERSE));
	s->said[0] = '\0';
}

static bool too_small(void)
{
	if (COLS >= BT_TOP_WIDTH && LINES >= BT_TOP_HEIGHT)
		return false;
	erase();
	mvprintw(0, 0, "berth top needs %dx%d; here are %dx%d", BT_TOP_WIDTH, BT_TOP_HEIGHT, COLS,
		 LINES);
	refresh();
	return true;
}

static void draw(struct screen *s)
{
	char text[512];
	if (too_small())
		return;
	bt_top_arrange(s->view, s->look);
	follow(s);
	bt_top_summary(text, sizeof(text), s->network, s->look);
	put(0, text, A_BOLD);
	int y = draw_hosts(s);
	put(y++, "", A_NORMAL);
	bt_top_heading(text, sizeof(text), COLS >= WIDE);
	put(y++, text, A_BOLD | A_UNDERLINE);
	draw_list(s, y);
	draw_keys(s);
	refresh();
}

/* ---- pages of text ---- */

static void page(struct screen *s, const char *title, char *text)
{
	char *lines[256];
	int n = 0, first = 0, key;
	for (char *at = strtok(text, "\n"); at != NULL && n < 256; at = strtok(NULL, "\n"))
		lines[n++] = at;
	timeout(-1);
	do {
		erase();
		put(0, title, A_BOLD);
		/* Long lines are folded. */
		int y = 2;
		for (int i = first; i < n && y < LINES - 1; i++)
			for (const char *at = lines[i]; y < LINES - 1; at += COLS) {
				put(y++, at, A_NORMAL);
				if ((int)strlen(at) <= COLS)
					break;
			}
		put(LINES - 1, "any key: back  arrows: scroll", shade(s, MARK, A_REVERSE));
		refresh();
		key = getch();
		if (key == KEY_DOWN && first + 1 < n)
			first++;
		if (key == KEY_UP && first > 0)
			first--;
	} while ((key == KEY_DOWN || key == KEY_UP || key == KEY_RESIZE) && !ended);
	erase();
}

static void help(struct screen *s)
{
	char text[] = "q, Ctrl-C     end\n"
		      "up, down      select a socket (k, j); page up, page down, home, end\n"
		      "e, Enter      explain: which program gets what comes for the selected "
		      "socket, and why\n"
		      "s, S          sort by the next, the last column: rate queue state port peer "
		      "host program "
		      "retrans\n"
		      "r             the other way round\n"
		      "t             show all, only those that serve, only connections\n"
		      "f             filter: words that must all stand in a line (web tcp :80); "
		      "empty: all\n"
		      "/, n          search, the next one\n"
		      "space         look now\n"
		      "QUEU: bytes to be read; of a listener, connections to be accepted.\n"
		      "B/s, RETR: of connections that travel in packets (berth link); of the "
		      "others nobody "
		      "counts.\n"
		      "ephemeral: source ports of TCP that are in use, of those to choose from.\n";
	page(s, "berth top: keys", text);
}

/* What berth explain says, from berth itself. */
static void explain(struct screen *s)
{
	char from[BT_END_TEXT], to[BT_END_TEXT], text[8192];
	if (s->cursor >= s->view->n)
		return;
	const struct bt_row *r = &s->look->lines[s->view->shown[s->cursor]].s.row;
	struct bt_row at = *r;
	if (bt_addr_is_any(at.laddr)) { /* the host's own address */
		snprintf(to, sizeof(to), "%.50s:%u", s->look->lines[s->view->shown[s->cursor]].host,
			 bt_row_port(r));
	} else {
		bt_end_text(r->laddr, bt_row_port(r), r->family, to);
	}
	bt_end_text(r->raddr, r->rport, r->family, from);
	int out[2];
	size_t n = 0;
	ssize_t got;
	if (pipe(out) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		const char *proto = r->proto == BT_PROTO_TCP ? "tcp" : "udp";
		if (r->rport != 0)
			execl("/proc/self/exe", "berth", "explain", "--network", s->network, proto,
			      from, to, (char *)NULL);
		else
			execl("/proc/self/exe", "berth", "explain", "--network", s->network, proto,
			      to, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	while (pid > 0 && n < sizeof(text) - 1 &&
	       (got = read(out[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(out[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	char title[160];
	snprintf(title, sizeof(title), "explain %s %s %s", r->proto == BT_PROTO_TCP ? "tcp" : "udp",
		 r->rport != 0 ? from : "", to);
	page(s, title, n > 0 ? text : strcpy(text, "berth explain did not answer\n"));
}

/* ---- keys ---- */

/* A line of text in the last row; false: given up with Escape. */
static bool ask(const char *what, char *answer, size_t size)
{
	char text[160];
	size_t n = strlen(answer);
	timeout(-1);
	for (;;) {
		snprintf(text, sizeof(text), "%s: %s", what, answer);
		put(LINES - 1, text, A_BOLD);
		refresh();
		int key = getch();
		if (key == '\n' || key == KEY_ENTER)
			return true;
		if (key == 27 || ended)
			return false;
		if ((key == KEY_BACKSPACE || key == 127 || key == 8) && n > 0)
			answer[--n] = '\0';
		else if (key == 21) /* Ctrl-U */
			answer[n = 0] = '\0';
		else if (key < 256 && isprint(key) && n + 1 < size) {
			answer[n++] = (char)key;
			answer[n] = '\0';
		}
	}
}

static void search(struct screen *s)
{
	size_t at = bt_top_search(s->view, s->look, s->search, s->cursor + 1);
	if (at < s->view->n)
		s->cursor = at;
	else
		snprintf(s->said, sizeof(s->said), "nothing here has '%s'", s->search);
}

static void edit(struct screen *s, int key)
{
	char was[64];
	char *what = key == 'f' ? s->view->filter : s->search;
	memcpy(was, what, sizeof(was));
	if (key == '/')
		what[0] = '\0';
	if (!ask(key == 'f' ? "filter" : "search", what, sizeof(was)))
		memcpy(what, was, sizeof(was));
	else if (key == '/' && what[0] != '\0')
		search(s);
}

static void step(struct screen *s, long by)
{
	long at = (long)s->cursor + by, last = (long)s->view->n - 1;
	s->cursor = (size_t)(at < 0 || last < 0 ? 0 : at > last ? last : at);
}

/* False: the end. */
static bool obey(struct screen *s, int key)
{
	struct bt_top_view *v = s->view;
	const long pages = LINES > 12 ? LINES - 10 : 2;
	switch (key) {
	case 'q':
		return false;
	case KEY_UP:
	case 'k':
		step(s, -1);
		break;
	case KEY_DOWN:
	case 'j':
		step(s, 1);
		break;
	case KEY_PPAGE:
		step(s, -pages);
		break;
	case KEY_NPAGE:
		step(s, pages);
		break;
	case KEY_HOME:
		s->cursor = 0;
		break;
	case KEY_END:
		step(s, (long)v->n);
		break;
	case 's':
		v->key = (enum bt_top_key)((v->key + 1) % BT_TOP_KEYS);
		break;
	case 'S':
		v->key = (enum bt_top_key)((v->key + BT_TOP_KEYS - 1) % BT_TOP_KEYS);
		break;
	case 'r':
		v->reverse = !v->reverse;
		break;
	case 't':
		v->which = (enum bt_top_which)((v->which + 1) % BT_TOP_WHICH);
		break;
	case 'f':
	case '/':
		edit(s, key);
		break;
	case 'n':
		if (s->search[0] != '\0')
			search(s);
		break;
	case 'e':
	case '\n':
	case KEY_ENTER:
		explain(s);
		break;
	case '?':
	case 'h':
		help(s);
		break;
	case KEY_RESIZE:
		erase();
		break;
	default:
		break;
	}
	if (s->cursor < v->n)
		s->slot = s->look->lines[v->shown[s->cursor]].s.slot;
	return true;
}

static bool begin(struct screen *s)
{
	if (newterm(NULL, stdout, stdin) == NULL) {
		const char *term = getenv("TERM");
		bt_say("the terminal '%s' is not known here; set TERM to another one, such as "
		       "vt100",
		       term == NULL ? "" : term);
		return false;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	s->color = s->color && has_colors() && start_color() == OK;
	if (s->color) {
		use_default_colors();
		init_pair(GOOD, COLOR_GREEN, -1);
		init_pair(WARN, COLOR_YELLOW, -1);
		init_pair(BAD, COLOR_RED, -1);
		init_pair(MARK, COLOR_BLACK, COLOR_CYAN);
	}
	return true;
}

int bt_top_screen(struct bt_top_eye *eye, const char *network, struct bt_top_view *v,
		  double interval_s, bool color)
{
	struct screen s = {.eye = eye,
			   .network = network,
			   .view = v,
			   .interval_s = interval_s,
			   .color = color,
			   .slot = UINT32_MAX};
	const struct sigaction act = {.sa_handler = on_signal};
	s.look = bt_top_next(eye);
	if (s.look == NULL || !begin(&s))
		return BT_EXIT_FAIL;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	double due = now_s() + interval_s;
	bool goes_on = true;
	while (goes_on && !ended) {
		draw(&s);
		double left = due - now_s();
		timeout(left > 0 ? (int)(left * 1000) + 1 : 0);
		int key = getch();
		if (key != ERR)
			goes_on = obey(&s, key);
		if (key != ' ' && now_s() < due)
			continue;
		due = now_s() + interval_s;
		/* Its words, if it has any, are for the terminal as it was before. */
		def_prog_mode();
		s.look = bt_top_next(eye);
		if (s.look == NULL)
			break;
	}
	endwin();
	if (s.look == NULL)
		bt_say("the network '%s' has ended", network);
	return s.look == NULL ? BT_EXIT_FAIL : BT_EXIT_OK;
}

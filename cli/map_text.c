/* SPDX-License-Identifier: Apache-2.0 */
/* A map for a terminal of 80 columns, with the characters for boxes and shades where it has them.
 */
#include "map.h"

#include "join.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, CELLS = 64, ROWS = 40, WORDS = 256 };

struct glyphs {
	const char *h, *v, *corners[3][3]; /* corners: top, middle, bottom; left, between, right */
	const char *shades[5];
};

static const struct glyphs plain = {
	"-", "|", {{"+", "+", "+"}, {"+", "+", "+"}, {"+", "+", "+"}}, {" ", ".", ":", "+", "#"}};
static const struct glyphs boxes = {
	"─", "│", {{"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}}, {" ", "░", "▒", "▓", "█"}};

/* ASCII in exactly `width` columns; what is too long ends in "..". */
static void put_cut(const char *s, size_t width, bool fill)
{
	size_t n = strlen(s), shown = n > width ? width : n;
	for (size_t i = 0; i < shown; i++) {
		unsigned char c = n > width && i + 2 >= width ? '.' : (unsigned char)s[i];
		/* Names come from programs: nothing in them may steer a terminal. */
		putchar(c < ' ' || c >= 0x7f ? '?' : c);
	}
	for (size_t i = shown; fill && i < width; i++)
		putchar(' ');
}

/* ---- the port space ---- */

/* The ephemeral zone takes what does not divide evenly. */
static unsigned width_of(const struct bt_map_host *h, unsigned zone)
{
	unsigned room = WIDTH - h->n_zones - 1, each = room / h->n_zones;
	return h->zones[zone].kind == BT_MAP_EPHEMERAL ? each + room % h->n_zones : each;
}

static void put_edge(const struct bt_map_host *h, const struct glyphs *g, unsigned row)
{
	for (unsigned i = 0; i < h->n_zones; i++) {
		fputs(g->corners[row][i > 0], stdout);
		for (unsigned k = width_of(h, i); k > 0; k--)
			fputs(g->h, stdout);
	}
	printf("%s\n", g->corners[row][2]);
}

static void put_zones(const struct bt_map_host *h, const struct glyphs *g)
{
	put_edge(h, g, 0);
	for (unsigned line = 0; line < 3; line++) {
		for (unsigned i = 0; i < h->n_zones; i++) {
			const struct bt_map_zone *z = &h->zones[i];
			char text[40];
			if (line == 0)
				snprintf(text, sizeof(text), "%s", bt_map_zone_name(z->kind));
			else if (line == 1)
				snprintf(text, sizeof(text), "%u-%u", z->first, z->last);
			else
				snprintf(text, sizeof(text), "%u in use", z->in_use);
			printf("%s ", g->v);
			put_cut(text, width_of(h, i) - 1, true);
		}
		printf("%s\n", g->v);
	}
	put_edge(h, g, 2);
}

static const char *shade(const struct glyphs *g, uint32_t used, uint32_t size)
{
	return g->shades[used == 0	       ? 0
			 : used * 4 > size * 3 ? 4
			 : used * 2 > size     ? 3
			 : used * 4 > size     ? 2
					       : 1];
}

static void put_heat(const struct bt_map_host *h, const struct glyphs *g)
{
	unsigned n = (unsigned)(h->hi - h->lo) + 1 < CELLS ? (unsigned)(h->hi - h->lo) + 1 : CELLS;
	char text[BT_MAP_SHARE];
	printf("Ephemeral: %u of %u in use (%s)", h->in_use, h->capacity, bt_map_share(h, text));
	if (h->time_wait)
		printf(", %u of them in TIME_WAIT", h->time_wait);
	printf("\n%5u %s", h->lo, g->v);
	for (unsigned i = 0; i < n; i++) {
		uint16_t first, last;
		uint32_t used = bt_map_cell(h, i, n, &first, &last);
		fputs(shade(g, used, (uint32_t)(last - first) + 1), stdout);
	}
	printf("%s %u\n", g->v, h->hi);
}

/* ---- who sits where ---- */

static void put_seat(const struct bt_map_seat *s)
{
	char port[16], programs[WORDS], addrs[WORDS];
	const char *service = bt_map_service(s);
	if (s->first == s->last)
		snprintf(port, sizeof(port), "%u", s->first);
	else
		snprintf(port, sizeof(port), "%u-%u", s->first, s->last);
	bt_map_programs(s, programs, sizeof(programs));
	bt_map_addrs(s, addrs, sizeof(addrs));
	if (s->does == BT_MAP_BOUND)
		strncat(addrs, ", only bound", sizeof(addrs) - strlen(addrs) - 1);
	else if (s->connections)
		snprintf(addrs + strlen(addrs), sizeof(addrs) - strlen(addrs), ", %u connected",
			 s->connections);
	printf("%11s ", port);
	put_cut(service ? service : "", 13, true);
	printf(" %s ", s->proto == BT_PROTO_UDP ? "udp" : "tcp");
	put_cut(programs, 23, true);
	putchar(' ');
	put_cut(addrs, 26, false);
	putchar('\n');
}

static void put_seats(const struct bt_map_host *h, const struct bt_map_zone *z)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n_seats; i++) {
		if (!bt_map_in(z, &h->seats[i]))
			continue;
		if (n == 0)
			printf("%s, %u-%u\n", bt_map_zone_name(z->kind), z->first, z->last);
		if (n++ < ROWS)
			put_seat(&h->seats[i]);
	}
	if (n > ROWS)
		printf("%11s and %zu more (berth map --json has all)\n", "", n - ROWS);
}

static void put_host(const struct bt_map_host *h, const struct glyphs *g)
{
	put_cut(h->name, WIDTH, false);
	for (unsigned i = 0; i < h->n_addrs; i++)
		printf("%s%s", i ? ", " : "  ", h->addrs[i]);
	printf("  %u socket%s\n", h->sockets, h->sockets == 1 ? "" : "s");
	put_zones(h, g);
	put_heat(h, g);
	for (unsigned i = 0; i < h->n_zones; i++)
		put_seats(h, &h->zones[i]);
	if (h->n_seats == 0)
		puts("Nobody waits at a port.");
	putchar('\n');
}

/* ---- connections ---- */

static void put_way(const struct bt_map *m, const struct bt_map_way *w)
{
	const struct bt_map_seat at = {.first = w->port, .last = w->port, .proto = w->proto};
	char ends[2 * BT_HOST_NAME + 8], port[40];
	const char *service = bt_map_service(&at);
	snprintf(ends, sizeof(ends), "%s -> %s", bt_map_host_name(m, w->from),
		 bt_map_host_name(m, w->to));
	snprintf(port, sizeof(port), "%u%s%s", w->port, service ? " " : "", service ? service : "");
	printf("  ");
	put_cut(ends, 30, true);
	printf(" %s ", w->proto == BT_PROTO_UDP ? "udp" : "tcp");
	put_cut(port, 16, true);
	printf(" %6u", w->n);
	if (w->time_wait)
		printf(", %u in TIME_WAIT", w->time_wait);
	putchar('\n');
}

void bt_map_text(const struct bt_map *m, bool utf8)
{
	const struct glyphs *g = utf8 ? &boxes : &plain;
	for (size_t i = 0; i < m->n_hosts; i++) {
		if (m->hosts[i].shown)
			put_host(&m->hosts[i], g);
	}
	puts(m->n_ways ? "Connections" : "No connections.");
	for (size_t i = 0; i < m->n_ways && i < ROWS; i++)
		put_way(m, &m->ways[i]);
	if (m->n_ways > ROWS)
		printf("  and %zu more (berth map --json has all)\n", m->n_ways - ROWS);
}

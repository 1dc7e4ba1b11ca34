/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map as one page: no script, nothing from elsewhere (the page itself forbids both), light or
 * dark as the reader prefers. What a picture shows is told in words beside it.
 */
#include "map.h"

#include "html.h"
#include "join.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	CELLS = 96,	/* of the heat strip */
	SEATS = 60,	/* written in one range */
	MARKS = 200,	/* in one range's picture */
	WAYS = 200,	/* rows of the table */
	OPEN_HOSTS = 8, /* more are folded up */
	OPEN_WAYS = 15,
	WORDS = 512,
};

static const char *const css[] = {
#include "map_css.h"
};

static const char *const classes[] = {"well", "registered", "ephemeral", "dynamic"};

static void put(FILE *f, const char *key, const char *text, const char *end)
{
	fputs(key, f);
	bt_html_text(f, text);
	fputs(end, f);
}

static void put_n(FILE *f, uint64_t n, const char *one, const char *many)
{
	bt_html_number(f, n);
	fputs(n == 1 ? one : many, f);
}

/* ---- the port space ---- */

/* Not to scale: well-known ports are a sixtieth of all, and the most told of. */
static const char *weight(enum bt_map_kind kind)
{
	return kind == BT_MAP_EPHEMERAL ? " w3" : kind == BT_MAP_REGISTERED ? " w2" : "";
}

static void put_marks(FILE *f, const struct bt_map_host *h, const struct bt_map_zone *z)
{
	double size = z->last - z->first + 1.0;
	unsigned n = 0;
	for (size_t i = 0; i < h->n_seats && n < MARKS; i++) {
		if (!bt_map_in(z, &h->seats[i]))
			continue;
		/* Within 2 to 98 %, so that the first and the last can be seen. */
		fprintf(f, "<i style=\"left:%.1f%%\"></i>",
			2 + 96 * (h->seats[i].first - z->first) / size);
		n++;
	}
}

static void put_space(FILE *f, const struct bt_map_host *h)
{
	fputs("<div class=\"space\" role=\"img\" aria-label=\"The port space:", f);
	for (unsigned i = 0; i < h->n_zones; i++) {
		const struct bt_map_zone *z = &h->zones[i];
		fprintf(f, "%s %s, %u to %u, %u in use", i ? ";" : "", bt_map_zone_name(z->kind),
			z->first, z->last, z->in_use);
	}
	fputs(".\">\n", f);
	for (unsigned i = 0; i < h->n_zones; i++) {
		const struct bt_map_zone *z = &h->zones[i];
		fprintf(f, "<div class=\"part %s%s\"><b>%s</b><span class=\"narrow\">",
			classes[z->kind], weight(z->kind), bt_map_zone_name(z->kind));
		fprintf(f, "%u&#8211;%u</span><span>", z->first, z->last);
		put_n(f, z->in_use, " port in use", " ports in use");
		fputs("</span>", f);
		put_marks(f, h, z);
		fputs("</div>\n", f);
	}
	fputs("</div>\n<div class=\"ticks\" aria-hidden=\"true\">", f);
	for (unsigned i = 0; i < h->n_zones; i++) {
		const struct bt_map_zone *z = &h->zones[i];
		const char *w = weight(z->kind);
		fprintf(f, "<span%s%s%s><span>%u</span>", *w ? " class=\"" : "", *w ? w + 1 : "",
			*w ? "\"" : "", z->first);
		fprintf(f, i + 1 == h->n_zones ? "<span class=\"n\">%u</span></span>" : "</span>",
			z->last);
	}
	fputs("</div>\n", f);
}

/* ---- how full ---- */

static void put_heat(FILE *f, const struct bt_map_host *h)
{
	uint32_t size = (uint32_t)(h->hi - h->lo) + 1;
	unsigned n = size < CELLS ? size : CELLS;
	char text[BT_MAP_SHARE];
	fputs("<figure class=\"heat\"><figcaption><h3>Ephemeral ports</h3><p class=\"what\">", f);
	bt_html_number(f, h->in_use);
	fputs(" of ", f);
	bt_html_number(f, h->capacity);
	fprintf(f, " in use (%s)", bt_map_share(h, text));
	if (h->time_wait) {
		fputs(", ", f);
		bt_html_number(f, h->time_wait);
		fputs(" of them only in TIME_WAIT", f);
	}
	fprintf(f,
		".</p></figcaption>\n<svg viewBox=\"0 0 %u 1\" preserveAspectRatio=\"none\" "
		"role=\"img\" aria-label=\"Where the ephemeral ports in use lie: the stronger a "
		"part's colour, the more of its ports are.\">",
		n);
	for (unsigned i = 0; i < n; i++) {
		uint16_t first, last;
		uint32_t used = bt_map_cell(h, i, n, &first, &last);
		double share = used / (last - first + 1.0);
		if (!used)
			continue;
		/* One of 300 ports shall be seen, too. */
		fprintf(f, "<rect x=\"%u\" width=\"1\" height=\"1\" fill-opacity=\"%.2f\"><title>",
			i, 0.4 + 0.6 * sqrt(share));
		fprintf(f, "%u to %u: %u in use</title></rect>\n", first, last, used);
	}
	fprintf(f,
		"</svg>\n<div class=\"axis\" "
		"aria-hidden=\"true\"><span>%u</span><span>%u</span></div>"
		"</figure>\n",
		h->lo, h->hi);
}

/* ---- who sits where ---- */

static void put_seat(FILE *f, const struct bt_map_seat *s, enum bt_map_kind kind)
{
	static const char *const does[] = {"listens on ", "receives on ", "is bound to "};
	char text[WORDS];
	const char *service = bt_map_service(s);
	fprintf(f, "<li><span class=\"port %s\">%u", classes[kind], s->first);
	if (s->last != s->first)
		fprintf(f, "&#8211;%u", s->last);
	bt_map_programs(s, text, sizeof(text));
	put(f, "</span><span class=\"who\"><bdi>", text, "</bdi></span><span class=\"how\">");
	if (service)
		put(f, "", service, ", ");
	bt_map_addrs(s, text, sizeof(text));
	fprintf(f, "%s %s%s", s->proto == BT_PROTO_UDP ? "UDP" : "TCP", does[s->does], text);
	if (s->connections) {
		fputs(", ", f);
		put_n(f, s->connections, " connection", " connections");
	}
	fputs("</span></li>\n", f);
}

static void put_zone_seats(FILE *f, const struct bt_map_host *h, const struct bt_map_zone *z)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n_seats; i++) {
		if (!bt_map_in(z, &h->seats[i]))
			continue;
		if (n == 0)
			fprintf(f, "<div><h3>%s <span>%u&#8211;%u</span></h3><ul>\n",
				bt_map_zone_name(z->kind), z->first, z->last);
		if (n++ < SEATS)
			put_seat(f, &h->seats[i], z->kind);
	}
	if (n)
		fputs("</ul>", f);
	if (n > SEATS) {
		fputs("<p class=\"note\">And ", f);
		bt_html_number(f, n - SEATS);
		fputs(" more; <code>berth map --json</code> has all.</p>", f);
	}
	if (n)
		fputs("</div>\n", f);
}

static void put_host(FILE *f, const struct bt_map_host *h, size_t number, bool fold)
{
	fprintf(f,
		fold ? "<details class=\"card\" id=\"host-%zu\"><summary>"
		     : "<section class=\"card\" id=\"host-%zu\">",
		number);
	put(f, "<h2>", h->name, "</h2> ");
	fputs(fold ? "<span class=\"addrs\">" : "<p class=\"addrs\">", f);
	for (unsigned i = 0; i < h->n_addrs; i++)
		put(f, i ? ", " : "", h->addrs[i], "");
	fputs(h->n_addrs ? "; " : "", f);
	put_n(f, h->sockets, " socket", " sockets");
	fputs(fold ? "</span></summary>\n" : "</p>\n", f);
	put_space(f, h);
	put_heat(f, h);
	if (h->n_seats) {
		fputs("<div class=\"seats\">\n", f);
		for (unsigned i = 0; i < h->n_zones; i++)
			put_zone_seats(f, h, &h->zones[i]);
		fputs("</div>\n", f);
	} else {
		fputs("<p class=\"note\">Nobody waits at a port.</p>\n", f);
	}
	fputs(fold ? "</details>\n" : "</section>\n", f);
}

/* ---- connections ---- */

static void put_way(FILE *f, const struct bt_map *m, const struct bt_map_way *w)
{
	const struct bt_map_seat at = {.first = w->port, .last = w->port, .proto = w->proto};
	const uint32_t numbers[] = {w->n, w->established, w->time_wait};
	const char *service = bt_map_service(&at);
	put(f, "<tr><td>", bt_map_host_name(m, w->from), "</td><td>");
	put(f, "", bt_map_host_name(m, w->to), "</td><td>");
	fprintf(f, "%s</td><td>%u%s", w->proto == BT_PROTO_UDP ? "UDP" : "TCP", w->port,
		service ? " " : "");
	put(f, "", service ? service : "", "</td>");
	for (unsigned i = 0; i < 3; i++) {
		fputs("<td class=\"n\">", f);
		bt_html_number(f, numbers[i]);
		fputs("</td>", f);
	}
	fputs("</tr>\n", f);
}

static void put_connections(FILE *f, const struct bt_map *m)
{
	fputs("<section class=\"card\" aria-labelledby=\"connections\">"
	      "<h2 id=\"connections\">Connections</h2>\n",
	      f);
	if (m->n_ways == 0) {
		fputs("<p class=\"note\">Nobody is connected.</p></section>\n", f);
		return;
	}
	bt_map_graph(m, f);
	if (m->n_ways > OPEN_WAYS) {
		fputs("<details><summary>", f);
		put_n(f, m->n_ways, " line as a table", " lines as a table");
		fputs("</summary>\n", f);
	}
	fputs("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-labelledby=\"connections\">"
	      "<table><caption>From the side that began to the port it asked "
	      "for.</caption><thead><tr><th scope=\"col\">From</th><th scope=\"col\">To</th>"
	      "<th scope=\"col\">Protocol</th><th scope=\"col\">Port</th>"
	      "<th scope=\"col\" class=\"n\">Connections</th>"
	      "<th scope=\"col\" class=\"n\">Established</th>"
	      "<th scope=\"col\" class=\"n\">TIME_WAIT</th></tr></thead><tbody>\n",
	      f);
	for (size_t i = 0; i < m->n_ways && i < WAYS; i++)
		put_way(f, m, &m->ways[i]);
	fputs("</tbody></table></div>\n", f);
	if (m->n_ways > WAYS) {
		fputs("<p class=\"note\">And ", f);
		bt_html_number(f, m->n_ways - WAYS);
		fputs(" more; <code>berth map --json</code> has all.</p>\n", f);
	}
	fputs(m->n_ways > OPEN_WAYS ? "</details></section>\n" : "</section>\n", f);
}

/* ---- the page ---- */

static void put_head(FILE *f, const struct bt_map *m)
{
	put(f,
	    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	    "style-src 'unsafe-inline'\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Ports of ",
	    m->network, "</title>\n<style>\n");
	for (size_t i = 0; i < sizeof(css) / sizeof(css[0]); i++)
		fprintf(f, "%s\n", css[i]);
	fputs("</style>\n</head>\n<body>\n", f);
}

static void put_fact(FILE *f, const char *name, uint64_t n)
{
	fprintf(f, "<div><dt>%s</dt><dd>", name);
	bt_html_number(f, n);
	fputs("</dd></div>\n", f);
}

static void put_top(FILE *f, const struct bt_map *m, size_t shown)
{
	uint64_t sockets = 0, connections = 0;
	time_t at = (time_t)m->realtime_s;
	struct tm tm;
	char when[40] = "";
	for (size_t i = 0; i < m->n_hosts; i++)
		sockets += m->hosts[i].shown ? m->hosts[i].sockets : 0;
	for (size_t i = 0; i < m->n_ways; i++)
		connections += m->ways[i].n;
	if (gmtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	put(f, "<header>\n<h1>Ports of network <bdi>", m->network, "</bdi></h1>\n");
	put(f, "<p class=\"what\">Who sits where in the port space of each host, as of ", when,
	    ". Widths are not to scale.</p>\n<dl class=\"facts\">\n");
	put_fact(f, "Hosts", shown);
	put_fact(f, "Sockets", sockets);
	put_fact(f, "Connections", connections);
	fputs("</dl>\n</header>\n", f);
}

static void put_index(FILE *f, const struct bt_map *m)
{
	fputs("<nav aria-label=\"Hosts\"><ul>\n", f);
	for (size_t i = 0; i < m->n_hosts; i++) {
		if (!m->hosts[i].shown)
			continue;
		fprintf(f, "<li><a href=\"#host-%zu\">", i);
		put(f, "", m->hosts[i].name, "</a></li>\n");
	}
	fputs("</ul></nav>\n", f);
}

void bt_map_html(const struct bt_map *m, FILE *f)
{
	size_t shown = 0;
	for (size_t i = 0; i < m->n_hosts; i++)
		shown += m->hosts[i].shown;
	put_head(f, m);
	put_top(f, m, shown);
	if (shown > 1)
		put_index(f, m);
	fputs("<main>\n", f);
	/* What several have in common comes first. */
	if (shown > 1)
		put_connections(f, m);
	for (size_t i = 0; i < m->n_hosts; i++) {
		if (m->hosts[i].shown)
			put_host(f, &m->hosts[i], i, shown > OPEN_HOSTS);
	}
	if (shown <= 1)
		put_connections(f, m);
	fputs("</main>\n<footer><p>Made by berth " BERTH_VERSION
	      ".</p></footer>\n</body>\n</html>\n",
	      f);
}

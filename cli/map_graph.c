/* SPDX-License-Identifier: Apache-2.0 */
/* The connections between hosts as SVG: hosts in a circle, an arrow to the side that was asked. */
#include "map.h"

#include "html.h"
#include "join.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	NODES = 60,  /* more would be no picture */
	EDGES = 150, /* the ones with most connections */
	LABELS = 12, /* of so few edges each has its port beside it */
	NAME = 24,   /* characters of a host's name, of which the table has all */
	NODE = 9,    /* radius */
};

struct point {
	double x, y;
};

struct drawing {
	const struct bt_map *m;
	FILE *f;
	uint16_t hosts[NODES]; /* those that have connections with others; OUTSIDE is one */
	struct point at[NODES];
	unsigned n, edges; /* edges: between different hosts */
	double width, height;
	struct point labels[LABELS];
	double widths[LABELS];
};

/* The node of a host, which is made; NODES: there is no room. */
static unsigned node_of(struct drawing *d, uint16_t host)
{
	unsigned i = 0;
	while (i < d->n && d->hosts[i] != host)
		i++;
	if (i == d->n && d->n < NODES)
		d->hosts[d->n++] = host;
	return i;
}

static double angle_of(const struct drawing *d, unsigned i)
{
	/* Two lie side by side; of more the first is on top. */
	return 2 * M_PI * i / d->n + (d->n == 2 ? M_PI : -M_PI / 2);
}

static void place(struct drawing *d)
{
	bool crowded = d->n > 16;
	/* Words are wide, so a few lie in an ellipse; many have theirs turned. */
	double x = crowded ? 230 : 255, y = crowded ? 230 : 160;
	size_t longest = 0;
	for (unsigned i = 0; i < d->n; i++) {
		size_t len = strnlen(bt_map_host_name(d->m, d->hosts[i]), NAME);
		longest = len > longest ? len : longest;
	}
	double margin = NODE + 16 + 9.7 * (double)longest;
	d->width = fmax(720, 2 * (x + margin));
	d->height = d->n <= 2 ? 200 : crowded ? 2 * (y + margin) : 2 * y + 90;
	for (unsigned i = 0; i < d->n; i++)
		d->at[i] = (struct point){d->width / 2 + x * cos(angle_of(d, i)),
					  d->height / 2 + y * sin(angle_of(d, i))};
}

/* ---- edges ---- */

/* How many edges before this one join the same two hosts. */
static unsigned earlier(const struct bt_map *m, size_t way)
{
	const struct bt_map_way *w = &m->ways[way];
	unsigned n = 0;
	for (size_t i = 0; i < way; i++) {
		const struct bt_map_way *o = &m->ways[i];
		n += (o->from == w->from && o->to == w->to) ||
		     (o->from == w->to && o->to == w->from);
	}
	return n;
}

/* The control point of the curve: off the straight line, towards the centre or, if that is where
 * the line goes through, beside it; each further edge of the same two is further off. */
static struct point bend(const struct drawing *d, unsigned a, unsigned b, unsigned k)
{
	struct point from = d->at[a < b ? a : b], to = d->at[a < b ? b : a];
	struct point mid = {(from.x + to.x) / 2, (from.y + to.y) / 2};
	double dx = to.x - from.x, dy = to.y - from.y, len = hypot(dx, dy);
	double off = (k % 2 ? -1.0 : 1.0) * (double)((k + 1) / 2) * 70;
	double pull = d->n > 16 ? 0.5 : 0.15;
	struct point c = {mid.x + (d->width / 2 - mid.x) * pull,
			  mid.y + (d->height / 2 - mid.y) * pull};
	return (struct point){c.x - dy / len * off, c.y + dx / len * off};
}

static void put_title(const struct drawing *d, const struct bt_map_way *w)
{
	bt_html_text(d->f, bt_map_host_name(d->m, w->from));
	fputs(" to ", d->f);
	bt_html_text(d->f, bt_map_host_name(d->m, w->to));
	fprintf(d->f, ", %s %u: ", w->proto == BT_PROTO_UDP ? "UDP" : "TCP", w->port);
	bt_html_number(d->f, w->n);
}

static void put_edge(struct drawing *d, size_t way)
{
	const struct bt_map_way *w = &d->m->ways[way];
	const char *proto = w->proto == BT_PROTO_UDP ? "udp" : "tcp";
	unsigned a = node_of(d, w->from), b = node_of(d, w->to);
	struct point from = d->at[a], to = d->at[b], c = bend(d, a, b, earlier(d->m, way));
	double thin = d->edges > 20 ? 0.5 : 1, width = thin * fmin(1.5 + log2(w->n) * 0.45, 7),
	       head = 7 + width;
	/* It ends where its head begins, before the node. */
	double dx = to.x - c.x, dy = to.y - c.y, len = hypot(dx, dy);
	dx /= len;
	dy /= len;
	struct point tip = {to.x - dx * (NODE + 3), to.y - dy * (NODE + 3)};
	struct point end = {tip.x - dx * head, tip.y - dy * head};
	fputs("<g><title>", d->f);
	put_title(d, w);
	fprintf(d->f,
		"</title><path class=\"%s\" stroke-width=\"%.1f\" d=\"M%.1f %.1fQ%.1f %.1f %.1f "
		"%.1f\"/>",
		proto, width, from.x, from.y, c.x, c.y, end.x, end.y);
	fprintf(d->f, "<path class=\"%s-head\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fZ\"/></g>\n",
		proto, tip.x, tip.y, end.x - dy * head * 0.5, end.y + dx * head * 0.5,
		end.x + dy * head * 0.5, end.y - dx * head * 0.5);
}

/* ---- words at edges ---- */

/* Of a label in the middle of its place; a character is about 6.5 wide. */
static bool overlap(const struct drawing *d, unsigned n, struct point p, double width)
{
	for (unsigned i = 0; i < n; i++) {
		if (fabs(d->labels[i].x - p.x) < (d->widths[i] + width) / 2 + 6 &&
		    fabs(d->labels[i].y - p.y) < 17)
			return true;
	}
	return false;
}

static void put_label(struct drawing *d, unsigned n, size_t way)
{
	/* Where on the curve: nearer to where it begins, since lines cross in the middle. */
	static const double places[] = {0.34, 0.46, 0.24, 0.56, 0.66, 0.4, 0.76};
	const struct bt_map_way *w = &d->m->ways[way];
	const struct bt_map_seat at = {.first = w->port, .last = w->port, .proto = w->proto};
	const char *service = bt_map_service(&at);
	unsigned a = node_of(d, w->from), b = node_of(d, w->to);
	struct point from = d->at[a], to = d->at[b], c = bend(d, a, b, earlier(d->m, way)), p;
	char text[64];
	snprintf(text, sizeof(text), "%.30s%s%u", service ? service : "", service ? " " : "",
		 w->port);
	double width = 6.5 * (double)strlen(text);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		double t = places[i], u = 1 - t;
		p = (struct point){u * u * from.x + 2 * t * u * c.x + t * t * to.x,
				   u * u * from.y + 2 * t * u * c.y + t * t * to.y};
		if (!overlap(d, n, p, width))
			break;
	}
	d->labels[n] = p;
	d->widths[n] = width;
	fprintf(d->f, "<text class=\"label\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">", p.x,
		p.y + 4);
	bt_html_text(d->f, text);
	fputs("</text>\n", d->f);
}

/* ---- nodes ---- */

static void put_node(const struct drawing *d, unsigned i)
{
	double angle = angle_of(d, i), x = d->at[i].x, y = d->at[i].y, c = cos(angle);
	bool crowded = d->n > 16, left = c < -0.01;
	double off = NODE + 8, turn = (left ? angle - M_PI : angle) * 180 / M_PI;
	fprintf(d->f, "<circle class=\"node\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"/>", x, y, NODE);
	if (crowded)
		fprintf(d->f,
			"<text transform=\"translate(%.1f %.1f) rotate(%.1f)\" text-anchor=\"%s\" "
			"dy=\"5\">",
			x + off * cos(angle), y + off * sin(angle), turn, left ? "end" : "start");
	else if (d->n > 2 && fabs(c) < 0.4)
		fprintf(d->f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x,
			sin(angle) < 0 ? y - off : y + off + 10);
	else
		fprintf(d->f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
			left ? x - off : x + off, y + 5, left ? "end" : "start");
	const char *name = bt_map_host_name(d->m, d->hosts[i]);
	char shown[NAME + 1];
	snprintf(shown, sizeof(shown), "%s", name);
	if (strlen(name) > NAME)
		memcpy(shown + NAME - 2, "..", 2);
	bt_html_text(d->f, shown);
	fputs("</text>\n", d->f);
}

void bt_map_graph(const struct bt_map *m, FILE *f)
{
	struct drawing d = {.m = m, .f = f};
	size_t ways[EDGES];
	for (size_t i = 0; i < m->n_ways && d.edges < EDGES; i++) {
		const struct bt_map_way *w = &m->ways[i];
		if (w->from == w->to)
			continue;
		if (node_of(&d, w->from) == NODES || node_of(&d, w->to) == NODES)
			continue;
		ways[d.edges++] = i;
	}
	if (d.edges == 0)
		return;
	place(&d);
	fprintf(f,
		"<svg class=\"graph\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%u hosts "
		"and "
		"their connections; the table below has them in words.\">\n",
		d.width, d.height, d.n);
	for (unsigned i = 0; i < d.edges; i++)
		put_edge(&d, ways[i]);
	for (unsigned i = 0; i < d.n; i++)
		put_node(&d, i);
	for (unsigned i = 0; d.edges <= LABELS && i < d.edges; i++)
		put_label(&d, i, ways[i]);
	fputs("</svg>\n", f);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* berth doctor's report, as sentences or as JSON. */
#include "doctor.h"
#include "out.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *bt_severity_word(enum bt_severity s)
{
	return s == BT_CRITICAL ? "critical" : s == BT_WARNING ? "warning" : "note";
}

static bool colored(void)
{
	const char *no_color = getenv("NO_COLOR");
	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

/* A word in its color: 31 red, 33 yellow, 32 green. */
static void put_word(bool color, enum bt_severity s, const char *word)
{
	int code = s == BT_CRITICAL ? 31 : s == BT_WARNING ? 33 : 32;
	if (color)
		printf("\033[%dm%s\033[0m", code, word);
	else
		printf("%s", word);
}

/* Names of programs are in it: nothing may steer the terminal. */
static void put_text(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f ? '?' : *s);
}

static uint32_t ports_per_s(const struct bt_count *c)
{
	uint32_t ms = c->time_wait_ms ? c->time_wait_ms : 1;
	return (uint32_t)(bt_count_capacity(c) * 1000ull / ms);
}

static uint32_t in_range(const struct bt_count *c)
{
	return c->hi >= c->lo ? (uint32_t)(c->hi - c->lo + 1) : 0;
}

/* Seconds until the flow is full at today's rate; negative: it does not grow. */
static double full_in_s(const struct bt_health *h, const struct bt_flow *f)
{
	double growth = bt_flow_growth(h, f);
	uint32_t capacity = bt_count_capacity(&h->now);
	if (growth <= 0)
		return -1;
	return f->n >= capacity ? 0 : (capacity - f->n) / growth;
}

/* ---- text ---- */

static void text_flow(const struct bt_health *h, const struct bt_top *t)
{
	const struct bt_flow *f = t->flow;
	uint32_t capacity = bt_count_capacity(&h->now);
	char name[160];
	bt_flow_text(f, name, sizeof(name));
	printf("  %s: %u of %u ports (%u %%), %u %% in TIME_WAIT", name, f->n, capacity,
	       bt_percent(f->n, capacity), bt_percent(f->time_wait, f->n));
	if (bt_flow_growth(h, f) > 0)
		printf(", %.0f more a second, full in %.0f s", bt_flow_growth(h, f),
		       full_in_s(h, f));
	if (t->pid) {
		printf(", by ");
		put_text(t->program);
		printf(" (%d)", t->pid);
	}
	printf(".\n");
}

static void text_finding(const struct bt_finding *f, bool color)
{
	printf("  ");
	put_word(color, f->severity, bt_severity_word(f->severity));
	printf(": ");
	put_text(f->text);
	if (f->pid) {
		printf(" [");
		put_text(f->program);
		printf(", pid %d]", f->pid);
	}
	printf(".\n");
	for (unsigned i = 0; i < f->n_cures; i++) {
		printf("    %s ", i ? "or:  " : "cure:");
		put_text(f->cures[i].text);
		putchar('\n');
	}
}

static void text_host(const struct bt_health *h, bool color)
{
	const struct bt_count *c = &h->now;
	uint32_t capacity = bt_count_capacity(c);
	printf("\n%s", h->network ? "Host " : "This machine");
	put_text(h->host);
	putchar('\n');
	printf("  %lu TCP sockets, %lu of them (%u %%) in TIME_WAIT, %lu in CLOSE_WAIT; %lu UDP.\n",
	       (unsigned long)c->tcp, (unsigned long)c->states[BT_ROW_TIME_WAIT],
	       bt_percent(c->states[BT_ROW_TIME_WAIT], c->tcp),
	       (unsigned long)c->states[BT_ROW_CLOSE_WAIT], (unsigned long)c->udp);
	printf("  %u ephemeral ports (%u-%u, %u reserved); TIME_WAIT lasts %g s: %u new "
	       "connections a second to one destination.\n",
	       capacity, c->lo, c->hi, in_range(c) - capacity, c->time_wait_ms / 1e3,
	       ports_per_s(c));
	if (bt_count_bound(c))
		printf("  %u ports are held by bind before connect.\n", bt_count_bound(c));
	if (c->listen_overflows)
		printf("  Accept queues have overflowed %lu times so far.\n",
		       (unsigned long)c->listen_overflows);
	if (c->unseen)
		printf("  %lu sockets were too many to be told apart.\n", (unsigned long)c->unseen);
	for (unsigned i = 0; i < h->n_top; i++)
		text_flow(h, &h->top[i]);
	for (unsigned i = 0; i < h->n_findings; i++)
		text_finding(&h->findings[i], color);
	if (h->findings_left)
		printf("  and %u more of these.\n", h->findings_left);
}

void bt_doctor_text(const struct bt_health *list, unsigned n)
{
	bool color = colored();
	enum bt_severity worst = BT_NOTE;
	unsigned findings = 0;
	for (unsigned i = 0; i < n; i++) {
		worst = list[i].verdict > worst ? list[i].verdict : worst;
		findings += list[i].n_findings + list[i].findings_left;
	}
	put_word(color, worst, worst == BT_NOTE ? "healthy" : bt_severity_word(worst));
	if (findings)
		printf(": %u finding%s.\n", findings, findings == 1 ? "" : "s");
	else
		printf(": nothing found that runs out or leaks.\n");
	for (unsigned i = 0; i < n; i++)
		text_host(&list[i], color);
}

/* ---- JSON ---- */

static void json_program(const char *program, int pid)
{
	printf(",\"pid\":%d,\"program\":", pid);
	bt_json_str(program);
}

static void json_flow(const struct bt_health *h, const struct bt_top *t, bool first)
{
	const struct bt_flow *f = t->flow;
	char name[160];
	bt_flow_text(f, name, sizeof(name));
	printf("%s\n{\"flow\":", first ? "" : ",");
	bt_json_str(name);
	printf(",\"protocol\":\"%s\",\"destination_port\":%u,\"used\":%u,\"time_wait\":%u,"
	       "\"percent\":%u",
	       f->proto == 6 ? "tcp" : "udp", f->rport, f->n, f->time_wait,
	       bt_percent(f->n, bt_count_capacity(&h->now)));
	if (h->two)
		printf(",\"growth_per_s\":%.1f", bt_flow_growth(h, f));
	if (full_in_s(h, f) >= 0)
		printf(",\"full_in_s\":%.1f", full_in_s(h, f));
	json_program(t->program, t->pid);
	putchar('}');
}

static void json_finding(const struct bt_finding *f, bool first)
{
	printf("%s\n{\"severity\":\"%s\",\"kind\":\"%s\",\"text\":", first ? "" : ",",
	       bt_severity_word(f->severity), f->kind);
	bt_json_str(f->text);
	printf(",\"value\":%lu,\"limit\":%lu", (unsigned long)f->value, (unsigned long)f->limit);
	json_program(f->program, f->pid);
	printf(",\"cures\":[");
	for (unsigned i = 0; i < f->n_cures; i++) {
		printf("%s{\"id\":\"%s\",\"text\":", i ? "," : "", f->cures[i].id);
		bt_json_str(f->cures[i].text);
		putchar('}');
	}
	printf("]}");
}

static void json_host(const struct bt_health *h, bool first)
{
	const struct bt_count *c = &h->now;
	printf("%s\n{\"host\":", first ? "" : ",");
	bt_json_str(h->host);
	printf(",\"verdict\":\"%s\",\"tcp\":%lu,\"udp\":%lu,\"established\":%lu,\"time_wait\":%lu,"
	       "\"close_wait\":%lu,\"listen\":%lu",
	       h->verdict == BT_NOTE ? "healthy" : bt_severity_word(h->verdict),
	       (unsigned long)c->tcp, (unsigned long)c->udp,
	       (unsigned long)c->states[BT_ROW_ESTABLISHED],
	       (unsigned long)c->states[BT_ROW_TIME_WAIT],
	       (unsigned long)c->states[BT_ROW_CLOSE_WAIT],
	       (unsigned long)c->states[BT_ROW_LISTEN]);
	printf(",\"range_first\":%u,\"range_last\":%u,\"reserved\":%u,\"capacity\":%u,"
	       "\"connections_per_s\":%u,\"time_wait_ms\":%u",
	       c->lo, c->hi, in_range(c) - bt_count_capacity(c), bt_count_capacity(c),
	       ports_per_s(c), c->time_wait_ms);
	printf(",\"tcp_tw_reuse\":%d,\"tcp_fin_timeout\":%u,\"somaxconn\":%u,\"bound_ports\":%u,"
	       "\"listen_overflows\":%lu,\"listen_drops\":%lu,\"unseen\":%lu,\"flows\":[",
	       c->tw_reuse, c->fin_timeout_s, c->somaxconn, bt_count_bound(c),
	       (unsigned long)c->listen_overflows, (unsigned long)c->listen_drops,
	       (unsigned long)c->unseen);
	for (unsigned i = 0; i < h->n_top; i++)
		json_flow(h, &h->top[i], i == 0);
	printf("],\"findings\":[");
	for (unsigned i = 0; i < h->n_findings; i++)
		json_finding(&h->findings[i], i == 0);
	printf("],\"findings_left\":%u}", h->findings_left);
}

void bt_doctor_json(const struct bt_health *list, unsigned n, const struct bt_limits *limits)
{
	enum bt_severity worst = BT_NOTE;
	for (unsigned i = 0; i < n; i++)
		worst = list[i].verdict > worst ? list[i].verdict : worst;
	printf("{\"schema\":1,\"source\":\"%s\",\"network\":",
	       n && !list[0].network ? "kernel" : "network");
	if (n && list[0].network)
		bt_json_str(list[0].network);
	else
		printf("null");
	printf(",\"verdict\":\"%s\",\"warn_percent\":%u,\"critical_percent\":%u,"
	       "\"close_wait_limit\":%u,\"hosts\":[",
	       worst == BT_NOTE ? "healthy" : bt_severity_word(worst), limits->warn,
	       limits->critical, limits->close_wait);
	for (unsigned i = 0; i < n; i++)
		json_host(&list[i], i == 0);
	printf("\n]}\n");
}

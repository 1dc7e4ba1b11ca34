/* SPDX-License-Identifier: Apache-2.0 */
/* berth doctor: which ports run out, who holds them, and what helps. */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Exit status. */
enum { HEALTHY = 0, WARNING = 1, CRITICAL = 3, CANNOT_LOOK = 4 };

/* A number from lo to hi; false after saying what the option wants. */
static bool read_number(const struct bt_args *args, int id, const char *name, double lo, double hi,
			bool whole, double *value)
{
	const char *text = bt_args_value(args, id);
	char *end;
	if (!text)
		return true;
	double v = strtod(text, &end);
	bool plain = *text && text[strspn(text, "0123456789.")] == '\0' && !*end;
	if (!plain || v < lo || v > hi || (whole && v != (double)(uint64_t)v)) {
		bt_say("'%.40s' is not a value for --%s; give a %snumber from %g to %g", text, name,
		       whole ? "whole " : "", lo, hi);
		return false;
	}
	*value = v;
	return true;
}

static bool read_limits(const struct bt_args *args, struct bt_limits *l)
{
	double warn = 70, critical = 90, close_wait = 10, interval = 1;
	if (!read_number(args, BT_OPT_WARN, "warn", 1, 100, true, &warn) ||
	    !read_number(args, BT_OPT_CRITICAL, "critical", 1, 100, true, &critical) ||
	    !read_number(args, BT_OPT_CLOSE_WAIT, "close-wait", 1, 1e6, true, &close_wait) ||
	    !read_number(args, BT_OPT_INTERVAL, "interval", 0, 3600, false, &interval))
		return false;
	if (warn > critical) {
		bt_say("--warn %g is above --critical %g; give a smaller one", warn, critical);
		return false;
	}
	*l = (struct bt_limits){.warn = (uint32_t)warn,
				.critical = (uint32_t)critical,
				.close_wait = (uint32_t)close_wait,
				.interval_s = interval};
	return true;
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void wait_s(double s)
{
	struct timespec t = {.tv_sec = (time_t)s};
	t.tv_nsec = (long)((s - (double)t.tv_sec) * 1e9);
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

struct look {
	struct bt_client client;
	const char *network; /* NULL: the machine */
	struct bt_health *list;
	unsigned n;
};

static int count(struct look *l)
{
	return l->network ? bt_doctor_table(&l->client, l->network, l->list, l->n)
			  : bt_doctor_kernel(l->list);
}

/* A second sample; of the first one only the numbers of the flows are kept. */
static int count_again(struct look *l, double interval_s)
{
	struct bt_count *before = calloc(l->n + 1, sizeof(*before));
	double start = now_s();
	if (!before)
		return -ENOMEM;
	wait_s(interval_s);
	for (unsigned i = 0; i < l->n; i++) {
		before[i] = l->list[i].now;
		l->list[i].now.flows = NULL;
		l->list[i].now.places = 0;
	}
	int err = count(l);
	for (unsigned i = 0; i < l->n; i++) {
		struct bt_health *h = &l->list[i];
		h->two = true;
		h->elapsed_s = now_s() - start;
		h->overflows_before = before[i].listen_overflows;
		h->drops_before = before[i].listen_drops;
		for (uint32_t k = 0; k < h->now.places; k++) {
			struct bt_flow *f = &h->now.flows[k];
			const struct bt_flow *old = f->proto ? bt_flow_of(&before[i], f) : NULL;
			f->before = old ? old->n : 0;
		}
		free(before[i].flows);
	}
	free(before);
	return err;
}

static int open_look(struct look *l, const struct bt_args *args)
{
	if (!l->network) {
		l->n = 1;
		l->list = calloc(1, sizeof(*l->list));
		return l->list ? 0 : -ENOMEM;
	}
	if (!bt_join(&l->client, l->network))
		return -1;
	return bt_doctor_hosts(&l->client, l->network, args->n_rest ? args->rest[0] : NULL,
			       &l->list, &l->n);
}

static void close_look(struct look *l)
{
	for (unsigned i = 0; i < l->n; i++)
		bt_count_clear(&l->list[i].now);
	free(l->list);
	if (l->network)
		bt_client_close(&l->client);
}

static int show(const struct look *l, const struct bt_limits *limits, bool json)
{
	enum bt_severity worst = BT_NOTE;
	for (unsigned i = 0; i < l->n; i++)
		worst = l->list[i].verdict > worst ? l->list[i].verdict : worst;
	if (json)
		bt_doctor_json(l->list, l->n, limits);
	else
		bt_doctor_text(l->list, l->n);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		bt_say("the output could not be written: %s; make room or choose another place",
		       strerror(errno));
		return CANNOT_LOOK;
	}
	return worst == BT_CRITICAL ? CRITICAL : worst == BT_WARNING ? WARNING : HEALTHY;
}

int bt_cmd_doctor(const struct bt_args *args)
{
	bool kernel = bt_args_has(args, BT_OPT_KERNEL);
	struct look l = {.network = kernel ? NULL : bt_args_network(args), .client = {.fd = -1}};
	struct bt_limits limits;
	int status = CANNOT_LOOK;
	if (!read_limits(args, &limits))
		return BT_EXIT_USAGE;
	if (kernel && (args->n_rest || bt_args_has(args, BT_OPT_NETWORK))) {
		bt_say("--kernel looks at the machine, which has no hosts and networks; leave out "
		       "one of them");
		return BT_EXIT_USAGE;
	}
	if (open_look(&l, args) == 0 && count(&l) == 0 &&
	    (limits.interval_s == 0 || count_again(&l, limits.interval_s) == 0)) {
		bt_doctor_find(l.list, l.n, &limits);
		status = show(&l, &limits, bt_args_has(args, BT_OPT_JSON));
	}
	close_look(&l);
	return status;
}

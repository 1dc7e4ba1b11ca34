/* SPDX-License-Identifier: Apache-2.0 */
/* berth top: options, and the form without a screen. */
#include "out.h"
#include "top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool read_interval(const struct bt_args *args, double *interval)
{
	const char *text = bt_args_value(args, 'd');
	char *end;
	*interval = 2;
	if (text == NULL)
		return true;
	*interval = strtod(text, &end);
	if (*text != '\0' && text[strspn(text, "0123456789.")] == '\0' && *end == '\0' &&
	    *interval >= 0.1 && *interval <= 3600)
		return true;
	bt_say("'%.40s' is not a value for --interval; give seconds from 0.1 to 3600", text);
	return false;
}

static bool read_count(const struct bt_args *args, unsigned long *count)
{
	const char *text = bt_args_value(args, 'n');
	char *end;
	*count = 0;
	if (text == NULL)
		return true;
	*count = strtoul(text, &end, 10);
	if (*text != '\0' && text[strspn(text, "0123456789")] == '\0' && *end == '\0' &&
	    *count >= 1 && *count <= 1000000)
		return true;
	bt_say("'%.40s' is not a value for --count; give a number from 1 to 1000000", text);
	return false;
}

static bool read_sort(const struct bt_args *args, struct bt_top_view *v)
{
	const char *text = bt_args_value(args, 's');
	if (text == NULL)
		return true;
	for (int k = 0; k < BT_TOP_KEYS; k++)
		if (strcmp(text, bt_top_key_names[k]) == 0) {
			v->key = (enum bt_top_key)k;
			return true;
		}
	bt_say("'%.40s' is not a value for --sort; give rate, queue, state, port, peer, host, "
	       "program or retrans",
	       text);
	return false;
}

static void wait_s(double s)
{
	struct timespec t = {.tv_sec = (time_t)s};
	t.tv_nsec = (long)((s - (double)t.tv_sec) * 1e9);
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

/* As plain text, everything. */
static int batch(struct bt_top_eye *eye, const char *network, struct bt_top_view *v,
		 double interval, unsigned long count)
{
	char text[512];
	for (unsigned long i = 0; count == 0 || i < count; i++) {
		if (i > 0)
			wait_s(interval);
		const struct bt_top_look *look = bt_top_next(eye);
		if (look == NULL)
			return BT_EXIT_FAIL;
		bt_top_arrange(v, look);
		bt_top_summary(text, sizeof(text), network, look);
		printf("%s%s\n", i > 0 ? "\n" : "", text);
		for (unsigned k = 0; k < look->n_hosts; k++) {
			bt_top_host_text(text, sizeof(text), &look->hosts[k]);
			puts(text);
		}
		bt_top_heading(text, sizeof(text), true);
		puts(text);
		for (size_t k = 0; k < v->n; k++) {
			bt_top_line_text(text, sizeof(text), &look->lines[v->shown[k]], true);
			puts(text);
		}
		if (fflush(stdout) != 0) {
			bt_say("the output could not be written: %s", strerror(errno));
			return BT_EXIT_FAIL;
		}
	}
	return BT_EXIT_OK;
}

/* One look, after one that the rates are counted from. */
static int json(struct bt_top_eye *eye, const char *network, struct bt_top_view *v, double interval)
{
	static const struct bt_col cols[] = {
		{.key = "host"},    {.key = "proto"},	    {.key = "state"},
		{.key = "local"},   {.key = "peer"},	    {.key = "recv_q"},
		{.key = "counted"}, {.key = "bytes_per_s"}, {.key = "retransmitted_segments"},
		{.key = "program"}, {.key = "pid"},	    {.key = "slot"},
	};
	const struct bt_top_look *look = bt_top_next(eye);
	struct bt_out o;
	if (look == NULL)
		return BT_EXIT_FAIL;
	wait_s(interval);
	look = bt_top_next(eye);
	if (look == NULL)
		return BT_EXIT_FAIL;
	bt_top_arrange(v, look);
	bt_out_begin(&o, true, false, cols, sizeof(cols) / sizeof(cols[0]), network, "sockets");
	for (size_t i = 0; i < v->n; i++) {
		const struct bt_top_line *l = &look->lines[v->shown[i]];
		struct bt_top_text t;
		bt_top_text(l, &t);
		bt_out_record(&o);
		bt_out_str(&o, l->host);
		bt_out_str(&o, t.proto);
		bt_out_str(&o, t.state);
		bt_out_str(&o, t.local);
		bt_out_str(&o, t.peer);
		bt_out_num(&o, l->s.recvq);
		bt_out_bool(&o, l->counted);
		bt_out_num(&o, l->counted ? (uint64_t)l->rate : 0);
		bt_out_num(&o, l->retrans);
		bt_out_str(&o, l->program);
		bt_out_num(&o, *l->program != '\0' ? (uint64_t)(uint32_t)l->s.row.pid : 0);
		bt_out_num(&o, l->s.slot);
		bt_out_record_end(&o);
	}
	bt_out_end(&o);
	return BT_EXIT_OK;
}

int bt_cmd_top(const struct bt_args *args)
{
	const char *network = bt_args_network(args), *filter = bt_args_value(args, 'f');
	struct bt_top_view v = {.key = BT_TOP_RATE};
	uint32_t only = BT_TOP_ALL_HOSTS;
	unsigned long count;
	double interval;
	struct bt_client c;
	bool as_json = bt_args_has(args, BT_OPT_JSON), plain = as_json || bt_args_has(args, 'b');
	int status = BT_EXIT_FAIL;
	if (!read_interval(args, &interval) || !read_count(args, &count) || !read_sort(args, &v))
		return BT_EXIT_USAGE;
	if (filter != NULL && strlen(filter) >= sizeof(v.filter)) {
		bt_say("the filter is longer than %zu characters; give fewer words",
		       sizeof(v.filter) - 1);
		return BT_EXIT_USAGE;
	}
	if (filter != NULL)
		strcpy(v.filter, filter);
	if (!plain && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
		bt_say("a screen needs a terminal; for scripts there is: berth top --batch -n 1");
		return BT_EXIT_USAGE;
	}
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	struct bt_top_eye *eye = NULL;
	if (args->n_rest == 0 || bt_find_host(c.table, args->rest[0], network, &only))
		eye = bt_top_open(&c, network, only);
	const char *no_color = getenv("NO_COLOR");
	if (eye != NULL && as_json)
		status = json(eye, network, &v, interval);
	else if (eye != NULL && plain)
		status = batch(eye, network, &v, interval, count);
	else if (eye != NULL)
		status = bt_top_screen(eye, network, &v, interval,
				       !bt_args_has(args, BT_OPT_NO_COLOR) &&
					       (no_color == NULL || *no_color == '\0'));
	if (eye != NULL)
		bt_top_close(eye);
	free(v.shown);
	bt_client_close(&c);
	return status;
}

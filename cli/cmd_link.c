/* SPDX-License-Identifier: Apache-2.0 */
/* berth link: what the wires between hosts do to packets, and the way out by a TAP device. */
#include "addr.h"
#include "cli.h"
#include "links.h"
#include "out.h"
#include "rows.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USED_AS                                                                                    \
	"berth link set HOST [HOST] WORDS..., berth link set HOST tap DEVICE [WORDS...], berth "   \
	"link "                                                                                    \
	"clear HOST [HOST | tap], or berth link show"
#define TAP_USED_AS "berth link set HOST tap DEVICE [netns NAME] [gateway ADDRESS]... [WORDS...]"

struct request {
	char bytes[4096];
	size_t len;
	bool full;
};

static void add(struct request *r, const char *word, char end)
{
	size_t n = strlen(word);
	if (r->full || n + 2 > sizeof(r->bytes) - r->len) {
		r->full = true;
		return;
	}
	memcpy(r->bytes + r->len, word, n);
	r->len += n;
	r->bytes[r->len++] = end;
}

static bool is_host(const struct bt_table *t, const char *word)
{
	for (uint32_t i = 0; i < t->n_hosts; i++) {
		char name[BT_HOST_NAME];
		bt_host_name(t, i, name);
		if (strcmp(name, word) == 0)
			return true;
	}
	return false;
}

int bt_link_set(struct bt_client *c, const char *network, const char *host, char *const *words,
		int n)
{
	struct request r = {.len = 0};
	struct bt_req q = {.type = BT_LINK_SET};
	struct bt_rep rep;
	char answer[512] = "";
	size_t got = sizeof(answer) - 1;
	int at = 0;
	add(&r, host, '\0');
	if (n > 0 && is_host(c->table, words[0]))
		add(&r, words[at++], '\0');
	else
		add(&r, "", '\0');
	for (; at < n; at++)
		add(&r, words[at], ' ');
	add(&r, "", '\0');
	if (r.full) {
		bt_say("more words than a link can have");
		return BT_EXIT_USAGE;
	}
	q.extra = (uint32_t)r.len;
	int err = bt_client_call(c, &q, r.bytes, &rep, answer, &got);
	if (err == 0 && rep.err == EINVAL) {
		bt_say("%s", answer);
		return BT_EXIT_USAGE;
	}
	if (err == 0 && rep.err == ENOENT) {
		bt_say("no host '%s'%s in network '%s'; berth hosts lists them", host,
		       r.bytes[strlen(host) + 1] ? ", or not two different ones" : "", network);
		return BT_EXIT_FAIL;
	}
	if (err != 0 || rep.err != 0) {
		bt_say("berthd could not set the link: %s", strerror(err != 0 ? -err : rep.err));
		return BT_EXIT_FAIL;
	}
	return BT_EXIT_OK;
}

/* ---- the way out ---- */

static bool is_tap(const struct bt_client *c, const struct bt_args *args)
{
	return args->n_rest > 2 && strcmp(args->rest[2], "tap") == 0 && !is_host(c->table, "tap");
}

/* The words after the device's name: where it is, gateways, and settings. */
static bool tap_words(const struct bt_args *args, struct bt_tap_set *set, const char **netns,
		      struct request *settings)
{
	for (int at = 4; at < args->n_rest; at++) {
		const char *word = args->rest[at], *value = args->rest[at + 1];
		bool gateway = strcmp(word, "gateway") == 0;
		struct bt_host_addr addr;
		if (!gateway && strcmp(word, "netns") != 0) {
			add(settings, word, ' ');
			continue;
		}
		if (value == NULL) {
			bt_say("after '%s' comes %s: " TAP_USED_AS, word,
			       gateway ? "an address" : "the name of a network namespace");
			return false;
		}
		at++;
		if (!gateway)
			*netns = value;
		else if (!bt_addr_parse(value, &addr))
			return false;
		else
			memcpy(set->gateways[addr.family == 6], addr.addr, 16);
	}
	add(settings, "", '\0');
	return true;
}

static int told(const struct bt_args *args, const char *network, int err, const struct bt_rep *rep,
		const char *answer)
{
	int e = err != 0 ? -err : rep->err;
	if (e == 0)
		return BT_EXIT_OK;
	if (e == EINVAL && answer[0] != '\0') {
		bt_say("%s", answer);
		return BT_EXIT_USAGE;
	}
	if (e == ENOENT)
		bt_say("no host '%s' in network '%s'; berth hosts lists them", args->rest[1],
		       network);
	else if (e == EADDRNOTAVAIL)
		bt_say("the gateway is in no prefix of '%s'; berth hosts shows its addresses",
		       args->rest[1]);
	else if (e == EBUSY)
		bt_say("packets are being replayed into '%s' now", args->rest[1]);
	else
		bt_say("berthd could not join %s: %s", args->rest[3], strerror(e));
	return BT_EXIT_FAIL;
}

/* berthd is asked first, as it may have the device already; a device that is in use cannot be
 * opened again. */
static int set_tap(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct request r = {.len = 0};
	struct bt_tap_set set = {.mtu = 0};
	struct bt_req q = {.type = BT_TAP_SET};
	struct bt_rep rep;
	struct bt_tap tap = {.fd = -1};
	char answer[512] = "", error[BT_TAP_ERROR];
	const char *netns = NULL, *device = args->n_rest > 3 ? args->rest[3] : "";
	size_t got = sizeof(answer) - 1;
	if (device[0] == '\0' || strlen(device) >= sizeof(set.name) ||
	    strlen(args->rest[1]) >= sizeof(set.host)) {
		bt_say("it is used as: " TAP_USED_AS);
		return BT_EXIT_USAGE;
	}
	memcpy(set.host, args->rest[1], strlen(args->rest[1]));
	memcpy(set.name, device, strlen(device));
	r.len = sizeof(set);
	if (!tap_words(args, &set, &netns, &r) || r.full)
		return BT_EXIT_USAGE;
	memcpy(r.bytes, &set, sizeof(set));
	q.extra = (uint32_t)r.len;
	int err = bt_client_call(c, &q, r.bytes, &rep, answer, &got);
	if (err != 0 || rep.err != ENODEV)
		return told(args, network, err, &rep, answer);
	if (!bt_tap_open(device, netns, &tap, error)) {
		bt_say("%s", error);
		return BT_EXIT_FAIL;
	}
	set.mtu = tap.mtu;
	memcpy(r.bytes, &set, sizeof(set));
	got = sizeof(answer) - 1;
	err = bt_client_give_fd(c, &q, r.bytes, tap.fd, &rep, answer, &got);
	close(tap.fd);
	int status = told(args, network, err, &rep, answer);
	if (status == BT_EXIT_OK && !tap.up)
		bt_say("%s is joined to '%s', but is down: ip address add ADDR/LEN dev %s; ip link "
		       "set %s up",
		       device, args->rest[1], device, device);
	return status;
}

static int clear(struct bt_client *c, const struct bt_args *args, const char *network)
{
	struct request r = {.len = 0};
	struct bt_req q = {.type = BT_LINK_CLEAR};
	struct bt_rep rep;
	bool tap = is_tap(c, args);
	add(&r, args->rest[1], '\0');
	add(&r, args->n_rest > 2 && !tap ? args->rest[2] : "", '\0');
	q.flags = tap ? BT_REQF_TAP : 0;
	q.extra = (uint32_t)r.len;
	int err = r.full ? -ENAMETOOLONG : bt_client_call(c, &q, r.bytes, &rep, NULL, NULL);
	int e = err != 0 ? -err : rep.err;
	if (e == 0)
		return BT_EXIT_OK;
	if (e == ENOENT)
		bt_say("no host '%s'%s in network '%s'; berth hosts lists them", args->rest[1],
		       args->n_rest > 2 ? ", or not two different ones" : "", network);
	else if (e == ENXIO)
		bt_say("there is no such link of '%s'; berth link show lists them", args->rest[1]);
	else
		bt_say("berthd could not clear the link: %s", strerror(e));
	return BT_EXIT_FAIL;
}

static int show(struct bt_client *c, bool json, const char *network)
{
	static const struct bt_col cols[] = {
		{.head = "Host", .key = "host"},
		{.head = "With", .key = "with", .before = ' '},
		{.head = "Settings", .key = "settings", .before = ' '},
		{.head = "Packets", .key = "packets", .before = ' '},
		{.head = "Bytes", .key = "bytes", .before = ' '},
		{.head = "Lost", .key = "lost", .before = ' '},
		{.head = "Queue", .key = "queue_drops", .before = ' '},
		{.head = "Doubled", .key = "duplicated", .before = ' '},
		{.head = "Reordered", .key = "reordered", .before = ' '},
		{.head = "Damaged", .key = "corrupted", .before = ' '},
	};
	struct bt_links links;
	struct bt_out out;
	if (!bt_links_read(c, &links)) {
		bt_links_done(&links);
		return BT_EXIT_FAIL;
	}
	bt_out_begin(&out, json, true, cols, sizeof(cols) / sizeof(cols[0]), network, "links");
	for (size_t i = 0; i < links.n; i++) {
		const struct bt_link *l = &links.list[i];
		bt_out_record(&out);
		bt_out_str(&out, l->host);
		bt_out_str(&out, l->with);
		bt_out_str(&out, l->settings);
		for (unsigned k = 0; k < BT_LINK_COUNTS; k++)
			bt_out_num(&out, l->counts[k]);
		bt_out_record_end(&out);
	}
	bt_out_end(&out);
	bt_links_done(&links);
	return BT_EXIT_OK;
}

int bt_cmd_link(const struct bt_args *args)
{
	const char *network = bt_args_network(args);
	bool setting = args->n_rest > 1 && strcmp(args->rest[0], "set") == 0,
	     clearing = (args->n_rest == 2 || args->n_rest == 3) &&
			strcmp(args->rest[0], "clear") == 0,
	     showing = args->n_rest == 1 && strcmp(args->rest[0], "show") == 0;
	struct bt_client c;
	if (!setting && !clearing && !showing) {
		bt_say("it is used as: " USED_AS);
		return BT_EXIT_USAGE;
	}
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status;
	if (setting)
		status = is_tap(&c, args) ? set_tap(&c, args, network)
					  : bt_link_set(&c, network, args->rest[1], args->rest + 2,
							args->n_rest - 2);
	else
		status = clearing ? clear(&c, args, network)
				  : show(&c, bt_args_has(args, BT_OPT_JSON), network);
	bt_client_close(&c);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth capture: packets as hosts send and get them, in words or as pcapng. berthd gives each
 * packet that goes over the links asked for; the filter is applied here, by libpcap. An interface
 * of the capture is a host's, so what is lost on the way shows as sent and not got.
 */
#include "cli.h"
#include "holders.h"
#include "out.h"
#include "packet.h"
#include "rows.h"

#include "../link/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65536u
#define BLOCK_MAX  (PACKET_MAX + 4096u)
#define NO_HOST	   UINT32_MAX

struct capture {
	struct bt_client client;
	const char *network;
	const char *hosts[2]; /* "": any */
	struct bpf_program filter;
	bool filtered;
	FILE *file; /* NULL: in words, or lines of JSON */
	bool json;
	uint32_t interfaces[BT_MAX_HOSTS]; /* number in the file + 1 */
	uint32_t n_interfaces;
	uint64_t shown, missed, most;
	uint8_t *block;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

static bool known_host(const struct bt_table *t, const char *word)
{
	for (uint32_t i = 0; i < t->n_hosts; i++) {
		char name[BT_HOST_NAME];
		bt_host_name(t, i, name);
		if (strcmp(name, word) == 0)
			return true;
	}
	return false;
}

/* The words that are not hosts, as one filter. */
static int compile(struct capture *c, const struct bt_args *args, int from)
{
	char text[4096] = "";
	size_t used = 0;
	for (int i = from; i < args->n_rest; i++) {
		int n = snprintf(text + used, sizeof(text) - used, "%s ", args->rest[i]);
		used += (size_t)n;
		if (used >= sizeof(text)) {
			bt_say("the filter has more than %zu characters", sizeof(text));
			return BT_EXIT_USAGE;
		}
	}
	if (used == 0)
		return BT_EXIT_OK;
	pcap_t *raw = pcap_open_dead(DLT_RAW, PACKET_MAX);
	if (raw == NULL)
		return BT_EXIT_FAIL;
	c->filtered = pcap_compile(raw, &c->filter, text, 1, PCAP_NETMASK_UNKNOWN) == 0;
	if (!c->filtered)
		bt_say("'%.*s' is neither a host nor a filter: %s", (int)used - 1, text,
		       pcap_geterr(raw));
	pcap_close(raw);
	return c->filtered ? BT_EXIT_OK : BT_EXIT_USAGE;
}

/* ---- writing ---- */

static bool put_block(struct capture *c, size_t len)
{
	if (fwrite(c->block, 1, len, c->file) == len)
		return true;
	bt_say("the capture cannot be written: %s", strerror(errno));
	return false;
}

static bool interface_of(struct capture *c, uint16_t host, uint32_t *number)
{
	char name[BT_HOST_NAME];
	if (c->interfaces[host] == 0) {
		bt_host_name(c->client.table, host, name);
		if (!put_block(c, bt_pcapng_interface(c->block, BLOCK_MAX, name, BT_LINKTYPE_RAW)))
			return false;
		c->interfaces[host] = ++c->n_interfaces;
	}
	*number = c->interfaces[host] - 1;
	return true;
}

static bool write_packet(struct capture *c, const struct bt_captured *h, const uint8_t *data,
			 const char *program)
{
	struct iovec part = {(void *)(uintptr_t)data, h->len};
	struct bt_pcapng_packet p = {.way = h->got ? BT_PCAPNG_IN : BT_PCAPNG_OUT,
				     .time_ns = h->realtime_ns,
				     .parts = &part,
				     .n_parts = 1,
				     .comment = *program ? program : NULL};
	if (!interface_of(c, h->host, &p.interface) ||
	    !put_block(c, bt_pcapng_packet(c->block, BLOCK_MAX, &p)))
		return false;
	if (fflush(c->file) != 0) {
		bt_say("the capture cannot be written: %s", strerror(errno));
		return false;
	}
	return true;
}

static void print_packet(const struct capture *c, const struct bt_captured *h, const uint8_t *data,
			 const char *program)
{
	char host[BT_HOST_NAME], text[BT_PACKET_TEXT], clock[16];
	time_t s = (time_t)(h->realtime_ns / 1000000000u);
	struct tm tm;
	localtime_r(&s, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	bt_host_name(c->client.table, h->host, host);
	bt_packet_text(data, h->len, text);
	printf("%s.%06u %s %s %s%s%s\n", clock, (unsigned)(h->realtime_ns % 1000000000u / 1000),
	       host, h->got ? "<" : ">", text, *program ? "  " : "", program);
	fflush(stdout);
}

static void json_packet(const struct capture *c, const struct bt_captured *h, const uint8_t *data,
			const char *program)
{
	static const struct bt_col cols[] = {
		{.key = "realtime_ns"}, {.key = "host"},  {.key = "direction"},
		{.key = "peer"},	{.key = "bytes"}, {.key = "program"},
		{.key = "pid"},		{.key = "text"},  {.key = "missed"},
	};
	char host[BT_HOST_NAME], peer[BT_HOST_NAME] = "", text[BT_PACKET_TEXT];
	struct bt_out o;
	bt_host_name(c->client.table, h->host, host);
	if (h->peer < BT_MAX_HOSTS)
		bt_host_name(c->client.table, h->peer, peer);
	bt_packet_text(data, h->len, text);
	bt_out_line(&o, cols, sizeof(cols) / sizeof(cols[0]));
	bt_out_num(&o, h->realtime_ns);
	bt_out_str(&o, host);
	bt_out_str(&o, h->got ? "got" : "sent");
	bt_out_str(&o, peer);
	bt_out_num(&o, h->len);
	bt_out_str(&o, program);
	bt_out_num(&o, h->pid > 0 ? (uint64_t)h->pid : 0);
	bt_out_str(&o, text);
	bt_out_num(&o, h->missed);
	bt_out_line_end(&o);
	fflush(stdout);
}

/* False: the end. */
static bool one(struct capture *c, const struct bt_captured *h, const uint8_t *data)
{
	struct pcap_pkthdr head = {.caplen = h->len, .len = h->len};
	char name[BT_COMM] = "", program[BT_COMM + 24] = "";
	c->missed = h->missed;
	if (h->host >= BT_MAX_HOSTS ||
	    (c->filtered && pcap_offline_filter(&c->filter, &head, data) == 0))
		return true;
	if (h->pid != 0 && bt_program_name(h->pid, name))
		snprintf(program, sizeof(program), "%s (pid %d)", name, h->pid);
	if (c->json)
		json_packet(c, h, data, name);
	else if (c->file == NULL)
		print_packet(c, h, data, program);
	else if (!write_packet(c, h, data, program))
		return false;
	return ++c->shown != c->most;
}

/* ---- reading ---- */

static int open_capture(struct capture *c)
{
	char extra[2 * BT_HOST_NAME + 2];
	struct bt_req q = {.type = BT_CAPTURE};
	struct bt_rep rep;
	int fd;
	int n = snprintf(extra, sizeof(extra), "%s%c%s", c->hosts[0], '\0', c->hosts[1]);
	if (n < 0 || (size_t)n + 1 > sizeof(extra))
		return -ENOENT;
	q.extra = (uint32_t)n + 1;
	int err = bt_client_call_fd(&c->client, &q, extra, &rep, NULL, NULL, &fd);
	if (err != 0 || rep.err != 0)
		return err != 0 ? err : -rep.err;
	return fd >= 0 ? fd : -EPROTO;
}

static int follow(struct capture *c, int fd)
{
	static uint8_t data[PACKET_MAX];
	struct bt_captured head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {data, sizeof(data)}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	while (!interrupted) {
		ssize_t n = recvmsg(fd, &m, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			bt_say("the network '%s' has ended", c->network);
			return BT_EXIT_OK;
		}
		if (n < (ssize_t)sizeof(head) || head.len != (size_t)n - sizeof(head)) {
			bt_say("berthd sent what is no packet");
			return BT_EXIT_FAIL;
		}
		if (!one(c, &head, data))
			return c->shown == c->most ? BT_EXIT_OK : BT_EXIT_FAIL;
	}
	return BT_EXIT_OK;
}

static bool open_file(struct capture *c, const char *path)
{
	if (path == NULL)
		return true;
	c->file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	if (c->file == NULL) {
		bt_say("%s: %s", path, strerror(errno));
		return false;
	}
	return put_block(c, bt_pcapng_section(c->block, BLOCK_MAX, "berth " BERTH_VERSION)) &&
	       fflush(c->file) == 0;
}

static int run(struct capture *c, const char *path)
{
	struct sigaction act = {.sa_handler = on_signal}; /* no SA_RESTART: recvmsg shall end */
	int fd = open_capture(c);
	if (fd < 0) {
		bt_say("the packets cannot be looked at: %s", strerror(-fd));
		return BT_EXIT_FAIL;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	int status = open_file(c, path) ? BT_EXIT_OK : BT_EXIT_FAIL;
	if (status == BT_EXIT_OK) {
		fprintf(stderr, "berth: looking at packets%s%s%s%s; Ctrl-C ends it\n",
			*c->hosts[0] ? " of " : "", c->hosts[0], *c->hosts[1] ? " with " : "",
			c->hosts[1]);
		status = follow(c, fd);
		fprintf(stderr, "berth: %llu packets%s%llu%s\n", (unsigned long long)c->shown,
			c->missed ? ", and " : ", ", (unsigned long long)c->missed,
			" missed because they came too fast");
	}
	close(fd);
	if (c->file != NULL && c->file != stdout && fclose(c->file) != 0 && status == BT_EXIT_OK) {
		bt_say("%s: %s", path, strerror(errno));
		status = BT_EXIT_FAIL;
	}
	return status;
}

int bt_cmd_capture(const struct bt_args *args)
{
	static struct capture c = {.hosts = {"", ""}};
	const char *count = bt_args_value(args, 'c');
	int at = 0;
	c.network = bt_args_network(args);
	c.json = bt_args_has(args, BT_OPT_JSON);
	if (c.json && bt_args_has(args, 'w')) {
		bt_say("packets go to a file or are printed as JSON; leave out -w or --json");
		return BT_EXIT_USAGE;
	}
	if (count != NULL) {
		char *end;
		c.most = strtoull(count, &end, 10);
		if (*end != '\0' || c.most == 0 || *count == '-') {
			bt_say("-c takes a number of packets from 1 on, not '%s'", count);
			return BT_EXIT_USAGE;
		}
	}
	if (!bt_join(&c.client, c.network))
		return BT_EXIT_FAIL;
	while (at < 2 && at < args->n_rest && known_host(c.client.table, args->rest[at])) {
		c.hosts[at] = args->rest[at];
		at++;
	}
	int status = compile(&c, args, at);
	c.block = malloc(BLOCK_MAX);
	if (status == BT_EXIT_OK && c.block == NULL)
		status = BT_EXIT_FAIL;
	if (status == BT_EXIT_OK)
		status = run(&c, bt_args_value(args, 'w'));
	if (c.filtered)
		pcap_freecode(&c.filter);
	free(c.block);
	bt_client_close(&c.client);
	return status;
}

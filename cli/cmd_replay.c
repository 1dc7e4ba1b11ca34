/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth replay: gives the packets of a capture to a host, as if those who sent them were there now.
 * berthd gets one end of a socket as the host's way out (daemon/tap.c), and the packets go through
 * the other, at the times they had or as fast as they are taken.
 */
#include "cli.h"
#include "out.h"
#include "replay.h"
#include "rows.h"

#include "../link/capture.h"
#include "../link/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65536u
#define BLOCK_MAX  (PACKET_MAX + 4096u)
#define PATIENCE_S 1 /* for what a packet acknowledges, and for answers at the end */

struct replay {
	struct bt_capture capture;
	struct bt_flows *flows;
	struct bt_host_row host;
	const char *file;
	FILE *out; /* NULL: what the host sends is only counted */
	uint8_t *block;
	int fd;
	bool fast, json, failed, whole; /* whole: the capture was read to its end */
	uint64_t given, others, unread, answers;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool fails(struct replay *r, const char *what, const char *why)
{
	bt_say("%s: %s", what, why);
	r->failed = true;
	return false;
}

/* ---- what is written ---- */

static bool put(struct replay *r, size_t len)
{
	return fwrite(r->block, 1, len, r->out) == len ||
	       fails(r, "the capture cannot be written", strerror(errno));
}

static bool record(struct replay *r, const uint8_t *packet, size_t len, bool from_host)
{
	struct iovec part = {(void *)(uintptr_t)packet, len};
	struct bt_pcapng_packet p = {.way = from_host ? BT_PCAPNG_OUT : BT_PCAPNG_IN,
				     .time_ns = clock_ns(CLOCK_REALTIME),
				     .parts = &part,
				     .n_parts = 1};
	return r->out == NULL || put(r, bt_pcapng_packet(r->block, BLOCK_MAX, &p));
}

static bool open_out(struct replay *r, const char *path)
{
	if (path == NULL)
		return true;
	r->block = malloc(BLOCK_MAX);
	r->out = fopen(path, "we");
	if (r->block == NULL || r->out == NULL)
		return fails(r, path, strerror(errno));
	return put(r, bt_pcapng_section(r->block, BLOCK_MAX, "berth " BERTH_VERSION)) &&
	       put(r, bt_pcapng_interface(r->block, BLOCK_MAX, r->host.name, BT_LINKTYPE_RAW));
}

/* ---- what the host sends ---- */

static bool hear(struct replay *r)
{
	static uint8_t packet[PACKET_MAX];
	for (;;) {
		ssize_t n = recv(r->fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return fails(r, r->host.name, "the network has ended");
		r->answers++;
		if (!record(r, packet, (size_t)n, true))
			return false;
		if (!bt_flows_heard(r->flows, packet, (size_t)n))
			return fails(r, r->file, strerror(ENOMEM));
	}
}

/* Hears the host until then, or until it says something if once. */
static bool hear_until(struct replay *r, uint64_t until_ns, bool once)
{
	for (;;) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC),
			 left = until_ns > now ? until_ns - now : 0;
		struct timespec wait = {.tv_sec = (time_t)(left / 1000000000u),
					.tv_nsec = (long)(left % 1000000000u)};
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		int n = ppoll(&p, 1, &wait, NULL);
		if (interrupted)
			return false;
		if (n > 0 && !hear(r))
			return false;
		if (left == 0 || (once && n > 0))
			return true;
	}
}

/* ---- what the host gets ---- */

static bool give(struct replay *r, const uint8_t *recorded, size_t len)
{
	static uint8_t packet[PACKET_MAX];
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + PATIENCE_S * 1000000000ull;
	bool wait = false;
	if (len > sizeof(packet)) {
		r->unread++;
		return true;
	}
	do {
		memcpy(packet, recorded, len);
		if (!bt_flows_mend(r->flows, packet, len, &wait))
			return fails(r, r->file, strerror(ENOMEM));
		if (wait && !hear_until(r, until, true))
			return false;
	} while (wait && clock_ns(CLOCK_MONOTONIC) < until);
	if (send(r->fd, packet, len, MSG_NOSIGNAL) < 0)
		return fails(r, r->host.name, "the network has ended");
	r->given++;
	return record(r, packet, len, false) && hear(r);
}

static bool is_host(const struct replay *r, const struct bt_addr *a)
{
	for (uint16_t i = 0; i < r->host.n_addrs && i < BT_HOST_ADDRS; i++)
		if (memcmp(r->host.addrs[i].addr, a->b, 16) == 0)
			return true;
	return false;
}

static bool one(struct replay *r, const struct bt_capture_packet *p, uint64_t *first_ns,
		uint64_t begun_ns)
{
	struct bt_addr src, dst;
	const uint8_t *data = p->data;
	size_t len = p->len;
	if (!bt_replay_ip(p->linktype, &data, &len, &src, &dst)) {
		r->unread++;
		return true;
	}
	if (is_host(r, &src))
		return bt_flows_recorded(r->flows, data, len) ||
		       fails(r, r->file, strerror(ENOMEM));
	if (!is_host(r, &dst)) {
		r->others++;
		return true;
	}
	if (*first_ns == 0)
		*first_ns = p->time_ns;
	if (!r->fast && p->time_ns > *first_ns &&
	    !hear_until(r, begun_ns + (p->time_ns - *first_ns), false))
		return false;
	return give(r, data, len);
}

static void json_counts(const struct replay *r)
{
	static const struct bt_col cols[] = {{.key = "host"},	   {.key = "given"},
					     {.key = "answers"},   {.key = "for_others"},
					     {.key = "not_whole"}, {.key = "whole_file"}};
	struct bt_out o;
	bt_out_line(&o, cols, sizeof(cols) / sizeof(cols[0]));
	bt_out_str(&o, r->host.name);
	bt_out_num(&o, r->given);
	bt_out_num(&o, r->answers);
	bt_out_num(&o, r->others);
	bt_out_num(&o, r->unread);
	bt_out_bool(&o, r->whole);
	bt_out_line_end(&o);
}

static int play(struct replay *r)
{
	struct bt_capture_packet p;
	uint64_t first_ns = 0, begun_ns = clock_ns(CLOCK_MONOTONIC), answers;
	int n = 0;
	bool go_on = true;
	while (go_on && !interrupted && (n = bt_capture_next(&r->capture, &p)) > 0)
		go_on = one(r, &p, &first_ns, begun_ns);
	/* Answers, until a second passes without one. */
	do {
		answers = r->answers;
	} while (go_on && !interrupted &&
		 hear_until(r, clock_ns(CLOCK_MONOTONIC) + PATIENCE_S * 1000000000ull, false) &&
		 r->answers != answers && clock_ns(CLOCK_MONOTONIC) - begun_ns < 3600000000000ull);
	r->whole = n == 0;
	if (r->json)
		json_counts(r);
	else
		fprintf(stderr,
			"berth: %llu packets given to %s, %llu answered; %llu were for others, "
			"%llu no "
			"whole IP "
			"packets\n",
			(unsigned long long)r->given, r->host.name, (unsigned long long)r->answers,
			(unsigned long long)r->others, (unsigned long long)r->unread);
	if (n < 0)
		fails(r, r->file, "the capture is broken after that, or cut off");
	return r->failed ? BT_EXIT_FAIL : BT_EXIT_OK;
}

/* ---- beginning ---- */

static int join(struct replay *r, struct bt_client *c)
{
	struct {
		struct bt_tap_set set;
		char settings[1];
	} extra = {.set = {.mtu = 1500}};
	struct bt_req q = {.type = BT_TAP_SET, .extra = sizeof(extra.set) + 1};
	struct bt_rep rep;
	int fds[2];
	memcpy(extra.set.host, r->host.name, sizeof(extra.set.host));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return errno;
	int err = bt_client_give_fd(c, &q, &extra, fds[1], &rep, NULL, NULL);
	close(fds[1]);
	r->fd = fds[0];
	return err != 0 ? -err : rep.err;
}

static bool read_file(struct replay *r, void **data, size_t *len)
{
	struct stat st;
	int fd = open(r->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fails(r, r->file, strerror(errno));
	*len = (size_t)st.st_size;
	*data = st.st_size > 0 ? mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	close(fd);
	if (*data == MAP_FAILED || !bt_capture_open(&r->capture, *data, *len))
		return fails(r, r->file, "no pcap or pcapng");
	return true;
}

int bt_cmd_replay(const struct bt_args *args)
{
	static struct replay r = {.fd = -1};
	const struct sigaction act = {.sa_handler = on_signal};
	const char *network = bt_args_network(args);
	struct bt_client c;
	uint32_t host;
	void *data;
	size_t len;
	if (args->n_rest != 2) {
		bt_say("it is used as: berth replay [--fast] [-w FILE] HOST CAPTURE");
		return BT_EXIT_USAGE;
	}
	r.file = args->rest[1];
	r.fast = bt_args_has(args, BT_OPT_FAST);
	r.json = bt_args_has(args, BT_OPT_JSON);
	r.flows = bt_flows_new();
	if (r.flows == NULL || !read_file(&r, &data, &len) || !bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status = BT_EXIT_FAIL;
	if (bt_find_host(c.table, args->rest[0], network, &host)) {
		r.host = c.table->hosts[host];
		r.host.name[sizeof(r.host.name) - 1] = '\0';
		int e = open_out(&r, bt_args_value(args, 'w')) ? join(&r, &c) : -1;
		if (e == EBUSY)
			bt_say("packets are being replayed into '%s' already", r.host.name);
		else if (e == EEXIST)
			bt_say("'%s' is on a TAP device; berth link clear %s tap", r.host.name,
			       r.host.name);
		else if (e > 0)
			bt_say("berthd could not begin: %s", strerror(e));
		sigaction(SIGINT, &act, NULL);
		sigaction(SIGTERM, &act, NULL);
		status = e == 0 ? play(&r) : BT_EXIT_FAIL;
	}
	if (r.out != NULL && fclose(r.out) != 0) {
		bt_say("the capture cannot be written: %s", strerror(errno));
		status = BT_EXIT_FAIL;
	}
	if (r.fd >= 0)
		close(r.fd);
	bt_client_close(&c);
	bt_flows_free(r.flows);
	free(r.block);
	munmap(data, len);
	return status;
}

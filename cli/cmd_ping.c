/* SPDX-License-Identifier: Apache-2.0 */
/* berth ping: ICMP echo from a host. Also shows what the links between two hosts do. */
#include "addr.h"
#include "cli.h"
#include "out.h"
#include "rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MOST 65499 /* with both headers a whole IPv4 packet; 8 more would do in IPv6 */
#define WAIT_NS	  2000000000ull

struct ping {
	uint8_t to[16];
	const char *name;
	uint64_t count, size, interval_ns; /* count 0: until Ctrl-C */
	uint64_t sent, got, errors;
	uint64_t sum_ns, min_ns, max_ns;
	int fd;
	bool over, json;
	const char *host;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool number(const struct bt_args *args, int option, uint64_t most, double unit,
		   uint64_t *out)
{
	const char *text = bt_args_value(args, option);
	char *end;
	if (text == NULL)
		return true;
	double v = strtod(text, &end) * unit;
	if (end == text || *end != '\0' || !(v >= 0) || v > (double)most) {
		bt_say("-%c takes a number from 0 to %.10g, not '%s'", option, (double)most / unit,
		       text);
		return false;
	}
	*out = (uint64_t)v;
	return true;
}

/* ICMP's or ICMPv6's echo request; the engine fills in the identifier and the checksum. */
static void send_one(struct ping *p)
{
	static uint8_t packet[65536];
	uint64_t now = now_ns();
	memset(packet, 0, 8);
	packet[0] = bt_is_v4(p->to) ? 8 : 128;
	packet[6] = (uint8_t)(p->sent >> 8);
	packet[7] = (uint8_t)p->sent;
	if (p->size >= sizeof(now))
		memcpy(packet + 8, &now, sizeof(now));
	p->sent++;
	if (send(p->fd, packet, 8 + p->size, MSG_NOSIGNAL) < 0)
		p->over = true;
}

/* ---- what is told ---- */

static void json_error(const struct ping *p, int err)
{
	static const struct bt_col cols[] = {{.key = "event"},
					     {.key = "host"},
					     {.key = "destination"},
					     {.key = "errno"},
					     {.key = "error"}};
	struct bt_out o;
	bt_out_line(&o, cols, sizeof(cols) / sizeof(cols[0]));
	bt_out_str(&o, "error");
	bt_out_str(&o, p->host);
	bt_out_str(&o, p->name);
	bt_out_num(&o, (uint64_t)err);
	bt_out_str(&o, strerror(err));
	bt_out_line_end(&o);
}

static void json_answer(const struct ping *p, const char *from, size_t len, uint16_t sequence,
			uint8_t hops, uint64_t rtt_ns)
{
	static const struct bt_col cols[] = {
		{.key = "event"},    {.key = "host"}, {.key = "destination"}, {.key = "from"},
		{.key = "sequence"}, {.key = "ttl"},  {.key = "bytes"},	      {.key = "rtt_ns"}};
	struct bt_out o;
	bt_out_line(&o, cols, sizeof(cols) / sizeof(cols[0]));
	bt_out_str(&o, "answer");
	bt_out_str(&o, p->host);
	bt_out_str(&o, p->name);
	bt_out_str(&o, from);
	bt_out_num(&o, sequence);
	bt_out_num(&o, hops);
	bt_out_num(&o, len);
	bt_out_num(&o, rtt_ns);
	bt_out_line_end(&o);
}

static void json_end(const struct ping *p, const char *to)
{
	static const struct bt_col cols[] = {{.key = "event"},	     {.key = "host"},
					     {.key = "destination"}, {.key = "address"},
					     {.key = "sent"},	     {.key = "received"},
					     {.key = "errors"},	     {.key = "rtt_min_ns"},
					     {.key = "rtt_mean_ns"}, {.key = "rtt_max_ns"}};
	struct bt_out o;
	bt_out_line(&o, cols, sizeof(cols) / sizeof(cols[0]));
	bt_out_str(&o, "end");
	bt_out_str(&o, p->host);
	bt_out_str(&o, p->name);
	bt_out_str(&o, to);
	bt_out_num(&o, p->sent);
	bt_out_num(&o, p->got);
	bt_out_num(&o, p->errors);
	bt_out_num(&o, p->min_ns);
	bt_out_num(&o, p->got ? p->sum_ns / p->got : 0);
	bt_out_num(&o, p->max_ns);
	bt_out_line_end(&o);
}

static void text_answer(const char *from, size_t len, uint16_t sequence, uint8_t hops, bool timed,
			uint64_t rtt_ns)
{
	printf("%zu bytes from %s: icmp_seq=%u ttl=%u", len, from, sequence, hops);
	if (timed)
		printf(" time=%.3f ms", (double)rtt_ns / 1e6);
	printf("\n");
}

static void text_end(const struct ping *p)
{
	printf("%llu sent, %llu received, %llu errors, %.4g%% lost\n", (unsigned long long)p->sent,
	       (unsigned long long)p->got, (unsigned long long)p->errors,
	       p->sent == 0 || p->got > p->sent
		       ? 0.0
		       : 100.0 * (double)(p->sent - p->got) / (double)p->sent);
	if (p->got > 0 && p->size >= 8)
		printf("round trip: least %.3f, mean %.3f, most %.3f ms\n", (double)p->min_ns / 1e6,
		       (double)p->sum_ns / (double)p->got / 1e6, (double)p->max_ns / 1e6);
}

static void show(struct ping *p, const struct bt_pinged *head, const uint8_t *packet, size_t len)
{
	char from[BT_ADDR_TEXT];
	uint64_t sent, rtt = 0;
	if (head->err != 0) {
		p->errors++;
		if (p->json)
			json_error(p, (int)head->err);
		else
			printf("%s: %s\n", p->name, strerror((int)head->err));
		return;
	}
	if (len < 8)
		return;
	uint16_t sequence = (uint16_t)(packet[6] << 8 | packet[7]);
	bool timed = len >= 8 + sizeof(sent);
	bt_addr_text(head->from, from);
	p->got++;
	if (timed) {
		memcpy(&sent, packet + 8, sizeof(sent));
		rtt = now_ns() - sent;
		p->sum_ns += rtt;
		p->min_ns = p->got == 1 || rtt < p->min_ns ? rtt : p->min_ns;
		p->max_ns = rtt > p->max_ns ? rtt : p->max_ns;
	}
	if (p->json)
		json_answer(p, from, len, sequence, head->hops, rtt);
	else
		text_answer(from, len, sequence, head->hops, timed, rtt);
	fflush(stdout);
}

static void hear(struct ping *p)
{
	static uint8_t packet[65536];
	struct bt_pinged head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {packet, sizeof(packet)}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(p->fd, &m, MSG_DONTWAIT);
	if (n >= (ssize_t)sizeof(head))
		show(p, &head, packet, (size_t)n - sizeof(head));
	else if (n == 0)
		p->over = true;
}

/* Until then, or until all has been answered. */
static void hear_until(struct ping *p, uint64_t until)
{
	for (uint64_t now = now_ns(); !p->over && !interrupted && now < until; now = now_ns()) {
		struct timespec wait = {.tv_sec = (time_t)((until - now) / 1000000000u),
					.tv_nsec = (long)((until - now) % 1000000000u)};
		struct pollfd fd = {.fd = p->fd, .events = POLLIN};
		if (ppoll(&fd, 1, &wait, NULL) > 0)
			hear(p);
		if (p->count != 0 && p->got + p->errors >= p->count)
			p->over = true;
	}
}

static int run(struct ping *p)
{
	uint64_t next = now_ns();
	char to[BT_ADDR_TEXT];
	bt_addr_text(p->to, to);
	if (!p->json)
		printf("PING %s (%s) with %llu bytes\n", p->name, to, (unsigned long long)p->size);
	while (!p->over && !interrupted && (p->count == 0 || p->sent < p->count)) {
		send_one(p);
		next += p->interval_ns;
		hear_until(p, next);
	}
	hear_until(p, now_ns() + WAIT_NS);
	if (p->json)
		json_end(p, to);
	else
		text_end(p);
	return p->got > 0 ? BT_EXIT_OK : BT_EXIT_FAIL;
}

/* An address, or a host's name: its first address. */
static bool destination(const struct bt_table *t, const char *word, const char *network,
			uint8_t to[16])
{
	uint32_t host;
	if (inet_pton(AF_INET6, word, to) == 1)
		return true;
	memset(to, 0, 16);
	to[10] = to[11] = 0xff;
	if (inet_pton(AF_INET, word, to + 12) == 1)
		return true;
	if (!bt_find_host(t, word, network, &host))
		return false;
	if (t->hosts[host].n_addrs < 3) {
		bt_say("'%s' has no address", word);
		return false;
	}
	memcpy(to, t->hosts[host].addrs[2].addr, 16);
	return true;
}

static int begin(struct ping *p, struct bt_client *c, uint32_t host)
{
	struct bt_req q = {.type = BT_PING, .value = host};
	struct bt_rep rep;
	memcpy(q.addr, p->to, 16);
	int err = bt_client_call_fd(c, &q, NULL, &rep, NULL, NULL, &p->fd);
	if (err == 0 && rep.err == 0 && p->fd >= 0)
		return BT_EXIT_OK;
	bt_say("%s: %s", p->name, strerror(err != 0 ? -err : rep.err != 0 ? rep.err : EPROTO));
	return BT_EXIT_FAIL;
}

int bt_cmd_ping(const struct bt_args *args)
{
	struct ping p = {.size = 56, .interval_ns = 1000000000u, .fd = -1};
	const struct sigaction act = {.sa_handler = on_signal};
	const char *network = bt_args_network(args);
	struct bt_client c;
	uint32_t host;
	if (args->n_rest != 2) {
		bt_say("it is used as: berth ping [-c N] [-i SECONDS] [-s BYTES] HOST DESTINATION");
		return BT_EXIT_USAGE;
	}
	if (!number(args, 'c', 1000000000000u, 1, &p.count) ||
	    !number(args, 'i', 3600000000000u, 1e9, &p.interval_ns) ||
	    !number(args, 's', SIZE_MOST, 1, &p.size))
		return BT_EXIT_USAGE;
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	p.host = args->rest[0];
	p.name = args->rest[1];
	p.json = bt_args_has(args, BT_OPT_JSON);
	int status = BT_EXIT_FAIL;
	if (bt_find_host(c.table, args->rest[0], network, &host) &&
	    destination(c.table, p.name, network, p.to))
		status = begin(&p, &c, host);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (p.fd >= 0) {
		status = run(&p);
		close(p.fd);
	}
	bt_client_close(&c);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run FILE...: runs each script, in a child each so that one that fails does not end the others;
 * "N passed, N failed" at the end, 1 if one failed. README.md says what a script is.
 */
#include "script.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define S ((uint64_t)1000000000)

static char line_text[1000]; /* for a failure */

_Noreturn void fail(const struct script *s, const char *format, ...)
{
	va_list args;

	printf("%s:%u: %s\n    ", s->path, s->line, line_text);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (at %llu.%09llu)\n", (unsigned long long)(s->now_ns / S),
	       (unsigned long long)(s->now_ns % S));
	fflush(stdout);
	_exit(1);
}

uint32_t number(const struct script *s, const char *word)
{
	char *end;
	long long n = strtoll(word, &end, 0);

	if (strcmp(word, "*") == 0)
		return ANY;
	if (end == word || *end || n < INT32_MIN || n > UINT32_MAX)
		fail(s, "%s is not a number", word);
	return (uint32_t)n;
}

/* ---- the host under test ---- */

static void set_addr(struct script *s, struct berth_addr *a, const char *v4, const char *v6)
{
	memset(a, 0, sizeof(*a));
	if (s->ip == 6) {
		inet_pton(AF_INET6, v6, a->b);
		return;
	}
	a->b[10] = a->b[11] = 0xff;
	inet_pton(AF_INET, v4, a->b + 12);
}

static void start(struct script *s)
{
	set_addr(s, &s->host_addr, "192.0.2.1", "2001:db8::1");
	set_addr(s, &s->peer_addr, "192.0.2.2", "2001:db8::2");
	s->started = true;
	host_start(s);
}

/* Which groups a host belongs to (MLD behind a hop-by-hop header, IGMP), and that it asks for a
 * router, is not a script's subject. */
static bool is_about_groups(const struct script *s, const struct sent *k)
{
	size_t at = s->ethernet ? ETHERNET : 0;
	const uint8_t *p = k->data + at;

	if (k->len < at + 24 || (s->ethernet && get16(k->data + 12) == 0x0806))
		return false;
	if (p[0] >> 4 == 4)
		return p[9] == 2;
	return k->len > at + 40 && p[24] == 0xff && (p[6] == 0 || p[40] == 133);
}

void sent_add(struct script *s, uint64_t at_ns, const struct iovec *parts, unsigned n)
{
	size_t len = 0, at = 0;
	struct sent *k;

	for (unsigned i = 0; i < n; i++)
		len += parts[i].iov_len;
	k = malloc(sizeof(*k) + len);
	if (k == NULL)
		fail(s, "no memory");
	*k = (struct sent){.at_ns = at_ns, .len = len};
	for (unsigned i = 0; i < n; at += parts[i++].iov_len)
		if (parts[i].iov_len > 0)
			memcpy(k->data + at, parts[i].iov_base, parts[i].iov_len);
	if (is_about_groups(s, k)) {
		free(k);
		return;
	}
	*s->last = k;
	s->last = &k->next;
}

/* ---- lines ---- */

static void print_sent(struct script *s, const struct sent *k)
{
	struct desc d;

	packet_decode(s, k->data, k->len, &d);
	printf("    came      %llu.%09llu ", (unsigned long long)(k->at_ns / S),
	       (unsigned long long)(k->at_ns % S));
	desc_print(s, &d, stdout);
}

static void nothing_waits(struct script *s)
{
	if (s->first == NULL)
		return;
	print_sent(s, s->first);
	fail(s, "the host sent what no line expects");
}

static void expect_packet(struct script *s)
{
	struct sent *k = s->first;
	struct desc expected, came;

	uint64_t slack = host_slack(s);

	desc_read(s, 2, &expected);
	if (k == NULL) {
		host_await(s);
		k = s->first;
	}
	if (k == NULL)
		fail(s, "the host sent nothing");
	packet_decode(s, k->data, k->len, &came);
	if (!desc_matches(s, &expected, &came, (uint32_t)(slack / 1000000)) ||
	    k->at_ns + slack < s->now_ns || k->at_ns > s->now_ns + slack) {
		printf("    expected  %llu.%09llu ", (unsigned long long)(s->now_ns / S),
		       (unsigned long long)(s->now_ns % S));
		desc_print(s, &expected, stdout);
		print_sent(s, k);
		fail(s, "another packet, or another time");
	}
	if (came.has & FASTOPEN && came.n_cookie > 0) {
		s->n_cookie = came.n_cookie;
		memcpy(s->cookie, came.cookie, sizeof(s->cookie));
	}
	s->first = k->next;
	if (s->first == NULL)
		s->last = &s->first;
	free(k);
}

static void inject(struct script *s)
{
	static uint8_t packet[PACKET_BYTES];
	struct desc d;
	size_t len;

	desc_read(s, 2, &d);
	len = packet_build(s, &d, packet);
	host_input(s, packet, len);
}

static uint64_t time_of(const struct script *s, const char *word)
{
	bool relative = word[0] == '+';
	uint64_t ns = 0, scale = S;
	const char *c = word + relative;

	for (; *c >= '0' && *c <= '9'; c++)
		ns = ns * 10 + (unsigned)(*c - '0') * S;
	if (*c == '.')
		for (c++; *c >= '0' && *c <= '9' && scale > 1; c++)
			ns += (unsigned)(*c - '0') * (scale /= 10);
	if (*c)
		fail(s, "%s is not a time", word);
	ns += relative ? s->now_ns : 0;
	if (ns < s->now_ns)
		fail(s, "%s is earlier than the line before", word);
	return ns;
}

/* ethernet, ip 6, mtu N, flow NAME HOST-PORT PEER-PORT: before the first line with a time. */
static bool directive(struct script *s)
{
	if (strcmp(s->words[0], "ethernet") == 0 && s->n_words == 1) {
		s->ethernet = true;
	} else if (strcmp(s->words[0], "ip") == 0 && s->n_words == 2) {
		s->ip = number(s, s->words[1]);
	} else if (strcmp(s->words[0], "mtu") == 0 && s->n_words == 2) {
		s->mtu = number(s, s->words[1]);
	} else if (strcmp(s->words[0], "flow") == 0 && s->n_words == 4 &&
		   s->n_flows < sizeof(s->flows) / sizeof(s->flows[0])) {
		struct flow *f = &s->flows[s->n_flows++];
		snprintf(f->name, sizeof(f->name), "%s", s->words[1]);
		f->host_port = (uint16_t)number(s, s->words[2]);
		f->peer_port = (uint16_t)number(s, s->words[3]);
	} else {
		return false;
	}
	if (s->started)
		fail(s, "%s comes too late", s->words[0]);
	return true;
}

static void run_line(struct script *s)
{
	uint64_t at;

	if (directive(s))
		return;
	if (s->n_words < 2)
		fail(s, "a line is a time and an act");
	if (!s->started)
		start(s);
	at = time_of(s, s->words[0]);
	host_collect(s);
	if (at > s->now_ns) {
		nothing_waits(s);
		s->line_ns = s->now_ns;
	}
	/* A packet that was due before this line is one no line expects. */
	host_pass(s, at);
	if (s->first != NULL && s->first->at_ns < at && strcmp(s->words[1], ">") != 0)
		nothing_waits(s);
	if (strcmp(s->words[1], ">") == 0) {
		expect_packet(s);
		return;
	}
	nothing_waits(s);
	if (strcmp(s->words[1], "<") == 0)
		inject(s);
	else if (strcmp(s->words[1], "end") != 0 && !call(s))
		fail(s, "%s is no call", s->words[1]);
	host_collect(s);
}

static void run_lines(struct script *s, unsigned depth);

/* include FILE: its lines here; the path counts from the script's folder. */
static void include(struct script *s, const char *name, unsigned depth)
{
	const char *path = s->path, *slash = strrchr(path, '/');
	unsigned line = s->line;
	char joined[500];

	if (depth > 3)
		fail(s, "includes are nested too deep");
	snprintf(joined, sizeof(joined), "%.*s%s", slash ? (int)(slash - path + 1) : 0, path, name);
	s->path = joined;
	s->line = 0;
	run_lines(s, depth + 1);
	s->path = path;
	s->line = line;
}

static void run_lines(struct script *s, unsigned depth)
{
	char *words[64], text[sizeof(line_text)];
	FILE *f = fopen(s->path, "r");

	if (f == NULL)
		fail(s, "cannot be read");
	while (fgets(text, sizeof(text), f) != NULL) {
		char *rest, *end = strpbrk(text, "#\n");

		s->line++;
		if (end != NULL)
			*end = '\0';
		memcpy(line_text, text, sizeof(text));
		s->words = words;
		s->n_words = 0;
		for (char *w = strtok_r(text, " \t", &rest); w && s->n_words < 64;
		     w = strtok_r(NULL, " \t", &rest))
			words[s->n_words++] = w;
		if (s->n_words == 2 && strcmp(words[0], "include") == 0)
			include(s, words[1], depth);
		else if (s->n_words > 0)
			run_line(s);
	}
	fclose(f);
}

static void run_file(const char *path)
{
	static struct script s;

	s = (struct script){.path = path, .ip = 4, .mtu = 1500};
	s.last = &s.first;
	run_lines(&s, 0);
	if (!s.started)
		fail(&s, "the script does nothing");
	host_collect(&s);
	nothing_waits(&s);
	host_end(&s);
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	for (int i = 1; i < argc; i++) {
		int status = 1;
		pid_t child;

		fflush(stdout);
		child = fork();
		if (child == 0) {
			run_file(argv[i]);
			return 0;
		}
		waitpid(child, &status, 0);
		if (WIFSIGNALED(status))
			printf("%s: ended by signal %d\n", argv[i], WTERMSIG(status));
		passed += status == 0;
		failed += status != 0;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0 || passed == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* run FIRST-LAST | SEED [--trace FILE]: sim.h says what is tried. */
#include "sim.h"

#include "pcapng.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 20000000u

_Noreturn void broken(const struct sim *s, const char *format, ...)
{
	va_list args;

	printf("seed %llu at %.9f s: ", (unsigned long long)s->seed, (double)s->now_ns / 1e9);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	programs_print(s);
	printf("  again: tests/sim/run %llu --trace FILE\n", (unsigned long long)s->seed);
	if (s->trace != NULL)
		fclose(s->trace);
	fflush(stdout);
	exit(1);
}

/* ---- packets ---- */

static void trace(struct sim *s, unsigned link, unsigned to, const struct iovec *parts, size_t n,
		  const char *comment)
{
	static uint8_t block[1 << 18];
	struct bt_pcapng_packet k = {link,   to ? BT_PCAPNG_OUT : BT_PCAPNG_IN, s->now_ns, parts, n,
				     comment};

	if (s->trace != NULL)
		fwrite(block, 1, bt_pcapng_packet(block, sizeof(block), &k), s->trace);
}

static void trace_begin(struct sim *s, const char *path)
{
	uint8_t block[2000];
	char name[40];

	s->trace = fopen(path, "w");
	if (s->trace == NULL)
		broken(s, "cannot write %s", path);
	fwrite(block, 1, bt_pcapng_section(block, sizeof(block), "berth sim"), s->trace);
	for (int i = 0; i < s->n_links; i++) {
		snprintf(name, sizeof(name), "host%d-host%d", s->links[i].host[0],
			 s->links[i].host[1]);
		fwrite(block, 1,
		       bt_pcapng_interface(block, sizeof(block), name,
					   s->links[i].ethernet ? BT_LINKTYPE_ETHERNET
								: BT_LINKTYPE_RAW),
		       s->trace);
	}
}

static void mix(struct sim *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) /* FNV-1a */
		s->hash = (s->hash ^ p[i]) * 0x100000001b3u;
}

/* Into the wire, cut and finished. */
static void send_cut(struct sim *s, struct link *l, unsigned from, const struct berth_output *o)
{
	struct berth_output one;
	struct berth_cut cut;

	berth_cut_begin(&cut, o, l->ethernet);
	while (berth_cut_next(&cut, &one))
		bt_pair_in(l->pair, from, one.iov, one.n_iov, s->now_ns);
}

static void collect(struct sim *s)
{
	struct berth_output out[8];
	size_t n;

	while ((n = berth_output(s->b, out, 8, s->now_ns)) > 0)
		for (size_t i = 0; i < n; i++) {
			int at = s->link_of_if[out[i].i];

			if (at < 0)
				broken(s, "a packet for an interface without a wire");
			s->packets++;
			mix(s, &s->now_ns, sizeof(s->now_ns));
			for (unsigned p = 0; p < out[i].n_iov; p++)
				mix(s, out[i].iov[p].iov_base, out[i].iov[p].iov_len);
			trace(s, (unsigned)at / 2, at % 2 == 0, out[i].iov, out[i].n_iov, "sent");
			send_cut(s, &s->links[at / 2], (unsigned)at % 2, &out[i]);
		}
}

static void deliver(struct sim *s)
{
	struct bt_pair_packet k;

	for (int i = 0; i < s->n_links; i++)
		while (bt_pair_out(s->links[i].pair, s->now_ns, &k)) {
			berth_input(s->b, (berth_if)s->links[i].i[k.to], k.data, k.len, s->now_ns);
			s->steps++;
		}
}

/* ---- time ---- */

static void events(struct sim *s)
{
	struct berth_event e;

	while (berth_event(s->b, &e)) {
		programs_event(s, &e);
		s->steps++;
	}
}

/* All that happens at one moment. */
static void moment(struct sim *s)
{
	deliver(s);
	if (berth_deadline(s->b) <= s->now_ns) {
		berth_advance(s->b, s->now_ns);
		if (berth_deadline(s->b) <= s->now_ns)
			broken(s, "the deadline is not later than now after berth_advance");
	}
	programs_act(s);
	events(s);
	collect(s);
	if (++s->steps > STEPS_MAX)
		broken(s, "no end after %u steps", STEPS_MAX);
}

static uint64_t next(const struct sim *s)
{
	uint64_t at = berth_deadline(s->b), d = programs_deadline(s);

	at = d < at ? d : at;
	for (int i = 0; i < s->n_links; i++) {
		d = bt_pair_deadline(s->links[i].pair);
		at = d < at ? d : at;
	}
	return at;
}

/* Until `until_ns`, or until `done`. */
static void pass(struct sim *s, uint64_t until_ns, bool (*done)(const struct sim *s))
{
	while (!done(s)) {
		uint64_t at = next(s);

		if (at > until_ns) {
			s->now_ns = until_ns;
			return;
		}
		s->now_ns = at > s->now_ns ? at : s->now_ns;
		moment(s);
	}
}

static bool no_socket(const struct sim *s)
{
	return berth_sockets(s->b) == 0;
}

static bool never(const struct sim *s)
{
	(void)s;
	return false;
}

/* ---- a seed ---- */

static void begin(struct sim *s, uint64_t seed, const char *trace_path)
{
	struct berth_config config = {.max_sockets = 4000};

	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->now_ns = 1000 * SECOND;
	s->hash = 0xcbf29ce484222325u;
	bt_random_seed(&s->random, seed);
	memcpy(config.key, &seed, sizeof(seed));
	s->b = berth_new(&config);
	if (s->b == NULL)
		broken(s, "no engine");
	topology_make(s);
	if (trace_path != NULL)
		trace_begin(s, trace_path);
	/* The addresses settle (DAD) before programs begin. */
	pass(s, s->now_ns + 5 * SECOND, never);
	programs_make(s);
}

static void end(struct sim *s)
{
	for (int i = 0; i < s->n_links; i++)
		bt_pair_free(s->links[i].pair);
	berth_free(s->b);
	if (s->trace != NULL)
		fclose(s->trace);
}

/* Wires change for a while, then they are perfect: now all must end. */
static void simulate(struct sim *s, uint64_t seed, const char *trace_path)
{
	begin(s, seed, trace_path);
	for (unsigned changes = (unsigned)below(s, 8); changes > 0 && !programs_done(s);
	     changes--) {
		pass(s, s->now_ns + below(s, 10 * SECOND), programs_done);
		link_change(s);
	}
	pass(s, s->now_ns + 20 * SECOND, programs_done);
	links_heal(s);
	pass(s, s->now_ns + 3600 * SECOND, programs_done);
	if (!programs_done(s))
		broken(s, "programs still wait an hour after the wires became perfect");
	programs_end(s);
	pass(s, s->now_ns + 1800 * SECOND, no_socket);
	if (!no_socket(s))
		broken(s, "%u sockets are left half an hour after all were closed",
		       berth_sockets(s->b));
	end(s);
}

int main(int argc, char **argv)
{
	static struct sim s;
	unsigned long long first, last, connected = 0, whole = 0, failed = 0, packets = 0,
					bytes = 0;
	const char *path = argc == 4 && strcmp(argv[2], "--trace") == 0 ? argv[3] : NULL;
	int n = argc < 2 ? 0 : sscanf(argv[1], "%llu-%llu", &first, &last);

	if (n < 1 || (argc != 2 && path == NULL)) {
		fprintf(stderr, "usage: run FIRST-LAST | SEED [--trace FILE]\n");
		return 2;
	}
	last = n == 1 ? first : last;
	for (uint64_t seed = first; seed <= last; seed++) {
		uint64_t hash;

		simulate(&s, seed, path);
		hash = s.hash;
		connected += s.connected;
		whole += s.whole;
		failed += s.failed;
		packets += s.packets;
		bytes += s.delivered;
		if (seed % 8 == 0 || first == last) {
			simulate(&s, seed, NULL);
			if (s.hash != hash)
				broken(&s, "two runs differ");
		}
	}
	printf("seeds %llu-%llu: %llu connections, %llu whole, %llu never came about; %llu "
	       "packets, "
	       "%llu bytes\n",
	       first, last, connected, whole, failed, packets, bytes);
	return whole == 0 && last - first > 100;
}

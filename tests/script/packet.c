/* SPDX-License-Identifier: Apache-2.0 */
/* Lines to descriptions of packets, and back. */
#include "script.h"

#include <arpa/inet.h>
#include <stdlib.h>

static const struct {
	const char *name;
	enum flag flag;
} flags[] = {{"SYN", SYN}, {"FIN", FIN}, {"RST", RST}, {"PSH", PSH},
	     {"ACK", ACK}, {"URG", URG}, {"ECE", ECE}, {"CWR", CWR}};

static const struct {
	const char *name;
	unsigned has; /* option */
	size_t at;    /* of its number in struct desc */
} numbers[] = {
	{"seq", 0, offsetof(struct desc, seq)},
	{"ack", 0, offsetof(struct desc, ack)},
	{"len", 0, offsetof(struct desc, len)},
	{"win", 0, offsetof(struct desc, win)},
	{"urg", 0, offsetof(struct desc, urg)},
	{"mss", MSS, offsetof(struct desc, mss)},
	{"wscale", WSCALE, offsetof(struct desc, wscale)},
	{"mtu", 0, offsetof(struct desc, mtu)},
	{"quoted-seq", 0, offsetof(struct desc, quoted_seq)},
	{"tos", 0, offsetof(struct desc, tos)},
	{"ttl", 0, offsetof(struct desc, ttl)},
	{"protocol", 0, offsetof(struct desc, proto)},
	{"cut", 0, offsetof(struct desc, cut)},
	{"ip-version", 0, offsetof(struct desc, ip_version)},
	{"ip-length", 0, offsetof(struct desc, ip_length)},
	{"mac", 0, offsetof(struct desc, mac)},
};

static const char *word(const struct script *s, unsigned at)
{
	if (at >= s->n_words)
		fail(s, "the line ends too early");
	return s->words[at];
}

static const struct {
	const char *name;
	size_t at; /* of its bool */
} facts[] = {
	{"bad-checksum", offsetof(struct desc, bad_checksum)},
	{"bad-ip-checksum", offsetof(struct desc, bad_ip_checksum)},
	{"df", offsetof(struct desc, df)},
	{"more", offsetof(struct desc, more)},
	{"unicast", offsetof(struct desc, unicast)},
	{"router", offsetof(struct desc, router)},
	{"solicited", offsetof(struct desc, solicited)},
	{"override", offsetof(struct desc, override)},
};

static unsigned read_hex(const struct script *s, const char *hex, uint8_t *bytes, size_t room)
{
	unsigned n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		char two[3] = {hex[0], hex[1], 0};
		if (n == room)
			fail(s, "more than %zu bytes", room);
		bytes[n++] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

void address_read(const struct script *s, const char *name, struct berth_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (strcmp(name, "host") == 0 || strcmp(name, "peer") == 0 || strcmp(name, "other") == 0) {
		*a = name[0] == 'h' ? s->host_addr : s->peer_addr;
		a->b[15] = name[0] == 'o' ? 3 : a->b[15];
		return;
	}
	if (s->ip == 4)
		a->b[10] = a->b[11] = 0xff;
	if (inet_pton(s->ip == 4 ? AF_INET : AF_INET6, name, a->b + (s->ip == 4 ? 12 : 0)) != 1)
		fail(s, "%s is no address", name);
}

/* fastopen, fastopen COOKIE, fastopen given */
static unsigned read_cookie(const struct script *s, unsigned at, struct desc *d)
{
	const char *cookie = at + 1 < s->n_words ? s->words[at + 1] : "";

	d->has |= FASTOPEN;
	d->has_cookie = EMPTY;
	if (strcmp(cookie, "given") == 0) {
		d->has_cookie = GIVEN;
		d->n_cookie = s->n_cookie;
		memcpy(d->cookie, s->cookie, sizeof(d->cookie));
		return 2;
	}
	if (cookie[0] == '\0' || strspn(cookie, "0123456789abcdef") != strlen(cookie))
		return 1;
	d->has_cookie = BYTES;
	d->n_cookie = read_hex(s, cookie, d->cookie, sizeof(d->cookie));
	return 2;
}

/* from, to, for ADDRESS */
static unsigned read_address(const struct script *s, unsigned at, struct desc *d)
{
	const char *name = s->words[at];

	if (strcmp(name, "from") == 0) {
		d->has_from = true;
		address_read(s, word(s, at + 1), &d->from);
	} else if (strcmp(name, "to") == 0) {
		d->has_to = true;
		address_read(s, word(s, at + 1), &d->to);
	} else if (strcmp(name, "for") == 0) {
		d->has_target = true;
		address_read(s, word(s, at + 1), &d->target);
	} else {
		return 0;
	}
	return 2;
}

/* A word with the numbers after it; says how many words. 0: it is none. */
static unsigned read_option(const struct script *s, unsigned at, struct desc *d)
{
	const char *name = s->words[at];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(name, numbers[i].name) == 0) {
			uint32_t v = number(s, word(s, at + 1));
			memcpy((char *)d + numbers[i].at, &v, sizeof(v));
			d->has |= numbers[i].has;
			return 2;
		}
	if (strcmp(name, "ts") == 0) {
		d->has |= TS;
		d->ts_val = number(s, word(s, at + 1));
		d->ts_ecr = number(s, word(s, at + 2));
		return 3;
	}
	if (strcmp(name, "sack") == 0) {
		if (d->n_sack == 4)
			fail(s, "more than four blocks");
		d->has |= SACK;
		d->sack[d->n_sack][0] = number(s, word(s, at + 1));
		d->sack[d->n_sack++][1] = number(s, word(s, at + 2));
		return 3;
	}
	if (strcmp(name, "options") == 0) {
		d->n_raw = read_hex(s, word(s, at + 1), d->raw, sizeof(d->raw));
		d->has |= UNKNOWN;
		return 2;
	}
	if (strcmp(name, "ip-options") == 0) {
		d->n_ip_raw = read_hex(s, word(s, at + 1), d->ip_raw, sizeof(d->ip_raw));
		return 2;
	}
	if (strcmp(name, "frag") == 0) {
		d->frag = true;
		d->frag_id = number(s, word(s, at + 1));
		d->frag_from = number(s, word(s, at + 2));
		d->frag_to = number(s, word(s, at + 3));
		return 4;
	}
	if (strcmp(name, "fastopen") == 0)
		return read_cookie(s, at, d);
	return read_address(s, at, d);
}

static bool read_flag(const char *name, struct desc *d)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(name, flags[i].name) == 0) {
			d->flags |= flags[i].flag;
			return true;
		}
	return false;
}

static bool read_fact(const char *name, struct desc *d)
{
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		if (strcmp(name, facts[i].name) == 0) {
			*((bool *)((char *)d + facts[i].at)) = true;
			return true;
		}
	return false;
}

/* UDP, ICMP TYPE CODE, IP, ARP request|reply, ND solicit|advertise: how many words. 0: none. */
static unsigned read_kind(const struct script *s, unsigned at, struct desc *d)
{
	const char *w = s->words[at];

	if (strcmp(w, "UDP") == 0) {
		d->proto = IP_UDP;
		return 1;
	}
	if (strcmp(w, "IP") == 0) {
		d->proto = NO_PROTO;
		return 1;
	}
	if (strcmp(w, "ICMP") == 0) {
		d->proto = ICMP;
		d->type = number(s, word(s, at + 1));
		d->code = number(s, word(s, at + 2));
		return 3;
	}
	if (strcmp(w, "ARP") == 0) {
		d->proto = ARP;
		d->type = strcmp(word(s, at + 1), "request") == 0 ? 1 : 2;
		return 2;
	}
	if (strcmp(w, "ND") == 0) {
		d->proto = ICMP;
		d->nd = true;
		d->type = strcmp(word(s, at + 1), "solicit") == 0 ? 135 : 136;
		return 2;
	}
	return 0;
}

void desc_read(struct script *s, unsigned from, struct desc *d)
{
	*d = (struct desc){
		.proto = IP_TCP, .win = ANY, .tos = ANY, .ttl = ANY, .quoted_seq = ANY, .mac = ANY};
	for (unsigned at = from, n; at < s->n_words; at += n) {
		const char *w = s->words[at];

		n = 1;
		if (w[0] == '@') {
			while (d->flow < s->n_flows && strcmp(s->flows[d->flow].name, w + 1) != 0)
				d->flow++;
			if (d->flow == s->n_flows)
				fail(s, "no flow %s", w + 1);
		} else if (strcmp(w, "sackok") == 0) {
			d->has |= SACKOK;
		} else if (strcmp(w, "...") == 0) {
			d->has |= OTHERS;
		} else if (!read_flag(w, d) && !read_fact(w, d) && (n = read_kind(s, at, d)) == 0 &&
			   (n = read_option(s, at, d)) == 0) {
			fail(s, "%s is no flag, option or field", w);
		}
	}
}

/* ---- printing ---- */

static void print_number(FILE *out, const char *name, uint32_t v)
{
	if (v == ANY)
		fprintf(out, " %s *", name);
	else
		fprintf(out, " %s %d", name, (int)v);
}

static void print_address(const struct script *s, const char *name, const struct berth_addr *a,
			  const struct berth_addr *usual, FILE *out)
{
	char text[INET6_ADDRSTRLEN];

	if (addr_eq(a, usual))
		return;
	inet_ntop(s->ip == 4 ? AF_INET : AF_INET6, a->b + (s->ip == 4 ? 12 : 0), text,
		  sizeof(text));
	fprintf(out, " %s %s", name, text);
}

static void print_kind(const struct script *s, const struct desc *d, FILE *out)
{
	if (d->proto == IP_UDP)
		fprintf(out, " UDP");
	else if (d->proto == ARP)
		fprintf(out, " ARP %s", d->type == 1 ? "request" : "reply");
	else if (d->nd)
		fprintf(out, " ND %s", d->type == 135 ? "solicit" : "advertise");
	else if (d->proto == ICMP)
		fprintf(out, " ICMP %u %u", d->type, d->code);
	else if (d->proto != IP_TCP)
		fprintf(out, " IP");
	if (d->has_to)
		print_address(s, "to", &d->to, &s->peer_addr, out);
	if (d->has_from)
		print_address(s, "from", &d->from, &s->host_addr, out);
	if (d->has_target)
		print_address(s, "for", &d->target, &d->from, out);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		if (*((const bool *)((const char *)d + facts[i].at)))
			fprintf(out, " %s", facts[i].name);
	if (d->frag)
		fprintf(out, " frag %u %u %u", d->frag_id, d->frag_from, d->frag_to);
}

void desc_print(const struct script *s, const struct desc *d, FILE *out)
{
	fprintf(out, ">");
	if (d->flow > 0)
		fprintf(out, " @%s", s->flows[d->flow].name);
	print_kind(s, d, out);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (d->flags & flags[i].flag)
			fprintf(out, " %s", flags[i].name);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint32_t v;
		memcpy(&v, (const char *)d + numbers[i].at, sizeof(v));
		if (numbers[i].at == offsetof(struct desc, proto))
			continue;
		if (numbers[i].has ? (d->has & numbers[i].has) != 0 : v != 0 && v != ANY)
			print_number(out, numbers[i].name, v);
	}
	if (d->has & SACKOK)
		fprintf(out, " sackok");
	if (d->has & TS)
		fprintf(out, " ts %d %d", (int)d->ts_val, (int)d->ts_ecr);
	for (unsigned i = 0; i < d->n_sack; i++)
		fprintf(out, " sack %d %d", (int)d->sack[i][0], (int)d->sack[i][1]);
	if (d->has & FASTOPEN)
		fprintf(out, " fastopen%s", d->n_cookie > 0 ? " " : "");
	for (unsigned i = 0; i < d->n_cookie; i++)
		fprintf(out, "%02x", d->cookie[i]);
	fprintf(out, "%s%s\n", d->has & UNKNOWN ? " (another option)" : "",
		d->has & OTHERS ? " ..." : "");
}

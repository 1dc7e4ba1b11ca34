/* SPDX-License-Identifier: Apache-2.0 */
/* Lines to packets, and packets to lines. */
#include "script.h"

#include <stdlib.h>
#include <string.h>

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
};

static const char *word(const struct script *s, unsigned at)
{
	if (at >= s->n_words)
		fail(s, "the line ends too early");
	return s->words[at];
}

static void read_raw(const struct script *s, const char *hex, struct desc *d)
{
	for (; hex[0] && hex[1]; hex += 2) {
		char two[3] = {hex[0], hex[1], 0};
		if (d->n_raw == sizeof(d->raw))
			fail(s, "more than 40 bytes of options");
		d->raw[d->n_raw++] = (uint8_t)strtoul(two, NULL, 16);
	}
	d->has |= UNKNOWN;
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
		read_raw(s, word(s, at + 1), d);
		return 2;
	}
	return 0;
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

void desc_read(struct script *s, unsigned from, struct desc *d)
{
	*d = (struct desc){.proto = 6, .win = ANY, .tos = ANY, .ttl = ANY, .quoted_seq = ANY};
	for (unsigned at = from, n; at < s->n_words; at += n) {
		const char *w = s->words[at];

		n = 1;
		if (w[0] == '@') {
			while (d->flow < s->n_flows && strcmp(s->flows[d->flow].name, w + 1) != 0)
				d->flow++;
			if (d->flow == s->n_flows)
				fail(s, "no flow %s", w + 1);
		} else if (strcmp(w, "UDP") == 0) {
			d->proto = 17;
		} else if (strcmp(w, "ICMP") == 0) {
			d->proto = 1;
			d->type = number(s, word(s, at + 1));
			d->code = number(s, word(s, at + 2));
			n = 3;
		} else if (strcmp(w, "sackok") == 0) {
			d->has |= SACKOK;
		} else if (strcmp(w, "...") == 0) {
			d->has |= OTHERS;
		} else if (strcmp(w, "bad-checksum") == 0) {
			d->bad_checksum = true;
		} else if (!read_flag(w, d) && (n = read_option(s, at, d)) == 0) {
			fail(s, "%s is no flag, option or field", w);
		}
	}
}

/* ---- building ---- */

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v);
}

static uint8_t *put_option(uint8_t *p, unsigned kind, unsigned len)
{
	*p++ = (uint8_t)kind;
	*p++ = (uint8_t)len;
	return p;
}

static uint8_t *put_options(const struct flow *f, const struct desc *d, uint8_t *p)
{
	uint8_t *start = p;

	if (d->has & MSS)
		p = put16(put_option(p, 2, 4), d->mss);
	if (d->has & SACKOK)
		p = put_option(p, 4, 2);
	if (d->has & TS) {
		uint32_t base = d->flags & ACK ? f->host_ts : 0;
		p = put32(put32(put_option(p, 8, 10), d->ts_val), d->ts_ecr + base);
	}
	if (d->has & WSCALE) {
		p = put_option(p, 3, 3);
		*p++ = (uint8_t)d->wscale;
	}
	if (d->has & SACK)
		p = put_option(p, 5, 2 + 8 * d->n_sack);
	for (unsigned i = 0; i < d->n_sack; i++)
		p = put32(put32(p, f->host_isn + d->sack[i][0]), f->host_isn + d->sack[i][1]);
	memcpy(p, d->raw, d->n_raw);
	p += d->n_raw;
	while ((p - start) % 4 != 0)
		*p++ = 1;
	return p;
}

/* Payload of a stream: its first byte has sequence number 1. */
static uint8_t *put_payload(uint8_t *p, uint32_t at, uint32_t len)
{
	while (len-- > 0)
		*p++ = pattern(at++);
	return p;
}

static size_t build_tcp(const struct flow *f, const struct desc *d, uint8_t *p)
{
	uint8_t *start = p, *end;

	p = put16(put16(p, f->peer_port), f->host_port);
	p = put32(p, PEER_ISN + d->seq);
	p = put32(p, d->flags & ACK ? f->host_isn + d->ack : d->ack);
	p = put16(p, d->flags);
	p = put16(p, d->win == ANY ? 65535 : d->win);
	p = put16(put16(p, 0), d->urg);
	end = put_options(f, d, p);
	start[12] = (uint8_t)((end - start) / 4 << 4);
	return (size_t)(put_payload(end, d->seq - 1 + !!(d->flags & SYN), d->len) - start);
}

static size_t build_icmp(const struct script *s, const struct flow *f, const struct desc *d,
			 uint8_t *p)
{
	bool echo = d->type == 8 || d->type == 128 || d->type == 0 || d->type == 129;
	size_t head = s->ip == 4 ? 20 : 40, quote = f->last_len;

	put32(put32(p, d->type << 24 | d->code << 16), d->mtu);
	if (echo)
		return (size_t)(put_payload(p + 8, 0, d->len) - p);
	if (quote < head + 8)
		fail(s, "no packet was sent that could be quoted");
	quote = s->ip == 4 ? head + 8 : quote;
	memcpy(p + 8, f->last, quote);
	if (d->quoted_seq != ANY)
		put32(p + 8 + head + 4, f->host_isn + d->quoted_seq);
	return 8 + quote;
}

static uint8_t *put_ip(const struct script *s, const struct desc *d, uint8_t *p)
{
	memset(p, 0, 40);
	if (s->ip == 4) {
		p[0] = 0x45;
		p[1] = d->tos == ANY ? 0 : (uint8_t)d->tos;
		p[8] = d->ttl == ANY ? 64 : (uint8_t)d->ttl;
		p[9] = (uint8_t)d->proto;
		memcpy(p + 12, s->peer_addr.b + 12, 4);
		memcpy(p + 16, s->host_addr.b + 12, 4);
		return p + 20;
	}
	put16(p, 0x6000 | (d->tos == ANY ? 0 : d->tos) << 4);
	p[6] = (uint8_t)(d->proto == 1 ? 58 : d->proto);
	p[7] = d->ttl == ANY ? 64 : (uint8_t)d->ttl;
	memcpy(p + 8, s->peer_addr.b, 16);
	memcpy(p + 24, s->host_addr.b, 16);
	return p + 40;
}

size_t packet_build(struct script *s, const struct desc *d, uint8_t *packet)
{
	static const unsigned sum_at[] = {[1] = 2, [6] = 16, [17] = 6};
	struct flow *f = &s->flows[d->flow];
	uint8_t *p = put_ip(s, d, packet);
	uint16_t sum;
	size_t len;

	if (d->proto == 6) {
		len = build_tcp(f, d, p);
	} else if (d->proto == 17) {
		len = 8 + d->len;
		put16(put16(put16(put16(p, f->peer_port), f->host_port), (uint32_t)len), 0);
		put_payload(p + 8, 0, d->len);
	} else {
		len = build_icmp(s, f, d, p);
	}
	sum = checksum(s, false, d->proto, p, len);
	put16(p + sum_at[d->proto], d->bad_checksum ? sum ^ 0x5555u : sum);
	if (s->ip == 6) {
		put16(packet + 4, (uint32_t)len);
		return len + 40;
	}
	put16(packet + 2, (uint32_t)len + 20);
	put16(packet + 10, checksum(s, false, 0, packet, 20));
	return len + 20;
}

/* ---- printing ---- */

static void print_number(FILE *out, const char *name, uint32_t v)
{
	if (v == ANY)
		fprintf(out, " %s *", name);
	else
		fprintf(out, " %s %d", name, (int)v);
}

void desc_print(const struct script *s, const struct desc *d, FILE *out)
{
	fprintf(out, ">");
	if (d->flow > 0)
		fprintf(out, " @%s", s->flows[d->flow].name);
	if (d->proto == 17)
		fprintf(out, " UDP");
	if (d->proto == 1)
		fprintf(out, " ICMP %u %u", d->type, d->code);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (d->flags & flags[i].flag)
			fprintf(out, " %s", flags[i].name);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint32_t v;
		memcpy(&v, (const char *)d + numbers[i].at, sizeof(v));
		if (numbers[i].has ? (d->has & numbers[i].has) != 0 : v != 0 && v != ANY)
			print_number(out, numbers[i].name, v);
	}
	if (d->has & SACKOK)
		fprintf(out, " sackok");
	if (d->has & TS)
		fprintf(out, " ts %d %d", (int)d->ts_val, (int)d->ts_ecr);
	for (unsigned i = 0; i < d->n_sack; i++)
		fprintf(out, " sack %d %d", (int)d->sack[i][0], (int)d->sack[i][1]);
	fprintf(out, "%s%s\n", d->has & (FASTOPEN | UNKNOWN) ? " (another option)" : "",
		d->has & OTHERS ? " ..." : "");
}

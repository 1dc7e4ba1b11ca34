/* SPDX-License-Identifier: Apache-2.0 */
#include "sysctl.h"

#include <errno.h>
#include <limits.h>

#define HZ 250 /* of a usual kernel; bounds what is kept in jiffies */

enum kind {
	SIGNED,	  /* proc_dointvec: takes one number and the blanks behind it */
	UNSIGNED, /* proc_dou8vec_minmax and others: takes all, looks at the first number */
	START,	  /* SIGNED, and not above the ports to choose from (ipv4_privileged_ports) */
	RANGE,
	PORTS,
	MODULE, /* of congestion control, by name (tcp(7)) */
};

enum type {
	U8,
	U16,
	S32,
	MS, /* read and written in ms, kept in ns */
};

struct knob {
	const char *name;
	uint8_t kind, type;
	bool of_net; /* `at` is in struct bt_net_conf, else in struct bt_port_conf */
	uint8_t at;  /* of kind RANGE and PORTS: not used */
	long min, max;
};

#define NET(field)  true, offsetof(struct bt_net_conf, field)
#define PORT(field) false, offsetof(struct bt_port_conf, field)

static const struct knob knobs[] = {
	{"net/ipv4/ip_local_port_range", RANGE, U16, PORT(range_lo), 1, 65535},
	{"net/ipv4/ip_local_reserved_ports", PORTS, U16, PORT(reserved), 0, 65535},
	{"net/ipv4/ip_unprivileged_port_start", START, U16, PORT(unprivileged_start), 0, 65535},
	{"net/ipv4/ip_autobind_reuse", UNSIGNED, U8, PORT(autobind_reuse), 0, 1},
	{"net/ipv4/ip_nonlocal_bind", UNSIGNED, U8, NET(nonlocal_bind4), 0, 255},
	{"net/ipv4/tcp_fin_timeout", SIGNED, S32, NET(fin_timeout_s), -INT_MAX / HZ, INT_MAX / HZ},
	{"net/ipv4/tcp_tw_reuse", UNSIGNED, U8, PORT(tw_reuse), 0, 2},
	{"net/ipv4/tcp_tw_reuse_delay", UNSIGNED, MS, PORT(tw_reuse_delay_ns), 1, 60000},
	{"net/ipv4/tcp_congestion_control", MODULE, U8, NET(congestion), 0, 2},
	{"net/ipv4/tcp_max_tw_buckets", SIGNED, S32, NET(max_tw_buckets), INT_MIN, INT_MAX},
	{"net/ipv6/ip_nonlocal_bind", UNSIGNED, U8, NET(nonlocal_bind6), 0, 255},
	{"net/ipv6/bindv6only", UNSIGNED, U8, NET(bindv6only), 0, 255},
	{"net/core/somaxconn", SIGNED, S32, NET(somaxconn), 0, INT_MAX},
	/* berth's own: how long TIME_WAIT lasts, which Linux does not let one choose. */
	{"net/berth/time_wait_ms", UNSIGNED, MS, PORT(time_wait_ns), 1, 86400000},
};

/* In the order of enum berth_congestion (include/berth/berth.h). */
static const char *const modules[] = {"cubic", "reno", "bbr"};

#define N_KNOBS (sizeof(knobs) / sizeof(knobs[0]))

const char *bt_sysctl_name(unsigned i)
{
	return i < N_KNOBS ? knobs[i].name : NULL;
}

static const struct knob *find(const char *name)
{
	for (size_t i = 0; i < N_KNOBS; i++)
		if (strcmp(knobs[i].name, name) == 0)
			return &knobs[i];
	return NULL;
}

/* ---- values ---- */

#define NS_PER_MS 1000000u

static long value_of(enum type type, const void *field)
{
	switch (type) {
	case U8:
		return *(const uint8_t *)field;
	case U16:
		return *(const uint16_t *)field;
	case S32:
		return *(const int32_t *)field;
	case MS:
		break;
	}
	return (long)(*(const uint64_t *)field / NS_PER_MS);
}

/* v is within the limits of the knob, which are within those of the type. */
static void set_value(enum type type, void *field, long v)
{
	switch (type) {
	case U8:
		*(uint8_t *)field = (uint8_t)v;
		break;
	case U16:
		*(uint16_t *)field = (uint16_t)v;
		break;
	case S32:
		*(int32_t *)field = (int32_t)v;
		break;
	case MS:
		*(uint64_t *)field = (uint64_t)v * NS_PER_MS;
		break;
	}
}

/* ---- reading ---- */

static bool reserved(const struct bt_port_conf *p, uint32_t port)
{
	return port < 65536 && p->reserved[port / 64] >> (port % 64) & 1;
}

struct writer {
	char *at, *end; /* at > end: it did not fit */
};

static void put(struct writer *w, char c)
{
	if (w->at < w->end)
		*w->at = c;
	w->at++;
}

static void put_number(struct writer *w, long v)
{
	char digits[20];
	unsigned long u = v < 0 ? 0 - (unsigned long)v : (unsigned long)v;
	int n = 0;

	if (v < 0)
		put(w, '-');
	do
		digits[n++] = (char)('0' + u % 10);
	while ((u /= 10) > 0);
	while (n > 0)
		put(w, digits[--n]);
}

static void put_ports(struct writer *w, const struct bt_port_conf *p)
{
	bool first = true;

	for (uint32_t port = 0; port < 65536; port++) {
		uint32_t last = port;

		if (!reserved(p, port))
			continue;
		while (reserved(p, last + 1))
			last++;
		if (!first)
			put(w, ',');
		first = false;
		put_number(w, port);
		if (last > port) {
			put(w, '-');
			put_number(w, last);
		}
		port = last;
	}
}

int bt_sysctl_get(const struct bt_net *net, uint16_t host, const char *name, char *text,
		  size_t room)
{
	const struct knob *k = find(name);
	const struct bt_port_conf *p = bt_net_port_conf(net, host);
	const struct bt_net_conf *c = bt_net_conf((struct bt_net *)(uintptr_t)net, host);
	struct writer w = {text, text + room};

	if (k == NULL || p == NULL || c == NULL)
		return -ENOENT;
	if (k->kind == MODULE) {
		for (const char *s = modules[c->congestion]; *s != '\0'; s++)
			put(&w, *s);
	} else if (k->kind == PORTS) {
		put_ports(&w, p);
	} else if (k->kind == RANGE) {
		put_number(&w, p->range_lo);
		put(&w, '\t');
		put_number(&w, p->range_hi);
	} else {
		const char *conf = k->of_net ? (const char *)c : (const char *)p;
		put_number(&w, value_of((enum type)k->type, conf + k->at));
	}
	put(&w, '\n');
	put(&w, '\0');
	return w.at > w.end ? -ENOSPC : (int)(w.at - text) - 1;
}

/* ---- writing ---- */

struct reader {
	const char *at, *end;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && blank(*r->at))
		r->at++;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* A number as C writes it, which one of `ends`, or the end, must follow (proc_get_long). */
static bool number(struct reader *r, const char *ends, long *v)
{
	bool minus = r->at < r->end && *r->at == '-';
	long long n = 0;
	int base = 10, digits = 0;

	r->at += minus;
	if (r->end - r->at > 2 && r->at[0] == '0' && (r->at[1] | 0x20) == 'x' &&
	    digit(r->at[2]) < 16) {
		base = 16;
		r->at += 2;
	} else if (r->at < r->end && *r->at == '0') {
		base = 8;
	}
	for (; r->at < r->end && digit(*r->at) < base; r->at++, digits++) {
		n = n * base + digit(*r->at);
		if (n > (long long)INT_MAX + 1)
			return false;
	}
	bool ended = r->at == r->end;
	for (; !ended && *ends != '\0'; ends++)
		ended = *r->at == *ends;
	if (digits == 0 || (!minus && n > INT_MAX) || !ended)
		return false;
	*v = (long)(minus ? -n : n);
	return true;
}

static const char blanks[] = " \t\n";

static int set_range(struct bt_port_conf *p, const struct knob *k, struct reader *r)
{
	long v[2] = {p->range_lo, p->range_hi};

	for (int i = 0; i < 2; i++) {
		skip_blanks(r);
		if (i == 1 && r->at == r->end)
			break;
		if (!number(r, blanks, &v[i]) || v[i] < k->min || v[i] > k->max)
			return -EINVAL;
	}
	if (v[1] < v[0] || v[0] < p->unprivileged_start)
		return -EINVAL;
	p->range_lo = (uint16_t)v[0];
	p->range_hi = (uint16_t)v[1];
	skip_blanks(r);
	return 0;
}

static int set_ports(struct bt_port_conf *p, const struct knob *k, struct reader *r)
{
	uint64_t bits[1024] = {0};

	while (r->at < r->end) {
		long lo, hi;

		if (r->end - r->at == 1 && *r->at == '\n') {
			r->at++;
			break;
		}
		if (!number(r, "-,\n", &lo) || lo < k->min || lo > k->max)
			return -EINVAL;
		hi = lo;
		if (r->at < r->end && *r->at == '-') {
			r->at++;
			if (!number(r, ",\n", &hi) || hi < lo || hi > k->max)
				return -EINVAL;
		}
		if (r->at < r->end)
			r->at++;
		for (long port = lo; port <= hi; port++)
			bits[port / 64] |= (uint64_t)1 << (port % 64);
	}
	memcpy(p->reserved, bits, sizeof(bits));
	return 0;
}

/* proc_tcp_congestion_control: a word; -ENOENT: no module has that name. */
static int set_module(struct bt_net_conf *c, struct reader *r)
{
	const char *word = (skip_blanks(r), r->at);

	while (r->at < r->end && !blank(*r->at) && *r->at != '\0')
		r->at++;
	for (uint8_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		if (strlen(modules[i]) == (size_t)(r->at - word) &&
		    memcmp(modules[i], word, (size_t)(r->at - word)) == 0) {
			c->congestion = i;
			r->at = r->end;
			return 0;
		}
	return -ENOENT;
}

int bt_sysctl_set(struct bt_net *net, uint16_t host, const char *name, const char *text, size_t len)
{
	const struct knob *k = find(name);
	struct bt_port_conf *p = bt_port_host_conf(bt_net_ports(net), host);
	struct bt_net_conf *c = bt_net_conf(net, host);
	struct reader r = {text, text + len};
	long v = 0;
	int e = 0;

	if (k == NULL || p == NULL || c == NULL)
		return -ENOENT;
	if (len == 0)
		return 0;
	if (k->kind == MODULE) {
		e = set_module(c, &r);
	} else if (k->kind == RANGE) {
		e = set_range(p, k, &r);
	} else if (k->kind == PORTS) {
		e = set_ports(p, k, &r);
	} else {
		skip_blanks(&r);
		if (!number(&r, blanks, &v) || v < k->min || v > k->max ||
		    (k->kind == START && v > p->range_lo))
			return -EINVAL;
		set_value((enum type)k->type, (k->of_net ? (char *)c : (char *)p) + k->at, v);
		skip_blanks(&r);
		if (k->kind == UNSIGNED)
			r.at = r.end;
	}
	return e < 0 ? e : (int)(r.at - text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sysctl.h"

#include <errno.h>
#include <limits.h>

#define HZ 250 /* of a usual kernel; bounds what is kept in jiffies */

enum kind {
	SIGNED,	  /* proc_dointvec: takes one number and the blanks behind it */
	UNSIGNED, /* proc_dou8vec_minmax and others: takes all, looks at the first number */
	RANGE,
	PORTS,
};

enum field {
	PORT_RANGE,
	RESERVED,
	UNPRIVILEGED,
	TW_REUSE,
	TW_REUSE_DELAY,
	TIME_WAIT,
	FIN_TIMEOUT,
	MAX_TW,
	SOMAXCONN,
	NONLOCAL4,
	NONLOCAL6,
	AUTOBIND_REUSE,
	BINDV6ONLY,
};

struct knob {
	const char *name;
	uint8_t kind, field;
	long min, max;
};

static const struct knob knobs[] = {
	{"net/ipv4/ip_local_port_range", RANGE, PORT_RANGE, 1, 65535},
	{"net/ipv4/ip_local_reserved_ports", PORTS, RESERVED, 0, 65535},
	{"net/ipv4/ip_unprivileged_port_start", SIGNED, UNPRIVILEGED, 0, 65535},
	{"net/ipv4/ip_autobind_reuse", UNSIGNED, AUTOBIND_REUSE, 0, 1},
	{"net/ipv4/ip_nonlocal_bind", UNSIGNED, NONLOCAL4, 0, 255},
	{"net/ipv4/tcp_fin_timeout", SIGNED, FIN_TIMEOUT, -INT_MAX / HZ, INT_MAX / HZ},
	{"net/ipv4/tcp_tw_reuse", UNSIGNED, TW_REUSE, 0, 2},
	{"net/ipv4/tcp_tw_reuse_delay", UNSIGNED, TW_REUSE_DELAY, 1, 60000},
	{"net/ipv4/tcp_max_tw_buckets", SIGNED, MAX_TW, INT_MIN, INT_MAX},
	{"net/ipv6/ip_nonlocal_bind", UNSIGNED, NONLOCAL6, 0, 255},
	{"net/ipv6/bindv6only", UNSIGNED, BINDV6ONLY, 0, 255},
	{"net/core/somaxconn", SIGNED, SOMAXCONN, 0, INT_MAX},
	/* berth's own: how long TIME_WAIT lasts, which Linux does not let one choose. */
	{"net/berth/time_wait_ms", UNSIGNED, TIME_WAIT, 1, 86400000},
};

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

static long value_of(const struct bt_port_conf *p, const struct bt_net_conf *c, enum field field)
{
	switch (field) {
	case UNPRIVILEGED:
		return p->unprivileged_start;
	case TW_REUSE:
		return p->tw_reuse;
	case TW_REUSE_DELAY:
		return (long)(p->tw_reuse_delay_ns / 1000000u);
	case TIME_WAIT:
		return (long)(p->time_wait_ns / 1000000u);
	case FIN_TIMEOUT:
		return c->fin_timeout_s;
	case MAX_TW:
		return c->max_tw_buckets;
	case SOMAXCONN:
		return c->somaxconn;
	case NONLOCAL4:
		return c->nonlocal_bind4;
	case NONLOCAL6:
		return c->nonlocal_bind6;
	case AUTOBIND_REUSE:
		return p->autobind_reuse;
	case BINDV6ONLY:
		return c->bindv6only;
	case PORT_RANGE:
	case RESERVED:
		break;
	}
	return 0;
}

static int set_value(struct bt_port_conf *p, struct bt_net_conf *c, enum field field, long v)
{
	switch (field) {
	case UNPRIVILEGED:
		if (v > p->range_lo) /* ipv4_privileged_ports */
			return -EINVAL;
		p->unprivileged_start = (uint16_t)v;
		break;
	case TW_REUSE:
		p->tw_reuse = (uint8_t)v;
		break;
	case TW_REUSE_DELAY:
		p->tw_reuse_delay_ns = (uint64_t)v * 1000000u;
		break;
	case TIME_WAIT:
		p->time_wait_ns = (uint64_t)v * 1000000u;
		break;
	case FIN_TIMEOUT:
		c->fin_timeout_s = (int32_t)v;
		break;
	case MAX_TW:
		c->max_tw_buckets = (int32_t)v;
		break;
	case SOMAXCONN:
		c->somaxconn = (int32_t)v;
		break;
	case NONLOCAL4:
		c->nonlocal_bind4 = (uint8_t)v;
		break;
	case NONLOCAL6:
		c->nonlocal_bind6 = (uint8_t)v;
		break;
	case AUTOBIND_REUSE:
		p->autobind_reuse = (uint8_t)v;
		break;
	case BINDV6ONLY:
		c->bindv6only = (uint8_t)v;
		break;
	case PORT_RANGE:
	case RESERVED:
		return -EINVAL;
	}
	return 0;
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
	if (k->kind == PORTS) {
		put_ports(&w, p);
	} else if (k->kind == RANGE) {
		put_number(&w, p->range_lo);
		put(&w, '\t');
		put_number(&w, p->range_hi);
	} else {
		put_number(&w, value_of(p, c, (enum field)k->field));
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

int bt_sysctl_set(struct bt_net *net, uint16_t host, const char *name, const char *text, size_t len)
{
	const struct knob *k = find(name);
	struct bt_port_conf *p = bt_port_host_conf(bt_net_ports(net), host);
	struct bt_net_conf *c = bt_net_conf(net, host);
	struct reader r = {text, text + len};
	long v = 0;
	int e;

	if (k == NULL || p == NULL || c == NULL)
		return -ENOENT;
	if (len == 0)
		return 0;
	if (k->kind == RANGE) {
		e = set_range(p, k, &r);
	} else if (k->kind == PORTS) {
		e = set_ports(p, k, &r);
	} else {
		skip_blanks(&r);
		if (!number(&r, blanks, &v) || v < k->min || v > k->max)
			return -EINVAL;
		e = set_value(p, c, (enum field)k->field, v);
		skip_blanks(&r);
		if (k->kind == UNSIGNED)
			r.at = r.end;
	}
	return e < 0 ? e : (int)(r.at - text);
}

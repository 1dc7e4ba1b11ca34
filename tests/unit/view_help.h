/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up socket table for the view's tests. */
#ifndef BERTH_TESTS_VIEW_HELP_H
#define BERTH_TESTS_VIEW_HELP_H

#include "nl.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/mman.h>

static inline void set_addr(uint8_t out[16], const char *text)
{
	memset(out, 0, 16);
	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, out);
		return;
	}
	out[10] = out[11] = 0xff;
	inet_pton(AF_INET, text, out + 12);
}

static inline void add_addr(struct bt_host_row *h, const char *text, uint8_t bits, uint8_t dev)
{
	struct bt_host_addr *a = &h->addrs[h->n_addrs++];
	set_addr(a->addr, text);
	a->bits = bits;
	a->family = strchr(text, ':') ? 6 : 4;
	a->dev = dev;
}

struct made {
	uint8_t proto, family, state;
	const char *laddr;
	uint16_t lport;
	const char *raddr;
	uint16_t rport;
	uint16_t host;
	uint8_t flags;
};

static inline void add_row(struct bt_table *t, const struct made *m)
{
	struct bt_row *r = bt_table_row(t, t->high_water++);
	r->proto = m->proto;
	r->family = m->family;
	r->state = m->state;
	r->host = m->host;
	r->flags = m->flags;
	r->gen = 7;
	r->uid = 1000;
	r->peer = UINT32_MAX;
	r->backlog = m->state == BT_ROW_LISTEN ? 128 : 0;
	set_addr(r->laddr, m->laddr);
	set_addr(r->raddr, m->raddr);
	r->lport = m->lport;
	r->rport = m->rport;
	if (m->state == BT_ROW_TIME_WAIT)
		r->timer_s = 1060;
}

/* Host 0 has lo, eth0 and eth1; host 1 has what must not be seen. */
static inline struct bt_table *make_table(const struct made *rows, size_t n)
{
	struct bt_table *t = mmap(NULL, BT_TABLE_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t == MAP_FAILED)
		abort();
	t->rows_offset = BT_ROWS_OFFSET;
	t->capacity = BT_MAX_ROWS;
	t->n_hosts = 2;
	for (uint32_t i = 0; i < 2; i++) {
		t->hosts[i].id = i + 1;
		add_addr(&t->hosts[i], "127.0.0.1", 8, 1);
		add_addr(&t->hosts[i], "::1", 128, 1);
	}
	add_addr(&t->hosts[0], "192.168.1.100", 24, 2);
	add_addr(&t->hosts[0], "192.168.1.101", 24, 2);
	add_addr(&t->hosts[0], "10.0.0.50", 8, 3);
	add_addr(&t->hosts[0], "fd00::1", 64, 2);
	add_addr(&t->hosts[1], "172.16.0.1", 32, 2);
	for (size_t i = 0; i < n; i++)
		add_row(t, &rows[i]);
	return t;
}

static const struct made view_rows[] = {
	{6, 4, BT_ROW_ESTABLISHED, "192.168.1.100", 80, "10.0.0.50", 40000, 0, BT_ROWF_CHILD},
	{6, 4, BT_ROW_LISTEN, "0.0.0.0", 80, "0.0.0.0", 0, 0, 0},
	{6, 4, BT_ROW_TIME_WAIT, "127.0.0.1", 41000, "127.0.0.1", 80, 0, 0},
	{6, 4, BT_ROW_CLOSE, "127.0.0.1", 5000, "0.0.0.0", 0, 0, 0}, /* only bound */
	{6, 6, BT_ROW_LISTEN, "::", 443, "::", 0, 0, 0},
	{6, 6, BT_ROW_ESTABLISHED, "192.168.1.100", 443, "10.0.0.50", 40001, 0, 0}, /* mapped */
	{17, 4, BT_ROW_CLOSE, "0.0.0.0", 53, "0.0.0.0", 0, 0, 0},
	{17, 6, BT_ROW_ESTABLISHED, "::1", 53, "::1", 5353, 0, 0},
	{17, 4, BT_ROW_CLOSE, "10.0.0.50", 54, "0.0.0.0", 0, 0, BT_ROWF_ALIAS},
	{6, 4, BT_ROW_LISTEN, "0.0.0.0", 81, "0.0.0.0", 0, 1, 0}, /* another host's */
};

static struct bt_table *table;

static inline int set_up(void **state)
{
	(void)state;
	table = make_table(view_rows, sizeof(view_rows) / sizeof(view_rows[0]));
	return 0;
}

static inline void look(struct bt_view *v, const struct bt_table *t, uint16_t host)
{
	bt_view_of(v, t, 1, host);
	v->kernel = false;
	v->now_ms = 1000000;
}

/* Whether every datagram of the answers is what netlink(7) says, for the request with this number.
 */
static inline bool well_formed(const struct bt_nl *n)
{
	size_t count;
	const struct bt_nl_mark *m = bt_nl_marks(n, &count);
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		struct nlmsghdr h;
		if (m[i].start != at || m[i].end <= m[i].start || m[i].end > n->out.n)
			return false;
		while (at < m[i].end) {
			if (m[i].end - at < sizeof(h))
				return false;
			memcpy(&h, n->out.p + at, sizeof(h));
			if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > m[i].end - at ||
			    h.nlmsg_len % 4 != 0 || h.nlmsg_pid != n->port)
				return false;
			at += h.nlmsg_len;
		}
	}
	return at == n->out.n;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/tcp and its kin, as net/ipv4/tcp_ipv4.c and the others print them. */
#include "proc.h"

/* Widths that the kernel pads lines to (the new line not counted). */
enum { TCP_WIDTH = 149, UDP_WIDTH = 127 };

static void put_end4(struct bt_buf *b, const uint8_t addr[16], uint16_t port)
{
	uint32_t a;
	memcpy(&a, addr + 12, sizeof(a));
	bt_buf_fmt(b, "%08X:%04X ", a, port);
}

static void put_end6(struct bt_buf *b, const uint8_t addr[16], uint16_t port)
{
	uint32_t a[4];
	memcpy(a, addr, sizeof(a));
	bt_buf_fmt(b, "%08X%08X%08X%08X:%04X ", a[0], a[1], a[2], a[3], port);
}

/* What stands for the kernel's address of the socket: told as a hash to users, so any number that
 * is a socket's own will do. */
static unsigned long long pointer(const struct bt_sock *s)
{
	return (unsigned long long)s->row.gen << 32 | (s->slot + 1u);
}

static void put_ends(struct bt_buf *b, const struct bt_row *r)
{
	if (r->family == 6) {
		put_end6(b, r->laddr, r->lport);
		put_end6(b, r->raddr, r->rport);
	} else {
		put_end4(b, r->laddr, r->lport);
		put_end4(b, r->raddr, r->rport);
	}
}

static void put_time_wait(const struct bt_view *v, struct bt_buf *b, const struct bt_sock *s)
{
	uint64_t ends = (uint64_t)s->row.timer_s * 1000u;
	uint64_t left = ends > v->now_ms ? (ends - v->now_ms) / 10 : 0; /* in USER_HZ */
	bt_buf_fmt(b, "%02X %08X:%08X %02X:%08llX %08X %5d %8d %d %d %016llx", s->row.state, 0, 0,
		   3, (unsigned long long)left, 0, 0, 0, 0, 3, pointer(s));
}

static void put_tcp(const struct bt_view *v, struct bt_buf *b, const struct bt_sock *s)
{
	const struct bt_row *r = &s->row;
	bool listens = r->state == BT_ROW_LISTEN;
	put_ends(b, r);
	if (r->state == BT_ROW_TIME_WAIT) {
		put_time_wait(v, b, s);
		return;
	}
	bt_buf_fmt(b, "%02X %08X:%08X %02X:%08lX %08X %5u %8d %lu %d %016llx %lu %lu %u %u %d",
		   r->state, 0, s->recvq, 0, 0ul, 0, r->uid, 0, (unsigned long)s->ino, 1,
		   pointer(s), listens ? 100ul : 20ul, 0ul, 0, 10, listens ? 0 : -1);
}

static void tcp(const struct bt_view *v, struct bt_buf *b, uint8_t family)
{
	struct bt_snap s;
	unsigned shown = 0;
	/* A socket that is only bound is in none of the kernel's lists for this file. */
	if (!bt_snap_take(v, BT_PROTO_TCP, family, BT_ALL_STATES & ~(1u << BT_ROW_CLOSE), &s)) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		size_t start = b->n;
		bt_buf_fmt(b, "%4u: ", shown++);
		put_tcp(v, b, &s.list[i]);
		bt_buf_end_line(b, start, family == 4 ? TCP_WIDTH : 0);
	}
	bt_snap_done(&s);
}

#define REST_OF_HEAD " st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
#define HEAD6                                                                                      \
	"  sl  local_address                         remote_address                       "        \
	" st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"

void bt_proc_tcp(const struct bt_view *v, struct bt_buf *b)
{
	size_t start = b->n;
	bt_buf_str(b, "  sl  local_address rem_address  " REST_OF_HEAD);
	bt_buf_end_line(b, start, TCP_WIDTH);
	tcp(v, b, 4);
}

void bt_proc_tcp6(const struct bt_view *v, struct bt_buf *b)
{
	bt_buf_str(b, HEAD6 "\n");
	tcp(v, b, 6);
}

static void udp(const struct bt_view *v, struct bt_buf *b, uint8_t family)
{
	struct bt_snap s;
	if (!bt_snap_take(v, BT_PROTO_UDP, family, BT_ALL_STATES, &s)) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		const struct bt_row *r = &s.list[i].row;
		size_t start = b->n;
		bt_buf_fmt(b, "%5u: ", r->lport);
		put_ends(b, r);
		bt_buf_fmt(b, "%02X %08X:%08X %02X:%08lX %08X %5u %8d %lu %d %016llx %u", r->state,
			   0, s.list[i].recvq, 0, 0ul, 0, r->uid, 0, (unsigned long)s.list[i].ino,
			   2, pointer(&s.list[i]), r->drops);
		bt_buf_end_line(b, start, family == 4 ? UDP_WIDTH : 0);
	}
	bt_snap_done(&s);
}

void bt_proc_udp(const struct bt_view *v, struct bt_buf *b)
{
	size_t start = b->n;
	bt_buf_str(b, "   sl  local_address rem_address  " REST_OF_HEAD " ref pointer drops");
	bt_buf_end_line(b, start, UDP_WIDTH);
	udp(v, b, 4);
}

void bt_proc_udp6(const struct bt_view *v, struct bt_buf *b)
{
	bt_buf_str(b, HEAD6 " ref pointer drops\n");
	udp(v, b, 6);
}

/* ---- sockstat ---- */

struct count {
	unsigned tcp[2], udp[2], orphan, tw;
};

static void count(const struct bt_view *v, struct count *c)
{
	struct bt_row r;
	*c = (struct count){0};
	uint32_t end = v->known ? bt_rows_end(v->table) : 0;
	for (uint32_t slot = 0; slot < end; slot++) {
		if (!bt_row_read(v->table, slot, &r) || r.host != v->host || !bt_row_listed(&r))
			continue;
		if (r.proto == BT_PROTO_UDP)
			c->udp[r.family == 6]++;
		else if (r.state == BT_ROW_TIME_WAIT)
			c->tw++;
		else if (r.flags & BT_ROWF_ORPHAN)
			c->orphan++;
		else
			c->tcp[r.family == 6]++;
	}
}

void bt_proc_sockstat(const struct bt_view *v, struct bt_buf *b)
{
	struct count c;
	count(v, &c);
	unsigned used = c.tcp[0] + c.tcp[1] + c.udp[0] + c.udp[1];
	bt_buf_fmt(b, "sockets: used %u\n", used);
	bt_buf_fmt(b, "TCP: inuse %u orphan %u tw %u alloc %u mem %u\n", c.tcp[0], c.orphan, c.tw,
		   c.tcp[0] + c.tcp[1] + c.orphan, 0);
	bt_buf_fmt(b, "UDP: inuse %u mem %u\n", c.udp[0], 0);
	bt_buf_str(b, "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n");
}

void bt_proc_sockstat6(const struct bt_view *v, struct bt_buf *b)
{
	struct count c;
	count(v, &c);
	bt_buf_fmt(b, "TCP6: inuse %u\nUDP6: inuse %u\n", c.tcp[1], c.udp[1]);
	bt_buf_str(b, "UDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n");
}

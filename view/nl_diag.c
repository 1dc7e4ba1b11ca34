/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NETLINK_SOCK_DIAG (sock_diag(7)): what `ss` asks. TCP and UDP are the host's. Of the other
 * families a host has nothing to list: the machine's AF_UNIX sockets, of which some are its own
 * sockets in the kernel's eyes, are not shown.
 */
#include "bytecode.h"
#include "nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

/* lib/port/port.h's bit BT_V6ONLY of a row's options */
enum { OPT_V6ONLY = 1 << 2 };
enum { STATE_BOUND_INACTIVE = 13, TIMER_TIME_WAIT = 3 };

struct query {
	struct inet_diag_req_v2 r;
	uint8_t proto;	     /* 6, 17 */
	const uint8_t *code; /* NULL: no filter */
	size_t code_len;
};

static void put_addr(const struct bt_row *r, const uint8_t addr[16], __be32 out[4])
{
	memset(out, 0, 16);
	if (r->family == 6)
		memcpy(out, addr, 16);
	else
		memcpy(out, addr + 12, 4);
}

static uint8_t state_of(const struct bt_row *r)
{
	return r->proto == BT_PROTO_TCP && r->state == BT_ROW_CLOSE ? STATE_BOUND_INACTIVE
								    : r->state;
}

static void fill_id(const struct bt_sock *s, struct inet_diag_sockid *id)
{
	const struct bt_row *r = &s->row;
	id->idiag_sport = htons(r->lport);
	id->idiag_dport = htons(r->rport);
	put_addr(r, r->laddr, id->idiag_src);
	put_addr(r, r->raddr, id->idiag_dst);
	id->idiag_if = r->dev;
	id->idiag_cookie[0] = s->slot + 1;
	id->idiag_cookie[1] = r->gen;
}

static bool asks(const struct query *q, unsigned attr)
{
	return q->r.idiag_ext & 1u << (attr - 1);
}

static void put_attrs(struct bt_nl *n, const struct bt_view *v, const struct query *q,
		      const struct bt_sock *s)
{
	char congestion[16] = "cubic";
	const struct bt_row *r = &s->row;
	bool listens = r->state == BT_ROW_LISTEN, tcp = r->proto == BT_PROTO_TCP;
	uint32_t waits = listens ? 0 : s->recvq;
	bt_nl_put_u8(n, INET_DIAG_SHUTDOWN, 0);
	if (asks(q, INET_DIAG_TOS))
		bt_nl_put_u8(n, INET_DIAG_TOS, 0);
	if (r->family == 6) {
		if (asks(q, INET_DIAG_TCLASS))
			bt_nl_put_u8(n, INET_DIAG_TCLASS, 0);
		if (listens || r->state == BT_ROW_CLOSE)
			bt_nl_put_u8(n, INET_DIAG_SKV6ONLY, (r->opts & OPT_V6ONLY) != 0);
	}
	if (asks(q, INET_DIAG_MEMINFO)) {
		struct inet_diag_meminfo mem = {.idiag_rmem = waits};
		bt_nl_put(n, INET_DIAG_MEMINFO, &mem, sizeof(mem));
	}
	if (asks(q, INET_DIAG_SKMEMINFO)) {
		uint32_t mem[SK_MEMINFO_VARS] = {[SK_MEMINFO_RMEM_ALLOC] = waits,
						 [SK_MEMINFO_RCVBUF] = 212992,
						 [SK_MEMINFO_SNDBUF] = 212992,
						 [SK_MEMINFO_DROPS] = r->drops};
		bt_nl_put(n, INET_DIAG_SKMEMINFO, mem, sizeof(mem));
	}
	if (tcp && asks(q, INET_DIAG_INFO)) {
		struct tcp_info info = {.tcpi_state = r->state};
		if (r->flags & BT_ROWF_WIRE && v->tcp_info != NULL)
			v->tcp_info(s->slot, r, &info, sizeof(info), congestion);
		bt_nl_put(n, INET_DIAG_INFO, &info, sizeof(info));
	}
	if (tcp && asks(q, INET_DIAG_CONG))
		bt_nl_put(n, INET_DIAG_CONG, congestion, (unsigned)strlen(congestion) + 1);
}

static void put_socket(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *req,
		       const struct query *q, const struct bt_sock *s, unsigned flags)
{
	const struct bt_row *r = &s->row;
	bool waits = r->state == BT_ROW_TIME_WAIT;
	struct inet_diag_msg m = {
		.idiag_family = r->family == 6 ? AF_INET6 : AF_INET,
		.idiag_state = state_of(r),
		.idiag_rqueue = s->recvq,
		.idiag_wqueue = r->state == BT_ROW_LISTEN ? r->backlog : 0,
		.idiag_uid = waits ? 0 : r->uid,
		.idiag_inode = s->ino,
	};
	fill_id(s, &m.id);
	if (waits) {
		uint64_t ends = (uint64_t)r->timer_s * 1000u;
		m.idiag_timer = TIMER_TIME_WAIT;
		m.idiag_expires = ends > v->now_ms ? (uint32_t)(ends - v->now_ms) : 0;
	}
	size_t begun = bt_nl_begin(n, req, SOCK_DIAG_BY_FAMILY, flags, &m, sizeof(m));
	if (!waits)
		put_attrs(n, v, q, s);
	bt_nl_end(n, begun);
}

static bool passes(const struct query *q, const struct bt_sock *s)
{
	const struct bt_row *r = &s->row;
	bool v6 = r->family == 6;
	if (!(q->r.idiag_states & 1u << state_of(r)))
		return false;
	if (q->r.id.idiag_sport && q->r.id.idiag_sport != htons(r->lport))
		return false;
	if (q->r.id.idiag_dport && q->r.id.idiag_dport != htons(r->rport))
		return false;
	if (!q->code)
		return true;
	struct bt_bc_socket e = {
		.family = v6 ? AF_INET6 : AF_INET,
		.src = r->laddr + (v6 ? 0 : 12),
		.dst = r->raddr + (v6 ? 0 : 12),
		.sport = r->lport,
		.dport = r->rport,
		.dev = r->dev,
		.bound = r->flags & BT_ROWF_CHILD || r->state == BT_ROW_LISTEN ||
			 r->state == BT_ROW_CLOSE,
	};
	return bt_bc_match(q->code, q->code_len, &e);
}

/* The rows that can be meant; what a state is called is passes' matter. */
static bool take(const struct bt_view *v, const struct query *q, uint32_t states,
		 struct bt_snap *snap)
{
	uint32_t rows = states & BT_ALL_STATES;
	if (q->proto == BT_PROTO_TCP) {
		rows &= ~(1u << BT_ROW_CLOSE);
		if (states & 1u << STATE_BOUND_INACTIVE)
			rows |= 1u << BT_ROW_CLOSE;
	}
	return bt_snap_take(v, q->proto, q->r.sdiag_family == AF_INET6 ? 6 : 4, rows, snap);
}

static int dump(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *req,
		const struct query *q)
{
	struct bt_snap snap;
	if (!take(v, q, q->r.idiag_states, &snap))
		return -ENOMEM;
	for (size_t i = 0; i < snap.n; i++) {
		if (passes(q, &snap.list[i]))
			put_socket(n, v, req, q, &snap.list[i], NLM_F_MULTI);
	}
	bt_snap_done(&snap);
	return bt_nl_dump_end(n, req, 0);
}

/* The one socket that a segment with these addresses would reach: the connection, or a listener. */
static int one(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *req,
	       const struct query *q)
{
	const struct bt_sock *best = NULL;
	struct inet_diag_sockid id;
	struct bt_snap snap;
	static const __be32 none[4];
	if (!take(v, q, UINT32_MAX, &snap))
		return -ENOMEM;
	for (size_t i = 0; i < snap.n; i++) {
		const struct bt_row *r = &snap.list[i].row;
		fill_id(&snap.list[i], &id);
		if (id.idiag_sport != q->r.id.idiag_sport)
			continue;
		bool connected = id.idiag_dport == q->r.id.idiag_dport &&
				 memcmp(id.idiag_src, q->r.id.idiag_src, 16) == 0 &&
				 memcmp(id.idiag_dst, q->r.id.idiag_dst, 16) == 0;
		bool open = r->rport == 0 && (memcmp(id.idiag_src, none, 16) == 0 ||
					      memcmp(id.idiag_src, q->r.id.idiag_src, 16) == 0);
		if (connected || (open && !best))
			best = &snap.list[i];
		if (connected)
			break;
	}
	int err = best ? 0 : -ENOENT;
	if (best) {
		bool any = q->r.id.idiag_cookie[0] == INET_DIAG_NOCOOKIE &&
			   q->r.id.idiag_cookie[1] == INET_DIAG_NOCOOKIE;
		fill_id(best, &id);
		if (!any && memcmp(id.idiag_cookie, q->r.id.idiag_cookie, 8) != 0)
			err = -ESTALE;
		else
			put_socket(n, v, req, q, best, 0);
	}
	bt_snap_done(&snap);
	return err;
}

static int inet(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *req)
{
	enum { ATTR_BYTECODE = 1, ATTR_PROTOCOL = 3 }; /* INET_DIAG_REQ_... */
	struct query q = {.code = NULL};
	uint32_t proto;
	size_t len;
	bool dumps = (req->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	if (req->len < sizeof(q.r))
		return -EINVAL;
	memcpy(&q.r, req->body, sizeof(q.r));
	proto = q.r.sdiag_protocol;
	const void *given = bt_nl_attr(req, sizeof(q.r), ATTR_PROTOCOL, &len);
	if (given && len >= sizeof(proto))
		memcpy(&proto, given, sizeof(proto));
	q.code = bt_nl_attr(req, sizeof(q.r), ATTR_BYTECODE, &q.code_len);
	if (dumps && q.code && bt_bc_check(q.code, q.code_len) != 0)
		return -EINVAL;
	if (proto == IPPROTO_RAW || proto == IPPROTO_UDPLITE)
		return dumps ? bt_nl_dump_end(n, req, 0) : -ENOENT;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return dumps ? bt_nl_dump_end(n, req, -ENOENT) : -ENOENT;
	q.proto = (uint8_t)proto;
	return dumps ? dump(n, v, req, &q) : one(n, v, req, &q);
}

int bt_nl_sock_diag(struct bt_nl *n, const struct bt_view *v, const struct bt_nl_req *q)
{
	bool dumps = (q->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	if (q->h.nlmsg_type == SOCK_DESTROY)
		return -EPERM;
	if (q->h.nlmsg_type != SOCK_DIAG_BY_FAMILY || q->len < sizeof(struct sock_diag_req))
		return -EINVAL;
	switch ((uint8_t)q->body[0]) {
	case AF_INET:
	case AF_INET6:
		return inet(n, v, q);
	case AF_UNIX:
	case AF_PACKET:
	case AF_NETLINK:
		return dumps ? bt_nl_dump_end(n, q, 0) : -ENOENT;
	default:
		return (uint8_t)q->body[0] >= AF_MAX ? -EINVAL : -ENOENT;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* UDP's sockets: their table, names, events, what calls do that carry no packet. */
#include "internal.h"

#include <stdlib.h>

struct bt_udp *bt_udp_new(const uint8_t key[16], struct bt_port_net *ports, struct bt_ip *ip,
			  struct bt_chunks *chunks)
{
	struct bt_udp *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->ports = ports;
	u->ip = ip;
	u->chunks = chunks;
	u->bytes = sizeof(*u);
	u->next_id = (uint16_t)(key[0] | key[1] << 8);
	return u;
}

static void free_sock(struct bt_udp *u, struct bt_udp_sock *s)
{
	bt_bytes_clear(&s->rx, u->chunks);
	u->bytes -= sizeof(*s);
	free(s);
}

void bt_udp_free(struct bt_udp *u)
{
	if (u == NULL)
		return;
	for (uint32_t k = 0; k < u->n_table; k++) {
		for (uint32_t i = 0; u->table[k] != NULL && i < BT_UDP_CHUNK; i++) {
			struct bt_udp_sock *s = u->table[k][i];

			if (s == NULL)
				continue;
			bt_udp_leave_all(u, s, 0);
			free_sock(u, s);
		}
		free(u->table[k]);
	}
	bt_bytes_clear(&u->tx, u->chunks);
	free(u->table);
	free(u);
}

/* The place of a slot in the table, or NULL: out of memory. */
static struct bt_udp_sock **place(struct bt_udp *u, uint32_t slot)
{
	uint32_t k = slot / BT_UDP_CHUNK;

	if (k >= u->n_table) {
		uint32_t n = k + 1 > 2 * u->n_table ? k + 1 : 2 * u->n_table;
		struct bt_udp_sock ***table = realloc(u->table, n * sizeof(table[0]));

		if (table == NULL)
			return NULL;
		memset(table + u->n_table, 0, (n - u->n_table) * sizeof(table[0]));
		u->bytes += (n - u->n_table) * sizeof(table[0]);
		u->table = table;
		u->n_table = n;
	}
	if (u->table[k] == NULL) {
		u->table[k] = calloc(BT_UDP_CHUNK, sizeof(u->table[k][0]));
		if (u->table[k] == NULL)
			return NULL;
		u->bytes += BT_UDP_CHUNK * sizeof(u->table[k][0]);
	}
	return &u->table[k][slot % BT_UDP_CHUNK];
}

int bt_udp_open(struct bt_udp *u, uint32_t slot, enum berth_type type)
{
	struct bt_udp_sock **at = place(u, slot), *s;
	struct bt_port_info info;

	if (at == NULL || !bt_port_get(u->ports, slot, &info))
		return BERTH_ENOMEM;
	bt_assert(*at == NULL);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return BERTH_ENOMEM;
	s->slot = slot;
	s->host = info.host;
	s->type = (uint8_t)type;
	s->family = info.family;
	s->hops = 0; /* the host's default */
	s->group_hops = 1;
	s->mtu_discover = 1; /* IP_PMTUDISC_WANT */
	s->rcvbuf = s->sndbuf = BT_UDP_BUF;
	s->laddr = s->raddr = info.laddr;
	s->serial = ++u->serial;
	u->bytes += sizeof(*s);
	*at = s;
	return 0;
}

void bt_udp_news(struct bt_udp *u, struct bt_udp_sock *s, unsigned what)
{
	if (s->news == 0) {
		s->news_next = NULL;
		s->news_prev = u->news_last;
		if (u->news_last != NULL)
			u->news_last->news_next = s;
		else
			u->news_first = s;
		u->news_last = s;
	}
	s->news |= (uint8_t)what;
}

static void leave_news(struct bt_udp *u, struct bt_udp_sock *s)
{
	if (s->news == 0)
		return;
	if (s->news_prev != NULL)
		s->news_prev->news_next = s->news_next;
	else
		u->news_first = s->news_next;
	if (s->news_next != NULL)
		s->news_next->news_prev = s->news_prev;
	else
		u->news_last = s->news_prev;
	s->news = 0;
}

bool bt_udp_event(struct bt_udp *u, uint32_t *slot, uint32_t *flags)
{
	struct bt_udp_sock *s = u->news_first;

	if (s == NULL)
		return false;
	*slot = s->slot;
	*flags = s->news;
	leave_news(u, s);
	return true;
}

void bt_udp_fail(struct bt_udp *u, struct bt_udp_sock *s, int error)
{
	s->error = (int16_t)error;
	bt_udp_news(u, s, BERTH_ERROR | BERTH_READABLE | BERTH_WRITABLE);
}

berth_if bt_udp_device(const struct bt_udp *u, const struct bt_udp_sock *s)
{
	struct bt_port_info info;

	if (!bt_port_get(u->ports, s->slot, &info) || info.dev == 0)
		return 0;
	return bt_ip_if_of_dev(u->ip, s->host, info.dev);
}

int bt_udp_bind(struct bt_udp *u, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		berth_if scope, uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	int r;

	if (s->type == BERTH_PING) {
		if (s->id != 0)
			return BERTH_EINVAL;
		r = bt_ping_bind(u, s, port);
		if (r < 0)
			return r;
		s->laddr = *addr;
		s->flags |= bt_addr_is_any(addr) ? 0 : UF_BOUND_ADDR;
		s->flags |= port == 0 ? 0 : UF_BOUND_ID;
	} else {
		r = bt_port_bind(u->ports, slot, addr, port, true, now_ns, NULL);
		if (r < 0)
			return r;
	}
	if (scope != 0)
		s->scope = scope;
	s->path.generation = 0;
	return 0;
}

/* __udp_disconnect: only what bind gave is kept. */
static void disconnect_ping(struct bt_udp *u, struct bt_udp_sock *s)
{
	struct bt_port_info info;

	if (bt_port_get(u->ports, s->slot, &info))
		bt_port_set_dev(u->ports, s->slot, 0);
	if (!(s->flags & UF_BOUND_ADDR))
		s->laddr = s->raddr;
	if (!(s->flags & UF_BOUND_ID))
		bt_ping_unbind(u, s);
}

static void disconnect(struct bt_udp *u, struct bt_udp_sock *s)
{

	if (!(s->flags & UF_CONNECTED))
		return;
	s->flags &= (uint16_t)~UF_CONNECTED;
	s->scope = 0;
	s->path.generation = 0;
	s->raddr = s->family == BT_V4 ? bt_addr_v4(0) : (struct bt_addr){{0}};
	if (s->type == BERTH_UDP)
		bt_port_disconnect(u->ports, s->slot);
	else
		disconnect_ping(u, s);
}

int bt_udp_connect(struct bt_udp *u, uint32_t slot, const struct berth_endpoint *remote,
		   uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct bt_udp_to to;
	uint32_t taken;
	int r;

	if (remote == NULL) {
		disconnect(u, s);
		return 0;
	}
	r = bt_udp_way(u, s, remote, &to);
	if (r < 0)
		return r;
	if (s->type == BERTH_PING) {
		if (s->id == 0)
			r = bt_ping_bind(u, s, 0);
		if (r < 0)
			return r;
		s->raddr = to.dst;
		if (bt_addr_is_any(&s->laddr))
			s->laddr = to.src;
	} else {
		r = bt_port_connect(u->ports, slot, &to.src, &to.dst, to.port, now_ns, &taken,
				    NULL);
		if (r < 0)
			return r;
	}
	s->flags |= UF_CONNECTED;
	s->scope = remote->scope;
	return 0;
}

int bt_udp_shutdown(struct bt_udp *u, uint32_t slot, enum berth_shut how)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);

	if (!(s->flags & UF_CONNECTED))
		return BERTH_ENOTCONN;
	if (how != BERTH_SHUT_WR) {
		s->flags |= UF_SHUT_RD;
		bt_udp_news(u, s, BERTH_READABLE | BERTH_PEER_SHUT);
	}
	if (how != BERTH_SHUT_RD) {
		s->flags |= UF_SHUT_WR;
		bt_udp_news(u, s, BERTH_WRITABLE);
	}
	return 0;
}

/* What it has sent and waits in u->tx still goes: it needs no socket. */
void bt_udp_close(struct bt_udp *u, uint32_t slot, uint64_t now_ns)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);

	leave_news(u, s);
	bt_udp_leave_all(u, s, now_ns);
	if (s->type == BERTH_PING)
		bt_ping_unbind(u, s);
	u->table[slot / BT_UDP_CHUNK][slot % BT_UDP_CHUNK] = NULL;
	free_sock(u, s);
	bt_port_free(u->ports, slot);
}

int bt_udp_error_take(struct bt_udp *u, uint32_t slot)
{
	struct bt_udp_sock *s = bt_udp_find(u, slot);
	int error = s->error;

	s->error = 0;
	return error;
}

int bt_udp_ready(const struct bt_udp *u, uint32_t slot)
{
	const struct bt_udp_sock *s = bt_udp_find(u, slot);
	int what = s->unsent < s->sndbuf || s->flags & UF_SHUT_WR ? BERTH_WRITABLE : 0;

	if (s->unread > 0 || s->flags & UF_SHUT_RD || s->error != 0)
		what |= BERTH_READABLE;
	if (s->flags & UF_SHUT_RD)
		what |= BERTH_PEER_SHUT;
	if ((s->flags & (UF_SHUT_RD | UF_SHUT_WR)) == (UF_SHUT_RD | UF_SHUT_WR))
		what |= BERTH_ENDED;
	return s->error != 0 ? what | BERTH_ERROR : what;
}

static void put_end(struct berth_endpoint *e, const struct bt_addr *addr, uint16_t port,
		    berth_if scope)
{
	bool local = addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;

	*e = (struct berth_endpoint){.port = port, .scope = local ? scope : 0};
	memcpy(e->addr.b, addr->b, sizeof(e->addr.b));
}

void bt_udp_name(const struct bt_udp *u, uint32_t slot, struct berth_endpoint *local,
		 struct berth_endpoint *remote, bool *connected)
{
	const struct bt_udp_sock *s = bt_udp_find(u, slot);
	struct bt_port_info info = {.laddr = s->laddr, .raddr = s->raddr, .lport = s->id};

	if (s->type == BERTH_UDP)
		(void)bt_port_get(u->ports, slot, &info);
	put_end(local, &info.laddr, info.lport, s->scope);
	put_end(remote, &info.raddr, info.rport, s->scope);
	*connected = s->flags & UF_CONNECTED;
}

size_t bt_udp_bytes(const struct bt_udp *u)
{
	return u->bytes;
}

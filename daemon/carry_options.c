/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of connections that travel in packets. What a program has set is kept as for any socket
 * (vals.h); here it reaches the engine's socket: all of it when that is made, each when it is set
 * on a connection or a listener. The engine's listener hands its options on to what it accepts.
 *
 * A buffer of the program's is two here: the engine's, and the descriptor's queue before it. Linux
 * counts twice the number that is set, of which payload is a half and more; so the engine gets the
 * number, and the queue half of it, which the kernel doubles.
 */
#include "tcp_info.h"
#include "vals.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum way { BOTH = 0, V4 = 4, V6 = 6 };

static const struct {
	uint16_t level, name;
	uint8_t family; /* of the connection's addresses, enum way */
	uint8_t to;	/* enum berth_option */
} options[] = {
	{SOL_SOCKET, SO_SNDBUF, BOTH, BERTH_SO_SNDBUF},
	{SOL_SOCKET, SO_RCVBUF, BOTH, BERTH_SO_RCVBUF},
	{SOL_SOCKET, SO_KEEPALIVE, BOTH, BERTH_SO_KEEPALIVE},
	{IPPROTO_TCP, TCP_NODELAY, BOTH, BERTH_TCP_NODELAY},
	{IPPROTO_TCP, TCP_CORK, BOTH, BERTH_TCP_CORK},
	{IPPROTO_TCP, TCP_QUICKACK, BOTH, BERTH_TCP_QUICKACK},
	{IPPROTO_TCP, TCP_MAXSEG, BOTH, BERTH_TCP_MAXSEG},
	{IPPROTO_TCP, TCP_KEEPIDLE, BOTH, BERTH_TCP_KEEPIDLE},
	{IPPROTO_TCP, TCP_KEEPINTVL, BOTH, BERTH_TCP_KEEPINTVL},
	{IPPROTO_TCP, TCP_KEEPCNT, BOTH, BERTH_TCP_KEEPCNT},
	{IPPROTO_TCP, TCP_SYNCNT, BOTH, BERTH_TCP_SYNCNT},
	{IPPROTO_TCP, TCP_LINGER2, BOTH, BERTH_TCP_LINGER2},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, BOTH, BERTH_TCP_DEFER_ACCEPT},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, BOTH, BERTH_TCP_WINDOW_CLAMP},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, BOTH, BERTH_TCP_USER_TIMEOUT},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, BOTH, BERTH_TCP_NOTSENT_LOWAT},
	{IPPROTO_TCP, TCP_CONGESTION, BOTH, BERTH_TCP_CONGESTION},
	{IPPROTO_TCP, TCP_FASTOPEN, BOTH, BERTH_TCP_FASTOPEN},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, BOTH, BERTH_TCP_FASTOPEN},
	{IPPROTO_IP, IP_TOS, V4, BERTH_IP_TOS},
	{IPPROTO_IP, IP_TTL, V4, BERTH_IP_TTL},
	{IPPROTO_IP, IP_MTU_DISCOVER, V4, BERTH_IP_MTU_DISCOVER},
	{IPPROTO_IPV6, IPV6_TCLASS, V6, BERTH_IP_TOS},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, V6, BERTH_IP_TTL},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, V6, BERTH_IP_MTU_DISCOVER},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* The entry of an option for a socket of this local address, or N_OPTIONS. A listener on the
 * wildcard of IPv6 has that family's. */
static size_t entry(const struct bt_addr *local, uint16_t level, uint16_t name)
{
	uint8_t family = bt_addr_is_v4(local) ? V4 : V6;
	size_t i = 0;
	while (i < N_OPTIONS && (options[i].level != level || options[i].name != name ||
				 (options[i].family != BOTH && options[i].family != family)))
		i++;
	return i;
}

void d_carry_option(struct daemon *d, berth_socket s, uint16_t level, uint16_t name, uint32_t value)
{
	struct berth *b = d_wire_engine(d);
	struct berth_endpoint local;
	struct bt_addr a;
	if (berth_name(b, s, &local, NULL) < 0)
		return;
	memcpy(a.b, local.addr.b, sizeof(a.b));
	size_t i = entry(&a, level, name);
	if (i < N_OPTIONS)
		berth_set(b, s, (enum berth_option)options[i].to, (int32_t)value, d_now());
}

struct target {
	struct daemon *d;
	berth_socket s;
};

static void apply(void *arg, uint16_t level, uint16_t name, uint32_t value)
{
	const struct target *t = arg;
	d_carry_option(t->d, t->s, level, name, value);
}

void d_carry_options(struct daemon *d, uint32_t slot, berth_socket s)
{
	struct target t = {d, s};
	d_vals_each(slot, d_row(d, slot)->gen, apply, &t);
}

int d_carry_value(struct daemon *d, berth_socket s, uint16_t level, uint16_t name, uint32_t *value)
{
	int64_t v = 0;
	int r = -ENOENT;
	if (level == IPPROTO_TCP && name == TCP_MAXSEG)
		r = berth_get(d_wire_engine(d), s, BERTH_TCP_MAXSEG, &v);
	else if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		r = berth_get(d_wire_engine(d), s, BERTH_TCP_CONGESTION, &v);
	else if ((level == IPPROTO_IP && name == IP_MTU) ||
		 (level == IPPROTO_IPV6 && name == IPV6_MTU))
		r = berth_get(d_wire_engine(d), s, BERTH_IP_MTU, &v);
	else if (level == SOL_SOCKET && name == SO_SNDBUF)
		r = berth_get(d_wire_engine(d), s, BERTH_SO_SNDBUF, &v);
	else if (level == SOL_SOCKET && name == SO_RCVBUF)
		r = berth_get(d_wire_engine(d), s, BERTH_SO_RCVBUF, &v);
	if (r < 0)
		return -ENOENT;
	*value = (uint32_t)v;
	return 0;
}

size_t d_carry_info(struct daemon *d, berth_socket s, void *out, size_t room)
{
	struct berth_tcp_info i;
	return berth_tcp_info(d_wire_engine(d), s, &i) < 0 ? 0 : d_tcp_info(&i, out, room);
}

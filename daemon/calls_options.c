/* SPDX-License-Identifier: Apache-2.0 */
/* Options of sockets: what the port space, the relay and the engine go by, and what is only kept.
 */
#include "calls.h"
#include "errors.h"
#include "vals.h"
#include "wire.h"

#include "../lib/sock/groups.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

int d_call_opts(struct call *k)
{
	int r = d_take(k);
	if (r == 0) {
		bt_port_set_opts(bt_net_ports(k->d->net), k->slot, k->req->opts);
		d_ping_opts(k->d, k->slot, k->req->opts);
		bt_net_set_flag(k->d->net, k->slot, 0, true);
	}
	return d_finish(k, r);
}

int d_call_setval(struct call *k)
{
	if (!d_held(k))
		return -ESTALE;
	if (d_row(k->d, k->slot)->proto != BT_TCP)
		d_udp_option(k->d, k->slot, k->req->flags, k->req->port, k->req->value);
	if (k->req->flags == SOL_SOCKET && k->req->port == SO_RCVBUF &&
	    d_row(k->d, k->slot)->proto != BT_TCP) {
		uint32_t kib = k->req->value / 1024;
		d_row(k->d, k->slot)->rcvbuf_kib = (uint16_t)(kib > UINT16_MAX ? UINT16_MAX : kib);
		return 0;
	}
	if (k->req->flags == SOL_SOCKET && k->req->port == SO_LINGER) {
		if (d_row(k->d, k->slot)->proto == BT_TCP)
			bt_net_set_flag(k->d->net, k->slot, BT_NETF_LINGER0, k->req->value != 0);
		return 0;
	}
	if (k->req->flags == SOL_SOCKET && k->req->port == SO_BINDTODEVICE) {
		if (k->req->value > BT_NET_ADDRS)
			return -EPROTO;
		bt_port_set_dev(bt_net_ports(k->d->net), k->slot, (uint8_t)k->req->value);
		bt_net_set_flag(k->d->net, k->slot, 0, true);
		return 0;
	}
	if (k->req->flags == IPPROTO_IP && k->req->port == IP_LOCAL_PORT_RANGE) {
		int r = bt_port_set_range(bt_net_ports(k->d->net), k->slot, (uint16_t)k->req->value,
					  (uint16_t)(k->req->value >> 16));
		if (r < 0)
			return r;
	}
	if (k->req->flags == IPPROTO_IP && k->req->port == IP_MULTICAST_ALL)
		bt_net_group_all(k->d->net, k->slot, true, k->req->value != 0);
	if (k->req->flags == IPPROTO_IPV6 && k->req->port == IPV6_MULTICAST_ALL)
		bt_net_group_all(k->d->net, k->slot, false, k->req->value != 0);
	int r = d_vals_set(k->slot, k->req->id.gen, k->req->flags, k->req->port, k->req->value);
	if (r == 0 && d_row(k->d, k->slot)->proto == BT_TCP)
		d_carry_set(k->d, k->slot, k->req->flags, k->req->port, k->req->value);
	if (r == 0)
		d_ping_option(k->d, k->slot, k->req->flags, k->req->port, k->req->value);
	return r;
}

int d_call_getval(struct call *k)
{
	if (!d_known(k))
		return -ESTALE;
	berth_socket s = d_carry_socket(k->d, k->slot);
	uint16_t level = k->req->flags, name = k->req->port;
	if (level == SOL_SOCKET && name == SO_ERROR && d_row(k->d, k->slot)->proto != BT_TCP) {
		k->rep.value = (uint32_t)d_errors_take(k->slot);
		return 0;
	}
	if (s != 0 && d_carry_value(k->d, s, level, name, &k->rep.value) == 0)
		return 0;
	int r = d_vals_get(k->slot, k->req->id.gen, level, name, &k->rep.value);
	if (r == 0 && level == SOL_SOCKET && name == SO_ERROR) /* told once */
		d_vals_set(k->slot, k->req->id.gen, level, name, 0);
	uint32_t link = bt_net_link(k->d->net, k->slot);
	if (r == -ENOENT && link != BT_NO_SLOT) /* an accepted end has what its listener had */
		r = d_vals_get(link, d_row(k->d, link)->gen, level, name, &k->rep.value);
	return r;
}

int d_call_tcp_info(struct call *k)
{
	static uint8_t extra[512];
	static const char *const names[] = {"cubic", "reno", "bbr"};
	uint32_t module = 0;
	if (!d_known(k))
		return -ESTALE;
	berth_socket s = d_carry_socket(k->d, k->slot);
	memset(extra, 0, sizeof(extra));
	size_t n = s == 0 ? 0 : d_carry_info(k->d, s, extra, sizeof(extra) - BT_CONGESTION_NAME);
	if (n == 0)
		return -ENOENT;
	d_carry_value(k->d, s, IPPROTO_TCP, TCP_CONGESTION, &module);
	memcpy(extra + n, names[module], strlen(names[module]));
	k->rep_extra = extra;
	k->rep.extra = (uint32_t)n + BT_CONGESTION_NAME;
	return 0;
}

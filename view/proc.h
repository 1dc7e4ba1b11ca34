/* SPDX-License-Identifier: Apache-2.0 */
/* The files of /proc/net, by what makes them. */
#ifndef BERTH_VIEW_PROC_H
#define BERTH_VIEW_PROC_H

#include "view.h"

typedef void bt_proc_fn(const struct bt_view *v, struct bt_buf *b);

/* proc_sock.c */
bt_proc_fn bt_proc_tcp, bt_proc_tcp6, bt_proc_udp, bt_proc_udp6, bt_proc_sockstat,
	bt_proc_sockstat6;
/* proc_dev.c */
bt_proc_fn bt_proc_dev, bt_proc_if_inet6, bt_proc_igmp, bt_proc_igmp6, bt_proc_route,
	bt_proc_ipv6_route, bt_proc_fib_trie;
/* proc_count.c */
bt_proc_fn bt_proc_snmp, bt_proc_snmp6, bt_proc_netstat;

#endif

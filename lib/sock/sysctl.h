/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's own settings, under their names in /proc/sys ("net/ipv4/ip_local_port_range"), read and
 * written as text with the formats, ranges and oddities of Linux's handlers (proc_dointvec,
 * proc_dou8vec_minmax, proc_do_large_bitmap, ipv4_local_port_range of Linux 6.x). What is not here
 * is not a host's own.
 */
#ifndef BERTH_LIB_SOCK_SYSCTL_H
#define BERTH_LIB_SOCK_SYSCTL_H

#include "net.h"

/* Room that bt_sysctl_get never exceeds: all ports reserved singly. */
#define BT_SYSCTL_TEXT (6u * 32768u + 2u)

/* What a read gives, with its new line and a NUL: its length without the NUL, or -ENOENT, or
 * -ENOSPC. */
int bt_sysctl_get(const struct bt_net *net, uint16_t host, const char *name, char *text,
		  size_t room);
/* Writes len bytes of text: how many of them Linux takes, or -ENOENT, or -EINVAL with the old value
 * kept. */
int bt_sysctl_set(struct bt_net *net, uint16_t host, const char *name, const char *text,
		  size_t len);
/* The name of setting number i; NULL: there are no more. */
const char *bt_sysctl_name(unsigned i);

#endif

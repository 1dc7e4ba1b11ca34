/* SPDX-License-Identifier: Apache-2.0 */
/* A host's way out of the network: see tap.c. */
#ifndef BERTH_DAEMON_TAP_H
#define BERTH_DAEMON_TAP_H

#include "wire.h"

#include <stdio.h>

/* True: the host reaches what is beyond the network; BT_NET_NO_HOST: some host does. */
bool d_outside(const struct daemon *d, uint16_t host);
/* The engine's interface that has the host's addresses meanwhile; 0: it has no way out. */
berth_if d_tap_if(uint16_t host);
/* The host has got an address, which the others still reach within the network. */
void d_tap_neighbour(struct daemon *d, uint16_t host, const struct bt_addr *addr);

/* fd: a TAP device's, or a SOCK_SEQPACKET socket of IP packets; it is the caller's. -1: only what
 * is set of the device changes. 0, -ENODEV: the host has no such device, or not any more; -EBUSY:
 * packets are being replayed into it; -EEXIST: a socket, but it has a device; -EINVAL: not such a
 * descriptor, or an MTU below 68; -EADDRNOTAVAIL: a gateway in no prefix of the host; -ENOMEM,
 * -ENFILE. */
int d_tap_set(struct daemon *d, uint16_t host, int fd, const struct bt_tap_set *set,
	      const struct bt_link_settings *s);
bool d_tap_clear(struct daemon *d, uint16_t host); /* false: it has none */
bool d_tap_get(uint16_t host, struct bt_link_settings *s);
/* Lines as BT_LINK_SHOW says. */
void d_tap_show(const struct daemon *d, FILE *f);

/* Packets and time, for wire.c. d_tap_send: false: the packet is for another interface. */
bool d_tap_send(struct daemon *d, const struct berth_output *o, uint64_t now_ns);
bool d_tap_take_in(struct daemon *d);
uint64_t d_tap_deadline(void);

/* A row for the client at the outside whose connection has come to the listener, or BT_NO_SLOT. It
 * ends with the connection; d_stranger_gone: it came to nothing (BT_NO_SLOT is allowed). */
uint32_t d_stranger(struct daemon *d, uint32_t listener, const struct bt_addr *addr);
void d_stranger_gone(struct daemon *d, uint32_t slot);

#endif

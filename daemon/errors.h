/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that wait for UDP sockets. */
#ifndef BERTH_DAEMON_ERRORS_H
#define BERTH_DAEMON_ERRORS_H

#include "daemon.h"

#include "../lib/engine/engine.h"

/* The socket asked for errors of IPv4's or IPv6's datagrams (IP_RECVERR, IPV6_RECVERR). */
bool d_errors_wanted(struct daemon *d, uint32_t slot, bool v4);
/* An error about a datagram of the socket, of which head->len bytes are quoted: queued where that
 * is wanted; raise: it also waits for the next call, and the program is woken. */
void d_errors_add(struct daemon *d, uint32_t slot, const struct bt_udp_error *head,
		  const uint8_t *data, bool raise);
/* What ICMP has said of a datagram, or of an echo request, reaches the socket that sent it, if that
 * is to be told. */
void d_errors_icmp(struct daemon *d, const struct bt_engine_icmp *m);
int d_errors_take(uint32_t slot); /* the errno that waits, which it does no more; 0: none */
/* The next of the queue, struct bt_udp_error and what it quotes: bytes of it, 0: there is none. The
 * program is woken for the one after it. */
size_t d_errors_next(struct daemon *d, uint32_t slot, uint8_t *out, size_t room);
void d_errors_forget(uint32_t slot); /* the socket is gone */

#endif

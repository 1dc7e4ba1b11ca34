/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP (RFC 768, RFC 1122 4.1, RFC 8200 8.1) and ping sockets (ICMP echo, as Linux's IPPROTO_ICMP
 * datagram sockets) for all hosts of an engine. A socket is a slot of the port space (lib/port);
 * what it has beside ports is allocated when it is opened. A ping socket takes a slot, but no port:
 * its identifiers have a table of their own.
 *
 * What arrives waits in the socket, a record (struct bt_dgram and the payload) behind the other in
 * one queue of bytes, up to SO_RCVBUF, records counted whole; what does not fit is dropped and
 * counted. What is sent waits in one queue for all sockets, first in first out, until bt_udp_output
 * asks for it: a socket may have SO_SNDBUF there. What was handed out stays until bt_udp_reap.
 * Datagrams to the own host go to IP at once.
 */
#ifndef BERTH_LIB_UDP_UDP_H
#define BERTH_LIB_UDP_UDP_H

#include "../base/chunk.h"
#include "../ip/ip.h"
#include "../port/port.h"

struct bt_udp;

#define BT_UDP_BUF	  212992u   /* SO_RCVBUF, SO_SNDBUF to begin with (rmem_default) */
#define BT_UDP_BUF_MIN	  2304u	    /* SOCK_MIN_RCVBUF */
#define BT_UDP_BUF_MAX	  (1 << 28) /* the most that is accepted */
#define BT_UDP_GROUPS_MAX 20u	    /* memberships of a socket (igmp_max_memberships) */

/* ports, ip, chunks belong to the engine. NULL: out of memory. */
struct bt_udp *bt_udp_new(const uint8_t key[16], struct bt_port_net *ports, struct bt_ip *ip,
			  struct bt_chunks *chunks);
void bt_udp_free(struct bt_udp *u); /* NULL is allowed */

/* ---- packets ---- */

/* A UDP datagram (rx->proto 17) or an echo reply (1, 58). */
void bt_udp_input(struct bt_udp *u, const struct bt_rx *rx, uint64_t now_ns);
/* About a packet of proto 17, 1 or 58. True: a socket of ours may have sent it, and may believe it.
 * *slot: the socket, or BT_NO_SLOT. */
bool bt_udp_icmp(struct bt_udp *u, const struct bt_icmp_error *e, uint32_t *slot);
/* It is an error for a connected socket (icmp_err_convert). */
bool bt_udp_icmp_hard(const struct bt_icmp_error *e);
/* The next datagram to be carried, complete, in *out. False: none. */
bool bt_udp_output(struct bt_udp *u, struct berth_output *out, uint64_t now_ns);
/* What bt_udp_output gave is not looked at any more. */
void bt_udp_reap(struct bt_udp *u);

/* ---- sockets; results and errors as berth.h says of the functions of the same name ---- */

/* slot: of bt_port_new, unbound. type: BERTH_UDP or BERTH_PING. */
int bt_udp_open(struct bt_udp *u, uint32_t slot, enum berth_type type);
/* addr has been found to be one that the host may bind (ping: to the identifier `port`). */
int bt_udp_bind(struct bt_udp *u, uint32_t slot, const struct bt_addr *addr, uint16_t port,
		berth_if scope, uint64_t now_ns);
/* remote NULL: AF_UNSPEC. */
int bt_udp_connect(struct bt_udp *u, uint32_t slot, const struct berth_endpoint *remote,
		   uint64_t now_ns);
int64_t bt_udp_send(struct bt_udp *u, uint32_t slot, const void *data, size_t len,
		    const struct berth_endpoint *to, uint64_t now_ns);
/* The same of a ping socket, from an address of its host. */
int64_t bt_udp_send_from(struct bt_udp *u, uint32_t slot, const struct bt_addr *src,
			 const void *data, size_t len, const struct berth_endpoint *to,
			 uint64_t now_ns);
int64_t bt_udp_recv(struct bt_udp *u, uint32_t slot, void *data, size_t len,
		    struct berth_datagram *info, unsigned flags);
int bt_udp_shutdown(struct bt_udp *u, uint32_t slot, enum berth_shut how);
/* Frees the slot too. */
void bt_udp_close(struct bt_udp *u, uint32_t slot, uint64_t now_ns);
int bt_udp_error_take(struct bt_udp *u, uint32_t slot);
int bt_udp_ready(const struct bt_udp *u, uint32_t slot); /* enum berth_event_flag */
/* The ends: remote->port and an address that is not "any" only where it is connected. */
void bt_udp_name(const struct bt_udp *u, uint32_t slot, struct berth_endpoint *local,
		 struct berth_endpoint *remote, bool *connected);
/* Those options that are not of the port space. */
int bt_udp_set(struct bt_udp *u, uint32_t slot, enum berth_option option, int64_t value);
int bt_udp_get(const struct bt_udp *u, uint32_t slot, enum berth_option option, int64_t *value);
int bt_udp_join(struct bt_udp *u, uint32_t slot, const struct bt_addr *group, berth_if i,
		uint64_t now_ns);
int bt_udp_leave(struct bt_udp *u, uint32_t slot, const struct bt_addr *group, berth_if i,
		 uint64_t now_ns);
/* The next slot with news, each once: what has become true. False: none. */
bool bt_udp_event(struct bt_udp *u, uint32_t *slot, uint32_t *flags);
size_t bt_udp_bytes(const struct bt_udp *u); /* of memory, without the queues' chunks */

#endif

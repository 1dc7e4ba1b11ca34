/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What include/berth/berth.h offers is joined here of lib/port, lib/ip, lib/udp and lib/tcp. The
 * engine itself keeps little: for each slot of the port space whose socket a program holds, that
 * socket's generation and the program's number for it.
 *
 * A handle is a slot and a generation. A slot has a new generation when a program lets go of its
 * socket, so the handle is stale then, though TCP may need the slot for a while.
 *
 * This header is for those who make an engine out of parts: berthd, whose hosts have sockets beside
 * the engine's.
 */
#ifndef BERTH_LIB_ENGINE_ENGINE_H
#define BERTH_LIB_ENGINE_ENGINE_H

#include "../../include/berth/berth.h"
#include "../filter/filter.h"
#include "../port/port.h"

#define BT_ENGINE_QUOTE 1280u /* the most of a packet that ICMP quotes (RFC 4443 2.4) */

/* An engine over a port space that belongs to the caller and outlives it; NULL: one of its own, for
 * config->max_sockets. NULL: out of memory. */
struct berth *bt_engine_new(const struct berth_config *config, struct bt_port_net *ports);
/* A host whose port space, of number `host`, the caller has made or will make in time. Numbers are
 * given from 0 on without gaps: BERTH_EINVAL, else as berth_host_add. */
int bt_engine_host_add(struct berth *b, uint16_t host);
/* A socket of the engine in a slot that the caller has got of bt_port_new and not bound yet. The
 * engine frees the slot in the end. BERTH_ENOMEM, BERTH_EINVAL, BERTH_EEXIST: it has one. */
int bt_engine_adopt(struct berth *b, uint32_t slot, enum berth_type type, berth_socket *s);
/* Carries a packet that berth_output has just given, whose checksum is unfinished, to interface i
 * of another host of the engine: the next data of a connection go from the one's send buffer
 * straight into the other's receive buffer. True: done. False: nothing has happened, and it is to
 * be copied and handed to berth_input_batch. What berth_output has given stays valid, whatever the
 * answer. */
bool bt_engine_carry(struct berth *b, const struct berth_output *packet, berth_if i,
		     uint64_t now_ns);
/* What ICMP, or a neighbour's silence, has said of a datagram (UDP) or of the request of a ping
 * socket. */
struct bt_engine_icmp {
	uint8_t proto;		     /* 17; 1, 58: data begins with the request's own header */
	uint64_t user;		     /* of the ping socket (berth_set_user) */
	uint16_t host, sport, dport; /* of UDP */
	uint8_t type, code;	     /* of ICMP or ICMPv6, by the family of src */
	int error;		     /* enum berth_error */
	bool hard;		     /* it is one for a connected socket, too */
	uint32_t mtu, len; /* mtu: with BERTH_EMSGSIZE, else 0; len: bytes of the datagram quoted */
	struct bt_addr src, dst, from; /* of the datagram; who says so */
	uint8_t data[BT_ENGINE_QUOTE];
};
#define BT_ENGINE_ICMP_MAX 16u /* that wait to be asked for; later ones are lost */
/* The next; false: none. */
bool bt_engine_icmp(struct berth *b, struct bt_engine_icmp *out);
/* berth_send_to of a ping socket, from an address of its host for this once. */
int64_t bt_engine_ping(struct berth *b, berth_socket s, const struct bt_addr *src, const void *data,
		       size_t len, const struct berth_endpoint *to, uint64_t now_ns);
/* The host's packet filter from now on (NULL: none), which stays the caller's and outlives it;
 * packets are counted in it. 0, or as bt_ip_filter. */
int bt_engine_filter(struct berth *b, uint16_t host, struct bt_filter *f);
/* The state that a datagram of UDP would be in for the host's filter now (lib/filter/flows.h). */
uint8_t bt_engine_flow_state(const struct berth *b, uint16_t host,
			     const struct bt_filter_packet *p);
/* The slot of a live handle, else BT_NO_SLOT. */
uint32_t bt_engine_slot(const struct berth *b, berth_socket s);

#endif

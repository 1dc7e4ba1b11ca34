/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet path: connections between hosts whose link does something to packets, or is looked at.
 * Programs keep their descriptors; berthd is at the other end of them, and an engine (libberth)
 * carries what they say in packets, which the links lose, delay and show.
 *
 * The port space of the network (lib/sock) stays the one that decides about addresses and ports;
 * the engine has sockets of the same addresses, which nobody sees: one for each listener of a host,
 * and one for each end of a connection. What becomes of a connection the engine tells, and the row
 * shows.
 *
 *	wire.c	the engine, its hosts and links, packets and time
 *	capture.c who looks at packets
 *	wire_udp.c datagrams
 *	wire_groups.c those that go to several
 *	ping.c	ICMP echo: programs' sockets, berth ping
 *	tap.c	what is beyond the network
 *	carry_options.c options of connections, TCP_INFO
 *	carry_begin.c how connections begin
 *	carry.c	descriptors and the engine's sockets: connections of programs, listeners
 */
#ifndef BERTH_DAEMON_WIRE_H
#define BERTH_DAEMON_WIRE_H

#include "daemon.h"

#include "../include/berth/berth.h"
#include "../lib/filter/filter.h"
#include "../link/settings.h"

/* What an engine's socket is for: the upper half of its user number; the lower is the slot. */
enum d_wire_what { D_WIRE_END = 1, D_WIRE_LISTENER = 2, D_WIRE_UDP = 3, D_WIRE_PING = 4 };

struct wire;

/* ---- wire.c ---- */

/* True: connections from host `from` to host `to` travel in packets. */
bool d_wired(const struct daemon *d, uint16_t from, uint16_t to);
/* Between host a and host b, or (b BT_NET_NO_HOST) everybody else. 0, -ENOMEM, -ENOSPC. */
int d_link_set(struct daemon *d, uint16_t a, uint16_t b, const struct bt_link_settings *s);
/* It does nothing any more; false: it did nothing before. */
bool d_link_clear(struct daemon *d, uint16_t a, uint16_t b);
/* Lines as BT_LINK_SHOW says, in *text, which the caller frees; NULL: out of memory. */
char *d_link_show(struct daemon *d);
/* The network's settings for this host, in *s; false: it has none of its own. */
bool d_link_get(const struct daemon *d, uint16_t a, uint16_t b, struct bt_link_settings *s);
/* The engine; NULL: no link has been set yet. */
struct berth *d_wire_engine(const struct daemon *d);
struct bt_port_net *d_wire_ports(const struct daemon *d); /* the engine's port space */
/* The engine's number of a host, which it learns of by this; without memory one that is no host's.
 */
berth_host d_wire_host(struct daemon *d, uint16_t host);
/* A host has been made, or has got addresses. */
void d_wire_host_changed(struct daemon *d, uint16_t host);
/* How many packets the host's engine has dropped for this reason (enum berth_drop). */
uint64_t d_wire_drops(const struct daemon *d, uint16_t host, uint32_t reason);
/* Its packet filter has. */
void d_wire_filter(struct daemon *d, uint16_t host);
/* The state that a datagram would be in for its filter (bt_engine_flow_state). */
uint8_t d_wire_flow_state(const struct daemon *d, uint16_t host, const struct bt_filter_packet *p);
/* A setting of the host has been changed. */
void d_wire_settings(struct daemon *d, uint16_t host);
/* Carries what the engine has to say, tells what has happened, sets the clock. To be called after
 * every call of the engine. */
void d_wire_turn(struct daemon *d);
void d_wire_soon(struct daemon *d); /* the same, when nothing else runs */
/* The host's interface that leads to the network's others; as d_wire_host. */
berth_if d_wire_if(struct daemon *d, uint16_t host);
/* The engine's socket of a listener; 0: it has none. */
berth_socket d_wire_listener(const struct daemon *d, uint32_t slot);
/* A socket has begun or ceased to listen. */
void d_wire_listens(struct daemon *d, uint32_t slot, bool on);

/* Makes the engine, if there is none yet. 0 or -ENOMEM. */
int d_wire_open(struct daemon *d);
/* Frees the engine and the links; the loop has run for the last time. */
void d_wire_close(struct daemon *d);

/* ---- capture.c ---- */

/* A descriptor that gets the packets between host a and host b; BT_NET_NO_HOST: any. Or -errno. */
int d_capture_add(struct daemon *d, uint16_t a, uint16_t b);
/* True: somebody looks at what goes between both. */
bool d_captured(const struct daemon *d, uint16_t from, uint16_t to);
/* Shows a packet that `host` has sent to, or got from, `peer`. */
void d_capture(struct daemon *d, uint16_t host, uint16_t peer, bool got, const struct iovec *parts,
	       size_t n);

/* ---- ping.c ---- */

/* Of a program's socket, which is a slot of BT_ECHO: its engine's socket is made, and closed.
 * Errors here are those of the call in Linux, negative. */
int d_ping_make(struct daemon *d, uint32_t slot);
void d_ping_forget(uint32_t slot); /* no BT_ECHO: nothing */
/* The port space's options, and others, of such a socket. */
void d_ping_opts(struct daemon *d, uint32_t slot, unsigned opts);
void d_ping_option(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value);
/* What its row tells: addresses, identifier and state. */
void d_ping_ends(uint32_t slot, struct bt_port_info *i);
int d_ping_bind(struct daemon *d, uint32_t slot, const struct bt_addr *addr, uint16_t id);
/* dst NULL: AF_UNSPEC. */
int d_ping_connect(struct daemon *d, uint32_t slot, const struct bt_addr *dst, uint16_t port);
/* A request to from->dst; from->src: a wildcard, or the address of this one; hops and tos. */
int d_ping_send(struct daemon *d, uint32_t slot, const struct d_from *from, const uint8_t *data,
		size_t len);

/* The descriptor that BT_ECHO answers with, or -errno. */
int d_ping_open(struct daemon *d, uint16_t host, struct bt_addr dst);
void d_ping_event(struct daemon *d, const struct berth_event *e);

/* ---- wire_udp.c ---- */

/* True: what the UDP socket sends to dst travels in packets; has: some of what it sent did. */
bool d_wire_udp(const struct daemon *d, uint32_t slot, const struct bt_addr *dst);
bool d_wire_udp_has(uint32_t slot);
/* A datagram to from->dst:port, which `target` should get; BT_NO_SLOT: nobody has the port, or who
 * is at the outside. 0 or
 * the errno of sendto(2). */
int d_wire_udp_send(struct daemon *d, uint32_t slot, uint32_t target, const struct d_from *from,
		    uint16_t port, const uint8_t *data, size_t len);
/* The engine's socket for it is there from now on, as others than the network's may send to it. */
void d_wire_udp_hear(struct daemon *d, uint32_t slot);
void d_wire_udp_event(struct daemon *d, const struct berth_event *e);
void d_wire_udp_forget(struct daemon *d, uint32_t slot); /* the socket is gone */

/* ---- wire_groups.c ---- */

struct bt_net_spread;

/* True: what a host sends to a group, or to all, travels to the other in packets. */
bool d_wired_group(const struct daemon *d, uint16_t from, uint16_t to);
/* The engine learns which groups the host's sockets have joined; host BT_NET_NO_HOST: every host's.
 */
void d_wire_groups(struct daemon *d, uint16_t host);
void d_wire_groups_close(struct daemon *d); /* the engine is about to end */
/* A datagram to the hosts that it reaches in packets. 0 or the errno of sendto(2). */
int d_wire_group_send(struct daemon *d, const struct bt_net_spread *s, const struct d_from *from,
		      uint16_t port, const uint8_t *data, size_t len);
/* Of what has come through for the socket `hearer`: by which interface it hears it, or 0. */
uint8_t d_wire_group_heard(const struct daemon *d, uint32_t hearer, struct d_from *from,
			   uint16_t port);

/* ---- carry_options.c: of an engine's socket ---- */

/* What a program has set of it (vals.h), all together, and one. Others than TCP's are passed over.
 */
void d_carry_options(struct daemon *d, uint32_t slot, berth_socket s);
void d_carry_option(struct daemon *d, berth_socket s, uint16_t level, uint16_t name,
		    uint32_t value);
/* What the connection has come to by itself: MSS, MTU, buffers. -ENOENT: not such an option. */
int d_carry_value(struct daemon *d, berth_socket s, uint16_t level, uint16_t name, uint32_t *value);
/* The kernel's struct tcp_info of it, in out: its size, or 0: there is none, or no room. */
size_t d_carry_info(struct daemon *d, berth_socket s, void *out, size_t room);

/* ---- carry.c ---- */

/* The engine's socket of a connection or a listener in packets; 0: none (any more). */
berth_socket d_carry_socket(struct daemon *d, uint32_t slot);
/* A program has set an option of it. */
void d_carry_set(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value);

int d_carry_open(struct daemon *d); /* the name that programs join. 0 or -errno */
/* The engine's word about one of its sockets. */
void d_carry_event(struct daemon *d, const struct berth_event *e);
/* The program is about to close it with a reset. */
void d_carry_reset(struct daemon *d, uint32_t slot);
/* A program has closed a descriptor of it, perhaps not the last. */
void d_carry_closed(struct daemon *d, uint32_t slot);
/* Looks at the states of the connections that are changing. */
void d_carry_states(struct daemon *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a network share: net.c the sockets and the calls that join them, hosts.c hosts
 * and routes, ends.c how connections end, groups.c what goes to several. */
#ifndef BERTH_LIB_SOCK_INTERNAL_H
#define BERTH_LIB_SOCK_INTERNAL_H

#include "net.h"

#define CHUNK 4096u

/* 16 bytes a slot; what the port space knows is kept there. */
struct sock {
	uint32_t peer, link;
	uint32_t next_changed; /* list of changed slots; IDLE: not on it */
	uint32_t flags;
};

#define IDLE	 UINT32_MAX
#define END	 (UINT32_MAX - 1)
#define GONE	 0x100u	  /* with BT_NETF_FREED: the port space has freed the slot already */
#define WIRE	 0x200u	  /* its bytes travel in packets */
#define UNREAD	 0x400u	  /* closed with data unread, perhaps by the last holder */
#define AT_ONCE	 0x800u	  /* its FIN was sent by its close, not by a shutdown before */
#define NOT_ALL4 0x1000u  /* IP_MULTICAST_ALL is not what a new socket has */
#define NOT_ALL6 0x2000u  /* IPV6_MULTICAST_ALL, too */
#define STAMP	 0x10000u /* the upper half of the flags counts the slot's lives */

struct btn_member;
struct btn_joined;
#define MEMBER_TABLE 1024u

struct addr_entry {
	struct bt_addr addr;
	uint16_t host; /* BT_NET_NO_HOST: empty */
};

#define ADDR_TABLE (BT_NET_MAX_HOSTS * BT_NET_ADDRS * 2)

struct host {
	struct bt_net_host pub;
	struct bt_net_conf conf;
	int32_t n_time_wait;
	uint8_t outside;	   /* enum bt_net_outside */
	struct btn_joined *joined; /* groups */
};

/* An end in FIN_WAIT2 that nobody holds any more. It is told from a later life of its slot by the
 * stamp, so entries need not be found again when the other end closes in time. */
struct orphan {
	uint64_t ends_ns;
	uint32_t slot, stamp;
};

struct bt_net {
	struct bt_port_net *ports;
	struct host *hosts[BT_NET_MAX_HOSTS];
	uint16_t n_hosts;
	struct addr_entry *by_addr; /* open addressing, at most half full */
	struct sock **chunks;
	uint32_t n_chunks;
	uint32_t changed_first, changed_last;
	struct orphan *orphans; /* heap, the next to end first */
	uint32_t n_orphans, orphan_room;
	struct btn_member **members; /* of groups, by slot; NULL: nobody has joined one yet */
	struct bt_addr tried;	     /* the local end of the last TCP connect */
	uint16_t tried_port;
};

/* net.c. The entry of a slot to read, which may be that of no socket. */
struct sock *btn_find(const struct bt_net *net, uint32_t slot);
/* The entry to write; NULL: out of memory. */
struct sock *btn_touch(struct bt_net *net, uint32_t slot);
/* A slot's new life: whatever its last one left is forgotten. NULL: out of memory. */
struct sock *btn_begin(struct bt_net *net, uint32_t slot);
/* Has bt_net_changed hand the slot out. */
void btn_mark(struct bt_net *net, uint32_t slot);
/* Frees the slot, when bt_net_changed has told of it. */
void btn_give_up(struct bt_net *net, uint32_t slot);
uint8_t btn_state(const struct bt_net *net, uint32_t slot);
void btn_set_state(struct bt_net *net, uint32_t slot, enum bt_state state);

/* hosts.c */
enum addr_kind {
	ADDR_OTHER,
	ADDR_LOCAL, /* the wildcard, too */
	ADDR_BROADCAST,
	ADDR_MULTICAST,
	ADDR_LINK, /* IPv6 addresses that mean nothing without an interface */
};
enum addr_kind btn_addr_kind(const struct bt_net *net, uint16_t host, const struct bt_addr *addr);

/* groups.c */
void btn_groups_forget(struct bt_net *net, uint32_t slot, uint16_t host);
void btn_groups_free(struct bt_net *net);

/* ends.c */
/* The connection is over; its ends are shown until a call tells that. */
void btn_done(struct bt_net *net, uint32_t slot);
void btn_leave_ports(struct bt_net *net, uint32_t slot);
/* Frees what nobody can name any more. */
void btn_settle(struct bt_net *net, uint32_t slot);

#endif

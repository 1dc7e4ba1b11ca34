/* SPDX-License-Identifier: Apache-2.0 */
/* What carry.c and carry_begin.c share: a connection of a program, and its life. */
#ifndef BERTH_DAEMON_CARRY_H
#define BERTH_DAEMON_CARRY_H

#include "wire.h"

struct carry {
	uv_poll_t poll;
	struct daemon *d;
	struct carry *next;	/* of its place in the table */
	struct carry *changing; /* of those whose state is looked at */
	berth_socket socket;	/* 0: closed */
	uint32_t slot;
	uint32_t carrier; /* slot of the engine's socket in the engine's port space */
	struct bt_port_info tuple;
	int fd;			/* -1: closed */
	uint32_t plug;		/* bytes of it that are still in the descriptor */
	int events;		/* what is polled for */
	bool polled, forgotten; /* by libuv; by us */
	bool connecting, is_changing;
	bool answered;	 /* connected, but for the plug, which the program is just putting in */
	bool in_end;	 /* the program has sent its last */
	bool out_end;	 /* the peer's last has been handed on */
	bool blocked;	 /* the descriptor has no room */
	bool full;	 /* the engine has none */
	bool many;	 /* the program has said more at a time than one part holds */
	bool urgent_in;	 /* the program may have sent an urgent byte that is still to be read */
	bool urgent_out; /* the peer has */
	int said;	 /* an error that a call has told before its event came */
	int error;	 /* the connection is over, and what had come before is handed on yet */
};

struct carry *d_carry_find(uint32_t slot); /* NULL: none */
void d_carry_add(struct carry *c);
void d_carry_changing(struct carry *c); /* its state is to be looked at */
void d_carry_watch(struct carry *c);	/* polls for what is wanted now */
/* Both the descriptor and the engine's socket are done with. */
void d_carry_end(struct carry *c);
void d_carry_take_in(struct carry *c); /* from the program to the engine */
void d_carry_hand_on(struct carry *c); /* and back */
/* A connection has come for a listener of a program. */
void d_carry_accepted(struct daemon *d, uint32_t listener, berth_socket s);

#endif

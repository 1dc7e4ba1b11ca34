/* SPDX-License-Identifier: Apache-2.0 */
/* A request being answered. The table of calls.c says who may ask what; calls_host.c has what
 * concerns hosts, calls.c what concerns sockets. */
#ifndef BERTH_DAEMON_CALLS_H
#define BERTH_DAEMON_CALLS_H

#include "daemon.h"

#include "../proto/events.h"

struct call {
	struct daemon *d;
	struct conn *c;
	const struct bt_req *req;
	const uint8_t *extra;
	int proof;
	struct bt_rep rep;
	const void *rep_extra;
	int fd;
	uint32_t slot;
	bool fresh, silent, away;
	bool close_fd; /* fd is for the reply alone */
	struct bt_addr addr;
	struct bt_reason why;
};

/* bind(2) and listen(2) of k->slot; conflicts with sockets of the dead do not count. */
int d_try_bind(struct call *k, bool root);
int d_try_listen(struct call *k);

/* events.c: a request was answered with r. */
void d_called(const struct call *k, int r);
/* by: the socket in the way, or BT_NO_SLOT. */
void d_refused(const struct call *k, int err, uint32_t by);

/* tally.c: counts it. */
void d_tally_refused(struct daemon *d, const struct bt_refusal *r);
int d_call_tally(struct call *k);

/* calls_ask.c */
int d_call_explain(struct call *k);
int d_call_may_bind(struct call *k);

/* calls_host.c: 0 or a negative errno, the reply filled in. */
int d_call_sysctl(struct call *k);
int d_call_resolve(struct call *k);
int d_call_reverse(struct call *k);
int d_call_hello(struct call *k);
int d_call_host_open(struct call *k);
int d_call_link_set(struct call *k);
int d_call_link_show(struct call *k);
int d_call_link_clear(struct call *k);
int d_call_tap_set(struct call *k);
int d_call_ping(struct call *k);
int d_call_capture(struct call *k);

#endif

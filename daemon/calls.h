/* SPDX-License-Identifier: Apache-2.0 */
/* A request being answered. The table of calls.c says who may ask what; calls.c has what concerns
 * sockets, calls_udp.c and calls_options.c too, calls_host.c what concerns hosts. */
#ifndef BERTH_DAEMON_CALLS_H
#define BERTH_DAEMON_CALLS_H

#include "daemon.h"

#include "../proto/events.h"

struct d_passage;

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
	struct bt_filtered filtered; /* with BT_WHY_FILTERED */
};

/* The request's socket: that it names one which lives and is of the program's host; that the
 * program holds it as well. k->slot is set. */
bool d_known(struct call *k);
bool d_held(struct call *k);
/* d_held, or the fresh one that it asks for. 0 or a negative errno. */
int d_take(struct call *k);
/* What the reply tells of it after the call's result r, which is returned; a fresh socket whose
 * request failed never was. */
int d_finish(struct call *k, int r);
bool d_is_ping(const struct call *k); /* k->slot is a ping socket's */
struct bt_ident d_ident(const struct daemon *d, uint32_t slot);

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
int d_call_counts(struct call *k); /* meter.c */

/* calls_udp.c, calls_options.c */
int d_call_udp_connect(struct call *k);
int d_call_udp_route(struct call *k);
int d_call_udp_send(struct call *k);
int d_call_errqueue(struct call *k);
int d_call_opts(struct call *k);
int d_call_setval(struct call *k);
int d_call_getval(struct call *k);
int d_call_tcp_info(struct call *k);

/* groups.c. many: the request's address is that of several hosts; then the others do what the calls
 * of the same names do. */
bool d_group_many(const struct call *k);
int d_group_connect(struct call *k);
int d_group_route(struct call *k);
int d_group_send(struct call *k, const struct bt_addr *chosen, const uint8_t *data, size_t len);
int d_call_group(struct call *k);

/* filter.c */
int d_call_filter(struct call *k);
/* If the filters do not let it pass: that it was refused. */
void d_filter_tell(struct call *k, const struct d_passage *p);

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

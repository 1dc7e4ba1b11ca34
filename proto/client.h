/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime directory and the way to a network, shared by the command line and berthd. (Programs
 * need none of it: their token says the network id, and the control name follows from that.)
 *
 * A network NAME of the user lives in RUNTIME/NAME/: `lock` (held by berthd with flock for its
 * life), `netid` (16 hex digits), `key` (32 secret bytes, mode 0600), `table`. RUNTIME is
 * $BERTH_RUNTIME_DIR, else $XDG_RUNTIME_DIR/berth, else /dev/shm/berth-UID, else /tmp/berth-UID; it
 * must belong to the user, mode 0700.
 */
#ifndef BERTH_PROTO_CLIENT_H
#define BERTH_PROTO_CLIENT_H

#include "msg.h"

#include <stddef.h>
#include <sys/types.h>

struct bt_client {
	int fd; /* control connection, close-on-exec; -1: none */
	uint32_t serial;
	uint64_t netid;
	const struct bt_table *table; /* mapped read-only, BT_TABLE_BYTES; NULL: none */
};

/* Writes RUNTIME/NAME (made if `make`) to path. 0 or -errno: -EINVAL: not a network's name
 * ([A-Za-z0-9._-], 1 to 32 characters, no leading dot); -EPERM: the directory is somebody else's.
 */
int bt_runtime_dir(const char *network, bool make, char *path, size_t size);

/* Joins the network's berthd as command line. 0 or -errno: -ENOENT, -ECONNREFUSED: not running. */
int bt_client_open(struct bt_client *c, const char *network);
/* The same, starting `berthd` (path of the program) first where it is not running; waits up to 5 s
 * for it. */
int bt_client_start(struct bt_client *c, const char *network, const char *berthd);
void bt_client_close(struct bt_client *c);

/* One request and its reply. extra bytes follow the request; at most *got_extra reply bytes are
 * stored in rep_extra and *got_extra becomes their number. 0 (then rep->err tells) or -errno of the
 * transport. */
int bt_client_call(struct bt_client *c, struct bt_req *req, const void *extra, struct bt_rep *rep,
		   void *rep_extra, size_t *got_extra);

/* The same for an answer that brings a descriptor, in *fd (-1: none came), which is the caller's.
 */
int bt_client_call_fd(struct bt_client *c, struct bt_req *req, const void *extra,
		      struct bt_rep *rep, void *rep_extra, size_t *got_extra, int *fd);

/* The same as bt_client_call, and the request brings the descriptor `give` along (-1: none), which
 * stays the caller's. */
int bt_client_give_fd(struct bt_client *c, struct bt_req *req, const void *extra, int give,
		      struct bt_rep *rep, void *rep_extra, size_t *got_extra);

/* Networks of this user with a running berthd: calls `each` with the name; stops when it returns
 * non-zero. */
int bt_networks(int (*each)(const char *network, void *arg), void *arg);

#endif

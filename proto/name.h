/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel names. A socket's identity is the abstract AF_UNIX name that its descriptor is bound to:
 *
 *	\0berth/NNNNNNNNNNNNNNNN/SSSSSSSS.GGGGGGGG.XXXXXXXXXXXXXXXX	a socket
 *	\0berth/NNNNNNNNNNNNNNNN/ctl					berthd
 *	\0berth/NNNNNNNNNNNNNNNN/self	berthd, for sockets connected to themselves
 *	\0berth/NNNNNNNNNNNNNNNN/wire	berthd, for sockets whose bytes travel in packets
 *	... a socket's name, and /far	berthd's, in the place of such a socket's other end
 *
 * N network id, S slot, G generation, X nonce, all in lower-case hex of
 * fixed width. Fixed width keeps making and reading a name to a few dozen instructions.
 *
 * The kernel keeps abstract names in 256 chains and walks one whenever a name is bound. Where there
 * are many, a socket that connects, whose name only says who it is, gets a file's instead, in a
 * directory of the network's owner (struct bt_table's `names`):
 *
 *	DIRECTORY/NNNNNNNNNNNNNNNN.SSSSSSSS.GGGGGGGG.XXXXXXXXXXXXXXXX
 */
#ifndef BERTH_PROTO_NAME_H
#define BERTH_PROTO_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct bt_ident {
	uint32_t slot, gen;
	uint64_t nonce;
};

/* All return the length for bind(2) and connect(2). */
socklen_t bt_name_make(struct sockaddr_un *sun, uint64_t netid, const struct bt_ident *id);
socklen_t bt_name_control(struct sockaddr_un *sun, uint64_t netid);
socklen_t bt_name_wire(struct sockaddr_un *sun, uint64_t netid);
/* What berthd joins a listener with, for the client `id`. */
socklen_t bt_name_far(struct sockaddr_un *sun, uint64_t netid, const struct bt_ident *id);
socklen_t bt_name_self(struct sockaddr_un *sun, uint64_t netid);
/* 0: the directory's name is empty or too long. */
socklen_t bt_name_path(struct sockaddr_un *sun, const char *directory, uint64_t netid,
		       const struct bt_ident *id);
#define BT_NAME_DIRECTORY 56 /* bytes, with the NUL, that a directory's name may have */
/* False: not a socket's name in this network, of either kind. */
bool bt_name_parse(const struct sockaddr_un *sun, socklen_t len, uint64_t netid,
		   struct bt_ident *out);
/* The same of who is at the other end: a socket, or berthd in its place. */
bool bt_name_parse_peer(const struct sockaddr_un *sun, socklen_t len, uint64_t netid,
			struct bt_ident *out);

#endif

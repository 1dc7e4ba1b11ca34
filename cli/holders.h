/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds what, from /proc: as much of it as this user may read. */
#ifndef BERTH_CLI_HOLDERS_H
#define BERTH_CLI_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BT_COMM = 64 };

struct bt_program {
	int pid;
	char name[BT_COMM];
};

struct bt_holder {
	uint32_t program; /* index */
	int fd;
	uint32_t next; /* in the list of the same inode, UINT32_MAX: last */
};

struct bt_wanted {
	uint32_t ino;	/* 0: free place */
	uint32_t first; /* holder */
};

/* The inodes asked about (open addressing, a power of two of places) and what the walk found. */
struct bt_holders {
	struct bt_wanted *wanted;
	uint32_t places, n_wanted;
	struct bt_program *programs;
	size_t n_programs, program_room;
	struct bt_holder *holders;
	size_t n_holders, holder_room;
};

/* Ask for n inodes at most, say which, walk once, then look up. */
void bt_holders_init(struct bt_holders *h, uint32_t n);
void bt_holders_want(struct bt_holders *h, uint32_t ino);
void bt_holders_walk(struct bt_holders *h);
/* The first holder of an inode, NULL: none found; the rest by bt_holders_next. */
const struct bt_holder *bt_holders_of(const struct bt_holders *h, uint32_t ino);
const struct bt_holder *bt_holders_next(const struct bt_holders *h, const struct bt_holder *of);
void bt_holders_done(struct bt_holders *h);

/* The name of a running program; false: there is none. */
bool bt_program_name(int pid, char name[BT_COMM]);

/* Writes "web: nginx (12), pc: curl (13)": the programs whose token is of this network. */
void bt_programs_of(uint64_t netid, char *text, size_t size);

#endif

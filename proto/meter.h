/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter: how many bytes a program has sent and received, while somebody asks berthd for counts
 * (BT_COUNTS). Where two programs are joined directly nobody else sees the bytes.
 *
 * A program looks at the table's `metered` at each data call that moved something: one load and a
 * branch while nobody asks. Else it adds to its own meter, a sealed memfd that berthd maps
 * read-only (BT_METER brings it), so that none can touch what another counts. Both
 * ends of a connection count; what one cannot see (bytes that libc reads for itself, sendfile) the
 * other mostly does, so the larger of the two is taken.
 */
#ifndef BERTH_PROTO_METER_H
#define BERTH_PROTO_METER_H

#include <stdatomic.h>
#include <stdint.h>

#define BT_METER_ENTRIES 65536u /* descriptors beyond are not counted */

/* Of the descriptor whose number is its place. */
struct bt_meter_entry {
	_Atomic uint32_t slot, gen; /* the socket, BT_SLOT_NONE: none; written when it begins */
	_Atomic uint64_t in, out;   /* bytes since then */
};

struct bt_meter {
	_Atomic uint32_t used; /* entries beyond are 0 */
	uint32_t pad[5];
	struct bt_meter_entry entries[BT_METER_ENTRIES];
};

/* What a meter's memfd must have. */
#define BT_METER_BYTES (((sizeof(struct bt_meter)) + 4095u) & ~4095ul)

_Static_assert(sizeof(struct bt_meter_entry) == 24, "the meter's format");

#endif

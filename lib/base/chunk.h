/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for buffers: chunks of one size from slabs, up to a cap. A queue of bytes (bt_bytes) is a
 * list of chunks; an empty one has none. It remembers two places in the list, so that data which is
 * appended at one and sent or received at another is found without a walk from the start.
 */
#ifndef BERTH_LIB_BASE_CHUNK_H
#define BERTH_LIB_BASE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BT_CHUNK_BYTES 4096u /* with its link; bt_chunk.data is what is left */

struct bt_chunk {
	struct bt_chunk *next;
	uint8_t data[BT_CHUNK_BYTES - sizeof(struct bt_chunk *)];
};

struct bt_chunks; /* a pool */
/* The cap counts whole chunks, those not in use included. NULL: out of memory. */
struct bt_chunks *bt_chunks_new(uint64_t cap_bytes);
void bt_chunks_free(struct bt_chunks *p);	    /* with all its slabs */
struct bt_chunk *bt_chunk_get(struct bt_chunks *p); /* NULL: the cap, or out of memory */
void bt_chunk_put(struct bt_chunks *p, struct bt_chunk *c);
uint64_t bt_chunks_used(const struct bt_chunks *p);  /* bytes in use */
bool bt_chunks_scarce(const struct bt_chunks *p);    /* more than three quarters are in use */
uint64_t bt_chunks_bytes(const struct bt_chunks *p); /* bytes taken from malloc */

/* A stream of bytes: those from `start` on are there, `start` counts what was dropped. Bytes may be
 * written beyond the end with a gap; who writes knows what is there. */
struct bt_bytes {
	struct bt_chunk *first, *last;
	uint32_t head; /* offset of the stream's first byte in the first chunk */
	uint32_t room; /* bytes from there to the end of the last chunk */
	struct {
		struct bt_chunk *chunk; /* NULL: nowhere */
		uint32_t index;		/* its number in the list, from 0 */
	} near[2];			/* the last used is near[0] */
};

/* Makes room for bytes [0, end) counted from the start; end is at most BT_BYTES_MAX. False: no
 * memory; nothing has changed. */
#define BT_BYTES_MAX (1u << 31)
bool bt_bytes_reserve(struct bt_bytes *b, struct bt_chunks *p, uint32_t end);
/* Writes at offset `at` from the start; the room must be there. */
void bt_bytes_write(struct bt_bytes *b, uint32_t at, const void *data, uint32_t len);
void bt_bytes_read(struct bt_bytes *b, uint32_t at, void *data, uint32_t len);
/* The parts of [at, at+len) in iov; how many there are, or 0 where more than max were needed. */
unsigned bt_bytes_parts(struct bt_bytes *b, uint32_t at, uint32_t len, struct iovec *iov,
			unsigned max);
/* The same as far as max parts reach; at least one, unless len is 0. */
unsigned bt_bytes_some(struct bt_bytes *b, uint32_t at, uint32_t len, struct iovec *iov,
		       unsigned max);
/* Drops the first len bytes. */
void bt_bytes_drop(struct bt_bytes *b, struct bt_chunks *p, uint32_t len);
void bt_bytes_clear(struct bt_bytes *b, struct bt_chunks *p);

#endif

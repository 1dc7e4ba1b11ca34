/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system call without libc: no cancellation point, errno untouched, and, inside a program of a
 * host, not one that libberth-preload.so would answer itself.
 */
#ifndef BERTH_PROTO_SYS_H
#define BERTH_PROTO_SYS_H

/* -errno on failure. */
long bt_sys(long number, long a, long b, long c, long d, long e, long f);

#endif

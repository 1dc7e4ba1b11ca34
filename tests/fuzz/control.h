/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A berthd without its loop and its kernel, for arbitrary messages: all of daemon/ but main.c,
 * serve.c and census.c. An input is a list of acts (a message with fields of which most are
 * plausible, a connection's end, time that passes, a timer, what the kernel says is alive), read
 * from its bytes; the same bytes are the same run, since clock and randomness come from here as
 * well.
 *
 * After each act: every socket and its row agree, and ends of connections name each other. After
 * each input: bt_port_check, and when all is closed nothing is left.
 */
#ifndef BERTH_TESTS_FUZZ_CONTROL_H
#define BERTH_TESTS_FUZZ_CONTROL_H

#include <stddef.h>
#include <stdint.h>

/* Faults that are known are avoided unless BERTH_KNOWN is set. Aborts on a violation; prints its
 * line. */
void control_run(const uint8_t *data, size_t size);
/* How many calls there were, and how many of them succeeded. */
void control_counts(unsigned long *calls, unsigned long *good);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, the randomness, the timers and the connections that control.c's berthd sees. */
#ifndef BERTH_TESTS_FUZZ_CONTROL_FAKE_H
#define BERTH_TESTS_FUZZ_CONTROL_FAKE_H

#include "../../daemon/daemon.h"

#define SEC 1000000000ull

extern uint64_t fake_now_ns, fake_random;

/* Runs the which-th timer, if it is set, whatever its time. */
void fake_timer_fire(struct daemon *daemon, unsigned which);

#endif

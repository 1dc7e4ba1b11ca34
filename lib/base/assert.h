/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a mistake of the programmer can make false: always checked, and the end of the process.
 * Never for what comes from outside.
 */
#ifndef BERTH_LIB_BASE_ASSERT_H
#define BERTH_LIB_BASE_ASSERT_H

#define bt_assert(x) (__builtin_expect(!(x), 0) ? __builtin_trap() : (void)0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP's port to this machine: gcc, glibc. */
#ifndef BERTH_BENCH_ENGINE_ARCH_CC_H
#define BERTH_BENCH_ENGINE_ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_RAND() ((u32_t)rand())

#endif

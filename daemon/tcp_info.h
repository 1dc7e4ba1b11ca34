/* SPDX-License-Identifier: Apache-2.0 */
/* TCP_INFO as programs know it. */
#ifndef BERTH_DAEMON_TCP_INFO_H
#define BERTH_DAEMON_TCP_INFO_H

#include "../include/berth/berth.h"

/* The kernel's struct tcp_info of an engine's, in out: its size, or 0: there is no room. */
size_t d_tcp_info(const struct berth_tcp_info *i, void *out, size_t room);

#endif

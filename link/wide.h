/* SPDX-License-Identifier: Apache-2.0 */
/* 128 bits, for a product before it is divided. */
#ifndef BERTH_LINK_WIDE_H
#define BERTH_LINK_WIDE_H

__extension__ typedef unsigned __int128 bt_wide;

#endif

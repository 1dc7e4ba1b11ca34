/* SPDX-License-Identifier: Apache-2.0 */
/* A packet in words, as tcpdump(8) writes it. */
#ifndef BERTH_CLI_PACKET_H
#define BERTH_CLI_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define BT_PACKET_TEXT 512

void bt_packet_text(const uint8_t *packet, size_t len, char text[BT_PACKET_TEXT]);

#endif

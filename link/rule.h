/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a rule of a packet filter (lib/filter/filter.h), in words of nft(8) and iptables(8):
 *
 *	drop in tcp from 10.0.0.0/8 to 192.168.1.100 sport 1024-65535 dport 80 state new
 *	reject out udp dport 53
 *	reject in tcp dport 25 with tcp-reset
 *	accept in state established,related
 *
 * What it does comes first, the rest in any order; what is not said matches everything. Without a
 * direction it is "in".
 */
#ifndef BERTH_LINK_RULE_H
#define BERTH_LINK_RULE_H

#include "../lib/filter/filter.h"

#define BT_RULE_TEXT 320 /* bytes that hold any rule's text, and any error */

/* False: *r is untouched, and error has one sentence without a full stop: what was read, what is
 * accepted. */
bool bt_rule_read(const char *text, struct bt_rule *r, char error[BT_RULE_TEXT]);
/* Of a legal rule; bt_rule_read makes the same rule of it. */
void bt_rule_write(const struct bt_rule *r, char text[BT_RULE_TEXT]);
/* "accept", "drop", "reject"; a policy is one of them. False: not such a word. */
const char *bt_rule_action(enum bt_filter_action action);
bool bt_rule_action_read(const char *word, enum bt_filter_action *action);
/* "in", "out" */
const char *bt_rule_dir(enum bt_filter_dir dir);
/* An address with its prefix length, or "any"; "80", "80-90" or "any"; "new,established" or "any":
 * what a rule's fields are in words. */
void bt_rule_prefix(const struct bt_addr *a, unsigned bits, char text[BT_RULE_TEXT]);
void bt_rule_ports(uint16_t lo, uint16_t hi, char text[BT_RULE_TEXT]);
void bt_rule_states(uint8_t states, char text[BT_RULE_TEXT]);
const char *bt_rule_proto(uint8_t proto);

#endif

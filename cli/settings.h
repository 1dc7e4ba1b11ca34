/* SPDX-License-Identifier: Apache-2.0 */
/* A host's settings (what sysctl shows): reading and writing them by BT_SYSCTL. */
#ifndef BERTH_CLI_SETTINGS_H
#define BERTH_CLI_SETTINGS_H

#include "cli.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BT_SETTING_NAME = 128, BT_SETTING_TEXT = 512, BT_SETTINGS_MAX = 64 };

struct bt_setting {
	char name[BT_SETTING_NAME]; /* with slashes, as the messages have it */
	char text[BT_SETTING_TEXT];
};

struct bt_settings {
	struct bt_setting list[BT_SETTINGS_MAX];
	unsigned n;
};

/* "net.ipv4.x" and "net/ipv4/x" both become the latter: the first separator says which is which, as
 * with sysctl(8). The other way round for people. False: too long or empty. */
bool bt_setting_slashes(const char *name, size_t len, char out[BT_SETTING_NAME]);
void bt_setting_dots(const char *name, char out[BT_SETTING_NAME]);

/* --like, --time-wait and --sysctl in the order that lets the plainer one win. False after saying
 * what is wrong. */
bool bt_settings_read(const struct bt_args *args, struct bt_settings *s);

/* Reads (text NULL) or writes one of host `index`, or reads all (name ""); the answer, without its
 * last new line, is in `answer`. False after saying why not. */
bool bt_setting_call(struct bt_client *c, uint32_t index, const char *host, const char *name,
		     const char *text, char *answer, size_t size, const char *network);

#endif

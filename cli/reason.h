/* SPDX-License-Identifier: Apache-2.0 */
/* Why a call was refused, in words, and what would help. */
#ifndef BERTH_CLI_REASON_H
#define BERTH_CLI_REASON_H

#include "client.h"
#include "events.h"

#include <stddef.h>

/* Both from a refusal whose fields may also be made up: call, err, why, of, by are looked at.
 * left_s: how long until it frees by itself, 0: not known, or not at all. */
void bt_reason_rule(const struct bt_table *t, const struct bt_refusal *r, char *buf, size_t size);
void bt_reason_help(const struct bt_refusal *r, uint64_t left_s, char *buf, size_t size);
/* The rule as one word, for programs: of a BT_WHY_..., or BT_WHY_NONE and the errno. */
const char *bt_reason_word(uint32_t why, int err);
/* "bind", "listen", "connect" */
const char *bt_call_name(uint32_t call);
/* The socket of an end in words: "nginx (pid 7, user joe), 0.0.0.0:80, listening". */
void bt_event_end_words(const struct bt_event_end *e, char *buf, size_t size);

/* "filtered: rule 2 of web drops it: drop in tcp dport 80" */
void bt_filtered_words(const struct bt_table *t, const struct bt_filtered *f, char *buf,
		       size_t size);

#endif

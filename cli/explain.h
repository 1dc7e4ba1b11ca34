/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program gets it, and why. berthd answers with the look-up that a packet would meet
 * (daemon/calls_ask.c); here it becomes sentences.
 */
#ifndef BERTH_CLI_EXPLAIN_H
#define BERTH_CLI_EXPLAIN_H

#include "cli.h"
#include "endpoint.h"

struct bt_question {
	bool udp, from_given;
	struct bt_endpoint from, to; /* from.has_host, to.port: needed */
};

enum { BT_STEP_TEXT = 512 };

/* One step: what is looked at, what came of it, and the socket that it is about. */
struct bt_step {
	const char *what, *verdict; /* words of the schema, doc/schema/explain.json */
	char text[BT_STEP_TEXT];
	uint32_t slot; /* BT_SLOT_NONE: none */
	int32_t pid;   /* 0: none */
	uint32_t score;
};

struct bt_explanation {
	struct bt_step *list;
	size_t n, room;
	bool delivered; /* somebody gets it */
};

/* Sets the sender where none was given: another host than the destination's, if there is one. */
void bt_explain_any_sender(const struct bt_table *t, struct bt_question *q);
/* The question of who gets what comes for this socket, from its peer if it has one. False: it is
 * gone, or nothing can come for it. */
bool bt_explain_socket(const struct bt_table *t, uint32_t slot, uint32_t gen,
		       struct bt_question *q);
/* 0, or an errno: berthd did not tell. bt_explain_done in both cases. */
int bt_explain(struct bt_client *c, const struct bt_question *q, struct bt_explanation *x);
void bt_explain_done(struct bt_explanation *x);

#endif

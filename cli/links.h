/* SPDX-License-Identifier: Apache-2.0 */
/* The links of a network and what they have done, as BT_LINK_SHOW tells. */
#ifndef BERTH_CLI_LINKS_H
#define BERTH_CLI_LINKS_H

#include "client.h"

#include <stddef.h>

/* In the order of the answer. */
enum bt_link_count {
	BT_LINK_PACKETS,
	BT_LINK_BYTES,
	BT_LINK_LOST,
	BT_LINK_QUEUE,
	BT_LINK_DUPLICATED,
	BT_LINK_REORDERED,
	BT_LINK_CORRUPTED,
	BT_LINK_COUNTS,
};

struct bt_link {
	const char *host, *with, *settings; /* with: a host, "*", "tap DEVICE" */
	uint64_t counts[BT_LINK_COUNTS];
};

struct bt_links {
	struct bt_link *list;
	size_t n, room;
	char *text; /* what the words are part of */
};

/* False after saying why there is no answer. bt_links_done in both cases. */
bool bt_links_read(struct bt_client *c, struct bt_links *l);
void bt_links_done(struct bt_links *l);

/* Sets the link between the host and all others, or the one that the first word names, as the words
 * say (berth-link(1)). An exit status, after a sentence if it is not BT_EXIT_OK. */
int bt_link_set(struct bt_client *c, const char *network, const char *host, char *const *words,
		int n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "links.h"

#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *word(char **line)
{
	const char *w = strsep(line, "\t");
	return w ? w : "";
}

bool bt_links_read(struct bt_client *c, struct bt_links *l)
{
	struct bt_req q = {.type = BT_LINK_SHOW};
	struct bt_rep rep;
	size_t got = BT_MSG_MAX;
	*l = (struct bt_links){.text = calloc(1, BT_MSG_MAX + 1)};
	int err = l->text ? bt_client_call(c, &q, NULL, &rep, l->text, &got) : -ENOMEM;
	if (err || rep.err) {
		bt_say("berthd did not tell: %s", strerror(err ? -err : rep.err));
		return false;
	}
	for (char *rest = l->text, *line; (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		if (l->n == l->room)
			l->list = bt_grow(l->list, &l->room, sizeof(*l->list));
		struct bt_link *k = &l->list[l->n++];
		k->host = word(&line);
		k->with = word(&line);
		k->settings = word(&line);
		for (unsigned i = 0; i < BT_LINK_COUNTS; i++)
			k->counts[i] = strtoull(word(&line), NULL, 10);
	}
	return true;
}

void bt_links_done(struct bt_links *l)
{
	free(l->list);
	free(l->text);
	*l = (struct bt_links){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* berth map: the port space, drawn. */
#include "map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As setlocale decides it, without the locale having to be installed. */
static bool terminal_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (unsigned i = 0; i < 3; i++) {
		const char *v = getenv(names[i]);
		if (v && *v)
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return false;
}

static bool write_page(const struct bt_map *m, const char *path)
{
	bool out = strcmp(path, "-") == 0;
	FILE *f = out ? stdout : fopen(path, "we");
	if (f)
		bt_map_html(m, f);
	bool failed = !f || ferror(f);
	if (f && !out && fclose(f) != 0)
		failed = true;
	if (failed && !out)
		bt_say("the page cannot be written to '%s': %s; give another file", path,
		       strerror(errno));
	return !failed;
}

int bt_cmd_map(const struct bt_args *args)
{
	const char *network = bt_args_network(args), *page = bt_args_value(args, BT_OPT_HTML);
	bool json = bt_args_has(args, BT_OPT_JSON);
	struct bt_client c;
	struct bt_map m;
	if (json && page) {
		bt_say("a map is either JSON or a page; leave out --json or --html");
		return BT_EXIT_USAGE;
	}
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status = BT_EXIT_OK;
	if (!bt_map_read(&c, network, args->n_rest ? args->rest[0] : NULL, &m))
		status = BT_EXIT_FAIL;
	else if (page)
		status = write_page(&m, page) ? BT_EXIT_OK : BT_EXIT_FAIL;
	else if (json)
		bt_map_json(&m);
	else
		bt_map_text(&m, terminal_is_utf8());
	bt_map_done(&m);
	bt_client_close(&c);
	return status;
}

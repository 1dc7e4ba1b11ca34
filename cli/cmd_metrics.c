/* SPDX-License-Identifier: Apache-2.0 */
/* berth metrics: the numbers of a network for a monitor, once or whenever it asks. */
#include "metrics.h"

int bt_cmd_metrics(const struct bt_args *args)
{
	const char *network = bt_args_network(args), *listen = bt_args_value(args, BT_OPT_LISTEN);
	struct bt_metrics_at at;
	struct bt_metrics m;
	struct bt_client c;
	if (listen && !bt_metrics_at(listen, &at))
		return BT_EXIT_USAGE;
	if (!bt_join(&c, network))
		return BT_EXIT_FAIL;
	int status;
	if (listen) {
		status = bt_metrics_serve(&c, network, &at);
	} else {
		status = bt_metrics_read(&c, network, &m) ? BT_EXIT_OK : BT_EXIT_FAIL;
		if (status == BT_EXIT_OK)
			bt_metrics_write(&m, stdout);
		bt_metrics_done(&m);
	}
	bt_client_close(&c);
	return status;
}

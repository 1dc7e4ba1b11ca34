/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink requests and filters from anybody. The first byte says which parser the rest is for:
 * NETLINK_ROUTE, NETLINK_SOCK_DIAG, or the filters' own.
 */
#include "../unit/view_help.h"
#include "bytecode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct made rows[] = {
	{6, 4, BT_ROW_LISTEN, "0.0.0.0", 80, "0.0.0.0", 0, 0, 0},
	{6, 4, BT_ROW_ESTABLISHED, "192.168.1.100", 80, "10.0.0.50", 40000, 0, BT_ROWF_CHILD},
	{6, 6, BT_ROW_LISTEN, "::", 443, "::", 0, 0, 0},
	{6, 4, BT_ROW_TIME_WAIT, "127.0.0.1", 41000, "127.0.0.1", 80, 0, 0},
	{17, 4, BT_ROW_CLOSE, "0.0.0.0", 53, "0.0.0.0", 0, 0, 0},
};

static void filter(const uint8_t *code, size_t len)
{
	static const uint8_t src[16] = {127, 0, 0, 1}, dst[16];
	const struct bt_bc_socket v4 = {.family = AF_INET, .src = src, .dst = dst, .sport = 80},
				  v6 = {.family = AF_INET6, .src = src, .dst = dst, .dport = 80};
	if (bt_bc_check(code, len) != 0)
		return;
	bt_bc_match(code, len, &v4);
	bt_bc_match(code, len, &v6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bt_table *table;
	struct bt_view v;
	if (size < 1)
		return 0;
	if (!table)
		table = make_table(rows, sizeof(rows) / sizeof(rows[0]));
	/* Exactly as large as said, so that the sanitizer sees each byte read beyond it. */
	uint8_t *copy = malloc(size - 1);
	struct bt_nl n = {.protocol = data[0] & 1 ? NETLINK_SOCK_DIAG : NETLINK_ROUTE,
			  .port = 5,
			  .strict = data[0] & 4};
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	look(&v, table, 0);
	if (data[0] & 2) {
		filter(copy, size - 1);
	} else {
		bt_nl_answer(&n, &v, copy, size - 1);
		if (!well_formed(&n))
			abort();
		bt_nl_done(&n);
	}
	free(copy);
	return 0;
}

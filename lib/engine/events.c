/* SPDX-License-Identifier: Apache-2.0 */
/* What has become true of sockets since it was last told. The transports keep it; a socket that is
 * let go of leaves their lists, so no event is of a stale handle. */
#include "internal.h"

static bool fill(const struct berth *b, uint32_t slot, uint32_t what, struct berth_event *event)
{
	const struct bt_held *h = bt_held_at(b, slot);

	if (h == NULL || h->type == 0)
		return false;
	*event = (struct berth_event){
		.socket = (uint64_t)h->generation << 32 | slot, .user = h->user, .what = what};
	return true;
}

bool berth_event(struct berth *b, struct berth_event *event)
{
	uint32_t slot, what;

	if (b == NULL || event == NULL)
		return false;
	while (bt_udp_event(b->udp, &slot, &what) || bt_tcp_event(b->tcp, &slot, &what))
		if (fill(b, slot, what, event))
			return true;
	return false;
}

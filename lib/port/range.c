/* SPDX-License-Identifier: Apache-2.0 */
/* IP_LOCAL_PORT_RANGE, which few sockets use: a hash by slot with open addressing, at most half
 * full. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* The place of the slot's entry, or where it would be. */
static uint32_t place(const struct bt_port_net *net, uint32_t slot)
{
	uint32_t i = slot * 2654435769u & (net->ranges_size - 1);

	while (net->ranges[i].slot != slot && net->ranges[i].slot != BT_NO_SLOT)
		i = (i + 1) & (net->ranges_size - 1);
	return i;
}

static bool grow(struct bt_port_net *net)
{
	struct range *old = net->ranges, *ranges;
	uint32_t old_size = net->ranges_size, size = old_size == 0 ? 16 : old_size * 2;

	if (net->n_ranges < old_size / 2)
		return true;
	ranges = malloc(size * sizeof(ranges[0]));
	if (ranges == NULL)
		return false;
	for (uint32_t i = 0; i < size; i++)
		ranges[i].slot = BT_NO_SLOT;
	net->ranges = ranges;
	net->ranges_size = size;
	for (uint32_t i = 0; i < old_size; i++)
		if (old[i].slot != BT_NO_SLOT)
			ranges[place(net, old[i].slot)] = old[i];
	free(old);
	return true;
}

void btp_forget_range(struct bt_port_net *net, uint32_t slot)
{
	uint32_t i;

	if (!(sock_at(net, slot)->flags & SF_RANGE))
		return;
	sock_at(net, slot)->flags &= (uint8_t)~SF_RANGE;
	net->n_ranges--;
	i = place(net, slot);
	net->ranges[i].slot = BT_NO_SLOT;
	/* What stands behind it, up to the next gap, may have to move. */
	for (;;) {
		struct range r;

		i = (i + 1) & (net->ranges_size - 1);
		r = net->ranges[i];
		if (r.slot == BT_NO_SLOT)
			break;
		net->ranges[i].slot = BT_NO_SLOT;
		net->ranges[place(net, r.slot)] = r;
	}
}

struct range btp_range(const struct bt_port_net *net, uint32_t slot)
{
	if (!(sock_at(net, slot)->flags & SF_RANGE))
		return (struct range){slot, 0, 0};
	return net->ranges[place(net, slot)];
}

int bt_port_set_range(struct bt_port_net *net, uint32_t slot, uint16_t lo, uint16_t hi)
{
	if (!btp_slot_used(net, slot))
		return -EBADF;
	if (lo != 0 && hi != 0 && lo > hi)
		return -EINVAL;
	if (lo == 0 && hi == 0) {
		btp_forget_range(net, slot);
		return 0;
	}
	if (!(sock_at(net, slot)->flags & SF_RANGE)) {
		if (!grow(net))
			return -ENOMEM;
		sock_at(net, slot)->flags |= SF_RANGE;
		net->n_ranges++;
	}
	net->ranges[place(net, slot)] = (struct range){slot, lo, hi};
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Options: those of the port space here, the others by the transports. */
#include "internal.h"

#include <stdlib.h>

/* The bit of the port space that an option is, or 0. */
static unsigned port_bit(enum berth_option option)
{
	switch ((int)option) {
	case BERTH_SO_REUSEADDR:
		return BT_REUSEADDR;
	case BERTH_SO_REUSEPORT:
		return BT_REUSEPORT;
	case BERTH_IP_FREEBIND:
		return BT_FREEBIND;
	case BERTH_IPV6_V6ONLY:
		return BT_V6ONLY;
	default:
		return 0;
	}
}

static int set_bit(struct berth *b, uint32_t slot, enum berth_option option, bool on)
{
	unsigned bit = port_bit(option);
	struct bt_port_info info;

	if (!bt_port_get(b->ports, slot, &info))
		return BERTH_EBADF;
	if (bit == BT_V6ONLY) { /* ipv6(7): only before bind */
		if (info.family != BT_V6)
			return BERTH_ENOPROTOOPT;
		if (info.lport != 0)
			return BERTH_EINVAL;
	}
	bt_port_set_opts(b->ports, slot, on ? info.opts | bit : info.opts & ~bit);
	return 0;
}

static int set_device(struct berth *b, uint32_t slot, int64_t value)
{
	struct bt_port_info info;
	struct bt_if_info device = {.dev = 0};

	if (!bt_port_get(b->ports, slot, &info))
		return BERTH_EBADF;
	if (value < 0 || value > UINT16_MAX)
		return BERTH_EINVAL;
	if (value != 0 &&
	    (!bt_ip_if_get(b->ip, (berth_if)value, &device) || device.host != info.host))
		return BERTH_EINVAL;
	bt_port_set_dev(b->ports, slot, device.dev);
	return 0;
}

static int set(struct berth *b, uint32_t slot, enum berth_type type, enum berth_option option,
	       int64_t value)
{
	if (port_bit(option) != 0)
		return set_bit(b, slot, option, value != 0);
	if (option == BERTH_SO_BINDTODEVICE)
		return set_device(b, slot, value);
	if (type == BERTH_TCP)
		return bt_tcp_set(b->tcp, slot, option, value, b->now_ns);
	return bt_udp_set(b->udp, slot, option, value);
}

int berth_set(struct berth *b, berth_socket s, enum berth_option option, int64_t value,
	      uint64_t now_ns)
{
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	(void)bt_engine_enter(b, now_ns);
	return set(b, slot, (enum berth_type)h->type, option, value);
}

int berth_get(const struct berth *b, berth_socket s, enum berth_option option, int64_t *value)
{
	unsigned bit = port_bit(option);
	struct bt_port_info info;
	struct bt_held *h;
	uint32_t slot;
	int r = bt_held_find(b, s, &slot, &h);

	if (r < 0)
		return r;
	if (value == NULL || !bt_port_get(b->ports, slot, &info))
		return BERTH_EINVAL;
	if (bit == BT_V6ONLY && info.family != BT_V6)
		return BERTH_ENOPROTOOPT;
	if (bit != 0)
		*value = (info.opts & bit) != 0;
	else if (option == BERTH_SO_BINDTODEVICE)
		*value = info.dev == 0 ? 0 : bt_ip_if_of_dev(b->ip, info.host, info.dev);
	else if (h->type == BERTH_TCP)
		return bt_tcp_get(b->tcp, slot, option, value);
	else
		return bt_udp_get(b->udp, slot, option, value);
	return 0;
}

/* ---- groups ---- */

/* The slot of a socket that may join groups. A stream is for two (setsockopt: EPROTO). */
static int joiner(const struct berth *b, berth_socket s, const struct berth_addr *group,
		  uint32_t *slot)
{
	struct bt_held *h;
	int r = bt_held_find(b, s, slot, &h);

	if (r < 0)
		return r;
	if (group == NULL)
		return BERTH_EINVAL;
	return h->type == BERTH_TCP ? BERTH_EPROTO : 0;
}

int berth_join(struct berth *b, berth_socket s, const struct berth_addr *group, berth_if i,
	       uint64_t now_ns)
{
	struct bt_addr a;
	uint32_t slot;
	int r = joiner(b, s, group, &slot);

	if (r < 0)
		return r;
	a = bt_from_public(group);
	return bt_udp_join(b->udp, slot, &a, i, bt_engine_enter(b, now_ns));
}

int berth_leave(struct berth *b, berth_socket s, const struct berth_addr *group, berth_if i,
		uint64_t now_ns)
{
	struct bt_addr a;
	uint32_t slot;
	int r = joiner(b, s, group, &slot);

	if (r < 0)
		return r;
	a = bt_from_public(group);
	return bt_udp_leave(b->udp, slot, &a, i, bt_engine_enter(b, now_ns));
}

/* ---- what new sockets have ---- */

void bt_set_defaults(struct berth *b, uint16_t host, uint32_t slot, enum berth_type type)
{
	const struct bt_defaults *d = b->defaults[host];

	for (uint32_t i = 0; d != NULL && i < d->n; i++)
		(void)set(b, slot, type, d->of[i].option, d->of[i].value);
}

/* Whether a value would be taken by a socket of some type: tried on one that is not used. */
static int try_value(struct berth *b, uint16_t host, enum berth_option option, int64_t value)
{
	static const struct {
		enum berth_type type;
		int family;
	} kinds[] = {{BERTH_TCP, 6}, {BERTH_UDP, 6}};
	int result = BERTH_ENOPROTOOPT;

	for (unsigned i = 0; i < 2 && result < 0; i++) {
		berth_socket s;
		int r = berth_open(b, host, kinds[i].type, kinds[i].family, &s);

		if (r < 0)
			return r;
		r = berth_set(b, s, option, value, 0);
		if (r != BERTH_ENOPROTOOPT)
			result = r;
		(void)berth_close(b, s, 0);
	}
	return result;
}

int berth_host_set(struct berth *b, berth_host host, enum berth_option option, int64_t value)
{
	struct bt_defaults *d;
	uint32_t i = 0;
	int r;

	if (b == NULL || host >= b->n_hosts)
		return BERTH_EINVAL;
	if (option == BERTH_SO_BINDTODEVICE)
		return BERTH_ENOPROTOOPT;
	r = try_value(b, host, option, value);
	if (r < 0)
		return r;
	if (b->defaults[host] == NULL)
		b->defaults[host] = calloc(1, sizeof(*d));
	d = b->defaults[host];
	if (d == NULL)
		return BERTH_ENOMEM;
	while (i < d->n && d->of[i].option != option)
		i++;
	bt_assert(i < BT_DEFAULTS_MAX);
	if (i == d->n)
		d->n++;
	d->of[i].option = option;
	d->of[i].value = value;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts and their interfaces. Interfaces are numbered through the engine (berth_if), and in their
 * host (dev: 1 lo, 2 eth0), which is what the port space knows. */
#include "internal.h"

#include <stdlib.h>

#define HOSTS_MAX 65534u
#define IFS_MAX	  65535u

struct bt_iface *bt_host_lo(const struct bt_ip *ip, const struct bt_host *h)
{
	return ip->ifs[h->ifs[0]];
}

bool bt_ip_host_exists(const struct bt_ip *ip, uint16_t host)
{
	return bt_host(ip, host) != NULL;
}

/* Room for one pointer more in an array of n that grows by powers of two. */
static void *more(void *array, uint32_t n)
{
	if (n != 0 && (n & (n - 1)) != 0)
		return array;
	return realloc(array, (n == 0 ? 1 : (size_t)n * 2) * sizeof(void *));
}

int bt_ip_host_add(struct bt_ip *ip)
{
	struct berth_if_config lo = {.flags = BERTH_IF_TX_CHECKSUM | BERTH_IF_RX_CHECKSUM |
					      BERTH_IF_TSO,
				     .mtu = BT_IP_MAX,
				     .name = "lo"};
	struct bt_addr v4 = bt_addr_v4(0x7f000001), v6 = bt_addr_loopback6();
	struct bt_host *h, **hosts;
	int i;

	if (ip->n_hosts >= HOSTS_MAX)
		return BERTH_ENFILE;
	hosts = more(ip->hosts, ip->n_hosts);
	if (hosts == NULL)
		return BERTH_ENOMEM;
	ip->hosts = hosts;
	h = bt_ip_alloc(ip, sizeof(*h));
	if (h == NULL)
		return BERTH_ENOMEM;
	h->number = (uint16_t)ip->n_hosts;
	h->icmp_tokens = 50;
	h->icmp_ns = ip->now_ns;
	hosts[ip->n_hosts++] = h;
	i = bt_if_new(ip, h, &lo, true, 0);
	if (i > 0 && bt_ip_addr_add(ip, (berth_if)i, &v4, 8, 0) == 0 &&
	    bt_ip_addr_add(ip, (berth_if)i, &v6, 128, 0) == 0)
		return h->number;
	if (i > 0) {
		bt_ip_addr_del(ip, (berth_if)i, &v4, 0);
		bt_if_free(ip, ip->ifs[--ip->n_ifs]);
	}
	ip->n_hosts--;
	bt_ip_dealloc(ip, h, sizeof(*h));
	return i > 0 ? BERTH_ENOMEM : i;
}

static bool config_ok(const struct berth_if_config *c)
{
	const uint32_t known = BERTH_IF_ETHERNET | BERTH_IF_TX_CHECKSUM | BERTH_IF_RX_CHECKSUM |
			       BERTH_IF_TSO | BERTH_IF_DOWN;

	if ((c->flags & ~known) != 0 || (c->mtu != 0 && (c->mtu < 68 || c->mtu > BT_IP_MAX)))
		return false;
	if ((c->flags & BERTH_IF_ETHERNET) == 0)
		return true;
	return (c->mac[0] & 1) == 0; /* not a group's */
}

static void configure(struct bt_iface *f, const struct berth_if_config *c)
{
	f->flags = c->flags;
	f->mtu = c->mtu != 0 ? c->mtu : 1500;
	memcpy(f->mac, c->mac, sizeof(f->mac));
	if (c->name[0] != 0) {
		memcpy(f->name, c->name, sizeof(f->name));
		f->name[sizeof(f->name) - 1] = 0;
	}
}

int bt_if_new(struct bt_ip *ip, struct bt_host *h, const struct berth_if_config *config, bool lo,
	      uint64_t now_ns)
{
	struct bt_iface *f, **ifs;

	(void)now_ns;
	if (h->n_ifs == BT_HOST_IFS || ip->n_ifs >= IFS_MAX)
		return BERTH_ENFILE;
	ifs = more(ip->ifs, ip->n_ifs);
	if (ifs == NULL)
		return BERTH_ENOMEM;
	ip->ifs = ifs;
	f = bt_ip_alloc(ip, sizeof(*f));
	if (f == NULL)
		return BERTH_ENOMEM;
	f->host = h->number;
	f->i = (berth_if)ip->n_ifs;
	f->lo = lo;
	f->dev = (uint8_t)(h->n_ifs + 1);
	memcpy(f->name, "eth", 3);
	if (f->dev >= 12) /* eth10 and above */
		f->name[3] = '1';
	f->name[f->dev >= 12 ? 4 : 3] = (char)('0' + (f->dev + 8) % 10);
	configure(f, config);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		f->querier[v6].general.kind = BT_TIMER_GENERAL;
		f->querier[v6].older.kind = BT_TIMER_OLDER;
		f->querier[v6].i = f->i;
		f->querier[v6].v6 = v6 == 1;
	}
	ifs[ip->n_ifs++] = f;
	h->ifs[h->n_ifs++] = f->i;
	return f->i;
}

void bt_if_free(struct bt_ip *ip, struct bt_iface *f)
{
	bt_neigh_flush(ip, f);
	bt_groups_free(ip, f);
	bt_addrs_free(ip, f);
	bt_ip_dealloc(ip, f, sizeof(*f));
}

int bt_ip_if_add(struct bt_ip *ip, uint16_t host, const struct berth_if_config *config,
		 uint64_t now_ns)
{
	struct bt_host *h = bt_host(ip, host);
	int i, r;

	if (h == NULL)
		return BERTH_ENOENT;
	if (!config_ok(config))
		return BERTH_EINVAL;
	i = bt_if_new(ip, h, config, false, now_ns);
	if (i < 0)
		return i;
	r = bt_addr_add_link_local(ip, ip->ifs[i], now_ns);
	if (r < 0) {
		bt_if_free(ip, ip->ifs[--ip->n_ifs]);
		h->n_ifs--;
		return r;
	}
	bt_ip_changed(ip);
	return i;
}

int bt_ip_if_set(struct bt_ip *ip, berth_if i, const struct berth_if_config *config,
		 uint64_t now_ns)
{
	struct bt_iface *f = bt_iface(ip, i);
	struct berth_if_config was;

	if (f == NULL)
		return BERTH_ENOENT;
	if (!config_ok(config) || (f->lo && (config->flags & BERTH_IF_ETHERNET) != 0))
		return BERTH_EINVAL;
	was = (struct berth_if_config){.flags = f->flags, .mtu = f->mtu};
	memcpy(was.mac, f->mac, sizeof(was.mac));
	configure(f, config);
	/* what the old link address and kind of link brought about */
	if (((was.flags ^ f->flags) & (BERTH_IF_ETHERNET | BERTH_IF_DOWN)) != 0 ||
	    memcmp(was.mac, f->mac, 6) != 0) {
		struct bt_addr old = bt_addr_link_local(was.mac);

		bt_neigh_flush(ip, f);
		if ((was.flags & BERTH_IF_ETHERNET) != 0 && memcmp(was.mac, f->mac, 6) != 0)
			bt_ip_addr_del(ip, i, &old, now_ns);
	}
	bt_ip_changed(ip);
	return f->lo ? 0 : bt_addr_add_link_local(ip, f, now_ns);
}

int bt_ip_forwarding(struct bt_ip *ip, uint16_t host, bool on)
{
	struct bt_host *h = bt_host(ip, host);

	if (h == NULL)
		return BERTH_ENOENT;
	h->forwarding = on;
	return 0;
}

bool bt_ip_if_get(const struct bt_ip *ip, berth_if i, struct bt_if_info *info)
{
	const struct bt_iface *f = bt_iface(ip, i);

	if (f == NULL)
		return false;
	info->host = f->host;
	info->dev = f->dev;
	info->flags = f->flags;
	info->mtu = f->mtu;
	memcpy(info->mac, f->mac, sizeof(info->mac));
	memcpy(info->name, f->name, sizeof(info->name));
	return true;
}

berth_if bt_ip_if_of_dev(const struct bt_ip *ip, uint16_t host, uint8_t dev)
{
	const struct bt_host *h = bt_host(ip, host);

	return h != NULL && dev >= 1 && dev <= h->n_ifs ? h->ifs[dev - 1] : 0;
}

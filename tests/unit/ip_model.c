/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes against a naive model: random tables of one host in both families, asked for random
 * addresses near their prefixes. BERTH_SEED and BERTH_OPS as in port_model.c.
 */
#include "model.h"

#include "../../lib/base/wheel.h"
#include "../../lib/ip/ip.h"

#define IFS	6
#define ROUTES	200
#define SEC	1000000000ull
#define NEXTHOP 9 /* of each link: x.9 */

struct route {
	bool used, connected;
	struct bt_addr prefix;
	unsigned bits; /* of 128 */
	uint32_t metric;
	unsigned f; /* which interface */
	bool via;
	unsigned serial;
};

static struct bt_ip *ip;
static struct bt_wheel *wheel;
static berth_if ifs[IFS];
static bool down[IFS];
static struct route routes[ROUTES];
static unsigned serials;

static struct bt_addr on_link(unsigned f, bool is6, unsigned host)
{
	struct bt_addr a = {
		{0xfd, 0, 0, 0, 0, 0, 0, (uint8_t)f, 0, 0, 0, 0, 0, 0, 0, (uint8_t)host}};

	return is6 ? a : bt_addr_v4(192u << 24 | f << 8 | host);
}

/* Few bits of freedom, so that prefixes lie in each other. */
static struct bt_addr random_addr(bool is6)
{
	uint32_t bits = 0;

	for (unsigned k = 0; k < 4; k++)
		bits |= 1u << rnd(32);
	if (!is6)
		return bt_addr_v4((bits & 0x0fffffff) | 10u << 24);
	return (struct bt_addr){{0xfd, 1, (uint8_t)rnd(2), (uint8_t)(bits >> 24), 0, 0,
				 (uint8_t)(bits >> 16), 0, 0, 0, 0, 0, 0, (uint8_t)rnd(2),
				 (uint8_t)(bits >> 8), (uint8_t)bits}};
}

static struct bt_addr cut(struct bt_addr a, unsigned bits)
{
	for (unsigned k = bits; k < 128; k++)
		a.b[k / 8] &= (uint8_t) ~(0x80 >> k % 8);
	return a;
}

static struct route *naive(const struct bt_addr *dst)
{
	struct route *best = NULL;

	for (unsigned k = 0; k < ROUTES; k++) {
		struct route *r = &routes[k];

		if (!r->used || down[r->f] || bt_addr_is_v4(dst) != bt_addr_is_v4(&r->prefix) ||
		    (bt_addr_is_v4(dst) ? r->bits < 96 : false) ||
		    !bt_addr_same_prefix(&r->prefix, dst, r->bits))
			continue;
		if (best == NULL || r->bits > best->bits ||
		    (r->bits == best->bits && r->metric < best->metric) ||
		    (r->bits == best->bits && r->metric == best->metric &&
		     r->serial < best->serial))
			best = r;
	}
	return best;
}

static bool is_v4(const struct route *r)
{
	return bt_addr_is_v4(&r->prefix);
}

static void add_route(void)
{
	bool is6 = rnd(2) == 0, exists = false, via = rnd(2) == 0;
	unsigned least = is6 ? 0 : 96, bits = least + rnd(129 - least), f = rnd(IFS), k = 0;
	struct bt_addr prefix = random_addr(is6), hop = on_link(f, is6, NEXTHOP);
	uint32_t metric = rnd(4);
	int r;

	if (rnd(8) == 0)
		bits = least;
	prefix = cut(prefix, bits);
	if (bits == 0)
		prefix = (struct bt_addr){{0}};
	for (unsigned j = 0; j < ROUTES; j++)
		exists |= routes[j].used && !routes[j].connected && routes[j].bits == bits &&
			  routes[j].metric == metric && bt_addr_eq(&routes[j].prefix, &prefix);
	while (k < ROUTES && routes[k].used)
		k++;
	if (k == ROUTES)
		return;
	r = bt_ip_route_add(ip, 0, &prefix, bits - least, via ? &hop : NULL, ifs[f], metric);
	if (via && down[f]) {
		MUST(r == BERTH_ENETUNREACH || r == 0);
		if (r != 0)
			return;
	}
	MUST(r == (exists ? BERTH_EEXIST : 0));
	if (r == 0)
		routes[k] = (struct route){true, false, prefix, bits, metric, f, via, serials++};
}

static void del_route(void)
{
	struct route *r = &routes[rnd(ROUTES)], *first = NULL;

	if (!r->used || r->connected)
		return;
	for (unsigned k = 0; k < ROUTES; k++) { /* the best one of that prefix goes, up or down */
		struct route *o = &routes[k];

		if (o->used && o->bits == r->bits && bt_addr_eq(&o->prefix, &r->prefix) &&
		    (first == NULL || o->metric < first->metric ||
		     (o->metric == first->metric && o->serial < first->serial)))
			first = o;
	}
	MUST(bt_ip_route_del(ip, 0, &r->prefix, r->bits - (is_v4(r) ? 96 : 0)) == 0);
	first->used = false;
}

static void flip(void)
{
	unsigned f = rnd(IFS);
	struct berth_if_config c = {.flags = down[f] ? 0 : BERTH_IF_DOWN};

	MUST(bt_ip_if_set(ip, ifs[f], &c, 0) == 0);
	down[f] = !down[f];
}

static void look(void)
{
	bool is6 = rnd(2) == 0;
	struct bt_addr dst = random_addr(is6), src = on_link(0, is6, 1);
	struct bt_path path = {0};
	struct route *want;
	int r;

	if (rnd(4) == 0)
		dst = on_link(rnd(IFS + 1), is6, 2 + rnd(7));
	want = naive(&dst);
	r = bt_ip_path(ip, 0, &src, &dst, 0, &path);
	MUST(r == (want != NULL ? 0 : BERTH_ENETUNREACH));
	if (want != NULL)
		MUST(path.i == ifs[want->f]);
}

static void setup(void)
{
	static const uint8_t key[16] = {1};
	struct berth_if_config c = {0};

	wheel = bt_wheel_new(0);
	ip = bt_ip_new(key, wheel, 0);
	MUST(ip != NULL && bt_ip_host_add(ip) == 0);
	memset(routes, 0, sizeof(routes));
	memset(down, 0, sizeof(down));
	for (unsigned f = 0; f < IFS; f++) {
		ifs[f] = (berth_if)bt_ip_if_add(ip, 0, &c, 0);
		for (unsigned is6 = 0; is6 < 2; is6++) {
			struct bt_addr a = on_link(f, is6 == 1, 1);

			MUST(bt_ip_addr_add(ip, ifs[f], &a, is6 ? 64 : 24, 0) == 0);
			routes[2 * f + is6] = (struct route){
				true,  true,	 cut(a, is6 ? 64 : 120), is6 ? 64 : 120, 0, f,
				false, serials++};
		}
	}
}

int main(void)
{
	const char *s = getenv("BERTH_SEED"), *o = getenv("BERTH_OPS");
	uint64_t first = s != NULL ? strtoull(s, NULL, 10) : 1, last = s != NULL ? first : 20;
	unsigned ops = o != NULL ? (unsigned)strtoul(o, NULL, 10) : 20000;

	for (seed = first; seed <= last; seed++) {
		rng = seed;
		setup();
		for (op = 0; op < ops; op++) {
			switch (rnd(16)) {
			case 0:
				add_route();
				break;
			case 1:
				del_route();
				break;
			case 2:
				if (rnd(16) == 0)
					flip();
				break;
			default:
				look();
			}
		}
		bt_ip_free(ip);
		bt_wheel_free(wheel);
	}
	printf("%u operations with each of %llu seeds\n", ops,
	       (unsigned long long)(last - first + 1));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments out and in. BERTH_SEED repeats the random ones. */
#include "ip_help.h"

#include "model.h"

/* Two hosts with bare IP between them. */
static struct two bare_hosts(struct net *n, uint32_t mtu)
{
	struct two t = {(uint16_t)bt_ip_host_add(n->ip), (uint16_t)bt_ip_host_add(n->ip), 0, 0};

	t.ia = add_if(n, t.a, 0, mtu, 0);
	t.ib = add_if(n, t.b, 0, 1500, 0);
	add_addr(n, t.ia, v4(10, 0, 0, 1), 24);
	add_addr(n, t.ib, v4(10, 0, 0, 2), 24);
	if (mtu >= 1280)
		add_addr(n, t.ia, v6(1, 1), 64);
	add_addr(n, t.ib, v6(1, 2), 64);
	advance(n, 3 * SEC);
	forget_logs(n);
	return t;
}

static void settle(struct net *n)
{
	advance(n, 61 * SEC);
	bt_ip_reap(n->ip);
	assert_int_equal(bt_ip_copies(n->ip), 0);
}

/* RFC 791 3.2, RFC 8200 4.5: every order, and duplicates, give the datagram once. */
static void round_trips(void **state)
{
	(void)state;
	for (op = 0; op < 400; op++) {
		bool is6 = rnd(2) == 0;
		uint32_t mtu = is6 ? 1280 + rnd(221) : 68 + rnd(1433);
		uint32_t most = (mtu - 60) / 8 * 8 * 200, len = rnd(most < 65400 ? most : 65400);
		struct net n;
		struct two t;
		uint32_t cut, order[2048], count = 0;
		struct send how = {.no_checksum = false};

		net_init(&n);
		t = bare_hosts(&n, mtu);
		if (is6)
			send_and_carry(&n, t.a, v6(1, 1), v6(1, 2), len, &how);
		else
			send_and_carry(&n, t.a, v4(10, 0, 0, 1), v4(10, 0, 0, 2), len, &how);
		cut = n.n_frames;
		MUST(cut >= 1 && cut <= BT_IP_DATAGRAM_PIECES);
		for (uint32_t k = 0; k < cut; k++) {
			MUST(n.frames[k].len <= mtu);
			order[count++] = k;
			if (cut > 1 && rnd(8) == 0 && k + 1 < cut)
				order[count++] = k; /* each twice at most */
		}
		for (uint32_t k = count - 1; k > 0; k--) {
			uint32_t other = rnd(k + 1), was = order[k];

			order[k] = order[other];
			order[other] = was;
		}
		for (uint32_t k = 0; k < count; k++)
			give(&n, t.ib, n.frames[order[k]].all, n.frames[order[k]].len);
		MUST(n.n_gots >= 1);
		MUST(n.gots[0].rx.len == 8 + len);
		MUST(n.gots[0].rx.proto == 17);
		MUST(n.gots[0].rx.ip_len == len + 8 + (is6 ? 40 : 20));
		for (uint32_t k = 0; k < len; k++)
			MUST(n.gots[0].data[8 + k] == (uint8_t)(k * 7 + k / 251));
		settle(&n);
		net_done(&n);
	}
}

static uint32_t piece4(uint8_t *p, uint16_t id, uint32_t offset, bool more, const uint8_t *data,
		       uint32_t len)
{
	struct bt_ipv4 h = {.ttl = 9,
			    .proto = 17,
			    .total_len = (uint16_t)(20 + len),
			    .id = id,
			    .offset = (uint16_t)offset,
			    .mf = more,
			    .src = v4(10, 0, 0, 1),
			    .dst = v4(10, 0, 0, 2)};

	bt_ipv4_write(p, &h);
	memcpy(p + 20, data, len);
	return 20 + len;
}

static uint32_t piece6(uint8_t *p, uint32_t id, uint32_t offset, bool more, const uint8_t *data,
		       uint32_t len)
{
	uint8_t part[2000];

	bt_ipv6_fragment_write(part, 17, (uint16_t)offset, more, id);
	memcpy(part + 8, data, len);
	return make6(p, v6(1, 1), v6(1, 2), 44, 9, part, 8 + len);
}

/* What a receiver must make of pieces, byte by byte. */
struct naive {
	bool have[256], dead, done;
	uint32_t end;
	struct {
		uint32_t from, to;
		bool more;
		uint8_t fill;
	} pieces[64];
	unsigned n;
};

static void naive_piece(struct naive *m, uint32_t from, uint32_t to, bool more, uint8_t fill)
{
	uint32_t filled = 0, last = 0;

	if (m->dead || m->done)
		return;
	for (unsigned k = 0; k < m->n; k++)
		if (m->pieces[k].from == from && m->pieces[k].to == to &&
		    m->pieces[k].more == more && m->pieces[k].fill == fill)
			return;
	for (uint32_t k = 0; k < 256; k++) {
		if (m->have[k] && k >= from && k < to)
			m->dead = true;
		if (m->have[k])
			last = k + 1;
	}
	if (m->end != 0 && (to > m->end || (!more && to != m->end)))
		m->dead = true;
	if (!more && last > to)
		m->dead = true;
	if (m->dead)
		return;
	for (uint32_t k = from; k < to; k++)
		m->have[k] = true;
	if (!more)
		m->end = to;
	m->pieces[m->n].from = from;
	m->pieces[m->n].to = to;
	m->pieces[m->n].more = more;
	m->pieces[m->n++].fill = fill;
	for (uint32_t k = 0; k < 256; k++)
		filled += m->have[k];
	m->done = m->end != 0 && filled == m->end;
}

/* RFC 5722 3, RFC 8200 4.5: random pieces, overlapping, lying about the end, changed duplicates */
static void overlaps(void **state)
{
	unsigned whole = 0, dead = 0;
	struct net n;
	struct two t;

	(void)state;
	net_init(&n);
	t = bare_hosts(&n, 1500);
	for (op = 0; op < 20000; op++) {
		struct naive m = {.n = 0};
		bool is6 = rnd(2) == 0;
		uint32_t size = 8 * (1 + rnd(8)), count = 1 + rnd(12);

		forget_logs(&n);
		for (unsigned k = 0; k < count && !m.done; k++) {
			uint32_t from = 8 * rnd(size / 8), to = from + 8 * (1 + rnd(3));
			uint8_t data[256], p[400], fill = (uint8_t)(rnd(16) == 0);
			bool more;
			uint32_t len;

			if (to >= size && rnd(8) != 0)
				to = size;
			/* from 0 without more is no fragment, or an atomic one */
			more = to != size || from == 0 || rnd(16) == 0;
			if (!more && rnd(16) == 0)
				to -= 3;
			for (uint32_t at = from; at < to; at++)
				data[at - from] = (uint8_t)(at + fill);
			naive_piece(&m, from, to, more, fill);
			len = is6 ? piece6(p, op, from, more, data, to - from)
				  : piece4(p, (uint16_t)op, from, more, data, to - from);
			give(&n, t.ib, p, len);
		}
		MUST(n.n_gots == (m.done ? 1 : 0));
		if (m.done)
			MUST(n.gots[0].rx.len == m.end);
		whole += m.done;
		dead += m.dead;
		if (op % 64 == 63)
			advance(&n, 61 * SEC);
	}
	assert_true(whole > 1000 && dead > 1000);
	settle(&n);
	net_done(&n);
}

/* Budgets: fragments that cost memory (CVE-2018-5391): the oldest give way, what comes
 * after still gets through. */
static void budgets(void **state)
{
	struct net n;
	struct two t;
	uint8_t data[1400] = {0}, p[1500];
	size_t before;
	uint32_t len;

	(void)state;
	net_init(&n);
	t = bare_hosts(&n, 1500);
	before = bt_ip_bytes(n.ip);
	for (uint32_t k = 0; k < 20000; k++) { /* in bytes */
		len = piece4(p, (uint16_t)k, 8, true, data, 1400);
		give(&n, t.ib, p, len);
	}
	assert_true(drops(&n, t.b, BERTH_DROP_FRAGMENT_BUDGET) > 10000);
	assert_true(bt_ip_bytes(n.ip) - before < BT_IP_REASS_BYTES + (1u << 20));
	for (uint32_t k = 0; k < 30000; k++) { /* in pieces */
		len = piece6(p, k, 8, true, data, 8);
		give(&n, t.ib, p, len);
		assert_true(bt_ip_copies(n.ip) <= BT_IP_REASS_PIECES);
	}
	len = piece4(p, 7, 8, false, data, 100);
	give(&n, t.ib, p, len);
	len = piece4(p, 7, 0, true, data, 8);
	give(&n, t.ib, p, len);
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(n.gots[0].rx.len, 108);
	/* one datagram in crumbs */
	settle(&n);
	for (uint32_t k = 0; k <= BT_IP_DATAGRAM_PIECES; k++) {
		len = piece4(p, 9, 16 * k, true, data, 8);
		give(&n, t.ib, p, len);
	}
	assert_int_equal(bt_ip_copies(n.ip), 0);
	settle(&n);
	net_done(&n);
}

/* RFC 792, RFC 1122 3.3.2, RFC 8200 4.5: told only to who sent the first fragment */
static void times_out(void **state)
{
	struct net n;
	struct two t;
	uint8_t data[1400] = {0}, p[1500];
	struct bt_icmp m;
	struct bt_ipv6 h;

	(void)state;
	net_init(&n);
	t = bare_hosts(&n, 1500);
	give(&n, t.ib, p, piece4(p, 1, 0, true, data, 1000));
	give(&n, t.ib, p, piece4(p, 2, 8, true, data, 1000));
	give(&n, t.ib, p, piece6(p, 1, 0, true, data, 1000));
	give(&n, t.ib, p, piece6(p, 2, 8, true, data, 1000));
	advance(&n, 29 * SEC);
	assert_int_equal(n.n_frames, 0);
	advance(&n, 2 * SEC);
	assert_int_equal(n.n_frames, 1);
	assert_true(bt_icmp_read(n.frames[0].data + 20, n.frames[0].len - 20, BT_V4, &m));
	assert_int_equal(m.kind, BT_ICMP_TIME_EXCEEDED);
	assert_int_equal(m.code, 1);
	assert_int_equal(n.frames[0].len, 576); /* RFC 1812 4.3.2.3 */
	advance(&n, 30 * SEC);
	assert_int_equal(n.n_frames, 2);
	assert_int_equal(bt_ipv6_read(n.frames[1].data, n.frames[1].len, &h), BT_IP_OK);
	assert_true(bt_icmp_read(n.frames[1].data + 40, n.frames[1].len - 40, BT_V6, &m));
	assert_int_equal(m.kind, BT_ICMP_TIME_EXCEEDED);
	assert_int_equal(m.code, 1);
	assert_int_equal(n.frames[1].data[48 + 6], 44); /* quoted as it came */
	assert_int_equal(drops(&n, t.b, BERTH_DROP_FRAGMENT_TIMEOUT), 4);
	net_done(&n);
}

static void malformed(void **state)
{
	struct net n;
	struct two t;
	uint8_t data[1400] = {0}, p[1500];
	struct bt_icmp m;

	(void)state;
	net_init(&n);
	t = bare_hosts(&n, 1500);
	/* RFC 8200 4.5: a length that is no multiple of 8 where more follows */
	give(&n, t.ib, p, piece6(p, 1, 8, true, data, 1001));
	carry(&n);
	assert_int_equal(n.n_frames, 1);
	assert_true(bt_icmp_read(n.frames[0].data + 40, n.frames[0].len - 40, BT_V6, &m));
	assert_int_equal(m.kind, BT_ICMP_PARAMETER);
	assert_int_equal(m.code, 0);
	assert_int_equal(m.pointer, 4);
	/* beyond the largest packet (CVE-1999-0128) */
	give(&n, t.ib, p, piece6(p, 1, 65528, false, data, 800));
	give(&n, t.ib, p, piece4(p, 1, 65528, false, data, 800));
	give(&n, t.ib, p, piece4(p, 1, 8, true, data, 801));
	assert_int_equal(drops(&n, t.b, BERTH_DROP_FRAGMENT_MALFORMED), 4);
	/* RFC 7112: the first fragment has all headers */
	piece6(p, 3, 0, true, data, 8);
	p[40] = 6; /* TCP's are 20 */
	give(&n, t.ib, p, 56);
	carry(&n);
	assert_int_equal(drops(&n, t.b, BERTH_DROP_FRAGMENT_MALFORMED), 5);
	assert_true(bt_icmp_read(n.frames[n.n_frames - 1].data + 40, 100, BT_V6, &m));
	assert_int_equal(m.code, 3);
	assert_int_equal(bt_ip_copies(n.ip), 0);
	/* RFC 6946: an atomic fragment is whole by itself, whatever else has its identification */
	give(&n, t.ib, p, piece6(p, 5, 8, false, data, 16));
	assert_int_equal(give(&n, t.ib, p, piece6(p, 5, 0, false, data, 16)), BT_IP_PACKET);
	assert_int_equal(n.gots[0].rx.len, 16);
	settle(&n);
	net_done(&n);
}

/* RFC 3168 5.3 */
static void ecn(void **state)
{
	static const struct {
		uint8_t first, second, want;
	} cases[] = {{0, 0, 0}, {2, 2, 2}, {2, 3, 3}, {3, 2, 3}, {1, 3, 3}, {3, 3, 3}, {0, 3, 99}};
	struct net n;
	struct two t;
	uint8_t data[100] = {0}, p[200];

	(void)state;
	net_init(&n);
	t = bare_hosts(&n, 1500);
	for (unsigned k = 0; k < 2 * sizeof(cases) / sizeof(cases[0]); k++) {
		unsigned c = k / 2;

		forget_logs(&n);
		for (unsigned part = 0; part < 2; part++) {
			uint8_t tos = part == 0 ? cases[c].first : cases[c].second;
			uint32_t len;

			tos |= 0x20;
			if (k % 2 == 0) {
				len = piece4(p, (uint16_t)k, part * 8, part == 0, data, 8);
				p[1] = tos;
				bt_put16(p + 10, 0);
				bt_csum_put(p + 10, bt_csum_add(0, p, 20));
			} else {
				len = piece6(p, k, part * 8, part == 0, data, 8);
				p[0] = (uint8_t)(0x60 | tos >> 4);
				p[1] = (uint8_t)(tos << 4);
			}
			give(&n, t.ib, p, len);
		}
		assert_int_equal(n.n_gots, cases[c].want == 99 ? 0 : 1);
		if (cases[c].want != 99)
			assert_int_equal(n.gots[0].rx.tos, cases[c].want | 0x20);
	}
	settle(&n);
	net_done(&n);
}

/* RFC 791 3.1: a router's pieces have those options that are marked to be copied, the first all. */
static void options(void **state)
{
	struct net n;
	uint16_t h;
	berth_if in, out;
	uint8_t p[1500] = {0};
	struct bt_ipv4 ip;

	(void)state;
	net_init(&n);
	h = (uint16_t)bt_ip_host_add(n.ip);
	in = add_if(&n, h, 0, 1500, 0);
	out = add_if(&n, h, 0, 300, 0);
	add_addr(&n, in, v4(10, 0, 0, 2), 24);
	add_addr(&n, out, v4(10, 0, 1, 2), 24);
	bt_ip_forwarding(n.ip, h, true);
	p[0] = 0x4a; /* 20 bytes of options */
	bt_put16(p + 2, 1000);
	bt_put16(p + 4, 77);
	p[8] = 9;
	p[9] = 17;
	bt_put32(p + 12, 0x0a000001);
	bt_put32(p + 16, 0x0a000109);
	memcpy(p + 20,
	       "\x01\x07\x07\x04\0\0\0\x01" /* NOP, record route, NOP */
	       "\x94\x04\0\0"		    /* router alert: copied */
	       "\x99\x03\x01\0\0\0\0\0",
	       20); /* another, copied */
	bt_csum_put(p + 10, bt_csum_add(0, p, 40));
	for (unsigned k = 40; k < 1000; k++)
		p[k] = (uint8_t)k;
	give(&n, in, p, 1000);
	carry(&n);
	assert_int_equal(n.n_frames, 4);
	for (uint32_t k = 0, at = 0; k < 4; k++) {
		struct frame *f = &n.frames[k];

		assert_int_equal(bt_ipv4_read(f->data, f->len, &ip), BT_IP_OK);
		assert_int_equal(ip.header_len, k == 0 ? 40 : 28);
		assert_true(ip.router_alert);
		assert_int_equal(ip.ttl, 8);
		assert_int_equal(ip.id, 77);
		assert_int_equal(ip.offset, at);
		assert_int_equal(ip.mf, k != 3);
		assert_memory_equal(f->data + ip.header_len, p + 40 + at,
				    ip.total_len - ip.header_len);
		at += (uint32_t)ip.total_len - ip.header_len;
	}
	net_done(&n);
}

/* A checksum that was left to the carrier is finished before a datagram is cut. */
static void unfinished_checksum(void **state)
{
	struct net n;
	struct two t;
	struct send how = {.no_checksum = true};
	struct bt_addr a = v4(10, 0, 0, 1), b = v4(10, 0, 0, 2);
	struct berth_if_config c = {.flags = BERTH_IF_TX_CHECKSUM};

	(void)state;
	net_init(&n);
	t = bare_hosts(&n, 1500);
	n.peer[t.ia] = t.ib;
	assert_int_equal(bt_ip_if_set(n.ip, t.ia, &c, n.now), 0);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 5000, &how), BT_IP_TAKEN);
	assert_int_equal(n.n_gots, 1);
	assert_int_equal(n.gots[0].rx.len, 5008);
	assert_true(
		bt_csum_ok(bt_csum_add(bt_csum_pseudo(&a, &b, 17, 5008), n.gots[0].data, 5008)));
	/* one that fits is left so, and the carrier is told where */
	assert_int_equal(send_packet(&n, t.a, a, b, 100, &how), BT_IP_READY);
	assert_int_equal(n.frames[n.n_frames - 1].checksum, 20);
	/* and where the interface does not offer that, IP finishes it */
	c.flags = 0;
	assert_int_equal(bt_ip_if_set(n.ip, t.ia, &c, n.now), 0);
	assert_int_equal(send_and_carry(&n, t.a, a, b, 100, &how), BT_IP_TAKEN);
	assert_true(bt_csum_ok(
		bt_csum_add(bt_csum_pseudo(&a, &b, 17, 108), n.gots[n.n_gots - 1].data, 108)));
	settle(&n);
	net_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(overlaps),
		cmocka_unit_test(budgets),     cmocka_unit_test(times_out),
		cmocka_unit_test(malformed),   cmocka_unit_test(ecn),
		cmocka_unit_test(options),     cmocka_unit_test(unfinished_checksum),
	};
	const char *s = getenv("BERTH_SEED");

	seed = s != NULL ? strtoull(s, NULL, 10) : 1;
	rng = seed;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

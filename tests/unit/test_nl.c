/* SPDX-License-Identifier: Apache-2.0 */
/* A host's answers to netlink taken apart, and requests of random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "view_help.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

struct request {
	struct nlmsghdr h;
	union {
		struct rtgenmsg gen;
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		struct inet_diag_req_v2 diag;
		char room[512];
	} u;
};

static size_t ask(struct bt_nl *n, uint16_t host, struct request *q, unsigned type, unsigned flags,
		  size_t len)
{
	struct bt_view v;
	look(&v, table, host);
	q->h.nlmsg_type = (uint16_t)type;
	q->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	q->h.nlmsg_len = (uint32_t)(sizeof(q->h) + len);
	q->h.nlmsg_seq = 42;
	bt_nl_clear(n);
	size_t count = bt_nl_answer(n, &v, q, q->h.nlmsg_len);
	assert_true(well_formed(n));
	return count;
}

/* Message i of the answers; NULL: there are fewer. */
static const struct nlmsghdr *message(const struct bt_nl *n, unsigned i)
{
	size_t at = 0;
	while (at < n->out.n) {
		const struct nlmsghdr *h = (const void *)(n->out.p + at);
		if (i-- == 0)
			return h;
		at += h->nlmsg_len;
	}
	return NULL;
}

static int error_of(const struct bt_nl *n)
{
	const struct nlmsghdr *h = message(n, 0);
	assert_non_null(h);
	assert_int_equal(h->nlmsg_type, NLMSG_ERROR);
	assert_int_equal(h->nlmsg_seq, 42);
	return ((const struct nlmsgerr *)(h + 1))->error;
}

static const void *attr(const struct nlmsghdr *h, size_t fixed, unsigned type, size_t *len)
{
	struct bt_nl_req q = {
		.h = *h, .body = (const char *)(h + 1), .len = h->nlmsg_len - sizeof(*h)};
	return bt_nl_attr(&q, fixed, type, len);
}

static void links(void **state)
{
	static const char *const names[] = {"lo", "eth0", "eth1"};
	struct bt_nl n = {.protocol = NETLINK_ROUTE, .port = 77};
	struct request q = {0};
	const struct nlmsghdr *h;
	size_t len;
	(void)state;
	ask(&n, 0, &q, RTM_GETLINK, NLM_F_DUMP, sizeof(q.u.gen));
	for (unsigned i = 0; i < 3; i++) {
		h = message(&n, i);
		assert_int_equal(h->nlmsg_type, RTM_NEWLINK);
		assert_int_equal(h->nlmsg_seq, 42);
		assert_true(h->nlmsg_flags & NLM_F_MULTI);
		assert_string_equal(attr(h, sizeof(struct ifinfomsg), IFLA_IFNAME, &len), names[i]);
	}
	assert_int_equal(message(&n, 3)->nlmsg_type, NLMSG_DONE);
	assert_null(message(&n, 4));

	q.u.link = (struct ifinfomsg){.ifi_index = 3};
	ask(&n, 0, &q, RTM_GETLINK, 0, sizeof(q.u.link));
	assert_string_equal(attr(message(&n, 0), sizeof(struct ifinfomsg), IFLA_IFNAME, &len),
			    "eth1");
	q.u.link.ifi_index = 4;
	ask(&n, 0, &q, RTM_GETLINK, 0, sizeof(q.u.link));
	assert_int_equal(error_of(&n), -ENODEV);
	q.u.link.ifi_index = 0;
	ask(&n, 0, &q, RTM_GETLINK, 0, sizeof(q.u.link));
	assert_int_equal(error_of(&n), -EINVAL);
	bt_nl_done(&n);
}

static unsigned count_of(struct bt_nl *n, unsigned type)
{
	unsigned count = 0;
	for (unsigned i = 0; message(n, i); i++)
		count += message(n, i)->nlmsg_type == type;
	return count;
}

static void addresses_and_routes(void **state)
{
	struct bt_nl n = {.protocol = NETLINK_ROUTE, .port = 77};
	struct request q = {0};
	(void)state;
	ask(&n, 0, &q, RTM_GETADDR, NLM_F_DUMP, sizeof(q.u.gen));
	assert_int_equal(count_of(&n, RTM_NEWADDR), 6);
	q.u.gen.rtgen_family = AF_INET6;
	ask(&n, 0, &q, RTM_GETADDR, NLM_F_DUMP, sizeof(q.u.gen));
	assert_int_equal(count_of(&n, RTM_NEWADDR), 2);
	ask(&n, 1, &q, RTM_GETADDR, NLM_F_DUMP, sizeof(q.u.gen));
	assert_int_equal(count_of(&n, RTM_NEWADDR), 1);
	/* The second address of a prefix has no route and no broadcast of its own. */
	q.u.route = (struct rtmsg){.rtm_family = AF_INET};
	ask(&n, 0, &q, RTM_GETROUTE, NLM_F_DUMP, sizeof(q.u.route));
	assert_int_equal(count_of(&n, RTM_NEWROUTE), 3 + 3 + 1 + 3);
	n.strict = true;
	q.u.route.rtm_table = RT_TABLE_MAIN;
	ask(&n, 0, &q, RTM_GETROUTE, NLM_F_DUMP, sizeof(q.u.route));
	assert_int_equal(count_of(&n, RTM_NEWROUTE), 2);
	bt_nl_done(&n);
}

static void route_get(void **state)
{
	static const struct {
		const char *dst;
		unsigned dev; /* 0: nobody is there */
		uint8_t type;
		const char *src;
	} cases[] = {
		{"10.1.2.3", 3, RTN_UNICAST, "10.0.0.50"},
		{"192.168.1.7", 2, RTN_UNICAST, "192.168.1.100"},
		{"10.0.0.50", 1, RTN_LOCAL, "10.0.0.50"},
		{"127.9.9.9", 1, RTN_LOCAL, "127.9.9.9"},
		{"172.16.0.1", 2, RTN_UNICAST, "192.168.1.100"}, /* the other host's */
		{"8.8.8.8", 0, 0, NULL},
	};
	struct bt_nl n = {.protocol = NETLINK_ROUTE, .port = 77};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request q = {.u.route = {.rtm_family = AF_INET, .rtm_dst_len = 32}};
		struct nlattr a = {.nla_len = 8, .nla_type = RTA_DST};
		struct in_addr dst, src;
		size_t len;
		inet_pton(AF_INET, cases[i].dst, &dst);
		memcpy(q.u.room + sizeof(q.u.route), &a, sizeof(a));
		memcpy(q.u.room + sizeof(q.u.route) + sizeof(a), &dst, sizeof(dst));
		ask(&n, 0, &q, RTM_GETROUTE, 0, sizeof(q.u.route) + 8);
		if (cases[i].dev == 0) {
			assert_int_equal(error_of(&n), -ENETUNREACH);
			continue;
		}
		const struct nlmsghdr *h = message(&n, 0);
		assert_int_equal(h->nlmsg_type, RTM_NEWROUTE);
		assert_int_equal(((const struct rtmsg *)(h + 1))->rtm_type, cases[i].type);
		inet_pton(AF_INET, cases[i].src, &src);
		assert_memory_equal(attr(h, sizeof(struct rtmsg), RTA_PREFSRC, &len), &src, 4);
		assert_memory_equal(attr(h, sizeof(struct rtmsg), RTA_OIF, &len), &cases[i].dev, 4);
	}
	bt_nl_done(&n);
}

/* What the kernel says to requests that are wrong, or ask for a change. */
static void refusals(void **state)
{
	struct bt_nl n = {.protocol = NETLINK_ROUTE, .port = 77};
	struct request q = {0};
	struct bt_view v;
	(void)state;
	ask(&n, 0, &q, RTM_NEWLINK, NLM_F_ACK, sizeof(q.u.link));
	assert_int_equal(error_of(&n), -EPERM);
	/* An error brings the request back. */
	assert_int_equal(message(&n, 0)->nlmsg_len,
			 sizeof(struct nlmsghdr) + sizeof(struct nlmsgerr) + sizeof(q.u.link));
	n.cap_ack = true;
	ask(&n, 0, &q, RTM_NEWLINK, NLM_F_ACK, sizeof(q.u.link));
	assert_int_equal(message(&n, 0)->nlmsg_len,
			 sizeof(struct nlmsghdr) + sizeof(struct nlmsgerr));
	ask(&n, 0, &q, RTM_DELADDR, 0, sizeof(q.u.addr));
	assert_int_equal(error_of(&n), -EPERM);
	ask(&n, 0, &q, 500, 0, sizeof(q.u.addr));
	assert_int_equal(error_of(&n), -EOPNOTSUPP);
	assert_int_equal(ask(&n, 0, &q, NLMSG_NOOP, 0, 0), 0);
	ask(&n, 0, &q, NLMSG_NOOP, NLM_F_ACK, 0);
	assert_int_equal(error_of(&n), 0);
	/* Shorter than it says: dropped in silence. */
	look(&v, table, 0);
	q.h.nlmsg_len = sizeof(q.h) + 100;
	assert_int_equal(bt_nl_answer(&n, &v, &q, sizeof(q.h) + 99), 0);
	q.h.nlmsg_len = 15;
	assert_int_equal(bt_nl_answer(&n, &v, &q, sizeof(q)), 0);
	n.protocol = NETLINK_SOCK_DIAG;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, 1);
	assert_int_equal(error_of(&n), -EINVAL);
	q.u.room[0] = AF_INET;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag) - 1);
	assert_int_equal(error_of(&n), -EINVAL);
	ask(&n, 0, &q, SOCK_DESTROY, NLM_F_ACK, sizeof(q.u.diag));
	assert_int_equal(error_of(&n), -EPERM);
	bt_nl_done(&n);
}

static const struct inet_diag_msg *diag(const struct bt_nl *n, unsigned i)
{
	const struct nlmsghdr *h = message(n, i);
	assert_int_equal(h->nlmsg_type, SOCK_DIAG_BY_FAMILY);
	return (const struct inet_diag_msg *)(h + 1);
}

static void sockets(void **state)
{
	struct bt_nl n = {.protocol = NETLINK_SOCK_DIAG, .port = 77};
	struct request q = {0};
	(void)state;
	q.u.diag = (struct inet_diag_req_v2){
		.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 0xfff};
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 3);
	assert_int_equal(diag(&n, 0)->idiag_state, BT_ROW_LISTEN);
	assert_int_equal(diag(&n, 0)->idiag_wqueue, 128);
	assert_int_equal(ntohs(diag(&n, 0)->id.idiag_sport), 80);
	q.u.diag.idiag_states = 1 << BT_ROW_TIME_WAIT;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 1);
	assert_int_equal(diag(&n, 0)->idiag_timer, 3);
	assert_int_equal(diag(&n, 0)->idiag_expires, 60000);
	q.u.diag.idiag_states = 1 << 13; /* bound, as newer kernels list */
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 1);
	assert_int_equal(ntohs(diag(&n, 0)->id.idiag_sport), 5000);
	q.u.diag.idiag_states = UINT32_MAX;
	q.u.diag.sdiag_family = AF_INET6;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 2);
	q.u.diag.sdiag_protocol = IPPROTO_UDP;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 1);
	q.u.room[0] = AF_UNIX;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 0);
	assert_int_equal(count_of(&n, NLMSG_DONE), 1);

	q.u.diag = (struct inet_diag_req_v2){
		.sdiag_family = AF_INET,
		.sdiag_protocol = IPPROTO_TCP,
		.id = {.idiag_sport = htons(80),
		       .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, 0, sizeof(q.u.diag));
	assert_int_equal(diag(&n, 0)->idiag_state, BT_ROW_LISTEN);
	q.u.diag.id.idiag_cookie[0] = 99;
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, 0, sizeof(q.u.diag));
	assert_int_equal(error_of(&n), -ESTALE);
	q.u.diag.id.idiag_sport = htons(82);
	ask(&n, 0, &q, SOCK_DIAG_BY_FAMILY, 0, sizeof(q.u.diag));
	assert_int_equal(error_of(&n), -ENOENT);
	bt_nl_done(&n);
}

/* A dump of many sockets comes in datagrams that a page takes. */
static void chunks(void **state)
{
	struct bt_nl n = {.protocol = NETLINK_SOCK_DIAG, .port = 77};
	struct made m = {6, 4, BT_ROW_LISTEN, "0.0.0.0", 0, "0.0.0.0", 0, 1, 0};
	struct request q = {.u.diag = {.sdiag_family = AF_INET,
				       .sdiag_protocol = IPPROTO_TCP,
				       .idiag_states = UINT32_MAX,
				       .idiag_ext = 0xff}};
	size_t count;
	(void)state;
	for (m.lport = 1000; m.lport < 4000; m.lport++)
		add_row(table, &m);
	ask(&n, 1, &q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, sizeof(q.u.diag));
	assert_int_equal(count_of(&n, SOCK_DIAG_BY_FAMILY), 3001);
	assert_int_equal(count_of(&n, NLMSG_DONE), 1);
	const struct bt_nl_mark *marks = bt_nl_marks(&n, &count);
	assert_true(count > 100);
	for (size_t i = 0; i < count; i++) {
		assert_true(marks[i].end - marks[i].start <= 4096);
		assert_true(marks[i].last == (i + 1 == count));
	}
	bt_nl_done(&n);
}

static void random_requests(void **state)
{
	static const uint16_t types[] = {RTM_GETLINK, RTM_GETADDR,  RTM_GETROUTE,
					 RTM_GETRULE, RTM_GETNEIGH, SOCK_DIAG_BY_FAMILY,
					 SOCK_DESTROY};
	struct bt_view v;
	unsigned answered = 0;
	(void)state;
	struct bt_table *t = make_table(view_rows, sizeof(view_rows) / sizeof(view_rows[0]));
	look(&v, t, 0);
	for (unsigned i = 0; i < 60000; i++) {
		size_t len = rnd(200);
		/* Of its own size, so that the sanitizer sees each byte read beyond it. */
		uint8_t *p = malloc(len + 1);
		struct bt_nl n = {.protocol = rnd(2) ? NETLINK_ROUTE : NETLINK_SOCK_DIAG,
				  .port = 5,
				  .strict = rnd(2)};
		for (size_t k = 0; k < len; k++)
			p[k] = (uint8_t)(rnd(3) ? rnd(6) : rnd(256));
		if (len >= sizeof(struct nlmsghdr) && rnd(8)) {
			struct nlmsghdr h = {.nlmsg_len = (uint32_t)len - (rnd(4) ? 0 : rnd(20)),
					     .nlmsg_type = types[rnd(7)],
					     .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | rnd(0x800)),
					     .nlmsg_seq = i};
			memcpy(p, &h, sizeof(h));
			if (len > sizeof(h))
				p[sizeof(h)] = rnd(2) ? AF_INET : AF_INET6;
		}
		size_t count = bt_nl_answer(&n, &v, p, len);
		assert_true(well_formed(&n));
		answered += count > 0;
		bt_nl_done(&n);
		free(p);
	}
	assert_true(answered > 10000);
	munmap(t, BT_TABLE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links),	   cmocka_unit_test(addresses_and_routes),
		cmocka_unit_test(route_get),	   cmocka_unit_test(refusals),
		cmocka_unit_test(sockets),	   cmocka_unit_test(chunks),
		cmocka_unit_test(random_requests),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}

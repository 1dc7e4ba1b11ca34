/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What instruments read: the files against texts in the kernel's layout (and against the kernel's
 * own files, where they can be read), netlink's answers taken apart, requests of random bytes, and
 * filters against the kernel's interpreter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bytecode.h"
#include "view_help.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <unistd.h>

static const struct made rows[] = {
	{6, 4, BT_ROW_ESTABLISHED, "192.168.1.100", 80, "10.0.0.50", 40000, 0, BT_ROWF_CHILD},
	{6, 4, BT_ROW_LISTEN, "0.0.0.0", 80, "0.0.0.0", 0, 0, 0},
	{6, 4, BT_ROW_TIME_WAIT, "127.0.0.1", 41000, "127.0.0.1", 80, 0, 0},
	{6, 4, BT_ROW_CLOSE, "127.0.0.1", 5000, "0.0.0.0", 0, 0, 0}, /* only bound */
	{6, 6, BT_ROW_LISTEN, "::", 443, "::", 0, 0, 0},
	{6, 6, BT_ROW_ESTABLISHED, "192.168.1.100", 443, "10.0.0.50", 40001, 0, 0}, /* mapped */
	{17, 4, BT_ROW_CLOSE, "0.0.0.0", 53, "0.0.0.0", 0, 0, 0},
	{17, 6, BT_ROW_ESTABLISHED, "::1", 53, "::1", 5353, 0, 0},
	{17, 4, BT_ROW_CLOSE, "10.0.0.50", 54, "0.0.0.0", 0, 0, BT_ROWF_ALIAS},
	{6, 4, BT_ROW_LISTEN, "0.0.0.0", 81, "0.0.0.0", 0, 1, 0}, /* another host's */
};

static struct bt_table *table;

static int set_up(void **state)
{
	(void)state;
	table = make_table(rows, sizeof(rows) / sizeof(rows[0]));
	return 0;
}

/* ---- files ---- */

#define PAD53 "                                                     "
#define PAD18 "                  "
#define PAD38 "                                      "

static const struct {
	const char *name, *text;
} files[] = {
	{"tcp",
	 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
	 "timeout inode" PAD53 "\n"
	 "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        "
	 "0 "
	 "0 1 0000000700000002 100 0 0 10 0                         \n"
	 "   1: 6401A8C0:0050 3200000A:9C40 01 00000000:00000000 00:00000000 00000000  1000        "
	 "0 "
	 "0 1 0000000700000001 20 0 0 10 -1                         \n"
	 "   2: 0100007F:A028 0100007F:0050 06 00000000:00000000 03:00001770 00000000     0        "
	 "0 "
	 "0 3 0000000700000003                                      \n"},
	{"tcp6",
	 "  sl  local_address                         remote_address                        st "
	 "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	 "   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A "
	 "00000000:00000000 00:00000000 00000000  1000        0 0 1 0000000700000005 100 0 0 10 "
	 "0\n"
	 "   1: 0000000000000000FFFF00006401A8C0:01BB 0000000000000000FFFF00003200000A:9C41 01 "
	 "00000000:00000000 00:00000000 00000000  1000        0 0 1 0000000700000006 20 0 0 10 "
	 "-1\n"},
	{"udp",
	 "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
	 "timeout inode ref pointer drops            \n"
	 "   53: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000       "
	 " 0 "
	 "0 2 0000000700000007 0             \n"},
	{"udp6",
	 "  sl  local_address                         remote_address                        st "
	 "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	 "   53: 00000000000000000000000001000000:0035 00000000000000000000000001000000:14E9 01 "
	 "00000000:00000000 00:00000000 00000000  1000        0 0 2 0000000700000008 0\n"},
	{"if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n"
		     "fd000000000000000000000000000001 02 40 00 80     eth0\n"},
	{"route",
	 "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT  "
	 "                                                     \n"
	 "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0"
	 "                                                                               \n"
	 "eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0"
	 "                                                                               \n"},
	{"sockstat", "sockets: used 7\n"
		     "TCP: inuse 3 orphan 0 tw 1 alloc 5 mem 0\n"
		     "UDP: inuse 1 mem 0\n"
		     "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"},
	{"sockstat6", "TCP6: inuse 2\nUDP6: inuse 1\nUDPLITE6: inuse 0\nRAW6: inuse 0\n"
		      "FRAG6: inuse 0 memory 0\n"},
	{"unix", "Num       RefCount Protocol Flags    Type St Inode Path\n"},
	{"dev_mcast", ""},
};

static void file_texts(void **state)
{
	struct bt_view v;
	(void)state;
	look(&v, table, 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct bt_buf b = {0};
		assert_int_equal(bt_proc_net(&v, files[i].name, &b), 0);
		bt_buf_put(&b, "", 1);
		assert_string_equal(b.p, files[i].text);
		bt_buf_done(&b);
	}
	struct bt_buf b = {0};
	assert_int_equal(bt_proc_net(&v, "wireless", &b), ENOENT);
	assert_int_equal(bt_proc_net(&v, "", &b), ENOENT);
}

/* A host that is not in the table has empty files, not the machine's. */
static void no_host(void **state)
{
	struct bt_view v;
	struct bt_buf b = {0};
	(void)state;
	bt_view_of(&v, NULL, 1, 0);
	assert_int_equal(bt_proc_net(&v, "tcp", &b), 0);
	assert_int_equal(b.n, 150);
	bt_buf_done(&b);
	assert_int_equal(bt_proc_net(&v, "dev", &b), 0);
	bt_buf_done(&b);
	look(&v, table, 9);
	assert_int_equal(bt_proc_net(&v, "tcp", &b), 0);
	assert_int_equal(b.n, 150);
	bt_buf_done(&b);
}

/* The heads, byte for byte, and of the tables of one value a line the names: this kernel's. */
static void heads_as_the_kernel(void **state)
{
	static const struct {
		const char *name;
		unsigned lines;
	} heads[] = {{"tcp", 1},	   {"tcp6", 1},	    {"udp", 1},	      {"udp6", 1},
		     {"udplite", 1},	   {"udplite6", 1}, {"raw", 1},	      {"raw6", 1},
		     {"icmp", 1},	   {"icmp6", 1},    {"dev", 2},	      {"igmp", 2},
		     {"route", 1},	   {"arp", 1},	    {"unix", 1},      {"packet", 1},
		     {"netlink", 1},	   {"mcfilter", 1}, {"mcfilter6", 1}, {"ptype", 1},
		     {"ip6_flowlabel", 1}, {"psched", 1}};
	struct bt_view v;
	unsigned seen = 0;
	(void)state;
	look(&v, table, 0);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char path[64], line[1024];
		struct bt_buf b = {0};
		snprintf(path, sizeof(path), "/proc/net/%s", heads[i].name);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		assert_int_equal(bt_proc_net(&v, heads[i].name, &b), 0);
		size_t at = 0;
		for (unsigned k = 0; k < heads[i].lines && fgets(line, sizeof(line), f); k++) {
			assert_true(at + strlen(line) <= b.n);
			if (memcmp(b.p + at, line, strlen(line)) != 0)
				fail_msg("%s: ours is %.160s", path, b.p + at);
			at += strlen(line);
			seen++;
		}
		bt_buf_done(&b);
		fclose(f);
	}
	if (seen == 0)
		skip();
}

/* A connection and a listener of the kernel's: their lines are as long as ours, and the columns up
 * to the inode are where ours are. */
static void lines_as_the_kernel(void **state)
{
	char line[512];
	struct bt_view v;
	struct bt_buf b = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM, 0);
	(void)state;
	if (s < 0 || bind(s, (struct sockaddr *)&in, sizeof(in)) != 0 || listen(s, 1) != 0)
		skip();
	FILE *f = fopen("/proc/net/tcp", "r");
	if (!f)
		skip();
	look(&v, table, 0);
	assert_int_equal(bt_proc_net(&v, "tcp", &b), 0);
	const char *ours = b.p + 150;
	while (fgets(line, sizeof(line), f)) {
		if (line[4] != ':') /* the head, or line 10,000 */
			continue;
		assert_int_equal(strlen(line), 150);
		for (unsigned i = 0; i < 91; i++) {
			bool digit = strchr("0123456789ABCDEF ", line[i]) != NULL;
			bool our_digit = strchr("0123456789ABCDEF ", ours[i]) != NULL;
			assert_true(digit == our_digit);
			assert_true(digit || line[i] == ours[i]);
		}
	}
	fclose(f);
	close(s);
	bt_buf_done(&b);
}

/* ---- netlink ---- */

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

/* ---- random requests ---- */

static uint64_t seed = 88172645463325252ull;

static uint32_t number(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % below;
}

static void random_requests(void **state)
{
	static const uint16_t types[] = {RTM_GETLINK, RTM_GETADDR,  RTM_GETROUTE,
					 RTM_GETRULE, RTM_GETNEIGH, SOCK_DIAG_BY_FAMILY,
					 SOCK_DESTROY};
	struct bt_view v;
	unsigned answered = 0;
	(void)state;
	struct bt_table *t = make_table(rows, sizeof(rows) / sizeof(rows[0]));
	look(&v, t, 0);
	for (unsigned i = 0; i < 60000; i++) {
		size_t len = number(200);
		/* Of its own size, so that the sanitizer sees each byte read beyond it. */
		uint8_t *p = malloc(len + 1);
		struct bt_nl n = {.protocol = number(2) ? NETLINK_ROUTE : NETLINK_SOCK_DIAG,
				  .port = 5,
				  .strict = number(2)};
		for (size_t k = 0; k < len; k++)
			p[k] = (uint8_t)(number(3) ? number(6) : number(256));
		if (len >= sizeof(struct nlmsghdr) && number(8)) {
			struct nlmsghdr h = {
				.nlmsg_len = (uint32_t)len - (number(4) ? 0 : number(20)),
				.nlmsg_type = types[number(7)],
				.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | number(0x800)),
				.nlmsg_seq = i};
			memcpy(p, &h, sizeof(h));
			if (len > sizeof(h))
				p[sizeof(h)] = number(2) ? AF_INET : AF_INET6;
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

/* ---- filters, against the kernel's ---- */

/* Asks the kernel for the listener on this port through the filter. 1: it came, 0: not, or -errno.
 */
static int ask_kernel(int nl, uint16_t port, const uint8_t *code, size_t len)
{
	_Alignas(struct nlmsghdr) char buf[8192];
	struct nlmsghdr h = {.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP};
	struct inet_diag_req_v2 r = {.sdiag_family = AF_INET,
				     .sdiag_protocol = IPPROTO_TCP,
				     .idiag_states = 1 << BT_ROW_LISTEN,
				     .id.idiag_sport = htons(port)};
	struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + len), .nla_type = 1};
	size_t n = 0;
	int found = 0;
	h.nlmsg_len = (uint32_t)(sizeof(h) + sizeof(r) + sizeof(a) + len);
	memcpy(buf + n, &h, sizeof(h));
	memcpy(buf + (n += sizeof(h)), &r, sizeof(r));
	memcpy(buf + (n += sizeof(r)), &a, sizeof(a));
	memcpy(buf + (n += sizeof(a)), code, len);
	assert_int_equal(send(nl, buf, n + len, 0), n + len);
	for (;;) {
		ssize_t got = recv(nl, buf, sizeof(buf), 0);
		assert_true(got > 0);
		for (size_t at = 0; at < (size_t)got; at += NLMSG_ALIGN(h.nlmsg_len)) {
			memcpy(&h, buf + at, sizeof(h));
			if (h.nlmsg_type == NLMSG_ERROR) {
				int err;
				memcpy(&err, buf + at + sizeof(h), sizeof(err));
				return err;
			}
			if (h.nlmsg_type == NLMSG_DONE)
				return found;
			found = 1;
		}
	}
}

static size_t random_code(uint8_t *code, uint16_t port)
{
	static const uint8_t loop[] = {127, 0, 0, 1};
	size_t n = 0, ops = 1 + number(6);
	for (size_t i = 0; i < ops; i++) {
		struct inet_diag_bc_op op = {.code = (uint8_t)number(14), .yes = 4, .no = 4};
		struct inet_diag_bc_op value = {.no = number(2) ? port
								: (uint16_t)(port + 1 - number(3))};
		struct inet_diag_hostcond c = {.family =
						       (uint8_t)(number(4) ? AF_INET : number(12)),
					       .prefix_len = (uint8_t)number(36),
					       .port = number(3) ? -1 : port + (int)number(2)};
		size_t size = sizeof(op);
		uint8_t operand[32] = {0};
		bool host = op.code == INET_DIAG_BC_S_COND || op.code == INET_DIAG_BC_D_COND;
		if (op.code == INET_DIAG_BC_MARK_COND) /* asks for a privilege, so not compared */
			op.code = INET_DIAG_BC_S_EQ;
		if (host) {
			memcpy(operand, &c, sizeof(c));
			memcpy(operand + sizeof(c), loop, 4);
			if (number(3) == 0)
				operand[sizeof(c) + number(4)] ^= (uint8_t)(1u << number(8));
			size += sizeof(c) + 4;
		} else if (op.code != INET_DIAG_BC_NOP && op.code != INET_DIAG_BC_JMP &&
			   op.code != INET_DIAG_BC_AUTO) {
			memcpy(operand, &value, sizeof(value));
			size += op.code == INET_DIAG_BC_CGROUP_COND ? 8 : 4;
		}
		op.yes = (uint8_t)(number(12) ? size : number(40));
		op.no = (uint16_t)(number(12) ? size + (number(2) ? 0 : 4 * number(8))
					      : number(100));
		memcpy(code + n, &op, sizeof(op));
		memcpy(code + n + sizeof(op), operand, size - sizeof(op));
		n += size;
	}
	/* A jump beyond the end by four says no; make that likely, as ss does. */
	if (number(2)) {
		struct inet_diag_bc_op op;
		memcpy(&op, code, sizeof(op));
		op.no = (uint16_t)(n + 4);
		memcpy(code, &op, sizeof(op));
	}
	return number(20) ? n : n - number((uint32_t)n);
}

static void filters_as_the_kernel(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(in);
	unsigned taken = 0, matched = 0, missed = 0;
	static const uint8_t any[4], own[4] = {127, 0, 0, 1};
	int nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG),
	    s = socket(AF_INET, SOCK_STREAM, 0);
	(void)state;
	if (nl < 0 || s < 0 || bind(s, (struct sockaddr *)&in, size) != 0 || listen(s, 1) != 0 ||
	    getsockname(s, (struct sockaddr *)&in, &size) != 0)
		skip();
	uint16_t port = ntohs(in.sin_port);
	/* bound: with port 0 the choice was the kernel's */
	struct bt_bc_socket e = {
		.family = AF_INET, .src = own, .dst = any, .sport = port, .bound = false};
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t code[512];
		size_t len = random_code(code, port);
		/* A filter of nothing at all is none. */
		if (len < 4)
			continue;
		int kernel = ask_kernel(nl, port, code, len), ours = bt_bc_check(code, len);
		if (ours == 0)
			ours = bt_bc_match(code, len, &e);
		if (ours != kernel)
			fail_msg("filter %u of %zu bytes: ours %d, the kernel's %d", i, len, ours,
				 kernel);
		taken += ours >= 0;
		matched += ours == 1;
		missed += ours == 0;
	}
	assert_true(taken > 1000 && matched > 300 && missed > 300);
	close(nl);
	close(s);
}

/* Bytes of any kind: what the check takes never leads out of it. */
static void random_filters(void **state)
{
	static const uint8_t src[16], dst[16];
	struct bt_bc_socket e = {.family = AF_INET6, .src = src, .dst = dst, .sport = 80};
	unsigned taken = 0;
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		size_t len = number(120);
		uint8_t *p = malloc(len + 1);
		for (size_t k = 0; k < len; k++)
			p[k] = (uint8_t)(number(4) ? 4 * number(6) : number(256));
		if (bt_bc_check(p, len) == 0) {
			taken++;
			bt_bc_match(p, len, &e);
		}
		free(p);
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_texts),
		cmocka_unit_test(no_host),
		cmocka_unit_test(heads_as_the_kernel),
		cmocka_unit_test(lines_as_the_kernel),
		cmocka_unit_test(links),
		cmocka_unit_test(addresses_and_routes),
		cmocka_unit_test(route_get),
		cmocka_unit_test(refusals),
		cmocka_unit_test(sockets),
		cmocka_unit_test(chunks),
		cmocka_unit_test(random_requests),
		cmocka_unit_test(filters_as_the_kernel),
		cmocka_unit_test(random_filters),
	};

	return cmocka_run_group_tests_name("view", tests, set_up, NULL);
}

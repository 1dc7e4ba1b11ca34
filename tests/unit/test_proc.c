/* SPDX-License-Identifier: Apache-2.0 */
/* A host's files of /proc/net against texts in the kernel's layout, and against the kernel's own
 * files, where they can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "view_help.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_texts),
		cmocka_unit_test(no_host),
		cmocka_unit_test(heads_as_the_kernel),
		cmocka_unit_test(lines_as_the_kernel),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}

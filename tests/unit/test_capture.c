/* SPDX-License-Identifier: Apache-2.0 */
/* link/pcapng.h and link/capture.h: what is written is read again, by us and by tshark(1). */
#include "capture.h"
#include "pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* An IPv4 packet with UDP 1000 -> 2000 and 3 bytes, without a UDP checksum. */
static uint8_t udp[31] = {0x45, 0, 0, 31, 0, 1,	   0, 0,    64, 17, 0x66, 0xcb, 10,  0,	  0,  1,
			  10,	0, 0, 2,  3, 0xe8, 7, 0xd0, 0,	11, 0,	  0,	'a', 'b', 'c'};
#define AT 1700000000123456789u

static size_t write_all(uint8_t *file, size_t room)
{
	const struct iovec parts[2] = {{udp, 20}, {udp + 20, 11}};
	struct bt_pcapng_packet k = {1, BT_PCAPNG_OUT, AT, parts, 2, "why not"};
	size_t at = bt_pcapng_section(file, room, "test");

	at += bt_pcapng_interface(file + at, room - at, "lo", BT_LINKTYPE_RAW);
	at += bt_pcapng_interface(file + at, room - at, "eth0", BT_LINKTYPE_RAW);
	at += bt_pcapng_packet(file + at, room - at, &k);
	k = (struct bt_pcapng_packet){0, BT_PCAPNG_IN, AT + 1, parts, 2, NULL};
	at += bt_pcapng_packet(file + at, room - at, &k);
	return at;
}

static void test_read_again(void **state)
{
	uint8_t file[1000];
	size_t len = write_all(file, sizeof(file));
	struct bt_capture_packet k;
	struct bt_capture c;

	(void)state;
	assert_true(bt_capture_open(&c, file, len));
	assert_int_equal(bt_capture_next(&c, &k), 1);
	assert_int_equal(k.interface, 1);
	assert_int_equal(k.linktype, BT_LINKTYPE_RAW);
	assert_int_equal(k.time_ns, AT);
	assert_int_equal(k.len, sizeof(udp));
	assert_memory_equal(k.data, udp, sizeof(udp));
	assert_int_equal(bt_capture_next(&c, &k), 1);
	assert_int_equal(k.interface, 0);
	assert_int_equal(k.time_ns, AT + 1);
	assert_int_equal(bt_capture_next(&c, &k), 0);
}

/* Cut off anywhere: as many whole packets as there are, then broken or the end, never more. */
static void test_cut_off(void **state)
{
	uint8_t file[1000];
	size_t len = write_all(file, sizeof(file));

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut + 1);
		struct bt_capture_packet k;
		struct bt_capture c;
		int n = 0;

		memcpy(copy, file, cut);
		if (bt_capture_open(&c, copy, cut))
			while (bt_capture_next(&c, &k) == 1)
				n++;
		assert_true(n < 2);
		free(copy);
	}
}

static void test_no_room(void **state)
{
	uint8_t file[1000], before[1000];
	const struct iovec part = {udp, sizeof(udp)};
	const struct bt_pcapng_packet k = {0, BT_PCAPNG_IN, 0, &part, 1, NULL};
	size_t need = bt_pcapng_packet(file, sizeof(file), &k);

	(void)state;
	assert_true(need < sizeof(file) && need % 4 == 0);
	memset(file, 0xee, sizeof(file));
	memset(before, 0xee, sizeof(before));
	assert_int_equal(bt_pcapng_packet(file, need - 1, &k), need);
	assert_memory_equal(file, before, sizeof(file));
}

static void put32(uint8_t *p, uint32_t v, bool swapped)
{
	v = swapped ? __builtin_bswap32(v) : v;
	memcpy(p, &v, 4);
}

/* Savefiles of libpcap: micro- and nanoseconds, either byte order. */
static void test_pcap(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		bool swapped = kind & 1, nano = kind & 2;
		uint8_t file[24 + 16 + sizeof(udp)] = {0};
		struct bt_capture_packet k;
		struct bt_capture c;

		put32(file, nano ? 0xa1b23c4d : 0xa1b2c3d4, swapped);
		put32(file + 20, BT_LINKTYPE_RAW, swapped);
		put32(file + 24, 1700000000, swapped);
		put32(file + 28, nano ? 123456789 : 123456, swapped);
		put32(file + 32, sizeof(udp), swapped);
		put32(file + 36, 1500, swapped);
		memcpy(file + 40, udp, sizeof(udp));
		assert_true(bt_capture_open(&c, file, sizeof(file)));
		assert_int_equal(bt_capture_next(&c, &k), 1);
		assert_int_equal(k.time_ns, nano ? AT : AT - 789);
		assert_int_equal(k.linktype, BT_LINKTYPE_RAW);
		assert_int_equal(k.original, 1500);
		assert_memory_equal(k.data, udp, sizeof(udp));
		assert_int_equal(bt_capture_next(&c, &k), 0);
	}
}

/* tshark finds names, times, ports and comment, and has nothing to complain of. */
static void test_tshark(void **state)
{
	static const char *const expected[] = {
		"eth0\t1700000000.123456789\t1000\t2000\twhy not\n",
		"lo\t1700000000.123456790\t1000\t2000\t\n",
	};
	char path[] = "/tmp/berth-capture-XXXXXX", command[400], line[200];
	uint8_t file[1000];
	size_t len = write_all(file, sizeof(file));
	int fd = mkstemp(path);
	FILE *out;

	(void)state;
	assert_true(fd >= 0 && write(fd, file, len) == (ssize_t)len && close(fd) == 0);
	snprintf(command, sizeof(command),
		 "tshark -r %s -T fields -e frame.interface_name -e frame.time_epoch "
		 "-e udp.srcport -e udp.dstport -e frame.comment -Y '!_ws.malformed' 2>&1 | "
		 "grep -v 'Running as user'",
		 path);
	out = popen(command, "r");
	assert_non_null(out);
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(fgets(line, sizeof(line), out));
		assert_string_equal(line, expected[i]);
	}
	assert_null(fgets(line, sizeof(line), out));
	assert_int_equal(pclose(out), 0);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_again), cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_no_room),	   cmocka_unit_test(test_pcap),
		cmocka_unit_test(test_tshark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

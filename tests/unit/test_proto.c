/* SPDX-License-Identifier: Apache-2.0 */
/* Names, the table's rows under a writer, and the sizes that are the format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inbox.h"
#include "meter.h"
#include "msg.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NETID 0x0123456789abcdefull

static const struct bt_ident idents[] = {
	{0, 0, 0},
	{1, 2, 3},
	{0xffffffff, 0xffffffff, 0xffffffffffffffff},
	{0x89abcdef, 0x01234567, 0xfedcba9876543210},
	{BT_MAX_ROWS - 1, 0x80000000, 0x8000000000000000},
};

#define N_IDENTS (sizeof(idents) / sizeof(idents[0]))

static bool equal(const struct bt_ident *a, const struct bt_ident *b)
{
	return a->slot == b->slot && a->gen == b->gen && a->nonce == b->nonce;
}

static void round_trip(void **state)
{
	struct sockaddr_un sun;
	struct bt_ident got;

	(void)state;
	for (size_t i = 0; i < N_IDENTS; i++) {
		socklen_t len = bt_name_make(&sun, NETID, &idents[i]);

		assert_true(len <= sizeof(sun));
		assert_int_equal(sun.sun_family, AF_UNIX);
		assert_int_equal(sun.sun_path[0], '\0');
		assert_true(bt_name_parse(&sun, len, NETID, &got));
		assert_true(equal(&got, &idents[i]));
	}
	bt_name_make(&sun, NETID, &idents[3]);
	assert_memory_equal(sun.sun_path + 1,
			    "berth/0123456789abcdef/89abcdef.01234567.fedcba9876543210", 57);
}

static void files(void **state)
{
	static const char directory[] = "/run/user/1000/berth/default/n";
	char longest[BT_NAME_DIRECTORY + 1];
	struct sockaddr_un sun;
	struct bt_ident got;

	(void)state;
	for (size_t i = 0; i < N_IDENTS; i++) {
		socklen_t len = bt_name_path(&sun, directory, NETID, &idents[i]);

		/* As bind(2) takes it and getsockname(2) gives it: with the NUL. */
		assert_int_equal(len,
				 offsetof(struct sockaddr_un, sun_path) + strlen(sun.sun_path) + 1);
		assert_true(bt_name_parse(&sun, len, NETID, &got));
		assert_true(equal(&got, &idents[i]));
		assert_false(bt_name_parse(&sun, len - 1, NETID, &got));
		assert_false(bt_name_parse(&sun, len, NETID ^ 1, &got));
		sun.sun_path[strlen(directory)] = '.';
		assert_false(bt_name_parse(&sun, len, NETID, &got));
	}
	bt_name_path(&sun, directory, NETID, &idents[3]);
	assert_string_equal(sun.sun_path, "/run/user/1000/berth/default/n/"
					  "0123456789abcdef.89abcdef.01234567.fedcba9876543210");
	assert_int_equal(bt_name_path(&sun, "", NETID, &idents[3]), 0);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[BT_NAME_DIRECTORY] = '\0';
	assert_int_equal(bt_name_path(&sun, longest, NETID, &idents[3]), 0);
	longest[BT_NAME_DIRECTORY - 1] = '\0';
	assert_int_equal(bt_name_path(&sun, longest, NETID, &idents[3]), sizeof(sun));
	assert_true(bt_name_parse(&sun, sizeof(sun), NETID, &got));
}

/* A name with one byte changed is not a name, or it is that of another socket, and its only one. */
static void mutations(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_IDENTS; i++) {
		struct sockaddr_un good, bad, again;
		socklen_t len = bt_name_make(&good, NETID, &idents[i]);

		for (socklen_t at = 0; at < len; at++)
			for (unsigned v = 1; v < 256; v++) {
				struct bt_ident got;

				memcpy(&bad, &good, sizeof(bad));
				((unsigned char *)&bad)[at] ^= (unsigned char)v;
				if (!bt_name_parse(&bad, len, NETID, &got))
					continue;
				assert_false(equal(&got, &idents[i]));
				assert_int_equal(bt_name_make(&again, NETID, &got), len);
				assert_memory_equal(&again, &bad, len);
			}
	}
}

static void lengths(void **state)
{
	/* Of its own size in memory, so that a sanitizer sees what is read beyond len. */
	struct sockaddr_un good;
	socklen_t len = bt_name_make(&good, NETID, &idents[3]);
	struct bt_ident got;

	(void)state;
	for (socklen_t n = 0; n <= sizeof(good); n++) {
		void *copy = malloc(n + 1u);

		memcpy(copy, &good, n);
		assert_int_equal(bt_name_parse(copy, n, NETID, &got), n == len);
		free(copy);
	}
}

static void other_networks(void **state)
{
	struct sockaddr_un sun;
	struct bt_ident got;
	socklen_t len = bt_name_make(&sun, NETID, &idents[1]);

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		assert_false(bt_name_parse(&sun, len, NETID ^ 1ull << bit, &got));
	sun.sun_family = AF_INET;
	assert_false(bt_name_parse(&sun, len, NETID, &got));
	len = bt_name_control(&sun, NETID);
	assert_false(bt_name_parse(&sun, len, NETID, &got));
	assert_memory_equal(sun.sun_path + 1, "berth/0123456789abcdef/ctl", 26);
	assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 27);
}

/* ---- the table ---- */

enum { ROWS = 4 };

static struct bt_table *table_new(void)
{
	struct bt_table *t = calloc(1, BT_ROWS_OFFSET + ROWS * sizeof(struct bt_row));

	assert_non_null(t);
	t->capacity = ROWS;
	t->rows_offset = BT_ROWS_OFFSET;
	return t;
}

struct writing {
	struct bt_table *t;
	_Atomic bool stop;
};

/* All fields of a write are made of one number. It writes as daemon/state.c does. */
__attribute__((no_sanitize("thread"))) static void *writer(void *arg)
{
	struct writing *w = arg;
	struct bt_row *r = bt_table_row(w->t, 1);
	struct bt_host_row *h = &w->t->hosts[1];

	for (uint32_t n = 1; !atomic_load(&w->stop); n++) {
		uint8_t b = (uint8_t)n;

		atomic_store_explicit(&r->seq, r->seq | 1, memory_order_relaxed);
		atomic_thread_fence(memory_order_release);
		r->gen = n;
		r->nonce = n * 0x100000001ull;
		memset(r->laddr, b, 32);
		r->peer = r->link = r->uid = r->drops = r->since_s = n;
		atomic_store_explicit(&r->seq, (r->seq | 1) + 1, memory_order_release);
		atomic_store_explicit(&h->seq, h->seq | 1, memory_order_relaxed);
		atomic_thread_fence(memory_order_release);
		h->id = b | 1u;
		memset(h->name, b | 1, sizeof(h->name));
		memset(h->addrs, b | 1, sizeof(h->addrs));
		atomic_store_explicit(&h->seq, (h->seq | 1) + 1, memory_order_release);
		/* Now and then the writer rests, as berthd mostly does. */
		for (volatile int i = 0; i < (int)(n % 64) * 8; i++)
			;
	}
	return NULL;
}

static void row_whole(const struct bt_row *r)
{
	uint8_t b = (uint8_t)r->gen;

	assert_false(r->seq & 1);
	assert_true(r->nonce == r->gen * 0x100000001ull);
	for (unsigned i = 0; i < 16; i++)
		assert_true(r->laddr[i] == b && r->raddr[i] == b);
	assert_true(r->peer == r->gen && r->link == r->gen && r->uid == r->gen);
	assert_true(r->drops == r->gen && r->since_s == r->gen);
}

static void host_whole(const struct bt_host_row *h)
{
	const uint8_t *a = (const uint8_t *)h->addrs;

	for (size_t i = 0; i < sizeof(h->name); i++)
		assert_int_equal((uint8_t)h->name[i], h->id);
	for (size_t i = 0; i < sizeof(h->addrs); i++)
		assert_int_equal(a[i], h->id);
}

static void rows_under_a_writer(void **state)
{
	struct writing w = {.t = table_new()};
	unsigned rows = 0, hosts = 0;
	uint32_t last = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, writer, &w), 0);
	for (unsigned tries = 0; tries < 300000; tries++) {
		struct bt_host_row h;
		struct bt_row r;

		if (bt_row_read(w.t, 1, &r)) {
			row_whole(&r);
			assert_true(r.gen >= last); /* time does not go back */
			last = r.gen;
			rows++;
		}
		if (bt_host_read(w.t, 1, &h)) {
			host_whole(&h);
			hosts++;
		}
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	assert_true(rows > 1000 && hosts > 1000);
	free(w.t);
}

static void a_writer_that_died(void **state)
{
	struct bt_table *t = table_new();
	struct bt_host_row h;
	struct bt_row r;

	(void)state;
	bt_table_row(t, 0)->gen = 7;
	assert_true(bt_row_read(t, 0, &r));
	assert_int_equal(r.gen, 7);
	bt_table_row(t, 0)->seq = 1;
	assert_false(bt_row_read(t, 0, &r)); /* and comes back */
	assert_true(bt_row_read(t, ROWS - 1, &r));
	assert_false(bt_row_read(t, ROWS, &r));
	assert_false(bt_row_read(t, UINT32_MAX, &r));
	assert_false(bt_host_read(t, 0, &h)); /* unused */
	t->hosts[0].id = 1;
	assert_true(bt_host_read(t, 0, &h));
	t->hosts[0].seq = 3;
	assert_false(bt_host_read(t, 0, &h));
	assert_false(bt_host_read(t, BT_MAX_HOSTS, &h));
	assert_false(bt_host_read(t, UINT32_MAX, &h));
	free(t);
}

/* Programs of another build of berth meet this one's berthd; only a version's number may change
 * these. */
static void formats(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct bt_req), 64);
	assert_int_equal(sizeof(struct bt_rep), 72);
	assert_int_equal(sizeof(struct bt_row), 96);
	assert_int_equal(sizeof(struct bt_ident), 16);
	assert_int_equal(sizeof(struct bt_host_addr), 20);
	assert_int_equal(sizeof(struct bt_host_open), 68 + 16 * 20);
	assert_int_equal(sizeof(struct bt_inbox_entry), 32);
	assert_int_equal(sizeof(struct bt_inbox), 64 + 32 * BT_INBOX_ENTRIES);
	assert_true(sizeof(struct bt_inbox) <= BT_INBOX_BYTES);
	assert_int_equal(offsetof(struct bt_inbox, entries), 64);
	assert_int_equal(BT_INBOX_ENTRIES & (BT_INBOX_ENTRIES - 1), 0);
	assert_int_equal(sizeof(struct bt_meter_entry), 24);
	assert_int_equal(offsetof(struct bt_meter, entries), 24);
	assert_int_equal(sizeof(struct bt_counts), 32);
	assert_int_equal(BT_ROWS_OFFSET % 4096, 0);
	assert_true(BT_ROWS_OFFSET >= sizeof(struct bt_table));
	assert_int_equal(offsetof(struct bt_req, id), 8);
	assert_int_equal(offsetof(struct bt_req, addr), 32);
	assert_int_equal(offsetof(struct bt_req, extra), 52);
	assert_int_equal(offsetof(struct bt_rep, id), 16);
	assert_int_equal(offsetof(struct bt_rep, extra), 68);
	assert_int_equal(offsetof(struct bt_row, laddr), 16);
	assert_int_equal(offsetof(struct bt_row, since_s), 88);
	assert_int_equal(offsetof(struct bt_row, dev), 92);
	assert_int_equal(BT_MSG_TYPES, BT_COUNTS + 1);
	assert_true(BT_MSG_MAX >= sizeof(struct bt_req) + 65507);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),	      cmocka_unit_test(files),
		cmocka_unit_test(mutations),	      cmocka_unit_test(lengths),
		cmocka_unit_test(other_networks),     cmocka_unit_test(rows_under_a_writer),
		cmocka_unit_test(a_writer_that_died), cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests_name("proto", tests, NULL, NULL);
}

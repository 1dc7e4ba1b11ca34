/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of lib/ip fails once: what was asked fails or a packet is dropped, nothing leaks
 * (leak sanitizer), and the rest goes on. */
#include "ip_help.h"

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);

static bool armed, failed;
static unsigned countdown;

/* The one after `countdown` others fails, if armed. */
static bool fails(void)
{
	if (!armed || countdown-- != 0)
		return false;
	armed = false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t len)
{
	return fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	return fails() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
	return fails() ? NULL : __real_realloc(p, len);
}

/* Takes what comes without a log, whose memory would be counted. */
static void run(struct bt_ip *ip, struct bt_wheel *wheel, const berth_if peer[8], uint64_t *now,
		uint64_t ns)
{
	static struct berth_output out;
	static uint8_t packet[65536];
	uint64_t end = *now + ns;
	struct bt_icmp_error e;
	struct bt_rx rx;
	struct bt_timer *t;

	for (unsigned turn = 0; turn < 1000; turn++) {
		while (bt_ip_pop(ip, &out)) {
			uint32_t at = 0;

			for (unsigned k = 0; k < out.n_iov; k++) {
				memcpy(packet + at, out.iov[k].iov_base, out.iov[k].iov_len);
				at += (uint32_t)out.iov[k].iov_len;
			}
			if (out.i < 8 && peer[out.i] != 0)
				bt_ip_input(ip,
					    &(struct berth_input){
						    .packet = packet, .len = at, .i = peer[out.i]},
					    *now, &rx, &e);
		}
		while (bt_ip_waiting(ip))
			bt_ip_next(ip, *now, &rx, &e);
		bt_ip_reap(ip);
		if (bt_wheel_deadline(wheel) > end)
			break;
		*now = bt_wheel_deadline(wheel);
		while ((t = bt_wheel_expired(wheel, *now)) != NULL)
			bt_ip_expired(ip, t, *now);
	}
	*now = end;
}

static void transmit(struct bt_ip *ip, uint16_t host, struct bt_addr src, struct bt_addr dst,
		     uint32_t len, uint64_t now)
{
	static struct berth_output out;
	static uint8_t payload[65536];
	struct bt_tx tx = {.host = host,
			   .proto = 17,
			   .src = src,
			   .dst = dst,
			   .out = &out,
			   .header_at = BT_TX_HEADER_AT,
			   .header_len = 8,
			   .payload_len = len};

	out.n_iov = 2;
	out.iov[1] = (struct iovec){payload, len};
	bt_ip_output(ip, &tx, now);
}

static void scenario(struct bt_ip *ip, struct bt_wheel *wheel)
{
	struct berth_if_config c = {.flags = BERTH_IF_ETHERNET, .mac = {2}};
	struct bt_addr g = v4(239, 1, 1, 1), any = v4(0, 0, 0, 0), via = v4(10, 0, 0, 2);
	struct bt_addr a4 = v4(10, 0, 0, 1), a6 = v6(1, 1), b4 = v4(10, 0, 0, 2), b6 = v6(1, 2);
	uint64_t now = 0;
	berth_if peer[8] = {0};
	int h[2], i[2];

	for (unsigned k = 0; k < 2; k++) {
		h[k] = bt_ip_host_add(ip);
		if (h[k] < 0) /* once more: it fails only once */
			h[k] = bt_ip_host_add(ip);
		assert_int_equal(h[k], k);
		c.mac[5] = (uint8_t)k;
		i[k] = bt_ip_if_add(ip, (uint16_t)h[k], &c, now);
		if (i[k] < 0) {
			assert_int_equal(i[k], BERTH_ENOMEM);
			i[k] = bt_ip_if_add(ip, (uint16_t)h[k], &c, now);
		}
		assert_true(i[k] > 0);
	}
	peer[i[0]] = (berth_if)i[1];
	peer[i[1]] = (berth_if)i[0];
	/* a call that fails has changed nothing: it can be made again */
	if (bt_ip_addr_add(ip, (berth_if)i[0], &a4, 24, now) != 0)
		assert_int_equal(bt_ip_addr_add(ip, (berth_if)i[0], &a4, 24, now), 0);
	if (bt_ip_addr_add(ip, (berth_if)i[0], &a6, 64, now) != 0)
		assert_int_equal(bt_ip_addr_add(ip, (berth_if)i[0], &a6, 64, now), 0);
	if (bt_ip_addr_add(ip, (berth_if)i[1], &b4, 24, now) != 0)
		assert_int_equal(bt_ip_addr_add(ip, (berth_if)i[1], &b4, 24, now), 0);
	if (bt_ip_addr_add(ip, (berth_if)i[1], &b6, 64, now) != 0)
		assert_int_equal(bt_ip_addr_add(ip, (berth_if)i[1], &b6, 64, now), 0);
	if (bt_ip_route_add(ip, 0, &any, 0, &via, 0, 1) != 0)
		assert_int_equal(bt_ip_route_add(ip, 0, &any, 0, &via, 0, 1), 0);
	if (bt_ip_join(ip, 0, &g, (berth_if)i[0], NULL, now) != 0)
		assert_int_equal(bt_ip_join(ip, 0, &g, (berth_if)i[0], NULL, now), 0);
	for (unsigned k = 0; k < 2; k++) {
		transmit(ip, 0, a4, b4, 100, now);
		transmit(ip, 0, a6, b6, 100, now);
		run(ip, wheel, peer, &now, SEC);
		transmit(ip, 0, a4, b4, 30000, now);
		transmit(ip, 0, a6, b6, 3000, now);
		transmit(ip, 0, a4, a4, 60000, now);
		transmit(ip, 0, a4, v4(10, 0, 0, 99), 10, now);
		run(ip, wheel, peer, &now, 10 * SEC);
	}
	bt_ip_mtu_learned(ip, 0, &b4, 1000, now);
	assert_int_equal(bt_ip_addr_del(ip, (berth_if)i[1], &b6, now), 0);
	run(ip, wheel, peer, &now, 1000 * SEC);
	assert_int_equal(bt_ip_copies(ip), 0);
}

static void every_allocation(void **state)
{
	static const uint8_t key[16] = {3};
	unsigned n = 0;

	(void)state;
	do {
		struct bt_wheel *wheel = bt_wheel_new(0);
		struct bt_ip *ip;

		countdown = n++;
		failed = false;
		armed = true;
		ip = bt_ip_new(key, wheel, 0);
		assert_true(ip != NULL || failed);
		if (ip != NULL)
			scenario(ip, wheel);
		armed = false;
		bt_ip_free(ip);
		assert_int_equal(bt_wheel_deadline(wheel), UINT64_MAX);
		bt_wheel_free(wheel);
	} while (failed);
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

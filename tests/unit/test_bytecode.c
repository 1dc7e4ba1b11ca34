/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of inet_diag against the kernel's interpreter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bytecode.h"
#include "random.h"
#include "table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
	size_t n = 0, ops = 1 + rnd(6);
	for (size_t i = 0; i < ops; i++) {
		struct inet_diag_bc_op op = {.code = (uint8_t)rnd(14), .yes = 4, .no = 4};
		struct inet_diag_bc_op value = {.no = rnd(2) ? port
							     : (uint16_t)(port + 1 - rnd(3))};
		struct inet_diag_hostcond c = {.family = (uint8_t)(rnd(4) ? AF_INET : rnd(12)),
					       .prefix_len = (uint8_t)rnd(36),
					       .port = rnd(3) ? -1 : port + (int)rnd(2)};
		size_t size = sizeof(op);
		uint8_t operand[32] = {0};
		bool host = op.code == INET_DIAG_BC_S_COND || op.code == INET_DIAG_BC_D_COND;
		if (op.code == INET_DIAG_BC_MARK_COND) /* asks for a privilege, so not compared */
			op.code = INET_DIAG_BC_S_EQ;
		if (host) {
			memcpy(operand, &c, sizeof(c));
			memcpy(operand + sizeof(c), loop, 4);
			if (rnd(3) == 0)
				operand[sizeof(c) + rnd(4)] ^= (uint8_t)(1u << rnd(8));
			size += sizeof(c) + 4;
		} else if (op.code != INET_DIAG_BC_NOP && op.code != INET_DIAG_BC_JMP &&
			   op.code != INET_DIAG_BC_AUTO) {
			memcpy(operand, &value, sizeof(value));
			size += op.code == INET_DIAG_BC_CGROUP_COND ? 8 : 4;
		}
		op.yes = (uint8_t)(rnd(12) ? size : rnd(40));
		op.no = (uint16_t)(rnd(12) ? size + (rnd(2) ? 0 : 4 * rnd(8)) : rnd(100));
		memcpy(code + n, &op, sizeof(op));
		memcpy(code + n + sizeof(op), operand, size - sizeof(op));
		n += size;
	}
	/* A jump beyond the end by four says no; make that likely, as ss does. */
	if (rnd(2)) {
		struct inet_diag_bc_op op;
		memcpy(&op, code, sizeof(op));
		op.no = (uint16_t)(n + 4);
		memcpy(code, &op, sizeof(op));
	}
	return rnd(20) ? n : n - rnd((uint32_t)n);
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
		size_t len = rnd(120);
		uint8_t *p = malloc(len + 1);
		for (size_t k = 0; k < len; k++)
			p[k] = (uint8_t)(rnd(4) ? 4 * rnd(6) : rnd(256));
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
		cmocka_unit_test(filters_as_the_kernel),
		cmocka_unit_test(random_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

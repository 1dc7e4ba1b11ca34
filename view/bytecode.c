/* SPDX-License-Identifier: Apache-2.0 */
#include "bytecode.h"

#include "view.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <string.h>
#include <sys/socket.h>

#define OP ((long)sizeof(struct inet_diag_bc_op))

static struct inet_diag_bc_op op_at(const uint8_t *code, long at)
{
	struct inet_diag_bc_op op;
	memcpy(&op, code + at, sizeof(op));
	return op;
}

/* How long an instruction is with its operand; 0: not one. left: bytes from its beginning. */
static long size_of(const uint8_t *code, long at, long left)
{
	struct inet_diag_hostcond c;
	switch (op_at(code, at).code) {
	case INET_DIAG_BC_NOP:
	case INET_DIAG_BC_JMP:
	case INET_DIAG_BC_AUTO:
		return OP;
	case INET_DIAG_BC_S_GE:
	case INET_DIAG_BC_S_LE:
	case INET_DIAG_BC_D_GE:
	case INET_DIAG_BC_D_LE:
	case INET_DIAG_BC_S_EQ:
	case INET_DIAG_BC_D_EQ:
		return left < 2 * OP ? 0 : 2 * OP;
	case INET_DIAG_BC_DEV_COND:
		return left < OP + 4 ? 0 : OP + 4;
	case INET_DIAG_BC_MARK_COND:
	case INET_DIAG_BC_CGROUP_COND:
		return left < OP + 8 ? 0 : OP + 8;
	case INET_DIAG_BC_S_COND:
	case INET_DIAG_BC_D_COND: {
		long size = OP + (long)sizeof(c);
		if (left < size)
			return 0;
		memcpy(&c, code + at + OP, sizeof(c));
		long addr = c.family == AF_INET ? 4 : c.family == AF_INET6 ? 16 : 0;
		if ((addr == 0 && c.family != AF_UNSPEC) || left < size + addr ||
		    c.prefix_len > 8 * addr)
			return 0;
		return size + addr;
	}
	default:
		return 0;
	}
}

/* A jump's goal is the beginning of an instruction on the way of the yeses. */
static bool is_start(const uint8_t *code, long len, long goal)
{
	long at = 0;
	while (at < len && at < goal) {
		struct inet_diag_bc_op op = op_at(code, at);
		if (op.yes < OP || op.yes & 3)
			return false;
		at += op.yes;
	}
	return at == goal;
}

int bt_bc_check(const void *bytes, size_t n)
{
	const uint8_t *code = bytes;
	long len = (long)n, at = 0;
	if (n < sizeof(struct inet_diag_bc_op) || n > UINT16_MAX)
		return -EINVAL;
	while (at < len) {
		long left = len - at, size = left < OP ? 0 : size_of(code, at, left);
		if (size == 0)
			return -EINVAL;
		struct inet_diag_bc_op op = op_at(code, at);
		if (op.code != INET_DIAG_BC_NOP) {
			/* Four bytes beyond the end mean no. */
			if (op.no < size || op.no > left + 4 || op.no & 3)
				return -EINVAL;
			if (op.no < left && !is_start(code, len, at + op.no))
				return -EINVAL;
		}
		if (op.yes < size || op.yes > left + 4 || op.yes & 3)
			return -EINVAL;
		at += op.yes;
	}
	return at == len ? 0 : -EINVAL;
}

static bool host_matches(const uint8_t *operand, const struct bt_bc_socket *s, bool src)
{
	struct inet_diag_hostcond c;
	memcpy(&c, operand, sizeof(c));
	const uint8_t *addr = src ? s->src : s->dst, *want = operand + sizeof(c);
	if (c.port != -1 && c.port != (src ? s->sport : s->dport))
		return false;
	if (c.family != AF_UNSPEC && c.family != s->family)
		return s->family == AF_INET6 && c.family == AF_INET && bt_is_v4(addr) &&
		       bt_same_bits(addr + 12, want, c.prefix_len);
	return bt_same_bits(addr, want, c.prefix_len);
}

static bool matches(const uint8_t *code, long at, const struct bt_bc_socket *s)
{
	const uint8_t *operand = code + at + OP;
	uint32_t word[2] = {0, 0};
	switch (op_at(code, at).code) {
	case INET_DIAG_BC_JMP:
		return false;
	case INET_DIAG_BC_S_EQ:
		return s->sport == op_at(operand, 0).no;
	case INET_DIAG_BC_S_GE:
		return s->sport >= op_at(operand, 0).no;
	case INET_DIAG_BC_S_LE:
		return s->sport <= op_at(operand, 0).no;
	case INET_DIAG_BC_D_EQ:
		return s->dport == op_at(operand, 0).no;
	case INET_DIAG_BC_D_GE:
		return s->dport >= op_at(operand, 0).no;
	case INET_DIAG_BC_D_LE:
		return s->dport <= op_at(operand, 0).no;
	case INET_DIAG_BC_AUTO:
		return !s->bound;
	case INET_DIAG_BC_S_COND:
		return host_matches(operand, s, true);
	case INET_DIAG_BC_D_COND:
		return host_matches(operand, s, false);
	case INET_DIAG_BC_DEV_COND:
		memcpy(word, operand, 4);
		return word[0] == s->dev;
	case INET_DIAG_BC_MARK_COND: /* (mark & mask) == value; every mark is 0 */
		memcpy(word, operand, 8);
		return word[0] == 0;
	case INET_DIAG_BC_CGROUP_COND:
		return false;
	default:
		return true;
	}
}

bool bt_bc_match(const void *bytes, size_t n, const struct bt_bc_socket *s)
{
	const uint8_t *code = bytes;
	long len = (long)n, at = 0;
	while (at < len) {
		struct inet_diag_bc_op op = op_at(code, at);
		at += matches(code, at, s) ? op.yes : op.no;
	}
	return at == len;
}

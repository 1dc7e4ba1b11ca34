/* SPDX-License-Identifier: Apache-2.0 */
/* recvmsg with MSG_ERRQUEUE (ip(7), IP_RECVERR): berthd keeps the queue (daemon/errors.c). */
#include "preload.h"

#include <linux/errqueue.h>
#include <sys/syscall.h>

/* The message of the control buffer: struct sock_extended_err and the address of who said it. */
static void put_control(const struct note *n, const struct bt_udp_error *e, struct msghdr *m)
{
	struct {
		struct sock_extended_err ee;
		union {
			struct sockaddr_in in;
			struct sockaddr_in6 in6;
		} from;
	} said = {.ee = {.ee_errno = (uint32_t)e->error,
			 .ee_origin = e->origin,
			 .ee_type = e->type,
			 .ee_code = e->code,
			 .ee_info = e->info}};
	bool v6 = n->flags & NOTE_V6;
	socklen_t len = sizeof(said.from);
	size_t size = sizeof(said.ee) + (v6 ? sizeof(said.from.in6) : sizeof(said.from.in));
	struct cmsghdr head = {.cmsg_len = CMSG_LEN(size),
			       .cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			       .cmsg_type = v6 ? IPV6_RECVERR : IP_RECVERR};
	bt_addr_out(e->from, 0, v6, (struct sockaddr *)&said.from, &len);
	if (m->msg_control == NULL || m->msg_controllen < sizeof(head)) {
		m->msg_flags |= MSG_CTRUNC;
		m->msg_controllen = 0;
		return;
	}
	if (head.cmsg_len > m->msg_controllen) {
		m->msg_flags |= MSG_CTRUNC;
		head.cmsg_len = m->msg_controllen;
	}
	memcpy(m->msg_control, &head, sizeof(head));
	memcpy((uint8_t *)m->msg_control + CMSG_LEN(0), &said, head.cmsg_len - CMSG_LEN(0));
	if (m->msg_controllen > CMSG_SPACE(size))
		m->msg_controllen = CMSG_SPACE(size);
}

ssize_t bt_errqueue(int fd, const struct note *n, struct msghdr *m)
{
	uint8_t extra[2048], *at = extra + sizeof(struct bt_udp_error);
	struct bt_udp_error e;
	struct bt_req q;
	struct bt_rep rep;
	size_t got = sizeof(extra), left, done = 0;
	int waits = 0;
	socklen_t len = sizeof(waits);
	if (!(n->flags & NOTE_NAMED))
		return bt_fail(EAGAIN);
	bt_req_init(&q, BT_ERRQUEUE, n);
	if (bt_call(bt_proof(fd, n), &q, NULL, &rep, extra, &got) != 0 || got < sizeof(e))
		return bt_fail(EAGAIN);
	/* The error that the descriptor itself has is this one's. */
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, (long)&waits, (long)&len, 0);
	memcpy(&e, extra, sizeof(e));
	left = got - sizeof(e);
	for (size_t i = 0; i < m->msg_iovlen && left > 0; i++) {
		size_t part = m->msg_iov[i].iov_len < left ? m->msg_iov[i].iov_len : left;
		memcpy(m->msg_iov[i].iov_base, at + done, part);
		done += part;
		left -= part;
	}
	m->msg_flags = MSG_ERRQUEUE | (left > 0 ? MSG_TRUNC : 0);
	if (m->msg_name != NULL)
		bt_addr_out(e.dst, e.port, n->flags & NOTE_V6, m->msg_name, &m->msg_namelen);
	put_control(n, &e, m);
	return (ssize_t)done;
}

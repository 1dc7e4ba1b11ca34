/* SPDX-License-Identifier: Apache-2.0 */
#include "diag.h"

#include "cli.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>

/* The kernel fills a datagram of what the last read offered, up to 32 kB. */
enum { DUMP_BYTES = 64 * 1024 };

struct dump {
	struct bt_diags *out;
	uint64_t netid;
};

static bool parse_name(const struct nlattr *attr, uint64_t netid, struct bt_ident *id)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t n = mnl_attr_get_payload_len(attr);
	if (n > sizeof(sun.sun_path))
		return false;
	memcpy(sun.sun_path, mnl_attr_get_payload(attr), n);
	return bt_name_parse(&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n), netid,
			     id);
}

struct parse {
	uint64_t netid;
	struct bt_diag *s;
	bool named;
};

static int add_attr(const struct nlattr *attr, void *arg)
{
	struct parse *p = arg;
	uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);
	if (type == UNIX_DIAG_NAME) {
		p->named = parse_name(attr, p->netid, &p->s->id);
		/* Somebody else's: the rest is of no interest. */
		return p->named ? MNL_CB_OK : MNL_CB_STOP;
	}
	if (type == UNIX_DIAG_PEER && len >= sizeof(uint32_t)) {
		p->s->peer_ino = mnl_attr_get_u32(attr);
	} else if (type == UNIX_DIAG_RQLEN && len >= sizeof(struct unix_diag_rqlen)) {
		const struct unix_diag_rqlen *q = mnl_attr_get_payload(attr);
		p->s->rqueue = q->udiag_rqueue;
	}
	return MNL_CB_OK;
}

static int add_socket(const struct nlmsghdr *nlh, void *arg)
{
	struct dump *dump = arg;
	struct bt_diags *d = dump->out;
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct bt_diag s = {0};
	struct parse p = {.netid = dump->netid, .s = &s};
	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY || mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg))
		return MNL_CB_OK;
	s.ino = msg->udiag_ino;
	s.state = msg->udiag_state;
	mnl_attr_parse(nlh, sizeof(*msg), add_attr, &p);
	if (!p.named)
		return MNL_CB_OK;
	if (d->n == d->room)
		d->list = bt_grow(d->list, &d->room, sizeof(*d->list));
	d->list[d->n++] = s;
	return MNL_CB_OK;
}

int bt_diag_dump(struct bt_diags *d, uint64_t netid, uint32_t states)
{
	static _Alignas(struct nlmsghdr) char buf[DUMP_BYTES];
	struct dump dump = {d, netid};
	int err = 0;
	*d = (struct bt_diags){0};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct unix_diag_req *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	*req = (struct unix_diag_req){
		.sdiag_family = AF_UNIX,
		.udiag_states = states,
		.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN,
	};
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) != 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		err = -errno;
	for (bool more = true; !err && more;) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		int r = mnl_cb_run(buf, (size_t)n, 0, mnl_socket_get_portid(nl), add_socket, &dump);
		more = n > 0 && r > MNL_CB_STOP;
		/* EINTR is libmnl's word for a list that changed under the reader: as good as it
		 * gets. */
		if (r < 0 && errno != EINTR)
			err = -errno;
	}
	mnl_socket_close(nl);
	return err;
}

void bt_diag_done(struct bt_diags *d)
{
	free(d->list);
	*d = (struct bt_diags){0};
}

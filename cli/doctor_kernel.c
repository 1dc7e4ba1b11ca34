/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's sockets for berth doctor, from NETLINK_SOCK_DIAG (sock_diag(7)), and its settings
 * from /proc (proc_sys_net(5), Documentation/networking/ip-sysctl.rst). The old request
 * TCPDIAG_GETSOCK has both families in one walk of the kernel's tables, listeners first.
 */
#include "doctor.h"
#include "join.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER = 256 * 1024,
	BOUND_INACTIVE = 13, /* TCP_BOUND_INACTIVE, Linux 6.8; others ignore the bit */
	EVERY_STATE = (1 << (BOUND_INACTIVE + 1)) - 1,
	TIME_WAIT_MS = 60000, /* TCP_TIMEWAIT_LEN, include/net/tcp.h */
	AGED_MAX = 5000,      /* sockets in CLOSE_WAIT whose age is asked for */
};

/* ---- /proc ---- */

static bool read_text(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	return n > 0;
}

static uint32_t read_number(const char *path, uint32_t otherwise)
{
	char text[64];
	return read_text(path, text, sizeof(text)) ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

/* The lines "TcpExt: name..." and "TcpExt: value..." of /proc/net/netstat. */
static uint64_t counter(const char *text, const char *name)
{
	const char *names = strstr(text, "TcpExt:");
	const char *values = names ? strstr(names + 1, "TcpExt:") : NULL;
	size_t len = strlen(name);
	while (values && names < values) {
		names += strcspn(names, " \n");
		values += strcspn(values, " \n");
		if (*names != ' ' || *values != ' ')
			return 0;
		names++;
		values++;
		if (strncmp(names, name, len) == 0 && strchr(" \n", names[len]))
			return strtoull(values, NULL, 10);
	}
	return 0;
}

static void read_settings(struct bt_count *c)
{
	enum { TEXT = 1 << 19 };
	char *text = malloc(TEXT);
	unsigned lo, hi;
	c->lo = 32768;
	c->hi = 60999;
	c->age = "last_packet";
	c->time_wait_ms = TIME_WAIT_MS;
	c->tw_reuse = (int)read_number("/proc/sys/net/ipv4/tcp_tw_reuse", 0);
	c->fin_timeout_s = read_number("/proc/sys/net/ipv4/tcp_fin_timeout", 60);
	c->somaxconn = read_number("/proc/sys/net/core/somaxconn", 4096);
	if (!text)
		return;
	if (read_text("/proc/sys/net/ipv4/ip_local_port_range", text, TEXT) &&
	    sscanf(text, "%u %u", &lo, &hi) == 2 && lo <= hi && hi <= 65535) {
		c->lo = (uint16_t)lo;
		c->hi = (uint16_t)hi;
	}
	if (read_text("/proc/sys/net/ipv4/ip_local_reserved_ports", text, TEXT))
		bt_ports_parse(text, c->reserved);
	if (read_text("/proc/self/net/netstat", text, TEXT)) {
		c->listen_overflows = counter(text, "ListenOverflows");
		c->listen_drops = counter(text, "ListenDrops");
	}
	free(text);
}

/* ---- netlink ---- */

static void copy_addr(uint8_t to[16], const __be32 from[4], unsigned family)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	if (family == AF_INET) {
		memcpy(to, mapped, 12);
		memcpy(to + 12, from, 4);
	} else {
		memcpy(to, from, 16);
	}
}

static void read_seen(struct bt_seen *s, const struct inet_diag_msg *m, uint8_t proto)
{
	bool listens = m->idiag_state == BT_ROW_LISTEN && proto == BT_PROTO_TCP;
	*s = (struct bt_seen){
		.lport = ntohs(m->id.idiag_sport),
		.rport = ntohs(m->id.idiag_dport),
		.proto = proto,
		.state = m->idiag_state == BOUND_INACTIVE ? BT_ROW_CLOSE : m->idiag_state,
		.ino = m->idiag_inode,
		.rqueue = listens ? m->idiag_rqueue : 0,
		.backlog = listens ? m->idiag_wqueue : 0,
		.age_s = -1,
	};
	copy_addr(s->laddr, m->id.idiag_src, m->idiag_family);
	copy_addr(s->raddr, m->id.idiag_dst, m->idiag_family);
}

struct dump {
	struct bt_count *count;
	char *buf;
	int fd;
	uint8_t proto;
	bool ages; /* only fills in how long sockets have been in CLOSE_WAIT */
};

/* The FIN is acknowledged at once, and nothing comes after it but acknowledgements of our own data:
 * the last packet is at most as old as CLOSE_WAIT. */
static void read_age(struct bt_count *c, const struct nlmsghdr *h, const struct inet_diag_msg *m)
{
	size_t at = sizeof(*h) + sizeof(*m);
	while (at + sizeof(struct nlattr) <= h->nlmsg_len) {
		const struct nlattr *a = (const void *)((const char *)h + at);
		struct tcp_info info;
		if (a->nla_len < sizeof(*a) || a->nla_len > h->nlmsg_len - at)
			return;
		size_t need = offsetof(struct tcp_info, tcpi_last_ack_recv) + 4;
		if (a->nla_type == INET_DIAG_INFO && a->nla_len >= sizeof(*a) + need) {
			memcpy(&info, a + 1, need);
			for (size_t i = 0; i < c->n_waits; i++) {
				if (c->waits[i].ino == m->idiag_inode)
					c->waits[i].age_s = info.tcpi_last_ack_recv / 1000;
			}
			return;
		}
		at += (a->nla_len + 3u) & ~(size_t)3;
	}
}

/* One message. 1: more follows; 0: that was the end; -errno. */
static int read_message(struct dump *d, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = (const void *)(h + 1);
	const struct inet_diag_msg *m = (const void *)(h + 1);
	struct bt_seen s;
	if (h->nlmsg_type == NLMSG_DONE)
		return 0;
	if (h->nlmsg_type == NLMSG_ERROR)
		return h->nlmsg_len < sizeof(*h) + sizeof(*e) ? -EPROTO : e->error;
	if (h->nlmsg_len < sizeof(*h) + sizeof(*m))
		return -EPROTO;
	if (d->ages) {
		read_age(d->count, h, m);
		return 1;
	}
	read_seen(&s, m, d->proto);
	bt_count_add(d->count, &s);
	return 1;
}

static int read_messages(struct dump *d, size_t n)
{
	int more = 1;
	size_t at = 0;
	while (more == 1 && at + sizeof(struct nlmsghdr) <= n) {
		const struct nlmsghdr *h = (const void *)(d->buf + at);
		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > n - at)
			return -EPROTO;
		more = read_message(d, h);
		at += (h->nlmsg_len + 3u) & ~(size_t)3;
	}
	return more;
}

static int run(struct dump *d, const void *request, size_t size)
{
	ssize_t n;
	int more = 1;
	if (send(d->fd, request, size, 0) < 0)
		return -errno;
	while (more == 1) {
		while ((n = recv(d->fd, d->buf, BUFFER, MSG_TRUNC)) < 0 && errno == EINTR)
			;
		if (n < 0)
			return -errno;
		if (n > BUFFER || n == 0)
			return -EPROTO;
		more = read_messages(d, (size_t)n);
	}
	return more;
}

static int dump_tcp(struct dump *d, uint32_t states, uint8_t ext)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req r;
	} q = {
		.h = {.nlmsg_len = sizeof(q),
		      .nlmsg_type = TCPDIAG_GETSOCK,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.r = {.idiag_family = AF_UNSPEC, .idiag_ext = ext, .idiag_states = states},
	};
	d->proto = BT_PROTO_TCP;
	return run(d, &q, sizeof(q));
}

static int dump_udp(struct dump *d, uint8_t family)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} q = {
		.h = {.nlmsg_len = sizeof(q),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.r = {.sdiag_family = family,
		      .sdiag_protocol = IPPROTO_UDP,
		      .idiag_states = EVERY_STATE},
	};
	d->proto = BT_PROTO_UDP;
	int err = run(d, &q, sizeof(q));
	/* A kernel without udp_diag or without IPv6 says so. */
	return err == -ENOENT ? 0 : err;
}

int bt_doctor_kernel(struct bt_health *h)
{
	struct dump d = {.count = &h->now, .buf = malloc(BUFFER)};
	bt_count_clear(&h->now);
	read_settings(&h->now);
	d.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int err = d.fd < 0 ? -errno : !d.buf ? -ENOMEM : dump_tcp(&d, EVERY_STATE, 0);
	if (!err)
		err = dump_udp(&d, AF_INET);
	if (!err)
		err = dump_udp(&d, AF_INET6);
	d.ages = true;
	/* Few enough to be looked for one by one. */
	if (!err && h->now.n_waits && h->now.n_waits <= AGED_MAX)
		err = dump_tcp(&d, 1u << BT_ROW_CLOSE_WAIT, 1 << (INET_DIAG_INFO - 1));
	if (d.fd >= 0)
		close(d.fd);
	free(d.buf);
	if (err)
		bt_say("the kernel does not list its sockets: %s; check that the module inet_diag "
		       "is "
		       "there and that nothing forbids netlink",
		       strerror(-err));
	return err;
}

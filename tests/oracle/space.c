/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network namespace with lo and eth0, as a host of berth has them. eth0 is a device that sends
 * nothing anywhere: dummy, or ifb where the kernel has no dummy.
 */
#include "oracle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct message {
	struct nlmsghdr h;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		char room[256];
	} u;
};

static void begin(struct message *m, uint16_t type, uint16_t flags, size_t body)
{
	memset(m, 0, sizeof(*m));
	m->h.nlmsg_type = type;
	m->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	m->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
}

/* Returns the attribute's place, for a nest to be closed. */
static struct rtattr *attribute(struct message *m, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len > 0)
		memcpy(RTA_DATA(a), data, len);
	m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + RTA_LENGTH(len));
	return a;
}

static void nest_end(struct message *m, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)m + m->h.nlmsg_len - (char *)nest);
}

/* 0 or a negative errno. */
static int ask(int fd, struct message *m)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char room[512];
	} reply;
	if (send(fd, m, m->h.nlmsg_len, 0) < 0 || recv(fd, &reply, sizeof(reply), 0) < 0)
		return -errno;
	return reply.h.nlmsg_type == NLMSG_ERROR ? reply.e.error : 0;
}

static int add_device(int fd, const char *kind)
{
	struct message m;
	begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(m.u.link));
	attribute(&m, IFLA_IFNAME, DEVICE, sizeof(DEVICE));
	struct rtattr *info = attribute(&m, IFLA_LINKINFO, NULL, 0);
	attribute(&m, IFLA_INFO_KIND, kind, strlen(kind));
	nest_end(&m, info);
	return ask(fd, &m);
}

static int up(int fd, const char *device)
{
	struct message m;
	begin(&m, RTM_NEWLINK, 0, sizeof(m.u.link));
	m.u.link.ifi_index = (int)if_nametoindex(device);
	m.u.link.ifi_flags = m.u.link.ifi_change = IFF_UP;
	return ask(fd, &m);
}

/* No link-local address by itself: a host of berth has none. */
static int no_link_local(int fd, const char *device)
{
	struct message m;
	const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	begin(&m, RTM_NEWLINK, 0, sizeof(m.u.link));
	m.u.link.ifi_index = (int)if_nametoindex(device);
	struct rtattr *spec = attribute(&m, IFLA_AF_SPEC, NULL, 0);
	struct rtattr *inet6 = attribute(&m, AF_INET6, NULL, 0);
	attribute(&m, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nest_end(&m, inet6);
	nest_end(&m, spec);
	return ask(fd, &m);
}

static int add_address(int fd, const char *text, uint8_t bits)
{
	struct message m;
	uint8_t raw[16];
	bool v6 = inet_pton(AF_INET6, text, raw) == 1;
	if (!v6 && inet_pton(AF_INET, text, raw) != 1)
		return -EINVAL;
	begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(m.u.addr));
	m.u.addr.ifa_family = v6 ? AF_INET6 : AF_INET;
	m.u.addr.ifa_prefixlen = bits;
	m.u.addr.ifa_flags = v6 ? IFA_F_NODAD : 0;
	m.u.addr.ifa_index = if_nametoindex(DEVICE);
	attribute(&m, IFA_LOCAL, raw, v6 ? 16 : 4);
	attribute(&m, IFA_ADDRESS, raw, v6 ? 16 : 4);
	if (!v6) {
		raw[3] = 255;
		attribute(&m, IFA_BROADCAST, raw, 4);
	}
	return ask(fd, &m);
}

/* A host of berth reaches every group and everybody. */
static int add_route(int fd, const char *text, uint8_t bits)
{
	struct message m;
	uint8_t raw[4];
	uint32_t device = if_nametoindex(DEVICE);
	begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(m.u.route));
	m.u.route.rtm_family = AF_INET;
	m.u.route.rtm_dst_len = bits;
	m.u.route.rtm_table = RT_TABLE_MAIN;
	m.u.route.rtm_protocol = RTPROT_BOOT;
	m.u.route.rtm_scope = RT_SCOPE_LINK;
	m.u.route.rtm_type = RTN_UNICAST;
	inet_pton(AF_INET, text, raw);
	attribute(&m, RTA_DST, raw, sizeof(raw));
	attribute(&m, RTA_OIF, &device, sizeof(device));
	return ask(fd, &m);
}

static bool is_local(int fd, const char *v6)
{
	struct message m, reply;
	uint8_t raw[16];
	begin(&m, RTM_GETROUTE, 0, sizeof(m.u.route));
	m.h.nlmsg_flags = NLM_F_REQUEST;
	m.u.route.rtm_family = AF_INET6;
	m.u.route.rtm_dst_len = 128;
	inet_pton(AF_INET6, v6, raw);
	attribute(&m, RTA_DST, raw, sizeof(raw));
	return send(fd, &m, m.h.nlmsg_len, 0) > 0 && recv(fd, &reply, sizeof(reply), 0) > 0 &&
	       reply.h.nlmsg_type == RTM_NEWROUTE && reply.u.route.rtm_type == RTN_LOCAL;
}

/* The kernel adds an IPv6 address's local route later, from a work queue (addrconf_dad_work), also
 * without duplicate address detection; until then packets to the address leave by the device, and
 * are lost. */
static bool becomes_local(int fd, const char *v6)
{
	for (unsigned i = 0; i < 20000; i++) {
		if (is_local(fd, v6))
			return true;
		usleep(100);
	}
	return false;
}

/* A new namespace takes some settings from the machine's first one. */
static void defaults(void)
{
	static const char *const settings[][2] = {
		{"ipv4/ip_local_port_range", "32768 60999"},
		{"ipv4/ip_local_reserved_ports", "\n"},
		{"ipv4/ip_unprivileged_port_start", "1024"},
		{"ipv4/ip_nonlocal_bind", "0"},
		{"ipv4/ip_autobind_reuse", "0"},
		{"ipv4/tcp_tw_reuse", "2"},
		{"ipv4/tcp_fin_timeout", "60"},
		{"ipv6/bindv6only", "0"},
		{"ipv6/ip_nonlocal_bind", "0"},
	};
	char path[96];
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/%s", settings[i][0]);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue; /* an older kernel has not all of them */
		if (write(fd, settings[i][1], strlen(settings[i][1])) < 0)
			fprintf(stderr, "oracle: %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Who is not root makes a user namespace in which he is. */
static bool as_own_root(void)
{
	char map[32];
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	       write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", map);
}

const char *space_enter(void)
{
	char text[48];
	int e;
	if (unshare(CLONE_NEWNET) != 0 && !as_own_root())
		return "no network namespace may be made";
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return "no netlink";
	e = add_device(fd, "dummy");
	if (e != 0)
		e = add_device(fd, "ifb");
	if (e != 0)
		return "no dummy or ifb device";
	e = up(fd, "lo");
	if (e == 0) {
		no_link_local(fd, DEVICE);
		e = up(fd, DEVICE);
	}
	for (const char *which = "ab6"; *which && e == 0; which++) {
		words_address(*which, text, sizeof(text));
		e = add_address(fd, text, *which == '6' ? 64 : 24);
		if (e == 0 && *which == '6' && !becomes_local(fd, text))
			e = -ETIMEDOUT;
	}
	if (e == 0)
		e = add_route(fd, "224.0.0.0", 4);
	if (e == 0)
		e = add_route(fd, "255.255.255.255", 32);
	close(fd);
	if (e != 0)
		return "the addresses could not be set";
	defaults();
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host under test is Linux's, in a network namespace of its own, behind a TUN device; in real
 * time. Lines happen in their order; one that comes late moves all that follow, so what is compared
 * is the time from one to the next. How late the kernel may be: its timers beyond a quarter of a
 * second are exact to an eighth, and this program is woken when there is a processor for it.
 */
#include "script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS ((uint64_t)1000000)

static int tun;
static uint64_t origin_ns; /* the machine's clock at the script's 0 */

const bool host_has_drops = false;

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- the namespace ---- */

static void command(const struct script *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void command(const struct script *s, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (system(text) != 0)
		fail(s, "%s", text);
}

static void sysctl(const struct script *s, const char *name, const char *value)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail(s, "%s: %s", path, strerror(errno));
	close(fd);
}

/* What the machine's owner may have set otherwise than libberth's defaults, and Linux's. */
static void settings(struct script *s)
{
	sysctl(s, "ipv4/tcp_fastopen", "3");
	sysctl(s, "ipv4/conf/all/rp_filter", "0");
	sysctl(s, "ipv6/conf/default/accept_dad", "0");
	sysctl(s, "ipv6/conf/default/router_solicitations", "0");
	sysctl(s, "ipv6/conf/default/addr_gen_mode", "1");
}

void host_start(struct script *s)
{
	struct ifreq r = {.ifr_flags = (s->ethernet ? IFF_TAP : IFF_TUN) | IFF_NO_PI};
	const struct sched_param first = {.sched_priority = 1};
	char text[INET6_ADDRSTRLEN];

	if (unshare(CLONE_NEWNET) < 0)
		fail(s, "unshare: %s", strerror(errno));
	settings(s);
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "wire");
	if (tun < 0 || ioctl(tun, TUNSETIFF, &r) < 0)
		fail(s, "/dev/net/tun: %s", strerror(errno));
	if (s->ip == 4)
		inet_ntop(AF_INET, s->host_addr.b + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, s->host_addr.b, text, sizeof(text));
	command(s, "ip link set lo up");
	command(s, "ip link set wire mtu %u", s->mtu);
	if (s->ethernet)
		command(s, "ip link set wire address 02:00:00:00:00:%02x", HOST_MAC);
	command(s, "ip address add %s/%d dev wire", text, s->ip == 4 ? 24 : 64);
	command(s, "ip link set wire up");
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
	origin_ns = clock_ns() + 20 * MS;
}

void host_end(struct script *s)
{
	(void)s;
	close(tun);
}

/* ---- packets and time ---- */

void host_input(struct script *s, const uint8_t *packet, size_t len)
{
	if (write(tun, packet, len) < 0 && errno != EINVAL)
		fail(s, "/dev/net/tun: %s", strerror(errno));
}

static void collect_until(struct script *s, uint64_t until_ns, bool stop_at_first)
{
	static uint8_t packet[PACKET_BYTES];
	struct pollfd p = {.fd = tun, .events = POLLIN};

	for (;;) {
		uint64_t now = clock_ns(), wait = until_ns > now ? until_ns - now : 0;
		struct timespec t = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
		struct iovec part = {packet, 0};
		ssize_t len;

		while ((len = read(tun, packet, sizeof(packet))) > 0) {
			part.iov_len = (size_t)len;
			now = clock_ns();
			sent_add(s, now > origin_ns ? now - origin_ns : 0, &part, 1);
		}
		if (wait == 0 || (stop_at_first && s->first != NULL))
			return;
		(void)ppoll(&p, 1, &t, NULL);
	}
}

void host_collect(struct script *s)
{
	collect_until(s, 0, false);
}

void host_pass(struct script *s, uint64_t until_ns)
{
	collect_until(s, origin_ns + until_ns, false);
	s->now_ns = until_ns;
}

uint64_t host_slack(const struct script *s)
{
	return 20 * MS + (s->now_ns - s->line_ns) / 8;
}

void host_await(struct script *s)
{
	collect_until(s, origin_ns + s->now_ns + host_slack(s), true);
	if (s->first != NULL && s->first->at_ns > s->now_ns &&
	    s->first->at_ns - s->now_ns < host_slack(s)) {
		origin_ns += s->first->at_ns - s->now_ns;
		s->first->at_ns = s->now_ns;
	}
}

/* ---- calls ---- */

static int64_t result_of(int64_t r)
{
	return r < 0 ? -errno : r;
}

static socklen_t address(const struct script *s, const struct berth_endpoint *e,
			 struct sockaddr_storage *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)a;

	memset(a, 0, sizeof(*a));
	if (s->ip == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(e->port);
		memcpy(&v4->sin_addr, e->addr.b + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(e->port);
	memcpy(&v6->sin6_addr, e->addr.b, 16);
	return sizeof(*v6);
}

int64_t host_socket(struct script *s, struct named *n, bool udp)
{
	int fd = socket(s->ip == 4 ? AF_INET : AF_INET6,
			(udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	n->s = (uint64_t)fd;
	/* A namespace may have another default, and not be free to change it. */
	if (!udp && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
		return -errno;
	return 0;
}

int64_t host_bind(struct script *s, struct named *n, const struct berth_endpoint *e)
{
	struct sockaddr_storage a;
	socklen_t len = address(s, e, &a);

	return result_of(bind((int)n->s, (struct sockaddr *)&a, len));
}

int64_t host_listen(struct script *s, struct named *n, uint32_t backlog)
{
	(void)s;
	return result_of(listen((int)n->s, (int)backlog));
}

int64_t host_connect(struct script *s, struct named *n, const struct berth_endpoint *e)
{
	struct sockaddr_storage a;
	socklen_t len = address(s, e, &a);

	return result_of(connect((int)n->s, (struct sockaddr *)&a, len));
}

int64_t host_accept(struct script *s, struct named *listener, uint64_t *child)
{
	int fd = accept4((int)listener->s, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)s;
	if (fd >= 0)
		*child = (uint64_t)fd;
	return fd < 0 ? -errno : 0;
}

int64_t host_send(struct script *s, struct named *n, const void *data, size_t len, unsigned flags)
{
	(void)s;
	return result_of(
		send((int)n->s, data, len, MSG_NOSIGNAL | (flags & BERTH_OOB ? MSG_OOB : 0)));
}

int64_t host_recv(struct script *s, struct named *n, void *data, size_t len, unsigned flags)
{
	(void)s;
	return result_of(recv((int)n->s, data, len, flags & BERTH_RECV_OOB ? MSG_OOB : 0));
}

int64_t host_send_to(struct script *s, struct named *n, const void *data, size_t len,
		     const struct berth_endpoint *to)
{
	struct sockaddr_storage a;
	socklen_t a_len = to == NULL ? 0 : address(s, to, &a);

	return result_of(
		sendto((int)n->s, data, len, 0, to == NULL ? NULL : (struct sockaddr *)&a, a_len));
}

int64_t host_recv_from(struct script *s, struct named *n, void *data, size_t len)
{
	return host_recv(s, n, data, len, 0);
}

int64_t host_shutdown(struct script *s, struct named *n, enum berth_shut how)
{
	static const int ways[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};

	(void)s;
	return result_of(shutdown((int)n->s, ways[how]));
}

int64_t host_close(struct script *s, struct named *n)
{
	(void)s;
	return result_of(close((int)n->s));
}

int64_t host_abort(struct script *s, struct named *n)
{
	const struct linger at_once = {1, 0};

	setsockopt((int)n->s, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return host_close(s, n);
}

/* ---- options ---- */

static const struct {
	enum berth_option option;
	int level, name;
} options[] = {
	{BERTH_SO_REUSEADDR, SOL_SOCKET, SO_REUSEADDR},
	{BERTH_SO_KEEPALIVE, SOL_SOCKET, SO_KEEPALIVE},
	{BERTH_SO_OOBINLINE, SOL_SOCKET, SO_OOBINLINE},
	{BERTH_TCP_NODELAY, IPPROTO_TCP, TCP_NODELAY},
	{BERTH_TCP_CORK, IPPROTO_TCP, TCP_CORK},
	{BERTH_TCP_QUICKACK, IPPROTO_TCP, TCP_QUICKACK},
	{BERTH_TCP_MAXSEG, IPPROTO_TCP, TCP_MAXSEG},
	{BERTH_TCP_KEEPIDLE, IPPROTO_TCP, TCP_KEEPIDLE},
	{BERTH_TCP_KEEPINTVL, IPPROTO_TCP, TCP_KEEPINTVL},
	{BERTH_TCP_KEEPCNT, IPPROTO_TCP, TCP_KEEPCNT},
	{BERTH_TCP_SYNCNT, IPPROTO_TCP, TCP_SYNCNT},
	{BERTH_TCP_LINGER2, IPPROTO_TCP, TCP_LINGER2},
	{BERTH_TCP_DEFER_ACCEPT, IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{BERTH_TCP_USER_TIMEOUT, IPPROTO_TCP, TCP_USER_TIMEOUT},
	{BERTH_TCP_WINDOW_CLAMP, IPPROTO_TCP, TCP_WINDOW_CLAMP},
	{BERTH_IP_TTL, IPPROTO_IP, IP_TTL},
	{BERTH_IP_TOS, IPPROTO_IP, IP_TOS},
	{BERTH_IP_MTU, IPPROTO_IP, IP_MTU},
	{BERTH_IP_MTU_DISCOVER, IPPROTO_IP, IP_MTU_DISCOVER},
};

/* Those of IPv4 have other names for IPv6. */
static int set_int(const struct script *s, int fd, int level, int name, int value)
{
	if (s->ip == 6 && level == IPPROTO_IP) {
		level = IPPROTO_IPV6;
		name = name == IP_TTL	? IPV6_UNICAST_HOPS
		       : name == IP_TOS ? IPV6_TCLASS
		       : name == IP_MTU ? IPV6_MTU
					: IPV6_MTU_DISCOVER;
	}
	return setsockopt(fd, level, name, &value, sizeof(value));
}

int64_t host_set(struct script *s, struct named *n, enum berth_option o, int64_t value)
{
	static const char *const modules[] = {"cubic", "reno", "bbr"};
	const struct linger linger = {value >= 0, value < 0 ? 0 : (int)value};
	int fd = (int)n->s, one = 1, accepts = 0;
	socklen_t len = sizeof(accepts);
	char digit[2] = {(char)('0' + value % 10), 0};

	if (o == BERTH_TCP_ECN) { /* only a whole host has this */
		sysctl(s, "ipv4/tcp_ecn", digit);
		return 0;
	}
	if (o == BERTH_SO_LINGER)
		return result_of(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	if (o == BERTH_SO_RCVBUF || o == BERTH_SO_SNDBUF) /* Linux doubles, and half is payload */
		return result_of(set_int(s, fd, SOL_SOCKET,
					 o == BERTH_SO_RCVBUF ? SO_RCVBUFFORCE : SO_SNDBUFFORCE,
					 (int)value));
	if (o == BERTH_TCP_CONGESTION)
		return result_of(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, modules[value],
					    (socklen_t)strlen(modules[value])));
	if (o == BERTH_TCP_FASTOPEN) {
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len);
		return result_of(accepts ? set_int(s, fd, IPPROTO_TCP, TCP_FASTOPEN, (int)value)
					 : setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
						      sizeof(one)));
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].option == o)
			return result_of(
				set_int(s, fd, options[i].level, options[i].name, (int)value));
	fail(s, "an option that is not known here");
}

int64_t host_get(struct script *s, struct named *n, enum berth_option o, int64_t *value)
{
	int v = 0;
	socklen_t len = sizeof(v);

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].option == o) {
			bool mtu6 = s->ip == 6 && o == BERTH_IP_MTU;

			if (getsockopt((int)n->s, mtu6 ? IPPROTO_IPV6 : options[i].level,
				       mtu6 ? IPV6_MTU : options[i].name, &v, &len) < 0)
				return -errno;
			*value = v;
			return 0;
		}
	fail(s, "an option that is not known here");
}

int host_error(struct script *s, struct named *n)
{
	int error = 0;
	socklen_t len = sizeof(error);

	(void)s;
	getsockopt((int)n->s, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

int host_info(struct script *s, struct named *n, struct berth_tcp_info *info)
{
	struct tcp_info i = {0};
	socklen_t len = sizeof(i);

	(void)s;
	if (getsockopt((int)n->s, IPPROTO_TCP, TCP_INFO, &i, &len) < 0)
		return -errno;
	*info = (struct berth_tcp_info){
		.state = i.tcpi_state,
		.ca_state = i.tcpi_ca_state,
		.backoff = i.tcpi_backoff,
		.probes = i.tcpi_probes,
		.snd_wscale = i.tcpi_snd_wscale,
		.rcv_wscale = i.tcpi_rcv_wscale,
		.timestamps = i.tcpi_options & TCPI_OPT_TIMESTAMPS,
		.sack = i.tcpi_options & TCPI_OPT_SACK,
		.ecn = i.tcpi_options & TCPI_OPT_ECN,
		.rto_ns = i.tcpi_rto * 1000ull,
		.srtt_ns = (i.tcpi_rtt + 500) / 1000 *
			   1000000ull, /* what a wait took too long or short */
		.snd_mss = i.tcpi_snd_mss,
		.snd_cwnd = i.tcpi_snd_cwnd,
		.snd_ssthresh = i.tcpi_snd_ssthresh,
		.unacked = i.tcpi_unacked,
		.sacked = i.tcpi_sacked,
		.lost = i.tcpi_lost,
		.total_retrans = i.tcpi_total_retrans,
	};
	return 0;
}

int host_ready(struct script *s, struct named *n)
{
	static const struct {
		short poll;
		int flag;
	} both[] = {{POLLIN, BERTH_READABLE},	  {POLLOUT, BERTH_WRITABLE},
		    {POLLRDHUP, BERTH_PEER_SHUT}, {POLLERR, BERTH_ERROR},
		    {POLLHUP, BERTH_ENDED},	  {POLLPRI, BERTH_URGENT}};
	struct pollfd p = {.fd = (int)n->s, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};
	int flags = 0;

	(void)s;
	(void)poll(&p, 1, 0);
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		flags |= p.revents & both[i].poll ? both[i].flag : 0;
	return flags;
}

uint32_t host_sockets(struct script *s)
{
	static const char *const files[] = {"tcp", "tcp6", "udp", "udp6"};
	char path[40], line[300];
	uint32_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/net/%s", files[i]);
		f = fopen(path, "re");
		if (f == NULL)
			fail(s, "%s: %s", path, strerror(errno));
		for (n--; fgets(line, sizeof(line), f) != NULL; n++) /* the first is a heading */
			;
		fclose(f);
	}
	return n;
}

uint64_t host_drops(struct script *s, enum berth_drop reason)
{
	(void)s;
	(void)reason;
	return 0;
}

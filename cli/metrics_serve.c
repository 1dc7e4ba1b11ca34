/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics by HTTP, to programs of this machine. libmicrohttpd reads what is asked; one thread, one
 * look at the network for each answer, a bounded number of connections that may be slow.
 */
#include "metrics.h"

#include "openmetrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 32, PATIENCE_S = 10, REQUEST_BYTES = 16384 };

struct server {
	struct bt_client *client;
	const char *network;
	struct MHD_Daemon *http;
	int epoll_fd;
};

/* ---- the address ---- */

static bool read_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	*port = htons((uint16_t)v);
	return *text >= '0' && *text <= '9' && !*end && v <= 65535;
}

bool bt_metrics_at(const char *text, struct bt_metrics_at *at)
{
	char addr[INET6_ADDRSTRLEN] = "127.0.0.1";
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	bool bracket = colon && *text == '[' && colon > text + 1 && colon[-1] == ']';
	size_t len = colon ? (size_t)(colon - text) - (bracket ? 2 : 0) : 0;
	*at = (struct bt_metrics_at){.len = sizeof(at->addr.v4)};
	if (colon && len < sizeof(addr)) {
		memcpy(addr, text + bracket, len);
		addr[len] = '\0';
	}
	bool four = inet_pton(AF_INET, addr, &at->addr.v4.sin_addr) == 1;
	bool good = len < sizeof(addr) && read_port(port, &at->addr.v4.sin_port) && four != bracket;
	bool near = four && ntohl(at->addr.v4.sin_addr.s_addr) >> 24 == 127;
	at->addr.any.sa_family = AF_INET;
	if (good && bracket) { /* the port is at the same place */
		at->len = sizeof(at->addr.v6);
		at->addr.any.sa_family = AF_INET6;
		good = inet_pton(AF_INET6, addr, &at->addr.v6.sin6_addr) == 1;
		near = good && IN6_IS_ADDR_LOOPBACK(&at->addr.v6.sin6_addr);
	}
	if (!good)
		bt_say("'%.80s' is not where metrics can be served; give PORT, 127.0.0.1:PORT or "
		       "[::1]:PORT, with a port from 0 to 65535",
		       text);
	else if (!near)
		bt_say("'%.80s' would show this machine's programs to others; give PORT, "
		       "127.0.0.1:PORT or [::1]:PORT",
		       text);
	return good && near;
}

static void address_text(const struct bt_metrics_at *at, char *text, size_t size)
{
	char addr[INET6_ADDRSTRLEN] = "";
	if (at->addr.any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &at->addr.v6.sin6_addr, addr, sizeof(addr));
	else
		inet_ntop(AF_INET, &at->addr.v4.sin_addr, addr, sizeof(addr));
	snprintf(text, size, at->addr.any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", addr,
		 ntohs(at->addr.v4.sin_port));
}

/* A listening descriptor, and *at with the port that it has; -1 after saying why there is none. */
static int listen_at(struct bt_metrics_at *at)
{
	const int on = 1;
	char text[80];
	int fd = socket(at->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* What an earlier one has left in TIME_WAIT is not in the way. */
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, &at->addr.any, at->len) == 0 && listen(fd, CONNECTIONS) == 0 &&
	    getsockname(fd, &at->addr.any, &at->len) == 0)
		return fd;
	int err = errno;
	address_text(at, text, sizeof(text));
	if (err == EADDRINUSE)
		bt_say("another program listens on %s; end it or give another port", text);
	else
		bt_say("metrics cannot be served on %s: %s; give another port", text,
		       strerror(err));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *to, unsigned status, char *text, size_t len,
			      const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result queued = MHD_queue_response(to, status, r);
	MHD_destroy_response(r);
	return queued;
}

static enum MHD_Result sentence(struct MHD_Connection *to, unsigned status, const char *text)
{
	char *copy = strdup(text);
	return copy ? answer(to, status, copy, strlen(copy), "text/plain; charset=utf-8") : MHD_NO;
}

static enum MHD_Result metrics(struct server *s, struct MHD_Connection *to)
{
	struct bt_metrics m;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return MHD_NO;
	bool ok = bt_metrics_read(s->client, s->network, &m);
	if (ok)
		bt_metrics_write(&m, f);
	bt_metrics_done(&m);
	if (fclose(f) == 0 && ok)
		return answer(to, MHD_HTTP_OK, text, len, BT_OPENMETRICS_TYPE);
	free(text);
	return sentence(to, MHD_HTTP_SERVICE_UNAVAILABLE, "The network does not answer.\n");
}

static enum MHD_Result asked(void *arg, struct MHD_Connection *to, const char *url,
			     const char *method, const char *version, const char *data,
			     size_t *n_data, void **state)
{
	static char seen;
	(void)version;
	(void)data;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return sentence(to, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
	/* First the head alone is there; what may follow it is of no interest. */
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*n_data) {
		*n_data = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return sentence(to, MHD_HTTP_NOT_FOUND, "The metrics are at /metrics.\n");
	return metrics(arg, to);
}

/* ---- serving ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

/* They come while we wait, and at no other time. */
static void hold_signals(sigset_t *before)
{
	const struct sigaction act = {.sa_handler = on_signal};
	sigset_t both;
	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_BLOCK, &both, before);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

static int until_the_end(struct server *s, const sigset_t *waiting)
{
	struct pollfd p[2] = {{.fd = s->epoll_fd, .events = POLLIN},
			      {.fd = s->client->fd}}; /* only its end */
	while (!interrupted) {
		MHD_UNSIGNED_LONG_LONG ms;
		bool due = MHD_get_timeout(s->http, &ms) == MHD_YES;
		struct timespec wait = {.tv_sec = due ? (time_t)(ms / 1000) : 0};
		wait.tv_nsec = due ? (long)(ms % 1000) * 1000000 : 0;
		if (ppoll(p, 2, due ? &wait : NULL, waiting) < 0 && errno != EINTR)
			return BT_EXIT_FAIL;
		if (p[1].revents) {
			bt_say("the network '%s' has ended", s->network);
			break;
		}
		MHD_run(s->http);
	}
	return BT_EXIT_OK;
}

int bt_metrics_serve(struct bt_client *c, const char *network, const struct bt_metrics_at *at)
{
	struct server s = {.client = c, .network = network};
	struct bt_metrics_at own = *at;
	char text[80];
	sigset_t before;
	int fd = listen_at(&own), status = BT_EXIT_FAIL;
	if (fd < 0)
		return BT_EXIT_FAIL;
	s.http = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, asked, &s, MHD_OPTION_LISTEN_SOCKET,
				  fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
				  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE_S,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
				  MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		s.http ? MHD_get_daemon_info(s.http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		bt_say("metrics cannot be served: out of memory or descriptors");
		close(fd);
	} else {
		s.epoll_fd = info->epoll_fd;
		address_text(&own, text, sizeof(text));
		hold_signals(&before);
		fprintf(stderr, "berth: metrics are at http://%s/metrics; Ctrl-C ends it\n", text);
		status = until_the_end(&s, &before);
	}
	if (s.http)
		MHD_stop_daemon(s.http); /* closes the descriptor */
	return status;
}

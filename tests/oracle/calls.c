/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls. None may block: accept and connect on a blocking socket are used only where the answer
 * is immediate, or made non-blocking for the moment; data is always MSG_DONTWAIT.
 */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fds[MAX_SOCKETS]; /* 0: none; a process inherits its parent's */

static const char *word(const struct line *l, unsigned i)
{
	return i < l->n_words ? l->words[i] : "";
}

static unsigned number(const struct line *l, unsigned i)
{
	return (unsigned)strtoul(word(l, i), NULL, 10);
}

/* "s3" as word i; MAX_SOCKETS: not such a word. */
static unsigned socket_at(const struct line *l, unsigned i)
{
	const char *w = word(l, i);
	unsigned s = w[0] == 's' ? (unsigned)strtoul(w + 1, NULL, 10) : MAX_SOCKETS;
	return s < MAX_SOCKETS ? s : MAX_SOCKETS;
}

static bool has(const struct line *l, const char *what)
{
	for (unsigned i = 1; i < l->n_words; i++)
		if (strcmp(l->words[i], what) == 0)
			return true;
	return false;
}

static void settle(void)
{
	if (settle_us > 0)
		usleep(settle_us);
}

static void result(int r)
{
	if (r >= 0)
		say("ok");
	else
		words_say_error(errno);
}

static void own_name(unsigned s, bool aloud)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	int saved = errno;
	int r = getsockname(fds[s], (struct sockaddr *)&a, &len);
	if (r == 0)
		shared->ports[s] = words_port(&a);
	if (aloud) {
		say(" ");
		if (r == 0)
			words_say_sockaddr(&a, len);
		else
			words_say_error(errno);
	}
	errno = saved;
}

static void put(unsigned s, int fd)
{
	/* Numbers above those of the standard descriptors, so that 0 means none. */
	if (fd >= 0) {
		if (fds[s] > 0)
			close(fds[s]);
		fds[s] = fd;
		shared->ports[s] = 0;
	}
}

static void do_socket(const struct line *l, unsigned s)
{
	int family = has(l, "inet6") ? AF_INET6 : AF_INET;
	int type = has(l, "dgram") ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(family, type | (has(l, "nonblock") ? SOCK_NONBLOCK : 0), 0);
	result(fd);
	put(s, fd);
}

static void do_bind(const struct line *l, unsigned s)
{
	struct sockaddr_storage a;
	socklen_t len;
	if (!words_sockaddr(word(l, 2), word(l, 3), &a, &len)) {
		say("no such address");
		return;
	}
	int r = bind(fds[s], (struct sockaddr *)&a, len);
	result(r);
	own_name(s, true);
}

static bool joined_to_itself(int fd)
{
	struct sockaddr_storage own = {0}, peer = {0};
	socklen_t len = sizeof(own), peer_len = sizeof(peer);
	return getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && len == peer_len &&
	       memcmp(&own, &peer, len) == 0;
}

static void do_connect(const struct line *l, unsigned s)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(struct sockaddr_in);
	if (strcmp(word(l, 2), "unspec") != 0 &&
	    !words_sockaddr(word(l, 2), word(l, 3), &a, &len)) {
		say("no such address");
		return;
	}
	if (word(l, 3)[0] == '@' && words_port(&a) == 0) {
		say("no port");
		return;
	}
	int r = connect(fds[s], (struct sockaddr *)&a, len);
	result(r);
	if (r != 0 && errno == EINPROGRESS)
		settle();
	own_name(s, true);
	if (joined_to_itself(fds[s]))
		say(" itself");
}

static void do_accept(const struct line *l, unsigned s)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	unsigned into = socket_at(l, 2);
	settle();
	int status = fcntl(fds[s], F_GETFL);
	if (!(status & O_NONBLOCK))
		fcntl(fds[s], F_SETFL, status | O_NONBLOCK);
	int fd = accept4(fds[s], (struct sockaddr *)&a, &len,
			 has(l, "nonblock") ? SOCK_NONBLOCK : 0);
	int saved = errno;
	if (!(status & O_NONBLOCK))
		fcntl(fds[s], F_SETFL, status);
	errno = saved;
	result(fd);
	if (fd < 0)
		return;
	put(into, fd);
	say(" ");
	words_say_sockaddr(&a, len);
	own_name(into, true);
}

static void do_name(const struct line *l, unsigned s)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	bool own = strcmp(l->words[0], "getsockname") == 0;
	int r = own ? getsockname(fds[s], (struct sockaddr *)&a, &len)
		    : getpeername(fds[s], (struct sockaddr *)&a, &len);
	if (r != 0) {
		words_say_error(errno);
		return;
	}
	if (own)
		shared->ports[s] = words_port(&a);
	words_say_sockaddr(&a, len);
}

/* What a call sends: its line's letter, so that a reader can tell where data came from. */
static void do_send(const struct line *l, unsigned s, bool to)
{
	char data[64];
	struct sockaddr_storage a;
	socklen_t len;
	unsigned n = number(l, to ? 4 : 2);
	n = n < sizeof(data) ? n : sizeof(data);
	memset(data, 'a' + (int)(shared->turn % 26), sizeof(data));
	if (to && !words_sockaddr(word(l, 2), word(l, 3), &a, &len)) {
		say("no such address");
		return;
	}
	ssize_t r = to ? sendto(fds[s], data, n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a,
				len)
		       : send(fds[s], data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0)
		words_say_error(errno);
	else
		say("%zd", r);
	own_name(s, false);
}

static void do_recv(const struct line *l, unsigned s, bool from)
{
	char data[256];
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	unsigned n = number(l, 2);
	int flags = MSG_DONTWAIT | (has(l, "peek") ? MSG_PEEK : 0);
	n = n < sizeof(data) ? n : sizeof(data);
	settle();
	ssize_t r = from ? recvfrom(fds[s], data, n, flags, (struct sockaddr *)&a, &len)
			 : recv(fds[s], data, n, flags);
	if (r < 0) {
		words_say_error(errno);
		return;
	}
	say("%zd '%.*s'", r, (int)r, data);
	if (from) {
		say(" ");
		words_say_sockaddr(&a, len);
	}
}

static void do_shutdown(const struct line *l, unsigned s)
{
	int how = has(l, "rd") ? SHUT_RD : has(l, "wr") ? SHUT_WR : SHUT_RDWR;
	result(shutdown(fds[s], how));
}

static void do_poll(unsigned s)
{
	static const struct {
		short bit;
		const char *name;
	} bits[] = {{POLLIN, "IN"},   {POLLPRI, "PRI"}, {POLLOUT, "OUT"},  {POLLRDHUP, "RDHUP"},
		    {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLNVAL, "NVAL"}};
	struct pollfd p = {.fd = fds[s], .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
	bool any = false;
	settle();
	if (poll(&p, 1, 0) < 0) {
		words_say_error(errno);
		return;
	}
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (p.revents & bits[i].bit) {
			say("%s%s", any ? " " : "", bits[i].name);
			any = true;
		}
	}
	if (!any)
		say("nothing");
}

static void do_setsockopt(const struct line *l, unsigned s)
{
	int r = words_setsockopt(fds[s], word(l, 2), word(l, 3));
	if (r == -2)
		say("no such option");
	else
		result(r);
}

static void do_fionread(unsigned s)
{
	int n = -1;
	settle();
	if (ioctl(fds[s], FIONREAD, &n) != 0)
		words_say_error(errno);
	else
		say("%d", n);
}

static bool do_process(const struct line *l)
{
	const char *c = l->words[0];
	if (strcmp(c, "fork") == 0) {
		say("ok\n");
		proc_fork(number(l, 1));
	} else if (strcmp(c, "exit") == 0) {
		say("ok\n");
		proc_exit();
	} else if (strcmp(c, "setuid") == 0) {
		result(seteuid((uid_t)number(l, 1)));
		say("\n");
	} else {
		return false;
	}
	return true;
}

static void do_socket_call(const struct line *l, unsigned s)
{
	const char *c = l->words[0];
	if (strcmp(c, "bind") == 0) {
		do_bind(l, s);
	} else if (strcmp(c, "listen") == 0) {
		result(listen(fds[s], (int)number(l, 2)));
		own_name(s, true);
	} else if (strcmp(c, "connect") == 0) {
		do_connect(l, s);
	} else if (strcmp(c, "accept") == 0) {
		do_accept(l, s);
	} else if (strcmp(c, "getsockname") == 0 || strcmp(c, "getpeername") == 0) {
		do_name(l, s);
	} else if (strcmp(c, "send") == 0 || strcmp(c, "sendto") == 0) {
		do_send(l, s, c[4] != '\0');
	} else if (strcmp(c, "recv") == 0 || strcmp(c, "recvfrom") == 0) {
		do_recv(l, s, c[4] != '\0');
	} else if (strcmp(c, "shutdown") == 0) {
		do_shutdown(l, s);
	} else if (strcmp(c, "poll") == 0) {
		do_poll(s);
	} else if (strcmp(c, "setsockopt") == 0) {
		do_setsockopt(l, s);
	} else if (strcmp(c, "getsockopt") == 0) {
		words_getsockopt(fds[s], word(l, 2));
	} else if (strcmp(c, "fionread") == 0) {
		do_fionread(s);
	} else if (strcmp(c, "dup") == 0 && socket_at(l, 2) < MAX_SOCKETS) {
		int fd = dup(fds[s]);
		result(fd);
		put(socket_at(l, 2), fd);
	} else if (strcmp(c, "close") == 0) {
		result(close(fds[s]));
		fds[s] = 0;
	} else {
		say("no such call");
	}
}

void call(const struct line *l)
{
	unsigned s = socket_at(l, 1);
	errno = 0;
	say("%s = ", l->text);
	if (do_process(l))
		return;
	if (s == MAX_SOCKETS)
		say("no such socket");
	else if (strcmp(l->words[0], "socket") == 0)
		do_socket(l, s);
	else if (fds[s] <= 0)
		say("none");
	else
		do_socket_call(l, s);
	say("\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a network. The network's directory says its id, the id says berthd's kernel name;
 * whoever answers there must run as the directory's owner, because anybody may bind an abstract
 * name that is free.
 *
 * Starting berthd is a race that nobody has to win: every caller that finds no berthd starts one,
 * berthd's own lock lets one of them live, and all callers go on to connect.
 */
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	NETWORK_NAME_MAX = 32,
	START_MS = 5000,
	ANSWER_S = 10,
	NETID_DIGITS = 16,
	PATH_BYTES = 4096
};

/* ---- the runtime directory ---- */

static bool network_name_ok(const char *name)
{
	size_t n = strlen(name);
	if (n < 1 || n > NETWORK_NAME_MAX || name[0] == '.')
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	       n;
}

/* What berth keeps there lets its reader into the network: the directory must be the user's and
 * private. */
static int own_directory(const char *path, bool make, bool follow)
{
	struct stat st;
	if (make && mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	if ((follow ? stat(path, &st) : lstat(path, &st)) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return -EPERM;
	return 0;
}

static bool usable_parent(const char *path, bool mine)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (!mine || st.st_uid == geteuid()) &&
	       access(path, W_OK | X_OK) == 0;
}

static int runtime_base(bool make, char *path, size_t size)
{
	const char *given = getenv("BERTH_RUNTIME_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	bool follow = given && *given;
	unsigned uid = (unsigned)geteuid();
	int n;
	if (follow)
		n = snprintf(path, size, "%s", given);
	else if (xdg && *xdg == '/' && usable_parent(xdg, true))
		n = snprintf(path, size, "%s/berth", xdg);
	else if (usable_parent("/dev/shm", false))
		n = snprintf(path, size, "/dev/shm/berth-%u", uid);
	else
		n = snprintf(path, size, "/tmp/berth-%u", uid);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return own_directory(path, make, follow);
}

int bt_runtime_dir(const char *network, bool make, char *path, size_t size)
{
	if (!network_name_ok(network))
		return -EINVAL;
	int err = runtime_base(make, path, size);
	if (err)
		return err;
	size_t used = strlen(path);
	int n = snprintf(path + used, size - used, "/%s", network);
	if (n < 0 || (size_t)n >= size - used)
		return -ENAMETOOLONG;
	return own_directory(path, make, false);
}

/* ---- connecting ---- */

static int read_netid(const char *dir, uint64_t *netid)
{
	char path[PATH_BYTES + 8], digits[NETID_DIGITS + 1], *end;
	snprintf(path, sizeof(path), "%s/netid", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, digits, NETID_DIGITS);
	close(fd);
	/* A short file is one that berthd is just making: as good as none. */
	if (n != NETID_DIGITS)
		return -ENOENT;
	digits[NETID_DIGITS] = '\0';
	*netid = strtoull(digits, &end, 16);
	return end == digits + NETID_DIGITS ? 0 : -ENOENT;
}

static bool peer_is_us(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	return cred.uid == geteuid() || cred.uid == 0;
}

/* The control connection of the network whose directory is dir, or -errno. */
static int connect_control(const char *dir, uint64_t *netid)
{
	struct timeval patience = {.tv_sec = ANSWER_S};
	struct sockaddr_un sun;
	int err = read_netid(dir, netid);
	if (err)
		return err;
	socklen_t len = bt_name_control(&sun, *netid);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&sun, len) != 0)
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
	else if (!peer_is_us(fd))
		err = -EPERM;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* ---- requests ---- */

/* The connection ended: to the caller it is as if berthd were not running. */
static int transport_error(int e)
{
	if (e == EPIPE || e == ECONNRESET || e == ENOTCONN)
		return -ECONNREFUSED;
	if (e == EAGAIN)
		return -ETIMEDOUT;
	return -e;
}

static int send_request(const struct bt_client *c, struct bt_req *req, const void *extra, int give)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	/* sendmsg does not write through the pointer; the union drops the const without a cast. */
	union {
		const void *in;
		void *out;
	} payload = {.in = extra};
	struct iovec iov[2] = {{.iov_base = req, .iov_len = sizeof(*req)},
			       {.iov_base = payload.out, .iov_len = req->extra}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = req->extra ? 2 : 1};
	ssize_t n;
	if (give >= 0) {
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(give)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &give, sizeof(give));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
	}
	do
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? transport_error(errno) : 0;
}

static int take_descriptor(struct msghdr *msg)
{
	int fd = -1;
	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS &&
		    m->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(m), sizeof(fd));
	}
	return fd;
}

static int recv_reply(const struct bt_client *c, struct bt_rep *rep, void *extra, size_t *got,
		      int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov[2] = {{.iov_base = rep, .iov_len = sizeof(*rep)},
			       {.iov_base = extra, .iov_len = got ? *got : 0}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = got && *got ? 2 : 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	do
		n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return transport_error(errno);
	*fd = take_descriptor(&msg);
	if (n == 0)
		return -ECONNREFUSED;
	if ((size_t)n < sizeof(*rep) || rep->version != BT_MSG_VERSION)
		return -EPROTO;
	if (got)
		*got = (size_t)n - sizeof(*rep);
	return 0;
}

static int call(struct bt_client *c, struct bt_req *req, const void *extra, int give,
		struct bt_rep *rep, void *rep_extra, size_t *got_extra, int *fd)
{
	const size_t room = got_extra ? *got_extra : 0;
	*fd = -1;
	if (c->fd < 0)
		return -ECONNREFUSED;
	req->version = BT_MSG_VERSION;
	req->serial = ++c->serial;
	int err = send_request(c, req, extra, give);
	while (!err) {
		if (got_extra)
			*got_extra = room;
		err = recv_reply(c, rep, rep_extra, got_extra, fd);
		if (!err && rep->serial == req->serial)
			return 0;
		/* The late answer to a request that was given up on, or an error. */
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
	return err;
}

int bt_client_call_fd(struct bt_client *c, struct bt_req *req, const void *extra,
		      struct bt_rep *rep, void *rep_extra, size_t *got_extra, int *fd)
{
	return call(c, req, extra, -1, rep, rep_extra, got_extra, fd);
}

int bt_client_give_fd(struct bt_client *c, struct bt_req *req, const void *extra, int give,
		      struct bt_rep *rep, void *rep_extra, size_t *got_extra)
{
	int fd;
	int err = call(c, req, extra, give, rep, rep_extra, got_extra, &fd);
	if (fd >= 0)
		close(fd);
	return err;
}

int bt_client_call(struct bt_client *c, struct bt_req *req, const void *extra, struct bt_rep *rep,
		   void *rep_extra, size_t *got_extra)
{
	int fd;
	int err = bt_client_call_fd(c, req, extra, rep, rep_extra, got_extra, &fd);
	if (fd >= 0)
		close(fd);
	return err;
}

static int map_table(struct bt_client *c, int fd)
{
	struct stat st;
	/* A file shorter than the mapping would turn a read into SIGBUS. */
	if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size < BT_TABLE_BYTES)
		return -EPROTO;
	void *map = mmap(NULL, BT_TABLE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	c->table = map;
	const struct bt_table *t = c->table;
	if (t->magic != BT_TABLE_MAGIC || t->version != BT_TABLE_VERSION ||
	    t->row_bytes != sizeof(struct bt_row) || t->rows_offset != BT_ROWS_OFFSET ||
	    t->capacity > BT_MAX_ROWS || t->netid != c->netid)
		return -EPROTO;
	return 0;
}

static int hello(struct bt_client *c)
{
	struct bt_req req = {.type = BT_HELLO};
	struct bt_rep rep;
	int fd;
	int err = bt_client_call_fd(c, &req, NULL, &rep, NULL, NULL, &fd);
	if (!err && rep.err)
		err = -rep.err;
	if (!err)
		err = fd >= 0 ? map_table(c, fd) : -EPROTO;
	if (fd >= 0)
		close(fd);
	return err;
}

int bt_client_open(struct bt_client *c, const char *network)
{
	char dir[PATH_BYTES];
	*c = (struct bt_client){.fd = -1};
	int err = bt_runtime_dir(network, false, dir, sizeof(dir));
	if (err)
		return err;
	int fd = connect_control(dir, &c->netid);
	if (fd < 0)
		return fd;
	c->fd = fd;
	err = hello(c);
	if (err)
		bt_client_close(c);
	return err;
}

void bt_client_close(struct bt_client *c)
{
	if (c->table) {
		union {
			const struct bt_table *in;
			void *out;
		} map = {.in = c->table};
		munmap(map.out, BT_TABLE_BYTES);
	}
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct bt_client){.fd = -1};
}

/* ---- starting berthd ---- */

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void sleep_ms(int ms)
{
	struct timespec ts = {.tv_nsec = (long)ms * 1000000};
	nanosleep(&ts, NULL);
}

/* The grandchild. Only what berthd must not inherit is taken away: open files (a shell that reads
 * our output would wait for berthd), the terminal, the signal mask, and the host that we may be in.
 */
__attribute__((noreturn)) static void become_berthd(const char *berthd, const char *network,
						    int ready)
{
	enum { READY_FD = 3 };
	sigset_t none;
	char digit[2] = {'0' + READY_FD, '\0'};
	/* execv does not write through its arguments, it only lacks the const. */
	union {
		const char *in;
		char *out;
	} argv[6] = {{.in = berthd},
		     {.in = "--network"},
		     {.in = network},
		     {.in = "--ready-fd"},
		     {.in = digit}};
	char *args[6];
	for (unsigned i = 0; i < 6; i++)
		args[i] = argv[i].out;

	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (ready != READY_FD)
		dup2(ready, READY_FD);
	else
		fcntl(ready, F_SETFD, 0);
	close_range(READY_FD + 1, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	unsetenv("LD_PRELOAD");
	unsetenv("BERTH_TOKEN");
	execv(berthd, args);
	int e = errno;
	/* More than berthd's one byte: the caller knows it by the length. */
	ssize_t sent = write(READY_FD, &e, sizeof(e));
	_exit(sent < 0 ? 127 : 126);
}

/* Waits for the word on the pipe: one byte is berthd's, an int is the errno of a failed exec, none
 * is a berthd that ended after saying why on stderr (-ECHILD). */
static int wait_ready(int fd, int64_t deadline)
{
	int e = 0;
	for (;;) {
		int64_t left = deadline - now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			break;
	}
	ssize_t n = read(fd, &e, sizeof(e));
	if (n == (ssize_t)sizeof(e))
		return e > 0 ? -e : -EPROTO;
	return n > 0 ? 0 : -ECHILD;
}

static int spawn_berthd(const char *network, const char *berthd, int64_t deadline)
{
	int pipe_fd[2];
	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return -errno;
	pid_t child = fork();
	if (child < 0) {
		int err = -errno;
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return err;
	}
	if (child == 0) {
		setsid();
		pid_t grandchild = fork();
		if (grandchild == 0)
			become_berthd(berthd, network, pipe_fd[1]);
		_exit(grandchild < 0 ? 1 : 0);
	}
	close(pipe_fd[1]);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	int err = wait_ready(pipe_fd[0], deadline);
	close(pipe_fd[0]);
	return err;
}

static bool not_running(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED;
}

int bt_client_start(struct bt_client *c, const char *network, const char *berthd)
{
	char dir[PATH_BYTES];
	int64_t deadline = now_ms() + START_MS;
	int err = bt_client_open(c, network);
	if (!not_running(err))
		return err;
	err = bt_runtime_dir(network, true, dir, sizeof(dir));
	if (err)
		return err;
	do {
		err = spawn_berthd(network, berthd, deadline);
		if (err)
			return err;
		/* A berthd that is just ending may have been the one that answered: after a few
		 * tries start another. */
		for (int wait = 1; wait <= 64; wait *= 2) {
			err = bt_client_open(c, network);
			if (!not_running(err))
				return err;
			sleep_ms(wait);
		}
	} while (now_ms() < deadline);
	return err;
}

/* ---- all networks ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_network(const struct dirent *d)
{
	return network_name_ok(d->d_name);
}

int bt_networks(int (*each)(const char *network, void *arg), void *arg)
{
	char base[PATH_BYTES], dir[PATH_BYTES];
	struct dirent **names;
	uint64_t netid;
	int err = runtime_base(false, base, sizeof(base));
	if (err)
		return err == -ENOENT ? 0 : err;
	int n = scandir(base, &names, is_network, by_name);
	if (n < 0)
		return -errno;
	bool stop = false;
	for (int i = 0; i < n; i++) {
		if (!stop && bt_runtime_dir(names[i]->d_name, false, dir, sizeof(dir)) == 0) {
			int fd = connect_control(dir, &netid);
			if (fd >= 0) {
				close(fd);
				stop = each(names[i]->d_name, arg) != 0;
			}
		}
		free(names[i]);
	}
	free(names);
	return 0;
}

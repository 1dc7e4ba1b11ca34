/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A berthd that only the command line's tests meet: it answers HELLO, HOST_OPEN, SYNC and DOWN, and
 * its table shows sockets that it made itself, in states that a real network reaches only with
 * effort.
 *
 *	FAKE_ROWS=N	N more established rows without a kernel socket, to measure with
 *	FAKE_NOISE=SEED	random bytes for hosts and rows
 *	FAKE_FAIL=1	cannot start
 *	FAKE_SLOW=1	is ready only after 0.3 s, when others have long started theirs
 *	FAKE_ERR=N	what HOST_OPEN answers
 *	FAKE_BUSY=1	programs run in it, says BT_DOWN
 *	FAKE_LOG=PATH	what it is asked is written there, a line a request
 *	FAKE_SIX=1	sockets of IPv6, too
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNS = 64 };

static struct bt_table *table;
static int table_fd, refuse;

static void put_addr(uint8_t addr[16], const char *text)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, addr);
		return;
	}
	memcpy(addr, mapped, 12);
	inet_pton(AF_INET, text, addr + 12);
}

static struct bt_row *add_row(uint8_t proto, uint8_t state, const char *local, uint16_t lport,
			      const char *peer, uint16_t rport)
{
	uint32_t slot = atomic_load(&table->high_water);
	struct bt_row *r = bt_table_row(table, slot);
	r->gen = 7;
	r->nonce = 0x1000 + slot;
	r->proto = proto;
	r->family = 4;
	r->state = state;
	put_addr(r->laddr, local);
	if (peer)
		put_addr(r->raddr, peer);
	r->lport = lport;
	r->rport = rport;
	r->peer = r->link = BT_SLOT_NONE;
	r->pid = (int32_t)getpid();
	r->uid = (uint32_t)geteuid();
	atomic_store(&table->high_water, slot + 1);
	return r;
}

static uint32_t slot_of(const struct bt_row *r)
{
	return (uint32_t)(r - bt_table_row(table, 0));
}

/* A kernel socket with the row's name; lives as long as this process. */
static int make_socket(const struct bt_row *r, int type)
{
	struct sockaddr_un sun;
	struct bt_ident id = {slot_of(r), r->gen, r->nonce};
	socklen_t len = bt_name_make(&sun, table->netid, &id);
	int fd = socket(AF_UNIX, type, 0);
	if (bind(fd, (const struct sockaddr *)&sun, len) != 0) {
		perror("fake_berthd: bind");
		exit(1);
	}
	return fd;
}

static int dial(const struct bt_row *client, const struct bt_row *listener)
{
	struct sockaddr_un sun;
	struct bt_ident id = {slot_of(listener), listener->gen, listener->nonce};
	socklen_t len = bt_name_make(&sun, table->netid, &id);
	int fd = make_socket(client, SOCK_STREAM);
	if (connect(fd, (const struct sockaddr *)&sun, len) != 0)
		perror("fake_berthd: connect");
	return fd;
}

static struct bt_row *add_child(uint8_t state, struct bt_row *client, const struct bt_row *listener)
{
	char ip[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, client->laddr + 12, ip, sizeof(ip));
	struct bt_row *r = add_row(6, state, "192.168.1.100", 80, ip, client->lport);
	r->flags = BT_ROWF_CHILD;
	r->peer = slot_of(client);
	r->link = slot_of(listener);
	client->peer = slot_of(r);
	return r;
}

static struct bt_host_row *add_host(const char *name, const char *ip)
{
	uint32_t i = atomic_load(&table->n_hosts);
	struct bt_host_row *h = &table->hosts[i];
	h->id = i + 1;
	snprintf(h->name, sizeof(h->name), "%s", name);
	h->n_addrs = 3;
	h->addrs[0] = (struct bt_host_addr){.bits = 8, .family = 4, .dev = 1};
	h->addrs[1] = (struct bt_host_addr){.bits = 128, .family = 6, .dev = 1};
	h->addrs[2] = (struct bt_host_addr){.bits = 24, .family = 4, .dev = 2};
	put_addr(h->addrs[0].addr, "127.0.0.1");
	put_addr(h->addrs[1].addr, "::1");
	put_addr(h->addrs[2].addr, ip);
	atomic_store(&table->n_hosts, i + 1);
	return h;
}

static void fill_six(void)
{
	struct bt_host_row *six = add_host("six", "10.0.0.60");
	six->addrs[3] = (struct bt_host_addr){.bits = 64, .family = 6, .dev = 3};
	put_addr(six->addrs[3].addr, "fd00::1");
	six->n_addrs = 4;
	static const struct {
		uint8_t proto, state;
		const char *local;
		uint16_t lport;
		const char *peer;
		uint16_t rport, opts;
	} rows[] = {
		{6, BT_ROW_LISTEN, "::", 80, NULL, 0, 0},
		{6, BT_ROW_LISTEN, "::", 81, NULL, 0, 4},
		{6, BT_ROW_LISTEN, "0.0.0.0", 82, NULL, 0, 0},
		{6, BT_ROW_LISTEN, "::1", 83, NULL, 0, 0},
		{6, BT_ROW_LISTEN, "127.0.0.1", 84, NULL, 0, 0},
		{6, BT_ROW_ESTABLISHED, "fd00::1", 40000, "fd00::2", 80, 0},
		{6, BT_ROW_ESTABLISHED, "127.0.0.1", 80, "127.0.0.1", 40001, 0},
		{17, BT_ROW_CLOSE, "::", 53, NULL, 0, 4},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bt_row *r = add_row(rows[i].proto, rows[i].state, rows[i].local,
					   rows[i].lport, rows[i].peer, rows[i].rport);
		r->family = 6;
		r->opts = rows[i].opts;
		r->host = 2;
	}
}

/* A table that no berthd would write; only the sequence numbers let it be read. */
static void fill_noise(unsigned seed)
{
	enum { ROWS = 5000 };
	srandom(seed);
	for (size_t i = 0; i < sizeof(table->hosts); i++)
		((uint8_t *)table->hosts)[i] = (uint8_t)random();
	for (size_t i = 0; i < ROWS * sizeof(struct bt_row); i++)
		((uint8_t *)bt_table_row(table, 0))[i] = (uint8_t)random();
	for (uint32_t i = 0; i < BT_MAX_HOSTS; i++)
		atomic_fetch_and(&table->hosts[i].seq, ~1u);
	for (uint32_t i = 0; i < ROWS; i++) {
		struct bt_row *r = bt_table_row(table, i);
		atomic_fetch_and(&r->seq, ~1u);
		r->proto = i % 2 ? 6 : 17;
		r->state = (uint8_t)(random() % 13);
		if (i % 4)
			r->link = r->peer = i % 64;
	}
	table->hosts[0].id = 1;
	table->hosts[0].name[3] = '\0';
	atomic_store(&table->n_hosts, UINT32_MAX);
	atomic_store(&table->high_water, UINT32_MAX);
}

static void fill(void)
{
	const char *rows = getenv("FAKE_ROWS");
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	add_host("web", "192.168.1.100");
	add_host("pc", "10.0.0.50");
	struct bt_row *web = add_row(6, BT_ROW_LISTEN, "0.0.0.0", 80, NULL, 0);
	web->backlog = 511;
	int listener = make_socket(web, SOCK_STREAM);
	listen(listener, 511);
	/* Established, five bytes unread at the server. */
	struct bt_row *a = add_row(6, BT_ROW_ESTABLISHED, "10.0.0.50", 52431, "192.168.1.100", 80);
	a->host = 1;
	int fd = dial(a, web);
	accept(listener, NULL, NULL);
	if (write(fd, "hello", 5) != 5)
		perror("fake_berthd: write");
	add_child(BT_ROW_ESTABLISHED, a, web);
	/* The client closed: the kernel tells of the server's end only whose listener's it is. */
	struct bt_row *b = add_row(6, BT_ROW_FIN_WAIT2, "10.0.0.50", 52432, "192.168.1.100", 80);
	b->host = 1;
	b->flags = BT_ROWF_ORPHAN;
	fd = dial(b, web);
	accept(listener, NULL, NULL);
	close(fd);
	add_child(BT_ROW_CLOSE_WAIT, b, web);
	/* Not accepted yet. */
	struct bt_row *c = add_row(6, BT_ROW_ESTABLISHED, "10.0.0.50", 52433, "192.168.1.100", 80);
	c->host = 1;
	dial(c, web);
	add_child(BT_ROW_ESTABLISHED, c, web);
	struct bt_row *t = add_row(6, BT_ROW_TIME_WAIT, "10.0.0.50", 52434, "192.168.1.100", 80);
	t->host = 1;
	t->timer_s = (uint32_t)now.tv_sec + 50;
	make_socket(add_row(6, BT_ROW_CLOSE, "192.168.1.100", 8080, NULL, 0), SOCK_STREAM);
	make_socket(add_row(17, BT_ROW_CLOSE, "0.0.0.0", 53, NULL, 0), SOCK_DGRAM);
	add_row(17, BT_ROW_CLOSE, "0.0.0.0", 0, NULL, 0); /* unbound: in no list */
	struct bt_row *six = add_row(6, BT_ROW_LISTEN, "0.0.0.0", 22, NULL, 0);
	six->family = 6;
	memset(six->laddr, 0, sizeof(six->laddr));
	if (getenv("FAKE_SIX"))
		fill_six();
	for (int n = rows ? atoi(rows) : 0; n > 0; n--)
		add_row(6, BT_ROW_ESTABLISHED, "10.0.0.50", (uint16_t)n, "192.168.1.100", 80)
			->host = 1;
}

static void reply(int fd, struct bt_rep *rep, const void *extra, int pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	union {
		const void *in;
		void *out;
	} payload = {.in = extra};
	struct iovec iov[2] = {{rep, sizeof(*rep)}, {payload.out, rep->extra}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	if (pass >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *m = CMSG_FIRSTHDR(&msg);
		m->cmsg_level = SOL_SOCKET;
		m->cmsg_type = SCM_RIGHTS;
		m->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(m), &pass, sizeof(pass));
	}
	sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* ---- settings of all hosts ---- */

static struct {
	const char *name;
	char text[64];
} settings[] = {
	{"net/ipv4/ip_local_port_range", "32768\t60999"},
	{"net/ipv4/ip_unprivileged_port_start", "1024"},
	{"net/ipv4/tcp_tw_reuse", "2"},
	{"net/berth/time_wait_ms", "60000"},
	{"net/ipv4/ip_local_reserved_ports", ""},
	{"net/ipv4/tcp_fin_timeout", "60"},
	{"net/core/somaxconn", "4096"},
};

/* The reply's text is in answer. Returns what its err shall be. A value "bad" is one that no
 * setting takes; "mine" one that the caller may not write. */
static int sysctl_request(const struct bt_req *req, const char *extra, char *answer, size_t size)
{
	size_t used = 0, name_len = strnlen(extra, req->extra);
	const char *text = name_len < req->extra ? extra + name_len + 1 : NULL;
	size_t text_len = text ? req->extra - name_len - 1 : 0;
	if (!(req->flags & BT_REQF_WRITE) != !text)
		return EPROTO;
	answer[0] = '\0';
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (req->extra == 0)
			used += (size_t)snprintf(answer + used, size - used, "%s = %s\n",
						 settings[i].name, settings[i].text);
		if (strlen(settings[i].name) != name_len ||
		    memcmp(settings[i].name, extra, name_len) != 0)
			continue;
		if (text && text_len == 3 && memcmp(text, "bad", 3) == 0)
			return EINVAL;
		if (text && text_len == 4 && memcmp(text, "mine", 4) == 0)
			return EACCES;
		if (text)
			snprintf(settings[i].text, sizeof(settings[i].text), "%.*s", (int)text_len,
				 text);
		snprintf(answer, size, "%s\n", settings[i].text);
		return 0;
	}
	return req->extra == 0 ? 0 : ENOENT;
}

static void log_open(FILE *f, const struct bt_host_open *open)
{
	fprintf(f, "open %s unprivileged=%u", open->name, open->unprivileged);
	for (unsigned i = 0; i < open->n_addrs && i < BT_HOST_ADDRS; i++) {
		const struct bt_host_addr *a = &open->addrs[i];
		char text[INET6_ADDRSTRLEN];
		inet_ntop(AF_INET6, a->addr, text, sizeof(text));
		fprintf(f, " %s/%u,%u,%u", text, a->bits, a->family, a->dev);
	}
	fprintf(f, "\n");
}

static void log_request(const struct bt_req *req, const char *extra)
{
	const char *path = getenv("FAKE_LOG");
	struct bt_host_open open;
	FILE *f = path ? fopen(path, "ae") : NULL;
	if (!f)
		return;
	if (req->type == BT_HOST_OPEN && req->extra == sizeof(open)) {
		memcpy(&open, extra, sizeof(open));
		log_open(f, &open);
	}
	if (req->type == BT_SYSCTL) {
		size_t n = strnlen(extra, req->extra);
		fprintf(f, "sysctl %u %.*s", req->value, (int)n, extra);
		if (req->flags & BT_REQF_WRITE)
			fprintf(f, "=%.*s", (int)(req->extra - n - 1), extra + n + 1);
		fprintf(f, "\n");
	}
	fclose(f);
}

/* False: the connection, or with BT_DOWN the network, is done. */
static bool answer(int fd, bool *down)
{
	static char packet[BT_MSG_MAX], answer[1024];
	uint8_t token[BT_TOKEN_BYTES] = {1, 2, 3};
	struct bt_req req;
	ssize_t n = recv(fd, packet, sizeof(packet), 0);
	if (n < (ssize_t)sizeof(req))
		return false;
	memcpy(&req, packet, sizeof(req));
	struct bt_rep rep = {.version = BT_MSG_VERSION, .type = req.type, .serial = req.serial};
	/* A late answer to something else: to be passed over. */
	struct bt_rep late = {.version = BT_MSG_VERSION, .serial = req.serial + 1000};
	reply(fd, &late, NULL, -1);
	log_request(&req, packet + sizeof(req));
	if (req.type == BT_HELLO) {
		reply(fd, &rep, NULL, table_fd);
	} else if (req.type == BT_HOST_OPEN) {
		rep.err = refuse;
		rep.extra = refuse ? 3 : sizeof(token);
		reply(fd, &rep, refuse ? (const void *)"web" : token, -1);
	} else if (req.type == BT_SYSCTL) {
		rep.err = sysctl_request(&req, packet + sizeof(req), answer, sizeof(answer));
		rep.extra = rep.err ? 0 : (uint32_t)strlen(answer);
		reply(fd, &rep, answer, -1);
	} else if (req.type == BT_DOWN) {
		rep.err = !(req.flags & BT_REQF_FORCE) && getenv("FAKE_BUSY") ? EBUSY : 0;
		*down = rep.err == 0;
		reply(fd, &rep, NULL, -1);
	} else {
		reply(fd, &rep, NULL, -1);
	}
	return true;
}

static void serve(int listener)
{
	struct pollfd p[MAX_CONNS] = {{.fd = listener, .events = POLLIN}};
	nfds_t n = 1;
	bool down = false;
	while (!down && poll(p, n, 60000) > 0) {
		for (nfds_t i = n; i-- > 1;) {
			if (p[i].revents && !answer(p[i].fd, &down)) {
				close(p[i].fd);
				p[i] = p[--n];
			}
		}
		if (p[0].revents && n < MAX_CONNS)
			p[n++] = (struct pollfd){.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC),
						 .events = POLLIN};
	}
}

static void tell_ready(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDERR_FILENO);
	if (fd >= 0 && write(fd, "r", 1) != 1)
		exit(1);
	close(fd);
}

/* False: another one has the network. */
static bool take_lock(const char *network)
{
	char dir[512], path[600];
	if (bt_runtime_dir(network, true, dir, sizeof(dir)) != 0)
		exit(1);
	snprintf(path, sizeof(path), "%s/lock", dir);
	return flock(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), LOCK_EX | LOCK_NB) == 0;
}

static void make_files(const char *network)
{
	char dir[512], path[600];
	struct timespec now;
	if (bt_runtime_dir(network, true, dir, sizeof(dir)) != 0)
		exit(1);
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t netid = (uint64_t)now.tv_nsec << 32 | (uint64_t)getpid();
	snprintf(path, sizeof(path), "%s/netid", dir);
	FILE *f = fopen(path, "we");
	if (!f)
		exit(1);
	fprintf(f, "%016llx", (unsigned long long)netid);
	fclose(f);
	table_fd = memfd_create("table", MFD_CLOEXEC);
	if (ftruncate(table_fd, (off_t)BT_TABLE_BYTES) != 0)
		exit(1);
	table = mmap(NULL, BT_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);
	table->magic = BT_TABLE_MAGIC;
	table->version = BT_TABLE_VERSION;
	table->row_bytes = sizeof(struct bt_row);
	table->capacity = BT_MAX_ROWS;
	table->rows_offset = BT_ROWS_OFFSET;
	table->netid = netid;
	table->daemon_pid = (int32_t)getpid();
	table->started_s = (uint64_t)now.tv_sec;
}

int main(int argc, char **argv)
{
	const char *network = argc > 2 ? argv[2] : "default";
	int ready = argc > 4 ? atoi(argv[4]) : -1;
	struct sockaddr_un sun;
	if (getenv("FAKE_FAIL")) {
		fputs("berthd: cannot start; this is a test\n", stderr);
		return 1;
	}
	if (getenv("FAKE_ERR"))
		refuse = atoi(getenv("FAKE_ERR"));
	if (!take_lock(network)) {
		tell_ready(ready);
		return 0;
	}
	if (getenv("FAKE_SLOW"))
		usleep(300000);
	make_files(network);
	if (getenv("FAKE_NOISE"))
		fill_noise((unsigned)atoi(getenv("FAKE_NOISE")));
	else
		fill();
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	socklen_t len = bt_name_control(&sun, table->netid);
	if (bind(fd, (const struct sockaddr *)&sun, len) != 0 || listen(fd, 64) != 0)
		return 1;
	tell_ready(ready);
	serve(fd);
	return 0;
}

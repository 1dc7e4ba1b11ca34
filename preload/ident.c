/* SPDX-License-Identifier: Apache-2.0 */
#include "preload.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOTES_CHUNK 1024u
#define NOTES_MAX   (1u << 20)

uint32_t bt_forks;
static struct note *_Atomic chunks[NOTES_MAX / NOTES_CHUNK];

struct note *bt_note(int fd)
{
	if (UNLIKELY(fd < 0 || (unsigned)fd >= NOTES_MAX || bt_vforked))
		return NULL;
	struct note *c = chunks[(unsigned)fd / NOTES_CHUNK];
	if (UNLIKELY(c == NULL)) {
		void *p = mmap(NULL, NOTES_CHUNK * sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return NULL;
		struct note *none = NULL;
		if (!atomic_compare_exchange_strong(&chunks[(unsigned)fd / NOTES_CHUNK], &none, p))
			munmap(p, NOTES_CHUNK * sizeof(*c));
		c = chunks[(unsigned)fd / NOTES_CHUNK];
	}
	return c + (unsigned)fd % NOTES_CHUNK;
}

void bt_note_set(int fd, const struct note *n)
{
	struct note *own = bt_note(fd);
	if (own != NULL)
		*own = *n;
}

void bt_note_clear(int fd)
{
	if (fd < 0 || (unsigned)fd >= NOTES_MAX || chunks[(unsigned)fd / NOTES_CHUNK] == NULL)
		return;
	struct note *own = bt_note(fd);
	if (own != NULL)
		own->flags = 0;
}

void bt_notes_forget(void)
{
	memset(chunks, 0, sizeof(chunks));
}

int bt_note_next(int fd, const struct bt_ident *id)
{
	for (unsigned i = (unsigned)fd + 1; i < NOTES_MAX && !bt_vforked; i++) {
		const struct note *c = chunks[i / NOTES_CHUNK];
		if (c == NULL) {
			i |= NOTES_CHUNK - 1;
			continue;
		}
		c += i % NOTES_CHUNK;
		/* A duplicate may be older than the name. */
		if (c->flags & NOTE_OURS && c->flags & NOTE_SHARED &&
		    (!(c->flags & NOTE_NAMED) ||
		     (c->id.slot == id->slot && c->id.gen == id->gen && c->id.nonce == id->nonce)))
			return (int)i;
	}
	return -1;
}

bool bt_note_row(const struct note *n, struct bt_row *row)
{
	return n->flags & NOTE_NAMED && bt_table() != NULL &&
	       bt_row_read(bt_table(), n->id.slot, row) && row->gen == n->id.gen &&
	       row->nonce == n->id.nonce;
}

int bt_cookie_get(int fd, uint64_t *cookie)
{
	struct note *own = bt_note(fd);
	bool lazy = own != NULL && UNLIKELY(own->flags & NOTE_LAZY);
	if (lazy && !(own->flags & NOTE_SHARED)) {
		*cookie = own->cookie;
		return 0;
	}
	socklen_t len = sizeof(*cookie);
	long r = bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_MAX_PACING_RATE, (long)cookie,
			(long)&len, 0);
	if (r < 0)
		return (int)-r;
	if (lazy && COOKIE_IS(*cookie)) /* another holder has given it one */
		own->flags &= ~(uint32_t)NOTE_LAZY;
	else if (lazy)
		*cookie = own->cookie | COOKIE_MAGIC;
	*cookie = COOKIE_IS(*cookie) ? *cookie & ~(0xffffull << 48) : 0;
	return 0;
}

int bt_cookie_set(int fd, struct note *n, uint64_t cookie)
{
	uint64_t v = cookie | COOKIE_MAGIC;
	long r = bt_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_MAX_PACING_RATE, (long)&v, sizeof(v), 0);
	if (r < 0)
		return (int)-r;
	n->cookie = cookie;
	n->flags = (n->flags | NOTE_COOKIE) & ~(uint32_t)NOTE_LAZY;
	struct note *own = bt_note(fd);
	if (own != NULL && own->flags & NOTE_OURS) {
		own->cookie = cookie;
		own->flags = (own->flags | NOTE_COOKIE) & ~(uint32_t)NOTE_LAZY;
	}
	return 0;
}

/* The name of fd's own end or of its peer's; false: none, or not one of this network. */
static bool kernel_name(int call, int fd, struct bt_ident *id, bool *bare)
{
	struct sockaddr_un sun;
	socklen_t len = sizeof(sun);
	*bare = false;
	if (bt_sys(call, fd, (long)&sun, (long)&len, 0, 0, 0) < 0 || sun.sun_family != AF_UNIX)
		return false;
	*bare = len == offsetof(struct sockaddr_un, sun_path);
	return call == SYS_getpeername ? bt_name_parse_peer(&sun, len, bt_netid(), id)
				       : bt_name_parse(&sun, len, bt_netid(), id);
}

static void from_row(struct note *n, const struct bt_row *row)
{
	n->id.gen = row->gen;
	n->id.nonce = row->nonce;
	if (row->proto != 6)
		n->flags |= NOTE_UDP;
	if (row->proto == 1)
		n->flags |= NOTE_PING;
	if (row->family == 6)
		n->flags |= NOTE_V6;
	if (row->state == BT_ROW_LISTEN)
		n->flags |= NOTE_LISTENS;
	if (row->marks & BT_ROWM_STARTED)
		n->flags |= NOTE_STARTED;
	if (row->flags & BT_ROWF_CHILD)
		n->flags |= NOTE_CHILD;
	if (row->flags & BT_ROWF_WIRE)
		n->flags |= NOTE_WIRE;
	if (row->rport != 0 || (row->proto != 6 && row->state == BT_ROW_ESTABLISHED))
		n->flags |= NOTE_CONNECTED;
}

/* A nameless AF_UNIX socket: ours if it has a cookie; or, when the program gave it an AF_INET
 * address. */
static bool nameless(int fd, struct note *n, bool inet)
{
	int type = 0;
	socklen_t len = sizeof(type);
	if (bt_cookie_get(fd, &n->cookie) != 0)
		return false;
	uint64_t raw;
	len = sizeof(raw);
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_MAX_PACING_RATE, (long)&raw, (long)&len, 0);
	bool has = COOKIE_IS(raw);
	if (!has && !inet)
		return false;
	len = sizeof(type);
	bt_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)&type, (long)&len, 0);
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return false;
	n->flags |= NOTE_OURS | (type == SOCK_DGRAM ? NOTE_UDP : 0) | (has ? NOTE_COOKIE : 0);
	if (n->cookie & COOKIE_BIT(CB_V6))
		n->flags |= NOTE_V6;
	if (n->cookie & COOKIE_BIT(CB_PING))
		n->flags |= NOTE_PING;
	return true;
}

static bool ask_kernel(int fd, struct note *n, bool inet)
{
	struct bt_ident own, peer;
	struct bt_row row;
	bool bare, ignored;
	*n = (struct note){.flags = NOTE_SHARED | NOTE_ELSEWHERE, .forks = bt_forks};
	if (!kernel_name(SYS_getsockname, fd, &own, &bare))
		return bare && nameless(fd, n, inet);
	if (bt_table() == NULL)
		return false;
	n->flags |= NOTE_OURS | NOTE_NAMED;
	bool have = bt_row_read(bt_table(), own.slot, &row) && row.gen == own.gen &&
		    row.nonce == own.nonce;
	n->id = own;
	/* An accepted end has its listener's name; which connection it is, its peer's name tells.
	 */
	if ((!have || row.state == BT_ROW_LISTEN || row.state == BT_ROW_FREE) &&
	    kernel_name(SYS_getpeername, fd, &peer, &ignored) &&
	    bt_row_read(bt_table(), peer.slot, &row) && row.gen == peer.gen &&
	    row.nonce == peer.nonce) {
		n->id.slot = row.peer;
		have = bt_row_read(bt_table(), n->id.slot, &row);
		n->flags |= NOTE_CHILD | NOTE_CONNECTED;
	}
	if (have)
		from_row(n, &row);
	if (bt_cookie_get(fd, &n->cookie) == 0 && n->cookie != 0)
		n->flags |= NOTE_COOKIE;
	return true;
}

static bool is_gone(const struct note *own)
{
	struct bt_row row;
	return !bt_note_row(own, &row) || row.state == BT_ROW_FREE || row.flags & BT_ROWF_ORPHAN;
}

/* Another holder may have bound, connected, made a listener of it or renewed it since the note was
 * made. */
static void catch_up(int fd, struct note *own)
{
	struct note now;
	struct bt_row row;
	if (bt_silenced())
		return;
	if (!(own->flags & NOTE_NAMED)) {
		if (!ask_kernel(fd, &now, true) || !(now.flags & NOTE_NAMED))
			return;
		now.flags |= own->flags;
		*own = now;
	}
	/* Renewed, perhaps more than once; an accepted end has no name to ask with. */
	for (int i = 0; i < 4 && !(own->flags & (NOTE_UDP | NOTE_CHILD)) && is_gone(own); i++)
		if (!bt_succeed(fd, own))
			break;
	if (bt_note_row(own, &row) && row.marks & BT_ROWM_STARTED && bt_link_unheard())
		bt_settle(own); /* we may just have told the outcome */
	if (bt_note_row(own, &row)) {
		own->flags &= ~(uint32_t)(NOTE_LISTENS | NOTE_STARTED);
		if (own->flags & NOTE_UDP)
			own->flags &= ~(uint32_t)NOTE_CONNECTED;
		from_row(own, &row);
	}
}

static bool ident(int fd, struct note *n, bool inet)
{
	struct note *own = bt_note(fd);
	if (!bt_in_host())
		return false;
	if (LIKELY(own != NULL && own->flags & NOTE_OURS)) {
		if (UNLIKELY(own->flags & NOTE_SETTING))
			return false;
		if (own->forks != bt_forks)
			own->flags |= NOTE_SHARED | NOTE_ELSEWHERE;
		if (UNLIKELY(own->flags & NOTE_SHARED))
			catch_up(fd, own);
		*n = *own;
		return true;
	}
	if (bt_silenced() || !ask_kernel(fd, n, inet))
		return false;
	if (own != NULL)
		*own = *n;
	return true;
}

bool bt_ident(int fd, struct note *n)
{
	return ident(fd, n, false);
}

bool bt_ident_inet(int fd, struct note *n)
{
	return ident(fd, n, true);
}

/* An address of the program's own AF_UNIX sockets proves nothing about a nameless descriptor; any
 * other does. */
bool bt_ident_for(int fd, const struct sockaddr *sa, socklen_t len, struct note *n)
{
	if (len >= sizeof(sa_family_t) && !bt_bad_pointer(sa) && sa->sa_family == AF_UNIX)
		return bt_ident(fd, n);
	return bt_ident_inet(fd, n);
}

int bt_proof(int fd, const struct note *n)
{
	/* 0: another process named it, and we have no connection yet either. */
	bool made_here = n->link != 0 && n->link == bt_link_cookie();
	return LIKELY(made_here) || !(n->flags & NOTE_NAMED) ? -1 : fd;
}

void bt_req_init(struct bt_req *q, enum bt_msg_type type, const struct note *n)
{
	*q = (struct bt_req){.version = BT_MSG_VERSION, .type = (uint8_t)type};
	q->id.slot = BT_SLOT_NONE;
	if (n == NULL)
		return;
	if (n->flags & NOTE_NAMED)
		q->id = n->id;
	q->proto = n->flags & NOTE_PING ? 1 : n->flags & NOTE_UDP ? 17 : 6;
	q->family = n->flags & NOTE_V6 ? 6 : 4;
	q->opts = (uint16_t)(n->cookie & COOKIE_OPTS);
}

void bt_req_addr(struct bt_req *q, const uint8_t addr[16], uint16_t port)
{
	memcpy(q->addr, addr, 16);
	q->port = port;
}

void bt_req_make(struct bt_req *q, enum bt_msg_type type, const struct note *n, int fd)
{
	bt_req_init(q, type, n);
	if (n->flags & NOTE_NAMED)
		return;
	q->uid = bt_sock_uid(fd);
	uint64_t cookie; /* options that another holder has set */
	if (n->flags & NOTE_SHARED && bt_cookie_get(fd, &cookie) == 0)
		q->opts = (uint16_t)(cookie & COOKIE_OPTS);
}

void bt_settle(const struct note *n)
{
	struct bt_req q;
	struct bt_rep rep;
	if (!(n->flags & NOTE_NAMED) || bt_silenced())
		return;
	bt_req_init(&q, BT_GETVAL, n); /* an answer to anything says it */
	bt_call(-1, &q, NULL, &rep, NULL, NULL);
}

int bt_pending(int fd, struct note *n)
{
	uint64_t c = 0;
	if (UNLIKELY(n->flags & NOTE_JOINING)) {
		int outcome = bt_wire_outcome(fd, n);
		return outcome == EINPROGRESS ? 0 : outcome;
	}
	/* Another holder may have given it its cookie. */
	if (!(n->flags & (NOTE_COOKIE | NOTE_SHARED)) || bt_cookie_get(fd, &c) != 0)
		return 0;
	int e = (int)(c >> CB_ERROR & 0xff);
	if (e != 0)
		bt_cookie_set(fd, n, c & ~(0xffull << CB_ERROR));
	return e;
}

void bt_pend(int fd, struct note *n, int e)
{
	uint64_t c = 0;
	if (bt_cookie_get(fd, &c) == 0)
		bt_cookie_set(fd, n,
			      (c & ~(0xffull << CB_ERROR)) | (uint64_t)(unsigned)e << CB_ERROR);
}

/* Not everybody reaches the file's directory: another user, a program in a chroot. */
static long bind_path(int fd, const struct bt_ident *id)
{
	struct sockaddr_un sun;
	const struct bt_table *t = bt_table();
	socklen_t len = t == NULL ? 0 : bt_name_path(&sun, t->names, bt_netid(), id);
	return len == 0 ? -1 : bt_sys(SYS_bind, fd, (long)&sun, (long)len, 0, 0, 0);
}

socklen_t bt_target_name(struct sockaddr_un *sun, const struct bt_rep *rep)
{
	socklen_t len = 0;
	if (rep->flags & BT_REPF_TARGET_PATH && bt_table() != NULL)
		len = bt_name_path(sun, bt_table()->names, bt_netid(), &rep->target);
	return len != 0 ? len : bt_name_make(sun, bt_netid(), &rep->target);
}

bool bt_no_file(int e)
{
	return e == ENOENT || e == EACCES || e == ENOTDIR || e == ELOOP;
}

int bt_take_name(int fd, struct note *n, const struct bt_rep *rep)
{
	struct sockaddr_un sun;
	if (!(rep->flags & BT_REPF_NEW))
		return 0;
	n->id = rep->id;
	n->flags |= NOTE_NAMED;
	n->link = bt_link_cookie();
	socklen_t len = bt_name_make(&sun, bt_netid(), &rep->id);
	long r = rep->flags & BT_REPF_PATH ? bind_path(fd, &rep->id) : -1;
	if (r < 0)
		r = bt_sys(SYS_bind, fd, (long)&sun, (long)len, 0, 0, 0);
	if (r < 0) {
		struct bt_req q;
		bt_req_init(&q, BT_CLOSED, n);
		q.flags = BT_REQF_SOLE;
		bt_notice(-1, &q);
		n->flags &= ~(uint32_t)NOTE_NAMED;
		return (int)-r;
	}
	bt_note_set(fd, n);
	return 0;
}

int bt_name_it(int fd, struct note *n)
{
	struct bt_req q;
	struct bt_rep rep;
	if (n->flags & NOTE_NAMED)
		return 0;
	bt_req_make(&q, BT_IDENT, n, fd);
	int e = bt_call(-1, &q, NULL, &rep, NULL, NULL);
	return e != 0 ? e : bt_take_name(fd, n, &rep);
}

/* ---- addresses ---- */

/* The kernel says EFAULT where we would crash. The pages that no program has mapped by design are
 * told apart without a call; a dangling pointer crashes here as it does in any library. */
bool bt_bad_pointer(const void *p)
{
	return (uintptr_t)p < 4096 || (uintptr_t)p >> 47 != 0;
}

int bt_addr_in(const struct sockaddr *sa, socklen_t len, bool v6, uint8_t addr[16], uint16_t *port)
{
	if (len > sizeof(struct sockaddr_storage))
		return EINVAL;
	if (len > 0 && bt_bad_pointer(sa))
		return EFAULT;
	if (len < sizeof(struct sockaddr_in))
		return EINVAL;
	memset(addr, 0, 16);
	if (!v6) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		if (in.sin_family != AF_INET)
			return EAFNOSUPPORT;
		addr[10] = addr[11] = 0xff;
		memcpy(addr + 12, &in.sin_addr, 4);
		*port = ntohs(in.sin_port);
		return 0;
	}
	struct sockaddr_in6 in6;
	if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
		return EINVAL;
	memcpy(&in6, sa, offsetof(struct sockaddr_in6, sin6_scope_id));
	if (in6.sin6_family != AF_INET6)
		return EAFNOSUPPORT;
	memcpy(addr, &in6.sin6_addr, 16);
	*port = ntohs(in6.sin6_port);
	return 0;
}

void bt_addr_out(const uint8_t addr[16], uint16_t port, bool v6, struct sockaddr *sa,
		 socklen_t *len)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u = {0};
	socklen_t size = v6 ? sizeof(u.in6) : sizeof(u.in);
	if (len == NULL)
		return;
	if (sa == NULL) {
		*len = size;
		return;
	}
	if (v6) {
		u.in6.sin6_family = AF_INET6;
		u.in6.sin6_port = htons(port);
		memcpy(&u.in6.sin6_addr, addr, 16);
	} else {
		u.in.sin_family = AF_INET;
		u.in.sin_port = htons(port);
		memcpy(&u.in.sin_addr, addr + 12, 4);
	}
	memcpy(sa, &u, *len < size ? *len : size);
	*len = size;
}

bool bt_source(const struct sockaddr_un *sun, socklen_t len, uint8_t addr[16], uint16_t *port)
{
	static const uint8_t any4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, any6[16];
	struct bt_ident id;
	struct bt_row row;
	const struct bt_table *t = bt_table();
	if (t == NULL || !bt_name_parse(sun, len, bt_netid(), &id) ||
	    !bt_row_read(t, id.slot, &row) || row.gen != id.gen || row.nonce != id.nonce)
		return false;
	memcpy(addr, row.laddr, 16);
	*port = row.lport;
	if (memcmp(addr, any4, 16) == 0 || memcmp(addr, any6, 16) == 0) {
		struct bt_host_row host;
		/* It has been disconnected since. Its datagrams are as good as before. */
		if (row.backlog == 0)
			return true;
		if (!bt_host_read(t, row.host, &host) || row.backlog > host.n_addrs ||
		    row.backlog > BT_HOST_ADDRS)
			return false;
		memcpy(addr, host.addrs[row.backlog - 1].addr, 16);
	}
	return true;
}

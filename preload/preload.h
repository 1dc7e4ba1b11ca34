/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libberth-preload.so: what an unmodified program's socket calls become.
 *
 * A socket of the program is an AF_UNIX descriptor (stream for TCP, datagram for UDP), so all data
 * calls are the kernel's own. What is intercepted: calls that carry an address or an option; and of
 * the data calls, only what is left when the kernel's call has failed or met the end (stream.c),
 * and all of UDP's (dgram.c).
 *
 *	real.c		the functions that ours stand before
 *	link.c		the control connection to berthd
 *	ident.c		which socket a descriptor is
 *	socket.c	socket bind listen accept getsockname getpeername shutdown
 *	connect.c	connect
 *	renew.c		a fresh descriptor for one that is used up
 *	drain.c		connections that nobody has accepted when the listening ends
 *	wire.c		connections in packets: joining, outcome, options
 *	fds.c		close dup and kin
 *	fork.c		fork vfork clone posix_spawn system popen
 *	stream.c	recv and read: errors and ends of streams as TCP has them
 *	send.c		send and write
 *	errqueue.c	MSG_ERRQUEUE
 *	meter.c		bytes counted, while somebody asks for them
 *	dgram.c		UDP's and ping sockets' sending and receiving
 *	control.c	UDP's control messages
 *	options.c	setsockopt getsockopt ioctl
 *	groups.c	groups and broadcast
 *	names.c		host names
 *	files.c		open and kin for /proc/net and /proc/sys/net
 *	netlink.c	netlink sockets
 *	ifs.c		interfaces: getifaddrs and kin, ioctl
 *	raw.c		syscall(2)
 *
 * No wrapper keeps state that must be right: identity is the descriptor's kernel name. The notes on
 * descriptors (struct note) are a cache, and losing one (exec, descriptor passing) costs a look-up.
 */
#ifndef BERTH_PRELOAD_H
#define BERTH_PRELOAD_H

#include "../proto/msg.h"
#include "../proto/sys.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define PUBLIC	    __attribute__((visibility("default")))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- real.c ---- */

struct ifaddrs;
struct if_nameindex;

#define BT_SPAWN_ARGS                                                                              \
	(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,     \
	 char *const[], char *const[])

/* X(result, name, arguments) */
#define BT_REAL_FUNCTIONS(X)                                                                       \
	X(int, socket, (int, int, int))                                                            \
	X(int, bind, (int, const struct sockaddr *, socklen_t))                                    \
	X(int, listen, (int, int))                                                                 \
	X(int, connect, (int, const struct sockaddr *, socklen_t))                                 \
	X(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                \
	X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                 \
	X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                 \
	X(int, setsockopt, (int, int, int, const void *, socklen_t))                               \
	X(int, getsockopt, (int, int, int, void *, socklen_t *))                                   \
	X(int, shutdown, (int, int))                                                               \
	X(ssize_t, send, (int, const void *, size_t, int))                                         \
	X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))   \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                     \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))                                   \
	X(ssize_t, recv, (int, void *, size_t, int))                                               \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))           \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                                           \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *))                \
	X(ssize_t, read, (int, void *, size_t))                                                    \
	X(ssize_t, readv, (int, const struct iovec *, int))                                        \
	X(ssize_t, write, (int, const void *, size_t))                                             \
	X(ssize_t, writev, (int, const struct iovec *, int))                                       \
	X(int, close, (int))                                                                       \
	X(int, dup, (int))                                                                         \
	X(int, dup2, (int, int))                                                                   \
	X(int, dup3, (int, int, int))                                                              \
	X(int, socketpair, (int, int, int, int *))                                                 \
	X(int, ioctl, (int, unsigned long, ...))                                                   \
	X(int, fcntl, (int, int, ...))                                                             \
	X(int, posix_spawn, BT_SPAWN_ARGS)                                                         \
	X(int, posix_spawnp, BT_SPAWN_ARGS)                                                        \
	X(int, getaddrinfo,                                                                        \
	  (const char *, const char *, const struct addrinfo *, struct addrinfo **))               \
	X(int, getnameinfo,                                                                        \
	  (const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int))         \
	X(int, gethostbyname2_r,                                                                   \
	  (const char *, int, struct hostent *, char *, size_t, struct hostent **, int *))         \
	X(int, gethostbyaddr_r,                                                                    \
	  (const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **,      \
	   int *))                                                                                 \
	X(int, getifaddrs, (struct ifaddrs **))                                                    \
	X(unsigned, if_nametoindex, (const char *))                                                \
	X(char *, if_indextoname, (unsigned, char *))                                              \
	X(struct if_nameindex *, if_nameindex, (void))                                             \
	X(int, gethostname, (char *, size_t))                                                      \
	X(int, sethostname, (const char *, size_t))                                                \
	X(int, fclose, (FILE *))                                                                   \
	X(int, fflush, (FILE *))                                                                   \
	X(int, open, (const char *, int, ...))                                                     \
	X(int, open64, (const char *, int, ...))                                                   \
	X(int, openat, (int, const char *, int, ...))                                              \
	X(int, openat64, (int, const char *, int, ...))                                            \
	X(int, __open_2, (const char *, int))                                                      \
	X(int, __open64_2, (const char *, int))                                                    \
	X(int, __openat_2, (int, const char *, int))                                               \
	X(int, __openat64_2, (int, const char *, int))                                             \
	X(FILE *, fopen, (const char *, const char *))                                             \
	X(FILE *, fopen64, (const char *, const char *))                                           \
	X(FILE *, freopen, (const char *, const char *, FILE *))                                   \
	X(FILE *, freopen64, (const char *, const char *, FILE *))                                 \
	X(long, syscall, (long, ...))                                                              \
	X(int, system, (const char *))                                                             \
	X(FILE *, popen, (const char *, const char *))                                             \
	X(int, clone, (int (*)(void *), void *, int, void *, ...))                                 \
	X(int, prctl, (int, ...))

#define BT_DECLARE(result, name, args) result(*name) args;
struct bt_real {
	BT_REAL_FUNCTIONS(BT_DECLARE)
};
#undef BT_DECLARE

/* Resolved on first use: a library's constructor may call us before ours has run. */
const struct bt_real *bt_real(void);

/* ---- link.c ---- */

/* False: this process is in no host (no token), and every wrapper steps aside. */
bool bt_in_host(void);
uint64_t bt_netid(void);
bool bt_host_root(void);
/* The same, and the connection to berthd will say so: one that was opened while the program was
 * somebody else (seteuid) is given up. */
bool bt_link_root(void); /* whether this thread counts as the host's root */
uint32_t bt_sock_uid(int fd);
uint16_t bt_host(void); /* this program's: index in the table */
uint64_t bt_who(void);	/* the token's first 8 bytes (proto/msg.h): host, rights, root's uid */
const struct bt_table *bt_table(void); /* NULL: never reached berthd */
/* One request; fills serial. proof: a descriptor to send along, or -1 (bt_proof). 0, the errno of
 * the answer, or ENETDOWN when there is no berthd. */
int bt_call(int proof, struct bt_req *req, const void *extra, struct bt_rep *rep, void *rep_extra,
	    size_t *got);
/* The same, for an answer that may bring a descriptor: *fd. */
int bt_call_fd(int proof, struct bt_req *req, struct bt_rep *rep, int *fd);
/* A request without an answer; what cannot be sent is lost (berthd finds out by itself). */
void bt_notice(int proof, struct bt_req *req);
/* This process has sent one since the last answer. */
bool bt_link_unheard(void);
/* One of those took a descriptor along: berthd may still hold it. */
bool bt_link_lent(void);
/* What tells this process's connection from all others ever; 0: none yet. */
uint64_t bt_link_cookie(void);
/* The descriptor of the control connection, or -1: wrappers keep programs from closing it by
 * accident. */
int bt_link_fd(void);
/* A call has made descriptor fd: if that is the link's number, the link was closed behind our back.
 */
void bt_new_fd(int fd);
/* Moves the control connection to another number. */
void bt_link_move(void);
/* This process's meter, made now if there is none; NULL: there is to be none. */
struct bt_meter *bt_link_meter(void);

/* What a call returns that fails with errno e. */
static inline int bt_fail(int e)
{
	errno = e;
	return -1;
}

/* ---- ident.c ---- */

enum note_flag {
	NOTE_OURS = 1 << 0,
	NOTE_UDP = 1 << 1,
	NOTE_NAMED = 1 << 2, /* slot, gen and nonce are set */
	NOTE_LISTENS = 1 << 3,
	NOTE_CHILD = 1 << 4,
	NOTE_SHARED = 1 << 5,	 /* another descriptor or process may hold it too */
	NOTE_CONNECTED = 1 << 6, /* UDP with a peer; TCP after connect */
	NOTE_STARTED = 1 << 7,	 /* a non-blocking connect has said EINPROGRESS, and no call since
				    what   became of it */
	NOTE_LINGER0 = 1 << 8,	 /* SO_LINGER with a time of 0 */
	NOTE_SHUT_RD = 1 << 9,
	NOTE_COOKIE = 1 << 10, /* the kernel holds a cookie for it */
	NOTE_V6 = 1 << 11,
	NOTE_ACCEPTS = 1 << 12, /* berthd knows that the process of `link` accepts on it */
	NOTE_RESET_SAID = 1 << 13,
	NOTE_LAZY = 1 << 16, /* the cookie is a listener's, inherited, and not in the kernel yet */
	NOTE_KEEPALIVE = 1 << 17, /* a listener's; AF_UNIX does not pass it on */
	NOTE_SHUT_WR = 1 << 19,	  /* this process has shut the sending direction */
	NOTE_END = 1 << 21,	  /* the peer's end has been read */
	NOTE_ELSEWHERE = 1 << 20, /* and another process: SHARED by more than a duplicate here */
	NOTE_FAILED = 1 << 18,	  /* UDP: an error is kept in the cookie (dgram.c) */
	NOTE_SNDBUF = 1 << 15,	 /* the send buffer has its size: ours for bulk, or the program's */
	NOTE_UNREAD = 1 << 26,	 /* berthd was told that this close leaves data unread */
	NOTE_SETTING = 1 << 24,	 /* no socket: a memfd that stands for a file of /proc/sys */
	NOTE_NETLINK = 1 << 25,	 /* netlink.c's; `link` points to its state */
	NOTE_WIRE = 1 << 22,	 /* its bytes travel in packets */
	NOTE_JOINING = 1 << 23,	 /* and it is not connected yet, as far as we know: plugged */
	NOTE_PING = 1 << 27,	 /* ICMP echo, with NOTE_UDP: datagrams as those */
	NOTE_NONBLOCK = 1 << 14, /* O_NONBLOCK is set; holds while the socket is not SHARED */
};

struct note {
	uint32_t flags; /* 0: nothing is known */
	uint32_t forks; /* bt_forks when it was made: unequal means that a child may hold it too */
	struct bt_ident id;
	uint64_t cookie;
	uint64_t link; /* over which connection berthd learned that this process holds it */
};

/*
 * The cookie: option bits of a socket, kept by the kernel in the socket itself (SO_MAX_PACING_RATE,
 * which AF_UNIX does not use), so that they survive exec and descriptor passing. Magic in the upper
 * 16 bits.
 */
#define COOKIE_MAGIC	     (0xbe57ull << 48)
#define COOKIE_IS(c)	     (((c) >> 48) == 0xbe57)
#define COOKIE_OPTS	     0xffull /* enum bt_port_opt */
#define COOKIE_BIT(n)	     (1ull << (n))
#define COOKIE_CONGESTION(c) ((int)((c) >> CB_CONGESTION & 3))
enum cookie_bit {
	CB_REUSEADDR = 0, /* the port space's; its others are named in options.c only */
	CB_V6ONLY = 2,
	CB_NODELAY = 8,
	CB_CORK,
	CB_RECVERR,
	CB_PKTINFO,
	CB_RECVTTL,
	CB_RECVTOS,
	CB_HDRINCL,
	CB_TRANSPARENT,
	CB_V6,
	CB_STORED, /* berthd keeps values for it (BT_GETVAL) */
	CB_NOQUICKACK,
	CB_PACING,  /* the program set SO_MAX_PACING_RATE itself */
	CB_SEGMENT, /* UDP_SEGMENT is not 0 */
	CB_PING,    /* ICMP echo: its type is a UDP socket's */
	CB_PKTINFO6,
	CB_RECVHOPS,
	CB_RECVTCLASS,
	CB_RECVERR6,
	CB_RESET_SAID,	    /* a holder has been told the peer's reset: it is said once */
	CB_CONGESTION = 32, /* 2 bits: 1 + enum berth_congestion; 0: the host's */
	CB_ERROR = 40,	    /* 8 bits: pending SO_ERROR */
};

extern uint32_t bt_forks; /* how often this process has forked; odd bits do not matter */
/* fork.c: this thread's number while it is a vfork child, which has no notes; else 0. */
extern __thread uint32_t bt_vforked;
/* NULL: not a number for a descriptor, out of memory, or we are a vfork child. */
struct note *bt_note(int fd);
/* What fd is: fills *n from the note or from the kernel. False: not a socket of ours. */
bool bt_ident(int fd, struct note *n);
/* The same for a call that gave an AF_INET address: a nameless AF_UNIX socket is ours then. */
bool bt_ident_inet(int fd, struct note *n);
/* The one of both that an address given with fd asks for. */
bool bt_ident_for(int fd, const struct sockaddr *sa, socklen_t len, struct note *n);
void bt_note_set(int fd, const struct note *n);
void bt_note_clear(int fd);
void bt_notes_forget(void); /* all of them */
/* The next descriptor above fd that may be a duplicate of this socket's, or -1. */
int bt_note_next(int fd, const struct bt_ident *id);
/* The row of the socket; false: gone. It may lag behind what was said by notices. */
bool bt_note_row(const struct note *n, struct bt_row *row);
/* Waits until berthd has heard the notices of before, of this process and of others. For what looks
 * at a state of which programs may know that it has changed. */
void bt_settle(const struct note *n);
/* Makes sure that the socket has a name, asking berthd for one. 0 or errno. */
int bt_name_it(int fd, struct note *n);
/* The kernel name of the reply's target. bt_no_file(errno): it is a file that this program cannot
 * reach (another user's, or in a chroot), and berthd stands in. */
socklen_t bt_target_name(struct sockaddr_un *sun, const struct bt_rep *rep);
bool bt_no_file(int e);
/* Binds fd to the kernel name in the reply and notes it. 0 or errno. */
int bt_take_name(int fd, struct note *n, const struct bt_rep *rep);
/* The descriptor that must go with a request about it: berthd obeys the connection over which a
 * socket was made; another process shows that it holds the descriptor. -1: not needed. */
int bt_proof(int fd, const struct note *n);
int bt_cookie_get(int fd, uint64_t *cookie); /* the bits, 0 if never set */
int bt_cookie_set(int fd, struct note *n, uint64_t cookie);
void bt_req_init(struct bt_req *q, enum bt_msg_type type, const struct note *n);
void bt_req_addr(struct bt_req *q, const uint8_t addr[16], uint16_t port);
/* The same for requests that make the socket if it has no name yet. */
void bt_req_make(struct bt_req *q, enum bt_msg_type type, const struct note *n, int fd);

/* Addresses: 0 or errno (EINVAL, EAFNOSUPPORT, EFAULT). */
int bt_addr_in(const struct sockaddr *sa, socklen_t len, bool v6, uint8_t addr[16], uint16_t *port);
void bt_addr_out(const uint8_t addr[16], uint16_t port, bool v6, struct sockaddr *sa,
		 socklen_t *len);
bool bt_bad_pointer(const void *p);
/* The source of a datagram that came from this name. */
bool bt_source(const struct sockaddr_un *sun, socklen_t len, uint8_t addr[16], uint16_t *port);

/* ---- files.c ---- */

struct bt_view;
void bt_own_view(struct bt_view *v); /* what the instruments of this host see */
/* A descriptor, -1 and errno, or -2: the kernel's to open. */
int bt_open_net(const char *path, int flags);
/* What a new TCP connection of the host has. */
bool bt_host_congestion(char *name, size_t size);
extern bool bt_any_setting; /* this process has one: the others need not look */
static inline bool bt_setting_of(int fd)
{
	const struct note *n = UNLIKELY(bt_any_setting) ? bt_note(fd) : NULL;
	return n != NULL && n->flags & NOTE_SETTING;
}
/* A write to a descriptor with NOTE_SETTING: the number of bytes, or -1 and errno. */
ssize_t bt_setting_write(int fd, const struct msghdr *m);
/* Sets what libc has written into the memfd. 0 or errno. */
int bt_setting_flush(int fd);

/* ---- netlink.c: on descriptors with NOTE_NETLINK; -1 and errno ---- */

extern bool bt_any_netlink; /* this process has made one: the others need not look */
static inline bool bt_is_netlink(int fd)
{
	const struct note *n = UNLIKELY(bt_any_netlink) ? bt_note(fd) : NULL;
	return n != NULL && n->flags & NOTE_NETLINK;
}
int bt_nl_socket(int type, int protocol);
void bt_nl_copied(const struct note *n); /* another descriptor has the note, too */
void bt_nl_closing(const struct note *n);
int bt_nl_bind(const struct note *n, const struct sockaddr *sa, socklen_t len);
int bt_nl_connect(const struct note *n, const struct sockaddr *sa, socklen_t len);
int bt_nl_name(const struct note *n, bool peer, struct sockaddr *sa, socklen_t *len);
int bt_nl_setsockopt(int fd, const struct note *n, int level, int name, const void *value,
		     socklen_t len);
int bt_nl_getsockopt(int fd, const struct note *n, int level, int name, void *value,
		     socklen_t *len);
ssize_t bt_nl_send(int fd, const struct note *n, const struct msghdr *m, int flags);
ssize_t bt_nl_recv(int fd, const struct note *n, struct msghdr *m, int flags);

/* ---- ifs.c ---- */

/* An ioctl about interfaces. False: not one; else *r is the result, with errno. */
bool bt_if_ioctl(int fd, unsigned long request, void *arg, int *r);

/* ---- meter.c ---- */

extern const _Atomic uint32_t *bt_metered; /* 0: nobody asks for counts */
void bt_meter_add(int fd, size_t bytes, bool out);
/* A data call has moved n bytes, or failed. Returns n; keeps errno. */
static inline ssize_t bt_meter(int fd, ssize_t n, bool out)
{
	if (UNLIKELY(atomic_load_explicit(bt_metered, memory_order_relaxed) != 0) && n > 0)
		bt_meter_add(fd, (size_t)n, out);
	return n;
}

/* ---- others ---- */

/* How often a UDP socket of this process was connected or disconnected: what is remembered of ways
 * is then old. */
extern _Atomic uint32_t bt_udp_changes;
/*
 * wire.c. What an option of a connection in packets, or of a listener, has become reaches the
 * engine: all that the descriptor and the cookie hold (true: there was something, and berthd may
 * not have heard it yet); one, heard on return; 0 or another socket: nothing.
 */
bool bt_wire_options(int fd, struct note *n);
void bt_wire_set(int fd, const struct note *n, int level, int name, int value);
/* A number that berthd knows; false: it is in no packets, or was never set. */
bool bt_wire_value(int fd, const struct note *n, int level, int name, int *value);
/* Sizes the descriptor's queue; sndbuf: what the program set, 0: nothing. */
void bt_wire_queue(int fd, const struct note *n, int sndbuf);
/* TCP_INFO, of `size` bytes, and the congestion control of any connection of the host. */
bool bt_wire_info(uint32_t slot, const struct bt_row *row, void *info, size_t size,
		  char name[BT_CONGESTION_NAME]);
int bt_wire_error(int fd, const struct note *n); /* that ended it, told once; 0: none */
int bt_wire_ended(int fd, const struct note *n); /* the same where the connection is over */
/* The connection is over, without a reset, and why has been told: what the kernel says then is only
 * that berthd let go of a descriptor with bytes unread. */
bool bt_wire_told(const struct note *n);
/* UDP: some of what it sent has travelled in packets, so an error may be told by a word. */
bool bt_wire_udp(const struct note *n);
/* What came from this name is such a word. */
bool bt_wire_word(const struct sockaddr_un *sun, socklen_t len);
void bt_wire_linger(int fd, const struct note *n); /* before close: SO_LINGER with a time */
int bt_wire_join(int fd, struct note *n);	   /* 0 or errno */
int bt_wire_wait(int fd, struct note *n);	   /* as connect, with EINPROGRESS and EINTR */
/* How a connection in packets stands, without waiting: EINPROGRESS, 0 (connected), or
 * the errno of its failure, told once. Only with NOTE_JOINING. */
int bt_wire_outcome(int fd, struct note *n);
/* connect.c: MSG_FASTOPEN on a TCP socket, as Linux has it while it holds no cookie of the
 * server's: connects, and what would not wait for that says EINPROGRESS and sends nothing. 0 or
 * errno. */
int bt_fastopen(int fd, struct note *n, const struct msghdr *m, int flags);
/* renew.c: a fresh socket takes the place of the one that fd is; n becomes its note. 0 or errno. */
int bt_renew(int fd, struct note *n);
/* This process has another descriptor of the same socket, or may have. */
bool bt_duplicated(int fd, const struct note *n);
/* Another process has renewed it: fd and its duplicates become what took its place. own: fd's note.
 * False: nothing did. */
bool bt_succeed(int fd, struct note *own);
/* A call tells the outcome of the attempt to connect: e, or 0 for a connection. */
void bt_told(int fd, const struct note *n, int e);
/* The pending error of a failed non-blocking connect, which this tells and clears; 0: none. */
int bt_pending(int fd, struct note *n);
void bt_pend(int fd, struct note *n, int e); /* sets it */
/* fds.c: a seccomp filter is on; calls beyond the program's own may kill it. */
bool bt_silenced(void);
void bt_silence(void);
void bt_closing(int fd, struct note *n, bool *tell); /* fds.c: before and after a native close */
void bt_closed(const struct note *n, bool tell);
/* drain.c: the listening ends, here or by the last close; n is the listener's note. */
void bt_drain(int fd, struct note *n);
/* socket.c: berthd knows that this process accepts on the listener. */
void bt_say_accepts(int fd, struct note *n);
ssize_t bt_udp_send(int fd, const struct note *n, const struct msghdr *m,
		    int flags); /* dgram.c: -1 and errno */
/* Gives an unbound UDP socket its port, as Linux does before it looks at the rest of a call. */
void bt_udp_autobind(int fd, struct note *n);
/* What a sender chooses for one datagram. */
struct bt_choice {
	bool source;
	uint16_t dev;	  /* interface, where it goes to several hosts; 0: none */
	uint8_t addr[16]; /* source: the address it comes from */
	uint32_t value;	  /* as in BT_UDP_SEND */
	uint16_t segment; /* bytes of each of the datagrams that it is cut into; 0: it is one */
};
/* options.c: UDP_SEGMENT of the socket */
uint16_t bt_udp_segment(int fd, const struct note *n);
/* Reads the control messages of a datagram to an IPv4 or IPv6 address. 0 or errno. */
int bt_control_read(const struct note *n, const struct msghdr *m, bool v4,
		    struct bt_choice *choice);
/* What was chosen is what happens anyway. */
bool bt_control_usual(const struct note *n, const struct bt_choice *choice);
/* Whether the socket has asked for any, and those of a datagram from this name: appended to what m
 * has already, of `room` bytes in all. */
bool bt_control_asked(const struct note *n);
void bt_control_give(const struct note *n, const struct sockaddr_un *sun, socklen_t len,
		     struct msghdr *m, size_t room);
/* stream.c: the connection is over for both ends; come: by the peer's reset, which waits to be
 * told. A reset is said once, to whichever holder asks first: whether it was, and that it is. own:
 * fd's note, or NULL. */
void bt_end_by_reset(int fd, const struct note *n, bool come);
bool bt_reset_said(int fd, const struct note *own);
void bt_reset_say(int fd);
/* The peer's reset that this descriptor has not told yet; then it has. */
bool bt_reset_untold(int fd, const struct note *n);
/* Tells berthd an option's value; what others depend on (UDP, SOL_SOCKET) it knows on return. */
void bt_tell_value(int fd, const struct note *n, int level, int name, uint32_t value);
/* The same, where nobody looks whether it is an option's value: kept for getsockopt. 0 or errno. */
int bt_keep_value(int fd, struct note *n, int level, int name, uint32_t value);
/* groups.c. Options about groups: 0, errno, or -1: it is not one of those. */
int bt_group_set(int fd, struct note *n, int level, int name, const void *value, socklen_t len);
/* BT_REQF_BROADCAST where the address may be a broadcast one and the socket has SO_BROADCAST. */
uint16_t bt_may_broadcast(int fd, const uint8_t addr[16]);
/* The interface that is named with the address of an IPv6 group of a link; 0: none, or another
 * address. */
uint16_t bt_scope(const struct sockaddr *sa, socklen_t len);
ssize_t bt_errqueue(int fd, const struct note *n, struct msghdr *m); /* errqueue.c; -1 and errno */
ssize_t bt_stream_end(int fd, ssize_t n, size_t wanted);	     /* stream.c */
/* The kernel holds a reset for fd that berthd did not know of, since nobody could say whose close
 * was the last; now it does. */
bool bt_reset_unheard(int fd, const struct note *n);
/* The kernel has told a reset: the peer's last holder closed it with data unread. */
void bt_reset_heard(int fd, const struct note *n);
/* A reset has ended the connection after the peer's FIN. */
bool bt_over_after_end(const struct note *n);

#endif

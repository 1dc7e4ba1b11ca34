/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berthd, one per network. Single-threaded on a libuv loop. It owns the socket table and the port
 * spaces, and answers programs' messages; bytes between two programs never pass through it, except
 * datagrams for a receiver whose queue is full, and what travels in packets (wire.h).
 *
 *	main.c		start, lock, idle exit
 *	state.c		the network's files: id, key, table; publishing sockets as rows
 *	serve.c		connections of programs and of the command line, their life
 *	calls.c		one function a message: about sockets
 *	calls_*.c	about datagrams, options, hosts; questions
 *	vals.c		values of options that are kept for sockets
 *	names.c		files in the place of abstract names
 *	timers.c	all that is to happen later, but for packets
 *	sweep.c		what the kernel says about who is alive; census.c asks it
 *	heirs.c		sockets that took others' place
 *	inbox.c		programs' notices without a wake-up
 *	events.c	what happened and what was refused, for instruments; tally.c: how often
 *	relay.c		datagrams in waiting
 *	groups.c	datagrams that go to several
 *	errors.c	what is said of those that did not arrive
 *	filter.c	packet filters
 *	echo.c		sockets that are connected to themselves
 *	wire.c		links, and the engine that carries packets; its other files are in wire.h
 *	recover.c	rebuilding from the table that an earlier berthd left
 */
#ifndef BERTH_DAEMON_H
#define BERTH_DAEMON_H

#include "../lib/sock/net.h"
#include "../proto/client.h"
#include "../proto/inbox.h"

#include <uv.h>

/* A connection to the control socket. */
struct conn {
	uv_poll_t poll;
	struct conn *next, *prev;
	int fd;
	uint32_t id; /* owner number; never 0 */
	pid_t pid;
	uid_t uid;
	uint16_t host; /* programs; BT_NET_NO_HOST before BT_HELLO and for the command line */
	bool hello, admin;
	bool root; /* programs: started as the host's root, by the user who still runs them */
	struct bt_ident accepts[8]; /* listeners that it has shown to hold; the last ones */
	uint32_t n_accepts;
	uint32_t owned;		      /* sockets made over this connection, about */
	const struct bt_inbox *inbox; /* NULL: none */
	uint32_t inbox_at;
	bool inbox_used; /* since the last look at the clock */
	struct conn *hot_next;
	const struct bt_meter *meter; /* NULL: none */
	bool watches;		      /* asks for counts */
};

/* A process that `berth run` became: the network lives at least as long as it. */
struct launch {
	uv_poll_t poll;
	struct launch *next;
	int pidfd;
};

#define D_MS 1000000ull

enum d_timer_of { D_CLOCK, D_IDLE, D_SWEEP, D_LOOK, D_DROP, D_TIMERS };

struct daemon;

struct d_timer {
	void (*run)(struct daemon *);
	uint64_t at_ns, every_ns; /* 0: does not run; once */
};

#define D_DROPS 8u /* files that wait to be removed */

struct daemon {
	uv_loop_t loop;
	uv_poll_t listener, self, wire_listener;
	uv_poll_t timer; /* of timer_fd */
	struct d_timer timers[D_TIMERS];
	uint64_t rings_ns; /* when timer_fd does; 0: never */
	struct conn *hot;  /* whose inboxes we look into by ourselves */
	uint32_t n_hot;
	int timer_fd, listen_fd, self_fd, wire_fd, lock_fd, table_fd, table_ro_fd;
	char dir[256];
	const char *network;
	uint64_t netid;
	uint8_t key[32];
	struct bt_net *net;
	struct bt_table *table;
	struct conn *conns;
	uint32_t n_conns, next_conn;
	struct launch *launches;
	struct capture *captures;
	struct wire *wire;		       /* NULL: no link does anything */
	struct tallies *tallies[BT_MAX_HOSTS]; /* NULL: nothing was refused there */
	uint32_t **owners; /* chunks of 4,096: owner number of each slot, 0: none; SUSPECT_BIT */
	uint64_t nonce_count;
	struct bt_ident drops[D_DROPS]; /* whose files are to be removed soon */
	uint32_t n_drops;
	uint32_t n_filters; /* hosts that have a packet filter (filter.h) */
	uint32_t n_named;   /* sockets with an abstract name */
	uint64_t clock_at;  /* what the clock waits for */
	uint64_t sweep_delay_ms;
	int64_t look_credit_ns; /* what may be spent on looking for the dead in a conflict's way */
	uint64_t credit_at_ns;
	uint64_t swept_ns, sweep_cost_ns; /* the last sweep: when it ended, how long it took */
	uint32_t auto_host;
	bool leaving, no_events;
};

#define OWNER_CHUNK 4096u
#define SUSPECT_BIT 0x80000000u

/* state.c */
int d_state_open(struct daemon *d); /* 0 or -errno; a message is on stderr */
void d_state_remove(struct daemon *d);
/* The lock is still the directory's. */
bool d_state_ours(const struct daemon *d);
uint64_t d_now(void);
uint64_t d_random(struct daemon *d);
void d_mac(const struct daemon *d, uint64_t host, uint8_t token[BT_TOKEN_BYTES]);
/* Publishes all that the network has changed. */
void d_publish(struct daemon *d);
void d_publish_host(struct daemon *d, uint16_t host);
/* Gives a new slot its generation and nonce. */
void d_identify(struct daemon *d, uint32_t slot, pid_t pid, uint32_t owner);
void d_row_begin(struct bt_row *r);
void d_row_end(struct bt_row *r);
struct bt_row *d_row(const struct daemon *d, uint32_t slot);
uint32_t *d_owner(struct daemon *d, uint32_t slot);
/* Whoever remembers where datagrams lead must ask again. */
void d_ways_changed(struct daemon *d);
void d_count(struct daemon *d, enum bt_counter c);

/* events.c */
void d_program_joined(pid_t pid);
void d_event(struct daemon *d, uint32_t kind, uint32_t slot, const struct bt_row *r);
/* A row is not what it was. */
void d_row_changed(struct daemon *d, uint32_t slot, const struct bt_row *old);

/* timers.c */
int d_timers_open(struct daemon *d); /* 0 or -errno */
/* Starts it, or starts it anew. every_ns 0: once. */
void d_timer_start(struct daemon *d, enum d_timer_of which, void (*run)(struct daemon *),
		   uint64_t after_ns, uint64_t every_ns);
void d_timer_stop(struct daemon *d, enum d_timer_of which);
bool d_timer_runs(const struct daemon *d, enum d_timer_of which);

/* names.c */
void d_names_open(struct daemon *d);
/* Removes the files of sockets that are no more, or all. */
void d_names_clear(struct daemon *d, bool all);
/* Whether the kernel has a name for the row's socket, as far as programs have said. */
bool d_named(const struct bt_row *r);
void d_name_changed(struct daemon *d, uint32_t slot, const struct bt_row *old, bool has);
/* Connects an AF_UNIX descriptor to the socket's name, of whichever kind. Never waits where fd's
 * description is non-blocking. 0, or -1 and errno. */
int d_join(struct daemon *d, int fd, uint32_t slot);
/* A file that is refused to whoever joins it belongs to nobody; of one that is not there, the sweep
 * tells. */
bool d_file_free(struct daemon *d, const struct bt_ident *id);

/* serve.c */
int d_serve_open(struct daemon *d);
void d_serve_close(struct daemon *d);
void d_launch(struct daemon *d, pid_t pid);
/* Sets the clock for the next TIME_WAIT's end; ends berthd when nobody is left. */
void d_settle(struct daemon *d);
void d_reply(struct conn *c, struct bt_rep *rep, const void *extra, int fd);

/* calls.c */
/* proof: a descriptor that came along, or -1; it is closed before the answer goes out, so that who
 * asked may count on his close of it being the last. */
void d_call(struct daemon *d, struct conn *c, const struct bt_req *req, const uint8_t *extra,
	    int proof);

/* sweep.c */
/* Compares the table with the kernel now. 0 or -errno. */
int d_sweep(struct daemon *d);
/* Soon; the delay doubles from 20 ms to 4 s while there are suspects, and starts anew with each
 * call. */
void d_sweep_soon(struct daemon *d);
/* A descriptor of this socket was closed, perhaps not the last: looks if the kernel still has the
 * name. */
void d_verify(struct daemon *d, uint32_t slot);
/* True: the kernel does not know this socket any more, and it is closed now. */
bool d_dead(struct daemon *d, uint32_t slot);
/* A connection has begun; has ended: what it owned is looked at. The caller frees it. */
void d_conn_add(struct daemon *d, struct conn *c);
void d_conn_del(struct daemon *d, struct conn *c);

void d_verify_ident(struct daemon *d, const struct bt_ident *id);
/* Nobody holds a descriptor with this name. */
bool d_name_free(struct daemon *d, const struct bt_ident *id, int type, bool by_path);

/* heirs.c */
/* A socket has been renewed, and other processes may hold the old one. */
void d_heir_expect(uint16_t host, const struct bt_ident *old, bool by_path,
		   const struct bt_ident *now);
/* The descriptor of the new one, of which a copy is kept. */
void d_heir_keep(struct daemon *d, const struct bt_ident *now, int fd);
/* The descriptor of what took the place of `old`, which stays ours, or -1. */
int d_heir_find(uint16_t host, const struct bt_ident *old, struct bt_ident *now);
bool d_heir_of(const struct bt_ident *old); /* somebody may come for it */
bool d_heirs(void);			    /* or for any other */
/* Lets go of those that nobody can come for any more. */
void d_heirs_look(struct daemon *d);

/* inbox.c */
int d_inbox_open(struct daemon *d, struct conn *c, int fd, uint32_t *at);
void d_inbox_knock(struct daemon *d, struct conn *c);
/* Carries out what is in the hot inboxes, in the order of its times. */
void d_inbox_look(struct daemon *d);
void d_inbox_close(struct daemon *d, struct conn *c);

/* meter.c */
/* What a program shares: a memfd of just this size that can no longer change it; NULL: it is not.
 */
const void *d_map_sealed(int fd, size_t bytes);
int d_meter_open(struct conn *c, int fd); /* 0 or -errno */
void d_meter_close(struct daemon *d, struct conn *c);

/* relay.c */
/* What a datagram brings along beside its bytes. hops, tos: as in struct bt_row. */
struct d_from {
	struct bt_addr src, dst;
	uint16_t host, port;
	uint8_t hops, tos;
	uint8_t dev; /* by which it arrives, of what goes to several; else 0 */
	bool word;   /* no datagram: an error waits (errors.c) */
};
/* Takes a datagram for `target`. Bounded by the receiver's rcvbuf; beyond that it is dropped and
 * counted. */
void d_relay(struct daemon *d, uint32_t target, const struct d_from *from, const uint8_t *data,
	     size_t len);
/* The source that a program chose must be an address of its host. 0 or -errno. */
int d_udp_source(const struct daemon *d, uint16_t host, const uint8_t chosen[16],
		 struct bt_addr *src);
/* The row tells what of a socket's options others must know. */
void d_udp_option(struct daemon *d, uint32_t slot, uint16_t level, uint16_t name, uint32_t value);
void d_relay_forget(struct daemon *d, uint32_t target);

/* echo.c */
int d_echo_open(struct daemon *d);

/* recover.c */
void d_recover(struct daemon *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth doctor: the health of the ports of one host, or of the machine.
 *
 * A source (doctor_kernel.c, doctor_table.c) tells bt_count_add each socket once, listeners first,
 * and fills in the settings. doctor_find.c makes findings of the counts, doctor_show.c writes them.
 * Memory is bounded: what is beyond a bound is counted in `unseen`.
 */
#ifndef BERTH_CLI_DOCTOR_H
#define BERTH_CLI_DOCTOR_H

#include "cli.h"
#include "holders.h"

enum {
	BT_FLOWS_MAX = 1 << 18,	  /* (source, destination, port) kept apart in one host */
	BT_DETAILS_MAX = 1 << 16, /* listeners, and sockets in CLOSE_WAIT, of one host */
	BT_FINDINGS_MAX = 32,
	BT_CURES_MAX = 6,
	BT_SHOWN_MAX = 10,
};

/* One socket, as both sources tell it. */
struct bt_seen {
	uint8_t laddr[16], raddr[16]; /* IPv4 mapped */
	uint16_t lport, rport;	      /* host order */
	uint8_t proto;		      /* BT_PROTO_TCP, BT_PROTO_UDP */
	uint8_t state;		      /* enum bt_row_state; only bound: BT_ROW_CLOSE */
	uint32_t ino;		      /* 0: not known */
	int32_t pid;		      /* its maker, 0: not known */
	uint32_t rqueue, backlog;     /* of a listener: connections that wait, and how many may */
	uint32_t drops;		      /* of a listener: refused for a full queue */
	int64_t age_s;		      /* CLOSE_WAIT: see `age` of struct bt_count; -1: not known */
};

/* What connections share that compete for source ports. UDP: all zero, since a port of UDP is for
 * every destination. */
struct bt_flow {
	uint8_t laddr[16], raddr[16];
	uint16_t rport;
	uint8_t proto; /* 0: free place */
	uint32_t n, time_wait;
	uint32_t bound; /* at ports that bind(0) chooses first */
	uint32_t ino;	/* of one that is not in TIME_WAIT */
	int32_t pid;
	uint32_t before; /* n of the sample before */
};

struct bt_count {
	/* The settings, from the source. */
	uint16_t lo, hi;	 /* net.ipv4.ip_local_port_range */
	uint64_t reserved[1024]; /* net.ipv4.ip_local_reserved_ports, a bit a port */
	uint32_t time_wait_ms, fin_timeout_s, somaxconn;
	int tw_reuse;
	const char *age; /* what age_s counts from: "made" or "last_packet" */
	/* Since the machine started; of a network: of the host's listeners. */
	uint64_t listen_overflows, listen_drops;

	uint64_t tcp, udp, states[16], udp_states[16];
	uint64_t taken[2][1024]; /* ports of the range that sockets of TCP and of UDP have */
	uint64_t unseen;	 /* beyond a bound */
	uint32_t bound_only;	 /* TCP, in the range, neither listening nor connected */
	uint32_t bound_ino;	 /* one of them */
	int32_t bound_pid;
	uint64_t listening[1024]; /* ports of TCP listeners */
	struct bt_flow *flows;	  /* open addressing, at most half full */
	uint32_t places, n_flows;
	struct bt_seen *listeners, *waits; /* waits: in CLOSE_WAIT */
	size_t n_listeners, listener_room, n_waits, wait_room;
};

/* doctor_count.c: counts one socket; of one host all listeners come first. */
void bt_count_add(struct bt_count *c, const struct bt_seen *s);
/* Forgets the sockets, not the settings; frees what they took. */
void bt_count_clear(struct bt_count *c);
/* Ephemeral ports less the reserved ones. */
uint32_t bt_count_capacity(const struct bt_count *c);
/* Those of them that any socket of the protocol has. */
uint32_t bt_count_taken(const struct bt_count *c, bool udp);
bool bt_port_in(const uint64_t set[1024], uint16_t port);
/* Reads "8080,9000-9100"; false: not such a list, and set is empty then. */
bool bt_ports_parse(const char *text, uint64_t set[1024]);
/* The flow of s, NULL: not counted. */
const struct bt_flow *bt_flow_of(const struct bt_count *c, const struct bt_flow *like);
/* Ports that bind before connect holds, as far as the choice of ports tells. */
uint32_t bt_count_bound(const struct bt_count *c);
/* The fullest flows first, at most n; how many there are. */
unsigned bt_count_fullest(const struct bt_count *c, const struct bt_flow **best, unsigned n);

enum bt_severity { BT_NOTE, BT_WARNING, BT_CRITICAL };

struct bt_cure {
	const char *id;
	char text[256];
};

struct bt_finding {
	enum bt_severity severity;
	const char *kind;
	char text[320];
	uint64_t value, limit;
	char program[BT_COMM]; /* empty: not known, or many */
	int pid;
	struct bt_cure cures[BT_CURES_MAX];
	unsigned n_cures;
};

struct bt_limits {
	uint32_t warn, critical; /* percent */
	uint32_t close_wait;	 /* sockets of a program */
	double interval_s;	 /* 0: one sample */
};

/* A flow worth showing; pid 0: its program is not known, or was not asked for. */
struct bt_top {
	const struct bt_flow *flow;
	char program[BT_COMM];
	int pid;
};

struct bt_health {
	const char *network; /* NULL: the machine */
	char host[BT_HOST_NAME];
	uint32_t index; /* of the host */
	struct bt_count now;
	uint64_t overflows_before, drops_before;
	bool two; /* there was a sample before */
	double elapsed_s;
	struct bt_top top[BT_SHOWN_MAX]; /* the fullest first */
	unsigned n_top;
	struct bt_finding findings[BT_FINDINGS_MAX];
	unsigned n_findings, findings_left; /* left: beyond the bound */
	enum bt_severity verdict;
};

/* doctor_kernel.c: 0, or -errno after saying why it cannot look. */
int bt_doctor_kernel(struct bt_health *h);
/* doctor_table.c: the hosts of a network (host NULL: all); *list is the caller's. */
int bt_doctor_hosts(struct bt_client *c, const char *network, const char *host,
		    struct bt_health **list, unsigned *n);
/* Counts the sockets of these hosts. */
int bt_doctor_table(struct bt_client *c, const char *network, struct bt_health *list, unsigned n);

/* doctor_find.c: asks /proc for the holders of what it reports, once for all hosts. */
void bt_doctor_find(struct bt_health *list, unsigned n, const struct bt_limits *limits);
/* Per second, of new ports taken in a flow; 0: none, or one sample only. */
double bt_flow_growth(const struct bt_health *h, const struct bt_flow *f);
/* "a -> b:port", or "UDP to anywhere". */
void bt_flow_text(const struct bt_flow *f, char *text, size_t size);
uint32_t bt_percent(uint64_t n, uint64_t of);

/* doctor_show.c */
const char *bt_severity_word(enum bt_severity s);
void bt_doctor_text(const struct bt_health *list, unsigned n);
void bt_doctor_json(const struct bt_health *list, unsigned n, const struct bt_limits *limits);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet scripts: README.md says what a script may contain. One host with one interface is under
 * test; the script is its program and its only peer. Packets are built and taken apart here,
 * without the library's own code for it. The host is one of two: engine.c's is libberth's, in
 * virtual time; kernel.c's is Linux's, behind a TUN device, in real time.
 */
#ifndef BERTH_TESTS_SCRIPT_H
#define BERTH_TESTS_SCRIPT_H

#include <berth/berth.h>

#include <stdio.h>
#include <string.h>

#define PEER_ISN     1000000u
#define PACKET_BYTES 66000

enum flag { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };
enum has {
	MSS = 1,
	WSCALE = 2,
	SACKOK = 4,
	SACK = 8,
	TS = 16,
	FASTOPEN = 32,
	UNKNOWN = 64,
	OTHERS = 128, /* of an expected packet: options that are not named may be there */
};
#define ANY UINT32_MAX /* of a number: whatever it is */

enum proto { ICMP = 1, IP_TCP = 6, IP_UDP = 17, ICMPV6 = 58, NO_PROTO = 300, ARP };
enum cookie { NO_COOKIE, EMPTY, GIVEN, BYTES }; /* Fast Open: GIVEN is the host's last one */

/* A packet as a line of a script says it; numbers relative to the initial ones. */
struct desc {
	unsigned proto; /* enum proto; ICMP also for ICMPv6, or another number of IP's */
	unsigned flow;
	unsigned flags, has;
	uint32_t seq, ack, len, win, urg;
	uint32_t mss, wscale, ts_val, ts_ecr;
	unsigned n_sack;
	uint32_t sack[4][2];
	uint32_t type, code, mtu, quoted_seq; /* ICMP */
	uint32_t tos, ttl;
	bool has_from, has_to, has_target; /* else the usual one */
	struct berth_addr from, to;
	bool df;
	bool frag, more;
	uint32_t frag_id, frag_from, frag_to; /* bytes of what IP carries */
	uint32_t cut;			      /* not 0: the packet has so many bytes */
	uint32_t ip_version, ip_length;	      /* not 0: what its header says */
	bool bad_ip_checksum;
	uint8_t ip_raw[40]; /* IPv4 options; an IPv6 extension header with its type in front */
	unsigned n_ip_raw;
	uint8_t cookie[16];
	unsigned n_cookie;
	enum cookie has_cookie;
	/* ARP: type 1 request, 2 reply. ND: type as ICMPv6's */
	struct berth_addr target;
	uint32_t mac; /* last byte of the sender's; ANY: its own; 0: does not say */
	bool nd, unicast, router, solicited, override;
	uint8_t raw[40]; /* option bytes, to inject */
	unsigned n_raw;
	bool bad_checksum;
};

struct flow {
	char name[8];
	uint16_t host_port, peer_port;
	uint32_t host_isn, host_ts;
	bool isn_known, ts_known;
	uint8_t last[128]; /* start of the last packet the host sent: what ICMP quotes */
	size_t last_len;
};

struct script {
	const char *path;
	unsigned line;
	unsigned ip; /* 4 or 6 */
	uint32_t mtu;
	bool ethernet;
	bool started;
	uint64_t now_ns;  /* since the script's 0 */
	uint64_t line_ns; /* of the line before that had another time */
	struct flow flows[16];
	unsigned n_flows;
	struct berth_addr host_addr, peer_addr;
	uint8_t cookie[16]; /* Fast Open: what the host gave last */
	unsigned n_cookie;
	struct named {
		char name[16];
		uint64_t s;		 /* the host's own name of it */
		uint32_t sent, received; /* of the stream: where its pattern is */
	} sockets[16];
	unsigned n_sockets;
	/* What the host has sent and no line has expected yet. */
	struct sent {
		struct sent *next;
		uint64_t at_ns;
		size_t len;
		uint8_t data[];
	} * first, **last;
	char **words; /* of the line */
	unsigned n_words;
};

/* Prints place, message and ends the program with 1. */
_Noreturn void fail(const struct script *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
uint32_t number(const struct script *s, const char *word);
/* The byte at an offset of any stream. */
static inline uint8_t pattern(uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8));
}

/* The host has sent a packet, at s->now_ns or earlier. */
void sent_add(struct script *s, uint64_t at_ns, const struct iovec *parts, unsigned n);

/* packet.c: words[from..] of the line become a packet, and back. */
void desc_read(struct script *s, unsigned from, struct desc *d);
void desc_print(const struct script *s, const struct desc *d, FILE *out);
/* build.c */
size_t packet_build(struct script *s, const struct desc *d, uint8_t *packet);
/* decode.c: what a packet of the host says; fails on wrong lengths, checksums, payload. */
void packet_decode(struct script *s, const uint8_t *packet, size_t len, struct desc *d);
bool desc_matches(const struct script *s, const struct desc *expected, const struct desc *came,
		  uint32_t slack_ms);
/* An address by name: host, peer, other, any, or as it is written. */
void address_read(const struct script *s, const char *name, struct berth_addr *a);
/* RFC 1071. proto 0, and ICMP of IPv4: of the data alone, without src and dst. */
uint16_t checksum(const struct script *s, unsigned proto, const struct berth_addr *src,
		  const struct berth_addr *dst, const uint8_t *data, size_t len);
/* neighbour.c: Ethernet, ARP and neighbour discovery. The host's station is 02:00:00:00:00:01, the
 * peer's ends in 2. */
#define HOST_MAC 1
#define PEER_MAC 2
#define ETHERNET 14
void put_mac(uint8_t *p, uint32_t last);
/* What stands before an IP packet: returns its length. */
size_t ethernet_build(const struct script *s, const struct desc *d, uint8_t *frame);
size_t arp_build(const struct script *s, const struct desc *d, uint8_t *p);
size_t nd_build(const struct script *s, const struct desc *d, uint8_t *p);
/* True: it is an ARP packet, which d now says. Fails where stations are wrong. */
bool ethernet_decode(const struct script *s, const uint8_t *frame, size_t len, struct desc *d);
void nd_decode(const struct script *s, const uint8_t *p, size_t len, struct desc *d);
bool neighbour_matches(const struct script *s, const struct desc *expected,
		       const struct desc *came);

static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static inline uint8_t *put16(uint8_t *p, uint32_t v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static inline uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v);
}

static inline bool addr_eq(const struct berth_addr *a, const struct berth_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/*
 * The host under test, in engine.c or kernel.c. What says int64_t or int is 0 or more, or a
 * negative error, whose numbers are Linux's in both.
 */
extern const bool host_has_drops; /* false: its counters are not ours */
void host_start(struct script *s);
void host_end(struct script *s);
void host_input(struct script *s, const uint8_t *packet, size_t len);
void host_collect(struct script *s);		     /* what it has sent by now */
void host_pass(struct script *s, uint64_t until_ns); /* time */
/* How much later (or earlier) than a line says may something be, ns. */
uint64_t host_slack(const struct script *s);
/* Time passes until it has sent something, but at most the slack. */
void host_await(struct script *s);
int64_t host_socket(struct script *s, struct named *n, bool udp);
int64_t host_bind(struct script *s, struct named *n, const struct berth_endpoint *e);
int64_t host_listen(struct script *s, struct named *n, uint32_t backlog);
int64_t host_connect(struct script *s, struct named *n, const struct berth_endpoint *e);
int64_t host_accept(struct script *s, struct named *listener, uint64_t *child);
int64_t host_send(struct script *s, struct named *n, const void *data, size_t len, unsigned flags);
int64_t host_recv(struct script *s, struct named *n, void *data, size_t len, unsigned flags);
/* to NULL: where it is connected to */
int64_t host_send_to(struct script *s, struct named *n, const void *data, size_t len,
		     const struct berth_endpoint *to);
int64_t host_recv_from(struct script *s, struct named *n, void *data, size_t len);
int64_t host_shutdown(struct script *s, struct named *n, enum berth_shut how);
int64_t host_close(struct script *s, struct named *n);
int64_t host_abort(struct script *s, struct named *n);
int64_t host_set(struct script *s, struct named *n, enum berth_option o, int64_t value);
int64_t host_get(struct script *s, struct named *n, enum berth_option o, int64_t *value);
int host_error(struct script *s, struct named *n);
int host_info(struct script *s, struct named *n, struct berth_tcp_info *info);
int host_ready(struct script *s, struct named *n); /* enum berth_event_flag */
uint32_t host_sockets(struct script *s);
uint64_t host_drops(struct script *s, enum berth_drop reason);

/* api.c: the line's words[1..] are a call; false: it is none. */
bool call(struct script *s);

#endif

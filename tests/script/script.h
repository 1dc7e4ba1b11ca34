/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet scripts in virtual time: README.md says what a script may contain. One host with one
 * interface of bare IP is under test; the script is its program and its only peer. Packets are
 * built and taken apart here, without the library's own code for it.
 */
#ifndef BERTH_TESTS_SCRIPT_H
#define BERTH_TESTS_SCRIPT_H

#include <berth/berth.h>

#include <stdio.h>

#define EPOCH	     ((uint64_t)1000000000000) /* the host's clock at a script's 0, ns */
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

/* A packet as a line of a script says it; numbers relative to the initial ones. */
struct desc {
	unsigned proto; /* 6, 17, 1 (ICMP and ICMPv6) */
	unsigned flow;
	unsigned flags, has;
	uint32_t seq, ack, len, win, urg;
	uint32_t mss, wscale, ts_val, ts_ecr;
	unsigned n_sack;
	uint32_t sack[4][2];
	uint32_t type, code, mtu, quoted_seq; /* ICMP */
	uint32_t tos, ttl;
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
	struct berth *b;
	int host, i;
	uint64_t now_ns;
	struct flow flows[8];
	unsigned n_flows;
	struct berth_addr host_addr, peer_addr;
	struct named {
		char name[16];
		berth_socket s;
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

/* packet.c: words[from..] of the line become a packet, and back. */
void desc_read(struct script *s, unsigned from, struct desc *d);
size_t packet_build(struct script *s, const struct desc *d, uint8_t *packet);
void desc_print(const struct script *s, const struct desc *d, FILE *out);
/* decode.c: what a packet of the host says; fails on wrong lengths, checksums, payload. */
void packet_decode(struct script *s, const uint8_t *packet, size_t len, struct desc *d);
bool desc_matches(const struct desc *expected, const struct desc *came);
uint16_t checksum(const struct script *s, bool from_host, unsigned proto, const uint8_t *data,
		  size_t len);

/* api.c: the line's words[1..] are a call; false: it is none. */
bool call(struct script *s);

#endif

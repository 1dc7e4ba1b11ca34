/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP (RFC 9293) for all hosts of an engine. It knows neither IP's headers nor interfaces: segments
 * come in by bt_tcp_input, go out when asked by bt_tcp_output, and where a destination lies is said
 * by a struct bt_path. A connection is a slot of the port space (lib/port), which decides about
 * ports and finds connections; the connection's own state (struct bt_conn, tcb.h) lies at the same
 * index. The end of TIME_WAIT is TCP's too: it asks bt_port_expired and frees those slots, by a
 * timer of its own. A slot whose socket the program has closed is freed by TCP (bt_port_free) in
 * whatever call ends the connection.
 */
#ifndef BERTH_LIB_TCP_TCP_H
#define BERTH_LIB_TCP_TCP_H

#include "../base/chunk.h"
#include "../base/wheel.h"
#include "../ip/packet.h"
#include "../port/port.h"

struct bt_tcp;

/* What TCP needs of the layers below; the one indirect call of the engine's inner working. */
struct bt_tcp_below {
	void *arg;
	/* Finds (again) the way from src to dst: 0 or a berth_error. */
	int (*path)(void *arg, uint16_t host, const struct bt_addr *src, const struct bt_addr *dst,
		    struct bt_path *path);
	uint32_t (*generation)(
		void *arg); /* of the ways: a path of an earlier one is found again */
	void (*drop)(void *arg, uint16_t host, enum berth_drop reason); /* counts */
};

/* ports, wheel, chunks belong to the engine. max_slots as the port space's. NULL: out of memory. */
struct bt_tcp *bt_tcp_new(const uint8_t key[16], struct bt_port_net *ports, struct bt_wheel *wheel,
			  struct bt_chunks *chunks, const struct bt_tcp_below *below);
void bt_tcp_free(struct bt_tcp *t);

/* Segments in: all checks of RFC 9293 3.10.7, 5961, 7323. */
void bt_tcp_input(struct bt_tcp *t, const struct bt_rx *rx, uint64_t now_ns);
/* All are looked at before an answer goes, so that one ACK serves several (RFC 9293 MUST-58,
 * MUST-59). */
void bt_tcp_input_batch(struct bt_tcp *t, const struct bt_rx *rx, size_t n, uint64_t now_ns);
/* The same for a segment whose checksum is vouched for, with the header alone in rx and the
 * payload, `len` bytes, in parts. False: nothing has happened, as it is not the next data that an
 * established connection waits for. Frees and changes nothing that waits to be sent or
 * acknowledged. */
bool bt_tcp_input_parts(struct bt_tcp *t, const struct bt_rx *rx, const struct iovec *parts,
			uint32_t len, uint64_t now_ns);
/* An ICMP error about a segment that we sent: quoted is its TCP header's first len (>= 8) bytes,
 * error a berth_error (hard or soft by RFC 1122 4.2.3.9), mtu that of "too big", else 0. True: it
 * is a segment of ours that is in flight, so the MTU may be believed (RFC 5927 4.1). */
bool bt_tcp_icmp(struct bt_tcp *t, uint16_t host, const struct bt_addr *src,
		 const struct bt_addr *dst, const uint8_t *quoted, size_t len, int error,
		 uint32_t mtu, uint64_t now_ns);
/* The next segment that may be sent now, in tx (whose `out` the caller has set). False: none. */
bool bt_tcp_output(struct bt_tcp *t, struct bt_tx *tx, uint64_t now_ns);
/* One more full segment like the one that bt_tcp_output has just given, in *out, which has the same
 * headers but for the sequence number and the checksum: `last` is complete and will leave by the
 * same path, the time is the same. False: ask bt_tcp_output. */
bool bt_tcp_output_more(struct bt_tcp *t, const struct berth_output *last,
			struct berth_output *out);
/* True: the listener's last handshakes may be known by a cookie alone. */
bool bt_tcp_gives_cookies(const struct bt_tcp *t, uint32_t listener);
/* A timer of TCP has expired: the caller knows it by its place (bt_tcp_owns). */
bool bt_tcp_owns(const struct bt_tcp *t, const struct bt_timer *timer);
void bt_tcp_expired(struct bt_tcp *t, struct bt_timer *timer, uint64_t now_ns);
/* The ways have changed in a manner that connections must hear of (an address is gone). */
void bt_tcp_addr_gone(struct bt_tcp *t, uint16_t host, const struct bt_addr *addr, uint64_t now_ns);

/* Sockets: slot of the port space, whose socket the caller has made with bt_port_new and bound. As
 * berth.h says of the functions of the same name; path is the way that the caller has found. */
int bt_tcp_open(struct bt_tcp *t, uint32_t slot); /* makes its state */
/* bt_port_connect has taken over a connection in TIME_WAIT: its slot is free, forget its state. */
void bt_tcp_taken(struct bt_tcp *t, uint32_t slot);
int bt_tcp_listen(struct bt_tcp *t, uint32_t slot, uint32_t backlog, uint64_t now_ns);
int bt_tcp_connect(struct bt_tcp *t, uint32_t slot, const struct bt_path *path, uint64_t now_ns);
int bt_tcp_accept(struct bt_tcp *t, uint32_t listener, uint32_t *slot, uint64_t now_ns);
/* The slot that bt_tcp_accept gives next, or BT_NO_SLOT. */
uint32_t bt_tcp_accept_next(const struct bt_tcp *t, uint32_t listener);
/* connect(2) with AF_UNSPEC: a connection is reset, a listener listens no more; the socket is
 * closed, without error, and may be used again. */
void bt_tcp_disconnect(struct bt_tcp *t, uint32_t slot, uint64_t now_ns);
int64_t bt_tcp_send(struct bt_tcp *t, uint32_t slot, const void *data, size_t len, unsigned flags,
		    uint64_t now_ns);
int bt_tcp_send_room(struct bt_tcp *t, uint32_t slot, struct iovec *parts, unsigned *n_parts,
		     size_t len);
int bt_tcp_send_filled(struct bt_tcp *t, uint32_t slot, size_t len, uint64_t now_ns);
int64_t bt_tcp_recv(struct bt_tcp *t, uint32_t slot, void *data, size_t len, unsigned flags,
		    uint64_t now_ns);
int bt_tcp_recv_data(struct bt_tcp *t, uint32_t slot, struct iovec *parts, unsigned *n_parts);
int bt_tcp_recv_done(struct bt_tcp *t, uint32_t slot, size_t len, uint64_t now_ns);
int bt_tcp_shutdown(struct bt_tcp *t, uint32_t slot, enum berth_shut how, uint64_t now_ns);
/* The program has let go; TCP frees the slot (bt_port_free) when the connection is over. */
void bt_tcp_close(struct bt_tcp *t, uint32_t slot, uint64_t now_ns);
void bt_tcp_abort(struct bt_tcp *t, uint32_t slot, uint64_t now_ns);
int bt_tcp_set(struct bt_tcp *t, uint32_t slot, enum berth_option option, int64_t value,
	       uint64_t now_ns);
int bt_tcp_get(const struct bt_tcp *t, uint32_t slot, enum berth_option option, int64_t *value);
void bt_tcp_info(const struct bt_tcp *t, uint32_t slot, struct berth_tcp_info *info);
int bt_tcp_error_take(struct bt_tcp *t, uint32_t slot);
int bt_tcp_ready(const struct bt_tcp *t, uint32_t slot); /* enum berth_event_flag bits */
/* The next slot with news, each once: flags are enum berth_event_flag. False: none. */
bool bt_tcp_event(struct bt_tcp *t, uint32_t *slot, uint32_t *flags);
size_t bt_tcp_bytes(const struct bt_tcp *t); /* of memory, without the queues' chunks */

#endif

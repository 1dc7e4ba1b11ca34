/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control: how much may be in flight, and how fast it may leave. TCP finds losses,
 * counts what is in flight and measures; it tells what has happened by the functions below, and a
 * module answers with three numbers: cwnd, ssthresh, pacing_rate. TCP sends while
 * in_flight + length <= cwnd, in recovery too: there the module has set cwnd by PRR (RFC 9937).
 *
 * The order, for one ACK: bt_cc_spurious or bt_cc_loss_found or bt_cc_recovered where it has been
 * found so, then bt_cc_acked.
 *
 * Units: bytes, nanoseconds, bytes a second. "In flight" is RFC 6675's pipe; "outstanding" is
 * SND.NXT - SND.UNA. Integer arithmetic only; nothing is allocated.
 *
 * Modules: CUBIC (RFC 9438, with HyStart++, RFC 9406), NewReno (RFC 5681, 6582, 3465), BBR (version
 * 1, draft-cardwell-iccrg-bbr-congestion-control-00).
 */
#ifndef BERTH_LIB_TCP_CC_H
#define BERTH_LIB_TCP_CC_H

#include "../../include/berth/berth.h" /* enum berth_congestion */

#include "prr.h"

/* What one ACK tells (or several taken together). bt_rate_* (rate.h) fills in delivered .. rate. */
struct bt_cc_sample {
	uint64_t now_ns;
	uint64_t rtt_ns;    /* of a segment that this ACK covers and that was sent once; 0: none */
	uint64_t rate;	    /* delivery rate; 0: no sample */
	uint32_t acked;	    /* how far SND.UNA has moved */
	uint32_t delivered; /* acked or SACKed for the first time (RFC 9937's DeliveredData) */
	uint32_t lost;	    /* marked lost with this ACK */
	uint32_t in_flight_before; /* before this ACK */
	uint32_t in_flight;	   /* now */
	bool ecn_echoed;	   /* RFC 3168 6.1.2: such an ACK makes no window larger */
	bool rate_app_limited;	   /* the rate was the program's, not the path's */
	bool round_ended;	   /* a byte sent after the last round's end has been delivered */
};

enum bt_cc_phase { /* TCP's; its numbers are not Linux's */
		   BT_CC_OPEN,
		   BT_CC_RECOVERY, /* fast recovery: loss_found .. recovered */
		   BT_CC_LOST,	   /* timed_out .. recovered */
};

struct bt_cc_reno {
	struct bt_prr prr;
	uint32_t bytes; /* acked and not yet turned into cwnd (RFC 3465) */
};

struct bt_cc_hystart { /* times in microseconds, saturated */
	uint32_t last_rtt, rtt, css_rtt;
	uint8_t samples; /* of this round */
	uint8_t phase;	 /* enum, cc_hystart.c */
	uint8_t css_rounds;
};

struct bt_cc_cubic {
	struct bt_prr prr;
	uint32_t w_max;	      /* 0: none since the start or a time-out */
	uint32_t prior_w_max; /* before the last reduction */
	uint32_t w_est;	      /* what Reno would have */
	uint32_t w_prior;     /* cwnd before the last reduction: from there w_est grows as Reno's */
	uint32_t rest, est_rest; /* fractions of a byte, in 1/cwnd, of cwnd and w_est */
	uint32_t k_ms;		 /* from the epoch to the plateau */
	uint64_t epoch_ns;	 /* 0: begins with the next ACK */
	uint32_t rtt_us;	 /* smoothed; 0: none yet */
	struct bt_cc_hystart hystart;
};

struct bt_cc_bbr {
	uint64_t bw[3];	      /* windowed maximum: best, second, third */
	uint16_t bw_round[3]; /* when each was seen */
	uint16_t round;
	uint64_t full_bw;
	uint64_t min_rtt_ns; /* UINT64_MAX: none yet */
	uint64_t min_rtt_at_ns;
	uint64_t phase_at_ns; /* when the gain cycle's phase began; in PROBE_RTT when it ends */
	uint16_t random;
	uint8_t state;	     /* enum bt_bbr_state, cc_modules.h */
	uint8_t cycle;	     /* 0..7 */
	uint8_t full_rounds; /* without growth */
	uint8_t flags;	     /* enum, cc_bbr.c */
	uint8_t conserve;    /* rounds of packet conservation that remain */
	uint8_t low;	     /* rounds whose rates are low for what BBR did itself */
};

/* Part of a connection. TCP reads the first four, the rest is the modules'. */
struct bt_cc {
	uint32_t cwnd;	      /* bytes that may be in flight, at least one mss */
	uint32_t ssthresh;    /* UINT32_MAX at first */
	uint64_t pacing_rate; /* bytes a second; 0: no pacing */
	uint8_t module;	      /* enum berth_congestion */
	uint8_t phase;	      /* enum bt_cc_phase */
	uint16_t undo;	      /* 1: prior_* are of the last reduction, which may be undone */
	uint32_t mss;
	uint32_t prior_cwnd, prior_ssthresh;
	uint32_t flight_max, flight_last; /* most in flight in this round, in the last one */
	union {
		struct bt_cc_reno reno;
		struct bt_cc_cubic cubic;
		struct bt_cc_bbr bbr;
	};
};

/* The connection is established. mss: payload bytes of a full segment, 1..65,535, and so later.
 * syn_lost: the SYN or SYN-ACK was sent again (RFC 6928 2: window of one segment). rtt_ns: of the
 * handshake, 0: not known. random: any number. */
void bt_cc_start(struct bt_cc *c, enum berth_congestion module, uint32_t mss, bool syn_lost,
		 uint64_t rtt_ns, uint32_t random, uint64_t now_ns);
/* Another module from now on; cwnd and ssthresh stay. */
void bt_cc_changed(struct bt_cc *c, enum berth_congestion module, uint64_t now_ns);
void bt_cc_mss_changed(struct bt_cc *c, uint32_t mss);

/* bytes, new or again, have been sent; in_flight counts them. */
void bt_cc_sent(struct bt_cc *c, uint32_t bytes, uint32_t in_flight, uint64_t now_ns);
/* An ACK that has acked or SACKed something, or brought a loss to light. */
void bt_cc_acked(struct bt_cc *c, const struct bt_cc_sample *s);
/* Fast recovery begins. outstanding, in_flight: before what this ACK says is taken off. */
void bt_cc_loss_found(struct bt_cc *c, uint32_t outstanding, uint32_t in_flight, uint64_t now_ns);
/* Recovery, or the loss phase after a time-out, is over: all that was outstanding when it began has
 * been acked. */
void bt_cc_recovered(struct bt_cc *c, uint32_t in_flight, uint64_t now_ns);
/* The retransmission timer has expired. again: not for the first time for this segment (RFC 5681
 * 3.1: ssthresh is held). */
void bt_cc_timed_out(struct bt_cc *c, uint32_t outstanding, bool again, uint64_t now_ns);
/* The last recovery or time-out was for nothing (RFC 3522, 5682, 3708): back to what was before. */
void bt_cc_spurious(struct bt_cc *c, uint64_t now_ns);
/* ECE has come, the first in a window of data (RFC 3168 6.1.2). Nothing in recovery. */
void bt_cc_ecn_echoed(struct bt_cc *c, uint32_t outstanding, uint64_t now_ns);
/* Sending begins again with nothing in flight, idle_ns after the last segment was sent; rto_ns is
 * the retransmission time-out. Decides itself whether that was long (RFC 5681 4.1, RFC 2861). */
void bt_cc_idle_ended(struct bt_cc *c, uint64_t idle_ns, uint64_t rto_ns, uint64_t now_ns);
/* How many bytes one burst (a TSO segment) should have at most; at least one mss. */
uint32_t bt_cc_burst(const struct bt_cc *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* In a file of its own: linux/tcp.h and libuv's netinet/tcp.h define the same names. */
#include "tcp_info.h"

#include <linux/tcp.h>
#include <string.h>

static uint32_t us(uint64_t ns)
{
	return (uint32_t)(ns / 1000 > UINT32_MAX ? UINT32_MAX : ns / 1000);
}

static void counts(const struct berth_tcp_info *i, struct tcp_info *o)
{
	o->tcpi_unacked = i->unacked;
	o->tcpi_sacked = i->sacked;
	o->tcpi_lost = i->lost;
	o->tcpi_retrans = i->retrans;
	o->tcpi_reordering = i->reordering;
	o->tcpi_snd_ssthresh = i->snd_ssthresh;
	o->tcpi_snd_cwnd = i->snd_cwnd;
	o->tcpi_rcv_ssthresh = i->rcv_ssthresh;
	o->tcpi_rcv_space = i->rcv_space;
	o->tcpi_snd_wnd = i->snd_wnd;
	o->tcpi_total_retrans = i->total_retrans;
	o->tcpi_segs_out = i->segs_out;
	o->tcpi_segs_in = i->segs_in;
	o->tcpi_data_segs_out = i->data_segs_out;
	o->tcpi_data_segs_in = i->data_segs_in;
	o->tcpi_delivered = i->delivered;
	o->tcpi_delivered_ce = i->delivered_ce;
	o->tcpi_dsack_dups = i->dsack_dups;
	o->tcpi_reord_seen = i->reord_seen;
	o->tcpi_rcv_ooopack = i->rcv_ooopack;
	o->tcpi_bytes_sent = i->bytes_sent;
	o->tcpi_bytes_acked = i->bytes_acked;
	o->tcpi_bytes_received = i->bytes_received;
	o->tcpi_bytes_retrans = i->bytes_retrans;
	o->tcpi_pacing_rate = i->pacing_rate != 0 ? i->pacing_rate : UINT64_MAX;
	o->tcpi_max_pacing_rate = UINT64_MAX;
	o->tcpi_delivery_rate = i->delivery_rate;
	o->tcpi_notsent_bytes = i->notsent_bytes;
}

size_t d_tcp_info(const struct berth_tcp_info *i, void *out, size_t room)
{
	struct tcp_info o = {
		.tcpi_state = i->state,
		.tcpi_ca_state = i->ca_state,
		.tcpi_retransmits = i->retransmits,
		.tcpi_probes = i->probes,
		.tcpi_backoff = i->backoff,
		.tcpi_snd_wscale = i->snd_wscale & 15u,
		.tcpi_rcv_wscale = i->rcv_wscale & 15u,
		.tcpi_rto = us(i->rto_ns),
		.tcpi_ato = us(i->ato_ns),
		.tcpi_rtt = us(i->srtt_ns),
		.tcpi_rttvar = us(i->rttvar_ns),
		.tcpi_min_rtt = us(i->min_rtt_ns),
		.tcpi_rcv_rtt = us(i->rcv_rtt_ns),
		.tcpi_snd_mss = i->snd_mss,
		.tcpi_rcv_mss = i->rcv_mss,
		.tcpi_advmss = i->advmss,
		.tcpi_pmtu = i->pmtu,
	};
	o.tcpi_options =
		(uint8_t)((i->timestamps ? TCPI_OPT_TIMESTAMPS : 0) |
			  (i->sack ? TCPI_OPT_SACK : 0) | (i->wscale ? TCPI_OPT_WSCALE : 0) |
			  (i->ecn ? TCPI_OPT_ECN : 0) | (i->ecn_seen ? TCPI_OPT_ECN_SEEN : 0) |
			  (i->fastopen_data ? TCPI_OPT_SYN_DATA : 0));
	counts(i, &o);
	if (room < sizeof(o))
		return 0;
	memcpy(out, &o, sizeof(o));
	return sizeof(o);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* TCP_INFO: from what a connection is and what it counts. */
#include "tcb.h"

enum { CA_OPEN, CA_DISORDER, CA_CWR, CA_RECOVERY, CA_LOSS }; /* Linux's tcp_ca_state */

static uint32_t segments(const struct bt_conn *c, uint32_t bytes)
{
	return c->mss == 0 ? 0 : (bytes + c->mss - 1) / c->mss;
}

static void of_flight(const struct bt_conn *c, struct berth_tcp_info *i)
{
	const struct bt_flight *f = c->flight;
	uint32_t again = 0;

	for (uint32_t k = 0; k < f->n; k++) {
		const struct bt_seg *g = bt_seg_at(f, k);

		if (g->flags & SEG_AGAIN && g->flags & SEG_PIPE)
			again += g->len;
	}
	i->delivery_rate = f->delivery_rate;
	i->sacked = segments(c, f->sacked);
	i->lost = segments(c, f->lost);
	i->retrans = segments(c, again);
	if (f->recovery == REC_LOSS)
		i->ca_state = CA_LOSS;
	else if (f->recovery == REC_RECOVERY)
		i->ca_state = CA_RECOVERY;
	else if (f->cwr && bt_seq_lt(c->snd_una, f->cwr_end))
		i->ca_state = CA_CWR;
	else if (f->sacked > 0 || f->dup_acks > 0)
		i->ca_state = CA_DISORDER;
}

void bt_tcp_info(const struct bt_tcp *t, uint32_t slot, struct berth_tcp_info *info)
{
	const struct bt_conn *c = bt_tcp_conn(t, slot);
	struct berth_tcp_info i = {.state = c->state,
				   .retransmits = c->retransmits,
				   .probes = c->probes,
				   .backoff = c->backoff,
				   .snd_wscale = c->snd_scale,
				   .rcv_wscale = c->rcv_scale,
				   .timestamps = (c->flags & CF_TS) != 0,
				   .sack = (c->flags & CF_SACK) != 0,
				   .wscale = (c->flags & CF_SCALE) != 0,
				   .ecn = (c->flags & CF_ECN) != 0,
				   .ecn_seen = (c->flags & CF_ECN_SEEN) != 0,
				   .fastopen_data = (c->flags & CF_SYN_DATA) != 0};

	if (c->state == BT_LISTEN) {
		i.unacked = c->listener->n_queue; /* as Linux: the accept queue and its limit */
		i.sacked = c->listener->backlog;
		*info = i;
		return;
	}
	i.rto_ns = (uint64_t)bt_timers_rto(c) * 1000;
	i.ato_ns = (uint64_t)BT_ACK_MIN * 1000;
	i.srtt_ns = (uint64_t)(c->srtt8 >> 3) * 1000;
	i.rttvar_ns = (uint64_t)(c->rttvar4 >> 2) * 1000;
	i.min_rtt_ns = c->min_rtt == UINT32_MAX ? 0 : (uint64_t)c->min_rtt * 1000;
	i.rcv_rtt_ns = c->rxq == NULL ? 0 : (uint64_t)c->rxq->rtt * 1000;
	i.snd_mss = c->mss;
	i.rcv_mss = c->rcv_mss;
	i.advmss = c->adv_mss - (c->flags & CF_TS ? 12u : 0u); /* as Linux says it */
	i.pmtu = c->path.mtu;
	i.unacked = segments(c, bt_conn_outstanding(c));
	i.reordering = 3u * c->reo_mult;
	i.snd_ssthresh = c->cc.ssthresh == UINT32_MAX ? INT32_MAX : segments(c, c->cc.ssthresh);
	i.snd_cwnd = segments(c, c->cc.cwnd);
	i.rcv_ssthresh = c->rcvbuf;
	i.rcv_space = c->rxq == NULL ? c->rcvbuf / 2 : c->rxq->space;
	i.snd_wnd = c->snd_wnd;
	i.rcv_wnd = bt_seq_lt(c->rcv_nxt, c->rcv_edge) ? c->rcv_edge.n - c->rcv_nxt.n : 0;
	i.total_retrans = c->again;
	i.segs_out = c->segs_out;
	i.segs_in = c->segs_in;
	i.data_segs_out = c->data_out;
	i.data_segs_in = c->data_in;
	i.delivered = c->delivered;
	i.delivered_ce = c->delivered_ce;
	i.dsack_dups = c->dsack_dups;
	i.reord_seen = c->reord_seen;
	i.rcv_ooopack = c->ooopack;
	/* Linux counts the client's SYN. */
	i.bytes_acked = c->bytes_acked + (!c->passive && c->state != BT_SYN_SENT);
	i.bytes_received = c->bytes_in;
	i.bytes_retrans = c->bytes_again;
	i.bytes_sent = c->bytes_acked + c->queued - bt_conn_unsent(c) + c->bytes_again;
	i.pacing_rate = c->cc.pacing_rate;
	i.notsent_bytes = bt_conn_unsent(c);
	i.send_queue_bytes = c->queued;
	i.recv_queue_bytes = c->unread;
	if (c->flight != NULL)
		of_flight(c, &i);
	*info = i;
}

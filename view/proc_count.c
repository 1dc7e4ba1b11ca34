/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters. The kernel's moves no segments and berthd counts for the network, not for a host: but
 * for what the table tells, they are 0.
 */
#include "proc.h"

struct group {
	const char *name, *fields, *first; /* first: the values before the zeros */
};

static const struct group snmp[] = {
	{"Ip",
	 "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams "
	 "InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes "
	 "ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates "
	 "OutTransmits",
	 "2 64"},
	{"Icmp",
	 "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs "
	 "InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks "
	 "InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost "
	 "OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos "
	 "OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps",
	 ""},
	{"Tcp",
	 "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails "
	 "EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors",
	 "1 200 120000 -1 0 0 0 0"},
	{"Udp",
	 "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
	 "IgnoredMulti MemErrors",
	 ""},
	{"UdpLite",
	 "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
	 "IgnoredMulti MemErrors",
	 ""},
};

static const struct group netstat[] = {
	{"TcpExt",
	 "SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled "
	 "RcvPruned OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled "
	 "TWKilled PAWSActive PAWSEstab BeyondWindow TSEcrRejected PAWSOldAck PAWSTimewait "
	 "DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows ListenDrops "
	 "TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery TCPSACKReneging "
	 "TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo TCPPartialUndo "
	 "TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPRenoFailures TCPSackFailures "
	 "TCPLossFailures TCPFastRetrans TCPSlowStartRetrans TCPTimeouts TCPLossProbes "
	 "TCPLossProbeRecovery TCPRenoRecoveryFail TCPSackRecoveryFail TCPRcvCollapsed "
	 "TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv "
	 "TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout "
	 "TCPAbortOnLinger TCPAbortFailed TCPMemoryPressures TCPMemoryPressuresChrono "
	 "TCPSACKDiscard TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo TCPSpuriousRTOs "
	 "TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPSackShifted TCPSackMerged "
	 "TCPSackShiftFallback TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop "
	 "TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow TCPReqQFullDoCookies "
	 "TCPReqQFullDrop TCPRetransFail TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge "
	 "TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail "
	 "TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow "
	 "TCPFastOpenCookieReqd TCPFastOpenBlackhole TCPSpuriousRtxHostQueues "
	 "BusyPollRxPackets TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv "
	 "TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent TCPHystartTrainDetect "
	 "TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd "
	 "TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2 "
	 "TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive "
	 "TCPMTUPFail TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed "
	 "TCPZeroWindowDrop TCPRcvQDrop TCPWqueueTooBig TCPFastOpenPassiveAltKey "
	 "TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs TCPDSACKIgnoredDubious "
	 "TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash TCPAORequired TCPAOBad "
	 "TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps",
	 ""},
	{"IpExt",
	 "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts "
	 "InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets "
	 "InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps",
	 ""},
};

static const char snmp6[] =
	"Ip6InReceives Ip6InHdrErrors Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors "
	"Ip6InUnknownProtos Ip6InTruncatedPkts Ip6InDiscards Ip6InDelivers "
	"Ip6OutForwDatagrams Ip6OutRequests Ip6OutDiscards Ip6OutNoRoutes Ip6ReasmTimeout "
	"Ip6ReasmReqds Ip6ReasmOKs Ip6ReasmFails Ip6FragOKs Ip6FragFails Ip6FragCreates "
	"Ip6InMcastPkts Ip6OutMcastPkts Ip6InOctets Ip6OutOctets Ip6InMcastOctets "
	"Ip6OutMcastOctets Ip6InBcastOctets Ip6OutBcastOctets Ip6InNoECTPkts "
	"Ip6InECT1Pkts Ip6InECT0Pkts Ip6InCEPkts Ip6OutTransmits Icmp6InMsgs "
	"Icmp6InErrors Icmp6OutMsgs Icmp6OutErrors Icmp6InCsumErrors "
	"Icmp6OutRateLimitHost Icmp6InDestUnreachs Icmp6InPktTooBigs Icmp6InTimeExcds "
	"Icmp6InParmProblems Icmp6InEchos Icmp6InEchoReplies Icmp6InGroupMembQueries "
	"Icmp6InGroupMembResponses Icmp6InGroupMembReductions Icmp6InRouterSolicits "
	"Icmp6InRouterAdvertisements Icmp6InNeighborSolicits "
	"Icmp6InNeighborAdvertisements Icmp6InRedirects Icmp6InMLDv2Reports "
	"Icmp6OutDestUnreachs Icmp6OutPktTooBigs Icmp6OutTimeExcds Icmp6OutParmProblems "
	"Icmp6OutEchos Icmp6OutEchoReplies Icmp6OutGroupMembQueries "
	"Icmp6OutGroupMembResponses Icmp6OutGroupMembReductions Icmp6OutRouterSolicits "
	"Icmp6OutRouterAdvertisements Icmp6OutNeighborSolicits "
	"Icmp6OutNeighborAdvertisements Icmp6OutRedirects Icmp6OutMLDv2Reports "
	"Udp6InDatagrams Udp6NoPorts Udp6InErrors Udp6OutDatagrams Udp6RcvbufErrors "
	"Udp6SndbufErrors Udp6InCsumErrors Udp6IgnoredMulti Udp6MemErrors "
	"UdpLite6InDatagrams UdpLite6NoPorts UdpLite6InErrors UdpLite6OutDatagrams "
	"UdpLite6RcvbufErrors UdpLite6SndbufErrors UdpLite6InCsumErrors UdpLite6MemErrors";

static unsigned words(const char *s)
{
	unsigned n = 0;
	for (bool in = false; *s; s++) {
		n += *s != ' ' && !in;
		in = *s != ' ';
	}
	return n;
}

/* established: the one value that is counted, Tcp's CurrEstab. */
static void put_groups(const struct group *g, size_t n, unsigned established, struct bt_buf *b)
{
	for (size_t i = 0; i < n; i++) {
		unsigned left = words(g[i].fields) - words(g[i].first);
		bt_buf_fmt(b, "%s: ", g[i].name);
		bt_buf_str(b, g[i].fields);
		bt_buf_fmt(b, "\n%s:%s%s", g[i].name, *g[i].first ? " " : "", g[i].first);
		if (strcmp(g[i].name, "Tcp") == 0) {
			bt_buf_fmt(b, " %u", established);
			left--;
		}
		while (left-- > 0)
			bt_buf_str(b, " 0");
		bt_buf_str(b, "\n");
	}
}

static unsigned count_established(const struct bt_view *v)
{
	struct bt_row r;
	unsigned n = 0;
	uint32_t end = v->known ? bt_rows_end(v->table) : 0;
	for (uint32_t slot = 0; slot < end; slot++)
		n += bt_row_read(v->table, slot, &r) && r.host == v->host &&
		     r.proto == BT_PROTO_TCP &&
		     (r.state == BT_ROW_ESTABLISHED || r.state == BT_ROW_CLOSE_WAIT);
	return n;
}

void bt_proc_snmp(const struct bt_view *v, struct bt_buf *b)
{
	put_groups(snmp, sizeof(snmp) / sizeof(snmp[0]), count_established(v), b);
}

void bt_proc_netstat(const struct bt_view *v, struct bt_buf *b)
{
	(void)v;
	put_groups(netstat, sizeof(netstat) / sizeof(netstat[0]), 0, b);
}

void bt_proc_snmp6(const struct bt_view *v, struct bt_buf *b)
{
	(void)v;
	for (const char *p = snmp6; *p;) {
		size_t n = strcspn(p, " ");
		bt_buf_fmt(b, "%-32.*s\t0\n", (int)n, p);
		p += n + (p[n] == ' ');
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The reasons for which a packet is dropped: BERTH_DROP(name, sentence), behind the clause that
 * asks for it, if one does. Included by berth.h. */
/* RFC 894 */
BERTH_DROP(LINK_SHORT, "shorter than its link header")
/* RFC 894 */
BERTH_DROP(LINK_NOT_FOR_US, "frame for another station")
/* RFC 894 */
BERTH_DROP(LINK_PROTOCOL, "frame of a protocol that is not served")
BERTH_DROP(IF_DOWN, "the interface is down")
/* RFC 826, RFC 5227 2.4 */
BERTH_DROP(ARP_MALFORMED, "malformed ARP packet")
/* RFC 4861 6.1, 7.1, 8.1 */
BERTH_DROP(ND_MALFORMED, "malformed neighbour discovery message")
/* RFC 4861 7.2.2, RFC 1122 2.3.2.2 */
BERTH_DROP(NEIGHBOUR_FULL, "waiting queue of an unresolved neighbour is full")
/* RFC 4861 7.2.2, RFC 1122 2.3.2.1 */
BERTH_DROP(NEIGHBOUR_FAILED, "neighbour did not answer")
/* RFC 791 3.1, RFC 8200 3 */
BERTH_DROP(IP_SHORT, "shorter than its IP header")
/* RFC 1122 3.2.1.1 */
BERTH_DROP(IP_VERSION, "not the IP version of its frame")
/* RFC 791 3.1, RFC 8200 3 */
BERTH_DROP(IP_HEADER, "IP header length or total length is wrong")
/* RFC 1122 3.2.1.2 */
BERTH_DROP(IP_CHECKSUM, "IPv4 header checksum is wrong")
/* RFC 1122 3.2.1.3, RFC 4291 2.5 */
BERTH_DROP(IP_SOURCE, "source address cannot be one")
/* RFC 1122 3.2.1.8, RFC 7126 4.3, 4.4, RFC 8200 4.2, RFC 5095 */
BERTH_DROP(IP_OPTIONS, "malformed or forbidden IP option or extension header")
/* RFC 1122 3.3.4.2 */
BERTH_DROP(IP_NOT_FOR_US, "destination is not an address of the host, which does not forward")
/* RFC 1812 4.3.3.1, RFC 4443 3.1 */
BERTH_DROP(IP_NO_ROUTE, "no route to the destination")
/* RFC 1812 5.3.1, RFC 4443 3.3 */
BERTH_DROP(IP_TTL, "time to live or hop limit used up")
/* RFC 1191 4, RFC 4443 3.2 */
BERTH_DROP(IP_TOO_BIG, "larger than the next link and must not be fragmented")
/* RFC 1112 7.2, RFC 3810 */
BERTH_DROP(IP_GROUP, "multicast group that the host has not joined on the interface")
BERTH_DROP(FILTERED_IN, "a rule of the host's filter does not let it in")
BERTH_DROP(FILTERED_OUT, "a rule of the host's filter does not let it out")
BERTH_DROP(IP_QUEUE, "the host's packets that wait to be carried or taken in are at their limit")
/* RFC 1122 3.2.2.1, RFC 8200 4 */
BERTH_DROP(IP_PROTOCOL, "transport protocol that is not served")
/* RFC 791 3.2, RFC 8200 4.5, RFC 3168 5.3 */
BERTH_DROP(FRAGMENT_MALFORMED, "fragment with an impossible offset or length")
/* RFC 5722 4 */
BERTH_DROP(FRAGMENT_OVERLAP, "fragments overlap")
/* RFC 8200 4.5 */
BERTH_DROP(FRAGMENT_DUPLICATE, "fragment that has come already")
BERTH_DROP(FRAGMENT_BUDGET, "too many fragments or bytes wait for reassembly")
/* RFC 1122 3.3.2, RFC 8200 4.5 */
BERTH_DROP(FRAGMENT_TIMEOUT, "reassembly took too long")
/* RFC 792, RFC 4443 2.1 */
BERTH_DROP(ICMP_MALFORMED, "malformed ICMP message")
/* RFC 792, RFC 4443 2.3 */
BERTH_DROP(ICMP_CHECKSUM, "ICMP checksum is wrong")
/* RFC 1122 3.2.2, RFC 4443 2.4 */
BERTH_DROP(ICMP_UNKNOWN, "ICMP message that nobody waits for")
/* RFC 1812 4.3.2.8, RFC 4443 2.4 */
BERTH_DROP(ICMP_RATE, "ICMP answer not sent: more than the rate allows")
/* RFC 3376 4, RFC 3810 5 */
BERTH_DROP(GROUP_MALFORMED, "malformed IGMP or MLD message")
/* RFC 768 */
BERTH_DROP(UDP_MALFORMED, "UDP length is wrong")
/* RFC 1122 4.1.3.4, RFC 8200 8.1 */
BERTH_DROP(UDP_CHECKSUM, "UDP checksum is wrong")
/* RFC 1122 4.1.3.1 */
BERTH_DROP(UDP_NO_PORT, "no UDP socket has the port")
BERTH_DROP(UDP_FULL, "receive buffer of the UDP socket is full")
/* RFC 9293 MUST-7 */
BERTH_DROP(TCP_MALFORMED, "TCP header or option length is wrong")
/* RFC 9293 MUST-3 */
BERTH_DROP(TCP_CHECKSUM, "TCP checksum is wrong")
/* RFC 9293 3.10.7.1 */
BERTH_DROP(TCP_NO_SOCKET, "no connection or listener")
/* RFC 9293 3.10.7.2, 3.10.7.3, 3.10.7.4 */
BERTH_DROP(TCP_FLAGS, "impossible combination of TCP flags")
/* RFC 7323 5.3 */
BERTH_DROP(TCP_PAWS, "timestamp older than one already seen")
/* RFC 7323 3.2 */
BERTH_DROP(TCP_NO_TIMESTAMP, "lacks the timestamp that both ends agreed on")
/* RFC 9293 3.10.7.4 */
BERTH_DROP(TCP_WINDOW, "outside the receive window")
/* RFC 5961 5.2, RFC 9293 3.10.7.3 */
BERTH_DROP(TCP_ACK, "acknowledges what was never sent, or too old")
/* RFC 5961 3.2 */
BERTH_DROP(TCP_RST_BLIND, "reset whose sequence number is not the next one")
/* RFC 5961 4.2 */
BERTH_DROP(TCP_SYN_BLIND, "SYN on a synchronized connection")
/* RFC 5961 7 */
BERTH_DROP(TCP_CHALLENGE_RATE, "challenge ACK not sent: more than the rate allows")
BERTH_DROP(TCP_BACKLOG, "accept queue of the listener is full")
/* RFC 4987 3.1 */
BERTH_DROP(TCP_SYN_QUEUE, "SYN queue of the listener is full")
/* RFC 4987 3.6 */
BERTH_DROP(TCP_COOKIE, "SYN cookie is wrong or too old")
BERTH_DROP(TCP_OUT_OF_ORDER_BUDGET, "too many pieces out of order")
/* RFC 9293 3.6.1, RFC 2525 2.17 */
BERTH_DROP(TCP_AFTER_CLOSE, "data after the program closed its socket")
/* RFC 9293 3.10.7.4 */
BERTH_DROP(TCP_DUPLICATE, "nothing in it is new")
BERTH_DROP(NO_MEMORY, "buffers are at their limit")

/* SPDX-License-Identifier: Apache-2.0 */
/* Why an IP header is refused; which of them it is decides about the drop's reason. */
#ifndef BERTH_LIB_WIRE_IP_H
#define BERTH_LIB_WIRE_IP_H

enum bt_ip_bad {
	BT_IP_OK,
	BT_IP_SHORT,	/* shorter than the header */
	BT_IP_VERSION,	/* another version */
	BT_IP_HEADER,	/* header length or total length is wrong */
	BT_IP_CHECKSUM, /* IPv4 */
	BT_IP_SOURCE,	/* the source cannot be one: multicast, broadcast, IPv4-mapped in IPv6 */
	BT_IP_DEST,	/* the destination cannot be one: IPv4-mapped in IPv6, scope 0 */
	BT_IP_OPTIONS,	/* malformed or forbidden option or extension header */
	BT_IP_FRAGMENT, /* impossible offset or length of a fragment */
};

enum { /* protocol and next-header numbers (IANA) */
       BT_IPPROTO_HOPOPTS = 0,
       BT_IPPROTO_ICMP = 1,
       BT_IPPROTO_IGMP = 2,
       BT_IPPROTO_TCP = 6,
       BT_IPPROTO_UDP = 17,
       BT_IPPROTO_ROUTING = 43,
       BT_IPPROTO_FRAGMENT = 44,
       BT_IPPROTO_ICMPV6 = 58,
       BT_IPPROTO_NONE = 59,
       BT_IPPROTO_DSTOPTS = 60,
};

#endif

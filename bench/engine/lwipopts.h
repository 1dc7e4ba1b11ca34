/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP as fast as its options make it for this: raw interface, no threads, pools of their own,
 * libc's malloc for the rest, no assertions, no statistics. */
#ifndef BERTH_BENCH_ENGINE_LWIPOPTS_H
#define BERTH_BENCH_ENGINE_LWIPOPTS_H

#define NO_SYS			     1
#define SYS_LIGHTWEIGHT_PROT	     0
#define LWIP_NETCONN		     0
#define LWIP_SOCKET		     0
#define LWIP_ARP		     0
#define LWIP_UDP		     0
#define LWIP_DHCP		     0
#define LWIP_DNS		     0
#define LWIP_STATS		     0
#define LWIP_NOASSERT		     1
#define LWIP_NETIF_LOOPBACK	     0
#define LWIP_HAVE_LOOPIF	     0
#define IP_REASSEMBLY		     0
#define IP_FRAG			     0
#define MEM_LIBC_MALLOC		     1
#define MEM_ALIGNMENT		     8
#define MEMP_NUM_TCP_PCB	     64
#define MEMP_NUM_TCP_SEG	     8192
#define MEMP_NUM_PBUF		     8192
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM_ALGORITHM	     3
#ifndef TCP_MSS
#define TCP_MSS 1460
#endif
#define LWIP_WND_SCALE		       1
#define TCP_RCV_SCALE		       3
#define TCP_WND			       262144
#define TCP_SND_BUF		       262144
#define TCP_SND_QUEUELEN	       2048
#define TCP_MSL			       1
#define TCP_SNDLOWAT		       32768
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they are about PBUF_POOL, unused */
#define TCP_QUEUE_OOSEQ		       1
#define LWIP_TCP_SACK_OUT	       0

#endif

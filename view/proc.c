/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include <errno.h>

struct file {
	const char *name;
	bt_proc_fn *make; /* NULL: the text */
	const char *text;
};

#define RAW_HEAD                                                                                   \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "      \
	"timeout inode ref pointer drops"
#define RAW6_HEAD                                                                                  \
	"  sl  local_address                         remote_address                        st "    \
	"tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
#define PAD13 "             "
#define PAD12 "            "

/* Of what a host does not have the kernel's files have only their heads. What is not here, a host
 * does not have, and the machine's is not shown. */
static const struct file files[] = {
	{"tcp", bt_proc_tcp, NULL},
	{"tcp6", bt_proc_tcp6, NULL},
	{"udp", bt_proc_udp, NULL},
	{"udp6", bt_proc_udp6, NULL},
	{"sockstat", bt_proc_sockstat, NULL},
	{"sockstat6", bt_proc_sockstat6, NULL},
	{"snmp", bt_proc_snmp, NULL},
	{"snmp6", bt_proc_snmp6, NULL},
	{"netstat", bt_proc_netstat, NULL},
	{"dev", bt_proc_dev, NULL},
	{"if_inet6", bt_proc_if_inet6, NULL},
	{"igmp", bt_proc_igmp, NULL},
	{"igmp6", bt_proc_igmp6, NULL},
	{"route", bt_proc_route, NULL},
	{"ipv6_route", bt_proc_ipv6_route, NULL},
	{"fib_trie", bt_proc_fib_trie, NULL},
	{"udplite", NULL, " " RAW_HEAD PAD12 "\n"},
	{"udplite6", NULL, RAW6_HEAD},
	{"raw", NULL, RAW_HEAD "\n"},
	{"raw6", NULL, RAW6_HEAD},
	{"icmp", NULL, RAW_HEAD PAD13 "\n"},
	{"icmp6", NULL, RAW6_HEAD},
	{"arp", NULL,
	 "IP address       HW type     Flags       HW address            Mask     Device\n"},
	{"unix", NULL, "Num       RefCount Protocol Flags    Type St Inode Path\n"},
	{"packet", NULL, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"},
	{"netlink", NULL,
	 "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    "
	 "Inode\n"},
	{"mcfilter", NULL, "Idx Device        MCA        SRC    INC    EXC\n"},
	{"mcfilter6", NULL,
	 "Idx Device                Multicast Address                   Source Address    INC    "
	 "EXC\n"},
	{"ip6_flowlabel", NULL,
	 "Label S Owner  Users  Linger Expires  Dst                              Opt\n"},
	{"ptype", NULL, "Type Device      Function\n"},
	{"psched", NULL, "000003e8 00000040 000f4240 3b9aca00\n"},
	{"dev_mcast", NULL, ""},
	{"anycast6", NULL, ""},
	{"ip_tables_names", NULL, ""},
	{"ip6_tables_names", NULL, ""},
};

int bt_proc_net(const struct bt_view *v, const char *name, struct bt_buf *out)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].name, name) != 0)
			continue;
		if (files[i].make)
			files[i].make(v, out);
		else
			bt_buf_str(out, files[i].text);
		return out->failed ? ENOMEM : 0;
	}
	return ENOENT;
}

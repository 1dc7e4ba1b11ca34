/* SPDX-License-Identifier: Apache-2.0 */
/* The command tree: what berth can do, said once. */
#include "cli.h"

#define OPT_NETWORK                                                                                \
	{                                                                                          \
		BT_OPT_NETWORK, "network", "NAME",                                                 \
			"the network; default: $BERTH_NETWORK, else \"default\""                   \
	}
#define OPT_JSON                                                                                   \
	{                                                                                          \
		BT_OPT_JSON, "json", NULL, "print JSON"                                            \
	}
#define OPT_HELP                                                                                   \
	{                                                                                          \
		'h', "help", NULL, "print this help"                                               \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct bt_opt run_opts[] = {
	OPT_NETWORK,
	{BT_OPT_HOST, "host", "NAME", "the host to run in; made if it is new; default: a new one"},
	{BT_OPT_IP, "ip", "ADDR[/LEN]",
	 "an address of the host; up to 14 times; LEN is 24 if not given (IPv6: 64)"},
	{BT_OPT_UNPRIVILEGED, "unprivileged", NULL,
	 "as a user of the host who is not its root: ports below 1024 are not for it"},
	{BT_OPT_SYSCTL, "sysctl", "NAME=VALUE",
	 "a setting of the host, as net.ipv4.ip_local_port_range='10000 65535'; repeatable"},
	{BT_OPT_LIKE, "like", "SYSTEM",
	 "the host's ports and TIME_WAIT are those of linux, windows or macos"},
	{BT_OPT_TIME_WAIT, "time-wait", "SECONDS", "how long TIME_WAIT lasts; default: 60"},
	{BT_OPT_LINK, "link", "'[HOST] WORDS...'",
	 "first set a link, as berth link set does; repeatable: --link 'loss 1% delay 20ms'"},
	OPT_HELP,
};

static const struct bt_opt ss_opts[] = {
	{'t', "tcp", NULL, "TCP sockets"},
	{'u', "udp", NULL, "UDP sockets"},
	{'l', "listening", NULL, "only listening sockets (and UDP ones without a peer)"},
	{'a', "all", NULL, "sockets in every state"},
	{'B', "bound-inactive", NULL,
	 "only TCP sockets that are bound and neither listen nor connect"},
	{'n', "numeric", NULL, "port numbers instead of service names"},
	{'p', "processes", NULL, "which programs hold the socket"},
	{'e', "extended", NULL, "also uid, inode, slot and timers"},
	{'o', "options", NULL, "also timers"},
	{'H', "no-header", NULL, "no header line"},
	{'4', "ipv4", NULL, "only IPv4 sockets"},
	{'6', "ipv6", NULL, "only IPv6 sockets"},
	{'s', "summary", NULL, "only numbers of sockets"},
	{BT_OPT_HOST, "host", "NAME", "only the sockets of this host"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt netstat_opts[] = {
	{'a', "all", NULL, "also listening sockets and UDP"},
	{'n', "numeric", NULL, "port numbers instead of service names"},
	{'o', "owner", NULL, "the process id of who has the socket"},
	{'b', "program", NULL, "the program that has the socket, on a line of its own"},
	{'p', "protocol", "PROTO", "only tcp, udp, tcpv6 or udpv6"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt list_opts[] = {
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt why_opts[] = {
	{'n', "last", "N", "so many refusals; default: 10"},
	{BT_OPT_PROGRAM, "program", "NAME|PID", "only what was refused to this program"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt events_opts[] = {
	{BT_OPT_PAST, "past", NULL, "begin with what is still known of the past"},
	{BT_OPT_ONCE, "once", NULL, "only what is still known of the past"},
	OPT_NETWORK,
	{BT_OPT_JSON, "json", NULL, "print JSON, as without it"},
	OPT_HELP,
};

static const struct bt_opt explain_opts[] = {
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt services_opts[] = {
	{BT_OPT_LIST, "list", NULL, "all services"},
	{BT_OPT_RANGE, "range", "RANGE",
	 "with --list: only well-known, registered or dynamic ones"},
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt capture_opts[] = {
	{'w', "write", "FILE", "write pcapng to FILE; - is the standard output"},
	{'c', "count", "N", "end after N packets"},
	OPT_NETWORK,
	{BT_OPT_JSON, "json", NULL, "print a line of JSON for each packet"},
	OPT_HELP,
};

static const struct bt_opt replay_opts[] = {
	{BT_OPT_FAST, "fast", NULL, "as fast as the host takes them, not at the times they had"},
	{'w', "write", "FILE", "write what the host gets and sends as pcapng to FILE"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt ping_opts[] = {
	{'c', "count", "N", "end after N answers"},
	{'i', "interval", "SECONDS", "between two requests (1)"},
	{'s', "size", "BYTES", "of data in a request (56)"},
	OPT_NETWORK,
	{BT_OPT_JSON, "json", NULL, "print a line of JSON for each answer, and one at the end"},
	OPT_HELP,
};

static const struct bt_opt doctor_opts[] = {
	{BT_OPT_KERNEL, "kernel", NULL,
	 "the real machine's network namespace instead of a network"},
	{BT_OPT_INTERVAL, "interval", "SECONDS", "time between two looks; 0: only one; default: 1"},
	{BT_OPT_WARN, "warn", "PERCENT", "how full is a warning; default: 70"},
	{BT_OPT_CRITICAL, "critical", "PERCENT", "how full is critical; default: 90"},
	{BT_OPT_CLOSE_WAIT, "close-wait", "N",
	 "sockets of one program in CLOSE_WAIT that are a warning; default: 10"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt metrics_opts[] = {
	{BT_OPT_LISTEN, "listen", "[ADDR:]PORT",
	 "serve them as /metrics by HTTP; ADDR is of the loopback; default: 127.0.0.1"},
	OPT_NETWORK,
	OPT_HELP,
};

static const struct bt_opt map_opts[] = {
	{BT_OPT_HTML, "html", "FILE",
	 "write a page for a browser to FILE; - is the standard output"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt down_opts[] = {
	OPT_NETWORK,
	{BT_OPT_FORCE, "force", NULL, "also when programs still run in it"},
	OPT_HELP,
};

static const struct bt_opt networks_opts[] = {
	OPT_JSON,
	OPT_HELP,
};

static const struct bt_opt help_opts[] = {
	OPT_HELP,
};

static const struct bt_opt top_opts[] = {
	{'d', "interval", "SECONDS", "between two looks (2)"},
	{'s', "sort", "KEY", "rate (default), queue, state, port, peer, host, program or retrans"},
	{'f', "filter", "WORDS", "only sockets with all these words in their line"},
	{'b', "batch", NULL, "plain text, for scripts and files"},
	{'n', "count", "N", "with --batch: end after N looks"},
	{BT_OPT_NO_COLOR, "no-color", NULL, "no colours, as with NO_COLOR set"},
	OPT_NETWORK,
	OPT_JSON,
	OPT_HELP,
};

const struct bt_cmd bt_commands[] = {
	{"run", "[OPTIONS] [--] PROGRAM [ARGS...]", "run a program in a host of its own",
	 "The network starts with its first program. The exit status is the program's;\n"
	 "125: berth failed, 126: the program cannot be run, 127: it was not found.\n",
	 run_opts, COUNT(run_opts), BT_REST_PROGRAM, bt_cmd_run},
	{"ss", "[OPTIONS]", "show the sockets of every host, as ss(8) does",
	 "Without -l, -a or -B: connected sockets. Letters combine: berth ss -tulnap\n", ss_opts,
	 COUNT(ss_opts), 0, bt_cmd_ss},
	{"netstat", "[OPTIONS] [HOST]", "show the sockets as Windows' netstat does",
	 "Each host is shown as a machine of its own; with HOST, that one only. Letters combine:\n"
	 "berth netstat -ano\n",
	 netstat_opts, COUNT(netstat_opts), 1, bt_cmd_netstat},
	{"hosts", "[OPTIONS]", "show the hosts, their addresses and their number of sockets", NULL,
	 list_opts, COUNT(list_opts), 0, bt_cmd_hosts},
	{"explain", "[OPTIONS] tcp|udp [FROM] TO", "say which program gets it, and why",
	 "An end is written as web:80, 192.168.1.100:http, [fd00::5]:80; FROM may lack the port.\n"
	 "The exit status is 0 if somebody gets it, 3 if not.\n",
	 explain_opts, COUNT(explain_opts), 3, bt_cmd_explain},
	{"why", "[OPTIONS] [HOST | [tcp|udp] HOST:PORT]",
	 "the last calls that were refused, and why; or whether a bind would be",
	 "With HOST:PORT: could a program bind it now, and if not, why? The exit status is 0 if "
	 "it\n"
	 "could, 3 if not.\n",
	 why_opts, COUNT(why_opts), 2, bt_cmd_why},
	{"events", "[OPTIONS]", "what happens to sockets, a line of JSON each",
	 "bind, listen, connect, accept, close and refused, until the network ends or Ctrl-C.\n",
	 events_opts, COUNT(events_opts), 0, bt_cmd_events},
	{"services", "[OPTIONS] [PORT[/PROTO] | NAME]...",
	 "look up ports and names of services in IANA's registry",
	 "A port below 1024 may be bound by the host's root only, unless the host's\n"
	 "net.ipv4.ip_unprivileged_port_start says otherwise.\n",
	 services_opts, COUNT(services_opts), BT_REST_ANY, bt_cmd_services},
	{"sysctl", "[OPTIONS] HOST [NAME[=VALUE]...]", "show or change a host's settings",
	 "Without NAME: all that the host has of its own. A program in the host finds them\n"
	 "under /proc/sys, too.\n",
	 list_opts, COUNT(list_opts), BT_REST_ANY, bt_cmd_sysctl},
	{"link", "set HOST [HOST | tap DEVICE] WORDS... | clear HOST [HOST | tap] | show",
	 "make a link lose, delay or damage packets, or lead to a TAP device",
	 "Between two hosts, or one and everybody else. WORDS, as in tc-netem(8):\n"
	 "  loss 1%  burst ENTER% LEAVE%  delay 20ms  jitter 2ms  rate 10mbit  limit 100\n"
	 "  duplicate 1%  reorder 1%  corrupt 0.1%  down  up\n"
	 "What is not named stays. New connections over the link travel in packets.\n"
	 "tap: the host is on a TAP device of the kernel's, too: what is in the prefixes of its\n"
	 "addresses is reached by it, and reaches the host.\n",
	 list_opts, COUNT(list_opts), BT_REST_ANY, bt_cmd_link},
	{"filter",
	 "add HOST RULE... | remove HOST N|RULE... | policy HOST DIRECTION ACTION | list [HOST]",
	 "which packets a host lets in and out",
	 "As a packet filter of a kernel's does: the first rule that matches decides, then the\n"
	 "policy. berth filter insert HOST N RULE... puts one before the Nth; clear HOST removes "
	 "all.\n"
	 "RULE: accept, drop or reject; then, as far as it matters, in any order:\n"
	 "  in | out  tcp | udp | icmp  from ADDR[/LEN]  to ADDR[/LEN]  sport PORT[-PORT]\n"
	 "  dport PORT[-PORT]  state new,established,related,invalid  with tcp-reset\n"
	 "berth filter add web drop in tcp dport 80 from 10.0.0.0/8\n",
	 list_opts, COUNT(list_opts), BT_REST_ANY, bt_cmd_filter},
	{"capture", "[OPTIONS] [HOST [HOST]] [FILTER...]", "show or write packets",
	 "As HOST sends and gets them (from the other); without HOST as they are sent. FILTER is\n"
	 "pcap-filter(7)'s: tcp port 80.\n"
	 "New connections that are looked at travel in packets; Ctrl-C ends it.\n"
	 "Wireshark opens what -w has written; each packet's comment names its program.\n",
	 capture_opts, COUNT(capture_opts), BT_REST_ANY, bt_cmd_capture},
	{"replay", "[OPTIONS] HOST CAPTURE", "give the packets of a capture to a host",
	 "Those that were sent to one of its addresses, from pcap or pcapng. The acknowledgments "
	 "of\n"
	 "TCP are moved to the numbers that the host chooses now. What it answers is counted.\n",
	 replay_opts, COUNT(replay_opts), 2, bt_cmd_replay},
	{"ping", "[OPTIONS] HOST DESTINATION", "send ICMP echo requests from a host",
	 "To another host or address, over the links between them or by HOST's TAP device.\n",
	 ping_opts, COUNT(ping_opts), 2, bt_cmd_ping},
	{"top", "[OPTIONS] [HOST]", "show hosts, listeners and connections live",
	 "q ends it, ? shows the keys. The busiest connections stand first, where berthd counts: "
	 "those\n"
	 "that travel in packets. --json prints one look, after an interval.\n",
	 top_opts, COUNT(top_opts), 1, bt_cmd_top},
	{"doctor", "[OPTIONS] [HOST]", "find ports that run out, and say what helps",
	 "Exit status 0: healthy, 1: a warning, 2: the command line was not understood,\n"
	 "3: critical, 4: berth could not look.\n",
	 doctor_opts, COUNT(doctor_opts), 1, bt_cmd_doctor},
	{"map", "[OPTIONS] [HOST]", "draw the port space of the hosts: who sits where",
	 "The three ranges, the programs at their ports, how full the ephemeral ports are, and "
	 "the\n"
	 "connections between hosts.\n",
	 map_opts, COUNT(map_opts), 1, bt_cmd_map},
	{"metrics", "[OPTIONS]", "print the numbers of a network for Prometheus",
	 "In OpenMetrics' text form. Each time that /metrics is asked for, the network is looked "
	 "at "
	 "anew.\n"
	 "Any user of this machine may ask.\n",
	 metrics_opts, COUNT(metrics_opts), 0, bt_cmd_metrics},
	{"networks", "[OPTIONS]", "show your running networks", NULL, networks_opts,
	 COUNT(networks_opts), 0, bt_cmd_networks},
	{"down", "[OPTIONS]", "end a network", NULL, down_opts, COUNT(down_opts), 0, bt_cmd_down},
	{"help", "[COMMAND]", "explain a command", NULL, help_opts, COUNT(help_opts), 1,
	 bt_cmd_help},
};

const unsigned bt_n_commands = COUNT(bt_commands);

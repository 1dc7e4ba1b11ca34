/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of a script: words[1] is the call, words[2] its socket, `= RESULT` ends the line. */
#include "script.h"

#include <stdlib.h>
#include <string.h>

struct named_number {
	const char *name;
	int64_t n;
};

#define E(name)                                                                                    \
	{                                                                                          \
#name, BERTH_##name                                                                \
	}
static const struct named_number errors[] = {
	E(EPERM),	  E(ENOENT),	  E(EBADF),	   E(EAGAIN),	    E(ENOMEM),
	E(EACCES),	  E(EEXIST),	  E(EINVAL),	   E(ENFILE),	    E(EPIPE),
	E(EDESTADDRREQ),  E(EMSGSIZE),	  E(ENOPROTOOPT),  E(EOPNOTSUPP),   E(EADDRINUSE),
	E(EADDRNOTAVAIL), E(ENETUNREACH), E(ECONNABORTED), E(ECONNRESET),   E(ENOBUFS),
	E(EISCONN),	  E(ENOTCONN),	  E(ETIMEDOUT),	   E(ECONNREFUSED), E(EHOSTUNREACH),
	E(EALREADY),	  E(EINPROGRESS), E(EPROTO),	   {NULL, 0},
};
static const struct named_number states[] = {
	{"ESTABLISHED", 1}, {"SYN_SENT", 2},  {"SYN_RECV", 3}, {"FIN_WAIT1", 4},
	{"FIN_WAIT2", 5},   {"TIME_WAIT", 6}, {"CLOSE", 7},    {"CLOSE_WAIT", 8},
	{"LAST_ACK", 9},    {"LISTEN", 10},   {"CLOSING", 11}, {NULL, 0},
};
#undef E
#define O(text, name)                                                                              \
	{                                                                                          \
		text, BERTH_##name                                                                 \
	}
static const struct named_number options[] = {
	O("linger", SO_LINGER),
	O("sndbuf", SO_SNDBUF),
	O("rcvbuf", SO_RCVBUF),
	O("keepalive", SO_KEEPALIVE),
	O("oobinline", SO_OOBINLINE),
	O("nodelay", TCP_NODELAY),
	O("cork", TCP_CORK),
	O("quickack", TCP_QUICKACK),
	O("maxseg", TCP_MAXSEG),
	O("keepidle", TCP_KEEPIDLE),
	O("keepintvl", TCP_KEEPINTVL),
	O("keepcnt", TCP_KEEPCNT),
	O("syncnt", TCP_SYNCNT),
	O("linger2", TCP_LINGER2),
	O("user-timeout", TCP_USER_TIMEOUT),
	O("congestion", TCP_CONGESTION),
	O("ecn", TCP_ECN),
	O("fastopen", TCP_FASTOPEN),
	O("defer-accept", TCP_DEFER_ACCEPT),
	O("window-clamp", TCP_WINDOW_CLAMP),
	O("reuseaddr", SO_REUSEADDR),
	O("ttl", IP_TTL),
	O("tos", IP_TOS),
	O("mtu-discover", IP_MTU_DISCOVER),
	O("path-mtu", IP_MTU),
	{NULL, 0},
};
#undef O
static const struct named_number events[] = {
	{"readable", BERTH_READABLE},
	{"writable", BERTH_WRITABLE},
	{"peer-shut", BERTH_PEER_SHUT},
	{"error", BERTH_ERROR},
	{"ended", BERTH_ENDED},
	{"urgent", BERTH_URGENT},
	{NULL, 0},
};

static int64_t find(const struct script *s, const struct named_number *list, const char *name)
{
	for (; list->name != NULL; list++)
		if (strcmp(list->name, name) == 0)
			return list->n;
	fail(s, "%s is not known here", name);
}

static const char *name_of(const struct named_number *list, int64_t n)
{
	for (; list->name != NULL; list++)
		if (list->n == n)
			return list->name;
	return NULL;
}

static const char *word(const struct script *s, unsigned at)
{
	if (at >= s->n_words)
		fail(s, "%s ends too early", s->words[1]);
	return s->words[at];
}

static struct named *find_socket(struct script *s, const char *name)
{
	for (unsigned i = 0; i < s->n_sockets; i++)
		if (strcmp(s->sockets[i].name, name) == 0)
			return &s->sockets[i];
	return NULL;
}

static struct named *socket_of(struct script *s)
{
	struct named *n = find_socket(s, word(s, 2));

	if (n == NULL)
		fail(s, "no socket %s", s->words[2]);
	return n;
}

static struct named *new_socket(struct script *s, const char *name)
{
	struct named *n = find_socket(s, name);

	if (n == NULL && s->n_sockets == sizeof(s->sockets) / sizeof(s->sockets[0]))
		fail(s, "too many sockets");
	if (n == NULL)
		n = &s->sockets[s->n_sockets++];
	*n = (struct named){0};
	snprintf(n->name, sizeof(n->name), "%s", name);
	return n;
}

/* After `=`: a number, or a name of the list or of an error. usual: what is meant without one. */
static void result(struct script *s, int64_t came, int64_t usual, const struct named_number *list)
{
	int64_t expected = usual;
	const char *name = came < 0 ? name_of(errors, came) : list ? name_of(list, came) : NULL;

	for (unsigned i = 2; i + 1 < s->n_words; i++)
		if (strcmp(s->words[i], "=") == 0) {
			const char *w = s->words[i + 1];
			if (strcmp(w, "*") == 0)
				return;
			if (w[0] == 'E' &&
			    !(list && name_of(list, 1) && strcmp(w, "ESTABLISHED") == 0))
				expected = find(s, errors, w);
			else
				expected = list ? find(s, list, w) : (int64_t)number(s, w);
		}
	if (came != expected)
		fail(s, "%s: came %lld%s%s, expected %lld", s->words[1], (long long)came,
		     name ? " " : "", name ? name : "", (long long)expected);
}

static struct berth_endpoint endpoint(const struct script *s, bool peer, const char *port)
{
	struct berth_endpoint e = {.port = (uint16_t)number(s, port)};

	if (peer)
		e.addr = s->peer_addr;
	else if (s->ip == 4)
		e.addr.b[10] = e.addr.b[11] = 0xff;
	return e;
}

static void call_socket(struct script *s)
{
	struct named *n = new_socket(s, word(s, 2));
	bool udp = s->n_words > 3 && strcmp(s->words[3], "udp") == 0;

	result(s, host_socket(s, n, udp), 0, NULL);
}

static void call_bind(struct script *s)
{
	struct berth_endpoint e = endpoint(s, false, word(s, 3));

	result(s, host_bind(s, socket_of(s), &e), 0, NULL);
}

static void call_listen(struct script *s)
{
	result(s, host_listen(s, socket_of(s), number(s, word(s, 3))), 0, NULL);
}

static void call_connect(struct script *s)
{
	struct berth_endpoint e = endpoint(s, true, word(s, 3));

	if (s->n_words > 5 && strcmp(s->words[4], "to") == 0)
		address_read(s, s->words[5], &e.addr);
	result(s, host_connect(s, socket_of(s), &e), BERTH_EINPROGRESS, NULL);
}

static void call_accept(struct script *s)
{
	struct named *listener = socket_of(s);
	uint64_t child = 0;
	int64_t r = host_accept(s, listener, &child);

	if (r == 0)
		new_socket(s, word(s, 3))->s = child;
	result(s, r, 0, NULL);
}

static void call_send(struct script *s)
{
	struct named *n = socket_of(s);
	uint32_t len = number(s, word(s, 3));
	unsigned flags = s->n_words > 4 && strcmp(s->words[4], "oob") == 0 ? BERTH_OOB : 0;
	uint8_t *data = malloc(len + 1);
	int64_t r;

	for (uint32_t i = 0; data != NULL && i < len; i++)
		data[i] = pattern(n->sent + i);
	r = host_send(s, n, data, len, flags);
	free(data);
	n->sent += r > 0 ? (uint32_t)r : 0;
	result(s, r, len, NULL);
}

static void call_recv(struct script *s)
{
	struct named *n = socket_of(s);
	uint32_t len = number(s, word(s, 3));
	bool oob = s->n_words > 4 && strcmp(s->words[4], "oob") == 0;
	uint8_t *data = malloc(len + 1);
	int64_t r = host_recv(s, n, data, len, oob ? BERTH_RECV_OOB : 0);

	if (oob) { /* where it was in the stream the script says */
		if (r == 1 && data[0] != pattern(number(s, word(s, 5))))
			fail(s, "the urgent byte is wrong");
		free(data);
		result(s, r, len, NULL);
		return;
	}
	for (int64_t i = 0; i < r; i++)
		if (data[i] != pattern(n->received + (uint32_t)i))
			fail(s, "byte %lld received is wrong", (long long)i);
	free(data);
	n->received += r > 0 ? (uint32_t)r : 0;
	result(s, r, len, NULL);
}

static void call_send_to(struct script *s)
{
	struct berth_endpoint to = endpoint(s, true, word(s, 3));
	uint32_t len = number(s, word(s, 4));
	uint8_t *data = malloc(len + 1);

	for (uint32_t i = 0; data != NULL && i < len; i++)
		data[i] = pattern(i);
	result(s, host_send_to(s, socket_of(s), data, len, to.port ? &to : NULL), len, NULL);
	free(data);
}

static void call_recv_from(struct script *s)
{
	uint32_t len = number(s, word(s, 3));
	uint8_t *data = malloc(len + 1);

	result(s, host_recv_from(s, socket_of(s), data, len), len, NULL);
	free(data);
}

static void call_shutdown(struct script *s)
{
	const char *how = word(s, 3);

	result(s,
	       host_shutdown(s, socket_of(s),
			     strcmp(how, "rd") == 0   ? BERTH_SHUT_RD
			     : strcmp(how, "wr") == 0 ? BERTH_SHUT_WR
						      : BERTH_SHUT_RDWR),
	       0, NULL);
}

static void call_close(struct script *s)
{
	result(s, host_close(s, socket_of(s)), 0, NULL);
}

static void call_abort(struct script *s)
{
	result(s, host_abort(s, socket_of(s)), 0, NULL);
}

static void call_set(struct script *s)
{
	enum berth_option o = (enum berth_option)find(s, options, word(s, 3));

	result(s, host_set(s, socket_of(s), o, (int32_t)number(s, word(s, 4))), 0, NULL);
}

static void call_get(struct script *s)
{
	enum berth_option o = (enum berth_option)find(s, options, word(s, 3));
	int64_t value = 0;
	int64_t r = host_get(s, socket_of(s), o, &value);

	result(s, r < 0 ? r : value, 0, NULL);
}

static void call_error(struct script *s)
{
	result(s, host_error(s, socket_of(s)), 0, NULL);
}

static void call_state(struct script *s)
{
	struct berth_tcp_info info;
	int r = host_info(s, socket_of(s), &info);

	result(s, r < 0 ? r : info.state, 0, states);
}

static void call_info(struct script *s)
{
	const char *field = word(s, 3);
	struct berth_tcp_info i;

	if (host_info(s, socket_of(s), &i) < 0)
		fail(s, "no information about %s", s->words[2]);
	const struct named_number fields[] = {{"cwnd", i.snd_cwnd},
					      {"ssthresh", i.snd_ssthresh},
					      {"mss", i.snd_mss},
					      {"rto-ms", (int64_t)(i.rto_ns / 1000000)},
					      {"srtt-ms", (int64_t)(i.srtt_ns / 1000000)},
					      {"retrans", i.total_retrans},
					      {"unacked", i.unacked},
					      {"sacked", i.sacked},
					      {"snd-wscale", i.snd_wscale},
					      {"rcv-wscale", i.rcv_wscale},
					      {"sack", i.sack},
					      {"timestamps", i.timestamps},
					      {"backoff", i.backoff},
					      {NULL, 0}};
	result(s, find(s, fields, field), 0, NULL);
}

static void call_ready(struct script *s)
{
	int came = host_ready(s, socket_of(s));

	for (unsigned i = 3; i < s->n_words; i++) {
		const char *w = s->words[i];
		bool not = w[0] == '!';
		int bit = (int)find(s, events, w + not );
		if (((came & bit) != 0) == not )
			fail(s, "ready: %s is %s", w + not, not ? "true" : "not true");
	}
}

static void call_sockets(struct script *s)
{
	result(s, host_sockets(s), 0, NULL);
}

/* drops NAME = N */
static void call_drops(struct script *s)
{
	static const char *const names[] = {
#define BERTH_DROP(name, sentence) #name,
#include <berth/drops.h>
#undef BERTH_DROP
	};
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], word(s, 2)) == 0) {
			if (host_has_drops)
				result(s, (int64_t)host_drops(s, (enum berth_drop)i), 0, NULL);
			return;
		}
	fail(s, "no drop %s", s->words[2]);
}

static const struct {
	const char *name;
	void (*does)(struct script *s);
} calls[] = {
	{"socket", call_socket},   {"bind", call_bind},		{"listen", call_listen},
	{"connect", call_connect}, {"accept", call_accept},	{"send", call_send},
	{"recv", call_recv},	   {"send-to", call_send_to},	{"recv-from", call_recv_from},
	{"close", call_close},	   {"shutdown", call_shutdown}, {"abort", call_abort},
	{"set", call_set},	   {"get", call_get},		{"error", call_error},
	{"state", call_state},	   {"info", call_info},		{"ready", call_ready},
	{"sockets", call_sockets}, {"drops", call_drops},
};

bool call(struct script *s)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, s->words[1]) == 0) {
			calls[i].does(s);
			return true;
		}
	return false;
}
